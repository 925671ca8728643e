"""A trained network on whole films, normal ones included: lesions found against false marks a film (FROC).

A crop that surely holds a lesion says little about a film that mostly holds none. Here a network of Experiments A to E
sees the films window by window: those whose lesion its own test set shows, and normal films.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mammolib import mias, results
from mammolib.experiments import evaluate_detector, running, sets
from mammolib.metrics import CAMELYON, Froc, froc, match_any_class, measured, sensitivity_at

POINTS = 200
"""At most so many points of the curve are kept in the record."""
STRIDE = 128
"""Pixels between windows."""


def films_shown(
    films: Sequence[mias.Film], split: str, seed: int, normal: int | None = None, with_lesion: int | None = None
) -> list[mias.Film]:
    """Return the films with the lesions that A's split tests, then normal films.

    By woman or in lesion order, normal films of women of whom a film trains or validates are left out; by image, where
    every woman trains, none is. `normal` and `with_lesion` say how many of each, the first ones; None for all. A
    ValueError says that none is normal, as among the films with lesions of `mias.pack`.
    """
    if normal != 0 and all(f.severity != "normal" for f in films):
        raise ValueError(f"films: none of the {len(films)} is normal; whole films need the normal ones of the data too")
    crops = sets.centred(films)
    part = sets.divide(crops, split, seed)
    tested = set(crops.film[part.test])
    known = set() if split == "image" else set(crops.woman[np.r_[part.training, part.validation]])
    lesions = [f for f in films if f.reference in tested]
    without = [f for f in films if f.severity == "normal" and f.woman not in known]
    return lesions[:with_lesion] + without[:normal]


def run_on_films(
    of: results.Record,
    films: Sequence[mias.Film],
    *,
    store: str | Path,
    data: Mapping[str, Any] | None = None,
    normal: int | None = None,
    with_lesion: int | None = None,
) -> results.Record:
    """Show whole films to a run's network and record the FROC curve; a record that is there is loaded.

    Answers count as in `evaluate_detector.answers`. A mark is a hit if it overlaps a lesion by IoU 0.5, whatever class
    it names; a second mark on a lesion counts as neither.

    Args:
        of: a finished run of A, C, D or E-after; its weights are in the store.
        films, data: the data set that it was trained on, and what the record says of it; as the run does if not given.
        store: the folder for records and weights.
        normal, with_lesion: how many normal films and films with a lesion; None for all.

    Returns:
        The record, named after the run ("A-films"): froc_score (CAMELYON16's) and sensitivity at 1 and 4 false marks a
        film, with intervals over women; films, normal_films, lesions; the curve in `outputs`.

    Raises:
        FileNotFoundError: the run's weights are not in the store.
    """
    from mammolib.detectors.windows import detect_films
    from mammolib.training import quiet

    asked = ask(of, data, normal, with_lesion)

    def make() -> dict[str, Any]:
        model = running.load(of, store)
        shown = films_shown(films, of.split, of.seed, normal, with_lesion)
        counts = {"confidence": evaluate_detector.CONFIDENCE, "top_before": evaluate_detector.CANDIDATES}
        with quiet():
            found = detect_films(model, shown, stride=STRIDE, **counts)
        truths = mias.film_truths(shown)
        curve, matches = froc(found, truths), match_any_class(found, truths)
        group, lesioned = np.array([f.woman for f in shown]), np.array([bool(f.lesions) for f in shown])

        def found_at(*marks: float) -> dict[str, Any]:
            return measured(lambda w: sensitivity_at(matches, marks, w).mean(axis=1), group, lesioned)

        metrics = {
            "films": len(shown),
            "normal_films": sum(f.severity == "normal" for f in shown),
            "lesions": curve.lesions,
            "froc_score": found_at(*CAMELYON),
            "sensitivity_at_1": found_at(1),
            "sensitivity_at_4": found_at(4),
        }
        kept = np.unique(np.linspace(0, len(curve.confidence) - 1, POINTS).astype(int))
        outputs = {
            "false_positives": curve.false_positives[kept].tolist(),
            "sensitivity": curve.sensitivity[kept].tolist(),
            "confidence": [1.0, *curve.confidence[kept][1:].tolist()],
        }
        return {"metrics": metrics, "outputs": outputs}

    return results.once(store, make, **asked)


def ask(
    of: results.Record, data: Mapping[str, Any] | None = None, normal: int | None = None, with_lesion: int | None = None
) -> dict[str, Any]:
    """Return what the record of whole films says was asked for; the arguments are those of `run_on_films`."""
    settings = {
        **results.start_of(of),
        "width": of.settings["width"],
        "stride": STRIDE,
        "candidates": evaluate_detector.CANDIDATES,
        "normal": normal,
        "reduced": of.reduced or normal is not None or with_lesion is not None,
        "changed": dict(of.settings["changed"]),
    }
    if with_lesion is not None:
        settings["with_lesion"] = with_lesion
    name, data = f"{of.name}-films", dict(data or of.data)
    return {"name": name, "settings": settings, "data": data, "seed": of.seed, "split": of.split}


def curve_of(record: results.Record) -> Froc:
    """Return the FROC curve that a record of whole films keeps, for `plots.detection.froc_curves`."""
    if "false_positives" not in record.outputs:
        raise ValueError(f"{record.name}: the record holds no FROC curve")
    columns = ("false_positives", "sensitivity", "confidence")
    marks, found, confidence = (np.asarray(record.outputs[k], float) for k in columns)
    return Froc(marks, found, confidence, *(int(record.metrics[k]["value"]) for k in ("lesions", "films")))
