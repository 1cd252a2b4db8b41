"""The sweep behind the gradient penalty's weight: `python benchmarks/gradient_weight.py [--steps 600]`.

The released weight belongs to another quantity than the thesis's ‖∇D‖², so a weight had to be chosen: RAE-GP on glyphs
at several weights per pixel, each compared with *validation* images, so that the test set has no part in it.
"""

import argparse
from dataclasses import replace

import pandas as pd
import torch

from teachlib import rae
from teachlib.metrics import extractor
from teachlib.rae.recipes import OURS

WEIGHTS = (1e-6, 1e-5, 3e-5, 1e-4, 3e-4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--dataset", default="glyphs")
    parser.add_argument("--count", type=int, default=2_000)
    options = parser.parse_args()
    train, validation = (rae.load(options.dataset, split) for split in ("train", "validation"))
    plain = rae.recipe("rae-gp", options.dataset, scale="laptop", steps=options.steps)
    rows = []
    for weight in WEIGHTS:
        recipe = replace(plain, gradient_weight=plain.gradient_weight * weight / OURS["gp"])
        model, _ = rae.train(recipe, progress=False)
        found = rae.evaluate(
            model,
            train,
            validation.first(len(validation) // 2),
            validation,
            extractor(None, options.dataset),
            count=options.count,
        )
        with torch.no_grad():
            size = rae.gradient_penalty(model.decoder, model.encode(validation[:200][0])).item()
        rows.append({"weight per pixel": weight, "‖J‖²": size, **found.distances, "error": found.squared_error})
        print(pd.DataFrame(rows).to_string(index=False, float_format="%.4g"), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
