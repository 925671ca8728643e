"""Pictures that a detector is shown: PGM, PNG and DICOM read as grey levels, brought to the films' scale, drawn on.

The networks of this book learn from mini-MIAS: 8 bits, dense tissue bright, 0.2 mm a pixel. A picture from elsewhere is
brought as near to that as its file allows; nothing makes a detector fit for a machine it was not trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mammolib.files import atomic
from mammolib.geometry import Detections
from mammolib.images import read_grey

FILM_SPACING = 0.2
"""Millimetres between the centres of two pixels of mini-MIAS (its 0.05 mm digitisation, reduced four times)."""
FILM_SIDE = 1024
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
MOST_PIXELS = 64_000_000


@dataclass(frozen=True)
class Picture:
    """A greyscale picture.

    Attributes:
        pixels: (H, W) uint8, 0 black.
        spacing: millimetres between rows and between columns, or None where the file does not say.
        path: where it was read.
    """

    pixels: NDArray[np.uint8]
    spacing: tuple[float, float] | None
    path: Path

    def at_film_scale(self, spacing: float | None = None) -> tuple[NDArray[np.uint8], tuple[float, float]]:
        """Return the pixels as a mini-MIAS film would have them, and by what (rows, columns) were multiplied.

        If the spacing is known, from the file or from `spacing` (which wins), the picture is resampled to 0.2 mm a
        pixel. Else its longer side is made 1024, the side of a film; a picture of 1024 x 1024 stays as it is.

        Raises:
            ValueError: the spacing is not positive, or makes a picture without pixels or with very many.
        """
        known = (spacing, spacing) if spacing is not None else self.spacing
        if known is not None and not (min(known) > 0 and np.isfinite(known).all()):
            raise ValueError(f"spacing: must be a positive number of millimetres, got {min(known):g}")
        height, width = self.pixels.shape
        factor = tuple(s / FILM_SPACING for s in known) if known else (FILM_SIDE / max(height, width),) * 2
        new = tuple(round(n * f) for n, f in zip((height, width), factor, strict=True))
        if min(new) < 1 or new[0] * new[1] > MOST_PIXELS:
            raise ValueError(
                f"{self.path}: at {FILM_SPACING} mm a pixel it would be {new[1]} x {new[0]} pixels; check its spacing, "
                f"{'unknown' if known is None else ' x '.join(f'{s:g} mm' for s in known)}"
            )
        if new == (height, width):
            return self.pixels, (1.0, 1.0)
        from PIL import Image

        resized = Image.fromarray(self.pixels).resize(new[::-1], Image.Resampling.BILINEAR)  # averages when it shrinks
        return np.asarray(resized), (new[0] / height, new[1] / width)


def read_picture(path: str | Path) -> Picture:
    """Read a picture as eight bits; see `images.read_grey` for what is read and how.

    Raises:
        FileNotFoundError, ImportError, ValueError: see `images.read_grey`; one line that names the file.
    """
    grey = read_grey(path)
    return Picture(grey.bytes(), grey.spacing, Path(path))


def draw(pixels: NDArray[np.uint8], found: Detections, classes: Sequence[str], notice: str, out: str | Path) -> Path:
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
        left, top, right, bottom = pen.textbbox((box[0], max(0, box[1] - size - 2 * thin)), text, font=font)
        pen.rectangle((left - thin, top - thin, right + thin, bottom + thin), fill=colour)
        pen.text((box[0], max(0, box[1] - size - 2 * thin)), text, font=font, fill="white")
    pen.rectangle((0, height, width, height + 2 * size), fill="white")
    while size > 6 and pen.textlength(notice, font=font) > width - 2 * size:
        size -= 1
        font = ImageFont.load_default(size)
    pen.text((size, height + size // 2), notice, font=font, fill="black")
    out = Path(out)
    with atomic(out) as file:
        canvas.save(file, format="PNG")
    return out
