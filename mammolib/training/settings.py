"""The settings of a training as plain data: those that decide the weights, and those that only decide the speed."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike, NDArray

PRECISIONS = ("float32", "mixed_bfloat16")
NORMS = ("off", "total", "layer")  # of the gradient, as recorded
UNITS = ("epoch", "update")
OPTIMIZERS = {name.lower(): name for name in ("SGD", "Adam", "AdamW", "Nadam", "RMSprop", "Adagrad", "Adadelta")}


def whole(value: Any, least: int) -> bool:
    """Whether a setting is a whole number of at least `least`; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def number(value: Any) -> bool:
    """Whether a setting is a finite number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def one_of(value: Any, names: Collection[str]) -> bool:
    """Whether a setting is one of some words; anything but a word is none."""
    return isinstance(value, str) and value in names


Rule = tuple[Callable[[Any, Any], bool], str]
"""What a setting must be: a test of its value (and of the experiment), and the words that say so."""

TRUTH: Rule = (lambda v, _: isinstance(v, bool), "true or false")


def count(least: int) -> Rule:
    """Return the rule of a whole number of at least so many."""
    return lambda v, _: whole(v, least), f"a whole number of at least {least}" if least else "a whole number"


def word(choices: Collection[str]) -> Rule:
    """Return the rule of a word that is one of some."""
    return lambda v, _: one_of(v, choices), f"one of {', '.join(choices)}"


def setting(rule: Rule, default: Any = MISSING, fixed: bool = False, **options: Any) -> Any:
    """Return the field of a setting with its rule; `but` changes none that is fixed."""
    return field(default=default, metadata={"rule": rule, "fixed": fixed}, **options)


def broken(settings: Any) -> Iterator[tuple[str, Any, str]]:
    """Yield each field of a dataclass that breaks its rule: its name, its value, and what it must be."""
    for one in (f for f in fields(settings) if f.metadata):
        (good, words), value = one.metadata["rule"], getattr(settings, one.name)
        if not good(value, settings):
            yield one.name, value, words


def _begin(starts: Any, of: Schedule) -> bool:
    return starts[:1] == (0,) and sorted(set(starts)) == list(starts) and len(starts) == len(of.values)


@dataclass(frozen=True)
class Schedule:
    """A learning rate that is constant between steps; what makes no sense raises a ValueError that names the field.

    Attributes:
        values: the rates, in order.
        starts: where each begins, counted in `unit` ("epoch" or "update") from 0; the first is 0.
        warmup: updates over which the rate climbs linearly: update u < warmup trains at (u + 1) / warmup of its rate.

    Example:
        >>> Schedule((1e-3, 1e-4), (0, 2)).rates(range(5), steps_per_epoch=2).tolist()
        [0.001, 0.001, 0.001, 0.001, 0.0001]
    """

    values: tuple[float, ...] = setting(
        (lambda v, _: all(math.isfinite(r) and r >= 0 for r in v), "learning rates"), (1e-3,)
    )
    starts: tuple[int, ...] = setting((_begin, "one for each value, begin at 0 and rise"), (0,))
    unit: str = setting(word(UNITS), "epoch")
    warmup: int = setting((lambda v, _: v >= 0, "at least 0"), 0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(float(v) for v in self.values))
        object.__setattr__(self, "starts", tuple(int(s) for s in self.starts))
        for name, value, words in broken(self):
            raise ValueError(f"schedule.{name}: must be {words}, got {value!r}")

    def boundaries(self, steps_per_epoch: int) -> tuple[int, ...]:
        """Return the updates at which the rates begin."""
        return tuple(s * steps_per_epoch if self.unit == "epoch" else s for s in self.starts)

    def rates(self, updates: ArrayLike, steps_per_epoch: int) -> NDArray[np.floating]:
        """Return the learning rate of each update, counted from 0."""
        updates = np.asarray(updates)
        row = np.searchsorted(self.boundaries(steps_per_epoch), updates, side="right") - 1
        return np.array(self.values)[row] * np.minimum(1, (updates + 1) / max(self.warmup, 1))


class _Steps(keras.optimizers.schedules.LearningRateSchedule):
    """A `Schedule` as Keras asks for it."""

    def __init__(self, schedule: Schedule, steps_per_epoch: int) -> None:
        self.values, self.warmup = schedule.values, schedule.warmup
        self.boundaries = schedule.boundaries(steps_per_epoch)

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32")  # exact up to 16 million updates
        rate = ops.full_like(step, self.values[0])
        for value, start in zip(self.values[1:], self.boundaries[1:], strict=True):
            rate = ops.where(step >= start, value, rate)
        return rate * ops.minimum(1.0, (step + 1) / self.warmup) if self.warmup else rate


@dataclass(frozen=True)
class Settings:
    """The settings that decide the trained weights, beside the model, the data and the seed.

    Attributes:
        batch: images an update.
        steps_per_epoch: updates an epoch; the data then come as one endless shuffled stream. None: an epoch is one
            pass over the data, whose last batch may be smaller.
        optimizer, options: one of `OPTIMIZERS`, and its further arguments, such as {"momentum": 0.9}.
        clip: the norm to which the whole gradient is cut, or None.
        precision: "float32" or "mixed_bfloat16" (layers compute in bfloat16, weights stay in float32).
        flip: mirror each training image left to right with probability one half.
        gradient_norm: record the gradient's norm before clipping: "off", "total" or "layer" (each layer's and total).

    Raises:
        ValueError: names the field and the value.
    """

    epochs: int = setting(count(1))
    batch: int = setting(count(1))
    steps_per_epoch: int | None = setting((lambda v, _: v is None or whole(v, 1), "at least 1"), None)
    optimizer: str = setting(word(OPTIMIZERS), "sgd")
    options: Mapping[str, Any] = setting(
        (lambda v, _: isinstance(v, Mapping), "names with values"), default_factory=dict
    )
    schedule: Schedule = setting((lambda v, _: isinstance(v, Schedule), "a Schedule"), Schedule())
    clip: float | None = setting((lambda v, _: v is None or (number(v) and v > 0), "positive"), None)
    precision: str = setting(word(PRECISIONS), "float32")
    flip: bool = setting(TRUTH, False)
    gradient_norm: str = setting(word(NORMS), "off")

    def __post_init__(self) -> None:
        for name, value, words in broken(self):
            raise ValueError(f"settings.{name}: must be {words}, got {value!r}")
        object.__setattr__(self, "options", MappingProxyType(dict(self.options)))
        try:
            self.as_data()
        except TypeError as err:
            raise ValueError(f"settings.options: must be plain data: {err}") from None

    def as_data(self) -> dict[str, Any]:
        """Return the settings as plain JSON data, for a record.

        "updates", a field of earlier versions, stays in it as None: it is part of the hash of recorded runs.
        """
        plain = {"options": dict(self.options), "schedule": vars(self.schedule), "updates": None}
        return json.loads(json.dumps(vars(self) | plain))

    def make_optimizer(self, steps_per_epoch: int) -> keras.optimizers.Optimizer:
        """Return the optimizer, not yet built."""
        make, rate = getattr(keras.optimizers, OPTIMIZERS[self.optimizer]), _Steps(self.schedule, steps_per_epoch)
        try:
            return make(rate, global_clipnorm=self.clip, **self.options)
        except (TypeError, ValueError) as err:
            raise ValueError(f"settings.options: {self.optimizer} does not take {dict(self.options)}: {err}") from None


@dataclass(frozen=True)
class Execution:
    """How a training runs on this machine; nothing here changes the result, except for rounding.

    Attributes:
        checkpoint_every: how often a checkpoint is written, in `checkpoint_unit` ("epoch" or "update"), beside the end.
        progress: show a bar. None: ask the environment variable MAMMOLIB_PROGRESS (0 or 1), else show it in a
            terminal or a live notebook.
        deadline: the moment, in seconds as `time.time` counts, by which a training that keeps a checkpoint stops, with
            `OutOfTime`. None: it runs to its end.
    """

    checkpoint_every: int = setting((lambda v, _: whole(v, 1), "at least 1"), 10)
    checkpoint_unit: str = setting(word(UNITS), "epoch")
    progress: bool | None = None
    deadline: float | None = setting((lambda v, _: v is None or number(v), "a finite number or None"), None)

    def __post_init__(self) -> None:
        for name, value, words in broken(self):
            raise ValueError(f"execution.{name}: must be {words}, got {value!r}")


def use_jit() -> bool:
    """Return whether XLA compiles the training step here: on JAX, and on TensorFlow with a GPU; a CPU it slows down."""
    backend = keras.backend.backend()
    return backend == "jax" or (backend == "tensorflow" and device_kind() != "cpu")


def cores() -> int:
    """Return how many cores a training may use, fewer if TensorFlow is told so: their number changes the rounding."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    told = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    return min(here, int(told)) if told.isdecimal() and int(told) else here


def device_kind() -> str:
    """Return "cpu", "gpu" or "tpu": the fastest kind of device that the backend sees."""
    if keras.backend.backend() == "torch":
        where = str(ops.zeros(1).device)
        return "gpu" if where.startswith(("cuda", "mps", "xpu")) else "cpu"
    kinds = {name.split(":")[0].lower() for name in keras.distribution.list_devices()}
    return next((kind for kind in ("tpu", "gpu", "cuda") if kind in kinds), "cpu").replace("cuda", "gpu")


class OutOfTime(RuntimeError):
    """A training stopped for `Execution.deadline`: its checkpoint is written, and the same call goes on from it."""

    def __init__(self, update: int, total: int) -> None:
        super().__init__(update, total)  # as arguments, so that it travels between processes
        self.update, self.total = update, total

    def __str__(self) -> str:
        return f"out of time after update {self.update} of {self.total}"
