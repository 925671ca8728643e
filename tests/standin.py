"""Films for tests that need no file: grey, with white squares where their lesions are."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mammolib.mias import Lesion


@dataclass(frozen=True)
class Film:
    """A film that needs no file: grey everywhere, white where its lesions' boxes are."""

    number: int
    lesions: tuple[Lesion, ...] = ()
    shape: tuple[int, int] = (384, 448)
    dark_rows: int = 0
    tissue: str = "G"
    reads: list[int] = field(default_factory=list, compare=False)

    @property
    def reference(self) -> str:
        return f"mdb{self.number:03d}"

    @property
    def side(self) -> str:
        return "right" if self.number % 2 else "left"

    @property
    def woman(self) -> int:
        return (self.number + 1) // 2

    @property
    def severity(self) -> str:
        found = {lesion.severity for lesion in self.lesions}
        return {"": "normal", "B": "benign", "M": "malignant"}.get("".join(found), "mixed")

    @property
    def kept(self) -> bool:
        return not self.lesions or (len(self.lesions) == 1 and self.lesions[0].located)

    def pixels(self) -> np.ndarray:
        self.reads.append(1)
        pixels = np.full(self.shape, 100, np.uint8)
        pixels[: self.dark_rows] = 5
        for lesion in (found for found in self.lesions if found.located):
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
