"""What a data set holds, counted: the numbers behind the paper's section 2, and two checks of the annotations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammolib.geometry import circle_to_box, paired_iou
from mammolib.mias.films import CROP, KINDS, SIDE, TISSUES, Film, Lesion, single_lesion_films


def audit(films: Iterable[Film]) -> dict[str, Any]:
    """Count what follows from the annotations of the films that `load` returns; no pixel is read.

    Returns:
        By name, in the order a reader asks:
        films, women, rows (annotation rows, one for a normal film);
        kept, kept_normal, kept_benign, kept_malignant: films that are normal or have one row with a centre;
        rows_without_centre, films_without_centre, films_with_several_rows, films_mixed (benign and malignant rows);
        lesions, benign, malignant: rows that are not NORM; located, located_benign, located_malignant: those with a
        centre; located_by_tissue, located_by_kind: by code;
        radius_min, radius_max, radius_mean, radius_median of the located rows, in pixels, None if there is none;
        films_radius_above_half_crop: films with a radius above half the side of the paper's crops;
        single_lesions: films with exactly one row and a centre; single_lesion_women; films_crop_leaves: those of them
        whose centred crop leaves the film;
        women_of_two_tissues: women, by number, whose films differ in tissue.
        Names that begin with films_ and women_of_ are lists of references or numbers.
    """
    films = list(films)
    rows = [(film, lesion) for film in films for lesion in film.lesions]
    located = [(film, lesion) for film, lesion in rows if lesion.located]
    severity, severity_located = (Counter(lesion.severity for _, lesion in of) for of in (rows, located))
    kept = Counter(film.severity for film in films if film.kept)
    single = single_lesion_films(films)
    tissues: dict[int, set[str]] = {}
    for film in films:
        tissues.setdefault(film.woman, set()).add(film.tissue)
    radii = np.array([lesion.circle[2] for _, lesion in located], float)
    measures: dict[str, Callable[[NDArray], Any]] = {"min": np.min, "max": np.max, "mean": np.mean, "median": np.median}
    return {
        "films": len(films),
        "women": len(tissues),
        "rows": sum(len(film.lesions) or 1 for film in films),
        "kept": kept.total(),
        **{f"kept_{name}": kept[name] for name in ("normal", "benign", "malignant")},
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
        "located_by_tissue": {code: sum(film.tissue == code for film, _ in located) for code in TISSUES},
        "located_by_kind": {code: sum(lesion.kind == code for _, lesion in located) for code in KINDS},
        **{f"radius_{name}": float(measure(radii)) if len(radii) else None for name, measure in measures.items()},
        "films_radius_above_half_crop": _references(film for film, lesion in located if lesion.circle[2] > CROP / 2),
        "single_lesions": len(single),
        "single_lesion_women": len({film.woman for film in single}),
        "films_crop_leaves": _references(film for film in single if film.lesions[0].crop_leaves_film()),
        "women_of_two_tissues": sorted(woman for woman, kinds in tissues.items() if len(kinds) > 1),
    }


def origin_check(films: Iterable[Film]) -> float:
    """Return the share of single-lesion boxes that keep an IoU of 0.5 when the origin of Info.txt is ignored.

    Info.txt counts y from the bottom-left corner; who overlooks that mirrors every box top to bottom.

    Raises:
        ValueError: no film has a single located lesion.
    """
    circles = np.array([film.lesions[0].circle for film in single_lesion_films(films)])
    if not len(circles):
        raise ValueError("films: none has a single lesion with a centre, so there is no box to check")
    row, column, radius = circles.T
    ious = paired_iou(circle_to_box(row, column, radius), circle_to_box(SIDE - 1 - row, column, radius))
    return float((ious >= 0.5).mean())


def dark_share(film: Film, lesion: Lesion) -> float:
    """Return the share of a lesion's box, in [0, 1], whose pixels are at most 10.

    The box is cut off at the border of the film and rounded outwards to whole pixels.
    """
    left, top = np.floor(lesion.box[:2]).clip(0).astype(int)
    right, bottom = np.ceil(lesion.box[2:]).astype(int)
    return float((film.pixels()[top:bottom, left:right] <= 10).mean())


def dark_boxes(films: Iterable[Film]) -> list[str]:
    """Return the references of films with a suspicious annotation: a located lesion whose box holds much background.

    The limit is the background rule that the paper has for patches (section 2), applied to the boxes: more than 20 %
    of the pixels at 10 or below. It finds five films of mini-MIAS; of these, one box is more than half dark.
    """
    return _references(film for film in films for one in film.lesions if one.located and dark_share(film, one) > 0.2)


def _references(films: Iterable[Film]) -> list[str]:
    """Return each film's reference once, in the order they first appear."""
    return list(dict.fromkeys(film.reference for film in films))
