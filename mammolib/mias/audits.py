"""What a data set holds, counted: the numbers behind the paper's section 2, and two checks of the annotations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from mammolib.geometry import circle_to_box, paired_iou
from mammolib.mias.films import KINDS, SIDE, TISSUES, Film, Lesion, single_lesion_films, usable_films

CROP = 256
"""Side of the paper's lesion-centred crops, in pixels (section 2)."""

PAPER_KEPT = {"normal": 209, "benign": 56, "malignant": 46}
"""The films the paper says it kept (section 2): 311, as many as `audit` finds, but two benign ones count as normal."""


def audit(films: Iterable[Film], crop: int = CROP) -> dict[str, int | float | list[str] | dict[str, int] | None]:
    """Count what follows from the annotations; no pixel is read.

    Args:
        films: as `load` returns them.
        crop: side of the lesion-centred crops that are asked whether they leave their film.

    Returns:
        By name, in the order a reader asks:
        films, women, rows (annotation rows, one for a normal film);
        kept, kept_normal, kept_benign, kept_malignant: films that are normal or have one row with a centre;
        rows_without_centre, films_without_centre, films_with_several_rows, films_mixed (benign and malignant rows);
        lesions, benign, malignant: rows that are not NORM; located, located_benign, located_malignant: those with a
        centre; located_by_tissue, located_by_kind: by code;
        radius_min, radius_max, radius_mean, radius_median of the located rows, in pixels, None if there is none;
        films_radius_above_half_crop: films with a radius above crop / 2;
        single_lesions: films with exactly one row and a centre; single_lesion_women; films_crop_leaves: those of them
        whose centred crop leaves the film;
        women_of_two_tissues: women, by number, whose films differ in tissue.
        Names that begin with films_ and women_of_ are lists of references or numbers.
    """
    films = list(films)
    rows = [(film, lesion) for film in films for lesion in film.lesions]
    located = [(film, lesion) for film, lesion in rows if lesion.located]
    severity = Counter(lesion.severity for _, lesion in rows)
    severity_located = Counter(lesion.severity for _, lesion in located)
    kept = Counter(film.severity for film in usable_films(films))
    single = single_lesion_films(films)
    tissues: dict[int, set[str]] = {}
    for film in films:
        tissues.setdefault(film.woman, set()).add(film.tissue)
    radii = np.array([lesion.radius for _, lesion in located], float)
    return {
        "films": len(films),
        "women": len(tissues),
        "rows": sum(len(film.lesions) or 1 for film in films),
        "kept": kept.total(),
        **{f"kept_{name}": kept[name] for name in PAPER_KEPT},
        "rows_without_centre": len(rows) - len(located),
        "films_without_centre": _references(film for film, lesion in rows if not lesion.located),
        "films_with_several_rows": _references(film for film in films if len(film.lesions) > 1),
        "films_mixed": _references(film for film in films if film.severity == "mixed"),
        "lesions": len(rows),
        "benign": severity["B"],
        "malignant": severity["M"],
        "located": len(located),
        "located_benign": severity_located["B"],
        "located_malignant": severity_located["M"],
        "located_by_tissue": _counts((film.tissue for film, _ in located), TISSUES),
        "located_by_kind": _counts((lesion.kind for _, lesion in located), KINDS),
        **{
            f"radius_{f.__name__}": float(f(radii)) if len(radii) else None
            for f in (np.min, np.max, np.mean, np.median)
        },
        "films_radius_above_half_crop": _references(film for film, lesion in located if lesion.radius > crop / 2),
        "single_lesions": len(single),
        "single_lesion_women": len({film.woman for film in single}),
        "films_crop_leaves": _references(film for film in single if _crop_leaves(film.lesions[0], crop)),
        "women_of_two_tissues": sorted(woman for woman, kinds in tissues.items() if len(kinds) > 1),
    }


def origin_ious(films: Iterable[Film]) -> NDArray[np.floating]:
    """Compare each single-lesion box with where it lands if y is read from the top.

    Info.txt counts y from the bottom-left corner; who overlooks that mirrors every box top to bottom.

    Args:
        films: as `load` returns them.

    Returns:
        (N,) IoU of the right and the mirrored box, for the films of `single_lesion_films`.
    """
    lesions = [film.lesions[0] for film in single_lesion_films(list(films))]
    right = np.array([lesion.box for lesion in lesions]).reshape(-1, 4)
    mirrored = np.array(
        [circle_to_box(SIDE - 1 - lesion.row, lesion.column, lesion.radius) for lesion in lesions]
    ).reshape(-1, 4)
    return paired_iou(right, mirrored)


def origin_check(films: Iterable[Film], threshold: float = 0.5) -> float:
    """Return the share of single-lesion boxes that keep an IoU of `threshold` when the bottom-left origin is ignored.

    Args:
        films: as `load` returns them; at least one with a single located lesion.
        threshold: in [0, 1].

    Raises:
        ValueError: no film has a single located lesion.
    """
    ious = origin_ious(films)
    if not len(ious):
        raise ValueError("films: none has a single lesion with a centre, so there is no box to check")
    return float((ious >= threshold).mean())


def dark_share(film: Film, lesion: Lesion, dark: int = 10) -> float:
    """Return the share of a lesion's box, in [0, 1], whose pixels are at most `dark`.

    The box is cut off at the border of the film and rounded outwards to whole pixels.
    """
    left, top, right, bottom = lesion.box
    pixels = film.pixels()[
        max(int(np.floor(top)), 0) : int(np.ceil(bottom)), max(int(np.floor(left)), 0) : int(np.ceil(right))
    ]
    return float((pixels <= dark).mean())


def dark_boxes(films: Iterable[Film], dark: int = 10, share: float = 0.2) -> list[str]:
    """Name the films with a suspicious annotation: a lesion whose box holds much background.

    The default is the background rule that the paper has for patches (section 2), applied to the boxes: more than 20 %
    of the pixels at 10 or below. It finds five films of mini-MIAS; of these, one box is more than half dark.

    Args:
        films: as `load` returns them; their pixels are read.
        dark: the grey value up to which a pixel counts as dark.
        share: a box is suspicious if more than this share of its pixels is dark.

    Returns:
        The references, every located lesion considered.
    """
    return _references(
        film for film in films for lesion in film.lesions if lesion.located and dark_share(film, lesion, dark) > share
    )


def _references(films: Iterable[Film]) -> list[str]:
    """Each film once, by the first time it is named."""
    return list(dict.fromkeys(film.reference for film in films))


def _counts(codes: Iterable[str], known: Sequence[str] | dict[str, str]) -> dict[str, int]:
    count = Counter(codes)
    return {code: count[code] for code in known}


def _crop_leaves(lesion: Lesion, side: int) -> bool:
    low, high = min(lesion.row, lesion.column) - side // 2, max(lesion.row, lesion.column) - side // 2 + side
    return low < 0 or high > SIDE
