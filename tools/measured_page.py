"""The page that sets the thesis's numbers beside measured ones: every chapter's part, in reading order."""

import re

_SECTION = re.compile(r"^(?=## )", re.MULTILINE)
_NUMBERS = "The numbers, and where they come from"


def paper_vs_measured() -> str:
    """What the chapters say of their tables, from what is measured and committed alone; tables fold."""
    from teachlib import registry  # here: chapters cost seconds, and not every tool needs them

    whole = "\n\n".join(filter(None, (registry.chapter(key).page() for key in registry.CHAPTERS)))
    return "\n\n".join(_with_folded_tables(section.strip()) for section in _SECTION.split(whole) if section.strip())


def _with_folded_tables(section: str) -> str:
    """A heading stays, and what is below it, where that holds a table, is a click away."""
    heading, _, body = section.partition("\n")
    if not re.search(r"^\|", body, re.MULTILINE):
        return section
    return f"{heading}\n\n<details>\n<summary>{_NUMBERS}</summary>\n\n{body.strip()}\n\n</details>"
