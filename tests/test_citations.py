"""Citations by name: which entry each means, and that it leads there."""

import citations
import pytest
from citations import Entry
from rendered import ROOT  # which also puts the tools on the path

ENTRIES = {
    "madry": Entry(("Madry", "Makelov", "Schmidt"), "2018"),
    "rezende": Entry(("Rezende", "Mohamed", "Wierstra"), "2014"),
    "theis": Entry(("Theis", "van den Oord", "Bethge"), "2016"),
    "kingma": Entry(("Kingma", "Welling"), "2014"),
    "kim": Entry(("Kim", "Bengio"), "2016"),
    "hernandez": Entry(("Kusner", "Paige", "Hernández-Lobato"), "2017"),
    "one": Entry(("Ho", "Jain", "Abbeel"), "2020"),
    "other": Entry(("Ho", "Jain", "Ermon"), "2020"),
}


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Madry et al. 2018", "madry"),
        ("Madry et al. (2018)", "madry"),
        ("Rezende, Mohamed & Wierstra, 2014", "rezende"),
        ("Theis, van den Oord & Bethge, 2016", "theis"),
        ("Kusner, Paige & Hernandez-Lobato 2017", "hernandez"),
        ("Kim and Bengio’s (2016)", "kim"),
        ("Ho, Jain & Ermon, 2020", "other"),
        ("Croce & Hein 2020b", "croce2020reliable"),
        ("Ho et al., 2020", None),  # either
        ("Kingma et al. 2014", None),  # there are two of them, who are named
        ("Kingma, 2014", None),
        ("Madry et al. 2017, 2018", None),
        ("Madry et al. 2019", None),
        ("Bibliography", None),
        ("2018", None),
    ],
)
def test_a_name_and_a_year_mean_one_entry_or_none(text: str, key: str | None) -> None:
    assert citations.cited(text, ENTRIES) == key


def test_links_lead_to_entries_and_others_stay_as_they_are() -> None:
    link = '<a class="reference internal" href="../../book/bibliography.html"><span>{}</span></a>'
    named, title = link.format("Kingma &amp; Welling, 2014"), link.format("Bibliography")
    found = citations.linked(named + title, ENTRIES, {"kingma": "id7"})
    assert found == named.replace("bibliography.html", "bibliography.html#id7") + title


def test_what_is_called_otherwise_is_in_the_bibliography() -> None:
    known = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    assert all(f"{{{key}," in known for key in citations.CALLED.values())
