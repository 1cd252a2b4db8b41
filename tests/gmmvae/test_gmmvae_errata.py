"""Slips of thesis chapter 4, each on a toy small enough for exact sums."""

import torch
from torch import Tensor

GENERATOR = torch.Generator().manual_seed(0)


def joint() -> tuple[Tensor, Tensor, Tensor]:
    """P(z), P(x|z) and P(y|z) of three codes, four images and two labels: x and y independent given z."""
    prior = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
    pixels = torch.rand(3, 4, dtype=torch.float64, generator=GENERATOR)
    labels = torch.tensor([[0.9, 0.1], [0.3, 0.7], [0.05, 0.95]], dtype=torch.float64)
    return prior, pixels / pixels.sum(1, keepdim=True), labels


PRIOR, OF_X, OF_Y = joint()
JOINT = PRIOR[:, None, None] * OF_X[:, :, None] * OF_Y[:, None, :]  # (z, x, y)
Q = torch.rand(3, 4, dtype=torch.float64, generator=GENERATOR)
Q = Q / Q.sum(0)  # Q(z|x), any encoder


def divergence(q: Tensor, p: Tensor) -> Tensor:
    return (q * (q / p).log()).sum(0)


def test_equation_4_3_is_an_identity() -> None:
    """log P(x, y) = E_Q log P(x, y|z) − KL(Q ‖ P(z)) + KL(Q ‖ P(z|x, y)), for every x and y."""
    for x in range(4):
        for y in range(2):
            evidence = JOINT[:, x, y].sum()
            posterior = JOINT[:, x, y] / evidence
            q = Q[:, x]
            expected = (q * (OF_X[:, x] * OF_Y[:, y]).log()).sum()
            right = expected - divergence(q, PRIOR) + divergence(q, posterior)
            torch.testing.assert_close(right, evidence.log())


def test_the_bound_drops_the_divergence_from_the_posterior_not_from_the_prior() -> None:
    """The text drops KL(Q ‖ P(Z)) ≥ 0, which has a minus: what is left is no lower bound."""
    below, not_below = [], []
    for x in range(4):
        for y in range(2):
            evidence = JOINT[:, x, y].sum()
            expected = (Q[:, x] * (OF_X[:, x] * OF_Y[:, y]).log()).sum()
            below.append(bool(expected - divergence(Q[:, x], PRIOR) <= evidence.log()))
            posterior = JOINT[:, x, y] / evidence
            not_below.append(bool(expected + divergence(Q[:, x], posterior) <= evidence.log()))
    assert all(below)
    assert not all(not_below)


def test_labels_come_from_a_sum_weighted_by_the_posterior() -> None:
    """Eq 4.7 mended: P(y|x) = Σ P(y|z) P(z|x), against the joint table; the printed sums give other numbers."""
    exact = JOINT.sum(0) / JOINT.sum((0, 2))[:, None]  # (x, y)
    posterior = PRIOR[:, None] * OF_X / (PRIOR[:, None] * OF_X).sum(0)  # P(z|x)
    torch.testing.assert_close(torch.einsum("zy,zx->xy", OF_Y, posterior), exact)
    unweighted = torch.einsum("zy,zx->xy", OF_Y, OF_X)  # ∫ P(X|Z) P(Y|Z) dz, and the text's P(Y|Z)·P(X|Z)
    assert not torch.equal(unweighted.argmax(1), exact.argmax(1))
