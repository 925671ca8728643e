"""What ties a sentence of the book to the records: it is written again from them and looked up in its page."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import nbformat

from mammolib import results

ROOT = Path(__file__).resolve().parent.parent


@cache
def page(name: str) -> str:
    """Return the text of a page (`book/intro.md`, `README.md`) or a chapter's Markdown, with single blanks.

    Words that link to the glossary stand as words.
    """
    path = ROOT / name
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    else:
        text = path.read_text(encoding="utf-8")
    text = re.sub(r"\{term\}`([^`<]+?)(?: <[^>]+>)?`", r"\1", text)
    return re.sub(r"\s+", " ", text)


@cache
def record(stem: str) -> results.Record:
    """Return a committed record by its file name without the ending, such as "A-62d727b9eb9d"."""
    return results.load(ROOT / "book" / "results" / f"{stem}.json")


def value(stem: str, metric: str) -> Any:
    """Return a number of a committed record."""
    return record(stem).metrics[metric]["value"]


def interval(stem: str, metric: str, digits: int = 3) -> str:
    """Return a number of a committed record with its interval, as the book writes it: "0.832 [0.755, 0.906]"."""
    m = record(stem).metrics[metric]
    return f"{m['value']:.{digits}f} [{m['low']:.{digits}f}, {m['high']:.{digits}f}]"


def states(name: str, sentence: str) -> None:
    """Assert that a page holds a sentence, blanks aside."""
    wanted = re.sub(r"\s+", " ", sentence).strip()
    assert wanted in page(name), f"{name} does not say: {wanted}"
