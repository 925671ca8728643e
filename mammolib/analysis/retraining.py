"""Experiment E before and after: one table of both test sets, one history of both trainings, who was seen when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from mammolib.experiments import evaluate_detector
from mammolib.experiments.detection import SETS
from mammolib.metrics import TRUE
from mammolib.patches import Crops
from mammolib.results import Record, claims
from mammolib.results.words import metric_words, number_words
from mammolib.splits import Split

NAMES = (
    "map", "ap_benign", "ap_malignant", "recall", "recall_any", "confidence", "centre_map", "centre_recall",
    "lookup_map",
)  # fmt: skip
CLAIMS = {
    "centred, before": "A-", "centred, after": "E-after-centred-",
    "uniform, before": "E-before-", "uniform, after": "E-after-uniform-",
}  # fmt: skip
"""How the paper's claims about `NAMES[:3]` begin: Table 4, and what section 4.2 says of A's network on both sets."""


def trade(before: Record | None, after: Record | None) -> pd.DataFrame:
    """Set `NAMES` on both test sets before (E-before) and after (E-after) side by side, intervals in brackets."""
    columns = {
        f"{which}, {word}": [number_words(record.metrics.get(f"{name}_{which}") if record else None) for name in NAMES]
        for which in SETS
        for word, record in (("before", before), ("after", after))
    }
    return pd.DataFrame(columns, index=[metric_words(n) for n in NAMES])


def paper_trade() -> pd.DataFrame:
    """Return the paper's APs as `trade` does, with the change on each test set and the mean over both."""
    value = {claim.id: claim.value for claim in claims()}
    names = NAMES[:3]
    columns = {head: [value[start + name.replace("_", "-")] for name in names] for head, start in CLAIMS.items()}
    table = pd.DataFrame(columns, index=[metric_words(name) for name in names])
    for which in SETS:
        table[f"{which}, change"] = table[f"{which}, after"] - table[f"{which}, before"]
    for word in ("before", "after"):
        table[f"mean, {word}"] = table[[f"{which}, {word}" for which in SETS]].mean(axis=1)
    return table.round(4)


def scores(pairs: Mapping[str, tuple[Record, Record]]) -> pd.DataFrame:
    """Return the mAP of the paper and of pairs (before, after), beside three boxes in the middle; one row each."""
    rows = {"the paper": paper_trade().iloc[0].to_dict()}
    for words, (before, after) in pairs.items():
        kinds = {"before": (before, "map"), "after": (after, "map"), "boxes": (after, "centre_map")}
        rows[words] = {
            f"{which}, {kind}": record.metrics[f"{name}_{which}"]["value"]
            for which in SETS
            for kind, (record, name) in kinds.items()
        }
    return pd.DataFrame(rows).T[[f"{which}, {kind}" for which in SETS for kind in ("before", "after", "boxes")]]


def joined(first: Record, second: Record) -> tuple[dict[str, dict[str, list[Any]]], int]:
    """Join the histories of a training and of the one that continued it, on other images: the paper's Figure 18.

    Returns:
        A history by epoch with the columns that both have, epochs and updates counted on; and the epochs of the first.

    Raises:
        ValueError: one of the two has no epochs.
    """
    for record in (first, second):
        if not record.history.get("epoch", {}).get("epoch"):
            raise ValueError(f"{record.name}: the record holds no epochs ({record.outcome})")
    a, b = first.history["epoch"], second.history["epoch"]
    b = {**b, **{name: [a[name][-1] + v for v in b[name]] for name in ("epoch", "update")}}
    return {"epoch": {name: [*a[name], *b[name]] for name in a if name in b}}, len(a["epoch"])


def in_the_middle(counts: ArrayLike) -> float:
    """Return the share of centres in the four middle cells of a map, such as a record's "answers_uniform"."""
    counts = np.asarray(counts, float)
    middle = slice(len(counts) // 2 - 1, len(counts) // 2 + 1)
    return float(counts[middle, middle].sum() / counts.sum()) if counts.any() else float("nan")


def confidence_ranks(record: Record, which: str) -> dict[str, float]:
    """Say how sure a detector, of E-before or E-after, is of its right answers, and how many wrong ones come before.

    Returns:
        On the test set `which`: the median confidence of the right answers, and the wrong answers an image that are
        more confident than the median right one of their class; NaN where nothing is right.
    """
    matches, _ = evaluate_detector.matches_of(record, which)
    right, confidence = matches.outcome[0] == TRUE, matches.confidence
    wrong, median = float("nan"), float("nan")
    if right.any():
        of_class = {c: np.median(confidence[right & (matches.label == c)]) for c in np.unique(matches.label[right])}
        bar = np.array([of_class.get(label, np.inf) for label in matches.label])
        wrong, median = (confidence > bar)[~right].sum() / matches.n_images, np.median(confidence[right])
    return {"confidence of right answers": float(median), "wrong answers before them, an image": float(wrong)}


def seen(centred: tuple[Crops, Split], uniform: tuple[Crops, Split]) -> dict[str, float]:
    """Return the shares of E's uniform test cuts whose lesion, and whose woman, A or E trained on.

    The centred crops and their split are A's, the uniform cuts and theirs E's.
    """
    shares = {}
    for what, column in (("lesion", "film"), ("woman", "woman")):  # a film that is kept has one lesion
        tested = getattr(uniform[0], column)[uniform[1].test]
        for who, (images, split) in (("A", centred), ("E", uniform)):
            trained = getattr(images, column)[split.training]
            shares[f"{what} seen by {who}"] = float(np.isin(tested, trained).mean())
    return shares
