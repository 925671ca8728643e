"""The grid of patches, one crop around a point, and the rule against dark background."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from mammolib.mias import Film

Item = TypeVar("Item")
Result = TypeVar("Result")

# A patch is discarded if more than this share of its pixels is background, that is, at most this grey level. The paper
# says "more than 20", which we read as per cent; its sentence breaks off (section 2).
DARK, MAX_DARK = 10, 0.2


def grid(pixels: NDArray, size: int = 128, stride: int = 64) -> NDArray:
    """Return the patches of an (H, W) image at a stride, as a read-only (R, C, size, size) view.

    A film of 1024 x 1024 has 15 x 15 = 225 (section 2 of the paper).

    Raises:
        ValueError: the image is not two-dimensional or smaller than a patch.

    Example:
        >>> grid(np.zeros((1024, 1024), np.uint8)).shape
        (15, 15, 128, 128)
    """
    _check_grid(pixels.shape, size, stride)
    return sliding_window_view(pixels, (size, size))[::stride, ::stride]


def grid_origins(shape: tuple[int, int] = (1024, 1024), size: int = 128, stride: int = 64) -> NDArray[np.integer]:
    """Return the (R, C, 2) rows and columns of the top-left pixels of the patches that `grid` gives."""
    _check_grid(shape, size, stride)
    rows, columns = (np.arange(0, extent - size + 1, stride) for extent in shape)
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)


def _check_grid(shape: tuple[int, ...], size: int, stride: int) -> None:
    if size < 1 or stride < 1:
        raise ValueError(f"size and stride: must be at least 1, got {size} and {stride}")
    if len(shape) != 2 or min(shape) < size:
        raise ValueError(f"pixels: expected a greyscale image of at least {size} x {size}, got shape {tuple(shape)}")


def crop(pixels: NDArray, row: float, column: float, size: int = 256) -> NDArray:
    """Cut a square around a point; what lies outside the image is 0.

    Args:
        pixels: (H, W) image.
        row, column: the point, in pixels from the top-left corner, rounded down; it comes to lie at
            (size / 2, size / 2) of the (size, size) copy.
        size: side of the crop in pixels.
    """
    if pixels.ndim != 2:
        raise ValueError(f"pixels: expected a greyscale image, got shape {pixels.shape}")
    top, left = corner(row, column, size)
    out = np.zeros((size, size), pixels.dtype)
    part = pixels[max(top, 0) : max(top + size, 0), max(left, 0) : max(left + size, 0)]
    out[max(-top, 0) :, max(-left, 0) :][: part.shape[0], : part.shape[1]] = part
    return out


def corner(row: float, column: float, size: int) -> tuple[int, int]:
    """Return row and column of the top-left pixel of the crop centred on a point."""
    return math.floor(row) - size // 2, math.floor(column) - size // 2


def dark_fraction(patches: NDArray, dark: int = DARK) -> NDArray[np.floating]:
    """Return the share of pixels that are at most `dark`, for (..., S, S) patches; shape (...)."""
    return (patches <= int(dark)).mean(axis=(-2, -1))


def survivors(films: Iterable[Film], dark: ArrayLike = DARK, at_most: ArrayLike = MAX_DARK) -> NDArray[np.integer]:
    """Count the patches of the grid that survive the background rule, film by film, for many thresholds at once.

    Every film is read once, and the patches are never formed: they are sums of the same small blocks.

    Args:
        films: F films.
        dark: one or D grey levels; pixels up to the level are dark.
        at_most: one or A shares in [0, 1]; a patch survives if its share of dark pixels is at most this.

    Returns:
        (F, D, A) numbers of surviving patches, 0 to 225.

    Raises:
        ValueError: a share outside [0, 1].
    """
    levels, shares = np.atleast_1d(dark), np.atleast_1d(at_most).astype(float)
    bad = np.flatnonzero(~((shares >= 0) & (shares <= 1)))
    if len(bad):
        raise ValueError(f"at_most, entry {bad[0]}: {shares[bad[0]]} is not a share in [0, 1]")

    def count(film: Film) -> NDArray[np.integer]:
        pixels = film.pixels()
        fractions = np.stack([dark_grid(pixels, level) for level in levels])
        return (fractions[..., None] <= shares).sum(axis=(1, 2))

    return np.array(for_each(films, count), int).reshape(-1, len(levels), len(shares))


def dark_grid(pixels: NDArray, dark: int, size: int = 128, stride: int = 64) -> NDArray[np.floating]:
    """Return `dark_fraction(grid(pixels, size, stride), dark)`, from the sums of blocks that the patches share."""
    block = math.gcd(size, stride)
    height, width = (extent // block for extent in pixels.shape)
    is_dark = (pixels[: height * block, : width * block] <= int(dark)).view(np.uint8)
    narrow = np.uint8 if block < 256 else np.uint32  # a sum of fewer than 256 rows fits, and is nine times as fast
    strips = np.add.reduce(is_dark.reshape(height, block, -1), axis=1, dtype=narrow)
    blocks = np.add.reduce(strips.reshape(height, width, block), axis=2, dtype=np.uint32)
    return grid(blocks, size // block, stride // block).sum(axis=(-2, -1)) / size**2


def for_each(items: Iterable[Item], work: Callable[[Item], Result]) -> list[Result]:
    """Return `[work(item) for item in items]`, by threads: reading and NumPy both let go of the interpreter's lock."""
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(work, items))
