"""Which detection found which lesion: every detection is judged true, false, neutral or a repeat.

Detections are taken in the order of their confidence, and one truth is found at most once. Equal confidences are taken
in the order of their images and, within an image, in the order given. The rules in use differ in three things:

``voc`` (the PASCAL devkit, and the implementation the paper used): a detection is about the truth it overlaps most (of
equal ones the first given). If that one has been found already the detection is false, even where it overlaps another.
A neutral truth is an ordinary box that neither rewards nor punishes.

``coco`` (pycocotools): a detection takes, among the truths not found yet, the one it overlaps most (of equal ones the
last given), and only if there is none a neutral one. A neutral truth is a region that many detections may lie in, so
the overlap with it is the share of the *detection* inside it (``iscrowd``).

Memory is linear in detections and truths: overlaps are computed for a block of detections at a time, and a crowded
image is cut into several blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mammolib.geometry import Detections, Truths
from mammolib.geometry import iou as iou_of
from mammolib.metrics.matches import FALSE, NEUTRAL, REPEAT, TRUE, Matches

RULES = ("voc", "coco")
HITS = ("iou", "centre")
BLOCK = 1 << 16  # pairs of a detection and a truth looked at together: few enough to stay in the cache
NOBODY = np.iinfo(np.int64).max


def match(
    detections: Detections,
    truths: Truths,
    iou: float | Sequence[float] = 0.5,
    rule: str = "voc",
    limit: int | None = None,
    hit: str = "iou",
) -> Matches:
    """Judge every detection; see the head of this module for the rules.

    Args:
        detections: what the detector answered.
        truths: the lesions; `truths.difficult` marks the neutral ones.
        iou: the overlap a hit needs, or several of them.
        rule: "voc" or "coco".
        limit: keep so many detections of each class on each image, the most confident; None keeps all.
        hit: "iou", or "centre": a hit is a detection whose centre lies in the truth's box, border included; `iou` is
            then not used, and of several truths the one with the largest overlap is meant.

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
    thresholds = _thresholds(iou) if hit == "iou" else (0.0,)
    _check(detections, truths, rule, limit, hit)
    ids = np.unique(np.concatenate([detections.image, truths.image]))  # ids may be sparse and large
    given, lesions = detections, truths
    detections = replace(given, image=np.searchsorted(ids, given.image))
    truths = replace(lesions, image=np.searchsorted(ids, lesions.image), n_images=len(ids))
    ranked, place = _rank(detections, limit)
    outcome = np.full((len(thresholds), len(ranked)), FALSE, np.int8)
    truth = np.full((len(thresholds), len(ranked)), -1, np.int32)
    _judge(detections, truths, ranked[place], place, thresholds, rule, hit, outcome, truth)
    return Matches(
        row=ranked,
        image=given.image[ranked],
        label=detections.label[ranked],
        confidence=detections.confidence[ranked],
        outcome=outcome,
        truth=truth,
        truth_image=lesions.image,
        truth_label=truths.label,
        truth_neutral=truths.difficult,
        n_images=lesions.n_images,
        iou=thresholds,
        rule=rule,
        hit=hit,
        classes=tuple(truths.classes),
    )


def _rank(detections: Detections, limit: int | None) -> tuple[NDArray, NDArray]:
    """Rank the detections.

    Returns:
        (N,) their indices by label, confidence, image, order given; and (N,) the places of that list, ordered by image
        and label: ``ranked[place]`` has every image's detections of one class together, the most confident first.
    """
    order = _stable(detections.image)
    order = order[_falling(detections.confidence[order])]
    ranked = order[_stable(detections.label[order])]
    place = _stable(detections.image[ranked])
    if limit is None or not len(ranked):
        return ranked, place
    image, label = detections.image[ranked[place]], detections.label[ranked[place]]
    new = np.flatnonzero(np.r_[True, (np.diff(image) != 0) | (np.diff(label) != 0)])
    kept = np.zeros(len(ranked), bool)
    kept[place] = np.arange(len(place)) - np.repeat(new, np.diff(np.r_[new, len(place)])) < limit
    return ranked[kept], (np.cumsum(kept) - 1)[place[kept[place]]]


def _stable(values: NDArray[np.integer]) -> NDArray[np.integer]:
    """Return the order of whole numbers from 0, equal ones as given; small numbers are sorted by their digits."""
    small = values.astype(np.uint16) if len(values) and values.max() < 1 << 16 else values
    return np.argsort(small, kind="stable")


def _falling(values: NDArray[np.floating]) -> NDArray[np.integer]:
    """Return the order of falling numbers, equal ones as given: twice the quick sort is faster than a stable one."""
    order = np.argsort(-values)
    level = np.cumsum(np.r_[False, np.diff(values[order]) != 0][: len(values)])
    return np.sort(level * len(values) + order) % max(len(values), 1)


def _judge(
    detections: Detections,
    truths: Truths,
    grouped: NDArray,
    place: NDArray,
    thresholds: tuple[float, ...],
    rule: str,
    hit: str,
    outcome: NDArray,
    truth: NDArray,
) -> None:
    """Fill `outcome` and `truth`: detection grouped[i] is their column place[i]."""
    n_classes = len(truths.classes)
    truth_key = truths.image * n_classes + truths.label - 1
    by_key = np.argsort(truth_key, kind="stable")
    count = np.bincount(truth_key, minlength=truths.n_images * n_classes)
    key = detections.image[grouped] * n_classes + detections.label[grouped] - 1
    met = np.flatnonzero(count[key])  # the others meet no truth and stay false
    grouped, place, key = grouped[met], place[met], key[met]
    size, first = count[key], (np.cumsum(count) - count)[key]
    pairs = np.cumsum(size)
    regions = truths.difficult if rule == "coco" and truths.difficult.any() else None
    sides = [np.ascontiguousarray(side) for b in (detections.box[grouped], truths.box[by_key]) for side in b.T]
    taken = np.zeros((len(thresholds), len(truths)), bool)
    waiting: list[tuple[NDArray, NDArray, NDArray]] = []
    start = 0
    while start < len(grouped):
        stop = int(np.searchsorted(pairs, (pairs[start - 1] if start else 0) + BLOCK, side="right"))
        stop = max(stop, start + 1)
        n = size[start:stop]
        whom = np.arange(n.sum()) + np.repeat(first[start:stop] - (np.cumsum(n) - n), n)
        one = [np.repeat(side[start:stop], n) for side in sides[:4]]
        overlap = _overlap(*one, *(side[whom] for side in sides[4:]), hit, regions, by_key, whom)
        keep = np.flatnonzero(overlap >= _needed(thresholds[0]))
        who = np.repeat(np.arange(start, stop), n)[keep]
        waiting.append((who, by_key[whom[keep]], overlap[keep]))
        start = stop
        if start == len(grouped) or sum(len(w[0]) for w in waiting) > BLOCK:
            who, whom, overlap = (np.concatenate(column) for column in zip(*waiting, strict=True))
            waiting.clear()
            order = _preferences(who, whom, overlap, rule)
            who, whom, overlap = who[order], whom[order], overlap[order]
            for t, threshold in enumerate(thresholds):
                keep = np.flatnonzero(overlap >= _needed(threshold))
                who, whom, overlap = who[keep], whom[keep], overlap[keep]
                _decide(who, whom, truths.difficult, rule, taken[t], place, outcome[t], truth[t])


def _needed(threshold: float) -> float:
    """Rounding must not cost a box that equals the truth its hit at IoU 1."""
    return min(threshold, 1 - 1e-10)


def _preferences(who: NDArray, whom: NDArray, overlap: NDArray, rule: str) -> NDArray[np.integer]:
    """Return the order of pairs by detection and, within one, by falling overlap; `who` rises already.

    Equal overlaps: the first truth given comes first under "voc", the last under "coco".
    """
    order = np.arange(len(who))
    same = np.r_[False, who[1:] == who[:-1]]
    several = np.flatnonzero(same | np.r_[same[1:], False])
    if len(several):
        given = whom[several] if rule == "voc" else -whom[several]
        order[several] = several[np.lexsort((given, -overlap[several], who[several]))]
    return order


def _decide(
    who: NDArray,
    whom: NDArray,
    neutral: NDArray,
    rule: str,
    taken: NDArray,
    place: NDArray,
    outcome: NDArray,
    truth: NDArray,
) -> None:
    """Decide which detection takes which truth; pair i says that detection who[i] may take truth whom[i].

    The pairs are in order of preference. `taken` says which truths earlier blocks found, and is brought up to date.

    The greedy rule, one detection after the other, gives the only stable matching between detections that prefer the
    larger overlap and truths that prefer the higher rank. So it may be found by proposals, all images at once: every
    detection asks the next truth on its list, and every truth keeps the best-ranked that has asked it so far.
    """
    if rule == "voc":  # only the truth it overlaps most
        best = np.flatnonzero(np.r_[True, who[1:] != who[:-1]][: len(who)])
        who, whom = who[best], whom[best]
    if neutral.any():
        beside = neutral[whom]
        outcome[place[who[beside]]] = NEUTRAL
        who, whom = who[~beside], whom[~beside]
    if not len(who):
        return
    first = np.flatnonzero(np.r_[True, who[1:] != who[:-1]])
    name = who[first]  # the detections that may take something; from here on they are called 0, 1, ...
    outcome[place[name]] = np.where(outcome[place[name]] == NEUTRAL, NEUTRAL, REPEAT)
    ask, end = first.copy(), np.append(first[1:], len(who))
    holder = np.where(taken, -1, NOBODY)
    asking = np.arange(len(name))
    while len(asking):
        asked = whom[ask[asking]]
        before = holder[asked]
        better = np.flatnonzero(asking < before)[::-1]
        holder[asked[better]] = asking[better]  # the last assignment stays: the best-ranked, since `asking` rises
        won = holder[asked] == asking
        sent_away = before[won & (before != NOBODY)]
        asking = np.sort(np.concatenate([asking[~won], sent_away]))
        ask[asking] += 1
        asking = asking[ask[asking] < end[asking]]
    held = np.flatnonzero((holder >= 0) & (holder != NOBODY))
    column = place[name[holder[held]]]
    outcome[column], truth[column], taken[held] = TRUE, held, True


def _overlap(
    left: NDArray,
    top: NDArray,
    right: NDArray,
    bottom: NDArray,
    truth_left: NDArray,
    truth_top: NDArray,
    truth_right: NDArray,
    truth_bottom: NDArray,
    hit: str,
    regions: NDArray | None,
    by_key: NDArray,
    whom: NDArray,
) -> NDArray[np.floating]:
    """Return the overlap of (P,) pairs of boxes: IoU, or of the truths in `regions` the share of the detection."""
    width = np.minimum(right, truth_right) - np.maximum(left, truth_left)
    height = np.minimum(bottom, truth_bottom) - np.maximum(top, truth_top)
    touch = np.flatnonzero((width > 0) & (height > 0))
    shared = (width * height)[touch]
    size = ((right - left) * (bottom - top))[touch]
    union = size + ((truth_right - truth_left) * (truth_bottom - truth_top))[touch] - shared
    if regions is not None:
        union = np.where(regions[by_key[whom[touch]]], size, union)
    overlap = np.zeros(len(left))
    overlap[touch] = shared / union
    if hit == "centre":
        x, y = (left + right) / 2, (top + bottom) / 2
        inside = (truth_left <= x) & (x <= truth_right) & (truth_top <= y) & (y <= truth_bottom)
        overlap = np.where(inside, overlap, -1.0)
    return overlap


def _thresholds(iou: float | Sequence[float]) -> tuple[float, ...]:
    values = tuple(float(t) for t in np.atleast_1d(np.asarray(iou, float)).tolist())
    if not values or any(b <= a for a, b in zip(values, values[1:], strict=False)):
        raise ValueError(f"iou: thresholds must rise, got {values}")
    for t in values:
        if not 0 < t <= 1:
            raise ValueError(f"iou: a threshold must lie in (0, 1], got {t:g}")
    return values


def _check(detections: Detections, truths: Truths, rule: str, limit: int | None, hit: str) -> None:
    if rule not in RULES:
        raise ValueError(f"rule: {rule!r} is not one of {', '.join(RULES)}")
    if hit not in HITS:
        raise ValueError(f"hit: {hit!r} is not one of {', '.join(HITS)}")
    if limit is not None and limit < 1:
        raise ValueError(f"limit: must be at least 1, got {limit}")
    for name, values, allowed in (
        ("label", detections.label, len(truths.classes)),
        ("image", detections.image, truths.n_images - 1),
    ):
        bad = np.flatnonzero(values > allowed)
        if len(bad):
            what = f"there are {len(truths.classes)} classes" if name == "label" else f"there are {allowed + 1} images"
            raise ValueError(f"detections.{name}, row {bad[0]}: {values[bad[0]]}, but {what}")
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
        if (iou_of(a.box[row : row + 1], b.box[b.image == a.image[row]]) >= 0.3).any():
            return
    row = np.flatnonzero(off_whole)[0]
    raise ValueError(
        f"{a_name}, row {row}: {a.box[row].tolist()} is relative, but {b_name}, row 0: {b.box[0].tolist()}"
        " is in pixels; give both in pixels"
    )
