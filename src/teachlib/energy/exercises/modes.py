"""Exercises on modes: which are caught, how evenly, and what parts samples."""

import torch

from teachlib.checks import calls, exercise, seeded

# ------------------------------------------------------------------------------------------------------ caught

_HITS = torch.tensor([400, 40, 0, 80, 30, 5])

caught = exercise(
    "caught",
    "Write caught(hits, total): of total samples of a generator, hits (K,) are good ones of each of K equally likely "
    "modes. Return how many modes have at least a tenth of their fair share of ALL samples.",
    lambda hits, total: int((hits >= 0.1 * total / len(hits)).sum()),
    calls({"mostly good": (_HITS, 660), "mostly bad": (_HITS, 7200), "none": (torch.zeros(5, dtype=torch.long), 100)}),
    wrong={
        "any": (
            lambda hits, total: int((hits > 0).sum()),
            "a single stray sample makes a mode: a smear then catches them all",
        ),
        "of_good": (
            lambda hits, total: int((hits >= 0.1 * hits.sum() / len(hits)).sum()),
            "the share of the good samples: bad ones count among all",
        ),
        "of_total": (
            lambda hits, total: int((hits >= 0.1 * total).sum()),
            "a tenth of all samples; a tenth of a mode's fair share, total / K, was asked",
        ),
        "strictly_fair": (
            lambda hits, total: int((hits >= total / len(hits)).sum()),
            "the whole fair share: by chance alone half of a perfect generator's modes would miss it",
        ),
    },
)

# ---------------------------------------------------------------------------------------------------- evenness

evenness = exercise(
    "evenness",
    "Write evenness(hits): the Kullback-Leibler divergence, in nats, of the modes' shares of the good samples from "
    "equal shares, KL(shares || equal), from counts hits (K,), some of which may be 0.",
    lambda hits: torch.special.xlogy(hits / hits.sum(), len(hits) * hits / hits.sum()).sum(),
    calls({"uneven": (_HITS.double(),), "even": (torch.full((7,), 3.0),), "one": (torch.tensor([0.0, 9.0, 0.0]),)}),
    wrong={
        "nan": (
            lambda hits: (hits / hits.sum() * (len(hits) * hits / hits.sum()).log()).sum(),
            "0 · log 0 came out as not a number: its limit is 0",
        ),
        "reversed": (
            lambda hits: -(len(hits) * hits / hits.sum()).clamp(min=1e-30).log().mean(),
            "KL(equal || shares), which goes to infinity as soon as one mode is missed",
        ),
        "bits": (
            lambda hits: (
                torch.special.xlogy(hits / hits.sum(), len(hits) * hits / hits.sum()).sum() / 0.6931471805599453
            ),
            "in bits: nats were asked",
        ),
        "entropy": (
            lambda hits: torch.special.entr(hits / hits.sum()).sum(),
            "the entropy of the shares: the divergence is log K less of it",
        ),
    },
)

# ------------------------------------------------------------------------------------------------------- apart

_POINTS = torch.randn(6, 2, generator=seeded(0))

apart = exercise(
    "apart",
    "Write apart(x): what a generator descends so that its samples x (N, d) repel: minus the mean distance of two "
    "different ones.",
    lambda x: -torch.pdist(x).mean(),
    calls({"some": (_POINTS,), "two": (torch.tensor([[0.0, 0.0], [3.0, 4.0]]),), "wide": (40 * _POINTS,)}),
    wrong={
        "with_itself": (
            lambda x: -torch.cdist(x, x).mean(),
            "each sample's distance to itself was counted too: N² pairs instead of N(N − 1)",
        ),
        "squared": (
            lambda x: -torch.pdist(x).square().mean(),
            "squared distances: two far clusters would then please more than samples that are spread evenly",
        ),
        "sign": (
            lambda x: torch.pdist(x).mean(),
            "descended, this draws samples together",
        ),
        "sum": (
            lambda x: -torch.pdist(x).sum(),
            "the sum: its weight would grow with the batch's square",
        ),
    },
)
