"""How the network that judges is trained: groups that count alike, and shifts that are changes of the camera."""

import pytest
import torch

from teachlib.errors import TeachlibError
from teachlib.gif import camera, heads, objectives, recipes
from teachlib.gif.evaluation import COLUMNS, vector_columns
from teachlib.gif.models import VECTOR, Reinference, vector
from teachlib.gif.objectives import group_weights, shifted, shifted_camera
from teachlib.gif.parameters import randomly
from teachlib.gif.recipes import recipe


def test_every_group_counts_as_much_as_every_other_and_what_never_changes_not_at_all() -> None:
    changes = torch.ones(VECTOR, dtype=torch.bool)
    changes[vector_columns()["expression"].start] = False
    weights = group_weights(changes)
    assert weights.sum().item() == pytest.approx(1)
    assert weights[vector_columns()["expression"].start] == 0
    assert weights[COLUMNS["jaw"]].sum() > 10 * weights.mean()  # one number of 157
    sums = {group: weights[columns].sum().item() for group, columns in COLUMNS.items()}
    assert sums["light"] == pytest.approx(sums["appearance"]) == pytest.approx(sums["camera"])
    assert sums["expression"] == pytest.approx(sums["light"])


def test_pictures_are_moved_each_by_its_own_pixels() -> None:
    picture = torch.arange(16.0).view(1, 1, 4, 4).repeat(2, 1, 1, 1)
    moved = shifted(picture, torch.tensor([1, 0]), torch.tensor([0, -2]))
    assert torch.equal(moved[0, 0, :, 1:], picture[0, 0, :, :-1])
    assert torch.equal(moved[0, 0, :, 0], picture[0, 0, :, 0])  # the edge, repeated
    assert torch.equal(moved[1, 0, :2], picture[1, 0, 2:])


def test_the_camera_of_a_moved_picture_shows_the_head_where_the_picture_has_it() -> None:
    asked = randomly(5, torch.Generator().manual_seed(0))
    right, down = torch.tensor([0, 1, -2, 2, 0]), torch.tensor([0, 0, 1, 2, -1])
    moved = shifted_camera(vector(asked), right, down, 32)
    points = torch.randn(5, 7, 3, generator=torch.Generator().manual_seed(1))
    before, after = (
        camera.project(points, numbers[:, vector_columns()["camera"]]) for numbers in (vector(asked), moved)
    )
    pixels = (after - before) * 16  # the screen is two wide and 32 pixels
    torch.testing.assert_close(pixels[..., 0], right[:, None].expand(5, 7).float(), atol=1e-4, rtol=0)
    torch.testing.assert_close(pixels[..., 1], -down[:, None].expand(5, 7).float(), atol=1e-4, rtol=0)
    others = torch.ones(VECTOR, dtype=torch.bool)
    others[vector_columns()["camera"]] = False
    assert torch.equal(moved[:, others], vector(asked)[:, others])


def test_the_loss_is_the_weighted_error_of_what_the_network_says_of_the_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(objectives, "_FURTHEST", 0)
    monkeypatch.setattr(objectives, "_NOISE", 0.0)
    training = heads.load("train", 32, 12)
    model = Reinference(recipe("reinference", scale="ci"))
    objective = objectives.ReinferenceObjective(model, training)
    batch = training[torch.tensor([3, 1, 7])]
    ((name, loss),) = objective.updates(batch, torch.Generator().manual_seed(0), 0)
    asked = model.standard(vector(training.parameters[batch[1]]))
    error = (model.network(2 * batch[0] - 1) - asked).square()
    assert name == "reinference"
    torch.testing.assert_close(loss, (error * group_weights(model.standard.deviation > 1e-6)).sum(1).mean())


def test_options_of_pictures_that_are_drawn_are_refused() -> None:
    with pytest.raises(TeachlibError, match="reinference has no use for mixing; leave it at 0"):
        recipes.recipe("reinference", scale="ci", mixing=0.9)
