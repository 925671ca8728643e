"""The centre prior: what a box that always sits in the middle of the crop gets right."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammolib import geometry

IOU = 0.5


def centre_hits(boxes: ArrayLike, sizes: ArrayLike, size: int = 256) -> NDArray[np.bool_]:
    """Say which boxes squares fixed at the centre of the crop hit, (K, N): those they overlap by an IoU of `IOU`.

    Args:
        boxes: (N, 4) `xyxy` boxes in pixels of the crop.
        sizes: (K,) sides of the squares in pixels; positive.
        size: side of the crop in pixels.
    """
    half = np.atleast_1d(np.asarray(sizes, float)) / 2
    bad = np.flatnonzero(~(half > 0))
    if len(bad):
        raise ValueError(f"sizes, entry {bad[0]}: must be positive, got {2 * half[bad[0]]:g}")
    return geometry.iou(geometry.circle_to_box(size / 2, size / 2, half), boxes) >= IOU


def centre_prior(boxes: ArrayLike, sizes: ArrayLike, size: int = 256) -> float:
    """Return the share of boxes hit by at least one of the squares: the recall of a detector that never looks.

    Example:
        >>> centre_prior([[78, 78, 178, 178], [118, 118, 138, 138]], sizes=[80])
        0.5
    """
    return float(centre_hits(boxes, sizes, size).any(axis=0).mean())


def best_sizes(boxes: ArrayLike, k: int, size: int = 256) -> tuple[tuple[int, ...], float]:
    """Find the `k` whole-numbered sides, 1 to `size`, whose squares at the centre hit most boxes.

    The sides that hit a given box follow one another without a gap: a hit means (1 + iou) x overlap >= iou x (side^2 +
    area), the root of the overlap is a concave function of the side, and the root of side^2 + area a convex one. So a
    side adds the boxes that it hits and the next smaller one does not, and dynamic programming finds the optimum.

    Returns:
        The sides in ascending order, and the recall of all together. Of equally good sides the smallest are taken.
    """
    if not 1 <= k <= size:
        raise ValueError(f"k: must be 1 to {size}, got {k}")
    hits = centre_hits(boxes, np.arange(1, size + 1), size)
    new = hits.astype(int) @ (~hits.T).astype(int)  # [side, previous side]: hit by the one and not by the other
    new[np.triu_indices(size)] = -1  # sides ascend
    total, previous = hits.sum(axis=1), []
    for _ in range(k - 1):
        reached = np.where(new >= 0, new + total, -1)
        previous.append(reached.argmax(axis=1))
        total = reached.max(axis=1)
    sides = [int(total.argmax())]
    for step in reversed(previous):
        sides.append(int(step[sides[-1]]))
    return tuple(side + 1 for side in reversed(sides)), float(total.max() / hits.shape[1])
