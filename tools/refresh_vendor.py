"""Fetch the web files that the book serves itself, and record what they are: version, licence, SHA-256.

    .venv/bin/python tools/refresh_vendor.py            # needs npm; the build of the book does not

Raise a version in ``PACKAGES``, run this, look at the rendered book, commit ``_assets/vendor``.
"""

import gzip
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.metadata import files as distribution_files
from pathlib import Path, PurePosixPath

VENDOR = Path(__file__).resolve().parent.parent / "_assets" / "vendor"
MANIFEST = VENDOR / "manifest.json"


@dataclass(frozen=True)
class Package:
    """One npm package and the part of it that the book needs."""

    folder: str
    npm: str
    version: str
    licence: str
    keep: tuple[str, ...]
    # Of these, what is kept gzipped, under its name and ".gz".
    packed: tuple[str, ...] = ()
    # Where a package ships no licence text: the Python distribution of the same project, which does.
    licence_from: str | None = None


PACKAGES = (
    Package(
        "mathjax",
        "mathjax",
        "3.2.2",
        "Apache-2.0",
        ("LICENSE", "es5/tex-mml-chtml.js", "es5/output/chtml/fonts/woff-v2/*", "es5/input/tex/extensions/*"),
    ),
    Package(
        "html-manager",
        "@jupyter-widgets/html-manager",
        "1.0.15",
        "BSD-3-Clause",
        # The fonts are the icons of the widgets' buttons; every browser of the last decade takes woff2.
        ("dist/embed.js", "dist/embed.js.LICENSE.txt", "dist/*.woff2"),
        licence_from="ipywidgets",
    ),
    Package(
        "onnxruntime",
        "onnxruntime-web",
        "1.22.0",
        "MIT",
        ("dist/ort.wasm.min.js", "dist/ort-wasm-simd-threaded.mjs", "dist/ort-wasm-simd-threaded.wasm"),
        packed=("*.wasm", "*.mjs"),
        licence_from="onnxruntime",
    ),
)


def sha256(path: Path) -> str:
    """The hash of a file's bytes, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def download(package: Package, folder: Path) -> Path:
    """Let npm fetch the package's archive, which checks the registry's own hash, and return its path."""
    command = ["npm", "pack", "--silent", f"{package.npm}@{package.version}", "--pack-destination", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        sys.exit("npm is missing: install Node.js to refresh the vendored files (building the book does not need it)")
    except subprocess.CalledProcessError as error:
        sys.exit(f"npm could not fetch {package.npm}@{package.version}: {error.stderr.strip()}")
    return next(folder.glob("*.tgz"))


def unpack(archive: Path, package: Package, target: Path) -> None:
    """Write the wanted files of an npm archive below ``target``; each name starts with ``package/`` there."""
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            name = str(PurePosixPath(member.name).relative_to("package"))
            source = tar.extractfile(member) if member.isfile() else None
            if source is None or not any(fnmatch(name, pattern) for pattern in package.keep):
                continue
            packed = any(fnmatch(name, pattern) for pattern in package.packed)
            path = target / (f"{name}.gz" if packed else name)
            path.parent.mkdir(parents=True, exist_ok=True)
            content = source.read()
            path.write_bytes(gzip.compress(content, 9, mtime=0) if packed else content)


def copy_licence(distribution: str, target: Path) -> None:
    """Copy the licence text of an installed Python distribution to ``target``/LICENSE."""
    licences = [file for file in distribution_files(distribution) or [] if file.name == "LICENSE"]
    if not licences:
        sys.exit(f"the installed {distribution} has no LICENSE file; add the licence text by hand")
    (target / "LICENSE").write_text(licences[0].read_text(), encoding="utf-8")


def refresh(package: Package) -> dict[str, object]:
    """Replace one package's folder and return its entry of the manifest."""
    target = VENDOR / package.folder
    shutil.rmtree(target, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        unpack(download(package, Path(folder)), package, target)
    if package.licence_from:
        copy_licence(package.licence_from, target)
    hashes = {str(path.relative_to(VENDOR)): sha256(path) for path in sorted(target.rglob("*")) if path.is_file()}
    return {"npm": package.npm, "version": package.version, "licence": package.licence, "files": hashes}


def changed_files() -> list[str]:
    """Vendored files that differ from the manifest, lack there, or are missing; empty when all is well."""
    manifest = json.loads(MANIFEST.read_text(encoding="utf-8"))
    expected = {name: digest for entry in manifest.values() for name, digest in entry["files"].items()}
    present = {str(path.relative_to(VENDOR)): sha256(path) for path in VENDOR.rglob("*") if path.is_file()}
    del present[MANIFEST.name]
    return sorted(name for name in expected.keys() | present.keys() if expected.get(name) != present.get(name))


def main() -> None:
    """Refresh every package and write the manifest."""
    manifest = {package.folder: refresh(package) for package in PACKAGES}
    MANIFEST.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    total = sum(path.stat().st_size for path in VENDOR.rglob("*") if path.is_file())
    print(f"{len(PACKAGES)} packages in _assets/vendor, {total / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
