"""Grey pictures from files: PGM, PNG, JPEG, TIFF, BMP and DICOM, the same for the films of a data set and for `detect`.

Whatever keeps a file from being a grey picture is one line that names it. What is transparent, padding or no number is
black, and takes no part in the scale of a picture deeper than eight bits.
"""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
        if self.values.dtype == np.uint8:
            return self.values * self.valid
        values = np.where(self.valid, self.values, 0)
        known = self.values[self.valid]
        low, high = self.window or (np.percentile(known, (0.5, 99.5)) if known.size else (0, 0))
        scale = 255 / (high - low) if high > low else 0.0
        grey = np.clip((values.astype(float) - low) * scale + 0.5, 0, 255).astype(np.uint8)
        return grey * self.valid


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
    bare = head[:2] in (b"\x08\x00", b"\x02\x00", b"\x00\x08", b"\x00\x02")  # the first tag of a bare data set
    dicom = head[128:] == b"DICM" or bare or (head and path.suffix.lower() in (".dcm", ".dicom"))
    if dicom and not importlib.util.find_spec("pydicom"):
        raise ImportError("DICOM pictures need pydicom: pip install 'mammolib[dicom]'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damaged values that are not needed, or are looked at below
        try:
            return _read_dicom(path) if dicom else _read_pillow(path, head)
        except Exception as err:  # decoders and Pillow's plugins have their own errors for a damaged file
            raise ValueError(f"{path}: cannot be read as {'DICOM' if dicom else 'a picture'} ({_line(err)})") from None


def _read_pillow(path: Path, head: bytes) -> Grey:
    from PIL import Image

    if not head:
        raise ValueError("the file is empty")
    if head.startswith(b"\x89PNG") and head[24:25] == b"\x10" and head[25:26] in (b"\x02", b"\x04", b"\x06"):
        raise ValueError("16 bits in several channels; save it as grey of 16 bits")
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    with Image.open(path, formats=("PPM", "PNG", "JPEG", "TIFF", "BMP")) as image:
        frames = getattr(image, "n_frames", 1)
        if frames > 1:
            raise ValueError(f"it holds {frames} pictures; give one")
        image.load()
        return _of_pillow(image)


def _of_pillow(image: Any) -> Grey:
    transparent = image.info.get("transparency")
    if image.mode in ("1", "L") and transparent is None:
        values = np.asarray(image.convert("L"))
        return Grey(values, np.broadcast_to(True, values.shape))
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image).astype(float)
        valid = np.isfinite(values)
        if isinstance(transparent, int):
            valid &= values != transparent
        values = np.where(valid, values, 0.0)
        if getattr(image, "tag_v2", {}).get(262) == 0 and valid.any():  # white is zero
            values = np.where(valid, values[valid].max() - values, 0.0)
        return Grey(values, valid)
    rgba = np.asarray(image.convert("RGBA"))
    alpha = rgba[..., 3]
    valid = alpha > 0
    opaque = np.asarray((image if image.mode in ("1", "L") else image.convert("RGB")).convert("L"))
    colours = rgba[..., :3][valid]
    coloured = bool((colours[:, 1:] != colours[:, :1]).any())
    return Grey(np.rint(opaque * (alpha / 255)).astype(np.uint8), valid, coloured=coloured)


def _read_dicom(path: Path) -> Grey:
    from pydicom import dcmread
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    data = dcmread(path, force=True)
    if not data.preamble and "SOPClassUID" not in data and "Rows" not in data:
        raise ValueError("it names neither a kind of object nor rows of pixels")
    if not any(name in data for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise ValueError("this DICOM file holds no pixels")
    kind = _value(data, "PhotometricInterpretation") or "MONOCHROME2"
    if kind not in ("MONOCHROME1", "MONOCHROME2"):
        raise ValueError(f"a DICOM picture in {kind}; a mammogram is MONOCHROME1 or MONOCHROME2")
    _delete_what_says_nothing(data)
    stored = _stored_values(data)
    valid = np.isfinite(stored) & ~_padding(data, stored)
    values, window = apply_modality_lut(np.where(valid, stored, 0), data), None
    if "WindowWidth" in data:
        ends = np.array([[np.finfo(np.float32).min, np.finfo(np.float32).max]])
        low, high = apply_voi_lut(ends, data, prefer_lut=False)[0]
        window = (float(low), float(high))
        values = apply_voi_lut(values.astype(float), data, prefer_lut=False)
    elif "VOILUTSequence" in data:
        window = (0.0, 2.0 ** int(data.VOILUTSequence[0].LUTDescriptor[2]) - 1)
        values = apply_voi_lut(values.astype(int), data)
    elif int(_value(data, "BitsStored") or 16) <= 8 and values.min() >= 0 and values.max() <= 255:
        values = values.astype(np.uint8)
    spacings = [np.atleast_1d(_value(data, name) or []) for name in ("PixelSpacing", "ImagerPixelSpacing")]
    spacing = next(((float(s[0]), float(s[1])) for s in spacings if len(s) == 2 and min(map(float, s)) > 0), None)
    grey = Grey(values, valid, window, spacing=spacing)
    return grey if kind == "MONOCHROME2" else Grey(255 - grey.bytes(), valid, spacing=spacing)


def _stored_values(data: Any) -> NDArray:
    """Return the (H, W) values as they are stored; of a bare data set, its own encoding is taken."""
    from pydicom import uid

    if not getattr(getattr(data, "file_meta", None), "TransferSyntaxUID", None):
        implicit, little = data.original_encoding
        data.ensure_file_meta()
        explicit = uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian
        data.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian if implicit else explicit
    try:
        stored = data.pixel_array
    except Exception as err:
        coding = data.file_meta.TransferSyntaxUID.name
        raise ValueError(
            f"its pixels cannot be decoded, {coding}; mammolib[dicom] brings decoders: {_line(err)}"
        ) from None
    if stored.ndim != 2:
        raise ValueError(f"a DICOM picture of shape {stored.shape}; give one with a single frame")
    return stored


def _delete_what_says_nothing(data: Any) -> None:
    """Delete attributes that are empty or that the standard does not allow: they count as missing."""
    for name in ("WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept", "VOILUTFunction"):
        if name in data and _value(data, name) is None:
            del data[name]
        elif name in data and name != "VOILUTFunction":
            np.asarray(data[name].value, float)  # says which value is no number
    for name in ("VOILUTSequence", "ModalityLUTSequence"):
        tables = _value(data, name)
        if name in data and not (tables and all(_value(tables[0], n) for n in ("LUTData", "LUTDescriptor"))):
            del data[name]
    if "WindowWidth" in data:
        width = float(np.atleast_1d(data.WindowWidth)[0])
        linear = data.get("VOILUTFunction", "LINEAR") == "LINEAR"
        if not (width >= 1 or (width > 0 and not linear)) or "WindowCenter" not in data:
            del data.WindowWidth


def _value(data: Any, name: str) -> Any:
    """Return an attribute's value; None if it is missing or empty."""
    value = data.get(name)
    return None if value is None or (hasattr(value, "__len__") and not len(value)) else value


def _padding(data: Any, stored: NDArray) -> NDArray[np.bool_]:
    """Return where the stored values are padding: one value, or a range of them (DICOM part 3, C.7.5.1.1.2)."""
    first, last = (_value(data, name) for name in ("PixelPaddingValue", "PixelPaddingRangeLimit"))
    if first is None:
        return np.zeros(stored.shape, bool)
    ends = [int(first), int(first if last is None else last)]
    if stored.dtype.kind == "i":  # a signed value may be written as an unsigned one
        ends = [end - 2**16 if end >= 2**15 else end for end in ends]
    return (stored >= min(ends)) & (stored <= max(ends))


def _line(err: Exception) -> str:
    return (" ".join(str(err).split()) or type(err).__name__)[:200]
