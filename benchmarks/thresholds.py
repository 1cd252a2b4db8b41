"""Where the zoo's GMM-VAE of MNIST refuses: `python benchmarks/thresholds.py [--record src/teachlib/measured]`.

Covariances of its training codes and the thresholds that refuse one held-out digit in a hundred each, which the book's
demo needs and a page cannot find out without the data; and what they do to the test set.
"""

import argparse
import time
from pathlib import Path

from teachlib import gmmvae
from teachlib.gmmvae.evaluation import RATE, measured_prior
from teachlib.results import provenance, spread, write_result

COMMAND = "python benchmarks/thresholds.py --record src/teachlib/measured"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, help="folder that the row is written to")
    options = parser.parse_args()
    begun = time.perf_counter()
    model = gmmvae.from_zoo("gmm-vae", "mnist")
    train, held_out, test = (gmmvae.load("mnist", split) for split in ("train", "validation", "test"))
    prior = measured_prior(model, train)
    limits = gmmvae.fit_thresholds(model.encode, model.decode, prior, held_out[:][0], rate=RATE, latent="held-out")
    classifier = gmmvae.by_likelihood(model.encode, model.decode, prior, limits)
    images, labels = test[:]
    found = gmmvae.outcome(classifier.decide(images), labels)
    print(limits, found)
    if options.record is None:
        return
    written = write_result(
        options.record,
        "thresholds",
        "gmm-vae",
        "mnist",
        {
            "recipe": model.recipe.as_dict(),
            "metric": f"shares of the test set; each threshold refuses {RATE:g} of held-out digits",
            "samples": len(labels),
            "data_sha256": {"train": train.sha256, "validation": held_out.sha256, "test": test.sha256},
            "thresholds": {"latent": limits.latent, "pixels": limits.pixels},
            "whitening": [[[float(f"{x:.6g}") for x in row] for row in each] for each in prior.whitening.tolist()],
            "provenance": provenance([0], time.perf_counter() - begun) | {"command": COMMAND},
            "values": {name: spread([value]) for name, value in vars(found).items()},
        },
    )
    print(written)


if __name__ == "__main__":
    main()
