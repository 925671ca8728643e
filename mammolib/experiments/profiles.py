"""The two sizes the book runs in. A profile is a value, so no notebook asks which one it is in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Profile:
    """How large a run of the book is.

    Attributes:
        name: the word given to ``--profile`` and to a chapter's parameters.
        women: how many women a set of phantoms has; each has two films.
        width: what the number of filters of every network is multiplied by.
        updates, batch: of a training; None for as many as the experiment states.
    """

    name: str
    women: int
    width: float = 1.0
    updates: int | None = None
    batch: int | None = None

    @property
    def variant(self) -> str:
        """The variant of A to E where none is asked for: the paper's settings need its length and VGG's weights."""
        return "trains" if self.reduced else "stated"

    @property
    def reduced(self) -> bool:
        """Whether a training in this profile is narrower or shorter than the experiment states."""
        return self.width != 1.0 or self.updates is not None or self.batch is not None

    def few(self, number: int) -> int | None:
        """Return the number in a profile that makes do with a few of something, and None, for all, in the full one."""
        return number if self.reduced else None


PROFILES = {
    "quick": Profile("quick", women=80, width=1 / 16, updates=77, batch=6),
    "paper": Profile("paper", women=161),
}
"""``quick`` is the default: phantoms on a CPU in minutes. ``paper``: the paper's own sizes, on a GPU."""


def check_seed(seed: Any) -> None:
    """Raise a ValueError unless a seed is one that every generator of random numbers takes."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(f"seed: must be a whole number from 0 to {2**32 - 1}, got {seed!r}")


def profile(name: str) -> Profile:
    """Return a profile by its name, or raise a ValueError that lists the names."""
    if name not in PROFILES:
        raise ValueError(f"profile: {name!r} is not one of {', '.join(PROFILES)}")
    return PROFILES[name]
