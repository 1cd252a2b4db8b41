"""Whatever a submission does costs its own points at most, shows nothing hidden, and leaves nothing to the next."""

import json
import os
import time
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sandboxes import warm_process
from toy_assignment import HIDDEN, NAMES, submission, write_toy

from teachlib.checks import Exercise
from teachlib.classroom.grading import Grading, Limits, Outcome
from teachlib.classroom.notebooks import own_cells, read_cells
from teachlib.classroom.sandbox import Warm
from teachlib.classroom.source import Assignment

SEED = 1234567
QUICK = Limits(call=8.0, total=120.0)  # for what does not end; on a busy machine answers take seconds, too
PATIENT = Limits(call=60.0, total=600.0)  # where no limit of time has to end it, on a machine with much to do


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Assignment:
    return write_toy(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def exercises(toy: Assignment) -> dict[str, Exercise]:
    return toy.exercises(0, SEED)


@pytest.fixture(scope="module", params=["strict", "weak"])
def warm(request: pytest.FixtureRequest) -> Iterator[Warm]:
    yield from warm_process(request.param)


def graded(
    warm: Warm, toy: Assignment, exercises: dict[str, Exercise], notebook: object, limits: Limits = PATIENT
) -> Outcome:
    cells = own_cells(read_cells(json.dumps(notebook).encode()), toy)
    return Grading(warm, toy, exercises, cells, 0, SEED, limits).outcome()


def points(outcome: Outcome) -> dict[str, int]:
    return {verdict.exercise: verdict.points for verdict in outcome.verdicts}


def body(text: str) -> str:
    return "def scaled(x):\n" + "\n".join(f"    {line}" for line in text.splitlines())


# What happens in a cell of its own, after the right answers or before them: nobody's points are lost.
IN_A_CELL = {
    "exit": "import os; os._exit(0)",
    "exit by an exception": "raise SystemExit(1)",
    "interrupt": "raise KeyboardInterrupt",
    "kill whoever there is": """import os, signal
for process in (os.getppid(), -1, 1, 2, 0):
    try: os.kill(process, 9)
    except OSError: pass
os.kill(os.getpid(), 9)""",
    "endless loop": "while True: pass",
    "endless loop in C": "sum(range(10**13))",
    "a regular expression that never ends": "import re; re.match('(a+)+$', 'a' * 40 + 'b')",
    "a power that never ends": "9 ** 9 ** 9",
    "signals ignored": """import signal
for number in range(1, 32):
    try: signal.signal(number, signal.SIG_IGN)
    except OSError: pass
while True: pass""",
    "fork bomb": """import os
try:
    while True: os.fork()
except OSError: pass
while True: pass""",
    "thread bomb": """import threading, time
try:
    while True: threading.Thread(target=time.sleep, args=(99,), daemon=True).start()
except RuntimeError: pass""",
    "a tensor of 10 GiB": "torch.ones(10 * 2**30 // 4)",
    "processes that fill the memory": """import os, time
for _ in range(8):
    while True:
        try: child = os.fork()
        except OSError: time.sleep(0.1)  # whoever shares the user has many, too
        else: break
    if child == 0:
        data = bytearray(2**30)
        for place in range(0, len(data), 4096): data[place] = 1
        time.sleep(600)
time.sleep(600)""",
    "prints 1 GiB": "for _ in range(1024): print('x' * 2**20)",
    "prints 1 GiB past Python": "import os\nfor _ in range(1024): os.write(1, b'x' * 2**20)",
    "a file of 1 GiB": "file = open('big', 'wb')\nfor _ in range(1024): file.write(bytes(2**20))",
    "files without end": "number = 0\nwhile True: open(f'f{number}', 'w').close(); number += 1",
    "fills shared memory": "number = 0\nwhile True: open(f'/dev/shm/{number}', 'wb').write(bytes(2**24)); number += 1",
    "deletes everything": "import subprocess; subprocess.run('rm -rf / --no-preserve-root', shell=True)",
    "deletes its interpreter": "import shutil, sys; shutil.rmtree(sys.prefix, ignore_errors=True)",
    "names overwritten": "torch_ = torch; range = 3; print = 0; len = None; sum = None; max = None; FACTOR_ = 1",
    "builtins broken": "import builtins; builtins.len = builtins.isinstance = builtins.getattr = None",
    "torch broken": "import torch as t_; t_.randn = t_.zeros = None; t_.manual_seed = lambda s: 1 / 0",
    "asks for input": "input('name? ')",
    "reads standard input": "import sys; sys.stdin.read(); open(0).read()",
    "magics": "%matplotlib inline\n!echo hi\n%pip install foo",
    "a cell magic": "%%bash\nexit 3",
    "runs a file": "%run /site/nothing.py",
    "a syntax error": "def (:",
    "a NUL": "x = 'a\x00b'",
    "surrogates": "x = '\ud800'",
    "endless recursion": "import sys; sys.setrecursionlimit(10**9)\ndef f(): return f()\nf()",
    "segmentation fault": "import ctypes; ctypes.string_at(0)",
    "an illegal instruction": "import os, signal; os.kill(os.getpid(), signal.SIGILL); os.abort()",
    "a daemon left behind": """import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True: time.sleep(1)
    os._exit(0)""",
    "an exception without words": """class Silent(Exception):
    def __str__(self): raise Silent
raise Silent""",
    "an exception with a page of words": "raise ValueError('x' * 10**7)",
    "widgets": "import ipywidgets; ipywidgets.interact(lambda x: x, x=(0, 10))",
    "a figure": "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()",
    "asynchronous": "import asyncio; await asyncio.sleep(0)",
    "replies before it is asked": """import os, struct
for number in range(3, 64):
    try: os.write(number, struct.pack('<I', 4) + b'none')
    except OSError: pass""",
    "replies that never end": """import os
for number in range(3, 64):
    try: os.write(number, b'\\xff\\xff\\xff\\xff' + b'x' * 4096)
    except OSError: pass""",
    "closes every file": "import os; os.closerange(0, 256)",
    "stops itself": "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
    "another shell": "from IPython import get_ipython; get_ipython().run_cell = None; get_ipython().user_ns.clear()",
    "the trace of every call": "import sys; sys.settrace(lambda *a: 1 / 0); sys.setprofile(lambda *a: None)",
    "no modules": "import sys; sys.modules.clear()",
    "files in memory": "import os\nfor n in range(200): os.write(os.memfd_create(str(n)), bytes(30 << 20))",
    "folders nested without end": "import os\nfor _ in range(3000): os.mkdir('d'); os.chdir('d')",
    "a folder closed to all": "import os\nos.mkdir('u', 0o300)\nopen('u/x', 'wb').write(bytes(1 << 20))",
    "replies of another type": """import sys, torch
serving = sys.modules['teachlib.classroom.inside.serving']
serving.Submission.has = lambda self, request: {'has': torch.zeros(2)}
serving.Submission.cell = lambda self, request: {'error': torch.zeros(2)}""",
}
# These end with the process, or spoil their own: what they may cost is said.
MAY_COST_ALL = {
    *("another shell", "no modules", "builtins broken", "torch broken", "names overwritten", "closes every file"),
    "replies of another type",
    *("replies before it is asked", "replies that never end", "endless recursion", "stops itself"),
    "the trace of every call",
}


# Which limit has to end it.
SAID = {
    "endless loop": "took longer than 8 s",
    "fork bomb": "started too many processes",
    "processes that fill the memory": "used too much memory",
    "prints 1 GiB": "printed too much",
}
# What only time ends, or may end, depending on the sandbox.
UNENDING = {
    *("endless loop", "endless loop in C", "a regular expression that never ends", "a power that never ends"),
    *("signals ignored", "thread bomb", "files without end", "fills shared memory", "deletes everything"),
    *("replies before it is asked", "replies that never end", "closes every file", "stops itself"),
    *("replies of another type", "asks for input", "reads standard input"),
}


def slow_if(names: Iterable[str], slow: Container[str]) -> list[Any]:
    """The names as parameters of a test; those that run into a limit of time or of all memory are slow."""
    return [pytest.param(name, marks=pytest.mark.slow if name in slow else ()) for name in names]


EXHAUSTING = {
    *("endless loop", "endless loop in C", "a regular expression that never ends", "a power that never ends"),
    *("signals ignored", "processes that fill the memory", "endless recursion"),
}


@pytest.mark.parametrize("name", slow_if(IN_A_CELL, EXHAUSTING))
def test_a_cell_costs_its_own_submission_at_most(
    warm: Warm, toy: Assignment, exercises: dict[str, Exercise], name: str
) -> None:
    assert IN_A_CELL.keys() >= UNENDING
    limits = QUICK if name in UNENDING else PATIENT
    outcome = graded(warm, toy, exercises, submission(after=[IN_A_CELL[name]]), limits)
    if name in SAID:
        assert any(SAID[name] in line for line in outcome.log), outcome.log
    if name not in MAY_COST_ALL:
        assert set(points(outcome).values()) == {1}, (name, outcome)
    assert len(outcome.verdicts) == len(NAMES)
    next_one = graded(warm, toy, exercises, submission())
    assert set(points(next_one).values()) == {1}, (name, next_one)


# What happens within one answer: the others keep their points.
IN_AN_ANSWER = {
    "exit": "import os; os._exit(0)",
    "exit by an exception": "raise SystemExit(1)",
    "an exception": "raise ValueError(str(x.tolist()))",
    "an exception of its own": "raise type('E' + 'x' * 300, (Exception,), {})(x)",
    "no exception at all": "raise BaseException",
    "endless loop": "while True: pass",
    "a segmentation fault": "import ctypes; ctypes.string_at(0)",
    "nothing": "return None",
    "a dot dot dot": "return ...",
    "text": "return 'correct'",
    "itself": "return scaled",
    "another shape": "return x[None]",
    "numbers that are none": "return torch.full((5,), float('nan'))",
    "floods of them": "return torch.full((4000, 1000), float('nan'))",
    "too much": "return torch.zeros(10_000_000)",
    "infinity": "return torch.full((5,), float('inf'))",
    "complex": "return x + 0j",
    "sparse": "return torch.eye(5).to_sparse()",
    "on no device": "return torch.empty(5, device='meta')",
    "quantized": "return torch.quantize_per_tensor(x, 0.1, 0, torch.qint8)",
    "deep lists": "a = []\nfor _ in range(10_000): a = [a]\nreturn a",
    "a list in itself": "a = []; a.append(a); return a",
    "long lists": "return [0.0] * 10**6",
    "ragged lists": "return [[1.0], [2.0, 3.0]]",
    "a huge integer": "return 10**10000",
    "equal to anything": """class Equal(float):
    def __eq__(self, other): return True
    __le__ = __ge__ = __lt__ = __gt__ = __ne__ = __eq__
    def __sub__(self, other): return self
    __rsub__ = __sub__
    def __abs__(self): return 0.0
return Equal(1)""",
    "a tensor that is equal to anything": """class Equal(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None): return True
return torch.zeros(5).as_subclass(Equal)""",
    "pickled code": """class Bomb:
    def __reduce__(self): return (print, ('boom',))
return Bomb()""",
    "a generator": "yield x",
    "a promise": "async def later(): return x\nreturn later()",
    "a dictionary": "return {'values': x}",
    "the sign turned": "return -FACTOR * x",
}


@pytest.mark.parametrize("name", slow_if(IN_AN_ANSWER, EXHAUSTING))
def test_an_answer_costs_itself_at_most(warm: Warm, toy: Assignment, exercises: dict[str, Exercise], name: str) -> None:
    limits = QUICK if name == "endless loop" else PATIENT
    outcome = graded(warm, toy, exercises, submission({"scaled": body(IN_AN_ANSWER[name])}), limits)
    assert points(outcome) == {**dict.fromkeys(NAMES, 1), "scaled": 0}, outcome
    message = next(verdict.message for verdict in outcome.verdicts if verdict.exercise == "scaled")
    assert len(message) < 320
    assert "xxxx" not in message
    hidden = exercises["scaled"].observe(lambda x: x)["values"]
    assert not any(f"{float(value):.3g}"[:5] in message for value in hidden)  # no input is told


# What it tries to see or change; each ends with 'got in' where it succeeds.
ATTEMPTS = {
    "the sources": """for path in {places!r}:
    try: open(path).read()
    except OSError: continue
    raise AssertionError(path)""",
    "exercises of the library": """import importlib, os, teachlib
root = os.path.dirname(teachlib.__file__)
assert not [name for name in os.listdir(root) if 'exercises' in ' '.join(os.listdir(os.path.join(root, name))
            if os.path.isdir(os.path.join(root, name)) and name != 'checks' else [])]
try: importlib.import_module('teachlib.primer.exercises')
except ImportError: pass
else: raise AssertionError""",
    "solutions that were compiled": """import os, teachlib
root = os.path.dirname(teachlib.__file__)
assert not [f for d, _, fs in os.walk(root) for f in fs if f.endswith('.pyc') or 'exercise' in d.replace(root, '')]""",
    "the grader": """import importlib
for name in ('source', 'grading', 'course', 'sandbox', 'judging'):
    try: importlib.import_module(f'teachlib.classroom.{name}')
    except ImportError: continue
    raise AssertionError(name)""",
    "other processes": """import os
try: seen = [name for name in os.listdir('/proc') if name.isdigit()]
except OSError: seen = []
assert len(seen) <= 2, seen""",
    "the parent's memory": """import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
assert all(libc.ptrace(16, process, 0, 0) == -1 for process in (1, 2, 3, os.getppid()))""",
    "a network": """import socket
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK):
    try: socket.socket(family)
    except OSError: continue
    raise AssertionError(family)""",
    "new namespaces": """import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x10000000) == -1 and os.system('unshare -Ur true 2> /dev/null') != 0""",
    "a mount": """import ctypes
libc = ctypes.CDLL(None, use_errno=True)
assert libc.mount(b'none', b'/scratch', b'tmpfs', 0, None) == -1 and libc.umount2(b'/scratch', 2) == -1""",
    "capabilities": """import ctypes, os
assert os.getuid() != 0 and os.geteuid() != 0
try: os.setuid(0)
except OSError: pass
else: raise AssertionError""",
    "files outside": """places = '/etc/passwd /usr/x /x /site/x /dev/x /site/teachlib/__init__.py /tmp/x /proc/x'
for path in places.split():
    try: open(path, 'a').write('x')
    except OSError: continue
    raise AssertionError(path)""",
    "links out of the scratch folder": """import os
os.symlink({places!r}[0], 'out'); os.symlink('/proc/1/root', 'root'); os.symlink('/etc', 'etc')
for path in ('out', 'root' + {places!r}[0], 'etc/passwd'):
    try: open(path).read()
    except OSError: continue
    raise AssertionError(path)""",
    "limits raised": """import resource
for what in (resource.RLIMIT_AS, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE):
    soft, hard = resource.getrlimit(what)
    try: resource.setrlimit(what, (hard * 2, hard * 2))
    except (ValueError, OSError): continue
    raise AssertionError(what)""",
    "more than its environment": """import os
assert not [name for name in os.environ if name.startswith(('PIP', 'AWS', 'GITHUB', 'SSH', 'TEACHLIB'))]""",
    "kernel modules, keys, BPF": """import ctypes
libc = ctypes.CDLL(None, use_errno=True)
assert all(libc.syscall(number, 0, 0, 0, 0, 0) == -1 for number in (175, 250, 321, 298, 425, 310, 438))""",
}  # fmt: skip


@pytest.mark.parametrize("name", ATTEMPTS)
def test_nothing_outside_can_be_seen_or_changed(
    warm: Warm, toy: Assignment, exercises: dict[str, Exercise], name: str
) -> None:
    places = [str(toy.path), str(Path(__file__)), "/etc/shadow", str(Path.cwd() / "README.md")]
    outcome = graded(warm, toy, exercises, submission(after=[ATTEMPTS[name].replace("{places!r}", repr(places))]))
    assert outcome.log == []
    assert set(points(outcome).values()) == {1}


def test_nothing_is_left_for_the_next(warm: Warm, toy: Assignment, exercises: dict[str, Exercise]) -> None:
    leave = """import os, itertools
wrote = []
for top in '. .. / /tmp /dev /dev/shm /scratch /scratch/work /run /etc /site /proc /usr /home'.split():
    for folder, _, _ in [(top, 0, 0), *itertools.islice(os.walk(top), 100)]:
        try: open(folder + '/leak', 'w').write('x'); wrote.append(folder)
        except OSError: pass
import sys, torch, builtins
torch.leaked = builtins.leaked = True
print(wrote)"""
    look = """import os, torch, builtins
tops = '. .. /tmp /dev /scratch /run /etc /site /home'.split()
found = [folder for top in tops for folder, _, files in os.walk(top) if 'leak' in files]
assert not found and not hasattr(torch, 'leaked') and not hasattr(builtins, 'leaked'), found"""
    left = graded(warm, toy, exercises, submission(after=[leave]))
    assert "'.'" in left.printed
    assert graded(warm, toy, exercises, submission(after=[look])).log == []


def test_an_attack_on_the_next_student_does_not_reach_it(
    warm: Warm, toy: Assignment, exercises: dict[str, Exercise]
) -> None:
    attack = """import os, time
if os.fork() == 0:
    os.setsid()
    for _ in range(200):
        for process in range(2, 400):
            try: os.kill(process, 9)
            except OSError: pass
        time.sleep(0.02)"""
    graded(warm, toy, exercises, submission(after=[attack]), QUICK)
    assert set(points(graded(warm, toy, exercises, submission())).values()) == {1}


def test_what_is_printed_while_answers_are_judged_is_not_kept(
    warm: Warm, toy: Assignment, exercises: dict[str, Exercise]
) -> None:
    spy = {"scaled": body("print('SPY', x.tolist(), flush=True)\nreturn FACTOR * x")}
    outcome = graded(warm, toy, exercises, submission(spy, before=["print('before')"]))
    assert outcome.printed.strip() == "before"
    assert points(outcome)["scaled"] == 1


def test_a_forged_library_or_checker_gets_no_points(
    warm: Warm, toy: Assignment, exercises: dict[str, Exercise]
) -> None:
    forged = """import torch, builtins
import teachlib.checks as checks
torch.isclose = lambda *a, **k: torch.ones(1, dtype=torch.bool)
torch.Tensor.__le__ = torch.Tensor.__eq__ = lambda s, o: torch.ones(1, dtype=torch.bool)
checks.Exercise.check = lambda s, a: checks.Verdict(s.name, 1, 'correct')
builtins.all = lambda x: True"""
    wrong = {"scaled": body("return x + 1"), "slope": "slope = t", "choice": "choice = {}"}
    outcome = graded(warm, toy, exercises, submission(wrong, before=[forged]))
    assert {points(outcome)[name] for name in wrong} == {0}


def test_locked_cells_that_were_changed_change_nothing(
    warm: Warm, toy: Assignment, exercises: dict[str, Exercise]
) -> None:
    notebook = submission({"scaled": body("return FACTOR * x")})
    for cell in notebook.cells:
        if cell.id in ("variant", "imports"):
            cell.source = "SEED = 5\nFACTOR = 7.0\nraise SystemExit"
    assert set(points(graded(warm, toy, exercises, notebook)).values()) == {1}


def test_time_in_all_is_limited(warm: Warm, toy: Assignment, exercises: dict[str, Exercise]) -> None:
    started = time.monotonic()
    outcome = graded(
        warm, toy, exercises, submission(before=["import time\ntime.sleep(2)"] * 9), Limits(call=5.0, total=6.0)
    )
    assert sum(points(outcome).values()) == 0
    assert time.monotonic() - started < 60  # not nine times two for each of five starts


def test_starts_in_vain_are_counted(warm: Warm, toy: Assignment, exercises: dict[str, Exercise]) -> None:
    ends = ["import os; os._exit(1)"] * 6
    outcome = graded(warm, toy, exercises, submission(before=ends), Limits(call=60.0, total=600.0, restarts=3))
    assert len(outcome.log) == 4
    assert {verdict.message for verdict in outcome.verdicts} == {"not run: the notebook used up its time or restarts"}


def test_an_answer_whose_cell_was_stopped_says_so(warm: Warm, toy: Assignment, exercises: dict[str, Exercise]) -> None:
    outcome = graded(warm, toy, exercises, submission({"slope": "import os; os._exit(1)"}))
    message = next(verdict.message for verdict in outcome.verdicts if verdict.exercise == "slope")
    assert message == "its cell was left out: the process ended"
    assert any("(slope)" in line for line in outcome.log)


def test_time_in_hidden_tests_is_limited_too(warm: Warm, tmp_path: Path) -> None:
    slow = "def observe(answer, seed):\n    answer(torch.zeros(5))\n    while True:\n        pass\n"
    toy = write_toy(tmp_path, hidden={**HIDDEN, "scaled": HIDDEN["scaled"].split("def observe")[0] + slow})
    cells = own_cells(read_cells(json.dumps(submission()).encode()), toy)
    outcome = Grading(warm, toy, toy.exercises(0, 1), cells, 0, 1, Limits(call=2.0, total=4.0)).outcome()
    assert outcome.verdicts[0].message == "stopped: used up its time while it was judged"


def test_no_process_is_left(warm: Warm) -> None:
    warm.sweep()
    children = [
        entry.name
        for entry in os.scandir("/proc")
        if entry.name.isdigit() and _parent(entry.name) == str(warm.process.pid)
    ]
    assert len(children) <= 1  # bubblewrap's own child


def _parent(process: str) -> str:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1]
    except OSError:
        return ""
