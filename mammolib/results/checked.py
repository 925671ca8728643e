"""What may stand in a record: JSON's types and nothing else, each refusal one line that names the field."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from typing import Any

DIGITS = 6
"""Significant digits kept of every number in a history and in outputs."""
POINTS = 2000
"""Most points a history keeps on one axis; a longer one is thinned evenly, its first and last point kept."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
METRIC = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*(@[a-z]+[0-9]*)?")
OUTCOME = re.compile(r"finished|(diverged|stopped) at update [0-9]+")
AXES = ("epoch", "update")
NOT_FINITE = "not_finite"
METRIC_KEYS = ("value", "low", "high", "n", "reason", "kind", "method", "undefined")
KINDS = ("women", "crops", "splits", "seeds", "folds")
LEAST_WOMEN = 8


def require(good: object, where: str, value: Any, wanted: str) -> None:
    if not good:
        raise ValueError(f"{where}: {value!r} is not {wanted}")


def asked(name: Any, settings: Any, data: Any, seed: Any, split: Any) -> dict[str, Any]:
    """Return what was asked of a run, checked and copied."""
    settings, data = mapping(settings, "settings"), mapping(data, "data")
    require(isinstance(name, str) and NAME.fullmatch(name), "name", name, "one word of letters, digits, '_', '.', '-'")
    require(type(settings.get("reduced", False)) is bool, "settings.reduced", settings.get("reduced"), "true or false")
    require(type(settings.get("changed", {})) is dict, "settings.changed", settings.get("changed"), "a mapping")
    types = {"name": str, "digest": str, "films": int}
    require(set(data) == set(types), "data", sorted(data), "name, digest and films")
    for key, kind in types.items():
        require(type(data[key]) is kind, f"data.{key}", data[key], f"of type {kind.__name__}")
    data["name"] = re.split(r"[\\/]", data["name"].rstrip("\\/"))[-1]
    require(type(seed) is int, "seed", seed, "an integer")
    words = "one word, such as 'image', 'lesion-order', 'woman' or 'none'"
    require(isinstance(split, str) and NAME.fullmatch(split), "split", split, words)
    return {"name": name, "settings": settings, "data": data, "seed": seed, "split": split}


def mapping(value: Any, where: str) -> dict[str, Any]:
    require(isinstance(value, Mapping), where, value, "a mapping")
    return json_value(value, where)


def json_value(value: Any, where: str, lost: dict[str, str] | None = None) -> Any:
    """Copy a value of JSON's types; a tuple becomes a list; anything else, NaN and infinity included, is refused.

    With `lost`, an array becomes a list, a float is rounded, and one that is not finite becomes None and stands in
    `lost` with its reason.
    """
    if lost is not None:
        value = _plain(value)
    if isinstance(value, Mapping):
        for key in value:
            require(isinstance(key, str), where, key, "a string, as the keys of a mapping are")
        return {k: json_value(v, f"{where}.{k}", lost) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(v, f"{where}[{i}]", lost) for i, v in enumerate(value)]
    if type(value) is float and lost is not None:
        return _rounded(value, lost, where)
    good = type(value) is int or (type(value) is float and math.isfinite(value))
    require(good or value is None or isinstance(value, bool | str), where, value, "a JSON value")
    return value


def _plain(value: Any) -> Any:
    """Turn a NumPy scalar or array, or a tensor on the host, into Python's own numbers and lists."""
    return value.tolist() if hasattr(value, "tolist") else value


def _number(value: Any, where: str) -> float | int | None:
    value = _plain(value)
    require(value is None or type(value) in (int, float), where, value, "a number")
    return value


def _why_not_finite(value: float | None) -> str:
    if value is None or math.isfinite(value):
        return ""
    return "not a number" if math.isnan(value) else "infinite" if value > 0 else "minus infinite"


def _rounded(value: float | None, lost: dict[Any, str], key: Any) -> float | int | None:
    """Round a float to `DIGITS`; None in place of one that is not finite, whose reason goes to `lost`."""
    if bad := _why_not_finite(value):
        lost[key] = bad
        return None
    return float(f"{value:.{DIGITS}g}") if type(value) is float else value


def metrics_of(metrics: Any) -> dict[str, dict[str, Any]]:
    require(isinstance(metrics, Mapping), "metrics", metrics, "a mapping")
    for key in metrics:
        good = isinstance(key, str) and METRIC.fullmatch(key)
        require(good, "metrics", key, "a name of the form 'val_loss' or 'val_loss@epoch30'")
    return {key: metric_of(value, f"metrics.{key}") for key, value in metrics.items()}


def metric_of(given: Any, where: str) -> dict[str, Any]:
    """Return a metric's value, interval, n and reason, and what is known of the interval; see `Record`."""
    given = dict(given) if isinstance(given, Mapping) else {"value": given}
    good = "value" in given and set(given) <= set(METRIC_KEYS)
    require(good, where, sorted(given), f"'value' and any of {METRIC_KEYS[1:]}")
    value, low, high, n = (_number(given.get(key), f"{where}.{key}") for key in METRIC_KEYS[:4])
    about = {key: given[key] for key in METRIC_KEYS[5:] if given.get(key) is not None}
    reason = given.get("reason")
    for end, words in ((value, ""), (low, "interval "), (high, "interval ")):
        if bad := _why_not_finite(end):
            reason = reason or words + bad
    value, low, high = (None if _why_not_finite(end) else end for end in (value, low, high))
    require(n is None or (type(n) is int and n >= 0), f"{where}.n", n, "a count")
    require(reason is None or isinstance(reason, str), f"{where}.reason", reason, "a string")
    require(value is not None or reason, where, given.get("value"), "a value, and no reason says why")
    share = about.get("undefined", 0)
    require(type(share) in (int, float) and 0 <= share <= 1, f"{where}.undefined", share, "a share of the resamples")
    require(about.get("kind", KINDS[0]) in KINDS, f"{where}.kind", about.get("kind"), f"one of {KINDS}")
    require(isinstance(about.get("method", ""), str), f"{where}.method", about.get("method"), "a string")
    if low is None or high is None:
        low = high = None
        about = {"undefined": share} if "undefined" in about else {}
    elif not high - low > 1e-9:
        raise ValueError(f"{where}: an interval from {low} to {high} has no width")
    if about.get("kind") == "women" and (n is None or n < LEAST_WOMEN):
        raise ValueError(f"{where}: an interval over {n} women; at least {LEAST_WOMEN} are needed")
    return {"value": value, "low": low, "high": high, "n": n, "reason": reason, **about}


def history_of(history: Any) -> dict[str, Any]:
    """Return a history with its axes numbered, rounded and thinned; see `Record`."""
    require(isinstance(history, Mapping), "history", history, "a mapping")
    notes = dict(history.get(NOT_FINITE, {}))
    made: dict[str, Any] = {}
    for axis in [a for a in history if a != NOT_FINITE]:
        where = f"history.{axis}"
        require(axis in AXES, where, axis, f"one of {AXES}")
        require(isinstance(history[axis], Mapping), where, history[axis], "a mapping")
        series = {key: _plain(values) for key, values in history[axis].items()}
        for key, values in series.items():
            require(isinstance(key, str), where, key, "a string, as the names of series are")
            require(isinstance(values, list | tuple), f"{where}.{key}", values, "a list of numbers")
        lengths = {key: len(values) for key, values in series.items()}
        require(len(set(lengths.values())) < 2, where, lengths, "one length for all series")
        n = max(lengths.values(), default=0)
        kept = range(n) if n <= POINTS else [round(i * (n - 1) / (POINTS - 1)) for i in range(POINTS)]
        made[axis] = {}
        for key, values in {axis: range(1, n + 1), **series}.items():
            lost: dict[int, str] = {}
            numbers = [_number(values[i], f"{where}.{key}[{i}]") for i in kept]
            made[axis][key] = [_rounded(number, lost, index) for index, number in enumerate(numbers)]
            if lost:
                notes[f"{axis}.{key}"] = _spans(lost)
    return {**made, NOT_FINITE: notes} if notes else made


def _spans(lost: dict[int, str]) -> str:
    """Say in words where a series is not finite: ``"infinite at 3, not a number at 4 to 9"``."""
    words = []
    # indices that follow each other have the same difference to their place in the list
    for (why, _), group in itertools.groupby(enumerate(lost), lambda at: (lost[at[1]], at[1] - at[0])):
        indices = [index for _, index in group]
        words.append(f"{why} at {indices[0]}" + (f" to {indices[-1]}" if len(indices) > 1 else ""))
    return ", ".join(words)


def outputs_of(outputs: Any) -> dict[str, Any]:
    """Return outputs with their floats rounded; NOT_FINITE says which were not finite, and why."""
    require(isinstance(outputs, Mapping), "outputs", outputs, "a mapping")
    lost: dict[str, str] = {}
    made = json_value({k: v for k, v in outputs.items() if k != NOT_FINITE}, "outputs", lost)
    notes = {**outputs.get(NOT_FINITE, {}), **{k.removeprefix("outputs."): why for k, why in lost.items()}}
    return {**made, NOT_FINITE: notes} if notes else made
