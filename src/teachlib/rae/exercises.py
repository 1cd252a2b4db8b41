"""Exercises of the chapter: each with its solution and the mistakes that its checker knows by name."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from teachlib.checks import Exercise, Unfit, WrongAnswer, observed
from teachlib.rae import losses
from teachlib.rae.density import MixtureDensity

Answer = Callable[..., Any]


def _gradients(value: Any, inputs: Sequence[Tensor]) -> Tensor:
    """d(sum of ``value``)/d(inputs), all in one vector: a loss that gradients do not pass through trains nothing."""
    if not isinstance(value, Tensor):
        raise Unfit(f"expected a tensor; found {type(value).__name__}")
    if not value.requires_grad:
        raise Unfit("no gradient reaches the inputs; stay with torch operations, without .item() or .detach()")
    # A loss that leaves an input out has the gradient zero there, and differs in its values anyway.
    gradients = torch.autograd.grad(value.sum(), inputs, allow_unused=True)
    parts = zip(gradients, inputs, strict=True)
    return torch.cat([(torch.zeros_like(x) if gradient is None else gradient).flatten() for gradient, x in parts])


# ------------------------------------------------------------------------------------------------- kl_divergence


def _observe_kl(answer: Answer) -> dict[str, Any]:
    # Spreads on both sides of one, N ≠ d, and no row or column like another: no two mistakes look the same here.
    mean = torch.tensor([[0.5, -1.0, 2.0], [0.0, 0.3, -0.7], [1.5, 0.2, 0.1], [0.0, 0.0, 0.4]], requires_grad=True)
    log_variance = torch.tensor(
        [[-1.0, 0.4, 0.9], [0.7, -2.0, -0.3], [0.2, 1.1, -1.4], [-0.6, 0.8, 0.5]], requires_grad=True
    )
    value = answer(mean, log_variance)
    return {"divergence of each sample": value, "gradient": _gradients(value, (mean, log_variance))}


def _kl_printed(mean: Tensor, log_variance: Tensor) -> Tensor:
    sigma = (0.5 * log_variance).exp()
    return 0.5 * (mean.square().sum(1) + mean.shape[1] + (sigma - sigma.log()).sum(1))


def _kl_without_half(mean: Tensor, log_variance: Tensor) -> Tensor:
    return 2 * losses.kl_divergence(mean, log_variance)


kl_divergence = Exercise(
    name="kl_divergence",
    task=(
        "Write kl_divergence(mean, log_variance), both (N, d): the divergence of N(mean, exp(log_variance)) from "
        "N(0, I) in nats, one number a sample, (N,)."
    ),
    observe=_observe_kl,
    solution=losses.kl_divergence,
    wrong={
        "sign": WrongAnswer(
            lambda mean, log_variance: -losses.kl_divergence(mean, log_variance),
            "the sign is flipped: a divergence is never negative, and training minimizes it. "
            "The −½ that other texts write stands before (1 + log σ² − μ² − σ²)",
        ),
        "mean_over_dimensions": WrongAnswer(
            lambda mean, log_variance: losses.kl_divergence(mean, log_variance) / mean.shape[1],
            "this is the average over the dimensions. Independent dimensions add their divergences: sum over them, "
            "or the weight of the term silently depends on d",
        ),
        "logarithm_of_deviation": WrongAnswer(
            lambda mean, log_variance: losses.kl_divergence(mean, 2 * log_variance),
            "the second input was read as log σ. It is the logarithm of the variance, log σ² = 2 log σ: "
            "its exponential already is σ²",
        ),
        "half": WrongAnswer(
            _kl_without_half,
            "twice the divergence: the factor ½ is missing. The thesis prints 2·L_KL on the left-hand side",
        ),
        "printed_formula": WrongAnswer(
            _kl_printed,
            "this is the formula as the thesis prints it after Eq. 3.9, which has slips: try it where posterior and "
            "prior agree (mean 0, log-variance 0), where a divergence is zero. Look at the sign of d, and at which "
            "letters want a square (see the errata page)",
        ),
        "sign_of_d": WrongAnswer(
            lambda mean, log_variance: losses.kl_divergence(mean, log_variance) + mean.shape[1],
            "too large by the number of dimensions: d has the wrong sign, as in the thesis's print after Eq. 3.9. "
            "Where posterior and prior agree a divergence is zero (see the errata page)",
        ),
        "batch_average": WrongAnswer(
            lambda mean, log_variance: losses.kl_divergence(mean, log_variance).mean(),
            "the batch was averaged away: one number a sample was asked for, shape (N,); sum over the dimensions only",
        ),
    },
)


# ------------------------------------------------------------------------------------------------------ rae_loss


def _observe_rae(answer: Answer) -> dict[str, Any]:
    # Three terms of like size, and N, pixels, d and the numbers of weights all different.
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(3, 1, 2, 2, generator=generator)
    reconstruction = torch.rand(3, 1, 2, 2, generator=generator).requires_grad_()
    z = torch.randn(3, 2, generator=generator).requires_grad_()
    weights = [torch.randn(shape, generator=generator).requires_grad_() for shape in ((2, 5), (7,))]
    value = answer(x, reconstruction, z, weights, 0.7, 0.2)
    return {"loss": value, "gradient": _gradients(value, (reconstruction, z, *weights))}


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

rae_loss = Exercise(
    name="rae_loss",
    task=(
        "Write rae_loss(x, reconstruction, z, decoder_weights, beta, lambda_), Eq. 3.11 with the L2 regularizer: the "
        "average over the batch of squared error and β·½‖z‖², plus λ times the sum of the decoder's squared weights."
    ),
    observe=_observe_rae,
    solution=_rae,
    wrong={
        "mean_over_pixels": WrongAnswer(
            _rae_with(error=torch.nn.functional.mse_loss),
            "the error is averaged over the pixels. ‖x − x̂‖² sums over them; averaged (as mse_loss does), β and λ "
            "weigh as many times more as there are pixels",
        ),
        "half": WrongAnswer(
            _rae_with(latents=lambda z: z.square().sum(1).mean()),
            "the ½ before ‖z‖² is missing: the latents' term is β·½‖z‖², what the KL term leaves of a posterior "
            "with constant variance",
        ),
        "norms_of_weights": WrongAnswer(
            _rae_with(decoder=lambda weights: torch.stack([weight.norm() for weight in weights]).sum()), _UNSQUARED
        ),
        "norm_of_weights": WrongAnswer(
            _rae_with(decoder=lambda weights: torch.cat([weight.flatten() for weight in weights]).norm()), _UNSQUARED
        ),
        "latents_summed_over_batch": WrongAnswer(
            _rae_with(latents=lambda z: 0.5 * z.square().sum()),
            "the latents' term is summed over the batch while the error is averaged: β's effect then grows with the "
            "batch size. Average both over the samples",
        ),
        "weights_averaged": WrongAnswer(
            _rae_with(decoder=lambda weights: torch.stack([weight.square().mean() for weight in weights]).sum()),
            "each decoder weight's square is averaged over its tensor. ‖θ‖² sums over all weights; averaged, a wide "
            "layer is hardly regularized",
        ),
        "swapped": WrongAnswer(
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
# number by two tolerances or more (ten standard errors), and is therefore never taken for right.
_TOLERANCE = {"share of each component": 0.025, "mean of each component": 0.14, "covariance of each component": 0.19}


def _observe_samples(answer: Answer) -> dict[str, Tensor]:
    samples = answer(_WEIGHTS, _MEANS, _COVARIANCES, _COUNT, torch.Generator().manual_seed(0))
    z = observed("samples", samples, (_COUNT, 2))
    nearest = torch.cdist(z, _MEANS.double()).argmin(1)
    groups = [z[nearest == component] for component in range(len(_WEIGHTS))]
    nothing = torch.zeros(2, 2, dtype=z.dtype)
    # A component without samples counts as one at the origin without spread.
    means = [group.mean(0) if len(group) else nothing[0] for group in groups]
    covariances = [torch.cov(group.T) if len(group) > 1 else nothing for group in groups]
    quantities = (torch.tensor([len(group) / _COUNT for group in groups]), torch.stack(means), torch.stack(covariances))
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


def _only(component: int) -> WrongAnswer:
    def answer(weights: Tensor, means: Tensor, covariances: Tensor, count: int, generator: torch.Generator) -> Tensor:
        one = slice(component, component + 1)
        return _sample(torch.ones(1), means[one], covariances[one], count, generator)

    return WrongAnswer(
        answer,
        "all samples come from one component: draw the component anew for each sample "
        "(torch.multinomial with as many draws as samples, and replacement=True)",
    )


sample_mixture = Exercise(
    name="sample_mixture",
    task=(
        "Write sample_mixture(weights, means, covariances, count, generator): independent draws, (count, d), from the "
        "mixture of K Gaussians with weights (K,), means (K, d) and covariances (K, d, d); all randomness comes from "
        "the generator."
    ),
    observe=_observe_samples,
    solution=_sample,
    wrong={
        "uniform": WrongAnswer(
            lambda weights, *rest: _sample(torch.full_like(weights, 1 / len(weights)), *rest),
            "every component is drawn equally often: the weights are ignored",
        ),
        "covariance_as_factor": WrongAnswer(
            _sample_with(lambda covariances: covariances),
            "the noise is multiplied by the covariance itself, which gives samples the covariance ΣΣᵀ. "
            "What is needed is a root of it: a matrix L with LLᵀ = Σ",
        ),
        "transposed_factor": WrongAnswer(
            _sample_with(lambda covariances: torch.linalg.cholesky(covariances).mT),
            "the Cholesky factor is transposed: samples then have the covariance LᵀL instead of LLᵀ. "
            "For rows of noise that is ε Lᵀ, for columns L ε",
        ),
        "diagonal": WrongAnswer(
            _sample_with(lambda covariances: torch.diag_embed(covariances.diagonal(dim1=-2, dim2=-1).sqrt())),
            "only the variances on the diagonal are used: the dimensions of a component are correlated, "
            "and its samples must be too",
        ),
        **{f"only_component_{component}": _only(component) for component in range(len(_WEIGHTS))},
        "averaged": WrongAnswer(
            _sample_averaged,
            "the components are averaged: a weighted sum of draws is a single Gaussian between them. "
            "A mixture picks one component for each sample",
        ),
    },
    tolerance=_TOLERANCE,
)

# ------------------------------------------------------------------------------------------------ k_sample_error


def _decoder(z: Tensor) -> Tensor:
    """(…, 2) → (…, 1, 2, 2): bent enough that a mean of images is no image of a mean."""
    weight = torch.tensor([[0.9, -0.4, 0.3, 0.7], [0.2, 0.8, -0.6, 0.5]])
    return torch.sigmoid(2 * z @ weight).unflatten(-1, (1, 2, 2))


def _observe_k(answer: Answer) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(3, 1, 2, 2, generator=generator)
    mean = torch.randn(3, 2, generator=generator).requires_grad_()
    log_variance = (torch.randn(3, 2, generator=generator) - 0.5).requires_grad_()
    value = answer(x, _decoder, mean, log_variance, torch.randn(5, 3, 2, generator=generator))
    return {"error": value, "gradient": _gradients(value, (mean, log_variance))}


def _errors(x: Tensor, decode: Callable[[Tensor], Tensor], mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """‖x − D(z)‖² of each draw and image, (k, N)."""
    return (x - decode(mean + (0.5 * log_variance).exp() * noise)).square().flatten(2).sum(2)


def _k_sample_error(*inputs: Any) -> Tensor:
    return _errors(*inputs).mean()


k_sample_error = Exercise(
    name="k_sample_error",
    task=(
        "Write k_sample_error(x, decode, mean, log_variance, noise) with noise of (k, N, d): the reconstruction term "
        "of Eq. 3.7 by k draws an image, averaged over draws and batch. decode takes (…, d)."
    ),
    observe=_observe_k,
    solution=_k_sample_error,
    wrong={
        "images_averaged": WrongAnswer(
            lambda x, decode, mean, log_variance, noise: (
                (x - decode(mean + (0.5 * log_variance).exp() * noise).mean(0)).square().flatten(1).sum(1).mean()
            ),
            "the k images are averaged before the error is taken: that is the error of a mean image, which is smaller. "
            "Take the error of each draw, then average",
        ),
        "codes_averaged": WrongAnswer(
            lambda x, decode, mean, log_variance, noise: (
                (x - decode(mean + (0.5 * log_variance).exp() * noise.mean(0))).square().flatten(1).sum(1).mean()
            ),
            "the k draws are averaged before decoding: that is one draw with √k times less noise, another model",
        ),
        "summed_over_draws": WrongAnswer(
            lambda *inputs: _errors(*inputs).sum(0).mean(),
            "the draws are summed: the error then grows with k, and the KL term weighs less and less. Average over k",
        ),
        "variance_for_deviation": WrongAnswer(
            lambda x, decode, mean, log_variance, noise: _k_sample_error(x, decode, mean, 2 * log_variance, noise),
            "the noise is scaled by the variance. A draw is μ + σ·ε with σ = exp(½ log σ²)",
        ),
        "one_draw": WrongAnswer(
            lambda x, decode, mean, log_variance, noise: _k_sample_error(x, decode, mean, log_variance, noise[:1]),
            "only the first of the k draws is used",
        ),
        "best_draw": WrongAnswer(
            lambda *inputs: _errors(*inputs).min(0).values.mean(),
            "the best of the k draws is taken: an optimist's error, not an estimate of the expectation in Eq. 3.7",
        ),
    },
)


# -------------------------------------------------------------------------------------------- aggregated_moments


def _observe_aggregated(answer: Answer) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(4, 3, generator=generator) * torch.tensor([1.5, 0.7, 1.0]) + 0.4
    log_variance = torch.randn(4, 3, generator=generator) - 1
    value = answer(mean, log_variance)
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise Unfit("expected two tensors, the mean (d,) and the covariance (d, d)")
    return {"mean": value[0], "covariance": value[1]}


def _aggregated(mean: Tensor, log_variance: Tensor) -> tuple[Tensor, Tensor]:
    centred = mean - mean.mean(0)
    return mean.mean(0), centred.T @ centred / len(mean) + log_variance.exp().mean(0).diag()


def _aggregated_with(spread: Callable[[Tensor], Tensor], *, lost: int = 0) -> Answer:
    def answer(mean: Tensor, log_variance: Tensor) -> tuple[Tensor, Tensor]:
        centred = mean - mean.mean(0)
        return mean.mean(0), centred.T @ centred / (len(mean) - lost) + spread(log_variance)

    return answer


aggregated_moments = Exercise(
    name="aggregated_moments",
    task=(
        "Write aggregated_moments(mean, log_variance), both (N, d): mean (d,) and covariance (d, d) of the aggregated "
        "posterior Q(Z), the mixture of the N Gaussians in equal parts."
    ),
    observe=_observe_aggregated,
    solution=_aggregated,
    wrong={
        "means_alone": WrongAnswer(
            _aggregated_with(lambda log_variance: torch.zeros(log_variance.shape[1], log_variance.shape[1])),
            "this is the covariance of the means alone. Each Gaussian's own spread adds to it (law of total variance)",
        ),
        "spread_alone": WrongAnswer(
            lambda mean, log_variance: (mean.mean(0), log_variance.exp().mean(0).diag()),
            "this is the mean of the Gaussians' variances alone; how far their means lie apart adds to it",
        ),
        "deviations": WrongAnswer(
            _aggregated_with(lambda log_variance: (0.5 * log_variance).exp().mean(0).diag()),
            "standard deviations were averaged; variances add, so average σ² = exp(log σ²)",
        ),
        "mean_of_logarithms": WrongAnswer(
            _aggregated_with(lambda log_variance: log_variance.mean(0).exp().diag()),
            "the logarithms were averaged and then exponentiated: a geometric mean, smaller than the mean of variances",
        ),
        "sample_covariance": WrongAnswer(
            _aggregated_with(lambda log_variance: log_variance.exp().mean(0).diag(), lost=1),
            "divided by N − 1. That corrects an estimate from a sample; Q(Z) is known, a mixture of N: divide by N",
        ),
    },
)


# ------------------------------------------------------------------------------------------------ kl_of_gaussian


def _observe_kl_of_gaussian(answer: Answer) -> dict[str, Any]:
    mean = torch.tensor([0.3, -0.8, 0.5])
    root = torch.tensor([[1.2, 0.0, 0.0], [0.5, 0.6, 0.0], [-0.4, 0.3, 1.5]])
    return {"divergence": answer(mean, root @ root.T), "at the prior": answer(torch.zeros(3), torch.eye(3))}


def _kl_of_gaussian(mean: Tensor, covariance: Tensor) -> Tensor:
    return 0.5 * (covariance.trace() + mean @ mean - len(mean) - torch.linalg.slogdet(covariance).logabsdet)


kl_of_gaussian = Exercise(
    name="kl_of_gaussian",
    task=(
        "Write kl_of_gaussian(mean, covariance), (d,) and (d, d): KL(N(mean, covariance) ‖ N(0, I)) in nats, a scalar."
    ),
    observe=_observe_kl_of_gaussian,
    solution=_kl_of_gaussian,
    wrong={
        "diagonal": WrongAnswer(
            lambda mean, covariance: _kl_of_gaussian(mean, covariance.diagonal().diag()),
            "only the variances were used: correlations make the determinant smaller and the divergence larger",
        ),
        "determinant": WrongAnswer(
            lambda mean, covariance: (
                0.5 * (covariance.trace() + mean @ mean - len(mean) - torch.linalg.det(covariance))
            ),
            "the determinant itself was subtracted; the divergence has its logarithm",
        ),
        "dimension": WrongAnswer(
            lambda mean, covariance: _kl_of_gaussian(mean, covariance) + 0.5 * len(mean),
            "d is missing: at the prior itself the trace is d, and the divergence must be zero",
        ),
        "reversed": WrongAnswer(
            lambda mean, covariance: (
                0.5
                * (
                    torch.linalg.inv(covariance).trace()
                    + mean @ torch.linalg.inv(covariance) @ mean
                    - len(mean)
                    + torch.linalg.slogdet(covariance).logabsdet
                )
            ),
            "this is KL(N(0, I) ‖ N(mean, covariance)), the other way round; the divergence is not symmetric",
        ),
        "half": WrongAnswer(
            lambda mean, covariance: 2 * _kl_of_gaussian(mean, covariance), "twice the divergence: the ½ is missing"
        ),
    },
)


# ----------------------------------------------------------------------------------------------- jacobian_penalty


def _latents() -> Tensor:
    return torch.tensor([[0.3, -0.8], [1.1, 0.4], [-0.5, 0.9]]).requires_grad_()


def _bent(weight: Tensor) -> Callable[[Tensor], Tensor]:
    """(N, 2) → (N, 1, 2, 2)."""
    return lambda z: torch.sigmoid(2 * z @ weight).unflatten(-1, (1, 2, 2))


def _observe_jacobian(answer: Answer) -> dict[str, Any]:
    weight = torch.tensor([[0.9, -0.4, 0.3, 0.7], [0.2, 0.8, -0.6, 0.5]], requires_grad=True)
    value = answer(_bent(weight), _latents())
    return {"penalty": value, "gradient to the decoder": _gradients(value, (weight,))}


def _penalty_with(reduce: Callable[[Tensor], Tensor]) -> Answer:
    """Of the batch's Jacobians, (N, D, d)."""

    def answer(decode: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
        def one(code: Tensor) -> Tensor:
            return decode(code[None]).flatten()

        return reduce(torch.stack([torch.autograd.functional.jacobian(one, code, create_graph=True) for code in z]))

    return answer


_jacobian_penalty = _penalty_with(lambda j: j.square().flatten(1).sum(1).mean())

jacobian_penalty = Exercise(
    name="jacobian_penalty",
    task=(
        "Write jacobian_penalty(decode, z), z of (N, d): the squared Frobenius norm of each sample's Jacobian of "
        "decode, averaged over the batch; gradients must reach the decoder."
    ),
    observe=_observe_jacobian,
    solution=_jacobian_penalty,
    wrong={
        "sum_of_outputs": WrongAnswer(
            _penalty_with(lambda j: j.sum(1).square().sum(1).mean()),
            "this is the gradient of the *sum* of all outputs: opposite slopes cancel. ‖J‖² squares each first",
        ),
        "energy": WrongAnswer(
            lambda decode, z: torch.autograd.grad(decode(z).square().sum(), z, create_graph=True)[0].square().mean(),
            "this is the released code's quantity, 4·‖JᵀD‖²/d: it sees how fast the image's energy changes, no more",
        ),
        "not_squared": WrongAnswer(
            _penalty_with(lambda j: j.flatten(1).norm(dim=1).mean()),
            "the norm is not squared: the sum of the squared entries was asked for",
        ),
        "mean_of_entries": WrongAnswer(
            _penalty_with(lambda j: j.square().mean()),
            "the squared entries are averaged; sum them for each sample, then average over the samples",
        ),
        "spectral": WrongAnswer(
            _penalty_with(lambda j: torch.linalg.matrix_norm(j, 2).square().mean()),
            "this is the largest singular value, squared: the steepest direction alone. ‖J‖_F² adds all directions",
        ),
        "summed_over_batch": WrongAnswer(
            _penalty_with(lambda j: j.square().sum()), "summed over the batch: average over its samples"
        ),
    },
)


# --------------------------------------------------------------------------------------------- hutchinson_penalty


def _observe_hutchinson(answer: Answer) -> dict[str, Any]:
    weight = torch.tensor([[0.9, -0.4, 0.3, 0.7], [0.2, 0.8, -0.6, 0.5]], requires_grad=True)
    signs = 2.0 * torch.randint(0, 2, (3, 1, 2, 2), generator=torch.Generator().manual_seed(4)) - 1
    value = answer(_bent(weight), _latents(), signs)
    return {"penalty": value, "gradient to the decoder": _gradients(value, (weight,))}


def _pulled_back(output: Tensor, z: Tensor, vector: Tensor) -> Tensor:
    return torch.autograd.grad(output, z, vector, create_graph=True)[0]


hutchinson_penalty = Exercise(
    name="hutchinson_penalty",
    task=(
        "Write hutchinson_penalty(decode, z, signs), signs of the output's shape: ‖Jᵀv‖² of each sample with its "
        "signs v, averaged over the batch; gradients must reach the decoder."
    ),
    observe=_observe_hutchinson,
    solution=lambda decode, z, signs: _pulled_back(decode(z), z, signs).square().sum(1).mean(),
    wrong={
        "without_signs": WrongAnswer(
            lambda decode, z, signs: _pulled_back(decode(z), z, torch.ones_like(signs)).square().sum(1).mean(),
            "the signs are all one: that is the gradient of the sum of all outputs, in which slopes cancel",
        ),
        "not_squared": WrongAnswer(
            lambda decode, z, signs: _pulled_back(decode(z), z, signs).norm(dim=1).mean(),
            "the norm of Jᵀv is not squared; unsquared it estimates nothing in particular",
        ),
        "squared_before": WrongAnswer(
            lambda decode, z, signs: _pulled_back(decode(z).square(), z, signs).square().sum(1).mean(),
            "the output is squared before it is differentiated: that is the slope of the energy, not of the image",
        ),
        "mean_over_dimensions": WrongAnswer(
            lambda decode, z, signs: _pulled_back(decode(z), z, signs).square().mean(),
            "averaged over the latent dimensions: sum over them, or the penalty shrinks as the code grows",
        ),
        "batch_averaged_first": WrongAnswer(
            lambda decode, z, signs: _pulled_back(decode(z), z, signs).mean(0).square().sum(),
            "the gradients are averaged over the batch before they are squared: slopes of different samples cancel",
        ),
    },
)


# -------------------------------------------------------------------------------------------------- spectral_norm


def _power(matrix: Tensor, start: Tensor, steps: int) -> Tensor:
    """The unit vector after so many steps."""
    v = start
    for _ in range(steps):
        v = matrix.T @ (matrix @ v)
        v = v / v.norm()
    return v


def _spectral_norm(matrix: Tensor, start: Tensor, steps: int) -> Tensor:
    return (matrix @ _power(matrix, start, steps)).norm()


def _observe_spectral(answer: Answer) -> dict[str, Any]:
    square = torch.tensor([[0.3, 2.0, 0.1], [-0.2, 0.4, 0.9], [1.5, 0.2, -0.7]])
    wide = torch.tensor([[300.0, -120.0, 40.0, 9.0], [80.0, 250.0, -30.0, 60.0]])
    start = torch.tensor([1.0, 0.5, -0.3])
    return {
        "of a square matrix": answer(square, start, 60),
        "after three steps": answer(square, start, 3),
        "of a wide matrix with large entries": answer(wide, torch.ones(4), 40),
    }


def _by_eigenvalues(matrix: Tensor, start: Tensor, steps: int) -> Tensor:
    v = start
    for _ in range(steps):
        v = (matrix @ v if matrix.shape[0] == matrix.shape[1] else matrix.T @ (matrix @ v)).clone()
        v = v / v.norm()
    return (matrix @ v).norm()


def _unnormalized(matrix: Tensor, start: Tensor, steps: int) -> Tensor:
    v = start
    for _ in range(steps):
        v = matrix.T @ (matrix @ v)
    return (matrix @ v).norm() / v.norm()


spectral_norm = Exercise(
    name="spectral_norm",
    task=(
        "Write spectral_norm(matrix, start, steps): the norm of matrix @ v, where v is start after so many steps of "
        "power iteration v ← MᵀMv / ‖MᵀMv‖; start is (columns,)."
    ),
    observe=_observe_spectral,
    solution=_spectral_norm,
    wrong={
        "squared": WrongAnswer(
            lambda matrix, start, steps: _spectral_norm(matrix, start, steps).square(),
            "the square of the singular value: MᵀM has the squares for eigenvalues; take the norm of Mv",
        ),
        "eigenvalue": WrongAnswer(
            _by_eigenvalues,
            "the vector is multiplied by M alone: that looks for an eigenvector. Singular vectors come from MᵀM",
        ),
        "unnormalized": WrongAnswer(
            _unnormalized,
            "the vector is never normalized: with large entries it overflows. Divide by its norm at each step",
        ),
        "frobenius": WrongAnswer(
            lambda matrix, start, steps: matrix.norm(),
            "this is the Frobenius norm, the root of the sum of all squared singular values",
        ),
        "one_step": WrongAnswer(
            lambda matrix, start, steps: _spectral_norm(matrix, start, 1),
            "one step was taken whatever steps says",
        ),
    },
    tolerance=1e-3,
)


# ----------------------------------------------------------------------------------------------- mixture_log_prob


def _observe_mixture_log_prob(answer: Answer) -> dict[str, Any]:
    z = torch.tensor([[0.0, 1.0], [-11.0, 0.4], [30.0, -40.0]])
    return {"log-density": answer(z, _WEIGHTS, _MEANS / 4, _COVARIANCES)}


def _log_normals(z: Tensor, means: Tensor, covariances: Tensor) -> Tensor:
    """log N(z; μₖ, Σₖ), (N, K)."""
    difference = (z[:, None] - means)[..., None]
    squared = (difference.mT @ torch.linalg.solve(covariances, difference))[..., 0, 0]
    return -0.5 * (squared + torch.linalg.slogdet(covariances).logabsdet + z.shape[1] * math.log(2 * math.pi))


def _mixture_log_prob(z: Tensor, weights: Tensor, means: Tensor, covariances: Tensor) -> Tensor:
    return torch.logsumexp(weights.log() + _log_normals(z, means, covariances), 1)


mixture_log_prob = Exercise(
    name="mixture_log_prob",
    task=(
        "Write mixture_log_prob(z, weights, means, covariances) with z (N, d), weights (K,), means (K, d), covariances "
        "(K, d, d): log q(z) of each code in nats, (N,), also far out."
    ),
    observe=_observe_mixture_log_prob,
    solution=_mixture_log_prob,
    wrong={
        "without_weights": WrongAnswer(
            lambda z, weights, means, covariances: torch.logsumexp(_log_normals(z, means, covariances), 1),
            "the components are added without their weights",
        ),
        "mean_of_logarithms": WrongAnswer(
            lambda z, weights, means, covariances: (weights * _log_normals(z, means, covariances)).sum(1),
            "the logarithms are averaged. A mixture adds densities: take the logarithm of the weighted sum",
        ),
        "underflow": WrongAnswer(
            lambda z, weights, means, covariances: (weights * _log_normals(z, means, covariances).exp()).sum(1).log(),
            "right near the components, −∞ far out, where the densities round to zero: use logsumexp",
        ),
        "determinant": WrongAnswer(
            lambda z, weights, means, covariances: torch.logsumexp(
                weights.log() + _log_normals(z, means, covariances) + 0.5 * torch.linalg.slogdet(covariances).logabsdet,
                1,
            ),
            "the determinants of the covariances are missing: wide components must be lower",
        ),
        "nearest_component": WrongAnswer(
            lambda z, weights, means, covariances: (weights.log() + _log_normals(z, means, covariances)).max(1).values,
            "only the largest component counts; where components overlap, all of them add",
        ),
    },
)


# ------------------------------------------------------------------------------------------------------- coverage


def _observe_coverage(answer: Answer) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    real, generated = torch.randn(12, 2, generator=generator), torch.randn(9, 2, generator=generator) * 0.7
    return {"with two neighbours": answer(real, generated, 2), "with four": answer(real, generated, 4)}


def _inside(real: Tensor, generated: Tensor, k: int) -> Tensor:
    """Whether each generated sample lies in the ball of each real one, (M, N)."""
    radius = torch.cdist(real, real).sort(1).values[:, k]
    return torch.cdist(generated, real) < radius


def _coverage(real: Tensor, generated: Tensor, k: int) -> Tensor:
    return _inside(real, generated, k).any(0).float().mean()


coverage = Exercise(
    name="coverage",
    task=(
        "Write coverage(real, generated, k) of features (N, D) and (M, D): the share of real samples with a generated "
        "one nearer than their k-th nearest other real sample."
    ),
    observe=_observe_coverage,
    solution=_coverage,
    wrong={
        "itself_counted": WrongAnswer(
            lambda real, generated, k: _coverage(real, generated, k - 1),
            "a sample was counted among its own neighbours, so that the balls are one neighbour too small",
        ),
        "precision": WrongAnswer(
            lambda real, generated, k: _inside(real, generated, k).any(1).float().mean(),
            "this is the share of *generated* samples that lie in some ball: precision, which one sample can satisfy",
        ),
        "density": WrongAnswer(
            lambda real, generated, k: _inside(real, generated, k).float().sum(1).mean() / k,
            "this is density, the mean number of balls that a generated sample lies in, over k",
        ),
        "balls_around_generated": WrongAnswer(
            lambda real, generated, k: _inside(generated, real, k).any(1).float().mean(),
            "the balls are around the generated samples: one outlier among them would cover everything",
        ),
    },
)


# ------------------------------------------------------------------------------------------ standardized_log_prob


def _observe_standardized(answer: Answer) -> dict[str, Any]:
    z = torch.tensor([[0.4, 7.0, -1.0], [2.0, 3.0, 0.5]])
    mean, deviation = torch.tensor([0.5, 4.0, -0.2]), torch.tensor([0.3, 2.5, 1.4])
    return {"log-density": answer(z, mean, deviation, lambda u: -u.abs().sum(1) - u.square()[:, 0])}


def _standardized(sign: float) -> Answer:
    return lambda z, mean, deviation, log_prob: log_prob((z - mean) / deviation) + sign * deviation.log().sum()


standardized_log_prob = Exercise(
    name="standardized_log_prob",
    task=(
        "Write standardized_log_prob(z, mean, deviation, log_prob): log_prob gives the log-density of standardized "
        "codes u = (z − mean)/deviation; return that of the codes z themselves, (N,)."
    ),
    observe=_observe_standardized,
    solution=_standardized(-1),
    wrong={
        "no_slope": WrongAnswer(
            _standardized(0),
            "the change of variables is missing: a density is per volume, and standardizing changes volumes",
        ),
        "sign": WrongAnswer(
            _standardized(1), "the sign of the log-determinant is flipped: wide codes have a *lower* density"
        ),
        "mean_of_slopes": WrongAnswer(
            lambda z, mean, deviation, log_prob: log_prob((z - mean) / deviation) - deviation.log().mean(),
            "the logarithms of the deviations are averaged; the volume is their product, so sum the logarithms",
        ),
        "not_centred": WrongAnswer(
            lambda z, mean, deviation, log_prob: log_prob(z / deviation) - deviation.log().sum(),
            "the mean is not subtracted",
        ),
    },
)


# ----------------------------------------------------------------------------------------------- rank_correlation


def _observe_ranks(answer: Answer) -> dict[str, Any]:
    first = torch.tensor([10.0, 20.4, 9.4, 315.1, 14.3, 57.9])
    second = torch.tensor([0.021, 0.09, 0.019, 0.11, 0.034, 0.041])
    return {
        "correlation": answer(first, second),
        "with the order reversed": answer(first, -second),
        "of two": answer(torch.tensor([1.0, 5.0]), torch.tensor([2.0, 2.1])),
    }


def _ranks(x: Tensor) -> Tensor:
    return x.argsort().argsort().double()


def _correlation(x: Tensor, y: Tensor) -> Tensor:
    x, y = x.double() - x.double().mean(), y.double() - y.double().mean()
    return (x * y).sum() / (x.norm() * y.norm())


rank_correlation = Exercise(
    name="rank_correlation",
    task=(
        "Write rank_correlation(a, b) of two lists of numbers without ties, (N,) each: Spearman's, the correlation of "
        "their ranks, from −1 to 1."
    ),
    observe=_observe_ranks,
    solution=lambda a, b: _correlation(_ranks(a), _ranks(b)),
    wrong={
        "values": WrongAnswer(
            _correlation, "this is the correlation of the values: one huge distance decides it. Correlate the ranks"
        ),
        "order_for_rank": WrongAnswer(
            lambda a, b: _correlation(a.argsort(), b.argsort()),
            "argsort gives the order, not the ranks: which entry comes first, not which place an entry has. "
            "Sort the order once more",
        ),
        "absolute": WrongAnswer(
            lambda a, b: _correlation(_ranks(a), _ranks(b)).abs(),
            "the sign is lost: tables in reversed order have −1",
        ),
        "not_centred": WrongAnswer(
            lambda a, b: (_ranks(a) * _ranks(b)).sum() / (_ranks(a).norm() * _ranks(b).norm()),
            "the ranks are not centred: subtract their mean first",
        ),
    },
)


# --------------------------------------------------------------------------------------------------- best_f_score


def _observe_f(answer: Answer) -> dict[str, Any]:
    precision, recall = torch.tensor([0.0, 0.3, 0.6, 0.9, 1.0]), torch.tensor([0.95, 0.9, 0.7, 0.35, 0.0])
    return {"F_8": answer(precision, recall, 8.0), "F_1/8": answer(precision, recall, 0.125)}


def _f_scores(precision: Tensor, recall: Tensor, beta: float) -> Tensor:
    below = beta**2 * precision + recall
    return torch.where(below > 0, (1 + beta**2) * precision * recall / below, 0.0)


best_f_score = Exercise(
    name="best_f_score",
    task=(
        "Write best_f_score(precision, recall, beta) of a curve, (N,) each: the largest F_β = (1 + β²)·PR/(β²·P + R) "
        "along it, 0 where both are 0."
    ),
    observe=_observe_f,
    solution=lambda precision, recall, beta: _f_scores(precision, recall, beta).max(),
    wrong={
        "swapped": WrongAnswer(
            lambda precision, recall, beta: _f_scores(recall, precision, beta).max(),
            "precision and recall are swapped: β² stands at the precision, so that a large β counts recall",
        ),
        "beta_not_squared": WrongAnswer(
            lambda precision, recall, beta: _f_scores(precision, recall, beta**0.5).max(), "β is not squared"
        ),
        "mean": WrongAnswer(
            lambda precision, recall, beta: _f_scores(precision, recall, beta).mean(),
            "the curve is averaged; the largest value along it was asked for",
        ),
        "largest_of_each": WrongAnswer(
            lambda precision, recall, beta: _f_scores(precision.max(), recall.max(), beta),
            "the largest precision and the largest recall are not had at the same point of the curve",
        ),
    },
)


# ----------------------------------------------------------------------------------------------- standard_distance


def _observe_distance(answer: Answer) -> dict[str, Any]:
    first, second = torch.tensor([0.021, 0.025, 0.020]), torch.tensor([0.034, 0.031, 0.040, 0.033, 0.036])
    return {"distance": answer(first, second), "the other way round": answer(second, first)}


def _standard_distance(a: Tensor, b: Tensor, *, lost: int = 1, power: float = 1.0) -> Tensor:
    errors = a.var(correction=lost) / len(a) ** power + b.var(correction=lost) / len(b) ** power
    return (a.mean() - b.mean()) / errors.sqrt()


standard_distance = Exercise(
    name="standard_distance",
    task=(
        "Write standard_distance(a, b), the results of two models with several seeds each: the difference of the "
        "means, a minus b, in units of its own standard error (Welch)."
    ),
    observe=_observe_distance,
    solution=_standard_distance,
    wrong={
        "deviations": WrongAnswer(
            lambda a, b: _standard_distance(a, b, power=0.0),
            "divided by the seeds' own spread. A mean of n seeds is known √n times better: divide the variances by n",
        ),
        "population_variance": WrongAnswer(
            lambda a, b: _standard_distance(a, b, lost=0),
            "the variances divide by n; with so few seeds the sample variance, n − 1, matters",
        ),
        "absolute": WrongAnswer(
            lambda a, b: _standard_distance(a, b).abs(), "the sign says which model is better; keep it"
        ),
        "squared": WrongAnswer(
            lambda a, b: (a.mean() - b.mean()) / (a.var() / len(a) + b.var() / len(b)),
            "divided by the variance of the difference; its root is the standard error",
        ),
    },
)


EXERCISES = {
    exercise.name: exercise
    for exercise in (
        kl_divergence,
        rae_loss,
        sample_mixture,
        k_sample_error,
        aggregated_moments,
        kl_of_gaussian,
        jacobian_penalty,
        hutchinson_penalty,
        spectral_norm,
        mixture_log_prob,
        coverage,
        standardized_log_prob,
        rank_correlation,
        best_f_score,
        standard_distance,
    )
}
