"""CelebA in its original format, on a small archive made here."""

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from teachlib import data
from teachlib.errors import TeachlibError

COLUMNS = ("Bald", "Smiling")
NAMES = [f"{number:06d}.jpg" for number in range(1, 7)]
SPLITS = (0, 0, 0, 1, 1, 2)


def jpeg(number: int, size: tuple[int, int] = (178, 218)) -> bytes:
    """A disc of 60 pixels in the middle, whose red tells the pictures apart, on blue."""
    x, y = np.meshgrid(*(np.arange(side) - (side - 1) / 2 for side in size))
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    picture[..., 2] = 200
    picture[np.hypot(x, y) < 60] = (30 * number, 0, 0)
    written = io.BytesIO()
    Image.fromarray(picture).save(written, "JPEG", quality=95)
    return written.getvalue()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "celeba"
    folder.mkdir()
    with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as archive:
        for number, name in enumerate(NAMES, 1):
            archive.writestr(f"img_align_celeba/{name}", jpeg(number))
    lines = [f"{name} {split}" for name, split in zip(NAMES, SPLITS, strict=True)]
    (folder / "list_eval_partition.txt").write_text("\n".join(lines) + "\n")
    rows = [f"{name}  {1 if number % 2 else -1} {-1 if number % 3 else 1}" for number, name in enumerate(NAMES)]
    (folder / "list_attr_celeba.txt").write_text("\n".join(["6", " ".join(COLUMNS), *rows]) + "\n")
    accept(folder, monkeypatch)
    return tmp_path


def accept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the small files' hashes for the published ones."""
    for name in data.entry("celeba").hashes:
        contents = (folder / name).read_bytes()
        monkeypatch.setitem(data.entry("celeba").hashes, name, hashlib.md5(contents).hexdigest())


def test_official_splits_cropped_and_shrunk(root: Path) -> None:
    found = {split: data.load("celeba", split, root=root) for split in ("train", "validation", "test")}
    assert [len(part) for part in found.values()] == [3, 2, 1]
    train = found["train"]
    assert train.shape == (3, 64, 64)
    assert train.labels.tolist() == [1, 0, 0]
    assert {name: values.tolist() for name, values in train.factors.items()} == {
        "Bald": [0, 1, 0],
        "Smiling": [1, 0, 0],
    }
    red = train.images[:, 0].float()
    assert torch.allclose(red[:, 32, 32], torch.tensor([30.0, 60.0, 90.0]), atol=4)
    # 140 pixels become 64, so the disc's radius of 60 becomes 27.4.
    width = (train.images[2, 2, 32] < 100).sum().item()
    assert width == pytest.approx(2 * 27.4, abs=2)
    assert found["test"].images[0, 0, 32, 32].item() == pytest.approx(180, abs=4)


def test_more_pixels_are_read_from_the_originals_and_not_enlarged(root: Path) -> None:
    small, large = (data.load("celeba", "train", size=side, root=root) for side in (64, 128))
    assert large.shape == (3, 128, 128)
    # The disc's radius of 60 pixels of 140 becomes 54.9, and its edge stays as sharp as the original's.
    row = large.images[2, 2, 64].float()
    assert (row < 100).sum().item() == pytest.approx(2 * 54.9, abs=2)
    stretched = data._resized(small, 128).images[2, 2, 64].float()
    assert row.diff().abs().max() > 1.2 * stretched.diff().abs().max()
    assert torch.equal(data.load("celeba", "train", root=root).images, small.images)


def test_its_names_and_hashes_are_torchvisions() -> None:
    from torchvision.datasets import CelebA

    entry = data.entry("celeba")
    theirs = {name: md5 for _, md5, name in CelebA.file_list}
    assert entry.hashes == {name: theirs[name] for name in entry.hashes}
    assert entry.folder == Path(CelebA.base_folder)
    assert sum(entry.splits.values()) == 202_599


@pytest.mark.parametrize(
    ("file", "contents", "words"),
    [
        ("list_eval_partition.txt", "000001.jpg 3\n", "line 1: expected a picture's name and 0, 1 or 2"),
        ("list_eval_partition.txt", "000009.jpg 0\n", "nothing about 000009.jpg"),
        ("list_attr_celeba.txt", "6\n", "expected a line with a count, then one of attributes' names"),
        ("list_attr_celeba.txt", "6\nBald Smiling\n000001.jpg 1\n", "line 3: expected a name and 2 of 1 or -1"),
        ("list_attr_celeba.txt", "\n".join(["1", "Bald", *(f"{name} 1" for name in NAMES)]), "no attribute 'Smiling'"),
        ("img_align_celeba.zip", "no zip", "the archive is damaged: get it again"),
    ],
)
def test_bad_files_are_named(root: Path, file: str, contents: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "celeba" / file).write_text(contents)
    accept(root / "celeba", monkeypatch)
    with pytest.raises(TeachlibError, match=words) as caught:
        data.load("celeba", "train", root=root)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("pictures", "words"),
    [
        (lambda: {name: jpeg(1) for name in NAMES[1:]}, "no item named 'img_align_celeba/000001.jpg'"),
        (lambda: {name: jpeg(1)[:500] for name in NAMES}, "damaged"),
        (lambda: {name: jpeg(1, (100, 218)) for name in NAMES}, "100×218 pixels, expected at least 140 a side"),
    ],
)
def test_bad_pictures_are_named(root: Path, pictures: object, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(root / "celeba" / "img_align_celeba.zip", "w") as archive:
        for name, contents in pictures().items():  # type: ignore[operator]
            archive.writestr(f"img_align_celeba/{name}", contents)
    accept(root / "celeba", monkeypatch)
    with pytest.raises(TeachlibError, match=words):
        data.load("celeba", "train", root=root)


def test_another_archive_is_not_opened(root: Path) -> None:
    (root / "celeba" / "img_align_celeba.zip").write_bytes(b"PK")
    with pytest.raises(TeachlibError, match=r"img_align_celeba.zip: wrong hash: contents have md5"):
        data.load("celeba", "train", root=root)
