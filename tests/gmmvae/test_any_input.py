"""The same attack at any scale of the loss and on any shape of image, and one line for what has no answer."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from teachlib import gmmvae
from teachlib.data import ImageData
from teachlib.errors import TeachlibError
from teachlib.gmmvae import attacks
from teachlib.gmmvae.attacks.ball import Norm
from teachlib.gmmvae.objectives import LabelObjective, MagNetObjective, MixtureObjective, few_labels


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


X = drawn(6, 1, 4, 4)
WEIGHT = torch.randn(3, 16, generator=torch.Generator().manual_seed(0))
LABELS = (X.flatten(1) @ WEIGHT.T).argmax(1)

CLIMBS: dict[str, Callable[[attacks.Loss, Tensor, attacks.Ball], Tensor]] = {
    "fgsm": attacks.fgsm,
    "mim": attacks.mim,
    "pgd": attacks.pgd,
    "apgd": lambda loss, x, ball: attacks.apgd(loss, x, ball, steps=20),
}


@pytest.mark.parametrize("size", [1e-38, 1e-20, 1e-7, 1.0, 1e20, 1e37])
def test_the_direction_in_l2_has_length_one_at_any_size_of_the_gradient(size: float) -> None:
    gradient = torch.tensor([3.0, 4.0, 0.0, 0.0]).view(1, 1, 2, 2)
    found = attacks.Ball(1.0, "l2").ascent(torch.cat([size * gradient, 0 * gradient]))
    torch.testing.assert_close(found, torch.cat([gradient / 5, 0 * gradient]))
    assert attacks.Ball(1.0, "l2").size(size * gradient, 0 * gradient).item() == pytest.approx(5 * size, rel=1e-5)


def test_projection_comes_from_as_far_as_numbers_reach() -> None:
    x = torch.full((1, 1, 2, 2), 0.5)
    far = torch.tensor([3e30, 4e30, 0.0, 0.0]).view(1, 1, 2, 2)
    expected = x + 0.1 * torch.tensor([0.6, 0.8, 0.0, 0.0]).view(1, 1, 2, 2)
    torch.testing.assert_close(attacks.Ball(0.1, "l2").project(far, x), expected)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("scale", [1e-30, 1e-14, 1e20, 1e35])
@pytest.mark.parametrize("name", CLIMBS)
def test_the_same_attack_at_any_scale_of_the_scores(name: str, scale: float, norm: Norm) -> None:
    ball = attacks.Ball(0.2, norm)
    plain, scaled = (
        CLIMBS[name](attacks.misclassified(lambda v, by=by: (v.flatten(1) @ WEIGHT.T) * by, LABELS), X, ball)
        for by in (1.0, scale)
    )
    assert (plain - X).abs().amax((1, 2, 3)).min() > 0.01
    torch.testing.assert_close(scaled, plain, atol=1e-4, rtol=0)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("shape", [(1, 12, 4), (3, 4, 12), (1, 9, 1), (1, 1, 9), (1, 188, 128)])
def test_square_takes_images_of_any_shape(shape: tuple[int, int, int], norm: Norm) -> None:
    x, generator = drawn(2, *shape), torch.Generator().manual_seed(0)
    ball = attacks.Ball(0.1, norm)
    end = attacks.square(lambda v, rows: -v.flatten(1).sum(1) - 1e6, x, ball, queries=200, generator=generator)
    assert (ball.size(end, x) <= 0.1 * (1 + 1e-4)).all()
    assert (end.flatten(1).sum(1) < x.flatten(1).sum(1)).all()
    assert 0 <= end.min() <= end.max() <= 1


def kink(v: Tensor) -> Tensor:
    return (v - X).square().flatten(1).sum(1).sqrt()  # at the clean image, 0/0


def lost_later(v: Tensor) -> Tensor:
    moved = (v - X).abs().flatten(1).amax(1)
    return v.flatten(1).sum(1) * torch.where(moved > 0.05, torch.nan, 1.0)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("name", CLIMBS)
def test_a_slope_that_is_no_number_is_named_and_one_of_zero_moves_nothing(name: str, norm: Norm) -> None:
    ball = attacks.Ball(1.0, norm)
    overflow = attacks.misclassified(lambda v: (v.flatten(1) @ WEIGHT.T) * 1e38 * 1e5, LABELS)
    for loss in (kink, overflow) if name == "fgsm" else (kink, overflow, lost_later):
        with pytest.raises(TeachlibError, match="is not a finite number"):
            CLIMBS[name](loss, X, ball)
    torch.testing.assert_close(CLIMBS[name](lambda v: 0 * v.flatten(1).sum(1), X, ball), X)


def classifier(train: bool) -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Dropout(0.5), nn.Linear(16, 3))
    return net.train(train)


def buffers(net: nn.Module) -> list[Tensor]:
    return [buffer.clone() for buffer in net.buffers()]


def adaptive(scores: Callable[[Tensor], Tensor]) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return attacks.adaptive(gmmvae.by_confidence(scores), X, LABELS, attacks.Ball(0.1), steps=1, generator=generator)


def squared(scores: Callable[[Tensor], Tensor]) -> Tensor:
    generator = torch.Generator().manual_seed(0)

    def loss(v: Tensor, rows: Tensor) -> Tensor:
        return attacks.misclassified(scores, LABELS[rows])(v)

    return attacks.square(loss, X, attacks.Ball(0.1), queries=3, generator=generator)


GIVEN_A_CLOSURE: dict[str, Callable[[Callable[[Tensor], Tensor]], object]] = {
    **{
        name: lambda scores, climb=climb: climb(attacks.misclassified(scores, LABELS), X, attacks.Ball(0.1))
        for name, climb in CLIMBS.items()
    },
    "square": squared,
    "adaptive": adaptive,
    "decide": lambda scores: gmmvae.by_confidence(scores).decide(X),
    "robustness": lambda scores: gmmvae.robustness(
        scores, gmmvae.by_confidence(scores), X, LABELS, [0.1], budget=gmmvae.Budget(steps=1, queries=2)
    ),
}


@pytest.mark.parametrize("name", GIVEN_A_CLOSURE)
def test_a_network_in_training_mode_is_refused_and_left_as_it_was(name: str) -> None:
    for layers in (slice(0, 5), slice(3, 5), slice(0, 2)):  # batch norm and dropout, dropout, batch norm
        net = classifier(train=True)
        before = buffers(net)

        def scores(x: Tensor, net: nn.Module = net, layers: slice = layers) -> Tensor:
            shown = x if layers.start == 0 else x.repeat(1, 4, 1, 1)[:, :, :2, :2].flatten(1)
            found = net[layers](shown)  # type: ignore[index]
            return found.flatten(1)[:, :3]

        with pytest.raises(TeachlibError, match=r"training mode .* call its .eval\(\) first"):
            GIVEN_A_CLOSURE[name](scores)
        assert all(torch.equal(a, b) for a, b in zip(before, buffers(net), strict=True))
        net.eval()
        GIVEN_A_CLOSURE[name](scores)
    GIVEN_A_CLOSURE[name](nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).train())  # nothing depends on its mode


@pytest.mark.parametrize("name", ["gmm-vae", "cnn", "magnet"])
def test_measuring_is_the_same_in_training_mode_and_changes_nothing(name: str) -> None:
    torch.manual_seed(0)
    model = gmmvae.build(gmmvae.recipe(name, scale="ci"))
    sets = [gmmvae.load("glyphs", split, scale="ci", limit=200) for split in ("train", "validation", "test")]
    model.decoder.eval() if name != "cnn" else None  # type: ignore[union-attr]
    modes, before = [module.training for module in model.modules()], buffers(model)
    in_training = gmmvae.evaluate(model, *sets, rate=0.05)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(a, b) for a, b in zip(before, buffers(model), strict=True))
    assert in_training == gmmvae.evaluate(model.eval(), *sets, rate=0.05)


@pytest.mark.parametrize("label", [-100, -1, 10])
def test_no_label_that_is_no_class_is_trained_or_judged_on(label: int) -> None:
    x, labels = drawn(4, 1, 32, 32), torch.tensor([0, 1, label, 2])
    generator = torch.Generator().manual_seed(0)
    words = f"class {label}; expected 0 … 9"
    models = {name: gmmvae.build(gmmvae.recipe(name, scale="ci")) for name in ("gmm-vae", "cnn", "magnet")}
    few = MixtureObjective(models["gmm-vae"], (x, labels))  # type: ignore[arg-type]
    for objective in (
        MixtureObjective(models["gmm-vae"]),  # type: ignore[arg-type]
        LabelObjective(models["cnn"]),  # type: ignore[arg-type]
        MagNetObjective(models["magnet"]),  # type: ignore[arg-type]
    ):
        with pytest.raises(TeachlibError, match=words):
            next(objective.updates((x, labels), generator, 0))
        with pytest.raises(TeachlibError, match=words):
            objective.validation_loss((x, labels), generator)
    with pytest.raises(TeachlibError, match=words):
        [next(few.updates((x, labels), generator, 0)) for _ in range(20)]  # it draws two of the four each time
    bad = ImageData("mine", "test", (255 * x).byte(), labels)
    sets = [gmmvae.load("glyphs", split, scale="ci", limit=200) for split in ("train", "validation")]
    with pytest.raises(TeachlibError, match=words):
        gmmvae.evaluate(models["cnn"], *sets, bad, rate=0.05)
    if label < 0:
        with pytest.raises(TeachlibError, match=f"class {label}; expected 0 and more"):
            few_labels(bad, 1, 0)


def cnn(x: Tensor) -> Tensor:
    return gmmvae.build(gmmvae.recipe("cnn", scale="ci")).classify(x)


def robust(classes: int, x: Tensor = X, labels: Tensor = LABELS) -> object:
    return gmmvae.robustness(scores_of(classes), gmmvae.by_confidence(scores_of(classes)), x, labels, [0.1])


def square(loss: attacks.Loss, share: float = 0.8) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return attacks.square(lambda v, rows: loss(v), X, attacks.Ball(0.1), share=share, generator=generator)


def scores_of(classes: int) -> Callable[[Tensor], Tensor]:
    return lambda x: x.flatten(1)[:, :classes]


NO_ANSWER: list[tuple[Callable[[], object], str]] = [
    (lambda: attacks.Ball(math.inf), "epsilon is inf; expected at least 0, and finite"),
    (lambda: attacks.Ball(0.1, low=1.0, high=0.0), "pixels from 1.0 to 0.0"),
    (lambda: attacks.mim(kink, X, attacks.Ball(0.1), step_size=math.nan), "step_size is nan"),
    (lambda: attacks.pgd(kink, X, attacks.Ball(0.1), step_size=math.inf), "step_size is inf"),
    (lambda: attacks.apgd(kink, X, attacks.Ball(0.1), step_size=-1.0), "step_size is -1.0"),
    (lambda: square(lambda v: v.flatten(1).sum(1) * math.nan), "a loss that is not a number"),
    (lambda: square(kink, share=math.nan), "share is nan"),
    (lambda: attacks.fgsm(kink, (255 * X).byte(), attacks.Ball(0.1)), "divide bytes by 255"),
    (lambda: attacks.value_and_gradient(attacks.misclassified(scores_of(1), 0 * LABELS), X), "two classes or more"),
    (lambda: adaptive(scores_of(1)), "two classes or more"),
    (lambda: robust(1, labels=0 * LABELS), "two classes or m"),
    (lambda: robust(2, X[:0], LABELS[:0]), "no images"),
    (lambda: robust(3, labels=LABELS - 3), "class -[123]; expect"),
    (lambda: robust(3, labels=LABELS[:2]), "labels of shape"),
    (lambda: gmmvae.by_confidence(scores_of(3)).decide(X * math.nan), "or not numbers"),
    (lambda: gmmvae.by_confidence(scores_of(3)).decide((255 * X).byte()), "divide bytes by 255"),
    (lambda: gmmvae.by_confidence(scores_of(3), 1.0), "least is 1.0; expected a probability"),
    (lambda: cnn(255 * drawn(2, 1, 32, 32)), r"pixels outside \[0, 1\]"),
    (lambda: cnn(2 * drawn(2, 1, 32, 32) - 1), r"pixels outside \[0, 1\]"),
]


@pytest.mark.parametrize(("mistake", "words"), NO_ANSWER, ids=[str(number) for number in range(len(NO_ANSWER))])
def test_what_has_no_answer_gets_one_line(mistake: Callable[[], object], words: str) -> None:
    with pytest.raises(TeachlibError, match=words):
        mistake()
