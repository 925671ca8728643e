"""How far a number could have been another: intervals that resample women, and Wilson's for a plain proportion.

Eight views of one lesion, two films of one woman: such cases fail or succeed together, so a bootstrap that drew crops
would draw the same lesion many times and promise too much. Here the unit that is drawn is the woman, with everything
that belongs to her. `measured` is the one way in which a record gets a number with its interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEAST_WOMEN = 8
"""Fewer women than these behind a number give no interval: resampling them again and again shows the same few."""
MOST_UNDEFINED = 0.05
"""The share of resamples on which a number may be undefined; the rest would be another number's interval."""
RESAMPLES = 1000
NO_WIDTH = 1e-9
"""Ends as near as this are one number: sums of weights in another order differ in their last digits."""


@dataclass(frozen=True)
class Interval:
    """A number with its 95 % confidence interval.

    Attributes:
        value: the number on the whole sample.
        low, high: the interval's ends; NaN where there is none: one group, no replicate with a value, all alike.
        n: how many independent units it rests on: women, or trials of a proportion.
        undefined: bootstrap replicates that were left out because the metric was undefined on them.
    """

    value: float
    low: float
    high: float
    n: float
    undefined: int = 0

    def __str__(self) -> str:
        return f"{self.value:.3f}" + ("" if math.isnan(self.low) else f" [{self.low:.3f}, {self.high:.3f}]")

    def to_dict(self) -> dict[str, float]:
        """Return value, low, high and n, as a record takes them."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


def measured(
    statistic: Callable[[NDArray[np.integer]], ArrayLike],
    groups: ArrayLike,
    behind: ArrayLike | None = None,
    proportion: bool = True,
) -> dict[str, Any]:
    """Return a number with its 95 % interval over women, in the form a record holds.

    There is no interval where fewer than `LEAST_WOMEN` women are behind the number, or where more than `MOST_UNDEFINED`
    of the resamples leave it undefined. Where all resamples agree at 0 or at 1, they only say that the sample holds
    nothing else; then Wilson's interval on the women behind the number stands in. Never has an interval no width.

    Args:
        statistic: see `bootstrap`.
        groups: (N,) the woman of each item.
        behind: (N,) bool, the items that the number rests on: those with a lesion of the class, with a patch of that
            kind; all if None. Several rows for a number that needs each kind: the smallest count of women is given.
        proportion: whether 0 and 1 are the number's ends, as of a share; not so for a difference.

    Returns:
        value, low, high, n (women behind the number), reason (why there is no interval), kind ("women"), method, and
        undefined (the share of resamples without a value, where there are any).
    """
    groups = np.asarray(groups)
    rows = np.ones((1, len(groups)), bool) if behind is None else np.atleast_2d(np.asarray(behind, bool))
    drawn = bootstrap(statistic, groups)
    women = min(len(np.unique(groups[row])) for row in rows)
    return as_recorded(drawn.value, drawn.low, drawn.high, women, drawn.undefined / RESAMPLES, proportion)


def as_recorded(
    value: float, low: float, high: float, women: int, undefined: float | None, proportion: bool = True
) -> dict[str, Any]:
    """Return what `measured` returns, given the ends of a bootstrap interval (NaN for none)."""
    made: dict[str, Any] = {"value": value, "low": None, "high": None, "n": women, "reason": None}
    if undefined:
        made["undefined"] = round(undefined, 3)
    if not math.isfinite(value):
        return made | {"reason": "undefined"}
    if women < LEAST_WOMEN:
        return made | {"reason": f"{women} {'woman' if women == 1 else 'women'} behind it: too few for an interval"}
    if undefined is not None and undefined > MOST_UNDEFINED:
        return made | {"reason": f"undefined in {undefined:.0%} of the resamples: no interval"}
    ends, method = (low, high), "percentile bootstrap"
    if not high - low > NO_WIDTH:
        if not proportion or min(abs(value), abs(1 - value)) > NO_WIDTH:
            return made | {"reason": "all resamples agree: no interval"}
        exact = wilson(round(value) * women, women)
        ends, method = (exact.low, exact.high), "Wilson"
    return made | {"low": ends[0], "high": ends[1], "kind": "women", "method": method}


def wilson(successes: float, n: float) -> Interval:
    """Return Wilson's 95 % score interval for a proportion of `n` independent trials.

    Args:
        successes: 0 to n; need not be whole, where a proportion of so many independent cases is all that is known.
        n: at least 1.

    Raises:
        ValueError: no trials, or successes outside 0 to n.

    Example:
        >>> print(wilson(115, 157))
        0.732 [0.658, 0.796]
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"wilson: needs 0 <= successes <= n and n >= 1, got {successes} of {n}")
    z = NormalDist().inv_cdf(0.975)
    p, shrink = successes / n, 1 + z * z / n
    centre = (p + z * z / (2 * n)) / shrink
    half = z / shrink * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return Interval(p, 0.0 if successes == 0 else low, 1.0 if successes == n else high, n)


def bootstrap(
    statistic: Callable[[NDArray[np.integer]], ArrayLike],
    groups: ArrayLike,
    n_resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return the 95 % percentile interval of a bootstrap that draws groups (women) with replacement.

    Args:
        statistic: gives the metric for weights, which say how often each item counts. It is called with (R, N) whole
            numbers and returns R values. NaN means undefined.
        groups: (N,) the woman of each item (crop, film or patch); any values that can be told apart.
        n_resamples: how many replicates.
        seed: of the draws.

    Returns:
        The interval; `n` is the number of groups. With one group nothing can be drawn, and replicates that are all
        alike only say that the sample holds nothing else: then the ends are NaN.

    Raises:
        ValueError: no items, or a statistic that returns the wrong number of values.

    Example:
        >>> right = np.array([1, 1, 0, 1])
        >>> def accuracy(weights):
        ...     return weights @ right / weights.sum(axis=-1)
        >>> print(bootstrap(accuracy, groups=["a", "a", "b", "c"]))
        0.750 [0.000, 1.000]
    """
    names, group = np.unique(np.asarray(groups).reshape(-1), return_inverse=True)
    if not len(names):
        raise ValueError("groups: there is no item to resample")
    rng, women = np.random.default_rng(seed), len(names)

    def values_of(weights: NDArray[np.integer]) -> NDArray[np.floating]:
        with np.errstate(all="ignore"):  # undefined replicates are counted
            values = np.asarray(statistic(weights), float)
        if values.shape != (len(weights),):
            raise ValueError(f"statistic: gave shape {values.shape} for {len(weights)} rows of weights")
        return values

    value = float(values_of(np.ones((1, len(group)), np.int64))[0])
    none = Interval(value, math.nan, math.nan, women)
    if women < 2 or np.isnan(value):
        return none
    replicates = np.zeros(0)
    most = max(1, (1 << 22) // len(group))  # so many rows of weights at a time
    while len(replicates) < n_resamples:
        rows = min(most, n_resamples - len(replicates))
        drawn = rng.integers(0, women, (rows, women)) + women * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * women).reshape(rows, women)
        replicates = np.append(replicates, values_of(times[:, group]))
    undefined = int(np.isnan(replicates).sum())
    if undefined == n_resamples:
        return replace(none, undefined=undefined)
    low, high = np.nanquantile(replicates, [(1 - 0.95) / 2, (1 + 0.95) / 2])
    if high - low <= NO_WIDTH:
        return replace(none, undefined=undefined)
    return Interval(value, float(low), float(high), women, undefined)


def spread(weights: NDArray, chosen: NDArray[np.bool_]) -> NDArray:
    """Give weights of some items a place among all of them; the others count nothing.

    Args:
        weights: (..., n_chosen).
        chosen: (N,) which items these are.

    Returns:
        (..., N).
    """
    wide = np.zeros((*weights.shape[:-1], len(chosen)), weights.dtype)
    wide[..., chosen] = weights
    return wide
