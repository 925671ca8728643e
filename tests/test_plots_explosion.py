"""The figures of an explosion: runs that end early, layers without a number, and no run at all."""

from __future__ import annotations

import numpy as np
import pytest

from mammolib.plots import explosion as plots

CALM = ({"update": {"update": [1, 2, 3, 4], "loss": [30.0, 20.0, 12.0, 9.0]}}, "finished")
BURST = ({"update": {"update": [1, 2, 3], "loss": [30.0, 2e11, None]}}, "diverged at update 3")


def test_a_run_that_diverged_ends_in_a_cross_at_the_top_of_the_axis():
    fig = plots.ladder({"as stated": BURST, "clip 1": CALM}, behind={"clip 1": BURST[0]}, level=14)
    first, second = fig.axes[:2]
    assert first.get_lines()[1].get_marker() == "X"
    np.testing.assert_array_equal(first.get_lines()[1].get_xydata(), [[2, 1e6]])
    assert [t.get_text() for t in first.texts] == ["diverged\nat update 3"] and not second.texts
    np.testing.assert_array_equal(second.get_lines()[0].get_xydata(), [[1, 30], [2, 1e6]])
    np.testing.assert_array_equal(second.get_lines()[1].get_ydata(), [30, 20, 12, 9])
    assert first.get_yscale() == "log"
    fig.canvas.draw()


def test_each_run_may_have_a_twin_behind_it_and_long_runs_an_axis_of_their_own():
    longer = ({"update": {"update": [1, 5, 9], "loss": [30.0, 20.0, 12.0]}}, "finished")
    fig = plots.ladder({"clip 1": BURST, "start": CALM}, behind={"clip 1": CALM[0]})
    assert [len(ax.get_lines()) for ax in fig.axes[:2]] == [3, 1]
    np.testing.assert_array_equal(fig.axes[0].get_lines()[0].get_ydata(), [30, 20, 12, 9])
    assert fig.axes[0].get_xlim() == fig.axes[1].get_xlim()
    fig = plots.ladder({"clip 1": CALM, "start": longer, "nothing": BURST})
    ends = [ax.get_xlim()[1] for ax in fig.axes]
    assert ends[0] < 5 < ends[1] and ends[2] >= 4


def test_panels_without_a_run_are_empty_and_no_run_is_said():
    fig = plots.ladder({str(i): CALM for i in range(5)})
    assert [ax.axison for ax in fig.axes] == [True] * 5 + [False]
    nothing = plots.ladder({})
    assert nothing.axes[0].texts[0].get_text() == "no run has been recorded yet"
    nothing.canvas.draw()


def test_first_steps_keep_the_layers_order():
    fig = plots.first_steps({"B": {"conv1": 2.0, "head": 0.1}, "B, clipped": {"head": 1e-11, "conv1": 1e-2}})
    (ax,) = fig.axes
    assert [t.get_text() for t in ax.get_yticklabels()] == ["conv1", "head"]
    np.testing.assert_array_equal(ax.get_lines()[1].get_xydata(), [[1e-2, 0], [1e-6, 1]])
    fig.canvas.draw()


def test_shares_above_zero_stand_in_the_layers_rows():
    runs = {"alive": {"conv1": 0.5, "head": 0.4}, "dead": {"head": 0.0, "conv1": 0.1}}
    fig = plots.above_zero({"narrow": runs, "wide": runs})
    ax = fig.axes[1]
    assert [panel.get_title() for panel in fig.axes] == ["narrow", "wide"]
    np.testing.assert_array_equal(ax.get_lines()[1].get_xydata(), [[0.1, 0], [0.0, 1]])
    assert ax.get_ylim()[0] > ax.get_ylim()[1] and "above zero" in ax.get_xlabel()
    fig.canvas.draw()


def test_growth_counts_from_a_start_that_is_not_idle():
    fig = plots.growth_by_layer({"a": [1.0, 100.0, None], "idle": [1e-9, 1e-3, np.inf]})
    powers = fig.axes[0].get_images()[0].get_array()
    np.testing.assert_allclose(powers[:, :2].filled(np.nan), [[0, 2], [-6, 0]])
    assert powers.mask[:, 2].all()
    fig.canvas.draw()
    with pytest.raises(ValueError, match="there is none"):
        plots.growth_by_layer({})
