"""A generator for each object, run in turn on the picture assembled so far; and one discriminator (Figure 7.1b)."""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from teachlib.energy.assemble.shapes import SIZE
from teachlib.errors import TeachlibError, require_as_many, require_input
from teachlib.nets import mlp

CROP = 16  # pixels that what is in a box is scaled to
_STYLE = 64  # numbers that z and box become
_DARK = 0.1  # what is darker is not made brighter


def masks(conditions: Tensor) -> Tensor:
    """Boxes as pictures, 1 inside and 0 outside: (N, K, 5) → (N, K, 32, 32); of what is not there, 0."""
    there, left, top, right, bottom = conditions[..., None].unbind(-2)
    ticks = torch.arange(SIZE, device=conditions.device)
    across = (torch.minimum(right, ticks + 1) - torch.maximum(left, ticks)).clamp(0, 1)
    down = (torch.minimum(bottom, ticks + 1) - torch.maximum(top, ticks)).clamp(0, 1)
    return there[..., None] * down[..., None] * across[..., None, :]


def told(conditions: Tensor) -> Tensor:
    """What networks see of boxes, (N, K, 5) → (N, 3K, 32, 32): the mask, and where in the box a pixel is, -1 … 1."""
    _, left, top, right, bottom = conditions[..., None].unbind(-2)
    inside, ticks = masks(conditions), torch.arange(SIZE, device=conditions.device) + 0.5
    across = (2 * ticks - left - right) / (right - left).clamp_min(1)
    down = (2 * ticks - top - bottom) / (bottom - top).clamp_min(1)
    places = torch.stack([across[..., None, :].expand_as(inside), down[..., None].expand_as(inside)], 2)
    return torch.cat([inside[:, :, None], places.clamp(-1.5, 1.5) * inside[:, :, None]], 2).flatten(1, 2)


class Modulated(nn.Module):
    """A convolution whose channels the style scales and shifts (Perez et al., 2018), and a leaky rectifier."""

    def __init__(self, before: int, after: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(before, after, kernel, stride, kernel // 2)
        self.affine = nn.Linear(_STYLE, 2 * after)
        nn.init.normal_(self.affine.weight, std=0.3 / _STYLE**0.5)
        nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(N, before, H, W) and (N, 64) → (N, after, H, W)."""
        scale, shift = self.affine(style)[..., None, None].chunk(2, 1)
        return F.leaky_relu(self.convolution(x) * (1 + scale) + shift, 0.2)


class Painter(nn.Module):
    """Draws objects into a picture: their colour, and how much they cover.

    It has the whole picture at a glance, in 8×8 pixels, and decides by that, its noise and its boxes what to draw. One
    half of it works at a quarter of the pixels and knows the surroundings; the other half decides each pixel from those
    and from where the pixel is in the box, which makes sharp edges cheap.

    Args:
        objects: how many boxes it is told.
        width: channels.
        z_dim: numbers of noise for each object.
        sees: whether there is a picture that it draws into.
    """

    def __init__(self, objects: int, width: int, z_dim: int, *, sees: bool = True) -> None:
        super().__init__()
        seen = 3 * sees + 3 * objects
        self.mapping = mlp(objects * (z_dim + 5), _STYLE, _STYLE, activation=nn.LeakyReLU)
        self.glance = nn.Linear(3 * 8 * 8, _STYLE) if sees else None
        if self.glance is not None:
            nn.init.zeros_(self.glance.weight)  # at first, nothing depends on what earlier painters do
        self.first = Modulated(4 * seen, width, 3)
        self.down = Modulated(width, 2 * width, 3, stride=2)
        self.middle = Modulated(2 * width, 2 * width, 3)
        self.up = Modulated(2 * width, width, 3)
        self.shared = nn.Conv2d(width, width, 1)
        pixel = 3 * width // 2
        self.pixels = nn.ModuleList(
            [Modulated(seen + width, pixel, 1), *(Modulated(pixel, pixel, 1) for _ in range(2))]
        )
        self.last = nn.Conv2d(pixel, 4, 1)

    def forward(self, picture: Tensor | None, conditions: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Colours (N, 3, 32, 32) and alphas (N, 1, 32, 32) in [0, 1].

        Args:
            picture: as far as it is assembled, (N, 3, 32, 32) in [0, 1]; ``None`` for a painter that sees none.
            conditions: of the objects to draw, (N, K, 5).
            z: noise, (N, K, z_dim).
        """
        scaled = conditions / torch.tensor([1.0, *[SIZE] * 4], device=conditions.device)
        style, seen = self.mapping(torch.cat([z, scaled], 2).flatten(1)), told(conditions)
        if self.glance is not None and picture is not None:
            style = style + self.glance(F.avg_pool2d(picture, SIZE // 8).flatten(1))
            seen = torch.cat([2 * picture - 1, seen], 1)
        fine = self.first(F.pixel_unshuffle(seen, 2), style)
        coarse = self.middle(self.down(fine, style), style)
        context = self.up(F.interpolate(coarse, scale_factor=2.0), style) + fine
        x = torch.cat([F.interpolate(self.shared(context), scale_factor=2.0, mode="bilinear"), seen], 1)
        for layer in self.pixels:
            x = layer(x, style)
        drawn = self.last(x)
        return drawn[:, :3].sigmoid(), (drawn[:, 3:] - 1).sigmoid()


class Assembler(nn.Module):
    """One painter an object, in turn: each sees what those before it have made, and adds its own.

    Args:
        width: of each painter.
        z_dim: numbers of noise for each object.
        objects: how many, K.
        blends: whether painters add by alpha; otherwise each returns the whole picture anew.
    """

    def __init__(self, width: int, z_dim: int, *, objects: int = 3, blends: bool = True) -> None:
        super().__init__()
        self.z_dim, self.blends = z_dim, blends
        self.painters = nn.ModuleList(Painter(1, width, z_dim) for _ in range(objects))

    def add(self, number: int, picture: Tensor, conditions: Tensor, z: Tensor) -> Tensor:
        """The picture (N, 3, 32, 32) with one more object, where conditions (N, K, 5) have it; z is (N, K, d)."""
        mine = conditions[:, number : number + 1]
        colour, alpha = self.painters[number](picture, mine, z[:, number : number + 1])
        there = mine[:, :, :1, None]
        share = there * alpha if self.blends else there
        return share * colour + (1 - share) * picture

    def steps(
        self, conditions: Tensor, z: Tensor, order: Sequence[int], picture: Tensor | None = None
    ) -> Iterator[tuple[int, Tensor]]:
        """Each object's number and the picture after it, from a given one on, or from black."""
        picture = _black(conditions) if picture is None else picture
        for number in order:
            picture = self.add(number, picture, conditions, z)
            yield number, picture

    def forward(
        self, conditions: Tensor, z: Tensor, order: Sequence[int] | None = None, picture: Tensor | None = None
    ) -> Tensor:
        """Pictures (N, 3, 32, 32) in [0, 1] of conditions (N, K, 5) and noise (N, K, z_dim).

        Args:
            conditions: of all objects.
            z: noise of all objects.
            order: of those to draw, one after the other; all of them unless it is given.
            picture: to begin from, (N, 3, 32, 32) in [0, 1]; black unless it is given.

        Raises:
            TeachlibError: conditions, noise or pictures of another shape or precision, or not as many of each; an order
                of objects that there are not.
        """
        _require_told(self, conditions, z, (len(self.painters), self.z_dim))
        if wrong := sorted(set(order or ()) - set(range(len(self.painters)))):
            raise TeachlibError(f"object {wrong[0]} in the order; expected 0 … {len(self.painters) - 1}")
        if picture is not None:
            require_input(self, picture, (3, SIZE, SIZE), what="pictures")
            require_as_many(conditions=conditions, pictures=picture)
        picture = _black(conditions) if picture is None else picture
        order = range(len(self.painters)) if order is None else order
        return [picture, *(after for _, after in self.steps(conditions, z, order, picture))][-1]


def _black(conditions: Tensor) -> Tensor:
    """As many pictures with nothing in them."""
    return conditions.new_zeros(len(conditions), 3, SIZE, SIZE)


def _require_told(net: nn.Module, conditions: Tensor, z: Tensor, noise: tuple[int, int]) -> None:
    require_input(net, conditions, (noise[0], 5), what="conditions")
    require_input(net, z, noise, what="noise")
    require_as_many(conditions=conditions, noises=z)


class Joint(nn.Module):
    """The rival: one painter that is told everything and draws all objects at once, on black.

    Args:
        width: of its painter.
        z_dim: numbers of noise for each object.
        objects: how many, K.
    """

    def __init__(self, width: int, z_dim: int, *, objects: int = 3) -> None:
        super().__init__()
        self.noise = (objects, z_dim)
        self.painter = Painter(objects, width, z_dim, sees=False)

    def forward(self, conditions: Tensor, z: Tensor, order: Sequence[int] | None = None) -> Tensor:
        """Pictures (N, 3, 32, 32) in [0, 1]; there is no order in which they are drawn. Raises as an assembler does."""
        _require_told(self, conditions, z, self.noise)
        colour, alpha = self.painter(None, conditions, z)
        return alpha * colour


class Guesser(nn.Module):
    """Logits of which painter has drawn what is in a box, by its rough form: 8×8 pixels of :func:`crops`.

    Args:
        painters: how many, K.
        width: channels.
    """

    def __init__(self, painters: int, width: int = 16) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.AvgPool2d(2),
            *(nn.Conv2d(1, width, 3, 1, 1), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(width, 2 * width, 3, 2, 1), nn.LeakyReLU(0.2)),
            *(nn.Flatten(), nn.Linear(2 * width * (CROP // 4) ** 2, painters)),
        )

    def forward(self, seen: Tensor) -> Tensor:
        """(M, 1, 16, 16) → (M, painters)."""
        return self.layers(seen)


def crops(picture: Tensor, conditions: Tensor) -> Tensor:
    """What is in each box, scaled to 16×16 pixels and as bright as its brightest channel, the most of it 1.

    Args:
        picture: (N, 3, 32, 32) in [0, 1].
        conditions: boxes, (N, K, 5).

    Returns:
        (N·K, 1, 16, 16), differentiable with respect to the picture.
    """
    _, left, top, right, bottom = conditions.flatten(0, 1).unbind(1)
    zero = torch.zeros_like(left)
    across = torch.stack([(right - left) / SIZE, zero, (left + right) / SIZE - 1], 1)
    down = torch.stack([zero, (bottom - top) / SIZE, (top + bottom) / SIZE - 1], 1)
    places = F.affine_grid(torch.stack([across, down], 1), [len(left), 1, CROP, CROP], align_corners=False)
    grey = picture.amax(1, keepdim=True).repeat_interleave(conditions.shape[1], 0)
    found = F.grid_sample(grey, places, align_corners=False)
    return found / found.amax((1, 2, 3), keepdim=True).clamp_min(_DARK)


class Judge(nn.Module):
    """Logits of "real, and of these boxes": a picture and the masks of all boxes beside it.

    Args:
        width: channels of the first layer.
        objects: how many boxes there are, K.
    """

    def __init__(self, width: int, *, objects: int = 3) -> None:
        super().__init__()
        self.objects = objects
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(2),
            *(nn.Conv2d(4 * (3 + objects), width, 3, 1, 1), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(width, 2 * width, 3, 2, 1), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(2 * width, 2 * width, 3, 2, 1), nn.LeakyReLU(0.2)),
            *(nn.Flatten(), nn.Linear(2 * width * (SIZE // 8) ** 2, 96), nn.LeakyReLU(0.2), nn.Linear(96, 1)),
        )

    def forward(self, picture: Tensor, conditions: Tensor) -> Tensor:
        """(N, 3, 32, 32) in [0, 1] and (N, K, 5) → (N,).

        Raises:
            TeachlibError: pictures or conditions of another shape or precision, or not as many of both.
        """
        require_input(self, picture, (3, SIZE, SIZE), what="pictures")
        require_input(self, conditions, (self.objects, 5), what="conditions")
        require_as_many(pictures=picture, conditions=conditions)
        return self.layers(torch.cat([2 * picture - 1, 2 * masks(conditions) - 1], 1))[:, 0]
