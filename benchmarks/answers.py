"""What answers and asides of the notebooks say in numbers, tried as a reader would:
`python benchmarks/answers.py [NAME …] [--record FOLDER]`.

A try runs a notebook at scale `laptop` up to some cell, and then code that leaves numbers in `values`. What the page
says of them comes from these numbers, and a test compares it with the page.
"""

import argparse
import contextlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from teachlib.results import provenance, spread, write_result

CHAPTERS = Path(__file__).resolve().parents[1] / "chapters"
Values = Mapping[str, list[float]]


@dataclass(frozen=True)
class Try:
    """What a reader would do.

    Attributes:
        notebook: within ``chapters``, without its ending.
        until: the last cell that is run.
        code: what is run then; it leaves ``values``, name → numbers, one a training or a draw.
        answer: the cell that tells what came out.
        says: the sentences there, or parts of them, from the numbers.
        seeds: how many trainings, from 0.
    """

    notebook: str
    until: str
    code: str
    answer: str
    says: Callable[[Values], list[str]]
    seeds: int = 1

    def cells(self) -> list[dict[str, Any]]:
        """Of the notebook."""
        cells: list[dict[str, Any]] = json.loads((CHAPTERS / f"{self.notebook}.ipynb").read_text())["cells"]
        return cells

    def source(self) -> str:
        """The code cells up to the last, and what is tried then."""
        cells = self.cells()
        last = [cell["id"] for cell in cells].index(self.until)
        return "\n".join(["".join(c["source"]) for c in cells[: last + 1] if c["cell_type"] == "code"] + [self.code])

    def recipe(self, name: str) -> dict[str, str]:
        """What tells one try from another."""
        chapter, notebook = self.notebook.split("/")
        told = {"name": name, "dataset": chapter, "notebook": notebook, "until": self.until}
        return told | {"scale": "laptop", "code": self.code}

    def row(self, name: str) -> str:
        """The name of its file."""
        return f"{name}-{Path(self.notebook).parent}"

    def run(self) -> Values:
        """The numbers."""
        names: dict[str, Any] = {"__name__": "__main__"}
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # of what the page itself shows
            exec(compile(self.source(), f"{self.notebook} until {self.until}", "exec"), names)
        found: Values = names["values"]
        return found


def short(value: float, digits: int = 2) -> str:
    """As the pages write numbers: no 0 before the point, a minus sign that is one."""
    text = f"{abs(value):.{digits}f}"
    return ("−" if value < 0 else "") + (text[1:] if text.startswith("0.") else text)


def span(values: list[float], digits: int = 2) -> str:
    """From the least to the greatest; of numbers below zero, from the nearest to the farthest."""
    first, *_, last = sorted(values, key=abs if max(values) < 0 else float)
    return f"{short(first, digits)} to {short(last, digits)}"


def listed(values: list[float], digits: int = 2) -> str:
    """One after the other."""
    *first, last = (short(value, digits) for value in values)
    return f"{', '.join(first)} and {last}"


def downwards(ratios: list[float]) -> str:
    """By how much ratios lie below one, and how sure that is."""
    fall, error = 1 - mean(ratios), stdev(ratios) / len(ratios) ** 0.5
    return f"{100 * fall:.0f} % downwards, is {fall / error:.1f} standard errors"


PRIMER, RAE, GMM = "1-density-estimation", "2-regularized-autoencoders", "3-gaussian-mixture-vae"
INVGAN = "5-invertible-gans"
TRIES = {
    "empty-cells": Try(
        f"{PRIMER}/2-classical-estimators",
        "cell-10",
        """
fine = Histogram(train, bins=200, low=-3.6, high=3.6)
values = {
    "new samples": [float(len(test))],
    "in empty cells": [fine.log_prob(test).isinf().float().mean().item()],
    "alone in its cell": [(fine.counts[fine.counts > 0] == 1).float().mean().item()],
}
""",
        "cell-30",
        lambda v: [
            "most occupied cells hold one sample" if v["alone in its cell"][0] > 0.5 else "few cells hold one sample",
            f"of {v['new samples'][0]:,.0f} {'more' if v['in empty cells'][0] > 0.5 else 'less'} than half lie in one",
        ],
    ),
    "saturating-game": Try(
        f"{PRIMER}/4-adversaries",
        "c4-counts",
        """
def found(kind, seed):
    torch.manual_seed(seed)
    other = plane_game(latent=4, width=64, kind=kind)
    schedule = Schedule(steps=2500, batch_size=256, seed=seed)
    fit(other, PointData(points, torch.zeros(len(points))), schedule, progress=False)
    return float(counted(other.sample(2000, torch.Generator().manual_seed(1))))


values = {kind: [found(kind, seed) for seed in range(2)] for kind in ("saturating", "non-saturating")}
""",
        "cell-29",
        lambda v: (
            ["after 2,500 steps both losses have found all eight modes (two seeds each)"]
            if {*v["saturating"], *v["non-saturating"]} == {8.0}
            else [f"{listed(v['saturating'], 0)} and {listed(v['non-saturating'], 0)} modes"]
        ),
        seeds=2,
    ),
    "one-rate": Try(
        f"{PRIMER}/4-adversaries",
        "c4-played",
        """
changed = {"slow judge": (0.1, 1.0), "quick generator": (1.0, 2.0)}
values = {name: [float(counted(played(rates, seed)[-1][0])) for seed in range(3)] for name, rates in changed.items()}
""",
        "cell-29",
        lambda v: [
            f"With its rate alone at a tenth {listed(v['slow judge'], 0)} modes are left",
            "with the generator's alone doubled all eight are found by each"
            if set(v["quick generator"]) == {8.0}
            else listed(v["quick generator"], 0),
        ],
        seeds=3,
    ),
    "strong-guidance": Try(
        f"{PRIMER}/5-diffusion",
        "cell-21",
        """
def within(guidance):
    asked = torch.arange(10).repeat(30)
    x = digits.sample(300, torch.Generator().manual_seed(3), asked, guidance=guidance, steps=20).flatten(1)
    return torch.stack([x[asked == c].var(0).sum() for c in range(10)]).mean().item()


values = {str(g): [within(float(g))] for g in (0, 1, 3, 10, 20)}
""",
        "cell-31",
        lambda v: [
            f"is {v['1'][0]:.1f} at guidance 1, {v['3'][0]:.1f} at 3, and {v['10'][0]:.1f} and {v['20'][0]:.1f} at 10 "
            "and 20",
            f"without class, at 0, it is {short(v['0'][0], 1)}",
        ],
    ),
    "bridges": Try(
        f"{PRIMER}/6-exact-likelihood",
        "cell-02",
        """
from teachlib.primer.demos import fitted_flow

small = fitted_flow()
turn = torch.arange(16) * torch.pi / 8  # spots, and half-way between them
z, _ = small.encode(2 * torch.stack([turn.cos(), turn.sin()], 1))
z = z.detach()
bends = torch.stack([torch.autograd.functional.jacobian(lambda at: small.decode(at[None])[0], p) for p in z])
stretch, area = torch.linalg.matrix_norm(bends, 2), torch.linalg.slogdet(bends)[1]
normal = -0.5 * z.square().sum(1)
spot, bridge = slice(0, None, 2), slice(1, None, 2)
by_normal = (normal[spot].mean() - normal[bridge].mean()).item()
by_stretch = (area[bridge].mean() - area[spot].mean()).item()
values = {
    "stretch along the bridge": stretch[bridge].tolist(),
    "area on a bridge": area[bridge].exp().tolist(),
    "area on a spot": area[spot].exp().tolist(),
    "log N lower by": [by_normal],
    "share of the stretch": [by_stretch / (by_stretch + by_normal)],
}
""",
        "c6-bridges",
        lambda v: [
            f"ways are stretched {span(v['stretch along the bridge'], 0)} times along the bridge",
            f"areas grow {span(v['area on a bridge'], 1)} times"
            if max(v["area on a spot"]) < 1
            else "on a spot areas grow, too",
            f"lower than at a spot, by {short(v['log N lower by'][0], 1)} nats",
            f"the stretch makes {short(v['share of the stretch'][0])} of it",
        ],
    ),
    "affine-ring": Try(
        f"{PRIMER}/6-exact-likelihood",
        "cell-13",
        """
def behind(seed):
    torch.manual_seed(seed)
    affine = fitted(primer.coupling_flow(2, layers=6, kind="affine", width=64), 3e-3)
    with torch.no_grad():
        return exact - affine.log_prob(test).mean().item() - gap["flow"]


values = {"nats behind splines": [behind(seed) for seed in range(2)]}
""",
        "cell-33",
        lambda v: [
            f"About 0.2 more than with splines ({listed(v['nats behind splines'])} in two trainings)",
        ],
        seeds=2,
    ),
    "long-strides": Try(
        f"{PRIMER}/7-energy",
        "cell-08",
        """
start = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0))
gone = {}
for steps in (10, 50, 200):
    end = my_langevin(start, steps, 0.2, torch.Generator().manual_seed(1))
    gone[f"gone after {steps}"] = [(~(end.abs() < 10)).float().mean().item()]
values = gone
""",
        "cell-37",
        lambda v: [
            f"of 20,000 chains {100 * v['gone after 10'][0]:.0f} % have gone (beyond $|x|=10$) after 10 steps, "
            f"{100 * v['gone after 50'][0]:.0f} % after 50, and all but a few after 200"
            if v["gone after 200"][0] > 0.999
            else "more than a few are left after 200",
        ],
    ),
    "five-energies": Try(
        f"{PRIMER}/7-energy",
        "c7-kernels",
        """
def gap_of(method, seed):
    other = trained(method, seed)
    with torch.no_grad():
        constant = torch.logsumexp(-other(grid.float()), 0) + math.log(area)
        return (exact + (other(test) + constant).mean()).item()


values = {title: [gap_of(method, seed) for seed in range(5)] for method, title in methods.items()}
values["kernels"] = [classical]
""",
        "c7-kernels-said",
        lambda v: [
            "with five seeds each: "
            + "; ".join(f"{name} {span(v[name])}" for name in ("CD-10", "persistent", "denoising", "sliced", "NCE")),
            "Persistent chains are last with every seed"
            if min(v["persistent"]) > max(max(v[name]) for name in v if name != "persistent")
            else "No way is last with every seed",
            "kernels ahead of all"
            if v["kernels"][0] < min(min(v[name]) for name in v if name != "kernels")
            else "kernels not ahead of all",
        ],
        seeds=5,
    ),
    "short-chains": Try(
        f"{PRIMER}/7-energy",
        "cell-21",
        """
near_data = torch.cat([torch.cdist(part, train.float()).amin(1) for part in grid.float().split(500)]) < 0.3


def outside(chain, seed):
    torch.manual_seed(seed)
    model = primer.EnergyModel(primer.EnergyNet(2, width=64), "cd", deviation=0.15, steps=chain)
    plan, points = Schedule(steps=steps, batch_size=256, seed=seed), PointData(train, torch.zeros(len(train)))
    fit(primer.LossObjective(model, learning_rate=2e-3), points, plan, progress=False)
    with torch.no_grad():
        return torch.softmax(-model.energy.eval()(grid.float()), 0)[~near_data].sum().item()


values = {f"outside, {chain} steps": [outside(chain, seed) for seed in range(3)] for chain in (1, 10)}
""",
        "cell-37",
        lambda v: [
            f"{span([100 * x for x in v['outside, 1 steps']], 1)} % of the probability lies beyond .3 of any datum, "
            f"with ten steps {span([100 * x for x in v['outside, 10 steps']], 1)} % (three seeds)",
        ],
        seeds=3,
    ),
    "framed": Try(
        f"{PRIMER}/8-side-by-side",
        "cell-13",
        """
import torch.nn.functional as F

inner, outer = train[:][0], F.pad(train[:][0], (2, 2, 2, 2), value=0.5)
kinds = {"kernels": primer.ImageKernels, "Gaussian": primer.ImageGaussian, "codes": primer.ImageCodes}


def cost(model, pictures):
    log_p = model.log_prob(pictures, torch.Generator().manual_seed(0))
    return primer.bits_per_dimension(log_p, pictures[0].numel()).mean().item()


plain = {name: cost(kind(inner, 17), x) for name, kind in kinds.items()}
framed = {name: cost(kind(outer, 17), F.pad(x, (2, 2, 2, 2), value=0.5)) for name, kind in kinds.items()}
values = {name: [framed[name] / plain[name]] for name in kinds}
values["lead, plain"] = [plain["kernels"] - plain["Gaussian"]]
values["lead, framed"] = [framed["kernels"] - framed["Gaussian"]]
""",
        "cell-31",
        lambda v: [
            f"the Gaussian falls to {v['Gaussian'][0]:.2f}",
            f"kernels and codes to {v['kernels'][0]:.2f} and {v['codes'][0]:.2f}",
            f"From {v['lead, plain'][0]:.2f} bits the lead of the Gaussian over the kernels grows to "
            f"{v['lead, framed'][0]:.2f}",
        ],
    ),
    "sixteen-draws": Try(
        f"{RAE}/2-autopsy-of-a-vae",
        "cell-15",
        """
found = {k: [measured(trained(draws=k, seed=seed, steps=steps // 2)) for seed in range(10)] for k in (1, 16)}
values = {
    f"{what}, 16 draws over 1": [many[what] / one[what] for one, many in zip(found[1], found[16], strict=True)]
    for what in ("error", "reconstruction", "sample")
}
""",
        "cell-18",
        lambda v: [
            f"the distance of reconstructions fell on {sum(r < 1 for r in v['reconstruction, 16 draws over 1'])} and "
            f"rose on {sum(r > 1 for r in v['reconstruction, 16 draws over 1'])}",
            downwards(v["reconstruction, 16 draws over 1"]),
        ],
        seeds=10,
    ),
    "other-encoders": Try(
        f"{RAE}/4-ex-post-density-estimation",
        "cell-11",
        """
def lead(name):  # of the flow over the next, on held-out codes
    other = rae.from_zoo(name, "glyphs")
    codes, held_out = rae.encode_all(other, train), rae.encode_all(other, validation)
    fitted = {name: fitted_by(name, codes) for name in rae.ESTIMATORS if name != "second-stage"}
    nats = {name: mean_log_prob(density, held_out) for name, density in fitted.items()}
    return nats.pop("flow") - max(nats.values())


values = {"nats before the next": [lead(name) for name in ("ae", "wae")]}
""",
        "cell-13",
        lambda v: [
            f"so are those of AE and WAE, by {listed(v['nats before the next'])} nats",
        ],
    ),
    "few-codes": Try(
        f"{RAE}/4-ex-post-density-estimation",
        "cell-12",
        """
def measured(few):
    small = rae.fit_mixture(few, seed=session.seed)
    drawn = small.sample(count, torch.Generator().manual_seed(4))
    return {
        "gap": mean_log_prob(small, few) - mean_log_prob(small, held_out),
        "distance": distance(small),
        "nearest": (nearest(drawn, few)[1].median() / nearest(held_out[:count], few)[1].median()).item(),
    }


hundreds = [measured(codes[100 * k : 100 * (k + 1)]) for k in range(20)]
values = {f"{name}, a hundred": [row[name] for row in hundreds] for name in hundreds[0]}
values |= {f"{name}, all": [value] for name, value in measured(codes).items()}
""",
        "cell-48",
        lambda v: [
            f"from {short(v['gap, all'][0], 1)} nats to {min(v['gap, a hundred']):.0f} and more",
            f"from {short(v['nearest, all'][0])} to between {span(v['nearest, a hundred']).replace(' to ', ' and ')}",
            f"with {sum(d > v['distance, all'][0] for d in v['distance, a hundred'])} of twenty such hundreds, from "
            f"{short(v['distance, all'][0], 3)} to {short(mean(v['distance, a hundred']), 3)} on average",
        ],
    ),
    "second-stage": Try(
        f"{RAE}/4-ex-post-density-estimation",
        "cell-12",
        """
values = {}
for steps in (400, 1200, 2400):
    stage = rae.fit_second_stage(codes, scale=session.scale, steps=steps, seed=session.seed)
    values[f"bound, {steps}"] = [bound(stage, held_out)]
    values[f"gap, {steps}"] = [bound(stage, codes) - bound(stage, held_out)]
""",
        "cell-13",
        lambda v: [
            f"the bound rose from {short(v['bound, 400'][0], 1)} nats after 400 steps to "
            f"{short(v['bound, 1200'][0], 1)} after the 1,200 that it has here, and to "
            f"{short(v['bound, 2400'][0], 1)} after 2,400",
            f"({', '.join(short(v[f'gap, {steps}'][0], 1) for steps in (400, 1200, 2400))})",
        ],
    ),
    "no-stopping": Try(
        f"{RAE}/4-ex-post-density-estimation",
        "cell-12",
        """
def flows(**options):
    return [rae.fit_flow(codes, scale=session.scale, seed=seed, **options) for seed in range(3)]


kinds = {"stopped": flows(), "all codes": flows(held_out=0), "600 steps": flows(held_out=0, steps=600)}
values = {f"held out, {name}": [mean_log_prob(f, held_out) for f in fitted] for name, fitted in kinds.items()}
values |= {f"training, {name}": [mean_log_prob(f, codes) for f in fitted] for name, fitted in kinds.items()}
values |= {f"distance, {name}": [distance(f) for f in fitted] for name, fitted in kinds.items()}
values["held out, mixture"] = [nats["mixture"]]
pairs = zip(values["held out, stopped"], values["held out, all codes"], strict=True)
values["lost of the lead"] = [(stopped - free) / (stopped - nats["mixture"]) for stopped, free in pairs]
""",
        "cell-48",
        lambda v: [
            f"(three seeds: {span(v['held out, all codes'], 1)} nats instead of "
            f"{short(mean(v['held out, stopped']), 1)}; the mixture has {short(v['held out, mixture'][0], 1)})",
            f"held-out codes lose {span(v['lost of the lead'])} of the flow's lead over the mixture",
            f"they are behind it, at {span(v['held out, 600 steps'], 1)}",
        ],
        seeds=3,
    ),
    "steep-exponent": Try(
        f"{GMM}/3-attacks-the-thesis-ran",
        "cell-17",
        """
x, labels = gmmvae.load("glyphs", "test", limit=60)[:]
targets = (labels + 1 + torch.arange(60) % 9) % 10
values = {}
for exponent in (1.5, 4.0):
    ended = attacks.white_box(classifier, x, targets, a=exponent, b=exponent, steps=200)
    values[f"found, {exponent}"] = [60 * gmmvae.outcome(classifier.decide(ended), labels).error]
""",
        "cell-19",
        lambda v: [
            f"with $a=b=4$, tried apart on sixty, {'one' if round(v['found, 4.0'][0]) == 1 else v['found, 4.0'][0]})"
        ],
    ),
    "least-slack": Try(
        f"{GMM}/4-attacks-that-came-after",
        "cell-02",
        """
some, known = gmmvae.load("glyphs", "test", limit=50)[:]
slack = attacks.slacks(classifier, known)
values = {}
for name, loss in (("joint", attacks.accepted_wrongly(classifier, known)), ("least", lambda x: slack(x).amin(1))):
    ended = attacks.apgd(loss, some, attacks.Ball(0.1), steps=40, step_size=0.05)
    values[name] = [gmmvae.outcome(classifier.decide(ended), known).error]
""",
        "cell-05",
        lambda v: [
            f"it succeeded on {100 * v['least'][0]:.0f} % where the loss here did on {100 * v['joint'][0]:.0f}",
        ],
    ),
    "other-throws": Try(
        f"{GMM}/4-attacks-that-came-after",
        "dice-error",
        """
def again(draws, seed):
    noise = torch.Generator().manual_seed(seed)
    return error_of(attacks.adaptive(dice, *known, draws=draws, generator=noise, **budget), dice)


values = {f"{draws} a gradient": [again(draws, seed) for seed in (3, 4, 5, 6)] for draws in (1, 4)}
""",
        "dice-said",
        lambda v: [
            f"({span([*v['1 a gradient'], *v['4 a gradient']])}, tried apart with four)",
        ],
    ),
    "shortest-steps": Try(
        f"{INVGAN}/4-editing",
        "cell-15",
        """
def told_apart(values):  # what a regression on codes explains, and how long its step is
    inputs, wanted = (codes - codes.mean(0)).double(), values.double() - values.double().mean()
    weights = torch.linalg.solve(inputs.T @ inputs + torch.eye(inputs.shape[1]).double(), inputs.T @ wanted)
    explained = 1 - (wanted - inputs @ weights).square().mean() / wanted.square().mean()
    return explained.item(), editing.direction(codes, values).norm().item()


found = {name: told_apart(v) for name, v in (factor | {"glasses": told["glasses"]}).items()}
values = {f"{what}, {name}": [pair[k]] for name, pair in found.items() for k, what in enumerate(("explained", "step"))}
""",
        "cell-19",
        lambda v: [
            f"({v['step, glasses'][0]:.1f}, where turning has {v['step, yaw'][0]:.1f}, the mouth "
            f"{v['step, jaw'][0]:.1f} and light {short(v['step, side of the light'][0], 1)})",
            "explains a twentieth" if abs(v["explained, glasses"][0] - 0.05) < 0.01 else "explains another part",
        ],
    ),
    "tiles-of-one-photograph": Try(
        f"{INVGAN}/6-what-codes-know",
        "cell-drawn",
        """
def alone_of(which, seed):  # tiles of one photograph, each drawn by itself
    all_of = crops(300, seed)
    codes = tiling.infer(of_patches, all_of[300 * which : 300 * (which + 1)])
    generator = torch.Generator().manual_seed(seed)
    one = rae.fit_gaussian(codes.flatten(0, 2)).sample(800, generator).view(200, 2, 2, -1)
    return tiling.seams(tiling.generate(of_patches, one, 64, 64), 32)


values = {name: [alone_of(which, seed) for seed in range(3)] for which, name in enumerate(("temple", "flower"))}
""",
        "cell-23",
        lambda v: [
            f"with single tiles of the temple alone it was {mean(v['temple']):.0f}, of the flower alone "
            f"{mean(v['flower']):.0f}",
        ],
    ),
    "components-of-patches": Try(
        f"{INVGAN}/5-larger-than-trained",
        "cell-5",
        """
from sklearn.decomposition import PCA

fit = PCA(32, svd_solver="full").fit(pictures.patches("train", 10_000)[:][0].flatten(1).numpy())


def by_components(patches):
    flat = patches.flatten(1).numpy()
    return torch.from_numpy(fit.inverse_transform(fit.transform(flat))).view(patches.shape).clamp(0, 1)


grid = tiling.grid_of(model, crop)
cut = pictures.patches("test")[:][0]
with torch.no_grad():
    by_model = torch.cat([model(part) for part in cut.split(200)])
values = {
    "patches, components": [invgan.pixel_error(cut, by_components(cut)).item()],
    "patches, model": [invgan.pixel_error(cut, by_model).item()],
    "crop, components": [invgan.pixel_error(crop, grid.join(by_components(grid.split(crop)))).item()],
    "crop, model": [invgan.pixel_error(crop, rebuilt).item()],
}
""",
        "cell-11",
        lambda v: [
            f"with an error of {short(v['patches, components'][0], 3)} where the model has "
            f"{short(v['patches, model'][0], 3)}, and the crop above with {short(v['crop, components'][0], 3)} "
            f"instead of {short(v['crop, model'][0], 3)}",
        ],
    ),
    "long-fooling": Try(
        f"{INVGAN}/2-loss-by-loss",
        "482da5f8",
        """
values = {name: [fooled(look, wanted, ends["start"], 2000)[1]] for name, look in features_of.items()}
""",
        "865540ec",
        lambda v: [
            f"the pictures come to {short(v['D, trained'][0], 3)} by the trained D, "
            f"{short(v['an encoder, no game'][0], 3)} by the encoder and "
            f"{short(v['D, never trained'][0], 3)} by the D that was never trained, and to "
            f"{short(v['a classifier'][0])} by the classifier",
        ],
    ),
    "long-search": Try(
        f"{INVGAN}/3-against-the-others",
        "cell-6",
        """
values = {"error": [], "features": [], "size of codes": []}
for steps in (100, 1000):
    found = inversion.optimized(given, images, mean, steps=steps)[0].detach()
    for name, value in zip(values, judged(given, found).values(), strict=False):
        values[name].append(value)
    values["size of codes"].append(found.square().mean().sqrt().item())
""",
        "cell-32",
        lambda v: [
            f"from 100 to 1,000 steps the error falls from {short(v['error'][0], 3)} to {short(v['error'][1], 3)} and "
            f"the distance of features from {v['features'][0]:.1f} to {v['features'][1]:.1f}",
            f"(from {v['size of codes'][0]:.1f} to {v['size of codes'][1]:.1f} in root mean square)",
        ],
    ),
    "mixed-points": Try(
        "6-gans-as-energy-models/1-likelihood-to-game",
        "cell-2",
        """
swapped, wide = line.SWAPPED, line.WIDE
both = line.Bumps(*(
    (*(0.5 * w for w in swapped.weights), 0.5), (*swapped.means, *wide.means), (*swapped.deviations, *wide.deviations)
))


def left(points):
    return line.divergence(line.DATA, line.log_density(line.train(points, steps=600).energy))


values = {str(m): [left(line.Points(m, both, power=-1))] for m in (16, 64, 256)}
values["cells"] = [left(line.Points(256))]
""",
        "cell-35",
        lambda v: [
            f"After 600 steps, one training each: {short(v['16'][0], 4)}, {short(v['64'][0], 4)} and "
            f"{short(v['256'][0], 4)}, and {short(v['cells'][0], 4)} by 256 cells",
        ],
    ),
    "best-moves-alone": Try(
        "6-gans-as-energy-models/6-what-is-open",
        "cell-14-b",
        """
def tried(seed):
    random = world.lived(3000, torch.Generator().manual_seed(seed))
    states, moves, _ = random
    after = torch.multinomial(world.step[states, best[states]], 1, generator=torch.Generator().manual_seed(seed))[:, 0]
    found = []
    for seen in (random, (states, best[states], after)):
        table = worlds.train(world, seen, steps=learning, seed=seed).table()
        plan = worlds.planned(table, world)
        hoped = worlds.worth(plan, dataclasses.replace(world, step=table))
        elsewhere = (plan != best)[~world.last].double().mean().item()
        found += [worlds.worth(plan, world) / best_earned, hoped / best_earned, elsewhere]
    return found


import dataclasses

best_earned = worlds.worth(best, world)
columns = [f"{what}, {of}" for of in ("random moves", "best moves") for what in ("earned", "hoped", "other moves")]
values = dict(zip(columns, map(list, zip(*[tried(seed) for seed in range(5)], strict=True)), strict=True))
""",
        "cell-29",
        lambda v: [
            f"its plans hope for {span(v['hoped, best moves'])} of what the best one earns, and earn "
            f"{span(v['earned, best moves'])} of it; after random moves they earn {span(v['earned, random moves'])}"
        ],
        seeds=5,
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*TRIES, []], help="by default all")
    parser.add_argument("--record", type=Path, help="folder that the rows are written to")
    options = parser.parse_args()
    os.environ |= {"TEACHLIB_SCALE": "laptop", "MPLBACKEND": "Agg"}
    for name in options.names or TRIES:
        tried, begun = TRIES[name], time.perf_counter()
        values = tried.run()
        print(name, json.dumps(values, indent=1), *tried.says(values), sep="\n", flush=True)
        if options.record is None:
            continue
        result = {
            "recipe": tried.recipe(name),
            "metric": f"what is tried in cell {tried.answer}",
            "samples": max(map(len, values.values())),
            "provenance": provenance(range(tried.seeds), time.perf_counter() - begun),
            "values": {key: spread(some) for key, some in values.items()},
        }
        write_result(options.record, "answers", name, str(Path(tried.notebook).parent), result)


if __name__ == "__main__":
    main()
