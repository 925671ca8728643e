"""The evaluator of the SSD implementation the paper built on, as far as its two oddities go, in our own code.

Read off its published source (Ferrari, ssd_keras, 2018): with its default settings it adds one pixel to the sides of
a box when it computes areas, and none when it computes intersections; and the class loop passes over a class without
detections before its counts are stored, so that the next step looks them up in the wrong place or beyond the end.
Nothing in this project uses it but the chapter on the metric, which shows what it does.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammolib.geometry import Detections, Truths, as_boxes
from mammolib.metrics import matching
from mammolib.metrics.matches import FALSE, NEUTRAL, REPEAT, TRUE, Matches


def mixed_iou(a: ArrayLike, b: ArrayLike) -> NDArray[np.floating]:
    """Return the (N, M) overlaps of (N, 4) and (M, 4) `xyxy` boxes: areas with one pixel more a side, shares without.

    Example:
        >>> mixed_iou([[0, 0, 20, 20]], [[0, 0, 20, 20]]).round(2)
        array([[0.83]])
    """
    a, b = as_boxes(a, "a")[:, None], as_boxes(b, "b")[None]
    shared = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None).prod(axis=-1)
    size_a, size_b = ((box[..., 2:] - box[..., :2] + 1).prod(axis=-1) for box in (a, b))
    return shared / (size_a + size_b - shared)


def match(detections: Detections, truths: Truths) -> Matches:
    """Judge detections by the rule "voc" with a `mixed_iou` of 0.5, one at a time; arguments as in `matching.match`."""
    matches = matching.match(detections, truths, 0.5)
    outcome, found = np.full(len(matches), FALSE, np.int8), np.full(len(matches), -1)
    taken = np.zeros(len(truths), bool)
    for place, row in enumerate(matches.row):
        there = np.flatnonzero((truths.image == detections.image[row]) & (truths.label == detections.label[row]))
        if not len(there):
            continue
        overlap = mixed_iou(detections.box[row : row + 1], truths.box[there])[0]
        best = there[overlap.argmax()]
        if overlap.max() < 0.5:
            continue
        if truths.difficult[best]:
            outcome[place] = NEUTRAL
        elif taken[best]:
            outcome[place] = REPEAT
        else:
            outcome[place], found[place], taken[best] = TRUE, best, True
    return replace(matches, outcome=outcome[None], truth=found[None])


def average_precisions(matches: Matches) -> list[float]:
    """Return one average precision for each class, in the evaluator's own steps.

    Raises:
        IndexError: a class has no detections. Its counts are missing from the list, so those of later classes move up:
            they are read under the wrong class, and the list ends before the last class is reached.
    """
    counts = []
    for label in range(1, len(matches.classes) + 1):
        rows = matches.of_class(label)
        if rows.start == rows.stop:
            continue
        true = matches.outcome[0, rows] == TRUE
        shown = (true | (matches.outcome[0, rows] != NEUTRAL)).cumsum()
        counts.append((true.cumsum(), shown))
    values = []
    for label in range(1, len(matches.classes) + 1):
        found, shown = counts[label - 1]
        recall, precision = found / len(matches.truths(label)), found / np.maximum(shown, 1)
        heights = [precision[recall >= r].max(initial=0) for r in np.linspace(0, 1, 20)]
        values.append(float(np.mean(heights)))
    return values
