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

from mammolib.ssd.boxes import SSD256, SSD300, SSD512, Layout
from mammolib.ssd.pooling import MaxPooling2D, Tensor

VGG_MEAN = (103.939, 116.779, 123.68)
"""Mean blue, green and red of ImageNet: what the VGG weights expect to be subtracted, in their order of channels."""

BACKBONE = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Filters of VGG16's five blocks of 3 x 3 convolutions."""

# Extra layers: name, filters, kernel, stride, zero padding (Figure 6; Liu et al. 2016, Figure 2 and section 3.3)
_TO_8_AND_4 = (
    ("conv6_1", 256, 1, 1, 0),
    ("conv6_2", 512, 3, 2, 1),
    ("conv7_1", 128, 1, 1, 0),
    ("conv7_2", 256, 3, 2, 1),
)
EXTRAS = {
    256: (*_TO_8_AND_4, ("conv8_1", 128, 1, 1, 0), ("conv8_2", 256, 3, 1, 0), ("conv9_1", 128, 1, 1, 0),
          ("conv9_2", 256, 2, 1, 0)),
    300: (*_TO_8_AND_4, ("conv8_1", 128, 1, 1, 0), ("conv8_2", 256, 3, 1, 0), ("conv9_1", 128, 1, 1, 0),
          ("conv9_2", 256, 3, 1, 0)),
    512: (*_TO_8_AND_4, ("conv8_1", 128, 1, 1, 0), ("conv8_2", 256, 3, 2, 1), ("conv9_1", 128, 1, 1, 0),
          ("conv9_2", 256, 3, 2, 1), ("conv10_1", 128, 1, 1, 0), ("conv10_2", 256, 4, 1, 1)),
}  # fmt: skip


@keras.saving.register_keras_serializable(package="mammolib")
class CentreInput(layers.Layer):
    """Subtract the mean and divide: (x - mean) / divide_by, in float32, whatever the input's type.

    A greyscale input becomes three channels, which is how films enter a network made for photographs.

    Args:
        mean: one number for each of three channels, in grey levels of 0 to 255.
        divide_by: what the difference is divided by; 1 is VGG's own convention.
    """

    def __init__(self, mean: Sequence[float] = VGG_MEAN, divide_by: float = 1.0, **options: Any) -> None:
        super().__init__(autocast=False, **options)
        if not divide_by > 0:
            raise ValueError(f"divide_by: must be positive, got {divide_by}")
        self.mean, self.divide_by = tuple(float(m) for m in mean), float(divide_by)

    def call(self, x: Tensor) -> Tensor:
        x = (ops.cast(x, "float32") - ops.convert_to_tensor(self.mean, "float32")) * (1 / self.divide_by)
        return ops.cast(x, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], len(self.mean))

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

    conv4_3 holds far larger numbers than the deeper maps; this puts them on one footing.

    Args:
        scale: the factor every channel begins with.
    """

    def __init__(self, scale: float = 20.0, **options: Any) -> None:
        super().__init__(**options)
        self.scale = float(scale)

    def build(self, input_shape: tuple[int, ...]) -> None:
        self.gamma = self.add_weight(
            name="gamma", shape=(input_shape[-1],), initializer=keras.initializers.Constant(self.scale)
        )

    def call(self, x: Tensor) -> Tensor:
        square = ops.sum(ops.square(ops.cast(x, "float32")), axis=-1, keepdims=True)
        return x * ops.cast(ops.rsqrt(ops.maximum(square, 1e-12)), x.dtype) * self.gamma

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

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
        deviation = math.sqrt(self.scale / inputs) / 0.87962566103423978  # see `_Convolutions`
        drawn = keras.random.truncated_normal((length,), stddev=deviation, dtype=dtype, seed=self.seed)
        return np.asarray(drawn)[:n].reshape(shape)


def ssd256(classes: int = 2, separable: bool = False, width: float = 1.0, **options: Any) -> keras.Model:
    """Return the paper's network (Figures 5 and 6) for 256 x 256 greyscale images.

    With the defaults it has 23,715,730 parameters, with `separable=True` 4,820,525 (Table 2): the paper's, exactly.

    Args:
        classes: how many kinds of object, background not counted.
        separable: make every convolution of the backbone and the extra layers a SeparableConv2D, those of one by one
            included; the twelve heads stay Conv2D.
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


def ssd512(classes: int = 20, separable: bool = False, width: float = 1.0, **options: Any) -> keras.Model:
    """Return the SSD512 of Liu et al. for 512 x 512 colour images, with 24564 default boxes; see `ssd300`."""
    return build(SSD512, classes, separable, width, **{"channels": 3, "name": "ssd512", **options})


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
    ):
        if not good:
            raise ValueError(f"{argument}: must be {what}, got {value}")
    if channels not in (1, 3):
        raise ValueError(f"channels: must be 1 or 3, got {channels}")
    if layout.size not in EXTRAS:
        raise ValueError(f"layout: there is no SSD of size {layout.size}; there are {sorted(EXTRAS)}")
    conv = _Convolutions(separable, width, l2, regularise_separable)
    inputs = keras.Input((layout.size, layout.size, channels), name="image")
    x = CentreInput(mean, divide_by, name="centre")(inputs)
    sources = {}
    for block, widths in enumerate(BACKBONE, start=1):
        for i, filters in enumerate(widths, start=1):
            x = conv(x, f"conv{block}_{i}", filters, 3)
        if block == 4:
            sources["conv4_3_norm"] = L2Normalise(name="conv4_3_norm")(x)
        pool, stride = (2, 2) if block < 5 else (3, 1)
        x = MaxPooling2D(pool, stride, "same", data_format="channels_last", name=f"pool{block}")(x)
    x = conv(x, "fc6", 1024, 3, dilation=6)
    x = sources["fc7"] = conv(x, "fc7", 1024, 1)
    for layer, filters, kernel, stride, padding in EXTRAS[layout.size]:
        if padding:
            x = layers.ZeroPadding2D(padding, data_format="channels_last", name=f"{layer}_padding")(x)
        x = conv(x, layer, filters, kernel, stride, padding="valid")
        if layer.endswith("_2"):
            sources[layer] = x
    heads: dict[str, list[Tensor]] = {"logits": [], "offsets": []}
    for (source, x), cells, per_cell in zip(sources.items(), layout.maps, layout.per_cell, strict=True):
        for part, kind, n in (("logits", "conf", classes + 1), ("offsets", "loc", 4)):
            head = conv.head(x, f"{source}_{kind}", per_cell * n)
            heads[part].append(layers.Reshape((cells * cells * per_cell, n), name=f"{source}_{kind}_boxes")(head))
    parts = [layers.Concatenate(axis=1, name=part)(of_maps) for part, of_maps in heads.items()]
    outputs = layers.Concatenate(axis=-1, dtype="float32", name="predictions")(parts)  # the loss works in float32
    return keras.Model(inputs, outputs, name=name)


class _Convolutions:
    """Makes the convolutions of one network: plain or separable, wide or narrow, with or without weight decay."""

    def __init__(self, separable: bool, width: float, l2: float, regularise_separable: bool) -> None:
        self.separable, self.width, self.l2, self.explicit = separable, width, l2, regularise_separable

    def __call__(
        self, x: Tensor, name: str, filters: int, kernel: int, stride: int = 1, padding: str = "same", dilation: int = 1
    ) -> Tensor:
        shared = {
            "filters": max(1, round(filters * self.width)),
            "kernel_size": kernel,
            "strides": stride,
            "padding": padding,
            "dilation_rate": dilation,
            "activation": "relu",
            "data_format": "channels_last",
            "name": name,
        }
        if not self.separable:
            return layers.Conv2D(**shared, **self._plain())(x)
        factors = {}
        if self.explicit:
            # The depthwise factor has kernel x kernel inputs and no ReLU behind it: variance 1 / inputs keeps the size
            # of its output. 0.8796 is the standard deviation of a unit normal cut off at two of its own, as He's is.
            factors = {
                "depthwise_initializer": keras.initializers.TruncatedNormal(stddev=1 / kernel / 0.87962566103423978),
                "pointwise_initializer": HeNormal,
                "depthwise_regularizer": self._decay(),
                "pointwise_regularizer": self._decay(),
            }
        return layers.SeparableConv2D(**shared, **factors)(x)

    def head(self, x: Tensor, name: str, filters: int) -> Tensor:
        return layers.Conv2D(filters, 3, padding="same", data_format="channels_last", name=name, **self._plain())(x)

    def _plain(self) -> dict[str, Any]:
        return {"kernel_initializer": HeNormal, "kernel_regularizer": self._decay()}

    def _decay(self) -> keras.regularizers.Regularizer | None:
        return keras.regularizers.L2(self.l2) if self.l2 else None


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


def load_imagenet(model: keras.Model, source: keras.Model | str | None = None) -> list[str]:
    """Copy VGG16's thirteen convolutions, trained on ImageNet, into a model of this file at width 1.

    Args:
        model: plain, not separable; its other layers are left as they are.
        source: a Keras VGG16, or the file `vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5`; default: what
            `keras.applications` fetches.

    Returns:
        The names of the layers filled.

    Raises:
        OSError: the weights cannot be fetched or read.
        ValueError: a layer does not fit; names it. Then no layer has been changed.
    """
    network = source if isinstance(source, keras.Model) else _fetch_vgg16(source)
    names = {f"conv{b}_{i}": f"block{b}_conv{i}" for b, n in enumerate(BACKBONE, 1) for i in range(1, len(n) + 1)}
    weights = {name: network.get_layer(theirs).get_weights() for name, theirs in names.items()}
    for name, arrays in weights.items():
        have, need = [w.shape for w in arrays], [tuple(w.shape) for w in model.get_layer(name).weights]
        if have != need:
            raise ValueError(
                f"load_imagenet: layer {name} has weights of shapes {need}, VGG16's {names[name]} has {have}"
            )
    for name, arrays in weights.items():
        model.get_layer(name).set_weights(arrays)
    return list(weights)


def _fetch_vgg16(file: str | None) -> keras.Model:
    try:
        return keras.applications.VGG16(include_top=False, weights=file or "imagenet", input_shape=(224, 224, 3))
    except Exception as err:  # Keras raises bare Exceptions here, and h5py and urllib their own
        reason = " ".join(str(err).split())[:200]
        raise OSError(f"ImageNet weights: cannot be had from {file or 'keras.applications'}: {reason}") from None
