"""Everything that a picture of a head is asked to show, as numbers."""

import math
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from teachlib.errors import TeachlibError
from teachlib.gif import light, rotations
from teachlib.gif.appearance import COMPONENTS
from teachlib.gif.head import JOINTS, head

# Expressions of whole faces: how far their actions go at most.
MOODS: dict[str, dict[str, float]] = {
    "smile": {"mouthSmileLeft": 0.9, "mouthSmileRight": 0.9, "cheekSquintLeft": 0.6, "cheekSquintRight": 0.6},
    "sadness": {"mouthFrownLeft": 1.0, "mouthFrownRight": 1.0, "browInnerUp": 0.9},
    "surprise": {
        "browInnerUp": 0.9,
        "browOuterUpLeft": 0.9,
        "browOuterUpRight": 0.9,
        "eyeWideLeft": 1.0,
        "eyeWideRight": 1.0,
    },
    "anger": {"browDownLeft": 1.0, "browDownRight": 1.0, "noseSneerLeft": 0.6, "noseSneerRight": 0.6},
    "pout": {"mouthPucker": 1.0},
    "closed eyes": {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0},
    "squint": {"eyeSquintLeft": 1.0, "eyeSquintRight": 1.0},
    "puffed cheeks": {"cheekPuff": 0.8},
}


@dataclass(frozen=True)
class Parameters:
    """What N pictures show; every group can be exchanged between two pictures, all others kept.

    Attributes:
        shape: of the head, distributed as N(0, 1), (N, 50).
        expression: how far each of the 52 actions goes, in [0, 1], (N, 52).
        pose: axis and angle of each joint, in radians, (N, 5, 3).
        camera: scale, x and y, (N, 3).
        appearance: of the skin, distributed as N(0, 1), (N, 10).
        light: spherical harmonics, (N, 9, 3).
    """

    shape: Tensor
    expression: Tensor
    pose: Tensor
    camera: Tensor
    appearance: Tensor
    light: Tensor

    def __post_init__(self) -> None:
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(lengths.values())) > 1:
            raise TeachlibError(f"parameters of different numbers of pictures: {lengths}")

    def __len__(self) -> int:
        return len(self.shape)

    def __getitem__(self, rows: slice | Tensor) -> "Parameters":
        return Parameters(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def exchanged(self, other: "Parameters", *groups: str) -> "Parameters":
        """These, but for some groups, which are another's.

        Raises:
            TeachlibError: an unknown group.
        """
        known = [field.name for field in fields(self)]
        if wrong := [group for group in groups if group not in known]:
            raise TeachlibError(f"groups {wrong}; expected some of {', '.join(known)}")
        return replace(self, **{group: getattr(other, group) for group in groups})


def vector(parameters: Parameters) -> Tensor:
    """All parameters of N pictures in a row, (N, 157): shape, expression, pose, camera, appearance, light."""
    return torch.cat([value.flatten(1) for value in vars(parameters).values()], 1)


def vector_columns() -> dict[str, slice]:
    """Where each group of parameters stands in a :func:`vector`."""
    columns, start = {}, 0
    for group, value in vars(neutral()).items():
        stop = start + value.flatten(1).shape[1]
        columns[group], start = slice(start, stop), stop
    return columns


def neutral(count: int = 1) -> Parameters:
    """Mean heads at rest, seen from the front in even light."""
    return Parameters(
        shape=torch.zeros(count, len(head().shape)),
        expression=torch.zeros(count, len(head().actions)),
        pose=torch.zeros(count, len(JOINTS), 3),
        camera=torch.tensor([[6.6, 0.0, 0.02]]).repeat(count, 1),
        appearance=torch.zeros(count, len(COMPONENTS)),
        light=light.uniform(0.9, count=count),
    )


def randomly(count: int, generator: torch.Generator) -> Parameters:
    """People as photographs show them: mostly from the front, looking into the camera, now and then with a mood."""
    shape = torch.randn(count, len(head().shape), generator=generator)
    expression, pose = _expressions(count, generator), _poses(count, generator)
    scale = 6.6 * (1 + 0.05 * torch.randn(count, generator=generator))
    jitter = 0.004 * torch.randn(count, 2, generator=generator)
    return Parameters(
        shape=shape,
        expression=expression,
        pose=pose,
        camera=torch.cat([scale[:, None], jitter + _between_the_eyes(shape, expression, pose)], 1),
        appearance=torch.randn(count, len(COMPONENTS), generator=generator),
        light=_lights(count, generator),
    )


def centred(asked: Parameters) -> Parameters:
    """The same heads, moved such that the middle of their eyes stands where photographs have it; scales stay."""
    shift = _between_the_eyes(asked.shape, asked.expression, asked.pose)
    return replace(asked, camera=torch.cat([asked.camera[:, :1], shift], 1))


def _between_the_eyes(shape: Tensor, expression: Tensor, pose: Tensor) -> Tensor:
    """The camera's shift that puts the middle of the eyes a little above the middle of the picture, (N, 2)."""
    return torch.tensor([0.0, 0.02]) - head().posed_joints(shape, expression, pose)[:, 3:].mean(1)[:, :2]


def _expressions(count: int, generator: torch.Generator) -> Tensor:
    actions, numbers = head().actions, torch.zeros(count, len(head().actions))
    for mood in MOODS.values():
        share = torch.rand(count, generator=generator) * (torch.rand(count, generator=generator) < 0.22)
        for name, most in mood.items():
            numbers[:, actions.index(name)] += most * share
    single = torch.rand(count, len(actions), generator=generator)
    seldom = torch.rand(count, len(actions), generator=generator) < 0.04
    return (numbers + 0.5 * single * seldom).clamp(0, 1)


def _poses(count: int, generator: torch.Generator) -> Tensor:
    """Turns of the root within 60°, of the neck less, an open mouth now and then, and eyes that mostly look ahead."""
    pose = torch.randn(count, len(JOINTS), 3, generator=generator)
    pose[:, 0] *= torch.tensor([0.10, 0.32, 0.06])
    pose[:, 0, 1].clamp_(-math.pi / 3, math.pi / 3)
    pose[:, 1] *= torch.tensor([0.08, 0.10, 0.06])
    opened = torch.rand(count, generator=generator) * (torch.rand(count, generator=generator) < 0.4)
    pose[:, 2] = torch.tensor([math.pi / 12, 0.0, 0.0]) * opened[:, None]
    gaze = 0.12 * pose[:, 3] * torch.tensor([0.6, 1.0, 0.0])
    gaze[:, 1] -= 0.5 * (pose[:, 0, 1] + pose[:, 1, 1])  # eyes stay with the camera, as far as they turn
    pose[:, 3] = pose[:, 4] = gaze.clamp(-0.45, 0.45)
    return pose


def _lights(count: int, generator: torch.Generator) -> Tensor:
    """Light from all around, a lamp, and a weaker one from the other side; warm or cool."""
    tint = 1 + 0.08 * torch.randn(count, 1, generator=generator) * torch.tensor([1.0, 0.0, -1.0])
    turn = torch.stack(
        [
            -0.35 - 0.5 * torch.rand(count, generator=generator),
            1.4 * (2 * torch.rand(count, generator=generator) - 1),
            torch.zeros(count),
        ],
        1,
    )
    forwards = torch.tensor([0.0, 0.0, 1.0])
    lamp = (
        rotations.matrix(turn * torch.tensor([0.0, 1.0, 0.0]))
        @ rotations.matrix(turn * torch.tensor([1.0, 0.0, 0.0]))
        @ forwards
    )
    strength = 0.35 + 0.6 * torch.rand(count, 1, generator=generator)
    around = light.uniform(count=count) * (0.25 + 0.35 * torch.rand(count, 1, 1, generator=generator))
    opposite = lamp * torch.tensor([-1.0, 0.3, 0.6])
    fill = light.from_direction(torch.nn.functional.normalize(opposite, dim=1), 0.3 * strength.expand(-1, 3))
    return (around + fill) * (2 - tint)[:, None] + light.from_direction(lamp, strength * tint)
