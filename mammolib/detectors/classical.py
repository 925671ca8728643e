"""Detectors of whole films that need no network: where lesions lie, what is bright, what is round, what stands out.

Each is fitted on films of training women and then predicts: a list of films goes in, `Detections` come out. What is
called fitting here is a choice of the best of a few settings, or a count of places; the first thing any network has to
beat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mammolib.benchmark import counting
from mammolib.geometry import Detections, circle_to_box
from mammolib.mias import SIDE, Film
from mammolib.patches.cutting import for_each

from .breast import QUARTER, Breast, cut_out, local_contrast, peaks

MOST = 30
"""Most marks on one film."""
REDUCED = SIDE // QUARTER


class Detector(Protocol):
    """A detector of whole films. `predict` may look at all the films it is given: a woman's two breasts, say."""

    def fit(self, films: Sequence[Film]) -> Self:
        """Learn from films of training women; normal films are among them."""

    def predict(self, films: Sequence[Film]) -> Detections:
        """Mark lesions: `image` counts the films given, `label` is 1, boxes are pixels of the films."""


Marks = tuple[NDArray, NDArray, NDArray]
"""Rows and columns, in pixels, and scores, of the marks on one film."""


def detections(marks: Iterable[Marks], radius: float, confidence: Callable) -> Detections:
    """Return marks as detections: squares around the marks, scores turned into confidences.

    Args:
        marks: of each film, on the film as it was.
        radius: half the side of every square, in pixels.
        confidence: turns scores into numbers from 0 to 1, the higher the better.
    """
    image: list[NDArray] = [np.zeros(0, int)]
    score: list[NDArray] = [np.zeros(0)]
    box: list[NDArray] = [np.zeros((0, 4))]
    for i, (rows, columns, scores) in enumerate(marks):
        image.append(np.full(len(rows), i))
        score.append(confidence(scores))
        box.append(circle_to_box(rows, columns, np.full(len(rows), radius)).reshape(-1, 4))
    images = np.concatenate(image)
    return Detections(images, np.ones_like(images), np.concatenate(score), np.concatenate(box))


def median_radius(films: Sequence[Film]) -> float:
    """Return the median radius of the located lesions, in pixels.

    Raises:
        ValueError: no lesion has a place.
    """
    radii = [lesion.radius for film in films for lesion in film.lesions if lesion.radius is not None]
    if not radii:
        raise ValueError(f"none of the {len(films)} films has a lesion with a place: there is nothing to learn from")
    return float(np.median(radii))


def sensitivity(films: Sequence[Film], found: Detections, false_marks: float = 1) -> float:
    """Return the share of lesions found at so many false marks a film: what a setting is chosen by."""
    placed = [i for i, film in enumerate(films) if all(lesion.located for lesion in film.lesions)]
    rows = np.column_stack([found.box, found.confidence])
    counts = counting.count([films[i] for i in placed], [rows[found.image == i] for i in placed], "centre")
    return float(counting.sensitivity(counts, np.ones((1, len(placed))), at=(false_marks,))[0])


class Position:
    """Marks the places where lesions of training women lie, the same on every film: it never looks at the film.

    Places are counted on the breast's bounding box, in 16 x 16 parts, and smoothed by one part.
    """

    parts = 16

    def fit(self, films: Sequence[Film]) -> Self:
        """Count where the lesions lie."""
        count = np.zeros((self.parts, self.parts))
        for film in films:
            if placed := [lesion for lesion in film.lesions if lesion.located]:
                breast = cut_out(film)
                top, left, height, width = _frame(breast)
                for lesion in placed:
                    row, column, _ = lesion.circle
                    row, column = (row - top) / height, (breast.column(column) - left) / width
                    at = np.clip(np.array([row, column]) * self.parts, 0, self.parts - 1).astype(int)
                    count[tuple(at)] += 1
        self.share = ndimage.gaussian_filter(count, 1) / max(count.sum(), 1)
        self.radius = median_radius(films)
        return self

    def predict(self, films: Sequence[Film]) -> Detections:
        """Mark the same places of every breast."""
        rows, columns, score = peaks(np.where(self.share > 0, self.share, -np.inf), 1, MOST)
        marks = []
        for breast in map(cut_out, films):
            top, left, height, width = _frame(breast)
            row, column = top + (rows + 0.5) / self.parts * height, left + (columns + 0.5) / self.parts * width
            marks.append((row, breast.column(column), score))
        return detections(marks, self.radius, lambda score: score / self.share.max())


class Filter:
    """Marks the peaks of a filter's answer on the reduced film; fitting chooses the best of the filter's settings.

    Args:
        answer: takes a `Breast` and a setting, and returns (256, 256) scores, 0 and more where a mark may lie.
        settings: what is chosen from, by the sensitivity at one false mark a film on the training films.
        confidence: turns scores into 0 to 1.
    """

    def __init__(self, answer: Callable, settings: Sequence, confidence: Callable = lambda score: score / (1 + score)):
        self.answer, self.settings, self.confidence = answer, settings, confidence
        self._kept: dict[tuple[Any, Any], Marks] = {}

    def fit(self, films: Sequence[Film]) -> Self:
        """Choose the setting that finds most lesions of the training women."""
        self.radius = median_radius(films)
        worth = [sensitivity(films, self._marked(films, setting)) for setting in self.settings]
        self.choice = self.settings[int(np.argmax(worth))]
        return self

    def predict(self, films: Sequence[Film]) -> Detections:
        """Mark the peaks of the answer."""
        return self._marked(films, self.choice)

    def _marked(self, films: Sequence[Film], setting: Any) -> Detections:
        marks = for_each(films, lambda film: self._marks(film, setting))
        return detections(marks, self.radius, self.confidence)

    def _marks(self, film: Film, setting: Any) -> Marks:
        """Return the peaks on a film; they are the same in every fold, so they are found once."""
        key = (film.path, film.reference)
        if (key, setting) not in self._kept:
            breast = cut_out(film)
            for one in self.settings:
                score = self.answer(breast, one)
                rows, columns, scores = peaks(np.where(breast.inside & (score > 0), score, -np.inf), 8, MOST)
                row, column = (rows + 0.5) * REDUCED, breast.column((columns + 0.5) * REDUCED)
                self._kept[key, one] = (row, column, scores)
        return self._kept[key, setting]


def brightness(breast: Breast, sigma: float) -> NDArray:
    """Return the grey level, smoothed: the brightest blob is the one to mark."""
    return ndimage.gaussian_filter(breast.reduced, sigma)


def laplacian(breast: Breast, setting: tuple[float, float]) -> NDArray:
    """Return the largest answer of a normalised Laplacian of Gaussian over four scales (Lindeberg 1998).

    Args:
        breast: the film.
        setting: window of the local contrast, and the smallest scale, in reduced pixels; each next is larger by 1.4.
    """
    window, smallest = setting
    contrast = local_contrast(breast, window)[2]
    scales = smallest * 1.4 ** np.arange(4)
    answer = np.max([-(s**2) * ndimage.gaussian_laplace(contrast, s) for s in scales], axis=0)
    return np.where(ndimage.binary_erosion(breast.inside, iterations=6, border_value=1), answer, 0)


def afum(breast: Breast, setting: tuple[int, int]) -> NDArray:
    """Return the answer of the filter AFUM (Heath and Bowyer 2000): how much brighter a place is than the rings around.

    For each radius n, it is the share of the ring of radius n that is darker than the darkest pixel of the disc of
    radius n - gap; then the mean over n. A mass that fades outwards answers 1, flat tissue less than a half.

    Args:
        breast: the film.
        setting: the largest radius and the gap, in reduced pixels of the film smoothed by 1 pixel.
    """
    largest, gap = setting
    image = ndimage.gaussian_filter(breast.reduced, 1)
    angles = 2 * np.pi * np.arange(32) / 32
    shares = []
    for radius in range(gap + 2, largest + 1, 2):
        inner = radius - gap
        disc = np.hypot(*np.mgrid[-inner : inner + 1, -inner : inner + 1]) <= inner
        darkest = ndimage.minimum_filter(image, footprint=disc)
        ring = [np.roll(image, np.round(radius * np.array(d)).astype(int), (0, 1)) for d in _circle(angles)]
        shares.append(np.mean([pixel < darkest for pixel in ring], axis=0))
    return np.mean(shares, axis=0)


def _circle(angles: NDArray) -> NDArray:
    return np.stack([np.sin(angles), np.cos(angles)], axis=1)


def _frame(breast: Breast) -> tuple[float, float, float, float]:
    """Return top, left, height and width of the breast's bounding box, in pixels."""
    rows, columns = (np.flatnonzero(breast.inside.any(axis=axis)) for axis in (1, 0))
    top, left, height, width = rows[0], columns[0], np.ptp(rows) + 1, np.ptp(columns) + 1
    return REDUCED * float(top), REDUCED * float(left), REDUCED * float(height), REDUCED * float(width)
