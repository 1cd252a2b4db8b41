"""Ex-post density estimation: fit a density to the codes of a trained encoder (thesis §3.6).

Every estimator works on the codes of any encoder; the networks are not touched.
"""

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

import torch
from torch import Tensor, nn

from teachlib.data import PointData
from teachlib.errors import TeachlibError, require_at_least, require_shape, unknown
from teachlib.primer import Flow, KernelDensity, LossObjective, best_bandwidth, coupling_flow
from teachlib.rae.codes import checked_codes, varying_codes
from teachlib.rae.second_stage import fit_second_stage
from teachlib.scale import Scale
from teachlib.training import Schedule, Watch, fit

if TYPE_CHECKING:
    from sklearn.mixture import BayesianGaussianMixture, GaussianMixture

CHUNK = 5_000  # codes at a time


class Density(Protocol):
    """What can be sampled; most estimators can be evaluated, too, by ``log_prob(z)`` in nats."""

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Independent draws, (count, d)."""
        ...


@dataclass(frozen=True)
class MixtureDensity:
    """A mixture of full-covariance Gaussians q_δ(Z); one Gaussian is a mixture of one.

    Kept in float64: the narrow covariances of latent codes lose positive definiteness in float32.

    Attributes:
        weights: (K,), summing to one.
        means: (K, d).
        covariances: (K, d, d).
    """

    weights: Tensor
    means: Tensor
    covariances: Tensor

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Independent draws, (count, d) float32, in random order."""
        require_at_least(1, count=count)
        component = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        factors = torch.linalg.cholesky(self.covariances)
        noise = torch.randn(count, self.means.shape[1], generator=generator, dtype=torch.float64)
        for k, factor in enumerate(factors):  # by component: a factor for each sample would be N·d² numbers
            rows = component == k
            noise[rows] = noise[rows] @ factor.T
        return (self.means[component] + noise).float()

    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density in nats: (N, d) → (N,) float64.

        Raises:
            TeachlibError: codes of another shape.
        """
        require_shape(z, self.means.shape[1:], what="codes", by="this mixture")
        if not len(z):  # torch's check of a batch fails on none
            return z.new_zeros(0, dtype=torch.float64)
        gaussians = torch.distributions.MultivariateNormal(self.means, self.covariances)
        mixture = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(self.weights), gaussians)
        return mixture.log_prob(z.double())


def standard_normal(dimension: int) -> MixtureDensity:
    """The VAE's prior N(0, I)."""
    return MixtureDensity(
        torch.ones(1, dtype=torch.float64),
        torch.zeros(1, dimension, dtype=torch.float64),
        torch.eye(dimension, dtype=torch.float64)[None],
    )


def fit_gaussian(codes: Tensor) -> MixtureDensity:
    """One full Gaussian by maximum likelihood (thesis §3.6, App. A.1.2).

    Args:
        codes: of the training set, (N, d), N > d.

    Raises:
        TeachlibError: too few codes, codes that are not finite, or all equal.
    """
    return fit_mixture(codes, components=1, seed=0)


def fit_mixture(codes: Tensor, *, components: int = 10, seed: int = 0, iterations: int = 100) -> MixtureDensity:
    """A mixture of full Gaussians by expectation maximization, started by k-means (thesis §3.6, App. A.1.2).

    Args:
        codes: of the training set, (N, d).
        components: K; the thesis: 10.
        seed: of k-means.
        iterations: of EM at most; the thesis: 100.

    Raises:
        TeachlibError: fewer codes than components or dimensions, codes that are not finite, or all equal.
    """
    from sklearn.mixture import GaussianMixture

    require_at_least(1, components=components, iterations=iterations)
    codes = varying_codes(codes, least=components)
    return _fitted(GaussianMixture(components, max_iter=iterations, random_state=seed), codes)


def fit_dirichlet_mixture(
    codes: Tensor, *, components: int = 10, seed: int = 0, iterations: int = 100
) -> MixtureDensity:
    """A mixture of full Gaussians by variational inference under a Dirichlet-process prior of concentration 1/K.

    The released configuration names it beside most of Table 3.1's mixture numbers; components that the codes do not
    need end with hardly any weight. The density is that of the posterior's mean parameters.

    Args:
        codes: of the training set, (N, d).
        components: K, at most.
        seed: of k-means.
        iterations: at most.

    Raises:
        TeachlibError: as :func:`fit_mixture`.
    """
    from sklearn.mixture import BayesianGaussianMixture

    require_at_least(1, components=components, iterations=iterations)
    codes = varying_codes(codes, least=components)
    estimator = BayesianGaussianMixture(
        n_components=components,
        weight_concentration_prior=1 / components,
        max_iter=iterations,
        random_state=seed,
    )
    return _fitted(estimator, codes)


def fit_kernels(codes: Tensor, *, bandwidth: float | None = None, seed: int = 0) -> KernelDensity:
    """A Gaussian kernel on each code.

    Args:
        codes: of the training set, (N, d).
        bandwidth: standard deviation of a kernel; by default the best of twelve by leave-one-out likelihood on two
            thousand codes, between 0.02 and 1.5 times the codes' mean deviation. The released code: 0.425.
        seed: of those two thousand.

    Raises:
        TeachlibError: too few codes, codes that are not finite, or, without a bandwidth, codes that are all equal.
    """
    codes = checked_codes(codes) if bandwidth is not None else varying_codes(codes)
    if bandwidth is None:
        order = torch.randperm(len(codes), generator=torch.Generator().manual_seed(seed))[:2000]
        scale = codes.double().std(0).mean().item()
        bandwidth = best_bandwidth(codes[order].double(), [scale * h for h in torch.logspace(-1.7, 0.18, 12).tolist()])
    return KernelDensity(codes, bandwidth=bandwidth)


@dataclass(frozen=True)
class FlowDensity:
    """A normalizing flow over standardized codes.

    Attributes:
        flow: of the primer.
        mean: of the training codes, (d,).
        deviation: of the training codes, (d,).
    """

    flow: Flow
    mean: Tensor
    deviation: Tensor

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Independent draws, (count, d)."""
        return self.mean + self.deviation * self.flow.sample(count, generator)

    @torch.no_grad()
    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density in nats: (N, d) → (N,).

        Raises:
            TeachlibError: codes of another shape.
        """
        require_shape(z, self.mean.shape, what="codes", by="this flow")
        z = z.to(self.mean)
        parts = [self.flow.log_prob((part - self.mean) / self.deviation) for part in z.split(CHUNK)]
        return torch.cat(parts) - self.deviation.log().sum()


_LEAST_RIDGE = 1e-12  # of the mean variance: below it, float64 has no digits left for a factor
_FLOW_STEPS = {Scale.CI: 30, Scale.LAPTOP: 400, Scale.PAPER: 20_000}
_LOOKS = 50  # at the codes that a flow is not trained on


def fit_flow(
    codes: Tensor,
    *,
    scale: str | Scale | None = None,
    steps: int | None = None,
    held_out: float = 0.1,
    seed: int = 0,
) -> FlowDensity:
    """A small coupling flow of six splines, trained by maximum likelihood and stopped early.

    A flow has weights enough to bend around each training code. So some codes are kept from its training: fifty times
    on the way, and before it, the flow is asked how likely they are, and what it was when they were likeliest is what
    it ends as. All steps are taken nevertheless: a likelihood may fall and rise again.

    Args:
        codes: of the training set, (N, d), d ≥ 2.
        scale: of the training's length.
        steps: other than the scale's.
        held_out: share of the codes that decides when to stop, one code at least; with 0 the flow is trained on all
            codes and ends as its last step leaves it.
        seed: of weights, order, and of which codes are held out.

    Raises:
        TeachlibError: too few codes, codes that are not finite, or a dimension in which all codes agree: a density
            over it would be infinite; a share that leaves fewer than two codes to train on.
    """
    require_at_least(1, steps=steps)
    codes = varying_codes(codes).double()
    flat = (codes.amax(0) == codes.amin(0)).nonzero().flatten().tolist()
    if flat:
        raise TeachlibError(f"all codes agree in dimension {flat[0]}; a flow needs codes that vary in every dimension")
    mean, deviation = codes.mean(0), codes.std(0)
    training, unseen = _apart(((codes - mean) / deviation).float(), held_out, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        flow = coupling_flow(codes.shape[1], layers=6, width=128)
    schedule = Schedule(steps=steps or _FLOW_STEPS[Scale.of(scale)], batch_size=min(256, len(training)), seed=seed)
    points = PointData(training, torch.zeros(len(training)))
    best = _Likeliest(unseen)
    watch = Watch(max(1, schedule.steps // _LOOKS), best.look) if len(unseen) else None
    if watch is not None:
        best.look(0, {"model": flow.eval()})
        flow.train()
    fit(LossObjective(flow, learning_rate=1e-3), points, schedule, watch=watch, progress=False)
    if watch is not None:
        flow.load_state_dict(best.weights)
    return FlowDensity(flow.cpu(), mean.float(), deviation.float())


class _Likeliest:
    """The weights under which some codes, (N, d), were likeliest of all that were looked at."""

    def __init__(self, codes: Tensor) -> None:
        self.codes, self.nats, self.weights = codes, -math.inf, dict[str, Tensor]()

    @torch.no_grad()
    def look(self, step: int, nets: Mapping[str, nn.Module]) -> dict[str, float]:
        """As :class:`teachlib.training.Watch` asks for it: nats a code, of a flow called ``model``."""
        flow = cast(Flow, nets["model"])
        device = next(flow.parameters()).device
        nats = -sum(flow.loss(part.to(device)).item() * len(part) for part in self.codes.split(CHUNK)) / len(self.codes)
        if nats > self.nats:
            self.nats = nats
            self.weights = {name: value.detach().cpu().clone() for name, value in flow.state_dict().items()}
        return {"held out": nats}


def _apart(codes: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Codes to train on and codes to judge by, which are ``share`` of all, chosen at random.

    Raises:
        TeachlibError: fewer than two are left to train on.
    """
    require_at_least(0, held_out=share)
    aside = max(1, round(share * len(codes))) if share else 0
    if len(codes) - aside < 2:
        raise TeachlibError(f"held_out is {share} of {len(codes)} codes; expected to leave two or more to train on")
    order = torch.randperm(len(codes), generator=torch.Generator().manual_seed(seed))
    return codes[order[aside:]], codes[order[:aside]]


ESTIMATORS: dict[str, Callable[[Tensor, int], Density]] = {
    "normal": lambda codes, seed: standard_normal(checked_codes(codes).shape[1]),
    "gaussian": lambda codes, seed: fit_gaussian(codes),
    "mixture": lambda codes, seed: fit_mixture(codes, seed=seed),
    "dirichlet": lambda codes, seed: fit_dirichlet_mixture(codes, seed=seed),
    "kernels": lambda codes, seed: fit_kernels(codes, seed=seed),
    "flow": lambda codes, seed: fit_flow(codes, seed=seed),
    "second-stage": lambda codes, seed: fit_second_stage(codes, seed=seed),
}


def fit_density(name: str, codes: Tensor, *, seed: int = 0) -> Density:
    """The estimator called ``name``, fitted to codes (N, d) at its defaults.

    Raises:
        TeachlibError: unknown estimator, too few codes, or codes that are not finite.
    """
    if name not in ESTIMATORS:
        raise unknown("estimator", name, ESTIMATORS)
    return ESTIMATORS[name](codes, seed)


def _fitted(estimator: "GaussianMixture | BayesianGaussianMixture", codes: Tensor) -> MixtureDensity:
    """The same density at every size of the codes: they are brought to mean zero and variance one, and it back."""
    from sklearn.exceptions import ConvergenceWarning

    codes = codes.double()
    mean = codes.mean(0)
    variance = (codes - mean).square().mean(0)
    scale = variance.mean().sqrt()
    # scikit-learn adds a millionth to each variance, of whatever unit; here it is a millionth of the narrowest axis's.
    varying = variance[codes.amax(0) > codes.amin(0)] / scale.square()
    estimator.reg_covar = max(1e-6 * float(varying.min()), _LEAST_RIDGE)
    with warnings.catch_warnings():  # stopping after so many iterations is what was asked for
        warnings.simplefilter("ignore", ConvergenceWarning)
        estimator.fit(((codes - mean) / scale).numpy())
    weights, means, covariances = map(torch.from_numpy, (estimator.weights_, estimator.means_, estimator.covariances_))
    return MixtureDensity(weights, mean + scale * means, scale.square() * covariances)
