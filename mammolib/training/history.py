"""The training curves: losses, measures and learning rates by update and by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


@dataclass
class History:
    """Per-update and per-epoch training curves.

    Attributes:
        update: one value an update: "loss" (the total), its parts by name, "l2", the measures, "learning_rate", and
            "gradient_norm" (and "gradient_norm/LAYER") where asked for. loss = sum of parts + l2.
        epoch: one value an epoch: "epoch" and "update" (both counted from 1, at the epoch's end), "seconds" of
            training, the mean of each column over the epoch's images, and the same of the validation set as "val_...".
        notes: plain JSON data by name. A `watch` writes here what must not be lost: it runs before the checkpoint of
            its update is written, and the checkpoint keeps the notes.
        opening: seconds that this call of `train` needed to begin, by what for: "network" (to build it and to draw its
            weights), "data" (to put them on the device), "first update" (to compile it, too). No checkpoint keeps it.
    """

    update: dict[str, list[float]] = field(default_factory=dict)
    epoch: dict[str, list[float]] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    opening: dict[str, float] = field(default_factory=dict)

    def add_updates(self, columns: Mapping[str, ArrayLike]) -> None:
        """Append one value or more to each column along updates."""
        for name, values in columns.items():
            self.update.setdefault(name, []).extend(np.asarray(values, float).tolist())

    def add_epoch(self, row: Mapping[str, float]) -> None:
        """Append a row along epochs; a column that is missing from it, or new, is filled with not-a-number."""
        done = len(next(iter(self.epoch.values()), []))
        for name in dict.fromkeys([*self.epoch, *row]):
            self.epoch.setdefault(name, [float("nan")] * done).append(float(row.get(name, float("nan"))))

    def for_record(self, rows: int = 600) -> dict[str, dict[str, list[Any]]]:
        """Return plain data of at most `rows` points an axis: longer columns become means over blocks of equal length.

        Along updates the column "update" says where each block ends; it and "learning_rate" are the block's last value,
        not its mean. What is not finite stays so: a record says where and why.
        """
        n = len(self.update.get("loss", []))
        updates: dict[str, list[Any]] = {"update": list(range(1, n + 1)), **self.update}
        return {"epoch": _thin(self.epoch, rows), "update": _thin(updates, rows)}


def _thin(columns: Mapping[str, Sequence[float]], rows: int) -> dict[str, list[Any]]:
    n = len(next(iter(columns.values()), []))
    size = max(1, -(-n // rows))
    ends = [*range(size, n, size), n] if n else []
    starts = [0, *ends[:-1]]
    thin = {}
    for name, values in columns.items():
        last = size == 1 or name in ("update", "epoch", "learning_rate")
        blocks = [values[b - 1] if last else float(np.mean(values[a:b])) for a, b in zip(starts, ends, strict=False)]
        thin[name] = [int(v) for v in blocks] if name in ("update", "epoch") else blocks
    return thin
