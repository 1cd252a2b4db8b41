"""The chapter's games: what moves whom, and the counts that judge them."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from teachlib import data, energy
from teachlib.chapter import Run
from teachlib.commands import table
from teachlib.energy import CENTRES, Pair, PairObjective, count, counted, on_grid, recipe
from teachlib.energy.chapter import CHAPTER
from teachlib.energy.evaluation import beside_real, evaluate
from teachlib.energy.networks import Judge
from teachlib.energy.sets import DEVIATION, load, stacked
from teachlib.energy.tables import OF_SUMS, PARTS, ROWS, TABLES
from teachlib.errors import TeachlibError
from teachlib.metrics.extractors import untrained


def _pair(name="modes-gan", **options):
    torch.manual_seed(0)
    return Pair(recipe(name, scale="ci", **options))


def _batch(count=128):
    return load("gaussians", "train", count)[:count]


OPTIONS = [
    ("modes-gan", {}),
    *(("modes-gan", {"spread": name}) for name in energy.SPREADS if name not in ("none", "flow")),
    ("modes-gan", {"together": True}),
    ("modes-gan", {"aim": "sum"}),
    ("modes-gan", {"aim": "mean"}),
    ("modes-likelihood", {"aim": "game"}),
    ("modes-likelihood", {"aim": "mean"}),
    ("modes-likelihood", {}),
    ("modes-likelihood", {"m": 1, "penalty": "one-centred"}),
    ("modes-likelihood", {"spread": "flow"}),
    ("modes-likelihood", {"points": "prior"}),
    ("modes-likelihood", {"points": "both", "together": True}),
]


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_each_loss_moves_its_own_network(name, options) -> None:
    model = _pair(name, **options)
    for weight in model.generator.parameters() if options.get("spread") == "flow" else ():
        torch.nn.init.normal_(weight, std=0.1)  # couplings start as the identity, where inner layers do nothing yet
    game = PairObjective(model)
    optimizers = game.optimizers()
    moved = {}
    for update, loss in game.updates(_batch(), torch.Generator().manual_seed(1), 0):
        weights = [w for group in optimizers[update].param_groups for w in group["params"]]
        gradients = torch.autograd.grad(loss, weights, allow_unused=True)
        moved[update] = {id(w) for w, g in zip(weights, gradients, strict=True) if g is not None and g.abs().sum() > 0}
    sides = {"judge": model.judge, "generator": model.generator}
    for update, net in sides.items() if not options.get("together") else ():
        assert {id(w) for w in net.parameters()} - moved[update] <= {id(model.judge.head.bias)}
    if options.get("together"):
        assert {id(w) for net in sides.values() for w in net.parameters()} - moved["both"] <= {
            id(model.judge.head.bias)
        }


def test_together_each_has_the_gradient_that_it_has_alone() -> None:
    """The generator's loss passes through the judge and must leave nothing there."""
    game = PairObjective(_pair(together=True))
    judge = list(game.model.judge.parameters())
    x, _ = _batch()
    (_, both), *_ = game.updates((x, x), torch.Generator().manual_seed(2), 0)
    z = game.model.noise(len(x), torch.Generator().manual_seed(2))
    alone = game.judge_loss(x, game.model.generator(z).detach(), z[:, 0], torch.Generator())
    pairs = zip(torch.autograd.grad(both, judge), torch.autograd.grad(alone, judge), strict=True)
    assert all(torch.allclose(a, b, atol=1e-7) for a, b in pairs)


@pytest.mark.parametrize("name", energy.RECIPES)
def test_the_generator_climbs_what_it_is_told_whoever_judges(name: str) -> None:
    """Of log D = s at its samples: the mean of s, the logarithm of the mean of exp(s) over m, or log sigmoid(s)."""
    made = _batch(64)[0]
    for aim in ("game", "sum", "mean"):
        game = PairObjective(_pair(name, aim=aim, m=16 if aim == "sum" else 0 if name == "modes-likelihood" else 1))
        torch.nn.init.constant_(game.model.judge.head.bias, 1.5)
        scores = game.model.judge(made)
        normalized = scores - scores.exp().mean().log().detach() if name == "modes-likelihood" else scores
        climbed = {
            "game": normalized.sigmoid().log().mean(),
            "sum": scores.view(4, 16).exp().mean(1).log().mean(),
            "mean": scores.mean(),
        }[aim]
        loss = game.generator_loss(made, torch.zeros(64, 2), torch.zeros(64))
        assert loss.item() == pytest.approx(-climbed.item(), abs=1e-5)


def test_a_factor_that_eq_7_3_leaves_open_moves_no_generator() -> None:
    game, made = PairObjective(_pair("modes-likelihood", aim="game")), _batch(32)[0].requires_grad_()
    slopes = []
    for bias in (0.0, 7.0):
        torch.nn.init.constant_(game.model.judge.head.bias, bias)
        loss = game.generator_loss(made, torch.zeros(32, 2), torch.zeros(32))
        slopes += torch.autograd.grad(loss, made)
    assert torch.allclose(*slopes, atol=1e-6)


def test_a_spread_is_weighed_and_added() -> None:
    plain, spread = (PairObjective(_pair(spread=name)) for name in ("none", "kernel"))
    spread.model.load_state_dict(plain.model.state_dict())
    z = plain.model.noise(64, torch.Generator().manual_seed(3))
    made = plain.model.generator(z)
    more = spread.generator_loss(made, z, z[:, 0]) - plain.generator_loss(made, z, z[:, 0])
    assert torch.allclose(more, energy.SPREADS["kernel"] * energy.kernel_repulsion(made, 0.25), rtol=1e-4)


def test_a_flow_knows_its_density() -> None:
    model = _pair("modes-likelihood", spread="flow")
    for weight in model.generator.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    z = torch.randn(40, 2, generator=torch.Generator().manual_seed(4))
    x, log_prob = model.generator.with_log_prob(z)
    jacobians = torch.stack(
        [torch.autograd.functional.jacobian(lambda one: model.generator(one[None])[0], each) for each in z]
    )
    normal = -0.5 * z.square().sum(1) - math.log(2 * math.pi)
    assert torch.allclose(log_prob, normal - torch.linalg.slogdet(jacobians).logabsdet, atol=1e-4)
    assert torch.allclose(model.generator.log_prob(x), log_prob, atol=1e-3)


def test_points_of_a_prior_are_weighed_by_one_over_its_density() -> None:
    game = PairObjective(_pair("modes-likelihood", points="prior"))
    points, log_weights = game._points(torch.zeros(20_000, 2), torch.zeros(20_000), torch.Generator().manual_seed(5))
    # The mean of exp(-f)/p over draws of p, of a Gaussian of deviation one, is its constant.
    found = energy.log_mean(0.5 * points.square().sum(1), log_weights)
    assert found.item() == pytest.approx(math.log(2 * math.pi), abs=0.05)
    both = PairObjective(_pair("modes-likelihood", points="both"))
    mixed, _ = both._points(torch.zeros(10, 2), torch.zeros(10), torch.Generator())
    assert (mixed == 0).all(1).tolist() == [True, False] * 5


def test_a_judge_sees_pictures_from_minus_one_to_one_and_points_as_they_are() -> None:
    for judge, x, low, high in (
        (Judge(1, 4), torch.stack([torch.zeros(1, 32, 32), torch.ones(1, 32, 32)]), -1.0, 1.0),
        (Judge(0, 4), torch.tensor([[0.0, 0.0], [3.0, 3.0]]), 0.0, 3.0),
    ):
        seen = list[torch.Tensor]()
        judge.body.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0]))
        judge(x)
        assert (seen[0][0] == low).all()
        assert (seen[0][1] == high).all()


@pytest.mark.parametrize(("name", "own"), [("modes-gan", "game"), ("modes-likelihood", "sum")])
def test_a_game_with_its_own_aim_is_the_usual_one(name: str, own: str) -> None:
    assert recipe(name, aim=own) == recipe(name)
    assert CHAPTER.label(recipe(name, aim=own)) == name


def test_a_packed_judge_sees_pairs() -> None:
    model = _pair(spread="pack")
    x = torch.randn(10, 2)
    assert model.judge(x).shape == (5,)
    assert torch.allclose(model.judge(x)[:1], model.judge(x[:2]))
    assert model.energy(x).shape == (10,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "modes-gan", "m": 4}, "has no sum"),
        ({"name": "modes-gan", "points": "prior"}, "judge has no sum"),
        ({"name": "modes-gan", "m": 7, "aim": "sum"}, "verdicts a batch do not fall"),
        ({"name": "modes-gan", "aim": "up"}, "unknown aim"),
        ({"name": "modes-gan", "batch_size": -1}, "batch_size"),
        ({"name": "modes-likelihood", "spread": "flow", "aim": "game"}, "mean of log D is climbed"),
        ({"name": "modes-gan", "spread": "flow"}, "belongs to modes-likelihood"),
        ({"name": "modes-likelihood", "m": 7}, "verdicts a batch do not fall"),
        ({"name": "modes-likelihood", "dataset": "stacked-glyphs", "points": "prior"}, "only in the plane"),
        ({"name": "modes-likelihood", "spread": "pack", "m": 128}, "64 verdicts a batch do not fall"),
        ({"name": "modes-likelihood", "spread": "pack", "points": "prior"}, "takes its points from the generator"),
        ({"name": "modes-likelihood", "points": "both", "m": 1}, "m must be even"),
        ({"name": "modes-gan", "spread_weight": -5.0}, "0 or more, or -1"),
        ({"name": "modes-gan", "spread_weight": 3.0}, "no term that could be weighed"),
        ({"name": "modes-gan", "penalty": "R3"}, "unknown penalty"),
        ({"name": "modes-gan", "spread": "glue"}, "unknown spread"),
        ({"name": "modes-gan", "dataset": "mnist"}, "grey pictures; expected colour ones"),
        ({"name": "modes-gan", "dataset": "mnits"}, "unknown data set"),
        ({"name": "modes-likelihood", "dataset": "colour-glyphs", "spread": "flow"}, "only in the plane"),
        ({"name": "modes", "dataset": "gaussians"}, "unknown recipe"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(options, message) -> None:
    with pytest.raises(TeachlibError, match=message):
        recipe(**options)


@pytest.mark.parametrize("label", [*ROWS, *OF_SUMS, *PARTS])
def test_labels_lead_back(label) -> None:
    name, options = CHAPTER.named(label)
    assert CHAPTER.label(CHAPTER.recipe(name, scale="laptop", **options)) == label


def test_a_sum_over_verdicts_on_pairs() -> None:
    game = PairObjective(_pair("modes-likelihood", spread="pack"))
    assert game.recipe.m == 64
    losses = [loss for _, loss in game.updates(_batch(), torch.Generator().manual_seed(0), 0)]
    assert all(loss.isfinite() for loss in losses)


# ------------------------------------------------------------------------------------------------------- counts


def test_the_data_have_all_modes_in_equal_shares() -> None:
    held = load("gaussians", "test")
    found = on_grid(held.points)
    assert found.modes == 25
    assert found.quality == pytest.approx(1 - math.exp(-4.5), abs=0.005)  # within three deviations, in the plane
    assert found.divergence < 0.01
    assert torch.equal(torch.cdist(held.points, CENTRES).argmin(1), held.modes)


def test_a_smear_has_every_mode_and_no_quality() -> None:
    smear = 5 * torch.rand(10_000, 2, generator=torch.Generator().manual_seed(0)) - 2.5
    found = on_grid(smear)
    assert found.quality == pytest.approx(math.pi * (3 * DEVIATION) ** 2, abs=0.02)
    assert found.divergence < 0.05
    assert found.modes == 0


def test_a_collapsed_generator_has_one_mode_and_log_25() -> None:
    found = on_grid(CENTRES[3] + DEVIATION * torch.randn(1000, 2, generator=torch.Generator().manual_seed(1)))
    assert (found.modes, found.divergence) == (1, pytest.approx(math.log(25)))
    with pytest.raises(TeachlibError, match="no samples"):
        on_grid(torch.zeros(0, 2))
    nowhere = on_grid(torch.full((100, 2), 40.0))
    assert (nowhere.modes, nowhere.quality, nowhere.divergence) == (0, 0.0, pytest.approx(math.log(25)))


def test_a_mode_counts_from_a_tenth_of_its_share() -> None:
    modes = torch.cat([torch.zeros(900, dtype=torch.long), torch.ones(50, dtype=torch.long), torch.full((50,), 2)])
    good = torch.ones(1000, dtype=torch.bool)
    assert counted(modes, good, 2 + 1).modes == 3
    assert counted(modes, good & (torch.arange(1000) < 930), 3).modes == 1


def test_real_stacks_are_read_right() -> None:
    held = stacked("stacked-glyphs", "test", 600, torch.Generator().manual_seed(2))
    images, modes = held[:]
    assert images.shape == (600, 3, 32, 32)
    found = count("stacked-glyphs", images)
    assert found.quality > 0.85
    generator = torch.Generator().manual_seed(3)
    for nonsense in (torch.full((20, 3, 32, 32), 0.5), torch.rand(20, 3, 32, 32, generator=generator), 1 - images[:20]):
        assert count("stacked-glyphs", nonsense).quality == 0
    assert modes.unique().numel() > 300


def test_sets_are_the_same_at_every_call_and_splits_differ() -> None:
    assert torch.equal(load("gaussians", "train", 100).points, load("gaussians", "train").points[:100])
    assert not torch.equal(load("gaussians", "test", 100).points, load("gaussians", "train", 100).points)
    with pytest.raises(TeachlibError, match="unknown split"):
        load("gaussians", "trian")
    assert len(load("gaussians").sha256) == 64


def test_a_batch_of_pictures_goes_through_every_spread_there_is_for_them() -> None:
    for spread in ("distance", "features", "pack", "information", "entropy", "minibatch", "determinantal"):
        chosen = replace(recipe("modes-gan", "stacked-glyphs", scale="ci", spread=spread), batch_size=8)
        torch.manual_seed(0)
        game = PairObjective(Pair(chosen))
        images = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        losses = [loss for _, loss in game.updates((images, torch.zeros(8)), torch.Generator().manual_seed(1), 0)]
        assert all(loss.isfinite() for loss in losses)


# --------------------------------------------------------------------------------- pictures whose modes nobody knows


def test_colour_pictures_of_any_size_are_trained_on() -> None:
    held = load("colour-glyphs", "train", 40)
    images, classes = held[:]
    assert images.shape == (40, 3, 32, 32)
    assert images.max() <= 1
    assert classes.max() < 10
    assert torch.equal(held.points, data.load("colour-glyphs", limit=40).images)
    with pytest.raises(TeachlibError, match="split"):
        load("colour-glyphs", "trian")


def test_real_pictures_are_near_themselves_and_others_are_not() -> None:
    look = untrained((3, 32, 32))
    pictures = load("colour-glyphs", "train", 1200)[:][0]
    real, others = look.features(pictures[:600]), pictures[600:]

    class Fixed(Pair):
        drawn: torch.Tensor

        def sample(self, count, generator, batch_size=1000):
            return self.drawn[:count]

    # Pictures whose features are lowest: each of them has real ones near, of which most have none of them.
    alike = others[look.features(others).mean(1).argsort()[:120]].repeat(5, 1, 1, 1)
    model, found = Fixed(recipe("modes-gan", "colour-glyphs", scale="ci")), {}
    for name, drawn in {
        "real": others,
        "few": others[:6].repeat(100, 1, 1, 1),
        "black": 0 * others,
        "alike": alike,
    }.items():
        model.drawn = drawn
        found[name] = beside_real(model, real, look, seed=0)
    assert found["real"]["distance"] < 0.1 * found["black"]["distance"]
    assert found["real"]["coverage"] > 0.85
    assert found["real"]["density"] == pytest.approx(1, abs=0.15)
    assert found["few"]["coverage"] < 0.2
    assert found["alike"]["coverage"] < 0.6
    assert found["black"]["coverage"] < 0.05


def test_a_chapter_measures_what_can_be_counted_and_what_cannot() -> None:
    seen = {}
    for dataset, extractor in (("stacked-glyphs", None), ("colour-glyphs", "untrained")):
        torch.manual_seed(0)
        model = Pair(recipe("modes-gan", dataset, scale="ci"))
        runs = [Run(model, model.recipe.as_dict(), 0)]
        seen[dataset] = CHAPTER.measure(runs, 100, extractor)
    assert seen["stacked-glyphs"].rows[0].keys() == {"modes", "quality", "divergence"}
    assert seen["colour-glyphs"].rows[0].keys() == set(TABLES["pictures"].columns)
    assert seen["colour-glyphs"].samples == 100
    assert "untrained" in seen["colour-glyphs"].facts["extractor"]
    with pytest.raises(TeachlibError, match="are counted; leave it out"):
        CHAPTER.measure([replace(runs[0], recipe={**runs[0].recipe, "dataset": "gaussians"})], 100, "untrained")


def test_tables_that_share_a_folder_show_their_own_rows(capsys: pytest.CaptureFixture[str]) -> None:
    asked = {"results": None, "train": None, "seeds": 1, "scale": None, "steps": None, "width": None}
    for number in ("modes", "pictures"):
        table.run(number, "gaussians", out=Path("runs"), jobs=None, **asked)
    modes, pictures = capsys.readouterr().out.strip().split("\n\n")
    assert "quality" in modes
    assert pictures.startswith("nothing measured on gaussians")


def test_measuring_and_sampling_leave_training_alone() -> None:
    torch.manual_seed(0)
    model, modes = Pair(recipe("modes-gan", "stacked-glyphs", scale="ci")).train(), []
    model.generator.register_forward_hook(lambda net, *_: modes.append(net.training))
    before = {name: value.clone() for name, value in model.named_buffers()}
    evaluate(model, seed=0, samples=20)
    model.sample(2, torch.Generator().manual_seed(0))
    assert modes
    assert not any(modes)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.named_buffers())
