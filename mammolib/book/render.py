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
from mammolib.book.project import repository, table_of_contents
from mammolib.book.reference import reference_page
from mammolib.book.reporting import reporting_page

LEADERBOARD = "% leaderboard\n"
"""The comment in book/benchmark.md that gives way to the table."""
JUPYTER_BOOK = [sys.executable, "-c", f"""
import functools, importlib.metadata as installed, sys
sys.modules[{notebooks.UNUSED!r}] = None
installed.entry_points = functools.cache(installed.entry_points)  # read anew for each citation: a second in ten
from jupyter_book.cli.main import main
main()""", "build"]  # fmt: skip
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


NEEDLESS = (
    "_static/**/*.map",  # for who mends the theme's scripts
    "_static/locales/**/*",  # the theme's words, which are in the pages already
    "_static/mathjax/*.js",
    "_static/mathjax/adaptors/**/*",
    "_static/mathjax/input/asciimath.js",
    "_static/mathjax/input/mml*",
    "_static/mathjax/input/mml*/**/*",
    "_static/mathjax/sre/mathmaps/*.json",
)
NEEDED = {
    "_static/mathjax/tex-chtml.js",  # what the pages load; the rest is loaded from its menu or by a rare command of TeX
    "_static/mathjax/sre/mathmaps/base.json",
    "_static/mathjax/sre/mathmaps/en.json",
}


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
    page = _make_pages(root, source, out, say)
    if real:
        say(f"these pages show real films ({', '.join(real)}): do not publish them")
    say(f"open {page.as_uri()}")
    return page


def build_early(root: Path | None = None, *, say: Callable[[str], None] = print) -> Path | None:
    """Render a first book while chapters are still being executed: those that are done, and the sources of the others.

    Sources have no figures that the text could refer to, so warnings do not count here. Pages that are there already
    stay, and a first book that cannot be made is none: `build` says at the end what is wrong.

    Returns:
        The page to open, or None.
    """
    import nbformat.v4

    root = results.root(root)
    out = root / "_build"
    if (out / "html" / "index.html").exists():
        return None
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".pages-", ignore_cleanup_errors=True) as place:
        source = Path(place) / "source"
        for path in (root / "chapters").glob("*.ipynb"):
            done = out / "source" / "chapters" / path.name
            nb = notebooks.read(done if done.is_file() else path)
            if not done.is_file():
                nb.cells.insert(1, nbformat.v4.new_markdown_cell(WAITING, id="waiting"))
            notebooks.write(source / "chapters" / path.name, notebooks.text(nb))
        try:
            stage(root, source, announced=True)
            page = _make_pages(root, source, out, lambda _: None, strict=False)
        except (ValueError, OSError):
            return None
    say(f"the chapters that are done, and the text of the others: open {page.as_uri()}")
    return page


def _make_pages(root: Path, source: Path, out: Path, say: Callable[[str], None], strict: bool = True) -> Path:
    """Make ``html`` in a folder and return its first page; an error, a missing page or, if strict, a warning raises.

    Always all of it, and elsewhere first. Sphinx does not warn again about a page it need not read again, and leaves an
    old table of contents beside it; and a book that fails must not take the place of the last that did not.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".pages-", ignore_cleanup_errors=True) as place:
        sphinx_book(source, Path(place), say, strict)
        made = Path(place) / "_build" / "html"
        for name in ["index", *table_of_contents(root)]:
            if not (made / f"{name}.html").is_file():
                raise ValueError(f"the book was not built: the page {name}.html is missing")
        lighten(made)
        if (out / "html").exists():
            (out / "html").rename(Path(place) / "before")
        made.rename(out / "html")
    return (out / "html" / "index.html").resolve()


def sphinx_book(
    source: Path, place: Path, say: Callable[[str], None], strict: bool = True, builder: str = "html"
) -> None:
    """Let Jupyter Book make ``_build/html`` in a folder, or what another builder of Sphinx's, such as epub, makes.

    Args:
        source: the staged source.
        place: the folder whose ``_build`` gets what is made.
        say: is given each warning after the first.
        strict: a warning is an error.
        builder: html, or a builder of Sphinx's.

    Raises:
        ValueError: Jupyter Book failed or, if strict, warned; names the first warning.
    """
    form = [] if builder == "html" else ["--builder", "custom", "--custom-builder", builder]
    options = ["-q", *(["-W", "--keep-going"] if strict else []), "--path-output"]
    done = subprocess.run(
        [*JUPYTER_BOOK, *form, *options, str(place.resolve()), str(source.resolve())],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    )  # fmt: skip
    if done.returncode != 0:
        lines = [line for line in COLOUR.sub("", done.stdout).splitlines() if WARNING.search(line)]
        for line in lines[1:]:
            say(line)
        raise ValueError(f"the book was not built: {lines[0] if lines else ' '.join(done.stdout.split())[-300:]}")


def lighten(html: Path) -> None:
    """Remove from the folder of the pages the parts of MathJax and of the theme that are never loaded."""
    for path in {path for pattern in NEEDLESS for path in html.glob(pattern)}:
        if path.is_file() and path.relative_to(html).as_posix() not in NEEDED:
            path.unlink()


def check_version() -> None:
    """Check that Jupyter Book is version 1: version 2 ignores _config.yml and _toc.yml, builds no site and exits 0.

    Raises:
        ValueError: it is missing or another version.
    """
    how = "version 1: pip install 'jupyter-book>=1.0.4,<2'"
    try:
        version = importlib.metadata.version("jupyter-book")
    except importlib.metadata.PackageNotFoundError:
        raise ValueError(f"the pages need Jupyter Book, {how}") from None
    if version.split(".")[0] != "1":
        raise ValueError(f"Jupyter Book is {version}, the pages need {how}")


def take_executed(root: Path, folder: Path, source: Path) -> list[Path]:
    """Stage the chapters in a folder, or in chapters/ in it, that were executed elsewhere; returns where they are now.

    Raises:
        FileNotFoundError: there is no chapter of this book in it.
        ValueError: a notebook in it is damaged, not executed to its end, or executed from other code.
    """
    folder = folder / "chapters" if (folder / "chapters").is_dir() else folder
    found = [p for p in sorted(folder.glob("*.ipynb")) if (root / "chapters" / p.name).is_file()]
    if not found:
        raise FileNotFoundError(f"{folder}: holds no chapter of this book")
    whole = {}
    for path in found:
        nb = notebooks.read(path)
        left, untrusted = notebooks.unfinished(nb), notebooks.untrusted(nb)
        if left or untrusted:
            why = f"not executed to its end: {left}" if left else f"{untrusted}; execute it again with `mammolib run`"
            raise ValueError(f"{path}: {why}")
        if notebooks.merge(notebooks.read(root / "chapters" / path.name), nb) is None:
            raise ValueError(f"{path}: executed from other code than chapters/{path.name} now has; execute it again")
        whole[source / "chapters" / path.name] = notebooks.text(notebooks.clean(nb))
    for path, content in whole.items():
        notebooks.write(path, content)
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
        OSError: a file cannot be read or written; the project has no _config.yml or _toc.yml.
    """
    names = [f"{f}.ipynb" for f in table_of_contents(root) if f.startswith("chapters/")]
    missing = [Path(n).stem for n in names if not (source / n).is_file()]
    if missing:
        raise ValueError(f"not executed: {', '.join(missing)}; first `mammolib run {' '.join(missing)}`")
    records = results.load_all(root / "book" / "results")
    wanted: dict[str, str | bytes] = {
        **{p.relative_to(root).as_posix(): p.read_bytes() for p in (root / "book").rglob("*") if p.is_file()},
        "_config.yml": (root / "_config.yml").read_text("utf-8") + (LAUNCH if repository(root)[0] else ""),
        "_toc.yml": (root / "_toc.yml").read_bytes(),
        "book/results.md": results.results_page(records),
        "book/runs.md": results.runs_page(records),
        "book/reporting.md": reporting_page(records),
        "book/reference.md": reference_page(),
    }
    if "book/benchmark.md" in wanted:
        wanted["book/benchmark.md"] = _with_leaderboard((root / "book" / "benchmark.md").read_text("utf-8"), records)
    for name in [] if announced else names:
        nb = notebooks.merge(notebooks.read(root / name), notebooks.read(source / name))
        if nb is None:
            say(f"{Path(name).stem}: its code has changed since; `mammolib run {Path(name).stem}` executes it again")
        else:
            wanted[name] = notebooks.text(nb)
    for path in [*(source / "book").rglob("*"), *(source / "chapters").rglob("*")]:
        if path.is_file() and path.relative_to(source).as_posix() not in (*wanted, *names):
            path.unlink()
    for name, content in wanted.items():
        notebooks.write(source / name, content)


def _with_leaderboard(page: str, records: list[results.Record]) -> str:
    """Put the table of the benchmark's records on real films in the place that a comment of the page keeps for it."""
    from mammolib.analysis.ladder import leaderboard
    from mammolib.results.tables import markdown

    head, *rows = leaderboard(record for record in records if record.data["name"] == "mini-MIAS")
    return page.replace(LEADERBOARD, f"{markdown(head, rows) if rows else 'No detector is recorded yet.'}\n")
