"""The evaluator of the SSD implementation the paper built on, as far as its two oddities go, in our own code.

Read off its published source (Ferrari, ssd_keras, 2018): with its default settings it adds one pixel to the sides of
a box when it computes areas, and none when it computes intersections; and the class loop passes over a class without
detections before its counts are stored, so that the next step looks them up in the wrong place or beyond the end.
Nothing in this project uses it but the chapter on the metric, which shows what it does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammolib.geometry import Detections, Truths, as_boxes, intersection
from mammolib.metrics import matching
from mammolib.metrics.matching import NEUTRAL, TRUE, Matches


def mixed_iou(a: ArrayLike, b: ArrayLike) -> NDArray[np.floating]:
    """Return the (N, M) overlaps of (N, 4) and (M, 4) `xyxy` boxes: areas with one pixel more a side, shares without.

    Example:
        >>> mixed_iou([[0, 0, 20, 20]], [[0, 0, 20, 20]]).round(2)
        array([[0.83]])
    """
    return _paired(as_boxes(a, "a")[:, None], as_boxes(b, "b"))


def _paired(a: NDArray, b: NDArray) -> NDArray[np.floating]:
    shared = intersection(a, b)
    size_a, size_b = ((box[..., 2:] - box[..., :2] + 1).prod(axis=-1) for box in (a, b))
    return shared / (size_a + size_b - shared)


def match(detections: Detections, truths: Truths) -> Matches:
    """Judge detections by the rule "voc" with a `mixed_iou` of 0.5; arguments as in `matching.match`."""
    return matching.match(detections, truths, 0.5, overlap=_paired)


def average_precisions(matches: Matches) -> list[float]:
    """Return one average precision for each class, in the evaluator's own steps.

    Raises:
        IndexError: a class has no detections. Its counts are missing from the list, so those of later classes move up:
            they are read under the wrong class, and the list ends before the last class is reached.
    """
    labels = range(1, len(matches.classes) + 1)
    outcomes = [matches.outcome[0, matches.of_class(label)] for label in labels]
    counts = [((o == TRUE).cumsum(), (o != NEUTRAL).cumsum()) for o in outcomes if len(o)]
    values = []
    for label in labels:
        found, shown = counts[label - 1]
        recall, precision = found / len(matches.truths(label)), found / np.maximum(shown, 1)
        heights = [precision[recall >= r].max(initial=0) for r in np.linspace(0, 1, 20)]
        values.append(float(np.mean(heights)))
    return values
