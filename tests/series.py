"""The recorded runs that the sentences of the book speak of, by name, and what is computed from several of them."""

from collections.abc import Sequence
from functools import cache

from sentences import ROOT, value

from mammolib import results

INTRO, README, NOTATION = "book/intro.md", "README.md", "book/notation.md"
CARD, GPU = "book/dataset-card.md", "book/running-at-full-size.md"
DATA, AUGMENTATION, CROPPING, CLASSIFICATION, SSD, MAP, EXPERIMENT_A = (
    f"chapters/{stem}.ipynb"
    for stem in (
        "01-data",
        "02-augmentation",
        "03-cropping",
        "04-classification",
        "05-ssd",
        "06-map",
        "07-experiment-a",
    )
)

WIDE, WIDE_WOMAN = "A-62d727b9eb9d", "A-aa01569f6938"
"""Experiment A with all its filters, its batch and its updates: at random, and by woman."""
SHORT, SHORT_WOMAN = ("A-0dc22d386d60", "A-de184c2edf5e"), "A-730688a41df3"
"""All the filters, 1,320 updates of 32: two seeds at random, one by woman."""
NARROW = ("A-8f9c07165701", "A-7bb288003b96", "A-d564100537a3", "A-ea93e14f9f5e", "A-0054d78fa5ad")
NARROW_WOMAN = ("A-5373b7366387", "A-e95e607d0742", "A-d611c0c15f40", "A-554a805860cd", "A-e3b55e010eb6")
STILL = ("A-dcea667fc561", "A-1b2f25ce3d61", "A-0ea8f25e9272", "A-1f12e9441037", "A-48569ab4fe7f")
STILL_WOMAN = ("A-9fda3b255517", "A-5d1b9113d8de", "A-247ffa2739a6", "A-35198e833b08", "A-da25d98aa178")
"""An eighth of the filters, seeds 0 to 4: with mirroring in training, and without."""
IN_ORDER, PHANTOM_START = "A-d4032a458884", "A-1c8467756d1b"
FILMS_WOMAN = ("A-films-f2bd0ccd28e1", "A-films-5a06e3073458")
E_BEFORE, E_AFTER = "E-before-7632e9da2740", "E-after-1a1b0c29b37e"
LOOKUP, LOOKUP_WOMAN = "lookup-59d970dd84f1", "lookup-3df22c78d8fd"
COUNTS, CUTS, VIEWS, BUILT, SIMULATED = (
    "data-296d36485502",
    "cropping-0614ab34e55f",
    "augmentation-9ff0b7cb699b",
    "ssd256-f419cb4016c5",
    "map-09c699b14051",
)
CNNI = ("cnni-bcc-a966276918cf", "cnni-bcc-c7c975107d83", "cnni-bcc-665d5fe76738")
CNNI_WOMAN, CNNI_LESION_WOMAN = "cnni-bcc-9c36f70c38f1", "cnni-bcc-91528e3d699c"
FOLDS = "cnni-bcc-10fold-fbb050a13a63"
VGG16 = ("vgg16-b1f87c487eb0", "vgg16-ced86e65d4e7", "vgg16-c4c0cf39cc6f")
VGG16_WOMAN = ("vgg16-94abb55f7e2e", "vgg16-b8263cb4a704", "vgg16-2357a2acf397")


def mean(stems: Sequence[str], metric: str) -> float:
    """Return the mean of a metric over the seeds of a series."""
    return sum(value(stem, metric) for stem in stems) / len(stems)


@cache
def recorded(*names: str) -> list[results.Record]:
    """Return every committed record of these names that ran on real films; of all names if none is given."""
    records = results.load_all(ROOT / "book" / "results")
    return [r for r in records if r.data["name"] == "mini-MIAS" and (not names or r.name in names)]


@cache
def stated(claim: str) -> float:
    """Return a value of the paper."""
    return next(c.value for c in results.claims() if c.id == claim)
