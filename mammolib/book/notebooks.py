"""Notebooks as files: read with one-line errors, written whole or not at all, and without what differs by machine."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

from mammolib.files import atomic

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
"""The metadata of every chapter: no version and no path of one machine."""
COMPARED = "nbval-check-output"
"""The tag of cells whose outputs nbval compares."""
MOST_OUTPUT = 30_000_000
"""Bytes that the outputs of a chapter may take; ours take up to five million."""
UNUSED = "rfc3987_syntax"
"""A grammar of web addresses that jsonschema, and with it nbformat, compiles for a second where it is installed, for a
check that no notebook asks for. Processes of our own go without it."""
WIDGET = "application/vnd.jupyter.widget-view+json"


def read(path: Path) -> Any:
    """Return the notebook in a file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a whole notebook.
    """
    import nbformat

    try:
        nb = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
        nbformat.validate(nb)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: there is no such notebook") from None
    except (nbformat.ValidationError, AttributeError, ValueError, TypeError, RecursionError) as err:
        raise ValueError(f"{path}: not a whole notebook ({str(err).splitlines()[0][:100]})") from None
    return nb


def text(nb: Any) -> str:
    """Return the notebook as the text of its file: one space of indent, sorted keys, a newline at the end."""
    import nbformat

    return nbformat.writes(nb, version=4).rstrip("\n") + "\n"


def write(path: Path, content: str | bytes) -> bool:
    """Write a file, whole or not at all, if that changes it; says whether. Sphinx goes by dates: it reads what is new.

    Raises:
        OSError: the folder cannot be written to, or the disk is full.
    """
    content = content.encode("utf-8") if isinstance(content, str) else content
    if path.is_file() and path.read_bytes() == content:
        return False
    with atomic(path) as file:
        file.write(content)
    return True


def cells_with(nb: Any, tag: str) -> list[Any]:
    """Return the cells that carry a tag."""
    return [c for c in nb.cells if tag in c.metadata.get("tags", [])]


def merge(chapter: Any, executed: Any) -> Any | None:
    """Return the chapter as it is now with the outputs of an execution, or None if its code has changed since.

    Prose, captions and tags are the chapter's; outputs, and the cell that papermill adds for parameters, the
    execution's. So a corrected sentence needs no new execution.
    """
    injected = cells_with(executed, "injected-parameters")
    ran = [c for c in executed.cells if c.cell_type == "code" and c not in injected]
    if [c.source for c in ran] != [c.source for c in chapter.cells if c.cell_type == "code"]:
        return None
    nb, outputs = copy.deepcopy(executed), iter(ran)
    nb.cells = []
    for cell in copy.deepcopy(chapter.cells):
        nb.cells.append(cell)
        if cell.cell_type == "code":
            there = next(outputs)
            cell.outputs, cell.execution_count = there.outputs, there.execution_count
            if "parameters" in cell.metadata.get("tags", []):
                nb.cells += injected
    for cell in injected:
        cell.metadata["tags"] = ["injected-parameters", "remove-cell"]  # as the cell of parameters itself, on pages
    return nb


def unfinished(nb: Any) -> str | None:
    """Say what shows that an executed notebook is not whole, or return None.

    Its own metadata may call a stopped execution complete, so the cells decide: each code cell has been executed, and
    none holds an error.
    """
    for number, cell in enumerate(nb.cells, start=1):
        if cell.cell_type == "code":
            errors = [output.ename for output in cell.outputs if output.output_type == "error"]
            if errors:
                return f"cell {number} ({first_line(cell.source)}) failed with {errors[0]}"
            if cell.source.strip() and cell.execution_count is None:
                return f"cell {number} ({first_line(cell.source)}) has not been executed"
    return None


def note(nb: Any) -> dict[str, Any]:
    """Return what `mammolib run` noted in an executed notebook; empty if there is no note, or none that can be read."""
    there = nb.metadata.get("mammolib")
    return dict(there) if isinstance(there, dict) else {}


def outputs_digest(nb: Any) -> str:
    """Return the SHA-256 of all outputs of a notebook, by cell: what a note holds, so that a change is noticed."""
    outputs = [[cell.get("id"), cell.outputs] for cell in nb.cells if cell.cell_type == "code"]
    return hashlib.sha256(json.dumps(outputs, sort_keys=True).encode()).hexdigest()


def untrusted(nb: Any) -> str | None:
    """Say what in a notebook that was executed elsewhere must not go into a page, or return None."""
    if len(cells_with(nb, "injected-parameters")) > 1:
        return "it holds more than one cell of injected parameters"
    if "mammolib" in nb.metadata and not note(nb):
        return "its note of the execution is none"
    if note(nb).get("outputs", outputs_digest(nb)) != outputs_digest(nb):
        return "its outputs were changed after the execution"
    size = 0
    for number, cell in enumerate(nb.cells, start=1):
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            size += len(json.dumps(output))
            if "application/javascript" in data or "<script" in str(data.get("text/html", "")).lower():
                return f"cell {number} ({first_line(cell.source)}) shows a script"
    return f"its outputs take {size / 1e6:.0f} MB" if size > MOST_OUTPUT else None


def first_line(source: str) -> str:
    """Return the first line of code of a cell, shortened: how an error names it."""
    lines = [line for line in source.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    line = (lines or source.splitlines() or [""])[0].strip()
    return line if len(line) <= 60 else line[:57] + "..."


def clean(nb: Any) -> Any:
    """Remove from an executed notebook what differs by machine and what a page cannot show; returns the same object.

    Times, paths and versions of the execution go; so do widgets, which a page without a kernel cannot draw and whose
    scripts a browser would have to fetch from a foreign host.
    """
    kept = {key: value for key, value in nb.metadata.items() if key == "mammolib"}
    nb.metadata.clear()
    nb.metadata.update(METADATA | kept)
    for cell in nb.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if WIDGET not in o.get("data", {})]
    return nb
