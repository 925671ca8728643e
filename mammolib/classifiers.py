"""The paper's two classifiers of 128 x 128 patches (section 3.1, Figures 3 and 4), as Keras models.

Both take grey levels from 0 to 255 and scale them themselves; both end in a softmax that stays in single precision. The
paper prints the table of neither, so what had to be chosen is said where it is chosen.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers

VGG16_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Filters of VGG16's 13 convolutions (Simonyan and Zisserman 2014, table 1, column D)."""

CNNI_BCC_BLOCKS = ((64,) * 4, (128,) * 4, (256,) * 6, (512,) * 7, (512,) * 7)
"""Filters of CNNI-BCC's 28 convolutions in our reading, see `cnni_bcc`."""

PAPER_LAYERS = 4
"""The paper trained "only the first 4 convolutional layers and the fully connected layer" (section 4.1)."""


def vgg16(classes: int = 2, width: float = 1.0, input_shape: Sequence[int] = (128, 128, 1)) -> keras.Model:
    """Return VGG16 for greyscale patches: five blocks of convolutions, each closed by a maximum, then dense layers.

    "Two fully-connected layer are concatenated with the convolutional blocks for classification", and the network has
    16 layers (section 3.1). Thirteen convolutions, two layers of 4096 and the layer that answers make 16, so that is
    the reading. Filters are the standard ones. The original drops half of the dense units while training; the paper
    does not say so, and neither does this. Grey levels become x / 64 - 2, which spreads mini-MIAS's patches about 0:
    scaled to 0 to 1, the network at width 1/8 stayed at chance for ten epochs with Adam as with SGD.

    Args:
        classes: 2 (normal, abnormal) or 3 (normal, benign, malignant).
        width: factor on filters and units, for small machines.
        input_shape: (rows, columns, channels); rows and columns are halved five times.

    Returns:
        A model from (B, rows, columns, channels) grey levels to (B, classes) shares that add up to 1.

    Example:
        >>> vgg16().count_params()
        65061570
    """
    if min(input_shape[:2]) < 32:
        raise ValueError(f"input_shape: VGG16 halves an image five times; {tuple(input_shape)} is too small")
    he = {"activation": "relu", "kernel_initializer": "he_normal"}
    inputs = keras.Input(tuple(input_shape), name="grey_levels")
    x = layers.Rescaling(1 / 64, -2, name="scale")(inputs)
    for b, filters in enumerate(VGG16_BLOCKS, start=1):
        for c, n in enumerate(filters, start=1):
            x = layers.Conv2D(_wide(n, width), 3, padding="same", name=f"block{b}_conv{c}", **he)(x)
        x = layers.MaxPooling2D(2, name=f"block{b}_pool")(x)
    x = layers.Flatten(name="flatten")(x)
    for name in ("fc1", "fc2"):
        x = layers.Dense(_wide(4096, width), name=name, **he)(x)
    return _answering(inputs, x, classes, "vgg16")


def cnni_bcc(
    classes: int = 3, layers_used: str = "full", width: float = 1.0, input_shape: Sequence[int] = (128, 128, 1)
) -> keras.Model:
    """Return CNNI-BCC: depthwise separable convolutions, one average pooling, one dense layer.

    Known (section 3.1): 30 layers, namely 28 convolutions, 1 average pooling, 1 dense; it is "modified based on VGG16";
    every convolution is depthwise separable. Not known: filters and strides. Our reading:

    - A separable convolution, depthwise and pointwise together, counts as one convolution, as the paper speaks of
      "the replacement of Conv2D layer with depthwise convolutional layer". (Counted as two, 14 of them would make 28.)
    - VGG16's five blocks with its filters 64, 128, 256, 512, 512; the 28 convolutions lie on them in about VGG16's
      proportions 2 : 2 : 3 : 3 : 3, as 4, 4, 6, 7, 7.
    - There is one pooling layer, so VGG16's five halvings are done by strides: the first convolution of each block.
    - The average is taken over the whole map, so the dense layer sees one number a filter.
    - Grey levels are scaled to 0 to 1, and initial weights are Keras's default: a paper that names neither will have
      had what was usual.

    Args:
        classes, width, input_shape, and what is returned: as of `vgg16`.
        layers_used: "full", or "paper": the first four convolutions, the pooling and the dense layer, which the paper
            calls 6-layer CNNI-BCC (Figure 7).

    Example:
        >>> cnni_bcc().count_params(), cnni_bcc(layers_used="paper").count_params()
        (4060748, 14540)
    """
    if layers_used not in ("full", "paper"):
        raise ValueError(f"layers_used: must be 'full' or 'paper', got {layers_used!r}")
    inputs = keras.Input(tuple(input_shape), name="grey_levels")
    x = layers.Rescaling(1 / 255, name="scale")(inputs)
    for b, filters in enumerate(CNNI_BCC_BLOCKS[: 1 if layers_used == "paper" else None], start=1):
        for c, n in enumerate(filters, start=1):
            shape = (_wide(n, width), 3, 2 if c == 1 else 1, "same")  # filters, kernel, stride, padding
            x = layers.SeparableConv2D(*shape, activation="relu", name=f"block{b}_conv{c}")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    return _answering(inputs, x, classes, f"cnni_bcc_{layers_used}")


def counts(model: keras.Model) -> dict[str, int]:
    """Count what a classifier consists of, as the paper counts it.

    Returns:
        layers (poolings count in CNNI-BCC's 30 and not in VGG16's 16), convolutions, poolings, dense, parameters,
        input_side, input_channels, blocks, and convolutions_early and convolutions_late: of the first and last block.
    """
    kinds = [type(layer).__name__ for layer in model.layers]
    block = [x.name.split("_")[0] for x, kind in zip(model.layers, kinds, strict=True) if "Conv2D" in kind]
    poolings, dense = sum("Pooling" in kind for kind in kinds), kinds.count("Dense")
    return {
        "layers": len(block) + dense + (poolings if model.name.startswith("cnni") else 0),
        "convolutions": len(block), "poolings": poolings, "dense": dense, "parameters": model.count_params(),
        "input_side": int(model.inputs[0].shape[1]), "input_channels": int(model.inputs[0].shape[-1]),
        "blocks": len(set(block)), "convolutions_early": block.count(block[0]),
        "convolutions_late": block.count(block[-1]),
    }  # fmt: skip


def _answering(inputs: keras.KerasTensor, x: keras.KerasTensor, classes: int, name: str) -> keras.Model:
    """Close a network by the layer that answers and a softmax."""
    if classes < 2:
        raise ValueError(f"classes: at least 2 are needed, got {classes}")
    x = layers.Dense(classes, name="predictions")(x)
    return keras.Model(inputs, layers.Activation("softmax", dtype="float32", name="softmax")(x), name=name)


def _wide(n: int, width: float) -> int:
    if not width > 0:
        raise ValueError(f"width: must be positive, got {width}")
    return max(1, round(n * width))
