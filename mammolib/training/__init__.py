"""One way to train any model of this book, on any Keras backend.

A training is data (`Settings`) plus a network, images and a loss. On a CPU the same seed gives the same weights where
machine, backend, versions and number of cores are the same (on a GPU sums have no fixed order); a run that is killed
continues to those same weights; a run whose loss explodes is a result.
"""

from __future__ import annotations

from mammolib.training.checks import OutOfMemory, outputs_above_zero, spread_of_answers
from mammolib.training.export import export_weights, load_network, load_weights, read_weights
from mammolib.training.feed import Loss, Samples, epoch_plan, predict, quiet
from mammolib.training.history import History
from mammolib.training.loop import CHECKPOINT, Run, train
from mammolib.training.settings import Execution, OutOfTime, Schedule, Settings, device_kind

__all__ = [
    "CHECKPOINT", "Execution", "History", "Loss", "OutOfMemory", "OutOfTime", "Run", "Samples", "Schedule", "Settings",
    "device_kind", "epoch_plan", "export_weights", "load_network", "load_weights", "outputs_above_zero", "predict",
    "quiet", "read_weights", "spread_of_answers", "train",
]  # fmt: skip
