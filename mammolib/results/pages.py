"""The tables of claims as a reader sees them: under a chapter's cell, and as a page of the book."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from .claims import sections
from .comparison import COLUMNS, SETTING_VERDICTS, VERDICTS, Row, judge
from .record import Record

if TYPE_CHECKING:
    import pandas as pd

MARKS = dict(zip((*VERDICTS, *SETTING_VERDICTS), "✓↗✗?=≠·", strict=True))
"""A sign before each verdict, so that a table can be read at a glance and without colour."""


class Shown:
    """A table of claims that a notebook shows as HTML: four columns, the lesser things small beneath the greater.

    It takes its colours and fonts from the page, so it is as legible in dark mode, and on a telephone.
    """

    def __init__(self, table: pd.DataFrame) -> None:
        missing = [c for c in COLUMNS if c not in table]
        if missing:
            raise ValueError(f"table: columns missing: {missing}; give what paper_beside_ours returns")
        self.table = table

    def __repr__(self) -> str:
        lines = (
            f"{MARKS.get(r.verdict, '')} {r.verdict}: {r.claim} ({r.section}): paper {r.paper}, ours {r.ours or 'none'}"
            for r in self.table.itertuples()
        )
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = "".join(f"<th {_LEFT}>{h}</th>" for h in ("Claim", "Paper", "Ours", "Verdict"))
        body = "".join(
            f"<tr><td {_LEFT}>{_text(r.claim)}{_small('section ' + r.section)}</td><td {_LEFT}>{_text(r.paper)}</td>"
            f"<td {_LEFT}>{_text(r.ours)}{_small(r.interval)}</td>"
            f"<td {_LEFT}><b>{MARKS.get(r.verdict, '')} {_text(r.verdict)}</b>{_small(r.why)}{_small(r.run)}</td></tr>"
            for r in self.table.itertuples()
        )
        return (
            '<div style="overflow-x:auto"><table style="width:100%;font-size:0.9em">'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        )


def show(table: pd.DataFrame) -> Shown:
    """Return what `paper_beside_ours` gives in a form a notebook shows well."""
    return Shown(table)


def results_page(records: Iterable[Record]) -> str:
    """Write the book's page of results in Markdown: every claim of the paper, ours, and the verdict, by section.

    Each claim has the line of the run that counts most; lines of further runs follow, folded. Nothing but the claims
    and the records enters, so the same records give the same page.
    """
    records = list(records)
    best, every = judge(None, records, every=False), judge(None, records)
    found = [r for r in best if r.claim.kind not in ("setting", "context")]
    rest = Counter(r.verdict for r in best if r.claim.kind == "setting")
    counts = Counter(r.verdict for r in found)
    page = [
        "# Every claim of the paper, and ours",
        "This page is written by code from the records of our runs in `book/results/`; no number on it is typed. "
        "A claim whose run is missing, was made on phantoms, or was smaller than the paper's cannot be decided by it; "
        "the table says which of these it is. Where several seeds were run, the value is their mean, and the interval "
        "is the one in which one more run would be expected, since the paper reports one run.",
        f"The paper states {len(found)} results that a run could show:",
        _table(["Verdict", "Results"], [[f"{MARKS[v]} {v}", str(counts[v])] for v in VERDICTS]),
        "Beside them stand the paper's settings. "
        + ", ".join(f"{v}: {rest[v]}" for v in (*SETTING_VERDICTS, VERDICTS[-1]))
        + ".",
    ]
    for number, title in sections().items():
        rows = [r for r in best if r.claim.section == number]
        shown = {(r.claim.id, r.runs) for r in rows}
        others = [r for r in every if r.claim.section == number and (r.claim.id, r.runs) not in shown]
        page.append(f"## {number} {title}")
        results = [r for r in rows if r.claim.kind not in ("setting", "context")]
        settings = [r for r in rows if r.claim.kind in ("setting", "context")]
        if results:
            page.append(_lines(results))
        if settings:
            page += ["Settings and background:", _lines(settings)] if results else [_lines(settings)]
        others = [r for r in others if r.claim.kind != "setting"]
        if others:
            page.append("````{admonition} Further runs\n:class: dropdown\n\n" + _lines(others) + "\n````")
    page.append("## The runs")
    page.append(_runs(records) if records else "No run is recorded yet.")
    return "\n\n".join(page) + "\n"


_LEFT = 'style="text-align:left;vertical-align:top"'


def _text(text: str) -> str:
    return html.escape(str(text))


def _small(text: str) -> str:
    return f'<br><span style="font-size:0.85em;opacity:0.8">{_text(text)}</span>' if text else ""


def _lines(rows: Sequence[Row]) -> str:
    """Write rows as a Markdown table of six columns, the run with the reason."""
    cells = []
    for row in rows:
        claim, section, paper, ours, interval, verdict, why, run = row.cells()
        ours = f"{ours} ({interval})" if interval else ours
        cells.append([claim, section, paper, ours, f"{MARKS[verdict]} {verdict}", f"{why}. {run}" if run else why])
    return _table(["Claim", "Section", "Paper", "Ours (95 % interval)", "Verdict", "Why, and by which run"], cells)


def _runs(records: Sequence[Record]) -> str:
    cells = []
    for r in sorted(records, key=lambda r: (r.name, r.split, r.seed, r.hash)):
        m = r.machine
        device = m.get("gpu") or m.get("processor") or "unknown"
        made = [str(m[k]) for k in ("backend", "commit", "date") if m.get(k)]
        what = [r.data["name"], r.split, f"seed {r.seed}", "reduced" if r.reduced else "", r.outcome]
        cells.append([f"`{r.file_name}`", ", ".join(w for w in what if w), device, ", ".join(made)])
    return _table(["Record", "Run", "Device", "Backend, commit, date"], cells)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(c) for c in line) + " |" for line in lines)


def _cell(text: str) -> str:
    """Keep Markdown's own signs out of a cell; a file name in backticks stays as it is."""
    text = str(text).replace("\n", " ")
    if text.startswith("`"):
        return text
    for sign in ("\\", "|", "*", "_", "[", "]", "<", "$", "`"):
        text = text.replace(sign, f"\\{sign}")
    return text
