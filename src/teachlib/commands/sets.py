"""``teachlib data``: what there is, at hand or not."""

import pandas as pd

from teachlib import data, registry
from teachlib.chapter import OwnData
from teachlib.data import Entry


def own_data() -> dict[str, OwnData]:
    """The data sets that belong to single chapters."""
    keys = [key for key, line in registry.CHAPTERS.items() if line.data]
    return {name: own for key in keys for name, own in registry.chapter(key).data.items()}


def _sizes(splits: object) -> str:
    return "/".join(map(str, splits.values()))  # type: ignore[attr-defined]


def show() -> None:
    """Print the catalogue, and chapters' own sets."""
    rows = [
        {
            "name": entry.name,
            "image": "×".join(map(str, entry.shape)),
            "classes": entry.classes,
            "train/validation/test": _sizes(entry.splits),
            "at hand": presence(entry),
            "terms": entry.terms,
        }
        for entry in data.CATALOGUE.values()
    ]
    print(pd.DataFrame(rows).to_string(index=False, max_colwidth=60))
    strings = [
        {"name": name, "what": own.title, "train/validation/test": _sizes(own.splits), "source": own.source}
        for name, own in own_data().items()
    ]
    print(pd.DataFrame(strings).to_string(index=False, max_colwidth=90))
    print(f"data files are looked for in {data.data_root()} (TEACHLIB_DATA)")


def presence(entry: Entry) -> str:
    """Whether a set's files are there: ``embedded``, ``yes`` or ``no``."""
    if entry.folder is None:
        return "embedded"
    return "yes" if data.present(entry.name) else "no"


def get(name: str) -> None:
    """Download a set of the catalogue; of a chapter's own, find out whether it is there."""
    if name in registry.data_sets():
        own = own_data()[name]
        if own.get is not None:
            print(f"{own.title}: {own.source}\nin {own.get()}")
            return
        own.check("test")  # says where a file is missing that has to be put there by hand
        print(f"{name}: at hand; nothing to fetch")
        return
    entry = data.entry(name)
    print(f"{entry.title}: {entry.terms}")
    folder = data.get(name)
    print(f"{name} is embedded; nothing to fetch" if entry.embedded else f"in {folder}, hashes as expected")


def check(name: str) -> None:
    """Read every split and compare hashes."""
    if name in registry.data_sets():
        own = own_data()[name]
        print("\n".join(own.check(split) for split in own.splits))
    else:
        print("\n".join(data.check(name)))
