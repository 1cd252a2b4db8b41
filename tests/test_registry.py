"""The seam: lines of the registry are true, and a chapter that nobody has heard of goes through every command."""

import contextlib
import inspect
import io
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from unittest import mock

import pytest
from small_run import at_hand
from test_cli import teachlib
from torch import nn

from teachlib import cli, registry
from teachlib.checkpoints import read_checkpoint
from teachlib.errors import TeachlibError

TOOLS = Path(__file__).resolve().parents[1] / "tools"
RECIPES = [(key, name) for key, line in registry.CHAPTERS.items() for name in line.recipes]


@pytest.mark.parametrize("key", registry.CHAPTERS)
def test_a_line_says_what_the_chapter_says(key: str) -> None:
    line, chapter = registry.CHAPTERS[key], registry.chapter(key)
    assert chapter.key == key
    assert line.tables == tuple(chapter.tables)
    assert line.commands.keys() == chapter.commands.keys()
    assert set(line.data) == set(chapter.data)
    for name, text in line.commands.items():
        assert text == str(chapter.commands[name].__doc__).strip().splitlines()[0]
    if key != "metrics":  # shared by all chapters, and trained from the command line alone
        assert all(getattr(import_module(line.package), name) for name in ("train", "open_run", "from_zoo"))


def test_no_two_chapters_share_a_name() -> None:
    commands = [*app_commands(), *(name for line in registry.CHAPTERS.values() for name in line.commands)]
    for names in (registry.recipes(), registry.tables(), registry.data_sets(), commands):
        assert len(names) == len(set(names))


def app_commands() -> list[str]:
    """The commands that belong to no chapter."""
    return ["train", "evaluate", "table", "data", "zoo", "doctor"]


@pytest.mark.parametrize("key", registry.CHAPTERS)
def test_options_and_shipped_models_of_a_chapter_do_not_collide(key: str) -> None:
    chapter = registry.chapter(key)
    assert not set(chapter.options) & set(inspect.signature(cli.train).parameters)
    shipped = [(model.name, model.dataset) for model in chapter.zoo]
    assert len(shipped) == len(set(shipped))
    for table in chapter.tables.values():
        for label in table.rows:
            name, own = chapter.named(label)
            if chapter.table == table.folder and not chapter.data:
                recipe = chapter.recipe(name, chapter.dataset, scale="ci", **own)
                assert chapter.label(recipe) == label


@pytest.mark.parametrize(("key", "name"), RECIPES)
def test_an_objective_trains_the_parts_of_its_model(key: str, name: str) -> None:
    """Under the same names, or a checkpoint could not be opened; and a recipe is what its own dictionary says."""
    chapter = registry.chapter(key)
    recipe = chapter.recipe(name, at_hand(chapter), scale="ci")
    assert chapter.from_dict(json.loads(json.dumps(recipe.as_dict()))) == recipe
    training = chapter.load(recipe, "train", 3_000)
    model = chapter.build(recipe, training)
    assert isinstance(model, nn.Module)
    nets, parts = chapter.objective(recipe, model, training, 0).nets, chapter.parts(model)
    assert nets.keys() == parts.keys()
    assert all(nets[part] is parts[part] for part in parts)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--help",), "attack"),
        (("train", "--help"), "rae-l2"),
        (("train", "rae-l3"), "did you mean 'rae-l2'"),
        (("train", "rae-l2", "--dataset", "glyfs"), "did you mean 'glyphs'"),
        (("train", "--dataset=glyfs", "grae"), "did you mean 'glyphs'"),
        (("data", "get", "minst"), "did you mean 'mnist'"),
        (("table", "3.2"), "unknown table '3.2'"),
        (("table", "3.1", "--dataset", "minst"), "did you mean 'mnist'"),
    ],
)
def test_names_are_answered_without_torch(words: tuple[str, ...], said: str) -> None:
    program = "import sys; from teachlib.cli import main\ntry: main()\nfinally: print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)
    assert said in done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "False"


# ------------------------------------------------------------------------------------------------------- the toy


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    line = registry.Line("toy", ("toy-pca",), ("toy",), {"toy-say": "Say a word to each run."})
    monkeypatch.setitem(registry.CHAPTERS, "toy", line)


def _make_zoo(*words: str) -> str:
    sys.path.insert(0, str(TOOLS))
    import make_zoo

    with mock.patch.object(sys, "argv", ["make_zoo.py", *words]), contextlib.redirect_stdout(io.StringIO()) as out:
        make_zoo.main()
    return out.getvalue()


@pytest.mark.usefixtures("toy")
def test_a_new_chapter_is_trained_resumed_measured_and_tabled(tmp_path: Path) -> None:
    for seed, words in (("0", ()), ("1", ()), ("0", ("--resume",))):
        out = ("--seed", seed, "--out", f"run-{seed}", *words)
        done = teachlib("train", "--noise-level", "0.3", "toy-pca", "--steps", "30", *out, folder=tmp_path)
        assert done.returncode == 0, done.stderr
    header = read_checkpoint(tmp_path / "run-0" / "checkpoint.safetensors")[1]
    assert (header["chapter"], header["recipe"]["noise_level"], header["step"]) == ("toy", 0.3, 30)
    done = teachlib("evaluate", "run-0", "run-1", "--record", "mine", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    row = json.loads((tmp_path / "mine" / "toy" / "toy-pca-digits.json").read_text())
    assert row["provenance"]["seeds"] == [0, 1]
    done = teachlib("evaluate", "run-0", "run-1", "--average", "--record", "mine", folder=tmp_path)
    averaged = json.loads((tmp_path / "mine" / "toy-average" / "toy-pca-digits.json").read_text())
    assert averaged["values"]["error"]["mean"] > 1.2 * row["values"]["error"]["mean"]  # half of it is the start
    done = teachlib("table", "toy", "--results", "mine", folder=tmp_path)
    assert "PCA" in done.stdout
    assert "0.125" in done.stdout
    assert f"{row['values']['error']['mean']:.4f} ± " in done.stdout
    done = teachlib("table", "toy", "--train", "all", "--steps", "3", "--scale", "ci", folder=tmp_path)
    assert (done.returncode, "unknown recipe 'toy-pca'" in done.stderr) == (1, True)  # its processes have no such line


@pytest.mark.usefixtures("toy")
def test_a_new_chapter_has_its_own_options_commands_and_help(tmp_path: Path) -> None:
    done = teachlib("train", "toy-pca", "--conditional", folder=tmp_path)
    assert "--conditional: toy-pca has no such option (its own options: --noise-level)" in done.stderr
    done = teachlib("train", "toy-pca", "--noise-levle", "3", folder=tmp_path)
    assert "did you mean --noise-level?" in done.stderr
    done = teachlib("train", "--out", "vae", "--noise-level", "3", "toy-pac", folder=tmp_path)
    assert "unknown recipe '3'" in done.stderr or "unknown recipe 'toy-pac'" in done.stderr
    done = teachlib("train", "toy-pca", "--steps", "2", "--out", "run", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "noise" in teachlib("train", "toy-pca", "--help", folder=tmp_path).stdout
    assert "Say a word to each run." in teachlib("--help", folder=tmp_path).stdout
    done = teachlib("toy-say", "run", "--word", "good day", folder=tmp_path)
    assert done.stdout == "good day, toy-pca\n"
    done = teachlib("evaluate", "run", "--extractor", "untrained", folder=tmp_path)
    assert "the toy takes no features of images" in done.stderr


@pytest.mark.usefixtures("toy")
def test_a_new_chapter_is_put_into_a_zoo_and_graded(tmp_path: Path) -> None:
    zoo = tmp_path / "zoo"
    said = _make_zoo("--runs", str(tmp_path / "runs"), "--only", "toy", "--zoo", str(zoo))
    assert said.strip() == str(zoo / "toy-pca-digits.json")
    card = json.loads((zoo / "toy-pca-digits.json").read_text())
    assert card["command"] == "teachlib train toy-pca --dataset digits --noise-level 0.2 --scale laptop --seed 0"
    chapter = registry.chapter("toy")
    mine, trained = chapter.from_zoo("toy-pca", where=zoo), chapter.open_run(tmp_path / "runs" / "digits-toy-pca-0")[0]
    assert (mine.encoder.weight - trained.encoder.weight).abs().max() < 1e-3  # kept in half precision
    exercise = registry.exercises()["toy.mean_error"]
    assert exercise.check(lambda x, y: ((x - y) ** 2).mean()).points == 1
    assert exercise.check(lambda x, y: (x - y).abs().mean()).message == "absolute values, not squares"


@pytest.mark.usefixtures("toy")
def test_a_new_chapter_is_on_the_page_and_obeys_the_rule_of_imports() -> None:
    sys.path.insert(0, str(TOOLS))
    from import_rules import allowed
    from measured_page import paper_vs_measured

    text = paper_vs_measured()
    assert text.endswith("## The toy\n\nIt was never published.")
    for section in text.split("\n## "):  # a heading, and what has a table is a click away
        before = section.partition("<details>")[0]
        assert not any(line.startswith("|") for line in before.splitlines()), before[:200]
    assert allowed("toy.chapter", "teachlib.rae.models")
    assert allowed("toy.chapter", "teachlib.data")
    assert not allowed("teachlib.rae.models", "toy.chapter")
    assert not allowed("teachlib.data", "toy")
    assert not allowed("teachlib.cli", "teachlib.rae")
    assert not allowed("teachlib.rae.models", "teachlib.gmmvae")


def test_unknown_chapters_are_refused_by_name() -> None:
    with pytest.raises(TeachlibError, match="unknown chapter 'raee'; did you mean 'rae'"):
        registry.chapter("raee")
    with pytest.raises(TeachlibError, match="here: a checkpoint of no chapter; this teachlib knows: metrics, primer"):
        registry.chapter_of_checkpoint({}, "here")
