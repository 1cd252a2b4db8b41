"""Attacks beside foolbox's: images a second of PGD on the same network, and the seconds of the others."""

import os
import time
from collections.abc import Callable
from typing import cast

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # foolbox imports GitPython, which looks for git at once

import foolbox
import pyautoattack
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.table import Row
from teachlib import gmmvae
from teachlib.gmmvae.attacks import Ball, adaptive, apgd, misclassified, pgd, square

COUNT, STEPS, EPSILON = 1_000, 40, 0.1


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def problem() -> tuple[gmmvae.GMMVAE, Tensor, Tensor]:
    """The zoo's model of the glyphs and a thousand of its test images."""
    model = cast(gmmvae.GMMVAE, gmmvae.from_zoo("gmm-vae", "glyphs"))
    x, labels = gmmvae.load("glyphs", "test", limit=COUNT)[:]
    return model, x, labels


def beside_foolbox() -> Row:
    """40 steps of PGD on the encoder's distances, from the clean image, in batches of 250."""
    model, x, labels = problem()

    scores_net = torch.nn.Module()
    scores_net.forward = model.scores  # type: ignore[method-assign]
    theirs = foolbox.attacks.LinfProjectedGradientDescentAttack(
        abs_stepsize=EPSILON / 10, steps=STEPS, random_start=False
    )
    peer = foolbox.PyTorchModel(scores_net.eval(), bounds=(0, 1), device="cpu")

    def ours() -> None:
        for images, known in zip(x.split(250), labels.split(250), strict=True):

            def loss(v: Tensor, known: Tensor = known) -> Tensor:
                return F.cross_entropy(model.scores(v), known, reduction="none")

            pgd(loss, images, Ball(EPSILON), steps=STEPS, step_size=EPSILON / 10)

    def other() -> None:
        for images, known in zip(x.split(250), labels.split(250), strict=True):
            theirs(peer, images, foolbox.criteria.Misclassification(known), epsilons=EPSILON)

    own, foreign = min(seconds(ours) for _ in range(2)), min(seconds(other) for _ in range(2))
    return Row(
        f"PGD, {STEPS} steps, {COUNT} glyphs",
        f"{COUNT / own:.0f} images/s",
        f"foolbox {COUNT / foreign:.0f} images/s",
        foreign / own,
    )


def undefended(name: str) -> Row:
    """Share of right labels that is left under AutoAttack's standard version, and under ours, without any detector."""
    count, epsilons = 50, (0.05, 0.1)
    model = gmmvae.from_zoo(name, "glyphs")
    x, labels = gmmvae.load("glyphs", "test", limit=count)[:]
    net = torch.nn.Module()
    net.forward = model.scores  # type: ignore[method-assign]
    never_refuses = gmmvae.by_confidence(model.scores)

    def right(images: Tensor) -> float:
        return float((model.classify(images) == labels).double().mean())

    generator = torch.Generator().manual_seed(0)
    left: dict[str, list[float]] = {"ours": [], "theirs": []}
    for epsilon in epsilons:
        left["ours"].append(right(adaptive(never_refuses, x, labels, Ball(epsilon), generator=generator)))
        theirs = pyautoattack.AutoAttack(net.eval(), eps=epsilon, norm="Linf", seed=0)
        attacked, _ = theirs.run_standard_evaluation(x, labels, batch_size=count)
        left["theirs"].append(right(attacked))
    what = f"accuracy of {name} alone, {count} glyphs, ε = " + ", ".join(f"{epsilon:g}" for epsilon in epsilons)
    ours, peer = (", ".join(f"{value:.0%}" for value in left[side]) for side in ("ours", "theirs"))
    return Row(what, ours, f"AutoAttack {peer}")


def alone() -> Row:
    """Attacks on the whole classifier, which have no peer: seconds for a thousand glyphs."""
    model, x, labels = problem()
    train, held_out = (gmmvae.load("glyphs", split, limit=2_000) for split in ("train", "validation"))
    classifier, ball = gmmvae.selective(model, train, held_out), Ball(EPSILON)

    generator = torch.Generator().manual_seed(0)
    loss = misclassified(model.scores, labels)

    def by_rows(images: Tensor, rows: Tensor) -> Tensor:
        return misclassified(model.scores, labels[rows])(images)

    taken = {
        "APGD, 100 steps": seconds(lambda: apgd(loss, x, ball, steps=100)),
        "Square, 1,000 queries": seconds(lambda: square(by_rows, x, ball, queries=1_000, generator=generator)),
        "adaptive": seconds(lambda: adaptive(classifier, x, labels, ball, generator=generator)),
    }
    return Row(f"attacks, {COUNT} glyphs", ", ".join(f"{name} {value:.0f} s" for name, value in taken.items()), "–")
