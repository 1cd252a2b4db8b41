"""The files that say what to install agree with each other."""

import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import dist  # noqa: E402
import oldest  # noqa: E402

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK_LINE = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)")


def locked() -> dict[str, Version]:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    matches = [LOCK_LINE.fullmatch(line.strip()) for line in lines if line.strip() and not line.startswith("#")]
    assert all(matches), "requirements.lock holds name==version lines only"
    return {canonicalize_name(match["name"]): Version(match["version"]) for match in matches if match}


def asked() -> list[str]:
    extras = PROJECT.get("optional-dependencies", {})
    heavy = {"search"}  # BoTorch: for searches at paper scale alone, not installed by make
    locked_extras = (lines for name, lines in extras.items() if name not in heavy)
    return sorted({*PROJECT["dependencies"], *(line for lines in locked_extras for line in lines)})


@pytest.mark.parametrize("line", asked())
def test_lock_holds_each_dependency_within_its_bounds(line: str) -> None:
    requirement = Requirement(line)
    name = canonicalize_name(requirement.name)
    assert name in locked(), f"{name} is not in requirements.lock"
    assert requirement.specifier.contains(locked()[name], prereleases=True)


@pytest.mark.parametrize("line", asked())
def test_each_dependency_has_a_lower_bound(line: str) -> None:
    assert any(bound.operator in (">=", "==", "~=") for bound in Requirement(line).specifier)


def test_library_pins_nothing_exactly() -> None:
    pinned = [line for line in PROJECT["dependencies"] if "==" in line]
    assert not pinned


def test_lock_holds_the_build_backend() -> None:
    """Installation runs without build isolation, so the backend comes from the lock."""
    backend = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
    for line in backend:
        requirement = Requirement(line)
        assert requirement.specifier.contains(locked()[canonicalize_name(requirement.name)])


def test_conda_environment_installs_the_same_lock() -> None:
    dependencies = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    by_pip = next(entry["pip"] for entry in dependencies if isinstance(entry, dict))
    assert by_pip == ["-r requirements.lock", "-e ."]
    conda = [Requirement(entry) for entry in dependencies if isinstance(entry, str)]
    python = next(entry for entry in conda if entry.name == "python")
    assert python.specifier == SpecifierSet(PROJECT["requires-python"])
    assert {entry.name for entry in conda} == {"python", "pip"}, "everything else comes from the lock"


def test_makefile_asks_for_the_same_python() -> None:
    lowest = next(iter(SpecifierSet(PROJECT["requires-python"]))).version
    assert f"({lowest.replace('.', ', ')})" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_citation_names_the_released_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert str(citation["version"]) == PROJECT["version"]
    assert len(citation["references"]) == 5  # the thesis and its four papers


def test_what_everybody_downloads_is_small(tmp_path: Path) -> None:
    small, large = tmp_path / "small.whl", tmp_path / "large.whl"
    for path, size in ((small, dist.LIMIT), (large, dist.LIMIT + 100_000)):
        with path.open("wb") as file:
            file.truncate(size)
    dist.refuse_large(small)
    with pytest.raises(dist.DistError, match=r"large\.whl: 45\.1 MB; at most 45 MB are allowed"):
        dist.refuse_large(small, large)


def test_every_folder_of_assets_is_named_in_the_manifest_of_the_package() -> None:
    package = ROOT / "src" / "teachlib"
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    named = {path for pattern in patterns["package-data"]["teachlib"] for path in package.glob(pattern)}
    files = {path for path in package.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert files == {path for path in named if path.is_file()}


def test_the_oldest_versions_are_the_bounds_of_all_that_the_library_needs() -> None:
    pinned = [Requirement(pin) for pin in oldest.pins()]
    asked = [Requirement(line) for line in PROJECT["dependencies"]]
    assert [pin.name for pin in pinned] == [line.name for line in asked]
    for pin, line in zip(pinned, asked, strict=True):
        (version,) = pin.specifier
        assert str(line.specifier) == f">={version.version}"


def test_light_tests_exist() -> None:
    """Those that 'make oldest' runs; pytest would end with an error that says little."""
    (named,) = re.findall(r"^LIGHT := (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name in named.split() if not (ROOT / name).exists()] == []
