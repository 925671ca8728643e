"""The book's headline in one picture: the same network under two splits, beside what has learnt nothing. SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .claims import claims
from .record import Record

WIDTH, ROW, LEFT, RIGHT = 400, 43, 10, 390
OURS, NOTHING = "#0072B2", "#D55E00"
STYLE = (
    "<style>svg:root{color:#222}@media (prefers-color-scheme:dark){svg:root{color:#ddd}}"
    ".headline text{font:13px system-ui,sans-serif;fill:currentColor}.headline .value{font-weight:600}</style>"
)
"""As a file of its own the picture follows the reader's system; within a page it takes the page's colour."""


def headline_figure(records: Sequence[Record]) -> str:
    """Return the picture "One line of code" as an SVG file, drawn to be legible 350 pixels wide.

    Args:
        records: the committed ones. Of Experiment A those at the paper's size speak, one for each split.

    Raises:
        ValueError: a record that the picture needs is missing; says which.
    """
    paper = next(claim.value for claim in claims() if claim.id == "A-map")
    by_woman, films = _one(records, "A", "woman").metrics, _one(records, "A-films", "woman").metrics
    found, lesions = films["sensitivity_at_1"], films["lesions"]["value"]
    rows: list[tuple[str, dict[str, Any], str, str]] = [
        ("the paper", {"value": paper}, "currentColor", ""),
        ("ours, crops dealt at random", _one(records, "A", "image").metrics["map"], OURS, ""),
        ("ours, women kept apart", by_woman["map"], OURS, ""),
        ("three boxes that never move, same women", by_woman["centre_map"], NOTHING, ""),
        ("a lookup of grey levels, at random", _one(records, "lookup", "image").metrics["map"], NOTHING, ""),
        ("the lookup, women kept apart", _one(records, "lookup", "woman").metrics["map"], NOTHING, ""),
        ("whole films of new women: lesions found*", found, OURS, f"{found['value'] * lesions:.0f} of {lesions:.0f}"),
    ]
    rows = [(label, metric, colour, text or _number(metric)) for label, metric, colour, text in rows]
    height, axis = len(rows) * ROW + 34, len(rows) * ROW + 2
    words = "; ".join(f"{label}: {text}" for label, _, _, text in rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="headline" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="mAP of {words}">{STYLE}'
    ]
    parts += [_row(i * ROW, *row) for i, row in enumerate(rows)]
    for tick in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        x = _x(tick)
        parts.append(f'<path d="M{x} {axis}v5" stroke="currentColor"/>')
        parts.append(f'<text x="{x}" y="{axis + 18}" text-anchor="middle">{tick:g}</text>')
    return "".join(parts) + f'<path d="M{LEFT} {axis}H{RIGHT}" stroke="currentColor"/></svg>\n'


def _row(y: float, label: str, metric: dict[str, Any], colour: str, text: str) -> str:
    """Draw a label with its number, and under it the number as a dot on a line, its interval as a bar."""
    middle, bar = y + 29, ""
    if metric.get("kind") == "women":
        low, high = _x(metric["low"]), _x(metric["high"])
        ends = f'x="{low}" y="{middle - 3}" width="{high - low:.1f}" height="6"'
        bar = f'<rect {ends} rx="3" fill="{colour}" opacity="0.45"/>'
    return (
        f'<text x="{LEFT}" y="{y + 18}">{label}</text>'
        f'<text class="value" x="{RIGHT}" y="{y + 18}" text-anchor="end">{text}</text>'
        f'<path d="M{LEFT} {middle}H{RIGHT}" stroke="currentColor" opacity="0.25"/>{bar}'
        f'<circle cx="{_x(metric["value"])}" cy="{middle}" r="5" fill="{colour}"/>'
    )


def _x(value: float) -> float:
    return round(LEFT + 6 + value * (RIGHT - LEFT - 12), 1)


def _number(metric: dict[str, Any]) -> str:
    interval = f" [{metric['low']:.3f}, {metric['high']:.3f}]" if metric.get("kind") == "women" else ""
    return f"{metric['value']:.3f}{interval}"


def _one(records: Sequence[Record], name: str, split: str) -> Record:
    """Return the finished run of a name and split that was made at the paper's size, or else the first one."""
    alike = [r for r in records if r.name == name and r.split == split and r.outcome == "finished"]
    if not alike:
        raise ValueError(f"records: none of {name}, split {split!r}; the headline needs it")
    return min(alike, key=lambda r: (r.reduced, r.seed, r.hash))
