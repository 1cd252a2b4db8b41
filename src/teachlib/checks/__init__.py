"""Checks that speak: claims and twins in notebooks, and exercises whose checker names the misconception."""

from teachlib.checks.claims import Bound, ClaimFailed, above, at_least, below, between, expect, near
from teachlib.checks.exercises import (
    UNANSWERED,
    Answer,
    Exercise,
    Observer,
    Unanswered,
    Unfit,
    Verdict,
    WrongAnswer,
    by_name,
    calls,
    exercise,
    observed,
    seeded,
    together,
    with_gradient,
)
from teachlib.checks.twins import Disagreement, agree

__all__ = [
    "UNANSWERED",
    "Answer",
    "Bound",
    "ClaimFailed",
    "Disagreement",
    "Exercise",
    "Observer",
    "Unanswered",
    "Unfit",
    "Verdict",
    "WrongAnswer",
    "above",
    "agree",
    "at_least",
    "below",
    "between",
    "by_name",
    "calls",
    "exercise",
    "expect",
    "near",
    "observed",
    "seeded",
    "together",
    "with_gradient",
]
