"""Kernels that are ready at once: forks of a process that has imported torch and the library already.

Before it computes anything, a notebook spends some eight seconds of a core on starting Python and importing. With a
dozen notebooks and more, that is a good part of a build. Here one server imports once, and each kernel is a fork of it.

    python tools/warm_kernels.py serve NUMBER FOLDER     the server; it ends when its standard input does
    python tools/warm_kernels.py kernel ADDRESS …        what Jupyter starts in ipykernel's place: it asks for a fork

Only on Linux, where a process may be forked after such imports; elsewhere kernels start as Jupyter starts them.
"""

import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

PRELOADED = (
    "ipykernel.kernelapp",
    "ipywidgets",
    "matplotlib.pyplot",
    "matplotlib_inline.backend_inline",
    "pandas",
    "torch._dynamo",  # every optimizer imports it at its first step
    "lightning_fabric",
    "sklearn.mixture",
)
MESSAGE_BYTES = 2**20
WAITING = 64  # kernels asked for while the server imports; more than any machine runs at once


@contextmanager
def warm_kernels(
    environment: Mapping[str, str], python: str = sys.executable, within: Sequence[str] = ()
) -> Iterator[dict[str, str]]:
    """Run the server; yields the environment in which Jupyter's kernel ``python3`` is a fork of it.

    Args:
        environment: of the server. What libraries read while they are loaded, such as the number of threads, holds for
            all kernels.
        python: that runs server and kernels, and has the library.
        within: a command that runs the server in surroundings of its own, such as a sandbox; kernels share them.
    """
    if sys.platform != "linux":
        yield dict(environment)
        return
    with TemporaryDirectory(prefix="kernels-") as folder:
        address = f"{folder}/socket"
        command = [python, str(Path(__file__).resolve())]
        spec = {"argv": [*command, "kernel", address, "-f", "{connection_file}"], "display_name": "Python 3"}
        file = Path(folder, "kernels", "python3", "kernel.json")
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({**spec, "language": "python"}), encoding="utf-8")
        # It listens before anybody knows of it: who asked a server that is still starting would be refused.
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            with _short(address) as name:
                listener.bind(name)
            listener.listen(WAITING)
            server = [*within, *command, "serve", str(listener.fileno()), folder]
            process = subprocess.Popen(server, env=environment, stdin=subprocess.PIPE, pass_fds=[listener.fileno()])
        with process:
            yield {**environment, "JUPYTER_PATH": folder}


@contextmanager
def _short(address: str) -> Iterator[str]:
    """A socket's address by way of its open folder: addresses have 107 characters at most, paths may have more."""
    folder = os.open(Path(address).parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{Path(address).name}"
    finally:
        os.close(folder)


# ------------------------------------------------------------------------------------------------------ the server


def serve(number: str, folder: str) -> None:
    """Import, then fork a kernel for everyone who asks, until standard input ends.

    Args:
        number: of the open file that is a listening socket; who asks while we import waits there.
        folder: of what Jupyter reads; removed at the end, which comes also when who made it was killed.
    """
    listener = socket.socket(fileno=int(number))
    registry = importlib.import_module("teachlib.registry")
    for name in (*PRELOADED, *(line.package for line in registry.CHAPTERS.values())):
        if select.select([sys.stdin], [], [], 0)[0]:
            break  # who made it was killed: each of many killed builds would go on importing for seconds
        importlib.import_module(name)
    gc.freeze()  # a collection in a kernel would copy the pages it shares with the others
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks for a kernel's exit code
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started the server stops it
    while listener in select.select([listener, sys.stdin], [], [])[0]:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            become_kernel(connection)
        connection.close()
    shutil.rmtree(folder, ignore_errors=True)


def become_kernel(connection: socket.socket) -> None:
    """Take over the asking process's files, folder and environment, and run a kernel until it is told to end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    message, files, _, _ = socket.recv_fds(connection, MESSAGE_BYTES, 3)
    for standard, file in enumerate(files):
        os.dup2(file, standard)
        os.close(file)
    asked = json.loads(message)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    # Jupyter kills the process it started, which is the one that asked: whoever is left alone ends too.
    threading.Thread(target=lambda: os._exit(len(connection.recv(1))), daemon=True).start()
    connection.send(str(os.getpid()).encode())
    del sys.path[0]  # this file's folder; a kernel puts its own there
    kernelapp = importlib.import_module("ipykernel.kernelapp")
    sys.argv = ["ipykernel_launcher", *asked["arguments"], f"--IPKernelApp.parent_handle={os.getppid()}"]
    kernelapp.launch_new_instance()
    os._exit(0)


# -------------------------------------------------------------------------------------------------- who asks for one


def ask(address: str, *arguments: str) -> None:
    """Have a kernel forked, hand it what concerns it, and last as long as it does.

    Where the server has ended, the kernel is started in the usual way.
    """
    asked = {"arguments": arguments, "folder": str(Path.cwd()), "environment": {**os.environ}}
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with _short(address) as name:
            connection.connect(name)
        socket.send_fds(connection, [json.dumps(asked).encode()], (0, 1, 2))
        kernel = int(connection.recv(MESSAGE_BYTES))
    except (OSError, ValueError):
        os.execv(sys.executable, [sys.executable, "-m", "ipykernel_launcher", *arguments])
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: os.kill(kernel, number))
    connection.recv(1)


if __name__ == "__main__":
    commands: dict[str, Callable[..., None]] = {"serve": serve, "kernel": ask}
    commands[sys.argv[1]](*sys.argv[2:])
