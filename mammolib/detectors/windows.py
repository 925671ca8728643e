"""Detection on whole films and on a file: what a trained network is for.

A network of this book sees 256 x 256 pixels. A whole film is shown to it window by window, the windows overlapping by
half, and what they find is merged by non-maximum suppression. Not for clinical use.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mammolib.detectors.classical import Detector
from mammolib.detectors.pictures import at_film_scale, draw
from mammolib.geometry import CLASSES, Detections, clip
from mammolib.images import read_grey
from mammolib.mias import SIDE, Film
from mammolib.patches import crop, dark_fraction
from mammolib.ssd.boxes import SSD256, SSD300, SSD512
from mammolib.ssd.decode import suppress
from mammolib.ssd.model import build, layout_of, predict

NOTICE = "Not for clinical use: a network for teaching, trained on a few hundred films at the most."
MAX_DARK = 0.9  # a window of which a larger share is background is not shown
BATCH = 16  # windows that a network sees at once
IOU, TOP = 0.45, 200  # as for `ssd.decode_predictions`; they hold within a window and again for the whole film


def windows(pixels: NDArray, size: int = 256, stride: int = 128) -> NDArray[np.integer]:
    """Return the (W, 2) rows and columns of the top-left pixels of the windows on an (H, W) film.

    Windows lie `stride` apart; the last of a row or column ends at the film's border, so that no pixel is left out. A
    film smaller than a window gets one, which reaches over it. Windows that are nearly all background are left out.
    """
    if pixels.ndim != 2 or 0 in pixels.shape:
        raise ValueError(f"film: expected a greyscale image, got shape {pixels.shape}")
    if not 1 <= stride <= size:
        raise ValueError(f"stride: must lie in 1 to {size}, got {stride}")
    rows, columns = (np.unique([*range(0, n - size, stride), max(n - size, 0)]) for n in pixels.shape)
    origins = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
    dark = [dark_fraction(pixels[r : r + size, c : c + size]) for r, c in origins]
    return origins[np.array(dark) <= MAX_DARK]


def detect(
    model: keras.Model, film: Film | NDArray, stride: int = 128, confidence: float = 0.01, top_before: int | None = None
) -> Detections:
    """Return what a network of `ssd.model` finds on a whole film.

    Args:
        film: a `mias.Film`, or the (H, W) grey levels 0 to 255.
        stride: between `windows`.
        confidence, top_before: as in `decode_predictions`, within a window.

    Returns:
        Detections of image 0, in pixels of the film, the most confident first.

    Raises:
        ValueError: what is no film, or grey levels from 0 to 1.
    """
    pixels, size = film.pixels() if isinstance(film, Film) else np.asarray(film), layout_of(model).size
    if pixels.dtype.kind == "f" and pixels.size and 0 < np.nanmax(pixels) <= 1:
        raise ValueError("film: grey levels go from 0 to 255, these end at 1 or below; multiply them by 255")
    origins = windows(pixels, size, stride)
    shown = [crop(pixels, row, column, size) for row, column in origins + size // 2]
    images = np.array(shown, pixels.dtype).reshape(-1, size, size)
    found = predict(model, images, BATCH, confidence=confidence, iou=IOU, top=TOP, top_before=top_before)
    found = found.take(np.argsort(-found.confidence, kind="stable"))
    box = found.box + np.tile(origins[found.image][:, ::-1], 2)
    kept = np.zeros(len(found), bool)
    for label in np.unique(found.label):
        rows = np.flatnonzero(found.label == label)
        kept[rows[suppress(box[rows], IOU, TOP)]] = True
    return replace(found, image=np.zeros_like(found.image), box=box).take(np.flatnonzero(kept)[:TOP])


def detect_films(model: keras.Model, films: Iterable[Film | NDArray], **options: Any) -> Detections:
    """Return what a network finds on whole films, one after the other; `image` counts them. Options of `detect`."""
    parts = [
        (np.full(len(found), number), found.label, found.confidence, found.box)
        for number, found in enumerate(detect(model, film, **options) for film in films)
    ]
    return Detections(*(np.concatenate(v) for v in zip(*parts, strict=True))) if parts else Detections()


@dataclass(frozen=True)
class Report:
    """What was found on one file.

    Attributes:
        shape, spacing_mm: of the picture, rows first; the spacing is None if unknown.
        examined, windows: its shape as the network saw it, and in how many windows; 0 where all of it is background.
        found: in pixels of the picture, cut off at its border; `classes` names the labels.
        brightest: the picture's highest grey level.
    """

    image: str
    weights: str
    shape: tuple[int, int]
    spacing_mm: tuple[float, float] | None
    examined: tuple[int, int]
    windows: int
    confidence_above: float
    found: Detections
    brightest: int
    classes: tuple[str, ...]

    def table(self) -> str:
        """Return the detections as lines of text."""
        scale = "unknown spacing" if self.spacing_mm is None else " x ".join(f"{s:g} mm" for s in self.spacing_mm)
        lines = [
            f"{self.image}: {self.shape[1]} x {self.shape[0]} pixels, {scale}; "
            f"examined at {self.examined[1]} x {self.examined[0]} in {self.windows} windows, weights {self.weights}"
        ]
        if len(self.found):
            lines.append(f"{'class':<10} {'confidence':>10} {'left':>8} {'top':>8} {'right':>8} {'bottom':>8}")
        elif self.windows:
            lines.append(f"nothing found with a confidence above {self.confidence_above:g}")
        else:
            lines.append(
                f"no window was examined: all of the picture is background, its grey levels end at {self.brightest} of "
                "255; was it saved on another scale?"
            )
        for row in self._rows():
            lines.append(f"{row['class']:<10} {row['confidence']:>10.3f} " + " ".join(f"{v:8.1f}" for v in row["box"]))
        return "\n".join([*lines, NOTICE])

    def json(self) -> str:
        """Return the same as JSON; boxes are left, top, right, bottom in pixels of the picture."""
        facts = {name: value for name, value in vars(self).items() if name not in ("found", "brightest", "classes")}
        return json.dumps({"notice": NOTICE, **facts, "detections": self._rows()}, indent=1)

    def _rows(self) -> list[dict]:
        f = self.found
        return [
            {"class": self.classes[k - 1], "confidence": round(float(c), 4), "box": [round(float(v), 2) for v in b]}
            for k, c, b in zip(f.label, f.confidence, f.box, strict=True)
        ]


def detect_file(
    image: str | Path,
    detector: keras.Model | Detector,
    out: str | Path | None = None,
    confidence: float = 0.3,
    spacing: float | None = None,
    name: str = "given",
) -> Report:
    """Find lesions on a PGM, PNG or DICOM file; what `mammolib detect` does.

    Args:
        image: the file; see `images.read_grey` for how it becomes grey levels.
        detector: a network, or a fitted detector of whole films, for up to 1024 x 1024 pixels of 0.2 mm.
        out: where to write the picture with boxes, as PNG; None to write none.
        confidence: what a detection must exceed to be reported.
        spacing: millimetres a pixel, if the file does not say or is wrong.
        name: what the report calls the detector.

    Raises:
        FileNotFoundError, ValueError, OSError: one line that names the file and what is wrong with it.
    """
    if not 0 <= confidence <= 1:
        raise ValueError(f"confidence: must lie between 0 and 1, got {confidence:g}")
    image, grey = Path(image), read_grey(image)
    picture, known = grey.bytes(), grey.spacing if spacing is None else (spacing, spacing)
    pixels = at_film_scale(picture, known, image)
    if out is not None and Path(out).resolve() == image.resolve():
        raise ValueError(f"{out}: would overwrite the picture itself; give another name")
    if out is not None and not Path(out).resolve().parent.is_dir():
        raise FileNotFoundError(f"{out}: there is no folder {Path(out).parent}")
    classes: tuple[str, ...] = ("lesion",)
    shown = 1
    if isinstance(detector, keras.Model):
        found = detect(detector, pixels, confidence=confidence)
        n = detector.output_shape[-1] - 5
        classes = CLASSES if n == len(CLASSES) else tuple(f"class {k}" for k in range(1, n + 1))
        shown = len(windows(pixels, layout_of(detector).size))
    else:
        found = detector.predict([_film_of(pixels, image)])
        found = found.take(found.confidence > confidence)
    scale = np.array(pixels.shape) / picture.shape
    box = clip(found.box / np.tile(scale[::-1], 2), *picture.shape[::-1])
    seen = np.flatnonzero((box[:, 2:] > box[:, :2]).all(axis=1))  # a box may lie beside the picture altogether
    found = replace(found, box=box).take(seen)
    if out is not None:
        draw(picture, found, classes, NOTICE, out)
    facts = (str(image), name, picture.shape, known, pixels.shape, shown, confidence)
    return Report(*facts, found, int(picture.max()), classes)


def _film_of(pixels: NDArray[np.uint8], path: Path) -> Film:
    """Return a picture as a film of 1024 x 1024 pixels, black where it does not reach."""
    if max(pixels.shape) > SIDE:
        size = f"{pixels.shape[1]} x {pixels.shape[0]}"
        raise ValueError(f"{path}: {size} pixels of 0.2 mm; this detector takes up to {SIDE} x {SIDE}")

    class Picture(Film):
        def pixels(self) -> NDArray[np.uint8]:
            return crop(pixels, SIDE / 2, SIDE / 2, SIDE)

    return Picture("mdb000", "G", (), path)


def load_detector(path: str | Path, **options: Any) -> keras.Model:
    """Return the network in a file.

    Args:
        path: a `.keras` file, or a `.weights.h5` file: width, classes and kind are read off its shapes.
        **options: of `model.build`, to overrule what a `.weights.h5` file says of `mean` and `divide_by`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: another kind of file, a damaged one, or weights that do not fit; names the layer.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file of weights; none ship, a training run writes them")
    if path.name.endswith(".weights.h5"):
        weights, centre = _read_h5(path)
        return from_arrays(weights, str(path), **{**centre, **options})
    if path.suffix != ".keras":
        raise ValueError(f"{path}: weights come as .keras or .weights.h5 files")
    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as err:  # zip, JSON, h5py and Keras itself
        raise ValueError(f"{path}: cannot be read as a Keras model ({_line(err)})") from None
    layout_of(model)
    for variable in model.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(variable)).all():
            raise ValueError(f"{path}: {variable.path} holds a number that is not finite")
    return model


def from_arrays(weights: Sequence[tuple[str, NDArray]], source: str = "weights", **options: Any) -> keras.Model:
    """Return the network that arrays belong to, filled with them; size, width, classes and kind follow from the shapes.

    Args:
        weights: ("layer/variable", array) in a layer's own order, as `training.read_weights` gives them.
        source: what an error calls them.
        **options: of `model.build` for what shapes do not show: `mean`, `divide_by`.

    Raises:
        ValueError: a layer is missing, unknown or does not fit; names it.
    """
    layers: dict[str, list[NDArray]] = {}
    for path, value in weights:
        if np.ndim(value) == 0 or not np.isfinite(value).all():
            raise ValueError(f"{source}: {path} must be an array of finite numbers, got shape {np.shape(value)}")
        layers.setdefault(path.split("/")[0], []).append(np.asarray(value))
    for name in ("conv1_1", "fc6", "conv9_2", "conv9_2_conf"):
        if name not in layers:
            raise ValueError(f"{source}: holds no layer {name}, so these are not the weights of an SSD")
    layout = SSD512 if "conv10_2" in layers else {2: SSD256, 3: SSD300}.get(layers["conv9_2"][0].shape[0], SSD256)
    try:
        model = build(
            layout,
            classes=max(1, layers["conv9_2_conf"][-1].size // layout.per_cell[-1] - 1),
            separable=len(layers["conv1_1"]) == 3,
            width=layers["fc6"][-1].size / 1024,
            **{"channels": 1 if layout == SSD256 else 3, **options},
        )
    except (ValueError, TypeError) as err:
        raise ValueError(f"{source}: no SSD has weights of these shapes ({_line(err)})") from None
    for layer in model.layers:
        values = layers.pop(layer.name, [])
        have, need = [v.shape for v in values], [tuple(w.shape) for w in layer.weights]
        if have != need:
            raise ValueError(f"{source}: layer {layer.name} has weights of shapes {have}, the network wants {need}")
        layer.set_weights(values)
    if layers:
        raise ValueError(f"{source}: holds a layer {next(iter(layers))}, which the network does not have")
    return model


def _read_h5(path: Path) -> tuple[list[tuple[str, NDArray]], dict[str, Any]]:
    """Read what Keras's `save_weights` wrote, with the names that its layers had, and how its input was centred."""
    import h5py

    weights: list[tuple[str, NDArray]] = []
    centre: dict[str, Any] = {}

    def values(group: h5py.Group, key: str) -> NDArray:
        """Return numbers that lie in this very file; a link or an empty promise of terabytes could stand there."""
        place = f"{group.name}/{key}"
        if not isinstance(group.get(key, getlink=True), h5py.HardLink) or not isinstance(group[key], h5py.Dataset):
            raise ValueError(f"{place} is no data set of this file")
        data = group[key]
        if data.is_virtual or data.external or data.dtype.kind not in "fiu" or data.nbytes > path.stat().st_size:
            raise ValueError(f"{place} holds {data.dtype} {data.shape} that is not in this file")
        if not np.isfinite(data[()]).all():
            raise ValueError(f"{place} holds a number that is not finite")
        return np.asarray(data[()])

    def visit(_: str, group: Any) -> None:
        if isinstance(group, h5py.Group) and "name" in group.attrs:
            if "divide_by" in group:
                centre.update(mean=values(group, "mean").tolist(), divide_by=float(values(group, "divide_by")))
            else:
                weights.extend((f"{group.attrs['name']}/{row}", values(group, row)) for row in sorted(group, key=int))

    try:
        with h5py.File(path) as file:
            file.visititems(visit)
    except Exception as err:  # what HDF5 and h5py make of a damaged file has many types
        raise ValueError(f"{path}: cannot be read as Keras weights ({_line(err)})") from None
    return weights, centre


def _line(err: Exception) -> str:
    return " ".join(str(err).split())[:200]
