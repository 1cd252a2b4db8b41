"""``teachlib data get faces``: the 531 portraits, cut out of the pages of samples that SFHQ shows them on.

SFHQ (Beniaguev, 2022; MIT) are faces of nobody, made by a StyleGAN2 and chosen by hand. Its repository has eleven
pages of them, each a grid on a dark ground; the cells are found by that ground. Landmarks of them, found by MediaPipe's
face mesh, ship with this package. Near duplicates have no landmarks, and are left out.
"""

import hashlib
import io
import zipfile
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from teachlib.checkpoints import write_atomically
from teachlib.data import data_root, lock_of, patiently, staged
from teachlib.errors import TeachlibError
from teachlib.gif import portraits
from teachlib.gif.portraits import FOLDER, LANDMARKS, PICTURES

PLACE = (
    "https://raw.githubusercontent.com/SelfishGene/SFHQ-dataset/4c898bc7936c19c201a163c4d636943e80d7bc19/images/SFHQ_"
)
# Page → SHA-256.
PAGES = {
    "sample_1x2": "04494da4d024eab0713d4509bb5cea2ea5ad2eca00fcc12da7981c0c17fa1fb4",
    "sample_2x4": "26d54fa86f6c833615e861fb7f0659a58e6095f923720e671723de9b8316426a",
    "sample_3x6": "3ac8a0d6fc36b316f5e5454382c6dc8c3913d0c0960dc8d929703e10238029e9",
    "sample_4x8": "9c7c9be40199f5628efd0c5baa44a2f856e7a728ac2532aba266dcc2416ed3b8",
    "variability_age": "3096e194fa4e4e7dfbc5a893df9b6a57f1a07b906815ced7aa9998cb0b8108ce",
    "variability_age_X_ethnicity_1": "e34646f6d09fdfba6c8b47f6d878b4d747d4b681f7c710cc66759f1478ede857",
    "variability_age_X_ethnicity_2": "7d1fae55a31ffa14c16ab43dcc75a678861a71ff58de2008da554d2f6618a2f0",
    "variability_ethnicity": "4bffebd2fb1b9a28690226e863ae084b39aaaeac829bcdc744f66f789dcc519f",
    "variability_expression": "dd7d7e574d73e823dadcf67f8cce5ad7d7734d77c1bd1fec76682d5e764c2cc7",
    "variability_hair_color": "2fd8939800d1809ce9a1538592b9a4a2677bf2a2bba823411a80336bb6c5d0af",
    "variability_hair_style": "beea2dd8deaad8cd053455648acb1aaa2b80d49369b0958701113d86cfb541ce",
}
_SIDE = 128  # pixels of a portrait
_INSET = 3  # pixels of a cell's edge, where the ground shines through
_APART = 12  # levels from the ground, of a pixel that is none
_SHARE, _NARROWEST = 0.05, 20  # of such pixels in a line that crosses cells, and pixels that a cell is wide at least


def get(root: Path | None = None) -> Path:
    """Fetch the pages, cut the portraits out, and lay landmarks beside them.

    Returns:
        The folder of both files; where they are there already, nothing is fetched.

    Raises:
        TeachlibError: no network; pages that are not what they should be; a folder that is not writable; another
            process fetches them.
    """
    target = data_root(root)
    folder = target / FOLDER
    if not lock_of(FOLDER, target).exists() and _whole(target):
        return folder
    names = [str(name) for name in np.load(io.BytesIO(_landmarks()), allow_pickle=False)["names"]]
    with staged(FOLDER, target) as staging:
        if _whole(target):
            return folder  # put there meanwhile, or by one that was killed at its very end
        found = {page: cells(_page(page, staging)) for page in PAGES}
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / PICTURES, _archive(names, found))
        write_atomically(folder / LANDMARKS, _landmarks())
    return folder


def _whole(target: Path) -> bool:
    """Whether both files are there and can be read; each is written whole or not at all."""
    try:
        return len(portraits.load(8, 1, folder=target)) == 1
    except TeachlibError:
        return False


def _landmarks() -> bytes:
    return files("teachlib.gif").joinpath(LANDMARKS).read_bytes()


def _page(name: str, staging: Path) -> bytes:
    from torchvision.datasets.utils import download_url  # here: it costs a second, and only downloads need it

    file = staging / f"{name}.jpg"
    patiently("faces", staging.parent / FOLDER, lambda: download_url(f"{PLACE}{name}.jpg", str(staging), file.name))
    contents = file.read_bytes()
    if hashlib.sha256(contents).hexdigest() != PAGES[name]:
        raise TeachlibError(f"{PLACE}{name}.jpg: another file than it was (SHA-256); try again later")
    return contents


def cells(page: bytes) -> dict[tuple[int, int], Image.Image]:
    """Row and column → portrait of 128 pixels, of a page with a grid of portraits on a plain ground."""
    with Image.open(io.BytesIO(page)) as opened:
        picture = opened.convert("RGB")
    pixels = np.asarray(picture).astype(int)
    differs = np.abs(pixels - np.median(pixels[:6].reshape(-1, 3), 0)).max(2) > _APART
    columns, rows = (_stretches(differs.mean(axis) > _SHARE) for axis in (0, 1))
    return {
        (row, column): picture.crop((left + _INSET, top + _INSET, right - _INSET, bottom - _INSET)).resize(
            (_SIDE, _SIDE), Image.Resampling.LANCZOS
        )
        for row, (top, bottom) in enumerate(rows)
        for column, (left, right) in enumerate(columns)
    }


def _stretches(inside: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last but one of each stretch of trues that is wide enough."""
    edges = np.flatnonzero(np.diff(np.pad(inside.astype(int), 1)))
    return [(a, b) for a, b in edges.reshape(-1, 2).tolist() if b - a > _NARROWEST]


def _archive(names: list[str], found: dict[str, dict[tuple[int, int], Image.Image]]) -> bytes:
    """A zip of the portraits that have landmarks: ``…/page/row_column.jpg``."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            page, place = Path(name).parts[-2], Path(name).stem
            row, column = map(int, place.split("_"))
            if (row, column) not in found[page]:
                raise TeachlibError(f"SFHQ's page {page} has no portrait in row {row}, column {column}")
            encoded = io.BytesIO()
            found[page][row, column].save(encoded, "JPEG", quality=95)
            archive.writestr(zipfile.ZipInfo(name), encoded.getvalue())
    return stream.getvalue()
