"""The gradient penalty's three meanings, and what pythae's penalty differentiates."""

import math

import pytest
import torch
from torch import Tensor, nn

from teachlib import rae
from teachlib.errors import TeachlibError
from teachlib.nets import ConvDecoder


def decoder() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 5), nn.Sigmoid()).double()


@pytest.fixture
def z() -> Tensor:
    return torch.randn(6, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def jacobians(net: nn.Module, z: Tensor) -> list[Tensor]:
    return [torch.autograd.functional.jacobian(lambda at: net(at[None])[0], row) for row in z]  # type: ignore[misc]


def test_exact_is_the_squared_jacobian(z: Tensor) -> None:
    net = decoder()
    expected = torch.stack([j.square().sum() for j in jacobians(net, z)]).mean()
    torch.testing.assert_close(rae.gradient_penalty(net, z), expected)


def test_exact_of_an_image_decoder_is_the_squared_jacobian() -> None:
    torch.manual_seed(0)
    net, z = ConvDecoder(4, width=2).double().eval(), torch.randn(3, 4).double()
    expected = torch.stack([j.square().sum() for j in jacobians(net, z)]).mean()
    torch.testing.assert_close(rae.gradient_penalty(net, z), expected)


def test_exact_reaches_the_weights_as_finite_differences_say(z: Tensor) -> None:
    net = decoder()
    rae.gradient_penalty(net, z).backward()
    weight = net[0].weight  # type: ignore[index]
    step = 1e-6
    with torch.no_grad():
        values = []
        for sign in (1, -1):
            weight[2, 1] += sign * step
            values.append(torch.stack([j.square().sum() for j in jacobians(net, z)]).mean().item())
            weight[2, 1] -= sign * step
    assert weight.grad[2, 1].item() == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-5)


def test_hutchinson_has_the_mean_and_variance_it_states(z: Tensor) -> None:
    net, generator, draws = decoder(), torch.Generator().manual_seed(0), 4000
    row = z[:1]
    found = torch.stack(
        [rae.gradient_penalty(net, row, method="hutchinson", generator=generator).detach() for _ in range(draws)]
    )
    (j,) = jacobians(net, row)
    gram = j @ j.T
    variance = 2 * (gram.square().sum() - gram.diagonal().square().sum()).item()
    assert found.mean().item() == pytest.approx(gram.trace().item(), abs=4.5 * math.sqrt(variance / draws))
    assert found.var().item() == pytest.approx(variance, rel=0.15)
    averaged = [
        rae.gradient_penalty(net, row, method="hutchinson", generator=generator, probes=8).item() for _ in range(1000)
    ]
    assert torch.tensor(averaged).var().item() == pytest.approx(variance / 8, rel=0.3)


def test_released_quantity_is_another_one(z: Tensor) -> None:
    """4·‖JᵀD‖²/d, averaged; for a decoder that only turns its output it is zero, however fast it turns."""
    net = decoder()
    pieces = [(j.T @ net(row)).square().sum() for j, row in zip(jacobians(net, z), z, strict=True)]
    torch.testing.assert_close(
        rae.gradient_penalty(net, z, method="released"), 4 * torch.stack(pieces).mean() / z.shape[1]
    )

    def turning(at: Tensor) -> Tensor:
        return torch.cat([(5 * at).cos(), (5 * at).sin()], 1)

    angle = torch.tensor([[0.3], [1.1]])
    assert rae.gradient_penalty(turning, angle, method="released").item() == pytest.approx(0, abs=1e-8)
    assert rae.gradient_penalty(turning, angle).item() == pytest.approx(25, rel=1e-5)


def test_a_penalty_on_the_image_is_not_one_on_the_code() -> None:
    """pythae's RAE-GP differentiates the reconstruction by the *input*, with ones as cotangent: JᵀE-type sums that

    vanish where the encoder is flat, and miss what cancels within the sum over pixels.
    """
    torch.manual_seed(0)
    encoder, net = nn.Linear(4, 3).double(), decoder()
    x = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    z = encoder(x)
    (by_input,) = torch.autograd.grad(net(z).sum(), x, create_graph=True)
    theirs = by_input.square().sum(1).mean()
    ours = rae.gradient_penalty(net, z)
    assert not torch.isclose(theirs, ours, rtol=0.5)
    with torch.no_grad():
        encoder.weight *= 1e-3  # a flat encoder: their penalty is gone, the decoder as steep as before
    z = encoder(x)
    (by_input,) = torch.autograd.grad(net(z).sum(), x)
    assert by_input.square().sum(1).mean() < 1e-4 * ours
    assert rae.gradient_penalty(net, z) > 0.1 * ours


@pytest.mark.parametrize("method", ["exact", "hutchinson", "released"])
def test_penalties_reach_encoder_and_decoder_in_training_and_can_be_read_in_validation(method: str) -> None:
    torch.manual_seed(0)
    model = rae.Autoencoder(rae.recipe("rae-gp", scale="ci")).train()
    x, generator = torch.rand(5, 1, 32, 32), torch.Generator().manual_seed(0)
    rae.gradient_penalty(model.decoder, model.encoder(x), method=method, generator=generator).backward()  # type: ignore[arg-type]
    for net in (model.encoder, model.decoder):
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())
    model.eval()
    with torch.no_grad():
        z = model.encoder(x)
        values = [
            rae.gradient_penalty(model.decoder, z, method=method, generator=generator.manual_seed(0))  # type: ignore[arg-type]
            for _ in range(2)
        ]
    assert torch.equal(*values)
    with torch.inference_mode():
        inferred = rae.gradient_penalty(model.decoder, z, method=method, generator=generator.manual_seed(0))  # type: ignore[arg-type]
    torch.testing.assert_close(inferred, values[0])


@pytest.mark.parametrize("method", ["exact", "hutchinson", "released"])
def test_a_decoder_that_ignores_its_code_has_no_penalty(z: Tensor, method: str) -> None:
    weight = torch.ones(3, requires_grad=True)
    for constant in (torch.ones(len(z), 3), weight.expand(len(z), 3)):
        assert rae.gradient_penalty(lambda _, constant=constant: constant, z, method=method) == 0  # type: ignore[arg-type]


def test_mistakes_are_explained(z: Tensor) -> None:
    with pytest.raises(TeachlibError, match="unknown gradient penalty 'exakt'; did you mean 'exact'"):
        rae.gradient_penalty(decoder(), z, method="exakt")  # type: ignore[arg-type]
    with pytest.raises(TeachlibError, match="probes is 0; expected at least 1"):
        rae.gradient_penalty(decoder(), z, method="hutchinson", probes=0)
