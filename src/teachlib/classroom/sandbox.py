"""The grader's side of the sandbox: one warm process a job, one fork of it a submission, and limits for each.

*Strict*: bubblewrap shows the warm process the interpreter, its packages and a copy of teachlib without exercises, all
read-only, and nothing else, without a network; each fork lives in namespaces of its own. *Weak*, for systems that
forbid namespaces: Landlock, refused system calls and limits. What it cannot hide stands in :data:`WEAKER`.
"""

import importlib.util
import json
import os
import select
import shutil
import signal
import site
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import teachlib
from teachlib.classroom.inside import isolation, wire
from teachlib.classroom.inside.runner import remove_below
from teachlib.errors import TeachlibError

WAYS = ("strict", "weak")
WEAKER = (
    "the weak sandbox hides what files hold, but not that they exist: names, sizes and times can be asked for; what "
    "a submission writes lies on the shared disk (64 MiB at most, looked at ten times a second)"
)
PRELOAD = (
    *("numpy", "pandas", "scipy.stats", "scipy.special", "sympy", "matplotlib.pyplot", "torch.nn", "torch.func"),
    *("torch.distributions", "teachlib.checks", "teachlib.figures", "teachlib.metrics"),
)
FIRST_USER = 60001  # where the grader is root: each job's submissions run as a user of their own
# Seconds, against hanging alone: a process that ends is noticed at once. On a machine busy with other things the warm
# process, which imports what submissions may use, was not ready after 120 s.
START = 900.0  # of the warm process
FORK = 300.0  # of a submission's
GONE = 60.0  # until what was ended is gone; on a machine with much to do, many processes take long
MEMORY, OUTPUT, PROCESSES, DISK = 3 << 30, 8 << 20, 48, 64 << 20
KEPT = 64 << 10  # bytes of what a submission prints
_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "MPLBACKEND": "agg",
}


class Gone(BaseException):
    """A submission's process ended or was ended; the text says why. No checker takes it for an answer's exception."""


class Warm:
    """A warm process in a sandbox, which forks itself for one submission at a time.

    Args:
        way: ``strict`` or ``weak``.
        job: number of the job, from 0; jobs do not see each other.
        preload: further modules to import before the first submission.

    Raises:
        TeachlibError: this machine does not allow it.
    """

    def __init__(self, way: str, job: int = 0, preload: Iterable[str] = ()) -> None:
        refuse_impossible(way)
        self.way = way
        _remove_leftovers()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
        self.folder.chmod(0o755)
        user = FIRST_USER + job if os.getuid() == 0 else None
        self.control, theirs = socket.socketpair()
        try:
            _copy_library(self.folder / "site")
            self.scratch = self.folder / "scratch"
            self.scratch.mkdir()
            if user is not None:
                os.chown(self.scratch, user, user)
            settings = {"way": way, "preload": _importable([*PRELOAD, *preload]), "user": user}
            command, environment = self._command(theirs.fileno(), settings, user)
            with open(self.folder / "log", "wb") as log:
                self.process = subprocess.Popen(
                    command,
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=environment,
                    cwd="/",
                )
        except OSError as error:  # a full disk, a file of teachlib's that may not be read
            _remove(self.folder)
            raise TeachlibError(f"the {way} sandbox cannot be prepared in {self.folder.parent}: {error}") from error
        finally:
            theirs.close()
        self._wait_until_ready()

    def _command(self, control: int, settings: dict[str, Any], user: int | None) -> tuple[list[str], dict[str, str]]:
        if self.way == "strict":
            return _bubblewrapped(self.folder / "site", control, settings, user), dict(os.environ)
        places = [str(self.folder / "site"), *_places(), "/usr", "/lib", "/lib64", "/bin"]
        settings |= {
            "scratch": str(self.scratch),
            "readable": [*places, "/etc/ld.so.cache", "/etc/fonts", "/dev/null", "/dev/urandom"],
        }
        environment = {**_ENVIRONMENT, "HOME": str(self.scratch), "TMPDIR": str(self.scratch)}
        environment |= {"MPLCONFIGDIR": str(self.scratch), "IPYTHONDIR": str(self.scratch)}
        environment["PYTHONPATH"] = os.pathsep.join([str(self.folder / "site"), *_further_packages()])
        return [sys.executable, *_RUNNER, str(control), json.dumps(settings)], environment

    def _wait_until_ready(self) -> None:
        self.control.settimeout(START)
        try:
            ready = self.control.recv(16)
        except OSError:
            ready = b""
        if ready != b"ready":
            said = (self.folder / "log").read_text(errors="replace").strip().splitlines()
            self.close()
            raise TeachlibError(
                f"the {self.way} sandbox did not start ({said[-1] if said else 'no word of it'}); "
                "'teachlib grade doctor' says what this machine allows"
            )

    def fork(self, seconds: float) -> "Session":
        """A process for one submission, which lives ``seconds`` at most.

        Raises:
            TeachlibError: the warm process is gone, or the system allows no further process.
        """
        return Session(self, seconds)

    def sweep(self) -> None:
        """End whatever submissions have left running."""
        with suppress(OSError):
            self.control.send(b"sweep")
            self.control.settimeout(GONE)
            self.control.recv(16)

    def close(self) -> None:
        """End it, and remove its files."""
        self.control.close()
        self.process.kill()
        self.process.wait()
        _remove(self.folder)


class Session:
    """One submission's process: requests within limits of time, memory, output and processes."""

    def __init__(self, warm: Warm, seconds: float) -> None:
        self.warm, self.deadline = warm, time.monotonic() + seconds
        self.printed, self.count = bytearray(), 0  # what it printed, up to KEPT; how much in all
        self.alive, self.why = True, "the process ended"
        self.looked = time.monotonic()  # at its resources
        self.connection, theirs = socket.socketpair()
        self.output, writing = os.pipe()
        try:
            socket.send_fds(warm.control, [b"fork"], [theirs.fileno(), writing])
            warm.control.settimeout(FORK)
            _, descriptors, _, _ = socket.recv_fds(warm.control, 16, 1)
        except OSError:
            descriptors = []
        finally:
            theirs.close()
            os.close(writing)
        if not descriptors:
            self._read_output()
            self.connection.close()
            os.close(self.output)
            said = self.printed.decode(errors="replace").strip().splitlines()
            raise TeachlibError(f"the sandbox cannot start a process ({said[-1] if said else 'it is gone'})")
        self.process = descriptors[0]
        os.set_blocking(self.output, False)
        self.connection.setblocking(False)

    def request(self, message: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Send a request, and wait for its answer.

        Raises:
            Gone: the process ended, or was ended for passing a limit.
            wire.Bad: its reply is no message.
        """
        if not self.alive:
            raise Gone(self.why)
        blob = self._exchanged(wire.framed(wire.pack(message)), min(time.monotonic() + seconds, self.deadline), seconds)
        reply = wire.unpack(blob)
        if not isinstance(reply, dict):
            raise wire.Bad("an unknown form")
        return reply

    def _exchanged(self, data: bytes, until: float, seconds: float) -> bytes:
        sent, reply = 0, bytearray()
        while True:
            now = time.monotonic()
            if now > until:
                self._end(f"stopped: took longer than {seconds:g} s")
            if now - self.looked > 0.1:
                self.looked = now
                self.look()
            writing = [self.connection] if sent < len(data) else []
            reading: list[Any] = [self.connection, self.output, self.process]
            readable, writable, _ = select.select(reading, writing, [], 0.1)
            if self.output in readable:
                self._read_output()
                if self.count > OUTPUT:
                    self._end("stopped: printed too much")
            if writable:
                with suppress(BrokenPipeError, ConnectionResetError):
                    sent += self.connection.send(data[sent : sent + (1 << 20)])
            if self.connection in readable and self._whole(reply):
                self._read_output()
                return bytes(reply[4:])
            if self.process in readable:
                self._end("the process ended")

    def _whole(self, reply: bytearray) -> bool:
        """Receive a part of the reply; whether it is complete. What follows it is not read."""
        wanted = 4 if len(reply) < 4 else 4 + struct.unpack("<I", reply[:4])[0]
        if wanted > wire.LIMIT + 4:
            self._end("stopped: replied too much")
        try:
            part = self.connection.recv(min(wanted - len(reply), 1 << 20)) if wanted > len(reply) else b""
        except (BlockingIOError, ConnectionResetError):
            part = b""
        if not part and wanted > len(reply):
            select.select([self.process], [], [], 1)  # it closed its end: usually it is ending
            self._end("the process ended")
        reply += part
        return len(reply) > 4 and len(reply) == 4 + struct.unpack("<I", reply[:4])[0]

    def _read_output(self) -> None:
        with suppress(OSError):
            while part := os.read(self.output, 1 << 16):
                self.count += len(part)
                self.printed += part[: max(0, KEPT - len(self.printed))]
                if self.count > OUTPUT:
                    return

    def look(self) -> None:
        """See what it uses now.

        Raises:
            Gone: it was too much, and was ended.
        """
        processes = _descendants(self.warm.process.pid)
        if len(processes) > PROCESSES:
            self._end("stopped: started too many processes")
        if sum(map(_memory, processes)) > MEMORY:
            self._end("stopped: used too much memory")
        if self.warm.way == "weak" and _size(self.warm.scratch) > DISK:
            self._end("stopped: wrote too much")

    def _end(self, why: str) -> None:
        self.kill()
        self.why = why
        raise Gone(why)

    def kill(self) -> None:
        """End the process, and all that it started."""
        self.alive = False
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.process, signal.SIGKILL)

    def close(self) -> None:
        """End it, and wait until it is gone."""
        self.kill()
        self._read_output()
        self.connection.close()
        os.close(self.output)
        select.select([self.process], [], [], GONE)
        os.close(self.process)
        self.warm.sweep()


_RUNNER = ("-s", "-m", "teachlib.classroom.inside.runner")


def _bubblewrapped(library: Path, control: int, settings: Mapping[str, Any], user: int | None) -> list[str]:
    """The command that starts the warm process within bubblewrap."""
    command = ["bwrap", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    command += ["--hostname", "sandbox", "--die-with-parent", "--new-session", "--clearenv"]
    if user is None:
        command += ["--unshare-user"]
    else:
        command += ["--cap-drop", "ALL"]
        command += [word for name in ("SETUID", "SETGID", "SETPCAP") for word in ("--cap-add", f"CAP_{name}")]
    environment = {**_ENVIRONMENT, "HOME": "/scratch", "TMPDIR": "/scratch"}
    environment |= {"MPLCONFIGDIR": "/scratch/mpl", "IPYTHONDIR": "/scratch/ipython"}
    environment["PYTHONPATH"] = os.pathsep.join(["/site", *_further_packages()])
    command += [word for name, value in environment.items() for word in ("--setenv", name, value)]
    command += ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib64"):
        link = os.path.islink(f"/{name}")
        command += ["--symlink", f"usr/{name}", f"/{name}"] if link else ["--ro-bind-try", f"/{name}", f"/{name}"]
    command += ["--perms", "0755", "--dir", "/etc"]
    for name in ("/etc/ld.so.cache", "/etc/fonts"):
        command += ["--ro-bind-try", name, name]
    command += ["--perms", "1777", "--size", str(DISK), "--tmpfs", "/scratch"]
    command += _bound(_places())
    for package in _installed_library():  # it has the exercises, and their solutions
        command += ["--tmpfs", package]
    command += ["--ro-bind", str(library), "/site", "--proc", "/proc", "--dev", "/dev"]
    command += ["--perms", "1777", "--size", str(DISK), "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]
    command += ["--remount-ro", "/", "--chdir", "/scratch", "--"]
    if user is not None:
        command += ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--bounding-set=-all"]
        command += ["--inh-caps=-all", "--no-new-privs"]
    return [*command, sys.executable, *_RUNNER, str(control), json.dumps(settings)]


def _bound(places: Iterable[str]) -> list[str]:
    """Show folders read-only. bubblewrap would make their parents for its own user alone."""
    command, made = [], {"/", "/usr"}
    for place in places:
        for parent in reversed(Path(place).parents):
            if str(parent) not in made:
                made.add(str(parent))
                command += ["--perms", "0755", "--dir", str(parent)]
        command += ["--ro-bind", place, place]
    return command


def _places() -> list[str]:
    """Folders of the interpreter and of the packages, apart from /usr."""
    found: list[str] = []
    executable = Path(sys.executable)
    linked = [str(executable.resolve().parent.parent)] if executable.is_symlink() else []
    for place in (sys.base_prefix, sys.prefix, *linked, *_further_packages()):
        inside = any(Path(place).is_relative_to(other) for other in ("/usr", *found))
        if not inside and Path(place).is_dir():
            found.append(place)
    return found


def _further_packages() -> list[str]:
    """Folders of packages that the interpreter does not look into by itself, such as a user's own."""
    own = set(site.getsitepackages())
    ends = ("site-packages", "dist-packages")
    return [path for path in sys.path if path.endswith(ends) and path not in own and Path(path).is_dir()]


def _installed_library() -> list[str]:
    """Where teachlib itself lies among the packages, unless it is run from its sources."""
    own = str(Path(teachlib.__file__).parent)
    return [own] if any(Path(own).is_relative_to(place) for place in ("/usr", *_places())) else []


_PREFIX = "teachlib-sandbox-"


def _remove_leftovers() -> None:
    """Remove the folders of graders that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        process = folder.name.removeprefix(_PREFIX).partition("-")[0]
        own = folder.lstat().st_uid == os.getuid()
        if own and process.isdigit() and not Path(f"/proc/{process}").exists():
            _remove(folder)


def _remove(folder: Path) -> None:
    remove_below(folder)
    with suppress(OSError):
        folder.rmdir()


def _copy_library(folder: Path) -> None:
    """teachlib without what gives answers away: exercises, the grader, and whatever was compiled from them."""
    library = Path(teachlib.__file__).parent

    def left_out(place: str, names: list[str]) -> set[str]:
        answers = set() if Path(place) == library / "checks" else {"exercises", "exercises.py"}
        out = (answers | {"__pycache__"}) & set(names)
        return out | (set(names) - {"__init__.py", "inside"} if Path(place) == library / "classroom" else set())

    shutil.copytree(library, folder / "teachlib", ignore=left_out, copy_function=shutil.copyfile)
    for place, _, names in os.walk(folder):
        os.chmod(place, 0o755)
        for name in names:
            os.chmod(os.path.join(place, name), 0o644)


def _importable(modules: Sequence[str]) -> list[str]:
    """Those that are installed; the others are a submission's own mistake."""
    return [name for name in dict.fromkeys(modules) if importlib.util.find_spec(name.partition(".")[0]) is not None]


def _descendants(process: int) -> list[int]:
    """All processes below one, the first of them, which is the warm one, left out."""
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with suppress(OSError, ValueError, IndexError), open(f"/proc/{entry.name}/stat", "rb") as file:
                parent = int(file.read().rpartition(b")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found, remaining = [], [process]
    while remaining:
        below = children.get(remaining.pop(), [])
        found += below
        remaining += below
    return found


def _memory(process: int) -> int:
    """Bytes of a process's own memory, what it shares counted in parts."""
    with suppress(OSError, ValueError), open(f"/proc/{process}/smaps_rollup") as file:
        kept = [line.split()[1] for line in file if line.startswith(("Pss_Anon:", "Pss_Shmem:"))]
        return sum(map(int, kept)) << 10
    return 0


def _size(folder: Path) -> int:
    """Bytes of the files below a folder; links are not followed."""
    total, remaining = 0, [str(folder)]
    while remaining:
        try:
            entries = list(os.scandir(remaining.pop()))
        except FileNotFoundError:
            continue
        except OSError:  # closed to all, or nested deeper than paths reach: who hides something has too much
            return DISK + 1
        for entry in entries:
            with suppress(OSError):
                total += entry.stat(follow_symlinks=False).st_blocks * 512
                if entry.is_dir(follow_symlinks=False):
                    remaining.append(entry.path)
    return total


def refuse_impossible(way: str) -> None:
    """Refuse a way that this machine cannot go.

    Raises:
        TeachlibError: and what it needs.
    """
    missing = lacking(way)
    if missing:
        other = "; or accept --sandbox weak, whose limits 'teachlib grade doctor' tells" if way == "strict" else ""
        raise TeachlibError(f"no {way} sandbox on this machine: {missing}{other}")


def lacking(way: str) -> str:
    """What this machine lacks for a way, before anything is tried; empty where nothing is known to be missing."""
    if not isolation.supported():
        return "it needs Linux on x86-64; grade in a virtual machine of it"
    if way == "strict":
        if shutil.which("bwrap") is None:
            return "bubblewrap is not installed; install the system's package 'bubblewrap'"
        if shutil.which("setpriv") is None or shutil.which("unshare") is None:
            return "setpriv or unshare is not installed; install the system's package 'util-linux'"
        return _forbidden()
    if way == "weak":
        if isolation.landlock_version() < 6:  # older ones let files be truncated, and signals be sent
            return "its kernel's Landlock is older than version 6; Linux 6.12 or newer with Landlock enabled is needed"
        if _installed_library():
            return "teachlib is installed among the packages, with its exercises' solutions; grade from a clone"
        closed = _closed_to_others() if os.getuid() == 0 else None
        if closed is not None:
            return f"root's submissions run as another user, who cannot enter {closed}; grade as an ordinary user"
    return ""


@cache
def _forbidden() -> str:
    """What bubblewrap says where the system forbids namespaces, or namespaces within them; empty where it does not."""
    root = os.getuid() == 0
    other = ["setpriv", f"--reuid={FIRST_USER}", f"--regid={FIRST_USER}", "--clear-groups"] if root else []
    inner = ["unshare", "--user", "--mount", "--pid", "--ipc", "--fork", "true"]
    outer = ["bwrap", "--unshare-pid", "--unshare-net", *([] if root else ["--unshare-user"])]
    shown = ["--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev"]
    for name in ("bin", "lib", "lib64"):
        shown += (
            ["--symlink", f"usr/{name}", f"/{name}"]
            if os.path.islink(f"/{name}")
            else ["--ro-bind-try", f"/{name}", f"/{name}"]
        )
    done = subprocess.run([*outer, *shown, "--", *other, *inner], capture_output=True, text=True, check=False)
    said = done.stderr.strip().splitlines()
    return f"the system forbids namespaces ({said[-1] if said else done.returncode})" if done.returncode else ""


def _closed_to_others() -> Path | None:
    """A folder on the way to the interpreter or its packages that only its owner may pass."""
    ways = [parent for place in _places() for parent in (Path(place), *Path(place).parents)]
    return next((folder for folder in ways if not folder.stat().st_mode & 0o001), None)
