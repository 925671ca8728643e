"""Weights that travel: half precision, in shards under 16 MB, with a manifest that is written last."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mammolib.files import atomic, sweep

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
    tensors: list[dict[str, Any]] = []
    groups: list[list[tuple[int, NDArray]]] = [[]]
    for row, variable in enumerate(model.weights):
        value = keras.ops.convert_to_numpy(variable)
        if not np.isfinite(value).all():
            raise ValueError(f"{variable.path}: holds a weight that is not finite; there is nothing to export")
        with np.errstate(over="ignore"):
            half = value.astype(np.float16)
        stored = half if np.isfinite(half).all() else value
        tensors.append({"path": variable.path, "shape": list(value.shape), "dtype": stored.dtype.name})
        flat, step = stored.reshape(-1), max(1, shard_bytes // stored.itemsize)
        for start in range(0, max(flat.size, 1), step):
            piece = flat[start : start + step]
            if groups[-1] and sum(other.nbytes for _, other in groups[-1]) + piece.nbytes > shard_bytes:
                groups.append([])
            groups[-1].append((row, piece))
    shards = [_write_shard(folder, group) for group in groups]
    with atomic(folder / MANIFEST) as file:
        file.write(json.dumps({"format": FORMAT, "tensors": tensors, "shards": shards}, indent=1).encode())
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
        ValueError: a file is damaged or of another format; says which.
    """
    folder = Path(folder)
    if not (folder / MANIFEST).exists():
        raise FileNotFoundError(f"{folder}: there is no {MANIFEST}; export weights there first")
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        if manifest["format"] != FORMAT:
            raise ValueError(f"format {manifest['format']!r}, this version reads {FORMAT}")
        tensors = manifest["tensors"]
        pieces: list[list[NDArray]] = [[] for _ in tensors]
        for shard in manifest["shards"]:
            content = (folder / shard["file"]).read_bytes()
            if hashlib.sha256(content).hexdigest() != shard["sha256"]:
                raise ValueError(f"the checksum of {shard['file']} does not fit")
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                for number, row in enumerate(shard["tensors"]):
                    pieces[row].append(arrays[str(number)])
        values = [np.concatenate(parts) for parts in pieces]
        return [
            (tensor["path"], value.reshape(tensor["shape"]).astype(np.float32))
            for tensor, value in zip(tensors, values, strict=True)
        ]
    except FileNotFoundError as err:
        raise FileNotFoundError(f"{err.filename}: this shard of the weights is missing") from None
    except Exception as err:  # whatever JSON, zipfile and NumPy make of bytes that are not what they should be
        raise ValueError(f"{folder}: the weights are damaged ({_line(err)}); export them again") from None


def _write_shard(folder: Path, group: list[tuple[int, NDArray]]) -> dict[str, Any]:
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {str(number): piece for number, (_, piece) in enumerate(group)}
    np.savez(buffer, **arrays)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    name = f"weights-{digest[:16]}.npz"  # named by content: an older export's shards are never overwritten
    with atomic(folder / name) as file:
        file.write(buffer.getvalue())
    return {"file": name, "sha256": digest, "tensors": [row for row, _ in group]}


def _line(err: Exception) -> str:
    return " ".join(str(err).split())[:200] or type(err).__name__


def _layer(path: str) -> str:
    return path.rsplit("/", 1)[0]
