"""Other models with a way back, of networks of InvGAN's kind: BiGAN, ALAE and VAE-GAN (thesis § 6.2).

Each has an encoder of its own beside what judges, so that it has more weights than an InvGAN of the same width. An
autoencoder without a game is an :class:`teachlib.invgan.InvGAN` whose game has no weight.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from teachlib.errors import require_as_many, require_input
from teachlib.gif.losses import r1_penalty
from teachlib.invgan.losses import code_error, feature_matching, pixel_error
from teachlib.invgan.networks import Inference, InvGAN, Mapping, generator_of, inference_of
from teachlib.invgan.objective import Together, frozen
from teachlib.invgan.recipes import Recipe
from teachlib.nets import normalize_layers
from teachlib.primer.gan import discriminator_loss, generator_loss

_ALAE_GAMMA = 10.0  # of its R1, as its authors have it


class JointJudge(nn.Module):
    """BiGAN's discriminator: whether an image and a code belong together.

    Args:
        trunk: that looks at images.
        w_dim: of codes.

    Shapes: (N, C, H, W) in [0, 1], (N, w_dim) → logits (N,), large for an image and what the encoder says of it.
    """

    def __init__(self, trunk: Inference, w_dim: int) -> None:
        super().__init__()
        self.trunk, self.w_dim, width = trunk, w_dim, 4 * w_dim
        self.code = nn.Sequential(nn.Linear(w_dim, width), nn.LeakyReLU(0.2))
        self.joint = nn.Sequential(nn.Linear(trunk.length + width, width), nn.LeakyReLU(0.2), nn.Linear(width, 1))
        normalize_layers(self.code)
        normalize_layers(self.joint)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Judge pairs.

        Raises:
            TeachlibError: images or codes of another shape or precision, or not as many of both.
        """
        require_input(self, x, self.trunk.image)
        require_input(self, w, (self.w_dim,), what="codes")
        require_as_many(pictures=x, codes=w)
        flat, _ = self.trunk.described(2 * x - 1)
        return self.joint(torch.cat([flat, self.code(w)], 1)).flatten()


class Encoding(InvGAN):
    """A generator, an encoder, and something that judges.

    Args:
        recipe: of :data:`teachlib.invgan.recipes.RIVALS`; it decides what judges what.
    """

    def __init__(self, recipe: Recipe) -> None:
        nn.Module.__init__(self)
        self.w_dim, self.image = recipe.w_dim, recipe.shape
        backbone, shape, width = recipe.backbone, recipe.shape, recipe.width
        varies = (
            recipe.name == "vae-gan"
        )  # its prior is one of the codes themselves, of which a variance is inferred too
        self.mapping = nn.Identity() if varies else Mapping(recipe.w_dim, 4 * recipe.w_dim)
        self.generator = generator_of(backbone, shape, width=width, w_dim=recipe.w_dim)
        self.encoder = inference_of(backbone, shape, width=width, w_dim=recipe.w_dim * (2 if varies else 1))
        self.encoder.logit = None
        self.describes = varies
        self.discriminator = self._judge(recipe)

    def _judge(self, recipe: Recipe) -> nn.Module:
        if recipe.name == "alae":
            return judge_of_codes(recipe.w_dim)
        trunk = inference_of(recipe.backbone, recipe.shape, width=recipe.width, w_dim=recipe.w_dim, infers=False)
        if recipe.name == "vae-gan":
            return trunk
        trunk.logit = None  # it would judge images alone
        return JointJudge(trunk, recipe.w_dim)

    @property
    def infers(self) -> bool:
        """The encoder does."""
        return True

    def infer(self, x: Tensor) -> Tensor:
        """Codes of images (N, C, size, size) in [0, 1], (N, w_dim); of a VAE-GAN the means."""
        return self.encoder(x).codes[:, : self.w_dim]


def judge_of_codes(w_dim: int) -> nn.Sequential:
    """ALAE's last part of the discriminator, (N, w_dim) → (N, 1)."""
    width = 4 * w_dim
    return nn.Sequential(
        *(nn.Linear(w_dim, width), nn.LeakyReLU(0.2)),
        *(nn.Linear(width, width), nn.LeakyReLU(0.2)),
        nn.Linear(width, 1),
    )


class BiGAN(Together):
    """Pairs of an image and its inferred code against pairs of a code and its image (Donahue et al., Dumoulin et al.).

    The judge says "real" to an image with the code that the encoder infers of it, "generated" to a code of the prior
    with the image that the generator makes of it. Encoder and generator descend the loss with both answers exchanged.
    """

    model: Encoding

    def losses(self, images: Tensor, generator: torch.Generator, labels: Tensor | None = None) -> dict[str, Tensor]:
        """The judge's loss, and that of encoder and generator."""
        judge = self.nets["discriminator"]
        prior = self.prior(len(images), generator)
        made, inferred = self.nets["generator"](prior), self.nets["encoder"](images).codes
        with frozen(judge):
            fooled = softplus(judge(images, inferred)).mean() + softplus(-judge(made, prior)).mean()
        game = discriminator_loss(judge(images, inferred.detach()), judge(made.detach(), prior.detach()))
        return {"game": game, "fool": fooled}

    def judged(self, images: Tensor) -> Tensor:
        """Logits of images with the codes that are inferred of them."""
        with torch.no_grad():
            codes = self.nets["encoder"](images).codes
        return self.nets["discriminator"](images, codes)


class ALAE(Together):
    """Adversarial latent autoencoders (Pidhorskyi et al., 2020): the game is played on codes, and codes are compared.

    What judges is a small network on the encoder's output; both learn to tell images from samples, with R1. The
    generator never decodes the code of a real image.
    """

    model: Encoding

    def losses(self, images: Tensor, generator: torch.Generator, labels: Tensor | None = None) -> dict[str, Tensor]:
        """The game, the generator's part in it, the error of codes, and R1."""
        encoder, judge = self.nets["encoder"], self.nets["discriminator"]
        prior = self.prior(len(images), generator)
        made = self.nets["generator"](prior)
        game = discriminator_loss(self.judged(images), self.judged(made.detach()))
        with frozen(encoder), frozen(judge):
            fool = generator_loss(self.judged(made))
        return {
            "game": game,
            "fool": fool,
            # In a pass of its own, as it moves generator and encoder, and not the mapping.
            "codes": code_error(prior.detach(), encoder(self.nets["generator"](prior.detach())).codes),
            "smooth": r1_penalty(self.judged, images, _ALAE_GAMMA / images[0].numel()),
        }

    def judged(self, images: Tensor) -> Tensor:
        """Logits of images, from their codes."""
        return self.nets["discriminator"](self.nets["encoder"](images).codes).flatten()


class VAEGAN(Together):
    """A variational autoencoder that is judged (Larsen et al., 2016), the one that never was a GAN.

    Likelihood is that of the discriminator's features and of pixels; codes are drawn from N(μ, σ²), and kept near
    N(0, I). Both reconstructions and samples are judged.
    """

    model: Encoding

    def losses(self, images: Tensor, generator: torch.Generator, labels: Tensor | None = None) -> dict[str, Tensor]:
        """The game, the decoder's part in it, both errors of reconstructions, and the divergence from the prior."""
        judge, generate = self.nets["discriminator"], self.nets["generator"]
        prior = self.prior(len(images), generator)
        mean, log_variance = self.nets["encoder"](images).codes.chunk(2, 1)
        noise = torch.randn(mean.shape, generator=generator, device=generator.device).to(mean)
        rebuilt, made = generate(mean + (log_variance / 2).exp() * noise), generate(prior)
        real = judge(images)
        with frozen(judge):
            again, seen = judge(rebuilt), judge(made)
        both = torch.cat([rebuilt, made]).detach()
        return {
            "game": discriminator_loss(real.logits, judge(both).logits),
            "fool": generator_loss(torch.cat([again.logits, seen.logits])),
            "pixels": pixel_error(images, rebuilt),
            "features": feature_matching(real.features, again.features),
            "divergence": (mean.square() + log_variance.exp() - log_variance - 1).sum(1).mean() / 2,
        }

    def weights(self) -> dict[str, float]:
        """Pixels and features as InvGAN has them by default; the divergence over the number of pixels."""
        _, height, width = self.recipe.shape
        return {"pixels": 10.0, "features": 1.0, "divergence": 10.0 / (height * width)}


OBJECTIVES: dict[str, type[Together]] = {"bigan": BiGAN, "alae": ALAE, "vae-gan": VAEGAN}
