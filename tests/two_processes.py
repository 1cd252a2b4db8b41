"""Runs of two processes that could drift apart, hang, or lose what is theirs."""

import multiprocessing
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from small_run import Denoiser, images
from torch import Tensor

from teachlib.checkpoints import write_checkpoint
from teachlib.errors import TeachlibError
from teachlib.gif.augmentation import AdaptiveAugmentation
from teachlib.training import Schedule, fit, make_fabric


class Poisoned(Denoiser):
    """One process's loss is not a number at step 25. Each remembers its own losses, and asks what all have seen."""

    def __init__(self, rank: int, at: int) -> None:
        super().__init__()
        self.left = at if rank == 1 else -1
        self.memory = torch.zeros(())
        self.augmentation = AdaptiveAugmentation(images=1000)
        self.signs = torch.tensor([1.0, 1.0, 1.0, -1.0 if rank else 1.0])  # by itself, the second would lower p

    def updates(
        self, batch: tuple[Tensor, Tensor], generator: torch.Generator, step: int
    ) -> Iterator[tuple[str, Tensor]]:
        self.left -= 1
        self.drawn = torch.rand(3, generator=generator.clone_state())
        self.augmentation.update(self.signs)
        for name, loss in super().updates(batch, generator, step):
            loss = loss * (1 + self.memory)
            self.memory = 0.9 * self.memory + 0.1 * loss.detach()
            yield name, loss * (float("nan") if self.left == 0 else 1.0)

    def state_dict(self) -> dict[str, Tensor]:
        return {"memory": self.memory, **self.augmentation.state_dict()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self.memory = state["memory"]
        self.augmentation.load_state_dict(state)


def both(what: str, folder: Path) -> tuple[list[int | None], list[str]]:
    """How two processes end, and the lines that they print: forks of this one, which has everything imported."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    folder.mkdir(exist_ok=True)
    said = [folder.with_suffix(f".{rank}") for rank in (0, 1)]
    fork = multiprocessing.get_context("fork")
    ranks = [fork.Process(target=_one, args=(what, folder, rank, port, said[rank])) for rank in (0, 1)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(600)  # against hanging alone
        process.kill()
        process.join()
    return [process.exitcode for process in ranks], [line for file in said for line in file.read_text().splitlines()]


def _one(what: str, folder: Path, rank: int, port: str, said: Path) -> None:
    sys.stdout = said.open("w", buffering=1)
    # As a cluster's launcher has them; Fabric starts no further process then.
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "NODE_RANK": "0", "LOCAL_RANK": str(rank)}
    _main(what, folder)


def _main(what: str, folder: Path) -> None:
    torch.set_num_threads(1)
    fabric = make_fabric(devices=2, accelerator="cpu")
    fabric.launch()
    rank = fabric.global_rank
    torch.manual_seed(rank)
    plan = Schedule(
        steps=60,
        batch_size={"uneven": 21, "alone": 2}.get(what, 20),
        checkpoint_every=20,
        validate_every=2,
        plateau_patience=0,
    )
    objective = Poisoned(rank, 25 if what == "poisoned" else -1)
    data, held_out = images(), images(41)
    try:
        fit(objective, data, plan, folder=folder, resume=True, validation=held_out, fabric=fabric, progress=False)
    except TeachlibError as error:
        print(f"{rank}: {error}", flush=True)
        fabric.barrier()  # who ends first takes the other with it
        sys.exit(1)
    own = {**objective.nets["net"].state_dict(), "drawn": objective.drawn, "memory": objective.memory}
    own["p"] = torch.tensor(objective.augmentation.p)
    write_checkpoint(folder / f"{rank}.safetensors", own, {})
