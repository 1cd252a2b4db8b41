"""The examples for torchrun and SLURM train what one process trains; the container holds what the tests need."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from teachlib.checkpoints import part, read_checkpoint

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.sh"))
# Without noise and without batch norm: several processes then compute what one does, up to the order of sums.
SMALL = ("primer-pixelcnn", "--dataset", "digits", "--scale", "ci", "--width", "2", "--steps", "4")
# What SLURM documents of srun: as many processes as tasks, each with its number. SLURM itself is not at hand.
SRUN = """#!/usr/bin/env bash
set -euo pipefail
while [[ $1 == --* ]]; do shift; done
for rank in 1 0; do
    SLURM_PROCID=$rank SLURM_LOCALID=$rank SLURM_NODEID=0 "$@" &
    started+=($!)
done
for one in "${started[@]}"; do wait "$one"; done
"""


def run(*command: str | Path, folder: Path, **environment: str) -> None:
    programs = os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])
    own = {"PATH": programs, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **environment}
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=folder, env={**os.environ, **own}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def weights(folder: Path) -> dict[str, torch.Tensor]:
    tensors, header = read_checkpoint(folder / "checkpoint.safetensors")
    assert header["step"] == 4
    return part(tensors, "model")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    folder = tmp_path_factory.mktemp("alone")
    run(sys.executable, "-m", "teachlib.cli", "train", *SMALL, "--out", "run", folder=folder)
    return weights(folder / "run")


def compare(alone: dict[str, torch.Tensor], folder: Path) -> None:
    """The weights of two processes with those of one."""
    several = weights(folder)
    assert read_checkpoint(folder / "checkpoint.safetensors")[1]["machine"]["devices"] == 2
    assert several.keys() == alone.keys()
    for name, value in alone.items():
        torch.testing.assert_close(several[name], value, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_torchrun_trains_what_one_process_trains(alone: dict[str, torch.Tensor], tmp_path: Path) -> None:
    run(ROOT / "examples" / "torchrun.sh", *SMALL, "--out", "run", folder=tmp_path, PROCESSES="2")
    compare(alone, tmp_path / "run")


@pytest.mark.slow
def test_slurm_trains_what_one_process_trains_and_goes_on(alone: dict[str, torch.Tensor], tmp_path: Path) -> None:
    (tmp_path / "srun").write_text(SRUN)
    (tmp_path / "srun").chmod(0o755)
    job = {"JOB_ID": "7", "JOB_NAME": "teachlib", "SUBMIT_DIR": str(tmp_path), "JOB_NUM_NODES": "1", "NTASKS": "2"}
    job |= {"NTASKS_PER_NODE": "2", "NODELIST": "localhost", "JOB_NODELIST": "localhost", "CPUS_PER_TASK": "1"}
    settings = {f"SLURM_{name}": value for name, value in job.items()}
    command = ("bash", ROOT / "examples" / "slurm.sh", *SMALL, "--out", "run")
    run(*command, folder=tmp_path, **settings)
    compare(alone, tmp_path / "run")
    before = (tmp_path / "run" / "checkpoint.safetensors").read_bytes()
    run(*command, folder=tmp_path, **settings)
    assert (tmp_path / "run" / "checkpoint.safetensors").read_bytes() == before


@pytest.mark.parametrize("script", [*EXAMPLES, ROOT / ".ci" / "run"], ids=lambda path: path.name)
def test_scripts_are_sound(script: Path) -> None:
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", str(script)], check=True)


def test_what_sbatch_reads_stands_before_the_first_command() -> None:
    lines = (ROOT / "examples" / "slurm.sh").read_text(encoding="utf-8").splitlines()
    asked = [number for number, line in enumerate(lines) if line.startswith("#SBATCH")]
    first = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))
    assert asked
    assert max(asked) < first


def test_the_container_installs_what_continuous_integration_installs() -> None:
    container = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    asked = re.findall(r"^ *install (\S+)", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)
    (installed,) = re.findall(r"apt-get install \S+ \S+ ([^\\]+)", container)
    assert asked
    assert {*asked, "make"} <= set(installed.split())
    python = re.findall(r"^FROM python:([\d.]+)", container, re.MULTILINE)
    tested = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    assert python == re.findall(r'python-version: "([\d.]+)"', tested)
    assert 'CMD ["make", "test"]' in container


def test_the_dev_container_is_built_from_a_stage_of_the_container() -> None:
    settings = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    file = ROOT / ".devcontainer" / settings["build"]["dockerfile"]
    container = file.read_text(encoding="utf-8")
    assert f" AS {settings['build']['target']}\n" in container
    assert re.findall(r"make \.venv/\.ready \S+", container)[0] == settings["postCreateCommand"]


def test_what_make_and_runs_leave_stays_out_of_the_container() -> None:
    out = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    (removed,) = re.findall(r"rm -rf \$\(VENV\) (.+)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    kept = [name for name in (".venv", "runs", ".git", *removed.split()) if name not in out]
    assert [name for name in kept if not (name.startswith(".") and name.endswith("_cache"))] == []
