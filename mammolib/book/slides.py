"""Makes slides of the pages: one file with a slide for each figure of the chapters, which loads nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

from mammolib import results
from mammolib.book.paper import inlined, parsed
from mammolib.book.project import table_of_contents
from mammolib.files import atomic

NAME = "slides.html"
NUMBER = re.compile(r"^(\d+\.)+ ")
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


def make_slides(root: Path | None = None, *, say: Callable[[str], None] = print) -> Path:
    """Make ``_build/slides.html`` from the pages that `mammolib.book.build` has made, and return its path.

    The arrow keys turn the slides. Printed, each of them is a page.

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
    """Return the slides of a chapter's page as HTML: its title with its question, then its figures, which become part.

    Raises:
        OSError: the page or a figure cannot be read.
    """
    article = parsed(path.read_text(encoding="utf-8")).article
    for link in article.select(".headerlink"):
        link.decompose()
    chapter = _words(article.h1)
    written = f"\n<section>\n<h1>{chapter}</h1>\n<p>{_words(article.h1.find_next('p'))}</p>\n</section>"
    for caption in article.find_all("figcaption"):
        heading, image = caption.find_previous(["h1", "h2", "h3"]), caption.find_previous("img")
        title = chapter if heading.name == "h1" else NUMBER.sub("", _words(heading))
        address, alt = inlined(path.parent, image["src"]), escape(image.get("alt", ""))
        written += f'\n<section>\n<h2>{title}</h2>\n<img src="{address}" alt="{alt}">\n<p>{_words(caption)}</p>'
        written += f"\n<footer>{chapter}</footer>\n</section>"
    return written


def _words(part: Any) -> str:
    return escape(" ".join(part.get_text().split()))
