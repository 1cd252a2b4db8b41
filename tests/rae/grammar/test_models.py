"""Losses of sequences against explicit products, the recipes' numbers, and a run there and back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Normal, kl_divergence

from teachlib.errors import TeachlibError
from teachlib.rae import grammar
from teachlib.rae.grammar.targets import penalized_log_p

NAMES = [(name, "thesis") for name in grammar.RECIPES] + [("gvae", "released"), ("cvae", "released")]


@pytest.fixture(scope="module")
def expressions() -> list[str]:
    return grammar.load("expressions", "test", limit=20)


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_sequence_loss_is_minus_the_log_of_a_product(expressions: list[str]) -> None:
    codec = grammar.language("expressions").codec(rules=True)
    tokens, logits = codec.encode(expressions), torch.randn(20, 15, 12, generator=_generator())
    mask = codec.mask(tokens)
    assert mask is not None
    for row in range(20):
        product = 1.0
        for step in range(15):
            weights = logits[row, step].exp() * mask[row, step]
            product *= (weights[tokens[row, step]] / weights.sum()).item()
        found = grammar.sequence_loss(logits[row : row + 1], tokens[row : row + 1], mask[row : row + 1])
        assert found.item() == pytest.approx(-np.log(product), rel=1e-5)


def test_probabilities_of_all_sentences_sum_to_one() -> None:
    """Scores that leave no sentence out: the six rules' worth of sentences that fit, each by its own loss."""
    codec = grammar.RuleCodec(grammar.EXPRESSIONS, 2)
    logits = torch.randn(1, 2, 12, generator=_generator())
    # Rules S → T and T → x | 1 | 2 | 3 alone: others could not end in two steps.
    tokens = codec.encode(["x", "1", "2", "3"])
    mask = torch.zeros(4, 2, 12, dtype=torch.bool)
    mask[:, 0, 3] = mask[:, 1, 7:11] = True
    assert grammar.sequence_loss(logits.expand(4, -1, -1), tokens, mask).neg().exp().sum() == pytest.approx(1, abs=1e-6)


def test_released_loss_by_its_formula(expressions: list[str]) -> None:
    codec = grammar.language("expressions").codec(rules=True)
    tokens, logits = codec.encode(expressions), torch.randn(20, 15, 12, generator=_generator()).double()
    mask = codec.mask(tokens)
    p = (logits.exp() * mask / (logits.exp() * mask).sum(2, keepdim=True)).clamp(1e-7, 1 - 1e-7)
    target = F.one_hot(tokens, 12).double()
    entropies = -(target * p.log() + (1 - target) * (1 - p).log())
    found = grammar.released_sequence_loss(logits, tokens, mask)
    assert found.item() == pytest.approx(15 * entropies.mean().item(), rel=1e-6)


@pytest.mark.parametrize(("name", "variant"), NAMES)
def test_every_parameter_gets_a_gradient(name: str, variant: str, expressions: list[str]) -> None:
    model = grammar.SequenceAutoencoder(grammar.recipe(name, scale="ci", variant=variant))
    grammar.SequenceObjective(model).loss(model.codec.encode(expressions), _generator()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize("name", ["gvae", "gcvvae"])
def test_divergence_against_torch(name: str, expressions: list[str]) -> None:
    """Doubling the weight of KL adds exactly torch's divergence to the loss."""
    once = grammar.recipe(name, scale="ci")
    model = grammar.SequenceAutoencoder(once).eval()
    tokens = model.codec.encode(expressions)
    losses = []
    for weight in (1.0, 2.0):
        model.recipe = replace(once, kl_weight=weight)
        losses.append(grammar.SequenceObjective(model).loss(tokens, _generator()))
    mean, *log_variance = model.encoder(tokens).split(once.latent, dim=1)
    deviation = (log_variance[0] / 2).exp() if log_variance else torch.full_like(mean, 0.7)
    expected = kl_divergence(Normal(mean, deviation), Normal(torch.zeros_like(mean), 1)).sum(1).mean()
    assert (losses[1] - losses[0]).item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize(("name", "variant"), [pair for pair in NAMES if pair[0] != "grae"])
def test_stochastic_losses_by_hand(name: str, variant: str, expressions: list[str]) -> None:
    """A code from the posterior, its noise scaled; KL by torch, in the published code a mean over dimensions."""
    recipe = replace(grammar.recipe(name, scale="ci", variant=variant), noise=0.3, kl_weight=0.5)
    model = grammar.SequenceAutoencoder(recipe).eval()
    tokens = model.codec.encode(expressions)
    mean, *log_variance = model.encoder(tokens).split(recipe.latent, dim=1)
    deviation = (log_variance[0] / 2).exp() if log_variance else torch.full_like(mean, 0.7)
    divergence = kl_divergence(Normal(mean, deviation), Normal(torch.zeros_like(mean), 1)).sum(1).mean()
    z = mean + 0.3 * deviation * torch.randn(mean.shape, generator=_generator())
    logits, mask = model.decoder(z), model.codec.mask(tokens)
    if variant == "released":
        expected = grammar.released_sequence_loss(logits, tokens, mask) + 0.5 * divergence / recipe.latent
    else:
        expected = grammar.sequence_loss(logits, tokens, mask).mean() + 0.5 * divergence
    found = grammar.SequenceObjective(model).loss(tokens, _generator())
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_sure_mistake_costs_the_logarithm_of_the_clamp() -> None:
    """Of three choices, the right one at 10⁻⁷ and a wrong one at 1 − 10⁻⁷: twice −log 10⁻⁷, over three."""
    logits = torch.tensor([[[100.0, 0.0, 0.0]]], dtype=torch.float64)
    found = grammar.released_sequence_loss(logits, torch.tensor([[1]]))
    assert found.item() == pytest.approx(14 * np.log(10) / 3, rel=1e-6)


def test_deterministic_loss_by_hand(expressions: list[str]) -> None:
    model = grammar.SequenceAutoencoder(grammar.recipe("grae", scale="ci")).eval()
    tokens, recipe = model.codec.encode(expressions), model.recipe
    z = model.encoder(tokens)
    expected = grammar.sequence_loss(model.decoder(z), tokens, model.codec.mask(tokens)).mean()
    expected = expected + recipe.beta * 0.5 * z.square().sum(1).mean()
    expected = expected + recipe.lambda_ * sum(p.square().sum() for p in model.decoder.parameters())
    found = grammar.SequenceObjective(model).loss(tokens, _generator())
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_released_noise_is_a_hundredth(expressions: list[str]) -> None:
    """The spread of the loss over draws is about a hundred times smaller with the published noise."""
    recipe = grammar.recipe("gvae", scale="ci")
    torch.manual_seed(0)
    model = grammar.SequenceAutoencoder(recipe).eval()
    tokens, spreads = model.codec.encode(expressions), []
    for noise in (1.0, 0.01):
        model.recipe = replace(recipe, noise=noise)
        objective = grammar.SequenceObjective(model)
        losses = [objective.loss(tokens, torch.Generator().manual_seed(seed)).item() for seed in range(30)]
        spreads.append(np.std(losses))
    assert 30 < spreads[0] / spreads[1] < 300


def test_recipes_are_the_published_sizes() -> None:
    found = grammar.recipe("gvae", "zinc", scale="paper", variant="released")
    assert (found.latent, found.hidden, found.dense, found.kernels) == (56, 501, 435, (9, 9, 11))
    assert (found.batch_size, found.noise, found.batch_norm) == (500, 0.01, False)
    assert grammar.SequenceAutoencoder(replace(found, hidden=8)).decoder.recurrent.num_layers == 3
    small = grammar.recipe("cvae", "expressions", scale="paper")
    assert (small.latent, small.hidden, small.batch_size, small.steps) == (25, 100, 600, 50 * 160)
    for name, wrong in (("gvaee", {}), ("grae", {"variant": "released"}), ("grae", {"steps": 0})):
        with pytest.raises(TeachlibError):
            grammar.recipe(name, **wrong)
    with pytest.raises(TeachlibError, match="unknown set of strings 'glyphs'"):
        grammar.recipe("grae", "glyphs")


def test_a_run_is_trained_kept_and_opened(tmp_path: Path) -> None:
    recipe = replace(grammar.recipe("grae", scale="ci", steps=40), samples=300)
    model, history = grammar.train(recipe, folder=tmp_path / "run", progress=False, log_every=10)
    _, losses = history.series("autoencoder")
    assert losses[-1] < losses[0]
    opened, header = grammar.open_run(tmp_path / "run")
    tokens = model.codec.encode(grammar.load("expressions", "test", limit=5))
    assert torch.equal(opened.scores(opened.encode(tokens)), model.scores(model.encode(tokens)))
    assert header["recipe"]["name"] == "grae"


def test_strings_by_name() -> None:
    splits = {split: grammar.load("expressions", split, limit=500) for split in ("train", "validation", "test")}
    assert all(len(found) == 500 for found in splits.values())
    assert not set(splits["train"]) & set(splits["test"])
    assert not set(splits["validation"]) & set(splits["test"])
    assert grammar.load("expressions", "test", limit=3) == splits["test"][:3]
    with pytest.raises(TeachlibError, match="unknown split"):
        grammar.load("molecules", "training")


def test_missing_zinc_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TeachlibError, match=r"missing .*250k_rndm_zinc_drugs_clean.smi"):
        grammar.load("zinc", root=tmp_path)
    (tmp_path / "zinc").mkdir()
    (tmp_path / "zinc" / "250k_rndm_zinc_drugs_clean.smi").write_text("CCO\n")
    with pytest.raises(TeachlibError, match="wrong hash"):
        grammar.load("zinc", root=tmp_path)


@pytest.mark.parametrize("rules", [True, False])
def test_assembled_molecules_fit_into_their_models(rules: bool) -> None:
    codec = grammar.language("molecules").codec(rules=rules)
    found = grammar.load("molecules", "test")[:200]
    assert codec.decode(20 * F.one_hot(codec.encode(found), codec.size).float()) == found


def test_a_row_counts_what_it_says(tmp_path: Path) -> None:
    """An untrained model of rules: nothing comes back, everything is an expression, and trials differ by their seed."""
    torch.manual_seed(0)
    model = grammar.SequenceAutoencoder(grammar.recipe("grae", scale="ci")).eval()
    found = grammar.evaluate(model, count=100, known=60, trials=2, rounds=1, batch=5, attempts=2)
    row = found.row()
    assert (row["exact"], row["normal_valid"], row["search_valid"]) == (0, 1, 1)
    assert row["search_mean"] == pytest.approx(np.mean([trial.scores.mean() for trial in found.trials]))
    assert found.trials[0].strings != found.trials[1].strings
    assert found.best[0][1] == min(trial.scores.min() for trial in found.trials)
    assert row["nats"] > 5


def _trial(*scores: float) -> grammar.Found:
    strings: list[str | None] = [None if value == 9 else f"{value}" for value in scores]
    return grammar.Found(strings, np.array(scores), np.zeros(len(scores), dtype=int))


def test_a_row_by_hand() -> None:
    """Two searches: the spread of two numbers is their distance over √2, of one number zero; the best are of both."""
    trials = [_trial(1.0, 2.0, 3.0, 9.0), _trial(2.0, 5.0, 5.0, 5.0)]
    row = grammar.Written(0.5, 7.0, {"normal": 0.25}, {"normal": 0.75}, trials).row()
    expected = {"exact": 0.5, "nats": 7.0, "normal_valid": 0.25, "normal_different": 0.75}
    expected |= {"search_valid": 0.875, "search_valid_spread": 0.25 / 2**0.5}
    expected |= {"search_mean": 4.0, "search_mean_spread": 0.5 / 2**0.5}
    assert row == pytest.approx(expected | {"search_best_1": 1.0, "search_best_2": 2.0, "search_best_3": 3.0})
    alone = grammar.Written(0.5, 7.0, {}, {}, trials[:1])
    assert alone.row()["search_mean_spread"] == 0
    assert alone.best == [("1.0", 1.0), ("2.0", 2.0), ("3.0", 3.0)]


def test_shares_of_valid_and_of_different_strings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of twelve strings eight that are valid, two different ones; then none at all."""
    model = grammar.SequenceAutoencoder(grammar.recipe("cvae", scale="ci")).eval()
    fewest = {"count": 12, "known": 12, "trials": 1, "rounds": 1, "batch": 1, "attempts": 1}
    monkeypatch.setattr(model, "decode", lambda z, generator: ["x", "sin(x)", "sin(", *["x", "x", None]] * 2)
    found = grammar.evaluate(model, **fewest)  # type: ignore[arg-type]
    assert found.valid == dict.fromkeys(grammar.PRIORS, 8 / 12)
    assert found.different == dict.fromkeys(grammar.PRIORS, 2 / 8)
    monkeypatch.setattr("teachlib.rae.grammar.evaluation.is_valid", lambda dataset, text: False)
    found = grammar.evaluate(model, **fewest)  # type: ignore[arg-type]
    assert set(found.valid.values()) == set(found.different.values()) == {0.0}
    assert found.trials[0].strings == [None]
    for name in fewest:
        with pytest.raises(TeachlibError, match=f"{name} is 0; expected at least 1"):
            grammar.evaluate(model, **{**fewest, name: 0})  # type: ignore[arg-type]


@pytest.mark.parametrize(("dataset", "strings"), [("expressions", ["x", "x+x"]), ("molecules", ["CCO", "CCCCC"])])
def test_a_pick_without_a_string_scores_worst(
    dataset: str, strings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An expression as one that errs by a thousand everywhere, a molecule as the worst of those that are known."""
    if dataset == "molecules":
        pytest.importorskip("rdkit")
    model = grammar.SequenceAutoencoder(grammar.recipe("grae", dataset, scale="ci")).eval()
    monkeypatch.setattr("teachlib.rae.grammar.evaluation.is_valid", lambda dataset, text: False)
    codes = torch.randn(2, model.recipe.latent, generator=_generator())
    found = grammar.search_model(model, strings, codes, rounds=1, batch=1, attempts=1)
    worst = np.log(1001) if dataset == "expressions" else max(-penalized_log_p(text) for text in strings)
    assert found.scores.tolist() == [pytest.approx(worst)]


def test_several_draws_are_judged_before_the_commonest_is_taken() -> None:
    torch.manual_seed(0)
    model = grammar.SequenceAutoencoder(grammar.recipe("cvae", scale="ci")).eval()
    with torch.no_grad():  # mostly a string that is none, sometimes one that is
        model.decoder.end.weight.zero_()
        model.decoder.end.bias.fill_(-30.0)
        model.decoder.end.bias[model.codec.alphabet.index("x")] = 0.0
        model.decoder.end.bias[model.codec.alphabet.index(" ")] = 3.0
    found = grammar.decode_valid(model, torch.zeros(3, 25), attempts=200, generator=_generator())
    assert found == ["x", "x", "x"]
