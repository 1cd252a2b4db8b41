"""How far generators of zeros go where they are asked to, and where they are not."""

import torch
from torch import Tensor

from teachlib.gif.asking import zeros
from teachlib.gif.asking.models import Asked
from teachlib.gif.cross_talk import cross_talk
from teachlib.modes import evaluating


def matched(asked: Tensor, found: Tensor) -> Tensor:
    """Codes (N, 2) in the order and with the signs in which they go with factors best: InfoGAN's have no names."""
    together = torch.corrcoef(torch.cat([asked, found], 1).T)[:2, 2:]  # codes × factors
    straight, crossed = together.diagonal().abs().sum(), together.fliplr().diagonal().abs().sum()
    order = [0, 1] if straight >= crossed else [1, 0]
    signs = together[order].diagonal().sign()
    return asked[:, order] * torch.where(signs == 0, 1.0, signs)


@torch.no_grad()
def evaluate(model: Asked, test: zeros.Zeros, *, seed: int = 0) -> dict[str, float]:
    """Ask for the factors of test pictures, as they went together in training, and then each by itself.

    Args:
        model: to be asked.
        test: pictures whose factors go together as in training.
        seed: of what is not asked for, and of how factors are exchanged.

    Returns:
        Slopes asked and heard, errors of each factor where factors go together and where they do not, and the error
        that reading real pictures has.
    """
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(len(test), model.recipe.z_dim, generator=generator)
    exchanged = zeros.draw(len(test), 0.0, generator)
    if model.recipe.way == "infogan":  # its codes were normal and went together with nothing
        exchanged = torch.randn(len(test), 2, generator=generator)
    with evaluating(model):
        together = zeros.read(model(test.factors, z))
        found = zeros.read(model(exchanged, z))
    asked = matched(exchanged, found) if model.recipe.way == "infogan" else exchanged
    talk = cross_talk(asked, found)
    seen = (together - test.factors).square().mean(0).sqrt()
    real = (zeros.read(test[:][0]) - test.factors).square().mean(0).sqrt()
    row = {"obeyed": talk.obeyed, "heard": talk.heard}
    for number, name in enumerate(zeros.FACTORS):
        row |= {
            f"{name} obeyed": talk.slopes[number, number].item(),
            f"{name} heard": talk.slopes[number, 1 - number].item(),
            f"{name} error, as in training": seen[number].item(),
            f"{name} error, exchanged": talk.error[number].item(),
            f"{name} error of reading": real[number].item(),
        }
    return row
