"""Geometry: the group axioms, boxes that follow pixels, IoU against counting pixels, and what the errors name."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammolib import geometry as g
from mammolib.geometry import DIHEDRAL, Detections, Symmetry, Truths

elements = st.sampled_from(DIHEDRAL)
sides = st.integers(1, 12)


@st.composite
def pixel_boxes(draw: st.DrawFn, width: int = 12, height: int = 12) -> list[int]:
    """A box on whole pixels with an area, inside an image of this size."""
    x1, y1 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    return [x1, y1, draw(st.integers(x1 + 1, width)), draw(st.integers(y1 + 1, height))]


@st.composite
def image_and_box(draw: st.DrawFn) -> tuple[np.ndarray, list[int]]:
    """An image, seldom square, that is 1 inside a box and 0 outside."""
    height, width = draw(sides), draw(sides)
    x1, y1, x2, y2 = draw(pixel_boxes(width, height))
    image = np.zeros((height, width), np.uint8)
    image[y1:y2, x1:x2] = 1
    return image, [x1, y1, x2, y2]


def box_of(image: np.ndarray) -> list[int]:
    """The smallest box around the pixels that are 1."""
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


# --- The dihedral group -----------------------------------------------------------------------------------------------
def test_eight_elements_are_a_group_that_does_not_commute():
    identity = Symmetry.of()
    assert len(set(DIHEDRAL)) == 8
    for a, b, c in itertools.product(DIHEDRAL, repeat=3):
        assert a @ b in DIHEDRAL and (a @ b) @ c == a @ (b @ c)
        assert (a @ b).inverse() == b.inverse() @ a.inverse()
        assert a @ identity == identity @ a == a
        assert a @ a.inverse() == a.inverse() @ a == identity
    turn, flip = Symmetry.of(1), Symmetry.of(0, flip=True)
    assert turn @ flip != flip @ turn and turn @ flip == flip @ turn.inverse()


def test_the_order_is_the_papers_turns_then_the_same_turns_flipped():
    image = np.arange(12).reshape(3, 4)
    for turns in range(4):
        np.testing.assert_array_equal(DIHEDRAL[turns].image(image), np.rot90(image, turns))
        np.testing.assert_array_equal(DIHEDRAL[4 + turns].image(image), np.flipud(np.rot90(image, turns)))


@given(elements, elements, sides, sides)
def test_acting_twice_is_acting_by_the_product_and_copies_nothing(
    first: Symmetry, then: Symmetry, height: int, width: int
):
    image = np.arange(height * width * 2).reshape(height, width, 2)
    np.testing.assert_array_equal(then.image(first.image(image)), (then @ first).image(image))
    np.testing.assert_array_equal(first.inverse().image(first.image(image)), image)
    assert np.shares_memory(first.image(image), image)


@given(elements, image_and_box())
def test_boxes_follow_pixels(element: Symmetry, both: tuple[np.ndarray, list[int]]):
    image, box = both
    height, width = image.shape
    moved = element.boxes(box, width, height)
    np.testing.assert_array_equal(moved, box_of(element.image(image)))
    new_height, new_width = element.image(image).shape
    np.testing.assert_array_equal(element.inverse().boxes(moved, new_width, new_height), box)


# --- Boxes ------------------------------------------------------------------------------------------------------------
@given(pixel_boxes(), pixel_boxes())
def test_iou_counts_pixels(a: list[int], b: list[int]):
    one, two = np.zeros((2, 12, 12), bool)
    one[a[1] : a[3], a[0] : a[2]] = True
    two[b[1] : b[3], b[0] : b[2]] = True
    expected = (one & two).sum() / (one | two).sum()
    assert g.iou([a], [b])[0, 0] == pytest.approx(expected, abs=1e-15)
    assert g.paired_iou(a, b) == g.iou([b], [a])[0, 0]


def test_iou_of_a_box_with_itself_is_one_and_of_a_point_is_zero():
    assert g.iou([[3, 4, 23, 24]], [[3, 4, 23, 24]])[0, 0] == 1
    assert g.iou([[3, 4, 3, 4]], [[3, 4, 3, 4], [0, 0, 9, 9]]).tolist() == [[0, 0]]
    assert g.iou([[0, 0, 1, 1]], [[1, 0, 2, 1]])[0, 0] == 0  # they only touch
    assert g.iou([], [[0, 0, 1, 1]]).shape == (0, 1)


@given(st.lists(st.tuples(*[st.floats(-1e3, 1e3)] * 4), max_size=5))
def test_the_two_formats_are_inverse_to_each_other(boxes: list[tuple[float, ...]]):
    b = np.array(boxes).reshape(-1, 4)
    assert (g.xyxy_to_cxcywh([[10, 20, 30, 60]]) == [[20, 40, 20, 40]]).all()
    np.testing.assert_allclose(g.cxcywh_to_xyxy(g.xyxy_to_cxcywh(b)), b, atol=1e-9)
    np.testing.assert_allclose(g.xyxy_to_cxcywh(g.cxcywh_to_xyxy(b)), b, atol=1e-9)


def test_a_circle_becomes_the_square_around_it_and_clip_keeps_what_lies_in_the_image():
    np.testing.assert_array_equal(g.circle_to_box([10, 20], [30, 40], [5, 6]), [[25, 5, 35, 15], [34, 14, 46, 26]])
    with pytest.raises(ValueError, match="radius: must be positive, got 0"):
        g.circle_to_box(1, 1, [3, 0])
    clipped = g.clip([[-5, 10, 300, 90], [300, 0, 310, 5]], width=256, height=64)
    np.testing.assert_array_equal(clipped, [[0, 10, 256, 64], [256, 0, 256, 5]])


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[0, 0, 1, 1], [2, 0, 1, 1]], r"^b, row 1: \[2.0, 0.0, 1.0, 1.0\] must be left, top, right, bottom"),
        ([[0, 3, 1, 1]], r"^b, row 0: \[0.0, 3.0, 1.0, 1.0\] must be"),
        ([[0, 0, 1, np.nan]], r"^b, row 0: \[0.0, 0.0, 1.0, nan\] holds a value that is not finite$"),
        ([[0, 0, np.inf, 1]], "^b, row 0: .* not finite"),
        ([[0, 0, 1]], r"^b: boxes must have shape \(..., 4\), got \(1, 3\)"),
        (7, r"^b: boxes must have shape \(..., 4\), got \(\)"),
        ([["a", 0, 1, 1]], "^b: boxes must be numbers"),
        ([[0, 0, 1, 1], [0, 0]], "^b: boxes must be numbers"),
    ],
)
def test_bad_boxes_are_named(boxes: object, message: str):
    with pytest.raises(ValueError, match=message) as caught:
        g.iou([[0, 0, 1, 1]], boxes)
    assert "\n" not in str(caught.value)


# --- The layouts of truths and detections -----------------------------------------------------------------------------
BOXES = [[0, 0, 1, 1], [2, 2, 4, 4]]


TRUTHS = {"image": [0, 1], "label": [1, 2], "box": BOXES, "n_images": 3}
DETECTIONS = {"image": [0, 1], "label": [1, 2], "box": BOXES, "confidence": [0.9, 0.8]}


@pytest.mark.parametrize(
    ("good", "change", "message"),
    [
        (TRUTHS, {"image": [0, 3]}, r"^truths.image, row 1: 3 is not in the range 0 to 2$"),
        (TRUTHS, {"image": [-1, 0]}, r"^truths.image, row 0: -1 is not"),
        (TRUTHS, {"image": [0]}, r"^truths.image: expected 2 integers, got int64 of shape \(1,\)"),
        (TRUTHS, {"image": [0.0, 1.0]}, r"^truths.image: expected 2 integers, got float64"),
        (TRUTHS, {"label": [1, 0]}, r"^truths.label, row 1: 0 is not in the range 1 to 2$"),
        (TRUTHS, {"label": [1, 3]}, r"^truths.label, row 1: 3 is not"),
        (TRUTHS, {"difficult": [0, 1]}, r"^truths.difficult: expected 2 booleans, got int64"),
        (TRUTHS, {"difficult": [True]}, r"^truths.difficult: expected 2 booleans"),
        (TRUTHS, {"box": [[0, 0, 1, 1], [4, 2, 2, 4]]}, r"^truths.box, row 1: \[4.0, 2.0, 2.0, 4.0\] must be"),
        (TRUTHS, {"box": [0, 0, 1, 1]}, r"^truths.box: boxes must have shape \(N, 4\), got \(4,\)"),
        (DETECTIONS, {"image": [0, -1]}, r"^detections.image, row 1: -1 is not in the range 0 to"),
        (DETECTIONS, {"label": [0, 1]}, r"^detections.label, row 0: 0 is not in the range 1 to"),
        (DETECTIONS, {"confidence": [0.5, 1.5]}, r"^detections.confidence, row 1: 1.5 is not in \[0, 1\]"),
        (DETECTIONS, {"confidence": [np.nan, 0.5]}, r"^detections.confidence, row 0: nan is not"),
        (DETECTIONS, {"confidence": [0.5]}, r"^detections.confidence: expected 2 numbers, got shape \(1,\)"),
        (DETECTIONS, {"box": [[0, 0, 1, 1], [0, 0, np.inf, 1]]}, r"^detections.box, row 1: .* not finite"),
    ],
)
def test_bad_truths_and_detections_are_named(good: dict[str, object], change: dict[str, object], message: str):
    made = Truths if good is TRUTHS else Detections
    with pytest.raises(ValueError, match=message):
        made(**(good | change))


def test_nothing_is_legal():
    truths = Truths([], [], [], n_images=4)
    assert len(truths) == 0 and truths.box.shape == (0, 4) and truths.of_images([3, 1]).n_images == 2
    assert len(Detections()) == 0


@given(st.data())
@settings(max_examples=60)
def test_of_images_agrees_with_a_loop(data: st.DataObject):
    n_images = data.draw(st.integers(1, 6))
    image = data.draw(st.lists(st.integers(0, n_images - 1), max_size=10))
    n = len(image)
    box = [[i, 0, i + 1, 1] for i in range(n)]
    truths = Truths(image, [1 + i % 2 for i in range(n)], box, n_images, np.arange(n) % 3 == 0)
    order = data.draw(st.permutations(range(n_images)))
    chosen = order[: data.draw(st.integers(0, n_images))]
    rows = [(new, row) for new, old in enumerate(chosen) for row in range(n) if image[row] == old]
    some = truths.of_images(chosen)
    assert some.n_images == len(chosen)
    assert list(zip(some.image.tolist(), some.box[:, 0].tolist(), strict=True)) == rows
    assert some.label.tolist() == [1 + row % 2 for _, row in rows]
    assert some.difficult.tolist() == [row % 3 == 0 for _, row in rows]


def test_of_images_refuses_what_it_cannot_renumber():
    truths = Truths([0, 1], [1, 2], BOXES, 3)
    with pytest.raises(ValueError, match="an image is named twice"):
        truths.of_images([1, 1])
    with pytest.raises(ValueError, match="numbers must lie in 0 to 2, got 1 to 3"):
        truths.of_images([1, 3])
