"""InvGAN: what each loss sees and moves, and what its evaluation says of models whose answers are known."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from teachlib import results
from teachlib.data import ImageData
from teachlib.errors import TeachlibError
from teachlib.gif.losses import path_lengths
from teachlib.invgan import evaluation, inversion, losses, networks, objective, recipes, tables
from teachlib.invgan.chapter import CHAPTER
from teachlib.metrics import extractor
from teachlib.rae.losses import mmd
from teachlib.training import Schedule, Watch, fit

FEATURES = ("codes", "pixels", "features", "reinference", "discrepancy")


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _objective(name: str, backbone: str = "dcgan", **options: float) -> objective.InvGANObjective:
    recipe = recipes.recipe(name, "glyphs", scale="ci", backbone=backbone, **options)
    torch.manual_seed(0)
    return objective.InvGANObjective(CHAPTER.build(recipe, None), recipe)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(8, 1, 32, 32, generator=_generator())


def _moved(game: objective.InvGANObjective, loss: Tensor) -> set[str]:
    """Networks that a loss has a gradient for."""
    moved = set()
    for name, net in game.nets.items():
        slopes = torch.autograd.grad(loss, list(net.parameters()), retain_graph=True, allow_unused=True)
        if any(slope is not None and slope.abs().sum() > 0 for slope in slopes):
            moved.add(name)
    return moved


# ------------------------------------------------------------------------------------------------------------- losses


@pytest.mark.parametrize("backbone", networks.BACKBONES)
def test_each_loss_moves_the_networks_of_the_table_and_no_others(backbone: str, images: Tensor) -> None:
    told = backbone == "biggan"
    game = _objective("invgan", backbone, smoothness=1.0, paths=1.0, classes=told)
    labels = torch.arange(8) if told else None
    game.losses(images, _generator(), labels)  # the first batch has no codes from before
    found = game.losses(images, _generator(), labels)
    assert found.keys() == objective.MOVES.keys() - ({"classes"} if not told else set())
    for name, loss in found.items():
        assert _moved(game, loss) == objective.MOVES[name], name


def test_reconstructions_move_the_inference_head_and_the_layers_below_it_but_not_the_judgement(images: Tensor) -> None:
    game = _objective("invgan")
    found = game.losses(images, _generator())
    judge = game.model.discriminator
    head, logit = judge.code.weight, judge.logit.parametrizations.weight.original
    for name in ("pixels", "features", "reinference"):
        slopes = torch.autograd.grad(found[name], [head, logit], retain_graph=True, allow_unused=True)
        assert slopes[0] is not None, name
        assert slopes[0].abs().sum() > 0, name
        assert slopes[1] is None, name


def test_features_of_reconstructions_teach_the_discriminator_only_through_the_codes(images: Tensor) -> None:
    """A discriminator that could blind itself would make every reconstruction alike: its second pass is frozen."""
    game = _objective("invgan")
    judge = game.model.discriminator
    codes = judge(images).codes.detach()

    class Deaf(nn.Module):
        def forward(self, x: Tensor) -> networks.Seen:
            seen = judge(x)
            return seen._replace(codes=codes if len(x) == len(codes) else seen.codes)

        def parameters(self, recurse: bool = True):  # type: ignore[no-untyped-def]
            return judge.parameters(recurse)

    game.nets["discriminator"] = Deaf()
    found = game.losses(images, _generator())
    assert not any(
        slope is not None
        for slope in torch.autograd.grad(
            found["features"], list(judge.parameters()), retain_graph=True, allow_unused=True
        )
    )


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("gan", {"game", "fool"}),
        ("invgan-naive", {"game", "fool", "codes", "reachable"}),
        ("invgan-augmented", {"game", "fool", "codes", "reachable"}),
        ("invgan", set(objective.MOVES) - {"smoothness", "paths", "classes"}),
        ("invgan-direct", set(objective.MOVES) - {"smoothness", "paths", "classes"}),
    ],
)
def test_each_model_has_its_losses_and_the_sum_is_weighted(name: str, parts: set[str], images: Tensor) -> None:
    game, again = _objective(name), _objective(name)
    found = game.losses(images, _generator())
    assert found.keys() == parts
    ((update, total),) = again.updates((images, torch.zeros(8)), _generator(), 1)
    weights = {"pixels": 10.0}
    expected = sum(weights.get(loss, 1.0) * value for loss, value in found.items())
    assert update == "step"
    assert torch.allclose(total, expected)


def test_codes_inferred_twice_draw_each_other_near(images: Tensor) -> None:
    """Both ends of ‖w_R − w̃_R‖² move: with reconstructions cut off, the codes of the images still do."""
    game = _objective("invgan")

    class Cut(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, codes: Tensor) -> Tensor:
            made: Tensor = self.inner(codes)
            return made.detach()

    game.nets["generator"] = Cut(game.nets["generator"])
    head = game.model.discriminator.code.weight
    (slope,) = torch.autograd.grad(game.losses(images, _generator())["reinference"], [head])
    assert slope.abs().sum() > 0


def test_codes_are_drawn_to_the_prior_and_not_to_those_of_the_batch_before(images: Tensor) -> None:
    found = []
    for old in (0.0, 100.0):
        game = _objective("invgan")
        game.before = torch.full((8, game.model.w_dim), old)
        found.append(game.losses(images, _generator())["discrepancy"])
    assert torch.equal(*found)


@pytest.mark.parametrize("only", ["pixels", "features", "reinference"])
def test_pictures_are_rebuilt_for_each_of_three_losses_alone(only: str, images: Tensor) -> None:
    game = _objective("invgan")
    game.recipe = replace(game.recipe, **{"pixels": 0.0, "features": 0.0, "reinference": 0.0, only: 1.0})
    assert only in game.losses(images, _generator())


def test_half_of_the_codes_are_those_of_the_batch_before(images: Tensor) -> None:
    game, naive = _objective("invgan-augmented"), _objective("invgan-naive")
    drawn = list[Tensor]()

    class Watched(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, w: Tensor) -> Tensor:
            drawn.append(w)
            return self.inner(w)

    for one in (game, naive):
        one.nets["generator"] = Watched(one.nets["generator"])
        for _ in range(2):
            one.losses(images, _generator())
    first, second, *never = drawn
    assert [len(w) for w in drawn] == [8] * 4
    with torch.no_grad():
        codes = game.model.discriminator.train()(images).codes
    assert torch.allclose(second[4:], codes[:4], atol=0.05)  # but for another step of the power iteration
    assert not torch.allclose(second[:4], first[4:])
    assert torch.allclose(*never)


def test_errors_are_on_the_thesis_scale_and_of_each_sample() -> None:
    black, white = torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 4, 4)
    assert losses.pixel_error(black, white) == 2
    assert losses.code_error(torch.zeros(3, 2), torch.full((3, 2), 2.0)) == 4
    with pytest.raises(TeachlibError, match="expected the same"):
        losses.pixel_error(black, white[:1])


def test_real_features_are_goals_without_gradient() -> None:
    real, own = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3, requires_grad=True)
    losses.feature_matching([real], [own]).backward()
    assert real.grad is None
    assert own.grad is not None


def test_the_discrepancy_is_that_of_two_gaussians_and_knows_no_order() -> None:
    """E exp(-‖a - b‖²/C), a of N(0, I) and b of N(m, I), is (C/(C+4))^(d/2) · e^(-‖m‖²/(C+4))."""
    d, shift, count = 4, 0.8, 2000

    def normal(seed: int) -> Tensor:
        """Samples whose own mean and covariance are those of N(0, I), so that few are enough."""
        x = torch.randn(count, d, generator=_generator(seed), dtype=torch.float64)
        x = x - x.mean(0)
        return x @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(x.T))).T

    a, b = normal(0), normal(1) + shift / math.sqrt(d)

    def kernel(squared: float) -> float:
        widths = [2 * d * factor for factor in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)]
        return sum((c / (c + 4)) ** (d / 2) * math.exp(-squared / (c + 4)) for c in widths)

    found = mmd(a, b, kernel="rbf")
    assert found.item() == pytest.approx(2 * kernel(0) - 2 * kernel(shift**2), abs=0.01)
    assert torch.allclose(found, mmd(a[torch.randperm(count)], b, kernel="rbf"))


# ----------------------------------------------------------------------------------------------------------- networks


@pytest.mark.parametrize("backbone", networks.BACKBONES)
@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 64, 64)])
def test_images_become_codes_and_codes_images(backbone: str, shape: tuple[int, int, int]) -> None:
    model = networks.InvGAN(backbone, shape, width=8, w_dim=6).eval()
    x = torch.rand(5, *shape)
    seen = model.discriminator(x)
    assert seen.logits.shape == (5,)
    assert seen.codes.shape == (5, 6)
    assert all(len(layer) == 5 for layer in seen.features)
    assert len(seen.features) >= 3
    rebuilt = model(x)
    assert rebuilt.shape == x.shape
    assert 0 <= rebuilt.min() <= rebuilt.max() <= 1
    with pytest.raises(TeachlibError, match=r"\(N, 1|\(N, 3"):
        model.infer(x[..., :-1])
    with pytest.raises(TeachlibError, match="of another model"):
        model.generate(torch.zeros(2, 7))


@pytest.mark.parametrize("backbone", networks.BACKBONES)
def test_what_is_inferred_of_an_image_does_not_depend_on_its_neighbours(backbone: str) -> None:
    model = networks.InvGAN(backbone, (1, 32, 32), width=8, w_dim=6).eval()
    x = torch.rand(6, 1, 32, 32)
    assert torch.allclose(model.infer(x)[:2], model.infer(x[:2]), atol=1e-5)


@pytest.mark.parametrize("backbone", networks.BACKBONES)
def test_inferred_codes_stay_within_four_deviations(backbone: str) -> None:
    model = networks.InvGAN(backbone, (1, 32, 32), width=8, w_dim=6).eval()
    with torch.no_grad():
        model.discriminator.code.bias.fill_(100.0)
    assert torch.allclose(model.infer(torch.rand(3, 1, 32, 32)), torch.full((3, 6), 4.0), atol=0.01)
    small = torch.linspace(-0.5, 0.5, 5)
    assert torch.allclose(networks.bounded(small), small, atol=0.003)


def test_codes_have_mean_zero_and_variance_one() -> None:
    mapping = networks.Mapping(6, 24)
    w = mapping(torch.randn(500, 6))
    assert w.mean(0).abs().max() < 1e-5
    assert (w.var(0, unbiased=False) - 1).abs().max() < 1e-3


# ------------------------------------------------------------------------------- classes, paths, what is left out


def test_codes_end_with_a_class_each_as_often_as_any_other() -> None:
    mapping = networks.ClassMapping(6, 4).eval()
    codes = mapping(torch.randn(4000, 10, generator=_generator()))
    told = codes[:, -4:]
    assert ((told == 0) | (told == 1)).all()
    assert (told.sum(1) == 1).all()
    # A multinomial share of 1/4 over 4,000 draws has a deviation of .0068.
    assert (told.mean(0) - 0.25).abs().max() < 4 * 0.0068


def test_a_class_enters_the_norms_as_an_embedding_and_the_judgement_as_a_projection() -> None:
    model = _objective("invgan", "biggan", classes=True).model.eval()
    assert model.w_dim == 16 + 10
    assert model.codes(3, _generator()).shape == (3, 26)
    norm = model.generator.blocks[0].first
    x, code = torch.randn(2, norm.scale.out_features, 4, 4), torch.zeros(2, 26)
    code[:, 16 + 3] = 1.0
    table = norm.scale.weight[:, 16:]  # one column, an embedding, a class
    by_hand = norm.standard(x) * (1 + table[:, 3])[:, None, None] + norm.shift.weight[:, 19][:, None, None]
    assert torch.allclose(norm(x, code), by_hand, atol=1e-6)
    judge, images = model.discriminator, torch.rand(4, 1, 32, 32)
    told = torch.eye(10)[torch.tensor([0, 3, 3, 9])]
    flat, _ = judge.described(2 * images - 1)
    embedding = judge.belongs.weight.T[told.argmax(1)]
    expected = judge(images).logits + (embedding * flat).sum(1)
    assert torch.allclose(judge(images, told).logits, expected, atol=1e-5)


def test_inferred_classes_are_probabilities_that_learn_from_labels(images: Tensor) -> None:
    game = _objective("invgan", "biggan", classes=True)
    labels = torch.arange(8)
    codes = game.model.infer(images)
    assert torch.allclose(codes[:, -10:].sum(1), torch.ones(8), atol=1e-5)
    assert codes[:, :-10].abs().max() <= 4.0
    found = game.losses(images, _generator(), labels)["classes"]
    game.model.train()
    expected = -game.model.infer(images)[torch.arange(8), 16 + labels].log().mean()
    assert found.item() == pytest.approx(expected.item(), rel=0.05)  # spectral norm moves between the two looks


def test_a_conditional_judge_sees_the_class_of_real_images_and_of_samples(images: Tensor) -> None:
    game = _objective("invgan-direct", "biggan", classes=True)
    asked = list[Tensor | None]()
    judge = game.model.discriminator
    judge.register_forward_pre_hook(lambda _, given: asked.append(given[1] if len(given) > 1 else None))
    game.losses(images, _generator(), torch.arange(8))
    real, seen, judged, again = asked
    assert torch.equal(real, torch.eye(10)[:8])
    assert torch.equal(seen, judged)
    assert ((seen == 0) | (seen == 1)).all()
    assert again is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"backbone": "dcgan"}, "classes are told to BigGAN's networks alone"),
        ({"backbone": "biggan", "name": "bigan"}, "classes are told to BigGAN's networks alone"),
        ({"backbone": "biggan", "dataset": "heads"}, "heads has no classes"),
    ],
)
def test_classes_that_nobody_could_be_told_are_refused(words: dict[str, str], said: str) -> None:
    with pytest.raises(TeachlibError, match=said):
        recipes.recipe(**{"name": "invgan", "dataset": "glyphs", **words}, scale="ci", classes=True)  # type: ignore[arg-type]


def test_path_lengths_are_even_where_every_step_of_a_code_moves_as_many_pixels() -> None:
    """Of a linear generator with orthogonal rows lengths differ by chance alone; of a bent one they differ more."""
    game = _objective("invgan-direct", paths=1.0)
    w = torch.randn(400, 16, generator=_generator())
    basis = torch.linalg.qr(torch.randn(1024, 16, generator=_generator(1)))[0]

    def lengths(scale: Tensor) -> Tensor:
        codes = w[:, None].clone().requires_grad_()
        made = (scale * codes[:, 0]) @ basis.T
        return path_lengths(made.view(-1, 1, 32, 32), codes, _generator(2))

    even, bent = lengths(torch.ones(400, 1)), lengths(torch.linspace(0.1, 2, 400)[:, None])
    # ‖Jᵀy‖ is a chi variable of 16 degrees of freedom: variance over squared mean 1/(2·16), nearly.
    assert losses.unevenness(even).item() == pytest.approx(1 / 32, rel=0.2)
    assert losses.unevenness(bent).item() > 0.2
    assert game.weights()["paths"] == 1.0


def test_a_class_that_is_left_out_is_missing_in_training_and_validation_alone() -> None:
    recipe = recipes.recipe("invgan-direct", "glyphs", scale="ci", without=8)
    for split, there in (("train", False), ("validation", False), ("test", True)):
        found = recipes.load(recipe, split, 300)
        assert bool((found.labels == 8).any()) is there
        assert len(found.images) == len(found.labels)
        assert all(len(values) == len(found.labels) for values in found.factors.values())
    assert set(recipes.load(recipe, "train", 300).labels.tolist()) == set(range(10)) - {8}
    assert CHAPTER.label(recipe) == "invgan-direct+without=8"
    with pytest.raises(TeachlibError, match="--without 12: glyphs has the classes 0, 1, 2"):
        recipes.load(replace(recipe, without=12), "train", 300)
    with pytest.raises(TeachlibError, match="without"):
        recipes.recipe("invgan-direct", "glyphs", scale="ci", without=-2)


@pytest.mark.parametrize("name", ["invgan", "invgan-augmented"])
def test_an_interrupted_run_ends_as_an_unbroken_one(name: str, tmp_path: Path) -> None:
    data = ImageData("glyphs", "train", torch.randint(0, 255, (40, 1, 32, 32)).byte(), torch.zeros(40).long())
    schedule = Schedule(steps=6, batch_size=8, checkpoint_every=3, ema_half_life=0.1)

    def run(folder: str, watch: Watch | None = None) -> dict[str, Tensor]:
        game = _objective(name)
        fit(game, data, schedule, folder=tmp_path / folder, resume=True, watch=watch, progress=False)
        return game.model.state_dict()

    def pull(step: int, nets: object) -> dict[str, float]:
        raise KeyboardInterrupt

    whole = run("whole")
    with pytest.raises(KeyboardInterrupt):
        run("broken", Watch(5, pull))
    again = run("broken")
    assert all(torch.equal(whole[key], again[key]) for key in whole)


# --------------------------------------------------------------------------------------------------------- evaluation


class _Linear(networks.InvGAN):
    """A generator whose inverse is known: codes are the first pixels of an image that repeats them."""

    infers = True

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.w_dim, self.image = 8, (1, 32, 32)
        self.mapping = nn.Linear(8, 8)

    def codes(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.rand(count, 8, generator=generator)

    def infer(self, x: Tensor) -> Tensor:
        return x[:, 0, 0, :8]

    def generate(self, w: Tensor) -> Tensor:
        return w.repeat(1, 128).view(-1, 1, 32, 32).clamp(0, 1)


def test_a_model_that_returns_its_input_has_no_error_and_the_floors_distance() -> None:
    model = _Linear()
    codes = torch.rand(300, 8, generator=_generator())
    stored = (model.generate(codes) * 255).round().byte()
    train, test = (
        ImageData("glyphs", split, part, torch.zeros(150).long())
        for split, part in zip(("train", "test"), stored.split(150), strict=True)
    )
    found = evaluation.evaluate(model, train, test, extractor("untrained", "glyphs"), count=150)
    assert found.error < 1e-6
    assert found.distances["test rebuilt"] == pytest.approx(found.distances["floor"], rel=1e-4)
    assert found.distances["random rebuilt"] == pytest.approx(found.distances["random"], rel=1e-4)
    assert found.distances["midpoint"] > 2 * found.distances["floor"]  # means of two have half the variance
    assert found.references["PCA"] < 0.01  # eight numbers are enough
    assert found.spread == pytest.approx(1, abs=0.15)
    swapped = evaluation.evaluate(model, test, train, extractor("untrained", "glyphs"), count=150)
    assert found.distances["random to test"] == pytest.approx(swapped.distances["random"], rel=1e-4)
    assert swapped.distances["random"] != pytest.approx(found.distances["random"], rel=1e-2)


def test_references_are_the_best_of_their_kind() -> None:
    train, images = torch.rand(50, 1, 8, 8, generator=_generator()), torch.rand(20, 1, 8, 8, generator=_generator(1))
    found = evaluation.references(train, images, 5)
    apart = (images.flatten(1)[:, None] - train.flatten(1)[None]).abs().mean(2)
    assert found["nearest"] == pytest.approx(2 * apart.min(1).values.mean().item(), rel=1e-5)
    median = train.flatten(1).median(0).values
    assert found["median"] == pytest.approx(2 * (images.flatten(1) - median).abs().mean().item(), rel=1e-5)
    assert evaluation.references(train, train, 49)["PCA"] < 1e-3


def test_principal_components_of_a_reference_are_nearly_the_best() -> None:
    """Where they fall off by two fifths each; they are found by a few steps from a random start."""
    left, right = (torch.linalg.qr(torch.randn(n, 64, generator=_generator(n)))[0] for n in (300, 64))
    train = left * 0.6 ** torch.arange(64.0) @ right.T
    train = (0.5 + 0.5 * train / train.abs().max()).view(300, 1, 8, 8)
    rest = train.flatten(1) - train.flatten(1).mean(0)
    directions = torch.linalg.svd(rest)[2][:5].T
    exact = 2 * (rest - rest @ directions @ directions.T).abs().mean()
    torch.manual_seed(0)
    found = [evaluation.references(train, train, 5)["PCA"] for _ in range(6)]
    assert abs(torch.tensor(found).mean() / exact - 1) < 0.01


def test_midpoints_lie_between_two() -> None:
    codes = torch.arange(12.0).view(6, 2)
    found = evaluation.midpoints(codes, _generator())
    assert torch.allclose(found.mean(0), codes.mean(0))
    assert (
        all(((2 * one - codes) == other).all(1).any() for one, other in zip(found, codes, strict=True))
        or len(found) == 6
    )


# ------------------------------------------------------------------------------------------------------------ recipes


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"name": "invgna"}, "did you mean 'invgan'"),
        ({"name": "invgan", "backbone": "stylegan"}, "did you mean 'stylegan2'"),
        ({"name": "invgan", "pixels": -1.0}, "pixels is -1"),
        ({"name": "invgan", "dataset": "mnits"}, "mnist"),
    ],
)
def test_other_recipes_are_refused(words: dict[str, object], said: str) -> None:
    with pytest.raises(TeachlibError, match=said):
        recipes.recipe(**{"dataset": "glyphs", "scale": "ci", **words})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options", [{}, {"backbone": "stylegan2"}, {"discrepancy": 0.0, "features": 2.0}, {"reinjects": 0.25}]
)
def test_a_label_leads_back_to_its_recipe(options: dict[str, object]) -> None:
    made = recipes.recipe("invgan", scale="laptop", **options)  # type: ignore[arg-type]
    name, own = CHAPTER.named(CHAPTER.label(made))
    assert own == options
    assert recipes.recipe(name, scale="laptop", **own) == made


# ---------------------------------------------------------------------------------------------------------- inversion


class _Painter(_Linear):
    """A generator of eight stripes that can be differentiated, with a discriminator that sees them."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = _Stripes()
        self.discriminator = _Reads()

    def infer(self, x: Tensor) -> Tensor:
        return self.discriminator(x).codes


class _Stripes(nn.Module):
    def forward(self, w: Tensor) -> Tensor:
        return w.sigmoid()[:, None, None, :, None].expand(-1, 1, 32, 8, 4).flatten(3)


class _Reads(nn.Module):
    def forward(self, x: Tensor) -> networks.Seen:
        stripes = x.unflatten(3, (8, 4)).mean((1, 2, 4))
        return networks.Seen(stripes.sum(1), stripes.clamp(0.01, 0.99).logit(), [stripes.sum(1, keepdim=True)])


def test_planted_codes_are_found_and_each_picture_goes_its_own_way() -> None:
    model = _Painter()
    planted = torch.randn(5, 8, generator=_generator())
    images = model.generator(planted)
    found, errors = inversion.optimized(model, images, torch.zeros(5, 8), steps=400)
    assert torch.allclose(found, planted, atol=0.1)
    assert errors.shape == (401, 5)
    assert (errors[-1] < 0.05 * errors[0]).all()
    alone, _ = inversion.optimized(model, images[:2], torch.zeros(2, 8), steps=400)
    assert torch.allclose(alone, found[:2], atol=1e-5)
    assert torch.allclose(errors[0], 2 * (images - 0.5).abs().flatten(1).mean(1))


def test_features_and_nearness_count_where_they_are_asked_for() -> None:
    model = _Painter()
    images = model.generator(torch.randn(3, 8, generator=_generator()))
    start = torch.zeros(3, 8)  # from where a search arrives, and Adam's steps are no longer all alike
    plain, featured = (inversion.optimized(model, images, start, steps=40, features=weight)[0] for weight in (0.0, 3.0))
    assert (plain - featured).abs().max() > 1e-3
    far = torch.full((3, 8), 9.0)  # sigmoid(9) is read as 4.6: codes that nobody infers
    images = model.generator(far)
    kept, _ = inversion.optimized(model, images, far, steps=60, stay=10.0)
    free, _ = inversion.optimized(model, images, far, steps=60)
    assert torch.equal(free, far)
    assert (kept < 8).all()


def test_the_best_of_several_starts_is_the_best() -> None:
    model = _Painter()
    images = model.generator(torch.randn(4, 8, generator=_generator()))
    starts = torch.stack([torch.zeros(8), torch.full((8,), 30.0)])  # where a sigmoid has no slope
    codes, errors = inversion.best_of(model, images, starts, steps=200)
    assert (errors[0] < errors[1]).all()
    assert torch.allclose(model.generator(codes), images, atol=0.05)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"start": torch.zeros(2, 8)}, "2 starts for 3 images"),
        ({"start": torch.zeros(3, 7)}, "of another model"),
        ({"steps": 0}, "steps is 0"),
        ({"features": -1.0}, "features is -1"),
    ],
)
def test_inversions_that_cannot_be_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(TeachlibError, match=said):
        inversion.optimized(
            **{"model": _Painter(), "images": torch.rand(3, 1, 32, 32), "start": torch.zeros(3, 8), **options}
        )  # type: ignore[arg-type]


class _Ruler:
    """An extractor whose features are pixels, and a generator of pixels from codes, all ways alike or not."""

    def __init__(self, stretch: float) -> None:
        self.stretch = stretch

    @staticmethod
    def features(x: Tensor) -> Tensor:
        return x.flatten(1)

    def eval(self) -> "_Ruler":
        return self

    def generate(self, w: Tensor) -> Tensor:
        return (w * torch.tensor([1.0, self.stretch])).view(-1, 1, 1, 2)


def test_paths_of_a_linear_generator_have_length_two_and_detours_more() -> None:
    """‖A(w - w′)‖² is twice the total variance of Aw, whatever A is."""
    codes = torch.randn(4000, 2, generator=_generator())

    class Bent(_Ruler):
        def generate(self, w: Tensor) -> Tensor:
            return (5 * w).sin().view(-1, 1, 1, 2)

    for stretch in (1.0, 7.0):
        found = evaluation.path_length(_Ruler(stretch), codes, _Ruler(1.0), _generator(1))  # type: ignore[arg-type]
        assert found == pytest.approx(2.0, rel=0.1)
    # sin(5w) has variance ½, and moves by 25·cos²(5w) of a step's square, 2·25/2 on average.
    bent = evaluation.path_length(Bent(1.0), codes, _Ruler(1.0), _generator(1))  # type: ignore[arg-type]
    assert bent == pytest.approx(50.0, rel=0.1)
    with pytest.raises(TeachlibError, match="1 codes; a path needs two"):
        evaluation.path_length(_Ruler(1.0), codes[:1], _Ruler(1.0), _generator(1))  # type: ignore[arg-type]
    with pytest.raises(TeachlibError, match="all samples have the same features"):
        evaluation.path_length(_Ruler(0.0), 0 * codes, _Ruler(1.0), _generator(1))  # type: ignore[arg-type]


def test_steps_are_even_where_all_directions_of_codes_are_alike() -> None:
    codes = torch.randn(500, 2, generator=_generator())
    even = evaluation.uneven_steps(_Ruler(1.0), codes, _Ruler(1.0), _generator(1))  # type: ignore[arg-type]
    assert even == pytest.approx(0.0, abs=1e-5)
    # One way only: a step's effect is |cos φ|, of mean 2/π and mean square ½.
    flat = evaluation.uneven_steps(_Ruler(0.0), codes, _Ruler(1.0), _generator(1))  # type: ignore[arg-type]
    assert flat == pytest.approx(math.sqrt(0.5 / (2 / math.pi) ** 2 - 1), rel=0.1)


def test_of_a_gan_that_infers_nothing_nothing_that_was_rebuilt_is_told(images: Tensor) -> None:
    model = CHAPTER.build(recipes.recipe("gan", "glyphs", scale="ci"), None)
    assert not model.infers
    assert CHAPTER.build(recipes.recipe("bigan", "glyphs", scale="ci"), None).infers
    many = (images.repeat(4, 1, 1, 1) * 255).byte()
    some = ImageData("some", "test", many, torch.zeros(32, dtype=torch.long))
    judge = extractor("untrained", "glyphs")
    row = evaluation.evaluate(model, some, some, judge, count=16).row()
    assert {"floor", "random", "uneven steps"} <= row.keys()
    assert not {"error", "test rebuilt", "midpoint", "spread of codes", "seconds an image"} & row.keys()


# ------------------------------------------------------------------------------------------------------------ the page


def test_the_transfer_from_restyle_is_not_the_weakest_that_is_printed() -> None:
    """As the page prints Table 6.2 and Appendix C: trained on some reconstructions, tested on originals."""
    rows = tables.page().partition("Printed: average precision")[2].partition("Measured")[0]
    printed = {
        cells[1].strip(): float(cells[2].split()[0])
        for row in rows.splitlines()
        if len(cells := row.split("|")) > 5 and "±" in cells[2]
    }
    assert printed["tiled"] < printed["iterative"] < printed["full"]


def test_rivals_of_as_many_weights_have_as_many() -> None:
    def weights(made: recipes.Recipe) -> int:
        return sum(weight.numel() for weight in CHAPTER.build(made, None).parameters())

    ours = weights(CHAPTER.recipe("invgan-direct", "mnist", scale="laptop"))
    rows = results.read_results("parameters/6.1", "mnist")
    assert rows.keys() == {"alae", "bigan", "vae-gan"}
    for row in rows.values():
        assert ours < weights(CHAPTER.from_dict(row["recipe"])) < 1.05 * ours


@pytest.mark.parametrize(
    ("table", "dataset", "row", "value", "heading"),
    [
        ("6.1", "fashion-mnist", "invgan-direct", "error", "Measured, fashion-mnist"),
        ("6.1", "mnist", "invgan-direct+smoothness=1.0", "path length", "Even steps of codes"),
        ("6.2", "heads", "full", "original", "Table 6.2"),
        ("left-out", "mnist", "without", "coverage, left out", "A class left out"),
        ("gif-inverse", "heads", "gif", "style inferred", "The inverse of GIF"),
        ("fairness", "heads", "codes+turned-to-the-left", "worst group", "A classifier that the light misleads"),
        ("6.2", "heads", "iterative", "iterative", "Table 6.2"),
        ("seconds/6.1", "mnist", "alae", "error", "at equal *time*"),
        ("seconds/6.1", "heads", "invgan-naive", "random to test", "At equal time, heads"),
        ("parameters/6.1", "mnist", "vae-gan", "error", "At equal time and weights, mnist"),
        ("inversions", "glyphs", "search-with-features", "random rebuilt", "Ways back on one generator"),
    ],
)
def test_the_page_shows_what_is_measured(table: str, dataset: str, row: str, value: str, heading: str) -> None:
    measured = results.read_results(table, dataset)[row]["values"][value]
    after = tables.page().partition(heading)[2]
    assert any(results.shown(measured, digits=digits) in after for digits in (2, 3, 4))


def _repeated() -> tuple[ImageData, ImageData]:
    """Pictures that :class:`_Linear` draws, to train and to test with."""
    stored = (_Linear().generate(torch.rand(300, 8, generator=_generator())) * 255).round().byte()
    train, test = (
        ImageData("glyphs", split, part, torch.zeros(150).long())
        for split, part in zip(("train", "test"), stored.split(150), strict=True)
    )
    return train, test


def test_spread_is_each_numbers_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers of a code that lie far from each other are not spread for that."""
    model = _Linear()
    monkeypatch.setattr(
        model, "codes", lambda n, generator: torch.rand(n, 8, generator=generator) + 3 * torch.arange(8)
    )
    found = evaluation.evaluate(model, *_repeated(), extractor("untrained", "glyphs"), count=150)
    assert found.spread == pytest.approx(1, abs=0.15)


def test_codes_of_the_prior_are_measured_in_evaluation_mode() -> None:
    torch.manual_seed(0)
    model, modes = networks.InvGAN("dcgan", (1, 32, 32), width=8, w_dim=8).train(), []
    model.mapping.register_forward_hook(lambda net, *_: modes.append(net.training))
    evaluation.evaluate(model, *_repeated(), extractor("untrained", "glyphs"), count=60)
    assert modes
    assert not any(modes)
    assert model.training


@pytest.mark.parametrize(
    ("name", "option"),
    [("gan", "pixels"), ("gan", "reinjects"), ("invgan-direct", "reinjects"), ("vae-gan", "discrepancy")],
)
def test_options_without_a_use_are_refused(name: str, option: str) -> None:
    with pytest.raises(TeachlibError, match=f"{name} has no use for {option}; leave it at"):
        recipes.recipe(name, "glyphs", scale="ci", **{option: 0.25})
