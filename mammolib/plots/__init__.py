"""Every figure of the paper and of the book.

A plotting function takes data, returns a `matplotlib.figure.Figure` and draws nothing else: `figure` makes it without
pyplot, so a notebook shows it once, as the value of its cell.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

STYLE: dict[RcKeyType, Any] = {
    "font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 150,
}  # fmt: skip


class Drawing(Figure):
    """A figure that a notebook shows as a picture without pyplot, and so exactly once."""

    def _repr_png_(self) -> bytes:
        from PIL import Image

        canvas, png = FigureCanvasAgg(self), io.BytesIO()
        canvas.draw()  # `savefig` would lay everything out twice
        picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
        picture.quantize(256).save(png, "png")  # fewer bytes
        return png.getvalue()


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


def show_pixels(ax: Axes, pixels: NDArray, title: str = "") -> Axes:
    """Draw a greyscale image without ticks, in pixel coordinates whose origin is the top-left corner."""
    height, width = pixels.shape
    ax.imshow(pixels, cmap="gray", vmin=0, vmax=255, extent=(0, width, height, 0), interpolation="nearest")
    ax.set(xticks=[], yticks=[], title=title)
    ax.spines[:].set_visible(False)  # no line along two sides only
    return ax


def draw_boxes(ax: Axes, xyxy: ArrayLike, colour: str, dash: str = "-", width: float = 1.6, **style: Any) -> None:
    """Draw one `xyxy` box, (4,), or several, (N, 4), also where they lie on the border of the image."""
    options: dict[str, Any] = {"fill": False, "ec": colour, "ls": dash, "lw": width, "clip_on": False}
    for x1, y1, x2, y2 in np.asarray(xyxy, float).reshape(-1, 4):
        ax.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, **options | style))


def false_marks_axis(ax: Axes, low: float, high: float, points: Sequence[float], **line: Any) -> None:
    """Make the x axis one of false marks an image, logarithmic, with thin lines where a FROC score is read."""
    for point in points:
        ax.axvline(point, zorder=0, **line)
    ticks = [*points, *(2.0**k for k in range(1, 12) if max(points) < 2**k < high)]
    ax.set(xscale="log", xlim=(low, high))
    ax.set_xticks(ticks, [f"{x:g}" for x in ticks])
    ax.minorticks_off()
