"""mammolib.mias.pack: what travels to a machine that cannot fetch the films, and how it is known again there."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from mias_layout import one_line, write_folder

from mammolib import mias


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
