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
    detections = [_NOTHING]
    for image in range(len(predictions)):
        by_class = [_NOTHING]
        for label, score in enumerate(scores[:, image], start=1):
            rows = np.flatnonzero(score > confidence)
            rows = rows[np.argsort(-score[rows], kind="stable")[:top_before]]
            if len(rows):
                boxes = _boxes(offsets[image, rows], default[rows]) * size
                kept = suppress(boxes, iou, top)
                by_class.append((np.full(len(kept), image), np.full(len(kept), label), score[rows[kept]], boxes[kept]))
        fields = [np.concatenate(values) for values in zip(*by_class, strict=True)]
        best = np.argsort(-fields[2], kind="stable")[:top]
        detections.append(tuple(values[best] for values in fields))
    return Detections(*(np.concatenate(values) for values in zip(*detections, strict=True)))


_NOTHING: tuple[NDArray, ...] = (np.zeros(0, int), np.zeros(0, int), np.zeros(0, np.float32), np.zeros((0, 4)))
"""Image, label, confidence and box of no detection."""


def best_is_right(detections: Detections, truths: Truths) -> NDArray[np.bool_]:
    """Return for each lesion whether the most confident detection on its image is right about it.

    Args:
        detections: of any number of images.
        truths: the lesions on the same images.

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


BLOCK = 256
"""How many boxes `suppress` compares with each other at once."""


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
