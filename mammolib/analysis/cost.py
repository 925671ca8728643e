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

FREE = {"InputLayer", "Reshape", "Flatten", "Dropout"}
TRAINING = 3
"""A training step costs three forward passes: the backward pass has two products for each of the forward pass's, one
for the input and one for the weights."""


@dataclass(frozen=True)
class LayerCost:
    """One layer's share for one image.

    Attributes:
        name, kind: the layer's name and class, such as "Conv2D".
        parameters, flops: how many it has, and operations of the forward pass.
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
    """Count what the paper counts of its SSD with plain and with separable convolutions (Table 2, Experiment D)."""
    first, whole, light = plain.get_layer("conv1_1"), plain.count_params(), separable.count_params()
    return {
        "parameters": whole,
        "parameters_separable": light,
        "parameters_share": light / whole,
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
        inputs = layer.input if isinstance(layer.input, list | tuple) else [layer.input]
        *sources, output = (tuple(tensor.shape[1:]) for tensor in (*inputs, layer.output))
        if any(None in shape for shape in (*sources, output)):
            raise ValueError(f"layer {layer.name}: its shape {output} is not fixed, so its cost cannot be counted")
        kind = type(layer).__name__
        flops = between = 0
        if kind == "Dense":
            flops = 2 * prod(output) * sources[0][-1]
        elif kind == "Conv2D":
            flops = 2 * prod(output) * prod(layer.kernel_size) * sources[0][-1] // layer.groups
        elif kind == "DepthwiseConv2D":
            flops = 2 * prod(output) * prod(layer.kernel_size)
        elif kind == "SeparableConv2D":
            between = prod(output[:-1]) * sources[0][-1]
            flops = 2 * between * (prod(layer.kernel_size) + output[-1])
        values = 0 if kind in FREE else sum(map(prod, sources)) + prod(output) + 2 * between
        rows.append(LayerCost(layer.name, kind, layer.count_params(), flops, values, output))
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
        between = (*row.output[:-1], layer.input.shape[-1])
        window, values = prod(layer.kernel_size), prod(layer.input.shape[1:]) + prod(between)
        parameters, flops = window * between[-1], 2 * window * prod(between)
        rest = row.parameters - parameters, row.flops - flops, row.values - values
        rows += [
            LayerCost(f"{row.name}/depthwise", "depthwise", parameters, flops, values, between),
            LayerCost(f"{row.name}/pointwise", "pointwise", *rest, row.output),
        ]
    return rows


def count_flops(model: keras.Model, training: bool = False) -> int:
    """Return the operations of one image's forward pass, or of a training step: `TRAINING` times as many."""
    return (TRAINING if training else 1) * sum(row.flops for row in layer_costs(model))
