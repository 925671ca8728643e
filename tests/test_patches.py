"""Patches: every set against a loop that cuts pixel by pixel, boxes against painted lesions, and the real counts."""

import itertools
from dataclasses import replace
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standin import NOWHERE, Film, lesion, white

from mammolib import geometry, patches
from mammolib.detectors import centre
from mammolib.geometry import DIHEDRAL
from mammolib.patches import Patches
from mammolib.patches.cutting import dark_grid

# --- The grid, one crop, the background rule --------------------------------------------------------------------------
shapes = st.tuples(st.integers(8, 30), st.integers(8, 30))


@given(shapes, st.integers(1, 8), st.integers(1, 9))
@settings(max_examples=50)
def test_every_patch_lies_at_its_origin(shape: tuple[int, int], size: int, stride: int):
    pixels = np.arange(shape[0] * shape[1]).reshape(shape)
    tiles, origins = patches.grid(pixels, size, stride), patches.grid_origins(shape, size, stride)
    assert np.shares_memory(tiles, pixels) and not tiles.flags.writeable
    rows, columns = range(0, shape[0] - size + 1, stride), range(0, shape[1] - size + 1, stride)
    assert [tuple(o) for o in origins.reshape(-1, 2).tolist()] == list(itertools.product(rows, columns))
    for tile, (row, column) in zip(tiles.reshape(-1, size, size), origins.reshape(-1, 2), strict=True):
        np.testing.assert_array_equal(tile, pixels[row : row + size, column : column + size])


@pytest.mark.parametrize(
    ("shape", "size", "stride", "message"),
    [
        ((100, 200), 128, 64, r"at least 128 x 128, got shape \(100, 200\)"),
        ((200, 200, 3), 128, 64, r"greyscale image .* got shape \(200, 200, 3\)"),
        ((200, 200), 128, 0, "must be at least 1, got 128 and 0"),
    ],
)
def test_an_image_that_has_no_grid(shape: tuple[int, ...], size: int, stride: int, message: str):
    with pytest.raises(ValueError, match=message):
        patches.grid(np.zeros(shape), size, stride)
    with pytest.raises(ValueError, match=message):
        patches.grid_origins(shape, size, stride)


@given(st.integers(-15, 45), st.integers(-15, 45), st.integers(1, 12))
def test_a_crop_is_a_piece_of_the_film_with_a_margin_of_nothing(row: int, column: int, size: int):
    pixels = np.arange(1, 30 * 20 + 1).reshape(30, 20)
    wide = np.pad(pixels, 50)
    top, left = 50 + row - size // 2, 50 + column - size // 2
    np.testing.assert_array_equal(patches.crop(pixels, row, column, size), wide[top : top + size, left : left + size])
    with pytest.raises(ValueError, match=r"greyscale image, got shape \(9, 9, 3\)"):
        patches.crop(np.zeros((9, 9, 3)), 4, 4, 4)


@given(shapes, st.integers(1, 8), st.integers(1, 9), st.integers(0, 3), st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_block_sums_count_the_same_dark_pixels(shape: tuple[int, int], size: int, stride: int, dark: int, seed: int):
    pixels = np.random.default_rng(seed).integers(0, 5, shape, dtype=np.uint8)
    expected = [[(t <= dark).sum() / size**2 for t in row] for row in patches.grid(pixels, size, stride)]
    np.testing.assert_array_equal(dark_grid(pixels, dark, size, stride), expected)
    np.testing.assert_array_equal(patches.dark_fraction(patches.grid(pixels, size, stride), dark), expected)


def test_block_sums_do_not_overflow():
    pixels = np.zeros((1024, 1024), np.uint8)
    for size, stride in ((128, 64), (512, 512), (1024, 300)):
        assert (dark_grid(pixels, 10, size, stride) == 1).all()


def test_survivors_counts_what_the_rule_keeps_and_reads_every_film_once():
    films = [Film(n, shape=(320, 320), dark_rows=rows) for n, rows in enumerate((0, 70, 170, 320))]
    levels, shares = np.array([4, 5, 99, 100]), (0, 0.2, 0.5, 1)
    counts = patches.survivors(films, levels, shares)
    assert counts.shape == (4, 4, 4) and all(len(f.reads) == 1 for f in films)
    for f, one in enumerate(films):
        for d, level in enumerate(levels):
            share = patches.dark_fraction(patches.grid(one.pixels()), level)
            assert counts[f, d].tolist() == [(share <= s).sum() for s in shares]
    assert patches.survivors(films).tolist() == counts[:, 1:2, 1:2].tolist()
    assert patches.survivors([], levels, shares).shape == (0, 4, 4)
    with pytest.raises(ValueError, match=r"at_most, entry 1: 20.0 is not a share in \[0, 1\]"):
        patches.survivors(films, at_most=[0.2, 20])


# --- Crops around lesions ---------------------------------------------------------------------------------------------
def test_eight_views_of_every_single_lesion_and_their_boxes_follow_the_pixels():
    films = [Film(1), Film(2, (lesion(200, 210),)), Film(3, (lesion(60, 400, 30, "M"),))]
    crops = patches.lesion_crops(films, size=128)
    assert crops.images.shape == (16, 128, 128) and crops.truths.n_images == 16
    assert crops.lesion.tolist() == [0] * 8 + [1] * 8 and crops.view.tolist() == list(range(8)) * 2
    assert crops.film.tolist() == ["mdb002"] * 8 + ["mdb003"] * 8 and crops.woman.tolist() == [1] * 8 + [2] * 8
    assert crops.strata.tolist() == crops.truths.label.tolist() == [1] * 8 + [2] * 8
    for i, image in enumerate(crops.images):
        np.testing.assert_array_equal(image, DIHEDRAL[i % 8].image(crops.images[i // 8 * 8]))
        np.testing.assert_array_equal(crops.truths.box[i], white(image))
    assert (crops.truths.box[:8] == [44, 44, 84, 84]).all()  # the same box in all eight views
    np.testing.assert_array_equal(crops.images[8], patches.crop(films[2].pixels(), 60, 400, 128))
    assert (crops.images[8][:4] == 0).all() and (crops.images[8][:, 112:] == 0).all()  # what leaves the film
    assert patches.lesion_crops([Film(1, (lesion(190, 220, 80),))], 128).truths.box[0].tolist() == [0, 0, 128, 128]


@pytest.mark.parametrize(
    ("row", "column", "leaves"),
    [(64, 64, False), (63, 64, True), (64, 63, True), (960, 960, False), (961, 960, True), (960, 961, True)],
)
def test_a_crop_leaves_the_film_by_a_single_pixel(row: int, column: int, leaves: bool):
    assert lesion(row, column).crop_leaves_film(128) is leaves


def test_the_papers_set_drops_benign_lesions_whose_crop_leaves_the_film_and_no_other():
    inside, outside = (200, 200), (20, 200)
    films = [
        Film(i + 1, (lesion(*where, severity=severity),))
        for i, (where, severity) in enumerate(itertools.product((inside, outside), "BM"))
    ]
    assert np.unique(patches.lesion_crops(films, 128).film).tolist() == ["mdb001", "mdb002", "mdb003", "mdb004"]
    crops = patches.lesion_crops(films, 128, paper=True)
    assert crops.film[::8].tolist() == ["mdb001", "mdb002", "mdb004"]  # the third is benign and outside
    assert crops.lesion[::8].tolist() == [0, 1, 2]


def test_films_that_the_paper_drops_are_passed_over():
    films = [Film(1, (lesion(99, 99), lesion(200, 200))), Film(2, (NOWHERE,)), Film(3, (lesion(150, 150),))]
    for cut in (patches.lesion_crops, patches.uniform_cuts, patches.labelled_patches):
        assert set(cut(films).film) == {"mdb003"}
        with pytest.raises(ValueError, match="^films: none of them"):
            cut(films[:2])
        for views in (0, 9, 2.5):
            with pytest.raises(ValueError, match="views: must be 1 to 8, got"):
                cut(films, views=views)
    with pytest.raises(ValueError, match="nothing to crop"):
        patches.lesion_crops([Film(1)])


# --- Uniform cuts -----------------------------------------------------------------------------------------------------
def held(box: list[float], row: int, column: int, size: int, contains: str) -> bool:
    """The rules, pixel by pixel and point by point."""
    x1, y1, x2, y2 = box
    if contains == "box":
        return x1 >= column and y1 >= row and x2 <= column + size and y2 <= row + size
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    return column <= x < column + size and row <= y < row + size


@given(
    st.integers(0, 127),
    st.integers(0, 159),
    st.integers(1, 40),
    st.sampled_from(["box", "centre"]),
    st.sampled_from([None, 0.2]),
)
@settings(max_examples=60)
def test_a_cut_is_kept_if_it_holds_the_lesion(row: int, column: int, radius: int, contains, max_dark):
    film = Film(7, (lesion(max(row, radius), max(column, radius), radius, "M"),), (128, 160), dark_rows=40)
    pixels, box = film.pixels(), film.lesions[0].box
    cuts = patches.uniform_cuts([film], 64, 16, contains, max_dark=max_dark)
    expected = []
    for top, left in itertools.product(range(0, 65, 16), range(0, 97, 16)):
        piece = pixels[top : top + 64, left : left + 64]
        if held(box, top, left, 64, contains) and (max_dark is None or (piece <= 10).mean() <= max_dark):
            expected.append((piece, np.clip(box - [left, top, left, top], 0, 64)))
    assert len(cuts) == len(expected) == len(cuts.truths)
    for image, truth, (piece, clipped) in zip(cuts.images, cuts.truths.box, expected, strict=True):
        np.testing.assert_array_equal(image, piece)
        np.testing.assert_allclose(truth, clipped)


def test_the_rules_at_their_edges():
    on_the_line = Film(1, (lesion(64, 64, 10),), (128, 128))  # belongs to the cut that begins there, not the one before
    cuts = patches.uniform_cuts([on_the_line], 64, 64, "centre")
    assert cuts.truths.box.tolist() == [[0, 0, 10, 10]]
    quarter = Film(1, shape=(128, 128), dark_rows=32)
    assert [len(patches.uniform_cuts([quarter], 128, max_dark=share)) for share in (0.25, 0.249)] == [1, 0]


def test_a_film_without_a_lesion_keeps_all_its_cuts_and_they_have_no_truths():
    films = [Film(1), Film(2, (lesion(100, 100),)), Film(3), Film(4, (lesion(300, 300, 20, "M"),))]
    cuts = patches.uniform_cuts(films, 256, 64, views=8)
    per_film = {name: (cuts.film == name).sum() for name in np.unique(cuts.film)}
    assert per_film["mdb001"] == per_film["mdb003"] == 8 * 3 * 4
    assert (cuts.lesion[cuts.film == "mdb002"] == 0).all() and (cuts.lesion[cuts.film == "mdb004"] == 1).all()
    assert set(cuts.lesion[np.isin(cuts.film, ["mdb001", "mdb003"])]) == {-1}
    assert set(cuts.strata[cuts.lesion < 0]) == {0} and len(cuts.truths) == (cuts.lesion >= 0).sum()
    for image, box in zip(cuts.truths.image, cuts.truths.box, strict=True):
        np.testing.assert_array_equal(box, white(cuts.images[image]))
    np.testing.assert_array_equal(cuts.images[1], DIHEDRAL[1].image(cuts.images[0]))


def test_there_may_be_no_cut_of_a_lesion_and_the_others_are_numbered_without_a_gap():
    films = [Film(1, (lesion(200, 200, 150),)), Film(2, (lesion(150, 150),))]
    cuts = patches.uniform_cuts(films[:1], 256, 64)
    assert len(cuts) == len(cuts.truths) == len(cuts.strata) == 0 and cuts.images.shape == (0, 256, 256)
    assert len(cuts.take([])) == 0
    assert set(patches.uniform_cuts(films).lesion) == {0}
    with pytest.raises(ValueError, match=r"contains: must be 'box' or 'centre', got 'whole'"):
        patches.uniform_cuts(films, contains="whole")


# --- The layouts ------------------------------------------------------------------------------------------------------
def test_take_keeps_images_and_boxes_together():
    films = [Film(1), Film(2, (lesion(100, 100, 20),)), Film(3, (lesion(300, 300, 30, "M"),))]
    cuts = patches.uniform_cuts(films, 256, 64)
    order = np.random.default_rng(0).permutation(len(cuts))[:9]
    some = cuts.take(order)
    np.testing.assert_array_equal(some.images, cuts.images[order])
    np.testing.assert_array_equal(some.strata, cuts.strata[order])
    np.testing.assert_array_equal(some.lesion, cuts.lesion[order])
    for image, box in zip(some.truths.image, some.truths.box, strict=True):
        np.testing.assert_array_equal(box, white(some.images[image]))
    with pytest.raises(ValueError, match=f"images: numbers must lie in 0 to {len(cuts) - 1}, got -1 to 3"):
        cuts.take([3, -1])
    with pytest.raises(ValueError, match="an image is named twice"):
        cuts.take([3, 3])
    for change, message in (
        ({"images": cuts.images / 255}, r"^crops.images: expected \(N, S, S\) uint8, got float64"),
        ({"woman": cuts.woman[1:]}, f"^crops.woman: expected {len(cuts)} values, one an image, got {len(cuts) - 1}"),
        ({"truths": some.truths}, f"^crops.truths: expected {len(cuts)} values, one an image, got 9"),
    ):
        with pytest.raises(ValueError, match=message):
            replace(cuts, **change)


# --- Labelled patches -------------------------------------------------------------------------------------------------
FILMS = [
    Film(1, dark_rows=100, tissue="F"),
    Film(2, (lesion(130, 130),), tissue="F"),
    Film(3, (lesion(290, 250, 20, "M", "SPIC"),), tissue="D"),
]


def test_what_label_a_patch_of_a_malignant_film_gets_under_each_reading():
    by_film, by_lesion = (patches.labelled_patches(FILMS, reading=r) for r in ("film", "lesion"))
    np.testing.assert_array_equal(by_film.images, by_lesion.images)
    np.testing.assert_array_equal(by_film.has_lesion, by_lesion.has_lesion)
    film_label = np.array([{"mdb001": 0, "mdb002": 1, "mdb003": 2}[f] for f in by_film.film])
    np.testing.assert_array_equal(by_film.label, film_label)
    np.testing.assert_array_equal(by_lesion.label, np.where(by_lesion.has_lesion, film_label, 0))
    assert by_film.strata is by_film.label
    assert by_lesion.has_lesion.sum() == 4 + 4
    for image, has in zip(by_film.images, by_film.has_lesion, strict=True):
        assert not has or (image == 255).any()
    assert ((by_film.images == 255).any(axis=(1, 2)) & ~by_film.has_lesion).any()  # the edge only: normal by lesion
    assert dict(zip(by_film.film, by_film.kind, strict=True)) == {"mdb001": "NORM", "mdb002": "CIRC", "mdb003": "SPIC"}
    assert dict(zip(by_film.film, by_film.tissue, strict=True)) == {"mdb001": "F", "mdb002": "F", "mdb003": "D"}
    assert dict(zip(by_film.film, by_film.woman, strict=True)) == {"mdb001": 1, "mdb002": 1, "mdb003": 2}


def test_without_a_draw_there_is_every_patch_that_survives():
    found = patches.labelled_patches(FILMS)
    counts = patches.survivors(FILMS)[:, 0, 0]
    assert [(found.film == f.reference).sum() for f in FILMS] == counts.tolist()
    tiles = np.concatenate([patches.grid(f.pixels()).reshape(-1, 128, 128) for f in FILMS])
    np.testing.assert_array_equal(found.images, tiles[patches.dark_fraction(tiles) <= 0.2])
    some = found.take([5, 2])
    assert isinstance(some, Patches) and some.film.tolist() == found.film[[5, 2]].tolist()
    np.testing.assert_array_equal(some.images, found.images[[5, 2]])


def test_a_draw_is_balanced_seeded_and_without_replacement():
    drawn = [patches.labelled_patches(FILMS, per_class={0: 9, 1: 9, 2: 9}, seed=s) for s in (0, 0, 1)]
    assert np.bincount(drawn[0].label).tolist() == [9, 9, 9]
    np.testing.assert_array_equal(drawn[0].images, drawn[1].images)
    assert (drawn[0].film == np.sort(drawn[0].film)).all() and not np.array_equal(drawn[0].images, drawn[2].images)
    assert len(patches.labelled_patches(FILMS, limit=11)) == 11
    every = patches.labelled_patches(FILMS, limit=len(patches.labelled_patches(FILMS)))
    np.testing.assert_array_equal(every.images, patches.labelled_patches(FILMS).images)


def test_views_are_patches_of_their_own():
    one, eight = (patches.labelled_patches(FILMS, reading="lesion", views=v) for v in (1, 8))
    assert len(eight) == 8 * len(one) and eight.view.tolist() == list(range(8)) * len(one)
    np.testing.assert_array_equal(eight.images[::8], one.images)
    np.testing.assert_array_equal(eight.images[5::8], [DIHEDRAL[5].image(i) for i in one.images])
    assert len(patches.labelled_patches(FILMS, reading="lesion", views=8, per_class={1: 30, 2: 30})) == 60


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reading": "patch"}, "reading: must be 'film' or 'lesion', got 'patch'"),
        ({"per_class": {0: 3}, "limit": 3}, "per_class, limit: give one of them, not both"),
        ({"reading": "lesion", "per_class": {1: 5}}, "5 patches of class 1 are to be drawn, but there are 4"),
        ({"limit": 10**6}, "1000000 patches are to be drawn, but there are"),
        ({"limit": -1}, "-1 patches are to be drawn"),
    ],
)
def test_a_draw_that_cannot_be_made(options: dict[str, object], message: str):
    with pytest.raises(ValueError, match=message):
        patches.labelled_patches(FILMS, **options)


# --- The centre prior -------------------------------------------------------------------------------------------------
def test_squares_in_the_centre_hit_within_a_factor_of_root_two():
    boxes = geometry.circle_to_box(128, 128, np.array([25.0, 36, 50, 70, 71]))
    assert centre.centre_hits(boxes, [100]).tolist() == [[False, True, True, True, False]]
    assert centre.centre_prior(boxes, [100]) == 0.6
    assert centre.centre_prior(boxes, [50, 100, 180]) == 1.0
    with pytest.raises(ValueError, match="sizes, entry 1: must be positive, got 0"):
        centre.centre_prior(boxes, [10, 0])


corner = st.integers(0, 15)
small_boxes = st.tuples(corner, corner, st.integers(1, 16), st.integers(1, 16)).map(
    lambda b: [b[0], b[1], min(b[0] + b[2], 16), min(b[1] + b[3], 16)]
)


@given(st.lists(small_boxes, min_size=1, max_size=8), st.integers(1, 3))
@settings(max_examples=60)
def test_the_best_sizes_are_the_best_of_all(boxes: list[list[int]], k: int):
    sizes, recall = centre.best_sizes(boxes, k, size=16)
    hits = centre.centre_hits(boxes, np.arange(1, 17), 16)
    best = max(hits[list(chosen)].any(axis=0).mean() for chosen in itertools.combinations(range(16), k))
    assert recall == pytest.approx(best)
    assert centre.centre_prior(boxes, sizes, 16) == pytest.approx(best)
    assert len(sizes) == k and list(sizes) == sorted(set(sizes))
    for most in (0, 17):
        with pytest.raises(ValueError, match=f"k: must be 1 to 16, got {most}"):
            centre.best_sizes(boxes, most, size=16)


# --- The real films ---------------------------------------------------------------------------------------------------
def test_the_papers_816_crops(real_films):
    start = perf_counter()
    crops = patches.lesion_crops(real_films, paper=True)
    assert perf_counter() - start < 3
    assert np.bincount(crops.strata[::8]).tolist() == [0, 56, 46] and len(crops) == 816
    every = patches.lesion_crops(real_films)
    assert len(every) == 832 and len(np.unique(every.woman)) == 98
    assert set(every.film) - set(crops.film) == {"mdb021", "mdb214"}


def test_cuts_and_patches_of_the_real_films(real_films):
    single = [f for f in real_films if f.lesions]
    assert [len(patches.uniform_cuts(single, max_dark=d)) for d in (None, 0.2)] == [659, 469]
    counts = patches.survivors(real_films)  # the background rule keeps 80 of 225
    assert counts.mean().round(1) == 79.8 and np.median(counts) == 77


def test_a_box_that_never_moves(real_films):
    boxes = patches.lesion_crops(real_films, views=1).truths.box
    recalls = [centre.best_sizes(boxes, k)[1] for k in (1, 2, 3)]
    assert np.round(recalls, 3).tolist() == [0.452, 0.75, 0.933]
    assert round(centre.centre_prior(boxes, [72]), 3) == 0.442
