"""Autoencoders of sequences: networks, losses, and the objective that trains them."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from teachlib.errors import TeachlibError, require_input
from teachlib.rae.grammar.recipes import SequenceRecipe
from teachlib.rae.grammar.strings import language
from teachlib.rae.losses import constant_variance_kl, kl_divergence, latent_penalty, sample_posterior, weight_penalty

CHUNK = 1_000  # sequences at a time


class SequenceEncoder(nn.Module):
    """Three convolutions along the sequence and a dense layer: (N, T) numbers → (N, outputs·d).

    Args:
        size: R, choices at each step.
        length: T.
        outputs: 2 for mean and log-variance.
        recipe: other sizes.
    """

    def __init__(self, size: int, length: int, outputs: int, recipe: SequenceRecipe) -> None:
        super().__init__()
        self.size, self.length = size, length
        layers: list[nn.Module] = []
        channels = size
        for filters, kernel in zip(recipe.filters, recipe.kernels, strict=True):
            layers += [nn.Conv1d(channels, filters, kernel), nn.ReLU()]
            layers += [nn.BatchNorm1d(filters)] if recipe.batch_norm else []
            channels, length = filters, length - kernel + 1
        layers += [nn.Flatten(), nn.Linear(channels * length, recipe.dense), nn.ReLU()]
        self.net = nn.Sequential(*layers, nn.Linear(recipe.dense, outputs * recipe.latent))

    def forward(self, tokens: Tensor) -> Tensor:
        """What the encoder says of each sequence.

        Raises:
            TeachlibError: what is no sequence of such numbers.
        """
        _require_sequences(tokens, self.length, self.size)
        one_hot = F.one_hot(tokens, self.size).movedim(1, 2)
        return self.net(one_hot.to(next(self.parameters()).dtype))


def _require_sequences(tokens: Tensor, length: int, size: int) -> None:
    if tokens.ndim != 2 or tokens.shape[1] != length or tokens.is_floating_point():
        found = f"{tuple(tokens.shape)}, {tokens.dtype}"
        raise TeachlibError(f"sequences of shape {found}; expected (N, {length}), whole numbers below {size}")


class SequenceDecoder(nn.Module):
    """The code, repeated at every step, through three GRUs: (N, d) → scores (N, T, R).

    All steps are written at once: no step sees what an earlier one chose.

    Args:
        size: R.
        length: T.
        recipe: other sizes.
    """

    def __init__(self, size: int, length: int, recipe: SequenceRecipe) -> None:
        super().__init__()
        self.length, self.latent = length, recipe.latent
        norm: list[nn.Module] = [nn.BatchNorm1d(recipe.latent)] if recipe.batch_norm else []
        self.begin = nn.Sequential(*norm, nn.Linear(recipe.latent, recipe.latent), nn.ReLU())
        self.recurrent = nn.GRU(recipe.latent, recipe.hidden, num_layers=3, batch_first=True)
        self.end = nn.Linear(recipe.hidden, size)

    def forward(self, z: Tensor) -> Tensor:
        """Scores of every choice at every step.

        Raises:
            TeachlibError: codes of another shape or precision.
        """
        require_input(self, z, (self.latent,), what="codes")
        repeated = self.begin(z)[:, None].expand(-1, self.length, -1)
        return self.end(self.recurrent(repeated)[0])


class SequenceAutoencoder(nn.Module):
    """Strings ↔ codes.

    Args:
        recipe: sizes and variant.
    """

    def __init__(self, recipe: SequenceRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.codec = language(recipe.dataset).codec(rules=recipe.rules)
        outputs = 2 if recipe.learned_variance else 1
        self.encoder: nn.Module = SequenceEncoder(self.codec.size, self.codec.length, outputs, recipe)
        self.decoder: nn.Module = SequenceDecoder(self.codec.size, self.codec.length, recipe)

    @torch.no_grad()
    def encode(self, tokens: Tensor) -> Tensor:
        """The code of each sequence (N, T), (N, d): the posterior's mean where there is a posterior."""
        outputs = [self.encoder(part) for part in tokens.split(CHUNK)]
        return torch.cat(outputs)[:, : self.recipe.latent]

    @torch.no_grad()
    def scores(self, z: Tensor) -> Tensor:
        """The decoder's scores (N, T, R) of codes (N, d)."""
        return torch.cat([self.decoder(part) for part in z.split(CHUNK)])

    def decode(self, z: Tensor, generator: torch.Generator | None = None) -> list[str | None]:
        """The string of each code (N, d), the likeliest choices or drawn ones; ``None`` for no string."""
        return self.codec.decode(self.scores(z), generator)


def sequence_loss(logits: Tensor, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
    """−log P(sequence) in nats, (N,): at each step a softmax over the choices that the mask leaves open.

    Args:
        logits: scores (N, T, R).
        tokens: what was chosen, (N, T).
        mask: open choices (N, T, R) bool, the chosen ones among them; ``None``: all.
    """
    if mask is not None:
        logits = logits.masked_fill(~mask, -torch.inf)
    return F.cross_entropy(logits.movedim(2, 1), tokens, reduction="none").sum(1)


def released_sequence_loss(logits: Tensor, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
    """What the published code descends: T times the mean binary cross-entropy over all steps and choices; a scalar."""
    if mask is not None:
        logits = logits.masked_fill(~mask, -torch.inf)
    probabilities = logits.softmax(2).clamp(1e-7, 1 - 1e-7)  # its framework's clamp
    target = F.one_hot(tokens, logits.shape[2]).to(logits)
    return tokens.shape[1] * F.binary_cross_entropy(probabilities, target)


class SequenceObjective:
    """How the four models of strings are trained: one update a batch.

    Attributes:
        nets: encoder and decoder; :func:`teachlib.training.fit` replaces them by wrapped ones that it trains.
    """

    def __init__(self, model: SequenceAutoencoder) -> None:
        self.recipe, self.codec = model.recipe, model.codec
        self.nets: dict[str, nn.Module] = {"encoder": model.encoder, "decoder": model.decoder}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam over the whole autoencoder."""
        parameters = [weight for net in self.nets.values() for weight in net.parameters()]
        return {"autoencoder": torch.optim.Adam(parameters, lr=self.recipe.learning_rate, fused=True)}

    def updates(
        self, batch: tuple[Tensor, Tensor], generator: torch.Generator, step: int
    ) -> Iterator[tuple[str, Tensor]]:
        """The one loss of this batch."""
        yield "autoencoder", self.loss(batch[0], generator)

    def validation_loss(self, batch: tuple[Tensor, Tensor], generator: torch.Generator) -> Tensor:
        """The same of held-out strings."""
        return self.loss(batch[0], generator)

    def loss(self, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """Eq 3.5 with a log-likelihood, or Eq 3.11 with it, by the recipe.

        Args:
            tokens: (N, T) int64.
            generator: of the posterior's noise.
        """
        recipe, outputs = self.recipe, self.nets["encoder"](tokens)
        if not recipe.stochastic:
            loss = self._reconstruction(outputs, tokens) + recipe.beta * latent_penalty(outputs)
            return loss + recipe.lambda_ * weight_penalty(self.nets["decoder"].parameters())
        if recipe.deviation is None:
            mean, log_variance = outputs.chunk(2, dim=1)
            divergence = kl_divergence(mean, log_variance)
        else:
            mean, log_variance = outputs, torch.full_like(outputs, recipe.deviation).log() * 2
            divergence = constant_variance_kl(mean, recipe.deviation)
        if recipe.variant == "released":
            divergence = divergence / recipe.latent
        z = mean + recipe.noise * (sample_posterior(mean, log_variance, generator) - mean)
        assert recipe.kl_weight is not None
        return self._reconstruction(z, tokens) + recipe.kl_weight * divergence.mean()

    def _reconstruction(self, z: Tensor, tokens: Tensor) -> Tensor:
        logits, mask = self.nets["decoder"](z).float(), self.codec.mask(tokens)
        if self.recipe.variant == "released":
            return released_sequence_loss(logits, tokens, mask)
        return sequence_loss(logits, tokens, mask).mean()
