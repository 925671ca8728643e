"""Training targets: assigning default boxes to lesions, and encoding boxes as offsets.

Everything here is NumPy in float64 and runs once, before training. `keras.utils.bounding_boxes` encodes the same
offsets, and the tests hold `encode` and `decode` against it; it assigns nothing, and is slow to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from mammolib.geometry import Symmetry, Truths, as_boxes, cxcywh_to_xyxy, paired_iou, xyxy_to_cxcywh
from mammolib.ssd.boxes import SSD256, Layout, default_boxes

if TYPE_CHECKING:
    from mammolib.patches import Crops
    from mammolib.training import Samples

VARIANCES = (0.1, 0.1, 0.2, 0.2)
"""Offsets are divided by these, so that they spread about as widely as a standard normal (Liu et al.'s code)."""


def encode(cxcywh: ArrayLike, default: ArrayLike) -> NDArray[np.floating]:
    """Return the offsets that turn default boxes into given boxes (Liu et al. 2016, equation 2).

    Box i goes with default box i; both are (..., 4) `cxcywh` boxes relative to the image.

    Returns:
        (..., 4) offsets: ((cx - dx) / dw / 0.1, (cy - dy) / dh / 0.1, ln(w / dw) / 0.2, ln(h / dh) / 0.2).

    Raises:
        ValueError: a box has no area; names its row.
    """
    box, d = as_boxes(cxcywh, "cxcywh", ordered=False), as_boxes(default, "default", ordered=False)
    _check_area(box[..., 2:], "cxcywh")
    _check_area(d[..., 2:], "default")
    offsets = np.concatenate([(box[..., :2] - d[..., :2]) / d[..., 2:], np.log(box[..., 2:] / d[..., 2:])], axis=-1)
    return offsets / VARIANCES


def decode(offsets: ArrayLike, default: ArrayLike) -> NDArray[np.floating]:
    """Move default boxes by offsets, both (..., 4); the inverse of `encode`.

    Example:
        >>> default = [0.5, 0.5, 0.2, 0.2]
        >>> decode(encode([0.48, 0.5, 0.3, 0.2], default), default).round(6)
        array([0.48, 0.5 , 0.3 , 0.2 ])
    """
    step, d = np.asarray(offsets, float) * VARIANCES, np.asarray(default, float)
    return np.concatenate([d[..., :2] + step[..., :2] * d[..., 2:], d[..., 2:] * np.exp(step[..., 2:])], axis=-1)


def assign(overlap: NDArray[np.floating], threshold: float = 0.5) -> NDArray[np.intp]:
    """Return which truth of one image each default box answers for (Liu et al. 2016, section 2.2).

    First every truth gets one default box of its own: of all pairs still free, the one with the highest overlap is
    joined, and so on until no truth is left. Then every other default box is joined to the truth it overlaps most, if
    by `threshold` or more. Of equal overlaps the truth with the lower number wins, then the default box with the lower
    number. A truth that overlaps no free default box at all stays without one.

    Args:
        overlap: (T, n_boxes) IoU of each truth with each default box.
        threshold: smallest IoU of the second step.

    Returns:
        (n_boxes,) int: the truth's row, or -1 for background.

    Example:
        Truth 1 takes box 0, the best pair of all; truth 0 gets box 1, though truth 1 overlaps that more:

        >>> assign(np.array([[0.8, 0.6, 0.1], [0.9, 0.7, 0.2]]))
        array([ 1,  0, -1])
    """
    overlap = np.asarray(overlap, float)
    if overlap.ndim != 2:
        raise ValueError(f"overlap: expected (truths, default boxes), got shape {overlap.shape}")
    assigned = np.full(overlap.shape[1], -1)
    if not overlap.size:
        return assigned
    hits = np.flatnonzero((overlap >= threshold).any(axis=0))
    assigned[hits] = overlap[:, hits].argmax(axis=0)
    free = overlap.copy()
    for _ in range(len(overlap)):
        truth, box = np.unravel_index(free.argmax(), free.shape)
        if not free[truth, box] > 0:
            break
        assigned[box] = truth
        free[truth], free[:, box] = 0, 0
    return assigned


def make_targets(
    truths: Truths, size: float = 256, layout: Layout = SSD256, threshold: float = 0.5, dtype: DTypeLike = np.float32
) -> NDArray:
    """Return what a network should answer for every image: the `y_true` of `ssd.loss.SSDLoss`.

    Args:
        truths: the lesions, in pixels; images without a lesion are all background.
        size: side of the images, in pixels.
        layout: the network's default boxes.
        threshold: IoU from which a default box counts as a hit, see `assign`.
        dtype: float16 halves the memory and rounds an offset by at most a part in two thousand.

    Returns:
        (n_images, layout.n_boxes, 5): the label (0 for background), then four offsets (0 for background).

    Raises:
        ValueError: a truth has no area, lies outside its image or in relative units; names its row.
    """
    default, box = default_boxes(layout), truths.box
    _check_area(box[:, 2:] - box[:, :2], "truths.box")
    outside = (box[:, 2:] <= 0).any(axis=1) | (box[:, :2] >= size).any(axis=1)
    relative = ((box >= 0) & (box <= 1)).all(axis=1) & (size > 2)
    for bad, what in ((outside, f"lies outside its image of side {size:g}"), (relative, "looks relative; give pixels")):
        if bad.any():
            row = np.flatnonzero(bad)[0]
            raise ValueError(f"truths.box, row {row} (image {truths.image[row]}): {box[row].tolist()} {what}")
    box = box / size
    corners = np.asfortranarray(cxcywh_to_xyxy(default))  # by columns: the overlaps are computed twice as fast
    targets = np.zeros((truths.n_images, layout.n_boxes, 5), dtype)
    pairs = [np.zeros((2, 0), int)]
    for image in np.unique(truths.image):
        rows = np.flatnonzero(truths.image == image)
        assigned = assign(paired_iou(box[rows, None], corners), threshold)
        hits = np.flatnonzero(assigned >= 0)
        pairs.append(np.stack([rows[assigned[hits]], hits]))
    lesion, hit = np.concatenate(pairs, axis=1)
    targets[truths.image[lesion], hit, 0] = truths.label[lesion]
    targets[truths.image[lesion], hit, 1:] = encode(xyxy_to_cxcywh(box[lesion]), default[hit])
    return targets


def samples(crops: Crops, rows: ArrayLike, flip: bool = False) -> Samples:
    """Return square crops, those of `rows`, with their targets, as `training.train` takes them.

    With `flip`, the targets of their mirror images come too, so that a training may mirror them.
    """
    from mammolib.training import Samples

    taken = crops.take(np.asarray(rows))
    size, truths, mirrored = taken.images.shape[1], taken.truths, None
    if flip:
        boxes = Symmetry.of(2, flip=True).boxes(truths.box, size, size)  # left and right change places
        mirrored = make_targets(Truths(truths.image, truths.label, boxes, truths.n_images), size, dtype=np.float16)
    return Samples(taken.images, make_targets(truths, size, dtype=np.float16), mirrored)


def _check_area(sizes: NDArray[np.floating], name: str) -> None:
    """Name the first box, of (..., 2) widths and heights, that has no area."""
    bad = np.flatnonzero(~(sizes > 0).all(axis=-1))
    if len(bad):
        w, h = sizes.reshape(-1, 2)[bad[0]]
        raise ValueError(f"{name}, row {bad[0]}: a box must have an area, this one is {w:g} wide and {h:g} high")
