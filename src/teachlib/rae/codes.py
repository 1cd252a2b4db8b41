"""What every ex-post estimator asks of the codes it is fitted to."""

import torch
from torch import Tensor

from teachlib.errors import TeachlibError


def checked_codes(codes: Tensor, *, least: int = 2) -> Tensor:
    """Codes that a density can be fitted to: without a graph, in single precision at least, on the CPU.

    Args:
        codes: (N, d), floating.
        least: the smallest N, where d does not ask for more: a covariance takes d + 1.

    Raises:
        TeachlibError: another shape or type, too few, or not finite.
    """
    if codes.ndim != 2 or codes.shape[1] == 0:
        raise TeachlibError(f"codes of shape {tuple(codes.shape)}; expected (N, d), a row a code")
    if not codes.is_floating_point():
        raise TeachlibError(f"codes of {codes.dtype}; expected floating-point numbers")
    least = max(least, codes.shape[1] + 1)
    if len(codes) < least:
        raise TeachlibError(f"{len(codes)} codes of {codes.shape[1]} dimensions; expected at least {least} codes")
    if not codes.isfinite().all():
        raise TeachlibError("codes that are not finite; did training diverge?")
    codes = codes.detach().cpu()
    return codes.float() if codes.element_size() < 4 else codes


def varying_codes(codes: Tensor, *, least: int = 2) -> Tensor:
    """:func:`checked_codes` that are not all the same: a density over one point is infinite.

    Raises:
        TeachlibError: as there, or codes that are all equal.
    """
    codes = checked_codes(codes, least=least)
    if torch.equal(codes.amin(0), codes.amax(0)):
        raise TeachlibError("all codes are equal, and a density over one point is infinite; did the encoder collapse?")
    return codes
