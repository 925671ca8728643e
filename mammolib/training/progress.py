"""A progress bar that a terminal and a live notebook show, and that leaves nothing behind."""

from __future__ import annotations

import os
import sys
import warnings
from threading import Lock
from types import TracebackType
from typing import Any

import keras
import numpy as np

SWITCH = "MAMMOLIB_PROGRESS"


def wanted(choice: bool | None) -> bool:
    """Decide whether to show a bar: by the caller's word, the environment's switch, or whether anyone watches."""
    if choice is not None:
        return choice
    if os.environ.get(SWITCH) in ("0", "1"):
        return os.environ[SWITCH] == "1"
    return sys.stderr.isatty() or "ipykernel" in sys.modules


class Bar:
    """A bar of updates with loss, images a second and time left; a context manager, silent when `show` is false."""

    def __init__(self, show: bool, title: str, total: int, done: int, batch: int) -> None:
        self.show, self.title, self.total, self.done, self.batch = show, title, total, done, batch
        self._bar: Any = None

    def __enter__(self) -> Bar:
        if self.show:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # tqdm warns where ipywidgets are missing, and works all the same
                from tqdm.auto import tqdm

                self._bar = tqdm(
                    total=self.total, initial=self.done, desc=self.title, unit="update", leave=False, mininterval=0.5
                )
        return self

    def __exit__(self, kind: type | None, err: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()

    def show_at(self, update: int, loss: float | None) -> None:
        """Show that `update` updates are done; `loss` is the mean since the epoch began."""
        if self._bar is None or update <= self._bar.n:
            return
        done = self._bar.format_dict
        speed = (update - self.done) * self.batch / max(done["elapsed"], 1e-9)
        self._bar.set_postfix_str("" if loss is None else f"loss {loss:.4g}, {speed:.0f} images/s", refresh=False)
        self._bar.update(update - self._bar.n)


class Watch(keras.callbacks.Callback):
    """Moves the bar after each execution and stops the fit once the loss is no number.

    The logs are on the host already with TensorFlow and PyTorch; with JAX Keras calls this from threads of its own, so
    that neither waits for the device. There the callback's own `model` must be left alone: looking at it makes Keras
    copy the state that the running step is about to give away.
    """

    async_safe = True

    def __init__(self, bar: Bar, fitted: keras.Model, update: int) -> None:
        super().__init__()
        self.bar, self.fitted, self.update, self.lock = bar, fitted, update, Lock()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        loss = (logs or {}).get("loss")
        with self.lock:
            self.bar.show_at(self.update + batch + 1, loss)
        if loss is not None and not np.isfinite(loss):
            self.fitted.stop_training = True
