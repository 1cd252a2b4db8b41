"""The book's live models: graphs, checked against torch, and the runtime, as scripts that load from a disk, too."""

import base64
import gzip
import json
from collections.abc import Mapping
from pathlib import Path

from notebooks import digest, write_cache
from staging import BookError

from teachlib import registry
from teachlib.errors import TeachlibError
from teachlib.live import Demo, onnx_of

FOLDER = "_assets/live"
# Bytes of the runtime and of each demo, which demos do without it, and the version of all files.
SIZES = f"{FOLDER}/sizes.json"
RUNTIME = "_assets/vendor/onnxruntime"  # whose files go into the book as scripts, not as they are
PARTS = 8  # as _assets/live.js asks for
_NO_MODELS = b', {"models":{},'  # in the script of a demo that needs no runtime
_ENGINE, _BINARY, _GLUE = "ort.wasm.min.js", "ort-wasm-simd-threaded.wasm.gz", "ort-wasm-simd-threaded.mjs.gz"


def letters(content: bytes) -> str:
    """As letters, which a classic script can hold."""
    return base64.b64encode(content).decode()


def packed(content: bytes) -> str:
    """Compressed, as letters; browsers unpack it by themselves."""
    return letters(gzip.compress(content, 9, mtime=0))


def runtime(root: Path) -> dict[str, bytes]:
    """ONNX Runtime: its engine, and binary and glue in parts."""
    folder = root / RUNTIME / "dist"
    whole = json.dumps(
        {"binary": letters((folder / _BINARY).read_bytes()), "glue": letters((folder / _GLUE).read_bytes())}
    )
    length = -(-len(whole) // PARTS)
    parts = {
        f"{FOLDER}/runtime-{n}.js": f"teachlibLive.part({n}, {json.dumps(whole[n * length : (n + 1) * length])});"
        for n in range(PARTS)
    }
    scripts = {name: text.encode() for name, text in parts.items()}
    return {f"{FOLDER}/engine.js": (folder / _ENGINE).read_bytes(), **scripts}


def script_of(name: str, demo: Demo) -> bytes:
    """Models and constants of a demo, and the script that draws it.

    Raises:
        TeachlibError: a graph that cannot be exported, or gives other numbers than torch.
    """
    models = {
        key: {
            "onnx": packed(onnx_of(graph)),
            "inputs": {each: list(example.shape) for each, example in graph.inputs.items()},
        }
        for key, graph in demo.graphs.items()
    }
    given = json.dumps({"models": models, "constants": demo.constants}, separators=(",", ":"))
    return f"teachlibLive.give({json.dumps(name)}, {given});\n{demo.script.read_text(encoding='utf-8')}".encode()


def demos(cache: Path) -> dict[str, bytes]:
    """The script of each demo of all chapters; those that are in the folder ``cache`` are not made again.

    Raises:
        BookError: one cannot be made.
    """
    scripts: dict[str, bytes] = {}
    for key in registry.CHAPTERS:
        chapter = registry.chapter(key)
        for name, make in chapter.demos.items():
            kept = cache / f"{name}.js"
            if not kept.is_file():
                try:
                    content = script_of(name, make(chapter))
                except TeachlibError as error:
                    raise BookError(f"the demo {name} of {chapter.title} cannot be made: {error}") from None
                write_cache(kept, content)
            scripts[f"{FOLDER}/{name}.js"] = kept.read_bytes()
    return scripts


def sources(root: Path, cache: Path) -> dict[str, bytes]:
    """Everything that live models need in the book: name relative to the root, and content.

    Raises:
        BookError: a demo cannot be made.
    """
    shared, own = runtime(root), demos(cache)
    files = {**shared, **own}
    sizes = {
        "version": digest(sorted(files.items()))[:12],
        "shared": sum(map(len, shared.values())),
        "demos": {Path(name).stem: len(content) for name, content in own.items()},
        "alone": [Path(name).stem for name, content in own.items() if _NO_MODELS in content],
    }
    return {**files, SIZES: json.dumps(sizes).encode()}


def without_runtime(static: Mapping[str, bytes]) -> dict[str, bytes]:
    """Without the runtime's own files, but with its licence."""
    return {
        name: content
        for name, content in static.items()
        if not (name.startswith(f"{RUNTIME}/") and "LICENSE" not in name)
    }
