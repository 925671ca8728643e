"""Hits and false marks under a hit rule, and what is read off them for any weighting of the films.

A lesion is found at a confidence threshold if any mark above it hits the lesion; further marks on it are neither true
nor false; a mark that hits no lesion is one false mark. So a better mark never becomes false because a worse one came
first, and all that matters of a lesion is the best confidence among the marks that hit it.

Sensitivity at x false marks a film is read on the straight lines between the points of the FROC curve, as CAMELYON16
does. Those lines are level or upright, except where false marks tie with a lesion: there a share of both is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mammolib.geometry import iou
from mammolib.metrics import CAMELYON as POINTS
from mammolib.mias import Film, Lesion

LOW, HIGH = 1 / 20, 1 / 2
"""The interval over which Kallenberg and Karssemeijer (2008) take the mean sensitivity."""
LEAST_RADIUS = 24
"""Pixels around a lesion's centre in which the centre of a mark is a hit, however small its circle."""
RULES = {"centre": "", "iou0.1": "_iou0.1", "iou0.5": "_iou0.5"}
"""Hit rules, and what the names of their metrics end with: the mark's centre in the lesion's circle, or its overlap."""


@dataclass(frozen=True)
class Counts:
    """What a threshold at each lesion's own confidence gives; lesions in the order of the films.

    Attributes:
        film: (J,) int, the film of each lesion.
        confidence: (J,) the best among the marks that hit it; minus infinity where none does.
        above, reached: (n_films, J) false marks of each film above, and at or above, that confidence.
        false: (n_films,) false marks of each film.
    """

    film: NDArray[np.integer]
    confidence: NDArray[np.floating]
    above: NDArray[np.floating]
    reached: NDArray[np.floating]
    false: NDArray[np.integer]


def count(films: Sequence[Film], marks: Sequence[NDArray[np.floating]], rule: str) -> Counts:
    """Count hits and false marks by one of `RULES`; `marks`: of each film, (N, 5): x1, y1, x2, y2, confidence.

    All lesions of the films have a centre.
    """
    best, false = [], []
    for film, rows in zip(films, marks, strict=True):
        hits = np.zeros((len(film.lesions), len(rows)), bool)
        for j, lesion in enumerate(film.lesions):
            hits[j] = _hits(lesion, rows, rule)
        best.append(np.where(hits, rows[:, 4], -np.inf).max(axis=1, initial=-np.inf))
        false.append(np.sort(rows[~hits.any(axis=0), 4]))
    confidence = np.concatenate(best)
    above, reached = (
        np.array([len(f) - np.searchsorted(f, confidence, side=side) for f in false], np.float32)
        for side in ("right", "left")
    )
    film_of = np.repeat(np.arange(len(films)), [len(b) for b in best])
    return Counts(film_of, confidence, above, reached, np.array([len(f) for f in false]))


def _hits(lesion: Lesion, rows: NDArray, rule: str) -> NDArray[np.bool_]:
    if rule != "centre":
        return iou(lesion.box[None], rows[:, :4])[0] >= float(rule.removeprefix("iou"))
    row, column, radius = lesion.circle
    x, y = (rows[:, 0] + rows[:, 2]) / 2, (rows[:, 1] + rows[:, 3]) / 2
    return np.hypot(x - column, y - row) <= max(radius, LEAST_RADIUS)


Measure = Callable[..., NDArray[np.floating]]
"""Called with counts, (R, n_films) weights of the films, and (J,) bool, the lesions asked for; gives R values."""
Lesions = NDArray[np.bool_] | slice


def sensitivity(
    counts: Counts, weights: NDArray, lesions: Lesions = slice(None), at: Sequence[float] = (1,)
) -> NDArray:
    """Return the mean of the sensitivities at these numbers of false marks a film, for each of R weightings.

    The threshold is that of all films and lesions, also where only some lesions are asked for; NaN where the weights
    leave none of them.
    """
    low, high, tie, films = _false_marks(counts, weights, lesions)
    shares = [np.where(high > low, np.clip((x * films - low) / tie, 0, 1), x * films >= low) for x in at]
    return _mean(counts, weights, lesions, np.mean(shares, axis=0))


def mean_sensitivity(counts: Counts, weights: NDArray, lesions: Lesions = slice(None)) -> NDArray:
    """Return the mean sensitivity over `LOW` to `HIGH` false marks a film: the area under that stretch of the curve."""
    low, high, tie, films = _false_marks(counts, weights, lesions)

    def area(x: NDArray) -> NDArray:
        """Area, left of x, under a lesion's share, which climbs from 0 at `low` to 1 at `high`."""
        slope = np.clip(x - low, 0, tie) ** 2 / (2 * tie) + np.maximum(x - high, 0)
        return np.where(high > low, slope, np.maximum(x - low, 0))

    left, right = LOW * films, HIGH * films
    return _mean(counts, weights, lesions, (area(right) - area(left)) / (right - left))


def average_precision(counts: Counts, weights: NDArray, lesions: Lesions = slice(None)) -> NDArray:
    """Return the area under the precision-recall curve whose precision never falls to the left (VOC 2010).

    Precision is lesions found / (lesions found + false marks), whatever their class.
    """
    found = weights[:, counts.film] @ (counts.confidence[:, None] >= counts.confidence).astype(float)
    marked = found + weights @ counts.reached
    precision = np.divide(found, marked, out=np.zeros_like(found), where=(marked > 0) & np.isfinite(counts.confidence))
    order = np.argsort(counts.confidence)
    precision[:, order] = np.maximum.accumulate(precision[:, order], axis=1)
    return _mean(counts, weights, lesions, precision[:, lesions])


MEASURES: dict[str, Measure] = {f"sensitivity_at_{x:g}": partial(sensitivity, at=(x,)) for x in POINTS} | {
    "camelyon_score": partial(sensitivity, at=POINTS),
    "mean_sensitivity_0.05_to_0.5": mean_sensitivity,
    "ap": average_precision,
}


def curve(counts: Sequence[Counts]) -> dict[str, list[float]]:
    """Return the corners of the FROC curve: false marks a film, and sensitivity; of several curves, their mean."""
    corners = [_corners(c) for c in counts]
    x, y = corners[0]
    if len(corners) > 1:
        grid = np.r_[0, np.geomspace(0.01, max(x[-1] for x, _ in corners), 200)]
        x, y = grid.tolist(), np.mean([np.interp(grid, *one) for one in corners], axis=0).round(4).tolist()
    return {"false_marks": x, "sensitivity": y}


def _corners(counts: Counts) -> tuple[list[float], list[float]]:
    n, points = len(counts.false), [(0.0, 0)]
    for j in np.argsort(-counts.confidence):
        confidence = counts.confidence[j]
        if np.isfinite(confidence):
            points.append((float(counts.above[:, j].sum() / n), int((counts.confidence > confidence).sum())))
            points.append((float(counts.reached[:, j].sum() / n), int((counts.confidence >= confidence).sum())))
    points.append((float(counts.false.sum() / n), points[-1][1]))
    x, y = zip(*dict.fromkeys(points), strict=True)
    return list(x), [found / len(counts.confidence) for found in y]


def _false_marks(counts: Counts, weights: NDArray, lesions: Lesions) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Return weighted false marks above, and at or above, each lesion's confidence, those tied with it, and the films.

    All are (R, J), the weighted films (R, 1). Weights are whole, so a tie has at least one mark, or none: then 1e-9.
    Counts are whole and below 2^24, so single precision holds them exactly, in half the time.
    """
    w = weights.astype(np.float32)
    low, high = ((w @ part[:, lesions]).astype(float) for part in (counts.above, counts.reached))
    return low, high, np.maximum(high - low, 1e-9), weights.sum(axis=1, keepdims=True)


def _mean(counts: Counts, weights: NDArray, lesions: Lesions, share: NDArray) -> NDArray:
    """Return the weighted mean of a share over lesions; those that are never found have none."""
    times = weights[:, counts.film[lesions]]
    total = times.sum(axis=1)
    share = np.where(np.isfinite(counts.confidence[lesions]), share, 0)
    return np.divide((times * share).sum(axis=1), total, out=np.full(len(weights), np.nan), where=total > 0)
