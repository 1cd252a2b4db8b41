"""Films: curves from tables and from sound, frame by frame, and what cannot be one."""

import io
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import wavfile

from teachlib import gif
from teachlib.errors import TeachlibError
from teachlib.gif import animation
from teachlib.gif.head import head


def _table(folder: Path, text: str) -> Path:
    file = folder / "curves.csv"
    file.write_text(text)
    return file


def test_between_the_rows_of_a_table_lines_are_straight(tmp_path: Path) -> None:
    curves = animation.from_csv(_table(tmp_path, "time,yaw,jawOpen\n2,0,0\n3,0.5,1\n4,0.5,0\n"), fps=4)
    assert curves.names == ("yaw", "jawOpen")
    assert len(curves) == 9
    torch.testing.assert_close(curves.values[:5, 0], torch.tensor([0, 0.125, 0.25, 0.375, 0.5]))
    torch.testing.assert_close(curves.values[4:, 1], torch.tensor([1, 0.75, 0.5, 0.25, 0]))


def test_what_a_curve_names_moves_and_nothing_else(tmp_path: Path) -> None:
    curves = animation.from_csv(_table(tmp_path, "time,jaw,browInnerUp\n0,0,0\n1,0.2,1\n"), fps=10)
    rest = animation.at_rest()
    moved = animation.posed(rest, curves)
    torch.testing.assert_close(moved.pose[:, 2, 0], curves.values[:, 0])
    torch.testing.assert_close(moved.expression[:, head().actions.index("browInnerUp")], curves.values[:, 1])
    assert moved.pose.count_nonzero() == moved.pose[:, 2, 0].count_nonzero()
    assert moved.expression.count_nonzero() == 10
    assert torch.equal(moved.shape, rest.shape.expand(11, -1))
    assert rest.pose.count_nonzero() == 0  # the head at rest is not written to


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a first line 'time,…'"),
        ("yaw\n1\n", "expected a first line 'time,…'"),
        ("time,yaw,yaw\n0,0,0\n1,1,1\n", "names each curve once"),
        ("time\n0\n1\n", "names each curve once"),
        ("time,pitch\n0,0\n1,1.6\n", "pitch goes from 0 to 1.6"),
        ("time,roll\n0,0\n1,-1.6\n", "roll goes from -1.6 to 0"),
        ("time,jaw\n0,0\n1,0.6\n", "jaw goes from 0 to 0.6"),
        ("time,wink\n0,0\n1,1\n", "no curve is called 'wink'"),
        ("time,yaw\n0,0\n", "two or more"),
        ("time,yaw\n0,0\n1,left\n", "line 3"),
        ("time,yaw\n0,0\n1,nan\n", "line 3"),
        ("time,yaw\n0,0\n1\n", "expected 2 numbers"),
        ("time,yaw\n1,0\n1,0\n", "do not grow"),
        ("time,yaw\n0,0\n1,30\n", r"expected -1.57 to 1.57 \(radians\)"),
        ("time,jawOpen\n0,0\n1,1.5\n", "expected 0 to 1"),
        ("time,yaw\n0,0\n100000,0\n", "at most 3,000"),
        ("time,yaw\n-1e308,0\n1e308,0\n", "at most 3,000"),
        ("time,yaw\n0,0\n1," + "9" * 200_000 + "\n", "cannot be read"),
    ],
)
def test_tables_that_are_none_are_named(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(TeachlibError, match=message) as caught:
        animation.from_csv(_table(tmp_path, text))
    assert "\n" not in str(caught.value)


def _sound(folder: Path, samples: np.ndarray, rate: int = 16_000) -> Path:
    wavfile.write(folder / "speech.wav", rate, samples)
    return folder / "speech.wav"


def _tone(pitch: float, seconds: float = 1.0, rate: int = 16_000) -> np.ndarray:
    return np.sin(2 * math.pi * pitch * np.arange(int(seconds * rate)) / rate)


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.float32])
def test_loud_opens_the_jaw_and_silence_closes_it(kind: type, tmp_path: Path) -> None:
    samples = np.concatenate([_tone(300), 0 * _tone(300)])
    whole = samples * (1 if kind == np.float32 else 0.9 * np.iinfo(kind).max)
    curves = animation.from_audio(_sound(tmp_path, whole.astype(kind)), fps=20)
    jaw = curves.values[:, curves.names.index("jaw")]
    assert len(curves) == 40
    assert jaw[3:17].min() > 0.9 * math.pi / 12
    assert jaw[24:].max() < 0.02
    assert jaw.max() <= math.pi / 12 + 1e-6


def test_low_sounds_round_the_lips_and_high_ones_spread_them(tmp_path: Path) -> None:
    curves = animation.from_audio(
        _sound(tmp_path, np.concatenate([_tone(300), _tone(2500)]).astype(np.float32)), fps=20
    )
    pucker, left, right = (
        curves.values[:, curves.names.index(name)] for name in ("mouthPucker", "mouthStretchLeft", "mouthStretchRight")
    )
    assert pucker[3:17].min() > 0.5
    assert pucker[24:37].max() < 0.05
    assert left[3:17].max() < 0.05
    assert left[24:37].min() > 0.5
    assert torch.equal(left, right)


def test_a_sound_in_between_rounds_the_lips_in_between(tmp_path: Path) -> None:
    """An eighth of the power above 1 kHz: 0.6 · (1 - 4/8) of the way, where the mouth is fully open."""
    mixed = 7**0.5 * _tone(320) + _tone(2560)
    curves = animation.from_audio(_sound(tmp_path, mixed.astype(np.float32)), fps=20)
    pucker = curves.values[5:15, curves.names.index("mouthPucker")]
    torch.testing.assert_close(pucker, torch.full((10,), 0.3), atol=0.02, rtol=0)


def test_loudness_is_of_the_recording_and_both_channels_count(tmp_path: Path) -> None:
    tone = _tone(300).astype(np.float32)
    loud = animation.from_audio(_sound(tmp_path, tone))
    quiet = animation.from_audio(_sound(tmp_path, 0.01 * np.stack([tone, tone], 1)))
    torch.testing.assert_close(loud.values, quiet.values, atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "not a WAV file"),
        (b"RIFF\x00\x00\x00\x00WAVE", "not a WAV file"),
        (b"RIFF$\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00@\x1f\x00\x00", "not a WAV file"),
        (b"ID3\x04mp3", "ffmpeg"),
        (None, "no such file"),
    ],
)
def test_sounds_that_are_none_are_named(contents: bytes | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    if contents is not None:
        file.write_bytes(contents)
    with pytest.raises(TeachlibError, match=message):
        animation.from_audio(file)


@pytest.mark.parametrize("samples", [np.zeros(0, np.int16), np.zeros(900, np.int16), np.full(900, np.nan, np.float32)])
def test_a_recording_that_cannot_be_heard_is_named(samples: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(TeachlibError, match="that can be heard"):
        animation.from_audio(_sound(tmp_path, samples))


def test_a_film_shows_the_rendering_and_every_style(tmp_path: Path) -> None:
    face = gif.Face(gif.recipe("gif", scale="ci"))
    curves = animation.from_csv(_table(tmp_path, "time,yaw\n0,-0.3\n0.3,0.3\n"), fps=10)
    asked = animation.posed(animation.at_rest(), curves)
    frames = animation.film(face, asked, face.styles(torch.tensor([0, 1])), side=48)
    assert frames.dtype == torch.uint8
    assert frames.shape == (4, 3, 48, 3 * 48)
    rendered = (gif.render(asked, 48).colours * 255).round().byte()
    assert torch.equal(frames[..., :48], rendered)


@pytest.mark.parametrize("kind", [".gif", ".webp"])
def test_saved_films_hold_every_frame(kind: str, tmp_path: Path) -> None:
    frames = (torch.arange(5)[:, None, None, None] * 50).expand(5, 3, 16, 16).byte()
    with Image.open(animation.save(frames, tmp_path / f"film{kind}", fps=10)) as film:
        assert film.n_frames == 5
        film.seek(4)
        assert np.abs(np.asarray(film.convert("RGB")).astype(int) - 200).max() <= 4
        assert film.info["duration"] == pytest.approx(100, abs=1)


def test_an_mp4_has_every_frame_of_any_size(tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="films as .mp4 are tested where PyAV is installed")
    frames = (torch.arange(6)[:, None, None, None] * 40).expand(6, 3, 17, 31).byte()
    file = animation.save(frames, tmp_path / "film.mp4", fps=30_000 / 1_001)
    with av.open(io.BytesIO(file.read_bytes())) as film:
        assert film.streams.video[0].average_rate == Fraction(30_000, 1_001)  # as television has it
        read = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(read) == 6
    assert read[0].shape == (16, 30, 3)
    assert abs(int(read[5].mean()) - 200) < 12


def test_other_endings_leave_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(TeachlibError, match=r"ends in \.mp4, \.gif, \.webp"):
        animation.save(torch.zeros(2, 3, 4, 4).byte(), tmp_path / "film.avi", 10)
    assert not list(tmp_path.iterdir())


def test_jitter_is_none_of_what_moves_as_asked_and_of_what_moves_evenly() -> None:
    time = torch.arange(8.0)[:, None, None, None].expand(8, 3, 4, 4)
    asked = 0.01 * time.square()
    assert animation.jitter(asked, asked) == pytest.approx(1)
    assert animation.jitter(0.05 * time, asked) == pytest.approx(0, abs=1e-5)
    noise = 0.1 * torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert animation.jitter(asked + noise, asked) > 5
    with pytest.raises(TeachlibError, match="three or more"):
        animation.jitter(asked[:2], asked[:2])


def test_a_tone_after_a_long_silence_opens_the_jaw_then_and_only_then(tmp_path: Path) -> None:
    samples = np.concatenate([0 * _tone(300, 9.0), _tone(300, 0.3)]).astype(np.float32)
    curves = animation.from_audio(_sound(tmp_path, samples), fps=20)
    jaw = curves.values[:, curves.names.index("jaw")]
    assert jaw[:178].max() < 0.01
    assert jaw[182:].max() > 0.9 * math.pi / 12


def test_frames_hear_what_is_around_them_and_the_jaw_opens_with_the_square(tmp_path: Path) -> None:
    """A click in the middle of frame 10 opens its mouth as wide as its neighbours' on either side."""
    click = np.zeros(16_000)
    click[8_000 - 4 : 8_000 + 4] = np.hanning(8)  # at 0.5 s, where frame 10 of 20 a second is centred
    curves = animation.from_audio(_sound(tmp_path, click.astype(np.float32)), fps=20)
    jaw = curves.values[:, curves.names.index("jaw")]
    torch.testing.assert_close(jaw[9], jaw[11], atol=0.03, rtol=0)
    assert jaw.argmax() == 10
    half = np.concatenate([_tone(300), 0.1 * _tone(300)]).astype(np.float32)  # 20 dB less: half of the range
    curves = animation.from_audio(_sound(tmp_path, half), fps=20)
    jaw = curves.values[:, curves.names.index("jaw")]
    torch.testing.assert_close(jaw[25:35], torch.full((10,), math.pi / 12 * 0.25), atol=0.01, rtol=0)


def test_a_hum_below_voices_opens_no_mouth(tmp_path: Path) -> None:
    samples = np.concatenate([_tone(50), _tone(300)]).astype(np.float32)
    curves = animation.from_audio(_sound(tmp_path, samples), fps=20)
    jaw = curves.values[:, curves.names.index("jaw")]
    assert jaw[3:17].max() < 0.15 * jaw[24:37].min()


@pytest.mark.parametrize(("rate", "samples"), [(10**9, np.ones(16_000)), (1, np.ones(900))])
def test_rates_that_nobody_records_are_named(rate: int, samples: np.ndarray, tmp_path: Path) -> None:
    samples[::2] = 0
    with pytest.raises(TeachlibError, match="samples a second; expected 4,000"):
        animation.from_audio(_sound(tmp_path, samples.astype(np.float32), rate))


def test_the_largest_numbers_are_only_loud(tmp_path: Path) -> None:
    curves = animation.from_audio(_sound(tmp_path, 1e308 * _tone(300)), fps=20)
    assert curves.values.isfinite().all()


def test_films_are_drawn_in_parts_and_none_is_too_large() -> None:
    face = gif.Face(gif.recipe("gif", scale="ci"))
    asked = gif.animation.at_rest()[torch.zeros(107, dtype=torch.long)]
    asked.pose[:, 0, 1] = torch.linspace(-0.4, 0.4, 107)
    style = face.styles(torch.tensor([3]))
    frames = animation.film(face, asked, style, side=32)
    assert len(frames) == 107
    alone = animation.film(face, asked[60:61], style, side=32)
    assert (frames[60].int() - alone[0].int()).abs().max() <= 1
    for count, side in ((0, 32), (107, 4096)):
        with pytest.raises(TeachlibError, match="expected at least one frame"):
            animation.film(face, asked[:count], style, side=side)


def test_the_head_at_rest_is_lit_from_the_front() -> None:
    seen = gif.render(animation.at_rest(), 64)
    nose, side = seen.colours[0, :, 28:36, 28:36].mean(), seen.colours[0][:, seen.fragments.covered[0]].min()
    assert nose > 0.5
    assert nose > 2 * side


def test_the_head_at_rest_is_lit_more_from_the_front_than_from_above() -> None:
    front, above = torch.tensor([[[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]]).view(2, 3, 1, 1)
    lit = animation.at_rest().light.expand(2, -1, -1)
    shown = gif.light.shading(torch.stack([front, above]), lit)[:, 0, 0, 0]
    below = gif.light.shading(-above[None], lit[:1])[0, 0, 0, 0]
    assert shown[0] > shown[1] > below


def test_jitter_of_bytes_is_refused() -> None:
    frames = torch.rand(4, 3, 5, 5)
    with pytest.raises(TeachlibError, match="not bytes"):
        animation.jitter((frames * 255).byte(), frames)


@pytest.mark.parametrize(
    ("shape", "dtype"), [((0, 3, 8, 8), torch.uint8), ((2, 1, 8, 8), torch.uint8), ((2, 3, 8, 8), torch.float32)]
)
def test_what_is_no_film_is_refused(shape: tuple[int, ...], dtype: torch.dtype, tmp_path: Path) -> None:
    with pytest.raises(TeachlibError, match=r"frames of shape .*; expected bytes, \(T, 3, H, W\)"):
        animation.save(torch.zeros(shape, dtype=dtype), tmp_path / "film.gif", 10)
