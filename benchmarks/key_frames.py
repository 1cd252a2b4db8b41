"""Frames between key frames of real films (Appendix C): `python benchmarks/key_frames.py [--record …/measured]`.

Every k-th frame of a film is given, those between are the truth. Codes of tiles and pixels, both averaged by the same
windows; the nearest frame; the two neighbours, faded into each other; optical flow; and, as the model's limit, the true
frames rebuilt. Most of a film stands still: errors are told of all pixels, of those that move, which differ by more
than .1 of the range from one given frame to the next, and of the others. In `$TEACHLIB_DATA/video` lie two films, in
`clips_64.npz`, and a third, `bigbuckbunny.mp4`, taken at a quarter of its sides; it needs PyAV. No number is drawn: a
row is one value.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from teachlib import invgan
from teachlib.invgan import films, tiling
from teachlib.results import provenance, spread, write_result

EVERY = (2, 4)
MOVES = 0.1  # of the range of a colour, from one key frame to the next
MOST = 33  # frames of the large film: 2 and 4 divide one less


def read(folder: Path) -> dict[str, Tensor]:
    """The films by name, (T, 3, H, W) in [0, 1]."""
    with np.load(folder / "clips_64.npz") as clips:
        found = {name: torch.from_numpy(clips[name]).movedim(3, 1).float() / 255 for name in clips.files}
    large = films.read_film(folder / "bigbuckbunny.mp4", most=MOST)
    return found | {"bigbuckbunny-320": avg_pool2d(large, 4)}


def faded(film: Tensor, factor: int) -> Tensor:
    """The neighbours, each by how near it is in time."""
    places = torch.arange(factor * (len(film) - 1) + 1) / factor
    first = places.long().clamp_max(len(film) - 2)
    share = (places - first)[:, None, None, None]
    return (1 - share) * film[first] + share * film[first + 1]


def measure(model: invgan.InvGAN, film: Tensor, every: int) -> dict[str, dict[str, float]]:
    """Of each way, its mean error between the key frames on ±1, of all, moving and still pixels; seconds a frame."""
    truth = film[: (len(film) - 1) // every * every + 1]
    keys, inside = truth[::every], torch.arange(len(truth)) % every != 0
    moving = (keys.diff(dim=0).abs() > MOVES).any(1, keepdim=True).repeat_interleave(every - 1, 0)
    ways = {
        "codes": lambda: tiling.slowed(model, keys, every),
        "pixels": lambda: tiling.averaged(keys, every),
        "nearest": lambda: tiling.averaged(keys, every, sigma=0.01),
        "faded": lambda: faded(keys, every),
        "flow": lambda: invgan.interpolated(keys, every),
        "rebuilt": lambda: tiling.rebuilt(model, truth),
    }
    rows = {}
    for name, way in ways.items():
        begun = time.perf_counter()
        made = way()
        seconds = (time.perf_counter() - begun) / len(made)
        apart = 2 * (truth[inside] - made[inside]).abs().mean(1, keepdim=True)
        rows[name] = {"all": apart.mean().item(), "seconds": seconds, "share": moving.float().mean().item()}
        rows[name] |= {"moving": apart[moving].mean().item(), "still": apart[~moving].mean().item()}
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, help="folder that rows are written to")
    options = parser.parse_args()
    model = invgan.from_zoo("invgan-direct", "patches")
    for clip, film in read(Path(os.environ["TEACHLIB_DATA"]) / "video").items():
        begun = time.perf_counter()
        found = {every: measure(model, film, every) for every in EVERY}
        seconds = time.perf_counter() - begun
        for name in found[EVERY[0]]:
            values = {
                f"every {k}, {which}": spread([rows[name][which]])
                for which in ("all", "moving", "still", "share")
                for k, rows in found.items()
            }
            values["seconds a frame"] = spread([found[EVERY[-1]][name]["seconds"]])
            print(f"{clip:18}{name:9}", {on: f"{value['mean']:.4f}" for on, value in values.items()}, flush=True)
            row = {
                "recipe": {"name": name, "dataset": clip, "frames": len(film), "pixels": list(film.shape[2:])},
                "values": values,
                "metric": "mean absolute error on ±1 of frames between every 2nd and every 4th",
                "samples": len(film),
                "provenance": provenance([0], seconds) | {"command": "python benchmarks/key_frames.py"},
            }
            if options.record:
                write_result(options.record, "key-frames", name, clip, row)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
