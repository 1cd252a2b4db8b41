"""How many small errors the tests notice: `python tools/mutate.py [--seed 0] [--count 40] [--only rae/losses.py]`.

A mutant is the library with one operator, comparison or number changed, in the modules that hold mathematics. The tests
that stand beside the module are run on each; a mutant that they pass survives, and is printed with its line. The seed
decides which mutants are drawn.
"""

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "teachlib"
# Module → the tests that stand beside it.
TESTED = {
    "rae/losses.py": ("tests/rae/test_losses.py", "tests/rae/test_errata.py"),
    "rae/penalties.py": ("tests/rae/test_penalties.py",),
    "rae/density.py": ("tests/rae/test_density.py",),
    "rae/interpolation.py": ("tests/rae/test_losses.py", "tests/rae/test_evaluation.py"),
    "rae/evaluation.py": ("tests/rae/test_evaluation.py",),
    "gmmvae/losses.py": ("tests/gmmvae/test_losses_of_mixtures.py", "tests/gmmvae/test_objectives.py"),
    "gmmvae/mixture.py": ("tests/gmmvae/test_mixture.py",),
    "gmmvae/objectives.py": ("tests/gmmvae/test_objectives.py",),
    "gmmvae/selective.py": ("tests/gmmvae/test_selective.py",),
    "gmmvae/attacks/ball.py": ("tests/gmmvae/test_attacks.py", "tests/gmmvae/test_mistakes.py"),
    "gmmvae/attacks/gradient.py": ("tests/gmmvae/test_attacks.py",),
    "gmmvae/attacks/square.py": ("tests/gmmvae/test_attacks.py",),
    "metrics/coverage.py": ("tests/metrics/test_coverage.py",),
    "metrics/frechet.py": ("tests/metrics/test_frechet.py",),
    "metrics/prd.py": ("tests/metrics/test_prd.py",),
    "metrics/statistics.py": ("tests/metrics/test_statistics.py",),
    "training/loop.py": ("tests/test_training.py", "tests/test_loop.py"),
    "training/schedule.py": ("tests/test_training.py", "tests/test_loop.py"),
    "training/states.py": ("tests/test_training.py", "tests/test_loop.py"),
    "primer/gan.py": ("tests/primer/test_gan.py",),
    "primer/vae.py": ("tests/primer/test_vae.py",),
    "primer/energy.py": ("tests/primer/test_energy.py",),
}
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
SECONDS = 300  # for the tests of one mutant; longer is a hang, which is noticed too


@dataclass(frozen=True)
class Mutant:
    """One change of one module: the line, what it was and what it is."""

    module: str
    line: int
    before: str
    after: str
    text: str


def mutants(module: str) -> Iterator[Mutant]:
    """Every mutant of a module, in the order of its lines."""
    source = (SOURCE / module).read_text(encoding="utf-8")
    count = sum(1 for _ in changes(ast.parse(source)))
    for number in range(count):
        tree = ast.parse(source)
        node, change = list(changes(tree))[number]
        line, before = node.lineno, ast.unparse(node)
        change()
        yield Mutant(module, line, before, ast.unparse(node), ast.unparse(tree))


def changes(tree: ast.Module) -> Iterator[tuple[ast.expr, Callable[[], object]]]:
    """Each place that can be changed, and a function that changes it; messages and annotations are left alone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise | ast.JoinedStr | ast.AnnAssign | ast.arguments):
            for inner in ast.walk(node):
                inner.skipped = True  # type: ignore[attr-defined]
    for node in ast.walk(tree):
        if getattr(node, "skipped", False):
            continue
        if isinstance(node, ast.BinOp | ast.BoolOp) and type(node.op) in SWAPS:
            yield node, partial(setattr, node, "op", SWAPS[type(node.op)]())
        elif isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
            yield node, partial(node.ops.__setitem__, 0, SWAPS[type(node.ops[0])]())
        elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
            number = float(node.value) if isinstance(node.value, float) else int(str(node.value))
            yield node, partial(setattr, node, "value", number + 1 if number < 1 else number / 2)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            yield node, partial(setattr, node, "op", ast.UAdd())


def survives(mutant: Mutant, folder: Path) -> bool:
    """Whether the tests beside the module pass on the mutant."""
    copy = folder / "src" / "teachlib" / mutant.module
    kept = copy.read_text(encoding="utf-8")
    copy.write_text(mutant.text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            [*command, *TESTED[mutant.module]], cwd=ROOT, env=environment, capture_output=True, timeout=SECONDS
        )
        return done.returncode == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        copy.write_text(kept, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=40, help="mutants in all")
    parser.add_argument("--only", choices=tuple(TESTED), action="append", help="this module; may be given again")
    options = parser.parse_args()
    every = [mutant for module in options.only or TESTED for mutant in mutants(module)]
    drawn = random.Random(options.seed).sample(every, min(options.count, len(every)))
    with TemporaryDirectory() as name:
        shutil.copytree(ROOT / "src", Path(name, "src"), ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        alive = []
        for mutant in tqdm(drawn, unit="mutant"):
            if survives(mutant, Path(name)):
                alive.append(mutant)
                tqdm.write(f"survives: {mutant.module}:{mutant.line}: {mutant.before}  →  {mutant.after}")
    killed = len(drawn) - len(alive)
    share = f"{100 * killed / len(drawn):.0f} %"
    print(f"{killed} of {len(drawn)} mutants noticed ({share}), drawn from {len(every)} by seed {options.seed}")


if __name__ == "__main__":
    main()
