"""Figures of the films and of what is cut from them: chapters 01 to 03, the paper's Figures 1 and 2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from numpy.typing import ArrayLike, NDArray

from mammolib import mias, patches
from mammolib.detectors import centre
from mammolib.geometry import CLASSES
from mammolib.patches import Crops
from mammolib.plots import canvas, draw_boxes, figure, gallery, show_pixels
from mammolib.plots.colours import ACCENT, BENIGN, BRIGHT, COLOURS, DASHES, GREY, MALIGNANT, NORMAL, ORANGE, PAPER, SKY
from mammolib.splits import Split


def film(ax: Axes, shown: mias.Film) -> None:
    """Draw a film with the circle and the box of each located lesion."""
    show_pixels(ax, shown.pixels(), f"{shown.reference}, {shown.side} breast")
    for lesion in shown.lesions:
        if lesion.located:
            name = CLASSES[lesion.label - 1]
            row, column, radius = lesion.circle
            ax.add_patch(Circle((column, row), radius, fill=False, ec=BRIGHT[name], lw=1))
            draw_boxes(ax, lesion.box, BRIGHT[name], DASHES[name])


def boxes_on_film(shown: mias.Film, boxes: ArrayLike) -> Figure:
    """Draw (N, 4) `xyxy` boxes on a film, in its pixels."""
    fig, ax = canvas(4.6, 4.4)
    film(ax, shown)
    draw_boxes(ax, boxes, "#F0E442", width=0.9)
    return fig


def funnel(counts: Mapping[str, float]) -> Figure:
    """Draw counts as bars, one below the other, centred, so that what is left at each step is seen."""
    fig, ax = canvas(6.4, 0.4 + 0.42 * len(counts))
    values = np.array(list(counts.values()))
    bars = ax.barh(list(counts), values, left=-values / 2, height=0.7, color=BENIGN, alpha=0.35)
    ax.bar_label(bars, fmt="{:,.0f}", label_type="center", fontsize=10)
    ax.set(ylim=(len(counts) - 0.5, -0.5), xticks=[])
    ax.spines[:].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return fig


def pair(films: Sequence[mias.Film]) -> Figure:
    """Draw the two films of a woman, the right breast on the left as on a viewing box."""
    fig = figure(1, len(films), width=6.4, height=3.4)
    for ax, one in zip(fig.axes, sorted(films, key=lambda f: f.side == "left"), strict=True):
        film(ax, one)
    return fig


def origin(shown: mias.Film) -> Figure:
    """Draw the box of a film's first located lesion twice: with the origin where it is, and at the top-left corner."""
    pixels = shown.pixels()
    x1, y1, x2, y2 = next(s for s in shown.lesions if s.located).box
    last = pixels.shape[0] - 1
    fig = figure(1, 3, width=7.4, height=3.5, width_ratios=(2, 1, 1))
    ax = show_pixels(fig.axes[0], pixels, shown.reference)
    readings = (("bottom-left: right", y1, y2, "benign"), ("top-left: wrong", last - y2, last - y1, "malignant"))
    side = int(2 * max(x2 - x1, 64))  # the box and as much again around it
    for part, (text, top, bottom, key) in zip(fig.axes[1:], readings, strict=True):
        box = np.array([x1, top, x2, bottom])
        draw_boxes(ax, box, BRIGHT[key], DASHES[key], 2)
        column, row = (x1 + x2) / 2, (top + bottom) / 2
        show_pixels(part, patches.crop(pixels, row, column, side), text)
        corner = np.array([int(column), int(row)]) - side // 2
        draw_boxes(part, box - np.tile(corner, 2), BRIGHT[key], DASHES[key], 2)
    return fig


def severity_counts(films: Sequence[mias.Film]) -> Figure:
    """Count the located rows by tissue and by class, benign beside malignant (seaborn)."""
    import seaborn as sns

    located = [(f, s) for f in films for s in f.lesions if s.located]
    if not located:
        raise ValueError("films: none of them has a located lesion; there is nothing to count")
    rows = pd.DataFrame(
        [(mias.TISSUES[f.tissue], s.kind, CLASSES[s.label - 1]) for f, s in located],
        columns=["tissue", "class", "severity"],
    )
    fig = figure(1, 2, width=7.4, height=3.2, sharey=True)
    orders = {"tissue": list(mias.TISSUES.values()), "class": [k for k in mias.KINDS if k != "NORM"]}
    for ax, (column, order) in zip(fig.axes, orders.items(), strict=True):
        options = {"order": order, "hue_order": CLASSES, "palette": COLOURS, "saturation": 1}
        sns.countplot(rows, x=column, hue="severity", ax=ax, **options)
        for bars, hatch in zip(ax.containers, ("", "///"), strict=True):
            for bar in bars:
                bar.set(hatch=hatch, edgecolor="white", linewidth=0.5)
        if legend := ax.get_legend():
            legend.remove()
        ax.set(xlabel="", ylabel="located rows")
        ax.tick_params(axis="x", labelsize=8)
    fig.axes[0].set_xticks(range(3), [name.replace("-", "-\n") for name in orders["tissue"]])
    fig.axes[1].legend(frameon=False)
    return fig


def radius_histogram(films: Sequence[mias.Film]) -> Figure:
    """Draw the radii of the located lesions, with a line at half the side of a crop."""
    fig, ax = canvas(6.4, 2.8)
    radii = {name: [s.circle[2] for f in films for s in f.lesions if s.located and CLASSES[s.label - 1] == name]
             for name in CLASSES}  # fmt: skip
    bins = np.arange(0, max([128, *radii["benign"], *radii["malignant"]]) + 16, 8)
    for name, values in radii.items():
        ax.hist(values, list(bins), histtype="step", lw=1.6, color=COLOURS[name], ls=DASHES[name], label=name)
    ax.axvline(128, color=GREY, lw=1)
    ax.text(130, ax.get_ylim()[1] * 0.6, "half a crop", color=GREY, fontsize=9)
    ax.set(xlabel="radius in pixels", ylabel="lesions")
    ax.legend(frameon=False)
    return fig


def views(crops: Crops, lesion: int, flipped: bool) -> Figure:
    """Draw four of the eight views of a lesion: turned only, or turned and flipped (the paper's Figures 1 and 2)."""
    fig = figure(1, 4, width=7.4, height=2.2)
    for turn, ax in enumerate(fig.axes):
        (row,) = np.flatnonzero((crops.lesion == lesion) & (crops.view == turn + 4 * flipped))
        show_pixels(ax, crops.images[row], f"{90 * turn} degrees" + (", flipped" if flipped else ""))
        _draw_truths(ax, crops, row)
    return fig


def dealt(crops: Crops, split: Split, lesions: int = 3) -> Figure:
    """Draw all views of the first lesions, a row each, framed by the part of the split that each view is in."""
    colours = {"training": BENIGN, "validation": GREY, "test": MALIGNANT}
    chosen = list(dict.fromkeys(crops.lesion))[:lesions]
    fig = figure(len(chosen), 8, width=7.4, height=0.5 + 0.95 * len(chosen), squeeze=False)
    for i, ax in enumerate(fig.axes):
        (row,) = np.flatnonzero((crops.lesion == chosen[i // 8]) & (crops.view == i % 8))
        show_pixels(ax, crops.images[row])
        colour = next(colour for part, colour in colours.items() if row in getattr(split, part))
        ax.spines[:].set(visible=True, color=colour, linewidth=4)
    handles = [Rectangle((0, 0), 1, 1, fill=False, ec=colour, lw=3, label=word) for word, colour in colours.items()]
    fig.legend(handles=handles, loc="outside upper center", ncols=3, fontsize=9)
    return fig


def alike(crops: Crops, rows: Sequence[int], histograms: NDArray[np.floating]) -> Figure:
    """Draw three crops, and the shares of their grey levels, (3, bins) of `detectors.lookup.histograms`, as lines.

    The rows are of a test crop, of the training crop nearest to it, and of the nearest one of another lesion.
    """
    fig = figure(1, 4, width=7.4, height=2.4, width_ratios=[1, 1, 1, 1.6])
    *pictures, ax = fig.axes
    grey = (np.arange(histograms.shape[1]) + 0.5) * 256 / histograms.shape[1]
    lines = (("test", "thick", GREY), ("training", "thin", BENIGN), ("training", "dashed", MALIGNANT))
    for picture, row, shares, (part, word, colour) in zip(pictures, rows, histograms, lines, strict=True):
        show_pixels(picture, crops.images[row], f"{part}, {CLASSES[crops.strata[row] - 1]}")
        picture.title.set_fontsize(10)
        picture.set_xlabel(f"{word} line", fontsize=9, color=colour)
        dash, width = "--" if word == "dashed" else "-", 5 if word == "thick" else 1.5
        ax.step(grey, shares, dash, where="mid", lw=width, color=colour)
    ax.set(xlabel="grey level", yticks=[], xlim=(0, 256))
    return fig


def crop_gallery(crops: Crops, count: int = 8, fixed: float | None = None) -> Figure:
    """Draw crops, evenly chosen from all, with the boxes of their lesions; a white one, `fixed` wide, in the middle."""
    rows = np.unique(np.linspace(0, len(crops) - 1, count).astype(int))
    fig = gallery(len(rows), 2.0)
    for ax, row in zip(fig.axes, rows, strict=False):
        label = crops.strata[row]
        show_pixels(ax, crops.images[row], CLASSES[label - 1] if label else "no lesion")
        _draw_truths(ax, crops, row)
        if fixed is not None:
            middle = crops.images.shape[1] / 2
            draw_boxes(ax, middle + fixed / 2 * np.array([-1, -1, 1, 1]), "white", width=1.0)
    return fig


def survivors_on_film(shown: mias.Film) -> Figure:
    """Draw the centres of the 225 patches on a film: filled where the patch survives the background rule."""
    pixels = shown.pixels()
    kept = patches.dark_fraction(patches.grid(pixels)) <= patches.MAX_DARK
    y, x = np.moveaxis(patches.grid_origins(pixels.shape) + 64, -1, 0)
    fig, ax = canvas(height=4.6)
    show_pixels(ax, pixels, f"{kept.sum()} of {kept.size} patches survive")
    ax.scatter(x[~kept], y[~kept], s=14, fc="none", ec="#B8B8B8", lw=0.8)
    ax.scatter(x[kept], y[kept], s=18, fc=BRIGHT["malignant"], ec="black", lw=0.4)
    for left, dash in ((0, "-"), (64, ":")):
        draw_boxes(ax, [left, 0, left + 128, 128], "white", dash, 1.2)
    black = {"fc": "black", "lw": 0, "pad": 1}
    ax.text(204, 8, "one patch, and the next", color="white", fontsize=8, va="top", bbox=black)
    return fig


def survivors_by_threshold(counts: NDArray[np.integer], dark: Sequence[int], at_most: Sequence[float]) -> Figure:
    """Draw the mean number of surviving patches against the share of dark pixels allowed, a curve for each grey level.

    The counts, (films, len(dark), len(at_most)), are those of `patches.survivors`.
    """
    fig, ax = canvas(6.4, 3.0)
    ax.set_prop_cycle(marker=list("osD^v<>"), color=[PAPER, BENIGN, NORMAL, MALIGNANT, ACCENT, ORANGE, SKY])
    ax.plot(at_most, counts.mean(axis=0).T, ls="-", ms=4, label=[f"{level} or less" for level in dark])
    ax.set(xlabel="share of dark pixels allowed", ylabel="patches a film", ylim=(0, None), xticks=at_most)
    ax.legend(title="grey levels that count as dark", ncols=len(dark), fontsize=8, title_fontsize=8, frameon=False)
    return fig


def centre_prior_curve(boxes: ArrayLike) -> Figure:
    """Draw the recall at IoU 0.5 of one box fixed at the centre of the crop against its side, and the best sides.

    The lesions' boxes are (N, 4) `xyxy` in pixels of a crop of 256.
    """
    sides = np.arange(1, 257)
    fig, ax = canvas(6.4)
    ax.plot(sides, centre.centre_hits(boxes, sides, 256).mean(axis=1), color=BENIGN)
    for k, marker, words in ((1, "o", "best side"), (2, "s", "best two together"), (3, "D", "best three together")):
        best, recall = centre.best_sizes(boxes, k, 256)
        ax.plot(best, [recall] * k, marker=marker, ls=":", color=MALIGNANT, ms=5)
        text = f"{words}: {', '.join(map(str, best))}"
        ax.annotate(text, (best[-1], recall), (4, 6), textcoords="offset points", fontsize=8)
    ax.set(xlabel="side of the fixed box in pixels", ylabel="recall at IoU 0.5", xlim=(0, 320), ylim=(0, 1.1))
    return fig


def centre_heat_map(crops: Crops) -> Figure:
    """Draw how often the centre of a lesion lies where in the crop."""
    size = crops.images.shape[1]
    x, y = (crops.truths.box[:, :2] + crops.truths.box[:, 2:]).T / 2
    count, _, _ = np.histogram2d(y, x, bins=16, range=[[0, size], [0, size]])
    fig, ax = canvas(height=3.4)
    image = ax.imshow(count, extent=(0, size, size, 0), cmap="cividis", interpolation="nearest")
    ax.plot(size / 2, size / 2, "+", color="white", ms=12, mew=2)
    ticks = np.linspace(0, size, 5)
    ax.set(xlabel="x in pixels", ylabel="y in pixels", xticks=ticks, yticks=ticks)
    fig.colorbar(image, ax=ax, label="lesions")
    return fig


def _draw_truths(ax: Axes, crops: Crops, row: np.integer) -> None:
    for i in np.flatnonzero(crops.truths.image == row):
        name = CLASSES[crops.truths.label[i] - 1]
        draw_boxes(ax, crops.truths.box[i], BRIGHT[name], DASHES[name])
