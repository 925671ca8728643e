"""The image sets of Experiments A to E: the tumour-centred crops, the uniform cuts, how each is split and tested on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mammolib import mias, splits
from mammolib.patches import Crops, lesion_crops, uniform_cuts
from mammolib.splits import Split

if TYPE_CHECKING:
    from mammolib.experiments.detection import Detection

UNIFORM_SIZES = (3500, 500, 329)
"""Uniform cuts that train, validate and test in Experiment E, beside 816 crops."""


def centred(films: Sequence[mias.Film]) -> Crops:
    """Return the paper's tumour-centred set: 816 crops of the real films, eight views of each of 102 lesions."""
    return lesion_crops(films, paper=True)


def divide(crops: Crops, split: str, seed: int) -> Split:
    """Split the tumour-centred set: 600, 100 and 116 of 816 crops, in the same shares of any other number.

    `split` is "image", "lesion-order", "lesion", "film" or "woman"; the seed is that of the order of dealing.
    """
    n, paper = len(crops), sum(splits.PAPER_SIZES)
    sizes = splits.PAPER_SIZES if n == paper else tuple(s / paper for s in splits.PAPER_SIZES)
    if split == "image":
        return splits.by_image(n, sizes, seed)
    if split == "lesion-order":
        return splits.lesion_order(crops.lesion, sizes)
    return splits.by_group(getattr(crops, split), crops.strata, sizes, seed, split)


def uniform(films: Sequence[mias.Film], crops: Crops, part: Split, seed: int) -> tuple[Crops, Split]:
    """Return Experiment E's uniform cuts, split so that none that trains or validates shows a lesion A tests on.

    The paper states neither the rule of the cuts nor their lesions. Here: a 256 grid at stride 64, the cuts that hold
    the whole lesion, eight views of each, dark or not; of these at most the paper's 3500, 500 and 329 are drawn, or the
    same shares of another number of crops. A lesion of which A tests any view tests. The others are as in A; where A
    has views of one lesion on several sides, as by image, their cuts are dealt out at random, seven to one, to training
    and validation. `crops` and `part` are A's crops and how it split them.
    """
    trains, validates, tests = (set(crops.film[rows]) for rows in (part.training, part.validation, part.test))
    cuts = uniform_cuts([f for f in films if f.reference in set(crops.film)], views=8, max_dark=None)
    order = np.random.default_rng([seed, 3]).permutation(len(cuts))
    tested = np.isin(cuts.film[order], sorted(tests))
    if validates & (trains | tests):
        free = order[~tested]
        edge = round(len(free) * UNIFORM_SIZES[0] / sum(UNIFORM_SIZES[:2]))
        sides = [free[:edge], free[edge:], order[tested]]
    else:
        second = np.isin(cuts.film[order], sorted(validates)) & ~tested
        sides = [order[~tested & ~second], order[second], order[tested]]
    most = [round(size * len(crops) / sum(splits.PAPER_SIZES)) for size in UNIFORM_SIZES]
    train, validate, test = (np.sort(side[:n]) for side, n in zip(sides, most, strict=True))
    return cuts, Split(train, validate, test, part.kind)


def prepare(one: Detection, films: Sequence[mias.Film], split: str, seed: int) -> dict[str, tuple[Crops, Split]]:
    """Return the crops that an experiment needs, and their split: "centred", and maybe "uniform"."""
    crops = centred(films)
    made = {"centred": (crops, divide(crops, split, seed))}
    if "uniform" in (one.trains_on, *one.tests_on):
        made["uniform"] = uniform(films, *made["centred"], seed)
    return made


def mirror_in_training(crops: Crops, split: Split, images: NDArray | None = None) -> NDArray[np.bool_]:
    """Return (N,) True where a training crop, mirrored left to right, *is* the test crop, pixel by pixel.

    `images` are the (N, H, W) test crops in an order of their own; in the split's order if not given.
    """
    seen = {crops.images[row].tobytes() for row in split.training}
    asked = crops.images[split.test] if images is None else images
    return np.array([image[:, ::-1].tobytes() in seen for image in asked])
