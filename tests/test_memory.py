import json
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")

# In a process of its own: what a heap does depends on everything that was asked of it before.
SCRIPT = """
import json, resource, torch
from teachlib import memory, nets

def faults(steps=6):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(steps):
        net(x).sum().backward()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(open("/proc/self/statm").read().split()[1])

net, x = nets.ConvEncoder(4, width=16), torch.rand(100, 1, 32, 32)
faults()
usual = faults()
try:
    with memory.kept():
        faults()
        kept, held = faults(), resident()
        raise ValueError
except ValueError:
    pass
print(json.dumps({"usual": usual, "kept": kept, "given back": held - resident()}))
"""


def test_training_steps_reuse_their_pages_and_give_them_back_at_the_end() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    pages = json.loads(done.stdout)
    assert pages["kept"] < pages["usual"] / 4
    assert pages["given back"] > 2**10, "not even 4 MiB went back after an error"
