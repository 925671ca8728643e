"""Evaluate a detector: metrics with intervals over women, and what a record keeps of the answers.

An answer counts from a confidence of `CONFIDENCE`, and of each class the `CANDIDATES` most confident boxes enter the
suppression, as in the evaluator of the time; it is shown in a picture from `SHOWN`. Boxes are cut off at the border of
the image, as the truths are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mammolib import geometry
from mammolib.detectors.centre import best_sizes, centre_hits, centre_prior
from mammolib.experiments.detection import Plan
from mammolib.experiments.sets import Sets, mirror_in_training
from mammolib.geometry import CLASSES, Detections, Truths
from mammolib.metrics import TRUE, Matches, average_precision, match, mean_average_precision
from mammolib.metrics.intervals import measured, spread
from mammolib.patches import Crops

if TYPE_CHECKING:
    import keras

    from mammolib.results import Record

CONFIDENCE, SHOWN = 0.01, 0.5
CANDIDATES = 400
CELLS = 16
"""Cells a side of the maps of where a detector looks."""


def anonymous(crops: Crops, rows: NDArray, digest: str) -> tuple[Crops, NDArray[np.integer]]:
    """Take test crops in an order that says nothing of films.

    Args:
        crops: a set.
        rows: those that test.
        digest: of the data; it gives the order.

    Returns:
        The crops, and for each the number of its woman, 0, 1, ..., in an order of its own.
    """
    rng = np.random.default_rng(int(digest[:16] or "0", 16))
    taken = crops.take(rng.permutation(rows))
    _, group = np.unique(taken.woman, return_inverse=True)
    return taken, rng.permutation(group.max() + 1)[group]


def answers(model: keras.Model, crops: Crops) -> Detections:
    """Return what a network finds on crops, cut off at their border."""
    from mammolib.ssd import predict
    from mammolib.training import quiet

    with quiet():
        found = predict(model, crops.images, confidence=CONFIDENCE, top_before=CANDIDATES)
    size = crops.images.shape[1]
    return Detections(found.image, found.label, found.confidence, geometry.clip(found.box, size, size))


def facts(sets: Sets, plan: Plan) -> dict[str, Any]:
    """Return the sizes, what leaks, and what the baselines score."""
    crops, part = sets.all[sets.experiment.trains_on]
    sides = ("train_images", "validation_images", "test_images")
    found: dict[str, Any] = dict(zip(sides, part.sizes, strict=True))
    if plan.updates:
        found["passes"] = plan.steps * sets.experiment.batch / found["train_images"]
    for name in sets.experiment.tests_on:
        crops, part = sets.all[name]
        for what, groups in (("women", crops.woman), ("lesions", crops.film)):
            found[f"{what}_seen{sets.suffix(name)}"] = float(np.isin(groups[part.test], groups[part.training]).mean())
        found |= baselines(crops, part, sets.suffix(name))
    return found


def evaluate(model: keras.Model, sets: Sets) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a network's metrics and outputs on the test sets.

    Where it was trained on mirrored crops of the set it is tested on, the metrics also say which share of the test
    crops has its mirror image in training (mirror_trains) and, if there are both kinds, the mAP on these and on the
    rest (map_mirror_trains, map_mirror_apart).
    """
    metrics: dict[str, Any] = {}
    outputs: dict[str, Any] = {}
    for name in sets.experiment.tests_on:
        crops, part = sets.all[name]
        size = crops.images.shape[1]
        taken, group = anonymous(crops, part.test, sets.digest)
        found = answers(model, taken)
        matches = judge(found, taken.truths)
        metrics |= metrics_of(matches, group, sets.suffix(name))
        if sets.experiment.flip and sets.experiment.tests_on == (sets.experiment.trains_on,):
            metrics |= mirrors(matches, group, mirror_in_training(crops, part, taken.images))
        outputs[f"matches_{name}"] = kept_matches(matches, group)
        outputs[f"answers_{name}"] = centre_map(found, len(taken), size)
        outputs[f"lesions_{name}"] = centres(taken.truths.box, size)
    return metrics, outputs


def metrics_of(matches: Matches, group: NDArray[np.integer], suffix: str = "") -> dict[str, Any]:
    """Return map, ap_benign, ap_malignant, recall, recall_any and confidence, with 95 % intervals over women.

    `recall` counts lesions found with a confidence of `SHOWN` or more, `recall_any` those found at all; `confidence` is
    the mean confidence of the right answers.

    Args:
        matches: judged answers at one threshold.
        group: (n_images,) woman of every image.
        suffix: appended to every name.
    """
    counted = matches.trimmed()
    lesions = lesions_of(matches)
    found = {"map": measured(lambda w: mean_average_precision(counted, weights=w), group, lesions > 0)}
    for label, name in enumerate(CLASSES, start=1):
        if len(matches.truths(label)):
            of_class = _column(counted, label - 1)
            found[f"ap_{name}"] = measured(of_class, group, lesions_of(matches, label) > 0)
    for name, kept in (("recall", matches.above(SHOWN)), ("recall_any", matches)):
        hit = np.bincount(matches.truth_image, weights=kept.found(), minlength=matches.n_images)
        found[name] = measured(_ratio(hit, lesions), group, lesions > 0)
    right = matches.outcome[0] == TRUE
    if right.any():
        image, value = matches.image[right], matches.confidence[right]
        per_image = np.bincount(image, weights=value, minlength=matches.n_images)
        answers = np.bincount(image, minlength=matches.n_images)
        found["confidence"] = measured(_ratio(per_image, answers), group, answers > 0)
    else:
        found["confidence"] = {"value": None, "reason": "no right answer"}
    return {name + suffix: value for name, value in found.items()}


def mirrors(matches: Matches, group: NDArray[np.integer], trains: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the mAP on the images whose mirror image trains, and on the rest, with 95 % intervals over women.

    Args:
        matches, group: see `metrics_of`.
        trains: (n_images,) whether the image's mirror image was trained on.

    Returns:
        mirror_trains, the share; and, unless all images are of one kind, map_mirror_trains and map_mirror_apart.
    """
    found: dict[str, Any] = {"mirror_trains": float(trains.mean())}
    counted = matches.trimmed()
    for name, chosen in (("trains", trains), ("apart", ~trains)) if 0 < trains.sum() < len(trains) else ():
        found[f"map_mirror_{name}"] = measured(_map_on(counted, chosen), group[chosen], lesions_of(matches)[chosen] > 0)
    return found


def undetected(matches: Matches) -> int:
    """Return how many classes that have truths have no answer at all: where the evaluator of the time gave up."""
    labels = [k for k in range(1, len(matches.classes) + 1) if len(matches.truths(k))]
    return int(sum(matches.of_class(k).start == matches.of_class(k).stop for k in labels))


def centre_answers(train: Truths, n_images: int, size: int) -> tuple[Detections, tuple[int, ...]]:
    """Answer "in the middle" for every image: three squares of the sizes that hit most training boxes, in each class.

    Confidence is the share of the training boxes that the answer would be right for and no more successful square is.

    Returns:
        The answers, and the sides of the squares.
    """
    sides, _ = best_sizes(train.box, 3, size)
    hits = centre_hits(train.box, sides, size)
    label, confidence, box = [], [], []
    for k in np.unique(train.label):
        left = train.label == k
        for row in np.argsort(-(hits & left).sum(axis=1), kind="stable"):
            side, hit = sides[row], hits[row] & left
            left &= ~hit
            label.append(k)
            confidence.append(float(hit.mean()))
            box.append(geometry.circle_to_box(size / 2, size / 2, side / 2))
    n = len(label)
    image = np.repeat(np.arange(n_images), n)
    labels, sure = (np.tile(np.array(v), n_images) for v in (label, confidence))
    return Detections(image, labels, sure, np.tile(np.array(box).reshape(n, 4), (n_images, 1))), sides


def baselines(crops: Crops, split: Any, suffix: str = "") -> dict[str, float]:
    """Return what a lookup by histogram and a box in the middle score on the same split: nothing learnt, all known.

    Args:
        crops: a set with one lesion on every crop.
        split: which train and which test.
        suffix: appended to every name.

    Returns:
        lookup_accuracy, lookup_map, lookup_majority, centre_map, and centre_recall of the three best squares.
    """
    from mammolib.detectors.lookup import lookup

    said = lookup(crops, split)
    train, test = (crops.truths.of_images(rows) for rows in (split.training, split.test))
    middle, sides = centre_answers(train, len(split.test), crops.images.shape[1])
    found = {
        "lookup_accuracy": said.accuracy,
        "lookup_map": said.mean_ap,
        "lookup_majority": said.majority,
        "centre_map": mean_average_precision(middle, test).value,
        "centre_recall": centre_prior(test.box, sides, crops.images.shape[1]),
    }
    return {name + suffix: value for name, value in found.items()}


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

    Answers after the last right one of a class are left out: no average precision needs them.

    Raises:
        ValueError: the record keeps none of that test set.
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


def centre_map(found: Detections, n_images: int, size: int) -> list[list[int]]:
    """Count where the most confident answer on each image lies: (CELLS, CELLS) rows and columns of its centre."""
    order = np.lexsort((-found.confidence, found.image))
    _, first = np.unique(found.image[order], return_index=True)
    return centres(found.box[order[first]], size)


def centres(box: NDArray, size: int) -> list[list[int]]:
    """Count where the centres of boxes lie: (CELLS, CELLS)."""
    middle = (box[:, :2] + box[:, 2:]) / 2
    column, row = np.clip(middle * CELLS // size, 0, CELLS - 1).astype(int).T
    counts = np.zeros((CELLS, CELLS), int)
    np.add.at(counts, (row, column), 1)
    return counts.tolist()


def judge(found: Detections, truths: Truths) -> Matches:
    """Judge answers as the paper does: IoU 0.5, each lesion once."""
    return match(found, truths, 0.5)


def lesions_of(matches: Matches, label: int | None = None) -> NDArray[np.integer]:
    """Return how many lesions, of one class or of all, each image holds."""
    return np.bincount(matches.truth_image[matches.truths(label)], minlength=matches.n_images)


def _column(matches: Matches, k: int) -> Callable[[NDArray], NDArray]:
    return lambda w: average_precision(matches, weights=w)[..., k]


def _map_on(matches: Matches, chosen: NDArray[np.bool_]) -> Callable[[NDArray], NDArray]:
    return lambda w: mean_average_precision(matches, weights=spread(w, chosen))


def _ratio(part: NDArray, whole: NDArray) -> Callable[[NDArray], NDArray]:
    def ratio(w: NDArray) -> NDArray:
        total = (w @ whole).astype(float)
        return np.divide(w @ part, total, out=np.full(total.shape, np.nan), where=total > 0)

    return ratio
