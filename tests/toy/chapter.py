"""The toy, to everything that chapters share."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor, nn

from teachlib import data
from teachlib.chapter import Chapter, Measured, Option, Run, Shipped
from teachlib.errors import require_at_least, unknown
from teachlib.scale import Scale
from teachlib.training import Schedule
from toy.tables import TABLES, page


@dataclass(frozen=True)
class Recipe:
    name: str
    dataset: str
    scale: str
    latent: int
    noise_level: float
    steps: int
    batch_size: int = 20
    plateau_patience: int | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def recipe(
    name: str,
    dataset: str = "digits",
    *,
    scale: str | Scale | None = None,
    width: int | None = None,
    steps: int | None = None,
    noise_level: float = 0.1,
) -> Recipe:
    if name != "toy-pca":
        raise unknown("recipe", name, ("toy-pca",))
    require_at_least(1, width=width, steps=steps)
    chosen = Scale.of(scale)
    return Recipe(name, dataset, chosen.value, width or 4, noise_level, steps or (5 if chosen is Scale.CI else 60))


class Linear(nn.Module):
    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.encoder, self.decoder = nn.Linear(64, recipe.latent), nn.Linear(recipe.latent, 64)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x.flatten(1))).view_as(x)


class Objective:
    def __init__(self, model: Linear) -> None:
        self.noise = model.recipe.noise_level
        self.nets: dict[str, nn.Module] = {"encoder": model.encoder, "decoder": model.decoder}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"toy": torch.optim.Adam([w for net in self.nets.values() for w in net.parameters()], lr=1e-2)}

    def updates(
        self, batch: tuple[Tensor, Tensor], generator: torch.Generator, step: int
    ) -> Iterator[tuple[str, Tensor]]:
        yield "toy", self.validation_loss(batch, generator)

    def validation_loss(self, batch: tuple[Tensor, Tensor], generator: torch.Generator) -> Tensor:
        x = batch[0].flatten(1)
        noisy = x + self.noise * torch.randn(x.shape, generator=generator, device=x.device)
        return (self.nets["decoder"](self.nets["encoder"](noisy)) - x).square().mean()


def toy_say(runs: Annotated[list[Path], typer.Argument()], word: Annotated[str, typer.Option()] = "hello") -> None:
    """Say a word to each run."""
    for run in runs:
        model, _ = CHAPTER.open_run(run)
        print(f"{word}, {model.recipe.name}")


class Toy(Chapter[Recipe, Linear, data.ImageData]):
    key, title = "toy", "the toy"
    table, dataset = "toy", "digits"
    options = {"noise_level": Option("Standard deviation of noise on training images.", 0.1)}
    zoo = (Shipped("toy-pca", "digits", {"noise_level": 0.2}),)
    tables, page = TABLES, staticmethod(page)
    commands = {"toy-say": toy_say}
    recipe = staticmethod(recipe)

    def from_dict(self, values: dict[str, Any]) -> Recipe:
        return Recipe(**values)

    def load(self, recipe: Recipe, split: str, limit: int | None) -> data.ImageData:
        return data.load(recipe.dataset, split, limit=limit)

    def build(self, recipe: Recipe, training: data.ImageData | None) -> Linear:
        return Linear(recipe)

    def parts(self, model: Linear) -> dict[str, nn.Module]:
        return {"encoder": model.encoder, "decoder": model.decoder}

    def objective(self, recipe: Recipe, model: Linear, training: data.ImageData, seed: int) -> Objective:
        return Objective(model)

    def measure(self, runs: Sequence[Run[Linear]], samples: int, extractor: str | None) -> Measured:
        test = data.load(runs[0].recipe["dataset"], "test").first(samples)
        x = test[:][0]
        with torch.no_grad():
            rows = [{"error": (run.model(x) - x).square().mean().item()} for run in runs]
        return Measured(rows, "squared error a pixel", len(x), {"data_sha256": {"test": test.sha256}})

    def schedule(self, recipe: Recipe, seed: int, log_every: int) -> Schedule:
        return replace(super().schedule(recipe, seed, log_every), ema_half_life=1.0, ema_ramp=0)


CHAPTER = Toy()
