"""Keep the images on the device and feed batches as row indices.

Keras's `fit` is given rows of (image number, view), a few bytes each; the images and targets lie on the device as
unsigned bytes and are picked out there. The order and the mirroring of an epoch depend on the seed and the epoch
alone, so a training that was killed continues with the very batches it would have had, on any backend.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

Loss = Callable[[Any, Any], Any]
"""(targets, outputs) -> the loss of the batch as a scalar, one per image, or a dict of such: its named parts.

A loss, or the object whose method it is, may offer `check_targets(targets, output_shape, name)`: `train` calls it once
with each array of targets before the first update, and it raises a ValueError for what the network cannot answer.
"""


@dataclass(frozen=True)
class Samples:
    """Images and their targets.

    Attributes:
        images: (N, H, W) uint8 grey levels.
        targets: (N, ...) numbers in any layout the loss understands.
        mirrored: (N, ...) the targets of the images mirrored left to right, where they differ (boxes); else None.

    Raises:
        ValueError: wrong shape or dtype, no image, a value that is not finite.
    """

    images: NDArray[np.uint8]
    targets: NDArray
    mirrored: NDArray | None = None

    def __post_init__(self) -> None:
        images = np.asarray(self.images)
        if images.ndim != 3 or images.dtype != np.uint8:
            raise ValueError(f"images: must be (N, H, W) uint8 grey levels, got {images.dtype} of shape {images.shape}")
        if not len(images):
            raise ValueError("images: the set is empty; there is nothing to train or validate on")
        object.__setattr__(self, "images", images)
        for name in ("targets", "mirrored"):
            values = getattr(self, name)
            if values is None:
                continue
            values = np.asarray(values)
            if values.ndim == 0 or len(values) != len(images) or values.dtype.kind not in "iufb":
                raise ValueError(
                    f"{name}: {len(images)} images need as many numbers, got {values.dtype} {values.shape}"
                )
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                row = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))[0]
                raise ValueError(f"{name}, row {row}: holds a value that is not finite")
            object.__setattr__(self, name, values)
        if self.mirrored is not None and self.mirrored.shape != self.targets.shape:
            raise ValueError(f"mirrored: must have the targets' shape {self.targets.shape}, got {self.mirrored.shape}")

    def __len__(self) -> int:
        return len(self.images)

    def digest(self) -> str:
        """Return the SHA-256 of all images and targets."""
        h = hashlib.sha256()
        for values in (self.images, self.targets, self.mirrored):
            if values is not None:
                h.update(f"{values.dtype.str}{values.shape}".encode())
                h.update(np.ascontiguousarray(values).data)
        return h.hexdigest()


def epoch_order(n: int, seed: int, epoch: int, rows: int | None = None) -> NDArray[np.int32]:
    """Return which images an epoch shows, in order.

    Args:
        n: images in the set.
        seed: of the run.
        epoch: counted from 0.
        rows: images an epoch shows, from an endless stream of shuffled passes; None: one pass of n.

    Returns:
        (rows,) image numbers. A pass shows every image once.
    """
    if rows is None:
        return _shuffled(n, seed, epoch)
    first, last = epoch * rows, (epoch + 1) * rows
    passes = range(first // n, -(-last // n))
    return np.concatenate([_shuffled(n, seed, p) for p in passes])[first - passes[0] * n : last - passes[0] * n]


def epoch_plan(n: int, seed: int, epoch: int, rows: int | None = None, flip: bool = False) -> NDArray[np.int32]:
    """Return the rows (image number, view) of an epoch; view 1 is the image mirrored left to right."""
    order = epoch_order(n, seed, epoch, rows)
    view = np.random.default_rng([seed, 2, epoch]).integers(0, 2, len(order)) if flip else np.zeros_like(order)
    return np.stack([order, view], axis=1).astype(np.int32)


def _shuffled(n: int, seed: int, number: int) -> NDArray[np.int32]:
    return np.random.default_rng([seed, 1, number]).permutation(n).astype(np.int32)


COLUMNS = 16
"""How many quantities a batch can record."""

ROWS = 128
"""The sets on the device are filled up to a multiple of this: XLA compiles a step for every size that it meets, and
Experiment A trains and validates on 696, 700 or 704 crops, depending on its split."""


class Fed(keras.Model):
    """A network together with the images it learns from; what `fit` trains.

    Its input is rows of the plan: (image number, view). Every batch writes its loss, the loss's parts, the L2 term and
    the measures into one row of `trace`, a table that stays on the device until the host asks for it.

    Args:
        network: takes (B, H, W, channels) grey levels in 0-255.
        loss: see `Loss`; its parts are averaged over the batch and added up.
        measures: further quantities to record, by name, each (targets, outputs) -> scalar or one per image.
        rows: rows of the trace: the most batches between two readings.
        samples: sets that follow each other in the numbering of images.
        flip: whether rows may ask for view 1.
    """

    def __init__(
        self,
        network: keras.Model,
        loss: Loss,
        measures: Mapping[str, Loss],
        rows: int,
        samples: Sequence[Samples],
        flip: bool = False,
    ) -> None:
        super().__init__(dtype="float32")  # of this shell alone: the network's layers have their own policies
        self.network, self.flip = network, flip
        self.loss_function, self.measure_functions = loss, dict(measures)
        self.columns: tuple[str, ...] = ()  # known once Keras has traced a step
        self.trace = _held(np.zeros((rows, COLUMNS), np.float32), "trace")
        self.place = _held(np.zeros((), np.int32), "place")
        self.images = _held(_filled([s.images for s in samples]), "images")
        targets, self.mirrored_at = _filled([s.targets for s in samples]), 0
        if flip and samples[0].mirrored is not None:
            self.mirrored_at = len(targets)
            mirrored = [s.targets if s.mirrored is None else s.mirrored for s in samples]
            targets = np.concatenate([targets, _filled(mirrored)])
        self.targets = _held(targets, "targets")
        self.built = True

    def call(self, x: Any, training: bool = False) -> Any:
        """Show the images of the rows `x` to the network."""
        images = ops.take(self.images.value, x[:, 0], axis=0)
        if self.flip:
            images = ops.where(x[:, 1][:, None, None] == 1, ops.flip(images, axis=2), images)
        return self.network(grey_to_input(images, self.network), training=training)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Return the total loss of a batch and write its parts into the trace; the hook of Keras on any backend."""
        targets = ops.take(self.targets.value, x[:, 0] + self.mirrored_at * x[:, 1], axis=0)
        outputs = keras.tree.map_structure(lambda v: ops.cast(v, "float32"), y_pred)
        parts = _parts(self.loss_function(targets, outputs))
        l2 = sum((ops.cast(value, "float32") for value in self.losses), ops.zeros(()))
        total = sum(parts.values(), l2)
        measures = {name: _mean(f(targets, outputs)) for name, f in self.measure_functions.items()}
        named = {"loss": total, **parts, "l2": l2, **measures}
        if len(named) > COLUMNS:
            raise ValueError(f"loss: {len(named)} quantities to record, at most {COLUMNS} are kept")
        self.columns = tuple(named)
        row = ops.pad(ops.stop_gradient(ops.stack(list(named.values()))), [(0, COLUMNS - len(named))])
        here = ops.arange(self.trace.shape[0], dtype="int32")[:, None] == self.place.value
        self.trace.assign(ops.where(here, row[None], self.trace.value))
        self.place.assign(self.place.value + 1)
        return total

    def read(self) -> dict[str, NDArray[np.float64]]:
        """Return what the batches since the last reading wrote, by column, and begin a new table."""
        steps = int(ops.convert_to_numpy(self.place))
        table = ops.convert_to_numpy(self.trace)[:steps].astype(np.float64)
        self.place.assign(ops.zeros((), "int32"))
        return dict(zip(self.columns, table.T, strict=False))

    def show(self, plan: NDArray[np.int32], batch: int, watch: keras.callbacks.Callback | None = None) -> None:
        """Train on the rows of a plan, or test on them if nobody watches; `read` returns what came of it.

        TensorFlow gets its batches one by one: after the last batch of `fit`, the thread that tunes tf.data sleeps on,
        up to as long again as all the batches took.

        Args:
            plan: (rows, 2) image number and view.
            batch: rows in a batch.
            watch: told of every batch of a training; it may end it by `stop_training`.
        """
        if keras.backend.backend() != "tensorflow":
            if watch is None:
                self.evaluate(plan, batch_size=batch, verbose=0)
            else:
                self.fit(plan, batch_size=batch, shuffle=False, verbose=0, callbacks=[watch])
            return
        self.reset_metrics()
        self.stop_training = False
        for number, start in enumerate(range(0, len(plan), batch)):
            rows = plan[start : start + batch]
            if watch is None:
                self.test_on_batch(rows)
                continue
            watch.on_train_batch_end(number, self.train_on_batch(rows, return_dict=True))
            if self.stop_training:
                break


def grey_to_input(images: Any, network: keras.Model) -> Any:
    """Turn (B, H, W) grey levels into what the network takes: its channels, its number type."""
    inputs = network.inputs[0]
    x = ops.cast(images, inputs.dtype)[..., None]
    return x if inputs.shape[-1] == 1 else ops.repeat(x, inputs.shape[-1], axis=-1)


def _parts(value: Any) -> dict[str, Any]:
    return {name: _mean(v) for name, v in (value if isinstance(value, dict) else {"data": value}).items()}


def _mean(value: Any) -> Any:
    return ops.mean(ops.cast(value, "float32"))


def _filled(sets: Sequence[NDArray]) -> NDArray:
    """Join arrays, and fill them up with zeros to a multiple of `ROWS`."""
    return np.concatenate([*sets, np.zeros((-sum(map(len, sets)) % ROWS, *sets[0].shape[1:]), sets[0].dtype)])


def _held(values: NDArray, name: str) -> keras.Variable:
    """Put an array on the device, in a type that every backend has."""
    dtype = {"float64": "float32", "int64": "int32", "uint64": "int32", "bool": "uint8"}.get(values.dtype.name)
    return keras.Variable(values if dtype is None else values.astype(dtype), trainable=False, name=name)


def predict(model: keras.Model, images: NDArray[np.uint8], batch: int = 64) -> NDArray[np.floating]:
    """Return a network's outputs for (N, H, W) grey levels, as `train` shows them; (N, ...) single precision.

    Raises:
        ValueError: the images do not suit the network.
    """
    samples = Samples(images, np.zeros(len(images), np.uint8))
    channels = model.inputs[0].shape[-1]
    with quiet():
        outputs = [
            model.predict_on_batch(np.repeat(x[..., None], channels, axis=-1).astype(np.float32))
            for x in np.split(samples.images, range(batch, len(images), batch))
        ]
    return np.concatenate(outputs).astype(np.float32)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep TensorFlow from warning that a function is traced anew: it counts the functions of all models together."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def even_batch(n: int, batch: int) -> int:
    """Return the largest batch of at most `batch` into which n images divide evenly, unless that is under a quarter."""
    even = next(b for b in range(min(n, batch), 0, -1) if n % b == 0)
    return even if 4 * even >= min(n, batch) else min(n, batch)
