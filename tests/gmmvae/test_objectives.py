"""How the models of the chapter are trained: each term of each loss, by hand."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from teachlib import gmmvae
from teachlib.errors import TeachlibError
from teachlib.gmmvae.attacks import Ball, misclassified, pgd
from teachlib.gmmvae.evaluation import RATE, mapped
from teachlib.gmmvae.losses import reconstruction_error, supervised_loss, unsupervised_loss
from teachlib.gmmvae.models import shifted
from teachlib.gmmvae.objectives import ATTACK_STEPS, LabelObjective, MagNetObjective, MixtureObjective, few_labels

DATA = gmmvae.load("digits", "train", limit=600)
X, LABELS = DATA[:24]


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def _model(name: str, **changes: object) -> gmmvae.GMMVAE | gmmvae.CNN | gmmvae.MagNet:
    """Its shifts switched off, so that images come as they are; in evaluation mode, so that batches do not matter."""
    torch.manual_seed(0)
    return gmmvae.build(replace(gmmvae.recipe(name, "digits", scale="ci"), shift=0, **changes)).eval()  # type: ignore[arg-type]


def _loss(objective: object) -> Tensor:
    return next(iter(objective.updates((X, LABELS), _seeded(), 0)))[1]  # type: ignore[attr-defined]


def test_the_semi_supervised_loss_has_two_halves() -> None:
    """Half of it from the known labels by Eq 4.6, half from images without by Eq 4.2, each by hand."""
    model = _model("gmm-vae-semi")
    known, labels = few_labels(DATA, 5, seed=0)
    loss = _loss(MixtureObjective(model, (known, labels)))
    generator = _seeded()
    rows = torch.randint(len(known), (12,), generator=generator)
    both = torch.cat([known[rows], X[12:]])
    code, log_variance = model.posterior(both)
    z = code + (0.5 * log_variance).exp() * torch.randn(code.shape, generator=generator)
    rebuilt, prior, alpha = model.decode(z), model.prior, model.recipe.alpha
    first = supervised_loss(both[:12], rebuilt[:12], code[:12], prior.means[labels[rows]], alpha)
    second = unsupervised_loss(both[12:], rebuilt[12:], z[12:], prior, alpha)
    torch.testing.assert_close(loss, 0.5 * (first + second))
    assert second > 0.01 * first


def test_magnet_learns_to_classify_and_to_rebuild() -> None:
    model = _model("magnet")
    noisy = (X + 0.1 * torch.randn(X.shape, generator=_seeded())).clamp(0, 1)
    classified = F.cross_entropy(model.classifier(X), LABELS)
    rebuilt = reconstruction_error(X, model.decoder(model.encoder(noisy))).mean()
    torch.testing.assert_close(_loss(MagNetObjective(model)), classified + rebuilt)
    assert min(classified, rebuilt) > 0.1
    objective = MagNetObjective(model)
    objective.nets |= {"encoder": torch.nn.Identity(), "decoder": torch.nn.Identity()}  # what it sees is what it says
    torch.testing.assert_close(_loss(objective), classified + reconstruction_error(X, noisy).mean())


def _trained(**changes: object) -> tuple[gmmvae.CNN, Tensor, Tensor]:
    """A classifier that has learned something, without which neither attacks nor shifts matter, and its images."""
    model = gmmvae.from_zoo("cnn", "glyphs")
    assert isinstance(model, gmmvae.CNN)
    model.recipe = replace(model.recipe, **changes)  # type: ignore[arg-type]
    return model, *gmmvae.load("glyphs", "test", limit=24)[:]


def test_adversarial_training_sees_attacked_images() -> None:
    assert gmmvae.recipe("cnn-adversarial").epsilon == 0.1
    model, x, labels = _trained(shift=0, epsilon=0.1)
    loss = next(LabelObjective(model).updates((x, labels), _seeded(), 0))[1]
    attacked = pgd(misclassified(model, labels), x, Ball(0.1), steps=ATTACK_STEPS, generator=_seeded())
    torch.testing.assert_close(loss, F.cross_entropy(model(attacked), labels))
    assert loss > 10 * F.cross_entropy(model(x), labels)


def test_training_images_are_shifted_and_held_out_ones_are_not() -> None:
    model, x, labels = _trained(shift=2)
    objective, plain = LabelObjective(model), F.cross_entropy(model(x), labels)
    moved = shifted(x, 2, _seeded())
    assert not torch.equal(moved, x)
    loss = next(objective.updates((x, labels), _seeded(), 0))[1]
    torch.testing.assert_close(loss, F.cross_entropy(model(moved), labels))
    assert not torch.isclose(loss, plain)
    torch.testing.assert_close(objective.validation_loss((x, labels), _seeded()), plain)


@pytest.mark.parametrize("per_class", [1, 7])
def test_few_labels_are_the_images_own(per_class: int) -> None:
    known, labels = few_labels(DATA, per_class, seed=3)
    assert torch.equal(labels.bincount(), torch.full((10,), per_class))
    where = (known[:, None] == DATA[:][0][None]).flatten(2).all(2)  # which training image each one is
    assert where.any(1).all()
    assert torch.equal(DATA.labels[where.long().argmax(1)], labels)
    assert len(where.long().argmax(1).unique()) == 10 * per_class
    other, _ = few_labels(DATA, per_class, seed=4)
    assert not torch.equal(known, other)


def test_a_plain_classifier_refuses_what_it_is_least_sure_of() -> None:
    model = gmmvae.from_zoo("cnn", "glyphs")
    held_out = gmmvae.load("glyphs", "validation")
    classifier = gmmvae.selective(model, held_out, held_out)
    accepted = classifier.decide(held_out[:][0]).accepted
    assert (~accepted).double().mean().item() == pytest.approx(RATE, abs=2 / len(held_out))
    sure = mapped(model.scores, held_out[:][0]).softmax(1).amax(1)
    assert sure[~accepted].max() <= sure[accepted].min()
    found = gmmvae.evaluate(model, held_out, held_out, held_out)
    right = mapped(model.scores, held_out[:][0]).argmax(1) == held_out.labels
    assert found.plain_accuracy == pytest.approx(right.double().mean().item())
    assert found.error == pytest.approx((accepted & ~right).double().mean().item())
    assert found.squared_error == 0  # it rebuilds nothing


def test_weight_and_radius_are_options_and_name_what_is_unusual() -> None:
    chapter = gmmvae.CHAPTER
    usual = [gmmvae.recipe(name, "glyphs") for name in ("gmm-vae", "cnn", "cnn-adversarial")]
    assert [chapter.label(recipe) for recipe in usual] == ["gmm-vae", "cnn", "cnn-adversarial"]
    assert [recipe.epsilon for recipe in usual] == [0, 0, 0.1]
    other = gmmvae.recipe("gmm-vae-variable", "glyphs", alpha=30.0)
    assert (other.alpha, chapter.label(other)) == (30.0, "gmm-vae-variable+alpha=30.0")
    further = gmmvae.recipe("cnn-adversarial", "glyphs", epsilon=0.3)
    assert (further.epsilon, chapter.label(further)) == (0.3, "cnn-adversarial+epsilon=0.3")
    assert chapter.named("cnn-adversarial+epsilon=0.3") == ("cnn-adversarial", {"epsilon": 0.3})
    with pytest.raises(TeachlibError, match="not trained on attacked images"):
        gmmvae.recipe("cnn", epsilon=0.1)
    with pytest.raises(TeachlibError, match="has no Eq"):
        gmmvae.recipe("magnet", alpha=3.0)
    with pytest.raises(TeachlibError, match="epsilon is -2"):
        gmmvae.recipe("cnn-adversarial", epsilon=-2.0)
    with pytest.raises(TeachlibError, match="alpha is -1"):
        gmmvae.recipe("gmm-vae", alpha=-1.0)
