"""What detections and answers are worth: matching, average precision, FROC, ROC, and intervals over women."""

from mammolib.metrics.classification import auc, brier, choose_threshold, confusion, rates, reliability, roc
from mammolib.metrics.detection import (
    COCO_IOU,
    DEFINITIONS,
    Definition,
    MeanAveragePrecision,
    PrecisionRecall,
    average_precision,
    mean_average_precision,
    precision_recall,
    ranking_table,
)  # fmt: skip
from mammolib.metrics.froc import CAMELYON, LUNA16, Froc, froc, match_any_class, sensitivity_at
from mammolib.metrics.intervals import Interval, bootstrap, measured, wilson
from mammolib.metrics.matching import FALSE, NEUTRAL, REPEAT, TRUE, Matches, match

__all__ = [
    "CAMELYON", "COCO_IOU", "DEFINITIONS", "Definition", "FALSE", "Froc", "Interval", "LUNA16", "Matches",
    "MeanAveragePrecision", "NEUTRAL", "PrecisionRecall", "REPEAT", "TRUE", "auc", "average_precision", "bootstrap",
    "brier", "choose_threshold", "confusion", "froc", "match", "match_any_class", "mean_average_precision", "measured",
    "precision_recall", "ranking_table", "rates", "reliability", "roc", "sensitivity_at", "wilson",
]  # fmt: skip
