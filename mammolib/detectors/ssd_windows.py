"""SSD256 as a detector of whole films: trained on cuts with lesions anywhere and on normal ones, shown windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import numpy as np

from mammolib.geometry import Detections
from mammolib.mias import SIDE, Film
from mammolib.patches import uniform_cuts

from .breast import MOST

WIDTH = 1 / 8
UPDATES, BATCH = 660, 32
BACKGROUND = 1500  # cuts of normal films that train, at the most


class Windows:
    """The paper's detector on whole films: a narrow SSD256, shown window after window.

    It learns from cuts that hold a lesion's centre anywhere, in eight views, and from cuts of normal films as they are.

    Args:
        start: weights to begin with, such as `learnt` of a detector fitted on phantoms; None for random ones.
        updates: about how many, of `BATCH` cuts each: as many whole epochs as come closest, at least one.
    """

    def __init__(self, start: Sequence[np.ndarray] | None = None, updates: int = UPDATES):
        self.start, self.updates = start, updates

    def fit(self, films: Sequence[Film]) -> Self:
        """Train the network, with nothing chosen: Adam at 1e-3, as Experiment A trains."""
        from mammolib import ssd, training

        lesions = uniform_cuts([film for film in films if film.lesions], contains="centre", views=8)
        normal = uniform_cuts([film for film in films if not film.lesions], stride=128)
        chosen = np.random.default_rng(0).permutation(len(normal))[:BACKGROUND]
        parts = [ssd.samples(crops, rows) for crops, rows in ((lesions, np.arange(len(lesions))), (normal, chosen))]
        both = training.Samples(*(np.concatenate([getattr(p, k) for p in parts]) for k in ("images", "targets")))
        epochs = max(1, round(self.updates / -(-len(both.images) // BATCH)))
        settings = training.Settings(epochs=epochs, batch=BATCH, optimizer="adam", precision="mixed_bfloat16")
        loss = ssd.SSDLoss(mining="batch")
        self.model = training.train(
            lambda: ssd.ssd256(width=WIDTH, divide_by=64), both, settings=settings, loss=loss, seed=0, start=self.start
        ).model
        return self

    @property
    def learnt(self) -> list[np.ndarray]:
        """The network's weights, to begin another training with."""
        return self.model.get_weights()

    def predict(self, films: Sequence[Film]) -> Detections:
        """Mark what the windows show, both classes as a lesion; a box whose centre is off the film is no mark."""
        from .windows import detect_films

        found = detect_films(self.model, films, top_before=400)
        centre = (found.box[:, :2] + found.box[:, 2:]) / 2
        found = found.take(np.flatnonzero(((centre >= 0) & (centre <= SIDE)).all(axis=1)))
        order = np.argsort(-found.confidence, kind="stable")
        best = found.take(np.concatenate([order[found.image[order] == i][:MOST] for i in range(len(films))]))
        return replace(best, label=np.ones_like(best.label))
