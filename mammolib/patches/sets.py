"""Sets of images cut from films: crops with boxes for the detectors, labelled patches for the classifiers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammolib.geometry import DIHEDRAL, Truths, clip, image_numbers
from mammolib.mias import Film, single_lesion_films
from mammolib.patches.cutting import DARK, MAX_DARK, corner, crop, dark_grid, for_each, grid_origins


@dataclass(frozen=True)
class _Images:
    """What the two sets of images share: (N, S, S) images, fields of the same length, and a way to take some rows."""

    images: NDArray[np.uint8]

    def __post_init__(self) -> None:
        name, shape = type(self).__name__.lower(), self.images.shape
        if len(shape) != 3 or self.images.dtype != np.uint8:
            raise ValueError(f"{name}.images: expected (N, S, S) uint8, got {self.images.dtype} {shape}")
        for field, value in vars(self).items():
            length = value.n_images if isinstance(value, Truths) else len(value)
            if length != len(self):
                raise ValueError(f"{name}.{field}: expected {len(self)} values, one an image, got {length}")

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: ArrayLike) -> Self:
        """Return the rows with these numbers, each named once, in the order given."""
        rows = image_numbers(indices, len(self))
        columns: dict[str, Any] = dict(vars(self))
        for name, column in columns.items():
            columns[name] = column.of_images(rows) if isinstance(column, Truths) else column[rows]
        return replace(self, **columns)


@dataclass(frozen=True)
class Crops(_Images):
    """(N, S, S) images with at most one lesion each, and where they come from; row i is one image.

    Attributes:
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


@dataclass(frozen=True)
class Patches(_Images):
    """(N, S, S) patches for classification, and where they come from; row i is one patch.

    Attributes:
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


def lesion_crops(films: Iterable[Film], size: int = 256, views: int = 8, paper: bool = False) -> Crops:
    """Cut a square with every single lesion in its centre, in up to eight views.

    Args:
        films: those without a lesion, with several, or with one that has no centre are passed over.
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
    chosen = single_lesion_films(films)
    if paper:
        chosen = [f for f in chosen if f.severity != "benign" or not f.lesions[0].crop_leaves_film(size)]
    if not chosen:
        raise ValueError("films: none of them has exactly one lesion with a centre; nothing to crop")
    origins = [np.array([corner(*film.lesions[0].circle[:2], size)]) for film in chosen]
    return _crops(_squares(chosen, origins, size, views))


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
        films: those with several lesions or with one that has no centre are passed over.
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
    squares = _grid_squares(films, size, stride, views, max_dark)
    box = squares.boxes()
    holds = squares.hold_centre() if contains == "centre" else ((box >= 0) & (box <= size)).all(axis=-1)
    return _crops(squares.take(np.flatnonzero(holds | (squares.labels() == 0))))


def labelled_patches(
    films: Iterable[Film],
    reading: str = "film",
    per_class: Mapping[int, int] | None = None,
    limit: int | None = None,
    views: int = 1,
    seed: int = 0,
) -> Patches:
    """Cut films into the patches of the grid that are not too dark (128 x 128 at stride 64) and give each a class.

    The paper does not say what label a patch of a malignant film gets that does not show the lesion.

    Args:
        films: those with several lesions or with one that has no centre are passed over.
        reading: "film": every patch of a film has the film's label, lesion or not. "lesion": a patch has the lesion's
            label if the lesion's centre lies in it, and is normal otherwise, even if it shows the lesion's edge.
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
    squares = _grid_squares(films, 128, 64, views, MAX_DARK)
    shown = squares.hold_centre()
    label = np.where(shown | (reading == "film"), squares.labels(), 0)
    if per_class is None:
        pools = [("", np.arange(len(label)), len(label) if limit is None else limit)]
    else:
        pools = [(f" of class {value}", np.flatnonzero(label == value), n) for value, n in per_class.items()]
    for name, pool, count in pools:
        if not 0 <= count <= len(pool):
            raise ValueError(f"{count} patches{name} are to be drawn, but there are {len(pool)}")
    rng = np.random.default_rng(seed)
    rows = np.sort(np.concatenate([rng.permutation(pool)[:count] for _, pool, count in pools]))
    drawn = squares.take(rows)
    return Patches(
        images=drawn.images(),
        label=label[rows],
        film=drawn.each(lambda film: film.reference),
        woman=drawn.each(lambda film: film.woman),
        tissue=drawn.each(lambda film: film.tissue),
        kind=drawn.each(lambda film: film.lesions[0].kind if film.lesions else "NORM"),
        has_lesion=shown[rows],
        view=drawn.view,
    )


@dataclass(frozen=True)
class _Squares:
    """Squares before they are cut: row i is film number film[i], its top-left pixel origin[i], and its view."""

    films: Sequence[Film]
    size: int
    film: NDArray[np.integer]
    origin: NDArray[np.integer]
    view: NDArray[np.integer]

    def take(self, rows: NDArray[np.integer]) -> _Squares:
        return replace(self, film=self.film[rows], origin=self.origin[rows], view=self.view[rows])

    def each(self, value: Callable[[Film], Any]) -> NDArray:
        """Return a value of the film of every square."""
        return np.array([value(film) for film in self.films])[self.film]

    def labels(self) -> NDArray[np.integer]:
        """Return the label of every square's film, 0 for a film without a lesion."""
        return self.each(lambda film: film.lesions[0].label if film.lesions else 0)

    def boxes(self) -> NDArray[np.floating]:
        """Return the (N, 4) box of the film's lesion in pixels of the square before it is turned."""
        box = self.each(lambda film: film.lesions[0].box if film.lesions else np.zeros(4))
        return box - np.tile(self.origin[:, ::-1], 2)

    def hold_centre(self) -> NDArray[np.bool_]:
        """Return whether the lesion's centre lies in the square; no for a film without one."""
        centre = self.each(lambda film: film.lesions[0].circle[:2] if film.lesions else (-1, -1))
        return np.asarray(((self.origin <= centre) & (centre < self.origin + self.size)).all(axis=-1))

    def images(self) -> NDArray[np.uint8]:
        """Cut the (N, size, size) images; every film is read once."""
        images = np.empty((len(self.film), self.size, self.size), np.uint8)

        def cut(number: int) -> None:
            rows = np.flatnonzero(self.film == number)
            if len(rows):
                pixels = self.films[number].pixels()
                for row in rows:
                    top, left = self.origin[row] + self.size // 2
                    images[row] = DIHEDRAL[self.view[row]].image(crop(pixels, top, left, self.size))

        for_each(range(len(self.films)), cut)
        return images


def _squares(films: Sequence[Film], origins: Sequence[NDArray], size: int, views: int) -> _Squares:
    """Return the squares at the (K, 2) origins given for each film, in every view."""
    if views not in range(1, len(DIHEDRAL) + 1):
        raise ValueError(f"views: must be 1 to {len(DIHEDRAL)}, got {views!r}")
    counts = [len(of_film) for of_film in origins]
    film = np.repeat(np.arange(len(films)), counts)
    view = np.tile(np.arange(views), len(film))
    return _Squares(films, size, np.repeat(film, views), np.repeat(np.concatenate(origins), views, axis=0), view)


def _grid_squares(films: Iterable[Film], size: int, stride: int, views: int, max_dark: float | None) -> _Squares:
    """Return the squares of the grid that are not too dark, of the films that the paper's rule keeps."""
    chosen = [film for film in films if film.kept]
    if not chosen:
        raise ValueError("films: none of them is normal or has exactly one lesion with a centre; nothing to cut")

    def light(film: Film) -> NDArray[np.integer]:
        pixels = film.pixels()
        origins = grid_origins((pixels.shape[0], pixels.shape[1]), size, stride)
        if max_dark is None:
            return origins.reshape(-1, 2)
        return origins[dark_grid(pixels, DARK, size, stride) <= max_dark]

    return _squares(chosen, for_each(chosen, light), size, views)


def _crops(squares: _Squares) -> Crops:
    """Cut the squares and bring their boxes along."""
    label = squares.labels()
    rows = np.flatnonzero(label)
    lesion = np.full(len(label), -1)
    lesion[rows] = np.unique(squares.film[rows], return_inverse=True)[1]
    box = clip(squares.boxes()[rows], squares.size, squares.size)
    for view, symmetry in enumerate(DIHEDRAL):
        of_view = squares.view[rows] == view
        box[of_view] = symmetry.boxes(box[of_view], squares.size, squares.size)
    return Crops(
        images=squares.images(),
        truths=Truths(rows, label[rows], box, len(label)),
        film=squares.each(lambda film: film.reference),
        woman=squares.each(lambda film: film.woman),
        lesion=lesion,
        view=squares.view,
    )
