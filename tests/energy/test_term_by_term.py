"""Every loss of the chapter's games term by term, and measures on pictures that leave no other answer."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import softplus

from teachlib.energy import (
    Anneal,
    Pair,
    PairObjective,
    constant,
    evaluation,
    likelihood_loss,
    load,
    log_likelihood,
    metropolis_hastings,
    penalty,
    recipe,
    refitted,
    rejection,
    sets,
    shared_information,
    sums_of,
    support_loss,
    worlds,
)
from teachlib.energy.assemble import (
    OBJECTS,
    Assembled,
    AssembledObjective,
    Scenes,
    alone,
    dependency,
    measured,
    obedience,
    pairs,
    pictures_of,
    scenes,
)
from teachlib.energy.assemble import load as load_shapes
from teachlib.energy.assemble import recipe as recipe_of_shapes
from teachlib.energy.assemble.shapes import SIZE, SQUARE, TRIANGLE
from teachlib.energy.networks import normalized_features
from teachlib.gif.losses import r1_penalty
from teachlib.primer.gan import discriminator_loss, generator_loss

close = torch.allclose


def gen(s=0):
    return torch.Generator().manual_seed(s)


def _pair(name="modes-gan", **o):
    torch.manual_seed(0)
    return Pair(recipe(name, scale="ci", **o))


def _model(name="assemble", **o):
    torch.manual_seed(0)
    return Assembled(recipe_of_shapes(name, scale="ci", **o)).eval()


HELD = load_shapes("test", 400)
X = load("gaussians", "train", 128)[:][0]
Z = torch.randn(128, 2, generator=gen(1))
LP = torch.randn(128, generator=gen(2))
MADE = torch.randn(128, 2, generator=gen(3))


def test_eqs_7_3_and_7_4_term_by_term() -> None:
    g = PairObjective(_pair("modes-likelihood", m=16, penalty="R1"))
    j = g.model.judge
    held = g.recipe.penalty_weight * penalty("R1", j, X, MADE, None)
    assert close(g.judge_loss(X, MADE, 0 * LP, None), likelihood_loss(-j(X), sums_of(-j(MADE), 16)) + held)
    assert close(g.generator_loss(MADE, Z, LP), support_loss(sums_of(-j(MADE), 16)))


def test_a_flow_s_losses_have_its_density_with_its_sign() -> None:
    g = PairObjective(_pair("modes-likelihood", spread="flow"))
    j = g.model.judge
    assert close(g.judge_loss(X, MADE, LP, None), likelihood_loss(-j(X), sums_of(-j(MADE), 128), sums_of(-LP, 128)))
    assert close(g.generator_loss(MADE, Z, LP), LP.mean() - j(MADE).mean())


def test_the_game_s_losses_and_the_witness_that_learns_along() -> None:
    g = PairObjective(_pair(spread="entropy"))
    m = g.model
    told = shared_information(m.witness, MADE, Z)
    assert close(g.generator_loss(MADE, Z, LP), generator_loss(m.judge(MADE)) - 0.3 * told)
    held = {id(w) for o in g.optimizers().values() for p in o.param_groups for w in p["params"]}
    assert held == {id(w) for w in m.parameters()}


def test_each_side_has_noise_of_its_own() -> None:
    g, zs = PairObjective(_pair()), []
    old = g.generated
    g.generated = lambda z: (zs.append(z), old(z))[1]
    list(g.updates((X, X), gen(), 0))
    assert not torch.equal(*zs)


def test_pairs_of_a_sample_with_itself_and_features_of_length_one() -> None:
    m, x = _pair(spread="pack"), X[:10]
    assert close(m.energy(x)[3], -m.judge(x[[3, 3]])[0])
    assert close(normalized_features(_pair().judge, x).norm(dim=1), torch.ones(10))
    assert len(m.sample(2500, gen())) == 2500


def test_a_chain_that_has_moved_stays_moved_and_proposals_are_counted() -> None:
    steps = iter([1.0, 0.0])
    ends, moved = metropolis_hastings(
        torch.zeros(1), lambda n: torch.full((n,), next(steps)), lambda x: 1e3 * x, gen(), steps=2
    )
    assert moved.all()
    assert ends == 1
    assert rejection(torch.zeros, torch.zeros_like, 10, gen(), log_largest=0.0).proposed == 1000


def test_rates_fade() -> None:
    lin, ws = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.Flatten(0)), []
    refitted(
        lin, lambda n: (ws.append(lin[0].weight.item()), torch.ones(n, 1))[1], lambda n: -torch.ones(n, 1), steps=100
    )
    assert abs(ws[-1] - ws[-2]) < 0.1 * abs(ws[1] - ws[0])


MEAN, DEVIATION = torch.tensor([0.7, -0.4]), torch.tensor([0.5, 1.5])
EXACT = 2.5 + math.log(2 * math.pi) + DEVIATION.log().sum().item()


def en(x):
    return 0.5 * ((x - MEAN) / DEVIATION).square().sum(1) - 2.5


def test_one_step_from_the_target_itself_is_exact() -> None:
    ends, w = Anneal(en, MEAN, DEVIATION, temperatures=1, step_size=0.1).forward(500, gen())
    assert close(w, torch.full((500,), EXACT), atol=1e-4)
    assert close(ends.mean(0), MEAN, atol=0.25)
    low, high = log_likelihood(en, ends, constant.Bounds(1.0, 2.0, 0.0, 0.0))
    assert high - low == pytest.approx(1)
    assert constant._log_mean_exp(torch.tensor([1.0, 1, 3, 3]).log())[1] == pytest.approx(3**-0.5 / 2)


def test_stacks_are_read_digit_by_digit(monkeypatch) -> None:
    held = sets.stacked("stacked-glyphs", "test", 300, gen(2))
    monkeypatch.setattr(evaluation, "counted", lambda modes, good, of: (modes, good))
    modes, good = evaluation.on_stacks("stacked-glyphs", held[:][0])
    assert (modes == held.modes)[good].float().mean() > 0.95
    monkeypatch.setattr(evaluation, "SURE", 1.1)
    assert not evaluation.on_stacks("stacked-glyphs", held[:][0])[1].any()
    assert not torch.equal(load("gaussians", "validation", 9).modes, load("gaussians", "train", 9).modes)


ROW = worlds.world("...G", slips=0.0)


def test_slips_go_to_the_sides_and_what_was_not_seen_stays() -> None:
    open_ = worlds.world("...\n...\n...", slips=0.2)
    assert close(open_.step[4, 0], torch.tensor([0, 0.8, 0, 0.1, 0, 0.1, 0, 0, 0]))
    two = (ROW.step[:, 1] @ ROW.step[:, 1])[:, None].expand(4, 4, 4)
    assert worlds.drift(two, ROW, torch.ones(4, dtype=torch.long), start=0, horizon=3) == [1, 1, 0]
    zero = torch.zeros(1, dtype=torch.long)
    assert worlds.counted(ROW, (zero, zero, zero))[2, 0].tolist() == [0, 0, 1, 0]


def test_shuffled_pairs_are_of_other_samples() -> None:
    z = torch.randn(20, 3, generator=gen())

    def sees(x, z):
        return torch.where((x - z).sum(1).abs() < 1e-5, 40.0, -40.0)

    assert shared_information(sees, z, z).item() == pytest.approx(math.log(4))


def test_what_is_drawn_last_is_on_top() -> None:
    s = replace(
        scenes(1, gen()),
        present=torch.tensor([[True, False, True]]),
        centres=torch.full((1, 3, 2), 16.0),
        colours=torch.eye(3)[None],
        order=torch.arange(3)[None],
    )
    assert s.draw()[0, :, 16, 16].tolist() == [0, 0, 1]


def test_alpha_hides_and_gradients_reach_the_first_painter() -> None:
    joint = _model("assemble-joint")
    c = HELD[:8][1]
    z = joint.noise(8, gen())
    torch.nn.init.constant_(joint.generator.painter.last.bias, -90.0)
    joint.generator.painter.last.bias.data[:3] = 9
    assert joint(c, z).max() < 1e-6
    m = _model()
    p = m.generator.painters[0]
    p.mapping.register_forward_pre_hook(lambda _, a: seen.append(a[0]))
    seen = []
    grads = torch.autograd.grad(m(c, z).sum(), p.last.weight, allow_unused=True)
    assert grads[0] is not None
    assert seen[0][:, -4:].max() <= 1.1


def test_the_assembled_game_term_by_term() -> None:
    m, seen = _model(hides="triangle"), []
    (x, c), j = HELD[:16], m.discriminator
    t = m.told(c)
    hook = j.register_forward_pre_hook(lambda _, a: seen.append(a))
    (_, d), (_, g) = AssembledObjective(m).updates((x, c), gen(), 1)
    hook.remove()
    made = seen[-1][0]
    assert not seen[1][0].requires_grad
    assert close(d, discriminator_loss(j(x, t), j(made, t)) + 0.5 * softplus(j(x, t.roll(1, 0))).mean())
    assert close(g, generator_loss(j(made, t)))
    (_, d0), _ = AssembledObjective(m).updates((x, c), gen(), 0)
    assert close(d0 - d, 8 * r1_penalty(lambda x: j(x, t), x, 3.0), rtol=1e-3)


def test_what_is_hidden_comes_last_and_is_not_told() -> None:
    m = _model(hides="circle")
    c = HELD.scenes.showing(torch.ones(400, 3, dtype=torch.bool)).conditions()[:8]
    z = m.noise(8, gen())
    assert torch.equal(m(c, z), m.generator(m.told(c), z, (1, 2, 0)))


def test_nothing_drawn_obeys_nothing_and_chance_is_of_other_squares() -> None:
    def black(s):
        return torch.zeros(len(s), 3, SIZE, SIZE)

    assert obedience(black, HELD.scenes)["circle"].named == 0
    drawn, moved = pairs(400, 0)
    assert dependency(black, drawn, moved).above == 0
    assert dependency(lambda s: s.draw() if s is drawn else black(s), drawn, moved).slope == 0
    real = dependency(Scenes.draw, drawn, moved)
    b = drawn.boxes()
    tops, squares = b[:, TRIANGLE, 1], b[:, SQUARE, 1]
    assert real.chance == pytest.approx((tops < squares.roll(1)).float().mean().item(), abs=0.03)
    assert real.real_slope == pytest.approx(np.polyfit(squares, tops, 1)[0], abs=0.02)
    sq = moved.boxes()[:, SQUARE]
    assert sq.min() >= 0.49
    assert sq.max() <= SIZE - 0.49
    row = measured(Scenes.draw, HELD.scenes, seed=0)
    assert row["above by chance"] == real.chance < row["above"]


def test_a_perfect_painter_alone_is_found_perfect() -> None:
    m, s = _model(), HELD.scenes
    draw = pictures_of(m, 0)
    assert torch.equal(draw(s[:5]), draw(s[:5]))
    noise = m.noise(400, gen(0))

    def add(n, before, c, z):
        rows = ~s.present[:, n]
        assert c[:, n, 0].all()
        assert torch.equal(z, noise[rows])
        return torch.where(s.alphas()[rows, n, None] >= 0.5, 1.0 - before.round(), before)

    m.generator.add = add
    found = alone(m, HELD[:][0], s, seed=0)
    assert min(found[f"{n} alone"] for n in OBJECTS) > 0.9
