"""Accuracy, sensitivity, specificity, ROC and calibration of a classifier, on scikit-learn.

Two of the functions take ``weights``, how often each item counts, for many weightings at once: they are the
statistics to hand to `mammolib.metrics.intervals.bootstrap`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammolib.metrics.matches import whole_weights


@dataclass(frozen=True)
class Operating:
    """What a two-class classifier does at one threshold; abnormal (1) is the positive class.

    Attributes:
        threshold: answer abnormal from this probability on.
        accuracy, sensitivity, specificity, precision: NaN where nothing is to be divided by.
        tp, fp, fn, tn: counts.
    """

    threshold: float
    accuracy: float
    sensitivity: float
    specificity: float
    precision: float
    tp: int
    fp: int
    fn: int
    tn: int


@dataclass(frozen=True)
class Roc:
    """A ROC curve; point i is the classifier with its threshold at `threshold[i]` (the first is infinite).

    Attributes:
        false_positive_rate, sensitivity: (K,) rising from 0 to 1.
        threshold: (K,) falling.
        auc: area under the curve: how often an abnormal item scores above a normal one.
    """

    false_positive_rate: NDArray[np.floating]
    sensitivity: NDArray[np.floating]
    threshold: NDArray[np.floating]
    auc: float


@dataclass(frozen=True)
class Reliability:
    """How often the answer is right where the classifier says how sure it is.

    Attributes:
        mean_probability: (B,) mean probability in each bin that holds something.
        abnormal_share: (B,) share of abnormal items in it.
        count: (B,) items in it.
        brier: mean squared difference between probability and truth.
        expected_error: mean of |mean_probability - abnormal_share| over the items (expected calibration error).
    """

    mean_probability: NDArray[np.floating]
    abnormal_share: NDArray[np.floating]
    count: NDArray[np.integer]
    brier: float
    expected_error: float


def confusion(truth: ArrayLike, predicted: ArrayLike, classes: int = 2) -> NDArray[np.integer]:
    """Return the (classes, classes) confusion matrix: row the true class, column the answer.

    Args:
        truth, predicted: (N,) whole numbers, 0 to classes - 1.
        classes: how many there are.

    Raises:
        ValueError: no items, or different lengths.
    """
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
        weights: (..., N) how often each item counts; default once.

    Returns:
        Four arrays of shape (...,) by name; NaN where there is nothing to divide by.

    Raises:
        ValueError: a threshold outside [0, 1], a probability that is none, weights that are negative or not whole.
    """
    truth, probability = _two_class(truth, probability)
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold: must lie in [0, 1], as the probabilities do, got {threshold:g}")
    answer = probability >= threshold
    w = _weights(weights, len(truth))
    tp, fp = w @ (answer & truth), w @ (answer & ~truth)
    positive, negative = w @ truth, w @ ~truth
    return {
        "accuracy": _share(tp + negative - fp, positive + negative),
        "sensitivity": _share(tp, positive),
        "specificity": _share(negative - fp, negative),
        "precision": _share(tp, tp + fp),
    }


def operating(truth: ArrayLike, probability: ArrayLike, threshold: float = 0.5) -> Operating:
    """Return rates and counts at one threshold. Arguments as in `rates`."""
    values = {name: float(value) for name, value in rates(truth, probability, threshold).items()}
    (tn, fp), (fn, tp) = confusion(truth, np.asarray(probability) >= threshold).tolist()
    return Operating(threshold, **values, tp=tp, fp=fp, fn=fn, tn=tn)


def roc(truth: ArrayLike, probability: ArrayLike) -> Roc:
    """Return the ROC curve.

    Args:
        truth: (N,) 0 normal, 1 abnormal.
        probability: (N,) of being abnormal, in [0, 1].

    Raises:
        ValueError: only one class is there, so that one of the two rates is undefined.
    """
    truth, probability = _two_class(truth, probability, both=True)
    from sklearn.metrics import roc_auc_score, roc_curve

    fpr, tpr, threshold = roc_curve(truth, probability)
    return Roc(fpr, tpr, threshold, float(roc_auc_score(truth, probability)))


def auc(truth: ArrayLike, probability: ArrayLike, weights: ArrayLike | None = None) -> NDArray[np.floating]:
    """Return the area under the ROC curve, for many weightings at once.

    It is the share of pairs of an abnormal and a normal item in which the abnormal one scores higher; ties count half.

    Args:
        truth, probability: as in `roc`.
        weights: (..., N) how often each item counts; default once.

    Returns:
        (...,) areas; NaN where one of the classes has no weight.
    """
    truth, probability = _two_class(truth, probability)
    w = _weights(weights, len(truth))
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
    truth, probability = _two_class(truth, probability)
    scores = np.sort(probability[truth])[::-1]
    return float(scores[int(np.ceil(sensitivity * len(scores) - 1e-9)) - 1])


def brier(truth: ArrayLike, probability: ArrayLike, weights: ArrayLike | None = None) -> NDArray[np.floating]:
    """Return the Brier score, the mean squared difference between probability and truth; arguments as in `rates`."""
    truth, probability = _two_class(truth, probability)
    w = _weights(weights, len(truth))
    return _share(w @ (probability - truth) ** 2, w.sum(axis=-1))


def reliability(truth: ArrayLike, probability: ArrayLike, bins: int = 10) -> Reliability:
    """Return the reliability diagram's points, from bins of equal width.

    Args:
        truth, probability: as in `rates`.
        bins: how many; empty ones are left out of the answer.
    """
    truth, probability = _two_class(truth, probability)
    if bins < 1:
        raise ValueError(f"bins: must be at least 1, got {bins}")
    from sklearn.calibration import calibration_curve

    abnormal_share, mean_probability = calibration_curve(truth, probability, n_bins=bins)
    edges = np.linspace(0, 1, bins + 1)
    count = np.bincount(np.searchsorted(edges[1:-1], probability), minlength=bins)
    count = count[count > 0]
    error = float(np.abs(mean_probability - abnormal_share) @ count / count.sum())
    return Reliability(mean_probability, abnormal_share, count, float(brier(truth, probability)), error)


def _weights(weights: ArrayLike | None, n: int) -> NDArray[np.floating]:
    return np.ones(n) if weights is None else whole_weights(weights, n).astype(float)


def _share(part: ArrayLike, whole: ArrayLike) -> NDArray[np.floating]:
    part, whole = np.asarray(part, float), np.asarray(whole, float)
    return np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0)


def _two_class(
    truth: ArrayLike, probability: ArrayLike, both: bool = False
) -> tuple[NDArray[np.bool_], NDArray[np.floating]]:
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
    if both and (t.all() or not t.any()):
        raise ValueError(f"truth: all {len(t)} items are of class {int(t[0])}; a ROC curve needs both classes")
    return t.astype(bool), p
