"""Exercises on Eqs 7.1 to 7.3: a sum that must not overflow, what it estimates, and by how much it is off."""

import torch

from teachlib.checks import calls, exercise, seeded

# ----------------------------------------------------------------------------------------------------- log_sum

_CALM = torch.randn(6, generator=seeded(0), dtype=torch.float64)

log_sum = exercise(
    "log_sum",
    "Write log_sum(energies, length): the logarithm of the Riemann sum of D = exp(-f) over m cells of one length, "
    "from the energies f (m,) at a point of each. Energies of ten thousand, of either sign, must not hurt.",
    lambda energies, length: torch.logsumexp(-energies, 0) + torch.log(torch.as_tensor(length).double()),
    calls({"calm": (_CALM, 0.5), "deep": (_CALM - 1e4, 0.25), "high": (_CALM + 1e4, 2.0)}),
    wrong={
        "overflows": (
            lambda energies, length: (energies.neg().exp().sum() * length).log(),
            "exp of ten thousand is infinite, and of minus ten thousand 0: take the largest out of the sum first",
        ),
        "no_length": (
            lambda energies, length: torch.logsumexp(-energies, 0),
            "the cells' length is missing: only where it is constant may it be dropped, and then from the loss alone",
        ),
        "sign": (
            lambda energies, length: torch.logsumexp(energies, 0) + torch.log(torch.as_tensor(length).double()),
            "exp(f) was summed: D is large where the energy is low",
        ),
        "mean": (
            lambda energies, length: (
                torch.logsumexp(-energies, 0)
                - torch.log(torch.tensor(float(len(energies))).double())
                + torch.log(torch.as_tensor(length).double())
            ),
            "the mean over the cells: each counts by its length, so the sum is asked",
        ),
    },
)

# ----------------------------------------------------------------------------------------------------- density

_LOG_D = torch.randn(8, generator=seeded(1), dtype=torch.float64)
_LOG_G = torch.randn(8, generator=seeded(2), dtype=torch.float64)

density = exercise(
    "density",
    "Write density(log_d, log_g, length): D was trained by Eq. 7.3 as printed, with points of a generator of density "
    "p_G. From log D and log p_G (m,), at the middles of m cells of one length, return the density of the data that "
    "this claims, (m,), which integrates to one.",
    lambda log_d, log_g, length: torch.softmax(log_d + log_g, 0) / length,
    calls({"some": (_LOG_D, _LOG_G, 0.5), "far off": (_LOG_D + 900, _LOG_G - 50, 0.1)}),
    wrong={
        "d_alone": (
            lambda log_d, log_g, length: torch.softmax(log_d, 0) / length,
            "D alone: it is the ratio of the data's density to the generator's",
        ),
        "divided": (
            lambda log_d, log_g, length: torch.softmax(log_d - log_g, 0) / length,
            "divided by p_G once more: D is p_data/p_G already",
        ),
        "sums_to_one": (
            lambda log_d, log_g, length: torch.softmax(log_d + log_g, 0),
            "it sums to one; its integral, the sum times a cell's length, must",
        ),
        "unnormalized": (
            lambda log_d, log_g, length: (log_d + log_g).exp(),
            "D·p_G is proportional to the density; Eq. 7.3 leaves a constant free",
        ),
    },
)

# -------------------------------------------------------------------------------------------------------- bias

_DRAWS = torch.rand(50, generator=seeded(3), dtype=torch.float64) + 0.5

bias = exercise(
    "bias",
    "Write bias(values, m): values (N,) are many independent draws of D(x)/p_G(x). Return by how much the logarithm "
    "of the mean of m such draws is off on average, to the first order in 1/m; with the biased variance, and its sign.",
    lambda values, m: -values.var(unbiased=False) / (2 * m * values.mean() ** 2),
    calls({"one": (_DRAWS, 1), "many": (3 * _DRAWS, 64), "wild": (_DRAWS**6, 16)}),
    wrong={
        "sign": (
            lambda values, m: values.var(unbiased=False) / (2 * m * values.mean() ** 2),
            "the logarithm is concave: the mean of logarithms is below the logarithm of the mean",
        ),
        "of_one": (
            lambda values, m: -values.var(unbiased=False) / (2 * values.mean() ** 2),
            "that is the bias of a single draw; the mean of m has a variance m times smaller",
        ),
        "absolute": (
            lambda values, m: -values.var(unbiased=False) / (2 * m),
            "the variance counts in units of the squared mean: D times ten changes nothing but a constant",
        ),
        "deviation": (
            lambda values, m: -values.std(unbiased=False) / (2 * m * values.mean()),
            "the standard deviation was taken: the second derivative of the logarithm goes with the variance",
        ),
    },
)
