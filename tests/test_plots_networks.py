"""Figures and tables drawn from networks: they show what the models hold, and what was timed lies under the roof."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.patches import Rectangle

keras = pytest.importorskip("keras")

from mammolib.analysis.cost import layer_costs  # noqa: E402
from mammolib.analysis.roofline import Machine, Work  # noqa: E402
from mammolib.classifiers import vgg16  # noqa: E402
from mammolib.geometry import Detections, Truths  # noqa: E402
from mammolib.patches import Crops  # noqa: E402
from mammolib.plots import networks  # noqa: E402
from mammolib.ssd import SSD256, make_targets, ssd256  # noqa: E402

TRUTH = [88.0, 98.0, 168.0, 178.0]


@pytest.fixture(scope="module")
def model():
    return ssd256()


@pytest.fixture(scope="module")
def crops():
    images = np.random.default_rng(0).integers(0, 256, (3, 256, 256), dtype=np.uint8)
    count = np.arange(3)
    return Crops(images, Truths(count, [1, 2, 1], [TRUTH] * 3, 3), np.array(["mdb001"] * 3), count, count, 0 * count)


def arrows(ax):
    return [t for t in ax.texts if getattr(t, "arrow_patch", None)]


def test_the_overview_has_a_bar_for_every_layer_and_an_arrow_for_every_map_that_answers(model):
    ax = networks.overview(model).axes[0]
    bars = [p for p in ax.patches if isinstance(p, Rectangle) and p.get_width() == pytest.approx(0.84)]
    drawn = [r for r in layer_costs(model) if "Conv2D" in r.kind or "Pooling" in r.kind]
    assert len(bars) == len(drawn) - 12, "12 heads are left out"
    assert max(b.get_height() for b in bars) == pytest.approx(np.log2(256) + 1)
    assert len(arrows(ax)) == 6
    ax = networks.overview(vgg16(2, 1 / 16)).axes[0]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["convolution", "pooling", "dense"]
    assert not arrows(ax)


def test_the_layer_table_is_figure_6(model):
    table = networks.layer_table(model)
    assert table["Figure 6"].all() and len(table) == 28
    heads = sum(layer.count_params() for layer in model.layers if layer.name.endswith(("_conf", "_loc")))
    assert table["parameters"].sum() + heads + 512 == 23_715_730  # and the 512 scales of conv4_3
    assert table.loc["fc6", ["filters", "size", "strides", "map"]].tolist() == [1024, 3, 1, 16]


def test_default_and_matched_boxes_are_those_of_the_layout():
    image = np.full((256, 256), 90, np.uint8)
    fig = networks.default_boxes_on(image, TRUTH)
    assert [len(ax.patches) - 1 for ax in fig.axes] == list(SSD256.per_cell)
    hits = int((make_targets(Truths([0], [1], [TRUTH], 1))[..., 0] > 0).sum())
    ax = networks.matched_boxes(image, TRUTH).axes[0]
    assert len(ax.patches) == hits + 1 and ax.get_title() == f"{hits} default boxes"


def test_the_mining_table_counts_three_negatives_for_every_hit():
    targets = make_targets(Truths([0, 1], [1, 2], [TRUTH, [10, 10, 22, 22]], 3))
    predictions = np.random.default_rng(0).normal(size=(3, 6132, 7)).astype("float32")
    table = networks.mining_table(targets, predictions)
    hits = (targets[..., 0] > 0).sum(axis=1)
    assert table["matched"].tolist() == hits.tolist() and hits[2] == 0
    assert table["background, mined"].tolist() == (3 * hits).tolist()
    assert (table.iloc[:, :3].sum(axis=1) == 6132).all()
    assert (table["mean loss, mined"] > table["mean loss, left out"])[:2].all()


def test_detections_are_drawn_on_their_own_crops(crops):
    found = Detections([0, 0, 2], [1, 2, 2], [0.4, 0.9, 0.7], [TRUTH] * 3)
    fig = networks.detections_on(crops, found)
    assert [ax.get_title() for ax in fig.axes[:3]] == ["malignant 0.90", "nothing found", "malignant 0.70"]
    assert [len(ax.patches) for ax in fig.axes[:3]] == [2, 1, 2]


def test_a_map_marks_its_highest_point_and_nothing_lies_on_the_border_of_the_patch(crops):
    maps = np.zeros((3, 256, 256))
    maps[0, 40, 60] = maps[1:, 0, 0] = 1
    whole = replace(crops, truths=Truths(np.arange(3), [1] * 3, [[0, 0, 256, 256]] * 3, 3))
    first, *others = networks.map_gallery(whole, maps, count=3).axes
    assert [float(v[0]) for v in first.lines[0].get_data()] == [60.5, 40.5]
    for ax in others:
        (box,) = ax.patches
        assert (np.ravel(ax.lines[0].get_data()) > 5).all()
        assert 0 < box.get_x() < 10 and 246 < box.get_x() + box.get_width() < 256


def test_the_roof_and_the_works_under_it():
    machine = Machine("m", 100e9, 10e9)
    works = [Work("conv1_2", "plain", 1e12, 5e9, 12.0), Work("conv1_2", "separable", 1e11, 1e10, 2.0)]
    works.append(Work("fc7", "plain", 1e12, 1e10, 15.0))
    (ax,) = networks.roofline(machine, works).axes
    roof, plain, separable = ax.get_lines()
    x, y = roof.get_xydata().T
    np.testing.assert_allclose(y, [10e9 * x[0], 100e9, 100e9])
    assert x[1] == machine.ridge == 10
    np.testing.assert_allclose(plain.get_xydata(), [[200, 1e12 / 12], [100, 1e12 / 15]])
    assert (plain.get_label(), separable.get_label()) == ("plain", "separable")
    assert plain.get_marker() != separable.get_marker()
    assert [t.get_text() for t in ax.texts] == ["100 GFLOP/s", "10 GB/s", "conv1_2"], "the separable one is labelled"
    large = networks.roofline(Machine("card", 8.9e12, 320e9), works)
    assert large.axes[0].texts[0].get_text() == "8.9 TFLOP/s"
    large.canvas.draw()
