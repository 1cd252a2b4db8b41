"""Condition cross-talk as a number: how far one factor moves when another is asked to (thesis §§ 5.3.4, 7.3).

Factors that went together in training are asked for independently. Found factors are explained by asked ones in a
linear regression, found = B·asked + b. B would be the identity. What stands on its diagonal is how far a factor goes
where it is asked to go; what stands beside it is how far it goes where another one was asked, which is cross-talk.
A generator that is deaf to the first of two factors, and guesses it from the second as training taught, has ρ there.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from teachlib.errors import TeachlibError
from teachlib.gif.asking import zeros
from teachlib.gif.asking.models import Asked
from teachlib.modes import evaluating


@dataclass(frozen=True)
class CrossTalk:
    """What asking for K factors does to each of them.

    Attributes:
        slopes: B, how far factor i goes when factor j is asked to go one deviation, (K, K).
        error: root mean square of found less asked, (K,).
    """

    slopes: Tensor
    error: Tensor

    @property
    def obeyed(self) -> float:
        """Mean of the diagonal: 1 where a step asked for is a step taken."""
        return self.slopes.diagonal().mean().item()

    @property
    def heard(self) -> float:
        """Mean absolute slope beside the diagonal: 0 without cross-talk."""
        beside = ~torch.eye(len(self.slopes), dtype=torch.bool)
        return self.slopes[beside].abs().mean().item()


def cross_talk(asked: Tensor, found: Tensor) -> CrossTalk:
    """Regress what was found on what was asked, both (N, K), in the same units.

    Raises:
        TeachlibError: fewer than K + 1 pictures, or factors that were not asked for independently, so that nobody can
            tell which of them was heard.
    """
    if asked.shape != found.shape or asked.ndim != 2 or asked.shape[1] < 2:
        raise TeachlibError(
            f"asked {tuple(asked.shape)}, found {tuple(found.shape)}; expected two of the same (N, K), K at least 2"
        )
    asked, found = asked.double(), found.double()
    if not (asked.isfinite().all() and found.isfinite().all()):
        raise TeachlibError("asked or found factors that are no numbers")
    centred = asked - asked.mean(0)
    if len(asked) <= asked.shape[1] or not torch.linalg.cond(centred) < 1e3:
        raise TeachlibError("the asked factors go together, or are too few: ask for them independently")
    slopes = torch.linalg.lstsq(centred, found - found.mean(0)).solution.T
    return CrossTalk(slopes.float(), (found - asked).square().mean(0).sqrt().float())


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
