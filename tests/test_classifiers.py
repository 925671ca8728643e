"""The two classifiers: every parameter counted by hand, every map's side."""

import re

import keras
import numpy as np
import pytest
from keras import layers

from mammolib.classifiers import cnni_bcc, counts, vgg16
from mammolib.plots.networks import shapes
from mammolib.training.loop import surroundings


def _convolution(given: int, made: int) -> int:
    return (9 * given + 1) * made


def _separable(given: int, made: int) -> int:
    return 9 * given + (given + 1) * made


def test_vgg16_has_the_parameters_of_its_definition():
    filters = [1, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    convolutions = sum(_convolution(a, b) for a, b in zip(filters, filters[1:], strict=False))
    dense = (4 * 4 * 512 + 1) * 4096 + 4097 * 4096
    assert convolutions == 14_713_536
    assert vgg16().count_params() == convolutions + dense + 4097 * 2 == 65_061_570
    assert vgg16(classes=3).count_params() == convolutions + dense + 4097 * 3 == 65_065_667


def test_the_convolutions_are_those_of_keras_own_vgg16():
    """Keras's has three channels in front: 64 x 9 x 2 weights more."""
    theirs = keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3)).count_params()
    ours = sum(layer.count_params() for layer in vgg16().layers if isinstance(layer, layers.Conv2D))
    assert theirs - ours == 64 * 9 * 2


def test_cnni_bcc_has_the_parameters_of_its_reading():
    filters = [1] + [64] * 4 + [128] * 4 + [256] * 6 + [512] * 14
    convolutions = [_separable(a, b) for a, b in zip(filters, filters[1:], strict=False)]
    assert len(convolutions) == 28
    assert cnni_bcc().count_params() == sum(convolutions) + 513 * 3 == 4_060_748
    assert cnni_bcc(layers_used="paper").count_params() == sum(convolutions[:4]) + 65 * 3 == 14_540
    assert cnni_bcc(2, "paper").count_params() == sum(convolutions[:4]) + 65 * 2


NAMES = ("layers", "convolutions", "poolings", "dense", "blocks", "convolutions_early", "convolutions_late")


@pytest.mark.parametrize(
    ("build", "wanted"),
    [
        (vgg16, (16, 13, 5, 3, 5, 2, 3)),
        (cnni_bcc, (30, 28, 1, 1, 5, 4, 7)),
        (lambda: cnni_bcc(layers_used="paper"), (6, 4, 1, 1, 1, 4, 4)),
    ],
)
def test_the_layers_are_counted_as_the_paper_counts_them(build, wanted):
    model = build()
    table, counted = shapes(model), counts(model)
    assert tuple(counted[name] for name in NAMES) == wanted
    assert (counted["input_side"], counted["input_channels"]) == (128, 1)
    assert table["parameters"].sum() == model.count_params() == counted["parameters"]
    kinds = table["kind"].str
    assert kinds.contains("Conv2D").sum() == counted["convolutions"]
    assert kinds.contains("Pooling").sum() == counted["poolings"] and kinds.fullmatch("Dense").sum() == counted["dense"]


def test_rows_of_the_layer_tables_by_hand():
    vgg, bcc = shapes(vgg16()), shapes(cnni_bcc())
    wanted = ["side", "filters", "parameters"]
    assert vgg.loc["block3_pool", wanted].tolist() == [16, 256, 0]
    assert vgg.loc["flatten", wanted].tolist() == [1, 8192, 0]
    assert vgg.loc["fc2", wanted].tolist() == [1, 4096, 4097 * 4096]
    assert bcc.loc["block1_conv1", wanted].tolist() == [64, 64, _separable(1, 64)]
    assert bcc.loc["average", wanted].tolist() == [1, 512, 0]
    assert bcc.index[-1] == "predictions" and len(bcc) == 30


@pytest.mark.parametrize(("build", "kind"), [(vgg16, layers.Conv2D), (cnni_bcc, layers.SeparableConv2D)])
def test_five_blocks_of_one_kind_halve_the_map_five_times(build, kind):
    model = build(width=0.05)
    assert {type(layer) for layer in model.layers if "Conv" in type(layer).__name__} == {kind}
    last = [layer for layer in model.layers if layer.name.startswith("block5")][-1]
    assert last.output.shape[1:3] == (4, 4)


@pytest.mark.parametrize(("build", "black", "white"), [(vgg16, -2, 255 / 64 - 2), (cnni_bcc, 0, 1)])
def test_answers_are_shares_and_grey_levels_are_scaled_inside(build, black, white):
    model = build(3, width=0.05)
    images = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 1))
    answer = keras.ops.convert_to_numpy(model(images.astype(np.float32)))
    np.testing.assert_allclose(answer.sum(axis=1), [1, 1], rtol=1e-5)
    scaled = keras.ops.convert_to_numpy(model.get_layer("scale")(np.array([0.0, 255.0]).reshape(1, 1, 2, 1)))
    np.testing.assert_allclose(scaled.ravel(), [black, white], atol=1e-6)


def test_the_softmax_stays_in_single_precision():
    with surroundings(0, "mixed_bfloat16"):
        model = vgg16(width=0.05)
    assert model.get_layer("block1_conv1").compute_dtype == "bfloat16"
    assert model.output.dtype == "float32"


def test_width_scales_filters_and_units():
    narrow = vgg16(width=1 / 8)
    assert narrow.get_layer("block5_conv3").filters == 64 and narrow.get_layer("fc1").units == 512
    assert cnni_bcc(width=1 / 8).get_layer("block1_conv1").filters == 8
    assert vgg16(width=1e-6).get_layer("fc1").units == 1


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: vgg16(classes=1), "classes: at least 2 are needed, got 1"),
        (lambda: vgg16(width=0), "width: must be positive, got 0"),
        (lambda: vgg16(input_shape=(16, 16, 1)), "input_shape: VGG16 halves an image five times"),
        (lambda: cnni_bcc(layers_used="half"), "layers_used: must be 'full' or 'paper', got 'half'"),
    ],
)
def test_what_makes_no_network_is_refused(make, part):
    with pytest.raises(ValueError, match=re.escape(part)):
        make()
