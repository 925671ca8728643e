"""The best detector of the book: all lesions, calcifications by themselves, and a woman's two breasts side by side.

Three steps, each chosen on the training women alone, by folds inside them. (1) A linear model on all features looks for
every kind of lesion. (2) What the woman's other breast also shows is taken off its score. (3) A second model looks for
calcifications on the fine maps; its marks are merged with the first model's on a scale both share: the number of false
marks a film that such a score brought on women whom the model had not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mammolib.geometry import Detections
from mammolib.mias import Film
from mammolib.splits import folds_by_woman

from .breast import CELL, MOST, peaks
from .classical import median_radius, sensitivity
from .features import DISTANCE, Cells, Eye, fit_linear

PENALTIES = (1e-4, 1e-3)  # inverse strengths of the first model's penalty that are tried
OTHER_BREAST = (0.0, 0.2, 0.4)  # shares of the other breast's score that are tried
CALCIFICATIONS = (None, 0.1, 0.2, 0.4)
"""How many of a first model's false marks a false mark of the second may cost; None leaves the second out."""
FINE_PENALTY = 1e-3
FLOOR = 0.3  # quantile of the scores below which the other breast says nothing
FOLDS = 3  # inside the training women
AIMS = (1, 4)  # false marks a film at which the mean sensitivity chooses


class Rate(NamedTuple):
    """How many false marks a film a score brings, read off the ascending scores of the false marks on some films."""

    scores: NDArray
    films: int

    @classmethod
    def of(cls, cells: Cells, marks: Sequence[NDArray]) -> Rate:
        """Count the marks off the lesions, on the films whose lesions all have a place."""
        false = [marks[i][~cells.near[i][cells.at(i, marks[i])], 2] for i in cells.free]
        return cls(np.sort(np.concatenate(false)), len(cells.free))

    def __call__(self, scores: NDArray) -> NDArray:
        """Return false marks a film at and above these scores; beyond the highest, ever smaller parts of one mark."""
        above = np.interp(scores, self.scores, np.arange(len(self.scores), 0, -1.0))
        return above * np.exp(-np.maximum(scores - self.scores[-1], 0)) / self.films


class BothBreasts:
    """The ensemble; `choice` says what was chosen when it was fitted: penalty, share of the other breast, price."""

    def __init__(self, eye: Eye):
        self.eye = eye

    def fit(self, films: Sequence[Film]) -> Self:
        """Choose by folds inside the women of these films, then fit on all of them."""
        self.radius = median_radius(films)
        cells = Cells(films, self.eye)
        fine = _marks(cells, _unseen(cells, FINE_PENALTY, ("CALC",)))
        self.fine_rate = Rate.of(cells, fine)
        worth, rates, floors = {}, {}, {}
        for c in PENALTIES:
            scores = _unseen(cells, c)
            floors[c] = float(np.quantile(np.concatenate(scores), FLOOR))
            for share in OTHER_BREAST:
                marks = _marks(cells, scores, share, floors[c])
                rate = rates[c, share] = Rate.of(cells, marks)
                for price in CALCIFICATIONS:
                    found = self._merged(cells, marks, fine, rate, price)
                    worth[c, share, price] = np.mean([sensitivity(films, found, aim) for aim in AIMS])
        self.choice = max(worth, key=lambda key: worth[key])
        self.floor, self.rate = floors[self.choice[0]], rates[self.choice[:2]]
        everyone = range(len(films))
        self.linear = fit_linear(cells, everyone, self.choice[0])
        self.fine = fit_linear(cells, everyone, FINE_PENALTY, ("CALC",))
        return self

    def predict(self, films: Sequence[Film]) -> Detections:
        """Mark the films; where both of a woman are among them, they are compared."""
        cells, (_, share, price) = Cells(films, self.eye), self.choice
        scores, fine = ([model(cells, i) for i in range(len(cells))] for model in (self.linear, self.fine))
        marks = _marks(cells, scores, share, self.floor)
        return self._merged(cells, marks, _marks(cells, fine), self.rate, price)

    def _merged(
        self, cells: Cells, marks: Sequence[NDArray], fine: Sequence[NDArray], rate: Rate, price: float | None
    ) -> Detections:
        """Return both models' marks, their confidence 1 / (1 + false marks a film); of marks close by, the better."""
        merged = []
        for first, second in zip(marks, fine, strict=True):
            both = np.c_[first[:, :2], rate(first[:, 2])]
            if price is not None:
                both = np.r_[both, np.c_[second[:, :2], self.fine_rate(second[:, 2]) / price]]
            both = both[np.argsort(both[:, 2], kind="stable")]
            kept: list[int] = []
            for k, (row, column, _) in enumerate(both):
                if (np.hypot(*(both[kept, :2] - [row, column]).T) >= DISTANCE * CELL).all():
                    kept.append(k)
            merged.append(both[kept[:MOST]])
        return cells.detections(merged, self.radius, lambda expected: 1 / (1 + expected))


def _unseen(cells: Cells, c: float, kinds: Sequence[str] = ()) -> list[NDArray]:
    """Return the scores of every film's cells from a model that has not seen its woman."""
    scores = [np.zeros(0)] * len(cells)
    strata = [film.lesions[0].kind if film.lesions else "NORM" for film in cells.films]
    for split in folds_by_woman([film.woman for film in cells.films], strata, FOLDS, seed=0):
        linear = fit_linear(cells, np.r_[split.training, split.validation], c, kinds)
        for i in split.test:
            scores[i] = linear(cells, i)
    return scores


def _marks(cells: Cells, scores: Sequence[NDArray], share: float = 0.0, floor: float = 0.0) -> list[NDArray]:
    """Return the peaks of every film's scores, less a share of what the woman's other breast shows there.

    Both films have the chest wall on the left, so the same place is the same cell, give or take two. The other's score
    counts only above the floor: what is below says nothing.
    """
    maps = [cells.map(i, score, smooth=1) for i, score in enumerate(scores)]
    if share:
        widened = {film.number: ndimage.maximum_filter(m, 5) for film, m in zip(cells.films, maps, strict=True)}
        for i, film in enumerate(cells.films):
            if (across := widened.get(film.number + (1 if film.side == "right" else -1))) is not None:
                maps[i] = maps[i] - share * np.maximum(across, floor)
    return [peaks(map_, DISTANCE, CELL) for map_ in maps]
