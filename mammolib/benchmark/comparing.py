"""Two files of detections, paired: the same films, the same resampled women, the difference of every number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammolib import results
from mammolib.metrics import measured
from mammolib.mias import Film

from .counting import MEASURES, RULES, Counts, Measure, count, curve
from .predictions import digest
from .scoring import counted, record_of

POWER = 0.8
"""How surely a study of so many women would see the difference at the 5 % level."""


def compare(
    a: dict[str, Any], b: dict[str, Any], films: Sequence[Film], sources: tuple[str, str] = ("a", "b")
) -> results.Record:
    """Return the differences, a minus b, of all numbers of `score`, with intervals over the same resampled women.

    Args:
        a, b: detections on the same films, as `read` returns them.
        films, sources: as `score` takes them; two sources.

    Returns:
        A record with metrics `difference_sensitivity_at_1` and so on; `outputs.women_needed`: see `women_needed`.

    Raises:
        ValueError: see `score`.
    """
    (first, shown, marks_a), (second, _, marks_b) = map(counted, (a, b), (films, films), sources)
    women = np.array([film.woman for film in shown])
    behind = np.array([bool(film.lesions) for film in shown])
    metrics: dict[str, Any] = {"films": len(shown), "films_left_out": len(films) - len(shown)}
    outputs: dict[str, Any] = {"women_needed": {}, "curves": {}}
    for rule, suffix in RULES.items():
        counts = count(shown, marks_a, rule), count(shown, marks_b, rule)
        outputs["curves"] |= {f"{rule}_{side}": curve([c]) for side, c in zip("ab", counts, strict=True)}
        for name, measure in MEASURES.items():
            number = measured(_difference(measure, *counts), women, behind, proportion=False)
            metrics[f"difference_{name}{suffix}"] = number
            outputs["women_needed"][name + suffix] = women_needed(number)
    return record_of("benchmark-compared", {"a": digest(first), "b": digest(second)}, films, metrics, outputs)


def _difference(measure: Measure, first: Counts, second: Counts) -> Callable[[NDArray], NDArray]:
    return lambda w: measure(first, w.astype(float)) - measure(second, w.astype(float))


def women_needed(number: dict[str, Any]) -> int | None:
    """Return how many women with a lesion a study needs to see a paired difference; None if there is none to see.

    n = women x ((z(0.975) + z(0.8)) x s / d)^2: d is the difference, and s its standard error here, over `women`
    women with a lesion, taken from its 95 % interval as (high - low) / (2 x 1.96). s is that of the paired difference,
    so what both detectors find or miss alike costs nothing. 1.96 + 0.84 gives four chances in five to see it at the
    5 % level.

    Example:
        >>> women_needed({"value": 0.1, "low": 0.0, "high": 0.2, "n": 100})
        205
    """
    if not number["value"] or number.get("low") is None:
        return None
    z, power = NormalDist().inv_cdf(0.975), NormalDist().inv_cdf(POWER)
    error = (number["high"] - number["low"]) / (2 * z)
    return int(np.ceil(number["n"] * ((z + power) * error / number["value"]) ** 2))
