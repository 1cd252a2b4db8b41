"""A perceptual study: which of two pictures shows what was asked for (thesis § 5.3.5, Figures 5.7 to 5.9a).

The page that people answer needs no server and loads nothing: it holds the pictures, and offers the answers as a file
of comma-separated values. Which model drew which side is not in the page, but in a key beside it.
"""

import base64
import html
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy
import torch
from IPython.display import HTML
from PIL import Image
from torch import Tensor

from teachlib.checkpoints import write_atomically
from teachlib.data.files import read_rows
from teachlib.errors import TeachlibError, require_at_least, require_pixels

SIDES = ("left", "right")
LIKERT = ("strongly disagree", "disagree", "neither", "agree", "strongly agree")
_HEADER = ("question", "answer")
_MOST = 4 * 10**6  # answers that can be reckoned with


@dataclass(frozen=True)
class Share:
    """How often something was chosen.

    Attributes:
        chosen: times.
        of: answers.
    """

    chosen: int
    of: int

    def __post_init__(self) -> None:
        if not 0 <= self.chosen <= self.of or self.of < 1:
            raise TeachlibError(f"{self.chosen} of {self.of} answers; expected at least one answer, and no more chosen")

    @property
    def value(self) -> float:
        """In [0, 1]."""
        return self.chosen / self.of

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Exact, after Clopper and Pearson (1934): it holds the true share in at least ``level`` of all studies."""
        found = scipy.stats.binomtest(self.chosen, self.of).proportion_ci(level, method="exact")
        return float(found.low), float(found.high)

    def p_value(self) -> float:
        """How likely at least such a preference is, to either side, where people toss a coin; exact."""
        return float(scipy.stats.binomtest(self.chosen, self.of, 0.5).pvalue)

    def __str__(self) -> str:
        low, high = self.interval()
        return f"{self.value:.1%} of {self.of} (95 %: {low:.1%} to {high:.1%})"


def power(share: float, answers: int, level: float = 0.05) -> float:
    """How likely so many answers show a true preference, by the exact test of a coin at this level.

    Raises:
        TeachlibError: a share or a level outside [0, 1], no answers, or too many.
    """
    require_at_least(1, answers=answers)
    if not 0 <= share <= 1 or not 0 < level < 1 or answers > _MOST or answers != int(answers):
        raise TeachlibError(
            f"a true share of {share}, {answers} answers and a level of {level}; expected a share in [0, 1], a whole "
            f"number of at most {_MOST:,} answers, and a level in (0, 1)"
        )
    counts = np.arange(answers + 1)
    # The smallest k of the lower tail that is still no surprise; the test is symmetric.
    most = int(scipy.stats.binom.ppf(level / 2, answers, 0.5))
    if scipy.stats.binom.cdf(most, answers, 0.5) > level / 2:
        most -= 1
    seen = (counts <= most) | (counts >= answers - most)
    return float(scipy.stats.binom.pmf(counts, answers, share)[seen].sum())


def needed(share: float, wanted: float = 0.8, level: float = 0.05) -> int:
    """How many answers a study takes that shows a true preference with a chance of ``wanted``, ever after.

    Raises:
        TeachlibError: there is no preference to be shown, or it takes more than a million answers.
    """
    if not 0 <= share <= 1 or abs(share - 0.5) < 1e-3 or not 0 < wanted < 1:
        raise TeachlibError(f"a true share of {share} and a chance of {wanted}; expected a share that is not one half")
    # The power of an exact test goes up and down a little as answers are added: what holds for the next ones counts.
    low, high = 1, 8
    while min(power(share, high + k, level) for k in range(3)) < wanted:
        low, high = high, 2 * high
        if high > _MOST // 2:
            raise TeachlibError(f"a true share of {share} takes more than a million answers")
    while high - low > 1:
        middle = (low + high) // 2
        enough = min(power(share, middle + k, level) for k in range(3)) >= wanted
        low, high = (low, middle) if enough else (middle, high)
    return high


def sides(count: int, generator: torch.Generator) -> list[str]:
    """Where the first model's picture stands in each question: on either side as often, in any order."""
    order = torch.randperm(count, generator=generator).tolist()
    return [SIDES[place % 2] for place in order]


def pairs_page(references: Tensor, first: Tensor, second: Tensor, where: Sequence[str], *, title: str) -> str:
    """A page of questions: a reference in the middle, and two pictures of which the better likeness is chosen.

    Args:
        references: renderings, (N, 3, H, W) in [0, 1].
        first: pictures of the one model, (N, 3, H, W) in [0, 1].
        second: of the other.
        where: the side of the first model's picture in each question.
        title: of the page.

    Raises:
        TeachlibError: different numbers of pictures, or sides that are none.
    """
    if not len(references) == len(first) == len(second) == len(where) or set(where) - set(SIDES):
        raise TeachlibError(
            f"{len(references)} references, {len(first)} and {len(second)} pictures, {len(where)} sides; expected as "
            f"many of each, and sides of {', '.join(SIDES)}"
        )
    questions = []
    for number, side in enumerate(where):
        shown = (first[number], second[number]) if side == SIDES[0] else (second[number], first[number])
        images = "".join(
            _figure(picture, words)
            for picture, words in zip(
                (shown[0], references[number], shown[1]), ("Left", "The head asked for", "Right"), strict=True
            )
        )
        questions.append(_question(number, images, dict(zip(SIDES, ("Left", "Right"), strict=True))))
    return _page(
        title,
        "Which picture, left or right, better matches the shape, the pose and the expression of the head in the "
        "middle? Ignore the background, the brightness, and which of them looks better.",
        questions,
    )


def ratings_page(references: Tensor, pictures: Tensor, *, title: str) -> str:
    """A page of questions on a five-point scale of agreement (Likert): does the picture match the reference?

    Args:
        references: renderings, (N, 3, H, W) in [0, 1].
        pictures: (N, 3, H, W) in [0, 1].
        title: of the page.

    Raises:
        TeachlibError: different numbers of pictures.
    """
    if len(references) != len(pictures):
        raise TeachlibError(f"{len(references)} references and {len(pictures)} pictures; expected as many of each")
    choices = {str(k): words.capitalize() for k, words in enumerate(LIKERT, 1)}
    questions = [
        _question(number, _figure(reference, "The head asked for") + _figure(picture, "Picture"), choices)
        for number, (reference, picture) in enumerate(zip(references, pictures, strict=True))
    ]
    return _page(
        title, "The picture shows a head of the same shape, pose and expression as the one asked for.", questions
    )


def shown(page: str, *, height: int = 560) -> HTML:
    """A page within a notebook or a book, to be tried: it works without a kernel.

    Args:
        page: as :func:`pairs_page` or :func:`ratings_page` made it.
        height: of its window, in pixels.
    """
    style = f"width:100%;height:{height}px;border:1px solid;border-radius:.5rem"
    frame = f'<iframe title="A perceptual study" style="{style}" srcdoc="{html.escape(page)}"></iframe>'
    return HTML(f"<div>{frame}</div>")  # a frame alone draws a warning


def _figure(picture: Tensor, words: str) -> str:
    require_pixels(picture[None])
    if picture.ndim != 3 or len(picture) not in (1, 3):
        raise TeachlibError(f"a picture of shape {tuple(picture.shape)}; expected (3, H, W), or (1, H, W) in grey")
    picture = picture.expand(3, -1, -1)
    pixels = (picture.clamp(0, 1) * 255).round().byte().movedim(0, -1).cpu().numpy()
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    data = base64.b64encode(stream.getvalue()).decode()
    return f'<figure><img alt="{words}" src="data:image/png;base64,{data}"><figcaption>{words}</figcaption></figure>'


def _question(number: int, images: str, choices: dict[str, str]) -> str:
    buttons = "".join(
        f'<label><input type="radio" name="q{number}" value="{value}"> {words}</label>'
        for value, words in choices.items()
    )
    return f"<fieldset><legend>Question {number + 1}</legend><div>{images}</div><p>{buttons}</p></fieldset>"


_STYLE = (
    "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:52rem;margin:auto;padding:1rem;color-scheme:light dark}"
    "fieldset{margin:1rem 0;border:1px solid;border-radius:.5rem}fieldset div{display:flex;gap:1rem}"
    "figure{margin:0;flex:1;max-width:14rem;text-align:center}img{width:100%;image-rendering:auto}"
    "label{display:inline-block;padding:.5rem 1rem .5rem 0}button{font:inherit;padding:.5rem 1rem}"
    ":focus-visible{outline:3px solid #D55E00;outline-offset:2px}"
)
_SCRIPT = (
    "const form=document.querySelector('form'),count=document.querySelectorAll('fieldset').length;"
    "const given=()=>[...Array(count).keys()].map(k=>[k+1,form.elements['q'+k].value]).filter(a=>a[1]);"
    "form.onchange=()=>document.querySelector('output').value=given().length+' of '+count+' answered';"
    "document.querySelector('button').onclick=()=>{const rows=['question,answer',...given().map(a=>a.join(','))];"
    "const link=document.createElement('a');link.href='data:text/csv;charset=utf-8,'+"
    "encodeURIComponent(rows.join('\\n')+'\\n');link.download='answers.csv';link.click()}"
)


def _page(title: str, task: str, questions: Sequence[str]) -> str:
    named = html.escape(title)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{named}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main><h1>{named}</h1><p>{task}</p><form>{''.join(questions)}</form>"
        f'<p><output aria-live="polite">0 of {len(questions)} answered</output></p>'
        '<p><button type="button">Save my answers</button></p>'
        f"</main><script>{_SCRIPT}</script></body></html>"
    )


def write_key(file: Path, models: Sequence[str], where: Sequence[str]) -> None:
    """Keep which model drew which side, for :func:`tally`."""
    write_atomically(file, json.dumps({"models": list(models), "first": list(where)}, indent=1).encode())


def read_answers(file: Path, questions: int, choices: Sequence[str]) -> dict[int, str]:
    """Question, counted from 0 → answer, of a file that the page saved; questions may be left out.

    Raises:
        TeachlibError: no such file, another header, a question that does not exist or comes twice, or an answer that is
            none.
    """
    lines = read_rows(file, "answers saved by a page")
    if not lines or tuple(name.strip() for name in lines[0]) != _HEADER:
        raise TeachlibError(f"{file}: expected a first line '{','.join(_HEADER)}', as the page writes it")
    answers: dict[int, str] = {}
    for number, row in enumerate(lines[1:], 2):
        if not row:
            continue
        question, answer = ([*row, "", ""])[:2]
        known = re.fullmatch(r"\s*[0-9]{1,6}\s*", question) and 1 <= int(question) <= questions
        if len(row) != 2 or not known or answer.strip() not in choices:
            raise TeachlibError(
                f"{file}, line {number}: {','.join(row)[:60]!r}; expected a question from 1 to {questions} and one of "
                f"{', '.join(choices)}"
            )
        if int(question) - 1 in answers:
            raise TeachlibError(f"{file}, line {number}: question {int(question)} was answered before")
        answers[int(question) - 1] = answer.strip()
    return answers


def tally(files: Sequence[Path], key: Path) -> tuple[str, Share]:
    """How often the first model of a key was chosen, over all answers of all files; its name, and the share.

    Raises:
        TeachlibError: no key, or answers that do not fit it; see :func:`read_answers`.
    """
    try:
        kept = json.loads(key.read_text())
        models, where = kept["models"], kept["first"]
        if not isinstance(models, list) or not isinstance(where, list) or not where or set(where) - set(SIDES):
            raise ValueError(where)
        first = models[0]
        if not isinstance(first, str) or not first.isprintable():
            raise ValueError(first)
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError):
        raise TeachlibError(
            f"{key}: not the key of a study; expected the file that was written beside its page"
        ) from None
    if len({file.resolve() for file in files}) < len(files):
        raise TeachlibError("one file of answers was given twice; it would count twice")
    chosen = [
        answer == where[question]
        for file in files
        for question, answer in read_answers(file, len(where), SIDES).items()
    ]
    if not chosen:
        raise TeachlibError("no answers in any file; nothing can be said")
    return first, Share(sum(chosen), len(chosen))


def independent(table: Tensor) -> float:
    """How likely ratings differ between styles at least so much where style plays no part; Pearson's χ² test.

    Args:
        table: how often each style (a row) got each of the five ratings, (S, 5).

    Raises:
        TeachlibError: fewer than two styles, or one that was not rated.
    """
    counts = table[:, table.sum(0) != 0] if table.ndim == 2 else table  # a rating that nobody gave tells nothing
    if table.ndim != 2 or len(table) < 2 or not (table >= 0).all() or (table.sum(1) == 0).any() or counts.shape[1] < 2:
        raise TeachlibError(f"ratings {tuple(table.shape)}; expected two or more rated styles, and two or more ratings")
    return float(scipy.stats.chi2_contingency(counts.numpy()).pvalue)
