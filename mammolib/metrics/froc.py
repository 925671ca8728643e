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
from mammolib.metrics.matches import FALSE, REPEAT, TRUE, Matches, whole_weights
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


def froc(
    detections: Detections | Matches,
    truths: Truths | None = None,
    iou: float = 0.5,
    hit: str = "iou",
    label: int | None = None,
    repeats: str = "ignored",
) -> Froc:
    """Return the FROC curve.

    Args:
        detections: what the detector answered; or `Matches` with one threshold, used as they have been judged.
        truths: the lesions; every one of `truths.n_images` images counts.
        iou: the overlap a hit needs.
        hit: "iou", or "centre": the centre of the mark lies inside the lesion's box.
        label: look at one class only; None takes every mark for a mark on any lesion, whatever its class. (Matches
            are class by class; of them None takes all classes together.)
        repeats: "ignored" or "false": what a second mark on a lesion counts as.

    Raises:
        ValueError: there is no lesion to find or no image, matches that have several thresholds or were trimmed, and
            what `match` raises.

    Example:
        >>> truths = Truths(image=[0], label=[1], box=[[0, 0, 10, 10]], n_images=2)
        >>> two = Detections(image=[1, 0], label=[1, 1], confidence=[0.9, 0.8], box=[[0, 0, 9, 9], [0, 0, 9, 10]])
        >>> curve = froc(two, truths)
        >>> curve.false_positives, curve.sensitivity
        (array([0. , 0.5, 0.5]), array([0., 0., 1.]))
    """
    matches = _judged(detections, truths, iou, hit, label)
    true, false, image, ends, lesions = _counts(matches, label, repeats)
    if not len(lesions):
        what = "" if label is None else f" of class {label}"
        raise ValueError(f"truths: there is no lesion{what} to find; sensitivity is undefined")
    confidence = _ranked(matches, label).confidence
    return Froc(
        false_positives=np.r_[0, np.cumsum(false)[ends]] / matches.n_images,
        sensitivity=np.r_[0, np.cumsum(true)[ends]] / len(lesions),
        confidence=np.r_[np.inf, confidence[ends]],
        lesions=len(lesions),
        n_images=matches.n_images,
    )


def sensitivity_at(
    matches: Matches,
    false_positives: ArrayLike,
    weights: ArrayLike | None = None,
    label: int | None = None,
    repeats: str = "ignored",
) -> NDArray[np.floating]:
    """Return the sensitivity at fixed numbers of false positives per image, for many weightings of the images.

    Args:
        matches: judged detections, with one threshold.
        false_positives: (P,) per image, read on the straight lines between the curve's points.
        weights: (R, n_images) whole numbers, how often each image counts; default once.
        label, repeats: as in `froc`.

    Returns:
        (R, P) sensitivities, or (P,) without weights; NaN where the weights leave no lesion. The mean over the last
        axis is a challenge's score.

    Raises:
        ValueError: see `froc`; weights that are negative or not whole; a number that is negative or no number.
    """
    true, false, image, ends, lesions = _counts(matches, label, repeats)
    w = np.ones((1, matches.n_images), int) if weights is None else whole_weights(weights, matches.n_images)
    if w.ndim != 2:
        raise ValueError(f"weights: expected shape (R, {matches.n_images}), got {w.shape}")
    points = np.asarray(false_positives, float).reshape(-1)
    answer = np.full((len(w), len(points)), np.nan)
    n, images = w[:, lesions].sum(axis=1), w.sum(axis=1)
    for r in np.flatnonzero((n > 0) & (images > 0)):
        counts = w[r, image]
        x = np.r_[0, np.cumsum(counts * false)[ends]] / images[r]
        answer[r] = _read(x, np.r_[0, np.cumsum(counts * true)[ends]] / n[r], points)
    return answer[0] if weights is None else answer


def _read(x: NDArray, y: NDArray, points: ArrayLike) -> NDArray[np.floating]:
    """Read a rising curve at these points, on straight lines; where it goes straight up, at the upper end."""
    points = np.asarray(points, float)
    bad = np.flatnonzero(~(points >= 0))
    if not points.size or len(bad):
        what = f"{points.reshape(-1)[bad[0]]:g} is none" if len(bad) else "none is given"
        raise ValueError(f"false_positives: must be numbers from 0, {what}")
    return np.interp(points, x, y)


def _judged(
    detections: Detections | Matches, truths: Truths | None, iou: float, hit: str, label: int | None
) -> Matches:
    if isinstance(detections, Matches):
        if truths is not None:
            raise ValueError("truths: matches have been judged already; leave the truths out")
        return detections
    if truths is None:
        raise ValueError("truths: needed to judge detections")
    if label is not None and not 1 <= label <= len(truths.classes):
        raise ValueError(f"label: {label} is not one of 1 to {len(truths.classes)}")
    if label is None:
        match(Detections(), truths, iou, hit=hit)  # says what is wrong with the arguments
        bad = np.flatnonzero(detections.label > len(truths.classes))
        if len(bad):
            what = f"{detections.label[bad[0]]}, but there are {len(truths.classes)} classes"
            raise ValueError(f"detections.label, row {bad[0]}: {what}")
        one = np.ones_like
        truths = Truths(truths.image, one(truths.label), truths.box, truths.n_images, truths.difficult, ("lesion",))
        detections = Detections(detections.image, one(detections.label), detections.confidence, detections.box)
    return match(detections, truths, iou, hit=hit)


def _ranked(matches: Matches, label: int | None) -> Matches:
    """Return the matches of one class, or of all classes in one ranking."""
    if label is not None:
        return matches._rows(matches.label == label)
    return matches._rows(np.lexsort((matches.row, -matches.confidence)))


def _counts(matches: Matches, label: int | None, repeats: str) -> tuple[NDArray, NDArray, NDArray, NDArray, NDArray]:
    """Return true and false marks in order of rank, their images, where equal confidences end, images of lesions."""
    if len(matches.iou) != 1:
        raise ValueError(f"matches: a FROC curve needs one threshold, these have {len(matches.iou)}")
    if not matches.whole:
        raise ValueError(
            "matches: they were trimmed, so false marks at and after the last true one's confidence are missing; "
            "judge the detections anew"
        )
    if repeats not in ("ignored", "false"):
        raise ValueError(f"repeats: {repeats!r} is neither 'ignored' nor 'false'")
    if matches.n_images < 1:
        raise ValueError("truths.n_images: there is no image")
    ranked = _ranked(matches, label)
    outcome = ranked.outcome[0]
    false = (outcome == FALSE) | ((outcome == REPEAT) & (repeats == "false"))
    ends = np.flatnonzero(np.r_[np.diff(ranked.confidence) != 0, True][: len(ranked)])
    return outcome == TRUE, false, ranked.image, ends, matches.truth_image[matches.truths(label)]
