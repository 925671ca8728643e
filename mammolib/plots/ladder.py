"""The ladder of whole-film detectors in pictures: FROC curves, and films with marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from mammolib.benchmark.counting import count
from mammolib.geometry import Detections
from mammolib.mias import Film
from mammolib.plots import ACCENT, BENIGN, GREY, MALIGNANT, canvas, figure
from mammolib.results import Record

LEFT, RIGHT = 0.1, 8
"""Ends of the axis, in false marks a film."""
TRAINED = ("features", "imagenet", "both-breasts", "ssd", "ssd-phantoms")
"""Detectors with weights that are fitted on films, drawn in another colour."""


def curves(rungs: Mapping[str, Record]) -> Figure:
    """Draw a FROC curve for each detector, named at its right end; thin lines stand at 1/4, 1/2, 1, 2 and 4.

    At 1/4, 1 and 4 each has its 95 % interval over women, moved a little to the side, so that none hides another.

    Args:
        rungs: of `analysis.ladder.rungs`, the lowest first.
    """
    fig, ax = canvas(6.4, 4.0)
    shades = np.linspace(0.35, 1, len(rungs))
    ends = []
    aside = 1.05 ** (np.arange(len(rungs)) - (len(rungs) - 1) / 2)
    for (words, record), shade, off in zip(rungs.items(), shades, aside, strict=True):
        curve = record.outputs["curves"]["centre"]
        x = np.geomspace(LEFT, RIGHT, 200)
        y = np.interp(x, curve["false_marks"], curve["sensitivity"])
        ax.plot(x, y, color=_colour(record), alpha=shade, lw=1.8)
        ends.append((y[-1], words))
        for point in (0.25, 1, 4):
            number = record.metrics[f"sensitivity_at_{point:g}"]
            if number["low"] is not None:
                ax.plot([point * off] * 2, [number["low"], number["high"]], color=_colour(record), alpha=shade, lw=1)
    for (_, words), place in zip(sorted(ends), _apart(sorted(end for end, _ in ends), 0.055), strict=True):
        colour = _colour(rungs[words])
        ax.annotate(words, (RIGHT * 1.06, place), fontsize=8, va="center", color=colour, annotation_clip=False)
    for point in (0.25, 0.5, 1, 2, 4):
        ax.axvline(point, color=GREY, lw=0.5, zorder=0)
    ax.set(xscale="log", xlim=(LEFT, RIGHT), ylim=(0, 1), xlabel="false marks a film", ylabel="share of lesions found")
    ax.set_xticks([0.25, 0.5, 1, 2, 4, 8], ["1/4", "1/2", "1", "2", "4", "8"])
    ax.minorticks_off()
    return fig


def _colour(record: Record) -> str:
    return MALIGNANT if record.settings["detector"] in TRAINED else BENIGN


def _apart(places: list[float], least: float) -> list[float]:
    """Return ascending places, moved as little as needed to be that far apart and not above 1."""
    moved = np.array(places)
    for _ in range(200):
        lack = np.maximum(least - np.diff(moved), 0) / 2
        moved[:-1] -= lack
        moved[1:] += lack
        moved -= max(0.0, moved.max(initial=0) - 1)
    return moved.tolist()


def gallery(films: Sequence[Film], found: Detections) -> Figure:
    """Draw a film where the detector finds the lesion, one where it misses it, and one where it marks what is none.

    The threshold leaves one false mark a film on these films. Circles are lesions, squares are marks.

    Args:
        films: those that were shown; not to be published if they are real.
        found: what the detector marked on them; `image` counts the films.
    """
    rows = np.column_stack([found.box, found.confidence])
    counts = count(films, [rows[found.image == i] for i in range(len(films))], "centre")
    above = counts.above.sum(axis=0) <= len(films)
    lesion_free = np.array([not film.lesions for film in films])
    false = np.where(lesion_free[found.image], found.confidence, -1)
    shown = {
        "found": counts.film[np.argmax(np.where(above, counts.confidence, -np.inf))],
        "missed": counts.film[np.argmin(np.where(above, np.inf, counts.confidence))],
        "false marks": found.image[np.argmax(false)],
    }
    threshold = np.min(counts.confidence[above], initial=1)
    fig = figure(1, 3, width=6.4, height=2.6)
    for ax, (title, i) in zip(fig.axes, shown.items(), strict=True):
        ax.imshow(films[i].pixels(), cmap="gray", vmin=0, vmax=255)
        for spot in films[i].lesions:
            ax.add_patch(Circle((spot.column, spot.row), max(spot.radius, 24), fill=False, ec=ACCENT, lw=1.5))
        for x1, y1, x2, y2, confidence in rows[found.image == i]:
            if confidence >= threshold:
                ax.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=MALIGNANT, lw=1.2, ls="--"))
        ax.set_title(title, fontsize=10)
        ax.axis("off")
    return fig
