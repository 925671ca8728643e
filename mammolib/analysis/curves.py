"""Several trainings beside each other: how long they were, and their losses at equal updates and at equal passes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammolib.results import Record


def with_passes(record: Record) -> dict[str, dict[str, list]]:
    """Return a record's history with two more columns along epochs and updates.

    "passes" is how often the training images have been gone through by then (updates x batch / training images);
    "detection_loss" and "val_detection_loss" are the loss without L2. A run that diverged before its first validation
    has no epochs, and gets none.
    """
    # beside the two a history may hold notes on what was not finite
    history = {axis: dict(record.history.get(axis, {})) for axis in ("epoch", "update")}
    per_update = record.settings["batch"] / record.metrics["train_images"]["value"]
    for columns in history.values():
        columns["passes"] = [u * per_update for u in columns.get("update", [])]
        for prefix in ("", "val_"):
            if f"{prefix}localisation" in columns:
                parts = [np.array(columns[f"{prefix}{part}"], float) for part in ("localisation", "confidence")]
                columns[f"{prefix}detection_loss"] = np.sum(parts, axis=0).tolist()
    return history


def labelled(records: Iterable[Record]) -> dict[str, Record]:
    """Return runs under names that tell them apart: A or C's batch, updates, first rate, the seed where two agree."""
    names: dict[str, Record] = {}
    for record in records:
        name = re.sub(r"C-(\d+)x.*", r"batch \1", record.name)
        label = f"{name}, {record.settings['updates']:,} updates at {record.settings['rates'][0]:g}"
        if label in names:
            label += f", seed {record.seed}"
        names.setdefault(label, record)
    return names


def lengths(records: Mapping[str, Record | None]) -> pd.DataFrame:
    """Set side by side how long some runs were, how far they came, and what a pass over the images took.

    All is text, with a dash where a run holds no number. A run that is None has not been made and is a row of dashes.
    """
    forms = {"batch": "d", "first rate": "g", "updates": ",.0f", "passes": ".3g"}
    forms |= {"validation loss": ".2f", "without L2": ".2f", "seconds a pass": ".3g"}
    rows = []
    for record in records.values():
        values = [None] * len(forms)
        if record is not None:
            value = {name: metric["value"] for name, metric in record.metrics.items()}
            batch, updates = record.settings["batch"], value.get("updates_done")
            passes = None if updates is None else updates * batch / value["train_images"]
            values = [batch, record.settings["rates"][0], updates, passes]
            values += [value.get(name) for name in ("val_loss", "val_detection_loss", "seconds_per_pass")]
        rows.append([*map(in_words, values, forms.values()), record.outcome if record else "not recorded"])
    return pd.DataFrame(rows, index=list(records), columns=[*forms, "outcome"])


def at_equal(records: Mapping[str, Record | None]) -> pd.DataFrame:
    """Read the validation loss without L2 of several runs at equal updates and at equal passes.

    It is read at the most that all of them reached. Between two validations the loss is interpolated; before a run's
    first it is not known and a dash stands. A run that is None, or did not finish, is left out.
    """
    runs = {k: with_passes(r)["epoch"] for k, r in records.items() if r is not None and r.outcome == "finished"}
    table = pd.DataFrame(index=list(runs))
    for axis, head in (("update", "after {:,} updates"), ("passes", "after {:.3g} passes")) if runs else ():
        x = min(columns[axis][-1] for columns in runs.values())
        table[head.format(x)] = [
            in_words(np.interp(x, columns[axis], np.array(columns["val_detection_loss"], float), left=np.nan))
            for columns in runs.values()
        ]
    return table


def arrays(history: Mapping[str, Mapping[str, Sequence[float | None]]], axis: str) -> dict[str, NDArray[np.floating]]:
    """Return the columns of a record's history along one axis as arrays, not-a-number where they hold None."""
    return {name: np.array(values, float) for name, values in history.get(axis, {}).items()}


def in_words(value: float | None, form: str = ".2f") -> str:
    """Write a number, or a dash where there is none."""
    return "–" if value is None or not np.isfinite(value) else format(value, form)
