"""What the records of several classifiers say beside each other, and what their figures need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mammolib.experiments.evaluate_classifier import not_normal
from mammolib.metrics import Interval, wilson
from mammolib.mias import KINDS, TISSUES
from mammolib.results.words import number_words

if TYPE_CHECKING:
    import pandas as pd

    from mammolib.results import Record


def scores(record: Record) -> tuple[NDArray[np.integer], NDArray[np.floating]]:
    """Return what a record keeps of its test patches.

    Returns:
        (N,) 1 for an abnormal patch and 0 for a normal one, and (N,) the probability of not being normal.

    Raises:
        ValueError: the record holds no answers, since its training diverged.
    """
    said = np.asarray(record.outputs.get("test_score", []), float)
    if not len(said):
        raise ValueError(f"{record.name}: the record holds no answers on test patches ({record.outcome})")
    return (np.asarray(record.outputs["test_label"]) > 0).astype(int), not_normal(said)


def always_largest(record: Record) -> Interval:
    """Return the accuracy that always answering the test set's largest class would have, with Wilson's interval.

    The interval takes patches as independent. They are not: several come from one woman, so the true one is wider.

    Args:
        record: of a classifier's run.
    """
    counts = np.bincount(np.asarray(record.outputs["test_label"], int))
    return wilson(int(counts.max()), int(counts.sum()))


def gaps(records: Mapping[str, Record]) -> pd.DataFrame:
    """Set training beside validation accuracy for several runs.

    Args:
        records: the runs of one training each, by name.

    Returns:
        A table with a row for each run: training, validation, the ends of the validation's 95 % interval if its
        patches were independent (so at least so wide), the gap between the two accuracies, and women_seen.
    """
    import pandas as pd

    rows = {}
    for name, record in records.items():
        train, value, seen = (record.metrics[k]["value"] for k in ("train_accuracy", "val_accuracy", "women_seen"))
        n = record.outputs["sizes"][1]
        held = wilson(value * n, n)
        rows[name] = {"training": train, "validation": value, "low": held.low, "high": held.high, "gap": train - value}
        rows[name]["women seen"] = seen
    return pd.DataFrame(rows).T.round(3)


def by_group(records: Mapping[str, Record | None]) -> pd.DataFrame:
    """Set the answers of several runs side by side, group by group: accuracy by tissue, sensitivity by lesion class.

    Args:
        records: the runs, by the head of their column; None for a run that has not been recorded.

    Returns:
        A table of text with a row for each group: the value, its 95 % interval or why there is none, and how many women
        of the test set belong to the group; a dash where the run tested nobody of the group.
    """
    import pandas as pd

    groups = {f"test_accuracy_{k}": f"accuracy, {word} ({k})" for k, word in TISSUES.items()}
    groups |= {f"sensitivity_{k}": f"sensitivity, {word} ({k})" for k, word in KINDS.items()}
    held = [n for n in groups if any(r is not None and n in r.metrics for r in records.values())]
    cells = {head: [_in_words(record, n) for n in held] for head, record in records.items()}
    return pd.DataFrame(cells, index=[groups[n] for n in held])


def _in_words(record: Record | None, name: str) -> str:
    held = None if record is None else record.metrics.get(name)
    if held is None or held["value"] is None:
        return "–"
    why = f" ({held['reason']})" if held["low"] is None and held["reason"] else ""
    women = "" if why else f", {held['n']} {'woman' if held['n'] == 1 else 'women'}"
    return number_words(held) + why + women
