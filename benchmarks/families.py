"""Where the families stand (thesis §§ 7.1, 7.2, 7.4): `python benchmarks/families.py [--record FOLDER]`.

Models of the zoo, one training each, of chapter 1 on digits, of chapters 2, 3 and 5 on glyphs, of chapters 4 and 5 on
heads. What a picture becomes: how many numbers, and how many bits, if all numbers are rounded to steps of one size, and
an ideal entropy coder, which is not run, knows a Gaussian for each: the mean of −log₂ of what it gives to the steps.
*Bits* and *error* (mean absolute, of held-out pictures rebuilt from rounded codes) are those of the coarsest rounding
that makes the error a twentieth larger; *error at n bits* is the least at any rounding that takes n bits or fewer in
the mean. Gaussians and densities are fitted to training pictures, of heads to those for validation. (Exact likelihoods
write a picture without loss: their bits are those of all pixels.) Fréchet distance and coverage of as many samples;
milliseconds for each. Principal components, as many as codes have numbers, go through the same.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from teachlib import data, gif, gmmvae, invgan, metrics, primer, rae, zoo
from teachlib.gif import heads
from teachlib.results import provenance, spread, write_result

COARSER = 1.05  # the error with rounded codes over that with codes as they are
STEPS = [16.0 * 0.85**k for k in range(44)]  # of rounding, in mean deviations of a code's numbers
BITS = (8, 16, 32, 64, 128, 256)
Map = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Stand:
    """A model, as this table needs it.

    Attributes:
        sample: how many, and a source of chance → pictures.
        encode: pictures → codes (N, d), where there is a way back.
        decode: codes → pictures.
        numbers: of a code, where nothing encodes; 0: there is none.
        lossless: bits of a whole picture by the model's own likelihood.
    """

    sample: Callable[[int, torch.Generator], Tensor]
    encode: Map | None = None
    decode: Map | None = None
    numbers: int = 0
    lossless: float | None = None


def rounded(codes: Tensor, like: Tensor, step: float) -> tuple[Tensor, float]:
    """Codes in steps of so many deviations, and the mean bits of one under a Gaussian for each number.

    Args:
        codes: to be rounded, (N, d).
        like: codes of training pictures, which the Gaussians are fitted to.
        step: of rounding, the same for all numbers: in the mean of their deviations.
    """
    mean, deviation = like.mean(0), like.std(0).clamp_min(1e-6)
    width = step * deviation.mean()
    near = ((codes - mean) / width).round() * width
    normal = torch.distributions.Normal(0.0, deviation)
    share = (normal.cdf(near + width / 2) - normal.cdf(near - width / 2)).clamp_min(1e-9)
    return mean + near, -share.log2().sum(1).mean().item()


def compressed(stand: Stand, x: Tensor, train: Tensor) -> dict[str, float]:
    """Numbers and bits of a code, and the error that is left, of the coarsest rounding that is allowed."""
    assert stand.encode is not None
    assert stand.decode is not None
    begun = time.perf_counter()
    codes = stand.encode(x)
    row = {"numbers": codes.shape[1], "ms a code": 1000 * (time.perf_counter() - begun) / len(x)}
    like, error = stand.encode(train), (stand.decode(codes) - x).abs().mean().item()
    curve = []
    for step in STEPS:
        near, bits = rounded(codes, like, step)
        curve.append((bits, (stand.decode(near) - x).abs().mean().item()))
    good = [point for point in curve if point[1] <= COARSER * error]
    if not good:
        raise SystemExit(f"steps of {STEPS[-1]:.2g} deviations are too coarse for these codes; add finer ones to STEPS")
    if curve[0][0] > BITS[0]:
        raise SystemExit(f"steps of {STEPS[0]:.2g} deviations take {curve[0][0]:.1f} bits; add coarser ones to STEPS")
    at = {f"error at {most} bits": min(left for bits, left in curve if bits <= most) for most in BITS}
    return row | dict(zip(("bits", "error"), good[0], strict=True)) | at


def measure(stand: Stand, x: Tensor, train: Tensor, look: metrics.Extractor) -> dict[str, float]:
    """A row."""
    row: dict[str, float] = compressed(stand, x, train) if stand.encode else {"numbers": stand.numbers}
    if stand.lossless is not None:
        row |= {"bits": stand.lossless, "error": 0.0}
    begun = time.perf_counter()
    drawn = stand.sample(len(x), torch.Generator().manual_seed(0))
    row["ms a sample"] = 1000 * (time.perf_counter() - begun) / len(x)
    real, seen = look.features(x), look.features(drawn)
    row["distance"] = metrics.frechet_between(metrics.statistics_of(seen), metrics.statistics_of(real), relative=True)
    row["coverage"] = metrics.density_coverage(real, seen).coverage
    return row


Named = tuple[str, str, Callable[[], Stand]]  # a model's name in the zoo, how it is used, and what makes it


def of_digits(train: Tensor) -> Iterator[Named]:
    """Chapter 1's families."""
    yield _components(train, 8)
    for kind in ("vae", "glow", "pixelcnn", "diffusion", "energy", "gan"):
        name = f"primer-{kind}"

        def stand(name: str = name, kind: str = kind) -> Stand:
            model = primer.from_zoo(name, "digits").eval()
            if kind == "vae":
                return Stand(model.sample, model.encode, lambda z: model.vae.decode(z).unflatten(1, model.shape))
            bits, numbers = zoo.card(f"{name}-digits")["values"]["bits"], {"glow": 64, "diffusion": 64, "gan": 16}
            exact = kind in ("glow", "pixelcnn")  # the others' bits are bounds or estimates, which write nothing
            return Stand(model.sample, numbers=numbers.get(kind, 0), lossless=64 * bits if exact else None)

        yield name, "", stand


def of_glyphs(train: Tensor) -> Iterator[Named]:
    """Autoencoders with a density, the mixture of chapter 3, GANs with and without a way back."""
    yield _components(train, 16)
    yield _components(train, 32)
    for name, kind in (("vae", "normal"), ("vae", "mixture"), ("rae-l2", "mixture"), ("ae", "mixture")):

        def coded(name: str = name, kind: str = kind) -> Stand:
            model = rae.from_zoo(name, "glyphs").eval()
            density = rae.fit_density(kind, model.encode(train))
            return Stand(lambda n, chance: model.decode(density.sample(n, chance)), model.encode, model.decode)

        yield name, f"{kind} density", coded

    def mixture() -> Stand:
        model = gmmvae.from_zoo("gmm-vae", "glyphs").eval()
        return Stand(lambda n, chance: model.sample(torch.arange(n) % 10, chance), model.encode, model.decode)

    yield "gmm-vae", "", mixture
    for name in ("gan", "bigan", "alae", "vae-gan", "invgan-naive", "invgan", "invgan-direct"):

        def inverted(name: str = name) -> Stand:
            return _of_gan(name, "glyphs")

        yield name, "", inverted


def _components(train: Tensor, count: int) -> Named:
    """Principal components, and a mixture of Gaussians fitted to their codes."""

    def stand() -> Stand:
        mean = train.flatten(1).mean(0)
        ways = torch.linalg.svd(train.flatten(1) - mean, full_matrices=False).Vh[:count]

        def encode(x: Tensor) -> Tensor:
            return (x.flatten(1) - mean) @ ways.T

        def decode(z: Tensor) -> Tensor:
            return (mean + z @ ways).clamp(0, 1).unflatten(1, train.shape[1:])

        density = rae.fit_density("mixture", encode(train))
        return Stand(lambda n, chance: decode(density.sample(n, chance)), encode, decode)

    return "components", f"{count} numbers", stand


def _of_gan(name: str, dataset: str) -> Stand:
    model = invgan.from_zoo(name, dataset).eval()

    def sample(n: int, chance: torch.Generator) -> Tensor:
        return model.generate(model.codes(n, chance))

    return Stand(sample, model.infer, model.generate) if model.infers else Stand(sample, numbers=model.w_dim)


def of_heads(train: Tensor) -> Iterator[Named]:
    """A GIF, which is told what to draw, and an invertible GAN."""
    yield _components(train, 32)

    def told() -> Stand:
        face, given = gif.from_zoo("gif", "heads").eval(), heads.load("test", 32)

        def sample(n: int, chance: torch.Generator) -> Tensor:
            some = torch.randint(len(given), (n,), generator=chance)
            asked = face.told(given.vectors[some], given.condition(some))
            return face.draw(asked, torch.randn(n, face.recipe.width, generator=chance))

        return Stand(sample, numbers=given.vectors.shape[1])

    yield "gif", "", told
    yield "invgan-direct", "", lambda: _of_gan("invgan-direct", "heads")


SETS: dict[str, tuple[int, str, Callable[[Tensor], Iterator[Named]]]] = {
    "digits": (8, "classifier", of_digits),
    "glyphs": (32, "classifier", of_glyphs),
    "heads": (32, "untrained", of_heads),
}


def pictures(dataset: str, split: str, count: int) -> Tensor:
    """Some pictures of a split."""
    # 12,000 heads are trained on, and take long to draw: others tell the spread of codes as well.
    if dataset == "heads":
        drawn = heads.load("validation" if split == "train" else split, 32)
        return drawn[torch.arange(min(count, len(drawn)))][0]
    return data.load(dataset, split, size=SETS[dataset][0], limit=count)[:][0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--count", type=int, default=1_000, help="held-out pictures, and samples")
    parser.add_argument("--record", type=Path, help="folder that rows are written to")
    options = parser.parse_args()
    for dataset in options.sets:
        _, kind, models = SETS[dataset]
        x, train = pictures(dataset, "test", options.count), pictures(dataset, "train", 2 * options.count)
        look = metrics.extractor(kind, dataset) if kind == "classifier" else metrics.untrained((3, 32, 32))
        for name, used, make in models(train):
            begun = time.perf_counter()
            row, model = measure(make(), x, train, look), f"{name}-{dataset}"
            label = f"{name}+{used.replace(' ', '-')}" if used else name
            print(dataset, f"{label:24}", {key: round(value, 4) for key, value in row.items()}, flush=True)
            result: dict[str, Any] = {
                "recipe": (zoo.card(model)["recipe"] if model in zoo.names() else {"name": name, "dataset": dataset})
                | {"used": used},
                "metric": look.metric,
                "extractor": look.name,
                "samples": len(x),
                "provenance": provenance([0], time.perf_counter() - begun),
                "values": {key: spread([float(value)]) for key, value in row.items()},
            }
            if options.record:
                write_result(options.record, "families", label, dataset, result)


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    main()
