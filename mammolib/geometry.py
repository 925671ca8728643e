"""Boxes, the layouts of detections and truths, intersection over union, and the symmetries of the square.

Coordinates are continuous: x runs right, y runs down, and the pixel in row r and column c covers the square from
(c, r) to (c + 1, r + 1). A box from x1 to x2 is x2 - x1 wide; nothing in this project adds one pixel to a width.

Two box formats exist, and the name of an array says which it holds: ``xyxy`` (left, top, right, bottom), in pixels
outside the networks, and ``cxcywh`` (centre, width, height), relative to the image inside them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

CLASSES = ("benign", "malignant")
"""The two lesion classes. Label 0 is background, so ``CLASSES[label - 1]`` names a label."""


def xyxy_to_cxcywh(xyxy: ArrayLike) -> NDArray[np.floating]:
    """Turn (..., 4) boxes from corners into centre x, centre y, width and height, in the same unit."""
    b = as_boxes(xyxy, "xyxy", ordered=False)
    return np.concatenate([(b[..., :2] + b[..., 2:]) / 2, b[..., 2:] - b[..., :2]], axis=-1)


def cxcywh_to_xyxy(cxcywh: ArrayLike) -> NDArray[np.floating]:
    """Turn (..., 4) boxes from centre and size into corners; the inverse of `xyxy_to_cxcywh`."""
    b = as_boxes(cxcywh, "cxcywh", ordered=False)
    half = b[..., 2:] / 2
    return np.concatenate([b[..., :2] - half, b[..., :2] + half], axis=-1)


def circle_to_box(row: ArrayLike, column: ArrayLike, radius: ArrayLike) -> NDArray[np.floating]:
    """Return the (..., 4) `xyxy` squares around circles of this centre and radius, in pixels.

    Raises:
        ValueError: a radius is not positive.

    Example:
        >>> circle_to_box(row=50, column=40, radius=10)
        array([30., 40., 50., 60.])
    """
    row, column, radius = np.broadcast_arrays(*(np.asarray(v, float) for v in (row, column, radius)))
    if not (radius > 0).all():
        raise ValueError(f"radius: must be positive, got {radius[~(radius > 0)].flat[0]:g}")
    return np.stack([column - radius, row - radius, column + radius, row + radius], axis=-1)


def clip(xyxy: ArrayLike, width: float, height: float) -> NDArray[np.floating]:
    """Cut boxes off at the border of an image that spans (0, 0) to (width, height)."""
    return np.clip(as_boxes(xyxy, "xyxy"), 0, [width, height, width, height])


def iou(a: ArrayLike, b: ArrayLike) -> NDArray[np.floating]:
    """Return the (N, M) intersections over union of N boxes with M boxes, `xyxy` in one unit.

    Two boxes of no area have IoU 0.

    Example:
        >>> iou([[0, 0, 2, 2]], [[1, 0, 3, 2]]).round(4)
        array([[0.3333]])
    """
    a, b = as_boxes(a, "a"), as_boxes(b, "b")
    return paired_iou(a[:, None], b[None, :])


def paired_iou(a: ArrayLike, b: ArrayLike) -> NDArray[np.floating]:
    """Return the IoU of box i of `a` with box i of `b`; (..., 4) arrays that broadcast against each other."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    shared = intersection(a, b)
    size_a, size_b = ((v[..., 2] - v[..., 0]) * (v[..., 3] - v[..., 1]) for v in (a, b))
    return shared / np.maximum(size_a + size_b - shared, np.finfo(float).tiny)  # two boxes of no area: 0 / tiny


def intersection(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the area that box i of `a` shares with box i of `b`; (..., 4) arrays that broadcast against each other."""
    width, height = (np.minimum(a[..., k + 2], b[..., k + 2]) - np.maximum(a[..., k], b[..., k]) for k in (0, 1))
    return np.maximum(width, 0) * np.maximum(height, 0)


def as_boxes(boxes: ArrayLike, name: str, ordered: bool = True, flat: bool = False) -> NDArray[np.floating]:
    """Return `boxes` as floats of shape (..., 4), or (N, 4) if `flat`; an empty list becomes (0, 4).

    Raises:
        ValueError: wrong shape, a value that is not finite, or, if they must be `ordered`, corners in the wrong order;
            begins with `name` and the row.
    """
    try:
        b = np.asarray(boxes, dtype=float)
    except (TypeError, ValueError) as err:
        raise ValueError(f"{name}: boxes must be numbers of shape (..., 4): {err}") from None
    if b.size == 0 and b.ndim <= 2:
        return b.reshape(0, 4)
    if b.ndim == 0 or b.shape[-1] != 4 or (flat and b.ndim != 2):
        raise ValueError(f"{name}: boxes must have shape ({'N' if flat else '...'}, 4), got {b.shape}")
    bad = ~np.isfinite(b).all(axis=-1)
    what = "holds a value that is not finite"
    if ordered and not bad.any():
        bad = (b[..., 2] < b[..., 0]) | (b[..., 3] < b[..., 1])
        what = "must be left, top, right, bottom with left <= right and top <= bottom"
    if bad.any():
        row = np.flatnonzero(bad)[0]
        raise ValueError(f"{name}, row {row}: {b.reshape(-1, 4)[row].tolist()} {what}")
    return b


@dataclass(frozen=True)
class Truths:
    """The lesions of a set of images, flat: row i is one lesion. The one layout every room uses.

    Attributes:
        image: (N,) int, the image each lesion is on, 0 to n_images - 1, in any order.
        label: (N,) int, 1 to len(classes).
        box: (N, 4) float, `xyxy` in pixels.
        n_images: images, those without a lesion included.
        difficult: (N,) bool, lesions that count neither for nor against a detector; default none.
        classes: names of the labels 1, 2, ...

    Raises:
        ValueError: names the argument, the row and the value.
    """

    image: NDArray[np.integer]
    label: NDArray[np.integer]
    box: NDArray[np.floating]
    n_images: int
    difficult: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    classes: tuple[str, ...] = CLASSES

    def __post_init__(self) -> None:
        box = as_boxes(self.box, "truths.box", flat=True)
        n, classes = len(box), tuple(self.classes)
        image = _integers(self.image, n, "truths.image", 0, self.n_images - 1)
        label = _integers(self.label, n, "truths.label", 1, len(classes))
        difficult = np.asarray(self.difficult) if len(self.difficult) else np.zeros(n, bool)
        if difficult.shape != (n,) or difficult.dtype != bool:
            raise ValueError(f"truths.difficult: expected {n} booleans, got {difficult.dtype} {difficult.shape}")
        vars(self).update(image=image, label=label, box=box, difficult=difficult, classes=classes)

    def __len__(self) -> int:
        return len(self.box)

    def of_images(self, images: ArrayLike) -> Truths:
        """Return the truths of some images, each named once, renumbered in the order given."""
        images = image_numbers(images, self.n_images)
        place = np.full(self.n_images, -1)
        place[images] = np.arange(len(images))
        new = place[self.image]
        rows = np.argsort(new, kind="stable")[np.count_nonzero(new < 0) :]
        return Truths(new[rows], self.label[rows], self.box[rows], len(images), self.difficult[rows], self.classes)


@dataclass(frozen=True)
class Detections:
    """What a detector answers on a set of images, flat: row i is one box. The partner of `Truths`.

    Attributes:
        image: (N,) int, the image of each detection.
        label: (N,) int, 1 to the number of classes.
        confidence: (N,) float in [0, 1].
        box: (N, 4) float, `xyxy` in pixels.

    Raises:
        ValueError: names the argument, the row and the value.
    """

    image: NDArray[np.integer] = field(default_factory=lambda: np.zeros(0, int))
    label: NDArray[np.integer] = field(default_factory=lambda: np.zeros(0, int))
    confidence: NDArray[np.floating] = field(default_factory=lambda: np.zeros(0))
    box: NDArray[np.floating] = field(default_factory=lambda: np.zeros((0, 4)))

    def __post_init__(self) -> None:
        box = as_boxes(self.box, "detections.box", flat=True)
        n, confidence = len(box), np.asarray(self.confidence, float)
        image = _integers(self.image, n, "detections.image", 0)
        label = _integers(self.label, n, "detections.label", 1)
        if confidence.shape != (n,):
            raise ValueError(f"detections.confidence: expected {n} numbers, got shape {confidence.shape}")
        bad = np.flatnonzero(~((confidence >= 0) & (confidence <= 1)))
        if len(bad):
            raise ValueError(f"detections.confidence, row {bad[0]}: {confidence[bad[0]]} is not in [0, 1]")
        vars(self).update(image=image, label=label, confidence=confidence, box=box)

    def __len__(self) -> int:
        return len(self.box)

    def take(self, rows: NDArray[Any]) -> Detections:
        """Return some of the detections: rows by number, or a mask of N booleans."""
        return Detections(self.image[rows], self.label[rows], self.confidence[rows], self.box[rows])


def image_numbers(images: ArrayLike, n_images: int) -> NDArray[np.integer]:
    """Return numbers of images, 0 to n_images - 1, each named once; a ValueError says which are not."""
    images = np.asarray(images, dtype=int).reshape(-1)
    if len(images) and (images.min() < 0 or images.max() >= n_images):
        raise ValueError(f"images: numbers must lie in 0 to {n_images - 1}, got {images.min()} to {images.max()}")
    if len(np.unique(images)) != len(images):
        raise ValueError("images: an image is named twice")
    return images


def _integers(values: ArrayLike, n: int, name: str, low: int, high: int = 2**63 - 1) -> NDArray[np.integer]:
    v = np.asarray(values)
    if v.size == 0 and n == 0:
        return np.zeros(0, int)
    if v.shape != (n,) or v.dtype.kind not in "iu":
        raise ValueError(f"{name}: expected {n} integers, got {v.dtype} of shape {v.shape}")
    bad = np.flatnonzero((v < low) | (v > high))
    if len(bad):
        raise ValueError(f"{name}, row {bad[0]}: {v[bad[0]]} is not in the range {low} to {high}")
    return v.astype(int)


@dataclass(frozen=True)
class Symmetry:
    """One of the eight ways to lay a square onto itself: an element of the dihedral group of order 8.

    The paper makes eight images of one by rotations through 90, 180 and 270 degrees and a vertical flip (section 2).
    One integer matrix defines an element; the images, the boxes, the product and the inverse all follow from it.

    Attributes:
        matrix: ((a, b), (c, d)): the point (x, y), measured from the centre of the image with y pointing down,
            goes to (a x + b y, c x + d y).
    """

    matrix: tuple[tuple[int, int], tuple[int, int]]

    @classmethod
    def of(cls, quarter_turns: int = 0, flip: bool = False) -> Symmetry:
        """Turn anticlockwise by `quarter_turns` x 90 degrees, then flip vertically (top to bottom) if `flip`."""
        turned = cls(((1, 0), (0, -1) if flip else (0, 1)))
        for _ in range(quarter_turns % 4):
            turned @= cls(((0, 1), (-1, 0)))
        return turned

    def __matmul__(self, first: Symmetry) -> Symmetry:
        """Return the element that does `first`, then this one."""
        (a, b), (c, d) = (np.array(self.matrix) @ first.matrix).tolist()
        return Symmetry(((a, b), (c, d)))

    def inverse(self) -> Symmetry:
        """Return the element that undoes this one: the transposed matrix."""
        (a, b), (c, d) = self.matrix
        return Symmetry(((a, c), (b, d)))

    def image(self, pixels: NDArray) -> NDArray:
        """Move the pixels of (H, W, ...) `pixels`; a view, no copy. H and W may differ."""
        (a, b), (c, d) = self.inverse().matrix
        if a == 0:  # the old x is given by the new y: rows and columns change places
            return np.swapaxes(pixels, 0, 1)[::b, ::c]
        return pixels[::d, ::a]

    def boxes(self, xyxy: ArrayLike, width: float, height: float) -> NDArray[np.floating]:
        """Move (..., 4) `xyxy` boxes of an image of this width and height to where their pixels go."""
        b = as_boxes(xyxy, "xyxy")
        m = np.array(self.matrix, float)
        old, new = np.array([width, height]) / 2, np.abs(m) @ [width, height] / 2
        corners = (b[..., :2] - old) @ m.T + new, (b[..., 2:] - old) @ m.T + new
        return np.concatenate([np.minimum(*corners), np.maximum(*corners)], axis=-1)


DIHEDRAL = tuple(Symmetry.of(turns, flip) for flip in (False, True) for turns in range(4))
"""The eight elements in the paper's order: turned by 0, 90, 180, 270 degrees; then the same four, flipped."""
