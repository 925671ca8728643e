"""What `mammolib.training` costs beside bare Keras on the same arrays, on every backend that is installed.

What is timed is `training.train` as a reader calls it, but for its bar. Bare Keras is the faster of `fit` and of a loop
over `train_on_batch`: on TensorFlow `fit` waits after its last batch for a sleeping thread of tf.data. Epochs of the
trainings alternate, and the fastest epoch of each counts, so that other work on the machine disturbs the ratio little.
A checkpoint falls into every tenth epoch only and so not into the fastest: a tenth of its time is added to ours.
"""

from __future__ import annotations

import functools
import tempfile
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

from mammolib.bench import Benchmark, best_seconds, in_a_process

BATCH, EPOCHS = 32, 5
IMAGES = {"tensorflow": 1269, "torch": 1269, "jax": 64}
"""Images in an epoch, as many as the paper trains CNNI-BCC on; few for JAX, whose convolutions are slow on a CPU."""
WIDTHS = {"vgg16": 1 / 8, "cnni_bcc": 1 / 4}


def beside_keras(network: str) -> str:
    """Train one network every way in this process: the ratio of images a second, and ours beside bare Keras's."""
    import keras
    import numpy as np

    from mammolib import classifiers, training
    from mammolib.training import checkpoint
    from mammolib.training.settings import use_jit

    n = IMAGES[keras.backend.backend()]
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n, 128, 128)).astype(np.uint8)
    targets = np.eye(2, dtype=np.float32)[np.arange(n) % 2]

    def build() -> Any:
        width = WIDTHS[network]
        return classifiers.vgg16(2, width) if network == "vgg16" else classifiers.cnni_bcc(2, "paper", width)

    execution = training.Execution(progress=False)
    bare = build()
    bare.compile("sgd", "categorical_crossentropy", metrics=["accuracy"], jit_compile=use_jit())
    x = images[..., None]

    def fit() -> None:
        bare.fit(x, targets, batch_size=BATCH, verbose=0)

    def loop() -> None:
        order = rng.permutation(n)
        for rows in np.split(order, range(BATCH, n, BATCH)):
            bare.train_on_batch(x[rows], targets[rows])

    took: list[list[float]] = []
    began = perf_counter()

    def watch(*_: Any) -> None:
        """Note what the epoch that has ended took, then time an epoch of every other way to train."""
        nonlocal began
        ours = perf_counter() - began
        took.append([ours, best_seconds(fit, 1), best_seconds(loop, 1)])
        began = perf_counter()

    with tempfile.TemporaryDirectory() as folder:
        training.train(
            build,
            training.Samples(images, targets),
            settings=training.Settings(EPOCHS + 1, BATCH),
            loss="categorical_crossentropy",
            measures={"accuracy": keras.metrics.categorical_accuracy},
            execution=execution,
            folder=folder,
            watch=watch,
        )
        state = checkpoint.load(Path(folder) / "checkpoint.npz")
        written = best_seconds(lambda: checkpoint.save(Path(folder) / "again.npz", *state))
    trained, *other = np.min(took[1:], axis=0)  # the first epoch compiles
    ours, theirs = trained + written / execution.checkpoint_every, min(other)
    return f"{theirs / ours:.0%} ({n / ours:.0f} against {n / theirs:.0f} images/s)"


def _run(network: str, backend: str, _: str | None) -> str:
    if find_spec(backend) is None:
        return f"skipped: {backend} is not installed"
    return in_a_process("training", f"beside_keras({network!r})", KERAS_BACKEND=backend)


BENCHMARKS = [
    Benchmark(
        f"training {network} at width {width:g} on {backend}, beside bare Keras",
        ">= 95 % on a CPU",
        functools.partial(_run, network, backend),
    )
    for backend in ("tensorflow", "jax", "torch")
    for network, width in WIDTHS.items()
]
