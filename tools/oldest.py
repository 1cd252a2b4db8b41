"""The oldest versions that pyproject.toml allows, as pins for pip: ``make oldest`` installs them and tests with them.

python tools/oldest.py
"""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BOUND = re.compile(r"(?P<name>[A-Za-z0-9._-]+)>=(?P<version>[^,;\s]+)(?:,.*)?")
# What the tests themselves need; of those, any version will do.
TESTS = (
    "pytest",
    "pytest-xdist",
    "filelock",
    "hypothesis",
    "pyyaml",
    "setuptools>=77",
    "packaging",
    "nbformat",
    "mdit-py-plugins",
)


def pins(root: Path = ROOT) -> list[str]:
    """``name==version`` of each dependency of the library, at its lower bound."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    bounds = [BOUND.fullmatch(line) for line in project["dependencies"]]
    return [f"{bound['name']}=={bound['version']}" for bound in bounds if bound]


if __name__ == "__main__":
    print(*pins(), *TESTS)
