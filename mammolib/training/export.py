"""Weights that travel: half precision, in shards under 16 MB, with a manifest that is written last."""

from __future__ import annotations

import hashlib
import io
import json
import math
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from mammolib.files import atomic, sweep
from mammolib.training.settings import whole

MANIFEST = "weights.json"
MODEL = "model.json"
FORMAT = 1
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
    for left_over in folder.glob(".weights-*.npz.*"):  # of an export that was killed
        sweep(folder, left_over.stem)
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
    manifest = {"format": FORMAT, "tensors": tensors, "shards": shards}
    _replace(folder / MANIFEST, json.dumps(manifest, indent=1).encode())
    for old in set(folder.glob("weights-*.npz")) - {folder / shard["file"] for shard in shards}:
        old.unlink()
    return folder / MANIFEST


def load_weights(model: keras.Model, folder: str | Path) -> keras.Model:
    """Fill a model with exported weights and return it.

    Raises:
        FileNotFoundError: the manifest or a shard is missing.
        ValueError: a file is damaged, or a layer does not fit; the model is then unchanged.
    """
    values = read_weights(folder)
    fit_weights(model, values, str(folder))
    for variable, (_, value) in zip(model.weights, values, strict=True):
        variable.assign(value)
    return model


def load_network(folder: str | Path) -> keras.Model:
    """Return the network that a folder's model.json describes, filled with the weights exported beside it.

    Raises:
        FileNotFoundError: model.json, the manifest or a shard is missing.
        ValueError: a file is damaged, or the weights do not fit the network.
    """
    path = Path(folder) / MODEL
    text = path.read_bytes()
    try:
        network = keras.models.model_from_json(text.decode())
        if not isinstance(network, keras.Model):
            raise TypeError(f"it describes a {type(network).__name__}")
    except Exception as err:  # Keras looks names up and calls what it finds, with errors of any type
        raise ValueError(f"{path}: cannot be read as a Keras model ({_line(err)})") from None
    return load_weights(network, folder)


def fit_weights(model: keras.Model, values: list[tuple[str, NDArray]], source: str) -> None:
    """Raise a ValueError that names the first layer of `model` that (path, finite values) pairs do not fit."""
    for variable, (path, value) in zip(model.weights, values, strict=False):
        if tuple(variable.shape) != value.shape:
            raise ValueError(
                f"{source}: weights {path} of shape {value.shape} do not fit layer {_layer(variable.path)}, "
                f"which has {tuple(variable.shape)}"
            )
        if not np.isfinite(value).all():
            raise ValueError(f"{source}: weights {path} hold a number that is not finite")
    if len(values) != len(model.weights):
        odd = values[len(model.weights)][0] if len(values) > len(model.weights) else model.weights[len(values)].path
        raise ValueError(
            f"{source}: holds {len(values)} weights, the model has {len(model.weights)}; "
            f"the first without a partner is {odd}"
        )


def read_weights(folder: str | Path) -> list[tuple[str, NDArray[np.float32]]]:
    """Read an export as (path, single-precision values), in the model's order.

    Raises:
        FileNotFoundError: the manifest or a shard is missing.
        ValueError: a file is damaged, by accident or on purpose, or holds a weight that is not finite; names the file.
    """
    folder = Path(folder)
    if not (folder / MANIFEST).exists():
        raise FileNotFoundError(f"{folder}: there is no {MANIFEST}; export weights there first")
    try:
        tensors, shards = _contents((folder / MANIFEST).read_bytes())
    except Exception as err:  # whatever JSON and the look-ups make of what is not a manifest
        raise ValueError(
            f"{folder / MANIFEST}: the manifest is damaged ({_line(err)}); export the weights again"
        ) from None
    pieces: list[list[NDArray]] = [[] for _ in tensors]
    for shard in shards:
        file = folder / shard["file"]
        if not file.exists():
            raise FileNotFoundError(f"{file}: this shard of the weights is missing")
        try:
            for tensor, values in zip(shard["tensors"], _shard(file, shard), strict=True):
                pieces[tensor].append(values)
        except Exception as err:  # whatever zipfile and NumPy make of it
            words = f"this shard of the weights is damaged ({_line(err)}); export the weights again"
            raise ValueError(f"{file}: {words}") from None
    values = []
    for (path, shape), parts in zip(tensors, pieces, strict=True):
        size = sum(part.size for part in parts)
        if not parts or size != math.prod(shape):
            raise ValueError(
                f"{folder}: {path} of shape {shape} has {size} weights in the shards; export the weights again"
            )
        value = np.concatenate(parts).reshape(shape).astype(np.float32)
        if not np.isfinite(value).all():
            raise ValueError(f"{folder}: {path} holds a weight that is not finite; export the weights again")
        values.append((path, value))
    return values


def _contents(text: bytes) -> tuple[list[tuple[str, tuple[int, ...]]], list[dict]]:
    """Return a manifest's (path, shape) of each tensor and its shards; any exception says that it is none."""
    manifest = json.loads(text)
    if manifest["format"] != FORMAT:
        raise ValueError(f"format {manifest['format']!r}, this version reads {FORMAT}")
    tensors = [(t["path"], tuple(t["shape"])) for t in manifest["tensors"]]
    for path, shape in tensors:
        if not isinstance(path, str) or not all(whole(n, 0) for n in shape):
            raise ValueError(f"tensor {path!r} of shape {shape!r}")
    for shard in manifest["shards"]:
        name, rows = shard["file"], shard["tensors"]
        if not isinstance(name, str) or Path(name).name != name or not isinstance(shard["sha256"], str):
            raise ValueError(f"shard {name!r}")
        if not isinstance(rows, list) or not all(whole(row, 0) and row < len(tensors) for row in rows):
            raise ValueError(f"shard {name!r} with tensors {rows!r}")
    return tensors, manifest["shards"]


def _shard(file: Path, shard: dict) -> list[NDArray]:
    """Return a shard's arrays in order; any exception says that it is damaged."""
    if hashlib.sha256(file.read_bytes()).hexdigest() != shard["sha256"]:
        raise ValueError("its checksum does not fit")
    with np.load(file, allow_pickle=False) as stored:
        arrays = [stored[str(row)] for row in range(len(shard["tensors"]))]
    for row, values in enumerate(arrays):
        if values.ndim != 1 or values.dtype not in (np.float16, np.float32):
            raise ValueError(f"array {row} is {values.dtype} {values.shape}")
    return arrays


def _line(err: Exception) -> str:
    return " ".join(str(err).split())[:200] or type(err).__name__


def _fill(pieces: list[tuple[int, NDArray]], limit: int) -> list[list[tuple[int, NDArray]]]:
    groups: list[list[tuple[int, NDArray]]] = [[]]
    for piece in pieces:
        if groups[-1] and sum(p.nbytes for _, p in groups[-1]) + piece[1].nbytes > limit:
            groups.append([])
        groups[-1].append(piece)
    return groups


def _write_shard(folder: Path, group: list[tuple[int, NDArray]]) -> dict:
    buffer = io.BytesIO()
    np.savez(buffer, **{str(row): piece for row, (_, piece) in enumerate(group)})
    content = buffer.getvalue()
    digest = hashlib.sha256(content).hexdigest()
    name = f"weights-{digest[:16]}.npz"  # named by content: an older export's shards are never overwritten
    with atomic(folder / name) as file:
        file.write(content)
    return {"file": name, "sha256": digest, "tensors": [tensor for tensor, _ in group]}


def _replace(path: Path, content: bytes) -> None:
    with atomic(path) as file:
        file.write(content)


def _layer(path: str) -> str:
    return path.rsplit("/", 1)[0]
