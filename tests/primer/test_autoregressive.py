"""Autoregressive models: who sees whom, and probabilities that add to one."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from teachlib import data
from teachlib.data import PointData
from teachlib.errors import TeachlibError
from teachlib.primer import MADE, LossObjective, MixtureMADE, PixelCNN, Recurrent
from teachlib.training import Schedule, fit

BITS = torch.tensor(list(itertools.product((0, 1), repeat=8)))


def stirred(model: nn.Module, *, by: float = 0.5) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(by * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def test_bits_have_probabilities_that_add_to_one() -> None:
    labels = torch.full((256,), 2)
    for log_prob in (
        stirred(MADE(8, width=20)).log_prob(BITS),  # type: ignore[operator]
        stirred(MADE(8, width=20, classes=3)).log_prob(BITS, labels),  # type: ignore[operator]
        stirred(Recurrent(width=8)).log_prob(BITS),  # type: ignore[operator]
        stirred(PixelCNN(levels=2, width=8, layers=3)).log_prob(BITS.view(-1, 1, 2, 4)),  # type: ignore[operator]
        stirred(PixelCNN(levels=2, channels=2, width=8, layers=3)).log_prob(BITS.view(-1, 2, 2, 2)),  # type: ignore[operator]
    ):
        assert log_prob.exp().sum().item() == pytest.approx(1, abs=1e-5)
        assert log_prob.std() > 0.1  # and they are not all alike


def test_made_is_causal_by_its_gradients() -> None:
    model = stirred(MADE(6, levels=3, width=40))
    x = torch.rand(1, 6, requires_grad=True)
    logits = model.net(x).view(6, 3)  # type: ignore[union-attr, operator]
    for i in range(6):
        (gradient,) = torch.autograd.grad(logits[i].sum(), x, retain_graph=True)
        seen = gradient[0].abs() > 0
        assert seen.tolist() == [j < i for j in range(6)]


def test_no_hidden_unit_is_idle_and_one_variable_needs_none() -> None:
    first, _, second, _, last = MADE(5, width=11).net
    for layer in (first, second):
        assert layer.mask.any(1).all()  # sees something
    for layer in (second, last):
        assert layer.mask.any(0).all()  # is seen
    alone = stirred(MADE(1, width=1, levels=3)).log_prob(torch.arange(3)[:, None])  # type: ignore[operator]
    assert alone.exp().sum().item() == pytest.approx(1)


def test_mixture_made_is_causal_and_integrates_to_one() -> None:
    model = stirred(MixtureMADE(3, components=2, width=30))
    x = torch.randn(1, 3, requires_grad=True)
    for i, part in enumerate(model.net(x).view(3, 6)):  # type: ignore[operator]
        (gradient,) = torch.autograd.grad(part.sum(), x, retain_graph=True)
        assert (gradient[0].abs() > 0).tolist() == [j < i for j in range(3)]
    plane = stirred(MixtureMADE(2, components=3, width=16), by=0.2).double()
    ticks = (torch.arange(800, dtype=torch.float64) + 0.5) / 800 * 80 - 40
    with torch.no_grad():
        mass = plane.log_prob(torch.cartesian_prod(ticks, ticks)).exp().sum().item() * 0.1**2  # type: ignore[operator]
    assert mass == pytest.approx(1, abs=5e-3)


@pytest.mark.parametrize("channels", [1, 3])
def test_pixelcnn_sees_all_that_came_before_and_nothing_else(channels: int) -> None:
    model = stirred(PixelCNN(levels=4, channels=channels, width=8, layers=6))
    captured = torch.rand(1, channels, 5, 5, requires_grad=True)
    above = left = model.enter(captured)  # type: ignore[operator]
    for layer in model.layers:  # type: ignore[union-attr]
        above, left = layer(above, left, None)
    logits = model.head(left)  # type: ignore[operator]
    for row, column in itertools.product(range(5), repeat=2):
        (gradient,) = torch.autograd.grad(logits[0, :, row, column].sum(), captured, retain_graph=True)
        seen = gradient[0].abs().sum(0) > 0
        expected = torch.zeros(5, 5, dtype=torch.bool)
        expected.view(-1)[: 5 * row + column] = True
        assert torch.equal(seen, expected), (row, column)


@pytest.mark.parametrize("name", ["made", "pixelcnn", "recurrent"])
def test_samples_follow_the_probabilities(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    count, four = 20_000, torch.tensor(list(itertools.product((0, 1), repeat=4)))
    model = stirred(
        {"made": MADE(4, width=16), "pixelcnn": PixelCNN(levels=2, width=8, layers=2), "recurrent": Recurrent(width=8)}[
            name
        ]
    )
    if name == "pixelcnn":
        p, drawn = model.log_prob(four.view(-1, 1, 2, 2)).exp(), model.sample(count, generator, size=2).flatten(1)  # type: ignore[operator]
    elif name == "recurrent":
        p, drawn = model.log_prob(four).exp(), model.sample(count, generator, length=4)  # type: ignore[operator]
    else:
        p, drawn = model.log_prob(four).exp(), model.sample(count, generator)  # type: ignore[operator]
    found = torch.bincount((drawn * torch.tensor([8, 4, 2, 1])).sum(1), minlength=16) / count
    assert (found - p).abs().max() < 4.5 * math.sqrt(0.25 / count)


def test_mixture_made_samples_follow_the_density() -> None:
    model = stirred(MixtureMADE(2, components=3, width=16), by=0.2)
    drawn = model.sample(20_000, torch.Generator().manual_seed(0))  # type: ignore[operator]
    ticks = (torch.arange(1000) + 0.5) / 1000 * 60 - 30
    at = torch.cartesian_prod(ticks, ticks)
    with torch.no_grad():
        p = model.log_prob(at).exp() * 0.06**2  # type: ignore[operator]
    for axis in (0, 1):
        assert drawn[:, axis].mean().item() == pytest.approx((p * at[:, axis]).sum().item(), abs=0.1)
        below = (p * (at[:, axis] < 0.5)).sum().item()
        assert (drawn[:, axis] < 0.5).float().mean().item() == pytest.approx(below, abs=0.02)


def test_losses_are_minus_the_mean_log_probability() -> None:
    level = torch.randint(3, (5, 2, 4, 4), generator=torch.Generator().manual_seed(0))
    pixels = stirred(PixelCNN(levels=3, channels=2, width=8, layers=2))
    for some in (level, level[:1]):
        torch.testing.assert_close(pixels.loss(some), -pixels.log_prob(some).mean() / 32)  # type: ignore[operator]
    row = level.flatten(1)
    for model in (stirred(MADE(32, levels=3, width=40)), stirred(Recurrent(levels=3, width=8))):
        torch.testing.assert_close(model.loss(row), -model.log_prob(row).mean())  # type: ignore[operator]
    mixture, points = stirred(MixtureMADE(2, width=8)), torch.randn(5, 2)
    torch.testing.assert_close(mixture.loss(points), -mixture.log_prob(points).mean())  # type: ignore[operator]


def test_components_start_spread_over_the_data() -> None:
    model = MixtureMADE(2, components=5, width=8)
    with torch.no_grad():
        model.net[-1].weight.zero_()  # type: ignore[operator]
        _, means, _ = model._factors(torch.zeros(1, 2))
    torch.testing.assert_close(means[0], torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0]).expand(2, 5))


@pytest.mark.parametrize("log_deviation", [-8.0, -6.0, -4.0, 2.9, 3.0, 5.0])
def test_a_factors_deviation_stays_between_its_borders(log_deviation: float) -> None:
    """One component at −2, the first place of a range that has no other."""
    model = MixtureMADE(1, components=1, width=4)
    last = model.net[-1]
    with torch.no_grad():
        last.weight.zero_()  # type: ignore[operator]
        last.bias.copy_(torch.tensor([0.0, -2.0, log_deviation]))  # type: ignore[operator]
    x = torch.tensor([[-2.0], [-1.99]])
    expected = torch.distributions.Normal(-2.0, math.exp(min(max(log_deviation, -6.0), 3.0))).log_prob(x)[:, 0]
    torch.testing.assert_close(model.log_prob(x), expected)


def test_no_more_width_is_asked_for_than_each_variable_needs() -> None:
    assert MADE(6, width=5).log_prob(torch.zeros(1, 6).long()).isfinite().all()
    with pytest.raises(TeachlibError, match="expected a width of 5"):
        MADE(6, width=4)


def test_levels_are_seen_between_minus_one_and_one() -> None:
    seen: list[torch.Tensor] = []
    made, pixels = MADE(3, levels=5, width=8), PixelCNN(levels=5, width=8, layers=1)
    for layer in (made.net, pixels.enter):
        layer.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    level = torch.tensor([[0, 2, 4]])
    made.logits(level)
    pixels.logits(level.view(1, 1, 1, 3))
    assert [x.flatten().tolist() for x in seen] == [[-1, 0, 1]] * 2


def test_a_class_changes_how_variables_hang_together() -> None:
    """The second bit repeats the first in class 0 and negates it in class 1: only the class tells which."""
    x = torch.tensor(list(itertools.product((0, 1), repeat=2))).repeat(2, 1)
    labels = torch.arange(8) // 4
    true = torch.where(labels == 0, x[:, 0] == x[:, 1], x[:, 0] != x[:, 1])
    torch.manual_seed(0)
    model = MADE(2, width=32, classes=2)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(400):
        optimizer.zero_grad()
        model.loss(x[true], labels[true]).backward()
        optimizer.step()
    assert -model.log_prob(x[true], labels[true]).mean().item() == pytest.approx(math.log(2), abs=0.02)
    for label in (0, 1):
        drawn = model.sample(400, torch.Generator().manual_seed(0), torch.full((400,), label))
        assert ((drawn[:, 0] == drawn[:, 1]).float().mean().item() > 0.95) == (label == 0)


def test_pixelcnn_samples_follow_their_class() -> None:
    model = stirred(PixelCNN(levels=2, width=8, layers=2, classes=2))
    four = torch.tensor(list(itertools.product((0, 1), repeat=4)))
    shares = []
    for label in (0, 1):
        labels = torch.full((20_000,), label)
        with torch.no_grad():
            shares.append(model.log_prob(four.view(-1, 1, 2, 2), labels[:16]).exp())  # type: ignore[operator]
        drawn = model.sample(20_000, torch.Generator().manual_seed(0), labels, size=2).flatten(1)  # type: ignore[operator]
        found = torch.bincount((drawn * torch.tensor([8, 4, 2, 1])).sum(1), minlength=16) / 20_000
        assert (found - shares[-1]).abs().max() < 4.5 * math.sqrt(0.25 / 20_000)
    assert (shares[0] - shares[1]).abs().max() > 0.05


@pytest.mark.parametrize("name", ["ring", "banana"])
def test_mixture_made_comes_within_a_twentieth_nat_of_the_entropy(name: str) -> None:
    known = data.density(name)
    generator = torch.Generator().manual_seed(0)
    train, test = known.sample(20_000, generator), known.sample(20_000, generator)
    torch.manual_seed(0)
    model = MixtureMADE(2, components=20, width=128)
    fit(
        LossObjective(model, learning_rate=3e-3),
        PointData(train, torch.zeros(len(train))),
        Schedule(steps=800, batch_size=500),
        progress=False,
    )
    with torch.no_grad():
        excess = -model.log_prob(test).mean().item() + known.log_prob(test.double()).mean().item()
    assert -0.01 < excess < 0.05


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MADE(8, width=4), "8 variables, width 4, 2 hidden layers; expected a width of 7 or more"),
        (lambda: MADE(8, layers=0), "at least one layer"),
        (lambda: MADE(8, levels=1), "1 levels; expected at least 2"),
        (lambda: PixelCNN(levels=4, layers=0), "0 layers, 4 levels; expected at least 1 layer"),
        (lambda: MADE(2).log_prob(torch.full((1, 2), 0.5)), "values that are not whole"),
        (lambda: MADE(2).log_prob(torch.full((1, 2), 2)), "values from 2 to 2; expected whole numbers 0 … 1"),
        (lambda: MADE(2, classes=3).log_prob(torch.zeros(1, 2)), "this model is conditional: pass labels"),
    ],
)
def test_mistakes_are_explained(make: Callable[[], object], words: str) -> None:
    with pytest.raises(TeachlibError, match=words):
        make()


def test_a_memory_takes_whole_levels_alone() -> None:
    for wrong in (torch.tensor([[0, -1]]), torch.tensor([[0, 2]]), torch.tensor([[0.0, 0.5]])):
        with pytest.raises(TeachlibError, match=r"expected (whole numbers|levels) 0 … 1"):
            Recurrent(width=8).log_prob(wrong)
