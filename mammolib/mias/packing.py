"""Pack a part of mini-MIAS for a machine that cannot fetch it: the films with lesions, or the normal ones.

Experiments A to E see no normal film, so the smaller part is enough for them.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from mammolib.files import atomic
from mammolib.mias.checks import DIGESTS, LICENCE, digest
from mammolib.mias.films import load

PARTS = ("lesions", "normal")
"""What `pack` can pack."""


def pack(folder: str | Path, archive: str | Path, part: str = "lesions") -> int:
    """Write a part of a data folder into a .tar.bz2, whole or not at all.

    Of "lesions", Info.txt keeps the rows of the films that are packed, so what is unpacked is a data folder of its own:
    `load` reads it, and `digest` gives one of `DIGESTS`. With "normal" goes Info.txt as it was: unpacked over the
    first part it makes the folder whole again.

    Args:
        folder: in the mini-MIAS layout.
        archive: the file to write; one that is there is replaced.
        part: one of `PARTS`.

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
    with atomic(archive) as file, tarfile.open(fileobj=file, mode="w:bz2") as tar:
        _add(tar, "Info.txt", info)
        for path in [folder / LICENCE, *(film.path for film in chosen)]:
            if path.is_file():
                _add(tar, path.name, path.read_bytes())
    return len(chosen)


def part_of(folder: str | Path) -> str | None:
    """Return which of `DIGESTS` a folder holds, in words; None if it holds none of them."""
    try:
        return DIGESTS.get(digest(load(folder)))
    except (ValueError, OSError):
        return None


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a file without date and owner, so that the same films give the same archive."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
