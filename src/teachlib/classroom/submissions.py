"""Finding who handed in what: folders and files as learning-management systems export them, zip files too.

Understood are a folder a student (Moodle's ``Name_123_assignsubmission_file``, or any name), flat files (Canvas's
``name_LATE_123_456_file.ipynb``, Moodle's, ``name_id_file.ipynb``, ``id.ipynb``), and zip files of either; within a
student's folder, a zip file again. Nothing is unpacked onto the disk, and no link is followed.
"""

import hashlib
import os
import re
import stat
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path

from teachlib.classroom.notebooks import SIZE, Unreadable, read_cells
from teachlib.classroom.source import Assignment
from teachlib.errors import TeachlibError

MEMBERS = 20_000  # of a zip file
FILES, READ = 20, 2 * SIZE  # notebooks of one student that are looked at, and their bytes
_MOODLE = re.compile(r"^(?P<name>.+?)_(?P<id>\d+)_assignsubmission_(file|onlinetext)_?(?P<file>.*)$")
_CANVAS = re.compile(r"^(?P<name>[^_]+)(?:_LATE)?_(?P<id>\d+)_\d+_(?P<file>.+)$")
_NUMBERED = re.compile(r"^(?P<name>.+)_(?P<id>[^_]*\d[^_]*)_(?P<file>[^_]+)$")
_PLAIN = re.compile(r"^(?P<name>[^_]+)_(?P<id>[^_]+)_(?P<file>.+)$")
_SKIPPED = ("__MACOSX", ".ipynb_checkpoints", "__pycache__")


@dataclass(frozen=True)
class File:
    """A notebook: where it lies, and within which members of zip files."""

    path: str
    members: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its own name, without folders."""
        return (self.members[-1] if self.members else self.path).replace("\\", "/").rpartition("/")[2]

    def read(self) -> bytes:
        """Its bytes, or one more than a notebook may have.

        Raises:
            Unreadable: not a regular file, a damaged or encrypted zip file.
        """
        try:
            with open(_regular(self.path), "rb") as file:
                if not self.members:
                    return file.read(SIZE + 1)
                source: BytesIO | None = None
                for depth, member in enumerate(self.members):
                    with zipfile.ZipFile(source or file) as archive, archive.open(member) as inner:
                        data = inner.read(SIZE * (4 if depth + 1 < len(self.members) else 1) + 1)
                    source = BytesIO(data)
                return data
        except Unreadable:
            raise
        except Exception as error:  # of the system, of a damaged, encrypted or lying zip file
            raise Unreadable(f"cannot be read ({type(error).__name__})") from None


@dataclass(frozen=True)
class Submission:
    """What one student handed in.

    Attributes:
        id: as the learning-management system has it; what grades are sorted and filled in by.
        name: of the student, where it is known.
        files: notebooks, in natural order.
        notes: what was not looked at, and why.
    """

    id: str
    name: str
    files: tuple[File, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """A name for files, safe on any system and unlike every other submission's."""
        plain = re.sub(r"[^A-Za-z0-9]+", "-", unicodedata.normalize("NFKD", self.id))[:40].strip("-")
        return f"{plain or 'student'}-{hashlib.sha256(f'{self.id}|{self.name}'.encode()).hexdigest()[:10]}"

    def chosen(self, assignment: Assignment) -> tuple[File | None, list[str]]:
        """The notebook to grade, and what is to be said of the others: the last that has the most of our cells."""
        best, most, left = None, -1, READ
        for file in self.files[-FILES:]:
            try:
                raw = file.read() if left > 0 else b""
                left -= len(raw)
                names = {cell.name for cell in read_cells(raw)}
            except Unreadable:
                names = set()
            ours = len(names & ({question.name for question in assignment.questions} | set(assignment.locked)))
            if ours >= most:
                best, most = file, ours
        others = [f"{len(self.files)} notebooks; {best.name} was graded"] if best and len(self.files) > 1 else []
        return best, others


@dataclass
class _Found:
    """Notebooks of one student while they are being found."""

    id: str
    name: str
    files: list[File] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_submissions(place: Path) -> list[Submission]:
    """Everything that was handed in, sorted by id; the order of files on the disk does not matter.

    Raises:
        TeachlibError: no such folder or zip file, or nothing in it.
    """
    if not place.exists():
        raise TeachlibError(f"{place}: no such folder or zip file of submissions")
    students: dict[tuple[str, str], _Found] = {}
    entries = _of_folder(place) if place.is_dir() else _of_zip(place)
    for first, file, note in entries:
        student, name = _student(first)
        found = students.setdefault((student, name), _Found(student, name))
        if file is not None:
            found.files.append(file)
        if note:
            found.notes.append(note)
    if not students:
        raise TeachlibError(f"{place}: no submissions in it; expected notebooks, a folder a student, or zip files")
    found_ = [
        Submission(one.id, one.name, tuple(sorted(one.files, key=_natural)), tuple(sorted(one.notes)))
        for one in students.values()
    ]
    return _told_apart(sorted(found_, key=lambda one: (one.id, one.name)))


def _told_apart(submissions: list[Submission]) -> list[Submission]:
    """Where two students have one id, neither can be found by it: each gets one with the name."""
    ids = [one.id for one in submissions]
    note = "another submission has the id {0}, too; both are listed with their names, and fill no worksheet"
    return [
        replace(one, id=f"{one.id} ({one.name})", notes=(*one.notes, note.format(one.id)))
        if ids.count(one.id) > 1
        else one
        for one in submissions
    ]


def _of_folder(place: Path) -> Iterator[tuple[str, File | None, str]]:
    """(First part of the path, notebook, note) of everything below a folder."""
    for entry in sorted(os.scandir(place), key=lambda entry: entry.name):
        first = _text(entry.name)
        if entry.name.startswith(".") or entry.name in _SKIPPED:
            continue
        if entry.is_symlink():
            yield first, None, "a link, which is not followed"
        elif entry.is_dir():
            yield first, None, ""
            yield from ((first, file, note) for path in _below(entry.path) for file, note in _of_file(path))
        elif entry.name.lower().endswith(".zip"):
            yield from ((first, file, note) for file, note in _of_file(entry.path))
            yield first, None, ""
        elif entry.name.lower().endswith(".ipynb"):
            yield from ((first, file, note) for file, note in _of_file(entry.path))
        elif _exported(first):
            yield first, None, f"{first} is no notebook"


def _below(folder: str) -> Iterator[str]:
    """Paths of all that lies below a folder and is none; links are not followed. Folders may be nested ever so deep."""
    remaining = [folder]
    while remaining:
        try:
            entries = sorted(os.scandir(remaining.pop()), key=lambda entry: entry.name)
        except OSError:  # closed, or deeper than paths reach
            continue
        yield from (entry.path for entry in entries if not entry.is_dir(follow_symlinks=False))
        remaining += [
            entry.path for entry in entries if entry.is_dir(follow_symlinks=False) and entry.name not in _SKIPPED
        ]


def _of_file(path: str) -> Iterator[tuple[File | None, str]]:
    name = _text(os.path.basename(path))
    if os.path.islink(path):
        yield None, f"{name}: a link, which is not followed"
    elif name.lower().endswith(".zip"):
        yield from _members(File(path), ())
    elif name.lower().endswith(".ipynb"):
        yield File(path), ""


def _of_zip(place: Path) -> Iterator[tuple[str, File | None, str]]:
    """The same of a zip file: the export as it was downloaded."""
    try:
        with zipfile.ZipFile(place) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
    except Exception as error:  # damaged in any way
        raise TeachlibError(f"{place}: not a zip file that can be read ({type(error).__name__})") from None
    if len(names) > MEMBERS:
        raise TeachlibError(f"{place}: {len(names)} files in it; expected at most {MEMBERS}")
    common = _common_folder(names)
    for name in sorted(names):
        parts = [part for part in name.replace("\\", "/")[len(common) :].split("/") if part not in ("", ".", "..")]
        if not parts or parts[0].startswith(".") or set(parts) & set(_SKIPPED):
            continue
        first = _text(parts[0])
        if name.lower().endswith(".zip"):
            yield from ((first, file, note) for file, note in _members(File(str(place), (name,)), (name,)))
        elif name.lower().endswith(".ipynb"):
            yield first, File(str(place), (name,)), ""
        elif len(parts) > 1 or _exported(first):
            yield first, None, ""


def _members(archive: File, above: tuple[str, ...]) -> Iterator[tuple[File | None, str]]:
    """Notebooks in a student's own zip file."""
    try:
        opened = BytesIO(archive.read()) if above else archive.path
        with zipfile.ZipFile(opened) as inner:
            names = [info.filename for info in inner.infolist()[:MEMBERS]]
    except Exception as error:  # damaged in any way
        yield None, f"{archive.name}: not a zip file that can be read ({type(error).__name__})"
        return
    notebooks = [name for name in names if name.lower().endswith(".ipynb") and not set(name.split("/")) & set(_SKIPPED)]
    for name in sorted(notebooks)[:50]:
        yield File(archive.path, (*above, name)), ""


def _common_folder(names: Iterable[str]) -> str:
    """A folder that everything lies in, as when a folder was zipped, if more than one student's things follow."""
    parts = [name.split("/", 2) for name in names if not name.startswith(_SKIPPED)]
    folders, below = {part[0] for part in parts}, {part[1] for part in parts if len(part) > 1}
    only = next(iter(folders)) if len(folders) == 1 and len(below) > 1 else ""
    return f"{only}/" if only and not _MOODLE.match(only) else ""


def _exported(name: str) -> bool:
    """Whether a file has a name that a learning-management system gives."""
    return any(pattern.match(name) for pattern in (_MOODLE, _CANVAS, _PLAIN))


def _student(first: str) -> tuple[str, str]:
    """Id and name of whoever a file or folder of this name belongs to."""
    stem = re.sub(r"\.(ipynb|zip|py|txt|pdf|docx?|html?)$", "", first, flags=re.IGNORECASE)
    for pattern in (_MOODLE, _CANVAS, _NUMBERED, _PLAIN):
        if match := pattern.match(stem):
            return match["id"], match["name"]
    return stem, ""


def _text(name: str) -> str:
    """A file's name as text that can be printed, in one Unicode form, whatever bytes it has."""
    text = unicodedata.normalize("NFC", os.fsencode(name).decode("utf-8", "replace"))
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)


def _natural(file: File) -> tuple[list[tuple[int, str]], tuple[str, ...]]:
    parts = re.split(r"(\d+)", file.path + "/".join(file.members))
    return [(int(part), "") if part.isdecimal() and len(part) < 15 else (-1, part) for part in parts], file.members


def _regular(path: str) -> int:
    """A descriptor of a regular file: not of a link, a pipe or a device, which could wait for ever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Unreadable("not a regular file")
    return descriptor
