"""What may stand in a record: JSON's types and nothing else, each refusal one line that names the field."""

from __future__ import annotations

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


def asked(name: Any, settings: Any, data: Any, seed: Any, split: Any) -> dict[str, Any]:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(f"name: {name!r} must be letters, digits, '_', '.' and '-', beginning with a letter or digit")
    settings = strict(mapping(settings, "settings"), "settings")
    if not isinstance(settings.get("reduced", False), bool):
        raise ValueError(f"settings.reduced: {settings['reduced']!r} is not true or false")
    if not isinstance(settings.get("changed", {}), dict):
        raise ValueError(f"settings.changed: {settings['changed']!r} is not a mapping of setting to value")
    data = strict(mapping(data, "data"), "data")
    if set(data) != {"name", "digest", "films"}:
        raise ValueError(f"data: needs exactly name, digest and films, got {sorted(data)}")
    for key, kind in (("name", str), ("digest", str), ("films", int)):
        if not isinstance(data[key], kind) or isinstance(data[key], bool):
            raise ValueError(f"data.{key}: {data[key]!r} is not of type {kind.__name__}")
    data["name"] = re.split(r"[\\/]", data["name"].rstrip("\\/"))[-1]
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ValueError(f"seed: {seed!r} is not an integer")
    if not isinstance(split, str) or not NAME.fullmatch(split):
        raise ValueError(f"split: {split!r} is not one word, such as 'image', 'lesion-order', 'woman' or 'none'")
    return {"name": name, "settings": settings, "data": data, "seed": seed, "split": split}


def mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{where}: expected a mapping, got {type(value).__name__}")
    for key in value:
        if not isinstance(key, str):
            raise ValueError(f"{where}: the key {key!r} is not a string")
    return dict(value)


def strict(value: Any, where: str) -> Any:
    """Copy a value of JSON's types; a tuple becomes a list; anything else, NaN and infinity included, is refused."""
    if value is None or isinstance(value, bool | str) or type(value) is int:
        return value
    if type(value) is float and math.isfinite(value):
        return value
    if isinstance(value, list | tuple):
        return [strict(v, f"{where}[{i}]") for i, v in enumerate(value)]
    if isinstance(value, Mapping):
        return {k: strict(v, f"{where}.{k}") for k, v in mapping(value, where).items()}
    raise ValueError(f"{where}: {value!r} ({type(value).__name__}) is not a JSON value")


def _why_not_finite(value: float | None) -> str | None:
    if value is None or math.isfinite(value):
        return None
    return "not a number" if math.isnan(value) else "infinite" if value > 0 else "minus infinite"


def _plain(value: Any) -> Any:
    """Turn a NumPy scalar or array, or a tensor on the host, into Python's own numbers and lists."""
    return value.tolist() if hasattr(value, "tolist") else value


def _number(value: Any, where: str) -> float | int | None:
    value = _plain(value)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise ValueError(f"{where}: {value!r} is not a number")


def metrics_of(metrics: Any) -> dict[str, dict[str, Any]]:
    metrics = mapping(metrics, "metrics")
    for key in metrics:
        if not METRIC.fullmatch(key):
            raise ValueError(f"metrics: the name {key!r} is not of the form 'val_loss' or 'val_loss@epoch30'")
    return {key: metric_of(value, f"metrics.{key}") for key, value in metrics.items()}


def metric_of(given: Any, where: str) -> dict[str, Any]:
    given = dict(given) if isinstance(given, Mapping) else {"value": given}
    unknown = sorted(set(given) - set(METRIC_KEYS))
    if unknown or "value" not in given:
        raise ValueError(f"{where}: needs 'value', may have {METRIC_KEYS[1:]}, got {sorted(given)}")
    made = {key: _number(given.get(key), f"{where}.{key}") for key in METRIC_KEYS[:4]}
    about = {key: given[key] for key in METRIC_KEYS[5:] if given.get(key) is not None}
    reason = given.get("reason")
    for key in ("value", "low", "high"):
        if bad := _why_not_finite(made[key]):
            made[key] = None
            reason = reason or (bad if key == "value" else f"interval {bad}")
    if made["low"] is None or made["high"] is None:
        made["low"] = made["high"] = None
    elif not made["high"] - made["low"] > 1e-9:
        raise ValueError(f"{where}: an interval from {made['low']} to {made['high']} has no width")
    if made["n"] is not None and (not isinstance(made["n"], int) or made["n"] < 0):
        raise ValueError(f"{where}.n: {made['n']!r} is not a count")
    if made["value"] is None and not reason:
        raise ValueError(f"{where}: has no value and no reason why")
    if reason is not None and not isinstance(reason, str):
        raise ValueError(f"{where}.reason: {reason!r} is not a string")
    if about.get("kind", KINDS[0]) not in KINDS or not isinstance(about.get("method", ""), str):
        raise ValueError(f"{where}: kind {about.get('kind')!r} is not one of {KINDS}, or method is not text")
    share = about.get("undefined", 0)
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise ValueError(f"{where}.undefined: {share!r} is not a share of the resamples")
    if made["low"] is None:
        about = {key: value for key, value in about.items() if key == "undefined"}
    elif about.get("kind") == "women" and (made["n"] is None or made["n"] < LEAST_WOMEN):
        raise ValueError(f"{where}: an interval over {made['n']} women; at least {LEAST_WOMEN} are needed")
    return {**made, "reason": reason, **about}


def _rounded(value: Any, where: str, lost: dict[int, str], index: int = 0) -> float | int | None:
    """Round a number to `DIGITS`; None in place of one that is not finite, whose index and reason go to `lost`."""
    number = _number(value, where)
    if number is None or type(number) is int:
        return number
    if bad := _why_not_finite(number):
        lost[index] = bad
        return None
    return float(f"{number:.{DIGITS}g}")


def _spans(lost: dict[int, str]) -> str:
    """Say in words where a series is not finite: ``"infinite at 3, not a number at 4 to 9"``."""
    spans: list[list] = []
    for index, reason in sorted(lost.items()):
        if spans and spans[-1][0] == reason and spans[-1][2] == index - 1:
            spans[-1][2] = index
        else:
            spans.append([reason, index, index])
    return ", ".join(f"{why} at {a}" + (f" to {b}" if b > a else "") for why, a, b in spans)


def history_of(history: Any) -> dict[str, Any]:
    history = mapping(history, "history")
    notes = dict(history.pop(NOT_FINITE, {}))
    made: dict[str, Any] = {}
    for axis, given in history.items():
        if axis not in AXES:
            raise ValueError(f"history.{axis}: the axes are {AXES}")
        series = {k: _plain(v) for k, v in mapping(given, f"history.{axis}").items()}
        for key, values in series.items():
            if not isinstance(values, list | tuple):
                raise ValueError(f"history.{axis}.{key}: expected a list of numbers, got {type(values).__name__}")
        lengths = {key: len(values) for key, values in series.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"history.{axis}: the series differ in length: {lengths}")
        n = max(lengths.values(), default=0)
        series = {axis: list(range(1, n + 1)), **series}
        kept = range(n) if n <= POINTS else [round(i * (n - 1) / (POINTS - 1)) for i in range(POINTS)]
        made[axis] = {}
        for key, values in series.items():
            lost: dict[int, str] = {}
            where = f"history.{axis}.{key}"
            made[axis][key] = [_rounded(values[i], f"{where}[{i}]", lost, at) for at, i in enumerate(kept)]
            if lost:
                notes[f"{axis}.{key}"] = _spans(lost)
    return {**made, NOT_FINITE: notes} if notes else made


def outputs_of(outputs: Any) -> dict[str, Any]:
    outputs = mapping(outputs, "outputs")
    notes = dict(outputs.pop(NOT_FINITE, {}))

    def walk(value: Any, where: str) -> Any:
        value = _plain(value)
        if isinstance(value, float):
            lost: dict[int, str] = {}
            value = _rounded(value, where, lost)
            if lost:
                notes[where.removeprefix("outputs.")] = lost[0]
            return value
        if isinstance(value, list | tuple):
            return [walk(v, f"{where}[{i}]") for i, v in enumerate(value)]
        if isinstance(value, Mapping):
            return {k: walk(v, f"{where}.{k}") for k, v in mapping(value, where).items()}
        return strict(value, where)

    made = walk(outputs, "outputs")
    return {**made, NOT_FINITE: notes} if notes else made
