"""Running the paper's trainings of classifiers: draw patches, split, train, test and record, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mammolib import mias, results, splits, training
from mammolib.experiments.classifiers import CLASS_NAMES, CNNI_BCC, EXPERIMENTS, QUICK, READINGS, VGG16, Classification
from mammolib.experiments.evaluate_classifier import Answers, metrics_of, outputs_of
from mammolib.experiments.profiles import check_seed
from mammolib.patches import Crops, Patches, labelled_patches, uniform_cuts
from mammolib.splits import Split
from mammolib.training import Execution, Run, Samples
from mammolib.training.settings import number, one_of

__all__ = [
    "CLASS_NAMES", "CNNI_BCC", "EXPERIMENTS", "QUICK", "READINGS", "VGG16", "Classification", "check", "divide", "draw",
    "held_out_lesions", "real_sizes", "run_classifier", "weights_folder",
]  # fmt: skip
SPLITS = ("image", "woman", "folds")
FOLDS = 10
SHOWN = 24


def draw(experiment: Classification, films: Sequence[mias.Film], seed: int, reading: str) -> Patches:
    """Draw an experiment's patches; the label of each is its class, 0 to classes - 1.

    Raises:
        ValueError: an unknown reading, or fewer patches than the experiment needs.
    """
    n, balanced = experiment.patches, experiment.balanced
    found = labelled_patches(
        films, reading, views=experiment.views.get(reading, 1), seed=seed, limit=None if balanced else n,
        per_class={0: n - n // 2, 1: n // 2 - n // 4, 2: n // 4} if balanced else None,
    )  # fmt: skip
    return replace(found, label=np.minimum(found.label, experiment.classes - 1))


def divide(experiment: Classification, patches: Patches, split: str, seed: int) -> list[Split]:
    """Split drawn patches: "image" as the paper did, "woman", or "folds" (by woman, each of which tests once).

    Raises:
        ValueError: an unknown split, a split that cannot be made, or a class that no training patch has.
    """
    if split == "image":
        made = [splits.last_tenth(len(patches), seed)]
    elif split == "woman":
        made = [splits.by_woman(patches.woman, patches.label, experiment.sizes, seed)]
    elif split == "folds":
        made = splits.folds_by_woman(patches.woman, np.minimum(patches.label, 1), FOLDS, seed)
    else:
        raise ValueError(f"split: {split!r} is not one of {', '.join(SPLITS)}")
    for one in made:
        absent = np.setdiff1d(np.arange(experiment.classes), patches.label[one.training])
        if len(absent):
            name = CLASS_NAMES[experiment.classes][absent[0]]
            raise ValueError(f"split by {one.kind}: no training patch is {name} (class {absent[0]}); draw more patches")
    return made


def held_out_lesions(experiment: Classification, films: Sequence[mias.Film], seed: int, reading: str) -> Crops:
    """Cut patches that show a lesion's centre from films of the women whom a run by woman tests on.

    Args:
        experiment, films, seed, reading: of the run.

    Returns:
        At most `SHOWN` patches of 128 x 128, spread over the films, with the lesion's box and severity; none where no
        such woman has a film with one lesion.
    """
    drawn = draw(experiment, films, seed, reading)
    women = set(drawn.woman[divide(experiment, drawn, "woman", seed)[0].test])
    theirs = [film for film in mias.single_lesion_films(films) if film.woman in women]
    found = uniform_cuts(theirs, size=128, stride=64, contains="centre")
    return found.take(np.unique(np.linspace(0, len(found) - 1, min(SHOWN, len(found))).round().astype(int)))


def run_classifier(
    experiment: Classification,
    films: Sequence[mias.Film],
    seed: int = 0,
    split: str = "image",
    *,
    store: str | Path,
    reading: str = "film",
    width: float = 1.0,
    data: Mapping[str, Any] | None = None,
    execution: Execution | None = None,
    watch: Callable[[int, keras.Model, Any], None] | None = None,
) -> results.Record:
    """Train, test and record; a run that is recorded in the store is loaded, one that was killed continues.

    Args:
        experiment: `CNNI_BCC`, `VGG16`, or a change of one of them.
        films: a data set.
        seed: of the draw of patches, the split, and the training.
        split: "image", "woman", or "folds": `FOLDS` trainings, the answers of all of them pooled.
        store: the folder that holds the record, and next to it `{name}-{hash}/` with the weights.
        reading: "film": a patch has its film's label; "lesion": a patch without a lesion's centre is normal.
        width: factor on the network's filters, in (0, 1]; below 1, the record says that it is reduced.
        data: the record's name, digest and number of films; counted and digested here if not given.
        execution: how to run.
        watch: see `training.train`.

    Returns:
        The record, named after the experiment (with folds: "vgg16-10fold").

    Raises:
        ValueError: see `draw`, `divide` and `training.train`.
    """
    store = Path(store)
    check(seed, split, reading, width)
    several = split == "folds"
    data = data or {"name": "films", "digest": mias.digest(films), "films": len(films)}
    asked = ask(experiment, data, seed, split, reading, width)
    place = store / results.Record(**asked).stem

    def train(patches: Patches, part: Split, folder: Path) -> tuple[Run, Answers]:
        def samples(rows: NDArray) -> Samples:
            targets = keras.utils.to_categorical(patches.label[rows], experiment.classes)
            return Samples(patches.images[rows], targets.astype(np.float32))

        done = training.train(
            lambda: experiment.build(width), samples(part.training), samples(part.validation),
            settings=experiment.settings, loss=experiment.loss,
            measures={"accuracy": keras.metrics.categorical_accuracy}, seed=seed, execution=execution, folder=folder,
            about={"run": results.Record(**asked).hash, "split": part.kind}, title=f"{asked['name']} by {part.kind}",
            watch=watch,
        )  # fmt: skip
        if not done.diverged:
            training.export_weights(done.model, folder / "weights")
        said = [training.predict(done.model, patches.images[rows]) for rows in (part.validation, part.test)]
        return done, Answers(*said)

    def make() -> results.Record:
        patches = draw(experiment, films, seed, reading)
        parts = divide(experiment, patches, split, seed)
        folders = [place / f"fold-{fold}" if several else place for fold in range(1, len(parts) + 1)]
        trained = [train(patches, part, folder) for part, folder in zip(parts, folders, strict=True)]
        runs, answers = [run for run, _ in trained], [said for _, said in trained]
        return results.Record(
            **asked,
            metrics=metrics_of(experiment, patches, parts, runs, answers) | real_sizes(parts),
            history=runs[0].history.for_record() if not several else {},
            outcome=next((r.outcome for r in runs if r.diverged), runs[0].outcome),
            outputs=outputs_of(experiment, patches, parts, answers, asked["data"]["digest"]),
            machine=results.machine(),
        )

    record = results.once(store, make, **asked)
    for left_over in place.rglob(training.CHECKPOINT):  # the record and the exported weights replace it
        left_over.unlink()
    return record


def ask(
    experiment: Classification,
    data: Mapping[str, Any],
    seed: int = 0,
    split: str = "image",
    reading: str = READINGS[0],
    width: float = 1.0,
) -> dict[str, Any]:
    """Return what a classifier's record says was asked for; the arguments are those of `run_classifier`."""
    several = split == "folds"
    return {
        "name": f"{experiment.name}-{FOLDS}fold" if several else experiment.name,
        "settings": experiment.as_data(reading, width, FOLDS if several else None),
        "data": dict(data),
        "seed": seed,
        "split": "woman" if several else split,
    }


def check(seed: int, split: str, reading: str = READINGS[0], width: float = 1.0) -> None:
    """Raise a ValueError that names the first argument of `run` that cannot be."""
    check_seed(seed)
    for name, value, choices in (("split", split, SPLITS), ("reading", reading, READINGS)):
        if not one_of(value, choices):
            raise ValueError(f"{name}: {value!r} is not one of {', '.join(choices)}")
    if not (number(width) and 0 < width <= 1):
        raise ValueError(f"width: must lie in (0, 1], got {width!r}")


def real_sizes(parts: Sequence[Split]) -> dict[str, float]:
    """Return how many patches trained, validated and tested, under the names that a detector's record has.

    By woman these are not the sizes that were asked for, since women are whole. With folds: the mean over the folds.
    """
    names = ("train_images", "validation_images", "test_images")
    return dict(zip(names, np.mean([part.sizes for part in parts], axis=0).tolist(), strict=True))


def weights_folder(record: results.Record, store: str | Path) -> Path:
    """Return the folder of a run's exported weights, for `training.load_weights`."""
    return Path(store) / record.stem / "weights"
