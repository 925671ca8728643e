"""Checkpoints: everything a training needs to continue as if it had never stopped, in one file, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammolib.files import atomic

AGAIN = "move it away to begin again"


def save(path: Path, facts: Mapping[str, Any], arrays: Mapping[str, NDArray]) -> None:
    """Write plain data and arrays: an NPZ file and, behind it, its SHA-256. The old file stays until that is whole."""
    buffer = io.BytesIO()
    np.savez(buffer, facts=np.array(json.dumps(facts)), **arrays)  # type: ignore[arg-type]
    with atomic(path) as file:
        file.write(buffer.getbuffer())
        file.write(hashlib.sha256(buffer.getbuffer()).digest())


def load(path: Path) -> tuple[dict[str, Any], dict[str, NDArray]]:
    """Read what `save` wrote.

    Raises:
        ValueError: the file is damaged, or of an earlier version; it is left as it is.
    """
    content = memoryview(path.read_bytes())
    if hashlib.sha256(content[:-32]).digest() != content[-32:]:
        raise ValueError(f"{path}: the checkpoint is damaged or of an earlier version; {AGAIN}")
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = dict(file)
    return json.loads(str(arrays.pop("facts"))), arrays


def compare(path: Path, stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise a ValueError that names the first thing in which a checkpoint's identity differs from the run's."""
    for name in dict.fromkeys([*wanted, *stored]):
        old, new = stored.get(name), wanted.get(name)
        if old != new:
            away = f"{AGAIN}, or continue with what it was made with"
            raise ValueError(f"{path}: the checkpoint was made with {name} {old!r}, this run has {new!r}; {away}")
