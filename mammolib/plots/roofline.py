"""The roofline: how many operations a second a machine allows at each number of operations a byte, and what reached it.

Williams, Waterman and Patterson (2009), Figure 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mammolib.analysis.roofline import Machine, Work
from mammolib.plots import ACCENT, BENIGN, MALIGNANT, PAPER, canvas

DOTS = (("o", BENIGN, BENIGN), ("s", MALIGNANT, "white"), ("^", ACCENT, ACCENT), ("D", PAPER, "white"))
"""Marker, edge and face of each kind in turn: apart in grey as well."""


def roofline(machine: Machine, measured: Sequence[Work], label: str = "separable") -> Figure:
    """Draw a machine's roof and the works that were timed under it, with logarithmic axes.

    Args:
        machine: whose roof.
        measured: works; each kind has its own marker.
        label: the kind whose works are labelled with their names; "" for none, "all" for each.

    Raises:
        ValueError: there is nothing to draw.
    """
    if not measured:
        raise ValueError("measured: holds no works to draw under the roof")
    fig, ax = canvas(height=4.0)
    low = min(machine.ridge, *(work.intensity for work in measured)) / 3
    high = max(machine.ridge, *(work.intensity for work in measured)) * 3
    x = np.array([low, machine.ridge, high])
    ax.plot(x, [machine.roof(v) for v in x], color=PAPER, lw=1.5)
    for i, kind in enumerate(dict.fromkeys(work.kind for work in measured)):
        marker, edge, face = DOTS[i % len(DOTS)]
        own = [work for work in measured if work.kind == kind]
        ax.plot(
            [w.intensity for w in own], [w.rate for w in own], marker, ls="", ms=7, mec=edge, mfc=face, mew=1.5,
            label=kind,
        )  # fmt: skip
    rates = [work.rate for work in measured]
    bottom = min(*rates, machine.roof(low) * 2) / 3
    ax.set(xscale="log", yscale="log", xlim=(low, high), ylim=(bottom, 2.5 * max(*rates, machine.rate)))
    ax.set(xlabel="operations a byte", ylabel="operations a second")
    _say(ax, machine, high)
    named = sorted((w for w in measured if label in ("all", w.kind)), key=lambda w: w.intensity)
    for i, work in enumerate(named):  # below and above in turn, or neighbours write over each other
        shift, edge = ((0, -7), "top") if i % 2 == 0 else ((0, 7), "bottom")
        ax.annotate(
            work.name, (work.intensity, work.rate), shift, textcoords="offset points", ha="center", va=edge, fontsize=8
        )
    ax.legend(loc="lower right")
    return fig


def _say(ax: Axes, machine: Machine, high: float) -> None:
    """Write at both parts of the roof what they are."""
    unit, prefix = (1e12, "T") if machine.rate >= 1e12 else (1e9, "G")
    for text, place, shift, side in (
        (f"{machine.rate / unit:.3g} {prefix}FLOP/s", (high, machine.rate), (-4, 4), "right"),
        (f"{machine.bandwidth / 1e9:,.3g} GB/s", (machine.ridge / 2, machine.rate / 2), (-6, 4), "right"),
    ):
        ax.annotate(text, place, shift, textcoords="offset points", ha=side, fontsize=8)
