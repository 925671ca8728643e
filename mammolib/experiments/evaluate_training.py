"""What the curves of a training of SSD256 say: losses at the paper's points, times, and when a loss exploded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mammolib.experiments.detection import Detection, Plan

if TYPE_CHECKING:
    from mammolib.training import Run

COMMON_LOSS = 8.64310
"""The loss at which seconds are compared between normal and separable convolutions: Table 1's for batch 200, which the
paper's runs of both kinds reached. Which loss the paper meant is not stated."""

GROWN, IDLE = 10.0, 1e-3
"""A gradient has grown at so many times its start; a start counts as at least this share of the largest layer's."""

UPDATES = (600, 900, 1800, 3000, 6600)
"""Updates after which the paper gives a loss: two of C's ends and three points of A."""


def of_training(one: Detection, plan: Plan, done: Run, n_train: int) -> dict[str, Any]:
    """Return losses (total, and `detection` without L2) at the paper's points, and times."""
    epoch = done.history.epoch
    n = len(epoch.get("epoch", []))
    found: dict[str, Any] = {
        "parameters": done.model.count_params(),
        "updates_done": done.updates,
        "seconds": done.seconds,
        "images_per_second": done.images_per_second,
    }
    if not n:
        return found
    columns = {name: np.asarray(values, float) for name, values in epoch.items()}
    losses = {
        "train_loss": columns["loss"],
        "val_loss": columns["val_loss"],
        "val_detection_loss": columns["val_localisation"] + columns["val_confidence"],
    }
    found |= {name: float(columns[name][-1]) for name in ("val_localisation", "val_confidence", "val_l2")}
    found |= {name: float(values[-1]) for name, values in losses.items()}
    points = {"epoch1": 1, "last": n} | {f"epoch{mark}": own for mark, own in plan.marks.items()}
    points |= {f"update{u}": k for k, u in enumerate(columns["update"].astype(int), 1) if u in UPDATES}
    for point, k in points.items():
        if k <= n:
            found |= {f"{name}@{point}": float(values[k - 1]) for name, values in losses.items()}
    drop = [f"val_loss@epoch{mark}" for mark in (50, one.epochs)]
    if 50 in one.watch and all(name in found for name in drop):
        found["val_loss_drop"] = found[drop[0]] - found[drop[1]]
    # a median: the first epoch after each start of a run that was killed and continued compiles
    found["seconds_per_epoch"] = float(np.median(columns["seconds"]))
    found["seconds_per_pass"] = found["seconds_per_epoch"] * n_train / (plan.steps * one.batch)
    reached = np.flatnonzero(columns["val_loss"] <= COMMON_LOSS)
    found["seconds_to_common_loss"] = (
        float(columns["seconds"][: reached[0] + 1].sum())
        if len(reached)
        else {"value": None, "reason": f"the validation loss never reached {COMMON_LOSS}"}
    )
    return found


def explosion(epoch: Mapping[str, Sequence[float]], outcome: str, steps: int, first: float | None) -> dict[str, Any]:
    """Say when and how a loss exploded: the first epoch whose loss is ten times the lowest before it, or no number.

    Args:
        epoch: the history's columns by epoch. No number among the validation losses is an epoch that was not
            validated, except in the last epoch of a run that diverged.
        outcome, steps, first: of the run, updates in an epoch, the loss of the first update.
    """
    ended = int(outcome.rsplit(" ", 1)[1]) if outcome.startswith("diverged") else None
    train = np.nan_to_num(np.asarray(epoch.get("loss", []), float), nan=np.inf)
    n = len(train)
    val = np.array(epoch.get("val_loss", np.full(n, np.nan)), float)
    if n and ended == n * steps and np.isnan(val[-1]):
        val[-1] = np.inf  # this is what ended the run
    grown = [k for c in (train, val) for k in range(1, n) if c[k] > 10 * np.fmin.reduce(c[:k])]
    said: tuple[Any, ...] = ({"value": None, "reason": "the loss did not explode"},) * 5
    if grown:
        at = min(grown)
        unseen = ended is not None and np.isfinite(val[-1])  # it ended between two validations
        losses = _known(train[:at]), np.inf if unseen else _known(train[at:], np.max)
        said = at + 1, *losses, _known(val[:at]), _known(val[at:], np.max)
    elif ended is not None:
        none = {"value": None, "reason": "the loss was no number before the first validation"}
        last = train[-1] if n else first
        before = none if last is None or not np.isfinite(last) else float(last)
        after = {"value": None, "reason": "the loss was no number before validation"}
        said = (ended - 1) // steps + 1, before, np.inf, *((_known(val), after) if n else (none, none))
    names = ("explosion_epoch", "train_loss_before", "train_loss_after", "val_loss_before", "val_loss_after")
    return dict(zip(names, said, strict=True))


def _known(values: NDArray, choose: Callable[[NDArray], float] = lambda known: known[-1]) -> float | dict[str, Any]:
    """Return one of the losses of the epochs that were validated, the last if not said, or why there is none."""
    values = values[~np.isnan(values)]
    return float(choose(values)) if len(values) else {"value": None, "reason": "no epoch there was validated"}


def gradient_growth(update: Mapping[str, Sequence[float]]) -> dict[str, int]:
    """Return layer -> the first update (from 1) whose gradient norm is `GROWN` times that of update 1, in that order.

    A layer that has next to nothing to do in the first batch, such as the head of a map on which no box is matched,
    would seem to grow as soon as it has: what counts as its start is at least `IDLE` of the largest layer's. Layers
    that never get there are left out.
    """
    prefix = "gradient_norm/"
    norms = {k.removeprefix(prefix): np.asarray(v, float) for k, v in update.items() if k.startswith(prefix) and len(v)}
    least = IDLE * max((v[0] for v in norms.values()), default=0.0)
    found = {}
    for name, v in norms.items():
        grown = np.flatnonzero(~(v <= GROWN * max(v[0], least)))  # no number has grown, too
        if len(grown):
            found[name] = int(grown[0]) + 1
    return dict(sorted(found.items(), key=lambda item: item[1]))
