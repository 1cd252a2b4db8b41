"""Euclidean distances that keep their digits wherever the points lie."""

import torch
from torch import Tensor


def distances(a: Tensor, b: Tensor) -> Tensor:
    """‖aᵢ − bⱼ‖ by differences: (N, d) and (M, d) → (N, M), differentiable.

    Not by ‖a‖² − 2a·b + ‖b‖², as ``torch.cdist`` takes them by itself: far from the origin, that product of matrices
    leaves no digit of them, and gives a copy a distance.
    """
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
