"""The verdict on a claim: does a run, or a series of runs, say what the paper says?

A verdict is a statement with a margin and a baseline (see `decide`). The margin is the difference that would still be
the same result; the baseline is what a network that has learnt nothing scores on the same data.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from .claims import Claim
from .estimates import Estimate, estimate, form
from .record import Record
from .runs import FILMS, REAL, Series, standing
from .words import metric_words

VERDICTS = ("reproduced", "direction only", "not reproduced", "cannot be decided")
REPRODUCED, DIRECTION, NOT_REPRODUCED, UNDECIDED = VERDICTS
"""The four verdicts on what the paper found."""

NOTHING_LEARNT = {
    "lookup_map": "a lookup by histogram, which has learnt nothing, scores",
    "centre_map": "three boxes in the middle that never move score",
    "centre_recall": "three boxes in the middle that never move find",
    "majority_accuracy": "always answering the largest class scores",
    "majority_share": "always answering the largest class scores",
}
"""Who has a baseline's score, by the metric that holds it; a suffix such as "_uniform" names the test set."""


class Baseline(NamedTuple):
    """What a network that has learnt nothing scores: the score, and who has it, in words."""

    score: float
    words: str


def rank(claim: Claim, runs: Series) -> tuple:
    """Return what a claim's series of runs are sorted by: evidence first, then as `standing` has it."""
    return bool(no_evidence(claim, runs[0])), *standing(runs)


def no_evidence(claim: Claim, run: Record) -> str:
    """Return why a run is no evidence about a claim whatever its numbers; "" if it is."""
    name, films = run.data["name"], run.data["films"]
    if claim.needs == "nothing":
        return ""
    if name != REAL:
        return "phantoms" if name == "phantom" else f"not {REAL} but {name}"
    return f"{films} of the {FILMS} films" if claim.needs == "all films" and films < FILMS else ""


def baseline_of(claim: Claim, runs: Series) -> Baseline | None:
    """Return the best of a claim's baselines in the same runs, each a mean over the seeds; None if there is none."""
    known = []
    for source in claim.baseline:
        if isinstance(source, int | float):
            known.append(Baseline(float(source), "chance alone scores"))
            continue
        values = [m["value"] for r in runs if (m := r.metrics.get(source)) and m["value"] is not None]
        if values:
            plain = source.removesuffix("_centred").removesuffix("_uniform")
            words = NOTHING_LEARNT.get(plain, f"the {metric_words(source)} is")
            known.append(Baseline(statistics.fmean(values), words))
    best = max if claim.better == "higher" else min
    return best(known, key=lambda b: b.score, default=None)


def verdict_of(
    claim: Claim, ours: Estimate, baseline: Baseline | None, runs: Series, groups: Sequence[Series]
) -> tuple[str, ...]:
    """Return the verdict that runs bring on a claim, then its reasons; `groups` hold what its relations name."""
    stated, certain = claim.number, claim.group in ("counted", "built")
    if claim.undecided:
        return (UNDECIDED,)
    if math.isnan(ours.value):
        return UNDECIDED, f"no value: {ours.reason}"
    if certain and claim.kind != "relation":
        return (UNDECIDED,) if stated is None else _verified(claim, stated, ours)
    holds, apart, said = _relations(claim, ours, runs, groups)
    if certain:
        return UNDECIDED if holds is None else REPRODUCED if holds else NOT_REPRODUCED, said
    pointed = DIRECTION if holds else UNDECIDED
    if runs[0].reduced:
        if not claim.fair or holds is None:
            return UNDECIDED, "narrower or shorter than the paper's run", said
        return pointed, "narrower or shorter, so a direction at most", said
    if claim.group == "timed":
        return pointed, said or "a time of the paper's machine"
    if claim.kind == "relation":
        return pointed if apart is None else REPRODUCED if apart else NOT_REPRODUCED, said
    if stated is None:
        return (UNDECIDED,)
    if claim.kind in ("at least", "at most"):
        return _bounded(claim, stated, ours)
    verdict, why = decide(claim, stated, ours, baseline)
    return DIRECTION if holds and verdict == UNDECIDED else verdict, why, said


def decide(claim: Claim, stated: float, ours: Estimate, baseline: Baseline | None) -> tuple[str, str]:
    """Judge a number of a run at the paper's size against the paper's; return the verdict and its reason in words.

    *Reproduced*: the interval holds the paper's value, is no wider than twice the margin, and lies on the better side
    of the baseline. *Not reproduced*: the interval misses the paper's value by more than the margin, or reaches the
    baseline. *Cannot be decided*: neither, or there is no interval; the reason says what would decide it.
    """
    if ours.interval is None:
        return UNDECIDED, f"no interval ({ours.reason})"
    low, high = ours.interval
    held = low <= stated <= high
    if claim.baseline and baseline is None:
        return UNDECIDED, "the run does not hold its baseline, what a network that has learnt nothing scores"
    if baseline is not None and not (low > baseline.score if claim.better == "higher" else high < baseline.score):
        back = "the number comes back, but " if held else ""
        return NOT_REPRODUCED, f"{back}{baseline.words} {form(baseline.score, claim.unit)} there"
    if claim.factor is not None:
        width, missed, margin = high / low if low > 0 else math.inf, max(low / stated, stated / high), claim.factor
        allowed = margin**2
    else:
        width, missed, margin = high - low, max(low - stated, stated - high), claim.margin or 0.0
        allowed = 2 * margin
    if missed > margin:
        return NOT_REPRODUCED, f"the interval misses the paper's value by more than the margin ({claim.allowance})"
    if width > allowed * (1 + 1e-9):
        return UNDECIDED, f"the interval is wider than the margin allows ({claim.allowance}): more seeds would decide"
    if not held:
        return UNDECIDED, "the interval misses the paper's value, by less than the margin: more seeds would decide"
    return REPRODUCED, "the interval holds the paper's value and is clear of what has learnt nothing"


def _verified(claim: Claim, stated: float, ours: Estimate) -> tuple[str, ...]:
    """Compare what was counted, or a network that was built: no chance is in it, so it agrees or not."""
    if claim.kind == "count":
        good = all(v == stated for v in ours.values)
        words = "equal" if good else f"differs by {ours.value - stated:+,g}"
    elif claim.kind in ("at least", "at most"):
        good, words = _keeps(claim, stated, ours.value)
    else:
        near = claim.margin is not None and abs(ours.value - stated) <= claim.margin + 1e-12
        good = near or (claim.factor is not None and 1 / claim.factor <= ours.value / stated <= claim.factor)
        words = f"{'' if good else 'not '}within {claim.allowance} of the paper's value"
    return REPRODUCED if good else NOT_REPRODUCED, words


def _keeps(claim: Claim, bound: float, value: float) -> tuple[bool, str]:
    """Say whether a value keeps the paper's bound, and in words how the bound is read."""
    if claim.kind == "at least":
        return value >= bound, f"read as at least {bound:g}"
    return value < bound, f"read as less than {bound:g}"


def _bounded(claim: Claim, stated: float, ours: Estimate) -> tuple[str, ...]:
    """Compare the result of a training with a bound: both ends of the interval keep it, or neither."""
    keeps, words = _keeps(claim, stated, ours.value)
    if ours.interval is None:
        return DIRECTION if keeps else UNDECIDED, words, f"no interval ({ours.reason})"
    (low, _), (high, _) = (_keeps(claim, stated, end) for end in ours.interval)
    if low != high:
        return UNDECIDED, words, "the bound lies in the interval: more seeds would decide"
    return REPRODUCED if low else NOT_REPRODUCED, words


def _relations(
    claim: Claim, ours: Estimate, runs: Series, groups: Sequence[Series]
) -> tuple[bool | None, bool | None, str]:
    """Return whether all relations of a claim hold (None: one is unknown), what the intervals say, and both in words.

    Intervals say True where all lie apart as in the paper, False where one lies apart the other way, else None.
    """
    checked = [_relation(claim, ours, relation, runs, groups) for relation in claim.relations]
    said = "; ".join(words for _, _, words in checked)
    if not checked or any(holds is None for holds, _, _ in checked):
        return None, None, said
    if any(apart and not holds for holds, apart, _ in checked):
        return False, False, said
    return all(holds for holds, _, _ in checked), all(holds and apart for holds, apart, _ in checked) or None, said


def _relation(
    claim: Claim, ours: Estimate, relation: tuple[str, str, str], runs: Series, groups: Sequence[Series]
) -> tuple[bool | None, bool, str]:
    """Return whether a relation holds between like runs (None: unknown), whether the intervals are apart, and words."""
    sign, record, metric = relation
    if record == claim.record:
        name, others = metric_words(metric), [runs]
    else:
        name = f"{record}'s {metric_words(metric)}"
        others = [s for s in groups if s[0].name == record and _alike(claim, runs[0], s[0])]
        others.sort(key=lambda s: (_unlike(runs[0], s[0]), *rank(claim, s)))
    known = [e for other in others if (e := estimate(other, metric, claim.unit)) and not math.isnan(e.value)]
    if not known:
        return None, False, f"no like run to hold {name} against"
    other, want = known[0], "below" if sign == "<" else "above"
    holds = ours.value < other.value if sign == "<" else ours.value > other.value
    words = f"{'' if holds else 'not '}{want} {name} ({form(other.value, claim.unit)}), "
    words += "as in the paper" if holds else "though in the paper it is"
    if claim.needs == "nothing":
        return holds, True, words
    if ours.interval is None or other.interval is None:
        return holds, False, words
    (low, high), (other_low, other_high) = ours.interval, other.interval
    if high < other_low or other_high < low:
        return holds, True, words
    return None, False, f"{words}; the intervals overlap"  # the difference may be chance


def _alike(claim: Claim, one: Record, other: Record) -> bool:
    """Whether two runs may be compared: of one split and size, on the same data."""
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
    a, b = one.settings.get("changed", {}), other.settings.get("changed", {})
    return sum(a.get(k) != b.get(k) for k in (a.keys() | b.keys()) - {"batch"})
