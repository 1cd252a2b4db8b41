"""FLAME (Li et al., 2017), for those who have its licence: its file as a :class:`teachlib.gif.head.Head`.

The file ``generic_model.pkl`` comes from https://flame.is.tue.mpg.de, and with it a template in OBJ format that has the
coordinates in the texture. The thesis conditions its model on 236 numbers of FLAME (§ 5.3.4), in the order of the
released code: 100 of shape, 50 of expression, 6 of pose, 3 of the camera, 50 of appearance and 27 of light.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from teachlib.data import pickles
from teachlib.errors import TeachlibError
from teachlib.gif import obj
from teachlib.gif.head import JOINTS, Head

SHAPE = 300  # of FLAME's 400 components; the others are expression
_SHAPES = {
    "v_template": ("V", 3),
    "f": ("F", 3),
    "shapedirs": ("V", 3, "K"),
    "posedirs": ("V", 3, 36),
    "J_regressor": (5, "V"),
    "weights": ("V", 5),
}
# Group → how many of the 236 numbers; the pose is that of the root and of the jaw.
VECTOR = {"shape": 100, "expression": 50, "pose": 6, "camera": 3, "appearance": 50, "light": 27}


def read(model: str | Path, template: str | Path) -> Head:
    """FLAME as a head.

    Args:
        model: ``generic_model.pkl``; opened without running anything that it names.
        template: the OBJ file with coordinates in the texture, of the same triangles.

    Raises:
        TeachlibError: files that cannot be read, or with other arrays.
    """
    file = Path(model).expanduser()
    try:
        contents = file.read_bytes()
    except OSError as error:
        raise TeachlibError(f"{file}: cannot be read ({error.strerror}); expected FLAME's generic_model.pkl") from None
    arrays = _arrays(pickles.read(contents, file), file)
    mesh = obj.read(template)
    if not torch.equal(mesh.faces, arrays["f"].long()):
        raise TeachlibError(f"{template}: {len(mesh.faces)} triangles, not the {len(arrays['f'])} of {file.name}")
    components = arrays["shapedirs"].movedim(2, 0)
    regressor = arrays["J_regressor"]
    moved = torch.einsum("jv,kvc->kjc", regressor, components)
    return Head(
        template=arrays["v_template"],
        faces=mesh.faces,
        uv=mesh.uv,
        uv_faces=mesh.uv_faces,
        shape=components[:SHAPE],
        expression=components[SHAPE:],
        joints=regressor @ arrays["v_template"],
        joint_shape=moved[:SHAPE],
        joint_expression=moved[SHAPE:],
        skinning=arrays["weights"],
        correctives=arrays["posedirs"].movedim(2, 0),
    )


def _arrays(found: Any, file: Path) -> dict[str, Tensor]:
    """The arrays of FLAME's file, once their shapes fit each other."""
    kept = {_text(name): value for name, value in found.items()} if isinstance(found, dict) else {}
    sides: dict[str, int] = {}
    for name, shape in _SHAPES.items():
        value = kept.get(name)
        if not isinstance(value, np.ndarray) or value.ndim != len(shape):
            raise TeachlibError(f"{file}: no array '{name}' of {len(shape)} axes; expected FLAME's generic_model.pkl")
        for side, length in zip(shape, value.shape, strict=True):
            if (sides.setdefault(side, length) if isinstance(side, str) else side) != length:
                expected = ", ".join(str(sides.get(side, side) if isinstance(side, str) else side) for side in shape)
                raise TeachlibError(f"{file}: '{name}' is {value.shape}; expected ({expected})")
    if sides["K"] <= SHAPE:
        raise TeachlibError(f"{file}: {sides['K']} components; expected more than {SHAPE}: those of shape come first")
    return {name: torch.from_numpy(kept[name].astype(np.float32)) for name in _SHAPES}


def _text(name: object) -> str:
    return name.decode("latin-1") if isinstance(name, bytes) else str(name)


def split(vector: Tensor) -> dict[str, Tensor]:
    """The thesis's condition vectors, taken apart.

    Args:
        vector: (N, 236).

    Returns:
        ``shape`` (N, 100), ``expression`` (N, 50), ``pose`` of all joints (N, 5, 3), zero but for root and jaw,
        ``camera`` (N, 3), ``appearance`` (N, 50) and ``light`` (N, 9, 3).
    """
    length = sum(VECTOR.values())
    if vector.ndim != 2 or vector.shape[1] != length:
        raise TeachlibError(f"condition vectors of shape {tuple(vector.shape)}; expected (N, {length})")
    groups = dict(zip(VECTOR, vector.split(list(VECTOR.values()), dim=1), strict=True))
    pose = vector.new_zeros(len(vector), len(JOINTS), 3)
    pose[:, [JOINTS.index("root"), JOINTS.index("jaw")]] = groups["pose"].unflatten(1, (2, 3))
    return {**groups, "pose": pose, "light": groups["light"].unflatten(1, (9, 3))}


def join(groups: Mapping[str, Tensor]) -> Tensor:
    """The vectors that :func:`split` took apart, (N, 236).

    Raises:
        TeachlibError: other groups, other lengths, or turns of neck and eyes, for which the vectors have no room.
    """
    if groups.keys() != VECTOR.keys():
        raise TeachlibError(f"groups {sorted(groups)}; expected {', '.join(VECTOR)}")
    pose = groups["pose"]
    kept = [JOINTS.index("root"), JOINTS.index("jaw")]
    others = [joint for joint in range(len(JOINTS)) if joint not in kept]
    if pose.shape[1:] != (len(JOINTS), 3) or pose[:, others].any():
        raise TeachlibError("poses with turns of neck or eyes; the thesis's vectors hold those of root and jaw alone")
    flat = {**groups, "pose": pose[:, kept].flatten(1), "light": groups["light"].flatten(1)}
    for name, length in VECTOR.items():
        if flat[name].shape != (len(pose), length):
            raise TeachlibError(f"{name} of shape {tuple(flat[name].shape)}; expected ({len(pose)}, {length})")
    return torch.cat([flat[name] for name in VECTOR], 1)
