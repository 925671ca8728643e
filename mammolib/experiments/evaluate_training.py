"""What the curves of a training of SSD256 say: losses at the paper's points, times, and when a loss exploded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

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
    columns = {k: np.asarray(epoch[k], float) for k in ("seconds", "update")}
    for side, prefix in (("train", ""), ("val", "val_")):
        own = {k: np.asarray(epoch[prefix + k], float) for k in ("loss", "localisation", "confidence", "l2")}
        columns |= {f"{side}_{k}": v for k, v in own.items()}
        columns[f"{side}_detection_loss"] = own["localisation"] + own["confidence"]
    for name in ("train_loss", "val_loss", "val_detection_loss", "val_localisation", "val_confidence", "val_l2"):
        found[name] = float(columns[name][-1])
    points = {"epoch1": 1, "last": n} | {f"epoch{mark}": own for mark, own in plan.marks.items()}
    for u in UPDATES:
        at = np.flatnonzero(columns["update"] == u)
        points |= {f"update{u}": int(at[0]) + 1} if len(at) else {}
    for point, number in points.items():
        if number <= n:
            for name in ("train_loss", "val_loss", "val_detection_loss"):
                found[f"{name}@{point}"] = float(columns[name][number - 1])
    drop = [f"val_loss@epoch{mark}" for mark in (50, one.epochs)]
    if all(name in found for name in drop) and 50 in one.watch:
        found["val_loss_drop"] = found[drop[0]] - found[drop[1]]
    found["seconds_per_epoch"] = seconds_per_epoch([epoch])
    found["seconds_per_pass"] = found["seconds_per_epoch"] * n_train / (plan.steps * one.batch)
    reached = np.flatnonzero(columns["val_loss"] <= COMMON_LOSS)
    found["seconds_to_common_loss"] = (
        float(columns["seconds"][: reached[0] + 1].sum())
        if len(reached)
        else {"value": None, "reason": f"the validation loss never reached {COMMON_LOSS}"}
    )
    return found


def seconds_per_epoch(epochs: Sequence[Mapping[str, Sequence[float]]]) -> float:
    """Return the median of the seconds that the epochs of one training or several took.

    A median, so that a run that was killed and continued keeps its pace: its first epoch after each start compiles.
    """
    return float(np.median(np.concatenate([np.asarray(e["seconds"], float) for e in epochs])))


def explosion(epoch: Mapping[str, Sequence[float]], outcome: str, steps: int, first: float | None) -> dict[str, Any]:
    """Say when and how a loss exploded: the first epoch whose loss is ten times the lowest before it, or no number.

    Args:
        epoch: the history's columns by epoch. No number among the validation losses is an epoch that was not
            validated, except in the last epoch of a run that diverged.
        outcome: of the run.
        steps: updates in an epoch.
        first: loss of the first update.

    Returns:
        explosion_epoch, train_loss_before and _after, val_loss_before and _after; without values, and with the reason,
        where nothing exploded.
    """
    names = ("train_loss", "val_loss")
    ended = int(outcome.rsplit(" ", 1)[1]) if outcome.startswith("diverged") else None
    train = np.nan_to_num(np.asarray(epoch.get("loss", []), float), nan=np.inf)
    n = len(train)
    val = np.asarray(epoch.get("val_loss", np.full(n, np.nan)), float)
    if n and ended == n * steps and np.isnan(val[-1]):
        val = np.append(val[:-1], np.inf)  # this is what ended the run
    columns = [train, val]
    lowest = [np.fmin.accumulate(c) if n else c for c in columns]
    at = next(
        (k for k in range(1, n) if any(c[k] > 10 * low[k - 1] for c, low in zip(columns, lowest, strict=True))), None
    )
    found: dict[str, Any] = {}
    unknown = {"value": None, "reason": "no epoch there was validated"}
    if at is not None:
        found["explosion_epoch"] = at + 1
        seen = ended is None or not np.isfinite(val[-1])  # or else it ended between two validations
        for name, c in zip(names, columns, strict=True):
            before, after = c[:at][~np.isnan(c[:at])], c[at:][~np.isnan(c[at:])]
            if name == "train_loss" and not seen:
                after = np.append(after, np.inf)
            found[f"{name}_before"] = float(before[-1]) if len(before) else unknown
            found[f"{name}_after"] = float(after.max()) if len(after) else unknown
        return found
    if ended is None:
        keys = ["explosion_epoch", *(f"{name}_{side}" for name in names for side in ("before", "after"))]
        return {key: {"value": None, "reason": "the loss did not explode"} for key in keys}
    found["explosion_epoch"] = (ended - 1) // steps + 1
    none = {"value": None, "reason": "the loss was no number before the first validation"}
    before = columns[0][-1] if n else first
    found["train_loss_before"] = none if before is None or not np.isfinite(before) else float(before)
    found["train_loss_after"] = float("inf")
    validated = val[~np.isnan(val)]
    found["val_loss_before"] = (float(validated[-1]) if len(validated) else unknown) if n else none
    found["val_loss_after"] = none if not n else {"value": None, "reason": "the loss was no number before validation"}
    return found


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
        with np.errstate(invalid="ignore"):
            grown = np.flatnonzero(~(v <= GROWN * max(v[0], least)))
        if len(grown):
            found[name] = int(grown[0]) + 1
    return dict(sorted(found.items(), key=lambda item: item[1]))
