"""Better samples: exact on finite sets with a right ratio, and a target that corrected chains leave alone."""

import math

import pytest
import torch
from scipy import stats

from teachlib import results
from teachlib.energy import (
    isotonic,
    langevin_of_noise,
    latent_energy,
    log_normalizer,
    metropolis_hastings,
    platt,
    refitted,
    rejection,
    resampled,
    tables,
)
from teachlib.errors import TeachlibError

DATA = torch.tensor([0.1, 0.2, 0.3, 0.4])
MADE = torch.tensor([0.55, 0.25, 0.15, 0.05])
RATIO = (DATA / MADE).log()
ALPHA = 1e-4  # of each test of a distribution; 20,000 draws see a share that is off by .02 with a power above .99
DRAWS = 20_000


def propose(seed):
    generator = torch.Generator().manual_seed(seed)
    return lambda count: torch.multinomial(MADE, count, True, generator=generator)


def log_ratio(x):
    return RATIO[x]


def fits(x, shares=DATA):
    counts = torch.bincount(x, minlength=len(shares)).numpy()
    return stats.chisquare(counts, (shares * len(x)).numpy()).pvalue > ALPHA


def test_the_generator_s_own_samples_do_not_fit() -> None:
    assert not fits(propose(0)(DRAWS))


def test_rejection_is_exact_on_a_finite_set() -> None:
    generator = torch.Generator().manual_seed(1)
    chosen = rejection(propose(11), log_ratio, DRAWS, generator, log_largest=RATIO.max().item())
    assert fits(chosen.samples)
    assert DRAWS / chosen.proposed == pytest.approx(math.exp(-RATIO.max().item()), rel=0.15)
    shifted = rejection(propose(11), log_ratio, DRAWS, generator, log_largest=RATIO.max().item(), shift=2.0)
    assert not fits(shifted.samples)
    assert shifted.proposed < chosen.proposed


def test_hopeless_rejection_says_so() -> None:
    with pytest.raises(TeachlibError, match="of the proposals are accepted; calibrate"):
        rejection(propose(11), log_ratio, 100, torch.Generator(), log_largest=60.0)


def test_metropolis_hastings_leaves_the_data_alone_and_finds_them() -> None:
    generator = torch.Generator().manual_seed(2)
    data = torch.multinomial(DATA, DRAWS, True, generator=generator)
    ends, moved = metropolis_hastings(data, propose(12), log_ratio, generator, steps=1)
    assert fits(ends)
    assert 0.2 < moved.float().mean() < 0.9
    assert torch.equal(ends[~moved], data[~moved])
    far, _ = metropolis_hastings(torch.zeros(DRAWS, dtype=torch.long), propose(13), log_ratio, generator, steps=200)
    assert fits(far)


def test_resampling_is_right_where_there_are_many_and_counts_what_works() -> None:
    generator = torch.Generator().manual_seed(3)
    made = propose(4)(400_000)
    chosen, effective = resampled(made, RATIO[made], DRAWS, generator)
    assert fits(chosen)
    expected = len(made) / (MADE * (DATA / MADE).square()).sum().item()
    assert effective == pytest.approx(expected, rel=0.02)
    _, all_of_them = resampled(made[:50], torch.full((50,), 700.0), 10, generator)
    assert all_of_them == pytest.approx(50)


def test_a_right_ratio_s_mean_is_one() -> None:
    assert log_normalizer(RATIO[propose(5)(200_000)]) == pytest.approx(0, abs=0.02)
    assert log_normalizer(RATIO[propose(5)(200_000)] + 3) == pytest.approx(3, abs=0.02)


def test_platt_finds_a_known_logistic_whatever_its_units() -> None:
    generator = torch.Generator().manual_seed(6)
    logits = 3 * torch.randn(40_000, generator=generator)
    real = torch.rand(40_000, generator=generator) < (0.5 * logits + 0.7).sigmoid()
    a, b = platt(logits[real], logits[~real])
    b += math.log(real.sum() / (~real).sum())  # the ratio of densities does not know which kind was more frequent
    assert (a, b) == (pytest.approx(0.5, abs=0.03), pytest.approx(0.7, abs=0.05))
    assert platt(1e4 * logits[real], 1e4 * logits[~real])[0] == pytest.approx(a / 1e4, rel=1e-3)
    with pytest.raises(TeachlibError, match="needs both"):
        platt(logits, logits[:0])
    with pytest.raises(TeachlibError, match="not finite"):
        platt(logits, torch.tensor([math.nan]))


def test_calibration_does_not_mind_how_many_of_each_there_are() -> None:
    generator = torch.Generator().manual_seed(11)
    real, made = torch.randn(2, 30_000, generator=generator) + torch.tensor([[1.0], [0.0]])
    a, b = platt(real, made[:3000])
    assert (a, b) == (pytest.approx(1, abs=0.1), pytest.approx(-0.5, abs=0.1))


def test_what_cannot_be_chosen_from_or_followed_is_refused_in_a_line() -> None:
    x = torch.zeros(3, 2)
    with pytest.raises(TeachlibError, match="expected a finite ratio for each"):
        resampled(x, torch.zeros(2), 5, torch.Generator())
    with pytest.raises(TeachlibError, match="no slope"):
        langevin_of_noise(
            lambda z: z, lambda x: x.detach().sum(1), x, torch.Generator(), steps=1, step_size=0.1, corrected=False
        )


def test_isotonic_calibration_rises_and_is_right_where_logistic_ones_are_not() -> None:
    generator = torch.Generator().manual_seed(7)
    logits = torch.randn(60_000, generator=generator)
    truth = torch.where(logits > 0, 2.0, -1.0)
    real = torch.rand(60_000, generator=generator) < truth.sigmoid()
    calibrated = isotonic(logits[real], logits[~real])
    at = torch.linspace(-2, 2, 41)
    found = calibrated(at) + math.log(real.sum() / (~real).sum())
    assert (found.diff() >= 0).all()
    assert found[5].item() == pytest.approx(-1, abs=0.2)
    assert found[-5].item() == pytest.approx(2, abs=0.2)


@pytest.mark.parametrize(("real", "made"), [(3, 3), (5, 20), (40, 1)])
def test_a_stair_of_one_kind_alone_is_as_sure_as_it_has_samples(real: int, made: int) -> None:
    calibrated = isotonic(torch.linspace(1, 2, real), torch.linspace(-2, -1, made))
    found = calibrated(torch.tensor([-1e9, 1e9])) + math.log(real / made)
    assert found.tolist() == pytest.approx([-math.log(2 * made + 1), math.log(2 * real + 1)])
    # Three surely real ones on top of a stair of a hundred to one: no less than that.
    real_ones = torch.cat([torch.full((100,), 1.0), torch.full((3,), 2.0)])
    calibrated = isotonic(real_ones, torch.full((1,), 1.0))
    assert (calibrated(torch.tensor([1.0, 2.0])) + math.log(103)).tolist() == pytest.approx([math.log(100)] * 2)


def test_a_judge_that_is_trained_on_finds_the_ratio() -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(8)
    judge = torch.nn.Sequential(torch.nn.Linear(1, 32), torch.nn.SiLU(), torch.nn.Linear(32, 1), torch.nn.Flatten(0))
    refitted(
        judge,
        lambda count: torch.randn(count, 1, generator=generator) + 1,
        lambda count: torch.randn(count, 1, generator=generator),
        steps=400,
    )
    at = torch.linspace(-1, 2, 13)[:, None]
    assert (judge(at) - (at[:, 0] - 0.5)).abs().max() < 0.35  # log N(x; 1, 1)/N(x; 0, 1)


def _ratio_of_a_shift(x):
    """log N(x; 1, 1)/N(x; 0, 1), summed over two coordinates: the generator is the identity."""
    return (x - 0.5).sum(1)


def test_corrected_langevin_leaves_the_data_s_noise_alone() -> None:
    generator = torch.Generator().manual_seed(9)
    start = torch.randn(8_000, 2, generator=generator) + 1
    ends, accepted = langevin_of_noise(
        lambda z: z, _ratio_of_a_shift, start, generator, steps=20, step_size=0.6, corrected=True
    )
    assert 0.4 < accepted < 0.95
    assert stats.kstest(ends[:, 0].numpy() - 1, "norm").pvalue > ALPHA
    coarse, everything = langevin_of_noise(
        lambda z: z, _ratio_of_a_shift, start, generator, steps=20, step_size=0.6, corrected=False
    )
    assert everything == 1
    assert stats.kstest(coarse[:, 0].numpy() - 1, "norm").pvalue < ALPHA  # too broad at such steps


def test_the_energy_of_noise_is_that_of_the_data() -> None:
    z = torch.randn(50, 2, generator=torch.Generator().manual_seed(10))
    found = latent_energy(lambda z: z, _ratio_of_a_shift)(z)
    expected = 0.5 * (z - 1).square().sum(1)
    assert torch.allclose(found - expected, (found - expected)[0].expand(50), atol=1e-5)


def test_the_page_shows_samples_that_were_corrected() -> None:
    text = tables.page().partition("## Samples corrected by the judge")[2]
    for dataset, title in tables.IMPROVED.items():
        values = results.read_results("better-samples", dataset)["Langevin-trained-on"]["values"]
        assert results.shown(values["distance"], digits=3) in text.partition(title)[2]
        assert set(tables.improved(dataset)) == {
            "as they come",
            *(f"{way}, {judge}" for way in tables.WAYS for judge in tables.JUDGES),
        }


def test_no_line_is_the_best_where_all_are_told_apart() -> None:
    apart = torch.tensor([1.0, 2, 3]), torch.tensor([-1.0, -2, -3])
    for real, made in (apart, apart[::-1]):
        with pytest.raises(TeachlibError, match="tell all real samples from all generated ones"):
            platt(real, made)
