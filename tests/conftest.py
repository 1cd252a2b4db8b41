"""Shared by all tests: one thread, and the real data where they are at hand."""

import os
from pathlib import Path

import hypothesis
import pytest
import torch
from rendered import address, browser, html  # noqa: F401

import teachlib  # noqa: F401  (before torchvision, wherever a test imports it)

torch.set_num_threads(1)
# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data files; the test is skipped where TEACHLIB_DATA does not name one."""
    folder = os.environ.get("TEACHLIB_DATA")
    if not folder or not (Path(folder) / "MNIST" / "raw").is_dir():
        pytest.skip("TEACHLIB_DATA does not name a folder with MNIST/raw")
    return Path(folder).resolve()


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Nets start from the same weights whichever tests ran before."""
    torch.manual_seed(0)
