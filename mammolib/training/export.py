"""Weights that travel: half precision, in shards under 16 MB, with a manifest that is written last."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
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
    """Write a model's weights in half precision, and return the path of the manifest.

    A tensor with a value that half precision cannot hold (beyond 65504) is kept in single precision. Files hold at most
    `shard_bytes` of weights, and larger tensors are cut. An export that is there already stays valid until the new one
    is complete.

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
        stored = value if np.abs(value).max(initial=0) > np.finfo(np.float16).max else value.astype(np.float16)
        tensors.append({"path": variable.path, "shape": list(value.shape), "dtype": stored.dtype.name})
        flat, step = stored.reshape(-1), max(1, shard_bytes // stored.itemsize)
        for piece in np.split(flat, range(step, flat.size, step)):
            if groups[-1] and sum(other.nbytes for _, other in groups[-1]) + piece.nbytes > shard_bytes:
                groups.append([])
            groups[-1].append((row, piece))
    shards = [_write_shard(folder, group) for group in groups]
    with atomic(folder / MANIFEST) as file:
        file.write(json.dumps({"format": FORMAT, "tensors": tensors, "shards": shards}, indent=1).encode())
    for old in set(folder.glob("weights-*.npz")) - {folder / shard["file"] for shard in shards}:
        old.unlink()
    return folder / MANIFEST


def _write_shard(folder: Path, group: list[tuple[int, NDArray]]) -> dict[str, Any]:
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {str(number): piece for number, (_, piece) in enumerate(group)}
    np.savez(buffer, **arrays)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    name = f"weights-{digest[:16]}.npz"  # named by content: an older export's shards are never overwritten
    with atomic(folder / name) as file:
        file.write(buffer.getvalue())
    return {"file": name, "sha256": digest, "tensors": [row for row, _ in group]}


def load_weights(model: keras.Model, folder: str | Path) -> keras.Model:
    """Fill a model with exported weights and return it.

    Raises:
        FileNotFoundError: the manifest or a shard is missing.
        ValueError: a file is damaged, or a layer does not fit; the model is then unchanged.
    """
    fill(model, read_weights(folder), str(folder))
    return model


def load_network(folder: str | Path) -> keras.Model:
    """Return the network that a folder's model.json describes, filled with the weights exported beside it.

    Raises:
        FileNotFoundError, ValueError: as `load_weights`, or for model.json.
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


def fill(model: keras.Model, values: Sequence[tuple[str, NDArray]], source: str) -> None:
    """Give a model (path, values) pairs in its order; the first layer that does not fit is named, and nothing done."""
    for variable, (path, value) in zip(model.weights, values, strict=False):
        if tuple(variable.shape) != value.shape:
            layer = variable.path.rsplit("/", 1)[0]
            raise ValueError(
                f"{source}: weights {path} of shape {value.shape} do not fit layer {layer}, "
                f"which has {tuple(variable.shape)}"
            )
        if not np.isfinite(value).all():
            raise ValueError(f"{source}: weights {path} hold a number that is not finite")
    if len(values) != len(model.weights):
        raise ValueError(f"{source}: holds {len(values)} weights, the model has {len(model.weights)}")
    for variable, (_, value) in zip(model.weights, values, strict=True):
        variable.assign(value)


def read_weights(folder: str | Path) -> list[tuple[str, NDArray[np.float32]]]:
    """Read an export as (path, single-precision values), in the model's order.

    Raises:
        FileNotFoundError: the manifest or a shard is missing.
        ValueError: a file is damaged.
    """
    folder = Path(folder)
    if not (folder / MANIFEST).is_file():
        raise FileNotFoundError(f"{folder}: there is no {MANIFEST}; export weights there first")
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        if manifest["format"] != FORMAT:
            raise ValueError(f"format {manifest['format']!r}, this version reads {FORMAT}")
        pieces: list[list[NDArray]] = [[] for _ in manifest["tensors"]]
        for shard in manifest["shards"]:
            content = (folder / shard["file"]).read_bytes()
            if hashlib.sha256(content).hexdigest() != shard["sha256"]:
                raise ValueError(f"the checksum of {shard['file']} does not fit")
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                for number, row in enumerate(shard["tensors"]):
                    pieces[row].append(arrays[str(number)])
        return [
            (tensor["path"], np.concatenate(parts).reshape(tensor["shape"]).astype(np.float32))
            for tensor, parts in zip(manifest["tensors"], pieces, strict=True)
        ]
    except FileNotFoundError as err:
        raise FileNotFoundError(f"{err.filename}: this shard of the weights is missing") from None
    except Exception as err:  # whatever JSON, zipfile and NumPy make of bytes that are not what they should be
        raise ValueError(f"{folder}: the weights are damaged ({_line(err)}); export them again") from None


def _line(err: Exception) -> str:
    return " ".join(str(err).split())[:200] or type(err).__name__
