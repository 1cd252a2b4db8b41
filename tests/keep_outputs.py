"""Copied beside a notebook as conftest.py, it has nbval keep the outputs that the cells had in its run."""

from pathlib import Path

import nbformat
import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--keep-outputs", type=Path, required=True, help="the file that gets the notebook that was run")


def pytest_sessionfinish(session: pytest.Session) -> None:
    for number, item in enumerate(session.items, 1):
        item.cell.outputs, item.cell.execution_count = item.test_outputs or [], number  # type: ignore[attr-defined]
    if session.items:
        notebook = session.items[0].parent.nb  # type: ignore[union-attr]
        nbformat.write(notebook, session.config.getoption("--keep-outputs"))
