"""The six classes of abnormality, benign and malignant, painted into the attenuation of a breast.

What tells benign from malignant follows the textbooks: smooth and sharp against irregular and vague margins, few
round calcifications against many fine and branching ones, faint against dense centres. The two overlap, as they do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mammolib.phantom.anatomy import SIZE, Breast
from mammolib.phantom.fields import Plane, blur, power_noise, sample, smoothstep, strokes, walks
from mammolib.phantom.plan import Card

DENSITY = 1.8
"""What the strength of every lesion is multiplied by: so large that a narrow network, trained for a minute, learns to
see lesions in women it was not trained on, which a test of the experiments asks for."""

# median and spread (standard deviation of the logarithm) of the radius in pixels
_RADII = {
    ("CALC", "B"): (15, 0.6), ("CALC", "M"): (37, 0.42), ("CIRC", "B"): (43, 0.46), ("CIRC", "M"): (44, 0.4),
    ("SPIC", "B"): (36, 0.42), ("SPIC", "M"): (55, 0.45), ("MISC", "B"): (34, 0.36), ("MISC", "M"): (48, 0.42),
    ("ARCH", "B"): (46, 0.38), ("ARCH", "M"): (72, 0.36), ("ASYM", "B"): (52, 0.5), ("ASYM", "M"): (46, 0.46),
}  # fmt: skip


class Spot(NamedTuple):
    """Where a lesion lies in the canonical film: row, column and radius in whole pixels."""

    row: int
    column: int
    radius: int


def place(rng: Generator, card: Card, breast: Breast, padding: int, taken: list[Spot]) -> Spot:
    """Return a circle within the matrix, its centre well inside the breast and clear of the places that are taken.

    The film has `padding` black columns on each side: they tell when a 256 x 256 crop would leave the matrix.
    """
    median, spread = _RADII[card.kind, card.severity]
    radius = median * float(np.exp(rng.normal(0, spread)))
    radius = float(rng.uniform(130, 190)) if card.quirk == "large" else min(max(radius, 4), 124)
    height, width = breast.depth.shape
    r, c = rng.integers(0, height, 900), rng.integers(0, width, 900)
    depth, gland, muscle = breast.depth[r, c], breast.gland[r, c], breast.muscle[r, c]
    rows, columns = 2 * r + 1, 2 * c + 1
    across = columns + padding
    at_edge = card.quirk == "edge"
    low, high, most_muscle = (14, 1008, 0.95) if at_edge else (130, 892, 0.3)
    fits = (across > 130) & (across < SIZE - 130) & (rows > low) & (rows < high)
    near_edge = (rows < 122) | (rows > 902)
    good = fits & (depth > 22 + 0.45 * min(radius, 110)) & (muscle < most_muscle) & (columns > 0.55 * min(radius, 130))
    if at_edge:
        good &= near_edge
    for spot in taken:
        good &= (rows - spot.row) ** 2 + (columns - spot.column) ** 2 > (radius + spot.radius) ** 2
    chance = np.where(good, 0.25 + gland, 0)
    if not good.any():  # a small or a crowded breast: the deepest place that the film allows
        best = np.where(near_edge, depth, -1e9) if at_edge else np.where(fits, depth - 200 * muscle, -1e9)
        chance = (np.arange(len(r)) == best.argmax()).astype(float)
    at = int(rng.choice(len(r), p=chance / chance.sum()))
    return _spot(int(rows[at]), int(columns[at]), radius, padding)


def misplace(rng: Generator, card: Card, breast: Breast, padding: int, spot: Spot) -> Spot:
    """Return a wrong place for the annotation: the dark background beside the breast."""
    height, width = breast.depth.shape
    radius = 3 if card.quirk == "speck" else min(spot.radius, 40)
    r, c = rng.integers(height // 3, height - 24, 600), rng.integers(width // 8, width - 4, 600)
    at = int(np.abs(breast.depth[r, c] + 0.75 * radius + 12).argmin())
    return _spot(int(2 * r[at]), int(2 * c[at]), radius, padding)


def _spot(row: int, column: int, radius: float, padding: int) -> Spot:
    """Return the circle, made so small that it lies within the film, but not smaller than 3 pixels."""
    limit = min(row, SIZE - 1 - row, column + padding, SIZE - 1 - column - padding)
    return Spot(row, column, max(3, min(round(radius), limit)))


def paint(rng: Generator, card: Card, breast: Breast, spot: Spot) -> None:
    """Paint a lesion into ``breast.attenuation``, in place."""
    plane = breast.attenuation
    reach = int(1.5 * spot.radius) + 10
    r0, r1 = max(spot.row - reach, 0), min(spot.row + reach, plane.shape[0])
    c0, c1 = max(spot.column - reach, 0), min(spot.column + reach, plane.shape[1])
    y = np.arange(r0 - spot.row, r1 - spot.row, dtype=np.float32)[:, None]
    x = np.arange(c0 - spot.column, c1 - spot.column, dtype=np.float32)[None, :]
    window = plane[r0:r1, c0:c1]
    half = breast.thickness[min(spot.row // 2, SIZE // 2 - 1), spot.column // 2]
    strength = np.float32(DENSITY * max(0.35, float(half)))
    if card.quirk == "spread":
        _scatter(rng, breast)
    else:
        window += strength * _PAINTERS[card.kind](Patch(rng, y, x, float(spot.radius), window, card.severity == "M"))


@dataclass(frozen=True)
class Patch:
    """The surroundings of a lesion.

    Attributes:
        y, x: (h, 1) and (1, w) offsets from the centre of the annotated circle.
        window: (h, w) what is there already; architectural distortion bends it in place.
    """

    rng: Generator
    y: Plane
    x: Plane
    radius: float
    window: Plane
    malignant: bool

    def pick(self, benign: tuple[float, float], malignant: tuple[float, float]) -> float:
        """Draw from one of two ranges."""
        return float(self.rng.uniform(*(malignant if self.malignant else benign)))

    def inwards(self, size: float, rough: float, stretch: float) -> Plane:
        """Return 1 at the centre, 0 on the rim of a blob of mean radius `size`, less outside; `rough` 0: an ellipse."""
        tilt = self.rng.uniform(0, np.pi)
        y, x = self.y.astype(float), self.x.astype(float)
        along, across = np.cos(tilt) * x + np.sin(tilt) * y, np.cos(tilt) * y - np.sin(tilt) * x
        along, across = along / stretch**0.5, across * stretch**0.5
        angle = np.arctan2(across, along)
        rim = np.ones_like(angle)
        for k in range(2, 10):
            rim += rough * 2.2 / k**1.25 * self.rng.normal() * np.cos(k * angle + self.rng.uniform(0, 2 * np.pi))
        rim = np.clip(rim, 0.6, 1.25)
        return (1 - np.sqrt(along**2 + across**2) / (size * rim)).astype(np.float32)

    def cloud(self, b: float = 3.0) -> Plane:
        """Return noise over the patch, mean 0, deviation 1."""
        scale = np.float32(40 / max(len(self.y), self.x.shape[1]))
        shift = np.float32(self.rng.uniform(0, 128))
        noise = power_noise(self.rng, 128, b, lowest=2.5)
        return sample(noise, self.y * scale + shift + 256, self.x * scale + 256)

    def rays(self, n: int, start: float, end: tuple[float, float], bend: float, width: int = 1) -> Plane:
        """Return n strands that leave the centre, dense at the root and fading out.

        Their roots lie about `start` from the centre, their tips in the range `end`; they curve by `bend` radians.
        """
        rng, steps = self.rng, 120
        angle = rng.uniform(0, 2 * np.pi, n)
        root = start * rng.uniform(0.6, 1.1, n)
        row, column = np.sin(angle) * root - self.y[0, 0], np.cos(angle) * root - self.x[0, 0]
        length = np.maximum(rng.uniform(*end, n) - root, 6)
        rows, columns = walks(rng, row, column, angle + rng.normal(0, 0.12, n), length, bend, steps)
        fade = np.linspace(1, 0, steps) ** 0.8
        ink = (rng.uniform(0.35, 1, n) * length / steps)[:, None] * fade
        return blur(strokes(self.window.shape, rows, columns, np.round(ink * 2**20) / 2**20), width)


def _mass(inwards: Plane, soft: float) -> Plane:
    """Return a projected ball: a rim as soft as asked, thickest in the middle."""
    core = np.sqrt(np.clip(inwards * (2 - inwards), 0, 1))
    return smoothstep(inwards, -soft, soft) * (0.55 + 0.45 * core)


def _circumscribed(p: Patch) -> Plane:
    blob = p.inwards(0.88 * p.radius, p.pick((0.0, 0.03), (0.07, 0.11)), p.pick((1.0, 1.35), (1.0, 1.3)))
    blob += p.pick((0.02, 0.045), (0.07, 0.11)) * p.cloud(2.6)
    soft = p.pick((0.1, 0.2), (0.2, 0.34))
    mass = _mass(blob, soft) * p.pick((0.22, 0.36), (0.46, 0.66))
    if not p.malignant:  # the rim of compressed fat that well-defined masses show
        mass -= 0.03 * smoothstep(blob, -0.22, -0.08) * (1 - smoothstep(blob, -0.08, 0.02))
    else:
        mass += p.rays(14, 0.7 * p.radius, (0.9 * p.radius, 1.25 * p.radius), 0.5) * 0.16
    return mass * (1 + 0.16 * p.cloud(2.6))


def _spiculated(p: Patch) -> Plane:
    size = p.radius * p.pick((0.28, 0.36), (0.36, 0.48))
    blob = p.inwards(size, p.pick((0.05, 0.08), (0.08, 0.13)), p.pick((1, 1.6), (1, 1.4)))
    blob += 0.12 * p.cloud(2.6)
    core = _mass(blob, 0.4) * p.pick((0.12, 0.22), (0.46, 0.68))
    if not p.malignant:  # a radial scar is pale inside
        core -= 0.1 * smoothstep(blob, 0.1, 0.7)
    haze = smoothstep(1 - np.sqrt(p.y**2 + p.x**2) / (1.05 * p.radius), 0, 1) * p.pick((0.05, 0.1), (0.1, 0.18))
    n = int(p.pick((14, 22), (24, 40)))
    lines = p.rays(n, 0.5 * size, (0.6 * p.radius, 1.2 * p.radius), 0.35) * p.pick((0.16, 0.24), (0.24, 0.36))
    lines += p.rays(n // 3, 0.4 * size, (0.5 * p.radius, p.radius), 0.3, 4) * p.pick((0.2, 0.35), (0.5, 0.8))
    return core * (1 + 0.12 * p.cloud()) + haze + lines


def _ill_defined(p: Patch) -> Plane:
    blob = p.inwards(
        p.radius * p.pick((0.72, 0.8), (0.66, 0.76)), p.pick((0.03, 0.06), (0.1, 0.17)), p.pick((1.2, 1.7), (1, 1.5))
    )
    blob += p.pick((0.05, 0.1), (0.12, 0.2)) * p.cloud(2.6)
    mass = _mass(blob, 0.5) * p.pick((0.2, 0.32), (0.44, 0.62))
    if p.malignant:
        mass += p.rays(20, 0.5 * p.radius, (0.75 * p.radius, 1.15 * p.radius), 0.5) * 0.2
    return mass * (1 + 0.14 * p.cloud())


def _distorted(p: Patch) -> Plane:
    """Pull the tissue towards a point, as a scar does, without a mass."""
    distance = np.sqrt(p.y**2 + p.x**2) / p.radius
    pull = 1 + p.pick((0.5, 0.7), (0.8, 1.3)) / (1 + 3 * distance * distance) * smoothstep(1.45 - distance, 0, 0.8)
    p.window[:] = sample(p.window, p.y * pull - p.y[0, 0], p.x * pull - p.x[0, 0], wrap=False)
    n = int(p.pick((12, 18), (22, 34)))
    lines = p.rays(n, 0.06 * p.radius, (0.6 * p.radius, 1.2 * p.radius), 0.4) * p.pick((0.14, 0.2), (0.18, 0.26))
    lines += p.rays(n // 2, 0.05 * p.radius, (0.5 * p.radius, p.radius), 0.4, 5) * p.pick((0.3, 0.5), (0.6, 0.9))
    patch = smoothstep(p.inwards(0.6 * p.radius, 0.12, 1.4), -0.5, 0.9) * p.pick((0.05, 0.12), (0.2, 0.32))
    return lines + patch * (1 + 0.25 * p.cloud())


def _asymmetric(p: Patch) -> Plane:
    """Add glandular density that the other breast does not have."""
    blob = p.inwards(0.85 * p.radius, p.pick((0.06, 0.1), (0.1, 0.16)), p.pick((1.1, 1.7), (1, 1.4)))
    texture = p.cloud(3.2)
    dense = smoothstep(blob + 0.2 * texture, -0.45, 0.6) * p.pick((0.2, 0.3), (0.42, 0.58))
    dense *= 0.9 + 0.3 * texture
    n = int(p.pick((4, 8), (18, 28)))
    return dense + p.rays(n, 0.3 * p.radius, (0.7 * p.radius, 1.15 * p.radius), 0.8) * p.pick(
        (0.08, 0.13), (0.18, 0.26)
    )


def _calcified(p: Patch) -> Plane:
    rng, inner = p.rng, 0.82 * p.radius
    if p.malignant:  # many, fine, unlike each other, some in branching lines
        n = int(np.clip(rng.normal(0.6, 0.15) * p.radius, 14, 60))
        size, level = rng.uniform(0.55, 1.25, n), rng.uniform(0.35, 1.0, n)
    else:  # few, round, alike
        n = int(np.clip(rng.normal(0.22, 0.06) * p.radius, 2, 12))
        size = np.clip(rng.normal(rng.uniform(1.3, 2.1), 0.25, n), 0.9, 0.3 * p.radius)
        level = np.clip(rng.normal(rng.uniform(0.75, 1.1), 0.08, n), 0.5, 1.3)
    angle, away = rng.uniform(0, 2 * np.pi, n), inner * np.sqrt(rng.uniform(0, 1, n)) ** (1.25 if p.malignant else 1)
    out = np.zeros_like(p.window)
    top, left = -p.y[0, 0], -p.x[0, 0]
    ringed = (not p.malignant) & (rng.random(n) < 0.3) & (size > 1.6)
    specks(out, np.sin(angle) * away + top, np.cos(angle) * away + left, size, level, ringed)
    if p.malignant:
        k = max(3, n // 6)
        rows, columns = walks(
            rng, top + rng.normal(0, 0.35 * inner, k), left + rng.normal(0, 0.35 * inner, k),
            rng.uniform(0, 2 * np.pi, k), rng.uniform(4, 10, k), 1.2, 24,
        )  # fmt: skip
        out += blur(strokes(out.shape, rows, columns, np.full(rows.shape, 0.5)))
        out += smoothstep(p.inwards(0.8 * p.radius, 0.15, 1.3), -0.4, 0.8) * 0.14 * (1 + 0.3 * p.cloud())
    return out


def _scatter(rng: Generator, breast: Breast) -> None:
    """Strew calcifications over the whole gland."""
    height, width = breast.gland.shape
    r, c = rng.integers(4, height - 4, 1500), rng.integers(4, width - 4, 1500)
    keep = np.flatnonzero((breast.gland[r, c] > 0.2) & (breast.depth[r, c] > 40))[:170]
    n = len(keep)
    row, column = 2 * r[keep] + rng.uniform(0, 2, n), 2 * c[keep] + rng.uniform(0, 2, n)
    specks(breast.attenuation, row, column, rng.uniform(0.6, 1.5, n), rng.uniform(0.4, 1.0, n), np.zeros(n, bool))


def specks(plane: Plane, row: NDArray, column: NDArray, size: NDArray, level: NDArray, ringed: NDArray) -> None:
    """Add small round grains; `ringed` ones have a pale middle."""
    for i in range(len(row)):
        m = int(2.5 * size[i]) + 2
        r, c = int(row[i]), int(column[i])
        if r < m or c < m or r >= plane.shape[0] - m or c >= plane.shape[1] - m:
            continue
        y = np.arange(r - m, r + m + 1)[:, None] + 0.5 - row[i]
        x = np.arange(c - m, c + m + 1)[None, :] + 0.5 - column[i]
        away = np.sqrt(y * y + x * x)
        grain = np.clip(size[i] + 0.6 - away, 0, 1)
        if ringed[i]:
            grain = grain * np.clip(0.35 + away / size[i] * 0.65, 0, 1)
        plane[r - m : r + m + 1, c - m : c + m + 1] += (level[i] * grain).astype(np.float32)


_PAINTERS = {
    "CALC": _calcified,
    "CIRC": _circumscribed,
    "SPIC": _spiculated,
    "MISC": _ill_defined,
    "ARCH": _distorted,
    "ASYM": _asymmetric,
}
