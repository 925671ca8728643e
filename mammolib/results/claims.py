"""The paper's claims, read from claims.toml, where the scheme of their fields and names is written down."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from .checked import METRIC, NAME

KINDS = ("count", "measure", "at least", "at most", "relation", "machine", "setting", "context")
"""How a claim is compared with a record; claims.toml says what each means."""

GROUPS = ("counted", "built", "trained", "timed", "setting", "context")
NEEDS = ("films", "all films", "nothing")
CHAPTERS = tuple(f"{n:02d}" for n in range(1, 12))
Value = int | float | str | tuple[float, ...]


@dataclass(frozen=True)
class Claim:
    """One number of the paper, or one thing it says about two numbers.

    Attributes:
        id: unique name, such as ``"A-map"``.
        section: the paper's section, a key of `sections`.
        chapters: the chapters of the book that test it, such as ``("10", "05")``; the first is its home.
        quantity: what the number is, in words.
        kind: one of `KINDS`.
        value: the number (a word or several numbers for a setting); None where the paper gives none.
        unit: "share" and "AP" lie between 0 and 1.
        stated: how the paper prints the value.
        record, metric: the run that answers the claim and the number in it.
        where: table, figure or experiment within the section.
        margin: the difference up to which a number would still be the same result; None: not given.
        factor: the same as a ratio.
        margin_why: why this margin.
        baseline: what a network that has learnt nothing scores: metrics of the same run, or numbers; the best counts.
        better: "higher" or "lower": on which side of the baseline learning shows.
        group: "counted" (what the data hold), "built" (networks made to the specification), "trained" (results of
            training), "timed" (times, which belong to a machine), "setting" or "context".
        relations: (sign, record, metric): the claim's own number is "<" or ">" that one.
        needs: "films" if only mini-MIAS is evidence, and its films with lesions suffice; "all films" if they do not;
            else "nothing".
        fair: whether a reduced run can decide the relations.
        open: what the paper leaves unsaid or contradicts itself in.
        undecided: whether the open point keeps any run from deciding the claim.

    Raises:
        ValueError: one line that names the claim and the field.
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

    def __post_init__(self) -> None:
        def check(good: object, field: str) -> None:
            if not good:
                raise ValueError(f"claim {self.id!r}, {field}: {getattr(self, field)!r} does not fit")

        check(NAME.fullmatch(self.id), "id")
        check(self.quantity.strip(), "quantity")
        check(self.kind in KINDS, "kind")
        check(self.needs in NEEDS, "needs")
        check(self.chapters and set(self.chapters) <= set(CHAPTERS), "chapters")
        check(not self.record if self.kind == "context" else NAME.fullmatch(self.record), "record")
        check(not self.metric if self.kind == "context" else METRIC.fullmatch(self.metric), "metric")
        check(self.relations or self.kind != "relation", "relations")
        check(not (self.relations and self.kind == "setting"), "relations")
        object.__setattr__(self, "better", self.better or ("lower" if self.unit == "loss" else "higher"))
        object.__setattr__(self, "group", self.group or self._group())
        check(self.better in ("higher", "lower"), "better")
        check(self.group in GROUPS, "group")
        check(self.margin is None or self.margin > 0, "margin")
        check(self.factor is None or self.factor > 1, "factor")
        check(self.margin is None or self.factor is None, "factor")
        check(all(isinstance(b, int | float) or METRIC.fullmatch(b) for b in self.baseline), "baseline")
        if self.group == "trained" and self.kind == "measure" and self.value is not None:
            check(self.margin or self.factor, "margin")
            check(self.margin_why, "margin_why")
            check(self.baseline, "baseline")
        check(self.value is None if self.kind == "relation" else True, "value")
        check(
            self.number is not None or self.kind in ("setting", "relation") or (self.value is None and self.open),
            "value",
        )

    def _group(self) -> str:
        if self.kind in ("setting", "context"):
            return self.kind
        if self.record in ("data", "augmentation", "cropping"):
            return "counted"
        if self.record == "ssd256" or self.record.endswith("-network"):
            return "built"
        return "timed" if self.unit.partition("/")[0] == "s" else "trained"

    @property
    def number(self) -> float | None:
        """The value where it is a single number; None where it is a word, or several numbers, or not given."""
        return self.value if isinstance(self.value, int | float) and not isinstance(self.value, bool) else None

    @property
    def allowance(self) -> str:
        """The margin in words: "0.1", or "a factor of 1.1"."""
        return f"a factor of {self.factor:g}" if self.margin is None and self.factor else f"{self.margin:g}"

    @property
    def chapter(self) -> str:
        """The chapter of the book that is the claim's home."""
        return self.chapters[0]

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
    """Return the paper's claims in the paper's order.

    Args:
        chapter: only those this chapter tests, such as ``"07"``.

    Raises:
        ValueError: no claim has this chapter.

    Example:
        >>> [c.id for c in claims("02") if c.kind == "count"]
        ['views']
    """
    if chapter is None:
        return _all()
    found = tuple(c for c in _all() if chapter in c.chapters)
    if not found:
        raise ValueError(f"no claim has chapter {chapter!r}; chapters are {CHAPTERS[0]} to {CHAPTERS[-1]}")
    return found


def sections() -> dict[str, str]:
    """Return the paper's sections that hold a claim: number -> title."""
    return dict(_file()["sections"])


def layer_table() -> list[dict[str, Any]]:
    """Return the 28 rows of the paper's Figure 6, the layers of SSD256 that extract feature maps.

    Returns:
        One dict a row: type, filters (None for pooling), size, strides, output (side of the map, None where not
        printed).

    Example:
        >>> layer_table()[2]
        {'type': 'MaxPooling2D', 'filters': None, 'size': 2, 'strides': 2, 'output': 128}
    """
    table = _file()["layers"]
    return [{k: v or None for k, v in zip(table["columns"], row, strict=True)} for row in table["rows"]]


def read(content: dict[str, Any]) -> tuple[Claim, ...]:
    """Turn the content of claims.toml into claims; groups are in the paper's order of sections.

    Raises:
        ValueError: one line that names the claim and the field.
    """
    made: list[Claim] = []
    names: set[str] = set()
    known = {f.name for f in fields(Claim)} - {"chapters"} | {"chapter"}
    for group in content["group"]:
        shared = {k: v for k, v in group.items() if k not in ("rows", "claims")}
        for own in [*group.get("rows", []), *group.get("claims", [])]:
            raw = {**shared, **own}
            name = raw.get("id", "?")
            missing, unknown = {"id", "section", "chapter", "quantity", "kind"} - set(raw), set(raw) - known
            if missing or unknown:
                raise ValueError(f"claim {name!r}: fields missing: {sorted(missing)}, unknown: {sorted(unknown)}")
            if raw["section"] not in content["sections"]:
                raise ValueError(f"claim {name!r}, section: {raw['section']!r} is not one of the paper's")
            if name in names:
                raise ValueError(f"claim {name!r}, id: used twice")
            names.add(name)
            chapter = raw.pop("chapter")
            if raw["kind"] == "context":
                raw.pop("record", None)
            if raw["kind"] == "relation":  # its group may hold values, with a margin
                raw = {k: v for k, v in raw.items() if k not in ("margin", "margin_why", "factor")}
            raw["chapters"] = (chapter,) if isinstance(chapter, str) else tuple(chapter)
            raw["baseline"] = tuple(raw.get("baseline", ()))
            raw["relations"] = tuple(_relation(name, text) for text in raw.get("relations", ()))
            if isinstance(raw.get("value"), list):
                raw["value"] = tuple(raw["value"])
            made.append(Claim(**raw))
    by_id = {c.id: c for c in made}
    return tuple(_resolved(c, by_id) for c in made)


def _relation(name: str, text: str) -> tuple[str, str, str]:
    sign, _, target = text.partition(" ")
    record, _, metric = target.rpartition(":")
    if sign not in ("<", ">") or not target:
        raise ValueError(f"claim {name!r}, relations: {text!r} is not of the form '< other-id' or '> record:metric'")
    return sign, record, metric


def _resolved(claim: Claim, by_id: dict[str, Claim]) -> Claim:
    """Replace the id of another claim in the relations by that claim's record and metric."""
    found = []
    for sign, record, metric in claim.relations:
        if not record:
            if metric not in by_id or not by_id[metric].metric:
                raise ValueError(f"claim {claim.id!r}, relations: there is no claim {metric!r} with a metric")
            record, metric = by_id[metric].record, by_id[metric].metric
        elif not (NAME.fullmatch(record) and METRIC.fullmatch(metric)):
            raise ValueError(f"claim {claim.id!r}, relations: {record}:{metric} is not a record and a metric")
        found.append((sign, record, metric))
    return replace(claim, relations=tuple(found))
