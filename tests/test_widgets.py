"""The book's widgets: small, of this project alone, with a still figure; and they count as mammolib does.

What a widget computes is read in a headless Chromium from a page on disk; without Chromium these tests are skipped.
"""

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import browser
import numpy as np
import pytest
from browser import DRAWN, STILLS, WIDGETS, Ask
from conftest import ROOT
from sentences import record, states, value

from mammolib import metrics, results, ssd
from mammolib.analysis import ladder
from mammolib.book import notebooks
from mammolib.detectors import centre
from mammolib.experiments import sets
from mammolib.geometry import DIHEDRAL, Detections, Symmetry, Truths, cxcywh_to_xyxy, iou
from mammolib.splits import Split
from mammolib.ssd.boxes import map_of_box

SCRIPTS = sorted(WIDGETS.glob("*.js"))
RUNGS = ladder.rungs(results.load_all(results.recorded()))
SHARES = {"2. Share of normal films": "207 of 322", "2. Share of dark patches": "145 of 225"}
"""Shares that a sentence gives as two counts."""
REACH = """return {still: $("p").hidden,
  drawings: $$(".widget svg").map((s) => [s.getAttribute("role"), s.getAttribute("aria-label")]),
  unnamed: $$(".widget input").filter((i) => !i.labels.length || !i.labels[0].textContent.trim()).length,
  live: $$(".widget [aria-live]").length,
  handles: $$(".widget [tabindex]").map((n) => [n.getAttribute("role"), n.getAttribute("aria-label")]),
  focus: $$(".widget input, .widget button, .widget [tabindex='0']").length};"""
GUESSES = """const {question, near} = Widgets.guess, out = {};
    for (const [chapter, rows] of Object.entries(Widgets.guesses)) out[chapter] = rows.map((row) => {
      const q = question(row);
      const other = q.ours < (q.low + q.high) / 2 ? q.high : q.low;
      return {...q, right: near(q, q.ours), far: q.options ? false : near(q, other)};
    });
    return out;"""
ASKS = {f"drawn-{name}": Ask(name, DRAWN) for name in STILLS} | {f"reach-{name}": Ask(name, REACH) for name in STILLS}
GUESSED = '<div data-widget="guess" data-chapter="02"></div><div data-widget="guesses" data-chapter="02"></div>'
ASKS["guesses"] = Ask("guess", GUESSES, also=("guesses",), body="<p></p>")
"""What the widgets are asked, all in one browser."""


def ask(widget: str, script: str, **more: Any) -> Callable:
    """Have a widget asked this before a test, which gets the answer as `found`."""

    def keep(test: Callable) -> Callable:
        ASKS[test.__name__] = Ask(widget, script, **more)
        return test

    return keep


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """What they answered, by name."""
    if browser.CHROMIUM is None:
        pytest.skip("needs Chromium")
    return browser.answers(ASKS)


@pytest.fixture
def found(told, request) -> Any:
    return told[request.function.__name__]


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """The text of every page that is written by hand, by its path in the project."""
    texts = {path: path.read_text(encoding="utf-8") for path in (ROOT / "book").glob("*.md")}
    for path in (ROOT / "chapters").glob("*.ipynb"):
        cells = notebooks.read(path).cells
        texts[path] = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return {path.relative_to(ROOT).as_posix(): text for path, text in texts.items()}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_are_small_and_ask_no_host(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.encode()) <= 8192
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)|\bimport\b|\bfetch\(|XMLHttp|eval\(", text)
    assert '"use strict"' in text


def test_every_widget_is_on_a_page_and_every_page_loads_its_scripts(pages):
    used = {"common"}
    for name, text in pages.items():
        placed = set(re.findall(r'data-widget="(\w+)"', text))
        loaded = re.findall(r'<script defer src="\.\./_static/widgets/(\w+)\.js"></script>', text)
        for widget in placed:
            assert widget in loaded and loaded.index("common") < loaded.index(widget), f"{name}: {widget}"
        for script in loaded:
            assert (WIDGETS / f"{script}.js").is_file(), f"{name}: {script}"
        used |= placed
    assert used == {path.stem for path in SCRIPTS}


def test_a_still_figure_stands_before_the_widget(pages):
    """It is an image of the page itself, with words, so it is there without scripts, in print and in JupyterLab."""
    for name, text in pages.items():
        static = "_static" if name.startswith("book/") else "../book/_static"
        for widget in re.findall(r'data-widget="(\w+)" data-still', text):
            image = re.search(rf"!\[([^\]]+)\]\({re.escape(static)}/widgets/still-{widget}\.svg\)\n\n", text)
            assert image and len(image[1]) > 40, f"{name}: {widget}"
            assert "*Try this:*" in text[: image.start()].rsplit("\n\n", 2)[-2], f"{name}: {widget}"
    for widget, words in STILLS.items():
        root = ET.parse(WIDGETS / f"still-{widget}.svg").getroot()
        assert root.get("aria-label") == words and not root.findall(".//{*}script"), widget


@pytest.mark.parametrize("name", STILLS)
def test_still_figures_are_the_widgets_own(told, name):
    drawn = (WIDGETS / f"still-{name}.svg").read_text(encoding="utf-8")
    assert browser.still(told[f"drawn-{name}"], STILLS[name]) == drawn, "run `python tests/browser.py`"


BEST = list(RUNGS.values())[-1].metrics
FOUND = {marks: round(119 * BEST[f"sensitivity_at_{marks}"]["value"]) for marks in ("1", "2")}
MATCHED = (ssd.assign(iou([[98, 98, 158, 158]], 256 * cxcywh_to_xyxy(ssd.default_boxes()))) >= 0).sum()
CLICK = 'dispatchEvent(new MouseEvent("click", {bubbles: true}))'
KEYS = {
    "deal": [
        ("", r"^Lesion 1, woman 1: view 1 is in test\..*pixel by pixel0 of"),
        ('$(".w-grid").focus(); key($(".w-grid"), "ArrowRight")', r"^(?!Lesion 1, woman 1: view 1 )"),
        (f'$$(".w-grid .w-tile")[70].{CLICK}', r"^Lesion 9, woman 7: view 7.*pixel by pixel0 of"),
        ('$(".w-tick input").click()', r"^(?!.*pixel by pixel0 of)"),
        ('$$(".w-choice input")[2].click()', r"(0 of 24 \(0 %\).*){3}"),
        (f'$$(".widget svg")[1].querySelectorAll(".w-tile")[3].{CLICK}', r"^[^|]*: view 4 is in"),
    ],
    "ranking": [
        ("", r"^At 0\.50: 7 boxes shown, 4 true; recall 4 of 6, precision 0\.571\..*0\.5482"),
        (
            'for (let i = 0; i < 4; i++) key($$(".w-handle")[2], "ArrowDown")',
            r"^Box on image 2: confidence 0\.85, rank 3, IoU 0\.54, true\.(?!.*0\.5482)",
        ),
        ('key($$(".w-handle")[2], "ArrowRight", {shiftKey: true})', r"^Box on image 2: confidence 0\.75, rank 4"),
        ('drag($$(".w-handle")[2], 34 + 356 * 0.5, 150)', r"^Box on image 2: confidence 0\.50,.* IoU 1\.00"),
        ('point($$(".w-handle")[2], "pointermove", 0, 0)', r"^Box on image 2: confidence 0\.50,.* IoU 1\.00"),
        ('$("button").click()', r"0\.5482"),
        ('set($("input[type=range]"), 0.75)', r"^At 0\.75: 4 boxes shown, 3 true"),
    ],
    "parabola": [
        ("", r"^It shrinks\. Each step multiplies by 0\.60.*a rate of 0\.50"),
        ('set($$("input")[0], 0.6)', r"^It explodes\. Each step multiplies by 1\.40"),
        ('set($$("input")[1], 0.9)', r"^It shrinks\..*a rate of 0\.95"),
        ('set($$("input")[2], 3)', r"After 3 steps.*Steps3"),
    ],
    "prevalence": [
        ("", r"^42 of 60 abnormal patches found, 28 false alarms\. The accuracy is 0\.070 above"),
        (
            'set($$("input")[1], 0); set($$("input")[2], 1); set($$("input")[0], 0.01)',
            r"The accuracy is that of always answering with the larger class\. \|"
            r".*accuracy0\.990.*balanced accuracy0\.500",
        ),
    ],
    "centre": [
        (
            "",
            r"^Off by 32 and 0 pixels: IoU 0\.52, a hit\. "
            r"Of all places where the lesion fits, the box hits 10 %\. \|",
        ),
        ('key($(".w-handle"), "ArrowRight", {shiftKey: true})', r"^Off by 42 and 0 pixels: IoU 0\.41, no hit"),
        ('key($(".w-handle"), "ArrowUp")', r"^Off by 42 and 1 pixels"),
        ('drag($(".w-handle"), 200, 136)', r"^Off by 0 and 0 pixels: IoU 1\.00, a hit"),
        ('set($("input"), 220)', r"the box hits 100 %\. \|"),
    ],
    "defaults": [
        ("", rf"^{MATCHED} of 6132 default boxes answer for this lesion"),
        ('key($(".w-handle"), "ArrowLeft", {shiftKey: true})', r"\| translate\(118 128\)$"),
        ('drag($(".w-handle"), 72 + 40, 8 + 250)', r"\| translate\(40 226\)$"),
        ('set($("input"), 8)', r"^1 of 6132.*only since it is the best"),
    ],
    "bootstrap": [
        ("", "^200 "),
        ('$$("button")[0].click()', "^201 "),
        ('$$("button")[1].click()', "^401 "),
        ('$$("button")[2].click()', "^1 "),
    ],
    "froc": [
        ("", rf"^318 false marks on 318 films: .* {FOUND['1']} of 119 lesions"),
        (
            'for (let i = 0; i < 3; i++) key($(".w-handle"), "ArrowRight", {shiftKey: true})',
            rf"^636 false marks.* {FOUND['2']} of 119 lesions",
        ),
        ('drag($(".w-handle"), 34, 50)', "^40 false marks"),
        (
            '$("select").value = 0; $("select").dispatchEvent(new Event("change"))',
            r"^40 false marks[^|]*where lesions of training women lie",
        ),
    ],
}
"""Widget -> what a reader does to it, step by step, and what it says then, shows, and where its handle is."""
NOTED = 'out.push([said(), $(".widget").textContent, $(".w-handle")?.getAttribute("transform")].join(" | "));'
ASKS |= {
    f"keys-{name}": Ask(name, f"const out = []; {''.join(f'{step}; {NOTED}' for step, _ in steps)} return out;")
    for name, steps in KEYS.items()
}


@pytest.mark.parametrize("name", KEYS)
def test_widgets_answer_keys_and_pointer(told, name):
    for (step, expected), noted in zip(KEYS[name], told[f"keys-{name}"], strict=True):
        assert re.search(expected, " ".join(noted.split())), f"{step}: {noted}"


@pytest.mark.parametrize("name", STILLS)
def test_widgets_can_be_reached_and_have_names(told, name):
    """The still figure goes, every drawing has words, every control a label, and one of them takes the keyboard."""
    found = told[f"reach-{name}"]
    assert found["still"] and not found["unnamed"] and found["live"] and found["focus"]
    assert found["drawings"] and all(role and len(words or "") > 10 for role, words in found["drawings"])
    assert all(role and words for role, words in found["handles"])


def luminance(colour: str) -> float:
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return float(np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])


def test_colours_stand_out_in_both_modes():
    css = (WIDGETS / "widgets.css").read_text(encoding="utf-8")
    blocks = re.findall(r"\{((?:\s*--w-[^}]*?;)+)", css)[:2]
    for block, paper in zip(blocks, ("#ffffff", "#14181e"), strict=True):
        colours = re.findall(r"--w-\w+: (#\w{6})", block)
        assert len(colours) == 4
        for colour in colours:
            low, high = sorted((luminance(colour), luminance(paper)))
            assert (high + 0.05) / (low + 0.05) >= 3, f"{colour} on {paper}: WCAG 2, 1.4.11"


@ask("deal", """const {deal, count, twin, WOMAN} = Widgets.deal, deals = [];
        for (const way of ["random", "lesion", "woman"]) for (let seed = 0; seed < 20; seed++) {
          const side = deal(way, seed);
          deals.push({way, side, count: count(side)});
        }
        return {deals, woman: WOMAN, twin: [0, 1, 2, 3, 4, 5, 6, 7].map(twin)};""")  # fmt: skip
def test_deal_counts_as_mammolib_does(found):
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
        counts = len(part.training), len(part.test), sibling.sum(), mirrored.sum(), of_woman.sum()
        counted = dealt["count"]
        assert counts == tuple(counted[k] for k in ("training", "test", "sibling", "mirror", "woman"))
        if dealt["way"] == "random":
            assert counts[:2] == (141, 27)
            shown.append(mirrored.mean())
        else:
            assert counted["sibling"] == counted["mirror"] == 0
        if dealt["way"] == "woman":
            part.check(woman, "woman")
    assert any(d["count"]["woman"] for d in found["deals"] if d["way"] == "lesion")
    assert abs(np.mean(shown) - 141 / 191) < 3 * np.sqrt(0.74 * 0.26 / (20 * 27)), "141 of the 191 others train"


def test_every_chapter_asks_what_its_text_asks_and_answers(told, pages):
    """Every number asked for has a field, every field an answer, and the sentence "Your guesses" states it."""
    for name in filter(lambda name: name.startswith("chapters/"), pages):
        text, chapter = pages[name], name.removeprefix("chapters/")[:2]
        asked = re.findall(r"^(\d)\. ", text.partition("## Guess first")[2].partition("\n## ")[0], re.M)
        assert {q["words"][0] for q in told["guesses"][chapter]} == set(asked), name
        assert f'data-widget="guess" data-chapter="{chapter}"' in text, name
        said = next(p for p in text.split("\n\n") if p.startswith("Your guesses"))
        following = text.partition(said)[2].strip()
        assert following.startswith(f'<div data-widget="guesses" data-chapter="{chapter}"></div>'), name
        numbers = set(re.findall(r"[\d,.]*\d|\w+", said))
        for q in told["guesses"][chapter]:
            assert q["right"] and not q["far"], (name, q["words"])
            if "options" in q:
                assert q["ours"] in q["options"] and (q["paper"] is None or q["paper"] in q["options"])
            else:
                assert q["low"] <= q["ours"] <= q["high"]
                spelt = "eight" if q["ours"] == 8 else f"{q['ours']:,}"
                share = SHARES.get(q["words"]) if chapter < "10" else None
                assert {f"{q['ours']:,}", spelt, str(q["ours"])} & numbers or (share and share in said), (
                    name,
                    q["words"],
                )


def test_answers_that_mammolib_computes(told):
    found = {f"{chapter} {q['words']}": q["ours"] for chapter, rows in told["guesses"].items() for q in rows}
    interval = metrics.wilson(115, 157)
    assert found["04 3. Width of the interval"] == round(100 * (interval.high - interval.low))
    assert found["04 4. Share that holds for new women, at most"] == round(100 * (0.65 - 0.5) / (0.89 - 0.5))
    assert found["05 1. Questions about one image"] == ssd.SSD256.n_boxes
    assert found["01 2. Share of normal films"] == round(100 * 207 / 322)
    assert found["03 2. Share of dark patches"] == round(100 * 145 / 225)
    assert found["07 3. Chance that the mirror image trains"] == round(100 * 600 / 815, 1)
    assert found["07 2. Views that train, of eight"] == round(8 * 600 / 816, 2)
    late = np.array([0, 1, 1, 1, 1, 1, 1, 1])
    envelope = max(late.cumsum() / np.arange(1, 9))
    assert found["06 2. The AP is nearer to"] == min(("1", "0.9", "0.5"), key=lambda x: abs(float(x) - envelope))


def test_the_answers_state_the_records():
    clipped, before, chapter = "A-a0ed8773d7e0", "E-before-7632e9da2740", "chapters/{}.ipynb".format
    assert record(clipped).settings["changed"]["clip"] == 1 and record(clipped).settings["width"] == 1 / 8
    ends = f"the norm clipped to 1, end at an mAP of {value(clipped, 'map'):.3f}."
    states(chapter("08-experiment-b"), f"with an eighth of the filters and {ends}")
    assert record(before).settings["width"] == 1 and record(before).split == "image"
    share = value(before, "centre_recall_uniform")
    states(chapter("11-experiment-e"), f"less than a tenth ({100 * share:.1f} % on the real films, at random);")
    states(chapter("10-experiment-d"), "the bytes of the convolutions *rise*, 1.76 times.")
    states(chapter("10-experiment-d"), "more bytes, 1.76 times as many;")


@ask("guess", """localStorage.clear();
    const answer = () => $("[data-widget=guesses]").textContent;
    const before = answer(), field = $("[data-widget=guess] input[type=number]");
    field.value = "8"; field.dispatchEvent(new Event("change"));
    $$("[data-widget=guess] input[type=radio]")[1].click();
    const after = answer(), held = localStorage.getItem("mammolib-guess-02");
    $("button").click();
    return {before, after, held, forgotten: answer() === before,
      unnamed: $$("input").filter((i) => !i.labels.length).length,
      words: $("svg").getAttribute("aria-label")};""", also=("guesses",), body=GUESSED)  # fmt: skip
def test_guesses_are_kept_and_shown_beside_the_answers(found):
    assert "You have not guessed yet" in found["before"] and "ours: 8" in found["before"]
    assert "you: 8" in found["after"] and "you: no" in found["after"] and "2 of your 2 guesses" in found["after"]
    assert json.loads(found["held"]) == {"0": 8, "1": "no"}
    assert found["forgotten"] and not found["unnamed"]
    assert found["words"] == "1. Different pictures: no guess, the paper 8, ours 8"


@ask("ranking", """const {judge, averagePrecision, BOXES} = Widgets.ranking, random = Widgets.chance(1), out = [];
    for (let i = 0; i < 200; i++) {
      const other = ([image]) => [image, Math.round(20 * random()) / 20, Math.floor(17 * random())];
      const boxes = i ? BOXES.map(other) : BOXES;
      const judged = judge(boxes);
      out.push({boxes, order: judged.order, verdict: judged.verdict, precision: judged.curve.map((r) => r.precision),
        ap: Object.fromEntries(["paper", "voc2007", "voc2010", "coco"].map((d) => [d, averagePrecision(judged, d)]))});
    }
    return out;""")  # fmt: skip
def test_ranking_agrees_with_mammolib_in_all_definitions(found):
    """The chapter's set, and 199 others with ties; the four definitions and every verdict."""
    lesion = np.array([10, 10, 30, 30])
    truths = Truths(np.arange(6), np.ones(6, int), np.repeat(lesion[None], 6, 0), n_images=7, classes=("lesion",))
    for n, case in enumerate(found):
        image, confidence, off = np.array(case["boxes"]).T
        boxes = lesion + off[:, None] * [1, 0, 1, 0]
        matches = metrics.match(Detections(image.astype(int), np.ones(8, int), confidence, boxes), truths)
        curve = metrics.precision_recall(matches, 1)
        assert curve.true.tolist() == case["verdict"], n
        assert np.allclose(curve.precision, case["precision"], rtol=0, atol=1e-12)
        for definition, height in case["ap"].items():
            assert height == pytest.approx(metrics.average_precision(matches, definition=definition)[0], abs=1e-12)
    first = {definition: round(height, 4) for definition, height in found[0]["ap"].items()}
    assert first == {"paper": 0.5482, "voc2007": 0.5519, "voc2010": 0.5536, "coco": 0.5534}, "what the chapter prints"


@ask("parabola", """const {descend, growth, edge} = Widgets.parabola, out = [];
    for (const m of [0, 0.5, 0.9]) for (const r of [0.1, 0.4, 0.5, 0.8, 0.925, 0.975, 1.2])
      out.push({m, r, weights: descend(r, m, 20), growth: growth(r, m), edge: edge(m)});
    return out;""")  # fmt: skip
def test_parabola_steps_as_in_the_chapter(found):
    for case in found:
        m, rk = case["m"], 4 * case["r"]
        step = np.array([[1 - rk, m], [-rk, m]])
        states = [np.linalg.matrix_power(step, n) @ [1.0, 0.0] for n in range(21)]
        assert np.allclose(case["weights"], [w for w, _ in states])
        assert case["growth"] == pytest.approx(abs(np.linalg.eigvals(step)).max(), abs=1e-6)
        assert case["edge"] == pytest.approx(2 * (1 + m) / 4)
        assert (case["growth"] > 1 + 1e-9) == (case["r"] > case["edge"] + 1e-9)
    chapter = {c["r"]: c["weights"][:5] for c in found if c["m"] == 0}
    assert np.round(chapter[0.4], 2).tolist() == [1.0, -0.6, 0.36, -0.22, 0.13]
    assert np.round(chapter[0.8], 2).tolist() == [1.0, -2.2, 4.84, -10.65, 23.43]


@ask("prevalence", """const {count, measures} = Widgets.prevalence, out = [];
    for (const p of [0, 0.013, 0.3, 0.7]) for (const [a, b] of [[0, 1], [0.7, 0.8], [1, 0], [0.33, 0.5]]) {
      const counts = count(p, a, b);
      out.push({counts, found: measures(counts)});
    }
    return out;""")  # fmt: skip
def test_prevalence_measures_as_mammolib_does(found):
    for case in found:
        tp, fn, tn, fp = (case["counts"][k] for k in ("tp", "fn", "tn", "fp"))
        truth = np.repeat([1, 1, 0, 0], [tp, fn, tn, fp])
        predicted = np.repeat([1, 0, 0, 1], [tp, fn, tn, fp])
        table = metrics.confusion(truth, predicted)
        assert table.tolist() == [[tn, fp], [fn, tp]]
        found = case["found"]
        assert found["accuracy"] == pytest.approx(np.mean(truth == predicted))
        assert found["larger"] == table.sum(axis=1).max() / 200
        assert found["precision"] == (pytest.approx(tp / (tp + fp)) if tp + fp else None)
        recall = np.diag(table) / np.maximum(table.sum(axis=1), 1)
        assert found["balanced"] == (pytest.approx(recall.mean()) if tp + fn else None)


@ask("centre", """const {overlap, share} = Widgets.centre;
    return {shares: [20, 60, 100, 140, 220].map((a) => [a, share(a)]),
      overlaps: [[90, 30, 0], [100, 64, 0], [100, 32, 32], [60, -70, 5], [40, 3, -9]]
        .map((c) => [c, overlap(...c)])};""")  # fmt: skip
def test_off_the_centre_agrees_with_mammolib(found):
    for side, share in found["shares"]:
        x, y = (v.ravel() for v in np.meshgrid(*[np.arange(257 - side)] * 2))
        boxes = np.stack([x, y, x + side, y + side], axis=1)
        assert share == pytest.approx(centre.centre_prior(boxes, sizes=side), abs=1e-9)
    for (side, x, y), overlap in found["overlaps"]:
        box = np.array([100.0, 100, 100 + side, 100 + side])
        assert overlap == pytest.approx(iou([box], [box + [x, y, x, y]])[0, 0])


@ask("defaults", """const {BOXES, matched} = Widgets.defaults, random = Widgets.chance(3), out = [];
    for (let i = 0; i < 30; i++) {
      const side = 8 + Math.floor(190 * random()), place = () => Math.floor((256 - side) * random());
      const x = place(), y = place();
      const lesion = [x, y, x + side, y + side];
      out.push([lesion, matched(lesion).rows]);
    }
    return {boxes: BOXES, cases: out};""")  # fmt: skip
def test_default_boxes_match_as_in_mammolib(found):
    drawn = np.array(found["boxes"])
    corners = 256 * cxcywh_to_xyxy(ssd.default_boxes())
    assert np.allclose(drawn[:, 1:], corners) and (drawn[:, 0] == map_of_box()).all()
    for lesion, rows in found["cases"]:
        assert rows == np.flatnonzero(ssd.assign(iou([lesion], corners)) >= 0).tolist(), lesion


@ask("bootstrap", """const {draw, middle, RIGHT, VIEWS} = Widgets.bootstrap, random = Widgets.chance(5);
    const out = {right: RIGHT, views: VIEWS};
    for (const by of ["woman", "crop"]) {
      const values = Array.from({length: 4000}, () => draw(by, random));
      out[by] = {values, middle: middle(values)};
    }
    return out;""")  # fmt: skip
def test_bootstrap_draws_as_mammolib_does(found):
    right = np.concatenate([np.arange(8) < n for n in found["right"]]).astype(int)
    woman = np.repeat(np.arange(15), found["views"])
    assert right.mean() == 0.75
    for by, groups in {"woman": woman, "crop": np.arange(120)}.items():
        values, (low, high) = found[by]["values"], found[by]["middle"]
        assert np.allclose(np.quantile(values, [0.025, 0.975]), [low, high])
        theirs = metrics.bootstrap(lambda w: w @ right / w.sum(axis=-1), groups, n_resamples=4000)
        assert high - low == pytest.approx(theirs.high - theirs.low, rel=0.15)
        means = np.bincount(groups, right) / np.bincount(groups)
        assert np.std(values) == pytest.approx(means.std() / np.sqrt(len(means)), rel=0.05)
        assert np.mean(values) == pytest.approx(0.75, abs=0.01)


@ask("froc", """const {share, FOUND} = Widgets.froc, powers = [-3, -2.6, -2, -1, 0, 0.5, 1, 2, 3];
    const found = FOUND.map(([, points]) => powers.map((p) => share(points, p)));
    return {powers, found, names: FOUND.map(([name]) => name)};""")  # fmt: skip
def test_the_froc_handle_holds_the_records_curves(found):
    """Every detector of the book is there, and its curve agrees with the record's to a hundredth."""
    assert found["names"] == list(RUNGS)
    for scored, shares in zip(RUNGS.values(), found["found"], strict=True):
        curve = scored.outputs["curves"]["centre"]
        expected = np.interp(2.0 ** np.array(found["powers"]), curve["false_marks"], curve["sensitivity"])
        assert np.allclose(shares, expected, atol=0.012), scored.settings["detector"]
        assert shares[4] == pytest.approx(scored.metrics["sensitivity_at_1"]["value"], abs=0.0006)
