"""One row of the tables: its parts, its seed, and the order that no metric may turn over."""

import pytest
import torch

from teachlib import rae
from teachlib.errors import TeachlibError
from teachlib.metrics import classifier_features, extractor, frechet_between, statistics_of


@pytest.fixture(scope="module")
def splits():
    return [
        rae.load("glyphs", split, limit=limit) for split, limit in (("train", 800), ("validation", 300), ("test", 300))
    ]


def _extract(images: torch.Tensor) -> torch.Tensor:
    return classifier_features("glyphs", images)


@pytest.fixture(scope="module")
def found(splits):
    return rae.evaluate(rae.from_zoo("rae-l2", "glyphs"), *splits, extractor(None, "glyphs"), seed=0, count=300)


def test_order_of_the_distances(found) -> None:
    d = found.distances
    assert 0 < d["floor"] < d["reconstruction"] < d["mixture"] < d["normal"]
    assert found.curves["mixture"].f8 > found.curves["normal"].f8
    assert found.row()["mixture_coverage"] > found.row()["normal_coverage"]
    assert found.row()["mixture_density"] == found.neighbourhoods["mixture"].density > 0
    assert found.log_likelihood["train"] > found.log_likelihood["validation"]  # ten components on 800 codes over-fit
    assert found.samples == 300


def test_the_same_seed_gives_the_same_row(found, splits) -> None:
    again = rae.evaluate(rae.from_zoo("rae-l2", "glyphs"), *splits, extractor(None, "glyphs"), seed=0, count=300)
    assert again.row() == found.row()


def test_one_image_has_no_covariance(splits) -> None:
    with pytest.raises(TeachlibError, match="count is 1; expected at least 2"):
        rae.evaluate(rae.from_zoo("rae-l2", "glyphs"), *splits, extractor(None, "glyphs"), count=1)


def test_interpolations_are_half_way(found, splits) -> None:
    """On spheres between random pairs of validation codes, the first random numbers that the seed gives.

    Round the mean of the training set's codes, which is at hand before any validation image is.
    """
    train, validation, test = splits
    model = rae.from_zoo("rae-l2", "glyphs")
    codes = rae.encode_all(model, validation)
    drawn = codes[torch.randint(len(codes), (2, 300), generator=torch.Generator().manual_seed(0))]
    centres = {"interpolation": torch.zeros(16), "interpolation_mean": rae.encode_all(model, train).mean(0)}
    for name, centre in centres.items():
        pairs = drawn - centre
        angle = torch.acos(torch.nn.functional.cosine_similarity(pairs[0], pairs[1]).clamp(-1, 1))[:, None]
        middle = (pairs[0] + pairs[1]) * (angle / 2).sin() / angle.sin()
        middle = centre + torch.where(angle < 1e-3, pairs[0], middle)
        sides = [_extract(rae.decode_all(model, middle)), _extract(test[:][0])]
        by_hand = frechet_between(*map(statistics_of, sides), relative=True)
        assert found.distances[name] == pytest.approx(by_hand, rel=1e-3)
    assert found.distances["interpolation_mean"] < 0.95 * found.distances["interpolation"]


def test_samples_of_both_readings(found, splits) -> None:
    """`normal` of a deterministic model is a fitted Gaussian, another draw of it; N(0, I) is farther."""
    distances = found.distances
    assert distances["fitted"] == pytest.approx(distances["normal"], rel=0.25)
    assert distances["standard"] > 1.5 * max(distances["fitted"], distances["normal"])


def test_floor_and_reconstruction_by_hand(found, splits) -> None:
    _, validation, test = splits
    model, x = rae.from_zoo("rae-l2", "glyphs"), validation[:][0]
    with torch.no_grad():
        restored = model(x)
    assert found.squared_error == pytest.approx(((x - restored) ** 2).sum((1, 2, 3)).mean().item(), rel=1e-5)
    real = statistics_of(_extract(test[:][0]))
    for name, images in (("floor", x), ("reconstruction", restored)):
        by_hand = frechet_between(statistics_of(_extract(images)), real, relative=True)
        assert found.distances[name] == pytest.approx(by_hand, rel=1e-4)


def test_densities_of_stochastic_and_deterministic_models() -> None:
    codes = torch.randn(400, 16, generator=torch.Generator().manual_seed(0)) * 3
    vae, ae = (rae.densities(rae.from_zoo(name, "glyphs"), codes) for name in ("vae", "ae"))
    assert torch.equal(vae["normal"].covariances[0], torch.eye(16).double())  # its prior
    assert ae["normal"].covariances[0].diagonal().mean().item() == pytest.approx(9, rel=0.1)  # a fit
    assert len(vae["mixture"].weights) == len(ae["mixture"].weights) == 10


def test_a_model_in_training_mode_is_measured_as_in_evaluation_and_left_as_it_was(found, splits) -> None:
    model = rae.from_zoo("rae-l2", "glyphs").train()
    before = [buffer.clone() for buffer in model.buffers()]
    again = rae.evaluate(model, *splits, extractor(None, "glyphs"), seed=0, count=300)
    assert again.row() == found.row()
    assert all(module.training for module in model.modules())
    assert all(torch.equal(a, b) for a, b in zip(before, model.buffers(), strict=True))


def test_halves_of_the_test_digits_are_not_alike(real_data) -> None:
    """What the page on data says of a limit: it takes digits of other writers."""
    x, look = rae.load("mnist", "test")[:][0], extractor(None, "mnist")
    shuffled = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(0))]
    halves, random = (
        look.between(look.features(h[:5000]), statistics_of(look.features(h[5000:]))) for h in (x, shuffled)
    )
    assert [round(half.mean().item(), 3) for half in (x[:5000], x[5000:])] == [0.093, 0.109]
    assert [round(halves, 3), round(random, 3)] == [0.03, 0.002]
