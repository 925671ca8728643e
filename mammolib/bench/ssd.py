"""How fast the detector is: targets, decoding, training and inference, and what share of the machine that is.

The share is the network's operations a second over those of a large matrix product measured in the same process, in
the same number type. On a GPU and on a processor with bfloat16 matrix units the networks compute in bfloat16; on a GPU,
torchvision's SSD300 runs beside them.
"""

from __future__ import annotations

import functools
import importlib.util
from typing import Any

import numpy as np

from mammolib.analysis.roofline import matrix_rate
from mammolib.bench import Benchmark, best_seconds, in_a_process
from mammolib.geometry import Truths, circle_to_box
from mammolib.results.machine import matrix_units
from mammolib.ssd import decode_predictions, default_boxes, make_targets


def lesions(images: int) -> Truths:
    """Return one lesion an image, of the sizes that lesions have, anywhere on it."""
    rng = np.random.default_rng(0)
    radius = np.exp(rng.uniform(np.log(5), np.log(120), images))
    row, column = rng.uniform(40, 216, (2, images))
    box = circle_to_box(row, column, radius)
    return Truths(np.arange(images), rng.integers(1, 3, images), box, images)


def like_a_trained_network(images: int) -> np.ndarray:
    """Return (images, 6132, 7) drawn at random like a trained network's output: sure of the background, 40 boxes not.

    A network that is trained here for a moment would be no better stand-in: it is not yet sure of the background, and
    thousands of its boxes pass the threshold, a case between this one and `_worst`.
    """
    rng = np.random.default_rng(0)
    out = rng.normal(0, 0.7, (images, len(default_boxes()), 7)).astype(np.float32)
    out[..., 0] += 9
    for image in out:
        rows = rng.choice(len(image), 40, replace=False)
        image[rows, 1:3] += rng.uniform(4, 14, (40, 2))
    return out


def _targets(_: str | None) -> str:
    truths = lesions(100)
    make_targets(truths)
    return f"{best_seconds(lambda: make_targets(truths), 7) * 1e3:.1f} ms"


def _decode(out: np.ndarray) -> str:
    seconds = best_seconds(lambda: decode_predictions(out), 5)
    return f"{seconds * 1e3:.0f} ms ({len(decode_predictions(out))} detections)"


def _worst(_: str | None) -> str:
    rng = np.random.default_rng(0)
    out = rng.normal(size=(32, len(default_boxes()), 7)).astype(np.float32)  # every class of every box above 0.01
    return _decode(out)


def measure(width: float) -> dict[str, Any]:
    """Train and apply SSD256 of a width in this process; images a second, and their share of `matrix_rate`."""
    import keras

    from mammolib import training
    from mammolib.analysis.cost import count_flops
    from mammolib.ssd import SSDLoss, ssd256
    from mammolib.training.feed import Fed, epoch_plan

    gpu = training.device_kind() != "cpu"
    batch, steps = (100, 10) if gpu else (8, 2)
    half = gpu or "AMX" in matrix_units()
    precision = "mixed_bfloat16" if half else "float32"
    rate = matrix_rate("bfloat16" if half else "float32", *((8192, 20) if gpu else ()))
    images = np.random.default_rng(0).integers(0, 256, (batch, 256, 256)).astype(np.uint8)
    keras.config.set_dtype_policy(precision)
    network = ssd256(width=width, divide_by=64)
    samples = training.Samples(images, make_targets(lesions(batch), dtype=np.float16))
    settings = training.Settings(1, batch, steps, options={"momentum": 0.9}, precision=precision)
    fed = Fed(network, SSDLoss().named, {}, steps, [samples])
    jit = training.Execution().use_jit()
    fed.compile(settings.make_optimizer(steps), jit_compile=jit)
    plan = epoch_plan(batch, 0, 0, batch * steps)

    def train() -> None:
        fed.show(plan, batch, watch=keras.callbacks.Callback())
        fed.read()

    shown = images[..., None].astype(np.float32)
    network.compile(jit_compile=jit)
    rates = {}
    for name, work, n in (
        ("training", train, batch * steps),
        ("inference", lambda: network.predict_on_batch(shown), batch),
    ):
        work()
        rates[name] = n / best_seconds(work)
        rates[f"{name} share"] = rates[name] * count_flops(network, training=name == "training") / rate
    return {**rates, "batch": batch, "precision": precision, "rate": rate}


def measure_torchvision() -> dict[str, float]:
    """Train torchvision's SSD300 with VGG16 in this process on a GPU, in bfloat16; images and operations a second."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from torchvision.models.detection import ssd300_vgg16

    device, batch, steps = "cuda", 100, 5
    model = ssd300_vgg16(weights=None, weights_backbone=None, num_classes=3, trainable_backbone_layers=5)
    model = model.to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), 1e-5, momentum=0.9)
    images = list(torch.rand(batch, 3, 300, 300, device=device))
    box = torch.tensor(lesions(batch).box.clip(0, 256), dtype=torch.float32, device=device)
    truths = [{"boxes": b[None], "labels": torch.ones(1, dtype=torch.int64, device=device)} for b in box]

    def step() -> None:
        with torch.autocast(device, torch.bfloat16):
            loss = sum(model(images, truths).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def work() -> None:
        for _ in range(steps):
            step()
        torch.cuda.synchronize()

    with FlopCounterMode(display=False) as counter:
        step()
    work()
    rate = batch * steps / best_seconds(work)
    return {"images": rate, "operations": rate * counter.get_total_flops() / batch}


def measure_matrices() -> dict[str, float]:
    """Return the operations a second of matrix products in this process, by number type."""
    dtypes = ("float32", "bfloat16") if "bfloat16" in matrix_units() else ("float32",)
    return {dtype: matrix_rate(dtype) for dtype in dtypes}


def _matrices(_: str | None) -> str:
    found = in_a_process("ssd", "measure_matrices()")
    if isinstance(found, str):
        return found
    rates = ", ".join(f"{rate / 1e12:.2f} TFLOP/s in {dtype}" for dtype, rate in found.items())
    return f"{matrix_units() or 'none that is known'}: {rates}"


def _network(width: float, _: str | None) -> str:
    found = in_a_process("ssd", f"measure({width})")
    if isinstance(found, str):
        return found
    rates = (f"{name} {found[name]:.3g} images/s ({found[f'{name} share']:.0%})" for name in ("training", "inference"))
    return (
        f"{', '.join(rates)}; batch {found['batch']}, {found['precision']}, matrix {found['rate'] / 1e12:.3g} TFLOP/s"
    )


def _torchvision(_: str | None) -> str:
    if importlib.util.find_spec("torchvision") is None:
        return "skipped: torchvision is not installed"
    import torch

    if not torch.cuda.is_available():
        return "skipped: there is no GPU"
    found = in_a_process("ssd", "measure_torchvision()")
    if isinstance(found, str):
        return found
    return f"training {found['images']:.3g} images/s, {found['operations'] / 1e12:.3g} TFLOP/s"


BENCHMARKS = [
    Benchmark("targets of 100 images", "at most 10 ms", _targets),
    Benchmark(
        "decoding a batch of 32, random numbers like a trained network's output",
        "at most 20 ms",
        lambda _: _decode(like_a_trained_network(32)),
    ),
    Benchmark("decoding a batch of 32, every class of every box above the threshold", "at most 0.5 s", _worst),
    Benchmark("the processor's matrix units", "AMX bfloat16: all filters in hours on two cores", _matrices),
    Benchmark("SSD256 at width 1", "GPU: training >= 2400 images/s (40 %)", functools.partial(_network, 1.0)),
    Benchmark("SSD256 at width 1/4", "reported", functools.partial(_network, 0.25)),
    Benchmark("torchvision's ssd300_vgg16 beside it, on a GPU", "fewer operations a second", _torchvision),
]
