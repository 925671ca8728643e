"""Any run of the book by a name: a detector ("A"), a classifier ("vgg16"), whole films ("A-films"), a baseline.

The command ``mammolib experiment`` is this function with options.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mammolib import mias, results
from mammolib.experiments import baselines, classification, detection, inside, rungs, running, whole_films
from mammolib.experiments.profiles import Profile, check_seed
from mammolib.training import Execution

AFTER = {"films": whole_films, "inside": inside}
"""What is done with a trained network: a name such as "A-films" shows whole films to A's."""
NAMES = (
    *detection.EXPERIMENTS,
    *classification.EXPERIMENTS,
    *baselines.NAMES,
    *rungs.NAMES,
    *(f"{name}-{end}" for end in AFTER for name in detection.EXPERIMENTS if name != "E-before"),
)


def run_named(
    name: str,
    films: Sequence[mias.Film],
    *,
    profile: Profile,
    data: Mapping[str, Any],
    store: str | Path,
    execution: Execution | None = None,
    say: Callable[[str], None] | None = None,
    **options: Any,
) -> results.Record:
    """Run what a name says, or load its record.

    Args:
        name: one of `NAMES`. With "-films", the network of a detector's run looks at whole films, and with
            "-inside" it is looked into: the run named by `of`, or else the one that the other arguments describe, which
            has to be in the store.
        films, data, store, execution, say: see `running.run_detector` and `classification.run_classifier`.
        profile: its size.
        **options: see `check`.

    Raises:
        ValueError: see `check`.
        FileNotFoundError: whole films, and the run whose network they need is not in the store.
    """
    check(name, profile=profile, store=store, **options)
    given = {k: v for k, v in options.items() if v is not None}
    if name in classification.EXPERIMENTS:
        one = classification.EXPERIMENTS[name].for_profile(profile).but(**given.pop("changes", {}))
        size = {"reading": classification.READINGS[0], "width": profile.width}
        return classification.run_classifier(
            one, films, data=data, store=store, execution=execution, **{**size, **given}
        )
    if name in baselines.NAMES:
        return baselines.run_baseline(name, films, data=data, store=store, **given)
    if name in rungs.NAMES:
        return rungs.run_rung(name, films, data=data, store=store, say=say)
    name, after = _parts(name)
    if not after:
        return running.run_detector(
            name, films, profile=profile, data=data, store=store, execution=execution, say=say, **given
        )
    stem = given.get("of") or _asked(name, profile, data, store, given).stem
    path = Path(store) / f"{stem}.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such run; make it by `mammolib experiment`, or name another")
    record = results.load(path)
    asked = {"name": name} | {k: given[k] for k in ("seed", "split") if k in given}
    for option, value in asked.items():
        if getattr(record, option) != value:
            raise ValueError(f"{option}: {value!r} was asked for, but {stem} has {getattr(record, option)!r}")
    if after == "inside":
        return inside.run_inside(record, films, store=store, data=data)
    return whole_films.run_on_films(record, films, store=store, data=data)


@dataclass(frozen=True)
class Outline:
    """What is known of a run before it is made.

    Attributes:
        stem: ``{name}-{hash}``, what its record's file is called.
        origin: the run whose weights it needs, as "A-0123456789ab"; "" for none.
        updates, batch: of its training; 0 where nothing is trained. With folds, all of them count.
        images: training images that the updates show.
        recorded: the store has its record.
        begin: returns (a function that builds its network, `training.Settings`, loss); None where nothing is trained.
    """

    stem: str
    origin: str = ""
    updates: int = 0
    batch: int = 0
    images: int = 0
    recorded: bool = False
    begin: Callable[[], tuple[Any, Any, Any]] | None = None


def outline(name: str, *, profile: Profile, data: Mapping[str, Any], store: str | Path, **options: Any) -> Outline:
    """Say what a run is and how long, without making it; the arguments are those of `run_named`.

    Raises:
        ValueError, FileNotFoundError: see `check`.
    """
    check(name, profile=profile, store=store, **options)
    given = {k: v for k, v in options.items() if v is not None}
    more: dict[str, Any] = {}
    if name in classification.EXPERIMENTS:
        one = classification.EXPERIMENTS[name].for_profile(profile).but(**given.pop("changes", {}))
        asked = classification.ask(one, data, **{"width": profile.width, **given})
        times, width = asked["settings"].get("folds") or 1, asked["settings"]["width"]
        more = {"updates": times * one.updates, "batch": one.settings.batch, "images": times * one.images_shown}
        more["begin"] = lambda: (lambda: one.build(width), one.settings, one.loss)
    elif name in baselines.NAMES:
        asked = baselines.ask(name, data, **given)
    elif name in rungs.NAMES:
        asked = rungs.ask(name, data)
    elif after := _parts(name)[1]:
        stem = given.get("of") or _asked(name, profile, data, store, given).stem
        path = Path(store) / f"{stem}.json"
        of = results.load(path) if path.is_file() or "of" in given else _asked(name, profile, data, store, given).record
        asked, more = AFTER[after].ask(of, data), {"origin": stem}
    else:
        a = _asked(name, profile, data, store, given)
        r, more = a.record, {"origin": a.origin}
        asked = {"name": r.name, "settings": r.settings, "data": r.data, "seed": r.seed, "split": r.split}
        if a.experiment.epochs:
            n, batch = r.settings["updates"], r.settings["batch"]
            more |= {"updates": n, "batch": batch, "images": n * batch}
            more["begin"] = lambda: running.begin(a)
    record = results.Record(**asked)
    return Outline(Path(record.file_name).stem, recorded=results.find(store, **asked) is not None, **more)


def check(
    name: str,
    *,
    profile: Profile,
    store: str | Path,
    seed: int | None = None,
    split: str | None = None,
    width: float | None = None,
    updates: int | None = None,
    variant: str | None = None,
    changes: Mapping[str, Any] | None = None,
    reading: str | None = None,
    of: str | None = None,
) -> None:
    """Refuse a run that cannot be, before anything is read or made for it; None is what is not asked for.

    Args:
        name: one of `NAMES`.
        profile: its size.
        store: the folder of records.
        seed: 0 if not given. A baseline takes none.
        split: "image" (if not given) or "woman"; a detector's also "lesion-order", a classifier's also "folds".
        width: factor on the filters; the profile's if not given.
        updates, variant: of a detector only, see `running.run_detector`.
        changes: on top of the variant, or of the classifier's settings.
        reading: of a classifier only: "film" (if not given) or "lesion".
        of: of E, the run of A that it starts from; of whole films, the run whose network looks.

    Raises:
        ValueError: an unknown name, an argument that the run does not take, or a value that does not fit.
        FileNotFoundError: E, and the run of A named by `of` is not in the store.
    """
    if name not in NAMES:
        raise ValueError(f"experiment: {name!r} is not one of {', '.join(NAMES)}")
    if seed is not None:
        check_seed(seed)
    if name in classification.EXPERIMENTS:
        _refuse(name, updates=updates, variant=variant, of=of)
        given = {"seed": seed, "split": split, "reading": reading, "width": width}
        given = {k: v for k, v in given.items() if v is not None}
        classification.check(**{"seed": 0, "split": "image", **given})
        classification.EXPERIMENTS[name].for_profile(profile).but(**(changes or {}))
        return
    _refuse(name, reading=reading)
    if name in baselines.NAMES:
        _refuse(name, updates=updates, variant=variant, of=of, changes=changes, width=width, seed=seed)
        if name != "lookup":
            _refuse(name, split=split)
        return
    if name in rungs.NAMES:
        _refuse(name, updates=updates, variant=variant, of=of, changes=changes, width=width, seed=seed, split=split)
        return
    options = {"seed": seed, "split": split, "width": width, "updates": updates, "variant": variant, "changes": changes}
    if _parts(name)[1] and of is not None:
        _refuse(f"{name} of a run", width=width, updates=updates, variant=variant, changes=changes)
        return
    given = {k: v for k, v in {**options, "of": of}.items() if v is not None}
    _asked(name, profile, {"name": "", "digest": "", "films": 0}, store, given)


def _asked(
    name: str, profile: Profile, data: Mapping[str, Any], store: str | Path, options: Mapping[str, Any]
) -> running.Asked:
    return running.ask(_parts(name)[0], (), profile=profile, data=data, store=store, **options)


def _parts(name: str) -> tuple[str, str]:
    """Split "A-films" into "A" and "films"; a name of a run that trains is whole."""
    one, _, after = name.rpartition("-")
    return (one, after) if after in AFTER else (name, "")


def _refuse(name: str, **options: Any) -> None:
    for option, value in options.items():
        if value is not None:
            raise ValueError(f"{option}: {name} takes none, got {value!r}")
