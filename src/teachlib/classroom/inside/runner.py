"""The sandbox's first process: it imports what submissions need, once, and forks itself for each of them.

    python -m teachlib.classroom.inside.runner SOCKET SETTINGS

``SOCKET`` is the number of a socket to the grader; ``SETTINGS`` is JSON: ``way`` (``strict`` or ``weak``), ``preload``
(modules), and for the weak way ``readable`` (paths) and ``scratch`` (a folder), ``user`` (a number, or null).
"""

import gc
import importlib
import json
import os
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from teachlib.classroom.inside import isolation


def main() -> None:
    """Import, say so, then fork whenever the grader asks."""
    control = socket.socket(fileno=int(sys.argv[1]))
    settings = json.loads(sys.argv[2])
    if settings["way"] == "weak":
        _become(settings["user"])
        isolation.adopt_orphans()
    for name in ("torch", "IPython.core.interactiveshell", "teachlib.classroom.inside.serving", *settings["preload"]):
        importlib.import_module(name)
    import torch

    from teachlib.classroom.inside import serving

    torch.set_num_threads(1)
    serving.warm_shell()
    gc.collect()
    gc.freeze()  # what is shared by all forks stays shared
    control.sendall(b"ready")
    while True:
        order, descriptors, _, _ = socket.recv_fds(control, 64, 2)
        isolation.end_children()
        if not order:  # the grader is gone
            os._exit(0)
        if order == b"fork":
            _fork(control, descriptors, settings)
        else:
            control.sendall(b"swept")


def _become(user: int | None) -> None:
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)


def _fork(control: socket.socket, descriptors: list[int], settings: Mapping[str, Any]) -> None:
    connection, output = descriptors
    if os.fork() == 0:
        try:
            _serve(control, connection, output, settings)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(connection)
    os.close(output)


def remove_below(folder: Path) -> None:
    """Remove what lies in a folder, also what is nested too deep for Python's own ways, or closed to all."""
    left = [str(path) for path in folder.iterdir()]
    for command in (["chmod", "-R", "u+rwx", "--"], ["rm", "-rf", "--"]) if left else ():
        subprocess.run([*command, *left], capture_output=True, check=False)


def _serve(control: socket.socket, connection: int, output: int, settings: Mapping[str, Any]) -> None:
    from teachlib.classroom.inside import serving

    serving.silence(output)
    os.close(output)
    mapped = isolation.mapped()
    if settings["way"] == "strict":
        isolation.enter_namespaces(control)
        work = isolation.SCRATCH / "work"
    else:
        socket.send_fds(control, [b"process"], [os.pidfd_open(os.getpid())])
        os.setsid()
        remove_below(Path(settings["scratch"]))
        work = Path(settings["scratch"]) / f"work-{os.getpid()}"
    control.close()
    work.mkdir()
    os.chdir(work)
    os.environ["HOME"] = str(work)
    weak = settings["way"] == "weak"
    isolation.limit(mapped, in_sight=weak)
    if weak:
        isolation.restrict_files(settings["readable"], [str(work), "/dev/null"])
    isolation.give_up(in_sight=weak)
    serving.serve(socket.socket(fileno=connection))


if __name__ == "__main__":
    main()
