"""Five repeats of five folds over all films, by woman: dealt once, kept in folds.txt, and never dealt again.

The two films of a woman are in one fold. Films without a lesion and the six classes of lesion are spread alike; a film
with several lesions goes by its first. `splits.folds_by_woman` dealt them, with the number of the repeat for its seed.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

FILE = Path(__file__).with_name("folds.txt")
"""One film a line: its reference, and its fold (0 to 4) in repeats 0 to 4. Nothing of Info.txt is in it."""
REPEATS, FOLDS = 5, 5


def folds() -> dict[str, tuple[int, ...]]:
    """Return the fold, 0 to 4, of every film in each of the five repeats.

    Example:
        >>> table = folds()
        >>> len(table), len(table["mdb001"]), table["mdb001"] == table["mdb002"]
        (322, 5, True)
    """
    rows = (line.split() for line in FILE.read_text("utf-8").splitlines())
    return {reference: tuple(map(int, numbers)) for reference, *numbers in rows}


def folds_digest() -> str:
    """Return the SHA-256 of the table of folds, in hexadecimal: results with another one are of another benchmark."""
    return hashlib.sha256(FILE.read_text("utf-8").encode()).hexdigest()
