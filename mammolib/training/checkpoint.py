"""Checkpoints: everything a training needs to continue as if it had never stopped, in one file, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

FORMAT = 1
DAMAGE = (zipfile.BadZipFile, zlib.error, KeyError, ValueError, EOFError, OSError)


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training between two updates.

    Attributes:
        update: updates done.
        identity: plain data that must be the same for the training to continue: model, settings, data, seed, backend.
        model: the network's variables in order, random seeds included.
        optimizer: the optimizer's variables in order.
        history: {"epoch": {name: values}, "update": {name: values}}.
        extra: further plain data, such as the seconds spent.
    """

    update: int
    identity: Mapping[str, Any]
    model: Sequence[NDArray]
    optimizer: Sequence[NDArray]
    history: Mapping[str, Mapping[str, Sequence[float]]]
    extra: Mapping[str, Any]

    def finite(self, apart: Collection[int] = ()) -> bool:
        """Say whether every weight and every number of the optimizer's state is finite.

        Args:
            apart: places in `optimizer` that are not looked at: what it holds only to be read, such as gradient norms.
        """
        state = [v for place, v in enumerate(self.optimizer) if place not in apart]
        return all(np.isfinite(v).all() for v in (*self.model, *state) if v.dtype.kind == "f")


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint; the old file stays until the new one is complete and on the disk."""
    header = {name: getattr(checkpoint, name) for name in ("update", "identity", "extra")} | {"format": FORMAT}
    arrays = {f"model/{i}": v for i, v in enumerate(checkpoint.model)}
    arrays |= {f"optimizer/{i}": v for i, v in enumerate(checkpoint.optimizer)}
    arrays |= {f"history/{axis}/{k}": np.asarray(v) for axis, c in checkpoint.history.items() for k, v in c.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    for left_over in path.parent.glob(f".{path.name}.*"):  # of a run that was killed while it wrote
        left_over.unlink(missing_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            np.savez(file, header=np.array(json.dumps(header)), **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        ValueError: the file is damaged or of another format; it is left as it is.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            header = json.loads(str(file["header"]))
            stored = {name: file[name] for name in file.files if name != "header"}
        if header["format"] != FORMAT:
            raise ValueError(f"{path}: checkpoint format {header['format']}, this version reads {FORMAT}")
        groups: dict[str, list] = {"model": [], "optimizer": []}
        history: dict[str, dict] = {"epoch": {}, "update": {}}
        for name, values in stored.items():
            group, rest = name.split("/", 1)
            if group == "history":
                axis, column = rest.split("/", 1)
                history[axis][column] = values.tolist()
            else:
                groups[group].append(values)
        return Checkpoint(header["update"], header["identity"], **groups, history=history, extra=header["extra"])
    except FileNotFoundError:
        raise
    except DAMAGE as err:
        if str(err).startswith(str(path)):
            raise
        raise ValueError(f"{path}: the checkpoint is damaged ({err}); move it away to begin again") from None


def compare(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise a ValueError that names the first thing in which a checkpoint's identity differs from the run's."""
    away = "move it away to begin again, or continue with what it was made with"
    for name in dict.fromkeys([*wanted, *found]):
        old, new = found.get(name), wanted.get(name)
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


def variables_of(network: keras.Model) -> list[list]:
    """Return [path, shape, dtype] of every variable, for a checkpoint's identity."""
    paths = [v.path for v in network.variables]
    rows = zip(paths, network.variables, strict=True)
    return [[path.rsplit("/", 1)[-1], list(v.shape), str(v.dtype)] for path, v in rows]


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


def weights_digest(model: keras.Model) -> str:
    """Return the SHA-256 over a model's weights, in order, with their shapes; equal weights give equal digests."""
    h = hashlib.sha256()
    for value in to_numpy(model.weights):
        h.update(f"{value.dtype.str}{value.shape}".encode())
        h.update(np.ascontiguousarray(value).data)
    return h.hexdigest()
