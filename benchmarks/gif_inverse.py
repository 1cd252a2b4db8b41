"""A photograph in its own style and another pose: `python -m benchmarks.gif_inverse [--record FOLDER]`.

The zoo's GIF gets an encoder of styles (`invgan.StyleEncoder`). Held-out heads are rebuilt from their style and
their rendering, and turned: the same style with the rendering of another yaw. As heads are made from numbers, the
photograph of the turned head is known. Beside it: the mean style, the photograph as it was, and the chapter's InvGAN
with a step along its direction of yaw.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from teachlib import gif, invgan
from teachlib.gif import evaluation, heads
from teachlib.gif.parameters import Parameters, centred, vector_columns
from teachlib.invgan import editing
from teachlib.results import provenance, spread, write_result

TURN = 0.35  # radians, added to the yaw or taken away, whichever leads towards the front
PART = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, help="folder that rows are written to")
    parser.add_argument("--steps", type=int, default=1_000)
    parser.add_argument("--heads", type=int, default=heads.SPLITS["train"])
    parser.add_argument("--test", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    face, train = gif.from_zoo("gif"), heads.load("train", 32, options.heads)
    test = heads.load("test", 32, options.test)
    begun, found = time.perf_counter(), []
    for seed in range(options.seeds):
        encoder = invgan.train_style_encoder(face, train, steps=options.steps, seed=seed)
        found.append(asked(encoder, test) | {f"turned, {k}": v for k, v in turned(encoder, train, test).items()})
        print(seed, {name: round(value, 4) for name, value in found[-1].items()}, flush=True)
    if options.record is None:
        return
    command = f"python -m benchmarks.gif_inverse --steps {options.steps} --seeds {options.seeds}"
    row = {
        "recipe": {"name": "gif", "dataset": "heads", "steps": options.steps, "heads": options.heads, "turn": TURN},
        "values": {what: spread([one[what] for one in found]) for what in found[0]},
        "metric": "mean absolute error, ±1",
        "samples": len(test),
        "provenance": provenance(list(range(options.seeds)), time.perf_counter() - begun) | {"command": command},
    }
    write_result(options.record, "gif-inverse", "gif", "heads", row)


@torch.no_grad()
def asked(encoder: invgan.StyleEncoder, test: heads.Heads) -> dict[str, float]:
    """Errors of what is rebuilt, by where style and rendering come from."""
    images = test[:][0]
    true = encoder.face.told(test.vectors, test.condition(torch.arange(len(test))))
    read = encoder.face.condition(read_off(images))
    mean = encoder.mean.expand(len(test), -1)
    ways = {
        "style inferred": made(encoder, styles_of(encoder, images, true), true),
        "mean style": made(encoder, mean, true),
        "style inferred, parameters read off": made(encoder, styles_of(encoder, images, read), read),
    }
    model = invgan.from_zoo("invgan-direct", "heads")
    ways["InvGAN"] = invgan.generate_all(model, invgan.infer_all(model, images))
    return {name: invgan.pixel_error(images, pictures).item() for name, pictures in ways.items()}


@torch.no_grad()
def turned(encoder: invgan.StyleEncoder, train: heads.Heads, test: heads.Heads) -> dict[str, float]:
    """Errors of heads that are turned, against photographs of the turned heads."""
    yaw = test.parameters.pose[:, 0, 1]
    step = torch.where(yaw > 0, -TURN, TURN)
    pose = test.parameters.pose.clone()
    pose[:, 0, 1] += step
    other = centred(replace(test.parameters, pose=pose))  # as all photographs are
    styles = heads.worn("test", len(test))
    rows = [slice(start, start + PART) for start in range(0, len(test), PART)]
    truth = torch.cat([gif.photograph(other[part], styles[part], 32) for part in rows])
    images = test[:][0]
    before = encoder.face.told(test.vectors, test.condition(torch.arange(len(test))))
    after = torch.cat([encoder.face.condition(other[part]) for part in rows])
    w = styles_of(encoder, images, before)
    model = invgan.from_zoo("invgan-direct", "heads")
    known = train.first(4_000)
    turns = known.parameters.pose[:, 0, 1]
    way = editing.direction(invgan.infer_all(model, known[:][0]), turns) / turns.std()  # a radian more
    codes, mean = invgan.infer_all(model, images), encoder.mean.expand(len(test), -1)
    ways = {  # before and after
        "GIF, style inferred": (made(encoder, w, before), made(encoder, w, after)),
        "GIF, mean style": (made(encoder, mean, before), made(encoder, mean, after)),
        "InvGAN, direction of yaw": tuple(
            invgan.generate_all(model, some) for some in (codes, codes + step[:, None] * way)
        ),
        "photograph, not turned": (images, images),
    }
    judge = gif.from_zoo("reinference")
    column = evaluation.COLUMNS["yaw"]
    wanted = evaluation.inferred(judge, truth)[:, column] - evaluation.inferred(judge, images)[:, column]
    row = {name: invgan.pixel_error(truth, turned_).item() for name, (_, turned_) in ways.items()}
    for name, (
        own,
        turned_,
    ) in ways.items():  # each beside its own picture of before: rebuilt heads face the front more
        moved = evaluation.inferred(judge, turned_)[:, column] - evaluation.inferred(judge, own)[:, column]
        row[f"{name}: share of the turn that is read"] = ((moved * wanted).mean() / wanted.square().mean()).item()
    return row


def read_off(images: Tensor) -> Parameters:
    """Parameters that the chapter before's network reads off photographs."""
    judge = gif.from_zoo("reinference")
    standard = judge.standard
    rows = evaluation.inferred(judge, images) * standard.deviation + standard.mean
    shapes = {name: values.shape[1:] for name, values in vars(gif.parameters.neutral()).items()}
    return Parameters(**{name: rows[:, at].unflatten(1, shapes[name]) for name, at in vector_columns().items()})


def styles_of(encoder: invgan.StyleEncoder, images: Tensor, conditions: Tensor) -> Tensor:
    """Codes, in parts that fit into memory."""
    pairs = zip(images.split(PART), conditions.split(PART), strict=True)
    return torch.cat([encoder(some, told_) for some, told_ in pairs])


def made(encoder: invgan.StyleEncoder, w: Tensor, conditions: Tensor) -> Tensor:
    """Pictures, in parts that fit into memory."""
    pairs = zip(w.split(PART), conditions.split(PART), strict=True)
    return torch.cat([encoder.generate(some, told_) for some, told_ in pairs])


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
