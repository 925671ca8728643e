"""Small data folders and archives in the mini-MIAS layout, shared by the tests of `mammolib.mias`."""

import errno
import hashlib
import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

from mammolib import mias

PREAMBLE = """\
          A DATABASE FOR TESTS

2nd column: Character of background tissue:
                F - Fatty
3rd column: Class of abnormality present:
                NORM - Normal
=================================================================

"""
ROWS = """\
mdb001 G ASYM B 530 420 190
mdb002 G NORM
mdb003 F NORM
mdb004 F CALC M *NOTE 3*
mdb005 F SPIC B
mdb006 F MISC B 240 980 30
mdb006 F MISC M 320 530 25
mdb007 F ARCH M 120 500 100
mdb008 D SPIC B 600 100 20
"""


def pgm(pixels: np.ndarray, header: bytes = b"P5\n1024 1024\n255\n") -> bytes:
    return header + pixels.astype(np.uint8).tobytes()


GREY = np.random.default_rng(0).integers(11, 256, (1024, 1024), dtype=np.uint8)
"""A film without a dark pixel."""


def write_folder(folder: Path) -> Path:
    """Eight films of four women, with prose around the rows."""
    folder.mkdir(exist_ok=True)
    (folder / "Info.txt").write_text(f"{PREAMBLE}{ROWS}\n=====\nmore prose\n")
    for number in range(1, 9):
        (folder / f"mdb{number:03}.pgm").write_bytes(pgm(GREY))
    return folder


def info(folder: Path, rows: str) -> Path:
    path = folder / "Info.txt"
    path.write_text(PREAMBLE + rows)
    return path


def one_line(err: pytest.ExceptionInfo, *parts: str) -> None:
    message = str(err.value)
    assert "\n" not in message and len(message) < 500
    for part in parts:
        assert part in message, f"{part!r} is not in {message!r}"


BAD_PGM = {
    "empty": (b"", "cannot be read as a picture"),
    "cut short": (b"P5\n1024 1024\n255\n" + bytes(5000), "cut short"),
    "small": (b"P5\n512 256\n255\n" + bytes(512 * 256), "512 x 256 pixels"),
    "no header": (b"P5" + b" " * 600, "cannot be read as a picture"),
}

# For fetch: a distribution of three files that count, and two that do not
FILES = {"Info.txt": b"mdb001 F NORM\nmdb002 F NORM\n"} | {
    f"mdb{n:03}.pgm": b"P5\n1024 1024\n255\n" + bytes([n]) * 1024 * 1024 for n in (1, 2)
}
EXPECTED = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
EXTRAS = {"Licence.txt": b"for research only", "README": b"from elsewhere"}


def member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.size, made.linkname = kind, size, link
    return made


def tar_of_members(members: list[tuple[tarfile.TarInfo, bytes | None]], zipped: bool = True) -> bytes:
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w:gz" if zipped else "w") as tar:
        for one, content in members:
            tar.addfile(one, None if content is None else io.BytesIO(content))
    return memory.getvalue()


def tar_of(files: dict[str, bytes], prefix: str = "", zipped: bool = True) -> bytes:
    members = [(member(prefix + name, size=len(content)), content) for name, content in files.items()]
    return tar_of_members(members, zipped)


WHOLE = tar_of(FILES | EXTRAS)


def whole(folder: Path) -> bool:
    return {path.name: path.read_bytes() for path in folder.iterdir()} == FILES | {"Licence.txt": EXTRAS["Licence.txt"]}


def fails(error: type[Exception], tmp_path: Path, *parts: str, **arguments: object) -> None:
    """Fetching fails with one line that holds `parts`, and leaves the disk as it was."""
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error) as err:
        mias.fetch(**arguments)
    one_line(err, *parts)
    assert sorted(tmp_path.rglob("*")) == before


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
