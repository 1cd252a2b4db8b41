"""Build what ``pip install`` takes: an sdist of the sources, and from it the wheel, so that neither lacks a file.

    .venv/bin/python tools/dist.py dist

``python -m build`` does the same, in an environment of its own. Here sources are copied first: setuptools would pack
what an earlier build left beside them.
"""

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKED = (
    *("src", "pyproject.toml", "MANIFEST.in", "README.md", "CHANGELOG.md"),
    *("CITATION.cff", "LICENSE", "LICENSE-TEXT"),
)
LIMIT = 45_000_000  # bytes, of either
# Pythons before 3.11.4 know no filter; what is unpacked was packed here.
SAFELY: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
SDIST = "import sys; from setuptools import build_meta; print(build_meta.build_sdist(sys.argv[1]))"


class DistError(Exception):
    """Why there is nothing to install; printed without a traceback."""


def _called(*command: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DistError(done.stdout + done.stderr)
    return done.stdout


def _copy(target: Path, root: Path) -> None:
    """The sources, without what tools leave among them."""
    leftovers = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in PACKED:
        if (root / name).is_dir():
            shutil.copytree(root / name, target / name, ignore=leftovers)
        else:
            shutil.copy(root / name, target / name)


def build(folder: Path, root: Path = ROOT) -> tuple[Path, Path]:
    """Write sdist and wheel into a folder.

    Returns:
        Their paths.

    Raises:
        DistError: one cannot be built, or is larger than :data:`LIMIT`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as temporary:
        source, unpacked = Path(temporary, "source"), Path(temporary, "unpacked")
        source.mkdir()
        _copy(source, root)
        sdist = folder / _called("-c", SDIST, str(folder.resolve()), folder=source).split()[-1]
        with tarfile.open(sdist) as archive:
            archive.extractall(unpacked, **SAFELY)
        (inside,) = unpacked.iterdir()
        pip = ("-m", "pip", "--disable-pip-version-check", "--quiet", "wheel", "--no-deps", "--no-build-isolation")
        _called(*pip, "--no-index", "--wheel-dir", str(folder.resolve()), str(inside), folder=source)
    wheel = folder / f"{sdist.name.removesuffix('.tar.gz')}-py3-none-any.whl"
    refuse_large(sdist, wheel)
    return sdist, wheel


def refuse_large(*paths: Path) -> None:
    """Keep what everybody downloads small.

    Raises:
        DistError: a file is larger than :data:`LIMIT`.
    """
    for path in paths:
        if (size := path.stat().st_size) > LIMIT:
            raise DistError(f"{path}: {size / 1e6:.1f} MB; at most {LIMIT / 1e6:.0f} MB are allowed")


def main() -> None:
    """Build into the folder that is named, by default ``dist``."""
    try:
        for path in build(Path(sys.argv[1] if len(sys.argv) > 1 else "dist")):
            print(f"{path}  {path.stat().st_size / 1e6:.1f} MB")
    except DistError as error:
        sys.exit(f"dist: {error}")


if __name__ == "__main__":
    main()
