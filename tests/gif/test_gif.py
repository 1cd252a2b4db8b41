"""GIF and what it is compared with: how conditions enter, and what each loss moves."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch import Tensor

from teachlib.errors import TeachlibError
from teachlib.gif import consistency, heads, models, objectives, parameters, recipes, rendering, rotations, textures
from teachlib.gif.appearance import albedo, head_atlas
from teachlib.gif.chapter import CHAPTER
from teachlib.gif.head import head
from teachlib.primer.gan import discriminator_loss
from teachlib.training import Batch, Schedule, fit

FACES = (*recipes.RENDERED, *recipes.VECTORS)


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def data() -> heads.Heads:
    """A few pictures without the time to photograph them: renderings before grey."""
    chosen = parameters.randomly(24, _generator())
    shown = rendering.condition(chosen, 32)
    images = ((shown[:, :3] / 2 + 0.5) * 200 + 30).byte()
    return heads.Heads(images, ((shown + 1) * 127.5).round().byte(), chosen)


def _model(name: str) -> models.Face:
    torch.manual_seed(0)
    built = models.build(recipes.recipe(name, scale="ci", pictures=24))
    assert isinstance(built, models.Face)
    return built


def _learned(model: torch.nn.Module) -> None:
    """Weights as after some training: what starts at zero does not stay there."""
    generator = _generator(3)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.3 * torch.randn(weight.shape, generator=generator))


# --------------------------------------------------------------------------------------------------------- conditions


@pytest.mark.parametrize(("name", "channels"), [("gif", 6), ("gif-normals", 3), ("gif-texture", 3)])
def test_a_model_sees_the_renderings_of_its_name_and_no_others(name: str, channels: int, data: heads.Heads) -> None:
    model = _model(name)
    shown = data.condition(torch.arange(4))
    found = model.condition(data.parameters[:4], shown)
    assert found.shape == (4, channels, 32, 32)
    expected = {"gif": shown, "gif-normals": shown[:, 3:], "gif-texture": shown[:, :3]}[name]
    assert torch.equal(found, expected)
    assert torch.allclose(model.condition(data.parameters[:4]), expected, atol=0.02)  # made anew: no rounding to bytes


@pytest.mark.parametrize("name", FACES)
def test_what_is_asked_changes_the_picture_and_its_judgement(name: str, data: heads.Heads) -> None:
    model = _model(name)
    model.standard.set(models.vector(data.parameters))
    _learned(model)
    styles = model.styles(torch.zeros(2, dtype=torch.long))
    first, second = model(data.parameters[:2], styles)
    assert (first - second).abs().mean() > 1e-3
    assert torch.equal(model(data.parameters[:2], styles)[0], first)  # noise of vector models is fixed
    pictures = data[:2][0] * 2 - 1
    conditions = model.condition(data.parameters[:2])
    right, wrong = model.discriminator(pictures, conditions), model.discriminator(pictures, conditions.flip(0))
    assert not torch.allclose(right, wrong, atol=1e-4)


def test_injectors_add_nothing_at_first_and_then_where_the_rendering_is() -> None:
    injector = models.Injector(6, 5, 16)
    rendering_ = torch.randn(1, 6, 32, 32, generator=_generator())
    assert (injector(rendering_) == 0).all()
    _learned(injector)
    moved = rendering_.clone()
    moved[:, :, :8, :8] += 1
    change = (injector(moved) - injector(rendering_)).abs().sum(1)[0]
    assert change.shape == (16, 16)
    assert change[:4, :4].min() > 0
    assert (change[10:, 10:] == 0).all()


def test_each_picture_has_a_style_of_its_own_for_ever() -> None:
    model = _model("gif")
    styles = model.styles(torch.arange(24))
    assert torch.equal(styles, _model("gif-normals").styles(torch.arange(24)))
    assert torch.cdist(styles, styles).add(9 * torch.eye(24)).min() > 1
    assert styles.std() == pytest.approx(1, abs=0.1)
    with pytest.raises(TeachlibError, match=r"expected|takes"):
        model(parameters.neutral(2), torch.zeros(2, 3))


def test_vectors_hold_every_number_and_are_standardized_but_for_what_never_changes() -> None:
    chosen = parameters.randomly(200, _generator())
    rows = models.vector(chosen)
    assert rows.shape == (200, models.VECTOR) == (200, 157)
    assert torch.equal(rows[:, :50], chosen.shape)
    assert torch.equal(rows[:, -27:], chosen.light.flatten(1))
    standard = models.Standard(157)
    standard.set(rows)
    found = standard(rows)
    changes = rows.std(0) > 1e-6
    assert torch.allclose(found[:, changes].mean(0), torch.tensor(0.0), atol=1e-4)
    assert torch.allclose(found[:, changes].std(0), torch.tensor(1.0), atol=1e-3)
    assert (found[:, ~changes] == 0).all()
    assert (~changes).any()  # eyes do not roll


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"name": "gif-vectro"}, "did you mean 'gif-vector'"),
        ({"name": "gif", "dataset": "glyphs"}, "only heads, faces, ffhq can"),
        ({"name": "gif", "width": 0}, "width is 0"),
        ({"name": "gif", "pictures": -1}, "pictures is -1; expected at least 0"),
        ({"name": "gif", "pictures": 10**6}, "pictures is 1,000,000; heads has [0-9,]+ to train on"),
    ],
)
def test_other_recipes_are_refused(words: dict[str, object], said: str) -> None:
    with pytest.raises(TeachlibError, match=said):
        recipes.recipe(**words)  # type: ignore[arg-type]
    with pytest.raises(TeachlibError, match="here: holds no recipe of the GIF chapter"):
        CHAPTER.recipe_of({"name": "gif"}, "here")


def test_half_of_the_pictures_are_the_first_half_and_none_are_the_scales() -> None:
    usual = recipes.recipe("gif", scale="ci")
    assert recipes.recipe("gif", scale="ci", pictures=0) == usual
    few = CHAPTER.recipe("gif", scale="ci", pictures=usual.pictures // 2)
    assert CHAPTER.label(few) == f"gif+pictures={usual.pictures // 2}"
    all_, first = (CHAPTER.load(recipe, "train", None) for recipe in (usual, few))
    assert len(first) == len(all_) // 2
    assert torch.equal(first[:][0], all_[: len(first)][0])


# ------------------------------------------------------------------------------------------------ texture consistency


def test_pairs_are_compared_where_both_show_the_texel_and_each_texel_counts_alike() -> None:
    stolen = torch.rand(3, 2, 4, 4, generator=_generator())
    visible = torch.rand(3, 4, 4, generator=_generator(1)) > 0.4
    squares = []
    for i in range(3):
        for j in range(i):
            both = visible[i] & visible[j]
            squares += (stolen[i] - stolen[j]).square()[:, both].flatten().tolist()
    found = consistency.texture_consistency(stolen, visible)
    assert found.item() == pytest.approx(sum(squares) / len(squares), rel=1e-5)
    assert consistency.texture_consistency(stolen, torch.zeros_like(visible)) == 0
    assert consistency.texture_consistency(stolen[:1].expand(3, -1, -1, -1), visible) == 0


def test_heads_are_moved_a_share_of_their_own_on_the_shortest_way() -> None:
    chosen = parameters.randomly(4, _generator())
    none, all_ = consistency.interpolated(chosen, torch.zeros(4)), consistency.interpolated(chosen, torch.ones(4))
    assert torch.allclose(none.shape, chosen.shape)
    assert torch.allclose(all_.shape, chosen.shape.roll(-1, 0), atol=1e-6)
    assert torch.allclose(rotations.matrix(all_.pose), rotations.matrix(chosen.pose.roll(-1, 0)), atol=1e-5)
    mixed = consistency.interpolated(chosen, torch.tensor([0.0, 1.0, 0.5, 0.25]))
    assert torch.allclose(mixed.expression[0], chosen.expression[0])
    assert torch.allclose(mixed.expression[1], chosen.expression[2], atol=1e-6)
    assert torch.allclose(mixed.camera[3], 0.75 * chosen.camera[3] + 0.25 * chosen.camera[0])
    for group in ("appearance", "light"):
        assert torch.equal(getattr(mixed, group), getattr(chosen, group)[:1].expand_as(getattr(mixed, group)))


def test_a_painted_head_is_consistent_and_one_painted_anew_for_each_view_is_not() -> None:
    chosen = consistency.interpolated(parameters.randomly(4, _generator()), torch.rand(4, generator=_generator()))
    seen = consistency.views(chosen, 64, 64)
    mesh, found = head(), rendering.render(chosen, 64)

    def painted(appearance: Tensor) -> Tensor:  # without light, which moves on the skin
        picture = textures.textured(found.fragments, mesh.uv, mesh.uv_faces, albedo(appearance, 64))
        return consistency.texture_consistency(*seen.steal(picture))

    same = painted(chosen.appearance)
    other = painted(torch.randn(4, 10, generator=_generator()))
    assert same < 0.1 * other
    assert head_atlas(64).used.any()


# ----------------------------------------------------------------------------------------------------------- training


def _steps(objective: objectives.FaceObjective, step: int) -> list[tuple[str, Tensor]]:
    batch = objective.data[torch.arange(4)]
    return list(objective.updates(batch, _generator(), step))


def test_r1_and_texture_consistency_come_every_so_often(data: heads.Heads) -> None:
    objective = objectives.FaceObjective(_model("gif"), data)
    names = [name for name, _ in _steps(objective, 16)]
    assert names == ["discriminator", "discriminator", "generator"]
    assert [name for name, _ in _steps(objective, 17)] == ["discriminator", "generator"]
    _learned(objective.model)
    plain = objectives.FaceObjective(objective.model, data)
    plain.recipe = recipes.recipe("gif-no-texture-loss", scale="ci", pictures=24)
    with_, without = (_steps(one, 4)[-1][1] for one in (objective, plain))
    again, _ = (_steps(one, 5)[-1][1] for one in (objective, plain))
    loss = objective.texture_loss(torch.arange(4), _after_one_judgement(objective))
    assert with_ > without
    assert torch.allclose(again, without)
    assert torch.allclose(with_, without + 4 * loss, rtol=1e-4)


def _after_one_judgement(objective: objectives.FaceObjective) -> torch.Generator:
    """The generator as it is when the texture loss draws: rendered models have drawn nothing before."""
    assert objective.recipe.renderings
    return _generator()


def test_the_discriminator_judges_pairs_and_generated_pictures_reach_no_generator(data: heads.Heads) -> None:
    objective = objectives.FaceObjective(_model("gif"), data)
    _learned(objective.model)
    name, loss = _steps(objective, 1)[0]
    assert name == "discriminator"
    loss.backward()
    assert all(weight.grad is None for weight in objective.model.generator.parameters())
    pictures, numbers = data[torch.arange(4)]
    conditions, model = data.condition(numbers), objective.model
    generated = model.generator(model.styles(numbers), conditions)
    expected = discriminator_loss(
        model.discriminator(2 * pictures - 1, conditions), model.discriminator(generated, conditions)
    )
    assert torch.allclose(loss, expected)


def test_r1_is_the_pictures_slope_alone_times_its_rarity(data: heads.Heads) -> None:
    objective = objectives.FaceObjective(_model("gif"), data)
    _learned(objective.model)
    penalty = _steps(objective, 0)[1][1]
    pictures, numbers = data[torch.arange(4)]
    x = (2 * pictures - 1).requires_grad_()
    (slope,) = torch.autograd.grad(objective.model.discriminator(x, data.condition(numbers)).sum(), x)
    expected = 16 * objective.recipe.gamma / 2 * slope.square().sum((1, 2, 3)).mean()
    assert torch.allclose(penalty, expected, rtol=1e-4)


@pytest.mark.parametrize("name", ["gif", "gif-vector", "gif-vector-projection", "reinference"])
def test_an_interrupted_run_ends_as_an_unbroken_one(name: str, data: heads.Heads, tmp_path: Path) -> None:
    schedule = Schedule(steps=7, batch_size=4, checkpoint_every=3, ema_half_life=0.1)
    start = _model_of(name).state_dict()

    def run(folder: str, breaks: int | None) -> dict[str, Tensor]:
        model = _model_of(name)
        objective = _Breaking(_objective(model, data), breaks)
        with pytest.raises(KeyboardInterrupt) if breaks else nullcontext():
            fit(objective, data, schedule, folder=tmp_path / folder, resume=True, progress=False)
        return model.state_dict()

    whole = run("whole", None)
    run("broken", 5)
    torch.manual_seed(5)
    again = run("broken", None)
    assert all(torch.equal(whole[key], again[key]) for key in whole)
    assert any(not torch.equal(whole[key], start[key]) for key in whole)


def _model_of(name: str) -> models.Face | models.Reinference:
    torch.manual_seed(0)
    return models.build(recipes.recipe(name, scale="ci", pictures=24))


def _objective(
    model: models.Face | models.Reinference, data: heads.Heads
) -> objectives.FaceObjective | objectives.ReinferenceObjective:
    if isinstance(model, models.Reinference):
        return objectives.ReinferenceObjective(model, data)
    return objectives.FaceObjective(model, data)


class _Breaking:
    """An objective that is interrupted at a step."""

    def __init__(self, inner: objectives.FaceObjective | objectives.ReinferenceObjective, at: int | None) -> None:
        self.inner, self.at, self.nets, self.optimizers = inner, at, inner.nets, inner.optimizers

    def updates(self, batch: Batch, generator: torch.Generator, step: int) -> Iterator[tuple[str, Tensor]]:
        if step == self.at:
            raise KeyboardInterrupt
        yield from self.inner.updates(batch, generator, step)


@pytest.mark.parametrize("name", ["gif", "gif-vector-projection"])
def test_a_still_head_gives_still_frames_however_they_are_batched(name: str) -> None:
    face = models.Face(recipes.recipe(name, scale="ci"))
    with torch.no_grad():
        for weight in face.parameters():  # noise and injectors begin at zero
            weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
        asked = parameters.randomly(1, torch.Generator().manual_seed(2))[torch.zeros(3, dtype=torch.long)]
        frames = face(asked, face.styles(torch.zeros(3, dtype=torch.long)))
        alone = face(asked[:1], face.styles(torch.zeros(1, dtype=torch.long)))
    torch.testing.assert_close(frames, alone.expand_as(frames))


def test_a_projection_is_the_inner_product_over_the_root_of_its_length() -> None:
    torch.manual_seed(0)
    judge = models.Face(recipes.recipe("gif-vector-projection", scale="ci")).discriminator
    pictures, told = torch.randn(4, 3, 32, 32), torch.randn(4, models.VECTOR)
    h = judge.trunk(pictures)
    expected = judge.logit(h)[:, 0] + torch.einsum("nd,nd->n", h, judge.embedding(told)) / h.shape[1] ** 0.5
    torch.testing.assert_close(judge(pictures, told), expected)


def test_each_picture_is_drawn_in_its_own_style_and_textures_are_compared_in_one(monkeypatch) -> None:
    training = heads.load("train", 32, 20)
    face = models.Face(recipes.recipe("gif", scale="ci", pictures=20))
    objective = objectives.FaceObjective(face, training)
    seen: list[Tensor] = []
    generate = objective.nets["generator"]

    class Watched(torch.nn.Module):
        def forward(self, z: Tensor, *rest: object, **named: object) -> Tensor:
            seen.append(z)
            return generate(z, *rest, **named)

    objective.nets["generator"] = Watched()
    numbers = torch.tensor([7, 3, 11, 5])
    batch = training[numbers]
    list(objective.updates(batch, torch.Generator().manual_seed(0), 0))
    every = face.styles(torch.arange(20))
    assert torch.equal(seen[0], every[numbers])
    assert torch.equal(seen[1], every[numbers])
    assert torch.equal(seen[2], every[numbers[:1]].expand(4, -1))
