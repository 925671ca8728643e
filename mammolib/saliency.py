"""Where a classifier looks, with a number: activation maps, occlusion maps, the pointing game, the randomisation check.

None of the maps needs a gradient, so they are the same on every Keras backend.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammolib.geometry import as_boxes
from mammolib.metrics import measured

if TYPE_CHECKING:
    import pandas as pd

    from mammolib.patches import Crops

BORDER = 8
"""Width in pixels of the strip in which zero padding reaches the last map of the first four convolutions of CNNI-BCC.

Its last map has half the patch's side, and three convolutions of 3 x 3 at that size, after one at twice the size, carry
what lies outside of the patch four places inwards: 8 pixels."""


def class_activation_maps(model: keras.Model, images: NDArray, label: ArrayLike) -> NDArray[np.floating]:
    """Return how much each place speaks for a class (Zhou et al. 2016), for a network ending average, dense, softmax.

    Such a network averages its last maps and weighs the averages. Weighing may come first just as well: the weighted
    sum of the maps is one map, and its mean is exactly the logit of the class.

    Args:
        model: a classifier whose last layers are a global average pooling, a dense layer and its softmax, such as
            `classifiers.cnni_bcc`.
        images: (N, H, W) grey levels.
        label: the class, or (N,) one for each image.

    Returns:
        (N, H, W): the map, enlarged to the images by repeating its cells.

    Raises:
        ValueError: the network does not end like that, or the images are not of its size.
    """
    images = _images(model, images)
    average = [layer for layer in model.layers if isinstance(layer, keras.layers.GlobalAveragePooling2D)]
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    if len(average) != 1 or len(dense) != 1:
        raise ValueError(f"model: {model.name!r} does not end in one global average pooling and one dense layer")
    features = keras.Model(model.inputs, average[0].input).predict(images[..., None], verbose=0)
    weights, bias = (keras.ops.convert_to_numpy(w) for w in (dense[0].kernel, dense[0].bias))
    label = np.broadcast_to(np.asarray(label), len(images))
    maps = np.einsum("nhwc,cn->nhw", features.astype(float), weights[:, label]) + bias[label][:, None, None]
    return _enlarge(maps, images.shape[1:])


def occlusion_maps(
    model: keras.Model, images: NDArray, label: ArrayLike, size: int = 32, stride: int = 16
) -> NDArray[np.floating]:
    """Return by how much the probability of a class falls when a square of the image is covered.

    A square is covered with the mean grey level of its image. A place that several squares cover gets their mean.

    Args:
        model: any classifier that answers with probabilities.
        images: (N, H, W) grey levels.
        label: the class, or (N,) one for each image.
        size, stride: side of the square, and distance between two squares, in pixels.

    Returns:
        (N, H, W): the mean fall; positive where covering hurts.

    Raises:
        ValueError: a square larger than the image, or images that are not of the network's size.
    """
    images = _images(model, images)
    height, width = images.shape[1:]
    if not 1 <= size <= min(height, width) or stride < 1:
        raise ValueError(f"size, stride: a square of {size} every {stride} pixels does not fit {width}x{height}")
    rows, columns = (np.unique(np.r_[np.arange(0, n - size, stride), n - size]) for n in (height, width))
    label = np.broadcast_to(np.asarray(label), len(images))
    maps = np.zeros(images.shape)
    for n, image in enumerate(images):
        covered = np.repeat(image[None], 1 + len(rows) * len(columns), axis=0)
        places = [(r, c) for r in rows for c in columns]
        for k, (r, c) in enumerate(places, start=1):
            covered[k, r : r + size, c : c + size] = image.mean()
        answer = model.predict(covered[..., None], batch_size=64, verbose=0)[:, label[n]]
        times = np.zeros((height, width))
        for (r, c), fall in zip(places, answer[0] - answer[1:], strict=True):
            maps[n, r : r + size, c : c + size] += fall
            times[r : r + size, c : c + size] += 1
        maps[n] /= np.maximum(times, 1)
    return maps


def highest_point(maps: NDArray) -> NDArray[np.floating]:
    """Return (N, 2): row and column of each map's highest point, the centre of mass where several share the value."""
    return np.array([np.argwhere(m == m.max()).mean(axis=0) + 0.5 for m in maps]).reshape(-1, 2)


def pointing_game(maps: ArrayLike, boxes: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.floating]]:
    """Return whether the highest point of each map lies in the lesion's box (Zhang et al. 2016), and what chance hits.

    Args:
        maps: (N, H, W). Where several pixels share the highest value, their centre of mass is the point.
        boxes: (N, 4) `xyxy` in pixels of the maps.

    Returns:
        (N,) hits, and (N,) the share of the map that the box covers: the hit rate of a map that points anywhere.
    """
    maps, boxes = np.asarray(maps, float), as_boxes(boxes, "boxes")
    if maps.ndim != 3 or len(maps) != len(boxes):
        raise ValueError(f"maps: {len(boxes)} boxes need as many maps (N, H, W), got shape {maps.shape}")
    height, width = maps.shape[1:]
    x_y = highest_point(maps)[:, ::-1]
    hit = np.all((boxes[:, :2] <= x_y) & (x_y < boxes[:, 2:]), axis=1)
    inside = np.clip(boxes, 0, [width, height, width, height])
    return hit, (inside[:, 2:] - inside[:, :2]).prod(axis=1) / (width * height)


def hit_rate(maps: ArrayLike, boxes: ArrayLike, women: ArrayLike) -> tuple[dict[str, Any], float]:
    """Return how often the pointing game is won, as `metrics.intervals.measured` gives it, and how often by chance.

    Args:
        maps, boxes: see `pointing_game`.
        women: (N,) whose patch each is.
    """
    hit, chance = pointing_game(maps, boxes)
    return measured(lambda w: w @ hit / w.sum(axis=-1), women), float(chance.mean())


def border_share(maps: ArrayLike, margin: int = BORDER) -> tuple[float, float]:
    """Return how often the highest point of a map lies near the border, and how much of the map is near the border.

    A convolution with zero padding sees something at the border that no place inside can show it. A network that has
    learnt little may answer there first.

    Args:
        maps: (N, H, W).
        margin: how near, in pixels; less than half of a side.

    Returns:
        The share of the maps, and the share of the area.

    Raises:
        ValueError: no maps, or a margin that leaves no inside.
    """
    maps = np.asarray(maps, float)
    if maps.ndim != 3 or not len(maps) or not 0 < 2 * margin < min(maps.shape[1:]):
        raise ValueError(f"maps, margin: a margin of {margin} has no inside in maps of shape {maps.shape}")
    size, point = np.array(maps.shape[1:]), highest_point(maps)
    inside = ((margin <= point) & (point < size - margin)).all(axis=1)
    return float(1 - inside.mean()), float(1 - (size - 2 * margin).prod() / size.prod())


def pointing_table(looked: Mapping[str, tuple[NDArray, Crops]]) -> pd.DataFrame:
    """Set the pointing game of several networks side by side, each beside chance.

    Args:
        looked: name -> maps (N, H, W) and the crops they were made of.

    Returns:
        A table with a row for each: hits with their 95 % interval over women (from eight women on), chance, whether the
        interval lies above chance, patches, women, and the share of highest points near the border beside the border's
        share of the area.
    """
    import pandas as pd

    rows = {}
    for name, (maps, crops) in looked.items():
        rate, chance = hit_rate(maps, crops.truths.box, crops.woman)
        bounded = rate["low"] is not None
        near, strip = border_share(maps)
        rows[name] = {
            "hits": f"{rate['value']:.2f}" + (f" [{rate['low']:.2f}, {rate['high']:.2f}]" if bounded else ""),
            "by chance": f"{chance:.2f}",
            "above chance": "not shown" if not bounded else "yes" if rate["low"] > chance else "no",
            "patches": len(crops),
            "women": len(np.unique(crops.woman)),
            "highest at the border": f"{near:.2f}",
            "border by chance": f"{strip:.2f}",
        }
    return pd.DataFrame(rows)


def randomised(model: keras.Model, seed: int = 0) -> keras.Model:
    """Return a copy of a network whose every weight array is shuffled: the same numbers, nothing of what it learnt.

    Maps that stay as they were explain the image, not the network (Adebayo et al. 2018).
    """
    rng = np.random.default_rng(seed)
    copy = keras.models.clone_model(model)
    copy.set_weights([rng.permutation(w.reshape(-1)).reshape(w.shape) for w in model.get_weights()])
    return copy


def rank_correlation(a: ArrayLike, b: ArrayLike) -> NDArray[np.floating]:
    """Return Spearman's rank correlation of each map of `a` with its partner in `b`: (N, H, W) twice -> (N,).

    NaN where one of the two maps is constant.
    """
    from scipy.stats import ConstantInputWarning, spearmanr

    pairs = zip(np.asarray(a), np.asarray(b), strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantInputWarning)
        return np.array([spearmanr(first.ravel(), second.ravel()).statistic for first, second in pairs])


def _images(model: keras.Model, images: NDArray) -> NDArray[np.float32]:
    images, wanted = np.asarray(images), model.inputs[0].shape[1:3]
    if images.ndim != 3 or images.shape[1:] != tuple(wanted):
        raise ValueError(f"images: {model.name} takes (N, {wanted[0]}, {wanted[1]}) grey levels, got {images.shape}")
    return images.astype(np.float32)


def _enlarge(maps: NDArray, shape: tuple[int, ...]) -> NDArray:
    """Repeat the cells of (N, h, w) maps until they fill (N, *shape)."""
    row, column = (np.arange(n) * m // n for n, m in zip(shape, maps.shape[1:], strict=True))
    return maps[:, row][:, :, column]
