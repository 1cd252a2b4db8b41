"""Deep generative models, full and trainable: the library behind an executable course.

Every module of this package is imported after this file, so it is the one place that makes torchvision's
package usable beside a torch that has no CUDA build.
"""

import importlib.util
from importlib.metadata import version

import torch

__version__ = version("teachlib")


def _declare_missing_torchvision_operators() -> torch.library.Library | None:
    """Let ``import torchvision`` succeed beside a CPU-only torch.

    torchvision's wheel on the package index is compiled against CUDA; next to a CPU-only torch its C++ library
    does not load, and its Python part then fails because it registers fake kernels for ``nms``, which nobody
    declared. Declaring the two schemas is enough: nothing here calls them.
    """
    if torch.version.cuda is not None or importlib.util.find_spec("torchvision") is None:
        return None
    if hasattr(torch.ops.torchvision, "nms"):
        return None
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


# Kept alive by this name: the declarations vanish with the object.
_torchvision_operators = _declare_missing_torchvision_operators()
