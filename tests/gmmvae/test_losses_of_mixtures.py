import math

import torch
from torch.distributions import Independent, Normal, kl_divergence

from teachlib.gmmvae import (
    MixturePrior,
    class_means,
    reconstruction_error,
    supervised_loss,
    unsupervised_loss,
    variable_entropy_loss,
)

GENERATOR = torch.Generator().manual_seed(0)
X, REBUILT = (torch.rand(5, 1, 4, 4, dtype=torch.float64, generator=GENERATOR) for _ in range(2))
CODE, NOISE = (torch.randn(5, 3, dtype=torch.float64, generator=GENERATOR) for _ in range(2))
PRIOR = MixturePrior(class_means(3, 3).double(), 0.2)
LABELS = torch.tensor([0, 1, 2, 1, 0])
ALPHA = 7.0


def test_supervised_loss_sums_by_hand() -> None:
    """Eq 4.6, image by image."""
    total = 0.0
    for i in range(5):
        pixels = sum(float((X[i, 0, r, c] - REBUILT[i, 0, r, c]) ** 2) for r in range(4) for c in range(4))
        total += pixels + ALPHA * sum(float((CODE[i, j] - PRIOR.means[LABELS[i], j]) ** 2) for j in range(3))
    found = supervised_loss(X, REBUILT, CODE, PRIOR.means[LABELS], ALPHA)
    torch.testing.assert_close(found, torch.tensor(total / 5, dtype=torch.float64))


def test_without_labels_the_pull_is_the_density_of_the_mixture() -> None:
    """−2ασ²·log P(z), up to a constant: differences between codes are those of an independent density."""
    components = Independent(Normal(PRIOR.means, math.sqrt(PRIOR.variance)), 1)

    def density(z: torch.Tensor) -> torch.Tensor:
        return (components.log_prob(z[:, None]) - math.log(3)).logsumexp(1).mean()

    first, second = (unsupervised_loss(X, REBUILT, z, PRIOR, ALPHA) for z in (CODE, CODE + NOISE))
    expected = -2 * ALPHA * PRIOR.variance * (density(CODE) - density(CODE + NOISE))
    torch.testing.assert_close(first - second, expected)


def test_with_one_class_labels_say_nothing() -> None:
    alone = MixturePrior(class_means(1, 3).double(), 0.2)
    mean = alone.means[torch.zeros(5, dtype=torch.long)]
    torch.testing.assert_close(
        unsupervised_loss(X, REBUILT, CODE, alone, ALPHA), supervised_loss(X, REBUILT, CODE, mean, ALPHA)
    )


def test_a_variable_entropy_costs_a_divergence() -> None:
    log_variance = NOISE - 1
    posterior = Independent(Normal(CODE, (0.5 * log_variance).exp()), 1)
    component = Independent(Normal(PRIOR.means[LABELS], math.sqrt(PRIOR.variance)), 1)
    divergence = kl_divergence(posterior, component)
    expected = (reconstruction_error(X, REBUILT) + 2 * ALPHA * PRIOR.variance * divergence).mean()
    found = variable_entropy_loss(X, REBUILT, CODE, log_variance, PRIOR.means[LABELS], PRIOR, ALPHA)
    torch.testing.assert_close(found, expected)


def test_at_the_constant_variance_it_is_the_supervised_loss() -> None:
    constant = torch.full_like(CODE, math.log(PRIOR.variance))
    found = variable_entropy_loss(X, REBUILT, CODE, constant, PRIOR.means[LABELS], PRIOR, ALPHA)
    torch.testing.assert_close(found, supervised_loss(X, REBUILT, CODE, PRIOR.means[LABELS], ALPHA))
