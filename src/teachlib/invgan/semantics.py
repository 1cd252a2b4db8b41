"""What reconstructions keep of what pictures mean: classifiers trained on the ones, asked of the others (Table 6.2)."""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import TensorDataset

from teachlib.errors import TeachlibError
from teachlib.metrics import FeatureClassifier
from teachlib.modes import in_evaluation_mode
from teachlib.training import Batch, Schedule, fit

_CHUNK = 500


class AttributeObjective:
    """Binary cross-entropy of every attribute, by Adam."""

    def __init__(self, classifier: nn.Module) -> None:
        self.nets = {"classifier": classifier}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One Adam."""
        return {"step": torch.optim.Adam(self.nets["classifier"].parameters(), 1e-3)}

    def updates(self, batch: Batch, generator: torch.Generator, step: int) -> Iterator[tuple[str, Tensor]]:
        """One update."""
        images, wanted = batch
        yield "step", binary_cross_entropy_with_logits(self.nets["classifier"](images), wanted)


def attributes_of(factors: Mapping[str, Tensor]) -> Tensor:
    """Attributes by name, as targets, (N, A) of zeros and ones in the order of the names."""
    if not factors:
        raise TeachlibError("no attributes are known of these pictures; heads have them")
    return torch.stack([value.float() for value in factors.values()], 1)


def train_classifier(images: Tensor, targets: Tensor, *, steps: int, seed: int = 0) -> FeatureClassifier:
    """A small convolutional network with one answer an attribute.

    Args:
        images: (N, C, size, size) in [0, 1].
        targets: zeros and ones, (N, A).
        steps: of batches of 100.
        seed: of weights and batches.

    Raises:
        TeachlibError: another number of targets than of images.
    """
    if targets.ndim != 2 or len(images) != len(targets):
        raise TeachlibError(
            f"{len(images)} images and targets of {tuple(targets.shape)}; expected (N, A), one row for each"
        )
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        net = FeatureClassifier(targets.shape[1], channels=images.shape[1], size=images.shape[2])
        fit(AttributeObjective(net), TensorDataset(images, targets), Schedule(steps, 100, seed=seed), progress=False)
    return net.eval()


@torch.no_grad()
@in_evaluation_mode
def average_precisions(net: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Average precision of each attribute, (A,) in [0, 1]; of guesses it is the attribute's prevalence."""
    scores = torch.cat([net(part) for part in images.split(_CHUNK)])
    return precisions_of(scores, targets)


def precisions_of(scores: Tensor, targets: Tensor) -> Tensor:
    """Average precision of scores (N, A) for targets (N, A), (A,).

    Raises:
        TeachlibError: an attribute that no picture, or every picture has; other shapes, scores that are not finite.
    """
    from sklearn.metrics import average_precision_score

    if scores.ndim != 2 or scores.shape != targets.shape or not scores.isfinite().all():
        raise TeachlibError(
            f"scores of shape {tuple(scores.shape)}, targets of {tuple(targets.shape)}; expected finite (N, A) of both"
        )
    shares = targets.float().mean(0)
    if (shares == 0).any() or (shares == 1).any():
        raise TeachlibError("an attribute that no picture or every picture has; its precision means nothing")
    columns = zip(targets.T.numpy(), scores.double().T.numpy(), strict=True)
    return torch.tensor(np.array([average_precision_score(truth, score) for truth, score in columns]))
