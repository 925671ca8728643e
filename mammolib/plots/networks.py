"""Figures and tables made from the networks themselves (the paper's Figures 3 to 6), and of what they say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from mammolib.geometry import CLASSES, Detections, cxcywh_to_xyxy, iou
from mammolib.patches import Crops
from mammolib.plots import canvas, figure, gallery, show_pixels
from mammolib.plots.data import BRIGHT, draw_box
from mammolib.ssd import SSD256, assign, default_boxes, map_of_box

if TYPE_CHECKING:
    import keras
    import pandas as pd

_KINDS = {
    "convolution": (("Conv2D", "SeparableConv2D", "DepthwiseConv2D"), "#0072B2"),
    "pooling": (("MaxPooling2D", "AveragePooling2D", "GlobalAveragePooling2D"), "#E69F00"),
    "dense": (("Dense",), "#CC79A7"),
}
"""What `overview` draws: the name of a kind of layer, its classes, its colour."""

_UNSEEN = ("InputLayer", "Rescaling", "Activation", "Dropout")
"""Layers that change no shape and hold no parameters."""

_HEADS = ("_conf", "_loc", "_confidence", "_offsets")
"""What the names of a detector's heads end in."""


def overview(model: keras.Model) -> Figure:
    """Draw a network as bars, one a layer: its height is the side of the layer's map, its number the channels.

    Args:
        model: any functional model of this book. The maps from which a detector answers are marked with an arrow.
    """
    from mammolib.analysis.cost import layer_costs

    heads = [name for name in _names(model) if name.endswith(_HEADS)]
    sources = _sources(model, heads)
    rows = [r for r in layer_costs(model) if _kind(r.kind) and r.name not in heads]
    fig, ax = canvas(7.6, 3.6)
    for x, row in enumerate(rows):
        side = row.output[0] if len(row.output) == 3 else 1
        kind = _kind(row.kind)
        height = np.log2(side) + 1
        ax.add_patch(Rectangle((x - 0.42, 0), 0.84, height, fc=_KINDS[kind][1], ec="white", lw=0.5))
        new = x == 0 or rows[x - 1].output != row.output
        if new:
            ax.text(x, height + 0.1, str(row.output[-1]), ha="center", va="bottom", fontsize=7, rotation=90)
        if row.name in sources:
            ax.annotate("", (x, -0.9), (x, 0), arrowprops={"arrowstyle": "-|>", "color": "black"})
    sides = [2**k for k in range(0, 9, 2)]
    ax.set_yticks([np.log2(s) + 1 for s in sides], sides)
    ax.set(xlim=(-1, len(rows)), ylim=(-1.4 if sources else 0, 11), ylabel="side of the map", xticks=[])
    ax.spines["bottom"].set_visible(False)
    for kind, (_, colour) in _KINDS.items():
        if any(_kind(r.kind) == kind for r in rows):
            ax.bar(0, 0, color=colour, label=kind)
    ax.legend(ncols=3, loc="upper right", fontsize=8)
    if sources:
        ax.text(-0.9, -1.2, "arrows: maps that answer", fontsize=8, va="center")
    return fig


def shapes(model: keras.Model) -> pd.DataFrame:
    """List the layers of a network that compute something, in order, with the shape each makes.

    Args:
        model: any functional model of this book.

    Returns:
        A table indexed by layer, with kind, side of the map (1 where there is no map left), filters (numbers at each
        place of the map: filters, channels or units) and parameters. The parameters add up to the model's.
    """
    import pandas as pd

    from mammolib.analysis.cost import layer_costs

    rows = [r for r in layer_costs(model) if r.kind not in _UNSEEN]
    columns = {
        "kind": [r.kind for r in rows],
        "side": [r.output[0] if len(r.output) == 3 else 1 for r in rows],
        "filters": [r.output[-1] for r in rows],
        "parameters": [r.parameters for r in rows],
    }
    return pd.DataFrame(columns, index=pd.Index([r.name for r in rows], name="layer"))


def layer_table(model: keras.Model) -> pd.DataFrame:
    """List the layers of a network as the paper's Figure 6 does, heads left out.

    Returns:
        A table with layer, type, filters, size, strides, map, parameters, and whether the row is that of Figure 6.
    """
    import pandas as pd

    from mammolib.results import layer_table as paper

    stated = paper()
    rows: list[list[Any]] = []
    for layer in model.layers:
        name = type(layer).__name__
        if _kind(name) not in ("convolution", "pooling") or layer.name.endswith(_HEADS):
            continue
        size = layer.kernel_size if _kind(name) == "convolution" else layer.pool_size
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
        for box in boxes[of_map == k][cell * n : (cell + 1) * n]:
            draw_box(ax, box, "#F0E442", "-", 0.9)
        draw_box(ax, truth, BRIGHT["benign"], "-", 2.2)
    return fig


def matched_boxes(image: NDArray, truth: ArrayLike) -> Figure:
    """Draw the default boxes that answer for one lesion, and the lesion's own box."""
    boxes = SSD256.size * cxcywh_to_xyxy(default_boxes())
    matched = np.flatnonzero(assign(iou(np.atleast_2d(truth), boxes)) >= 0)
    fig, ax = canvas(height=3.4)
    show_pixels(ax, image, f"{len(matched)} default boxes")
    for row in matched:
        draw_box(ax, boxes[row], "#F0E442", "-", 0.8)
    draw_box(ax, truth, BRIGHT["benign"], "-", 2.4)
    return fig


def mining_table(targets: NDArray, predictions: NDArray) -> pd.DataFrame:
    """Count, image by image, the matched boxes, the background boxes `ssd.SSDLoss` mines by image, and those left out.

    Args:
        targets: (B, boxes, 5), as `ssd.make_targets` gives them.
        predictions: (B, boxes, classes + 5), as a network gives them.
    """
    import keras
    import pandas as pd

    from mammolib.ssd import SSDLoss
    from mammolib.ssd.loss import cross_entropy

    label = targets[..., 0].astype("float32")
    hit = keras.ops.convert_to_tensor((label > 0).astype("float32"))
    logits = keras.ops.convert_to_tensor(np.moveaxis(predictions[..., :-4], -1, 0))
    entropy = cross_entropy(keras.ops.convert_to_tensor(label), logits)
    mined = keras.ops.convert_to_numpy(SSDLoss().negatives(hit, entropy)) > 0
    entropy, hit = keras.ops.convert_to_numpy(entropy), label > 0
    return pd.DataFrame(
        {
            "matched": hit.sum(axis=1),
            "background, mined": mined.sum(axis=1),
            "background, left out": (~hit & ~mined).sum(axis=1),
            "mean loss, mined": (entropy * mined).sum(axis=1) / np.maximum(mined.sum(axis=1), 1),
            "mean loss, left out": (entropy * (~hit & ~mined)).sum(axis=1) / (~hit & ~mined).sum(axis=1),
        },
        index=pd.RangeIndex(len(label), name="image"),
    ).round(3)


def detections_on(crops: Crops, found: Detections) -> Figure:
    """Draw crops with their true boxes (dashed) and the most confident detection (solid), its class and confidence.

    Args:
        crops: the images, at most 12.
        found: detections on them.
    """
    n = len(crops)
    fig = gallery(n, 2.1)
    for i, ax in enumerate(fig.axes[:n]):
        mine = np.flatnonzero(found.image == i)
        mine = mine[np.argsort(-found.confidence[mine], kind="stable")][:1]
        words = [f"{CLASSES[found.label[k] - 1]} {found.confidence[k]:.2f}" for k in mine]
        show_pixels(ax, crops.images[i], ", ".join(words) or "nothing found")
        for k in np.flatnonzero(crops.truths.image == i):
            draw_box(ax, crops.truths.box[k], "white", "--", 1.2)
        for k in mine:
            draw_box(ax, found.box[k], BRIGHT[CLASSES[found.label[k] - 1]], "-", 1.8)
    return fig


def map_gallery(crops: Crops, maps: NDArray, count: int = 6) -> Figure:
    """Draw patches under the map of where a classifier looks, with the lesion's box and the map's highest point.

    A box that reaches the border of its patch is drawn just inside of it, so that it can be seen, and so is a point.

    Args:
        crops: the patches, each with a lesion.
        maps: (N, H, W), one for each.
        count: how many to draw, spread over the patches.
    """
    from mammolib.saliency import highest_point  # Keras comes with it

    rows = np.unique(np.linspace(0, len(crops) - 1, count).astype(int))
    fig = figure(1, len(rows), width=7.6, height=1.8)
    for ax, row in zip(fig.axes, rows, strict=True):
        show_pixels(ax, crops.images[row])
        side = crops.images.shape[1]
        ax.imshow(maps[row], cmap="magma", alpha=0.45, extent=(0, side, side, 0))
        ((y, x),) = highest_point(maps[[row]])
        ax.plot(*np.clip([[x], [y]], 0.05 * side, 0.95 * side), "x", color="white", ms=7, mew=2)
        for k in np.flatnonzero(crops.truths.image == row):
            draw_box(ax, np.clip(crops.truths.box[k], 0.02 * side, 0.98 * side), "white", "-", 1.4)
    return fig


def _kind(layer_class: str) -> str:
    return next((kind for kind, (classes, _) in _KINDS.items() if layer_class in classes), "")


def _names(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers]


def _sources(model: keras.Model, heads: Sequence[str]) -> tuple[str, ...]:
    """Return the layers whose maps the heads of an SSD read, the one behind a normalisation included."""
    found = []
    for name in heads:
        stem = name.rsplit("_", 1)[0]
        found += [layer for layer in _names(model) if layer == stem or stem == f"{layer}_norm"]
    return tuple(dict.fromkeys(found))
