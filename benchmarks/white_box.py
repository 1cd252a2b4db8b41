"""The white-box attack of Eq 4.9 on handwriting: `python benchmarks/white_box.py [--record src/teachlib/measured]`.

On the zoo's GMM-VAE of MNIST, for several exponents a = b, and for both ways to set the threshold on codes: the
quantile that codes would have if they followed their Gaussian, as the thesis has it, and that of held-out codes.
"""

import argparse
import time
from pathlib import Path

import torch
from torch import Tensor

from teachlib import gmmvae
from teachlib.gmmvae import attacks
from teachlib.gmmvae.evaluation import RATE
from teachlib.gmmvae.selective import RULES, SelectiveClassifier
from teachlib.results import provenance, refuse_another_row, row_file, spread, write_result


def attacked(
    classifier: SelectiveClassifier, x: Tensor, labels: Tensor, *, exponent: float, steps: int
) -> dict[str, float]:
    """Shares of what becomes of the pictures, and how long a change is."""
    # Each digit to be taken for another one, and all others alike.
    targets = (labels + 1 + torch.arange(len(labels)) % 9) % 10
    moved = attacks.white_box(classifier, x, targets, a=exponent, b=exponent, steps=steps)
    found = classifier.decide(moved)
    return {
        **vars(gmmvae.outcome(found, labels)),
        "accepted as asked": (found.accepted & (found.labels == targets)).double().mean().item(),
        "length, median": (moved - x).flatten(1).norm(dim=1).median().item(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, help="folder that rows are written to")
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rules", choices=RULES, nargs="+", default=RULES)
    parser.add_argument("--exponents", type=float, nargs="+", default=(1.0, 1.5, 2.0, 3.0))
    options = parser.parse_args()
    model = gmmvae.from_zoo("gmm-vae", "mnist")
    train, held_out, test = (gmmvae.load("mnist", split) for split in ("train", "validation", "test"))
    x, labels = test.first(options.pictures)[:]
    for rule in options.rules:
        classifier = gmmvae.selective(model, train, held_out, latent=rule)
        for exponent in options.exponents:
            recipe = model.recipe.as_dict() | {"exponent": exponent, "rule": rule, "steps_of_attack": options.steps}
            label = f"gmm-vae+exponent={exponent}+rule={rule}"
            if options.record:
                refuse_another_row(row_file(options.record, "white-box", label, "mnist"), recipe)
            begun = time.perf_counter()
            values = attacked(classifier, x, labels, exponent=exponent, steps=options.steps)
            print(label, {name: round(value, 3) for name, value in values.items()}, flush=True)
            if options.record:
                result = {
                    "recipe": recipe,
                    "metric": f"shares of attacked digits; each threshold is to refuse {RATE:g} of clean ones",
                    "samples": len(labels),
                    "data_sha256": {"train": train.sha256, "validation": held_out.sha256, "test": test.sha256},
                    "provenance": provenance([0], time.perf_counter() - begun),
                    "values": {name: spread([value]) for name, value in values.items()},
                }
                write_result(options.record, "white-box", label, "mnist", result)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
