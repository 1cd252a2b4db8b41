"""Molecules without a download: pieces of well-known drugs, put together where chemistry allows."""

import re
from functools import lru_cache

import numpy as np

from teachlib.errors import TeachlibError

# A core has two places: {c} on carbon takes anything, {n} on nitrogen what begins with carbon or a sulfonyl.
CORES = {
    "paracetamol": "c1({c})ccc({c})cc1",
    "salicylate": "c1({c})ccccc1{c}",
    "lidocaine": "c1({c})cccc({c})c1",
    "nicotinamide": "c1({c})ccc({c})nc1",
    "trimethoprim": "c1({c})ncc({c})cn1",
    "duloxetine": "c1({c})ccc({c})s1",
    "ranitidine": "c1({c})ccc({c})o1",
    "metronidazole": "n1({n})ccnc1{c}",
    "celecoxib": "n1({n})nc({c})cc1C",
    "indometacin": "n1({n})cc({c})c2ccccc12",
    "melatonin": "c1({c})c[nH]c2ccc({c})cc12",
    "chloroquine": "c1({c})ccnc2cc({c})ccc12",
    "omeprazole": "c1({c})nc2ccc({c})cc2[nH]1",
    "naproxen": "c1({c})ccc2cc({c})ccc2c1",
    "haloperidol": "N1({n})CCC({c})CC1",
    "cetirizine": "N1({n})CCN({n})CC1",
    "proline": "N1({n})CCC[C@H]1{c}",
    "menthol": "C1({c})CCC({c})CC1",
    "caffeine": "n1({n})c(=O)c2c(ncn2{n})n(C)c1=O",
    "diazepam": "C1({c})=NCC(=O)N({n})c2ccccc12",
}
_PLAIN = {  # each begins with carbon
    "ibuprofen": "CC(C)C",
    "toluene": "C",
    "phenacetin": "CC",
    "ketoprofen": "C(C)C(=O)O",
    "aspirin": "C(=O)O",
    "benzocaine": "C(=O)OCC",
    "procainamide": "C(=O)N",
    "fluoxetine": "C(F)(F)F",
    "letrozole": "C#N",
    "paroxetine": "CO",
    "amphetamine": "C[C@@H](C)N",
    "metoprolol": "CCOC",
    "propranolol": "C[C@H](O)CNC(C)C",
}
_HETERO = {
    "haloperidol": "F",
    "chlorpromazine": "Cl",
    "bromhexine": "Br",
    "salbutamol": "O",
    "papaverine": "OC",
    "paracetamol": "NC(=O)C",
    "tamoxifen": "OCCN(C)C",
    "procaine": "N",
    "nifedipine": "[N+](=O)[O-]",
    "gefitinib": "N5CCOCC5",
    "sildenafil": "N5CCN(C)CC5",
}
_LINKS_OF_CARBON = ("C(=O)N", "C", "CC", "C(=O)", "S(=O)(=O)", "CO", "S(=O)(=O)N")
_LINKS_OF_HETERO = ("NC(=O)", "O", "OC", "N", "NS(=O)(=O)", "SC")
_ENDS = (
    "c5ccccc5",
    "c5ccc(F)cc5",
    "c5ccc(OC)cc5",
    "c5cccc(Cl)c5",
    "c5ccncc5",
    "c5cccs5",
    "c5ccco5",
    "C5CCCCC5",
    "C5CC5",
    "C5CCOCC5",
)


_SMALL = {"n": [*_PLAIN.values()], "c": [*_PLAIN.values(), *_HETERO.values()]}
_RINGS = {
    "n": [link + end for link in _LINKS_OF_CARBON for end in _ENDS],
    "c": [link + end for link in _LINKS_OF_CARBON + _LINKS_OF_HETERO for end in _ENDS],
}

NUMBER = 107_862  # of different molecules


@lru_cache(maxsize=4)
def assemble(count: int, seed: int = 0) -> list[str]:
    """Different molecules as SMILES: the core of one drug, and tails of others, one of them with a ring at most.

    Args:
        count: how many; there are 107,862.
        seed: of the order in which they come.

    Raises:
        TeachlibError: more than there are.
    """
    if count > NUMBER:
        raise TeachlibError(f"{count} molecules; these pieces make {NUMBER} different ones")
    rng, cores = np.random.default_rng(seed), list(CORES.values())
    molecules: dict[str, None] = {}
    while len(molecules) < count:
        pieces = re.split(r"\{(c|n)\}", cores[rng.integers(len(cores))])  # text, place, text, place, …, text
        places = range(1, len(pieces), 2)
        ring = rng.choice(places) if rng.random() < 0.8 else 0
        for place in places:
            tails = (_RINGS if place == ring else _SMALL)[pieces[place]]
            pieces[place] = tails[rng.integers(len(tails))]
        molecules.setdefault("".join(pieces))
    return list(molecules)
