"""Folders and zips of pictures: what is read, how it is split, and that the cache is whole or not there."""

import io
import multiprocessing
import os
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from teachlib import data, gmmvae, primer, rae
from teachlib.data import cache, folder
from teachlib.errors import TeachlibError


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("TEACHLIB_CACHE", str(tmp_path / "cache"))
    for remembered in (folder._prepared, cache._writable_root):
        remembered.cache_clear()
    yield tmp_path / "cache"
    for remembered in (folder._prepared, cache._writable_root):
        remembered.cache_clear()


def picture(seed: int, size: tuple[int, int] = (40, 40)) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def fill(place: Path, count: int, start: int = 0) -> None:
    place.mkdir(parents=True, exist_ok=True)
    for seed in range(start, start + count):
        picture(seed).save(place / f"{seed:04}.png")


def anew(name: str, split: str = "train") -> data.ImageData:
    folder._prepared.cache_clear()
    return data.load(name, split)


def rows(loaded: data.ImageData) -> set[bytes]:
    return {image.numpy().tobytes() for image in loaded.images}


@pytest.mark.parametrize(
    ("kind", "contents", "suffix", "expected"),
    [
        ("grey", Image.new("L", (9, 9), 200), "png", (200, 200, 200)),
        ("sixteen bits", Image.fromarray(np.full((9, 9), 257 * 200, np.uint16)), "png", (200, 200, 200)),
        ("sixteen bits", Image.fromarray(np.full((9, 9), 257 * 90, np.uint16)), "tiff", (90, 90, 90)),
        ("transparent", Image.new("RGBA", (9, 9), (10, 20, 30, 0)), "png", (255, 255, 255)),
        ("opaque", Image.new("RGBA", (9, 9), (10, 20, 30, 255)), "webp", (10, 20, 30)),
        ("palette", Image.new("RGB", (9, 9), (255, 0, 0)).quantize(), "gif", (255, 0, 0)),
        ("printing colours", Image.new("CMYK", (9, 9), (0, 0, 0, 255)), "jpg", (0, 0, 0)),
        ("one pixel", Image.new("RGB", (1, 1), (7, 8, 9)), "bmp", (7, 8, 9)),
        ("a line", Image.new("RGB", (10_000, 3), (7, 8, 9)), "png", (7, 8, 9)),
    ],
)
def test_pictures_of_every_kind_keep_their_colour(
    kind: str, contents: Image.Image, suffix: str, expected: tuple[int, int, int]
) -> None:
    file = io.BytesIO()
    options = {"lossless": True} if suffix == "webp" else {}
    contents.save(file, {"jpg": "jpeg"}.get(suffix, suffix), **options)
    square = folder.squared(file.getvalue(), 8, 3)
    assert square.shape == (3, 8, 8)
    assert np.abs(square.astype(int) - np.array(expected)[:, None, None]).max() <= 2, kind


def test_a_turned_photograph_is_set_upright() -> None:
    turned, file = Image.new("RGB", (8, 8)), io.BytesIO()
    turned.paste((255, 255, 255), (0, 0, 4, 8))  # the left half is white
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise: the left half is the upper one
    turned.save(file, "png", exif=exif)
    square = folder.squared(file.getvalue(), 8, 1)[0]
    assert (square[:4] == 255).all()
    assert (square[4:] == 0).all()


def test_resizing_averages_what_it_drops_and_cuts_the_middle() -> None:
    stripes = np.zeros((64, 96), np.uint8)
    stripes[:, ::2] = 255
    stripes[:, :16] = stripes[:, 80:] = 7  # beside the middle square
    file = io.BytesIO()
    Image.fromarray(stripes).save(file, "png")
    assert np.abs(folder.squared(file.getvalue(), 8, 1).astype(int) - 127).max() <= 6


def test_splits_are_by_contents_and_new_files_move_none(tmp_path: Path) -> None:
    fill(tmp_path / "p", 300)
    name = data.folder_name(f"folder:{tmp_path / 'p'}", size=8)
    before = {split: rows(anew(name, split)) for split in folder.SPLITS}
    assert sum(map(len, before.values())) == 300
    assert not before["train"] & (before["validation"] | before["test"])
    assert 15 <= len(before["validation"]) <= 50
    fill(tmp_path / "p", 200, start=300)
    for seed in range(50):  # copies under other names
        (tmp_path / "p" / f"copy {seed}.png").write_bytes((tmp_path / "p" / f"{seed:04}.png").read_bytes())
    after = {split: rows(anew(name, split)) for split in folder.SPLITS}
    assert all(before[split] <= after[split] for split in folder.SPLITS)
    assert not after["train"] & (after["validation"] | after["test"])


def test_a_zip_gives_what_the_folder_gives_with_classes_and_splits(tmp_path: Path) -> None:
    fill(tmp_path / "p" / "train" / "Hähne und Hühner", 30)
    fill(tmp_path / "p" / "train" / "b", 30, start=30)
    fill(tmp_path / "p" / "test" / "b", 5, start=60)
    (tmp_path / "p" / "notes.txt").write_text("not a picture")
    (tmp_path / "p" / "train" / "b" / "round").symlink_to(tmp_path / "p" / "train")  # a loop
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for file in sorted((tmp_path / "p").rglob("*.png")):
            archive.write(file, Path("wrapped") / file.relative_to(tmp_path / "p"))
        archive.writestr("wrapped/inner.zip", b"PK")
        archive.writestr("__MACOSX/wrapped/._0000.png", b"rubbish")
    for split in folder.SPLITS:
        first, second = (data.load(f"folder:{tmp_path / name}?size=8", split) for name in ("p", "p.zip"))
        assert torch.equal(first.images, second.images)
        assert torch.equal(first.labels, second.labels)
    found = data.entry(f"folder:{tmp_path / 'p'}?size=8&grey")
    assert (found.shape, found.classes, found.splits["test"]) == ((1, 8, 8), 2, 5)
    assert (data.load(f"folder:{tmp_path / 'p'}?size=8", "test").labels == 1).all()  # after the hens, by the alphabet


def test_one_unreadable_picture_in_a_hundred_is_named_and_more_are_refused(tmp_path: Path, capsys) -> None:
    fill(tmp_path / "p", 199)
    whole = (tmp_path / "p" / "0000.png").read_bytes()
    (tmp_path / "p" / "cut short.png").write_bytes(whole[: len(whole) // 2])
    name = f"folder:{tmp_path / 'p'}?size=8"
    assert sum(len(anew(name, split)) for split in folder.SPLITS) == 199
    assert "1 left out, unreadable: cut short.png" in capsys.readouterr().err
    for number in range(3):
        (tmp_path / "p" / f"bad {number}.png").write_bytes(b"no picture")
    with pytest.raises(TeachlibError, match=r"4 of 203 pictures cannot be read: bad 0.png .*mend or remove them"):
        anew(name)


def test_settings_and_places_that_mean_nothing_get_one_line(tmp_path: Path) -> None:
    fill(tmp_path / "few", 3)
    fill(tmp_path / "mixed" / "a", 2)
    fill(tmp_path / "mixed", 1)
    (tmp_path / "empty").mkdir()
    (tmp_path / "not.zip").write_text("no zip")
    for name, words in (
        ("folder:", "names no folder"),
        ("folder:nowhere", "no such folder or zip"),
        (f"folder:{tmp_path / 'empty'}", "no pictures"),
        (f"folder:{tmp_path / 'not.zip'}", "neither a folder nor a sound zip"),
        (f"folder:{tmp_path / 'mixed'}", "lies beside the classes' folders"),
        (f"folder:{tmp_path / 'few'}?size=0", "expected size=4"),
        (f"folder:{tmp_path / 'few'}?colour", "expected size=4"),
    ):
        with pytest.raises(TeachlibError, match=words):
            data.load(name)
    loaded = [split for split in folder.SPLITS if data.entry(f"folder:{tmp_path / 'few'}").splits[split] == 0]
    with pytest.raises(TeachlibError, match="none of its 3 pictures falls into"):
        data.load(f"folder:{tmp_path / 'few'}", loaded[0])


def test_recipes_of_every_chapter_take_a_folder(tmp_path: Path) -> None:
    fill(tmp_path / "p" / "a", 150)
    fill(tmp_path / "p" / "b", 150, start=150)
    name = f"folder:{tmp_path / 'p'}?grey&size=32"
    for module, recipe in ((rae, "rae-l2"), (gmmvae, "gmm-vae"), (primer, "primer-pixelcnn")):
        chosen = module.recipe(recipe, name, scale="ci", width=8, steps=2)
        _, history = module.train(chosen, progress=False)
        assert history.lines[-1]["step"] == 2
    plain = data.folder_name(tmp_path / "p" / "a", size=64)
    assert rae.recipe("vae", plain, scale="ci").latent == 64  # as CelebA's
    with pytest.raises(TeachlibError, match="0 classes; a classifier needs two"):
        gmmvae.recipe("gmm-vae", plain, scale="ci")
    with pytest.raises(TeachlibError, match="0 classes"):
        primer.recipe("primer-vae", plain, conditional=True)


def _make_slowly(root: str, key: str) -> None:
    os.environ["TEACHLIB_CACHE"] = root

    def make(place: Path) -> dict[str, int]:
        for number in range(20):
            (place / f"{number}").write_bytes(bytes(1000))
            time.sleep(0.02)
        return {"maker": os.getpid()}

    cache.entry_folder(key, make)


def test_an_entry_is_whole_or_not_there_whoever_dies_or_asks_twice(own_cache: Path) -> None:
    context = multiprocessing.get_context("fork")
    for _ in range(3):
        killed = context.Process(target=_make_slowly, args=(str(own_cache), "x"))
        killed.start()
        time.sleep(0.15)
        killed.kill()
        killed.join()
        assert not (own_cache / "x").exists()
    pair = [context.Process(target=_make_slowly, args=(str(own_cache), "x")) for _ in range(2)]
    for process in pair:
        process.start()
    for process in pair:
        process.join()
    assert [process.exitcode for process in pair] == [0, 0]
    assert len(list((own_cache / "x").iterdir())) == 21
    assert not list(own_cache.glob("*.partial"))


def test_a_cache_that_cannot_be_written_is_no_traceback(tmp_path: Path, monkeypatch, capsys) -> None:
    fill(tmp_path / "p", 40)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TEACHLIB_CACHE", str(tmp_path / "file" / "cache"))
    assert len(anew(f"folder:{tmp_path / 'p'}?size=8")) > 20
    assert "cannot be written" in capsys.readouterr().err
