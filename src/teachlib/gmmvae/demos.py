"""Demos of the chapter that run in a reader's page."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from teachlib.chapter import Chapter
from teachlib.errors import TeachlibError
from teachlib.gmmvae.losses import reconstruction_error
from teachlib.gmmvae.mixture import MixturePrior
from teachlib.gmmvae.models import GMMVAE, Model
from teachlib.live import Demo, Graph, Part
from teachlib.results import read_results


def graphs(model: Model) -> dict[str, Graph]:
    """Encoder and decoder of a GMM-VAE; of plain classifiers, none."""
    if not isinstance(model, GMMVAE):
        return {}
    return {
        "encoder": Graph(Part(model, GMMVAE.encode), {"x": _image(model)}, ("z",)),
        "decoder": Graph(Part(model, GMMVAE.decode), {"z": torch.zeros(1, model.recipe.latent)}, ("x",)),
    }


def _image(model: GMMVAE) -> Tensor:
    shape = model.recipe.channels, model.recipe.size, model.recipe.size
    return torch.linspace(0, 1, torch.Size(shape).numel()).reshape(1, *shape)


def input_gradient(net: nn.Sequential, x: Tensor, pull: Tensor) -> Tensor:
    """Jᵀ·pull, the gradient of ⟨pull, net(x)⟩ by x, as operations that can be exported: automatic differentiation's
    cannot.

    Args:
        net: of convolutions (stride 1), batch norm in evaluation mode, ReLU, max-pooling (2×2), flattening and dense
            layers.
        x: (N, C, H, W).
        pull: (N, outputs).

    Raises:
        TeachlibError: a layer of another kind.
    """
    seen = [x]
    for layer in net:
        seen.append(layer(seen[-1]))
    for layer, before, after in reversed(list(zip(net, seen[:-1], seen[1:], strict=True))):
        pull = _pulled(layer, before, after, pull)
    return pull


def _pulled(layer: nn.Module, before: Tensor, after: Tensor, pull: Tensor) -> Tensor:
    """The gradient by a layer's input, of the gradient by its output."""
    if isinstance(layer, nn.Linear):
        return pull @ layer.weight
    if isinstance(layer, nn.Conv2d) and layer.stride == (1, 1):
        return F.conv_transpose2d(pull, layer.weight, padding=layer.padding)  # type: ignore[arg-type]
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) and layer.running_var is not None:
        scale = layer.weight / (layer.running_var + layer.eps).sqrt()
        return pull * scale.view(1, -1, *[1] * (pull.ndim - 2))
    if isinstance(layer, nn.ReLU):
        return pull * (after > 0)
    if isinstance(layer, nn.MaxPool2d) and layer.kernel_size == 2:
        # Where several pixels are largest, all get the gradient; after a ReLU those are zeros, which pass none on.
        wide, largest = (F.interpolate(values, scale_factor=2.0) for values in (pull, after))
        return wide * (before == largest)
    if isinstance(layer, nn.Flatten):
        return pull.view_as(before)
    raise TeachlibError(f"the gradient of {type(layer).__name__} is not known here; expected the layers of an encoder")


class Refusing(nn.Module):
    """A GMM-VAE that refuses: an image → class scores, latent ratio of each class, pixel ratio, reconstruction.

    Args:
        model: trained.
        prior: with measured covariances.
        latent: threshold of codes.
        pixels: threshold of squared errors.
    """

    def __init__(self, model: GMMVAE, prior: MixturePrior, latent: float, pixels: float) -> None:
        super().__init__()
        self.model, self.prior, self.latent, self.pixels = model, prior, latent, pixels

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """As :func:`teachlib.gmmvae.by_likelihood` measures."""
        z = self.model.encode(x)
        rebuilt = self.model.decode(z)
        ratios = self.prior.mahalanobis(z) / self.latent
        return -self.prior.squared_distances(z), ratios, reconstruction_error(x, rebuilt) / self.pixels, rebuilt


class Ascent(nn.Module):
    """Which way an image's code leaves its class for the nearest other: (1, C, H, W) and a one-hot label → gradient.

    What grows is ‖z − μ_label‖² − ‖z − μ_other‖², whose gradient by z is 2(μ_other − μ_label).
    """

    def __init__(self, model: GMMVAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """The gradient by the image."""
        distances = self.model.prior.squared_distances(self.model.encode(x))
        other = F.one_hot((distances + 1e6 * label).argmin(1), label.shape[1]).to(x)
        return input_gradient(self.model.encoder, x, 2 * (other - label) @ self.model.prior.means)


def refusing(chapter: Chapter[Any, Model, Any]) -> Demo:
    """A reader's handwriting: classified or refused, and attacked step by step."""
    model = chapter.from_zoo("gmm-vae", "mnist")
    if not isinstance(model, GMMVAE):
        raise TeachlibError("the zoo's gmm-vae of MNIST is no GMM-VAE; reinstall teachlib")
    measured = read_results("thresholds", "mnist")["gmm-vae"]
    colouring = torch.tensor(measured["whitening"], dtype=torch.float64).inverse()  # W⁻¹W⁻ᵀ is the covariance
    prior = MixturePrior(model.prior.means, model.prior.variance, (colouring @ colouring.mT).float())
    net = Refusing(model, prior, **measured["thresholds"])
    label = F.one_hot(torch.tensor([3]), model.recipe.classes).float()
    parts = {
        "judge": Graph(net, {"x": _image(model)}, ("scores", "latent", "pixels", "rebuilt")),
        "ascent": Graph(Ascent(model), {"x": _image(model), "label": label}, ("gradient",)),
    }
    return Demo(parts, Path(__file__).with_name("refusing.js"), {"side": model.recipe.size})
