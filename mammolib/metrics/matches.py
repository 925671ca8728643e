"""Judged detections: what is left of boxes once it is known which of them found a lesion."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray


def whole_weights(weights: ArrayLike, n_images: int) -> NDArray[np.integer]:
    """Return weights of images as whole numbers.

    Args:
        weights: (..., n_images), how often each image counts.

    Raises:
        ValueError: another shape, or a weight that is negative, not whole or not a number.
    """
    w = np.asarray(weights)
    if w.ndim == 0 or w.shape[-1] != n_images:
        raise ValueError(f"weights: expected shape (..., {n_images}), one for each image, got {w.shape}")
    if w.dtype.kind not in "iub" or (w.size and w.min() < 0):
        raise ValueError(f"weights: expected whole numbers from 0, got {w.dtype}, lowest {w.min() if w.size else '-'}")
    return w.astype(np.int64)


FALSE, TRUE, NEUTRAL, REPEAT = 0, 1, 2, 3
"""Outcomes. A repeat is a detection on a lesion that is already found: average precision counts it as false."""


@dataclass(frozen=True)
class Matches:
    """Judged detections, without their boxes: all that any metric needs, and all that a record keeps.

    Rows are ranked: by label, then by falling confidence, then by image, then in the order given.

    Attributes:
        row: (N,) int, which detection each row was.
        image: (N,) int.
        label: (N,) int, 1 to len(classes).
        confidence: (N,) float in [0, 1].
        outcome: (T, N) int8: `FALSE`, `TRUE`, `NEUTRAL` or `REPEAT` at each of the T thresholds.
        truth: (T, N) int, the truth that a true detection found, -1 for all others.
        truth_image, truth_label: (M,) int, where the truths are, in the order given.
        truth_neutral: (M,) bool.
        n_images: how many images there are, those without a lesion included.
        iou: the T thresholds.
        classes: names of the labels 1, 2, ...
        whole: whether every detection is here, or only those that average precision needs; see `trimmed`.
    """

    row: NDArray[np.integer]
    image: NDArray[np.integer]
    label: NDArray[np.integer]
    confidence: NDArray[np.floating]
    outcome: NDArray[np.int8]
    truth: NDArray[np.integer]
    truth_image: NDArray[np.integer]
    truth_label: NDArray[np.integer]
    truth_neutral: NDArray[np.bool_]
    n_images: int
    iou: tuple[float, ...]
    classes: tuple[str, ...]
    whole: bool = True

    def __len__(self) -> int:
        return len(self.row)

    def of_class(self, label: int) -> slice:
        """Return the rows of one class."""
        return slice(*np.searchsorted(self.label, [label, label + 1]))

    def truths(self, label: int | None = None) -> NDArray[np.integer]:
        """Return the truths that count (not neutral), of one class or of all, as indices."""
        keep = ~self.truth_neutral if label is None else ~self.truth_neutral & (self.truth_label == label)
        return np.flatnonzero(keep)

    def found(self) -> NDArray[np.bool_]:
        """Return (M,) bool: which truths some detection found, at the first threshold."""
        return np.isin(np.arange(len(self.truth_label)), self.truth[0])

    def above(self, confidence: float) -> Matches:
        """Return the matches of the detections with at least this confidence; judging them anew would change nothing.

        Every outcome depends only on detections ranked before it, so a threshold cuts the list and alters no judgement.
        """
        return self._rows(self.confidence >= confidence)

    def trimmed(self) -> Matches:
        """Return the matches without what follows the last true detection of each class at every threshold.

        No average precision and no bootstrap of one needs those rows; they are most of what a detector with a low
        confidence threshold puts out. A FROC curve over all classes needs them: it refuses matches that are not whole.
        """
        keep = np.zeros(len(self), bool)
        for label in range(1, len(self.classes) + 1):
            rows = self.of_class(label)
            true = np.flatnonzero((self.outcome[:, rows] == TRUE).any(axis=0))
            keep[rows.start : rows.start + (true[-1] + 1 if len(true) else 0)] = True
        return replace(self._rows(keep), whole=False)

    def _rows(self, keep: NDArray[np.bool_]) -> Matches:
        return replace(
            self,
            row=self.row[keep],
            image=self.image[keep],
            label=self.label[keep],
            confidence=self.confidence[keep],
            outcome=self.outcome[:, keep],
            truth=self.truth[:, keep],
        )
