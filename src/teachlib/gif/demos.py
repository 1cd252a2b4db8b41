"""Demos of the chapter that run in a reader's page."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, grid_sample, normalize

from teachlib.chapter import Chapter
from teachlib.errors import TeachlibError
from teachlib.gif import light, mesh, rotations
from teachlib.gif.appearance import COMPONENTS, linear_model
from teachlib.gif.head import expression_of, head
from teachlib.gif.models import Face
from teachlib.gif.parameters import MOODS, Parameters, centred, neutral
from teachlib.gif.rasterizer import rasterize
from teachlib.live import Demo, Graph, Part

_PSI = 0.7  # of truncation
_STYLES = 8  # to choose from
_FINER = 2  # pixels a side that each of a rendering's is averaged from, as in training
_TEXELS = 128  # of the skin's texture, as in training
_SKIN, _BEARD = COMPONENTS.index("lightness of the skin"), COMPONENTS.index("shadow of a beard")


@dataclass(frozen=True)
class Knob:
    """A number that a reader turns: its name, and from where to where; as wide as training goes."""

    label: str
    low: float
    high: float


KNOBS = (
    Knob("turn, in degrees", -50, 50),
    Knob("nod, in degrees", -14, 14),
    Knob("open mouth", 0, 1),
    Knob("smile", 0, 1),
    Knob("first shape component", -2.5, 2.5),
    Knob("lightness of the skin", -2, 2),
    Knob("shadow of a beard", -2, 2),
    Knob("side of the lamp, in degrees", -80, 80),
)


def asked(numbers: Tensor) -> Parameters:
    """What :data:`KNOBS` stand for, as all parameters: (N, 8) → of N heads."""
    whole = neutral(len(numbers))
    smile = expression_of(MOODS["smile"], head())
    whole = replace(
        whole,
        shape=torch.cat([numbers[:, 4:5], whole.shape[:, 1:]], 1),
        expression=numbers[:, 3:4] * smile,
        pose=pose_of(numbers),
        light=light_of(numbers),
    )
    whole.appearance[:, [_SKIN, _BEARD]] = numbers[:, 5:7]
    return centred(whole)


def pose_of(numbers: Tensor) -> Tensor:
    """Of all joints, (N, 5, 3): a head that turns and nods, a jaw, eyes that turn back half of the way."""
    turn, nod, zero = math.pi / 180 * numbers[:, 0], math.pi / 180 * numbers[:, 1], torch.zeros(len(numbers))
    gaze = torch.stack([zero, (-turn / 2).clamp(-0.45, 0.45), zero], 1)
    root = torch.stack([nod, turn, zero], 1)
    jaw = torch.stack([math.pi / 12 * numbers[:, 2], zero, zero], 1)
    return torch.stack([root, torch.zeros_like(root), jaw, gaze, gaze], 1)


def light_of(numbers: Tensor) -> Tensor:
    """Light from all around, and a lamp above the camera that goes from one side to the other, (N, 9, 3)."""
    side = math.pi / 180 * numbers[:, 7]
    zero = torch.zeros_like(side)
    down = torch.stack([zero - 0.6, zero, zero], 1)  # radians: the lamp stands above
    turned = rotations.matrix(torch.stack([zero, side, zero], 1)) @ rotations.matrix(down)
    return light.uniform(0.4, count=len(side)) + light.from_direction(turned[:, :, 2], 0.8 * torch.ones(len(side), 3))


class Rig(nn.Module):
    """The part of the head that :data:`KNOBS` move: one component of shape, one mood, two of the skin."""

    def __init__(self) -> None:
        super().__init__()
        whole, smile = head(), expression_of(MOODS["smile"], head())[0]
        self.small = replace(
            whole,
            shape=whole.shape[:1],
            joint_shape=whole.joint_shape[:1],
            expression=torch.einsum("e,evc->vc", smile, whole.expression)[None],
            joint_expression=torch.einsum("e,ejc->jc", smile, whole.joint_expression)[None],
        )
        mean, components = linear_model(_TEXELS)
        self.register_buffer("mean", mean)
        self.register_buffer("skins", components[[_SKIN, _BEARD]])
        self.mean: Tensor
        self.skins: Tensor

    def forward(self, numbers: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """From :data:`KNOBS`, (1, 8): screen (1, V, 3), normals (1, V, 3), skin (1, 3, T, T), light (1, 9, 3)."""
        shape, expression, pose = numbers[:, 4:5], numbers[:, 3:4], pose_of(numbers)
        posed = self.small.vertices(shape, expression, pose)
        eyes = self.small.posed_joints(shape, expression, pose)[:, 3:].mean(1)
        scale = neutral().camera[:, :1]
        shift = torch.tensor([[0.0, 0.02]]) - eyes[:, :2]
        skin = (self.mean + torch.einsum("nk,kchw->nchw", numbers[:, 5:7], self.skins)).clamp(0.01, 1.0)
        normals = mesh.vertex_normals(posed, self.small.faces)
        return _placed(posed, scale, shift), normals, skin, light_of(numbers)


def _placed(posed: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """As :func:`teachlib.gif.camera.project`, whose look at the camera's numbers cannot be exported."""
    return torch.cat([scale[:, None] * (posed[..., :2] + shift[:, None]), scale[:, None] * posed[..., 2:]], -1)


def shaded(face: Tensor, weights: Tensor, normals: Tensor, skin: Tensor, lights: Tensor) -> Tensor:
    """The rendering, of what a rasterizer found at each pixel; as :func:`teachlib.gif.rendering.condition`.

    Args:
        face: index of the triangle in front, as floating-point numbers, -1 where there is none, (1, S, S).
        weights: of its corners, (1, S, S, 3).
        normals: of the vertices, (1, V, 3).
        skin: (1, 3, T, T).
        lights: (1, 9, 3).

    Returns:
        (1, 6, S / 2, S / 2).
    """
    whole, covered, number = head(), face >= 0, face.clamp_min(0).long()
    normal = (normals[0, whole.faces[number]] * weights[..., None]).sum(-2)
    normal = normalize(normal, dim=-1).movedim(-1, 1) * covered[:, None]
    places = (whole.uv[whole.uv_faces[number]] * weights[..., None]).sum(-2) * 2 - 1
    seen = grid_sample(skin, places, mode="bilinear", padding_mode="border", align_corners=False) * covered[:, None]
    colours = (seen * light.shading(normal, lights)).clamp(0, 1) ** (1 / 2.2)
    return avg_pool2d(torch.cat([2 * colours - 1, normal], 1), _FINER)


class _Shade(nn.Module):
    def forward(self, face: Tensor, weights: Tensor, normals: Tensor, skin: Tensor, lights: Tensor) -> Tensor:
        return shaded(face, weights, normals, skin, lights)


def _drawn(model: Face, rendering: Tensor, z: Tensor) -> Tensor:
    return model.draw(rendering, z, psi=_PSI)


def _numbers(generator: torch.Generator) -> dict[str, Tensor]:
    """Knobs, turned by chance."""
    low, high = (torch.tensor([getattr(knob, end) for knob in KNOBS]) for end in ("low", "high"))
    return {"numbers": low + (high - low) * torch.rand(1, len(KNOBS), generator=generator)}


def _found(numbers: Tensor, side: int) -> dict[str, Tensor]:
    """What :func:`shaded` takes."""
    screen, normals, skin, lights = Rig()(numbers)
    found = rasterize(screen, head().faces, side)
    face = found.face.float()
    return {"face": face, "weights": found.weights, "normals": normals, "skin": skin, "lights": lights}


def by_sliders(chapter: Chapter[Any, Any, Any]) -> Demo:
    """A head by eight numbers and a style: its rendering, rasterized in the page, and what GIF draws when told so."""
    model = chapter.from_zoo("gif", "heads")
    if not isinstance(model, Face) or not model.recipe.renderings:
        raise TeachlibError("the zoo's gif is told no renderings; reinstall teachlib")
    side, start = model.recipe.size * _FINER, torch.zeros(1, len(KNOBS))
    first, styles = _found(start, side), model.styles(torch.arange(_STYLES))

    def seen(generator: torch.Generator) -> dict[str, Tensor]:
        return _found(_numbers(generator)["numbers"], side)

    told = {"rendering": shaded(**first), "z": styles[:1]}
    graphs = {
        "rig": Graph(Rig(), {"numbers": start}, ("screen", "normals", "skin", "lights"), _numbers),
        "shade": Graph(_Shade(), first, ("rendering",), seen),
        "gif": Graph(Part(model, _drawn), told, ("x",)),
    }
    constants = {
        "knobs": [vars(knob) for knob in KNOBS],
        "faces": head().faces.flatten().tolist(),
        "styles": styles.tolist(),
        "side": model.recipe.size,
        "finer": _FINER,
    }
    return Demo(graphs, Path(__file__).with_name("by_sliders.js"), constants)
