"""Two hundred synthetic submissions: ``python -m benchmarks.classroom [--assignment primer] [--count 200] [--jobs 2]``.

Each answer is right (60 %), a named mistake (25 %), empty (10 %) or odd (5 %: an exception, a syntax error, the end of
the process), drawn with a seed. Printed are seconds and memory, and how many verdicts were not what they should be.
"""

import argparse
import json
import random
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from teachlib.classroom.course import grade_class
from teachlib.classroom.release import release
from teachlib.classroom.source import Assignment, Question, open_assignment

ODD = (
    "def {0}(*inputs, **named):\n    return 1 / 0",
    "{0} = 7",
    "def {0}(:",
    "raise SystemExit",
    "import os; os._exit(3)",
)


def answer(question: Question, draw: random.Random) -> tuple[str, str | None]:
    """Code for a question's cell, empty to leave it, and the message that is due; ``None`` for any without points."""
    kind = draw.choices(("right", "mistake", "empty", "odd"), (60, 25, 10, 5))[0]
    if kind == "right":
        return question.cell, "correct"
    if kind == "mistake":
        gap = draw.choice(list(question.mistakes.values()))
        return gap.code, gap.message
    return ("" if kind == "empty" else draw.choice(ODD).format(question.name)), None


def handed_in(assignment: Assignment, folder: Path, count: int, seed: int) -> dict[str, dict[str, str | None]]:
    """Write submissions; id → question → the message that is due."""
    draw, text, due = random.Random(seed), release(assignment), {}
    questions = {question.name: question for question in assignment.graded}
    for number in range(count):
        notebook: Any = json.loads(text)
        expected: dict[str, str | None] = {}
        for cell in notebook["cells"]:
            name = cell["metadata"].get("nbgrader", {}).get("grade_id")
            if name in questions:
                code, expected[name] = answer(questions[name], draw)
                cell["source"] = code or cell["source"]
        (folder / f"student{number}_{10_000 + number}_{assignment.name}.ipynb").write_text(json.dumps(notebook))
        due[str(10_000 + number)] = expected
    return due


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.classroom", description="Grade a synthetic class.")
    parser.add_argument("--assignment", default="primer")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    assignment = open_assignment(options.assignment)
    with tempfile.TemporaryDirectory() as place:
        folder, out = Path(place, "in"), Path(place, "out")
        folder.mkdir()
        due = handed_in(assignment, folder, options.count, options.seed)
        started = time.perf_counter()
        results = grade_class(assignment, folder, out, jobs=options.jobs)
        whole = time.perf_counter() - started
        started = time.perf_counter()
        grade_class(assignment, folder, out, jobs=options.jobs, progress=False)
        again = time.perf_counter() - started
    wrong = sum(
        (message is None and verdict["points"] > 0) or (message is not None and verdict["message"] != message)
        for one in results
        for verdict in one["verdicts"]
        for message in [due[one["id"]][verdict["exercise"]]]
    )
    seconds = [one["seconds"] for one in results]
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**10
    print(f"{options.count} of '{options.assignment}' in {whole:.0f} s by {options.jobs} jobs; again in {again:.1f} s")
    print(f"each: median {statistics.median(seconds):.2f} s, most {max(seconds):.2f} s; processes ≤ {memory:.0f} MiB")
    print(f"{wrong} verdicts not as they should be")


if __name__ == "__main__":
    main()
