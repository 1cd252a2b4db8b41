"""The zoo: hashes, cards, sizes, and what its models can do."""

import json
from pathlib import Path

import pytest
import torch

from teachlib import primer, rae, zoo
from teachlib.errors import TeachlibError
from teachlib.metrics import feature_classifier

# Each holds for the model that ships; a wrong file, a swapped net or a lost batch-norm buffer breaks it.
ACCURACY = {"features-glyphs": 0.99, "features-digits": 0.97}
ERROR = {"vae": 18.0, "ae": 15.0, "rae-l2": 15.0}  # squared error an image; the black image has about 90


@pytest.mark.parametrize("name", zoo.names())
def test_cards_tell_how_it_was_made_and_weights_have_their_hash(name: str) -> None:
    tensors, card = zoo.read(name)
    assert tensors
    assert {"recipe", "seed", "data_sha256", "command", "steps", "parameters", "sha256"} <= card.keys()
    assert (zoo.folder() / f"{name}.safetensors").stat().st_size <= zoo.LARGEST


def test_what_the_course_promises_is_there() -> None:
    promised = {f"features-{d}" for d in ("glyphs", "digits", "mnist", "fashion-mnist")}
    promised |= {f"{name}-{dataset}" for name in ("ae", "vae", "rae-l2") for dataset in ("glyphs", "mnist")}
    promised |= {f"{name}-digits" for name in primer.RECIPES}
    assert promised <= set(zoo.names())
    assert sum(file.stat().st_size for file in zoo.folder().glob("*")) < 40 * 2**20


@pytest.mark.parametrize("name", ACCURACY)
def test_classifiers_classify(name: str) -> None:
    dataset = name.removeprefix("features-")
    x, labels = rae.load(dataset, "test", limit=300)[:]
    with torch.no_grad():
        accuracy = (feature_classifier(dataset)(x).argmax(1) == labels).double().mean().item()
    assert accuracy >= ACCURACY[name]


@pytest.mark.parametrize("name", ERROR)
def test_autoencoders_reconstruct(name: str) -> None:
    x = rae.load("glyphs", "test", limit=100)[:][0]
    with torch.no_grad():
        error = (rae.from_zoo(name, "glyphs")(x) - x).square().flatten(1).sum(1).mean().item()
    assert error < ERROR[name]


def test_an_altered_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for suffix in ("json", "safetensors"):
        (tmp_path / f"ae-glyphs.{suffix}").write_bytes((zoo.folder() / f"ae-glyphs.{suffix}").read_bytes())
    monkeypatch.setattr(zoo, "folder", lambda: tmp_path)
    file = tmp_path / "ae-glyphs.safetensors"
    contents = bytearray(file.read_bytes())
    contents[-1] ^= 1
    file.write_bytes(contents)
    with pytest.raises(TeachlibError, match="wrong hash"):
        rae.from_zoo("ae", "glyphs")
    with pytest.raises(TeachlibError, match="unknown zoo model 'ae-glyph'; did you mean 'ae-glyphs'"):
        zoo.card("ae-glyph")
    assert json.loads((tmp_path / "ae-glyphs.json").read_text())["recipe"]["name"] == "ae"


def test_a_damaged_card_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for suffix in ("json", "safetensors"):
        (tmp_path / f"ae-glyphs.{suffix}").write_bytes((zoo.folder() / f"ae-glyphs.{suffix}").read_bytes())
    monkeypatch.setattr(zoo, "folder", lambda: tmp_path)
    file, coming = tmp_path / "ae-glyphs.json", tmp_path / ".ae-glyphs.json.partial"
    whole = file.read_bytes()
    card = json.loads(whole)
    others = [card | {key: None} for key in ("recipe", "sha256", "parameters", "steps", "command")]
    for damaged in (
        b"",
        whole[:300],
        b"\xff" + whole,
        b"[]",
        b"[" * 100_000,
        *(json.dumps(o).encode() for o in others),
    ):
        coming.write_bytes(damaged)  # what waits for its weights changes nothing
        assert zoo.read("ae-glyphs")[1] == card
        file.write_bytes(damaged)
        for read in (zoo.card, zoo.read):
            with pytest.raises(TeachlibError, match=r"ae-glyphs\.json: not the card of a model; reinstall"):
                read("ae-glyphs")
        file.write_bytes(whole)
