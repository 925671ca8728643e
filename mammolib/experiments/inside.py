"""A trained network from the inside: which of its outputs are above zero, and whether its answers look at the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mammolib import mias, results, training
from mammolib.experiments import running, sets

CROPS = 64
"""Crops that are looked at: centred, and evenly spaced over the data set."""
KEPT = ("width", "updates", "batch", "rates", "precision", "reduced", "changed")
"""Settings of the run that its record repeats."""


def run_inside(
    of: results.Record, films: Sequence[mias.Film], *, store: str | Path, data: Mapping[str, Any] | None = None
) -> results.Record:
    """Show crops to the network of a detector's run and record what happens within it, or load that record.

    Arguments and errors are those of `whole_films.run_on_films`. The record is named after the run ("A-inside"), with
    crop_to_crop and within_a_crop (`training.spread_of_answers`) and the run's val_detection_loss; `outputs` holds
    layer -> share of outputs above zero under "above_zero".
    """
    asked = ask(of, data)

    def make() -> dict[str, Any]:
        network = running.load(of, store)
        images = sets.centred(films).images
        images = images[np.linspace(0, len(images) - 1, min(CROPS, len(images))).astype(int)]
        over, within = training.spread_of_answers(training.predict(network, images))
        metrics: dict[str, Any] = {"crop_to_crop": over, "within_a_crop": within}
        metrics |= {k: v for k, v in of.metrics.items() if k == "val_detection_loss"}
        return {"metrics": metrics, "outputs": {"above_zero": training.outputs_above_zero(network, images)}}

    return results.once(store, make, **asked)


def ask(of: results.Record, data: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return what such a record says was asked for; the arguments are those of `run_inside`."""
    settings = {**results.start_of(of), "crops": CROPS, **{k: of.settings[k] for k in KEPT if k in of.settings}}
    name, data = f"{of.name}-inside", dict(data or of.data)
    return {"name": name, "settings": settings, "data": data, "seed": of.seed, "split": of.split}
