"""Which detection found which lesion: every detection is judged true, false, neutral or a repeat.

Detections are taken in the order of their confidence (of equal ones by image, then as given), and a truth is found at
most once. By the rule ``voc`` (the PASCAL devkit, and the implementation the paper used), a detection is about the
truth it overlaps most, the first of equal ones. If that one has been found the detection is false, even where it
overlaps another. A neutral truth is an ordinary box that neither rewards nor punishes. By the rule ``coco``
(pycocotools), it takes the one it overlaps most of the truths not found yet, the last of equal ones, and only if there
is none a neutral one. A neutral truth is a region that many detections may lie in: the overlap with it is the share of
the *detection* inside it (``iscrowd``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammolib.geometry import Detections, Truths, intersection, paired_iou

RULES = ("voc", "coco")
FALSE, TRUE, NEUTRAL, REPEAT = 0, 1, 2, 3
"""Outcomes. A repeat is a detection on a lesion that is already found: average precision counts it as false."""


@dataclass(frozen=True)
class Matches:
    """Judged detections, without their boxes: all that any metric needs, and all that a record keeps.

    Rows are ranked: by label, then by falling confidence, then by image, then in the order given.

    Attributes:
        row: (N,) which detection each row was; image, label and confidence are its own.
        outcome: (T, N) `FALSE`, `TRUE`, `NEUTRAL` or `REPEAT` at each of the T thresholds in `iou`.
        truth: (T, N) the truth that a true detection found, -1 for all others.
        truth_image, truth_label, truth_neutral: (M,) the truths, in the order given.
        n_images, classes: as in `Truths`.
        whole: whether every detection is here, or only those that average precision needs; see `trimmed`.
    """

    row: NDArray[np.integer]
    image: NDArray[np.integer]
    label: NDArray[np.integer]
    confidence: NDArray[np.floating]
    outcome: NDArray[np.int8]
    truth: NDArray[np.integer]
    truth_image: NDArray[np.integer]
    truth_label: NDArray[np.integer]
    truth_neutral: NDArray[np.bool_]
    n_images: int
    iou: tuple[float, ...]
    classes: tuple[str, ...]
    whole: bool = True

    def __len__(self) -> int:
        return len(self.row)

    def of_class(self, label: int) -> slice:
        """Return the rows of one class."""
        return slice(*np.searchsorted(self.label, [label, label + 1]))

    def truths(self, label: int | None = None) -> NDArray[np.integer]:
        """Return the truths that count (not neutral), of one class or of all, as indices."""
        keep = ~self.truth_neutral if label is None else ~self.truth_neutral & (self.truth_label == label)
        return np.flatnonzero(keep)

    def found(self) -> NDArray[np.bool_]:
        """Return (M,) bool: which truths some detection found, at the first threshold."""
        return np.isin(np.arange(len(self.truth_label)), self.truth[0])

    def above(self, confidence: float) -> Matches:
        """Return the matches of the detections with at least this confidence.

        Every outcome depends only on detections ranked before it, so a threshold cuts the list and alters no judgement.
        """
        return self._rows(self.confidence >= confidence)

    def trimmed(self) -> Matches:
        """Return the matches without what follows the last true detection of each class at every threshold.

        No average precision and no bootstrap of one needs those rows; they are most of what a detector with a low
        confidence threshold puts out. A FROC curve over all classes needs them: it refuses matches that are not whole.
        """
        keep = np.zeros(len(self), bool)
        for label in range(1, len(self.classes) + 1):
            rows = self.of_class(label)
            true = np.flatnonzero((self.outcome[:, rows] == TRUE).any(axis=0))
            keep[rows.start : rows.start + (true[-1] + 1 if len(true) else 0)] = True
        return replace(self._rows(keep), whole=False)

    def _rows(self, keep: NDArray[np.bool_]) -> Matches:
        names = ("row", "image", "label", "confidence", "outcome", "truth")
        columns: dict[str, Any] = {name: getattr(self, name)[..., keep] for name in names}
        return replace(self, **columns)


def match(
    detections: Detections,
    truths: Truths,
    iou: float | Sequence[float] = 0.5,
    rule: str = "voc",
    limit: int | None = None,
    overlap: Callable[[NDArray, NDArray], NDArray] = paired_iou,
) -> Matches:
    """Judge every detection; see the head of this module for the rules.

    Args:
        detections, truths: what the detector answered, and the lesions; `truths.difficult` marks the neutral ones.
        iou: the overlap a hit needs, or several of them.
        rule: "voc" or "coco".
        limit: keep so many detections of each class on each image, the most confident; None keeps all.
        overlap: of (N, 1, 4) with (M, 4) boxes, (N, M).

    Raises:
        ValueError: a threshold outside (0, 1], an unknown rule, a label no class has, an image that does not exist, or
            boxes of one side relative and of the other in pixels; names argument, row and value.

    Example:
        >>> truths = Truths(image=[0], label=[1], box=[[0, 0, 10, 10]], n_images=1)
        >>> two = Detections(image=[0, 0], label=[1, 1], confidence=[0.6, 0.9], box=[[0, 0, 10, 9], [0, 0, 10, 8]])
        >>> match(two, truths).outcome
        array([[1, 3]], dtype=int8)
    """
    thresholds = tuple(np.atleast_1d(np.asarray(iou, float)).tolist())
    _check(detections, truths, thresholds, rule, limit)
    ranked = np.lexsort((detections.image, -detections.confidence, detections.label))
    if limit is not None:
        import pandas as pd

        pairs = pd.DataFrame({"image": detections.image[ranked], "label": detections.label[ranked]})
        ranked = ranked[pairs.groupby(["image", "label"]).cumcount() < limit]
    image, label, box = detections.image[ranked], detections.label[ranked], detections.box[ranked]
    outcome = np.full((len(thresholds), len(ranked)), FALSE, np.int8)
    truth = np.full((len(thresholds), len(ranked)), -1, np.int32)
    truths_of = _by_image(truths.image)
    for number, rows in _by_image(image).items():
        if number not in truths_of:
            continue
        lesions = truths_of[number]
        neutral = truths.difficult[lesions]
        values = overlap(box[rows, None], truths.box[lesions])
        if rule == "coco" and neutral.any():
            values = np.where(neutral, _share_inside(box[rows, None], truths.box[lesions]), values)
        values[label[rows][:, None] != truths.label[lesions]] = -1
        for t, threshold in enumerate(thresholds):
            outcome[t, rows], partner = _judge(values, neutral, threshold, rule)
            truth[t, rows] = np.where(partner < 0, -1, lesions[partner])
    return Matches(
        row=ranked, image=image, label=label, confidence=detections.confidence[ranked], outcome=outcome, truth=truth,
        truth_image=truths.image, truth_label=truths.label, truth_neutral=truths.difficult, n_images=truths.n_images,
        iou=thresholds, classes=truths.classes,
    )  # fmt: skip


def _judge(
    overlap: NDArray[np.floating], neutral: NDArray[np.bool_], threshold: float, rule: str
) -> tuple[NDArray[np.int8], NDArray[np.integer]]:
    """Judge N ranked detections of an image by their (N, M) overlaps: (N,) outcomes, (N,) truths found or -1."""
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


def _by_image(image: NDArray[np.integer]) -> dict[int, NDArray[np.integer]]:
    """Return the rows of each image, in the order given."""
    order = np.argsort(image, kind="stable")
    names, first = np.unique(image[order], return_index=True)
    return dict(zip(names.tolist(), np.split(order, first[1:]), strict=False))


def _share_inside(box: NDArray, region: NDArray) -> NDArray[np.floating]:
    """Return the (N, M) shares of (N, 1, 4) boxes that lie inside (M, 4) regions; 0 for a box of no area."""
    shared, size = intersection(box, region), (box[..., 2:] - box[..., :2]).prod(axis=-1)
    return np.divide(shared, size, out=np.zeros(shared.shape), where=size > 0)


def _check(detections: Detections, truths: Truths, iou: tuple[float, ...], rule: str, limit: int | None) -> None:
    if not iou or not all(0 < value <= 1 for value in iou) or list(iou) != sorted(set(iou)):
        raise ValueError(f"iou: thresholds must lie in (0, 1] and rise, got {', '.join(f'{v:g}' for v in iou)}")
    if rule not in RULES:
        raise ValueError(f"rule: {rule!r} is not one of {', '.join(RULES)}")
    if limit is not None and limit < 1:
        raise ValueError(f"limit: must be at least 1, got {limit}")
    for name, most, there_are in (
        ("label", len(truths.classes), f"{len(truths.classes)} classes"),
        ("image", truths.n_images - 1, f"{truths.n_images} images"),
    ):
        values = getattr(detections, name)
        bad = np.flatnonzero(values > most)
        if len(bad):
            raise ValueError(f"detections.{name}, row {bad[0]}: {values[bad[0]]}, but there are {there_are}")
    _check_unit(detections, "detections.box", truths, "truths.box")
    _check_unit(truths, "truths.box", detections, "detections.box")


def _check_unit(a: Detections | Truths, a_name: str, b: Detections | Truths, b_name: str) -> None:
    """Refuse boxes that look relative to their image beside boxes in pixels.

    They look so if nearly all lie about the unit square (a network does not clip what it answers), most are less than
    one wide, not all corners are whole numbers, and none of them is where the other side has a box too, as an answer
    that was cut off in the corner pixel would be.
    """
    if not len(a) or not len(b) or np.median(np.abs(b.box).max(axis=1)) <= 2:
        return
    about = ((a.box > -0.5) & (a.box < 1.5)).all(axis=1)
    width = (a.box[:, 2:] - a.box[:, :2]).max(axis=1)
    off_whole = np.flatnonzero(about & (a.box != np.round(a.box)).any(axis=1))
    if about.mean() < 0.9 or np.median(width[about]) > 1 or not len(off_whole):
        return
    for row in np.flatnonzero(about)[:1000]:
        if (paired_iou(a.box[row], b.box[b.image == a.image[row]]) >= 0.3).any():
            return
    raise ValueError(
        f"{a_name}, row {off_whole[0]}: {a.box[off_whole[0]].tolist()} is relative, but {b_name}, row 0: "
        f"{b.box[0].tolist()} is in pixels; give both in pixels"
    )
