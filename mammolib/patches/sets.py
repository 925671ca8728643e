"""Sets of images cut from films: crops with boxes for the detectors, labelled patches for the classifiers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammolib import geometry
from mammolib.geometry import DIHEDRAL, Symmetry, Truths
from mammolib.patches.cutting import DARK, MAX_DARK, corner, crop, dark_grid, for_each, grid_origins

if TYPE_CHECKING:
    from mammolib.mias import Film


@dataclass(frozen=True)
class _Images:
    """What the two sets of images share: (N, S, S) images, fields of the same length, and a way to take some rows."""

    images: NDArray[np.uint8]

    def __post_init__(self) -> None:
        name, n = type(self).__name__.lower(), len(self)
        if self.images.ndim != 3 or self.images.dtype != np.uint8:
            raise ValueError(f"{name}.images: expected (N, S, S) uint8, got {self.images.dtype} {self.images.shape}")
        for field in fields(self):
            value = getattr(self, field.name)
            length = value.n_images if isinstance(value, Truths) else len(value)
            if length != n:
                raise ValueError(f"{name}.{field.name}: expected {n} values, one an image, got {length}")

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: ArrayLike) -> Self:
        """Return the rows with these numbers, each named once, in the order given."""
        indices = np.asarray(indices, dtype=int).reshape(-1)
        if len(indices) and not (0 <= indices.min() and indices.max() < len(self)):
            raise ValueError(f"indices: must lie in 0 to {len(self) - 1}, got {indices.min()} to {indices.max()}")
        columns: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, column in columns.items():
            columns[name] = column.of_images(indices) if isinstance(column, Truths) else column[indices]
        return replace(self, **columns)


@dataclass(frozen=True)
class Crops(_Images):
    """Images with at most one lesion each, and where they come from; row i is one image.

    Attributes:
        images: (N, S, S) uint8.
        truths: the boxes, `xyxy` in pixels of the crop and clipped to it; ``truths.n_images`` is N.
        film: (N,) str, references of the films.
        woman: (N,) int.
        lesion: (N,) int, number of the lesion in this set, 0 to L - 1 in the order of the films; -1 without a lesion.
        view: (N,) int, 0 to 7, index into `geometry.DIHEDRAL`.
    """

    truths: Truths
    film: NDArray[np.str_]
    woman: NDArray[np.integer]
    lesion: NDArray[np.integer]
    view: NDArray[np.integer]

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
    chosen = [film for film in films if film.lesions and film.kept]
    if paper:
        chosen = [f for f in chosen if f.severity != "benign" or not f.lesions[0].crop_leaves_film(size)]
    if not chosen:
        raise ValueError("films: none of them has exactly one lesion with a centre; nothing to crop")
    origins = [np.array([corner(*film.lesions[0].circle[:2], size)]) for film in chosen]
    return _assemble(chosen, origins, size, symmetries)


def uniform_cuts(
    films: Iterable[Film],
    size: int = 256,
    stride: int = 64,
    contains: Literal["box", "centre"] = "box",
    views: int = 1,
    max_dark: float | None = MAX_DARK,
) -> Crops:
    """Cut films on a grid and keep the cuts that hold the lesion; a film without a lesion keeps them all.

    The paper's rule is not stated. With the defaults but no background rule the 104 single lesions of mini-MIAS give
    659 cuts; with it, 469.

    Args:
        films: films; those with several lesions or with one that has no centre are passed over.
        size, stride: the grid, in pixels.
        contains: when a cut holds a lesion: "box", the whole box lies in it; "centre", the lesion's centre does.
        views: how many of `geometry.DIHEDRAL` to make of each cut, in that order.
        max_dark: largest share of pixels up to `DARK` of a cut that is kept; None keeps all.

    Returns:
        Crops, film by film, row by row and column by column of the grid, the views of a cut one after the other. Boxes
        are clipped to the cut; a cut of a film without a lesion has none. There may be no cut at all.

    Raises:
        ValueError: an unknown rule, a film smaller than a cut, or no usable film.
    """
    if contains not in ("box", "centre"):
        raise ValueError(f"contains: must be 'box' or 'centre', got {contains!r}")
    symmetries = _symmetries(views)
    chosen = _usable(films)

    def origins(film: Film) -> NDArray[np.integer]:
        cuts, keep = _light_cuts(film, size, stride, max_dark)
        if film.lesions:
            keep &= _holds(film, cuts, size, contains)
        return cuts[keep]

    return _assemble(chosen, for_each(chosen, origins), size, symmetries)


def _usable(films: Iterable[Film]) -> list[Film]:
    chosen = [film for film in films if film.kept]
    if not chosen:
        raise ValueError("films: none of them is normal or has exactly one lesion with a centre; nothing to cut")
    return chosen


def _light_cuts(
    film: Film, size: int, stride: int, max_dark: float | None
) -> tuple[NDArray[np.integer], NDArray[np.bool_]]:
    """Return the (R, C, 2) origins of the grid's cuts, and (R, C) which of them the background rule keeps."""
    pixels = film.pixels()
    origins = grid_origins((pixels.shape[0], pixels.shape[1]), size, stride)
    if max_dark is None:
        return origins, np.ones(origins.shape[:-1], bool)
    return origins, dark_grid(pixels, DARK, size, stride) <= max_dark


def _holds(film: Film, origins: NDArray[np.integer], size: int, contains: str) -> NDArray[np.bool_]:
    """Return which squares at (..., 2) `origins` hold the lesion of a film that has one."""
    if contains == "centre":
        centre = np.array(film.lesions[0].circle[:2])
        return np.asarray(((origins <= centre) & (centre < origins + size)).all(axis=-1))
    box = film.lesions[0].box - np.tile(origins[..., ::-1], 2)
    return np.asarray(((box >= 0) & (box <= size)).all(axis=-1))


def _assemble(films: Sequence[Film], origins: Sequence[NDArray], size: int, symmetries: Sequence[Symmetry]) -> Crops:
    """Cut squares at the (K, 2) top-left corners given for each film, in every view, and bring their boxes along."""
    counts, views = [len(of_film) for of_film in origins], len(symmetries)
    starts = np.cumsum([0, *counts])
    images = np.empty((starts[-1], views, size, size), np.uint8)

    def cut(number: int) -> None:
        if counts[number]:
            pixels = films[number].pixels()
            for place, (top, left) in enumerate(origins[number], start=starts[number]):
                square = crop(pixels, top + size // 2, left + size // 2, size)
                for view, symmetry in enumerate(symmetries):
                    images[place, view] = symmetry.image(square)

    for_each(range(len(films)), cut)
    film_of = np.repeat(np.arange(len(films)), counts)
    shows = np.array([bool(film.lesions) for film in films])[film_of]
    lesions = [films[number].lesions[0] for number in film_of[shows]]
    lesion = np.full(len(film_of), -1)
    lesion[shows] = np.unique(film_of[shows], return_inverse=True)[1]
    left_top = np.concatenate(origins).reshape(-1, 2)[shows][:, ::-1]
    box = np.array([lesion.box for lesion in lesions]).reshape(-1, 4) - np.tile(left_top, 2)
    box = geometry.clip(box, size, size)
    return Crops(
        images=images.reshape(-1, size, size),
        truths=Truths(
            image=np.flatnonzero(np.repeat(shows, views)),
            label=np.repeat(np.array([lesion.label for lesion in lesions], int), views),
            box=np.stack([symmetry.boxes(box, size, size) for symmetry in symmetries], axis=1).reshape(-1, 4),
            n_images=len(film_of) * views,
        ),
        film=np.repeat(np.array([film.reference for film in films])[film_of], views),
        woman=np.repeat(np.array([film.woman for film in films])[film_of], views),
        lesion=np.repeat(lesion, views),
        view=np.tile(np.arange(views), len(film_of)),
    )


@dataclass(frozen=True)
class Patches(_Images):
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

    label: NDArray[np.integer]
    film: NDArray[np.str_]
    woman: NDArray[np.integer]
    tissue: NDArray[np.str_]
    kind: NDArray[np.str_]
    has_lesion: NDArray[np.bool_]
    view: NDArray[np.integer]

    @property
    def strata(self) -> NDArray[np.integer]:
        """(N,) int: the labels; what a split keeps balanced."""
        return self.label


def labelled_patches(
    films: Iterable[Film],
    reading: str = "film",
    max_dark: float | None = MAX_DARK,
    per_class: Mapping[int, int] | None = None,
    limit: int | None = None,
    views: int = 1,
    seed: int = 0,
) -> Patches:
    """Cut films into the 225 patches of the grid (128 x 128 at stride 64) and give each a class.

    The paper does not say what label a patch of a malignant film gets that does not show the lesion.

    Args:
        films: films; those with several lesions or with one that has no centre are passed over.
        reading: "film": every patch of a film has the film's label, lesion or not. "lesion": a patch has the lesion's
            label if the lesion's centre lies in it, and is normal otherwise, even if it shows the lesion's edge.
        max_dark: the background rule, as in `uniform_cuts`.
        per_class: draw so many of each label, such as ``{0: 1400, 1: 700, 2: 700}``.
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
    size = 128
    symmetries = _symmetries(views)
    chosen = _usable(films)

    def candidates(film: Film) -> tuple[NDArray[np.integer], NDArray[np.bool_], NDArray[np.integer]]:
        origins, keep = _light_cuts(film, size, 64, max_dark)
        origins = origins[keep]
        if not film.lesions:
            return origins, np.zeros(len(origins), bool), np.zeros(len(origins), int)
        shown = _holds(film, origins, size, "centre")
        return origins, shown, np.where(shown | (reading == "film"), film.lesions[0].label, 0)

    cuts = for_each(chosen, candidates)
    film_of = np.repeat(np.arange(len(chosen)), [len(origins) * views for origins, _, _ in cuts])
    origins, shown, label = (np.repeat(np.concatenate(part), views, axis=0) for part in zip(*cuts, strict=True))
    view = np.tile(np.arange(views), len(film_of) // views)
    rows = _draw(label, per_class, limit, np.random.default_rng(seed))
    images = np.empty((len(rows), size, size), np.uint8)

    def cut(number: int) -> None:
        places = np.flatnonzero(film_of[rows] == number)
        if len(places):
            pixels = chosen[number].pixels()
            for place in places:
                top, left = origins[rows[place]]
                images[place] = symmetries[view[rows[place]]].image(pixels[top : top + size, left : left + size])

    for_each(range(len(chosen)), cut)
    columns = [(f.reference, f.woman, f.tissue, f.lesions[0].kind if f.lesions else "NORM") for f in chosen]
    reference, woman, tissue, kind = (np.array(column)[film_of[rows]] for column in zip(*columns, strict=True))
    return Patches(images, label[rows], reference, woman, tissue, kind, shown[rows], view[rows])


def _draw(
    label: NDArray[np.integer], per_class: Mapping[int, int] | None, limit: int | None, rng: np.random.Generator
) -> NDArray[np.integer]:
    """Draw rows without replacement; return them sorted."""
    if per_class is None:
        pools = [("", np.arange(len(label)), len(label) if limit is None else limit)]
    else:
        pools = [(f" of class {value}", np.flatnonzero(label == value), n) for value, n in per_class.items()]
    for name, pool, count in pools:
        if not 0 <= count <= len(pool):
            raise ValueError(f"{count} patches{name} are to be drawn, but there are {len(pool)}")
    return np.sort(np.concatenate([rng.permutation(pool)[:count] for _, pool, count in pools]))


def _symmetries(views: int) -> Sequence[Symmetry]:
    if views not in range(1, len(DIHEDRAL) + 1):
        raise ValueError(f"views: must be 1 to {len(DIHEDRAL)}, got {views!r}")
    return DIHEDRAL[:views]
