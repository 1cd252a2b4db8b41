"""How many small errors the tests notice: `python tools/mutate.py [--seed 0] [--count 40] [--only rae/losses.py]`.

A mutant is the library with one operator, comparison or number changed, in the modules that hold mathematics, and in
those that grade. The tests that stand beside the module are run on each; a mutant that they pass survives, and is
printed with its line. The seed decides which mutants are drawn.

First the tests are run on the library as it is: they must pass, and it is noted how long each takes and which functions
it calls. A mutant then meets only those that call its function, the quickest first, until one fails or takes too long.
Tests are collected once; each mutant gets a fork of that process, so the tool runs where there is `fork`.
"""

import argparse
import ast
import gc
import json
import math
import mmap
import os
import random
import resource
import select
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import CodeType, FrameType, FunctionType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol
from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "teachlib"
# Chapters and their tests: what a line means is often tested where it is used.
RAE = tuple(
    f"tests/rae/test_{name}.py" for name in ("losses", "errata", "penalties", "density", "second_stage", "evaluation")
)
METRICS = tuple(f"tests/metrics/test_{name}.py" for name in ("coverage", "frechet", "prd", "statistics"))
GRAMMAR, GMMVAE, PRIMER = ("tests/rae/grammar",), ("tests/gmmvae",), ("tests/primer",)
TRAINING = ("tests/test_training.py", "tests/test_loop.py")
CLASSROOM = tuple(
    f"tests/classroom/test_{name}.py"
    for name in ("answers", "commands", "course", "hostile", "sandbox", "source", "submissions", "worksheets")
)
# Module → the tests that stand beside it.
TESTED = {
    "distances.py": (*METRICS, "tests/rae/test_losses.py"),
    "errors.py": ("tests/test_errors.py", *GMMVAE),
    **{
        f"rae/{name}.py": RAE
        for name in ("losses", "penalties", "density", "codes", "second_stage", "interpolation", "evaluation")
    },
    **{
        f"rae/grammar/{name}.py": GRAMMAR
        for name in ("cfg", "codecs", "models", "search", "targets", "evaluation")
    },
    **{
        f"gmmvae/{name}.py": GMMVAE
        for name in ("losses", "mixture", "objectives", "selective", "evaluation", "reclassify", "robustness")
    },
    **{
        f"gmmvae/attacks/{name}.py": GMMVAE
        for name in ("adaptive", "ball", "gradient", "square", "targets", "white_box")
    },
    **{f"metrics/{name}.py": METRICS for name in ("coverage", "frechet", "prd", "statistics")},
    "metrics/sanity.py": ("tests/metrics/test_extractors.py",),
    **{
        f"gif/{name}.py": ("tests/gif",)
        for name in (
            "animation", "asking/evaluation", "asking/models", "asking/objectives", "asking/zeros", "camera",
            "consistency", "evaluation", "head", "layers", "light", "losses", "mesh", "objectives", "portraits",
            "rasterizer", "resampling", "rotations", "study", "textures",
        )
    },
    **{
        f"invgan/{name}.py": ("tests/invgan",)
        for name in (
            "attributes", "biggan", "editing", "encoders", "evaluation", "inversion", "losses", "networks", "objective",
            "rivals", "semantics", "tiling",
        )
    },
    **{
        f"energy/{name}.py": ("tests/energy",)
        for name in (
            "assemble/evaluation", "assemble/measures", "assemble/networks", "assemble/objective", "assemble/shapes",
            "constant", "evaluation", "improving", "likelihood", "line", "networks", "objective", "penalties", "sets",
            "spread", "worlds",
        )
    },
    **{f"training/{name}.py": TRAINING for name in ("loop", "machine", "schedule", "states", "watch")},
    **{
        f"primer/{name}.py": PRIMER
        for name in (
            "autoregressive", "classical", "diffusion", "energy", "evaluation", "flows", "gan", "glow", "pixels",
            "regression", "vae",
        )
    },
    **{
        f"classroom/{name}.py": CLASSROOM
        for name in (
            "answers", "course", "grading", "inside/evaluating", "inside/isolation", "inside/runner", "inside/serving",
            "inside/wire", "job", "marks", "notebooks", "release", "remote", "sandbox", "source", "submissions",
            "worksheets",
        )
    },
}  # fmt: skip
SWAPS: dict[type, type] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Lt: ast.GtE,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
# What a call is told of the size of a network, of how and how long it is trained, and by which seed: choices.
CHOSEN = ("batch_size", "layers", "learning_rate", "lr", "seed", "width")
AT_A_TIME = ("BATCH", "_BATCH", "CHUNK", "_CHUNK", "_ROWS")  # how much is computed at once
PATIENCE = 60  # seconds for a test, beyond five times what it takes; longer is a hang, and noticed
ROOM = 16 * 2**30  # bytes for the tests of a mutant; whoever wants more is noticed too, before the machine is full
UNTIL = mmap.mmap(-1, 8)  # when the test that runs in a fork has to be done; shared, as tests use the alarm themselves
OPTIONS = ("-x", "-s", "-n", "0", "-p", "no:cacheprovider", "-qq", "--no-summary")


@dataclass(frozen=True)
class Mutant:
    """One change of one module: the line, what it was and what it is; the function's first line, 0 outside of any."""

    module: str
    line: int
    function: int
    before: str
    after: str
    tree: ast.Module


def mutants(module: str) -> Iterator[Mutant]:
    """Every mutant of a module."""
    source = (SOURCE / module).read_text(encoding="utf-8")
    count = sum(1 for _ in changes(ast.parse(source)))
    for number in range(count):
        tree = ast.parse(source)
        node, change = list(changes(tree))[number]
        line, function, before = node.lineno, _function(tree, node), ast.unparse(node)
        change()
        yield Mutant(module, line, function, before, ast.unparse(node), tree)


def changes(tree: ast.Module) -> Iterator[tuple[ast.expr | ast.stmt, Callable[[], object]]]:
    """Each place that can be changed, and a function that changes it."""
    skipped = {inner for node in ast.walk(tree) for part in _of_no_matter(node) for inner in ast.walk(part)}
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign) and type(node.op) in SWAPS:
            yield node, partial(setattr, node, "op", SWAPS[type(node.op)]())
        elif isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
            yield node, partial(node.ops.__setitem__, 0, SWAPS[type(node.ops[0])]())
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool)
        ):
            yield node, partial(setattr, node, "value", _other(node.value))
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            yield node, partial(setattr, node, "op", ast.UAdd())


def _other(number: float) -> float:
    """One more where that is much, else half; whole numbers stay whole, or comparisons of counts would not change."""
    if number < 1:
        return number + 1
    return number // 2 if isinstance(number, int) else number / 2


def _of_no_matter(node: ast.AST) -> Iterator[ast.AST]:
    """What says nothing of the mathematics, and what no test should pin down."""
    if isinstance(node, ast.Raise | ast.JoinedStr):  # the numbers in a message
        yield node
    elif isinstance(node, ast.AnnAssign):  # a type
        yield node.annotation
    elif isinstance(node, ast.FunctionDef):  # types again, the size of a cache, and defaults, which are a choice
        yield from (node.args, *node.decorator_list, *([node.returns] if node.returns else []))
    elif isinstance(node, ast.Lambda):
        yield node.args
    elif isinstance(node, ast.Call):
        name = ast.unparse(node.func)  # of tqdm, how long a bar is
        yield from (keyword for keyword in node.keywords if name == "tqdm" or keyword.arg in CHOSEN)
        if name.endswith(("manual_seed", "default_rng")):  # which seed
            yield from (argument for argument in node.args if isinstance(argument, ast.Constant))
    elif isinstance(node, ast.Dict) and all(key and ast.unparse(key).startswith("Scale.") for key in node.keys):
        yield from node.values  # how long and how wide at which scale
    elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in AT_A_TIME:
        yield node
    elif isinstance(node, ast.ClassDef):  # the defaults of a dataclass
        yield from (line for line in node.body if isinstance(line, ast.AnnAssign))


def _first_line(function: ast.FunctionDef) -> int:
    return min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])


def _function(tree: ast.Module, node: ast.AST) -> int:
    """First line of the innermost function around a node, its decorators included, as Python's frames count; or 0."""
    around = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef) and node in ast.walk(each)]
    return max((_first_line(each) for each in around), default=0)


# ---------------------------------------------------------------------------------------------------- running tests


@dataclass
class Seen:
    """Of one test: seconds, the functions it calls, as ``module:line``, and whether it starts processes that may."""

    seconds: float
    calls: list[str]
    starts: bool


class Trial:
    """A plugin of pytest: once tests are collected, they are watched, and then meet each mutant in a fork.

    Args:
        folder: with a copy of the library, the one that tests import.
        drawn: the mutants.
    """

    def __init__(self, folder: Path, drawn: list[Mutant]) -> None:
        self.folder, self.package, self.drawn = folder, folder / "src" / "teachlib", drawn
        self.alive: list[Mutant] = []
        self.calls: dict[str, set[CodeType]] = defaultdict(set)  # of a test, and of all setups of a file
        self.calling: set[CodeType] = set()
        self.running = ""  # the test, or the file of the one that is set up

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items, self.functions = session.items, _functions(self.package)
        gc.freeze()  # forks share what nobody writes to
        noted = self.folder / "seen.json"
        if not _in_fork(partial(self._watch, noted)):
            sys.exit("the tests fail on the library as it is")
        self.seen = {name: Seen(**values) for name, values in json.loads(noted.read_text(encoding="utf-8")).items()}
        for mutant in tqdm(self.drawn, unit="mutant"):
            if self._survives(mutant):
                self.alive.append(mutant)
                tqdm.write(f"survives: {mutant.module}:{mutant.line}: {mutant.before}  →  {mutant.after}")
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        self.running = _file(item)  # a fixture, made for the first test that wants it, may serve all
        self.calling = self.calls[self.running]
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        self.running = item.nodeid
        self.calling = self.calls[self.running]
        return (yield)

    def _trace(self, frame: FrameType, event: str, argument: Any) -> None:
        self.calling.add(frame.f_code)  # of whatever; every call comes by here

    def _watch(self, noted: Path) -> bool:
        starts, plain, seconds = set[str](), subprocess.Popen.__init__, {}

        def start(*arguments: Any, **options: Any) -> None:
            starts.add(self.running)
            plain(*arguments, **options)

        subprocess.Popen.__init__ = start  # type: ignore[method-assign]
        sys.settrace(self._trace)
        threading.settrace(self._trace)
        for item in self.items:
            began = time.perf_counter()
            if not _pass([item]):
                return False
            seconds[item.nodeid] = time.perf_counter() - began
        seen = {
            item.nodeid: Seen(
                seconds=seconds[item.nodeid],
                calls=[
                    f"{Path(code.co_filename).relative_to(self.package)}:{code.co_firstlineno}"
                    for code in self.calls[item.nodeid] | self.calls[_file(item)]
                    if code.co_filename.startswith(f"{self.package}/")
                ],
                starts=bool({item.nodeid, _file(item)} & starts),
            )
            for item in self.items
        }
        noted.write_text(json.dumps({name: vars(values) for name, values in seen.items()}), encoding="utf-8")
        return True

    def _survives(self, mutant: Mutant) -> bool:
        """Whether the tests beside the module pass on the mutant."""
        beside = [item for item in self.items if item.nodeid.startswith(TESTED[mutant.module])]
        beside = [i for i in beside if self.seen[i.nodeid].starts or _calls(self.seen[i.nodeid], mutant)]
        beside.sort(key=lambda item: self.seen[item.nodeid].seconds)
        if not mutant.function:
            beside.sort(key=lambda item: Path(mutant.module).stem not in _file(item))
        copy = self.package / mutant.module
        kept, before = copy.read_text(encoding="utf-8"), copy.stat()
        copy.write_text(ast.unparse(mutant.tree), encoding="utf-8")  # for processes that are started
        try:
            if mutant.function:
                return _in_fork(partial(self._try, mutant, beside))
            seconds = PATIENCE + 5 * sum(self.seen[item.nodeid].seconds for item in beside)
            return _pass_anew([item.nodeid for item in beside], seconds)  # it acts while the module is imported
        finally:
            copy.write_text(kept, encoding="utf-8")
            os.utime(copy, ns=(before.st_atime_ns, before.st_mtime_ns))

    def _try(self, mutant: Mutant, items: list[pytest.Item]) -> bool:
        """Give the functions that were imported their new code, and run the tests."""
        for code in _codes(compile(mutant.tree, str(self.package / mutant.module), "exec")):
            for function in self.functions.get(_key(code), ()):
                function.__code__ = code
        resource.setrlimit(resource.RLIMIT_DATA, (ROOM, ROOM))
        return _pass(items, self._patience)

    def _patience(self, item: pytest.Item) -> float:
        return PATIENCE + 5 * self.seen[item.nodeid].seconds


def _calls(test: Seen, mutant: Mutant) -> bool:
    """Whether a test calls a mutant's function, or, where it lies outside of any, something of its module."""
    if mutant.function:
        return f"{mutant.module}:{mutant.function}" in test.calls
    return any(call.startswith(f"{mutant.module}:") for call in test.calls)


def _file(item: pytest.Item) -> str:
    return item.nodeid.split("::")[0]


def _functions(package: Path) -> dict[tuple[str, str, int], list[FunctionType]]:
    """The library's, by file, name and line."""
    functions = defaultdict(list)
    for each in gc.get_objects():
        if isinstance(each, FunctionType) and each.__code__.co_filename.startswith(f"{package}/"):
            functions[_key(each.__code__)].append(each)
    return functions


def _key(code: CodeType) -> tuple[str, str, int]:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _codes(inner)


def _pass(items: list[pytest.Item], patience: Callable[[pytest.Item], float] | None = None) -> bool:
    """Whether all tests pass or are skipped; the first that does not ends it. A fork with patience says till when."""
    for item, after in zip(items, [*items[1:], None], strict=False):
        if patience:
            UNTIL[:] = struct.pack("d", time.monotonic() + patience(item))
        if any(report.failed for report in runtestprotocol(item, log=False, nextitem=after)):
            return False
    return True


def _pass_anew(names: list[str], seconds: float) -> bool:
    """Whether tests pass in a fresh Python, with no more than so many seconds."""
    command = [sys.executable, "-B", "-m", "pytest", *OPTIONS, *names]
    quiet = subprocess.DEVNULL  # a pipe would stay open as long as anybody whom the tests started
    process = subprocess.Popen(command, cwd=ROOT, stdout=quiet, stderr=quiet, start_new_session=True)
    try:
        return process.wait(seconds) == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _in_fork(task: Callable[[], bool]) -> bool:
    """What a task says, silently, in a copy of this process; no when it is not done in time."""
    UNTIL[:] = struct.pack("d", math.inf)
    child = os.fork()
    if not child:
        code = 1
        try:
            os.setsid()  # whatever the tests start is ended with them
            for stream in (1, 2):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
            code = 0 if task() else 1
        finally:
            os._exit(code)
    ended = os.pidfd_open(child)
    while not select.select([ended], [], [], 1)[0] and time.monotonic() < struct.unpack("d", UNTIL)[0]:
        continue
    os.close(ended)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return status == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=40, help="mutants in all")
    parser.add_argument("--only", choices=tuple(TESTED), action="append", help="this module; may be given again")
    options = parser.parse_args()
    every = [mutant for module in options.only or TESTED for mutant in mutants(module)]
    drawn = random.Random(options.seed).sample(every, min(options.count, len(every)))
    with TemporaryDirectory() as name:
        trial = Trial(Path(name), drawn)
        shutil.copytree(ROOT / "src", Path(name, "src"), ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        os.environ |= {"PYTHONPATH": f"{name}/src", "OMP_NUM_THREADS": "1", "HYPOTHESIS_STORAGE_DIRECTORY": name}
        sys.path.insert(0, f"{name}/src")
        sys.dont_write_bytecode = True  # a file that changes twice in a second is taken for the one before
        os.chdir(ROOT)
        tqdm.monitor_interval = 0  # a thread, and forks want one alone
        files = sorted({file for mutant in drawn for file in TESTED[mutant.module]})
        if pytest.main([*OPTIONS, f"--basetemp={name}/tmp", *files], plugins=[trial]):
            sys.exit("the tests cannot be collected: " + " ".join(files))
    killed = len(drawn) - len(trial.alive)
    share = f"{100 * killed / len(drawn):.0f} %"
    print(f"{killed} of {len(drawn)} mutants noticed ({share}), drawn from {len(every)} by seed {options.seed}")


if __name__ == "__main__":
    main()
