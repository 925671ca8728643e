"""The record of one run: what was asked, what came out, on which machine; its hash, and how it is kept on disk.

A record is one JSON file, ``{name}-{hash}.json``. The hash covers what was *asked* (name, settings, digest of the data,
seed, split), so a finished run is found again by it; a checksum covers everything else, so an edited file is noticed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mammolib.files import atomic

from .checked import OUTCOME, asked, history_of, mapping, metric_of, metrics_of, outputs_of, strict

FORMAT = 1
"""Number of the file format; a file with another one is refused."""

SERIES = "start_series"
"""The setting that holds the series of the run that a run starts from."""

NO_DATA = {"name": "none", "digest": "", "films": 0}
"""The `data` of a record that no film took part in, such as a count of parameters."""


@dataclass(frozen=True)
class Record:
    """One run. Everything in it is of JSON's types; what is not is refused when the record is made.

    Attributes:
        name: which run of the book this is, such as ``"A"`` or ``"C-300x2"``; letters, digits, ``_``, ``.``, ``-``.
        settings: what was asked for, overrides included. Two keys have a meaning here: ``reduced`` (true when the run
            is narrower or shorter than the paper's) and ``changed`` (setting -> value that departs from the paper's).
        data: ``name`` ("mini-MIAS", "phantom", "none", or a folder, of which only the last part is kept),
            ``digest`` (sha256) and ``films`` (count).
        seed: the run's seed.
        split: how test was kept from training: "image", "lesion-order", "woman"; "none" where nothing was split.
        metrics: name -> {value, low, high, n, reason} and, with an interval, kind and method: the value, its 95 %
            interval or None, how many women (crops, films, splits) are behind it or None, why there is no value or no
            interval; what was resampled ("women", "splits", "seeds", "folds"), and how. ``undefined`` is the share of
            resamples without a value, where there are any. A bare number is taken as a value. A value that is not
            finite becomes None, and ``reason`` says which ("infinite", "minus infinite", "not a number").
        history: "epoch" and "update" -> series name -> list of numbers, all of one length. Each axis also holds its own
            numbers under its own name (1, 2, ... if not given). Rounded to six significant digits, thinned to 2,000
            points. A point that is not finite becomes None; ``not_finite`` says which series, where and why.
        outcome: "finished", "diverged at update N" or "stopped at update N".
        outputs: what figures need beside metrics: curves, scores, match flags. Never boxes film by film.
        machine: see `mammolib.results.machine`.

    Raises:
        ValueError: one line that names the field.
    """

    name: str
    settings: Mapping[str, Any]
    data: Mapping[str, Any]
    seed: int
    split: str = "none"
    metrics: Mapping[str, Any] = field(default_factory=dict)
    history: Mapping[str, Any] = field(default_factory=dict)
    outcome: str = "finished"
    outputs: Mapping[str, Any] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key, value in asked(self.name, self.settings, self.data, self.seed, self.split).items():
            object.__setattr__(self, key, value)
        if not isinstance(self.outcome, str) or not OUTCOME.fullmatch(self.outcome):
            raise ValueError(
                f"outcome: {self.outcome!r} is not 'finished', 'diverged at update N' or 'stopped at update N'"
            )
        object.__setattr__(self, "metrics", metrics_of(self.metrics))
        object.__setattr__(self, "history", history_of(self.history))
        object.__setattr__(self, "outputs", outputs_of(self.outputs))
        object.__setattr__(self, "machine", strict(mapping(self.machine, "machine"), "machine"))

    @property
    def hash(self) -> str:
        """First 12 hex digits of the SHA-256 of what was asked: name, settings, data digest, seed, split."""
        return _hash(self.name, self.settings, self.data["digest"], self.split, self.seed)

    def __hash__(self) -> int:
        return hash(self.hash)

    @property
    def series(self) -> str:
        """The same without the seed: runs that differ in their seed only share it.

        Of the run that it started from, the series counts and not which of it.
        """
        settings = {k: v for k, v in self.settings.items() if k != "start" or SERIES not in self.settings}
        return _hash(self.name, settings, self.data["digest"], self.split)

    @property
    def complete(self) -> bool:
        """Whether the run is over: finished, or diverged, which is a result too."""
        return not self.outcome.startswith("stopped")

    @property
    def reduced(self) -> bool:
        """Whether the run was narrower or shorter than the paper's."""
        return bool(self.settings.get("reduced", False))

    @property
    def size(self) -> float:
        """How large a training was: its network's width times updates times batch; 0 where they are not stated."""
        width, updates, batch = (self.settings.get(k, 0) for k in ("width", "updates", "batch"))
        return float(width * updates * batch)

    @property
    def rescheduled(self) -> bool:
        """Whether its length or its rates were changed: then it is a control of its experiment, whatever its size."""
        return not {"epochs", "steps", "rates", "rate_epochs"}.isdisjoint(self.settings.get("changed", {}))

    @property
    def file_name(self) -> str:
        """``{name}-{hash}.json``."""
        return f"{self.stem}.json"

    @property
    def stem(self) -> str:
        """``{name}-{hash}``: what the file of the record and the folder of the run's weights are called."""
        return f"{self.name}-{self.hash}"


def start_of(record: Record) -> dict[str, str]:
    """Return what the settings of a run say that starts from another run's weights: its name and its series."""
    return {"start": record.stem, SERIES: record.series}


def metric(
    value: float,
    low: float | None = None,
    high: float | None = None,
    n: int | None = None,
    reason: str | None = None,
    **about: Any,
) -> dict[str, Any]:
    """Return the form a metric has in a record.

    Args:
        value: the value; NaN or infinite becomes None, and the reason says which.
        low, high: the 95 % interval, both or neither.
        n: how many women, crops or films the value rests on.
        reason: why there is no value or no interval, in words.
        **about: the interval's kind, method and undefined; see `Record`.

    Raises:
        ValueError: an interval of no width, or over fewer than 8 women.

    Example:
        >>> metric(0.75, 0.6, 0.9, n=40)
        {'value': 0.75, 'low': 0.6, 'high': 0.9, 'n': 40, 'reason': None}
        >>> metric(float("nan"))["reason"]
        'not a number'
    """
    given = {"value": value, "low": low, "high": high, "n": n, "reason": reason, **about}
    return metric_of(given, "metric")


def save(record: Record, folder: str | os.PathLike[str], replace: bool = False) -> Path:
    """Write a record into a folder, whole or not at all, and return its path.

    Args:
        record: the record.
        folder: made if missing.
        replace: write over a complete record of the same run that holds something else.

    Raises:
        FileExistsError: such a record is there and `replace` is false. An equal one is left as it is; a damaged one, or
            one of a run that was stopped, is replaced.
        OSError: the folder cannot be written to, or the disk is full.
    """
    path = Path(folder) / record.file_name
    if path.exists() and not replace:
        there = _readable(path)
        if there == record:
            return path
        if there is not None and there.complete:
            raise FileExistsError(f"{path}: holds a {there.outcome} record of this run; load it, or ask to replace it")
    with atomic(path, "the record was not written") as file:
        content = {"format": FORMAT, "hash": record.hash, "checksum": _checksum(record), **_fields(record)}
        file.write((_pretty(content) + "\n").encode())
    return path


def load(path: str | os.PathLike[str]) -> Record:
    """Read a record and check it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: one line that names the file and says that it is damaged or cut short, of another format, renamed,
            or that its hash or checksum does not fit its content.
    """
    path = Path(path)
    try:
        return pickle.loads(_parsed(path, path.read_bytes()))  # a copy: who changes it changes no other
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: there is no such record") from None


@functools.lru_cache(maxsize=256)
def _parsed(path: Path, written: bytes) -> bytes:
    """Check a record's bytes, once however often a file is asked for; return the record as `pickle` writes it."""
    try:
        text = written.decode("utf-8")
        content = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as err:
        raise ValueError(f"{path}: damaged or cut short, not whole JSON ({err}); delete it and run again") from None
    if not isinstance(content, dict) or type(content.get("format")) is not int or content["format"] != FORMAT:
        raise ValueError(f"{path}: not a record of format {FORMAT}")
    names = [f.name for f in dataclasses.fields(Record)]
    missing = [n for n in (*names, "hash", "checksum") if n not in content]
    unknown = sorted(set(content) - {*names, "format", "hash", "checksum"})
    if missing or unknown:
        raise ValueError(f"{path}: fields missing: {missing}, unknown: {unknown}")
    try:
        record = Record(**{n: content[n] for n in names})
    except (ValueError, TypeError, OverflowError, RecursionError) as err:
        raise ValueError(f"{path}: {err}") from None
    if content["hash"] != record.hash:
        raise ValueError(f"{path}: its hash {content['hash']} does not match its content, which gives {record.hash}")
    if content["checksum"] != _checksum(record):
        raise ValueError(f"{path}: changed after it was written (checksum {content['checksum']}); run again")
    if path.name != record.file_name:
        raise ValueError(f"{path}: holds the run {record.file_name}; rename it back")
    return pickle.dumps(record)


def load_all(folder: str | os.PathLike[str], name: str | None = None) -> list[Record]:
    """Return every record in a folder, or those of one name, in order of name, then seed; a missing folder has none.

    Raises:
        ValueError: a file is damaged; see `load`.
    """
    records = [load(path) for path in sorted(Path(folder).glob("*.json" if name is None else f"{name}-*.json"))]
    return sorted((r for r in records if name in (None, r.name)), key=lambda r: (r.name, r.split, r.seed, r.hash))


def find(
    folder: str | os.PathLike[str],
    name: str,
    settings: Mapping[str, Any],
    data: Mapping[str, Any],
    seed: int,
    split: str = "none",
) -> Record | None:
    """Return the complete record of exactly this run, or None.

    Args:
        folder: where records are kept.
        name, settings, data, seed, split: as in `Record`; of `data`, only the digest decides.

    Raises:
        ValueError: the file is there but damaged; see `load`.
    """
    path = Path(folder) / Record(name, settings, data, seed, split).file_name
    if not path.exists():
        return None
    record = load(path)
    return record if record.complete else None


def once(folder: str | os.PathLike[str], make: Callable[[], Record], **asked: Any) -> Record:
    """Return a run's record from a folder, or else make it and save it there; two processes never make it at once.

    Args:
        folder: of records.
        make: makes the record; called where the folder has no complete one.
        **asked: name, settings, data, seed and split of the run, as `find` takes them.
    """
    known = find(folder, **asked)
    if known is not None:
        return known
    with _alone(Path(folder) / f".{Record(**asked).stem}.lock"):
        known = find(folder, **asked)  # who held the lock may have made it
        if known is None:
            known = make()
            save(known, folder)
    return known


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait until no other process holds this file, and hold it; a process that is killed lets go.

    Where the system knows no such lock (Windows), nobody waits.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _readable(path: Path) -> Record | None:
    try:
        return load(path)
    except ValueError:
        return None


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _hash(name: str, settings: Any, digest: str, split: str, *seed: int) -> str:
    asked = {"name": name, "settings": settings, "digest": digest, "split": split, "seed": list(seed)}
    return hashlib.sha256(_canonical(asked)).hexdigest()[:12]


def _fields(record: Record) -> dict[str, Any]:
    return {f.name: getattr(record, f.name) for f in dataclasses.fields(record)}


def _checksum(record: Record) -> str:
    return hashlib.sha256(_canonical(_fields(record))).hexdigest()[:12]


def _pretty(value: Any, depth: int = 0) -> str:
    """Write JSON with one line to a field, a metric or a series: short, and a change shows as one line."""
    if isinstance(value, dict) and value and (depth < 2 or any(isinstance(v, dict | list) for v in value.values())):
        lines = [f"{' ' * (depth + 1)}{json.dumps(k)}: {_pretty(v, depth + 1)}" for k, v in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{' ' * depth}}}"
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(n for n in names if names.count(n) > 1)!r} is there twice")
    return made


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")
