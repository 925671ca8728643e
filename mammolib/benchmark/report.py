"""Records of the benchmark in words: lines, and rows of tables."""

from __future__ import annotations

from typing import Any

from mammolib import mias
from mammolib.results import Record

from .counting import LEAST_RADIUS, MEASURES, RULES
from .scoring import STRATA_AT

WORDS = {"0.25": "1/4", "0.5": "1/2"}
LABELS = {
    "camelyon_score": "mean of these six (CAMELYON16)",
    "mean_sensitivity_0.05_to_0.5": "mean over 1/20 to 1/2 false marks a film",
    "ap": "average precision",
}
COLUMNS = ("centre in the circle", "IoU 0.1", "IoU 0.5")
Rows = list[tuple[str, ...]]


def heading(record: Record) -> str:
    """Say what was scored, on which folds and films."""
    value = {key: number["value"] for key, number in record.metrics.items()}
    line = f"{value['films']} films of {value['women']} women, {value['lesions']} lesions, {value['marks']} marks."
    return "\n".join([line, *_what_counts(record)])


def heading_compared(record: Record) -> str:
    """Say what was compared, and how the women needed are counted."""
    return "\n".join(
        [
            "First file minus second, over the same resampled women.",
            "Women needed to see a difference as large: women with a lesion x ((1.96 + 0.84) x standard error / "
            "difference)^2, for four chances in five at the 5 % level.",
            *_what_counts(record),
        ]
    )


def tables(record: Record) -> list[Rows]:
    """Return the tables of a scored file: every number under the three hit rules, then by class, tissue and size."""
    rules: Rows = [("share of lesions found, [95 % interval]", *COLUMNS)]
    for name in MEASURES:
        rules.append((_label(name), *(_words(record.metrics[name + suffix]) for suffix in RULES.values())))
    small, large = record.outputs["radius_terciles"]
    labels = mias.KINDS | {word: word for word in (*mias.SEVERITIES.values(), *mias.TISSUES.values())}
    labels |= {
        "small": f"radius up to {small:.0f} pixels",
        "medium": f"radius up to {large:.0f} pixels",
        "large": "larger radius",
    }
    parts: Rows = [("lesions (centre in the circle)", "women", *(_label(f"sensitivity_at_{x}") for x in STRATA_AT))]
    for part, label in labels.items():
        numbers = [record.metrics[f"sensitivity_at_{x}_{part}"] for x in STRATA_AT]
        parts.append((label, str(numbers[0]["n"]), *map(_words, numbers)))
    return [rules, parts]


def tables_compared(record: Record) -> list[Rows]:
    """Return the tables of a comparison: the differences, and the women that each would need."""
    rows: Rows = [("difference, [95 % interval]", *COLUMNS)]
    women: Rows = [("women needed", *COLUMNS)]
    for name in MEASURES:
        keys = [name + suffix for suffix in RULES.values()]
        rows.append((_label(name), *(_words(record.metrics[f"difference_{key}"], "+.3f") for key in keys)))
        numbers = [record.outputs["women_needed"][key] for key in keys]
        women.append((_label(name), *("-" if n is None else f"{n:,}" for n in numbers)))
    return [rows, women]


def _what_counts(record: Record) -> list[str]:
    settings, data = record.settings, record.data
    lines = [f"A mark's centre may lie {LEAST_RADIUS} pixels from the lesion's, however small the circle."]
    if left_out := record.metrics["films_left_out"]["value"]:
        why = "a lesion of theirs has no place, so a mark on them is neither true nor false"
        lines.append(f"Films left out: {left_out}; {why}.")
    lines += [f"{key}: SHA-256 {settings[key]}" for key in ("predictions", "a", "b") if key in settings]
    return [*lines, f"folds: SHA-256 {settings['folds']}", f"{data['name']}: SHA-256 {data['digest']}"]


def _label(name: str) -> str:
    x = name.removeprefix("sensitivity_at_")
    if x == name:
        return LABELS[name]
    return f"at {WORDS.get(x, x)} false mark{'' if float(x) <= 1 else 's'} a film"


def _words(number: dict[str, Any], form: str = ".3f") -> str:
    if number["value"] is None:
        return "-"
    if number["low"] is None:
        return f"{number['value']:{form}} ({number['reason']})"
    return f"{number['value']:{form}} [{number['low']:{form}}, {number['high']:{form}}]"
