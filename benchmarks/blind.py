"""Reconstructions and filled-in pictures, ranked by judges who are not told whose they are.

`python benchmarks/blind.py draw FOLDER` writes sheets (PNG) whose rows bear letters, shuffled anew on each sheet; what
the letters stand for goes to FOLDER/key.json, which is to be kept from judges. A judge writes a JSON file: for each
sheet and each question the letters, the best first.

    {"glyphs-1": {"same": "CABD…", "real": "DBCA…"}, …}

*same*: in which row is each picture most nearly the one of the top row? *real*: which row looks most as if it had not
been made? `python benchmarks/blind.py count FOLDER ANSWERS... --judge WHO [--record …/measured]` prints mean ranks,
1 for the best. A value of a row is one judge's mean rank over the sheets.
"""

import argparse
import json
import string
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from teachlib import data, invgan
from teachlib.figures import DPI, strips
from teachlib.gif import heads
from teachlib.invgan import editing
from teachlib.results import provenance, shown, spread, write_result

SHEETS, PICTURES = 6, 8
QUESTIONS = ("same", "real")
MODELS = ("autoencoder", "vae-gan", "alae", "bigan", "invgan-naive", "invgan", "invgan-direct")
SQUARE = (32, 14, 10, 12)  # of heads' 32 pixels: from row 14 and column 10, 12 a side; notebook 4's


def components(known: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The mean of known pictures, (D,), and their first principal components, (D, count)."""
    flat = known.flatten(1)
    return flat.mean(0), torch.pca_lowrank(flat - flat.mean(0), count, niter=4)[2]


def reconstructions(count: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Held-out glyphs, and what seven models and as many components make of them."""
    images = data.load("glyphs", "test", size=32)[:count][0]
    ways = {}
    for name in MODELS:
        model = invgan.from_zoo(name, "glyphs")
        ways[name] = invgan.generate_all(model, invgan.infer_all(model, images))
    middle, basis = components(data.load("glyphs", "train", size=32, limit=5000)[:][0], model.w_dim)
    ways["PCA"] = (middle + (images.flatten(1) - middle) @ basis @ basis.T).clamp(0, 1).view_as(images)
    return {"picture": images}, ways


def filled_in(count: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Held-out heads whose nose and mouth are hidden, and what five ways put there."""
    model = invgan.from_zoo("invgan-direct", "heads")
    images, known = heads.load("test", 32, count)[:][0], heads.load("train", 32, 600)[:][0]
    mask = editing.square(*SQUARE)
    seen = ~mask.expand(1, 3, -1, -1).flatten()
    middle, basis = components(known, model.w_dim)
    away = (images.flatten(1) - middle)[:, seen]
    fitted = torch.linalg.lstsq(basis[seen], away.T).solution.T
    near = torch.cdist(images.flatten(1)[:, seen], known.flatten(1)[:, seen], p=1).argmin(1)
    linear = (middle + fitted @ basis.T).clamp(0, 1).view_as(images)
    ways = {
        "one-pass": editing.inpainted(model, images, mask)[0],
        "search": editing.inpainted(model, images, mask, steps=100)[0],
        "components": torch.where(mask, linear, images),
        "nearest": torch.where(mask, known[near], images),
        "mean": torch.where(mask, known.mean(0), images),
    }
    return {"picture": images, "hidden": images.masked_fill(mask, 0.5)}, ways


STUDIES = {"glyphs": reconstructions, "heads": filled_in}


def draw(folder: Path, seed: int) -> None:
    """Write all sheets, and the key to their letters."""
    generator, key = torch.Generator().manual_seed(seed), {}
    folder.mkdir(parents=True)
    for study, make in STUDIES.items():
        given, ways = make(SHEETS * PICTURES)
        for number in range(SHEETS):
            part = slice(number * PICTURES, (number + 1) * PICTURES)
            order = torch.randperm(len(ways), generator=generator).tolist()
            letters = dict(zip(string.ascii_uppercase, [list(ways)[place] for place in order], strict=False))
            rows = {name: some[part] for name, some in given.items()}
            rows |= {letter: ways[name][part] for letter, name in letters.items()}
            strips(rows).savefig(folder / f"{study}-{number + 1}.png", dpi=DPI, facecolor="white")
            key[f"{study}-{number + 1}"] = letters
    (folder / "key.json").write_text(json.dumps(key, indent=1))


def ranks(key: Mapping[str, Mapping[str, str]], answers: Mapping[str, Mapping[str, str]], study: str) -> dict:
    """Of each way and question, one judge's mean rank over the sheets of a study."""
    sheets = [sheet for sheet in key if sheet.startswith(f"{study}-")]
    found: dict[str, dict[str, list[int]]] = {name: {q: [] for q in QUESTIONS} for name in key[sheets[0]].values()}
    for sheet in sheets:
        for question in QUESTIONS:
            said = answers[sheet][question]
            if sorted(said) != sorted(key[sheet]):
                sys.exit(f"{sheet}, {question}: {said!r}; expected each of {''.join(key[sheet])} once")
            for place, letter in enumerate(said, 1):
                found[key[sheet][letter]][question].append(place)
    return {name: {q: sum(some) / len(some) for q, some in of.items()} for name, of in found.items()}


def count(folder: Path, files: Sequence[Path], judge: str, record: Path | None) -> None:
    """Print the mean ranks of all judges, and write them where that is asked for."""
    key = json.loads((folder / "key.json").read_text())
    answers = [json.loads(file.read_text()) for file in files]
    for study in STUDIES:
        each = [ranks(key, some, study) for some in answers]
        for name in each[0]:
            values = {q: spread([one[name][q] for one in each]) for q in QUESTIONS}
            print(f"{study:10}{name:15}", {question: shown(value, digits=2) for question, value in values.items()})
            row = {
                "recipe": {"name": name, "dataset": study, "ways": len(each[0]), "judge": judge},
                "values": values,
                "metric": f"mean rank among {len(each[0])}, 1 for the best, a value a judge",
                "samples": SHEETS * PICTURES,
                "provenance": provenance([0], 0) | {"command": "python benchmarks/blind.py count"},
            }
            if record:
                write_result(record, "blind", name, study, row)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", choices=("draw", "count"))
    parser.add_argument("folder", type=Path, help="of the sheets")
    parser.add_argument("answers", type=Path, nargs="*", help="a JSON file a judge")
    parser.add_argument("--seed", type=int, default=0, help="of the letters' order")
    parser.add_argument("--judge", default="", help="who judged: people, or which machine")
    parser.add_argument("--record", type=Path, help="folder that rows are written to")
    options = parser.parse_args()
    if options.work == "draw":
        draw(options.folder, options.seed)
    elif not options.answers or not options.judge:
        parser.error("count needs at least one file of answers, and --judge")
    else:
        count(options.folder, options.answers, options.judge, options.record)


if __name__ == "__main__":
    main()
