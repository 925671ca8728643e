"""The image sets of Experiments A to E: the tumour-centred crops, the uniform cuts, how each is split and tested on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammolib import mias, splits
from mammolib.experiments.detection import Detection
from mammolib.patches import Crops, lesion_crops, uniform_cuts
from mammolib.splits import Split

UNIFORM_SIZES = (3500, 500, 329)
"""Uniform cuts that train, validate and test in Experiment E."""


def centred(films: Sequence[mias.Film]) -> Crops:
    """Return the paper's tumour-centred set: 816 crops of the real films, eight views of each of 102 lesions."""
    return lesion_crops(films, paper=True)


def divide(crops: Crops, split: str, seed: int) -> Split:
    """Split the tumour-centred set: 600, 100 and 116 of 816 crops, in the same shares of any other number.

    Args:
        crops: the set.
        split: "image", "lesion-order", "lesion", "film" or "woman".
        seed: of the order in which they are dealt out.
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
    the whole lesion, eight views of each, dark or not; of these at most the paper's 3500, 500 and 329 are drawn. A
    lesion of which A tests any view tests. The others are as in A; where A has views of one lesion on several sides,
    as by image, their cuts are dealt out at random, seven to one, to training and validation.

    Args:
        films: a data set.
        crops, part: A's crops and how it split them.
        seed: of the draw.
    """
    tests, validates = (set(crops.film[rows]) for rows in (part.test, part.validation))
    mixed = bool(validates & (set(crops.film[part.training]) | tests))
    cuts = uniform_cuts([f for f in films if f.reference in set(crops.film)], views=8, max_dark=None)
    rng = np.random.default_rng([seed, 3])
    order = rng.permutation(len(cuts))
    tested = np.isin(cuts.film[order], sorted(tests))
    if mixed:
        free = order[~tested]
        edge = round(len(free) * UNIFORM_SIZES[0] / sum(UNIFORM_SIZES[:2]))
        sides = [free[:edge], free[edge:], order[tested]]
    else:
        second = np.isin(cuts.film[order], sorted(validates)) & ~tested
        sides = [order[~tested & ~second], order[second], order[tested]]
    train, validate, test = (np.sort(side[:most]) for side, most in zip(sides, UNIFORM_SIZES, strict=True))
    return cuts, Split(train, validate, test, part.kind)


def mirror_in_training(crops: Crops, split: Split, images: NDArray | None = None) -> NDArray[np.bool_]:
    """Say for each test crop whether the training set holds its mirror image, pixel by pixel.

    Args:
        crops: lesions in eight views each.
        split: which crops train and which test.
        images: (N, H, W) the test crops in an order of their own; in the split's order if not given.

    Returns:
        (N,) True where a training crop, mirrored left to right, *is* the test crop.
    """
    seen = {crops.images[row].tobytes() for row in split.training}
    asked = crops.images[split.test] if images is None else images
    return np.array([np.ascontiguousarray(image[:, ::-1]).tobytes() in seen for image in asked])


@dataclass(frozen=True)
class Sets:
    """The data of a run.

    Attributes:
        experiment: whose.
        all: "centred", and where it is needed "uniform": crops and their split.
        digest: of the films; it gives the order in which test crops are recorded.
    """

    experiment: Detection
    all: Mapping[str, tuple[Crops, Split]]
    digest: str

    @classmethod
    def of(cls, one: Detection, films: Sequence[mias.Film], split: str, seed: int, digest: str) -> Sets:
        """Cut and split what an experiment needs."""
        crops = centred(films)
        part = divide(crops, split, seed)
        made = {"centred": (crops, part)}
        if "uniform" in (one.trains_on, *one.tests_on):
            made["uniform"] = uniform(films, crops, part, seed)
        return cls(one, made, digest)

    def suffix(self, name: str) -> str:
        """Return what names of metrics of a test set end in: nothing, where there is only one."""
        return f"_{name}" if len(self.experiment.tests_on) > 1 else ""
