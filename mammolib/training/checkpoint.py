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
from mammolib.training.settings import number, whole

FORMAT = 2
HEADER = ("update", "identity", "notes", "clock", "cores")
CLOCK = ("seconds", "epoch_seconds", "images", "steady_seconds")
"""What every checkpoint's clock counts."""


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
    history: Mapping[str, Mapping[str, Sequence[float]]]
    notes: Mapping[str, Any]
    clock: Mapping[str, float]
    cores: int

    def finite(self, apart: Collection[int] = ()) -> bool:
        """Say whether every weight and every number of the optimizer's state is finite.

        Args:
            apart: places in `optimizer` that are not looked at: what it holds only to be read, such as gradient norms.
        """
        state = [v for place, v in enumerate(self.optimizer) if place not in apart]
        return all(np.isfinite(v).all() for v in (*self.model, *state) if v.dtype.kind == "f")


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint; the old file stays until the new one is complete and on the disk."""
    header = {name: getattr(checkpoint, name) for name in HEADER} | {"format": FORMAT}
    members = {"header": np.array(json.dumps(header))}
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
        ValueError: the file is damaged, by accident or on purpose, or of another format; it is left as it is.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            members = {name: file[name] for name in file.files}
        header = json.loads(str(members["header"]))
        version = header["format"]
        if version == FORMAT:
            return _checkpoint(members, header)
    except FileNotFoundError:
        raise
    except Exception as err:  # whatever zipfile, zlib, NumPy and JSON make of bytes that are not what they should be
        reason = " ".join(str(err).split()) or type(err).__name__
        raise ValueError(f"{path}: the checkpoint is damaged ({reason}); move it away to begin again") from None
    away = "move it away to begin again"
    raise ValueError(f"{path}: checkpoint format {version!r}, this version reads {FORMAT}; {away}")


def _checkpoint(members: dict[str, NDArray], header: dict[str, Any]) -> Checkpoint:
    """Make a checkpoint of a file's arrays, or raise a ValueError that says what is wrong with them."""
    if str(members.pop("digest", "")) != digest_of(members):
        raise ValueError("its checksum does not fit")
    groups: dict[str, list[NDArray]] = {"model": [], "optimizer": []}
    history: dict[str, dict[str, list[float]]] = {"epoch": {}, "update": {}}
    for name, values in members.items():
        group, _, rest = name.partition("/")
        if group == "history":
            axis, _, column = rest.partition("/")
            if values.ndim != 1 or values.dtype.kind != "f":
                raise ValueError(f"{name} is no column of numbers")
            history[axis][column] = values.tolist()
        elif group != "header":
            groups[group].append(values)
    state = Checkpoint(**groups, history=history, **{name: header[name] for name in HEADER})
    lengths = {axis: {len(column) for column in columns.values()} for axis, columns in history.items()}
    if lengths["update"] != ({state.update} if state.update else set()) or len(lengths["epoch"]) > 1:
        raise ValueError(f"update {state.update!r} does not fit its history")
    for name, good in (
        ("update", whole(state.update, 0)),
        ("cores", whole(state.cores, 1)),
        *((name, isinstance(header[name], dict)) for name in ("identity", "notes", "clock")),
        ("clock", set(CLOCK) <= set(state.clock) and all(number(v) and v >= 0 for v in state.clock.values())),
    ):
        if not good:
            raise ValueError(f"{name} {header[name]!r} does not fit")
    return state


def check(
    path: Path, state: Checkpoint, model: Sequence[Any], optimizer: Sequence[Any], recorded: Collection[int] = ()
) -> None:
    """Raise a ValueError unless a checkpoint's arrays fit a model's and an optimizer's variables and are finite."""
    for arrays, variables in ((state.model, model), (state.optimizer, optimizer)):
        if [v.shape for v in arrays] != [tuple(v.shape) for v in variables] or any(
            v.dtype.kind not in "fiub" for v in arrays
        ):
            raise ValueError(
                f"{path}: the checkpoint is damaged (its variables do not fit); move it away to begin again"
            )
    if not state.finite(recorded):
        raise ValueError(f"{path}: the checkpoint is damaged (a number is not finite); move it away to begin again")


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
