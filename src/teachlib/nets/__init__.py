"""Networks that several chapters share."""

from teachlib.nets.autoencoder import ConvDecoder, ConvEncoder
from teachlib.nets.dcgan import DCGANDiscriminator, DCGANGenerator

__all__ = ["ConvDecoder", "ConvEncoder", "DCGANDiscriminator", "DCGANGenerator"]
