"""Matching and encoding, held against a plain reading of the definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mammolib.geometry import Truths, circle_to_box, cxcywh_to_xyxy, iou, xyxy_to_cxcywh
from mammolib.patches import Crops
from mammolib.ssd.boxes import SIX, SSD256, SSD300, Layout, default_boxes
from mammolib.ssd.targets import VARIANCES, assign, decode, encode, make_targets, samples


def plain_match(overlap, threshold=0.5):
    """The definition, pair by pair."""
    overlap, matched = np.array(overlap, float), [-1] * overlap.shape[1]
    free_truths, free_boxes = set(range(len(overlap))), set(range(overlap.shape[1]))
    while free_truths and free_boxes:
        pairs = [(-overlap[t, b], t, b) for t in free_truths for b in free_boxes]
        value, t, b = min(pairs)
        if value == 0:
            break
        matched[b] = t
        free_truths.remove(t)
        free_boxes.remove(b)
    for b in free_boxes:
        value, t = min((-overlap[t, b], t) for t in range(len(overlap))) if len(overlap) else (0, -1)
        if -value >= threshold:
            matched[b] = t
    return matched


def plain_targets(truths, size, layout, threshold):
    default = default_boxes(layout)
    expected = np.zeros((truths.n_images, len(default), 5))
    for image in range(truths.n_images):
        rows = np.flatnonzero(truths.image == image)
        overlap = iou(truths.box[rows] / size, cxcywh_to_xyxy(default))
        for at, found in enumerate(plain_match(overlap, threshold)):
            if found >= 0:
                offsets = encode(xyxy_to_cxcywh(truths.box[rows[found]] / size), default[at])
                expected[image, at] = [truths.label[rows[found]], *offsets]
    return expected


def random_truths(rng, n_images, most=5):
    """Lesions of 3 to 197 pixels on images of 256: some images without one, some with several and nearly the same."""
    counts = rng.integers(0, most + 1, n_images)
    image = np.repeat(np.arange(n_images), counts)
    centre, radius = rng.uniform(0, 256, (len(image), 2)), np.exp(rng.uniform(np.log(3), np.log(197), len(image)))
    twin = rng.random(len(image)) < 0.3
    centre[1:][twin[1:]], radius[1:][twin[1:]] = centre[:-1][twin[1:]] + 2, radius[:-1][twin[1:]]
    order = rng.permutation(len(image))
    label = rng.integers(1, 3, len(image))
    return Truths(image[order], label[order], circle_to_box(*centre[order].T, radius[order]), n_images)


values = st.sampled_from([0, 0.1, 0.3, 0.5, 0.5, 0.7, 0.9, 1])


@given(arrays.arrays(float, st.tuples(st.integers(0, 4), st.integers(1, 6)), elements=values))
@settings(max_examples=1000, deadline=None)
def test_matching_follows_the_definition_ties_included(overlap):
    assert assign(overlap).tolist() == plain_match(overlap)


def test_targets_of_ssd256_are_a_loop_over_images_and_pairs():
    truths = random_truths(np.random.default_rng(0), 8)
    counts = np.bincount(truths.image, minlength=8)
    assert counts.min() == 0 and counts.max() > 3
    got = make_targets(truths, dtype=np.float64)
    np.testing.assert_array_equal(got, plain_targets(truths, 256, SSD256, 0.5))


def test_targets_are_a_loop_on_a_thousand_fuzzed_batches():
    """A layout of 30 boxes, 0 to 4 images with 0 to 5 lesions, half of the boxes on whole pixels."""
    rng, tiny = np.random.default_rng(3), Layout(64, (2, 1), (0.3, 0.6, 0.9), (SIX, SIX), (32, 64))
    seen = {"no image": 0, "no truth": 0, "several": 0}
    for number in range(1000):
        truths, threshold = random_truths(rng, rng.integers(0, 5), rng.integers(0, 6)), rng.choice([0.3, 0.5, 0.7])
        box = truths.box / 4
        box = box if number % 2 else np.concatenate([np.floor(box[:, :2]), np.ceil(box[:, 2:])], axis=1)
        truths = Truths(truths.image, truths.label, box, truths.n_images)
        got = make_targets(truths, 64, tiny, threshold, np.float64)
        np.testing.assert_array_equal(got, plain_targets(truths, 64, tiny, threshold), err_msg=f"batch {number}")
        kind = "no image" if not truths.n_images else "no truth" if not len(truths) else "several"
        seen[kind] += kind != "several" or np.bincount(truths.image).max() > 1
    assert min(seen.values()) >= 50, seen


def test_every_truth_has_a_default_box_even_the_smallest():
    truths = Truths(np.arange(3), np.ones(3, int), circle_to_box([128, 3, 250], [128, 3, 60], [3, 3, 3.5]), 3)
    assert (make_targets(truths)[..., 0] > 0).sum(axis=1).tolist() == [1, 1, 1]
    assert make_targets(Truths([], [], [], 3), layout=SSD300, size=300).shape == (3, 8732, 5)


def test_decoding_undoes_encoding_on_100_000_boxes():
    assert encode([0.52, 0.5, 0.2, 0.4], [0.5, 0.5, 0.2, 0.2]).tolist() == pytest.approx([1, 0, 0, np.log(2) / 0.2])
    rng = np.random.default_rng(1)
    n = 100_000
    box = np.concatenate([rng.uniform(-0.5, 1.5, (n, 2)), np.exp(rng.uniform(np.log(1e-3), np.log(3), (n, 2)))], axis=1)
    default = default_boxes()[rng.integers(0, 6132, n)]
    np.testing.assert_allclose(decode(encode(box, default), default), box, atol=1e-5)
    np.testing.assert_allclose(decode(encode(box, default).astype(np.float32), default), box, atol=1e-5)


def test_targets_decode_to_the_truths_in_half_precision_within_a_tenth_of_a_pixel():
    truths = random_truths(np.random.default_rng(2), 40, most=1)
    y = make_targets(truths, dtype=np.float16)
    image, at = np.nonzero(y[..., 0])
    box = cxcywh_to_xyxy(decode(y[image, at, 1:], default_boxes()[at])) * 256
    lesion = np.searchsorted(np.sort(truths.image), image)
    error = np.abs(box - truths.box[np.argsort(truths.image)][lesion])
    assert error.max() < 0.1


@pytest.mark.slow
def test_keras_encodes_and_decodes_the_same_offsets():
    kb = pytest.importorskip("keras").utils.bounding_boxes
    rng, default = np.random.default_rng(0), default_boxes()
    box = np.concatenate([rng.uniform(0, 1, (6132, 2)), rng.uniform(0.01, 1, (6132, 2))], axis=1)
    named, offsets = {"anchor_format": "center_xywh", "variance": VARIANCES}, encode(box, default)
    single, box32 = default.astype("float32"), box.astype("float32")
    theirs = kb.encode_box_to_deltas(single, box32, box_format="center_xywh", encoding_format="center_xywh", **named)
    np.testing.assert_allclose(theirs, offsets, rtol=1e-4, atol=1e-4)
    offsets = offsets.astype("float32")
    back = kb.decode_deltas_to_boxes(single, offsets, box_format="xyxy", encoded_format="center_xywh", **named)
    np.testing.assert_allclose(back, cxcywh_to_xyxy(box), atol=1e-4)


@pytest.mark.parametrize(
    ("box", "says"),
    [
        ([5, 5, 5, 9], "row 1: a box must have an area, this one is 0 wide and 4 high"),
        ([300, 300, 400, 400], r"row 1 \(image 4\): .*lies outside its image"),
        ([0.2, 0.2, 0.6, 0.6], r"row 1 \(image 4\): .*looks relative"),
        ([-9, 0, 0, 9], r"row 1 \(image 4\): .*outside"),
    ],
)
def test_boxes_beside_the_picture_or_in_another_unit_are_refused(box, says):
    with pytest.raises(ValueError, match=f"truths.box, {says}"):
        make_targets(Truths([0, 4], [1, 1], [[10, 10, 50, 50], box], 5))
    with pytest.raises(ValueError, match="cxcywh, row 0: a box must have an area"):
        encode([0.5, 0.5, -0.1, 0.1], [0.5, 0.5, 0.1, 0.1])
    with pytest.raises(ValueError, match=r"overlap: expected \(truths, default boxes\), got shape \(4,\)"):
        assign([0.0] * 4)


def test_the_mirrored_targets_are_those_of_the_mirrored_image():
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 200, (8, 2))
    box = np.concatenate([corner, corner + rng.uniform(20, 50, (8, 2))], axis=1)
    truths, images = Truths(np.arange(8), [1, 2] * 4, box, 8), rng.integers(0, 256, (8, 256, 256), np.uint8)
    crops = Crops(images, truths, np.array(["mdb001"] * 8), np.arange(8), np.arange(8), np.zeros(8, int))
    made = samples(crops, np.arange(8), flip=True)
    x1, y1, x2, y2 = box.T
    mirrored = Truths(np.arange(8), truths.label, np.stack([256 - x2, y1, 256 - x1, y2], axis=1), 8)
    np.testing.assert_array_equal(made.mirrored, make_targets(mirrored, dtype=np.float16))
    assert samples(crops, [0, 3]).mirrored is None and len(samples(crops, [0, 3]).images) == 2
