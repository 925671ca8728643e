"""Grey pictures from files of every kind: the right levels, or one line that names the file."""

import os
import struct

import numpy as np
import pytest
from PIL import Image

from mammolib import mias
from mammolib.images import read_grey
from mammolib.mias.films import read_pixels

pydicom = pytest.importorskip("pydicom")

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def dicom(path, pixels=RAMP, kind="MONOCHROME2", bare=None, **tags):
    """Write a DICOM file; `bare`: without preamble and meta group, "implicit" or "explicit" little endian."""
    from pydicom.uid import ExplicitVRLittleEndian

    data = pydicom.dataset.FileDataset(str(path), {}, file_meta=pydicom.dataset.FileMetaDataset(), preamble=b"\0" * 128)
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.2"
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = "1.2.3"
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, kind, 0
    data.BitsAllocated = 8 * pixels.itemsize
    data.BitsStored = tags.pop("BitsStored", 12 if pixels.itemsize == 2 else 8)
    data.HighBit = data.BitsStored - 1
    data.PixelData = pixels.tobytes()
    for name, value in tags.items():
        setattr(data, name, value)
    if bare:
        plain = pydicom.dataset.Dataset(data)
        pydicom.dcmwrite(path, plain, implicit_vr=bare == "implicit", little_endian=True, enforce_file_format=False)
    else:
        data.save_as(path, enforce_file_format=True)
    return path


def refused(path, *says):
    with pytest.raises(ValueError) as err:
        read_grey(path)
    text = str(err.value)
    assert str(path) in text and "\n" not in text and all(word in text for word in says), text


# DICOM ----------------------------------------------------------------------------------------------------------------


CENTRE = {"WindowCenter": 2048}


@pytest.mark.parametrize(
    "tags",
    [
        {"WindowCenter": None, "WindowWidth": None},
        {"RescaleSlope": None, "RescaleIntercept": None},
        {"PixelSpacing": None},
        {"VOILUTFunction": ""},
        {"PixelPaddingValue": None},
        {"VOILUTSequence": []},
        CENTRE | {"WindowWidth": 0},
        CENTRE | {"WindowWidth": -5},
        CENTRE | {"WindowWidth": 0.5},
        CENTRE | {"WindowWidth": 0, "VOILUTFunction": "SIGMOID"},
        CENTRE | {"WindowWidth": -5, "VOILUTFunction": "SIGMOID"},
        "half a spacing and a table without data",
    ],
)
def test_an_attribute_that_is_empty_or_not_allowed_is_as_if_it_were_missing(tmp_path, tags):
    path = dicom(tmp_path / "a.dcm", **(tags if isinstance(tags, dict) else {}))
    if isinstance(tags, str):
        data = pydicom.dcmread(path)
        data.PixelSpacing = "0.1"
        table = pydicom.dataset.Dataset()
        table.add_new("LUTDescriptor", "US", [4096, 0, 8])
        data.VOILUTSequence = [table]
        data.save_as(path)
    grey = read_grey(path)
    assert grey.spacing is None
    np.testing.assert_array_equal(grey.bytes(), read_grey(dicom(tmp_path / "plain.dcm")).bytes())


@pytest.mark.parametrize("bare", ["implicit", "explicit"])
@pytest.mark.parametrize("name", ["bare.dcm", "bare"])
def test_a_bare_data_set_is_read(tmp_path, bare, name):
    window = {"WindowCenter": 2048, "WindowWidth": 4096}
    path = dicom(tmp_path / name, bare=bare, **window)
    np.testing.assert_array_equal(read_grey(path).bytes(), read_grey(dicom(tmp_path / "whole.dcm", **window)).bytes())


@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_may_be_a_range(tmp_path, kind):
    pixels = np.linspace(1500, 3000, 4096).astype(np.uint16).reshape(64, 64)
    pixels[:, :8], pixels[:, 8:16] = 0, 30
    grey = read_grey(dicom(tmp_path / "a.dcm", pixels, kind, PixelPaddingValue=0, PixelPaddingRangeLimit=50))
    shown = grey.bytes()
    assert not shown[:, :16].any()
    first, last = shown[0, 20], shown[-1, -1]
    assert (first < 8 and last > 250) if kind == "MONOCHROME2" else (first > 247 and last < 5)


@pytest.mark.parametrize("centre", [b"2048,5", b"a few "])
def test_a_window_that_is_no_number_is_one_line(tmp_path, centre):
    path = dicom(tmp_path / "a.dcm", WindowCenter="2048.5", WindowWidth=4096)
    path.write_bytes(path.read_bytes().replace(b"2048.5", centre))
    refused(path, "cannot be read as DICOM", centre.decode().strip())


def test_a_picture_that_needs_a_decoder_says_which_package_brings_it(tmp_path, monkeypatch):
    path = dicom(tmp_path / "a.dcm")
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.80"  # JPEG-LS lossless
    data.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
    data["PixelData"].is_undefined_length = True
    data.save_as(path)
    refused(path, "JPEG-LS")


@pytest.mark.parametrize(
    ("tags", "levels"),
    [
        (CENTRE | {"WindowWidth": 1}, {2000: 0, 2100: 255}),  # a threshold
        (CENTRE | {"WindowWidth": 1000, "VOILUTFunction": "LINEAR_EXACT"}, {1548: 0, 2048: 128, 2548: 255}),
        ({"WindowCenter": [2048, 1], "WindowWidth": [1000, 2]}, {1500: 0, 2600: 255}),
    ],
)
def test_a_window_says_what_is_black_and_white(tmp_path, tags, levels):
    shown = read_grey(dicom(tmp_path / "a.dcm", **tags)).bytes().reshape(-1)
    assert {value: int(shown[value]) for value in levels} == levels


# What Pillow reads ----------------------------------------------------------------------------------------------------


def png(path, width, height, depth, colour, rows):
    """Write a PNG by hand: Pillow cannot write 16 bits in several channels."""
    import zlib

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_sixteen_bits_in_several_channels_are_refused(tmp_path, colour, channels):
    row = b"".join(struct.pack(">H", v) * channels for v in (0, 2048, 4095))
    path = png(tmp_path / "mdb001.png", 3, 1, 16, colour, [row])
    refused(path, "16 bits in several channels")
    with pytest.raises(ValueError, match="16 bits in several channels"):
        read_pixels(path)


def test_what_is_transparent_is_black_for_every_reader(tmp_path):
    grey = np.full((1024, 1024), 255, np.uint8)
    grey[256:768, 256:768] = 90
    alpha = np.where(grey == 90, 255, 0).astype(np.uint8)
    Image.fromarray(np.dstack([grey, grey, grey, alpha]), "RGBA").save(tmp_path / "mdb001.png")
    Image.fromarray(np.dstack([grey, alpha]), "LA").save(tmp_path / "mdb002.png")
    palette = Image.fromarray((grey == 90).astype(np.uint8), "P")
    palette.putpalette([255, 255, 255, 90, 90, 90])
    palette.save(tmp_path / "mdb003.png", transparency=0)
    Image.fromarray(grey).save(tmp_path / "mdb004.png", transparency=255)
    for name in ("mdb001.png", "mdb002.png", "mdb003.png", "mdb004.png"):
        for pixels in (read_grey(tmp_path / name).bytes(), read_pixels(tmp_path / name)):
            assert pixels[0, 0] == 0 and pixels[500, 500] == 90, name


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_white_is_zero_is_inverted_at_every_depth(tmp_path, dtype):
    most = np.iinfo(dtype).max
    pixels = np.tile(np.linspace(0, most, 64).astype(dtype), (64, 1))
    path = tmp_path / "a.tif"
    bits = 8 * pixels.itemsize
    entries = [(256, 3, 64), (257, 3, 64), (258, 3, bits), (259, 3, 1), (262, 3, 0), (273, 4, 122), (277, 3, 1)]
    entries += [(278, 3, 64), (279, 4, pixels.nbytes)]
    body = b"".join(struct.pack("<HHI", tag, kind, 1) + struct.pack("<I", value) for tag, kind, value in entries)
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + body + b"\0\0\0\0"
    assert len(head) == 122
    path.write_bytes(head + pixels.tobytes())
    shown = read_grey(path).bytes()
    assert shown[0, 0] >= 250 and shown[0, -1] <= 5


def test_bad_numbers_of_a_floating_picture_are_black_and_leave_the_scale_alone(tmp_path):
    values = np.tile(np.linspace(0, 1, 64).astype(np.float32), (64, 1))
    Image.fromarray(values).save(tmp_path / "good.tif")
    values[0, :3] = np.nan, np.inf, -np.inf
    Image.fromarray(values).save(tmp_path / "bad.tif")
    good, bad = (read_grey(tmp_path / name).bytes() for name in ("good.tif", "bad.tif"))
    assert not bad[0, :3].any() and np.abs(bad[1:].astype(int) - good[1:]).max() <= 1
    assert read_grey(tmp_path / "bad.tif").valid.sum() == values.size - 3


def test_a_long_comment_and_formats_that_are_not_promised(tmp_path):
    pixels = np.full((1024, 1024), 7, np.uint8)
    path = tmp_path / "mdb001.pgm"
    path.write_bytes(b"P5\n#" + b"x" * 5000 + b"\n1024 1024\n255\n" + pixels.tobytes())
    np.testing.assert_array_equal(read_pixels(path), pixels)
    Image.fromarray(pixels).save(tmp_path / "a.gif")
    refused(tmp_path / "a.gif", "cannot be read as a picture")
    Image.fromarray(pixels).save(tmp_path / "two.tif", save_all=True, append_images=[Image.fromarray(pixels)])
    refused(tmp_path / "two.tif", "2 pictures")


@pytest.mark.parametrize("ending", ["dcm", "png", "jpg", "tif", "pgm", "bmp"])
def test_cut_and_damaged_pictures_are_one_line(tmp_path, ending):
    rng, path = np.random.default_rng(0), tmp_path / f"damaged.{ending}"
    if ending == "dcm":
        dicom(path)
    else:
        Image.fromarray(rng.integers(0, 256, (40, 30), dtype=np.uint8)).save(path)
    whole, head = path.read_bytes(), (128, 600) if ending == "dcm" else (0, 80)
    for number in range(60 if ending == "dcm" else 20):
        content = bytearray(whole)
        if number % 2:
            content = content[: int(rng.integers(0, len(whole)))]
        else:
            content[int(rng.integers(head[0], min(head[1], len(whole))))] ^= 1 << int(rng.integers(8))
        path.write_bytes(content)
        try:
            read_grey(path)
        except ValueError as err:
            assert str(path) in str(err) and "\n" not in str(err)


# Names and places -----------------------------------------------------------------------------------------------------


def test_names_in_capitals_are_the_same_films(tmp_path):
    pixels = np.full((1024, 1024), 7, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "MDB001.PGM")
    Image.fromarray(pixels).save(tmp_path / "mdb002.Png")
    (tmp_path / "INFO.TXT").write_text("mdb001 G NORM\nmdb002 G NORM\n")
    films = mias.load(tmp_path)
    assert [film.reference for film in films] == ["mdb001", "mdb002"]
    assert all((film.pixels() == 7).all() for film in films)
    assert mias.find(tmp_path) == tmp_path
    missing = {problem.name for problem in mias.check(tmp_path) if problem.kind == "missing"}
    assert not {"mdb001.pgm", "mdb002.pgm", "Info.txt"} & missing and len(missing) == 320
    Image.fromarray(pixels).save(tmp_path / "mdb001.pgm")
    if len(list(tmp_path.glob("*001*"))) == 2:  # where capitals make another file
        with pytest.raises(ValueError, match="mdb001 is there twice, as MDB001.PGM and mdb001.pgm"):
            mias.load(tmp_path)


def test_a_folder_that_is_given_needs_no_home(tmp_path, monkeypatch):
    (tmp_path / "Info.txt").write_text("mdb001 G NORM\n")
    for name in ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", mias.VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as for a user whom the system does not know
    assert mias.find(tmp_path) == tmp_path
    monkeypatch.setenv(mias.VARIABLE, str(tmp_path))
    assert mias.find() == tmp_path
