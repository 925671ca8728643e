"""Makes what a reader can take away: one EPUB."""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from posixpath import normpath
from typing import Any
from xml.dom import minidom

import mammolib
from mammolib import results
from mammolib.book import solutions
from mammolib.book.paper import tidy
from mammolib.book.render import sphinx_book
from mammolib.files import atomic

NAME = "mammolib"
NOTICE = "For teaching and research. Not for clinical use."
NEEDLESS = {"sphinx-mathjax-offline"}
"""Extensions whose files would only make the EPUB larger; scripts in pages go afterwards."""
STYLE = "paper.css"


def epub(root: Path | None = None, *, source: Path | None = None, say: Callable[[str], None] = print) -> Path:
    """Make ``_build/mammolib.epub`` from the staged book, and return its path.

    Args:
        root: the project's folder; default: found from here upwards.
        source: the staged source, as `build` leaves it; default ``_build/source``.
        say: is given each line a reader should see.

    Raises:
        ValueError: Sphinx warned or failed, or a formula has no MathML.
        OSError: a file cannot be read or written.
    """
    root = results.root(root)
    out = root / "_build" / f"{NAME}.epub"
    with tempfile.TemporaryDirectory(dir=root / "_build", prefix=".epub-") as place:
        made = _made(source or root / "_build" / "source", Path(place).resolve(), "epub", say)
        with atomic(out) as file:
            _rewrite(made / f"{NAME}.epub", file)
    say(f"{out}: {out.stat().st_size / 1e6:.1f} MB")
    return out


def _made(source: Path, place: Path, builder: str, say: Callable[[str], None]) -> Path:
    """Let Sphinx make one form of the staged book in a folder of its own, without themes and scripts."""
    import yaml

    copy = place / "source"
    shutil.copytree(source, copy)
    (copy / "paper").mkdir()
    style = copy / "book" / "_static" / STYLE
    (copy / "paper" / STYLE).write_bytes(style.read_bytes() if style.is_file() else b"")
    (copy / solutions.PAGE).with_suffix(".md").write_text(solutions.SOURCE, encoding="utf-8")
    toc = yaml.safe_load((copy / "_toc.yml").read_text(encoding="utf-8"))
    toc.get("parts", [toc])[-1]["chapters"].append({"file": solutions.PAGE.removesuffix(".xhtml")})
    (copy / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    config = yaml.safe_load((copy / "_config.yml").read_text(encoding="utf-8"))
    config.pop("launch_buttons", None)
    config["sphinx"]["config"] |= _settings(config)
    (copy / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    sphinx_book(copy, place, say, builder=builder)
    return place / "_build" / builder


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of Sphinx that differ from those of the pages."""
    return {
        "extensions": [e for e in config["sphinx"]["config"]["extensions"] if e not in NEEDLESS],
        "html_theme": "basic",
        "html_theme_options": {},
        "html_static_path": ["paper"],
        "html_css_files": [STYLE],
        "html_js_files": [],
        "html_copy_source": False,
        "html_permalinks": False,
        "epub_basename": NAME,
        "epub_css_files": [STYLE],
        "epub_title": config["title"],
        "epub_author": config["author"],
        "epub_contributor": config["author"],
        "epub_publisher": config["author"],
        "epub_copyright": f"{config['copyright']}, MIT licence",
        "epub_description": NOTICE,
        "epub_language": "en",
        "epub_identifier": f"{NAME}-{mammolib.__version__}",
        "epub_uid": f"{NAME}-{mammolib.__version__}",
        "epub_show_urls": "no",
        "epub_tocdepth": 2,
        "epub_tocdup": False,
        "epub_tocscope": "includehidden",
        "epub_use_index": False,
        "language": "en",
        "version": mammolib.__version__,
        "release": mammolib.__version__,
    }


def _rewrite(path: Path, file: Any) -> None:
    """Write an EPUB of Sphinx's again: tidied, solutions gathered, all pages in the contents and in order."""
    with zipfile.ZipFile(path) as old:
        content = {name: old.read(name) for name in old.namelist()}
    opf, nav, ncx = (content[name].decode("utf-8") for name in ("content.opf", "nav.xhtml", "toc.ncx"))
    pages = {n: tidy(content[n].decode("utf-8")) for n in content if n.endswith(".xhtml") and n != "nav.xhtml"}
    nav, ncx = (re.sub(r'(?<=href=")[^"#]+|(?<=src=")[^"#]+', lambda m: normpath(m[0]), text) for text in (nav, ncx))
    titles = {name: re.findall(r"<title>(.*?)</title>", page, re.S)[0].strip() for name, page in pages.items()}
    nav = re.sub(r'(<a href="([^"#]+)">)[^<]*', lambda m: m[1] + titles[m[2]], nav)  # Sphinx leaves the numbers out
    order = list(dict.fromkeys(re.findall(r'href="([^"#]+)', nav)))
    for name, page in pages.items():
        page = re.sub(r'(<a\b[^>]*href="(?![a-z]+:)[^"#]*)\.html(?=["#])', r"\1.xhtml", page)
        pages[name] = re.sub(r'<link\b[^>]*href="[./]*_static/(?!paper\.css|epub\.css|pygments\.css)[^>]*>', "", page)
    trees = {name: minidom.parseString(page) for name, page in pages.items()}
    solutions.gather(trees, order)
    for name, tree in trees.items():
        _leave_out_other_runs(tree)
        pages[name] = tree.toxml()
    opf = _packaged(opf, pages, order)
    content |= {"content.opf": opf.encode(), "nav.xhtml": nav.encode(), "toc.ncx": ncx.encode()}
    content |= {name: page.encode() for name, page in pages.items()}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in content.items():
            new.writestr(name, data, zipfile.ZIP_STORED if name == "mimetype" else None)


def _leave_out_other_runs(tree: minidom.Document) -> None:
    """Leave of each fold with what other runs say only its title: opened, they would fill a third of the book."""
    for fold in [*tree.getElementsByTagName("details"), *tree.getElementsByTagName("div")]:
        titles = [n for n in fold.childNodes if n.nodeType == n.ELEMENT_NODE and n.tagName in ("summary", "p")][:1]
        if titles and solutions.words(titles[0]).endswith("in other runs"):
            left = tree.createElement("p")
            left.appendChild(tree.createTextNode(f"{solutions.words(titles[0])}: see the pages of the book."))
            solutions.replace(fold, left)


def _packaged(opf: str, pages: dict[str, str], order: list[str]) -> str:
    """Let a package say which pages hold MathML or SVG, and in which order pages are read."""
    for name, page in pages.items():
        words = " ".join(p for p, mark in (("mathml", "<math"), ("svg", "<svg")) if mark in page)
        if words:
            opf = opf.replace(f'href="{name}"', f'href="{name}" properties="{words}"', 1)
    ids = {href: name for name, href in re.findall(r'<item id="([^"]+)" href="([^"]+)"', opf)}
    spine = "".join(f'<itemref idref="{ids[name]}" />' for name in order)
    return re.sub(r"(<spine\b[^>]*>).*(</spine>)", rf"\1{spine}\2", opf, flags=re.S)
