"""Figures of the benchmark's records and of what detectors mark on whole films."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from mammolib.benchmark import POINTS
from mammolib.benchmark.counting import count
from mammolib.geometry import Detections
from mammolib.mias import Film
from mammolib.plots import canvas, draw_boxes, false_marks_axis, figure
from mammolib.plots.colours import ACCENT, BENIGN, GREY, MALIGNANT
from mammolib.results import Record

RULES = {"centre": ("-", "centre in the circle"), "iou0.1": ("--", "IoU 0.1"), "iou0.5": (":", "IoU 0.5")}
TRAINED = ("features", "imagenet", "both-breasts", "ssd", "ssd-phantoms")
"""Detectors with weights that are fitted on films, drawn in another colour."""


def froc(record: Record) -> Figure:
    """Draw the FROC curves of a scored file under the three hit rules, or those of two compared files.

    Thin lines stand where the score is read, and the interval of the mean sensitivity is shaded.
    """
    fig, ax = canvas(6.0, 3.6)
    right = max(POINTS)
    for name, curve in record.outputs["curves"].items():
        rule, _, side = name.partition("_")
        x, y = curve["false_marks"], curve["sensitivity"]
        right = max(right, x[-1])
        dash, label = RULES[rule]
        label += {"": "", "a": ", first file", "b": ", second file"}[side]
        colour = MALIGNANT if side == "b" else BENIGN
        ax.plot(x, y, color=colour, ls=dash, label=label)
        ax.plot([x[-1], 1e4], [y[-1]] * 2, color=colour, ls=dash, lw=0.6)  # no mark is left
    false_marks_axis(ax, 0.05, right, POINTS, color=GREY, lw=0.4)
    ax.axvspan(0.05, 0.5, color=ACCENT, alpha=0.08, lw=0)
    ticks = [0.05, *ax.get_xticks()]
    ax.set_xticks(ticks, [f"{x:g}" for x in ticks])
    ax.set(ylim=(-0.02, 1.02), xlabel="false marks a film", ylabel="share of lesions found")
    ax.legend(fontsize=9, loc="best")
    return fig


def curves(rungs: Mapping[str, Record]) -> Figure:
    """Draw a FROC curve for each of `analysis.ladder.rungs`, named at its right end; thin lines stand at 1/4 to 4.

    At 1/4, 1 and 4 each has its 95 % interval over women, moved a little to the side, so that none hides another.
    """
    fig, ax = canvas(6.4, 4.0)
    left, right = 0.1, 8
    shades = np.linspace(0.35, 1, len(rungs))
    aside = 1.05 ** (np.arange(len(rungs)) - (len(rungs) - 1) / 2)
    ends = []
    for (words, record), shade, off in zip(rungs.items(), shades, aside, strict=True):
        colour = MALIGNANT if record.settings["detector"] in TRAINED else BENIGN
        curve = record.outputs["curves"]["centre"]
        x = np.geomspace(left, right, 200)
        y = np.interp(x, curve["false_marks"], curve["sensitivity"])
        ax.plot(x, y, color=colour, alpha=shade, lw=1.8)
        ends.append((y[-1], words, colour))
        for point in (0.25, 1, 4):
            number = record.metrics[f"sensitivity_at_{point:g}"]
            if number["low"] is not None:
                ax.plot([point * off] * 2, [number["low"], number["high"]], color=colour, alpha=shade, lw=1)
    ends.sort()
    for (_, words, colour), place in zip(ends, _move_apart([end for end, *_ in ends], 0.055), strict=True):
        ax.annotate(words, (right * 1.06, place), fontsize=8, va="center", color=colour, annotation_clip=False)
    false_marks_axis(ax, left, right, POINTS[:5], color=GREY, lw=0.5)
    ax.set_xticks([0.25, 0.5, 1, 2, 4, 8], ["1/4", "1/2", "1", "2", "4", "8"])
    ax.set(ylim=(0, 1), xlabel="false marks a film", ylabel="share of lesions found")
    return fig


def _move_apart(places: list[float], least: float) -> list[float]:
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

    The threshold leaves one false mark a film on these films, which `found.image` counts. Circles are lesions, squares
    are marks. Not to be published if the films are real.
    """
    rows = np.column_stack([found.box, found.confidence])
    counts = count(films, [rows[found.image == i] for i in range(len(films))], "centre")
    above = counts.above.sum(axis=0) <= len(films)
    lesion_free = np.array([not film.lesions for film in films])
    shown = {
        "found": counts.film[np.argmax(np.where(above, counts.confidence, -np.inf))],
        "missed": counts.film[np.argmin(np.where(above, np.inf, counts.confidence))],
        "false marks": found.image[np.argmax(np.where(lesion_free[found.image], found.confidence, -1))],
    }
    threshold = np.min(counts.confidence[above], initial=1)
    fig = figure(1, 3, width=6.4, height=2.6)
    for ax, (title, i) in zip(fig.axes, shown.items(), strict=True):
        ax.imshow(films[i].pixels(), cmap="gray", vmin=0, vmax=255)
        for spot in films[i].lesions:
            ax.add_patch(Circle((spot.column, spot.row), max(spot.radius, 24), fill=False, ec=ACCENT, lw=1.5))
        marks = found.box[(found.image == i) & (found.confidence >= threshold)]
        draw_boxes(ax, marks, MALIGNANT, "--", 1.2, clip_on=True)
        ax.set_title(title, fontsize=10)
        ax.axis("off")
    return fig
