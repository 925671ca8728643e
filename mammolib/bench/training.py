"""What `mammolib.training` costs beside bare Keras on the same arrays, on every backend that is installed.

What is timed is `training.train` itself as a reader calls it: it plans each epoch, looks at the loss of every batch,
keeps the history and writes checkpoints at the default interval; only its bar is switched off. Bare Keras is the faster
of `fit` and of a loop over `train_on_batch`: on TensorFlow `fit` waits after its last batch for a sleeping thread of
tf.data.

Each backend runs in a process of its own. Epochs of the trainings alternate, and the fastest epoch of each counts, so
that other work on the machine disturbs the ratio little. A checkpoint falls into every tenth epoch only and so not into
the fastest: a tenth of what it takes to write is added to ours.
"""

from __future__ import annotations

import functools
import importlib.util
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from mammolib.bench import Benchmark, best_seconds, in_a_process

BATCH, EPOCHS = 32, 5
IMAGES = {"tensorflow": 1269, "torch": 1269, "jax": 64}
"""Images in an epoch, as many as the paper trains CNNI-BCC on; few for JAX, whose convolutions are slow on a CPU."""
WIDTHS = {"vgg16": 1 / 8, "cnni_bcc": 1 / 4}


class Alternating:
    """A `watch` of `training.train`: times the epoch that has ended, then an epoch of every other way to train.

    Attributes:
        best: seconds of the fastest epoch by way, "train" among them; the first epoch, which compiles, is left out.
    """

    def __init__(self, others: dict[str, Callable[[], Any]]) -> None:
        self.others, self.epoch = others, 0
        self.best = dict.fromkeys(("train", *others), float("inf"))
        self.began = perf_counter()

    def __call__(self, *_: Any) -> None:
        took = {"train": perf_counter() - self.began}
        for name, way in self.others.items():
            began = perf_counter()
            way()
            took[name] = perf_counter() - began
        if self.epoch:
            self.best = {name: min(seconds, took[name]) for name, seconds in self.best.items()}
        self.epoch += 1
        self.began = perf_counter()


def measure(network: str) -> dict[str, float]:
    """Train one network every way in this process; return images a second of ours and of bare Keras, and the ratio."""
    import keras
    import numpy as np

    from mammolib import classifiers, training
    from mammolib.training import checkpoint

    n = IMAGES[keras.backend.backend()]
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n, 128, 128)).astype(np.uint8)
    targets = np.eye(2, dtype=np.float32)[np.arange(n) % 2]
    build = {
        "vgg16": lambda: classifiers.vgg16(2, WIDTHS["vgg16"]),
        "cnni_bcc": lambda: classifiers.cnni_bcc(2, "paper", WIDTHS["cnni_bcc"]),
    }[network]
    execution = training.Execution(progress=False)
    bare = build()
    bare.compile("sgd", "categorical_crossentropy", metrics=["accuracy"], jit_compile=execution.use_jit())
    x = images[..., None]

    def fit() -> None:
        bare.fit(x, targets, batch_size=BATCH, verbose=0)

    def loop() -> None:
        order = rng.permutation(n)
        for rows in np.split(order, range(BATCH, n, BATCH)):
            bare.train_on_batch(x[rows], targets[rows])

    watch = Alternating({"fit": fit, "loop": loop})
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
        written = best_seconds(lambda: checkpoint.save(state, Path(folder) / "again.npz"))
    ours = watch.best["train"] + written / execution.checkpoint_every
    theirs = min(watch.best["fit"], watch.best["loop"])
    return {"ours": n / ours, "bare": n / theirs, "ratio": theirs / ours}


def _run(network: str, backend: str, films: str | None) -> str:
    if importlib.util.find_spec(backend) is None:
        return f"skipped: {backend} is not installed"
    found = in_a_process("training", f"measure({network!r})", KERAS_BACKEND=backend)
    if isinstance(found, str):
        return found
    return f"{found['ratio']:.0%} ({found['ours']:.0f} against {found['bare']:.0f} images/s)"


BENCHMARKS = [
    Benchmark(
        f"training {network} at width {WIDTHS[network]:g} on {backend}, beside bare Keras",
        ">= 95 % on a CPU",
        functools.partial(_run, network, backend),
    )
    for backend in ("tensorflow", "jax", "torch")
    for network in WIDTHS
]
