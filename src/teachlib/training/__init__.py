"""One training loop for every model of the course, on Lightning Fabric.

An *objective* holds networks and says, batch by batch, which losses to descend. The loop knows devices, precision, logs
and checkpoints, and none of the mathematics.
"""

from teachlib.training.loop import fit
from teachlib.training.machine import make_fabric, one_thread
from teachlib.training.protocols import Batch, Objective, Planned, Samples, Stateful, Stored, Twice, Validates
from teachlib.training.schedule import History, Schedule, batches
from teachlib.training.watch import Watch

__all__ = [
    "Batch",
    "History",
    "Objective",
    "Planned",
    "Samples",
    "Schedule",
    "Stateful",
    "Stored",
    "Twice",
    "Validates",
    "Watch",
    "batches",
    "fit",
    "make_fabric",
    "one_thread",
]
