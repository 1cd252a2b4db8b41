"""The adversarial game: its losses against their definition, and two alternating updates through the loop."""

import math
from typing import Literal

import pytest
import torch

from teachlib import primer
from teachlib.data import load
from teachlib.errors import TeachlibError
from teachlib.primer import DCGANObjective, discriminator_loss, generator_loss, plane_game
from teachlib.training import Schedule, fit


def test_losses_are_their_definitions() -> None:
    real, generated = torch.tensor([0.3, -1.2, 2.0]).double(), torch.tensor([-0.5, 0.8, 0.1]).double()
    expected = -real.sigmoid().log().mean() - (1 - generated.sigmoid()).log().mean()
    torch.testing.assert_close(discriminator_loss(real, generated), expected)
    torch.testing.assert_close(generator_loss(generated), -generated.sigmoid().log().mean())
    assert generator_loss(torch.tensor([-1e4])).isfinite()  # the saturated end, where log of a sigmoid is −inf


def test_the_best_discriminator_is_p_over_p_plus_q() -> None:
    """On two known distributions over three points, descending the loss finds log p − log q as logits."""
    real, generated = [0] * 5 + [1] * 3 + [2] * 2, [0] * 1 + [1] * 3 + [2] * 6  # ten samples of each: exact shares
    logits = torch.zeros(3, dtype=torch.double, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=200, tolerance_grad=1e-12, tolerance_change=1e-15)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = discriminator_loss(logits[real], logits[generated])
        value.backward()
        return value

    optimizer.step(loss)
    p, q = torch.tensor([0.5, 0.3, 0.2]).double(), torch.tensor([0.1, 0.3, 0.6]).double()
    torch.testing.assert_close(logits.detach().sigmoid(), p / (p + q), rtol=0, atol=1e-5)


def test_fit_alternates_two_updates() -> None:
    torch.manual_seed(0)
    objective = DCGANObjective(latent=8, width=4, learning_rate=2e-3)
    before = {name: [p.clone() for p in net.parameters()] for name, net in objective.nets.items()}
    data = load("glyphs", "train", limit=200)
    history = fit(objective, data, Schedule(steps=30, batch_size=20, log_every=5), progress=False)
    for name, net in objective.nets.items():
        assert any(not torch.equal(a, b) for a, b in zip(before[name], net.parameters(), strict=True))
    _, losses = history.series("discriminator")
    assert losses[-1] < losses[0]
    assert len(history.series("generator")[1]) == 6


def test_discriminator_update_leaves_the_generator_alone() -> None:
    objective = DCGANObjective(latent=8, width=4)
    updates = objective.updates((torch.rand(4, 1, 32, 32), torch.zeros(4)), torch.Generator().manual_seed(0), 0)
    name, loss = next(updates)
    loss.backward()
    assert name == "discriminator"
    assert all(p.grad is None for p in objective.nets["generator"].parameters())
    name, loss = next(updates)
    loss.backward()
    assert name == "generator"
    assert all(p.grad is not None for p in objective.nets["generator"].parameters())


def test_saturating_and_non_saturating_losses() -> None:
    logits = torch.tensor([-4.0, 0.0, 3.0], requires_grad=True)
    p = logits.sigmoid()
    assert torch.allclose(generator_loss(logits, "saturating"), (1 - p).log().mean(), atol=1e-6)
    assert torch.allclose(generator_loss(logits), -p.log().mean(), atol=1e-6)
    (saturated,) = torch.autograd.grad(generator_loss(logits, "saturating"), logits)
    (lively,) = torch.autograd.grad(generator_loss(logits), logits)
    # Where the discriminator is sure (logit −4), one gradient is almost gone, the other at its largest.
    assert saturated[0].abs() * 10 < lively[0].abs()
    with pytest.raises(TeachlibError, match="unknown generator loss 'hinge'"):
        generator_loss(logits, "hinge")


def quantiles(weight: torch.Tensor, count: int) -> torch.Tensor:
    """So many cells of a grid, each about as often as its weight says."""
    return torch.searchsorted(weight.cumsum(0), (torch.arange(count) + 0.5) / count).clamp(max=len(weight) - 1)


@pytest.mark.parametrize(("kind", "sign"), [("saturating", -1), ("non-saturating", 1)])
def test_a_game_descends_the_loss_that_it_was_asked_for(
    kind: Literal["saturating", "non-saturating"], sign: int
) -> None:
    """log(1 − D) is negative everywhere, −log D positive."""
    game = plane_game(latent=2, width=8, kind=kind)
    _, (name, loss) = game.updates((torch.zeros(16, 2), torch.zeros(16)), torch.Generator().manual_seed(0), 0)
    assert name == "generator"
    assert sign * loss.item() > 0


def test_the_best_loss_measures_how_far_two_known_densities_are_apart() -> None:
    """Its minimizer on a grid is p / (p + q), its least value log 4 − 2·JS (Goodfellow et al., 2014)."""
    x = torch.linspace(-5, 5, 101, dtype=torch.float64)
    p, q = (torch.distributions.Normal(mean, 1.0).log_prob(x).exp() * 0.1 for mean in (-1.0, 1.0))
    real, generated = quantiles(p, 200_000), quantiles(q, 200_000)
    logits = torch.zeros_like(x, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=500, line_search_fn="strong_wolfe", tolerance_grad=1e-12)

    def loss() -> torch.Tensor:
        return discriminator_loss(logits[real], logits[generated])

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    optimizer.step(closure)  # type: ignore[arg-type]
    within = (p + q) > 1e-3
    assert torch.allclose(logits.sigmoid()[within], (p / (p + q))[within], atol=5e-3)
    mean = (p + q) / 2
    divergence = 0.5 * ((p * (p / mean).log()).sum() + (q * (q / mean).log()).sum())
    assert loss().item() == pytest.approx(math.log(4) - 2 * divergence.item(), abs=1e-3)


def test_samples_differ_and_follow_the_generators_numbers() -> None:
    game = plane_game()
    drawn = [game.sample(50, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert len(drawn[0].unique(dim=0)) == 50


def test_a_judge_of_points_is_shown_no_others() -> None:
    game = plane_game()
    with pytest.raises(TeachlibError, match=r"samples .*\(5, 3\).*2"):
        game.judge(torch.zeros(5, 3))
    assert primer.Game(*game.nets.values(), latent=4).judge(torch.zeros(5, 2)).shape == (5,)  # of any shape


def test_both_players_learn_at_the_rate_asked_for() -> None:
    for game in (plane_game(learning_rate=3e-4), DCGANObjective(width=4, learning_rate=3e-4)):
        assert [group["lr"] for o in game.optimizers().values() for group in o.param_groups] == [3e-4, 3e-4]
    recipe = primer.recipe("primer-gan", scale="ci")
    optimizers = recipe.objective(recipe.build()).optimizers()
    assert {group["lr"] for o in optimizers.values() for group in o.param_groups} == {recipe.learning_rate}


def test_a_conditional_game_uses_its_labels() -> None:
    for game, x in (
        (plane_game(classes=3), torch.randn(6, 2)),
        (DCGANObjective(width=8, classes=3), torch.rand(6, 1, 32, 32)),
    ):
        for net in game.nets.values():
            net.eval()
        a, b = torch.zeros(6, dtype=torch.long), torch.full((6,), 2)
        assert not torch.allclose(game.judge(x, a), game.judge(x, b))
        draws = [game.sample(6, torch.Generator().manual_seed(0), labels) for labels in (a, b)]
        assert draws[0].shape == x.shape
        assert not torch.allclose(*draws)
        names = [name for name, _ in game.updates((x, a), torch.Generator().manual_seed(0), 0)]
        assert names == ["discriminator", "generator"]
