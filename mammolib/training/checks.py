"""One-line errors for what cannot be trained: images or targets that do not fit the network, too little memory."""

from __future__ import annotations

import errno
import re
import warnings
from collections.abc import Mapping, Sequence

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from mammolib.training.feed import Loss, Samples
from mammolib.training.settings import device_kind


def check_images(network: keras.Model, samples: Samples, name: str) -> None:
    """Refuse images of another size than the network's.

    Raises:
        ValueError: names the set and both sizes.
    """
    if len(network.inputs) != 1 or len(network.inputs[0].shape) != 4:
        raise ValueError("build: the network must take one input of (B, H, W, channels)")
    wanted_shape, got = network.inputs[0].shape[1:3], samples.images.shape[1:]
    if any(w is not None and w != g for w, g in zip(wanted_shape, got, strict=True)):
        raise ValueError(f"{name}.images: the network takes {wanted_shape[0]}x{wanted_shape[1]}, got {got[0]}x{got[1]}")


def check_targets(network: keras.Model, loss: str | Loss, sets: Mapping[str, Samples | None]) -> None:
    """Let the loss refuse targets that the network cannot answer, if it can tell: `feed.Loss` says how."""
    check = getattr(getattr(loss, "__self__", loss), "check_targets", None)
    if check is None:
        return
    for name, samples in sets.items():
        given = {} if samples is None else {"targets": samples.targets, "mirrored": samples.mirrored}
        for side, values in given.items():
            if values is not None:
                check(values, network.output_shape, f"{name}.{side}")


LOOK, ALIKE = 100, 0.03
"""The update from which on answers should depend on the image, and how much less than within an image they may differ:
0.03 and less was seen where a training was dead, 0.07 and more where it went on to learn (chapter 8)."""


def spread_of_answers(answers: NDArray) -> tuple[float, float]:
    """Return how much answers differ from image to image, and within an image: (N, ...) -> two standard deviations.

    Each is a mean: over the numbers of an answer, and over images. A network whose hidden outputs have died gives every
    image the same answer; the first is then next to nothing beside the second.
    """
    flat = answers.reshape(len(answers), -1).astype(float)
    return float(flat.std(axis=0).mean()), float(flat.std(axis=1).mean())


def outputs_above_zero(network: keras.Model, images: NDArray) -> dict[str, float]:
    """Return the share of outputs above zero for each layer that ends in a ReLU, from the input to the output.

    About half is what random weights give. A filter whose outputs are 0 on every image gets no gradient any more: it is
    dead, and what lies behind it sees nothing.

    Args:
        network: such as SSD256.
        images: (N, H, W) grey levels 0 to 255.
    """
    layers = [layer for layer in network.layers if getattr(layer, "activation", None) is keras.activations.relu]
    outputs = keras.Model(network.input, [layer.output for layer in layers])(images, training=False)
    shares = [float(np.mean(ops.convert_to_numpy(y) > 0)) for y in outputs]
    return {layer.name: share for layer, share in zip(layers, shares, strict=True)}


def warn_of_a_constant_answer(network: keras.Model, images: NDArray, update: int) -> None:
    """Warn where a network answers the same whatever the image: it no longer learns, and its loss will not say so."""
    over, within = spread_of_answers(ops.convert_to_numpy(ops.cast(network(images, training=False), "float32")))
    if np.isfinite(over) and over < ALIKE * within:
        warnings.warn(
            f"update {update}: the answers hardly differ from image to image ({over:.2g}, and {within:.2g} within an "
            "image), as if the network had died; try a lower learning rate",
            stacklevel=5,
        )


NO_MEMORY = re.compile(
    r"""resource_?\ ?exhausted | out[\ _-]?of[\ _-]?memory | \bOOM\b | bad_alloc | alloc_failed | \bENOMEM\b
    | cannot\ parse\ tensor\ from\ proto
    | (not\ enough|insufficient|no)\ (\w+\ ){0,3}memory | memory\ (\w+\ ){0,3}(exhausted|exceeded)
    | (unable|cannot|can't|could\ not|couldn't|fail(ed|ure|s)?)\ (to\ )?(\w+\ ){0,2}(re)?(alloc|reserve\ memory)
    | alloc\w*\ (\w+\ ){0,6}(failed|failure)""",
    re.IGNORECASE | re.VERBOSE,
)
"""How backends, allocators and drivers say that memory ran out."""


class OutOfMemory(ValueError):
    """The batch does not fit; the message names it and suggests half, or what else to do if it was one image."""


def out_of_memory(err: BaseException) -> bool:
    """Whether an exception of any backend, or one that it was raised from, means that memory ran out.

    Backends have types of their own for it, and name them alike; below them C++ raises bad_alloc, the system ENOMEM,
    and TensorFlow says "cannot parse tensor from proto" where a constant finds no room. What is left is told by its
    words: memory that is short, or an allocation that failed.
    """
    causes: list[BaseException] = []
    cause: BaseException | None = err
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    return any(
        isinstance(e, MemoryError)
        or (isinstance(e, OSError) and e.errno == errno.ENOMEM)
        or bool(NO_MEMORY.search(f"{type(e).__name__}: {e}"))
        for e in causes
    )


def too_large(batch: int, size: Sequence[int]) -> str:
    """Return the message that memory ran out, and what to do."""
    side, memory = "x".join(str(v) for v in size), f"the {device_kind()}'s memory"
    if batch > 1:
        return f"batch: {batch} images of {side} do not fit into {memory}; try a batch of {batch // 2}"
    return (
        f"batch: not even one image of {side} fits into {memory}; take a narrower network, mixed_bfloat16 "
        "or a device with more memory"
    )
