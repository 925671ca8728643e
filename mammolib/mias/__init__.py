"""mini-MIAS: its layout, its films, what is in it, and how to get and check it.

`load(find())` gives the films; `audit` counts them; `fetch` downloads them, `check` verifies a copy, and `pack`
packs a part of them for another machine.
"""

from mammolib.mias.audits import audit, dark_boxes, dark_share, origin_check
from mammolib.mias.copies import CITATION, DIGESTS, NOTICE, VARIABLE, Problem, check, digest, fetch, find, pack, part_of
from mammolib.mias.films import KINDS, SEVERITIES, SIDE, TISSUES, Film, Lesion, film_truths, load, single_lesion_films

__all__ = [
    "CITATION", "DIGESTS", "KINDS", "NOTICE", "SEVERITIES", "SIDE", "TISSUES", "VARIABLE", "Film", "Lesion", "Problem",
    "audit", "check", "dark_boxes", "dark_share", "digest", "fetch", "film_truths", "find", "load", "origin_check",
    "pack", "part_of", "single_lesion_films",
]  # fmt: skip
