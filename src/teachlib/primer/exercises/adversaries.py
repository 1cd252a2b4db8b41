"""Exercises on the best discriminator and on both players' losses."""

import torch
import torch.nn.functional as F

from teachlib.checks import calls, exercise, together, with_gradient
from teachlib.primer import gan

_REAL, _GENERATED = (torch.tensor(logits, requires_grad=True) for logits in ([1.2, -0.4, 2.5], [-1.5, 0.3]))
_LOG_P, _LOG_Q = torch.tensor([-1.0, -2.5, -0.3]), torch.tensor([-1.7, -0.4, -3.0])

best_discriminator = exercise(
    "best_discriminator",
    "Return the best discriminator's probability of 'real' where data have log-density log_p and samples log_q.",
    lambda log_p, log_q: torch.sigmoid(log_p - log_q),
    calls({"probability": (_LOG_P, _LOG_Q), "far out": (torch.tensor([-2000.0]), torch.tensor([-2001.0]))}),
    wrong={
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
        "logit": (
            lambda log_p, log_q: log_p - log_q,
            "this is the best logit; its sigmoid is the probability",
        ),
        "of_logarithms": (
            lambda log_p, log_q: log_p / (log_p + log_q),
            "the logarithms were put in where densities belong",
        ),
    },
)

discriminator_loss = exercise(
    "discriminator_loss",
    "Return the discriminator's loss from logits of real samples and of generated ones: −E log D(x) − E log(1 − "
    "D(G(z))).",
    gan.discriminator_loss,
    together(
        with_gradient("loss", (_REAL, _GENERATED), to=(_REAL, _GENERATED)),
        calls({"sure": (torch.tensor([-200.0]), torch.tensor([200.0]))}),
    ),
    wrong={
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

generator_loss = exercise(
    "generator_loss",
    "Return the generator's non-saturating loss, −E log D(G(z)), from logits of generated samples.",
    gan.generator_loss,
    together(with_gradient("loss", (_GENERATED,), to=(_GENERATED,)), calls({"hopeless": (torch.tensor([-200.0]),)})),
    wrong={
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
