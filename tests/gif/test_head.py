"""Heads: skinning beside chains of matrices, the head that ships, and FLAME's file in its own format."""

import math
import pickle
import sys
import types
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import scipy.sparse
import torch
from torch import Tensor

from teachlib.data import pickles
from teachlib.errors import TeachlibError
from teachlib.gif import flame, mesh, obj, rotations
from teachlib.gif.head import JOINTS, Head, expression_of, head

GENERATOR = torch.Generator().manual_seed(0)
NO_POSE = torch.zeros(1, 5, 3)


def _numbers(count: int, among: Head, scale: float = 0.4) -> tuple[Tensor, Tensor, Tensor]:
    shape = torch.randn(count, len(among.shape), generator=GENERATOR)
    expression = torch.rand(count, len(among.expression), generator=GENERATOR)
    return shape, expression, scale * torch.randn(count, 5, 3, generator=GENERATOR)


def _chain(among: Head, shape: Tensor, expression: Tensor, pose: Tensor) -> Tensor:
    """One head by 4 × 4 matrices: about each joint, then about its parent, and so on up to the root."""
    joints = among.joints.double().clone()
    for number, row in zip(shape, among.joint_shape, strict=True):
        joints += number * row
    for number, row in zip(expression, among.joint_expression, strict=True):
        joints += number * row
    about = torch.eye(4, dtype=torch.double).repeat(5, 1, 1)
    about[:, :3, :3] = rotations.matrix(pose.double())
    about[:, :3, 3] = joints - (about[:, :3, :3] @ joints[..., None])[..., 0]
    for joint, parent in ((1, 0), (2, 1), (3, 1), (4, 1)):
        about[joint] = about[parent] @ about[joint]
    points = among.rest(shape[None], expression[None])[0].double()
    if among.correctives is not None:
        features = (rotations.matrix(pose[1:].double()) - torch.eye(3)).flatten()
        points = points + (features[:, None, None] * among.correctives).sum(0)
    points = torch.cat([points, torch.ones(len(points), 1)], 1)
    mixed = (among.skinning.double()[:, :, None, None] * about).sum(1)
    return (mixed @ points[..., None])[:, :3, 0]


def test_posed_vertices_follow_chains_of_matrices() -> None:
    among = head()
    shape, expression, pose = _numbers(3, among)
    found = among.vertices(shape, expression, pose)
    for i in range(3):
        assert torch.allclose(found[i].double(), _chain(among, shape[i], expression[i], pose[i]), atol=1e-5)


def test_no_pose_is_the_head_at_rest_and_a_turned_root_is_rigid() -> None:
    among = head()
    shape, expression, _ = _numbers(1, among)
    rest = among.vertices(shape, expression, NO_POSE)
    assert torch.allclose(rest, among.rest(shape, expression), atol=1e-6)
    pose = NO_POSE.clone()
    pose[:, 0] = torch.tensor([0.3, -0.8, 0.2])
    turned = among.vertices(shape, expression, pose)
    root = among.posed_joints(shape, expression, NO_POSE)[:, 0]
    expected = (rest - root) @ rotations.matrix(pose[:, 0]).mT + root
    assert torch.allclose(turned, expected, atol=1e-5)


def test_joints_lie_where_parents_take_them() -> None:
    """The point of a joint does not move when that joint alone turns."""
    among = head()
    shape, expression, _ = _numbers(1, among)
    at_rest = among.posed_joints(shape, expression, NO_POSE)
    for joint in range(5):
        pose = NO_POSE.clone()
        pose[:, joint] = torch.tensor([0.5, 0.2, -0.3])
        moved = among.posed_joints(shape, expression, pose)
        assert torch.allclose(moved[:, joint], at_rest[:, joint], atol=1e-6)
    assert not torch.allclose(moved[:, :], among.posed_joints(shape, expression, 0.5 * torch.ones(1, 5, 3)), atol=1e-3)


def test_the_head_that_ships_is_a_head_in_metres() -> None:
    among = head()
    assert (among.template.shape, among.shape.shape[0], len(among.actions)) == ((4538, 3), 50, 52)
    low, high = among.template.amin(0), among.template.amax(0)
    assert torch.allclose((high - low)[:2], torch.tensor([0.18, 0.24]), atol=0.04)
    eyes = among.joints[3:]
    assert torch.allclose(eyes.mean(0), torch.zeros(3), atol=1e-3)
    assert 0.055 < eyes[0, 0] - eyes[1, 0] < 0.07  # the left eye at positive x, as far apart as people's
    assert torch.allclose(among.skinning.sum(1), torch.ones(4538), atol=1e-6)
    # Outwards: the volume that the triangles enclose is positive.
    a, b, c = among.template[among.faces].unbind(1)
    assert 0.002 < (a * torch.linalg.cross(b, c)).sum().item() / 6 < 0.006  # cubic metres; it is open at the neck
    assert 0 <= among.uv.min() < among.uv.max() <= 1


def test_units_and_signs_of_its_numbers() -> None:
    among = head()
    none, still = torch.zeros(1, 0), torch.zeros(1, 0)
    rest = among.rest(none, still)[0]
    size = torch.cat([among.shape, among.joint_shape], 1).norm(dim=(1, 2))
    assert (size[:-1] >= 0.999 * size[1:]).all()  # the first component changes most; numbers are kept in half precision
    of_jaw = among.skinning[:, JOINTS.index("jaw")] > 0.5
    nose, chin = rest[:, 2].argmax(), torch.where(of_jaw, rest[:, 1], 1.0).argmin()
    pose = NO_POSE.clone()
    pose[:, 0, 1] = 0.5
    assert among.vertices(none, still, pose)[0, nose, 0] > rest[nose, 0] + 0.02  # towards the picture's right
    pose = NO_POSE.clone()
    pose[:, JOINTS.index("jaw"), 0] = 0.3
    opened = among.vertices(none, still, pose)[0]
    assert (opened[chin, 1:] < rest[chin, 1:] - 0.003).all()  # down, and back
    assert torch.allclose(opened[nose], rest[nose], atol=1e-3)
    blink = among.rest(none, expression_of({"eyeBlinkLeft": 1.0}, among))[0] - rest
    most = blink.norm(dim=1).argmax()
    assert rest[most, 0] > 0.01
    assert abs(rest[most, 1]) < 0.02
    assert blink[most, 1] < -0.004


def test_shape_components_are_mirrored_or_mirror_images() -> None:
    """Nothing of the population is turned to one side: the mean head is its own mirror image."""
    points = head().template
    distance = torch.cdist(points[:4000:7], points * torch.tensor([-1.0, 1, 1])).amin(1)
    assert distance.median() < 2e-4


@pytest.mark.parametrize(
    ("actions", "said"),
    [
        ({"jawOpne": 1.0}, "did you mean 'jawOpen'"),
        ({"jawOpen": 1.5}, "jawOpen is 1.5"),
        ({"jawOpen": math.nan}, "nan"),
    ],
)
def test_other_actions_are_refused(actions: dict[str, float], said: str) -> None:
    with pytest.raises(TeachlibError, match=said):
        expression_of(actions, head())


def test_other_lengths_are_refused() -> None:
    with pytest.raises(TeachlibError, match=r"shape of shape \(1, 51\); expected \(N, at most 50\)"):
        head().rest(torch.zeros(1, 51), torch.zeros(1, 0))
    with pytest.raises(TeachlibError, match="as many of each"):
        head().vertices(torch.zeros(2, 3), torch.zeros(1, 0), NO_POSE)


# ------------------------------------------------------------------------------------------------------ FLAME's files


class _Ch:
    """As chumpy's arrays are pickled: an object with an array among other things."""

    def __init__(self, x: np.ndarray) -> None:
        self.x, self._dirty_vars, self._itr = x, set(), None


_Ch.__module__, _Ch.__qualname__ = "chumpy.ch", "Ch"


def _flame(folder: Path, **changes: object) -> tuple[Path, Path]:
    """Files in FLAME's format and of its sizes, with numbers at random."""
    luck = np.random.default_rng(0)
    faces = luck.integers(0, 5023, (9976, 3)).astype(np.uint32)
    weights = luck.random((5023, 5))
    regressor = luck.random((5, 5023)) * (luck.random((5, 5023)) < 0.01)
    arrays: dict[str, object] = {
        "v_template": luck.normal(size=(5023, 3)),
        "f": faces,
        "shapedirs": _Ch(0.01 * luck.normal(size=(5023, 3, 400))),
        "posedirs": 0.01 * luck.normal(size=(5023, 3, 36)),
        "J_regressor": scipy.sparse.csc_matrix(regressor / regressor.sum(1, keepdims=True)),
        "weights": weights / weights.sum(1, keepdims=True),
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]], dtype=np.int64),
        "bs_type": "lrotmin",
    }
    model, template = folder / "generic_model.pkl", folder / "head_template.obj"
    fake = {name: types.ModuleType(name) for name in ("chumpy", "chumpy.ch")}
    vars(fake["chumpy.ch"])["Ch"] = _Ch
    with mock.patch.dict(sys.modules, fake):
        model.write_bytes(pickle.dumps({**arrays, **changes}, protocol=2))
    lines = [f"v {x} {y} {z}" for x, y, z in luck.normal(size=(5023, 3))]
    lines += [f"vt {u} {v}" for u, v in luck.random((5118, 2))]
    lines += ["f " + " ".join(f"{corner + 1}/{(corner * 7) % 5118 + 1}" for corner in face) for face in faces.tolist()]
    template.write_text("\n".join(lines))
    return model, template


def _pickled(file: Path) -> dict[str, Tensor]:
    found = pickles.read(file.read_bytes(), file)
    return {name: torch.from_numpy(found[name].astype(float)) for name in ("J_regressor", "v_template")}


def test_flames_file_becomes_a_head_with_its_correctives(tmp_path: Path) -> None:
    among = flame.read(*_flame(tmp_path))
    assert (among.template.shape, len(among.shape), len(among.expression)) == ((5023, 3), 300, 100)
    shape, expression, pose = _numbers(2, among)
    found = among.vertices(shape, expression, pose)
    expected = _chain(among, shape[1], expression[1], pose[1])
    assert torch.allclose(found[1].double(), expected, atol=2e-4)
    assert among.correctives is not None
    few = among.vertices(shape[:, :100], expression[:, :50], pose)  # as the thesis uses it
    zeros = torch.zeros(2, 200), torch.zeros(2, 50)
    filled = torch.cat([shape[:, :100], zeros[0]], 1), torch.cat([expression[:, :50], zeros[1]], 1)
    assert torch.allclose(few, among.vertices(*filled, pose), atol=1e-5)
    # Joints follow the shaped mesh: the same mixture of its vertices.
    regressor = _pickled(tmp_path / "generic_model.pkl")["J_regressor"]
    expected = torch.einsum("jv,nvc->njc", regressor.float(), among.rest(shape, expression))
    assert torch.allclose(among.posed_joints(shape, expression, torch.zeros(2, 5, 3)), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"v_template": np.zeros((5022, 3))}, r"'shapedirs' is \(5023, 3, 400\); expected \(5022, 3, K\)"),
        ({"posedirs": np.zeros((5023, 3, 9))}, r"'posedirs' is \(5023, 3, 9\); expected \(5023, 3, 36\)"),
        ({"weights": "none"}, "no array 'weights' of 2 axes"),
        ({"f": np.zeros((3, 3), dtype=np.uint32)}, "9976 triangles, not the 3"),
    ],
)
def test_other_arrays_are_refused_in_a_line(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    with pytest.raises(TeachlibError, match=said):
        flame.read(*_flame(tmp_path, **changes))


def test_a_pickle_that_would_run_something_is_not_opened(tmp_path: Path) -> None:
    model, template = _flame(tmp_path)
    model.write_bytes(pickle.dumps({"v_template": Path("here")}))
    with pytest.raises(TeachlibError, match="such a file can do anything"):
        flame.read(model, template)
    with pytest.raises(TeachlibError, match="cannot be read"):
        flame.read(tmp_path / "nowhere.pkl", template)


def test_condition_vectors_in_the_theses_order_come_apart_and_together() -> None:
    vector = torch.arange(236.0)[None]
    groups = flame.split(vector)
    assert groups["shape"][0, -1] == 99
    assert groups["expression"][0, 0] == 100
    assert groups["pose"][0, 0].tolist() == [150, 151, 152]
    assert groups["pose"][0, JOINTS.index("jaw")].tolist() == [153, 154, 155]
    assert groups["camera"][0].tolist() == [156, 157, 158]
    assert (groups["appearance"][0, 0], groups["light"][0, 0, 0], groups["light"][0, 8, 2]) == (159, 209, 235)
    assert torch.equal(flame.join(groups), vector)
    groups["pose"][:, JOINTS.index("neck")] = 1
    with pytest.raises(TeachlibError, match="neck or eyes"):
        flame.join(groups)
    with pytest.raises(TeachlibError, match=r"expected \(N, 236\)"):
        flame.split(vector[:, 1:])


# --------------------------------------------------------------------------------------------------------------- OBJ


def test_meshes_are_read_quadrilaterals_and_all(tmp_path: Path) -> None:
    file = tmp_path / "square.obj"
    file.write_text("# a square\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 1\nf 1/1 2/1 3/2 -1/2\n")
    found = obj.read(file)
    assert found.faces.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert found.uv.tolist() == [[0, 1], [1, 0]]  # rows of a picture go down
    assert found.uv_faces.tolist() == [[0, 0, 1], [0, 1, 1]]
    assert (mesh.vertex_normals(found.vertices[None], found.faces)[..., 2] == 1).all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("v 0 0 0\nf 1 1 1\n", "no coordinates in a texture"),
        ("", "no coordinates in a texture"),
        ("v 0 0 zero\n", r"line 1: 'v 0 0 zero'; expected numbers"),
        ("v 0 0\nvt 0 0\nf 1/1 1/1 1/1\n", "fewer than three"),
        ("v 0 0 0\nvt 0 0\nf 1/1 1/1 2/1\n", "a corner that is not there, of 1 and 1"),
    ],
)
def test_other_meshes_are_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.obj").write_text(text)
    with pytest.raises(TeachlibError, match=said):
        obj.read(tmp_path / "a.obj")


def test_mediapipes_mesh(real_data: Path) -> None:
    found = obj.read(real_data / "mesh" / "canonical_face_model.obj")
    assert (len(found.vertices), len(found.faces), len(found.uv)) == (468, 898, 468)


def test_vertex_normals_are_weighed_by_area() -> None:
    vertices = torch.tensor([[[0.0, 0, 0], [3, 0, 0], [0, 1, 0], [0, 0, 1]]])
    normals = mesh.vertex_normals(vertices, torch.tensor([[0, 1, 2], [0, 2, 3]]))
    torch.testing.assert_close(normals[0, 0], torch.tensor([1.0, 0, 3]) / math.sqrt(10))
