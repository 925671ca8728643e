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
        notes: plain JSON data by name, which checkpoints keep: a `watch` writes here what must not be lost.
        opening: seconds that this call of `train` needed to begin, by what for: "network" (to build it and to draw its
            weights), "data" (to put them on the device), "first update" (to compile it, too).
    """

    update: dict[str, list[float]] = field(default_factory=dict)
    epoch: dict[str, list[float]] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    opening: dict[str, float] = field(default_factory=dict)

    def add(self, axis: str, columns: Mapping[str, ArrayLike]) -> None:
        """Append one value or more to each column of an axis, "update" or "epoch"."""
        for name, values in columns.items():
            getattr(self, axis).setdefault(name, []).extend(np.atleast_1d(np.asarray(values, float)).tolist())

    def for_record(self, rows: int = 600) -> dict[str, dict[str, list[Any]]]:
        """Return plain data of at most `rows` points an axis: longer columns become means over blocks of equal length.

        Along updates the column "update" says where each block ends; it and "learning_rate" are the block's last value,
        not its mean. What is not finite stays so: a record says where and why.
        """
        n = len(self.update.get("loss", []))
        return {"epoch": _thin(self.epoch, rows), "update": _thin({"update": range(1, n + 1), **self.update}, rows)}


def _thin(columns: Mapping[str, Sequence[float]], rows: int) -> dict[str, list[Any]]:
    n = len(next(iter(columns.values()), []))
    size = max(1, -(-n // rows))
    blocks = [slice(start, start + size) for start in range(0, n, size)]
    thin: dict[str, list[Any]] = {}
    for name, values in columns.items():
        if name in ("update", "epoch"):
            thin[name] = [int(values[block][-1]) for block in blocks]
        elif name == "learning_rate" or size == 1:
            thin[name] = [values[block][-1] for block in blocks]
        else:
            thin[name] = [float(np.mean(values[block])) for block in blocks]
    return thin
