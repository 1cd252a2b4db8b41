"""Deep generative models, full and trainable: the library behind an executable course.

Every module of this package is imported after this file, so it is the one place that makes torchvision's package usable
beside a torch that has no CUDA build. It imports neither of them: ``teachlib --help`` answers without torch.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

__version__ = version("teachlib")


def _refuse_windows() -> None:
    """Say at once what would otherwise fail at the first lock, or at the first file that is replaced while it is open.

    Raises:
        ImportError: to whoever imports the library; the command ends with the same line, and without a traceback.
    """
    said = "teachlib runs on Linux and macOS; on Windows, install it within WSL 2, which is Linux"
    if Path(sys.argv[0]).stem in ("teachlib", "-m"):
        sys.exit(said)
    raise ImportError(said)


if sys.platform == "win32":
    _refuse_windows()


class _BeforeTorchvision(MetaPathFinder):
    """Finds nothing; the moment somebody imports torchvision, it declares what torchvision's Python part will miss.

    torchvision's wheel on the package index is compiled against CUDA; next to a CPU-only torch its C++ library does not
    load, and its Python part then fails because it registers fake kernels for ``nms``, which nobody declared. Declaring
    the two schemas is enough: nothing here calls them.
    """

    declared: Any = None  # kept alive: the declarations vanish with the object

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Always ``None``, so that the usual finders go on."""
        if fullname == "torchvision":
            sys.meta_path.remove(self)
            spec = PathFinder.find_spec("torchvision")
            if spec is not None and spec.origin is not None:
                self._declare(Path(spec.origin).parent)
        return None

    def _declare(self, package: Path) -> None:
        import torch

        if torch.version.cuda is not None or hasattr(torch.ops.torchvision, "nms"):
            return
        try:
            for library in package.glob("_C.*"):
                torch.ops.load_library(library)  # a wheel that fits this torch brings the operators itself
        except OSError:
            self.declared = torch.library.Library("torchvision", "DEF")
            self.declared.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            self.declared.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


_before_torchvision = _BeforeTorchvision()
if "torchvision" not in sys.modules:
    sys.meta_path.insert(0, _before_torchvision)
