"""Data: shapes, honest splits, known factors, and bad files answered by one line."""

import gzip
import hashlib
import pickle
import resource
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from teachlib import data
from teachlib.data import cifar, files, idx, pickles
from teachlib.data.glyphs import RANGES, Factors, draw_factors, render
from teachlib.errors import TeachlibError

EMBEDDED = [name for name, entry in data.CATALOGUE.items() if entry.embedded]


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded_sets_are_what_the_catalogue_says(name: str) -> None:
    entry = data.entry(name)
    for split, count in entry.splits.items():
        found = data.load(name, split)
        assert (len(found), found.shape, found.images.dtype) == (count, entry.shape, torch.uint8)
        assert set(found.labels.tolist()) == set(range(entry.classes))


@pytest.mark.parametrize("name", EMBEDDED)
def test_splits_do_not_overlap(name: str) -> None:
    rows = [
        tuple(image.flatten().tolist()) for split in data.entry(name).splits for image in data.load(name, split).images
    ]
    own_duplicates = 0 if name == "glyphs" else len(load_digits().data) - len({tuple(r) for r in load_digits().data})
    assert len(rows) - len(set(rows)) == own_duplicates


def test_digits_keep_every_sample_of_scikit_learn() -> None:
    ours = torch.cat([data.load("digits", split).images for split in ("train", "validation", "test")]).flatten(1)
    theirs = torch.from_numpy((load_digits().data * 255 / 16).round())
    assert torch.equal(ours.double().sort(0).values, theirs.sort(0).values)


def test_a_limit_is_a_prefix_and_size_enlarges() -> None:
    assert torch.equal(data.load("glyphs", "train", limit=50).images, data.load("glyphs", "train").images[:50])
    large = data.load("digits", "test", size=32)
    assert large.shape == (1, 32, 32)
    x, _ = large[torch.arange(5)]
    assert x.min() >= 0
    assert x.max() <= 1


def _one(**changes: float) -> torch.Tensor:
    """One upright '1' in the first font, with some factors changed."""
    middle = {name: torch.zeros(1) for name in RANGES} | {"height": torch.tensor([20.0]), "aspect": torch.ones(1)}
    values = middle | {name: torch.tensor([value]) for name, value in changes.items()}
    return render(Factors(torch.tensor([1]), torch.tensor([0]), values, torch.zeros(1, 2, 4, 4)))[0, 0].double()


def _centre(image: torch.Tensor) -> tuple[float, float]:
    rows, columns = (torch.arange(float(side), dtype=torch.double) for side in image.shape)
    return (image.sum(0) @ columns / image.sum()).item(), (image.sum(1) @ rows / image.sum()).item()


def test_glyph_factors_do_what_they_say() -> None:
    x0, y0 = _centre(_one())
    x1, y1 = _centre(_one(dx=2.0, dy=-1.5))
    assert (x1 - x0, y1 - y0) == (pytest.approx(2.0, abs=0.05), pytest.approx(-1.5, abs=0.05))
    assert _one(thickness=0.9).sum() > 1.3 * _one().sum() > 1.3 * 1.2 * _one(thickness=-0.4).sum()
    rows = [int((_one(height=height).sum(1) > 128).sum()) for height in (17.0, 23.0)]
    assert rows == [pytest.approx(17, abs=1), pytest.approx(23, abs=1)]
    lean = _one(slant=0.3)
    assert _centre(lean[:16])[0] > _centre(lean[16:])[0] + 1  # the top leans to the right


def test_glyphs_are_deterministic_and_in_range() -> None:
    factors = draw_factors(20, torch.Generator().manual_seed(3))
    assert torch.equal(render(factors), render(factors))
    assert all(low <= factors.continuous[name].min() <= factors.continuous[name].max() <= high
               for name, (low, high) in RANGES.items())  # fmt: skip


def test_images_shrink_by_a_whole_factor_and_grow_by_any() -> None:
    whole, small, large = (data.load("glyphs", "test", size=size, limit=3) for size in (None, 16, 40))
    blocks = whole.images.float().unflatten(2, (16, 2)).unflatten(4, (16, 2)).mean((3, 5))
    assert torch.equal(small.images, blocks.round().to(torch.uint8))
    assert large.shape == (1, 40, 40)


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(TeachlibError, match="unknown dataset 'minst'; did you mean 'mnist'"):
        data.load("minst")
    with pytest.raises(TeachlibError, match="unknown split of digits 'tset'; did you mean 'test'"):
        data.load("digits", "tset")
    with pytest.raises(TeachlibError, match="cannot be shrunk to 20 evenly"):
        data.load("glyphs", "test", size=20, limit=1)


# ------------------------------------------------------------------------------------------------- files in idx format


def _idx(array: np.ndarray, magic: int) -> bytes:
    return struct.pack(f">{1 + array.ndim}I", magic, *array.shape) + array.astype(np.uint8).tobytes()


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    images, labels = tmp_path / "train-images-idx3-ubyte.gz", tmp_path / "train-labels-idx1-ubyte"
    images.write_bytes(gzip.compress(_idx(np.arange(5 * 784).reshape(5, 28, 28), 2051)))
    labels.write_bytes(_idx(np.arange(5), 2049))
    return images, labels


def _read(pair: tuple[Path, Path]) -> tuple[torch.Tensor, torch.Tensor]:
    hashes = {f.name.removesuffix(".gz"): hashlib.sha256(files.read_bytes(f)).hexdigest() for f in pair}
    return idx.read_pair(*pair, hashes)


def test_a_sound_pair_is_read(pair: tuple[Path, Path]) -> None:
    images, labels = _read(pair)
    assert torch.equal(images.flatten(), torch.arange(5 * 784).to(torch.uint8))
    assert labels.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("which", "contents", "words"),
    [
        (0, lambda b: gzip.compress(gzip.decompress(b))[:-40], "truncated: its gzip stream ends too early"),
        (0, lambda b: b"not gzip at all", "not a sound gzip file"),
        (0, lambda b: gzip.compress(_idx(np.zeros((5, 28, 28)), 2050)), "wrong magic number 2050, expected 2051"),
        (0, lambda b: gzip.compress(gzip.decompress(b)[:-1]), "3919 bytes of data, but its header announces 3920"),
        (0, lambda b: gzip.compress(_idx(np.zeros((5, 20, 28)), 2051)), "images of 20×28 pixels, expected 28×28"),
        (0, lambda b: gzip.compress(b"abc"), "too short for an idx header"),
        (1, lambda b: _idx(np.arange(4), 2049), "4 labels for the 5 images"),
        (1, lambda b: _idx(np.zeros((5, 28, 28)), 2051), "wrong magic number 2051, expected 2049"),
    ],
)
def test_bad_files_are_named(pair: tuple[Path, Path], which: int, contents, words: str) -> None:
    pair[which].write_bytes(contents(pair[which].read_bytes()))
    with pytest.raises(TeachlibError, match=words) as caught:
        idx.read_pair(*pair, {})
    assert str(pair[which]) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_contents_are_a_wrong_hash(pair: tuple[Path, Path]) -> None:
    with pytest.raises(TeachlibError, match="wrong hash"):
        idx.read_pair(*pair, {"train-images-idx3-ubyte": "0" * 64, "train-labels-idx1-ubyte": "0" * 64})


def test_missing_files_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TeachlibError, match=r"mnist: missing .*t10k-images.*teachlib data get mnist.*TEACHLIB_DATA"):
        data.load("mnist", "test", root=tmp_path)
    assert not data.present("mnist", root=tmp_path)


# -------------------------------------------------------------------------------------- CIFAR-10's files: old pickles


def _python2_batch(pixels: np.ndarray, labels: list[int]) -> bytes:
    """A batch as Python 2 wrote it (protocol 2): text without encoding, numpy's old module, state in place."""

    def short(text: bytes) -> bytes:
        return b"U" + bytes([len(text)]) + text

    def number(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + short(b"b") + b"\x87R"
    kind = b"cnumpy\ndtype\n" + short(b"u1") + b"K\x00K\x01\x87R"
    kind += b"(K\x03" + short(b"|") + b"NNN" + number(-1) * 2 + b"K\x00tb"
    shape = b"".join(number(side) for side in pixels.shape) + b"\x86"
    content = b"T" + struct.pack("<i", pixels.size) + pixels.tobytes()
    state = b"(K\x01" + shape + kind + b"\x89" + content + b"tb"
    items = short(b"batch_label") + short(b"training batch 1 of 5") + short(b"data") + array + state
    items += short(b"labels") + b"](" + b"".join(number(label) for label in labels) + b"e"
    return b"\x80\x02}(" + items + b"u."


PIXELS = np.arange(4 * 3072).reshape(4, 3072).astype(np.uint8)


def _cifar(file: Path, contents: bytes) -> tuple[torch.Tensor, torch.Tensor]:
    file.write_bytes(contents)
    return cifar.read_batch(file, {file.name: hashlib.md5(contents).hexdigest()})


def test_a_batch_of_python_2_is_read(tmp_path: Path) -> None:
    contents = _python2_batch(PIXELS, [3, 1, 4, 1])
    images, labels = _cifar(tmp_path / "data_batch_1", contents)
    assert torch.equal(images, torch.from_numpy(PIXELS).view(4, 3, 32, 32))
    assert labels.tolist() == [3, 1, 4, 1]
    theirs = pickle.loads(contents, encoding="bytes")  # as torchvision does
    assert np.array_equal(theirs[b"data"], PIXELS)


def test_cifar_is_split_and_named_by_torchvisions_hashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import CIFAR10

    entry = data.entry("cifar-10")
    assert entry.hashes == dict(CIFAR10.train_list + CIFAR10.test_list)
    assert entry.folder == Path(CIFAR10.base_folder)
    folder = tmp_path / CIFAR10.base_folder
    folder.mkdir()
    for number, name in enumerate(entry.hashes):
        contents = _python2_batch(PIXELS, [number] * 4)
        (folder / name).write_bytes(contents)
        monkeypatch.setitem(entry.hashes, name, hashlib.md5(contents).hexdigest())
    found = {split: data.load("cifar-10", split, root=tmp_path).labels.tolist() for split in entry.splits}
    assert found == {"train": [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4, "validation": [4] * 4, "test": [5] * 4}


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        (_python2_batch(PIXELS, [1, 2]), "2 labels for 4 images"),
        (_python2_batch(PIXELS[:, :100], [1] * 4), r"'data' is uint8 \(4, 100\), expected uint8 of \(N, 3072\)"),
        (_python2_batch(PIXELS, [1] * 4)[:-200], "damaged or no pickle .* only 12123 remain"),
        (_python2_batch(PIXELS, [1] * 4).replace(b"u1", b"O8"), "array of type 'O8', which is not one of numbers"),
        (pickle.dumps([1, 2]), "no CIFAR-10 batch"),
        (b"", "damaged or no pickle"),
        (b"cos\nsystem\n(S'echo'\ntR.", "os.system"),
    ],
)
def test_bad_batches_are_named(tmp_path: Path, contents: bytes, words: str) -> None:
    with pytest.raises(TeachlibError, match=words) as caught:
        _cifar(tmp_path / "test_batch", contents)
    assert "\n" not in str(caught.value)


def test_another_batch_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "test_batch").write_bytes(b"cos\nsystem\n(S'echo'\ntR.")
    with pytest.raises(TeachlibError, match="test_batch: wrong hash: contents have md5"):
        cifar.read_batch(tmp_path / "test_batch", data.entry("cifar-10").hashes)


@pytest.mark.parametrize("protocol", range(5))
@pytest.mark.parametrize("kind", ["<f4", ">f8", "i1", "?", "<u2"])
def test_todays_pickles_of_arrays_are_read(protocol: int, kind: str) -> None:
    array = np.asfortranarray(np.arange(6).reshape(2, 3).astype(kind))
    contents = pickle.dumps({"array": array, "list": [array[0].copy(), (1.5, "text", None)]}, protocol)
    found = pickles.read(contents, "file")
    assert np.array_equal(found["array"], array)
    assert found["array"].dtype == array.dtype
    assert found["list"][1] == (1.5, "text", None)


def test_protocol_0_of_python_2_is_read() -> None:
    """Whose text held any bytes."""
    assert pickles.read(b"(dp1\nS'data'\np2\nS'\\xff\\x00\xe9'\np3\nsS'again'\ng3\ns.", "file") == {
        b"data": b"\xff\x00\xe9",
        b"again": b"\xff\x00\xe9",
    }


@pytest.mark.parametrize("note", [b"r\x00\x00\x00\x10", b"r\xff\xff\xff\xff", b"p300000000\n"])
def test_an_object_noted_under_a_far_number_takes_no_room(note: bytes) -> None:
    """The reader keeps a list of all numbers up to the largest: 4 GiB for eight bytes."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for start in (b"N", b"\x80\x02N"):
        with pytest.raises(TeachlibError, match="noted under the number"):
            pickles.read(start + note + b".", "file")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20  # KiB


def test_what_is_held_twice_is_built_once() -> None:
    """Else a list of two lists of two lists … would be 2¹⁰⁰ of them."""
    array = np.arange(3)
    value: Any = {"array": array}
    for _ in range(50):
        value = [(value, value), {"a": value}]
    found = pickles.read(pickle.dumps(value), "file")
    assert found[0][0] is found[0][1] is found[1]["a"]
    for _ in range(50):
        found = found[0][1]
    assert np.array_equal(found["array"], array)


def test_a_list_that_holds_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(TeachlibError, match="damaged or no pickle"):
        pickles.read(pickle.dumps(value), "file")


def test_a_small_file_that_unpacks_to_more_than_any_data_set_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LARGEST", 1000)
    file = tmp_path / "a.gz"
    file.write_bytes(gzip.compress(bytes(1000)))
    assert files.read_bytes(file) == bytes(1000)
    file.write_bytes(gzip.compress(bytes(1001)))
    with pytest.raises(TeachlibError, match=r"a\.gz: more than 0 MiB when unpacked"):
        files.read_bytes(file)
    np.savez_compressed(tmp_path / "a.npz", a=np.arange(8.0), b=np.arange(2))
    assert {name: len(array) for name, array in files.read_arrays(tmp_path / "a.npz").items()} == {"a": 8, "b": 2}
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(200), b=np.zeros(200))
    with pytest.raises(ValueError, match="too large when unpacked"):
        files.read_arrays(tmp_path / "a.npz")


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_real_sets(real_data: Path, name: str) -> None:
    test = data.load(name, "test", root=real_data)
    assert (len(test), test.shape) == (10_000, (1, 32, 32))
    assert test.labels.bincount().tolist() == (
        [1000] * 10 if name == "fashion-mnist" else test.labels.bincount().tolist()
    )
    assert test.images[:, :, :2].sum() == test.images[..., -2:].sum() == 0  # the padding
    train, validation = (data.load(name, split, root=real_data) for split in ("train", "validation"))
    assert (len(train), len(validation)) == (50_000, 10_000)


def test_real_mnist_is_what_torchvision_reads(real_data: Path, tmp_path: Path) -> None:
    from torchvision.datasets import MNIST

    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in (
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
    ):
        (raw / name).write_bytes(files.read_bytes(real_data / "MNIST" / "raw" / f"{name}.gz"))
    theirs, ours = MNIST(tmp_path, train=False), data.load("mnist", "test", root=real_data)
    assert torch.equal(ours.images[:, 0, 2:-2, 2:-2], theirs.data)
    assert torch.equal(ours.labels, theirs.targets)


def _copied(files: Path, folder: Path) -> Path:
    """The files in a folder that can be written, whatever may be done where they come from."""
    folder.mkdir(parents=True)
    for file in files.iterdir():
        shutil.copyfile(file, folder / file.name)
    return folder


def test_an_altered_byte_of_real_mnist_is_found(real_data: Path, tmp_path: Path) -> None:
    file = _copied(real_data / "MNIST" / "raw", tmp_path / "MNIST" / "raw") / "t10k-labels-idx1-ubyte.gz"
    contents = bytearray(gzip.decompress(file.read_bytes()))
    contents[100] ^= 1
    file.write_bytes(gzip.compress(bytes(contents)))
    with pytest.raises(TeachlibError, match=r"t10k-labels-idx1-ubyte.gz: wrong hash"):
        data.load("mnist", "test", root=tmp_path)


def test_a_download_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(folder: str, *, download: bool) -> None:
        raise RuntimeError("no route\nto host")

    monkeypatch.setattr("torchvision.datasets.MNIST", unreachable)
    with pytest.raises(TeachlibError, match="mnist: download failed \\(no route to host\\); check the network"):
        data.get("mnist", root=tmp_path)
    assert not list(tmp_path.iterdir())


def test_altered_files_are_replaced_by_sound_ones(
    real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(folder: str, *, download: bool) -> None:
        _copied(real_data / "MNIST" / "raw", Path(folder) / "MNIST" / "raw")

    altered = _copied(real_data / "MNIST" / "raw", tmp_path / "MNIST" / "raw") / "t10k-labels-idx1-ubyte.gz"
    altered.write_bytes(gzip.compress(b"something else"))
    monkeypatch.setattr("torchvision.datasets.MNIST", download)
    data.get("mnist", root=tmp_path)
    assert data.check("mnist", root=tmp_path)
