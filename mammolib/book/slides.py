"""Makes slides of the pages: one file with a slide for each figure of the chapters, which loads nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from html.parser import HTMLParser
from pathlib import Path

from mammolib import results
from mammolib.book.paper import inlined
from mammolib.book.project import table_of_contents
from mammolib.files import atomic

NAME = "slides.html"
NUMBER = re.compile(r"^(\d+\.)+ ")
READ = {"h1", "h2", "h3", "figcaption"}
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
html {{ scroll-snap-type: y mandatory; font: 1.3rem/1.4 system-ui, sans-serif; color: #222; background: #fff; }}
body {{ margin: 0; }}
section {{ box-sizing: border-box; height: 100vh; padding: 2rem 4rem; display: flex; flex-direction: column;
  scroll-snap-align: start; break-after: page; break-inside: avoid; overflow: hidden; }}
h1 {{ margin: auto 0 0; font-size: 2.6rem; line-height: 1.2; }}
h1 + p {{ margin-bottom: auto; font-size: 1.6rem; }}
h2 {{ margin: 0 0 1rem; font-size: 1.8rem; line-height: 1.2; }}
img {{ flex: 1; min-height: 0; object-fit: contain; }}
footer {{ font-size: 0.8rem; color: #555; }}
@page {{ size: 297mm 167mm; margin: 0; }}
@media print {{ html {{ font-size: 14pt; }} section {{ height: 167mm; }} section:last-child {{ break-after: auto; }} }}
</style>
</head>
<body>
{slides}
<script>
"use strict";
const slides = [...document.querySelectorAll("section")];
const steps = {{
  ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": 1, End: Infinity,
  ArrowLeft: -1, ArrowUp: -1, PageUp: -1, Home: -Infinity
}};
addEventListener("keydown", (event) => {{
  const step = steps[event.key];
  if (step === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  const now = slides.findIndex((slide) => slide.getBoundingClientRect().bottom > innerHeight / 2);
  slides[Math.max(0, Math.min(slides.length - 1, now + step))].scrollIntoView();
}});
</script>
</body>
</html>
"""


@dataclass(frozen=True)
class Slide:
    """What stands on a slide.

    Attributes:
        title: a chapter's title, or the heading above a figure.
        words: the chapter's question, or the figure's caption.
        image: the figure's address, as the page has it; none where a chapter begins.
        alt: the figure in words.
    """

    title: str
    words: str
    image: str = ""
    alt: str = ""


def make_slides(root: Path | None = None, *, say: Callable[[str], None] = print) -> Path:
    """Make ``_build/slides.html`` from the pages that `mammolib.book.build` has made, and return its path.

    The arrow keys turn the slides. Printed, each of them is a page.

    Args:
        root: the project's folder; default: found from here upwards.
        say: is given the line that says where the slides are.

    Raises:
        OSError: a page or a figure cannot be read, or the slides not be written.
    """
    import yaml

    root = results.root(root)
    title = escape(yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))["title"])
    written = f"<section>\n<h1>{title}</h1>\n<p>For teaching and research. Not for clinical use.</p>\n</section>"
    for name in table_of_contents(root):
        if name.startswith("chapters/"):
            written += chapter_slides(root / "_build" / "html" / f"{name}.html")
    out = root / "_build" / NAME
    with atomic(out) as file:
        file.write(PAGE.format(title=title, slides=written).encode("utf-8"))
    say(f"{out}: {written.count('<section>')} slides, {out.stat().st_size / 1e6:.1f} MB")
    return out


def chapter_slides(path: Path) -> str:
    """Return a chapter's slides as HTML: its title with its question, then its figures, which become part of the file.

    Args:
        path: the chapter's page.

    Raises:
        OSError: the page or a figure cannot be read.
    """
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8").partition("<article")[2].partition("</article>")[0])
    reader.close()
    written, chapter = "", ""
    for slide in reader.slides:
        title, words = escape(slide.title), escape(slide.words)
        if slide.image:
            image = f'<img src="{inlined(path.parent, slide.image)}" alt="{escape(slide.alt)}">'
            content = f"<h2>{title}</h2>\n{image}\n<p>{words}</p>\n<footer>{chapter}</footer>"
        else:
            chapter, content = title, f"<h1>{title}</h1>\n<p>{words}</p>"
        written += f"\n<section>\n{content}\n</section>"
    return written


class _Reader(HTMLParser):
    """Reads a chapter's page: its title, its first paragraph, which is its question, and its figures."""

    def __init__(self) -> None:
        super().__init__()
        self.slides: list[Slide] = []
        self.heading = self.text = self.image = self.alt = ""
        self.reading: str | None = None
        self.in_link = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        there = {name: value or "" for name, value in attrs}
        if self.reading is None and (tag in READ or (tag == "p" and self.heading and not self.slides)):
            self.reading, self.text = tag, ""
        elif tag == "img":
            self.image, self.alt = there["src"], there.get("alt", "")
        elif "headerlink" in there.get("class", "").split():
            self.in_link = True

    def handle_data(self, data: str) -> None:
        if not self.in_link:
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self.in_link = False
        if tag != self.reading:
            return
        self.reading, text = None, " ".join(self.text.split())
        if tag == "p":
            self.slides.append(Slide(self.heading, text))
        elif tag == "figcaption":
            self.slides.append(Slide(self.heading, text, self.image, self.alt))
        else:
            self.heading = text if tag == "h1" else NUMBER.sub("", text)
