"""Demos of the chapter that run in a reader's page."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from teachlib.chapter import Chapter
from teachlib.energy.assemble.networks import Assembler
from teachlib.energy.assemble.shapes import OBJECTS, SIZE, scenes
from teachlib.errors import TeachlibError
from teachlib.live import Demo, Graph, Part


def _painter(number: int) -> Callable[[Assembler, Tensor, Tensor, Tensor], Tensor]:
    def add(model: Assembler, picture: Tensor, conditions: Tensor, z: Tensor) -> Tensor:
        return model.add(number, picture, conditions, z)

    return add


def graphs(model: Assembler) -> dict[str, Graph]:
    """A painter an object: a picture, the boxes of all three and noise → the picture with its object."""

    def drawn(generator: torch.Generator) -> dict[str, Tensor]:
        """A real picture, real boxes, noise: of boxes that are none, nothing is expected."""
        asked = scenes(1, generator)
        noise = torch.randn(1, len(OBJECTS), model.z_dim, generator=generator)
        return {"picture": asked.draw(), "conditions": asked.conditions(), "z": noise}

    inputs = drawn(torch.Generator().manual_seed(0))
    return {kind: Graph(Part(model, _painter(number)), inputs, ("x",), drawn) for number, kind in enumerate(OBJECTS)}


def boxes(chapter: Chapter[Any, Any, Any]) -> Demo:
    """Three boxes to drag, and what three painters put into them, one after the other."""
    model = chapter.from_zoo("assemble").generator
    if not isinstance(model, Assembler):
        raise TeachlibError("the zoo's assemble is no assembler; reinstall teachlib")
    constants = {
        "objects": list(OBJECTS),
        "side": SIZE,
        "z": torch.randn(len(OBJECTS), model.z_dim, generator=torch.Generator().manual_seed(1)).flatten().tolist(),
    }
    return Demo(graphs(model), Path(__file__).with_name("boxes.js"), constants)
