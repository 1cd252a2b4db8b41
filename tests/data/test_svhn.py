"""SVHN in its original format, on small files made here."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import scipy
import torch
from scipy.io import savemat

from teachlib import data
from teachlib.data import svhn
from teachlib.errors import TeachlibError

NAME = "train_32x32.mat"


def arrays(count: int = 12) -> dict[str, np.ndarray]:
    """Pixels whose value tells channel, row, column and image apart; labels 1 … 10, where 10 is a zero."""
    rows, columns, channels, images = np.ogrid[:32, :32, :3, :count]
    pixels = (rows + 32 * channels + 7 * columns + 11 * images) % 256
    return {"X": pixels.astype(np.uint8), "y": (np.arange(count) % 10 + 1).astype(np.uint8)[:, None]}


def written(folder: Path, contents: dict[str, np.ndarray]) -> Path:
    file = folder / NAME
    savemat(file, contents, do_compression=True)
    return file


def hashes(file: Path) -> dict[str, str]:
    return {file.name: hashlib.md5(file.read_bytes()).hexdigest()}


def test_images_channel_first_and_ten_is_zero(tmp_path: Path) -> None:
    file = written(tmp_path, arrays())
    images, labels = svhn.read_part(file, hashes(file))
    assert images.shape == (12, 3, 32, 32)
    assert images[5, 2, 3, 4] == (3 + 64 + 28 + 55) % 256
    assert labels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2]


def test_validation_is_the_end_of_the_training_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "svhn").mkdir()
    file = written(tmp_path / "svhn", arrays())
    monkeypatch.setitem(data.entry("svhn").hashes, NAME, hashes(file)[NAME])
    monkeypatch.setitem(data.entry("svhn").splits, "train", 9)
    train, validation = (data.load("svhn", split, root=tmp_path) for split in ("train", "validation"))
    assert (len(train), validation.labels.tolist()) == (9, [0, 1, 2])
    with pytest.raises(TeachlibError, match=r"missing .*test_32x32\.mat"):
        data.load("svhn", "test", root=tmp_path)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"X": arrays()["X"]}, "without 'X' and 'y'"),
        ({**arrays(), "X": arrays()["X"][:28]}, "expected uint8 of"),
        ({**arrays(), "X": arrays()["X"].astype(np.float64)}, "float64"),
        ({**arrays(), "y": arrays()["y"][:5]}, "5 labels for 12 images"),
        ({**arrays(), "y": arrays()["y"] + 1}, "labels other than"),
    ],
)
def test_other_contents(tmp_path: Path, contents: dict[str, np.ndarray], message: str) -> None:
    file = written(tmp_path, contents)
    with pytest.raises(TeachlibError, match=message):
        svhn.read_part(file, hashes(file))


@pytest.mark.parametrize("keep", [0, 50, 0.5, 0.99])
def test_a_truncated_file(tmp_path: Path, keep: float) -> None:
    file = written(tmp_path, arrays())
    whole = file.read_bytes()
    file.write_bytes(whole[: int(keep if keep >= 1 else keep * len(whole))])
    with pytest.raises(TeachlibError, match="get it again"):
        svhn.read_part(file, hashes(file))


def test_another_file_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An altered byte can end scipy's reader by a segmentation fault."""
    file = written(tmp_path, arrays())
    monkeypatch.setattr(scipy.io, "loadmat", lambda *_, **__: pytest.fail("it was opened"))
    with pytest.raises(TeachlibError, match="wrong hash"):
        svhn.read_part(file, {NAME: "0" * 32})


def test_the_dtype_of_labels(tmp_path: Path) -> None:
    file = written(tmp_path, arrays())
    assert svhn.read_part(file, hashes(file))[1].dtype == torch.int64
