"""Makes the print version: the EPUB's pages joined to one page for A4, and a PDF of it where there is Chromium."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable
from html import escape
from pathlib import Path
from posixpath import dirname
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

from mammolib.book.paper import absolute, inlined, parsed, readdress
from mammolib.files import atomic

NAME = "book"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--headless", "--disable-gpu", "--no-first-run", "--no-pdf-header-footer", "--generate-pdf-document-outline"]
FLAGS += ["--no-sandbox"]  # which root and containers do not have; the page has no scripts and loads nothing
SECONDS = 600
STYLES = ("_static/pygments.css", "_static/paper.css")
NUMBERS = """
@page { @bottom-center { content: counter(page); font: 9pt sans-serif; color: #555; } }
@page :first { @bottom-center { content: none; } }
"""
"""Numbers of pages, which style sheets of EPUBs may not have."""
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
{style}
</style>
</head>
<body class="print">
<header class="title-page">
<h1>{title}</h1>
<p>{creator}</p>
<p>{description}</p>
<p>{rights}</p>
</header>
<nav class="contents">
<h1>Contents</h1>
{contents}
</nav>
{pages}
</body>
</html>
"""


def printed(epub: Path, *, say: Callable[[str], None] = print) -> Path:
    """Make ``book.html`` beside an EPUB of `mammolib.book.epub` and, where there is Chromium, ``book.pdf``.

    Returns:
        The path of the HTML.

    Raises:
        ValueError: Chromium makes no PDF.
        OSError: a file cannot be read or written.
    """
    out = epub.with_name(f"{NAME}.html")
    with tempfile.TemporaryDirectory(dir=epub.parent, prefix=".print-", ignore_cleanup_errors=True) as place:
        with zipfile.ZipFile(epub) as packed:
            packed.extractall(place)
        with atomic(out) as file:
            file.write(joined(Path(place)).encode("utf-8"))
        say(f"{out}: {out.stat().st_size / 1e6:.1f} MB")
        browser = next(filter(None, map(shutil.which, BROWSERS)), None)
        if browser is None:
            say(f"no PDF: there is no Chromium here; print {out} from a browser")
            return out
        pdf = _pdf(browser, out, Path(place).resolve())
        with atomic(out.with_suffix(".pdf")) as file:
            file.write(pdf)
        say(f"{out.with_suffix('.pdf')}: {len(pdf) / 1e6:.1f} MB")
    return out


def joined(folder: Path) -> str:
    """Return the pages of an EPUB unpacked in a folder as one HTML page that holds its pictures and loads nothing.

    Raises:
        OSError: a page or a picture cannot be read.
    """
    package = ElementTree.parse(folder / "content.opf")
    href = {item.get("id"): item.get("href", "") for item in package.iterfind(".//{*}item")}
    names = [href[item.get("idref")] for item in package.iterfind(".//{*}itemref")]
    trees = {name: parsed((folder / name).read_text(encoding="utf-8")) for name in names}
    places = {f"{name}#{part['id']}" for name, tree in trees.items() for part in tree.find_all(id=True)}

    def place(name: str, address: str) -> str:
        """Where in the one page a link of a page leads; a file that is not in the page has no place."""
        page, _, part = unquote(absolute(name, address)).partition("#")
        if page not in trees:
            return ""
        return f"#{_prefix(page)}-{part}" if f"{page}#{part}" in places else f"#{_prefix(page)}"

    contents = parsed((folder / "nav.xhtml").read_text(encoding="utf-8")).ol
    readdress("nav.xhtml", contents, place)
    pages = ""
    for name, tree in trees.items():
        body = tree.select_one("div.body")
        readdress(name, body, place)
        for image in body.find_all("img"):
            image["src"] = inlined(folder / dirname(name), image["src"])
        _rename(body, _prefix(name))
        pages += f'<article id="{_prefix(name)}">\n{body}\n</article>\n'
    words = ("title", "creator", "description", "rights")
    said = {word: escape(package.findtext(f".//{{*}}{word}", "").strip()) for word in words}
    style = "\n".join((folder / name).read_text(encoding="utf-8") for name in STYLES) + NUMBERS
    return PAGE.format(style=style, contents=contents, pages=pages, **said)


def _prefix(name: str) -> str:
    """Return what the ids of a page begin with: chapters-01-data."""
    return name.removesuffix(".xhtml").replace("/", "-")


def _rename(body: Any, prefix: str) -> None:
    """Put a prefix before each id of a page, and before what refers to it within drawings and for aids of reading."""
    for node in [body, *body.find_all(True)]:
        for name, value in node.attrs.items():
            if name == "id":
                node[name] = f"{prefix}-{value}"
            elif name in ("for", "aria-labelledby", "aria-describedby"):
                node[name] = " ".join(f"{prefix}-{part}" for part in value.split())
            elif node.name != "a" and name in ("href", "xlink:href"):
                node[name] = re.sub("^#", f"#{prefix}-", value)
            elif isinstance(value, str):
                node[name] = value.replace("url(#", f"url(#{prefix}-")


def _pdf(browser: str, page: Path, place: Path) -> bytes:
    """Let Chromium print a page, with a profile of its own in a folder."""
    out = place / f"{NAME}.pdf"
    command = [
        browser,
        *FLAGS,
        f"--user-data-dir={place / 'profile'}",
        f"--print-to-pdf={out}",
        page.resolve().as_uri(),
    ]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise ValueError(f"{browser} made no PDF of {page} in {SECONDS} seconds") from None
    if not out.is_file():
        raise ValueError(f"{browser} made no PDF of {page}: {done.stderr.strip()[-300:]}")
    return out.read_bytes()
