"""Numbers that stand beside what a page measures, so that it can be told from chance, from a perfect model, or from
something simpler: `python benchmarks/controls.py [NAME …] [--record FOLDER]`.

Each by itself is small. All use models of the zoo.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import Tensor

from teachlib import data, gif, invgan, rae
from teachlib.gif import evaluation, heads, photographs, wardrobe
from teachlib.gif.parameters import Parameters, randomly, vector, vector_columns
from teachlib.metrics.chapter import CHAPTER as CLASSIFIERS
from teachlib.rae import grammar
from teachlib.results import provenance, spread, write_result

Rows = list[dict[str, float]]


def random_codes() -> Rows:
    """Scores of as many codes as a search of the thesis picks, drawn from a mixture instead, five times."""
    rows: Rows = [{} for _ in range(5)]
    train = grammar.load("expressions", "train", limit=5_000)
    for name in ("cvae", "gvae", "gcvvae", "grae"):
        model = grammar.from_zoo(name, "expressions").eval()
        with torch.no_grad():
            mixture = rae.fit_mixture(model.encode(model.codec.encode(train[:2_000])))
        for seed, row in enumerate(rows):
            generator = torch.Generator().manual_seed(seed)
            codes = mixture.sample(250, generator).float()
            strings = grammar.decode_valid(model, codes, attempts=25, generator=generator)
            scores = [grammar.evaluation.score("expressions", text) for text in strings]
            row |= {f"{name}, mean": float(np.mean(scores)), f"{name}, best": min(scores)}
            row[f"{name}, valid"] = sum(text is not None for text in strings) / len(strings)
    return rows


def in_style_of(style: wardrobe.Style, asked: Parameters) -> Tensor:
    """Photographs of several heads that wear the same."""
    same = wardrobe.Style(**{name: value.expand(len(asked), *value.shape[1:]) for name, value in vars(style).items()})
    return photographs.photograph(asked, same, 32)


def true_photographs() -> Rows:
    """Photographs in GIF's place: what seems to drift, and how unevenly they turn; and renderings of two finenesses."""
    judge, face = gif.from_zoo("reinference", "heads"), gif.from_zoo("gif")
    test, asked = heads.load("test", 32, limit=100), evaluation.turning(31)
    styles = wardrobe.randomly(4, torch.Generator().manual_seed(0))
    rows: Rows = []
    for number in range(4):
        style = styles[number : number + 1]
        own = face.styles(torch.full((len(asked),), number))
        row = {"unevenness, photographs": evaluation.unevenness(in_style_of(style, asked))}
        for name, finer in (("", 2), (", finer", 8)):
            renderings = gif.condition(asked, 32, finer=finer)
            row[f"unevenness, rendering{name}"] = evaluation.unevenness(renderings[:, :3])
            with torch.no_grad():
                row[f"unevenness, GIF{name}"] = evaluation.unevenness(face.draw(face.condition(asked, renderings), own))
        for group in ("pose", "light", "appearance"):
            found = evaluation.drift(lambda some, style=style: in_style_of(style, some), judge, test, group)
            made = evaluation.group_drift(face, judge, test, group, seed=number)
            row[f"drift, {group}, photographs"] = sum(found.values()) / len(found)
            row[f"drift, {group}, GIF"] = sum(made.values()) / len(made)
        rows.append(row)
    return rows


@torch.no_grad()
def vector_in_codes() -> Rows:
    """How much of each group of a vector a line recovers from the code w that passes it on (R² of held-out ones)."""
    face = gif.from_zoo("gif-vector-projection")
    generator = torch.Generator().manual_seed(0)
    vectors = [vector(randomly(count, generator)) for count in (8_000, 1_000)]
    codes = []
    for told in vectors:
        styles = face.styles(torch.randint(face.recipe.pictures, (len(told),), generator=generator))
        w = face.generator.codes(styles, face.standard(told))
        codes.append(torch.cat([w, torch.ones(len(w), 1)], 1))
    found = codes[1] @ torch.linalg.lstsq(codes[0], vectors[0]).solution
    variance = vectors[1].var(0)
    share = 1 - (found - vectors[1]).square().mean(0) / variance
    groups = {**evaluation.COLUMNS, "appearance": vector_columns()["appearance"]}
    return [{name: share[at][variance[at] > 0].mean().item() for name, at in groups.items()}]


@torch.no_grad()
def readers_of_codes() -> Rows:
    """Accuracies of a line and of a kernel machine with a hundred labels a class, on two kinds of codes."""
    train, tested = (data.load("glyphs", split, size=32) for split in ("train", "test"))
    tested = tested.first(4_000)
    codes = {
        name: [invgan.infer_all(invgan.from_zoo(name, "glyphs"), part[:][0]).numpy() for part in (train, tested)]
        for name in ("invgan-direct", "autoencoder")
    }
    readers: dict[str, Callable[[], object]] = {
        "line": lambda: LogisticRegression(max_iter=1000),
        "kernel machine": lambda: SVC(C=10),
    }
    rows: Rows = []
    for seed in range(10):
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
        some = torch.cat([order[train.labels[order] == digit][:100] for digit in range(10)])
        row = {}
        for name, (learn, judge) in codes.items():
            for reader, made in readers.items():
                probe = make_pipeline(StandardScaler(), made()).fit(learn[some], train.labels[some])
                row[f"{name}, {reader}"] = float(probe.score(judge, tested.labels))
        rows.append(row)
    return rows


def noise_that_fits() -> Rows:
    """The most noise, in pixels of ±1, at a tenth of relative distance in each network's features."""
    train = data.load("glyphs", "train", size=32)
    model = invgan.from_zoo("invgan", "glyphs")
    torch.manual_seed(0)
    fresh = invgan.CHAPTER.build(invgan.recipe("invgan", "glyphs", scale="laptop"), None).eval().discriminator
    judge, caught = CLASSIFIERS.from_zoo("features", "glyphs"), []
    [m for m in judge.modules() if isinstance(m, torch.nn.Conv2d)][-1].register_forward_hook(
        lambda *seen: caught.append(seen[-1])
    )
    encoder = invgan.from_zoo("autoencoder", "glyphs").discriminator
    looks = {
        "D, trained": lambda x: model.discriminator(x).features[-1],
        "an encoder, no game": lambda x: encoder(x).features[-1],
        "D, never trained": lambda x: fresh(x).features[-1],
        "a classifier": lambda x: (judge(x), caught.pop())[1],
    }
    test = data.load("glyphs", "test", size=32)
    rows: Rows = []
    for seed in range(3):
        x = test[8 * seed : 8 * seed + 8][0]
        row = {name: hidden_noise(look, x, seed=seed) for name, look in looks.items()}
        nearest = torch.cdist(x.flatten(1), train[:][0].flatten(1)).argmin(1)
        row["another glyph"] = invgan.pixel_error(x, x.roll(1, 0)).item()
        row["the nearest training glyph"] = invgan.pixel_error(x, train[nearest][0]).item()
        rows.append(row)
    return rows


def hidden_noise(
    look: Callable[[Tensor], Tensor], x: Tensor, *, seed: int, steps: int = 300, limit: float = 0.1
) -> float:
    """The largest error of pixels that was found within a distance of features, by ascent with a multiplier."""
    with torch.no_grad():
        goal = look(x)
    noise = 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
    moved, weight, best = (x + noise).clamp(0, 1).requires_grad_(), 10.0, 0.0
    optimizer = torch.optim.Adam([moved], 0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        apart, error = invgan.feature_matching([goal], [look(moved)]), invgan.pixel_error(x, moved)
        if apart.item() <= limit:
            best = max(best, error.item())
        (weight * apart - error).backward()
        optimizer.step()
        # The multiplier grows while the features are too far off and falls while there is room.
        weight *= 1.02 if apart.item() > limit else 0.98
        with torch.no_grad():
            moved.clamp_(0, 1)
    return best


@dataclass(frozen=True)
class Control:
    """How a row is found, on what, and what its numbers are."""

    measure: Callable[[], Rows]
    dataset: str
    metric: str


CONTROLS = {
    "random-codes": Control(random_codes, "expressions", "score of 250 random codes' expressions; share valid"),
    "true-photographs": Control(true_photographs, "heads", "drift in deviations; second over first differences"),
    "vector-in-codes": Control(vector_in_codes, "heads", "share of the variance that a line recovers from w"),
    "readers-of-codes": Control(readers_of_codes, "glyphs", "accuracy with a hundred labels a class"),
    "noise-that-fits": Control(noise_that_fits, "glyphs", "mean absolute error, ±1"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*CONTROLS, []], help="by default all")
    parser.add_argument("--record", type=Path, help="folder that rows are written to")
    options = parser.parse_args()
    for name in options.names or CONTROLS:
        control, begun = CONTROLS[name], time.perf_counter()
        rows = control.measure()
        values = {what: spread([row[what] for row in rows]) for what in rows[0]}
        print(name, {what: round(value["mean"], 3) for what, value in values.items()}, flush=True)
        if options.record is None:
            continue
        row = {
            "recipe": {"name": name, "dataset": control.dataset},
            "metric": control.metric,
            "samples": len(rows),
            "provenance": provenance(list(range(len(rows))), time.perf_counter() - begun),
            "values": values,
        }
        write_result(options.record, "controls", name, control.dataset, row)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
