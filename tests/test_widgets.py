"""The book's widgets: small, of this project alone, with a still figure; and they count as mammolib does.

What a widget computes is read in a headless Chromium from a page on disk; without Chromium these tests are skipped.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import browser
import numpy as np
import pytest
from browser import STILLS, WIDGETS, ask
from conftest import ROOT

from mammolib.book import notebooks
from mammolib.experiments import sets
from mammolib.geometry import DIHEDRAL, Symmetry
from mammolib.splits import Split

SCRIPTS = sorted(WIDGETS.glob("*.js"))
NAMES = sorted({path.stem for path in SCRIPTS} - {"common"})
in_browser = pytest.mark.skipif(browser.CHROMIUM is None, reason="needs Chromium")
LEAST_CONTRAST = 3.0
"""WCAG 2, 1.4.11: of parts of a drawing against what lies beside them."""


def markdown(path) -> str:
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    return "\n\n".join(c.source for c in notebooks.read(path).cells if c.cell_type == "markdown")


def pages() -> dict[str, str]:
    """The text of every page that is written by hand, by its path in the project."""
    paths = [*sorted((ROOT / "chapters").glob("*.ipynb")), *sorted((ROOT / "book").glob("*.md"))]
    return {path.relative_to(ROOT).as_posix(): markdown(path) for path in paths}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_are_small_and_ask_no_host(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.encode()) <= 8192
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)|\bimport\b|\bfetch\(|XMLHttp|eval\(", text)
    assert '"use strict"' in text


def test_every_widget_is_on_a_page_and_every_page_loads_its_scripts():
    used = set()
    for name, text in pages().items():
        placed = set(re.findall(r'data-widget="(\w+)"', text))
        loaded = re.findall(r'<script defer src="\.\./_static/widgets/(\w+)\.js"></script>', text)
        for widget in placed:
            assert widget in loaded and loaded.index("common") < loaded.index(widget), f"{name}: {widget}"
        for script in loaded:
            assert (WIDGETS / f"{script}.js").is_file(), f"{name}: {script}"
        used |= placed
    assert used == set(NAMES) - {"guesses"}


def test_a_still_figure_stands_before_the_widget():
    """It is an image of the page itself, with words, so it is there without scripts, in print and in JupyterLab."""
    for name, text in pages().items():
        static = "_static" if name.startswith("book/") else "../book/_static"
        for widget in re.findall(r'data-widget="(\w+)" data-still', text):
            image = re.search(rf"!\[([^\]]+)\]\({re.escape(static)}/widgets/still-{widget}\.svg\)\n\n", text)
            assert image and len(image[1]) > 40, f"{name}: {widget}"
            assert "*Try this:*" in text[: image.start()].rsplit("\n\n", 2)[-2], f"{name}: {widget}"
    for widget, words in STILLS.items():
        root = ET.parse(WIDGETS / f"still-{widget}.svg").getroot()
        assert root.get("aria-label") == words and not root.findall(".//{*}script"), widget


@in_browser
@pytest.mark.parametrize("name", STILLS)
def test_still_figures_are_the_widgets_own(name):
    drawn = (WIDGETS / f"still-{name}.svg").read_text(encoding="utf-8")
    assert browser.still(name, STILLS[name]) == drawn, "run `python tests/browser.py`"


@in_browser
@pytest.mark.parametrize("name", STILLS)
def test_widgets_can_be_reached_and_have_names(name):
    """The still figure goes, every drawing has words, every control a label, and one of them takes the keyboard."""
    found = ask(
        name,
        """return {still: $("p").hidden,
          drawings: $$(".widget svg").map((s) => [s.getAttribute("role"), s.getAttribute("aria-label")]),
          unnamed: $$(".widget input").filter((i) => !i.labels.length || !i.labels[0].textContent.trim()).length,
          live: $$(".widget [aria-live]").length,
          handles: $$(".widget [tabindex]").map((n) => [n.getAttribute("role"), n.getAttribute("aria-label")]),
          focus: $$(".widget input, .widget button, .widget [tabindex='0']").length};""",
    )
    assert found["still"] and not found["unnamed"] and found["live"] and found["focus"]
    assert found["drawings"] and all(role and len(words or "") > 10 for role, words in found["drawings"])
    assert all(role and words for role, words in found["handles"])


def luminance(colour: str) -> float:
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_colours_stand_out_in_both_modes():
    css = (WIDGETS / "widgets.css").read_text(encoding="utf-8")
    light, dark = re.findall(r"\{((?:\s*--w-[^}]*?;)+)", css)[:2]
    for block, paper in ((light, "#ffffff"), (dark, "#14181e")):
        colours = re.findall(r"--w-(\w+): (#\w{6})", block)
        assert len(colours) == 4
        for name, colour in colours:
            low, high = sorted((luminance(colour), luminance(paper)))
            assert (high + 0.05) / (low + 0.05) >= LEAST_CONTRAST, f"{name} on {paper}"


# Deal the cards.


@in_browser
def test_deal_counts_as_mammolib_does():
    found = ask(
        "deal",
        """const {deal, count, twin, WOMAN} = Widgets.deal, deals = [];
        for (const way of ["random", "lesion", "woman"]) for (let seed = 0; seed < 20; seed++) {
          const side = deal(way, seed);
          deals.push({way, side, count: count(side)});
        }
        return {deals, woman: WOMAN, twin: [0, 1, 2, 3, 4, 5, 6, 7].map(twin)};""",
    )
    mirror = Symmetry(((-1, 0), (0, 1)))
    assert found["twin"] == [DIHEDRAL.index(mirror @ view) for view in DIHEDRAL]

    rng = np.random.default_rng(0)
    images = np.stack([view.image(rng_image) for rng_image in rng.random((24, 6, 6)) for view in DIHEDRAL])
    crops = SimpleNamespace(images=np.ascontiguousarray(images))
    lesion, woman = np.repeat(np.arange(24), 8), np.repeat(found["woman"], 8)
    shown = []
    for dealt in found["deals"]:
        side = np.array(dealt["side"])
        part = Split(*(np.flatnonzero(side == s) for s in range(3)), dealt["way"])
        sibling = np.isin(lesion[part.test], part.shared(lesion))
        of_woman = np.isin(woman[part.test], part.shared(woman))
        mirrored = sets.mirror_in_training(crops, part)
        sizes = len(part.training), len(part.test)
        counted = dealt["count"]
        assert sizes == (counted["training"], counted["test"])
        assert (sibling.sum(), mirrored.sum(), of_woman.sum()) == (
            counted["sibling"],
            counted["mirror"],
            counted["woman"],
        )
        if dealt["way"] == "random":
            assert sizes == (141, 27)
            shown.append(mirrored.mean())
        else:
            assert counted["sibling"] == counted["mirror"] == 0
        if dealt["way"] == "woman":
            part.check(woman, "woman")
    assert any(d["count"]["woman"] for d in found["deals"] if d["way"] == "lesion")
    assert abs(np.mean(shown) - 141 / 191) < 3 * np.sqrt(0.74 * 0.26 / (20 * 27)), "141 of the 191 others train"


@in_browser
def test_deal_answers_keys_and_pointer():
    found = ask(
        "deal",
        """const said = [], note = () => said.push($(".w-live").textContent + " | " + $(".w-counts").textContent);
        note();
        $(".w-grid").focus();
        key($(".w-grid"), "ArrowRight"); note();
        $$(".w-grid .w-tile")[70].dispatchEvent(new MouseEvent("click", {bubbles: true})); note();
        $(".w-tick input").click(); note();
        $$(".w-choice input")[2].click(); note();
        return {said, focus: document.activeElement.tagName};""",
    )
    said = found["said"]
    assert len(set(said)) == len(said)
    assert said[0].startswith("Lesion 1, woman 1:") and said[2].startswith("Lesion 9, woman 7:")
    assert "pixel by pixel0 of" in said[0] and "pixel by pixel0 of" not in said[3]
    assert said[4].count("0 of 24 (0 %)") == 3 or "woman who also trains0 of" in said[4]
