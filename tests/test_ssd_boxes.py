"""The default boxes: counts, order, sizes, places."""

import dataclasses

import numpy as np
import pytest

from mammolib.ssd.boxes import SSD256, SSD300, SSD512, default_boxes, map_of_box


@pytest.mark.parametrize(("layout", "n"), [(SSD256, 6132), (SSD300, 8732), (SSD512, 24564)])
def test_there_are_as_many_boxes_as_the_networks_predict(layout, n):
    assert layout.n_boxes == n and default_boxes(layout).shape == (n, 4)
    assert np.bincount(map_of_box(layout)).tolist() == list(layout.counts)


def test_a_loop_over_maps_rows_columns_and_shapes_gives_the_same_boxes_in_the_same_order():
    scales = [0.1, 0.2, 0.37, 0.54, 0.71, 0.88, 1.05]
    expected = []
    for k, (cells, six) in enumerate(zip([32, 16, 8, 4, 2, 1], [0, 1, 1, 1, 0, 0], strict=True)):
        for row in range(cells):
            for column in range(cells):
                x, y = (column + 0.5) / cells, (row + 0.5) / cells
                s, extra = scales[k], (scales[k] * scales[k + 1]) ** 0.5
                expected += [(x, y, s, s), (x, y, extra, extra)]
                for ratio in (2, 1 / 2, 3, 1 / 3) if six else (2, 1 / 2):
                    expected.append((x, y, s * ratio**0.5, s / ratio**0.5))
    np.testing.assert_allclose(default_boxes(), expected, atol=1e-15)
    with pytest.raises(ValueError, match="read-only"):
        default_boxes()[0] = 0


def test_ssd300_keeps_its_steps_which_do_not_divide_the_input():
    boxes = default_boxes(SSD300)
    assert boxes[0, 0] == pytest.approx(4 / 300)
    assert boxes[37 * 4, 0] == pytest.approx(37.5 * 8 / 300)  # column 37 of the first row lies past the border
    assert boxes[-1].tolist() == pytest.approx([0.5, 0.5, 0.88 / 2**0.5, 0.88 * 2**0.5])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"scales": (0.1, 0.2)}, "6 maps need 7 scales"),
        ({"scales": (0.1, 0.2, 0.37, 0.0, 0.71, 0.88, 1.05)}, "layout.scales: must be positive"),
        ({"steps": (8, 16, 32, 64, 128, float("nan"))}, "layout.steps: must be positive"),
        ({"ratios": ((2.0,),) * 6}, "layout.ratios: must be positive and begin with 1"),
    ],
)
def test_a_layout_that_cannot_be_says_why(change, says):
    with pytest.raises(ValueError, match=says):
        dataclasses.replace(SSD256, **change)
