"""An assignment for tests alone, with one question of each form that an answer can have."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from teachlib.classroom.source import Assignment, read_source

GIVEN = """SEED = 0"""
IMPORTS = """import sympy as sp
import torch
from torch import Tensor, nn

FACTOR = 2.0 + SEED
t = sp.Symbol("t", real=True)


def bent(weight):
    return lambda z: (z @ weight).tanh()
"""
CELLS = {
    "scaled": '''def scaled(x):
    """FACTOR times x, (N,)."""
    ### BEGIN SOLUTION
    return FACTOR * x
    # instead (added): return FACTOR + x
    #     the factor was added
    # instead (halved): return x / FACTOR
    #     divided by the factor
    # instead (two_lines): product = x.square()
    #: return FACTOR * product
    #     the input was squared
    ### END SOLUTION
''',
    "slope": """### BEGIN SOLUTION
slope = 3 * t**2 * FACTOR
# instead (constant): slope = 3 * FACTOR + 0 * t
#     a slope that is the same everywhere
# instead (integral): slope = FACTOR * t**4 / 4
#     this is the integral
# instead (power): slope = 3 * t**3 * FACTOR
#     the power did not fall
### END SOLUTION
""",
    "penalty": """def penalty(decode, z):
    ### BEGIN SOLUTION
    (gradient,) = torch.autograd.grad(decode(z).sum(), z, create_graph=True)
    # instead (detached): (gradient,) = torch.autograd.grad(decode(z).sum(), z)
    #     nothing can be learned from this penalty
    return gradient.square().sum(1).mean()
    # instead (summed): return gradient.square().sum()
    #     summed over the batch
    # instead (length): return gradient.norm(dim=1).mean()
    #     the length instead of its square
    ### END SOLUTION
""",
    "Masked": """class Masked(nn.Module):
    ### BEGIN SOLUTION
    def __init__(self, n):
        super().__init__()
        self.linear = nn.Linear(n, n)

    def forward(self, x):
        mask = torch.ones_like(self.linear.weight).tril(-1)
        # instead (sees_itself): mask = torch.ones_like(self.linear.weight).tril()
        #     an output sees its own input
        # instead (upper): mask = torch.ones_like(self.linear.weight).triu(1)
        #     the order is turned round
        # instead (open): mask = torch.ones_like(self.linear.weight)
        #     nothing is masked
        return nn.functional.linear(x, self.linear.weight * mask, self.linear.bias)
    ### END SOLUTION
""",
    "choice": """### BEGIN SOLUTION
choice = {"loss": "falls", "noise": "grows"}
# instead (loss): choice = {"loss": "grows", "noise": "grows"}
#     training lowers the loss
# instead (noise): choice = {"loss": "falls", "noise": "falls"}
#     smaller batches are noisier
# instead (both): choice = {"loss": "grows", "noise": "falls"}
#     both the wrong way round
### END SOLUTION
""",
}
HIDDEN = {
    "scaled": """from teachlib.classroom.answers import Given, choices, module, seeded


def observe(answer, seed):
    return {"values": answer(torch.randn(5, generator=seeded(seed)))}
""",
    "slope": """def observe(answer, seed):
    return {"slope": answer(t=torch.rand(4, generator=seeded(seed), dtype=torch.float64) + 0.5)}
""",
    "penalty": """def observe(answer, seed):
    draws = seeded(seed)
    weight = torch.randn(2, 3, generator=draws).requires_grad_()
    z = torch.randn(4, 2, generator=draws).requires_grad_()
    value = answer(Given(bent, weight), z)
    (gradient,) = torch.autograd.grad(value, weight) if value.requires_grad else (torch.zeros(2, 3),)
    return {"penalty": value, "gradient": gradient}
""",
    "Masked": """def observe(answer, seed):
    draws = seeded(seed)
    weights = {"linear.weight": torch.randn(4, 4, generator=draws), "linear.bias": torch.randn(4, generator=draws)}
    return {"output": module(answer, [4], weights)(torch.randn(3, 4, generator=draws))}
""",
    "choice": """def observe(answer, seed):
    return {"choices": choices(answer(), {"loss": ("falls", "grows"), "noise": ("falls", "grows")})}
""",
}
KINDS = {"scaled": "implement", "slope": "derive", "penalty": "implement", "Masked": "implement", "choice": "predict"}
NAMES = tuple(CELLS)


def mark(name: str, **given: Any) -> dict[str, Any]:
    plain = {"schema_version": 3, "locked": False, "grade": False, "solution": False, "task": False}
    return {"nbgrader": {**plain, "grade_id": name, **given}}


def toy_notebook(hidden: Mapping[str, str] = HIDDEN, cells: Mapping[str, str] = CELLS) -> Any:
    found = [
        new_markdown_cell("# Toy\n\nThe factor is ⟨FACTOR⟩.", metadata=mark("text", locked=True), id="text"),
        new_code_cell(GIVEN, metadata=mark("variant", locked=True), id="variant"),
        new_code_cell(IMPORTS, metadata=mark("imports", locked=True), id="imports"),
    ]
    for name in cells:
        visible = f"assert {name} is not None\n"
        tests = f"{visible}### BEGIN HIDDEN TESTS\n{hidden[name]}### END HIDDEN TESTS"
        found.append(new_code_cell(cells[name].strip("\n"), metadata=mark(name, solution=True), id=name))
        metadata = mark(f"{name}_test", grade=True, locked=True, points=2) | {"teachlib": {"kind": KINDS[name]}}
        found.append(new_code_cell(tests, metadata=metadata, id=f"{name}_test"))
    words = "YOUR ANSWER HERE\n\n### BEGIN MARK SCHEME\n- the reason\n### END MARK SCHEME"
    metadata = mark("why", grade=True, solution=True, points=3) | {"teachlib": {"kind": "explain"}}
    found.append(new_markdown_cell(words, metadata=metadata, id="why"))
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return new_notebook(cells=found, metadata=kernel)


def write_toy(folder: Path, **changed: Any) -> Assignment:
    path = folder / "toy" / "toy.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(toy_notebook(**changed), path)
    return read_source(path)


def submission(answers: Mapping[str, str] | None = None, *, before: list[str] = [], after: list[str] = []) -> Any:  # noqa: B006
    """A submitted notebook: right answers but for those given, and further cells."""
    notebook = toy_notebook()
    for cell in notebook.cells:
        if cell.id in CELLS:
            cell.source = (answers or {}).get(cell.id, CELLS[cell.id])
        elif cell.id.endswith("_test"):
            cell.source = f"assert {cell.id.removesuffix('_test')} is not None"
    notebook.cells = [
        *(new_code_cell(source, id=f"before-{number}") for number, source in enumerate(before)),
        *notebook.cells,
        *(new_code_cell(source, id=f"after-{number}") for number, source in enumerate(after)),
    ]
    return notebook
