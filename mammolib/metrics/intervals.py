"""How far a number could have been another: intervals that resample women, and Wilson's for a plain proportion.

Eight views of one lesion, two films of one woman: such cases fail or succeed together, so a bootstrap that drew crops
would draw the same lesion many times and promise too much. Here the unit that is drawn is the woman, with everything
that belongs to her. `measured` is the one way in which a record gets a number with its interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEAST_WOMEN = 8  # fewer behind a number give no interval: resampling them again and again shows the same few
MOST_UNDEFINED = 0.05  # share of resamples on which a number may be undefined: the rest measures another number
RESAMPLES = 1000
NO_WIDTH = 1e-9  # ends as near as this are one number: sums of weights in another order differ in their last digits
CHUNK = 1 << 22  # weights of items drawn together

Statistic = Callable[[NDArray[np.integer]], ArrayLike]


@dataclass(frozen=True)
class Interval:
    """A number with its 95 % confidence interval; its ends are NaN where there is none.

    It rests on `n` independent units: women, or trials of a proportion. `undefined` counts the bootstrap replicates
    that were left out because the metric was undefined on them.
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
    statistic: Statistic, groups: ArrayLike, behind: ArrayLike | None = None, proportion: bool = True
) -> dict[str, Any]:
    """Return a number with its 95 % interval over women, in the form a record holds.

    Where all resamples agree at 0 or at 1, they only say that the sample holds nothing else; then Wilson's interval on
    the women behind the number stands in. Never has an interval no width.

    Args:
        statistic, groups: as for `bootstrap`.
        behind: (N,) bool, the items that the number rests on: those with a lesion of the class, with a patch of that
            kind; all if None. Several rows for a number that needs each kind: the smallest count of women is given.
        proportion: whether 0 and 1 are the number's ends, as of a share; not so for a difference.

    Returns:
        value, low, high, n (women behind the number), reason (why there is no interval), kind ("women"), method, and
        undefined (the share of resamples without a value, where there are any).
    """
    groups = np.asarray(groups)
    rows = np.ones((1, len(groups)), bool) if behind is None else np.atleast_2d(np.asarray(behind, bool))
    women = min(len(np.unique(groups[row])) for row in rows)
    drawn = bootstrap(statistic, groups)
    undefined = drawn.undefined / RESAMPLES
    made: dict[str, Any] = {"value": drawn.value, "low": None, "high": None, "n": women, "reason": None}
    if undefined:
        made["undefined"] = round(undefined, 3)
    if not math.isfinite(drawn.value):
        return made | {"reason": "undefined"}
    if women < LEAST_WOMEN:
        return made | {"reason": f"{women} {'woman' if women == 1 else 'women'} behind it: too few for an interval"}
    if undefined > MOST_UNDEFINED:
        return made | {"reason": f"undefined in {undefined:.0%} of the resamples: no interval"}
    method = "percentile bootstrap"
    if math.isnan(drawn.low):
        if not proportion or min(abs(drawn.value), abs(1 - drawn.value)) > NO_WIDTH:
            return made | {"reason": "all resamples agree: no interval"}
        drawn, method = wilson(round(drawn.value) * women, women), "Wilson"
    return made | {"low": drawn.low, "high": drawn.high, "kind": "women", "method": method}


def wilson(successes: float, n: float) -> Interval:
    """Return Wilson's 95 % score interval for a proportion of `n` independent trials.

    The successes need not be whole, where a proportion of so many independent cases is all that is known.

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


def bootstrap(statistic: Statistic, groups: ArrayLike, n_resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """Return the 95 % percentile interval of a bootstrap that draws groups (women) with replacement.

    With one group nothing can be drawn, and replicates that are all alike only say that the sample holds nothing else:
    then the ends are NaN.

    Args:
        statistic: gives the metric for weights: (R, N) whole numbers, how often each item counts, to R values; NaN
            means undefined.
        groups: (N,) the woman of each item (crop, film or patch); any values that can be told apart.
        n_resamples, seed: how many replicates, and of the draws.

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

    def values_of(weights: NDArray[np.integer]) -> NDArray[np.floating]:
        with np.errstate(all="ignore"):  # undefined replicates are counted
            values = np.asarray(statistic(weights), float)
        if values.shape != (len(weights),):
            raise ValueError(f"statistic: gave shape {values.shape} for {len(weights)} rows of weights")
        return values

    rng, women = np.random.default_rng(seed), len(names)
    value, low, high, undefined = float(values_of(np.ones((1, len(group)), np.int64))[0]), math.nan, math.nan, 0
    if women > 1 and not math.isnan(value):
        replicates = np.zeros(0)
        while len(replicates) < n_resamples:
            rows = min(max(1, CHUNK // len(group)), n_resamples - len(replicates))
            drawn = rng.integers(0, women, (rows, women)) + women * np.arange(rows)[:, None]
            times = np.bincount(drawn.ravel(), minlength=rows * women).reshape(rows, women)
            replicates = np.append(replicates, values_of(times[:, group]))
        undefined = int(np.isnan(replicates).sum())
        if undefined < n_resamples:
            low, high = np.nanquantile(replicates, [(1 - 0.95) / 2, (1 + 0.95) / 2]).tolist()
        if high - low <= NO_WIDTH:
            low = high = math.nan
    return Interval(value, low, high, women, undefined)


def whole_weights(weights: ArrayLike, n: int) -> NDArray[np.integer]:
    """Return (..., n) weights of n items as whole numbers, or say what is wrong with them."""
    w = np.asarray(weights)
    if w.ndim == 0 or w.shape[-1] != n:
        raise ValueError(f"weights: expected shape (..., {n}), got {w.shape}")
    if w.dtype.kind not in "iub" or (w.size and w.min() < 0):
        raise ValueError(f"weights: expected whole numbers from 0, got {w.dtype}, lowest {w.min() if w.size else '-'}")
    return w.astype(np.int64)


def spread(weights: NDArray, chosen: NDArray[np.bool_]) -> NDArray:
    """Give (..., n_chosen) weights of some of N items their place among all, (..., N); the others count nothing."""
    wide = np.zeros((*weights.shape[:-1], len(chosen)), weights.dtype)
    wide[..., chosen] = weights
    return wide
