import pytest
import torch
from torch import Tensor

from teachlib.errors import TeachlibError
from teachlib.gmmvae import MixturePrior, Thresholds, class_means, nearest_code, reclassify, unrolled_errors

PRIOR = MixturePrior(class_means(4, 4), 0.01)
MIXING = torch.randn(4, 36, generator=torch.Generator().manual_seed(0))


def decode(z: Tensor) -> Tensor:
    """Smooth, one to one, and curved."""
    return torch.sigmoid(z @ MIXING).view(-1, 1, 6, 6)


def planted(count: int = 20) -> tuple[Tensor, Tensor]:
    labels = torch.arange(count) % 4
    return PRIOR.sample(labels, torch.Generator().manual_seed(1)), labels


def test_a_planted_code_is_found() -> None:
    z, labels = planted()
    found = nearest_code(decode, PRIOR, decode(z), steps=300)
    torch.testing.assert_close(found.z, z, atol=5e-3, rtol=0)
    assert (found.error < 1e-4).all()
    assert torch.equal(PRIOR.classify(found.z), labels)


def test_small_changes_of_the_image_leave_the_label() -> None:
    z, labels = planted()
    noisy = decode(z) + 0.05 * torch.randn(20, 1, 6, 6, generator=torch.Generator().manual_seed(2))
    decision = reclassify(decode, PRIOR, Thresholds(latent=40.0, pixels=1.0), noisy, steps=200)
    assert torch.equal(decision.labels, labels)
    assert decision.accepted.all()
    found = nearest_code(decode, PRIOR, noisy, steps=200)
    stricter = reclassify(decode, PRIOR, Thresholds(latent=20.0, pixels=0.1), noisy, steps=200)
    torch.testing.assert_close(stricter.latent_ratio, PRIOR.mahalanobis(found.z).amin(1) / 20)
    torch.testing.assert_close(stricter.pixel_ratio, found.error / 0.1)
    with pytest.raises(TeachlibError, match="batch_size is 0"):
        nearest_code(decode, PRIOR, noisy, batch_size=0)


def test_what_no_code_can_draw_is_still_refused() -> None:
    noise = torch.rand(5, 1, 6, 6, generator=torch.Generator().manual_seed(3)).round()
    decision = reclassify(decode, PRIOR, Thresholds(latent=20.0, pixels=1.0), noise, steps=100)
    assert not decision.accepted.any()


def test_batches_and_longer_searches_do_not_make_it_worse() -> None:
    x = decode(planted()[0])
    whole, parts = (nearest_code(decode, PRIOR, x, steps=30, batch_size=size) for size in (20, 7))
    torch.testing.assert_close(whole.z, parts.z, atol=1e-5, rtol=0)
    errors = [nearest_code(decode, PRIOR, x, steps=steps).error for steps in (0, 30, 100)]
    assert (errors[0] >= errors[1]).all()
    assert (errors[1] >= errors[2]).all()
    starts = (decode(PRIOR.means)[None] - x[:, None]).square().flatten(2).sum(2)
    torch.testing.assert_close(errors[0], starts.amin(1))


def test_the_unrolled_search_is_differentiable_in_the_image() -> None:
    x = decode(planted(3)[0]).double().requires_grad_()
    prior = MixturePrior(PRIOR.means.double(), PRIOR.variance)

    def errors(image: Tensor) -> Tensor:
        return unrolled_errors(
            lambda z: torch.sigmoid(z @ MIXING.double()).view(-1, 1, 6, 6), prior, image, steps=3, step_size=1.0
        )

    assert errors(x).shape == (3, 4)
    assert torch.autograd.gradcheck(errors, (x,), atol=1e-6)
    torch.testing.assert_close(torch.cat([errors(image[None]) for image in x]), errors(x))  # each by itself


@pytest.mark.parametrize("steps", [5, 20])
def test_unrolling_finds_the_right_class_and_more_steps_come_closer(steps: int) -> None:
    z, labels = planted()
    few = unrolled_errors(decode, PRIOR, decode(z), steps=steps, step_size=2.0)
    assert torch.equal(few.argmin(1), labels)
    assert (few.amin(1) <= (decode(PRIOR.means[labels]) - decode(z)).square().flatten(1).sum(1)).all()
