import math
from importlib import import_module

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2
from torch import Tensor

from teachlib.errors import TeachlibError
from teachlib.gmmvae import (
    Budget,
    Decision,
    GaussianClasses,
    MixturePrior,
    SelectiveClassifier,
    Thresholds,
    attacks,
    by_confidence,
    by_likelihood,
    by_reconstruction,
    class_means,
    fit_thresholds,
    from_zoo,
    load,
    outcome,
    risk_coverage,
    robustness,
    selective,
)
from teachlib.gmmvae.attacks import Ball, Loss

adaptive_module = import_module("teachlib.gmmvae.attacks.adaptive")  # the package has a function of this name

VARIANCE = 0.01
PRIOR = MixturePrior(class_means(3, 4), VARIANCE)


def as_code(x: Tensor) -> Tensor:
    """Images of 2×2 pixels are their own codes."""
    return x.flatten(1)


def as_image(z: Tensor) -> Tensor:
    return z.view(-1, 1, 2, 2)


def codes_near(label: int, count: int, seed: int = 0) -> Tensor:
    return PRIOR.sample(torch.full((count,), label), torch.Generator().manual_seed(seed))


def test_both_ratios_are_one_on_their_thresholds() -> None:
    """The errata row of Eqs 4.9 and 4.10: with Σ where Σ⁻¹ belongs, the ratio would be 10,000 times smaller here."""
    thresholds = Thresholds(latent=float(chi2.ppf(0.9973, 4)), pixels=0.25)
    classifier = by_likelihood(as_code, lambda z: as_image(z) + 0.25, PRIOR, thresholds)
    direction = torch.nn.functional.normalize(torch.tensor([0.3, -1.0, 2.0, 0.5]), dim=0)
    border = PRIOR.means[1] + math.sqrt(thresholds.latent * VARIANCE) * direction
    decision = classifier.decide(as_image(border[None]))
    torch.testing.assert_close(decision.latent_ratio, torch.ones(1))
    torch.testing.assert_close(decision.pixel_ratio, torch.ones(1))
    assert decision.labels.tolist() == [1]
    scores, latent, _ = classifier.measure(as_image(border[None]), None)
    torch.testing.assert_close(scores.diff(), -0.5 * latent.diff())  # in the same unit, or an attack would mix them up
    loss = attacks.white_box_loss(classifier, as_image(border[None]), torch.tensor([1]), 3.0, 2.0)
    torch.testing.assert_close(loss, torch.full((1,), 2.0))


@pytest.mark.parametrize(("threshold", "far"), [(9.0, 5.0), (0.25, 0.4)])
def test_a_threshold_on_norms_is_none_on_their_squares(threshold: float, far: float) -> None:
    """The errata row of § 4.6: one number, and the text's rule and the fractions' rule disagree, either way round."""
    prior = MixturePrior(class_means(3, 4), 1.0)
    classifier = by_likelihood(as_code, as_image, prior, Thresholds(latent=threshold, pixels=1.0))
    code = prior.means[:1] + far * torch.eye(4)[3]  # far from its own mean, and not nearer to another
    accepted = bool(classifier.decide(as_image(code)).accepted)
    assert accepted == (far**2 <= threshold)  # ours, on squares
    assert accepted != (far <= threshold)  # the text's, on the norm


def test_codes_that_follow_their_component_are_refused_at_the_stated_rate() -> None:
    codes = torch.cat([codes_near(label, 20_000, label) for label in range(3)])
    noisy = as_image(codes)
    thresholds = fit_thresholds(as_code, as_image, PRIOR, noisy, rate=0.02)
    assert math.isclose(thresholds.latent, chi2.ppf(0.98, 4))
    refused = by_likelihood(as_code, as_image, PRIOR, Thresholds(thresholds.latent, 1.0)).decide(noisy)
    assert abs(float((~refused.accepted).double().mean()) - 0.02) < 0.002


def test_held_out_quantiles_refuse_exactly_that_share() -> None:
    images = torch.rand(1_000, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    rebuilt = torch.rand(4, generator=torch.Generator().manual_seed(1))
    thresholds = fit_thresholds(
        as_code, lambda z: as_image(rebuilt.expand(len(z), 4)), PRIOR, images, rate=0.1, latent="held-out"
    )
    decision = by_likelihood(as_code, lambda z: as_image(rebuilt.expand(len(z), 4)), PRIOR, thresholds).decide(images)
    assert int((decision.latent_ratio > 1).sum()) == 100
    assert int((decision.pixel_ratio > 1).sum()) == 100


def test_a_rate_that_cannot_be_seen_on_so_few_images() -> None:
    with pytest.raises(TeachlibError, match="100 images"):
        fit_thresholds(as_code, as_image, PRIOR, torch.rand(100, 1, 2, 2), rate=0.001)
    with pytest.raises(TeachlibError, match="chi-square"):
        fit_thresholds(as_code, as_image, PRIOR, torch.rand(100, 1, 2, 2), rate=0.1, latent="chi")  # type: ignore[arg-type]


@given(st.integers(1, 60), st.integers(0, 1_000))
def test_shares_add_to_one(count: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    ratios = 2 * torch.rand(2, count, generator=generator)
    decision = Decision(torch.randint(3, (count,), generator=generator), ratios[0], ratios[1])
    labels = torch.randint(3, (count,), generator=generator)
    found = outcome(decision, labels)
    assert math.isclose(found.accuracy + found.error + found.rejection, 1)
    by_hand = [bool(a <= 1 and b <= 1) for a, b in ratios.T.tolist()]
    wrong = [yes and p != y for yes, p, y in zip(by_hand, decision.labels.tolist(), labels.tolist(), strict=True)]
    assert math.isclose(found.error, sum(wrong) / count)
    assert math.isclose(found.rejection, by_hand.count(False) / count)
    assert torch.equal(decision.confidence >= -1, decision.accepted)


def test_risk_and_coverage_by_brute_force() -> None:
    generator = torch.Generator().manual_seed(0)
    confidence, correct = torch.randn(50, generator=generator), torch.rand(50, generator=generator) < 0.8
    curve = risk_coverage(confidence, correct)
    risks = []
    for threshold in confidence.sort(descending=True).values:
        answered = confidence >= threshold
        risks.append(float((~correct[answered]).double().mean()))
    torch.testing.assert_close(curve.risk.double(), torch.tensor(risks, dtype=torch.float64), rtol=0, atol=1e-6)
    assert math.isclose(curve.area, sum(risks) / 50, rel_tol=1e-6)
    assert curve.coverage[-1] == 1


def test_measured_covariances_give_distances_of_mean_d() -> None:
    spread = torch.diag(torch.tensor([0.01, 0.04, 0.09, 0.0001]))
    labels = torch.arange(3).repeat_interleave(5_000)
    noise = torch.randn(15_000, 4, generator=torch.Generator().manual_seed(0)) @ spread.sqrt()
    measured = PRIOR.measured(PRIOR.means[labels] + noise, labels, shrinkage=0.0)
    distances = measured.mahalanobis(PRIOR.means[labels] + noise).gather(1, labels[:, None])
    torch.testing.assert_close(distances.mean(), torch.tensor(4.0), atol=1e-3, rtol=0)  # exact but for rounding
    assert torch.equal(measured.scores(noise), PRIOR.scores(noise))  # labels stay the nearest mean's
    drawn = measured.sample(labels, torch.Generator().manual_seed(1)) - PRIOR.means[labels]
    torch.testing.assert_close(torch.cov(drawn.T), torch.cov(noise.T), atol=3e-3, rtol=0)


def test_any_encoder_and_decoder_will_do() -> None:
    labels = torch.arange(3).repeat(200)
    codes = torch.randn(600, 2, generator=torch.Generator().manual_seed(0)) + 8 * torch.eye(3)[labels][:, :2]
    classes = GaussianClasses.fit(codes, labels)
    images = torch.cat([codes, codes.flip(1)], 1).view(-1, 1, 2, 2)

    def encode(x: Tensor) -> Tensor:
        return x.flatten(1)[:, :2]

    def decode(z: Tensor) -> Tensor:
        return torch.cat([z, z.flip(1)], 1).view(-1, 1, 2, 2)

    thresholds = fit_thresholds(encode, decode, classes, images, rate=0.01)
    decision = by_likelihood(encode, decode, classes, Thresholds(thresholds.latent, 1e-3)).decide(images)
    assert outcome(decision, labels).accuracy > 0.97
    odd = images.clone()
    odd[:, 0, 1, 1] += 5  # what the code does not see
    assert not by_likelihood(encode, decode, classes, Thresholds(thresholds.latent, 1e-3)).decide(odd).accepted.any()


def test_noise_makes_decisions_random_and_repeatable() -> None:
    classifier = by_likelihood(as_code, as_image, PRIOR, Thresholds(13.0, 0.05), deviation=0.1)
    x = as_image(PRIOR.means[:1]).repeat(500, 1, 1, 1)
    first, again = (classifier.decide(x, torch.Generator().manual_seed(0)).pixel_ratio for _ in range(2))
    assert torch.equal(first, again)
    torch.testing.assert_close(first.mean(), torch.tensor(4 * 0.01 / 0.05), rtol=0.1, atol=0)  # E‖ε‖² = dσ²
    lopsided = by_likelihood(as_code, lambda z: as_image(z) + 0.25, PRIOR, Thresholds(13.0, 0.05), deviation=0.1)
    noise = torch.randn(500, 4, generator=torch.Generator().manual_seed(0))
    found = lopsided.decide(x, torch.Generator().manual_seed(0)).pixel_ratio
    torch.testing.assert_close(found, (0.25 + 0.1 * noise).square().sum(1) / 0.05)


def test_detectors_of_other_kinds() -> None:
    logits = torch.tensor([[2.0, 0.0, 0.0], [0.1, 0.0, 0.0]])
    x = torch.zeros(2, 1, 2, 2)
    assert by_confidence(lambda v: logits, 0.6).decide(x).accepted.tolist() == [True, False]
    assert by_confidence(lambda v: logits).decide(x).accepted.all()
    shifted = by_reconstruction(lambda v: logits, lambda v: v + 0.5, 0.25)
    torch.testing.assert_close(shifted.decide(x).pixel_ratio, torch.full((2,), 4.0))
    assert shifted.decide(x).latent_ratio.tolist() == [0, 0]


# ------------------------------------------------------------------------------------------ the adaptive attack


def planar() -> SelectiveClassifier:
    """Classes one-hot in the first pixels; the fourth is rebuilt as it is, so only distances to means refuse."""
    return by_likelihood(as_code, as_image, PRIOR, Thresholds(latent=16.0, pixels=1.0))  # radius 0.4


@pytest.mark.parametrize(("epsilon", "possible"), [(0.85, True), (0.70, False)])
def test_it_succeeds_exactly_where_success_is_possible(epsilon: float, possible: bool) -> None:
    """From one mean, (1, 0, 0, ·), to within 0.4 of (0, 1, 0, ·): each pixel must come to within 0.4/√2 = 0.283."""
    x, labels = as_image(PRIOR.means[:2].clone()), torch.tensor([0, 1])
    found = attacks.adaptive(
        planar(), x, labels, Ball(epsilon), steps=30, restarts=4, generator=torch.Generator().manual_seed(0)
    )
    decision = planar().decide(found)
    assert (decision.accepted & (decision.labels != labels)).tolist() == [possible, possible]
    assert (Ball(epsilon).size(found, x) <= epsilon + 1e-6).all()


def test_a_detector_that_sees_every_change_is_never_fooled() -> None:
    """The decoder gives the mean of the nearest class: an accepted image lies next to that class's own."""

    def decode(z: Tensor) -> Tensor:
        return as_image(PRIOR.means[PRIOR.classify(z)])

    guarded = by_likelihood(as_code, decode, PRIOR, Thresholds(16.0, 0.01))
    x, labels = as_image(PRIOR.means.clone()), torch.arange(3)
    found = attacks.adaptive(
        guarded, x, labels, Ball(0.8), steps=20, restarts=3, generator=torch.Generator().manual_seed(0)
    )
    decision = guarded.decide(found)
    assert not (decision.accepted & (decision.labels != labels)).any()


def test_it_is_never_weaker_than_the_attacks_it_starts_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(adaptive_module, "apgd")  # nothing is left to climb
    classifier, labels = planar(), torch.zeros(20, dtype=torch.long)
    x = as_image(codes_near(0, 20)).clamp(0, 1)
    there = as_image(PRIOR.means[1:2]).expand_as(x)  # succeeds everywhere
    found = attacks.adaptive(
        classifier, x, labels, Ball(1.0), steps=1, restarts=2, starts=[there], generator=torch.Generator()
    )
    attacks.adaptive(classifier, x, labels, Ball(1.0), restarts=0, starts=[there], generator=torch.Generator())
    assert outcome(classifier.decide(found), labels).error == 1


@pytest.mark.parametrize(("ball", "first_step"), [(Ball(0.1), 0.05), (Ball(0.01), 0.02), (Ball(0.8, "l2"), 1.0)])
def test_full_climbs_take_turns(ball: Ball, first_step: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at the next best class, two at the one after it; one of the two from the first look's end, one from noise."""
    climbs: list[tuple[int, float]] = []
    starts: list[Tensor] = []
    aims: list[tuple[Tensor, Tensor]] = []

    def climbed(loss: Loss, x: Tensor, ball: Ball, *, steps: int, step_size: float, start: Tensor) -> Tensor:
        climbs.append((steps, step_size))
        starts.append(start)
        return attacks.apgd(loss, x, ball, steps=steps, step_size=step_size, start=start)

    def aimed(classifier: SelectiveClassifier, targets: Tensor, *, weight: float | Tensor, **options: object) -> Loss:
        if isinstance(weight, Tensor):
            aims.append((targets, weight))
        return attacks.accepted_as(classifier, targets, weight=weight, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(adaptive_module, "apgd", climbed)
    monkeypatch.setattr(adaptive_module, "accepted_as", aimed)
    labels = torch.arange(30) % 3
    x = as_image(PRIOR.means[labels])  # so small a ball holds no success
    attacks.adaptive(planar(), x, labels, ball, steps=10, restarts=6, generator=torch.Generator().manual_seed(0))
    assert climbs == [(2, first_step)] * 3 + [(10, first_step)] * 6
    starts, targets = starts[3:], [target for target, _ in aims]
    classes = torch.stack([labels, targets[0], targets[2]])
    assert torch.equal(classes.sort(0).values, torch.arange(3)[:, None].expand(3, 30))
    assert all(torch.equal(targets[i], targets[j]) for i, j in ((0, 1), (2, 3), (0, 4), (0, 5)))
    assert torch.equal(starts[0], starts[4])
    assert not torch.equal(starts[1], starts[5])
    weights = torch.cat([weight for _, weight in aims])
    assert 0.1 <= weights.min() < 0.15 < 7 < weights.max() <= 10


def test_the_joint_loss_is_positive_exactly_where_the_target_is_accepted() -> None:
    classifier = planar()
    x = torch.rand(20_000, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    targets = torch.arange(20_000) % 3
    with torch.no_grad():
        loss = attacks.accepted_as(classifier, targets)(x)
    decision = classifier.decide(x)
    assert torch.equal(loss > 0, decision.accepted & (decision.labels == targets))
    assert (loss > 0).sum() > 50


def test_the_joint_loss_by_hand() -> None:
    """Scores, latent and pixel ratios of three images: all slack, one missing, all missing."""
    scores = torch.tensor([[3.0, 0.0], [0.0, 8.0], [0.0, 8.0]])
    latent = torch.tensor([[0.25, 9.0], [0.25, 9.0], [4.0, 9.0]])
    classifier = SelectiveClassifier(lambda x, generator: (scores, latent, torch.tensor([0.16, 0.16, 2.25])))
    x, targets, root = torch.zeros(3, 1, 2, 2), torch.zeros(3, dtype=torch.long), 8 / 3  # signed root of 8: 8/√9
    found = attacks.accepted_as(classifier, targets, weight=torch.tensor([1.0, 1.0, 0.1]))(x)
    torch.testing.assert_close(found, -torch.tensor([-0.5, root, root + 1 + 0.1 * 0.5]))
    by_others = attacks.accepted_wrongly(classifier, 1 - targets)(x)  # of two classes, the wrong one is the target
    torch.testing.assert_close(by_others, attacks.accepted_as(classifier, targets)(x))


def test_white_box_attacks_end_where_their_loss_is_least() -> None:
    """With ‖x + η − c‖² for latent ratio, ‖x + η − c‖² + ‖η‖² is least half way, and without the second term at c."""
    c = torch.tensor([0.6, 0.3, 1.6, -1.0]).view(1, 1, 2, 2)
    classifier = SelectiveClassifier(
        lambda x, generator: (
            torch.zeros(len(x), 2),
            (x - c).square().flatten(1).sum(1)[:, None] * torch.tensor([1.0, 0.0]),
            torch.zeros(len(x)),
        )
    )
    x, targets = torch.full((3, 1, 2, 2), 0.8) * torch.tensor([1.0, 0.5, 0.25]).view(3, 1, 1, 1), torch.zeros(3).long()
    found = attacks.white_box(classifier, x, targets, b=1.0, steps=400)
    torch.testing.assert_close(found, ((x + c) / 2).clamp(0, 1), atol=1e-3, rtol=0)
    fooled = attacks.fooling(classifier, x, targets, b=1.0, steps=400)
    torch.testing.assert_close(fooled, c.clamp(0, 1).expand_as(x), atol=1e-3, rtol=0)


def test_the_untargeted_loss_is_positive_exactly_where_the_error_is_accepted() -> None:
    classifier = planar()
    x = torch.rand(20_000, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(20_000) % 3
    with torch.no_grad():
        loss = attacks.accepted_wrongly(classifier, labels)(x)
    decision = classifier.decide(x)
    assert torch.equal(loss > 0, decision.accepted & (decision.labels != labels))


def test_the_adaptive_attack_is_at_least_as_strong_as_every_other_at_every_radius() -> None:
    torch.manual_seed(0)
    mixing = torch.randn(4, 4)

    def encode(x: Tensor) -> Tensor:
        return (x.flatten(1) @ mixing).tanh()

    labels = torch.arange(60) % 3
    x = torch.rand(60, 1, 2, 2, generator=torch.Generator().manual_seed(1))
    classes = GaussianClasses.fit(encode(x) + 0.3 * torch.eye(3, 4)[labels], labels)
    classifier = by_likelihood(encode, lambda z: as_image((z @ mixing.T).sigmoid()), classes, Thresholds(12.0, 0.6))

    def scores(v: Tensor) -> Tensor:
        return classes.scores(encode(v))

    found = robustness(scores, classifier, x, labels, [0.2, 0.05], budget=Budget(steps=10, queries=50))
    assert found.epsilons == (0.05, 0.2)
    for place in range(2):
        errors = {name: outcomes[place].error for name, outcomes in found.outcomes.items()}
        assert errors["adaptive"] == max(errors.values())
        for shares in (outcomes[place] for outcomes in found.outcomes.values()):
            assert math.isclose(shares.accuracy + shares.error + shares.rejection, 1)
    assert found.outcomes["adaptive"][1].error >= found.outcomes["adaptive"][0].error
    assert found.outcomes["adaptive"][1].error > found.outcomes["fgsm"][1].error
    assert found.row()["adaptive_error_0.2"] == found.outcomes["adaptive"][1].error
    for norm in ("linf", "l2"):
        nearest = attacks.nearest_accepted(classifier, x, labels, norm=norm, steps=5)
        found = robustness(scores, classifier, x, labels, [0.05, 0.2], norm=norm, budget=Budget(steps=10, queries=2))
        shares = [(nearest.sizes <= radius).double().mean().item() for radius in (0.05, 0.2)]
        assert [each.error for each in found.outcomes["fab"]] == pytest.approx(shares)
        assert shares[0] < shares[1]


def test_every_attack_spends_its_budget_on_a_classifier_that_refuses_nothing() -> None:
    seen: list[int] = []

    def scores(x: Tensor) -> Tensor:
        assert len(x)  # many networks take no empty batch
        seen.append(len(x))
        return -PRIOR.squared_distances(as_code(x))

    x, labels = as_image(codes_near(0, 12)).clamp(0, 1), torch.arange(12) % 2
    budget = Budget(steps=2, queries=3)
    found = robustness(scores, by_confidence(scores), x, labels, [0.3], budget=budget)
    assert set(found.outcomes) == {"fgsm", "mim", "pgd", "apgd", "orthogonal", "square", "fab", "adaptive"}
    for name, (shares,) in found.outcomes.items():
        assert found.plain[name] == [shares.error]  # wrong is the same as wrong and accepted
        assert shares.error >= 0.5  # the labels of half the images are wrong to begin with
    seen.clear()
    robustness(scores, by_confidence(lambda v: -PRIOR.squared_distances(as_code(v))), x, labels, [0.3], budget=budget)
    assert seen == [1] + [12] * (1 + 2 + 3 + 3)  # how many classes; FGSM; MIM; PGD and its end; Auto-PGD and its start
    with pytest.raises(TeachlibError, match="pixels outside"):
        robustness(scores, by_confidence(scores), x + 0.3, labels, [0.3])


def test_a_verdict_names_label_decision_and_both_ratios() -> None:
    decision = Decision(torch.tensor([3, 1]), torch.tensor([0.5, 1.0004]), torch.tensor([0.25, 1.5]))
    assert decision.verdicts() == [
        "taken for class 3, accepted: code at 0.50 and pixels at 0.25 of their thresholds",
        "taken for class 1, refused: code at 1.0004 and pixels at 1.50 of their thresholds",
    ]
    border = Decision(torch.tensor([0]), torch.ones(1), torch.tensor([1 + 1e-12], dtype=torch.double))
    assert border.verdicts() == [
        "taken for class 0, refused: code at 1.00 and pixels at 1.000000000001 of their thresholds"
    ]


def test_an_attacker_who_may_do_anything_gets_everything() -> None:
    """The sanity check of Carlini et al. (2019): in a ball that holds every image, success must come near to one."""
    model = from_zoo("gmm-vae", "glyphs")
    classifier = selective(model, load("glyphs", "train", limit=2_000), load("glyphs", "validation", limit=1_000))
    x, labels = load("glyphs", "test", limit=10)[:]
    found = attacks.adaptive(
        classifier, x, labels, Ball(1.0), steps=40, restarts=2, generator=torch.Generator().manual_seed(0)
    )
    assert outcome(classifier.decide(found), labels).error >= 0.9


def test_an_image_without_a_class_is_neither_right_nor_wrong() -> None:
    decision = Decision(torch.tensor([0, 1]), torch.zeros(2), torch.zeros(2))
    assert outcome(decision, torch.tensor([0, 0])).error == 0.5
    with pytest.raises(TeachlibError, match="label -1: an image without a class"):
        outcome(decision, torch.tensor([0, -1]))


def test_a_classifier_that_is_sure_is_refused_at_the_rate_that_was_asked_for() -> None:
    """Probabilities of 1 − 10⁻⁹ and less are not told apart in single precision."""
    margins = torch.linspace(16, 30, 2000)[torch.randperm(2000, generator=torch.Generator().manual_seed(0))]
    logits = torch.stack([margins, torch.zeros(2000)], 1)
    least = float(logits.double().softmax(1).amax(1).quantile(0.01))
    images = logits.view(2000, 1, 1, 2)
    refused = by_confidence(lambda x: x.flatten(1), least).decide(images).accepted.logical_not()
    assert refused.double().mean().item() == pytest.approx(0.01, abs=0.001)
