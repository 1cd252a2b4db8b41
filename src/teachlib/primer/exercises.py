"""Exercises of the primer: three a notebook, each with its solution and the mistakes that its checker knows by name."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from teachlib.checks import Exercise, WrongAnswer
from teachlib.primer import energy, gan, pixels, vae

Answer = Callable[..., Any]


def _calls(**cases: tuple[Any, ...]) -> Callable[[Answer], Mapping[str, Any]]:
    """Look at what an answer returns for each of these inputs."""
    return lambda answer: {name.replace("_", " "): answer(*inputs) for name, inputs in cases.items()}


def _exercise(
    name: str, task: str, solution: Answer, cases: dict[str, Any], wrong: dict[str, tuple[Answer, str]]
) -> Exercise:
    mistakes = {key: WrongAnswer(answer, message) for key, (answer, message) in wrong.items()}
    return Exercise(name=name, task=task, observe=_calls(**cases), solution=solution, wrong=mistakes)


def _table(*rows: list[float]) -> Tensor:
    return torch.tensor(rows)


# ---------------------------------------------------------------------------------- 1 functions and relations

# Weights that add to one, unequal; N ≠ K.
_WEIGHTS = _table([0.5, 0.3, 0.2], [0.1, 0.6, 0.3])
_MEANS = _table([-1.0, 2.0, 0.5], [0.3, -0.4, 1.7])
_DEVIATIONS = _table([0.4, 0.7, 1.6], [0.9, 0.2, 1.3])
_Y = torch.tensor([0.6, -0.2])

least_squares_answer = _exercise(
    "least_squares_answer",
    "Return what least squares would predict, (N,), where the answers are mixtures with these weights and "
    "means, (N, K).",
    lambda weights, means: (weights * means).sum(1),
    {"prediction": (_WEIGHTS, _MEANS)},
    {
        "unweighted": (
            lambda weights, means: means.mean(1),
            "the weights are not used: an answer that is given more often pulls the mean harder",
        ),
        "most_likely": (
            lambda weights, means: means.gather(1, weights.argmax(1, keepdim=True))[:, 0],
            "this is the mean of the most likely component. Least squares compromises between all of them, "
            "which is just what is wrong with it here",
        ),
        "averaged_twice": (
            lambda weights, means: (weights * means).mean(1),
            "too small by the number of components: the weights already add to one, so sum, do not average",
        ),
        "over_the_batch": (
            lambda weights, means: (weights * means).sum(0),
            "summed over the inputs: each of the N inputs has its own answer; sum over the K components",
        ),
    },
)


def _mixture_log_prob(y: Tensor, weights: Tensor, means: Tensor, deviations: Tensor) -> Tensor:
    normal = torch.distributions.Normal(means, deviations).log_prob(y[:, None])
    return torch.logsumexp(weights.log() + normal, 1)


mixture_log_prob = _exercise(
    "mixture_log_prob",
    "Return log p(y | x), (N,), for answers y, (N,), and mixtures of Gaussians with weights, means and standard "
    "deviations, (N, K).",
    _mixture_log_prob,
    {"log density": (_Y, _WEIGHTS, _MEANS, _DEVIATIONS)},
    {
        "sum_of_logs": (
            lambda y, w, m, s: (w * torch.distributions.Normal(m, s).log_prob(y[:, None])).sum(1),
            "this averages the logarithms. A mixture adds densities: take the logarithm of the sum, by logsumexp",
        ),
        "without_weights": (
            lambda y, w, m, s: torch.logsumexp(torch.distributions.Normal(m, s).log_prob(y[:, None]), 1),
            "the weights are missing: this integrates to K, not to one",
        ),
        "deviation_for_variance": (
            lambda y, w, m, s: _mixture_log_prob(y, w, m, s.sqrt()),
            "the deviations were read as variances: they enter squared",
        ),
        "without_constant": (
            lambda y, w, m, s: torch.logsumexp(w.log() - 0.5 * ((y[:, None] - m) / s) ** 2, 1),
            "the Gaussians' constants 1/(σ√2π) are missing: a narrow component must be higher than a wide one",
        ),
    },
)

squared_error_of_a_guess = _exercise(
    "squared_error_of_a_guess",
    "Return E(y − c)², (N,), of a guess c, (N,), where y comes from mixtures with weights, means and "
    "deviations, (N, K).",
    lambda c, weights, means, deviations: (weights * (deviations**2 + (means - c[:, None]) ** 2)).sum(1),
    {"error": (_Y, _WEIGHTS, _MEANS, _DEVIATIONS)},
    {
        "no_noise": (
            lambda c, w, m, s: (w * (m - c[:, None]) ** 2).sum(1),
            "the spread within each component is missing: even the right component leaves its variance",
        ),
        "from_the_mean": (
            lambda c, w, m, s: ((w * m).sum(1) - c) ** 2 + (w * s**2).sum(1),
            "the components' distances from their common mean are missing: they are most of the error of a relation",
        ),
        "deviation_for_variance": (
            lambda c, w, m, s: (w * (s + (m - c[:, None]) ** 2)).sum(1),
            "a standard deviation was added to squares: square it",
        ),
    },
)

# -------------------------------------------------------------------------------------- 2 classical estimators

_COUNTS = torch.tensor([3.0, 5.0, 0.0, 2.0])
_CENTRES = torch.tensor([-1.0, 0.2, 0.9, 2.5])
_AT = torch.tensor([-0.5, 0.0, 1.1])


def _kernel_density(x: Tensor, centres: Tensor, bandwidth: float) -> Tensor:
    return torch.distributions.Normal(centres, bandwidth).log_prob(x[:, None]).exp().mean(1)


histogram_density = _exercise(
    "histogram_density",
    "Return the density in each cell, from counts and the cells' width.",
    lambda counts, width: counts / (counts.sum() * width),
    {"density": (_COUNTS, 0.25), "more_samples": (3 * _COUNTS, 0.5)},
    {
        "shares": (
            lambda counts, width: counts / counts.sum(),
            "these are probabilities of cells; a density is probability per unit of length: divide by the width",
        ),
        "not_normalized": (
            lambda counts, width: counts / width,
            "divide by the number of samples too: the whole must integrate to one",
        ),
        "times_width": (
            lambda counts, width: counts * width / counts.sum(),
            "multiplied by the width instead of divided: narrow cells with the same share are denser, not thinner",
        ),
    },
)

kernel_density = _exercise(
    "kernel_density",
    "Return the density at x, (M,), by Gaussian kernels of one bandwidth at the centres, (N,).",
    _kernel_density,
    {"density": (_AT, _CENTRES, 0.4)},
    {
        "sum": (
            lambda x, c, h: len(c) * _kernel_density(x, c, h),
            "this integrates to the number of centres: average the kernels, do not add them",
        ),
        "without_bandwidth": (
            lambda x, c, h: h * _kernel_density(x, c, h),
            "the factor 1/h is missing: a narrow kernel must be high, for its area is one",
        ),
        "bandwidth_as_variance": (
            lambda x, c, h: _kernel_density(x, c, h**0.5),
            "the bandwidth was taken for a variance: it is the kernel's standard deviation",
        ),
        "without_root": (
            lambda x, c, h: _kernel_density(x, c, h) * math.sqrt(2 * math.pi),
            "the factor 1/√(2π) is missing: each kernel must have area one",
        ),
    },
)

# The last two have other nearest codes by the sum, the largest or the first of the coordinates' distances.
_PLANE = _table([2.0, 0.5], [-1.0, -0.2], [0.3, 0.4], [-3.0, 1.0], [-3.0, 1.8])
_CODES = _table([1.5, 0.0], [-0.5, -0.5], [4.0, 3.0], [0.2, 1.0])

nearest_code = _exercise(
    "nearest_code",
    "Return the number of the nearest code, (N,), for points (N, d) and a codebook (K, d).",
    lambda x, codebook: torch.cdist(x, codebook).argmin(1),
    {"codes": (_PLANE, _CODES)},
    {
        "inner_product": (
            lambda x, codebook: (x @ codebook.T).argmax(1),
            "the largest inner product favours long codes; the nearest code has the smallest distance",
        ),
        "farthest": (lambda x, codebook: torch.cdist(x, codebook).argmax(1), "this is the farthest code"),
        "wrong_axis": (
            lambda x, codebook: torch.cdist(x, codebook).argmin(0),
            "this finds the nearest point of each code; find the nearest code of each point",
        ),
    },
)

# ------------------------------------------------------------------------------------------ 3 latent variables

_LOG_LIKELIHOOD = torch.tensor([-3.0, -1.5])
_MEAN, _LOG_DEVIATION = _table([0.5, -1.0, 0.2], [1.5, 0.3, -0.4]), _table([-0.7, 0.2, -1.1], [0.4, -0.5, 0.1])


def _kl(mean: Tensor, log_deviation: Tensor) -> Tensor:
    return vae.kl_to_standard_normal(torch.distributions.Normal(mean, log_deviation.exp()))


elbo = _exercise(
    "elbo",
    "Return the ELBO, (N,), from log P(x | z), (N,), and the posterior's mean and log σ, (N, d); the prior is N(0, I).",
    lambda log_likelihood, mean, log_deviation: log_likelihood - _kl(mean, log_deviation),
    {"bound": (_LOG_LIKELIHOOD, _MEAN, _LOG_DEVIATION)},
    {
        "sign": (
            lambda ll, m, s: ll + _kl(m, s),
            "the divergence was added: it is the price of a posterior unlike the prior, and lowers the bound",
        ),
        "log_variance": (
            lambda ll, m, s: ll - _kl(m, s / 2),
            "the third input was read as a log-variance: it is log σ, so σ² = exp(2 log σ)",
        ),
        "no_divergence": (lambda ll, m, s: ll, "the divergence is missing: this is only the reconstruction term"),
        "mean_over_dimensions": (
            lambda ll, m, s: ll - _kl(m, s) / m.shape[1],
            "the divergences of independent dimensions add up; this is their average",
        ),
    },
)

_LOG_WEIGHTS = _table([-2.0, -0.5], [-1.0, -3.0], [-4.0, -0.2])

importance_bound = _exercise(
    "importance_bound",
    "Return the importance-weighted bound, (N,), from the log-weights of K draws, (K, N).",
    lambda log_weights: torch.logsumexp(log_weights, 0) - math.log(len(log_weights)),
    {"bound": (_LOG_WEIGHTS,), "two_draws": (_LOG_WEIGHTS[:2],)},
    {
        "elbo": (
            lambda w: w.mean(0),
            "the mean of the logarithms is the ELBO again; take the logarithm of the mean weight",
        ),
        "sum": (
            lambda w: torch.logsumexp(w, 0),
            "this is the logarithm of the sum of the weights: it grows with K; subtract log K",
        ),
        "weights": (
            lambda w: w.exp().mean(0),
            "this is the mean weight itself, an estimate of p(x); its logarithm was asked for",
        ),
        "wrong_axis": (
            lambda w: torch.logsumexp(w, 1) - math.log(w.shape[1]),
            "averaged over the samples: average over the draws, the first axis",
        ),
    },
)


def _gap(mean: Tensor, deviation: Tensor, true_mean: Tensor, true_deviation: Tensor) -> Tensor:
    q, p = torch.distributions.Normal(mean, deviation), torch.distributions.Normal(true_mean, true_deviation)
    return torch.distributions.kl_divergence(q, p).sum(1)


_GAP = (
    _MEAN,
    _LOG_DEVIATION.exp(),
    _table([0.1, -0.4, 0.9], [1.0, 0.0, 0.3]),
    _table([0.6, 1.4, 0.5], [0.8, 1.1, 2.0]),
)

elbo_gap = _exercise(
    "elbo_gap",
    "Return log p(x) − ELBO, (N,), where Q and the true posterior are Gaussians with these means and "
    "deviations, (N, d).",
    _gap,
    {"gap": _GAP},
    {
        "reversed": (
            lambda m, s, tm, ts: _gap(tm, ts, m, s),
            "the divergence is the wrong way round: its expectation is under Q, from which z is drawn",
        ),
        "to_the_prior": (
            lambda m, s, tm, ts: _gap(m, s, torch.zeros_like(m), torch.ones_like(m)),
            "this is the divergence from the prior, a term of the ELBO; the gap is the one from the true posterior",
        ),
        "means_only": (
            lambda m, s, tm, ts: 0.5 * ((m - tm) / ts).square().sum(1),
            "the spreads are compared too: Q with the right mean and the wrong σ still leaves a gap",
        ),
    },
)

# ------------------------------------------------------------------------------------------------ 4 adversaries

_REAL, _GENERATED = torch.tensor([1.2, -0.4, 2.5]), torch.tensor([-1.5, 0.3])
_LOG_P, _LOG_Q = torch.tensor([-1.0, -2.5, -0.3]), torch.tensor([-1.7, -0.4, -3.0])

best_discriminator = _exercise(
    "best_discriminator",
    "Return the best discriminator's probability of 'real' where data have log-density log_p and samples log_q.",
    lambda log_p, log_q: torch.sigmoid(log_p - log_q),
    {"probability": (_LOG_P, _LOG_Q), "far_out": (torch.tensor([-2000.0]), torch.tensor([-2001.0]))},
    {
        "swapped": (
            lambda log_p, log_q: torch.sigmoid(log_q - log_p),
            "this is the probability of 'generated': q/(p + q)",
        ),
        "underflow": (
            lambda log_p, log_q: log_p.exp() / (log_p.exp() + log_q.exp()),
            "right where the densities are large, but far out both underflow: stay with logarithms, D = σ(log p "
            "− log q)",
        ),
        "ratio": (
            lambda log_p, log_q: (log_p - log_q).exp(),
            "this is the ratio p/q, which can exceed one; the probability is p/(p + q)",
        ),
    },
)

discriminator_loss = _exercise(
    "discriminator_loss",
    "Return the discriminator's loss from logits of real samples and of generated ones: −E log D(x) − E log(1 − "
    "D(G(z))).",
    gan.discriminator_loss,
    {"loss": (_REAL, _GENERATED), "sure": (torch.tensor([-200.0]), torch.tensor([200.0]))},
    {
        "labels_swapped": (
            lambda real, generated: gan.discriminator_loss(-real, -generated),
            "real and generated are swapped: this teaches the discriminator to call data fake",
        ),
        "sum": (
            lambda real, generated: F.softplus(-real).sum() + F.softplus(generated).sum(),
            "summed over the batch: an expectation is a mean, or the learning rate depends on the batch size",
        ),
        "game_value": (
            lambda real, generated: -gan.discriminator_loss(real, generated),
            "this is the game's value of Eq 2.3, which the discriminator maximizes; a loss is minimized: turn the sign",
        ),
        "one_mean": (
            lambda real, generated: torch.cat([F.softplus(-real), F.softplus(generated)]).mean(),
            "one mean over both sets: it is half of the loss, and weighs the sets by their sizes. Add two means",
        ),
        "underflow": (
            lambda real, generated: -real.sigmoid().log().mean() - (1 - generated.sigmoid()).log().mean(),
            "right for small logits, infinite for sure ones, whose sigmoid rounds to 0 or 1: use logsigmoid",
        ),
    },
)

generator_loss = _exercise(
    "generator_loss",
    "Return the generator's non-saturating loss, −E log D(G(z)), from logits of generated samples.",
    gan.generator_loss,
    {"loss": (_GENERATED,), "hopeless": (torch.tensor([-200.0]),)},
    {
        "saturating": (
            lambda generated: gan.generator_loss(generated, "saturating"),
            "this is the saturating loss E log(1 − D(G(z))): flat just where the generator has most to learn",
        ),
        "against_itself": (
            lambda generated: F.softplus(generated).mean(),
            "this makes the generator help the discriminator: it is rewarded for being found out",
        ),
        "logits_themselves": (
            lambda generated: -generated.mean(),
            "this maximizes the logits without bound, a Wasserstein critic's loss; apply −log σ to them",
        ),
        "underflow": (
            lambda generated: -generated.sigmoid().log().mean(),
            "right for small logits, infinite for hopeless ones, whose sigmoid rounds to 0: use logsigmoid or softplus",
        ),
    },
)

# -------------------------------------------------------------------------------------------------- 5 diffusion

_X0, _NOISE, _BAR = _table([0.5, -1.0], [2.0, 0.3]), _table([-0.7, 0.4], [1.1, -0.2]), torch.tensor([[0.8], [0.3]])

diffuse = _exercise(
    "diffuse",
    "Return x_t, as x0, from data, ᾱ, (N, 1), and standard normal noise.",
    lambda x0, alpha_bar, noise: alpha_bar.sqrt() * x0 + (1 - alpha_bar).sqrt() * noise,
    {"noisy": (_X0, _BAR, _NOISE)},
    {
        "no_roots": (
            lambda x0, a, n: a * x0 + (1 - a) * n,
            "ᾱ and 1 − ᾱ are variances: amplitudes are their square roots, and only then is the variance kept",
        ),
        "one_root": (
            lambda x0, a, n: a.sqrt() * x0 + (1 - a) * n,
            "the noise's amplitude is √(1 − ᾱ): its variance is 1 − ᾱ",
        ),
        "swapped": (
            lambda x0, a, n: (1 - a).sqrt() * x0 + a.sqrt() * n,
            "signal and noise are swapped: ᾱ = 1 is all signal",
        ),
        "fading_missing": (
            lambda x0, a, n: x0 + (1 - a).sqrt() * n,
            "the data must fade, or x_T never becomes pure noise: multiply x0 by √ᾱ",
        ),
    },
)

_POSTERIOR = (_X0, _NOISE, torch.tensor([0.2]), torch.tensor([0.4]), torch.tensor([0.5]))


def _posterior_mean(x0: Tensor, x_t: Tensor, beta: Tensor, alpha_bar: Tensor, before: Tensor) -> Tensor:
    from_noisy = (1 - beta).sqrt() * (1 - before) / (1 - alpha_bar)
    return before.sqrt() * beta / (1 - alpha_bar) * x0 + from_noisy * x_t


posterior_mean = _exercise(
    "posterior_mean",
    "Return the mean of q(x_{t−1} | x_t, x0) from x0, x_t, β_t, ᾱ_t and ᾱ_{t−1}.",
    _posterior_mean,
    {"mean": _POSTERIOR},
    {
        "swapped": (
            lambda x0, x_t, b, a, before: _posterior_mean(x_t, x0, b, a, before),
            "the weights of x0 and of x_t are swapped: with a small β the mean stays near x_t",
        ),
        "same_time": (
            lambda x0, x_t, b, a, before: _posterior_mean(x0, x_t, b, a, a),
            "ᾱ_t stands where ᾱ_{t−1} belongs: the mean is one of time t − 1",
        ),
        "straight": (
            lambda x0, x_t, b, a, before: before * b / (1 - a) * x0 + (1 - b) * (1 - before) / (1 - a) * x_t,
            "square roots are missing: √ᾱ_{t−1} with x0, √(1 − β_t) with x_t",
        ),
    },
)

guided = _exercise(
    "guided",
    "Return the guided prediction: without class at guidance 0, with class at 1, further along the same line beyond.",
    lambda with_class, without, guidance: without + guidance * (with_class - without),
    {"prediction": (_X0, _NOISE, 2.5), "weak": (_X0, _NOISE, 0.5)},
    {
        "shifted": (
            lambda w, n, g: n + (1 + g) * (w - n),
            "this is the convention in which 0 means 'as trained': here guidance 1 must give the prediction with class",
        ),
        "swapped": (
            lambda w, n, g: w + g * (n - w),
            "this moves away from the class: the line starts at 'without' and goes towards 'with'",
        ),
        "blend": (
            lambda w, n, g: g * w + n,
            "the weights must add to one, g and 1 − g, or the prediction grows with guidance",
        ),
    },
)

# ------------------------------------------------------------------------------------------- 6 exact likelihood

_LOG_SCALE, _SHIFT = _table([0.3, -0.5], [-0.2, 0.9]), _table([1.0, -0.4], [0.2, 0.6])


def _coupling(x: Tensor, log_scale: Tensor, shift: Tensor) -> Tensor:
    return torch.cat([x * log_scale.exp() + shift, log_scale.sum(1, keepdim=True)], 1)


affine_step = _exercise(
    "affine_step",
    "Return z = x·exp(s) + t with log|det ∂z/∂x| as a last column: (N, d + 1) from x, s and t, (N, d).",
    _coupling,
    {"z_and_log_determinant": (_X0, _LOG_SCALE, _SHIFT)},
    {
        "sign": (
            lambda x, s, t: torch.cat([x * s.exp() + t, -s.sum(1, keepdim=True)], 1),
            "the log-determinant has the sign of the inverse map: stretching by exp(s) has log-determinant +Σs",
        ),
        "determinant": (
            lambda x, s, t: torch.cat([x * s.exp() + t, s.exp().prod(1, keepdim=True)], 1),
            "this is the determinant; its logarithm was asked for",
        ),
        "mean": (
            lambda x, s, t: torch.cat([x * s.exp() + t, s.mean(1, keepdim=True)], 1),
            "the logarithm of a product is a sum: add the log-scales of the d coordinates",
        ),
        "shift_first": (
            lambda x, s, t: torch.cat([(x + t) * s.exp(), s.sum(1, keepdim=True)], 1),
            "first scale, then shift, as the formula says",
        ),
    },
)

bits_per_dimension = _exercise(
    "bits_per_dimension",
    "Return bits per dimension, (N,), from log-densities in nats of images dequantized to [0, 1), (N,), D and "
    "the levels.",
    lambda log_density, dimensions, levels: pixels.bits_per_dimension(log_density, dimensions, levels=levels),
    {"bits": (torch.tensor([30.0, 55.0]), 64, 17)},
    {
        "nats": (
            lambda d, n, levels: (n * math.log(levels) - d) / n,
            "these are nats: divide by log 2",
        ),
        "no_levels": (
            lambda d, n, levels: -d / (n * math.log(2)),
            "bits of a density over [0, 1) are negative here: a level is a cell of side 1/levels; add log₂(levels)",
        ),
        "per_image": (
            lambda d, n, levels: (n * math.log(levels) - d) / math.log(2),
            "bits of a whole image: divide by the number of dimensions",
        ),
        "sign": (
            lambda d, n, levels: (d - n * math.log(levels)) / (n * math.log(2)),
            "the sign is turned: the likelier the image, the fewer bits",
        ),
    },
)

_DEGREES = torch.tensor([0, 1, 2, 0, 1])

output_mask = _exercise(
    "output_mask",
    "Return the mask of the last layer, (dim, hidden), true where output i may see a hidden unit: one that has seen "
    "variables up to its degree (counted from 0).",
    lambda dim, degrees: (torch.arange(dim)[:, None] > degrees).float(),
    {"mask": (4, _DEGREES)},
    {
        "sees_itself": (
            lambda dim, degrees: (torch.arange(dim)[:, None] >= degrees).float(),
            "output i sees variable i itself: it would learn to copy it. A degree must be smaller than i",
        ),
        "transposed": (
            lambda dim, degrees: (torch.arange(dim)[:, None] > degrees).float().T,
            "transposed: a linear layer's weight is (outputs, inputs)",
        ),
        "reversed": (
            lambda dim, degrees: (torch.arange(dim)[:, None] < degrees).float(),
            "this is the reverse order: output i sees what comes after it",
        ),
    },
)

# ----------------------------------------------------------------------------------------------------- 7 energy


def _quartic(x: Tensor) -> Tensor:
    return (0.3 * x**4 - x**2 + 0.5 * x).sum(1)


def _gradient(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    return torch.autograd.grad(function(x).sum(), x)[0]


score = _exercise(
    "score",
    "Return ∇ log p(x), (N, d), of p ∝ exp(−f), from the function f: (N, d) → (N,) and x.",
    lambda f, x: energy.score(f, x),
    {"score": (_quartic, _PLANE)},
    {
        "sign": (
            lambda f, x: _gradient(f, x),
            "the sign is turned: log p = −f − log z, so probability rises where the energy falls",
        ),
        "of_the_density": (
            lambda f, x: _gradient(lambda at: (-f(at)).exp(), x),
            "this is the gradient of exp(−f), not of its logarithm",
        ),
        "batch_mean": (
            lambda f, x: -_gradient(f, x) / len(x),
            "divided by the batch size: differentiate the sum over samples, each has its own score",
        ),
    },
)

langevin_step = _exercise(
    "langevin_step",
    "Return x after one step of Langevin dynamics, from x, the score there, the step size η and standard normal noise.",
    lambda x, at, step_size, noise: x + step_size * at + math.sqrt(2 * step_size) * noise,
    {"step": (_X0, _LOG_SCALE, 0.1, _NOISE)},
    {
        "too_cold": (
            lambda x, s, eta, n: x + eta * s + math.sqrt(eta) * n,
            "the noise is too weak: with drift η·∇ log p it has variance 2η, or the chain samples p², too narrow",
        ),
        "no_noise": (
            lambda x, s, eta, n: x + eta * s,
            "without noise this climbs to the nearest mode and stays: optimization, not sampling",
        ),
        "downhill": (
            lambda x, s, eta, n: x - eta * s + math.sqrt(2 * eta) * n,
            "the drift goes against the score, away from probability",
        ),
        "noise_times_step": (
            lambda x, s, eta, n: x + eta * s + 2 * eta * n,
            "2η is the noise's variance: its amplitude is √(2η)",
        ),
    },
)


def _nce(model_real: Tensor, noise_real: Tensor, model_noise: Tensor, noise_noise: Tensor) -> Tensor:
    return F.softplus(noise_real - model_real).mean() + F.softplus(model_noise - noise_noise).mean()


noise_contrastive = _exercise(
    "noise_contrastive",
    "Return the loss of noise-contrastive estimation from log p and log pₙ at real points, then both at noise points.",
    _nce,
    {"loss": (_LOG_P, _LOG_Q, _table([-2.0, -0.1]).flatten(), _table([-0.5, -1.4]).flatten())},
    {
        "noise_density_ignored": (
            lambda mr, nr, mn, nn: F.softplus(-mr).mean() + F.softplus(mn).mean(),
            "the noise's density is ignored: Bayes' rule compares log p with log pₙ, and that is what fixes the "
            "constant",
        ),
        "labels_swapped": (
            lambda mr, nr, mn, nn: F.softplus(mr - nr).mean() + F.softplus(nn - mn).mean(),
            "data and noise are swapped: this lowers p where the data are",
        ),
        "data_only": (
            lambda mr, nr, mn, nn: F.softplus(nr - mr).mean(),
            "only the data are judged: p could grow everywhere at once; the noise's term forbids it",
        ),
        "sum": (
            lambda mr, nr, mn, nn: F.softplus(nr - mr).sum() + F.softplus(mn - nn).sum(),
            "summed: both expectations are means",
        ),
    },
)

# ----------------------------------------------------------------------------------------------- 8 side by side

_LEVEL, _UNIFORM = torch.tensor([[0, 5, 16], [3, 16, 1]]), _table([0.1, 0.9, 0.5], [0.4, 0.2, 0.7])

dequantized = _exercise(
    "dequantized",
    "Return real numbers in [0, 1) from whole numbers 0 … levels − 1 and uniform noise of the same shape.",
    lambda level, levels, noise: (level + noise) / levels,
    {"values": (_LEVEL, 17, _UNIFORM)},
    {
        "no_noise": (
            lambda level, levels, noise: level / levels,
            "without noise all values lie on a few points, where a density can grow without bound",
        ),
        "last_level": (
            lambda level, levels, noise: (level + noise) / (levels - 1),
            "the last level leaves the interval: levels of width one fill [0, levels), so divide by levels",
        ),
        "centred": (
            lambda level, levels, noise: (level + noise - 0.5) / levels,
            "the noise is centred: level 0 would reach below zero; its cell is [0, 1)",
        ),
    },
)

levels_from_density = _exercise(
    "levels_from_density",
    "Return log P of the levels, (N,), from the log-density of images dequantized to [0, 1), D and the levels.",
    lambda log_density, dimensions, levels: log_density - dimensions * math.log(levels),
    {"log_probability": (torch.tensor([30.0, 55.0]), 64, 17)},
    {
        "sign": (
            lambda d, n, levels: d + n * math.log(levels),
            "the cell's volume is levels⁻ᴰ, less than one: its logarithm is negative",
        ),
        "one_pixel": (
            lambda d, n, levels: d - math.log(levels),
            "that is the side of a cell; its volume has one factor a pixel",
        ),
        "bits": (
            lambda d, n, levels: d - n * math.log2(levels),
            "nats and bits are mixed: take the natural logarithm",
        ),
    },
)


def _paired(a: Tensor, b: Tensor) -> Tensor:
    difference = a - b
    return torch.stack([difference.mean(), difference.std() / math.sqrt(len(a))])


paired_difference = _exercise(
    "paired_difference",
    "Return the mean difference a − b of two models' bits on the same images, (N,) each, and its standard error: (2,).",
    _paired,
    {"mean_and_error": (torch.tensor([2.0, 3.1, 1.2, 2.6, 4.0]), torch.tensor([1.8, 3.0, 1.3, 2.1, 3.9]))},
    {
        "unpaired": (
            lambda a, b: torch.stack([(a - b).mean(), ((a.var() + b.var()) / len(a)).sqrt()]),
            "the images are the same for both models, and hard ones are hard for both: take the spread of the "
            "differences",
        ),
        "spread_of_one": (
            lambda a, b: torch.stack([(a - b).mean(), (a - b).std()]),
            "this is the spread of one image; the mean of N is steadier by √N",
        ),
        "variance": (
            lambda a, b: torch.stack([(a - b).mean(), (a - b).var() / len(a)]),
            "this is the squared error of the mean: take the root",
        ),
        "population": (
            lambda a, b: torch.stack([(a - b).mean(), (a - b).std(unbiased=False) / len(a) ** 0.5]),
            "the standard deviation divides by N here: the mean was taken from the same N images, so divide by N − 1",
        ),
    },
)

EXERCISES = {
    exercise.name: exercise
    for exercise in (
        least_squares_answer,
        mixture_log_prob,
        squared_error_of_a_guess,
        histogram_density,
        kernel_density,
        nearest_code,
        elbo,
        importance_bound,
        elbo_gap,
        best_discriminator,
        discriminator_loss,
        generator_loss,
        diffuse,
        posterior_mean,
        guided,
        affine_step,
        bits_per_dimension,
        output_mask,
        score,
        langevin_step,
        noise_contrastive,
        dequantized,
        levels_from_density,
        paired_difference,
    )
}
