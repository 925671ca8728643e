"""Makes pages that need no browser with scripts: everything open, equations as MathML, strictly well-formed XHTML."""

from __future__ import annotations

import base64
import mimetypes
import re
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlparse

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
DROPPED = {"script", "noscript", "button", "style"}
"""Elements that a page on paper has no use for. A style within a picture stays."""
INLINE = {"p", "span", "summary", "a", "em", "strong", "label"}
"""Elements that hold no paragraph."""
OLD = {"border", "align", "valign", "scoped"}
"""Attributes that tables bring along and EPUB does not allow."""
GUESSES = " They stay in your browser, and the page shows them beside the answers later."
FORMULA = re.compile(r"\s*(?:\\\((.*)\\\)|\\\[(.*)\\\])\s*", re.S)
MATHML = "http://www.w3.org/1998/Math/MathML"
NAMESPACES = {"svg": "http://www.w3.org/2000/svg", "math": MATHML}


def mathml(formula: str, display: bool = False) -> str:
    """Return a formula as MathML; its LaTeX stays beside it, for who listens to the page.

    Args:
        formula: LaTeX, without dollar signs.
        display: on a line of its own.

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


class _Tidy(HTMLParser):
    """Writes a page again, tag by tag."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []
        self.open: list[tuple[str, bool, bool, str]] = []  # name, dropped with its content, a formula, name written
        self.ids: set[str] = set()

    def handle_decl(self, decl: str) -> None:
        self.written.append(f"<!{decl}>")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        there = {k: v or "" for k, v in attrs}
        drawing = any(name == "svg" for name, *_ in self.open)
        gone = self._gone() or "data-widget" in there or (tag in DROPPED and not (tag == "style" and drawing))
        gone = gone or "headerlink" in there.get("class", "").split()
        inline = bool(self.open) and self.open[-1][0] in INLINE
        written = "span" if tag == "p" and inline else tag
        if not gone:
            self.written.append(self._start(written, there))
        if tag not in VOID:
            self.open.append((tag, gone, "math" in there.get("class", "").split(), written))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID or tag not in [name for name, *_ in self.open]:
            return
        while self.open:
            name, gone, _, written = self.open.pop()
            if not gone:
                self.written.append(f"</{self._cased(written)}>")
            if name == tag:
                return

    def handle_data(self, data: str) -> None:
        if self._gone():
            return
        formula = FORMULA.fullmatch(data) if self.open and self.open[-1][2] else None
        if formula:
            self.written.append(mathml(formula[1] or formula[2], display=formula[1] is None))
        else:
            self.written.append(escape(data.replace(GUESSES, ""), quote=False))

    def _gone(self) -> bool:
        return bool(self.open) and any(gone for _, gone, *_ in self.open)

    @staticmethod
    def _cased(name: str) -> str:
        return {"clippath": "clipPath", "lineargradient": "linearGradient"}.get(name, name)

    def _start(self, tag: str, there: dict[str, str]) -> str:
        if there.get("id") in self.ids or there.get("role") == "doc-biblioentry":  # the first of a name is the place
            there = {k: v for k, v in there.items() if k != ("id" if there.get("id") in self.ids else "role")}
        self.ids.add(there.get("id", ""))
        if tag == "html":
            there |= {"lang": "en", "xml:lang": "en"}
        if tag == "details":
            there["open"] = "open"
        if tag in NAMESPACES:
            there.setdefault("xmlns", NAMESPACES[tag])
        raw = self.get_starttag_text() or ""  # the parser has lowered the case of names, which matters in SVG
        words = ""
        for name, value in there.items():
            if (tag in ("table", "td", "th", "tr", "col", "div", "style") and name in OLD) or name.startswith("on"):
                continue
            cased = re.search(rf"\s({re.escape(name)})\s*=", raw, re.I)
            words += f' {cased[1] if cased else name}="{escape(value)}"'
        return f"<{self._cased(tag)}{words}{'/' if tag in VOID else ''}>"


def tidy(page: str) -> str:
    """Return a page of the book as it can be read on paper, or on a reader of EPUBs.

    Scripts and widgets go: a still figure stands beside each widget. Folds are open. Formulas become MathML. What comes
    back is well-formed XML if every element but the void ones was closed.

    Args:
        page: HTML as Sphinx writes it.

    Raises:
        ValueError: a formula cannot be written as MathML.
    """
    writer = _Tidy()
    writer.feed(page)
    writer.close()
    return "".join(writer.written)


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
