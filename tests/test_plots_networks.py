"""Figures and tables drawn from the networks: they show what the models hold."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.patches import Rectangle

keras = pytest.importorskip("keras")

from mammolib.analysis.cost import layer_costs  # noqa: E402
from mammolib.classifiers import vgg16  # noqa: E402
from mammolib.geometry import Detections, Truths  # noqa: E402
from mammolib.patches import Crops  # noqa: E402
from mammolib.plots import networks  # noqa: E402
from mammolib.ssd import SSD256, make_targets, ssd256  # noqa: E402

TRUTH = [88.0, 98.0, 168.0, 178.0]


@pytest.fixture(scope="module")
def model():
    return ssd256()


def crops(n=3):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n, 256, 256), dtype=np.uint8)
    truths = Truths(np.arange(n), 1 + np.arange(n) % 2, [TRUTH] * n, n)
    film = np.array([f"mdb{i:03d}" for i in range(1, n + 1)])
    return Crops(images, truths, film, np.arange(n), np.arange(n), np.zeros(n, int))


def test_the_overview_has_a_bar_for_every_layer_and_an_arrow_for_every_map_that_answers(model):
    ax = networks.overview(model).axes[0]
    bars = [p for p in ax.patches if isinstance(p, Rectangle) and p.get_width() == pytest.approx(0.84)]
    drawn = [r for r in layer_costs(model) if "Conv2D" in r.kind or "Pooling" in r.kind]
    heads = [r for r in drawn if r.name.endswith(("_conf", "_loc"))]
    assert len(heads) == 12 and len(bars) == len(drawn) - 12
    assert max(b.get_height() for b in bars) == pytest.approx(np.log2(256) + 1)
    assert sum(t.arrow_patch is not None for t in ax.texts if hasattr(t, "arrow_patch")) == 6


def test_the_overview_draws_a_classifier_too():
    network = vgg16(2, 1 / 16)
    ax = networks.overview(network).axes[0]
    labels = [t.get_text() for t in ax.get_legend().get_texts()]
    assert labels == ["convolution", "pooling", "dense"]
    assert not any(getattr(t, "arrow_patch", None) for t in ax.texts)


def test_the_layer_table_is_figure_6(model):
    table = networks.layer_table(model)
    assert table["Figure 6"].all()
    heads = sum(layer.count_params() for layer in model.layers if layer.name.endswith(("_conf", "_loc")))
    assert table["parameters"].sum() + heads + 512 == 23_715_730  # and the 512 scales of conv4_3
    assert table.loc["fc6", ["filters", "size", "strides", "map"]].tolist() == [1024, 3, 1, 16]


def test_default_and_matched_boxes_are_those_of_the_layout():
    image = np.full((256, 256), 90, np.uint8)
    fig = networks.default_boxes_on(image, TRUTH)
    assert [len(ax.patches) - 1 for ax in fig.axes] == list(SSD256.per_cell)
    hits = int((make_targets(Truths([0], [1], [TRUTH], 1))[..., 0] > 0).sum())
    ax = networks.matched_boxes(image, TRUTH).axes[0]
    assert len(ax.patches) == hits + 1
    assert ax.get_title() == f"{hits} default boxes"


def test_the_mining_table_counts_three_negatives_for_every_hit():
    targets = make_targets(Truths([0, 1], [1, 2], [TRUTH, [10, 10, 22, 22]], 3))
    predictions = np.random.default_rng(0).normal(size=(3, 6132, 7)).astype("float32")
    table = networks.mining_table(targets, predictions)
    hits = (targets[..., 0] > 0).sum(axis=1)
    assert table["matched"].tolist() == hits.tolist() and hits[2] == 0
    assert table["background, mined"].tolist() == (3 * hits).tolist()
    assert (table.iloc[:, :3].sum(axis=1) == 6132).all()
    assert (table["mean loss, mined"] > table["mean loss, left out"])[:2].all()


def test_detections_are_drawn_on_their_own_crops():
    found = Detections([0, 0, 2], [1, 2, 2], [0.4, 0.9, 0.7], [TRUTH] * 3)
    fig = networks.detections_on(crops(), found)
    assert [ax.get_title() for ax in fig.axes[:3]] == ["malignant 0.90", "nothing found", "malignant 0.70"]
    assert [len(ax.patches) for ax in fig.axes[:3]] == [2, 1, 2]


def test_a_map_of_where_a_classifier_looks_marks_its_highest_point():
    maps = np.zeros((3, 256, 256))
    maps[:, 40, 60] = 1
    ax = networks.map_gallery(crops(), maps, count=2).axes[0]
    assert [float(v[0]) for v in ax.lines[0].get_data()] == [60.5, 40.5]


def test_the_box_of_a_lesion_that_fills_its_patch_lies_inside_of_it():
    whole = crops()
    whole = Crops(whole.images, Truths(np.arange(3), [1] * 3, [[0, 0, 256, 256]] * 3, 3), *list_of(whole))
    corner = np.zeros((3, 256, 256))
    corner[:, 0, 0] = 1
    for ax in networks.map_gallery(whole, corner, count=3).axes:
        (box,) = ax.patches
        assert (np.ravel(ax.lines[0].get_data()) > 5).all()
        assert 0 < box.get_x() < 10 and 246 < box.get_x() + box.get_width() < 256


def list_of(one):
    return one.film, one.woman, one.lesion, one.view
