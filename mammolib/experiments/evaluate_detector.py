"""Evaluate a detector: metrics with intervals over women, and what a record keeps of the answers.

An answer counts from a confidence of `CONFIDENCE`, and of each class the `CANDIDATES` most confident boxes enter the
suppression, as in the evaluator of the time; it is shown in a picture from `SHOWN`. Boxes are cut off at the border of
the image, as the truths are. An answer is right as in the paper: IoU 0.5, each lesion once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mammolib import geometry
from mammolib.detectors.centre import best_sizes, centre_hits, centre_prior
from mammolib.detectors.lookup import lookup
from mammolib.experiments.sets import mirror_in_training
from mammolib.geometry import CLASSES, Detections, Truths
from mammolib.metrics import TRUE, Matches, average_precision, match, mean_average_precision
from mammolib.metrics.classification import ratio
from mammolib.metrics.intervals import measured, spread
from mammolib.patches import Crops
from mammolib.splits import Split

if TYPE_CHECKING:
    import keras

    from mammolib.experiments.detection import Detection, Plan
    from mammolib.results import Record

CONFIDENCE, SHOWN = 0.01, 0.5
CANDIDATES = 400
CELLS = 16
"""Cells a side of the maps of where a detector looks."""


def answers(model: keras.Model, crops: Crops) -> Detections:
    """Return what a network finds on crops, cut off at their border."""
    from mammolib.ssd import predict
    from mammolib.training import quiet

    with quiet():
        found = predict(model, crops.images, confidence=CONFIDENCE, top_before=CANDIDATES)
    size = crops.images.shape[1]
    return Detections(found.image, found.label, found.confidence, geometry.clip(found.box, size, size))


def judged(
    model: keras.Model, crops: Crops, rows: NDArray, digest: str
) -> tuple[Matches, NDArray[np.integer], Detections, Crops]:
    """Return a network's judged answers on some crops, the number of each one's woman, the answers and the crops.

    They come in an order, and the women (0, 1, ...) in another, that only the data's digest gives: both say nothing of
    films.
    """
    rng = np.random.default_rng(int(digest[:16] or "0", 16))
    taken = crops.take(rng.permutation(rows))
    _, group = np.unique(taken.woman, return_inverse=True)
    found = answers(model, taken)
    return match(found, taken.truths), rng.permutation(group.max() + 1)[group], found, taken


def facts(one: Detection, plan: Plan, sets: Mapping[str, tuple[Crops, Split]]) -> dict[str, Any]:
    """Return the sizes, what leaks, and what the baselines score, on the sets of `sets.prepare`."""
    sides = ("train_images", "validation_images", "test_images")
    found: dict[str, Any] = dict(zip(sides, sets[one.trains_on][1].sizes, strict=True))
    if plan.updates:
        found["passes"] = plan.steps * one.batch / found["train_images"]
    for name in one.tests_on:
        (crops, part), suffix = sets[name], _suffix(one, name)
        for what, groups in (("women", crops.woman), ("lesions", crops.film)):
            found[f"{what}_seen{suffix}"] = float(np.isin(groups[part.test], groups[part.training]).mean())
        found |= {key + suffix: value for key, value in baselines(crops, part).items()}
    return found


def evaluate(
    model: keras.Model, one: Detection, sets: Mapping[str, tuple[Crops, Split]], digest: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a network's metrics and outputs on the test sets.

    Where it was trained on mirrored crops of the set it is tested on, the metrics also say which share of the test
    crops has its mirror image in training, and what they score; see `mirrors`.
    """
    metrics: dict[str, Any] = {}
    outputs: dict[str, Any] = {}
    for name in one.tests_on:
        crops, part = sets[name]
        size = crops.images.shape[1]
        matches, group, found, taken = judged(model, crops, part.test, digest)
        metrics |= metrics_of(matches, group, _suffix(one, name))
        if one.flip and one.tests_on == (one.trains_on,):
            metrics |= mirrors(matches, group, mirror_in_training(crops, part, taken.images))
        outputs[f"matches_{name}"] = kept_matches(matches, group)
        order = np.lexsort((-found.confidence, found.image))
        _, surest = np.unique(found.image[order], return_index=True)
        outputs[f"answers_{name}"] = centres(found.box[order[surest]], size)
        outputs[f"lesions_{name}"] = centres(taken.truths.box, size)
    return metrics, outputs


def _suffix(one: Detection, name: str) -> str:
    """Return what names of metrics of a test set end in: nothing, where there is only one."""
    return f"_{name}" if len(one.tests_on) > 1 else ""


def metrics_of(matches: Matches, group: NDArray[np.integer], suffix: str = "") -> dict[str, Any]:
    """Return map, ap_benign, ap_malignant, recall, recall_any and confidence, with 95 % intervals over women.

    `recall` counts lesions found with a confidence of `SHOWN` or more, `recall_any` those found at all; `confidence` is
    the mean confidence of the right answers. `group` is the (n_images,) woman of every image; the suffix is appended to
    every name.
    """
    counted, n, lesions = matches.trimmed(), matches.n_images, _lesions(matches)
    found = {"map": measured(lambda w: mean_average_precision(counted, weights=w), group, lesions > 0)}

    def precision(label: int) -> dict[str, Any]:
        behind = _lesions(matches, label) > 0
        return measured(lambda w: average_precision(counted, weights=w)[..., label - 1], group, behind)

    found |= {f"ap_{name}": precision(k) for k, name in enumerate(CLASSES, 1) if len(matches.truths(k))}
    for name, kept in (("recall", matches.above(SHOWN)), ("recall_any", matches)):
        hit = np.bincount(matches.truth_image, weights=kept.found(), minlength=n)
        found[name] = measured(ratio(hit, lesions), group, lesions > 0)
    right = matches.outcome[0] == TRUE
    if right.any():
        rights = np.bincount(matches.image[right], minlength=n)
        sure = np.bincount(matches.image[right], weights=matches.confidence[right], minlength=n)
        found["confidence"] = measured(ratio(sure, rights), group, rights > 0)
    else:
        found["confidence"] = {"value": None, "reason": "no right answer"}
    return {name + suffix: value for name, value in found.items()}


def mirrors(matches: Matches, group: NDArray[np.integer], trains: NDArray[np.bool_]) -> dict[str, Any]:
    """Return mirror_trains, the share of the images whose mirror image trains, which `trains` says of each.

    And, unless all are of one kind, the mAP on these and on the rest: map_mirror_trains and map_mirror_apart.
    """
    found: dict[str, Any] = {"mirror_trains": float(trains.mean())}
    counted, lesions = matches.trimmed(), _lesions(matches)

    def on(chosen: NDArray[np.bool_]) -> dict[str, Any]:
        return measured(
            lambda w: mean_average_precision(counted, weights=spread(w, chosen)), group[chosen], lesions[chosen] > 0
        )

    if 0 < trains.sum() < len(trains):
        found |= {"map_mirror_trains": on(trains), "map_mirror_apart": on(~trains)}
    return found


def undetected(matches: Matches) -> int:
    """Return how many classes that have truths have no answer at all: where the evaluator of the time gave up."""
    return len(set(matches.truth_label) - set(matches.label))


def centre_answers(train: Truths, n_images: int, size: int) -> tuple[Detections, tuple[int, ...]]:
    """Answer "in the middle" for every image: three squares of the sizes that hit most training boxes, in each class.

    Confidence is the share of the training boxes that the answer would be right for and no more successful square is.
    The sides of the squares are returned too.
    """
    sides, _ = best_sizes(train.box, 3, size)
    hits = centre_hits(train.box, sides, size)
    label, confidence, side = [], [], []
    for k in np.unique(train.label):
        left = train.label == k
        for row in np.argsort(-(hits & left).sum(axis=1), kind="stable"):
            label.append(k)
            confidence.append((hits[row] & left).mean())
            side.append(sides[row])
            left &= ~hits[row]
    box = np.tile(geometry.circle_to_box(size / 2, size / 2, np.array(side) / 2), (n_images, 1))
    image = np.repeat(np.arange(n_images), len(label))
    return Detections(image, np.tile(label, n_images), np.tile(confidence, n_images), box), sides


def baselines(crops: Crops, split: Split, seen: NDArray[np.floating] | None = None) -> dict[str, float]:
    """Return what a lookup by histogram and three boxes in the middle score on a split: nothing learnt, all known.

    `seen` are the crops' histograms, if they are known.
    """
    said, size = lookup(crops, split, seen), crops.images.shape[1]
    train, test = (crops.truths.of_images(rows) for rows in (split.training, split.test))
    middle, sides = centre_answers(train, len(split.test), size)
    return {
        "lookup_accuracy": said.accuracy,
        "lookup_map": said.mean_ap,
        "lookup_majority": said.majority,
        "centre_map": mean_average_precision(middle, test).value,
        "centre_recall": centre_prior(test.box, sides, size),
    }


def kept_matches(matches: Matches, group: NDArray[np.integer]) -> dict[str, Any]:
    """Return what a record keeps of judged answers, for `matches_of`: flags, scores in 1/10,000, women, no boxes."""
    short = matches.trimmed()
    return {
        "group": group.tolist(),
        "label_counts": np.bincount(short.label, minlength=len(short.classes) + 1)[1:].tolist(),
        "image": short.image.tolist(),
        "confidence_1e4": np.rint(1e4 * short.confidence).astype(int).tolist(),
        "outcome": "".join(map(str, short.outcome[0])),
        "truth": short.truth[0][short.outcome[0] == TRUE].tolist(),
        "truth_image": short.truth_image.tolist(),
        "truth_label": short.truth_label.tolist(),
    }


def matches_of(record: Record, which: str = "centred") -> tuple[Matches, NDArray[np.integer]]:
    """Return the judged answers that a record keeps, and the woman of every image.

    Answers after the last right one of a class are left out: no average precision needs them. A ValueError says that
    the record keeps none of that test set.
    """
    kept = record.outputs.get(f"matches_{which}")
    if not kept:
        raise ValueError(f"{record.name}: the record holds no answers on the {which} test set ({record.outcome})")
    outcome = np.array(list(kept["outcome"]), np.int8)
    truth = np.full(len(outcome), -1)
    truth[outcome == TRUE] = kept["truth"]
    known = "confidence_1e4" in kept  # older records hold confidences from 0 to 1
    matches = Matches(
        row=np.arange(len(outcome)), image=np.array(kept["image"], int),
        label=np.repeat(np.arange(1, len(CLASSES) + 1), kept["label_counts"]),
        confidence=np.array(kept["confidence_1e4"]) / 1e4 if known else np.array(kept["confidence"], float),
        outcome=outcome[None], truth=truth[None], truth_image=np.array(kept["truth_image"], int),
        truth_label=np.array(kept["truth_label"], int), truth_neutral=np.zeros(len(kept["truth_label"]), bool),
        n_images=len(kept["group"]), iou=(0.5,), classes=CLASSES, whole=False,
    )  # fmt: skip
    return matches, np.asarray(kept["group"])


def centres(box: NDArray, size: int) -> list[list[int]]:
    """Count where the centres of boxes lie: (CELLS, CELLS)."""
    column, row = np.clip((box[:, :2] + box[:, 2:]) / 2 * CELLS // size, 0, CELLS - 1).astype(int).T
    counts = np.zeros((CELLS, CELLS), int)
    np.add.at(counts, (row, column), 1)
    return counts.tolist()


def _lesions(matches: Matches, label: int | None = None) -> NDArray[np.integer]:
    """Return how many lesions, of one class or of all, each image holds."""
    return np.bincount(matches.truth_image[matches.truths(label)], minlength=matches.n_images)
