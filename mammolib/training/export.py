"""Weights that travel: half precision, in shards under 16 MB, with a manifest that is written last."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

MANIFEST = "weights.json"
SHARD_BYTES = 15_000_000


def export_weights(model: keras.Model, folder: str | Path, shard_bytes: int = SHARD_BYTES) -> Path:
    """Write a model's weights in half precision.

    A tensor with a value that half precision cannot hold (beyond 65504, or not finite) is kept in single precision.
    Tensors larger than a shard are cut.

    Args:
        model: any built model.
        folder: made if missing. An export already there stays valid until the new one is complete.
        shard_bytes: the most weight bytes a file holds.

    Returns:
        The manifest's path.

    Raises:
        ValueError: a weight is not finite (a diverged run has nothing to export).
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors, pieces = [], []
    for variable in model.weights:
        value = keras.ops.convert_to_numpy(variable)
        if not np.isfinite(value).all():
            raise ValueError(f"{variable.path}: holds a weight that is not finite; there is nothing to export")
        with np.errstate(over="ignore"):
            half = value.astype(np.float16)
        kept = half if np.isfinite(half).all() else value
        tensors.append({"path": variable.path, "shape": list(value.shape), "dtype": kept.dtype.name})
        flat, step = kept.reshape(-1), max(1, shard_bytes // kept.itemsize)
        pieces += [(len(tensors) - 1, flat[i : i + step]) for i in range(0, max(flat.size, 1), step)]
    shards = [_write_shard(folder, group) for group in _fill(pieces, shard_bytes)]
    manifest = {"format": 1, "tensors": tensors, "shards": shards}
    _replace(folder / MANIFEST, json.dumps(manifest, indent=1).encode())
    for old in set(folder.glob("weights-*.npz")) - {folder / shard["file"] for shard in shards}:
        old.unlink()
    return folder / MANIFEST


def load_weights(model: keras.Model, folder: str | Path) -> keras.Model:
    """Fill a model with exported weights and return it.

    Raises:
        FileNotFoundError: no manifest or a shard is missing.
        ValueError: a shard is damaged, or a layer does not fit; the model is then unchanged.
    """
    values = read_weights(folder)
    fit_weights(model, values, str(folder))
    for variable, (_, value) in zip(model.weights, values, strict=True):
        variable.assign(value)
    return model


def fit_weights(model: keras.Model, values: list[tuple[str, NDArray]], source: str) -> None:
    """Raise a ValueError that names the first layer of `model` that (path, values) pairs do not fit."""
    for variable, (path, value) in zip(model.weights, values, strict=False):
        if tuple(variable.shape) != value.shape:
            raise ValueError(
                f"{source}: weights {path} of shape {value.shape} do not fit layer {_layer(variable.path)}, "
                f"which has {tuple(variable.shape)}"
            )
    if len(values) != len(model.weights):
        odd = values[len(model.weights)][0] if len(values) > len(model.weights) else model.weights[len(values)].path
        raise ValueError(
            f"{source}: holds {len(values)} weights, the model has {len(model.weights)}; "
            f"the first without a partner is {odd}"
        )


def read_weights(folder: str | Path) -> list[tuple[str, NDArray[np.float32]]]:
    """Read an export as (path, single-precision values), in the model's order."""
    folder = Path(folder)
    if not (folder / MANIFEST).exists():
        raise FileNotFoundError(f"{folder}: there is no {MANIFEST}; export weights there first")
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        tensors, shards = manifest["tensors"], manifest["shards"]
    except (ValueError, KeyError, TypeError) as err:
        raise ValueError(f"{folder / MANIFEST}: the manifest is damaged ({err}); export the weights again") from None
    pieces: dict[int, list[NDArray]] = {}
    for shard in shards:
        file = folder / shard["file"]
        if not file.exists():
            raise FileNotFoundError(f"{file}: this shard of the weights is missing")
        if hashlib.sha256(file.read_bytes()).hexdigest() != shard["sha256"]:
            raise ValueError(f"{file}: this shard of the weights is damaged; export the weights again")
        with np.load(file, allow_pickle=False) as arrays:
            for row, tensor in enumerate(shard["tensors"]):
                pieces.setdefault(tensor, []).append(arrays[str(row)])
    joined = (np.concatenate(pieces[i]).reshape(t["shape"]).astype(np.float32) for i, t in enumerate(tensors))
    return [(t["path"], value) for t, value in zip(tensors, joined, strict=True)]


def _fill(pieces: list[tuple[int, NDArray]], limit: int) -> list[list[tuple[int, NDArray]]]:
    groups: list[list[tuple[int, NDArray]]] = [[]]
    for piece in pieces:
        if groups[-1] and sum(p.nbytes for _, p in groups[-1]) + piece[1].nbytes > limit:
            groups.append([])
        groups[-1].append(piece)
    return groups


def _write_shard(folder: Path, group: list[tuple[int, NDArray]]) -> dict:
    temporary = folder / f".shard.{os.getpid()}"
    try:
        with open(temporary, "wb") as file:
            np.savez(file, **{str(row): piece for row, (_, piece) in enumerate(group)})
        digest = hashlib.sha256(temporary.read_bytes()).hexdigest()
        name = f"weights-{digest[:16]}.npz"  # named by content: an older export's shards are never overwritten
        os.replace(temporary, folder / name)
    finally:
        temporary.unlink(missing_ok=True)
    return {"file": name, "sha256": digest, "tensors": [tensor for tensor, _ in group]}


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _layer(path: str) -> str:
    return path.rsplit("/", 1)[0]
