"""Evaluate a classifier: metrics with intervals over women."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mammolib.metrics import classification as judge
from mammolib.metrics import measured
from mammolib.metrics.classification import ratio, share
from mammolib.splits import SIDES

if TYPE_CHECKING:
    from mammolib.patches import Patches
    from mammolib.splits import Split
    from mammolib.training import Run

    Answers = tuple[NDArray[np.floating], NDArray[np.floating]]


def metrics_of(
    patches: Patches, parts: Sequence[Split], runs: Sequence[Run], answers: Sequence[Answers]
) -> dict[str, Any]:
    """Return a record's metrics.

    Of the training: train_loss, train_accuracy, val_loss, val_accuracy (means over the last eighth of the epochs),
    train_loss@epoch1 and @last, train_accuracy@epoch76 and val_accuracy@epoch76 where there are so many. Of the test
    patches, all folds together, with intervals over women: what `of_answers` gives, sensitivity and specificity at the
    threshold chosen on the validation patches, calibration_error; accuracy by tissue, sensitivity by class of lesion.
    And the sizes of the parts, majority_share (of the training patches) and women_seen (share of the test patches whose
    woman is in training too: the leak).

    `parts` is the split of the patches, or one for each fold; `runs` and `answers` belong to the parts. Answers are
    shares: (validation patches, classes) and (test patches, classes).
    """
    found: dict[str, Any] = _of_training(runs, float(np.mean([len(p.training) for p in parts])))
    # by woman these are not the sizes that were asked for, since women are whole; with folds, the mean
    sizes = np.mean([part.sizes for part in parts], axis=0).tolist()
    found.update(zip(("train_images", "validation_images", "test_images"), sizes, strict=True))
    train, validation, test = (np.concatenate([getattr(p, side) for p in parts]) for side in SIDES)
    seen = [np.isin(patches.woman[p.test], patches.woman[p.training]) for p in parts]
    found["women_seen"] = float(np.concatenate(seen).mean())
    largest = [np.bincount(patches.label[p.training]).argmax() for p in parts]
    is_largest = patches.label[train] == np.repeat(largest, [len(p.training) for p in parts])
    found["majority_share"] = measured(share(is_largest), patches.woman[train])
    if any(run.diverged for run in runs):
        return found
    n_test = [len(p.test) for p in parts]
    label, woman, tissue, kind = (v[test] for v in (patches.label, patches.woman, patches.tissue, patches.kind))
    score = np.concatenate([of_test for _, of_test in answers])
    answer, abnormal, suspicion = score.argmax(axis=1), label > 0, not_normal(score)
    found |= of_answers(label, score, np.repeat(largest, n_test), woman)
    found["calibration_error"] = judge.reliability(abnormal, suspicion).expected_error
    truths = [patches.label[p.validation] > 0 for p in parts]
    suspicions = [not_normal(of_validation) for of_validation, _ in answers]
    found["val_auc"] = _auc(np.concatenate(truths), np.concatenate(suspicions), patches.woman[validation])
    if all(truth.any() and not truth.all() for truth in truths):
        chosen = [judge.choose_threshold(t, s) for t, s in zip(truths, suspicions, strict=True)]
        above = suspicion >= np.repeat(chosen, n_test)
        found["sensitivity_chosen"] = measured(ratio(above & abnormal, abnormal), woman, abnormal)
        found["specificity_chosen"] = measured(ratio(~above & ~abnormal, ~abnormal), woman, ~abnormal)
    for word in np.unique(tissue):
        which = tissue == word
        found[f"test_accuracy_{word}"] = measured(share((answer == label)[which]), woman[which])
    for word in np.setdiff1d(kind[abnormal], ["NORM"]):
        which = (kind == word) & abnormal
        found[f"sensitivity_{word}"] = measured(share((answer > 0)[which]), woman[which])
    return found


def of_answers(label: NDArray, score: NDArray, constant: NDArray, woman: NDArray) -> dict[str, dict[str, Any]]:
    """Return what the answers alone say, of a run or of its record, with intervals over women.

    That is test_accuracy, majority_accuracy, above_majority (their difference), balanced_accuracy (the mean of the
    classes' own), sensitivity and specificity (any abnormal answer against normal), auc and brier. `score` is (N,
    classes), and `constant` says what always answering the largest class of the training patches says.
    """
    answer, abnormal, suspicion = score.argmax(axis=1), label > 0, not_normal(score)
    called, right = answer > 0, answer == label
    accuracy, majority = share(right), share(constant == label)
    own = [ratio(right & (label == k), label == k) for k in np.unique(label)]
    return {
        "test_accuracy": measured(accuracy, woman),
        "majority_accuracy": measured(majority, woman),
        "above_majority": measured(lambda w: accuracy(w) - majority(w), woman, proportion=False),
        "balanced_accuracy": measured(lambda w: np.mean([of_class(w) for of_class in own], axis=0), woman),
        "sensitivity": measured(ratio(called & abnormal, abnormal), woman, abnormal),
        "specificity": measured(ratio(~called & ~abnormal, ~abnormal), woman, ~abnormal),
        "auc": _auc(abnormal, suspicion, woman),
        "brier": measured(lambda w: judge.brier(abnormal, suspicion, w), woman),
    }


def outputs_of(
    classes: Sequence[str], patches: Patches, parts: Sequence[Split], answers: Sequence[Answers], digest: str
) -> dict[str, Any]:
    """Return what figures need: label, scores and group of every test patch in an order that says nothing of films.

    Groups are numbers of women in a random order that only the data's digest gives; no film is named.
    """
    rows = np.concatenate([p.test for p in parts])
    score = np.concatenate([of_test for _, of_test in answers]).astype(float)
    rng = np.random.default_rng(int(digest[:16] or "0", 16))
    _, group = np.unique(patches.woman[rows], return_inverse=True)
    group = rng.permutation(group.max() + 1)[group]
    order = rng.permutation(len(rows))
    finite = bool(np.isfinite(score).all())
    label = patches.label[rows]
    return {
        "classes": list(classes),
        "sizes": [int(n) for n in parts[0].sizes] if len(parts) == 1 else [len(p.test) for p in parts],
        "test_label": label[order].tolist(),
        "test_score": score[order].tolist() if finite else [],
        "test_group": group[order].tolist(),
        "confusion": judge.confusion(label, score.argmax(axis=1), len(classes)).tolist() if finite else [],
    }


def _of_training(runs: Sequence[Run], images: float) -> dict[str, float]:
    epochs = [run.history.epoch for run in runs]
    found: dict[str, float] = {
        "parameters": runs[0].model.count_params(),
        "seconds": sum(run.seconds for run in runs),
        "images_per_second": float(np.median([run.images_per_second for run in runs])),
    }
    n = min(len(e.get("epoch", [])) for e in epochs)
    if not n:
        return found
    seconds = float(np.median(np.concatenate([e["seconds"] for e in epochs])))  # a run that was paused keeps its pace
    found["seconds_per_epoch"], found["images_per_second"] = seconds, images / seconds
    for column in ("loss", "accuracy", "val_loss", "val_accuracy"):
        name = column if column.startswith("val_") else f"train_{column}"
        values = np.mean([e[column][:n] for e in epochs], axis=0)
        found[name] = float(values[-max(1, n // 8) :].mean())
        found |= {f"{name}@epoch1": float(values[0]), f"{name}@last": float(values[-1])}
        if n >= 76:
            found[f"{name}@epoch76"] = float(values[75])
    return found


def not_normal(score: NDArray) -> NDArray:
    """Return the probability of not being normal; rounding may not take it out of [0, 1]."""
    return np.clip(1 - score[:, 0].astype(float), 0, 1)


def _auc(abnormal: NDArray, suspicion: NDArray, woman: NDArray) -> dict[str, Any]:
    return measured(lambda w: judge.auc(abnormal, suspicion, w), woman, [abnormal, ~abnormal])
