"""Rotations beside SciPy's, and the ways between them."""

import math

import pytest
import torch
from scipy.spatial.transform import Rotation, Slerp

from teachlib.errors import TeachlibError
from teachlib.gif import rotations


def _some(scale: float) -> torch.Tensor:
    return scale * torch.randn(200, 3, generator=torch.Generator().manual_seed(0), dtype=torch.double)


@pytest.mark.parametrize("scale", [0.0, 1e-9, 1e-4, 0.5, 3.0])
def test_matrices_are_scipys(scale: float) -> None:
    vectors = _some(scale)
    expected = Rotation.from_rotvec(vectors.numpy()).as_matrix()
    assert torch.allclose(rotations.matrix(vectors), torch.from_numpy(expected), atol=1e-12)


@pytest.mark.parametrize("scale", [0.0, 1e-9, 1e-4, 0.5, 3.0])
def test_axis_and_angle_is_the_inverse_up_to_whole_turns(scale: float) -> None:
    found = rotations.axis_angle(rotations.matrix(_some(scale)))
    expected = Rotation.from_rotvec(_some(scale).numpy()).as_rotvec()
    assert torch.allclose(found, torch.from_numpy(expected), atol=1e-9)
    assert found.norm(dim=-1).max() <= math.pi + 1e-9


def test_half_turns_keep_their_axis() -> None:
    for axis in (torch.eye(3, dtype=torch.double), _some(1.0)):
        unit = torch.nn.functional.normalize(axis, dim=-1)
        found = rotations.axis_angle(rotations.matrix(math.pi * unit))
        assert torch.allclose((found / math.pi * unit).sum(-1).abs(), torch.ones(len(unit), dtype=torch.double))


def test_no_rotation_has_a_slope() -> None:
    assert torch.autograd.gradcheck(rotations.matrix, torch.zeros(2, 3, dtype=torch.double, requires_grad=True))
    assert torch.autograd.gradcheck(rotations.matrix, _some(1.0)[:3].requires_grad_())


def test_the_way_between_two_is_spherical_and_takes_each_samples_own_share() -> None:
    first, second = _some(1.0), _some(1.0).flip(0)
    share = torch.rand(200, generator=torch.Generator().manual_seed(1), dtype=torch.double)
    found = rotations.matrix(rotations.between(first, second, share))
    for i in range(0, 200, 20):
        pair = Rotation.from_rotvec(torch.stack([first[i], second[i]]).numpy())
        expected = Slerp([0, 1], pair)(share[i].item()).as_matrix()
        assert torch.allclose(found[i], torch.from_numpy(expected), atol=1e-7)


def test_halfway_across_the_back_is_a_half_turn_not_none() -> None:
    about = torch.tensor([0.0, math.radians(170), 0.0])
    half = rotations.between(about, -about, torch.tensor(0.5))
    assert half.norm() == pytest.approx(math.pi, abs=1e-3)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(TeachlibError, match=r"\(2, 4\); expected \(…, 3\)"):
        rotations.matrix(torch.zeros(2, 4))
