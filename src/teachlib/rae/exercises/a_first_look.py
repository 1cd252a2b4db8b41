"""Exercises on the losses of a VAE and of an RAE, and on draws from a mixture."""

from collections.abc import Callable

import torch
from torch import Tensor

from teachlib.checks import Answer, exercise, observed, seeded, with_gradient
from teachlib.rae import losses
from teachlib.rae.density import MixtureDensity

# ------------------------------------------------------------------------------------------------- kl_divergence

# Spreads on both sides of one, N ≠ d, and no row or column like another: no two mistakes look the same here.
_MEAN = torch.tensor([[0.5, -1.0, 2.0], [0.0, 0.3, -0.7], [1.5, 0.2, 0.1], [0.0, 0.0, 0.4]], requires_grad=True)
_LOG_VARIANCE = torch.tensor(
    [[-1.0, 0.4, 0.9], [0.7, -2.0, -0.3], [0.2, 1.1, -1.4], [-0.6, 0.8, 0.5]], requires_grad=True
)


def _kl_printed(mean: Tensor, log_variance: Tensor) -> Tensor:
    sigma = (0.5 * log_variance).exp()
    return 0.5 * (mean.square().sum(1) + mean.shape[1] + (sigma - sigma.log()).sum(1))


def _kl_without_half(mean: Tensor, log_variance: Tensor) -> Tensor:
    return 2 * losses.kl_divergence(mean, log_variance)


kl_divergence = exercise(
    "kl_divergence",
    "Write kl_divergence(mean, log_variance), both (N, d): the divergence of N(mean, exp(log_variance)) from "
    "N(0, I) in nats, one number a sample, (N,).",
    losses.kl_divergence,
    with_gradient("divergence of each sample", (_MEAN, _LOG_VARIANCE), to=(_MEAN, _LOG_VARIANCE)),
    wrong={
        "sign": (
            lambda mean, log_variance: -losses.kl_divergence(mean, log_variance),
            "the sign is flipped: a divergence is never negative, and training minimizes it. "
            "The −½ that other texts write stands before (1 + log σ² − μ² − σ²)",
        ),
        "mean_over_dimensions": (
            lambda mean, log_variance: losses.kl_divergence(mean, log_variance) / mean.shape[1],
            "this is the average over the dimensions. Independent dimensions add their divergences: sum over them, "
            "or the weight of the term silently depends on d",
        ),
        "logarithm_of_deviation": (
            lambda mean, log_variance: losses.kl_divergence(mean, 2 * log_variance),
            "the second input was read as log σ. It is the logarithm of the variance, log σ² = 2 log σ: "
            "its exponential already is σ²",
        ),
        "half": (
            _kl_without_half,
            "twice the divergence: the factor ½ is missing. The thesis prints 2·L_KL on the left-hand side",
        ),
        "printed_formula": (
            _kl_printed,
            "this is the formula as the thesis prints it after Eq. 3.9, which has slips: try it where posterior and "
            "prior agree (mean 0, log-variance 0), where a divergence is zero. Look at the sign of d, and at which "
            "letters want a square (see the errata page)",
        ),
        "sign_of_d": (
            lambda mean, log_variance: losses.kl_divergence(mean, log_variance) + mean.shape[1],
            "too large by the number of dimensions: d has the wrong sign, as in the thesis's print after Eq. 3.9. "
            "Where posterior and prior agree a divergence is zero (see the errata page)",
        ),
        "batch_average": (
            lambda mean, log_variance: losses.kl_divergence(mean, log_variance).mean(),
            "the batch was averaged away: one number a sample was asked for, shape (N,); sum over the dimensions only",
        ),
    },
)


# ------------------------------------------------------------------------------------------------------ rae_loss

# Three terms of like size, and N, pixels, d and the numbers of weights all different.
_DRAWS = seeded(0)
_X = torch.rand(3, 1, 2, 2, generator=_DRAWS)
_RECONSTRUCTION = torch.rand(3, 1, 2, 2, generator=_DRAWS).requires_grad_()
_Z = torch.randn(3, 2, generator=_DRAWS).requires_grad_()
_DECODER = [torch.randn(shape, generator=_DRAWS).requires_grad_() for shape in ((2, 5), (7,))]


def _rae(x: Tensor, reconstruction: Tensor, z: Tensor, weights: list[Tensor], beta: float, lambda_: float) -> Tensor:
    return losses.rae_loss(x, reconstruction, z, weights, beta=beta, lambda_=lambda_)


def _rae_with(
    *,
    error: Callable[[Tensor, Tensor], Tensor] = losses.reconstruction_loss,
    latents: Callable[[Tensor], Tensor] = losses.latent_penalty,
    decoder: Callable[[list[Tensor]], Tensor] = losses.weight_penalty,
) -> Answer:
    """The solution with one of its terms replaced."""

    def answer(
        x: Tensor, reconstruction: Tensor, z: Tensor, weights: list[Tensor], beta: float, lambda_: float
    ) -> Tensor:
        return error(x, reconstruction) + beta * latents(z) + lambda_ * decoder(weights)

    return answer


_UNSQUARED = (
    "the decoder's term takes the norm of the weights; Eq. 3.11's L2 regularizer is the squared norm, "
    "the sum of the squares of all weights"
)

rae_loss = exercise(
    "rae_loss",
    "Write rae_loss(x, reconstruction, z, decoder_weights, beta, lambda_), Eq. 3.11 with the L2 regularizer: the "
    "average over the batch of squared error and β·½‖z‖², plus λ times the sum of the decoder's squared weights.",
    _rae,
    with_gradient("loss", (_X, _RECONSTRUCTION, _Z, _DECODER, 0.7, 0.2), to=(_RECONSTRUCTION, _Z, *_DECODER)),
    wrong={
        "mean_over_pixels": (
            _rae_with(error=torch.nn.functional.mse_loss),
            "the error is averaged over the pixels. ‖x − x̂‖² sums over them; averaged (as mse_loss does), β and λ "
            "weigh as many times more as there are pixels",
        ),
        "half": (
            _rae_with(latents=lambda z: z.square().sum(1).mean()),
            "the ½ before ‖z‖² is missing: the latents' term is β·½‖z‖², what the KL term leaves of a posterior "
            "with constant variance",
        ),
        "norms_of_weights": (
            _rae_with(decoder=lambda weights: torch.stack([weight.norm() for weight in weights]).sum()),
            _UNSQUARED,
        ),
        "norm_of_weights": (
            _rae_with(decoder=lambda weights: torch.cat([weight.flatten() for weight in weights]).norm()),
            _UNSQUARED,
        ),
        "latents_summed_over_batch": (
            _rae_with(latents=lambda z: 0.5 * z.square().sum()),
            "the latents' term is summed over the batch while the error is averaged: β's effect then grows with the "
            "batch size. Average both over the samples",
        ),
        "weights_averaged": (
            _rae_with(decoder=lambda weights: torch.stack([weight.square().mean() for weight in weights]).sum()),
            "each decoder weight's square is averaged over its tensor. ‖θ‖² sums over all weights; averaged, a wide "
            "layer is hardly regularized",
        ),
        "swapped": (
            lambda x, reconstruction, z, weights, beta, lambda_: _rae(x, reconstruction, z, weights, lambda_, beta),
            "β and λ are swapped: β weighs the latents' size, λ the decoder's regularizer",
        ),
    },
)


# ------------------------------------------------------------------------------------------------ sample_mixture

# Components lie ten deviations and more apart, so that the nearest mean tells which one a sample came from.
_WEIGHTS = torch.tensor([0.15, 0.25, 0.6])
_MEANS = torch.tensor([[-12.0, 0.0], [12.0, -3.0], [1.0, 15.0]])
_COVARIANCES = torch.tensor([[[1.0, 0.6], [0.6, 0.5]], [[0.4, -0.4], [-0.4, 1.2]], [[1.4, 0.7], [0.7, 0.6]]])
_COUNT = 20_000

# Solution and answer are both estimates, so the standard error of their difference counts, √2 times one's own. The
# smallest component has 3,000 samples. Proportions: √2·√(0.6·0.4/20,000) = 0.005. Means: √2·√(1.4/9,000) and
# √2·√(1/3,000) = 0.026. Covariances, √2·√((Σ_ii Σ_jj + Σ_ij²)/n): 0.037 at most. Every tolerance is five of them or
# more, so that a right answer in any order of draws passes but for one in about 100,000. Each mistake below moves some
# number by two tolerances or more (ten standard errors), and is therefore never taken for right. Of a Gaussian .0455
# lie beyond two deviations along an axis, √2·√(0.0455·0.95/20,000) = 0.002. Hardly ever do independent draws have the
# very numbers of samples that the weights say (once in 100,000).
_TOLERANCE = {
    "share of each component": 0.025,
    "mean of each component": 0.14,
    "covariance of each component": 0.19,
    "share beyond two deviations": 0.015,
    "same draws of the same generator": 0.0,
    "same draws of another generator": 0.0,
    "numbers as the weights say, twice": 0.0,
}


def _components_of(z: Tensor) -> Tensor:
    return torch.cdist(z, _MEANS.double()).argmin(1)


def _observe_samples(answer: Answer) -> dict[str, Tensor]:
    z, again, other = (
        observed("samples", answer(_WEIGHTS, _MEANS, _COVARIANCES, _COUNT, seeded(seed)), (_COUNT, 2))
        for seed in (0, 0, 1)
    )
    nearest = _components_of(z)
    factors = torch.linalg.cholesky(_COVARIANCES.double())[nearest]
    noise = torch.linalg.solve_triangular(factors, (z - _MEANS.double()[nearest])[..., None], upper=False)
    expected = _WEIGHTS.double() * _COUNT
    planned = [(torch.bincount(_components_of(some), minlength=3) - expected).abs().max() <= 1 for some in (z, other)]
    groups = [z[nearest == component] for component in range(len(_WEIGHTS))]
    nothing = torch.zeros(2, 2, dtype=z.dtype)
    # A component without samples counts as one at the origin without spread.
    means = [group.mean(0) if len(group) else nothing[0] for group in groups]
    covariances = [torch.cov(group.T) if len(group) > 1 else nothing for group in groups]
    quantities = (
        torch.tensor([len(group) / _COUNT for group in groups]),
        torch.stack(means),
        torch.stack(covariances),
        (noise.abs() > 2).double().mean(),
        torch.tensor(float(torch.equal(z, again))),
        torch.tensor(float(torch.equal(z, other))),
        torch.tensor(float(all(planned))),
    )
    return dict(zip(_TOLERANCE, quantities, strict=True))


def _sample(weights: Tensor, means: Tensor, covariances: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """The solution, thesis §3.6: pick a component by its weight, then draw from it."""
    return MixtureDensity(weights.double(), means.double(), covariances.double()).sample(count, generator)


def _sample_with(factor: Callable[[Tensor], Tensor]) -> Answer:
    """Draws μ + Fε with another matrix F than the Cholesky factor of Σ."""

    def answer(weights: Tensor, means: Tensor, covariances: Tensor, count: int, generator: torch.Generator) -> Tensor:
        component = torch.multinomial(weights, count, replacement=True, generator=generator)
        noise = torch.randn(count, means.shape[1], generator=generator)
        return means[component] + torch.einsum("nij,nj->ni", factor(covariances)[component], noise)

    return answer


def _sample_averaged(
    weights: Tensor, means: Tensor, covariances: Tensor, count: int, generator: torch.Generator
) -> Tensor:
    noise = torch.randn(count, len(weights), means.shape[1], generator=generator)
    draws = means + torch.einsum("kij,nkj->nki", torch.linalg.cholesky(covariances), noise)
    return torch.einsum("k,nki->ni", weights, draws)


def _sample_of(fresh: Callable[[], torch.Generator]) -> Answer:
    """Draws whose randomness comes from another generator than the given one."""
    return lambda weights, means, covariances, count, generator: _sample(weights, means, covariances, count, fresh())


def _unseeded() -> torch.Generator:
    generator = torch.Generator()
    generator.seed()
    return generator


def _sample_planned(
    weights: Tensor, means: Tensor, covariances: Tensor, count: int, generator: torch.Generator
) -> Tensor:
    each = (weights * count).round().long()
    component = torch.arange(len(weights)).repeat_interleave(each)
    noise = torch.randn(len(component), means.shape[1], generator=generator)
    return means[component] + torch.einsum("nij,nj->ni", torch.linalg.cholesky(covariances)[component], noise)


def _sample_uniform(
    weights: Tensor, means: Tensor, covariances: Tensor, count: int, generator: torch.Generator
) -> Tensor:
    component = torch.multinomial(weights, count, replacement=True, generator=generator)
    noise = 12**0.5 * (torch.rand(count, means.shape[1], generator=generator) - 0.5)
    return means[component] + torch.einsum("nij,nj->ni", torch.linalg.cholesky(covariances)[component], noise)


def _only(component: int) -> tuple[Answer, str]:
    def answer(weights: Tensor, means: Tensor, covariances: Tensor, count: int, generator: torch.Generator) -> Tensor:
        one = slice(component, component + 1)
        return _sample(torch.ones(1), means[one], covariances[one], count, generator)

    return (
        answer,
        "all samples come from one component: draw the component anew for each sample "
        "(torch.multinomial with as many draws as samples, and replacement=True)",
    )


sample_mixture = exercise(
    "sample_mixture",
    "Write sample_mixture(weights, means, covariances, count, generator): independent draws, (count, d), from the "
    "mixture of K Gaussians with weights (K,), means (K, d) and covariances (K, d, d); all randomness comes from "
    "the generator.",
    _sample,
    _observe_samples,
    wrong={
        "uniform": (
            lambda weights, *rest: _sample(torch.full_like(weights, 1 / len(weights)), *rest),
            "every component is drawn equally often: the weights are ignored",
        ),
        "covariance_as_factor": (
            _sample_with(lambda covariances: covariances),
            "the noise is multiplied by the covariance itself, which gives samples the covariance ΣΣᵀ. "
            "What is needed is a root of it: a matrix L with LLᵀ = Σ",
        ),
        "transposed_factor": (
            _sample_with(lambda covariances: torch.linalg.cholesky(covariances).mT),
            "the Cholesky factor is transposed: samples then have the covariance LᵀL instead of LLᵀ. "
            "For rows of noise that is ε Lᵀ, for columns L ε",
        ),
        "diagonal": (
            _sample_with(lambda covariances: torch.diag_embed(covariances.diagonal(dim1=-2, dim2=-1).sqrt())),
            "only the variances on the diagonal are used: the dimensions of a component are correlated, "
            "and its samples must be too",
        ),
        "own_randomness": (
            _sample_of(_unseeded),
            "two calls with generators of one seed draw different samples: hand the generator to every function that "
            "draws, generator=generator",
        ),
        "fixed_seed": (
            _sample_of(lambda: seeded(3)),
            "generators of two seeds draw the same samples: the one that is given is not used",
        ),
        "planned_numbers": (
            _sample_planned,
            "each component has the very number of samples that its weight says, every time: of independent draws "
            "that number is random, too (torch.multinomial)",
        ),
        "uniform_noise": (
            _sample_uniform,
            "the noise has the right variance and no tails: components are Gaussians (torch.randn)",
        ),
        **{f"only_component_{component}": _only(component) for component in range(len(_WEIGHTS))},
        "averaged": (
            _sample_averaged,
            "the components are averaged: a weighted sum of draws is a single Gaussian between them. "
            "A mixture picks one component for each sample",
        ),
    },
    tolerance=_TOLERANCE,
)
