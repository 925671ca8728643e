"""Figures of the detection metrics: boxes on squared paper, precision-recall curves, FROC, intervals.

The paper's Figure 9 is `zigzag`, Figure 10 `smoothed`, and Figures 12, 14, 16 and 17 are `precision_recall_by_class`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from mammolib.metrics import CAMELYON, DEFINITIONS, Froc, Interval, Matches, PrecisionRecall, precision_recall
from mammolib.metrics import average_precision as average_precision_of
from mammolib.plots import canvas, draw_boxes, false_marks_axis, figure
from mammolib.plots.colours import BENIGN, COLOURS, DASHES, GREY, LINES, MALIGNANT, PAPER

TITLES = {"paper": "the paper, 20 points", "voc2007": "VOC 2007, 11 points", "voc2010": "VOC 2010, area",
          "coco": "COCO, 101 points"}  # fmt: skip
LOWEST = 0.1
"""Left end of FROC's axis, in false marks a film."""


def squared_paper(truth: ArrayLike, detection: ArrayLike) -> Figure:
    """Draw a truth and a detection, (4,) `xyxy` in squares, on squared paper and shade what they share."""
    a, b = np.asarray([truth, detection], float)
    low, high = np.minimum(a[:2], b[:2]) - 1, np.maximum(a[2:], b[2:]) + 1
    fig, ax = canvas(3.8, 3.8 * (high - low)[1] / (high - low)[0] + 0.6)
    shared = np.r_[np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])]
    if (shared[2:] > shared[:2]).all():
        draw_boxes(ax, shared, "none", fill=True, fc="#E9E3C0")
    draw_boxes(ax, a, BENIGN, width=2.2, label="truth")
    draw_boxes(ax, b, MALIGNANT, "--", 2.2, label="detection")
    x, y = (np.arange(start, stop + 1) for start, stop in zip(low, high, strict=True))
    ax.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]), xticks=x, yticks=y, aspect="equal")
    ax.grid(color="#D5D5D5", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(length=0, labelsize=8)
    ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=2, fontsize=9)
    return fig


def zigzag(curve: PrecisionRecall) -> Figure:
    """Draw precision against recall, detection by detection: the paper's Figure 9."""
    fig, ax = canvas(4.6, 3.4)
    _draw_curve(ax, curve)
    return fig


def smoothed(curve: PrecisionRecall) -> Figure:
    """Draw the zigzag and the envelope that replaces it: the paper's Figure 10."""
    fig, ax = canvas(4.6, 3.4)
    _draw_curve(ax, curve, alpha=0.55, label="as ranked")
    _draw_envelope(ax, curve, label="highest to the right")
    ax.legend(frameon=False, fontsize=9, loc="lower left")
    return fig


def recall_points(curve: PrecisionRecall) -> Figure:
    """Draw where each definition reads the envelope, and the average precision it gets from these detections.

    All four count the same judged detections, so that only the averaging differs.
    """
    fig = figure(2, 2, height=5.4, sharex=True, sharey=True)
    for ax, (name, definition) in zip(fig.axes, DEFINITIONS.items(), strict=True):
        _draw_envelope(ax, curve)
        if definition.points is None:
            ax.fill_between(*envelope(curve), color=MALIGNANT, alpha=0.2, lw=0)
        else:
            many = definition.points > 50
            recalls = np.linspace(0, 1, definition.points)
            heights = curve.at(recalls)
            ax.vlines(recalls, 0, heights, color=MALIGNANT, lw=0.8 if many else 1.2, alpha=0.6)
            ax.plot(recalls, heights, ".", color=MALIGNANT, ms=2.5 if many else 6, clip_on=False)
        recall_axes(ax)
        ax.set_title(f"{TITLES[name]}: AP {curve.average_precision(name):.4f}")
        ax.label_outer()
    return fig


def precision_recall_by_class(matches: Matches) -> Figure:
    """Draw one precision-recall curve for each class, its average precision above: Figures 12, 14, 16 and 17.

    A class without truths has no curve, and its panel says so. Of several thresholds in `matches.iou` the first counts.
    """
    n = len(matches.classes)
    fig = figure(1, n, width=3.5 * n, height=3.2, squeeze=False, sharey=True)
    values = np.atleast_2d(average_precision_of(matches))[0]
    for label, (ax, name, value) in enumerate(zip(fig.axes, matches.classes, values, strict=True), start=1):
        recall_axes(ax)
        if np.isnan(value):
            ax.text(0.5, 0.5, "no truths: undefined", ha="center", transform=ax.transAxes, color=GREY)
        else:
            curve = precision_recall(matches, label)
            _draw_curve(ax, curve, color=COLOURS.get(name, BENIGN))
            _draw_envelope(ax, curve, lw=1.2)
        ax.set_title(f"{name}, AP: {value:.3f}")
        ax.label_outer()
    return fig


def operating_point(matches: Matches, label: int, confidence: float) -> Figure:
    """Draw what a confidence threshold does: which detections of a class are shown, and where on the curve that is.

    Of several thresholds in `matches.iou` the first counts.
    """
    curve = precision_recall(matches, label)
    fig = figure(1, 2, height=3.0, width_ratios=(1.15, 1))
    left, right = fig.axes
    rank = np.arange(1, len(curve) + 1)
    shown = curve.confidence >= confidence
    for true, colour, mark, word in ((True, BENIGN, "o", "on a lesion"), (False, MALIGNANT, "x", "false")):
        which = curve.true == true
        shades = np.where(shown[which], colour, "#C9C9C9")
        left.scatter(rank[which], curve.confidence[which], s=22, marker=mark, color=shades)
        left.scatter([], [], s=22, marker=mark, color=colour, label=word)
    left.axhline(confidence, color=PAPER, lw=1, ls="--")
    left.set(xlabel="rank", ylabel="confidence", ylim=(-0.03, 1.03))
    left.legend(frameon=False, fontsize=9, loc="upper right")
    _draw_curve(right, curve, alpha=0.6)
    n = int(shown.sum())
    left.set_title(f"{n} of {len(curve)} shown")
    right.set_title("precision undefined, recall 0")
    if n:
        recall, precision = curve.recall[n - 1], curve.precision[n - 1]
        right.plot(recall, precision, "o", color=MALIGNANT, ms=9, clip_on=False)
        right.set_title(f"precision {precision:.2f}, recall {recall:.2f}")
    return fig


def froc_curves(curves: Mapping[str, Froc]) -> Figure:
    """Draw FROC curves by name; thin lines mark where CAMELYON16's score is read."""
    fig, ax = canvas(5.2, 3.4)
    highest = max([*(c.false_positives[-1] for c in curves.values()), *CAMELYON])
    for (colour, dash), (name, curve) in zip(cycle(LINES), curves.items()):
        inside = (curve.false_positives > LOWEST) & (curve.false_positives < highest)
        x = np.r_[LOWEST, curve.false_positives[inside], highest]
        y = np.r_[curve.at(LOWEST), curve.sensitivity[inside], curve.at(highest)]
        ax.plot(x, y, color=colour, ls=dash, label=name)
    false_marks_axis(ax, LOWEST, highest, CAMELYON, color="#DDDDDD", lw=0.8)
    ax.set(ylim=(0, 1.03), xlabel="false marks a film", ylabel="sensitivity (lesions found)")
    ax.legend(frameon=False, fontsize=9, loc="best")
    return fig


def intervals(rows: Mapping[str, Interval | float], paper: float | None = None, unit: str = "mAP") -> Figure:
    """Draw numbers one below the other, with their intervals where they have one, and the paper's value as a line."""
    fig, ax = canvas(6.2, 0.9 + 0.42 * len(rows))
    for place, row in enumerate(rows.values()):
        value = row.value if isinstance(row, Interval) else row
        if isinstance(row, Interval):
            ax.plot([row.low, row.high], [place, place], color=BENIGN, lw=6, alpha=0.3, solid_capstyle="butt")
        ax.plot(value, place, "o", color=BENIGN)
        ax.annotate(f"{value:.3f}", (value, place), (0, 6), textcoords="offset points", ha="center", fontsize=8)
    if paper is not None:
        ax.plot([paper, paper], [len(rows) - 0.5, -0.5], color=PAPER, ls="-.", lw=1)
        ax.text(paper, -0.6, f"the paper, {paper:g}", ha="center", va="bottom", fontsize=9)
    ax.set_yticks(range(len(rows)), list(rows))
    bounded = any(isinstance(row, Interval) for row in rows.values())
    ax.set(xlabel=f"{unit} and 95 % interval" if bounded else unit, xlim=(0, 1.05))
    ax.set_ylim(len(rows) - 0.5, -1.1 if paper else -0.7)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return fig


def without_one(whole: Mapping[str, float], without: Mapping[str, Sequence[float]]) -> Figure:
    """Draw the average precision by class, and what it becomes `without` each of its lesions: missed altogether."""
    fig, ax = canvas(5.4, 0.9 + 0.6 * len(whole))
    for place, (name, value) in enumerate(whole.items()):
        ax.plot(without[name], [place] * len(without[name]), "|", ms=16, color=COLOURS[name], alpha=0.8)
        ax.plot(value, place, "o", ms=9, color=COLOURS[name])
    ax.set_yticks(range(len(whole)), list(whole))
    ax.set(xlabel="AP", ylim=(len(whole) - 0.5, -0.5))
    return fig


def self_overlap(sides: NDArray, overlaps: Mapping[str, NDArray]) -> Figure:
    """Draw the overlap of a square with itself against its side in pixels, by convention; a hit begins at the line."""
    fig, ax = canvas(5.2, 3.0)
    for (colour, dash), (name, values) in zip(cycle(LINES), overlaps.items()):
        ax.plot(sides, values, color=colour, ls=dash, label=name)
    ax.axhline(0.5, color=GREY, lw=0.8)
    ax.text(max(sides), 0.515, "a hit from here on", ha="right", color=GREY, fontsize=9)
    ax.set(xlabel="side in pixels", ylabel="overlap with itself", ylim=(0, 1.05), xlim=(0, max(sides)))
    ax.legend(frameon=False, fontsize=9, loc="lower right", bbox_to_anchor=(1, 0.08))
    return fig


def _draw_curve(ax: Axes, curve: PrecisionRecall, color: str = BENIGN, **style: Any) -> None:
    ax.plot(curve.recall, curve.precision, "o-", ms=3.5 if len(curve) < 60 else 0, color=color, lw=1.3, **style)
    recall_axes(ax)


def _draw_envelope(ax: Axes, curve: PrecisionRecall, lw: float = 1.4, label: str | None = None) -> None:
    ax.plot(*envelope(curve), color=PAPER, ls=DASHES["malignant"], lw=lw, label=label)


def envelope(curve: PrecisionRecall) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return the envelope as the steps it is: left of each recall its own height, right of the last one nothing."""
    return np.r_[0, np.repeat(curve.recall, 2)], np.r_[np.repeat(curve.envelope, 2), 0]


def recall_axes(ax: Axes) -> None:
    """Let axes show precision against recall."""
    ax.set(xlabel="recall", ylabel="precision", xlim=(-0.02, 1.02), ylim=(0, 1.05))
