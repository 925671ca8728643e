"""The figures of the films: what they show is what the data say."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from standin import NOWHERE, Film, lesion

from mammolib import patches, splits
from mammolib.detectors import centre, lookup
from mammolib.plots import BENIGN, COLOURS, GREY, MALIGNANT
from mammolib.plots import data as figures

BOTH = [Film(2, (lesion(150, 300, 30, "M", "SPIC"), NOWHERE), tissue="F"), Film(1, (lesion(200, 100),), tissue="F")]
FILMS = [*BOTH, Film(3), Film(4, (lesion(250, 200, 60, "M", "CALC"),), tissue="D")]


def boxes(ax) -> list[list[float]]:
    """The `xyxy` of every box on the axes."""
    found = [p.get_bbox().extents for p in ax.patches if isinstance(p, Rectangle)]
    return [f.round(6).tolist() for f in found]


def pixels(ax) -> np.ndarray:
    return np.asarray(ax.images[0].get_array())


def bars_by_place(ax) -> dict[tuple[str, str], float]:
    """Height of every bar by its severity, told by colour and hatch, and the tick it stands at."""
    names = {COLOURS["benign"]: ("benign", None), COLOURS["malignant"]: ("malignant", "///")}
    ticks = [t.get_text() for t in ax.get_xticklabels()]
    found = {}
    for bar in (bar for bars in ax.containers for bar in bars if bar.get_height()):
        severity, hatch = names[to_hex(bar.get_facecolor()).upper()]
        assert (bar.get_hatch() or None) == hatch
        found[severity, ticks[round(bar.get_x() + bar.get_width() / 2)]] = bar.get_height()
    return found


@pytest.fixture(scope="module")
def crops() -> patches.Crops:
    return patches.lesion_crops(FILMS, size=128)


def test_a_pair_hangs_as_on_a_viewing_box_with_circles_and_boxes():
    fig = figures.pair(BOTH)
    assert [ax.get_title() for ax in fig.axes] == ["mdb001, right breast", "mdb002, left breast"]
    assert boxes(fig.axes[0]) == [[80, 180, 120, 220]] and boxes(fig.axes[1]) == [[270, 120, 330, 180]]
    (circle,) = (p for p in fig.axes[1].patches if isinstance(p, Circle))
    assert circle.center == (300, 150) and circle.radius == 30  # and none for the lesion without a centre
    np.testing.assert_array_equal(pixels(fig.axes[0]), BOTH[1].pixels())


def test_the_origin_ignored_stands_beside_the_right_one():
    film = Film(1, (lesion(300, 400, 40),), shape=(1024, 1024))
    fig = figures.origin(film)
    right, wrong = [360, 260, 440, 340], [360, 1023 - 340, 440, 1023 - 260]
    assert boxes(fig.axes[0]) == [right, wrong]
    seen, unseen = fig.axes[1:]
    assert "right" in seen.get_title() and "wrong" in unseen.get_title()
    assert (pixels(unseen) == 100).all()
    x1, y1, x2, y2 = (int(v) for v in boxes(seen)[0])
    assert (pixels(seen)[y1:y2, x1:x2] == 255).all() and (pixels(seen) == 255).sum() == 80 * 80


def test_severities_are_counted_by_tissue_and_by_class():
    fig = figures.severity_counts(FILMS)
    counts = [bars_by_place(ax) for ax in fig.axes]
    assert counts[0] == {("benign", "fatty"): 1, ("malignant", "fatty"): 1, ("malignant", "dense-\nglandular"): 1}
    assert counts[1] == {("benign", "CIRC"): 1, ("malignant", "SPIC"): 1, ("malignant", "CALC"): 1}
    assert [t.get_text() for t in fig.axes[1].get_xticklabels()] == ["CALC", "CIRC", "SPIC", "MISC", "ARCH", "ASYM"]
    assert [t.get_text() for t in fig.axes[1].get_legend().get_texts()] == ["benign", "malignant"]


def test_one_severity_alone_keeps_its_colour():
    assert set(bars_by_place(figures.severity_counts([FILMS[3]]).axes[1])) == {("malignant", "CALC")}
    assert set(bars_by_place(figures.severity_counts([FILMS[1]]).axes[1])) == {("benign", "CIRC")}
    with pytest.raises(ValueError, match="films: none of them has a located lesion"):
        figures.severity_counts([Film(1)])


def test_no_radius_falls_off_the_histogram():
    films = [Film(n, (lesion(500, 500, r),), shape=(1024, 1024)) for n, r in enumerate((3, 41, 128, 197, 460))]
    ax = figures.radius_histogram(films).axes[0]
    outline = ax.patches[0].get_xy()
    steps = outline[: len(outline) // 2 * 2]
    width = np.diff(steps[:, 0])
    assert (width * steps[1:, 1]).sum() == pytest.approx(8 * len(films))  # every lesion is one bin of 8 pixels
    assert ax.lines[0].get_xdata()[0] == 128


@pytest.mark.parametrize("flipped", [False, True])
def test_the_papers_figures_1_and_2_show_four_views_with_their_boxes(crops: patches.Crops, flipped: bool):
    fig = figures.views(crops, 1, flipped)
    assert [ax.get_title().split()[0] for ax in fig.axes] == ["0", "90", "180", "270"]
    for ax, view in zip(fig.axes, range(4 * flipped, 4 * flipped + 4), strict=True):
        np.testing.assert_array_equal(pixels(ax), crops.images[8 + view])
        assert boxes(ax) == [crops.truths.box[8 + view].tolist()]
        assert ("flipped" in ax.get_title()) is flipped


def test_a_gallery_shows_crops_from_first_to_last(crops: patches.Crops):
    for count in (1, 3, 8, 99):
        fig = figures.crop_gallery(crops, count)
        shown = [ax for ax in fig.axes if ax.images]
        assert len(shown) == min(count, len(crops)) and all(len(boxes(ax)) == 1 for ax in shown)
    assert [shown[0].get_title(), shown[-1].get_title()] == ["benign", "malignant"]
    normal = patches.uniform_cuts([Film(1)])
    assert figures.crop_gallery(normal, 2).axes[0].get_title() == "no lesion"


def test_a_box_that_never_moves_is_the_same_in_every_crop(crops: patches.Crops):
    fig = figures.crop_gallery(crops, 3, fixed=40)
    assert all(boxes(ax)[1] == [44, 44, 84, 84] for ax in fig.axes if ax.images)


def test_views_are_framed_by_the_part_they_were_dealt_to(crops: patches.Crops):
    split = splits.by_image(len(crops), (0.5, 0.25, 0.25), seed=1)
    fig = figures.dealt(crops, split, lesions=2)
    colours = {"training": BENIGN, "validation": GREY, "test": MALIGNANT}
    for i, ax in enumerate(fig.axes):
        np.testing.assert_array_equal(pixels(ax), crops.images[i])
        (part,) = [
            part for part, colour in colours.items() if to_hex(ax.spines["top"].get_edgecolor()).upper() == colour
        ]
        assert i in getattr(split, part)
    assert [text.get_text() for text in fig.legends[0].get_texts()] == list(colours)


def test_the_grid_on_a_film_marks_what_survives():
    film = Film(1, shape=(1024, 1024), dark_rows=500)
    ax = figures.survivors_on_film(film).axes[0]
    counts = int(patches.survivors([film]).item())
    dark, kept = (c.get_offsets() for c in ax.collections)
    assert (len(dark), len(kept)) == (225 - counts, counts) and ax.get_title().startswith(f"{counts} of 225")
    assert kept[:, 1].min() > dark[:, 1].max()
    assert boxes(ax) == [[0, 0, 128, 128], [64, 0, 192, 128]]


def test_survivors_are_drawn_as_means_over_films():
    dark, at_most = (5, 10), (0.1, 0.2, 0.5)
    counts = np.random.default_rng(0).integers(0, 226, (7, 2, 3))
    ax = figures.survivors_by_threshold(counts, dark, at_most).axes[0]
    for i, line in enumerate(ax.lines):
        np.testing.assert_allclose(line.get_ydata(), counts[:, i].mean(axis=0))
        assert line.get_xdata().tolist() == list(at_most)
    assert len({line.get_marker() for line in ax.lines}) == 2  # told apart without colour
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["5 or less", "10 or less"]


def test_the_centre_prior_is_drawn_with_its_best_sides(crops: patches.Crops):
    box = crops.truths.box
    ax = figures.centre_prior_curve(box).axes[0]
    curve, *best = ax.lines
    assert curve.get_ydata()[59] == centre.centre_prior(box, [60], size=256)
    for k, line in enumerate(best, start=1):
        sides, recall = centre.best_sizes(box, k, size=256)
        assert list(line.get_xdata()) == list(sides) and list(line.get_ydata()) == [recall] * k
    assert len(best) == 3 and best[0].get_ydata()[0] == curve.get_ydata().max()


def test_the_heat_map_counts_every_lesion_where_it_lies():
    cuts = patches.uniform_cuts([Film(1, (lesion(150, 150),))], 256, 64)
    centre = cuts.truths.box[:, :2] + 20
    fig = figures.centre_heat_map(cuts)
    count = pixels(fig.axes[0])
    assert count.sum() == len(cuts.truths) and count.shape == (16, 16)
    x, y = (centre[0] // 16).astype(int)
    assert count[y, x] >= 1


def test_a_figure_is_no_pyplot_figure_and_shows_itself(crops: patches.Crops):
    import matplotlib.pyplot as plt

    fig = figures.views(crops, 0, flipped=False)
    assert isinstance(fig, Figure) and plt.get_fignums() == []
    assert fig._repr_png_()[:8] == b"\x89PNG\r\n\x1a\n"


def test_boxes_lie_on_the_film_where_they_are():
    own = boxes(figures.film(figures.canvas()[1], BOTH[1]))
    found = boxes(figures.boxes_on_film(BOTH[1], [[1, 2, 30, 40], [5, 5, 9, 9]]).axes[0])
    assert found == [*own, [1, 2, 30, 40], [5, 5, 9, 9]]


def test_a_funnel_has_a_bar_for_each_count():
    ax = figures.funnel({"rows": 330, "films": 322, "normal": 207}).axes[0]
    assert [bar.get_width() for bar in ax.patches] == [330, 322, 207]
    assert [bar.get_x() for bar in ax.patches] == [-165, -161, -103.5], "centred"
    assert [t.get_text() for t in ax.texts] == ["330", "322", "207"]


def test_siblings_have_the_same_line_of_grey_levels(crops: patches.Crops):
    grey = lookup.histograms(crops.images)
    fig = figures.alike(crops, [0, 3, 8], grey[[0, 3, 8]])
    *pictures, ax = fig.axes
    for picture, row in zip(pictures, (0, 3, 8), strict=True):
        np.testing.assert_array_equal(pixels(picture), crops.images[row])
    first, sibling, other = (line.get_ydata() for line in ax.get_lines())
    np.testing.assert_array_equal(first, sibling)
    assert not np.array_equal(first, other) and pictures[0].get_title().startswith("test")
