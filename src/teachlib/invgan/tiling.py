"""Pictures and films that are larger than the networks: tile by tile (thesis §§ 6.3.3, 6.4.3, Appendix C)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from teachlib.errors import TeachlibError, require_at_least, require_images, require_positive, require_shape
from teachlib.invgan.evaluation import generate_all, infer_all
from teachlib.invgan.networks import InvGAN, require_codes


@dataclass(frozen=True)
class Grid:
    """Where the tiles of a picture lie.

    Attributes:
        tile: side of a tile, in pixels.
        height: of the picture.
        width: of the picture.
    """

    tile: int
    height: int
    width: int

    def __post_init__(self) -> None:
        require_at_least(1, tile=self.tile)
        if min(self.height, self.width) < self.tile:
            raise TeachlibError(
                f"a picture of {self.width}×{self.height} pixels; expected {self.tile} or more a side, as a tile has"
            )

    @property
    def rows(self) -> int:
        """Of tiles; the last one reaches over the picture's border where it must."""
        return -(-self.height // self.tile)

    @property
    def columns(self) -> int:
        """Of tiles."""
        return -(-self.width // self.tile)

    def split(self, pictures: Tensor) -> Tensor:
        """Cut pictures (T, C, height, width) into tiles (T · rows · columns, C, tile, tile), row by row.

        Tiles that reach over the border see the picture mirrored there.

        Raises:
            TeachlibError: pictures of another size.
        """
        require_shape(pictures, (pictures.shape[1], self.height, self.width))
        below, beside = self.rows * self.tile - self.height, self.columns * self.tile - self.width
        mode = "reflect" if max(below, beside) < min(self.height, self.width) else "replicate"
        whole = pad(pictures, (0, beside, 0, below), mode=mode)
        cut = whole.unflatten(3, (self.columns, self.tile)).unflatten(2, (self.rows, self.tile))
        return cut.permute(0, 2, 4, 1, 3, 5).flatten(0, 2)

    def join(self, tiles: Tensor) -> Tensor:
        """Undo :meth:`split`; what lies over the border is cut away.

        Raises:
            TeachlibError: tiles of another size, or another number.
        """
        require_shape(tiles, (tiles.shape[1], self.tile, self.tile))
        each = self.rows * self.columns
        if len(tiles) % each or not len(tiles):
            raise TeachlibError(f"{len(tiles)} tiles; expected a multiple of {self.rows}×{self.columns}")
        laid = tiles.unflatten(0, (-1, self.rows, self.columns)).permute(0, 3, 1, 4, 2, 5)
        return laid.flatten(4).flatten(2, 3)[:, :, : self.height, : self.width]


def grid_of(model: InvGAN, pictures: Tensor) -> Grid:
    """The grid of pictures (T, C, H, W) for a model's tiles.

    Raises:
        TeachlibError: pictures of other channels, or smaller than a tile.
    """
    channels, tile, _ = model.image
    if pictures.ndim != 4 or pictures.shape[1] != channels:
        raise TeachlibError(f"pictures of shape {tuple(pictures.shape)}; expected (T, {channels}, height, width)")
    return Grid(tile, *pictures.shape[2:])


def infer(model: InvGAN, pictures: Tensor) -> Tensor:
    """Codes of all tiles of pictures (T, C, H, W) in [0, 1]: (T, rows, columns, w_dim)."""
    grid = grid_of(model, pictures)
    require_images(pictures)
    codes = infer_all(model, grid.split(pictures))
    return codes.unflatten(0, (len(pictures), grid.rows, grid.columns))


def generate(model: InvGAN, codes: Tensor, height: int, width: int) -> Tensor:
    """Pictures (T, C, height, width) in [0, 1] of tiles' codes (T, rows, columns, w_dim).

    Raises:
        TeachlibError: codes of another model, or for a picture of another size.
    """
    grid = Grid(model.image[1], height, width)
    if codes.ndim != 4 or codes.shape[1:3] != (grid.rows, grid.columns):
        raise TeachlibError(
            f"codes of shape {tuple(codes.shape)}; a picture of {width}×{height} pixels needs (T, {grid.rows}, "
            f"{grid.columns}, {model.w_dim})"
        )
    flat = codes.flatten(0, 2)
    require_codes(flat, model.w_dim)
    return grid.join(generate_all(model, flat))


def rebuilt(model: InvGAN, pictures: Tensor) -> Tensor:
    """Pictures (T, C, H, W) in [0, 1], inferred and generated tile by tile."""
    return generate(model, infer(model, pictures), *pictures.shape[2:])


def seams(pictures: Tensor, tile: int) -> float:
    """How much larger steps between neighbouring pixels are across the edges of tiles than elsewhere.

    Args:
        pictures: (T, C, H, W), larger than a tile.
        tile: side, in pixels.

    Returns:
        Mean absolute step across edges over that at all other places: about 1 where no grid shows.

    Raises:
        TeachlibError: pictures that have no edge inside.
    """
    _require_pictures(pictures)
    require_at_least(2, tile=tile)
    across, elsewhere = [], []
    for axis in (2, 3):
        steps = pictures.diff(dim=axis).abs().movedim(axis, 0)
        edge = torch.arange(1, len(steps) + 1) % tile == 0
        across.append(steps[edge].flatten())
        elsewhere.append(steps[~edge].flatten())
    if not torch.cat(across).numel():
        raise TeachlibError(f"pictures of {tuple(pictures.shape[2:])} pixels; no edge of tiles of {tile} lies inside")
    return (torch.cat(across).mean() / torch.cat(elsewhere).mean().clamp_min(1e-12)).item()


def _require_pictures(pictures: Tensor) -> None:
    if pictures.ndim != 4 or not len(pictures):
        raise TeachlibError(f"pictures of shape {tuple(pictures.shape)}; expected (T, C, height, width), one or more")


def blurred(pictures: Tensor, sigma: float) -> Tensor:
    """Pictures (T, C, H, W) through a Gaussian of a deviation in pixels, mirrored at the border."""
    _require_pictures(pictures)
    require_positive(sigma=sigma)
    reach = min(math.ceil(3 * sigma), min(pictures.shape[2:]) - 1)
    kernel = torch.exp(-torch.arange(-reach, reach + 1).to(pictures).square() / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    channels = pictures.shape[1]
    for axis, lengths in ((2, (0, 0, reach, reach)), (3, (reach, reach, 0, 0))):
        shape = [1, 1, 1, 1]
        shape[axis] = len(kernel)
        weights = kernel.view(shape).expand(channels, -1, -1, -1)
        pictures = torch.nn.functional.conv2d(pad(pictures, lengths, mode="reflect"), weights, groups=channels)
    return pictures


def enlarged(pictures: Tensor, factor: int) -> Tensor:
    """Pictures (T, C, H, W) by bicubic interpolation, (T, C, factor · H, factor · W) in [0, 1]."""
    _require_pictures(pictures)
    require_at_least(1, factor=factor)
    return interpolate(pictures, scale_factor=factor, mode="bicubic", align_corners=False).clamp(0, 1)


def sharpened(model: InvGAN, pictures: Tensor, strength: float, *, sigma: float = 1.0) -> Tensor:
    """Away from blur (§ 6.4.3): codes of the pictures, extrapolated away from those of the same pictures blurred.

    w + strength · (w − w_blurred), tile by tile, where the second inference is of the *reconstruction*, blurred.

    Args:
        model: of tiles.
        pictures: (T, C, H, W) in [0, 1], such as low resolution enlarged by :func:`enlarged`.
        strength: of the extrapolation; 0: the reconstruction.
        sigma: deviation of the blur, in pixels.

    Returns:
        (T, C, H, W) in [0, 1].
    """
    require_at_least(-1e6, strength=strength)
    _require_pictures(pictures)
    height, width = pictures.shape[2:]
    codes = infer(model, pictures)
    duller = infer(model, blurred(generate(model, codes, height, width), sigma).clamp(0, 1))
    return generate(model, codes + strength * (codes - duller), height, width)


def time_weights(frames: int, factor: int, sigma: float) -> Tensor:
    """Gaussian windows over frames at finer times, (factor · (frames − 1) + 1, frames); every row sums to one.

    Args:
        frames: how many there are.
        factor: new times a frame.
        sigma: deviation, in frames; towards 0 each time takes its nearest frame alone.

    Raises:
        TeachlibError: fewer than two frames; a factor below one.
    """
    require_at_least(2, frames=frames)
    require_at_least(1, factor=factor)
    require_positive(sigma=sigma)
    times = torch.arange(factor * (frames - 1) + 1) / factor
    apart = (times[:, None] - torch.arange(frames)).square() / (2 * sigma**2)
    return (-apart).softmax(1)


def slowed(model: InvGAN, film: Tensor, factor: int, *, sigma: float = 0.5) -> Tensor:
    """More frames (App. C): tiles' codes averaged over time by Gaussian windows, and generated.

    Args:
        model: of tiles.
        film: (T, C, H, W) in [0, 1].
        factor: frames for each that there is.
        sigma: of the windows, in frames of the film.

    Returns:
        (factor · (T − 1) + 1, C, H, W) in [0, 1].
    """
    weights = time_weights(len(film), factor, sigma)
    codes = torch.einsum("st,trcd->srcd", weights, infer(model, film))
    return generate(model, codes, *film.shape[2:])


def averaged(film: Tensor, factor: int, *, sigma: float = 0.5) -> Tensor:
    """The same windows on pixels: what needs no model, (factor · (T − 1) + 1, C, H, W)."""
    return torch.einsum("st,tchw->schw", time_weights(len(film), factor, sigma), film)
