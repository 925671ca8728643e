"""Tables of claims as a reader sees them: under a chapter's cell, on a page of the book, in a terminal."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .claims import claims
from .comparison import SETTING_VERDICTS, Row
from .verdicts import DIRECTION, NOT_REPRODUCED, REPRODUCED, UNDECIDED, VERDICTS

if TYPE_CHECKING:
    import pandas as pd

MARKS = dict(zip((*VERDICTS, *SETTING_VERDICTS), "✓↗✗?=≠·", strict=True))
"""A sign before each verdict, so that a table can be read at a glance and without colour."""
FINDINGS = ("trained", "counted", "built")
"""Groups of claims that say what came out; the others are times, settings and background."""
MOST = 5
"""Lines of a chapter's table that stand open; the rest is folded."""
LEFT = 'style="text-align:left;vertical-align:top"'


@dataclass(frozen=True, repr=False)
class Shown:
    """A table of claims that a notebook shows as HTML: what training found first, the rest folded beneath it.

    It takes its colours and fonts from the page, so it is as legible in dark mode, and on a telephone.
    """

    table: pd.DataFrame

    def __repr__(self) -> str:
        return "\n".join(
            f"{MARKS[r.verdict]} {r.verdict}: {r.claim} ({r.section}): paper {r.paper}, ours {r.ours or 'none'}"
            for r in self.table.itertuples()
        )

    def _repr_html_(self) -> str:
        group = {c.id: c.group for c in claims()}
        finds = self.table.index.map(group).isin(FINDINGS)
        found = self.table[finds]
        again = found.index.duplicated()
        first = found[~again]
        parts = [_html(first[:MOST])] if len(first) else []
        for title, rest in (
            ("more claims", first[MOST:]),
            ("the same claims in other runs", found[again]),
            ("times, settings and background", self.table[~finds]),
        ):
            if len(rest):
                head = f"{len(rest)} {'line' if len(rest) == 1 else 'lines'}: {title}"
                parts.append(f"<details><summary>{head}</summary>{_html(rest)}</details>")
        return f'<div class="claims">{"".join(parts)}</div>'


def show(table: pd.DataFrame) -> Shown:
    """Return what `paper_beside_ours` gives in a form a notebook shows well."""
    return Shown(table)


def headline(rows: Iterable[Row]) -> str:
    """Say what all claims come to; `rows`: one for each claim, as `judge(None, records, every=False)` gives them."""
    rows = list(rows)
    trained, counted, built = (Counter(r.verdict for r in rows if r.claim.group == group) for group in FINDINGS)
    return (
        f"Of {trained.total()} results of training, {trained[REPRODUCED]} are reproduced, {trained[DIRECTION]} in "
        f"direction only, {trained[NOT_REPRODUCED]} are not, and {trained[UNDECIDED]} cannot be decided. Of "
        f"{counted.total()} facts counted in the data, {counted[REPRODUCED]} agree; of {built.total()} numbers of "
        f"networks built to the paper's specification, {built[REPRODUCED]}."
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
    """Return a Markdown table; Markdown's own signs in a cell are kept out of the way, but for names in backticks."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(c) for c in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return re.sub(r"(`[^`|]+`)|([\\|*_\[\]<$`])", lambda m: m[1] or rf"\{m[2]}", text.replace("\n", " "))


def _html(table: pd.DataFrame) -> str:
    """Write rows as HTML: what is claimed, the paper's number, ours, and the verdict with its reason."""

    def small(text: str) -> str:
        return f'<br><span style="font-size:0.85em;opacity:0.8">{html.escape(text)}</span>' if text else ""

    head = "".join(f"<th {LEFT}>{h}</th>" for h in ("Claim", "Paper", "Ours", "Verdict"))
    body = []
    for row in table.itertuples():
        cells = (
            html.escape(row.claim) + small(f"section {row.section}"),
            html.escape(row.paper),
            html.escape(row.ours or "–") + small(row.interval) + small(row.run),
            f"<b>{MARKS[row.verdict]} {html.escape(row.verdict)}</b>" + small(row.why),
        )
        body.append("<tr>" + "".join(f"<td {LEFT}>{cell}</td>" for cell in cells) + "</tr>")
    return (
        '<div style="overflow-x:auto" tabindex="0" role="region" aria-label="Claims of the paper and ours">'
        f'<table style="width:100%;font-size:0.9em"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody>'
        "</table></div>"
    )
