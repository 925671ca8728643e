"""Accuracy, sensitivity, specificity, ROC and calibration of a classifier, on scikit-learn.

`rates`, `auc` and `brier` take ``weights``, how often each item counts, for many weightings at once: they are the
statistics to hand to `mammolib.metrics.intervals.bootstrap`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammolib.metrics.intervals import whole_weights


@dataclass(frozen=True)
class Roc:
    """A ROC curve: (K,) rates rising from 0 to 1 at (K,) falling thresholds, the first of them infinite.

    `auc` is the area under it: how often an abnormal item scores above a normal one.
    """

    false_positive_rate: NDArray[np.floating]
    sensitivity: NDArray[np.floating]
    threshold: NDArray[np.floating]
    auc: float


@dataclass(frozen=True)
class Reliability:
    """How often items are abnormal where the classifier says how sure it is: (B,) numbers of the bins with items.

    `brier` is the mean squared difference between probability and truth; `expected_error` the mean of
    |mean_probability - abnormal_share| over the items (expected calibration error).
    """

    mean_probability: NDArray[np.floating]
    abnormal_share: NDArray[np.floating]
    count: NDArray[np.integer]
    brier: float
    expected_error: float


def confusion(truth: ArrayLike, predicted: ArrayLike, classes: int = 2) -> NDArray[np.integer]:
    """Return the (classes, classes) confusion matrix: row the true class, column the answer."""
    from sklearn.metrics import confusion_matrix

    return confusion_matrix(truth, predicted, labels=np.arange(classes))


def rates(
    truth: ArrayLike, probability: ArrayLike, threshold: float = 0.5, weights: ArrayLike | None = None
) -> dict[str, NDArray[np.floating]]:
    """Return accuracy, sensitivity, specificity and precision of a two-class classifier.

    Args:
        truth: (N,) 0 normal, 1 abnormal.
        probability: (N,) of being abnormal, in [0, 1].
        threshold: answer abnormal from here on.
        weights: (..., N) how often each item counts; default once. The rates have the shape (...,).

    Returns:
        The four by name; NaN where there is nothing to divide by.

    Raises:
        ValueError: a threshold outside [0, 1], a probability that is none, weights that are negative or not whole.
    """
    truth, probability, w = _checked(truth, probability, weights)
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold: must lie in [0, 1], as the probabilities do, got {threshold:g}")
    answer = probability >= threshold
    tp, fp = w @ (answer & truth), w @ (answer & ~truth)
    positive, negative = w @ truth, w @ ~truth
    return {
        "accuracy": _share(tp + negative - fp, positive + negative),
        "sensitivity": _share(tp, positive),
        "specificity": _share(negative - fp, negative),
        "precision": _share(tp, tp + fp),
    }


def roc(truth: ArrayLike, probability: ArrayLike) -> Roc:
    """Return the ROC curve; arguments as in `rates`.

    Raises:
        ValueError: only one class is there, so that one of the two rates is undefined.
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    truth, probability, _ = _checked(truth, probability)
    if truth.all() or not truth.any():
        raise ValueError(f"truth: all {len(truth)} items are of class {int(truth[0])}; a ROC curve needs both classes")
    false_positive_rate, sensitivity, threshold = roc_curve(truth, probability)
    return Roc(false_positive_rate, sensitivity, threshold, float(roc_auc_score(truth, probability)))


def auc(truth: ArrayLike, probability: ArrayLike, weights: ArrayLike | None = None) -> NDArray[np.floating]:
    """Return the area under the ROC curve; NaN where one of the classes has no weight. Arguments as in `rates`.

    It is the share of pairs of an abnormal and a normal item in which the abnormal one scores higher; ties count half.
    """
    truth, probability, w = _checked(truth, probability, weights)
    order = np.argsort(probability, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(probability[order]) > 0])
    abnormal = np.add.reduceat((w * truth)[..., order], starts, axis=-1)
    normal = np.add.reduceat((w * ~truth)[..., order], starts, axis=-1)
    below = np.cumsum(normal, axis=-1) - normal / 2
    return _share((abnormal * below).sum(axis=-1), abnormal.sum(axis=-1) * normal.sum(axis=-1))


def choose_threshold(truth: ArrayLike, probability: ArrayLike, sensitivity: float | None = None) -> float:
    """Choose an operating point on validation data; never call this on a test set.

    Args:
        truth, probability: as in `roc`, of the validation set.
        sensitivity: the highest threshold that reaches at least this sensitivity; None takes the threshold with the
            largest sensitivity + specificity (Youden), the highest of equal ones.
    """
    curve = roc(truth, probability)
    if sensitivity is None:
        youden = np.round(curve.sensitivity - curve.false_positive_rate, 12)  # rounding must not break a tie
        return float(min(curve.threshold[np.argmax(youden)], 1.0))
    if not 0 < sensitivity <= 1:
        raise ValueError(f"sensitivity: must lie in (0, 1], got {sensitivity}")
    scores = np.sort(np.asarray(probability, float)[np.asarray(truth, bool)])[::-1]
    return float(scores[int(np.ceil(sensitivity * len(scores) - 1e-9)) - 1])


def brier(truth: ArrayLike, probability: ArrayLike, weights: ArrayLike | None = None) -> NDArray[np.floating]:
    """Return the Brier score, the mean squared difference between probability and truth; arguments as in `rates`."""
    truth, probability, w = _checked(truth, probability, weights)
    return _share(w @ (probability - truth) ** 2, w.sum(axis=-1))


def reliability(truth: ArrayLike, probability: ArrayLike, bins: int = 10) -> Reliability:
    """Return the reliability diagram's points, from bins of equal width; empty bins are left out."""
    from sklearn.calibration import calibration_curve

    truth, probability, _ = _checked(truth, probability)
    if bins < 1:
        raise ValueError(f"bins: must be at least 1, got {bins}")
    abnormal_share, mean_probability = calibration_curve(truth, probability, n_bins=bins)
    count = np.bincount(np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], probability))
    count = count[count > 0]
    error = float(np.abs(mean_probability - abnormal_share) @ count / count.sum())
    return Reliability(mean_probability, abnormal_share, count, float(brier(truth, probability)), error)


def ratio(part: ArrayLike, whole: ArrayLike) -> Callable[[NDArray], NDArray]:
    """Return the statistic sum(weight x part) / sum(weight x whole), for `measured`; NaN where nothing is counted."""
    parts, wholes = (np.asarray(values, float) for values in (part, whole))
    return lambda weights: _share(weights @ parts, weights @ wholes)


def share(values: NDArray) -> Callable[[NDArray], NDArray]:
    """Return the statistic that says which share of the items, by weight, a truth value holds for."""
    return ratio(values, np.ones(len(values)))


def _share(part: ArrayLike, whole: ArrayLike) -> NDArray[np.floating]:
    part, whole = np.asarray(part, float), np.asarray(whole, float)
    return np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0)


def _checked(
    truth: ArrayLike, probability: ArrayLike, weights: ArrayLike | None = None
) -> tuple[NDArray[np.bool_], NDArray[np.floating], NDArray[np.floating]]:
    t, p = np.asarray(truth), np.asarray(probability, float)
    if t.ndim != 1 or not len(t) or p.shape != t.shape:
        raise ValueError(f"truth, probability: expected two lists of N at least 1, got shapes {t.shape} and {p.shape}")
    for name, values, right, what in (
        ("truth", t, (t == 0) | (t == 1), "one of the labels 0 to 1"),
        ("probability", p, (p >= 0) & (p <= 1), "in [0, 1]"),
    ):
        if not right.all():
            row = np.flatnonzero(~right)[0]
            raise ValueError(f"{name}, row {row}: {values[row]} is not {what}")
    w = np.ones(len(t)) if weights is None else whole_weights(weights, len(t)).astype(float)
    return t.astype(bool), p, w
