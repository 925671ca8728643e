"""Copies of mini-MIAS: get one, find it, verify it file by file, name it by a digest, and pack a part of it."""

from __future__ import annotations

import gzip
import hashlib
import io
import logging
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path, PurePosixPath

from mammolib.files import atomic, draft_folder
from mammolib.mias.films import FORMATS, SIDE, Film, info_file, load, read_pixels

URL = "http://peipa.essex.ac.uk/pix/mias/all-mias.tar.gz"  # of the Pilot European Image Processing Archive
LICENCE = "Licence.txt"  # comes with the films and is kept beside them; not data, so its bytes are not checked
VARIABLE = "MAMMOLIB_MIAS"  # the environment variable that can name the folder of the films
ATTEMPTS = 3  # how often a download is begun before giving up
PARTS = ("lesions", "normal")  # what `pack` can pack: Experiments A to E see no normal film

CITATION = (
    "J. Suckling et al. (1994). The Mammographic Image Analysis Society Digital Mammogram Database. "
    "Excerpta Medica, International Congress Series 1069, pp. 375-378."
)
"""What a publication that uses the films must refer to."""

NOTICE = (
    "mini-MIAS belongs to the Mammographic Image Analysis Society. Its licence lets you use and change the films for "
    "research only, asks you to refer to the database in whatever you publish, and forbids renting, leasing or selling "
    f"it. {LICENCE}, which comes with the films, has the full terms; who installs them accepts these. The films are "
    "for teaching and research, not for clinical use."
)
"""The licence in short; our words, not a substitute for it."""

DIGESTS = {
    "0d62e92f889b9e550af4f22b6eac5ea290c5320258fd5a5c16a5ad6471a717f4": "all 322 films",
    "beb0318091facd611f8c057b1ecfc5be0d5fc1a0de4d654f1fcbbf879ce78203": "the 115 films with lesions",
}
"""What `digest` gives for mini-MIAS as distributed, and for the part of it that Experiments A to E see; a folder that
holds one of them is mini-MIAS, whatever its name."""

_log = logging.getLogger(__name__)


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
        where, source = _cache(), "the cache"
    if not info_file(where).is_file():
        get = "get mini-MIAS with `mammolib data fetch` or name a copy"
        raise FileNotFoundError(f"{where} ({source}) holds no Info.txt; {get}")
    return where


def _cache() -> Path:
    import pooch

    return pooch.os_cache("mammolib") / "mini-MIAS"


@cache
def manifest() -> Mapping[str, str]:
    """Return the SHA-256 of every file of mini-MIAS, by name: Info.txt and 322 films."""
    lines = Path(__file__).with_name("sha256.txt").read_text(encoding="ascii").splitlines()
    return {name: digest_ for digest_, name in map(str.split, lines)}


@dataclass(frozen=True)
class Problem:
    """What is wrong with one file of a copy, in words; its kind is "missing", "damaged" or "unknown"."""

    name: str
    kind: str
    what: str

    def __str__(self) -> str:
        return f"{self.name}: {self.what}"


def check(folder: str | Path) -> list[Problem]:
    """Compare a folder with mini-MIAS as it is distributed; a film in another format than PGM counts by its pixels.

    Returns:
        What is missing or damaged, in the order of the distribution, then what does not belong to it; empty if the copy
        is whole. Hidden files and the licence are not looked at.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: there is no such folder; `mammolib data fetch` downloads mini-MIAS")
    there = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    copies = {name: _copy_of(name, there) for name in manifest()}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        problems = [found for found in pool.map(partial(_problem, folder), copies, copies.values()) if found]
    unknown = [name for name in there if name not in {*copies.values(), LICENCE}]
    return problems + [Problem(name, "unknown", "unknown, no part of the data set") for name in unknown]


def _copy_of(name: str, there: list[str]) -> str | None:
    """Return the file that stands for `name`: itself, in capitals, or the same film in another format."""
    by_lower_case = {other.lower(): other for other in reversed(there)}
    stem, ending = os.path.splitext(name.lower())
    forms = [name.lower(), *(stem + form for form in FORMATS if ending == ".pgm")]
    return name if name in there else next((by_lower_case[form] for form in forms if form in by_lower_case), None)


def _as_distributed(copy: Path, name: str) -> bytes:
    """Return the bytes of a file; those of a film in another format become those of the PGM file `name`."""
    if copy.name.lower() == name.lower():
        return copy.read_bytes()
    return b"P5\n%d %d\n255\n" % (SIDE, SIDE) + read_pixels(copy).tobytes()


def _problem(folder: Path, name: str, copy: str | None) -> Problem | None:
    if copy is None:
        return Problem(name, "missing", "missing; fetch the films again")
    try:
        if hashlib.sha256(_as_distributed(folder / copy, name)).hexdigest() == manifest()[name]:
            return None
        if name != "Info.txt":
            read_pixels(folder / copy)  # says what is wrong, if the file itself shows it
        reason = "its bytes are not those that were distributed; fetch it again"
    except (ValueError, OSError) as err:
        reason = str(err).removeprefix(f"{folder / copy}: ")
    return Problem(copy, "damaged", f"damaged: {reason}")


def digest(films: Iterable[Film]) -> str:
    """Return one SHA-256 over annotations and pixels of some films, in whatever format their images are kept."""
    total = hashlib.sha256()
    for film in films:
        image = hashlib.sha256(film.pixels().data).hexdigest()
        rows = [(x.kind, x.severity, *map(_number, (x.row, x.column, x.radius))) for x in film.lesions]
        total.update(f"{film.reference} {film.tissue} {rows} {image}\n".encode())
    return total.hexdigest()


def _number(value: float | None) -> str:
    """Return a coordinate in words that do not depend on its type: 30 and 30.0 are the same."""
    return "-" if value is None else repr(float(value))


def part_of(folder: str | Path) -> str | None:
    """Return which of `DIGESTS` a folder holds, in words; None if it holds none of them."""
    try:
        return DIGESTS.get(digest(load(folder)))
    except (ValueError, OSError):
        return None


def fetch(source: str | Path | None = None, to: str | Path | None = None) -> Path:
    """Put a verified copy of mini-MIAS into a folder; a folder that already holds one is left as it is.

    The work is done in a hidden folder beside the target, which gets its name only when every file has been verified.
    On any error, and on Ctrl-C, that folder is removed.

    Args:
        source: an archive (.tar or .tar.gz) or a folder on this machine; downloaded from `URL` if None.
        to: the target; the user's cache if None, where `find` finds it again.

    Returns:
        The target.

    Raises:
        FileNotFoundError: there is no such source.
        FileExistsError: the target holds something that is no part of mini-MIAS.
        ValueError: the source is damaged or not mini-MIAS as distributed.
        OSError: the download failed, the disk is full, or the target cannot be written.
    """
    target = (_cache() if to is None else Path(to)).expanduser().resolve()
    if _is_whole(target):
        return target
    if source is not None and not Path(source).expanduser().exists():
        raise FileNotFoundError(f"{source}: there is no such archive or folder")
    if target.exists() and not target.is_dir():
        raise FileExistsError(f"{target}: a file is in the way; choose another folder (--to)")
    for path in sorted(target.iterdir()) if target.is_dir() else ():  # what is not whole will be replaced
        if path.name not in manifest() and path.name != LICENCE:
            what = f"holds {path.name}, no part of mini-MIAS; choose an empty or new folder (--to)"
            raise FileExistsError(f"{target}: {what}")
    with draft_folder(target) as draft:
        films = draft / "films"
        if source is None:
            _download(films)
        else:
            _take(Path(source).expanduser(), films, str(source))
        if not _is_whole(target):  # else another process was faster
            if target.exists():
                shutil.rmtree(target)
            os.rename(films, target)
    return target


def _is_whole(folder: Path) -> bool:
    return folder.is_dir() and all(problem.kind == "unknown" for problem in check(folder))


def _download(films: Path) -> None:
    """Download, unpack and verify; begin again from nothing if what arrived is broken."""
    import pooch
    import requests

    archive = films.with_name("all-mias.tar.gz")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            pooch.HTTPDownloader(progressbar=True, timeout=(15, 60))(URL, str(archive), None)
            return _take(archive, films, URL)
        except (ValueError, requests.RequestException) as err:
            reason = f"{URL}: the download failed ({' '.join(str(err).split())[:300]})"
        if attempt < ATTEMPTS:
            _log.warning("%s; starting the download again (%d of %d)", reason, attempt + 1, ATTEMPTS)
    advice = "Try later, or get the archive another way and name it with --from"
    raise OSError(f"{reason}; gave up after {ATTEMPTS} downloads. {advice}")


def _take(source: Path, films: Path, name: str) -> None:
    """Fill the new folder `films` from an archive or a folder, and read it back to verify every file."""
    shutil.rmtree(films, ignore_errors=True)
    films.mkdir()
    if source.is_dir():
        there = os.listdir(source)
        for wanted in [*manifest(), LICENCE]:
            copy = _copy_of(wanted, there)
            if copy:
                (films / wanted).write_bytes(_as_distributed(source / copy, wanted))
    else:
        _unpack(source, films, name)
    problems = check(films)
    if problems:
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise ValueError(f"{name}: not mini-MIAS as distributed ({problems[0]}{more})")


def _unpack(archive: Path, films: Path, name: str) -> None:
    """Write the files of mini-MIAS that an archive holds directly into `films`, whatever path it gives them.

    All others are skipped, and so are links, devices and files larger than a film.
    """
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                member.name = PurePosixPath(member.name).name
                wanted = member.name in manifest() or member.name == LICENCE
                if wanted and member.isfile() and member.size <= 2 * SIDE * SIDE:
                    tar.extract(member, films, filter="data")
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as err:
        raise ValueError(f"{name}: cut short, damaged, or no .tar or .tar.gz archive; get it again") from err


def pack(folder: str | Path, archive: str | Path, part: str = "lesions") -> int:
    """Write a part of a data folder, one of `PARTS`, into a .tar.bz2, whole or not at all.

    Of "lesions", Info.txt keeps the rows of the films that are packed, so what is unpacked is a data folder of its own:
    `load` reads it, and `digest` gives one of `DIGESTS`. With "normal" goes Info.txt as it was: unpacked over the
    first part it makes the folder whole again. The same films give the same archive.

    Returns:
        The number of films packed.

    Raises:
        ValueError: an unknown part, a folder without such a film, or a folder that `load` refuses.
        OSError: the folder cannot be read, or the archive cannot be written.
    """
    if part not in PARTS:
        raise ValueError(f"part: {part!r} is not one of {', '.join(PARTS)}")
    folder, archive = Path(folder), Path(archive)
    films = load(folder)
    chosen = [film for film in films if bool(film.lesions) == (part == "lesions")]
    if not chosen:
        raise ValueError(f"{folder}: holds no film to pack as {part!r}")
    info = (folder / "Info.txt").read_bytes()
    if part == "lesions":
        left_out = [film.reference.encode() for film in films if film not in chosen]
        lines = info.splitlines(keepends=True)
        info = b"".join(line for line in lines if (line.split() or [b""])[0] not in left_out)
    paths = [path for path in (folder / LICENCE, *(film.path for film in chosen)) if path.is_file()]
    with atomic(archive) as file, tarfile.open(fileobj=file, mode="w:bz2") as tar:
        for name, content in [("Info.txt", info), *((path.name, path.read_bytes()) for path in paths)]:
            member = tarfile.TarInfo(name)  # without date and owner
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return len(chosen)
