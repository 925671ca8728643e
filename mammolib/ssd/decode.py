"""From a network's output to detections: softmax, offsets, non-maximum suppression class by class. Pure NumPy.

Non-maximum suppression takes the boxes of one class from the most confident down and drops each that overlaps one
already taken (Liu et al. 2016, section 3.1: IoU above 0.45, 200 boxes an image).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammolib.geometry import Detections, Truths, as_boxes, cxcywh_to_xyxy, paired_iou
from mammolib.ssd.boxes import SSD256, Layout, default_boxes
from mammolib.ssd.targets import VARIANCES, decode

MOST = np.array([1e4, 1e4, 8.0, 8.0])
"""The most that offsets may do: shift a default box by 10,000 of its sides, stretch it e^8 = 2981 times. So the boxes
of an untrained or diverging network stay finite, and none that lies on an image is changed."""

BLOCK = 256
"""How many boxes `suppress` compares with each other at once."""


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
        size: side of the images in pixels.
        layout: the network's default boxes.
        confidence: a class's probability must be above this.
        iou: a box is dropped if its IoU with a more confident one of its class is above this.
        top: keep at most so many of each image, the most confident.
        top_before: let at most so many of each image and class enter the suppression (Liu et al.'s code: 400).

    Returns:
        Detections, image by image, the most confident first; of equal ones first the lower class, then the default box
        that comes first. Confidence is the class's softmax probability; boxes are not cut off at the border.

    Raises:
        ValueError: wrong shape, or a value that is not finite; names image and default box.
    """
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
    scores, offsets = _softmax(p[..., :-4]), p[..., -4:]
    default, limit = default_boxes(layout), MOST / VARIANCES
    found = []
    for image, label in np.ndindex(len(p), len(scores) - 1):
        score = scores[label + 1, image]
        rows = np.flatnonzero(score > confidence)
        rows = rows[np.argsort(-score[rows], kind="stable")[:top_before]]
        if len(rows):
            moved = decode(np.clip(offsets[image, rows], -limit, limit), default[rows])
            boxes = cxcywh_to_xyxy(moved) * size
            kept = suppress(boxes, iou, top)
            found.append((np.full(len(kept), image), np.full(len(kept), label + 1), score[rows[kept]], boxes[kept]))
    if not found:
        return Detections()
    detections = Detections(*(np.concatenate(values) for values in zip(*found, strict=True)))
    order = np.lexsort((-detections.confidence, detections.image))
    place = np.arange(len(order)) - np.searchsorted(detections.image, detections.image)  # within its image
    return detections.take(order[place < top])


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
    boxes = np.asfortranarray(as_boxes(xyxy, "xyxy"))
    limit = len(boxes) if top is None else top
    kept = np.zeros(0, np.intp)
    for start in range(0, len(boxes), BLOCK):
        if len(kept) >= limit:
            break
        rows = np.arange(start, min(start + BLOCK, len(boxes)))
        rows = rows[~(paired_iou(boxes[kept, None], boxes[rows]) > iou).any(axis=0)]
        clashes = np.triu(paired_iou(boxes[rows, None], boxes[rows]) > iou, 1)
        alive = np.ones(len(rows), bool)
        for row in np.flatnonzero(clashes.any(axis=1)):
            if alive[row]:
                alive &= ~clashes[row]
        kept = np.concatenate([kept, rows[alive]])
    return kept[:limit]


def best_is_right(detections: Detections, truths: Truths) -> NDArray[np.bool_]:
    """Return for each lesion whether the most confident detection on its image is right about it.

    Returns:
        (T,) bool: the image has a detection, and its most confident one (of equal ones the first) has the lesion's
        class, a confidence of 0.5 or more, and an IoU of 0.5 or more with its box.

    Example:
        >>> truths = Truths([0, 1], [1, 2], [[0, 0, 10, 10], [5, 5, 9, 9]], 2)
        >>> found = Detections([0, 0, 1], [2, 1, 1], [0.6, 0.9, 0.8], [[0, 0, 9, 9], [0, 0, 9, 9], [5, 5, 9, 9]])
        >>> best_is_right(found, truths)
        array([ True, False])
    """
    right = np.zeros(len(truths), bool)
    for truth, (image, label) in enumerate(zip(truths.image, truths.label, strict=True)):
        rows = np.flatnonzero(detections.image == image)
        if len(rows):
            best = rows[detections.confidence[rows].argmax()]
            overlap = paired_iou(detections.box[best], truths.box[truth])
            right[truth] = detections.label[best] == label and min(detections.confidence[best], overlap) >= 0.5
    return right


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return probabilities, the last axis of (B, boxes, classes + 1) first: so the sums run over contiguous rows."""
    p = np.ascontiguousarray(np.moveaxis(logits, -1, 0))
    p -= p.max(axis=0)
    np.exp(p, out=p)
    p /= p.sum(axis=0)
    return p
