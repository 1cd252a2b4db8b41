"""Networks that several chapters share."""

from teachlib.nets.autoencoder import ConvDecoder, ConvEncoder
from teachlib.nets.dcgan import DCGANDiscriminator, DCGANGenerator
from teachlib.nets.denoiser import ImageDenoiser, VectorDenoiser
from teachlib.nets.mlp import mlp

__all__ = [
    "ConvDecoder",
    "ConvEncoder",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "ImageDenoiser",
    "VectorDenoiser",
    "mlp",
]
