"""How long a layer must take, and how long it takes: the roofline of Williams, Waterman and Patterson (2009).

A layer cannot be done before its operations are computed nor before its bytes are moved, so its time is at least the
longer of the two. Both rates are measured on the machine at hand: a large matrix product, and a pass over a large
array. `cost` counts operations and bytes; this module predicts from them, times the layers, and sets both beside each
other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from mammolib.analysis.cost import LayerCost, factor_costs, layer_costs

if TYPE_CHECKING:
    import keras
    import pandas as pd

MEGABYTES = 128
"""Size of the array that is read and written: many times what a processor's caches hold, or they are measured."""
TRAINING = 3
"""A training step costs three forward passes: the backward pass has two products for each of the forward pass's."""


@dataclass(frozen=True)
class Machine:
    """What a machine can do at best.

    Attributes:
        name: of the machine.
        rate: operations a second.
        bandwidth: bytes a second between memory and processor.

    Raises:
        ValueError: a rate is not positive.
    """

    name: str
    rate: float
    bandwidth: float

    def __post_init__(self) -> None:
        for what in ("rate", "bandwidth"):
            if not getattr(self, what) > 0:
                raise ValueError(f"machine {self.name!r}, {what}: must be positive, got {getattr(self, what)}")

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
        name: such as "conv1_2".
        kind: "plain" or "separable", or what else is compared.
        flops: its operations.
        moved: bytes it reads and writes at least.
        seconds: it took.
        predicted: seconds it takes at least, by the roofline; None if nothing was predicted.
    """

    name: str
    kind: str
    flops: float
    moved: float
    seconds: float
    predicted: float | None = None

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
    times = []
    for _ in range(repeat):
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return min(times)


def matrix_rate(dtype: str, side: int = 2048, times: int = 2) -> float:
    """Return the operations a second of large matrix products on this machine's fastest device, at its best.

    Args:
        dtype: "float32" or "bfloat16".
        side: of the matrices; 8192 fills a GPU.
        times: products between two readings of the clock.
    """
    import keras

    n = side
    rng = np.random.default_rng(0)
    a = keras.ops.cast(rng.normal(size=(n, n)).astype(np.float32), dtype)
    b = keras.ops.cast((rng.normal(size=(n, n)) / n**0.5).astype(np.float32), dtype)

    def work() -> None:
        x = a
        for _ in range(times):
            x = keras.ops.matmul(x, b)
        _wait(x)

    work()
    return 2 * n**3 * times / best_seconds(work, 8)


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
    """Return the least time for a batch, layer after layer: the roofline's prediction.

    Args:
        machine: which.
        costs: of the layers; of `factor_costs`, if the two factors of a separable convolution run one after the other.
        images: in the batch.
        training: a whole training step instead of the forward pass.
    """
    return (TRAINING if training else 1) * sum(machine.seconds(c.flops * images, c.bytes(images)) for c in costs)


def totals(model: keras.Model, images: int = 1) -> dict[str, float]:
    """Return what a forward pass over a batch costs.

    Returns:
        "parameters", "operations" and "bytes" of all convolutions, and how much of them the depthwise factors have:
        "depthwise operations" and "depthwise bytes".
    """
    rows = factor_costs(model)
    wide = [row for row in rows if row.kind in ("Conv2D", "depthwise", "pointwise")]
    deep = [row for row in rows if row.kind == "depthwise"]
    return {
        "parameters": model.count_params(),
        "operations": images * sum(row.flops for row in rows),
        "bytes": sum(row.bytes(images) for row in wide),
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
        models: kind -> model; all have layers of these names.
        names: of the layers, convolutions with one input.
        images: in the batch.
        machine: what predicts.
        repeat: timings of each; the shortest counts.

    Returns:
        Layer after layer, each kind in turn.

    Raises:
        ValueError: a model has no layer of a name.
    """
    found = []
    costs = {kind: ({c.name: c for c in layer_costs(m)}, factor_costs(m)) for kind, m in models.items()}
    for name in names:
        for kind, model in models.items():
            whole, factors = costs[kind]
            if name not in whole:
                raise ValueError(f"names: the {kind} model {model.name!r} has no layer {name!r}")
            layer, own = model.get_layer(name), [c for c in factors if c.name.split("/")[0] == name]
            todo = [(kind, layer, whole[name], own)]
            if len(own) == 2:
                todo.append(("depthwise alone", _depthwise(layer), own[0], own[:1]))
            for what, one, cost, parts in todo:
                seconds = time_layer(one, layer.input.shape[1:], images, repeat)
                least = least_seconds(machine, parts, images)
                found.append(Work(name, what, cost.flops * images, cost.bytes(images), seconds, least))
    return found


def time_layer(layer: keras.layers.Layer, shape: Sequence[int], images: int, repeat: int = 5) -> float:
    """Return the seconds of a layer's forward pass over a batch of noise, without bringing its output back.

    The layer computes all of its output; one pixel of it leaves the device, so that the clock stops when it is done.

    Args:
        layer: with one input.
        shape: of its input: height, width, channels.
        images: in the batch.
        repeat: timings; the shortest counts.
    """
    import keras

    start = keras.Input(shape)
    out = layer(start)
    crop = tuple((0, side - 1) for side in out.shape[1:3])
    model = keras.Model(start, keras.layers.Cropping2D(crop, data_format="channels_last")(out))
    noise = np.random.default_rng(0).random((images, *shape), np.float32)
    return _forward(model, keras.ops.convert_to_tensor(noise), repeat)


def measure_network(
    model: keras.Model, kind: str, images: int, machine: Machine, training: bool = False, repeat: int = 3
) -> Work:
    """Time a whole network on a batch of noise: a forward pass, or a training step with a loss that costs nothing."""
    import keras

    rng = np.random.default_rng(0)
    shown = keras.ops.convert_to_tensor(rng.random((images, *model.input_shape[1:]), np.float32))
    rows, name = factor_costs(model), "training step" if training else "forward pass"
    if training:
        wanted = np.zeros((images, *model.output_shape[1:]), np.float32)
        model.compile("sgd", "mse", jit_compile=False)
        model.train_on_batch(shown, wanted)
        seconds = best_seconds(lambda: model.train_on_batch(shown, wanted), repeat)
    else:
        seconds = _forward(model, shown, repeat)
    times = images * (TRAINING if training else 1)
    flops, moved = times * sum(r.flops for r in rows), times / images * sum(r.bytes(images) for r in rows)
    return Work(name, kind, flops, moved, seconds, least_seconds(machine, rows, images, training))


def compare(measured: Sequence[Work]) -> pd.DataFrame:
    """Set prediction and measurement beside each other.

    Returns:
        A row for each name and kind: operations a byte, the milliseconds predicted and measured, and their ratio.
    """
    import pandas as pd

    rows = [
        {
            "": work.name,
            "kind": work.kind,
            "operations a byte": round(work.intensity, 1),
            "predicted, ms": _three(1e3 * work.predicted) if work.predicted else None,
            "measured, ms": _three(1e3 * work.seconds),
            "measured / predicted": _ratio(work.seconds, work.predicted),
        }
        for work in measured
    ]
    return pd.DataFrame(rows).set_index(["", "kind"])


def shares(measured: Sequence[Work]) -> pd.DataFrame:
    """Return, for each name, what share of the plain work's time the separable one needs, predicted and measured."""
    import pandas as pd

    by = {(work.name, work.kind): work for work in measured}
    pairs = {
        name: (by[name, "separable"], by[name, "plain"])
        for name, kind in by
        if kind == "plain" and (name, "separable") in by
    }
    return pd.DataFrame(
        {
            "operations": [_ratio(a.flops, b.flops) for a, b in pairs.values()],
            "bytes": [_ratio(a.moved, b.moved) for a, b in pairs.values()],
            "time, predicted": [_ratio(a.predicted, b.predicted) for a, b in pairs.values()],
            "time, measured": [_ratio(a.seconds, b.seconds) for a, b in pairs.values()],
        },
        index=list(pairs),
    )


def _forward(model: keras.Model, shown: keras.KerasTensor, repeat: int) -> float:
    model.compile(jit_compile=False)
    model.predict_on_batch(shown)
    return best_seconds(lambda: model.predict_on_batch(shown), repeat)


def _depthwise(layer: keras.layers.SeparableConv2D) -> keras.layers.DepthwiseConv2D:
    """Return a layer like the depthwise factor of a separable one."""
    import keras

    same = ("kernel_size", "strides", "padding", "dilation_rate", "depth_multiplier", "data_format")
    return keras.layers.DepthwiseConv2D(use_bias=False, **{key: getattr(layer, key) for key in same})


def _three(value: float) -> float:
    return float(f"{value:.3g}")


def _ratio(part: float | None, whole: float | None) -> float | None:
    return _three(part / whole) if part is not None and whole else None


def _wait(x: keras.KerasTensor) -> None:
    """Wait for the device: read one number of an array."""
    import keras

    first = x[(0,) * len(x.shape)]
    keras.ops.convert_to_numpy(keras.ops.cast(first, "float32"))
