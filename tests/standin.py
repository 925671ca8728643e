"""Films for tests that need no file: grey, with white squares where their lesions are."""

from pathlib import Path

import numpy as np

from mammolib import mias
from mammolib.mias import Lesion


class Film(mias.Film):
    """A film that needs no file: grey everywhere, dark in its first rows, white where its lesions' boxes are."""

    def __init__(
        self,
        number: int,
        lesions: tuple[Lesion, ...] = (),
        shape: tuple[int, int] = (384, 448),
        dark_rows: int = 0,
        tissue: str = "G",
    ) -> None:
        super().__init__(f"mdb{number:03d}", tissue, lesions, Path())
        vars(self).update(shape=shape, dark_rows=dark_rows, reads=[])

    def pixels(self) -> np.ndarray:
        self.reads.append(1)
        pixels = np.full(self.shape, 100, np.uint8)
        pixels[: self.dark_rows] = 5
        for lesion in self.lesions:
            if lesion.located:
                x1, y1, x2, y2 = np.clip(lesion.box, 0, [*self.shape[::-1], *self.shape[::-1]]).astype(int)
                pixels[y1:y2, x1:x2] = 255
        return pixels


def lesion(row: int, column: int, radius: int = 20, severity: str = "B", kind: str = "CIRC") -> Lesion:
    return Lesion(kind, severity, row, column, radius)


NOWHERE = Lesion("CALC", "M", None, None, None)


def white(image: np.ndarray) -> list[int]:
    """The box around the white pixels."""
    rows, columns = np.flatnonzero((image == 255).any(axis=1)), np.flatnonzero((image == 255).any(axis=0))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
