"""The verdict on a claim: does a run, or a series of runs, say what the paper says?

A verdict is a statement with a margin and a baseline (see `decide`). The margin is the difference that would still be
the same result; the baseline is what a network that has learnt nothing scores on the same data.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from .claims import Claim
from .estimates import Estimate, Interval, estimate, form
from .record import Record
from .runs import FILMS, REAL, Series, standing
from .words import metric_words

VERDICTS = ("reproduced", "direction only", "not reproduced", "cannot be decided")
REPRODUCED, DIRECTION, NOT_REPRODUCED, UNDECIDED = VERDICTS
"""The four verdicts on what the paper found."""


@dataclass(frozen=True)
class Baseline:
    """What a network that has learnt nothing scores: the score, and who has it, in words."""

    score: float
    words: str


NOTHING_LEARNT = {
    "lookup_map": "a lookup by histogram, which has learnt nothing, scores",
    "centre_map": "three boxes in the middle that never move score",
    "centre_recall": "three boxes in the middle that never move find",
    "majority_accuracy": "always answering the largest class scores",
    "majority_share": "always answering the largest class scores",
}
"""Who has a baseline's score, by the metric that holds it; a suffix such as "_uniform" names the test set."""


def decide(claim: Claim, stated: float, ours: Estimate, baseline: Baseline | None) -> tuple[str, str]:
    """Judge a number of a run at the paper's size against the paper's.

    *Reproduced*: the interval holds the paper's value, is no wider than twice the margin, and lies on the better side
    of the baseline. *Not reproduced*: the interval misses the paper's value by more than the margin, or reaches the
    baseline. *Cannot be decided*: neither, or there is no interval; the reason says what would decide it.

    Args:
        claim: with a margin (a difference) or a factor (a ratio).
        stated: the paper's value.
        ours: our number with its interval.
        baseline: what a network that has learnt nothing scores; None if nothing could be had without learning.

    Returns:
        The verdict and its reason in words.

    Raises:
        ValueError: the claim has neither margin nor factor.
    """
    ends = ours.interval
    if ends is None:
        return UNDECIDED, f"no interval ({ours.reason})"
    if claim.baseline and baseline is None:
        return UNDECIDED, "the run does not hold its baseline, what a network that has learnt nothing scores"
    if baseline is not None:
        clear = ends.low > baseline.score if claim.better == "higher" else ends.high < baseline.score
        if not clear:
            back = "the number comes back, but " if ends.low <= stated <= ends.high else ""
            return NOT_REPRODUCED, f"{back}{baseline.words} {form(baseline.score, claim.unit)} there"
    if claim.factor is not None:
        width, missed = ends.high / ends.low if ends.low > 0 else math.inf, _ratio(stated, ends)
        allowed, margin = claim.factor**2, claim.factor
    elif claim.margin is not None:
        width, missed = ends.high - ends.low, max(ends.low - stated, stated - ends.high, 0.0)
        allowed, margin = 2 * claim.margin, claim.margin
    else:
        raise ValueError(f"claim {claim.id!r}: without a margin or a factor there is no verdict")
    if missed > margin:
        return NOT_REPRODUCED, f"the interval misses the paper's value by more than the margin ({claim.allowance})"
    if width > allowed * (1 + 1e-9):
        return UNDECIDED, f"the interval is wider than the margin allows ({claim.allowance}): more seeds would decide"
    if not ends.low <= stated <= ends.high:
        return UNDECIDED, "the interval misses the paper's value, by less than the margin: more seeds would decide"
    return REPRODUCED, "the interval holds the paper's value and is clear of what has learnt nothing"


def _ratio(stated: float, ends: Interval) -> float:
    """Return the ratio between the paper's value and the nearest end of the interval; 1 if the interval holds it."""
    if ends.low <= stated <= ends.high:
        return 1.0
    return stated / ends.high if stated > ends.high > 0 else ends.low / stated if stated > 0 else math.inf


def rank(claim: Claim, runs: Series) -> tuple:
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
    claim: Claim, ours: Estimate, baseline: Baseline | None, runs: Series, groups: Sequence[Sequence[Record]]
) -> tuple[str, str]:
    if missing := no_evidence(claim, runs[0]):
        return UNDECIDED, missing
    if claim.undecided:
        return UNDECIDED, with_open_point(claim, "")
    if ours.value is None:
        return UNDECIDED, with_open_point(claim, f"no value: {ours.reason}")
    stated = claim.number
    if claim.group in ("counted", "built") and claim.kind != "relation":
        return _verified(claim, stated, ours.value, ours.values)
    holds, apart, said = _relations(claim, ours.value, ours.interval, runs, groups)
    if claim.group in ("counted", "built"):
        return (UNDECIDED if holds is None else REPRODUCED if holds else NOT_REPRODUCED), with_open_point(claim, said)
    pointed = DIRECTION if holds else UNDECIDED
    if runs[0].reduced:
        if not claim.fair or holds is None:
            return UNDECIDED, with_open_point(claim, "narrower or shorter than the paper's run", said)
        return pointed, with_open_point(claim, "narrower or shorter, so a direction at most", said)
    if claim.group == "timed" or claim.kind == "relation":
        if claim.kind == "relation" and claim.group != "timed" and apart is not None:
            return (REPRODUCED if apart else NOT_REPRODUCED), with_open_point(claim, said)
        return pointed, with_open_point(claim, said or "a time of the paper's machine")
    if stated is None:
        return UNDECIDED, with_open_point(claim, "")
    if claim.kind in ("at least", "at most"):
        return _bounded(claim, stated, ours.value, ours)
    verdict, why = decide(claim, stated, ours, baseline)
    if holds and verdict == UNDECIDED:
        return DIRECTION, with_open_point(claim, why, said)
    return verdict, with_open_point(claim, why, said)


def _verified(claim: Claim, stated: float | None, value: float, values: Sequence[float]) -> tuple[str, str]:
    """Compare what was counted, or a network that was built: no chance is in it, so it agrees or not."""
    if stated is None:
        return UNDECIDED, with_open_point(claim, "")
    if claim.kind == "count":
        good, words = all(v == stated for v in values), "equal"
        words = words if good else f"differs by {value - stated:+,g}"
    elif claim.kind in ("at least", "at most"):
        good = value >= stated if claim.kind == "at least" else value < stated
        words = f"read as {'at least' if claim.kind == 'at least' else 'less than'} {stated:g}"
    else:
        near = abs(value - stated) <= claim.margin + 1e-12 if claim.margin is not None else False
        ratio = claim.factor is not None and value > 0 and 1 / claim.factor <= value / stated <= claim.factor
        good, words = near or ratio, f"within {claim.allowance} of the paper's value"
        words = words if good else f"not {words}"
    return (REPRODUCED if good else NOT_REPRODUCED), with_open_point(claim, words)


def _bounded(claim: Claim, stated: float, value: float, ours: Estimate) -> tuple[str, str]:
    """Compare with a bound: "at least" this much, or less ("at most")."""
    least = claim.kind == "at least"
    words = f"read as {'at least' if least else 'less than'} {stated:g}"
    if ours.interval is None:
        holds = value >= stated if least else value < stated
        return (DIRECTION if holds else UNDECIDED), with_open_point(claim, words, f"no interval ({ours.reason})")
    if ours.interval.low >= stated:
        return (REPRODUCED if least else NOT_REPRODUCED), with_open_point(claim, words)
    if ours.interval.high < stated:
        return (NOT_REPRODUCED if least else REPRODUCED), with_open_point(claim, words)
    return UNDECIDED, with_open_point(claim, words, "the bound lies in the interval: more seeds would decide")


def _relations(
    claim: Claim, value: float, ends: Interval | None, runs: Series, groups: Sequence[Series]
) -> tuple[bool | None, bool | None, str]:
    """Check all relations of a claim: do they hold (None: one is unknown), and do the intervals say so.

    Returns:
        Whether all hold; True where all intervals lie apart as in the paper, False where one lies apart the other way,
        None otherwise; and both in words.
    """
    checked = [_relation(claim, value, ends, relation, runs, groups) for relation in claim.relations]
    said = "; ".join(words for _, _, words in checked)
    if not checked or any(h is None for h, _, _ in checked):
        return None, None, said
    if any(not h and a for h, a, _ in checked):
        return False, False, said
    return all(h for h, _, _ in checked), (True if all(h and a for h, a, _ in checked) else None), said


def _relation(
    claim: Claim,
    value: float,
    ends: Interval | None,
    relation: tuple[str, str, str],
    runs: Series,
    groups: Sequence[Series],
) -> tuple[bool | None, bool, str]:
    """Check one relation between like runs: does it hold (None: unknown), are the intervals apart, and in words.

    Intervals that overlap leave a relation unknown: the difference may be chance.
    """
    sign, record, metric = relation
    name = metric_words(metric) if record == claim.record else f"{record}'s {metric_words(metric)}"
    first = runs[0]
    others = [s for s in groups if s[0].name == record and _alike(claim, first, s[0])]
    others.sort(key=lambda s: (_unlike(first, s[0]), *rank(claim, s)))
    for other_runs in [runs] if record == claim.record else others:
        other = estimate(other_runs, metric, claim.unit)
        if other is not None and other.value is not None:
            break
    else:
        return None, False, f"no like run to hold {name} against"
    holds = value < other.value if sign == "<" else value > other.value
    want = "below" if sign == "<" else "above"
    words = f"{'as' if holds else 'not as'} in the paper {want} {name} ({form(other.value, claim.unit)})"
    if claim.needs == "nothing":
        return holds, True, words
    if ends is None or other.interval is None:
        return holds, False, words
    apart = ends.high < other.interval.low or other.interval.high < ends.low
    return (holds if apart else None), apart, words + ("" if apart else ", but the intervals overlap")


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


def with_open_point(claim: Claim, *why: str) -> str:
    return "; ".join([w for w in why if w] + ([f"open: {claim.open}"] if claim.open else []))
