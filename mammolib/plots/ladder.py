"""The ladder of whole-film detectors in two pictures: FROC curves, and what each finds at one false mark a film."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from mammolib.plots import BENIGN, GREY, MALIGNANT, figure
from mammolib.results import Record

LEFT, RIGHT = 0.1, 8
"""Ends of the axis, in false marks a film."""
LEARNT = ("model", "both", "SSD")
"""Words of detectors that learn from films, drawn in another colour."""


def curves(rungs: Mapping[str, Record]) -> Figure:
    """Draw a FROC curve for each detector, named at its right end; thin lines stand at 1/4, 1/2, 1, 2 and 4.

    Args:
        rungs: of `analysis.ladder.rungs`, the lowest first.
    """
    fig = figure(width=6.4, height=4.0)
    ax = fig.axes[0]
    shades = np.linspace(0.35, 1, len(rungs))
    ends = []
    for (words, record), shade in zip(rungs.items(), shades, strict=True):
        curve = record.outputs["curves"]["centre"]
        x = np.geomspace(LEFT, RIGHT, 200)
        y = np.interp(x, curve["false_marks"], curve["sensitivity"])
        ax.plot(x, y, color=_colour(words), alpha=shade, lw=1.8)
        ends.append((y[-1], words))
    for (_, words), place in zip(sorted(ends), _apart(sorted(end for end, _ in ends), 0.055), strict=True):
        ax.annotate(words, (RIGHT * 1.06, place), fontsize=8, va="center", color=_colour(words), annotation_clip=False)
    for point in (0.25, 0.5, 1, 2, 4):
        ax.axvline(point, color=GREY, lw=0.5, zorder=0)
    ax.set(xscale="log", xlim=(LEFT, RIGHT), ylim=(0, 1), xlabel="false marks a film", ylabel="share of lesions found")
    ax.set_xticks([0.25, 0.5, 1, 2, 4, 8], ["1/4", "1/2", "1", "2", "4", "8"])
    ax.minorticks_off()
    return fig


def bars(rungs: Mapping[str, Record], false_marks: str = "1") -> Figure:
    """Draw what each detector finds at so many false marks a film as a dot with its 95 % interval over women."""
    fig = figure(width=6.4, height=0.6 + 0.34 * len(rungs))
    ax = fig.axes[0]
    for place, (words, record) in enumerate(rungs.items()):
        number = record.metrics[f"sensitivity_at_{false_marks}"]
        if number["low"] is not None:
            ax.plot([number["low"], number["high"]], [place] * 2, color=_colour(words), lw=6, alpha=0.25)
        ax.plot(number["value"], place, "o", color=_colour(words), ms=6)
        ax.annotate(f"{number['value']:.2f}", (number["value"], place), (0, 6), textcoords="offset points",
                    ha="center", fontsize=8)  # fmt: skip
    ax.set_yticks(range(len(rungs)), list(rungs), fontsize=9)
    mark = "mark" if false_marks == "1" else "marks"
    ax.set(
        xlim=(0, 1),
        ylim=(-0.6, len(rungs) - 0.2),
        xlabel=f"share of lesions found at {false_marks} false {mark} a film",
    )
    ax.tick_params(axis="y", length=0)
    return fig


def _colour(words: str) -> str:
    return MALIGNANT if any(word in words for word in LEARNT) else BENIGN


def _apart(places: list[float], least: float) -> list[float]:
    """Return ascending places, moved so that they are at least so far apart."""
    moved: list[float] = []
    for place in places:
        moved.append(place if not moved else max(place, moved[-1] + least))
    over = max(0.0, moved[-1] - 1.0) if moved else 0.0
    return [place - over for place in moved]
