"""Sets whose modes can be counted: 25 Gaussians in the plane, and three glyphs stacked to a picture, 1,000 of them.

Beside these any set of colour pictures, of which nobody knows the modes.
"""

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from teachlib import data
from teachlib.errors import TeachlibError, require_at_least, unknown

SPLITS = {"train": 50_000, "validation": 5_000, "test": 10_000}
_SEEDS = {"train": 601, "validation": 602, "test": 603}
SIDE, DEVIATION = 5, 0.05
CENTRES = torch.cartesian_prod(torch.arange(-2.0, 3.0), torch.arange(-2.0, 3.0))  # Srivastava et al., 2017: spacing 2
STACKED = {"stacked-glyphs": "glyphs", "stacked-mnist": "mnist"}
SETS = ("gaussians", *STACKED)
SIZE = 32  # of all pictures, a side


@dataclass(frozen=True)
class Counted:
    """Samples, and which mode each comes from.

    Attributes:
        points: (N, 2), or bytes of pictures, (N, 3, 32, 32).
        modes: (N,); of pictures whose modes nobody has counted, their classes.
    """

    points: Tensor
    modes: Tensor

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, index: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Samples, pictures in [0, 1], and their modes."""
        points, modes = self.points[index], self.modes[index]
        return (points.float() / 255 if points.dtype == torch.uint8 else points), modes

    @property
    def sha256(self) -> str:
        """Hash of all samples."""
        return hashlib.sha256(self.points.numpy().tobytes()).hexdigest()


def gaussians(count: int, generator: torch.Generator) -> Counted:
    """Draws of 25 equally likely Gaussians on a square grid of spacing 1, each of deviation 1/20, (count, 2)."""
    modes = torch.randint(len(CENTRES), (count,), generator=generator)
    return Counted(CENTRES[modes] + DEVIATION * torch.randn(count, 2, generator=generator), modes)


def stacked(name: str, split: str, count: int, generator: torch.Generator) -> Counted:
    """Three pictures of a set with ten classes, at random, as the channels of one (Metz et al., 2017): 1,000 modes."""
    singles = data.load(STACKED[name], split)
    chosen = torch.randint(len(singles), (count, 3), generator=generator)
    classes = singles.labels[chosen] @ torch.tensor([100, 10, 1])
    return Counted(singles.images[chosen][:, :, 0], classes)


def refuse_unfit(name: str) -> None:
    """Let pass what a recipe of this chapter can be trained on.

    Raises:
        TeachlibError: neither of :data:`SETS` nor a set or folder of colour pictures.
    """
    if name in SETS:
        return
    if not data.is_folder(name) and name not in data.CATALOGUE:
        raise unknown("data set", name, (*SETS, "cifar-10", "folder:PATH"))
    if data.entry(name).shape[0] != 3:
        raise TeachlibError(
            f"{data.short_name(name)}: grey pictures; expected colour ones, such as cifar-10, or stacked-mnist's"
        )


def load(name: str, split: str = "train", limit: int | None = None) -> Counted:
    """A split of a set, the same at every call.

    Args:
        name: of :data:`SETS`, or a set or folder of colour pictures, which are brought to 32×32 pixels.
        split: ``train``, ``validation`` or ``test``.
        limit: only the first so many.

    Raises:
        TeachlibError: another set or split; files that are not there.
    """
    refuse_unfit(name)
    require_at_least(1, limit=limit)
    if name not in SETS:
        held = data.load(name, split, size=SIZE, limit=limit)
        return Counted(held.images, held.labels)
    if split not in SPLITS:
        raise unknown(f"split of {name}", split, SPLITS)
    generator = torch.Generator().manual_seed(_SEEDS[split])
    whole = (
        gaussians(SPLITS[split], generator) if name == "gaussians" else stacked(name, split, SPLITS[split], generator)
    )
    return Counted(whole.points[slice(limit)], whole.modes[slice(limit)])
