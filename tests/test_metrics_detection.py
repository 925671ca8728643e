"""The detection metrics against pycocotools, against definitions written out plainly, and against worked examples."""

from fractions import Fraction

import numpy as np
import pytest

from mammolib import metrics as d
from mammolib.bench.metrics import pycocotools_evaluation, run_pycocotools
from mammolib.geometry import Detections, Truths

CASES = 10_000


def random_case(rng: np.random.Generator) -> tuple[Detections, Truths]:
    """A small data set made to be awkward: coarse coordinates and confidences, so that overlaps and ranks tie."""
    n_images, classes = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    n_truths, n = int(rng.integers(0, 7)), int(rng.integers(0, 13))
    if rng.random() < 0.01:  # a crowded image, beyond the limit of 100
        n_images, n_truths, n = 1, int(rng.integers(5, 40)), int(rng.integers(90, 250))
    grid = rng.choice([1, 4, 1000])  # coordinates in ones, quarters and thousandths

    def boxes(k: int) -> np.ndarray:
        corner, side = rng.integers(0, 8 * grid, (k, 2)), rng.integers(0, 10 * grid, (k, 2))
        return np.concatenate([corner, corner + side], axis=1) / grid

    box = boxes(n)
    truth_box = boxes(n_truths)
    if n_truths and n:  # half of the detections lie on a truth, or a step beside it
        copied = rng.random(n) < 0.5
        about = rng.integers(0, n_truths, n)
        moved = truth_box[about] + rng.integers(-1, 2, (n, 4)) * rng.integers(0, 2, (n, 1)) / grid
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2])
        box = np.where(copied[:, None], moved, box)
    truths = Truths(
        rng.integers(0, n_images, n_truths),
        rng.integers(1, classes + 1, n_truths),
        truth_box,
        n_images,
        rng.random(n_truths) < rng.choice([0, 0.3]),
        tuple("abc"[:classes]),
    )
    confidence = rng.integers(0, rng.choice([3, 1000]), n) / 1000
    return Detections(rng.integers(0, n_images, n), rng.integers(1, classes + 1, n), confidence, box), truths


@pytest.fixture(scope="module")
def cases() -> list[tuple[Detections, Truths]]:
    rng = np.random.default_rng(20190802)
    return [random_case(rng) for _ in range(CASES)]


SOME_OR_ALL = pytest.mark.parametrize("some", [300, pytest.param(CASES, marks=pytest.mark.slow)])


@SOME_OR_ALL
def test_coco_definition_agrees_with_pycocotools(cases, some):
    pytest.importorskip("pycocotools")
    worst = 0.0
    for number, (detections, truths) in enumerate(cases[:some]):
        theirs = run_pycocotools(pycocotools_evaluation(detections, truths, d.COCO_IOU))
        ours = d.average_precision(detections, truths, "coco", d.COCO_IOU)
        assert np.array_equal(np.isnan(ours), np.isnan(theirs)), f"case {number}"
        gap = np.nanmax(np.abs(ours - theirs), initial=0)
        assert gap <= 1e-12, f"case {number}: {ours} and {theirs}"
        worst = max(worst, gap)
    print(f"largest difference from pycocotools in {some} cases: {worst:.1e}")


def plain_iou(a, b) -> Fraction | float:
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    return w * h / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h)


def plain_voc(detections: Detections, truths: Truths, label: int, iou: float) -> list[bool]:
    """The devkit's rule, one detection at a time; returns true or false for those that are not neutral."""
    rows = [i for i in range(len(detections)) if detections.label[i] == label]
    rows.sort(key=lambda i: (-detections.confidence[i], detections.image[i], i))
    taken, verdicts = set(), []
    for i in rows:
        best, best_iou = None, -1.0
        for j in range(len(truths)):
            if truths.image[j] == detections.image[i] and truths.label[j] == label:
                overlap = plain_iou(detections.box[i].tolist(), truths.box[j].tolist())
                if overlap > best_iou:
                    best, best_iou = j, overlap
        if best is None or best_iou < iou:
            verdicts.append(False)
        elif not truths.difficult[best]:
            verdicts.append(best not in taken)
            taken.add(best)
    return verdicts


def plain_average_precision(verdicts: list[bool], n: int, definition: str) -> Fraction:
    """Straight from the formulas, in fractions: nothing is rounded."""
    curve, found = [], 0
    for shown, true in enumerate(verdicts, start=1):
        found += true
        curve.append((Fraction(found, n), Fraction(found, shown)))

    def interpolated(recall: Fraction) -> Fraction:
        return max((p for r, p in curve if r >= recall), default=Fraction(0))

    if definition == "voc2010":
        recalls = sorted({r for r, _ in curve} | {Fraction(0)})
        return sum((b - a) * interpolated(b) for a, b in zip(recalls, recalls[1:], strict=False))
    points = {"paper": 20, "voc2007": 11}[definition]
    return sum(interpolated(Fraction(j, points - 1)) for j in range(points)) / points


@SOME_OR_ALL
def test_the_other_definitions_agree_with_their_formulas(cases, some):
    for number, (detections, truths) in enumerate(cases[:some]):
        values = {name: d.average_precision(detections, truths, name) for name in ("paper", "voc2007", "voc2010")}
        for label in range(1, len(truths.classes) + 1):
            n = int(((truths.label == label) & ~truths.difficult).sum())
            verdicts = plain_voc(detections, truths, label, 0.5) if n else []
            for name, value in values.items():
                if n == 0:
                    assert np.isnan(value[label - 1])
                else:
                    plain = plain_average_precision(verdicts, n, name)
                    assert abs(value[label - 1] - plain) <= 1e-12, f"case {number}, {name}, class {label}"


# The seven images of https://github.com/rafaelpadilla/Object-Detection-Metrics (its folders groundtruths and
# detections): image, confidence, left, top, width, height.
SEVEN_TRUTHS = """
1 25 16 38 56   1 129 123 41 62   2 123 11 43 55   2 38 132 59 45   3 16 14 35 48   3 123 30 49 44   3 99 139 47 47
4 53 42 40 52   4 154 43 31 34   5 59 31 44 51   5 48 128 34 52   6 36 89 52 76   6 62 58 44 67   7 28 31 55 63
7 58 67 50 58"""
SEVEN_DETECTIONS = """
1 .88 5 67 31 48   1 .70 119 111 40 67   1 .80 124 9 49 67   2 .71 64 111 64 58   2 .54 26 140 60 47
2 .74 19 18 43 35   3 .18 109 15 77 39   3 .67 86 63 46 45   3 .38 160 62 36 53   3 .91 105 131 47 47
3 .44 18 148 40 44   4 .35 83 28 28 26   4 .78 28 68 42 67   4 .45 87 89 25 39   4 .14 10 155 60 26
5 .62 50 38 28 46   5 .44 95 11 53 28   5 .95 29 131 72 29   5 .23 29 163 72 29   6 .45 43 48 74 38
6 .84 17 155 29 35   6 .43 95 110 25 42   7 .48 16 20 101 88   7 .95 33 116 37 49"""


@pytest.fixture(scope="module")
def seven() -> tuple[Detections, Truths]:
    t = np.array(SEVEN_TRUTHS.split(), float).reshape(-1, 5)
    p = np.array(SEVEN_DETECTIONS.split(), float).reshape(-1, 6)
    box = [np.concatenate([b[:, :2], b[:, :2] + b[:, 2:]], axis=1) for b in (t[:, 1:], p[:, 2:])]
    truths = Truths(t[:, 0].astype(int) - 1, np.ones(15, int), box[0], 7, classes=("person",))
    return Detections(p[:, 0].astype(int) - 1, np.ones(24, int), p[:, 1], box[1]), truths


def test_the_public_example_of_seven_images(seven):
    """Its own page counts a pixel more in every width and height, and gives 24.57 % for the area."""
    p, t = seven
    wider = Truths(t.image, t.label, t.box + [0, 0, 1, 1], 7, classes=t.classes)
    marks = Detections(p.image, p.label, p.confidence, p.box + [0, 0, 1, 1])
    for definition, value in {"voc2007": 0.2684, "paper": 0.2405, "coco": 0.2301, "voc2010": 0.2254}.items():
        assert d.average_precision(p, t, definition, iou=0.3)[0] == pytest.approx(value, abs=5e-5)
    for definition, value in {"voc2007": 0.2684, "voc2010": 0.2457}.items():
        assert d.average_precision(marks, wider, definition, iou=0.3)[0] == pytest.approx(value, abs=5e-5)


def test_by_hand_true_false_true():
    """Two lesions; the ranking reads true, false, true: precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1."""
    truths = Truths([0, 1], [1, 1], [[0, 0, 10, 10]] * 2, 2)
    box = [[0, 0, 10, 10], [40, 0, 50, 10], [1, 0, 11, 10]]
    detections = Detections([0, 0, 1], [1, 1, 1], [0.9, 0.8, 0.7], box)
    curve = d.precision_recall(d.match(detections, truths), label=1)
    assert curve.precision.tolist() == [1, 1 / 2, 2 / 3]
    assert curve.recall.tolist() == [0.5, 0.5, 1]
    assert curve.envelope.tolist() == [1, 2 / 3, 2 / 3]
    assert curve.at([0, 0.5, 0.51, 1]).tolist() == [1, 1, 2 / 3, 2 / 3]
    assert d.average_precision(detections, truths, iou=[0.5]).shape == (1, 2), "a list of one is a list"
    value = {name: d.average_precision(detections, truths, name)[0] for name in d.DEFINITIONS}
    assert value["voc2010"] == pytest.approx(1 / 2 + 1 / 3)
    assert value["voc2007"] == pytest.approx((6 + 5 * 2 / 3) / 11)
    assert value["paper"] == pytest.approx((10 + 10 * 2 / 3) / 20)
    assert value["coco"] == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_the_two_rules_differ_on_a_taken_truth_and_on_a_neutral_one():
    """Both detections overlap the left truth most. VOC calls the second false; COCO gives it the right one.

    Half of the third lies in a large neutral region: IoU is small, the share of the detection is not.
    """
    box = [[0, 0, 10, 10], [4, 0, 14, 10], [100, 0, 200, 100]]
    truths = Truths([0, 0, 0], [1, 1, 1], box, 1, np.array([False, False, True]))
    box = [[0, 0, 10, 10], [1.5, 0, 11.5, 10], [195, 0, 205, 10]]
    detections = Detections([0, 0, 0], [1, 1, 1], [0.9, 0.8, 0.7], box)
    assert d.match(detections, truths, rule="voc").outcome.tolist() == [[d.TRUE, d.REPEAT, d.FALSE]]
    coco = d.match(detections, truths, rule="coco")
    assert coco.outcome.tolist() == [[d.TRUE, d.TRUE, d.NEUTRAL]] and coco.truth.tolist() == [[0, 1, -1]]
    assert d.match(detections, truths, limit=2).row.tolist() == [0, 1]


def test_undefined_and_zero():
    truths = Truths([0], [2], [[0, 0, 10, 10]], 1)
    detections = Detections([0], [2], [0.9], [[0, 0, 10, 10]])
    values = d.average_precision(detections, truths)
    assert np.isnan(values[0]) and values[1] == 1
    result = d.mean_average_precision(detections, truths)
    assert result.value == 1 and result.note == "left out of the mean, having no truths: benign"
    assert d.average_precision(Detections(), truths)[1] == 0
    nothing = Truths(np.zeros(0, int), np.zeros(0, int), np.zeros((0, 4)), 3)
    empty = d.mean_average_precision(detections, nothing)
    assert np.isnan(empty.value) and "benign, malignant" in empty.note
    assert d.match(detections, nothing).outcome.tolist() == [[d.FALSE]]
    assert len(d.match(Detections(), nothing)) == 0


def test_scale_and_order_do_not_matter(cases):
    rng = np.random.default_rng(0)
    for p, truths in cases[:300]:
        unique = Detections(p.image, p.label, rng.permutation(len(p)) / 1000, p.box)
        order = rng.permutation(len(p))
        for rule in ("voc", "coco"):
            one, two = d.match(unique, truths, rule=rule), d.match(unique.take(order), truths, rule=rule)
            assert np.array_equal(one.outcome, two.outcome) and np.array_equal(one.row, order[two.row])
        half = Detections(unique.image, unique.label, unique.confidence / 2, unique.box)
        expected = d.average_precision(unique, truths)
        assert np.array_equal(expected, d.average_precision(half, truths), equal_nan=True)


def copies(rows: Detections | Truths, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which rows a data set of these images, some of them several times, consists of, and on which image each is."""
    where = [np.flatnonzero(rows.image == i) for i in drawn]
    return np.concatenate(where), np.repeat(np.arange(len(drawn)), [len(w) for w in where])


def test_weights_are_copies_of_images(cases):
    """The weighted value equals that of a data set in which every image is really there so many times."""
    rng = np.random.default_rng(1)
    for p, t in cases[:300]:
        p = Detections(p.image, p.label, (rng.permutation(len(p)) + 1) / 1000, p.box)  # without ties
        w = rng.integers(0, 3, (3, t.n_images))
        for definition, rule in d.DEFINITIONS.items():
            matches = d.match(p, t, (0.5, 0.75), rule.rule, rule.limit)
            values = d.average_precision(matches, definition=definition, weights=w)
            ones = d.average_precision(matches, definition=definition, weights=np.ones_like(w[0]))
            unweighted = d.average_precision(matches, definition=definition)
            at = d.sensitivity_at(d.match(p, t), (0, 0.5, 1), w)
            assert np.allclose(ones, unweighted, rtol=0, atol=1e-12, equal_nan=True)
            for r, row in enumerate(w):
                drawn = np.repeat(np.arange(t.n_images), row)
                if not len(drawn):
                    assert np.isnan(values[:, r]).all()
                    continue
                (ti, tn), (pi, pn) = copies(t, drawn), copies(p, drawn)
                many = Truths(tn, t.label[ti], t.box[ti], len(drawn), t.difficult[ti], t.classes)
                marks = Detections(pn, p.label[pi], p.confidence[pi], p.box[pi])
                expected = d.average_precision(marks, many, definition, (0.5, 0.75))
                assert np.allclose(values[:, r], expected, rtol=0, atol=1e-12, equal_nan=True)
                expected = d.sensitivity_at(d.match(marks, many), (0, 0.5, 1), np.ones((1, len(drawn)), int))[0]
                assert np.allclose(at[r], expected, rtol=0, atol=1e-12, equal_nan=True)


def test_weighted_mean_is_undefined_where_a_class_was_not_drawn():
    truths = Truths([0, 1], [1, 2], [[0, 0, 10, 10]] * 2, 2)
    detections = Detections([0, 1], [1, 2], [0.9, 0.8], [[0, 0, 10, 10], [50, 50, 60, 60]])
    mean = d.mean_average_precision(d.match(detections, truths), weights=[[1, 1], [2, 0], [0, 2]])
    assert mean[0] == 0.5 and np.isnan(mean[1:]).all()
    several = d.mean_average_precision(d.match(detections, truths, (0.5, 0.6)), weights=[[1, 1]])
    assert several.tolist() == [0.5]


def test_what_a_threshold_or_the_last_true_detection_cuts_off_changes_no_judgement(cases):
    rng = np.random.default_rng(2)
    for detections, truths in cases[:300]:
        matches = d.match(detections, truths, (0.5, 0.75))
        w = rng.integers(0, 3, (4, truths.n_images))
        for definition in d.DEFINITIONS:
            for weights in (None, w):
                one, two = (
                    d.average_precision(m, definition=definition, weights=weights) for m in (matches, matches.trimmed())
                )
                assert np.array_equal(one, two, equal_nan=True)
        for rule in ("voc", "coco"):
            cut = d.match(detections, truths, rule=rule).above(0.002)
            anew = d.match(detections.take(detections.confidence >= 0.002), truths, rule=rule)
            assert np.array_equal(cut.outcome, anew.outcome) and np.array_equal(cut.truth, anew.truth)


def plain_froc(detections: Detections, truths: Truths) -> list[tuple[float, float]]:
    """Raise the threshold through all confidences and count marks anew each time; the class is not asked."""
    counted = [j for j in range(len(truths)) if not truths.difficult[j]]
    points = [(0.0, 0.0)]
    for threshold in sorted(set(detections.confidence.tolist()), reverse=True):
        found, false = set(), 0
        for i in np.flatnonzero(detections.confidence >= threshold):
            there = np.flatnonzero(truths.image == detections.image[i]).tolist()
            overlaps = [plain_iou(detections.box[i].tolist(), truths.box[j].tolist()) for j in there]
            if max(overlaps, default=0) < 0.5:
                false += 1
            elif (best := there[overlaps.index(max(overlaps))]) in counted:
                found.add(best)
        points.append((false / truths.n_images, len(found) / len(counted)))
    return points


def on_straight_lines(points, f):
    """Read a curve as the challenges do: at a point its highest value, between two on their line, level beyond."""
    here = [s for x, s in points if x == f]
    if here:
        return max(here)
    (x1, y1), right = max((x, s) for x, s in points if x < f), [(x, s) for x, s in points if x > f]
    if not right:
        return y1
    x2, y2 = min(right)
    return y1 + (y2 - y1) * (f - x1) / (x2 - x1)


def test_froc_agrees_with_counting_and_is_read_in_one_way(cases):
    for detections, truths in cases[:1000]:
        if truths.difficult.all():
            with pytest.raises(ValueError, match="no lesion to find"):
                d.froc(detections, truths)
            continue
        curve, matches = d.froc(detections, truths), d.match_any_class(detections, truths)
        points = plain_froc(detections, truths)
        assert np.allclose(np.c_[curve.false_positives, curve.sensitivity], points, rtol=0, atol=1e-12)
        for f in (0, 0.3, 0.5, 2, 100):
            assert curve.at(f) == pytest.approx(on_straight_lines(points, f))
            assert curve.at(f) == d.sensitivity_at(matches, [f])[0] == curve.score((f,))


def test_froc_is_not_read_outside_its_numbers():
    """Trimmed matches lack the false marks after a class's last true one, also those as confident as it is."""
    truths = Truths([0, 1], [1, 1], [[0, 0, 10, 10]] * 2, 2)
    marks = Detections([0, 0, 1], [1, 1, 1], [0.9, 0.5, 0.5], [[0, 0, 10, 10], [50, 0, 60, 10], [0, 0, 10, 10]])
    curve, matches = d.froc(marks, truths), d.match(marks, truths)
    for bad in (-0.1, float("nan"), ()):
        for read in (curve.at, lambda f: d.sensitivity_at(matches, f), lambda f: curve.score(np.atleast_1d(f))):
            with pytest.raises(ValueError, match="false_positives: must be numbers from 0"):
                read(bad)
    for weights in ([[1, -1]], [[0.5, 1.0]], [[np.nan, 1.0]], [[1, 1, 1]], [1, 1]):
        with pytest.raises(ValueError, match="weights"):
            d.sensitivity_at(matches, [1], weights)
    with pytest.raises(ValueError, match="they were trimmed"):
        d.sensitivity_at(matches.trimmed(), [1])


def test_froc_by_hand():
    """Four images, two lesions; marks: false, found, a repeat, false, false, found. The second was called benign."""
    truths = Truths([0, 1], [1, 2], [[0, 0, 10, 10]] * 2, 4)
    box = [[50, 0, 60, 10], [0, 0, 10, 10], [0, 0, 10, 9], [50, 0, 60, 10], [50, 0, 60, 10], [1, 0, 11, 10]]
    detections = Detections([2, 0, 0, 3, 3, 1], [1, 1, 2, 1, 1, 1], [0.9, 0.8, 0.7, 0.6, 0.5, 0.4], box)
    curve = d.froc(detections, truths)
    assert curve.false_positives.tolist() == [0, 0.25, 0.25, 0.25, 0.5, 0.75, 0.75]
    assert curve.sensitivity.tolist() == [0, 0, 0.5, 0.5, 0.5, 0.5, 1]
    assert curve.score((0.25, 0.5, 8)) == pytest.approx((0.5 + 0.5 + 1) / 3)
    assert d.sensitivity_at(d.match(detections, truths), [8]) == 0.5


BOX = [[0, 0, 1, 1]]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: d.match(Detections([0], [3], [0.5], BOX), TRUTHS), "s.label, row 0: 3, but there are 2 classes"),
        (lambda: d.match(Detections([4], [1], [0.5], BOX), TRUTHS), "s.image, row 0: 4, but there are 2 images"),
        (lambda: d.match(Detections(), TRUTHS, iou=0), r"iou: thresholds must lie in \(0, 1\] and rise, got 0"),
        (lambda: d.match(Detections(), TRUTHS, iou=float("nan")), "iou: thresholds must lie in"),
        (lambda: d.match(Detections(), TRUTHS, iou=(0.7, 0.5)), "iou: .* and rise, got 0.7, 0.5"),
        (lambda: d.match(Detections(), TRUTHS, rule="kitti"), "rule: 'kitti' is not one of voc, coco"),
        (lambda: d.match(Detections(), TRUTHS, limit=0), "limit: must be at least 1"),
        (lambda: d.match(RELATIVE, TRUTHS), r"detections.box, row 1: \[0.1, 0.2, 0.3, 0.4\] is relative"),
        (lambda: d.froc(RELATIVE, TRUTHS), "detections.box, row 1: .* is relative"),
        (lambda: d.average_precision(Detections(), TRUTHS, "voc"), "definition: 'voc' is not one of paper"),
        (lambda: d.average_precision(Detections()), "truths: needed to judge detections"),
        (lambda: d.average_precision(d.match(Detections(), TRUTHS), TRUTHS), "truths: matches have been judged"),
        (lambda: d.average_precision(Detections(), TRUTHS, weights=[1]), r"weights: expected shape \(..., 2\)"),
        (lambda: d.average_precision(Detections(), TRUTHS, weights=[0.5, 1]), "weights: expected whole numbers"),
        (lambda: d.average_precision(Detections(), TRUTHS, weights=[-1, 1]), "weights: expected whole numbers"),
        (lambda: d.precision_recall(d.match(Detections(), TRUTHS), 2), r"class 2 \(malignant\) has no truths"),
        (lambda: d.precision_recall(d.match(Detections(), TRUTHS), 3), "label: 3 is not one of 1 to 2"),
        (lambda: d.sensitivity_at(d.match(Detections(), TRUTHS, (0.5, 0.6)), [1]), "needs one threshold, these have 2"),
        (lambda: Detections([0], [1], [1.5], BOX), r"detections.confidence, row 0: 1.5 is not in \[0, 1\]"),
        (lambda: Detections([0], [1], [0.5], [[5, 0, 1, 1]]), r"detections.box, row 0: \[5.0, 0.0, 1.0, 1.0\] must be"),
        (lambda: Detections([0], [1], [0.5], [[0, 0, np.inf, 1]]), "detections.box, row 0: .* not finite"),
        (lambda: Detections([0, 0], [1], [0.5, 0.5], [BOX[0], BOX[0]]), "detections.label: expected 2 integers"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(ValueError, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)


TRUTHS = Truths([0], [1], [[0, 0, 10, 10]], 2)
RELATIVE = Detections([0, 0], [1, 1], [0.5, 0.4], [[0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4]])


def test_boxes_in_another_unit_are_refused_however_a_network_answers():
    rng = np.random.default_rng(0)
    box = np.sort(rng.uniform(0, 256, (40, 2, 2)), axis=1).reshape(40, 4) + [0, 0, 5, 5]
    truths = Truths(np.arange(40), np.ones(40, int), box, 40)
    relative = box / 256
    relative[3, 0], relative[4, 2] = -0.004, 1.003  # an SSD does not clip
    marks = Detections(np.arange(40), np.ones(40, int), np.full(40, 0.5), relative)
    with pytest.raises(ValueError, match=r"detections.box, row 0: .* is relative, but truths.box, row 0"):
        d.match(marks, truths)
    thin = np.vstack([box, [[10, 10, 10.4, 40]]])
    marks = Detections(np.arange(41) % 40, np.ones(41, int), np.full(41, 0.5), thin)
    with pytest.raises(ValueError, match=r"truths.box, row 0: .* is relative"):
        d.match(marks, Truths(np.arange(40), np.ones(40, int), box / 256, 40))
    corner = Truths([0, 1], [1, 1], [[0, 0, 0.6, 0.8], [50, 60, 90, 99]], 2)
    assert d.match(Detections([0], [1], [0.9], [[0, 0, 0.5, 0.75]]), corner).outcome.tolist() == [[1]]


def test_ids_may_be_sparse():
    far = 900_100_581_904
    truths = Truths([3, far], [1, 1], [[0, 0, 10, 10]] * 2, far + 1)
    marks = Detections([3, far], [1, 1], [0.9, 0.8], [[0, 0, 10, 10]] * 2)
    assert d.mean_average_precision(marks, truths).value == 1.0
    with pytest.raises(ValueError, match="row 1: 18446744073709551615 is not in the range"):
        Detections(np.array([0, 2**64 - 1], np.uint64), [1, 1], [0.9, 0.8], [[0, 0, 10, 10]] * 2)
