"""The density-estimation primer (thesis chapter 2)."""

from teachlib.primer.gan import DCGANObjective, discriminator_loss, generator_loss

__all__ = ["DCGANObjective", "discriminator_loss", "generator_loss"]
