"""Makes pages that need no browser with scripts: everything open, equations as MathML, strictly well-formed XHTML."""

from __future__ import annotations

import base64
import mimetypes
import re
from collections.abc import Callable
from html import escape
from pathlib import Path
from posixpath import dirname, join, normpath, relpath
from typing import Any
from urllib.parse import unquote, urlparse

DROPPED = "script, noscript, button, style:not(svg style), [data-widget], .headerlink"
"""What a page on paper has no use for: a still figure stands beside each widget."""
INLINE = {"p", "span", "summary", "a", "em", "strong", "label"}
"""Elements that hold no paragraph."""
OLD = {"border", "align", "valign", "scoped"}
"""Attributes that tables bring along and EPUB does not allow."""
GUESSES = " They stay in your browser, and the page shows them beside the answers later."
FORMULA = re.compile(r"\s*(?:\\\((.*)\\\)|\\\[(.*)\\\])\s*", re.S)
NAMESPACES = {"svg": "http://www.w3.org/2000/svg", "math": "http://www.w3.org/1998/Math/MathML"}
CASED = {
    name.lower(): name
    for name in "viewBox preserveAspectRatio clipPath clipPathUnits linearGradient radialGradient gradientUnits "
    "gradientTransform patternUnits patternTransform markerWidth markerHeight refX refY textLength".split()
}
"""Names in drawings, whose case matters there and which a parser of HTML lowers."""


def mathml(formula: str, display: bool = False) -> str:
    """Return a formula of LaTeX as MathML; the LaTeX stays beside it, for who listens to the page.

    Raises:
        ValueError: latex2mathml is missing, or cannot read the formula.
    """
    try:
        from latex2mathml.converter import convert
    except ImportError:
        raise ValueError("the EPUB and the print version need latex2mathml: pip install 'mammolib[paper]'") from None
    formula = formula.replace(r"\begin{split}", r"\begin{aligned}").replace(r"\end{split}", r"\end{aligned}").strip()
    try:
        made = convert(formula, display="block" if display else "inline")
    except Exception as err:
        raise ValueError(f"the formula {formula!r} has no MathML ({type(err).__name__})") from None
    return made.replace("<math ", f'<math alttext="{escape(" ".join(formula.split()))}" ', 1)


def parsed(page: str) -> Any:
    """Return HTML or XHTML as Beautiful Soup's tree, whose text is well-formed XML."""
    from bs4 import BeautifulSoup, Comment

    tree = BeautifulSoup(page, "html.parser")
    for comment in tree.find_all(string=lambda text: isinstance(text, Comment)):
        comment.extract()
    for part in tree.select("svg, svg *"):
        part.name = CASED.get(part.name, part.name)
        part.attrs = {CASED.get(name, name): value for name, value in part.attrs.items()}
    return tree


def element(markup: str) -> Any:
    """Return the element that a piece of HTML describes, to be put into a tree."""
    return parsed(markup).contents[0].extract()


def tidy(page: str) -> Any:
    """Return a page of Sphinx's as it can be read on paper, or on a reader of EPUBs, as a tree.

    Scripts and widgets go, folds are open, formulas become MathML.

    Raises:
        ValueError: a formula cannot be written as MathML.
    """
    tree, ids = parsed(page), set()
    for part in tree.select(DROPPED):
        part.decompose()
    for text in tree.find_all(string=True):
        formula = FORMULA.fullmatch(text) if "math" in text.parent.get("class", []) else None
        if formula:
            text.replace_with(element(mathml(formula[1] or formula[2], display=formula[1] is None)))
        elif GUESSES in text:
            text.replace_with(text.replace(GUESSES, ""))
    for part in tree.find_all(True):
        if part.name == "p" and part.parent.name in INLINE:
            part.name = "span"
        if part.get("id") in ids:  # the first of a name is the place
            del part["id"]
        ids.add(part.get("id", ""))
        if part.get("role") == "doc-biblioentry":
            del part["role"]
        if part.name == "html":
            part.attrs |= {"lang": "en", "xml:lang": "en"}
        if part.name == "details":
            part["open"] = "open"
        if part.name in NAMESPACES:
            part.attrs.setdefault("xmlns", NAMESPACES[part.name])
        table = part.name in ("table", "td", "th", "tr", "col", "div", "style")
        part.attrs = {k: v for k, v in part.attrs.items() if not (k.startswith("on") or (table and k in OLD))}
    return tree


def inlined(folder: Path, address: str) -> str:
    """Return a picture's address as a data address that holds the picture; one with a scheme stays as it is.

    Raises:
        OSError: the picture cannot be read.
    """
    if urlparse(address).scheme:
        return address
    path = folder / unquote(address)
    kind = mimetypes.guess_type(path.name)[0] or "image/png"
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"


def readdress(name: str, tree: Any, new: Callable[[str, str], str]) -> None:
    """Give each link of a page that leads into the book the address `new(name, address)`; "" makes it no link."""
    for link in tree.find_all("a", href=True):
        if link["href"] and not urlparse(link["href"]).scheme:
            link["href"] = new(name, link["href"])
            if not link["href"]:
                del link["href"]


def absolute(name: str, address: str) -> str:
    """Return an address, as the page of this name gives it, as it is from the book's folder: ``page#id``.

    Example:
        >>> absolute("chapters/01-data.xhtml", "../book/intro.html#a"), absolute("chapters/01-data.xhtml", "#b")
        ('book/intro.xhtml#a', 'chapters/01-data.xhtml#b')
    """
    page, mark, place = address.partition("#")
    page = re.sub(r"\.html$", ".xhtml", page)
    return (normpath(join(dirname(name), page)) if page else name) + mark + place


def relative(name: str, address: str) -> str:
    """Return an address from the book's folder as it is from the page of this name: `absolute` backwards."""
    page, mark, place = address.partition("#")
    return (relpath(page, dirname(name)) if page != name or not mark else "") + mark + place
