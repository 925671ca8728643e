"""The loss of an SSD: softmax cross-entropy for the classes, smooth L1 for the offsets, hard negatives mined.

Nearly all default boxes hold background, so only the background boxes that the network gets most wrong count: three for
every hit (Liu et al. 2016, section 2.2). They are picked by counting and a mask: every shape is known beforehand, so
the whole training step compiles, and nothing differs between backends.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from mammolib.ssd.pooling import Tensor

NEGATIVES_PER_HIT = 3
MINING = ("image", "batch")


@keras.saving.register_keras_serializable(package="mammolib")
class SSDLoss(keras.losses.Loss):
    """(confidence + localisation) / hits, over a batch (Liu et al. 2016, equations 1 to 3, with alpha = 1).

    confidence: cross-entropy of the softmax over background and classes, summed over the hits and the hard negatives.
    localisation: smooth L1 between predicted and target offsets, summed over the hits.
    hits: how many default boxes of the batch hold a lesion; where there is none, 1.

    The value belongs to the batch, not to an image: images with many hits weigh more. Weight decay is no part of it:
    Keras adds that to the loss it reports.

    Args:
        mining: "image": three background boxes for every hit of the same image, as in the SSD paper; an image without a
            lesion then adds nothing. "batch": as many for every hit of the batch, from whichever images, as in the
            implementation of the time (Ferrari 2018).

    Shapes:
        y_true: (B, boxes, 5) of any number type: label, four offsets, as `ssd.targets.make_targets` gives them.
        y_pred: (B, boxes, classes + 1 + 4): logits, offsets, as the models give them.
    """

    def __init__(self, mining: str = "image", name: str = "ssd_loss", **options: Any) -> None:
        super().__init__(name=name, **options)
        if mining not in MINING:
            raise ValueError(f"mining: must be one of {MINING}, got {mining!r}")
        self.mining = mining

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return sum(self.parts(y_true, y_pred))

    def named(self, y_true: Tensor, y_pred: Tensor) -> dict[str, Tensor]:
        """Return the parts by name: a loss for `training.train`, which adds and records them."""
        return dict(zip(("localisation", "confidence"), self.parts(y_true, y_pred), strict=True))

    def parts(self, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
        """Return the localisation and the confidence loss of a batch: two scalars, each divided by the hits."""
        # Channels first: then every step below runs over contiguous rows, twice as fast on a CPU.
        y_true, y_pred = (ops.moveaxis(ops.cast(y, "float32"), -1, 0) for y in (y_true, y_pred))
        hit = ops.cast(y_true[0] > 0, "float32")
        entropy = cross_entropy(y_true[0], y_pred[:-4])
        chosen = ops.maximum(hit, self.negatives(hit, entropy))
        hits = ops.maximum(ops.sum(hit), 1.0)
        localisation = ops.sum(smooth_l1((y_true[1:] - y_pred[-4:]) * hit))
        return localisation / hits, ops.sum(entropy * chosen) / hits

    def negatives(self, hit: Tensor, entropy: Tensor) -> Tensor:
        """Return which background boxes count, (B, boxes) of 0 and 1, given the hits and every box's cross-entropy."""
        shape = ops.shape(hit)
        if self.mining == "batch":
            hit, entropy = ops.reshape(hit, (1, -1)), ops.reshape(entropy, (1, -1))
        return ops.reshape(hardest(entropy, 1.0 - hit, NEGATIVES_PER_HIT * ops.sum(hit, axis=1)), shape)

    def check_targets(self, targets: NDArray, output_shape: tuple[Any, ...], name: str = "targets") -> None:
        """Refuse targets that a network cannot answer; `training.train` asks this once, before the first update.

        Within a training step nothing is checked: a label beyond the network's classes belongs to no logit, and its
        cross-entropy would be a number that means nothing.

        Raises:
            ValueError: targets of another shape than (N, boxes, 5), or a label that is not a whole number of 0 to
                classes; names the row (the image), the default box and the label.
        """
        targets, boxes, classes = np.asarray(targets), output_shape[-2], output_shape[-1] - 5
        if targets.ndim != 3 or targets.shape[1:] != (boxes, 5):
            raise ValueError(
                f"{name}: this network needs (images, {boxes}, 5), got {targets.shape}; "
                "make them with ssd.make_targets and the network's own default boxes"
            )
        label = targets[..., 0].astype(np.float32)
        bad = ~((label >= 0) & (label <= classes) & (label == np.floor(label)))
        if bad.any():
            row, box = np.argwhere(bad)[0]
            raise ValueError(
                f"{name}, row {row}: the label {label[row, box]:g} of default box {box} is not one of 0 to {classes}, "
                "which this network tells apart; build it with more classes or leave that image out"
            )

    def get_config(self) -> dict:
        return super().get_config() | {"mining": self.mining}


def cross_entropy(label: Tensor, logits: Tensor) -> Tensor:
    """Return -ln softmax(logits)[label]: labels (...), logits (classes + 1, ...), result (...)."""
    logits = logits - ops.stop_gradient(ops.max(logits, axis=0))
    classes = ops.reshape(ops.arange(logits.shape[0], dtype=label.dtype), (-1,) + (1,) * len(label.shape))
    own = ops.sum(ops.where(label == classes, logits, 0.0), axis=0)
    return ops.log(ops.sum(ops.exp(logits), axis=0)) - own


def smooth_l1(difference: Tensor) -> Tensor:
    """Return x^2 / 2 where |x| < 1, elsewhere |x| - 1/2.

    Both are c (x - c / 2) with c = x cut off at -1 and 1, and c is the derivative.
    """
    cut = ops.stop_gradient(ops.clip(difference, -1.0, 1.0))
    return cut * (difference - 0.5 * cut)


def hardest(value: Tensor, candidate: Tensor, wanted: Tensor) -> Tensor:
    """Return a mask of the candidates with the highest values in each row; of equal ones the first count.

    The value from which on they count is found by bisection: over the 613,200 boxes of a batch of 100 images, a sort
    takes ten times as long. Values that differ by less than the largest one's 2^48th part pass for equal.

    Args:
        value: (R, n), not negative, as cross-entropies are.
        candidate: (R, n) of 0 and 1, as is the mask. No gradient passes through it.
        wanted: (R,) how many; all candidates if there are fewer.
    """
    wanted = ops.minimum(wanted, ops.sum(candidate, axis=1))[:, None]
    value = ops.where(candidate > 0, ops.stop_gradient(value), -1.0)

    def halve(_: Tensor, bounds: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        low, high = bounds
        middle = (low + high) / 2
        enough = ops.sum(ops.cast(value >= middle, value.dtype), axis=1, keepdims=True) >= wanted
        return ops.where(enough, middle, low), ops.where(enough, high, middle)

    beyond = 2 * ops.max(value, axis=1, keepdims=True) + 3  # above all values, and above 0 without candidates
    low, high = ops.fori_loop(0, 50, halve, (ops.zeros_like(beyond), beyond))
    above = ops.cast(value >= high, value.dtype)
    level = ops.cast(value >= low, value.dtype) - above
    left = wanted - ops.sum(above, axis=1, keepdims=True)
    return above + level * ops.cast(ops.cumsum(level, axis=1) <= left, value.dtype)
