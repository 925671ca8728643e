"""Stores in the chapters' sources what nbval compares, and keeps everything else out of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from mammolib import results
from mammolib.book import notebooks
from mammolib.book.execute import run
from mammolib.book.project import repository
from mammolib.results.overview import headline_figure

INSTALL = """\
import sys

if "google.colab" in sys.modules:  # bring the project along; everywhere else this does nothing
    !git clone --quiet --depth 1 --branch {branch} {url} project
    !pip install --quiet pooch && pip install --quiet --no-deps ./project
    %cd project/chapters"""


def refresh(
    asked: Iterable[str] = (), *, root: Path | None = None, say: Callable[[str], None] = print, force: bool = False
) -> list[Path]:
    """Execute chapters on phantoms and store in their sources the outputs that nbval compares, and no other.

    Those are the outputs of cells tagged ``nbval-check-output``, which keep their execution count: nbval compares
    nothing in a cell without one. Everything else is emptied and the metadata are made the same on every machine. If
    _config.yml names a repository, each chapter gets the cell that installs mammolib on Colab; if not, it loses it. The
    headline's picture is drawn again from the records.

    Args:
        asked, root, say, force: as in `run`.

    Returns:
        The files that have changed.

    Raises:
        ValueError: a chapter failed; the others are stored.
    """
    root = results.root(root)
    outcomes = run(asked, root=root, say=say, force=force)
    install = install_cell(*repository(root))
    changed = []
    for outcome in outcomes:
        if outcome.path is None:
            continue
        path = root / "chapters" / f"{outcome.chapter}.ipynb"
        nb, executed = notebooks.read(path), notebooks.read(outcome.path)
        compared = {c["id"]: c for c in notebooks.cells_with(executed, notebooks.COMPARED)}
        nb.metadata.clear()
        nb.metadata.update(notebooks.METADATA)
        nb.cells = install + [c for c in nb.cells if c not in notebooks.cells_with(nb, "install")]
        for cell in nb.cells:
            if cell.cell_type == "code":
                ran = compared.get(cell["id"])
                cell.outputs, cell.execution_count = (ran.outputs, ran.execution_count) if ran else ([], None)
        changed += [path] if notebooks.write(path, notebooks.text(nb)) else []
    headline = root / "book" / "_static" / "headline.svg"
    if headline.is_file():
        drawn = headline_figure(results.load_all(root / "book" / "results"))
        changed += [headline] if notebooks.write(headline, drawn) else []
    failed = [o.chapter for o in outcomes if o.status == "failed"]
    if failed:
        raise ValueError(f"not refreshed, because a cell failed: {', '.join(failed)}")
    return changed


def install_cell(url: str, branch: str) -> list[Any]:
    """Return the cell that makes a chapter run on Colab, in a list; an empty list if there is no repository."""
    import nbformat.v4

    metadata, code = {"tags": ["install", "remove-cell"]}, INSTALL.format(url=url, branch=branch)
    return [nbformat.v4.new_code_cell(code, id="install", metadata=metadata)] if url else []
