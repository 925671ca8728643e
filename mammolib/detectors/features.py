"""A small classifier on features of 16 x 16 pixel cells: hand-made ones, and ImageNet's maps of the same place.

No network is trained. A linear model asks of every cell of the breast whether a lesion lies there; its peaks are the
marks. 119 lesions are few, so nearly everything that the model knows, it has from ImageNet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mammolib.files import atomic
from mammolib.geometry import Detections
from mammolib.mias import Film
from mammolib.patches.cutting import for_each

from .breast import CELL, GRID, QUARTER, Breast, blocks, cut_out, local_contrast, peaks
from .classical import MOST, Marks, detections, median_radius

VERSION = 1
"""Of the features: kept ones of another version are computed again."""
SIZES = (1024, 512, 256)
"""Sides of the film, in pixels, at which the network sees it."""
NEAR, FAR, AROUND = 20, 60, 24
"""Pixels: cells up to a lesion's radius from its centre, kept within NEAR and FAR, are positive; cells up to AROUND
beyond the radius are neither positive nor negative."""
NEGATIVES, HARD = 100, 40
"""Cells of a film drawn at random, and the film's highest wrong peaks added for the second fit."""
DISTANCE = 4
"""Cells between two marks."""


def by_hand(breast: Breast) -> NDArray[np.float32]:
    """Return (cells, 23) features that a person would name.

    The largest Laplacian of Gaussian at four scales; mean, deviation and contrast of the surroundings; depth below the
    skin; place on the breast; grey level; and bright spots at full resolution, as calcifications are.
    """
    mean, deviation, contrast = local_contrast(breast, 16)
    rows, columns = (np.flatnonzero(breast.inside.any(axis=axis)) for axis in (1, 0))
    down, right = np.mgrid[:QUARTER, :QUARTER]
    maps = [blocks(-(s**2) * ndimage.gaussian_laplace(contrast, s), GRID).max(axis=(1, 3)) for s in (2.5, 4, 6, 9)]
    for pooled in (
        mean / 128,
        deviation / 32,
        contrast,
        ndimage.distance_transform_edt(breast.inside) / 64,
        (down - rows[0]) / (np.ptp(rows) + 1),
        (right - columns[0]) / (np.ptp(columns) + 1),
        breast.reduced / 128,
    ):
        maps.append(blocks(pooled, GRID).mean(axis=(1, 3)))
    return np.stack([*maps, *_spots(breast)], axis=-1)[breast.cells].astype(np.float32)


def _spots(breast: Breast) -> list[NDArray]:
    """Return maps of bright spots, at two scales: how many at three thresholds, how bright, and the noise."""
    film = breast.pixels.astype(np.float32)
    inside = breast.inside.repeat(CELL // 4, axis=0).repeat(CELL // 4, axis=1)
    maps = []
    for small, large in ((0.7, 1.6), (1, 2.5)):
        spot = ndimage.gaussian_filter(film, small) - ndimage.gaussian_filter(film, large)
        noise = np.sqrt(np.maximum(ndimage.uniform_filter(spot**2, 65), 0.04))
        ratio = spot / noise * inside
        top = ratio == ndimage.maximum_filter(ratio, 5)
        for threshold in (2.5, 3.5, 5):
            many = blocks((top & (ratio > threshold)).astype(float), GRID).sum(axis=(1, 3))
            maps.append(np.log1p(ndimage.gaussian_filter(many, 0.7)))
        maps.append(np.log1p(blocks(ratio, GRID).max(axis=(1, 3)).clip(0)))
        maps.append(np.log1p(blocks(np.where(top, spot, 0), GRID).max(axis=(1, 3)).clip(0)))
        maps.append(np.log(blocks(noise, GRID).mean(axis=(1, 3))))
    return maps


def pretrained_maps() -> Callable[[Breast], NDArray[np.float16]]:
    """Return a function that gives ImageNet's maps of a film, and of the film upside down: (2, cells, 1568) float16.

    The film enters at three sizes, outside of the breast dimmed to 0.3. Maps at strides of 8, 16 and 32 pixels are
    brought to the grid of cells (472 channels a size). At full size, the largest, mean and spread within each cell of
    those at strides of 4 and 8 are added (152 channels), for what is as small as a calcification.

    Raises:
        ImportError: the weights are not installed (extra `pretrained`).
    """
    from .efficientnet import STRIDES, pretrained

    network = pretrained(STRIDES)
    models = {size: _pooled(network, size) for size in SIZES}

    def maps(breast: Breast) -> NDArray[np.float16]:
        inside = breast.inside.repeat(4, axis=0).repeat(4, axis=1)
        film = np.where(inside, breast.pixels, np.float32(0.3) * breast.pixels)
        views = []
        for turn in (slice(None), slice(None, None, -1)):
            seen = []
            for size, model in models.items():
                small = (blocks(film[turn], size).mean(axis=(1, 3)) - 127) / 128
                image = np.repeat(small[None, :, :, None], 3, axis=-1)
                seen.append(np.asarray(model.predict_on_batch(image))[0, turn])
            views.append(np.concatenate(seen, axis=-1)[breast.cells].astype(np.float16))
        return np.stack(views)

    return maps


def _pooled(network: Any, size: int) -> Any:
    """Return a network whose maps, for a film of this size, are pooled or enlarged to the grid of cells."""
    import keras
    from keras import ops

    def parts(y: Any) -> Any:
        n = y.shape[1] // GRID
        return ops.reshape(y, (-1, GRID, n, GRID, n, y.shape[3]))

    film = keras.Input((size, size, 3))
    finest, *maps = network(film)
    cells = [ops.image.resize(y, (GRID, GRID)) if y.shape[1] < GRID else ops.mean(parts(y), (2, 4)) for y in maps]
    if size == SIZES[0]:
        reductions = ((finest, (ops.max, ops.mean, ops.std)), (maps[0], (ops.max, ops.mean)))
        cells += [reduce(parts(y), (2, 4)) for y, several in reductions for reduce in several]
    return keras.Model(film, ops.concatenate(cells, axis=-1))


COARSE, FINE = 472, 152
"""ImageNet's channels of one size, and the fine ones, which follow those at full size."""


@dataclass(frozen=True)
class Seen:
    """A film's breast and the features of its cells: by hand (cells, 23), and ImageNet's (2, cells, 1568) or None."""

    breast: Breast
    hand: NDArray[np.float32]
    maps: NDArray[np.float16] | None


class Eye:
    """Computes the features of films, and keeps them: in memory, and in a folder if one is given.

    Args:
        pretrained: whether ImageNet's maps are wanted.
        folder: where features are kept between runs, 10 MB a film with ImageNet's maps; None for nowhere.
    """

    def __init__(self, pretrained: bool = False, folder: str | Path | None = None):
        self.pretrained, self.folder = pretrained, None if folder is None else Path(folder)
        self._maps: Callable | None = None
        self._seen: dict[str, Seen] = {}

    def __call__(self, film: Film) -> Seen:
        """Return a film's features."""
        key = hashlib.sha256(film.pixels().tobytes()).hexdigest()
        if key not in self._seen:
            breast = cut_out(film)
            arrays = self._kept(f"{key[:16]}-{'maps' if self.pretrained else 'hand'}-{VERSION}.npz", breast)
            self._seen[key] = Seen(breast, arrays["hand"], arrays.get("maps"))
        return self._seen[key]

    def _kept(self, name: str, breast: Breast) -> dict[str, NDArray]:
        path = None if self.folder is None else self.folder / name
        if path is not None and path.is_file():
            with np.load(path) as kept:
                return dict(kept)
        arrays: dict[str, NDArray] = {"hand": by_hand(breast)}
        if self.pretrained:
            self._maps = self._maps or pretrained_maps()
            arrays["maps"] = self._maps(breast)
        if path is not None:
            with atomic(path) as file:
                np.savez(file, allow_pickle=False, **arrays)
        return arrays


class Cells:
    """The cells of some films in one row, and which of them lie on a lesion.

    Attributes:
        seen: the films' features.
        start: (films + 1,) where each film's cells begin.
        lesion: (cells,) number of the lesion over the cell, -1 for none.
        near: (cells,) bool, on or around a lesion.
        kind: class of each lesion.
        free: films whose cells off the lesions are surely free: all their lesions have a place.
    """

    def __init__(self, films: Sequence[Film], eye: Eye):
        self.seen = [eye(film) for film in films] if eye.pretrained else for_each(films, eye)
        self.start = np.cumsum([0, *(len(seen.hand) for seen in self.seen)])
        self.lesion = np.full(self.start[-1], -1)
        self.near = np.zeros(self.start[-1], bool)
        self.kind: list[str] = []
        self.free = [i for i, film in enumerate(films) if all(lesion.located for lesion in film.lesions)]
        for i, film in enumerate(films):
            rows, columns = np.nonzero(self.seen[i].breast.cells)
            for lesion in (lesion for lesion in film.lesions if lesion.located):
                row, column, radius = lesion.circle
                column = self.seen[i].breast.column(column)
                away = np.hypot((columns + 0.5) * CELL - column, (rows + 0.5) * CELL - row)
                part = self.lesion[self.of(i)]
                part[away <= max(min(max(radius, NEAR), FAR), away.min())] = len(self.kind)
                self.near[self.of(i)] |= away <= max(radius, AROUND) + AROUND
                self.kind.append(lesion.kind)

    def of(self, film: int) -> slice:
        """Return where a film's cells are."""
        return slice(self.start[film], self.start[film + 1])

    def views(self, film: int, rows: NDArray | slice = slice(None), fine: bool = False) -> list[NDArray]:
        """Return the features of some of a film's cells, once for each view of the film; `fine`: the fine maps only."""
        seen = self.seen[film]
        if seen.maps is None:
            return [seen.hand[rows]]
        columns = slice(COARSE, COARSE + FINE) if fine else slice(None)
        return [np.concatenate([maps[rows, columns], seen.hand[rows]], axis=1, dtype=np.float32) for maps in seen.maps]

    def on_films(self, marks: Sequence[Marks]) -> list[Marks]:
        """Return marks on turned films as marks on the films as they were."""
        pairs = zip(self.seen, marks, strict=True)
        return [(rows, seen.breast.column(columns), scores) for seen, (rows, columns, scores) in pairs]

    def map(self, film: int, score: NDArray, smooth: float = 0) -> NDArray:
        """Return the scores of a film's cells as a (64, 64) map, smoothed within the breast, minus infinity outside."""
        cells = self.seen[film].breast.cells
        full = np.zeros((GRID, GRID))
        full[cells] = score
        if smooth:
            inside = ndimage.gaussian_filter(cells.astype(float), smooth)
            full = ndimage.gaussian_filter(full, smooth) / np.maximum(inside, 1e-3)
        return np.where(cells, full, -np.inf)


@dataclass(frozen=True)
class Linear:
    """A logistic regression on a cell's features.

    Attributes:
        weight: (features,).
        offset: added to the weighted sum; the result is the log odds of a lesion.
        fine: whether it sees ImageNet's fine maps alone.
    """

    weight: NDArray
    offset: float
    fine: bool = False

    def __call__(self, cells: Cells, film: int) -> NDArray:
        """Return the log odds for each of a film's cells, the mean over the views."""
        return np.mean([x @ self.weight + self.offset for x in cells.views(film, fine=self.fine)], axis=0)


def fit_linear(cells: Cells, films: Sequence[int], c: float, kinds: Sequence[str] = ()) -> Linear:
    """Fit a logistic regression on the cells of some films: once with cells drawn at random, once with hard ones added.

    Every lesion weighs the same, and so does every film; lesions and films weigh half each.

    Args:
        cells: of all films.
        films: which of them train.
        c: inverse strength of the penalty.
        kinds: classes of lesion that are looked for, by the fine maps alone; all if empty.
    """
    rng = np.random.default_rng(0)
    free = sorted(set(films) & set(cells.free))
    wanted = [k for k, kind in enumerate(cells.kind) if not kinds or kind in kinds]
    positive = {i: np.flatnonzero(np.isin(cells.lesion[cells.of(i)], wanted)) for i in films}
    others = {i: np.flatnonzero(~cells.near[cells.of(i)]) for i in free}
    negative = {i: rng.choice(rows, min(NEGATIVES, len(rows)), replace=False) for i, rows in others.items()}
    linear = _fit(cells, positive, negative, c, bool(kinds))
    for i in free:
        rows, columns, _ = peaks(cells.map(i, linear(cells, i)), DISTANCE - 1, 2 * HARD)
        number = np.cumsum(cells.seen[i].breast.cells.ravel()).reshape(GRID, GRID) - 1
        hard = number[rows, columns]
        negative[i] = np.r_[negative[i], hard[~cells.near[cells.of(i)][hard]][:HARD]]
    return _fit(cells, positive, negative, c, bool(kinds))


def _fit(cells: Cells, positive: dict, negative: dict, c: float, fine: bool) -> Linear:
    from sklearn.linear_model import LogisticRegression

    features, target, weight = [], [], []
    for answer, chosen in ((1, positive), (0, negative)):
        parts = []
        for i, rows in chosen.items():
            views = cells.views(i, rows, fine)
            features += views
            group = cells.lesion[cells.of(i)][rows] if answer else np.zeros(len(rows), int)
            share = 1 / np.bincount(group, minlength=len(cells.kind) + 1)[group]
            parts += [share] * len(views)
        share = np.concatenate(parts)
        weight.append(share / share.sum())
        target.append(np.full(len(share), answer))
    x, y = np.concatenate(features), np.concatenate(target)
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-6
    x -= mean
    x /= spread
    share = np.concatenate(weight) * len(y) / 2 / (2 if len(views) > 1 else 1)
    model = LogisticRegression(C=c, max_iter=200).fit(x, y, sample_weight=share)
    coefficient = (model.coef_[0] / spread).astype(np.float32)
    return Linear(coefficient, float(model.intercept_[0] - coefficient @ mean), fine)


def marks_of(score: NDArray) -> Marks:
    """Return the peaks of a (64, 64) map, in pixels of the turned film."""
    rows, columns, scores = peaks(score, DISTANCE, MOST)
    return (rows + 0.5) * CELL, (columns + 0.5) * CELL, scores


class Features:
    """One linear model on the features of a cell.

    Args:
        eye: computes the features, by hand alone or with ImageNet's maps.
        c: inverse strength of the penalty.
    """

    def __init__(self, eye: Eye, c: float):
        self.eye, self.c = eye, c

    def fit(self, films: Sequence[Film]) -> Self:
        """Fit the model on all films given."""
        self.radius = median_radius(films)
        self.linear = fit_linear(Cells(films, self.eye), range(len(films)), self.c)
        return self

    def predict(self, films: Sequence[Film]) -> Detections:
        """Mark the peaks of the log odds."""
        cells = Cells(films, self.eye)
        marks = [marks_of(cells.map(i, self.linear(cells, i), smooth=1)) for i in range(len(films))]
        return detections(cells.on_films(marks), self.radius, lambda score: 1 / (1 + np.exp(-score)))
