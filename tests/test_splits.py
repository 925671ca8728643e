"""Splits: disjoint, complete, and without a leak where they say so; with one where the paper may have had it."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammolib import patches, splits
from mammolib.splits import SIDES, Split

seeds = st.integers(0, 1000)


@st.composite
def people(draw: st.DrawFn, least: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Woman and class of every image: at least `least` women of each of one to three classes, in any order."""
    classes = draw(st.integers(1, 3))
    families = [
        (c, draw(st.integers(1, 4))) for c in range(classes) for _ in range(draw(st.integers(least, least + 15)))
    ]
    women = np.repeat(np.arange(len(families)), [images for _, images in families])
    strata = np.repeat([c for c, _ in families], [images for _, images in families])
    order = np.random.default_rng(draw(seeds)).permutation(len(women))
    return 7 + 2 * women[order], strata[order]


def is_partition(split: Split, n: int) -> bool:
    return sorted(np.concatenate([getattr(split, side) for side in SIDES]).tolist()) == list(range(n))


def leaks(split: Split, groups: np.ndarray) -> bool:
    """Whether any group has images on two sides, by sets."""
    a, b, c = (set(groups[getattr(split, side)].tolist()) for side in SIDES)
    return bool(a & b or a & c or b & c)


# --- By image, in the last tenth, in lesion order ---------------------------------------------------------------------
@given(st.integers(3, 200), seeds, st.data())
def test_by_image_is_a_partition_of_the_sizes_asked_for(n: int, seed: int, data: st.DataObject):
    training = data.draw(st.integers(1, n - 2))
    validation = data.draw(st.integers(1, n - training - 1))
    sizes = (training, validation, n - training - validation)
    split = splits.by_image(n, sizes, seed)
    assert split.sizes == sizes and is_partition(split, n) and split.kind == "image"


def test_by_image_leaks_nearly_every_lesion():
    lesion = np.repeat(np.arange(102), 8)
    for seed in range(20):
        split = splits.by_image(816, seed=seed)
        assert split.sizes == (600, 100, 116)
        assert 60 < len(split.shared(lesion)) <= 102  # of some 102 x (1 - (700 / 816)^8) = 72 expected
        with pytest.raises(ValueError, match=r"^split by image: lesion \d+ \(and \d+ more\) is both in"):
            split.check(lesion, "lesion")
    assert np.mean([len(splits.by_image(816, seed=s).shared(lesion)) for s in range(50)]) == pytest.approx(72, abs=2)


def test_a_seed_makes_a_split():
    women, strata = np.repeat(np.arange(60), 2), np.repeat(np.arange(60) % 2, 2)
    for make in (
        lambda seed: splits.by_image(120, (80, 20, 20), seed),
        lambda seed: splits.last_tenth(120, seed),
        lambda seed: splits.by_woman(women, strata, seed=seed),
        lambda seed: splits.folds_by_woman(women, strata, 4, seed)[2],
    ):
        tests = [make(seed).test.tolist() for seed in (3, 3, 4)]
        assert tests[0] == tests[1] != tests[2]


@pytest.mark.parametrize(("n", "sizes"), [(1567, (1269, 141, 157)), (2800, (2268, 252, 280))])
def test_the_last_tenth_gives_the_papers_numbers(n: int, sizes: tuple[int, int, int]):
    split = splits.last_tenth(n)
    assert split.sizes == sizes and is_partition(split, n)


def test_in_lesion_order_with_the_papers_sizes():
    lesion = np.repeat(np.arange(102), 8)
    split = splits.lesion_order(lesion)
    assert split.sizes == (600, 96, 120) and not leaks(split, lesion)
    assert set(lesion[split.training]) == set(range(75))


@given(st.lists(st.integers(1, 9), min_size=3, max_size=20), seeds, st.data())
def test_lesion_order_keeps_lesions_whole_and_in_order(views: list[int], seed: int, data: st.DataObject):
    lesion = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(views)) * 3, views))
    n = len(lesion)
    training = data.draw(st.integers(1, n - 2))
    validation = data.draw(st.integers(1, n - training - 1))
    sizes = (training, validation, n - training - validation)
    try:
        split = splits.lesion_order(lesion, sizes)
    except ValueError as err:
        assert "set is empty" in str(err)  # one lesion is larger than the side it would have to fill
        return
    assert is_partition(split, n) and not leaks(split, lesion)
    assert lesion[split.training].max() < lesion[split.validation].min()
    assert lesion[split.validation].max() < lesion[split.test].min()
    for edge, ideal in zip(np.cumsum(split.sizes), np.cumsum(sizes), strict=True):
        assert abs(edge - ideal) <= max(views) / 2


# --- By woman ---------------------------------------------------------------------------------------------------------
@given(people(), seeds, st.sampled_from([(0.7, 0.1, 0.2), (0.5, 0.25, 0.25), (0.8, 0.1, 0.1)]))
@settings(max_examples=150)
def test_by_woman_never_leaks_a_woman(who: tuple[np.ndarray, np.ndarray], seed: int, sizes: tuple[float, ...]):
    women, strata = who
    split = splits.by_woman(women, strata, sizes, seed)
    assert is_partition(split, len(women)) and not leaks(split, women) and split.kind == "woman"
    for side, share in zip(SIDES, sizes, strict=True):
        rows = getattr(split, side)
        for c in np.unique(strata):
            assert (strata[rows] == c).any()
            got, total = (strata[rows] == c).sum(), (strata == c).sum()
            assert abs(got - share * total) <= 8  # two of the largest families


@given(people(), seeds, st.integers(2, 5))
@settings(max_examples=40)
def test_folds_never_leak_a_woman_and_every_woman_tests_once(who: tuple[np.ndarray, np.ndarray], seed: int, k: int):
    women, strata = who
    try:
        folds = splits.folds_by_woman(women, strata, k, seed)
    except ValueError as err:
        refused = rf"split by woman, fold [1-{k}] of {k}: (class \d has no image in|the \w+ set is empty)"
        assert re.match(refused, str(err)) and "\n" not in str(err)
        return
    assert len(folds) == k and [f.kind for f in folds] == [f"woman, fold {i + 1} of {k}" for i in range(k)]
    for fold in folds:
        assert is_partition(fold, len(women)) and not leaks(fold, women)
    assert sorted(np.concatenate([fold.test for fold in folds]).tolist()) == list(range(len(women)))


MAY_LEAK = {"by_image", "last_tenth", "lesion_order", "by_group"}


def test_every_split_of_the_library_is_known_to_leak_or_not():
    """by_woman, by_group of women and folds_by_woman share no woman; the others may."""
    offered = {name for name in vars(splits) if name.startswith(("by_", "folds_", "last_", "lesion_"))}
    assert offered == {"by_woman", "folds_by_woman"} | MAY_LEAK, "a new split: test here whether it keeps women apart"
    women, strata = np.repeat(np.arange(60), np.arange(60) % 4 + 1), np.arange(150) % 2
    for seed in range(10):
        split = splits.by_group(women, strata, seed=seed, kind="film")
        assert is_partition(split, 150) and not leaks(split, women) and split.kind == "film"
        assert split.test.tolist() == splits.by_woman(women, strata, seed=seed).test.tolist()


def test_ten_folds_of_balanced_women_are_balanced():
    women, strata = np.repeat(np.arange(100), 8), np.repeat(np.arange(100) % 2, 8)
    for fold in splits.folds_by_woman(women, strata, 10):
        assert fold.sizes == (640, 80, 80) or fold.sizes == (648, 72, 80) or fold.sizes == (656, 64, 80)
        assert np.bincount(strata[fold.test]).tolist() == [40, 40]


def test_women_stay_whole_with_both_classes_and_for_numbers_of_images():
    women = np.repeat(np.arange(20), 2)
    split = splits.by_woman(women, np.tile([0, 1], 20))
    assert not leaks(split, women) and split.sizes == (28, 4, 8)
    women, strata = np.repeat(np.arange(102), 8), np.repeat(np.arange(102) % 2, 8)
    split = splits.by_woman(women, strata, (600, 100, 116))
    assert all(size % 8 == 0 for size in split.sizes)
    assert np.abs(np.array(split.sizes) - [600, 100, 116]).max() <= 8


def test_names_may_be_texts():
    women = np.array([f"w{i // 2}" for i in range(40)])
    strata = np.array(["benign", "malignant"])[(np.arange(40) // 2) % 2]
    assert not leaks(splits.by_woman(women, strata), women)
    assert len(splits.folds_by_woman(women, strata, 3)) == 3


# --- A split and its checks -------------------------------------------------------------------------------------------
def test_a_leak_is_named():
    split = Split(np.array([0, 1]), np.array([2]), np.array([3, 4]), "image")
    assert split.check([1, 1, 2, 3, 3], "woman") is split
    assert split.shared([1, 2, 3, 2, 1]).tolist() == [1, 2]
    with pytest.raises(ValueError, match="^split by image: woman 9 is both in training and in test$"):
        split.check([9, 1, 2, 9, 3], "woman")
    with pytest.raises(ValueError, match="^split by image: film mdb001 is both in validation and in test$"):
        split.check(["mdb003", "mdb005", "mdb001", "mdb007", "mdb001"], "film")
    with pytest.raises(ValueError, match="groups: 4 given, but the test set names image 4"):
        split.check([1, 1, 2, 3])
    with pytest.raises(ValueError, match="side: must be one of training, validation, test, got 'train'"):
        split.shared([1, 1, 2, 3, 3], "train")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (([0], [], [1]), "^split by hand: the validation set is empty$"),
        (([0], [1], []), "^split by hand: the test set is empty$"),
        (([0, 2], [1], [2]), "^split by hand: image 2 is named twice$"),
        (([0, 0], [1], [2]), "^split by hand: image 0 is named twice$"),
        (([0.5], [1], [2]), "^split.training: expected image numbers, got float64"),
        (([[0]], [1], [2]), r"^split.training: expected image numbers, got int64 of shape \(1, 1\)"),
        (([0], [-1], [2]), "^split by hand: the validation set names image -1$"),
    ],
)
def test_a_split_that_is_none(rows: tuple[list, list, list], message: str):
    with pytest.raises(ValueError, match=message):
        Split(*(np.array(r) for r in rows), "hand")


WOMEN, STRATA = np.repeat(np.arange(10), 2), np.repeat(np.arange(10) % 2, 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: splits.by_image(816, (600, 100, 115)), r"^sizes: 600 \+ 100 \+ 115 = 815, but there are 816 images$"),
        (lambda: splits.by_image(10, (0.7, 0.1, 0.1)), "^sizes: the shares 0.7, 0.1, 0.1 add up to 0.9, not to 1$"),
        (lambda: splits.by_image(10, (10, 0, 0)), "^sizes: expected three positive numbers"),
        (lambda: splits.by_image(10, (0.8, 0.2)), "^sizes: expected three positive numbers"),
        (lambda: splits.by_image(3, (0.9, 0.05, 0.05)), "^split by image: the validation set is empty$"),
        (lambda: splits.last_tenth(4), "^split by last-tenth: the validation set is empty$"),
        (lambda: splits.lesion_order([0, 1, -1, 2], (2, 1, 1)), "^lesion, row 2: the image shows no lesion"),
        (lambda: splits.lesion_order([0] * 8, (4, 2, 2)), "^split by lesion-order: the .* set is empty$"),
        (lambda: splits.by_woman([], []), "^women: expected one woman an image"),
        (lambda: splits.by_woman(WOMEN, STRATA[:-1]), r"^strata: expected 20 classes, one an image, got shape \(19,\)"),
        (lambda: splits.by_woman([1, 1, 2, 2], [0, 0, 1, 1]), "^split by woman: the .* set is empty$"),
        (lambda: splits.by_woman(WOMEN, WOMEN == 0), "^split by woman: class True has no image in the"),
        (lambda: splits.folds_by_woman(WOMEN, STRATA, 1), "^k: must be at least 2, got 1$"),
        (lambda: splits.folds_by_woman(WOMEN, STRATA, 6), "^k: class 0 has 5 women, too few for 6 folds$"),
        (
            lambda: splits.folds_by_woman([11, 13, 13, 15, 13, 7, 9], [0] * 7, 2, seed=4),
            "^split by woman, fold 1 of 2: the validation set is empty$",
        ),
    ],
)
def test_what_cannot_be_split_is_refused_in_one_line(make, message: str):
    with pytest.raises(ValueError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


# --- The real films ---------------------------------------------------------------------------------------------------
def test_the_papers_set_under_each_split(real_films):
    crops = patches.lesion_crops(real_films, paper=True)
    assert len(splits.by_image(816).shared(crops.lesion)) > 60
    ordered = splits.lesion_order(crops.lesion)
    assert ordered.sizes == (600, 96, 120)
    ordered.check(crops.lesion, "lesion").check(crops.woman, "woman")  # as it happens, no woman straddles an edge
    apart = splits.by_woman(crops.woman, crops.strata)
    assert apart.sizes == (568, 88, 160)
    assert [np.bincount(crops.strata[getattr(apart, s)])[1:].tolist() for s in SIDES] == [
        [39 * 8, 32 * 8],
        [6 * 8, 5 * 8],
        [11 * 8, 9 * 8],
    ]
    folds = splits.folds_by_woman(crops.woman, crops.strata, 10)
    assert sum(len(f.test) for f in folds) == 816
    for split in [*folds, *(splits.by_woman(crops.woman, crops.strata, seed=seed) for seed in range(10))]:
        assert not leaks(split, crops.woman)
