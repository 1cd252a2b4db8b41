"""Packages that only the benchmarks import, without touching the environment: ``requirements.txt`` beside this file."""

import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).parent / "requirements.txt"
PACKAGES = REQUIREMENTS.parents[1] / "_build" / "bench-packages"


def install(name: str) -> str | None:
    """Make a package importable; what stands in the way, if anything does."""
    if not (PACKAGES / name).is_dir():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--upgrade", "--target", str(PACKAGES), "-r", str(REQUIREMENTS)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"no {name}: pip install --no-deps --target {PACKAGES} -r {REQUIREMENTS} failed; is there a network?"
    if str(PACKAGES) not in sys.path:
        sys.path.append(str(PACKAGES))  # last, so that it replaces nothing of the environment
    return None
