"""mammolib.mias: counts and verification, on small hand-made folders and on the real films."""

import hashlib
from pathlib import Path

import pytest
from mias_layout import BAD_PGM, GREY, ROWS, info, one_line, pgm, write_folder
from skimage import io

from mammolib import mias
from mammolib.bench import data as bench_data
from mammolib.mias import copies


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path)


# Counts


def test_the_audit_of_eight_films_counted_by_hand(folder: Path) -> None:
    found = mias.audit(mias.load(folder))
    radii = {"min": 20, "max": 190, "mean": pytest.approx((190 + 30 + 25 + 100 + 20) / 5), "median": 30}
    assert found == {
        "films": 8, "women": 4, "rows": 9, "kept": 5, "kept_normal": 2, "kept_benign": 2, "kept_malignant": 1,
        "rows_without_centre": 2, "films_without_centre": ["mdb004", "mdb005"],
        "films_with_several_rows": ["mdb006"], "films_mixed": ["mdb006"],
        "lesions": 7, "benign": 4, "malignant": 3, "located": 5, "located_benign": 3, "located_malignant": 2,
        "located_by_tissue": {"F": 3, "G": 1, "D": 1},
        "located_by_kind": {"CALC": 0, "CIRC": 0, "SPIC": 1, "MISC": 2, "ARCH": 1, "ASYM": 1},
        **{f"radius_{name}": value for name, value in radii.items()},
        "films_radius_above_half_crop": ["mdb001"], "single_lesions": 3, "single_lesion_women": 2,
        "films_crop_leaves": ["mdb007", "mdb008"], "women_of_two_tissues": [4],
    }  # fmt: skip


def test_the_audit_of_normal_films_alone_has_no_radii(folder: Path) -> None:
    normal = [film for film in mias.load(folder) if film.severity == "normal"]
    found = mias.audit(normal)
    assert found["lesions"] == 0 and found["radius_mean"] is None and found["kept"] == 2
    with pytest.raises(ValueError, match="no box to check"):
        mias.origin_check(normal)


def test_the_audit_at_its_edges(folder: Path) -> None:
    """A crop of 256 fits to the pixel or leaves; a radius of half a crop is not above it."""
    info(folder, "".join(f"mdb00{n} G ASYM B 512 {y} 20\n" for n, y in enumerate([127, 126, 895, 896] * 2, 1)))
    assert mias.audit(mias.load(folder))["films_crop_leaves"] == ["mdb002", "mdb004", "mdb006", "mdb008"]
    info(folder, "".join(f"mdb00{n} G ASYM B 512 512 {126 + n}\n" for n in range(1, 9)))
    above = mias.audit(mias.load(folder))["films_radius_above_half_crop"]
    assert above == [f"mdb00{n}" for n in range(3, 9)]  # from radius 129


def test_origin_ignored_mirrors_the_boxes(folder: Path) -> None:
    """mdb001: radius 190, y 420: the mirrored box is 183 away: IoU 197 / 563; mdb007: 177 / 223; mdb008: 0."""
    assert mias.origin_check(mias.load(folder)) == pytest.approx(1 / 3)
    info(folder, ROWS.replace("530 420 190", "530 448 190"))  # 127 away, of 380: IoU 253 / 507
    assert mias.origin_check(mias.load(folder)) == pytest.approx(1 / 3)
    info(folder, ROWS.replace("530 420 190", "530 449 190"))  # 125 away: IoU 255 / 505
    assert mias.origin_check(mias.load(folder)) == pytest.approx(2 / 3)


def test_dark_boxes_are_those_with_more_dark_than_asked(folder: Path) -> None:
    dark = GREY.copy()
    dark[1023 - 100 - 20 : 1023 - 100 - 10, 580:620] = 10  # a quarter of the box of mdb008
    (folder / "mdb008.pgm").write_bytes(pgm(dark))
    films = mias.load(folder)
    assert mias.dark_share(films[7], films[7].lesions[0]) == 0.25
    assert mias.dark_boxes(films) == ["mdb008"]


# Verification


def test_check_names_what_is_missing_damaged_or_unknown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}
    monkeypatch.setattr(copies, "manifest", lambda: expected)
    assert mias.check(folder) == []
    (folder / "Licence.txt").write_text("terms")
    (folder / ".hidden").write_text("of the system")
    (folder / "mdb002.pgm").unlink()
    io.imsave(folder / "mdb002.png", GREY, check_contrast=False)  # the same film in another format
    assert mias.check(folder) == []

    (folder / "mdb001.pgm").unlink()
    (folder / "mdb003.pgm").write_bytes(pgm(GREY[::-1]))
    (folder / "mdb004.pgm").write_bytes(BAD_PGM["cut short"][0])
    io.imsave(folder / "mdb002.png", GREY[:64, :64], check_contrast=False)
    (folder / "Info.txt").write_text("changed")
    (folder / "mdb999.pgm").write_bytes(b"")
    problems = mias.check(folder)
    assert [(problem.name, problem.kind) for problem in problems] == [
        ("Info.txt", "damaged"),
        ("mdb001.pgm", "missing"),
        ("mdb002.png", "damaged"),
        ("mdb003.pgm", "damaged"),
        ("mdb004.pgm", "damaged"),
        ("mdb999.pgm", "unknown"),
    ]
    assert "shape (64, 64)" in problems[2].what
    assert "truncated" in str(problems[4]) and str(problems[4]).startswith("mdb004.pgm: damaged: ")
    assert all("\n" not in str(problem) for problem in problems)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        mias.check(folder / "nowhere")


def test_the_manifest_names_322_films_and_info() -> None:
    names = [f"mdb{number:03}.pgm" for number in range(1, 323)]
    assert sorted(copies.manifest()) == ["Info.txt", *names]
    assert all(len(digest) == 64 and int(digest, 16) for digest in copies.manifest().values())


def test_find_takes_the_folder_given_then_the_variable_then_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(mias.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cached = tmp_path / "cache" / "mammolib" / "mini-MIAS"
    with pytest.raises(FileNotFoundError) as err:
        mias.find()
    one_line(err, str(cached), "mammolib data fetch")
    given, named = tmp_path / "given", tmp_path / "named"
    for place in (cached, given, named):
        place.mkdir(parents=True)
        (place / "Info.txt").write_text("")
    assert mias.find() == cached
    monkeypatch.setenv(mias.VARIABLE, str(named))
    assert mias.find() == named and mias.find(given) == given
    monkeypatch.setenv(mias.VARIABLE, str(tmp_path / "gone"))
    with pytest.raises(FileNotFoundError, match=f"gone .*{mias.VARIABLE}"):
        mias.find()


# The real films: every number of the data table that the annotations decide


def test_the_real_audit_is_the_one_the_book_quotes(real_films: list[mias.Film]) -> None:
    radii = {"min": 3, "max": 197, "mean": pytest.approx(48.8, abs=0.05), "median": 41}
    assert mias.audit(real_films) == {
        "films": 322, "women": 161, "rows": 330,
        "kept": 311, "kept_normal": 207, "kept_benign": 58, "kept_malignant": 46,
        "rows_without_centre": 4, "films_without_centre": ["mdb059", "mdb216", "mdb233", "mdb245"],
        "films_with_several_rows": ["mdb005", "mdb132", "mdb144", "mdb223", "mdb226", "mdb239", "mdb249"],
        "films_mixed": ["mdb144"],
        "lesions": 123, "benign": 69, "malignant": 54, "located": 119, "located_benign": 68, "located_malignant": 51,
        "located_by_tissue": {"F": 41, "G": 38, "D": 40},
        "located_by_kind": {"CALC": 27, "CIRC": 24, "SPIC": 19, "MISC": 15, "ARCH": 19, "ASYM": 15},
        **{f"radius_{name}": value for name, value in radii.items()},
        "films_radius_above_half_crop": ["mdb001", "mdb081", "mdb148", "mdb193"],
        "single_lesions": 104, "single_lesion_women": 98,
        "films_crop_leaves": ["mdb021", "mdb214", "mdb270", "mdb274"], "women_of_two_tissues": [],
    }  # fmt: skip
    assert {len(film.lesions) for film in real_films} == {0, 1, 2, 3} and len(real_films[225].lesions) == 3


def test_boxes_of_the_real_films(real_films: list[mias.Film]) -> None:
    """Where the origin is ignored, an eighth of them is left; by the background rule, five are suspicious."""
    assert mias.origin_check(real_films) == 0.125
    assert mias.dark_boxes(real_films) == ["mdb072", "mdb110", "mdb126", "mdb212", "mdb290"]
    assert mias.dark_share(real_films[211], real_films[211].lesions[0]) == 1


def test_the_real_films_are_as_distributed_and_fast(real_films: list[mias.Film]) -> None:
    folder = real_films[0].path.parent
    assert mias.check(folder) == []
    assert {film.pixels().shape for film in real_films} == {(1024, 1024)}
    answer = bench_data.BENCHMARKS[0].run(str(folder))
    assert "problems" not in answer and float(answer.split()[0]) < 6


def test_without_the_real_films_the_benchmark_says_skipped() -> None:
    assert bench_data.BENCHMARKS[0].run(None).startswith("skipped")
