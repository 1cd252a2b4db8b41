"""Synthetic photographs of heads whose every parameter is known: what a model of real ones is tried on.

Nothing here is learned. A photograph shows the head of :mod:`teachlib.gif.head` with skin, hair, glasses, teeth and
clothes, lit by its spherical harmonics with a soft shadow from where most light comes, before a background out of
focus; then the lens blurs a little and the sensor adds noise.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, grid_sample, normalize, pad

from teachlib.gif import camera, light, mesh, rasterizer, rotations, wardrobe
from teachlib.gif.appearance import albedo
from teachlib.gif.head import Head, head
from teachlib.gif.parameters import Parameters
from teachlib.gif.rasterizer import Fragments, rasterize
from teachlib.gif.textures import textured
from teachlib.gif.wardrobe import Style

SHELLS = 6  # of hair
SCREEN = 2.2  # the exponent of its curve
_SHADOWS = 96  # pixels a side, of what the lamp sees


@dataclass
class _Picture:
    """What is in front at each pixel so far: depth, colour, normal and what it is made of."""

    depth: Tensor
    colour: Tensor
    normal: Tensor
    shine: Tensor

    def add(self, depth: Tensor, colour: Tensor, normal: Tensor, shine: float, shown: Tensor) -> None:
        """Paint over what lies behind."""
        nearer = shown & (depth > self.depth)
        self.depth = torch.where(nearer, depth, self.depth)
        self.colour = torch.where(nearer[:, None], colour, self.colour)
        self.normal = torch.where(nearer[:, None], normal, self.normal)
        self.shine = torch.where(nearer, shine, self.shine)


def photograph(parameters: Parameters, style: Style, size: int = 64, *, finer: int = 2) -> Tensor:
    """Photographs, (N, 3, size, size) in [0, 1], as a screen shows them (sRGB).

    Args:
        parameters: of N heads.
        style: of the same N.
        size: height and width, in pixels.
        finer: pixels a side that each of these is averaged from.
    """
    among, side = head(), size * finer
    posed = among.vertices(parameters.shape, parameters.expression, parameters.pose)
    picture = _taken(parameters, style, among, posed, side)
    lit = _lit(picture, posed, among, parameters)
    seen = torch.where(picture.depth[:, None] > -torch.inf, lit, _background(style, side))
    return _developed(avg_pool2d(seen, finer), style)


def layers(parameters: Parameters, style: Style, size: int = 64, *, finer: int = 2) -> tuple[Tensor, Tensor]:
    """A head and the glasses that it wears, apart, without background, lens or sensor.

    Everyone wears glasses, whatever the style says; what of them the head hides is left out.

    Args:
        parameters: of N heads.
        style: of the same N.
        size: height and width, in pixels.
        finer: pixels a side that each of these is averaged from.

    Returns:
        Colours (N, 2, 3, size, size), as a screen shows them, and how much is covered (N, 2, size, size); both in
        [0, 1], the head first.
    """
    among, side = head(), size * finer
    posed = among.vertices(parameters.shape, parameters.expression, parameters.pose)
    picture = _taken(parameters, _wearing(style, False), among, posed, side)
    bare = picture.depth
    of_head = _lit(picture, posed, among, parameters)
    _add_things(picture, among, parameters, _wearing(style, True))  # what is there already is not nearer
    lit = torch.stack([of_head, _lit(picture, posed, among, parameters)], 1)
    covers = torch.stack([bare > -torch.inf, picture.depth > bare], 1).float()
    alphas = avg_pool2d(covers, finer)
    light_of = avg_pool2d((lit * covers[:, :, None]).flatten(1, 2), finer).unflatten(1, (2, 3))
    colours = (light_of / alphas[:, :, None].clamp_min(1e-6)).clamp(0, 1) ** (1 / SCREEN)
    return colours, alphas


def _wearing(style: Style, glasses: bool) -> Style:
    return Style(**{**vars(style), "glasses": torch.full_like(style.glasses, glasses)})


def _taken(parameters: Parameters, style: Style, among: Head, posed: Tensor, side: int) -> _Picture:
    """What is in front at each pixel."""
    count = len(parameters)
    picture = _Picture(
        depth=torch.full((count, side, side), -torch.inf),
        colour=torch.zeros(count, 3, side, side),
        normal=torch.zeros(count, 3, side, side),
        shine=torch.zeros(count, side, side),
    )
    _add_skin(picture, among, posed, parameters)
    _add_hair(picture, among, among.rest(parameters.shape, parameters.expression), parameters, style)
    _add_things(picture, among, parameters, style)
    return picture


def _add_skin(picture: _Picture, among: Head, posed: Tensor, parameters: Parameters) -> None:
    side = picture.depth.shape[-1]
    found = rasterize(camera.project(posed, parameters.camera), among.faces, side)
    texture = textured(found, among.uv, among.uv_faces, albedo(parameters.appearance, 128))
    normal = rasterizer.interpolate(found, among.faces, mesh.vertex_normals(posed, among.faces))
    picture.add(found.depth, texture, normalize(normal, dim=1), 0.06, found.covered)


def _add_hair(picture: _Picture, among: Head, rest: Tensor, parameters: Parameters, style: Style) -> None:
    """Shells, each with fewer strands than the one below."""
    faces, side = wardrobe.skin_faces(), picture.depth.shape[-1]
    depth = wardrobe.scalp(style, among)
    bald = (depth[:, faces] < -0.004).all(-1)
    normals = mesh.vertex_normals(rest, among.faces)
    strands = _strands(style)
    for number in range(SHELLS):
        share = (number + 1) / SHELLS
        shell = wardrobe.hair(style, rest, normals, depth, share)
        posed = _following(shell, among, parameters, joint=1)
        found = rasterize(camera.project(posed, parameters.camera), faces, side, hidden=bald)
        strand = _strand_at(strands, found, faces, rest)
        inside = rasterizer.interpolate(found, faces, depth[..., None])[:, 0]
        thick = (inside / 0.012).clamp(0, 1)
        shown = found.covered & (inside > 0) & (strand * thick.clamp_min(0.3) > 0.75 * share * (1.15 - thick))
        normal = normalize(rasterizer.interpolate(found, faces, mesh.vertex_normals(posed, faces)), dim=1)
        tone = (0.45 + 0.55 * share) * (0.55 + 0.9 * strand)
        picture.add(found.depth, style.hair[:, :, None, None] * tone[:, None], normal, 0.15, shown)


def _strands(style: Style) -> Tensor:
    """Noise for each picture, drawn out along one axis, in [0, 1], (N, 1, 24, 256)."""
    each = [torch.rand(1, 24, 256, generator=torch.Generator().manual_seed(int(seed))) for seed in style.seed]
    return torch.stack(each)


def _strand_at(strands: Tensor, found: Fragments, faces: Tensor, places: Tensor) -> Tensor:
    """Noise at the pixels: fine around the head, coarse along its height."""
    at = rasterizer.interpolate(found, faces, places)
    around = torch.atan2(at[:, 0], -at[:, 2] - 0.05) / torch.pi  # about the middle of the skull; all the way round
    down = (4.5 * at[:, 1]).sin()
    return grid_sample(strands, torch.stack([around, down], -1), align_corners=False, padding_mode="reflection")[:, 0]


def _following(points: Tensor, among: Head, parameters: Parameters, joint: int) -> Tensor:
    """Points at rest, carried along by one joint."""
    rest = among.posed_joints(parameters.shape, parameters.expression, torch.zeros_like(parameters.pose))
    there = among.posed_joints(parameters.shape, parameters.expression, parameters.pose)
    turned = rotations.matrix(parameters.pose[:, 0])
    if joint > 0:
        turned = turned @ rotations.matrix(parameters.pose[:, 1])
    if joint == 2:
        turned = turned @ rotations.matrix(parameters.pose[:, 2])
    return (points - rest[:, joint, None]) @ turned.mT + there[:, joint, None]


def _add_things(picture: _Picture, among: Head, parameters: Parameters, style: Style) -> None:
    count = len(parameters)
    eyes = among.posed_joints(parameters.shape, parameters.expression, torch.zeros_like(parameters.pose))[:, [4, 3]]
    rest = among.rest(parameters.shape, parameters.expression)
    bridge = (
        rest[:, ((among.template - torch.tensor([0.0, -0.002, 0.03])).norm(dim=1)).argmin(), 2] - eyes[:, 0, 2] + 0.004
    )
    things = [(wardrobe.glasses(style, eyes, bridge), style.frame, style.glasses, 0.5)]
    things += [(row, torch.full((count, 3), 0.75), style.teeth, 0.3) for row in wardrobe.teeth(count)]
    for piece, colour, worn, shine in things:
        flat = colour[:, :, None, None].expand_as(picture.colour)
        _add_piece(picture, piece, flat, worn, shine, among, parameters)
    clothed = torch.ones(count, dtype=torch.bool)
    _add_piece(
        picture, wardrobe.clothes(count), _cloth(style, picture.depth.shape[-1]), clothed, 0.0, among, parameters
    )


def _add_piece(
    picture: _Picture,
    piece: wardrobe.Piece,
    colour: Tensor,
    worn: Tensor,
    shine: float,
    among: Head,
    parameters: Parameters,
) -> None:
    pose = parameters.pose.clone()
    if piece.joint == 0:
        pose[:, 0] *= 0.3  # shoulders turn less than heads
    posed = _following(piece.vertices, among, Parameters(**{**vars(parameters), "pose": pose}), piece.joint)
    found = rasterize(camera.project(posed, parameters.camera), piece.faces, picture.depth.shape[-1], cull=False)
    normal = normalize(rasterizer.interpolate(found, piece.faces, mesh.vertex_normals(posed, piece.faces)), dim=1)
    normal = torch.where(normal[:, 2:] < 0, -normal, normal)
    picture.add(found.depth, colour, normal, shine, found.covered & worn[:, None, None])


def _cloth(style: Style, side: int) -> Tensor:
    """Plain or striped, (N, 3, side, side)."""
    height = torch.linspace(1, -1, side)
    first, second = style.clothes[:, :, :, None, None].unbind(1)
    phase = height / style.stripes[:, None].clamp_min(1e-3)
    striped = ((phase.sin() > 0) & (style.stripes[:, None] > 0))[:, None, :, None]
    return torch.where(striped, second, first).expand(-1, 3, side, side)


def _lit(picture: _Picture, posed: Tensor, among: Head, parameters: Parameters) -> Tensor:
    """Even light, a soft shadow where the lamp is hidden, and a highlight."""
    lamp, strength = _lamp(parameters.light)
    shading = light.shading(picture.normal, parameters.light)
    hidden = _shadow(picture, posed, among, parameters, lamp)
    facing = torch.einsum("nchw,nc->nhw", picture.normal, lamp).clamp_min(0)
    shading = shading - (0.55 * hidden * facing)[:, None] * strength[:, :, None, None]
    halfway = normalize(lamp + torch.tensor([0.0, 0.0, 1.0]), dim=1)
    glossy = torch.einsum("nchw,nc->nhw", picture.normal, halfway).clamp_min(0) ** 24
    highlight = (picture.shine * glossy * (1 - hidden))[:, None] * strength[:, :, None, None]
    return picture.colour * shading.clamp_min(0.04) + 0.5 * highlight


def _lamp(lights: Tensor) -> tuple[Tensor, Tensor]:
    """Where most light comes from, (N, 3), and how strong it is in each colour, (N, 3)."""
    first = lights[:, 1:4].mean(2)[:, [2, 0, 1]]  # y, z, x
    direction = normalize(first + torch.tensor([0.0, 0.0, 1e-4]), dim=1)
    strength = torch.einsum("nkc,nk->nc", lights[:, 1:4], direction[:, [1, 2, 0]]) / (torch.pi * 0.4886)
    return direction, strength.clamp_min(0)


def _shadow(picture: _Picture, posed: Tensor, among: Head, parameters: Parameters, lamp: Tensor) -> Tensor:
    """How much of the lamp each pixel does not see, in [0, 1]: depth as the lamp sees it, compared in nine places."""
    across = normalize(torch.linalg.cross(torch.tensor([0.0, 1.0, 0.0]).expand_as(lamp), lamp), dim=1)
    view = torch.stack([across, torch.linalg.cross(lamp, across), lamp], 1)
    scale = parameters.camera[:, :1, None]
    middle = posed.mean(1, keepdim=True)
    seen = rasterize(((posed - middle) @ view.mT) * 6.5, among.faces, _SHADOWS)
    side = picture.depth.shape[-1]
    steps = (2 * torch.arange(side) + 1) / side - 1
    y, x = torch.meshgrid(-steps, steps, indexing="ij")
    screen = torch.stack([x.expand(len(posed), -1, -1), y.expand(len(posed), -1, -1), picture.depth], -1).flatten(1, 2)
    shift = torch.cat([parameters.camera[:, 1:], torch.zeros(len(posed), 1)], 1)[:, None]
    there = ((screen.clamp_min(-9) / scale - shift - middle) @ view.mT) * 6.5
    blocked = seen.depth.clamp_min(-9)[:, None]
    hidden = torch.zeros(len(posed), side * side)
    for dx in (-1.5, 0.0, 1.5):
        for dy in (-1.5, 0.0, 1.5):
            at = torch.stack([there[..., 0], -there[..., 1]], -1) + torch.tensor([dx, dy]) * 2 / _SHADOWS
            nearest = grid_sample(blocked, at[:, None], mode="nearest", align_corners=False)[:, 0, 0]
            hidden += ((nearest - there[..., 2] - 0.06) / 0.04).clamp(0, 1)
    return (hidden / 9).view(len(posed), side, side)


def _background(style: Style, side: int) -> Tensor:
    """Three blurred patches of colour, (N, 3, side, side)."""
    steps = torch.linspace(-1, 1, side)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    away = (x - style.spots[..., :1, None]).square() + (y - style.spots[..., 1:, None]).square()
    return torch.einsum("nkhw,nkc->nchw", (-3.0 * away).softmax(1), style.background)


def _developed(seen: Tensor, style: Style) -> Tensor:
    """Blur of the lens, noise of the sensor, and the screen's curve."""
    taps = torch.tensor([0.1, 0.8, 0.1])
    kernel = (taps[:, None] * taps).expand(3, 1, 3, 3)
    blurred = conv2d(pad(seen, (1, 1, 1, 1), mode="replicate"), kernel, groups=3)
    noise = [torch.randn(seen.shape[1:], generator=torch.Generator().manual_seed(int(seed) + 1)) for seed in style.seed]
    curved = blurred.clamp(0, 1) ** (1 / SCREEN)
    return (curved + style.noise[:, None, None, None] * torch.stack(noise)).clamp(0, 1)
