"""Attacks on classifiers, and on classifiers that may refuse (thesis §4.8, and what came after)."""

from teachlib.gmmvae.attacks.adaptive import adaptive
from teachlib.gmmvae.attacks.ball import NORMS, Ball, Norm
from teachlib.gmmvae.attacks.decisions import hop_skip_jump
from teachlib.gmmvae.attacks.gradient import Loss, apgd, fgsm, mim, pgd, value_and_gradient
from teachlib.gmmvae.attacks.square import square
from teachlib.gmmvae.attacks.targets import accepted_as, accepted_wrongly, misclassified
from teachlib.gmmvae.attacks.white_box import fooling, white_box, white_box_loss

__all__ = [
    "NORMS",
    "Ball",
    "Loss",
    "Norm",
    "accepted_as",
    "accepted_wrongly",
    "adaptive",
    "apgd",
    "fgsm",
    "fooling",
    "hop_skip_jump",
    "mim",
    "misclassified",
    "pgd",
    "square",
    "value_and_gradient",
    "white_box",
    "white_box_loss",
]
