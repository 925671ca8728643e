"""What `Detection` and `Classification` have in common: changes of what the paper states."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, ClassVar, Self

from mammolib.training.settings import broken, one_of


def check_word(name: str, value: Any, choices: Collection[str]) -> None:
    """Raise a ValueError unless an argument is one of some words."""
    if not one_of(value, choices):
        raise ValueError(f"{name}: {value!r} is not one of {', '.join(choices)}")


@dataclass(frozen=True)
class Definition:
    """An experiment as data; its values are checked when it is made.

    Attributes:
        name: of its record, and so of the claims it answers.
        open: what the paper does not state, so that the value here is our choice.
        changes: what departs from the paper's experiment, name -> value.

    Raises:
        ValueError: names the experiment, the setting and the value.
    """

    short: ClassVar[Collection[str]] = ()  # what `but` takes beside settings
    mappings: ClassVar[Collection[str]] = ("changes",)
    stated: ClassVar[Mapping[str, Any]] = {}  # the paper's experiments by name

    name: str
    open: tuple[str, ...] = field(default=(), kw_only=True)
    changes: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        for name, value, words in broken(self):
            raise self.misfit(name, value, f"it must be {words}")
        for name in self.mappings:
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    @property
    def paper(self) -> Self:
        """The experiment of this name as the paper states it; itself where the paper has none."""
        return self.stated.get(self.name, self)

    def misfit(self, name: str, value: Any, words: str) -> ValueError:
        """Return the error that names a setting and says what is wrong with its value."""
        return ValueError(f"experiment {self.name!r}, {name}: {value!r} does not fit; {words}")

    def plain(self) -> dict[str, Any]:
        """Return every setting that can be changed, as plain data."""
        free = [f.name for f in fields(self) if f.metadata and not f.metadata["fixed"]]
        values = {k: getattr(self, k) for k in free}
        lists = {k: list(v) for k, v in values.items() if isinstance(v, tuple)}
        return values | lists | {k: dict(v) for k, v in values.items() if isinstance(v, Mapping)}

    def settle(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Return changes as fields and their values."""
        return changes

    def but(self, **changes: Any) -> Self:
        """Return the experiment with some settings changed; the record says which.

        A value that the paper's experiment has is no change, nor is one that is changed and changed back.

        Args:
            **changes: settings. A detector also takes ``rate``, the first learning rate, which takes the others along;
                ``epochs`` alone takes the epochs of the rates along. A classifier also takes those of its training; a
                plain number as ``schedule`` is a constant rate, and a record's schedule one again.

        Raises:
            ValueError: an unknown setting or a value that does not fit.
        """
        known = {*self.plain(), *self.short}
        if unknown := sorted(set(changes) - known):
            there = ", ".join(sorted(known))
            raise ValueError(f"experiment {self.name!r}: it has no setting {unknown[0]!r}; there are {there}")
        new = self.settle(changes)
        changed = replace(self, **new)
        plain, paper = changed.plain(), self.paper.plain()
        names = dict.fromkeys([*self.changes, *changes, *new])
        return replace(changed, changes={k: plain[k] for k in names if k in plain and plain[k] != paper[k]})
