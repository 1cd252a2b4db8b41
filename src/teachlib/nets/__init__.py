"""Networks that several chapters share."""

from teachlib.nets.autoencoder import ConvDecoder, ConvEncoder
from teachlib.nets.dcgan import DCGANDiscriminator, DCGANGenerator
from teachlib.nets.denoiser import ImageDenoiser, VectorDenoiser
from teachlib.nets.mlp import mlp
from teachlib.nets.spectral import SpectralNorm, kernel_matrix, largest_singular_value, normalize_layers, spectral_norm

__all__ = [
    "ConvDecoder",
    "ConvEncoder",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "ImageDenoiser",
    "SpectralNorm",
    "VectorDenoiser",
    "kernel_matrix",
    "largest_singular_value",
    "mlp",
    "normalize_layers",
    "spectral_norm",
]
