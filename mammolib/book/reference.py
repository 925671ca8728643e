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
SECTION = """## mammolib.{room}

{said}

```{{eval-rst}}
.. currentmodule:: mammolib.{room}

.. autosummary::

{names}
```
"""


def reference_page() -> str:
    """Return the page, in MyST Markdown; Sphinx's autosummary fills in signatures and first lines."""
    page = [INTRO]
    for room in ROOMS:
        said = (importlib.import_module(f"mammolib.{room}").__doc__ or "").splitlines()[0]
        page.append(SECTION.format(room=room, said=said, names="\n".join(f"   {name}" for name in public(room))))
    return "\n".join(page)


def public(room: str) -> list[str]:
    """Return the public classes, then functions, of a room or of a file in it, each in alphabetical order."""
    module = importlib.import_module(f"mammolib.{room}")
    listed = getattr(module, "__all__", None)
    names = listed or [n for n, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__]
    things = {name: getattr(module, name) for name in sorted(names) if not name.startswith("_")}
    classes = [name for name, thing in things.items() if inspect.isclass(thing)]
    return classes + [name for name, thing in things.items() if inspect.isfunction(thing)]
