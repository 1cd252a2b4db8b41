"""Photographs, and what a generator is told of each: what every data set of this chapter offers to its models."""

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from teachlib.gif.consistency import Views


@dataclass(frozen=True)
class Told(ABC):
    """Photographs and renderings of what they show.

    Attributes:
        images: bytes, (N, 3, size, size).
        conditions: renderings in bytes, 0 for -1 and 255 for 1, colours before normals, (N, 6, size, size).
    """

    images: Tensor
    conditions: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Images in [0, 1], and the number of each: with it a model finds its condition and style."""
        images, numbers = self.stored(index)
        return images.float() / 255, numbers

    def stored(self, index: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Images as bytes, and their numbers."""
        return self.images[index], torch.arange(len(self))[index]

    def condition(self, numbers: Tensor) -> Tensor:
        """Renderings of these pictures, in [-1, 1], (N, 6, size, size)."""
        return self.conditions[numbers].float() / 127.5 - 1

    @property
    @abstractmethod
    def vectors(self) -> Tensor:
        """What is known of each picture as numbers, (N, P); P is 0 where nothing is."""

    @abstractmethod
    def views(self, numbers: Tensor, share: Tensor, size: int) -> Views:
        """Renderings of the first picture's skin in shapes and poses on the way from each picture's to the next one's.

        Args:
            numbers: of the pictures, (N,).
            share: of the way, (N,).
            size: of the renderings, in pixels.

        Raises:
            TeachlibError: heads that cannot be moved.
        """

    @property
    def sha256(self) -> str:
        """Hash of pictures and of what is known of them."""
        parts = (self.images, self.vectors.contiguous())
        return hashlib.sha256(b"".join(hashlib.sha256(part.numpy().tobytes()).digest() for part in parts)).hexdigest()
