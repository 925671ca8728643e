"""Detectors of whole films that need no network: where lesions lie, what is bright, what is round, what stands out.

Each is fitted on films of training women: it chooses the best of a few settings, or counts places. Then it predicts: a
list of films goes in, `Detections` come out. They are the first thing any network has to beat.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mammolib.benchmark import counting
from mammolib.geometry import Detections, circle_to_box
from mammolib.mias import Film
from mammolib.patches.cutting import for_each

from .breast import REDUCED, Breast, cut_out, local_contrast, peaks

PARTS = 16  # parts of the breast's bounding box, down and across, in which `Position` counts


class Detector(Protocol):
    """A detector of whole films. `predict` may look at all the films it is given: a woman's two breasts, say."""

    def fit(self, films: Sequence[Film]) -> Self:
        """Learn from films of training women; normal films are among them."""

    def predict(self, films: Sequence[Film]) -> Detections:
        """Mark lesions: `image` counts the films given, `label` is 1, boxes are pixels of the films."""


def detections(marks: Sequence[NDArray], radius: float, confidence: Callable) -> Detections:
    """Return the (N, 3) marks of each film (row, column, score) as squares of 2 x radius pixels.

    `confidence` turns scores into numbers from 0 to 1, the higher the better.
    """
    image = np.repeat(np.arange(len(marks)), np.array([len(rows) for rows in marks], int))
    row, column, score = np.concatenate([np.zeros((0, 3)), *marks]).T
    return Detections(image, np.ones_like(image), confidence(score), circle_to_box(row, column, radius))


def median_radius(films: Sequence[Film]) -> float:
    """Return the median radius of the located lesions, in pixels; without any there is nothing to learn from."""
    radii = [lesion.radius for film in films for lesion in film.lesions if lesion.radius is not None]
    if not radii:
        raise ValueError(f"none of the {len(films)} films has a lesion with a place: there is nothing to learn from")
    return float(np.median(radii))


def sensitivity(films: Sequence[Film], found: Detections, false_marks: float = 1) -> float:
    """Return the share of lesions found at so many false marks a film: what a setting is chosen by."""
    placed = [i for i, film in enumerate(films) if film.placed]
    rows = np.column_stack([found.box, found.confidence])
    counts = counting.count([films[i] for i in placed], [rows[found.image == i] for i in placed], "centre")
    return float(counting.sensitivity(counts, np.ones((1, len(placed))), at=(false_marks,))[0])


class Position:
    """Marks the places where lesions of training women lie, smoothed by one part: it never looks at the film."""

    def fit(self, films: Sequence[Film]) -> Self:
        """Count where the lesions lie."""
        count = np.zeros((PARTS, PARTS))
        for film in films:
            placed = np.array([lesion.circle[:2] for lesion in film.lesions if lesion.located])
            if len(placed):
                breast = cut_out(film)
                placed[:, 1] = breast.column(placed[:, 1])
                corner, size = breast.frame()
                at = np.clip((placed - corner) / size * PARTS, 0, PARTS - 1).astype(int)
                np.add.at(count, tuple(at.T), 1)
        self.share = ndimage.gaussian_filter(count, 1) / max(count.sum(), 1)
        self.radius = median_radius(films)
        return self

    def predict(self, films: Sequence[Film]) -> Detections:
        """Mark the same places of every breast."""
        places = peaks(np.where(self.share > 0, self.share, -np.inf), 1, cell=1)
        marks = []
        for breast in map(cut_out, films):
            corner, size = breast.frame()
            marks.append(breast.on_film(np.c_[corner + places[:, :2] / PARTS * size, places[:, 2]]))
        return detections(marks, self.radius, lambda score: score / self.share.max())


class Filter:
    """Marks the peaks of a filter's answer on the reduced film.

    Args:
        answer: takes a `Breast` and a setting, and returns (256, 256) scores, 0 and more where a mark may lie.
        settings: the best is chosen, by the sensitivity at one false mark a film on the training films.
        confidence: turns scores into 0 to 1.
    """

    def __init__(self, answer: Callable, settings: Sequence, confidence: Callable = lambda score: score / (1 + score)):
        self.answer, self.settings, self.confidence = answer, settings, confidence
        self._marks: dict[Any, dict[Any, NDArray]] = {}

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
        return detections([marks[setting] for marks in for_each(films, self._of_film)], self.radius, self.confidence)

    def _of_film(self, film: Film) -> dict[Any, NDArray]:
        """Return a film's marks by setting; they are the same in every fold, so they are found once."""
        key = (film.path, film.reference)
        if key not in self._marks:
            breast, marks = cut_out(film), {}
            for setting in self.settings:
                score = self.answer(breast, setting)
                score = np.where(breast.inside & (score > 0), score, -np.inf)
                marks[setting] = breast.on_film(peaks(score, 8, REDUCED))
            self._marks[key] = marks
        return self._marks[key]


def brightness(breast: Breast, sigma: float) -> NDArray:
    """Return the grey level, smoothed: the brightest blob is the one to mark."""
    return ndimage.gaussian_filter(breast.reduced, sigma)


def laplacian(breast: Breast, setting: tuple[float, float]) -> NDArray:
    """Return the largest answer of a normalised Laplacian of Gaussian over four scales (Lindeberg 1998).

    The setting is the window of the local contrast, and the smallest scale, in reduced pixels; each next is larger by
    1.4.
    """
    window, smallest = setting
    contrast = local_contrast(breast, window)[2]
    scales = smallest * 1.4 ** np.arange(4)
    answer = np.max([-(s**2) * ndimage.gaussian_laplace(contrast, s) for s in scales], axis=0)
    return np.where(ndimage.binary_erosion(breast.inside, iterations=6, border_value=1), answer, 0)


def afum(breast: Breast, setting: tuple[int, int]) -> NDArray:
    """Return the answer of the filter AFUM (Heath and Bowyer 2000): how much brighter a place is than the rings around.

    The setting is the largest radius and the gap, in reduced pixels of the film smoothed by 1 pixel. For each radius n,
    the answer is the share of the ring of radius n that is darker than the darkest pixel of the disc of radius n - gap;
    then the mean over n. A mass that fades outwards answers 1, flat tissue less than a half.
    """
    largest, gap = setting
    image = ndimage.gaussian_filter(breast.reduced, 1)
    angles = 2 * np.pi * np.arange(32) / 32
    shares = []
    for radius in range(gap + 2, largest + 1, 2):
        inner = radius - gap
        disc = np.hypot(*np.mgrid[-inner : inner + 1, -inner : inner + 1]) <= inner
        darkest = ndimage.minimum_filter(image, footprint=disc)
        steps = np.round(radius * np.stack([np.sin(angles), np.cos(angles)], axis=1)).astype(int)
        shares.append(np.mean([np.roll(image, step, (0, 1)) < darkest for step in steps], axis=0))
    return np.mean(shares, axis=0)
