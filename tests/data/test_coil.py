"""COIL in its original format, on small archives made here, and the real COIL-20 where it lies."""

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from teachlib import data
from teachlib.data import coil
from teachlib.errors import TeachlibError


def png(red: int, pose: int, side: int = 128, mode: str = "L") -> bytes:
    picture = np.zeros((side, side, 3), np.uint8)
    picture[..., 0], picture[0, :, 1] = red, pose
    written = io.BytesIO()
    Image.fromarray(picture if mode == "RGB" else picture[..., 0]).save(written, "PNG")
    return written.getvalue()


def archive(
    file: Path, objects: int, change: Callable[[int, int], bytes | None] = lambda number, pose: None, degrees: int = 1
) -> Path:
    plain = {number: png(number, 0, mode="L" if degrees == 1 else "RGB") for number in range(1, objects + 1)}
    with zipfile.ZipFile(file, "w") as opened:
        for number in range(1, objects + 1):
            for pose in range(72):
                contents = change(number, pose)
                if contents != b"":
                    name = f"{file.stem}/obj{number}__{pose * degrees}.png"
                    opened.writestr(name, contents or plain[number])
    return file


def test_pictures_by_object_and_pose(tmp_path: Path) -> None:
    file = archive(tmp_path / "small.zip", 2, lambda number, pose: png(50 * number + pose, 0))
    found = coil.read_archive(file, 2, 1, {"small.zip": ""})
    assert found.shape == (2, 72, 1, 128, 128)
    assert found[:, 71, 0, 5, 5].tolist() == [121, 171]


def test_a_hundred_objects_are_in_colour_and_named_by_degrees(tmp_path: Path) -> None:
    file = archive(tmp_path / "coil-100.zip", 100, degrees=5)
    found = coil.read_archive(file, 100, 3, {"coil-100.zip": ""})
    assert found.shape == (100, 72, 3, 128, 128)
    assert found[41, 7, :, 5, 5].tolist() == [42, 0, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda number, pose: b"" if (number, pose) == (2, 71) else None, "object 2 at 355"),
        (lambda number, pose: bytes(2**20 + 1) if (number, pose) == (1, 3) else None, r"obj1__3\.png: too large"),
        (lambda number, pose: b"no picture" if (number, pose) == (1, 3) else None, "not a sound PNG"),
        (lambda number, pose: png(1, 0)[:90] if (number, pose) == (1, 3) else None, "not a sound PNG"),
        (lambda number, pose: png(1, 0, 64) if (number, pose) == (2, 0) else None, "64×64 pixels"),
    ],
)
def test_damaged_archives(tmp_path: Path, change: Callable[[int, int], bytes | None], message: str) -> None:
    file = archive(tmp_path / "small.zip", 2, change)
    with pytest.raises(TeachlibError, match=message):
        coil.read_archive(file, 2, 1, {"small.zip": ""})


def test_no_archive_and_a_truncated_one(tmp_path: Path) -> None:
    file = archive(tmp_path / "small.zip", 1)
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(TeachlibError, match="no zip archive"):
        coil.read_archive(file, 1, 1, {"small.zip": ""})
    with pytest.raises(TeachlibError, match=r"missing .*coil-20-proc\.zip"):
        data.load("coil-20", "train", root=tmp_path)


def test_other_pixels(tmp_path: Path) -> None:
    file = archive(tmp_path / "small.zip", 1)
    with pytest.raises(TeachlibError, match="wrong hash"):
        coil.read_archive(file, 1, 1, {"small.zip": "0" * 64})


def test_nothing_fetches_it(tmp_path: Path) -> None:
    with pytest.raises(TeachlibError, match="no program fetches it"):
        data.get("coil-20", root=tmp_path)


def test_splits_share_no_pose_and_every_test_pose_has_neighbours_in_training() -> None:
    train, validation, test = (set(coil.poses_of(split).tolist()) for split in ("train", "validation", "test"))
    assert train | validation | test == set(range(72))
    assert len(train) + len(validation) + len(test) == 72
    assert all({(pose - 1) % 72, (pose + 1) % 72} <= train for pose in test | validation)


@pytest.mark.skipif(
    not (os.environ.get("TEACHLIB_DATA") and data.present("coil-20")), reason="no COIL-20 below TEACHLIB_DATA"
)
def test_the_real_one() -> None:
    test = data.load("coil-20", "test", size=32)
    assert (len(test), test.shape) == (240, (1, 32, 32))
    assert test.labels.bincount().tolist() == [12] * 20
    neighbours = data.load("coil-20", "train", size=32)
    nearest = torch.cdist(test[:][0].flatten(1), neighbours[:][0].flatten(1)).argmin(1)
    assert (neighbours.labels[nearest] == test.labels).float().mean() > 0.97
