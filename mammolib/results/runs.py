"""Runs beside each other: which differ in their seed only, which speaks for its experiment, and how each is named."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from .record import Record

REAL = "mini-MIAS"
FILMS = 322
"""Films of mini-MIAS; a record with fewer was made from those with lesions alone."""

SPLITS = {"image": "at random", "lesion-order": "in lesion order", "woman": "by woman", "none": ""}
SEEDS = 3
"""Settings that finished with fewer seeds than these are not known to train; see `standing`."""


WIDTHS = {1.0: "all filters", 0.5: "half of the filters", 0.25: "a quarter of the filters",
          0.125: "an eighth of the filters", 0.0625: "a sixteenth of the filters"}  # fmt: skip


def plain_words(runs: Sequence[Record]) -> str:
    """Say in words how runs that differ in their seed were made: split, filters, updates, changes, seeds; no hash."""
    if not runs:
        return ""
    first, changed = runs[0], dict(runs[0].settings.get("changed", {}))
    width, updates = first.settings.get("width"), first.settings.get("updates")
    words = [SPLITS.get(first.split, first.split)]
    if width is not None:
        words.append(WIDTHS.get(float(width), f"{width:g} of the filters"))
    if isinstance(updates, int):
        words.append(f"{updates:,} updates of {first.settings.get('batch', '?')}")
    if str(first.settings.get("start", "random")) not in ("random", "imagenet"):
        words.append("from a trained network")
    if changed.get("optimizer") == "adam" and "divide_by" in changed:  # the variant that trains
        changed = {k: v for k, v in changed.items() if k not in ("optimizer", "divide_by", "precision", "batch")}
        if "rates" in changed and width and width > 0.125:
            del changed["rates"]  # they go with the width
    known = {"flip": {False: "not mirrored", True: "mirrored"}, "optimizer": {"adam": "Adam"}}
    for key, value in changed.items():
        if key not in ("precision", "batch", "start"):
            name = key.replace("_", " ")
            words.append(known.get(key, {}).get(value if isinstance(value, bool | str) else None) or f"{name} {value}")
    words.append(f"seed {first.seed}" if len(runs) == 1 else f"{len(runs)} seeds")
    ended = sorted({r.outcome for r in runs} - {"finished"})
    return ", ".join(w for w in [*words, *ended] if w)


def shared_changes(runs: Sequence[Record]) -> dict[str, Any]:
    """Return what all of several runs changed alike; nothing for a single run."""
    changes = [dict(r.settings.get("changed", {})) for r in runs]
    return {k: v for k, v in changes[0].items() if all(c.get(k) == v for c in changes)} if len(changes) > 1 else {}


def own_changes(run: Record, among: Sequence[Record]) -> str:
    """Say in words what a run changed that not all of these runs did; "" for nothing."""
    shared, mine = shared_changes(among), run.settings.get("changed", {})
    own = {
        k: "from trained weights" if k == "start" and "-" in str(v) else v for k, v in mine.items() if k not in shared
    }
    return ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in own.items())


def data_words(record: Record) -> str:
    """Name a run's data: "mini-MIAS", "mini-MIAS (115 films)" for its films with lesions alone, "" for none."""
    name, films = record.data["name"], record.data["films"]
    return "" if name == "none" else f"{name} ({films} films)" if name == REAL and films < FILMS else name


def series(records: Iterable[Record]) -> list[tuple[Record, ...]]:
    """Group complete runs by what was asked for but the seed, in the order of the seeds; of equal runs the first."""
    groups: dict[tuple[str, str], dict[str, Record]] = {}
    for record in records:
        if record.complete:
            groups.setdefault((record.series, record.data["name"]), {}).setdefault(record.hash, record)
    return [tuple(sorted(g.values(), key=lambda r: r.seed)) for g in groups.values()]


def standing(runs: Sequence[Record]) -> tuple:
    """Return what series of one experiment are sorted by, the one that speaks for it first.

    One at the paper's size comes before a reduced one, then one with the experiment's own length and rates, the paper's
    split, the largest, one that finished with `SEEDS` seeds, the one with the fewest changes.

    Args:
        runs: that differ in their seed only.
    """
    first, order = runs[0], list(SPLITS)
    return (
        first.reduced,
        first.rescheduled,
        order.index(first.split) if first.split in order else len(order),
        -first.size,
        sum(r.outcome == "finished" for r in runs) < SEEDS,
        len(first.settings.get("changed", {})),
        -len(runs),
        first.hash,
    )


def key_but(record: Record, *names: str) -> str:
    """Return a text in which two runs agree whose settings differ in nothing but these, on the same data."""
    settings = {k: v for k, v in record.settings.items() if k not in (*names, "changed")}
    changed = {k: v for k, v in record.settings.get("changed", {}).items() if k not in names}
    return json.dumps([settings, changed, record.data["digest"]], sort_keys=True, default=list)
