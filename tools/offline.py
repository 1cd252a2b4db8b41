"""Pack the rendered book as one file for a machine without a network.

    .venv/bin/python tools/offline.py

The result is ``_build/course-offline.zip``. Unpacked, its one page opens by a double click; nothing is installed.
"""

import os
import zipfile
from pathlib import Path

from book import Book, of_whole_book, whole

FIRST = "open-me.html"
FOLDER = "pages"
# Of Sphinx's own use, or of none without a server.
LEFT_OUT = {".buildinfo", "objects.inv"}
DATE = (1980, 1, 1, 0, 0, 0)  # one for all, so that one book gives one file
_FIRST = f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Reining in the Deep Generative Models</title>
<meta http-equiv="refresh" content="0; url={FOLDER}/index.html"></head>
<body><p><a href="{FOLDER}/index.html">Open the course</a>. If nothing opens, unpack the whole archive first: what is
looked at inside of it cannot find its pages.</p></body></html>
"""


def packed(html: Path, archive: Path) -> int:
    """Write all pages into ``archive``, below a first page, and return its size in bytes.

    It is written beside its place and moved there when it is whole.
    """
    unfinished = archive.with_suffix(".part")
    try:
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr(_entry(FIRST), _FIRST)
            for path in sorted(html.rglob("*")):
                if path.is_file() and path.name not in LEFT_OUT:
                    name = f"{FOLDER}/{path.relative_to(html).as_posix()}"
                    file.writestr(_entry(name), path.read_bytes())
        unfinished.replace(archive)
    finally:
        unfinished.unlink(missing_ok=True)
    return archive.stat().st_size


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, DATE)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry


def main() -> None:
    """Pack the book that was built last; exit code 1 and the cause when that fails."""
    book = Book()
    archive = book.build / "course-offline.zip"
    with of_whole_book(book, "offline"):
        size = packed(whole(book).html, archive)
    print(f"{size / 1e6:.0f} MB: {os.path.relpath(archive)}")


if __name__ == "__main__":
    main()
