"""From the stated settings to those that train, one change at a time: runs alike in all but what is changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammolib.analysis.curves import in_words
from mammolib.results import Record, key_but, own_changes

SAME = ("width", "updates", "batch", "precision")
"""Settings in which the runs of one ladder agree."""
RUNGS = ("divide_by", "warmup", "clip", "momentum", "optimizer", "start")
"""Changes in the order in which one would try them."""
PER_LAYER = "gradient_norm/"
BLOCKS = {"heads": r"_(conf|loc)$", "norm": r"_norm$", "fc6, fc7": r"^fc\d$", "conv6 to conv9": r"^conv[6-9]_\d$"}
"""Block of layers -> the names of its layers; others are named by what stands before the underscore."""


def ladder(records: Sequence[Record]) -> list[Record]:
    """Return the largest group of runs of A and B that agree in size, batch, precision, split, seed and data.

    A's come before B's, those with fewer changes first, then by `RUNGS`.
    """
    groups: dict[tuple, list[Record]] = {}
    for record in records:
        settings = (record.settings.get(name) for name in SAME)
        groups.setdefault((*settings, record.split, record.seed, record.data["digest"]), []).append(record)

    def rung(record: Record) -> tuple:
        changed = record.settings.get("changed", {})
        known = sorted(RUNGS.index(name) if name in RUNGS else len(RUNGS) for name in changed)
        return record.name, len(changed), known, record.hash

    largest: list[Record] = max(groups.values(), key=len, default=[])
    return sorted(largest, key=rung)


def ladder_table(records: Sequence[Record]) -> pd.DataFrame:
    """Say of each run what was changed and how its validation detection loss (without weight decay) went.

    Changes that all the runs share are left out. The runs are of equal length, such as `ladder` finds.
    """
    rows = []
    for record in records:
        first, last = (_value(record, f"val_detection_loss{at}") for at in ("@epoch1", ""))
        changed = own_changes(record, records) or "as stated"
        rows.append([changed, record.outcome, *map(in_words, (first, last, last / first))])
    columns = ["changed", "outcome", "after epoch 1", "at the end", "share left"]
    return pd.DataFrame(rows, index=[record.name for record in records], columns=columns)


def blocks(update: Mapping[str, Sequence[float]]) -> dict[str, NDArray]:
    """Return block of layers -> the gradient norm of all of its weights, of a history's columns by update.

    conv1_1 and conv1_2 are the block conv1, and so on; conv6 to conv9 are one, and so are all heads.
    """
    squares: dict[str, Any] = {}
    for name, norms in _layers(update).items():
        block = next((words for words, these in BLOCKS.items() if re.search(these, name)), name.partition("_")[0])
        squares[block] = squares.get(block, 0.0) + np.array(norms, float) ** 2
    return {block: np.sqrt(values) for block, values in squares.items()}


def first_steps(record: Record, network: keras.Model) -> dict[str, float]:
    """Return layer -> the length of its first step as a multiple of the length of its weights.

    SGD's first step is rate x gradient, whatever the momentum, cut as a whole where the gradient is longer than `clip`.
    The network is the run's, untrained.

    Raises:
        ValueError: the run has another optimizer or no gradient norms by layer.
    """
    update, settings = record.history["update"], record.settings
    norms = _layers(update)
    if settings["optimizer"] != "SGD" or not norms:
        raise ValueError(f"{record.name}: needs SGD and gradient norms by layer, got {settings['optimizer']!r}")
    clip, total = settings["clip"], update["gradient_norm"][0]
    rate = update["learning_rate"][0] * (1.0 if clip is None else min(1.0, clip / total))
    squares: dict[str, float] = {}
    for variable in network.trainable_variables:
        layer = variable.path.rsplit("/", 1)[0]
        squares[layer] = squares.get(layer, 0.0) + float(np.square(keras.ops.convert_to_numpy(variable)).sum())
    return {name: float(rate * v[0] / np.sqrt(squares[name])) for name, v in norms.items()}


def precisions(records: Sequence[Record]) -> dict[str, Record]:
    """Return the longest runs of one experiment that differ in nothing but their precision, by its name.

    float32 comes first; empty if no run was made in more than one.
    """
    several = _groups_but(records, lambda r: r.settings["precision"], ("precision",))
    return dict(sorted(max(several, key=lambda group: next(iter(group.values())).size, default={}).items()))


def doubled(records: Sequence[Record]) -> dict[str, tuple[Record, Record]]:
    """Return what was changed -> (A, B), the pairs of runs of the two experiments that differ in their rates only.

    Shorter runs come first, then those with fewer changes.
    """
    groups = _groups_but(records, lambda r: r.name, ("rates", "gradient_norm"))
    pairs = [(group["A"], group["B"]) for group in groups if "A" in group]
    pairs.sort(key=lambda pair: (pair[0].size, len(pair[0].settings.get("changed", {})), pair[0].hash))
    of_a = [a for a, _ in pairs]
    words = [own_changes(a, of_a) or "as stated" for a in of_a]
    lengths = [f", {a.settings['updates']} updates" for a in of_a]
    titles = [word + length if words.count(word) > 1 else word for word, length in zip(words, lengths, strict=True)]
    return dict(zip(titles, pairs, strict=True))


def doubled_table(pairs: Mapping[str, tuple[Record, Record]]) -> pd.DataFrame:
    """Say how each run of each pair of `doubled` ended, and its highest loss after an epoch other than the first.

    The loss is that of validation without weight decay.
    """
    rows: dict[str, dict[str, str]] = {}
    for title, pair in pairs.items():
        rows[title] = {}
        for r in pair:
            parts = np.array([r.history["epoch"].get(f"val_{p}", []) for p in ("localisation", "confidence")], float)
            end = in_words(_value(r, "val_detection_loss")) if r.outcome == "finished" else r.outcome
            rows[title][f"{r.name} ends"] = end
            rows[title][f"{r.name}, highest"] = in_words(np.max(np.sum(parts, axis=0)[1:], initial=-np.inf))
    return pd.DataFrame(rows).T


def titled(records: Sequence[Record]) -> dict[str, Record]:
    """Return runs under the name of the experiment and what was changed, without what all of them share."""
    return {f"{record.name}: {own_changes(record, records) or 'as stated'}": record for record in records}


def by_width(looked: Sequence[Record]) -> dict[str, dict[str, dict[str, float]]]:
    """Return width -> rate -> layer -> share of outputs above zero, of records such as "A-inside"."""
    panels: dict[str, dict[str, dict[str, float]]] = {}
    for r in sorted(looked, key=_width_and_rate):
        title = f"{Fraction(r.settings['width'])} of the filters"
        panels.setdefault(title, {})[f"rate {r.settings['rates'][0]:g}"] = r.outputs["above_zero"]
    return panels


def inside_table(looked: Sequence[Record]) -> pd.DataFrame:
    """Return a row for each record such as "A-inside", by width and rate: what is dead, and how far answers differ."""
    rows = []
    for r in sorted(looked, key=_width_and_rate):
        row = {"filters": str(Fraction(r.settings["width"])), "rate": f"{r.settings['rates'][0]:g}"}
        row["conv5_3 above zero"] = f"{100 * r.outputs['above_zero']['conv5_3']:.1f} %"
        row |= {name.replace("_", " "): in_words(_value(r, name)) for name in ("crop_to_crop", "within_a_crop")}
        rows.append(row | {"detection loss": in_words(_value(r, "val_detection_loss"))})
    return pd.DataFrame(rows).set_index("filters").rename_axis(None)


def _layers(update: Mapping[str, Sequence[float]]) -> dict[str, Sequence[float]]:
    """Return layer -> its gradient norms, of a history's columns by update."""
    return {k.removeprefix(PER_LAYER): v for k, v in update.items() if k.startswith(PER_LAYER)}


def _groups_but(records: Sequence[Record], by: Callable[[Record], str], but: Sequence[str]) -> list[dict[str, Record]]:
    """Group runs that agree in all settings but some, and keep the groups in which `by` tells several runs apart."""
    groups: dict[tuple, dict[str, Record]] = {}
    for r in records:
        groups.setdefault((key_but(r, *but, "open"), r.split, r.seed), {})[by(r)] = r
    return [group for group in groups.values() if len(group) > 1]


def _value(record: Record, name: str) -> float:
    value = record.metrics.get(name, {}).get("value")
    return np.nan if value is None else float(value)


def _width_and_rate(record: Record) -> tuple[float, float]:
    return record.settings["width"], record.settings["rates"][0]
