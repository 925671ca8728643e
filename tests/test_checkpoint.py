"""A killed training continues to the same weights; a checkpoint that does not fit is refused and left alone."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from tiny import network, samples, train

from mammolib import training
from mammolib.training import Execution, Samples, Settings, checkpoint

SETTINGS = Settings(epochs=3, batch=16, optimizer="adam", flip=True)
OFTEN = Execution(progress=False, checkpoint_every=1)
KILLED = """
import os, signal, sys
from tiny import *
settings = Settings(epochs=3, batch=16, optimizer="adam", flip=True)
often = Execution(progress=False, checkpoint_every=2, checkpoint_unit="update")
def watch(update, model, history):
    if update == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
run = train(settings, folder=sys.argv[1], execution=often, watch=watch)
print(training.weights_digest(run.model), run.updates, len(run.history.update["loss"]), len(run.history.epoch["loss"]))
"""


def _start(folder: Path, kill_at: int) -> subprocess.Popen:
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, "-c", KILLED, str(folder), str(kill_at)]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_killed_run_resumes_to_the_same_weights(tmp_path):
    """Killed in the middle of an epoch, where Adam's moments, dropout's seeds and the order all matter."""
    whole, cut = _start(tmp_path / "whole", -1), _start(tmp_path / "cut", 3)
    out, err = cut.communicate(timeout=200)
    assert cut.returncode == -signal.SIGKILL, err
    assert out == ""
    assert checkpoint.load(tmp_path / "cut" / "checkpoint.npz").update == 2
    wanted, err = whole.communicate(timeout=200)
    assert whole.returncode == 0, err
    resumed, err = _start(tmp_path / "cut", -1).communicate(timeout=200)
    assert resumed == wanted, err
    assert wanted.split()[1:] == ["9", "9", "3"]


def test_a_resumed_run_is_the_same_run(tmp_path):
    """The same within one process, with the history compared number by number."""

    class Stop(Exception):
        pass

    def watch(update, model, history):
        if update == 6:
            raise Stop

    whole = train(SETTINGS)
    with pytest.raises(Stop):
        train(SETTINGS, folder=tmp_path, execution=OFTEN, watch=watch)
    resumed = train(SETTINGS, folder=tmp_path, execution=OFTEN)
    assert training.weights_digest(resumed.model) == training.weights_digest(whole.model)
    assert resumed.history.update == whole.history.update
    assert resumed.history.epoch["val_loss"] == whole.history.epoch["val_loss"]
    assert resumed.seconds > 0


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, training.Run]:
    folder = tmp_path_factory.mktemp("finished")
    return folder, train(SETTINGS, folder=folder)


def test_a_finished_run_is_not_run_again(finished):
    folder, run = finished
    again = train(SETTINGS, folder=folder, watch=lambda *_: pytest.fail("it trained"))
    assert training.weights_digest(again.model) == training.weights_digest(run.model)
    assert again.history.update == run.history.update and again.outcome == "finished"


def test_a_finished_run_can_be_made_longer(finished, tmp_path):
    folder, _ = finished
    (tmp_path / "checkpoint.npz").write_bytes((folder / "checkpoint.npz").read_bytes())
    longer = Settings(**{**SETTINGS.as_data(), "epochs": 4, "schedule": SETTINGS.schedule})
    extended = train(longer, folder=tmp_path)
    assert extended.updates == 12
    assert training.weights_digest(extended.model) == training.weights_digest(train(longer).model)


def _other_activation() -> keras.Model:
    inputs = keras.Input((8, 8, 1))
    x = layers.Dense(2, activation="softmax")(layers.Flatten()(inputs))
    return keras.Model(inputs, x)


OTHERS = {
    "another shape": ({"build": _other_activation}, "the checkpoint is of another model (its variable 0 is kernel"),
    "another seed": ({"seed": 1}, "made with seed 0, this run has 1"),
    "other data": ({"data": samples(seed=7)}, "the data set has changed since this checkpoint was written"),
    "other validation": ({"validation": samples(10, seed=9)}, "the data set has changed"),
    "another batch": ({"settings": Settings(3, 8, optimizer="adam", flip=True)}, "settings.batch 16, this run has 8"),
    "a shorter run": ({"settings": Settings(1, 16, optimizer="adam", flip=True)}, "is at update 9, this run ends at 3"),
    "another purpose": ({"about": {"model": "b"}}, "made with about.model None, this run has 'b'"),
    "other beginnings": ({"start": [np.ones(w.shape) for w in network().get_weights()]}, "made with start None"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_a_checkpoint_of_something_else_is_refused_and_kept(finished, what):
    folder, _ = finished
    options, part = OTHERS[what]
    before = hashlib.sha256((folder / "checkpoint.npz").read_bytes()).hexdigest()
    with pytest.raises(ValueError, match=re.escape(part)) as err:
        train(**({"settings": SETTINGS, "folder": folder} | options))
    assert "\n" not in str(err.value) and str(folder) in str(err.value)
    assert hashlib.sha256((folder / "checkpoint.npz").read_bytes()).hexdigest() == before


@pytest.mark.parametrize(
    "damage",
    {
        "empty": lambda content: b"",
        "cut short": lambda content: content[: len(content) // 2],
        "a byte changed": lambda content: content[:900] + bytes([content[900] ^ 255]) + content[901:],
        "something else": lambda content: b"not a checkpoint",
    }.items(),
    ids=lambda item: item[0],
)
def test_a_damaged_checkpoint_is_refused_and_kept(finished, tmp_path, damage):
    path = tmp_path / "checkpoint.npz"
    path.write_bytes(damage[1]((finished[0] / "checkpoint.npz").read_bytes()))
    before = path.read_bytes()
    with pytest.raises(ValueError, match="the checkpoint is damaged .* move it away to begin again") as err:
        train(SETTINGS, folder=tmp_path)
    assert "\n" not in str(err.value)
    assert path.read_bytes() == before


def test_a_checkpoint_of_another_format_is_refused(finished, tmp_path):
    path = tmp_path / "checkpoint.npz"
    with np.load(finished[0] / "checkpoint.npz") as file:
        arrays = dict(file)
    header = json.loads(str(arrays["header"])) | {"format": 99}
    np.savez(path, **(arrays | {"header": np.array(json.dumps(header))}))
    with pytest.raises(ValueError, match="checkpoint format 99, this version reads 1"):
        train(SETTINGS, folder=tmp_path)


def test_a_write_that_fails_leaves_the_old_checkpoint(finished, tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.npz"
    path.write_bytes((finished[0] / "checkpoint.npz").read_bytes())
    monkeypatch.setattr(os, "fsync", lambda *_: (_ for _ in ()).throw(OSError("no space left on device")))
    with pytest.raises(OSError, match="no space"):
        checkpoint.save(checkpoint.load(path), path)
    assert path.read_bytes() == (finished[0] / "checkpoint.npz").read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.npz"]


def test_what_a_killed_write_left_is_swept_away(finished, tmp_path):
    path = tmp_path / "checkpoint.npz"
    (tmp_path / ".checkpoint.npz.12345").write_bytes(b"half a checkpoint")
    checkpoint.save(checkpoint.load(finished[0] / "checkpoint.npz"), path)
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.npz"]


def test_the_digest_sees_every_weight():
    model = network()
    before = training.weights_digest(model)
    weights = model.get_weights()
    weights[-1][0] += 1e-6
    model.set_weights(weights)
    assert training.weights_digest(model) != before


# weights that travel


def test_exported_weights_come_back_in_half_precision(finished, tmp_path):
    model = finished[1].model
    training.export_weights(model, tmp_path, shard_bytes=100)
    shards = list(tmp_path.glob("weights-*.npz"))
    assert len(shards) > 1
    other = training.load_weights(network(), tmp_path)
    for value, back in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(back, value.astype(np.float16).astype(np.float32))
    data = samples()
    np.testing.assert_allclose(training.predict(other, data.images), training.predict(model, data.images), atol=5e-3)


def test_no_shard_is_larger_than_16_mb(tmp_path):
    inputs = keras.Input((8, 8, 1))
    model = keras.Model(inputs, layers.Dense(200_000)(layers.Flatten()(inputs)))  # 13 million weights: 26 MB in half
    training.export_weights(model, tmp_path)
    sizes = [p.stat().st_size for p in tmp_path.iterdir()]
    assert max(sizes) < 16_000_000 and sum(sizes) > 26_000_000


def test_a_weight_too_large_for_half_precision_is_kept_in_single(tmp_path):
    model = network()
    weights = model.get_weights()
    weights[0][0] = 1e6
    model.set_weights(weights)
    training.export_weights(model, tmp_path)
    np.testing.assert_array_equal(training.load_weights(network(), tmp_path).get_weights()[0], weights[0])
    weights[0][0] = np.nan
    model.set_weights(weights)
    with pytest.raises(ValueError, match="first/kernel: holds a weight that is not finite"):
        training.export_weights(model, tmp_path)


def test_exporting_again_replaces_the_shards(finished, tmp_path):
    training.export_weights(network(), tmp_path)
    training.export_weights(finished[1].model, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    assert training.read_weights(tmp_path)[0][0] == "first/kernel"


def test_the_layer_that_does_not_fit_is_named_and_nothing_is_loaded(finished, tmp_path):
    training.export_weights(finished[1].model, tmp_path)
    other = network(units=5)
    before = training.weights_digest(other)
    with pytest.raises(ValueError, match=r"weights last/kernel of shape \(108, 2\) do not fit layer last"):
        training.load_weights(other, tmp_path)
    assert training.weights_digest(other) == before
    with pytest.raises(ValueError, match="holds 4 weights, the model has 2"):
        inputs = keras.Input((8, 8, 1))
        training.load_weights(keras.Model(inputs, layers.Conv2D(3, 3)(inputs)), tmp_path)


def test_damaged_and_missing_exports_are_named(finished, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no weights.json"):
        training.read_weights(tmp_path)
    training.export_weights(finished[1].model, tmp_path)
    (shard,) = tmp_path.glob("weights-*.npz")
    content = shard.read_bytes()
    shard.write_bytes(content[:-1])
    with pytest.raises(ValueError, match="this shard of the weights is damaged"):
        training.read_weights(tmp_path)
    shard.unlink()
    with pytest.raises(FileNotFoundError, match="this shard of the weights is missing"):
        training.read_weights(tmp_path)
    (tmp_path / "weights.json").write_text("{")
    with pytest.raises(ValueError, match="the manifest is damaged"):
        training.read_weights(tmp_path)


def test_a_run_may_begin_from_exported_weights(finished, tmp_path):
    training.export_weights(finished[1].model, tmp_path)
    data = Samples(samples().images, samples().targets)
    still = Settings(1, 40, updates=1, optimizer="sgd", schedule=training.Schedule((0.0,)))
    begun = train(still, data, start=tmp_path)
    for value, back in zip(finished[1].model.get_weights(), begun.model.get_weights(), strict=True):
        np.testing.assert_array_equal(back, value.astype(np.float16).astype(np.float32))
