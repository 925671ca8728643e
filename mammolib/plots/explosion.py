"""How a training explodes: loss by loss, layer by layer, and how long the first step is beside the weights."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mammolib.experiments.evaluate_training import IDLE
from mammolib.plots import BENIGN, GREY, MALIGNANT, canvas, figure
from mammolib.plots.training import History

MARKS = (("o", MALIGNANT), ("s", BENIGN), ("^", "#009E73"), ("D", "#E69F00"), ("v", "#56B4E9"))


def ladder(
    runs: Mapping[str, tuple[History, str]],
    behind: Mapping[str, History] | None = None,
    level: float | None = None,
    columns: int = 3,
    top: float = 1e6,
) -> Figure:
    """Draw the training loss of several runs, a panel each, on the same axis of losses, which is logarithmic.

    The axis of updates is the same too, unless one finished run is at least twice as long as another: then each panel
    reaches as far as its run, and at least as far as the shortest that finished.

    Args:
        runs: title -> (history, outcome); a run that did not finish ends in a cross and says where.
        behind: title -> history of another run, drawn in grey behind that panel's.
        level: a loss to compare with, drawn as a dotted line.
        columns: panels in a row.
        top: what is larger is drawn here.
    """
    columns = max(1, min(columns, len(runs)))
    rows = max(1, math.ceil(len(runs) / columns))
    whole = [max(_losses(history)[0], default=0) for history, outcome in runs.values() if outcome == "finished"]
    alike = not whole or max(whole) < 2 * min(whole)
    fig = figure(rows, columns, height=0.4 + 1.75 * rows, sharex=alike, sharey=True, squeeze=False)
    axes: list[Axes] = fig.axes
    for ax, (title, (history, outcome)) in zip(axes, runs.items(), strict=False):
        if behind and title in behind:
            x, y = _losses(behind[title])
            ax.plot(x, np.minimum(y, top), color=GREY, lw=3, alpha=0.4)
        x, y = _losses(history)
        ax.plot(x, np.minimum(y, top), color=BENIGN, lw=1.2)
        if outcome != "finished" and len(x):
            ax.plot(x[-1], min(y[-1], top), "X", color=MALIGNANT, ms=7, clip_on=False)
            ax.text(0.96, 0.94, outcome.replace(" at", "\nat"), ha="right", va="top", size=8, transform=ax.transAxes)
        if level is not None:
            ax.axhline(level, color="black", ls=":", lw=0.8)
        if not alike:
            ax.set_xlim(right=max(ax.get_xlim()[1], min(whole)))
        ax.set_title(textwrap.fill(title, 24), size=8)
        ax.set_yscale("log")
        ax.tick_params(labelsize=8, labelbottom=True)
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    for ax in axes[len(runs) :]:
        ax.axis("off")
    if runs:
        axes[0].set_ylim(top=top)
    else:
        axes[0].text(0.5, 0.5, "no run has been recorded yet", ha="center", transform=axes[0].transAxes)
    fig.supxlabel("updates", size=9)
    fig.supylabel("training loss", size=9)
    return fig


def first_steps(steps: Mapping[str, Mapping[str, float]]) -> Figure:
    """Draw how long the first step of each layer is beside its weights: at the line, as long as they are.

    Args:
        steps: run -> layer -> length of the step / length of the weights; the layers of the first run, from the input
            to the output. What is below 1e-6 is drawn there.
    """
    fig = _dots({"": {run: {n: max(v, 1e-6) for n, v in one.items()} for run, one in steps.items()}})
    fig.axes[0].axvline(1, color=GREY, lw=1)
    fig.axes[0].set(xscale="log", xlabel="first step / weights")
    return fig


def above_zero(panels: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Figure:
    """Draw which share of each layer's outputs is above zero; at 0 the layer is dead.

    Args:
        panels: title -> run -> layer -> share, see `training.outputs_above_zero`; the layers of the first run, from the
            input to the output.
    """
    fig = _dots(panels)
    for ax in fig.axes:
        ax.set(xlim=(-0.02, 1), xlabel="share of outputs above zero")
    return fig


def _dots(panels: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Figure:
    """Draw a dot for each run of each panel in each layer's row, and the runs' names above."""
    names = list(next(iter(next(iter(panels.values())).values())))
    fig = figure(1, len(panels), height=0.9 + 0.17 * len(names), sharey=True)
    for ax, (title, runs) in zip(fig.axes, panels.items(), strict=True):
        for (marker, colour), (run, one) in zip(MARKS, runs.items(), strict=False):
            ax.plot([one[n] for n in names], range(len(names)), marker, color=colour, ms=4.5, ls="", label=run)
        ax.set(ylim=(len(names) - 0.4, -0.6), title=title)
        ax.set_yticks(range(len(names)), names, size=7)
        ax.grid(axis="y", lw=0.3)
        if len(panels) > 1:
            ax.legend(fontsize=8, loc="center right")
    if len(panels) == 1:
        fig.legend(loc="outside upper center", ncols=min(4, len(runs)), fontsize=8)
    return fig


def growth_by_layer(layers: Mapping[str, Sequence[float]]) -> Figure:
    """Draw how many times larger each layer's gradient is than at the first update, in powers of ten.

    Args:
        layers: layer -> gradient norm of each update, from the input to the output. What counts as a layer's start is
            as in `gradient_growth`. The colours end at the fourth power.

    Raises:
        ValueError: there is no layer.
    """
    if not layers:
        raise ValueError("layers: there is none; train with gradient_norm='layer'")
    norms = np.array([np.asarray(v, float) for v in layers.values()])
    start = np.maximum(norms[:, :1], IDLE * np.nanmax(norms[:, 0]))
    with np.errstate(divide="ignore", invalid="ignore"):
        powers = np.log10(norms / start)
    powers[~np.isfinite(powers)] = np.nan
    fig, ax = canvas(height=0.9 + 0.17 * len(layers))
    ax.set_facecolor("white")
    ax.patch.set(hatch="xxxx", edgecolor=GREY, lw=0)
    extent = (0.5, norms.shape[1] + 0.5, len(layers) - 0.5, -0.5)
    shown = ax.imshow(
        powers, cmap="cividis", norm=Normalize(0, 4), aspect="auto", interpolation="nearest", extent=extent
    )
    ax.set(xlabel="updates", yticks=range(len(layers)))
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    ax.set_yticklabels(layers, size=7)
    fig.colorbar(shown, label="growth, powers of ten", extend="max")
    return fig


def _losses(history: History) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return updates and losses as far as the losses are numbers."""
    columns = history.get("update", {})
    x, y = (np.asarray(columns.get(name, []), float) for name in ("update", "loss"))
    good = np.isfinite(y)
    return x[good], y[good]
