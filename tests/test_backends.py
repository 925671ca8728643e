"""The same three training steps on every backend that is installed: the same losses."""

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
from keras.initializers import HeNormal
from mammolib import classifiers, ssd, training
from mammolib.geometry import Truths, circle_to_box
from mammolib.ssd.model import HeNormal as Ours
from tiny import *

assert np.array_equal(*(np.asarray(kind(seed=1)((3, 3, 5, 700))) for kind in (HeNormal, Ours)))
rng = np.random.default_rng(0)
patches = Samples(rng.integers(0, 256, (12, 32, 32)).astype(np.uint8), np.eye(2, dtype=np.float32)[np.arange(12) % 2])
truths = Truths(np.arange(4), [1, 2, 1, 2], circle_to_box([60, 180, 128, 90], [70, 190, 128, 40], [20, 40, 50, 9]), 4)
crops = Samples(rng.integers(0, 256, (4, 256, 256)).astype(np.uint8), ssd.make_targets(truths))
answer = {}
for name, data, batch, loss, optimizer, rate, build in (
    ("vgg", patches, 8, "categorical_crossentropy", "sgd", 1e-2, lambda: classifiers.vgg16(2, 0.05, (32, 32, 1))),
    ("bcc", patches, 8, "categorical_crossentropy", "adam", 1e-4,
     lambda: classifiers.cnni_bcc(2, "paper", 0.1, (32, 32, 1))),
    ("ssd", crops, 2, ssd.SSDLoss("image"), "sgd", 1e-4, lambda: ssd.ssd256(width=1 / 16, divide_by=64)),
    ("separable", crops, 2, ssd.SSDLoss("batch"), "sgd", 1e-4,
     lambda: ssd.ssd256(width=1 / 16, divide_by=64, separable=True)),
):
    rng = np.random.default_rng(1)
    start = [rng.normal(0, np.sqrt(2 / max(1, np.prod(w.shape[:-1]))), w.shape) for w in build().get_weights()]
    settings = Settings(epochs=3, batch=batch, steps_per_epoch=1, optimizer=optimizer, flip=True, clip=1.0,
                        gradient_norm="total", schedule=training.Schedule((rate, rate / 10), (0, 2), warmup=2))
    run = training.train(build, data, data, settings=settings, start=start, loss=loss, execution=QUIET)
    answer[name] = [run.history.update["loss"], run.history.epoch["val_loss"], run.history.update["gradient_norm"]]
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
        out, err = process.communicate(timeout=900)
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
