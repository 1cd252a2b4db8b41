"""What structured objects are good for: how well an expression fits a curve, how a molecule dissolves."""

import ast
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from teachlib.errors import TeachlibError

POINTS = np.linspace(-10, 10, 1000)
WORST = 1000.0  # squared errors count no more
WORST_EXPRESSION = math.log(1 + WORST)
_OPERATIONS: dict[type, Callable[..., Any]] = {ast.Add: np.add, ast.Mult: np.multiply, ast.Div: np.divide}
_FUNCTIONS: dict[str, Callable[..., Any]] = {"sin": np.sin, "exp": np.exp}


def wanted(x: np.ndarray) -> np.ndarray:
    """The curve that expressions are to fit: 1/3 + x + sin(x·x) (Kusner et al., 2017)."""
    return 1 / 3 + x + np.sin(x * x)


def evaluate_expression(text: str, x: np.ndarray) -> np.ndarray | None:
    """The values of an expression in ``x`` with the usual precedence, (N,); ``None`` if it is none.

    Nothing but sums, products, quotients, ``sin``, ``exp``, ``x`` and whole numbers is evaluated.
    """
    if re.search(r"\d[a-zA-Z_]", text):  # 0x1, 1_0 and 1if mean something in Python, and nothing here
        return None
    try:
        with np.errstate(all="ignore"):
            tree = ast.parse(text.strip(), mode="eval").body
            return np.broadcast_to(_value(tree, x), x.shape).astype(float)
    except (SyntaxError, ValueError, RecursionError, OverflowError, MemoryError):
        return None


def _value(node: ast.expr, x: np.ndarray) -> Any:
    match node:
        case ast.BinOp(left=left, op=operation, right=right) if type(operation) in _OPERATIONS:
            return _OPERATIONS[type(operation)](_value(left, x), _value(right, x))
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](_value(argument, x))
        case ast.Name(id="x"):
            return x
        case ast.Constant(value=number) if type(number) is int:  # neither True nor 1.5
            return float(number)
    raise ValueError("not an expression of this language")


def expression_score(text: str | None) -> float:
    """log(1 + mean min(error², 1000)) on 1,000 points of [−10, 10]; lower is better, log 1001 for no expression."""
    values = None if text is None else evaluate_expression(text, POINTS)
    if values is None or np.isnan(values).any():
        return WORST_EXPRESSION
    with np.errstate(over="ignore"):
        errors = np.square(values - wanted(POINTS))
    return float(np.log1p(np.minimum(errors, WORST).mean()))


def _chemistry() -> Any:
    try:
        from rdkit import Chem, RDLogger
    except ModuleNotFoundError:
        raise TeachlibError("RDKit, which judges molecules, is missing: pip install 'teachlib[molecules]'") from None
    RDLogger.DisableLog("rdApp.*")  # type: ignore[attr-defined, unused-ignore]  # a string that is no molecule is an answer here, not news
    return Chem


def is_molecule(text: str | None) -> bool:
    """Whether a SMILES describes a molecule whose valences and rings RDKit accepts.

    Raises:
        TeachlibError: RDKit is not installed.
    """
    return text is not None and _parsed(text) is not None


def log_p(text: str) -> float:
    """The logarithm of the octanol-water partition coefficient, estimated by Crippen's contributions; higher: oilier.

    Raises:
        TeachlibError: RDKit is not installed, or the string is no molecule.
    """
    molecule = _molecule(text)
    from rdkit.Chem import Descriptors

    return float(Descriptors.MolLogP(molecule))  # type: ignore[attr-defined, unused-ignore]


# Mean and deviation over the 249,456 molecules of ZINC: log P, negative synthetic accessibility, negative ring excess.
ZINC_MOMENTS = ((2.45712, 1.43433), (-3.05330, 0.83490), (-0.03804, 0.22371))


def penalized_log_p(text: str) -> float:
    """log P, less what makes a molecule hard to build, less rings of more than six; each standardized on ZINC.

    This is what the published code of GVAE optimizes; the thesis's text says log P only. That code measures rings on
    any cycle basis, which depends on the order of the atoms; here they are the smallest ones.

    Raises:
        TeachlibError: RDKit is not installed, or the string is no molecule.
    """
    parts = zip(penalty_terms(text), ZINC_MOMENTS, strict=True)
    return float(sum((value - mean) / deviation for value, (mean, deviation) in parts))


def penalty_terms(text: str) -> tuple[float, float, float]:
    """log P, the negative synthetic accessibility score, and the negative excess of the largest ring over six."""
    molecule = _molecule(text)
    from rdkit.Contrib.SA_Score import sascorer

    largest = max([6, *map(len, molecule.GetRingInfo().AtomRings())])
    return log_p(text), -float(sascorer.calculateScore(molecule)), float(6 - largest)


def _parsed(text: str) -> Any:
    """RDKit's molecule, or ``None``. RDKit takes what follows a blank for a name, and nothing for no atoms."""
    if not text or any(letter.isspace() for letter in text):
        return None
    return _chemistry().MolFromSmiles(text)


def _molecule(text: str) -> Any:
    molecule = _parsed(text)
    if molecule is None:
        raise TeachlibError(
            f"'{text}' is no molecule: it is empty, has a blank, or a valence or ring does not work out"
        )
    return molecule
