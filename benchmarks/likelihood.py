"""Our densities beside zuko's and scikit-learn's on the digits: bits per dimension on the same data and noise."""

import torch
import zuko
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity as SklearnKernelDensity
from torch import Tensor, nn

from benchmarks.table import Row
from teachlib import data, primer
from teachlib.primer.flows import Logit

STEPS, BATCH, WIDTH, LAYERS, RATE, LEVELS, BANDWIDTH = 400, 100, 64, 6, 1e-3, 17, 0.1


def dequantized(split: str) -> Tensor:
    x = data.load("digits", split)[:][0].flatten(1)
    return primer.dequantize(primer.to_levels(x, LEVELS), LEVELS, torch.Generator().manual_seed(0))


def bits(log_density: Tensor) -> float:
    return primer.bits_per_dimension(log_density, 64, levels=LEVELS).mean().item()


def row(what: str, ours: float, peer: str, theirs: float) -> Row:
    return Row(f"{what}, bits per dimension of test digits", f"{ours:.3f}", f"{peer} {theirs:.3f}", theirs / ours)


class ZukoFlow(nn.Module):
    """Affine couplings of zuko behind our logit; couplings are masked autoregressive steps of two passes there."""

    def __init__(self) -> None:
        super().__init__()
        self.logit = Logit()
        self.flow = zuko.flows.MAF(64, transforms=LAYERS, passes=2, hidden_features=(WIDTH, WIDTH), randperm=True)

    def log_prob(self, u: Tensor) -> Tensor:
        at, log_slope = self.logit(u)
        return self.flow().log_prob(at) + log_slope


def trained(model: nn.Module, train: Tensor) -> nn.Module:
    """The same plain loop and noise for both: it is the models that are compared."""
    level = (train * LEVELS).floor()
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    generator = torch.Generator().manual_seed(0)
    model.train()
    for _ in range(STEPS):
        chosen = level[torch.randint(len(level), (BATCH,), generator=generator)]
        batch = primer.dequantize(chosen, LEVELS, generator)
        loss = -model.log_prob(batch).mean()  # type: ignore[operator]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def flows() -> Row:
    train, test = dequantized("train"), dequantized("test")
    found = []
    for make in (
        lambda: primer.coupling_flow(64, layers=LAYERS, kind="affine", width=WIDTH, pixels=True),
        ZukoFlow,
    ):
        torch.manual_seed(0)
        model = trained(make(), train)
        with torch.no_grad():
            found.append(bits(model.log_prob(test)))  # type: ignore[operator]
    return row("affine coupling flow", found[0], "zuko", found[1])


def kernels() -> Row:
    train, test = dequantized("train"), dequantized("test")
    ours = bits(primer.KernelDensity(train, bandwidth=BANDWIDTH).log_prob(test))
    # One leaf for all: through its tree, scikit-learn's sums in 64 dimensions differ from the formula by tens of nats.
    fitted = SklearnKernelDensity(bandwidth=BANDWIDTH, leaf_size=len(train)).fit(train.numpy())
    theirs = torch.from_numpy(fitted.score_samples(test.numpy()))
    return row("Gaussian kernels", ours, "scikit-learn", bits(theirs))


def gaussian() -> Row:
    train, test = data.load("digits", "train")[:][0], data.load("digits", "test")[:][0]
    model = primer.ImageGaussian(train, LEVELS)
    log_p = model.log_prob(test, torch.Generator().manual_seed(0))
    ours = primer.bits_per_dimension(log_p, 64).mean().item()
    fitted = GaussianMixture(1, reg_covar=1e-4, random_state=0).fit(dequantized("train").double().numpy())
    theirs = torch.from_numpy(fitted.score_samples(dequantized("test").double().numpy()))
    return row("one Gaussian", ours, "scikit-learn", bits(theirs))
