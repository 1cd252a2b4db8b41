"""One of the processes that grade a class: ``python -m teachlib.attached teachlib.classroom.job:main TASK``.

It writes a file a submission, whole or not at all, so that it may be killed at any moment.
"""

import hashlib
import json
import re
import resource
import sys
import traceback
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from teachlib.checkpoints import write_atomically
from teachlib.checks import Exercise, Verdict
from teachlib.classroom.grading import NOT_RUN, Grading, Limits, Outcome
from teachlib.classroom.notebooks import Cell, Unreadable, explanations, own_cells, read_cells, shingles
from teachlib.classroom.sandbox import Warm
from teachlib.classroom.source import Assignment, read_source
from teachlib.classroom.submissions import File, Submission
from teachlib.errors import TeachlibError

STOP = 3  # exit status: no use in starting again
MEMORY = 8 << 30  # of the grader's own process: numbers of an answer may ask for more
_SEED = re.compile(r"^SEED = (\d{1,9})\b", re.MULTILINE)


def main() -> None:
    """Grade what the task's file lists."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, hard))
    torch.set_num_threads(1)
    try:
        Job(json.loads(Path(sys.argv[1]).read_text())).run()
    except TeachlibError as error:
        print(error, file=sys.stderr)
        sys.exit(STOP)


class Job:
    """A share of a class.

    Args:
        task: ``source`` (path), ``fingerprint`` (of what verdicts depend on), ``out`` (folder of results), ``way``,
            ``job`` (its number), ``seed``, ``limits``, and ``submissions``: dictionaries with ``id``, ``name``,
            ``files``, ``notes``, ``variant``.
    """

    def __init__(self, task: Mapping[str, Any]) -> None:
        self.task = task
        self.assignment = read_source(Path(task["source"]))
        self.limits = Limits(**task["limits"])
        self.exercises = lru_cache(maxsize=8)(self._exercises)
        self.warm: Warm | None = None

    def run(self) -> None:
        """Grade all, and end the sandbox."""
        try:
            for one in self.task["submissions"]:
                files = tuple(File(path, tuple(members)) for path, members in one["files"])
                submission = Submission(one["id"], one["name"], files, tuple(one["notes"]))
                result = self._whatever_happens(submission, int(one["variant"]))
                write_atomically(Path(self.task["out"]) / f"{submission.key}.json", json.dumps(result).encode())
        finally:
            if self.warm is not None:
                self.warm.close()

    def _whatever_happens(self, submission: Submission, variant: int) -> dict[str, Any]:
        """The result; where the grader itself fails, one that says so, and that the next start does not keep."""
        try:
            return self.result(submission, variant)
        except TeachlibError:
            raise
        except Exception as error:  # ours, not the submission's: the others are graded all the same
            traceback.print_exc()
            why = f"the grader failed ({type(error).__name__}); start it again"
            nothing = self._kept(
                submission, None, b"", [], [why], self._nothing("not graded: the grader failed"), variant
            )
            return nothing | {"fingerprint": ""}

    def result(self, submission: Submission, variant: int) -> dict[str, Any]:
        """What is kept of a submission."""
        file, others = submission.chosen(self.assignment)
        notes = [*submission.notes, *others]
        raw, cells = b"", []
        try:
            if file is None:
                raise Unreadable("no notebook was handed in")
            raw = file.read()
            cells = read_cells(raw)
        except Unreadable as unreadable:
            notes.append(f"{file.name}: {unreadable}" if file else str(unreadable))
        own = own_cells(cells, self.assignment)
        outcome = self._graded(own, variant) if own else self._nothing(NOT_RUN)
        return self._kept(submission, file, raw, cells, notes, outcome, variant)

    def _kept(
        self,
        submission: Submission,
        file: File | None,
        raw: bytes,
        cells: list[Cell],
        notes: list[str],
        outcome: Outcome,
        variant: int,
    ) -> dict[str, Any]:
        return {
            "id": submission.id,
            "name": submission.name,
            "file": file.name if file else "",
            "hash": hashlib.sha256(raw).hexdigest(),
            "fingerprint": self.task["fingerprint"],
            "variant": variant,
            "verdicts": [asdict(verdict) for verdict in outcome.verdicts],
            "explanations": explanations(cells, self.assignment),
            "notes": notes + _other_variant(cells, variant),
            "log": outcome.log,
            "printed": outcome.printed,
            "seconds": round(outcome.seconds, 3),
            "shingles": shingles(own_cells(cells, self.assignment)),
        }

    def _graded(self, cells: list[Cell], variant: int) -> Outcome:
        for attempt in range(2):
            if self.warm is None:
                self.warm = Warm(self.task["way"], self.task["job"], self.assignment.modules)
            try:
                exercises, seed = self.exercises(variant), self.task["seed"]
                return Grading(self.warm, self.assignment, exercises, cells, variant, seed, self.limits).outcome()
            except TeachlibError:  # the warm process is gone: a new one may last
                self.warm.close()
                self.warm = None
                if attempt:
                    raise
        raise AssertionError("unreachable")

    def _exercises(self, variant: int) -> dict[str, Exercise]:
        return self.assignment.exercises(variant, self.task["seed"])

    def _nothing(self, why: str) -> Outcome:
        return Outcome([Verdict(question.name, 0, why) for question in self.assignment.graded])


def fingerprint(assignment: Assignment, seed: int, limits: Limits) -> str:
    """A number for all that verdicts depend on, apart from the submission and its variant."""
    return hashlib.sha256(assignment.path.read_bytes() + f"{seed} {limits}".encode()).hexdigest()


def said_variant(cells: list[Cell]) -> int | None:
    """The ``SEED`` that a notebook says; ``None`` for none."""
    return next((int(match[1]) for cell in cells if cell.code and (match := _SEED.search(cell.source))), None)


def _other_variant(cells: list[Cell], variant: int) -> list[str]:
    said = said_variant(cells)
    return [] if said in (None, variant) else [f"the notebook says SEED = {said}, the record {variant}"]
