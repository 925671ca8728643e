"""Tables of claims as a reader sees them: under a chapter's cell, on a page of the book, in a terminal."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from .claims import claims
from .comparison import COLUMNS, SETTING_VERDICTS, Row
from .verdicts import DIRECTION, NOT_REPRODUCED, REPRODUCED, UNDECIDED, VERDICTS

if TYPE_CHECKING:
    import pandas as pd

MARKS = dict(zip((*VERDICTS, *SETTING_VERDICTS), "✓↗✗?=≠·", strict=True))
"""A sign before each verdict, so that a table can be read at a glance and without colour."""
MOST = 5
"""Lines of a chapter's table that stand open; the rest is folded."""


class Shown:
    """A table of claims that a notebook shows as HTML: what training found first, the rest folded beneath it.

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
        group = {c.id: c.group for c in claims()}
        groups = self.table.index.map(group)
        found = self.table[groups.isin(["trained", "counted", "built"])]
        first = found[~found.index.duplicated()]
        parts = [_html(first[:MOST])] if len(first) else []
        for title, rest in (
            ("more claims", first[MOST:]),
            ("the same claims in other runs", found[found.index.duplicated()]),
            ("times, settings and background", self.table[~groups.isin(["trained", "counted", "built"])]),
        ):
            if len(rest):
                parts.append(f"<details><summary>{len(rest)} lines: {title}</summary>{_html(rest)}</details>")
        return f'<div class="claims">{"".join(parts)}</div>'


def show(table: pd.DataFrame) -> Shown:
    """Return what `paper_beside_ours` gives in a form a notebook shows well."""
    return Shown(table)


def headline(rows: Iterable[Row]) -> str:
    """Return what all claims come to in one sentence about training, and one about what was counted and built.

    Args:
        rows: one for each claim, as `judge(None, records, every=False)` gives them.
    """
    rows = list(rows)
    of = {g: [r.verdict for r in rows if r.claim.group == g] for g in ("trained", "counted", "built")}
    trained = of["trained"]
    n = {v: trained.count(v) for v in VERDICTS}
    checked = {g: (of[g].count(REPRODUCED), len(of[g])) for g in ("counted", "built")}
    return (
        f"Of {len(trained)} results of training, {n[REPRODUCED]} are reproduced, {n[DIRECTION]} in direction only, "
        f"{n[NOT_REPRODUCED]} are not, and {n[UNDECIDED]} cannot be decided. Of {checked['counted'][1]} facts counted "
        f"in the data, {checked['counted'][0]} agree; of {checked['built'][1]} numbers of networks built to the "
        f"paper's specification, {checked['built'][0]}."
    )


def listed(rows: Iterable[Row]) -> str:
    """Return rows as text for a terminal: one claim in two lines, its verdict first."""
    lines = []
    for row in rows:
        interval = f" [{row.interval}]" if row.interval else ""
        lines.append(f"{MARKS[row.verdict]} {row.verdict}: {row.claim.quantity} ({row.claim.place})")
        lines.append(f"    paper {row.claim.paper}, ours {row.ours or '–'}{interval}; {row.why}")
    return "\n".join(lines)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; Markdown's own signs in a cell are kept out of the way."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(c) for c in line) + " |" for line in lines)


_LEFT = 'style="text-align:left;vertical-align:top"'


def _text(text: str) -> str:
    return html.escape(str(text))


def _small(text: str) -> str:
    return f'<br><span style="font-size:0.85em;opacity:0.8">{_text(text)}</span>' if text else ""


def _html(table: pd.DataFrame) -> str:
    """Write rows as HTML: what is claimed, the paper's number, ours, and the verdict with its reason."""
    head = "".join(f"<th {_LEFT}>{h}</th>" for h in ("Claim", "Paper", "Ours", "Verdict"))
    body = []
    for row in table.itertuples():
        verdict = f"<b>{MARKS.get(row.verdict, '')} {_text(row.verdict)}</b>"
        cells = (
            f"{_text(row.claim)}{_small('section ' + row.section)}",
            _text(row.paper),
            f"{_text(row.ours or '–')}{_small(row.interval)}{_small(row.run)}",
            f"{verdict}{_small(row.why)}",
        )
        body.append("<tr>" + "".join(f"<td {_LEFT}>{cell}</td>" for cell in cells) + "</tr>")
    return (
        '<div style="overflow-x:auto" tabindex="0" role="region" aria-label="Claims of the paper and ours">'
        f'<table style="width:100%;font-size:0.9em"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody>'
        "</table></div>"
    )


def _cell(text: str) -> str:
    """Keep Markdown's own signs out of a cell; a file name in backticks stays as it is."""
    text = str(text).replace("\n", " ")
    if text.startswith("`"):
        return text
    for sign in ("\\", "|", "*", "_", "[", "]", "<", "$", "`"):
        text = text.replace(sign, f"\\{sign}")
    return text
