"""What the metrics take for numbers."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from teachlib.errors import TeachlibError


def real_array(name: str, values: Any) -> NDArray[np.float64]:
    """A tensor or array of any shape and real type as float64.

    Args:
        name: of the argument, for the message.
        values: tensor on any device, array, or nested lists of numbers.

    Raises:
        TeachlibError: entries that are no real numbers, or not finite.
    """
    if isinstance(values, torch.Tensor) and not values.is_complex():
        values = values.detach().cpu().double()  # numpy knows no bfloat16
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise TeachlibError(f"{name} has entries of type {array.dtype}; expected real numbers")
    if not np.isfinite(array).all():
        raise TeachlibError(f"{name} has values that are not finite; look for NaN in the features it comes from")
    return array.astype(np.float64)
