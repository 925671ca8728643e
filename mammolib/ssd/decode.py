"""From a network's output to detections: softmax, offsets, non-maximum suppression class by class. Pure NumPy.

Non-maximum suppression takes the boxes of one class from the most confident down and drops each that overlaps one
already taken (Liu et al. 2016, section 3.1: IoU above 0.45, 200 boxes an image).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammolib.geometry import Detections, Truths, as_boxes, cxcywh_to_xyxy
from mammolib.geometry import iou as overlap_of
from mammolib.ssd.boxes import SSD256, Layout, default_boxes
from mammolib.ssd.targets import VARIANCES, decode

MOST = np.array([1e4, 1e4, 8.0, 8.0])
"""The most that offsets may do: shift a default box by 10,000 of its sides, stretch it e^8 = 2981 times. So the boxes
of an untrained or diverging network stay finite, and none that lies on an image is changed."""


def decode_predictions(
    predictions: NDArray[np.floating],
    size: float = 256,
    layout: Layout = SSD256,
    confidence: float = 0.01,
    iou: float = 0.45,
    top: int = 200,
    top_before: int | None = None,
) -> Detections:
    """Return the detections in a network's output.

    Args:
        predictions: (B, layout.n_boxes, classes + 1 + 4) logits and offsets, as the models of `ssd.model` give them.
        size: side of the images in pixels; boxes are returned in pixels and not cut off at the border.
        layout: the network's default boxes.
        confidence: a class's probability must be above this.
        iou: a box is dropped if its IoU with a more confident one of its class is above this.
        top: keep at most so many of each image, the most confident.
        top_before: let at most so many of each image and class enter the suppression, the most confident; Liu et al.'s
            code takes 400. None, the default: all.

    Returns:
        Detections, image by image, the most confident first; of equal ones first the lower class, then the default box
        that comes first. Confidence is the class's softmax probability.

    Raises:
        ValueError: wrong shape, or a value that is not finite; names image and default box.
    """
    scores, offsets = _scores(predictions, layout)
    default = default_boxes(layout)
    classes, chosen = scores.shape[0] + 1, []
    for image in range(len(predictions)):
        found = []
        for label in range(1, classes):
            score = scores[label - 1, image]
            rows = np.flatnonzero(score > confidence)
            rows = rows[np.argsort(-score[rows], kind="stable")[:top_before]]
            if not len(rows):
                continue
            box = _boxes(offsets[image, rows], default[rows]) * size
            kept = suppress(box, iou, top)
            found.append((np.full(len(kept), label), score[rows[kept]], box[kept]))
        if found:
            label, score, box = (np.concatenate(v) for v in zip(*found, strict=True))
            best = np.argsort(-score, kind="stable")[:top]
            chosen.append((np.full(len(best), image), label[best], score[best], box[best]))
    if not chosen:
        return Detections()
    return Detections(*(np.concatenate(v) for v in zip(*chosen, strict=True)))


def best_is_right(found: Detections, truths: Truths, confidence: float = 0.5, iou: float = 0.5) -> NDArray[np.bool_]:
    """Say for each lesion whether the most confident detection on its image is right about it.

    Args:
        found: detections, of any number of images.
        truths: the lesions on the same images.
        confidence: a detection less confident than this is not taken for an answer.
        iou: how much the detection must overlap the lesion's box, at least.

    Returns:
        (T,) bool: the image has a detection, and its most confident one (of equal ones the first) has the lesion's
        class, confidence and overlap enough.

    Example:
        >>> truths = Truths([0, 1], [1, 2], [[0, 0, 10, 10], [5, 5, 9, 9]], 2)
        >>> found = Detections([0, 0, 1], [2, 1, 1], [0.6, 0.9, 0.8], [[0, 0, 9, 9], [0, 0, 9, 9], [5, 5, 9, 9]])
        >>> best_is_right(found, truths)
        array([ True, False])
    """
    order = np.lexsort((-found.confidence, found.image))
    image, first = np.unique(found.image[order], return_index=True)
    best = dict(zip(image.tolist(), order[first].tolist(), strict=True))
    right = np.zeros(len(truths), bool)
    for truth, row in enumerate(best.get(i, -1) for i in truths.image.tolist()):
        if row >= 0 and found.label[row] == truths.label[truth] and found.confidence[row] >= confidence:
            right[truth] = overlap_of([found.box[row]], [truths.box[truth]])[0, 0] >= iou
    return right


_BLOCKS = (8, 32, 128)


def suppress(xyxy: ArrayLike, iou: float = 0.45, top: int | None = None) -> NDArray[np.intp]:
    """Non-maximum suppression of boxes of one class.

    Args:
        xyxy: (N, 4) boxes, the most confident first.
        iou: a box is dropped if its IoU with one kept before it is above this.
        top: stop when so many are kept; None: never.

    Returns:
        Rows of the boxes kept, ascending.

    Example:
        >>> suppress([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]])
        array([0, 2])
    """
    box = as_boxes(xyxy, "xyxy")
    corners = np.ascontiguousarray(box.T)
    limit = len(box) if top is None else min(top, len(box))
    kept, start, step = np.zeros(0, np.intp), 0, 64
    while start < len(box) and len(kept) < limit:
        rows = np.arange(start, min(start + step, len(box)))
        start, step = rows[-1] + 1, min(2 * step, 1024)
        for some in np.split(kept, _BLOCKS[: np.searchsorted(_BLOCKS, len(kept))]):  # the first drop most of the rows
            if len(some) and len(rows):
                rows = rows[~(_ious(corners[:, some], corners[:, rows]) > iou).any(axis=0)]
        kept = np.concatenate([kept, rows[_first_of_each(corners[:, rows], iou)]])
    return kept[:limit]


def _first_of_each(corners: NDArray, iou: float) -> NDArray[np.intp]:
    """Suppression among few boxes, best first: rows kept."""
    clash = _ious(corners, corners) > iou
    clash = np.triu(clash, 1)
    alive = np.ones(len(clash), bool)
    for row in np.flatnonzero(clash.any(axis=1)):
        if alive[row]:
            alive &= ~clash[row]
    return np.flatnonzero(alive)


def _ious(a: NDArray, b: NDArray) -> NDArray[np.float64]:
    """IoU of every box of (4, N) corners with every box of (4, M); `geometry.iou` without temporaries."""
    width = np.minimum(a[2][:, None], b[2])
    width -= np.maximum(a[0][:, None], b[0])
    np.maximum(width, 0, out=width)
    height = np.minimum(a[3][:, None], b[3])
    height -= np.maximum(a[1][:, None], b[1])
    np.maximum(height, 0, out=height)
    shared = np.multiply(width, height, out=width)
    size_a, size_b = ((v[2] - v[0]) * (v[3] - v[1]) for v in (a, b))
    union = np.add(size_a[:, None], size_b, out=height)
    union -= shared
    np.maximum(union, np.finfo(float).tiny, out=union)  # two boxes of no area: 0 / tiny
    return np.divide(shared, union, out=shared)


def _scores(predictions: NDArray, layout: Layout) -> tuple[NDArray, NDArray]:
    """Softmax probabilities of the classes, (classes, B, boxes) in single precision, and the offsets, (B, boxes, 4)."""
    p = np.asarray(predictions)
    if p.ndim != 3 or p.shape[1] != layout.n_boxes or p.shape[2] < 6:
        raise ValueError(
            f"predictions: expected (images, {layout.n_boxes}, classes + 5 with at least one class), got {p.shape}"
        )
    p = p.astype(np.float32, copy=False)
    finite = np.isfinite(p)
    if not finite.all():
        image, box = np.argwhere(~finite)[0, :2]
        raise ValueError(f"predictions, image {image}, default box {box}: {p[image, box].tolist()} is not finite")
    logits = np.ascontiguousarray(np.moveaxis(p[..., :-4], -1, 0))
    logits -= logits.max(axis=0)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=0)
    return logits[1:], p[..., -4:]


def _boxes(offsets: NDArray, default: NDArray) -> NDArray[np.floating]:
    """Decode offsets to `xyxy` boxes, none of them moved or stretched beyond `MOST`."""
    limit = MOST / VARIANCES
    return cxcywh_to_xyxy(decode(np.clip(offsets, -limit, limit), default))
