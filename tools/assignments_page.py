"""What the book says of the assignments, read from their sources."""

from pathlib import Path

from teachlib.classroom.source import Assignment, read_source, sources

ROOT = Path(__file__).resolve().parent.parent


def _all() -> list[Assignment]:
    found = [read_source(path) for path in sources(ROOT / "assignments" / "source").values()]
    return sorted(found, key=lambda one: one.title)


def assignments() -> str:
    """A table of the assignments: name, title, questions, points."""
    lines = ["| `NAME` | Title | Questions | Points, of which by hand |", "|---|---|---|---|"]
    for one in _all():
        by_hand = sum(question.points for question in one.questions if question.by_hand)
        names = ", ".join(f"{question.name} ({question.kind})" for question in one.questions)
        lines.append(f"| `{one.name}` | {one.title} | {_plain(names)} | {one.points}, {by_hand} |")
    return "\n".join(lines)


def misconceptions() -> str:
    """A section for each assignment, a list for each question: what is said to each mistake."""
    parts = []
    for one in _all():
        parts.append(f"## {one.title}")
        for question in one.graded:
            parts.append(f"### `{question.name}` ({question.kind}, {question.points} points)")
            parts.append("\n".join(f"- {_plain(gap.message)}" for gap in question.mistakes.values()))
    return "\n\n".join(parts)


def _plain(text: str) -> str:
    """Text that Markdown leaves as it is."""
    for sign in "\\`*_|$<>[]{}":
        text = text.replace(sign, f"\\{sign}")
    return text
