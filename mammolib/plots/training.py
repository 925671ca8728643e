"""How a training went: losses against epochs and updates, split into their parts; accuracies beside the paper's ends.

These are the paper's Figures 7, 8, 11 and 18 in form. The paper's curves survive only as end points, which are drawn as
points and never joined.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from mammolib.plots import ACCENT, BENIGN, GREY, MALIGNANT, NORMAL, PAPER, figure

History = Mapping[str, Mapping[str, Sequence[float | None]]]
"""A record's history: "epoch" and "update", each columns of one length."""

TRAINING, VALIDATION = BENIGN, MALIGNANT
PART_STYLES = ((NORMAL, "--"), (ACCENT, "-."), ("#E69F00", (0, (5, 1))), ("#56B4E9", (0, (1, 1))))
COMPARED = (BENIGN, MALIGNANT, NORMAL, ACCENT, "#E69F00", "#56B4E9", GREY)
"""Colours of runs beside each other."""
OTHERS = {"loss", "epoch", "update", "seconds", "learning_rate", "accuracy", "images"}


def loss_curves(
    history: History,
    points: Sequence[tuple[float, float]] = (),
    by: str = "epoch",
    parts: bool = True,
    log: bool = False,
    title: str = "",
) -> Figure:
    """Draw the loss of a training and of its validation, and the parts the loss consists of.

    Args:
        history: of a record.
        points: (epoch or update, validation loss) that the paper states.
        by: the axis, "epoch" or "update"; along updates the training loss is there for every one.
        parts: draw the parts of the validation loss in a second panel (of the training loss where there is none).
        log: a logarithmic loss axis, for a run that explodes.
        title: above the figure.

    Raises:
        ValueError: `by` is no axis of the history.
    """
    if by not in ("epoch", "update") or not history.get("epoch"):
        raise ValueError(f"by: {by!r} is not an axis of this history, which has {sorted(history)}")
    columns = history["epoch"]
    x = _numbers(columns["update"] if by == "update" else columns["epoch"])
    names = part_names(history) if parts else []
    fig = figure(1, 2 if len(names) > 1 else 1, height=3.2, squeeze=False)
    ax = fig.axes[0]
    if by == "update" and "update" in history:
        updates = history["update"]
        ax.plot(_numbers(updates["update"]), _numbers(updates["loss"]), color=TRAINING, lw=0.6, alpha=0.35)
    ax.plot(x, _numbers(columns["loss"]), color=TRAINING, label="training")
    if "val_loss" in columns:
        ax.plot(x, _numbers(columns["val_loss"]), "--", color=VALIDATION, label="validation")
    if points:
        ax.plot(*zip(*points, strict=True), "*", color=PAPER, ms=10, ls="", label="the paper, validation")
    ax.set(xlabel=f"{by}s", ylabel="loss", title=title)
    if len(names) > 1:
        _parts(fig.axes[1], columns, x, names)
        fig.axes[1].set_xlabel(f"{by}s")
    for one in fig.axes:
        if log:
            one.set_yscale("log")
        one.legend()
    return fig


def accuracy_curves(
    history: History,
    points: Mapping[str, Sequence[tuple[float, float]]] | None = None,
    majority: float | None = None,
    title: str = "",
) -> Figure:
    """Draw loss and accuracy of a classifier's training and validation against epochs: Figures 7 and 8 of the paper.

    Args:
        history: of a record.
        points: name -> (epoch, accuracy) that the paper states, such as ``{"training, 89.40 %": [(76, 0.894)]}``; the
            first name's are stars, the second's diamonds.
        majority: accuracy of always answering the largest class, drawn as a line.
        title: above the left panel.
    """
    columns = history["epoch"]
    x = _numbers(columns["epoch"])
    fig = figure(1, 2, height=3.2)
    for ax, name in zip(fig.axes, ("loss", "accuracy"), strict=True):
        ax.plot(x, _numbers(columns[name]), color=TRAINING, label="training")
        if f"val_{name}" in columns:
            ax.plot(x, _numbers(columns[f"val_{name}"]), "--", color=VALIDATION, label="validation")
        ax.set(xlabel="epochs", ylabel=name)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    right = fig.axes[1]
    if majority is not None:
        right.axhline(majority, color=GREY, ls=":", label="always the largest class")
    for marker, (name, values) in zip("*Dsv", (points or {}).items(), strict=False):
        style = {"color": PAPER, "mec": "white", "ms": 13 if marker == "*" else 7, "ls": ""}
        right.plot(*zip(*values, strict=True), marker, label=f"the paper: {name}", **style)
    right.set_ylim(0, 1)
    fig.axes[0].set_title(title)
    for ax in fig.axes:
        ax.legend(fontsize=8)
    return fig


def updates_and_passes(
    runs: Mapping[str, History],
    points: Mapping[str, Sequence[tuple[float, float, float]]] | None = None,
    column: str = "val_loss",
    log: bool = True,
) -> Figure:
    """Draw several trainings twice: against updates, and against passes over the training images.

    A dot marks a run's end, and each validation of a run that had only a few. Where a run holds the training loss of
    every update as well, it is drawn faintly.

    Args:
        runs: name -> history with the column "passes" (`analysis.curves.with_passes`).
        points: name -> (updates, passes, loss) that the paper states.
        column: of the epochs' columns.
        log: a logarithmic axis of updates and passes, for runs of very different lengths; without it an exponential
            curve is a straight line. The losses' axis is always logarithmic.
    """
    fig = figure(1, 2, height=3.9, sharey=True)
    for ax, by in zip(fig.axes, ("update", "passes"), strict=True):
        for i, (name, history) in enumerate(runs.items()):
            colour, dash = COMPARED[i % len(COMPARED)], ("-", "--", "-.", ":")[i % 4]
            every, columns = history.get("update", {}), history["epoch"]
            if column.removeprefix("val_") in every:
                x, y = _numbers(every[by]), _numbers(every[column.removeprefix("val_")])
                ax.plot(x, y, color=colour, lw=0.6, alpha=0.35)
            x, y = _numbers(columns.get(by, [])), _numbers(columns.get(column, []))  # none before the first validation
            ends = slice(None) if len(x) < 6 else slice(-1, None)
            ax.plot(x, y, dash, color=colour)
            ax.plot(x[ends], y[ends], "os^Dv<>"[i % 7], color=colour, ms=6)
            ax.plot([], [], dash, marker="os^Dv<>"[i % 7], color=colour, ms=6, label=name)
        for marker, (name, values) in zip("*PXdhp8", (points or {}).items(), strict=False):
            u, p, loss = zip(*values, strict=True)
            x = u if by == "update" else p
            ax.plot(x, loss, marker, ls="", ms=10, mfc="none", color=PAPER, label=f"the paper: {name}")
        ax.set_xlabel("updates" if by == "update" else "passes over the training images")
        for axis in (ax.xaxis, ax.yaxis)[0 if log else 1 :]:
            _logarithmic(axis)
    fig.axes[0].set_ylabel(_in_words(column))
    handles, labels = fig.axes[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper center", ncols=3, fontsize=8, frameon=False)
    return fig


def compare_parts(runs: Mapping[str, History], by: str = "update") -> Figure:
    """Draw the validation loss of several trainings as reported, and taken apart into detection loss and weight decay.

    Runs whose decay differs can be compared in the middle panel only.

    Args:
        runs: name -> history with the column "val_detection_loss" (`analysis.curves.with_passes`); one that was never
            validated is left out.
        by: "update", "passes" or "epoch".
    """
    columns = {"val_loss": "as reported", "val_detection_loss": "detection loss", "val_l2": "L2"}
    fig = figure(1, 3, height=3.3)
    for ax, (column, title) in zip(fig.axes, columns.items(), strict=True):
        for i, (name, history) in enumerate(runs.items()):
            if not history.get("epoch"):
                continue
            x, y = (_numbers(history["epoch"][k]) for k in (by, column))
            colour, dash, dot = COMPARED[i % len(COMPARED)], ("-", "--", "-.", ":")[i % 4], "os^Dv<>"[i % 7]
            ax.plot(x, y, dash, marker=dot, ms=5, markevery=max(1, len(x) // 6), color=colour, label=name)
        ax.set(xlabel="passes over the images" if by == "passes" else f"{by}s", title=title)
        ax.set_ylim(0, 1.05 * ax.get_ylim()[1])
    fig.axes[0].set_ylabel("validation loss")
    handles = fig.axes[0].get_legend_handles_labels()
    if handles[0]:
        fig.legend(*handles, loc="outside lower center", ncols=2, fontsize=8)
    return fig


def bars(runs: Mapping[str, Mapping[str, float]]) -> Figure:
    """Draw the same runs by one or more measures, a panel each; the one with the lowest value is drawn full.

    Args:
        runs: name -> measure -> value; the measures of the first run.
    """
    measures = list(next(iter(runs.values())))
    fig = figure(1, len(measures), height=0.9 + 0.34 * len(runs), sharey=True)
    for ax, measure in zip(fig.axes, measures, strict=True):
        values = [one[measure] for one in runs.values()]
        for place, value in enumerate(values):
            ax.barh(place, value, height=0.6, color=BENIGN, alpha=1 if value == min(values) else 0.3)
            ax.text(value, place, f" {value:.2f}", va="center", size=9)
        ax.set(xlim=(0, 1.2 * max(values)), ylim=(len(runs) - 0.5, -0.5), xlabel=measure)
        ax.set_yticks(range(len(runs)), list(runs))
        ax.tick_params(axis="y", length=0)
    return fig


def update_losses(runs: Mapping[str, History]) -> Figure:
    """Draw the training loss of every update of several runs, logarithmic; one that ends early ends with a cross.

    Args:
        runs: name -> history.
    """
    fig = figure(height=3.4)
    (ax,) = fig.axes
    longest = max(len(h["update"]["loss"]) for h in runs.values())
    for i, (name, history) in enumerate(runs.items()):
        x, y = (_numbers(history["update"][c]) for c in ("update", "loss"))
        keep = np.isfinite(y)
        colour, dash = (BENIGN, MALIGNANT, NORMAL, ACCENT)[i % 4], ("-", "--", "-.", ":")[i % 4]
        ax.plot(x[keep], y[keep], dash, color=colour, label=name)
        if len(y) < longest and keep.any():
            ax.plot(x[keep][-1], y[keep][-1], "x", color=colour, ms=9, mew=2)
    ax.set(xlabel="updates", ylabel="loss", yscale="log")
    ax.legend()
    return fig


def gradient_norms(history: History, log: bool = True) -> Figure:
    """Draw the norm of the gradient before clipping against updates, in total and of each layer where it is known."""
    columns = history["update"]
    if "gradient_norm" not in columns:
        raise ValueError("history: holds no gradient norms; train with gradient_norm='total' or 'layer'")
    x = _numbers(columns["update"])
    fig = figure(height=3.4)
    (ax,) = fig.axes
    layers = [name for name in columns if name.startswith("gradient_norm/")]
    for i, name in enumerate(layers):
        shade = 0.15 + 0.75 * i / max(1, len(layers) - 1)  # first layers light, last ones dark
        label = name.split("/", 1)[1] if i in (0, len(layers) - 1) else None
        ax.plot(x, _numbers(columns[name]), color=str(1 - shade), lw=0.8, label=label)
    ax.plot(x, _numbers(columns["gradient_norm"]), color=MALIGNANT, label="all layers")
    ax.set(xlabel="updates", ylabel="norm of the gradient")
    if log:
        ax.set_yscale("log")
    ax.legend()
    return fig


def part_names(history: History) -> list[str]:
    """Return the columns of the epochs that add up to the loss: its parts and, where it is not always 0, "l2"."""
    columns = history["epoch"]
    names = [n for n in columns if n not in OTHERS and not n.startswith(("val_", "gradient_norm"))]
    parts = names[: names.index("l2") + 1] if "l2" in names else names  # "l2" closes the parts; measures follow
    return [name for name in parts if np.nanmax(np.abs(_numbers(columns[name])), initial=0) > 0]


def _parts(ax: Axes, columns: Mapping[str, Any], x: NDArray, names: Sequence[str]) -> None:
    prefix = "val_" if "val_loss" in columns else ""
    for name, (colour, dash) in zip(names, PART_STYLES * 3, strict=False):
        ax.plot(x, _numbers(columns[prefix + name]), color=colour, ls=dash, label="L2" if name == "l2" else name)
    ax.set(ylabel="part of the loss", title="validation" if prefix else "training")


def _logarithmic(axis: Axis) -> None:
    """Make an axis logarithmic, with plain numbers: at 1, 2, 5, 10, ... if it is short, else at powers of ten."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 200 * low else (1,)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def _in_words(column: str) -> str:
    return column.replace("val_", "validation ").replace("_", " ")


def _numbers(values: Sequence[float | None]) -> NDArray[np.floating]:
    return np.array([np.nan if v is None else v for v in values], float)
