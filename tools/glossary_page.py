"""The glossary page, from ``book/glossary.yml``."""

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
KEYS = {"term", "page", "says"}


class GlossaryError(ValueError):
    """An entry that cannot be shown, in words for its author."""


def entries(path: Path = ROOT / "book" / "glossary.yml") -> list[dict[str, Any]]:
    """What each term means and where it is taught, in alphabetical order.

    Raises:
        GlossaryError: an entry lacks something, names a page that does not exist, or a name that another one has.
    """
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    owners: dict[str, str] = {}
    for entry in found:
        if not KEYS <= set(entry) <= KEYS | {"also"}:
            raise GlossaryError(f"{path.name}: {entry} should have {', '.join(sorted(KEYS))}, and perhaps 'also'")
        if not any((ROOT / f"{entry['page']}{suffix}").is_file() for suffix in (".ipynb", ".md")):
            raise GlossaryError(f"{path.name}: {entry['term']}: there is no page {entry['page']}")
        for name in (entry["term"], *entry.get("also", ())):
            if (other := owners.setdefault(name.lower(), entry["term"])) != entry["term"]:
                raise GlossaryError(f"{path.name}: both {other} and {entry['term']} are found under '{name}'")
    return sorted(found, key=lambda entry: entry["term"].lower())


def glossary() -> str:
    """All terms, each with its other names and a link to the page that teaches it."""
    lines = [":::{glossary}"]
    for entry in entries():
        also = f" Also: {', '.join(entry['also'])}." if entry.get("also") else ""
        lines += [entry["term"], f"  {entry['says']}{also} Taught in {{doc}}`/{entry['page']}`.", ""]
    return "\n".join([*lines, ":::"])
