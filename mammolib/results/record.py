"""The record of one run: what was asked, what came out, on which machine; its hash, and how it is kept on disk.

A record is one JSON file, ``{name}-{hash}.json``. The hash covers what was *asked* (name, settings, digest of the data,
seed, split), so a finished run is found again by it; a checksum covers everything else, so an edited file is noticed.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from mammolib.files import atomic

from .checked import OUTCOME, asked, history_of, mapping, metric_of, metrics_of, outputs_of, require
from .machine import machine

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
        name: which run of the book this is, such as ``"A"`` or ``"C-300x2"``.
        settings: what was asked for. Two keys have a meaning here: ``reduced`` (true when the run is narrower or
            shorter than the paper's) and ``changed`` (setting -> value that departs from the paper's).
        data: ``name`` ("mini-MIAS", "phantom", "none", or a folder, of which only the last part is kept),
            ``digest`` (sha256) and ``films`` (count).
        split: how test was kept from training: "image", "lesion-order", "woman"; "none" where nothing was split.
        metrics: name -> {value, low, high, n, reason} and, with an interval, kind and method: the value, its 95 %
            interval, how many women (crops, films, splits) are behind it, why there is no value or no interval; what
            was resampled ("women", "splits", "seeds", "folds"), and how. ``undefined`` is the share of resamples
            without a value. A bare number is taken as a value. A value that is not finite becomes None, and ``reason``
            says which ("infinite", "minus infinite", "not a number").
        history: "epoch" and "update" -> series name -> list of numbers, all of one length, and the axis' own numbers
            under its own name. Rounded to six significant digits, thinned to 2,000 points. A point that is not finite
            becomes None; ``not_finite`` says which series, where and why.
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
        good = isinstance(self.outcome, str) and OUTCOME.fullmatch(self.outcome)
        require(good, "outcome", self.outcome, "'finished', 'diverged at update N' or 'stopped at update N'")
        checked = asked(self.name, self.settings, self.data, self.seed, self.split)
        checked |= {"metrics": metrics_of(self.metrics), "history": history_of(self.history)}
        checked |= {"outputs": outputs_of(self.outputs), "machine": mapping(self.machine, "machine")}
        for key, value in checked.items():
            object.__setattr__(self, key, value)

    @property
    def hash(self) -> str:
        """First 12 hex digits of the SHA-256 of what was asked: name, settings, data digest, seed, split."""
        return self._hash(self.settings, self.seed)

    @property
    def series(self) -> str:
        """The same without the seed; of a run that it started from, the series counts and not which of it."""
        return self._hash({k: v for k, v in self.settings.items() if k != "start" or SERIES not in self.settings})

    def _hash(self, settings: Mapping[str, Any], *seed: int) -> str:
        asked = {"name": self.name, "settings": settings, "digest": self.data["digest"], "split": self.split}
        return _digest({**asked, "seed": list(seed)})

    def __hash__(self) -> int:
        return hash(self.hash)

    @property
    def complete(self) -> bool:
        """Whether the run is over: finished, or diverged, which is a result too."""
        return not self.outcome.startswith("stopped")

    @property
    def reduced(self) -> bool:
        """Whether the run was narrower or shorter than the paper's."""
        return self.settings.get("reduced", False)

    @property
    def size(self) -> float:
        """How large a training was: its network's width times updates times batch; 0 where they are not stated."""
        width, updates, batch = (self.settings.get(k, 0) for k in ("width", "updates", "batch"))
        return float(width * updates * batch)

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
    """Return the form a metric has in a record; see `Record`. `about`: the interval's kind, method and undefined.

    Raises:
        ValueError: an interval of no width, or over fewer than 8 women.

    Example:
        >>> metric(0.75, 0.6, 0.9, n=40)
        {'value': 0.75, 'low': 0.6, 'high': 0.9, 'n': 40, 'reason': None}
    """
    return metric_of({"value": value, "low": low, "high": high, "n": n, "reason": reason, **about}, "metric")


def save(record: Record, folder: str | os.PathLike[str], replace: bool = False) -> Path:
    """Write a record into a folder, whole or not at all, and return its path; the folder is made if it is missing.

    An equal record is left as it is; a damaged one, or one of a run that was stopped, is replaced.

    Raises:
        FileExistsError: a complete record of the run is there, holds something else, and `replace` is false.
        OSError: the folder cannot be written to, or the disk is full.
    """
    path = Path(folder) / record.file_name
    if path.exists() and not replace:
        try:
            there = load(path)
        except ValueError:
            there = None
        if there == record:
            return path
        if there is not None and there.complete:
            raise FileExistsError(f"{path}: holds a {there.outcome} record of this run; load it, or ask to replace it")
    with atomic(path, "the record was not written") as file:
        content = {"format": FORMAT, "hash": record.hash, "checksum": _digest(vars(record)), **vars(record)}
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
        content = json.loads(written.decode("utf-8"), object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as err:
        raise ValueError(f"{path}: damaged or cut short, not whole JSON ({err}); delete it and run again") from None
    if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
        raise ValueError(f"{path}: not a record of format {FORMAT}")
    names = {f.name for f in fields(Record)} | {"hash", "checksum"}
    if names != set(content):
        missing, unknown = sorted(names - set(content)), sorted(set(content) - names)
        raise ValueError(f"{path}: fields missing: {missing}, unknown: {unknown}")
    hash, checksum = content.pop("hash"), content.pop("checksum")
    try:
        saved = _as_saved(content, checksum)
        record = saved or Record(**content)
        asked_hash = record.hash
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as err:
        raise ValueError(f"{path}: {err}") from None
    if hash != asked_hash:
        raise ValueError(f"{path}: its hash {hash} does not match its content, which gives {asked_hash}")
    if saved is None and checksum != _digest(vars(record)):
        raise ValueError(f"{path}: changed after it was written (checksum {checksum}); run again")
    if path.name != record.file_name:
        raise ValueError(f"{path}: holds the run {record.file_name}; rename it back")
    return pickle.dumps(record)


def _as_saved(content: dict[str, Any], checksum: str) -> Record | None:
    """Return the record whose content has its checksum, so that `save` wrote it, and every field was checked then."""
    record = None
    with suppress(ValueError):  # a number that is not finite
        if checksum == _digest(content):
            record = object.__new__(Record)
            vars(record).update(content)
    return record


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise ValueError(f"the key {key!r} is there twice")
        made[key] = value
    return made


def load_all(folder: str | os.PathLike[str], name: str | None = None) -> list[Record]:
    """Return every record in a folder, or those of one name, as `load` does, by name, split and seed."""
    records = [load(path) for path in sorted(Path(folder).glob("*.json" if name is None else f"{name}-*.json"))]
    return sorted((r for r in records if name in (None, r.name)), key=lambda r: (r.name, r.split, r.seed, r.hash))


def find(
    folder: str | os.PathLike[str], name: str, settings: Any, data: Any, seed: int, split: str = "none"
) -> Record | None:
    """Return the complete record of exactly this run from a folder, or None.

    Name, settings, data, seed and split are as in `Record`; of `data`, only the digest decides.

    Raises:
        ValueError: the file is there but damaged; see `load`.
    """
    path = Path(folder) / Record(name, settings, data, seed, split).file_name
    record = load(path) if path.exists() else None
    return record if record is not None and record.complete else None


def once(folder: str | os.PathLike[str], make: Callable[[], Mapping[str, Any]], **asked: Any) -> Record:
    """Return a run's record, as `find` does, or else make it and save it; two processes never make it at once.

    `make` returns what came out of the run: metrics, and maybe history, outcome and outputs. The machine is added here.
    """
    known = find(folder, **asked)
    if known is None:
        with _alone(Path(folder) / f".{Record(**asked).stem}.lock"):
            known = find(folder, **asked)  # who held the lock may have made it
            if known is None:
                known = Record(**asked, **make(), machine=machine())
                save(known, folder)
    return known


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait until no other process holds this file, and hold it; a process that is killed lets go."""
    try:
        import fcntl
    except ImportError:  # Windows knows no such lock: nobody waits
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _digest(value: Any) -> str:
    written = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(written.encode()).hexdigest()[:12]


def _pretty(value: Any, depth: int = 0) -> str:
    """Write JSON with one line to a field, a metric or a series: short, and a change shows as one line."""
    if isinstance(value, dict) and value and (depth < 2 or any(isinstance(v, dict | list) for v in value.values())):
        lines = [f"{' ' * (depth + 1)}{json.dumps(k)}: {_pretty(v, depth + 1)}" for k, v in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{' ' * depth}}}"
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
