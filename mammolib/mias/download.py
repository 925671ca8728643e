"""Get mini-MIAS from its home, or from a copy the reader has: verified film by film, and whole or not at all."""

from __future__ import annotations

import gzip
import logging
import os
import shutil
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from mammolib.files import draft_folder
from mammolib.mias.checks import LICENCE, as_distributed, check, copy_of, default_folder, manifest
from mammolib.mias.films import SIDE

URL = "http://peipa.essex.ac.uk/pix/mias/all-mias.tar.gz"
"""Where the Pilot European Image Processing Archive serves mini-MIAS."""

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

ATTEMPTS = 3
"""How often a download is begun before giving up."""

_log = logging.getLogger(__name__)


def fetch(
    source: str | Path | None = None,
    to: str | Path | None = None,
    progress: bool = True,
    url: str = URL,
    expected: Mapping[str, str] | None = None,
) -> Path:
    """Put a verified copy of mini-MIAS into a folder; a folder that already holds one is left as it is.

    The work is done in a hidden folder beside the target, which gets its name only when every file has been verified.
    On any error, and on Ctrl-C, that folder is removed.

    Args:
        source: an archive (.tar or .tar.gz) or a folder on this machine; downloaded if None.
        to: the target; the user's cache if None, where `find` finds it again.
        progress: show a bar while downloading.
        url: what to download.
        expected: SHA-256 by file name; mini-MIAS if None.

    Returns:
        The target.

    Raises:
        FileNotFoundError: there is no such source.
        FileExistsError: the target holds something that is no part of mini-MIAS.
        ValueError: the source is damaged or not mini-MIAS as distributed.
        OSError: the download failed, the disk is full, or the target cannot be written.
    """
    target = (default_folder() if to is None else Path(to)).expanduser().resolve()
    expected = manifest() if expected is None else expected
    if _is_whole(target, expected):
        return target
    if source is not None and not Path(source).expanduser().exists():
        raise FileNotFoundError(f"{source}: there is no such archive or folder")
    _refuse_strangers(target, expected)
    with draft_folder(target) as draft:
        films = draft / "films"
        if source is None:
            _download(url, films, expected, progress)
        else:
            _take(Path(source).expanduser(), films, expected, str(source))
        if not _is_whole(target, expected):  # else another process was faster
            if target.exists():
                shutil.rmtree(target)
            os.rename(films, target)
    return target


def _is_whole(folder: Path, expected: Mapping[str, str]) -> bool:
    return folder.is_dir() and all(problem.kind == "unknown" for problem in check(folder, expected))


def _refuse_strangers(target: Path, expected: Mapping[str, str]) -> None:
    """Refuse a target that holds anything else: what is not whole will be replaced."""
    if target.exists() and not target.is_dir():
        raise FileExistsError(f"{target}: a file is in the way; choose another folder (--to)")
    for path in sorted(target.iterdir()) if target.is_dir() else ():
        if path.name not in expected and path.name != LICENCE:
            raise FileExistsError(
                f"{target}: holds {path.name}, no part of mini-MIAS; choose an empty or new folder (--to)"
            )


def _download(url: str, films: Path, expected: Mapping[str, str], progress: bool) -> None:
    """Download, unpack and verify; begin again from nothing if what arrived is broken."""
    import pooch
    import requests

    archive = films.with_name("all-mias.tar.gz")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            pooch.HTTPDownloader(progressbar=progress, timeout=(15, 60))(url, str(archive), None)
            return _take(archive, films, expected, url)
        except (ValueError, requests.RequestException) as err:
            reason = f"{url}: the download failed ({' '.join(str(err).split())[:300]})"
        if attempt < ATTEMPTS:
            _log.warning("%s; starting the download again (%d of %d)", reason, attempt + 1, ATTEMPTS)
    raise OSError(
        f"{reason}; gave up after {ATTEMPTS} downloads. Try later, or get the archive another way and name it with "
        "--from"
    )


def _take(source: Path, films: Path, expected: Mapping[str, str], name: str) -> None:
    """Fill the new folder `films` from an archive or a folder, and read it back to verify every file."""
    shutil.rmtree(films, ignore_errors=True)
    films.mkdir()
    if source.is_dir():
        _copy_folder(source, films, expected)
    else:
        _unpack(source, films, expected, name)
    problems = check(films, expected)
    if problems:
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise ValueError(f"{name}: not mini-MIAS as distributed ({problems[0]}{more})")


def _copy_folder(source: Path, films: Path, expected: Mapping[str, str]) -> None:
    there = os.listdir(source)
    for name in [*expected, LICENCE]:
        copy = copy_of(name, there)
        if copy:
            (films / name).write_bytes(as_distributed(source / copy, name))


def _unpack(archive: Path, films: Path, expected: Mapping[str, str], name: str) -> None:
    """Write the files of `expected` that an archive holds, in whatever folder of it; all others are skipped.

    A file gets its name from `expected` and lies directly in `films`, whatever path the archive gives it; links,
    devices and files larger than a film are skipped, too.
    """
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                member.name = PurePosixPath(member.name).name
                wanted = member.name in expected or member.name == LICENCE
                if wanted and member.isfile() and member.size <= 2 * SIDE * SIDE:
                    tar.extract(member, films, filter="data")
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as err:
        raise ValueError(f"{name}: cut short, damaged, or no .tar or .tar.gz archive; get it again") from err
