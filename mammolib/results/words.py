"""Names of metrics as a reader sees them: one table for the whole book."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

LABELS = {
    "map": "mAP",
    "ap_benign": "AP, benign",
    "ap_malignant": "AP, malignant",
    "recall": "lesions found with confidence 0.5",
    "recall_any": "lesions found at any confidence",
    "confidence": "mean confidence of right answers",
    "lookup_map": "mAP of the lookup",
    "lookup_accuracy": "accuracy of the lookup",
    "lookup_majority": "always the larger class",
    "centre_map": "mAP of three boxes in the middle",
    "centre_recall": "lesions that three boxes in the middle find",
    "map_training": "mAP on training crops",
    "map_validation": "mAP on validation crops",
    "map_mirror_trains": "mAP where the mirror image trains",
    "map_mirror_apart": "mAP where it does not",
    "mirror_trains": "test crops whose mirror image trains",
    "women_seen": "test images whose woman trains",
    "lesions_seen": "test images whose lesion trains",
    "val_loss": "validation loss",
    "val_detection_loss": "detection loss in validation",
    "val_l2": "weight decay in the validation loss",
    "train_loss": "training loss",
    "train_accuracy": "training accuracy",
    "val_accuracy": "validation accuracy",
    "majority_accuracy": "always the largest class",
    "majority_share": "share of the largest class in training",
    "above_majority": "accuracy above the largest class's",
    "sensitivity_chosen": "sensitivity at the validation's threshold",
    "specificity_chosen": "specificity at the validation's threshold",
    "auc": "area under the ROC curve",
    "best_auc": "AUC, setting chosen on the test women",
    "nested_auc": "AUC, setting chosen on folds of the training women",
    "typical_auc": "AUC, mean of all settings",
    "val_auc": "area under the ROC curve in validation",
    "brier": "Brier score",
    "froc_score": "FROC score",
    "froc_lesion_films": "FROC score, films with a lesion",
    "froc_all_films": "FROC score, all films",
    "mixed_iou_20": "mixed IoU of a square of 20 pixels with itself",
    "map_simulated": "mAP, interval over women",
    "map_simulated_by_crop": "mAP, interval over crops",
    "map_simulated_paper": "mAP as the paper defines it",
    "map_simulated_voc2007": "mAP of VOC 2007 (11 points)",
    "map_simulated_voc2010": "mAP of VOC 2010 (every point)",
    "map_simulated_coco": "mAP of COCO (101 points)",
    "sensitivity_at_1": "lesions found at one false mark a film",
    "sensitivity_at_4": "lesions found at four false marks a film",
    "crop_to_crop": "spread of an output from crop to crop",
    "within_a_crop": "spread of the outputs of one crop",
    "seconds": "seconds in all",
    "seconds_per_epoch": "seconds an epoch",
    "seconds_per_pass": "seconds a pass",
    "images_per_second": "images a second",
}
"""Metric -> its name in words; a metric that is not here is shown with blanks for its underscores."""

CHANGES = {
    "optimizer adam": "Adam",
    "momentum 0.0": "no momentum",
    "clip None": "no clipping",
    "flip False": "not mirrored",
    "flip True": "mirrored",
    "separable False": "plain convolutions",
    "regularise_separable True": "decay and He initialisation for both factors",
    "reading lesion": 'reading "lesion"',
    "precision float32": "single precision",
    "precision mixed_bfloat16": "half precision (bfloat16)",
}
"""A change of a setting, as its name and value -> in words."""
FORMS = {
    "clip": "gradient clipped to {:g}",
    "divide_by": "input divided by {:g}",
    "warmup": "warm-up over {:,} updates",
}
"""Changed setting -> the words around its value."""


def metric_words(name: str) -> str:
    """Return a metric's name in words.

    Example:
        >>> metric_words("ap_benign_uniform"), metric_words("val_loss@last"), metric_words("val_loss@epoch30")
        ('AP, benign, uniform cuts', 'validation loss at the end', 'validation loss after epoch 30')
    """
    plain, _, moment = name.partition("@")
    where = ""
    for suffix, words in (("_centred", ", centred crops"), ("_uniform", ", uniform cuts")):
        if plain.endswith(suffix):
            plain, where = plain.removesuffix(suffix), words
    when = " at the end" if moment == "last" else re.sub(r"([a-z]+)(\d+)", r" after \1 \2", moment)
    return LABELS.get(plain, plain.replace("_", " ")) + where + when


def change_words(name: str, value: Any) -> str:
    """Return in words what a run changed.

    Example:
        >>> change_words("clip", 1.0), change_words("rates", [0.002, 2e-05]), change_words("batch", 32)
        ('gradient clipped to 1', 'rates 0.002, 0.00002', 'batch 32')
        >>> change_words("separable", True), change_words("options", {"momentum": 0.5})
        ('separable', "options {'momentum': 0.5}")
    """
    if name == "schedule" and isinstance(value, Mapping):
        name, value = "rates", value["values"]
    if isinstance(value, Sequence) and not isinstance(value, str):
        name = "rate" if name == "rates" and len(value) == 1 else name
        value = ", ".join(f"{v:.12f}".rstrip("0").rstrip(".") if isinstance(v, float) else str(v) for v in value)
    key, plain = f"{name} {value}", name.replace("_", " ")
    if key in CHANGES:
        return CHANGES[key]
    if isinstance(value, bool):
        return plain if value else f"no {plain}"
    return FORMS[name].format(value) if name in FORMS else f"{plain} {value}"


def number_words(held: Mapping[str, Any] | None) -> str:
    """Return a metric of a record as every table shows it: "0.832 [0.755, 0.906]"; a dash where there is no value.

    Example:
        >>> number_words({"value": 0.75, "low": 0.5, "high": 0.9}), number_words({"value": 1269, "low": None})
        ('0.750 [0.500, 0.900]', '1,269')
    """
    if not held or held["value"] is None:
        return "–"
    value = f"{held['value']:,}" if isinstance(held["value"], int) else f"{held['value']:.3f}"
    return value if held["low"] is None else f"{value} [{held['low']:.3f}, {held['high']:.3f}]"


def seeds_words(values: Sequence[float]) -> str:
    """Return a number over several runs as every table shows it: "0.841 (0.792 to 0.870 in 3 seeds)".

    Example:
        >>> seeds_words([0.4, 0.6]), seeds_words([0.4]), seeds_words([]), seeds_words([278, 280])
        ('0.500 (0.400 to 0.600 in 2 seeds)', '0.400', '–', '279 (278 to 280 in 2 seeds)')
    """
    if not values:
        return "–"
    form = "{:,.0f}" if all(isinstance(value, int) for value in values) else "{:.3f}"
    mean, low, high = map(form.format, (sum(values) / len(values), min(values), max(values)))
    return mean if len(values) == 1 else f"{mean} ({low} to {high} in {len(values)} seeds)"
