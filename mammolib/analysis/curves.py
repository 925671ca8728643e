"""Several trainings beside each other: how long they were, and their losses at equal updates and at equal passes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

    from mammolib.results import Record


def with_passes(record: Record) -> dict[str, dict[str, list]]:
    """Return a record's history with two more columns along epochs and updates.

    "passes" is how often the training images have been gone through by then (updates x batch / training images);
    "detection_loss" and "val_detection_loss" are the loss without L2. A run that diverged before its first validation
    has no epochs, and gets none.
    """
    history: dict[str, dict[str, list]] = {}
    per_update = record.settings["batch"] / record.metrics["train_images"]["value"]
    for axis in ("epoch", "update"):  # beside them a history may hold notes on what was not finite
        columns = {name: list(values) for name, values in record.history.get(axis, {}).items()}
        columns["passes"] = [u * per_update for u in columns.get("update", [])]
        for prefix in ("", "val_"):
            parts = [columns[n] for n in (prefix + "localisation", prefix + "confidence") if n in columns]
            if len(parts) == 2:
                columns[f"{prefix}detection_loss"] = np.sum([numbers(part) for part in parts], axis=0).tolist()
        history[axis] = columns
    return history


def labelled(records: Iterable[Record]) -> dict[str, Record]:
    """Return runs under names that tell them apart: experiment, updates, first rate, and the seed where two agree."""
    found: dict[str, Record] = {}
    for record in records:
        label = f"{record.name}, {record.settings['updates']:,} updates at {record.settings['rates'][0]:g}"
        if label in found:
            label += f", seed {record.seed}"
        found.setdefault(label, record)
    return found


def lengths(records: Mapping[str, Record | None]) -> pd.DataFrame:
    """Set side by side how long some runs were, how far they came, and what a pass over the images took.

    Args:
        records: name -> run; one that is None has not been made and is a row of dashes.

    Returns:
        A row for each: batch, first rate, updates, passes, validation loss, the same without L2, seconds a pass and
        the outcome. Text throughout, a dash where the run holds no number.
    """
    import pandas as pd

    rows = []
    for record in records.values():
        if record is None:
            rows.append(["–"] * 7 + ["not recorded"])
            continue
        held = {k: v["value"] for k, v in record.metrics.items()}
        updates = held.get("updates_done")
        passes = None if updates is None else updates * record.settings["batch"] / held["train_images"]
        losses = [in_words(held.get(name)) for name in ("val_loss", "val_detection_loss")]
        size = [str(record.settings["batch"]), f"{record.settings['rates'][0]:g}", in_words(updates, ",.0f")]
        times = [in_words(passes, ".3g"), *losses, in_words(held.get("seconds_per_pass"), ".3g")]
        rows.append([*size, *times, record.outcome])
    heads = ["batch", "first rate", "updates", "passes", "validation loss", "without L2", "seconds a pass", "outcome"]
    return pd.DataFrame(rows, index=list(records), columns=heads)


def at_equal(records: Mapping[str, Record | None]) -> pd.DataFrame:
    """Read the validation loss without L2 of several runs at equal updates and at equal passes.

    It is read at the most that all of them reached. Between two validations the loss is interpolated; before a run's
    first it is not known. A run that is None, or did not finish, is left out.

    Args:
        records: name -> run.

    Returns:
        A row for each run with a column for each axis, such as "after 600 updates" and "after 300 passes", as text, a
        dash where the loss is not known; no columns where there is no run.
    """
    import pandas as pd

    held = {k: with_passes(r)["epoch"] for k, r in records.items() if r is not None and r.outcome == "finished"}
    found = pd.DataFrame(index=list(held))
    for axis in ("update", "passes") if held else ():
        x = min(columns[axis][-1] for columns in held.values())
        found[f"after {x:.3g} passes" if axis == "passes" else f"after {x:,} updates"] = [
            in_words(np.interp(x, columns[axis], numbers(columns["val_detection_loss"]), left=np.nan))
            for columns in held.values()
        ]
    return found


def numbers(values: Sequence[float | None]) -> NDArray[np.floating]:
    """Return a column of a record's history as an array, not-a-number where it holds None."""
    return np.array([np.nan if v is None else v for v in values], float)


def in_words(value: float | None, form: str = ".2f") -> str:
    """Write a number, or a dash where there is none."""
    return "–" if value is None or not np.isfinite(value) else format(value, form)
