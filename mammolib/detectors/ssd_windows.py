"""SSD256 as a detector of whole films: trained on cuts with lesions anywhere and on normal ones, shown windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from mammolib.geometry import Detections
from mammolib.mias import SIDE, Film
from mammolib.patches import uniform_cuts

from .classical import MOST

WIDTH = 1 / 8
UPDATES, BATCH = 660, 32
BACKGROUND = 1500
"""Most cuts of normal films that train."""


class Windows:
    """The paper's detector on whole films: a narrow SSD256, shown window after window.

    It learns from cuts that hold a lesion's centre anywhere, in eight views, and from cuts of normal films as they are.

    Args:
        start: weights to begin with, in the model's order, such as `learnt` of a detector fitted on phantoms; None for
            random ones.
        updates: about how many, of `BATCH` cuts each: as many whole epochs as come closest, at least one.
    """

    def __init__(self, start: Sequence[np.ndarray] | None = None, updates: int = UPDATES):
        self.start, self.updates = start, updates

    def fit(self, films: Sequence[Film]) -> Self:
        """Train the network, with nothing chosen: Adam at 1e-3, as Experiment A trains."""
        from mammolib import ssd, training

        lesions = uniform_cuts([film for film in films if film.lesions], contains="centre", views=8)
        normal = uniform_cuts([film for film in films if not film.lesions], stride=128)
        rng = np.random.default_rng(0)
        chosen = rng.permutation(len(normal))[:BACKGROUND]
        parts = [ssd.samples(crops, rows) for crops, rows in ((lesions, np.arange(len(lesions))), (normal, chosen))]
        both = training.Samples(*(np.concatenate([getattr(p, k) for p in parts]) for k in ("images", "targets")))
        steps = -(-len(both.images) // BATCH)
        settings = training.Settings(
            epochs=max(1, round(self.updates / steps)), batch=BATCH, optimizer="adam", precision="mixed_bfloat16"
        )
        fitted = training.train(
            lambda: ssd.ssd256(width=WIDTH, divide_by=64),
            both,
            settings=settings,
            loss=ssd.SSDLoss(mining="batch"),
            seed=0,
            start=self.start,
        )
        self.model = fitted.model
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
        on = np.flatnonzero(((centre >= 0) & (centre <= SIDE)).all(axis=1))
        order = on[np.argsort(-found.confidence[on], kind="stable")]
        kept = np.concatenate([order[found.image[order] == i][:MOST] for i in range(len(films))])
        return Detections(found.image[kept], np.ones(len(kept), int), found.confidence[kept], found.box[kept])
