"""What the first page opens with: a model that its reader can run."""

import torch

from teachlib import figures, invgan
from teachlib.figures.showing import demo_html

ALT = "Two rows of generated digits: one turns into another, and one leans ever more to the right."


def demo() -> str:
    """The demo of handwriting, with a still figure of the same model."""
    model = invgan.from_zoo("invgan-direct", "mnist")
    with torch.no_grad():
        codes = model.codes(2_000, torch.Generator().manual_seed(0))
    lean = invgan.direction(codes, invgan.slant(invgan.generate_all(model, codes)))
    along = torch.linspace(0, 1, 9)[:, None]
    ways = {"mixed": (1 - along) * codes[0] + along * codes[1], "slanted": codes[0] + (4 * along - 2) * lean}
    still = figures.strips({name: invgan.generate_all(model, way) for name, way in ways.items()})
    return f"```{{raw}} html\n{demo_html('by-hand', still, alt=ALT)}\n```"
