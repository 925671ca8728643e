"""Figures of the films and of what is cut from them: chapters 01 to 03, the paper's Figures 1 and 2."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from numpy.typing import ArrayLike, NDArray

from mammolib import mias, patches
from mammolib.geometry import CLASSES
from mammolib.patches import Crops
from mammolib.plots import ACCENT, COLOURS, DASHES, GREY, figure, show_pixels

BRIGHT = {"benign": "#56B4E9", "malignant": "#F0A04B"}
"""Lighter relatives of the class colours, to be seen on a dark film."""


def draw_box(ax: Axes, xyxy: ArrayLike, colour: str, dash: str = "-", width: float = 1.6) -> None:
    """Draw one `xyxy` box."""
    x1, y1, x2, y2 = np.asarray(xyxy, float)
    ax.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=colour, ls=dash, lw=width))


def film(ax: Axes, shown: mias.Film, title: str = "") -> Axes:
    """Draw a film with the circle and the box of each located lesion."""
    show_pixels(ax, shown.pixels(), title or f"{shown.reference}, {shown.side} breast")
    for lesion in shown.lesions:
        if lesion.located:
            name = CLASSES[lesion.label - 1]
            ax.add_patch(Circle((lesion.column, lesion.row), lesion.radius, fill=False, ec=BRIGHT[name], lw=1))
            draw_box(ax, lesion.box, BRIGHT[name], DASHES[name])
    return ax


def pair(films: Sequence[mias.Film]) -> Figure:
    """Draw the two films of a woman, the right breast on the left as on a viewing box."""
    ordered = sorted(films, key=lambda f: f.side == "left")
    fig = figure(1, len(ordered), width=6.4, height=3.4)
    for ax, one in zip(fig.axes, ordered, strict=True):
        film(ax, one)
    return fig


def origin(shown: mias.Film) -> Figure:
    """Draw a lesion's box twice: with the origin where it is, and with the origin taken for the top-left corner."""
    fig = figure(width=7.0, height=3.8)
    ax = show_pixels(fig.axes[0], shown.pixels())
    (lesion,) = (s for s in shown.lesions if s.located)
    x1, y1, x2, y2 = lesion.box
    rows = shown.pixels().shape[0] - 1
    draw_box(ax, lesion.box, BRIGHT["benign"], "-", 2)
    draw_box(ax, [x1, rows - y2, x2, rows - y1], BRIGHT["malignant"], "--", 2)
    for y, text, key in ((y1, "bottom-left", "benign"), (rows - y2, "top-left", "malignant")):
        ax.text(x1, y - 12, text, color=BRIGHT[key], fontsize=9)
    return fig


def severity_counts(films: Sequence[mias.Film]) -> Figure:
    """Count the located rows by tissue and by class, benign beside malignant (seaborn)."""
    import pandas as pd
    import seaborn as sns

    rows = [
        {"tissue": mias.TISSUES[f.tissue], "class": s.kind, "severity": CLASSES[s.label - 1]}
        for f in films
        for s in f.lesions
        if s.located
    ]
    table = pd.DataFrame(rows, columns=["tissue", "class", "severity"])
    fig = figure(1, 2, width=7.4, height=3.2, sharey=True)
    orders = {"tissue": list(mias.TISSUES.values()), "class": [k for k in mias.KINDS if k != "NORM"]}
    for ax, (column, order) in zip(fig.axes, orders.items(), strict=True):
        sns.countplot(
            table, x=column, hue="severity", order=order, hue_order=CLASSES, palette=COLOURS, saturation=1, ax=ax
        )
        for bars, hatch in zip(ax.containers, ("", "///"), strict=True):
            for bar in bars:
                bar.set(hatch=hatch, edgecolor="white", linewidth=0.5)
        ax.set(xlabel="", ylabel="located rows")
        ax.tick_params(axis="x", labelsize=8)
        ax.get_legend().remove()
    fig.axes[0].set_xticks(range(3), [name.replace("-", "-\n") for name in orders["tissue"]])
    fig.axes[1].legend(title="")
    return fig


def radius_histogram(films: Sequence[mias.Film], half_crop: float = 128) -> Figure:
    """Draw the radii of the located lesions, with a line at half the side of a crop."""
    fig = figure(width=6.4, height=2.8)
    ax = fig.axes[0]
    for name in CLASSES:
        label = CLASSES.index(name) + 1
        radius = [s.radius for f in films for s in f.lesions if s.located and s.label == label]
        ax.hist(
            radius, bins=np.arange(0, 208, 8), histtype="step", lw=1.6, color=COLOURS[name], ls=DASHES[name], label=name
        )
    ax.axvline(half_crop, color=GREY, lw=1)
    ax.text(half_crop + 2, ax.get_ylim()[1] * 0.9, "half a crop", color=GREY, fontsize=9)
    ax.set(xlabel="radius in pixels", ylabel="lesions")
    ax.legend()
    return fig


def views(crops: Crops, lesion: int, flipped: bool) -> Figure:
    """Draw four of the eight views of a lesion: turned only, or turned and flipped (the paper's Figures 1 and 2)."""
    fig = figure(1, 4, width=7.4, height=2.2)
    for ax, view in zip(fig.axes, range(4, 8) if flipped else range(4), strict=True):
        (row,) = np.flatnonzero((crops.lesion == lesion) & (crops.view == view))
        show_pixels(ax, crops.images[row], f"{90 * (view % 4)} degrees" + (", flipped" if flipped else ""))
        _truths(ax, crops, row)
    return fig


def crop_gallery(crops: Crops, count: int = 8) -> Figure:
    """Draw `count` crops, evenly chosen from all, with the boxes of their lesions."""
    rows = np.unique(np.linspace(0, len(crops) - 1, count).astype(int))
    across = min(4, len(rows))
    down = -(-len(rows) // across)
    fig = figure(down, across, width=7.4, height=2.0 * down)
    for ax in fig.axes:
        ax.set_axis_off()
    for ax, row in zip(fig.axes, rows, strict=False):
        ax.set_axis_on()
        label = crops.strata[row]
        show_pixels(ax, crops.images[row], CLASSES[label - 1] if label else "no lesion")
        _truths(ax, crops, row)
    return fig


def survivors_on_film(shown: mias.Film, dark: int = patches.DARK, at_most: float = patches.MAX_DARK) -> Figure:
    """Draw the centres of the 225 patches on a film: filled where the patch survives the background rule."""
    pixels = shown.pixels()
    kept = patches.dark_fraction(patches.grid(pixels), dark) <= at_most
    centre = patches.grid_origins(pixels.shape) + 64
    fig = figure(width=7.0, height=4.0)
    ax = show_pixels(fig.axes[0], pixels, f"{int(kept.sum())} of {kept.size} patches survive")
    ax.scatter(centre[~kept][:, 1], centre[~kept][:, 0], s=14, fc="none", ec="#9A9A9A", lw=0.8)
    ax.scatter(centre[kept][:, 1], centre[kept][:, 0], s=16, fc=BRIGHT["malignant"], ec="black", lw=0.4)
    return fig


def survivors_by_threshold(counts: NDArray[np.integer], dark: Sequence[int], at_most: Sequence[float]) -> Figure:
    """Draw the mean number of surviving patches against the share of dark pixels allowed, a curve for each grey level.

    Args:
        counts: (films, len(dark), len(at_most)), as `patches.survivors` gives it.
        dark, at_most: the thresholds.
    """
    fig = figure(width=6.4, height=3.0)
    ax = fig.axes[0]
    markers, colours = "osD^v<>", ("#000000", "#0072B2", "#009E73", "#D55E00", "#CC79A7", "#E69F00", "#56B4E9")
    for i, level in enumerate(dark):
        ax.plot(
            at_most,
            counts[:, i].mean(axis=0),
            marker=markers[i % 7],
            color=colours[i % 7],
            ms=4,
            label=f"dark: {level} or less",
        )
    ax.set(xlabel="share of dark pixels allowed", ylabel="patches a film", ylim=(0, None))
    ax.legend(fontsize=8)
    return fig


def centre_prior_curve(boxes: ArrayLike, size: int = 256, iou: float = 0.5) -> Figure:
    """Draw the recall of one box fixed at the centre of the crop against its side, and mark the best."""
    sides = np.arange(4, size + 1, 2)
    recall = patches.centre_hits(boxes, sides, size, iou).mean(axis=1)
    best = int(recall.argmax())
    fig = figure(width=6.4, height=2.8)
    ax = fig.axes[0]
    ax.plot(sides, recall, color=COLOURS["benign"])
    ax.plot(sides[best], recall[best], "o", color=COLOURS["malignant"])
    ax.annotate(f"side {sides[best]}", (sides[best], recall[best]), xytext=(8, 0), textcoords="offset points")
    ax.set(xlabel="side of the fixed box in pixels", ylabel=f"recall at IoU {iou:g}", ylim=(0, None))
    return fig


def centre_heat_map(crops: Crops, bins: int = 16) -> Figure:
    """Draw how often the centre of a lesion lies where in the crop."""
    size = crops.images.shape[1]
    x, y = ((crops.truths.box[:, i] + crops.truths.box[:, i + 2]) / 2 for i in (0, 1))
    count, _, _ = np.histogram2d(y, x, bins=bins, range=[[0, size], [0, size]])
    fig = figure(width=7.0, height=3.4)
    ax = fig.axes[0]
    image = ax.imshow(count, extent=(0, size, size, 0), cmap="cividis", interpolation="nearest")
    ax.plot(size / 2, size / 2, "+", color=ACCENT, ms=12, mew=2)
    ax.set(xlabel="x in pixels", ylabel="y in pixels")
    fig.colorbar(image, ax=ax, label="lesions")
    return fig


def _truths(ax: Axes, crops: Crops, row: int) -> None:
    for i in np.flatnonzero(crops.truths.image == row):
        name = CLASSES[crops.truths.label[i] - 1]
        draw_box(ax, crops.truths.box[i], BRIGHT[name], DASHES[name])
