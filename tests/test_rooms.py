"""The house: a room imports only from rooms below it, and no two files import each other in a circle."""

import ast
import importlib
import inspect
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import mammolib

ROOT = Path(mammolib.__file__).parent
FLOORS = (
    "files geometry images mias phantom patches splits metrics results benchmark training classifiers saliency ssd "
    "detectors experiments analysis plots bench book leak_check cli"
).split()
"""The rooms, ground floor first."""


def module(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module(path): path for path in ROOT.rglob("*.py")}


def imports(path):
    """Return the files of mammolib that a file imports anywhere, those for type checkers only left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", None) == "TYPE_CHECKING":
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            above = module(path.parent / "__init__.py").split(".")[: None if node.level < 2 else 1 - node.level]
            source = ".".join([*(above if node.level else []), *([node.module] if node.module else [])])
            names = [f"{source}.{alias.name}" for alias in node.names]
            found |= {name if name in FILES else source for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & set(FILES) - {module(path)}


IMPORTS = {name: imports(path) for name, path in FILES.items()}


def room(name):
    return (name.split(".") + [""])[1]


def test_every_file_lies_in_a_room_that_has_its_floor():
    assert {room(name) for name in FILES} - {"", "__main__"} == set(FLOORS)


def test_a_room_imports_only_from_rooms_below_it():
    up = [
        f"{name} imports {other}"
        for name, others in IMPORTS.items()
        for other in others
        if room(name) in FLOORS and room(other) in FLOORS and FLOORS.index(room(other)) > FLOORS.index(room(name))
    ]
    assert not up, up


def test_no_files_import_each_other_in_a_circle():
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as err:
        raise AssertionError(" -> ".join(err.args[1])) from None


def test_no_file_hides_what_its_room_offers():
    """A file of the same name becomes the room's attribute when it is imported, in place of the function."""
    hidden = []
    for name in FILES:
        package, _, file = name.rpartition(".")
        if package and file in getattr(importlib.import_module(package), "__all__", ()):
            importlib.import_module(name)
            if inspect.ismodule(getattr(importlib.import_module(package), file)):
                hidden.append(name)
    assert not hidden, hidden
