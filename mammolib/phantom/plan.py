"""Who has what: which films of a screening round show a lesion, which class, and where the annotations go wrong.

Women come in blocks of 40. Each block is dealt the same 29 abnormal films of its 80 (64 % are normal, as in the real
set), in an order of its own, so that a film does not depend on how many women there are, and every block holds each
thing the audit is meant to find.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.random import Generator, SeedSequence

BLOCK = 40
AFFECTED = 28  # of the 40 women; one of them on both sides


class Card(NamedTuple):
    """One lesion before it has a place: a kind and a severity of `mias`, and how its row departs from the ordinary.

    The quirks: "unplaced" (the row stops after the severity), "spread" (calcifications all over, `*NOTE 3*`), "large"
    (radius above 128), "edge" (a 256 crop leaves the film), "astray" (the row points at the dark background), "speck"
    (radius 3, on the dark background).
    """

    kind: str
    severity: str
    quirk: str = ""


class Case(NamedTuple):
    """One woman: her tissue, "F", "G" or "D", and the cards of each of her two films; none for a normal one."""

    tissue: str
    left: tuple[Card, ...]
    right: tuple[Card, ...]


# (kind, severity, how many films), then the films with something to find; together 29
_PLAIN = (
    ("CALC", "B", 1), ("CALC", "M", 3), ("CIRC", "B", 3), ("CIRC", "M", 1), ("SPIC", "B", 2), ("SPIC", "M", 2),
    ("MISC", "B", 2), ("MISC", "M", 1), ("ARCH", "B", 1), ("ARCH", "M", 2), ("ASYM", "B", 2), ("ASYM", "M", 1),
)  # fmt: skip
_ODD = (
    (Card("CALC", "B"), Card("CALC", "B"), Card("CALC", "B")),
    (Card("CALC", "B", "speck"),),
    (Card("CALC", "M", "spread"),),
    (Card("CIRC", "B", "unplaced"),),
    (Card("CIRC", "B"), Card("MISC", "M")),
    (Card("SPIC", "M", "large"),),
    (Card("ARCH", "B", "edge"),),
    (Card("ASYM", "M", "astray"),),
)


def case(seed: int, woman: int) -> Case:
    """Return what woman 1, 2, ... of this seed has."""
    return _block(seed, (woman - 1) // BLOCK)[(woman - 1) % BLOCK]


@lru_cache(maxsize=64)
def _block(seed: int, block: int) -> list[Case]:
    rng = np.random.default_rng(SeedSequence([seed, 0, block]))
    deck = [(Card(kind, severity),) for kind, severity, n in _PLAIN for _ in range(n)] + list(_ODD)
    benign, malignant = (_shuffled(rng, [c for c in deck if c[0].severity == s]) for s in "BM")
    deck = _evenly(rng, benign, malignant)  # so that the first few women already have both severities
    both = int(rng.integers(AFFECTED))
    hands = [[c] for c in deck[:AFFECTED]]
    hands[both].append(deck[AFFECTED])
    hands = _evenly(rng, hands, [[]] * (BLOCK - AFFECTED))
    tissues = [t for _ in range(-(-BLOCK // 3)) for t in _shuffled(rng, list("FGD"))][:BLOCK]
    return [
        Case(tissue, *_shuffled(rng, [*hand, *[()] * (2 - len(hand))]))
        for tissue, hand in zip(tissues, hands, strict=True)
    ]


def _shuffled(rng: Generator, items: list) -> list:
    return [items[i] for i in rng.permutation(len(items))]


def _evenly(rng: Generator, one: list, other: list) -> list:
    """Merge two lists so that every stretch holds about its share of both."""
    places = [
        ((i + rng.random()) / len(items), k, i) for k, items in enumerate((one, other)) for i in range(len(items))
    ]
    return [(one, other)[k][i] for _, k, i in sorted(places)]
