"""Figures and tables made from the networks (the paper's Figures 3 to 6), of what they say and of what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from mammolib.analysis.cost import layer_costs
from mammolib.analysis.roofline import Machine, Work
from mammolib.geometry import CLASSES, Detections, cxcywh_to_xyxy, iou
from mammolib.patches import Crops
from mammolib.plots import canvas, draw_boxes, figure, gallery, show_pixels
from mammolib.plots.colours import ACCENT, BENIGN, BRIGHT, MALIGNANT, ORANGE, PAPER
from mammolib.results import layer_table as stated_layers
from mammolib.saliency import highest_point
from mammolib.ssd import SSD256, SSDLoss, assign, default_boxes, map_of_box
from mammolib.ssd.loss import cross_entropy

KINDS = {
    "Conv2D": "convolution", "SeparableConv2D": "convolution", "MaxPooling2D": "pooling",
    "GlobalAveragePooling2D": "pooling", "Dense": "dense",
}  # fmt: skip
"""What `overview` draws: class and kind of the layers."""
KIND_COLOURS = {"convolution": BENIGN, "pooling": ORANGE, "dense": ACCENT}
UNSEEN = ("InputLayer", "Rescaling", "Activation", "Dropout")
"""Layers that change no shape and hold no parameters."""
HEADS = ("_conf", "_loc")
"""What the names of a detector's heads end in."""
YELLOW = "#F0E442"
DOTS = (("o", BENIGN, BENIGN), ("s", MALIGNANT, "white"), ("^", ACCENT, ACCENT), ("D", PAPER, "white"))
"""Marker, edge and face of each kind of work under a roof: apart in grey as well."""


def overview(model: keras.Model) -> Figure:
    """Draw a network as bars, one a layer: its height is the side of the layer's map, its number the channels.

    The maps from which a detector answers are marked with an arrow.
    """
    read = {layer.name.rsplit("_", 1)[0].removesuffix("_norm") for layer in model.layers if layer.name.endswith(HEADS)}
    rows = [r for r in layer_costs(model) if r.kind in KINDS and not r.name.endswith(HEADS)]
    fig, ax = canvas(7.6, 3.6)
    for x, row in enumerate(rows):
        height = np.log2(_side(row.output)) + 1
        ax.add_patch(Rectangle((x - 0.42, 0), 0.84, height, fc=KIND_COLOURS[KINDS[row.kind]], ec="white", lw=0.5))
        if x == 0 or rows[x - 1].output != row.output:
            ax.text(x, height + 0.1, str(row.output[-1]), ha="center", va="bottom", fontsize=7, rotation=90)
        if row.name in read:
            ax.annotate("", (x, -0.9), (x, 0), arrowprops={"arrowstyle": "-|>", "color": "black"})
    sides = [2**k for k in range(0, 9, 2)]
    ax.set_yticks(np.log2(sides) + 1, sides)
    ax.set(xlim=(-1, len(rows)), ylim=(-1.4 if read else 0, 11), ylabel="side of the map", xticks=[])
    ax.spines["bottom"].set_visible(False)
    for kind, colour in KIND_COLOURS.items():
        if any(KINDS[r.kind] == kind for r in rows):
            ax.bar(0, 0, color=colour, label=kind)
    ax.legend(ncols=3, loc="upper right", fontsize=8)
    if read:
        ax.text(-0.9, -1.2, "arrows: maps that answer", fontsize=8, va="center")
    return fig


def shapes(model: keras.Model) -> pd.DataFrame:
    """List the layers of a network that compute something, in order, with the shape each makes.

    Returns:
        A table indexed by layer, with kind, side of the map (1 where there is no map left), filters (numbers at each
        place of the map: filters, channels or units) and parameters. The parameters add up to the model's.
    """
    rows = [
        {"layer": r.name, "kind": r.kind, "side": _side(r.output), "filters": r.output[-1], "parameters": r.parameters}
        for r in layer_costs(model)
        if r.kind not in UNSEEN
    ]
    return pd.DataFrame(rows).set_index("layer")


def layer_table(model: keras.Model) -> pd.DataFrame:
    """List the layers of a network as the paper's Figure 6 does, heads left out.

    Returns:
        A table with layer, type, filters, size, strides, map, parameters, and whether the row is that of Figure 6.
    """
    stated = stated_layers()
    rows: list[list[Any]] = []
    for layer in model.layers:
        name = type(layer).__name__
        if name not in KINDS or layer.name.endswith(HEADS):
            continue
        size = layer.kernel_size if KINDS[name] == "convolution" else layer.pool_size
        side, strides, filters = layer.output.shape[1], layer.strides[0], getattr(layer, "filters", None)
        theirs = stated[len(rows)] if len(rows) < len(stated) else {}
        ours = {"type": name, "filters": filters, "size": size[0], "strides": strides, "output": side}
        as_stated = bool(theirs) and all(theirs.get(k, v) in (v, None) for k, v in ours.items())
        rows.append([layer.name, name, filters or "", size[0], strides, side, layer.count_params(), as_stated])
    columns = ["layer", "type", "filters", "size", "strides", "map", "parameters", "Figure 6"]
    return pd.DataFrame(rows, columns=columns).set_index("layer")


def default_boxes_on(image: NDArray, truth: ArrayLike) -> Figure:
    """Draw the default boxes of one central cell of each map on an image, with the lesion's box."""
    boxes, of_map = SSD256.size * cxcywh_to_xyxy(default_boxes()), map_of_box(SSD256)
    fig = figure(2, 3, width=7.4, height=5.0)
    for k, (ax, side, n) in enumerate(zip(fig.axes, SSD256.maps, SSD256.per_cell, strict=True)):
        show_pixels(ax, image, f"{side} x {side} cells")
        cell = (side // 2) * side + side // 2
        draw_boxes(ax, boxes[of_map == k][cell * n : (cell + 1) * n], YELLOW, width=0.9)
        draw_boxes(ax, truth, BRIGHT["benign"], width=2.2)
    return fig


def matched_boxes(image: NDArray, truth: ArrayLike) -> Figure:
    """Draw the default boxes that answer for one lesion, and the lesion's own box."""
    boxes = SSD256.size * cxcywh_to_xyxy(default_boxes())
    matched = boxes[assign(iou(np.atleast_2d(truth), boxes)) >= 0]
    fig, ax = canvas(height=3.4)
    show_pixels(ax, image, f"{len(matched)} default boxes")
    draw_boxes(ax, matched, YELLOW, width=0.8)
    draw_boxes(ax, truth, BRIGHT["benign"], width=2.4)
    return fig


def mining_table(targets: NDArray, predictions: NDArray) -> pd.DataFrame:
    """Count, image by image, the matched boxes, the background boxes `ssd.SSDLoss` mines by image, and those left out.

    Targets are (B, boxes, 5) of `ssd.make_targets`, predictions (B, boxes, classes + 5) of a network.
    """
    label = targets[..., 0].astype("float32")
    hit = label > 0
    logits = np.moveaxis(predictions[..., :-4], -1, 0)
    losses = cross_entropy(keras.ops.convert_to_tensor(label), keras.ops.convert_to_tensor(logits))
    mined = SSDLoss().negatives(keras.ops.convert_to_tensor(hit.astype("float32")), losses)
    loss, mined = keras.ops.convert_to_numpy(losses), keras.ops.convert_to_numpy(mined) > 0
    left = ~hit & ~mined
    return pd.DataFrame(
        {
            "matched": hit.sum(axis=1),
            "background, mined": mined.sum(axis=1),
            "background, left out": left.sum(axis=1),
            "mean loss, mined": (loss * mined).sum(axis=1) / np.maximum(mined.sum(axis=1), 1),
            "mean loss, left out": (loss * left).sum(axis=1) / left.sum(axis=1),
        },
        index=pd.RangeIndex(len(label), name="image"),
    ).round(3)


def detections_on(crops: Crops, found: Detections) -> Figure:
    """Draw crops with their true boxes (dashed) and the most confident detection (solid), its class and confidence."""
    fig = gallery(len(crops), 2.1)
    for i, ax in enumerate(fig.axes[: len(crops)]):
        show_pixels(ax, crops.images[i], "nothing found")
        draw_boxes(ax, crops.truths.box[crops.truths.image == i], "white", "--", 1.2)
        mine = np.flatnonzero(found.image == i)
        if len(mine):
            best = mine[np.argmax(found.confidence[mine])]
            name = CLASSES[found.label[best] - 1]
            ax.set_title(f"{name} {found.confidence[best]:.2f}")
            draw_boxes(ax, found.box[best], BRIGHT[name], width=1.8)
    return fig


def map_gallery(crops: Crops, maps: NDArray, count: int = 6) -> Figure:
    """Draw `count` patches under (N, H, W) maps of where a classifier looks, with lesion's box and map's highest point.

    A box that reaches the border of its patch is drawn just inside of it, so that it can be seen, and so is a point.
    """
    rows = np.unique(np.linspace(0, len(crops) - 1, count).astype(int))
    fig = figure(1, len(rows), width=7.6, height=1.8)
    side = crops.images.shape[1]
    for ax, row in zip(fig.axes, rows, strict=True):
        show_pixels(ax, crops.images[row])
        ax.imshow(maps[row], cmap="magma", alpha=0.45, extent=(0, side, side, 0))
        ((y, x),) = highest_point(maps[[row]])
        ax.plot(*np.clip([[x], [y]], 0.05 * side, 0.95 * side), "x", color="white", ms=7, mew=2)
        box = crops.truths.box[crops.truths.image == row]
        draw_boxes(ax, np.clip(box, 0.02 * side, 0.98 * side), "white", width=1.4)
    return fig


def roofline(machine: Machine, measured: Sequence[Work], label: str = "separable") -> Figure:
    """Draw a machine's roof (Williams, Waterman and Patterson 2009, Figure 1) and the works that were timed under it.

    Each kind of work has its own marker; those of the kind `label` are labelled with their names ("" for none).
    """
    fig, ax = canvas(height=4.0)
    low = min(machine.ridge, *(work.intensity for work in measured)) / 3
    high = max(machine.ridge, *(work.intensity for work in measured)) * 3
    x = [low, machine.ridge, high]
    ax.plot(x, [machine.roof(v) for v in x], color=PAPER, lw=1.5)
    for (marker, edge, face), kind in zip(DOTS, dict.fromkeys(work.kind for work in measured), strict=False):
        own = [(work.intensity, work.rate) for work in measured if work.kind == kind]
        ax.plot(*zip(*own, strict=True), marker, ms=7, mec=edge, mfc=face, mew=1.5, label=kind)
    rates = [work.rate for work in measured]
    bottom = min(*rates, machine.roof(low) * 2) / 3
    ax.set(xscale="log", yscale="log", xlim=(low, high), ylim=(bottom, 2.5 * max(*rates, machine.rate)))
    ax.set(xlabel="operations a byte", ylabel="operations a second")
    unit, prefix = (1e12, "T") if machine.rate >= 1e12 else (1e9, "G")
    style: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8}
    ax.annotate(f"{machine.rate / unit:.3g} {prefix}FLOP/s", (high, machine.rate), (-4, 4), ha="right", **style)
    middle = machine.ridge / 2, machine.rate / 2
    ax.annotate(f"{machine.bandwidth / 1e9:,.3g} GB/s", middle, (-6, 4), ha="right", **style)
    named = sorted((w for w in measured if w.kind == label), key=lambda w: w.intensity)
    for i, work in enumerate(named):  # below and above in turn, or neighbours write over each other
        shift, edge = ((0, 7), "bottom") if i % 2 else ((0, -7), "top")
        ax.annotate(work.name, (work.intensity, work.rate), shift, ha="center", va=edge, **style)
    ax.legend(loc="lower right")
    return fig


def _side(output: tuple[int, ...]) -> int:
    """Return the side of a layer's map, 1 where there is no map left."""
    return output[0] if len(output) == 3 else 1
