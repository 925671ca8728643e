"""The page that lists what mammolib offers: one line for each public function and class, taken from the code itself."""

from __future__ import annotations

import ast
from pathlib import Path

import mammolib
from mammolib.results.tables import markdown

ROOMS = (
    "geometry mias phantom patches splits metrics results benchmark training classifiers saliency ssd "
    "detectors.centre detectors.lookup detectors.windows detectors.classical detectors.features detectors.ensemble "
    "experiments.detection experiments.running experiments.named experiments.dealing experiments.rungs "
    "analysis.leak analysis.dealing analysis.ladder analysis.stability analysis.curves analysis.retraining "
    "analysis.classifiers analysis.cost leak_check"
).split()
INTRO = """# What mammolib offers

One line for each function and class, room by room, ground floor first: a room uses only the rooms above it on this
page. In brackets stands what a function must be given; dots stand for what it may. `help(mammolib.ssd.SSDLoss)` prints
the whole text, with shapes, units and errors.
"""
HEAD = ("Call", "What it is or does")
SECTION = "## mammolib.{room}\n\n{said}\n\n{table}\n"


def reference_page() -> str:
    """Return the page, in MyST Markdown. It is read from the source: to import all that would load Keras."""
    page = [INTRO]
    for room in ROOMS:
        said, calls = offered(room)
        page.append(SECTION.format(room=room, said=said, table=markdown(HEAD, list(calls.values()))))
    return "\n".join(page)


def offered(room: str) -> tuple[str, dict[str, tuple[str, str]]]:
    """Return what a room, or a file in it, says first of itself, and its public classes, then functions, by alphabet.

    Returns:
        The room's first line, and for each name how it is called and its own first line.
    """
    place = Path(mammolib.__file__).parent.joinpath(*room.split("."))
    own = _parse(place / "__init__.py" if place.is_dir() else place.with_suffix(".py"))
    found = _public(own)
    for node in ast.walk(own) if place.is_dir() else ():
        if isinstance(node, ast.ImportFrom) and node.module:
            file = place / f"{node.module.removeprefix(f'mammolib.{room}.')}.py"
            inside = _public(_parse(file)) if file.is_file() else {}
            found |= {one.name: inside[one.name] for one in node.names if one.name in inside}
    nodes = sorted(found.values(), key=lambda node: (isinstance(node, ast.FunctionDef), node.name))
    return _first_line(own), {node.name: (_call(node), _first_line(node)) for node in nodes}


def _parse(file: Path) -> ast.Module:
    return ast.parse(file.read_text("utf-8"))


def _public(tree: ast.Module) -> dict[str, ast.ClassDef | ast.FunctionDef]:
    nodes = [node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    return {node.name: node for node in nodes if not node.name.startswith("_")}


def _call(node: ast.ClassDef | ast.FunctionDef) -> str:
    """Return a class's name, or a function's with the arguments it must be given, and dots if it may be given more."""
    if isinstance(node, ast.ClassDef):
        return f"`{node.name}`"
    given = node.args
    plain = [one.arg for one in (*given.posonlyargs, *given.args)]
    needed = plain[: len(plain) - len(given.defaults)] + ([f"*{given.vararg.arg}"] if given.vararg else [])
    named = [one.arg for one, value in zip(given.kwonlyargs, given.kw_defaults, strict=True) if value is None]
    more = bool(given.defaults or given.kwarg or len(named) < len(given.kwonlyargs))
    return f"`{node.name}({', '.join([*needed, *(f'{name}=' for name in named), *['...'] * more])})`"


def _first_line(node: ast.Module | ast.ClassDef | ast.FunctionDef) -> str:
    return (ast.get_docstring(node) or "").partition("\n")[0]
