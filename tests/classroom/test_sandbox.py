"""Answers in the sandbox: the same numbers, gradients and verdicts as outside, and messages that nothing breaks."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sandboxes import warm_process
from toy_assignment import IMPORTS, write_toy

from teachlib.classroom import sandbox
from teachlib.classroom.grading import Grading
from teachlib.classroom.inside import isolation, wire
from teachlib.classroom.notebooks import Cell
from teachlib.classroom.remote import Remote
from teachlib.classroom.sandbox import Session, Warm
from teachlib.classroom.source import Assignment, open_assignment, sources

HEADERS = ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h")
SOURCES = Path(__file__).resolve().parents[2] / "assignments" / "source"
WAYS = ("strict", "weak")


@pytest.fixture(scope="module", params=WAYS)
def warm(request: pytest.FixtureRequest) -> Iterator[Warm]:
    yield from warm_process(request.param)


@pytest.fixture
def session(warm: Warm) -> Iterator[Session]:
    session = warm.fork(60)
    session.request({"do": "begin", "codes": ["SEED = 0", IMPORTS], "variant": 3}, 30)
    yield session
    session.close()


@pytest.mark.slow
def test_it_ends_with_a_grader_that_is_killed(warm: Warm) -> None:
    """Whatever the submission does; here it never ends by itself."""
    program = (
        "import sys\nfrom teachlib.classroom.sandbox import Warm\nwarm = Warm(sys.argv[1])\n"
        "session = warm.fork(600)\nprint(warm.process.pid, flush=True)\n"
        "session.request({'do': 'cell', 'source': 'while True: pass'}, 600)"
    )
    grader = subprocess.Popen([sys.executable, "-c", program, warm.way], stdout=subprocess.PIPE, text=True)
    assert grader.stdout is not None
    first = int(grader.stdout.readline())
    time.sleep(1)
    family = [first, *sandbox._descendants(first)]
    assert len(family) > 1
    grader.kill()
    grader.wait()
    deadline = time.monotonic() + 300  # a busy machine needs more than a moment; the cell would go on for twice as long
    while (left := [process for process in family if _runs(process)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []


def _runs(process: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


def test_strict_has_namespaces_of_everything_and_no_capabilities() -> None:
    """Each wall by itself: where one is missing, another may hide it from the tests that attack."""
    words = sandbox._bubblewrapped(Path("/nowhere"), 3, {}, 60001)
    asked = {"--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--die-with-parent", "--new-session"}
    assert asked <= set(words)
    assert "--clearenv" in words
    assert words[words.index("--cap-drop") + 1] == "ALL"
    assert words.count("--remount-ro") == 2
    assert {"--reuid=60001", "--clear-groups", "--bounding-set=-all", "--no-new-privs"} <= set(words)
    assert "--bind" not in words  # nothing outside can be written to
    assert "--unshare-user" in sandbox._bubblewrapped(Path("/nowhere"), 3, {}, None)


def test_refused_calls_have_the_numbers_of_this_system() -> None:
    """The kernel's own header, where it is at hand."""
    header = next((path for path in map(Path, HEADERS) if path.exists()), None)
    if header is None:
        pytest.skip("no header of system calls on this machine")
    numbers = dict(re.findall(r"#define __NR_(\w+) (\d+)", header.read_text()))
    for name, number in {**isolation._REFUSED, **isolation._REFUSED_IN_SIGHT}.items():
        if name in numbers:  # newer ones than the header's are missing there
            assert int(numbers[name]) == number, name


# What lets a submission out, act on others, or hide what it keeps: nothing of it may go missing from the filter.
NEVER = (
    *("ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "mount", "umount2", "pivot_root", "chroot"),
    *("move_mount", "open_tree", "fsopen", "fsmount", "mount_setattr", "unshare", "setns", "bpf", "perf_event_open"),
    *("userfaultfd", "io_uring_setup", "keyctl", "add_key", "request_key", "socket", "memfd_create", "shmget"),
    *("init_module", "finit_module", "kexec_load", "reboot", "swapon", "ioperm", "iopl", "syslog", "kcmp"),
)


def test_calls_are_refused_one_by_one(session: Session) -> None:
    """By the filter: what the kernel itself says of such arguments is another error for most."""
    assert set(NEVER) <= set(isolation._REFUSED)
    source = (
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "def answer(number):\n"
        "    ctypes.set_errno(0)\n"
        "    return [libc.syscall(number, -1, -1, -1, -1, -1), ctypes.get_errno()]"
    )
    answer = remote(session, source, "answer")
    in_sight = isolation._REFUSED_IN_SIGHT if session.warm.way == "weak" else {}
    said = {name: answer(number) for name, number in {**isolation._REFUSED, **in_sight}.items()}
    assert {name: [int(one) for one in reply] for name, reply in said.items()} == {name: [-1, 1] for name in said}


def test_what_is_imported_takes_no_room_from_a_submission(session: Session) -> None:
    """Nor do, of threads, those that the same user has elsewhere."""
    source = (
        "import resource\ndef limits():\n"
        "    return [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_NPROC)]"
    )
    addresses, processes = remote(session, source, "limits")()
    assert int(addresses) > isolation.ROOM + 2**29  # torch alone
    if session.warm.way == "weak":
        assert int(processes) > isolation.PROCESSES
    else:
        assert int(processes) == isolation.PROCESSES


def test_messages_have_structures_of_eight_mebibytes_at_most() -> None:
    assert wire.unpack(wire.pack("x" * (5 << 20))) == "x" * (5 << 20)
    with pytest.raises(wire.Bad):
        wire.unpack(wire.pack("x" * (9 << 20)))


def remote(session: Session, source: str, name: str) -> Remote:
    reply = session.request({"do": "cell", "source": source}, 30)
    assert reply["error"] is None, reply
    return Remote(session, name, seed=0, seconds=30)


def test_given_cells_have_the_variant(session: Session) -> None:
    assert remote(session, "seen = (SEED, FACTOR)", "seen")() == (3, 5.0)


def test_values_travel_there_and_back(session: Session) -> None:
    echo = remote(session, "def echo(*values, **named): return [values, named]", "echo")
    sent = (torch.arange(3), torch.rand(2, 1), 1, 2.5, float("inf"), True, None, "α\n", [1, (2, 3)], {"a": [4]})
    values, named = echo(*sent, word="x")
    assert named == {"word": "x"}
    assert torch.equal(values[0], sent[0])  # type: ignore[arg-type]
    assert torch.equal(values[1], sent[1])  # type: ignore[arg-type]
    assert tuple(values[2:]) == sent[2:]


def test_generators_and_arrays_travel(session: Session) -> None:
    draw = remote(session, "def draw(generator): return torch.randn(3, generator=generator).numpy()", "draw")
    expected = torch.randn(3, generator=torch.Generator().manual_seed(5))
    assert np.array_equal(draw(torch.Generator().manual_seed(5)), expected.numpy())


def test_torchs_own_generator_is_seeded_for_each_call(session: Session) -> None:
    draw = remote(session, "def draw(): return torch.randn(3)", "draw")
    assert torch.equal(draw(), draw())


def test_gradients_of_any_order_are_those_of_the_function(session: Session) -> None:
    source = "def f(x, y): return (x**3 * y.sin()).sum(), x * y"
    far = remote(session, source, "f")
    x, y = torch.rand(3).requires_grad_(), torch.rand(3).requires_grad_()

    def numbers(f: object) -> list[torch.Tensor]:
        total, product = f(x, y)  # type: ignore[operator]
        value = total + product.exp().sum()
        first = torch.autograd.grad(value, (x, y), create_graph=True)
        second = torch.autograd.grad(first[0].square().sum() + first[1].sum(), (x, y), create_graph=True)
        third = torch.autograd.grad(second[0].sum(), (x, y))
        return [value, *first, *second, *third]

    near = numbers(lambda x, y: ((x**3 * y.sin()).sum(), x * y))
    for one, other in zip(numbers(far), near, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_a_result_without_gradient_has_none(session: Session) -> None:
    far = remote(session, "def f(x): return (x * 2).detach()", "f")
    assert not far(torch.ones(2, requires_grad=True)).requires_grad


def test_a_jacobian_can_be_taken(session: Session) -> None:
    far = remote(session, "def f(x): return x.cumsum(0).square()", "f")
    x = torch.rand(3)
    jacobian = torch.autograd.functional.jacobian(far, x)
    assert torch.allclose(jacobian, torch.autograd.functional.jacobian(lambda x: x.cumsum(0).square(), x))


def test_expressions_are_evaluated_at_values_of_their_symbols(session: Session) -> None:
    slope = remote(session, "answer = sp.exp(t) / 2", "answer")
    values = torch.tensor([0.0, 1.0], dtype=torch.float64)
    assert torch.allclose(slope(t=values), values.exp() / 2)
    constant = remote(session, "number = sp.Rational(1, 3)", "number")
    assert torch.allclose(constant(t=values), torch.full((2,), 1 / 3, dtype=torch.float64))


@pytest.mark.parametrize("name", [*sources(SOURCES), "toy"])
def test_verdicts_in_the_sandbox_are_those_outside(warm: Warm, name: str, tmp_path: Path) -> None:
    assignment = write_toy(tmp_path) if name == "toy" else open_assignment(name, SOURCES)
    exercises = assignment.exercises(1, 77)
    for wrong in _rounds(assignment):
        cells = [
            Cell(question.mistakes[wrong[question.name]].code if question.name in wrong else question.cell, True, "")
            for question in assignment.graded
        ]
        outcome = Grading(warm, assignment, exercises, cells, 1, 77).outcome()
        for verdict in outcome.verdicts:
            exercise = exercises[verdict.exercise]
            mistake = wrong.get(verdict.exercise)
            answer = exercise.solution if mistake is None else exercise.wrong[mistake].answer
            assert verdict == exercise.check(answer, hidden=True), (verdict, mistake)


def _rounds(assignment: Assignment) -> Iterator[dict[str, str]]:
    """Right answers; then every question with its first mistake, every one with its second, and so on."""
    yield {}
    lists = {question.name: list(question.mistakes) for question in assignment.graded}
    for number in range(max(map(len, lists.values()))):
        yield {name: mistakes[number] for name, mistakes in lists.items() if number < len(mistakes)}


trees = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(trees)
def test_what_is_packed_is_unpacked(tree: object) -> None:
    assert repr(wire.unpack(wire.pack(tree))) == repr(tree)


@given(st.binary(max_size=300))
def test_bytes_that_are_no_message_are_refused(blob: bytes) -> None:
    with pytest.raises(wire.Bad):
        wire.unpack(blob)


@given(st.data())
def test_a_message_that_was_altered_is_read_or_refused(data: st.DataObject) -> None:
    blob = bytearray(wire.pack({"a": [torch.rand(2), 1.5, "x"], "b": {"c": None}}))
    for _ in range(data.draw(st.integers(1, 4))):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    with suppress(wire.Bad):
        wire.unpack(bytes(blob[: data.draw(st.integers(0, len(blob)))]))
