"""The command line as its users meet it: in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

QUICK = ("--scale", "ci", "--width", "2", "--steps", "6")


def teachlib(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("TEACHLIB_")}
    return subprocess.run(
        [sys.executable, "-m", "teachlib.cli", *arguments],
        cwd=folder,
        env={**plain, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    done = teachlib("train", "rae-l2", "--dataset", "digits", *QUICK, "--out", "run", folder=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run"


def test_train_then_evaluate_then_record(run: Path) -> None:
    assert [json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines()][-1] == 6
    done = teachlib("evaluate", "run", "--samples", "200", "--record", "results", folder=run.parent)
    assert done.returncode == 0, done.stderr
    result = json.loads((run.parent / "results" / "3.1" / "rae-l2-digits.json").read_text())
    assert result["values"].keys() >= {"floor", "reconstruction", "normal", "mixture", "interpolation"}
    assert result["provenance"]["seeds"] == [0]
    assert result["metric"].startswith("FD-digits")
    assert result["values"]["reconstruction"]["mean"] > result["values"]["floor"]["mean"]


def test_resuming_a_finished_run_changes_nothing(run: Path) -> None:
    before = (run / "checkpoint.safetensors").read_bytes()
    done = teachlib("train", "rae-l2", "--dataset", "digits", *QUICK, "--out", "run", "--resume", folder=run.parent)
    assert done.returncode == 0, done.stderr
    assert (run / "checkpoint.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "rae-l3"), "unknown recipe 'rae-l3'; did you mean 'rae-l2'?"),
        (("train", "ae", "--dataset", "glyfs"), "unknown dataset 'glyfs'; did you mean 'glyphs'?"),
        (("train", "ae", "--scale", "huge"), "unknown scale 'huge'"),
        (("train", "ae", "--variant", "mine"), "unknown variant 'mine'"),
        (("train", "ae", "--steps", "0"), "steps is 0; expected at least 1"),
        (("train", "ae", "--precision", "fp8"), "precision 'fp8'; expected one of"),
        (("train", "ae", "--logger", "paper"), "unknown logger 'paper'"),
        (("train", "ae", "--dataset", "mnist", "--out", "m"), "mnist: missing"),
        (("train", "rae-l2", "--dataset", "digits", *QUICK, "--out", "run"), "already holds a run"),
        (("train", "rae-l2", "--dataset", "digits", *QUICK, "--out", "run", "--seed", "1", "--resume"), "schedule."),
        (("train", "ae", "--dataset", "digits", *QUICK, "--out", "run", "--resume"), "recipe.beta = 0.0128, not 0.0"),
        (("evaluate", "nowhere"), "no such checkpoint"),
        (("table", "9.9"), "unknown thesis table '9.9'"),
        (("table", "3.1", "--dataset", "minst"), "unknown dataset 'minst'; did you mean 'mnist'?"),
        (("data", "check", "mnist"), "mnist: missing"),
        (("data", "get", "minst"), "did you mean 'mnist'?"),
    ],
)  # fmt: skip
def test_mistakes_get_one_line_and_no_traceback(run: Path, arguments: tuple[str, ...], words: str) -> None:
    done = teachlib(*arguments, folder=run.parent, TEACHLIB_DATA=str(run.parent / "no-data"))
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert len([line for line in done.stderr.splitlines() if line.startswith("teachlib: ")]) == 1


def test_a_checkpoint_of_something_else_is_refused(run: Path) -> None:
    import torch

    from teachlib.checkpoints import write_checkpoint

    write_checkpoint(run.parent / "gan" / "checkpoint.safetensors", {"model.g.w": torch.ones(1)}, {"chapter": "primer"})
    done = teachlib("evaluate", "gan", folder=run.parent)
    assert (done.returncode, "a checkpoint of another recipe" in done.stderr) == (1, True)


def test_table_doctor_data_and_zoo_print(run: Path) -> None:
    for arguments, words in (
        (("table", "3.1", "--dataset", "mnist"), ("RAE-L2", "8.69")),
        (("doctor",), ("torch", "not at hand: mnist, fashion-mnist")),
        (("data", "list"), ("glyphs", "embedded", "CC BY 4.0")),
        (("data", "check", "digits"), ("digits test: 300 images",)),
        (("zoo", "list"), ("features-glyphs",)),
    ):
        done = teachlib(*arguments, folder=Path(__file__).parent, TEACHLIB_DATA=str(run.parent / "no-data"))
        assert done.returncode == 0, done.stderr
        assert all(word in done.stdout for word in words), done.stdout
