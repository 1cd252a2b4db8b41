"""What InvGANs are trained on and asked about: patches, attributes, precisions, and a reader's own files."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import average_precision_score
from typer.testing import CliRunner

from teachlib.cli import app
from teachlib.errors import TeachlibError
from teachlib.gif import animation, heads
from teachlib.gif.appearance import COMPONENTS
from teachlib.gif.head import JOINTS, head
from teachlib.gif.parameters import Parameters
from teachlib.invgan import attributes, films, pictures, recipes, semantics

needs_gallery = pytest.mark.skipif(
    importlib.util.find_spec("skimage") is None, reason="scikit-image, whose photographs are cut, is not installed"
)


# ------------------------------------------------------------------------------------------------------------- patches


@needs_gallery
def test_patches_for_training_are_cut_from_other_photographs_than_those_for_tests() -> None:
    train, test = pictures.patches("train", 50), pictures.patches("test", 50)
    assert train.images.shape == test.images.shape == (50, 3, 32, 32)
    assert torch.equal(train.images, pictures.patches("train").images[:50])
    assert len(pictures.patches("validation").labels.unique()) == len(pictures.PHOTOGRAPHS)
    whole = pictures.held_out()
    assert [tuple(one.shape) for one in whole] == [(3, 427, 640), (3, 427, 640)]
    found = 0
    for patch, label in zip(test.images[:8], test.labels, strict=False):
        photograph = whole[int(label)]
        for view in (photograph, pictures._halved(photograph)):
            windows = view.unfold(1, 32, 1).unfold(2, 32, 1)
            starts = (windows[:, :, :, 0, 0] == patch[:, None, None, 0, 0]).all(0).nonzero()
            found += any(torch.equal(windows[:, top, left], patch) for top, left in starts.tolist())
    assert found == 8


def test_without_scikit_image_a_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(TeachlibError, match="pip install scikit-image"):
        pictures.patches("train", 5)
    assert len(pictures.patches("test", 5)) == 5  # scikit-learn's photographs are always there


def test_sizes_follow_the_data_set_and_may_be_asked_for() -> None:
    assert pictures.shape_of("mnist") == (1, 32, 32)
    assert pictures.shape_of("heads") == (3, 32, 32)
    assert pictures.shape_of("heads", 64) == (3, 64, 64)
    assert recipes.recipe("invgan", "heads", scale="ci", resolution=64).shape == (3, 64, 64)
    with pytest.raises(TeachlibError, match="32, 64 or 128"):
        pictures.shape_of("heads", 48)
    with pytest.raises(TeachlibError, match="they have 32"):
        pictures.shape_of("patches", 64)
    with pytest.raises(TeachlibError, match="split of patches"):
        pictures.patches("other")


# ---------------------------------------------------------------------------------------------------------- attributes


def test_attributes_say_what_heads_were_asked_to_show() -> None:
    told = heads.load("validation", 32, 50)
    known = attributes.of_heads(told, "validation")
    assert len(known) == 20
    assert all(value.shape == (50,) and value.dtype == torch.bool for value in known.values())
    smiles = told.parameters.expression[:, head().actions.index("mouthSmileLeft")] > 0.3
    assert torch.equal(known["smiles"], smiles)
    assert not (known["turned to the left"] & known["turned to the right"]).any()
    assert not (known["bald"] & known["long hair"]).any()
    assert torch.equal(known["glasses"], heads.worn("validation", 50).glasses)


ACTIONS = {
    "smiles": "mouthSmileLeft",
    "frowns": "mouthFrownLeft",
    "raised brows": "browInnerUp",
    "closed eyes": "eyeBlinkLeft",
    "pursed lips": "mouthPucker",
    "puffed cheeks": "cheekPuff",
}
SKIN = {"fair skin": "lightness of the skin", "beard": "shadow of a beard", "red lips": "red of the lips"}
# Where each attribute begins: the group of parameters, the place in it, and the number.
BEGINS: dict[str, tuple[str, tuple[int, ...], float]] = {
    **{name: ("expression", (head().actions.index(action),), 0.3) for name, action in ACTIONS.items()},
    **{name: ("appearance", (COMPONENTS.index(component),), 1.0) for name, component in SKIN.items()},
    "open mouth": ("pose", (JOINTS.index("jaw"), 0), 0.08),
    "turned to the left": ("pose", (JOINTS.index("root"), 1), -0.25),
    "turned to the right": ("pose", (JOINTS.index("root"), 1), 0.25),
    "looks down": ("pose", (JOINTS.index("root"), 0), 0.1),
    "lit from the left": ("light", (3,), -0.25),  # an eighth of the light from everywhere
    "lit from the right": ("light", (3,), 0.25),
}


@pytest.mark.parametrize("name", BEGINS)
def test_an_attribute_begins_where_it_should_and_no_other_does(name: str) -> None:
    group, place, edge = BEGINS[name]
    shapes = {"shape": (50,), "expression": (52,), "pose": (5, 3), "camera": (3,), "appearance": (10,), "light": (9, 3)}
    for share in (0.9, 1.1):
        asked = Parameters(**{key: torch.zeros(1, *shape) for key, shape in shapes.items()})
        asked.light[:, 0] = 2.0
        getattr(asked, group)[(0, *place)] = share * edge
        said = {attribute for attribute, whether in attributes._parameters(asked).items() if whether}
        assert said == ({name} if share > 1 else set())


def test_attributes_of_hair_and_clothes_begin_where_they_should() -> None:
    rows = torch.arange(5)
    style = SimpleNamespace(
        hair=torch.where(rows == 1, 0.26, 0.24)[:, None].expand(5, 3),
        bald=rows == 2,
        length=torch.where(rows == 3, 0.1, 0.0),
        stripes=torch.where(rows == 4, 0.1, 0.0),
        glasses=rows == 0,
    )
    found = attributes._style(style)  # type: ignore[arg-type]
    names = ("glasses", "fair hair", "bald", "long hair", "striped clothes")
    assert torch.equal(torch.stack([found[name] for name in names]), torch.eye(5, dtype=torch.bool))
    style = SimpleNamespace(**vars(style) | {"bald": torch.ones(5, dtype=torch.bool)})
    found = attributes._style(style)  # type: ignore[arg-type]
    assert not (found["fair hair"] | found["long hair"]).any()


def test_glasses_and_hair_that_are_told_are_those_that_the_photographs_show() -> None:
    """Hair is where the sky would be: bright hair makes bright pixels over the forehead."""
    told = heads.load("validation", 32, 50)
    worn = heads.worn("validation", 50)
    above = told.images[:, :, 2:8, 12:20].float().mean((1, 2, 3)) / 255
    haired = ~worn.bald
    together = torch.corrcoef(torch.stack([above[haired], worn.hair.mean(1)[haired]]))[0, 1]
    assert together > 0.4


def test_light_from_the_left_makes_the_left_half_of_the_face_the_brighter_one() -> None:
    told = heads.load("validation", 32, 50)
    known = attributes.of_heads(told, "validation")
    face = told.images.float().mean(1)[:, 12:24]
    left_over_right = face[:, :, 9:15].mean((1, 2)) / face[:, :, 17:23].mean((1, 2))
    neither = ~(known["lit from the left"] | known["lit from the right"])
    means = [
        left_over_right[kind].mean() for kind in (known["lit from the left"], neither, known["lit from the right"])
    ]
    assert means[0] > means[1] > means[2]
    assert not (known["lit from the left"] & known["lit from the right"]).any()


def test_heads_that_are_turned_to_the_left_show_their_nose_there() -> None:
    known_at = {}
    told = heads.load("validation", 32, 50)
    known = attributes.of_heads(told, "validation")
    tips = head().vertices(told.parameters.shape, told.parameters.expression, told.parameters.pose)
    forward = tips[:, head().template[:, 2].argmax(), 0] - tips[:, :, 0].mean(1)
    for side in ("left", "right"):
        known_at[side] = forward[known[f"turned to the {side}"]].mean()
    assert known_at["left"] < 0 < known_at["right"]
    height = tips[:, head().template[:, 2].argmax(), 1] - tips[:, :, 1].mean(1)
    assert height[known["looks down"]].mean() < height[~known["looks down"]].mean()


# ---------------------------------------------------------------------------------------------------------- precisions


def test_precisions_are_scikit_learns_and_those_of_guesses_are_the_prevalence() -> None:
    generator = torch.Generator().manual_seed(0)
    targets = (torch.rand(5_000, 2, generator=generator) < torch.tensor([0.2, 0.6])).float()
    scores = torch.rand(5_000, 2, generator=generator)
    found = semantics.precisions_of(scores, targets)
    assert torch.allclose(found, torch.tensor([0.2, 0.6]).double(), atol=0.03)
    assert found[1].item() == pytest.approx(average_precision_score(targets[:, 1], scores[:, 1]))
    assert torch.equal(semantics.precisions_of(targets, targets), torch.ones(2).double())
    with pytest.raises(TeachlibError, match="means nothing"):
        semantics.precisions_of(scores, torch.ones(5_000, 2))


@pytest.mark.slow
def test_a_classifier_learns_attributes_that_pictures_show_and_none_that_are_shuffled() -> None:
    generator = torch.Generator().manual_seed(0)
    targets = (torch.rand(600, 2, generator=generator) < 0.4).float()
    images = 0.2 * torch.rand(600, 1, 32, 32, generator=generator)
    images[:, :, :16] += 0.4 * targets[:, 0, None, None, None]
    images[:, :, 16:] += 0.4 * targets[:, 1, None, None, None]
    train, test = slice(0, 400), slice(400, 600)
    net = semantics.train_classifier(images[train], targets[train], steps=60)
    assert semantics.average_precisions(net, images[test], targets[test]).min() > 0.95
    shuffled = semantics.train_classifier(images[train], targets[train].roll(7, 0), steps=60)
    assert semantics.average_precisions(shuffled, images[test], targets[test]).mean() < 0.7
    again = semantics.train_classifier(images[train], targets[train], steps=3, seed=1)
    orders = [semantics.train_classifier(images[train], targets[train], steps=3, seed=seed) for seed in (1, 2)]
    assert torch.equal(again.head.weight, orders[0].head.weight)
    assert not torch.equal(again.head.weight, orders[1].head.weight)
    with pytest.raises(TeachlibError, match="expected finite"):
        semantics.precisions_of(targets[:, :1], targets)
    with pytest.raises(TeachlibError, match="one row for each"):
        semantics.train_classifier(images, targets[:5], steps=1)
    with pytest.raises(TeachlibError, match="no attributes"):
        semantics.attributes_of({})


# ----------------------------------------------------------------------------------------------------- files, commands


def _png(file: Path, width: int = 40, height: int = 50, mode: str = "RGB") -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(file)
    return file


def _gif(file: Path, frames: int = 3) -> Path:
    first, *rest = [Image.new("RGB", (40, 36), (40 * number, 90, 20)) for number in range(frames)]
    first.save(file, save_all=True, append_images=rest)
    return file


def test_pictures_and_films_become_tensors_in_unit_range(tmp_path: Path) -> None:
    whole = films.read_picture(_png(tmp_path / "a.png"))
    assert whole.shape == (3, 50, 40)
    assert 0 <= whole.min() < 0.1 < 0.9 < whole.max() <= 1
    assert films.read_picture(tmp_path / "a.png", 1).shape == (1, 50, 40)
    film = films.read_film(_gif(tmp_path / "f.gif"))
    assert film.shape == (3, 3, 36, 40)
    assert film[2, 0].mean().item() == pytest.approx(80 / 255, abs=0.03)


def test_so_many_frames_are_read_as_were_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = _gif(tmp_path / "f.gif", 5)
    assert len(films.read_film(file, most=2)) == 2
    monkeypatch.setattr(films, "_MOST_FRAMES", 4)
    with pytest.raises(TeachlibError, match="more than 4 frames"):
        films.read_film(file)


def test_whole_pictures_are_read_as_their_middles_are(tmp_path: Path) -> None:
    """Sixteen bits, transparency and a turned photograph: `tile` must see what `invert` sees."""
    ramp = np.linspace(0, 65535, 32 * 32).astype(np.uint16).reshape(32, 32)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    Image.new("RGBA", (32, 32), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    turned = Image.fromarray(np.zeros((40, 80, 3), dtype=np.uint8))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    assert films.read_picture(tmp_path / "deep.png", 1).mean().item() == pytest.approx(0.5, abs=0.01)
    assert films.read_picture(tmp_path / "clear.png").min() == 1.0
    assert films.read_picture(tmp_path / "turned.jpg").shape == (3, 80, 40)
    for name in ("deep.png", "clear.png"):
        whole, middle = films.read_picture(tmp_path / name, 1), films.read_square(tmp_path / name, 32, 1)
        assert torch.equal(whole, middle)


def test_films_that_are_cut_anywhere_end_in_one_line(tmp_path: Path) -> None:
    whole = _gif(tmp_path / "f.gif", 4).read_bytes()
    said = []
    for length in range(10, len(whole), 7):
        (tmp_path / "cut.gif").write_bytes(whole[:length])
        try:
            films.read_film(tmp_path / "cut.gif")
        except TeachlibError as error:
            said.append(str(error))
    assert len(said) > 5
    assert not any("\n" in line for line in said)


def test_a_gif_is_as_long_as_its_frames_a_second_say(tmp_path: Path) -> None:
    frames = torch.randint(0, 255, (30, 3, 8, 8), dtype=torch.uint8)
    with Image.open(animation.save(frames, tmp_path / "f.gif", 30.0)) as film:
        total = 0
        for number in range(film.n_frames):
            film.seek(number)
            total += film.info["duration"]
    assert total == 1000
    with pytest.raises(TeachlibError, match="at most 50 frames"):
        animation.save(frames, tmp_path / "g.gif", 100.0)
    with pytest.raises(TeachlibError, match="a side"):
        animation.save(torch.zeros(2, 3, 2, 16_400, dtype=torch.uint8), tmp_path / "g.webp", 10.0)


def test_an_mp4_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="PyAV is not installed")
    frames = torch.stack([torch.full((3, 32, 48), 30 * number, dtype=torch.uint8) for number in range(5)])
    read = films.read_film(animation.save(frames, tmp_path / "f.mp4", 10.0))
    assert read.shape == (5, 3, 32, 48)
    assert torch.allclose(read.mean((1, 2, 3)), torch.arange(5) * 30 / 255, atol=0.02)


BROKEN = {
    "missing.png": None,
    "empty.png": b"",
    "text.png": b"no picture at all",
    "cut.gif": b"GIF89a\x10",
    "text.mp4": b"no film either",
    "film.txt": b"words",
}


@pytest.mark.parametrize("name", BROKEN)
def test_files_that_are_no_pictures_end_in_one_line(name: str, tmp_path: Path) -> None:
    file, contents = tmp_path / name, BROKEN[name]
    if contents is not None:
        file.write_bytes(contents)
    for read in (
        lambda: films.read_picture(file),
        lambda: films.read_film(file),
        lambda: films.read_square(file, 32, 3),
    ):
        with pytest.raises(TeachlibError) as raised:
            read()
        assert "\n" not in str(raised.value)
        assert name in str(raised.value)


def _run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit | TeachlibError):
        raise done.exception
    return done.exit_code, f"{done.output}{done.exception or ''}"


def test_codes_of_pictures_are_written_with_a_sheet(tmp_path: Path) -> None:
    files = [_png(tmp_path / "a.png"), _png(tmp_path / "b.jpg", 64, 31)]
    code, said = _run("invert", "zoo:glyphs", *files, "--out", tmp_path / "codes.npz", "--steps", 2)
    assert code == 0, said
    with np.load(tmp_path / "codes.npz") as found:
        assert found["codes"].shape == (2, 32)
        assert found["names"].tolist() == [str(file) for file in files]
    with Image.open(tmp_path / "codes-sheet.png") as sheet:
        assert sheet.size == (64, 64)


def test_pictures_are_edited(tmp_path: Path) -> None:
    picture, other = _png(tmp_path / "a.png", 32, 32, "L"), _png(tmp_path / "b.png", 32, 32, "L")
    mask = np.zeros((32, 32), dtype=np.uint8)
    mask[8:16, 8:16] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    out = tmp_path / "out.png"
    code, said = _run("edit", "zoo:glyphs", picture, "--mask", tmp_path / "mask.png", "--out", out)
    assert code == 0, said
    made, given = np.array(Image.open(out).convert("L")), np.array(Image.open(picture))
    assert np.array_equal(made[mask == 0], given[mask == 0])
    assert not np.array_equal(made, given)
    assert _run("edit", "zoo:glyphs", picture, "--mask", tmp_path / "mask.png", "--other", other, "--out", out)[0] == 0
    assert _run("edit", "zoo:glyphs", picture, "--out", out)[0] == 0


def test_pictures_and_films_of_any_size_are_tiled(tmp_path: Path) -> None:
    code, said = _run(
        "tile", "zoo:glyphs", _png(tmp_path / "a.png", 70, 45), "--out", tmp_path / "o.png", "--sharpen", 1
    )
    assert code == 0, said
    assert Image.open(tmp_path / "o.png").size == (70, 45)
    code, said = _run("tile", "zoo:glyphs", _gif(tmp_path / "f.gif"), "--out", tmp_path / "o.gif", "--slower", 2)
    assert code == 0, said
    assert films.read_film(tmp_path / "o.gif").shape == (5, 3, 36, 40)


def test_mistakes_at_the_command_line_end_in_one_line(tmp_path: Path) -> None:
    small, picture = _png(tmp_path / "s.png", 20, 20), _png(tmp_path / "a.png")
    black = tmp_path / "black.png"
    Image.new("L", (32, 32)).save(black)
    mistakes = {
        "32 or more a side": ("tile", "zoo:glyphs", small, "--out", tmp_path / "o.png"),
        "expected .png": ("tile", "zoo:glyphs", picture, "--out", tmp_path / "o.png", "--slower", 2),
        "no picture": ("tile", "zoo:glyphs", __file__, "--out", tmp_path / "o.png"),
        "mask marks no pixel": ("edit", "zoo:glyphs", picture, "--mask", black, "--out", tmp_path / "o.png"),
        "needs --mask": ("edit", "zoo:glyphs", picture, "--other", picture, "--out", tmp_path / "o.png"),
        "--layers mixes": ("edit", "zoo:glyphs", picture, "--layers", 1, "--out", tmp_path / "o.png"),
        "backbone stylegan2": (
            "edit",
            "zoo:glyphs",
            picture,
            "--other",
            picture,
            "--layers",
            1,
            "--out",
            tmp_path / "o.png",
        ),
        "ends in .npz": ("invert", "zoo:glyphs", picture, "--out", tmp_path / "o.txt"),
        "known: glyphs": ("invert", "zoo:nothing", picture, "--out", tmp_path / "o.npz"),
        "would replace": ("edit", "zoo:glyphs", picture, "--out", picture),
        "unknown model of the zoo": ("invert", "zoo:", picture, "--out", tmp_path / "o.npz"),
        "no name for a file": ("edit", "zoo:glyphs", picture, "--out", tmp_path / ("n" * 300 + ".png")),
        "nothing can be written": ("edit", "zoo:glyphs", picture, "--out", small / "o.png"),
        "a film of one frame": (
            "tile",
            "zoo:glyphs",
            _gif(tmp_path / "1.gif", 1),
            "--out",
            tmp_path / "o.gif",
            "--slower",
            2,
        ),
        "million pixels": (
            "tile",
            "zoo:glyphs",
            _png(tmp_path / "l.png", 1500, 1500),
            "--out",
            tmp_path / "o.png",
            "--enlarge",
            8,
        ),
        "a folder": ("edit", "zoo:glyphs", picture, "--out", tmp_path / "d.png"),
    }
    (tmp_path / "d.png").mkdir()
    for words, command in mistakes.items():
        code, said = _run(*command)
        assert code != 0, words
        assert words in said.replace("\n", " "), (words, said)
    assert not list(tmp_path.glob("o.*"))
    assert films.read_picture(picture).shape == (3, 50, 40)  # it is still there
