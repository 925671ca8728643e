"""A small classifier on features of 16 x 16 pixel cells: hand-made ones, and ImageNet's maps of the same place.

No network is trained. A linear model asks of every cell of the breast whether a lesion lies there; its peaks are the
marks. 119 lesions are few, so nearly everything that the model knows, it has from ImageNet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mammolib.files import atomic
from mammolib.geometry import Detections
from mammolib.mias import SIDE, Film
from mammolib.patches.cutting import for_each

from .breast import CELL, GRID, REDUCED, Breast, blocks, cut_out, local_contrast, peaks
from .classical import detections, median_radius

VERSION = 1  # of the features: kept ones of another version are computed again
SIZES = (1024, 512, 256)  # sides of the film, in pixels, at which the network sees it
FINE = slice(472, 472 + 152)
"""ImageNet's fine channels: they follow the 472 at full size; the 472 at each of the other sizes come last."""
NEAR, FAR, AROUND = 20, 60, 24
"""Pixels: cells up to a lesion's radius from its centre, kept within NEAR and FAR, are positive; cells up to AROUND
beyond the radius are neither positive nor negative."""
NEGATIVES, HARD = 100, 40
"""Cells of a film drawn at random, and the film's highest wrong peaks added for the second fit."""
DISTANCE = 4  # cells between two marks


def by_hand(breast: Breast) -> NDArray[np.float32]:
    """Return (cells, 23) features that a person would name.

    The largest Laplacian of Gaussian at four scales; mean, deviation and contrast of the surroundings; depth below the
    skin; place on the breast; grey level; and bright spots at full resolution, as calcifications are.
    """
    mean, deviation, contrast = local_contrast(breast, 16)
    corner, size = breast.frame()
    maps = [blocks(-(s**2) * ndimage.gaussian_laplace(contrast, s), GRID).max(axis=(1, 3)) for s in (2.5, 4, 6, 9)]
    depth = ndimage.distance_transform_edt(breast.inside) / 64
    place = (np.mgrid[:SIDE:REDUCED, :SIDE:REDUCED] - corner[:, None, None]) / size[:, None, None]
    for pooled in (mean / 128, deviation / 32, contrast, depth, *place, breast.reduced / 128):
        maps.append(blocks(pooled, GRID).mean(axis=(1, 3)))
    return np.stack([*maps, *_spots(breast)], axis=-1)[breast.cells].astype(np.float32)


def _spots(breast: Breast) -> list[NDArray]:
    """Return maps of bright spots, at two scales: how many at three thresholds, how bright, and the noise."""
    film, inside = breast.pixels.astype(np.float32), breast.whole()
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
    from .efficientnet import pretrained

    network = pretrained()
    models = {size: _pooled(network, size) for size in SIZES}

    def maps(breast: Breast) -> NDArray[np.float16]:
        film = np.where(breast.whole(), breast.pixels, np.float32(0.3) * breast.pixels)
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
        cells += [reduce(parts(finest), (2, 4)) for reduce in (ops.max, ops.mean, ops.std)]
        cells += [reduce(parts(maps[0]), (2, 4)) for reduce in (ops.max, ops.mean)]
    return keras.Model(film, ops.concatenate(cells, axis=-1))


class Seen(NamedTuple):
    """A film's breast and the features of its cells: by hand (cells, 23), and ImageNet's (2, cells, 1568) or None."""

    breast: Breast
    hand: NDArray[np.float32]
    maps: NDArray[np.float16] | None


class Eye:
    """Computes the features of films, ImageNet's maps only if `pretrained`, and keeps them.

    They are kept in memory, and in a folder if one is given: 10 MB a film with ImageNet's maps.
    """

    def __init__(self, pretrained: bool = False, folder: str | Path | None = None):
        self.pretrained, self.folder = pretrained, folder
        self._maps: Callable | None = None
        self._seen: dict[str, Seen] = {}

    def __call__(self, film: Film) -> Seen:
        """Return a film's features."""
        key = hashlib.sha256(film.pixels().tobytes()).hexdigest()
        if key not in self._seen:
            breast = cut_out(film)
            arrays = self._arrays(f"{key[:16]}-{'maps' if self.pretrained else 'hand'}-{VERSION}.npz", breast)
            self._seen[key] = Seen(breast, arrays["hand"], arrays.get("maps"))
        return self._seen[key]

    def _arrays(self, name: str, breast: Breast) -> dict[str, NDArray]:
        path = None if self.folder is None else Path(self.folder) / name
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
    """The cells of some films, film by film, and which of them lie on a lesion.

    Attributes:
        films: the films.
        seen, lesion, near: of each film its features, (cells,) the number of the lesion over the cell (-1 for none),
            and whether it is on or around a lesion.
        kind: class of each lesion.
        free: films whose cells off the lesions are surely free: all their lesions have a place.
    """

    def __init__(self, films: Sequence[Film], eye: Eye):
        self.films = films
        self.seen = [eye(film) for film in films] if eye.pretrained else for_each(films, eye)
        self.lesion = [np.full(len(seen.hand), -1) for seen in self.seen]
        self.near = [np.zeros(len(seen.hand), bool) for seen in self.seen]
        self.kind: list[str] = []
        self.free = [i for i, film in enumerate(films) if film.placed]
        for film, seen, on, near in zip(films, self.seen, self.lesion, self.near, strict=True):
            rows, columns = np.nonzero(seen.breast.cells)
            for lesion in (lesion for lesion in film.lesions if lesion.located):
                row, column, radius = lesion.circle
                away = np.hypot((columns + 0.5) * CELL - seen.breast.column(column), (rows + 0.5) * CELL - row)
                on[away <= max(min(max(radius, NEAR), FAR), away.min())] = len(self.kind)
                near |= away <= max(radius, AROUND) + AROUND
                self.kind.append(lesion.kind)

    def __len__(self) -> int:
        return len(self.seen)

    def views(self, film: int, rows: NDArray | slice = slice(None), fine: bool = False) -> list[NDArray]:
        """Return the features of some of a film's cells, once for each view of the film; `fine`: the fine maps only."""
        seen, columns = self.seen[film], FINE if fine else slice(None)
        if seen.maps is None:
            return [seen.hand[rows]]
        return [np.concatenate([maps[rows, columns], seen.hand[rows]], axis=1, dtype=np.float32) for maps in seen.maps]

    def at(self, film: int, marks: NDArray) -> NDArray[np.integer]:
        """Return which of a film's cells the marks lie in, given in pixels of the turned film."""
        number = np.cumsum(self.seen[film].breast.cells.ravel()).reshape(GRID, GRID) - 1
        row, column = (marks[:, :2] // CELL).astype(int).T
        return number[row, column]

    def map(self, film: int, score: NDArray, smooth: float = 0) -> NDArray:
        """Return the scores of a film's cells as a (64, 64) map, smoothed within the breast, minus infinity outside."""
        cells = self.seen[film].breast.cells
        full = np.zeros((GRID, GRID))
        full[cells] = score
        if smooth:
            inside = ndimage.gaussian_filter(cells.astype(float), smooth)
            full = ndimage.gaussian_filter(full, smooth) / np.maximum(inside, 1e-3)
        return np.where(cells, full, -np.inf)

    def detections(self, marks: Sequence[NDArray], radius: float, confidence: Callable) -> Detections:
        """Return marks on the turned films as detections on the films as they were."""
        turned = [seen.breast.on_film(rows) for seen, rows in zip(self.seen, marks, strict=True)]
        return detections(turned, radius, confidence)


class Linear(NamedTuple):
    """A logistic regression on a cell's features, of which ImageNet's `fine` maps alone if it says so."""

    weight: NDArray
    offset: float
    fine: bool

    def __call__(self, cells: Cells, film: int) -> NDArray:
        """Return the log odds for each of a film's cells, the mean over the views."""
        return np.mean([x @ self.weight + self.offset for x in cells.views(film, fine=self.fine)], axis=0)


def fit_linear(cells: Cells, films: Sequence[int], c: float, kinds: Sequence[str] = ()) -> Linear:
    """Fit a logistic regression on the cells of some films: once with cells drawn at random, once with hard ones added.

    Every lesion weighs the same, and so does every film; lesions and films weigh half each. If there are `kinds`, only
    lesions of these classes are looked for, by the fine maps alone; `c` is the inverse strength of the penalty.
    """
    rng = np.random.default_rng(0)
    wanted = [k for k, kind in enumerate(cells.kind) if not kinds or kind in kinds]
    positive = {i: np.flatnonzero(np.isin(cells.lesion[i], wanted)) for i in films}
    others = {i: np.flatnonzero(~cells.near[i]) for i in sorted(set(films) & set(cells.free))}
    negative = {i: rng.choice(rows, min(NEGATIVES, len(rows)), replace=False) for i, rows in others.items()}
    linear = _fit(cells, positive, negative, c, bool(kinds))
    for i in negative:
        hard = cells.at(i, peaks(cells.map(i, linear(cells, i)), DISTANCE - 1, CELL, 2 * HARD))
        negative[i] = np.r_[negative[i], hard[~cells.near[i][hard]][:HARD]]
    return _fit(cells, positive, negative, c, bool(kinds))


def _fit(cells: Cells, positive: Mapping, negative: Mapping, c: float, fine: bool) -> Linear:
    from sklearn.linear_model import LogisticRegression

    features, target, weight = [], [], []
    for answer, chosen in ((1, positive), (0, negative)):
        shares = []
        for i, rows in chosen.items():
            views = cells.views(i, rows, fine)
            features += views
            group = cells.lesion[i][rows] if answer else np.zeros(len(rows), int)
            shares += [1 / np.bincount(group)[group]] * len(views)
        share = np.concatenate(shares)
        weight.append(share / share.sum())
        target.append(np.full(len(share), answer))
    x, y = np.concatenate(features), np.concatenate(target)
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-6
    x -= mean
    x /= spread
    share = np.concatenate(weight) * len(y) / 2 / len(views)
    model = LogisticRegression(C=c, max_iter=200).fit(x, y, sample_weight=share)
    coefficient = (model.coef_[0] / spread).astype(np.float32)
    return Linear(coefficient, float(model.intercept_[0] - coefficient @ mean), fine)


class Features:
    """One linear model on the features of a cell; `c` is the inverse strength of its penalty."""

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
        marks = [peaks(cells.map(i, self.linear(cells, i), smooth=1), DISTANCE, CELL) for i in range(len(cells))]
        return cells.detections(marks, self.radius, lambda score: 1 / (1 + np.exp(-score)))
