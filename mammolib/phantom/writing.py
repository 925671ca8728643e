"""A data set of phantoms on disk in the mini-MIAS layout: Info.txt, Licence.txt, a PGM a film; whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from mammolib.phantom.anatomy import SIZE
from mammolib.phantom.films import SIDES, Mark, PhantomFilm, film, whole

VERSION = 1
"""Number of the generator: raised whenever it draws other films for the same seed."""

MOST_WOMEN = 499
"""Three digits name a film, and a woman has two."""

PREAMBLE = """\
PHANTOMS, NOT FILMS OF PATIENTS
===============================

Synthetic mammograms made by mammolib, {women} women, seed {seed}, generator {version}. They show nobody. For teaching
and for testing programs; not for clinical use. The layout is that of the MIAS MiniMammographic Database:

1st column: reference number. Odd numbers are right breasts, even numbers left ones; two in a row are one woman.
2nd column: tissue: F fatty, G fatty-glandular, D dense-glandular.
3rd column: class: CALC calcification, CIRC well-defined mass, SPIC spiculated mass, MISC other ill-defined mass,
            ARCH architectural distortion, ASYM asymmetry, NORM normal.
4th column: severity: B benign, M malignant.
5th, 6th:   x and y of the centre, y counted from the bottom-left corner.
7th:        radius in pixels of a circle around the lesion.

NOTE 3: calcifications spread over the whole film have no centre. Some rows are wrong on purpose, as some real ones are.

"""

LICENCE = """\
These phantoms were made by a program (mammolib, MIT licence). They show no person and may be used, changed and passed
on freely. Not for clinical use.
"""


def write(folder: str | Path, women: int = 80, seed: int = 0, jobs: int | None = None) -> Path:
    """Write a data set of phantoms.

    Args:
        folder: to be made; its parent too. A folder that already holds this very set is left as it is.
        women: how many, 1 to 499; each has two films.
        seed: 0 or more. The same seed gives the same films, whatever `women` and `jobs` are.
        jobs: how many processes draw; default: as many as there are cores.

    Returns:
        The folder.

    Raises:
        ValueError: a bad argument; names it and its value.
        FileExistsError: the folder is there and holds something else.
        OSError: the disk is full or the place cannot be written to; nothing is left behind.
    """
    folder = Path(folder).expanduser()
    women, seed = whole("women", women, 1), whole("seed", seed, 0)
    if women > MOST_WOMEN:
        raise ValueError(f"women: at most {MOST_WOMEN}, since three digits name a film; got {women}")
    jobs = whole("jobs", jobs, 1) if jobs is not None else os.cpu_count() or 1
    heading = PREAMBLE.format(women=women, seed=seed, version=VERSION)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if _holds(folder, heading, women):
            return folder
        raise FileExistsError(f"{folder}: holds something else than these phantoms; name another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        rows = [row for rows in _draw(part, women, seed, jobs) for row in rows]
        (part / "Licence.txt").write_text(LICENCE)
        (part / "Info.txt").write_text(heading + "\n".join(rows) + "\n")
        part.chmod(0o755)
        try:
            os.replace(part, folder)
        except OSError:  # another process was faster
            if not _holds(folder, heading, women):
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def ensure(cache: str | Path, women: int = 80, seed: int = 0) -> Path:
    """Return the folder of a data set of phantoms inside `cache`, writing it if it is not there.

    Safe when two processes ask at once: both draw, one is first, both get the same folder.
    """
    women, seed = whole("women", women, 1), whole("seed", seed, 0)
    return write(Path(cache) / f"phantoms-v{VERSION}-{women}-women-seed-{seed}", women, seed)


def _holds(folder: Path, heading: str, women: int) -> bool:
    """Say whether a folder is a whole set with this heading: Info.txt is written last, and every film has its size."""
    info = folder / "Info.txt"
    if not info.is_file() or not info.read_text(errors="replace").startswith(heading):
        return False
    names = [folder / f"mdb{n:03d}.pgm" for n in range(1, 2 * women + 1)]
    return all(p.is_file() and p.stat().st_size == len(_header()) + SIZE * SIZE for p in names)


def _draw(part: Path, women: int, seed: int, jobs: int) -> Iterator[list[str]]:
    """Draw every film into a folder; yield the rows of each, in order."""
    numbers = range(1, 2 * women + 1)
    if jobs == 1:
        yield from map(_write_film, repeat(part), repeat(seed), numbers)
        return
    # spawn: a forked child of a notebook that has loaded TensorFlow may hang
    with ProcessPoolExecutor(min(jobs, len(numbers)), mp_context=get_context("spawn")) as pool:
        try:
            yield from pool.map(_write_film, repeat(part), repeat(seed), numbers, chunksize=4)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _write_film(part: Path, seed: int, number: int) -> list[str]:
    drawn = film(seed, (number + 1) // 2, SIDES[(number + 1) % 2])
    (part / f"{drawn.reference}.pgm").write_bytes(_header() + np.ascontiguousarray(drawn.pixels).tobytes())
    return [_row(drawn, mark) for mark in drawn.marks] or [f"{drawn.reference} {drawn.tissue} NORM"]


def _row(drawn: PhantomFilm, mark: Mark) -> str:
    start = f"{drawn.reference} {drawn.tissue} {mark.kind} {mark.severity}"
    if mark.row is None:
        return f"{start} *NOTE 3*" if mark.widespread else start
    return f"{start} {mark.column} {SIZE - 1 - mark.row} {mark.radius}"


def _header() -> bytes:
    return b"P5\n%d %d\n255\n" % (SIZE, SIZE)
