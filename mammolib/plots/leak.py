"""The leak in two pictures: scores by way of dealing, and what is reported after many settings were tried."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mammolib.analysis.dealing import WORDS, Strip
from mammolib.plots import canvas, figure
from mammolib.plots.colours import BENIGN, GREY, MALIGNANT


def ladder(strips: Mapping[str, Mapping[str, Strip]]) -> Figure:
    """Draw every score as a dot, a panel for each method and a line for each way of dealing.

    The strips are `analysis.dealing.strips`. A pale bar is the interval over splits, a tall tick the mean; in panels of
    areas under the ROC curve a thin line marks guessing.
    """
    lines = [len(ways) for ways in strips.values()]
    height = 0.5 + 0.5 * len(strips) + 0.24 * sum(lines)
    options = {"squeeze": False, "sharex": True, "height_ratios": [n + 0.6 for n in lines]}
    fig = figure(len(strips), 1, width=6.4, height=height, **options)
    for ax, (method, ways) in zip(fig.axes, strips.items(), strict=True):
        if "AUC" in method:
            ax.axvline(0.5, color=GREY, lw=0.8, ls=":")
        for place, (way, strip) in enumerate(ways.items()):
            colour, mark = (MALIGNANT, "o") if way == WORDS["view"] else (BENIGN, "D")
            if strip.low is not None and strip.high is not None:
                ax.plot([strip.low, strip.high], [place] * 2, color=colour, lw=7, alpha=0.2, solid_capstyle="butt")
            ax.plot(strip.values, [place] * len(strip.values), mark, color=colour, ms=4, alpha=0.7, mew=0)
            ax.plot(np.mean(strip.values), place, "|", color=colour, ms=14, mew=2)
        ax.set_yticks(range(len(ways)), list(ways), fontsize=9)
        ax.set(xlim=(-0.02, 1.02), ylim=(len(ways) - 0.4, -0.6))
        ax.set_title(method, loc="left", fontsize=10)
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0)
    return fig


def tries(curves: Mapping[str, NDArray[np.floating]]) -> Figure:
    """Draw `analysis.dealing.reported_curves` against the settings tried; a thin line marks what guessing scores."""
    fig, ax = canvas(5.2, 3.0)
    styles = (("o-", MALIGNANT), ("D--", BENIGN))
    for (name, scores), (style, colour) in zip(curves.items(), styles, strict=True):
        ax.plot(range(1, len(scores) + 1), scores, style, ms=3.5, color=colour, label=name)
    ax.axhline(0.5, color=GREY, lw=0.8, ls=":")
    ax.set(xlabel="settings tried", ylabel="reported AUC", xticks=[1, 5, 10, 15, 20])
    ax.legend(frameon=False, fontsize=9, loc="best")
    return fig
