"""Image GANs corrected by their judges: `python benchmarks/better_samples.py [--record src/teachlib/measured]`.

The zoo's GANs of chapter 1 (digits), chapter 4 (heads, told renderings) and chapter 5 (glyphs: the plain GAN, and the
naive InvGAN). Each judge twice: as the game left it, and trained on against the finished generator; both with Platt's
logistic regression on held-out pictures, and, where samples are chosen, with an isotonic curve. Rejection takes the
99th percentile of the ratios for the largest; chains begin at held-out pictures, and only those that have moved are
counted; a pile has four times as many samples as are drawn from it; Langevin's chains, which need a slope, are left as
they are or corrected by Metropolis and Hastings. Fréchet distances to the training set and coverage, of as many samples
each; the coverage, of held-out pictures.
"""

import argparse
import copy
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from teachlib import data, energy, gif, invgan, metrics, primer
from teachlib.energy.improving import LogRatio
from teachlib.energy.tables import JUDGES, improved_label
from teachlib.gif import heads
from teachlib.metrics import Extractor
from teachlib.results import provenance, spread, write_result

PILE = 4


@dataclass(frozen=True)
class Subject:
    """An image GAN. A sample is a picture in [0, 1], and what it was asked for, if anything, in channels behind it.

    Attributes:
        make: noise (N, latent), and what is asked for → samples.
        latent: dimension of the noise.
        judge: samples → logits, (N,).
        train: real samples.
        held_out: others.
        asked: what may be asked for, (M, …); ``None``: nothing.
        extractor: of features of pictures.
    """

    make: Callable[[Tensor, Tensor | None], Tensor]
    latent: int
    judge: nn.Module
    train: Tensor
    held_out: Tensor
    asked: Tensor | None
    extractor: Extractor

    def start(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Noise, and what to ask for."""
        z = torch.randn(count, self.latent, generator=generator)
        return z, None if self.asked is None else self.asked[some(len(self.asked), count, generator)]

    @torch.no_grad()
    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Samples."""
        return torch.cat([self.make(*self.start(min(500, count - at), generator)) for at in range(0, count, 500)])

    def features(self, samples: Tensor) -> Tensor:
        """Of the pictures alone."""
        return self.extractor.features(samples[:, : self.train.shape[1] - self.behind])

    @property
    def behind(self) -> int:
        """Channels that say what was asked for."""
        return 0 if self.asked is None else self.asked.shape[1]


def some(among: int, count: int, generator: torch.Generator) -> Tensor:
    """Numbers of some, with repetition."""
    return torch.randint(among, (count,), generator=generator)


class _Flat(nn.Module):
    """A judge whose logits are a column."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x).flatten()


def digits() -> Subject:
    gan = primer.from_zoo("primer-gan", "digits").eval().requires_grad_(False)
    train, held_out = (data.load("digits", split)[:][0] for split in ("train", "test"))
    judge = metrics.extractor("classifier", "digits")
    return Subject(
        lambda z, _: gan.generator(z), gan.game.latent, _Flat(gan.discriminator), train, held_out, None, judge
    )


class _Logits(nn.Module):
    """Chapter 5's discriminator, of which only the judgement is asked for."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x).logits


def glyphs(name: str) -> Subject:
    gan = invgan.from_zoo(name, "glyphs").eval().requires_grad_(False)
    train, held_out = (data.load("glyphs", split, size=32)[:][0] for split in ("train", "validation"))
    return Subject(
        lambda z, _: gan.generate(gan.mapping(z)),
        gan.w_dim,
        _Logits(gan.discriminator),
        train,
        held_out,
        None,
        metrics.extractor("classifier", "glyphs"),
    )


class _Told(nn.Module):
    """Chapter 4's discriminator, which sees renderings behind a picture; pictures in [0, 1]."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(torch.cat([2 * x[:, :3] - 1, x[:, 3:]], 1)).flatten()


def portraits() -> Subject:
    face = gif.from_zoo("gif", "heads").eval().requires_grad_(False)

    def told(split: str, count: int) -> tuple[Tensor, Tensor]:
        given, numbers = heads.load(split, 32), torch.arange(count)
        asked = face.told(given.vectors[numbers], given.condition(numbers))
        return torch.cat([given[numbers][0], asked], 1), asked

    train, asked = told("train", 4000)
    held_out, _ = told("test", 1000)

    def make(z: Tensor, asked: Tensor | None) -> Tensor:
        assert asked is not None
        return torch.cat([face.draw(asked, z), asked], 1)

    judge = _Told(face.discriminator.trunk)
    return Subject(make, face.recipe.width, judge, train, held_out, asked, metrics.untrained((3, 32, 32)))


SUBJECTS: dict[str, Callable[[], Subject]] = {
    "digits": digits,
    "glyphs": partial(glyphs, "gan"),
    "glyphs-naive": partial(glyphs, "invgan-naive"),
    "heads": portraits,
}
Way = tuple[str, Callable[[], tuple[Tensor, float]]]  # its name, and what gives samples and what is told of it


def _line(judge: nn.Module, a: float, b: float, x: Tensor) -> Tensor:
    """The log-ratio, by Platt's regression."""
    return a * judge(x) + b


def _curve(judge: nn.Module, stairs: LogRatio, x: Tensor) -> Tensor:
    """The log-ratio, by an isotonic one."""
    return stairs(judge(x))


def choosing(subject: Subject, ratio: LogRatio, count: int, walked: int, generator: torch.Generator) -> Iterator[Way]:
    """Each gives samples, and a share: of proposals kept, of chains that moved, of the pile that does the work."""

    def draw(number: int) -> Tensor:
        return subject.draw(number, generator)

    def in_parts(x: Tensor) -> Tensor:
        with torch.no_grad():
            return torch.cat([ratio(part) for part in x.split(500)])

    def rejected() -> tuple[Tensor, float]:
        largest = in_parts(draw(2000)).quantile(0.99).item()
        kept = energy.rejection(draw, in_parts, count, generator, log_largest=largest)
        return kept.samples, count / kept.proposed

    def chained() -> tuple[Tensor, float]:
        start = subject.held_out[some(len(subject.held_out), count, generator)]
        ends, moved = energy.metropolis_hastings(start, draw, in_parts, generator, steps=walked)
        return ends[moved], moved.float().mean().item()

    def again() -> tuple[Tensor, float]:
        pile = draw(PILE * count)
        chosen, effective = energy.resampled(pile, in_parts(pile), count, generator)
        return chosen, effective / len(pile)

    yield from (("rejection", rejected), ("chains", chained), ("resampling", again))


def moving(subject: Subject, ratio: LogRatio, count: int, walked: int, generator: torch.Generator) -> Iterator[Way]:
    """Each gives samples, and the share of steps that were accepted."""

    def along(*, corrected: bool) -> tuple[Tensor, float]:
        found, accepted = [], []
        for at in range(0, count, 500):
            z, asked = subject.start(min(500, count - at), generator)
            how: dict[str, Any] = {"steps": walked, "step_size": 0.01, "corrected": corrected}
            # What is asked for stays a chain's own; the first few chains may be looked at alone.
            make = lambda z, asked=asked: subject.make(z, None if asked is None else asked[: len(z)])  # noqa: E731
            samples, share = energy.langevin_of_noise(make, ratio, z, generator, **how)
            found.append(samples)
            accepted.append(share * len(samples))
        return torch.cat(found), sum(accepted) / count

    yield from (("Langevin", partial(along, corrected=False)), ("Langevin corrected", partial(along, corrected=True)))


def judged(subject: Subject, samples: Tensor, real: metrics.FeatureStatistics, held_out: Tensor) -> dict[str, float]:
    """The distance and the coverage of samples; none where there are too few."""
    if len(samples) < 100:
        return {}
    features = subject.features(samples)
    covered = metrics.density_coverage(held_out[:1000], features).coverage
    return {"distance": subject.extractor.between(features, real), "coverage": covered}


def measure(subject: Subject, options: Any, seed: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Rows by name."""
    count = options.count
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    real, held_out = metrics.statistics_of(subject.features(subject.train)), subject.features(subject.held_out)
    begun = time.perf_counter()
    samples = subject.draw(count, generator)
    seconds = 1000 * (time.perf_counter() - begun) / count
    yield "as they come", judged(subject, samples, real, held_out) | {"seconds per 1,000": seconds}
    for which in JUDGES:
        judge = subject.judge
        if which == "trained on":
            judge = copy.deepcopy(judge).requires_grad_(True)
            energy.refitted(
                judge,
                lambda n: subject.train[some(len(subject.train), n, generator)],
                lambda n: subject.draw(n, generator),
                steps=options.steps,
                batch_size=64,
            )
        judge = judge.eval().requires_grad_(False)
        verdicts = judge(subject.held_out[:1000]), judge(subject.draw(1000, generator))
        (a, b), stairs = energy.platt(*verdicts), energy.isotonic(*verdicts)
        line, curve = partial(_line, judge, a, b), partial(_curve, judge, stairs)
        how = count, options.walked, generator
        by_curve = ((f"{name}, isotonic", way) for name, way in choosing(subject, curve, *how))
        for name, way in (*choosing(subject, line, *how), *by_curve, *moving(subject, line, *how)):
            begun = time.perf_counter()
            chosen, share = way()
            seconds = 1000 * (time.perf_counter() - begun) / count
            told = {"share": share, "slope": a, "seconds per 1,000": seconds}
            yield f"{name}, {which}", judged(subject, chosen, real, held_out) | told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, help="folder that rows are written to")
    parser.add_argument("--dataset", choices=SUBJECTS, help="one set alone")
    parser.add_argument("--count", type=int, default=1000, help="samples")
    parser.add_argument("--steps", type=int, default=300, help="of training a judge on")
    parser.add_argument("--walked", type=int, default=50, help="steps of chains")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    for dataset in [options.dataset] if options.dataset else SUBJECTS:
        subject, found, begun = SUBJECTS[dataset](), dict[str, list[dict[str, float]]](), time.perf_counter()
        for seed in range(options.seeds):
            for name, values in measure(subject, options, seed):
                print(f"{dataset:8}{name:26}", {k: round(v, 3) for k, v in values.items()}, flush=True)
                found.setdefault(name, []).append(values)
        for name, rows in found.items():
            row = {
                "recipe": {"name": name, "dataset": dataset, "steps": options.steps, "walked": options.walked},
                "values": {key: spread([each[key] for each in rows if key in each]) for key in rows[0]},
                "metric": subject.extractor.says,
                "samples": options.count,
                "provenance": provenance(list(range(options.seeds)), time.perf_counter() - begun)
                | {"command": " ".join(["python", *sys.argv])},
            }
            if options.record:
                write_result(options.record, "better-samples", improved_label(name), dataset, row)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
