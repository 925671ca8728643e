"""What cannot be trained: images or targets that do not fit the network, too little memory, a network that died."""

from __future__ import annotations

import errno
import re
import warnings

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from mammolib.training.feed import Loss, Samples
from mammolib.training.settings import device_kind

LOOK, ALIKE = 100, 0.03
"""The update from which on answers should depend on the image, and how much less than within an image they may differ:
0.03 and less was seen where a training was dead, 0.07 and more where it went on to learn (chapter 8)."""

NO_MEMORY = re.compile(
    r"""resource_?\ ?exhausted | out[\ _-]?of[\ _-]?memory | \bOOM\b | bad_alloc | alloc_failed | \bENOMEM\b
    | cannot\ parse\ tensor\ from\ proto
    | (not\ enough|insufficient|no)\ (\w+\ ){0,3}memory | memory\ (\w+\ ){0,3}(exhausted|exceeded)
    | (unable|cannot|can't|could\ not|couldn't|fail(ed|ure|s)?)\ (to\ )?(\w+\ ){0,2}(re)?(alloc|reserve\ memory)
    | alloc\w*\ (\w+\ ){0,6}(failed|failure)""",
    re.IGNORECASE | re.VERBOSE,
)
"""How backends, allocators and drivers say that memory ran out."""


def check_samples(network: keras.Model, loss: str | Loss, samples: Samples, name: str) -> None:
    """Refuse images of another size than the network's, and targets that it cannot answer: `feed.Loss` says how."""
    if len(network.inputs) != 1 or len(network.inputs[0].shape) != 4:
        raise ValueError("build: the network must take one input of (B, H, W, channels)")
    wanted, got = network.inputs[0].shape[1:3], samples.images.shape[1:]
    if any(w not in (None, g) for w, g in zip(wanted, got, strict=True)):
        raise ValueError(f"{name}.images: the network takes {wanted[0]}x{wanted[1]}, got {got[0]}x{got[1]}")
    check = getattr(getattr(loss, "__self__", loss), "check_targets", None)
    for side in ("targets", "mirrored"):
        values = getattr(samples, side)
        if check is not None and values is not None:
            check(values, network.output_shape, f"{name}.{side}")


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
    dead, and what lies behind it sees nothing. `images` are (N, H, W) grey levels of 0 to 255.
    """
    layers = [layer for layer in network.layers if getattr(layer, "activation", None) is keras.activations.relu]
    outputs = keras.Model(network.input, [layer.output for layer in layers])(images, training=False)
    return {x.name: float(np.mean(ops.convert_to_numpy(y) > 0)) for x, y in zip(layers, outputs, strict=True)}


def warn_of_a_constant_answer(network: keras.Model, images: NDArray, update: int) -> None:
    """Warn where a network answers the same whatever the image: it no longer learns, and its loss will not say so."""
    over, within = spread_of_answers(ops.convert_to_numpy(ops.cast(network(images, training=False), "float32")))
    if np.isfinite(over) and over < ALIKE * within:
        warnings.warn(
            f"update {update}: the answers hardly differ from image to image ({over:.2g}, and {within:.2g} within an "
            "image), as if the network had died; try a lower learning rate",
            stacklevel=5,
        )


class OutOfMemory(ValueError):
    """The batch does not fit; the message names it and suggests half, or what else to do if it was one image."""


def too_large(batch: int, images: NDArray) -> OutOfMemory:
    """Return the error that says what to do."""
    side, memory = "x".join(str(v) for v in images.shape[1:]), f"the {device_kind()}'s memory"
    if batch > 1:
        return OutOfMemory(f"batch: {batch} images of {side} do not fit into {memory}; try a batch of {batch // 2}")
    advice = "take a narrower network, mixed_bfloat16 or a device with more memory"
    return OutOfMemory(f"batch: not even one image of {side} fits into {memory}; {advice}")


def out_of_memory(err: BaseException) -> bool:
    """Whether an exception of any backend, or one that it was raised from, means that memory ran out.

    Backends have types of their own for it, and name them alike; below them C++ raises bad_alloc, the system ENOMEM,
    and TensorFlow cannot parse a tensor where a constant finds no room. What is left is told by its words.
    """
    causes: list[BaseException] = []
    cause: BaseException | None = err
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    return any(
        isinstance(e, MemoryError)
        or getattr(e, "errno", None) == errno.ENOMEM
        or bool(NO_MEMORY.search(f"{type(e).__name__}: {e}"))
        for e in causes
    )
