"""Ways to ask, and cross-talk as a number: against constructions whose answer is known."""

from dataclasses import replace

import pytest
import torch

from teachlib.errors import TeachlibError
from teachlib.gif import asking
from teachlib.gif.asking import zeros
from teachlib.gif.asking.evaluation import matched
from teachlib.gif.asking.objectives import AskedObjective


@pytest.fixture
def asked() -> torch.Tensor:
    return zeros.draw(4000, 0.0, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_factors_have_the_correlation_that_was_asked_for(rho: float) -> None:
    drawn = zeros.draw(20_000, rho, torch.Generator().manual_seed(1))
    assert torch.corrcoef(drawn.T)[0, 1].item() == pytest.approx(rho, abs=0.02)
    assert drawn.abs().max() <= 2


def test_factors_are_read_off_pictures_without_a_network(asked: torch.Tensor) -> None:
    images = zeros.pictures(asked, torch.Generator().manual_seed(2)).float() / 255
    error = (zeros.read(images) - asked).square().mean(0).sqrt()
    assert error.max() < 0.05
    assert (zeros.read(1 - 1e-9 - 0 * images) - 0).abs().max() < 1e-4  # even ink stands in the middle and does not lean


def test_the_condition_as_a_picture_stands_and_leans_as_the_zero(asked: torch.Tensor) -> None:
    talk = asking.cross_talk(asked, zeros.read(zeros.bars(asked)))
    assert talk.obeyed == pytest.approx(1, abs=0.02)
    assert talk.heard < 0.01
    position = zeros.read(zeros.bars(torch.tensor([[1.0, 0.0], [0.0, 1.0]])))
    torch.testing.assert_close(position, torch.eye(2), atol=0.05, rtol=0)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_who_is_deaf_to_one_factor_and_guesses_it_from_the_other_has_rho_as_cross_talk(
    rho: float, asked: torch.Tensor
) -> None:
    """E[position | slant] = ρ · slant where both were normal in training."""
    found = torch.stack([rho * asked[:, 1], asked[:, 1]], 1)
    talk = asking.cross_talk(asked, found)
    torch.testing.assert_close(talk.slopes, torch.tensor([[0.0, rho], [0.0, 1.0]]), atol=1e-5, rtol=0)
    assert talk.heard == pytest.approx(rho / 2, abs=1e-5)
    assert talk.obeyed == pytest.approx(0.5, abs=1e-5)


def test_slopes_do_not_depend_on_where_the_origin_is_but_errors_do(asked: torch.Tensor) -> None:
    talk = asking.cross_talk(asked, asked + torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(talk.slopes, torch.eye(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(talk.error, torch.tensor([1.0, 0.0]))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (lambda asked: asked[:2], "too few"),
        (lambda asked: asked[:, :1].expand(-1, 2), "independently"),
    ],
)
def test_factors_that_nobody_can_tell_apart_are_refused(rows, message: str, asked: torch.Tensor) -> None:
    with pytest.raises(TeachlibError, match=message):
        asking.cross_talk(rows(asked), rows(asked))
    with pytest.raises(TeachlibError, match="expected two"):
        asking.cross_talk(asked, asked[:5])


def test_codes_without_names_are_matched_to_the_factors_that_they_go_with(asked: torch.Tensor) -> None:
    found = torch.stack([-asked[:, 1], asked[:, 0]], 1)
    torch.testing.assert_close(matched(asked, found), found)


@pytest.mark.parametrize("name", [name for name in asking.RECIPES if name != "ask-infogan"])
def test_what_a_model_is_asked_reaches_its_picture_and_its_judge(name: str) -> None:
    model = asking.Asked(asking.recipe(name, scale="ci"))
    z = torch.randn(3, 16, generator=torch.Generator().manual_seed(0))
    factors = torch.zeros(3, 2, requires_grad=True)
    picture = model.generator(z, factors)
    told, _ = model.discriminator(picture.detach(), factors)
    (from_picture,) = torch.autograd.grad(picture.square().sum(), factors)
    assert from_picture.abs().min() > 0
    if name == "ask-auxiliary":  # whose logit sees the picture alone
        assert not told.requires_grad or torch.autograd.grad(told.sum(), factors, allow_unused=True)[0] is None
    else:
        assert torch.autograd.grad(told.sum(), factors)[0].abs().max() > 0


def test_a_projection_weighs_as_much_as_the_logit_beside_it() -> None:
    judge = asking.Asked(asking.recipe("ask-projection", scale="ci")).discriminator
    pictures = torch.rand(400, 1, zeros.SIZE, zeros.SIZE, generator=torch.Generator().manual_seed(0))
    factors = torch.randn(400, 2, generator=torch.Generator().manual_seed(1))
    seen: list[torch.Tensor] = []
    judge.joined.register_forward_hook(lambda *given: seen.append(given[2]))
    with torch.no_grad():
        added = judge(pictures, factors)[0] - judge(pictures, torch.zeros_like(factors))[0]
        h = torch.nn.functional.leaky_relu(seen[0], 0.2) * 2**0.5
        told = judge.embedding(factors) - judge.embedding(torch.zeros_like(factors))
        # Both are sums over the width: one of weights scaled by the width's root, the other divided by it.
        torch.testing.assert_close(added, (h * told).mean(1) * h.shape[1] ** 0.5, atol=1e-5, rtol=1e-4)


def test_what_networks_draw_between_minus_one_and_one_is_shown_between_black_and_white() -> None:
    model = asking.Asked(asking.recipe("ask-layer", scale="ci"))
    with torch.no_grad():
        model.generator.picture.weight.zero_()
        for level, shown in ((-3.0, 0.0), (-1.0, 0.0), (0.0, 0.5), (0.5, 0.75), (2.0, 1.0)):
            model.generator.picture.bias.fill_(level)
            drawn = model(torch.zeros(2, 2), torch.zeros(2, 16))
            torch.testing.assert_close(drawn, torch.full((2, 1, 16, 16), shown))


def test_the_control_is_asked_for_another_pictures_factors_and_infogan_for_none() -> None:
    factors = torch.arange(40.0).view(20, 2)
    generator = torch.Generator().manual_seed(0)

    def given(name: str) -> torch.Tensor:
        return AskedObjective(asking.Asked(asking.recipe(name, scale="ci")))._asked(factors, generator)

    shuffled = given("ask-shuffled")
    assert (shuffled != factors).any(1).sum() > 10
    torch.testing.assert_close(shuffled.sort(0).values, factors)  # the same ones, elsewhere
    assert torch.equal(given("ask-layer"), factors)
    assert given("ask-infogan").abs().max() < 6


class Pen(torch.nn.Module):
    """Draws real zeros, of factors that it takes from what it is asked by a matrix."""

    def __init__(self, slopes: list[list[float]], name: str = "ask-layer") -> None:
        super().__init__()
        self.recipe, self.slopes = asking.recipe(name, scale="ci"), torch.tensor(slopes)

    def forward(self, factors: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return zeros.pictures(factors @ self.slopes.T, torch.Generator().manual_seed(0)).float() / 255


@pytest.mark.parametrize("slopes", [[[1.0, 0.0], [0.0, 1.0]], [[0.0, 0.9], [0.0, 1.0]], [[0.5, -0.25], [0.125, 0.75]]])
def test_an_evaluation_finds_the_slopes_of_a_pen_that_has_them(slopes: list[list[float]]) -> None:
    row = asking.evaluate(Pen(slopes), zeros.load("test", 0.9, 1000))  # type: ignore[arg-type]
    (own, heard), (other, lean) = slopes
    assert row["position obeyed"] == pytest.approx(own, abs=0.03)
    assert row["position heard"] == pytest.approx(heard, abs=0.03)
    assert row["slant heard"] == pytest.approx(other, abs=0.03)
    assert row["slant obeyed"] == pytest.approx(lean, abs=0.03)
    assert row["obeyed"] == pytest.approx((own + lean) / 2, abs=0.03)
    assert row["heard"] == pytest.approx((abs(heard) + abs(other)) / 2, abs=0.03)
    # Asked as in training, who is deaf and guesses is hardly wrong; asked otherwise, that is seen.
    left = torch.tensor([own - 1, heard]) @ torch.tensor([[1.0, 0.9], [0.9, 1.0]]) @ torch.tensor([own - 1, heard])
    assert row["position error, as in training"] == pytest.approx(0.88 * left.item() ** 0.5, abs=0.06)
    wrong = (own - 1) ** 2 + heard**2
    assert row["position error, exchanged"] == pytest.approx(0.88 * wrong**0.5, abs=0.1)
    assert row["slant error of reading"] < 0.05


def test_codes_are_asked_for_by_the_names_of_what_they_move_and_only_those_of_infogan() -> None:
    swapped = [[0.0, -0.5], [0.5, 0.0]]
    test = zeros.load("test", 0.9, 1000)
    named = asking.evaluate(Pen(swapped, "ask-infogan"), test)  # type: ignore[arg-type]
    assert named["obeyed"] == pytest.approx(0.5, abs=0.03)
    assert named["heard"] == pytest.approx(0, abs=0.03)
    told = asking.evaluate(Pen(swapped), test)  # type: ignore[arg-type]
    assert told["obeyed"] == pytest.approx(0, abs=0.03)
    assert told["heard"] == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: zeros.load("all"), "split of zeros"),
        (lambda: zeros.draw(3, 1.5, torch.Generator()), r"expected a number in \[-1, 1\]"),
        (lambda: asking.recipe("ask-input", "glyphs"), "only zeros has them"),
        (lambda: asking.recipe("ask-input", correlation=2), r"expected a number in \[-1, 1\]"),
        (lambda: asking.recipe("ask-politely"), "ask-politely"),
    ],
)
def test_mistakes_are_answered_in_one_line(call, message: str) -> None:
    with pytest.raises(TeachlibError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_label_leads_back_to_its_recipe() -> None:
    for name in asking.RECIPES:
        for correlation in (-0.5, 0.0, 1e-05, 0.9):
            chosen = asking.recipe(name, correlation=correlation)
            assert asking.CHAPTER.named(asking.CHAPTER.label(chosen)) == (name, {"correlation": correlation})


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_factors_that_are_no_numbers_are_refused(wrong: float, asked: torch.Tensor) -> None:
    damaged = asked.clone()
    damaged[3, 1] = wrong
    for pair in ((damaged, asked), (asked, damaged)):
        with pytest.raises(TeachlibError, match="no numbers"):
            asking.cross_talk(*pair)
    with pytest.raises(TeachlibError, match="independently"):
        asking.cross_talk(torch.ones(9, 2), asked[:9])
    with pytest.raises(TeachlibError, match="at least 2"):
        asking.cross_talk(asked[:, :1], asked[:, :1])


def _losses(name: str, step: int = 0) -> tuple[AskedObjective, list[tuple[str, torch.Tensor]]]:
    torch.manual_seed(0)
    objective = AskedObjective(asking.Asked(asking.recipe(name, scale="ci")))
    batch = zeros.load("test", 0.0, 16)[:]
    return objective, list(objective.updates(batch, torch.Generator().manual_seed(0), step))


def test_the_auxiliary_head_is_taught_on_real_pictures_and_teaches_the_generator() -> None:
    """The discriminator's loss is the game's, which a plain one has, and the squared error of its guesses."""
    objective, told = _losses("ask-auxiliary")
    pictures, factors = zeros.load("test", 0.0, 16)[:]
    _, guesses = objective.nets["discriminator"](2 * pictures - 1, factors)
    error = (guesses - factors).square().mean()
    objective.recipe = replace(objective.recipe, auxiliary_weight=0.0)
    plain = list(objective.updates((pictures, factors), torch.Generator().manual_seed(0), 0))
    assert [name for name, _ in told] == ["discriminator", "discriminator", "generator"]
    torch.testing.assert_close(told[0][1] - plain[0][1], error)
    assert told[2][1] > plain[2][1]


def test_infogans_head_is_taught_on_what_its_codes_drew() -> None:
    objective, told = _losses("ask-infogan")
    assert [name for name, _ in told] == ["discriminator", "discriminator", "generator", "discriminator"]
    head = objective.model.discriminator.guess.weight
    (slope,) = torch.autograd.grad(told[3][1], head)
    assert slope.abs().max() > 0
    drawn = objective.model.generator.picture.weight
    assert torch.autograd.grad(told[2][1], drawn)[0].abs().max() > 0
    objective.recipe = replace(objective.recipe, auxiliary_weight=0.0)
    plain = list(objective.updates(zeros.load("test", 0.0, 16)[:], torch.Generator().manual_seed(0), 0))
    assert told[2][1] > plain[2][1]


def test_r1_comes_at_every_eighth_step_eight_times_as_heavy() -> None:
    objective, told = _losses("ask-layer", 8)
    pictures, factors = zeros.load("test", 0.0, 16)[:]
    x = (2 * pictures - 1).requires_grad_()
    (slope,) = torch.autograd.grad(objective.nets["discriminator"](x, factors)[0].sum(), x)
    expected = 8 * objective.recipe.gamma / 2 * slope.square().sum((1, 2, 3)).mean()
    torch.testing.assert_close(told[1][1], expected)
    assert len(_losses("ask-layer", 9)[1]) == 2


def test_splits_share_no_picture() -> None:
    first, second, third = (zeros.load(split, 0.0, 50).factors for split in zeros.SPLITS)
    assert (torch.cdist(first, second).min() > 0) & (torch.cdist(second, third).min() > 0)
    assert torch.cdist(first, third).min() > 0


def test_every_way_has_the_same_networks_but_for_what_tells_them() -> None:
    def weights(name: str, net: str) -> int:
        told = getattr(asking.Asked(asking.recipe(name, scale="ci", width=8)), net)
        return sum(
            weight.numel() for key, weight in told.named_parameters() if not key.startswith(("told", "embedding"))
        )

    def convolution(inputs: int, outputs: int) -> int:
        return 9 * inputs * outputs + outputs

    drawing = convolution(32, 32) + convolution(32, 16) + convolution(16, 8) + 8 + 1
    assert weights("ask-pixels", "generator") == 16 * 512 + 512 + drawing
    assert weights("ask-projection", "generator") == 18 * 512 + 512 + drawing
    judging = convolution(1, 8) + convolution(8, 16) + convolution(16, 32) + 512 * 32 + 32 + 32 * 32 + 32 + 33
    assert weights("ask-projection", "discriminator") == judging
    assert weights("ask-input", "discriminator") == judging + 2 * 9 * 8
    assert weights("ask-layer", "discriminator") == judging + 2 * 32


def test_both_are_moved_by_adam_without_momentum() -> None:
    objective = AskedObjective(asking.Asked(asking.recipe("ask-layer", scale="ci", width=8)))
    groups = {name: optimizer.param_groups for name, optimizer in objective.optimizers().items()}
    for name, (group,) in groups.items():
        assert (group["lr"], group["betas"]) == (objective.recipe.learning_rate, (0.0, 0.99))
        assert list(map(id, group["params"])) == list(map(id, objective.nets[name].parameters()))
    assert set(groups) == {"generator", "discriminator"}
