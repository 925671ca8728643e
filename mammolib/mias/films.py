"""The mini-MIAS layout: one Info.txt with a row for every lesion and one square 8-bit image for every film.

Info.txt counts y from the bottom-left corner (its note 3). Here everything is counted from the top-left one:
row = 1023 - y, column = x. Films of odd number show right breasts, of even number left ones (its note 1), and the films
2w - 1 and 2w are of woman w.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mammolib.geometry import Truths, circle_to_box
from mammolib.images import read_grey

SIDE = 1024
"""Rows and columns of every film."""

TISSUES = {"F": "fatty", "G": "fatty-glandular", "D": "dense-glandular"}
"""Background tissue, second column of Info.txt."""

KINDS = {
    "CALC": "calcification",
    "CIRC": "well-defined mass",
    "SPIC": "spiculated mass",
    "MISC": "ill-defined mass",
    "ARCH": "architectural distortion",
    "ASYM": "asymmetry",
}
"""Class of a lesion, third column of Info.txt; a film without one has NORM there."""

SEVERITIES = {"B": "benign", "M": "malignant"}
"""Severity of a lesion, fourth column of Info.txt."""

FORMATS = (".pgm", ".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg")
"""Endings under which a film is looked for; all but the usual binary PGM are read by scikit-image."""

_REFERENCE = re.compile(r"mdb[0-9]{3,6}")
_WHOLE = re.compile(r"[+-]?[0-9]{1,9}")
_GAP = rb"(?:\s|#[^\r\n]*[\r\n])+"  # white space and comments
_PGM_HEADER = re.compile(rb"P5" + rb"(\d{1,9})".join([_GAP] * 3) + rb"(\d{1,9})\s")


@dataclass(frozen=True)
class Lesion:
    """One annotation row.

    Attributes:
        kind: a key of `KINDS`.
        severity: "B" benign or "M" malignant.
        row, column: centre of the circle around the lesion, in pixels from the top-left corner; None if not located.
        radius: of that circle, in pixels; None if not located.

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
        if not self.radius > 0:
            raise ValueError(f"radius {self.radius} is not positive")
        low, high = min(self.row, self.column) - self.radius, max(self.row, self.column) + self.radius
        if not (low >= 0 and high <= SIDE):
            raise ValueError(
                f"the circle at x {self.column}, y {SIDE - 1 - self.row} with radius {self.radius} "
                f"leaves the film of {SIDE} x {SIDE} pixels"
            )

    @property
    def located(self) -> bool:
        """Whether Info.txt says where the lesion is."""
        return self.radius is not None

    @property
    def box(self) -> NDArray[np.floating]:
        """The (4,) `xyxy` square around the circle, in pixels."""
        if not self.located:
            raise ValueError(
                f"this lesion ({self.kind} {self.severity}) has no centre, so it has no box: ask .located first"
            )
        return circle_to_box(self.row, self.column, self.radius)

    @property
    def label(self) -> int:
        """1 benign, 2 malignant; 0 is left for background."""
        return 1 if self.severity == "B" else 2


@dataclass(frozen=True)
class Film:
    """One film: what Info.txt says of it and where its pixels are.

    Attributes:
        reference: such as "mdb001".
        tissue: a key of `TISSUES`.
        lesions: its annotation rows, in the order of Info.txt; none if the film is normal.
        path: the image.
    """

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
        """The woman the film is of: films 1 and 2 are of woman 1, films 3 and 4 of woman 2, and so on."""
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

    def pixels(self) -> NDArray[np.uint8]:
        """Read the film: (1024, 1024) grey values, 0 black to 255 white, the first row at the top."""
        return read_pixels(self.path)


def read_info(path: str | Path) -> list[tuple[str, str, tuple[Lesion, ...]]]:
    """Read the annotation rows of an Info.txt; the prose around them is skipped.

    Args:
        path: the file.

    Returns:
        (reference, tissue, lesions) for every film, by number.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a row cannot be understood or contradicts another; names file, line and value.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file; a data folder has its annotations in Info.txt")
    tissues: dict[str, tuple[str, int]] = {}
    rows: dict[str, list[Lesion | None]] = {}
    for number, line in enumerate(path.read_text(encoding="latin-1").split("\n"), 1):
        fields = line.split()
        if not _is_row(fields):
            continue
        try:
            reference, tissue, lesion = _row(fields)
            before, line_before = tissues.setdefault(reference, (tissue, number))
            if tissue != before:
                raise ValueError(f"{reference} has tissue {tissue} here and {before} in line {line_before}")
            known = rows.setdefault(reference, [])
            if lesion in known:
                raise ValueError(f"this row of {reference} is there twice")
            if known and None in (lesion, *known):
                raise ValueError(f"{reference} is NORM in one row and has a lesion in another")
        except ValueError as err:
            raise ValueError(f"{path}, line {number}: {err}") from None
        known.append(lesion)
    if not rows:
        raise ValueError(f"{path}: no line names a film, such as 'mdb123 F NORM'")
    order = sorted(rows, key=lambda reference: int(reference[3:]))
    return [(r, tissues[r][0], tuple(lesion for lesion in rows[r] if lesion)) for r in order]


def load(folder: str | Path) -> list[Film]:
    """Read a data folder in the mini-MIAS layout.

    Info.txt is read whole; of the images only the headers of PGM files are looked at, so a film that is empty, cut
    short or of a wrong size is found now and not an hour into a run. Pixels are read when `Film.pixels` asks for them.

    Args:
        folder: holds Info.txt and one image a film, as PGM, PNG or another of `FORMATS`.

    Returns:
        The films, by number.

    Raises:
        FileNotFoundError: no folder, no Info.txt, or a film that Info.txt lists has no image.
        ValueError: a bad row or image, an image that Info.txt does not list, or two images of one film.
    """
    folder = Path(folder)
    images = find_images(folder)
    listed = read_info(info_file(folder))
    missing = [reference for reference, _, _ in listed if reference not in images]
    if missing:
        raise FileNotFoundError(
            f"{folder}: Info.txt lists {missing[0]}{_and_more(missing)}, but there is no image {missing[0]}.pgm "
            f"(or .png, .tif ...); `mammolib data check` says all that is missing"
        )
    unknown = sorted(images.keys() - {reference for reference, _, _ in listed})
    if unknown:
        raise ValueError(
            f"{images[unknown[0]]}: Info.txt does not list {unknown[0]}{_and_more(unknown)}; add its row or remove it"
        )
    films = [Film(reference, tissue, lesions, images[reference]) for reference, tissue, lesions in listed]
    for film in films:
        if film.path.suffix.lower() == ".pgm":
            _pixel_offset(film.path)
    return films


def find_images(folder: str | Path) -> dict[str, Path]:
    """Return the image of every film in a folder, by reference.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: a film has two images.
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
    return images


def info_file(folder: str | Path) -> Path:
    """Return the path of a folder's Info.txt, however its name is capitalised."""
    folder = Path(folder)
    there = sorted(p for p in folder.iterdir() if p.name.lower() == "info.txt") if folder.is_dir() else []
    return there[0] if there else folder / "Info.txt"


def read_pixels(path: str | Path) -> NDArray[np.uint8]:
    """Read one image of 1024 x 1024 pixels of 8 bits; binary PGM directly, other formats as `images.read_grey` does.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is empty, cut short, of another size or depth, coloured, or no image; names the film.
    """
    path = Path(path)
    offset = _pixel_offset(path) if path.suffix.lower() == ".pgm" else None
    if offset is None:
        return _read_any(path)
    return np.fromfile(path, np.uint8, SIDE * SIDE, offset=offset).reshape(SIDE, SIDE)


def single_lesion_films(films: list[Film]) -> list[Film]:
    """Return the films with exactly one row that has a centre: 104 in mini-MIAS."""
    return [film for film in films if film.lesions and film.kept]


def usable_films(films: list[Film]) -> list[Film]:
    """Return the films the paper's rule keeps, normal ones included: 311 in mini-MIAS."""
    return [film for film in films if film.kept]


def film_truths(films: Sequence[Film]) -> Truths:
    """Return the located lesions of whole films as truths, in film pixels; a normal film is an image without a lesion.

    A film with a lesion that was not located has truths nobody knows: it is refused.

    Raises:
        ValueError: a lesion without a centre; names the film.
    """
    for film in films:
        if not all(lesion.located for lesion in film.lesions):
            raise ValueError(f"films: {film.reference} has a lesion without a centre; leave the film out")
    found = [(i, lesion.label, lesion.box) for i, film in enumerate(films) for lesion in film.lesions]
    image, label, box = zip(*found, strict=True) if found else ((), (), ())
    return Truths(np.array(image, int), np.array(label, int), np.array(box, float).reshape(-1, 4), len(films))


def _is_row(fields: list[str]) -> bool:
    """Tell a row from the prose: by its reference or, should that be misspelt, by tissue and class."""
    if len(fields) >= 3 and fields[1] in TISSUES and fields[2] in (*KINDS, "NORM"):
        return True
    return bool(fields) and fields[0].startswith("mdb")


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


def _one_of(what: str, value: str, known: dict[str, str] | tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{what} {value!r} is unknown; there are {', '.join(known)}")


def _and_more(names: list[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""


def _pixel_offset(path: Path) -> int | None:
    """Check the header and the length of a PGM file and return where its pixels begin; None if it is not binary PGM."""
    try:
        with path.open("rb") as file:
            head = file.read(1 << 16)
            length = file.seek(0, 2)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path}: the film is not there any more; `mammolib data check` says what is missing"
        ) from None
    if not length:
        raise ValueError(f"{path}: the file is empty; fetch the film again")
    if not head.startswith(b"P5"):
        return None
    header = _PGM_HEADER.match(head)
    if not header:
        raise ValueError(f"{path}: the header is not that of a PGM file; fetch the film again")
    width, height, white = map(int, header.groups())
    if white != 255:
        depth = "16-bit " if white > 255 else ""
        raise ValueError(f"{path}: a {depth}PGM with white at {white}; convert the film to 8 bits with white at 255")
    if (height, width) != (SIDE, SIDE):
        raise ValueError(f"{path}: {width} x {height} pixels; films have {SIDE} x {SIDE}")
    expected = header.end() + SIDE * SIDE
    if length != expected:
        fault = "is cut short" if length < expected else "is too long"
        raise ValueError(f"{path}: the file {fault}, {length} bytes where {expected} belong; fetch the film again")
    return header.end()


def _read_any(path: Path) -> NDArray[np.uint8]:
    try:
        grey = read_grey(path)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: the film is not there any more") from None
    except ValueError as err:
        raise ValueError(f"{err}; fetch or convert the film again") from None
    if grey.values.dtype != np.uint8:
        raise ValueError(f"{path}: deeper than 8 bits; convert the film to 8 bits")
    if grey.coloured:
        raise ValueError(f"{path}: a picture in colour; films are grey")
    if grey.values.shape != (SIDE, SIDE):
        raise ValueError(f"{path}: an image of shape {grey.values.shape}; films have {SIDE} x {SIDE} pixels")
    return grey.bytes()
