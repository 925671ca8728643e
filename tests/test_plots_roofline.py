"""The figure of a roof: it bends at the ridge, each kind has its marker, and the chosen ones their names."""

from __future__ import annotations

import numpy as np
import pytest

from mammolib.analysis.roofline import Machine, Work
from mammolib.plots import roofline as plots

MACHINE = Machine("m", 100e9, 10e9)
WORKS = [
    Work("conv1_2", "plain", 1e12, 5e9, 12.0),
    Work("conv1_2", "separable", 1e11, 1e10, 2.0),
    Work("fc7", "plain", 1e12, 1e10, 15.0),
]


def test_the_roof_and_the_works_under_it():
    (ax,) = plots.roofline(MACHINE, WORKS).axes
    roof, plain, separable = ax.get_lines()
    x, y = roof.get_xydata().T
    np.testing.assert_allclose(y, [10e9 * x[0], 100e9, 100e9])
    assert x[1] == MACHINE.ridge == 10
    np.testing.assert_allclose(plain.get_xydata(), [[200, 1e12 / 12], [100, 1e12 / 15]])
    assert (plain.get_label(), separable.get_label()) == ("plain", "separable")
    assert plain.get_marker() != separable.get_marker()
    assert ax.get_xscale() == ax.get_yscale() == "log"
    texts = [t.get_text() for t in ax.texts]
    assert texts == ["100 GFLOP/s", "10 GB/s", "conv1_2"], "only separable works are labelled"


def test_every_work_can_be_labelled_and_the_figure_drawn():
    fig = plots.roofline(MACHINE, WORKS, label="all")
    assert [t.get_text() for t in fig.axes[0].texts][2:] == ["conv1_2", "fc7", "conv1_2"]
    fig.canvas.draw()
    large = plots.roofline(Machine("card", 8.9e12, 320e9), WORKS)
    assert large.axes[0].texts[0].get_text() == "8.9 TFLOP/s"


def test_nothing_to_draw_is_an_error():
    with pytest.raises(ValueError, match="holds no works"):
        plots.roofline(MACHINE, [])
