"""The same three training steps on every backend that is installed: the same losses."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

STEPS = """
import json
import numpy as np
from mammolib import classifiers, training
from tiny import *

rng = np.random.default_rng(0)
images = rng.integers(0, 256, (12, 32, 32)).astype(np.uint8)
targets = np.eye(2, dtype=np.float32)[np.arange(12) % 2]
answer = {}
for optimizer, rate, build in (
    ("sgd", 1e-2, lambda: classifiers.vgg16(2, 0.05, (32, 32, 1))),
    ("adam", 1e-4, lambda: classifiers.cnni_bcc(2, "paper", 0.1, (32, 32, 1))),
):
    rng = np.random.default_rng(1)
    start = [rng.normal(0, np.sqrt(2 / max(1, np.prod(w.shape[:-1]))), w.shape) for w in build().get_weights()]
    settings = Settings(epochs=3, batch=8, steps_per_epoch=1, optimizer=optimizer, flip=True, clip=1.0,
                        gradient_norm="total", schedule=training.Schedule((rate, rate / 10), (0, 2), warmup=2))
    run = training.train(build, Samples(images, targets), Samples(images, targets), settings=settings, start=start,
                         loss="categorical_crossentropy", execution=QUIET)
    answer[optimizer] = [run.history.update["loss"], run.history.epoch["val_loss"], run.history.update["gradient_norm"]]
run = train(Settings(epochs=2, batch=16, optimizer="adam", precision="mixed_bfloat16"))
assert run.outcome == "finished"
digests = {weights_digest(train(Settings(1, 16, optimizer="adam")).model) for _ in range(2)}
assert len(digests) == 1, "the same seed gave two results"
def boom(targets, outputs):
    return ops.mean(outputs) * 1e38 * 1e3
from keras import ops
assert train(Settings(epochs=1, batch=16), loss=boom).outcome == "diverged at update 1"
print("ANSWER", json.dumps(answer))
"""
BACKENDS = ("tensorflow", "jax", "torch")


@pytest.fixture(scope="module")
def answers() -> dict[str, dict]:
    """What every installed backend says; they run at the same time."""
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    running = {}
    for backend in BACKENDS:
        if importlib.util.find_spec(backend):
            env = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}
            command = [sys.executable, "-c", STEPS]
            running[backend] = subprocess.Popen(
                command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
    said = {}
    for backend, process in running.items():
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, f"{backend}: {err[-3000:]}"
        said[backend] = json.loads(out.split("ANSWER", 1)[1])
    return said


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.slow
def test_three_steps_give_the_same_losses(answers, backend):
    if backend not in answers:
        pytest.skip(f"{backend} is not installed")
    for name, (losses, validation, norms) in answers[backend].items():
        for other in answers.values():
            assert losses == pytest.approx(other[name][0], abs=1e-4), name
            assert validation == pytest.approx(other[name][1], abs=1e-4), name
            assert norms == pytest.approx(other[name][2], rel=1e-3), name
        assert len(losses) == 3 and losses[0] != losses[-1]
