"""The loss, held against a loop over images and boxes, and what Keras makes of it."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

keras = pytest.importorskip("keras")

from mammolib.ssd.loss import SSDLoss, hardest  # noqa: E402

to_numpy = keras.ops.convert_to_numpy


def loop(y_true, y_pred, mining="image"):
    """Localisation and confidence, box by box in float64."""
    localisation, confidence, hits, pool = 0.0, 0.0, 0, []
    for image in range(len(y_true)):
        negatives, here = [], 0
        for truth, guess in zip(y_true[image].astype(float), y_pred[image].astype(float), strict=True):
            logits, label = guess[:-4], int(truth[0])
            entropy = math.log(sum(math.exp(v - max(logits)) for v in logits)) + max(logits) - logits[label]
            if label:
                here += 1
                confidence += entropy
                for d in truth[1:] - guess[-4:]:
                    localisation += 0.5 * d * d if abs(d) < 1 else abs(d) - 0.5
            else:
                negatives.append(entropy)
        hits += here
        if mining == "image":
            confidence += sum(sorted(negatives, reverse=True)[: 3 * here])
        pool += negatives
    if mining == "batch":
        confidence += sum(sorted(pool, reverse=True)[: 3 * hits])
    return localisation / max(hits, 1), confidence / max(hits, 1)


def batch(seed, images=3, boxes=30, classes=2, hit_rate=0.15, ties=False):
    rng = np.random.default_rng(seed)
    hit = rng.random((images, boxes)) < hit_rate * rng.integers(0, 2, (images, 1))
    y_true = np.zeros((images, boxes, 5), "float32")
    y_true[..., 0] = hit * rng.integers(1, classes + 1, hit.shape)
    y_true[..., 1:] = hit[..., None] * rng.normal(0, 2, (images, boxes, 4))
    y_pred = rng.normal(0, 3, (images, boxes, classes + 5)).astype("float32")
    return y_true, np.round(y_pred) if ties else y_pred


@pytest.mark.slow
def test_the_loss_is_that_of_a_loop_on_a_thousand_fuzzed_batches():
    """Batches of 1 to 3 images, without a lesion, without background, with equal values; both ways of mining."""
    seen = {"no lesion": 0, "no background": 0, "both": 0}
    for seed in range(1000):
        rng = np.random.default_rng([seed, 1])
        images, boxes, classes = rng.integers(1, 4), rng.integers(1, 13), rng.integers(1, 4)
        rate = rng.choice([0.0, 0.1, 0.5, 2.0])
        y_true, y_pred = batch(seed, images, boxes, classes, rate, ties=bool(seed % 2))
        mining = ("image", "batch")[seed // 2 % 2]
        loss = SSDLoss(mining)
        localisation, confidence = (float(v) for v in loss.parts(y_true, y_pred))
        expected = loop(y_true, y_pred, mining)
        assert (localisation, confidence) == pytest.approx(expected, rel=1e-5, abs=1e-6), seed
        if seed % 10 == 0:
            assert float(loss(y_true, y_pred)) == pytest.approx(sum(expected), rel=1e-5, abs=1e-6), seed
        hit = y_true[..., 0] > 0
        kind = "no lesion" if not hit.any() else "no background" if hit.all() else "both"
        seen[kind] += 1
    assert min(seen.values()) >= 50, seen


def test_the_two_ways_of_mining_differ_when_one_image_holds_the_hard_ones():
    y_true, y_pred = np.zeros((2, 20, 5), "float32"), np.zeros((2, 20, 7), "float32")
    y_true[0, 0, 0] = 1
    y_pred[1, :3, 1] = 5  # the three hardest backgrounds lie in the image without a lesion
    hit, entropy = (keras.ops.array(v) for v in (y_true[..., 0], y_pred[..., 1]))
    masks = [to_numpy(SSDLoss(m).negatives(hit, entropy)) for m in ("image", "batch")]
    assert [m.sum(axis=1).tolist() for m in masks] == [[3, 0], [0, 3]]


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.5, 0.5, 1.0, 7.0]), st.booleans()), min_size=1, max_size=12),
    st.integers(0, 14),
)
@settings(max_examples=200, deadline=None)
def test_the_hardest_are_the_first_of_a_stable_sort(row, wanted):
    value, candidate = (np.array(v, "float32")[None] for v in zip(*row, strict=True))
    order = [i for i in np.argsort(-value[0], kind="stable") if candidate[0, i]]
    expected = np.zeros(len(row))
    expected[order[:wanted]] = 1
    got = to_numpy(hardest(keras.ops.array(value), keras.ops.array(candidate), keras.ops.array([float(wanted)])))
    assert got[0].tolist() == expected.tolist()


def test_the_hardest_of_a_hundred_images_are_those_of_a_sort():
    rng = np.random.default_rng(0)
    value = np.exp(rng.normal(-4, 4, (1, 100 * 6132))).astype("float32")  # from a millionth to some millions
    candidate = (rng.random(value.shape) < 0.99).astype("float32")
    for wanted in (1, 3000, 18_000):
        got = to_numpy(hardest(value, candidate, np.array([wanted], "float32")))[0]
        assert set(np.flatnonzero(got)) == set(np.argsort(-value[0] * candidate[0], kind="stable")[:wanted])


def test_huge_logits_give_a_finite_loss_and_targets_of_any_type_are_taken():
    y_true, y_pred = batch(2, hit_rate=0.5)
    assert np.isfinite(float(SSDLoss()(y_true, y_pred * 1e30)))
    values = {float(SSDLoss()(np.round(y_true).astype(t), y_pred)) for t in ("float32", "float16", "int8")}
    assert len(values) == 1


@pytest.mark.parametrize("label", [2, -1, 0.5])
def test_a_label_that_the_network_does_not_know_is_named(label):
    targets = np.zeros((3, 30, 5), np.float16)
    targets[0, 3, 0] = 1
    SSDLoss().check_targets(targets, (None, 30, 6))
    targets[1, 5, 0] = label
    part = f"^training.targets, row 1: the label {label} of default box 5 is not one of 0 to 1, .*with more classes"
    with pytest.raises(ValueError, match=part) as err:
        SSDLoss().check_targets(targets, (None, 30, 6), "training.targets")
    assert "\n" not in str(err.value)
    for shape in ((3, 29, 5), (3, 30, 4), (3, 30)):
        with pytest.raises(ValueError, match=r"targets: this network needs \(images, 30, 5\), got"):
            SSDLoss().check_targets(np.zeros(shape), (None, 30, 6))


def test_keras_trains_on_it():
    y_true, y_pred = batch(3, images=7, hit_rate=0.3)
    start = keras.Input((30, 7))
    model = keras.Model(start, keras.layers.Dense(7, kernel_initializer="identity", kernel_regularizer="l2")(start))
    model.compile("sgd", loss=SSDLoss("batch"))
    values = model.evaluate(y_pred, y_true, batch_size=4, verbose=0, return_dict=True)
    losses = [sum(loop(y_true[i : i + 4], y_pred[i : i + 4], "batch")) for i in (0, 4)]
    mean = np.average(losses, weights=[4, 3])
    assert values["loss"] == pytest.approx(mean + 0.07, rel=1e-4)  # Keras adds L2: 0.01 x 7 ones
    history = model.fit(y_pred, y_true, batch_size=7, epochs=20, verbose=0).history
    assert history["loss"][-1] < 0.8 * history["loss"][0]


def test_the_slope_of_the_loss_is_that_of_the_loop():
    y_true, y_pred = batch(4, images=2, boxes=12, hit_rate=0.4)
    assert y_true[..., 0].any()
    start = keras.Input((12, 7))

    @keras.saving.register_keras_serializable("test")
    class Shift(keras.layers.Layer):
        def build(self, shape):
            self.by = self.add_weight(shape=(12, 7), initializer="zeros", name="by")

        def call(self, x):
            return x + self.by

    model = keras.Model(start, Shift()(start))
    model.compile(keras.optimizers.SGD(1.0), loss=SSDLoss())
    model.fit(y_pred, y_true, batch_size=2, epochs=1, verbose=0)
    slope = -model.get_weights()[0]
    step, expected = 1e-4, np.zeros((12, 7))
    for place in np.ndindex(12, 7):
        d = np.zeros((12, 7))
        d[place] = step
        high, low = (sum(loop(y_true, y_pred.astype(float) + s * d)) for s in (1, -1))
        expected[place] = (high - low) / (2 * step)
    np.testing.assert_allclose(slope, expected, atol=1e-3)


def test_the_loss_survives_saving():
    loss = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(SSDLoss("batch")))
    assert loss.mining == "batch"
    with pytest.raises(ValueError, match="mining: must be one of"):
        SSDLoss("row")
