"""How long a layer must take, and how long it takes: the roofline of Williams, Waterman and Patterson (2009).

A layer cannot be done before its operations are computed nor before its bytes are moved, so its time is at least the
longer of the two. Both rates are measured on the machine at hand: a large matrix product, and a pass over a large
array. `cost` counts operations and bytes; this module predicts from them, times the layers, and sets both beside each
other.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mammolib.analysis.cost import TRAINING, LayerCost, factor_costs

if TYPE_CHECKING:
    import keras
    import pandas as pd

MEGABYTES = 128
"""Size of the array that is read and written: many times what a processor's caches hold, or they are measured."""


@dataclass(frozen=True)
class Machine:
    """What a machine can do at best: operations a second, and bytes a second between memory and processor."""

    name: str
    rate: float
    bandwidth: float

    @property
    def ridge(self) -> float:
        """Operations a byte above which the arithmetic is the limit, and below which the memory is."""
        return self.rate / self.bandwidth

    def roof(self, intensity: float) -> float:
        """Return the most operations a second that work of so many operations a byte can reach."""
        return min(self.rate, self.bandwidth * intensity)

    def seconds(self, flops: float, moved: float) -> float:
        """Return the least time for so many operations and bytes."""
        return max(flops / self.rate, moved / self.bandwidth)


@dataclass(frozen=True)
class Work:
    """Something that was timed.

    Attributes:
        name, kind: such as "conv1_2", "separable".
        flops, moved: its operations, and the bytes it reads and writes at least.
        seconds, predicted: how long it took, and must take by the roofline; NaN if nothing was predicted.
    """

    name: str
    kind: str
    flops: float
    moved: float
    seconds: float
    predicted: float = np.nan

    @property
    def intensity(self) -> float:
        """Operations a byte."""
        return self.flops / self.moved

    @property
    def rate(self) -> float:
        """Operations a second reached."""
        return self.flops / self.seconds


# the machine


def best_seconds(work: Callable[[], object], repeat: int = 3) -> float:
    """Return the shortest of `repeat` timings of `work()`, in seconds."""
    return min(timeit.repeat(work, number=1, repeat=repeat))


def matrix_rate(dtype: str, side: int = 2048, times: int = 1) -> float:
    """Return the operations a second of large matrix products on this machine's fastest device, at its best.

    Args:
        dtype: "float32" or "bfloat16".
        side: of the matrices; 8192 fills a GPU.
        times: products between two readings of the clock.
    """
    import keras

    rng = np.random.default_rng(0)
    start, other = (rng.normal(0, side**-0.5, (side, side)).astype(np.float32) for _ in range(2))
    start, other = keras.ops.cast(start, dtype), keras.ops.cast(other, dtype)

    def work() -> None:
        product = start
        for _ in range(times):
            product = keras.ops.matmul(product, other)
        _wait(product)

    work()
    return 2 * side**3 * times / best_seconds(work, 5)


def bandwidth() -> float:
    """Return the bytes a second of passes that read one array of `MEGABYTES` and write another.

    Two passes lie between two readings of the clock: on a machine that has other work, short timings find the moments
    when it had none.
    """
    import keras

    x = keras.ops.ones((MEGABYTES * 2**18,), "float32")
    one = keras.ops.ones((), "float32")

    def work() -> None:
        keras.ops.add(x, one)
        _wait(keras.ops.add(x, one))

    work()
    return 2 * MEGABYTES * 2**20 * 2 / best_seconds(work, 10)


def measure_machine() -> Machine:
    """Return what this machine's fastest device can do in float32, as measured now."""
    return Machine("this machine", matrix_rate("float32"), bandwidth())


# prediction


def least_seconds(machine: Machine, costs: Sequence[LayerCost], images: int, training: bool = False) -> float:
    """Return the least time for a batch, layer after layer, forward or in training: the roofline's prediction.

    The costs are of `factor_costs`, if the two factors of a separable convolution run one after the other.
    """
    return (TRAINING if training else 1) * sum(machine.seconds(c.flops * images, c.bytes(images)) for c in costs)


def totals(model: keras.Model, images: int = 1) -> dict[str, float]:
    """Return parameters, operations and bytes of a forward pass over a batch, and what the depthwise factors have."""
    rows = factor_costs(model)
    deep = [row for row in rows if row.kind == "depthwise"]
    return {
        "parameters": model.count_params(),
        "operations": images * sum(row.flops for row in rows),
        "bytes": sum(row.bytes(images) for row in rows if row.kind in ("Conv2D", "depthwise", "pointwise")),
        "depthwise operations": images * sum(row.flops for row in deep),
        "depthwise bytes": sum(row.bytes(images) for row in deep),
    }


# measurement


def measure_layers(
    models: Mapping[str, keras.Model], names: Sequence[str], images: int, machine: Machine, repeat: int = 5
) -> list[Work]:
    """Time single layers of some models, forward, each alone with a batch of noise.

    Of a separable layer, the depthwise factor is timed once more without the other, as kind "depthwise alone".

    Args:
        models: kind -> model; all have layers of these names, convolutions with one input.
        names: of the layers; the works come layer after layer, each kind in turn.
        images: in the batch.
        machine: what predicts.
        repeat: timings of each; the shortest counts.
    """
    works = []
    costs = {kind: factor_costs(model) for kind, model in models.items()}
    for name in names:
        for kind, model in models.items():
            layer, own = model.get_layer(name), [c for c in costs[kind] if c.name.split("/")[0] == name]
            todo = [(kind, layer, own)]
            if len(own) == 2:
                todo.append(("depthwise alone", _depthwise(layer), own[:1]))
            for what, one, parts in todo:
                seconds = time_layer(one, layer.input.shape[1:], images, repeat)
                flops, moved = images * sum(c.flops for c in parts), sum(c.bytes(images) for c in parts)
                works.append(Work(name, what, flops, moved, seconds, least_seconds(machine, parts, images)))
    return works


def time_layer(layer: keras.layers.Layer, shape: Sequence[int], images: int, repeat: int = 5) -> float:
    """Return the seconds of a layer's forward pass over a batch of noise, without bringing its output back.

    The layer computes all of its output; one pixel of it leaves the device, so that the clock stops when it is done.
    """
    import keras

    start = keras.Input(shape)
    out = layer(start)
    crop = tuple((0, side - 1) for side in out.shape[1:3])
    model = keras.Model(start, keras.layers.Cropping2D(crop, data_format="channels_last")(out))
    return _forward_seconds(model, _noise(images, shape), repeat)


def measure_network(
    model: keras.Model, kind: str, images: int, machine: Machine, training: bool = False, repeat: int = 3
) -> Work:
    """Time a whole network on a batch of noise: a forward pass, or a training step with a loss that costs nothing."""
    shown, rows = _noise(images, model.input_shape[1:]), factor_costs(model)
    if training:
        wanted = np.zeros((images, *model.output_shape[1:]), np.float32)
        model.compile("sgd", "mse", jit_compile=False)
        model.train_on_batch(shown, wanted)
        seconds = best_seconds(lambda: model.train_on_batch(shown, wanted), repeat)
    else:
        seconds = _forward_seconds(model, shown, repeat)
    times = TRAINING if training else 1
    flops, moved = times * images * sum(r.flops for r in rows), times * sum(r.bytes(images) for r in rows)
    least = least_seconds(machine, rows, images, training)
    return Work("training step" if training else "forward pass", kind, flops, moved, seconds, least)


def compare(measured: Sequence[Work]) -> pd.DataFrame:
    """Set predicted and measured milliseconds beside each other: a row for each name and kind."""
    import pandas as pd

    rows = [
        {
            "": work.name,
            "kind": work.kind,
            "operations a byte": round(work.intensity, 1),
            "predicted, ms": _three(1e3 * work.predicted),
            "measured, ms": _three(1e3 * work.seconds),
            "measured / predicted": _three(work.seconds / work.predicted),
        }
        for work in measured
    ]
    return pd.DataFrame(rows).set_index(["", "kind"])


def shares(measured: Sequence[Work]) -> pd.DataFrame:
    """Return, for each name, what share of the plain work's time the separable one needs, predicted and measured."""
    import pandas as pd

    heads = {"flops": "operations", "moved": "bytes", "predicted": "time, predicted", "seconds": "time, measured"}
    works = pd.DataFrame([vars(work) for work in measured]).set_index(["kind", "name"])[list(heads)]
    names = [w.name for w in measured if w.kind == "plain" and ("separable", w.name) in works.index]
    share = works.loc["separable"].loc[names] / works.loc["plain"].loc[names]
    return share.map(_three).rename(columns=heads).rename_axis(None)


def _noise(images: int, shape: Sequence[int]) -> keras.KerasTensor:
    import keras

    return keras.ops.convert_to_tensor(np.random.default_rng(0).random((images, *shape), np.float32))


def _forward_seconds(model: keras.Model, shown: keras.KerasTensor, repeat: int) -> float:
    model.compile(jit_compile=False)
    model.predict_on_batch(shown)
    return best_seconds(lambda: model.predict_on_batch(shown), repeat)


def _depthwise(layer: keras.layers.SeparableConv2D) -> keras.layers.DepthwiseConv2D:
    """Return a layer like the depthwise factor of a separable one."""
    import keras

    same = (layer.kernel_size, layer.strides, layer.padding)
    return keras.layers.DepthwiseConv2D(*same, data_format="channels_last", use_bias=False)


def _three(value: float) -> float:
    return float(f"{value:.3g}")


def _wait(x: keras.KerasTensor) -> None:
    """Wait for the device: read one number of an array."""
    import keras

    keras.ops.convert_to_numpy(keras.ops.cast(x[(0,) * len(x.shape)], "float32"))
