"""From the stated settings to those that train, one change at a time: runs alike in all but what is changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from numpy.typing import NDArray

from mammolib.analysis.curves import in_words
from mammolib.results import Record, key_but, own_changes

if TYPE_CHECKING:
    import pandas as pd

SAME = ("width", "updates", "batch", "precision")
"""Settings in which the runs of one ladder agree."""

RUNGS = ("divide_by", "warmup", "clip", "momentum", "optimizer", "start")
"""Changes in the order in which one would try them."""

PER_LAYER = "gradient_norm/"
BLOCKS = {"heads": r"_(conf|loc)$", "norm": r"_norm$", "fc6, fc7": r"^fc\d$", "conv6 to conv9": r"^conv[6-9]_\d$"}
"""Block of layers -> the names of its layers; others are named by what stands before the underscore."""


def ladder(records: Sequence[Record]) -> list[Record]:
    """Return the largest group of runs that agree in size, batch, precision, split, seed and data.

    Args:
        records: of Experiments A and B.

    Returns:
        The runs, A's before B's, those with fewer changes first, then by `RUNGS`; empty if there is none.
    """
    groups: dict[tuple, list[Record]] = {}
    for r in records:
        key = (*(r.settings.get(k) for k in SAME), r.split, r.seed, r.data["digest"])
        groups.setdefault(key, []).append(r)
    best = max(groups.values(), key=len, default=[])

    def rung(record: Record) -> tuple:
        changed = _changed(record)
        known = sorted(RUNGS.index(k) if k in RUNGS else len(RUNGS) for k in changed)
        return record.name, len(changed), known, record.hash

    return sorted(best, key=rung)


def ladder_table(records: Sequence[Record]) -> pd.DataFrame:
    """Say of each run what was changed and how its validation detection loss (without weight decay) went.

    Changes that all the runs share are left out.

    Args:
        records: runs of equal length, such as `ladder` finds.
    """
    import pandas as pd

    if not records:
        return pd.DataFrame({"no such runs have been recorded yet": []})
    rows = []
    for record in records:
        first, last = (_value(record, f"val_detection_loss{at}") for at in ("@epoch1", ""))
        rows.append(
            {
                "experiment": record.name,
                "changed": own_changes(record, records) or "nothing",
                "outcome": record.outcome,
                "after epoch 1": in_words(first),
                "at the end": in_words(last),
                "share left": in_words(last / first),
            }
        )
    return pd.DataFrame(rows).set_index("experiment").rename_axis(None)


def layers(update: Mapping[str, Sequence[float]]) -> dict[str, Sequence[float]]:
    """Return layer -> its gradient norms, of a history's columns by update."""
    return {k.removeprefix(PER_LAYER): v for k, v in update.items() if k.startswith(PER_LAYER)}


def blocks(update: Mapping[str, Sequence[float]]) -> dict[str, NDArray]:
    """Return block of layers -> the gradient norm of all of its weights, of a history's columns by update.

    conv1_1 and conv1_2 are the block conv1, and so on; conv6 to conv9 are one, and so are all heads.
    """
    squares: dict[str, Any] = {}
    for name, norms in layers(update).items():
        block = next((words for words, these in BLOCKS.items() if re.search(these, name)), name.partition("_")[0])
        squares[block] = squares.get(block, 0.0) + np.square(np.asarray(norms, float))
    return {block: np.sqrt(values) for block, values in squares.items()}


def first_steps(record: Record, network: keras.Model) -> dict[str, float]:
    """Return layer -> the length of its first step as a multiple of the length of its weights.

    SGD's first step is rate x gradient, whatever the momentum, cut as a whole where the gradient is longer than `clip`.

    Args:
        record: of a run with SGD that holds the gradient norm of each layer.
        network: the run's network, untrained.

    Raises:
        ValueError: the run has another optimizer or no gradient norms by layer.
    """
    update, settings = record.history["update"], record.settings
    norms = layers(update)
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
    """Return the longest runs that differ in nothing but the precision they calculate in, by its name.

    Args:
        records: of one experiment.

    Returns:
        precision -> run, float32 first; empty if no run was made in more than one.
    """
    several = _apart(records, lambda r: r.settings["precision"], ("precision",))
    return dict(sorted(max(several, key=lambda g: next(iter(g.values())).size).items())) if several else {}


def doubled(records: Sequence[Record]) -> dict[str, tuple[Record, Record]]:
    """Return the pairs of runs, Experiment A's and B's, that differ in nothing but their rates.

    Args:
        records: of Experiments A and B.

    Returns:
        what was changed in both -> (A, B), shorter runs first, then those with fewer changes.
    """
    pairs = [(g["A"], g["B"]) for g in _apart(records, lambda r: r.name, ("rates", "gradient_norm")) if "A" in g]
    pairs.sort(key=lambda pair: (pair[0].size, len(_changed(pair[0])), pair[0].hash))
    at_a = [a for a, _ in pairs]
    words = [own_changes(a, at_a) or "nothing" for a in at_a]
    lengths = [f", {a.settings['updates']} updates" for a in at_a]
    titles = [w + n if words.count(w) > 1 else w for w, n in zip(words, lengths, strict=True)]
    return dict(zip(titles, pairs, strict=True))


def doubled_table(pairs: Mapping[str, tuple[Record, Record]]) -> pd.DataFrame:
    """Say how runs at A's rates and at twice these rates went, by the validation loss without weight decay.

    Args:
        pairs: of `doubled`.

    Returns:
        A row for each pair: how each run ended, and its highest loss after an epoch other than the first.
    """
    import pandas as pd

    if not pairs:
        return pd.DataFrame({"no such runs have been recorded yet": []})
    rows = {}
    for title, pair in pairs.items():
        row = {}
        for r in pair:
            parts = [np.array(r.history["epoch"].get(f"val_{k}", []), float) for k in ("localisation", "confidence")]
            highest = np.max(np.sum(parts, axis=0)[1:], initial=-np.inf)
            row[f"{r.name} ends"] = in_words(_value(r, "val_detection_loss")) if r.outcome == "finished" else r.outcome
            row[f"{r.name}, highest"] = in_words(highest)
        rows[title] = row
    return pd.DataFrame(rows).T


def _apart(records: Sequence[Record], by: Callable[[Record], str], but: Sequence[str]) -> list[dict[str, Record]]:
    """Group runs that agree in all settings but some, and keep the groups in which `by` tells several runs apart."""
    groups: dict[tuple, dict[str, Record]] = {}
    for r in records:
        groups.setdefault((key_but(r, *but, "open"), r.split, r.seed), {})[by(r)] = r
    return [g for g in groups.values() if len(g) > 1]


def titled(records: Sequence[Record]) -> dict[str, Record]:
    """Return runs under the name of the experiment and what was changed, without what all of them share."""
    return {f"{record.name}: {own_changes(record, records) or 'as stated'}": record for record in records}


def _changed(record: Record) -> dict[str, Any]:
    return dict(record.settings.get("changed", {}))


def _value(record: Record, name: str) -> float:
    held: Any = record.metrics.get(name, {}).get("value")
    return np.nan if held is None else float(held)


def by_width(looked: Sequence[Record]) -> dict[str, dict[str, dict[str, float]]]:
    """Return width -> rate -> layer -> share of outputs above zero, of records such as "A-inside"."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for r in sorted(looked, key=_width_and_rate):
        title = f"{Fraction(r.settings['width'])} of the filters"
        found.setdefault(title, {})[f"rate {r.settings['rates'][0]:g}"] = r.outputs["above_zero"]
    return found


def inside_table(looked: Sequence[Record]) -> pd.DataFrame:
    """Return a row for each record such as "A-inside", by width and rate: what is dead, and how far answers differ."""
    import pandas as pd

    rows = []
    for r in sorted(looked, key=_width_and_rate):
        row = {"filters": str(Fraction(r.settings["width"])), "rate": f"{r.settings['rates'][0]:g}"}
        row["conv5_3 above zero"] = f"{100 * r.outputs['above_zero']['conv5_3']:.1f} %"
        row |= {name.replace("_", " "): in_words(_value(r, name)) for name in ("crop_to_crop", "within_a_crop")}
        rows.append(row | {"detection loss": in_words(_value(r, "val_detection_loss"))})
    return pd.DataFrame(rows).set_index("filters").rename_axis(None)


def _width_and_rate(record: Record) -> tuple[float, float]:
    return record.settings["width"], record.settings["rates"][0]
