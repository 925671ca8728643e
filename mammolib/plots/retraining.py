"""Experiment E in pictures: where a centred box is right, where a detector answers, and what retraining traded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from mammolib.analysis.curves import numbers
from mammolib.analysis.retraining import in_the_middle
from mammolib.detectors.centre import centre_hits
from mammolib.geometry import circle_to_box
from mammolib.metrics import Matches, average_precision, precision_recall
from mammolib.plots import BENIGN, GREY, MALIGNANT, canvas, figure
from mammolib.plots.detection import envelope, recall_axes

STYLES = ((BENIGN, "-"), (MALIGNANT, "--"))
SIZE = 256
"""Side of the images in pixels."""


def hit_region(side: int) -> Figure:
    """Draw for which places of a lesion in a cut of 256 pixels a centred box of its own size is a hit.

    Dots and crosses are its places on a grid at stride 64 that has it in the middle of one cut.

    Args:
        side: of the lesion's box in pixels.
    """
    most = (SIZE - side) // 2
    shift = np.arange(-most, most + 1)
    x, y = (v.ravel() for v in np.meshgrid(shift, shift))
    boxes = circle_to_box(SIZE / 2 + x, SIZE / 2 + y, np.full(len(x), side / 2))
    hits = centre_hits(boxes, side, SIZE)[0].reshape(len(shift), -1)
    fig, ax = canvas(5.4, 4.0)
    edge = (-most - 0.5, most + 0.5)
    ax.imshow(np.where(hits, 0.35, 0.0), cmap="Blues", vmin=0, vmax=1, extent=(*edge, *edge[::-1]))
    grid = np.arange(-(most // 64), most // 64 + 1) * 64
    gx, gy = (v.ravel() for v in np.meshgrid(grid, grid))
    on = hits[gy + most, gx + most]
    ax.plot(gx[on], gy[on], "o", color=BENIGN, label="hit", ls="", clip_on=False)
    ax.plot(gx[~on], gy[~on], "x", color=MALIGNANT, label="no hit", ls="", clip_on=False)
    ax.set(xlabel="lesion right of the middle, pixels", ylabel="lesion below the middle, pixels")
    ax.set_title(f"{hits.sum():,} of {hits.size:,} places")
    ax.set_aspect("equal")
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return fig


def heat_maps(rows: Mapping[str, Mapping[str, ArrayLike]]) -> Figure:
    """Draw where centres lie on images of 256 pixels, a row for each test set; each panel is scaled by square roots.

    Args:
        rows: test set -> title -> (cells, cells) counts, such as a record's "answers_uniform".
    """
    across = max(len(panels) for panels in rows.values())
    fig = figure(len(rows), across, width=2.4 * across, height=2.6 * len(rows), squeeze=False)
    for r, (name, panels) in enumerate(rows.items()):
        for ax, (title, counts) in zip(fig.axes[r * across :], panels.items(), strict=False):
            shade = np.sqrt(np.asarray(counts, float))  # so that what happens once is seen beside what happens often
            ax.imshow(shade, cmap="cividis", vmin=0, extent=(0, SIZE, SIZE, 0), interpolation="nearest")
            ax.plot(SIZE / 2, SIZE / 2, "+", color="white", ms=9, mew=1.4)
            ax.set(xticks=(0, SIZE // 2, SIZE), yticks=(0, SIZE // 2, SIZE))
            ax.set_title(f"{title}\n{in_the_middle(counts):.0%} in the middle".replace("%", " %"), fontsize=9)
            ax.tick_params(labelsize=8)
        fig.axes[r * across].set_ylabel(name)
    return fig


def precision_recall_pairs(sets: Mapping[str, Mapping[str, Matches]]) -> Figure:
    """Draw the smoothed precision-recall curves of several detectors, a row for each test set, a column a class.

    Args:
        sets: test set -> detector -> judged detections.
    """
    classes = next(iter(next(iter(sets.values())).values())).classes
    fig = figure(len(sets), len(classes), width=7.2, height=2.9 * len(sets), squeeze=False, sharex=True, sharey=True)
    axes = iter(fig.axes)
    for which, detectors in sets.items():
        for label, word in enumerate(classes, start=1):
            ax = next(axes)
            for (colour, dash), (name, matches) in zip(STYLES, detectors.items(), strict=False):
                value = np.atleast_2d(average_precision(matches))[0, label - 1]
                if np.isnan(value):
                    continue
                curve = precision_recall(matches, label)
                ax.plot(curve.recall, curve.precision, color=colour, lw=0.7, alpha=0.35)
                ax.plot(*envelope(curve), color=colour, ls=dash, lw=1.6, label=f"{name}, AP {value:.3f}")
            recall_axes(ax)
            ax.set_title(f"{which}, {word}")
            ax.label_outer()
            ax.legend(fontsize=8, loc="upper right", frameon=False)
    return fig


def joined_losses(history: Mapping[str, Mapping[str, Sequence[float | None]]], first: int) -> Figure:
    """Draw the losses of a training and of its continuation on one axis: the paper's Figure 18.

    Args:
        history: of `analysis.retraining.joined`.
        first: epochs of the first training; lines break there, since the images change.
    """
    columns = {name: numbers(column) for name, column in history["epoch"].items()}
    fig, ax = canvas(height=3.4)
    for (colour, dash), (name, word) in zip(STYLES, (("loss", "training"), ("val_loss", "validation")), strict=True):
        for part, label in ((slice(None, first), word), (slice(first, None), None)):
            ax.plot(columns["epoch"][part], columns[name][part], dash, color=colour, label=label)
    edge = columns["epoch"][first - 1] + 0.5
    ax.axvline(edge, color=GREY, lw=1)
    for side, word, where in ((-5, "tumour-centred crops", "right"), (5, "uniform cuts", "left")):
        ax.annotate(
            word, (edge, 1), (side, -4), xycoords=("data", "axes fraction"), textcoords="offset points",
            ha=where, va="top", fontsize=9, color=GREY,
        )  # fmt: skip
    ax.set(xlabel="epochs", ylabel="loss, L2 included", ylim=(0, None))
    ax.legend(loc="lower left", frameon=False)
    return fig


def slopes(panels: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Draw scores before and after retraining as lines from left to right, a panel for each split.

    Args:
        panels: split -> two test sets -> (before, after), an mAP each.
    """
    fig = figure(1, len(panels), width=6.4, height=3.0, sharey=True)
    for ax, (title, rows) in zip(fig.axes, panels.items(), strict=True):
        for (words, pair), (colour, dash) in zip(rows.items(), STYLES, strict=True):
            ax.plot([0, 1], pair, dash, marker="o", color=colour, label=words)
        for x, values in enumerate(zip(*rows.values(), strict=True)):
            near = max(values) - min(values) < 0.08  # then the labels stand above and below their dots
            for value, place in zip(values, np.argsort(np.argsort(values)), strict=True):
                offset, side = (-7 + 14 * x, 5 * (2 * place - 1) if near else 0), ("right", "left")[x]
                ax.annotate(
                    f"{value:.3f}", (x, value), offset, textcoords="offset points", ha=side, va="center", size=8
                )
        ax.set(xlim=(-0.45, 1.45), ylim=(-0.08, 1), xticks=(0, 1), title=title)
        ax.set_xticklabels(["before", "after"])
    fig.axes[0].set_ylabel("mAP")
    fig.legend(*fig.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9)
    return fig
