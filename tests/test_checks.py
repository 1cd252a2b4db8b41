"""Claims, twins and exercise verdicts: what they say, and that they can fail."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from teachlib.checks import (
    Bound,
    ClaimFailed,
    Disagreement,
    Exercise,
    Unfit,
    above,
    agree,
    at_least,
    below,
    between,
    by_name,
    calls,
    exercise,
    expect,
    near,
    seeded,
    with_gradient,
)

# ------------------------------------------------------------------------------------------------------ twins


def test_agreement_is_printed_with_its_largest_difference(capsys: pytest.CaptureFixture[str]) -> None:
    agree("ELBO", torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.0 + 2e-6]), atol=1e-5)
    assert capsys.readouterr().out == "✓ ELBO: yours and teachlib's agree (largest difference 1.9e-06)\n"


@pytest.mark.parametrize(
    ("mine", "library"),
    [
        (1.5, torch.tensor(1.5)),
        (np.ones((2, 3)), torch.ones(2, 3, requires_grad=True)),
        ([1, 2], torch.tensor([1.0, 2.0])),
        (math.inf, torch.tensor(math.inf)),
        (torch.ones(0), torch.ones(0)),
        (torch.eye(2).to_sparse(), torch.eye(2)),
    ],
)
def test_numbers_of_any_kind_can_agree(mine: Any, library: Any) -> None:
    agree("same", mine, library)


@pytest.mark.parametrize(
    ("mine", "library", "text"),
    [
        (torch.ones(2, 3), torch.ones(3, 2), "ELBO: yours has shape (2, 3), teachlib's (3, 2)"),
        (torch.tensor([[1.0, 2.0], [3.0, 5.0]]), [[1.0, 2.0], [3.0, 4.0]], "ELBO: yours is 5 at [1, 1], teachlib's 4"),
        (1.0, 1.1, "ELBO: yours is 1, teachlib's 1.1"),
        (math.nan, math.nan, "ELBO: yours is nan, teachlib's nan"),
        (None, 1.0, "ELBO: expected numbers from both; found NoneType"),
        (torch.ones(1) * 1j, 1.0, "ELBO: expected numbers from both; found Tensor"),
        (type("Odd", (), {"__array__": lambda self: 1 / 0})(), 1.0, "ELBO: expected numbers from both; found Odd"),
    ],
)
def test_disagreement_names_the_place(mine: Any, library: Any, text: str) -> None:
    with pytest.raises(Disagreement) as caught:
        agree("ELBO", mine, library)
    assert str(caught.value) == text


# ----------------------------------------------------------------------------------------------------- claims


@pytest.mark.parametrize(
    ("bound", "text", "inside", "outside"),
    [
        (above(1.1), "> 1.10", [1.2, math.inf], [1.1, 0.0, -math.inf, math.nan]),
        (at_least(0), "≥ 0", [0.0, 1e-300, math.inf], [-1e-300, -1.0, -math.inf, math.nan]),
        (below(90), "< 90", [89.9, -math.inf], [90, 91, math.inf, math.nan]),
        (between(0, 1), "0 … 1", [0, 0.5, 1], [-0.1, 1.1, math.inf, math.nan]),
        (near(2, 0.5), "2 ± 0.50", [1.5, 2.5], [1.4, 2.6, math.nan]),
    ],
)
def test_bounds(bound: Bound, text: str, inside: list[float], outside: list[float]) -> None:
    assert str(bound) == text
    assert all(map(bound.holds, inside))
    assert not any(map(bound.holds, outside))


def test_claim_that_holds_prints_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    expect("codes are wider than the prior", torch.tensor(1.25), above(1.1), scale="ci")
    assert capsys.readouterr().out == (
        "✓ codes are wider than the prior\n  expected > 1.10, measured 1.25 (scale ci)\n"
    )


def test_every_value_of_a_sequence_must_hold(capsys: pytest.CaptureFixture[str]) -> None:
    expect("wider", [1.2, 1.5, 1.3], above(1.1))
    assert "measured 1.20 … 1.50 (3 values)" in capsys.readouterr().out
    with pytest.raises(ClaimFailed, match=r"wider: expected > 1.10, measured 1 … 1.50 \(3 values\)"):
        expect("wider", [1.2, 1.5, 1.0], above(1.1))


@pytest.mark.parametrize("value", [math.nan, [1.0, math.nan], []])
@pytest.mark.parametrize("reason", [None, "too few steps"])
def test_nothing_measured_fails_with_and_without_marker(value: Any, reason: str | None) -> None:
    with pytest.raises(ClaimFailed, match="measured n"):
        expect("wider", value, below(2), fails_because=reason)


def test_marked_claim_is_reported_while_it_fails(capsys: pytest.CaptureFixture[str]) -> None:
    expect("wider", 1.0, above(1.1), fails_because="ten seconds of training")
    assert capsys.readouterr().out == (
        "✗ as reported: wider\n  expected > 1.10, measured 1\n  does not hold here: ten seconds of training\n"
    )


def test_marked_claim_that_holds_fails() -> None:
    with pytest.raises(ClaimFailed, match="remove the marker"):
        expect("wider", 1.2, above(1.1), fails_because="ten seconds of training")


# -------------------------------------------------------------------------------------------------- exercises

SHARED = torch.tensor([1.0, 2.0, 3.0])


def squares() -> Exercise:
    return exercise(
        "squares",
        "Write squares(x), each entry squared.",
        lambda x: x * x,
        calls({"small": (SHARED,), "large": (100 * SHARED,)}),
        wrong={"doubled": (lambda x: 2 * x, "this doubles")},
        tolerance=1e-3,
    )


def test_right_answer_gets_the_point() -> None:
    verdict = squares().check(lambda x: x**2)
    assert (verdict.points, verdict.message) == (1, "correct")
    assert str(verdict) == "✓ squares: correct (1/1)"


@pytest.mark.parametrize("answer", [None, ..., lambda x: None, lambda x: ...])
def test_empty_answers(answer: Any) -> None:
    assert squares().check(answer).message == "nothing returned yet"
    assert squares().check(answer).points == 0
    assert squares().check(answer, hidden=True).task == ""


def test_stub_that_raises_is_an_empty_answer() -> None:
    def stub(x: Tensor) -> Tensor:
        raise NotImplementedError

    assert squares().check(stub).message == "nothing returned yet"


def test_an_answer_that_switches_gradients_off_harms_no_later_one() -> None:
    from teachlib.rae.exercises import EXERCISES

    def careless(*inputs: Any) -> Tensor:
        torch.set_grad_enabled(False)
        return torch.zeros(1)

    before = torch.is_grad_enabled()
    kl = EXERCISES["kl_divergence"]
    assert kl.check(careless).points == 0
    assert torch.is_grad_enabled() == before
    assert kl.check(kl.solution).points == 1


class Silent(Exception):
    def __str__(self) -> str:
        raise ValueError


def silent(x: Tensor) -> Tensor:
    raise Silent


def in_double(x: Tensor) -> Tensor:
    torch.set_default_dtype(torch.float64)
    return x**2


def test_an_answer_that_switches_the_default_type_harms_no_later_check() -> None:
    assert squares().check(in_double).points == 1
    assert torch.get_default_dtype() == torch.float32


def leave(x: Tensor) -> Tensor:
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x: x + x, "this doubles"),
        (lambda x: x.sum(), "small: expected shape (3,); found ()"),
        (lambda x: x[:2] ** 2, "small: expected shape (3,); found (2,)"),
        (lambda x: "4", "small: expected a tensor of shape (3,); found str"),
        (lambda x: x / 0, "small: 3 of 3 entries are not finite (NaN or infinite)"),
        (lambda x: x**2 * torch.tensor([1, 1, math.nan]), "small: 1 of 3 entries are not finite (NaN or infinite)"),
        (lambda x: x**2 + torch.tensor([0, 0.5, 0]), "small at [1]: expected 4, found 4.5"),
        (lambda x: x @ torch.ones(4), "stopped with RuntimeError: "),
        (lambda x, y: x, "stopped with TypeError: "),
        (silent, "stopped with Silent: no readable text"),
        (leave, "stopped with SystemExit: 3"),
        (7, "expected a function; found int"),
    ],
)
def test_verdict_on_other_answers(answer: Any, message: str) -> None:
    verdict = squares().check(answer)
    assert verdict.points == 0
    assert verdict.message == message or (message.endswith(": ") and verdict.message.startswith(message))


def test_a_statement_that_does_not_hold_is_told_by_its_name() -> None:
    rising = exercise(
        "rising",
        "Return numbers that rise.",
        lambda: [1, 2],
        lambda answer: {"numbers rise": answer()[0] < answer()[1]},
        wrong={},
    )
    for hidden in (False, True):
        assert rising.check(lambda: [2, 1], hidden=hidden).message == "not so: numbers rise"
    assert rising.check(lambda: [3, 4]).points == 1


def test_tolerance_is_relative_for_large_values() -> None:
    assert squares().check(lambda x: x**2 + (x > 50)).points == 1
    assert squares().check(lambda x: x**2 + 20 * (x > 50)).points == 0


def test_mistake_on_one_quantity_only_is_not_the_named_one() -> None:
    verdict = squares().check(lambda x: 2 * x if x.max() < 50 else x)
    assert verdict.points == 0
    assert verdict.message == "small at [0]: expected 1, found 2"


def test_answer_that_changes_its_inputs_is_judged_on_what_it_returns() -> None:
    checked = squares()
    assert checked.check(lambda x: x.mul_(x)).points == 1
    assert SHARED.tolist() == [1, 2, 3]
    assert checked.check(lambda x: x**2).points == 1


def test_verdict_shows_no_markup_of_the_student() -> None:
    def answer(x: Tensor) -> Tensor:
        raise ValueError("<script>alert(1)</script>\n\n# `x_1` *and* so on" + "!" * 1000)

    shown = squares().check(answer)._repr_markdown_()
    assert "<script>" not in shown
    assert not {"`", "\n", "_"} & set(shown)
    assert len(shown) < 500


def test_a_value_is_looked_at_with_its_gradient_to_each_tensor() -> None:
    x, unused = torch.tensor([1.0, 2.0], requires_grad=True), torch.ones(1, requires_grad=True)
    seen = with_gradient("square", (x, [unused]), to=(unused, x), called="slope")(lambda x, others: x**2)
    assert {name: value.tolist() for name, value in seen.items()} == {"square": [1, 4], "slope": [0, 2, 4]}


@pytest.mark.parametrize("answer", [lambda x: x.detach(), lambda x: x.tolist(), lambda x: torch.ones(2)])
def test_a_value_without_a_gradient_is_unfit(answer: Any) -> None:
    x = torch.ones(2, requires_grad=True)
    with pytest.raises(Unfit):
        with_gradient("loss", (x,), to=(x,))(answer)


def test_exercises_by_name_keep_their_order() -> None:
    first, second = (exercise(name, "Write it.", abs, calls({}), wrong={}) for name in ("b", "a"))
    assert list(by_name(first, second).items()) == [("b", first), ("a", second)]


def test_a_seed_is_the_start_of_one_sequence() -> None:
    assert torch.equal(torch.rand(3, generator=seeded(1)), torch.rand(3, generator=seeded(1)))
    assert not torch.equal(torch.rand(3, generator=seeded(1)), torch.rand(3, generator=seeded(2)))
