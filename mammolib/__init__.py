"""mammolib: mammogram classification and lesion detection on mini-MIAS, reproduced and explained.

The rooms, ground floor first; a room imports only from those above it in this list:
``geometry``, ``mias``, ``phantom``, ``patches``, ``splits``, ``metrics``, ``results``, ``classifiers``, ``ssd``,
``training``, ``experiments``, ``plots``, ``book`` and ``cli``.

For teaching and research. Not for clinical use.
"""

__version__ = "0.1.0"
