"""Starting a command takes as long as importing torch, not three times as long."""

import subprocess
import sys

from teachlib import registry

HEAVY = ("lightning_fabric", "sklearn", "scipy.stats", "torch._dynamo", "torchvision", "sympy")


def test_chapters_are_imported_without_what_only_training_and_some_measures_need() -> None:
    packages = [line.package for line in registry.CHAPTERS.values()]
    program = f"import sys, {', '.join(packages)}\nprint(*(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
