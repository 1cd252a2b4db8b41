"""``faces``: the 531 portraits that need no licence, each with renderings of a mesh on it, ready to train on.

What such a rendering says of a face is where its landmarks are and what skin the photograph shows; nothing is known as
numbers, and no other pose of the same head. The linear model of skins was fitted to all portraits, held-out ones too.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from teachlib.data import cache, data_root
from teachlib.errors import TeachlibError, require_at_least, unknown
from teachlib.gif import portraits
from teachlib.gif.told import Told

SPLITS = {"train": 451, "test": 80}
_TOGETHER = 100  # conditions that are made at once


@dataclass(frozen=True)
class Faces(Told):
    """Portraits and what is rendered of them."""

    @property
    def vectors(self) -> Tensor:
        """None: (N, 0)."""
        return torch.zeros(len(self), 0)

    def views(self, numbers: Tensor, share: Tensor, size: int) -> NoReturn:
        """Refuses: nobody knows a portrait's head from another side."""
        raise TeachlibError("portraits show one pose of each head: no texture consistency; take gif-no-texture-loss")


def load(split: str = "train", size: int = 64, limit: int | None = None, *, folder: Path | None = None) -> Faces:
    """A split of the portraits, drawn once for all; conditions are made once, and kept for the next time.

    Args:
        split: ``train`` or ``test``.
        size: height and width, in pixels.
        limit: only the first so many.
        folder: of data; ``None``: ``TEACHLIB_DATA``.

    Raises:
        TeachlibError: another split, or as :func:`teachlib.gif.portraits.load`.
    """
    if split not in SPLITS:
        raise unknown("split of faces", split, SPLITS)
    require_at_least(1, size=size, limit=limit)
    made = cache.entry_folder(f"faces-{size}-{_contents(folder)}", lambda place: _make(place, size, folder))
    count = cache.facts_of(made)["portraits"]
    images, conditions = (
        cache.mapped(made / name, (count, channels, size, size))
        for name, channels in (("images", 3), ("conditions", 6))
    )
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    test = round(count * SPLITS["test"] / sum(SPLITS.values()))
    rows = (order[:test] if split == "test" else order[test:])[:limit]
    return Faces(images[rows], conditions[rows])


def _contents(folder: Path | None) -> str:
    """A hash of the files, so that others are other entries."""
    place = (folder or data_root()) / portraits.FOLDER
    try:
        parts = [(place / name).read_bytes() for name in (portraits.PICTURES, portraits.LANDMARKS)]
    except OSError as error:
        raise TeachlibError(
            f"{error.filename}: cannot be read ({error.strerror}); expected the 531 portraits and their landmarks, "
            "which 'teachlib data get faces' fetches"
        ) from None
    return hashlib.sha256(json.dumps([hashlib.sha256(part).hexdigest() for part in parts]).encode()).hexdigest()[:16]


def _make(place: Path, size: int, folder: Path | None) -> dict[str, Any]:
    found = portraits.load(size, folder=folder)
    mesh = portraits.face_mesh(found.screen)
    skins = portraits.fit_skins(*portraits.steal(found, mesh))
    images = cache.new_array(place / "images", (len(found), 3, size, size))
    conditions = cache.new_array(place / "conditions", (len(found), 6, size, size))
    images[:] = found.images.numpy()
    for start in range(0, len(found), _TOGETHER):
        rows = slice(start, start + _TOGETHER)
        shown = portraits.conditions(found[rows], mesh, skins[rows], size)
        conditions[rows] = ((shown + 1) * 127.5).round().byte().numpy()
    return {"portraits": len(found)}
