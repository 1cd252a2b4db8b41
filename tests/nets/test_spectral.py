"""Spectral normalization against the singular values of whole matrices."""

import pytest
import torch
from torch import Tensor, nn

from teachlib.errors import TeachlibError
from teachlib.nets import ConvDecoder, kernel_matrix, largest_singular_value, normalize_layers, spectral_norm
from teachlib.nets.spectral import as_linear_map

SHAPES = {"linear": (7,), "convolution": (3, 6, 6), "transposed": (4, 5, 5)}


def layer(name: str) -> nn.Module:
    torch.manual_seed(0)
    return {
        "linear": lambda: nn.Linear(7, 5),
        "convolution": lambda: nn.Conv2d(3, 4, 4, stride=2, padding=1),
        "transposed": lambda: nn.ConvTranspose2d(4, 3, 4, stride=2, padding=1),
    }[name]().double()


def matrix(net: nn.Module, shape: tuple[int, ...]) -> Tensor:
    """A layer without its bias as one big matrix, column by column."""
    size = torch.Size(shape).numel()
    with torch.no_grad():
        zero = net(torch.zeros(1, *shape, dtype=torch.float64))
        return torch.stack([(net(e.view(1, *shape)) - zero).flatten() for e in torch.eye(size).double()], 1)


@pytest.mark.parametrize("name", SHAPES)
def test_power_iteration_finds_the_true_norm_of_the_map(name: str) -> None:
    net, shape = layer(name), SHAPES[name]
    true = torch.linalg.matrix_norm(matrix(net, shape), 2)
    apply = as_linear_map(net)
    start = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0)).double()
    found = largest_singular_value(lambda x: apply(net.weight, x), start, iterations=2000)  # type: ignore[arg-type]
    torch.testing.assert_close(found, true, rtol=1e-4, atol=0)


@pytest.mark.parametrize("name", SHAPES)
def test_normalizing_the_map_makes_its_norm_one(name: str) -> None:
    net, shape = layer(name), SHAPES[name]
    spectral_norm(net, of="map", shape=shape).train()
    for _ in range(500):
        net(torch.randn(2, *shape).double())
    net.eval()
    assert torch.linalg.matrix_norm(matrix(net, shape), 2).item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("of", ["outputs", "first"])
def test_normalizing_the_kernel_makes_its_matrix_norm_one_and_not_the_maps(name: str, of: str) -> None:
    net, shape = layer(name), SHAPES[name]
    spectral_norm(net, of=of).train()  # type: ignore[arg-type]
    for _ in range(500):
        net(torch.randn(2, *shape).double())
    net.eval()
    weight = net.weight.detach()  # type: ignore[union-attr]
    rows = weight.transpose(0, 1) if of == "outputs" and name == "transposed" else weight
    assert torch.linalg.matrix_norm(rows.flatten(1), 2).item() == pytest.approx(1, abs=1e-3)
    true = torch.linalg.matrix_norm(matrix(net, shape), 2).item()
    if name == "linear":
        assert true == pytest.approx(1, abs=1e-3)
    else:
        assert abs(true - 1) > 0.05


@pytest.mark.parametrize("name", SHAPES)
def test_it_agrees_with_torchs(name: str) -> None:
    ours, theirs = layer(name), layer(name)
    torch.nn.utils.parametrizations.spectral_norm(theirs, n_power_iterations=50)
    spectral_norm(ours)
    x = torch.randn(2, *SHAPES[name]).double()
    for net in (ours, theirs):
        for _ in range(200):
            net(x)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-4)
    grown = [net.parametrizations.weight.original for net in (ours, theirs)]  # type: ignore[union-attr]
    gradients = [torch.autograd.grad(net(x).square().sum(), w)[0] for net, w in zip((ours, theirs), grown, strict=True)]
    torch.testing.assert_close(*gradients, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("scale", [1e-25, 1e-10, 1e25])
def test_a_weight_of_any_size_is_normalized_alike(scale: float) -> None:
    layers = []
    for factor in (1.0, scale):
        torch.manual_seed(0)
        layer = nn.Linear(7, 5)
        with torch.no_grad():
            layer.weight.mul_(factor)
        layers.append(spectral_norm(layer).train())
    torch.testing.assert_close(layers[0].weight, layers[1].weight, rtol=1e-4, atol=1e-5)
    assert torch.linalg.matrix_norm(layers[1].weight, 2).item() == pytest.approx(1, abs=1e-3)


def test_letting_the_gradient_through_changes_it() -> None:
    x, gradients = torch.randn(2, 7).double(), []
    for stop in (True, False):
        net = spectral_norm(layer("linear"), stop_gradient=stop).train()
        original = net.parametrizations.weight.original  # type: ignore[union-attr]
        gradients.append(torch.autograd.grad(net(x).square().sum(), original)[0])
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert not torch.allclose(*gradients)


def test_kernel_matrix_of_a_transposed_convolution_has_two_readings() -> None:
    net = layer("transposed")
    weight = net.weight.detach()  # type: ignore[union-attr]
    for of, rows in (("outputs", 3), ("first", 4)):
        x = torch.randn(weight.numel() // rows).double()
        assert kernel_matrix(net, of=of)(weight, x).shape == (rows,)  # type: ignore[arg-type]


def test_a_normalized_network_is_kept_and_repeats_itself_in_evaluation() -> None:
    torch.manual_seed(0)
    net, again = (normalize_layers(ConvDecoder(4, width=2)) for _ in range(2))
    z = torch.randn(3, 4)
    net(z)
    net.eval()
    again.load_state_dict(net.state_dict())
    assert torch.equal(net(z), net(z))
    assert torch.equal(net(z), again.eval()(z))


def test_mistakes_are_explained() -> None:
    with pytest.raises(TeachlibError, match="type BatchNorm1d; expected Linear, Conv2d or ConvTranspose2d"):
        spectral_norm(nn.BatchNorm1d(3))
    with pytest.raises(TeachlibError, match="unknown norm 'maps'; did you mean 'map'"):
        spectral_norm(nn.Linear(2, 2), of="maps")  # type: ignore[arg-type]
    with pytest.raises(TeachlibError, match="several groups"):
        spectral_norm(nn.ConvTranspose2d(4, 4, 3, groups=2))
    with pytest.raises(TeachlibError, match="pass the shape of an input"):
        spectral_norm(nn.Conv2d(1, 1, 3), of="map")


@pytest.mark.parametrize("stop", [True, False])
def test_the_gradient_passes_through_the_norm_only_where_it_may(stop: bool) -> None:
    torch.manual_seed(0)
    net = spectral_norm(nn.Linear(7, 5).double(), stop_gradient=stop).train()
    norm, weight = net.parametrizations.weight[0], net.parametrizations.weight.original
    u, goal = nn.functional.normalize(torch.randn(7).double(), dim=0), torch.randn(5, 7).double()
    norm.vector = u.clone()
    (found,) = torch.autograd.grad((net.weight * goal).sum(), weight)
    matrix = weight.detach().clone().requires_grad_()
    v = nn.functional.normalize(matrix.T @ (matrix @ u), dim=0)
    size = (matrix @ (v.detach() if stop else v)).norm()
    (expected,) = torch.autograd.grad((matrix / size * goal).sum(), matrix)
    torch.testing.assert_close(found, expected)
