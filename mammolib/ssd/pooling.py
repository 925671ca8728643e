"""Max pooling with a gradient that a GPU computes quickly under XLA."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

Tensor = Any
"""An array of whichever backend Keras runs on."""


@keras.saving.register_keras_serializable(package="mammolib")
class MaxPooling2D(layers.MaxPooling2D):
    """Keras's layer; on JAX, the windows of an SSD are pooled by comparisons.

    XLA turns the gradient of a maximum over windows into select-and-scatter, which is slow on a GPU at 256 x 256. The
    comparisons below give the same values and the same gradients, which go to the first of equal numbers. Other windows
    and other backends use Keras's own.
    """

    def call(self, x: Tensor) -> Tensor:
        if keras.backend.backend() == "jax" and self.data_format == "channels_last":
            window, even = (tuple(self.pool_size), tuple(self.strides)), x.shape[1] % 2 == x.shape[2] % 2 == 0
            if window == ((2, 2), (2, 2)) and even:
                return pool_halves(x)
            if window == ((3, 3), (1, 1)) and self.padding == "same":
                return pool_neighbours(x)
        return super().call(x)


def pool_halves(x: Tensor) -> Tensor:
    """Return the maximum of each 2 x 2 block: (B, H, W, C) with even sides becomes (B, H/2, W/2, C).

    The gradient is given here: all it needs is the place of the first largest, one byte for four numbers.
    """
    _, height, width, channels = x.shape

    def pooled(blocks: Tensor) -> tuple[Tensor, Any]:
        largest, place = blocks[:, :, 0, :, 0], ops.cast(0, "uint8")
        for number, (i, j) in enumerate(((0, 1), (1, 0), (1, 1)), start=1):
            other = blocks[:, :, i, :, j]
            stays = ops.logical_or(largest >= other, ops.isnan(largest))
            place = ops.where(stays, place, ops.cast(number, "uint8"))
            largest = ops.where(stays, largest, other)

        def gradient(upstream: Tensor) -> Tensor:
            corner = np.arange(4, dtype=np.uint8).reshape(1, 1, 2, 1, 2, 1)
            chosen = ops.equal(place[:, :, None, :, None], corner)
            return ops.where(chosen, upstream[:, :, None, :, None], ops.zeros((), upstream.dtype))

        return largest, gradient

    return ops.custom_gradient(pooled)(ops.reshape(x, (-1, height // 2, 2, width // 2, 2, channels)))


def pool_neighbours(x: Tensor) -> Tensor:
    """Return the maximum of the 3 x 3 cells around each cell, (B, H, W, C): first along rows, then along columns."""
    for axis in (2, 1):
        border = [(0, 0)] * 4
        border[axis] = (1, 1)
        wide, n = ops.pad(x, border, constant_values=float("-inf")), x.shape[axis]
        before, here, after = (wide[:, :, k : k + n] if axis == 2 else wide[:, k : k + n] for k in range(3))
        x = _larger(_larger(before, here), after)
    return x


def _larger(a: Tensor, b: Tensor) -> Tensor:
    return ops.where(ops.logical_or(a >= b, ops.isnan(a)), a, b)
