"""BiGAN, ALAE, VAE-GAN, BigGAN's networks, and encoders that come after: signs, gradients, and known answers."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import softplus

from teachlib.data import ImageData
from teachlib.errors import TeachlibError
from teachlib.gif.losses import r1_gamma, r1_penalty
from teachlib.invgan import biggan, editing, encoders, inversion, losses, networks, objective, recipes, rivals
from teachlib.invgan.chapter import CHAPTER

MOVES = {
    "bigan": {"game": {"discriminator"}, "fool": {"mapping", "generator", "encoder"}},
    "alae": {
        "game": {"encoder", "discriminator"},
        "fool": {"mapping", "generator"},
        "codes": {"generator", "encoder"},
        "smooth": {"encoder", "discriminator"},
    },
    "vae-gan": {
        "game": {"discriminator"},
        "fool": {"generator", "encoder"},
        "pixels": {"generator", "encoder"},
        "features": {"generator", "encoder"},
        "divergence": {"encoder"},
    },
}


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(8, 1, 32, 32, generator=_generator())


def _objective(name: str, backbone: str = "dcgan") -> objective.Together:
    recipe = recipes.recipe(name, "glyphs", scale="ci", backbone=backbone)
    torch.manual_seed(0)
    return CHAPTER.objective(recipe, CHAPTER.build(recipe, None), None, 0)


def _moved(game: objective.Together, loss: Tensor) -> set[str]:
    moved = set()
    for name, net in game.nets.items():
        weights = list(net.parameters())
        slopes = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True) if weights else ()
        if any(slope is not None and slope.abs().sum() > 0 for slope in slopes):
            moved.add(name)
    return moved


@pytest.mark.parametrize("backbone", networks.BACKBONES)
@pytest.mark.parametrize("name", MOVES)
def test_each_loss_of_a_rival_moves_the_networks_that_it_is_meant_for(name: str, backbone: str, images: Tensor) -> None:
    game = _objective(name, backbone)
    found = game.losses(images, _generator())
    assert found.keys() == MOVES[name].keys()
    for loss, moved in MOVES[name].items():
        assert _moved(game, found[loss]) == moved, loss


def test_the_encoder_of_a_bigan_learns_to_pass_for_the_generator_and_its_judge_to_tell_them_apart(
    images: Tensor,
) -> None:
    """The sign that ports get wrong: the encoder's pairs are the "real" ones, and it wants them to look made."""
    game = _objective("bigan")
    judge, encoder, generate = game.nets["discriminator"], game.nets["encoder"], game.nets["generator"]
    prior = game.prior(8, _generator()).detach()
    found = game.losses(images, _generator())
    pairs, made = judge(images, encoder(images).codes), judge(generate(prior), prior)
    assert torch.allclose(found["game"], softplus(-pairs).mean() + softplus(made).mean(), atol=1e-3)
    assert torch.allclose(found["fool"], softplus(pairs).mean() + softplus(-made).mean(), atol=1e-3)
    step = torch.optim.SGD(encoder.parameters(), 0.05)
    for _ in range(5):
        step.zero_grad()
        game.losses(images, _generator())["fool"].backward()
        step.step()
    assert judge(images, encoder(images).codes).mean() < pairs.mean()


def test_the_divergence_of_a_vae_gan_is_torchs(images: Tensor) -> None:
    game = _objective("vae-gan")
    game.nets["encoder"].eval()  # spectral norm's vectors stay where they are
    found = game.losses(images, _generator())["divergence"]
    mean, log_variance = game.nets["encoder"](images).codes.chunk(2, 1)
    theirs = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(1).mean()
    assert torch.allclose(found, theirs, rtol=1e-4)
    assert game.model.infer(images).shape == (8, game.model.w_dim)
    assert torch.equal(game.model.infer(images), mean)


def test_alae_never_decodes_the_code_of_a_real_image(images: Tensor) -> None:
    game = _objective("alae")
    decoded: list[int] = []
    game.nets["generator"].register_forward_hook(lambda *call: decoded.append(len(call[-1])))
    game.losses(images, _generator())
    assert decoded == [8, 8]  # samples for the game, and the same for their codes


def test_an_autoencoder_plays_no_game_and_still_rebuilds(images: Tensor) -> None:
    game = _objective("autoencoder")
    found = game.losses(images, _generator())
    assert found.keys() == {"pixels", "features", "reinference", "discrepancy"}
    assert {name: game.weights()[name] for name in ("features", "reinference")} == {"features": 0.0, "reinference": 0.0}
    assert _moved(game, found["pixels"]) == {"generator", "discriminator"}


def test_all_codes_of_the_direct_models_game_come_from_the_prior(images: Tensor) -> None:
    game = _objective("invgan-direct")
    seen: list[Tensor] = []
    game.nets["generator"].register_forward_hook(lambda *call: seen.append(call[1][0]))
    for seed in (0, 1):
        game.losses(images, _generator(seed))
    assert torch.allclose(seen[2], game.prior(8, _generator(1)), atol=1e-5)
    with pytest.raises(TeachlibError, match="a share"):
        recipes.recipe("invgan", "glyphs", scale="ci", reinjects=1.5)


def test_a_vae_gans_losses_are_weighted_and_both_of_its_pictures_judged(images: Tensor) -> None:
    game = _objective("vae-gan")
    assert game.weights() == {"pixels": 10.0, "features": 1.0, "divergence": pytest.approx(10.0 / 32**2)}
    seen: list[Tensor] = []
    game.nets["discriminator"].register_forward_hook(lambda *call: seen.append(call[1][0]))
    game.losses(images, _generator())
    _, again, made, both = seen
    assert torch.equal(both, torch.cat([again, made]))
    assert not torch.allclose(again, made)


def test_a_vae_gan_decodes_codes_that_are_as_far_from_the_mean_as_it_says(images: Tensor) -> None:
    game = _objective("vae-gan")
    game.nets["encoder"].eval()
    decoded: list[Tensor] = []
    game.nets["generator"].register_forward_hook(lambda *call: decoded.append(call[1][0]))
    many = images.repeat(16, 1, 1, 1)
    game.losses(many, _generator())
    mean, log_variance = game.nets["encoder"](many).codes.chunk(2, 1)
    noise = (decoded[0] - mean) / (log_variance / 2).exp()
    assert noise.std().item() == pytest.approx(1.0, abs=0.05)
    assert noise.abs().max() < 6


def test_alaes_penalty_does_not_depend_on_the_size_of_the_batch(images: Tensor) -> None:
    game = _objective("alae")
    for net in game.nets.values():
        net.eval()
    one, two = (game.losses(batch, _generator())["smooth"] for batch in (images, torch.cat([images, images])))
    assert torch.allclose(one, two, rtol=1e-4)


@pytest.mark.parametrize("name", ["bigan", "alae", "vae-gan", "invgan"])
def test_searches_and_fillings_work_on_every_model_that_infers(name: str, images: Tensor) -> None:
    model = _objective(name).model.eval()
    start = model.infer(images).detach()
    near, _ = inversion.optimized(model, images, start, steps=3, stay=1000.0)
    named, _ = inversion.optimized(model, images, start, steps=3, stay=1000.0, infer=model.infer)
    assert torch.allclose(near, named, atol=1e-6)
    made, _ = editing.inpainted(model, images, editing.square(32, 4, 4, 8), steps=2)
    assert made.shape == images.shape
    if name in ("bigan", "alae"):
        with pytest.raises(TeachlibError, match="weight of features at 0"):
            inversion.optimized(model, images, start, features=1.0)


def test_a_gan_without_inference_says_so(images: Tensor) -> None:
    model = _objective("gan").model
    with pytest.raises(TeachlibError, match="without inference"):
        model.infer(images)
    with pytest.raises(TeachlibError, match="without inference"):
        editing.mended(model, images)


def test_codes_are_made_reachable_by_the_pictures_and_not_by_themselves(images: Tensor) -> None:
    """The mapping learns from how well its picture's code is told, not from moving the code that is wanted."""
    game = _objective("invgan-naive")
    for net in game.nets.values():
        net.eval()
    found = game.losses(images, _generator())["reachable"]
    weight = game.model.mapping.layers[0].weight
    (slope,) = torch.autograd.grad(found, weight, retain_graph=True)
    codes = game.prior(8, _generator())
    through = game.model.discriminator(game.model.generator(codes)).codes
    (expected,) = torch.autograd.grad((codes.detach() - through).square().mean(), weight)
    assert torch.allclose(slope, expected, atol=1e-7)


def test_r1_comes_every_sixteenth_step_and_counts_for_all_of_them() -> None:
    recipe = recipes.recipe("invgan", "glyphs", scale="ci", backbone="stylegan2")
    batch, totals = (torch.rand(4, 1, 32, 32, generator=_generator()), torch.zeros(4)), []
    for step in (0, 1, 16):
        torch.manual_seed(0)
        game = objective.InvGANObjective(CHAPTER.build(recipe, None), recipe)
        ((_, total),) = game.updates(batch, _generator(), step)
        totals.append(total)
    gamma = r1_gamma(32, 4)
    penalty = r1_penalty(game.judged, batch[0], gamma)
    assert totals[0] == totals[2]
    assert (totals[0] - totals[1]).item() == pytest.approx(16 * penalty.item(), rel=0.05)


def test_networks_see_pictures_between_minus_one_and_one() -> None:
    seen: list[Tensor] = []

    class Watching(networks.Inference):
        logit = code = None

        def __init__(self) -> None:
            super().__init__(2, (1, 4, 4))

        def described(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
            seen.append(x)
            return x.flatten(1), [x]

        @property
        def length(self) -> int:
            return 16

    said = Watching()(torch.tensor([0.0, 1.0]).repeat(8).view(1, 1, 4, 4))
    assert seen[0].min() == -1
    assert seen[0].max() == 1
    assert torch.equal(said.codes, torch.zeros(1, 2))


def test_averages_forget_after_so_many_thousands_of_pictures() -> None:
    recipe = recipes.recipe("invgan", "glyphs", scale="ci")
    assert CHAPTER.schedule(recipe, 3, 7).ema_half_life == recipe.ema_half_life == 10.0
    assert (CHAPTER.schedule(recipe, 3, 7).seed, CHAPTER.schedule(recipe, 3, 7).log_every) == (3, 7)


def test_networks_that_cannot_be_built_are_refused() -> None:
    for words, said in (
        ({"backbone": "x"}, "backbone"),
        ({"width": 0}, "width is 0"),
        ({"w_dim": 0}, "w_dim is 0"),
        ({"shape": (1, 48, 48), "backbone": "biggan"}, "48 pixels"),
    ):
        chosen = {"backbone": "dcgan", "shape": (1, 32, 32), "width": 4, "w_dim": 4, **words}
        with pytest.raises(TeachlibError, match=said):
            networks.InvGAN(**chosen)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------------------- smoothness


def test_all_steps_whose_effects_are_compared_are_of_one_length(images: Tensor) -> None:
    game, drawn = _objective("invgan"), list[Tensor]()
    game.nets["generator"].register_forward_pre_hook(lambda _, asked: drawn.append(asked[0]))
    codes = torch.randn(6, game.model.w_dim, generator=_generator())
    game._unevenness(codes, _generator(1))
    before, after = drawn[0].chunk(2)
    assert torch.equal(before, codes)
    torch.testing.assert_close((after - before).norm(dim=1), torch.full((6,), losses.STEP))


def test_steps_of_one_effect_are_even_and_others_are_not() -> None:
    before = [torch.ones(4, 2, 3)]
    even = losses.changes(before, [before[0] + 0.5])
    assert torch.allclose(even, torch.full((4,), 0.5))
    assert losses.unevenness(even).item() == pytest.approx(0.0)
    lengths = torch.tensor([1.0, 3.0])
    assert losses.unevenness(lengths).item() == pytest.approx(0.25)
    assert losses.unevenness(10 * lengths).item() == pytest.approx(0.25)
    faint = [0.001 * before[0]]
    assert torch.allclose(losses.changes(faint, [1.5 * faint[0]]), even)


# -------------------------------------------------------------------------------------------------------------- BigGAN


@pytest.mark.parametrize("size", [32, 64])
def test_bigans_networks_take_and_make_images_of_both_sizes(size: int) -> None:
    generate = biggan.BigGANGenerator(5, channels=3, size=size, width=4)
    made = generate(torch.randn(2, 5))
    assert made.shape == (2, 3, size, size)
    assert 0 <= made.min() <= made.max() <= 1
    features = biggan.BigGANTrunk(channels=3, size=size, width=4)(made)
    assert features[-1].shape[2:] == (4, 4)
    assert features[-1].min() >= 0
    first = biggan.DownBlock(3, 4, first=True)
    assert not torch.allclose(first(-made), first(0 * made))  # what is dark is seen, too


def test_conditional_batch_norm_is_a_norm_scaled_and_shifted_by_the_code() -> None:
    norm = biggan.ConditionalBatchNorm(3, 2)
    x, w = torch.randn(6, 3, 4, 4, generator=_generator()), torch.randn(6, 2, generator=_generator(1))
    standard = (x - x.mean((0, 2, 3), keepdim=True)) / (x.var((0, 2, 3), correction=0, keepdim=True) + 1e-5).sqrt()
    scale, shift = w @ norm.scale.weight.T, w @ norm.shift.weight.T
    expected = standard * (1 + scale)[:, :, None, None] + shift[:, :, None, None]
    assert torch.allclose(norm(x, w), expected, atol=1e-5)


def test_the_orthogonal_penalty_is_zero_for_orthogonal_filters_of_any_length() -> None:
    layer = nn.Linear(5, 3)
    nn.init.orthogonal_(layer.weight)
    with torch.no_grad():
        layer.weight.mul_(torch.tensor([[1.0], [7.0], [0.1]]))
    assert biggan.orthogonal_penalty(layer).item() == pytest.approx(0.0, abs=1e-9)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(3, 5, generator=_generator()))
    rows = layer.weight
    expected = sum((rows[i] @ rows[j]) ** 2 for i in range(3) for j in range(3) if i != j)
    assert torch.allclose(biggan.orthogonal_penalty(layer), expected)


def test_the_penalty_of_bigans_generator_moves_the_step() -> None:
    recipe = recipes.recipe("invgan", "glyphs", scale="ci", backbone="biggan")
    assert recipe.orthogonal == 1e-4
    assert recipes.recipe("invgan", "glyphs", scale="ci").orthogonal == 0
    totals = []
    for weight in (0.0, 1.0):
        torch.manual_seed(0)
        chosen = replace(recipe, orthogonal=weight)
        game = objective.InvGANObjective(CHAPTER.build(chosen, None), chosen)
        ((_, total),) = game.updates((torch.rand(4, 1, 32, 32), torch.zeros(4)), _generator(), 0)
        totals.append(total)
    penalty = biggan.orthogonal_penalty(game.nets["generator"])
    assert penalty > 0
    assert (totals[1] - totals[0]).item() == pytest.approx(penalty.item(), rel=1e-3)


# ------------------------------------------------------------------------------------------------------------ encoders


class Shown(networks.InvGAN):
    """A generator that writes two numbers of a code into the halves of a picture: any encoder can learn to read."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.image, self.w_dim = (1, 32, 32), 2
        self.generator, self.mapping, self.scale = _Halves(), nn.Identity(), nn.Parameter(torch.ones(()))

    def codes(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.randn(count, 2, generator=generator).clamp(-2, 2)


class _Halves(nn.Module):
    def forward(self, w: Tensor) -> Tensor:
        image = (w / 5 + 0.5)[:, None, None, :].repeat_interleave(16, 3)
        return image.expand(-1, 1, 32, -1)


@pytest.fixture
def pictures() -> ImageData:
    model = Shown()
    shown = (model.generator(model.codes(400, _generator(3))) * 255).round().byte()
    return ImageData("shown", "train", shown.contiguous(), torch.zeros(400, dtype=torch.long))


@pytest.mark.parametrize(
    "plan",
    [encoders.Plan(200), encoders.Plan(200, pictures=10.0, codes=0.0), encoders.Plan(200, iterations=3)],
    ids=["codes", "pictures", "iterative"],
)
def test_encoders_recover_planted_codes(plan: encoders.Plan, pictures: ImageData) -> None:
    model = Shown()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    encoder = encoders.train_encoder(model, pictures, plan)
    wanted = model.codes(200, _generator(9))
    found = encoder.infer(model.generator(wanted))
    assert (found - wanted).square().mean() < 0.1 * wanted.var()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(weight.requires_grad for weight in model.parameters())


@pytest.mark.slow
def test_every_pass_starts_where_the_one_before_ended_and_later_ones_are_better(pictures: ImageData) -> None:
    model = Shown()
    encoder = encoders.train_encoder(model, pictures, encoders.Plan(200, iterations=3))
    wanted = model.codes(200, _generator(9))
    passes = encoder(model.generator(wanted))
    assert passes.shape == (3, 200, 2)
    errors = (passes - wanted).square().mean((1, 2))
    assert errors[2] < errors[0]
    # Each pass is a step of its own: nothing of the second one's answer is learned by way of the first.
    looked: list[Tensor] = []
    encoder.net.register_forward_hook(lambda *call: looked.append(call[-1].codes))
    again = encoder(model.generator(wanted))
    assert torch.autograd.grad(again[1].sum(), looked[0])[0].abs().max() == 0


def test_encoders_that_cannot_be_trained_are_refused(pictures: ImageData) -> None:
    with pytest.raises(TeachlibError, match="learns from nothing"):
        encoders.Plan(10, codes=0.0)
    for weights in ({"pictures": 1.0, "features": 1.0}, {"features": 1.0}, {"pictures": 1.0}):
        encoders.Plan(10, codes=0.0, **weights)  # type: ignore[arg-type]
    with pytest.raises(TeachlibError, match="the generator makes"):
        encoders.train_encoder(
            _objective("invgan").model,
            ImageData("x", "train", torch.zeros(2, 3, 32, 32, dtype=torch.uint8), torch.zeros(2)),
            encoders.Plan(1),
        )


def test_a_vae_gan_decodes_codes_with_noise_of_the_posteriors_deviation() -> None:
    recipe = recipes.recipe("vae-gan", "glyphs", scale="ci")
    torch.manual_seed(0)
    game = rivals.OBJECTIVES["vae-gan"](CHAPTER.build(recipe, None), recipe)
    head, decoded = game.nets["encoder"].code, []
    with torch.no_grad():
        for weight in head.parameters():
            weight.zero_()
        head.bias[recipe.w_dim :] = 4 * math.atanh(0.5)  # a log-variance of 2
    game.nets["generator"].register_forward_hook(lambda *seen: decoded.append(seen[1][0]))
    generator = torch.Generator().manual_seed(0)
    game.losses(torch.rand(64, *recipe.shape, generator=generator), generator)
    assert decoded[0].std().item() == pytest.approx(math.e, rel=0.05)
