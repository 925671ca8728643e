"""The tables of claims as a reader sees them: under a chapter's cell, and as a page of the book."""

from __future__ import annotations

import html
import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from .claims import claims, sections
from .comparison import COLUMNS, SETTING_VERDICTS, Row, judge
from .estimates import estimate, in_words
from .record import Record
from .runs import SPLITS, data_words, run_words
from .verdicts import VERDICTS

if TYPE_CHECKING:
    import pandas as pd

MARKS = dict(zip((*VERDICTS, *SETTING_VERDICTS), "✓↗✗?=≠·", strict=True))
"""A sign before each verdict, so that a table can be read at a glance and without colour."""


LESSER = ("setting", "context")
"""Kinds of claims that no run can show to be true: what was asked for, and background."""


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
        lesser = {c.id for c in claims() if c.kind in LESSER}
        first = self.table[~self.table.index.isin(lesser)]
        rest = self.table[self.table.index.isin(lesser)]
        parts = [_html(first)] if len(first) else []
        if len(rest):
            summary = f"Settings and background ({rest.index.nunique()})"
            parts.append(f"<details><summary>{summary}</summary>{_html(rest)}</details>")
        return "".join(parts)


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
    found = [r for r in best if r.claim.kind not in LESSER]
    rest = Counter(r.verdict for r in best if r.claim.kind == "setting")
    counts = Counter(r.verdict for r in found)
    page = [
        "# Every claim of the paper, and ours",
        "This page is written by code from the records of our runs in `book/results/`; no number on it is typed. "
        "A claim whose run is missing or was made on phantoms cannot be decided; a run smaller than the paper's "
        "decides at most in which direction a number moves, and only where both sides were made smaller alike. "
        "Where several seeds were run, the value is their mean, and the interval is the one in which one more run "
        "would be expected, since the paper reports one run.",
        f"The paper states {len(found)} results that a run could show:",
        _table(["Verdict", "Results"], [[f"{MARKS[v]} {v}", str(counts[v])] for v in VERDICTS]),
        f"Beside them stand {rest.total()} settings of its runs: "
        + ", ".join(f"{rest[v]} {v}" for v in SETTING_VERDICTS)
        + f", {rest[VERDICTS[-1]]} without a run that tells.",
    ]
    for number, title in sections().items():
        rows = [r for r in best if r.claim.section == number]
        shown = {(r.claim.id, r.runs) for r in rows}
        others = [r for r in every if r.claim.section == number and (r.claim.id, r.runs) not in shown]
        page.append(f"## {number} {title}")
        results = [r for r in rows if r.claim.kind not in LESSER]
        settings = [r for r in rows if r.claim.kind in LESSER]
        if results:
            page.append(_lines(results))
        if settings:
            page += ["Settings and background:", _lines(settings)] if results else [_lines(settings)]
        others = [r for r in others if r.claim.kind != "setting"]
        if others:
            page.append("````{admonition} Further runs\n:class: dropdown\n\n" + _lines(others) + "\n````")
    page += ["## Every detector beside what has learnt nothing", baselines_table(records)]
    page.append("## The runs")
    page.append(_runs(records) if records else "No run is recorded yet.")
    page += ["(which-machine)=\n## What ran on which machine", machines_table(records)]
    return "\n\n".join(page) + "\n"


def baselines_table(records: Iterable[Record]) -> str:
    """Write in Markdown the mAP of every detector beside two baselines on the same test crops.

    Args:
        records: those of the results page.
    """
    rows = []
    for r in sorted(records, key=lambda r: (r.name, r.split, r.seed, r.hash)):
        if r.name == "lookup":
            words = f"the lookup alone, {r.metrics['map']['n']} splits {SPLITS[r.split]}"
            rows.append([words, "", _ap(r, "map"), ""])
        for suffix, on in (("", ""), ("_centred", ", on centred crops"), ("_uniform", ", on uniform cuts")):
            names = [f"{n}{suffix}" for n in ("map", "lookup_map", "centre_map")]
            if r.complete and all(n in r.metrics for n in names[1:]):
                rows.append([run_words([r]) + on, *(_ap(r, n) for n in names)])
    if not rows:
        return "No run is recorded yet."
    said = (
        "The lookup answers with the class and the size of the training crop that has the most similar histogram of "
        "grey levels; the boxes in the middle are three, in the sizes that fit most training crops. Neither sees a "
        "shape. A detector that stays below the lookup by image has not used all that leaked; one that stays below the "
        "boxes in the middle is worth less than knowing how the crops were cut."
    )
    return said + "\n\n" + _table(["Run", "mAP (95 % interval)", "The lookup", "Boxes in the middle"], rows)


def machines_table(records: Iterable[Record]) -> str:
    """Write in Markdown which runs ran on which processor, GPU, backend and precision, and whether any ran on a GPU.

    Args:
        records: those of the results page.
    """
    groups: dict[tuple[str, ...], Counter[str]] = {}
    on_gpu = 0
    for r in sorted(records, key=lambda r: (r.name, r.hash)):
        m = r.machine
        machine = m.get("processor") or "unknown"
        if m.get("cores"):
            machine += f", {m['cores']} cores"
        if m.get("gpu"):
            machine, on_gpu = f"GPU: {m['gpu']}; {machine}", on_gpu + 1
        backend = m.get("backend")
        engine = f"{backend} {m.get('versions', {}).get(backend, '')}".strip() if backend else "none: no network"
        groups.setdefault((machine, engine, r.settings.get("precision") or "-"), Counter())[r.name] += 1
    if not groups:
        return "No run is recorded yet."
    total = sum(names.total() for names in groups.values())
    said = f"Of {total} recorded runs, {on_gpu or 'none'} ran on a GPU. A dash: the record states no precision."
    rows = [
        [*key, ", ".join(f"{name} ({n})" if n > 1 else name for name, n in names.items())]
        for key, names in sorted(groups.items())
    ]
    return said + "\n\n" + _table(["Machine", "Keras on", "Precision", "Runs"], rows)


_LEFT = 'style="text-align:left;vertical-align:top"'


def _ap(record: Record, name: str) -> str:
    """Write an AP of a record with its interval; the outcome where the run was not tested."""
    held = estimate([record], name, "AP")
    return record.outcome if held is None or held.value is None else in_words(held, "AP")


def _text(text: str) -> str:
    return html.escape(str(text))


def _small(text: str) -> str:
    return f'<br><span style="font-size:0.85em;opacity:0.8">{_text(text)}</span>' if text else ""


def _html(table: pd.DataFrame) -> str:
    """Write rows as HTML; a claim with several runs is named once."""
    head = "".join(f"<th {_LEFT}>{h}</th>" for h in ("Claim", "Paper", "Ours", "Verdict"))
    body = []
    for _, group in itertools.groupby(table.itertuples(), key=lambda row: row.Index):
        rows = list(group)
        span = f'rowspan="{len(rows)}" {_LEFT}'
        line = f"<td {span}>{_text(rows[0].claim)}{_small('section ' + rows[0].section)}</td>"
        line += f"<td {span}>{_text(rows[0].paper)}</td>"
        for row in rows:
            verdict = f"<b>{MARKS.get(row.verdict, '')} {_text(row.verdict)}</b>"
            line += f"<td {_LEFT}>{_text(row.ours)}{_small(row.interval)}</td>"
            body.append(f"<tr>{line}<td {_LEFT}>{verdict}{_small(row.why)}{_small(row.run)}</td></tr>")
            line = ""
    return (
        '<div style="overflow-x:auto"><table style="width:100%;font-size:0.9em">'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _lines(rows: Sequence[Row]) -> str:
    """Write rows as a Markdown table of four columns, narrow enough for a telephone."""
    cells = []
    for row in rows:
        claim, _, paper, ours, interval, verdict, why, run = row.cells()
        place = f" ({row.claim.where})" if row.claim.where else ""
        ours = f"{ours} ({interval})" if interval else ours
        cells.append([claim + place, paper, ours, f"{MARKS[verdict]} {verdict}: {why}" + (f". {run}" if run else "")])
    return _table(["Claim", "Paper", "Ours (95 % interval)", "Verdict, why, and by which run"], cells)


def _runs(records: Sequence[Record]) -> str:
    cells = []
    for r in sorted(records, key=lambda r: (r.name, r.split, r.seed, r.hash)):
        m = r.machine
        device = m.get("gpu") or m.get("processor") or "unknown"
        made = [str(m[k]) for k in ("backend", "commit", "date") if m.get(k)]
        what = [data_words(r) or "no films", r.split, f"seed {r.seed}", "reduced" if r.reduced else "", r.outcome]
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
