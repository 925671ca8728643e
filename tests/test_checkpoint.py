"""A killed training continues to the same weights; a checkpoint that does not fit is refused and left alone."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from tiny import network, samples, train, weights_digest

from mammolib import training
from mammolib.training import Execution, Settings, checkpoint
from mammolib.training.settings import cores

SETTINGS = Settings(epochs=3, batch=16, optimizer="adam", flip=True)
KILLED = """
import os, signal, sys
from tiny import *
settings = Settings(epochs=3, batch=16, optimizer="adam", flip=True)
often = Execution(progress=False, checkpoint_every=2, checkpoint_unit="update")
def watch(update, model, history):
    if update == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
run = train(settings, folder=sys.argv[1], execution=often, watch=watch)
print(weights_digest(run.model), run.updates, len(run.history.update["loss"]), len(run.history.epoch["loss"]))
"""


def _start(folder: Path, kill_at: int) -> subprocess.Popen:
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, "-c", KILLED, str(folder), str(kill_at)]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_weights(tmp_path):
    """Killed in the middle of an epoch, where Adam's moments, dropout's seeds and the order all matter."""
    whole, cut = _start(tmp_path / "whole", -1), _start(tmp_path / "cut", 3)
    out, err = cut.communicate(timeout=200)
    assert cut.returncode == -signal.SIGKILL, err
    assert out == ""
    assert checkpoint.load(tmp_path / "cut" / "checkpoint.npz")[0]["update"] == 2
    wanted, err = whole.communicate(timeout=200)
    assert whole.returncode == 0, err
    resumed, err = _start(tmp_path / "cut", -1).communicate(timeout=200)
    assert resumed == wanted, err
    assert wanted.split()[1:] == ["9", "9", "3"]


class Killed(Exception):
    pass


@pytest.mark.parametrize(("unit", "kill_at"), [("epoch", 3), ("epoch", 9), ("update", 2), ("update", 6)])
@pytest.mark.parametrize("noted", [True, False])
def test_what_a_watch_notes_is_never_lost(tmp_path, unit, kill_at, noted):
    """A run killed while it looks, before or after it has noted what it sees, looks again when it is continued."""

    def look(update, model, history):
        history.notes[f"seen@{update}"] = update

    def killed(update, model, history):
        if update != kill_at or noted:
            look(update, model, history)
        if update == kill_at:
            raise Killed

    often = Execution(progress=False, checkpoint_every=1, checkpoint_unit=unit)
    whole = train(SETTINGS, folder=tmp_path / "whole", execution=often, watch=look)
    with pytest.raises(Killed):
        train(SETTINGS, folder=tmp_path / "cut", execution=often, watch=killed)
    resumed = train(SETTINGS, folder=tmp_path / "cut", execution=often, watch=look)
    assert resumed.history.notes == whole.history.notes and len(whole.history.notes) == (9 if unit == "update" else 3)
    assert weights_digest(resumed.model) == weights_digest(whole.model)
    assert resumed.history.update == whole.history.update
    assert resumed.history.epoch["val_loss"] == whole.history.epoch["val_loss"]


def test_a_run_cut_by_its_deadline_at_five_points_ends_with_the_weights_of_an_uncut_one(tmp_path):
    """A deadline in the past lets each call make one update: seven cuts, within epochs and at their ends."""
    whole = train(SETTINGS, folder=tmp_path / "whole")
    late, seen = Execution(progress=False, deadline=0.0), []
    for _ in range(7):
        with pytest.raises(training.OutOfTime) as cut:
            train(SETTINGS, folder=tmp_path / "cut", execution=late)
        seen.append(cut.value.update)
        assert str(cut.value) == f"out of time after update {seen[-1]} of 9" and cut.value.total == 9
    assert seen == [1, 2, 3, 4, 5, 6, 7]
    resumed = train(SETTINGS, folder=tmp_path / "cut", execution=replace(late, deadline=time.time() + 600))
    assert resumed.outcome == "finished" and weights_digest(resumed.model) == weights_digest(whole.model)
    assert resumed.history.update == whole.history.update
    for name, values in whole.history.epoch.items():
        assert name == "seconds" or resumed.history.epoch[name] == values


def test_a_deadline_needs_a_folder_and_stops_before_it(tmp_path):
    assert train(execution=Execution(progress=False, deadline=0.0)).outcome == "finished"
    deadline = time.time() + 4
    with pytest.raises(training.OutOfTime):
        train(Settings(10**6, 16), folder=tmp_path, execution=Execution(progress=False, deadline=deadline))
    assert deadline - 3 < time.time() < deadline + 0.5
    with pytest.raises(ValueError, match="execution.deadline: must be a finite number or None, got 'soon'"):
        Execution(deadline="soon")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, training.Run]:
    folder = tmp_path_factory.mktemp("finished")
    return folder, train(SETTINGS, folder=folder)


def test_a_finished_run_is_not_run_again_but_can_be_made_longer(finished, tmp_path):
    folder, run = finished
    again = train(SETTINGS, folder=folder, watch=lambda *_: pytest.fail("it trained"))
    assert weights_digest(again.model) == weights_digest(run.model)
    assert again.history.update == run.history.update and again.outcome == "finished"
    (tmp_path / "checkpoint.npz").write_bytes((folder / "checkpoint.npz").read_bytes())
    longer = replace(SETTINGS, epochs=4)
    extended = train(longer, folder=tmp_path)
    assert extended.updates == 12 and weights_digest(extended.model) == weights_digest(train(longer).model)


def _other() -> keras.Model:
    inputs = keras.Input((8, 8, 1))
    return keras.Model(inputs, layers.Dense(2, activation="softmax")(layers.Flatten()(inputs)))


OTHERS = {
    "another shape": ({"build": _other}, "made with variable 0 ['kernel', [3, 3, 1, 3], 'float32'], this"),
    "another seed": ({"seed": 1}, "made with seed 0, this run has 1"),
    "other data": ({"data": samples(seed=7)}, "made with training data '"),
    "other validation": ({"validation": samples(10, seed=9)}, "made with validation data '"),
    "another batch": ({"settings": Settings(3, 8, optimizer="adam", flip=True)}, "settings.batch 16, this run has 8"),
    "a shorter run": ({"settings": Settings(1, 16, optimizer="adam", flip=True)}, "is at update 9, this run ends at 3"),
    "other measures": ({"measures": {"m": lambda t, o: o}}, "made with measures [], this run has ['m']"),
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


def test_a_damaged_checkpoint_is_refused_and_kept(finished, tmp_path):
    """Whichever bit is flipped, those in the directory at the end too, where members can vanish without a word."""
    content, path = (finished[0] / "checkpoint.npz").read_bytes(), tmp_path / "checkpoint.npz"
    rng = np.random.default_rng(0)
    places = [*rng.integers(0, len(content), 100), *rng.integers(len(content) - 1500, len(content), 200)]
    flipped = [content[:i] + bytes([content[i] ^ (1 << int(rng.integers(8)))]) + content[i + 1 :] for i in places]
    for damaged in (*flipped, b"", content[: len(content) // 2], b"not a checkpoint"):
        path.write_bytes(damaged)
        with pytest.raises(
            ValueError, match="the checkpoint is damaged or of an earlier version; move it away to"
        ) as err:
            checkpoint.load(path)
        assert str(err.value).startswith(f"{path}: ") and "\n" not in str(err.value)
    with pytest.raises(ValueError, match="the checkpoint is damaged"):
        train(SETTINGS, folder=tmp_path)
    assert path.read_bytes() == b"not a checkpoint"


def test_another_number_of_cores_is_said_and_not_refused(finished, tmp_path, monkeypatch):
    (tmp_path / "checkpoint.npz").write_bytes((finished[0] / "checkpoint.npz").read_bytes())
    monkeypatch.setattr("mammolib.training.loop.cores", lambda: 4096)
    with pytest.warns(UserWarning, match="this process has 4096: rounding, and so the weights, may differ"):
        assert train(SETTINGS, folder=tmp_path).outcome == "finished"


def test_threads_that_tensorflow_is_given_count_as_cores(monkeypatch):
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    here = cores()
    for told, seen in (("1", 1), ("0", here), ("many", here), ("4096", here)):
        monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", told)
        assert cores() == seen


def test_a_write_that_fails_leaves_the_old_checkpoint(finished, tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.npz"
    path.write_bytes((finished[0] / "checkpoint.npz").read_bytes())
    monkeypatch.setattr(os, "fsync", lambda *_: (_ for _ in ()).throw(OSError("no space left on device")))
    with pytest.raises(OSError, match="no space"):
        checkpoint.save(path, *checkpoint.load(path))
    assert path.read_bytes() == (finished[0] / "checkpoint.npz").read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.npz"]


def test_exported_weights_come_back_in_half_precision(finished, tmp_path):
    model = finished[1].model
    training.export_weights(network(), tmp_path)  # an older export is replaced
    training.export_weights(model, tmp_path, shard_bytes=100)
    manifest = json.loads((tmp_path / "weights.json").read_text())
    files = {"weights.json", *(shard["file"] for shard in manifest["shards"])}
    assert len(files) > 2 and {file.name for file in tmp_path.iterdir()} == files
    assert training.read_weights(tmp_path)[0][0] == "first/kernel"
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


def test_the_layer_that_does_not_fit_is_named_and_nothing_is_loaded(finished, tmp_path):
    training.export_weights(finished[1].model, tmp_path)
    other = network(units=5)
    before = weights_digest(other)
    with pytest.raises(ValueError, match=r"weights last/kernel of shape \(108, 2\) do not fit layer last"):
        training.load_weights(other, tmp_path)
    assert weights_digest(other) == before
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
    with pytest.raises(ValueError, match=f"the weights are damaged .the checksum of {shard.name} does not fit"):
        training.read_weights(tmp_path)
    shard.unlink()
    with pytest.raises(FileNotFoundError, match="this shard of the weights is missing"):
        training.read_weights(tmp_path)


MANIFESTS = {
    "a number": "3",
    "nested without end": "[" * 200_000,
    "not UTF-8": b"\xff\xfe",
    "no shards": {"shards": None},
    "a tensor without a shard": {"shards": []},
    "a shape below 0": {"tensors": [{"path": "first/kernel", "shape": [-27]}]},
    "another format": {"format": 2},
}


@pytest.mark.parametrize("what", MANIFESTS)
def test_a_damaged_manifest_is_refused_in_one_line(finished, tmp_path, what):
    training.export_weights(finished[1].model, tmp_path)
    path, damage = tmp_path / "weights.json", MANIFESTS[what]
    if isinstance(damage, dict):
        damage = json.dumps(json.loads(path.read_text()) | damage)
    path.write_bytes(damage if isinstance(damage, bytes) else damage.encode())
    model = network()
    before = weights_digest(model)
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path}: the weights are damaged (")) as err:
        training.load_weights(model, tmp_path)
    assert "\n" not in str(err.value) and weights_digest(model) == before


@pytest.mark.parametrize("text", ["{", "[]", "null", "{}", '{"class_name": "Functional", "config": 3}', "\xff"])
def test_a_network_that_cannot_be_read_is_refused_in_one_line(tmp_path, text):
    training.export_weights(network(), tmp_path)
    (tmp_path / "model.json").write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match="model.json: cannot be read as a Keras model") as err:
        training.load_network(tmp_path)
    assert "\n" not in str(err.value)
    (tmp_path / "model.json").write_text(network().to_json())
    for value, back in zip(network().get_weights(), training.load_network(tmp_path).get_weights(), strict=True):
        assert value.shape == back.shape


def test_a_run_may_begin_from_exported_weights(finished, tmp_path):
    training.export_weights(finished[1].model, tmp_path)
    begun = train(Settings(1, 40, schedule=training.Schedule((0.0,))), start=tmp_path)
    for value, back in zip(finished[1].model.get_weights(), begun.model.get_weights(), strict=True):
        np.testing.assert_array_equal(back, value.astype(np.float16).astype(np.float32))
