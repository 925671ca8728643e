"""What the record of the leak says: scores by way of dealing, what the parts share, and what choosing adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import comb

from mammolib.experiments.dealing import WAYS
from mammolib.results import Record

WORDS = {"view": "by view, at random", "lesion": "by lesion", "film": "by film", "woman": "by woman"}
METHODS = {
    "lookup_map": "Lookup of grey levels (mAP)",
    "centre_map": "Three boxes that never move (mAP)",
    "histogram_auc": "Linear model on grey levels (AUC)",
    "pixels_auc": "Support vectors on 16 x 16 pixels (AUC)",
}
NETWORK = "SSD256, an eighth of the filters (mAP)"
SHARED = {
    "views": "test views whose mirror image trains",
    "lesions": "lesions on both sides",
    "films": "films on both sides",
    "women": "women on both sides",
}


class Strip(NamedTuple):
    """The scores of one method dealt one way: a value a split, and the ends of their interval, None for none."""

    values: tuple[float, ...]
    low: float | None = None
    high: float | None = None


def strips(
    record: Record, networks: Mapping[tuple[str, bool], Sequence[Record]] | None = None
) -> dict[str, dict[str, Strip]]:
    """Return method -> way of dealing -> scores, in words, of the run "leak", for `plots.leak.ladder`.

    Of networks, found by `analysis.leak.two_by_two`, the mirrored ones are added, one value a seed.
    """
    found: dict[str, dict[str, Strip]] = {words: {} for words in METHODS.values()}
    for method, words in METHODS.items():
        for way in WAYS:
            name = f"{method}_by_{way}"
            interval = record.metrics[name]
            found[words][WORDS[way]] = Strip(tuple(record.outputs[name]), interval["low"], interval["high"])
    for way, split in WAYS.items():
        if runs := (networks or {}).get((split, True)):
            strip = Strip(tuple(r.metrics["map"]["value"] for r in runs))
            found.setdefault(NETWORK, {})[WORDS[way]] = strip
    return found


def shared(record: Record) -> pd.DataFrame:
    """Return a table of what training and test share: a row for each way, the mean over splits and its range."""

    def counted(values: Sequence[int]) -> str:
        low, high = min(values), max(values)
        return f"{np.mean(values):.1f} ({low} to {high})" if low < high else str(low)

    return pd.DataFrame(
        {words: [counted(record.outputs[f"{unit}_by_{way}"]) for way in WAYS] for unit, words in SHARED.items()},
        index=[WORDS[way] for way in WAYS],
    )


def reported(scores: ArrayLike, chosen_by: ArrayLike, tried: int) -> float:
    """Return what is reported on average if some of the settings are tried and the one that looks best is kept.

    Args:
        scores: (n,) test score of each setting.
        chosen_by: (n,) what the choice looks at: the test scores themselves, or others.
        tried: how many settings are tried, drawn at random; 1 to n.

    Returns:
        The mean over all draws. Of n settings in ascending order, the i-th (from 0) is the best of those drawn in
        C(i, tried - 1) of the C(n, tried) draws.

    Example:
        >>> scores = [0.25, 0.5, 0.75]
        >>> reported(scores, scores, tried=1), reported(scores, scores, tried=3)
        (0.5, 0.75)
    """
    scores, order = np.asarray(scores, float), np.argsort(chosen_by, kind="stable")
    if not 1 <= tried <= len(scores):
        raise ValueError(f"tried: must be 1 to {len(scores)}, got {tried}")
    draws = comb(np.arange(len(scores)), tried - 1)
    return float(draws @ scores[order] / comb(len(scores), tried))


def reported_curves(record: Record) -> dict[str, NDArray[np.floating]]:
    """Return the mean over splits of what is `reported` after 1, 2, ... settings, by what chooses."""
    settings = record.outputs["settings"]
    by = {"chosen on the test women": "test", "chosen on folds of the training women": "inner"}
    curves = {}
    for words, name in by.items():
        splits = list(zip(settings["test"], settings[name], strict=True))
        tried = range(1, len(settings["test"][0]) + 1)
        curves[words] = np.mean([[reported(*split, k) for k in tried] for split in splits], axis=0)
    return curves
