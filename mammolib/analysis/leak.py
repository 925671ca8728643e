"""The mechanism of the leak: two splits, with and without mirroring, and what a mirrored view has to do with it.

The paper turns each lesion into its eight views and does not say how it split them. If views of one lesion lie on both
sides, a network that is shown its training images mirrored as well is shown some of its test images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from mammolib.metrics import Interval
from mammolib.results import Record, key_but
from mammolib.results.runs import SPLITS
from mammolib.results.words import metric_words, seeds_words

CELLS = tuple((split, flip) for split in ("image", "woman") for flip in (True, False))
"""Split and mirroring of the four kinds of run."""
NAMES = ("map", "ap_benign", "ap_malignant", "map_training", "lookup_map", "centre_map", "lesions_seen")
"""Metrics of the table."""


def two_by_two(records: Sequence[Record]) -> dict[tuple[str, bool], list[Record]]:
    """Find the runs of Experiment A that differ in nothing but split, mirroring and seed, and fill most of four cells.

    Returns:
        (split, flip) -> its finished runs by seed, for the cells that have any. Of several such groups, the one with
        more cells counts, then one at the paper's size, then the larger one.
    """
    groups: dict[str, dict[tuple[str, bool], list[Record]]] = {}
    for record in sorted(records, key=lambda r: r.seed):
        cell = (record.split, bool(record.settings.get("flip")))
        if record.outcome == "finished" and cell in CELLS:
            groups.setdefault(key_but(record, "flip"), {}).setdefault(cell, []).append(record)

    def standing(group: Mapping[tuple[str, bool], Sequence[Record]]) -> tuple[int, bool, float]:
        first = next(iter(group.values()))[0]
        return len(group), not first.reduced, first.size

    best = max(groups.values(), key=standing, default={})
    return {cell: best[cell] for cell in CELLS if cell in best}


def cell_words(cell: tuple[str, bool]) -> str:
    """Name one of the four kinds of run."""
    return f"{SPLITS[cell[0]]}, {'mirrored' if cell[1] else 'not mirrored'}"


def two_by_two_table(cells: Mapping[tuple[str, bool], Sequence[Record]]) -> pd.DataFrame:
    """Set the four kinds of run of `two_by_two` side by side: mean over seeds, lowest and highest of several."""
    columns = {}
    for cell, records in cells.items():
        columns[cell_words(cell)] = {"seeds": str(len(records))}
        for name in NAMES:
            values = [r.metrics[name]["value"] for r in records if name in r.metrics]
            columns[cell_words(cell)][metric_words(name)] = seeds_words([v for v in values if v is not None])
    return pd.DataFrame(columns)


def intervals_of(records: Mapping[str, Record | None], name: str = "map") -> dict[str, Interval]:
    """Return a metric of several runs with its intervals, by the words of their row, for `plots.detection.intervals`.

    Runs without the metric or its interval are left out.
    """
    return {
        words: Interval(metric["value"], metric["low"], metric["high"], metric["n"])
        for words, record in records.items()
        if record and (metric := record.metrics.get(name)) and metric["low"] is not None
    }
