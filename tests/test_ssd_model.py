"""The networks, to the last parameter; `test_backends` trains them on every backend."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from mammolib.analysis.cost import count_flops, counts, layer_costs  # noqa: E402
from mammolib.ssd.boxes import SSD300, SSD512  # noqa: E402
from mammolib.ssd.model import (  # noqa: E402
    CentreInput,
    L2Normalise,
    build,
    layout_of,
    load_imagenet,
    predict,
    ssd256,
    ssd300,
)

to_numpy = keras.ops.convert_to_numpy
NARROW = 1 / 16


@pytest.fixture(scope="module")
def plain():
    return ssd256()


@pytest.fixture(scope="module")
def separable():
    return ssd256(separable=True)


def test_the_totals_are_the_papers(plain, separable):
    found = counts(plain, separable)
    assert found["parameters"] == plain.count_params() == 23_715_730
    assert found["parameters_separable"] == separable.count_params() == 4_820_525
    assert found["parameters_share"] == 4_820_525 / 23_715_730
    del found["parameters"], found["parameters_separable"], found["parameters_share"]
    assert found == {"conv1_1": 1792, "conv1_1_separable": 283, "conv1_1_filters": 64, "conv1_1_kernel": 3,
                     "input_side": 256, "input_channels": 3}  # fmt: skip


def test_the_same_parts_give_the_two_sizes_the_paper_started_from():
    three, five = ssd300(), build(SSD512, 20, channels=3)
    assert (three.count_params(), three.output_shape, layout_of(three)) == (26_285_486, (None, 8732, 25), SSD300)
    assert (five.count_params(), five.output_shape, layout_of(five)) == (27_188_676, (None, 24564, 25), SSD512)


def test_fc6_looks_far_and_the_heads_stay_plain(plain, separable):
    assert plain.get_layer("fc6").dilation_rate == (6, 6)
    heads = [layer for layer in plain.layers if layer.name.endswith(("_conf", "_loc"))]
    assert len(heads) == 12
    assert sum(np.prod(h.output.shape[1:]) for h in heads) == 6132 * 7
    kinds = {layer.name: type(layer).__name__ for layer in separable.layers if hasattr(layer, "kernel_size")}
    assert all((kind == "Conv2D") == name.endswith(("_conf", "_loc")) for name, kind in kinds.items())


def test_weight_decay_is_where_it_should_be_and_weighs_what_was_derived(plain):
    keras.utils.set_random_seed(0)
    model = ssd256()
    total = float(sum(model.losses))
    assert total == pytest.approx(8.40, abs=0.01)
    by_hand = sum(5e-4 * float(np.square(to_numpy(w)).sum()) for w in model.weights if w.path.endswith("/kernel"))
    assert total == pytest.approx(by_hand, rel=1e-5)
    heads = sum(float(sum(layer.losses)) for layer in model.layers if layer.name.endswith(("_conf", "_loc")))
    assert heads == pytest.approx(0.21, abs=0.01)
    assert not ssd256(width=NARROW, l2=0).losses


def test_both_factors_of_a_separable_convolution_are_regularised_or_neither():
    keras.utils.set_random_seed(0)
    on, off = (ssd256(width=NARROW, separable=True, regularise_separable=v) for v in (True, False))
    for model, factors in ((on, ("depthwise_kernel", "pointwise_kernel", "kernel")), (off, ("kernel",))):
        by_hand = sum(
            5e-4 * float(np.square(to_numpy(w)).sum()) for w in model.weights if w.path.split("/")[-1] in factors
        )
        assert float(sum(model.losses)) == pytest.approx(by_hand, rel=1e-5)
    assert on.count_params() == off.count_params()


def test_signals_survive_a_separable_network_and_die_without_the_explicit_start():
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).uniform(0, 255, (1, 256, 256, 1)).astype("float32")
    spread = {}
    for explicit in (True, False):
        model = ssd256(width=1 / 8, separable=True, regularise_separable=explicit)
        deep = keras.Model(model.input, model.get_layer("fc7").output)
        spread[explicit] = float(to_numpy(deep(x)).std())
    assert spread[True] > 1
    assert spread[False] < 1e-6


def test_the_input_is_centred_and_made_three_channels():
    grey = np.full((1, 2, 2, 1), 110, "uint8")
    assert to_numpy(CentreInput((100, 110, 120), 10)(grey))[0, 0, 0].tolist() == [1, 0, -1]
    with pytest.raises(ValueError, match="divide_by: must be positive, got 0"):
        CentreInput(divide_by=0)


def test_l2_normalisation_gives_every_cell_the_length_of_its_scale():
    x = np.random.default_rng(0).normal(size=(2, 3, 3, 8)).astype("float32")
    x[0, 0, 0] = 0
    y = to_numpy(L2Normalise(20)(x))
    length = np.linalg.norm(y, axis=-1)
    assert length[0, 0, 0] == 0
    np.testing.assert_allclose(length.reshape(-1)[1:], 20, rtol=1e-5)


def test_mixed_precision_computes_in_bfloat16_and_answers_in_float32():
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        model = ssd256(width=NARROW)
    finally:
        keras.config.set_dtype_policy(before)
    assert model.output.dtype == "float32"
    names = ("centre", "conv1_1", "conv4_3_norm", "fc6", "conv9_2_loc")
    assert {model.get_layer(n).output.dtype for n in names} == {"bfloat16"}
    assert {w.dtype for w in model.weights} == {"float32"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"classes": 0}, "classes: must be at least 1, got 0"),
        ({"width": 0}, "width: must be positive, got 0"),
        ({"l2": -1}, "l2: must be at least 0, got -1"),
        ({"channels": 2}, "channels: must be 1 or 3, got 2"),
    ],
)
def test_settings_that_cannot_be_are_refused(options, says):
    with pytest.raises(ValueError, match=says):
        ssd256(**options)


def test_another_network_is_not_taken_for_an_ssd_nor_images_of_another_size():
    start = keras.Input((256, 256, 1))
    model = keras.Model(start, keras.layers.Flatten()(start), name="other")
    with pytest.raises(ValueError, match="'other' maps"):
        layout_of(model)
    with pytest.raises(ValueError, match=r"images: expected \(N, 256, 256\) grey levels for 'ssd256', got \(2, 9, 9\)"):
        predict(ssd256(width=NARROW), np.zeros((2, 9, 9)))
    with pytest.raises(ValueError, match="batch: must be at least 1, got -1"):
        predict(ssd256(width=NARROW), np.zeros((1, 256, 256)), batch=-1)


def test_a_keras_json_that_puts_channels_first_changes_nothing():
    usual = keras.config.image_data_format()
    try:
        keras.config.set_image_data_format("channels_first")
        shapes = {ssd256(width=NARROW, separable=separable).output_shape for separable in (False, True)}
    finally:
        keras.config.set_image_data_format(usual)
    assert shapes == {(None, 6132, 7)}


def test_imagenet_weights_go_into_the_thirteen_convolutions_and_nowhere_else(plain, monkeypatch):
    source = keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3))
    monkeypatch.setattr(keras.applications, "VGG16", lambda **_: source)
    before = {layer.name: layer.get_weights() for layer in plain.layers}
    load_imagenet(plain)
    theirs = {x.name.replace("_", "").replace("conv", "_").replace("block", "conv"): x for x in source.layers}
    for name, old in before.items():
        wanted = theirs[name].get_weights() if name in theirs else old
        assert all(np.array_equal(a, b) for a, b in zip(wanted, plain.get_layer(name).get_weights(), strict=True)), name
    narrow = ssd256(width=NARROW)
    before = narrow.get_weights()
    with pytest.raises(ValueError, match="load_imagenet: layer conv1_1 has weights of shapes"):
        load_imagenet(narrow)
    assert all(np.array_equal(a, b) for a, b in zip(before, narrow.get_weights(), strict=True))

    def offline(**_):
        raise Exception("URL fetch failure on weights: None\n -- no route to host")

    monkeypatch.setattr(keras.applications, "VGG16", offline)
    with pytest.raises(OSError, match="^ImageNet weights: cannot be had: URL fetch failure on weights: None -- no"):
        load_imagenet(narrow)


def test_operations_and_traffic_are_what_was_derived(plain, separable):
    assert count_flops(plain, training=True) / 1e9 == pytest.approx(131, abs=1)
    assert count_flops(plain) / count_flops(separable) == pytest.approx(7.15, abs=0.01)
    traffic = [sum(c.bytes(100) for c in layer_costs(m) if "Conv" in c.kind) for m in (plain, separable)]
    assert traffic[1] / traffic[0] == pytest.approx(1.8, abs=0.1)
    first = next(c for c in layer_costs(plain) if c.name == "conv1_1")
    assert first.flops == 2 * 256 * 256 * 64 * 27
    assert first.values == 256 * 256 * (3 + 64)
    first = next(c for c in layer_costs(separable) if c.name == "conv1_1")
    assert first.flops == 2 * 256 * 256 * 3 * (9 + 64)
    assert first.values == 256 * 256 * (3 + 2 * 3 + 64)


def test_costs_of_the_other_kinds_of_layer():
    x = start = keras.Input((8, 8, 6))
    x = keras.layers.DepthwiseConv2D(3, padding="same")(x)
    x = keras.layers.Conv2D(4, 3, groups=2)(x)
    x = keras.layers.Dense(5)(keras.layers.Flatten()(x))
    assert count_flops(keras.Model(start, x)) == 2 * (64 * 6 * 9 + 36 * 4 * 9 * 3 + 144 * 5)
    with pytest.raises(ValueError, match="is not fixed"):
        start = keras.Input((None, None, 1), name="any")
        count_flops(keras.Model(start, keras.layers.Conv2D(1, 1)(start)))
