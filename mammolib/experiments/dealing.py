"""The leak in what is cheap to train: one set of crops dealt in four ways, and the best of twenty settings.

The four ways differ in what is kept whole: a view, a lesion, a film, or all films of a woman. The second measurement
keeps women apart and leaks all the same: it chooses a setting by the test women.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammolib import metrics
from mammolib.detectors.lookup import BINS, histograms
from mammolib.experiments import sets
from mammolib.experiments.evaluate_detector import baselines
from mammolib.patches import Crops
from mammolib.splits import Split

WAYS = {"view": "image", "lesion": "lesion", "film": "film", "woman": "woman"}
"""What is kept whole -> the split's name in the code."""
SEEDS = 10
"""Splits of each kind, with seeds 0, 1, ..."""
PIXELS = 16
"""Side of the reduced crops that one classifier sees; the other sees the lookup's histograms."""
FEATURES = {"8 x 8 pixels": 8, "16 x 16 pixels": 16, "16 grey levels": 16, "64 grey levels": 64}
PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0)
INNER = 5
"""Folds by woman within the training women, by which the nested choice is made."""


def reduced(images: NDArray[np.uint8], side: int) -> NDArray[np.floating]:
    """Return the means of side x side equal blocks: (N, S, S) -> (N, side * side); S is a multiple of `side`."""
    from skimage.transform import downscale_local_mean

    block = images.shape[1] // side
    return downscale_local_mean(images, (1, block, block)).reshape(len(images), -1)


def four_ways(crops: Crops) -> dict[str, list[float]]:
    """Deal the tumour-centred crops in four ways, `SEEDS` times each, and score on each split what is cheap.

    Returns:
        For each way, as in "lookup_map_by_woman", a value a split: the mAP of the lookup (lookup_map) and of three
        boxes that never move (centre_map); the area under the ROC curve, malignant against benign, of a linear model
        on histograms (histogram_auc) and of support vectors on reduced crops (pixels_auc); and what training and
        test share: test views whose mirror image trains (views), lesions, films and women.
    """
    from sklearn.linear_model import RidgeClassifier
    from sklearn.svm import SVC

    malignant = crops.strata > 1
    seen = {"histogram_auc": histograms(crops.images, BINS), "pixels_auc": reduced(crops.images, PIXELS)}
    models = {"histogram_auc": RidgeClassifier(), "pixels_auc": SVC(C=10.0)}
    units = {"lesions": crops.lesion, "films": crops.film, "women": crops.woman}
    found: dict[str, list[float]] = {}
    for way, split in WAYS.items():
        for seed in range(SEEDS):
            part = sets.divide(crops, split, seed)
            nothing = baselines(crops, part, seen["histogram_auc"])
            row = {name: nothing[name] for name in ("lookup_map", "centre_map")}
            for name, model in models.items():
                (row[name],) = _aucs([model], seen[name], malignant, part.training, part.test)
            row["views"] = int(sets.mirror_in_training(crops, part).sum())
            row |= {unit: len(part.shared(column)) for unit, column in units.items()}
            for name, value in row.items():
                found.setdefault(f"{name}_by_{way}", []).append(value)
    return found


def twenty_settings(crops: Crops) -> dict[str, list[list[float]]]:
    """Score support vectors with `FEATURES` x `PENALTIES` settings on the crops, split by woman `SEEDS` times.

    Returns:
        "test" and "inner", each (`SEEDS`, settings): the area under the ROC curve on the test women; and its mean over
        `INNER` folds of the women who train or validate, which knows nothing of the test.
    """
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.svm import SVC

    malignant = crops.strata > 1
    seen = [
        reduced(crops.images, size) if name.endswith("pixels") else histograms(crops.images, size)
        for name, size in FEATURES.items()
    ]
    models = [SVC(C=penalty) for penalty in PENALTIES]

    def scores(fit: NDArray, held_out: NDArray) -> list[float]:
        return [auc for features in seen for auc in _aucs(models, features, malignant, fit, held_out)]

    found: dict[str, list[list[float]]] = {"test": [], "inner": []}
    for seed in range(SEEDS):
        part = sets.divide(crops, "woman", seed)
        train = np.concatenate([part.training, part.validation])
        inner = StratifiedGroupKFold(INNER).split(train, malignant[train], crops.woman[train])
        folds = [(train[fit], train[held_out]) for fit, held_out in inner]
        found["test"].append(scores(train, part.test))
        found["inner"].append(np.mean([scores(*fold) for fold in folds], axis=0).tolist())
    return found


def choices(scores: dict[str, list[list[float]]]) -> dict[str, list[float]]:
    """Return what is reported for each split of `twenty_settings`, by how the setting is chosen.

    best_auc: by the test itself; nested_auc: by the inner folds; typical_auc: the mean of all settings.
    """
    test, inner = np.array(scores["test"]), np.array(scores["inner"])
    nested = test[np.arange(len(test)), inner.argmax(axis=1)]
    return {"best_auc": test.max(axis=1).tolist(), "nested_auc": nested.tolist(), "typical_auc": test.mean(1).tolist()}


def as_files(crops: Crops, part: Split, folder: Path) -> Path:
    """Write training and test as a folder of PGM files each, named by their place in the set, for `leak_check`."""
    from PIL import Image

    for side in ("training", "test"):
        (folder / side).mkdir(parents=True, exist_ok=True)
        for row in getattr(part, side):
            Image.fromarray(crops.images[row]).save(folder / side / f"{row:04d}.pgm")
    return folder


def _aucs(
    models: Sequence[Any], features: NDArray, malignant: NDArray[np.bool_], train: NDArray, test: NDArray
) -> list[float]:
    """Fit classifiers of scikit-learn on some rows, standardised, and return their areas under the ROC curve on others.

    Hundreds of small fits spend most of their time on checks of what is sound: they are left out.
    """
    from sklearn import config_context
    from sklearn.preprocessing import StandardScaler

    found = []
    with config_context(assume_finite=True, skip_parameter_validation=True):
        scaler = StandardScaler().fit(features[train])
        seen, asked = scaler.transform(features[train]), scaler.transform(features[test])
        for model in models:
            score = model.fit(seen, malignant[train]).decision_function(asked)
            place = np.unique(score, return_inverse=True)[1] / len(score)  # its order and ties are all that counts
            found.append(float(metrics.auc(malignant[test], place)))
    return found
