"""What is read from outside may be anything: it ends in one line, runs nothing, hangs nowhere."""

import io
import itertools
import json
import pickle
import resource
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import savemat
from test_cli import teachlib

from teachlib import registry
from teachlib.checkpoints import read_checkpoint, write_checkpoint
from teachlib.data import folder, idx, pickles, svhn
from teachlib.errors import TeachlibError
from teachlib.rae.grammar import EXPRESSIONS, SMILES, evaluate_expression, is_molecule
from teachlib.results import read_results, shown

TOOLS = Path(__file__).resolve().parent.parent / "tools"
if str(TOOLS) not in sys.path:
    sys.path.insert(0, str(TOOLS))

from notebooks import Job, refused  # noqa: E402

MANY = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
FEW = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
PLACE = Path(tempfile.mkdtemp())


def _checkpoint() -> bytes:
    file = PLACE / "whole.safetensors"
    write_checkpoint(
        file, {"model.net.weight": torch.ones(3, 4)}, {"chapter": "rae", "recipe": {"name": "ae"}, "step": 1}
    )
    return file.read_bytes()


WHOLE = _checkpoint()
IDX = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3]) + bytes(12)
PICKLE = pickle.dumps({b"data": np.zeros((2, 4), np.uint8), b"labels": [0, 1]}, protocol=2)


def _matlab() -> bytes:
    contents = io.BytesIO()
    savemat(contents, {"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.array([[1], [10]])})
    return contents.getvalue()


MATLAB = _matlab()


def one_line(error: TeachlibError, words: str = "") -> None:
    """What somebody is told."""
    assert words in str(error)
    assert "\n" not in str(error)


def altered(whole: bytes) -> st.SearchStrategy[bytes]:
    """The file cut short, with bytes replaced, or with something inserted."""

    def change(pieces: tuple[int, bytes, int, bool]) -> bytes:
        at, new, dropped, cut = pieces
        at %= len(whole) + 1
        return whole[:at] + new + (b"" if cut else whole[at + dropped :])

    return st.tuples(st.integers(0, 10**6), st.binary(max_size=12), st.integers(0, 12), st.booleans()).map(change)


@pytest.fixture(scope="module", autouse=True)
def modest() -> Iterator[None]:
    """Whatever is read, no more than 4 GiB are taken for it."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4 * 2**20  # KiB


@MANY
@given(st.one_of(st.binary(max_size=200), altered(WHOLE)))
def test_checkpoints(contents: bytes) -> None:
    file = PLACE / "any.safetensors"
    file.write_bytes(contents)
    try:
        tensors, header = read_checkpoint(file)
    except TeachlibError as error:
        one_line(error)
        return
    assert contents == WHOLE or (tensors.keys() == {"model.net.weight"} and header["step"] == 1)


@MANY
@given(
    st.dictionaries(
        st.text(max_size=8), st.recursive(st.none() | st.integers() | st.text(max_size=5), st.lists, max_leaves=4)
    )
)
def test_headers_of_checkpoints(header: dict[str, Any]) -> None:
    """Files of our own format that say something else: no command meets more than one line."""
    file = PLACE / "header.safetensors"
    write_checkpoint(file, {"model.net.weight": torch.ones(1)}, header)
    with pytest.raises(TeachlibError):
        registry.chapter_of_checkpoint(read_checkpoint(file)[1], file)
    for key in registry.CHAPTERS:
        write_checkpoint(file, {"model.net.weight": torch.ones(1)}, {**header, "chapter": key})
        with pytest.raises(TeachlibError):
            registry.chapter(key).open_run(file)


ODD = (None, True, -1, 0, 1.5, -0.5, 10**30, float("nan"), float("inf"), "", "x", [], {}, [1, "a"])


@pytest.mark.filterwarnings("ignore:Initializing zero-element")
@pytest.mark.parametrize("key", registry.CHAPTERS)
def test_recipes_with_odd_values(key: str) -> None:
    """Whatever one of its values was replaced by, a recipe either builds a network or ends in one line."""
    chapter, file = registry.chapter(key), PLACE / "recipe.safetensors"
    for name in registry.CHAPTERS[key].recipes[::5]:
        recipe = chapter.recipe(name, scale="ci").as_dict()
        for field, odd in itertools.product(recipe, ODD):
            header = {"chapter": key, "recipe": {**recipe, field: odd}, "step": 1}
            write_checkpoint(file, {"model.net.weight": torch.ones(1)}, header)
            with pytest.raises(TeachlibError) as caught:
                chapter.open_run(file)  # which does not hold the network's weights either
            one_line(caught.value)


@MANY
@given(st.one_of(st.binary(max_size=60), altered(IDX)))
def test_idx_files(contents: bytes) -> None:
    for dimensions in (1, 3):
        try:
            found = idx.parse(contents, Path("file"), dimensions=dimensions)
        except TeachlibError:
            continue
        assert found.numel() == len(contents) - 4 * (1 + dimensions)


def _notebook() -> bytes:
    cells = [nbformat.v4.new_markdown_cell("# One"), nbformat.v4.new_code_cell('scale = "ci"')]
    cells[1].metadata.tags = ["parameters"]
    return nbformat.writes(nbformat.v4.new_notebook(cells=cells)).encode()


@MANY
@given(
    st.one_of(st.binary(max_size=60), altered(_notebook()), st.deferred(lambda: JSON).map(json.dumps).map(str.encode))
)
def test_notebooks(contents: bytes) -> None:
    file = PLACE / "any.ipynb"
    file.write_bytes(contents)
    said = refused(Job("any.ipynb", source=str(file), folder=str(PLACE), output=str(PLACE / "out.ipynb"), scale="ci"))
    assert "\n" not in said
    if not said:
        nbformat.validate(nbformat.read(file, as_version=4))


class _Runs:
    """A pickle that would run a command."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (PLACE / "run",)  # type: ignore[return-value]


@MANY
@given(st.one_of(st.binary(max_size=80), altered(PICKLE), altered(pickle.dumps(_Runs()))))
def test_pickles_run_nothing(contents: bytes) -> None:
    try:
        pickles.read(contents, "file")
    except TeachlibError as error:
        one_line(error)
    assert not (PLACE / "run").exists()


@MANY
@given(st.one_of(st.binary(max_size=80), altered(MATLAB)))
def test_matlab_files(contents: bytes) -> None:
    file = PLACE / "test_32x32.mat"
    file.write_bytes(contents)
    with pytest.raises(TeachlibError, match="wrong hash"):
        svhn.read_part(file, {"test_32x32.mat": "0" * 64})


LETTERS = st.text(alphabet="x+-()123*/sinepCcNOo=#[]@Hl%\\. \t√", max_size=40)


@MANY
@given(LETTERS)
def test_expressions_and_molecules(text: str) -> None:
    evaluate_expression(text, np.linspace(-1, 1, 5))
    is_molecule(text)
    for grammar in (EXPRESSIONS, SMILES):
        try:
            rules = grammar.parse(text)
        except TeachlibError:
            continue
        assert grammar.derive(rules) == text.replace(" ", "")  # spaces count nothing


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.fixed_dictionaries(dict.fromkeys(("mean", "std", "values"), inner))
        | st.fixed_dictionaries(dict.fromkeys(("recipe", "values", "metric", "samples"), inner))
        | st.dictionaries(
            st.sampled_from(["recipe", "values", "metric", "samples", "name", "dataset", "x"]), inner, max_size=5
        )
    ),
    max_leaves=12,
)


@MANY
@given(st.one_of(st.text(max_size=30), JSON.map(json.dumps)))
def test_measured_rows(text: str) -> None:
    table = PLACE / "rows" / "3.1"
    table.mkdir(parents=True, exist_ok=True)
    (table / "ae-glyphs.json").write_text(text, "utf-8")
    try:
        rows = read_results("3.1", "glyphs", folder=PLACE / "rows")
    except TeachlibError as error:
        one_line(error, "not a measured row")
        return
    for row in rows.values():
        for value in row["values"].values():
            shown(value)


@MANY
@given(st.text(max_size=30))
def test_names_of_folders(name: str) -> None:
    try:
        request = folder.parse("folder:" + name)
    except TeachlibError as error:
        one_line(error)
        return
    assert folder.parse(request.name) == request


_KNOWN = (
    "train evaluate table data zoo attack rae-l2 grae --seed -1 --dataset glyfs 3.1 --steps --size folder: list get"
)
_ODD = ["--variant", "--conditional", "--out", "--record", "\0", "", "--", "-x", "=", "x" * 300]
WORDS = st.sampled_from([*_KNOWN.split(), *_ODD])


@FEW
@given(st.lists(WORDS, min_size=1, max_size=5))
def test_command_lines(words: list[str]) -> None:
    here = PLACE / "commands"
    here.mkdir(exist_ok=True)
    done = teachlib(*words, "--no-such-option", folder=here)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stdout + done.stderr
