"""``teachlib animate``, ``prepare``, ``study`` and ``tally``: from files to files, and one line for each mistake."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from teachlib.errors import TeachlibError
from teachlib.gif import commands
from teachlib.gif.chapter import CHAPTER
from teachlib.gif.recipes import recipe


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("runs") / "gif"
    CHAPTER.train(recipe("gif-no-texture-loss", scale="ci", steps=1), folder=folder, limit=32, progress=False)
    return str(folder)


def test_curves_become_a_film(run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "curves.csv").write_text("time,yaw\n0,-0.3\n0.5,0.3\n")
    commands.animate(run, tmp_path / "film.gif", tmp_path / "curves.csv", None, styles=2, fps=8.0, side=32, seed=0)
    assert "5 frames, 8 a second, 2 styles" in capsys.readouterr().out
    with Image.open(tmp_path / "film.gif") as film:
        assert (film.size, film.n_frames) == ((96, 32), 5)


def test_a_study_is_written_answered_and_counted(run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "study.html"
    commands.make_study(run, run, page, questions=4, seed=1)
    assert page.read_text().count("<fieldset>") == 4
    (tmp_path / "answers.csv").write_text("question,answer\n1,left\n2,left\n3,left\n4,left\n")
    commands.tally([tmp_path / "answers.csv"], tmp_path / "study.html.key.json")
    assert "gif-no-texture-loss was chosen in 50.0% of 4" in capsys.readouterr().out  # sides are as often right


def test_the_first_run_is_the_one_that_is_counted(run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}

    def page(references: torch.Tensor, first: torch.Tensor, second: torch.Tensor, where: list[str], title: str) -> str:
        given.update(first=first, second=second)
        return ""

    monkeypatch.setattr(commands.study, "pairs_page", page)
    other = tmp_path / "other"
    CHAPTER.train(recipe("gif-normals", scale="ci", steps=1), seed=1, folder=other, limit=32, progress=False)
    commands.make_study(run, str(other), tmp_path / "a.html", questions=2, seed=0)
    both = given["first"], given["second"]
    commands.make_study(str(other), run, tmp_path / "b.html", questions=2, seed=0)
    assert torch.equal(both[0], given["second"])  # type: ignore[arg-type]
    assert torch.equal(both[1], given["first"])  # type: ignore[arg-type]
    assert '"gif-no-texture-loss"' in (tmp_path / "a.html.key.json").read_text().split(",")[0]
    assert '"gif-normals"' in (tmp_path / "b.html.key.json").read_text().split(",")[0]


def test_portraits_become_conditions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generator = np.random.default_rng(0)
    flat = generator.uniform(0.2, 0.8, (468, 2))
    points = np.concatenate([flat, -0.1 * np.ones((468, 1))], 1)[None] + 0.005 * generator.normal(size=(3, 468, 3))
    for number in range(3):
        Image.fromarray(generator.integers(0, 255, (50, 50, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
    np.savez(tmp_path / "landmarks.npz", names=np.array([f"{n}.png" for n in range(3)]), points=points)
    commands.prepare(tmp_path, tmp_path / "landmarks.npz", tmp_path / "made", size=32, skins=2)
    assert "3 portraits of 32 pixels" in capsys.readouterr().out
    with np.load(tmp_path / "made" / "conditions.npz", allow_pickle=False) as made:
        assert made["conditions"].shape == (3, 6, 32, 32)
        assert list(made["names"]) == ["0.png", "1.png", "2.png"]
        normals = torch.from_numpy(made["conditions"][:, 5]).float() / 127.5 - 1
    assert (normals[:, 10:22, 10:22] > 0.3).double().mean() > 0.8
    with Image.open(tmp_path / "made" / "sheet.png") as sheet:
        assert sheet.size == (96, 96)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("animate", "zoo", "--out", "a.gif"), "expected one of --curves"),
        (("animate", "zoo", "--out", "a.gif", "--curves", "a.csv", "--audio", "b.wav"), "expected one of --curves"),
        (("animate", "zoo", "--out", "a.avi", "--curves", "a.csv"), "ends in .mp4, .gif, .webp"),
        (("animate", "zoo", "--out", "a.gif", "--audio", "none.wav"), "no such file"),
        (("study", "none", "zoo", "--out", "a.html"), "none"),
        (("tally", "a.csv", "--key", "none.json"), "not the key of a study"),
        (("animate", "zoo", "--out", "a.gif", "--audio", "b.wav", "--seed", str(2**64)), "seed"),
        (("study", "zoo", "zoo", "--out", "."), "a folder; expected the name of a file"),
        (("prepare", "none", "--landmarks", "none.npz", "--out", "made"), "none.npz: cannot be read"),
    ],
)
def test_mistakes_are_answered_in_one_line(
    words: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from teachlib.cli import app

    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code
    assert message in (str(result.exception) if isinstance(result.exception, TeachlibError) else result.output)
    assert isinstance(result.exception, TeachlibError | SystemExit)
    assert not list(tmp_path.iterdir())


def test_a_network_that_reads_draws_no_faces(tmp_path: Path) -> None:
    CHAPTER.train(recipe("reinference", scale="ci", steps=1), folder=tmp_path / "r", limit=64, progress=False)
    with pytest.raises(TeachlibError, match="draws no faces"):
        commands.make_study(str(tmp_path / "r"), "zoo", tmp_path / "a.html", questions=1, seed=0)


def test_nothing_is_written_where_a_folder_is_in_the_way(run: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").mkdir()
    with pytest.raises(TeachlibError, match="a folder"):
        commands.make_study(run, run, tmp_path / "page.html", questions=1, seed=0)
    (tmp_path / "made" / "sheet.png").mkdir(parents=True)
    with pytest.raises(TeachlibError, match="a folder"):
        commands.prepare(tmp_path, tmp_path / "landmarks.npz", tmp_path / "made", size=32, skins=2)
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["made", "page.html", "sheet.png"]
