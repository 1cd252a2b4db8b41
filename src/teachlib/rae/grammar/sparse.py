"""A sparse Gaussian process for thousands of scores: BoTorch's, an optional extra for searches at paper scale."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from teachlib.errors import TeachlibError
from teachlib.rae.grammar.search import Field


class SparseProcess:
    """A variational Gaussian process with inducing points (Titsias, 2009), as in the published search.

    Args:
        z: codes (N, d).
        y: scores (N,).
        inducing: points that stand for all; the published code has 500.
        steps: of Adam on the bound.
        seed: of the inducing points and the batches.

    Raises:
        TeachlibError: BoTorch is not installed.
    """

    def __init__(self, z: np.ndarray, y: np.ndarray, *, inducing: int = 500, steps: int = 500, seed: int = 0) -> None:
        botorch, gpytorch = _packages()
        self._centre, self._scale = float(np.mean(y)), float(np.std(y)) + 1e-12
        x, target = torch.from_numpy(np.array(z, dtype=float)), torch.from_numpy((y - self._centre) / self._scale)
        chosen = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:inducing]
        kernel = gpytorch.kernels.ScaleKernel(gpytorch.kernels.RBFKernel())
        kernel.base_kernel.lengthscale = (x - x.mean(0)).norm(dim=1).median().clamp_min(1e-6)
        self._model = botorch.models.SingleTaskVariationalGP(
            x, target[:, None], covar_module=kernel, inducing_points=x[chosen].clone()
        )
        bound = gpytorch.mlls.VariationalELBO(self._model.likelihood, self._model.model, num_data=len(x))
        self._fit(bound, x, target, steps, seed)

    def _fit(self, bound: Any, x: Tensor, target: Tensor, steps: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        optimizer = torch.optim.Adam(bound.parameters(), lr=0.05)
        self._model.train()
        for _ in range(steps):
            rows = torch.randint(len(x), (min(1_000, len(x)),), generator=generator)
            loss = -bound(self._model.model(x[rows]), target[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        self._model.eval()

    @torch.no_grad()
    def field(self, z: np.ndarray) -> Field:
        """What it believes at codes (M, d)."""
        places = torch.from_numpy(np.array(z, dtype=float))
        believed = self._model.model(places)
        scale = self._scale

        def covariance(place: int) -> np.ndarray:
            with torch.no_grad():
                return believed.lazy_covariance_matrix[:, place].to_dense().numpy().ravel() * scale**2

        return Field(
            believed.mean.numpy() * scale + self._centre,
            believed.variance.numpy() * scale**2,
            covariance,
            float(self._model.likelihood.noise) * scale**2,
        )


def _packages() -> tuple[Any, Any]:
    try:
        import botorch
        import gpytorch
    except ModuleNotFoundError:
        raise TeachlibError("BoTorch, the sparse process, is missing: pip install 'teachlib[search]'") from None
    return botorch, gpytorch
