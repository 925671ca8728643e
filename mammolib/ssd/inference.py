"""Apply a trained network: images in, detections out."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mammolib.geometry import Detections
from mammolib.ssd.decode import decode_predictions
from mammolib.ssd.model import layout_of


def predict(model: keras.Model, images: NDArray, batch: int = 32, **options: Any) -> Detections:
    """Return a network's detections on images of its own size.

    Args:
        model: of `ssd.model`.
        images: (N, S, S) grey levels 0 to 255, S the side of the model's input.
        batch: images at once. The last batch is filled up to a power of two, so that compiled backends meet few sizes;
            on JAX to a whole batch, if there was one before, since that is compiled.
        **options: of `decode_predictions`: confidence, iou, top, top_before.

    Raises:
        ValueError: images of another shape; says which.
    """
    layout, images = layout_of(model), np.asarray(images)
    if images.ndim != 3 or images.shape[1:] != (layout.size, layout.size):
        raise ValueError(
            f"images: expected (N, {layout.size}, {layout.size}) grey levels for {model.name!r}, got {images.shape}"
        )
    if batch < 1:
        raise ValueError(f"batch: must be at least 1, got {batch}")
    parts, channels = [], model.input_shape[-1]
    whole = keras.backend.backend() == "jax" and len(images) > batch
    for first in range(0, len(images), batch):
        shown = images[first : first + batch]
        size = batch if whole else min(batch, 1 << (len(shown) - 1).bit_length())
        filled = np.zeros((size, *shown.shape[1:], channels), np.float32)
        filled[: len(shown)] = shown[..., None]
        out = np.asarray(model.predict_on_batch(filled))[: len(shown)]
        part = decode_predictions(out, layout.size, layout, **options)
        parts.append((part.image + first, part.label, part.confidence, part.box))
    return Detections(*(np.concatenate(v) for v in zip(*parts, strict=True))) if parts else Detections()
