"""Speed beside a peer, both in one run on this machine: ``make bench``. Nothing of it is asserted in tests."""

import argparse
from collections.abc import Callable
from functools import partial

import torch

from benchmarks import attacks, frechet, invgan, langevin, likelihood, loading, plane, renderer, stylegan2, training
from benchmarks.table import Row, print_table
from teachlib.scale import machine

BENCHES: dict[str, Callable[[], Row]] = {
    "frechet": frechet.run,
    "training": training.run,
    "training-rae-l2": partial(training.run, "rae-l2"),
    "training-rae-gp": partial(training.run, "rae-gp"),
    "training-rae-sn": partial(training.run, "rae-sn"),
    "penalties": training.penalties,
    "stylegan2": stylegan2.run,
    "renderer": renderer.run,
    "invgan": invgan.run,
    "invgan-stylegan2": partial(invgan.run, "invgan-direct", "stylegan2"),
    "invgan-memory": invgan.memory,
    "invgan-in-domain": invgan.in_domain,
    "loading-smallest": partial(loading.run, "primer-energy", (1, 8, 8), 1_200),
    "loading-large": partial(loading.run, "ae", (3, 64, 64), 50_000),
    "flows": likelihood.flows,
    "kernels": likelihood.kernels,
    "gaussian": likelihood.gaussian,
    "plane-splines": plane.splines,
    "plane-affine": plane.affine,
    "plane-mixtures": plane.mixtures,
    "langevin": langevin.run,
    "attacks-pgd": attacks.beside_foolbox,
    "attacks": attacks.alone,
    "autoattack-encoder": partial(attacks.undefended, "gmm-vae"),
    "autoattack-cnn": partial(attacks.undefended, "cnn"),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Compare speed with peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these of: {', '.join(BENCHES)}")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="default: as torch chooses")
    options = parser.parse_args()
    unknown = set(options.names) - set(BENCHES)
    if unknown:
        parser.error(f"unknown benchmark {', '.join(sorted(unknown))}; known: {', '.join(BENCHES)}")
    torch.set_num_threads(options.threads)
    print(f"{machine(torch.device('cpu'))}, {options.threads} threads")
    with frechet.blas_threads(options.threads):
        print_table({name: BENCHES[name] for name in options.names or BENCHES})


if __name__ == "__main__":
    main()
