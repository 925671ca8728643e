"""The mechanism of the leak: two splits, with and without mirroring, and what a mirrored view has to do with it.

The paper turns each lesion into its eight views and does not say how it split them. If views of one lesion lie on both
sides, a network that is shown its training images mirrored as well is shown some of its test images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mammolib.metrics import Interval
from mammolib.results import Record, key_but
from mammolib.results.runs import SPLITS
from mammolib.results.words import metric_words, seeds_words

if TYPE_CHECKING:
    import pandas as pd

CELLS = tuple((split, flip) for split in ("image", "woman") for flip in (True, False))
"""Split and mirroring of the four kinds of run."""
NAMES = ("map", "ap_benign", "ap_malignant", "map_training", "lookup_map", "centre_map", "lesions_seen")
"""Metrics of the table."""


def two_by_two(records: Sequence[Record]) -> dict[tuple[str, bool], list[Record]]:
    """Find the runs that differ in nothing but split, mirroring and seed, and fill most of the four cells.

    Args:
        records: of Experiment A; those that did not finish, or of another split, are passed over.

    Returns:
        (split, flip) -> its runs by seed, for the cells that have any. Of several such groups, the one with more
        cells counts, then one at the paper's size, then the larger one.
    """
    groups: dict[str, dict[tuple[str, bool], list[Record]]] = {}
    for r in records:
        cell = (r.split, bool(r.settings.get("flip")))
        if r.outcome != "finished" or cell not in CELLS:
            continue
        groups.setdefault(key_but(r, "flip"), {}).setdefault(cell, []).append(r)
    if not groups:
        return {}
    best = max(groups.values(), key=_standing)
    return {cell: sorted(best[cell], key=lambda r: r.seed) for cell in CELLS if cell in best}


def cell_words(cell: tuple[str, bool]) -> str:
    """Name one of the four kinds of run."""
    return f"{SPLITS[cell[0]]}, {'mirrored' if cell[1] else 'not mirrored'}"


def two_by_two_table(cells: Mapping[tuple[str, bool], Sequence[Record]]) -> pd.DataFrame:
    """Set the four kinds of run side by side: mean over seeds, and the lowest and highest where there are several.

    Args:
        cells: of `two_by_two`.
    """
    import pandas as pd

    rows = {}
    for cell, records in cells.items():
        row = {"seeds": str(len(records))}
        for name in NAMES:
            values = [v for r in records if (v := r.metrics.get(name, {}).get("value")) is not None]
            row[metric_words(name)] = seeds_words(values)
        rows[cell_words(cell)] = row
    return pd.DataFrame(rows) if rows else pd.DataFrame({"no such runs have been recorded yet": []})


def intervals_of(records: Mapping[str, Record | None], name: str = "map") -> dict[str, Interval]:
    """Return one metric of several runs with its intervals, for `plots.detection.intervals`.

    Args:
        records: runs by the words of their row; those without the metric or its interval are left out.
        name: the metric.
    """
    found = {}
    for words, record in records.items():
        held = record.metrics.get(name) if record is not None else None
        if held and held["value"] is not None and held["low"] is not None:
            found[words] = Interval(held["value"], held["low"], held["high"], held["n"])
    return found


def _standing(group: Mapping[tuple[str, bool], Sequence[Record]]) -> tuple[int, bool, float]:
    first = next(iter(group.values()))[0]
    return len(group), not first.reduced, first.size
