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
    at_random, by_woman = (_one(records, "A", split) for split in ("image", "woman"))
    films = _one(records, "A-films", "woman")
    found, lesions = films.metrics["sensitivity_at_1"], films.metrics["lesions"]["value"]
    hits = f"{round(found['value'] * lesions)} of {lesions:.0f}"
    rows: list[tuple[str, dict[str, Any], str, str]] = [
        ("the paper", {"value": paper}, "currentColor", ""),
        ("ours, crops dealt at random", at_random.metrics["map"], OURS, ""),
        ("ours, women kept apart", by_woman.metrics["map"], OURS, ""),
        ("three boxes that never move, same women", by_woman.metrics["centre_map"], NOTHING, ""),
        ("a lookup of grey levels, at random", _one(records, "lookup", "image").metrics["map"], NOTHING, ""),
        ("the lookup, women kept apart", _one(records, "lookup", "woman").metrics["map"], NOTHING, ""),
        ("whole films of new women: lesions found*", found, OURS, hits),
    ]
    height = len(rows) * ROW + 34
    parts = [_row(i * ROW, *row) for i, row in enumerate(rows)]
    for k in range(6):
        x = _x(k / 5)
        parts.append(f'<path d="M{x} {height - 32}v5" stroke="currentColor"/>')
        parts.append(f'<text x="{x}" y="{height - 14}" text-anchor="middle">{k / 5:g}</text>')
    parts.append(f'<path d="M{LEFT} {height - 32}H{RIGHT}" stroke="currentColor"/>')
    words = "; ".join(f"{label}: {text or _number(metric)}" for label, metric, _, text in rows)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="headline" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="mAP of {words}">'
    )
    return f"{head}{STYLE}{''.join(parts)}</svg>\n"


def _row(y: float, label: str, metric: dict[str, Any], colour: str, text: str) -> str:
    """Draw a label with its number, and under it the number as a dot on a line, its interval as a bar."""
    middle = y + 29
    parts = [
        f'<text x="{LEFT}" y="{y + 18}">{label}</text>',
        f'<text class="value" x="{RIGHT}" y="{y + 18}" text-anchor="end">{text or _number(metric)}</text>',
        f'<path d="M{LEFT} {middle}H{RIGHT}" stroke="currentColor" opacity="0.25"/>',
    ]
    if metric.get("kind") == "women":
        ends = (
            f'x="{_x(metric["low"])}" y="{middle - 3}" width="{_x(metric["high"]) - _x(metric["low"]):.1f}" height="6"'
        )
        parts.append(f'<rect {ends} rx="3" fill="{colour}" opacity="0.45"/>')
    parts.append(f'<circle cx="{_x(metric["value"])}" cy="{middle}" r="5" fill="{colour}"/>')
    return "".join(parts)


def _x(value: float) -> float:
    return round(LEFT + 6 + value * (RIGHT - LEFT - 12), 1)


def _number(metric: dict[str, Any]) -> str:
    if metric.get("kind") != "women":
        return f"{metric['value']:.3f}"
    return f"{metric['value']:.3f} [{metric['low']:.3f}, {metric['high']:.3f}]"


def _one(records: Sequence[Record], name: str, split: str) -> Record:
    """Return the finished run of a name and split that was made at the paper's size, or else the first one."""
    alike = [r for r in records if r.name == name and r.split == split and r.outcome == "finished"]
    if not alike:
        raise ValueError(f"records: none of {name}, split {split!r}; the headline needs it")
    return min(alike, key=lambda r: (r.reduced, r.seed, r.hash))
