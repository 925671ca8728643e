"""Decoding and non-maximum suppression, held against a plain loop."""

import numpy as np
import pytest

from mammolib.geometry import Detections, Truths, circle_to_box, cxcywh_to_xyxy, iou
from mammolib.ssd.boxes import FOUR, Layout, default_boxes
from mammolib.ssd.decode import best_is_right, decode_predictions, suppress
from mammolib.ssd.targets import decode, make_targets

TINY = Layout(size=64, maps=(2, 1), scales=(0.3, 0.6, 0.9), ratios=(FOUR, FOUR), steps=(32, 64))


def plain(predictions, size, layout, confidence, limit, top, top_before):
    """The definition, box by box."""
    logits = np.moveaxis(predictions[..., :-4], -1, 0)
    power = np.exp(logits - logits.max(axis=0))
    probability = power / power.sum(axis=0)
    rows = []
    for image in range(len(predictions)):
        box = cxcywh_to_xyxy(decode(predictions[image, :, -4:], default_boxes(layout))) * size
        found = []
        for label in range(1, len(probability)):
            score = probability[label, image]
            queue = sorted((i for i in range(len(score)) if score[i] > confidence), key=lambda i: (-score[i], i))
            kept = []
            for i in queue[:top_before]:
                if all(iou(box[i : i + 1], box[j : j + 1])[0, 0] <= limit for j in kept):
                    kept.append(i)
            found += [(-score[i], label, i) for i in kept]
        rows += [(image, label, -score, *box[i]) for score, label, i in sorted(found)[:top]]
    return np.array(rows, float).reshape(-1, 7)


def as_rows(d):
    return np.column_stack([d.image, d.label, d.confidence, d.box]).reshape(-1, 7)


def test_decoding_is_a_loop_on_a_thousand_fuzzed_batches():
    rng = np.random.default_rng(0)
    for number in range(1000):
        images, classes = rng.integers(0, 4), rng.integers(1, 4)
        p = rng.normal(0, (0.5, 3)[number % 2], (images, TINY.n_boxes, classes + 5)).astype("float32")
        p[..., 0] += rng.choice([-3, 0, 4, 30])  # how sure of the background
        if number % 3 == 0:
            p = np.round(p)  # equal confidences, equal boxes
        if number % 7 == 0:
            p[..., -4:] = 0
        options = {
            "confidence": float(rng.choice([0.01, 0.2, 0.6])),
            "top": int(rng.choice([1, 5, 200])),
            "top_before": [None, 3, 400][rng.integers(3)],
        }
        limit = float(rng.choice([0, 0.1, 0.45, 0.9]))
        expected = plain(p, 64, TINY, limit=limit, **options)
        got = as_rows(decode_predictions(p, 64, TINY, iou=limit, **options))
        np.testing.assert_allclose(got, expected, atol=1e-9)


def test_suppression_of_many_boxes_is_a_loop_whatever_their_number():
    rng = np.random.default_rng(1)
    for n in (0, 1, 2, 63, 64, 65, 300, 900):
        for spread in (0.5, 10, 100):
            corner = rng.uniform(0, spread, (n, 2))
            box = np.concatenate([corner, corner + rng.uniform(0, 30, (n, 2))], axis=1).round(rng.integers(0, 3))
            overlap, kept = iou(box, box), []
            for i in range(n):
                if not (overlap[i, kept] > 0.45).any():
                    kept.append(i)
            assert suppress(box).tolist() == kept
            assert suppress(box, top=7).tolist() == kept[:7]


def test_an_overlap_of_exactly_the_limit_is_kept():
    nine_twentieths = [[0, 0, 20, 1], [11, 0, 20, 1]]
    assert iou(nine_twentieths[:1], nine_twentieths[1:])[0, 0] == 0.45
    assert suppress(nine_twentieths).tolist() == [0, 1]
    assert suppress(nine_twentieths, iou=0.4499).tolist() == [0]
    assert suppress([[5, 5, 5, 5]] * 3).tolist() == [0, 1, 2]  # no area, no overlap


def test_targets_turned_into_a_prediction_give_the_lesions_back():
    truths = Truths([0, 0, 2], [1, 2, 2], circle_to_box([60, 180, 128], [70, 190, 128], [20, 40, 50]), 3)
    y = make_targets(truths)
    p = np.zeros((3, 6132, 7), "float32")
    p[..., :3] = 20 * (y[..., :1] == np.arange(3))
    p[..., 3:] = y[..., 1:]
    found = decode_predictions(p, confidence=0.5)
    assert found.image.tolist() == [0, 0, 2]
    assert found.label.tolist() == [1, 2, 2]
    np.testing.assert_allclose(found.box, truths.box, atol=1e-4)


def test_the_best_detection_is_right_in_class_place_and_confidence():
    box = [0, 0, 10, 10]
    truths = Truths(np.arange(7), [1] * 7, [box] * 7, 7)
    found = {
        0: [(1, 0.9, box)],
        1: [(1, 0.6, box), (2, 0.7, box)],  # a more confident answer of the other class
        2: [(1, 0.6, [0, 0, 5, 10]), (1, 0.3, box)],  # IoU of exactly a half
        3: [(1, 0.9, [0, 0, 4.9, 10]), (1, 0.8, box)],  # the best is beside it
        4: [(1, 0.49, box)],
        6: [(1, 0.8, box), (2, 0.8, box)],  # equal: the first
    }
    rows = [(image, *row) for image in (6, 0, 4, 3, 2, 1) for row in found[image]]
    detections = Detections(*(np.array([r[k] for r in rows]) for k in range(4)))
    assert best_is_right(detections, truths).tolist() == [True, False, True, False, False, False, True]
    assert not best_is_right(Detections(), truths).any()
    assert best_is_right(detections, Truths([], [], [], 7)).shape == (0,)


def test_a_diverged_network_is_named_and_a_wild_one_stays_finite():
    p = np.zeros((2, 6132, 7), "float32")
    p[..., 3:] = 1e6
    assert np.isfinite(decode_predictions(p).box).all()
    many = np.random.default_rng(2).normal(size=p.shape).astype("float32")
    assert np.bincount(decode_predictions(many).image).tolist() == [200, 200]
    p[1, 17, 2] = np.nan
    with pytest.raises(ValueError, match="predictions, image 1, default box 17: .* is not finite"):
        decode_predictions(p)
    for shape in ((6132, 7), (1, 100, 7), (1, 6132, 5)):
        with pytest.raises(ValueError, match="predictions: expected"):
            decode_predictions(np.zeros(shape))
