"""The paper beside ours: every claim set against the runs that answer it, with a verdict and its reason."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .claims import Claim, Value
from .claims import claims as all_claims
from .estimates import Estimate, estimate, form, interval_words
from .record import Record
from .runs import Series, data_words, plain_words, series
from .verdicts import UNDECIDED, Baseline, baseline_of, no_evidence, rank, verdict_of
from .words import metric_words

if TYPE_CHECKING:
    import pandas as pd

AS_STATED, CHANGED, CHOSEN = SETTING_VERDICTS = ("as stated", "changed", "our choice")
"""What is said of a setting instead, which can be kept but not reproduced: "our choice" where the paper is silent."""

COLUMNS = ["claim", "section", "paper", "ours", "interval", "verdict", "why", "run"]


@dataclass(frozen=True)
class Row:
    """One line of the table: a claim and one series of runs, or none.

    Attributes:
        verdict, why: one of `VERDICTS` or `SETTING_VERDICTS`, and its reason.
        ours, interval: our number and its interval in words.
        estimate: our number; None for a setting, or without a run.
    """

    claim: Claim
    runs: Series
    verdict: str
    why: str
    ours: str = ""
    interval: str = ""
    estimate: Estimate | None = None
    baseline: Baseline | None = None

    def cells(self) -> list[str]:
        """Return the line's cells in the order of `COLUMNS`."""
        c, runs = self.claim, self.runs
        which = ", ".join(filter(None, (data_words(runs[0]), plain_words(runs)))) if runs else ""
        return [c.quantity, c.place, c.paper, self.ours, self.interval, self.verdict, self.why, which]

    def as_data(self) -> dict[str, Any]:
        """Return the line for programs: ``paper`` a number where the paper gives one, ``run`` the first run's stem."""
        c, ours = self.claim, self.estimate
        low, high = ours.interval if ours and ours.interval else (None, None)
        return {
            "id": c.id, "group": c.group, "claim": c.quantity, "paper": c.paper if c.number is None else c.number,
            "value": ours.value if ours and math.isfinite(ours.value) else None,
            "low": low, "high": high, "margin": c.margin, "factor": c.factor,
            "baseline": self.baseline.score if self.baseline else None, "verdict": self.verdict, "why": self.why,
            "run": self.runs[0].stem if self.runs else None,
        }  # fmt: skip


def paper_beside_ours(claims: Iterable[Claim] | None, records: Iterable[Record]) -> pd.DataFrame:
    """Set claims of the paper beside our runs.

    Runs that differ in nothing but their seed are one series and share a line. A claim has a line for each series that
    holds its number, the one that counts most first (the films that the claim needs before others, then as `standing`
    has it), or one line that says that there is no run.

    Args:
        claims: such as ``claims(chapter="07")``; None for all.
        records: runs to be set beside them; stopped ones are passed over.

    Returns:
        A table indexed by the claim's id, with the columns `COLUMNS`; see `Row`.
    """
    import pandas as pd

    rows = judge(claims, records)
    index = pd.Index([row.claim.id for row in rows], name="id")
    return pd.DataFrame([row.cells() for row in rows], columns=COLUMNS, index=index)


def judge(claims: Iterable[Claim] | None, records: Iterable[Record], every: bool = True) -> list[Row]:
    """Return the lines of `paper_beside_ours` before they become text; `every` False keeps each claim's first only."""
    groups = series(records)
    rows = []
    for claim in all_claims() if claims is None else claims:
        of_name = sorted((s for s in groups if s[0].name == claim.record), key=lambda runs: rank(claim, runs))
        holding = [s for s in of_name if any(_holds(r, claim) for r in s)] or of_name[:1] or [()]
        rows += [_row(claim, runs, groups) for runs in (holding if every else holding[:1])]
    return rows


def _holds(run: Record, claim: Claim) -> bool:
    return claim.metric in run.metrics or (claim.kind == "setting" and claim.metric in run.settings)


def _row(claim: Claim, runs: Series, groups: Sequence[Series]) -> Row:
    if claim.kind == "context":
        return Row(claim, (), UNDECIDED, "background; nothing in this book measures it")
    if not runs:
        return Row(claim, (), UNDECIDED, "no run yet")
    if claim.kind == "setting":
        return _setting(claim, runs)
    ours = estimate(runs, claim.metric, claim.unit)
    if ours is None:
        return Row(claim, runs, UNDECIDED, f"the run does not hold its {metric_words(claim.metric)}")
    baseline = baseline_of(claim, runs)
    verdict, why = UNDECIDED, no_evidence(claim, runs[0])
    if not why:
        verdict, *reasons = verdict_of(claim, ours, baseline, runs, groups)
        why = _with_open_point(claim, *reasons)
    number, interval = ours.reason, ""
    if math.isfinite(ours.value):
        number, interval = form(ours.value, claim.unit), interval_words(ours, claim.unit)
    return Row(claim, runs, verdict, why, number, interval, ours, baseline)


def _setting(claim: Claim, runs: Series) -> Row:
    held = runs[0].metrics.get(claim.metric, {}).get("value")
    ours = runs[0].settings.get(claim.metric) if held is None else held  # what came of it counts, where known
    if ours is None:
        return Row(claim, runs, UNDECIDED, f"the run does not say its {metric_words(claim.metric)}")
    verdict = CHOSEN if claim.value is None else AS_STATED if _same(claim.value, ours) else CHANGED
    words = ", ".join(map(str, ours)) if isinstance(ours, list) else form(ours, claim.unit)
    return Row(claim, runs, verdict, _with_open_point(claim, "a setting"), words)


def _with_open_point(claim: Claim, *reasons: str) -> str:
    return "; ".join(filter(None, (*reasons, claim.open and f"open: {claim.open}")))


def _same(stated: Value, ours: Any) -> bool:
    if isinstance(stated, tuple):
        return isinstance(ours, list) and len(ours) == len(stated) and all(map(_same, stated, ours))
    if isinstance(stated, str):
        return str(ours).lower() == stated.lower()
    return isinstance(ours, int | float) and math.isclose(stated, ours, rel_tol=1e-9)
