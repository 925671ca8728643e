"""Checkpoints: everything a training needs to continue as if it had never stopped, in one file, whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mammolib.files import atomic

FORMAT = 2
HEADER = ("update", "identity", "notes", "clock", "cores")
CLOCK = ("seconds", "epoch_seconds", "images", "steady_seconds")
"""What every checkpoint's clock counts."""
AGAIN = "move it away to begin again"


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training between two updates.

    Attributes:
        update: updates done.
        identity: plain data that must be the same for the training to continue: model, settings, data, seed, backend.
        model: the network's variables in order, random seeds included.
        optimizer: the optimizer's variables in order.
        history: {"epoch": {name: values}, "update": {name: values}}.
        notes: plain data that a `watch` left, see `History.notes`.
        clock: seconds spent and images shown, see `CLOCK`.
        cores: processor cores that the training ran on; they may differ when it continues, see `loop.train`.
    """

    update: int
    identity: Mapping[str, Any]
    model: Sequence[NDArray]
    optimizer: Sequence[NDArray]
    history: Mapping[str, dict[str, list[float]]]
    notes: Mapping[str, Any]
    clock: Mapping[str, float]
    cores: int

    def finite(self, apart: Collection[int] = ()) -> bool:
        """Return whether every weight and every number of the optimizer's state is finite.

        Args:
            apart: places in `optimizer` to leave out: what is only recorded there, such as gradient norms.
        """
        state = [v for place, v in enumerate(self.optimizer) if place not in apart]
        return all(np.isfinite(v).all() for v in (*self.model, *state) if v.dtype.kind == "f")


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint; the old file stays until the new one is complete and on the disk."""
    header = {name: getattr(checkpoint, name) for name in HEADER} | {"format": FORMAT}
    members: dict[str, Any] = {"header": np.array(json.dumps(header))}
    members |= {f"model/{i}": v for i, v in enumerate(checkpoint.model)}
    members |= {f"optimizer/{i}": v for i, v in enumerate(checkpoint.optimizer)}
    for axis, columns in checkpoint.history.items():
        members |= {f"history/{axis}/{k}": np.asarray(v, float) for k, v in columns.items()}
    with atomic(path) as file:
        np.savez(file, **members, digest=np.array(digest_of(members)))


def digest_of(members: Mapping[str, NDArray]) -> str:
    """Return the SHA-256 over all arrays of a file, in order of their names, with their shapes and types."""
    h = hashlib.sha256()
    for name in sorted(members):
        h.update(f"{name} {members[name].dtype.str}{members[name].shape}".encode())
        h.update(np.ascontiguousarray(members[name]).tobytes())
    return h.hexdigest()


def load(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        ValueError: the file is damaged or of another format; it is left as it is.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            members = {name: file[name] for name in file.files}
        header = json.loads(str(members["header"]))
        version = header["format"]
        if version == FORMAT and str(members.pop("digest")) != digest_of(members):
            raise ValueError("its checksum does not fit")
    except FileNotFoundError:
        raise
    except Exception as err:  # whatever zipfile, zlib, NumPy and JSON make of bytes that are not what they should be
        reason = " ".join(str(err).split()) or type(err).__name__
        raise ValueError(f"{path}: the checkpoint is damaged ({reason}); {AGAIN}") from None
    if version != FORMAT:
        raise ValueError(f"{path}: checkpoint format {version!r}, this version reads {FORMAT}; {AGAIN}")
    history: dict[str, dict[str, list[float]]] = {"epoch": {}, "update": {}}
    for name, values in members.items():
        if name.startswith("history/"):
            _, axis, column = name.split("/", 2)
            history[axis][column] = values.tolist()
    model, optimizer = ([v for k, v in members.items() if k.startswith(f"{part}/")] for part in ("model", "optimizer"))
    return Checkpoint(model=model, optimizer=optimizer, history=history, **{name: header[name] for name in HEADER})


def compare(path: Path, stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise a ValueError that names the first thing in which a checkpoint's identity differs from the run's."""
    away = f"{AGAIN}, or continue with what it was made with"
    for name in dict.fromkeys([*wanted, *stored]):
        old, new = stored.get(name), wanted.get(name)
        if old == new:
            continue
        if name == "data":
            raise ValueError(f"{path}: the data set has changed since this checkpoint was written; {away}")
        if name == "variables":
            raise ValueError(f"{path}: the checkpoint is of another model ({_first_difference(old, new)}); {away}")
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            key = next(k for k in dict.fromkeys([*new, *old]) if old.get(k) != new.get(k))
            name, old, new = f"{name}.{key}", old.get(key), new.get(key)
        raise ValueError(f"{path}: the checkpoint was made with {name} {old!r}, this run has {new!r}; {away}")


def variables_of(network: keras.Model) -> list[list[Any]]:
    """Return [path, shape, dtype] of every variable, for a checkpoint's identity."""
    return [[v.path.rsplit("/", 1)[-1], list(v.shape), str(v.dtype)] for v in network.variables]


def _first_difference(old: list | None, new: list | None) -> str:
    old, new = old or [], new or []
    for row, (a, b) in enumerate(zip(old, new, strict=False)):
        if a != b:
            return f"its variable {row} is {a[0]} {tuple(a[1])}, the model's is {b[0]} {tuple(b[1])}"
    return f"it has {len(old)} variables, the model has {len(new)}"


def to_numpy(variables: Sequence[Any]) -> list[NDArray]:
    """Copy Keras variables to the host."""
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]


def assign(variables: Sequence[Any], values: Sequence[NDArray]) -> None:
    """Put host arrays back into Keras variables."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
