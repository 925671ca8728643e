"""Experiment E before and after: one table of both test sets, one history of both trainings, who was seen when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from mammolib.experiments import evaluate_detector
from mammolib.experiments.detection import SETS
from mammolib.metrics import TRUE
from mammolib.patches import Crops
from mammolib.results import Record, claims
from mammolib.results.words import metric_words, number_words

if TYPE_CHECKING:
    import pandas as pd

    from mammolib.splits import Split

NAMES = (
    "map", "ap_benign", "ap_malignant", "recall", "recall_any", "confidence", "centre_map", "centre_recall",
    "lookup_map",
)  # fmt: skip
CLAIMS = {
    "centred, before": ("A-map", "A-ap-benign", "A-ap-malignant"),
    "centred, after": ("E-after-centred-map", "E-after-centred-ap-benign", "E-after-centred-ap-malignant"),
    "uniform, before": ("E-before-map", "E-before-ap-benign", "E-before-ap-malignant"),
    "uniform, after": ("E-after-uniform-map", "E-after-uniform-ap-benign", "E-after-uniform-ap-malignant"),
}
"""The paper's claims about `NAMES[:3]`: Table 4, and what section 4.2 says of A's network on both test sets."""


def trade(before: Record | None, after: Record | None) -> pd.DataFrame:
    """Set both test sets before and after the retraining side by side, intervals in brackets.

    Args:
        before: of E-before.
        after: of E-after.

    Returns:
        A table with a row for each of `NAMES` and a column for each test set, before and after; a dash for nothing.
    """
    import pandas as pd

    columns = {
        f"{which}, {word}": [number_words(record.metrics.get(f"{name}_{which}") if record else None) for name in NAMES]
        for which in SETS
        for word, record in (("before", before), ("after", after))
    }
    return pd.DataFrame(columns, index=[metric_words(n) for n in NAMES])


def paper_trade() -> pd.DataFrame:
    """Return the paper's APs as `trade` does, with the change on each test set and the mean over both."""
    import pandas as pd

    value = {claim.id: claim.value for claim in claims()}
    table = pd.DataFrame({head: [value[i] for i in ids] for head, ids in CLAIMS.items()})
    table.index = [metric_words(n) for n in NAMES[:3]]
    for which in SETS:
        table[f"{which}, change"] = table[f"{which}, after"] - table[f"{which}, before"]
    for word in ("before", "after"):
        table[f"mean, {word}"] = table[[f"{which}, {word}" for which in SETS]].mean(axis=1)
    return table.round(4)


def joined(first: Record, second: Record) -> tuple[dict[str, dict[str, list[Any]]], int]:
    """Join the histories of a training and of the one that continued it: the paper's Figure 18.

    The two validation losses are not of the same images.

    Returns:
        A history by epoch with the columns that both have, epochs and updates counted on; and the epochs of the first.

    Raises:
        ValueError: one of the two has no epochs.
    """
    columns = [record.history.get("epoch", {}) for record in (first, second)]
    for record, own in zip((first, second), columns, strict=True):
        if not own.get("epoch"):
            raise ValueError(f"{record.name}: the record holds no epochs ({record.outcome})")
    both = {name: [*columns[0][name], *columns[1][name]] for name in columns[0] if name in columns[1]}
    n = len(columns[0]["epoch"])
    for name in ("epoch", "update"):
        both[name] = [*columns[0][name], *(columns[0][name][-1] + v for v in columns[1][name])]
    return {"epoch": both}, n


def in_the_middle(counts: ArrayLike) -> float:
    """Return the share of centres in the four middle cells of a map, such as a record's "answers_uniform"."""
    counts = np.asarray(counts, float)
    half = len(counts) // 2
    total = counts.sum()
    return float(counts[half - 1 : half + 1, half - 1 : half + 1].sum() / total) if total else float("nan")


def beside_the_prior(record: Record) -> dict[str, float | None]:
    """Set a detector beside boxes in the middle, on the uniform test set.

    Args:
        record: of E-before or E-after.

    Returns:
        mAP, and recall at any confidence, of both. The boxes in the middle make six marks an image; with how many the
        detector reaches its recall no record says, since it drops a class's marks after its last right one.
    """
    value = {name: held["value"] for name, held in record.metrics.items()}
    return {
        "mAP, detector": value.get("map_uniform"),
        "mAP, centre prior": value.get("centre_map_uniform"),
        "recall, detector": value.get("recall_any_uniform"),
        "recall, centre prior": value.get("centre_recall_uniform"),
    }


def confidence_ranks(record: Record, which: str) -> dict[str, float]:
    """Say how sure a detector is of its right answers, and how many wrong ones come before them.

    Args:
        record: of E-before or E-after.
        which: the test set.

    Returns:
        The median confidence of the right answers, and the wrong answers an image that are more confident than the
        median right one of their class; NaN where nothing is right.
    """
    matches, _ = evaluate_detector.matches_of(record, which)
    right, wrong = matches.outcome[0] == TRUE, 0
    for label in np.unique(matches.label[right]):
        mine = matches.label == label
        median = np.median(matches.confidence[mine & right])
        wrong += int((mine & ~right & (matches.confidence > median)).sum())
    return {
        "confidence of right answers": float(np.median(matches.confidence[right])) if right.any() else float("nan"),
        "wrong answers before them, an image": wrong / matches.n_images if right.any() else float("nan"),
    }


def seen(centred: tuple[Crops, Split], uniform: tuple[Crops, Split]) -> dict[str, float]:
    """Say who has seen the lesions of E's uniform test cuts before: A's training, or E's.

    Args:
        centred: A's crops and their split.
        uniform: E's cuts and theirs.

    Returns:
        Shares of the uniform test cuts whose lesion, and whose woman, A or E trained on.
    """
    (crops, a), (cuts, e) = centred, uniform
    found = {}
    for what, column in (("lesion", "film"), ("woman", "woman")):  # a film that is kept has one lesion
        tested = getattr(cuts, column)[e.test]
        for who, train in (("A", getattr(crops, column)[a.training]), ("E", getattr(cuts, column)[e.training])):
            found[f"{what} seen by {who}"] = float(np.isin(tested, train).mean())
    return found
