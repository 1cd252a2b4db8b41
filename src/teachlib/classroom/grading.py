"""Grading one submission: its cells run one by one in the sandbox, its answers are judged outside, by numbers alone."""

import hashlib
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from teachlib.checks import UNANSWERED, Exercise, Verdict
from teachlib.classroom.inside import wire
from teachlib.classroom.notebooks import Cell
from teachlib.classroom.remote import Remote
from teachlib.classroom.sandbox import Gone, Session, Warm
from teachlib.classroom.source import Assignment

NOT_RUN = "not run: there is no notebook with code in it"
LINE = 300  # characters of a line of the log
SHOWN = 4000  # characters of what a submission printed


@dataclass(frozen=True)
class Limits:
    """Of one submission: seconds for a cell or a call, seconds in all, and processes that may be started in vain."""

    call: float = 10.0
    total: float = 60.0
    restarts: int = 4


@dataclass
class Outcome:
    """What came of a submission: verdicts in the assignment's order, what went wrong, and what it printed.

    What it printed ends where the hidden tests begin, whose inputs it could print.
    """

    verdicts: list[Verdict] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    printed: str = ""
    seconds: float = 0.0


@dataclass
class Grading:
    """A submission that is to be graded: its own cells run, then every answer is judged.

    A cell that ends the process, or has to be stopped, is left out, and the others run again in a new process; so is it
    with an answer. What a submission does costs its own points at most.

    Attributes:
        warm: the sandbox.
        assignment: what was handed out.
        exercises: what judges the answers, by name.
        cells: the submission's own.
        variant: of the student.
        seed: secret.
        limits: of time and restarts.
    """

    warm: Warm
    assignment: Assignment
    exercises: Mapping[str, Exercise]
    cells: Sequence[Cell]
    variant: int
    seed: int
    limits: Limits = field(default_factory=Limits)
    left_out: dict[int, str] = field(default_factory=dict, init=False)  # place of a cell → why
    starts: int = field(default=0, init=False)
    result: Outcome = field(default_factory=Outcome, init=False)

    def outcome(self) -> Outcome:
        """Grade it."""
        self.started = time.monotonic()
        session = self._session()
        for name, exercise in self.exercises.items():
            verdict = None
            if session is not None:
                try:
                    with _at_most(self._remaining()):
                        verdict = self._verdict(session, exercise)
                except Gone as gone:
                    verdict = Verdict(name, 0, str(gone))
                    session.close()
                    session = self._session()
            self.result.verdicts.append(
                verdict or Verdict(name, 0, "not run: the notebook used up its time or restarts")
            )
        if session is not None:
            session.close()
        self.result.seconds = time.monotonic() - self.started
        return self.result

    def _remaining(self) -> float:
        return self.started + self.limits.total - time.monotonic()

    def _session(self) -> Session | None:
        """A process in which every cell ran that let it live; ``None`` where time or restarts are used up."""
        while self.starts <= self.limits.restarts and self._remaining() > 0:
            self.starts += 1
            session = self.warm.fork(self._remaining())
            first = self.starts == 1
            place = -1
            try:
                # The task's own cells have all the time: that they are slow is nobody's fault who hands in.
                session.request(
                    {"do": "begin", "codes": list(self.assignment.given), "variant": self.variant}, self._remaining()
                )
                for place, cell in enumerate(self.cells):
                    if place not in self.left_out:
                        self._run(session, place, cell, told=first)
                self._keep(session, told=first)
                return session
            except Gone as gone:
                self.result.log.append(f"{self._named(place)}: {gone}; it was left out")
                self.left_out[place] = str(gone)  # −1, the task's own cells, cannot be left out: restarts run out
                self._keep(session, told=first)
                session.close()
        return None

    def _run(self, session: Session, place: int, cell: Cell, *, told: bool) -> None:
        try:
            said = session.request({"do": "cell", "source": cell.source}, self.limits.call).get("error")
            error = said if isinstance(said, str) else ""
            session.look()  # what a cell leaves behind is its own, and not that of whatever runs while it is noticed
        except wire.Bad:
            error = "its reply could not be read"
        if told and error:
            self.result.log.append(f"{self._named(place)}: {_line(error)}")

    def _named(self, place: int) -> str:
        if place < 0:
            return "the task's own cells"
        name = self.cells[place].name
        return f"cell {place + 1} ({_line(name)})" if name else f"cell {place + 1}"

    def _keep(self, session: Session, *, told: bool) -> None:
        if told:
            self.result.printed = bytes(session.printed[:SHOWN]).decode("utf-8", "replace")

    def _verdict(self, session: Session, exercise: Exercise) -> Verdict:
        try:
            has = session.request({"do": "has", "name": exercise.name}, self.limits.call).get("has") is True
        except wire.Bad:
            has = True  # what it gives is judged
        if not has:
            ended = [
                why for place, why in self.left_out.items() if place >= 0 and self.cells[place].name == exercise.name
            ]
            return Verdict(exercise.name, 0, f"its cell was left out: {ended[0]}" if ended else UNANSWERED)
        seed = int.from_bytes(hashlib.sha256(f"{self.seed} {exercise.name}".encode()).digest()[:4])
        return exercise.check(Remote(session, exercise.name, seed=seed, seconds=self.limits.call), hidden=True)


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """End the block after so many seconds: hidden tests compute with whatever an answer returned.

    Raises:
        Gone: it was ended.
    """

    def end(number: int, frame: object) -> None:
        raise Gone("stopped: used up its time while it was judged")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.1))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _line(text: str) -> str:
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return line if len(line) <= LINE else line[: LINE - 1] + "…"
