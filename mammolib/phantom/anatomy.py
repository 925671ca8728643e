"""A breast in the canonical frame: chest wall at the left edge of the film, nipple pointing right, head up.

What is drawn is the attenuation of the breast: 1 for a full thickness of fat, more where glands or muscle lie, less
towards the skin, where the breast gets thinner. `tone` turns it into grey levels as a film does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mammolib.phantom.fields import Plane, blur, double, enlarge, power_noise, sample, smoothstep, strokes, walks

SIZE = 1024
_COARSE = 16  # pixels of the film per sample of the plane of distances
_WIDTHS = ((396, 18), (500, 27), (540, 8), (640, 36), (700, 4), (990, 7))  # of films, and how many of 100 have it
_DENSITY = {"F": (0.18, 0.08, 0.2), "G": (0.44, 0.1, 0.2), "D": (0.74, 0.11, 0.2)}  # glands, their unrest, fibres


@dataclass(frozen=True)
class Woman:
    """What both breasts of a woman have in common; pixels in the canonical frame.

    Attributes:
        width: columns of the film.
        outline: (10, 2) knots of the skin line as row, column, from the armpit to below the breast.
        nipple: row and column.
        rim: how far from the skin the breast reaches its full thickness.
        muscle: where the pectoral muscle meets the upper edge (column) and the chest wall (row), how far its edge
            bulges, and its attenuation.
        gland: row and column of the centre, half length, half height and tilt (radians) of the glandular disc.
        exposure: factor on all attenuations.
        style: how ragged the glands end, over how long a way, their unrest and the strength of the fibres.
        macro: (64, 64) noise, the coarse structure of the glands.
    """

    tissue: str
    width: int
    outline: NDArray[np.float64]
    nipple: tuple[float, float]
    rim: float
    muscle: tuple[float, float, float, float]
    gland: tuple[float, float, float, float, float]
    exposure: float
    style: tuple[float, float, float, float]
    macro: Plane

    @classmethod
    def draw(cls, rng: Generator, tissue: str) -> Woman:
        """Draw a woman with this tissue."""
        u = rng.uniform
        widths, weights = np.array(_WIDTHS).T
        width = int(rng.choice(widths, p=weights / weights.sum())) + int(rng.integers(-3, 4)) * 2
        share = u(0.84, 0.99) if tissue == "F" else u(0.7, 0.93)
        reach = min(share * width, u(480, 640)) if width < 900 else u(540, 760)
        nipple = (SIZE * u(0.5, 0.66), reach)
        armpit = reach * u(0.46, 0.76)
        bottom = SIZE * (u(0.98, 1.24) if tissue == "F" else u(0.9, 1.16))
        drop = bottom - nipple[0]
        fold = u(0.03, 0.14) * reach if rng.random() < 0.6 else -0.2 * reach  # skin below the breast, or none
        swell = reach - armpit
        outline = np.array(
            [
                (-300.0, armpit * u(0.95, 1.2)),
                (-60.0, armpit),
                (nipple[0] * u(0.24, 0.32), armpit + swell * u(0.14, 0.26)),
                (nipple[0] * u(0.54, 0.6), armpit + swell * u(0.64, 0.76)),
                (nipple[0] * u(0.79, 0.83), reach - swell * u(0.04, 0.08)),
                nipple,
                (nipple[0] + 0.42 * drop, reach * u(0.88, 0.94)),
                (nipple[0] + 0.78 * drop, reach * u(0.58, 0.7)),
                (bottom, max(fold, 0.02 * reach) + 0.14 * reach),
                (bottom + 160, fold),
            ]
        )
        top = min(armpit * u(0.45, 0.8), armpit - 40)
        muscle = (top, SIZE * u(0.26, 0.62), u(-0.12, 0.3), u(0.36, 0.85))
        length = reach * {"F": u(0.2, 0.38), "G": u(0.34, 0.46), "D": u(0.36, 0.47)}[tissue]
        height = SIZE * {"F": u(0.1, 0.17), "G": u(0.14, 0.22), "D": u(0.17, 0.25)}[tissue]
        centre = (nipple[0] - SIZE * u(-0.01, 0.07), reach - length - reach * u(0.05, 0.13))
        rim = u(135, 225) * (0.82 if tissue == "D" else 1.0)
        gland = (*centre, length, height, u(-0.1, 0.6))
        exposure = float(np.clip(rng.normal(0.99, 0.12), 0.76, 1.25))
        style = (u(0.05, 0.1), u(0.6, 1.2), u(0.7, 1.35), u(0.7, 1.35))
        macro = power_noise(rng, 64, b=3.2, lowest=2)
        return cls(tissue, width, outline, nipple, rim, muscle, gland, exposure, style, macro)

    def other_breast(self, rng: Generator) -> Woman:
        """Return one of her two breasts: alike, not the same."""
        n = rng.normal
        reach = n(1, 0.02)
        outline = self.outline * [1, reach] + np.cumsum(n(0, 3.0, self.outline.shape), axis=0)
        top, side, bulge, density = self.muscle
        row, column, length, height, tilt = self.gland
        rim = self.rim * n(1, 0.04)
        muscle = (min(top * n(1, 0.1), outline[1, 1] - 35), side * n(1, 0.08), bulge + n(0, 0.06), density + n(0, 0.04))
        gland = (row + n(0, 12), column * reach + n(0, 6), length * n(1, 0.05), height * n(1, 0.06), tilt + n(0, 0.08))
        exposure = self.exposure * n(1, 0.02)
        macro = 0.75 * self.macro + 0.66 * power_noise(rng, 64, b=3.2, lowest=2)
        nipple = (outline[5, 0], outline[5, 1])
        return Woman(self.tissue, self.width, outline, nipple, rim, muscle, gland, exposure, self.style, macro)


@dataclass(frozen=True)
class Breast:
    """One breast, worked out: its (1024, width) attenuation, 1 for fat at full thickness, and planes half as large.

    `depth` is the distance from the skin in pixels of the film, negative outside; `thickness` and the shares of
    glandular tissue and pectoral muscle go from 0 to 1.
    """

    attenuation: Plane
    depth: Plane
    thickness: Plane
    gland: Plane
    muscle: Plane


def breast(woman: Woman, rng: Generator) -> Breast:
    """Draw the tissue of one breast."""
    rows, columns = SIZE // 2, woman.width // 2
    y = np.arange(0, SIZE, 2, dtype=np.float32)[:, None]
    x = np.arange(0, woman.width, 2, dtype=np.float32)[None, :]
    depth = _depth(woman, rows, columns)
    macro = enlarge(woman.macro, rows, columns)
    fine = power_noise(rng, 512, b=2.6, lowest=5)[:, :columns]

    near = ((y - woman.nipple[0]) ** 2).astype(np.float32) + ((x - woman.nipple[1]) ** 2).astype(np.float32)
    depth += 11 / (1 + near / 150) ** 2  # the nipple stands out of the skin
    rim = woman.rim * (1 + 0.1 * macro)
    inside = np.clip(depth / rim, 0, 1)
    thickness = 0.11 + 0.445 * inside * (3 - inside * inside)
    thickness *= smoothstep(depth, -4, 3)

    muscle, within = _muscle(woman, y, x, macro)
    gland, streak, fibres = _tissue(woman, rng, y, x, macro, fine)
    lobules = enlarge(power_noise(rng, 64, b=5.0, lowest=6), rows, columns)  # of fat, dark amid the glands
    gland *= 1 - 0.75 * smoothstep(lobules + 0.15 * streak, 0.5, 1.7)
    gland *= smoothstep(depth, 12, 70) * (1 - 0.85 * muscle)
    level, contrast, strands = _DENSITY[woman.tissue]
    contrast, strands = contrast * woman.style[2], strands * woman.style[3]
    bundle = 0.9 * streak + 0.22 * fine + 0.4 * macro
    inner = 1 + 0.03 * macro + 0.016 * fine + 0.022 * streak
    inner += gland * (level + contrast * bundle)
    inner += fibres * (strands * (0.5 + gland) * (1 - 0.8 * muscle))
    inner += muscle * (woman.muscle[3] * (0.74 + 0.26 * within + 0.03 * streak))
    inner += 0.25 / (1 + near / 500) ** 2
    skin = smoothstep(depth, -4, 3) * (1 - smoothstep(depth, 5, 14))
    half = thickness * inner + 0.045 * skin
    attenuation = double(np.ascontiguousarray(half), SIZE, woman.width)
    attenuation += _vessels(woman, rng) * double(thickness, SIZE, woman.width)
    attenuation *= woman.exposure
    return Breast(attenuation, depth, thickness, gland, muscle)


def tone(attenuation: Plane) -> Plane:
    """Return grey levels from 0 to 255: slow in thin and in thick places, as the blackening of a film is."""
    s = np.clip(attenuation, 0, None) ** 2
    return 255 * s / (s + 0.80)


def _curve(knots: NDArray) -> NDArray[np.float64]:
    """Return a smooth line through all but the first and last knots (Catmull and Rom's spline)."""
    t = np.linspace(0, 1, 24, endpoint=False)[None, :, None]
    a, b, c, d = (knots[i : len(knots) - 3 + i, None] for i in range(4))
    line = (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3) / 2
    return line.reshape(-1, 2)


def _depth(woman: Woman, rows: int, columns: int) -> Plane:
    """Return the signed distance from the skin line, positive inside, on the half plane."""
    line = _curve(np.vstack([woman.outline, woman.outline[-1] + [200, -40]])).astype(np.float32)
    along = np.gradient(line, axis=0)
    spacing = np.sqrt((along**2).sum(axis=1))
    along /= spacing[:, None]
    y = np.arange(0, SIZE + 2 * _COARSE, _COARSE, dtype=np.float32)
    x = np.arange(0, woman.width + 2 * _COARSE, _COARSE, dtype=np.float32)
    grid = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1).reshape(-1, 1, 2)
    down, right = grid[..., 0] - line[:, 0], grid[..., 1] - line[:, 1]
    nearest = (down * down + right * right).argmin(axis=1)
    to = grid[:, 0] - line[nearest]
    forward = (to * along[nearest]).sum(axis=1)
    across = to[:, 0] * along[nearest, 1] - to[:, 1] * along[nearest, 0]  # positive to the left of the line's way
    beyond = np.maximum(np.abs(forward) - spacing[nearest] / 2, 0)
    depth = -np.copysign(np.sqrt(across**2 + beyond**2), across).reshape(len(y), len(x))
    return enlarge(-depth if depth[len(y) // 2, 0] < 0 else depth, rows, columns)


def _muscle(woman: Woman, y: Plane, x: Plane, macro: Plane) -> tuple[Plane, Plane]:
    """Return the pectoral muscle (0 to 1, soft edge) and how deep inside it a place is (0 to 1)."""
    top, side, bulge, _ = woman.muscle
    along, down = x / np.float32(top), y / np.float32(side)
    inward = 1 - along - down + bulge * along * down * 2
    inward = inward * np.float32(top * side / np.sqrt(top**2 + side**2)) + 1.5 * macro
    return smoothstep(inward, -8, 12), smoothstep(inward, 0, 130)


def _tissue(woman: Woman, rng: Generator, y: Plane, x: Plane, macro: Plane, fine: Plane) -> tuple[Plane, Plane, Plane]:
    """Return the share of glandular tissue, streaks through it, and the net of fibres (0 to 1).

    Streaks and fibres are noise read in polar coordinates around a point in front of the nipple: they fan out from it.
    """

    def fan(first: Plane, second: Plane, above: float, ahead: float) -> tuple[Plane, Plane]:
        """Read two fields so that their rows run towards a point `above` and `ahead` of the nipple."""
        ay, ax = y - np.float32(woman.nipple[0] - above), np.float32(woman.nipple[1] + ahead) - x
        away = np.sqrt(ay * ay + ax * ax)
        across = ay / (away + 60) * (0.5 * (ahead + 250)) + 2.5 * macro
        read = sample(np.stack([first, second], -1), across + 1024, 0.47 * away + 3 * macro + 0.4 * fine + 64)
        return read[..., 0], read[..., 1]

    shapes = ((2.9, 1.6, 7), (6.0, 2.3, 8), (2.9, 1.7, 10), (6.0, 2.1, 17))
    one, two, three, four = (power_noise(rng, 512, b, aspect, lowest) for b, aspect, lowest in shapes)
    streak, coarse = fan(one, two, 0.0, 260.0)
    other, net = fan(three, four, 330.0 if rng.random() < 0.5 else -330.0, 420.0)
    coarse = np.maximum(1 - 6.0 * np.abs(coarse), 0)
    net = np.maximum(1 - 3.4 * np.abs(net), 0)
    fibres = 0.75 * coarse * coarse * np.clip(0.5 + 0.7 * other, 0, 1.7)
    fibres += net * net * np.clip(0.45 + 0.4 * streak, 0, 1.2)
    streak = 0.72 * streak + 0.6 * other

    row, column, length, height, tilt = woman.gland
    c, s = float(np.round(np.cos(tilt), 9)), float(np.round(np.sin(tilt), 9))
    dy, dx = y - row, x - column
    along, across = (c * dx + s * dy) / length, (c * dy - s * dx) / height
    shape = 1 - np.sqrt(along * along + across * across)
    frayed, way, _, _ = woman.style
    ragged = shape + 0.26 * macro + frayed * (streak + 0.35 * fine)
    ragged += 0.08 * fibres
    return smoothstep(ragged, -0.75 * way, 0.15 + 0.85 * way), streak, fibres


def _vessels(woman: Woman, rng: Generator) -> Plane:
    """Return thin strands: ducts from the nipple, vessels and ligaments across the breast."""
    height, width = SIZE, woman.width
    y0, x0 = woman.nipple
    ducts, veins, threads = 18, 8, 250
    n, steps = ducts + veins + threads, 220
    u = rng.uniform
    row = np.concatenate([y0 + u(-10, 10, ducts), u(0.05, 0.9, veins) * height, u(0.05, 1, threads) * height])
    column = np.concatenate([x0 - u(8, 40, ducts), u(-0.05, 0.2, veins) * x0, u(0, 1, threads) * x0])
    toward = np.arctan2(y0 - row, x0 + 200 - column)
    heading = toward + np.concatenate(
        [np.pi + u(-0.9, 0.9, ducts), u(-0.5, 0.5, veins), rng.normal(0.15, 0.45, threads)]
    )
    length = np.concatenate([u(80, 330, ducts), u(250, 620, veins), u(50, 300, threads)])
    rows, columns = walks(rng, row, column, heading, length, 0.9, steps)
    weight = np.concatenate([u(0.25, 0.6, ducts), u(0.5, 1.1, veins), u(0.05, 0.4, threads)])
    ink = weight[:, None] * np.sin(np.linspace(0.25, np.pi, steps))[None, :] * (length / steps)[:, None]
    ink = np.round(ink * 2**20) / 2**20
    thick = slice(ducts, ducts + veins)
    thin = np.r_[0:ducts, ducts + veins : n]
    wide = strokes((height // 2, width // 2), rows[thick] / 2, columns[thick] / 2, ink[thick] / 2)
    plane = double(blur(wide, 2), height, width) * 0.26
    plane += blur(strokes((height, width), rows[thin], columns[thin], ink[thin])) * 0.34
    return plane
