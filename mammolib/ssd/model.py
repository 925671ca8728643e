"""SSD256, SSD300 and SSD512 as Keras models, built from the same parts.

Figure 6 of the paper is the backbone and the extra layers of `ssd256`; two small convolutions on each of six maps, the
heads, predict the classes and the offsets of every default box. A model returns raw logits and offsets in one tensor;
the softmax is taken in the loss and in `ssd.decode`, where it can be taken without losing precision.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from mammolib.geometry import Detections
from mammolib.ssd.boxes import SSD256, SSD300, SSD512, Layout
from mammolib.ssd.decode import decode_predictions
from mammolib.ssd.pooling import MaxPooling2D, Tensor

VGG_MEAN = (103.939, 116.779, 123.68)
"""Mean blue, green and red of ImageNet: what the VGG weights expect to be subtracted, in their order of channels."""

BACKBONE = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Filters of VGG16's five blocks of 3 x 3 convolutions."""

EXTRAS = {
    256: ((512, 3, 2, 1), (256, 3, 2, 1), (256, 3, 1, 0), (256, 2, 1, 0)),
    300: ((512, 3, 2, 1), (256, 3, 2, 1), (256, 3, 1, 0), (256, 3, 1, 0)),
    512: ((512, 3, 2, 1), (256, 3, 2, 1), (256, 3, 2, 1), (256, 3, 2, 1), (256, 4, 1, 1)),
}
"""Filters, kernel, stride and zero padding of conv6_2, conv7_2 and so on; before each stands a 1 x 1 convolution with
half the filters (Figure 6; Liu et al. 2016, Figure 2 and section 3.3)."""

CUT_NORMAL = 0.87962566103423978
"""Standard deviation of a unit normal cut off at two of its own, which is what Keras's initializers draw from."""


@keras.saving.register_keras_serializable(package="mammolib")
class CentreInput(layers.Layer):
    """Subtract the mean and divide: (x - mean) / divide_by, in float32, whatever the input's type.

    A greyscale input becomes three channels, which is how films enter a network made for photographs.

    `mean` is in grey levels of 0 to 255, one for each channel; a `divide_by` of 1 is VGG's own convention.
    """

    def __init__(self, mean: Sequence[float] = VGG_MEAN, divide_by: float = 1.0, **options: Any) -> None:
        super().__init__(autocast=False, **options)
        if not divide_by > 0:
            raise ValueError(f"divide_by: must be positive, got {divide_by}")
        self.mean, self.divide_by = tuple(float(m) for m in mean), float(divide_by)

    def call(self, x: Tensor) -> Tensor:
        x = (ops.cast(x, "float32") - ops.convert_to_tensor(self.mean, "float32")) * (1 / self.divide_by)
        return ops.cast(x, self.compute_dtype)

    def get_config(self) -> dict:
        return super().get_config() | {"mean": self.mean, "divide_by": self.divide_by}

    def save_own_variables(self, store: Any) -> None:
        """Write the constants beside the weights: weights that learnt on one scale fail silently on another."""
        store["mean"], store["divide_by"] = np.array(self.mean), np.array(self.divide_by)

    def load_own_variables(self, store: Any) -> None:
        """Compare the constants that came with the weights, if any did."""
        if "divide_by" in store:
            theirs = (*np.asarray(store["mean"]).tolist(), float(np.asarray(store["divide_by"])))
            if theirs != (*self.mean, self.divide_by):
                raise ValueError(
                    f"layer {self.name}: the weights learnt with mean {theirs[:-1]} and divide_by {theirs[-1]:g}, "
                    f"this network has {self.mean} and {self.divide_by:g}"
                )


@keras.saving.register_keras_serializable(package="mammolib")
class L2Normalise(layers.Layer):
    """Scale the channels of every cell to length one, then each channel by a learned factor (Liu et al., section 3.1).

    conv4_3 holds far larger numbers than the deeper maps; this puts them on one footing. All factors begin as `scale`.
    """

    def __init__(self, scale: float = 20.0, **options: Any) -> None:
        super().__init__(**options)
        self.scale = float(scale)

    def build(self, input_shape: tuple[int, ...]) -> None:
        start = keras.initializers.Constant(self.scale)
        self.gamma = self.add_weight(name="gamma", shape=(input_shape[-1],), initializer=start)

    def call(self, x: Tensor) -> Tensor:
        square = ops.sum(ops.square(ops.cast(x, "float32")), axis=-1, keepdims=True)
        return x * ops.cast(ops.rsqrt(ops.maximum(square, 1e-12)), x.dtype) * self.gamma

    def get_config(self) -> dict:
        return super().get_config() | {"scale": self.scale}


@keras.saving.register_keras_serializable(package="mammolib")
class HeNormal(keras.initializers.HeNormal):
    """He initialisation (He et al. 2015, section 2.2); on JAX, a few programs draw the kernels of all shapes.

    JAX compiles a program for each shape that it draws. For the two dozen shapes of an SSD that takes far longer than
    drawing. Number i of a draw depends on the seed and on i alone, so the kernels here are cut from draws of a few
    lengths, and their numbers are those of Keras's own initializer.
    """

    def __call__(self, shape: tuple[int, ...], dtype: str | None = None) -> Tensor:
        if keras.backend.backend() != "jax":
            return super().__call__(shape, dtype)
        n, inputs = math.prod(shape), math.prod(shape[:-1])
        length = 1 << -(-n.bit_length() // 4) * 4  # 4,096, 65,536, 1,048,576 or 16,777,216
        deviation = math.sqrt(self.scale / inputs) / CUT_NORMAL
        drawn = keras.random.truncated_normal((length,), stddev=deviation, dtype=dtype, seed=self.seed)
        return np.asarray(drawn)[:n].reshape(shape)


def ssd256(classes: int = 2, separable: bool = False, width: float = 1.0, **options: Any) -> keras.Model:
    """Return the paper's network (Figures 5 and 6) for 256 x 256 greyscale images.

    With the defaults it has 23,715,730 parameters, with `separable=True` 4,820,525 (Table 2): the paper's, exactly.

    Args:
        classes: how many kinds of object, background not counted.
        separable: make every convolution of the backbone and the extra layers a SeparableConv2D, 1 x 1 ones included;
            the twelve heads stay Conv2D.
        width: factor on the number of filters, for small machines.
        **options: passed to `build`.

    Returns:
        A model from (B, 256, 256, 1) grey levels 0 to 255 to (B, 6132, classes + 1 + 4): the logits of background and
        of each class, then the four offsets, for every default box.

    Example:
        >>> ssd256().count_params()
        23715730
    """
    return build(SSD256, classes, separable, width, **{"channels": 1, "name": "ssd256", **options})


def ssd300(classes: int = 20, separable: bool = False, width: float = 1.0, **options: Any) -> keras.Model:
    """Return the SSD300 of Liu et al. for 300 x 300 colour images: 26,285,486 parameters with 20 classes.

    Colours are expected in VGG's order: blue, green, red. Otherwise as `ssd256`, with 8732 default boxes.
    """
    return build(SSD300, classes, separable, width, **{"channels": 3, "name": "ssd300", **options})


def build(
    layout: Layout,
    classes: int,
    separable: bool = False,
    width: float = 1.0,
    *,
    channels: int = 1,
    l2: float = 5e-4,
    regularise_separable: bool = True,
    mean: Sequence[float] = VGG_MEAN,
    divide_by: float = 1.0,
    name: str = "ssd",
) -> keras.Model:
    """Return the SSD of a layout of default boxes: SSD256, SSD300 or SSD512.

    Args:
        layout: which; its size chooses the extra layers.
        classes, separable, width: as in `ssd256`.
        channels: of the input: 1 for greyscale, made three inside the model, or 3.
        l2: weight decay of every convolution, heads included, not of biases or of the scale of conv4_3; 0 for none.
        regularise_separable: give both factors of a separable convolution the weight decay and a He-normal start that
            counts each factor's own inputs. False leaves both to Keras, as its version 2.2.4 did without a word
            whatever it was passed: no weight decay, and a Glorot-uniform start that takes a depthwise kernel for a
            full one, so that signals shrink from layer to layer.
        mean, divide_by: what the input is centred and divided by; see `CentreInput`.
        name: of the model.

    Raises:
        ValueError: a number that cannot be; names the argument.
    """
    for argument, value, good, what in (
        ("classes", classes, classes >= 1, "at least 1"),
        ("width", width, width > 0, "positive"),
        ("l2", l2, l2 >= 0, "at least 0"),
        ("channels", channels, channels in (1, 3), "1 or 3"),
        ("layout", layout.size, layout.size in EXTRAS, f"of a size of {sorted(EXTRAS)}"),
    ):
        if not good:
            raise ValueError(f"{argument}: must be {what}, got {value}")
    decay = keras.regularizers.L2(l2) if l2 else None
    last = {"data_format": "channels_last"}  # whatever the user's keras.json says
    plain = {"kernel_initializer": HeNormal, "kernel_regularizer": decay} | last

    def factors(kernel: int) -> dict[str, Any]:
        # The depthwise factor has kernel x kernel inputs and no ReLU behind it: variance 1 / inputs keeps the size of
        # its output.
        start = keras.initializers.TruncatedNormal(stddev=1 / kernel / CUT_NORMAL)
        depthwise = {"depthwise_initializer": start, "depthwise_regularizer": decay}
        return depthwise | {"pointwise_initializer": HeNormal, "pointwise_regularizer": decay}

    def convolve(
        x: Tensor, name: str, filters: int, kernel: int, stride: int = 1, padding: str = "same", dilation: int = 1
    ) -> Tensor:
        kind, own = layers.Conv2D, plain
        if separable:
            kind, own = layers.SeparableConv2D, last | (factors(kernel) if regularise_separable else {})
        n = max(1, round(filters * width))
        return kind(n, kernel, stride, padding, dilation_rate=dilation, activation="relu", name=name, **own)(x)

    inputs = keras.Input((layout.size, layout.size, channels), name="image")
    x = CentreInput(mean, divide_by, name="centre")(inputs)
    sources = {}
    for block, widths in enumerate(BACKBONE, start=1):
        for i, filters in enumerate(widths, start=1):
            x = convolve(x, f"conv{block}_{i}", filters, 3)
        if block == 4:
            sources["conv4_3_norm"] = L2Normalise(name="conv4_3_norm")(x)
        pool, stride = (2, 2) if block < 5 else (3, 1)
        x = MaxPooling2D(pool, stride, "same", name=f"pool{block}", **last)(x)
    x = convolve(x, "fc6", 1024, 3, dilation=6)
    x = sources["fc7"] = convolve(x, "fc7", 1024, 1)
    for block, (filters, kernel, stride, padding) in enumerate(EXTRAS[layout.size], start=6):
        x = convolve(x, f"conv{block}_1", filters // 2, 1, padding="valid")
        if padding:
            x = layers.ZeroPadding2D(padding, name=f"conv{block}_2_padding", **last)(x)
        x = sources[f"conv{block}_2"] = convolve(x, f"conv{block}_2", filters, kernel, stride, padding="valid")
    heads: dict[str, list[Tensor]] = {"logits": [], "offsets": []}
    for (source, x), cells, per_cell in zip(sources.items(), layout.maps, layout.per_cell, strict=True):
        for part, kind, n in (("logits", "conf", classes + 1), ("offsets", "loc", 4)):
            head = layers.Conv2D(per_cell * n, 3, padding="same", name=f"{source}_{kind}", **plain)(x)
            heads[part].append(layers.Reshape((cells * cells * per_cell, n), name=f"{source}_{kind}_boxes")(head))
    parts = [layers.Concatenate(axis=1, name=part)(of_maps) for part, of_maps in heads.items()]
    outputs = layers.Concatenate(axis=-1, dtype="float32", name="predictions")(parts)  # the loss works in float32
    return keras.Model(inputs, outputs, name=name)


def layout_of(model: keras.Model) -> Layout:
    """Return the default boxes that belong to a model of this file.

    Raises:
        ValueError: the model's input and output are not those of an SSD.
    """
    shape, out = model.input_shape, model.output_shape
    for layout in (SSD256, SSD300, SSD512):
        same = isinstance(shape, tuple) and shape[1:3] == (layout.size, layout.size)
        if same and len(out) == 3 and out[1] == layout.n_boxes and out[2] > 5:
            return layout
    raise ValueError(f"model: {model.name!r} maps {shape} to {out}, which is none of SSD256, SSD300 and SSD512")


def predict(model: keras.Model, images: NDArray, batch: int = 32, **options: Any) -> Detections:
    """Return a network's detections on images of its own size.

    Args:
        model: of this file.
        images: (N, S, S) grey levels 0 to 255, S the side of the model's input.
        batch: images at once. The last batch is filled up to a whole one, or to a power of two if it is the only one:
            each size is compiled anew.
        **options: of `decode_predictions`: confidence, iou, top, top_before.
    """
    layout, images = layout_of(model), np.asarray(images)
    if images.ndim != 3 or images.shape[1:] != (layout.size, layout.size):
        raise ValueError(
            f"images: expected (N, {layout.size}, {layout.size}) grey levels for {model.name!r}, got {images.shape}"
        )
    if batch < 1:
        raise ValueError(f"batch: must be at least 1, got {batch}")
    parts, size = [], min(batch, 1 << max(len(images) - 1, 0).bit_length())
    for first in range(0, len(images), batch):
        shown = images[first : first + batch]
        filled = np.zeros((size, *shown.shape[1:], model.input_shape[-1]), np.float32)
        filled[: len(shown)] = shown[..., None]
        out = np.asarray(model.predict_on_batch(filled))[: len(shown)]
        part = decode_predictions(out, layout.size, layout, **options)
        parts.append((part.image + first, part.label, part.confidence, part.box))
    return Detections(*(np.concatenate(v) for v in zip(*parts, strict=True))) if parts else Detections()


def load_imagenet(model: keras.Model) -> None:
    """Copy VGG16's thirteen convolutions, trained on ImageNet, into a plain model of this file at width 1.

    Raises:
        OSError: `keras.applications` cannot fetch or read the weights.
        ValueError: a layer does not fit; names it. Then no layer has been changed.
    """
    try:
        vgg16 = keras.applications.VGG16(include_top=False, input_shape=(224, 224, 3))
    except Exception as err:  # Keras raises bare Exceptions here, and h5py and urllib their own
        raise OSError(f"ImageNet weights: cannot be had: {' '.join(str(err).split())[:200]}") from None
    names = {f"conv{b}_{i}": f"block{b}_conv{i}" for b, n in enumerate(BACKBONE, 1) for i in range(1, len(n) + 1)}
    pairs = [(model.get_layer(ours), vgg16.get_layer(theirs)) for ours, theirs in names.items()]
    for ours, theirs in pairs:
        have, need = [tuple(w.shape) for w in theirs.weights], [tuple(w.shape) for w in ours.weights]
        if have != need:
            raise ValueError(f"load_imagenet: layer {ours.name} has weights of shapes {need}, VGG16's has {have}")
    for ours, theirs in pairs:
        ours.set_weights(theirs.get_weights())
