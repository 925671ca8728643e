"""What `mammolib.training` costs beside bare Keras on the same arrays, on every backend that is installed.

Each backend runs in a process of its own. Epochs of the trainings alternate, and the fastest epoch of each counts, so
that other work on the machine disturbs the ratio little. Bare Keras is the faster of `fit` and of a loop over
`train_on_batch`: on TensorFlow `fit` waits after its last batch for a thread of tf.data that sleeps.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import subprocess
import sys
from time import perf_counter

from mammolib.bench import Benchmark

BATCH, EPOCHS = 32, 8
IMAGES = {"tensorflow": 320, "torch": 320, "jax": 64}
"""Images in an epoch; few for JAX, whose convolutions are slow on a CPU."""
WIDTHS = {"vgg16": 1 / 8, "cnni_bcc": 1 / 4}


def measure(network: str) -> dict[str, float]:
    """Train one network both ways in this process; return images a second of each, and their ratio."""
    import keras
    import numpy as np

    from mammolib import classifiers, training
    from mammolib.training.feed import Fed, epoch_plan
    from mammolib.training.settings import Execution, Settings

    n = IMAGES[keras.backend.backend()]
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n, 128, 128)).astype(np.uint8)
    targets = training.one_hot(np.arange(n) % 2, 2)
    build = {
        "vgg16": lambda: classifiers.vgg16(2, WIDTHS["vgg16"]),
        "cnni_bcc": lambda: classifiers.cnni_bcc(2, "paper", WIDTHS["cnni_bcc"]),
    }[network]
    jit = Execution().use_jit()
    bare = build()
    bare.compile("sgd", "categorical_crossentropy", metrics=["accuracy"], jit_compile=jit)
    x = images[..., None]
    samples = training.Samples(images, targets)
    inner = build()
    fed = Fed(
        inner,
        keras.losses.get("categorical_crossentropy"),
        {"accuracy": training.accuracy},
        -(-n // BATCH),
        [samples],
    )
    fed.compile(Settings(1, BATCH).make_optimizer(-(-n // BATCH)), jit_compile=jit)

    def ours(epoch: int) -> None:
        plan = epoch_plan(n, 0, epoch)
        fed.show(plan, BATCH, watch=keras.callbacks.Callback())
        fed.read()

    def fit(epoch: int) -> None:
        bare.fit(x, targets, batch_size=BATCH, verbose=0)

    def loop(epoch: int) -> None:
        order = rng.permutation(n)
        for rows in np.split(order, range(BATCH, n, BATCH)):
            bare.train_on_batch(x[rows], targets[rows])

    best = dict.fromkeys((fit, loop, ours), float("inf"))
    for epoch in range(EPOCHS + 1):
        for way in best:
            began = perf_counter()
            way(epoch)
            if epoch:  # the first compiles
                best[way] = min(best[way], perf_counter() - began)
    theirs = min(best[fit], best[loop])
    return {"ours": n / best[ours], "bare": n / theirs, "ratio": theirs / best[ours]}


def _run(network: str, backend: str, films: str | None) -> str:
    if importlib.util.find_spec(backend) is None:
        return f"skipped: {backend} is not installed"
    env = os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    code = f"import json; from mammolib.bench.training import measure; print(json.dumps(measure({network!r})))"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    if done.returncode:
        return f"failed: {done.stderr.strip().splitlines()[-1]}"
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return f"{found['ratio']:.0%} ({found['ours']:.0f} against {found['bare']:.0f} images/s)"


BENCHMARKS = [
    Benchmark(
        f"training {network} at width {WIDTHS[network]:g} on {backend}, beside bare Keras",
        ">= 95 % on a CPU",
        functools.partial(_run, network, backend),
    )
    for network, backend in (
        ("vgg16", "tensorflow"),
        ("cnni_bcc", "tensorflow"),
        ("vgg16", "jax"),
        ("vgg16", "torch"),
        ("cnni_bcc", "torch"),
    )
]
