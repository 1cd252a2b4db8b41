"""The inverse of a GAN that is told what to show: its style, inferred by an encoder that is trained afterwards.

A GIF (:mod:`teachlib.gif`) has two inputs. One, a rendering, is known of a photograph whose parameters are; the other,
a style, is what an InvGAN would infer. With it a photograph can be shown in another pose, in its own style.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from teachlib.errors import TeachlibError, require_as_many, require_at_least, require_shape
from teachlib.gif.models import Face
from teachlib.gif.told import Told
from teachlib.invgan.losses import code_error, pixel_error
from teachlib.invgan.networks import DCGANInference
from teachlib.invgan.objective import frozen
from teachlib.modes import evaluating
from teachlib.training import Batch, Schedule, fit

_DRAWN = 2_000  # styles, of whose codes mean and deviation are taken
_PICTURES = 10.0  # weight of the error in pixels, as InvGAN's


class StyleEncoder(nn.Module):
    """From photographs and what a generator is told of them to codes of their style.

    Args:
        face: a GIF that is told renderings; it does not change.
        width: channels of the first layer.

    Shapes: (N, 3, size, size) in [0, 1], (N, K, size, size) in [-1, 1] → (N, w_dim).

    Raises:
        TeachlibError: a model that is told vectors: all of its code is the style's and the vector's at once.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, face: Face, *, width: int = 16) -> None:
        super().__init__()
        require_at_least(1, width=width)
        if not face.recipe.renderings:
            raise TeachlibError(f"{face.recipe.name} is told a vector, which its code repeats; expected a GIF")
        self._given = (face,)  # no part of this model
        told, size = 3 * len(face.recipe.renderings), face.recipe.size
        mapping, _ = face.generator.networks()
        with torch.no_grad(), evaluating(face):
            codes = mapping(torch.randn(_DRAWN, face.recipe.width, generator=torch.Generator().manual_seed(0)))
        self.net = DCGANInference(codes.shape[1], channels=3 + told, size=size, width=width)
        self.net.logit = None
        self.register_buffer("mean", codes.mean(0))
        self.register_buffer("deviation", codes.std(0).clamp_min(1e-6))

    @property
    def face(self) -> Face:
        """Whose styles are inferred."""
        return self._given[0]

    def forward(self, pictures: Tensor, told: Tensor) -> Tensor:
        """Infer codes, within four deviations of the prior's."""
        size = self.face.recipe.size
        require_shape(pictures, (3, size, size))
        require_shape(told, (self.net.image[0] - 3, size, size))
        require_as_many(pictures=pictures, renderings=told)
        seen = self.net(torch.cat([pictures, told / 2 + 0.5], 1)).codes
        return self.mean + self.deviation * seen

    def generate(self, w: Tensor, told: Tensor) -> Tensor:
        """Pictures of codes (N, w_dim) and of what is told, (N, 3, size, size) in [0, 1]."""
        require_shape(w, tuple(self.mean.shape))
        require_as_many(codes=w, renderings=told)
        _, synthesis = self.face.generator.networks()
        every = w[:, None].expand(-1, synthesis.config.layers + 1, -1)
        return (self.face.generator.synthesize(every, told, None, None) / 2 + 0.5).clamp(0, 1)


class StyleObjective:
    """What trains the encoder: photographs rebuilt in pixels, and the known codes of samples."""

    def __init__(self, encoder: StyleEncoder, training: Told) -> None:
        self.encoder, self.training = encoder, training
        self.nets: dict[str, nn.Module] = {"encoder": encoder}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One Adam."""
        return {"step": torch.optim.Adam(self.encoder.parameters(), 5e-4)}

    def updates(self, batch: Batch, generator: torch.Generator, step: int) -> Iterator[tuple[str, Tensor]]:
        """One update; a batch is pictures and their numbers."""
        images, numbers = batch
        encoder, face = self.encoder, self.encoder.face.to(images.device)
        told = face.told(self.training.vectors[numbers.cpu()], self.training.condition(numbers.cpu())).to(images.device)
        mapping, _ = face.generator.networks()
        with torch.no_grad():
            style = torch.randn(len(images), face.recipe.width, generator=generator, device=generator.device)
            wanted = mapping(style.to(images.device))
            samples = encoder.generate(wanted, told)
        net = self.nets["encoder"]
        rebuilt = encoder.generate(net(images, told), told)
        scaled = [(w - encoder.mean) / encoder.deviation for w in (wanted, net(samples, told))]
        yield "step", _PICTURES * pixel_error(images, rebuilt) + code_error(*scaled)


def train_style_encoder(
    face: Face,
    training: Told,
    *,
    steps: int,
    width: int = 16,
    batch_size: int = 32,
    seed: int = 0,
    progress: bool = False,
) -> StyleEncoder:
    """Train an encoder of styles; the generator is left as it was.

    Args:
        face: a GIF that is told renderings.
        training: photographs, and what is known of each.
        steps: of Adam.
        width: channels of the encoder's first layer.
        batch_size: photographs a step.
        seed: of weights and batches.
        progress: show a bar.

    Returns:
        The encoder, in evaluation mode.

    Raises:
        TeachlibError: a model that is told vectors; photographs of another size; no step.
    """
    require_at_least(1, steps=steps, batch_size=batch_size)
    require_shape(training.images, (3, face.recipe.size, face.recipe.size))
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        encoder = StyleEncoder(face, width=width)
        with evaluating(face), frozen(face):
            fit(StyleObjective(encoder, training), training, Schedule(steps, batch_size, seed=seed), progress=progress)
    face.cpu()
    return encoder.cpu().eval()
