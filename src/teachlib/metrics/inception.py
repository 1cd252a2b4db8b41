"""Features of the Inception network that published FID numbers rest on, through torch-fidelity."""

import hashlib
import io
import os
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from teachlib.data import data_root
from teachlib.errors import TeachlibError, require_images
from teachlib.modes import in_evaluation_mode

FILE = "pt_inception-2015-12-05-6726825d.pth"
SHA256 = "6726825d"
INSTEAD = "without it, measure with a classifier of the zoo and call the number by its data set (FD-glyphs), not FID"


def inception_features(images: Tensor, *, weights: Path | None = None, batch_size: int = 50) -> Tensor:
    """Pool features of Inception-v3 as FID uses them (Heusel et al. 2017; weights of 2015-12-05).

    Args:
        images: (N, C, H, W) in [0, 1], C = 1 or 3, any size; rounded to bytes, enlarged to 299×299 by the network.
        weights: the file of weights; ``None`` takes ``TEACHLIB_INCEPTION``, else ``inception/`` in the data folder.
        batch_size: images at a time, on the device that ``images`` is on.

    Returns:
        (N, 2048) float32 on the CPU.

    Raises:
        TeachlibError: torch-fidelity or the weights are missing; a file that is not those weights; other images.
    """
    return extract(_network(weights_file(weights)), images, batch_size)


def weights_file(weights: Path | None = None) -> Path:
    """Where the weights lie: ``weights``, else ``TEACHLIB_INCEPTION``, else ``inception/`` in the data folder."""
    return Path(weights or os.environ.get("TEACHLIB_INCEPTION") or data_root() / "inception" / FILE)


def read_checked(file: Path, sha256: str = SHA256) -> bytes:
    """The file's bytes, if their hash begins with ``sha256``; nothing has interpreted them before.

    Raises:
        TeachlibError: missing file, or another hash.
    """
    if not file.is_file():
        raise TeachlibError(
            f"missing {file}; get {FILE} from the releases of pytorch-fid on GitHub (tag fid_weights) "
            f"and put it there, or set TEACHLIB_INCEPTION to it; {INSTEAD}"
        )
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if not digest.startswith(sha256):
        raise TeachlibError(
            f"{file}: not the Inception weights, so it was not opened (sha256 {digest[:8]}…, expected {sha256}…); "
            f"get {FILE} from the releases of pytorch-fid on GitHub again; {INSTEAD}"
        )
    return content


@lru_cache(maxsize=1)
def _network(file: Path) -> nn.Module:
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError:
        raise TeachlibError(
            f"torch-fidelity is not installed; run: pip install 'torch-fidelity>=0.3', besides {file}; {INSTEAD}"
        ) from None
    # torch-fidelity unpickles whatever it is given. It gets what torch's restricted unpickler let through.
    clean = io.BytesIO()
    torch.save(torch.load(io.BytesIO(read_checked(file)), map_location="cpu", weights_only=True), clean)
    clean.seek(0)
    network: nn.Module = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=clean)
    return network


@torch.no_grad()
@in_evaluation_mode
def extract(network: nn.Module, images: Tensor, batch_size: int = 50) -> Tensor:
    """First output of a torch-fidelity ``network`` for ``images``, as :func:`inception_features` describes.

    Returns:
        (N, D) float32 on the CPU.

    Raises:
        TeachlibError: images of another shape or range.
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not len(images):
        raise TeachlibError(f"images have shape {tuple(images.shape)}; expected (N, 1 or 3, H, W)")
    require_images(images)
    network, features = network.to(images.device), []
    for batch in images.split(batch_size):
        colour = (batch * 255).round().clamp(0, 255).to(torch.uint8).expand(-1, 3, -1, -1)
        features.append(network(colour)[0].float().cpu())
    return torch.cat(features)
