"""The page that lists what mammolib offers: one line for each public function and class, taken from the code itself."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

import mammolib

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


def reference_page(rooms: Sequence[str] = ROOMS) -> str:
    """Return the page for some rooms, in MyST Markdown; Sphinx's autosummary fills in signatures and first lines."""
    page = [INTRO]
    for room in rooms:
        said, names = public(room)
        page.append(SECTION.format(room=room, said=said, names="\n".join(f"   {name}" for name in names)))
    return "\n".join(page)


def public(room: str) -> tuple[str, list[str]]:
    """Return what a room, or a file in it, says first of itself, and its public classes, then functions, by alphabet.

    They are read from the source: to import it would load Keras and its backend.
    """
    place = Path(mammolib.__file__).parent.joinpath(*room.split("."))
    files = [place / "__init__.py", *sorted(place.glob("[!_]*.py"))] if place.is_dir() else [place.with_suffix(".py")]
    own, *inside = (ast.parse(file.read_text("utf-8")) for file in files)
    assigned = [node for node in own.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"]
    parts = [own, *inside] if assigned else [own]
    names = []
    for kind in (ast.ClassDef, ast.FunctionDef):
        found = {node.name for tree in parts for node in tree.body if isinstance(node, kind)}
        names += sorted(name for name in found if not name.startswith("_"))
    listed = ast.literal_eval(assigned[0].value) if assigned else names
    return (ast.get_docstring(own) or "").splitlines()[0], [name for name in names if name in listed]
