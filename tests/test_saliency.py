"""Maps of where a classifier looks: their definitions, on networks whose answer is known."""

import keras
import numpy as np
import pytest

from mammolib import classifiers, saliency
from mammolib.geometry import Truths
from mammolib.patches import Crops


@pytest.fixture(scope="module")
def small() -> keras.Model:
    keras.utils.set_random_seed(0)
    return classifiers.cnni_bcc(classes=3, layers_used="paper", width=0.125, input_shape=(32, 32, 1))


@pytest.fixture(scope="module")
def brightness() -> keras.Model:
    """A classifier that answers with the mean brightness of the top-left quarter."""
    x = inputs = keras.Input((16, 16, 1))
    x = keras.layers.Cropping2D(((0, 8), (0, 8)))(x)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(x))
    return keras.Model(inputs, keras.layers.Concatenate()([keras.layers.Rescaling(-1.0, 1.0)(x), x]))


def test_the_mean_of_an_activation_map_is_the_logit(small: keras.Model) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32))
    logits = keras.Model(small.inputs, small.get_layer("predictions").output).predict(images[..., None], verbose=0)
    label = np.array([0, 1, 2, 1])
    maps = saliency.class_activation_maps(small, images, label)
    assert maps.shape == images.shape
    np.testing.assert_allclose(maps.mean(axis=(1, 2)), logits[range(4), label], atol=1e-5)


def test_activation_maps_need_such_a_network(brightness: keras.Model) -> None:
    with pytest.raises(ValueError, match="does not end in"):
        saliency.class_activation_maps(brightness, np.zeros((1, 16, 16)), 0)


def test_occlusion_finds_what_the_answer_depends_on(brightness: keras.Model) -> None:
    image = np.full((1, 16, 16), 20.0)
    image[0, 2:6, 2:6] = 220
    (found,) = saliency.occlusion_maps(brightness, image, 1, size=4, stride=4)
    assert found[2:6, 2:6].min() > 0 and np.abs(found[8:, 8:]).max() < 1e-6
    covered = image.copy()
    covered[0, :4, :4] = image.mean()
    before, after = brightness.predict(np.concatenate([image, covered])[..., None], verbose=0)[:, 1]
    assert found[0, 0] == pytest.approx(before - after, abs=1e-6)
    for size, stride in ((17, 4), (0, 4), (4, -1)):
        with pytest.raises(ValueError, match=f"a square of {size} pixels every {stride} does not fit"):
            saliency.occlusion_maps(brightness, image, 1, size, stride)


def test_pointing_game_by_hand() -> None:
    maps = np.zeros((3, 10, 10))
    maps[0, 4, 4], maps[1, 0, 9], maps[2, 5, 4:6] = 1, 1, 1
    hit, share = saliency.pointing_game(maps, np.array([[3, 3, 6, 6]] * 3))
    assert hit.tolist() == [True, False, True] and share.tolist() == [0.09] * 3
    with pytest.raises(ValueError, match="boxes: 1 for 3 maps"):
        saliency.pointing_game(maps, np.array([[3, 3, 6, 6]]))


def test_the_border_is_counted_beside_its_share_of_the_area() -> None:
    maps = np.zeros((4, 20, 10))
    maps[0, 0, 5], maps[1, 10, 9], maps[2, 2, 2], maps[3, 17, 7] = 1, 1, 1, 1
    assert saliency.border_share(maps, margin=2) == pytest.approx((0.5, 1 - 16 * 6 / 200))
    assert saliency.border_share(np.ones((1, 20, 10)), 2)[0] == 0  # a constant map points at its middle
    for wrong, margin in ((maps, 5), (maps, 0), (maps[:0], 2)):
        with pytest.raises(ValueError, match="has no inside in maps of shape"):
            saliency.border_share(wrong, margin)


def test_zero_padding_reaches_no_further_than_the_border() -> None:
    """On an even image every place further in than the border answers alike."""
    keras.utils.set_random_seed(1)
    model = classifiers.cnni_bcc(layers_used="paper", width=0.25)
    (even,) = saliency.class_activation_maps(model, np.full((1, 128, 128), 90.0), 1)
    inside = even[saliency.BORDER : -saliency.BORDER, saliency.BORDER : -saliency.BORDER]
    assert np.ptp(inside) < 1e-5 < np.ptp(even)
    assert np.ptp(even[saliency.BORDER - 2 :, saliency.BORDER - 2 :]) > 1e-5  # and it does reach that far


def test_the_pointing_table_holds_each_network_against_chance() -> None:
    n = np.arange(16)
    truths = Truths(n, np.ones(16, int), [[30.0, 30.0, 60.0, 60.0]] * 16, 16)
    crops = Crops(np.zeros((16, 128, 128), np.uint8), truths, np.array(["x"] * 16), n // 2, n, 0 * n)
    right, wrong = np.zeros((2, 16, 128, 128))
    right[:, 40, 40], wrong[:, 0, 0] = 1, 1
    few = crops.take(n[:4])
    table = saliency.pointing_table({"right": (right, crops), "wrong": (wrong, crops), "few": (right[:4], few)})
    assert table["right"].tolist() == ["1.00 [0.68, 1.00]", "0.05", "yes", 16, 8, "0.00", "0.23"]
    assert table["wrong"].tolist() == ["0.00 [0.00, 0.32]", "0.05", "no", 16, 8, "1.00", "0.23"]
    assert table["few"].tolist()[:5] == ["1.00", "0.05", "not shown", 4, 2], "no interval over so few women"


def test_a_randomised_network_has_the_same_numbers_in_other_places(small: keras.Model) -> None:
    pairs = list(zip(small.get_weights(), saliency.randomised(small, seed=3).get_weights(), strict=True))
    for a, b in pairs:
        np.testing.assert_array_equal(np.sort(a, axis=None), np.sort(b, axis=None))
    assert any((a != b).any() for a, b in pairs)


def test_rank_correlation_is_spearmans_map_by_map() -> None:
    a = np.random.default_rng(2).random((3, 4, 5))
    b = np.stack([np.exp(a[0]), -a[1], np.ones((4, 5))])
    np.testing.assert_allclose(saliency.rank_correlation(a, b), [1, -1, np.nan])
