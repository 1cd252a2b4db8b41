"""Checkpoints: a round trip, and every way a file can be wrong answered by one line."""

import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from teachlib.checkpoints import load_weights, part, read_checkpoint, write_checkpoint
from teachlib.errors import TeachlibError


class Bomb:
    def __reduce__(self):
        return (exit, ("the pickle was opened",))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "run" / "checkpoint.safetensors"
    write_checkpoint(path, {"model.w": torch.arange(3000.0), "model.b": torch.ones(2)}, {"step": 7, "words": "ε ≤ 1"})
    return path


def test_round_trip(saved: Path) -> None:
    tensors, header = read_checkpoint(saved)
    assert torch.equal(tensors["model.w"], torch.arange(3000.0))
    assert (header["step"], header["words"], header["schema"]) == (7, "ε ≤ 1", 1)
    assert part(tensors, "model").keys() == {"w", "b"}


def test_any_header_length_is_read(tmp_path: Path) -> None:
    """The first byte of the file is the header's length: no value of it may be taken for a pickle's mark."""
    for length in range(0, 300, 4):
        write_checkpoint(tmp_path / "c.safetensors", {"w": torch.ones(1)}, {"pad": "x" * length})
        assert read_checkpoint(tmp_path / "c.safetensors")[1]["pad"] == "x" * length


@pytest.mark.parametrize("kept", [0, 5, 20, 300, 5000])
def test_truncated_file(saved: Path, kept: int) -> None:
    saved.write_bytes(saved.read_bytes()[:kept])
    with pytest.raises(TeachlibError, match="truncated or altered"):
        read_checkpoint(saved)


def test_one_altered_bit_is_found(saved: Path) -> None:
    """Anywhere: in the tensors' data, and in the header's JSON, where the file still parses."""
    sound = saved.read_bytes()
    for place in (len(sound) - 1, len(sound) - 9000, sound.index(b'step\\": 7') + 8):
        contents = bytearray(sound)
        contents[place] ^= 1
        saved.write_bytes(contents)
        with pytest.raises(TeachlibError, match="truncated or altered"):
            read_checkpoint(saved)


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors"])
@pytest.mark.parametrize("write", [lambda f: torch.save(Bomb(), f), lambda f: f.write_bytes(pickle.dumps(Bomb()))])
def test_a_pickle_is_never_opened(tmp_path: Path, name: str, write) -> None:
    file = tmp_path / name
    write(file)
    with pytest.raises(TeachlibError, match="never opened"):
        read_checkpoint(file)


def test_foreign_safetensors_and_newer_schema(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"w": torch.ones(1)}, tmp_path / "other.safetensors")
    with pytest.raises(TeachlibError, match="no checkpoint of teachlib"):
        read_checkpoint(tmp_path / "other.safetensors")
    for schema in (None, "new", float("inf"), float("nan")):
        write_checkpoint(tmp_path / "odd.safetensors", {"w": torch.ones(1)}, {"schema": schema})
        with pytest.raises(TeachlibError, match="no checkpoint of teachlib"):
            read_checkpoint(tmp_path / "odd.safetensors")
    write_checkpoint(tmp_path / "newer.safetensors", {"w": torch.ones(1)}, {"schema": 99})
    with pytest.raises(TeachlibError, match="newer teachlib"):
        read_checkpoint(tmp_path / "newer.safetensors")
    with pytest.raises(TeachlibError, match="no such checkpoint"):
        read_checkpoint(tmp_path / "none.safetensors")


def test_weights_of_another_net_are_refused() -> None:
    net = nn.Linear(2, 3)
    good = {"weight": torch.ones(3, 2), "bias": torch.ones(3)}
    load_weights(net, good, source="here")
    assert torch.equal(net.weight, torch.ones(3, 2))
    for wrong, words in (
        ({"weight": torch.ones(3, 2)}, "lacks 'bias'"),
        ({**good, "extra": torch.ones(1)}, "has unknown 'extra'"),
        ({**good, "bias": torch.ones(4)}, "another shape of 'bias'"),
    ):
        with pytest.raises(TeachlibError, match=f"another recipe or width: it .*{words.split()[-1]}"):
            load_weights(net, wrong, source="here")
