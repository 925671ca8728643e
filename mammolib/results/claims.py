"""The paper's claims, read from claims.toml, where the scheme of their fields and names is written down."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Value = int | float | str | tuple[float, ...]


@dataclass(frozen=True)
class Claim:
    """One number of the paper, or one thing it says about two numbers; claims.toml says what each field means.

    Attributes:
        chapters: the chapters of the book that test it, such as ``("10", "05")``; the first is its home.
        value: the number (a word or several numbers for a setting); None where the paper gives none.
        unit: "share" and "AP" lie between 0 and 1.
        record, metric: the run that answers the claim and the number in it.
        baseline: what a network that has learnt nothing scores: metrics of the same run, or numbers; the best counts.
        better: "higher" or "lower": on which side of the baseline learning shows.
        group: "counted" (what the data hold), "built" (networks made to the specification), "trained" (results of
            training), "timed" (times, which belong to a machine), "setting" or "context".
        relations: (sign, record, metric): the claim's own number is "<" or ">" that one.
    """

    id: str
    section: str
    chapters: tuple[str, ...]
    quantity: str
    kind: str
    value: Value | None = None
    unit: str = ""
    stated: str = ""
    record: str = ""
    metric: str = ""
    where: str = ""
    margin: float | None = None
    factor: float | None = None
    margin_why: str = ""
    baseline: tuple[str | float, ...] = ()
    better: str = ""
    group: str = ""
    relations: tuple[tuple[str, str, str], ...] = ()
    needs: str = "films"
    fair: bool = False
    open: str = ""
    undecided: bool = False

    @property
    def number(self) -> float | None:
        """The value where it is a single number; None where it is a word, or several numbers, or not given."""
        return self.value if isinstance(self.value, int | float) else None

    @property
    def allowance(self) -> str:
        """The margin in words: "0.1", or "a factor of 1.1"."""
        return f"{self.margin:g}" if self.factor is None else f"a factor of {self.factor:g}"

    @property
    def place(self) -> str:
        """Section and place in it, such as ``"4.2 A, Figure 12"``."""
        return f"{self.section}, {self.where}" if self.where else self.section

    @property
    def paper(self) -> str:
        """The paper's value as a reader sees it."""
        if self.stated:
            return self.stated
        if self.value is None:
            return "no value" if self.kind == "relation" else "not stated"
        if isinstance(self.value, tuple):
            return ", ".join(f"{v:g}" for v in self.value)
        return f"{self.value:,}" if isinstance(self.value, int) else str(self.value)


@functools.cache
def _file() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / "claims.toml").read_text(encoding="utf-8"))


@functools.cache
def _all() -> tuple[Claim, ...]:
    return read(_file())


def claims(chapter: str | None = None) -> tuple[Claim, ...]:
    """Return the paper's claims in the paper's order: all, or those that a chapter tests, such as ``"07"``.

    Raises:
        ValueError: no claim has this chapter.

    Example:
        >>> [c.id for c in claims("02") if c.kind == "count"]
        ['views']
    """
    found = tuple(c for c in _all() if chapter is None or chapter in c.chapters)
    if not found:
        raise ValueError(f"no claim has chapter {chapter!r}; chapters are 01 to 11")
    return found


def sections() -> dict[str, str]:
    """Return the paper's sections that hold a claim: number -> title."""
    return dict(_file()["sections"])


def layer_table() -> list[dict[str, Any]]:
    """Return the 28 rows of the paper's Figure 6: the layers of SSD256, each with the side of its map where printed.

    Example:
        >>> layer_table()[2]
        {'type': 'MaxPooling2D', 'filters': None, 'size': 2, 'strides': 2, 'output': 128}
    """
    table = _file()["layers"]
    return [{k: v or None for k, v in zip(table["columns"], row, strict=True)} for row in table["rows"]]


def read(content: dict[str, Any]) -> tuple[Claim, ...]:
    """Turn the content of claims.toml into claims, or say in one line which claim is wrong."""
    every = []
    for group in content["group"]:
        shared = {k: v for k, v in group.items() if k not in ("rows", "claims")}
        every += [shared | own for own in [*group.get("rows", []), *group.get("claims", [])]]
    by_id = {raw["id"]: raw for raw in every}
    made = []
    for raw in every:
        try:
            made.append(_claim(raw, by_id))
        except (KeyError, TypeError, ValueError) as err:
            raise ValueError(f"claim {raw['id']!r}: {err}") from None
    return tuple(made)


def _claim(raw: dict[str, Any], by_id: dict[str, dict[str, Any]]) -> Claim:
    of_others = {"relation": ("margin", "margin_why", "factor"), "context": ("record",)}  # that share its group
    unused = of_others.get(raw["kind"], ())
    made: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items() if k not in unused}
    chapter = made.pop("chapter")
    made["chapters"] = (chapter,) if isinstance(chapter, str) else chapter
    made["relations"] = tuple(_relation(text, by_id) for text in raw.get("relations", ()))
    made.setdefault("better", "lower" if raw.get("unit") == "loss" else "higher")
    made.setdefault("group", _group(raw["kind"], raw.get("record", ""), raw.get("unit", "")))
    return Claim(**made)


def _group(kind: str, record: str, unit: str) -> str:
    if kind in ("setting", "context"):
        return kind
    if record in ("data", "augmentation", "cropping"):
        return "counted"
    if record == "ssd256" or record.endswith("-network"):
        return "built"
    return "timed" if unit.partition("/")[0] == "s" else "trained"


def _relation(text: str, by_id: dict[str, dict[str, Any]]) -> tuple[str, str, str]:
    """Split "> record:metric" or "< other-id", which stands for that claim's record and metric."""
    sign, target = text.split()
    record, _, metric = target.rpartition(":")
    return (sign, record, metric) if record else (sign, by_id[target]["record"], by_id[target]["metric"])
