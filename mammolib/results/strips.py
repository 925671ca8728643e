"""Small pictures of a claim: the paper's number as a dot, our interval as a bar, the baseline as a tick; inline SVG.

They take their colour from the page (`currentColor`), hold no text, and need no script: the words stand beside them.
"""

from __future__ import annotations

import html
import math

from .comparison import Row
from .verdicts import DIRECTION, NOT_REPRODUCED, REPRODUCED

COLOURS = {REPRODUCED: "#1b9e77", DIRECTION: "#b8860b", NOT_REPRODUCED: "#d1495b"}
WIDTH, HEIGHT = 240, 22
LEAST, MOST = 1 / 8, 8
"""Ends of the axis of ratios: a loss of ours over the paper's."""


def strip(row: Row) -> str:
    """Return the picture of a line of the table as SVG; "" where the claim or the run has no number.

    Shares and AP lie on an axis from 0 to 1. Other numbers are drawn as ratios to the paper's, on a logarithmic axis
    from an eighth to eight, with the paper in the middle.
    """
    ours, paper = row.estimate, row.claim.number
    if ours is None or ours.value is None or paper is None:
        return ""
    shares = row.claim.unit in ("share", "AP")
    if not shares and not (paper > 0 and ours.value > 0):
        return ""
    colour, middle = COLOURS.get(row.verdict, "currentColor"), HEIGHT / 2

    def x(value: float) -> float:
        if not shares:
            ratio = min(max(value / paper, LEAST), MOST) if math.isfinite(value) and value > 0 else MOST
            value = math.log(ratio / LEAST) / math.log(MOST / LEAST)
        return round(6 + min(max(value, 0.0), 1.0) * (WIDTH - 12), 1)

    parts = [f'<line x1="6" y1="{middle}" x2="{WIDTH - 6}" y2="{middle}" stroke="currentColor" opacity="0.25"/>']
    if row.baseline is not None:
        b = x(row.baseline.score)
        parts.append(f'<path d="M{b} 3V{HEIGHT - 3}" stroke="currentColor" stroke-dasharray="3 2" stroke-width="1.5"/>')
    if ours.interval:
        low, high = map(x, ours.interval)
        ends = f'x="{low}" y="{middle - 3}" width="{max(high - low, 1):.1f}" height="6"'
        parts.append(f'<rect {ends} rx="3" fill="{colour}" opacity="0.45"/>')
    v = x(ours.value)
    parts.append(f'<path d="M{v} {middle - 6}V{middle + 6}" stroke="{colour}" stroke-width="3"/>')
    parts.append(
        f'<circle cx="{x(paper)}" cy="{middle}" r="4.5" fill="none" stroke="currentColor" stroke-width="1.8"/>'
    )
    words = f"paper {row.claim.paper}, ours {row.ours}" + (f", {row.interval}" if row.interval else "")
    head = f'<svg class="strip" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(words)}">'
    return head + "".join(parts) + "</svg>"
