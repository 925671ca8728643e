"""What the records of several classifiers say beside each other, and what their figures need."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammolib.experiments.evaluate_classifier import not_normal
from mammolib.metrics import Interval, wilson
from mammolib.mias import KINDS, TISSUES
from mammolib.results import Record
from mammolib.results.words import number_words


def scores(record: Record) -> tuple[NDArray[np.integer], NDArray[np.floating]]:
    """Return what a record keeps of its test patches.

    Returns:
        (N,) 1 for an abnormal patch and 0 for a normal one, and (N,) the probability of not being normal.

    Raises:
        ValueError: the record holds no answers, since its training diverged.
    """
    if not record.outputs.get("test_score"):
        raise ValueError(f"{record.name}: the record holds no answers on test patches ({record.outcome})")
    abnormal = np.asarray(record.outputs["test_label"]) > 0
    return abnormal.astype(int), not_normal(np.asarray(record.outputs["test_score"], float))


def always_largest(record: Record) -> Interval:
    """Return the accuracy that always answering the test set's largest class would have, with Wilson's interval.

    The interval takes patches as independent. They are not: several come from one woman, so the true one is wider.
    """
    counts = np.bincount(record.outputs["test_label"])
    return wilson(int(counts.max()), int(counts.sum()))


def gaps(records: Mapping[str, Record]) -> pd.DataFrame:
    """Set training beside validation accuracy for several runs, a row each, with the gap between the two.

    Low and high are the ends of the validation's 95 % interval if its patches were independent: it is at least so wide.
    """
    rows = {}
    for name, record in records.items():
        train, value, seen = (record.metrics[k]["value"] for k in ("train_accuracy", "val_accuracy", "women_seen"))
        n = record.outputs["sizes"][1]
        interval = wilson(value * n, n)
        rows[name] = {"training": train, "validation": value, "low": interval.low, "high": interval.high}
        rows[name] |= {"gap": train - value, "women seen": seen}
    return pd.DataFrame(rows).T.round(3)


def by_group(records: Mapping[str, Record | None]) -> pd.DataFrame:
    """Set the answers of several runs side by side, group by group: accuracy by tissue, sensitivity by lesion class.

    Args:
        records: the runs, by the head of their column; None for a run that has not been recorded.

    Returns:
        Text: the value, its 95 % interval or why there is none, and how many women of the test set belong to the group;
        a dash where the run tested nobody of the group.
    """
    groups = {f"test_accuracy_{k}": f"accuracy, {word} ({k})" for k, word in TISSUES.items()}
    groups |= {f"sensitivity_{k}": f"sensitivity, {word} ({k})" for k, word in KINDS.items()}
    metrics = {head: record.metrics if record else {} for head, record in records.items()}
    names = [name for name in groups if any(name in some for some in metrics.values())]
    cells = {head: [_in_words(some.get(name)) for name in names] for head, some in metrics.items()}
    return pd.DataFrame(cells, index=[groups[name] for name in names])


def _in_words(metric: Mapping | None) -> str:
    if metric is None or metric["value"] is None:
        return "–"
    if metric["low"] is None and metric["reason"]:
        return f"{number_words(metric)} ({metric['reason']})"
    return f"{number_words(metric)}, {metric['n']} {'woman' if metric['n'] == 1 else 'women'}"
