"""The paper beside ours: every claim set against the runs that answer it, with a verdict and its reason."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .claims import Claim, Value
from .claims import claims as all_claims
from .record import Record
from .runs import FILMS, REAL, run_words, series, standing

if TYPE_CHECKING:
    import pandas as pd

REPRODUCED, DIRECTION, NOT_REPRODUCED, UNDECIDED = VERDICTS = (
    "reproduced",
    "direction only",
    "not reproduced",
    "cannot be decided",
)
"""The four verdicts on what the paper found."""

AS_STATED, CHANGED, CHOSEN = SETTING_VERDICTS = ("as stated", "changed", "our choice")
"""What is said of a setting instead, which can be kept but not reproduced: "our choice" where the paper is silent."""

COLUMNS = ["claim", "section", "paper", "ours", "interval", "verdict", "why", "run"]
BOUNDED = ("share", "AP")


@dataclass(frozen=True)
class Estimate:
    """What one or several runs say about one number.

    Attributes:
        value: mean over the runs that have a value; None if none has.
        low, high: 95 % interval, or None.
        values: the runs' values, finite ones only.
        reason: why a run has none, if one has none.
    """

    value: float | None
    low: float | None
    high: float | None
    values: tuple[float, ...]
    reason: str = ""


@dataclass(frozen=True)
class Row:
    """One line of the table: a claim and one series of runs, or none."""

    claim: Claim
    runs: tuple[Record, ...]
    ours: str
    interval: str
    verdict: str
    why: str

    def cells(self) -> list[str]:
        """Return the line's cells in the order of `COLUMNS`."""
        c = self.claim
        return [c.quantity, c.place, c.paper, self.ours, self.interval, self.verdict, self.why, run_words(self.runs)]


def paper_beside_ours(claims: Iterable[Claim] | None, records: Iterable[Record], every: bool = True) -> pd.DataFrame:
    """Set claims of the paper beside our runs.

    Runs that differ in nothing but their seed are one series and share a line. A claim has a line for each series that
    holds its number, the one that counts most first (the films that the claim needs before others, then as `standing`
    has it), or one line that says that there is no run.

    Args:
        claims: such as ``claims(chapter="07")``; None for all.
        records: runs to be set beside them; others are passed over, and so are stopped ones.
        every: False keeps only the line that counts most for each claim.

    Returns:
        A table indexed by the claim's id, with columns claim, section, paper, ours, interval, verdict, why, run. The
        verdict is one of `VERDICTS`, or of `SETTING_VERDICTS` for a setting.
    """
    import pandas as pd

    rows = judge(claims, records, every)
    return pd.DataFrame(
        [row.cells() for row in rows], columns=COLUMNS, index=pd.Index([r.claim.id for r in rows], name="id")
    )


def judge(claims: Iterable[Claim] | None, records: Iterable[Record], every: bool = True) -> list[Row]:
    """Return the lines of `paper_beside_ours`, before they become text in a table."""
    groups = series(records)
    rows = []
    for claim in all_claims() if claims is None else claims:
        found = sorted((s for s in groups if s[0].name == claim.record), key=lambda runs: _rank(claim, runs))
        holding = [s for s in found if _holds(claim, s)] or found[:1]
        for runs in (holding if every else holding[:1]) or [()]:
            rows.append(_row(claim, runs, groups))
    return rows


def estimate(runs: Sequence[Record], metric: str, unit: str = "") -> Estimate | None:
    """Pool a number over runs that differ in their seed; None if no run holds it.

    One run: its own interval. Several: the interval in which one more run would be expected, since the paper reports
    one run: mean - t s sqrt(1 + 1/k) to mean + t s sqrt(1 + 1/k) for k >= 3 runs of standard deviation s, Student's t
    with k - 1 degrees of freedom. Where each run brings an interval of its own (over women), their mean half-width and
    this one are added in quadrature, below and above; with two runs, half the runs' distance takes the place of the
    second. Values of unit "share" and "AP" end at 0 and 1.
    """
    found = [r.metrics[metric] for r in runs if metric in r.metrics]
    if not found:
        return None
    reason = next((m["reason"] for m in found if m["value"] is None), "")
    found = [m for m in found if m["value"] is not None]
    values = tuple(m["value"] for m in found)
    if not values:
        return Estimate(None, None, None, (), reason)
    k, mean = len(values), statistics.fmean(values)
    if len(set(values)) == 1:
        mean = values[0]  # a count stays an integer
    own = all(m["low"] is not None for m in found)
    if k == 1:
        return Estimate(mean, found[0]["low"], found[0]["high"], values, reason)
    spread = None
    if k > 2:
        from scipy.special import stdtrit

        spread = float(stdtrit(k - 1, 0.975)) * statistics.stdev(values) * math.sqrt(1 + 1 / k)
    elif own:
        spread = (max(values) - min(values)) / 2
    if spread is None or (spread == 0 and not own):
        return Estimate(mean, None, None, values, reason)
    below = mean - statistics.fmean(m["low"] for m in found) if own else 0.0
    above = statistics.fmean(m["high"] for m in found) - mean if own else 0.0
    low, high = mean - math.hypot(below, spread), mean + math.hypot(above, spread)
    if unit in BOUNDED:
        high = min(high, 1.0)
    return Estimate(mean, max(low, 0.0) if mean >= 0 else low, high, values, reason)


def _rank(claim: Claim, runs: Sequence[Record]) -> tuple:
    return bool(_no_evidence(claim, runs[0])), *standing(runs)


def _no_evidence(claim: Claim, run: Record) -> str:
    """Say why a run is no evidence about a claim whatever it found; "" if it is."""
    name, films = run.data["name"], run.data["films"]
    if claim.needs == "nothing":
        return ""
    if name != REAL:
        return "phantoms" if name == "phantom" else f"not {REAL} but {name}"
    return f"{films} of the {FILMS} films" if claim.needs == "all films" and films < FILMS else ""


def _holds(claim: Claim, runs: Sequence[Record]) -> bool:
    setting = claim.kind == "setting"
    return any(claim.metric in r.metrics or (setting and claim.metric in r.settings) for r in runs)


def _row(claim: Claim, runs: Sequence[Record], series: Sequence[Sequence[Record]]) -> Row:
    runs = tuple(runs)
    if claim.kind == "context":
        return Row(claim, (), "", "", UNDECIDED, "background; nothing in this book measures it")
    if not runs:
        return Row(claim, (), "", "", UNDECIDED, "no run yet")
    if claim.kind == "setting":
        return _setting(claim, runs)
    found = estimate(runs, claim.metric, claim.unit)
    if found is None:
        return Row(claim, runs, "", "", UNDECIDED, f"the run does not hold {claim.metric}")
    verdict, why = _verdict(claim, found, runs, series)
    if found.value is None:
        return Row(claim, runs, found.reason, "", verdict, why)
    if found.reason:
        why += f"; {len(runs) - len(found.values)} of {len(runs)} runs gave no value ({found.reason})"
    return Row(claim, runs, _form(found.value, claim.unit), _interval(found, claim.unit), verdict, why)


def _setting(claim: Claim, runs: Sequence[Record]) -> Row:
    first = runs[0]
    held = first.metrics.get(claim.metric, {}).get("value")
    ours: Any = first.settings.get(claim.metric, held)
    if ours is None:
        return Row(claim, tuple(runs), "", "", UNDECIDED, f"the run does not say its {claim.metric}")
    verdict = CHOSEN if claim.value is None else AS_STATED if _same(claim.value, ours) else CHANGED
    words = ", ".join(map(str, ours)) if isinstance(ours, list) else _form(ours, claim.unit)
    return Row(claim, tuple(runs), words, "", verdict, _open(claim, "a setting"))


def _same(stated: Value, ours: Any) -> bool:
    if isinstance(stated, tuple):
        return isinstance(ours, list) and len(ours) == len(stated) and all(map(_same, stated, ours))
    if isinstance(stated, str):
        return isinstance(ours, str) and ours.lower() == stated.lower()
    return isinstance(ours, int | float) and math.isclose(stated, ours, rel_tol=1e-9)


def _verdict(
    claim: Claim, ours: Estimate, runs: Sequence[Record], series: Sequence[Sequence[Record]]
) -> tuple[str, str]:
    if missing := _no_evidence(claim, runs[0]):
        return UNDECIDED, missing
    if claim.undecided:
        return UNDECIDED, _open(claim, "")
    if ours.value is None:
        if ours.reason != "infinite":
            return UNDECIDED, _open(claim, f"no value: {ours.reason}")
        ours = Estimate(math.inf, None, None, (math.inf,))  # an exploded loss is above every other
    checked = [_relation(claim, ours, relation, runs, series) for relation in claim.relations]
    said = "; ".join(words for _, _, words in checked)
    holds = None if any(h is None for h, _, _ in checked) or not checked else all(h for h, _, _ in checked)
    if runs[0].reduced:
        if not claim.fair or holds is None:
            return UNDECIDED, _open(claim, "reduced: narrower or shorter than the paper's run", said)
        return (DIRECTION if holds else NOT_REPRODUCED), _open(claim, "reduced, so only the direction counts", said)
    if claim.kind in ("relation", "machine"):
        if holds is None:
            return UNDECIDED, _open(claim, said or "a time or size of the paper's machine")
        if not holds:
            return NOT_REPRODUCED, _open(claim, said)
        clear = claim.kind == "relation" and all(c for _, c, _ in checked)
        return (REPRODUCED if clear else DIRECTION), _open(claim, said)
    if claim.value is None:
        return UNDECIDED, _open(claim, "")
    good, words = _agrees(claim, ours)
    if good:
        return REPRODUCED, _open(claim, words)
    return (DIRECTION if holds else NOT_REPRODUCED), _open(claim, words, said)


def _agrees(claim: Claim, ours: Estimate) -> tuple[bool, str]:
    """Say whether our number agrees with the paper's, and how it was found."""
    value, stated = ours.value, claim.value
    if claim.kind == "count":
        if all(v == stated for v in ours.values):
            return True, "equal"
        return False, f"differs by {value - stated:+,g}"
    if claim.kind == "at least":
        return value >= stated, f"read as at least {stated:g}"
    if claim.kind == "at most":
        return value < stated, f"read as less than {stated:g}"
    inside = ours.low is not None and ours.low <= stated <= ours.high
    if inside:
        wide = claim.unit in BOUNDED and ours.high - ours.low > 0.4
        return True, "the paper's value lies in our interval" + (", which is wide" if wide else "")
    if claim.tolerance is not None and abs(value - stated) <= claim.tolerance + 1e-12:
        return True, f"within {claim.tolerance:g} of the paper's value"
    if claim.factor is not None and value > 0 and 1 / claim.factor <= value / stated <= claim.factor:
        return True, f"within a factor of {claim.factor:g} of the paper's value"
    if ours.low is not None:
        return False, "the paper's value lies outside our interval"
    how = f"a factor of {claim.factor:g}" if claim.tolerance is None else f"{claim.tolerance:g}"
    return False, f"not within {how} of the paper's value, and no interval"


def _relation(
    claim: Claim,
    ours: Estimate,
    relation: tuple[str, str, str],
    runs: Sequence[Record],
    series: Sequence[Sequence[Record]],
) -> tuple[bool | None, bool, str]:
    """Check one relation between like runs: does it hold (None: unknown), are the intervals apart, and in words."""
    sign, record, metric = relation
    name = metric if record == claim.record else f"{record}'s {metric}"
    first = runs[0]
    others = (
        [runs] if record == claim.record else [s for s in series if s[0].name == record and _alike(claim, first, s[0])]
    )
    for other_runs in sorted(others, key=lambda s: (_unlike(first, s[0]), *_rank(claim, s))):
        other = estimate(other_runs, metric, claim.unit)
        if other is not None and other.value is not None:
            break
    else:
        return None, False, f"no like run to hold {name} against"
    holds = ours.value < other.value if sign == "<" else ours.value > other.value
    small, large = (ours, other) if sign == "<" else (other, ours)
    if claim.needs == "nothing":
        apart = holds
    else:
        apart = holds and None not in (small.high, large.low) and small.high < large.low
    want = "below" if sign == "<" else "above"
    words = f"{'as' if holds else 'not as'} in the paper {want} {name} ({_form(other.value, claim.unit)})"
    ends = (small.low, small.high, large.low, large.high)
    if None not in ends and small.high >= large.low and large.high >= small.low:
        words += ", but the intervals overlap"
    return holds, apart, words


def _alike(claim: Claim, one: Record, other: Record) -> bool:
    if claim.needs == "nothing":
        return True
    same = one.data["digest"] == other.data["digest"]
    if claim.needs == "films":  # what Experiments A to E cut from mini-MIAS is the same without its normal films
        same |= one.data["name"] == other.data["name"] == REAL
    return same and (one.split, one.reduced) == (other.split, other.reduced)


def _unlike(one: Record, other: Record) -> int:
    """Count the settings that only one of two runs changed, or that they changed to different values.

    The batch does not count: Experiments A, C and D have batches of their own, and reduced runs shrink all of them.
    """
    changed = [{k: v for k, v in r.settings.get("changed", {}).items() if k != "batch"} for r in (one, other)]
    return sum(changed[0].get(k) != changed[1].get(k) for k in changed[0].keys() | changed[1].keys())


def _open(claim: Claim, *why: str) -> str:
    return "; ".join([w for w in why if w] + ([f"open: {claim.open}"] if claim.open else []))


def _form(value: Any, unit: str) -> str:
    """Write a value as a reader sees it: shares in percent, AP with three digits, the rest with four."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return str(value)
    if unit == "share":
        return f"{value:.1%}".replace("%", " %")
    if unit == "AP":
        return f"{value:.3f}"
    if float(value).is_integer() and abs(value) < 1e9:
        return f"{int(value):,}"
    return f"{value:.4g}"


def in_words(found: Estimate, unit: str) -> str:
    """Write an estimate that has a value as a reader sees it: "0.870 (0.806 to 0.936)"."""
    interval = _interval(found, unit)
    return _form(found.value, unit) + (f" ({interval})" if interval else "")


def _interval(found: Estimate, unit: str) -> str:
    if found.low is not None:
        return f"{_form(found.low, unit)} to {_form(found.high, unit)}"
    if len(set(found.values)) > 1:
        return f"runs from {_form(min(found.values), unit)} to {_form(max(found.values), unit)}"
    return ""
