"""What a reader takes away: pages without scripts, formulas as MathML, one EPUB, one page to print and its PDF."""

import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from posixpath import dirname
from urllib.parse import urlparse
from xml.etree import ElementTree

import nbformat.v4 as v4
import pytest
from conftest import chapter

from mammolib import book
from mammolib.book import printing, takeaway
from mammolib.book.paper import absolute, parsed, tidy

pytest.importorskip("latex2mathml")

XHTML = "{http://www.w3.org/1999/xhtml}"
MATHML = "{http://www.w3.org/1998/Math/MathML}"
DOT = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><circle cx="4" cy="4" r="3"/></svg>'
BEFORE = r"""See {numref}`fig-dot`, {eq}`eq-half`, and the [first page](../book/intro.md).
A script: <script>alert(1)</script>

```{figure} ../book/_static/dot.svg
:name: fig-dot
:alt: a dot

A dot.
```

```{math}
:label: eq-half
x = \frac{1}{2}
```

```{exercise} Halves
:label: ex-half

What is half of one?
```

```{solution-start} ex-half
:class: dropdown
```
"""
AFTER = """By {eq}`eq-half`, a half.

```{solution-end}
```

**1.** Sure?

```{admonition} Answer
:class: dropdown
Quite sure.
```

```{admonition} The same in other runs
:class: dropdown
Many lines.
```
"""


def test_a_page_is_well_formed_and_has_no_script_or_widget():
    page = tidy(
        "<div><details><p>a<br>b</p></details><script>1</script><div data-widget='x'>y</div>"
        r'<span class="math">\(x^2\)</span><svg viewBox="0 0 1 1"><clipPath id="a"></clipPath></svg></div>'
    )
    tree = ElementTree.fromstring(str(page))
    assert tree.find("details").get("open") == "open" and tree.find(f".//{MATHML}msup") is not None
    assert tree.find("{*}svg").get("viewBox") and tree.find(".//{*}clipPath") is not None
    assert "script" not in str(page) and "data-widget" not in str(page)


def test_a_solution_moves_with_its_links_and_what_links_to_it():
    texts = {
        "chapters/01-one.xhtml": '<div><h1>1. One</h1><a href="#eq">here</a><div class="solution" id="s">'
        '<a href="#ex">Exercise</a><p id="eq">a half</p></div></div>',
        "book/intro.xhtml": '<div><a href="../chapters/01-one.xhtml#eq">there</a></div>',
        takeaway.SOLUTIONS: "<div><section><h1>Solutions</h1></section></div>",
    }
    trees = {name: parsed(text) for name, text in texts.items()}
    takeaway.gather(trees, list(trees))
    pages = {name: str(tree) for name, tree in trees.items()}
    assert "a half" in pages[takeaway.SOLUTIONS] and "a half" not in pages["chapters/01-one.xhtml"]
    assert '<a href="01-one.xhtml#ex">Exercise</a>' in pages[takeaway.SOLUTIONS]
    assert '<a href="solutions.xhtml#01-one-eq">here</a>' in pages["chapters/01-one.xhtml"]
    assert '<a href="../chapters/solutions.xhtml#01-one-eq">there</a>' in pages["book/intro.xhtml"]


@pytest.fixture(scope="module")
def epub(project: Callable[..., Path]) -> Path:
    """The EPUB of a book of two pages, with a formula, a figure, an exercise with its solution, and a quiz."""
    cells = v4.new_markdown_cell(BEFORE, id="before"), "1 / 2", v4.new_markdown_cell(AFTER, id="after")
    root = project(c01_one=chapter(*cells))
    (root / "book" / "_static" / "dot.svg").write_text(DOT)
    shutil.copytree(root, root / "_build" / "source", ignore=shutil.ignore_patterns("_build"))
    return book.epub(root, say=lambda _: None)


@pytest.fixture(scope="module")
def content(epub: Path) -> dict[str, str]:
    with zipfile.ZipFile(epub) as packed:
        return {name: packed.read(name).decode("utf-8") for name in packed.namelist() if not name.endswith(".png")}


@pytest.mark.slow
def test_the_epub_begins_with_its_type_and_is_read_in_the_order_of_the_book(epub, content):
    with zipfile.ZipFile(epub) as packed:
        first = packed.infolist()[0]
    assert (first.filename, first.compress_type) == ("mimetype", zipfile.ZIP_STORED)
    assert content["mimetype"] == "application/epub+zip"
    assert 'full-path="content.opf"' in content["META-INF/container.xml"]
    package = ElementTree.fromstring(content["content.opf"])
    href = {i.get("id"): i.get("href") for i in package.iterfind(".//{*}item")}
    order = ["book/intro.xhtml", "chapters/01-one.xhtml", takeaway.SOLUTIONS]
    assert [href[i.get("idref")] for i in package.iterfind(".//{*}itemref")] == order
    assert re.findall(r'<a href="([^"]+)">', content["nav.xhtml"]) == order
    assert set(href.values()) <= set(content) | {n for n in href.values() if n.endswith(".png")}


@pytest.mark.slow
def test_pages_of_the_epub_are_well_formed_and_every_address_in_them_leads_somewhere(content):
    trees = {n: ElementTree.fromstring(page) for n, page in content.items() if n.endswith(".xhtml")}
    ids = {name: [e.get("id") for e in tree.iter() if e.get("id")] for name, tree in trees.items()}
    for name, tree in trees.items():
        assert len(ids[name]) == len(set(ids[name])), name
        assert not list(tree.iter(f"{XHTML}script")), name
        for link in tree.iter(f"{XHTML}a"):
            page, _, place = absolute(name, link.get("href")).partition("#")
            assert page in trees and (not place or place in ids[page]), f"{name}: {link.get('href')}"
        for image in tree.iter(f"{XHTML}img"):
            assert absolute(name, image.get("src")) in content, f"{name}: {dirname(name)}"


@pytest.mark.slow
def test_solutions_and_answers_stand_at_the_end_of_the_epub(content):
    one, end = content["chapters/01-one.xhtml"], content[takeaway.SOLUTIONS]
    assert f"{MATHML[1:-1]}" in one and "What is half of one?" in one and "Quite sure." not in one
    assert "a half." in end and "Quite sure." in end and "Answer to question 1" in end
    assert "The same in other runs: see the pages of the book." in one and "Many lines." not in one + end
    assert 'properties="mathml"' in content["content.opf"]


@pytest.mark.slow
def test_the_page_to_print_holds_everything_and_loads_nothing(epub, monkeypatch):
    said = []
    monkeypatch.setattr(printing.shutil, "which", lambda _: None)
    text = book.printed(epub, say=said.append).read_text(encoding="utf-8")
    tree = parsed(text)
    ids = [part["id"] for part in tree.find_all(id=True)]
    links = [part["href"] for part in tree.find_all(href=True)]
    assert len(ids) == len(set(ids))
    assert {a[1:] for a in links if not urlparse(a).scheme} <= set(ids) and "#chapters-01-one" in links
    assert tree.find(src=True) and all(part["src"].startswith("data:") for part in tree.find_all(src=True))
    assert tree.math and not tree.find(["script", "link"]) and "url(" not in text
    assert text.index("Contents") < text.index('id="book-intro"') < text.index('id="chapters-solutions"')
    assert "no PDF" in said[-1] and not epub.with_name("book.pdf").exists()


@pytest.mark.slow
def test_chromium_prints_the_page(epub):
    if not any(map(shutil.which, printing.BROWSERS)):
        pytest.skip("needs Chromium")
    book.printed(epub, say=lambda _: None)
    assert epub.with_name("book.pdf").read_bytes().startswith(b"%PDF-")
