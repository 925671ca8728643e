"""Experiment E in pictures: where a centred box is right, where a detector answers, and what retraining traded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from mammolib.analysis.curves import arrays
from mammolib.analysis.retraining import in_the_middle
from mammolib.detectors.centre import centre_hits
from mammolib.metrics import Matches, average_precision, precision_recall
from mammolib.plots import canvas, figure
from mammolib.plots.colours import BENIGN, GREY, MALIGNANT
from mammolib.plots.detection import envelope, recall_axes

STYLES = ((BENIGN, "-"), (MALIGNANT, "--"))
SIZE = 256
"""Side of the images in pixels."""


def hit_region(side: int) -> Figure:
    """Draw for which places of a lesion in a cut of 256 pixels a centred box of its own size is a hit.

    Dots and crosses are its places on a grid at stride 64 that has it in the middle of one cut; `side` is in pixels.
    """
    most = (SIZE - side) // 2
    shift = np.arange(-most, most + 1)
    y, x = (v.ravel() + SIZE / 2 for v in np.meshgrid(shift, shift, indexing="ij"))
    half = side / 2
    boxes = np.stack([x - half, y - half, x + half, y + half], axis=1)
    hits = centre_hits(boxes, side, SIZE)[0].reshape(len(shift), -1)
    fig, ax = canvas(5.4, 4.0)
    edge = (-most - 0.5, most + 0.5)
    ax.imshow(np.where(hits, 0.35, 0.0), cmap="Blues", vmin=0, vmax=1, extent=(*edge, *edge[::-1]))
    grid = np.arange(-(most // 64), most // 64 + 1) * 64
    gx, gy = (v.ravel() for v in np.meshgrid(grid, grid))
    on = hits[gy + most, gx + most]
    ax.plot(gx[on], gy[on], "o", color=BENIGN, label="hit", clip_on=False)
    ax.plot(gx[~on], gy[~on], "x", color=MALIGNANT, label="no hit", clip_on=False)
    ax.set(xlabel="lesion right of the middle, pixels", ylabel="lesion below the middle, pixels", aspect="equal")
    ax.set_title(f"{hits.sum():,} of {hits.size:,} places")
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return fig


def heat_maps(rows: Mapping[str, Mapping[str, ArrayLike]]) -> Figure:
    """Draw where centres lie on images of 256 pixels, a row for each test set: title -> (cells, cells) counts.

    Each panel is scaled by square roots, so that what happens once is seen beside what happens often.
    """
    across = max(len(panels) for panels in rows.values())
    fig = figure(len(rows), across, width=2.4 * across, height=2.6 * len(rows), squeeze=False)
    for r, (name, panels) in enumerate(rows.items()):
        for ax, (title, counts) in zip(fig.axes[r * across :], panels.items(), strict=False):
            ax.imshow(np.sqrt(counts), cmap="cividis", vmin=0, extent=(0, SIZE, SIZE, 0), interpolation="nearest")
            ax.plot(SIZE / 2, SIZE / 2, "+", color="white", ms=9, mew=1.4)
            ax.set(xticks=(0, SIZE // 2, SIZE), yticks=(0, SIZE // 2, SIZE))
            ax.set_title(f"{title}\n{100 * in_the_middle(counts):.0f} % in the middle", fontsize=9)
            ax.tick_params(labelsize=8)
        fig.axes[r * across].set_ylabel(name)
    return fig


def precision_recall_pairs(sets: Mapping[str, Mapping[str, Matches]]) -> Figure:
    """Draw the smoothed precision-recall curves of two detectors, a row for each test set, a column a class."""
    classes = next(iter(next(iter(sets.values())).values())).classes
    fig = figure(len(sets), len(classes), width=7.2, height=2.9 * len(sets), squeeze=False, sharex=True, sharey=True)
    panels = [(which, label, word) for which in sets for label, word in enumerate(classes, start=1)]
    for ax, (which, label, word) in zip(fig.axes, panels, strict=True):
        for (colour, dash), (name, matches) in zip(STYLES, sets[which].items(), strict=False):
            value = np.atleast_2d(average_precision(matches))[0, label - 1]
            if not np.isnan(value):
                curve = precision_recall(matches, label)
                ax.plot(curve.recall, curve.precision, color=colour, lw=0.7, alpha=0.35)
                ax.plot(*envelope(curve), color=colour, ls=dash, lw=1.6, label=f"{name}, AP {value:.3f}")
        recall_axes(ax)
        ax.set_title(f"{which}, {word}")
        ax.label_outer()
        ax.legend(fontsize=8, loc="upper right", frameon=False)
    return fig


def joined_losses(history: Mapping[str, Mapping[str, Sequence[float | None]]], first: int) -> Figure:
    """Draw the losses of a training and of its continuation, `analysis.retraining.joined`: the paper's Figure 18.

    The lines break after the `first` epochs, since the images change.
    """
    columns = arrays(history, "epoch")
    fig, ax = canvas(height=3.4)
    for (colour, dash), (name, word) in zip(STYLES, (("loss", "training"), ("val_loss", "validation")), strict=True):
        for part, label in ((slice(None, first), word), (slice(first, None), None)):
            ax.plot(columns["epoch"][part], columns[name][part], dash, color=colour, label=label)
    edge = columns["epoch"][first - 1] + 0.5
    ax.axvline(edge, color=GREY, lw=1)
    for aside, word, align in ((-5, "tumour-centred crops", "right"), (5, "uniform cuts", "left")):
        text = ax.annotate(word, (edge, 1), (aside, -4), xycoords=("data", "axes fraction"), textcoords="offset points")
        text.set(ha=align, va="top", fontsize=9, color=GREY)
    ax.set(xlabel="epochs", ylabel="loss, L2 included", ylim=(0, None))
    ax.legend(loc="lower left", frameon=False)
    return fig


def slopes(panels: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Draw the mAPs (before, after) retraining of two test sets as lines, a panel for each split."""
    fig = figure(1, len(panels), width=6.4, height=3.0, sharey=True)
    for ax, (title, rows) in zip(fig.axes, panels.items(), strict=True):
        for (words, pair), (colour, dash) in zip(rows.items(), STYLES, strict=True):
            ax.plot([0, 1], pair, dash, marker="o", color=colour, label=words)
        for x, values in enumerate(zip(*rows.values(), strict=True)):
            near = max(values) - min(values) < 0.08  # then the labels stand above and below their dots
            for value, place in zip(values, np.argsort(np.argsort(values)), strict=True):
                offset, side = (-7 + 14 * x, 5 * (2 * place - 1) if near else 0), ("right", "left")[x]
                text = ax.annotate(f"{value:.3f}", (x, value), offset, textcoords="offset points", size=8)
                text.set(ha=side, va="center")
        ax.set(xlim=(-0.45, 1.45), ylim=(-0.08, 1), title=title)
        ax.set_xticks((0, 1), ["before", "after"])
    fig.axes[0].set_ylabel("mAP")
    fig.legend(*fig.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9)
    return fig
