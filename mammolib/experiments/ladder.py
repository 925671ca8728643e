"""From the stated settings to those that train, one change at a time: runs alike in all but what is changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mammolib.results import Record

if TYPE_CHECKING:
    import pandas as pd

SAME = ("width", "updates", "batch", "precision")
"""Settings in which the runs of one ladder agree."""


def ladder(records: Sequence[Record]) -> list[Record]:
    """Return the largest group of runs that agree in size, batch, precision, split, seed and data.

    Args:
        records: of Experiments A and B.

    Returns:
        The runs, A's before B's, those with fewer changes first; empty if there is none.
    """
    groups: dict[tuple, list[Record]] = {}
    for r in records:
        key = (*(r.settings.get(k) for k in SAME), r.split, r.seed, r.data["digest"])
        groups.setdefault(key, []).append(r)
    best = max(groups.values(), key=len, default=[])
    return sorted(best, key=lambda r: (r.name, len(r.settings.get("changed", {})), r.hash))


def ladder_table(records: Sequence[Record]) -> pd.DataFrame:
    """Say of each run what was changed and how its validation detection loss (without weight decay) went.

    Changes that all the runs share are left out. A setting trains if the loss ends under half of what it was after the
    first epoch.

    Args:
        records: runs of equal length, such as `ladder` finds.
    """
    import pandas as pd

    if not records:
        return pd.DataFrame({"no such runs have been recorded yet": []})
    changes = [dict(r.settings.get("changed", {})) for r in records]
    shared = [k for k in changes[0] if all(c.get(k) == changes[0][k] for c in changes)] if len(changes) > 1 else []
    rows = []
    for record, changed in zip(records, changes, strict=True):
        own = [f"{k.replace('_', ' ')} {v}" for k, v in changed.items() if k not in shared]
        first, last = (_value(record, f"val_detection_loss{at}") for at in ("@epoch1", ""))
        rows.append(
            {
                "experiment": record.name,
                "changed": ", ".join(own) or "nothing: as stated",
                "outcome": record.outcome,
                "after epoch 1": first,
                "at the end": last,
                "share left": last / first,
                "trains": record.outcome == "finished" and bool(last < first / 2),
            }
        )
    numbers = dict.fromkeys(("after epoch 1", "at the end", "share left"), 2)
    return pd.DataFrame(rows).round(numbers).set_index("experiment").rename_axis(None)


def _value(record: Record, name: str) -> float:
    held: Any = record.metrics.get(name, {}).get("value")
    return np.nan if held is None else float(held)
