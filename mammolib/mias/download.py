"""Get mini-MIAS from its home, or from a copy the reader has: verified film by film, and whole or not at all."""

from __future__ import annotations

import errno
import gzip
import logging
import os
import shutil
import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from mammolib.files import alive
from mammolib.mias.checks import LICENCE, as_pgm, check, copy_of, default_folder, manifest
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

MAX_FILE, MAX_TOTAL, MAX_MEMBERS = 2**24, 2**30, 2000
"""Limits on an archive: bytes of a member, bytes unpacked, members. mini-MIAS has 324 of 1 MB, 338 MB together."""

MAX_DOWNLOAD, MAX_SECONDS = 2**29, 4 * 3600
"""Limits on what is downloaded, in bytes (mini-MIAS has 100 MB), and on how long it may take."""

_PREFIX = ".mias-fetch-"
_log = logging.getLogger(__name__)


class _Broken(ValueError):
    """What was downloaded is not mini-MIAS, or only a part of it: begin again."""


def fetch(
    source: str | Path | None = None,
    to: str | Path | None = None,
    progress: bool = True,
    url: str = URL,
    expected: Mapping[str, str] | None = None,
) -> Path:
    """Put a verified copy of mini-MIAS into a folder; a folder that already holds one is left as it is.

    The work is done in a hidden folder beside the target, which gets its name only when every file has been verified.
    On any error, and on Ctrl-C, that folder is removed and the target is as it was.

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
        ValueError: the source is not mini-MIAS as distributed, is damaged, or is unsafe to unpack.
        OSError: the download failed, the disk is full, or the target cannot be written.
    """
    target = (default_folder() if to is None else Path(to)).expanduser().resolve()
    expected = manifest() if expected is None else expected
    source = None if source is None else Path(source).expanduser()
    try:
        _sweep(target.parent)
        if _whole(target, expected):
            return target
        if source is not None and not source.exists():
            raise FileNotFoundError(f"{source}: there is no such archive or folder")
        _refuse_strangers(target, expected)
        with _work_folder(target, len(expected) * (SIDE * SIDE + 64) * (1 if source else 2)) as work:
            films = work / "films"
            if source is None:
                _download_whole(url, films, expected, progress)
            else:
                _take(source, films, expected)
            _publish(films, target, expected)
    except OSError as err:
        if err.errno is None:  # already in our words
            raise
        full = err.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None))  # names the source of a copy, too
        at_source = source is not None and str(err.filename).startswith(str(source)) and not full
        message = f"{err.filename if at_source else target}: {err.strerror}; nothing was left half-written"
        raise type(err)(f"{message}; make room, or choose another folder (--to)") from err
    return target


def _whole(folder: Path, expected: Mapping[str, str]) -> bool:
    return folder.is_dir() and all(problem.kind == "unknown" for problem in check(folder, expected))


def _refuse_strangers(target: Path, expected: Mapping[str, str]) -> None:
    """What is not whole is replaced, so it must hold nothing else."""
    if target.exists() and not target.is_dir():
        raise FileExistsError(f"{target}: a file is in the way; choose another folder (--to)")
    for path in sorted(target.iterdir()) if target.is_dir() else ():
        if path.name not in expected and path.name != LICENCE:
            raise FileExistsError(
                f"{target}: holds {path.name}, no part of mini-MIAS; choose an empty or new folder (--to)"
            )


def _sweep(folder: Path) -> None:
    """Remove what fetches left that were killed: folders of processes that are gone, or a day old."""
    for left in folder.glob(f"{_PREFIX}*") if folder.is_dir() else ():
        owner = left.name.removeprefix(_PREFIX).partition("-")[0]
        gone = owner.isdigit() and not alive(int(owner))
        if gone or time.time() - left.stat().st_mtime > 24 * 3600:
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _work_folder(target: Path, needed: int) -> Iterator[Path]:
    """A hidden folder beside the target, removed in the end whatever happens."""
    target.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(target.parent).free
    if free < needed:
        raise OSError(
            f"{target.parent}: {free / 1e6:.0f} MB are free and {needed / 1e6:.0f} MB needed; make room, or choose "
            "another folder (--to)"
        )
    work = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=target.parent))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _download_whole(url: str, films: Path, expected: Mapping[str, str], progress: bool) -> None:
    """Download, unpack and verify; begin again from nothing if what arrived is broken."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            archive = _download(url, films.parent / "download", progress)
            return _take(archive, films, expected, url)
        except _Broken as err:
            shutil.rmtree(films.parent / "download", ignore_errors=True)
            shutil.rmtree(films, ignore_errors=True)
            if attempt == ATTEMPTS:
                advice = "Try later, or get the archive another way and name it with --from"
                raise OSError(f"{err}; gave up after {ATTEMPTS} downloads. {advice}") from err
            _log.warning("%s; starting the download again (%d of %d)", err, attempt + 1, ATTEMPTS)


def _download(url: str, folder: Path, progress: bool) -> Path:
    """Download a file as it is sent, never unpacked under way; size and time are limited while the bytes arrive."""
    import requests
    import tqdm
    import urllib3

    folder.mkdir()
    path, began = folder / "all-mias.tar.gz", time.monotonic()
    advice = "get the archive another way and name it with --from"
    try:
        as_is = {"Accept-Encoding": "identity"}
        with requests.get(url, stream=True, timeout=(15, 60), headers=as_is) as answer, path.open("wb") as file:
            answer.raise_for_status()
            claimed = answer.headers.get("Content-Length", "0")
            if not claimed.isdigit():
                raise OSError(f"{url}: the server claims a length of {claimed[:40]!r}; {advice}")
            bar = tqdm.tqdm(total=int(claimed) or None, unit="B", unit_scale=True, disable=not progress)
            with bar:
                while piece := answer.raw.read(1 << 16, decode_content=False):
                    bar.update(len(piece))
                    if bar.n > MAX_DOWNLOAD or file.tell() > MAX_DOWNLOAD:
                        raise OSError(f"{url}: more than {MAX_DOWNLOAD} bytes; this is not mini-MIAS, {advice}")
                    if time.monotonic() - began > MAX_SECONDS:
                        raise OSError(f"{url}: not there after {MAX_SECONDS / 3600:g} hours; {advice}")
                    file.write(piece)
            if file.tell() < int(claimed):
                raise _Broken(f"{url}: the download failed (cut short at {file.tell()} of {claimed} bytes)")
    except (requests.RequestException, urllib3.exceptions.HTTPError) as err:
        cause = err.args[0] if err.args and isinstance(err.args[0], Exception) else err
        cause = getattr(cause, "reason", None) or cause  # below the layers that wrapped it
        reason = f"{url}: the download failed ({' '.join(str(cause).split())[:200] or type(cause).__name__})"
        again = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
        if isinstance(err, (*again, urllib3.exceptions.ProtocolError, urllib3.exceptions.TimeoutError)):
            raise _Broken(reason) from err
        raise OSError(f"{reason}; {advice}") from err
    except ValueError as err:
        if isinstance(err, _Broken):
            raise
        raise OSError(
            f"{url}: the server's answer cannot be read ({' '.join(str(err).split())[:200]}); {advice}"
        ) from err
    return path


def _take(source: Path, films: Path, expected: Mapping[str, str], name: str | None = None) -> None:
    """Fill the folder `films` from an archive or a folder, and read it back to verify every file."""
    name = name or str(source)
    films.mkdir()
    if source.is_dir():
        _copy_folder(source, films, expected)
    else:
        _unpack(source, films, expected, name)
    problems = check(films, expected)
    if problems:
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise _Broken(f"{name}: not mini-MIAS as distributed ({problems[0]}{more})")


def _copy_folder(source: Path, films: Path, expected: Mapping[str, str]) -> None:
    there = os.listdir(source)
    for name in [*expected, LICENCE]:
        copy = copy_of(name, there)
        if copy and copy.lower() == name.lower():
            shutil.copyfile(source / copy, films / name)
        elif copy:
            (films / name).write_bytes(as_pgm(source / copy))


def _unpack(archive: Path, films: Path, expected: Mapping[str, str], name: str) -> None:
    """Write the files of `expected` that the archive holds, in whatever folder of it; other harmless ones are skipped.

    Files get their names from `expected`, never from the archive, and no member is extracted by tarfile itself. A
    member that could do harm condemns the archive all the same.
    """
    seen: set[str] = set()
    try:
        with archive.open("rb") as file, tarfile.open(fileobj=_Bounded(_unzipped(file), name), mode="r:") as tar:
            for count, member in enumerate(tar, 1):
                if count > MAX_MEMBERS:
                    raise ValueError(
                        f"{name}: more than {MAX_MEMBERS} members; this is not mini-MIAS, nothing was unpacked"
                    )
                _refuse_unsafe(member, films, name)
                base = PurePosixPath(member.name).name
                if member.isfile() and (base in expected or base == LICENCE):
                    if base in seen:
                        raise ValueError(f"{name}: holds {base} twice; this is not mini-MIAS, nothing was unpacked")
                    seen.add(base)
                    (films / base).write_bytes(tar.extractfile(member).read())
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, RecursionError) as err:
        reason = str(err) or type(err).__name__
        raise _Broken(f"{name}: cut short, damaged, or no .tar or .tar.gz archive ({reason}); get it again") from err


def _refuse_unsafe(member: tarfile.TarInfo, films: Path, name: str) -> None:
    path, fault = member.name, None
    if path.startswith(("/", "\\")) or path[1:2] == ":" or ".." in path.replace("\\", "/").split("/"):
        fault = "points outside the archive"
    elif not (member.isreg() or member.isdir()) or member.issparse():
        fault = "is a link, a device or another special file"
    elif not 0 <= member.size <= MAX_FILE:
        fault = f"claims {member.size} bytes"
    else:
        try:
            tarfile.data_filter(member, str(films))  # Python's own opinion
        except tarfile.FilterError as err:
            fault = f"is unsafe ({err})"
    if fault:
        raise ValueError(f"{name}: member {path[:80]!r} {fault}; do not trust this archive, nothing was unpacked")


def _unzipped(file: BinaryIO) -> BinaryIO:
    """Look through gzip, which servers sometimes undo under way: what the file is called does not tell."""
    magic = file.read(2)
    file.seek(0)
    return gzip.GzipFile(fileobj=file) if magic == b"\x1f\x8b" else file


class _Bounded:
    """A file of which only so much can be read: a small archive can unpack to any size, its headers too."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.file, self.name = file, name

    def _allow(self, end: int) -> None:
        if end > MAX_TOTAL:
            raise ValueError(
                f"{self.name}: unpacks to more than {MAX_TOTAL} bytes; this is not mini-MIAS, nothing was unpacked"
            )

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_FILE:
            raise ValueError(
                f"{self.name}: a header claims {size} bytes; do not trust this archive, nothing was unpacked"
            )
        self._allow(self.file.tell() + size)
        return self.file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._allow(offset)
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()


def _publish(films: Path, target: Path, expected: Mapping[str, str]) -> None:
    """Give the verified folder its name; what stood there, an incomplete copy, comes back if that fails."""
    if not target.exists():
        return os.rename(films, target)
    if _whole(target, expected):  # another process was faster
        return
    _refuse_strangers(target, expected)
    aside = films.parent / "before"
    os.rename(target, aside)
    try:
        os.rename(films, target)
    except BaseException:
        if not target.exists():
            os.rename(aside, target)
        raise
