"""The figures of the metrics show the numbers they are given, and the slider stands still where nobody can move it."""

import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

from mammolib import metrics, mias
from mammolib.geometry import Detections, Truths, iou
from mammolib.metrics import Interval, of_the_time
from mammolib.metrics import classification as judge
from mammolib.phantom import detector
from mammolib.plots import classification, explore
from mammolib.plots import detection as plots

LESION = np.array([[10, 10, 30, 30]])
TRUTHS = Truths(np.arange(6), np.ones(6, int), np.repeat(LESION, 6, 0), 7)
OFF = np.array([2, 3, 10, 4, 1, 0, 6, 12])[:, None] * [1, 0, 1, 0]
DETECTIONS = Detections(
    [0, 1, 2, 3, 1, 6, 2, 4], np.ones(8, int), [0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.55, 0.3], LESION + OFF
)


@pytest.fixture(scope="module")
def matches() -> metrics.Matches:
    return metrics.match(DETECTIONS, TRUTHS)


@pytest.fixture(scope="module")
def curve(matches) -> metrics.PrecisionRecall:
    return metrics.precision_recall(matches, 1)


def test_squared_paper_shades_what_the_boxes_share():
    shaded, truth, detection = plots.squared_paper([2, 1, 8, 7], [4, 1, 10, 7]).axes[0].patches
    assert shaded.get_bbox().bounds == (4, 1, 4, 6)
    assert truth.get_bbox().bounds == (2, 1, 6, 6) and detection.get_bbox().bounds == (4, 1, 6, 6)
    assert len(plots.squared_paper([0, 0, 2, 2], [5, 0, 7, 2]).axes[0].patches) == 2  # nothing shared, nothing shaded


def test_the_zigzag_goes_through_every_detection_and_the_envelope_has_the_area(curve):
    zigzag, envelope = plots.smoothed(curve).axes[0].get_lines()
    np.testing.assert_array_equal(zigzag.get_xydata().T, [curve.recall, curve.precision])
    np.testing.assert_array_equal(plots.zigzag(curve).axes[0].get_lines()[0].get_xydata(), zigzag.get_xydata())
    x, y = envelope.get_data()
    assert np.diff(x) @ (y[1:] + y[:-1]) / 2 == pytest.approx(curve.average_precision("voc2010"))


def test_definitions_are_read_where_they_say(curve):
    axes = plots.recall_points(curve).axes
    for ax, (name, definition) in zip(axes, metrics.DEFINITIONS.items(), strict=True):
        assert ax.get_title() == f"{plots.TITLES[name]}: AP {curve.average_precision(name):.4f}"
        if definition.points:
            read = ax.get_lines()[1].get_ydata()
            assert len(read) == definition.points
            assert read.mean() == pytest.approx(curve.average_precision(name), abs=1e-12)


def test_a_curve_for_each_class_and_words_where_there_is_none(matches):
    benign, malignant = plots.precision_recall_by_class(matches).axes
    assert benign.get_title() == f"benign, AP: {metrics.average_precision(matches)[0]:.3f}"
    assert malignant.get_title() == "malignant, AP: nan"
    assert "undefined" in malignant.texts[0].get_text() and not malignant.get_lines()


@pytest.mark.parametrize(("confidence", "says"), [(0.8, "precision 0.75, recall 0.50"), (1.0, "precision undefined")])
def test_a_threshold_is_a_point_of_the_curve(matches, confidence, says):
    left, right = plots.operating_point(matches, 1, confidence).axes
    assert says in right.get_title()
    assert left.get_title() == f"{int((DETECTIONS.confidence >= confidence).sum())} of 8 shown"


def test_froc_curves_start_where_the_axis_does():
    curve = metrics.froc(DETECTIONS, TRUTHS)
    line = plots.froc_curves({"ours": curve}).axes[0].get_lines()[0]
    assert line.get_xydata()[0].tolist() == [0.1, curve.at(0.1)]
    assert line.get_ydata()[-1] == curve.sensitivity[-1]


def test_intervals_lie_where_they_are():
    line, point, paper = plots.intervals({"a": Interval(0.5, 0.4, 0.7, 10)}, paper=0.842).axes[0].get_lines()
    assert list(line.get_xdata()) == [0.4, 0.7] and point.get_xdata()[0] == 0.5 and paper.get_xdata()[0] == 0.842


def test_the_figures_can_be_drawn(matches, curve):
    """Drawing finds what building a figure does not."""
    froc = {"ours": metrics.froc(DETECTIONS, TRUTHS)}
    drawn = [plots.zigzag(curve), plots.recall_points(curve), plots.precision_recall_by_class(matches)]
    drawn += [plots.squared_paper([2, 1, 8, 7], [4, 1, 10, 7]), plots.froc_curves(froc), plots.intervals({"a": 0.5})]
    drawn += [plots.without_one({"benign": 0.8}, {"benign": [0.6, 0.7]})]
    drawn += [plots.self_overlap(np.arange(1, 4), {"one": np.ones(3), "two": np.array([0.2, 0.3, 0.4])})]
    for fig in drawn:
        fig.canvas.draw()


def test_roc_and_reliability_show_their_numbers():
    truth, p = [0, 0, 1, 1, 1], [0.1, 0.6, 0.4, 0.8, 0.9]
    curve = judge.roc(truth, p)
    assert classification.roc_curves({"net": curve}).axes[0].lines[-1].get_label() == f"net, AUC {curve.auc:.3f}"
    fig = classification.reliability_diagram({"net": judge.reliability(truth, p, 5)})
    assert f"{judge.brier(truth, p):.3f}" in fig.axes[0].lines[-1].get_label()


def test_the_slider_moves_in_a_notebook_server_and_stands_still_elsewhere(monkeypatch, matches):
    widgets = pytest.importorskip("ipywidgets")
    pytest.importorskip("ipykernel.ipkernel")
    monkeypatch.delitem(sys.modules, "google.colab", raising=False)
    for server, static, live in (("06-map.ipynb", "0", True), ("06-map.ipynb", "1", False), (None, "0", False)):
        monkeypatch.setenv("MAMMOLIB_STATIC", static)
        monkeypatch.setenv("JPY_SESSION_NAME", server) if server else monkeypatch.delenv("JPY_SESSION_NAME")
        shown = explore.explore(lambda c: plots.operating_point(matches, 1, c), c=(0, 1, 0.05, 0.8))
        if live:
            assert isinstance(shown, widgets.interactive) and shown.children[0].value == 0.8
        else:
            assert isinstance(shown, Figure) and "recall 0.50" in shown.axes[1].get_title()


def test_moving_the_slider_shows_another_figure(monkeypatch):
    """In a real kernel, with the widget's own state: the figure is in it, once, and is drawn anew when moved."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipywidgets")
    monkeypatch.setenv("JPY_SESSION_NAME", "a.ipynb")
    monkeypatch.delenv("MAMMOLIB_STATIC", raising=False)
    start = "from mammolib.plots import explore, figure\ndrawn = []\n"
    start += "explore.explore(lambda c: drawn.append(c) or figure(), c=(0, 1, 0.1, 0.5))"
    cells = [nbformat.v4.new_code_cell(source) for source in (start, "_.children[0].value = 0.7", "print(drawn)")]
    for attempt in (1, 2):  # a message between kernel and client is lost once in a great while, on a very busy machine
        try:
            nb = nbclient.NotebookClient(nbformat.v4.new_notebook(cells=cells), timeout=90).execute()
            break
        except nbclient.exceptions.CellTimeoutError:
            if attempt == 2:
                raise
    assert "0.5, 0.7" in nb.cells[2].outputs[0].text
    state = nb.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"].values()
    (shown,) = [s["state"]["outputs"] for s in state if s["model_name"] == "OutputModel"]
    assert [list(o["data"]) for o in shown] == [["text/plain", "image/png"]]


def test_the_evaluator_of_the_time():
    """Areas with a pixel more, intersections without; and it fails on a class without detections."""
    assert of_the_time.mixed_iou(LESION, LESION)[0, 0] == pytest.approx(400 / 482)
    mixed = of_the_time.match(DETECTIONS, TRUTHS)
    assert mixed.outcome.tolist() == [[1, 1, 0, 1, 3, 0, 0, 0]]  # rank 7 is true without added pixels
    one_class = Truths(TRUTHS.image, TRUTHS.label, TRUTHS.box, 7, classes=("lesion",))
    exact = of_the_time.average_precisions(metrics.match(DETECTIONS, one_class))
    assert exact == pytest.approx(metrics.average_precision(DETECTIONS, one_class).tolist())
    pair = Truths([0, 1], [1, 2], np.repeat(LESION, 2, 0), 2)
    with pytest.raises(IndexError):
        of_the_time.average_precisions(of_the_time.match(Detections([0], [1], [0.9], LESION), pair))


def test_the_ranking_table_is_the_curve(matches, curve):
    table = metrics.ranking_table(matches)
    assert table["verdict"].tolist() == ["true", "true", "false", "true", "false", "false", "true", "false"]
    assert np.array_equal(table["precision"], curve.precision) and table.index.tolist() == list(range(1, 9))
    assert (table["TP"] + table["FP"]).tolist() == list(range(1, 9))


def test_the_simulated_detector_is_better_with_skill_and_the_same_with_the_same_seed():
    rng = np.random.default_rng(0)
    centre, half = rng.uniform(60, 196, (200, 2)), rng.uniform(10, 40, (200, 1))
    truths = Truths(np.arange(200), rng.integers(1, 3, 200), np.concatenate([centre - half, centre + half], 1), 200)
    group = np.arange(200) // 8
    found = [detector.answers(truths, group, skill=s, seed=1) for s in (-1, 1, 3, 8)]
    values = [metrics.mean_average_precision(some, truths).value for some in found]
    assert values == sorted(values) and values[0] < 0.5 < 0.9 < values[-1]
    one, two = (detector.answers(truths, group, seed=1) for _ in range(2))
    assert np.array_equal(one.box, two.box) and one.box.min() >= 0 and one.box.max() <= 256
    with pytest.raises(ValueError, match="group: expected 200 numbers"):
        detector.answers(truths, group[:3])
    assert len(detector.answers(Truths([], [], np.zeros((0, 4)), 5), [], false_per_image=2)) > 0


def test_whole_films_as_truths():
    sick = mias.Film(
        "mdb001", "G", (mias.Lesion("CIRC", "B", 500, 400, 50), mias.Lesion("SPIC", "M", 100, 90, 20)), None
    )
    normal = mias.Film("mdb003", "D", (), None)
    truths = mias.film_truths([normal, sick])
    assert truths.n_images == 2 and truths.image.tolist() == [1, 1] and truths.label.tolist() == [1, 2]
    assert truths.box[0].tolist() == [350, 450, 450, 550]
    assert len(mias.film_truths([normal])) == 0
    nowhere = mias.Film("mdb005", "F", (mias.Lesion("CALC", "B", None, None, None),), None)
    with pytest.raises(ValueError, match="mdb005 has a lesion without a centre"):
        mias.film_truths([nowhere])


def test_rows_of_detections_can_be_taken():
    assert DETECTIONS.take(DETECTIONS.image == 1).confidence.tolist() == [0.9, 0.7]
    assert iou(DETECTIONS.take([0]).box, LESION)[0, 0] == pytest.approx(18 / 22)
