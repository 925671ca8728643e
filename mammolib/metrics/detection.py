"""Precision, recall and average precision, in every definition a detection paper may mean.

`match` judges the detections; what is here counts the judgements. A class without truths has no recall: its average
precision is undefined, NaN. A class with truths and no detections has average precision 0.
A metric takes `weights`, how often each image counts. A bootstrap draws images with replacement, so its replicates are
weights, and a thousand of them cost one matching.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammolib.geometry import Detections, Truths
from mammolib.metrics.intervals import whole_weights
from mammolib.metrics.matching import NEUTRAL, TRUE, Matches, match

if TYPE_CHECKING:
    import pandas as pd

COCO_IOU = tuple(np.linspace(0.5, 0.95, 10).tolist())
"""The ten thresholds whose mean is COCO's headline number."""

CHUNK = 1 << 18  # weights times detections looked at together: what fits into a cache


@dataclass(frozen=True)
class Definition:
    """One definition of average precision: how the mean height of the precision-recall curve is taken.

    The zigzag is replaced by its envelope, p_interp(r) = the highest precision at recall r or more.

    Attributes:
        name: how results call it.
        points: p_interp is averaged over so many recalls, 0 and 1 included; None: over all, the area under it.
        rule, limit: how `match` is to judge.
        exact: compare recalls as fractions, not as the floating-point numbers of COCO's program.
    """

    name: str
    points: int | None
    rule: str = "voc"
    limit: int | None = None
    exact: bool = True


DEFINITIONS = {
    "paper": Definition("paper", 20),  # section 4.2: recalls 0, 1/19, ..., 1
    "voc2007": Definition("voc2007", 11),
    "voc2010": Definition("voc2010", None),
    "coco": Definition("coco", 101, rule="coco", limit=100, exact=False),  # the 100 best of a class and image
}


Judged = Detections | Matches
Named = str | Definition
Thresholds = float | Sequence[float]


@dataclass(frozen=True)
class PrecisionRecall:
    """The precision-recall curve of one class: row i is the state after the i-th detection that is not neutral.

    `true` says whether that detection found one of the `truths` lesions there are to be found.
    """

    recall: NDArray[np.floating]
    precision: NDArray[np.floating]
    confidence: NDArray[np.floating]
    true: NDArray[np.bool_]
    truths: int

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

    def average_precision(self, definition: Named = "paper") -> float:
        """Return the curve's mean height in this definition."""
        found = np.arange(1, self.true.sum() + 1)
        height = self.precision[self.true]
        return float(_mean_height(found, height, self.truths, _definition(definition))) if len(found) else 0.0


@dataclass(frozen=True)
class MeanAveragePrecision:
    """A mean average precision, over the classes that have truths, and what it is the mean of; NaN is undefined."""

    value: float
    by_class: dict[str, float]

    @property
    def note(self) -> str:
        """What was left out of the mean, in words."""
        left_out = [name for name, value in self.by_class.items() if np.isnan(value)]
        return f"left out of the mean, having no truths: {', '.join(left_out)}" if left_out else ""


def precision_recall(matches: Matches, label: int, threshold: int = 0) -> PrecisionRecall:
    """Return the precision-recall curve of one class, 1 to len(classes), at `matches.iou[threshold]`.

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
    return PrecisionRecall(found / n, found / np.arange(1, len(true) + 1), matches.confidence[rows][counts], true, n)


def ranking_table(matches: Matches) -> pd.DataFrame:
    """Return the table a reader completes by hand: a row for each detection of the first class that is not neutral."""
    import pandas as pd

    curve, rows = precision_recall(matches, label=1), matches.of_class(1)
    table = pd.DataFrame({"image": matches.image[rows][matches.outcome[0, rows] != NEUTRAL]})
    table.index = pd.RangeIndex(1, len(curve) + 1, name="rank")
    table["confidence"], table["verdict"] = curve.confidence, np.where(curve.true, "true", "false")
    table["TP"], table["FP"] = curve.true.cumsum(), (~curve.true).cumsum()
    table["precision"], table["recall"] = curve.precision, curve.recall
    return table


def average_precision(
    detections: Judged,
    truths: Truths | None = None,
    definition: Named = "paper",
    iou: Thresholds = 0.5,
    weights: ArrayLike | None = None,
) -> NDArray[np.floating]:
    """Return the average precision of every class.

    Args:
        detections: what the detector answered; or `Matches`, counted as they have been judged, without truths and iou.
        truths: the lesions.
        definition: a name in `DEFINITIONS`, or a `Definition` of your own.
        iou: the overlap a hit needs. With a list, the first axis of the answer runs over it.
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
    definition, matches = _judged(detections, truths, definition, iou)
    w = None if weights is None else whole_weights(weights, matches.n_images)
    values = np.full((len(matches.iou), *(() if w is None else w.shape[:-1]), len(matches.classes)), np.nan)
    for label in range(1, len(matches.classes) + 1):
        if len(matches.truths(label)):
            for t in range(len(matches.iou)):
                if w is None:
                    values[t, label - 1] = precision_recall(matches, label, t).average_precision(definition)
                else:
                    flat = _weighted(matches, label, t, w.reshape(-1, matches.n_images), definition)
                    values[t, ..., label - 1] = flat.reshape(w.shape[:-1])
    return values[0] if len(matches.iou) == 1 and np.ndim(iou) == 0 else values


@overload
def mean_average_precision(
    detections: Judged, truths: Truths | None = ..., definition: Named = ..., iou: Thresholds = ..., weights: None = ...
) -> MeanAveragePrecision: ...
@overload
def mean_average_precision(
    detections: Judged,
    truths: Truths | None = ...,
    definition: Named = ...,
    iou: Thresholds = ...,
    *,
    weights: ArrayLike,
) -> NDArray[np.floating]: ...
def mean_average_precision(
    detections: Judged,
    truths: Truths | None = None,
    definition: Named = "paper",
    iou: Thresholds = 0.5,
    weights: ArrayLike | None = None,
) -> MeanAveragePrecision | NDArray[np.floating]:
    """Return the mean of `average_precision`, arguments as there, over the classes with truths and the thresholds.

    COCO's headline number is ``mean_average_precision(detections, truths, "coco", COCO_IOU)``.

    Returns:
        The mean and what it is the mean of. With weights, (...,) means, the statistic to hand to a bootstrap: NaN where
        the weights leave a class without truths that has some, since the rest has the mean of something else.
    """
    definition, matches = _judged(detections, truths, definition, iou)
    values = average_precision(matches, definition=definition, weights=weights)
    if len(matches.iou) > 1:
        values = values.mean(axis=0)
    has_truths = [len(matches.truths(label)) > 0 for label in range(1, len(matches.classes) + 1)]
    mean = values[..., has_truths].mean(axis=-1) if any(has_truths) else np.full(values.shape[:-1], np.nan)
    if weights is not None:
        return mean
    return MeanAveragePrecision(float(mean), dict(zip(matches.classes, values.tolist(), strict=True)))


def _judged(
    detections: Judged, truths: Truths | None, definition: Named, iou: Thresholds
) -> tuple[Definition, Matches]:
    definition = _definition(definition)
    if isinstance(detections, Matches):
        if truths is not None:
            raise ValueError("truths: matches have been judged already; leave the truths out")
        return definition, detections
    if truths is None:
        raise ValueError("truths: needed to judge detections")
    return definition, match(detections, truths, iou, definition.rule, definition.limit)


def _definition(definition: Named) -> Definition:
    if isinstance(definition, Definition):
        return definition
    if definition not in DEFINITIONS:
        raise ValueError(f"definition: {definition!r} is not one of {', '.join(DEFINITIONS)}")
    return DEFINITIONS[definition]


def _weighted(
    matches: Matches, label: int, threshold: int, weights: NDArray, definition: Definition
) -> NDArray[np.floating]:
    """Return (R,): a class's average precision under each of R rows of weights."""
    lesions = weights @ np.bincount(matches.truth_image[matches.truths(label)], minlength=matches.n_images)
    values = np.where(lesions > 0, 0.0, np.nan)
    rows = matches.of_class(label)
    outcome, image = matches.outcome[threshold, rows], matches.image[rows]
    true = np.flatnonzero(outcome == TRUE)
    if len(true):
        image = image[: true[-1] + 1]  # what follows the last true detection raises no precision
        counts = outcome[: true[-1] + 1] != NEUTRAL
        step = max(1, CHUNK // len(image))
        for start in range(0, len(weights), step):
            some = slice(start, start + step)
            w = weights[some][:, image] * counts
            shown = np.cumsum(np.add.reduceat(w, np.r_[0, true[:-1] + 1], axis=1), axis=1)
            found = np.cumsum(w[:, true], axis=1)
            height = np.divide(found, shown, out=np.zeros(found.shape), where=found > 0)
            has = lesions[some] > 0
            values[some][has] = _mean_height(found[has], height[has], lesions[some][has, None], definition)
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
