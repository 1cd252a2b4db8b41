"""ImageNet and UCF101 in their original formats, on a few files made here."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from teachlib.errors import TeachlibError
from teachlib.invgan import corpora, pictures, recipes

CLASSES = ("n01440764", "n01443537")


def _photograph(file: Path, shade: int, size: tuple[int, int] = (60, 48)) -> None:
    """Its red is a class's; its green and blue say where a pixel lies."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    pixels = np.stack([np.full_like(x, shade), 4 * x, 5 * y], 2).astype(np.uint8)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file, "JPEG", quality=100, subsampling=0)


@pytest.fixture
def imagenet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TEACHLIB_DATA", str(tmp_path))
    monkeypatch.setenv("TEACHLIB_CACHE", str(tmp_path / "cache"))
    for split, count in (("train", 21), ("val", 3)):
        for number, name in enumerate(CLASSES):
            for one in range(count):
                _photograph(tmp_path / "imagenet" / split / name / f"{name}_{one:05d}.JPEG", 100 * number + 50)
    return tmp_path / "imagenet"


def test_patches_of_imagenet_know_their_class_and_lie_inside(imagenet: Path) -> None:
    found = pictures.load("imagenet", "train", 32, 60)
    assert found.shape == (3, 32, 32)
    assert found.labels.unique().tolist() == [0, 1]
    red, green, blue = found.images.float().unbind(1)
    assert (red.mean((1, 2)) - (100 * found.labels + 50)).abs().max() < 8
    left, top = green[:, :, 0].mean(1) / 4, blue[:, 0].mean(1) / 5
    assert (left > -1).all() and (left < 60 - 32 + 1).all()  # noqa: PT018
    assert (top > -1).all() and (top < 48 - 32 + 1).all()  # noqa: PT018
    assert left.std() > 5  # at any place, not always the same one
    assert (green[:, :, 31].mean(1) - green[:, :, 0].mean(1)).sub(4 * 31).abs().max() < 6  # pixel by pixel
    again = pictures.load("imagenet", "train", 32, 60)
    assert torch.equal(found.images, again.images)


def test_validation_is_kept_out_of_training_and_tests_are_the_collections_own(imagenet: Path) -> None:
    listed = {split: {file for file, _ in corpora._imagenet(imagenet.parent, split)} for split in corpora.PATCHES}
    assert [len(files) for files in listed.values()] == [39, 3, 6]
    assert not listed["train"] & listed["validation"]
    assert all("val" in file.parts for file in listed["test"])


def test_each_file_is_drawn_before_any_is_drawn_twice() -> None:
    chosen, places = corpora._drawn(1_000, "validation")
    counts = torch.bincount(chosen, minlength=1_000)
    assert counts.tolist() == [5] * 1_000
    assert places.shape == (5_000, 3)


def _film(file: Path, shades: list[int]) -> None:
    av = pytest.importorskip("av")
    file.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(file), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for shade in shades:
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), shade, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.fixture
def ucf101(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TEACHLIB_DATA", str(tmp_path))
    monkeypatch.setenv("TEACHLIB_CACHE", str(tmp_path / "cache"))
    names = {"trainlist01.txt": [], "testlist01.txt": []}
    for number, name in enumerate(("Archery", "Bowling")):
        for group, listed in ((8, "trainlist01.txt"), (9, "trainlist01.txt"), (1, "testlist01.txt")):
            film = f"{name}/v_{name}_g{group:02d}_c01.avi"
            _film(tmp_path / "UCF-101" / film, [60 * number + 10 * one for one in range(6)])
            names[listed].append(f"{film} {number + 1}" if listed.startswith("train") else film)
    for listed, lines in names.items():
        (tmp_path / "ucfTrainTestlist").mkdir(exist_ok=True)
        (tmp_path / "ucfTrainTestlist" / listed).write_text("\n".join(lines) + "\n")
    return tmp_path


def test_patches_of_ucf101_come_from_any_frame_of_the_films_that_the_lists_name(ucf101: Path) -> None:
    train, test = (corpora.patches("ucf101", split, 40) for split in ("train", "test"))
    for found in (train, test):
        shade = found.images.float().mean((1, 2, 3)) - 60 * found.labels
        assert shade.min() > -6
        assert shade.max() < 56
        assert shade.std() > 8  # frames of one film differ
    assert len(corpora._ucf101(ucf101, "test")) == 2


@pytest.mark.parametrize(
    ("name", "spoil", "said"),
    [
        ("imagenet", lambda root: None, "expected ImageNet's pictures, such as n01440764"),
        ("ucf101", lambda root: None, "expected UCF101's list of films"),
        ("ucf101", lambda root: _lists(root, "Archery/v_Archery_g08_c01.avi 1"), "not there.*unpack UCF101.rar"),
        ("imagenet", lambda root: _photograph(root / "imagenet/train/n0/n0_1.JPEG", 9, (40, 20)), "40×20 pixels; a"),
        ("imagenet", lambda root: _rubbish(root / "imagenet/train/n0/n0_1.JPEG"), "no picture; expected one"),
        ("imagenet-21k", lambda root: None, "collection"),
    ],
)
def test_what_is_missing_or_damaged_is_said_in_a_line(
    name: str, spoil: object, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEACHLIB_DATA", str(tmp_path))
    monkeypatch.setenv("TEACHLIB_CACHE", str(tmp_path / "cache"))
    spoil(tmp_path)  # type: ignore[operator]
    with pytest.raises(TeachlibError, match=said):
        corpora.patches(name, "train", 4)


def _lists(root: Path, line: str) -> None:
    (root / "ucfTrainTestlist").mkdir()
    (root / "ucfTrainTestlist" / "trainlist01.txt").write_text(line)


def _rubbish(file: Path) -> None:
    file.parent.mkdir(parents=True)
    file.write_bytes(b"no picture")


# --------------------------------------------------------------------------------------------------- the paper's scale

# What the thesis trains, as its readers can: recipe, data set, backbone, resolution, pixels a side.
PAPER = [
    ("mnist", "dcgan", 0, 32),
    ("celeba", "stylegan2", 128, 128),
    ("folder", "stylegan2", 128, 128),
    ("imagenet", "biggan", 0, 32),
    ("ucf101", "biggan", 0, 32),
]


@pytest.mark.parametrize(("dataset", "backbone", "resolution", "side"), PAPER)
def test_recipes_of_the_papers_scale_are_built_and_take_a_step(
    dataset: str, backbone: str, resolution: int, side: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from teachlib.invgan.chapter import CHAPTER

    if dataset.startswith("folder"):
        _photograph(tmp_path / "faces" / "one.png", 90, (128, 128))
        dataset = pictures.data.folder_name(tmp_path / "faces", size=128)
    recipe = recipes.recipe("invgan", dataset, scale="paper", backbone=backbone, resolution=resolution)
    assert recipe.shape[1:] == (side, side)
    with torch.device("meta"):
        model = CHAPTER.build(recipe, None)
    weights = sum(weight.numel() for weight in model.parameters())
    assert 2e6 < weights < 6e7
    small = replace(recipe, width=32 if backbone == "stylegan2" else 8, batch_size=4)
    game = CHAPTER.objective(small, CHAPTER.build(small, None), None, 0)  # type: ignore[arg-type]
    batch = (torch.rand(4, *recipe.shape), torch.zeros(4).long())
    ((name, loss),) = game.updates(batch, torch.Generator().manual_seed(0), 1)
    loss.backward()
    assert loss.isfinite()
    assert name == "step"
