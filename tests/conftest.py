"""What the tests share: the real films where there are any, small projects, and nbval's executions of the chapters.

Chapters are executed once. nbval does it, in a kernel of this environment; what it saw is kept for the session, and the
test of the pages (which comes last) renders that. A chapter that nbval has not executed, because only some tests were
asked for, is taken from what the reader has executed, or executed as `mammolib run` does.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import nbformat.v4 as v4
import pytest
from hypothesis import settings

from mammolib import mias
from mammolib.book import notebooks
from mammolib.book.session import PREFIX

ROOT = Path(__file__).resolve().parent.parent
EXECUTED = pytest.StashKey[dict[Path, dict[str, list[Any]]]]()
"""What nbval saw: path of a chapter -> id of a cell -> its outputs; only of cells that passed."""

LONG = ("04-", "05-", "07-", "08-", "09-", "10-", "11-", "12-", "13-")
"""The chapters that train a network, or fit and score for half a minute."""

settings.register_profile("mammolib", deadline=None)  # a busy machine is no failing test
settings.load_profile("mammolib")

PARAMETERS = 'profile = "quick"\nseed = 0\ndata = "phantom"'


def pytest_configure(config: pytest.Config) -> None:
    """Give nbval's kernels what `mammolib run` gives its own."""
    config.stash[EXECUTED] = {}
    os.environ[PREFIX] = sys.prefix  # book.start then refuses a kernel of another environment
    os.environ["MAMMOLIB_PROGRESS"] = "0"  # a bar would be part of a cell's output


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow the pages and the chapters that train, but for those that differ from the last commit; pages last.

    The pages show what the chapters' cells gave.
    """
    command = ["git", "diff", "--name-only", "HEAD", "--", "chapters"]
    changed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.split()
    for item in items:
        name = item.path.name
        if name == "test_site.py" or (name.startswith(LONG) and f"chapters/{name}" not in changed):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: item.path.name == "test_site.py")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Any:
    """Keep what a cell of a chapter gave under nbval."""
    report = yield
    if type(item).__name__ == "IPyNbCell" and report.when == "call" and report.passed:
        item.config.stash[EXECUTED].setdefault(item.path, {})[item.cell["id"]] = list(item.test_outputs)
    return report


@pytest.fixture(scope="session")
def real_films() -> list[mias.Film]:
    """The 322 films of mini-MIAS."""
    folder = os.environ.get(mias.VARIABLE)
    if not folder:
        pytest.skip(f"needs the real films: set {mias.VARIABLE} to their folder")
    return mias.load(folder)


def chapter(*cells: Any, parameters: str | None = PARAMETERS) -> Any:
    """A notebook with a title, the parameters if there are any, and these cells; a string is a code cell."""
    made = [v4.new_markdown_cell("# A chapter", id="title")]
    if parameters is not None:
        made.append(v4.new_code_cell(parameters, id="parameters", metadata={"tags": ["parameters"]}))
    made += [v4.new_code_cell(c, id=f"cell-{i}") if isinstance(c, str) else c for i, c in enumerate(cells)]
    return v4.new_notebook(cells=made, metadata=notebooks.METADATA)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A function that makes a small project of these chapters, with the real configuration, and returns its folder."""

    def make(**chapters: Any) -> Path:
        root = tmp_path_factory.mktemp("project")
        (root / "chapters").mkdir()
        (root / "book" / "_static" / "widgets").mkdir(parents=True)
        (root / "_config.yml").write_text((ROOT / "_config.yml").read_text())
        (root / "book" / "_static" / "mammolib.css").write_text("")
        (root / "book" / "_static" / "names.js").write_text("")
        (root / "book" / "_static" / "widgets" / "widgets.css").write_text("")
        (root / "book" / "references.bib").write_text("@misc{a, title = {T}, author = {A. B.}, year = {2000}}\n")
        (root / "book" / "intro.md").write_text("# A book\n\nIt cites {cite}`a`.\n\n```{bibliography}\n```\n")
        lines = ["format: jb-book", "root: book/intro", "chapters:"]
        for name, nb in chapters.items():
            name = f"{name[1:3]}-{name[4:]}"  # c01_data is chapter 01-data
            nbformat.write(nb, root / "chapters" / f"{name}.ipynb")
            lines.append(f"  - file: chapters/{name}")
        (root / "_toc.yml").write_text("\n".join(lines) + "\n")
        return root

    return make
