"""Pictures that a detector is shown: PGM, PNG and DICOM read as grey levels, brought to the films' scale, drawn on.

The networks of this book learn from mini-MIAS: 8 bits, dense tissue bright, 0.2 mm a pixel. A picture from elsewhere is
brought as near to that as its file allows; nothing makes a detector fit for a machine it was not trained on.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammolib.geometry import Detections

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
        if known is not None and not min(known) > 0:
            raise ValueError(f"spacing: must be positive, got {min(known):g} mm")
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
    """Read a picture: PGM, PNG and whatever else Pillow reads, or DICOM.

    Eight bits are taken as they are. Deeper pictures are windowed to 8 bits: DICOM by its VOI window or table where it
    has one, all others from the 0.5th to the 99.5th percentile. MONOCHROME1 is inverted, padding is black.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no picture, or one without pixels, with several frames or in a way not understood; names the file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    with path.open("rb") as file:
        head = file.read(132)
    if head[128:] == b"DICM" or path.suffix.lower() in (".dcm", ".dicom"):
        return _read_dicom(path)
    from PIL import Image

    try:
        with Image.open(path) as image:
            if getattr(image, "n_frames", 1) > 1:
                raise ValueError(f"it holds {image.n_frames} pictures; give one")
            deep = image.mode.startswith("I") or image.mode == "F"
            pixels = np.asarray(image if deep else image.convert("L"))
    except Exception as err:  # Pillow's plugins have their own errors for a damaged file
        reason = str(err).strip().splitlines() or [type(err).__name__]
        raise ValueError(f"{path}: cannot be read as a picture ({reason[0]})") from None
    return Picture(_by_percentiles(pixels.astype(float)) if deep else pixels, None, path)


def _read_dicom(path: Path) -> Picture:
    try:
        import pydicom
    except ImportError:
        raise ImportError("DICOM pictures need pydicom: pip install 'mammolib[dicom]'") from None
    try:
        data = pydicom.dcmread(path)
    except Exception as err:
        raise ValueError(f"{path}: cannot be read as DICOM ({_line(err)})") from None
    if not any(name in data for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise ValueError(f"{path}: this DICOM file holds no pixels")
    kind = data.get("PhotometricInterpretation", "MONOCHROME2")
    if kind not in ("MONOCHROME1", "MONOCHROME2"):
        raise ValueError(f"{path}: a DICOM picture in {kind}; a mammogram is MONOCHROME1 or MONOCHROME2")
    try:
        stored = data.pixel_array
    except Exception as err:  # decoders raise many kinds
        syntax = getattr(getattr(data.file_meta, "TransferSyntaxUID", None), "name", "an unknown coding")
        raise ValueError(f"{path}: its pixels cannot be decoded, {syntax} ({_line(err)})") from None
    if stored.ndim != 2:
        raise ValueError(f"{path}: a DICOM picture of shape {stored.shape}; give one with a single frame")
    padding = data.get("PixelPaddingValue")
    empty = np.zeros(stored.shape, bool) if padding is None else stored == int(padding)
    pixels = _window(data, stored, ~empty)
    if kind == "MONOCHROME1":
        pixels = 255 - pixels
    return Picture(np.where(empty, 0, pixels).astype(np.uint8), _spacing(data), path)


def _window(data: Any, stored: NDArray, valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Grey levels of a DICOM picture, before MONOCHROME1 is inverted (DICOM part 3, section C.11.2.1)."""
    try:
        from pydicom.pixels import apply_modality_lut, apply_voi
    except ImportError:  # pydicom 2
        from pydicom.pixel_data_handlers.util import apply_modality_lut, apply_voi

    values = apply_modality_lut(stored, data).astype(float)
    if "WindowCenter" in data and "WindowWidth" in data:
        centre, width = (float(np.atleast_1d(data[n].value)[0]) for n in ("WindowCenter", "WindowWidth"))
        function = data.get("VOILUTFunction", "LINEAR")
        if function == "SIGMOID":
            return _to_bytes(1 / (1 + np.exp(-4 * (values - centre) / width)), 0, 1)
        if function == "LINEAR":  # its width counts both end values
            return _to_bytes(values, centre - width / 2, centre + width / 2 - 1)
        return _to_bytes(values, centre - width / 2, centre + width / 2)
    if data.get("VOILUTSequence"):
        table = apply_voi(values.astype(int), data)
        return _to_bytes(table, 0, 2 ** int(data.VOILUTSequence[0].LUTDescriptor[2]) - 1)
    if int(data.get("BitsStored", 16)) <= 8 and values.min() >= 0 and values.max() <= 255:
        return values.astype(np.uint8)
    return _by_percentiles(values, valid)


def _by_percentiles(values: NDArray, valid: NDArray[np.bool_] | None = None) -> NDArray[np.uint8]:
    chosen = values if valid is None else values[valid]
    return _to_bytes(values, *np.percentile(chosen, (0.5, 99.5))) if chosen.size else np.zeros(values.shape, np.uint8)


def _to_bytes(values: NDArray, low: float, high: float) -> NDArray[np.uint8]:
    """Map low to 0 and high to 255, cut off what lies outside."""
    scale = 255 / (high - low) if high > low else 0.0
    return np.clip((values - low) * scale + 0.5, 0, 255).astype(np.uint8)


def _spacing(data: Any) -> tuple[float, float] | None:
    for name in ("PixelSpacing", "ImagerPixelSpacing"):
        value = data.get(name)
        if value is not None and len(value) == 2 and min(map(float, value)) > 0:
            return float(value[0]), float(value[1])
    return None


def _line(err: Exception) -> str:
    return (str(err).strip().splitlines() or [type(err).__name__])[0]


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
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            canvas.save(file, format="PNG")
        os.replace(temporary, out)
    finally:
        temporary.unlink(missing_ok=True)
    return out
