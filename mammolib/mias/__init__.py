"""mini-MIAS: its layout, its films, what is in it, and how to get and check it.

`load(find())` gives the films; `audit` counts them; `fetch` downloads them, `check` verifies a copy, and `pack`
packs a part of them for another machine.
"""

from mammolib.mias.audits import PAPER_KEPT, audit, dark_boxes, dark_share, origin_check
from mammolib.mias.checks import DIGESTS, LICENCE, VARIABLE, Problem, check, default_folder, digest, find, manifest
from mammolib.mias.download import CITATION, NOTICE, URL, fetch
from mammolib.mias.films import (
    CROP,
    FORMATS,
    KINDS,
    SEVERITIES,
    SIDE,
    TISSUES,
    Film,
    Lesion,
    film_truths,
    load,
    read_info,
    read_pixels,
    single_lesion_films,
    usable_films,
)
from mammolib.mias.packing import PARTS, pack, part_of

__all__ = [
    "CITATION", "CROP", "DIGESTS", "FORMATS", "KINDS", "LICENCE", "NOTICE", "PAPER_KEPT", "PARTS", "SEVERITIES", "SIDE",
    "TISSUES", "URL", "VARIABLE", "Film", "film_truths", "Lesion", "Problem", "audit", "check", "dark_boxes",
    "dark_share", "default_folder", "digest", "fetch", "find", "load", "manifest", "origin_check", "pack", "part_of",
    "read_info", "read_pixels", "single_lesion_films", "usable_films",
]  # fmt: skip
