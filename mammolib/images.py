"""Grey pictures from files: PGM, PNG, JPEG, TIFF, BMP and DICOM, the same for the films of a data set and for `detect`.

Whatever keeps a file from being a grey picture is one line that names it. What is transparent, padding or no number is
black, and takes no part in the scale of a picture deeper than eight bits.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PILLOW = ("PPM", "PNG", "JPEG", "TIFF", "BMP")
"""What Pillow calls the formats that are read."""
DS = ("WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept", "PixelSpacing", "ImagerPixelSpacing")
"""DICOM attributes that hold numbers as text."""
TABLES = ("VOILUTSequence", "ModalityLUTSequence")


@dataclass(frozen=True)
class Grey:
    """A grey picture as its file holds it.

    Attributes:
        values: (H, W) grey levels, rising from black to white; uint8, or float of any range for a deeper picture.
        valid: (H, W) bool: where there is a picture; the rest is transparent, padding or no number.
        window: the values that become 0 and 255 if the file says so; None if not.
        coloured: whether its channels differed.
        spacing: millimetres between rows and between columns, or None where the file does not say.
    """

    values: NDArray
    valid: NDArray[np.bool_]
    window: tuple[float, float] | None = None
    coloured: bool = False
    spacing: tuple[float, float] | None = None

    def bytes(self) -> NDArray[np.uint8]:
        """Return (H, W) uint8: eight bits as they are, others by their window or the 0.5th to 99.5th percentile."""
        values = np.where(self.valid, self.values, 0)
        if values.dtype == np.uint8:
            return values
        known = self.values[self.valid]
        if not known.size:
            return np.zeros(values.shape, np.uint8)
        low, high = self.window or np.percentile(known, (0.5, 99.5))
        scale = 255 / (high - low) if high > low else 0.0
        grey = np.clip((values.astype(float) - low) * scale + 0.5, 0, 255).astype(np.uint8)
        return np.where(self.valid, grey, 0).astype(np.uint8)


def read_grey(path: str | Path) -> Grey:
    """Read a grey picture.

    Colours become grey; pictures of 16 bits with several channels are refused, since their lower bits would be lost.
    White-is-zero pictures, MONOCHROME1 among them, are inverted. A DICOM picture is read by its modality and VOI
    attributes; one that is empty counts as missing, and a window that is not allowed (DICOM part 3, C.11.2.1.2) too.

    Raises:
        FileNotFoundError: there is no such file.
        ImportError: a DICOM file, and pydicom is not installed; says how.
        ValueError: no picture, several, or one that is not understood; names the file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    with path.open("rb") as file:
        head = file.read(132)
    if not head:
        raise ValueError(f"{path}: cannot be read as a picture (the file is empty)")
    bare = head[:2] in (b"\x08\x00", b"\x02\x00", b"\x00\x08", b"\x00\x02")  # the first tag of a bare data set
    if head[128:] == b"DICM" or bare or path.suffix.lower() in (".dcm", ".dicom"):
        return _read_dicom(path)
    return _read_pillow(path, head)


def _read_pillow(path: Path, head: bytes) -> Grey:
    from PIL import Image

    try:
        if head.startswith(b"\x89PNG") and head[24:25] == b"\x10" and head[25:26] in (b"\x02", b"\x04", b"\x06"):
            raise ValueError("16 bits in several channels; save it as grey of 16 bits")
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.simplefilter("ignore", UserWarning)  # of damaged tags that are not needed
            with Image.open(path, formats=PILLOW) as image:
                if getattr(image, "n_frames", 1) > 1:
                    raise ValueError(f"it holds {image.n_frames} pictures; give one")
                image.load()
                return _of_pillow(image)
    except Exception as err:  # Pillow's plugins have their own errors for a damaged file
        raise ValueError(f"{path}: cannot be read as a picture ({_line(err)})") from None


def _of_pillow(image: Any) -> Grey:
    see_through = image.info.get("transparency")
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image).astype(float)
        valid = np.isfinite(values)
        if isinstance(see_through, int):
            valid &= values != see_through
        if getattr(image, "tag_v2", {}).get(262) == 0:  # white is zero
            values = np.nanmax(np.where(valid, values, np.nan)) - values if valid.any() else values
        return Grey(np.where(valid, values, 0.0), valid)
    alpha = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or see_through is not None
    if alpha:
        bands = np.asarray(image.convert("RGBA"))
        valid = bands[..., 3] > 0
        black = image.convert("RGBA")
        black.putalpha(255)
        grey = np.asarray(black.convert("L")).astype(float) * bands[..., 3] / 255
        return Grey(np.rint(grey).astype(np.uint8), valid, coloured=_coloured(bands[..., :3][valid]))
    if image.mode in ("1", "L"):
        grey = np.asarray(image.convert("L"))
        return Grey(grey, np.ones(grey.shape, bool))
    rgb = image.convert("RGB")
    grey = np.asarray(rgb.convert("L"))
    return Grey(grey, np.ones(grey.shape, bool), coloured=_coloured(np.asarray(rgb)))


def _coloured(bands: NDArray) -> bool:
    return bool((bands[..., 1:] != bands[..., :1]).any())


def _read_dicom(path: Path) -> Grey:
    try:
        import pydicom
    except ImportError:
        raise ImportError("DICOM pictures need pydicom: pip install 'mammolib[dicom]'") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values that are not as they should be: they are looked at here
        try:
            data = pydicom.dcmread(path, force=True)
        except Exception as err:
            raise ValueError(f"{path}: cannot be read as DICOM ({_line(err)})") from None
        if not getattr(data, "preamble", None) and "SOPClassUID" not in data and "Rows" not in data:
            raise ValueError(f"{path}: cannot be read as DICOM (it names neither a kind of object nor rows of pixels)")
        try:
            return _of_dicom(data)
        except Exception as err:  # decoders and damaged attributes raise many kinds
            if isinstance(err, _Refused):
                raise ValueError(f"{path}: {err}") from None
            raise ValueError(f"{path}: this DICOM file cannot be read ({_line(err)})") from None


class _Refused(ValueError):
    """Why a DICOM file is no picture, in words of ours."""


def _of_dicom(data: Any) -> Grey:
    from pydicom.pixels import apply_modality_lut, apply_voi_lut
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if not any(name in data for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise _Refused("this DICOM file holds no pixels")
    kind = _value(data, "PhotometricInterpretation") or "MONOCHROME2"
    if kind not in ("MONOCHROME1", "MONOCHROME2"):
        raise _Refused(f"a DICOM picture in {kind}; a mammogram is MONOCHROME1 or MONOCHROME2")
    _clean(data)
    if not getattr(getattr(data, "file_meta", None), "TransferSyntaxUID", None):
        implicit, little = data.original_encoding
        data.ensure_file_meta()
        plain = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else plain
    try:
        stored = data.pixel_array
    except Exception as err:
        syntax = getattr(data.file_meta.TransferSyntaxUID, "name", "an unknown coding")
        if "missing dependencies" in str(err):
            raise _Refused(f"its pixels are {syntax}; pip install 'mammolib[dicom]' brings a decoder") from None
        raise _Refused(f"its pixels cannot be decoded, {syntax} ({_line(err)})") from None
    if stored.ndim != 2:
        raise _Refused(f"a DICOM picture of shape {stored.shape}; give one with a single frame")
    valid = np.isfinite(stored) & ~_padding(data, stored)
    values = apply_modality_lut(np.where(valid, stored, 0), data)
    ends = np.array([[np.finfo(np.float32).min, np.finfo(np.float32).max]])
    window = None
    if "VOILUTSequence" in data and "WindowWidth" not in data:
        window = (0.0, 2.0 ** int(data.VOILUTSequence[0].LUTDescriptor[2]) - 1)
        values = apply_voi_lut(values.astype(int), data, prefer_lut=True)
    elif "WindowWidth" in data:
        low, high = apply_voi_lut(ends.copy(), data, prefer_lut=False)[0]
        window = (float(low), float(high))
        values = apply_voi_lut(values.astype(float), data, prefer_lut=False)
    elif int(_value(data, "BitsStored") or 16) <= 8 and values.min() >= 0 and values.max() <= 255:
        values = values.astype(np.uint8)
    grey = Grey(values, valid, window, spacing=_spacing(data))
    if kind == "MONOCHROME2":
        return grey
    return Grey(255 - grey.bytes(), valid, spacing=grey.spacing)


def _clean(data: Any) -> None:
    """Make an attribute that is empty, or that its kind does not allow, a missing one, and numbers numbers."""
    for name in DS:
        numbers = _numbers(data, name)
        if name in data:
            del data[name]
        if numbers:
            setattr(data, name, [repr(n) for n in numbers] if len(numbers) > 1 else repr(numbers[0]))
    for name in TABLES:
        items = data.get(name)
        whole = items and all(_value(items[0], part) is not None for part in ("LUTData", "LUTDescriptor"))
        if name in data and not whole:
            del data[name]
    if not _value(data, "VOILUTFunction") and "VOILUTFunction" in data:
        del data["VOILUTFunction"]
    widths = np.atleast_1d(data.get("WindowWidth", [])).astype(float)
    least = 1.0 if data.get("VOILUTFunction", "LINEAR") == "LINEAR" else np.nextafter(0, 1)
    if not (len(widths) and "WindowCenter" in data and widths[0] >= least):
        for name in ("WindowCenter", "WindowWidth"):
            if name in data:
                del data[name]


def _numbers(data: Any, name: str) -> list[float]:
    """Return the numbers of an attribute; a decimal comma is read as a point.

    Raises:
        _Refused: something else; names the attribute.
    """
    if name not in data:
        return []
    raw = data.get_item(name).value
    text = raw.decode("ascii", "replace") if isinstance(raw, bytes) else ""
    if not isinstance(raw, bytes) and raw is not None:
        text = "\\".join(map(str, raw)) if isinstance(raw, Sequence) and not isinstance(raw, str) else str(raw)
    parts = [part.strip(" \0").replace(",", ".") for part in text.split("\\")]
    try:
        numbers = [float(part) for part in parts if part]
    except ValueError:
        raise _Refused(f"{name} is {text.strip()[:40]!r}, which is no number") from None
    if not np.isfinite(numbers).all():
        raise _Refused(f"{name} is {text.strip()[:40]!r}, which is no finite number")
    return numbers


def _value(data: Any, name: str) -> Any:
    """Return an attribute's value; None if it is missing or empty."""
    value = data.get(name)
    return None if value is None or (hasattr(value, "__len__") and not len(value)) else value


def _padding(data: Any, stored: NDArray) -> NDArray[np.bool_]:
    """Return where the stored values are padding: one value, or a range of them (DICOM part 3, C.7.5.1.1.2)."""
    first = _value(data, "PixelPaddingValue")
    if first is None:
        return np.zeros(stored.shape, bool)
    last = _value(data, "PixelPaddingRangeLimit")
    ends = [int(first), int(first if last is None else last)]
    if stored.dtype.kind == "i":  # a signed value may be written as an unsigned one
        ends = [end - 2**16 if end >= 2**15 else end for end in ends]
    return (stored >= min(ends)) & (stored <= max(ends))


def _spacing(data: Any) -> tuple[float, float] | None:
    for name in ("PixelSpacing", "ImagerPixelSpacing"):
        value = np.atleast_1d(data.get(name, [])).astype(float)
        if len(value) == 2 and value.min() > 0:
            return float(value[0]), float(value[1])
    return None


def _line(err: Exception) -> str:
    return (" ".join(str(err).split()) or type(err).__name__)[:200]
