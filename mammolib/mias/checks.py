"""Whether a copy of mini-MIAS is whole, where it lies on this machine, and a digest that names a data set."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mammolib.mias.films import FORMATS, SIDE, Film, info_file, read_pixels

LICENCE = "Licence.txt"
"""Comes with the films and is kept beside them; not data, so its bytes are not checked."""

VARIABLE = "MAMMOLIB_MIAS"
"""The environment variable that can name the folder of the films."""


DIGESTS = {
    "0d62e92f889b9e550af4f22b6eac5ea290c5320258fd5a5c16a5ad6471a717f4": "all 322 films",
    "beb0318091facd611f8c057b1ecfc5be0d5fc1a0de4d654f1fcbbf879ce78203": "the 115 films with lesions",
}
"""What `digest` gives for mini-MIAS as distributed, and for the part of it that Experiments A to E see; a folder that
holds one of them is mini-MIAS, whatever its name."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a copy of mini-MIAS.

    Attributes:
        name: the file, such as "mdb001.pgm".
        kind: "missing", "damaged" or "unknown".
        what: what is wrong, in words.
    """

    name: str
    kind: str
    what: str

    def __str__(self) -> str:
        return f"{self.name}: {self.what}"


@cache
def manifest() -> Mapping[str, str]:
    """Return the SHA-256 of every file of mini-MIAS, by name: Info.txt and 322 films."""
    lines = Path(__file__).with_name("sha256.txt").read_text(encoding="ascii").splitlines()
    return {name: digest_ for digest_, name in map(str.split, lines)}


def check(folder: str | Path, expected: Mapping[str, str] | None = None) -> list[Problem]:
    """Compare a folder with mini-MIAS as it is distributed, file by file.

    A film in another format than PGM is right if its pixels are.

    Args:
        folder: the copy.
        expected: SHA-256 by name; mini-MIAS if None.

    Returns:
        What is missing or damaged, in the order of the distribution, then what does not belong to it; empty if the copy
        is whole. Hidden files and the licence are not looked at.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    folder = Path(folder)
    expected = manifest() if expected is None else expected
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: there is no such folder; `mammolib data fetch` downloads mini-MIAS")
    there = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    copies = {name: copy_of(name, there) for name in expected}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        problems = pool.map(lambda name: _problem(folder, name, copies[name], expected[name]), expected)
    known = {*copies.values(), LICENCE}
    unknown = [Problem(name, "unknown", "unknown, no part of the data set") for name in there if name not in known]
    return [problem for problem in problems if problem] + unknown


def digest(films: Iterable[Film]) -> str:
    """Return one SHA-256 over the annotations and the pixels of some films, in hexadecimal.

    The same films give the same digest in whatever format their images are kept.
    """
    films = list(films)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pixels = pool.map(lambda film: hashlib.sha256(film.pixels()).hexdigest(), films)
        total = hashlib.sha256()
        for film, image in zip(films, pixels, strict=True):
            rows = [(x.kind, x.severity, *(_number(v) for v in (x.row, x.column, x.radius))) for x in film.lesions]
            total.update(f"{film.reference} {film.tissue} {rows} {image}\n".encode())
    return total.hexdigest()


def default_folder() -> Path:
    """Return where `fetch` puts the films unless told otherwise, and where `find` looks last: the user's cache."""
    import pooch

    return pooch.os_cache("mammolib") / "mini-MIAS"


def find(folder: str | Path | None = None) -> Path:
    """Return the folder of the films: the given one, else the one MAMMOLIB_MIAS names, else the user's cache.

    Raises:
        FileNotFoundError: there is no Info.txt; says where it looked and how to get the films.
    """
    if folder is not None:
        where, source = Path(folder), "the folder given"
    elif os.environ.get(VARIABLE):
        where, source = Path(os.environ[VARIABLE]), f"the environment variable {VARIABLE}"
    else:
        where, source = default_folder(), "the cache"
    if not info_file(where).is_file():
        raise FileNotFoundError(
            f"{where} ({source}) holds no Info.txt; get mini-MIAS with `mammolib data fetch` or name a copy"
        )
    return where


def copy_of(name: str, there: list[str]) -> str | None:
    """Return the file that stands for `name`: itself, in capitals, or the same film in another format."""
    by_lower_case = {other.lower(): other for other in reversed(there)}
    stem, ending = os.path.splitext(name.lower())
    forms = [name.lower(), *(stem + form for form in FORMATS if ending == ".pgm")]
    return name if name in there else next((by_lower_case[form] for form in forms if form in by_lower_case), None)


def as_distributed(copy: Path, name: str) -> bytes:
    """Return the bytes of a file; those of a film in another format become those of the PGM file `name`."""
    if copy.name.lower() == name.lower():
        return copy.read_bytes()
    return b"P5\n%d %d\n255\n" % (SIDE, SIDE) + read_pixels(copy).tobytes()


def _problem(folder: Path, name: str, copy: str | None, expected: str) -> Problem | None:
    if copy is None:
        return Problem(name, "missing", "missing; fetch the films again")
    try:
        if hashlib.sha256(as_distributed(folder / copy, name)).hexdigest() == expected:
            return None
        if name != "Info.txt":
            read_pixels(folder / copy)  # says what is wrong, if the file itself shows it
        reason = "its bytes are not those that were distributed; fetch it again"
    except (ValueError, OSError) as err:
        reason = str(err).removeprefix(f"{folder / copy}: ")
    return Problem(copy, "damaged", f"damaged: {reason}")


def _number(value: float | None) -> str:
    """Return a coordinate in words that do not depend on its type: 30 and 30.0 are the same."""
    return "-" if value is None else repr(float(value))
