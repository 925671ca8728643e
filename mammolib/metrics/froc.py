"""Free-response ROC: how many lesions are found against how many false marks a reader has to look at.

Screening shows mostly films without a lesion, and a reader's time goes into false marks. So the curve puts sensitivity
(lesions found / lesions) against false positives per image, counted over all images, normal ones included.

Conventions, those of the CAMELYON16 and LUNA16 challenges where they speak of it: a second mark on a lesion that is
already found is neither a hit nor a false positive, and the curve is read at fixed numbers of false positives on the
straight lines between its points; beyond its last point it stays level, since the detector makes no more marks. Every
function here reads it so. Marks of equal confidence enter together, since no threshold tells them apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammolib.geometry import Detections, Truths
from mammolib.metrics.matches import FALSE, TRUE, Matches, whole_weights
from mammolib.metrics.matching import match

CAMELYON = (0.25, 0.5, 1, 2, 4, 8)
LUNA16 = (0.125, 0.25, 0.5, 1, 2, 4, 8)
"""False positives per image at which the two challenges read the curve."""


@dataclass(frozen=True)
class Froc:
    """A FROC curve; point i is the detector with its confidence threshold at `confidence[i]`.

    Attributes:
        false_positives: (K,) per image, rising from 0.
        sensitivity: (K,) share of the lesions found.
        confidence: (K,) thresholds, falling; the first is infinite: nothing is marked.
        lesions, n_images: what the two axes are divided by.
    """

    false_positives: NDArray[np.floating]
    sensitivity: NDArray[np.floating]
    confidence: NDArray[np.floating]
    lesions: int
    n_images: int

    def at(self, false_positives: ArrayLike) -> NDArray[np.floating]:
        """Return the sensitivity at so many false positives per image, read as `sensitivity_at` does.

        Raises:
            ValueError: a number that is negative or no number.
        """
        return _read(self.false_positives, self.sensitivity, false_positives)

    def score(self, at: tuple[float, ...] = CAMELYON) -> float:
        """Return a challenge's score: the mean sensitivity at these numbers of false positives per image.

        Raises:
            ValueError: no number, or one that is negative or no number.
        """
        return float(self.at(at).mean())


def match_any_class(detections: Detections, truths: Truths) -> Matches:
    """Judge detections at IoU 0.5, each as a mark on any lesion, whatever class the two have."""
    lesion, mark = np.ones_like(truths.label), np.ones_like(detections.label)
    truths = Truths(truths.image, lesion, truths.box, truths.n_images, truths.difficult, ("lesion",))
    return match(Detections(detections.image, mark, detections.confidence, detections.box), truths)


def froc(detections: Detections, truths: Truths) -> Froc:
    """Return the FROC curve of detections that `match_any_class` judges.

    Args:
        detections: what the detector answered.
        truths: the lesions; every one of `truths.n_images` images counts.

    Raises:
        ValueError: there is no lesion to find or no image, and what `match` raises.

    Example:
        >>> truths = Truths(image=[0], label=[1], box=[[0, 0, 10, 10]], n_images=2)
        >>> two = Detections(image=[1, 0], label=[1, 1], confidence=[0.9, 0.8], box=[[0, 0, 9, 9], [0, 0, 9, 10]])
        >>> curve = froc(two, truths)
        >>> curve.false_positives, curve.sensitivity
        (array([0. , 0.5, 0.5]), array([0., 0., 1.]))
    """
    matches = match_any_class(detections, truths)
    marks = _marks(matches)
    lesions = len(matches.truths())
    if not lesions:
        raise ValueError("truths: there is no lesion to find; sensitivity is undefined")
    return Froc(
        false_positives=np.r_[0, np.cumsum(marks.false)[marks.ends]] / matches.n_images,
        sensitivity=np.r_[0, np.cumsum(marks.true)[marks.ends]] / lesions,
        confidence=np.r_[np.inf, marks.confidence[marks.ends]],
        lesions=lesions,
        n_images=matches.n_images,
    )


def sensitivity_at(
    matches: Matches, false_positives: ArrayLike, weights: ArrayLike | None = None
) -> NDArray[np.floating]:
    """Return the sensitivity at fixed numbers of false positives per image, for many weightings of the images.

    Args:
        matches: judged detections, with one threshold; all classes are taken together.
        false_positives: (P,) per image, read on the straight lines between the curve's points.
        weights: (R, n_images) whole numbers, how often each image counts; default once.

    Returns:
        (R, P) sensitivities, or (P,) without weights; NaN where the weights leave no lesion. The mean over the last
        axis is a challenge's score.

    Raises:
        ValueError: matches that have several thresholds or were trimmed; weights that are negative or not whole; a
            number that is negative or no number.
    """
    marks = _marks(matches)
    w = np.ones((1, matches.n_images), int) if weights is None else whole_weights(weights, matches.n_images)
    if w.ndim != 2:
        raise ValueError(f"weights: expected shape (R, {matches.n_images}), got {w.shape}")
    points = np.asarray(false_positives, float).reshape(-1)
    answer = np.full((len(w), len(points)), np.nan)
    lesions, images = w[:, matches.truth_image[matches.truths()]].sum(axis=1), w.sum(axis=1)
    for r in np.flatnonzero(lesions > 0):
        counts = w[r, marks.image]
        x = np.r_[0, np.cumsum(counts * marks.false)[marks.ends]] / images[r]
        answer[r] = _read(x, np.r_[0, np.cumsum(counts * marks.true)[marks.ends]] / lesions[r], points)
    return answer[0] if weights is None else answer


def _read(x: NDArray, y: NDArray, points: ArrayLike) -> NDArray[np.floating]:
    """Read a rising curve at these points, on straight lines; where it goes straight up, at the upper end."""
    points = np.asarray(points, float)
    bad = np.flatnonzero(~(points >= 0))
    if not points.size or len(bad):
        what = f"{points.reshape(-1)[bad[0]]:g} is none" if len(bad) else "none is given"
        raise ValueError(f"false_positives: must be numbers from 0, {what}")
    return np.interp(points, x, y)


@dataclass(frozen=True)
class _Marks:
    """All marks in one ranking: which are true, which false, and after which rows a confidence ends."""

    true: NDArray[np.bool_]
    false: NDArray[np.bool_]
    image: NDArray[np.integer]
    confidence: NDArray[np.floating]
    ends: NDArray[np.integer]


def _marks(matches: Matches) -> _Marks:
    if len(matches.iou) != 1:
        raise ValueError(f"matches: a FROC curve needs one threshold, these have {len(matches.iou)}")
    if not matches.whole:
        raise ValueError(
            "matches: they were trimmed, so false marks at and after the last true one's confidence are missing; "
            "judge the detections anew"
        )
    if matches.n_images < 1:
        raise ValueError("truths.n_images: there is no image")
    ranking = np.argsort(-matches.confidence, kind="stable")
    outcome, confidence = matches.outcome[0, ranking], matches.confidence[ranking]
    ends = np.flatnonzero(np.diff(confidence, append=np.nan) != 0)
    return _Marks(outcome == TRUE, outcome == FALSE, matches.image[ranking], confidence, ends)
