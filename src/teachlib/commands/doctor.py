"""``teachlib doctor``."""

import os
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version

import torch

from teachlib import data, zoo
from teachlib.commands.sets import presence
from teachlib.errors import TeachlibError
from teachlib.scale import best_device, machine

PACKAGES = ("torch", "torchvision", "lightning-fabric", "scikit-learn", "matplotlib", "torch-fidelity")


def run() -> None:
    """Print versions, device, memory and data; what would fail, and the mend."""
    device = best_device()
    print(f"teachlib {version('teachlib')} · Python {sys.version.split()[0]} · {machine(device)}")
    for package in PACKAGES:
        print(f"  {package:18} {_version(package)}")
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info()
        print(f"  GPU memory         {free / 2**30:.1f} of {total / 2**30:.1f} GiB free")
    print(f"  disk               {shutil.disk_usage('.').free / 2**30:.1f} GiB free here")
    print(f"  data               {data.data_root()}")
    troubles = _troubles(device)
    for entry in data.CATALOGUE.values():
        print(f"    {entry.name:16} {presence(entry)}")
    print("\n".join(f"! {trouble}" for trouble in troubles) or "nothing would fail")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _troubles(device: torch.device) -> list[str]:
    """What would fail, each with its mend."""
    troubles = []
    if device.type == "cpu":
        troubles.append("no GPU: scale 'paper' would take days; use 'laptop'")
    missing = [entry.name for entry in data.CATALOGUE.values() if presence(entry) == "no"]
    if missing:
        troubles.append(f"not at hand: {', '.join(missing)}; run 'teachlib data get NAME' or set TEACHLIB_DATA")
    if _version("torch-fidelity") == "missing":
        troubles.append("no torch-fidelity: Inception features cannot be computed; pip install 'teachlib[inception]'")
    if not os.access(".", os.W_OK):
        troubles.append("this folder is not writable: runs cannot be saved here; pass --out")
    if shutil.disk_usage(".").free < 2**30:
        troubles.append("less than 1 GiB of disk left: checkpoints may not fit")
    for name in zoo.names():
        try:
            zoo.read(name)
        except TeachlibError as error:
            troubles.append(str(error))
    return troubles
