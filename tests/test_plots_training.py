"""The figures of a training show what the history holds, nothing more, and survive runs that exploded."""

import numpy as np

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
CALM = ({"update": {"update": [1, 2, 3, 4], "loss": [30.0, 20.0, 12.0, 9.0]}}, "finished")
BURST = ({"update": {"update": [1, 2, 3], "loss": [30.0, 2e11, None]}}, "diverged at update 3")


def lines(ax):
    return {line.get_label(): line.get_xydata() for line in ax.get_lines()}


def test_losses_against_epochs_with_their_parts_and_the_papers_points():
    fig = plots.loss_curves(HISTORY, points=[(2, 5.07)])
    total, parts = (lines(ax) for ax in fig.axes)
    np.testing.assert_array_equal(total["training"], [[1, 9], [2, 6], [3, 4]])
    np.testing.assert_array_equal(total["validation"], [[1, 9.5], [2, np.nan], [3, 5]])
    np.testing.assert_array_equal(total["the paper, validation"], [[2, 5.07]])
    assert list(parts) == ["localisation", "confidence", "L2"], "the parts are those that add up to the loss"
    np.testing.assert_array_equal(parts["L2"][:, 1], [4, np.nan, 2.5])
    fig.canvas.draw()
    plain = {"epoch": {"epoch": [1], "loss": [1.0], "data": [1.0], "l2": [0.0], "accuracy": [0.5]}}
    assert len(plots.loss_curves(plain).axes) == 1, "a loss of one part is not taken apart"


def test_accuracies_beside_the_papers_end_points():
    fig = plots.accuracy_curves(HISTORY, {"training": [(76, 0.894)], "test": [(10, 0.73)]}, majority=0.67)
    left, right = (lines(ax) for ax in fig.axes)
    assert list(left) == ["training", "validation"]
    np.testing.assert_array_equal(right["the paper: training"], [[76, 0.894]])
    assert set(right["always the largest class"][:, 1]) == {0.67}
    assert all(float(tick).is_integer() for ax in fig.axes for tick in ax.get_xticks())
    assert [line.get_marker() for line in fig.axes[1].get_lines()[-2:]] == ["*", "D"]
    fig.canvas.draw()


def test_runs_against_updates_and_against_passes():
    run = {axis: {**columns, "passes": [u / 5 for u in columns["update"]]} for axis, columns in HISTORY.items()}
    exploded = {"epoch": {"passes": []}, "update": {"update": [1], "passes": [0.5], "loss": [None]}}
    fig = plots.updates_and_passes({"A": run, "B": exploded}, {"A": [(30, 6, 7.0)]})
    for ax, x in zip(fig.axes, ([10, 20, 30], [2, 4, 6]), strict=True):
        every, validated = (line.get_xydata() for line in ax.get_lines()[:2])
        assert len(every) == 30 and validated[:, 0].tolist() == x
        assert lines(ax)["the paper: A"].tolist() == [[x[-1], 7]]
    fig.canvas.draw()
    assert [t.get_text() for t in fig.legends[0].get_texts()] == ["A", "B", "the paper: A"]
    straight = plots.updates_and_passes({"A": run}, log=False).axes[0]
    assert (straight.get_xscale(), straight.get_yscale()) == ("linear", "log")


def test_a_loss_as_reported_beside_what_it_consists_of():
    apart = HISTORY["epoch"] | {"val_detection_loss": [5.5, None, 2.5]}
    fig = plots.compare_parts({"plain": {"epoch": apart}, "diverged": {"epoch": {}}})
    whole, detection, decay = (lines(ax) for ax in fig.axes)
    assert list(whole) == ["plain"]
    np.testing.assert_array_equal(detection["plain"], [[10, 5.5], [20, np.nan], [30, 2.5]])
    np.testing.assert_array_equal(decay["plain"][:, 1], [4, np.nan, 2.5])
    assert all(ax.get_ylim()[0] == 0 for ax in fig.axes), "parts of a whole are drawn from 0"


def test_gradient_norms_of_layers_and_of_all():
    fig = plots.gradient_norms(HISTORY)
    assert set(lines(fig.axes[0])) == {"a", "b", "all layers"}
    fig.canvas.draw()


def test_update_losses_mark_where_a_run_ended():
    whole, broken = ({"update": {"update": [1, 2, 3], "loss": loss}} for loss in ([9.0, 4.0, 2.0], [9.0, None]))
    broken["update"]["update"].pop()
    (ax,) = plots.update_losses({"whole": whole, "broken": broken}).axes
    assert [len(line.get_xdata()) for line in ax.lines] == [3, 1, 1]
    assert ax.lines[-1].get_marker() == "x" and ax.get_yscale() == "log"


def test_bars_show_who_wins_by_each_measure():
    fig = plots.bars({"plain": {"as reported": 4.61, "loss": 3.82}, "separable": {"as reported": 4.04, "loss": 3.93}})
    full = [[bar.get_alpha() == 1 for bar in ax.patches] for ax in fig.axes]
    assert full == [[False, True], [True, False]]
    assert [t.get_text().strip() for t in fig.axes[0].texts] == ["4.61", "4.04"]
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == ["plain", "separable"]


def test_a_run_that_diverged_ends_in_a_cross_at_the_top_of_the_axis_and_a_twin_stands_behind():
    fig = plots.ladder({"as stated": BURST, "clip 1": CALM}, behind={"clip 1": BURST[0]}, level=14)
    first, second = fig.axes
    assert first.get_lines()[1].get_marker() == "X"
    np.testing.assert_array_equal(first.get_lines()[1].get_xydata(), [[2, 1e6]])
    assert [t.get_text() for t in first.texts] == ["diverged\nat update 3"] and not second.texts
    np.testing.assert_array_equal(second.get_lines()[0].get_xydata(), [[1, 30], [2, 1e6]])
    np.testing.assert_array_equal(second.get_lines()[1].get_ydata(), [30, 20, 12, 9])
    assert first.get_yscale() == "log" and first.get_xlim() == second.get_xlim()
    fig.canvas.draw()


def test_long_runs_have_an_axis_of_their_own_and_panels_without_a_run_are_empty():
    longer = ({"update": {"update": [1, 5, 9], "loss": [30.0, 20.0, 12.0]}}, "finished")
    ends = [ax.get_xlim()[1] for ax in plots.ladder({"clip 1": CALM, "start": longer, "nothing": BURST}).axes]
    assert ends[0] < 5 < ends[1] and ends[2] >= 4
    assert [ax.axison for ax in plots.ladder({str(i): CALM for i in range(5)}).axes] == [True] * 5 + [False]


def test_dots_stand_in_the_rows_of_the_first_runs_layers():
    (ax,) = plots.first_steps({"B": {"conv1": 2.0, "head": 0.1}, "B, clipped": {"head": 1e-11, "conv1": 1e-2}}).axes
    assert [t.get_text() for t in ax.get_yticklabels()] == ["conv1", "head"]
    np.testing.assert_array_equal(ax.get_lines()[1].get_xydata(), [[1e-2, 0], [1e-6, 1]])
    runs = {"alive": {"conv1": 0.5, "head": 0.4}, "dead": {"head": 0.0, "conv1": 0.1}}
    fig = plots.above_zero({"narrow": runs, "wide": runs})
    assert [panel.get_title() for panel in fig.axes] == ["narrow", "wide"]
    np.testing.assert_array_equal(fig.axes[1].get_lines()[1].get_xydata(), [[0.1, 0], [0.0, 1]])
    fig.canvas.draw()


def test_growth_counts_from_a_start_that_is_not_idle():
    fig = plots.growth_by_layer({"a": [1.0, 100.0, None], "idle": [1e-9, 1e-3, np.inf]})
    powers = fig.axes[0].get_images()[0].get_array()
    np.testing.assert_allclose(powers[:, :2].filled(np.nan), [[0, 2], [-6, 0]])
    assert powers.mask[:, 2].all()
    fig.canvas.draw()
