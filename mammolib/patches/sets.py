"""Sets of images cut from films: crops with boxes for the detectors, labelled patches for the classifiers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammolib import geometry
from mammolib.geometry import DIHEDRAL, Truths
from mammolib.patches.cutting import DARK, MAX_DARK, corner, crop, dark_grid, each, grid_origins

if TYPE_CHECKING:
    from mammolib.mias import Film, Lesion


class _Rows:
    """What the two sets of images share: fields of one length, and a way to take some rows."""

    def _check(self) -> None:
        name, n = type(self).__name__.lower(), len(self)
        if self.images.ndim != 3 or self.images.dtype != np.uint8:
            raise ValueError(f"{name}.images: expected (N, S, S) uint8, got {self.images.dtype} {self.images.shape}")
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, np.ndarray) and len(value) != n:
                raise ValueError(f"{name}.{f.name}: expected {n} values, one an image, got {len(value)}")

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: ArrayLike) -> Self:
        """Return the rows with these numbers, each named once, in the order given."""
        indices = np.asarray(indices, dtype=int).reshape(-1)
        if len(indices) and not (0 <= indices.min() and indices.max() < len(self)):
            raise ValueError(f"indices: must lie in 0 to {len(self) - 1}, got {indices.min()} to {indices.max()}")
        columns = [getattr(self, f.name) for f in fields(self)]
        return type(self)(*(c.of_images(indices) if isinstance(c, Truths) else c[indices] for c in columns))


@dataclass(frozen=True)
class Crops(_Rows):
    """Images with at most one lesion each, and where they come from; row i is one image.

    Attributes:
        images: (N, S, S) uint8.
        truths: the boxes, `xyxy` in pixels of the crop and clipped to it; ``truths.n_images`` is N.
        film: (N,) str, references of the films.
        woman: (N,) int.
        lesion: (N,) int, number of the lesion in this set, 0 to L - 1 in the order of the films; -1 without a lesion.
        view: (N,) int, 0 to 7, index into `geometry.DIHEDRAL`.
    """

    images: NDArray[np.uint8]
    truths: Truths
    film: NDArray[np.str_]
    woman: NDArray[np.integer]
    lesion: NDArray[np.integer]
    view: NDArray[np.integer]

    def __post_init__(self) -> None:
        self._check()
        if self.truths.n_images != len(self):
            raise ValueError(f"crops.truths: made for {self.truths.n_images} images, but there are {len(self)}")

    @property
    def strata(self) -> NDArray[np.integer]:
        """(N,) int: the label of the lesion on each image, 0 for none; what a split keeps balanced."""
        strata = np.zeros(len(self), int)
        np.maximum.at(strata, self.truths.image, self.truths.label)
        return strata


def lesion_crops(films: Iterable[Film], size: int = 256, views: int = 8, paper: bool = False) -> Crops:
    """Cut a square with every single lesion in its centre, in up to eight views.

    Args:
        films: films; those without a lesion, with several, or with one that has no centre are passed over.
        size: side of the crops in pixels; what lies outside the film is 0.
        views: how many of `geometry.DIHEDRAL` to make of each lesion, in that order.
        paper: leave out the benign lesions whose crop leaves the film. On mini-MIAS these are the two that separate
            our 104 single lesions from the 102 of the paper's 816 = 102 x 8 images (56 benign, 46 malignant). Which
            two it left out is not stated: our reading.

    Returns:
        Crops, lesion by lesion in the order of the films, the views of a lesion one after the other.

    Raises:
        ValueError: no film has exactly one located lesion, or `views` is not 1 to 8.
    """
    symmetries = _symmetries(views)
    chosen = [f for f in films if f.lesions and f.kept]
    if paper:
        chosen = [f for f in chosen if f.severity != "benign" or not leaves_film(f.lesions[0], f.pixels().shape, size)]
    if not chosen:
        raise ValueError("films: none of them has exactly one lesion with a centre; nothing to crop")
    origins = [np.array([corner(f.lesions[0].row, f.lesions[0].column, size)]) for f in chosen]
    return _assemble(chosen, origins, size, symmetries)


def leaves_film(lesion: Lesion, shape: tuple[int, int] = (1024, 1024), size: int = 256) -> bool:
    """Say whether the crop of side `size` centred on a lesion reaches beyond a film of this (height, width)."""
    top, left = corner(lesion.row, lesion.column, size)
    return top < 0 or left < 0 or top + size > shape[0] or left + size > shape[1]


def uniform_cuts(
    films: Iterable[Film],
    size: int = 256,
    stride: int = 64,
    contains: Literal["box", "centre"] | float = "box",
    views: int = 1,
    max_dark: float | None = MAX_DARK,
    dark: int = DARK,
) -> Crops:
    """Cut films on a grid and keep the cuts that hold the lesion; a film without a lesion keeps them all.

    The paper's rule is not stated. With the defaults but no background rule the 104 single lesions of mini-MIAS give
    659 cuts; with it, 469.

    Args:
        films: films; those with several lesions or with one that has no centre are passed over.
        size, stride: the grid, in pixels.
        contains: when a cut holds a lesion: "box", the whole box lies in it; "centre", the lesion's centre does; or
            a share in (0, 1]: at least this share of the box's area does.
        views: how many of `geometry.DIHEDRAL` to make of each cut, in that order.
        max_dark: largest share of dark pixels of a cut that is kept; None keeps all.
        dark: grey levels up to this one are dark.

    Returns:
        Crops, film by film, row by row and column by column of the grid, the views of a cut one after the other. Boxes
        are clipped to the cut; a cut of a film without a lesion has none. There may be no cut at all.

    Raises:
        ValueError: an unknown rule, a film smaller than a cut, or no usable film.
    """
    symmetries = _symmetries(views)
    if contains not in ("box", "centre") and not (isinstance(contains, (int, float)) and 0 < contains <= 1):
        raise ValueError(f"contains: must be 'box', 'centre' or a share in (0, 1], got {contains!r}")
    chosen = [f for f in films if f.kept]
    if not chosen:
        raise ValueError("films: none of them is normal or has exactly one lesion with a centre; nothing to cut")

    def origins(film: Film) -> NDArray:
        pixels = film.pixels()
        where = grid_origins(pixels.shape, size, stride)
        keep = _holds(film, where, size, contains)
        if max_dark is not None:
            keep &= dark_grid(pixels, dark, size, stride) <= max_dark
        return where[keep]

    return _assemble(chosen, each(chosen, origins), size, symmetries)


def _holds(film: Film, origins: NDArray, size: int, contains: str | float) -> NDArray[np.bool_]:
    """Say which squares at (..., 2) `origins` hold the lesion of a film; all do if the film has none."""
    if not film.lesions:
        return np.ones(origins.shape[:-1], bool)
    (lesion,) = film.lesions
    if contains == "centre":
        inside = (origins <= [lesion.row, lesion.column]) & ([lesion.row, lesion.column] < origins + size)
        return inside.all(axis=-1)
    box = lesion.box - np.tile(origins[..., ::-1], 2)
    if contains == "box":
        return ((box >= 0) & (box <= size)).all(axis=-1)
    return geometry.area(geometry.clip(box, size, size)) >= contains * geometry.area(lesion.box)


def _assemble(films: Sequence[Film], origins: Sequence[NDArray], size: int, symmetries: Sequence[Any]) -> Crops:
    """Cut squares at the (K, 2) top-left corners given for each film, in every view, and bring their boxes along."""
    starts = np.cumsum([0, *(len(o) for o in origins)])
    n = int(starts[-1])
    images = np.empty((n, len(symmetries), size, size), np.uint8)

    def cut(i: int) -> None:
        if not len(origins[i]):
            return
        pixels = films[i].pixels()
        for k, (top, left) in enumerate(origins[i], start=starts[i]):
            square = crop(pixels, top + size // 2, left + size // 2, size)
            for v, symmetry in enumerate(symmetries):
                images[k, v] = symmetry.image(square)

    each(range(len(films)), cut)
    of = np.repeat(np.arange(len(films)), np.diff(starts))
    has = np.array([bool(f.lesions) for f in films])[of]
    _, number = np.unique(of[has], return_inverse=True)
    lesion = np.full(n, -1)
    lesion[has] = number
    box = np.array([films[i].lesions[0].box for i in of[has]], float).reshape(-1, 4)
    shift = np.concatenate(origins).reshape(-1, 2)[has][:, ::-1]
    box = geometry.clip(box - np.tile(shift, 2), size, size)
    boxes = np.stack([symmetry.boxes(box, size, size) for symmetry in symmetries], axis=1)
    label = np.array([films[i].lesions[0].label for i in of[has]], int)
    views = len(symmetries)
    row = np.flatnonzero(np.repeat(has, views))
    return Crops(
        images=images.reshape(-1, size, size),
        truths=Truths(row, np.repeat(label, views), boxes.reshape(-1, 4), n * views),
        film=np.repeat(np.array([f.reference for f in films])[of], views),
        woman=np.repeat(np.array([f.woman for f in films], int)[of], views),
        lesion=np.repeat(lesion, views),
        view=np.tile(np.arange(views), n),
    )


@dataclass(frozen=True)
class Patches(_Rows):
    """Patches for classification, and where they come from; row i is one patch.

    Attributes:
        images: (N, S, S) uint8.
        label: (N,) int: 0 normal, 1 benign, 2 malignant, under the reading chosen.
        film: (N,) str, references of the films.
        woman: (N,) int.
        tissue: (N,) str, density code of the film.
        kind: (N,) str, lesion class of the film, "NORM" for a film without a lesion, whatever the label says.
        has_lesion: (N,) bool: the lesion's centre lies in the patch.
        view: (N,) int, index into `geometry.DIHEDRAL`.
    """

    images: NDArray[np.uint8]
    label: NDArray[np.integer]
    film: NDArray[np.str_]
    woman: NDArray[np.integer]
    tissue: NDArray[np.str_]
    kind: NDArray[np.str_]
    has_lesion: NDArray[np.bool_]
    view: NDArray[np.integer]

    def __post_init__(self) -> None:
        self._check()

    @property
    def strata(self) -> NDArray[np.integer]:
        """(N,) int: the labels; what a split keeps balanced."""
        return self.label


def labelled_patches(
    films: Iterable[Film],
    size: int = 128,
    stride: int = 64,
    reading: Literal["film", "lesion"] = "film",
    max_dark: float | None = MAX_DARK,
    dark: int = DARK,
    per_class: int | Mapping[int, int] | None = None,
    limit: int | None = None,
    views: int = 1,
    seed: int = 0,
) -> Patches:
    """Cut films into the patches of the grid and give each a class.

    The paper does not say what label a patch of a malignant film gets that does not show the lesion.

    Args:
        films: films; those with several lesions or with one that has no centre are passed over.
        size, stride: the grid; 128 and 64 give 225 patches a film.
        reading: "film": every patch of a film has the film's label, lesion or not. "lesion": a patch has the lesion's
            label if the lesion's centre lies in it, and is normal otherwise, even if it shows the lesion's edge.
        max_dark, dark: the background rule, as in `uniform_cuts`.
        per_class: draw this many of each of the three classes, or of each label as a mapping says, such as
            ``{0: 1400, 1: 700, 2: 700}``.
        limit: draw this many of all, whatever their class; at most one of `per_class` and `limit`.
        views: how many of `geometry.DIHEDRAL` count as patches of their own, before drawing.
        seed: of the draw, which is without replacement.

    Returns:
        Patches in the order film, row, column, view.

    Raises:
        ValueError: an unknown reading, no usable film, or fewer patches than are to be drawn.
    """
    if reading not in ("film", "lesion"):
        raise ValueError(f"reading: must be 'film' or 'lesion', got {reading!r}")
    if per_class is not None and limit is not None:
        raise ValueError("per_class, limit: give one of them, not both")
    symmetries = _symmetries(views)
    chosen = [f for f in films if f.kept]
    if not chosen:
        raise ValueError("films: none of them is normal or has exactly one lesion with a centre; nothing to cut")

    def candidates(film: Film) -> tuple[NDArray, NDArray, NDArray]:
        pixels = film.pixels()
        where = grid_origins(pixels.shape, size, stride)
        keep = np.ones(where.shape[:-1], bool)
        if max_dark is not None:
            keep = dark_grid(pixels, dark, size, stride) <= max_dark
        has = _holds(film, where, size, "centre") & bool(film.lesions)
        label = film.lesions[0].label if film.lesions else 0
        return where[keep], has[keep], np.where(has | (reading == "film"), label, 0)[keep]

    found = each(chosen, candidates)
    of = np.repeat(np.arange(len(chosen)), [len(f[0]) * views for f in found])
    origins, has, label = (np.repeat(np.concatenate(part), views, axis=0) for part in zip(*found, strict=True))
    view = np.tile(np.arange(views), len(of) // views)
    rows = _draw(label, per_class, limit, np.random.default_rng(seed))
    images = np.empty((len(rows), size, size), np.uint8)

    def cut(i: int) -> None:
        mine = np.flatnonzero(of[rows] == i)
        if len(mine):
            pixels = chosen[i].pixels()
            for k in mine:
                top, left = origins[rows[k]]
                images[k] = symmetries[view[rows[k]]].image(pixels[top : top + size, left : left + size])

    each(range(len(chosen)), cut)
    about = [(f.reference, f.woman, f.tissue, f.lesions[0].kind if f.lesions else "NORM") for f in chosen]
    film, woman, tissue, kind = (np.array(column)[of[rows]] for column in zip(*about, strict=True))
    return Patches(images, label[rows], film, woman, tissue, kind, has[rows], view[rows])


def _draw(label: NDArray, per_class: int | Mapping[int, int] | None, limit: int | None, rng: Any) -> NDArray:
    """Draw rows without replacement; sorted."""
    if per_class is None:
        wanted = {None: len(label) if limit is None else limit}
    else:
        wanted = dict(per_class) if isinstance(per_class, Mapping) else dict.fromkeys(range(3), per_class)
    rows = []
    for value, count in wanted.items():
        pool = np.flatnonzero(label == value) if value is not None else np.arange(len(label))
        if not 0 <= count <= len(pool):
            of = "" if value is None else f" of class {value}"
            raise ValueError(f"{count} patches{of} are to be drawn, but there are {len(pool)}")
        rows.append(rng.permutation(pool)[:count])
    return np.sort(np.concatenate([np.zeros(0, int), *rows]))


def _symmetries(views: int) -> Sequence[Any]:
    if views not in range(1, len(DIHEDRAL) + 1):
        raise ValueError(f"views: must be 1 to {len(DIHEDRAL)}, got {views!r}")
    return DIHEDRAL[:views]
