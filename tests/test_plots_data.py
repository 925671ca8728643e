"""The figures of the films: what they show is what the data say."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from standin import NOWHERE, Film, lesion

from mammolib import patches, splits
from mammolib.detectors import centre, lookup
from mammolib.plots import canvas
from mammolib.plots import data as figures
from mammolib.plots.colours import BENIGN, COLOURS, GREY, MALIGNANT

BOTH = [Film(2, (lesion(150, 300, 30, "M", "SPIC"), NOWHERE), tissue="F"), Film(1, (lesion(200, 100),), tissue="F")]
FILMS = [*BOTH, Film(3), Film(4, (lesion(250, 200, 60, "M", "CALC"),), tissue="D")]


def boxes(ax) -> list[list[float]]:
    """The `xyxy` of every box on the axes."""
    return [p.get_bbox().extents.round(6).tolist() for p in ax.patches if isinstance(p, Rectangle)]


def pixels(ax) -> np.ndarray:
    return np.asarray(ax.images[0].get_array())


def bars_by_place(ax) -> dict[tuple[str, str], float]:
    """Height of every bar by its severity, told by colour and hatch, and the tick it stands at."""
    names = {(COLOURS["benign"], ""): "benign", (COLOURS["malignant"], "///"): "malignant"}
    ticks = [t.get_text() for t in ax.get_xticklabels()]
    return {
        (names[to_hex(bar.get_facecolor()).upper(), bar.get_hatch() or ""], ticks[round(bar.get_center()[0])]): height
        for bar in ax.patches
        if (height := bar.get_height())
    }


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
    fig = figures.origin(Film(1, (lesion(300, 400, 40),), shape=(1024, 1024)))
    assert boxes(fig.axes[0]) == [[360, 260, 440, 340], [360, 1023 - 340, 440, 1023 - 260]]
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
    assert [t.get_text() for t in fig.axes[1].get_legend().get_texts()] == ["benign", "malignant"]
    for film, only in ((FILMS[3], ("malignant", "CALC")), (FILMS[1], ("benign", "CIRC"))):
        assert set(bars_by_place(figures.severity_counts([film]).axes[1])) == {only}, "one alone keeps its colour"
    with pytest.raises(ValueError, match="none of them has a located lesion"):
        figures.severity_counts([])
    figures.radius_histogram([])


def test_no_radius_falls_off_the_histogram():
    films = [Film(n, (lesion(500, 500, r),), shape=(1024, 1024)) for n, r in enumerate((3, 41, 128, 197, 460))]
    outline = figures.radius_histogram(films).axes[0].patches[0].get_xy()
    steps = outline[: len(outline) // 2 * 2]
    area = np.diff(steps[:, 0]) @ steps[1:, 1]
    assert area == pytest.approx(8 * len(films))  # every lesion is one bin of 8 pixels


@pytest.mark.parametrize("flipped", [False, True])
def test_the_papers_figures_1_and_2_show_four_views_with_their_boxes(crops: patches.Crops, flipped: bool):
    fig = figures.views(crops, 1, flipped)
    assert [ax.get_title().split()[0] for ax in fig.axes] == ["0", "90", "180", "270"]
    for ax, view in zip(fig.axes, range(4 * flipped, 4 * flipped + 4), strict=True):
        np.testing.assert_array_equal(pixels(ax), crops.images[8 + view])
        assert boxes(ax) == [crops.truths.box[8 + view].tolist()]
        assert ("flipped" in ax.get_title()) is flipped


@pytest.mark.parametrize("count", [1, 3, 99])
def test_a_gallery_shows_crops_from_first_to_last_and_the_box_that_never_moves(crops: patches.Crops, count: int):
    fig = figures.crop_gallery(crops, count, fixed=40)
    shown = [ax for ax in fig.axes if ax.images]
    assert len(shown) == min(count, len(crops)) and all(boxes(ax)[1:] == [[44, 44, 84, 84]] for ax in shown)
    assert shown[0].get_title() == "benign" and (count == 1 or shown[-1].get_title() == "malignant")
    normal = patches.uniform_cuts([Film(1)])
    assert figures.crop_gallery(normal, 2).axes[0].get_title() == "no lesion"


def test_views_are_framed_by_the_part_they_were_dealt_to(crops: patches.Crops):
    split = splits.by_image(len(crops), (0.5, 0.25, 0.25), seed=1)
    parts = {BENIGN: split.training, GREY: split.validation, MALIGNANT: split.test}
    for i, ax in enumerate(figures.dealt(crops, split, lesions=2).axes):
        np.testing.assert_array_equal(pixels(ax), crops.images[i])
        assert i in parts[to_hex(ax.spines["top"].get_edgecolor()).upper()]


def test_the_grid_on_a_film_marks_what_survives():
    film = Film(1, shape=(1024, 1024), dark_rows=500)
    ax = figures.survivors_on_film(film).axes[0]
    counts = int(patches.survivors([film]).item())
    dark, kept = (c.get_offsets() for c in ax.collections)
    assert (len(dark), len(kept)) == (225 - counts, counts) and ax.get_title().startswith(f"{counts} of 225")
    assert kept[:, 1].min() > dark[:, 1].max()
    assert boxes(ax) == [[0, 0, 128, 128], [64, 0, 192, 128]]


def test_survivors_are_drawn_as_means_over_films():
    counts = np.random.default_rng(0).integers(0, 226, (7, 2, 3))
    ax = figures.survivors_by_threshold(counts, (5, 10), (0.1, 0.2, 0.5)).axes[0]
    np.testing.assert_allclose([line.get_ydata() for line in ax.lines], counts.mean(axis=0))
    assert len({line.get_marker() for line in ax.lines}) == 2  # told apart without colour
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["5 or less", "10 or less"]


def test_the_centre_prior_is_drawn_with_its_best_sides(crops: patches.Crops):
    box = crops.truths.box
    curve, *best = figures.centre_prior_curve(box).axes[0].lines
    assert curve.get_ydata()[59] == centre.centre_prior(box, [60], size=256)
    for k, line in enumerate(best, start=1):
        sides, recall = centre.best_sizes(box, k, size=256)
        assert list(line.get_xdata()) == list(sides) and list(line.get_ydata()) == [recall] * k
    assert len(best) == 3 and best[0].get_ydata()[0] == curve.get_ydata().max()


def test_the_heat_map_counts_every_lesion_where_it_lies():
    cuts = patches.uniform_cuts([Film(1, (lesion(150, 150),))], 256, 64)
    count = pixels(figures.centre_heat_map(cuts).axes[0])
    assert count.sum() == len(cuts.truths) and count.shape == (16, 16)
    x, y = ((cuts.truths.box[0, :2] + 20) // 16).astype(int)
    assert count[y, x] >= 1


def test_a_figure_is_no_pyplot_figure_and_shows_itself(crops: patches.Crops):
    import matplotlib.pyplot as plt

    fig = figures.views(crops, 0, flipped=False)
    assert isinstance(fig, Figure) and plt.get_fignums() == []
    assert fig._repr_png_()[:8] == b"\x89PNG\r\n\x1a\n"


def test_boxes_lie_on_the_film_where_they_are():
    _, ax = canvas()
    figures.film(ax, BOTH[1])
    found = boxes(figures.boxes_on_film(BOTH[1], [[1, 2, 30, 40], [5, 5, 9, 9]]).axes[0])
    assert found == [*boxes(ax), [1, 2, 30, 40], [5, 5, 9, 9]]


def test_a_funnel_has_a_bar_for_each_count():
    ax = figures.funnel({"rows": 330, "films": 322, "normal": 1207}).axes[0]
    assert [(bar.get_x(), bar.get_width()) for bar in ax.patches] == [(-165, 330), (-161, 322), (-603.5, 1207)]
    assert [t.get_text() for t in ax.texts] == ["330", "322", "1,207"]


def test_siblings_have_the_same_line_of_grey_levels(crops: patches.Crops):
    rows = [0, 3, 8]
    *pictures, ax = figures.alike(crops, rows, lookup.histograms(crops.images[rows])).axes
    np.testing.assert_array_equal([pixels(picture) for picture in pictures], crops.images[rows])
    first, sibling, other = (line.get_ydata() for line in ax.get_lines())
    np.testing.assert_array_equal(first, sibling)
    assert not np.array_equal(first, other) and pictures[0].get_title().startswith("test")
