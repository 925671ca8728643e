"""mammolib: mammogram classification and lesion detection on mini-MIAS, reproduced and explained.

The rooms, ground floor first; a room imports only from those above it in this list:
``files``, ``geometry``, ``images``, ``mias``, ``phantom``, ``patches``, ``splits``, ``metrics``, ``results``,
``benchmark``, ``training``, ``classifiers``, ``saliency``, ``ssd``, ``detectors``, ``experiments``, ``analysis``,
``plots``, ``bench``, ``book`` and ``cli``. ``leak_check`` stands by itself.

For teaching and research. Not for clinical use.
"""

import os

# TensorFlow leaves oneDNN off on processors without AVX-512 VNNI; with it a training step takes half the time there.
# It is read when TensorFlow is imported, which Keras does; whoever has set it keeps his choice.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

__version__ = "0.1.0"
