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

COLUMNS = 16
"""How many quantities a batch can record."""

ROWS = 128
"""The sets on the device are filled up to a multiple of this: XLA compiles a step for every size that it meets, and
Experiment A trains and validates on 696, 700 or 704 crops, depending on its split."""


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
        for name in ("targets",) if self.mirrored is None else ("targets", "mirrored"):
            values = np.asarray(getattr(self, name))
            if values.ndim == 0 or len(values) != len(images) or values.dtype.kind not in "iufb":
                needed = f"{len(images)} images need as many numbers"
                raise ValueError(f"{name}: {needed}, got {values.dtype} {values.shape}")
            if not np.isfinite(values).all():
                row = np.argwhere(~np.isfinite(values))[0, 0]
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


def epoch_plan(n: int, seed: int, epoch: int, rows: int | None = None, flip: bool = False) -> NDArray[np.int32]:
    """Return what an epoch, counted from 0, shows: (rows, 2) image number, and view: 1 is the image mirrored.

    The epochs cut up an endless stream of shuffled passes, each of which shows all n images once; by default an epoch
    is one pass.
    """
    rows = n if rows is None else rows
    first, last = epoch * rows, (epoch + 1) * rows
    passes = [np.random.default_rng([seed, 1, p]).permutation(n) for p in range(first // n, -(-last // n))]
    order = np.concatenate(passes)[first % n :][:rows]
    view = np.random.default_rng([seed, 2, epoch]).integers(0, 2, rows) if flip else np.zeros(rows)
    return np.stack([order, view], axis=1).astype(np.int32)


class Fed(keras.Model):
    """A network together with the images it learns from; what `fit` trains.

    Its input is rows of the plan: (image number, view). Every batch writes its loss, the loss's parts, the L2 term and
    the measures into one row of `trace`, a table that stays on the device until the host asks for it.

    Args:
        network: takes (B, H, W, channels) grey levels in 0-255.
        loss, measures: see `Loss` and `train`; both are averaged over the batch.
        rows: of the trace: the most batches between two readings.
        sets: they follow each other in the numbering of images.
        flip: whether the plan may ask for view 1.
    """

    def __init__(
        self, network: keras.Model, loss: Loss, measures: Mapping[str, Loss], rows: int, sets: Sequence[Samples],
        flip: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(dtype="float32")  # of this shell alone: the network's layers have their own policies
        self.network, self.flip = network, flip
        self.loss_function, self.measure_functions = loss, dict(measures)
        self.columns: tuple[str, ...] = ()  # known once Keras has traced a step
        self.trace = _held(np.zeros((rows, COLUMNS), np.float32), "trace")
        self.place = _held(np.zeros((), np.int32), "place")
        self.images = _held(_filled([s.images for s in sets]), "images")
        targets, self.mirrored_at = _filled([s.targets for s in sets]), 0
        if flip and sets[0].mirrored is not None:
            self.mirrored_at = len(targets)
            mirrored = [s.targets if s.mirrored is None else s.mirrored for s in sets]
            targets = np.concatenate([targets, _filled(mirrored)])
        self.targets = _held(targets, "targets")
        self.built = True

    def call(self, x: Any, training: bool = False) -> Any:
        """Show the images of the rows `x` to the network."""
        images = ops.take(self.images.value, x[:, 0], axis=0)
        if self.flip:
            images = ops.where(x[:, 1][:, None, None] == 1, ops.flip(images, axis=2), images)
        wanted = self.network.inputs[0]
        grey = ops.cast(images, wanted.dtype)[..., None]
        shown = grey if wanted.shape[-1] == 1 else ops.repeat(grey, wanted.shape[-1], axis=-1)
        return self.network(shown, training=training)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Return the total loss of a batch and write its parts into the trace; the hook of Keras on any backend."""
        targets = ops.take(self.targets.value, x[:, 0] + self.mirrored_at * x[:, 1], axis=0)
        outputs = keras.tree.map_structure(lambda v: ops.cast(v, "float32"), y_pred)
        value = self.loss_function(targets, outputs)
        parts = {name: _mean(v) for name, v in (value if isinstance(value, dict) else {"data": value}).items()}
        l2 = sum((ops.cast(value, "float32") for value in self.losses), ops.zeros(()))
        total = sum(parts.values(), l2)
        measures = {name: _mean(f(targets, outputs)) for name, f in self.measure_functions.items()}
        named = {"loss": total, **parts, "l2": l2, **measures}
        if len(named) > COLUMNS:
            raise ValueError(f"loss: {len(named)} quantities to record, at most {COLUMNS} are kept")
        self.columns = tuple(named)
        row = ops.pad(ops.stop_gradient(ops.stack(list(named.values()))), [(0, COLUMNS - len(named))])
        write_row(self.trace, self.place.value, row)
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

        A `watch` is told of every batch, and may end a training by `stop_training`. TensorFlow gets its batches one by
        one: after the last batch of `fit`, the thread that tunes tf.data sleeps on, up to as long again as all took.
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


def record_gradient_norms(
    optimizer: keras.optimizers.Optimizer, variables: Sequence[Any], rows: int, by_layer: bool
) -> tuple[list[str], Any]:
    """Make an optimizer write each update's gradient norms, before clipping, into a variable; return names and that.

    `apply` is replaced on the instance: of a subclass, Keras would not see that PyTorch has a faster optimizer.
    """
    layer = [v.path.rsplit("/", 1)[0] if by_layer else "all" for v in variables]
    names = list(dict.fromkeys(layer))
    table = optimizer.add_variable((rows, len(names)), name="gradient_norms", dtype="float32")
    inner = optimizer.apply

    def apply(grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> None:
        grads = list(grads)
        squares = dict.fromkeys(names, ops.zeros(()))
        for name, g in zip(layer, grads, strict=True):
            if g is not None:
                squares[name] = squares[name] + ops.sum(ops.square(ops.cast(g, "float32")))
        place = ops.cast(ops.mod(optimizer.iterations, rows), "int32")
        write_row(table, place, ops.sqrt(ops.stack(list(squares.values()))))
        inner(grads, trainable_variables)

    optimizer.apply = apply
    return names, table


def write_row(table: keras.Variable, place: Any, row: Any) -> None:
    """Write one row of a table on the device, by a mask: nothing has to be known before the step is compiled."""
    here = ops.arange(table.shape[0], dtype="int32")[:, None] == place
    table.assign(ops.where(here, row[None], table.value))


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
    """Return a network's outputs for (N, H, W) grey levels, as `train` shows them; (N, ...) single precision."""
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
