"""The glossary page, from ``book/glossary.yml``."""

from pathlib import Path
from typing import Any

import yaml
from page_error import PageError

ROOT = Path(__file__).resolve().parent.parent
KEYS = {"term", "page", "says"}


class GlossaryError(PageError):
    """An entry that cannot be shown, in words for its author."""


def entries(path: Path = ROOT / "book" / "glossary.yml") -> list[dict[str, Any]]:
    """What each term means and where it is taught, in alphabetical order.

    Raises:
        GlossaryError: an entry lacks something, names a page that does not exist, or a name that another one has.
    """
    try:
        found: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise GlossaryError(f"{path.name} is no YAML: {error}") from error
    owners: dict[str, str] = {}
    for entry in found:
        if not KEYS <= set(entry) <= KEYS | {"also"}:
            raise GlossaryError(f"{path.name}: {entry} should have {', '.join(sorted(KEYS))}, and perhaps 'also'")
        if not any((ROOT / f"{entry['page']}{suffix}").is_file() for suffix in (".ipynb", ".md")):
            raise GlossaryError(f"{path.name}: {entry['term']}: there is no page {entry['page']}")
        also = entry.get("also", [])
        if not isinstance(also, list) or not all(isinstance(name, str) for name in also):
            raise GlossaryError(f"{path.name}: {entry['term']}: 'also' is a list of names in brackets")
        for name in (entry["term"], *also):
            if name.lower() in owners:
                raise GlossaryError(
                    f"{path.name}: both {owners[name.lower()]} and {entry['term']} are found under '{name}'"
                )
            owners[name.lower()] = entry["term"]
    return sorted(found, key=lambda entry: entry["term"].lower())


def glossary() -> str:
    """All terms, each with its other names and a link to the page that teaches it."""
    lines = [":::{glossary}"]
    for entry in entries():
        also = f" Also found under: {', '.join(entry['also'])}." if entry.get("also") else ""
        lines += [entry["term"], f"  {entry['says']}{also} Taught in {{doc}}`/{entry['page']}`.", ""]
    return "\n".join([*lines, ":::"])
