"""The single-shot detector of the paper, part by part: default boxes, targets, model, loss, decoding.

`boxes`, `targets` and `decode` are NumPy alone; Keras is loaded when a model or the loss is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mammolib.ssd.boxes import SSD256, SSD300, SSD512, Layout, default_boxes, map_of_box
from mammolib.ssd.decode import best_is_right, decode_predictions, suppress
from mammolib.ssd.targets import assign, make_targets, samples

if TYPE_CHECKING:
    from mammolib.ssd.loss import SSDLoss
    from mammolib.ssd.model import load_imagenet, predict, ssd256, ssd300

__all__ = [
    "SSD256", "SSD300", "SSD512", "Layout", "SSDLoss", "best_is_right", "decode_predictions", "default_boxes",
    "load_imagenet", "make_targets", "map_of_box", "assign", "predict", "samples", "ssd256", "ssd300", "suppress",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{'loss' if name == 'SSDLoss' else 'model'}"), name)
