"""Devices and processes."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

if TYPE_CHECKING:
    from lightning_fabric import Fabric

# DDP's remarks on channels-last kernels of one channel, whose strides are ambiguous, and on an option's new name, which
# the oldest torch allowed does not know.
_HARMLESS = ("Grad strides do not match bucket view strides", "`broadcast_buffers` is deprecated")


def make_fabric(
    *,
    devices: int = 1,
    nodes: int = 1,
    precision: str = "32-true",
    accelerator: str = "auto",
    loggers: list[Any] | None = None,
    tf32: bool = False,
) -> "Fabric":
    """Fabric as this loop needs it: plain on one device, DDP on several.

    Batch-norm statistics stay each process's own: broadcasting them would alter tensors that a GAN's second
    forward pass still needs.

    Args:
        devices: processes on each machine.
        nodes: machines.
        precision: of the computation; weights stay float32.
        accelerator: ``cpu``, ``cuda``, ``mps`` or ``auto``.
        loggers: of Fabric, besides the log file.
        tf32: let GPUs round the factors of matrix products and convolutions to ten bits: faster, and coarser.
    """
    from lightning_fabric import Fabric  # with torch's compiler, half of what all imports take: for training alone
    from lightning_fabric.strategies import DDPStrategy

    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = tf32
    strategy = DDPStrategy(broadcast_buffers=False) if devices * nodes > 1 else "auto"
    return Fabric(
        accelerator=accelerator,
        devices=devices,
        num_nodes=nodes,
        strategy=strategy,
        precision=cast(Any, precision),
        loggers=loggers,
    )


def described(fabric: "Fabric", compiler: str | None) -> dict[str, Any]:
    """What of the machine must be the same when a run is resumed."""
    return {
        "precision": str(fabric._precision.precision),
        "devices": fabric.world_size,
        "tf32": torch.get_float32_matmul_precision() != "highest",
        "compile": compiler,
    }


def wrapped(net: nn.Module, fabric: "Fabric", compiler: str | None) -> nn.Module:
    """A network on its device, in its precision, compiled where that is asked for."""
    # Images run a quarter faster on CPUs in this layout than in the default one, and tensor cores want it.
    net.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    module = fabric.setup_module(cast(nn.Module, torch.compile(net, backend=compiler)) if compiler else net)
    if hasattr(net, "loss"):  # a network's own loss must pass through the wrapper, as its forward does
        if fabric.world_size > 1:
            module.mark_forward_method("loss")
        else:  # with one process fabric calls a marked method as it is, in full precision
            vars(module)["loss"] = _in_precision(module.loss, fabric)
    # In mixed precision fabric refuses every gradient but fabric.backward's, also those that penalties take of a
    # network's output. Its guard has no switch; here the loss does go through fabric.backward.
    vars(module)["_register_backward_hook"] = lambda tensor: tensor
    for part in module.modules():
        if isinstance(part, DistributedDataParallel):
            # Its reducer waits for gradients of all parameters after each forward pass. A GAN's update passes through
            # networks that are not updated: gradients are averaged by :func:`average_gradients` instead.
            part.require_backward_grad_sync = False
    return module


def _in_precision(loss: Callable[..., Tensor], fabric: "Fabric") -> Callable[..., Tensor]:
    def computed(*inputs: Any, **options: Any) -> Tensor:
        with fabric.autocast():
            return loss(*inputs, **options).float()

    return computed


def average_gradients(parameters: list[nn.Parameter], fabric: "Fabric") -> None:
    """The mean of each gradient over the processes; one that a process does not have counts as zero there."""
    if fabric.world_size == 1:
        return
    with torch.no_grad():
        own = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in parameters]
        had = torch.tensor([float(weight.grad is not None) for weight in parameters], device=fabric.device)
        flat = cast(Tensor, fabric.all_reduce(torch.cat([*(part.flatten() for part in own), had]), reduce_op="mean"))
        for place, (weight, mean) in enumerate(
            zip(parameters, flat.split([w.numel() for w in parameters] + [len(had)])[:-1], strict=True)
        ):
            if weight.grad is not None:
                weight.grad.copy_(mean.view_as(weight))
            elif flat[-len(had) + place] > 0:  # some other process has one: the step must be the same for all
                weight.grad = mean.view_as(weight).clone()


@contextmanager
def quiet() -> Iterator[None]:
    """Without warnings that mean nothing here."""
    with warnings.catch_warnings():
        for text in _HARMLESS:
            warnings.filterwarnings("ignore", message=text)
        yield


def mean_over_processes(value: float, fabric: "Fabric") -> float:
    """Of a number that each process has its own of."""
    # Where float64 numbers live: MPS knows none.
    device = fabric.device if fabric.device.type == "cuda" else torch.device("cpu")
    mean = fabric.all_reduce(torch.tensor(value, dtype=torch.float64, device=device), reduce_op="mean")
    return float(cast(Tensor, mean))


@contextmanager
def one_thread() -> Iterator[None]:
    """Within it, torch computes on one thread: networks of a few thousand weights only wait for a second one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
