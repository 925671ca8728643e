"""mammolib.mias: fetch from archives and folders on this machine, and pack a part of them; whole or not at all."""

import gzip
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from mias_layout import (
    EXPECTED,
    EXTRAS,
    FILES,
    WHOLE,
    fails,
    full,
    member,
    one_line,
    tar_of,
    tar_of_members,
    whole,
    write_folder,
)
from skimage import io as images

from mammolib import mias
from mammolib.mias import copies


@pytest.fixture(autouse=True)
def three_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "manifest", lambda: EXPECTED)
    monkeypatch.setattr(copies, "URL", "http://127.0.0.1:9/nobody")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    (tmp_path / "a.tar").write_bytes(WHOLE)
    return tmp_path / "a.tar"


def folder_of(path: Path, files: dict[str, bytes]) -> Path:
    path.mkdir()
    for name, content in files.items():
        (path / name).write_bytes(content)
    return path


@pytest.mark.parametrize("prefix", ["", "./", "all-mias/", "../", "/etc/"])
@pytest.mark.parametrize("zipped", [True, False])
def test_an_archive_is_unpacked_below_the_target_and_strange_files_are_left_out(
    tmp_path: Path, prefix: str, zipped: bool
) -> None:
    (tmp_path / "all-mias.archive").write_bytes(tar_of(FILES | EXTRAS, prefix, zipped))
    target = mias.fetch(tmp_path / "all-mias.archive", tmp_path / "deep" / "down")
    assert target == tmp_path / "deep" / "down" and whole(target)
    assert os.listdir(target.parent) == ["down"] and len(list(tmp_path.iterdir())) == 2
    assert [film.reference for film in mias.load(target)] == ["mdb001", "mdb002"]
    umask = os.umask(0)
    os.umask(umask)
    assert target.stat().st_mode & 0o777 == 0o777 & ~umask


def test_without_a_target_the_films_go_where_find_finds_them(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(mias.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert mias.fetch(archive) == mias.find() == tmp_path / "cache" / "mammolib" / "mini-MIAS"


def test_a_whole_target_is_left_as_it_is_and_the_source_not_touched(archive: Path, tmp_path: Path) -> None:
    target = mias.fetch(archive, tmp_path / "to")
    (target / "my notes").write_text("kept")
    before = {path: path.stat().st_mtime_ns for path in target.iterdir()}
    assert mias.fetch(tmp_path / "not there", target) == target
    assert mias.fetch(to=target) == target
    assert {path: path.stat().st_mtime_ns for path in target.iterdir()} == before


@pytest.mark.parametrize("capitals", [False, True])
@pytest.mark.parametrize("target", ["new", "empty", "broken"])
def test_a_folder_is_copied_and_an_incomplete_target_replaced(tmp_path: Path, target: str, capitals: bool) -> None:
    files = {name.upper() if capitals else name: content for name, content in (FILES | EXTRAS).items()}
    source, to = folder_of(tmp_path / "source", files), tmp_path / target
    if target != "new":
        folder_of(to, {"mdb001.pgm": FILES["mdb001.pgm"][:100]} if target == "broken" else {})
    assert whole(mias.fetch(source, to))
    assert sorted(os.listdir(tmp_path)) == sorted(["source", target])


def test_films_copied_from_png_become_what_was_distributed(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", {name: FILES[name] for name in ("Info.txt", "mdb001.pgm")})
    images.imsave(source / "mdb002.png", np.full((1024, 1024), 2, np.uint8), check_contrast=False)
    target = mias.fetch(source, tmp_path / "to")
    assert {path.name: path.read_bytes() for path in target.iterdir()} == FILES


def test_no_source_and_a_target_with_other_things_in_it(archive: Path, tmp_path: Path) -> None:
    fails(FileNotFoundError, tmp_path, "no such archive", source=tmp_path / "b.tar", to=tmp_path / "to")
    folder_of(tmp_path / "to", {"thesis.docx": b"precious"})
    fails(FileExistsError, tmp_path, "thesis.docx", "--to", source=archive, to=tmp_path / "to")
    fails(FileExistsError, tmp_path, "a file is in the way", source=archive, to=archive)


def test_a_source_that_is_not_as_distributed(archive: Path, tmp_path: Path) -> None:
    to = tmp_path / "to"
    archive.write_bytes(tar_of(FILES | {"mdb002.pgm": FILES["mdb001.pgm"]}))
    fails(ValueError, tmp_path, str(archive), "mdb002.pgm: damaged", source=archive, to=to)
    archive.write_bytes(tar_of({"Info.txt": FILES["Info.txt"]}))
    fails(ValueError, tmp_path, "mdb001.pgm: missing", "and 1 more", source=archive, to=to)
    source = folder_of(tmp_path / "folder", {})
    fails(ValueError, tmp_path, str(source), "Info.txt: missing", "and 2 more", source=source, to=to)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip" * 100, WHOLE[:-2000], gzip.compress(b"no tar" * 500)])
def test_an_archive_that_is_none_or_cut_short(archive: Path, tmp_path: Path, content: bytes) -> None:
    archive.write_bytes(content)
    fails(ValueError, tmp_path, "a.tar", "cut short, damaged, or no .tar", source=archive, to=tmp_path / "to")


@pytest.mark.parametrize(
    "bad",
    [
        member("mdb001.pgm", tarfile.SYMTYPE, link="/etc/passwd"),
        member("mdb001.pgm", tarfile.LNKTYPE, link="Info.txt"),
        member("mdb001.pgm", tarfile.CHRTYPE),
        member("mdb001.pgm", tarfile.FIFOTYPE),
        member("mdb001.pgm", size=2**40),
    ],
)
def test_what_is_no_file_of_a_films_size_is_not_unpacked(archive: Path, tmp_path: Path, bad: tarfile.TarInfo) -> None:
    archive.write_bytes(tar_of_members([(member("Licence.txt"), b""), (bad, None)]))
    fails(ValueError, tmp_path, str(archive), source=archive, to=tmp_path / "to")


@pytest.mark.parametrize("kind", ["archive", "folder"])
def test_a_disk_that_becomes_full(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    source = archive if kind == "archive" else folder_of(tmp_path / "folder", FILES)
    monkeypatch.setattr(tarfile.TarFile, "extract", full)
    monkeypatch.setattr(Path, "write_bytes", full)
    fails(OSError, tmp_path, "No space left on device", source=source, to=tmp_path / "to")


def test_a_source_that_is_damaged_leaves_the_incomplete_target_as_it_was(archive: Path, tmp_path: Path) -> None:
    fails(OSError, tmp_path, "a.tar", source=archive, to=archive / "below a file")
    folder_of(tmp_path / "to", {"mdb001.pgm": b"old"})
    archive.write_bytes(WHOLE[:-2000])
    fails(ValueError, tmp_path, "cut short", source=archive, to=tmp_path / "to")
    assert (tmp_path / "to" / "mdb001.pgm").read_bytes() == b"old"


# Packing: what travels to a machine that cannot fetch the films, and how it is known again there


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "films")


def unpack(archive: Path, to: Path) -> Path:
    with tarfile.open(archive) as tar:
        tar.extractall(to, filter="data")
    return to


def test_the_films_with_lesions_are_a_data_folder_of_their_own(folder, tmp_path):
    (folder / "Licence.txt").write_text("terms")
    assert mias.pack(folder, tmp_path / "a.tar.bz2") == 6
    there = unpack(tmp_path / "a.tar.bz2", tmp_path / "there")
    whole, part = mias.load(folder), mias.load(there)
    assert [f.reference for f in part] == ["mdb001", "mdb004", "mdb005", "mdb006", "mdb007", "mdb008"]
    assert [f.lesions for f in part] == [f.lesions for f in whole if f.lesions]
    assert mias.digest(part) == mias.digest([f for f in whole if f.lesions])
    assert (there / "Licence.txt").read_text() == "terms"
    kept = (there / "Info.txt").read_text()
    assert "2nd column" in kept and "more prose" in kept and "mdb002" not in kept, "only the rows of others go"


def test_the_normal_films_make_it_whole_again(folder, tmp_path):
    assert mias.pack(folder, tmp_path / "a.tar.bz2", "lesions") + mias.pack(folder, tmp_path / "b", "normal") == 8
    there = unpack(tmp_path / "a.tar.bz2", tmp_path / "there")
    unpack(tmp_path / "b", there)
    assert mias.digest(mias.load(there)) == mias.digest(mias.load(folder))
    assert (there / "Info.txt").read_bytes() == (folder / "Info.txt").read_bytes()
    alone = unpack(tmp_path / "b", tmp_path / "alone")
    with pytest.raises(FileNotFoundError, match="mdb001 and 5 more"):
        mias.load(alone)


def test_the_same_films_give_the_same_archive_and_nothing_half_written_is_left(folder, tmp_path, monkeypatch):
    for name in ("a", "b"):
        mias.pack(folder, tmp_path / name)
    before = (tmp_path / "a").read_bytes()
    assert (tmp_path / "b").read_bytes() == before
    monkeypatch.setattr(tarfile.TarFile, "addfile", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        mias.pack(folder, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "films"]


def test_what_cannot_be_packed_is_refused(folder, tmp_path):
    with pytest.raises(ValueError) as err:
        mias.pack(folder, tmp_path / "a", "all")
    one_line(err, "'all' is not one of lesions, normal")
    (folder / "Info.txt").write_text("".join(f"mdb00{n} F NORM\n" for n in range(1, 9)))
    with pytest.raises(ValueError) as err:
        mias.pack(folder, tmp_path / "a")
    one_line(err, "no film to pack as 'lesions'")


def test_a_part_is_known_by_its_digest(folder, monkeypatch):
    assert mias.part_of(folder) is None and mias.part_of(folder / "nowhere") is None
    monkeypatch.setitem(mias.DIGESTS, mias.digest(mias.load(folder)), "eight films")
    assert mias.part_of(folder) == "eight films"
    (folder / "mdb008.pgm").unlink()
    assert mias.part_of(folder) is None, "a film is missing"
