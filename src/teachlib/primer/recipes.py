"""Recipes of the primer: one image model of each family, ready to train at each scale.

The thesis trains none of these; all numbers are ours, chosen on validation images of the digits, and small enough that
1,197 training digits are not learned by heart.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import nn

from teachlib import data
from teachlib.errors import TeachlibError, require_at_least, unknown
from teachlib.primer import images
from teachlib.primer.objective import LossObjective
from teachlib.scale import Scale
from teachlib.training import Objective

_MODELS: dict[str, Callable[..., nn.Module]] = {
    "primer-vae": images.ImageVAE,
    "primer-gan": images.ImageGAN,
    "primer-diffusion": images.ImageDiffusion,
    "primer-pixelcnn": images.ImagePixelCNN,
    "primer-glow": images.ImageFlow,
    "primer-energy": images.ImageEnergy,
}
RECIPES = tuple(_MODELS)

# (model settings, steps, learning rate) for the 8×8 digits on a laptop, and for 32×32 images on a GPU.
_SMALL: dict[str, tuple[dict[str, Any], int, float]] = {
    "primer-vae": ({"latent": 8, "width": 128}, 4_000, 1e-3),
    "primer-gan": ({"latent": 16, "width": 128}, 6_000, 5e-4),
    "primer-diffusion": ({"width": 32, "steps": 200}, 2_500, 1e-3),
    "primer-pixelcnn": ({"width": 24, "layers": 5}, 2_000, 1e-3),
    "primer-glow": ({"width": 32, "layers": 6}, 3_000, 1e-3),
    "primer-energy": ({"width": 128}, 800, 5e-4),
}
_LARGE: dict[str, tuple[dict[str, Any], int, float]] = {
    "primer-vae": ({"latent": 32, "width": 1024}, 100_000, 5e-4),
    "primer-gan": ({"latent": 64, "width": 64}, 100_000, 2e-4),
    "primer-diffusion": ({"width": 64, "steps": 1000, "depth": 2}, 200_000, 2e-4),
    "primer-pixelcnn": ({"width": 96, "layers": 15}, 100_000, 5e-4),
    "primer-glow": ({"width": 256, "layers": 16}, 200_000, 5e-4),
    "primer-energy": ({"width": 1024}, 50_000, 5e-4),
}
_CI_STEPS = 20
CONDITIONAL = ("primer-vae", "primer-gan", "primer-diffusion", "primer-pixelcnn")


@dataclass(frozen=True)
class Recipe:
    """One image model of the primer.

    Attributes:
        name: of :data:`RECIPES`.
        dataset: of the catalogue.
        scale: the scale that the sizes were chosen for.
        shape: of an image, (C, H, W).
        levels: of a pixel: 17 for the digits, else 256.
        model: settings of the model's class.
        steps: updates in all.
        learning_rate: Adam's.
        batch_size: images a step, over all devices.
        conditional: whether p(x | class) is what is learned and measured.
    """

    name: str
    dataset: str
    scale: str
    shape: tuple[int, int, int]
    levels: int
    model: dict[str, Any] = field(hash=False)
    steps: int = 0
    learning_rate: float = 1e-3
    batch_size: int = 100
    conditional: bool = False

    @property
    def plateau_patience(self) -> None:
        """Learning rates stay as they are."""
        return None

    @property
    def label(self) -> str:
        """What runs and rows are called after."""
        return f"{self.name}-conditional" if self.conditional else self.name

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and results."""
        return {**asdict(self), "shape": list(self.shape)}

    def build(self, training: data.ImageData | None = None) -> nn.Module:
        """The untrained model.

        Args:
            training: what the energy model takes its noise's moments from; other models need none.
        """
        model = _MODELS[self.name](self.shape, self.levels, **self.model)
        if isinstance(model, images.ImageEnergy) and training is not None:
            model.start(training[:][0], torch.Generator().manual_seed(0))
        return model

    def objective(self, model: nn.Module) -> Objective:
        """What :func:`teachlib.training.fit` trains."""
        if isinstance(model, images.ImageGAN):
            return model.game
        return LossObjective(model, learning_rate=self.learning_rate)


def recipe(
    name: str,
    dataset: str = "digits",
    *,
    scale: str | Scale | None = None,
    width: int | None = None,
    steps: int | None = None,
    conditional: bool = False,
) -> Recipe:
    """The recipe called ``name`` for one data set and scale.

    Args:
        name: of :data:`RECIPES`.
        dataset: of the catalogue.
        scale: ``ci`` and ``laptop`` have the small sizes, ``paper`` the large ones.
        width: other than the recipe's.
        steps: other than the scale's.
        conditional: learn p(x | class). Diffusion then hides a tenth of the classes, so that it can do without.

    Raises:
        TeachlibError: unknown recipe, data set or scale; a width or number of steps below one; a model without a
            conditional version.
    """
    if name not in _MODELS:
        raise unknown("recipe", name, RECIPES)
    require_at_least(1, width=width, steps=steps)
    chosen, described = Scale.of(scale), data.entry(dataset)
    settings, full_steps, rate = (_LARGE if chosen is Scale.PAPER else _SMALL)[name]
    settings = settings | ({"width": width} if width else {})
    if name == "primer-gan":
        settings = settings | {"learning_rate": rate}
    if name == "primer-diffusion" and width and width % 8:
        raise TeachlibError(f"width is {width}; primer-diffusion normalizes in eight groups: take a multiple of 8")
    if conditional and name not in CONDITIONAL:
        raise TeachlibError(f"{name} has no conditional version; these have: {', '.join(CONDITIONAL)}")
    if conditional and described.classes < 2:
        raise TeachlibError(f"{dataset}: {described.classes} classes; p(x | class) needs two: a folder each")
    settings = settings | ({"classes": described.classes if conditional else 0} if name in CONDITIONAL else {})
    return Recipe(
        name=name,
        dataset=dataset,
        scale=chosen.value,
        shape=described.shape,
        levels=17 if dataset == "digits" else 256,
        model=settings,
        steps=steps or (_CI_STEPS if chosen is Scale.CI else full_steps),
        learning_rate=rate,
        conditional=conditional,
    )


def from_dict(values: dict[str, Any]) -> Recipe:
    """The recipe that :meth:`Recipe.as_dict` wrote.

    Raises:
        TeachlibError: not a recipe of this chapter.
    """
    if values.get("name") not in _MODELS:
        raise unknown("recipe", str(values.get("name")), RECIPES)
    try:
        # Before recipes said so, all with classes were measured by class, and diffusion had them in any case.
        classes = 0 if values["name"] == "primer-diffusion" else values["model"].get("classes", 0)
        return Recipe(**{"conditional": classes > 0, **values, "shape": tuple(values["shape"])})
    except (TypeError, KeyError):
        raise TeachlibError(f"not a recipe of the primer: {values}") from None
