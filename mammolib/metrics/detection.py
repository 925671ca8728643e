"""Precision, recall and average precision, in every definition a detection paper may mean.

`match` (in `mammolib.metrics.matching`) judges the detections; what is here counts the judgements. A metric of matches
takes `weights`: how often each image counts. A bootstrap draws images with replacement, so its replicates are weights,
and a thousand of them cost one matching.

The four definitions differ in how the mean height of the precision-recall curve is taken, after the zigzag has been
replaced by its envelope, p_interp(r) = the highest precision at recall r or more:

=========  ==============================================  =================================
definition  mean of p_interp over                          judged by
=========  ==============================================  =================================
paper      20 recalls 0, 1/19, ..., 1 (section 4.2)        rule voc
voc2007    11 recalls 0, 1/10, ..., 1                      rule voc
voc2010    all recalls (the area under the envelope)       rule voc
coco       101 recalls 0, 1/100, ..., 1                    rule coco, 100 a class and image
=========  ==============================================  =================================

A class without truths has no recall: its average precision is undefined, NaN. A class with truths and no detections
has average precision 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammolib.geometry import Detections, Truths
from mammolib.metrics.matches import NEUTRAL, TRUE, Matches, whole_weights
from mammolib.metrics.matching import match

if TYPE_CHECKING:
    import pandas as pd

COCO_IOU = tuple(np.linspace(0.5, 0.95, 10).tolist())
"""The ten thresholds whose mean is COCO's headline number."""

CHUNK = 1 << 21  # weights times detections looked at together


@dataclass(frozen=True)
class Definition:
    """One definition of average precision.

    Attributes:
        name: how results call it.
        points: how many recalls between 0 and 1, both included, are averaged over; None averages over all recalls.
        rule, limit: how `match` is to judge.
        exact: compare recalls as fractions. COCO's definition is a program and compares floating-point numbers; there
            0.07 may not reach the point 0.07, and neither does it here.
    """

    name: str
    points: int | None
    rule: str = "voc"
    limit: int | None = None
    exact: bool = True


DEFINITIONS = {
    d.name: d
    for d in (
        Definition("paper", 20),
        Definition("voc2007", 11),
        Definition("voc2010", None),
        Definition("coco", 101, rule="coco", limit=100, exact=False),
    )
}


@dataclass(frozen=True)
class PrecisionRecall:
    """The precision-recall curve of one class: row i is the state after the i-th detection that is not neutral.

    Attributes:
        recall, precision, confidence: (N,) float.
        true: (N,) bool, whether the detection found a lesion.
        truths: how many lesions there are to be found.
        label: the class.
    """

    recall: NDArray[np.floating]
    precision: NDArray[np.floating]
    confidence: NDArray[np.floating]
    true: NDArray[np.bool_]
    truths: int
    label: int

    def __len__(self) -> int:
        return len(self.recall)

    @property
    def envelope(self) -> NDArray[np.floating]:
        """(N,) the highest precision at this recall or more: the curve without its zigzag."""
        return np.maximum.accumulate(self.precision[::-1])[::-1]

    def at(self, recall: ArrayLike) -> NDArray[np.floating]:
        """Return p_interp at these recalls: 0 where the detector never gets that far."""
        first = np.searchsorted(self.recall, np.asarray(recall, float) - 1e-12, side="left")
        return np.append(self.envelope, 0.0)[first]

    def average_precision(self, definition: str | Definition = "paper") -> float:
        """Return the curve's mean height; see `average_precision`."""
        definition = _definition(definition)
        found = np.flatnonzero(self.true)
        number = np.arange(1, len(found) + 1)
        return float(_mean_height(number, self.precision[found], self.truths, definition)) if len(found) else 0.0


@dataclass(frozen=True)
class MeanAveragePrecision:
    """A mean average precision and what it is the mean of.

    Attributes:
        value: mean over the classes that have truths (and over the thresholds); NaN if no class has.
        by_class: average precision by class name, NaN where undefined.
    """

    value: float
    by_class: dict[str, float]

    @property
    def note(self) -> str:
        """What was left out of the mean, in words; empty if nothing."""
        left_out = [name for name, value in self.by_class.items() if np.isnan(value)]
        return f"left out of the mean, having no truths: {', '.join(left_out)}" if left_out else ""


def precision_recall(matches: Matches, label: int, threshold: int = 0) -> PrecisionRecall:
    """Return the precision-recall curve of one class.

    Args:
        matches: judged detections.
        label: the class, 1 to len(classes).
        threshold: the number of the threshold in `matches.iou`.

    Raises:
        ValueError: the class does not exist, or has no truths, so that recall is undefined.
    """
    if not 1 <= label <= len(matches.classes):
        raise ValueError(f"label: {label} is not one of 1 to {len(matches.classes)}")
    n = len(matches.truths(label))
    if n == 0:
        raise ValueError(f"label: class {label} ({matches.classes[label - 1]}) has no truths; recall is undefined")
    rows = matches.of_class(label)
    outcome = matches.outcome[threshold, rows]
    counts = outcome != NEUTRAL
    true = outcome[counts] == TRUE
    found = np.cumsum(true)
    precision = found / np.arange(1, len(true) + 1)
    return PrecisionRecall(found / n, precision, matches.confidence[rows][counts], true, n, label)


def ranking_table(matches: Matches) -> pd.DataFrame:
    """Return the ranking of the first class as a pandas table: the table a reader completes by hand.

    Returns:
        A row for each detection that is not neutral, from rank 1: image, confidence, whether it is on a lesion, how
        many true and false ones there are so far, precision and recall.
    """
    import pandas as pd

    curve = precision_recall(matches, label=1)
    rows = matches.of_class(1)
    found = np.cumsum(curve.true)
    rank = pd.RangeIndex(1, len(curve) + 1, name="rank")
    table = {
        "image": matches.image[rows][matches.outcome[0, rows] != NEUTRAL],
        "confidence": curve.confidence,
        "verdict": np.where(curve.true, "true", "false"),
        "TP": found,
        "FP": rank - found,
        "precision": curve.precision,
        "recall": curve.recall,
    }
    return pd.DataFrame(table, index=rank)


def average_precision(
    detections: Detections | Matches,
    truths: Truths | None = None,
    definition: str | Definition = "paper",
    iou: float | Sequence[float] = 0.5,
    weights: ArrayLike | None = None,
) -> NDArray[np.floating]:
    """Return the average precision of every class.

    Args:
        detections: what the detector answered; or `Matches`, which are then counted as they have been judged,
            `truths` left out and `iou` not used.
        truths: the lesions.
        definition: a name in `DEFINITIONS`, or a `Definition` of your own.
        iou: the overlap a hit needs. With several, the first axis of the answer runs over them.
        weights: (..., n_images) whole numbers, how often each image counts; default once.

    Returns:
        ([thresholds,] [...,] classes) average precision in [0, 1]; NaN for a class without truths.

    Raises:
        ValueError: an unknown definition, weights of the wrong shape or not whole numbers, and what `match` raises.

    Example:
        >>> truths = Truths(image=[0], label=[1], box=[[0, 0, 10, 10]], n_images=1)
        >>> one = Detections(image=[0], label=[1], confidence=[0.9], box=[[0, 0, 10, 9]])
        >>> average_precision(one, truths)
        array([ 1., nan])
    """
    definition, matches, single = _judged(detections, truths, definition, iou)
    if weights is None:
        values = np.full((len(matches.iou), len(matches.classes)), np.nan)
        for label in range(1, len(matches.classes) + 1):
            if len(matches.truths(label)):
                curves = (precision_recall(matches, label, threshold) for threshold in range(len(matches.iou)))
                values[:, label - 1] = [curve.average_precision(definition) for curve in curves]
    else:
        w = whole_weights(weights, matches.n_images)
        flat = w.reshape(-1, matches.n_images)
        values = np.stack([_weighted(matches, t, flat, definition) for t in range(len(matches.iou))])
        values = values.reshape(len(matches.iou), *w.shape[:-1], len(matches.classes))
    return values[0] if single else values


@overload
def mean_average_precision(
    detections: Detections | Matches,
    truths: Truths | None = None,
    definition: str | Definition = "paper",
    iou: float | Sequence[float] = 0.5,
    weights: None = None,
) -> MeanAveragePrecision: ...


@overload
def mean_average_precision(
    detections: Detections | Matches,
    truths: Truths | None = None,
    definition: str | Definition = "paper",
    iou: float | Sequence[float] = 0.5,
    *,
    weights: ArrayLike,
) -> NDArray[np.floating]: ...


def mean_average_precision(
    detections: Detections | Matches,
    truths: Truths | None = None,
    definition: str | Definition = "paper",
    iou: float | Sequence[float] = 0.5,
    weights: ArrayLike | None = None,
) -> MeanAveragePrecision | NDArray[np.floating]:
    """Return the mean of the average precision over the classes that have truths, and over the thresholds.

    The arguments and errors are those of `average_precision`. COCO's headline number is
    ``mean_average_precision(detections, truths, "coco", COCO_IOU)``.

    Returns:
        The mean and what it is the mean of. With weights, (...,) means, one for each row of weights: the statistic to
        hand to a bootstrap. There it is NaN where the weights leave a class without truths that has some: the mean of
        the rest would be the mean of something else.
    """
    definition, matches, _ = _judged(detections, truths, definition, iou)
    values = average_precision(matches, definition=definition, weights=weights)
    if len(matches.iou) > 1:
        values = values.mean(axis=0)
    has_truths = [len(matches.truths(label)) > 0 for label in range(1, len(matches.classes) + 1)]
    mean = values[..., has_truths].mean(axis=-1) if any(has_truths) else np.full(values.shape[:-1], np.nan)
    if weights is not None:
        return mean
    by_class = dict(zip(matches.classes, values.tolist(), strict=True))
    return MeanAveragePrecision(float(mean), by_class)


def _judged(
    detections: Detections | Matches, truths: Truths | None, definition: str | Definition, iou: float | Sequence[float]
) -> tuple[Definition, Matches, bool]:
    definition = _definition(definition)
    if isinstance(detections, Matches):
        if truths is not None:
            raise ValueError("truths: matches have been judged already; leave the truths out")
        return definition, detections, len(detections.iou) == 1
    if truths is None:
        raise ValueError("truths: needed to judge detections")
    matches = match(detections, truths, iou, definition.rule, definition.limit)
    return definition, matches, np.ndim(iou) == 0


def _definition(definition: str | Definition) -> Definition:
    if isinstance(definition, str):
        if definition not in DEFINITIONS:
            raise ValueError(f"definition: {definition!r} is not one of {', '.join(DEFINITIONS)}")
        return DEFINITIONS[definition]
    return definition


def _weighted(matches: Matches, threshold: int, weights: NDArray, definition: Definition) -> NDArray[np.floating]:
    """Return (R, classes): the average precision under each of R rows of weights."""
    values = np.full((len(weights), len(matches.classes)), np.nan)
    for label in range(1, len(matches.classes) + 1):
        per_image = np.bincount(matches.truth_image[matches.truths(label)], minlength=matches.n_images)
        n = weights @ per_image
        rows = matches.of_class(label)
        outcome, image = matches.outcome[threshold, rows], matches.image[rows]
        true = np.flatnonzero(outcome == TRUE)
        values[n > 0, label - 1] = 0.0
        if not len(true):
            continue
        image = image[: true[-1] + 1]  # what follows the last true detection raises no precision
        counts = outcome[: true[-1] + 1] != NEUTRAL
        step = max(1, CHUNK // len(image))
        for start in range(0, len(weights), step):
            some = slice(start, start + step)
            w = weights[some][:, image] * counts
            shown = np.cumsum(np.add.reduceat(w, np.r_[0, true[:-1] + 1], axis=1), axis=1)
            found = np.cumsum(w[:, true], axis=1)
            height = np.divide(found, shown, out=np.zeros(found.shape), where=found > 0)
            has = n[some] > 0
            values[some, label - 1][has] = _mean_height(found[has], height[has], n[some][has, None], definition)
    return values


def _mean_height(found: NDArray, height: NDArray, n: int | NDArray, definition: Definition) -> NDArray[np.floating]:
    """Return the mean of the envelope, given its corners: (..., K) the lesions found and the precision there.

    Between two corners the envelope has the height of the right one, so a corner counts as many times as there are
    recall points above the corner before it and up to its own. Counting them in whole numbers leaves nothing to
    rounding: the point j / (points - 1) is reached when found x (points - 1) >= j x n.
    """
    envelope = np.maximum.accumulate(height[..., ::-1], axis=-1)[..., ::-1]
    if definition.points is None:
        reached, points = found / n, 1
    elif definition.exact:
        reached, points = found * (definition.points - 1) // n + 1, definition.points
    else:
        recalls = np.linspace(0, 1, definition.points)
        reached, points = np.searchsorted(recalls, found / n, side="right"), definition.points
    return (envelope * np.diff(reached, axis=-1, prepend=0)).sum(axis=-1) / points
