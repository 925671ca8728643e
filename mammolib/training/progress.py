"""A progress bar that a terminal and a live notebook show, and that leaves nothing behind."""

from __future__ import annotations

import os
import sys
import warnings
from threading import Lock
from time import perf_counter
from typing import Any

import keras
import numpy as np

SWITCH = "MAMMOLIB_PROGRESS"


def progress_bar(choice: bool | None, title: str, total: int, done: int, batch: int) -> Any:
    """Return tqdm's bar over `total` updates of `batch` images each, `done` of them done; it counts in images.

    Whether it is shown says the caller's choice, else the environment's switch, else whether anyone watches.
    """
    if choice is None and os.environ.get(SWITCH) in ("0", "1"):
        choice = os.environ[SWITCH] == "1"
    elif choice is None:
        choice = sys.stderr.isatty() or "ipykernel" in sys.modules
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tqdm warns where ipywidgets are missing, and works all the same
        from tqdm.auto import tqdm

        options = {"unit": " images", "unit_scale": batch, "leave": False, "mininterval": 0.5, "disable": not choice}
        return tqdm(total=total, initial=done, desc=title, **options)


class Watch(keras.callbacks.Callback):
    """Moves the bar after each batch, stops the fit once the loss is not finite, and keeps when the first was through.

    The logs are on the host already with TensorFlow and PyTorch; with JAX Keras calls this from threads of its own, so
    that neither waits for the device. There the callback's own `model` must be left alone: looking at it makes Keras
    copy the state that the running step is about to give away.
    """

    async_safe = True

    def __init__(self, bar: Any, fitted: keras.Model, update: int) -> None:
        super().__init__()
        self.bar, self.fitted, self.update, self.lock = bar, fitted, update, Lock()
        self.first: float | None = None

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        loss = (logs or {}).get("loss")
        with self.lock:
            self.first = self.first or perf_counter()
            ahead = self.update + batch + 1 - self.bar.n
            if ahead > 0 and not self.bar.disable:
                self.bar.set_postfix_str("" if loss is None else f"loss {loss:.4g}", refresh=False)
                self.bar.update(ahead)
        if loss is not None and not np.isfinite(loss):
            self.fitted.stop_training = True
