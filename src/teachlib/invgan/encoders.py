"""Encoders that are trained after a generator, which stays as it is (thesis § 6.2, Table C.1)."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from teachlib.data import ImageData
from teachlib.errors import TeachlibError, require_at_least
from teachlib.invgan.losses import code_error, feature_matching, pixel_error
from teachlib.invgan.networks import DCGANInference, InvGAN, bounded
from teachlib.invgan.objective import frozen
from teachlib.modes import evaluating
from teachlib.training import Batch, Schedule, fit


@dataclass(frozen=True)
class Plan:
    """How an encoder is trained.

    Attributes:
        steps: of Adam.
        pictures: weight of the error of real pictures in pixels; 0: only codes of samples are learned, of which the
            true ones are known.
        features: weight of feature matching of real pictures, in the discriminator of the generator's own game.
        codes: weight of the error of the codes of samples.
        iterations: passes an image; with more than one, the encoder sees what its last answer makes beside the image,
            and names a step from there (ReStyle; Alaluf et al., 2021).
        width: channels of its first layer.
        seed: of weights and batches.
    """

    steps: int
    pictures: float = 0.0
    features: float = 0.0
    codes: float = 1.0
    iterations: int = 1
    width: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        require_at_least(1, steps=self.steps, iterations=self.iterations, width=self.width)
        require_at_least(0, pictures=self.pictures, features=self.features, codes=self.codes)
        if not self.pictures + self.features + self.codes:
            raise TeachlibError("an encoder that learns from nothing; expected a weight of pictures, features or codes")


class Encoder(nn.Module):
    """Infers the codes of a given generator.

    Args:
        model: whose codes; it is kept beside the weights, and is no part of them.
        plan: how many passes, and how wide.

    Shapes: (N, C, size, size) in [0, 1] → (iterations, N, w_dim), the codes after each pass; each pass starts from the
    codes of that before, detached. :meth:`infer` gives the last ones.
    """

    def __init__(self, model: InvGAN, plan: Plan) -> None:
        super().__init__()
        self._given, self.iterations = [model], plan.iterations  # in a list: nobody trains or stores it
        channels, size, _ = model.image
        looks = channels * (1 if plan.iterations == 1 else 2)
        self.net = DCGANInference(model.w_dim, channels=looks, size=size, width=plan.width)
        self.net.logit = None

    @property
    def model(self) -> InvGAN:
        """Whose codes are inferred."""
        return self._given[0]

    def forward(self, x: Tensor) -> Tensor:
        """Infer codes, pass by pass."""
        w, passes = x.new_zeros(len(x), self.model.w_dim), []  # begins with the mean of the prior
        for _ in range(self.iterations):
            if self.iterations == 1:
                w = self.net(x).codes
            else:
                with torch.no_grad():
                    made = self.model.generator(w)
                w = bounded(w.detach() + self.net(torch.cat([x, made], 1)).codes)
            passes.append(w)
        return torch.stack(passes)

    def infer(self, x: Tensor) -> Tensor:
        """Codes of images (N, C, size, size) in [0, 1], (N, w_dim)."""
        return self(x)[-1]


class EncoderObjective:
    """What trains an encoder; the generator stands in evaluation mode and gets no step."""

    def __init__(self, encoder: Encoder, plan: Plan) -> None:
        self.encoder, self.plan = encoder, plan
        self.nets: dict[str, nn.Module] = {"encoder": encoder}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One Adam."""
        return {"step": torch.optim.Adam(self.encoder.parameters(), 5e-4)}

    def updates(self, batch: Batch, generator: torch.Generator, step: int) -> Iterator[tuple[str, Tensor]]:
        """The sum over all passes."""
        images, plan = batch[0], self.plan
        encoder, model = self.nets["encoder"], self.encoder.model.to(images.device)
        with torch.no_grad():
            wanted = model.codes(len(images), generator)
            samples = model.generator(wanted)
        total = images.new_zeros(())
        if plan.codes:
            for w in encoder(samples):
                total = total + plan.codes * code_error(wanted, w)
        if plan.pictures or plan.features:
            goals = [layer.detach() for layer in model.discriminator(images).features] if plan.features else []
            for w in encoder(images):
                made = model.generator(w)
                total = total + plan.pictures * pixel_error(images, made)
                if plan.features:
                    total = total + plan.features * feature_matching(goals, model.discriminator(made).features)
        yield "step", total


def train_encoder(model: InvGAN, images: ImageData, plan: Plan, *, progress: bool = False) -> Encoder:
    """Train an encoder for a generator, which is left as it was.

    Args:
        model: whose codes are to be inferred.
        images: real ones, of the generator's shape.
        plan: what is learned from, and how long.
        progress: show a bar.

    Returns:
        The encoder, in evaluation mode.

    Raises:
        TeachlibError: images of another shape.
    """
    if plan.features and not model.describes:
        raise TeachlibError("this model's discriminator sees codes beside pictures; leave the weight of features at 0")
    if images.shape != model.image:
        raise TeachlibError(f"images of shape {images.shape}; the generator makes {model.image}")
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(plan.seed)
        encoder = Encoder(model, plan)
        with evaluating(model), frozen(model):
            fit(EncoderObjective(encoder, plan), images, Schedule(plan.steps, 64, seed=plan.seed), progress=progress)
    model.cpu()
    return encoder.cpu().eval()
