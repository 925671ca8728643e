"""Learning rates as data: steps by epoch or by update, with a linear warm-up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike, NDArray

UNITS = ("epoch", "update")


@dataclass(frozen=True)
class Schedule:
    """A learning rate that is constant between steps.

    Attributes:
        values: the rates, in order.
        starts: where each begins, counted in `unit` from 0; the first is 0.
        unit: "epoch" or "update".
        warmup: updates over which the rate climbs linearly: update u < warmup trains at (u + 1) / warmup of its rate.

    Raises:
        ValueError: names the field and the value.

    Example:
        >>> Schedule((1e-3, 1e-4), (0, 2)).rates(range(5), steps_per_epoch=2).tolist()
        [0.001, 0.001, 0.001, 0.001, 0.0001]
    """

    values: tuple[float, ...] = (1e-3,)
    starts: tuple[int, ...] = (0,)
    unit: str = "epoch"
    warmup: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(float(v) for v in self.values))
        object.__setattr__(self, "starts", tuple(int(s) for s in self.starts))
        if self.unit not in UNITS:
            raise ValueError(f"schedule.unit: {self.unit!r} is not one of {', '.join(UNITS)}")
        if len(self.values) != len(self.starts) or not self.values:
            raise ValueError(f"schedule: {len(self.values)} values need as many starts, got {len(self.starts)}")
        if self.starts[0] != 0 or any(b <= a for a, b in zip(self.starts, self.starts[1:], strict=False)):
            raise ValueError(f"schedule.starts: must begin at 0 and rise, got {list(self.starts)}")
        for row, value in enumerate(self.values):
            if not (np.isfinite(value) and value >= 0):
                raise ValueError(f"schedule.values, row {row}: {value} is not a learning rate")
        if self.warmup < 0:
            raise ValueError(f"schedule.warmup: must not be negative, got {self.warmup}")

    def boundaries(self, steps_per_epoch: int) -> tuple[int, ...]:
        """Return the updates at which the rates begin."""
        return tuple(s * steps_per_epoch if self.unit == "epoch" else s for s in self.starts)

    def rates(self, updates: ArrayLike, steps_per_epoch: int) -> NDArray[np.floating]:
        """Return the learning rate of each update, counted from 0."""
        updates = np.asarray(updates)
        row = np.searchsorted(self.boundaries(steps_per_epoch), updates, side="right") - 1
        return np.array(self.values)[row] * np.minimum(1, (updates + 1) / max(self.warmup, 1))

    def for_optimizer(self, steps_per_epoch: int) -> keras.optimizers.schedules.LearningRateSchedule:
        """Return the schedule as Keras asks for it."""
        return _Steps(self.values, self.boundaries(steps_per_epoch), self.warmup)


class _Steps(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, values: tuple[float, ...], boundaries: tuple[int, ...], warmup: int) -> None:
        self.values, self.boundaries, self.warmup = values, boundaries, warmup

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32")  # exact up to 16 million updates
        rate = ops.full_like(step, self.values[0])
        for value, start in zip(self.values[1:], self.boundaries[1:], strict=True):
            rate = ops.where(step >= start, value, rate)
        if self.warmup:
            rate = rate * ops.minimum(1.0, (step + 1) / self.warmup)
        return rate

    def get_config(self) -> dict[str, Any]:
        return {"values": self.values, "boundaries": self.boundaries, "warmup": self.warmup}
