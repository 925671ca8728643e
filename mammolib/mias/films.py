"""The mini-MIAS layout: one Info.txt with a row for every lesion and one square 8-bit image for every film.

Info.txt counts y from the bottom-left corner (its note 3). Here everything is counted from the top-left one:
row = 1023 - y, column = x. Films of odd number show right breasts, of even number left ones (its note 1), and the films
2w - 1 and 2w are of woman w.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mammolib.geometry import Truths, circle_to_box
from mammolib.images import read_grey

SIDE = 1024  # rows and columns of every film
CROP = 256  # side of the paper's lesion-centred crops, in pixels (section 2)
FORMATS = (".pgm", ".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg")  # endings under which a film is looked for

# The codes in columns 2, 3 and 4 of Info.txt; a film without a lesion has NORM for its kind
TISSUES = {"F": "fatty", "G": "fatty-glandular", "D": "dense-glandular"}
KINDS = {
    "CALC": "calcification",
    "CIRC": "well-defined mass",
    "SPIC": "spiculated mass",
    "MISC": "ill-defined mass",
    "ARCH": "architectural distortion",
    "ASYM": "asymmetry",
}
SEVERITIES = {"B": "benign", "M": "malignant"}

_REFERENCE = re.compile(r"mdb[0-9]{3,6}")
_WHOLE = re.compile(r"[+-]?[0-9]{1,9}")


@dataclass(frozen=True)
class Lesion:
    """One annotation row: a key of `KINDS`, one of `SEVERITIES`, and the circle around the lesion if it is located.

    Row, column and radius are in pixels from the top-left corner.

    Raises:
        ValueError: a code nobody knows, half a location, a radius that is not positive, a circle that leaves the film.

    Example:
        The row "mdb999 G CIRC B 530 420 190", y counted from the bottom:

        >>> lesion = Lesion("CIRC", "B", row=1023 - 420, column=530, radius=190)
        >>> lesion.label, lesion.box
        (1, array([340., 413., 720., 793.]))
    """

    kind: str
    severity: str
    row: float | None = None
    column: float | None = None
    radius: float | None = None

    def __post_init__(self) -> None:
        _one_of("class of lesion", self.kind, KINDS)
        _one_of("severity", self.severity, SEVERITIES)
        where = (self.row, self.column, self.radius)
        if where == (None, None, None):
            return
        if None in where:
            raise ValueError(f"row, column and radius: give all three or none, got {where}")
        row, column, radius = self.circle
        if not radius > 0:
            raise ValueError(f"radius {radius} is not positive")
        if not (min(row, column) - radius >= 0 and max(row, column) + radius <= SIDE):
            circle = f"the circle at x {column}, y {SIDE - 1 - row} with radius {radius}"
            raise ValueError(f"{circle} leaves the film of {SIDE} x {SIDE} pixels")

    @property
    def located(self) -> bool:
        """Whether Info.txt says where the lesion is."""
        return self.radius is not None

    @property
    def circle(self) -> tuple[float, float, float]:
        """Row, column and radius, in pixels; a ValueError if the lesion is not located."""
        if self.row is None or self.column is None or self.radius is None:
            what = f"{self.kind} {self.severity}"
            raise ValueError(f"this lesion ({what}) has no centre, so it has no box: ask .located first")
        return self.row, self.column, self.radius

    @property
    def box(self) -> NDArray[np.floating]:
        """The (4,) `xyxy` square around the circle, in pixels."""
        return circle_to_box(*self.circle)

    def crop_leaves_film(self, size: int = CROP) -> bool:
        """Whether the crop of this side centred on the lesion reaches beyond the film."""
        low, high = (math.floor(end(self.circle[:2])) - size // 2 for end in (min, max))
        return low < 0 or high + size > SIDE

    @property
    def label(self) -> int:
        """1 benign, 2 malignant; 0 is left for background."""
        return 1 if self.severity == "B" else 2


@dataclass(frozen=True)
class Film:
    """One film, such as "mdb001": a key of `TISSUES`, its lesions in the order of Info.txt, and its image."""

    reference: str
    tissue: str
    lesions: tuple[Lesion, ...]
    path: Path

    @property
    def number(self) -> int:
        """The number in the reference, from 1."""
        return int(self.reference[3:])

    @property
    def woman(self) -> int:
        """The woman: films 1 and 2 are of woman 1, films 3 and 4 of woman 2, and so on."""
        return (self.number + 1) // 2

    @property
    def side(self) -> str:
        """The breast, "left" for even numbers and "right" for odd ones."""
        return "right" if self.number % 2 else "left"

    @property
    def severity(self) -> str:
        """ "normal", "benign", "malignant", or "mixed" for a film with lesions of both severities."""
        severities = {lesion.severity for lesion in self.lesions}
        if len(severities) == 2:
            return "mixed"
        return SEVERITIES[severities.pop()] if severities else "normal"

    @property
    def kept(self) -> bool:
        """Whether the paper's rule (section 2) keeps the film: normal, or a single row that has a centre."""
        return not self.lesions or (len(self.lesions) == 1 and self.lesions[0].located)

    @property
    def placed(self) -> bool:
        """Whether every lesion has a place, so that what is marked elsewhere is surely wrong."""
        return all(lesion.located for lesion in self.lesions)

    def pixels(self) -> NDArray[np.uint8]:
        """Read the film: (1024, 1024) grey values, 0 black to 255 white, the first row at the top."""
        return read_pixels(self.path)


def read_info(path: str | Path) -> list[tuple[str, str, tuple[Lesion, ...]]]:
    """Read the rows of an Info.txt as (reference, tissue, lesions) of every film, by number; its prose is skipped.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a row cannot be understood or contradicts another; names file, line and value.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file; a data folder has its annotations in Info.txt")
    films: dict[str, tuple[str, list[Lesion | None]]] = {}
    for number, line in enumerate(path.read_text(encoding="latin-1").split("\n"), 1):
        fields = line.split()
        named = len(fields) > 2 and fields[1] in TISSUES and fields[2] in (*KINDS, "NORM")  # the reference is misspelt
        if not named and not (fields and fields[0].startswith("mdb")):
            continue
        try:
            reference, tissue, lesion = _row(fields)
            tissue_before, lesions = films.setdefault(reference, (tissue, []))
            if tissue != tissue_before:
                raise ValueError(f"{reference} has tissue {tissue} here and {tissue_before} in an earlier line")
            if lesion in lesions:
                raise ValueError(f"this row of {reference} is there twice")
            if lesions and None in (lesion, *lesions):
                raise ValueError(f"{reference} is NORM in one row and has a lesion in another")
        except ValueError as err:
            raise ValueError(f"{path}, line {number}: {err}") from None
        lesions.append(lesion)
    if not films:
        raise ValueError(f"{path}: no line names a film, such as 'mdb123 F NORM'")
    return [
        (reference, tissue, tuple(lesion for lesion in lesions if lesion))
        for reference, (tissue, lesions) in sorted(films.items(), key=lambda film: int(film[0][3:]))
    ]


def load(folder: str | Path) -> list[Film]:
    """Read a data folder in the mini-MIAS layout: Info.txt and one image a film, in one of `FORMATS`.

    Of the images only header and length are looked at, so a film that is empty, cut short or of a wrong size is found
    now and not an hour into a run. Pixels are read when `Film.pixels` asks for them.

    Returns:
        The films, by number.

    Raises:
        FileNotFoundError: no folder, no Info.txt, or a film that Info.txt lists has no image.
        ValueError: a bad row or image, an image that Info.txt does not list, or two images of one film.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: there is no such folder; `mammolib data fetch` downloads mini-MIAS")
    images: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        reference = path.stem.lower()
        if _REFERENCE.fullmatch(reference) and path.suffix.lower() in FORMATS:
            other = images.setdefault(reference, path)
            if other != path:
                raise ValueError(f"{folder}: {reference} is there twice, as {other.name} and {path.name}; keep one")
    listed = read_info(info_file(folder))
    missing = [reference for reference, _, _ in listed if reference not in images]
    if missing:
        none = f"there is no image {missing[0]}.pgm (or .png, .tif ...); `mammolib data check` says all that is missing"
        raise FileNotFoundError(f"{folder}: Info.txt lists {_and_more(missing)}, but {none}")
    unknown = sorted(images.keys() - {reference for reference, _, _ in listed})
    if unknown:
        what = f"Info.txt does not list {_and_more(unknown)}; add its row or remove it"
        raise ValueError(f"{images[unknown[0]]}: {what}")
    films = [Film(reference, tissue, lesions, images[reference]) for reference, tissue, lesions in listed]
    for film in films:
        _check_header(film.path)
    return films


def info_file(folder: Path) -> Path:
    """Return the path of a folder's Info.txt, however its name is capitalised."""
    named = sorted(p for p in folder.iterdir() if p.name.lower() == "info.txt") if folder.is_dir() else []
    return named[0] if named else folder / "Info.txt"


def read_pixels(path: str | Path) -> NDArray[np.uint8]:
    """Read one image of 1024 x 1024 grey pixels of 8 bits; refuse another as `images.read_grey` does."""
    grey = read_grey(path)
    if grey.values.dtype != np.uint8:
        raise ValueError(f"{path}: deeper than 8 bits; convert the film to 8 bits")
    if grey.coloured:
        raise ValueError(f"{path}: a picture in colour; films are grey")
    if grey.values.shape != (SIDE, SIDE):
        raise ValueError(f"{path}: an image of shape {grey.values.shape}; films have {SIDE} x {SIDE} pixels")
    return grey.bytes()


def single_lesion_films(films: Iterable[Film]) -> list[Film]:
    """Return the films with exactly one row that has a centre: 104 in mini-MIAS."""
    return [film for film in films if film.lesions and film.kept]


def film_truths(films: Sequence[Film]) -> Truths:
    """Return the located lesions of whole films as truths, in film pixels; a normal film is an image without a lesion.

    A film with a lesion that was not located has truths nobody knows: a ValueError names it.
    """
    for film in films:
        if not film.placed:
            raise ValueError(f"films: {film.reference} has a lesion without a centre; leave the film out")
    lesions = [lesion for film in films for lesion in film.lesions]
    return Truths(
        image=np.repeat(np.arange(len(films)), [len(film.lesions) for film in films]),
        label=np.array([lesion.label for lesion in lesions], int),
        box=np.array([lesion.box for lesion in lesions]).reshape(-1, 4),
        n_images=len(films),
    )


def _row(fields: list[str]) -> tuple[str, str, Lesion | None]:
    reference, tissue, kind, severity, *where = fields + [""] * (4 - len(fields))
    if not _REFERENCE.fullmatch(reference) or int(reference[3:]) == 0:
        raise ValueError(f"{reference!r} is not a film's reference, such as mdb001")
    _one_of("tissue", tissue, TISSUES)
    if kind == "NORM":
        if severity:
            raise ValueError(f"{severity!r} after NORM: a normal film has neither severity nor centre")
        return reference, tissue, None
    _one_of("class of lesion", kind, (*KINDS, "NORM"))
    if not where or " ".join(where) == "*NOTE 3*":
        return reference, tissue, Lesion(kind, severity)
    if len(where) != 3:
        raise ValueError(f"expected x, y and radius after {severity}, got {' '.join(where)!r}")
    for name, value in zip(("x", "y", "radius"), where, strict=True):
        if not _WHOLE.fullmatch(value):
            raise ValueError(f"{name} {value!r} is not a whole number of pixels")
    x, y, radius = map(int, where)
    return reference, tissue, Lesion(kind, severity, SIDE - 1 - y, x, radius)


def _one_of(what: str, value: str, known: Collection[str]) -> None:
    if value not in known:
        raise ValueError(f"{what} {value!r} is unknown; there are {', '.join(known)}")


def _and_more(names: list[str]) -> str:
    return f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else names[0]


def _check_header(path: Path) -> None:
    """Refuse an image whose header or length shows that it is no film of 1024 x 1024 pixels."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            width, height = image.size
    except (UnidentifiedImageError, ValueError):
        raise ValueError(f"{path}: cannot be read as a picture; fetch the film again") from None
    if (width, height) != (SIDE, SIDE):
        raise ValueError(f"{path}: {width} x {height} pixels; films have {SIDE} x {SIDE}")
    if path.suffix.lower() == ".pgm" and path.stat().st_size < SIDE * SIDE:
        raise ValueError(f"{path}: the file is cut short; fetch the film again")
