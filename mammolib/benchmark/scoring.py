"""The score of one file of detections: a record with every number, its interval over women, and the FROC curves.

A film with a lesion that Info.txt does not place (in mini-MIAS mdb059, mdb216, mdb233 and mdb245) is left out: a mark
on it can be neither true nor false. The 318 others hold all 119 lesions that have a place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammolib import mias, results
from mammolib.metrics import measured
from mammolib.mias import Film

from .counting import MEASURES, RULES, Measure, count, curve
from .dealing import folds_digest
from .predictions import FORMAT, checked, digest, marks_of

STRATA_AT = (1, 4)
"""False marks a film at which lesions are told apart by class, tissue and size, under the centre rule."""


def score(
    predictions: dict[str, Any] | Sequence[dict[str, Any]],
    films: Sequence[Film],
    source: str = "predictions",
    name: str | None = None,
) -> results.Record:
    """Score detections on whole films.

    Args:
        predictions: as `read` returns them; checked here, so they may be made by hand. Of several, such as those of the
            five repeats, every number is the mean over them, in every resample of the women too.
        films: as `mias.load` returns them; predictions name each of them and no other.
        source: what errors call the predictions.
        name: what the leaderboard calls the detector.

    Returns:
        A record. Metrics, the names for IoU 0.1 and 0.5 ending with `_iou0.1` and `_iou0.5`: sensitivity_at_0.25,
        _0.5, _1, _2, _4, _8 (false marks a film), camelyon_score, mean_sensitivity_0.05_to_0.5 and ap; by class,
        tissue and size sensitivity_at_1 and _4 with `_CALC`, `_fatty`, `_small` and so on behind; counts of films,
        lesions and marks. The curves are in `outputs`.

    Raises:
        ValueError: the predictions are not valid (see `read`), or no film has a lesion to find.
    """
    several = [predictions] if isinstance(predictions, dict) else predictions
    documents, shows, marks = zip(*(counted(one, films, source) for one in several), strict=True)
    shown, women = shows[0], np.array([film.woman for film in shows[0]])
    counts = {rule: [count(shown, rows, rule) for rows in marks] for rule in RULES}
    film_of = counts["centre"][0].film

    def number(measure: Measure, rule: str, lesions: NDArray[np.bool_]) -> dict[str, Any]:
        behind = np.isin(np.arange(len(shown)), film_of[lesions])
        return measured(
            lambda w: np.mean([measure(c, w.astype(float), lesions) for c in counts[rule]], axis=0), women, behind
        )

    metrics: dict[str, Any] = {
        "films": len(shown), "films_left_out": len(films) - len(shown), "women": len(np.unique(women)),
        "lesions": len(film_of), "marks": round(sum(len(r) for rows in marks for r in rows) / len(several)),
    }  # fmt: skip
    for rule, suffix in RULES.items():
        for key, measure in MEASURES.items():
            metrics[key + suffix] = number(measure, rule, np.ones(len(film_of), bool))
    parts, edges = strata(shown)
    for part, lesions in parts.items():
        for x in STRATA_AT:
            metrics[f"sensitivity_at_{x}_{part}"] = number(MEASURES[f"sensitivity_at_{x}"], "centre", lesions)
    outputs = {"curves": {rule: curve(c) for rule, c in counts.items()}, "radius_terciles": edges}
    repeats, digests = [d["repeat"] for d in documents], [digest(d) for d in documents]
    one = len(several) == 1
    settings = {"repeat": repeats[0] if one else repeats, "predictions": digests[0] if one else digests}
    settings |= {} if name is None else {"detector": name}
    return record_of("benchmark", settings, films, metrics, outputs)


def counted(
    predictions: dict[str, Any], films: Sequence[Film], source: str
) -> tuple[dict[str, Any], list[Film], list[NDArray[np.floating]]]:
    """Check detections and return them, the films that count, and the marks on each of these."""
    document = checked(predictions, source)
    marks = marks_of(document, films, source)
    placed = [i for i, film in enumerate(films) if film.placed]
    if not any(films[i].lesions for i in placed):
        raise ValueError("films: none has a lesion with a centre, so there is nothing to find")
    return document, [films[i] for i in placed], [marks[i] for i in placed]


def strata(films: Sequence[Film]) -> tuple[dict[str, NDArray[np.bool_]], list[float]]:
    """Return which lesions are of a class, severity, tissue or size, by name, and the radii that part the sizes."""
    lesions = [(film, lesion) for film in films for lesion in film.lesions]
    radius = np.array([lesion.radius for _, lesion in lesions])
    first, second = edges = np.quantile(radius, [1 / 3, 2 / 3])
    columns = (
        ([lesion.kind for _, lesion in lesions], mias.KINDS),
        ([mias.SEVERITIES[lesion.severity] for _, lesion in lesions], mias.SEVERITIES.values()),
        ([mias.TISSUES[film.tissue] for film, _ in lesions], mias.TISSUES.values()),
    )
    parts = {name: np.array(values) == name for values, names in columns for name in names}
    parts |= {"small": radius <= first, "medium": (first < radius) & (radius <= second), "large": radius > second}
    return parts, edges.tolist()


def record_of(
    name: str, settings: dict[str, Any], films: Sequence[Film], metrics: dict[str, Any], outputs: dict[str, Any]
) -> results.Record:
    """Return a record of the benchmark: what was asked holds the digests of folds, films and predictions."""
    digest = mias.digest(films)
    data = {"name": "mini-MIAS" if digest in mias.DIGESTS else "other films", "digest": digest, "films": len(films)}
    settings = {"format": FORMAT, "folds": folds_digest(), **settings}
    return results.Record(
        name, settings, data, seed=0, split="woman", metrics=metrics, outputs=outputs, machine=results.machine()
    )
