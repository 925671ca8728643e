"""How fast the detector is: targets, decoding, training and inference, and what share of the machine that is.

The share is the network's operations a second over those of a large matrix product measured in the same process, in
the same number type. On a GPU and on a processor with bfloat16 matrix units the networks compute in bfloat16; on a GPU,
torchvision's SSD300 runs beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

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
    return Truths(np.arange(images), rng.integers(1, 3, images), circle_to_box(row, column, radius), images)


def _targets(_: str | None) -> str:
    truths = lesions(100)
    make_targets(truths)
    return f"{best_seconds(lambda: make_targets(truths), 7) * 1e3:.1f} ms"


def _decode(trained: bool) -> str:
    """Decode (32, 6132, 7) drawn at random: every class of every box above 0.01, or like a trained network's output.

    A trained network is sure of the background but for some 40 boxes an image. A network that is trained here for a
    moment would be no better stand-in: it is not yet sure of the background, a case between the two.
    """
    rng = np.random.default_rng(0)
    out = rng.normal(0, 0.7 if trained else 1, (32, len(default_boxes()), 7)).astype(np.float32)
    if trained:
        out[..., 0] += 9
        for image in out:
            rows = rng.choice(len(image), 40, replace=False)
            image[rows, 1:3] += rng.uniform(4, 14, (40, 2))
    seconds = best_seconds(lambda: decode_predictions(out), 5)
    return f"{seconds * 1e3:.0f} ms ({len(decode_predictions(out))} detections)"


def matrices() -> str:
    """Name the processor's matrix units and measure matrix products by number type."""
    dtypes = ("float32", "bfloat16") if "bfloat16" in matrix_units() else ("float32",)
    rates = ", ".join(f"{matrix_rate(dtype) / 1e12:.2f} TFLOP/s in {dtype}" for dtype in dtypes)
    return f"{matrix_units() or 'none that is known'}: {rates}"


def network(width: float) -> str:
    """Train and apply SSD256 of a width in this process: images a second, and their share of `matrix_rate`."""
    import keras

    from mammolib import training
    from mammolib.analysis.cost import count_flops
    from mammolib.ssd import SSDLoss, ssd256
    from mammolib.training.feed import Fed, epoch_plan
    from mammolib.training.settings import use_jit

    gpu = training.device_kind() != "cpu"
    batch, steps = (100, 10) if gpu else (8, 2)
    half = gpu or "AMX" in matrix_units()
    precision = "mixed_bfloat16" if half else "float32"
    rate = matrix_rate("bfloat16" if half else "float32", *((8192, 20) if gpu else ()))
    images = np.random.default_rng(0).integers(0, 256, (batch, 256, 256)).astype(np.uint8)
    keras.config.set_dtype_policy(precision)
    model = ssd256(width=width, divide_by=64)
    samples = training.Samples(images, make_targets(lesions(batch), dtype=np.float16))
    settings = training.Settings(1, batch, steps, options={"momentum": 0.9}, precision=precision)
    fed = Fed(model, SSDLoss().named, {}, steps, [samples])
    jit = use_jit()
    fed.compile(settings.make_optimizer(steps), jit_compile=jit)
    plan = epoch_plan(batch, 0, 0, batch * steps)

    def train() -> None:
        fed.show(plan, batch, watch=keras.callbacks.Callback())
        fed.read()

    shown = images[..., None].astype(np.float32)
    model.compile(jit_compile=jit)
    words = []
    for name, work, n in (
        ("training", train, batch * steps),
        ("inference", lambda: model.predict_on_batch(shown), batch),
    ):
        work()
        each = n / best_seconds(work)
        share = each * count_flops(model, training=name == "training") / rate
        words.append(f"{name} {each:.3g} images/s ({share:.0%})")
    return f"{', '.join(words)}; batch {batch}, {precision}, matrix {rate / 1e12:.3g} TFLOP/s"


def torchvision() -> str:
    """Train torchvision's SSD300 with VGG16 in this process on a GPU, in bfloat16: images and operations a second."""
    if find_spec("torchvision") is None:
        return "skipped: torchvision is not installed"
    import torch

    if not torch.cuda.is_available():
        return "skipped: there is no GPU"
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
    return f"training {rate:.3g} images/s, {rate * counter.get_total_flops() / batch / 1e12:.3g} TFLOP/s"


def _apart(code: str) -> Callable[[str | None], str]:
    return lambda _: in_a_process("ssd", code)


_BATCH = "decoding a batch of 32"
BENCHMARKS = [
    Benchmark("targets of 100 images", "at most 10 ms", _targets),
    Benchmark(f"{_BATCH}, random numbers like a trained network's output", "at most 20 ms", lambda _: _decode(True)),
    Benchmark(f"{_BATCH}, every class of every box above the threshold", "at most 0.5 s", lambda _: _decode(False)),
    Benchmark("the processor's matrix units", "AMX bfloat16: all filters in hours on two cores", _apart("matrices()")),
    Benchmark("SSD256 at width 1", "GPU: training >= 2400 images/s (40 %)", _apart("network(1.0)")),
    Benchmark("SSD256 at width 1/4", "reported", _apart("network(0.25)")),
    Benchmark("torchvision's ssd300_vgg16 beside it, on a GPU", "fewer operations a second", _apart("torchvision()")),
]
