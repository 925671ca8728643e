"""Makes the pages: stages what surrounds the chapters beside the executed ones, and runs Jupyter Book over it."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from mammolib import results
from mammolib.book import notebooks
from mammolib.book.hygiene import on_real_films
from mammolib.book.lighter import lighten
from mammolib.book.project import repository, table_of_contents
from mammolib.book.reference import reference_page
from mammolib.book.reporting import reporting_page

LEADERBOARD = b"% leaderboard\n"
"""The comment in book/benchmark.md that gives way to the table."""
JUPYTER_BOOK = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build"]
STRICT = ["-W", "--keep-going"]
OPTIONS = ["-q", *STRICT, "--path-output"]
WAITING = """```{note}
This chapter is being executed. Its figures and tables appear here when the command has ended: reload the page then.
```"""
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
WARNING = re.compile(r"\b(WARNING|ERROR|CRITICAL|SEVERE)\b|^\w*(Error|Exception)\b")

LAUNCH = """
launch_buttons:
  notebook_interface: jupyterlab
  binderhub_url: https://mybinder.org
  colab_url: https://colab.research.google.com
"""
"""What the staged _config.yml gains once the project's own names a repository. Before, a button would lead nowhere."""


def build(
    root: Path | None = None,
    *,
    executed: str | os.PathLike[str] | None = None,
    source: Path | None = None,
    out: Path | None = None,
    public: bool = False,
    say: Callable[[str], None] = print,
) -> Path:
    """Render the book and return the page to open.

    Args:
        root: the project's folder; default: found from here upwards.
        executed: a folder of chapters that were executed elsewhere; they take the place of those executed here.
        source: where the staged source is; default ``_build/source``.
        out: the folder whose ``_build/html`` gets the pages; default: the project's.
        public: the pages are to be published: chapters executed on real films are refused.
        say: is given each line a reader should see.

    Raises:
        ValueError: a chapter has not been executed, or shows real films and is to be public; Jupyter Book is not
            version 1, warned or failed; a page is missing.
        OSError: a file cannot be read or written.
    """
    root = results.root(root)
    source, out = source or root / "_build" / "source", (out or root) / "_build"
    check_version()
    if executed is not None:
        take_executed(root, Path(executed).expanduser(), source)
    stage(root, source, say)
    real = on_real_films(source)
    if real and public:
        raise ValueError(f"{', '.join(real)}: executed on real films, which may not be published; run it on phantoms")

    out.mkdir(parents=True, exist_ok=True)
    # Always all of it, and elsewhere first. Sphinx does not warn again about a page it need not read again, and leaves
    # an old table of contents beside it; and a book that fails must not take the place of the last that did not.
    with tempfile.TemporaryDirectory(dir=out, prefix=".pages-", ignore_cleanup_errors=True) as place:
        _make_pages(root, source.resolve(), Path(place).resolve(), say)
        if (out / "html").exists():
            (out / "html").rename(Path(place) / "before")
        (Path(place) / "_build" / "html").rename(out / "html")
    page = out / "html" / "index.html"
    if real:
        say(f"these pages show real films ({', '.join(real)}): do not publish them")
    say(f"open {page.resolve().as_uri()}")
    return page


def build_early(root: Path | None = None, *, say: Callable[[str], None] = print) -> Path | None:
    """Render a first book while chapters are still being executed: those that are done, and the sources of the others.

    Sources have no figures that the text could refer to, so warnings do not count here. Pages that are there already
    stay, and a first book that cannot be made is none: `build` says at the end what is wrong.

    Args:
        root: the project's folder; default: found from here upwards.
        say: is given the line that says what to open.

    Returns:
        The page to open, or None.
    """
    root = results.root(root)
    out = root / "_build"
    page = out / "html" / "index.html"
    if page.exists():
        return None
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".pages-", ignore_cleanup_errors=True) as place:
        source = Path(place).resolve() / "source"
        for path in sorted((root / "chapters").glob("*.ipynb")):
            done = out / "source" / "chapters" / path.name
            content = done.read_bytes() if done.is_file() else _announced(path)
            notebooks.update(source / "chapters" / path.name, content)
        try:
            stage(root, source, lambda _: None, announced=True)
            _make_pages(root, source, Path(place).resolve(), lambda _: None, strict=False)
        except (ValueError, OSError):
            return None
        (Path(place) / "_build" / "html").rename(out / "html")
    say(f"the chapters that are done, and the text of the others: open {page.resolve().as_uri()}")
    return page


def _announced(path: Path) -> str:
    """Return a chapter that has no results yet, as the text of a notebook that says so under its title."""
    import nbformat.v4

    nb = notebooks.read(path)
    nb.cells.insert(1, nbformat.v4.new_markdown_cell(WAITING, id="waiting"))
    return notebooks.text(nb)


def sphinx_book(
    source: Path, place: Path, say: Callable[[str], None], strict: bool = True, builder: str = "html"
) -> None:
    """Let Jupyter Book make ``_build/html`` in a folder, or what another builder of Sphinx's makes.

    Args:
        source: the staged source.
        place: the folder whose ``_build`` gets what is made.
        say: is given each warning after the first.
        strict: a warning is an error.
        builder: html, or a builder of Sphinx's such as epub.

    Raises:
        ValueError: Jupyter Book failed or, if strict, warned; names the first warning.
    """
    options = [o for o in OPTIONS if strict or o not in STRICT]
    form = [] if builder == "html" else ["--builder", "custom", "--custom-builder", builder]
    command = [*JUPYTER_BOOK, *form, *options, str(place), str(source)]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    if done.returncode != 0:
        lines = [line for line in COLOUR.sub("", done.stdout).splitlines() if WARNING.search(line)]
        for line in lines[1:]:
            say(line)
        raise ValueError(f"the book was not built: {lines[0] if lines else ' '.join(done.stdout.split())[-300:]}")


def _make_pages(root: Path, source: Path, place: Path, say: Callable[[str], None], strict: bool = True) -> None:
    """Make the pages in a folder; an error, a missing page or, if strict, a warning raises."""
    sphinx_book(source, place, say, strict)
    pages = ["index", *table_of_contents(root)]
    missing = [f for f in pages if not (place / "_build" / "html" / f"{f}.html").is_file()]
    if missing:
        raise ValueError(f"the book was not built: the page {missing[0]}.html is missing")
    lighten(place / "_build" / "html")


def check_version() -> None:
    """Check that Jupyter Book is version 1: version 2 ignores _config.yml and _toc.yml, builds no site and exits 0.

    Raises:
        ValueError: it is missing or another version.
    """
    try:
        version = importlib.metadata.version("jupyter-book")
    except importlib.metadata.PackageNotFoundError:
        raise ValueError("the pages need Jupyter Book: pip install 'jupyter-book>=1.0.4,<2'") from None
    if version.split(".")[0] != "1":
        raise ValueError(f"Jupyter Book is {version}, the pages need version 1: pip install 'jupyter-book>=1.0.4,<2'")


def take_executed(root: Path, folder: Path, source: Path) -> list[Path]:
    """Stage the chapters in a folder that were executed elsewhere; returns where they are now.

    Args:
        root: the project's folder.
        folder: holds NN-name.ipynb, or a folder chapters/ with them.
        source: the staged source.

    Raises:
        FileNotFoundError: there is no chapter of this book in it.
        ValueError: a notebook in it is damaged, not executed to its end, or executed from other code.
    """
    folder = folder / "chapters" if (folder / "chapters").is_dir() else folder
    found = {p.stem: p for p in sorted(folder.glob("*.ipynb")) if (root / "chapters" / p.name).is_file()}
    if not found:
        raise FileNotFoundError(f"{folder}: holds no chapter of this book")
    whole = {}
    for name, path in found.items():
        nb = notebooks.read(path)
        problem = notebooks.unfinished(nb)
        if problem:
            raise ValueError(f"{path}: not executed to its end: {problem}")
        problem = notebooks.untrusted(nb)
        if problem:
            raise ValueError(f"{path}: {problem}; execute it again with `mammolib run`")
        if notebooks.merge(notebooks.read(root / "chapters" / f"{name}.ipynb"), nb) is None:
            raise ValueError(f"{path}: executed from other code than chapters/{name}.ipynb now has; execute it again")
        whole[source / "chapters" / f"{name}.ipynb"] = notebooks.text(notebooks.clean(nb))
    for path, content in whole.items():
        notebooks.update(path, content)
    return list(whole)


def stage(root: Path, source: Path, say: Callable[[str], None] = print, announced: bool = False) -> None:
    """Bring what the book is made from up to date: all but the outputs of the chapters, which execution leaves there.

    Args:
        root: the project's folder.
        source: the staged source.
        say: is given a line for each chapter whose code has changed since it was executed; it stays as it was.
        announced: leave the chapters as they are staged: some have not been executed yet, see `build_early`.

    Raises:
        ValueError: a chapter of the book has not been executed.
        FileNotFoundError: the project has no _config.yml or _toc.yml.
        OSError: a file cannot be read or written.
    """
    names = [f"{f}.ipynb" for f in table_of_contents(root) if f.startswith("chapters/")]
    missing = [Path(n).stem for n in names if not (source / n).is_file()]
    if missing:
        raise ValueError(f"not executed: {', '.join(missing)}; first `mammolib run {' '.join(missing)}`")
    wanted = {str(p.relative_to(root)): p.read_bytes() for p in sorted((root / "book").rglob("*")) if p.is_file()}
    config = (root / "_config.yml").read_bytes()
    wanted["_config.yml"] = config + (LAUNCH.encode() if repository(root)[0] else b"")
    records = results.load_all(root / "book" / "results")
    wanted["book/results.md"] = results.results_page(records).encode("utf-8")
    wanted["book/runs.md"] = results.runs_page(records).encode("utf-8")
    if "book/benchmark.md" in wanted:
        wanted["book/benchmark.md"] = _with_leaderboard(wanted["book/benchmark.md"], records)
    wanted["book/reporting.md"] = reporting_page(records).encode("utf-8")
    wanted["book/reference.md"] = reference_page().encode("utf-8")
    wanted["_toc.yml"] = (root / "_toc.yml").read_bytes()
    for name in [] if announced else names:
        nb = notebooks.merge(notebooks.read(root / name), notebooks.read(source / name))
        if nb is None:
            say(f"{Path(name).stem}: its code has changed since; `mammolib run {Path(name).stem}` executes it again")
        else:
            wanted[name] = notebooks.text(nb).encode("utf-8")
    for path in [p for folder in ("book", "chapters") for p in (source / folder).rglob("*")]:
        if path.is_file() and path.relative_to(source).as_posix() not in (*wanted, *names):
            path.unlink()
    for name, content in wanted.items():
        notebooks.update(source / name, content)


def _with_leaderboard(page: bytes, records: list[results.Record]) -> bytes:
    """Put the table of the benchmark's records on real films in the place that a comment of the page keeps for it."""
    from mammolib.analysis.ladder import leaderboard
    from mammolib.results.tables import markdown

    head, *rows = leaderboard(record for record in records if record.data["name"] == "mini-MIAS")
    table = markdown(head, rows) if rows else "No detector is recorded yet."
    return page.replace(LEADERBOARD, f"{table}\n".encode())
