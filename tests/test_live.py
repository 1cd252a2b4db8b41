"""Parts of models outside Python: exported graphs, demos of the book, the command."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from teachlib import gmmvae, invgan, live, primer, rae, registry
from teachlib.cli import main
from teachlib.data import load, present
from teachlib.errors import TeachlibError
from teachlib.gif import demos as by_sliders
from teachlib.gif.head import head
from teachlib.gif.rasterizer import rasterize
from teachlib.gif.rendering import condition
from teachlib.gmmvae.demos import input_gradient
from teachlib.invgan.demos import slant, thickness
from teachlib.live import TOLERANCE, Graph, Part, largest_difference, onnx_of
from teachlib.primer.demos import decoded, fitted_flow, warping
from teachlib.rae.demos import ellipses_of, in_plane, plane_of
from teachlib.results import read_results

onnxruntime: Any = pytest.importorskip("onnxruntime")

DEMOS = [(key, name) for key in registry.CHAPTERS for name in registry.chapter(key).demos]


def answers(written: bytes, **inputs: Tensor) -> list[np.ndarray]:
    found: list[np.ndarray] = onnxruntime.InferenceSession(written).run(None, {k: v.numpy() for k, v in inputs.items()})
    return found


@pytest.mark.parametrize(
    ("model", "part"),
    [(rae.from_zoo("vae", "glyphs"), "encoder"), (invgan.from_zoo("invgan-direct", "glyphs"), "inference")],
    ids=["vae", "invgan"],
)
def test_an_exported_part_gives_the_numbers_of_torch_on_real_images(model: nn.Module, part: str) -> None:
    chapter = registry.chapter("rae" if part == "encoder" else "invgan")
    image = load("glyphs", "test", limit=1, size=32)[:][0]
    (found,) = answers(onnx_of(chapter.graphs(model)[part]), x=image)
    with torch.no_grad():
        expected = model.encode(image) if part == "encoder" else model.infer(image)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)


def test_a_file_says_nothing_of_the_machine_and_is_the_same_each_time() -> None:
    graph = registry.chapter("rae").graphs(rae.from_zoo("ae", "glyphs"))["decoder"]
    one, other = onnx_of(graph), onnx_of(graph)
    assert one == other
    for words in (str(Path(str(live.__file__)).parent), "stack_trace", sys.prefix, str(Path.home())):
        assert words.encode() not in one


def test_the_model_itself_is_left_as_it_was() -> None:
    model = invgan.from_zoo("invgan-direct", "glyphs")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    onnx_of(registry.chapter("invgan").graphs(model)["inference"])
    assert not model.training
    assert before.keys() == model.state_dict().keys()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    model.infer(torch.rand(2, 1, 32, 32)).sum().backward()  # its weights are parametrized as before


class Twice(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return 2 * x, x @ y.T


def test_graphs_with_several_inputs_and_outputs_keep_their_names() -> None:
    graph = Graph(Twice(), {"x": torch.zeros(1, 3), "y": torch.zeros(1, 3)}, ("double", "product"))
    session = onnxruntime.InferenceSession(onnx_of(graph))
    assert [each.name for each in session.get_inputs()] == ["x", "y"]
    x, y = torch.randn(1, 3), torch.randn(1, 3)
    double, product = session.run(["double", "product"], {"x": x.numpy(), "y": y.numpy()})
    np.testing.assert_allclose(double, 2 * x)
    np.testing.assert_allclose(product, x @ y.T, atol=1e-6)


def test_inputs_that_are_tried_lie_where_the_example_lies() -> None:
    seen: list[Tensor] = []

    def method(model: nn.Module, x: Tensor) -> Tensor:
        if not torch.compiler.is_exporting():
            seen.append(x)
        return x + 1

    graph = Graph(Part(nn.Identity(), method), {"x": torch.tensor([[0.25, 0.75]])}, ("y",))
    assert live.largest_difference(graph, onnx_of(graph)) < 1e-6
    drawn = torch.cat(seen)
    assert len({tuple(row.tolist()) for row in drawn}) > 2
    assert drawn.min() >= 0.25
    assert drawn.max() <= 0.75


def test_what_gives_other_numbers_than_torch_is_refused() -> None:
    class Noisy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.randn_like(x)

    with pytest.raises(TeachlibError, match=r"differs from torch by .* expected at most 0\.0001; does the module draw"):
        onnx_of(Graph(Noisy(), {"x": torch.zeros(1, 4)}, ("y",)))


def test_numbers_that_are_none_are_no_agreement() -> None:
    written = onnx_of(Graph(nn.Identity(), {"x": torch.zeros(1, 2)}, ("y",)))
    broken = Graph(Part(nn.Identity(), lambda _, x: x / 0 * 0), {"x": torch.zeros(1, 2)}, ("y",))
    assert live.largest_difference(broken, written) == math.inf


def test_what_torch_cannot_export_is_said_in_one_line() -> None:
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum().item() > 0 else -x

    with pytest.raises(TeachlibError, match="torch cannot export this part of the model: ") as caught:
        onnx_of(Graph(Branching(), {"x": torch.zeros(1, 4)}, ("y",)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("package", ["onnxscript", "onnxruntime"])
def test_without_the_packages_the_extra_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # importing it fails
    with pytest.raises(TeachlibError, match=r"pip install 'teachlib\[export\]'"):
        onnx_of(Graph(nn.Identity(), {"x": torch.zeros(1, 2)}, ("y",)))


def test_a_warped_grid_ends_where_the_flow_decodes_it_and_its_stretch_is_the_jacobian_s() -> None:
    flow, z = fitted_flow(), torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    stages, log_stretch = decoded(flow, z)
    assert stages.shape == (7, 20, 2)
    torch.testing.assert_close(stages[0], z)
    torch.testing.assert_close(stages[-1], flow.decode(z))
    slopes = torch.stack([torch.autograd.functional.jacobian(lambda at: flow.decode(at[None])[0], one) for one in z])
    torch.testing.assert_close(log_stretch, torch.linalg.slogdet(slopes)[1], atol=1e-3, rtol=1e-3)


@pytest.mark.slow
def test_a_warped_flow_is_the_same_in_a_page_with_room_to_spare_on_any_processor() -> None:
    """It is fitted where the book is built, and no two kinds of processors fit the same one."""
    demo = warping(registry.chapter("primer"))
    for graph in demo.graphs.values():
        assert largest_difference(graph, onnx_of(graph)) < TOLERANCE / 3


def test_bridges_between_spots_are_stretched_and_spots_are_squeezed() -> None:
    flow, angle = fitted_flow(), torch.arange(8) * math.pi / 4
    spots = 2 * torch.stack([angle.cos(), angle.sin()], 1)
    z = {"spots": flow.encode(spots)[0].detach(), "bridges": flow.encode((spots + spots.roll(1, 0)) / 2)[0].detach()}
    found = {
        name: torch.stack(
            [torch.autograd.functional.jacobian(lambda at: flow.decode(at[None])[0], one) for one in places]
        )
        for name, places in z.items()
    }
    most, least = torch.linalg.svdvals(found["bridges"]).unbind(1)
    assert most.min() > 7
    assert least.max() < 1
    assert (most * least).min() > 1
    assert torch.linalg.det(found["spots"]).abs().max() < 1
    noise = {name: (-places.square().sum(1) / 2).mean().item() for name, places in z.items()}
    assert noise["spots"] == pytest.approx(noise["bridges"], abs=0.2)  # nats


def test_a_head_by_sliders_is_rendered_as_the_head_by_all_its_numbers() -> None:
    low, high = (torch.tensor([getattr(knob, end) for knob in by_sliders.KNOBS]) for end in ("low", "high"))
    shares = torch.rand(4, len(low), generator=torch.Generator().manual_seed(0))
    rig = by_sliders.Rig()
    for numbers in (torch.zeros(1, len(low)), *(low + (high - low) * shares).split(1)):
        screen, *others = rig(numbers)
        found = rasterize(screen, head().faces, 64)
        rendering = by_sliders.shaded(found.face.float(), found.weights, *others)
        torch.testing.assert_close(rendering, condition(by_sliders.asked(numbers), 32), atol=1e-5, rtol=1e-5)
    for knob in range(len(low)):  # every slider does something
        one = torch.zeros(1, len(low)).index_fill(1, torch.tensor([knob]), float(high[knob]))
        moved = condition(by_sliders.asked(one), 32) - condition(by_sliders.asked(0 * one), 32)
        assert moved.abs().max() > 0.1, by_sliders.KNOBS[knob].label


# ---------------------------------------------------------------------------------------------------------- the command


def test_a_model_of_the_zoo_is_exported_by_the_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "teachlib", "export", "vae-digits", "--out", str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 or done.returncode == 1
    assert "neither a model of the zoo nor the folder of a run" in done.stderr
    done = subprocess.run(
        [sys.executable, "-m", "teachlib", "export", "ae-glyphs", "--out", str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "z (1, 16) → x" in done.stdout
    assert done.stderr == ""
    z = torch.randn(1, 16)
    model = rae.from_zoo("ae", "glyphs")
    (made,) = answers((tmp_path / "decoder.onnx").read_bytes(), z=z)
    np.testing.assert_allclose(made, model.decode(z).detach().numpy(), atol=1e-4)


def test_a_run_is_exported_and_a_chapter_without_parts_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = rae.recipe("ae", "glyphs", scale="ci", steps=1)
    rae.train(chosen, folder=tmp_path / "run", limit=128, progress=False)
    monkeypatch.setattr(sys, "argv", ["teachlib", "export", str(tmp_path / "run"), "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"encoder.onnx", "decoder.onnx"}
    monkeypatch.setattr(sys, "argv", ["teachlib", "export", "primer-glow-digits", "--out", str(tmp_path / "none")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code
    assert "primer-glow-digits: none of its parts can be exported (the primer)" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
    (tmp_path / "file").write_text("")
    for words, said in (
        (("zoo:ae-glyphs", "--out", str(tmp_path / "file")), "a file; expected a folder"),
        (("", "--out", str(tmp_path / "none")), "neither a model of the zoo nor the folder of a run"),
    ):
        monkeypatch.setattr(sys, "argv", ["teachlib", "export", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code
        assert said in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------------ the demos


def test_names_of_demos_are_unique_and_their_scripts_register_them() -> None:
    names = [name for _, name in DEMOS]
    assert len(names) == len(set(names))
    package = Path(str(live.__file__)).parent
    scripts = {path: path.read_text(encoding="utf-8") for path in package.rglob("*.js")}
    for name in names:
        assert sum(f'teachlibLive.draw("{name}"' in text for text in scripts.values()) == 1, name


@pytest.mark.parametrize(("key", "name"), DEMOS, ids=[name for _, name in DEMOS])
def test_what_a_demo_needs_is_json_and_the_same_each_time(key: str, name: str) -> None:
    chapter = registry.chapter(key)
    one, other = (chapter.demos[name](chapter) for _ in range(2))
    said = json.dumps(dict(one.constants), allow_nan=False)
    assert said == json.dumps(dict(other.constants))
    assert len(said) < 500_000
    assert one.script.is_file()


def test_a_plane_shows_where_codes_vary_most() -> None:
    generator = torch.Generator().manual_seed(0)
    turn, _ = torch.linalg.qr(torch.randn(5, 5, generator=generator))
    spread = torch.tensor([3.0, 2.0, 0.2, 0.1, 0.1])
    codes = torch.randn(5_000, 5, generator=generator) * spread @ turn.T + 7
    mean, axes = plane_of(codes)
    torch.testing.assert_close(axes.norm(dim=1), spread[:2], rtol=0.05, atol=0)
    torch.testing.assert_close(
        (axes / axes.norm(dim=1, keepdim=True) @ turn[:, :2]).abs(), torch.eye(2), rtol=0, atol=0.05
    )
    places = in_plane(codes, mean, axes)
    torch.testing.assert_close(torch.cov(places.T), torch.eye(2), rtol=0, atol=1e-3)
    torch.testing.assert_close(in_plane(mean + 2 * axes[0] - axes[1], mean, axes), torch.tensor([2.0, -1.0]))


def test_ellipses_are_what_samples_of_a_gaussian_show_in_the_plane() -> None:
    generator = torch.Generator().manual_seed(1)
    mean, axes = torch.randn(4, generator=generator), torch.tensor([[2.0, 0, 0, 0], [0, 0, 0.5, 0]])
    root = torch.randn(4, 4, generator=generator)
    covariance, centre = (root @ root.T).double(), torch.randn(4, generator=generator).double()
    ((u, v, long, short, angle),) = ellipses_of(centre[None], covariance[None], mean, axes).tolist()
    draws = torch.distributions.MultivariateNormal(centre, covariance).sample((200_000,)).float()
    flat = in_plane(draws, mean, axes)
    torch.testing.assert_close(flat.mean(0), torch.tensor([u, v]), rtol=0, atol=0.02)
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    torch.testing.assert_close(
        torch.cov(flat.T), turn @ torch.diag(torch.tensor([long**2, short**2])) @ turn.T, rtol=0.02, atol=0.02
    )
    assert long >= short


def test_slant_and_thickness_of_known_strokes() -> None:
    rows, columns = torch.arange(32.0)[:, None], torch.arange(32.0)[None]
    strokes = torch.stack(
        [
            ((columns - 16 + lean * (rows - 16)).abs() <= half).float()
            for lean, half in ((0, 1), (0.5, 1), (-0.3, 1), (0, 2))
        ]
    )[:, None]
    strokes[:, :, :6] = strokes[:, :, 26:] = 0
    torch.testing.assert_close(slant(strokes), torch.tensor([0, 0.5, -0.3, 0]).double(), rtol=0, atol=0.02)
    ink = thickness(strokes)
    assert ink[3] / ink[0] == pytest.approx(5 / 3)


def test_gradients_of_the_exported_kind_are_those_of_automatic_differentiation() -> None:
    model = gmmvae.from_zoo("gmm-vae", "mnist")
    x = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()
    pull = torch.randn(3, model.recipe.latent, generator=torch.Generator().manual_seed(1))
    (expected,) = torch.autograd.grad((model.encode(x) * pull).sum(), x)
    found = input_gradient(model.encoder, x, pull)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())
    with pytest.raises(TeachlibError, match="the gradient of Sigmoid is not known here"):
        input_gradient(nn.Sequential(nn.Sigmoid()), torch.zeros(1, 2), torch.zeros(1, 2))
    with pytest.raises(TeachlibError, match="the gradient of Conv2d is not known here"):
        input_gradient(nn.Sequential(nn.Conv2d(1, 1, 3, stride=2)), torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 3, 3))


def test_the_attack_of_the_page_climbs_from_a_class_to_the_nearest_other() -> None:
    chapter = registry.chapter("gmmvae")
    demo = chapter.demos["refusing"](chapter)
    model = gmmvae.from_zoo("gmm-vae", "mnist")
    with torch.no_grad():
        x = model.decode(model.prior.means[7:8])
    label = torch.eye(10)[7:8]
    x = x.requires_grad_()
    distances = model.prior.squared_distances(model.encode(x))
    rise = distances[0, 7] - torch.cat([distances[0, :7], distances[0, 8:]]).min()
    (expected,) = torch.autograd.grad(rise, x)
    torch.testing.assert_close(demo.graphs["ascent"].net(x, label), expected, rtol=1e-4, atol=1e-5)


def test_the_judge_of_the_page_decides_as_the_classifier_does() -> None:
    chapter = registry.chapter("gmmvae")
    demo = chapter.demos["refusing"](chapter)
    model, limits = gmmvae.from_zoo("gmm-vae", "mnist"), read_results("thresholds", "mnist")["gmm-vae"]["thresholds"]
    judge = demo.graphs["judge"].net
    classifier = gmmvae.by_likelihood(model.encode, model.decode, judge.prior, gmmvae.Thresholds(**limits))
    images = load("glyphs", "test", limit=20, size=32)[:][0]
    decision = classifier.decide(images)
    with torch.no_grad():
        scores, latent, pixels, rebuilt = judge(images)
        torch.testing.assert_close(rebuilt, model(images))
    assert torch.equal(scores.argmax(1), decision.labels)
    torch.testing.assert_close(latent.gather(1, decision.labels[:, None])[:, 0], decision.latent_ratio)
    torch.testing.assert_close(pixels, decision.pixel_ratio)


def test_recorded_thresholds_are_those_of_the_data() -> None:
    """They are found again on real MNIST: held-out digits are refused as often as was asked for."""
    if not present("mnist"):
        pytest.skip("no MNIST is at hand: TEACHLIB_DATA names no folder with it")
    chapter = registry.chapter("gmmvae")
    judge = chapter.demos["refusing"](chapter).graphs["judge"].net
    images, labels = gmmvae.load("mnist", "validation", limit=2_000)[:]
    with torch.no_grad():
        scores, latent, pixels, _ = judge(images)
    right = (scores.argmax(1) == labels).double().mean().item()
    refused = [(r > 1).double().mean().item() for r in (latent.gather(1, scores.argmax(1)[:, None])[:, 0], pixels)]
    assert right > 0.98
    assert all(0.003 < share < 0.02 for share in refused), refused


def test_other_models_of_a_chapter_can_be_exported_too() -> None:
    model = invgan.from_zoo("alae", "glyphs")
    parts = registry.chapter("invgan").graphs(model)
    image = load("glyphs", "test", limit=1, size=32)[:][0]
    (codes,) = answers(onnx_of(parts["inference"]), x=image)
    np.testing.assert_allclose(codes, model.infer(image).detach().numpy(), atol=1e-4)
    assert registry.chapter("gmmvae").graphs(gmmvae.from_zoo("cnn", "glyphs")) == {}
    assert "inference" not in registry.chapter("invgan").graphs(invgan.from_zoo("gan", "glyphs"))


def test_steps_of_the_page_are_those_of_ddim() -> None:
    """The page's arithmetic, in torch, on the graph's answers: from its noise to what the library samples."""
    chapter = registry.chapter("primer")
    demo = chapter.demos["reverse-diffusion"](chapter)
    constants, net, model = demo.constants, demo.graphs["denoiser"].net, primer.from_zoo("primer-diffusion").diffusion
    labels, guidance = torch.arange(10), 2.0
    x = torch.tensor(constants["start"]).view(10, *model.shape)
    expected = model.sample(10, torch.Generator().manual_seed(0), labels, guidance=guidance, steps=50, eta=0)
    torch.testing.assert_close(torch.randn(x.shape, generator=torch.Generator().manual_seed(0)), x)
    signal = [torch.tensor(value) for value in constants["signal"]]
    for time, now, after in zip(constants["times"], signal, signal[1:], strict=False):
        with torch.no_grad():
            told, untold = net(x, torch.full((10,), time / constants["steps"]), labels.float())
        data = ((x - (1 - now).sqrt() * (untold + guidance * (told - untold))) / now.sqrt()).clamp(-1, 1)
        x = after.sqrt() * data + (1 - after).sqrt() * (x - now.sqrt() * data) / (1 - now).sqrt()
    torch.testing.assert_close(((x + 1) / 2).clamp(0, 1), expected, rtol=0, atol=1e-3)
