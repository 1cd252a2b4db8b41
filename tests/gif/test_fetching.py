"""The portraits, cut out of pages that a server of this machine gives."""

import functools
import hashlib
import http.server
import io
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from teachlib.cli import main
from teachlib.errors import TeachlibError
from teachlib.gif import fetching, portraits

GRIDS = {"sample_1x2": (1, 2), "sample_2x4": (2, 4), "sample_3x6": (3, 6), "sample_4x8": (4, 8)}
_CELL, _MARGIN = 60, 9


def _colour(row: int, column: int) -> tuple[int, int, int]:
    return 90 + 20 * row, 60 + 16 * column, 200 - 10 * (row + column)


def _page(rows: int, columns: int) -> bytes:
    """A grid of plain cells on a dark ground."""
    step = _CELL + _MARGIN
    page = Image.new("RGB", (_MARGIN + columns * step, 2 * _MARGIN + rows * step), (13, 13, 13))
    for row in range(rows):
        for column in range(columns):
            cell = Image.new("RGB", (_CELL, _CELL), _colour(row, column))
            page.paste(cell, (_MARGIN + column * step, 2 * _MARGIN + row * step))
    stream = io.BytesIO()
    page.save(stream, "JPEG", quality=95)
    return stream.getvalue()


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a server that has all pages, of which the hashes are the ones that are expected."""
    place = tmp_path / "served"
    place.mkdir()
    for name in fetching.PAGES:
        contents = _page(*GRIDS.get(name, (6, 13)))
        (place / f"{name}.jpg").write_bytes(contents)
        monkeypatch.setitem(fetching.PAGES, name, hashlib.sha256(contents).hexdigest())

    class Silent(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Silent, directory=str(place)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(fetching, "PLACE", f"http://127.0.0.1:{server.server_port}/")
    yield place
    server.shutdown()


def test_cells_are_found_and_cut() -> None:
    found = fetching.cells(_page(3, 5))
    assert found.keys() == {(row, column) for row in range(3) for column in range(5)}
    for place, picture in found.items():
        assert picture.size == (128, 128)
        assert np.abs(np.asarray(picture).mean((0, 1)) - _colour(*place)).max() < 6  # JPEG blurs colours at edges


@pytest.mark.usefixtures("served")
def test_portraits_are_fetched_with_their_landmarks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "data"
    monkeypatch.setenv("TEACHLIB_DATA", str(root))
    monkeypatch.setattr("sys.argv", ["teachlib", "data", "get", "faces"])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    assert f"in {root / 'faces'}" in capsys.readouterr().out
    assert sorted(path.name for path in root.rglob("*")) == ["faces", "landmarks.npz", "sfhq_faces_128.zip"]
    found = portraits.load(64, folder=root)
    assert len(found) == 531
    for name, pixels in zip(found.names[:40], found.images[:40], strict=True):
        row, column = map(int, Path(name).stem.split("_"))
        assert np.abs(pixels.float().mean((1, 2)).numpy() - _colour(row, column)).max() < 6
    monkeypatch.setattr(fetching, "PLACE", "http://127.0.0.1:9/")  # nothing is fetched twice
    (root / ".faces.lock").touch()  # of one that was killed at its very end
    with pytest.raises(SystemExit) as again:
        main()
    assert not again.value.code
    assert sorted(path.name for path in root.iterdir()) == ["faces"]


def test_another_page_than_expected_leaves_nothing(served: Path, tmp_path: Path) -> None:
    (served / "sample_2x4.jpg").write_bytes(_page(2, 3))
    with pytest.raises(TeachlibError, match=r"sample_2x4\.jpg: another file than it was"):
        fetching.get(tmp_path / "data")
    assert not list((tmp_path / "data").iterdir())


def test_a_grid_that_lacks_a_portrait_is_one_line(
    served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = _page(2, 3)
    (served / "sample_2x4.jpg").write_bytes(contents)
    monkeypatch.setitem(fetching.PAGES, "sample_2x4", hashlib.sha256(contents).hexdigest())
    with pytest.raises(TeachlibError, match="sample_2x4 has no portrait in row 0, column 3"):
        fetching.get(tmp_path / "data")
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file()]


def test_without_a_network_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "PLACE", "http://127.0.0.1:9/")
    with pytest.raises(TeachlibError, match="faces: download failed"):
        fetching.get(tmp_path / "data")


def test_landmarks_that_ship_are_those_of_the_portraits() -> None:
    from teachlib.data import data_root

    file = data_root() / "faces" / "landmarks.npz"
    if not file.is_file():
        pytest.skip("needs the portraits: TEACHLIB_DATA")
    ours, theirs = np.load(io.BytesIO(fetching._landmarks())), np.load(file)
    assert (ours["names"] == theirs["names"]).all()
    assert np.abs(ours["points"] - theirs["points"][:, :468]).max() < 1e-3  # float16: an eighth of a pixel at 128²
    with zipfile.ZipFile(data_root() / "faces" / "sfhq_faces_128.zip") as archive:
        assert set(ours["names"]) <= set(archive.namelist())
