"""Public StyleGAN2 weights under our names: of rosinality/stylegan2-pytorch and of NVlabs/stylegan2-ada-pytorch.

Both compute what :mod:`teachlib.gif.stylegan2` computes, so that the same weights draw the same picture. Filters, which
both keep as buffers, are left out; noise that they keep comes beside the generator.
"""

import argparse
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from teachlib.errors import TeachlibError
from teachlib.gif.stylegan2 import Discriminator, Generator, StyleGAN2Config

# A pattern of their whole name, and ours from the parts that it caught.
_Rule = tuple[str, Callable[[list[str]], str]]


def generator_from(state: Mapping[str, Tensor]) -> tuple[Generator, list[Tensor]]:
    """The generator of a public state dictionary, and the noise that lay in it.

    Args:
        state: of rosinality's ``g_ema`` or ADA's ``G_ema``; the average of w is ADA's ``mapping.w_avg``, or
            ``latent_avg`` where rosinality's file was converted from the original.

    Returns:
        The generator in evaluation mode, and noise for each of its layers, (1, 1, side, side), or an empty list.

    Raises:
        TeachlibError: names of another layout, or weights that do not make a StyleGAN2 of our kind.
    """
    ada = "synthesis.b4.const" in state
    if not ada and "input.input" not in state:
        raise TeachlibError(_unknown_layout("generator", state))
    named = _renamed(state, _ADA_GENERATOR if ada else _ROSINALITY_GENERATOR)
    noise = {int(name.removeprefix("noise.")): named.pop(name) for name in list(named) if name.startswith("noise.")}
    _refuse_without(named, "mapping.layers.0.weight", "synthesis.layers.0.bias", "synthesis.constant")
    named.setdefault("mapping.average", torch.zeros(len(named["mapping.layers.0.weight"])))
    generator = Generator(_generator_config(named))
    _load(generator, named)
    return generator.eval(), [noise[layer].reshape(1, 1, *noise[layer].shape[-2:]) for layer in sorted(noise)]


def discriminator_from(state: Mapping[str, Tensor], *, group: int = 4) -> Discriminator:
    """The discriminator of a public state dictionary, in evaluation mode.

    Args:
        state: of rosinality's ``d`` or ADA's ``D``, with residual blocks.
        group: images whose deviation is taken together; no file says it.

    Raises:
        TeachlibError: names of another layout, or weights that do not make a StyleGAN2 of our kind.
    """
    ada = "b4.fc.weight" in state
    if not ada and "final_conv.0.weight" not in state:
        raise TeachlibError(_unknown_layout("discriminator", state))
    named = _renamed(state, _ada_discriminator(state) if ada else _ROSINALITY_DISCRIMINATOR)
    _refuse_without(named, "from_rgb.weight", "logit.weight")
    blocks = 1 + max((int(name.split(".")[1]) for name in named if name.startswith("blocks.")), default=-1)
    widest, first = named["logit.weight"].shape[1], named["from_rgb.weight"]
    size = 4 << blocks
    discriminator = Discriminator(
        StyleGAN2Config(size, max(len(first) * size, size), widest), inputs=first.shape[1], group=group
    )
    _load(discriminator, named)
    return discriminator.eval()


def read_public(path: str | Path) -> dict[str, dict[str, Tensor]]:
    """What lies in a public file: ``generator``, ``discriminator``, or both, as state dictionaries in its own names.

    Args:
        path: rosinality's ``.pt``, with ``g_ema`` and ``d``; or one state dictionary, as ``.pt`` or ``.safetensors``.
            ADA's pickles run code when they are read: save their ``G_ema.state_dict()`` where that code is installed.

    Raises:
        TeachlibError: a file that cannot be read, or holds no StyleGAN2.
    """
    path = Path(path)
    try:
        if path.suffix == ".safetensors":
            stored = load_file(path)
        else:
            with torch.serialization.safe_globals([argparse.Namespace]):  # rosinality keeps the command line's options
                stored = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever the readers of two formats raise
        raise TeachlibError(f"{path} cannot be read as weights: {error}") from error
    if not isinstance(stored, dict) or not stored:
        raise TeachlibError(f"{path} holds no state dictionary; expected one, or 'g_ema' and 'd'")
    if "g_ema" in stored:
        parts: dict[str, dict[str, Tensor]] = {"generator": dict(stored["g_ema"])}
        if "latent_avg" in stored:
            parts["generator"]["latent_avg"] = stored["latent_avg"]
        if "d" in stored:
            parts["discriminator"] = dict(stored["d"])
        return parts
    kind = "generator" if {"input.input", "synthesis.b4.const"} & set(stored) else "discriminator"
    return {kind: stored}


# ------------------------------------------------------------------------------------------------------------- names

_DROPPED = re.compile(r".*(\.kernel|resample_filter)$")

_ROSINALITY_MODULATED = {"conv.weight": "convolution.weight", "noise.weight": "noise.strength", "activate.bias": "bias"}
_ADA_MODULATED = {"weight": "convolution.weight", "noise_strength": "noise.strength", "bias": "bias"}


def _tail(names: Mapping[str, str], affine: str, tail: str) -> str:
    """The end of a synthesis layer's name: a weight of its affine map, or one of ``names``."""
    if tail.startswith(f"{affine}."):
        return f"convolution.affine.{tail.removeprefix(f'{affine}.')}"
    return names.get(tail, tail)


def _ada_layer(resolution: str, convolution: str) -> int:
    """0 at 4×4, which has only ``conv1``; then two a resolution."""
    return 2 * (int(resolution).bit_length() - 3) - 1 + int(convolution)


_ROSINALITY_GENERATOR: list[_Rule] = [
    (r"style\.(\d+)\.(weight|bias)", lambda g: f"mapping.layers.{int(g[0]) - 1}.{g[1]}"),
    (r"latent_avg", lambda g: "mapping.average"),
    (r"input\.input", lambda g: "synthesis.constant"),
    (r"conv1\.(.+)", lambda g: f"synthesis.layers.0.{_tail(_ROSINALITY_MODULATED, 'conv.modulation', g[0])}"),
    (
        r"convs\.(\d+)\.(.+)",
        lambda g: f"synthesis.layers.{int(g[0]) + 1}.{_tail(_ROSINALITY_MODULATED, 'conv.modulation', g[1])}",
    ),
    (r"to_rgb1\.(.+)", lambda g: f"synthesis.to_rgb.0.{_tail(_ROSINALITY_MODULATED, 'conv.modulation', g[0])}"),
    (
        r"to_rgbs\.(\d+)\.(.+)",
        lambda g: f"synthesis.to_rgb.{int(g[0]) + 1}.{_tail(_ROSINALITY_MODULATED, 'conv.modulation', g[1])}",
    ),
    (r"noises\.noise_(\d+)", lambda g: f"noise.{g[0]}"),
]

_ADA_GENERATOR: list[_Rule] = [
    (r"mapping\.fc(\d+)\.(weight|bias)", lambda g: f"mapping.layers.{g[0]}.{g[1]}"),
    (r"mapping\.w_avg", lambda g: "mapping.average"),
    (r"synthesis\.b4\.const", lambda g: "synthesis.constant"),
    (r"synthesis\.b(\d+)\.conv([01])\.noise_const", lambda g: f"noise.{_ada_layer(g[0], g[1])}"),
    (
        r"synthesis\.b(\d+)\.conv([01])\.(.+)",
        lambda g: f"synthesis.layers.{_ada_layer(g[0], g[1])}.{_tail(_ADA_MODULATED, 'affine', g[2])}",
    ),
    (
        r"synthesis\.b(\d+)\.torgb\.(.+)",
        lambda g: f"synthesis.to_rgb.{int(g[0]).bit_length() - 3}.{_tail(_ADA_MODULATED, 'affine', g[1])}",
    ),
]

_ROSINALITY_DISCRIMINATOR: list[_Rule] = [
    (r"convs\.0\.0\.weight", lambda g: "from_rgb.weight"),
    (r"convs\.0\.1\.bias", lambda g: "from_rgb.bias"),
    (r"convs\.(\d+)\.conv([12])\.\d\.(weight|bias)", lambda g: f"blocks.{int(g[0]) - 1}.convolution_{g[1]}.{g[2]}"),
    (r"convs\.(\d+)\.skip\.\d\.weight", lambda g: f"blocks.{int(g[0]) - 1}.skip.weight"),
    (r"final_conv\.\d\.(weight|bias)", lambda g: f"convolution.{g[0]}"),
    (r"final_linear\.0\.(weight|bias)", lambda g: f"linear.{g[0]}"),
    (r"final_linear\.1\.(weight|bias)", lambda g: f"logit.{g[0]}"),
]


def _ada_discriminator(state: Iterable[str]) -> list[_Rule]:
    """ADA names a block by its resolution, and the first block is the largest."""
    sides = sorted({int(match[1]) for name in state if (match := re.match(r"b(\d+)\.", name))}, reverse=True)
    place = {str(side): number for number, side in enumerate(sides)}
    return [
        (r"b\d+\.fromrgb\.(weight|bias)", lambda g: f"from_rgb.{g[0]}"),
        (r"b4\.conv\.(weight|bias)", lambda g: f"convolution.{g[0]}"),
        (r"b4\.fc\.(weight|bias)", lambda g: f"linear.{g[0]}"),
        (r"b4\.out\.(weight|bias)", lambda g: f"logit.{g[0]}"),
        (r"b(\d+)\.conv([01])\.(weight|bias)", lambda g: f"blocks.{place[g[0]]}.convolution_{int(g[1]) + 1}.{g[2]}"),
        (r"b(\d+)\.skip\.weight", lambda g: f"blocks.{place[g[0]]}.skip.weight"),
    ]


def _renamed(state: Mapping[str, Tensor], rules: Iterable[_Rule]) -> dict[str, Tensor]:
    """Weights under our names, without filters; names that no rule knows stay, and are refused when they are loaded."""
    renamed = {}
    for name, value in state.items():
        if _DROPPED.fullmatch(name):
            continue
        matches = ((re.fullmatch(pattern, name), new) for pattern, new in rules)
        renamed[next((new(list(match.groups())) for match, new in matches if match), name)] = value
    return renamed


# ------------------------------------------------------------------------------------------------------------- sizes


def _generator_config(named: Mapping[str, Tensor]) -> StyleGAN2Config:
    """The sizes that weights under our names have."""

    def count(prefix: str) -> int:
        return len({name.split(".")[2] for name in named if name.startswith(prefix)})

    w_dim, z_dim = named["mapping.layers.0.weight"].shape
    layers = count("synthesis.layers.")
    size, last = 4 << (layers // 2), len(named[f"synthesis.layers.{layers - 1}.bias"])
    return StyleGAN2Config(
        size,
        channel_base=max(last * size, size),
        channel_max=named["synthesis.constant"].shape[-3],
        mapping_layers=count("mapping.layers."),
        z_dim=z_dim,
        w_dim=w_dim,
        noise="synthesis.layers.0.noise.strength" in named,
    )


def _refuse_without(named: Mapping[str, Tensor], *names: str) -> None:
    """Refuse weights that do not even tell the sizes of their network."""
    if missing := [name for name in names if name not in named]:
        raise TeachlibError(f"weights of another kind of StyleGAN2: '{missing[0]}' is missing")


def _load(net: nn.Module, named: Mapping[str, Tensor]) -> None:
    """Copy weights, which may have dimensions of one more or less than ours: (1, O, I, k, k) is a kernel, too.

    Raises:
        TeachlibError: names or shapes that the network does not have.
    """
    own = net.state_dict()
    if different := sorted(set(own) ^ set(named)):
        fault = "missing" if different[0] in own else "unknown"
        raise TeachlibError(f"weights of another kind of StyleGAN2: '{different[0]}' is {fault}")
    for name, value in named.items():
        if [side for side in value.shape if side > 1] != [side for side in own[name].shape if side > 1]:
            shapes = f"{tuple(value.shape)}; expected {tuple(own[name].shape)}"
            raise TeachlibError(f"weights of another kind of StyleGAN2: '{name}' has shape {shapes}")
    net.load_state_dict({name: value.reshape(own[name].shape) for name, value in named.items()})


def _unknown_layout(kind: str, state: Iterable[str]) -> str:
    first = next(iter(state), "none")
    return f"no {kind} of rosinality's or ADA's layout (first name: '{first}'); expected a state dictionary of either"
