"""Films as whole-film detectors look at them: the breast cut out, the chest wall on the left, 64 x 64 cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mammolib.mias import SIDE, Film

REDUCED = 4  # pixels of the film along a side of a reduced pixel
QUARTER = SIDE // REDUCED  # side of the reduced film
GRID = 64  # cells along a side of the film; a cell is 16 x 16 pixels
CELL = SIDE // GRID
DARK = 18  # grey level up to which the mean of a reduced pixel is background
MOST = 30  # marks on one film, at the most


@dataclass(frozen=True)
class Breast:
    """One film, turned so that the chest wall is on the left; `mirrored` says whether it had to be.

    `pixels` are (1024, 1024), `reduced` (256, 256) means of 4 x 4 of them, `inside` says which of these are breast, and
    `cells` of which (64, 64) cells more than half is.
    """

    pixels: NDArray[np.uint8]
    reduced: NDArray[np.float32]
    inside: NDArray[np.bool_]
    cells: NDArray[np.bool_]
    mirrored: bool

    def column(self, x: Any) -> Any:
        """Turn columns of the film into columns of the turned film, or back: mirroring is its own inverse."""
        return SIDE - 1 - x if self.mirrored else x

    def on_film(self, marks: NDArray) -> NDArray:
        """Turn marks (row, column, score) on the turned film into marks on the film as it was."""
        return np.stack([marks[:, 0], self.column(marks[:, 1]), marks[:, 2]], axis=1)

    def frame(self) -> tuple[NDArray, NDArray]:
        """Return corner and size (rows, columns) of the breast's bounding box, in pixels of the turned film."""
        where = [np.flatnonzero(self.inside.any(axis=axis)) for axis in (1, 0)]
        return REDUCED * np.array([w[0] for w in where]), REDUCED * np.array([np.ptp(w) + 1 for w in where])

    def whole(self) -> NDArray[np.bool_]:
        """Return `inside` at the size of the film."""
        return self.inside.repeat(REDUCED, axis=0).repeat(REDUCED, axis=1)


def cut_out(film: Film) -> Breast:
    """Find the breast on a film: the largest bright part, its holes filled, labels and thin lines cut off its rim."""
    pixels = film.pixels()
    if pixels.shape != (SIDE, SIDE):
        raise ValueError(f"{film.reference}: a whole-film detector takes {SIDE} x {SIDE} pixels, got {pixels.shape}")
    reduced = blocks(pixels, QUARTER).mean(axis=(1, 3), dtype=np.float32)
    part = ndimage.binary_fill_holes(_largest(reduced > DARK))
    inside = ndimage.binary_erosion(_largest(ndimage.binary_opening(part, iterations=2)), border_value=1)
    columns = inside.sum(axis=0)
    mirrored = bool(columns[QUARTER // 2 :].sum() > columns[: QUARTER // 2].sum())
    if mirrored:
        pixels, reduced, inside = pixels[:, ::-1], reduced[:, ::-1], inside[:, ::-1]
    cells = blocks(inside, GRID).mean(axis=(1, 3)) > 0.5
    if not cells.any():
        raise ValueError(f"{film.reference}: no breast is seen on this film; is it one bright part on a dark ground?")
    return Breast(pixels, reduced, inside, cells, mirrored)


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    parts, n = ndimage.label(mask)
    return parts == 1 + np.argmax(np.bincount(parts.ravel())[1:]) if n else mask


def blocks(image: NDArray, side: int) -> NDArray:
    """Return a view of a square image as (side, n, side, n): a reduction over axes 1 and 3 pools n x n pixels."""
    n = len(image) // side
    return image.reshape(side, n, side, n)


def local_contrast(breast: Breast, window: float) -> tuple[NDArray, NDArray, NDArray]:
    """Return the reduced film's local mean, deviation, and (value - mean) / deviation, taken over the breast alone.

    The surroundings are weighed by a Gaussian whose standard deviation is `window` reduced pixels. All three are
    (256, 256); the contrast is 0 outside the breast.
    """
    inside = breast.inside.astype(np.float32)
    weight = np.maximum(ndimage.gaussian_filter(inside, window), 1e-3)
    mean = ndimage.gaussian_filter(breast.reduced * inside, window) / weight
    variance = ndimage.gaussian_filter((breast.reduced - mean) ** 2 * inside, window) / weight
    deviation = np.sqrt(np.maximum(variance, 4))  # two grey levels are noise
    return mean, deviation, np.where(breast.inside, (breast.reduced - mean) / deviation, 0)


def peaks(score: NDArray, distance: int, cell: int, most: int = MOST) -> NDArray:
    """Return the (N, 3) rows, columns and scores of the highest points of a map, the best first.

    Args:
        score: (H, W); minus infinity where no mark may lie.
        distance: no other point within so many points is higher.
        cell: side of a point in pixels; rows and columns are those of its centre.
        most: how many.
    """
    offset = np.mgrid[-distance : distance + 1, -distance : distance + 1]
    highest = ndimage.maximum_filter(score, footprint=np.hypot(*offset) <= distance, mode="constant", cval=-np.inf)
    rows, columns = np.nonzero((score == highest) & np.isfinite(score))
    order = np.argsort(-score[rows, columns], kind="stable")[:most]
    rows, columns = rows[order], columns[order]
    return np.stack([(rows + 0.5) * cell, (columns + 0.5) * cell, score[rows, columns]], axis=1)
