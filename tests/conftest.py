"""Shared by all tests: one thread, and the real data where they are at hand."""

import gc
import os
from pathlib import Path

# Before anything is loaded that reads it, and for every process of a test: threads of several that share a machine's
# cores wait for each other, by turning round and round.
os.environ["OMP_NUM_THREADS"] = "1"

import hypothesis
import pytest
import torch
from installed import places, python, reader, reader_environment, sandbox  # noqa: F401
from rendered import address, browser, html  # noqa: F401

import teachlib  # noqa: F401  (before torchvision, wherever a test imports it)

torch.set_num_threads(1)
gc.set_threshold(100_000, 20, 50)  # pages of the book are millions of objects
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


@pytest.hookimpl(trylast=True)  # when those that are not to run have gone
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each worker begins with its share of the notebooks, whose run the book waits for, and ends with the book's pages.

    The first worker builds the book after its notebooks, for the first of the pages' tests; meanwhile nobody waits for
    it. Workers get neighbours, in equal numbers.
    """
    runs = [item for item in items if item.name.startswith("test_notebook_runs_at_scale_ci")]
    pages = [item for item in items if "html" in getattr(item, "fixturenames", ())]
    chosen = {*runs, *pages}
    others = [item for item in items if item not in chosen]
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    parts = (runs, others, pages[1:])
    shares = [[item for kind in parts for item in _share(kind, k, workers)] for k in range(workers)]
    begun = len(_share(runs, 0, workers))
    shares[0][begun:begun] = pages[:1]
    items[:] = [item for share in shares for item in share]


def _share(items: list[pytest.Item], k: int, workers: int) -> list[pytest.Item]:
    return items[k * len(items) // workers : (k + 1) * len(items) // workers]
