"""Bad input to the chapter's classifiers and attacks: one line that says what was wrong."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from teachlib import gmmvae
from teachlib.errors import TeachlibError
from teachlib.gmmvae import attacks

X, LABELS, BALL = torch.full((3, 1, 4, 4), 0.5), torch.tensor([0, 1, 1]), attacks.Ball(0.1)


def scores(x: Tensor) -> Tensor:
    return torch.stack([x.flatten(1).sum(1), x.flatten(1)[:, 0]], 1)


def climbed(labels: Tensor = LABELS) -> attacks.Loss:
    return attacks.misclassified(scores, labels)


def asked(x: Tensor, rows: Tensor) -> Tensor:
    return climbed(LABELS[rows])(x)


def adaptive(x: Tensor, labels: Tensor = LABELS, **options: int) -> Tensor:
    classifier = gmmvae.by_confidence(scores)
    generator = torch.Generator().manual_seed(0)
    return attacks.adaptive(classifier, x, labels, BALL, generator=generator, **{"steps": 1, "restarts": 1, **options})


ATTACKS: dict[str, Callable[[Tensor], Tensor]] = {
    "fgsm": lambda x: attacks.fgsm(climbed(), x, BALL),
    "mim": lambda x: attacks.mim(climbed(), x, BALL, steps=1),
    "pgd": lambda x: attacks.pgd(climbed(), x, BALL, steps=1),
    "apgd": lambda x: attacks.apgd(climbed(), x, BALL, steps=1),
    "square": lambda x: attacks.square(asked, x, BALL, queries=2, generator=torch.Generator()),
    "adaptive": adaptive,
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_every_attack_refuses_what_is_no_image(attack: str) -> None:
    for x, reason in (
        (2.2 * X, "pixels outside"),
        (X * torch.nan, "pixels outside"),
        (X[0], "expected \\(N, C, H, W\\)"),
    ):
        with pytest.raises(TeachlibError, match=reason):
            ATTACKS[attack](x)


@pytest.mark.parametrize("name", ["gmm-vae", "cnn", "magnet"])
def test_images_of_another_size_or_precision_are_refused(name: str) -> None:
    model = gmmvae.build(gmmvae.recipe(name, scale="ci")).eval()
    with pytest.raises(TeachlibError, match=r"this network takes \(N, 1, 32, 32\)"):
        model.classify(X)
    with pytest.raises(TeachlibError, match=r"images of torch.float64; this network takes torch.float32"):
        model.classify(torch.zeros(2, 1, 32, 32, dtype=torch.double))


@pytest.mark.parametrize("attack", ATTACKS)
def test_every_attack_works_in_inference_mode(attack: str) -> None:
    plain = ATTACKS[attack](X)
    with torch.inference_mode():
        torch.testing.assert_close(ATTACKS[attack](X.clone()), plain)


@pytest.mark.parametrize(
    ("labels", "words"),
    [(LABELS + 1, "class 2; expected 0 … 1"), (LABELS.float(), "whole numbers"), (LABELS[:2], "whole numb")],
)
def test_labels_that_fit_no_classes_are_refused(labels: Tensor, words: str) -> None:
    with pytest.raises(TeachlibError, match=words):
        attacks.fgsm(climbed(labels), X, BALL)


MISTAKES: list[tuple[Callable[[], object], str]] = [
    (lambda: attacks.mim(climbed(), X, BALL, steps=0), "steps is 0"),
    (lambda: attacks.pgd(climbed(), X, BALL, restarts=0), "restarts is 0"),
    (lambda: attacks.pgd(climbed(), X, BALL, steps=0), "steps is 0"),
    (lambda: attacks.white_box(gmmvae.by_confidence(scores), X, LABELS, steps=0), "steps is 0"),
    (lambda: attacks.apgd(climbed(), X, BALL, steps=0), "steps is 0"),
    (lambda: attacks.square(asked, X, BALL, queries=0, generator=torch.Generator()), "queries is 0"),
    (lambda: adaptive(X, batch_size=0), "batch_size is 0"),
    (lambda: adaptive(X, LABELS[:2]), "labels of shape"),
    (lambda: gmmvae.Budget(steps=0), "steps is 0"),
    (lambda: gmmvae.robustness(scores, gmmvae.by_confidence(scores), X, LABELS, []), "no radius"),
    (lambda: gmmvae.by_confidence(scores).decide(X, batch_size=0), "batch_size is 0"),
    (lambda: gmmvae.by_confidence(scores).decide(X[0]), "expected \\(N, C, H, W\\)"),
    (lambda: gmmvae.outcome(gmmvae.by_confidence(scores).decide(X), LABELS[:2]), "for 3 decisions; expected one each"),
    (lambda: gmmvae.risk_coverage(torch.zeros(0), torch.zeros(0, dtype=torch.bool)), "expected \\(N,\\) each"),
    (lambda: gmmvae.risk_coverage(torch.tensor([torch.nan]), torch.tensor([True])), "not a number"),
    (lambda: gmmvae.class_means(0, 3), "classes is 0"),
    (lambda: gmmvae.component_variance(0), "latent is 0"),
    (lambda: gmmvae.MixturePrior(torch.eye(3), 0.0), "variance is 0.0; expected more than 0"),
    (lambda: gmmvae.MixturePrior(torch.eye(3), 1.0).sample(torch.tensor([3])), "class 3; expected 0 … 2"),
    (lambda: gmmvae.MixturePrior(torch.eye(3), 1.0).log_odds(torch.eye(3), 0, -1), "class -1; expected 0 … 2"),
    (lambda: gmmvae.MixturePrior(torch.eye(2), 1.0).measured(torch.eye(2), torch.tensor([0, 0])), "no code of class 1"),
    (lambda: replace(gmmvae.recipe("gmm-vae", scale="ci"), variance=0.0), "variance is 0.0; expected more than 0"),
    (lambda: replace(gmmvae.recipe("gmm-vae", scale="ci"), labels_per_class=0), "labels_per_class is 0"),
    (lambda: replace(gmmvae.recipe("gmm-vae", scale="ci"), name="gmm"), "unknown recipe 'gmm'; did you mean 'gmm-vae'"),
]


@pytest.mark.parametrize(("mistake", "words"), MISTAKES, ids=[words for _, words in MISTAKES])
def test_mistakes_are_named(mistake: Callable[[], object], words: str) -> None:
    with pytest.raises(TeachlibError, match=words):
        mistake()


def test_ties_of_confidence_count_as_their_mean_over_all_orders() -> None:
    sure = torch.tensor([0.9, 0.5, 0.5, 0.5])
    for correct in ([True, True, True, False], [True, False, True, True]):
        found = gmmvae.risk_coverage(sure, torch.tensor(correct))
        torch.testing.assert_close(found.risk, torch.tensor([0, 1 / 6, 2 / 9, 1 / 4], dtype=torch.double))
