"""How a training begins: under a seed and a precision, and from weights that are there."""

from __future__ import annotations

import contextlib
import hashlib
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from mammolib.training import checkpoint as saved
from mammolib.training.export import fit_weights, load_weights, read_weights


@contextlib.contextmanager
def surroundings(seed: int, precision: str) -> Iterator[None]:
    """Seed everything and set the precision; afterwards the precision and the states of Python and NumPy return.

    The backend's and Keras's own global seeds do not return: Keras offers no way to read them. Layers draw their seeds
    from Python's global generator, and so may another thread, such as those of a Dask worker. So here they draw the
    same numbers from a generator that no other thread has.
    """
    from keras.src.random import seed_generator

    policy, python, numbers = keras.config.dtype_policy(), random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        keras.utils.set_random_seed(seed)
        keras.config.set_dtype_policy(precision)
        seed_generator.python_random = random.Random(seed)
        yield
    finally:
        seed_generator.python_random = random
        keras.config.set_dtype_policy(policy)
        random.setstate(python)
        np.random.set_state(numbers)  # noqa: NPY002


def begin_from(network: keras.Model, start: str | Path | Sequence[NDArray] | None) -> str | None:
    """Give a network the weights of a folder or a list; return their SHA-256, None where there are none."""
    if start is None:
        return None
    if isinstance(start, str | Path):
        load_weights(network, start)
        values = [value for _, value in read_weights(start)]
    else:
        values = [np.asarray(value, np.float32) for value in start]
        fit_weights(network, [(f"array {i}", v) for i, v in enumerate(values)], "start")
        saved.assign(network.weights, values)
    return hashlib.sha256(b"".join(np.ascontiguousarray(v).tobytes() for v in values)).hexdigest()
