"""Random fields and pen strokes: what breasts are drawn with.

A film is worked out on a plane of half its resolution and doubled once; only what shows at full resolution (thin
strands, calcifications, grain) is drawn there. On whole planes we use only operations that every processor rounds
alike (+, -, x, / and the square root, in float32, and the FFT of SciPy); powers, sines and exponentials are taken in
double precision and then rounded, so that the grey levels do not hang on the last bit of a vector instruction.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import fft

Plane = NDArray[np.float32]


@lru_cache(maxsize=32)
def _amplitudes(size: int, b: float, aspect: float, lowest: float) -> Plane:
    """Return the (size, size // 2 + 1) amplitudes of noise of standard deviation 1 with power 1 / f^b."""
    fy = np.fft.fftfreq(size)[:, None] * size
    fx = np.fft.rfftfreq(size)[None, :] * size
    f = np.sqrt((fy / aspect) ** 2 + (fx * aspect) ** 2)
    power = 1 / (f**2 + lowest**2) ** (b / 2)
    power[0, 0] = 0
    twice = np.full(fx.shape, 2.0)  # a column of the half plane stands for two of the whole, the first and last for one
    twice[0, [0, -1]] = 1
    return (np.sqrt(power / (power * twice).sum() / 2) * size**2).astype(np.float32)


def power_noise(rng: Generator, size: int, b: float = 3.0, aspect: float = 1.0, lowest: float = 1.0) -> Plane:
    """Return a (size, size) plane of noise whose power falls as 1 / f^b: mean 0, deviation about 1, periodic.

    For a breast, b is about 3. Below `lowest` cycles per plane the spectrum is flat. Where `aspect` is above 1,
    structures are this much longer along x and shorter along y.
    """
    spectrum = rng.standard_normal((size, size // 2 + 1, 2), dtype=np.float32)
    spectrum *= _amplitudes(size, b, aspect, lowest)[..., None]
    return fft.irfft2(spectrum.view(np.complex64)[..., 0], s=(size, size), workers=1)


def double(a: Plane, rows: int | None = None, columns: int | None = None) -> Plane:
    """Double a plane by one step of B-spline subdivision: smooth, and a linear ramp stays one.

    Sample (i, j) becomes sample (2i, 2j). `rows` and `columns` cut the result.
    """
    for axis, length in ((0, rows), (1, columns)):
        a = np.swapaxes(a, 0, axis)
        n = len(a)
        out = np.empty((2 * n,) + a.shape[1:], np.float32)
        even, odd = out[0::2], out[1::2]
        np.add(a[:-1], a[1:], out=odd[:-1])
        odd[-1] = 2 * a[-1]
        odd *= 0.5
        np.add(odd[:-1], odd[1:], out=even[1:])  # (a[i - 1] + 2 a[i] + a[i + 1]) / 2
        even[0] = 2 * a[0]
        even *= 0.25
        even += 0.5 * a
        a = np.swapaxes(out[: length or 2 * n], 0, axis)
    return a


def enlarge(a: Plane, rows: int, columns: int) -> Plane:
    """Double a plane three times and cut it to (rows, columns)."""
    for left in (2, 1, 0):
        a = double(a, -(-rows >> left) + 1 if left else rows, -(-columns >> left) + 1 if left else columns)
    return np.ascontiguousarray(a)


def blur(a: Plane, times: int = 1) -> Plane:
    """Blur a plane in place with (1, 2, 1) / 4 along both axes; variance times / 2 pixels."""
    for _ in range(times):
        for v in (a, a.T):
            v[1:-1] = 0.25 * (v[:-2] + v[2:]) + 0.5 * v[1:-1]
    return a


def smoothstep(a: Plane, low: float, high: float) -> Plane:
    """Return 0 below `low`, 1 above `high` and a smooth rise between."""
    t = np.clip((a - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    return t * t * (3 - 2 * t)


def sample(field: Plane, row: Plane, column: Plane, wrap: bool = True) -> Plane:
    """Read a field, or (height, width, several fields), at fractional places, linearly between its samples.

    Outside, the field repeats if it is to `wrap` (it is read from -height up); otherwise its border is held.
    """
    height, width = field.shape[:2]
    if not wrap:
        row, column = np.clip(row, 0, height - 1.001), np.clip(column, 0, width - 1.001)
    r, c = np.floor(row), np.floor(column)
    dr, dc = (row - r).astype(np.float32), (column - c).astype(np.float32)
    r0, c0 = r.astype(np.int32) % height, c.astype(np.int32) % width
    r1, c1 = (r0 + 1) % height * width, (c0 + 1) % width
    r0 *= width
    flat = field.reshape(height * width, *field.shape[2:])
    if field.ndim > 2:
        dr, dc = dr[..., None], dc[..., None]
    top, bottom = flat.take(r0 + c0, 0), flat.take(r1 + c0, 0)
    top += (flat.take(r0 + c1, 0) - top) * dc
    bottom += (flat.take(r1 + c1, 0) - bottom) * dc
    return top + (bottom - top) * dr


def walks(
    rng: Generator, row: NDArray, column: NDArray, heading: NDArray, length: NDArray, bend: float, steps: int
) -> tuple[NDArray, NDArray]:
    """Return the rows and columns, each (n, steps), of n smooth random curves, on a lattice of 1/64 pixel.

    A curve starts at `row` and `column` and goes `length` pixels in a direction in radians (0 along x, positive down),
    which changes along the whole curve by `bend` radians (standard deviation).
    """
    kicks = rng.standard_normal((len(row), steps))
    turn = np.cumsum(np.cumsum(kicks, axis=1), axis=1) * (bend * (3 / steps**3) ** 0.5)
    wiggle = np.cumsum(rng.standard_normal((len(row), steps)), axis=1) * (0.5 * bend / steps**0.5)
    angle = heading[:, None] + turn + wiggle
    step = (length / steps)[:, None]
    rows = row[:, None] + np.cumsum(np.sin(angle), axis=1) * step
    columns = column[:, None] + np.cumsum(np.cos(angle), axis=1) * step
    return np.round(rows * 64) / 64, np.round(columns * 64) / 64


def strokes(shape: tuple[int, int], row: NDArray, column: NDArray, ink: NDArray) -> Plane:
    """Drop ink at fractional places of an empty plane, shared among the four nearest pixels; none outside it."""
    height, width = shape
    keep = (row >= 0) & (row < height - 1) & (column >= 0) & (column < width - 1)
    row, column, ink = row[keep], column[keep], ink[keep]
    r, c = row.astype(np.int64), column.astype(np.int64)
    dr, dc = row - r, column - c
    at = r * width + c
    index = np.concatenate([at, at + 1, at + width, at + width + 1])
    lower = dr * ink
    upper = ink - lower
    upper_right, lower_right = upper * dc, lower * dc
    share = np.concatenate([upper - upper_right, upper_right, lower - lower_right, lower_right])
    return np.bincount(index, share, height * width).astype(np.float32).reshape(shape)
