"""The two sizes the book runs in. A profile is a value, so no notebook asks which one it is in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Profile:
    """How large a run of the book is.

    Attributes:
        name: the word given to ``--profile`` and to a chapter's parameters.
        women: how many women a set of phantoms has where the data are phantoms; each has two films.
        width: what the number of filters of every network is multiplied by.
        updates: updates a training may make; None for as many as the experiment states.
        batch: images in a batch; None for as many as the experiment states.
    """

    name: str
    women: int
    width: float = 1.0
    updates: int | None = None
    batch: int | None = None

    def __post_init__(self) -> None:
        for field, good in (
            ("women", self.women >= 1),
            ("width", 0 < self.width <= 1),
            ("updates", self.updates is None or self.updates >= 1),
            ("batch", self.batch is None or self.batch >= 1),
        ):
            if not good:
                raise ValueError(f"profile {self.name!r}, {field}: {getattr(self, field)!r} is out of range")

    @property
    def variant(self) -> str:
        """The variant of Experiments A to E that is run where none is asked for, see `detection.variant_changes`.

        The paper's settings need the paper's length and VGG's weights; a reduced profile runs those that train.
        """
        return "trains" if self.reduced else "stated"

    @property
    def reduced(self) -> bool:
        """Whether a training in this profile is narrower or shorter than the experiment states."""
        return self.width != 1.0 or self.updates is not None or self.batch is not None

    def few(self, number: int) -> int | None:
        """Return the number in a profile that makes do with a few of something, and None, for all, in the full one."""
        return number if self.reduced else None


PROFILES = {
    "quick": Profile("quick", women=80, width=1 / 16, updates=110, batch=8),
    "paper": Profile("paper", women=161),
}
"""``quick`` is the default: phantoms on a CPU in minutes. ``paper``: the paper's own sizes, on a GPU."""


def check_seed(seed: Any) -> None:
    """Raise a ValueError unless a seed is one that every generator of random numbers takes."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(f"seed: must be a whole number from 0 to {2**32 - 1}, got {seed!r}")


def profile(name: str) -> Profile:
    """Return a profile by its name.

    Raises:
        ValueError: there is none of this name.
    """
    if name not in PROFILES:
        raise ValueError(f"profile: {name!r} is not one of {', '.join(PROFILES)}")
    return PROFILES[name]
