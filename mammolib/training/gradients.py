"""The norms of gradients before clipping, recorded while a compiled training runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


def record_gradient_norms(
    optimizer: keras.optimizers.Optimizer, variables: Sequence[Any], rows: int, by_layer: bool
) -> tuple[list[str], Any]:
    """Make an optimizer write each update's gradient norms, before clipping, into a variable of its own.

    `apply` is replaced on the instance: PyTorch's optimizers are chosen by their exact class, so a subclass would get
    the slow ones.
    """
    layer = [v.path.rsplit("/", 1)[0] if by_layer else "all" for v in variables]
    names = list(dict.fromkeys(layer))
    table = optimizer.add_variable((rows, len(names)), name="gradient_norms", dtype="float32")
    inner = optimizer.apply

    def apply(grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> None:
        grads = list(grads)
        squares: dict[str, Any] = {}
        for name, g in zip(layer, grads, strict=True):
            if g is not None:
                squares[name] = squares.get(name, 0.0) + ops.sum(ops.square(ops.cast(g, "float32")))
        row = ops.sqrt(ops.stack([squares.get(name, ops.zeros(())) for name in names]))
        place = ops.cast(ops.mod(optimizer.iterations, rows), "int32")
        here = ops.arange(rows, dtype="int32")[:, None] == place
        table.assign(ops.where(here, row[None], table.value))
        inner(grads, trainable_variables)

    optimizer.apply = apply
    return names, table
