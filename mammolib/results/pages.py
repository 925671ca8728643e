"""Two pages of the book, written from the records: what every claim comes to, and which runs ran where."""

from __future__ import annotations

import html
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby

from .claims import sections
from .comparison import Row, judge
from .estimates import form
from .record import Record
from .runs import SPLITS, data_words, plain_words, standing
from .tables import FINDINGS, MARKS, headline, markdown
from .verdicts import DIRECTION, NOT_REPRODUCED, REPRODUCED

MAIN = {
    "A-map": "A detector finds lesions with an mAP of 0.842.",
    "cnni-bcc-test-accuracy": "A small network gets 73.24 % of the test patches right.",
    "B-train-after": "Twice the learning rate makes the loss explode.",
    "C-300x2-val-loss": "Larger batches end at a higher loss.",
    "D-100x6-val-loss": "Separable convolutions end at a lower loss.",
    "E-before-map": "Off the centre of a crop the mAP falls to 0.284.",
    "E-after-uniform-map": "Retraining brings the mAP off the centre to 0.363.",
}
"""What the abstract and Experiments A to E say, each by the claim that stands for it."""

HOME = {
    "04": "04-classification", "07": "07-experiment-a", "08": "08-experiment-b", "09": "09-experiment-c",
    "10": "10-experiment-d", "11": "11-experiment-e",
}  # fmt: skip

COLOURS = {REPRODUCED: "#1b9e77", DIRECTION: "#b8860b", NOT_REPRODUCED: "#d1495b"}
WIDTH, HEIGHT = 240, 22
LEAST, MOST = 1 / 8, 8
"""Ends of the axis of ratios: a loss of ours over the paper's."""


def results_page(records: Iterable[Record]) -> str:
    """Write the book's page of results in Markdown: the verdicts at a glance, then every claim by section, folded.

    Nothing but the claims and the records enters, so the same records give the same page.
    """
    records = [r for r in records if r.data["name"] != "phantom"]
    every = judge(None, records)
    best: dict[str, Row] = {}
    for row in every:
        best.setdefault(row.claim.id, row)
    page = [
        "# Every claim of the paper, and ours",
        f"**{headline(best.values())}**",
        "Code writes this page from the records of our runs; no number on it is typed. *Reproduced* asks for an "
        "interval that holds the paper's number, is narrow enough to mean it, and is clear of what a network scores "
        "that has learnt nothing. A run with fewer filters or updates than the paper's gives a direction at most.",
        "## The paper's main claims",
        _html_block([_main(best[name], every) for name in MAIN]),
        "## All results of training",
        "A ring is the paper, the bar our 95 % interval with our number in it, the dashed tick what has learnt "
        "nothing. Shares and average precision lie between 0 and 1. Losses are shown as ratios to the paper's, from "
        "an eighth to eight times, so the ring is in the middle.",
        _html_block(_figure([r for r in best.values() if r.claim.group == "trained"])),
        "## Claim by claim",
    ]
    for number, title in sections().items():
        rows = [(r, r is best[r.claim.id], r.claim.group in FINDINGS) for r in every if r.claim.section == number]
        found = [r for r, first, finding in rows if first and finding]
        page.append(f"### {number} {title}")
        for head, lines in (
            (f"{len(found)} results", found),
            ("The same in other runs", [r for r, first, finding in rows if finding and not first]),
            ("Settings, times and background", [r for r, first, finding in rows if first and not finding]),
        ):
            if lines:
                page.append(f"````{{admonition}} {head}\n:class: dropdown\n\n{_lines(lines)}\n````")
    page.append("Which runs these are, and on which machines they ran, is on [a page of its own](runs).")
    return "\n\n".join(page) + "\n"


def runs_page(records: Iterable[Record]) -> str:
    """Write the book's page of runs in Markdown: every detector beside what has learnt nothing, runs, machines."""
    records = sorted(records, key=lambda r: (r.name, r.split, r.seed, r.hash))
    page = [
        "# The runs behind the results",
        "Each run is one file in `book/results/`: what was asked, what came out, and on which machine. Its name ends "
        "in a hash of what was asked, so the same question finds the same file.",
        "## Every detector beside what has learnt nothing",
        _baselines(records),
        "## The files",
        _runs(records),
        "(which-machine)=\n## What ran on which machine",
        _machines(records),
    ]
    return "\n\n".join(page) + "\n"


def _baselines(records: Sequence[Record]) -> str:
    """Write in Markdown the mAP of every detector beside two baselines on the same test crops."""
    rows = []
    for r in records:
        if r.name == "lookup":
            words = f"the lookup alone, {r.metrics['map']['n']} splits {SPLITS[r.split]}"
            rows.append([words, "", _ap(r, "map"), ""])
        for suffix, on in (("", ""), ("_centred", ", on centred crops"), ("_uniform", ", on uniform cuts")):
            names = [f"{n}{suffix}" for n in ("map", "lookup_map", "centre_map")]
            if r.complete and all(n in r.metrics for n in names[1:]):
                rows.append([f"{r.name}, {plain_words([r])}{on}", *(_ap(r, n) for n in names)])
    text = (
        "The lookup answers with the class and the size of the training crop that has the most similar histogram of "
        "grey levels; the boxes in the middle are three, in the sizes that fit most training crops. Neither sees a "
        "shape. A detector that stays below the lookup at random has not used all that leaked; one that stays below "
        "the boxes in the middle is worth less than knowing how the crops were cut."
    )
    return _table(["Run", "mAP (95 % interval)", "The lookup", "Boxes in the middle"], rows, text)


def _machines(records: Sequence[Record]) -> str:
    """Write in Markdown which runs ran on which processor, GPU, backend and precision, and whether any ran on a GPU."""
    groups: dict[tuple[str, ...], Counter[str]] = {}
    for r in records:
        m = r.machine
        machine = m.get("processor") or "unknown"
        if m.get("cores"):
            machine += f", {m['cores']} core{'s' if m['cores'] != 1 else ''}"
        if m.get("gpu"):
            machine = f"GPU: {m['gpu']}; {machine}"
        backend = m.get("backend")
        engine = f"{backend} {m.get('versions', {}).get(backend, '')}".strip() if backend else "none: no network"
        groups.setdefault((machine, engine, r.settings.get("precision") or "–"), Counter())[r.name] += 1
    on_gpu = sum(bool(r.machine.get("gpu")) for r in records) or "none"
    text = f"Of {len(records)} recorded runs, {on_gpu} ran on a GPU. A dash: the record states no precision."
    rows = [
        [*key, ", ".join(f"{name} ({n})" if n > 1 else name for name, n in names.items())]
        for key, names in sorted(groups.items())
    ]
    return _table(["Machine", "Keras on", "Precision", "Runs"], rows, text)


def _main(row: Row, every: Sequence[Row]) -> str:
    """Return one of the main claims as HTML: the claim, the verdict, ours, its picture, and where it is told."""
    claim = row.claim
    ours = f"{row.ours} [{row.interval.replace(' to ', ', ')}]" if row.interval else row.ours or "no number yet"
    others = [r for r in every if r.claim.id == claim.id and r.runs and r.runs[0].split == "woman" and r.ours]
    by_woman = min(others, key=lambda r: standing(r.runs), default=None)
    kept = f" Where women are kept apart: {by_woman.ours}." if by_woman is not None and by_woman is not row else ""
    runs = f" ({plain_words(row.runs)})" if row.runs else ""
    home = claim.chapters[0]
    label = "in direction only" if row.verdict == DIRECTION else row.verdict
    why = html.escape(row.why.partition("; open:")[0])
    return (
        f'<div class="main-claim"><p><b>{html.escape(MAIN[claim.id])}</b> '
        f'<span class="verdict">{MARKS[row.verdict]} {html.escape(label)}</span></p>{_strip(row)}'
        f"<p>Ours: {html.escape(ours)}{html.escape(runs)}.{html.escape(kept)} {why[:1].upper() + why[1:]}. "
        f'<a href="../chapters/{HOME[home]}.html">Chapter {int(home)}</a></p></div>'
    )


def _figure(rows: Sequence[Row]) -> list[str]:
    """Return the results of training as HTML lines: sign, claim, picture; grouped by section."""
    lines = []
    for section, of_section in groupby(rows, key=lambda row: row.claim.section):
        lines.append(f'<p class="claim-group">{html.escape(section)} {html.escape(sections()[section])}</p>')
        for row in of_section:
            picture = _strip(row) or f'<span class="no-strip">{html.escape(row.ours or "no number")}</span>'
            words = f"{MARKS[row.verdict]} {row.claim.quantity}"
            title = html.escape(f"{row.verdict}: {row.why}")
            lines.append(f'<div class="claim-row" title="{title}"><span>{html.escape(words)}</span>{picture}</div>')
    return lines


def _strip(row: Row) -> str:
    """Draw a claim as inline SVG: the paper's number as a ring, our interval as a bar, the baseline as a tick.

    Shares and AP lie on an axis from 0 to 1; other numbers as ratios to the paper's, on a logarithmic axis from `LEAST`
    to `MOST`. "" where the claim or the run has no number.
    """
    ours, paper, shares = row.estimate, row.claim.number, row.claim.unit in ("share", "AP")
    if ours is None or math.isnan(ours.value) or paper is None or not (shares or (paper > 0 and ours.value > 0)):
        return ""
    colour, middle = COLOURS.get(row.verdict, "currentColor"), HEIGHT / 2

    def x(value: float) -> float:
        if not shares:
            ratio = min(max(value / paper, LEAST), MOST) if math.isfinite(value) and value > 0 else MOST
            value = math.log(ratio / LEAST) / math.log(MOST / LEAST)
        return round(6 + min(max(value, 0.0), 1.0) * (WIDTH - 12), 1)

    words = f"paper {row.claim.paper}, ours {row.ours}" + (f", {row.interval}" if row.interval else "")
    parts = [
        f'<svg class="strip" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(words)}">'
        f'<line x1="6" y1="{middle}" x2="{WIDTH - 6}" y2="{middle}" stroke="currentColor" opacity="0.25"/>'
    ]
    if row.baseline is not None:
        b = x(row.baseline.score)
        parts.append(f'<path d="M{b} 3V{HEIGHT - 3}" stroke="currentColor" stroke-dasharray="3 2" stroke-width="1.5"/>')
    if ours.interval:
        low, high = map(x, ours.interval)
        ends = f'x="{low}" y="{middle - 3}" width="{max(high - low, 1):.1f}" height="6"'
        parts.append(f'<rect {ends} rx="3" fill="{colour}" opacity="0.45"/>')
    parts.append(
        f'<path d="M{x(ours.value)} {middle - 6}V{middle + 6}" stroke="{colour}" stroke-width="3"/>'
        f'<circle cx="{x(paper)}" cy="{middle}" r="4.5" fill="none" stroke="currentColor" stroke-width="1.8"/></svg>'
    )
    return "".join(parts)


def _html_block(lines: Sequence[str]) -> str:
    return '```{raw} html\n<div class="claims">' + "\n".join(lines) + "</div>\n```"


def _ap(record: Record, name: str) -> str:
    """Write an AP of a record with its interval; the outcome where the run was not tested."""
    held = record.metrics.get(name)
    if held is None or held["value"] is None:
        return record.outcome
    value, low, high = (form(held[key], "AP") for key in ("value", "low", "high"))
    return value if held["low"] is None else f"{value} ({low} to {high})"


def _lines(rows: Sequence[Row]) -> str:
    """Write rows as a Markdown table of four columns, narrow enough for a telephone."""
    cells = []
    for row in rows:
        place = f" ({row.claim.where})" if row.claim.where else ""
        ours = f"{row.ours} [{row.interval}]" if row.interval else row.ours or "–"
        runs = f" ({plain_words(row.runs)})" if row.runs else ""
        cells.append(
            [row.claim.quantity + place, row.claim.paper, ours + runs, f"{MARKS[row.verdict]} {row.verdict}: {row.why}"]
        )
    return markdown(["Claim", "Paper", "Ours [95 % interval]", "Verdict, and why"], cells)


def _runs(records: Sequence[Record]) -> str:
    cells = []
    for r in records:
        device = r.machine.get("gpu") or r.machine.get("processor") or "unknown"
        made = [str(r.machine[k]) for k in ("backend", "commit", "date") if r.machine.get(k)]
        what = filter(None, (data_words(r) or "no films", plain_words([r]), r.outcome))
        cells.append([f"`{r.file_name}`", ", ".join(what), device, ", ".join(made)])
    return _table(["Record", "Run", "Device", "Backend, commit, date"], cells)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], text: str = "") -> str:
    if not rows:
        return "No run is recorded yet."
    return "\n\n".join(filter(None, (text, markdown(head, rows))))
