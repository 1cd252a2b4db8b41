"""Image models of every family: what they offer, what they draw, how they are trained, kept and measured."""

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from teachlib import data, primer
from teachlib.data import PointData
from teachlib.errors import TeachlibError
from teachlib.metrics import classifier_features, extractor, frechet_between, statistics_of
from teachlib.primer import images
from teachlib.primer.evaluation import log_prob
from teachlib.training import Schedule, fit, make_fabric

# How many bits a pixel of the test digits costs with the models that ship; guessing costs log₂ 17 = 4.09. Both less
# and more would be a mistake in the book-keeping of levels, noise and nats.
BITS = {
    "primer-vae": 2.09,
    "primer-diffusion": 2.82,
    "primer-pixelcnn": 1.82,
    "primer-glow": 2.13,
    "primer-energy": 2.29,
}
ABILITIES = {
    "primer-vae": ("yes", "bound", "yes", "yes"),
    "primer-gan": ("yes", "–", "–", "–"),
    "primer-diffusion": ("yes", "bound", "–", "–"),
    "primer-pixelcnn": ("yes", "exact", "–", "–"),
    "primer-glow": ("yes", "density", "yes", "–"),
    "primer-energy": ("yes", "estimate", "–", "–"),
}


@pytest.mark.parametrize("name", primer.RECIPES)
def test_abilities_and_samples(name: str) -> None:
    model = primer.recipe(name, scale="ci").build(data.load("digits", "train"))
    assert tuple(primer.abilities(model).values()) == ABILITIES[name]
    model.eval()
    drawn = [model.sample(6, torch.Generator().manual_seed(0)) for _ in range(2)]  # type: ignore[operator]
    assert drawn[0].shape == (6, 1, 8, 8)
    assert drawn[0].min() >= 0
    assert drawn[0].max() <= 1
    assert torch.equal(*drawn)


@pytest.mark.parametrize("name", BITS)
def test_the_zoos_models_know_the_digits(name: str) -> None:
    x = data.load("digits", "test")[:][0]
    nats = log_prob(primer.from_zoo(name), x, torch.Generator().manual_seed(0))
    assert nats is not None
    assert primer.bits_per_dimension(nats, 64).mean().item() == pytest.approx(BITS[name], abs=0.03)


@pytest.mark.parametrize("name", primer.RECIPES)
def test_a_run_is_kept_and_opened_again(name: str, tmp_path: Path) -> None:
    recipe = primer.recipe(name, scale="ci", steps=3)
    fabric = make_fabric(accelerator="cpu")
    model, _ = primer.train(recipe, folder=tmp_path, fabric=fabric, limit=200, progress=False)
    again, header = primer.open_run(tmp_path)
    assert header["recipe"]["name"] == name
    for (key, mine), theirs in zip(model.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs), key


def test_classical_models_of_images() -> None:
    train, x = data.load("digits", "train")[:][0], data.load("digits", "test")[:][0]
    for model, bits in (
        (primer.ImageKernels(train, 17), 3.40),
        (primer.ImageGaussian(train, 17), 2.94),
        (primer.ImageCodes(train, 17), 3.56),
    ):
        nats = log_prob(model, x, torch.Generator().manual_seed(0))
        assert nats is not None
        assert primer.bits_per_dimension(nats, 64).mean().item() == pytest.approx(bits, abs=0.03)
        assert model.sample(5, torch.Generator().manual_seed(0)).shape == (5, 1, 8, 8)
    codes = primer.ImageCodes(train, 17)
    assert codes.encode(x[:7]).shape == (7, 1)
    assert (codes.reconstruct(x) - x).square().mean() < (train.mean(0) - x).square().mean()


def test_levels_and_bits() -> None:
    level = torch.arange(17)
    assert torch.equal(primer.to_levels(primer.from_levels(level, 17), 17), level)
    u = primer.dequantize(level, 17, torch.Generator().manual_seed(0))
    assert torch.equal(primer.quantize(u, 17), level)
    assert primer.quantize(torch.tensor([-0.1, 0.0, 1.0, 1.1]), 17).tolist() == [0, 0, 16, 16]
    within = 17 * primer.dequantize(torch.zeros(40_000), 17, torch.Generator().manual_seed(0))
    assert torch.bincount((10 * within).long(), minlength=10).float().std() / 4000 < 0.03  # uniform over a level's cell
    uniform = torch.tensor([-64 * math.log(17)])
    assert primer.bits_per_dimension(uniform, 64).item() == pytest.approx(math.log2(17))
    assert primer.bits_per_dimension(torch.zeros(1), 64, levels=17).item() == pytest.approx(math.log2(17))


def test_dequantized_pixels_stay_below_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest number below one that float32 knows, added to the last level, would round to a level more."""
    largest = 1 - 2.0**-24
    monkeypatch.setattr("teachlib.primer.noise.uniform", lambda shape, generator, device: torch.full(shape, largest))
    u = primer.dequantize(torch.tensor([0, 16]), 17, torch.Generator())
    assert u[1] < 1
    assert u.tolist() == pytest.approx([1 / 17, 1], abs=2e-6)


def test_mistakes_are_explained() -> None:
    with pytest.raises(TeachlibError, match="unknown recipe 'primer-vaee'; did you mean 'primer-vae'"):
        primer.recipe("primer-vaee")
    with pytest.raises(TeachlibError, match="steps is 0; expected at least 1"):
        primer.recipe("primer-vae", steps=0)
    for values, words in (
        ({"name": "x"}, "unknown recipe 'x'"),
        ({"name": "primer-vae"}, "not a recipe of the primer"),
    ):
        with pytest.raises(TeachlibError, match=words):
            primer.recipes.from_dict(values)  # type: ignore[attr-defined]
    with pytest.raises(TeachlibError, match="eight groups"):
        primer.recipe("primer-diffusion", width=12)


@pytest.mark.parametrize(("name", "steps"), [("primer-vae", 300), ("primer-gan", 300), ("primer-pixelcnn", 60)])
def test_conditional_models_draw_the_class_they_are_asked_for(name: str, steps: int) -> None:
    """Two classes that one look tells apart: noise that is brighter above, and noise that is brighter below."""
    recipe = primer.recipe(name, "digits", scale="laptop", width=32, steps=steps, conditional=True)
    torch.manual_seed(0)
    model = recipe.build()
    labels = torch.arange(200) % 2
    x = 0.5 * torch.rand(200, 1, 8, 8)
    x[labels == 0, :, :4] += 0.5
    x[labels == 1, :, 4:] += 0.5
    fit(recipe.objective(model), PointData(x, labels), Schedule(steps=steps, batch_size=50), progress=False)
    asked = torch.arange(20) % 2
    drawn = model.sample(20, torch.Generator().manual_seed(0), asked)  # type: ignore[operator]
    brighter_below = drawn[:, 0, 4:].mean((1, 2)) > drawn[:, 0, :4].mean((1, 2))
    assert (brighter_below.long() == asked).float().mean() >= 0.9
    with pytest.raises(TeachlibError, match="conditional: pass labels"):
        model.sample(2, torch.Generator())  # type: ignore[operator]


def test_conditional_likelihoods_are_of_the_class() -> None:
    model = primer.recipe("primer-pixelcnn", scale="ci", width=8, conditional=True).build()
    test = data.load("digits", "test").first(20)
    x, labels = test[:]
    right = log_prob(model, x, torch.Generator(), labels)
    other = log_prob(model, x, torch.Generator(), (labels + 1) % 10)
    assert right is not None
    assert other is not None
    assert not torch.allclose(right, other)
    found = primer.evaluate(model.eval(), test, conditional=True)
    assert found.per_image is not None
    torch.testing.assert_close(found.per_image, primer.bits_per_dimension(right, 64))
    assert found.row()["bits"] == found.per_image.mean().item()


def test_models_without_a_conditional_version_say_so() -> None:
    with pytest.raises(TeachlibError, match="primer-glow has no conditional version; these have: primer-vae"):
        primer.recipe("primer-glow", conditional=True)


def test_a_model_that_draws_one_class_is_precise_and_forgets() -> None:
    train, test = data.load("digits", "train"), data.load("digits", "test")
    x, labels = train[:]

    class OneClass(torch.nn.Module):
        def sample(self, count: int, generator: torch.Generator) -> torch.Tensor:
            return x[labels == 3][torch.arange(count) % int((labels == 3).sum())]

    found = primer.evaluate(OneClass(), test, extractor=extractor(None, "digits"))
    assert found.precision > 0.7
    assert found.recall < 0.2
    assert found.per_image is None
    assert found.row()["bits"] is None
    assert found.likelihood == "–"
    assert found.parameters == 0
    assert primer.sample_distance(x[:300], x[:300]) == pytest.approx(0, abs=1e-6)
    assert primer.sample_distance(x[labels == 3], test[:][0]) == pytest.approx(
        frechet_between(
            *(statistics_of(classifier_features("digits", v)) for v in (x[labels == 3], test[:][0])), relative=True
        )
    )


def test_without_an_extractor_there_are_no_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that says four seconds when drawing begins, and six when it ends: eight images take 250 ms each."""
    monkeypatch.setattr("teachlib.primer.evaluation.time", SimpleNamespace(perf_counter=iter((4.0, 6.0)).__next__))

    class Grey(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.learned = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))

        def sample(self, count: int, generator: torch.Generator) -> torch.Tensor:
            return torch.full((count, 3, 32, 32), 0.5)

    images = data.ImageData("cifar10", "test", torch.zeros(8, 3, 32, 32).byte(), torch.zeros(8).long())
    found = primer.evaluate(Grey(), images)
    assert math.isnan(found.distance)
    assert found.milliseconds == 250
    assert found.parameters == 2 * 3 + 3 + 3 + 3  # without the statistics


def test_codes_of_image_models_lead_back() -> None:
    x = data.load("digits", "test")[:][0][:20]
    flow = primer.from_zoo("primer-glow")
    codes = flow.encode(x)  # type: ignore[operator]
    assert codes.shape == (20, 64)
    parts, start = [], 0
    for z in flow.flow.encode(x)[0]:  # type: ignore[union-attr, operator]
        parts.append(codes[:, start : start + z[0].numel()].view_as(z))
        start += z[0].numel()
    back = flow.flow.decode(parts)  # type: ignore[union-attr, operator]
    assert torch.allclose(back, (primer.to_levels(x, 17) + 0.5) / 17, atol=1e-4)
    vae = primer.from_zoo("primer-vae")
    rebuilt = vae.reconstruct(x)  # type: ignore[operator]
    assert torch.equal(rebuilt, vae.vae.decode(vae.encode(x)).view_as(x))  # type: ignore[union-attr, operator]
    assert (rebuilt - x).square().mean() < 0.5 * (x.mean(0) - x).square().mean()


ANY_SHAPE: dict[str, Callable[[images.Shape], nn.Module]] = {
    "vae": lambda shape: images.ImageVAE(shape, 4, width=8),
    "pixelcnn": lambda shape: images.ImagePixelCNN(shape, 4, width=8, layers=2),
    "flow": lambda shape: images.ImageFlow(shape, 4, width=8, layers=1),
    "diffusion": lambda shape: images.ImageDiffusion(shape, 4, width=8, steps=3, classes=0),
    "gan": lambda shape: images.ImageGAN(shape, 4, width=8),
    "energy": lambda shape: images.ImageEnergy(shape, 4, width=8),
    "kernels": lambda shape: images.ImageKernels(torch.rand(9, *shape), 4),
    "gaussian": lambda shape: images.ImageGaussian(torch.rand(9, *shape), 4),
    "codes": lambda shape: images.ImageCodes(torch.rand(9, *shape), 4, codes=3),
}


@pytest.mark.parametrize("shape", [(1, 6, 4), (3, 4, 6), (1, 8, 16), (1, 7, 7), (1, 32, 16), (2, 12, 12), (1, 5, 1)])
@pytest.mark.parametrize("kind", ANY_SHAPE)
def test_samples_have_the_shape_that_a_model_is_built_for_or_it_is_not_built(kind: str, shape: images.Shape) -> None:
    generator = torch.Generator().manual_seed(0)
    can_be_halved = {"flow": shape[1] == shape[2] == 12, "diffusion": shape[1] % 2 == shape[2] % 2 == 0}
    if not can_be_halved.get(kind, True):
        with pytest.raises(TeachlibError, match=r"images of \d+×\d+ pixels; expected .*multiples of"):
            ANY_SHAPE[kind](shape)
        return
    model = ANY_SHAPE[kind](shape).eval()
    assert model.sample(2, generator).shape == (2, *shape)  # type: ignore[operator]
    other = torch.rand(2, shape[0], shape[1], shape[2] + 2)
    for method in ("log_prob", "log_prob_bound", "log_prob_estimate", "loss"):
        if hasattr(model, method):
            arguments = (None, generator) if method == "loss" else (generator,)
            assert getattr(model, method)(torch.rand(2, *shape), *arguments).isfinite().all()
            with pytest.raises(TeachlibError, match=r"takes \(N, "):
                getattr(model, method)(other, *arguments)
            for bad in (255 * torch.rand(2, *shape), 2 * torch.rand(2, *shape) - 1, torch.ones(2, *shape).byte()):
                with pytest.raises(TeachlibError, match=r"pixels (in|outside) \[0, 1\]"):
                    getattr(model, method)(bad, *arguments)


def test_drawing_and_measuring_in_training_mode_change_nothing() -> None:
    gan, test = images.ImageGAN((1, 32, 32), 4, width=8, latent=4), data.load("glyphs", "test", limit=20)
    before = [buffer.clone() for buffer in gan.game.nets["generator"].buffers()]
    drawn = [gan.train(mode).sample(5, torch.Generator().manual_seed(0)) for mode in (True, False)]
    assert torch.equal(*drawn)
    assert gan.train().generator.training
    primer.evaluate(gan, test)
    assert gan.generator.training
    assert all(torch.equal(a, b) for a, b in zip(before, gan.game.nets["generator"].buffers(), strict=True))
    with pytest.raises(TeachlibError, match="samples is 0"):
        primer.evaluate(gan, test, samples=0)


@pytest.mark.parametrize("label", [-100, -1, 3])
def test_labels_that_are_no_classes_are_refused_by_every_conditional_model(label: int) -> None:
    x, labels = torch.rand(2, 1, 4, 4), torch.tensor([0, label])
    generator, words = torch.Generator().manual_seed(0), f"class {label}; expected 0 … 2"
    for model in (
        images.ImageVAE((1, 4, 4), 4, width=8, classes=3),
        images.ImagePixelCNN((1, 4, 4), 4, width=8, layers=1, classes=3),
        images.ImageDiffusion((1, 4, 4), 4, width=8, steps=3, classes=3),
    ):
        with pytest.raises(TeachlibError, match=words):
            model.loss(x, labels, generator)
        with pytest.raises(TeachlibError, match=words):
            model.sample(2, generator, labels)
    with pytest.raises(TeachlibError, match=words):
        images.ImageGAN((1, 4, 4), 4, width=8, classes=3).game.judge(x, labels)
