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
