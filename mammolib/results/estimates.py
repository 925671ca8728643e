"""What one or several runs say about one number: pooled over seeds, with its interval, and in words."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .record import Record

BOUNDED = ("share", "AP")
SEEDS = 3
"""From so many runs on, their own spread is the interval."""


@dataclass(frozen=True)
class Estimate:
    """What one or several runs say about one number.

    Attributes:
        value: mean over the runs; NaN if one of them has no value, which `reason` names.
        interval: its low and high end.
        values: the runs' values, finite ones only.
        kind: what the interval is over: "women" or "seeds"; "" without an interval.
        reason: why there is no value, or no interval.
    """

    value: float
    interval: tuple[float, float] | None
    values: tuple[float, ...]
    kind: str = ""
    reason: str = ""


def estimate(runs: Sequence[Record], metric: str, unit: str = "") -> Estimate | None:
    """Pool a number over runs that differ in their seed; None if no run holds it.

    A seed draws the split as well as the training, so the spread over seeds already holds the test set's sampling, and
    nothing is added to it. One run: its own interval, over women. Two: from the lower to the upper end of their own.
    Three and more: the interval in which one more run would be expected, since the paper reports one run: mean -
    t s sqrt(1 + 1/k) to mean + t s sqrt(1 + 1/k) for k runs of standard deviation s, Student's t with k - 1 degrees of
    freedom. Values of unit "share" and "AP" end at 0 and 1.
    """
    held = [(r.seed, r.metrics[metric]) for r in runs if metric in r.metrics]
    if not held:
        return None
    values = tuple(m["value"] for _, m in held if m["value"] is not None)
    if len(values) < len(held):
        return _without_mean(held, values, unit)
    k, mean = len(values), statistics.fmean(values)
    if len(set(values)) == 1:
        mean = values[0]  # a count stays an integer
    if k < SEEDS:
        ends = [(m["low"], m["high"]) for _, m in held if m["low"] is not None]
        if len(ends) == k:
            lows, highs = zip(*ends, strict=True)
            return Estimate(mean, (min(lows), max(highs)), values, "women")
        why = next((m["reason"] for _, m in held if m["low"] is None and m["reason"]), "")
        few = f"{'one run' if k == 1 else 'two runs'} without one: {SEEDS} seeds would give it"
        return Estimate(mean, None, values, reason=why or few)
    spread = statistics.stdev(values)
    if spread == 0:
        return Estimate(mean, None, values, reason=f"all {k} runs agree")
    from scipy.special import stdtrit

    half = float(stdtrit(k - 1, 0.975)) * spread * math.sqrt(1 + 1 / k)
    low, high = mean - half, mean + half
    if unit in BOUNDED or mean >= 0:
        low = max(low, 0.0)
    return Estimate(mean, (low, min(high, 1.0) if unit in BOUNDED else high), values, "seeds")


def _without_mean(held: list[tuple[int, dict[str, Any]]], values: tuple[float, ...], unit: str) -> Estimate:
    """Return the estimate of runs of which some have no value (a loss exploded): it names them, and has no mean."""
    missing = {seed: m["reason"] for seed, m in held if m["value"] is None}
    if not values and set(missing.values()) == {"infinite"}:
        return Estimate(math.inf, None, (), reason="infinite")
    words = [f"seed {seed}: {why}" if len(held) > 1 else why for seed, why in missing.items()]
    others = f"; the others: {', '.join(form(v, unit) for v in values)}" if values else ""
    return Estimate(math.nan, None, values, reason=", ".join(words) + others)


def form(value: Any, unit: str) -> str:
    """Write a value as a reader sees it: shares in percent, AP with three digits, the rest with four."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return str(value)
    if unit == "share":
        return f"{value:.1%}".replace("%", " %")
    if unit == "AP":
        return f"{value:.3f}"
    return f"{int(value):,}" if float(value).is_integer() and abs(value) < 1e9 else f"{value:.4g}"


def interval_words(found: Estimate, unit: str) -> str:
    """Write an interval as "0.806 to 0.936"; where there is none, the range of runs that differ; else ""."""
    if found.interval:
        return " to ".join(form(end, unit) for end in found.interval)
    if len(set(found.values)) > 1:
        return f"runs from {form(min(found.values), unit)} to {form(max(found.values), unit)}"
    return ""
