"""A network and a data set small enough to train in a test."""

import hashlib
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers

from mammolib import training
from mammolib.training import Execution, Samples, Settings

QUIET = Execution(progress=False)


def samples(n: int = 40, seed: int = 0, classes: int = 2) -> Samples:
    """Images of 8 x 8 whose brightness is their class."""
    rng = np.random.default_rng(seed)
    label = rng.permutation(np.arange(n) % classes)
    images = rng.integers(0, 80, (n, 8, 8)) + 80 * label[:, None, None]
    return Samples(images.astype(np.uint8), np.eye(classes, dtype=np.float32)[label])


def network(units: int = 2, dropout: float = 0.2, l2: float = 1e-3) -> keras.Model:
    """A convolution with L2, dropout, and a dense layer: something of everything a checkpoint has to keep."""
    inputs = keras.Input((8, 8, 1))
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Conv2D(3, 3, activation="relu", kernel_regularizer=keras.regularizers.L2(l2), name="first")(x)
    x = layers.Dropout(dropout)(layers.Flatten()(x))
    x = layers.Dense(units, activation="softmax", dtype="float32", name="last")(x)
    return keras.Model(inputs, x)


def train(settings: Settings | None = None, data: Samples | None = None, **options: object) -> training.Run:
    """Train the tiny network with Adam for two epochs of three batches, unless told otherwise."""
    settings = settings or Settings(epochs=2, batch=16, optimizer="adam")
    given = {"loss": "categorical_crossentropy", "execution": QUIET, "validation": samples(10, seed=1)} | options
    build = given.pop("build", network)
    return training.train(build, data or samples(), given.pop("validation"), settings=settings, **given)


def weights_digest(model: keras.Model) -> str:
    """SHA-256 over a model's weights, in order; equal weights give equal digests."""
    return hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest()
