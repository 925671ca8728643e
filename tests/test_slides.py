"""Slides of a site that was made by hand: one file, a slide for each figure, turned by keys and printed one a page."""

import base64
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
from browser import CHROMIUM, FLAGS

from mammolib import book

PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")
FIGURE = """<figure id="fig-{n}"><img alt="A &lt;dot&gt;, {n}." src="../_images/dot.png" />
<figcaption><p><span class="caption-number">Fig. 1.{n} </span><span>What dot {n} shows.</span>
<a class="headerlink" href="#fig-{n}">#</a></p></figcaption></figure>"""
CHAPTER = f"""<html><body><h1>of the theme</h1><article class="bd-article">
<h1><span class="section-number">1. </span>Dots<a class="headerlink" href="#dots">#</a></h1>
<p><strong>Do dots <em>move</em>?</strong></p>
<p>They do.</p><img src="still.svg" alt="No figure.">
<h2><span class="section-number">1.1. </span>By hand<a class="headerlink" href="#by-hand">#</a></h2>{FIGURE.format(n=1)}
<h3><span class="section-number">1.1.1. </span>Far &amp; near</h3>{FIGURE.format(n=2)}</article></body></html>"""


@pytest.fixture
def made(tmp_path: Path) -> Path:
    site = tmp_path / "_build" / "html"
    for folder in (tmp_path / "chapters", site / "chapters", site / "_images"):
        folder.mkdir(parents=True)
    (tmp_path / "_toc.yml").write_text("root: book/intro\nparts: [{chapters: [{file: chapters/01-dots}]}]\n")
    (tmp_path / "_config.yml").write_text("title: A & B\n")
    (site / "chapters" / "01-dots.html").write_text(CHAPTER)
    (site / "_images" / "dot.png").write_bytes(PIXEL)
    said: list[str] = []
    path = book.make_slides(tmp_path, say=said.append)
    assert path == tmp_path / "_build" / "slides.html" and "4 slides" in said[0]
    return path


def test_each_figure_has_a_slide_with_its_heading_its_caption_and_its_words(made):
    body = re.search(r"<body>(.*?)<script>", made.read_text(), re.S)[1]
    tree = ElementTree.fromstring("<body>" + re.sub("(<img[^>]*)>", r"\1/>", body) + "</body>")
    assert [["".join(part.itertext()) for part in slide] for slide in tree] == [
        ["A & B", "For teaching and research. Not for clinical use."],
        ["1. Dots", "Do dots move?"],
        ["By hand", "", "Fig. 1.1 What dot 1 shows.", "1. Dots"],
        ["Far & near", "", "Fig. 1.2 What dot 2 shows.", "1. Dots"],
    ]
    assert [image.get("alt") for image in tree.iter("img")] == ["A <dot>, 1.", "A <dot>, 2."]


def test_the_file_holds_its_figures_and_asks_no_host(made):
    text = made.read_text()
    assert text.count("data:image/png;base64," + base64.b64encode(PIXEL).decode()) == 2
    assert not re.search(r'https?:|<link|<script src|src="(?!data:)|url\(', text)


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_arrow_keys_turn_the_slides_and_print_makes_a_page_of_each(made):
    probe = """<script>
    const press = (key) => dispatchEvent(new KeyboardEvent("keydown", { key }));
    const at = () => Math.round(scrollY / innerHeight);
    const keys = ["ArrowRight", "ArrowRight", "ArrowLeft", "End", "ArrowRight", "Home"];
    document.title = keys.map((key) => (press(key), at())).join(" ");
    </script></body>"""
    asked = made.with_name("asked.html")
    asked.write_text(made.read_text().replace("</body>", probe))
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={made.parent}/profile"]
    done = subprocess.run([*command, "--dump-dom", asked.as_uri()], capture_output=True, text=True, timeout=120)
    assert "<title>1 2 1 3 3 0</title>" in done.stdout
    pdf = made.with_suffix(".pdf")
    subprocess.run([*command, f"--print-to-pdf={pdf}", made.as_uri()], capture_output=True, timeout=120, check=True)
    assert len(re.findall(rb"/Type\s*/Page\b", pdf.read_bytes())) == 4


def test_a_missing_page_is_named(made):
    (made.parent / "html" / "chapters" / "01-dots.html").unlink()
    with pytest.raises(FileNotFoundError, match="01-dots"):
        book.make_slides(made.parent.parent)
