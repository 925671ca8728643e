"""Pages in a headless Chromium, for the tests of the book's widgets; and the still figures, drawn by the widgets.

``python tests/browser.py`` draws the still figures again.
"""

import html
import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
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
const key = (node, name, more) =>
  node.dispatchEvent(new KeyboardEvent("keydown", {{key: name, bubbles: true, ...more}}));
const set = (node, value) => {{ node.value = value; node.dispatchEvent(new Event("input", {{bubbles: true}})); }};
const point = (node, kind, x, y) => node.dispatchEvent(
  new PointerEvent(kind, {{clientX: x, clientY: y, bubbles: true, pointerId: 1}}));
const drag = (node, x, y) => {{
  const drawing = $(".widget svg").getBoundingClientRect(), scale = drawing.width / 400;
  point(node, "pointerdown", 0, 0);
  point(node, "pointermove", drawing.left + x * scale, drawing.top + y * scale);
  point(node, "pointerup", 0, 0);
}};
const said = () => $(".w-live").textContent;
const $ = (what) => document.querySelector(what), $$ = (what) => [...document.querySelectorAll(what)];
addEventListener("DOMContentLoaded", () => {{
  let answer;
  try {{ answer = (() => {{ {script} }})(); }}
  catch (error) {{ answer = {{error: String(error.stack)}}; }}
  parent.postMessage(["{name}", answer], "*");
}});
</script></body></html>"""

ALL = """<!doctype html><meta charset="utf-8"><title>tests</title><body><pre id="answer"></pre><script>
const answers = {{}};
addEventListener("message", (event) => {{
  answers[event.data[0]] = event.data[1];
  document.querySelector("#answer").textContent = JSON.stringify(answers);
}});
</script>{frames}</body>"""


@dataclass(frozen=True)
class Ask:
    """A page with one widget, opened from a file, and what to ask it.

    Attributes:
        widget: its name.
        script: the body of a function in JavaScript; `key`, `set`, `point`, `drag`, `$` and `$$` press keys, move
            sliders, point, drag in the drawing's units, and find elements; `said` gives the words for those who listen.
            What it returns is the answer.
        also: names of other scripts to load before.
        body: the page's own elements; a still figure and the widget's place if not given.
    """

    widget: str
    script: str
    also: tuple[str, ...] = ()
    body: str = ""

    def page(self, name: str) -> str:
        """Return the page as HTML."""
        names = ("common", *self.also, self.widget)
        scripts = "".join(f'<script defer src="{WIDGETS.as_uri()}/{n}.js"></script>' for n in names)
        body = self.body or f'<p><img src="x.svg" alt="still"></p><div data-widget="{self.widget}" data-still></div>'
        return PAGE.format(folder=WIDGETS.as_uri(), body=body, scripts=scripts, script=self.script, name=name)


def answers(asks: dict[str, Ask]) -> dict[str, Any]:
    """Open every page in one browser and return what they answer.

    Raises:
        AssertionError: a script raised an error, or did not answer.
    """
    with tempfile.TemporaryDirectory() as folder:
        frames = ""
        for name, ask in asks.items():
            (Path(folder) / f"{name}.html").write_text(ask.page(name), encoding="utf-8")
            frames += f'<iframe src="{name}.html" width="700" height="900"></iframe>'
        path = Path(folder) / "all.html"
        path.write_text(ALL.format(frames=frames), encoding="utf-8")
        flags = [*FLAGS, f"--user-data-dir={folder}/profile", "--dump-dom", path.as_uri()]
        done = subprocess.run([CHROMIUM, *flags], capture_output=True, text=True, timeout=240)
    found = re.search(r'<pre id="answer">(.+?)</pre>', done.stdout, re.S)
    assert found, done.stdout[-500:] + done.stderr[-500:]
    answer = json.loads(html.unescape(found[1]))
    for name in asks:
        assert name in answer, f"{name}: no answer"
        assert not (isinstance(answer[name], dict) and "error" in answer[name]), f"{name}: {answer[name]['error']}"
    return answer


DRAWN = """return $$(".widget svg").map((s) => [
  s.getAttribute("viewBox").split(" ").map(Number), new XMLSerializer().serializeToString(s)]);"""
"""Asks a widget for its drawings, as they stand when the page opens."""


def still(drawings: list[Any], words: str) -> str:
    """Return a widget's drawings, one below another, as one SVG.

    Args:
        drawings: the answer to `DRAWN`.
        words: what the figure shows, for who cannot see it.
    """
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
    "ranking": "Eight boxes by confidence and offset, and the precision-recall curve with its staircase",
    "parabola": "The steps of gradient descent on a parabola, and the loss after each",
    "prevalence": "Two hundred patches: abnormal ones found and missed, false alarms, and normal ones",
    "centre": "A cut with a box in its middle, a lesion off the middle, and the diamond of places that are hits",
    "defaults": "The window of the network with a lesion and the default boxes that match it",
    "froc": "The share of lesions that each detector finds, against the false marks a film that it brings",
    "bootstrap": "How a share of right crops varies: much if women are drawn again, less if crops are",
}
"""Widgets with a still figure -> what it shows."""

if __name__ == "__main__":
    for widget, drawings in answers({name: Ask(name, DRAWN) for name in STILLS}).items():
        (WIDGETS / f"still-{widget}.svg").write_text(still(drawings, STILLS[widget]), encoding="utf-8")
