"""Splits into training, validation and test: by image as the paper may have done, by lesion, by film, and by woman.

The two films of a woman, and the eight views of a lesion, look alike. A split that puts some of them on one side and
some on another lets a network be tested on what it has learnt by heart: that is the leak. Every function here says
whether its split can leak; those that promise not to check themselves.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

SIDES = ("training", "validation", "test")
PAPER_SIZES = (600, 100, 116)
"""Images of the paper's tumour-centred set for training, validation and test (section 4.2, Experiment A)."""


@dataclass(frozen=True)
class Split:
    """Which images train, which validate, which test: (k,) int, no image on two sides and no side empty.

    `kind` says how the split was made: "image", "last-tenth", "lesion-order", "lesion", "film", "woman" or
    "woman, fold 1 of 10".

    Raises:
        ValueError: an empty side, a negative number, or an image named twice; names the side and the image.
    """

    training: NDArray[np.integer]
    validation: NDArray[np.integer]
    test: NDArray[np.integer]
    kind: str

    def __post_init__(self) -> None:
        for side in SIDES:
            rows = np.asarray(getattr(self, side))
            if not rows.size:
                raise ValueError(f"split by {self.kind}: the {side} set is empty")
            if rows.ndim != 1 or rows.dtype.kind not in "iu":
                raise ValueError(f"split.{side}: expected image numbers, got {rows.dtype} of shape {rows.shape}")
            if rows.min() < 0:
                raise ValueError(f"split by {self.kind}: the {side} set names image {rows.min()}")
            vars(self)[side] = rows.astype(int)
        images, count = np.unique(np.concatenate([self.training, self.validation, self.test]), return_counts=True)
        if (count > 1).any():
            raise ValueError(f"split by {self.kind}: image {images[count > 1][0]} is named twice")

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Numbers of images that train, validate and test."""
        return len(self.training), len(self.validation), len(self.test)

    def shared(self, groups: ArrayLike, a: str = "training", b: str = "test") -> NDArray:
        """Return the groups that have images on both sides `a` and `b`, sorted: what leaks from one to the other.

        `groups` has the group of every image, such as its woman or its lesion.
        """
        groups = np.asarray(groups)
        for side in (a, b):
            if side not in SIDES:
                raise ValueError(f"side: must be one of {', '.join(SIDES)}, got {side!r}")
            if (last := getattr(self, side).max()) >= len(groups):
                raise ValueError(f"groups: {len(groups)} given, but the {side} set names image {last}")
        return np.intersect1d(groups[getattr(self, a)], groups[getattr(self, b)])

    def check(self, groups: ArrayLike, name: str = "group") -> Split:
        """Return the split itself; a ValueError names a group, called `name`, that has images on two sides."""
        for a, b in combinations(SIDES, 2):
            shared = self.shared(groups, a, b)
            if len(shared):
                more = f" (and {len(shared) - 1} more)" if len(shared) > 1 else ""
                raise ValueError(f"split by {self.kind}: {name} {shared[0]}{more} is both in {a} and in {b}")
        return self


def by_image(n: int, sizes: Sequence[float] = PAPER_SIZES, seed: int = 0) -> Split:
    """Split n images at random, one by one: the paper's sizes, and perhaps its way. This split leaks.

    Args:
        n: number of images.
        sizes: images that train, validate and test; or three shares that add up to 1.
        seed: of the shuffle.

    Raises:
        ValueError: sizes that do not add up, or an empty side.
    """
    order = np.random.default_rng(seed).permutation(n)
    training, validation, test = map(np.sort, np.split(order, _edges(sizes, n)))
    return Split(training, validation, test, "image")


def last_tenth(n: int, seed: int = 0) -> Split:
    """Split as the paper does for classification (section 4.1): a tenth tests, the last tenth of the rest validates.

    1567 patches give 1269, 141 and 157, the paper's numbers. Patches of one film come to lie on all sides: it leaks.
    The paper does not describe the shuffle before the cut.
    """
    tested = round(n / 10)
    validated = round((n - tested) / 10)
    order = np.random.default_rng(seed).permutation(n)
    training, validation, test = np.split(order, [n - tested - validated, n - tested])
    return Split(training, validation, test, "last-tenth")


def lesion_order(lesion: ArrayLike, sizes: Sequence[float] = PAPER_SIZES) -> Split:
    """Split in the order of the lesions, without a shuffle: the other way in which the paper may have split.

    600 = 75 x 8 images are the first 75 lesions. The paper's 100 = 12.5 x 8 and 116 = 14.5 x 8 would cut one lesion in
    half; here every lesion stays whole. One that an edge would cut goes where more of it lies, and on a tie to the
    later side: the paper's sizes become 600, 96 and 120. Two lesions may be of one woman, in her two films.

    Args:
        lesion: (N,) number of the lesion on every image, in any order; views of a lesion share a number.
        sizes: as in `by_image`.

    Raises:
        ValueError: an image without a lesion, sizes that do not add up, or an empty side.
    """
    lesion = np.asarray(lesion)
    without = np.flatnonzero(lesion < 0)
    if len(without):
        raise ValueError(f"lesion, row {without[0]}: the image shows no lesion; this split is for those that do")
    order = np.argsort(lesion, kind="stable")
    ends = np.flatnonzero(np.diff(lesion[order], prepend=-1, append=-1))  # where a lesion begins or the last one ends
    nearest = [ends[np.abs(ends - edge).argmin()] for edge in _edges(sizes, len(lesion))]  # the lower one on a tie
    training, validation, test = np.split(order, nearest)
    return Split(training, validation, test, "lesion-order").check(lesion, "lesion")


def by_woman(women: ArrayLike, strata: ArrayLike, sizes: Sequence[float] = (0.7, 0.1, 0.2), seed: int = 0) -> Split:
    """Split so that all images of a woman are on one side, and the classes are spread alike. No woman leaks.

    Args:
        women: (N,) woman of every image.
        strata: (N,) class of every image.
        sizes: three shares that add up to 1, or numbers of images that add up to N. Women are whole, so the sizes
            come out as near to these as they can.
        seed: of the order in which women are dealt out.

    Raises:
        ValueError: arrays of two lengths, sizes that do not add up, an empty side, or a class absent from a side.
    """
    return by_group(women, strata, sizes, seed, "woman")


def by_group(
    groups: ArrayLike, strata: ArrayLike, sizes: Sequence[float] = (0.7, 0.1, 0.2), seed: int = 0, kind: str = "group"
) -> Split:
    """Split as `by_woman` does, by groups of another kind, such as "lesion" or "film". What is larger may leak."""
    groups, strata = _groups(groups, strata)
    _edges(sizes, len(groups))  # checked, but not used: groups are whole anyway
    side = _deal(groups, strata, np.array(sizes) / sum(sizes), np.random.default_rng(seed))
    training, validation, test = (np.flatnonzero(side == s) for s in range(3))
    return _clean(Split(training, validation, test, kind), groups, strata, kind)


def folds_by_woman(women: ArrayLike, strata: ArrayLike, k: int = 10, seed: int = 0) -> list[Split]:
    """Split k times so that every woman tests exactly once: scikit-learn's StratifiedGroupKFold. No woman leaks.

    A tenth of the images outside the test fold validates, by woman too. The paper implemented a 10-fold
    cross-validation and did not run it (section 5). For `women` and `strata` see `by_woman`.

    Raises:
        ValueError: arrays of two lengths, a class with fewer than k women, a side of a fold that is empty, or a class
            absent from one. With few women, no whole one may fit the tenth that validates.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    women, strata = _groups(women, strata)
    if k < 2:
        raise ValueError(f"k: must be at least 2, got {k}")
    for value in np.unique(strata):
        few = len(np.unique(women[strata == value]))
        if few < k:
            raise ValueError(f"k: class {value} has {few} women, too few for {k} folds")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the least frequent class is checked above, by women
        parts = list(StratifiedGroupKFold(k, shuffle=True, random_state=seed).split(strata, strata, women))
    splits = []
    for i, (rest, test) in enumerate(parts):
        side = _deal(women[rest], strata[rest], np.array([0.9, 0.1]), np.random.default_rng([seed, i]))
        split = Split(rest[side == 0], rest[side == 1], test, f"woman, fold {i + 1} of {k}")
        splits.append(_clean(split, women, strata, "woman"))
    return splits


def _clean(split: Split, groups: NDArray, strata: NDArray, kind: str) -> Split:
    """Return a split in which no group is on two sides and every class on all of them; refuse another."""
    for side in SIDES:
        missing = np.setdiff1d(strata, strata[getattr(split, side)])
        if len(missing):
            raise ValueError(f"split by {split.kind}: class {missing[0]} has no image in the {side} set; enlarge it")
    return split.check(groups, kind)


def _deal(women: NDArray, strata: NDArray, shares: NDArray, rng: np.random.Generator) -> NDArray[np.integer]:
    """Deal women out to sides; return the (N,) side of every image.

    Women come in random order, those of a rare class first, and each goes to the side that lacks most of what she has,
    in proportion to what that side should get (Sainte-Lague's rule for seats). When no more women of a class are left
    than there are sides without any, those sides come first, however small their share.
    """
    names, who = np.unique(women, return_inverse=True)
    classes, what = np.unique(strata, return_inverse=True)
    has = np.zeros((len(names), len(classes)))
    np.add.at(has, (who, what), 1)
    total = has.sum(axis=0)
    want, got = shares[:, None] * total, np.zeros((len(shares), len(classes)))
    rarest = np.where(has > 0, total, np.inf).min(axis=1)
    left = (has > 0).sum(axis=0)
    side = np.zeros(len(names), int)
    for w in sorted(rng.permutation(len(names)), key=lambda w: rarest[w]):
        lack = ((want - got - has[w] / 2) / want) @ (has[w] / total)
        without = (got == 0) & (has[w] > 0)
        side[w] = (lack + 1e6 * (without & (left <= without.sum(axis=0))).any(axis=1)).argmax()
        got[side[w]] += has[w]
        left -= has[w] > 0
    return side[who]


def _groups(women: ArrayLike, strata: ArrayLike) -> tuple[NDArray, NDArray]:
    women, strata = np.asarray(women), np.asarray(strata)
    if women.ndim != 1 or not len(women):
        raise ValueError(f"women: expected one woman an image, got shape {women.shape}")
    if strata.shape != women.shape:
        raise ValueError(f"strata: expected {len(women)} classes, one an image, got shape {strata.shape}")
    return women, strata


def _edges(sizes: Sequence[float], n: int) -> list[int]:
    """Return where validation and test begin among n images, for three sizes or three shares."""
    if len(sizes) != 3 or not all(s > 0 for s in sizes):
        raise ValueError(f"sizes: expected three positive numbers for {', '.join(SIDES)}, got {tuple(sizes)}")
    if all(isinstance(s, int | np.integer) for s in sizes):
        if sum(sizes) != n:
            raise ValueError(f"sizes: {' + '.join(map(str, sizes))} = {sum(sizes)}, but there are {n} images")
        return [int(sizes[0]), int(sizes[0] + sizes[1])]
    if not math.isclose(sum(sizes), 1):
        raise ValueError(f"sizes: the shares {', '.join(map(str, sizes))} add up to {sum(sizes):g}, not to 1")
    return [round(n * sizes[0]), round(n * (sizes[0] + sizes[1]))]
