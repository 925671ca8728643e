"""Bring the intervals of recorded runs to what `metrics.intervals.measured` gives, from what the records hold.

Nothing is trained. A detector's record holds its judged answers on each test set, a classifier's its answers on the
test patches: their intervals are computed again. Of other numbers (at an epoch, on training crops, by tissue) a record
holds the women behind them and the interval of the time, or not enough; then the interval goes, and the reason says so.
Values never change, and neither does what was asked: a run keeps its hash.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammolib import results
from mammolib.experiments import baselines, evaluate_classifier, evaluate_detector
from mammolib.metrics import Matches
from mammolib.metrics.intervals import RESAMPLES, as_recorded, bootstrap
from mammolib.results.record import checksum

NOT_HELD = "the record does not hold the answers behind it"
NEAR = 2e-3
"""How far a value may lie from the one computed again: confidences are kept to 1e-4, so ranks may change places."""


def remeasure(folder: str | Path) -> list[str]:
    """Renew the intervals of every record in a folder; a record that is as it should be stays untouched.

    Records of the time may hold intervals of no width, which `results.load` refuses; here they are read.

    Returns:
        The names of the files that were written.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: a file that is no record, or was changed by hand; names it.
    """
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"{folder}: there is no such folder of records")
    written = []
    for path in sorted(Path(folder).glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            old = {name: dict(held) for name, held in content["metrics"].items()}
            plain = {name: _without(held, "") if held["low"] is not None else held for name, held in old.items()}
            record = results.Record(**{f.name: content[f.name] for f in fields(results.Record)} | {"metrics": plain})
            if record.hash != content["hash"]:
                raise ValueError(f"its hash is {content['hash']}, what was asked gives {record.hash}")
            if checksum(content) != content["checksum"]:
                raise ValueError(f"changed after it was written, its checksum is no longer {content['checksum']}")
        except (ValueError, KeyError, TypeError, AttributeError) as err:
            raise ValueError(f"{path}: no record of a run ({err})") from None
        new = renewed(record, old)
        if new.metrics != old:
            results.save(new, folder, replace=True)
            written.append(new.file_name)
    return written


def renewed(record: results.Record, metrics: Mapping[str, Any] | None = None) -> results.Record:
    """Return a record with its intervals computed again; its values, and all else, as they were.

    Args:
        record: of a run.
        metrics: its metrics as they were written, if other than the record's.
    """
    again: dict[str, Any] = {}
    women: dict[str, int] = {}
    undefined: dict[str, float] = {}
    for which in ("centred", "uniform"):
        if record.outputs.get(f"matches_{which}"):
            suffix = f"_{which}" if f"map_{which}" in record.metrics else ""
            matches, group = evaluate_detector.matches_of(record, which)
            fresh = evaluate_detector.metrics_of(matches, group, suffix)
            again |= fresh
            for name in ("map", "ap_benign", "ap_malignant", "recall", "recall_any"):
                if name + suffix in fresh:
                    women[name + suffix] = fresh[name + suffix]["n"]
                    undefined[name + suffix] = _undefined(matches, group, name)
    if record.outputs.get("test_score"):
        again |= _of_classifier(record)
    if record.name == "lookup":
        again |= {
            name: baselines.over_splits(column)
            for name, column in record.outputs.items()
            if name in ("accuracy", "map", "majority")
        }
    metrics = {
        name: _renewed(record.name, name, old, again, women, undefined)
        for name, old in (metrics or record.metrics).items()
    }
    return replace(record, metrics=metrics)


def _renewed(
    run: str,
    name: str,
    old: Mapping[str, Any],
    again: Mapping[str, Any],
    women: Mapping[str, int],
    undefined: Mapping[str, float],
) -> dict[str, Any]:
    """Return one metric of a record with its interval computed again, kept, or taken away with a reason."""
    old = dict(old)
    if old["value"] is None:
        return old
    if name in again:
        new = results.metric(**again[name])
        near = new["value"] is not None and abs(new["value"] - old["value"]) <= NEAR * max(1.0, abs(old["value"]))
        if near:
            inside = new["low"] is None or new["low"] <= old["value"] <= new["high"]
            return new | {"value": old["value"]} if inside else _without(old, NOT_HELD)
        return _without(old, "the answers that the record holds give another value") if old["low"] is not None else old
    if old["low"] is None:
        return old
    base = name.partition("@")[0]
    if "kind" in old:
        return old
    if run.endswith("-films") or re.search(r"_chosen$|^val_auc$", base):
        return _without(old, NOT_HELD)
    behind = women.get(base, old["n"])
    proportion = base != "above_majority"
    new = as_recorded(old["value"], old["low"], old["high"], behind or 0, undefined.get(base), proportion)
    if base.endswith("_by_crop") and new["low"] is not None:  # chapter 6 draws crops to show what that is worth
        new["kind"] = "crops"
    return results.metric(**new)


def _without(old: Mapping[str, Any], reason: str) -> dict[str, Any]:
    return {"value": old["value"], "low": None, "high": None, "n": old["n"], "reason": reason}


def _undefined(matches: Matches, group: NDArray, name: str) -> float:
    """Return the share of resamples in which a test set has no lesion of a class that the number needs."""
    needed = {"ap_benign": [1], "ap_malignant": [2], "map": [1, 2]}.get(name, [None])
    lesions = np.array([evaluate_detector.lesions_of(matches, label) for label in needed])
    there = bootstrap(lambda w: np.where((w @ lesions.T > 0).all(axis=-1), 0.0, np.nan), group)
    return there.undefined / RESAMPLES


def _of_classifier(record: results.Record) -> dict[str, Any]:
    label, score = np.asarray(record.outputs["test_label"]), np.asarray(record.outputs["test_score"], float)
    majority = record.metrics["majority_accuracy"]["value"]
    shares = [float((label == k).mean()) for k in range(score.shape[1])]
    constant = int(np.argmin([abs(share - majority) for share in shares]))
    found = evaluate_classifier.of_answers(
        label, score, np.full(len(label), constant), np.asarray(record.outputs["test_group"]), score.shape[1]
    )
    if abs(shares[constant] - majority) > 1e-9:  # several folds, each with a largest class of its own
        for name in ("majority_accuracy", "above_majority"):
            del found[name]
    return found
