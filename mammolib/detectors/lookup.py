"""The lookup baseline: a detector that learns nothing and only finds the training crop with the most similar histogram.

All eight views of a crop have the same grey-level histogram. If views of one lesion lie in training and in test, a
lookup finds the sibling at distance zero and copies its answer: whatever a network scores on such a split, this scores
more. With women kept apart it has nothing to find. It belongs beside every detector's number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammolib.geometry import Detections, circle_to_box
from mammolib.metrics import mean_average_precision
from mammolib.patches import Crops
from mammolib.splits import Split

BINS = 64


def histograms(images: NDArray[np.uint8], bins: int = BINS) -> NDArray[np.floating]:
    """Return the share of pixels in each of `bins` equal ranges of grey level: (N, H, W) uint8 -> (N, bins)."""
    if not 1 <= bins <= 256 or 256 % bins:
        raise ValueError(f"bins: must divide 256, got {bins}")
    level = images.reshape(len(images), -1) // (256 // bins)
    return np.stack([np.bincount(row, minlength=bins) for row in level]) / level.shape[1]


def nearest(train: ArrayLike, test: ArrayLike) -> tuple[NDArray[np.integer], NDArray[np.floating]]:
    """Return for each test histogram the nearest training histogram and its distance, the sum of absolute differences.

    (N, bins) and (M, bins) give (M,) rows of `train`, the first of equally near ones, and (M,) distances from 0 to 2.
    """
    train = np.asarray(train, float)
    distance = np.stack([np.abs(train - row).sum(axis=1) for row in np.asarray(test, float)])
    return distance.argmin(axis=1), distance.min(axis=1)


class Lookup(NamedTuple):
    """What the lookup scores on one split: accuracy, and mAP at IoU 0.5 in the paper's definition.

    `majority` is the accuracy of always answering the larger class of the training crops.
    """

    accuracy: float
    mean_ap: float
    majority: float


def lookup(crops: Crops, split: Split, seen: NDArray[np.floating] | None = None) -> Lookup:
    """Answer for each test crop with the class of the training crop whose histogram is nearest.

    The crops are centred on one lesion each; the answer is a box in the middle, of the neighbour's side. `seen` are the
    crops' histograms, if they are known.

    Raises:
        ValueError: a crop does not hold exactly one lesion.
    """
    if not np.array_equal(np.sort(crops.truths.image), np.arange(len(crops))):
        raise ValueError("crops: each must hold exactly one lesion")
    train, test = crops.take(split.training), crops.take(split.test)
    seen = histograms(crops.images) if seen is None else seen
    row, distance = nearest(seen[split.training], seen[split.test])
    label = train.strata[row]
    box = train.truths.box[np.argsort(train.truths.image)][row]
    side = (box[:, 2:] - box[:, :2]).max(axis=1)
    middle = crops.images.shape[1] / 2
    found = Detections(np.arange(len(test)), label, 1 - distance / 2, circle_to_box(middle, middle, side / 2))
    larger = np.bincount(train.strata).argmax()
    return Lookup(
        float((label == test.strata).mean()),
        mean_average_precision(found, test.truths).value,
        float((test.strata == larger).mean()),
    )


def repeat(crops: Crops, splits: Sequence[Split]) -> NDArray[np.floating]:
    """Return (len(splits), 3): accuracy, mAP and the larger class's share, for one split after the other."""
    seen = histograms(crops.images)
    return np.array([lookup(crops, split, seen) for split in splits])
