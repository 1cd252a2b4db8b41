"""Obedience: what is asked beside what is found, on numbers whose answer is known."""

import pytest
import torch
from torch import Tensor

from teachlib import gif
from teachlib.errors import TeachlibError
from teachlib.gif import evaluation, heads, models, parameters, recipes, rendering
from teachlib.gif.chapter import CHAPTER
from teachlib.gif.head import head
from teachlib.metrics import frechet_between, statistics_of


def test_columns_name_the_numbers_of_a_vector() -> None:
    asked = parameters.neutral(1)
    for group, move in (
        ("yaw", lambda one: one.pose[:, 0, 1]),
        ("pitch", lambda one: one.pose[:, 0, 0]),
        ("jaw", lambda one: one.pose[:, 2, 0]),
        ("camera", lambda one: one.camera),
        ("light", lambda one: one.light),
        ("expression", lambda one: one.expression),
        ("appearance", lambda one: one.appearance),
    ):
        changed = parameters.neutral(1)
        move(changed).add_(1)
        found = (models.vector(changed) - models.vector(asked))[0].nonzero()[:, 0].tolist()
        assert found == list(range(models.VECTOR))[evaluation.COLUMNS[group]]


def test_numbers_of_obedience_by_their_definitions() -> None:
    generator = torch.Generator().manual_seed(0)
    asked = torch.randn(4_000, 4, generator=generator, dtype=torch.double)
    noise = torch.randn(4_000, generator=generator, dtype=torch.double)
    asked[:, 3] = 2.0
    found = torch.stack([asked[:, 0], 0.5 * asked[:, 1] + 0.5 * noise, noise, noise], 1)
    result = evaluation.obedience(asked, found)
    assert torch.allclose(result.correlation[:3], torch.tensor([1, 0.5**0.5, 0]).double(), atol=0.04)
    assert torch.allclose(result.slope[:3], torch.tensor([1, 0.5, 0]).double(), atol=0.04)
    assert torch.allclose(result.r2[:3], torch.tensor([1, 0.5, -1]).double(), atol=0.06)
    by_torch = torch.corrcoef(torch.stack([asked[:, 1], found[:, 1]]))[0, 1]
    assert torch.allclose(result.correlation[1], by_torch)
    assert result.correlation[3].isnan()
    shifted = evaluation.obedience(asked[:, :1], found[:, :1] + 1)
    assert shifted.correlation.item() == pytest.approx(1)
    assert shifted.r2.item() == pytest.approx(0, abs=0.05)  # right up to an offset is not right


def _setting() -> tuple[models.Face, models.Reinference, heads.Heads]:
    chosen = parameters.randomly(30, torch.Generator().manual_seed(0))
    shown = rendering.condition(chosen, 32)
    test = heads.Heads(((shown[:, :3] + 1) * 127).byte(), ((shown + 1) * 127.5).byte(), chosen)
    torch.manual_seed(0)
    face, judge = (models.build(recipes.recipe(name, scale="ci", pictures=30)) for name in ("gif", "reinference"))
    assert isinstance(face, models.Face)
    assert isinstance(judge, models.Reinference)
    judge.standard.set(models.vector(chosen))
    return face, judge, test


def test_a_face_is_measured_beside_the_ceiling_and_left_as_it_was() -> None:
    face, judge, test = _setting()
    result = gif.evaluate(face, judge, test, seed=3)
    assert face.training
    row = result.row()
    assert {"yaw correlation", "ceiling yaw r2", "light slope", "style drift", "variety inside"} <= row.keys()
    assert all(-1 <= value <= 1 for name, value in row.items() if name.endswith("correlation"))
    assert gif.evaluate(face, judge, test, seed=3).row() == row
    assert result.variety[0] > 0
    asked = judge.standard(models.vector(test.parameters))
    expected = evaluation.obedience(asked, evaluation.inferred(judge, test[:][0]))
    assert torch.equal(result.ceiling.r2.nan_to_num(), expected.r2.nan_to_num())


def test_what_does_not_look_at_its_condition_drifts_nowhere() -> None:
    """A new model adds nothing to its features: whatever is exchanged, its picture stays; and obeys in nothing."""
    face, judge, test = _setting()
    with torch.no_grad():
        judge.network[-1].weight.mul_(100)  # of a new network, that says nearly the same of every picture
    drift = gif.group_drift(face, judge, test, "pose")
    assert set(drift) == set(evaluation.COLUMNS) - {"yaw", "pitch", "jaw"}
    assert max(drift.values()) < 1e-6
    with torch.no_grad():
        for weight in face.parameters():
            weight.add_(0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    assert min(gif.group_drift(face, judge, test, "pose").values()) > 1e-5
    with pytest.raises(TeachlibError, match="expected some of shape"):
        gif.group_drift(face, judge, test, "hair")


def test_measuring_asks_for_a_network_that_reads() -> None:
    with pytest.raises(TeachlibError, match="the zoo: no network that reads parameters off pictures of 999 pixels"):
        CHAPTER._judge(None, 999)


def test_fidelity_sees_what_the_judge_does_not() -> None:
    """A head pasted into another photograph covers less than other photographs do."""
    test, others = heads.load("test", 32, 100), heads.load("train", 32, 100)
    pasted = evaluation.pasted(test, others)
    inside = test.condition(torch.arange(100))[:, 3:].abs().sum(1, keepdim=True).expand_as(pasted) > 0.1
    assert torch.equal(pasted[~inside], others[:][0][~inside])
    torch.testing.assert_close(pasted[inside], (test.condition(torch.arange(100))[:, :3] / 2 + 0.5)[inside])
    same, control = (evaluation.fidelity(test[:][0], pictures) for pictures in (others[:][0], pasted))
    assert same.coverage > control.coverage + 0.3
    assert same.density > 2 * control.density
    assert same.frechet < control.frechet
    assert evaluation.fidelity(test[:][0], test[:][0]).frechet == pytest.approx(0, abs=1e-6)
    large = torch.nn.functional.interpolate(test[:][0], scale_factor=2)
    torch.testing.assert_close(evaluation.looks(large), evaluation.looks(test[:][0]))


@pytest.mark.parametrize("factor", evaluation.FACTORS)
def test_the_distance_of_vertices_is_that_of_the_heads(factor: str) -> None:
    """A judge that answers exactly, one that says the mean, and one that is a known step off in one number."""
    asked = evaluation.one_factor(factor, 6, torch.Generator().manual_seed(0))
    numbers = models.vector(asked)

    class Says(torch.nn.Module):
        def __init__(self, offset: torch.Tensor) -> None:
            super().__init__()
            self.standard, self.offset = models.Standard(numbers.shape[1]), offset
            self.standard.mean.copy_(numbers.mean(0))

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            return numbers - self.standard.mean + self.offset  # deviations are one

    exact = evaluation.vertex_error(torch.zeros(6, 1), asked, factor, Says(torch.zeros(())))  # type: ignore[arg-type]
    assert exact.rmse < 1e-3
    assert exact.floor > 0.3
    columns = evaluation.vector_columns()[factor]
    offset = torch.zeros(numbers.shape[1])
    offset[columns.start] = 1.0
    error = evaluation.vertex_error(torch.zeros(6, 1), asked, factor, Says(offset))  # type: ignore[arg-type]
    assert error.rmse > error.mean > 0.01
    if factor == "shape":  # linear: the first component itself
        moved = head().shape[0].norm(dim=1) * 1000
        assert error.mean == pytest.approx(moved.mean().item(), rel=1e-3)
        assert error.rmse == pytest.approx(moved.square().mean().sqrt().item(), rel=1e-3)


def test_one_factor_changes_and_eyes_stay_in_the_middle() -> None:
    asked = evaluation.one_factor("pose", 5, torch.Generator().manual_seed(0))
    assert asked.shape.count_nonzero() == 0
    eyes = head().posed_joints(asked.shape, asked.expression, asked.pose)[:, 3:].mean(1)
    seen = eyes[:, :2] + asked.camera[:, 1:]
    torch.testing.assert_close(seen, torch.tensor([0.0, 0.02]).expand(5, 2), atol=1e-6, rtol=0)
    with pytest.raises(TeachlibError, match="factor"):
        evaluation.one_factor("hair", 1, torch.Generator())


def test_an_evaluation_is_of_the_pictures_of_two_styles_beside_the_photographs() -> None:
    """Every number of it, computed again from the pictures."""
    face, judge, test = _setting()
    with torch.no_grad():
        for weight in face.parameters():
            weight.add_(0.2 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    result = gif.evaluate(face, judge, test, seed=5)
    numbers = torch.randint(face.recipe.pictures, (2, len(test)), generator=torch.Generator().manual_seed(5))
    first, second = (evaluation.drawn(face, test.parameters, face.styles(rows)) for rows in numbers)
    moved = (first - second).abs().mean(1)
    inside = test.condition(torch.arange(len(test)))[:, 3:].abs().sum(1) > 0.1
    outside_inside = (moved[~inside].mean().item(), moved[inside].mean().item())
    assert result.variety == pytest.approx(outside_inside)
    assert outside_inside[0] != pytest.approx(outside_inside[1])
    assert result.fidelity == evaluation.fidelity(test[:][0], first)
    assert result.fidelity != evaluation.fidelity(first, test[:][0])
    changes = judge.standard.deviation > 1e-6
    read, other = evaluation.inferred(judge, first), evaluation.inferred(judge, second)
    assert result.style_drift == pytest.approx((read - other)[:, changes].abs().mean().item())


def test_a_judge_reads_one_picture_as_it_reads_it_among_others() -> None:
    _, judge, test = _setting()
    pictures = test[:][0]
    judge.train()
    alone = evaluation.inferred(judge, pictures[:1])
    assert judge.training
    torch.testing.assert_close(alone, evaluation.inferred(judge, pictures)[:1], atol=1e-5, rtol=0)


class _Turning(torch.nn.Module):
    """Pictures as bright as a head is turned, with so much noise in every frame."""

    def __init__(self, noise: float) -> None:
        super().__init__()
        self.noise = noise

    def styles(self, numbers: Tensor) -> Tensor:
        return torch.zeros(len(numbers), 4)

    def forward(self, asked: parameters.Parameters, styles: Tensor) -> Tensor:
        noise = torch.randn(len(asked), 3, 8, 8, generator=torch.Generator().manual_seed(0))
        return 0.5 + asked.pose[:, 0, 1].view(-1, 1, 1, 1) + self.noise * noise


def test_what_changes_evenly_does_not_tremble_and_noise_does_whatever_its_strength() -> None:
    even, weak, strong = (evaluation.trembling(_Turning(noise)) for noise in (0.0, 1.0, 2.0))  # type: ignore[arg-type]
    assert even < 1e-4
    # Second differences of white noise have the deviation √6, first ones √2.
    assert weak == pytest.approx(3**0.5, rel=0.03)
    assert strong == pytest.approx(weak, rel=0.01)


def test_looks_and_light_are_told_apart() -> None:
    """A generator that is deaf to light and guesses it from looks hears one in the other, and only there."""
    asked = torch.randn(4000, 157, generator=torch.Generator().manual_seed(0))
    found = asked.clone()
    columns = parameters.vector_columns()
    light = found[:, columns["light"]].unflatten(1, (9, 3))
    yaw = asked[:, columns["pose"]][:, 1:2]
    guessed = light.clone()
    guessed[:, 3] = 0.9 * yaw / 3**0.5  # as far as the mean of three colours varies
    found[:, columns["light"]] = guessed.flatten(1)
    row = evaluation._talked(evaluation._talk(asked, found))
    assert row["looks obeyed"] == pytest.approx(1, abs=0.01)
    assert row["looks heard in light"] == pytest.approx(0.9, abs=0.03)
    assert abs(row["light heard in looks"]) < 0.01
    assert abs(row["light obeyed"]) < 0.05


def test_fidelity_is_over_the_photographs_variance() -> None:
    real, dull = torch.rand(2, 300, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    dull = 0.5 + 0.2 * (dull - 0.5)
    ours, theirs = (statistics_of(evaluation.looks(pictures)) for pictures in (dull, real))
    assert evaluation.fidelity(real, dull).frechet == pytest.approx(frechet_between(ours, theirs, relative=True))
