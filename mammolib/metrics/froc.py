"""Free-response ROC: how many lesions are found against how many false marks a reader has to look at.

The curve puts sensitivity (lesions found / lesions) against false positives per image, over all images, normal ones
included. As in the CAMELYON16 and LUNA16 challenges, a second mark on a lesion is neither a hit nor a false positive,
and the curve is read on the straight lines between its points; beyond its last point it stays level, since the detector
makes no more marks. Marks of equal confidence enter together, since no threshold tells them apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammolib.geometry import Detections, Truths
from mammolib.metrics.intervals import whole_weights
from mammolib.metrics.matching import FALSE, TRUE, Matches, match

CAMELYON = (0.25, 0.5, 1, 2, 4, 8)
LUNA16 = (0.125, 0.25, 0.5, 1, 2, 4, 8)
"""False positives per image at which the two challenges read the curve."""


@dataclass(frozen=True)
class Froc:
    """A FROC curve: (K,) rising false positives per image and shares of the lesions found at (K,) falling confidences.

    At the first confidence, infinity, nothing is marked. `lesions` and `n_images` are what the axes are divided by.
    """

    false_positives: NDArray[np.floating]
    sensitivity: NDArray[np.floating]
    confidence: NDArray[np.floating]
    lesions: int
    n_images: int

    def at(self, false_positives: ArrayLike) -> NDArray[np.floating]:
        """Return the sensitivity at so many false positives per image, read as `sensitivity_at` does."""
        return _read(self.false_positives, self.sensitivity, false_positives)

    def score(self, at: tuple[float, ...] = CAMELYON) -> float:
        """Return a challenge's score: the mean sensitivity at these numbers of false positives per image."""
        return float(self.at(at).mean())


def match_any_class(detections: Detections, truths: Truths) -> Matches:
    """Judge detections at IoU 0.5, each as a mark on any lesion, whatever class the two have."""
    truths = replace(truths, label=np.ones_like(truths.label), classes=("lesion",))
    return match(replace(detections, label=np.ones_like(detections.label)), truths)


def froc(detections: Detections, truths: Truths) -> Froc:
    """Return the FROC curve of detections that `match_any_class` judges; every one of `truths.n_images` images counts.

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
    order, ends = _ranking(matches)
    outcome, lesions = matches.outcome[0, order], len(matches.truths())
    if not lesions:
        raise ValueError("truths: there is no lesion to find; sensitivity is undefined")
    x, y = (np.r_[0, np.cumsum(outcome == kind)[ends]] for kind in (FALSE, TRUE))
    confidence = np.r_[np.inf, matches.confidence[order][ends]]
    return Froc(x / matches.n_images, y / lesions, confidence, lesions, matches.n_images)


def sensitivity_at(
    matches: Matches, false_positives: ArrayLike, weights: ArrayLike | None = None
) -> NDArray[np.floating]:
    """Return the sensitivity at fixed numbers of false positives per image, for many weightings of the images.

    Args:
        matches: judged detections, whole and with one threshold; all classes are taken together.
        false_positives: (P,) per image, from 0.
        weights: (R, n_images) whole numbers, how often each image counts; default once.

    Returns:
        (R, P) sensitivities, or (P,) without weights; NaN where the weights leave no lesion. The mean over the last
        axis is a challenge's score.

    Raises:
        ValueError: an argument is not so.
    """
    order, ends = _ranking(matches)
    image, false, true = matches.image[order], *(matches.outcome[0, order] == kind for kind in (FALSE, TRUE))
    w = np.ones((1, matches.n_images), int) if weights is None else whole_weights(weights, matches.n_images)
    if w.ndim != 2:
        raise ValueError(f"weights: expected shape (R, {matches.n_images}), got {w.shape}")
    points = np.asarray(false_positives, float).reshape(-1)
    answer = np.full((len(w), len(points)), np.nan)
    lesions, images = w[:, matches.truth_image[matches.truths()]].sum(axis=1), w.sum(axis=1)
    for r in np.flatnonzero(lesions > 0):
        counts = w[r, image]
        x, y = (np.r_[0, np.cumsum(counts * marks)[ends]] for marks in (false, true))
        answer[r] = _read(x / images[r], y / lesions[r], points)
    return answer[0] if weights is None else answer


def _read(x: NDArray, y: NDArray, points: ArrayLike) -> NDArray[np.floating]:
    """Read a rising curve at these points, on straight lines; where it goes straight up, at the upper end."""
    points = np.asarray(points, float)
    bad = points[~(points >= 0)]
    if not points.size or bad.size:
        what = f"{bad.flat[0]:g} is none" if bad.size else "none is given"
        raise ValueError(f"false_positives: must be numbers from 0, {what}")
    return np.interp(points, x, y)


def _ranking(matches: Matches) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Return the order of the marks of all classes together, and the places in it where a confidence ends."""
    if len(matches.iou) != 1:
        raise ValueError(f"matches: a FROC curve needs one threshold, these have {len(matches.iou)}")
    if not matches.whole:
        raise ValueError("matches: they were trimmed, so false marks are missing; judge the detections anew")
    if matches.n_images < 1:
        raise ValueError("truths.n_images: there is no image")
    order = np.argsort(-matches.confidence, kind="stable")
    return order, np.flatnonzero(np.diff(matches.confidence[order], append=np.nan) != 0)
