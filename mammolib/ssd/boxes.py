"""Default boxes: where an SSD looks, at which sizes and in which shapes.

Every cell of six (SSD512: seven) feature maps carries four or six boxes of fixed size and shape around its centre.
The network never says where a lesion is; it says for each default box what it holds and how the box should move.
Liu et al. (2016), section 2.2, with the constants of the implementation the paper builds on (Ferrari 2018).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

FOUR = (1.0, 2.0, 1 / 2)
SIX = (1.0, 2.0, 1 / 2, 3.0, 1 / 3)


@dataclass(frozen=True)
class Layout:
    """The sizes, shapes and places of a network's default boxes.

    Attributes:
        size: side of the square input, in pixels.
        maps: sides of the feature maps that predict, in cells.
        scales: size of the boxes of each map relative to the input, and one more: a map's extra square has the size
            sqrt(s_k s_k+1).
        ratios: for each map the aspect ratios width / height; the first is 1, which gets the extra square as well.
        steps: distance between the centres of a map, in pixels.

    Raises:
        ValueError: the lengths do not agree, or a value is not positive.
    """

    size: int
    maps: tuple[int, ...]
    scales: tuple[float, ...]
    ratios: tuple[tuple[float, ...], ...]
    steps: tuple[float, ...]

    def __post_init__(self) -> None:
        n, lengths = len(self.maps), (len(self.scales), len(self.ratios), len(self.steps))
        if lengths != (n + 1, n, n):
            raise ValueError(f"layout: {n} maps need {n + 1} scales, {n} ratios and {n} steps, got {lengths}")
        for name, values in (("maps", self.maps), ("scales", self.scales), ("steps", self.steps)):
            if not all(value > 0 for value in values):
                raise ValueError(f"layout.{name}: must be positive, got {values}")
        if any(r[:1] != (1,) or min(r) <= 0 for r in self.ratios):
            raise ValueError(f"layout.ratios: must be positive and begin with 1, got {self.ratios}")

    @property
    def per_cell(self) -> tuple[int, ...]:
        """How many boxes a cell of each map carries: one for each ratio, and the extra square."""
        return tuple(len(r) + 1 for r in self.ratios)

    @property
    def counts(self) -> tuple[int, ...]:
        """How many boxes each map carries in all."""
        return tuple(m * m * n for m, n in zip(self.maps, self.per_cell, strict=True))

    @property
    def n_boxes(self) -> int:
        """How many boxes there are: 6132 for SSD256, 8732 for SSD300, 24564 for SSD512."""
        return sum(self.counts)


PASCAL = (0.1, 0.2, 0.37, 0.54, 0.71, 0.88, 1.05)
"""The scales of SSD300 on Pascal VOC; the paper's SSD256 keeps them."""

SSD256 = Layout(256, (32, 16, 8, 4, 2, 1), PASCAL, (FOUR, SIX, SIX, SIX, FOUR, FOUR), (8, 16, 32, 64, 128, 256))
SSD300 = Layout(300, (38, 19, 10, 5, 3, 1), PASCAL, (FOUR, SIX, SIX, SIX, FOUR, FOUR), (8, 16, 32, 64, 100, 300))
SSD512 = Layout(
    size=512,
    maps=(64, 32, 16, 8, 4, 2, 1),
    scales=(0.07, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.05),
    ratios=(FOUR, SIX, SIX, SIX, SIX, FOUR, FOUR),
    steps=(8, 16, 32, 64, 128, 256, 512),
)


@cache
def default_boxes(layout: Layout = SSD256) -> NDArray[np.float64]:
    """Return the default boxes of a network.

    Returns:
        (layout.n_boxes, 4) `cxcywh` boxes relative to the input, in the order of the network's output: map, row,
        column, then within the cell the square, the extra square, and the ratios 2, 1/2, 3, 1/3. Boxes near the border
        reach over it. The array is shared and cannot be written to.

    Example:
        >>> default_boxes().shape
        (6132, 4)
        >>> default_boxes()[0]
        array([0.015625, 0.015625, 0.1     , 0.1     ])
    """
    parts = []
    for k, (cells, ratios, step) in enumerate(zip(layout.maps, layout.ratios, layout.steps, strict=True)):
        scale, extra = layout.scales[k], np.sqrt(layout.scales[k] * layout.scales[k + 1])
        shapes = [(scale, scale), (extra, extra), *((scale * np.sqrt(r), scale / np.sqrt(r)) for r in ratios[1:])]
        centre = (np.arange(cells) + 0.5) * step / layout.size
        part = np.empty((cells, cells, len(shapes), 4))
        part[..., 0] = centre[None, :, None]
        part[..., 1] = centre[:, None, None]
        part[..., 2:] = shapes
        parts.append(part.reshape(-1, 4))
    boxes = np.concatenate(parts)
    boxes.flags.writeable = False
    return boxes


def map_of_box(layout: Layout = SSD256) -> NDArray[np.intp]:
    """Return for each default box the number of the map it belongs to: (layout.n_boxes,) int, 0 for the finest."""
    return np.repeat(np.arange(len(layout.maps)), layout.counts)
