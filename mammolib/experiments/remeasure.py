"""Bring the intervals of recorded runs to what `metrics.intervals.measured` gives, from what the records hold.

Nothing is trained. A detector's record holds its judged answers on each test set, a classifier's its answers on the
test patches: their intervals are computed again. Other numbers (at an epoch, on training crops, by tissue) stay as they
are. Values never change, and neither does what was asked: a run keeps its hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mammolib import results
from mammolib.experiments import baselines, evaluate_classifier, evaluate_detector
from mammolib.experiments.detection import SETS

NEAR = 2e-3
"""How far a value may lie from the one computed again: confidences are kept to 1e-4, so ranks may change places."""


def remeasure(folder: str | Path) -> list[str]:
    """Renew the intervals of every record in a folder; a record that is as it should be stays untouched.

    Returns:
        The names of the files that were written.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: a file is damaged, or was changed by hand; see `results.load`.
    """
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"{folder}: there is no such folder of records")
    written = []
    for record in results.load_all(folder):
        again = _again(record)
        metrics = {name: _renewed(old, again[name]) if name in again else old for name, old in record.metrics.items()}
        if metrics != record.metrics:
            results.save(replace(record, metrics=metrics), folder, replace=True)
            written.append(record.file_name)
    return written


def _again(record: results.Record) -> dict[str, Any]:
    """Return what can be computed again of a record's metrics."""
    found: dict[str, Any] = {}
    for which in SETS:
        if record.outputs.get(f"matches_{which}"):
            suffix = f"_{which}" if f"map_{which}" in record.metrics else ""
            found |= evaluate_detector.metrics_of(*evaluate_detector.matches_of(record, which), suffix)
    if record.name == "lookup":
        found |= {name: baselines.over_splits(record.outputs[name]) for name in ("accuracy", "map", "majority")}
    if record.outputs.get("test_score") and "majority_accuracy" in record.metrics:  # else it diverged: no test counts
        label, score, group = (np.asarray(record.outputs[f"test_{k}"]) for k in ("label", "score", "group"))
        majority = record.metrics["majority_accuracy"]["value"]
        off = [abs(float((label == k).mean()) - majority) for k in range(score.shape[1])]
        found |= evaluate_classifier.of_answers(label, score, np.full(len(label), np.argmin(off)), group)
        if min(off) > 1e-9:  # several folds, each with a largest class of its own
            del found["majority_accuracy"], found["above_majority"]
    return found


def _renewed(old: Mapping[str, Any], again: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return one metric of a record with its interval computed again, or taken away with a reason."""
    if old["value"] is None:
        return old
    new = results.metric(**again)
    if new["value"] is None or abs(new["value"] - old["value"]) > NEAR * max(1.0, abs(old["value"])):
        if old["low"] is None:
            return old
        reason = "the answers that the record holds give another value"
    elif new["low"] is None or new["low"] <= old["value"] <= new["high"]:
        return new | {"value": old["value"]}
    else:
        reason = "the record does not hold the answers behind it"
    return {"value": old["value"], "low": None, "high": None, "n": old["n"], "reason": reason}
