"""Okabe and Ito's colours, which colour-blind readers can tell apart; lines differ in dash as well, for grey print."""

from __future__ import annotations

from matplotlib.typing import LineStyleType

BENIGN, MALIGNANT, NORMAL = "#0072B2", "#D55E00", "#009E73"
PAPER, ACCENT, GREY = "#000000", "#CC79A7", "#6E6E6E"
ORANGE, SKY = "#E69F00", "#56B4E9"
COLOURS = {"benign": BENIGN, "malignant": MALIGNANT, "normal": NORMAL, "paper": PAPER}
DASHES = {"benign": "-", "malignant": "--", "normal": ":", "paper": "-."}
BRIGHT = {"benign": SKY, "malignant": "#F0A04B"}
"""Lighter relatives of the class colours, to be seen on a dark film."""
LINES: tuple[tuple[str, LineStyleType], ...] = (
    (BENIGN, "-"), (MALIGNANT, "--"), (NORMAL, "-."), (ACCENT, ":"), (GREY, (0, (5, 1))),
)  # fmt: skip
"""Colours and dashes of lines that stand for no class, in turn."""
