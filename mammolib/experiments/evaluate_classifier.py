"""Evaluate a classifier: metrics with intervals over women."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mammolib.metrics import classification as judge
from mammolib.metrics import measured

if TYPE_CHECKING:
    from mammolib.experiments.classifiers import Classification
    from mammolib.patches import Patches
    from mammolib.splits import Split
    from mammolib.training import Run


@dataclass(frozen=True)
class Answers:
    """A trained network's answers: (N, classes) shares for the validation and for the test patches."""

    validation: NDArray[np.floating]
    test: NDArray[np.floating]


def metrics_of(
    experiment: Classification,
    patches: Patches,
    parts: Sequence[Split],
    runs: Sequence[Run],
    answers: Sequence[Answers],
) -> dict[str, Any]:
    """Return a record's metrics.

    Of the training: train_loss, train_accuracy, val_loss, val_accuracy (means over the last eighth of the epochs),
    train_loss@epoch1 and @last, train_accuracy@epoch76 and val_accuracy@epoch76 where there are so many. Of the test
    patches, all folds together, with intervals over women: test_accuracy, balanced_accuracy, majority_accuracy (always
    the largest class of the training patches), sensitivity and specificity (any abnormal answer against normal), the
    same at the threshold chosen on the validation patches, auc, brier, calibration_error; accuracy by tissue,
    sensitivity by class of lesion. And majority_share (of the training patches) and women_seen (share of the test
    patches whose woman is in training too: the leak).
    """
    found: dict[str, Any] = _training_metrics(runs, float(np.mean([len(p.training) for p in parts])))
    found["women_seen"] = float(
        np.mean(np.concatenate([np.isin(patches.woman[p.test], patches.woman[p.training]) for p in parts]))
    )
    train = np.concatenate([p.training for p in parts])
    largest = [np.bincount(patches.label[p.training]).argmax() for p in parts]
    share = np.concatenate([patches.label[p.training] == n for p, n in zip(parts, largest, strict=True)])
    found["majority_share"] = measured(_share(share), patches.woman[train])
    if any(run.diverged for run in runs):
        return found
    rows = np.concatenate([p.test for p in parts])
    label, woman = patches.label[rows], patches.woman[rows]
    score = np.concatenate([a.test for a in answers])
    answer, abnormal = score.argmax(axis=1), (label > 0).astype(int)
    constant = np.repeat(largest, [len(p.test) for p in parts])
    suspicion = not_normal(score)

    found |= of_answers(label, score, constant, woman, experiment.classes)
    found["calibration_error"] = judge.reliability(abnormal, suspicion).expected_error
    found["val_auc"] = _validation_auc(patches, parts, answers)
    chosen = _chosen_threshold(patches, parts, answers)
    if chosen is not None:
        above = (suspicion >= np.repeat(chosen, [len(p.test) for p in parts])).astype(float)
        for name, side in (("sensitivity", abnormal == 1), ("specificity", abnormal == 0)):
            found[f"{name}_chosen"] = measured(_rate(name, abnormal, above), woman, side)
    for tissue in np.unique(patches.tissue[rows]):
        which = patches.tissue[rows] == tissue
        found[f"test_accuracy_{tissue}"] = measured(_share((answer == label)[which]), woman[which])
    for kind in np.setdiff1d(patches.kind[rows], ["NORM"]):
        which = (patches.kind[rows] == kind) & (label > 0)
        if which.any():
            found[f"sensitivity_{kind}"] = measured(_share((answer > 0)[which]), woman[which])
    return found


def of_answers(
    label: NDArray, score: NDArray, constant: NDArray, woman: NDArray, classes: int
) -> dict[str, dict[str, Any]]:
    """Return what the answers alone say, of a run or of its record, with intervals over women.

    Args:
        label: (N,) of the test patches.
        score: (N, classes) answers.
        constant: (N,) what always answering the largest class of the training patches says.
        woman: (N,).
        classes: how many.
    """
    answer, abnormal, suspicion = score.argmax(axis=1), (label > 0).astype(int), not_normal(score)
    called = (answer > 0).astype(float)
    sides = np.array([abnormal == 1, abnormal == 0])
    right, always = answer == label, constant == label
    return {
        "test_accuracy": measured(_share(right), woman),
        "majority_accuracy": measured(_share(always), woman),
        "above_majority": measured(lambda w: _mean(w, right) - _mean(w, always), woman, proportion=False),
        "balanced_accuracy": measured(lambda w: _balanced(label, answer, classes, w), woman),
        "sensitivity": measured(_rate("sensitivity", abnormal, called), woman, sides[0]),
        "specificity": measured(_rate("specificity", abnormal, called), woman, sides[1]),
        "auc": measured(lambda w: judge.auc(abnormal, suspicion, w), woman, sides),
        "brier": measured(lambda w: judge.brier(abnormal, suspicion, w), woman),
    }


def outputs_of(
    experiment: Classification, patches: Patches, parts: Sequence[Split], answers: Sequence[Answers], digest: str
) -> dict[str, Any]:
    """Return what figures need: label, scores and group of every test patch in an order that says nothing of films.

    Groups are numbers of women in a random order that only the data's digest gives; no film is named.
    """
    from mammolib.experiments.classifiers import CLASS_NAMES

    rows = np.concatenate([p.test for p in parts])
    score = np.concatenate([a.test for a in answers])
    rng = np.random.default_rng(int(digest[:16] or "0", 16))
    _, group = np.unique(patches.woman[rows], return_inverse=True)
    group = rng.permutation(group.max() + 1)[group]
    order = rng.permutation(len(rows))
    finite = bool(np.isfinite(score).all())
    label = patches.label[rows]
    return {
        "classes": list(CLASS_NAMES[experiment.classes]),
        "sizes": [int(n) for n in parts[0].sizes] if len(parts) == 1 else [len(p.test) for p in parts],
        "test_label": label[order].tolist(),
        "test_score": score[order].astype(float).tolist() if finite else [],
        "test_group": group[order].tolist(),
        "confusion": judge.confusion(label, score.argmax(axis=1), experiment.classes).tolist() if finite else [],
    }


def _training_metrics(runs: Sequence[Run], images: float) -> dict[str, float]:
    epochs = [run.history.epoch for run in runs]
    found: dict[str, float] = {
        "parameters": runs[0].model.count_params(),
        "seconds": sum(run.seconds for run in runs),
        "images_per_second": float(np.median([run.images_per_second for run in runs])),
    }
    n = min(len(e.get("epoch", [])) for e in epochs)
    if not n:
        return found
    last = slice(n - max(1, n // 8), n)
    seconds = float(np.median(np.concatenate([e["seconds"] for e in epochs])))  # a run that was paused keeps its pace
    found["seconds_per_epoch"], found["images_per_second"] = seconds, images / seconds
    for name in ("loss", "accuracy"):
        for side, prefix in (("train", ""), ("val", "val_")):
            values = np.mean([e[prefix + name][:n] for e in epochs], axis=0)
            found[f"{side}_{name}"] = float(np.mean(values[last]))
            found[f"{side}_{name}@epoch1"], found[f"{side}_{name}@last"] = float(values[0]), float(values[-1])
            if n >= 76:
                found[f"{side}_{name}@epoch76"] = float(values[75])
    return found


def _mean(weights: NDArray, values: NDArray) -> NDArray:
    total = weights.sum(axis=-1)
    return np.divide(weights @ values.astype(float), total, out=np.full(np.shape(total), np.nan), where=total > 0)


def _share(values: NDArray) -> Callable[[NDArray], NDArray]:
    return lambda weights: _mean(weights, values)


def _rate(name: str, truth: NDArray, called: NDArray) -> Callable[[NDArray], NDArray]:
    return lambda weights: judge.rates(truth, called, weights=weights)[name]


def _balanced(label: NDArray, answer: NDArray, classes: int, weights: NDArray) -> NDArray:
    """Return the mean over classes of the share of their patches that are answered rightly."""
    return np.mean([_mean(weights * (label == c), answer == label) for c in np.unique(label) if c < classes], axis=0)


def not_normal(score: NDArray) -> NDArray:
    """Return the probability of not being normal; rounding may not take it out of [0, 1]."""
    return np.clip(1 - score[:, 0].astype(float), 0, 1)


def _validation_auc(patches: Patches, parts: Sequence[Split], answers: Sequence[Answers]) -> dict[str, Any]:
    rows = np.concatenate([p.validation for p in parts])
    suspicion = not_normal(np.concatenate([a.validation for a in answers]))
    truth = (patches.label[rows] > 0).astype(int)
    return measured(lambda w: judge.auc(truth, suspicion, w), patches.woman[rows], [truth == 1, truth == 0])


def _chosen_threshold(patches: Patches, parts: Sequence[Split], answers: Sequence[Answers]) -> list[float] | None:
    """Return each part's threshold with the largest sensitivity + specificity on its validation patches, if any."""
    chosen = []
    for part, answer in zip(parts, answers, strict=True):
        truth = (patches.label[part.validation] > 0).astype(int)
        if truth.all() or not truth.any():
            return None
        chosen.append(judge.choose_threshold(truth, not_normal(answer.validation)))
    return chosen
