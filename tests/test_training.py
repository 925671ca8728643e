"""Training: what it is told, what it records, and that the same seed gives the same weights."""

import json
import random
import re

import keras
import numpy as np
import pytest
from keras import layers, ops
from tiny import network, samples, train, weights_digest

from mammolib import training
from mammolib.training import Execution, Samples, Schedule, Settings
from mammolib.training.checks import out_of_memory
from mammolib.training.feed import Fed
from mammolib.training.progress import Watch, progress_bar

SHORT = Settings(epochs=2, batch=16, optimizer="adam")


def test_rates_step_by_epoch_and_by_update_after_a_warm_up():
    by_epoch = Schedule((1.0, 0.1), (0, 2))
    np.testing.assert_allclose(by_epoch.rates(range(6), 2), [1, 1, 1, 1, 0.1, 0.1])
    by_update = Schedule((1.0, 0.5, 0.1), (0, 3, 5), unit="update", warmup=2)
    np.testing.assert_allclose(by_update.rates(range(6), 99), [0.5, 1, 1, 0.5, 0.5, 0.1])


def test_the_optimizer_gets_the_same_rates():
    schedule = Schedule((1e-3, 1e-4, 1e-5), (0, 90, 100), warmup=30)
    given = Settings(1, 1, schedule=schedule).make_optimizer(60)._learning_rate
    updates = [0, 1, 28, 29, 30, 5399, 5400, 5401, 5999, 6000, 6599]
    np.testing.assert_allclose([float(given(u)) for u in updates], schedule.rates(updates, 60), rtol=1e-6)


def test_the_rates_used_are_recorded_and_used():
    still = Settings(epochs=2, batch=40, schedule=Schedule((0.0, 0.1), (0, 1)))
    begin = [w.copy() for w in train(Settings(epochs=1, batch=40, schedule=Schedule((0.0,)))).model.get_weights()]
    run = train(still)
    assert run.history.update["learning_rate"] == [0.0, 0.1]
    assert not np.array_equal(begin[0], run.model.get_weights()[0])
    keras.utils.set_random_seed(0)
    np.testing.assert_array_equal(begin[0], network().get_weights()[0])


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"values": (1e-3,), "starts": (0, 5)}, "starts: must be one for each value, begin at 0 and rise, got (0, 5)"),
        ({"values": (1e-3, 1e-4), "starts": (0, 0)}, "starts: must be one for each value, begin at 0 and rise, got"),
        ({"values": (float("nan"),)}, "schedule.values: must be learning rates, got (nan,)"),
        ({"unit": "step"}, "unit: must be one of epoch, update, got 'step'"),
        ({"warmup": -1}, "warmup: must be at least 0, got -1"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(arguments, part):
    with pytest.raises(ValueError, match=re.escape(part)):
        Schedule(**arguments)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"epochs": True}, "settings.epochs: must be a whole number of at least 1, got True"),
        ({"batch": 2.5}, "settings.batch"),
        ({"steps_per_epoch": 0}, "settings.steps_per_epoch"),
        ({"optimizer": "sdg"}, "optimizer: must be one of sgd, adam"),
        ({"optimizer": {}}, "adadelta, got {}"),
        ({"precision": "float16"}, "must be one of float32, mixed_bfloat16, got 'float16'"),
        ({"flip": "yes"}, "settings.flip: must be true or false, got 'yes'"),
        ({"clip": "1"}, "settings.clip: must be positive, got '1'"),
        ({"clip": float("nan")}, "settings.clip: must be positive, got nan"),
        ({"schedule": 1e-3}, "settings.schedule: must be a Schedule, got 0.001"),
        ({"options": 3}, "settings.options: must be names with values, got 3"),
        ({"options": {"momentum": object()}}, "settings.options: must be plain data"),
    ],
)
def test_settings_that_make_no_sense_are_refused(arguments, part):
    with pytest.raises(ValueError, match=re.escape(part)):
        Settings(**({"epochs": 1, "batch": 1} | arguments))


def test_settings_are_plain_data_and_an_option_the_optimizer_does_not_know_is_named():
    settings = Settings(3, 8, 5, optimizer="sgd", options={"momentum": 0.9}, schedule=Schedule((1.0, 0.1), (0, 2)))
    plain = settings.as_data()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["schedule"]["values"] == [1.0, 0.1] and plain["options"] == {"momentum": 0.9}
    assert plain["updates"] is None  # part of the hash of recorded runs
    with pytest.raises(ValueError, match="adam does not take {'momentum': 0.9}"):
        Settings(1, 8, optimizer="adam", options={"momentum": 0.9}).make_optimizer(1)


def test_a_pass_shows_every_image_once_as_seed_and_epoch_say():
    stream = np.concatenate([training.epoch_plan(7, 3, epoch, rows=5)[:, 0] for epoch in range(7)])
    for number, one in enumerate(stream.reshape(5, 7)):
        np.testing.assert_array_equal(np.sort(one), np.arange(7))
        np.testing.assert_array_equal(one, training.epoch_plan(7, 3, number)[:, 0])
    plan = training.epoch_plan(100, 1, 2, flip=True)
    np.testing.assert_array_equal(plan, training.epoch_plan(100, 1, 2, flip=True))
    assert not np.array_equal(plan, training.epoch_plan(100, 2, 2, flip=True))
    assert not np.array_equal(plan, training.epoch_plan(100, 1, 3, flip=True))
    assert 25 < plan[:, 1].sum() < 75 and not training.epoch_plan(100, 1, 2)[:, 1].any()


@pytest.fixture(scope="module")
def run() -> training.Run:
    """Two epochs of three updates, the last of each with 8 images instead of 16."""
    return train(SHORT, measures={"accuracy": keras.metrics.categorical_accuracy})


def test_the_loss_is_the_sum_of_its_parts_and_l2(run):
    for axis, prefix in ((run.history.update, ""), (run.history.epoch, ""), (run.history.epoch, "val_")):
        total = np.add(axis[prefix + "data"], axis[prefix + "l2"])
        np.testing.assert_allclose(axis[prefix + "loss"], total, rtol=1e-6)
        assert min(axis[prefix + "l2"]) > 0


def test_an_epoch_is_the_mean_over_its_images_and_the_validation_what_keras_computes(run):
    assert len(run.history.update["loss"]) == run.updates == 6
    assert run.history.epoch["update"] == [3, 6]
    losses = np.reshape(run.history.update["loss"], (2, 3))
    np.testing.assert_allclose(run.history.epoch["loss"], np.average(losses, axis=1, weights=[16, 16, 8]))
    data = samples(10, seed=1)
    said = training.predict(run.model, data.images)
    right = (said.argmax(1) == data.targets.argmax(1)).mean()
    assert run.history.epoch["val_accuracy"][-1] == pytest.approx(right)
    crossed = -np.log(said[data.targets == 1]).mean()
    assert run.history.epoch["val_data"][-1] == pytest.approx(crossed, rel=1e-4)


def test_parts_have_the_names_the_loss_gives_them():
    def loss(targets, outputs):
        return {"square": ops.square(targets - outputs), "tenth": 0.1 * ops.mean(outputs, axis=-1)}

    update = train(Settings(1, 20), loss=loss).history.update
    assert list(update) == ["loss", "square", "tenth", "l2", "learning_rate"]
    np.testing.assert_allclose(update["tenth"], 0.05, rtol=1e-5)
    np.testing.assert_allclose(
        update["loss"], np.sum([update[k] for k in ("square", "tenth", "l2")], axis=0), rtol=1e-5
    )


def test_a_long_history_is_thinned_to_means_over_blocks():
    history = training.History()
    history.add("update", {"loss": np.arange(10.0), "learning_rate": np.arange(10.0)})
    thin = history.for_record(rows=4)["update"]
    assert thin == {"update": [3, 6, 9, 10], "loss": [1.0, 4.0, 7.0, 9.0], "learning_rate": [2.0, 5.0, 8.0, 9.0]}


def test_the_same_seed_gives_the_same_weights_and_another_does_not(run):
    def disturbed() -> keras.Model:
        random.random()  # as a Dask worker's own threads may do while a network is built
        return network()

    again = train(SHORT, build=disturbed, measures={"accuracy": keras.metrics.categorical_accuracy})
    assert weights_digest(again.model) == weights_digest(run.model)
    assert again.history.update == run.history.update
    assert weights_digest(train(SHORT, seed=1).model) != weights_digest(run.model)


def test_the_surroundings_are_left_as_they_were():
    random.seed(5), np.random.seed(5)  # noqa: NPY002
    wanted_draws = random.Random(5).random(), np.random.RandomState(5).random()
    first = train(Settings(1, 40, precision="mixed_bfloat16")).model.get_layer("first")
    assert (first.compute_dtype, first.kernel.dtype) == ("bfloat16", "float32")
    assert (random.random(), np.random.random()) == wanted_draws  # noqa: NPY002
    with pytest.raises(ZeroDivisionError):
        train(Settings(1, 40, precision="mixed_bfloat16"), build=lambda: 1 // 0)
    assert keras.config.dtype_policy().name == "float32"


def _mirror_error(targets: np.ndarray, mirrored: np.ndarray | None) -> list[float]:
    images = samples().images

    def build():
        inputs = keras.Input((8, 8, 1))
        return keras.Model(inputs, layers.Flatten()(layers.Conv2D(1, 1, name="c")(inputs)))

    run = train(
        Settings(epochs=2, batch=10, flip=True, schedule=Schedule((0.0,))),
        Samples(images, targets, mirrored),
        build=build,
        start=[np.ones((1, 1, 1, 1)), np.zeros(1)],
        loss=lambda t, o: ops.mean(ops.abs(ops.cast(t, "float32") - o), axis=-1),
        validation=None,
    )
    return run.history.update["data"]


def test_a_mirrored_image_comes_with_its_mirrored_targets():
    images = samples().images
    plain, mirrored = images.reshape(40, -1), images[:, :, ::-1].reshape(40, -1)
    assert max(_mirror_error(plain, mirrored)) == 0
    assert min(_mirror_error(plain, None)) > 1


def _dense() -> keras.Model:
    inputs = keras.Input((8, 8, 1))
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(inputs)))


def test_splits_of_different_sizes_have_one_size_on_the_device():
    shapes = set()
    for n, held_out in ((40, 10), (41, 7)):
        data, rest = samples(n), samples(held_out, seed=1)
        sets = [Samples(s.images, s.targets, s.targets[:, ::-1]) for s in (data, rest)]
        fed = Fed(network(), keras.losses.categorical_crossentropy, {}, 3, sets, flip=True)
        held = ops.convert_to_numpy(fed.targets)
        np.testing.assert_array_equal(held[fed.mirrored_at + n], rest.targets[0, ::-1])
        shapes.add((fed.images.shape, held.shape, fed.mirrored_at))
    assert shapes == {((128, 8, 8), (256, 2), 128)}


def test_an_exploding_run_is_stopped_and_named(tmp_path):
    run = train(Settings(9, 4), build=_dense, loss=lambda t, o: ops.square(t - o) * 1e30, folder=tmp_path)
    losses = np.array(run.history.update["loss"])
    first = int(np.flatnonzero(~np.isfinite(losses))[0]) + 1
    assert run.outcome == f"diverged at update {first}" and run.diverged
    assert run.updates == len(losses) == first < 40
    assert all(np.isfinite(w).all() for w in run.model.get_weights())
    assert training.checkpoint.load(tmp_path / "checkpoint.npz")[0]["update"] < first


@pytest.mark.parametrize(
    ("settings", "factor"),
    [
        (Settings(1, 40, schedule=Schedule((1e30,))), 1e20),  # the weights explode in the last update
        (Settings(1, 40, optimizer="adam"), 1e25),  # a gradient's square does, and Adam never moves a weight again
    ],
)
def test_what_explodes_behind_a_finite_loss_is_noticed(tmp_path, settings, factor):
    run = train(settings, build=_dense, loss=lambda t, o: o * factor, folder=tmp_path)
    assert np.isfinite(run.history.update["loss"]).all() and all(np.isfinite(w).all() for w in run.model.get_weights())
    assert run.outcome == "diverged at update 1" and run.diverged
    facts, arrays = training.checkpoint.load(tmp_path / "checkpoint.npz")
    assert facts["update"] == 0 and all(np.isfinite(a).all() for a in arrays.values())


def test_what_is_only_recorded_does_not_end_a_run():
    """A gradient's norm may overflow where the gradient, and what the optimizer makes of it, do not."""
    settings = Settings(epochs=1, batch=40, gradient_norm="total", schedule=Schedule((1e-30,)))
    run = train(settings, build=_dense, loss=lambda t, o: o * 1e25)
    assert run.history.update["gradient_norm"] == [np.inf] and run.outcome == "finished"


def test_a_validation_loss_that_is_no_number_ends_the_run(tmp_path):
    def loss(targets, outputs):
        return ops.where(targets[:, 0] > 1, float("nan"), ops.sum(ops.square(outputs), axis=-1))

    data = samples(10, seed=1)
    broken = Samples(data.images, data.targets + 1)
    settings = Settings(epochs=5, batch=16, schedule=Schedule((1e-9,)))
    often = Execution(progress=False, checkpoint_every=1)
    run = train(settings, build=_dense, loss=loss, validation=broken, folder=tmp_path, execution=often)
    assert run.outcome == "diverged at update 3" and run.updates == len(run.history.update["loss"]) == 3
    assert np.isfinite(run.history.update["loss"]).all()
    assert np.isnan(run.history.epoch["val_loss"]).all() and run.history.epoch["update"] == [3]
    assert training.checkpoint.load(tmp_path / "checkpoint.npz")[0]["update"] == 0


def _linear() -> keras.Model:
    inputs = keras.Input((8, 8, 1))
    x = layers.Dense(3, name="a", use_bias=False)(layers.Flatten()(layers.Rescaling(1 / 255)(inputs)))
    return keras.Model(inputs, layers.Dense(2, name="b", use_bias=False)(x))


def test_the_gradient_norm_is_that_of_the_definition():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(64, 3)).astype(np.float32), rng.normal(size=(3, 2)).astype(np.float32)
    data = samples()
    settings = Settings(1, 40, gradient_norm="layer", clip=1e-3, schedule=Schedule((0.5,)))
    run = train(settings, data, build=_linear, start=[a, b], loss=lambda t, o: ops.sum(ops.square(t - o), axis=-1))
    x = data.images.reshape(40, 64) / 255
    error = 2 * (x @ a @ b - data.targets) / 40
    da, db = x.T @ error @ b.T, (x @ a).T @ error
    history = run.history.update
    np.testing.assert_allclose(history["gradient_norm/a"], np.linalg.norm(da), rtol=1e-4)
    np.testing.assert_allclose(history["gradient_norm/b"], np.linalg.norm(db), rtol=1e-4)
    np.testing.assert_allclose(history["gradient_norm"], np.hypot(np.linalg.norm(da), np.linalg.norm(db)), rtol=1e-4)
    moved = np.concatenate([(w - s).ravel() for w, s in zip(run.model.get_weights(), (a, b), strict=True)])
    assert np.linalg.norm(moved) == pytest.approx(0.5e-3, rel=1e-2)  # rate times the norm it was cut to


def _caused_by(cause: BaseException) -> Exception:
    err = RuntimeError("the loss could not be computed")
    err.__cause__ = cause
    return err


def _no_memory(targets, outputs):
    raise RuntimeError("OOM when allocating tensor")


@pytest.mark.parametrize("there", [True, False])
def test_a_training_that_fails_before_its_first_update_leaves_nothing(tmp_path, there):
    place = tmp_path / "run"
    if there:
        place.mkdir()
    with pytest.raises(training.OutOfMemory, match="batch: 16 images of 8x8 do not fit.*try a batch of 8"):
        train(SHORT, loss=_no_memory, folder=place)
    assert place.exists() == there and not list(place.glob("*"))
    with pytest.raises(training.OutOfMemory, match="not even one image of 8x8 fits.*a narrower network") as err:
        train(Settings(1, 1), loss=_no_memory)
    assert "try a batch" not in str(err.value) and "\n" not in str(err.value)


@pytest.mark.parametrize(
    "err",
    [
        MemoryError(),
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 5 bytes."),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("InvalidArgumentError: Cannot parse tensor from proto: dtype: DT_FLOAT"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("Failed to allocate 1073741824 bytes for new constant"),
        RuntimeError("Allocation of 4294967296 bytes failed"),
        RuntimeError("Unable to allocate 16.0 GiB for an array"),
        RuntimeError("there is not enough memory on the device"),
        OSError(12, "Cannot allocate memory"),
        _caused_by(MemoryError()),
    ],
)
def test_every_backend_s_way_of_saying_so_is_known(err):
    assert out_of_memory(err)


@pytest.mark.parametrize("words", ["batch: too small", "allocated 5 crops", "memory: no such setting", "zoom: 2"])
def test_other_errors_are_no_lack_of_memory(words):
    assert not out_of_memory(ValueError(words))


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda d: Samples(d.images.astype(float), d.targets), "must be (N, H, W) uint8 grey levels, got float64"),
        (lambda d: Samples(d.images[..., None], d.targets), "uint8 of shape (40, 8, 8, 1)"),
        (lambda d: Samples(d.images[:0], d.targets[:0]), "images: the set is empty"),
        (lambda d: Samples(d.images, d.targets[:3]), "targets: 40 images need as many numbers"),
        (lambda d: Samples(d.images, np.full((40, 2), np.nan)), "targets, row 0: holds a value that is not finite"),
        (lambda d: Samples(d.images, d.targets, d.targets[:, :1]), "mirrored: must have the targets' shape (40, 2)"),
        (lambda d: train(data=Samples(np.zeros((9, 6, 6), np.uint8), d.targets[:9])), "takes 8x8, got 6x6"),
        (lambda d: train(seed=-1), "seed: must not be negative, got -1"),
        (lambda d: train(seed=10**20), "seed: must be below 4294967296, got 100000000000000000000"),
        (lambda d: train(start=[np.zeros((3, 3, 1, 4))]), "do not fit layer first, which has (3, 3, 1, 3)"),
    ],
)
def test_what_does_not_suit_is_refused_in_one_line(make, part):
    with pytest.raises(ValueError, match=re.escape(part)) as err:
        make(samples())
    assert "\n" not in str(err.value)


class Picky:
    """A loss that counts how often it is asked about its targets, and has named parts."""

    def __init__(self) -> None:
        self.asked: list[tuple] = []

    def named(self, targets, outputs):
        return {"square": ops.mean(ops.square(targets - outputs), axis=-1)}

    def check_targets(self, targets, output_shape, name):
        self.asked.append((name, output_shape, targets.max()))


def test_a_loss_is_asked_about_its_targets_once_before_training():
    data = samples()
    for bound in (False, True):
        loss = Picky()
        train(SHORT, Samples(data.images, data.targets, data.targets + 1), loss=loss.named if bound else loss)
        names = ("training.targets", 1), ("training.mirrored", 2), ("validation.targets", 1)
        assert loss.asked == [(name, (None, 2), most) for name, most in names]


def test_a_network_of_three_channels_sees_grey_three_times():
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, layers.Flatten()(inputs))
    fed = Fed(model, lambda t, o: o, {}, 1, [samples()])
    shown = ops.convert_to_numpy(fed(np.array([[3, 0]], np.int32))).reshape(8, 8, 3)
    np.testing.assert_array_equal(shown, np.repeat(samples().images[3][..., None], 3, axis=-1))
    np.testing.assert_array_equal(training.predict(model, samples().images)[3].reshape(8, 8, 3), shown)


@pytest.mark.parametrize("choice", [None, True, False])
@pytest.mark.parametrize("switch", ["0", "1"])
def test_the_bar_obeys_the_caller_then_the_switch(monkeypatch, choice, switch):
    monkeypatch.setenv("MAMMOLIB_PROGRESS", switch)
    with progress_bar(choice, "", total=1, done=0, batch=1) as bar:
        assert bar.disable == (not choice if choice is not None else switch == "0")


def test_the_bar_says_loss_and_images_a_second():
    with progress_bar(True, "fold 1", total=10, done=0, batch=16) as bar:
        Watch(bar, network(), 0).on_train_batch_end(9, {"loss": 0.25})
        text = str(bar)
    assert "fold 1: 100%" in text and "160/160" in text and "loss 0.25" in text and "images/s" in text


def test_what_a_training_needs_to_begin_is_timed(run):
    assert list(run.history.opening) == ["network", "data", "first update"]
    assert 0 < run.history.opening["first update"] < run.seconds and min(run.history.opening.values()) > 0


def test_the_watch_sees_every_stretch_and_nothing_is_printed(capfd):
    seen = []
    train(SHORT, watch=lambda update, model, history: seen.append((update, len(history.update["loss"]))))
    assert seen == [(3, 3), (6, 6)]
    out = capfd.readouterr()
    assert out.out == "" and "update" not in out.err


def test_the_watch_may_end_a_run_which_then_goes_on_from_there(tmp_path):
    longer = Settings(epochs=4, batch=16, optimizer="adam")
    stopped = train(longer, folder=tmp_path, watch=lambda update, model, history: update >= 5)
    assert stopped.outcome == "stopped at update 6" and stopped.updates == 6 and not stopped.diverged
    on = train(longer, folder=tmp_path)
    assert on.outcome == "finished" and on.updates == 12
    assert weights_digest(on.model) == weights_digest(train(longer).model)
    assert train(SHORT, watch=lambda update, *_: update == 6).outcome == "finished"


def test_outputs_above_zero_by_hand():
    """Weights 1 and -1 on grey levels of 5: one filter of two is above zero; behind a bias of -9 nothing is."""
    x = keras.Input((4, 4, 1))
    half = keras.layers.Conv2D(2, 1, activation="relu", name="half")(x)
    network = keras.Model(x, keras.layers.Conv2D(1, 1, activation="relu", name="dead")(half))
    network.set_weights(
        [np.array([1.0, -1.0]).reshape(1, 1, 1, 2), np.zeros(2), np.ones((1, 1, 2, 1)), np.array([-9.0])]
    )
    assert training.outputs_above_zero(network, np.full((3, 4, 4, 1), 5.0)) == {"half": 0.5, "dead": 0.0}


def test_spread_of_answers_by_hand():
    answers = np.array([[[0.0, 2.0]], [[2.0, 4.0]]])  # two images, one box, two numbers
    assert training.spread_of_answers(answers) == (1.0, 1.0)
    assert training.spread_of_answers(np.array([[0.0, 2.0], [0.0, 2.0]])) == (0.0, 1.0)


@pytest.mark.parametrize("rate, dies", [(1e-3, False), (30.0, True)])
def test_a_network_that_has_died_is_said_once(recwarn, rate, dies):
    """Steps of 30 push every filter below zero or far above: the answers are those of the biases."""
    settings = Settings(epochs=30, batch=8, steps_per_epoch=10, optimizer="adam", schedule=Schedule((rate,)))
    run = train(settings)
    said = [str(w.message) for w in recwarn if "answers" in str(w.message)]
    assert run.outcome == "finished" and len(said) == dies
    assert not dies or said[0].startswith("update 100: the answers hardly differ from image to image (")
