"""Pictures that a detector is shown, brought to the films' scale and drawn on.

The networks of this book learn from mini-MIAS: 8 bits, dense tissue bright, 0.2 mm a pixel. A picture from elsewhere is
brought as near to that as its file allows; nothing makes a detector fit for a machine it was not trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mammolib.files import atomic
from mammolib.geometry import Detections
from mammolib.mias import SIDE

FILM_SPACING = 0.2
"""Millimetres between the centres of two pixels of mini-MIAS (its 0.05 mm digitisation, reduced four times)."""
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
MOST_PIXELS = 64_000_000


def at_film_scale(pixels: NDArray[np.uint8], spacing: tuple[float, float] | None, path: Path) -> NDArray[np.uint8]:
    """Return (H, W) grey levels as a mini-MIAS film would have them.

    If the spacing is known (millimetres between rows and between columns), the picture is resampled to 0.2 mm a pixel.
    Else its longer side is made 1024, the side of a film.

    Raises:
        ValueError: the spacing is not positive, or makes a picture without pixels or with very many; names the path.
    """
    if spacing is not None and not (min(spacing) > 0 and np.isfinite(spacing).all()):
        raise ValueError(f"spacing: must be a positive number of millimetres, got {min(spacing):g}")
    height, width = pixels.shape
    down, right = (s / FILM_SPACING for s in spacing) if spacing else (SIDE / max(height, width),) * 2
    rows, columns = round(height * down), round(width * right)
    if min(rows, columns) < 1 or rows * columns > MOST_PIXELS:
        raise ValueError(
            f"{path}: at {FILM_SPACING} mm a pixel it would be {columns} x {rows} pixels; check its spacing, "
            f"{' x '.join(f'{s:g} mm' for s in spacing) if spacing else 'unknown'}"
        )
    if (rows, columns) == pixels.shape:
        return pixels
    from PIL import Image

    return np.asarray(Image.fromarray(pixels).resize((columns, rows), Image.Resampling.BILINEAR))  # averages to shrink


def draw(pixels: NDArray[np.uint8], found: Detections, classes: Sequence[str], notice: str, out: str | Path) -> None:
    """Write a PNG of a picture with its detections, and a line of text below; whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    from PIL import Image, ImageDraw, ImageFont

    height, width = pixels.shape
    size = max(12, width // 60)
    font, thin, thick = ImageFont.load_default(size), max(1, size // 12), max(2, size // 6)
    canvas = Image.new("RGB", (width, height + 2 * size))
    canvas.paste(Image.fromarray(pixels).convert("RGB"))
    pen = ImageDraw.Draw(canvas)
    for row in np.argsort(found.confidence):  # the most confident on top
        label, box = int(found.label[row]), found.box[row]
        colour = COLOURS[(label - 1) % len(COLOURS)]
        pen.rectangle(box.tolist(), outline=colour, width=thick)
        text = f"{classes[label - 1]} {found.confidence[row]:.2f}"
        place = (box[0], max(0, box[1] - size - 2 * thin))
        left, top, right, bottom = pen.textbbox(place, text, font=font)
        pen.rectangle((left - thin, top - thin, right + thin, bottom + thin), fill=colour)
        pen.text(place, text, font=font, fill="white")
    pen.rectangle((0, height, width, height + 2 * size), fill="white")
    while size > 6 and pen.textlength(notice, font=font) > width - 2 * size:
        size -= 1
        font = ImageFont.load_default(size)
    pen.text((size, height + size // 2), notice, font=font, fill="black")
    with atomic(Path(out)) as file:
        canvas.save(file, format="PNG")
