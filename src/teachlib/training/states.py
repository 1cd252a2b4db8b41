"""Everything that a run has to take up again to end where it would have ended."""

import copy
import json
import random
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from teachlib.checkpoints import load_weights, part
from teachlib.errors import TeachlibError
from teachlib.training.protocols import Stateful

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def random_states() -> dict[str, Any]:
    """Of NumPy and Python, as JSON values."""
    kind, keys, position, has_gauss, gauss = np.random.get_state()
    version, internal, gauss_next = random.getstate()
    numpy_state = [kind, np.asarray(keys).tolist(), position, has_gauss, gauss]
    return {"random": {"numpy": numpy_state, "python": [version, list(internal), gauss_next]}}


def set_random_states(header: Mapping[str, Any]) -> None:
    """Take up what :func:`random_states` gave."""
    np.random.set_state(tuple(header["random"]["numpy"]))
    version, internal, gauss_next = header["random"]["python"]
    random.setstate((version, tuple(internal), gauss_next))


def own_state(
    nets: Mapping[str, nn.Module], objective: object, device: torch.device
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What differs between the processes: buffers such as batch-norm statistics, what an objective remembers, and
    random states."""
    tensors = {"random.torch": torch.get_rng_state()}
    if isinstance(objective, Stateful):
        tensors |= {f"objective.{key}": value.detach().cpu() for key, value in objective.state_dict().items()}
    if device.type == "cuda":
        tensors["random.cuda"] = torch.cuda.get_rng_state(device)
    for name, net in nets.items():
        tensors |= {f"buffer.{name}.{key}": value.detach().cpu().clone() for key, value in net.named_buffers()}
    return tensors, random_states()


def others_state(
    nets: Mapping[str, nn.Module], objective: object, fabric: "Fabric"
) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """The same of every process but the first, whose own is in the checkpoint's usual places."""
    if fabric.world_size == 1:
        return {}, []
    each: list[Any] = [None] * fabric.world_size
    torch.distributed.all_gather_object(each, own_state(nets, objective, fabric.device))
    tensors = {f"process.{r}.{key}": value for r in range(1, len(each)) for key, value in each[r][0].items()}
    return tensors, [states for _, states in each[1:]]


def restore_own(
    tensors: Mapping[str, Tensor],
    header: Mapping[str, Any],
    nets: Mapping[str, nn.Module],
    objective: object,
    fabric: "Fabric",
) -> None:
    """Each process takes up its own buffers, memories and random states again."""
    rank, states = fabric.global_rank, header
    if rank:
        tensors, states = part(tensors, f"process.{rank}"), header["processes"][rank - 1]
        for name, net in nets.items():
            for key, value in net.named_buffers():
                value.copy_(tensors[f"buffer.{name}.{key}"])
    if isinstance(objective, Stateful):
        objective.load_state_dict(part(tensors, "objective"))
    torch.set_rng_state(tensors["random.torch"])
    if fabric.device.type == "cuda" and "random.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random.cuda"], fabric.device)
    set_random_states(states)


def weights_of(kind: str, nets: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """``kind.net.name`` → tensor, of all networks."""
    return {f"{kind}.{name}.{key}": value for name, net in nets.items() for key, value in net.state_dict().items()}


def restore_weights(kind: str, nets: Mapping[str, nn.Module], tensors: Mapping[str, Tensor], source: Path) -> None:
    """Take up what :func:`weights_of` gave."""
    for name, net in nets.items():
        load_weights(net, part(tensors, f"{kind}.{name}"), source=source)


def optimizer_state(optimizers: Mapping[str, Optimizer]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Moments as tensors, and everything else as JSON values."""
    tensors: dict[str, Tensor] = {}
    groups: dict[str, Any] = {}
    for name, optimizer in optimizers.items():
        state = optimizer.state_dict()
        for index, slots in state["state"].items():
            tensors |= {f"optimizer.{name}.{index}.{slot}": value for slot, value in slots.items()}
        groups[name] = state["param_groups"]
    return tensors, groups


def restore_optimizers(
    optimizers: Mapping[str, Optimizer], tensors: Mapping[str, Tensor], groups: Mapping[str, Any]
) -> None:
    """Take up what :func:`optimizer_state` gave."""
    for name, optimizer in optimizers.items():
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        slots: dict[int, dict[str, Tensor]] = {}
        for key, value in part(tensors, f"optimizer.{name}").items():
            index, slot = key.split(".", 1)
            slots.setdefault(int(index), {})[slot] = _laid_out_as(weights[int(index)], value)
        optimizer.load_state_dict({"state": slots, "param_groups": groups[name]})


def _laid_out_as(weight: Tensor, moment: Tensor) -> Tensor:
    """The moment of a weight, in the same order in memory.

    Checkpoints hold rows and columns, weights may be channels-last, and a fused optimizer pairs what lies at the same
    place in memory: it would give every weight another one's moments.
    """
    if moment.shape != weight.shape:
        return moment
    return torch.empty_like(weight, dtype=moment.dtype, device=moment.device).copy_(moment)


class Averages:
    """Moving averages of networks: of the weights, while buffers such as batch-norm statistics are copied.

    Args:
        nets: to be averaged.
    """

    def __init__(self, nets: Mapping[str, nn.Module]) -> None:
        self.nets = {name: copy.deepcopy(net) for name, net in nets.items()}

    @torch.no_grad()
    def update(self, nets: Mapping[str, nn.Module], decay: float) -> None:
        """Move towards the networks as they are now.

        Args:
            nets: with the names they were made from.
            decay: what an average keeps of itself.
        """
        for name, average in self.nets.items():
            ours, theirs = list(average.parameters()), list(nets[name].parameters())
            if ours:  # a network may have buffers alone
                torch._foreach_lerp_([weight.data for weight in ours], [weight.data for weight in theirs], 1 - decay)
            for old, new in zip(average.buffers(), nets[name].buffers(), strict=True):
                old.copy_(new)


def plain(state: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON values among a state's."""
    return {key: value for key, value in state.items() if isinstance(value, int | float | str | list | None)}


LENGTH = frozenset({"schedule.steps", "recipe.steps"})  # of a run, which changes nothing of the steps it has taken


def refuse_other_settings(
    path: Path, header: Mapping[str, Any], settings: Mapping[str, Any], free: Collection[str] = ()
) -> None:
    """A run goes on with what it was started with, but for settings that are free.

    Raises:
        TeachlibError: the first setting that differs.
    """

    def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
        leaves: dict[str, Any] = {}
        for key, value in values.items():
            leaves |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
        return leaves

    now = flat(json.loads(json.dumps(settings)))
    before = {**ADDED, **flat({key: header.get(key) for key in settings})}
    for key in sorted((before.keys() | now.keys()) - set(free), key=lambda key: (key != "recipe.name", key)):
        if before.get(key) != now.get(key):
            raise TeachlibError(
                f"{path}: this run was started with {key} = {before.get(key)!r}, not {now.get(key)!r}; "
                "resume it with the same settings, or choose another folder"
            )


# What runs did before schedules and machines said so.
ADDED = {
    "schedule.accumulate": 1,
    "schedule.ema_ramp": 0.05,
    "machine.tf32": False,
    "machine.compile": None,
}
