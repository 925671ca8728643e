"""Max pooling on JAX: the values and the gradients of Keras's own layer, ties included."""

import os
import subprocess
import sys

import numpy as np
import pytest
from keras import layers

from mammolib.ssd.pooling import pool_halves, pool_neighbours

ON_JAX = """
import jax, keras, numpy as np
from mammolib.ssd.pooling import MaxPooling2D
rng = np.random.default_rng(0)
for pool, stride, side in ((2, 2, 8), (3, 1, 8), (3, 1, 7), (2, 2, 7), (3, 2, 8)):
    for dtype in ("float32", "bfloat16"):
        x = jax.numpy.asarray(rng.integers(0, 4, (2, side, side, 3)), dtype)  # few values: many ties
        ours, theirs = (kind(pool, stride, "same", dtype=dtype) for kind in (MaxPooling2D, keras.layers.MaxPooling2D))
        weight = jax.numpy.asarray(rng.integers(-4, 5, ours(x).shape), dtype)  # whole: sums are exact in any order
        for layer in (ours, theirs):
            layer.answer = layer(x), jax.grad(lambda x: (layer(x) * weight).sum())(x)
        for a, b in zip(ours.answer, theirs.answer):
            assert np.array_equal(np.asarray(a, "float32"), np.asarray(b, "float32")), (pool, stride, side, dtype)
compiled = jax.jit(jax.grad(lambda x: MaxPooling2D(2)(x).sum())).lower(np.ones((1, 8, 8, 3), "float32")).as_text()
assert "select_and_scatter" not in compiled
"""


def test_values_are_those_of_keras():
    x = np.random.default_rng(0).integers(0, 5, (2, 8, 8, 3)).astype("float32")
    assert np.array_equal(pool_halves(x), layers.MaxPooling2D(2)(x))
    assert np.array_equal(pool_neighbours(x), layers.MaxPooling2D(3, 1, "same")(x))
    x[0, 3, 3] = np.nan
    assert np.isnan(pool_halves(x)[0, 1, 1]).all() and np.isnan(pool_neighbours(x)[0, 2:5, 2:5]).all()


@pytest.mark.slow
def test_gradients_on_jax_are_those_of_keras_without_a_scatter():
    pytest.importorskip("jax")
    env = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", ON_JAX], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
