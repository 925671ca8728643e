"""Speed of the detection metrics, beside pycocotools in the same run on the same data.

pycocotools is asked only for what mammolib computes (one area range, one limit), and only its ``evaluate`` and
``accumulate`` are timed, not the building of its index. Both give the same number, which is checked.
"""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mammolib.bench import Benchmark, best_seconds
from mammolib.geometry import Detections, Truths
from mammolib.metrics import COCO_IOU, match, mean_average_precision
from mammolib.metrics.intervals import bootstrap

if TYPE_CHECKING:
    from pycocotools.cocoeval import COCOeval


def simulated(
    n_images: int, detections_per_image: int, truths_per_image: int, classes: int, seed: int = 0
) -> tuple[Detections, Truths]:
    """Return a simulated detector's answers on simulated images; half of its boxes lie near a truth of their class."""
    rng = np.random.default_rng(seed)

    def boxes(n: int) -> NDArray[np.floating]:
        centre, half = rng.uniform(40, 216, (n, 2)), rng.uniform(10, 40, (n, 2))
        return np.concatenate([centre - half, centre + half], axis=1)

    image = np.repeat(np.arange(n_images), truths_per_image)
    names = tuple(f"class {label}" for label in range(1, classes + 1))
    truths = Truths(image, rng.integers(1, classes + 1, len(image)), boxes(len(image)), n_images, classes=names)
    n = n_images * detections_per_image
    about = rng.integers(0, len(truths), n)
    near = rng.random(n) < 0.5
    box = np.where(near[:, None], truths.box[about] + rng.normal(0, 5, (n, 4)), boxes(n))
    box[:, 2:] = np.maximum(box[:, 2:], box[:, :2])
    where = np.where(near, truths.image[about], rng.integers(0, n_images, n))
    label = np.where(near, truths.label[about], rng.integers(1, classes + 1, n))
    return Detections(where, label, rng.random(n).round(4), box), truths


def pycocotools_evaluation(detections: Detections, truths: Truths, iou: tuple[float, ...]) -> COCOeval:
    """Return a pycocotools evaluation of these boxes, set up but not run; neutral truths become crowds."""
    import pandas as pd
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def dataset(boxes: Detections | Truths, **columns: NDArray) -> COCO:
        sides = boxes.box[:, 2:] - boxes.box[:, :2]
        columns |= {"image_id": boxes.image, "category_id": boxes.label, "area": sides.prod(axis=1)}
        table = pd.DataFrame({"id": np.arange(1, len(sides) + 1), **columns})
        table["bbox"] = np.concatenate([boxes.box[:, :2], sides], axis=1).tolist()
        made = COCO()
        made.dataset = {
            "images": [{"id": i} for i in range(truths.n_images)],
            "categories": [{"id": c} for c in range(1, len(truths.classes) + 1)],
            "annotations": table.to_dict("records"),
        }
        made.createIndex()
        return made

    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(
            dataset(truths, iscrowd=np.where(truths.difficult, 1, 0)),
            dataset(detections, score=detections.confidence, iscrowd=np.zeros(len(detections), int)),
            iouType="bbox",
        )
    evaluation.params.iouThrs = np.array(iou)
    evaluation.params.maxDets = [100]
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
    return evaluation


def run_pycocotools(evaluation: COCOeval) -> NDArray[np.floating]:
    """Run a pycocotools evaluation without its prints; returns (thresholds, classes) average precision, NaN for -1."""
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, 0]
    return np.where(precision[:, 0] < 0, np.nan, precision.mean(axis=1))


def _beside_pycocotools(*sizes: int) -> str:
    detections, truths = simulated(*sizes)
    ours = mean_average_precision(detections, truths, "coco", COCO_IOU).value
    seconds = best_seconds(lambda: mean_average_precision(detections, truths, "coco", COCO_IOU))
    try:
        evaluation = pycocotools_evaluation(detections, truths, COCO_IOU)
    except ModuleNotFoundError:
        return f"{seconds * 1e3:.1f} ms (pycocotools is not installed)"
    theirs = float(np.nanmean(run_pycocotools(evaluation)))
    beside = best_seconds(lambda: run_pycocotools(evaluation), repeat=2)
    if abs(ours - theirs) > 1e-12:
        return f"the two disagree: {ours!r} and {theirs!r}"
    return f"{seconds * 1e3:.1f} ms; pycocotools {beside:.2f} s, {beside / seconds:.0f} times"


def _paper_sized(_: str | None) -> str:
    detections, truths = simulated(116, 20, 1, 2)
    return f"{best_seconds(lambda: mean_average_precision(detections, truths)) * 1e3:.2f} ms"


def _replicates(_: str | None) -> str:
    detections, truths = simulated(116, 200, 1, 2)
    matches, women = match(detections, truths), np.arange(116) // 8
    seconds = best_seconds(lambda: bootstrap(lambda w: mean_average_precision(matches, weights=w), women))
    return f"{seconds * 1e3:.0f} ms"


_LARGE, _FAST = "COCO mAP, 2,000 images, 160,000 detections", "as fast as pycocotools"
BENCHMARKS = [
    Benchmark("mAP, the paper's definition, 116 images, 2,320 detections", "at most 10 ms", _paper_sized),
    Benchmark("COCO mAP, 116 images, 2,320 detections", _FAST, lambda _: _beside_pycocotools(116, 20, 1, 2)),
    Benchmark(f"{_LARGE}, 2 classes", _FAST, lambda _: _beside_pycocotools(2000, 80, 7, 2)),
    Benchmark(f"{_LARGE}, 80 classes", _FAST, lambda _: _beside_pycocotools(2000, 80, 7, 80)),
    Benchmark("1,000 bootstrap replicates of mAP, 116 images, 23,200 detections", "at most 2 s", _replicates),
]
