"""Data sets that tell a generator what to show, and what a recipe may ask of its training."""

import math
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch
from PIL import Image
from test_head import _flame
from torch import Tensor

from teachlib.data import pickles
from teachlib.errors import TeachlibError
from teachlib.gif import consistency, faces, ffhq, flame, heads, models, objectives, parameters, recipes, rendering
from teachlib.gif.chapter import CHAPTER
from teachlib.gif.light import shading
from teachlib.gif.stylegan2 import MIXING
from teachlib.training import Schedule, Watch, fit


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def data() -> heads.Heads:
    """A few pictures without the time to photograph them: renderings before grey."""
    chosen = parameters.randomly(24, _generator())
    shown = rendering.condition(chosen, 32)
    images = ((shown[:, :3] / 2 + 0.5) * 200 + 30).byte()
    return heads.Heads(images, ((shown + 1) * 127.5).round().byte(), chosen)


def _objective(data: heads.Heads, name: str = "gif-no-texture-loss", **options: object) -> objectives.FaceObjective:
    torch.manual_seed(0)
    face = models.build(recipes.recipe(name, scale="ci", pictures=24, **options))
    assert isinstance(face, models.Face)
    with torch.no_grad():
        for weight in face.parameters():  # as after some training: what starts at zero does not stay there
            weight.add_(0.1 * torch.randn(weight.shape, generator=_generator(1)))
    return objectives.FaceObjective(face, data)


# ----------------------------------------------------------------------------------------------------------- training


def test_path_lengths_are_held_at_every_fourth_step_on_half_a_batch(data: heads.Heads) -> None:
    objective = _objective(data, path_length=2.0)
    assert objective.differentiated_twice == ("discriminator", "generator")
    batch = data[torch.arange(8)]
    names = [[name for name, _ in objective.updates(batch, _generator(), step)] for step in (3, 4)]
    assert names == [["discriminator", "generator"], ["discriminator", "generator", "generator"]]
    length = objective.path.mean.item()
    *_, (_, loss) = objective.updates(batch, _generator(2), 8)
    drawn = []
    objective.path.penalty = lambda pictures, w, generator: drawn.append((pictures, w)) or pictures.sum()  # type: ignore[method-assign]
    list(objective.updates(batch, _generator(2), 8))
    assert drawn[0][0].shape == (4, 3, 32, 32)
    assert drawn[0][1].shape == (4, 8, 8)
    assert length > 0
    assert loss > 0
    rates = [objective.optimizers()["generator"].param_groups[0][key] for key in ("lr", "betas")]
    assert rates[0] == pytest.approx(2.5e-3 * 4 / 5)
    assert rates[1] == pytest.approx((0.0, 0.99 ** (4 / 5)))
    plain = _objective(data).optimizers()["generator"].param_groups[0]
    assert (plain["lr"], plain["betas"]) == (2.5e-3, (0.0, 0.99))


def test_styles_are_mixed_with_the_next_pictures(data: heads.Heads) -> None:
    objective, plain = _objective(data, mixing=1.0), _objective(data)
    numbers, told = torch.arange(6), objective._told(torch.arange(6))
    styles = objective._styles(numbers, _generator())
    _, codes = objective._generated(styles, told, _generator())
    _, own = plain._generated(styles, told, _generator())
    assert torch.equal(codes[:, 0], own[:, 0])
    assert torch.equal(codes[:, -1], own[:, -1].roll(1, 0))
    assert MIXING == 0.9


def test_styles_are_of_each_picture_or_learned_or_of_nobody(data: heads.Heads) -> None:
    numbers = torch.tensor([3, 5, 3])
    fixed, learned, noise = (_objective(data, styles=kind) for kind in recipes.STYLES)
    drawn = [one._styles(numbers, _generator()) for one in (fixed, learned, noise)]
    assert torch.equal(drawn[0], fixed.model.styles(numbers))
    assert torch.equal(drawn[1], learned.model.styles(numbers))
    assert not torch.equal(drawn[2][0], drawn[2][2])
    for one, kind in ((fixed, False), (learned, True), (noise, False)):
        trained = {id(weight) for weight in one.optimizers()["generator"].param_groups[0]["params"]}
        assert (one.model.learned is not None) is kind
        if one.model.learned is not None:
            assert id(one.model.learned.weight) in trained
    before = learned.model.learned.weight.clone()  # type: ignore[union-attr]
    fit(learned, data, Schedule(steps=1, batch_size=8), progress=False)
    moved = (learned.model.learned.weight != before).any(1)  # type: ignore[union-attr]
    assert 0 < moved.sum() <= 8


def test_codes_are_averaged_for_truncation(data: heads.Heads) -> None:
    objective = _objective(data)
    mapping, _ = objective.model.generator.networks()
    fit(objective, data, Schedule(steps=3, batch_size=8), progress=False)
    assert mapping.average.abs().sum() > 0
    styles = objective.model.styles(torch.arange(4))
    asked = data.parameters[:4]
    whole, half, none = (objective.model(asked, styles, psi=psi) for psi in (1.0, 0.5, 0.0))
    same = objective.model(asked[torch.zeros(4, dtype=torch.long)], styles, psi=0.0)
    assert torch.allclose(same, same[:1].expand_as(same))
    assert not torch.allclose(whole, half, atol=1e-4)
    assert not torch.allclose(half, none, atol=1e-4)


def test_pictures_and_renderings_are_augmented_together_and_real_ones_as_generated_ones(data: heads.Heads) -> None:
    objective = _objective(data, augmentation=1000)
    assert objective.augmentation is not None
    objective.augmentation.p = 1.0
    seen = list[Tensor]()
    judge = objective.nets["discriminator"]

    class Watched(torch.nn.Module):
        def forward(self, pictures: Tensor, told: Tensor) -> Tensor:
            seen.append(torch.cat([pictures, told], 1))
            return judge(pictures, told)

    objective.nets["discriminator"] = Watched()
    batch = data[torch.arange(8)]
    list(objective.updates(batch, _generator(), 0))
    assert len(seen) == 4  # real, generated, R1's, and the generator's
    plain = torch.cat([2 * batch[0] - 1, data.condition(torch.arange(8))], 1)
    # The grey pictures follow from their renderings' colours, so that geometry can be told from colour.
    assert all(not torch.allclose(one[:, 3:], plain[:, 3:], atol=0.1) for one in seen)
    told = objective._judge(data.condition(torch.arange(8)), _generator())
    assert not torch.allclose(told(plain[:, :3]), judge(plain[:, :3], plain[:, 3:]))
    objective.augmentation.p = 0.0
    assert torch.allclose(told(plain[:, :3]), judge(plain[:, :3], plain[:, 3:]))


@pytest.mark.parametrize("name", ["gif-no-texture-loss", "gif-vector-projection"])
def test_what_is_remembered_beside_weights_survives_an_interruption(
    name: str, data: heads.Heads, tmp_path: Path
) -> None:
    options = {"augmentation": 100, "path_length": 2.0, "mixing": 0.9, "styles": "learned"}
    schedule = Schedule(steps=9, batch_size=4, checkpoint_every=5)

    def run(folder: str, watch: Watch | None = None) -> objectives.FaceObjective:
        objective = _objective(data, name, **options)
        assert objective.augmentation is not None
        objective.augmentation.p = 0.5
        place = tmp_path / folder
        fit(objective, data, schedule, folder=place, resume=True, watch=watch, progress=False)
        return objective

    def pull(step: int, nets: object) -> dict[str, float]:
        raise KeyboardInterrupt

    whole = run("whole")
    with pytest.raises(KeyboardInterrupt):
        run("broken", Watch(7, pull))
    again = run("broken")
    for key, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[key]), key
    assert (
        whole.state_dict().keys()
        == again.state_dict().keys()
        == {"path.mean", "augmentation.numbers", "augmentation.signs"}
    )
    for key, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key
    assert whole.path.mean > 0
    assert whole.state_dict()["augmentation.numbers"][2] == 1  # one batch since the last change of p


def test_a_share_of_the_pictures_exchanges_what_it_is_told() -> None:
    belongs = objectives.associations(200, 0.25)
    assert sorted(belongs.tolist()) == list(range(200))
    assert (belongs != torch.arange(200)).sum() == 50
    assert torch.equal(objectives.associations(200, 0.0), torch.arange(200))
    assert torch.equal(belongs, objectives.associations(200, 0.25))


def test_the_released_texture_loss_is_the_sigmoid_of_the_square_over_all_texels() -> None:
    textures = torch.randn(3, 2, 4, 4, generator=_generator())
    visible = torch.rand(3, 4, 4, generator=_generator(1)) < 0.7
    pairs = []
    for i in range(3):
        for j in range(i):
            both = visible[i] & visible[j]
            pairs.append(((textures[i] - textures[j]) ** 2).sigmoid() * both)
    expected = torch.stack(pairs).mean()
    found = consistency.texture_consistency(textures, visible, released=True)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    seen = torch.ones_like(visible)
    assert consistency.texture_consistency(textures[:1].expand(3, -1, -1, -1), seen, released=True) == 0.5


def test_a_recipe_takes_the_texture_loss_in_either_form(data: heads.Heads) -> None:
    square, sigmoid = (_objective(data, "gif", texture_form=form) for form in recipes.TEXTURE_FORMS)
    numbers = torch.arange(4)
    first, second = (one.texture_loss(numbers, _generator()) for one in (square, sigmoid))
    assert 0 < first < 1
    assert 0 < second < 0.5
    assert not torch.isclose(first, second, rtol=0.1)
    assert (square.recipe.texture_weight, sigmoid.recipe.texture_weight) == (1.0, 16.0)


# ------------------------------------------------------------------------------------------------- correlated factors


@pytest.mark.parametrize("rho", [0.9, -0.5])
def test_looks_and_light_go_together_and_each_is_distributed_as_before(rho: float) -> None:
    asked = parameters.randomly(2000, _generator())
    found = heads.associated(asked, rho, _generator(1))
    looks, _ = heads.factors(parameters.vector(found)).numpy().T
    before, after = (
        scipy.stats.spearmanr(*heads.factors(parameters.vector(one)).numpy().T)[0] for one in (asked, found)
    )
    assert abs(before) < 0.06
    assert after == pytest.approx(6 / math.pi * math.asin(rho / 2), abs=0.04)  # Spearman's of a Gaussian copula
    assert torch.equal(found.pose, asked.pose)
    order = [one.light.flatten(1)[one.light.flatten(1)[:, 0].argsort()] for one in (asked, found)]
    assert torch.equal(*order)
    assert looks.std() == pytest.approx(asked.pose[:, 0, 1].std().item(), rel=1e-3)


def test_the_side_of_the_light_is_the_side_that_is_brighter() -> None:
    asked = parameters.randomly(50, _generator())
    side = heads.factors(parameters.vector(asked))[:, 1]
    right, left = (torch.tensor([x, 0.0, 0.0]).view(1, 3, 1, 1).expand(50, 3, 1, 1) for x in (1.0, -1.0))
    brighter = (shading(right, asked.light) - shading(left, asked.light)).mean((1, 2, 3))
    assert torch.equal(side > 0, brighter > 0)


def test_correlated_heads_are_photographed_in_their_new_light() -> None:
    usual, tied = heads.load("validation", 32, 50), heads.load("validation", 32, 50, correlation=0.9)
    assert torch.equal(usual.parameters.shape, tied.parameters.shape)
    assert not torch.equal(usual.parameters.light, tied.parameters.light)
    assert not torch.equal(usual.images, tied.images)
    with pytest.raises(TeachlibError, match="correlation is 2; expected"):
        heads.load("validation", 32, 50, correlation=2)


# --------------------------------------------------------------------------------------------------- options and sizes


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"resolution": 64},
        {"correlation": 0.9, "wrong": 0.25},
        {"styles": "noise", "mixing": 0.9, "path_length": 2.0, "augmentation": 500_000},
        {"gamma": 0.5, "texture_form": "sigmoid"},
    ],
)
def test_a_label_leads_back_to_its_recipe(options: dict[str, object]) -> None:
    made = recipes.recipe("gif", scale="laptop", **options)  # type: ignore[arg-type]
    name, own = CHAPTER.named(CHAPTER.label(made))
    assert own == options
    assert recipes.recipe(name, scale="laptop", **own) == made


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"wrong": 1.5}, "wrong is 1.5; expected a share"),
        ({"mixing": -1}, "mixing is -1"),
        ({"styles": "lernt"}, "kind of styles"),
        ({"texture_form": "sigmoit"}, "did you mean 'sigmoid'"),
        ({"resolution": 48}, "power of two"),
        ({"name": "gif", "dataset": "faces"}, "take gif-no-texture-loss"),
        ({"name": "gif-vector", "dataset": "faces"}, "needs numbers"),
        ({"name": "reinference", "dataset": "ffhq"}, "known of heads alone"),
        ({"dataset": "ffhq", "correlation": 0.5}, "known of heads alone"),
    ],
)
def test_what_no_training_could_do_is_refused_before_it(words: dict[str, object], said: str) -> None:
    with pytest.raises(TeachlibError, match=said):
        models.build(recipes.recipe(**{"name": "gif", "scale": "ci", **words}))  # type: ignore[arg-type]


def test_at_paper_scale_the_networks_have_as_many_weights_as_the_released_ones() -> None:
    """Counted in ParthaEth/GIF @56cdc6f, built for 256²: the generator's layers up to there, its mapping, and D."""
    with torch.device("meta"):
        face = models.Face(recipes.recipe("gif", "ffhq", scale="paper"))
    mapping, _ = face.generator.networks()

    def count(net: torch.nn.Module) -> int:
        return sum(weight.numel() for weight in net.parameters())

    assert count(mapping) == 2_101_248
    assert count(face.generator) == 29_142_257 + 2_101_248
    assert count(face.discriminator) == 28_864_897


@pytest.mark.slow
def test_at_paper_scale_a_step_goes_through() -> None:
    recipe = replace(recipes.recipe("gif-no-texture-loss", "ffhq", scale="paper"), pictures=4)
    luck = _generator()
    images, conditions = (
        torch.randint(0, 255, (4, channels, 256, 256), generator=luck, dtype=torch.uint8) for channels in (3, 6)
    )
    training = ffhq.Ffhq(images, conditions, torch.randn(4, 236, generator=luck), scene=None)  # type: ignore[arg-type]
    face = models.Face(recipe)
    history = fit(objectives.FaceObjective(face, training), training, Schedule(steps=1, batch_size=2), progress=False)
    assert all(math.isfinite(value) for value in history.lines[-1].values())


@pytest.mark.parametrize(("name", "dataset", "size"), [("gif", "heads", 128), ("gif-no-texture-loss", "faces", 128)])
def test_recipes_of_the_papers_scale_are_built(name: str, dataset: str, size: int) -> None:
    with torch.device("meta"):
        face = models.Face(recipes.recipe(name, dataset, scale="paper"))
    assert face.recipe.size == size
    assert face.recipe.width == 512
    assert face.recipe.gamma == pytest.approx(0.0002 * size**2 / 16)


# --------------------------------------------------------------------------------------------------------------- sets


def test_portraits_are_split_once_and_told_by_renderings(monkeypatch: pytest.MonkeyPatch) -> None:
    from teachlib.data import data_root

    if not (data_root() / "faces" / "landmarks.npz").is_file():
        pytest.skip("needs the portraits: TEACHLIB_DATA")
    train, test = (faces.load(split, 32) for split in faces.SPLITS)
    assert (len(train), len(test)) == (451, 80)
    every = torch.cat([train.images, test.images]).flatten(1).float().sum(1)
    assert len(every.unique()) > 525
    again = faces.load("test", 32, 5)
    assert torch.equal(again.images, test.images[:5])
    # Inside of the mesh, the rendering has the photograph's colours.
    shown = test.condition(torch.arange(80))
    inside = shown[:, 3:].abs().sum(1) > 0.9
    apart = (shown[:, :3] / 2 + 0.5 - test[:][0]).abs().mean(1)
    assert apart[inside].mean() < 0.1
    with pytest.raises(TeachlibError, match="one pose of each head"):
        test.views(torch.arange(2), torch.zeros(2), 32)


def test_portraits_train_and_are_measured_beside_those_held_out(tmp_path: Path) -> None:
    from teachlib.data import data_root

    if not (data_root() / "faces" / "landmarks.npz").is_file():
        pytest.skip("needs the portraits: TEACHLIB_DATA")
    recipe = recipes.recipe("gif-no-texture-loss", "faces", scale="ci", steps=2, width=8, augmentation=1000)
    CHAPTER.train(recipe, folder=tmp_path / "run", progress=False, limit=40)
    model, header = CHAPTER.open_run(tmp_path / "run")
    from teachlib.chapter import Run

    measured = CHAPTER.measure([Run(model, header["recipe"], 0)], 50, None)
    assert measured.rows[0].keys() == {"frechet", "density", "coverage"}
    assert measured.samples == 50


def test_missing_portraits_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(TeachlibError, match="expected the 531 portraits and their landmarks"):
        faces.load("train", 32, folder=tmp_path)


# --------------------------------------------------------------------------------------------------------------- FFHQ


def _entry(luck: np.random.Generator) -> dict[str, object]:
    lit = np.zeros((9, 3), np.float32)
    lit[0] = 3.0
    return {
        "shape": luck.normal(size=100).astype(np.float32),
        "exp": luck.normal(size=50).astype(np.float32),
        "pose": 0.1 * luck.normal(size=6).astype(np.float32),
        "cam": np.array([0.3, 0.01, -0.02], np.float32),
        "tex": luck.normal(size=50).astype(np.float32),
        "lit": lit,
    }


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """FFHQ's folder in the format of the authors' files, with numbers at random."""
    place, luck = tmp_path / "FFHQ", np.random.default_rng(0)
    (place / "images" / "00000").mkdir(parents=True)
    model, template = _flame(place)
    template.rename(place / "head_template_mesh.obj")
    assert model.name == "generic_model.pkl"
    texels = 8
    np.savez(
        place / "FLAME_texture.npz",
        mean=luck.uniform(50, 200, 3 * texels**2),
        tex_dir=luck.normal(size=(3 * texels**2, 60)),
    )
    numbers = [*range(6), 60_001]
    found = {f"{number:05d}.pkl": _entry(luck) for number in [*numbers, 9]}
    np.save(place / "flame_params_public_texture_model.npy", found, allow_pickle=True)  # type: ignore[arg-type]
    np.savez(place / "b_box_stats.npz", bad_images=np.array(["00002.npy"]))
    for number in numbers:
        pixels = luck.integers(0, 255, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / "images" / "00000" / f"{number:05d}.png")
    return tmp_path


def test_ffhq_is_read_rendered_and_kept(published: Path) -> None:
    train, test = (ffhq.load(split, 16, folder=published) for split in ffhq.SPLITS)
    assert (len(train), len(test)) == (5, 1)  # one is bad, and one has no picture
    entry = pickles.read_npy((published / "FFHQ" / "flame_params_public_texture_model.npy").read_bytes(), "it")
    groups = flame.split(train.vectors)
    for row, name in enumerate(("00000.pkl", "00001.pkl", "00003.pkl")):
        assert np.array_equal(groups["shape"][row].numpy(), entry[name]["shape"])
        assert np.array_equal(groups["light"][row].numpy(), entry[name]["lit"])
        assert np.array_equal(groups["pose"][row, [0, 2]].flatten().numpy(), entry[name]["pose"])
    found = train.scene.render(train.vectors[:2], 32)
    shown = torch.nn.functional.avg_pool2d(found.channels, 2)
    assert torch.allclose(train.condition(torch.arange(2)), shown, atol=0.005)
    assert found.fragments.covered.any()
    views = train.views(torch.arange(3), torch.tensor([0.0, 0.5, 1.0]), 16)
    assert views.renderings.shape == (3, 6, 16, 16)
    assert torch.equal(flame.split(views.vectors)["light"][1], groups["light"][0])
    textures, visible = views.steal(views.renderings[:, :3])
    assert textures.shape == (3, 3, 32, 32)
    assert visible.shape == (3, 32, 32)


def test_ffhq_is_made_anew_when_a_picture_was_exchanged(published: Path) -> None:
    before = ffhq.load("train", 16, folder=published)
    file = next((published / "FFHQ").rglob("00000.png"))
    old = file.read_bytes()
    Image.new("RGB", (256, 256), (0, 255, 0)).save(file)
    after = ffhq.load("train", 16, folder=published)
    file.write_bytes(old)
    assert not torch.equal(before[:1][0], after[:1][0])
    assert after[:1][0][0].mean((1, 2)).tolist() == pytest.approx([0, 1, 0], abs=0.01)


def test_decas_light_is_what_its_formula_says() -> None:
    luck = _generator()
    normals = torch.nn.functional.normalize(torch.randn(4, 3, 5, 5, generator=luck), dim=1)
    told = torch.randn(4, 9, 3, generator=luck)
    told[:, 0] += 20  # bright enough that nothing is cut off
    x, y, z = normals.unbind(1)
    pi = math.pi
    first, second = 2 * pi / 3 * math.sqrt(3 / (4 * pi)), pi / 4 * 3 * math.sqrt(5 / (12 * pi))
    functions = [
        math.sqrt(1 / (4 * pi)) * torch.ones_like(x),
        *(first * axis for axis in (x, y, z)),
        *(second * pair for pair in (x * y, x * z, y * z)),
        second / 2 * (x**2 - y**2),
        pi / 4 / 2 * math.sqrt(5 / (4 * pi)) * (3 * z**2 - 1),
    ]
    expected = torch.einsum("knhw,nkc->nchw", torch.stack(functions), told)
    assert torch.allclose(shading(normals, ffhq.lights(told)), expected, atol=1e-4)


@pytest.mark.parametrize("name", ["gif", "gif-vector-projection"])
def test_one_step_on_ffhq(name: str, published: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TEACHLIB_DATA", str(published))
    recipe = replace(recipes.recipe(name, "ffhq", scale="ci", width=8), steps=1, batch_size=2)
    model, history = CHAPTER.train(recipe, folder=tmp_path / "run", progress=False)
    assert isinstance(model, models.Face)
    assert model.standard.mean.shape == (236,)
    assert all(math.isfinite(value) for line in history.lines for value in line.values())


@pytest.mark.parametrize(
    ("file", "contents", "said"),
    [
        ("flame_params_public_texture_model.npy", b"", "no .npy file of a dict"),
        ("flame_params_public_texture_model.npy", None, "have licences of their own"),
        ("FLAME_texture.npz", b"PK", "expected FLAME's texture"),
        ("b_box_stats.npz", b"{}", "expected an array 'bad_images'"),
        ("generic_model.pkl", None, "expected FLAME's generic_model.pkl"),
    ],
)
def test_what_ffhq_lacks_is_one_line(file: str, contents: bytes | None, said: str, published: Path) -> None:
    place = published / "FFHQ" / file
    place.unlink()
    if contents is not None:
        place.write_bytes(contents)
    with pytest.raises(TeachlibError, match=said):
        ffhq.load("train", 16, folder=published)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"name.pkl": {}}, "expected names like"),
        ({"00000.pkl": {"shape": np.zeros(300)}}, "no 'shape' of 100 numbers"),
        ({"00000.pkl": 3}, "no 'shape' of 100 numbers"),
        ([1, 2], "no .npy file|expected a dict"),
    ],
)
def test_other_parameters_than_decas_are_one_line(entry: object, said: str, published: Path) -> None:
    np.save(published / "FFHQ" / "flame_params_public_texture_model.npy", entry, allow_pickle=True)  # type: ignore[arg-type]
    with pytest.raises(TeachlibError, match=said):
        ffhq.load("train", 16, folder=published)


def test_a_dict_in_npy_runs_nothing(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return print, ("run",)

    np.save(tmp_path / "a.npy", {"00000.pkl": Evil()}, allow_pickle=True)  # type: ignore[arg-type]
    with pytest.raises(TeachlibError, match="print"):
        pickles.read_npy((tmp_path / "a.npy").read_bytes(), "a.npy")
    with pytest.raises(TeachlibError, match="which is not one of numbers"):
        pickles.read(pickle.dumps(np.array([1, "a"], object)), "b")
