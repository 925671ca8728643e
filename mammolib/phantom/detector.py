"""A detector that looks at no image: a noise model with the faults of a real one, to try metrics on.

What it shares with a real detector: it places and sizes its boxes a little wrong, misses lesions, repeats itself,
takes benign for malignant, marks what is nothing, and fails on all views of a hard lesion together. What it is not: a
result.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammolib.geometry import Detections, Truths, clip


def answers(
    truths: Truths, group: ArrayLike, skill: float = 2.0, false_per_image: float = 1.0, size: int = 256, seed: int = 0
) -> Detections:
    """Answer for a set of square images.

    Args:
        truths: the lesions.
        group: (N,) which lesion each truth shows: views of one lesion are equally hard.
        skill: the log odds of finding a lesion of middling difficulty; confidence follows them.
        false_per_image: mean number of marks on nothing.
        size: side of the images in pixels.
        seed: of everything it draws.

    Raises:
        ValueError: `group` has another length than `truths`.
    """
    group = np.asarray(group)
    if group.shape != (len(truths),):
        raise ValueError(f"group: expected {len(truths)} numbers, one for each truth, got shape {group.shape}")
    rng = np.random.default_rng(seed)
    names, of_group = np.unique(group, return_inverse=True)
    odds = skill + 1.5 * rng.normal(size=len(names))[of_group] + 0.7 * rng.normal(size=len(truths))
    seen = np.flatnonzero(rng.random(len(truths)) < _share(odds + 1))
    again = seen[rng.random(len(seen)) < 0.2]
    marked = np.concatenate([seen, again])
    confidence = _share(odds[marked] + 0.7 * rng.normal(size=len(marked)) - np.r_[0 * seen, 0 * again + 2])
    side = truths.box[marked, 2:] - truths.box[marked, :2]
    centre = truths.box[marked, :2] + side / 2 + 0.07 * side * rng.normal(size=side.shape)
    side = side * np.exp(0.15 * rng.normal(size=side.shape))
    other = rng.random(len(marked)) > _share(odds[marked] + 1.5)
    label = np.where(other, 1 + truths.label[marked] % len(truths.classes), truths.label[marked])
    marks = rng.poisson(false_per_image, truths.n_images)
    n = int(marks.sum())
    false_side = np.exp(rng.normal(4.2, 0.5, (n, 1))) * np.exp(0.2 * rng.normal(size=(n, 2)))
    false_centre = rng.uniform(0, size, (n, 2))
    centre, side = np.concatenate([centre, false_centre]), np.concatenate([side, false_side])
    return Detections(
        image=np.concatenate([truths.image[marked], np.repeat(np.arange(truths.n_images), marks)]),
        label=np.concatenate([label, rng.integers(1, len(truths.classes) + 1, n)]),
        confidence=np.concatenate([confidence, _share(rng.normal(-1.0, 1.5, n))]).round(4),
        box=clip(np.concatenate([centre - side / 2, centre + side / 2], axis=1), size, size),
    )


def _share(odds: NDArray[np.floating]) -> NDArray[np.floating]:
    """Turn log odds into a probability."""
    return 1 / (1 + np.exp(-odds))
