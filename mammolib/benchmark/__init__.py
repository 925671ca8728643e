"""The benchmark: frozen folds over all films of mini-MIAS, a file format for detections, and the score.

Whoever has a detector of whole films, in whatever library, trains it on four folds, marks the films of the fifth, five
times over, writes all marks into one file and scores it: `mammolib benchmark PREDICTIONS.json`. Nothing here needs
Keras or a backend.
"""

from .comparing import compare
from .counting import POINTS, RULES
from .dealing import folds, folds_digest
from .predictions import document, example, read, text, write
from .scoring import score

__all__ = [
    "POINTS", "RULES", "compare", "document", "example", "folds", "folds_digest", "read", "score", "text", "write",
]  # fmt: skip
