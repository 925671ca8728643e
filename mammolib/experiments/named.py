"""Any run of the book by a name: a detector ("A"), a classifier ("vgg16"), whole films ("A-films"), a baseline.

The command ``mammolib experiment`` is `run_named` with options.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mammolib import mias, results
from mammolib.experiments import baselines, classification, detection, inside, rungs, running, whole_films
from mammolib.experiments.definition import check_word
from mammolib.experiments.profiles import Profile, check_seed
from mammolib.training import Execution

NAMES = (
    *detection.EXPERIMENTS,
    *classification.EXPERIMENTS,
    *baselines.NAMES,
    *rungs.NAMES,
    *(f"{name}-{after}" for after in ("films", "inside") for name in detection.EXPERIMENTS if name != "E-before"),
)
"""Names of runs; "A-films" shows whole films to A's network."""


@dataclass(frozen=True)
class Outline:
    """What is known of a run before it is made.

    Attributes:
        asked: name, settings, data, seed and split of its record.
        store: the folder of records.
        make: makes the record, or loads it; called with films, `Execution` and what is told of progress.
        origin: the run whose weights it needs, as "A-0123456789ab"; "" for none.
        updates, batch: of its training; 0 where nothing is trained. With folds, all of them count.
        images: training images that the updates show.
        begin: returns (a function that builds its network, `training.Settings`, loss); None where nothing is trained.
    """

    asked: Mapping[str, Any]
    store: str | Path
    make: Callable[..., results.Record]
    origin: str = ""
    updates: int = 0
    batch: int = 0
    images: int = 0
    begin: Callable[[], tuple[Any, Any, Any]] | None = None

    @property
    def stem(self) -> str:
        """``{name}-{hash}``, what its record's file is called."""
        return results.Record(**self.asked).stem

    @property
    def recorded(self) -> bool:
        """Whether the store has its record."""
        return results.find(self.store, **self.asked) is not None


def run_named(
    name: str,
    films: Sequence[mias.Film],
    *,
    execution: Execution | None = None,
    say: Callable[[str], None] | None = None,
    **asked: Any,
) -> results.Record:
    """Run what a name says, or load its record.

    What is asked, and what cannot be, see `outline`. `films`, `execution` and `say` are the data set, how to train, and
    what is called with lines of progress.
    """
    return outline(name, **asked).make(films, execution, say)


def outline(
    name: str, *, profile: Profile, store: str | Path, data: Mapping[str, Any] = results.NO_DATA, **options: Any
) -> Outline:
    """Say what a run is and how long, without making it; what cannot be is refused before anything is read or made.

    Args:
        name: one of `NAMES`. With "-films", the network of a detector's run looks at whole films, and with "-inside" it
            is looked into: the run named by `of`, or else the one that the other arguments describe.
        profile: its size.
        store: the folder of records and weights.
        data: the record's name, digest and number of films.
        **options: what else is asked for; None is what is not. "seed"; "split", a detector's also "lesion-order", a
            classifier's also "folds"; "width", the profile's if not given; "updates" and "variant", of a detector only;
            "changes", on top of the variant, or of the classifier's settings; "reading", of a classifier only; "of", of
            E the run of A that it starts from, of whole films the run whose network is meant.

    Raises:
        ValueError: an unknown name, an argument that the run does not take, or a value that does not fit.
        FileNotFoundError: the run named by `of` is not in the store.
    """
    check_word("experiment", name, NAMES)
    given: dict[str, Any] = {k: v for k, v in options.items() if v is not None}
    takes, who = {"seed", "split", "width", "updates", "variant", "changes", "of"}, name
    find: Callable[..., Outline] = _detector
    if name in classification.EXPERIMENTS:
        takes, find = {"seed", "split", "width", "changes", "reading"}, _classifier
    elif name in (*baselines.NAMES, *rungs.NAMES):
        takes, find = {"split"} if name == "lookup" else set(), _untrained
    elif name not in detection.EXPERIMENTS:  # "A-films" or "A-inside"
        find = _looked_at
        if "of" in given:
            takes, who = {"seed", "split", "of"}, f"{name} of a run"
    for option, value in given.items():
        if option not in takes:
            raise ValueError(f"{option}: {who} takes none, got {value!r}")
    if "seed" in given:
        check_seed(given["seed"])
    return find(name, profile, {"data": data, "store": store}, given)


def _untrained(name: str, _: Profile, here: Mapping[str, Any], given: Mapping[str, Any]) -> Outline:
    data, store = here["data"], here["store"]
    if name in rungs.NAMES:
        return Outline(rungs.ask(name, data), store, lambda films, _, say: rungs.run_rung(name, films, **here, say=say))
    asked = baselines.ask(name, data, **given)
    return Outline(asked, store, lambda films, *_: baselines.run_baseline(name, films, **here, **given))


def _classifier(name: str, profile: Profile, here: Mapping[str, Any], given: dict[str, Any]) -> Outline:
    one = classification.EXPERIMENTS[name].for_profile(profile).but(**given.pop("changes", {}))
    given = {"width": profile.width, **given}
    asked = classification.ask(one, here["data"], **given)
    times = asked["settings"].get("folds", 1)
    return Outline(
        asked, here["store"],
        lambda films, execution, _: classification.run_classifier(one, films, **here, execution=execution, **given),
        updates=times * one.updates, batch=one.settings.batch, images=times * one.images_shown,
        begin=lambda: (lambda: one.build(given["width"]), one.settings, one.loss),
    )  # fmt: skip


def _detector(name: str, profile: Profile, here: Mapping[str, Any], given: Mapping[str, Any]) -> Outline:
    options = {"profile": profile, **here, **given}
    asked = running.ask(name, **options)
    updates, batch = (asked.identity["settings"].get(key, 0) for key in ("updates", "batch"))
    return Outline(
        asked.identity, here["store"],
        lambda films, execution, say: running.run_detector(name, films, execution=execution, say=say, **options),
        asked.origin, updates, batch, updates * batch, (lambda: running.begin(asked)) if updates else None,
    )  # fmt: skip


def _looked_at(name: str, profile: Profile, here: Mapping[str, Any], given: Mapping[str, Any]) -> Outline:
    one, _, what = name.rpartition("-")
    described = None if "of" in given else running.ask(one, profile=profile, **here, **given).record
    stem = described.stem if described else given["of"]
    path = Path(here["store"]) / f"{stem}.json"
    missing = FileNotFoundError(f"{path}: there is no such run; make it by `mammolib experiment`, or name another")
    of = results.load(path) if path.is_file() else described
    if of is None:
        raise missing
    for option, value in {"name": one, **given}.items():
        if option in ("name", "seed", "split") and getattr(of, option) != value:
            raise ValueError(f"{option}: {value!r} was asked for, but {stem} has {getattr(of, option)!r}")
    room, run = (whole_films, whole_films.run_on_films) if what == "films" else (inside, inside.run_inside)

    def make(films: Sequence[mias.Film], *_: Any) -> results.Record:
        if not path.is_file():
            raise missing
        return run(results.load(path), films, **here)

    return Outline(room.ask(of, here["data"]), here["store"], make, stem)
