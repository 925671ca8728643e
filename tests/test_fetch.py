"""mammolib.mias.fetch from archives and folders on this machine; whole or not at all."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from mias_layout import EXPECTED, EXTRAS, FILES, WHOLE, fails, full, member, tar_of, tar_of_members, whole
from skimage import io as images

from mammolib import mias
from mammolib.mias import download

# From an archive or a folder on this machine


@pytest.mark.parametrize("prefix", ["", "./", "all-mias/"])
@pytest.mark.parametrize("zipped", [True, False])
def test_an_archive_is_unpacked_and_strange_files_are_left_out(tmp_path: Path, prefix: str, zipped: bool) -> None:
    archive = tmp_path / "all-mias.archive"
    archive.write_bytes(tar_of(FILES | EXTRAS, prefix, zipped))
    target = mias.fetch(archive, tmp_path / "deep" / "down", expected=EXPECTED)
    assert target == tmp_path / "deep" / "down" and whole(target)
    assert os.listdir(target.parent) == ["down"]
    assert [film.reference for film in mias.load(target)] == ["mdb001", "mdb002"]


def test_the_target_is_readable_as_the_user_wants_it(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(WHOLE)
    target = mias.fetch(tmp_path / "a.tar", tmp_path / "to", expected=EXPECTED)
    umask = os.umask(0)
    os.umask(umask)
    assert target.stat().st_mode & 0o777 == 0o777 & ~umask


def test_without_a_target_the_films_go_where_find_finds_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(mias.VARIABLE, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "a.tgz").write_bytes(WHOLE)
    assert mias.fetch(tmp_path / "a.tgz", expected=EXPECTED) == mias.find() == tmp_path / "cache/mammolib/mini-MIAS"


def test_a_whole_target_is_left_as_it_is_and_the_source_not_touched(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(WHOLE)
    target = mias.fetch(tmp_path / "a.tar", tmp_path / "to", expected=EXPECTED)
    (target / "my notes").write_text("kept")
    before = {path: path.stat().st_mtime_ns for path in target.iterdir()}
    assert mias.fetch(tmp_path / "not there", target, expected=EXPECTED) == target
    assert mias.fetch(to=target, url="http://127.0.0.1:9/nobody", expected=EXPECTED) == target
    assert {path: path.stat().st_mtime_ns for path in target.iterdir()} == before


@pytest.mark.parametrize("target", ["new", "empty", "broken"])
def test_a_folder_is_copied_and_an_incomplete_target_replaced(tmp_path: Path, target: str) -> None:
    source, to = tmp_path / "source", tmp_path / target
    source.mkdir()
    for name, content in (FILES | EXTRAS).items():
        (source / name).write_bytes(content)
    if target != "new":
        to.mkdir()
    if target == "broken":
        (to / "mdb001.pgm").write_bytes(FILES["mdb001.pgm"][:100])
    assert whole(mias.fetch(source, to, expected=EXPECTED))
    assert sorted(os.listdir(tmp_path)) == sorted(["source", target])


def test_a_folder_with_names_in_capitals_is_the_same_copy(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name, content in (FILES | {"Licence.txt": EXTRAS["Licence.txt"]}).items():
        (source / name.upper()).write_bytes(content)
    assert whole(mias.fetch(source, tmp_path / "to", expected=EXPECTED))


def test_films_copied_from_png_become_what_was_distributed(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "Info.txt").write_bytes(FILES["Info.txt"])
    (source / "mdb001.pgm").write_bytes(FILES["mdb001.pgm"])
    images.imsave(source / "mdb002.png", np.full((1024, 1024), 2, np.uint8), check_contrast=False)
    target = mias.fetch(source, tmp_path / "to", expected=EXPECTED)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == FILES


def test_a_target_with_other_things_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(WHOLE)
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "thesis.docx").write_text("precious")
    fails(FileExistsError, tmp_path, "thesis.docx", "--to", source=tmp_path / "a.tar", to=tmp_path / "to")
    fails(FileExistsError, tmp_path, "a file is in the way", source=tmp_path / "a.tar", to=tmp_path / "a.tar")


def test_no_source(tmp_path: Path) -> None:
    fails(FileNotFoundError, tmp_path, "no such archive", source=tmp_path / "a.tar", to=tmp_path / "to")


def test_a_source_that_is_not_as_distributed(tmp_path: Path) -> None:
    archive, to = tmp_path / "a.tar", tmp_path / "to"
    archive.write_bytes(tar_of(FILES | {"mdb002.pgm": FILES["mdb001.pgm"]}))
    fails(ValueError, tmp_path, str(archive), "mdb002.pgm: damaged", source=archive, to=to)
    archive.write_bytes(tar_of({"Info.txt": FILES["Info.txt"]}))
    fails(ValueError, tmp_path, "mdb001.pgm: missing", "and 1 more", source=archive, to=to)
    source = tmp_path / "folder"
    source.mkdir()
    fails(ValueError, tmp_path, str(source), "Info.txt: missing", "and 2 more", source=source, to=to)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip" * 100, WHOLE[:-2000], gzip.compress(b"no tar" * 500)])
def test_an_archive_that_is_none_or_cut_short(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar.gz").write_bytes(content)
    fails(
        ValueError,
        tmp_path,
        "a.tar.gz",
        "cut short, damaged, or no .tar",
        source=tmp_path / "a.tar.gz",
        to=tmp_path / "to",
    )


UNSAFE = {
    "parent": (member("../mdb001.pgm"), "points outside"),
    "deep parent": (member("films/../../mdb001.pgm"), "points outside"),
    "windows parent": (member("films\\..\\..\\mdb001.pgm"), "points outside"),
    "absolute": (member("/etc/mdb001.pgm"), "points outside"),
    "drive": (member("C:/mdb001.pgm"), "points outside"),
    "symbolic link": (member("mdb001.pgm", tarfile.SYMTYPE, link="Info.txt"), "is a link"),
    "link outside": (member("films", tarfile.SYMTYPE, link="/etc"), "is a link"),
    "hard link": (member("mdb001.pgm", tarfile.LNKTYPE, link="Info.txt"), "is a link"),
    "device": (member("mdb001.pgm", tarfile.CHRTYPE), "a device"),
    "sparse file": (member("mdb001.pgm", tarfile.GNUTYPE_SPARSE), "special"),
    "pipe": (member("mdb001.pgm", tarfile.FIFOTYPE), "special"),
    "big member": (member("mdb001.pgm", size=2**40), "claims 1099511627776 bytes"),
}


@pytest.mark.parametrize("fault", UNSAFE)
@pytest.mark.parametrize("zipped", [True, False])
def test_an_unsafe_archive_is_refused(tmp_path: Path, fault: str, zipped: bool) -> None:
    info, message = UNSAFE[fault]
    memory = tar_of_members([(member("Licence.txt"), b""), (info, None)], zipped=False)
    (tmp_path / "in").mkdir()
    archive = tmp_path / "in" / "a.tar"
    archive.write_bytes(gzip.compress(memory) if zipped else memory)
    fails(ValueError, tmp_path, str(archive), message, "do not trust", source=archive, to=tmp_path / "in" / "to")


def test_a_film_that_is_there_twice(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(tar_of_members([(member("mdb001.pgm"), b""), (member("x/mdb001.pgm"), b"")]))
    fails(ValueError, tmp_path, "holds mdb001.pgm twice", source=tmp_path / "a.tar", to=tmp_path / "to")


def test_bombs_of_many_members_of_much_data_and_in_a_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, to = tmp_path / "a.tar.gz", tmp_path / "to"
    archive.write_bytes(tar_of({f"{n}": b"" for n in range(download.MAX_MEMBERS + 1)}))
    fails(ValueError, tmp_path, "more than 2000 members", source=archive, to=to)

    header = member("pax", tarfile.XHDTYPE, size=2**31)  # a header that claims 2 GB, which tarfile would read at once
    archive.write_bytes(gzip.compress(header.tobuf() + bytes(10240)))
    fails(ValueError, tmp_path, "a header claims 2147483648 bytes", source=archive, to=to)

    monkeypatch.setattr(download, "MAX_TOTAL", 3 * 2**20)
    archive.write_bytes(tar_of({f"{n}": bytes(2**20) for n in range(5)}))
    fails(ValueError, tmp_path, "unpacks to more than 3145728 bytes", source=archive, to=to)


# The disk


def test_a_disk_that_is_or_becomes_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, to = tmp_path / "a.tar", tmp_path / "to"
    archive.write_bytes(WHOLE)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        fails(OSError, tmp_path, str(to), "No space left on device", "--to", source=archive, to=to)
    with monkeypatch.context() as patch:
        usage = shutil.disk_usage(tmp_path)
        patch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10**6))
        fails(OSError, tmp_path, "1 MB are free and 3 MB needed", "--to", source=archive, to=to)


def test_a_target_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "a.tar"
    archive.write_bytes(WHOLE)
    fails(OSError, tmp_path, "a.tar", "--to", source=archive, to=archive / "below a file")

    def refused(**_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(tmp_path))

    monkeypatch.setattr(tempfile, "mkdtemp", refused)  # a superuser is never refused, so permissions cannot test it
    fails(PermissionError, tmp_path, str(tmp_path), "Permission denied", "--to", source=archive, to=tmp_path / "to")


def test_a_rename_that_fails_brings_the_old_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, to = tmp_path / "a.tar", tmp_path / "to"
    archive.write_bytes(WHOLE)
    to.mkdir()
    (to / "mdb001.pgm").write_bytes(b"old")
    rename = os.rename

    def stopped(old: Path, new: Path) -> None:
        if old.name == "films":
            raise KeyboardInterrupt
        rename(old, new)

    monkeypatch.setattr(os, "rename", stopped)
    with pytest.raises(KeyboardInterrupt):
        mias.fetch(archive, to, expected=EXPECTED)
    assert sorted(os.listdir(tmp_path)) == ["a.tar", "to"] and (to / "mdb001.pgm").read_bytes() == b"old"


def test_what_a_killed_run_left_is_swept_away_after_a_day(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(WHOLE)
    old, new = tmp_path / ".mias-fetch-old", tmp_path / ".mias-fetch-new"
    for left in (old, new):
        left.mkdir()
    os.utime(old, (time.time() - 90000,) * 2)
    gone, ours = tmp_path / ".mias-fetch-99999999-x", tmp_path / f".mias-fetch-{os.getpid()}-x"
    for left in (gone, ours):
        left.mkdir()
    mias.fetch(tmp_path / "a.tar", tmp_path / "to", expected=EXPECTED)
    assert not old.exists() and new.exists() and not gone.exists() and ours.exists()
    gone.mkdir()
    mias.fetch(tmp_path / "a.tar", tmp_path / "to", expected=EXPECTED)  # also where the target is whole already
    assert not gone.exists()


def test_a_disk_that_fills_while_copying_a_folder_names_the_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name, content in FILES.items():
        (source / name).write_bytes(content)

    def fills(old: Path, new: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(old), None, str(new))

    monkeypatch.setattr(shutil, "copyfile", fills)
    fails(OSError, tmp_path, f"{tmp_path / 'to'}: No space left", source=source, to=tmp_path / "to")


def test_the_notice_and_the_citation_say_what_they_must() -> None:
    assert "research" in mias.NOTICE and "not for clinical use" in mias.NOTICE and "Licence.txt" in mias.NOTICE
    assert "Suckling" in mias.CITATION and "1994" in mias.CITATION
