"""Pages of a graded class: feedback for a student, a report and the explanations for the teacher.

Everything that a student wrote is escaped, and no page loads or runs anything.
"""

import html
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import mean
from typing import Any

import numpy as np

from teachlib.checks import UNANSWERED
from teachlib.classroom.grading import NOT_RUN
from teachlib.classroom.marks import Marks
from teachlib.classroom.source import Assignment

ENOUGH = 10  # students whose points say something about a question
ALIKE, FEWEST = 0.8, 30  # share of common runs of tokens from which two are shown; runs that they need at least
COMMON = 0.2  # runs that more of the class has are the task's, not a student's
_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --line: #d0d7de; --soft: #f6f8fa; --accent: #0b62a8; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --paper: #0d1117; --line: #3d444d; --soft: #161b22; --accent: #6cb6ff; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 52rem;
  margin: 2rem auto; padding: 0 1rem; overflow-wrap: break-word; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid var(--line); }
td.number, th.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
pre { background: var(--soft); border: 1px solid var(--line); padding: .6rem; white-space: pre-wrap;
  overflow-wrap: anywhere; }
svg text { fill: var(--ink); font-size: 11px; } svg rect { fill: var(--accent); }
.scroll { overflow-x: auto; }
@media (max-width: 40rem) { th, td { padding: .3rem .25rem; font-size: .85rem; overflow-wrap: anywhere; }
  td.number, th.number { overflow-wrap: normal; } svg text { font-size: 20px; } }
"""


def feedback(assignment: Assignment, result: Mapping[str, Any], row: Mapping[str, Any], marks: Marks) -> str:
    """A student's page: points and a message for each question, what was run, and what went wrong in it."""
    messages = {verdict["exercise"]: verdict["message"] for verdict in result["verdicts"]}
    lines = []
    for number, question in enumerate(assignment.questions, 1):
        points = row[question.name]
        if question.by_hand:
            comment = marks.comment(result["id"], question.name)
            empty = not result["explanations"].get(question.name)
            marked = "nothing was written" if empty else "marked by a person"
            message = comment or (marked if points != "" else "not marked yet")
        else:
            message = messages.get(question.name, "")
        shown = "–" if points == "" else points
        lines.append(_row([f"{number}. {question.name}", message], [f"{shown} / {question.points}"]))
    unmarked = f" {row['unmarked points']} points are not marked yet." if row["unmarked points"] else ""
    body = [
        f"<h1>{_e(assignment.title)}</h1>",
        f"<p><strong>{_e(result['name'] or result['id'])}</strong> ({_e(result['id'])}): "
        f"<strong>{row['total']} of {row['of']} points</strong>.{unmarked}</p>",
        _table(["question", "what was found"], ["points"], lines),
        "<h2>What was run</h2>",
        f"<p>{_e(result['file'] or 'no file')}, variant {result['variant']}. Your cells ran one after the other, "
        "without those that are locked, of which the grader has its own. Then every answer was called on inputs that "
        "are not shown, so that they can be used again.</p>",
        _list([*result["notes"], *result["log"]]),
    ]
    if result["printed"].strip():
        body += ["<h2>What your cells printed</h2>", f"<pre>{_e(result['printed'])}</pre>"]
    for name, text in result["explanations"].items():
        body += [f"<h2>Your answer: {_e(name)}</h2>", f"<pre>{_e(text or 'nothing')}</pre>"]
    return _page(f"{assignment.title}: {result['id']}", body)


def report(assignment: Assignment, results: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> str:
    """The teacher's page: the class in numbers, misconceptions, questions that told nobody apart, copies, troubles."""
    totals = [float(row["total"]) for row in rows]
    body = [f"<h1>{_e(assignment.title)}: the class</h1>"]
    if not results:
        return _page(assignment.title, [*body, "<p>No submissions.</p>"])
    seconds = [one["seconds"] for one in results]
    misconceptions = _misconceptions(assignment, results)
    unmarked = sum(bool(row["unmarked points"]) for row in rows)
    body += [
        f"<p>{len(results)} submission{'s' * (len(results) > 1)}, {mean(totals):.1f} of {assignment.points} points on "
        f"average, {unmarked} with "
        f"explanations to be marked. Grading took {sum(seconds):.0f} s in all, {np.median(seconds):.2f} s for the "
        f"median and {max(seconds):.1f} s for the slowest.</p>",
        _histogram(totals, assignment.points),
        "<h2>Questions</h2>",
        _table(["question", "kind and remark"], ["points", "share", "discr."], _items(assignment, rows)),
        "<p>Share is the mean of the points, in per cent of full marks. Discrimination is the correlation of a "
        "question's points with the sum of the others'. Near or below zero, "
        "the question tells strong and weak students not apart: look at what it asks.</p>",
        "<h2>Most frequent misconceptions</h2>",
        _table(["question", "message"], ["students"], misconceptions) if misconceptions else "<p>None.</p>",
        "<h2>Alike</h2>",
        _list(_alike(results))
        or "<p>No two submissions have the same code, or share more than much of the class does. Renamed variables are "
        "seen through.</p>",
        "<h2>Troubles</h2>",
        _list([f"{one['id']}: {line}" for one in results for line in [*one["notes"], *one["log"]][:5]])
        or "<p>None.</p>",
    ]
    return _page(f"{assignment.title}: the class", body)


def explanations(assignment: Assignment, results: Sequence[Mapping[str, Any]]) -> str:
    """All answers to each question that a person marks, below what is expected."""
    body = [f"<h1>{_e(assignment.title)}: to be marked by hand</h1>", "<p>Write marks into <code>marks.csv</code>.</p>"]
    for question in assignment.questions:
        if question.by_hand:
            expected = [line for line in question.cell.splitlines() if "###" not in line and line != "YOUR ANSWER HERE"]
            body.append(f"<h2>{_e(question.name)} ({question.points} points)</h2>")
            body.append(f"<h3>What is expected</h3><pre>{_e(chr(10).join(expected).strip())}</pre>")
            for one in results:
                text = one["explanations"].get(question.name) or "nothing"
                body += [f"<h3>{_e(one['id'])} {_e(one['name'])}</h3>", f"<pre>{_e(text)}</pre>"]
    return _page(assignment.title, body)


def in_a_line(assignment: Assignment, result: Mapping[str, Any], row: Mapping[str, Any], marks: Marks) -> str:
    """Feedback for a cell of a spreadsheet."""
    said = [f"{one['exercise']}: {one['message']}" for one in result["verdicts"] if not one["points"]]
    if {one["message"] for one in result["verdicts"]} == {NOT_RUN}:
        said = [NOT_RUN, *result["notes"]]
    for question in assignment.questions:
        comment = marks.comment(result["id"], question.name)
        if question.by_hand and comment:
            said.append(f"{question.name}: {comment}")
    pending = [f"{row['unmarked points']} points are not marked yet"] if row["unmarked points"] else []
    return "; ".join([*(said or ["all that a program can check is right"]), *pending])


def _items(assignment: Assignment, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = []
    for number, question in enumerate(assignment.questions, 1):
        marked = [row for row in rows if row[question.name] != ""]
        points = np.array([float(row[question.name]) for row in marked])
        others = np.array([float(row["total"]) for row in marked]) - points
        right = f"{points.mean() / question.points:.0%}" if len(points) else "–"
        shown, remark, waiting = "–", question.kind, len(rows) - len(marked)
        if waiting:
            right, remark = "–", f"{remark}; {waiting} not marked yet"
        elif len(points) >= ENOUGH and points.std() > 0 and others.std() > 0:
            value = float(np.corrcoef(points, others)[0, 1])
            shown, remark = f"{value:.2f}", f"{question.kind}{'; did not discriminate' * (value < 0.1)}"
        elif len(points) > 1:
            remark += "; everybody has the same points" if points.std() == 0 else ""
        lines.append(_row([f"{number}. {question.name}", remark], [str(question.points), right, shown]))
    return lines


def _misconceptions(assignment: Assignment, results: Sequence[Mapping[str, Any]]) -> list[str]:
    known = {(question.name, gap.message) for question in assignment.questions for gap in question.mistakes.values()}
    counts = Counter(
        (one["exercise"], one["message"]) for result in results for one in result["verdicts"] if not one["points"]
    )
    named = [(key, count) for key, count in counts.most_common() if key in known]
    other = Counter[str]()
    kinds = {UNANSWERED: "not answered", NOT_RUN: "no notebook with code"}
    for (name, message), count in counts.items():
        if (name, message) not in known:
            other[f"{name}: {kinds.get(message, 'wrong in no way that has a name')}"] += count
    lines = [_row([name, message], [str(count)]) for (name, message), count in named[:20]]
    return lines + [
        _row([key.partition(": ")[0], key.partition(": ")[2]], [str(n)]) for key, n in other.most_common(20)
    ]


def _alike(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Pairs whose code is nearly the same, once what much of the class shares is taken out."""
    counts = Counter(number for one in results for number in one["shingles"])
    often = {number for number, count in counts.items() if count > max(2, COMMON * len(results))}
    groups: dict[tuple[int, ...], list[str]] = {}
    for one in results:
        if len(one["shingles"]) >= FEWEST and any(verdict["message"] != UNANSWERED for verdict in one["verdicts"]):
            groups.setdefault(tuple(one["shingles"]), []).append(one["id"])
    same = [f"{', '.join(ids)}: the same code, apart from names" for ids in groups.values() if len(ids) > 1]
    own = [(ids[0], set(numbers) - often) for numbers, ids in groups.items()]
    pairs = []
    for (first, a), (second, b) in combinations([pair for pair in own if len(pair[1]) >= FEWEST], 2):
        share = len(a & b) / len(a | b)
        if share >= ALIKE:
            pairs.append((share, f"{first} and {second}: {share:.0%} of their own code in common"))
    return same + [line for _, line in sorted(pairs, reverse=True)]


def _histogram(totals: Sequence[float], full: int) -> str:
    counts = Counter(min(int(total), full) for total in totals)
    most, width = max(counts.values()), 640 / (full + 1)
    parts = []
    for points in range(full + 1):
        height, x = 120 * counts[points] / most, points * width
        parts.append(f'<rect x="{x + 1:.1f}" y="{140 - height:.1f}" width="{width - 2:.1f}" height="{height:.1f}"/>')
        if points % max(1, full // 10) == 0:
            parts.append(f'<text x="{x + width / 2:.1f}" y="156" text-anchor="middle">{points}</text>')
        if counts[points]:
            top = 136 - height
            parts.append(f'<text x="{x + width / 2:.1f}" y="{top:.1f}" text-anchor="middle">{counts[points]}</text>')
    said = ", ".join(f"{points} points: {counts[points]}" for points in sorted(counts))
    return f'<svg viewBox="0 0 640 160" role="img" aria-label="Students by points. {said}">{"".join(parts)}</svg>'


def _e(text: object) -> str:
    """Escaped, and without signs that turn the reading direction or cannot be printed."""
    shown = "".join(sign if sign.isprintable() or _is_space(sign) else "�" for sign in str(text))
    return html.escape(shown)


def _is_space(sign: str) -> bool:
    return sign in "\n\t" or unicodedata.category(sign) == "Zs"  # only the plain one of these is called printable


def _row(words: Sequence[object], numbers: Sequence[object]) -> str:
    cells = [f"<td>{_e(word)}</td>" for word in words] + [f'<td class="number">{_e(number)}</td>' for number in numbers]
    return f"<tr>{''.join(cells)}</tr>"


def _table(words: Sequence[str], numbers: Sequence[str], lines: Sequence[str]) -> str:
    head = "".join([f"<th>{word}</th>" for word in words] + [f'<th class="number">{number}</th>' for number in numbers])
    return f'<div class="scroll"><table><tr>{head}</tr>{"".join(lines)}</table></div>'


def _list(lines: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{_e(line)}</li>' for line in lines)}</ul>" if lines else ""


def _page(title: str, body: Sequence[str]) -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_e(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )
