"""Where a classifier looks, with a number: activation maps, occlusion maps, the pointing game, the randomisation check.

None of the maps needs a gradient, so they are the same on every Keras backend.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import keras
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mammolib.metrics import measured
from mammolib.metrics.classification import share
from mammolib.patches import Crops

BORDER = 8
"""Width in pixels of the strip in which zero padding reaches the last map of the first four convolutions of CNNI-BCC.

Its last map has half the patch's side, and three convolutions of 3 x 3 at that size, after one at twice the size, carry
what lies outside of the patch four places inwards: 8 pixels."""
BATCH = 64
"""Covered images that a network is shown at once."""


def class_activation_maps(model: keras.Model, images: NDArray, label: ArrayLike) -> NDArray[np.floating]:
    """Return how much each place speaks for a class (Zhou et al. 2016), for a network ending average, dense, softmax.

    Such a network averages its last maps and weighs the averages. Weighing may come first just as well: the weighted
    sum of the maps is one map, and its mean is exactly the logit of the class.

    Args:
        model: such as `classifiers.cnni_bcc`.
        images: (N, H, W) grey levels.
        label: the class, or (N,) one for each image.

    Returns:
        (N, H, W): the map, enlarged to the images by repeating its cells.
    """
    average = [layer for layer in model.layers if isinstance(layer, keras.layers.GlobalAveragePooling2D)]
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    if len(average) != 1 or len(dense) != 1:
        raise ValueError(f"model: {model.name!r} does not end in one global average pooling and one dense layer")
    features = keras.Model(model.inputs, average[0].input).predict(images[..., None].astype("float32"), verbose=0)
    weights, bias = (keras.ops.convert_to_numpy(w) for w in (dense[0].kernel, dense[0].bias))
    label = np.broadcast_to(label, len(images))
    maps = np.einsum("nhwc,cn->nhw", features.astype(float), weights[:, label]) + bias[label][:, None, None]
    row, column = (np.arange(n) * m // n for n, m in zip(images.shape[1:], maps.shape[1:], strict=True))
    return maps[:, row][:, :, column]


def occlusion_maps(
    model: keras.Model, images: NDArray, label: ArrayLike, size: int = 32, stride: int = 16
) -> NDArray[np.floating]:
    """Return by how much the probability of a class falls when a square of the image is covered.

    A square is covered with the mean grey level of its image. A place that several squares cover gets their mean.

    Args:
        model: any classifier that answers with probabilities.
        images, label: see `class_activation_maps`.
        size, stride: side of the square, and distance between two squares, in pixels.

    Returns:
        (N, H, W): the mean fall; positive where covering hurts.
    """
    if not 1 <= size <= min(images.shape[1:]) or stride < 1:
        raise ValueError(f"size, stride: a square of {size} pixels every {stride} does not fit {images.shape[1:]}")
    rows, columns = (np.unique(np.r_[np.arange(0, n - size, stride), n - size]) for n in images.shape[1:])
    windows = [np.s_[r : r + size, c : c + size] for r in rows for c in columns]
    falls, times = np.zeros(images.shape), np.zeros(images.shape[1:])
    for window in windows:
        times[window] += 1
    for fall, image, of in zip(falls, images, np.broadcast_to(label, len(images)), strict=True):
        covered = np.repeat(image[None].astype(np.float32), 1 + len(windows), axis=0)
        for copy, window in zip(covered[1:], windows, strict=True):
            copy[window] = covered[0].mean()
        parts = np.split(covered[..., None], range(BATCH, len(covered), BATCH))
        answer = np.concatenate([model.predict_on_batch(part) for part in parts])[:, of]
        for window, lower in zip(windows, answer[1:], strict=True):
            fall[window] += answer[0] - lower
    return falls / np.maximum(times, 1)


def highest_point(maps: NDArray) -> NDArray[np.floating]:
    """Return (N, 2): row and column of each map's highest point, the centre of mass where several share the value."""
    return np.array([np.argwhere(m == m.max()).mean(axis=0) + 0.5 for m in maps])


def pointing_game(maps: NDArray, boxes: NDArray) -> tuple[NDArray[np.bool_], NDArray[np.floating]]:
    """Return whether the highest point of each map lies in the lesion's box (Zhang et al. 2016), and what chance hits.

    Maps are (N, H, W), boxes (N, 4) `xyxy` in their pixels. By chance, a map that points anywhere hits as often as the
    share of the map that the box covers, (N,).
    """
    if len(maps) != len(boxes):
        raise ValueError(f"boxes: {len(boxes)} for {len(maps)} maps; every map needs one")
    height, width = maps.shape[1:]
    x_y = highest_point(maps)[:, ::-1]
    hit = np.all((boxes[:, :2] <= x_y) & (x_y < boxes[:, 2:]), axis=1)
    inside = np.clip(boxes, 0, [width, height, width, height])
    return hit, (inside[:, 2:] - inside[:, :2]).prod(axis=1) / (width * height)


def border_share(maps: NDArray, margin: int = BORDER) -> tuple[float, float]:
    """Return which share of (N, H, W) maps has its highest point near the border, and which share of the area is near.

    A convolution with zero padding sees something at the border that no place inside can show it. A network that has
    learnt little may answer there first. `margin` says how near, in pixels.
    """
    if not len(maps) or not 0 < 2 * margin < min(maps.shape[1:]):
        raise ValueError(f"maps, margin: a margin of {margin} has no inside in maps of shape {maps.shape}")
    size, point = np.array(maps.shape[1:]), highest_point(maps)
    inside = ((margin <= point) & (point < size - margin)).all(axis=1)
    return float(1 - inside.mean()), float(1 - (size - 2 * margin).prod() / size.prod())


def pointing_table(looked: Mapping[str, tuple[NDArray, Crops]]) -> pd.DataFrame:
    """Set the pointing game of several networks, name -> (N, H, W) maps and their crops, side by side.

    The 95 % interval of the hits is over women, from eight women on.
    """
    columns = {}
    for name, (maps, crops) in looked.items():
        hit, chance = pointing_game(maps, crops.truths.box)
        rate = measured(share(hit), crops.woman)
        value, low, high = rate["value"], rate["low"], rate["high"]
        near, strip = border_share(maps)
        columns[name] = {
            "hits": f"{value:.2f}" + ("" if low is None else f" [{low:.2f}, {high:.2f}]"),
            "by chance": f"{chance.mean():.2f}",
            "above chance": "not shown" if low is None else "yes" if low > chance.mean() else "no",
            "patches": len(crops),
            "women": len(np.unique(crops.woman)),
            "highest at the border": f"{near:.2f}",
            "border by chance": f"{strip:.2f}",
        }
    return pd.DataFrame(columns)


def randomised(model: keras.Model, seed: int = 0) -> keras.Model:
    """Return a copy of a network whose every weight array is shuffled: the same numbers, nothing of what it learnt.

    Maps that stay as they were explain the image, not the network (Adebayo et al. 2018).
    """
    rng = np.random.default_rng(seed)
    copy = keras.models.clone_model(model)
    copy.set_weights([rng.permutation(w.reshape(-1)).reshape(w.shape) for w in model.get_weights()])
    return copy


def rank_correlation(a: NDArray, b: NDArray) -> NDArray[np.floating]:
    """Return Spearman's rank correlation of each map of `a` with its partner in `b`: (N, H, W) twice -> (N,).

    NaN where one of the two maps is constant.
    """
    from scipy.stats import ConstantInputWarning, spearmanr

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantInputWarning)
        return np.array([spearmanr(x.ravel(), y.ravel()).statistic for x, y in zip(a, b, strict=True)])
