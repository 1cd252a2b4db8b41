"""Citations by name, as notebooks have them (`[Madry et al. 2018](…/bibliography.md)`), lead to their entry."""

import re
import unicodedata
from collections.abc import Mapping
from html import unescape
from typing import NamedTuple

# The page is a link's whole target: who cites by name does not know the entry's place.
LINK = re.compile(r'(<a class="reference internal" href="[^"#]*bibliography\.html)(".*?>)(.*?)(</a>)', re.DOTALL)
_YEAR = re.compile(r"\(?\b((?:19|20)\d\d)([a-z]?)\)?")
# What a name and a year do not tell apart, or what is called by another name than its authors'.
CALLED = {
    "Croce & Hein 2020a": "croce2020minimally",
    "Croce & Hein 2020b": "croce2020reliable",
    "Ghosh et al. 2020": "ghosh2020gif",
    "Karras et al., 2020": "karras2020stylegan2",
    "Lin et al., 2018": "lin2018pacgan",
    "Lin et al. (2018)": "lin2018pacgan",
    "LR-GAN's (2017)": "yang2017lrgan",
    "ST-GAN, 2018": "lin2018stgan",
}


class Entry(NamedTuple):
    """What a citation says of an entry of the bibliography."""

    surnames: tuple[str, ...]
    year: str


def _letters(text: str) -> str:
    """Lower-case letters and hyphens alone, without accents."""
    return re.sub(r"[^a-z-]", "", unicodedata.normalize("NFKD", text).lower())


def cited(text: str, entries: Mapping[str, Entry]) -> str | None:
    """Key of the one entry that a citation such as `Croce & Hein 2020a` means; ``None`` where it may be several."""
    text = " ".join(text.replace("’", "'").split())
    if text in CALLED:
        return CALLED[text]
    years = _YEAR.findall(text)
    if len(years) != 1:
        return None
    before = _YEAR.split(text)[0].removesuffix(" ").removesuffix("'s")
    more = "et al" in before
    names = [_letters(name) for name in re.split(r",|&|\band\b", before.replace("et al.", ""))]
    names = [name for name in names if name]

    def meant(entry: Entry) -> bool:
        known = [_letters(name) for name in entry.surnames]
        return (
            entry.year == years[0][0]
            and bool(names)
            and (known[: len(names)] == names and len(known) > len(names) + 1 if more else known == names)
        )

    found = [key for key, entry in entries.items() if meant(entry)]
    return found[0] if len(found) == 1 else None


def linked(body: str, entries: Mapping[str, Entry], places: Mapping[str, str]) -> str:
    """A page whose citations by name lead to their entries' places in the bibliography."""

    def mended(link: re.Match[str]) -> str:
        text = re.sub("<[^>]*>", "", link[3])
        key = cited(unescape(text), entries)
        return f"{link[1]}#{places[key]}{link[2]}{link[3]}{link[4]}" if key and key in places else link[0]

    return LINK.sub(mended, body)
