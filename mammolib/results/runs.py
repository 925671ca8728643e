"""Runs beside each other: which differ in their seed only, which speaks for its experiment, and how each is named."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .estimates import SEEDS
from .record import Record
from .words import change_words

Series = Sequence[Record]
"""Runs that differ in their seed only, by seed."""

REAL = "mini-MIAS"
FILMS = 322
"""Films of mini-MIAS; a record with fewer was made from those with lesions alone."""

SPLITS = {"image": "at random", "lesion-order": "in lesion order", "woman": "by woman", "none": ""}
WIDTHS = {1.0: "all", 0.5: "half", 0.25: "a quarter", 0.125: "an eighth", 0.0625: "a sixteenth"}


def plain_words(runs: Series) -> str:
    """Say in words how runs that differ in their seed were made: split, filters, updates, changes, seeds; no hash."""
    if not runs:
        return ""
    first, settings, changed = runs[0], runs[0].settings, dict(runs[0].settings.get("changed", {}))
    width, updates = settings.get("width"), settings.get("updates")
    words = [SPLITS.get(first.split, first.split)]
    if width is not None:
        part = WIDTHS.get(width, f"{width:g}")
        words.append("all filters" if part == "all" else f"{part} of the filters")
    if isinstance(updates, int):
        words.append(f"{updates:,} updates of {settings.get('batch', '?')}")
    if str(settings.get("start", "random")) not in ("random", "imagenet"):
        words.append("from a trained network")
    if changed.get("optimizer") == "adam" and "divide_by" in changed:  # the variant that trains
        del changed["optimizer"], changed["divide_by"]
        if width and width > 0.125:
            changed.pop("rates", None)  # they go with the width
    words += _said({k: v for k, v in changed.items() if k not in ("precision", "batch", "start")})
    words.append(f"seed {first.seed}" if len(runs) == 1 else f"{len(runs)} seeds")
    words += sorted({r.outcome for r in runs} - {"finished"})
    return ", ".join(filter(None, words))


def shared_changes(runs: Sequence[Record]) -> dict[str, Any]:
    """Return what all of several runs changed alike; nothing for a single run."""
    changes = [dict(r.settings.get("changed", {})) for r in runs]
    return {k: v for k, v in changes[0].items() if all(c.get(k) == v for c in changes)} if len(changes) > 1 else {}


def own_changes(run: Record, among: Sequence[Record]) -> str:
    """Say in words what a run changed that not all of these runs did; "" for nothing."""
    shared = shared_changes(among)
    own = {k: v for k, v in run.settings.get("changed", {}).items() if k not in shared}
    if "-" in str(own.get("start")):
        own["start"] = "from trained weights"
    return ", ".join(_said(own))


def _said(changes: Mapping[str, Any]) -> list[str]:
    return [change_words(k, v) for k, v in changes.items() if k != "rate_epochs" or "epochs" not in changes]


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


def standing(runs: Series) -> tuple:
    """Return what series of one experiment are sorted by, the one that speaks for it first.

    One at the paper's size comes before a reduced one, then one with the experiment's own length and rates, the paper's
    split, the largest, one that finished with `SEEDS` seeds, the one with the fewest changes.
    """
    first, order, changed = runs[0], list(SPLITS), runs[0].settings.get("changed", {})
    rescheduled = not {"epochs", "steps", "rates", "rate_epochs"}.isdisjoint(changed)  # a control, whatever its size
    place = order.index(first.split) if first.split in order else len(order)
    unsure = sum(r.outcome == "finished" for r in runs) < SEEDS  # not known to train
    return first.reduced, rescheduled, place, -first.size, unsure, len(changed), -len(runs), first.hash


def key_but(record: Record, *names: str) -> str:
    """Return a text in which two runs agree whose settings differ in nothing but these, on the same data."""
    settings = {k: v for k, v in record.settings.items() if k not in (*names, "changed")}
    changed = {k: v for k, v in record.settings.get("changed", {}).items() if k not in names}
    return json.dumps([settings, changed, record.data["digest"]], sort_keys=True, default=list)
