"""The ladder of whole-film detectors on the benchmark's folds: no detector marks a film of a woman it was fitted on.

A rung is fitted on four folds of women and marks the fifth, for each fold of each repeat. What a fold gave is kept at
once, so that a run that was stopped goes on where it was. The score is the mean over the repeats.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mammolib import benchmark, mias, phantom, results
from mammolib.benchmark.dealing import FOLDS, REPEATS
from mammolib.benchmark.predictions import FORMAT
from mammolib.detectors.classical import Detector, Filter, Position, afum, brightness, laplacian
from mammolib.detectors.ensemble import BothBreasts
from mammolib.detectors.features import Eye, Features
from mammolib.detectors.ssd_windows import Windows
from mammolib.files import atomic

PREFIX = "benchmark-"
RUNGS: dict[str, tuple[str, Callable[[Any], Detector]]] = {
    "position": ("where lesions of training women lie", lambda _: Position()),
    "ssd": ("SSD256 by windows, from random weights", lambda _: Windows()),
    "ssd-phantoms": ("SSD256 by windows, from weights trained on phantoms", lambda _: Windows(_from_phantoms())),
    "brightness": ("the brightest blob", lambda _: Filter(brightness, (2, 4, 8, 16), lambda grey: grey / 256)),
    "afum": ("brighter than its rings (AFUM)", lambda _: Filter(afum, ((12, 3), (12, 5)), lambda share: share)),
    "laplacian": ("round and bright (Laplacian of Gaussian)", lambda _: Filter(laplacian, ((16, 5), (32, 4), (32, 5)))),
    "features": ("features by hand, linear model", lambda at: Features(Eye(False, at), c=1e-2)),
    "imagenet": ("ImageNet's maps, linear model", lambda at: Features(Eye(True, at), c=1e-4)),
    "both-breasts": ("ImageNet's maps, both breasts, calcifications apart", lambda at: BothBreasts(Eye(True, at))),
}
"""Rungs in the order of the ladder: what each goes by, and what makes its detector, features being kept in a folder."""
ONCE = ("ssd", "ssd-phantoms")
"""Rungs that are run on the first repeat only: each of its five folds trains a network of its own."""
VERSIONS = {"both-breasts": 2}
"""Of a rung's method, 1 if not here: raised where a change of code changes the marks, which are then made again."""
NAMES = tuple(PREFIX + rung for rung in RUNGS)


def detector(rung: str, folder: str | Path | None = None) -> Detector:
    """Return the detector of a key of `RUNGS`, not yet fitted; features are kept between runs in a folder, if any."""
    if rung not in RUNGS:
        raise ValueError(f"detector: {rung!r} is not one of {', '.join(RUNGS)}")
    return RUNGS[rung][1](folder)


def run_rung(
    name: str,
    films: Sequence[mias.Film],
    *,
    data: Mapping[str, Any],
    store: str | Path,
    repeats: int | None = None,
    say: Callable[[str], None] | None = None,
) -> results.Record:
    """Fit and score a rung on the benchmark's folds and record it, or load its record.

    Args:
        name: one of `NAMES`.
        films, data: a data set whose films the frozen folds name, and what the record says of it.
        store: the folder of records; marks are kept in it under "benchmark", features under "features".
        repeats: how many of the five repeats, the first ones; all if not given, and one for `ONCE`.
        say: told of every fold.

    Returns:
        The record of `benchmark.score` for these repeats; `outputs` holds what the detector of each fold chose, repeat
        by repeat, under "choices" (null if it had nothing to choose).

    Raises:
        ValueError: a film that the folds do not name.
    """
    table = benchmark.folds()
    if unknown := [film.reference for film in films if film.reference not in table]:
        raise ValueError(f"{unknown[0]}: the benchmark's folds do not name this film")
    asked = ask(name, data, repeats)
    version, n = asked["settings"]["version"], asked["settings"]["repeats"]
    folder = Path(store) / "benchmark" / f"{name}-{data['digest'][:12]}-{version}"

    def make() -> dict[str, Any]:
        one = detector(name.removeprefix(PREFIX), Path(store) / "features")
        documents, choices = zip(*(_repeat(one, films, repeat, folder, say) for repeat in range(n)), strict=True)
        scored = benchmark.score(documents, films, name)
        outputs = {**scored.outputs, "predictions": scored.settings["predictions"], "choices": choices}
        return {"metrics": scored.metrics, "outputs": outputs}

    return results.once(store, make, **asked)


def ask(name: str, data: Mapping[str, Any], repeats: int | None = None) -> dict[str, Any]:
    """Return what a rung's record says was asked for; the arguments are those of `run_rung`."""
    rung = name.removeprefix(PREFIX)
    repeats, version = repeats or (1 if rung in ONCE else REPEATS), VERSIONS.get(rung, 1)
    settings = {"detector": rung, "repeats": repeats, "version": version, "folds": benchmark.folds_digest()}
    return {"name": name, "settings": settings, "data": dict(data), "seed": 0, "split": "woman"}


def _repeat(
    one: Detector, films: Sequence[mias.Film], repeat: int, folder: Path, say: Callable[[str], None] | None
) -> tuple[dict[str, Any], list[Any]]:
    """Return a repeat's detections on all films in the benchmark's format, and what the detector of each fold chose."""
    table = benchmark.folds()
    marked: dict[str, Any] = {}
    choices = []
    for fold in range(FOLDS):
        path, chosen = (folder / f"repeat-{repeat}-fold-{fold}{end}.json" for end in ("", "-choice"))
        test = [film for film in films if table[film.reference][repeat] == fold]
        if not (path.is_file() and chosen.is_file()):
            one.fit([film for film in films if table[film.reference][repeat] != fold])
            choice = json.dumps(getattr(one, "choice", None))
            with atomic(chosen) as file:
                file.write(choice.encode())
            benchmark.write(benchmark.document(one.predict(test), test, repeat), path)
            if say:
                say(f"{folder.name}: repeat {repeat}, fold {fold}" + f", chosen: {choice}" * (choice != "null"))
        marked |= benchmark.read(path)["films"]
        choices.append(json.loads(chosen.read_text()))
    everyone = {film.reference: marked[film.reference] for film in films}
    return {"format": FORMAT, "repeat": repeat, "films": everyone}, choices


def _from_phantoms() -> list[Any]:
    with tempfile.TemporaryDirectory() as folder:
        return Windows().fit(mias.load(phantom.write(folder, women=80))).learnt
