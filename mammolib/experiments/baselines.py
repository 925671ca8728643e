"""What needs no network, as records: the lookup over many splits, the losses of a network that sees nothing, the leak.

They stand beside every detector: the lookup says what a split gives away, the losses are the zero from which a
detector's loss is measured, and the leak deals the same crops in four ways.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mammolib import mias, results, ssd
from mammolib.detectors.lookup import BINS, repeat
from mammolib.experiments import dealing, sets
from mammolib.metrics.intervals import NO_WIDTH
from mammolib.patches import Crops

NAMES = ("lookup", "loss-levels", "leak")
SPLITS = 50
"""Splits over which the lookup is repeated, with seeds 0, 1, ..."""


def run_baseline(
    name: str, films: Sequence[mias.Film], *, data: Mapping[str, Any], store: str | Path, split: str = "image"
) -> results.Record:
    """Measure a baseline on the tumour-centred crops and record it, or load its record.

    Args:
        name: "lookup": accuracy, map and majority (always the larger class), means over `SPLITS` splits with the 2.5
            and 97.5 percentiles as interval. "loss-levels": see `loss_levels`. "leak": see `dealing`; means over
            `dealing.SEEDS` splits of each kind.
        films, data: a data set, and what the record says of it.
        store: the folder of records.
        split: of the lookup: "image" or "woman".

    Raises:
        ValueError: another split; in lesion order there is only one.
    """
    asked = ask(name, data, split)

    def make() -> dict[str, Any]:
        crops, more = sets.centred(films), {}
        if name == "loss-levels":
            return {"metrics": loss_levels(crops)}
        if name == "lookup":
            found = repeat(crops, [sets.divide(crops, split, seed) for seed in range(SPLITS)])
            columns = dict(zip(("accuracy", "map", "majority"), found.T.tolist(), strict=True))
        else:
            more["settings"] = dealing.twenty_settings(crops)
            columns = dealing.four_ways(crops) | dealing.choices(more["settings"])
        metrics = {key: over_splits(column) for key, column in columns.items()}
        return {"metrics": metrics, "outputs": columns | more}

    return results.once(store, make, **asked)


def ask(name: str, data: Mapping[str, Any], split: str = "image") -> dict[str, Any]:
    """Return what a baseline's record says was asked for; the arguments are those of `run_baseline`."""
    looks = name == "lookup"
    if looks and split not in ("image", "woman"):
        raise ValueError(f"split: the lookup is repeated by image or by woman, got {split!r}")
    settings = {
        "lookup": {"splits": SPLITS, "bins": BINS},
        "loss-levels": {"mining": "batch"},
        "leak": {"seeds": dealing.SEEDS, "bins": dealing.BINS, "pixels": dealing.PIXELS, "inner": dealing.INNER},
    }[name]
    return {"name": name, "settings": settings, "data": dict(data), "seed": 0, "split": split if looks else "none"}


def loss_levels(crops: Crops) -> dict[str, float]:
    """Return the detection losses of two networks that see nothing, on crops, and the parts of each.

    "silent" answers 0 everywhere: each of three classes has one third, no box is moved. "blind" answers each image
    alike: background with probability 3/4, since three negatives are drawn for each match, each class with 1/8, and for
    each shape of default box the median offsets of its matches.

    Returns:
        silent and blind, each also with "_localisation" and "_confidence"; without weight decay.
    """
    targets = ssd.make_targets(crops.truths, crops.images.shape[1])
    hit = targets[..., 0] > 0
    silent = np.zeros((*hit.shape, 7), np.float32)
    blind = silent.copy()
    blind[..., :3] = np.log([3 / 4, 1 / 8, 1 / 8])
    shapes, shape = np.unique(ssd.default_boxes()[:, 2:].round(6), axis=0, return_inverse=True)
    of_hit, offsets = np.broadcast_to(shape, hit.shape)[hit], targets[hit][:, 1:]
    for k in np.unique(of_hit):
        blind[:, shape == k, 3:] = np.median(offsets[of_hit == k], axis=0)
    found: dict[str, float] = {}
    for name, answers in (("silent", silent), ("blind", blind)):
        localisation, confidence = map(float, ssd.SSDLoss(mining="batch").parts(targets, answers))
        found |= {f"{name}_localisation": localisation, f"{name}_confidence": confidence}
        found[name] = localisation + confidence
    return found


def over_splits(column: ArrayLike) -> dict[str, Any]:
    """Return the mean of a number over splits as a record holds it, with its 2.5 and 97.5 percentiles."""
    values = np.asarray(column, float)
    n, mean, (low, high) = len(values), float(values.mean()), np.percentile(values, [2.5, 97.5])
    if high - low <= NO_WIDTH:
        return results.metric(mean, n=n, reason=f"all {n} splits agree")
    return results.metric(mean, low, high, n, kind="splits", method=f"2.5 and 97.5 percentiles of {n} splits")
