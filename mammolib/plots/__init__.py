"""Every figure of the paper and of the book.

A plotting function takes data, returns a `matplotlib.figure.Figure` and draws nothing else: `figure` makes the canvas
without pyplot, so a notebook shows the figure once, as the value of its cell. Colours are Okabe and Ito's, which
colour-blind readers can tell apart; lines differ in dash as well, for print in grey.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.typing import LineStyleType, RcKeyType

BENIGN, MALIGNANT, NORMAL = "#0072B2", "#D55E00", "#009E73"
PAPER, ACCENT, GREY = "#000000", "#CC79A7", "#6E6E6E"
COLOURS = {"benign": BENIGN, "malignant": MALIGNANT, "normal": NORMAL, "paper": PAPER}
DASHES = {"benign": "-", "malignant": "--", "normal": ":", "paper": "-."}
LINES: tuple[tuple[str, LineStyleType], ...] = (
    (BENIGN, "-"), (MALIGNANT, "--"), (NORMAL, "-."), (ACCENT, ":"), (GREY, (0, (5, 1))),
)  # fmt: skip
"""Colours and dashes of lines that stand for no class, in turn."""
STYLE: dict[RcKeyType, Any] = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "figure.dpi": 100,
    "savefig.dpi": 150,
}


class Drawing(Figure):
    """A figure that a notebook shows as a picture without pyplot, and so exactly once."""

    def _repr_png_(self) -> bytes:
        from PIL import Image

        drawn, small = io.BytesIO(), io.BytesIO()
        self.savefig(drawn, format="png", dpi=STYLE["savefig.dpi"])
        Image.open(drawn).convert("RGB").quantize(256).save(small, "png", optimize=True)  # three fifths of the bytes
        return small.getvalue()


def figure(rows: int = 1, columns: int = 1, width: float = 7.0, height: float = 3.2, **options: Any) -> Figure:
    """Return an empty figure with `rows` x `columns` axes; `width` and `height` in inches.

    The axes are `figure.axes`, row by row. `options` go to `Figure.subplots`.
    """
    import matplotlib

    with matplotlib.rc_context(STYLE):
        fig = Drawing(figsize=(width, height), layout="constrained")
        fig.subplots(rows, columns, **options)
    return fig


def canvas(width: float = 7.0, height: float = 3.2) -> tuple[Figure, Axes]:
    """Return an empty figure with one pair of axes, and the axes; `width` and `height` in inches."""
    fig = figure(width=width, height=height)
    return fig, fig.axes[0]


def gallery(count: int, height: float) -> Figure:
    """Return a figure with places for so many pictures, at most four in a row, each `height` inches high."""
    across = min(4, count)
    down = -(-count // across)
    fig = figure(down, across, width=7.4, height=height * down)
    for ax in fig.axes[count:]:
        ax.set_axis_off()
    return fig


def show_pixels(ax: Axes, pixels: Any, title: str = "") -> Axes:
    """Draw a greyscale image without ticks, in pixel coordinates whose origin is the top-left corner."""
    height, width = pixels.shape[:2]
    ax.imshow(pixels, cmap="gray", vmin=0, vmax=255, extent=(0, width, height, 0), interpolation="nearest")
    ax.set(xticks=[], yticks=[], title=title)
    ax.spines[:].set_visible(False)  # no line along two sides only
    return ax
