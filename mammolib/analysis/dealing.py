"""What the record of the leak says: scores by way of dealing, what the parts share, and what choosing adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import comb

from mammolib.experiments.dealing import WAYS

if TYPE_CHECKING:
    import pandas as pd

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
    """Return method -> way of dealing -> scores, in words, for `plots.leak.ladder`.

    Args:
        record: of the run "leak".
        networks: of `analysis.leak.two_by_two`; the mirrored runs at random and by woman are added, one value a seed.
    """
    made = {
        words: {
            WORDS[way]: Strip(tuple(record.outputs[name]), record.metrics[name]["low"], record.metrics[name]["high"])
            for way in WAYS
            for name in [f"{method}_by_{way}"]
        }
        for method, words in METHODS.items()
    }
    runs = {WORDS[way]: (networks or {}).get((split, True), ()) for way, split in WAYS.items()}
    scored = {
        words: Strip(tuple(r.metrics["map"]["value"] for r in of_way)) for words, of_way in runs.items() if of_way
    }
    return made | ({NETWORK: scored} if scored else {})


def shared(record: Record) -> pd.DataFrame:
    """Return a table of what training and test share: a row for each way, the mean over splits and its range."""
    import pandas as pd

    rows = {
        WORDS[way]: {words: _counted(record.outputs[f"{unit}_by_{way}"]) for unit, words in SHARED.items()}
        for way in WAYS
    }
    return pd.DataFrame(rows).T


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
    tried = range(1, len(settings["test"][0]) + 1)
    by = {"chosen on the test women": "test", "chosen on folds of the training women": "inner"}
    return {
        words: np.mean(
            [
                [reported(test, chosen_by, k) for k in tried]
                for test, chosen_by in zip(settings["test"], settings[name], strict=True)
            ],
            axis=0,
        )
        for words, name in by.items()
    }


def _counted(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{np.mean(values):.1f} ({low} to {high})" if low < high else str(low)
