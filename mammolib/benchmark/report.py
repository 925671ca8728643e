"""Records of the benchmark in words: lines, and rows of tables; of a comparison, its differences."""

from __future__ import annotations

from typing import Any

from mammolib import mias
from mammolib.results import Record

from .counting import LEAST_RADIUS, RULES
from .scoring import STRATA_AT

LABELS = {
    "sensitivity_at_0.25": "at 1/4 false mark a film",
    "sensitivity_at_0.5": "at 1/2 false mark a film",
    "sensitivity_at_1": "at 1 false mark a film",
    "sensitivity_at_2": "at 2 false marks a film",
    "sensitivity_at_4": "at 4 false marks a film",
    "sensitivity_at_8": "at 8 false marks a film",
    "camelyon_score": "mean of these six (CAMELYON16)",
    "mean_sensitivity_0.05_to_0.5": "mean over 1/20 to 1/2 false marks a film",
    "ap": "average precision",
}
COLUMNS = ("centre in the circle", "IoU 0.1", "IoU 0.5")
Rows = list[tuple[str, ...]]


def heading(record: Record) -> str:
    """Say what was scored or compared, on which folds and films, and how the women needed are counted."""
    value = {key: number["value"] for key, number in record.metrics.items()}
    settings, data = record.settings, record.data
    if record.name == "benchmark-compared":
        lines = [
            "First file minus second, over the same resampled women.",
            "Women needed to see a difference as large: women with a lesion x ((1.96 + 0.84) x standard error / "
            "difference)^2, for four chances in five at the 5 % level.",
        ]
    else:
        lines = ["{films} films of {women} women, {lesions} lesions, {marks} marks.".format(**value)]
    lines.append(f"A mark's centre may lie {LEAST_RADIUS} pixels from the lesion's, however small the circle.")
    if value["films_left_out"]:
        why = "a lesion of theirs has no place, so a mark on them is neither true nor false"
        lines.append(f"Films left out: {value['films_left_out']}; {why}.")
    lines += [f"{key}: SHA-256 {settings[key]}" for key in ("predictions", "a", "b", "folds") if key in settings]
    return "\n".join([*lines, f"{data['name']}: SHA-256 {data['digest']}"])


def tables(record: Record) -> list[Rows]:
    """Return two tables: every number under the three hit rules, and by class, tissue and size.

    Of a comparison: every difference, and the women that each would need.
    """
    compared = record.name == "benchmark-compared"
    before, form = ("difference_", "+.3f") if compared else ("", ".3f")
    every: Rows = [("difference, [95 % interval]" if compared else "share of lesions found, [95 % interval]", *COLUMNS)]
    women: Rows = [("women needed", *COLUMNS)]
    for name, label in LABELS.items():
        keys = [name + suffix for suffix in RULES.values()]
        every.append((label, *(_words(record.metrics[before + key], form) for key in keys)))
        if compared:
            numbers = [record.outputs["women_needed"][key] for key in keys]
            women.append((label, *("-" if n is None else f"{n:,}" for n in numbers)))
    return [every, women if compared else _parts(record)]


def _parts(record: Record) -> Rows:
    small, large = record.outputs["radius_terciles"]
    labels = mias.KINDS | {word: word for word in (*mias.SEVERITIES.values(), *mias.TISSUES.values())}
    labels |= {"small": f"radius up to {small:.0f} pixels", "medium": f"radius up to {large:.0f} pixels"}
    heads = (LABELS[f"sensitivity_at_{x}"] for x in STRATA_AT)
    rows: Rows = [("lesions (centre in the circle)", "women", *heads)]
    for part, label in (labels | {"large": "larger radius"}).items():
        numbers = [record.metrics[f"sensitivity_at_{x}_{part}"] for x in STRATA_AT]
        rows.append((label, str(numbers[0]["n"]), *(_words(number, ".3f") for number in numbers)))
    return rows


def _words(number: dict[str, Any], form: str) -> str:
    if number["value"] is None:
        return "-"
    if number["low"] is None:
        return f"{number['value']:{form}} ({number['reason']})"
    return f"{number['value']:{form}} [{number['low']:{form}}, {number['high']:{form}}]"
