"""Makes what a reader can take away: one EPUB, with the solutions of exercises and quizzes on a page of their own."""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from html import escape
from pathlib import Path, PurePosixPath
from posixpath import dirname, normpath
from typing import Any

import mammolib
from mammolib import results
from mammolib.book.paper import absolute, element, readdress, relative, tidy
from mammolib.book.render import sphinx_book
from mammolib.files import atomic

NAME = "mammolib"
NOTICE = "For teaching and research. Not for clinical use."
NEEDLESS = {"sphinx-mathjax-offline"}
"""Extensions whose files would only make the EPUB larger; scripts in pages go afterwards."""
STYLE = "paper.css"
STYLES = (f"paper/{STYLE}", STYLE, "epub.css", "pygments.css")
SOLUTIONS = "chapters/solutions.xhtml"
"""Where solutions come to stand: in the folder of the chapters, so that the addresses of pictures stay right."""
SOLUTIONS_SOURCE = """# Solutions

The solutions of the exercises and the answers of the quizzes, chapter by chapter.
"""


def epub(root: Path | None = None, *, say: Callable[[str], None] = print) -> Path:
    """Make ``_build/mammolib.epub`` from the staged book, as `build` leaves it, and return its path.

    Raises:
        ValueError: Sphinx warned or failed, or a formula has no MathML.
        OSError: a file cannot be read or written.
    """
    root = results.root(root)
    out = root / "_build" / f"{NAME}.epub"
    with tempfile.TemporaryDirectory(dir=root / "_build", prefix=".epub-") as place:
        made = _made(root / "_build" / "source", Path(place).resolve(), say)
        with atomic(out) as file:
            _rewrite(made, file)
    say(f"{out}: {out.stat().st_size / 1e6:.1f} MB")
    return out


def _made(source: Path, place: Path, say: Callable[[str], None]) -> Path:
    """Let Sphinx make an EPUB of the staged book in a folder of its own, without themes and scripts."""
    import yaml

    copy = place / "source"
    shutil.copytree(source, copy)
    (copy / "paper").mkdir()
    style = copy / "book" / "_static" / STYLE
    (copy / "paper" / STYLE).write_bytes(style.read_bytes() if style.is_file() else b"")
    (copy / SOLUTIONS).with_suffix(".md").write_text(SOLUTIONS_SOURCE, encoding="utf-8")
    toc = yaml.safe_load((copy / "_toc.yml").read_text(encoding="utf-8"))
    toc.get("parts", [toc])[-1]["chapters"].append({"file": SOLUTIONS.removesuffix(".xhtml")})
    (copy / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    config = yaml.safe_load((copy / "_config.yml").read_text(encoding="utf-8"))
    config.pop("launch_buttons", None)
    config["sphinx"]["config"] |= _settings(config)
    (copy / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    sphinx_book(copy, place, say, builder="epub")
    return place / "_build" / "epub" / f"{NAME}.epub"


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of Sphinx that differ from those of the pages."""
    version = mammolib.__version__
    return {
        "extensions": [e for e in config["sphinx"]["config"]["extensions"] if e not in NEEDLESS],
        "html_theme": "basic", "html_theme_options": {}, "html_static_path": ["paper"], "html_css_files": [STYLE],
        "html_js_files": [], "html_copy_source": False, "html_permalinks": False,
        "language": "en", "version": version, "release": version,
        **{f"epub_{key}": config["author"] for key in ("author", "contributor", "publisher")},
        **{f"epub_{key}": f"{NAME}-{version}" for key in ("identifier", "uid")},
        "epub_title": config["title"], "epub_copyright": f"{config['copyright']}, MIT licence",
        "epub_description": NOTICE, "epub_language": "en", "epub_basename": NAME, "epub_css_files": [STYLE],
        "epub_show_urls": "no", "epub_tocdepth": 2, "epub_tocdup": False, "epub_tocscope": "includehidden",
        "epub_use_index": False,
    }  # fmt: skip


def _rewrite(path: Path, file: Any) -> None:
    """Write an EPUB of Sphinx's again: tidied, solutions gathered, all pages in the contents and in order."""
    with zipfile.ZipFile(path) as old:
        content = {name: old.read(name) for name in old.namelist()}
    opf, nav, ncx = (content[name].decode("utf-8") for name in ("content.opf", "nav.xhtml", "toc.ncx"))
    pages = {n: tidy(content[n].decode("utf-8")) for n in content if n.endswith(".xhtml") and n != "nav.xhtml"}
    nav, ncx = (re.sub(r'(?<=href=")[^"#]+|(?<=src=")[^"#]+', lambda m: normpath(m[0]), text) for text in (nav, ncx))
    titles = {name: escape(page.title.get_text().strip(), quote=False) for name, page in pages.items()}
    nav = re.sub(r'(<a href="([^"#]+)">)[^<]*', lambda m: m[1] + titles[m[2]], nav)  # Sphinx leaves the numbers out
    order = list(dict.fromkeys(re.findall(r'href="([^"#]+)', nav)))
    gather(pages, order)
    for page in pages.values():
        _leave_out_other_runs(page)
        for link in page.select('link[href*="_static/"]'):
            if link["href"].partition("_static/")[2] not in STYLES:
                link.decompose()
    texts = {name: str(page) for name, page in pages.items()}
    opf = _packaged(opf, texts, order)
    content |= {n: t.encode() for n, t in {"content.opf": opf, "nav.xhtml": nav, "toc.ncx": ncx, **texts}.items()}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in content.items():
            new.writestr(name, data, zipfile.ZIP_STORED if name == "mimetype" else None)


def gather(pages: dict[str, Any], order: list[str]) -> None:
    """Move solutions and answers to the page kept for them; each place and its solution link to one another.

    Args:
        pages: trees by the name of their page; changed in place.
        order: the names of pages in the order of reading.
    """
    moved: dict[str, str] = {}
    for name, page in pages.items():
        readdress(name, page, absolute)
    for name in order:
        if dirname(name) == dirname(SOLUTIONS) and name != SOLUTIONS:
            moved |= _move(name, pages[name], pages[SOLUTIONS].section)
    for name, page in pages.items():
        readdress(name, page, lambda name, address: relative(name, moved.get(address, address)))


def _move(name: str, page: Any, place: Any) -> dict[str, str]:
    """Move the solutions of one chapter to the end of their section; returns new addresses by old ones."""
    moved: dict[str, str] = {}
    chapter, answers = PurePosixPath(name).stem, 0
    for solution in page.select("div.solution, div.dropdown.admonition"):
        if "solution" in solution["class"]:
            label, own = "Solution", solution.get("id", "").rpartition("/")[2]  # without the folder of its page
        elif solution.get_text().lstrip("\n").startswith("Answer"):
            answers += 1
            label, own = "Answer", f"{chapter}-answer-{answers}"
            solution.p.string = ""
            solution.p.append(element(f'<a href="{name}#to-{own}">Answer to question {answers}</a>'))
        else:
            continue
        if not moved:
            place.append(element(f'<h2><a href="{name}">{escape(page.h1.get_text())}</a></h2>'))
        moved[f"{name}#{solution.get('id')}"] = f"{SOLUTIONS}#{own}"
        solution["id"] = own
        for part in solution.find_all(id=True):
            moved[f"{name}#{part['id']}"] = f"{SOLUTIONS}#{chapter}-{part['id']}"
            part["id"] = f"{chapter}-{part['id']}"
        link = f'<p class="to-solution" id="to-{own}"><a href="{SOLUTIONS}#{own}">{label}</a></p>'
        place.append(solution.replace_with(element(link)))
    return moved


def _leave_out_other_runs(page: Any) -> None:
    """Leave of each fold with what other runs say only its title: opened, they would fill a third of the book."""
    for title in page.select("details > summary:first-child, div > p:first-child"):
        words = title.get_text().strip("\n")
        if words.endswith("in other runs"):
            title.parent.replace_with(element(f"<p>{escape(words)}: see the pages of the book.</p>"))


def _packaged(opf: str, pages: dict[str, str], order: list[str]) -> str:
    """Let a package say which pages hold MathML or SVG, and in which order pages are read."""
    for name, page in pages.items():
        words = " ".join(p for p, mark in (("mathml", "<math"), ("svg", "<svg")) if mark in page)
        if words:
            opf = opf.replace(f'href="{name}"', f'href="{name}" properties="{words}"', 1)
    ids = {href: name for name, href in re.findall(r'<item id="([^"]+)" href="([^"]+)"', opf)}
    spine = "".join(f'<itemref idref="{ids[name]}" />' for name in order)
    return re.sub(r"(<spine\b[^>]*>).*(</spine>)", rf"\1{spine}\2", opf, flags=re.S)
