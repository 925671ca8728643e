"""Figures of a classifier's answers: ROC curves and reliability diagrams."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from mammolib.metrics.classification import Operating, Reliability, Roc
from mammolib.plots import ACCENT, BENIGN, GREY, MALIGNANT, NORMAL, figure

COLOURS = (BENIGN, MALIGNANT, NORMAL, ACCENT, GREY)
DASHES = ("-", "--", "-.", ":", (0, (5, 1)))


def roc_curves(curves: Mapping[str, Roc], points: Mapping[str, Operating] | None = None) -> Figure:
    """Draw ROC curves, the line of guessing, and operating points chosen on validation data.

    Args:
        curves: by name; the area under each goes into the legend.
        points: operating points by the name of their curve.
    """
    fig = figure(width=4.4, height=4.0)
    ax = fig.axes[0]
    ax.plot([0, 1], [0, 1], color="#BBBBBB", lw=1, label="guessing, AUC 0.500")
    for i, (name, curve) in enumerate(curves.items()):
        colour, dash = COLOURS[i % 5], DASHES[i % 5]
        ax.plot(
            curve.false_positive_rate, curve.sensitivity, color=colour, ls=dash, label=f"{name}, AUC {curve.auc:.3f}"
        )
        if points and name in points:
            at = points[name]
            ax.plot(1 - at.specificity, at.sensitivity, "o", color=colour, ms=8, clip_on=False)
    ax.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    ax.legend(frameon=False, fontsize=9, loc="lower right")
    return fig


def reliability_diagram(diagrams: Mapping[str, Reliability]) -> Figure:
    """Draw how often items were abnormal against how sure the classifier was; below, how many items that rests on."""
    fig = figure(2, 1, width=4.4, height=4.6, sharex=True, height_ratios=(3, 1))
    ax, counts = fig.axes
    ax.plot([0, 1], [0, 1], color="#BBBBBB", lw=1, label="perfect calibration")
    for i, (name, points) in enumerate(diagrams.items()):
        style = {"color": COLOURS[i % 5], "ls": DASHES[i % 5]}
        ax.plot(
            points.mean_probability,
            points.abnormal_share,
            marker="o",
            label=f"{name}, Brier {points.brier:.3f}",
            **style,
        )
        counts.plot(points.mean_probability, points.count, marker="o", **style)
    ax.set(ylabel="share abnormal", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    ax.legend(frameon=False, fontsize=9, loc="upper left")
    top = max(int(np.max(points.count)) for points in diagrams.values())
    counts.set(xlabel="probability said", ylabel="items", ylim=(0, 1.15 * top))
    return fig
