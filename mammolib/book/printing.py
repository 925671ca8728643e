"""Makes the print version: the EPUB's pages joined to one page for A4, and a PDF of it where there is Chromium."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable
from functools import partial
from html import escape
from pathlib import Path
from posixpath import dirname
from urllib.parse import unquote
from xml.dom import minidom

from mammolib.book.paper import VOID, inlined
from mammolib.book.solutions import absolute, classes, elements, readdress, words
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
<p>{author}</p>
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

    Args:
        epub: its path.
        say: is given each line a reader should see.

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
    """Return the pages of an unpacked EPUB as one HTML page that holds its pictures and loads nothing.

    Args:
        folder: where the EPUB is unpacked.

    Raises:
        OSError: a page or a picture cannot be read.
    """
    package = minidom.parse(str(folder / "content.opf"))
    href = {i.getAttribute("id"): i.getAttribute("href") for i in package.getElementsByTagName("item")}
    names = [href[i.getAttribute("idref")] for i in package.getElementsByTagName("itemref")]
    trees = {name: minidom.parse(str(folder / name)) for name in names}
    parts = [(name, e) for name, tree in trees.items() for e in tree.getElementsByTagName("*")]
    places = {f"{name}#{e.getAttribute('id')}" for name, e in parts if e.hasAttribute("id")}

    def place(name: str, address: str) -> str:
        """Where in the one page a link of a page leads; a file that is not in the page has no place."""
        page, _, part = unquote(absolute(name, address)).partition("#")
        if page not in trees:
            return ""
        return f"#{_prefix(page)}-{part}" if f"{page}#{part}" in places else f"#{_prefix(page)}"

    contents = minidom.parse(str(folder / "nav.xhtml")).getElementsByTagName("ol")[0]
    readdress(contents, partial(place, "nav.xhtml"))
    pages = ""
    for name, tree in trees.items():
        (body,) = [d for d in tree.getElementsByTagName("div") if "body" in classes(d)]
        readdress(body, partial(place, name))
        for image in body.getElementsByTagName("img"):
            image.setAttribute("src", inlined(folder / dirname(name), image.getAttribute("src")))
        _rename(body, _prefix(name))
        pages += f'<article id="{_prefix(name)}">\n{_html(body)}\n</article>\n'
    said = {n: escape(_said(package, n)) for n in ("title", "creator", "description", "rights")}
    style = "\n".join((folder / name).read_text(encoding="utf-8") for name in STYLES) + NUMBERS
    return PAGE.format(author=said.pop("creator"), style=style, contents=_html(contents), pages=pages, **said)


def _prefix(name: str) -> str:
    """Return what the ids of a page begin with: chapters-01-data."""
    return name.removesuffix(".xhtml").replace("/", "-")


def _rename(body: minidom.Element, prefix: str) -> None:
    """Put a prefix before each id of a page, and before what refers to it within drawings and for aids of reading."""
    for node in elements(body):
        for attribute in node.attributes.values():
            if attribute.name == "id":
                attribute.value = f"{prefix}-{attribute.value}"
            elif attribute.name in ("for", "aria-labelledby", "aria-describedby"):
                attribute.value = " ".join(f"{prefix}-{part}" for part in attribute.value.split())
            elif node.tagName != "a" and attribute.name in ("href", "xlink:href"):
                attribute.value = re.sub("^#", f"#{prefix}-", attribute.value)
            else:
                attribute.value = attribute.value.replace("url(#", f"url(#{prefix}-")


def _html(node: minidom.Element) -> str:
    """Return an element as HTML, in which only void elements may lack an end."""
    for part in elements(node):
        if part.tagName == "a" and not part.getAttribute("href") and part.hasAttribute("href"):
            part.removeAttribute("href")
        if not part.childNodes and part.tagName not in VOID:
            part.appendChild(minidom.Document().createTextNode(""))
    return node.toxml()


def _said(package: minidom.Document, name: str) -> str:
    """Return what the EPUB says about itself under a name of the Dublin Core."""
    (node,) = package.getElementsByTagName(f"dc:{name}")
    return words(node)


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
