"""Figures of a classifier's answers: ROC curves and reliability diagrams."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle

from matplotlib.figure import Figure

from mammolib.metrics.classification import Reliability, Roc
from mammolib.plots import canvas, figure
from mammolib.plots.colours import LINES


def roc_curves(curves: Mapping[str, Roc]) -> Figure:
    """Draw ROC curves by name, with the area under each, and the line of guessing."""
    fig, ax = canvas(4.4, 4.0)
    ax.plot([0, 1], [0, 1], color="#BBBBBB", lw=1, label="guessing, AUC 0.500")
    for (colour, dash), (name, curve) in zip(cycle(LINES), curves.items()):
        label = f"{name}, AUC {curve.auc:.3f}"
        ax.plot(curve.false_positive_rate, curve.sensitivity, color=colour, ls=dash, label=label)
    ax.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    ax.legend(frameon=False, fontsize=9, loc="lower right")
    return fig


def reliability_diagram(diagrams: Mapping[str, Reliability]) -> Figure:
    """Draw how often items were abnormal against how sure the classifier was; below, how many items that rests on."""
    fig = figure(2, 1, width=4.4, height=4.6, sharex=True, height_ratios=(3, 1))
    ax, counts = fig.axes
    ax.plot([0, 1], [0, 1], color="#BBBBBB", lw=1, label="perfect calibration")
    for (colour, dash), (name, points) in zip(cycle(LINES), diagrams.items()):
        x, label = points.mean_probability, f"{name}, Brier {points.brier:.3f}"
        ax.plot(x, points.abnormal_share, marker="o", color=colour, ls=dash, label=label)
        counts.plot(x, points.count, marker="o", color=colour, ls=dash)
    ax.set(ylabel="share abnormal", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    ax.legend(frameon=False, fontsize=9, loc="upper left")
    top = max(max(points.count) for points in diagrams.values())
    counts.set(xlabel="probability said", ylabel="items", ylim=(0, 1.15 * top))
    return fig
