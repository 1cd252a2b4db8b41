"""The sandboxes of this machine, one warm process for each test file; skipped, or failed, where there is none."""

import os
from collections.abc import Iterator

import pytest

from teachlib.classroom.sandbox import Warm, lacking


def usable(way: str) -> None:
    """Skip where this machine has no such sandbox; where one was to be installed, fail."""
    missing = lacking(way)
    if missing and os.environ.get("TEACHLIB_SANDBOX") == way:
        pytest.fail(f"TEACHLIB_SANDBOX={way} promises a sandbox: {missing}")
    if missing:
        pytest.skip(missing)


def warm_process(way: str) -> Iterator[Warm]:
    usable(way)
    warm = Warm(way)
    yield warm
    warm.close()
