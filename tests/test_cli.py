"""The command line: what it does, and one line for each mistake."""

import contextlib
import io
import json
import math
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest
import torch
from PIL import Image

from teachlib.checkpoints import read_checkpoint, write_checkpoint
from teachlib.cli import main
from teachlib.scale import Scale

QUICK = ("--scale", "ci", "--width", "2", "--steps", "6")
AGAIN = ("train", "--dataset", "digits", "--out", "run", "--resume")


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


def teachlib(*arguments: str, folder: Path, **environment: str) -> Done:
    """The command in this process: importing torch anew for each would take most of the time."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("TEACHLIB_")}
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        contextlib.chdir(folder),
        mock.patch.dict(os.environ, {**plain, **environment}, clear=True),
        mock.patch.object(sys, "argv", ["teachlib", *arguments]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
    return Done(code, out.getvalue(), err.getvalue())


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("tr", {"train"}),
        ("train rae-l", {"rae-l2", "rae-l2-sn", "rae-l2-sn-gp"}),
        ("train rae --dataset gly", {"glyphs"}),
        ("train gmm-vae --dat", {"--dataset"}),
        ("train rae --vari", {"--variant"}),
        ("train rae --scale ", {scale.value for scale in Scale}),
        ("table 3", {"3.1", "3.3"}),
        ("data get fash", {"fashion-mnist"}),
        ("animate --cur", {"--curves"}),
    ],
)
def test_a_shell_is_offered_what_goes_on_from_here(words: str, offered: set[str], tmp_path: Path) -> None:
    asked = {"COMP_WORDS": f"teachlib {words}", "COMP_CWORD": str(len(words.split(" ")))}
    done = teachlib(folder=tmp_path, _TEACHLIB_COMPLETE="complete_bash", **asked)
    assert set(done.stdout.split()) == offered


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_the_script_for_a_shell_asks_the_command_that_was_typed(tmp_path: Path) -> None:
    shown = teachlib(folder=tmp_path, _TEACHLIB_COMPLETE="source_bash")
    command = tmp_path / "command"  # stands for what the user typed, and says what it is asked
    command.write_text("#!/bin/bash\necho $_TEACHLIB_COMPLETE $COMP_WORDS $COMP_CWORD\n")
    command.chmod(0o755)
    called = f"COMP_WORDS=(teachlib train); COMP_CWORD=1; _teachlib_completion {command}; echo ${{COMPREPLY[@]}}"
    done = subprocess.run(["bash", "-c", f"{shown.stdout}\n{called}"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["complete_bash", "teachlib", "train", "1"]


def test_names_are_offered_before_torch_is_imported() -> None:
    program = (
        "import atexit, sys; atexit.register(lambda: print('torch' in sys.modules)); sys.argv = ['teachlib']\n"
        "from teachlib.cli import main; main()"
    )
    asked = {"_TEACHLIB_COMPLETE": "complete_bash", "COMP_WORDS": "teachlib train rae-s", "COMP_CWORD": "2"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env={**os.environ, **asked}, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["rae-sn", "rae-sn-gp", "False"], done.stderr


@pytest.mark.parametrize("module", ["teachlib", "teachlib.cli"])
def test_the_package_runs_as_a_program(module: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", module, "train", "rae-l3"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("teachlib: unknown recipe 'rae-l3'; did you mean 'rae-l2'? known: ")


def test_a_terminal_without_umlauts_and_a_user_without_a_home_get_their_tables(tmp_path: Path) -> None:
    poor = {name: value for name, value in os.environ.items() if name not in ("HOME", "TEACHLIB_DATA")}
    unknown = "import pathlib\ndef nobody(): raise RuntimeError('no home')\npathlib.Path.home = staticmethod(nobody)\n"
    program = unknown + "import sys; sys.argv = ['teachlib', 'data', 'list']; from teachlib.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**poor, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "1?32?32" in done.stdout


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
        ((*AGAIN, "ae", *QUICK), "recipe.name = 'rae-l2', not 'ae'"),
        ((*AGAIN, "rae-l2", *QUICK[:4]), "recipe.steps = 6, not"),
        ((*AGAIN, "rae-l2", *QUICK[:4], "--steps", "5"), "has taken 6 steps, more than 5"),
        (("train", "ae", "--dataset", ""), "unknown dataset ''"),
        (("train", "ae", "--size", "32"), "--size is for --dataset folder:PATH"),
        (("train", "ae", "--grey"), "--grey is for --dataset folder:PATH"),
        (("train", "ae", "--dataset", "folder:nowhere"), "no such folder or zip"),
        (("train", "ae", "--dataset", "folder:nowhere", "--size", "0"), "'size=0'; expected size=4"),
        (("evaluate", "nowhere"), "no such checkpoint"),
        (("evaluate", "run", "--average"), "this run kept no average of its weights"),
        (("evaluate", "run", "--extractor", "resnet"), "extractor 'resnet'; expected classifier, inception, untrained"),
        (("evaluate", "run", "--extractor", "inception"), "get pt_inception"),
        (("evaluate", "run", "--extractor", "run"), "(chapter 'rae'), not of feature classifiers"),
        (("train", "ae", "--nodes", "2"), "nobody has started processes on the other machines"),
        (("train", "ae", "--conditional"), "--conditional: ae has no such option (its own options: --times-beta, "),
        (("evaluate", "half", "--record", "results"), "half: stopped at step 3 of 6; finish it with --resume"),
        (("table", "3.1", "--train", ","), "--train ',' names no row"),
        (("table", "3.1", "--steps", "5"), "--steps goes with --train"),
        (("table", "3.1", "--train", "ae", "--results", "mine"), "take one"),
        (("train", "ae", "--tf32"), "PyTorch sees no CUDA here"),
        (("data", "get", "zinc"), "zinc: missing"),
        (("table", "9.9"), "unknown table '9.9'"),
        (("table", "3.1", "--dataset", "minst"), "unknown dataset 'minst'; did you mean 'mnist'?"),
        (("table", "3.1", "--train", "ae,rae-l3"), "unknown row of this table 'rae-l3'; did you mean 'rae-l2'"),
        (("table", "A.3", "--train", "rae-gp-l2", "--dataset", "mnist"), "mnist: missing"),
        (("train", "rae-gp-l2", "--variant", "released"), "nothing of the combinations was released"),
        (("data", "check", "mnist"), "mnist: missing"),
        (("data", "get", "minst"), "did you mean 'mnist'?"),
        (("evaluate", "run", "--record", "run/log.jsonl"), "cannot write (Not a directory)"),
        (("train", "ae", "--dataset", "digits", "--scale", "ci", "--width", "2000000"), "not enough memory"),
        (("trian", "ae"), "No such command 'trian'"),
        (("train", "ae", "--seed", "one"), "Invalid value for '--seed'"),
        (("train",), "Missing argument"),
        (("train", "primer-vae", "--variant", "released"), "--variant: primer-vae has no such option (its own"),
        (("attack", "run"), "a checkpoint of another recipe"),
        (("attack", "run", "--epsilons", "0.1;0.2"), "expected numbers with commas between"),
        (("train", "gmm-vae", "--variant", "released"), "--variant: gmm-vae has no such option"),
        (("train", "grae", "--dataset", "mnist"), "unknown set of strings 'mnist'"),
        (("train", "grae", "--dataset", "zinc"), "zinc: missing"),
    ],
)  # fmt: skip
def test_mistakes_get_one_line_and_no_traceback(run: Path, arguments: tuple[str, ...], words: str) -> None:
    tensors, header = read_checkpoint(run / "checkpoint.safetensors")
    write_checkpoint(run.parent / "half" / "checkpoint.safetensors", tensors, {**header, "step": 3})
    done = teachlib(*arguments, folder=run.parent, TEACHLIB_DATA=str(run.parent / "no-data"))
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert len([line for line in done.stderr.splitlines() if line.startswith("teachlib: ")]) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("evaluate", "LONG"),
        ("export", "LONG"),
        ("data", "check", "folder:LONG"),
        ("table", "6.1", "--results", "LONG"),
        ("train", "ae", "--dataset", "digits", *QUICK, "--out", "LONG"),
        ("assignment", "list", "--source", "LONG"),
    ],
)
def test_a_name_that_no_file_can_have_gets_one_line(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = teachlib(*(word.replace("LONG", 300 * "x") for word in arguments), folder=tmp_path)
    line = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1
    assert line.startswith("teachlib: ")
    assert "name too long" in line
    assert len(line) < 300
    assert not list(tmp_path.iterdir())


def test_a_classifier_trains_is_measured_and_attacked(tmp_path: Path) -> None:
    done = teachlib("train", "gmm-vae", "--dataset", "turntable", *QUICK, "--out", "run", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    done = teachlib("evaluate", "run", "--samples", "100", "--record", "results", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    values = json.loads((tmp_path / "results" / "4.1" / "gmm-vae-turntable.json").read_text())["values"]
    assert math.isclose(sum(values[name]["mean"] for name in ("accuracy", "error", "rejection")), 1)
    small = ("--samples", "10", "--steps", "2", "--restarts", "1", "--queries", "5", "--epsilons", "0.1,0.05")
    done = teachlib("attack", "run", *small, "--surrogate", "run", "--record", "results", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "results" / "4.3" / "gmm-vae-turntable.json").read_text())
    assert found["samples"] == 10
    for name in ("fgsm", "mim", "pgd", "apgd", "orthogonal", "square", "fab", "transfer", "adaptive"):
        shares = [found["values"][f"{name}_{share}_0.1"]["mean"] for share in ("accuracy", "error", "rejection")]
        assert math.isclose(sum(shares), 1)
    done = teachlib("train", "cnn", "--dataset", "glyphs", *QUICK, "--out", "other", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    done = teachlib("attack", "run", *small, "--surrogate", "other", folder=tmp_path)
    assert done.returncode == 1
    assert "--surrogate other was trained on glyphs; expected a classifier of turntable" in done.stderr


def test_a_run_on_a_folder_is_named_after_it(tmp_path: Path) -> None:
    (tmp_path / "my pictures").mkdir()
    for seed in range(150):
        noise = torch.randint(256, (40, 48, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
        Image.fromarray(noise.numpy()).save(tmp_path / "my pictures" / f"{seed}.png")
    own = {"TEACHLIB_CACHE": str(tmp_path / "cache")}
    asked = ("train", "rae-l2", "--dataset", "folder:my pictures", "--size", "32", "--grey", *QUICK)
    done = teachlib(*asked, folder=tmp_path, **own)
    assert done.returncode == 0, done.stderr
    assert "folder:my pictures: 150 pictures, no classes;" in done.stderr
    run = tmp_path / "runs" / "my-pictures-rae-l2-0"
    recipe = read_checkpoint(run / "checkpoint.safetensors")[1]["recipe"]
    assert (recipe["dataset"], recipe["channels"], recipe["size"]) == ("folder:my pictures?size=32&grey", 1, 32)
    done = teachlib("evaluate", str(run), folder=tmp_path, **own)
    assert done.returncode == 1
    assert "no feature classifier for 'folder:my pictures?size=32&grey'" in done.stderr
    done = teachlib("train", "features", "--dataset", "folder:my pictures", *QUICK, folder=tmp_path, **own)
    assert "folder:my pictures: 0 classes; a classifier needs two: a folder each" in done.stderr


def test_a_model_of_the_primer_trains_and_is_measured(tmp_path: Path) -> None:
    done = teachlib("train", "primer-vae", "--dataset", "digits", *QUICK, "--out", "run", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    done = teachlib("evaluate", "run", "--samples", "100", "--record", "results", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "results" / "primer" / "primer-vae-digits.json").read_text())
    assert (result["likelihood"], result["samples"]) == ("bound", 100)
    assert 0 < result["values"]["bits"]["mean"] < 20


def test_a_model_of_strings_trains_and_is_measured(tmp_path: Path) -> None:
    done = teachlib("train", "grae", "--scale", "ci", "--steps", "5", "--out", "run", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "grae on expressions" in done.stdout
    done = teachlib("evaluate", "run", "--samples", "100", "--record", "results", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "results" / "3.3" / "grae-expressions.json").read_text())
    assert result["values"]["mixture_valid"]["mean"] == 1.0  # rules that must finish, whatever the model learned
    assert result["values"]["search_best_1"]["mean"] < result["values"]["search_mean"]["mean"]


def test_a_checkpoint_of_something_else_is_refused(run: Path) -> None:
    write_checkpoint(run.parent / "gan" / "checkpoint.safetensors", {"model.g.w": torch.ones(1)}, {"chapter": "gig"})
    done = teachlib("evaluate", "gan", folder=run.parent)
    assert (done.returncode, "gan: a checkpoint of chapter 'gig'; this teachlib knows: metrics" in done.stderr) == (
        1,
        True,
    )


def test_a_table_is_trained_measured_and_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def here(*command: str, **_: object) -> Done:
        return teachlib(*command[3:], folder=tmp_path)

    monkeypatch.setattr("teachlib.fill.attached", mock.Mock(run=here))  # the next test starts processes
    again = ("table", "3.1", "--dataset", "digits", "--train", "ae", "--out", "all", *QUICK)
    for _ in range(2):
        done = teachlib(*again, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "AE" in done.stdout.splitlines()[-1]
        assert "VAE" not in done.stdout
    written = json.loads((tmp_path / "all" / "results" / "3.1" / "ae-digits.json").read_text())
    assert written["trained_steps"] == [6]
    assert written["provenance"]["seeds"] == [0]


@pytest.mark.slow
def test_rows_that_differ_in_an_option_are_trained_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def here(*command: str, **_: object) -> Done:
        return teachlib(*command[3:], folder=tmp_path)

    monkeypatch.setattr("teachlib.fill.attached", mock.Mock(run=here))
    asked = ("table", "primer", "--train", "primer-diffusion-conditional,primer-diffusion", "--jobs", "1")
    done = teachlib(*asked, "--scale", "ci", "--steps", "2", "--width", "8", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()[-2:]] == [
        "primer-diffusion",
        "primer-diffusion-conditional",
    ]
    for label, conditional in (("primer-diffusion", False), ("primer-diffusion-conditional", True)):
        run = tmp_path / "runs" / f"digits-{label}-0" / "checkpoint.safetensors"
        tensors, header = read_checkpoint(run)
        assert header["recipe"]["conditional"] == conditional
        assert any("label" in name for name in tensors) == conditional  # without it the network knows no classes
        row = json.loads((tmp_path / "runs" / "results" / "primer" / f"{label}-digits.json").read_text())
        assert row["conditional"] == conditional


def test_a_table_names_the_recipe_that_failed(tmp_path: Path) -> None:
    (tmp_path / "all" / "digits-ae-0").mkdir(parents=True)
    (tmp_path / "all" / "digits-ae-0" / "checkpoint.safetensors").write_text("{")
    done = teachlib("table", "3.1", "--dataset", "digits", "--train", "ae", "--out", "all", *QUICK, folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("teachlib: ae: all/digits-ae-0/checkpoint.safetensors: ")
    assert done.stderr.splitlines()[-1].endswith("; call again to go on")


def test_table_doctor_data_and_zoo_print(run: Path) -> None:
    for arguments, words in (
        (("table", "3.1", "--dataset", "mnist"), ("RAE-L2", "8.69")),
        (("doctor",), ("torch", "not at hand: mnist, fashion-mnist")),
        (("data", "list"), ("glyphs", "embedded", "CC BY 4.0")),
        (("data", "list"), ("expressions", "ZINC")),
        (("data", "check", "digits"), ("digits test: 300 images",)),
        (("data", "check", "molecules"), ("molecules test: 1000 strings",)),
        (("zoo", "list"), ("features-glyphs",)),
    ):
        done = teachlib(*arguments, folder=Path(__file__).parent, TEACHLIB_DATA=str(run.parent / "no-data"))
        assert done.returncode == 0, done.stderr
        assert all(word in done.stdout for word in words), done.stdout
