"""How a process that is about to run a submission gives up everything that it does not need.

Two ways. *Strict*: new user, mount, process and message namespaces within a sandbox of bubblewrap. *Weak*, where the
system forbids those: Landlock for files, and a longer list of refused system calls. Both drop capabilities, refuse
system calls by seccomp and set limits of resources. Linux on x86-64 alone.
"""

import ctypes
import os
import platform
import resource
import signal
import socket
import struct
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
GIB = 1 << 30
LIMITS = (
    (resource.RLIMIT_CORE, 0),
    (resource.RLIMIT_FSIZE, 32 << 20),
    (resource.RLIMIT_NOFILE, 256),
    (resource.RLIMIT_CPU, 120),  # seconds
)
ROOM = 4 * GIB  # of addresses, beyond those of what is imported: builds of torch differ by gigabytes
PROCESSES = 64
SCRATCH = Path("/scratch")

_NEW_NAMESPACES = 0x10000000 | 0x20000 | 0x20000000 | 0x08000000  # user, mount, process, message queues
_NOSUID_NODEV, _NOEXEC, _PRIVATE = 2 | 4, 8, 0x44000
_SET_NO_NEW_PRIVS, _SET_PDEATHSIG, _SET_SECCOMP, _CAPBSET_DROP, _SET_SUBREAPER = 38, 1, 22, 24, 36

# System calls, by their numbers on x86-64, that no exercise needs.
_REFUSED = {
    "shmget": 29, "socket": 41, "memfd_create": 319, "memfd_secret": 447,
    "ptrace": 101, "syslog": 103, "pivot_root": 155, "chroot": 161, "acct": 163, "mount": 165,
    "umount2": 166, "swapon": 167, "swapoff": 168, "reboot": 169, "iopl": 172, "ioperm": 173, "init_module": 175,
    "delete_module": 176, "kexec_load": 246, "add_key": 248, "request_key": 249, "keyctl": 250, "unshare": 272,
    "perf_event_open": 298, "setns": 308, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312,
    "finit_module": 313, "kexec_file_load": 320, "bpf": 321, "userfaultfd": 323, "io_uring_setup": 425,
    "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429, "fsopen": 430,
    "fsconfig": 431, "fsmount": 432, "fspick": 433, "pidfd_getfd": 438, "mount_setattr": 442,
}  # fmt: skip
# Where other processes and files can be seen: what changes them though nothing is written, and what outlives a process.
_REFUSED_IN_SIGHT = {
    "semget": 64, "msgget": 68, "chmod": 90, "fchmod": 91, "chown": 92, "fchown": 93, "lchown": 94,
    "rt_sigqueueinfo": 129, "utime": 132, "setpriority": 141, "sched_setparam": 142, "sched_setscheduler": 144,
    "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190, "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199,
    "tkill": 200, "sched_setaffinity": 203, "utimes": 235, "mq_open": 240, "ioprio_set": 251, "migrate_pages": 256,
    "fchownat": 260, "futimesat": 261, "fchmodat": 268, "move_pages": 279, "utimensat": 280, "rt_tgsigqueueinfo": 297,
    "pidfd_send_signal": 424, "pidfd_open": 434, "process_madvise": 440, "process_mrelease": 448, "fchmodat2": 452,
}  # fmt: skip
_CLONE, _CLONE3, _CLONE_NEW = 56, 435, 0x7E020000
_KILL, _TGKILL, _PRLIMIT, _SCHED_SETATTR = 62, 234, 302, 314


def supported() -> bool:
    """Whether this is a system whose calls are known here."""
    return sys.platform == "linux" and platform.machine() == "x86_64"


def enter_namespaces(control: socket.socket) -> None:
    """Go on as process 1 of namespaces of its own, as the same user; the process that called only waits.

    A descriptor of the new process, by which it can be killed with all its descendants, is sent over ``control``.

    Raises:
        OSError: the system forbids such namespaces.
    """
    user, group = os.getuid(), os.getgid()
    _call(_libc.unshare(_NEW_NAMESPACES), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    child = os.fork()
    if child:
        socket.send_fds(control, [b"process"], [os.pidfd_open(child)])
        os.waitpid(child, 0)
        os._exit(0)
    _call(_libc.prctl(_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    os.setsid()
    _mount(b"none", b"/", None, _PRIVATE)
    for place in (b"/scratch", b"/dev/shm"):
        _mount(b"tmpfs", place, b"tmpfs", _NOSUID_NODEV, b"size=64m,nr_inodes=4096,mode=1777")
    try:
        _mount(b"proc", b"/proc", b"proc", _NOSUID_NODEV | _NOEXEC)
    except OSError:  # an outer sandbox hides parts of /proc: then nothing of it is shown
        _mount(b"tmpfs", b"/proc", b"tmpfs", _NOSUID_NODEV | _NOEXEC, b"size=4k,mode=555")


def limit(taken: int, *, in_sight: bool = False) -> None:
    """Set limits of resources, for good; before files are restricted, as threads are counted in /proc.

    Args:
        taken: bytes of addresses that need no room, :func:`mapped`.
        in_sight: whether other processes and files are visible, as without namespaces.
    """
    processes = PROCESSES if not in_sight else _threads_and(PROCESSES)
    for kind, value in (*LIMITS, (resource.RLIMIT_AS, taken + ROOM), (resource.RLIMIT_NPROC, processes)):
        resource.setrlimit(kind, (value, value))


def give_up(*, in_sight: bool = False) -> None:
    """Drop capabilities, refuse system calls; for good.

    Args:
        in_sight: as in :func:`limit`.
    """
    for capability in range(64):
        _libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0)
    header, none = struct.pack("<Ii", 0x20080522, 0), bytes(24)
    _call(_libc.capset(header, none), "capset")
    _call(_libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
    _refuse_calls(in_sight)


def mapped() -> int:
    """Bytes of this process's addresses; asked before there are namespaces, in which /proc may be hidden."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _threads_and(more: int) -> int:
    """A limit of a user's threads that leaves room for so many more than the user has: the limit counts them all."""
    user, threads = os.getuid(), 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.stat().st_uid == user:
                threads += len(os.listdir(process / "task"))
        except OSError:  # it ended
            continue
    return threads + more


def _instruction(code: int, jump_true: int, jump_false: int, value: int) -> bytes:
    return struct.pack("<HBBI", code, jump_true, jump_false, value & 0xFFFFFFFF)


def _refuse_calls(in_sight: bool) -> None:
    """A filter of system calls: those refused answer 'not permitted'."""
    load, equal, at_least, any_of, give = 0x20, 0x15, 0x35, 0x45, 0x06
    refused, missing, allowed, killed = 0x00050001, 0x00050026, 0x7FFF0000, 0x80000000
    number, first = 0, 16  # offsets: of the call's number, of its first argument
    program = [
        _instruction(load, 0, 0, 4),
        _instruction(equal, 1, 0, 0xC000003E),  # x86-64
        _instruction(give, 0, 0, killed),
        _instruction(load, 0, 0, number),
        _instruction(at_least, 0, 1, 0x40000000),  # the x32 calls
        _instruction(give, 0, 0, killed),
    ]

    def unless(call: int, *condition: bytes) -> None:
        """Refuse a call unless its first argument fulfils the condition, which then allows it."""
        block = [_instruction(load, 0, 0, first), *condition, _instruction(give, 0, 0, refused)]
        program.extend([_instruction(equal, 0, len(block), call), *block, _instruction(load, 0, 0, number)])

    for call in (*_REFUSED.values(), *(_REFUSED_IN_SIGHT.values() if in_sight else ())):
        program += [_instruction(equal, 0, 1, call), _instruction(give, 0, 0, refused)]
    # libc falls back from clone3, whose flags a filter cannot read, to clone.
    program += [_instruction(equal, 0, 1, _CLONE3), _instruction(give, 0, 0, missing)]
    unless(_CLONE, _instruction(any_of, 1, 0, _CLONE_NEW), _instruction(give, 0, 0, allowed))
    if in_sight:
        for call in (_KILL, _TGKILL):  # only itself
            unless(call, _instruction(equal, 0, 1, os.getpid()), _instruction(give, 0, 0, allowed))
        for call in (_PRLIMIT, _SCHED_SETATTR):
            unless(call, _instruction(equal, 0, 1, 0), _instruction(give, 0, 0, allowed))
    program.append(_instruction(give, 0, 0, allowed))
    code = b"".join(program)
    buffer = ctypes.create_string_buffer(code, len(code))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    filter_ = Program(len(program), ctypes.cast(buffer, ctypes.c_void_p))
    _call(_libc.prctl(_SET_SECCOMP, 2, ctypes.byref(filter_), 0, 0), "seccomp")


def landlock_version() -> int:
    """Of the kernel's Landlock; 0 without."""
    return max(0, int(_libc.syscall(444, None, 0, 1)))


def restrict_files(readable: Iterable[str], writable: Sequence[str]) -> None:
    """Landlock, version 6 or newer: nothing else can be opened, connected to, or sent a signal.

    Args:
        readable: files and folders to read and execute.
        writable: folders to do anything in.

    Raises:
        OSError: the kernel's Landlock is missing or older.
    """
    files = (1 << 16) - 1  # all that version 6 knows: read, write, make, remove, truncate …
    attributes = struct.pack("<QQQ", files, 3, 3)  # and both ways of TCP; sockets and signals outside
    ruleset = _call(_libc.syscall(444, attributes, len(attributes), 0), "landlock_create_ruleset")
    read = 1 | 4 | 8  # execute, read a file, list a folder
    for path, rights in [*((path, read) for path in readable), *((path, files) for path in writable)]:
        if not os.path.exists(path):
            continue
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rights &= files if os.path.isdir(path) else 1 | 2 | 4 | (1 << 14)
        _call(_libc.syscall(445, ruleset, 1, struct.pack("<Qi", rights & files, place), 0), "landlock_add_rule")
        os.close(place)
    _call(_libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
    _call(_libc.syscall(446, ruleset, 0), "landlock_restrict_self")
    os.close(ruleset)


def adopt_orphans() -> None:
    """Descendants whose parent ended become children of this process, which can then end them."""
    _call(_libc.prctl(_SET_SUBREAPER, 1, 0, 0, 0), "prctl")


def end_children() -> None:
    """End all children of this process, and theirs, which it adopts."""
    own = Path(f"/proc/self/task/{os.getpid()}/children")
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        for child in own.read_text().split() if own.exists() else ():
            try:
                os.kill(int(child), signal.SIGKILL)
            except ProcessLookupError:
                continue
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _mount(source: bytes, target: bytes, kind: bytes | None, flags: int, data: bytes | None = None) -> None:
    _call(_libc.mount(source, target, kind, flags, data), f"mount {target.decode()}")


def _call(result: int, what: str) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
    return result
