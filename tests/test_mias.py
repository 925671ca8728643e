"""mammolib.mias: the rows of Info.txt and the films, on small hand-made folders."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mias_layout import BAD_PGM, GREY, PREAMBLE, ROWS, info, one_line, pgm, write_folder
from skimage import io

from mammolib import mias
from mammolib.mias.films import read_info, read_pixels


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path)


# Rows


def test_rows_of_a_film_come_together_counted_from_the_top_left(folder: Path) -> None:
    rows = read_info(folder / "Info.txt")
    assert [reference for reference, _, _ in rows] == [f"mdb{n:03}" for n in range(1, 9)]
    assert rows[0] == ("mdb001", "G", (mias.Lesion("ASYM", "B", 1023 - 420, 530, 190),))
    assert rows[1] == ("mdb002", "G", ())
    assert rows[5][2] == (mias.Lesion("MISC", "B", 43, 240, 30), mias.Lesion("MISC", "M", 493, 320, 25))


@pytest.mark.parametrize("number", [4, 5])
def test_a_row_without_a_centre_is_a_lesion_that_is_not_located(folder: Path, number: int) -> None:
    (lesion,) = mias.load(folder)[number - 1].lesions
    assert not lesion.located and (lesion.row, lesion.column, lesion.radius) == (None, None, None)
    with pytest.raises(ValueError, match="has no centre"):
        _ = lesion.box


def test_windows_line_ends_trailing_blanks_and_shuffled_rows_are_read_alike(folder: Path) -> None:
    before = read_info(folder / "Info.txt")
    text = PREAMBLE + "".join(f"{line} \t\n" for line in reversed(ROWS.splitlines()))
    (folder / "Info.txt").write_bytes(text.replace("\n", "\r\n").encode())
    after = read_info(folder / "Info.txt")
    assert [(r, t, set(lesions)) for r, t, lesions in after] == [(r, t, set(lesions)) for r, t, lesions in before]


LINE = PREAMBLE.count("\n") + 2
BAD_ROWS = {
    "mdb002 X NORM": "tissue 'X'",
    "mdb002 G LUMP B 500 500 20": "'LUMP' is unknown; there are CALC, CIRC, SPIC, MISC, ARCH, ASYM, NORM",
    "mdb002": "tissue ''",
    "mdb002 G": "class of lesion ''",
    "mdb002 G ASYM": "severity ''",
    "mdb002 G ASYM Q 500 500 20": "severity 'Q'",
    "mdb002 G ASYM B 5o0 500 20": "x '5o0'",
    "mdb002 G ASYM B 500 nan 20": "y 'nan'",
    "mdb002 G ASYM B 500 500 20.5": "radius '20.5'",
    "mdb002 G ASYM B 500 500 1_0": "radius '1_0'",
    "mdb002 G ASYM B 500 500": "'500 500'",
    "mdb002 G ASYM B 500 500 20 7": "'500 500 20 7'",
    "mdb002 G ASYM B *NOTE 4*": "'*NOTE 4*'",
    "mdb002 G ASYM B 500 500 0": "radius 0 is not positive",
    "mdb002 G ASYM B 500 500 -3": "radius -3 is not positive",
    "mdb002 G ASYM B 2000 500 20": "x 2000, y 500",
    "mdb002 G ASYM B 500 -1 20": "x 500, y -1",
    "mdb002 G ASYM B 500 1010 20": "leaves the film",
    "mdb002 G NORM B 500 500 20": "'B' after NORM",
    "mdb02 G NORM": "'mdb02'",
    "mdb000 G NORM": "'mdb000'",
    "mbd002 G NORM": "'mbd002'",
    "mdb001 D ASYM B 500 500 20": "tissue D here and G in an earlier line",
    "mdb001 G NORM": "NORM in one row",
    "mdb001 G ASYM B 530 420 190": "there twice",
}


@pytest.mark.parametrize("row", BAD_ROWS)
def test_a_bad_row_is_named_by_file_line_and_value(tmp_path: Path, row: str) -> None:
    path = info(tmp_path, f"mdb001 G ASYM B 530 420 190\n{row}\n")
    with pytest.raises(ValueError) as err:
        read_info(path)
    one_line(err, f"{path}, line {LINE}: ", BAD_ROWS[row])


def test_an_info_without_rows_or_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no line names a film"):
        read_info(info(tmp_path, ""))
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_info(tmp_path / "nothing.txt")


@given(st.binary(max_size=300))
def test_noise_is_read_or_refused_in_one_line(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.txt"
    path.write_bytes(b"mdb001 G ASYM B " + noise)
    try:
        read_info(path)
    except ValueError as err:
        assert "\n" not in str(err)


@given(st.integers(1, 500), st.data())
def test_a_box_lies_on_the_film_and_its_centre_where_info_says(radius: int, data: st.DataObject) -> None:
    x = data.draw(st.integers(radius, 1023 - radius))
    y = data.draw(st.integers(radius, 1023 - radius))
    lesion = mias.Lesion("CIRC", "M", 1023 - y, x, radius)
    left, top, right, bottom = lesion.box
    assert 0 <= left and 0 <= top and right <= 1024 and bottom <= 1024
    assert ((left + right) / 2, (top + bottom) / 2) == (x, 1023 - y)
    assert lesion.label == 2
    with pytest.raises(ValueError, match="all three or none"):
        mias.Lesion("CIRC", "M", 1023 - y, x)


# Films


def test_what_a_film_knows_of_itself(folder: Path) -> None:
    films = mias.load(folder)
    assert [film.number for film in films] == list(range(1, 9))
    assert [film.woman for film in films] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert [film.side for film in films[:2]] == ["right", "left"]
    assert [film.severity for film in films[:4]] == ["benign", "normal", "normal", "malignant"]
    assert films[5].severity == "mixed"
    assert [film.number for film in films if film.kept] == [1, 2, 3, 7, 8]
    assert [film.number for film in mias.single_lesion_films(films)] == [1, 7, 8]
    pixels = films[0].pixels()
    assert pixels.dtype == np.uint8 and (pixels == GREY).all()


def test_the_command_line_has_no_part_in_importing_heavy_libraries() -> None:
    code = (
        "import sys, mammolib.mias, mammolib.bench.data; "
        "print([m for m in ('pooch', 'requests', 'skimage', 'tqdm', 'keras', 'scipy') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"


@pytest.mark.parametrize("form", [".png", ".tif", ".PNG", ".bmp", "in colour", "in words", "with comments"])
def test_films_in_other_formats_have_the_same_pixels(folder: Path, form: str) -> None:
    before = mias.digest(mias.load(folder))
    (folder / "mdb003.pgm").unlink()
    if form == "in words":
        (folder / "mdb003.pgm").write_text("P2\n1024 1024\n255\n" + "\n".join(" ".join(map(str, row)) for row in GREY))
    elif form == "with comments":
        (folder / "mdb003.pgm").write_bytes(pgm(GREY, b"P5 # made by hand\n1024 # wide\n1024\n# and white is\n255\n"))
    elif form == "in colour":
        io.imsave(folder / "mdb003.png", np.repeat(GREY[..., None], 3, axis=2), check_contrast=False)
    else:
        io.imsave(folder / f"mdb003{form}", GREY, check_contrast=False)
    films = mias.load(folder)
    assert (films[2].pixels() == GREY).all()
    assert mias.digest(films) == before


@pytest.mark.parametrize("fault", BAD_PGM)
def test_a_bad_pgm_is_found_when_the_folder_is_loaded(folder: Path, fault: str) -> None:
    content, message = BAD_PGM[fault]
    (folder / "mdb004.pgm").write_bytes(content)
    with pytest.raises(ValueError) as err:
        mias.load(folder)
    one_line(err, str(folder / "mdb004.pgm"), message)


def test_a_film_damaged_or_gone_after_loading_is_found_when_it_is_read(folder: Path) -> None:
    films = mias.load(folder)
    films[0].path.write_bytes(BAD_PGM["cut short"][0])
    films[1].path.unlink()
    with pytest.raises(ValueError, match="mdb001.pgm: .*truncated"):
        films[0].pixels()
    with pytest.raises(FileNotFoundError, match="mdb002.pgm: there is no such file"):
        films[1].pixels()


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((1024, 1024), np.uint16), "deeper than 8 bits; convert the film to 8 bits"),
        (np.zeros((64, 64), np.uint8), "shape (64, 64)"),
        (np.arange(1024 * 1024 * 3, dtype=np.uint8).reshape(1024, 1024, 3), "a picture in colour; films are grey"),
        (None, "cannot be read as a picture"),
    ],
)
def test_a_bad_png_is_named(tmp_path: Path, pixels: np.ndarray | None, message: str) -> None:
    path = tmp_path / "mdb001.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\nnot really") if pixels is None else io.imsave(
        path, pixels, check_contrast=False
    )
    with pytest.raises(ValueError) as err:
        read_pixels(path)
    one_line(err, str(path), message)


def test_listed_films_and_images_must_be_the_same(folder: Path) -> None:
    for other in ("mdb001.txt", "README"):
        (folder / other).write_text("does no harm")
    assert len(mias.load(folder)) == 8
    io.imsave(folder / "mdb002.png", GREY, check_contrast=False)
    with pytest.raises(ValueError, match="mdb002 is there twice, as mdb002.pgm and mdb002.png"):
        mias.load(folder)
    (folder / "mdb002.png").rename(folder / "mdb011.png")
    with pytest.raises(ValueError) as err:
        mias.load(folder)
    one_line(err, "mdb011.png: Info.txt does not list mdb011;")
    for gone in ("mdb011.png", "mdb007.pgm", "mdb008.pgm"):
        (folder / gone).unlink()
    with pytest.raises(FileNotFoundError) as err:
        mias.load(folder)
    one_line(err, str(folder), "Info.txt lists mdb007 and 1 more", "no image mdb007.pgm")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        mias.load(folder / "nowhere")


def test_the_digest_follows_rows_pixels_and_choice_of_films(folder: Path) -> None:
    films = mias.load(folder)
    first = mias.digest(films)
    assert mias.digest(mias.load(folder)) == first != mias.digest(films[:-1])
    changed = GREY.copy()
    changed[500, 500] ^= 1
    (folder / "mdb003.pgm").write_bytes(pgm(changed))
    assert (second := mias.digest(mias.load(folder))) != first
    info(folder, ROWS.replace("530 420 190", "530 420 189"))
    assert mias.digest(mias.load(folder)) not in (first, second)
