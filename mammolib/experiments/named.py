"""Any run of the book by a name: a detector ("A"), a classifier ("vgg16"), whole films ("A-films"), a baseline.

The command ``mammolib experiment`` is this function with options.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mammolib import mias, results
from mammolib.experiments import baselines, classification, detection, running, whole_films
from mammolib.experiments.profiles import Profile
from mammolib.training import Execution

FILMS = "-films"
NAMES = (
    *detection.EXPERIMENTS,
    *classification.EXPERIMENTS,
    *baselines.NAMES,
    *(f"{name}{FILMS}" for name in detection.EXPERIMENTS if name != "E-before"),
)


def run(
    name: str,
    films: Sequence[mias.Film],
    *,
    profile: Profile,
    data: Mapping[str, Any],
    seed: int = 0,
    split: str = "image",
    width: float | None = None,
    updates: int | None = None,
    variant: str | None = None,
    changes: Mapping[str, Any] | None = None,
    reading: str | None = None,
    of: str | None = None,
    store: str | Path,
    execution: Execution | None = None,
    say: Callable[[str], None] | None = None,
) -> results.Record:
    """Run what a name says, or load its record.

    Args:
        name: one of `NAMES`. With "-films", the network of a detector's run looks at whole films: the run named by
            `of`, or else the one that the other arguments describe, which has to be in the store.
        films, data, seed, store, execution, say: see `detection.run` and `classification.run`.
        profile: its size.
        split: "image", "woman"; a detector's also "lesion-order", a classifier's also "folds". Baselines take neither a
            width nor a seed.
        width: factor on the filters; None for the profile's.
        updates, variant, of: of a detector only; variant is a key of `detection.VARIANTS`.
        changes: on top of the variant, or of the classifier's settings; None for no change.
        reading: of a classifier only: "film" (if None) or "lesion".

    Raises:
        ValueError: an unknown name, an argument that the run does not take, or a value that does not fit.
        FileNotFoundError: whole films, and the run whose network they need is not in the store.
    """
    if name not in NAMES:
        raise ValueError(f"experiment: {name!r} is not one of {', '.join(NAMES)}")
    if variant is not None and variant not in detection.VARIANTS:
        raise ValueError(f"variant: {variant!r} is not one of {', '.join(detection.VARIANTS)}")
    common = {"data": data, "seed": seed, "split": split, "store": store}
    if name in classification.EXPERIMENTS:
        _refuse(name, updates=updates, variant=variant, of=of)
        one = classification.EXPERIMENTS[name].for_profile(profile)
        return classification.run(
            one.but(**changes) if changes else one, films, reading=reading or classification.READINGS[0],
            width=profile.width if width is None else width, execution=execution, **common,
        )  # fmt: skip
    _refuse(name, reading=reading)
    if name in baselines.NAMES:
        _refuse(name, updates=updates, variant=variant, of=of, changes=changes, width=width)
        return baselines.run(name, films, data=data, store=store, split=split)
    if variant is not None or changes is not None:
        changes = {**detection.VARIANTS[variant or "stated"], **(changes or {})}
    asked = common | {"profile": profile, "width": width, "updates": updates, "changes": changes}
    if not name.endswith(FILMS):
        return detection.run(name, films, of=of, execution=execution, say=say, **asked)
    stem = of or running.ask(name.removesuffix(FILMS), films, **asked).stem
    path = Path(store) / f"{stem}.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such run; make it by `mammolib experiment`, or name another")
    return whole_films.run(results.load(path), films, store=store, data=data)


def _refuse(name: str, **options: Any) -> None:
    for option, value in options.items():
        if value is not None:
            raise ValueError(f"{option}: {name} takes none, got {value!r}")
