"""Pages in a headless Chromium, for the tests of the book's widgets; and the still figures, drawn by the widgets.

``python tests/browser.py`` draws the still figures again.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

WIDGETS = Path(__file__).resolve().parents[1] / "book" / "_static" / "widgets"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--virtual-time-budget=4000"]
DRAWINGS = "/* Drawings."
LIGHT = (
    "--w-blue:#0072b2;--w-orange:#d55e00;--w-red:#b3004b;--w-quiet:#8a94a0;--pst-color-text-base:#222;"
    "--pst-color-background:#fff;--pst-color-surface:#eee;color:#222"
)

PAGE = """<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8"><title>a test</title>
<link rel="stylesheet" href="{folder}/widgets.css"><body>{body}
{scripts}
<script>
const key = (node, name, more) => node.dispatchEvent(new KeyboardEvent("keydown", {{key: name, bubbles: true, ...more}}));
const set = (node, value) => {{ node.value = value; node.dispatchEvent(new Event("input", {{bubbles: true}})); }};
const point = (node, kind, x, y) => node.dispatchEvent(
  new PointerEvent(kind, {{clientX: x, clientY: y, bubbles: true, pointerId: 1}}));
const $ = (what) => document.querySelector(what), $$ = (what) => [...document.querySelectorAll(what)];
addEventListener("DOMContentLoaded", () => {{
  const out = document.createElement("pre");
  out.id = "answer";
  try {{ out.textContent = JSON.stringify((() => {{ {ask} }})()); }}
  catch (error) {{ out.textContent = JSON.stringify({{error: String(error.stack)}}); }}
  document.body.append(out);
}});
</script></body></html>"""


def ask(name: str, script: str, body: str | None = None, also: tuple[str, ...] = ()) -> Any:
    """Open a page with one widget, from a file, and return what a function body in JavaScript returns there.

    Args:
        name: of the widget.
        script: the function's body; `key`, `set`, `point`, `$` and `$$` press keys, move sliders and find elements.
        body: the page's own elements; the widget's place if not given.
        also: names of other scripts to load.

    Raises:
        AssertionError: the script raised an error, or nothing came back.
    """
    scripts = "".join(f'<script defer src="{WIDGETS.as_uri()}/{n}.js"></script>' for n in ("common", *also, name))
    body = body or f'<p><img src="x.svg" alt="still"></p><div data-widget="{name}" data-still></div>'
    page = PAGE.format(folder=WIDGETS.as_uri(), body=body, scripts=scripts, ask=script)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        path.write_text(page, encoding="utf-8")
        flags = [*FLAGS, f"--user-data-dir={folder}/profile", "--dump-dom", path.as_uri()]
        done = subprocess.run([CHROMIUM, *flags], capture_output=True, text=True, timeout=60)
    found = re.search(r'<pre id="answer">(.*?)</pre>', done.stdout, re.S)
    assert found, done.stdout[-500:] + done.stderr[-500:]
    answer = json.loads(html.unescape(found[1]))
    assert not (isinstance(answer, dict) and "error" in answer), answer["error"]
    return answer


def still(name: str, words: str) -> str:
    """Return the widget's drawings as they stand when the page opens, one below another, as one SVG.

    Args:
        name: of the widget.
        words: what the figure shows, for who cannot see it.
    """
    drawings = ask(
        name,
        """return $$(".widget svg").map((s) => [
             s.getAttribute("viewBox").split(" ").map(Number), new XMLSerializer().serializeToString(s)]);""",
    )
    css = (WIDGETS / "widgets.css").read_text(encoding="utf-8").partition(DRAWINGS)[2].partition("*/")[2]
    css = re.sub(r"/\*.*?\*/", "", re.sub(r"\s+", " ", css))
    parts, top = [], 6
    for (_, _, _, height), text in drawings:
        inside = re.sub(r"^<svg[^>]*>|</svg>$", "", text)
        parts.append(f'<g transform="translate(6 {top})">{inside}</g>')
        top += height + 8
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="widget" viewBox="0 0 412 {top}" role="img" '
        f'aria-label="{html.escape(words)}" style="{LIGHT}"><style>{css}</style>{"".join(parts)}</svg>\n'
    )


STILLS = {
    "deal": "Twenty-four lesions in eight views each, dealt out at random to training, validation and test",
}
"""Widgets with a still figure -> what it shows."""

if __name__ == "__main__":
    for widget, shows in STILLS.items():
        (WIDGETS / f"still-{widget}.svg").write_text(still(widget, shows), encoding="utf-8")
