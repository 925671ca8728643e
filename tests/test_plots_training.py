"""The figures of a training show what the history holds, nothing more, and survive a run that exploded."""

from __future__ import annotations

import numpy as np
import pytest

from mammolib.plots import training as plots

HISTORY = {
    "epoch": {
        "epoch": [1, 2, 3], "update": [10, 20, 30], "seconds": [1.0, 1.0, 1.0], "loss": [9.0, 6.0, 4.0],
        "localisation": [2.0, 1.0, 0.5], "confidence": [3.0, 2.0, 1.0], "l2": [4.0, 3.0, 2.5],
        "accuracy": [0.4, 0.6, 0.8], "learning_rate": [1.0, 1.0, 1.0],
        "val_loss": [9.5, None, 5.0], "val_localisation": [2.0, None, 1.0], "val_confidence": [3.5, None, 1.5],
        "val_l2": [4.0, None, 2.5], "val_accuracy": [0.3, None, 0.5],
    },
    "update": {
        "update": list(range(1, 31)), "loss": np.linspace(10, 4, 30).tolist(), "learning_rate": [1.0] * 30,
        "gradient_norm": [1.0] * 29 + [None], "gradient_norm/a": [0.6] * 30, "gradient_norm/b": [0.8] * 30,
    },
}  # fmt: skip


def _lines(ax):
    return {line.get_label(): line.get_xydata() for line in ax.get_lines()}


def test_losses_against_epochs_with_their_parts_and_the_papers_points():
    fig = plots.loss_curves(HISTORY, points=[(2, 5.07)])
    total, parts = fig.axes
    lines = _lines(total)
    np.testing.assert_array_equal(lines["training"], [[1, 9], [2, 6], [3, 4]])
    np.testing.assert_array_equal(lines["validation"], [[1, 9.5], [2, np.nan], [3, 5]])
    np.testing.assert_array_equal(lines["the paper, validation"], [[2, 5.07]])
    assert list(_lines(parts)) == ["localisation", "confidence", "L2"]
    np.testing.assert_array_equal(_lines(parts)["L2"][:, 1], [4, np.nan, 2.5])


def test_losses_against_updates_show_every_update():
    fig = plots.loss_curves(HISTORY, by="update", log=True)
    lines = fig.axes[0].get_lines()
    assert len(lines[0].get_xydata()) == 30
    assert lines[1].get_xydata()[-1].tolist() == [30, 4]
    assert fig.axes[0].get_yscale() == "log"


def test_parts_are_those_that_add_up_to_the_loss():
    assert plots.part_names(HISTORY) == ["localisation", "confidence", "l2"]
    plain = {"epoch": {"epoch": [1], "loss": [1.0], "data": [1.0], "l2": [0.0], "accuracy": [0.5]}}
    assert plots.part_names(plain) == ["data"]
    assert len(plots.loss_curves(plain).axes) == 1


def test_accuracies_beside_the_papers_end_points():
    fig = plots.accuracy_curves(HISTORY, {"training, 89.40 %": [(76, 0.894)]}, majority=0.67)
    left, right = fig.axes
    assert list(_lines(left)) == ["training", "validation"]
    lines = _lines(right)
    np.testing.assert_array_equal(lines["the paper: training, 89.40 %"], [[76, 0.894]])
    assert set(lines["always the largest class"][:, 1]) == {0.67}
    assert right.get_ylim() == (0, 1)
    assert all(float(tick).is_integer() for ax in fig.axes for tick in ax.get_xticks())


def test_the_papers_first_points_are_stars_and_its_second_diamonds():
    fig = plots.accuracy_curves(HISTORY, {"training": [(10, 0.7)], "test": [(10, 0.73)]})
    markers = {line.get_label(): line.get_marker() for line in fig.axes[1].get_lines()}
    assert (markers["the paper: training"], markers["the paper: test"]) == ("*", "D")


def test_runs_against_updates_and_against_passes():
    run = {axis: {**columns, "passes": [u / 5 for u in columns["update"]]} for axis, columns in HISTORY.items()}
    exploded = {"epoch": {"passes": []}, "update": {"update": [1], "passes": [0.5], "loss": [None]}}
    fig = plots.updates_and_passes({"A": run, "B": exploded}, {"A": [(30, 6, 7.0)]})
    for ax, x in zip(fig.axes, ([10, 20, 30], [2, 4, 6]), strict=True):
        every, validated, marks = (line.get_xydata() for line in ax.get_lines()[:3])
        assert len(every) == 30
        assert validated[:, 0].tolist() == marks[:, 0].tolist() == x
        assert _lines(ax)["the paper: A"].tolist() == [[x[-1], 7]]
    assert fig.axes[0].get_ylabel() == "validation loss"
    fig.canvas.draw()
    assert [t.get_text() for t in fig.legends[0].get_texts()] == ["A", "B", "the paper: A"]
    straight = plots.updates_and_passes({"A": run}, log=False).axes[0]
    assert (straight.get_xscale(), straight.get_yscale()) == ("linear", "log")


def test_a_loss_as_reported_beside_what_it_consists_of():
    apart = HISTORY["epoch"] | {"val_detection_loss": [5.5, None, 2.5]}
    fig = plots.compare_parts({"plain": {"epoch": apart}, "diverged": {"epoch": {}}})
    whole, detection, decay = fig.axes
    assert list(_lines(whole)) == ["plain"]
    np.testing.assert_array_equal(_lines(detection)["plain"], [[10, 5.5], [20, np.nan], [30, 2.5]])
    np.testing.assert_array_equal(_lines(decay)["plain"][:, 1], [4, np.nan, 2.5])
    assert all(ax.get_ylim()[0] == 0 for ax in fig.axes), "parts of a whole are drawn from 0"
    plots.compare_parts({}).canvas.draw()


def test_gradient_norms_of_layers_and_of_all():
    fig = plots.gradient_norms(HISTORY)
    assert {"a", "b", "all layers"} <= set(_lines(fig.axes[0]))
    with pytest.raises(ValueError, match="holds no gradient norms"):
        plots.gradient_norms({"update": {"update": [1], "loss": [1.0]}})


def test_an_axis_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="by: 'second' is not an axis"):
        plots.loss_curves(HISTORY, by="second")


def test_figures_can_be_drawn():
    """Drawing is where a wrong label or limit shows."""
    for fig in (plots.loss_curves(HISTORY), plots.accuracy_curves(HISTORY), plots.gradient_norms(HISTORY)):
        fig.canvas.draw()


def test_update_losses_mark_where_a_run_ended():
    whole = {"update": {"update": [1, 2, 3], "loss": [9.0, 4.0, 2.0]}, "epoch": {}}
    broken = {"update": {"update": [1, 2], "loss": [9.0, None]}, "epoch": {}}
    fig = plots.update_losses({"whole": whole, "broken": broken})
    lines = fig.axes[0].lines
    assert [len(line.get_xdata()) for line in lines] == [3, 1, 1]
    assert lines[-1].get_marker() == "x" and fig.axes[0].get_yscale() == "log"


def test_bars_show_who_wins_by_each_measure():
    fig = plots.bars({"plain": {"as reported": 4.61, "loss": 3.82}, "separable": {"as reported": 4.04, "loss": 3.93}})
    full = [[bar.get_alpha() == 1 for bar in ax.patches] for ax in fig.axes]
    assert full == [[False, True], [True, False]]
    assert [t.get_text().strip() for t in fig.axes[0].texts] == ["4.61", "4.04"]
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == ["plain", "separable"]
    fig.canvas.draw()
