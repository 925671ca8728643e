"""Write a phantom data set to disk in the layout of mini-MIAS: whole, or not at all."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from mammolib.files import draft_folder
from mammolib.mias import SIDE

VERSION = 2
"""Goes up whenever the same seed gives other films."""

MOST_WOMEN = 499  # references have three digits
_HEADER = b"P5\n%d %d\n255\n" % (SIDE, SIDE)
_PREAMBLE, _LICENCE = (Path(__file__).with_name(name) for name in ("preamble.txt", "licence.txt"))


def write(folder: str | os.PathLike[str], women: int = 80, seed: int = 0) -> Path:
    """Write the films of a screening round, Info.txt and Licence.txt; return the folder.

    Everything is written into a hidden folder beside `folder`, which takes its name when it is complete. An error or
    Ctrl-C leaves nothing behind. A complete set of the same settings that is already there is left as it is.

    Args:
        folder: where; must not exist, be empty, or hold the same set.
        women: how many, 1 to 499; two films each.
        seed: 0 or more. The first women of a larger set are those of a smaller one.

    Raises:
        ValueError: a bad argument; names it and its value.
        FileExistsError: something else is in the folder.
        OSError: it cannot be written; says why.
    """
    folder = Path(folder)
    for name, value, least in (("women", women, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise ValueError(f"{name}: must be a whole number, at least {least}, got {value!r}")
    if women > MOST_WOMEN:
        raise ValueError(f"women: must be at most {MOST_WOMEN}, got {women}")
    if is_whole(folder, women, seed):
        return folder
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise FileExistsError(f"{folder}: exists and is not this phantom set; name another folder or remove it")
    try:
        with draft_folder(folder) as draft:
            _fill(draft, women, seed)
            if folder.is_dir() and not any(folder.iterdir()):  # not every system renames onto an empty folder
                folder.rmdir()
            try:
                draft.rename(folder)
            except OSError:
                if not is_whole(folder, women, seed):  # else another process was faster
                    raise
    except OSError as err:
        raise type(err)(f"{folder}: the phantoms could not be written: {err.strerror or err}") from None
    return folder


def ensure(cache: str | os.PathLike[str], women: int, seed: int) -> Path:
    """Return a phantom data set in a cache folder; written the first time, found again afterwards.

    The name of the folder says the version of the generator, the number of women and the seed. Processes that ask at
    the same time each draw the set, and the first to finish provides it. A set that has lost a file is drawn anew.
    """
    folder = Path(cache) / f"phantom-v{VERSION}-women-{women}-seed-{seed}"
    if folder.is_dir() and not is_whole(folder, women, seed):
        shutil.rmtree(folder)
    return write(folder, women, seed)


def is_whole(folder: Path, women: int, seed: int) -> bool:
    """Whether a folder holds the whole set of these settings: the right Info.txt and every film at full length."""
    try:
        if _settings(women, seed) not in (folder / "Info.txt").read_text(encoding="ascii").splitlines():
            return False
        length = len(_HEADER) + SIDE * SIDE
        names = (f"mdb{number:03d}.pgm" for number in range(1, 2 * women + 1))
        return (folder / "Licence.txt").is_file() and all((folder / n).stat().st_size == length for n in names)
    except (OSError, UnicodeDecodeError):
        return False


def _settings(women: int, seed: int) -> str:
    return f"Generator version {VERSION}, {women} women, seed {seed}."


def _fill(draft: Path, women: int, seed: int) -> None:
    from joblib import cpu_count

    from mammolib.phantom.films import SIDES, film  # loads SciPy's FFT, which a set that is there does not need

    def draw(woman_and_side: tuple[int, str]) -> list[str]:
        drawn = film(int(seed), *woman_and_side)
        (draft / f"{drawn.reference}.pgm").write_bytes(_HEADER + drawn.pixels.tobytes())
        return drawn.rows

    pool = ThreadPoolExecutor(cpu_count())  # threads: NumPy and the FFT let go of the interpreter
    try:
        rows = list(pool.map(draw, [(woman, side) for woman in range(1, women + 1) for side in SIDES]))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    info = _PREAMBLE.read_text("ascii").format(settings=_settings(women, seed))
    (draft / "Info.txt").write_text(info + "".join(f"{row}\n" for of_film in rows for row in of_film), encoding="ascii")
    shutil.copyfile(_LICENCE, draft / "Licence.txt")
