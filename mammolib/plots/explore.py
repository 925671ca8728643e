"""A figure with sliders where someone can move them, and the same figure standing still where nobody can.

Jupyter tells a kernel which notebook it serves, in ``JPY_SESSION_NAME``; papermill, nbval and `mammolib run` start
kernels without a server. So a rendered page holds a plain picture and no widget, which would need scripts from a
foreign host. ``MAMMOLIB_STATIC=1`` asks for the picture everywhere.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from typing import Any

from matplotlib.figure import Figure


def live() -> bool:
    """Say whether a person can move a slider: a kernel in a notebook server (or Colab), and ipywidgets at hand."""
    if os.environ.get("MAMMOLIB_STATIC", "0") not in ("", "0"):
        return False
    front_end = "JPY_SESSION_NAME" in os.environ or "google.colab" in sys.modules
    return front_end and "ipykernel" in sys.modules and importlib.util.find_spec("ipywidgets") is not None


def explore(draw: Callable[..., Figure], **sliders: tuple[float, float, float, float]) -> Any:
    """Return the figure that `draw` makes of the values, given by name; in an `ipywidgets.interactive` if `live()`.

    A slider is (lowest, highest, step, value at first).
    """
    if not live():
        return draw(**{name: first for name, (*_, first) in sliders.items()})
    import ipywidgets
    from IPython.display import display

    def show(**values: float) -> None:  # what a function returns to `interactive` is kept, not shown
        display(draw(**values))

    controls = {
        name: ipywidgets.FloatSlider(first, min=low, max=high, step=step, description=name, continuous_update=False)
        for name, (low, high, step, first) in sliders.items()
    }
    return ipywidgets.interactive(show, **controls)
