"""The page that lists what mammolib offers: one line for each public function and class, taken from the code itself."""

from __future__ import annotations

import importlib
import inspect

ROOMS = (
    "geometry mias phantom patches splits metrics results benchmark training classifiers saliency ssd "
    "detectors.centre detectors.lookup detectors.windows detectors.classical detectors.features detectors.ensemble "
    "experiments.detection experiments.running experiments.named experiments.dealing experiments.rungs "
    "analysis.leak analysis.dealing analysis.ladder analysis.stability analysis.curves analysis.retraining "
    "analysis.classifiers analysis.cost leak_check"
).split()

INTRO = """# What mammolib offers

One line for each function and class, room by room, ground floor first: a room uses only the rooms above it on this
page. `help(mammolib.ssd.SSDLoss)` prints the whole text, with shapes, units and errors.
"""


def reference_page() -> str:
    """Return the page, in MyST Markdown; Sphinx's autosummary fills in signatures and first lines."""
    return "\n".join([INTRO, *(_section(name) for name in ROOMS)])


def public(room: str) -> list[str]:
    """Return the public classes, then functions, of a room or of a file in it, each in alphabetical order."""
    module = importlib.import_module(f"mammolib.{room}")
    listed = getattr(module, "__all__", None)
    names = listed or [n for n, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__]
    things = {name: getattr(module, name) for name in sorted(names) if not name.startswith("_")}
    made = {n: v for n, v in things.items() if inspect.isclass(v) or inspect.isfunction(v)}
    return sorted(made, key=lambda name: (not inspect.isclass(made[name]), name))


def _section(room: str) -> str:
    said = (importlib.import_module(f"mammolib.{room}").__doc__ or "").splitlines()[0]
    lines = [f"## mammolib.{room}", "", said, "", "```{eval-rst}", f".. currentmodule:: mammolib.{room}", ""]
    return "\n".join([*lines, ".. autosummary::", "", *(f"   {name}" for name in public(room)), "```", ""])
