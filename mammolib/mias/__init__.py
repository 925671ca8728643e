"""mini-MIAS: its layout, its films, what is in it, and how to get and check it.

`load(find())` gives the films; `audit` counts them; `fetch` downloads them and `check` verifies a copy.
"""

from mammolib.mias.audits import (
    CROP,
    PAPER_KEPT,
    audit,
    dark_boxes,
    dark_share,
    origin_check,
    origin_ious,
)
from mammolib.mias.checks import (
    LICENCE,
    VARIABLE,
    Problem,
    cache_folder,
    check,
    default_folder,
    digest,
    find,
    manifest,
)
from mammolib.mias.download import CITATION, NOTICE, URL, fetch
from mammolib.mias.films import (
    FORMATS,
    KINDS,
    SEVERITIES,
    SIDE,
    TISSUES,
    Film,
    Lesion,
    find_images,
    load,
    read_info,
    read_pixels,
    single_lesion_films,
    usable_films,
)

__all__ = [
    "CITATION",
    "CROP",
    "FORMATS",
    "KINDS",
    "LICENCE",
    "NOTICE",
    "PAPER_KEPT",
    "SEVERITIES",
    "SIDE",
    "TISSUES",
    "URL",
    "VARIABLE",
    "Film",
    "Lesion",
    "Problem",
    "audit",
    "cache_folder",
    "check",
    "dark_boxes",
    "dark_share",
    "default_folder",
    "digest",
    "fetch",
    "find",
    "find_images",
    "load",
    "manifest",
    "origin_check",
    "origin_ious",
    "read_info",
    "read_pixels",
    "single_lesion_films",
    "usable_films",
]
