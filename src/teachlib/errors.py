"""Errors for people: one line that says what was wrong, what was expected, what to do."""

from collections.abc import Iterable
from difflib import get_close_matches


class TeachlibError(Exception):
    """A mistake that a user can mend; the command line prints its one line and no traceback."""


def unknown(kind: str, name: str, known: Iterable[str]) -> TeachlibError:
    """An error for a name that does not exist, with the nearest name that does.

    Args:
        kind: what was looked up, e.g. ``"recipe"``.
        name: the name that was not found.
        known: the names that exist.
    """
    names = sorted(known)
    nearest = get_close_matches(name, names, n=1, cutoff=0.4)
    hint = f"; did you mean '{nearest[0]}'?" if nearest else ";"
    return TeachlibError(f"unknown {kind} '{name}'{hint} known: {', '.join(names)}")


def require_positive(**values: float | None) -> None:
    """Refuse zero, values below it, and NaN; ``None``, an option that was not given, passes.

    Args:
        values: name → value.

    Raises:
        TeachlibError: the first that is not positive.
    """
    for name, value in values.items():
        if value is not None and not value > 0:
            raise TeachlibError(f"{name} is {value}; expected more than 0")


def require_at_least(least: float, **values: float | None) -> None:
    """Refuse values below ``least``, and NaN; ``None``, an option that was not given, passes.

    Args:
        least: the smallest that is meant.
        values: name → value.

    Raises:
        TeachlibError: the first that is too small.
    """
    for name, value in values.items():
        if value is not None and not value >= least:
            raise TeachlibError(f"{name} is {value}; expected at least {least}")
