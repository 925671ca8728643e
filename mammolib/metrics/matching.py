"""Which detection found which lesion: every detection is judged true, false, neutral or a repeat.

Detections are taken in the order of their confidence, and one truth is found at most once. Equal confidences are taken
in the order of their images and, within an image, in the order given. The rules in use differ in three things:

``voc`` (the PASCAL devkit, and the implementation the paper used): a detection is about the truth it overlaps most (of
equal ones the first given). If that one has been found already the detection is false, even where it overlaps another.
A neutral truth is an ordinary box that neither rewards nor punishes.

``coco`` (pycocotools): a detection takes, among the truths not found yet, the one it overlaps most (of equal ones the
last given), and only if there is none a neutral one. A neutral truth is a region that many detections may lie in, so
the overlap with it is the share of the *detection* inside it (``iscrowd``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mammolib.geometry import Detections, Truths, intersection, paired_iou
from mammolib.metrics.matches import FALSE, NEUTRAL, REPEAT, TRUE, Matches

RULES = ("voc", "coco")


def match(
    detections: Detections,
    truths: Truths,
    iou: float | Sequence[float] = 0.5,
    rule: str = "voc",
    limit: int | None = None,
) -> Matches:
    """Judge every detection; see the head of this module for the rules.

    Args:
        detections: what the detector answered.
        truths: the lesions; `truths.difficult` marks the neutral ones.
        iou: the overlap a hit needs, or several of them.
        rule: "voc" or "coco".
        limit: keep so many detections of each class on each image, the most confident; None keeps all.

    Returns:
        The judged detections, ranked.

    Raises:
        ValueError: a threshold outside (0, 1], an unknown rule, a label no class has, an image that does not exist, or
            boxes of one side relative and of the other in pixels; names argument, row and value.

    Example:
        >>> truths = Truths(image=[0], label=[1], box=[[0, 0, 10, 10]], n_images=1)
        >>> two = Detections(image=[0, 0], label=[1, 1], confidence=[0.6, 0.9], box=[[0, 0, 10, 9], [0, 0, 10, 8]])
        >>> match(two, truths).outcome
        array([[1, 3]], dtype=int8)
    """
    thresholds = _thresholds(iou)
    _check(detections, truths, rule, limit)
    ranked = _rank(detections, limit)
    image, label, box = detections.image[ranked], detections.label[ranked], detections.box[ranked]
    outcome = np.full((len(thresholds), len(ranked)), FALSE, np.int8)
    truth = np.full((len(thresholds), len(ranked)), -1, np.int32)
    truths_of = _by_image(truths.image)
    for number, rows in _by_image(image).items():
        if number not in truths_of:
            continue
        lesions = truths_of[number]
        overlap = _overlap(box[rows], truths.box[lesions], truths.difficult[lesions], rule)
        overlap[label[rows][:, None] != truths.label[lesions]] = -1
        for t, threshold in enumerate(thresholds):
            outcome[t, rows], partner = judge_image(overlap, truths.difficult[lesions], threshold, rule)
            truth[t, rows] = np.where(partner < 0, -1, lesions[partner])
    return Matches(
        row=ranked, image=image, label=label, confidence=detections.confidence[ranked], outcome=outcome, truth=truth,
        truth_image=truths.image, truth_label=truths.label, truth_neutral=truths.difficult, n_images=truths.n_images,
        iou=thresholds, classes=truths.classes,
    )  # fmt: skip


def judge_image(
    overlap: NDArray[np.floating], neutral: NDArray[np.bool_], threshold: float, rule: str
) -> tuple[NDArray[np.int8], NDArray[np.integer]]:
    """Judge the detections on one image, one after the other, the most confident first.

    Args:
        overlap: (N, M) of each detection with each truth; -1 where their classes differ.
        neutral: (M,) which truths are neutral.
        threshold: the overlap a hit needs.
        rule: "voc" or "coco"; see the head of this module.

    Returns:
        (N,) outcomes, and (N,) the truth that each true detection found, -1 for the others.
    """
    outcome, partner = np.full(len(overlap), FALSE, np.int8), np.full(len(overlap), -1)
    needed = min(threshold, 1 - 1e-10)  # rounding must not cost a box that equals the truth its hit at IoU 1
    is_neutral, taken = neutral.tolist(), set[int]()
    for i in np.flatnonzero((overlap >= needed).any(axis=1)):
        row = overlap[i].tolist()
        hits = [j for j, value in enumerate(row) if value >= needed]
        if rule == "voc":  # only the truth it overlaps most, of equal ones the first
            hits = [max(hits, key=lambda j: row[j])]
        free = [j for j in hits if j not in taken and not is_neutral[j]]
        if free:
            best = max(free, key=lambda j: (row[j], j))  # of equal ones the last
            outcome[i], partner[i] = TRUE, best
            taken.add(best)
        else:
            outcome[i] = NEUTRAL if any(is_neutral[j] for j in hits) else REPEAT
    return outcome, partner


def _rank(detections: Detections, limit: int | None) -> NDArray[np.integer]:
    """Return the detections' indices by label, confidence, image, order given; at most `limit` a class and image."""
    ranked = np.lexsort((detections.image, -detections.confidence, detections.label))
    if limit is None:
        return ranked
    pairs = np.stack([detections.image[ranked], detections.label[ranked]], axis=1)
    keep = [rows[:limit] for rows in _by_image(np.unique(pairs, axis=0, return_inverse=True)[1].reshape(-1)).values()]
    return ranked[np.sort(np.concatenate([np.zeros(0, int), *keep]))]


def _by_image(image: NDArray[np.integer]) -> dict[int, NDArray[np.integer]]:
    """Return the rows of each image, in the order given."""
    order = np.argsort(image, kind="stable")
    names, first = np.unique(image[order], return_index=True)
    return dict(zip(names.tolist(), np.split(order, first[1:]), strict=False))


def _overlap(box: NDArray, truth: NDArray, neutral: NDArray[np.bool_], rule: str) -> NDArray[np.floating]:
    """Return the (N, M) overlaps of (N, 4) detections and (M, 4) truths on one image, whatever their class."""
    overlap = paired_iou(box[:, None], truth)
    if rule == "coco" and neutral.any():  # the share of the detection inside the region
        size = (box[:, 2:] - box[:, :2]).prod(axis=1)[:, None]
        inside = np.divide(intersection(box[:, None], truth), size, out=np.zeros(overlap.shape), where=size > 0)
        overlap = np.where(neutral, inside, overlap)
    return overlap


def _thresholds(iou: float | Sequence[float]) -> tuple[float, ...]:
    values = tuple(np.atleast_1d(np.asarray(iou, float)).tolist())
    if not values or not all(0 < value <= 1 for value in values) or list(values) != sorted(set(values)):
        raise ValueError(f"iou: thresholds must lie in (0, 1] and rise, got {', '.join(f'{v:g}' for v in values)}")
    return values


def _check(detections: Detections, truths: Truths, rule: str, limit: int | None) -> None:
    if rule not in RULES:
        raise ValueError(f"rule: {rule!r} is not one of {', '.join(RULES)}")
    if limit is not None and limit < 1:
        raise ValueError(f"limit: must be at least 1, got {limit}")
    for name, values, most, there_are in (
        ("label", detections.label, len(truths.classes), f"{len(truths.classes)} classes"),
        ("image", detections.image, truths.n_images - 1, f"{truths.n_images} images"),
    ):
        bad = np.flatnonzero(values > most)
        if len(bad):
            raise ValueError(f"detections.{name}, row {bad[0]}: {values[bad[0]]}, but there are {there_are}")
    _check_units(detections, "detections.box", truths, "truths.box")
    _check_units(truths, "truths.box", detections, "detections.box")


def _check_units(a: Detections | Truths, a_name: str, b: Detections | Truths, b_name: str) -> None:
    """Refuse boxes that look relative to their image beside boxes in pixels.

    They look so if nearly all lie about the unit square (a network does not clip what it answers), most are less than
    one wide, not all corners are whole numbers, and none of them is where the other side has a box too, as an answer
    that was cut off in the corner pixel would be.
    """
    if not len(a) or not len(b) or np.median(np.abs(b.box).max(axis=1)) <= 2:
        return
    about = ((a.box > -0.5) & (a.box < 1.5)).all(axis=1)
    width = (a.box[:, 2:] - a.box[:, :2]).max(axis=1)
    off_whole = about & (a.box != np.round(a.box)).any(axis=1)
    if about.mean() < 0.9 or np.median(width[about]) > 1 or not off_whole.any():
        return
    for row in np.flatnonzero(about)[:1000]:
        if (paired_iou(a.box[row], b.box[b.image == a.image[row]]) >= 0.3).any():
            return
    row = np.flatnonzero(off_whole)[0]
    raise ValueError(
        f"{a_name}, row {row}: {a.box[row].tolist()} is relative, but {b_name}, row 0: {b.box[0].tolist()}"
        " is in pixels; give both in pixels"
    )
