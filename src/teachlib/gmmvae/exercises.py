"""Exercises of the chapter: each with its solution and the mistakes that its checker knows by name."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from teachlib.checks import Exercise, Unfit, WrongAnswer
from teachlib.gmmvae.attacks.ball import Ball
from teachlib.gmmvae.losses import supervised_loss
from teachlib.gmmvae.selective import Decision, outcome, risk_coverage

Answer = Callable[..., Any]


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ---------------------------------------------------------------------------------------------------- log_odds


def _observe_log_odds(answer: Answer) -> dict[str, Any]:
    z, mean_a, mean_b = torch.randn(4, 3, generator=_generator()), torch.tensor([1.0, 0, 0]), torch.tensor([0, 2.0, 0])
    return {
        "log-odds": answer(z, mean_a, mean_b, 0.25),
        "log-odds at a mean, with a small variance": answer(mean_a[None], mean_a, mean_b, 1 / 3000),
    }


def _log_odds(z: Tensor, a: Tensor, b: Tensor, variance: float) -> Tensor:
    return ((z - b).square().sum(1) - (z - a).square().sum(1)) / (2 * variance)


def _log_odds_by_densities(z: Tensor, a: Tensor, b: Tensor, variance: float) -> Tensor:
    first, second = ((-(z - mean).square().sum(1) / (2 * variance)).exp() for mean in (a, b))
    return (first / second).log()


log_odds = Exercise(
    name="log_odds",
    task=(
        "Write log_odds(z, mean_a, mean_b, variance): log P(a | z) − log P(b | z) for two equally likely classes "
        "N(mean, variance·I), z of (N, d), one number a sample, (N,)."
    ),
    observe=_observe_log_odds,
    solution=_log_odds,
    wrong={
        "densities": WrongAnswer(
            _log_odds_by_densities,
            "right on paper, infinite in the machine: the second density underflows to zero. Take the difference of "
            "the exponents, and no exponential at all",
        ),
        "deviation": WrongAnswer(
            lambda z, a, b, variance: _log_odds(z, a, b, variance**0.5),
            "divided by the standard deviation; the exponent of a Gaussian has the variance",
        ),
        "half": WrongAnswer(
            lambda z, a, b, variance: 2 * _log_odds(z, a, b, variance),
            "twice too large: a Gaussian's exponent is −‖z − μ‖²/(2σ²)",
        ),
        "sign": WrongAnswer(
            lambda z, a, b, variance: -_log_odds(z, a, b, variance),
            "the sign is flipped: near mean_a the odds of a must be positive",
        ),
        "unsquared": WrongAnswer(
            lambda z, a, b, variance: ((z - b).norm(dim=1) - (z - a).norm(dim=1)) / (2 * variance),
            "distances without their square: a Gaussian's exponent has the squared distance",
        ),
    },
)


# -------------------------------------------------------------------------------------------------- gmm_loss


def _observe_gmm_loss(answer: Answer) -> dict[str, Any]:
    x, rebuilt = (torch.rand(3, 1, 4, 4, generator=_generator(seed)) for seed in (0, 1))
    code, means = torch.randn(3, 5, generator=_generator(2)), torch.randn(4, 5, generator=_generator(3))
    return {"loss": answer(x, rebuilt, code, torch.tensor([2, 0, 2]), means, 0.7)}


def _gmm_loss(x: Tensor, rebuilt: Tensor, code: Tensor, labels: Tensor, means: Tensor, alpha: float) -> Tensor:
    return supervised_loss(x, rebuilt, code, means[labels], alpha)


gmm_loss = Exercise(
    name="gmm_loss",
    task=(
        "Write gmm_loss(x, rebuilt, code, labels, means, alpha), Eq. 4.6 averaged over the batch: x and rebuilt are "
        "(N, C, H, W), code is (N, d), means (k, d); a scalar."
    ),
    observe=_observe_gmm_loss,
    solution=_gmm_loss,
    wrong={
        "mean_over_pixels": WrongAnswer(
            lambda x, r, c, y, m, a: (x - r).square().mean() + a * (c - m[y]).square().sum(1).mean(),
            "the mean over pixels: ‖x − x̂‖² of Eq. 4.6 is a sum over them, and only the batch is averaged",
        ),
        "nearest_mean": WrongAnswer(
            lambda x, r, c, y, m, a: _gmm_loss(x, r, c, torch.cdist(c, m).argmin(1), m, a),
            "the code is pulled to the nearest mean. With labels it is pulled to the label's, near or not: else a "
            "wrong class would be learned for good",
        ),
        "all_means": WrongAnswer(
            lambda x, r, c, y, m, a: _gmm_loss(x, r, c, y, m.mean(0).expand_as(m), a),
            "the code is pulled to the middle of all means; take the row of means that belongs to each label",
        ),
        "unsquared": WrongAnswer(
            lambda x, r, c, y, m, a: ((x - r).square().flatten(1).sum(1) + a * (c - m[y]).norm(dim=1)).mean(),
            "the distance to the mean without its square: Eq. 4.6 has ‖f(x) − μ‖²",
        ),
        "summed": WrongAnswer(
            lambda x, r, c, y, m, a: len(x) * _gmm_loss(x, r, c, y, m, a),
            "the sum over the batch; average over it, or the learning rate depends on the batch size",
        ),
    },
)


# ------------------------------------------------------------------------------------------------ place_means


def _observe_means(answer: Answer) -> dict[str, Any]:
    return {"three means in five dimensions": answer(3, 5), "two in two": answer(2, 2)}


place_means = Exercise(
    name="place_means",
    task=(
        "Write place_means(classes, latent): one-hot means of the components, filled up with zeros where there are "
        "more dimensions than classes; (classes, latent)."
    ),
    observe=_observe_means,
    solution=lambda classes, latent: torch.eye(classes, latent),
    wrong={
        "zeros_first": WrongAnswer(
            lambda classes, latent: torch.cat([torch.zeros(classes, latent - classes), torch.eye(classes)], 1),
            "the zeros stand before the one-hot vectors; nothing but convention is wrong with that, and conventions "
            "matter between two programs: fill up behind",
        ),
        "unit_distance": WrongAnswer(
            lambda classes, latent: torch.eye(classes, latent) / 2**0.5,
            "scaled so that neighbours are 1 apart; one-hot vectors have length 1, and are √2 apart",
        ),
        "centred": WrongAnswer(
            lambda classes, latent: torch.eye(classes, latent) - torch.eye(classes, latent).mean(0),
            "moved so that their middle is the origin: a simplex, which needs one dimension less. One-hot was asked",
        ),
    },
)


# ------------------------------------------------------------------------------------------------ latent_ratio


def _observe_ratio(answer: Answer) -> dict[str, Any]:
    spread = torch.tensor([[0.04, 0.01, 0.0], [0.01, 0.09, 0.02], [0.0, 0.02, 0.16]])
    z, mean = 0.5 * torch.randn(4, 3, generator=_generator()), torch.tensor([0.1, -0.2, 0.0])
    return {"ratio": answer(z, mean, spread, 14.0)}


def _ratio(z: Tensor, mean: Tensor, covariance: Tensor, threshold: float) -> Tensor:
    offset = z - mean
    return (offset @ torch.linalg.inv(covariance) * offset).sum(1) / threshold


latent_ratio = Exercise(
    name="latent_ratio",
    task=(
        "Write latent_ratio(z, mean, covariance, threshold): the squared Mahalanobis distance of each code from the "
        "mean over the threshold, one on the border; z is (N, d), the result (N,)."
    ),
    observe=_observe_ratio,
    solution=_ratio,
    wrong={
        "covariance": WrongAnswer(
            lambda z, m, c, t: ((z - m) @ c * (z - m)).sum(1) / t,
            "this has Σ where Σ⁻¹ belongs, as Eqs. 4.9 and 4.10 are printed: a code far out in a narrow direction "
            "would look near (see the errata page)",
        ),
        "unsquared": WrongAnswer(
            lambda z, m, c, t: _ratio(z, m, c, t).sqrt(),
            "the root of the ratio; the threshold, a quantile of chi-square, is on the squared distance",
        ),
        "root_over_threshold": WrongAnswer(
            lambda z, m, c, t: (_ratio(z, m, c, t) * t).sqrt() / t,
            "a distance over a squared threshold: the quantile of chi-square belongs to the squared distance",
        ),
        "variances_only": WrongAnswer(
            lambda z, m, c, t: ((z - m).square() / c.diagonal()).sum(1) / t,
            "this takes the variances and leaves the correlations out: invert the whole matrix",
        ),
        "not_centred": WrongAnswer(
            lambda z, m, c, t: _ratio(z, torch.zeros_like(m), c, t),
            "measured from the origin; subtract the mean first",
        ),
    },
)


# ------------------------------------------------------------------------------------------------------ shares


def _observe_shares(answer: Answer) -> dict[str, Any]:
    predicted, labels = torch.tensor([0, 1, 2, 2, 1, 0, 1, 2, 0, 0]), torch.tensor([0, 1, 2, 1, 1, 1, 0, 2, 0, 2])
    accepted = torch.tensor([1, 1, 0, 1, 0, 1, 0, 1, 1, 0], dtype=torch.bool)
    found = answer(predicted, accepted, labels)
    try:
        accuracy, error, rejection = found
    except (TypeError, ValueError):
        raise Unfit("expected three numbers: accuracy, error, rejection") from None
    return {"accuracy": accuracy, "error": error, "rejection": rejection}


def _shares(predicted: Tensor, accepted: Tensor, labels: Tensor) -> tuple[float, float, float]:
    ratio = torch.where(accepted, 0.0, 2.0)
    found = outcome(Decision(predicted, ratio, ratio), labels)
    return found.accuracy, found.error, found.rejection


shares = Exercise(
    name="shares",
    task=(
        "Write shares(predicted, accepted, labels): accuracy, error and rejection of a classifier that may refuse, as "
        "shares of all images; each input is (N,)."
    ),
    observe=_observe_shares,
    solution=_shares,
    wrong={
        "of_accepted": WrongAnswer(
            lambda p, a, y: (
                (p == y)[a].double().mean().item(),
                (p != y)[a].double().mean().item(),
                (~a).double().mean().item(),
            ),
            "accuracy and error are shares of the accepted images here, so that the three do not add to one. A model "
            "that accepts one image and gets it right would have an accuracy of 100 %",
        ),
        "refusal_is_error": WrongAnswer(
            lambda p, a, y: (
                ((p == y) & a).double().mean().item(),
                1 - ((p == y) & a).double().mean().item(),
                (~a).double().mean().item(),
            ),
            "refused images are counted as errors too; an error is accepted *and* wrong",
        ),
        "ignores_refusal": WrongAnswer(
            lambda p, a, y: (
                (p == y).double().mean().item(),
                (p != y).double().mean().item(),
                (~a).double().mean().item(),
            ),
            "accuracy and error count refused images as if they had been answered",
        ),
    },
)


# --------------------------------------------------------------------------------------------------- risk_area


def _observe_area(answer: Answer) -> dict[str, Any]:
    confidence = torch.tensor([0.9, -0.4, 0.3, 0.8, -1.0, 0.1, 0.5, -0.2])
    correct = torch.tensor([1, 0, 0, 1, 0, 1, 1, 1], dtype=torch.bool)
    return {"area": answer(confidence, correct)}


def _area(confidence: Tensor, correct: Tensor) -> float:
    return risk_coverage(confidence, correct).area


risk_area = Exercise(
    name="risk_area",
    task=(
        "Write risk_area(confidence, correct): the mean, over all coverages 1/N … 1, of the share of errors among the "
        "surest images; both inputs are (N,)."
    ),
    observe=_observe_area,
    solution=_area,
    wrong={
        "ascending": WrongAnswer(
            lambda confidence, correct: _area(-confidence, correct),
            "this answers the least sure images first: sort by falling confidence",
        ),
        "of_all": WrongAnswer(
            lambda confidence, correct: (
                (~correct[confidence.argsort(descending=True)]).cumsum(0).double().mean().item() / len(correct)
            ),
            "errors are divided by the number of all images; the risk is their share among the images answered so far",
        ),
        "coverage_one": WrongAnswer(
            lambda confidence, correct: (~correct).double().mean().item(),
            "this is the risk when everything is answered, the last point of the curve; average over all points",
        ),
        "unsorted": WrongAnswer(
            lambda confidence, correct: ((~correct).cumsum(0) / torch.arange(1, len(correct) + 1)).mean().item(),
            "the images are taken in the order in which they came; sort by confidence first",
        ),
    },
)


# --------------------------------------------------------------------------------------------------- fgsm_step


def _observe_fgsm(answer: Answer) -> dict[str, Any]:
    x = torch.rand(3, 1, 3, 3, generator=_generator())
    return {"attacked images": answer(x, torch.randn(x.shape, generator=_generator(1)), 0.3)}


def _fgsm(x: Tensor, gradient: Tensor, epsilon: float) -> Tensor:
    return (x + epsilon * gradient.sign()).clamp(0, 1)


fgsm_step = Exercise(
    name="fgsm_step",
    task=(
        "Write fgsm_step(x, gradient, epsilon): one step that raises the loss as fast as the L∞ ball allows; gradient "
        "is that of the loss, pixels stay in [0, 1]."
    ),
    observe=_observe_fgsm,
    solution=_fgsm,
    wrong={
        "descent": WrongAnswer(
            lambda x, g, e: _fgsm(x, -g, e),
            "this lowers the loss: an attacker climbs the gradient that training goes down",
        ),
        "no_box": WrongAnswer(
            lambda x, g, e: x + e * g.sign(),
            "pixels leave [0, 1]; such images do not exist, and a classifier may behave as it likes on them",
        ),
        "gradient_itself": WrongAnswer(
            lambda x, g, e: (x + e * g).clamp(0, 1),
            "the gradient itself: its size is arbitrary, and most pixels stop short of ε. The sign takes every pixel "
            "as far as it may go",
        ),
        "euclidean": WrongAnswer(
            lambda x, g, e: (x + e * g / g.flatten(1).norm(dim=1).view(-1, 1, 1, 1)).clamp(0, 1),
            "this is the step of the L2 ball; in the L∞ ball every pixel may move by ε on its own",
        ),
        "wraps": WrongAnswer(
            lambda x, g, e: (x + e * g.sign()) % 1,
            "pixels beyond the border come in again on the other side; clip them",
        ),
    },
)


# ------------------------------------------------------------------------------------------------ mim_momentum


def _observe_momentum(answer: Answer) -> dict[str, Any]:
    momentum, gradient = (torch.randn(3, 1, 2, 2, generator=_generator(seed)) for seed in (0, 1))
    steep = gradient * torch.tensor([1.0, 1e4, 1e-4]).view(3, 1, 1, 1)
    return {"momentum": answer(momentum, steep, 0.9)}


def _momentum(momentum: Tensor, gradient: Tensor, decay: float) -> Tensor:
    return decay * momentum + gradient / gradient.flatten(1).abs().sum(1).view(-1, 1, 1, 1)


mim_momentum = Exercise(
    name="mim_momentum",
    task=(
        "Write mim_momentum(momentum, gradient, decay): MIM's new momentum, the old one times decay plus each image's "
        "gradient divided by its own L1 norm; all are (N, C, H, W)."
    ),
    observe=_observe_momentum,
    solution=_momentum,
    wrong={
        "batch_norm": WrongAnswer(
            lambda m, g, d: d * m + g / g.abs().sum(),
            "one norm for the whole batch: the image with the steepest loss decides, and the others stand still. Each "
            "image needs its own",
        ),
        "mean": WrongAnswer(
            lambda m, g, d: d * m + g / g.flatten(1).abs().mean(1).view(-1, 1, 1, 1),
            "divided by the mean of the absolute values, which is the L1 norm over the number of pixels",
        ),
        "euclidean": WrongAnswer(
            lambda m, g, d: d * m + g / g.flatten(1).norm(dim=1).view(-1, 1, 1, 1),
            "divided by the Euclidean length; the published method takes the L1 norm",
        ),
        "raw": WrongAnswer(
            lambda m, g, d: d * m + g,
            "the gradient is not divided by its norm: where the loss gets steeper, the past is forgotten",
        ),
        "average": WrongAnswer(
            lambda m, g, d: d * m + (1 - d) * g / g.flatten(1).abs().sum(1).view(-1, 1, 1, 1),
            "a moving average; the published method adds the new gradient whole, with the weight 1",
        ),
    },
)


# -------------------------------------------------------------------------------------------------- project_l2


def _observe_project(answer: Answer) -> dict[str, Any]:
    x = torch.rand(3, 1, 3, 3, generator=_generator())
    far = x + torch.randn(x.shape, generator=_generator(1)) * torch.tensor([2.0, 0.05, 0.5]).view(3, 1, 1, 1)
    return {"projected images": answer(far, x, 0.5)}


def _project(candidate: Tensor, x: Tensor, epsilon: float) -> Tensor:
    return Ball(epsilon, "l2").project(candidate, x)


def _rescaled(candidate: Tensor, x: Tensor, epsilon: float) -> Tensor:
    change = candidate - x
    return (x + epsilon * change / change.flatten(1).norm(dim=1).view(-1, 1, 1, 1)).clamp(0, 1)


def _by_batch(candidate: Tensor, x: Tensor, epsilon: float) -> Tensor:
    change = candidate - x
    return (x + change * min(1.0, epsilon / change.norm().item())).clamp(0, 1)


project_l2 = Exercise(
    name="project_l2",
    task=(
        "Write project_l2(candidate, x, epsilon): the nearest points within Euclidean distance epsilon of x, each "
        "image its own ball, then cut to [0, 1]; all are (N, C, H, W)."
    ),
    observe=_observe_project,
    solution=_project,
    wrong={
        "always_to_the_border": WrongAnswer(
            _rescaled,
            "images that were inside are pushed out to the border: shrink the change where it is too long, and leave "
            "it alone where not",
        ),
        "whole_batch": WrongAnswer(
            _by_batch, "the length over the whole batch: each image has its own ball, and its own length"
        ),
        "cube": WrongAnswer(
            lambda c, x, e: Ball(e).project(c, x),
            "every pixel is cut to ±ε: that is the L∞ ball. In L2 the change as a whole has a length, and keeps its "
            "direction",
        ),
        "no_box": WrongAnswer(
            lambda c, x, e: Ball(e, "l2", -10, 10).project(c, x), "pixels leave [0, 1]; cut them after the projection"
        ),
    },
)


# ---------------------------------------------------------------------------------------------- attack_success


def _observe_success(answer: Answer) -> dict[str, Any]:
    predicted, labels = torch.tensor([1, 0, 2, 2, 0, 1, 2]), torch.tensor([0, 0, 2, 1, 1, 1, 2])
    latent = torch.tensor([0.5, 0.2, 3.0, 0.9, 1.2, 0.1, 0.3])
    pixels = torch.tensor([0.8, 0.9, 0.3, 1.5, 1.4, 0.2, 0.3])
    return {"success": answer(predicted, labels, latent, pixels)}


attack_success = Exercise(
    name="attack_success",
    task=(
        "Write attack_success(predicted, labels, latent_ratio, pixel_ratio): the share of all images on which an "
        "attack on a classifier that may refuse has succeeded; each input is (N,)."
    ),
    observe=_observe_success,
    solution=lambda p, y, a, b: ((p != y) & (a <= 1) & (b <= 1)).double().mean(),
    wrong={
        "misclassified": WrongAnswer(
            lambda p, y, a, b: (p != y).double().mean(),
            "wrong labels count although they were refused: whoever refuses has not been fooled",
        ),
        "either_threshold": WrongAnswer(
            lambda p, y, a, b: ((p != y) & ((a <= 1) | (b <= 1))).double().mean(),
            "it is enough here to pass one threshold; whoever refuses if *either* is exceeded needs both",
        ),
        "not_right": WrongAnswer(
            lambda p, y, a, b: 1 - ((p == y) & (a <= 1) & (b <= 1)).double().mean(),
            "this counts refusals as successes too. For denial of service that is the number to look at, but it is "
            "another attack",
        ),
        "of_accepted": WrongAnswer(
            lambda p, y, a, b: (p != y)[(a <= 1) & (b <= 1)].double().mean(),
            "a share of the accepted images: a detector that accepts one image and is fooled on it would have 100 %",
        ),
    },
)


# ---------------------------------------------------------------------------------------------- joint_loss


def _observe_joint(answer: Answer) -> dict[str, Any]:
    latent = torch.tensor([4.0, 0.25, 0.5, 9.0, 0.81])
    pixels = torch.tensor([0.25, 2.25, 0.64, 1.44, 0.04])
    return {"loss": answer(latent, pixels)}


def _joint(latent: Tensor, pixels: Tensor) -> Tensor:
    first, second = 1 - latent.sqrt(), 1 - pixels.sqrt()
    return torch.where((first > 0) & (second > 0), torch.minimum(first, second), -(-first).relu() - (-second).relu())


joint_loss = Exercise(
    name="joint_loss",
    task=(
        "Write joint_loss(latent_ratio, pixel_ratio) for an attacker who knows both detectors. Slacks are 1 − √ratio. "
        "Where both are positive, the loss is the smaller; else minus the sum of what is missing; (N,)."
    ),
    observe=_observe_joint,
    solution=_joint,
    wrong={
        "sum": WrongAnswer(
            lambda a, b: 2 - a.sqrt() - b.sqrt(),
            "the sum of the slacks: plenty of one pays for the lack of the other, and the sign no longer says success",
        ),
        "product": WrongAnswer(
            lambda a, b: (1 - a.sqrt()) * (1 - b.sqrt()),
            "a product is positive where both slacks are negative: twice refused would count as success",
        ),
        "hinges_only": WrongAnswer(
            lambda a, b: -(a.sqrt() - 1).relu() - (b.sqrt() - 1).relu(),
            "zero as soon as both hold: nothing is won by being clearly accepted, and the slightest rounding undoes it",
        ),
        "least_slack": WrongAnswer(
            lambda a, b: torch.minimum(1 - a.sqrt(), 1 - b.sqrt()),
            "only the worse detector is felt while both refuse: its gradient forgets the other. Sum what is missing",
        ),
        "squared_ratios": WrongAnswer(
            lambda a, b: _joint(a.square(), b.square()),
            "the ratios' roots were asked for: far out a ratio rises so steeply that it drowns the other",
        ),
    },
)


# -------------------------------------------------------------------------------------------- best_of_restarts


def _observe_restarts(answer: Answer) -> dict[str, Any]:
    points = torch.rand(4, 3, 1, 2, 2, generator=_generator())
    losses = torch.randn(4, 3, generator=_generator(1))
    return {"best points": answer(points, losses)}


best_of_restarts = Exercise(
    name="best_of_restarts",
    task=(
        "Write best_of_restarts(points, losses): of R restarts, (R, N, C, H, W) with losses (R, N), each image's own "
        "best, (N, C, H, W); the loss is climbed."
    ),
    observe=_observe_restarts,
    solution=lambda points, losses: points[losses.argmax(0), torch.arange(points.shape[1])],
    wrong={
        "best_run": WrongAnswer(
            lambda points, losses: points[losses.mean(1).argmax()],
            "the restart with the best mean, for all images: an attacker keeps the best of each image by itself",
        ),
        "least": WrongAnswer(
            lambda points, losses: points[losses.argmin(0), torch.arange(points.shape[1])],
            "the worst restart of each image: the loss is climbed, so the largest is the best",
        ),
        "last": WrongAnswer(
            lambda points, losses: points[-1],
            "the last restart, whatever it found; then more restarts would not help",
        ),
    },
)


# ---------------------------------------------------------------------------------------------- choose_search


def _observe_choice(answer: Answer) -> dict[str, Any]:
    codes, errors = torch.randn(3, 4, 2, generator=_generator()), torch.rand(3, 4, generator=_generator(1))
    return {"codes": answer(codes, errors)}


choose_search = Exercise(
    name="choose_search",
    task=(
        "Write choose_search(codes, errors): of k searches an image, codes (N, k, d) with errors (N, k), the code "
        "whose picture came nearest, (N, d)."
    ),
    observe=_observe_choice,
    solution=lambda codes, errors: codes[torch.arange(len(codes)), errors.argmin(1)],
    wrong={
        "average": WrongAnswer(
            lambda codes, errors: codes.mean(1),
            "the mean of the codes: between two classes there is no picture of either. Choose one search",
        ),
        "furthest": WrongAnswer(
            lambda codes, errors: codes[torch.arange(len(codes)), errors.argmax(1)],
            "the search with the largest error; Eq. 4.8 minimizes it",
        ),
        "one_for_all": WrongAnswer(
            lambda codes, errors: codes[:, errors.sum(0).argmin()],
            "the same start for all images: each has its own best",
        ),
    },
)


# ----------------------------------------------------------------------------------------------- search_step


def _observe_search(answer: Answer) -> dict[str, Any]:
    mixing = torch.randn(2, 9, generator=_generator())
    z, goal = torch.randn(4, 2, generator=_generator(1)), torch.rand(4, 1, 3, 3, generator=_generator(2))
    return {"next codes": answer(lambda codes: (codes @ mixing).tanh().view(-1, 1, 3, 3), z, goal, 0.05)}


def _search_step(
    decode: Callable[[Tensor], Tensor],
    z: Tensor,
    x: Tensor,
    step_size: float,
    reduce: Callable[[Tensor], Tensor] = torch.sum,
) -> Tensor:
    z = z.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(reduce((decode(z) - x).square()), z)
    return (z - step_size * gradient).detach()


search_step = Exercise(
    name="search_step",
    task=(
        "Write search_step(decode, z, x, step_size): one step of gradient descent on ‖g(z) − x‖² (Eq. 4.8), for N "
        "codes at once; z is (N, d), x is (N, C, H, W)."
    ),
    observe=_observe_search,
    solution=_search_step,
    wrong={
        "batch_mean": WrongAnswer(
            lambda decode, z, x, s: _search_step(decode, z, x, s / len(z)),
            "the mean over the batch: each code's step then depends on how many others are searched beside it",
        ),
        "pixel_mean": WrongAnswer(
            lambda decode, z, x, s: _search_step(decode, z, x, s, torch.mean),
            "the mean over images and pixels; ‖·‖² is the sum over pixels, and each image is its own problem",
        ),
        "ascent": WrongAnswer(
            lambda decode, z, x, s: _search_step(decode, z, x, -s), "this walks uphill: Eq. 4.8 minimizes the error"
        ),
        "unsquared": WrongAnswer(
            lambda decode, z, x, s: _search_step(
                lambda codes: decode(codes), z, x, s, lambda squares: squares.flatten(1).sum(1).sqrt().sum()
            ),
            "the root of the error: same minimum, other steps, and an infinite slope where the picture is met",
        ),
    },
)


# --------------------------------------------------------------------------------------------- second_opinion


def _observe_opinion(answer: Answer) -> dict[str, Any]:
    first, second = torch.tensor([3, 1, 7, 7, 0]), torch.tensor([5, 1, 2, 4, 6])
    accepted = torch.tensor([True, True, False, False, False])
    later = torch.tensor([True, False, True, False, True])
    return {"labels": answer(first, accepted, second, later)}


def _opinion(first: Tensor, accepted: Tensor, second: Tensor, later: Tensor) -> Tensor:
    return torch.where(accepted, first, torch.where(later, second, -1))


second_opinion = Exercise(
    name="second_opinion",
    task=(
        "Write second_opinion(first, accepted, second, accepted_later): the final labels, (N,): the classifier's where "
        "it accepted, the search's where only that was accepted, and −1 where both refused."
    ),
    observe=_observe_opinion,
    solution=_opinion,
    wrong={
        "search_first": WrongAnswer(
            lambda f, a, s, r: torch.where(r, s, torch.where(a, f, -1)),
            "the search overrules what the classifier had accepted; § 4.7 asks it about refused images only",
        ),
        "never_refuses": WrongAnswer(
            lambda f, a, s, r: torch.where(a, f, s),
            "every refused image gets the search's label, rubbish too: what stays beyond a threshold stays refused",
        ),
        "class_zero": WrongAnswer(
            lambda f, a, s, r: torch.where(a, f, torch.where(r, s, 0)),
            "refused images are labelled 0, which is a class; say −1",
        ),
        "old_label": WrongAnswer(
            lambda f, a, s, r: torch.where(a | r, f, -1),
            "the search decides whether to answer, but the answer is still the one that was refused",
        ),
    },
)


EXERCISES = {
    exercise.name: exercise
    for exercise in (
        log_odds,
        gmm_loss,
        place_means,
        latent_ratio,
        shares,
        risk_area,
        fgsm_step,
        mim_momentum,
        project_l2,
        attack_success,
        joint_loss,
        best_of_restarts,
        choose_search,
        search_step,
        second_opinion,
    )
}
