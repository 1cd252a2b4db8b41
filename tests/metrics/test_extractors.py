"""Features by name: what each kind is called, what it sees, and that everybody gets a number."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from test_cli import teachlib

from teachlib import data, rae
from teachlib.errors import TeachlibError
from teachlib.metrics import extractor, feature_classifier, features_of, sanity
from teachlib.metrics.chapter import CHAPTER


def test_the_zoos_classifier_is_the_usual_one() -> None:
    chosen = extractor(None, "glyphs")
    assert (chosen.metric, chosen.name, chosen.relative) == ("FD-glyphs", "features-glyphs (zoo), 64 features", True)
    x = rae.load("glyphs", "test", limit=10)[:][0]
    assert torch.equal(chosen.features(x), feature_classifier("glyphs").eval().features(x))


@pytest.mark.parametrize("kind", ["classifier", "untrained"])
def test_distances_keep_the_order_that_is_beyond_doubt(kind: str) -> None:
    """Even random features know noise, blur and missing classes from nothing; only a classifier knows how much."""
    chosen = extractor(kind, "glyphs")
    validation, test = (rae.load("glyphs", split, limit=1_000) for split in ("validation", "test"))
    row = sanity(chosen.features, *validation[:], test[:][0])
    assert row["floor"] < row["blurred (sigma 0.5 pixels)"] < row["blurred (sigma 1.5 pixels)"]
    assert row["floor"] < row["one class dropped"] < row["half of the classes dropped"]
    assert row["floor"] < row["noisy (0.1)"]
    assert max(row.values()) == row["pixels shuffled"]


def test_degraded_images_are_what_they_are_called() -> None:
    generator, seen = torch.Generator().manual_seed(1), []
    images, real = torch.rand(2, 120, 2, 8, 8, generator=generator)
    labels = torch.arange(120) % 6

    def features(x: torch.Tensor) -> torch.Tensor:
        seen.append(x)
        return x.flatten(1)[:, :3]

    assert len(sanity(features, images, labels, real)) == 7
    of_real, floor, faint, strong, noisy, shuffled, without_one, halved = seen
    assert torch.equal(of_real, real)
    assert torch.equal(floor, images)
    for blurred, sigma in ((faint, 0.5), (strong, 1.5)):
        expected = gaussian_filter(images.double().numpy(), (0, 0, sigma, sigma), radius=3, mode="mirror")
        torch.testing.assert_close(blurred.double(), torch.from_numpy(expected), atol=1e-5, rtol=0)
    inside = (images > 0.4) & (images < 0.6)  # where nothing is cut off
    assert (noisy - images)[inside].std().item() == pytest.approx(0.1, rel=0.1)
    assert noisy.min() == 0
    assert noisy.max() == 1
    order = (shuffled[0, 0].flatten()[:, None] == images[0, 0].flatten()).long().argmax(1)
    assert torch.equal(order.sort().values, torch.arange(64))
    assert torch.equal(shuffled.flatten(2), images.flatten(2)[..., order])
    assert torch.equal(without_one, images[labels != 2])
    assert torch.equal(halved, images[labels < 3])
    assert "one class dropped" not in sanity(features, images, torch.zeros(120).long(), real)


def test_an_untrained_network_is_the_same_for_everybody_and_says_so() -> None:
    before = torch.random.get_rng_state()
    first, second = (extractor("untrained", "glyphs") for _ in range(2))
    assert torch.equal(before, torch.random.get_rng_state())
    x = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(first.features(x), second.features(x))
    assert first.metric == "FD-untrained"
    assert extractor("untrained", "cifar-10").features(torch.rand(2, 3, 32, 32)).shape == (2, 64)
    assert extractor("untrained", "celeba").features(torch.rand(2, 3, 64, 64)).shape == (2, 64)


def test_images_of_other_sizes_are_resized_and_of_other_channels_refused() -> None:
    model = feature_classifier("digits")
    small = data.load("digits", "test").first(20)[:][0]
    large = torch.nn.functional.interpolate(small, size=(32, 32), mode="bilinear")
    assert torch.equal(features_of(model, small), features_of(model, large))
    for wrong in (torch.rand(2, 3, 32, 32), torch.rand(0, 1, 32, 32), torch.rand(1, 32, 32)):
        with pytest.raises(TeachlibError, match=r"expected \(N, 1, H, W\)"):
            features_of(model, wrong)


def test_an_extractor_that_does_not_exist_or_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        TeachlibError, match="extractor 'resnet'; expected classifier, inception, untrained, or the fold"
    ):
        extractor("resnet", "glyphs")
    with pytest.raises(
        TeachlibError, match=r"no feature classifier for 'turntable' in the zoo, .* --extractor untrained"
    ):
        extractor("classifier", "turntable", runs=tmp_path)
    CHAPTER.train(CHAPTER.recipe(dataset="digits", steps=2), folder=tmp_path / "run", progress=False)
    with pytest.raises(TeachlibError, match="features of digits; expected a classifier of glyphs"):
        extractor(str(tmp_path / "run"), "glyphs")
    assert extractor(str(tmp_path / "run"), "digits").metric == "FD-digits"


def _pictures(folder: Path, count: int, colour: tuple[int, int, int]) -> None:
    folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(sum(colour))
    for number in range(count):
        noise = torch.randint(60, (32, 32, 3), generator=generator) + torch.tensor(colour)
        Image.fromarray(noise.to(torch.uint8).numpy()).save(folder / f"{number}.png")


def test_an_autoencoder_of_ones_own_pictures_is_measured(tmp_path: Path) -> None:
    _pictures(tmp_path / "balls" / "red", 150, (180, 0, 0))
    _pictures(tmp_path / "balls" / "blue", 150, (0, 0, 180))
    own = {"TEACHLIB_CACHE": str(tmp_path / "cache")}
    asked = ("--dataset", "folder:balls", "--scale", "ci", "--width", "4", "--steps", "20")
    for recipe in ("ae", "features"):
        done = teachlib("train", recipe, *asked, folder=tmp_path, **own)
        assert done.returncode == 0, done.stderr
    for kind, table in ((), "3.1"), (("--extractor", "untrained"), "3.1-untrained"):
        done = teachlib("evaluate", "runs/balls-ae-0", *kind, "--record", "mine", folder=tmp_path, **own)
        assert done.returncode == 0, done.stderr
        row = json.loads((tmp_path / "mine" / table / "ae-balls.json").read_text())
        assert row["values"]["floor"]["mean"] < row["values"]["reconstruction"]["mean"]
        assert row["metric"].startswith("FD-untrained" if kind else "FD-balls")
    assert row["extractor"] == "untrained network, seed 0, 3×32×32, 64 features"
    done = teachlib("evaluate", "runs/balls-features-0", "--record", "mine", folder=tmp_path, **own)
    assert done.returncode == 0, done.stderr
    row = json.loads((tmp_path / "mine" / "features" / "features-balls.json").read_text())
    assert row["values"]["accuracy"]["mean"] > 0.9
    done = teachlib("table", "3.1", "--dataset", "folder:balls", "--results", "mine", folder=tmp_path, **own)
    assert "AE" in done.stdout.splitlines()[-1]
