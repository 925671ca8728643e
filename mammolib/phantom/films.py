"""From a breast to a film: fog, grain, tags, dust and scratches, and its place in the 1024 x 1024 matrix."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.random import Generator, SeedSequence
from numpy.typing import NDArray

from mammolib.phantom import lesions
from mammolib.phantom.anatomy import SIZE, Breast, Woman, breast, tone
from mammolib.phantom.fields import Plane, blur, double, power_noise, sample, strokes, walks
from mammolib.phantom.plan import case

SIDES = ("right", "left")
"""Sides in the order of the films of a woman: odd numbers show the right breast, even ones the left."""

_LETTERS = {
    "R": ("####.", "#...#", "#...#", "####.", "#.#..", "#..#.", "#...#"),
    "L": ("#....", "#....", "#....", "#....", "#....", "#....", "#####"),
    "M": ("#...#", "##.##", "#.#.#", "#.#.#", "#...#", "#...#", "#...#"),
    "O": (".###.", "#...#", "#...#", "#...#", "#...#", "#...#", ".###."),
    "0": (".###.", "#...#", "#...#", "#...#", "#...#", "#...#", ".###."),
    "1": ("..#..", ".##..", "..#..", "..#..", "..#..", "..#..", "..#.."),
    "2": (".###.", "#...#", "....#", "...#.", "..#..", ".#...", "#####"),
    "3": (".###.", "#...#", "....#", "..##.", "....#", "#...#", ".###."),
    "4": ("...#.", "..##.", ".#.#.", "#..#.", "#####", "...#.", "...#."),
    "5": ("#####", "#....", "####.", "....#", "....#", "#...#", ".###."),
    "6": (".###.", "#....", "#....", "####.", "#...#", "#...#", ".###."),
    "7": ("#####", "....#", "...#.", "..#..", "..#..", ".#...", ".#..."),
    "8": (".###.", "#...#", "#...#", ".###.", "#...#", "#...#", ".###."),
    "9": (".###.", "#...#", "#...#", ".####", "....#", "....#", ".###."),
}


class PhantomFilm(NamedTuple):
    """One synthetic film: (1024, 1024) uint8 pixels, and its rows of Info.txt."""

    reference: str
    pixels: NDArray[np.uint8]
    rows: list[str]


def film(seed: int, woman: int, side: str) -> PhantomFilm:
    """Draw one film of woman 1, 2, ...; it does not depend on how many women a data set has."""
    about = case(seed, woman)
    number = SIDES.index(side)
    reference = f"mdb{2 * woman - 1 + number:03d}"
    shared = np.random.default_rng(SeedSequence([seed, 1, woman, 0]))
    rng = np.random.default_rng(SeedSequence([seed, 1, woman, 1 + number]))
    mine = Woman.draw(shared, about.tissue).other_breast(rng)
    tissue = breast(mine, rng)
    padding = (SIZE - mine.width) // 2
    spots: list[lesions.Spot] = []
    rows = []
    for card in about.right if side == "right" else about.left:
        spot = lesions.place(rng, card, tissue, padding, spots)
        lesions.paint(rng, card, tissue, spot)
        spots.append(spot)
        if card.quirk in ("astray", "speck"):
            spot = lesions.misplace(rng, card, tissue, padding, spot)
        column = spot.column + padding if side == "left" else SIZE - 1 - spot.column - padding
        circle = f" {column} {SIZE - 1 - spot.row} {spot.radius}"  # Info.txt counts y from the bottom
        where = {"unplaced": "", "spread": " *NOTE 3*"}.get(card.quirk, circle)
        rows.append(f"{reference} {about.tissue} {card.kind} {card.severity}{where}")
    pixels = np.zeros((SIZE, SIZE), np.uint8)
    pixels[:, padding : padding + mine.width] = _expose(rng, mine, tissue, side)
    return PhantomFilm(reference, pixels, rows or [f"{reference} {about.tissue} NORM "])


def _expose(rng: Generator, woman: Woman, tissue: Breast, side: str) -> NDArray[np.uint8]:
    """Return the (1024, width) grey levels of the film, chest wall left for the left breast and right for the right."""
    shape = (SIZE, woman.width)
    n = int(rng.poisson(3))  # harmless grains and bits of dust, which every film has
    row, column = rng.uniform(8, SIZE - 8, n), rng.uniform(8, woman.width - 8, n)
    size, level = rng.uniform(0.3, 0.9, n), rng.uniform(0.3, 0.7, n)
    lesions.specks(tissue.attenuation, row, column, size, level, np.zeros(n, bool))
    grey = tone(tissue.attenuation)
    fog = np.float32(rng.choice([0.6, 1.5, 3, 5, 7], p=[0.3, 0.25, 0.2, 0.15, 0.1]))
    lit = np.minimum(grey * (1 / 90), 1)
    texture = power_noise(rng, 512, b=2.3, lowest=60)
    grey += 1.35 * lit * np.tile(texture, (2, 2))[:, : woman.width]  # finer than one sees, so repeats do not show
    grain = rng.standard_normal(shape, dtype=np.float32)
    grey += fog + grain * (0.35 + 0.45 * lit)
    if side == "right":
        grey = np.ascontiguousarray(grey[:, ::-1])
    _tag(rng, grey, tissue.depth < -14, side)
    _edges(rng, grey, side)
    _scratches(rng, grey)
    return np.floor(np.clip(grey, 0, 255) + 0.5).astype(np.uint8)


def _tag(rng: Generator, grey: Plane, outside: NDArray[np.bool_], side: str) -> None:
    """Lay a lead tag with the side and the view, and the film's number below it, beside the breast."""
    u = rng.uniform
    kind, digits = rng.random(), str(rng.integers(1, 99))
    height, width = u(112, 150), u(86, 104)
    tilt, top, gap = u(-0.09, 0.09), u(-70, 60), u(0, 26)
    level, faint = u(232, 254), u(35, 120)
    middle = grey.shape[1] - gap - width / 2 + (u(20, 60) if rng.random() < 0.3 else 0)
    room = outside[: int(max(top + height, 2) / 2), int(min(max(middle - width / 2 - 8, 0), grey.shape[1] - 2) / 2) :]
    if side == "right":
        middle = grey.shape[1] - 1 - middle
    if not room.size or not room.all() or kind < 0.22:
        return
    y0, x0 = max(int(top) - 12, 0), max(int(middle - width / 2) - 14, 0)
    y1, x1 = int(top + height) + 80, int(middle + width / 2) + 14
    window = grey[y0:y1, x0:x1]
    y = np.arange(y0, y0 + window.shape[0], dtype=np.float32)[:, None] - top
    x = np.arange(x0, x0 + window.shape[1], dtype=np.float32)[None, :] - middle
    y, x = y + tilt * x, x - tilt * y
    soft = np.clip(np.minimum(np.minimum(y, height - y), width / 2 - np.abs(x)) / 3 + 0.5, 0, 1).astype(np.float32)
    ink = np.zeros_like(soft)
    text = [("R" if side == "right" else "L", 0.16, 0.44), ("ML" if kind < 0.8 else "MLO", 0.56, 0.84)]
    for word, start, end in text:
        ink += _write(word, y - start * height, x, (end - start) * height)
    number = _write(digits, y - (height + 16), x, 40.0)
    window *= 1 - soft
    window += soft * (level - (level - 25) * np.clip(ink, 0, 1))
    window += faint * number * (1 - soft)


def _write(word: str, y: Plane, x: Plane, height: float) -> Plane:
    """Return the strokes of a word, 0 to 1, its letters `height` tall and centred on x = 0, from y = 0 down."""
    cell = height / 7
    rows = [".".join(_LETTERS[letter][r] for letter in word) for r in range(7)]
    bitmap = np.array([[c == "#" for c in row] for row in rows], np.float32)
    bitmap = double(double(np.pad(bitmap, 2)))  # rounds the corners
    r = 4 * (y / cell + 1.5)
    c = 4 * (x / (0.8 * cell) + (bitmap.shape[1] / 8 - 0.5))
    return np.clip(sample(bitmap, r, c, wrap=False) * 4 - 1.4, 0, 1)


def _edges(rng: Generator, grey: Plane, side: str) -> None:
    """Draw what a scanner sees beside the film: a bright strip, a grey band, a thin line; most films have none."""
    height, width = grey.shape
    strip, band, line = rng.random(3)
    wide, tall, slope = int(rng.integers(5, 22)), int(rng.integers(14, 44)), rng.uniform(-6, 6)
    if strip < 0.12:
        across = np.arange(width) if side == "right" else np.arange(width)[::-1]
        rim = wide + slope * np.linspace(-1, 1, height)[:, None] - across[None, :]
        grey += (248 - grey) * np.clip(rim / 2 + 0.5, 0, 1).astype(np.float32)
    if band < 0.07:
        grey[:tall] = blur(96 + 14 * rng.standard_normal((tall, width), dtype=np.float32))
        grey[tall : tall + 2] *= 0.3
    if line < 0.3:
        row, start, end = height - rng.integers(8, 40), *np.sort(rng.integers(0, width, 2))
        grey[row, start:end] *= 0.25


def _scratches(rng: Generator, grey: Plane) -> None:
    """Add a few bits of dust and, now and then, a hair or a vertical scratch."""
    height, width = grey.shape
    n = int(rng.poisson(9))
    grey[rng.integers(0, height, n), rng.integers(0, width, n)] += rng.uniform(20, 110, n).astype(np.float32)
    scratch, hair = rng.random(2)
    if scratch < 0.06:
        column, start, end = rng.integers(20, width - 20), *np.sort(rng.integers(0, height, 2))
        grey[start:end, column] *= 0.8
    if hair < 0.12:
        where = rng.uniform(60, min(height, width) - 60, (2, 1))
        rows, columns = walks(rng, where[0], where[1], rng.uniform(0, 6, 1), rng.uniform(20, 60, 1), 2.5, 90)
        grey += blur(strokes(grey.shape, rows, columns, np.full(rows.shape, 25.0)))
