"""How this process asks the operating system for memory."""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

# Options of mallopt (glibc's malloc.h, man 3 mallopt). Blocks above the threshold of mmap always go back to the system
# at once; 32 MiB is the most that every version of glibc takes, and where its own adaptation to large blocks ends.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGE = 32 * 2**20
_KEEPING = {_MMAP_THRESHOLD: _LARGE, _TRIM_THRESHOLD: 2**31 - 1}
_USUAL = {_MMAP_THRESHOLD: _LARGE, _TRIM_THRESHOLD: 2 * _LARGE}


@contextmanager
def kept() -> Iterator[None]:
    """Keep freed memory for the next tensor instead of giving it back to the system, within the block.

    A training step on a CPU frees and asks for the same large tensors again and again. glibc hands such memory back
    to the kernel, which clears every page before it lends it anew: a fifth of the time of a step of the course's
    autoencoders. What was kept is given back at the end of the block. Does nothing where the C library is another.
    """
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    try:
        for option, value in _KEEPING.items():
            libc.mallopt(option, value)
        yield
    finally:
        for option, value in _USUAL.items():
            libc.mallopt(option, value)
        libc.malloc_trim(ctypes.c_size_t(0))
