"""Attacks on classifiers, and on classifiers that may refuse (thesis §4.8, and what came after)."""

from teachlib.gmmvae.attacks.adaptive import adaptive
from teachlib.gmmvae.attacks.ball import NORMS, Ball, Norm
from teachlib.gmmvae.attacks.boundary import Nearest, fab, nearest_accepted
from teachlib.gmmvae.attacks.decisions import hop_skip_jump
from teachlib.gmmvae.attacks.gradient import Loss, apgd, fgsm, mim, pgd, value_and_gradient
from teachlib.gmmvae.attacks.orthogonal import orthogonal_pgd
from teachlib.gmmvae.attacks.square import square
from teachlib.gmmvae.attacks.targets import accepted_as, accepted_wrongly, misclassified, slacks
from teachlib.gmmvae.attacks.white_box import fooling, white_box, white_box_loss

__all__ = [
    "NORMS",
    "Ball",
    "Loss",
    "Nearest",
    "Norm",
    "accepted_as",
    "accepted_wrongly",
    "adaptive",
    "apgd",
    "fab",
    "fgsm",
    "fooling",
    "hop_skip_jump",
    "mim",
    "misclassified",
    "nearest_accepted",
    "orthogonal_pgd",
    "pgd",
    "slacks",
    "square",
    "value_and_gradient",
    "white_box",
    "white_box_loss",
]
