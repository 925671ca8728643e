"""What the records of the benchmark say: the ladder of whole-film detectors, and the leaderboard."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from mammolib import mias
from mammolib.experiments.rungs import PREFIX, RUNGS
from mammolib.results import Record
from mammolib.results.words import number_words

POINTS = {"0.25": "1/4", "0.5": "1/2", "1": "1", "2": "2", "4": "4"}
"""False marks a film that tables show: end of the metric's name, and words."""
AT_ONE = "sensitivity_at_1"


def rungs(records: Iterable[Record]) -> dict[str, Record]:
    """Return words -> record of the book's own detectors, in the order of the ladder."""
    by_name = {record.name: record for record in records}
    return {words: by_name[PREFIX + rung] for rung, (words, _) in RUNGS.items() if PREFIX + rung in by_name}


def ladder_table(records: Iterable[Record]) -> pd.DataFrame:
    """Return a row for each detector: the share of lesions found at so many false marks a film, with its interval."""
    heads = {"0.25": "1/4 false mark a film", "1": "1 false mark a film", "4": "4 false marks a film"}
    rows = {
        words: {head: number_words(record.metrics.get(f"sensitivity_at_{point}")) for point, head in heads.items()}
        for words, record in rungs(records).items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def by_class(record: Record) -> pd.DataFrame:
    """Return a row for each class of lesion: women behind it, and the share found at 1 and 4 false marks a film."""
    rows = {}
    for kind, words in mias.KINDS.items():
        one, four = (record.metrics.get(f"sensitivity_at_{x}_{kind}") for x in (1, 4))
        women = "–" if one is None else one["n"]
        rows[words] = {"women": women, "at 1 false mark a film": number_words(one), "at 4": number_words(four)}
    return pd.DataFrame.from_dict(rows, orient="index")


def leaderboard(records: Iterable[Record]) -> list[tuple[str, ...]]:
    """Return the heading and the rows of the leaderboard, the best at one false mark a film first.

    The records are of `benchmark.score`: the book's own (`benchmark-...`) and others' (`benchmark`).
    """
    scored = [r for r in records if r.name.startswith("benchmark") and AT_ONE in r.metrics]
    scored.sort(key=lambda record: -(record.metrics[AT_ONE]["value"] or 0))
    rows = [("Detector", *(f"at {label}" for label in POINTS.values()), "repeats", "folds")]
    for record in scored:
        name = record.settings.get("detector", f"{record.name} {record.hash}")
        repeats = record.settings.get("repeats") or len(np.atleast_1d(record.settings["repeat"]))
        shares = (number_words(record.metrics[f"sensitivity_at_{point}"]) for point in POINTS)
        rows.append((RUNGS.get(name, (name,))[0], *shares, str(repeats), record.settings["folds"][:8]))
    return rows
