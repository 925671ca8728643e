"""The figure of the benchmark: FROC curves out of its records."""

from __future__ import annotations

from matplotlib.figure import Figure

from mammolib.benchmark import POINTS
from mammolib.plots import ACCENT, BENIGN, GREY, MALIGNANT, canvas
from mammolib.results import Record

STYLES = {"centre": "-", "iou0.1": "--", "iou0.5": ":"}
WORDS = {"centre": "centre in the circle", "iou0.1": "IoU 0.1", "iou0.5": "IoU 0.5"}
LEAST = 0.05
"""Left end of the axis, in false marks a film."""


def froc(record: Record) -> Figure:
    """Draw the FROC curves of a scored file under the three hit rules, or those of two compared files.

    Sensitivity against false marks a film on a logarithmic axis; thin lines stand where the score is read, and the
    interval of the mean sensitivity is shaded.
    """
    fig, ax = canvas(6.0, 3.6)
    right = max(POINTS)
    for name, curve in record.outputs["curves"].items():
        rule, _, side = name.partition("_")
        x, y = curve["false_marks"], curve["sensitivity"]
        right = max(right, x[-1])
        label = WORDS[rule] + (f", {'first' if side == 'a' else 'second'} file" if side else "")
        colour = {"": BENIGN, "a": BENIGN, "b": MALIGNANT}[side]
        ax.plot(x, y, color=colour, ls=STYLES[rule], label=label)
        ax.plot([x[-1], 1e4], [y[-1]] * 2, color=colour, ls=STYLES[rule], lw=0.6)  # no mark is left
    for point in POINTS:
        ax.axvline(point, color=GREY, lw=0.4, zorder=0)
    ax.axvspan(0.05, 0.5, color=ACCENT, alpha=0.08, lw=0)
    ax.set(xscale="log", xlim=(LEAST, right), ylim=(-0.02, 1.02))
    ticks = [LEAST, *POINTS, *(2.0**k for k in range(4, 12) if 2**k < right)]
    ax.set_xticks(ticks, [f"{x:g}" for x in ticks])
    ax.minorticks_off()
    ax.set(xlabel="false marks a film", ylabel="share of lesions found")
    ax.legend(fontsize=9, loc="best")
    return fig
