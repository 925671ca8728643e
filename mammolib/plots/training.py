"""How a training went: losses against epochs and updates, split into their parts, and how it explodes, layer by layer.

`accuracy_curves` and `loss_curves` are the paper's Figures 7, 8 and 11 in form. The paper's curves survive only as end
points, which are drawn as points and never joined.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from mammolib.analysis.curves import arrays
from mammolib.experiments.evaluate_training import IDLE
from mammolib.plots import canvas, figure
from mammolib.plots.colours import ACCENT, BENIGN, GREY, MALIGNANT, NORMAL, ORANGE, PAPER, SKY

History = Mapping[str, Mapping[str, Sequence[float | None]]]
"""A record's history: "epoch" and "update", each columns of one length."""

PART_STYLES = ((NORMAL, "--"), (ACCENT, "-."), (ORANGE, (0, (5, 1))), (SKY, (0, (1, 1))))
COMPARED = (BENIGN, MALIGNANT, NORMAL, ACCENT, ORANGE, SKY, GREY)
"""Colours of runs beside each other."""
MARKS = (("o", MALIGNANT), ("s", BENIGN), ("^", NORMAL), ("D", ORANGE), ("v", SKY))
OTHERS = {"loss", "epoch", "update", "seconds", "learning_rate", "accuracy", "images"}


def loss_curves(history: History, points: Sequence[tuple[float, float]] = ()) -> Figure:
    """Draw the loss of a training and of its validation, and the parts the loss consists of where it has several.

    The parts are those of the validation loss, or of the training loss where there is no validation. Points are
    (epoch, validation loss) that the paper states.
    """
    columns, names = arrays(history, "epoch"), part_names(history)
    fig = figure(1, 2 if len(names) > 1 else 1, squeeze=False)
    ax = fig.axes[0]
    _draw_both(ax, columns, "loss")
    if points:
        ax.plot(*zip(*points, strict=True), "*", color=PAPER, ms=10, label="the paper, validation")
    if len(names) > 1:
        prefix = "val_" if "val_loss" in columns else ""
        for name, (colour, dash) in zip(names, PART_STYLES, strict=False):
            label = "L2" if name == "l2" else name
            fig.axes[1].plot(columns["epoch"], columns[prefix + name], color=colour, ls=dash, label=label)
        fig.axes[1].set(xlabel="epochs", ylabel="part of the loss", title="validation" if prefix else "training")
    for ax in fig.axes:
        ax.legend()
    return fig


def accuracy_curves(history: History, points: Mapping[str, Sequence[tuple[float, float]]], majority: float) -> Figure:
    """Draw loss and accuracy of a classifier's training and validation against epochs: Figures 7 and 8 of the paper.

    Args:
        history: of a record.
        points: name -> (epoch, accuracy) that the paper states, such as ``{"training, 89.40 %": [(76, 0.894)]}``; the
            first name's are stars, the second's diamonds.
        majority: accuracy of always answering the largest class, drawn as a line.
    """
    fig = figure(1, 2)
    left, right = fig.axes
    for ax, name in ((left, "loss"), (right, "accuracy")):
        _draw_both(ax, arrays(history, "epoch"), name)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.axhline(majority, color=GREY, ls=":", label="always the largest class")
    for (marker, size), (name, values) in zip((("*", 13), ("D", 7)), points.items(), strict=False):
        x, y = zip(*values, strict=True)
        right.plot(x, y, marker, color=PAPER, mec="white", ms=size, label=f"the paper: {name}")
    right.set_ylim(0, 1)
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
            colour, dash, dot = _look(i)
            every, columns = arrays(history, "update"), arrays(history, "epoch")
            if (trained := column.removeprefix("val_")) in every:
                ax.plot(every[by], every[trained], color=colour, lw=0.6, alpha=0.35)
            x, y = (columns.get(k, np.zeros(0)) for k in (by, column))  # none before the first validation
            marked = slice(None if len(x) < 6 else -1, None)
            ax.plot(x, y, dash, marker=dot, markevery=marked, ms=6, color=colour, label=name)
        for marker, (name, values) in zip("*PXdhp8", (points or {}).items(), strict=False):
            updates, passes, loss = zip(*values, strict=True)
            at = updates if by == "update" else passes
            ax.plot(at, loss, marker, ms=10, mfc="none", color=PAPER, label=f"the paper: {name}")
        ax.set_xlabel("updates" if by == "update" else "passes over the training images")
        for axis in "xy" if log else "y":
            _make_logarithmic(ax, axis)
    fig.axes[0].set_ylabel(column.replace("val_", "validation ").replace("_", " "))
    handles, labels = fig.axes[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper center", ncols=3, fontsize=8, frameon=False)
    return fig


def compare_parts(runs: Mapping[str, History]) -> Figure:
    """Draw the validation loss of several trainings as reported, and taken apart into detection loss and weight decay.

    Runs whose decay differs can be compared in the middle panel only.

    Args:
        runs: name -> history of `analysis.curves.with_passes`; one that was never validated is left out.
    """
    columns = {"val_loss": "as reported", "val_detection_loss": "detection loss", "val_l2": "L2"}
    fig = figure(1, 3, height=3.3)
    for ax, (column, title) in zip(fig.axes, columns.items(), strict=True):
        for i, (name, history) in enumerate(runs.items()):
            if column in history["epoch"]:
                x, y = (arrays(history, "epoch")[k] for k in ("update", column))
                colour, dash, dot = _look(i)
                ax.plot(x, y, dash, marker=dot, ms=5, markevery=max(1, len(x) // 6), color=colour, label=name)
        ax.set(xlabel="updates", title=title)
        ax.set_ylim(0, 1.05 * ax.get_ylim()[1])
    fig.axes[0].set_ylabel("validation loss")
    handles, labels = fig.axes[0].get_legend_handles_labels()
    if handles:
        fig.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8)
    return fig


def bars(runs: Mapping[str, Mapping[str, float]]) -> Figure:
    """Draw runs, name -> measure -> value, a panel for each measure; the run with the lowest value is drawn full."""
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
    """Draw the training loss of every update of several runs, logarithmic; one that ends early ends with a cross."""
    fig, ax = canvas(height=3.4)
    longest = max(len(h["update"]["loss"]) for h in runs.values())
    for i, (name, history) in enumerate(runs.items()):
        x, y = finite_losses(history)
        colour, dash, _ = _look(i)
        ax.plot(x, y, dash, color=colour, label=name)
        if len(history["update"]["loss"]) < longest:
            ax.plot(x[-1:], y[-1:], "x", color=colour, ms=9, mew=2)
    ax.set(xlabel="updates", ylabel="loss", yscale="log")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend()
    return fig


def gradient_norms(history: History) -> Figure:
    """Draw the norm of the gradient before clipping against updates, in total and of each layer where it is known."""
    columns = arrays(history, "update")
    fig, ax = canvas(height=3.4)
    layers = [name for name in columns if name.startswith("gradient_norm/")]
    for i, name in enumerate(layers):
        shade = 0.15 + 0.75 * i / max(1, len(layers) - 1)  # first layers light, last ones dark
        label = name.split("/", 1)[1] if i in (0, len(layers) - 1) else None
        ax.plot(columns["update"], columns[name], color=str(1 - shade), lw=0.8, label=label)
    ax.plot(columns["update"], columns["gradient_norm"], color=MALIGNANT, label="all layers")
    ax.set(xlabel="updates", ylabel="norm of the gradient", yscale="log")
    ax.legend()
    return fig


def ladder(
    runs: Mapping[str, tuple[History, str]],
    behind: Mapping[str, History] | None = None,
    level: float | None = None,
    top: float = 1e6,
) -> Figure:
    """Draw the training loss of several runs, a panel each, on the same axis of losses, which is logarithmic.

    The axis of updates is the same too, unless one finished run is at least twice as long as another: then each panel
    reaches as far as its run, and at least as far as the shortest that finished.

    Args:
        runs: title -> (history, outcome); a run that did not finish ends in a cross and says where.
        behind: title -> history of another run, drawn in grey behind that panel's.
        level: a loss to compare with, drawn as a dotted line.
        top: what is larger is drawn here.
    """
    columns = 2 if len(runs) == 4 else min(3, len(runs))
    rows = -(-len(runs) // columns)
    whole = [max(finite_losses(history)[0], default=0) for history, outcome in runs.values() if outcome == "finished"]
    alike = not whole or max(whole) < 2 * min(whole)
    fig = figure(rows, columns, height=0.4 + 1.75 * rows, sharex=alike, sharey=True, squeeze=False)
    for ax, (title, (history, outcome)) in zip(fig.axes, runs.items(), strict=False):
        if behind and title in behind:
            x, y = finite_losses(behind[title])
            ax.plot(x, np.minimum(y, top), color=GREY, lw=3, alpha=0.4)
        x, y = finite_losses(history)
        ax.plot(x, np.minimum(y, top), color=BENIGN, lw=1.2)
        if outcome != "finished":
            ax.plot(x[-1:], np.minimum(y[-1:], top), "X", color=MALIGNANT, ms=7, clip_on=False)
            ax.text(0.96, 0.94, outcome.replace(" at", "\nat"), ha="right", va="top", size=8, transform=ax.transAxes)
        if level is not None:
            ax.axhline(level, color="black", ls=":", lw=0.8)
        if not alike:
            ax.set_xlim(right=max(ax.get_xlim()[1], min(whole)))
        ax.set_title(textwrap.fill(title, 24), size=8)
        ax.set_yscale("log")
        ax.tick_params(labelsize=8, labelbottom=True)
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    for ax in fig.axes[len(runs) :]:
        ax.axis("off")
    fig.axes[0].set_ylim(top=top)
    fig.supxlabel("updates", size=9)
    fig.supylabel("training loss", size=9)
    return fig


def first_steps(steps: Mapping[str, Mapping[str, float]]) -> Figure:
    """Draw how long the first step of each layer is beside its weights: at the line, as long as they are.

    The steps are run -> layer -> length of the step / length of the weights. What is below 1e-6 is drawn there.
    """
    fig = _draw_dots({"": {run: {n: max(v, 1e-6) for n, v in one.items()} for run, one in steps.items()}})
    fig.axes[0].axvline(1, color=GREY, lw=1)
    fig.axes[0].set(xscale="log", xlabel="first step / weights")
    return fig


def above_zero(panels: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Figure:
    """Draw which share of each layer's outputs is above zero (`training.outputs_above_zero`); at 0 the layer is dead.

    The panels are title -> run -> layer -> share.
    """
    fig = _draw_dots(panels)
    for ax in fig.axes:
        ax.set(xlim=(-0.02, 1), xlabel="share of outputs above zero")
    return fig


def _draw_dots(panels: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Figure:
    """Draw a dot for each run of each panel in the row of each layer, as the first run orders them."""
    names = list(next(iter(next(iter(panels.values())).values())))
    fig = figure(1, len(panels), height=0.9 + 0.17 * len(names), sharey=True)
    for ax, (title, runs) in zip(fig.axes, panels.items(), strict=True):
        for (marker, colour), (run, one) in zip(MARKS, runs.items(), strict=False):
            ax.plot([one[n] for n in names], range(len(names)), marker, color=colour, ms=4.5, label=run)
        ax.set(ylim=(len(names) - 0.4, -0.6), title=title)
        ax.set_yticks(range(len(names)), names, size=7)
        ax.grid(axis="y", lw=0.3)
        if len(panels) > 1:
            ax.legend(fontsize=8, loc="center right")
    if len(panels) == 1:
        fig.legend(loc="outside upper center", ncols=min(4, len(runs)), fontsize=8)
    return fig


def growth_by_layer(layers: Mapping[str, Sequence[float]]) -> Figure:
    """Draw how many times larger each layer's gradient norm is than at the first update, in powers of ten up to four.

    What counts as a layer's start is as in `experiments.evaluate_training.gradient_growth`.
    """
    norms = np.array([np.asarray(v, float) for v in layers.values()])
    start = np.maximum(norms[:, :1], IDLE * np.nanmax(norms[:, 0]))
    with np.errstate(divide="ignore", invalid="ignore"):
        powers = np.log10(norms / start)
    powers[~np.isfinite(powers)] = np.nan
    fig, ax = canvas(height=0.9 + 0.17 * len(layers))
    ax.set_facecolor("white")
    ax.patch.set(hatch="xxxx", edgecolor=GREY, lw=0)
    extent, norm = (0.5, norms.shape[1] + 0.5, len(layers) - 0.5, -0.5), Normalize(0, 4)
    shown = ax.imshow(powers, "cividis", norm, aspect="auto", interpolation="nearest", extent=extent)
    ax.set_xlabel("updates")
    ax.set_yticks(range(len(layers)), layers, size=7)
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    fig.colorbar(shown, label="growth, powers of ten", extend="max")
    return fig


def part_names(history: History) -> list[str]:
    """Return the columns of the epochs that add up to the loss: its parts and, where it is not always 0, "l2"."""
    columns = arrays(history, "epoch")
    names = [n for n in columns if n not in OTHERS and not n.startswith(("val_", "gradient_norm"))]
    parts = names[: names.index("l2") + 1] if "l2" in names else names  # "l2" closes the parts; measures follow
    return [name for name in parts if np.nanmax(np.abs(columns[name]), initial=0) > 0]


def finite_losses(history: History) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return updates and training losses as far as the losses are numbers."""
    columns = arrays(history, "update")
    x, y = (columns.get(name, np.zeros(0)) for name in ("update", "loss"))
    return x[np.isfinite(y)], y[np.isfinite(y)]


def _draw_both(ax: Axes, columns: Mapping[str, NDArray], name: str) -> None:
    """Draw a column of the training against epochs, and that of the validation where there is one."""
    ax.plot(columns["epoch"], columns[name], color=BENIGN, label="training")
    if f"val_{name}" in columns:
        ax.plot(columns["epoch"], columns[f"val_{name}"], "--", color=MALIGNANT, label="validation")
    ax.set(xlabel="epochs", ylabel=name)


def _look(number: int) -> tuple[str, str, str]:
    """Return colour, dash and marker of one of several runs beside each other."""
    return COMPARED[number % len(COMPARED)], ("-", "--", "-.", ":")[number % 4], "os^Dv<>"[number % 7]


def _make_logarithmic(ax: Axes, name: str) -> None:
    """Make the x or y axis logarithmic, with plain numbers: at 1, 2, 5, 10, ... if short, else at powers of ten."""
    ax.set(**{f"{name}scale": "log"})
    axis = ax.xaxis if name == "x" else ax.yaxis
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 200 * low else (1,)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())
