"""What models are given that is not their input: refused in one line, or right all the same."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import torch
from torch import Tensor

from teachlib.energy.assemble import networks as assemble
from teachlib.energy.line import LineEnergy
from teachlib.energy.networks import FlowGenerator, Judge, PointGenerator
from teachlib.energy.spread import Critic, Minibatch
from teachlib.errors import TeachlibError
from teachlib.gif.models import RenderedDiscriminator, VectorDiscriminator
from teachlib.gif.stylegan2 import StyleGAN2Config
from teachlib.gmmvae import GaussianClasses, MixturePrior
from teachlib.invgan.networks import DCGANInference
from teachlib.invgan.rivals import JointJudge
from teachlib.nets import ConvDecoder, ConvEncoder, DCGANGenerator, ImageDenoiser, VectorDenoiser, mlp
from teachlib.primer import (
    MADE,
    VAE,
    DCGANObjective,
    Diffusion,
    EnergyNet,
    Glow,
    Histogram,
    ImageCodes,
    ImageGaussian,
    ImageKernels,
    KernelDensity,
    MixtureDensityNetwork,
    MixtureMADE,
    PixelCNN,
    Recurrent,
    Regression,
    VectorQuantizer,
    conditional_log_prob,
    cosine_schedule,
    coupling_flow,
    denoising_score_matching_loss,
    langevin,
    mala,
    plane_game,
    score,
    sliced_score_matching_loss,
)
from teachlib.rae.density import fit_flow, fit_kernels, standard_normal
from teachlib.rae.second_stage import SecondStage


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


POINTS = 4 * torch.rand(6, 2, generator=seeded())
CODES = torch.randn(6, 3, generator=seeded())
IMAGES, LARGER = torch.rand(6, 1, 8, 8, generator=seeded()), torch.rand(6, 1, 32, 32, generator=seeded())
LEVELS, PICTURES = POINTS.long(), (4 * IMAGES).long()
TIMES = torch.full((6,), 3)

glow = Glow(size=8, resolutions=1, steps=1, width=8).eval()
vae = VAE(2, levels=4, latent=3, width=8)
on_points = Diffusion(VectorDenoiser(2, width=8), cosine_schedule(10), (2,))
on_images = Diffusion(ImageDenoiser(width=8, depth=1), cosine_schedule(10), (1, 8, 8), pixels=True)
energy, line = EnergyNet(2, width=8), LineEnergy(8)
regression, mixture = Regression(2, 2, width=8), MixtureDensityNetwork(2, 2, width=8)
game, told = plane_game(latent=3), plane_game(latent=3, classes=2)
dcgan = DCGANObjective(latent=3, width=8)
prior = MixturePrior(torch.eye(3), 0.1)
classes = GaussianClasses(torch.eye(3), torch.eye(3).expand(3, 3, 3))
second, critic = SecondStage(3, width=8), Critic(2, 3, 8)
quantizer = VectorQuantizer(POINTS, codes=2)
kernels, boxes = (KernelDensity(POINTS, bandwidth=1.0, kernel=kind) for kind in ("gaussian", "box"))  # type: ignore[arg-type]
flow, conditional = coupling_flow(2, layers=2, width=8), coupling_flow(2, layers=2, width=8, context=3)
some = torch.randn(50, 3, generator=seeded())

Method = Callable[[Tensor], Any]
METHODS: dict[str, tuple[Method, Tensor]] = {
    "histogram": (Histogram(POINTS, bins=3).log_prob, POINTS),
    "kernels": (kernels.log_prob, POINTS),
    "boxes": (boxes.log_prob, POINTS),
    "codes": (quantizer.encode, POINTS),
    "distortion": (quantizer.distortion, POINTS),
    "log-density of codes": (quantizer.log_prob, POINTS),
    "condition": (lambda x: conditional_log_prob(POINTS, POINTS, x, POINTS, bandwidth=1.0), POINTS),
    "what is conditioned": (lambda y: conditional_log_prob(POINTS, POINTS, POINTS, y, bandwidth=1.0), POINTS),
    "flow, encode": (lambda x: flow.encode(x)[0], POINTS),
    "flow, decode": (flow.decode, POINTS),
    "flow, log_prob": (flow.log_prob, POINTS),
    "flow, context": (lambda c: conditional.log_prob(POINTS, c), CODES),
    "glow": (glow.log_prob, IMAGES),
    "glow, decode": (lambda z: glow.decode([z]), glow.encode(IMAGES)[0][0].detach()),
    "made": (MADE(2, levels=4, width=8).log_prob, LEVELS),
    "mixture made": (MixtureMADE(2, width=8).log_prob, POINTS),
    "recurrent": (Recurrent(levels=4, width=8).log_prob, LEVELS),
    "pixelcnn": (PixelCNN(levels=4, width=8, layers=1).log_prob, PICTURES),
    "vae, posterior": (lambda x: vae.posterior(x).mean, LEVELS),
    "vae, decode": (vae.decode, CODES),
    "vae, latents": (lambda z: vae.log_likelihood(LEVELS, z), CODES),
    "vae, levels": (lambda x: vae.log_likelihood(x, CODES), LEVELS),
    "vae, bound": (lambda x: vae.log_prob_bound(x, seeded()), LEVELS),
    "vae, loss": (lambda x: vae.loss(x, None, seeded()), LEVELS),
    "diffusion, loss": (lambda x: on_points.loss(x, None, seeded()), POINTS),
    "diffusion, predict": (lambda x: on_points.predict(x, TIMES), POINTS),
    "diffusion, times": (lambda t: on_points.predict(POINTS, t), TIMES),
    "diffusion of images, loss": (lambda x: on_images.loss(x, None, seeded()), IMAGES),
    "diffusion of images, predict": (lambda x: on_images.predict(x, TIMES), IMAGES),
    "diffusion of images, bound": (lambda x: on_images.log_prob_bound(x, seeded(), levels=4), PICTURES),
    "energy": (energy, POINTS),
    "energy, log_prob": (energy.log_prob, POINTS),
    "score": (lambda x: score(energy, x), POINTS),
    "langevin": (lambda x: langevin(energy, x, seeded(), steps=1, step_size=0.1), POINTS),
    "mala": (lambda x: mala(energy, x, seeded(), steps=1, step_size=0.1)[0], POINTS),
    "denoising": (lambda x: denoising_score_matching_loss(energy, x, seeded(), deviation=0.1), POINTS),
    "slices": (lambda x: sliced_score_matching_loss(energy, x, seeded()), POINTS),
    "regression": (regression, POINTS),
    "regression, y": (lambda y: regression.loss(POINTS, y), POINTS),
    "mixture density network": (lambda x: mixture.log_prob(x, POINTS), POINTS),
    "mixture density network, y": (lambda y: mixture.log_prob(POINTS, y), POINTS),
    "game, generate": (game.generate, CODES),
    "game, judge": (game.judge, POINTS),
    "game with classes, judge": (lambda x: told.judge(x, LEVELS[:, 0] % 2), POINTS),
    "dcgan, generate": (dcgan.generate, CODES),
    "dcgan, judge": (dcgan.judge, LARGER),
    "image kernels": (lambda x: ImageKernels(IMAGES, 4).log_prob(x, seeded()), IMAGES),
    "image gaussian": (lambda x: ImageGaussian(IMAGES, 4).log_prob(x, seeded()), IMAGES),
    "image codes": (lambda x: ImageCodes(IMAGES, 4, codes=2).log_prob(x, seeded()), IMAGES),
    "fully connected": (mlp(2, 8, 1), POINTS),
    "convolutions": (ConvEncoder(3, width=8).eval(), LARGER),
    "transposed convolutions": (ConvDecoder(3, width=8).eval(), CODES),
    "dcgan's generator": (DCGANGenerator(3, width=8).eval(), CODES),
    "mixture of codes": (standard_normal(3).log_prob, CODES),
    "kernels on codes": (fit_kernels(some).log_prob, CODES),
    "flow of codes": (fit_flow(some, steps=1).log_prob, CODES),
    "second stage": (lambda z: second.loss(z, torch.full_like(CODES, -1.0), seeded()), CODES),
    "prior, distances": (prior.squared_distances, CODES),
    "prior, mahalanobis": (prior.mahalanobis, CODES),
    "prior, log_prob": (prior.log_prob, CODES),
    "prior, log_posterior": (prior.log_posterior, CODES),
    "prior, log_odds": (lambda z: prior.log_odds(z, 0, 1), CODES),
    "prior, classify": (prior.classify, CODES),
    "classes, mahalanobis": (classes.mahalanobis, CODES),
    "classes, scores": (classes.scores, CODES),
    "point generator": (PointGenerator(3, 8), CODES),
    "flow generator": (FlowGenerator(8), POINTS),
    "judge of points": (Judge(0, 8), POINTS),
    "critic": (lambda x: critic(x, CODES), POINTS),
    "critic, noise": (lambda z: critic(POINTS, z), CODES),
    "minibatch": (Minibatch(3), CODES),
    "line": (line, POINTS[:, 0].double()),
}
ANY_LENGTH = ("recurrent", "pixelcnn", "line", "fully connected")


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.int32])
def test_other_numbers_are_refused_or_give_the_same(name: str, kind: torch.dtype) -> None:
    method, x = METHODS[name]
    other = x.to(kind)
    result = None
    with suppress(TeachlibError):
        result = method(other)
    if result is not None:
        same = torch.as_tensor(method(other.to(x.dtype)))
        torch.testing.assert_close(torch.as_tensor(result).to(same.dtype), same, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ANY_LENGTH])
@pytest.mark.parametrize("shape", ["a sample", "one dimension more", "narrower", "wider"])
def test_other_shapes_are_refused(name: str, shape: str) -> None:
    method, x = METHODS[name]
    wrong = {
        "a sample": x[0],
        "one dimension more": x[None],
        "narrower": x[..., :-1],
        "wider": torch.cat([x, x], -1),
    }[shape]
    with pytest.raises(TeachlibError):
        method(wrong)
    method(x)


PAIRED = {
    "condition", "what is conditioned", "vae, latents", "vae, levels", "diffusion, predict", "diffusion, times",
    "diffusion of images, predict", "regression, y", "mixture density network", "mixture density network, y",
    "game with classes, judge", "second stage", "critic", "critic, noise", "flow, context",
}  # fmt: skip
LOSSES = {
    "distortion", "vae, loss", "diffusion, loss", "diffusion of images, loss", "denoising", "slices", "second stage",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(PAIRED))
def test_one_sample_for_many_of_another_kind_is_refused_not_repeated(name: str) -> None:
    method, x = METHODS[name]
    with pytest.raises(TeachlibError, match=r"expected|takes|pass"):
        method(x[:1])


SMALL = StyleGAN2Config.for_size(8, width=16)
FACES, CONDITIONS = torch.rand(6, 3, 8, 8, generator=seeded()), torch.rand(6, 3, 5, generator=seeded())
JUDGES: dict[str, tuple[Callable[..., Any], Tensor, Tensor]] = {
    "rendered": (RenderedDiscriminator(SMALL, 3), FACES, FACES),
    **{kind: (VectorDiscriminator(SMALL, 3, kind), FACES, CODES) for kind in ("subtraction", "concatenation")},
    "projection": (VectorDiscriminator(SMALL, 3, "projection"), FACES, CODES),
    "assembled": (assemble.Judge(4), torch.rand(6, 3, 32, 32, generator=seeded()), CONDITIONS),
    "painted at once": (assemble.Joint(4, 2), CONDITIONS, CONDITIONS[..., :2]),
    "with codes": (JointJudge(DCGANInference(3, channels=1, size=32, width=4), 3), LARGER, CODES),
}


@pytest.mark.parametrize("name", JUDGES)
def test_one_of_two_inputs_is_not_repeated_for_all_of_the_other(name: str) -> None:
    judge, first, second = JUDGES[name]
    for pair in ((first[:1], second), (first, second[:1])):
        with pytest.raises(TeachlibError, match="expected as many of each"):
            judge(*pair)
    assert len(judge(first[:4], second[:4])) == 4


@pytest.mark.parametrize("name", sorted(METHODS.keys() - PAIRED - LOSSES - {"histogram"}))
def test_no_samples_have_no_results(name: str) -> None:
    method, x = METHODS[name]
    assert len(method(x[:0])) == 0


@pytest.mark.parametrize("name", ["recurrent", "pixelcnn"])
def test_where_any_length_will_do_dimensions_still_count(name: str) -> None:
    method, x = METHODS[name]
    for wrong in (x[0], x[None]):
        with pytest.raises(TeachlibError, match="levels of shape"):
            method(wrong)


def test_a_fully_connected_network_takes_any_dimensions_that_end_with_its_inputs() -> None:
    method, x = METHODS["fully connected"]
    torch.testing.assert_close(method(x[None])[0], method(x))
    for wrong in (x[0], x[:, :1], x[None, :, :1], x.double()):
        with pytest.raises(TeachlibError, match="inputs of "):
            method(wrong)


def test_times_that_there_are_not() -> None:
    for wrong in (0, 11, -1):
        with pytest.raises(TeachlibError, match="whole numbers 1 … 10"):
            on_points.predict(POINTS, torch.full((6,), wrong))


def test_kernels_need_floating_samples() -> None:
    for make in (lambda x: KernelDensity(x, bandwidth=1.0), lambda x: VectorQuantizer(x, codes=2)):
        for kind in (torch.int64, torch.float16):
            with pytest.raises(TeachlibError, match=f"samples of {kind}; expected torch.float32 or torch.float64"):
                make(POINTS.to(kind))
