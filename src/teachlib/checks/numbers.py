"""What both sides of a comparison are turned into before they are compared."""

from typing import Any

import numpy as np
import torch
from torch import Tensor


def as_numbers(value: Any) -> Tensor | None:
    """``value`` as float64 on the CPU, of the same shape; ``None`` for what holds no numbers."""
    try:
        tensor = value.detach().cpu().to_dense() if isinstance(value, Tensor) else torch.as_tensor(np.asarray(value))
        return None if tensor.is_complex() else tensor.double()
    except Exception:  # a value's own conversion may raise anything
        return None
