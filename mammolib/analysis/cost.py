"""What a model costs: arithmetic and memory traffic, layer by layer, counted from the model itself.

A multiplication and an addition count as two operations (FLOP); biases, activations and pooling are left out, being a
thousandth of the whole. Works for any functional Keras model of this project, the classifiers included.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

_FREE = {"InputLayer", "Reshape", "Flatten", "Dropout"}


@dataclass(frozen=True)
class LayerCost:
    """One layer's share for one image.

    Attributes:
        name: the layer's.
        kind: its class, such as "Conv2D".
        parameters: how many it has.
        flops: operations of the forward pass.
        values: numbers read and written by the forward pass if every layer reads its input once and writes its output
            once; a separable convolution also writes and reads what lies between its two factors.
        output: shape of its output, without the batch.
    """

    name: str
    kind: str
    parameters: int
    flops: int
    values: int
    output: tuple[int, ...]

    def bytes(self, images: int) -> int:
        """Memory traffic of a float32 forward pass over a batch: the parameters once, the rest once an image."""
        return 4 * (self.parameters + images * self.values)


def counts(plain: keras.Model, separable: keras.Model) -> dict[str, float]:
    """Count what the paper counts of its SSD with plain and with separable convolutions (Table 2, Experiment D).

    Returns:
        parameters, parameters_separable and the share that is left; conv1_1 and conv1_1_separable (its parameters),
        conv1_1_filters, conv1_1_kernel; input_side and input_channels.
    """
    first = plain.get_layer("conv1_1")
    totals = {"parameters": plain.count_params(), "parameters_separable": separable.count_params()}
    return totals | {
        "parameters_share": totals["parameters_separable"] / totals["parameters"],
        "conv1_1": first.count_params(),
        "conv1_1_separable": separable.get_layer("conv1_1").count_params(),
        "conv1_1_filters": first.filters,
        "conv1_1_kernel": first.kernel_size[0],
        "input_side": first.input.shape[1],
        "input_channels": first.input.shape[-1],
    }


def layer_costs(model: keras.Model) -> list[LayerCost]:
    """Return the cost of every layer for one image, in the model's order.

    Raises:
        ValueError: an input or output of a layer has a size that is not fixed; names the layer.
    """
    rows = []
    for layer in model.layers:
        ins = layer.input if isinstance(layer.input, list | tuple) else [layer.input]
        out = _shape(layer, layer.output)
        ins = [_shape(layer, t) for t in ins] or [out]  # an InputLayer has no input of its own
        kind = type(layer).__name__
        flops, between = _operations(layer, kind, ins[0], out)
        values = 0 if kind in _FREE else sum(map(prod, ins)) + prod(out) + 2 * between
        rows.append(LayerCost(layer.name, kind, layer.count_params(), flops, values, out))
    return rows


def factor_costs(model: keras.Model) -> list[LayerCost]:
    """As `layer_costs`, but a separable convolution is two rows, "NAME/depthwise" and "NAME/pointwise".

    The two add up to the row they replace. They are best kept apart where time is asked for: the depthwise factor
    moves as many bytes as the pointwise one and has next to nothing to compute.
    """
    rows = []
    for layer, row in zip(model.layers, layer_costs(model), strict=True):
        if row.kind != "SeparableConv2D":
            rows.append(row)
            continue
        channels = layer.input.shape[-1] * layer.depth_multiplier
        between = (*row.output[:-1], channels)
        window = prod(layer.kernel_size)
        first = LayerCost(
            f"{row.name}/depthwise", "depthwise", window * channels, 2 * window * prod(between),
            prod(layer.input.shape[1:]) + prod(between), between,
        )  # fmt: skip
        second = LayerCost(
            f"{row.name}/pointwise", "pointwise", row.parameters - first.parameters, row.flops - first.flops,
            row.values - first.values, row.output,
        )  # fmt: skip
        rows += [first, second]
    return rows


def count_flops(model: keras.Model, training: bool = False) -> int:
    """Return the operations of one image's forward pass, or of a training step: three times as many.

    The backward pass computes two products for each of the forward pass's: one for the input, one for the weights.
    """
    return (3 if training else 1) * sum(row.flops for row in layer_costs(model))


def _operations(layer: keras.Layer, kind: str, source: tuple[int, ...], out: tuple[int, ...]) -> tuple[int, int]:
    """Operations of one layer, and how many numbers a separable convolution holds between its factors."""
    if kind == "Dense":
        return 2 * prod(out) * source[-1], 0
    if kind == "Conv2D":
        return 2 * prod(out) * prod(layer.kernel_size) * source[-1] // layer.groups, 0
    if kind == "DepthwiseConv2D":
        return 2 * prod(out) * prod(layer.kernel_size), 0
    if kind == "SeparableConv2D":
        between = prod(out[:-1]) * source[-1] * layer.depth_multiplier
        return 2 * between * (prod(layer.kernel_size) + out[-1]), between
    return 0, 0


def _shape(layer: keras.Layer, tensor: keras.KerasTensor) -> tuple[int, ...]:
    shape = tuple(tensor.shape[1:])
    if None in shape:
        raise ValueError(f"layer {layer.name}: its shape {shape} is not fixed, so its cost cannot be counted")
    return shape
