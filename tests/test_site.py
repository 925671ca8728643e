"""The pages: built from executed chapters, every link inside followed, and nothing asked from a foreign host."""

import re
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse

import pytest
from bs4 import BeautifulSoup
from conftest import EXECUTED, ROOT

from mammolib import book, results
from mammolib.book import notebooks
from mammolib.book.project import chapters, repository, table_of_contents

LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src",
          "embed": "src", "object": "data", "use": "href", "image": "href"}  # fmt: skip
"""Elements whose address a browser fetches when it shows the page."""

FETCHING_LINKS = {"stylesheet", "icon", "preload", "prefetch", "modulepreload", "preconnect", "dns-prefetch"}
FETCHED = r"""(?:https?:)?//[\w.-]+/[^\s"')]+\.(?:js|mjs|css|woff2?)\b|url\(["']?https?:[^)]+"""
"""What a script or style within a page fetches, or could fetch when asked to."""


class Page:
    """What a page refers to, what it loads, and the places in it that can be referred to."""

    def __init__(self, path: Path) -> None:
        tree = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        self.path, self.words = path, tree.get_text()
        self.links = [link["href"] for link in tree.find_all("a", href=True)]
        self.places = {part[key] for key in ("id", "name") for part in tree.find_all(attrs={key: True})}
        self.loaded = [part[key] for name, key in LOADED.items() for part in tree.find_all(name, attrs={key: True})]
        self.loaded += [link["href"] for link in tree.find_all("link") if FETCHING_LINKS & set(link.get("rel", ()))]
        sets = ",".join(part["srcset"] for part in tree.find_all(srcset=True)).split(",")
        self.loaded += [address.split()[0] for address in sets if address.strip()]
        self.inline = "".join(str(part.string or "") for part in tree.find_all(["script", "style"]))
        self.inline += "".join(part["style"] for part in tree.find_all(style=True))
        self.images_without_words = [image.get("src") for image in tree.find_all("img") if not image.get("alt")]


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
    foreign = [(path, address) for path, page in pages.items() for address in page.loaded if is_foreign(address)]
    foreign += [(path, found) for path, page in pages.items() for found in re.findall(FETCHED, page.inline)]
    for path in site.rglob("*.css"):
        sheet = path.read_text("utf-8")
        foreign += [(path, f) for f in re.findall(r"""url\(["']?(?:https?:)?//[^)]+|@import[^;]*//[^;]+""", sheet)]
    assert not foreign


def test_links_to_other_sites_are_complete(pages):
    for page in pages.values():
        for link in filter(is_foreign, page.links):
            assert urlparse(link).scheme in ("http", "https") and "example" not in link, f"{page.path.name}: {link}"
            assert repository(ROOT)[0] or not re.search("mybinder|colab.research", link), "no launch without repository"


def test_mathematics_comes_with_the_book(site, pages):
    script = next(a for p in pages.values() for a in p.loaded if "mathjax" in a)
    assert (site / script.removeprefix("../")).is_file()
    assert list((site / "_static" / "mathjax").rglob("*.woff")), "its fonts too"


def test_chapters_can_be_downloaded_and_found(site):
    for name in chapters(ROOT):
        nb = notebooks.read(site / "_sources" / "chapters" / f"{name}.ipynb")
        assert notebooks.unfinished(nb) is None
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    assert all(name in index for name in table_of_contents(ROOT))


def test_the_pages_of_results_say_what_the_records_say(site, pages):
    """Every line of the page is judged anew from the records; every record is named, on the page of runs."""

    def plain(text: str) -> str:
        return re.sub(r"\W+", " ", text).strip()

    page, runs = (plain(pages[(site / "book" / f"{name}.html").resolve()].words) for name in ("results", "runs"))
    records = results.load_all(ROOT / "book" / "results")
    for row in results.judge(None, [r for r in records if r.data["name"] != "phantom"]):
        if row.claim.group in ("counted", "built", "trained"):
            assert plain(f"{row.verdict} {row.why}") in page, row.claim.id
    for record in records:
        assert plain(record.file_name) in runs, record.file_name


def test_every_page_has_its_words_and_no_warning(site, pages):
    for page in pages.values():
        assert not page.images_without_words, page.path.name
    for name in table_of_contents(ROOT):
        text = (site / f"{name}.html").read_text(encoding="utf-8")
        assert "Not for clinical use" in text, name
        if name.startswith("chapters/"):
            assert not re.findall(r"\bWARNING\b.{0,80}|\w+Warning:.{0,80}", text), name
