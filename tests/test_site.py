"""The pages: built from executed chapters, every link inside followed, and nothing asked from a foreign host."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse

import pytest
from conftest import EXECUTED, ROOT

from mammolib import book, results
from mammolib.book import notebooks
from mammolib.book.project import chapters, table_of_contents

LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src",
          "embed": "src", "object": "data", "use": "href", "image": "href"}  # fmt: skip
"""Elements whose address a browser fetches when it shows the page."""

FETCHING_LINKS = {"stylesheet", "icon", "preload", "prefetch", "modulepreload", "preconnect", "dns-prefetch"}
FETCHED = r"""(?:https?:)?//[\w.-]+/[^\s"')]+\.(?:js|mjs|css|woff2?)\b|url\(["']?https?:[^)]+"""
"""What a script or style within a page fetches, or could fetch when asked to."""


class Page(HTMLParser):
    """What a page refers to, what it loads, and the places in it that can be referred to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.links, self.loaded, self.places = path, [], [], set()
        self.images_without_words: list[str] = []
        self.inline = ""
        self._in: str | None = None
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {k: v or "" for k, v in attrs}
        self._in = tag if tag in ("script", "style") else None
        self.places |= {found[k] for k in ("id", "name") if k in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag == "link" and FETCHING_LINKS & set(found.get("rel", "").split()):
            self.loaded.append(found["href"])
        if tag in LOADED and LOADED[tag] in found:
            self.loaded.append(found[LOADED[tag]])
        self.loaded += [part.split()[0] for part in found.get("srcset", "").split(",") if part.strip()]
        self.inline += found.get("style", "")
        if tag == "img" and not found.get("alt"):
            self.images_without_words.append(found.get("src", ""))

    def handle_endtag(self, tag: str) -> None:
        self._in = None

    def handle_data(self, data: str) -> None:
        if self._in:
            self.inline += data


class Text(HTMLParser):
    """The words of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words = ""
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the pages, made from what nbval executed in this session, or else from `mammolib run`."""
    place = tmp_path_factory.mktemp("site")
    source, left = place / "source", []
    for name in chapters(ROOT):
        path = ROOT / "chapters" / f"{name}.ipynb"
        nb, seen = notebooks.read(path), request.config.stash[EXECUTED].get(path, {})
        cells = [c for c in nb.cells if c.cell_type == "code"]
        if {c["id"] for c in cells} != set(seen):
            left.append(name)
            continue
        for count, cell in enumerate(cells, start=1):
            cell.outputs, cell.execution_count = seen[cell["id"]], count
        notebooks.write(source / "chapters" / path.name, notebooks.text(notebooks.clean(nb)))
    if left:
        failed = [str(o) for o in book.run(left, root=ROOT, source=source) if o.status == "failed"]
        assert not failed
    return book.build(ROOT, source=source, out=place).parent


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    found = {path.resolve(): Page(path) for path in site.rglob("*.html") if "_static" not in path.parts}
    assert len(found) > len(table_of_contents(ROOT))
    return found


def is_foreign(address: str) -> bool:
    return bool(urlparse(address).netloc)


def test_every_page_of_the_book_exists(site):
    for name in ["index", "search", "genindex", *table_of_contents(ROOT)]:
        assert (site / f"{name}.html").is_file(), name


def test_links_inside_lead_somewhere(site, pages):
    broken = []
    for path, page in pages.items():
        for link in page.links + page.loaded:
            address, place = urldefrag(link)
            if is_foreign(link) or urlparse(link).scheme in ("mailto", "data", "javascript"):
                continue
            target = (path.parent / unquote(urlparse(address).path)).resolve() if address else path
            if not target.is_file():
                broken.append(f"{path.relative_to(site)}: {link}: no such file")
            elif place and target in pages and unquote(place) not in pages[target].places:
                broken.append(f"{path.relative_to(site)}: {link}: no such place")
    assert not broken


def test_no_page_loads_from_a_foreign_host(site, pages):
    loaded = {f"{p.relative_to(site)}: {a}" for p, page in pages.items() for a in page.loaded if is_foreign(a)}
    inline = {
        f"{path.relative_to(site)}: {found}"
        for path, page in pages.items()
        for found in re.findall(FETCHED, page.inline)
    }
    sheets = {
        f"{path.relative_to(site)}: {found}"
        for path in site.rglob("*.css")
        for found in re.findall(r"""url\(["']?(?:https?:)?//[^)]+|@import[^;]*//[^;]+""", path.read_text("utf-8"))
    }
    assert not loaded | inline | sheets


def test_links_to_other_sites_are_complete(pages):
    for page in pages.values():
        for link in filter(is_foreign, page.links):
            assert urlparse(link).scheme in ("http", "https") and "example" not in link, f"{page.path.name}: {link}"


def test_no_launch_button_without_a_repository(pages):
    from mammolib.book.project import repository

    if not repository(ROOT)[0]:
        assert not [x for p in pages.values() for x in p.links if "mybinder" in x or "colab.research" in x]


def test_mathematics_comes_with_the_book(site, pages):
    script = next(a for p in pages.values() for a in p.loaded if "mathjax" in a)
    assert (site / script.partition("../")[2] if "../" in script else site / script).is_file()
    assert list((site / "_static" / "mathjax").rglob("*.woff")), "its fonts too"


def test_chapters_can_be_downloaded(site):
    for name in chapters(ROOT):
        nb = notebooks.read(site / "_sources" / "chapters" / f"{name}.ipynb")
        assert notebooks.unfinished(nb) is None


def test_the_pages_of_results_say_what_the_records_say(site):
    """Every line of the page is judged anew from the records; every record is named, on the page of runs."""
    words = re.compile(r"\W+")

    def text(name: str) -> str:
        return words.sub(" ", Text((site / "book" / f"{name}.html").read_text(encoding="utf-8")).words)

    page, runs = text("results"), text("runs")
    records = results.load_all(ROOT / "book" / "results")
    for row in results.judge(None, [r for r in records if r.data["name"] != "phantom"]):
        if row.claim.group in ("counted", "built", "trained"):
            assert words.sub(" ", f"{row.verdict} {row.why}").strip() in page, row.claim.id
    for record in records:
        assert words.sub(" ", record.file_name).strip() in runs, record.file_name


def test_no_chapter_shows_what_a_library_warns_of(site):
    for path in sorted((site / "chapters").glob("*.html")):
        assert not re.findall(r"\bWARNING\b.{0,80}|\w+Warning:.{0,80}", path.read_text(encoding="utf-8")), path.name


def test_search_knows_the_chapters(site):
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    assert all(name in index for name in table_of_contents(ROOT))


def test_images_have_words(pages):
    for page in pages.values():
        assert not page.images_without_words, page.path.name


def test_not_for_clinical_use_stands_on_every_page(pages):
    for name in table_of_contents(ROOT):
        (page,) = [p for p in pages if p.as_posix().endswith(f"{name}.html")]
        assert "Not for clinical use" in page.read_text(encoding="utf-8"), name
