"""The settings of a training as plain data: those that decide the weights, and those that only decide the speed."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

import keras

from mammolib.training.schedule import Schedule

PRECISIONS = ("float32", "mixed_bfloat16")
GRADIENT_NORMS = ("off", "total", "layer")
OPTIMIZERS = {
    "sgd": "SGD",
    "adam": "Adam",
    "adamw": "AdamW",
    "nadam": "Nadam",
    "rmsprop": "RMSprop",
    "adagrad": "Adagrad",
    "adadelta": "Adadelta",
}


def whole(value: Any, least: int) -> bool:
    """Whether a setting is a whole number of at least `least`; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def number(value: Any) -> bool:
    """Whether a setting is a finite number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def one_of(value: Any, names: Collection[str]) -> bool:
    """Whether a setting is one of some words; anything but a word is none."""
    return isinstance(value, str) and value in names


@dataclass(frozen=True)
class Settings:
    """The settings that decide the trained weights, beside the model, the data and the seed.

    Attributes:
        epochs: how many.
        batch: images an update.
        steps_per_epoch: updates an epoch; the data then come as one endless shuffled stream. None: an epoch is one
            pass over the data, whose last batch may be smaller.
        optimizer: one of `OPTIMIZERS`.
        options: the optimizer's further arguments, such as {"momentum": 0.9}.
        schedule: the learning rate.
        clip: the norm to which the whole gradient is cut, or None.
        precision: "float32" or "mixed_bfloat16" (layers compute in bfloat16, weights stay in float32).
        flip: mirror each training image left to right with probability one half.
        gradient_norm: record the gradient's norm before clipping: "off", "total" or "layer" (each layer's and total).

    Raises:
        ValueError: names the field and the value.
    """

    epochs: int
    batch: int
    steps_per_epoch: int | None = None
    optimizer: str = "sgd"
    options: Mapping[str, Any] = field(default_factory=dict)
    schedule: Schedule = Schedule()
    clip: float | None = None
    precision: str = "float32"
    flip: bool = False
    gradient_norm: str = "off"

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "steps_per_epoch"):
            value = getattr(self, name)
            if not (whole(value, 1) or (value is None and name == "steps_per_epoch")):
                raise ValueError(f"settings.{name}: must be a whole number of at least 1, got {value!r}")
        for name, choices in (("optimizer", OPTIMIZERS), ("precision", PRECISIONS), ("gradient_norm", GRADIENT_NORMS)):
            if not one_of(getattr(self, name), choices):
                raise ValueError(f"settings.{name}: {getattr(self, name)!r} is not one of {', '.join(choices)}")
        if self.clip is not None and not (number(self.clip) and self.clip > 0):
            raise ValueError(f"settings.clip: must be positive, got {self.clip!r}")
        if not isinstance(self.flip, bool):
            raise ValueError(f"settings.flip: must be true or false, got {self.flip!r}")
        if not isinstance(self.schedule, Schedule):
            raise ValueError(f"settings.schedule: must be a Schedule, got {self.schedule!r}")
        if not isinstance(self.options, Mapping):
            raise ValueError(f"settings.options: must be names with values, got {self.options!r}")
        try:
            json.dumps(dict(self.options))
        except TypeError as err:
            raise ValueError(f"settings.options: must be plain data: {err}") from None
        object.__setattr__(self, "options", MappingProxyType(dict(self.options)))

    def as_data(self) -> dict[str, Any]:
        """Return the settings as plain JSON data, for a record.

        "updates", a field of earlier versions, stays in it as None: it is part of the hash of recorded runs.
        """
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__} | {"updates": None}
        plain["options"] = dict(self.options)
        schedule = asdict(self.schedule)
        plain["schedule"] = {k: list(v) if isinstance(v, tuple) else v for k, v in schedule.items()}
        return plain

    def make_optimizer(self, steps_per_epoch: int) -> keras.optimizers.Optimizer:
        """Return the optimizer, not yet built."""
        make = getattr(keras.optimizers, OPTIMIZERS[self.optimizer])
        try:
            return make(self.schedule.for_optimizer(steps_per_epoch), global_clipnorm=self.clip, **self.options)
        except (TypeError, ValueError) as err:
            raise ValueError(f"settings.options: {self.optimizer} does not take {dict(self.options)}: {err}") from None


@dataclass(frozen=True)
class Execution:
    """How a training runs on this machine; nothing here changes the result, except for rounding.

    Attributes:
        jit: compile with XLA. None: yes with JAX, and with TensorFlow on a GPU (on a CPU it is slower); else no.
        checkpoint_every: how often a checkpoint is written, in `checkpoint_unit`; also at the end.
        checkpoint_unit: "epoch" or "update".
        progress: show a bar. None: ask the environment variable MAMMOLIB_PROGRESS (0 or 1), else show it in a
            terminal or a live notebook.
        deadline: the moment, in seconds as `time.time` counts, by which a training that keeps a checkpoint stops; see
            `loop.OutOfTime`. None: it runs to its end.
    """

    jit: bool | None = None
    checkpoint_every: int = 10
    checkpoint_unit: str = "epoch"
    progress: bool | None = None
    deadline: float | None = None

    def __post_init__(self) -> None:
        if not whole(self.checkpoint_every, 1):
            raise ValueError(f"execution.checkpoint_every: must be at least 1, got {self.checkpoint_every!r}")
        if self.checkpoint_unit not in ("epoch", "update"):
            raise ValueError(f"execution.checkpoint_unit: {self.checkpoint_unit!r} is not one of epoch, update")
        if self.deadline is not None and not number(self.deadline):
            raise ValueError(f"execution.deadline: must be a finite number or None, got {self.deadline!r}")

    def use_jit(self) -> bool:
        """Return whether XLA compiles the training step on this backend and machine."""
        if self.jit is not None:
            return self.jit
        backend = keras.backend.backend()
        return backend == "jax" or (backend == "tensorflow" and device_kind() != "cpu")


def cores() -> int:
    """Return how many processor cores this process may use: with their number the rounding of long sums changes."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def device_kind() -> str:
    """Return "cpu", "gpu" or "tpu": the fastest kind of device that the backend sees."""
    if keras.backend.backend() == "torch":
        where = str(keras.ops.zeros(1).device)
        return "gpu" if where.startswith(("cuda", "mps", "xpu")) else "cpu"
    kinds = {name.split(":")[0].lower() for name in keras.distribution.list_devices()}
    return next((kind for kind in ("tpu", "gpu", "cuda") if kind in kinds), "cpu").replace("cuda", "gpu")


class OutOfTime(RuntimeError):
    """A training that stopped for `Execution.deadline`: its checkpoint is written, and the same call goes on from it.

    Attributes:
        update, total: updates done, and updates in all.
    """

    def __init__(self, update: int, total: int) -> None:
        super().__init__(update, total)  # as arguments, so that it travels between processes
        self.update, self.total = update, total

    def __str__(self) -> str:
        return f"out of time after update {self.update} of {self.total}"
