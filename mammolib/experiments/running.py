"""Running Experiments A to E: from an experiment and films to a record, once.

The record lies in the store as `{name}-{hash}.json`, the weights beside it in `{name}-{hash}/weights`. A run that is
recorded is loaded; one that was killed continues from its checkpoint; one whose loss explodes is recorded as such.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mammolib import mias, results, ssd, training
from mammolib.experiments import evaluate_detector, evaluate_training
from mammolib.experiments.definition import check_word
from mammolib.experiments.detection import SPLITS, STARTS, TRAINS, A, Detection, Plan, experiment, variant_changes
from mammolib.experiments.profiles import PROFILES, Profile, check_seed
from mammolib.experiments.sets import prepare
from mammolib.files import atomic
from mammolib.ssd.model import VGG_MEAN  # its room also registers the layers that a file of weights names
from mammolib.training import Execution, History, Schedule, Settings
from mammolib.training.settings import number

INHERITED = {
    "batch", "optimizer", "momentum", "clip", "warmup", "precision", "flip", "l2", "mining", "mean", "divide_by",
    "separable", "regularise_separable",
}  # fmt: skip
"""Changes of A that E takes over when it is told which run of A it continues; and its rates, in proportion."""

ALIKE = ("width", "mean", "divide_by", "separable")
"""Settings in which E's network must be that of the run it continues."""


@dataclass(frozen=True)
class Asked:
    """A run in full: all that decides its result. Updates are None for the experiment's own; E starts from `begun`."""

    experiment: Detection
    width: float
    updates: int | None
    seed: int
    split: str
    data: Mapping[str, Any]
    begun: results.Record | None = None

    @property
    def plan(self) -> Plan:
        """How long it trains."""
        return self.experiment.plan(self.updates)

    @property
    def identity(self) -> dict[str, Any]:
        """What the record says was asked for: name, settings, data, seed and split."""
        settings = self.experiment.as_data(self.width, self.updates)
        if self.begun:
            settings |= results.start_of(self.begun)
            if self.experiment.epochs:
                settings["epochs_in_all"] = self.begun.settings["epochs"] + settings["epochs"]
        data, name = dict(self.data), self.experiment.name
        return {"name": name, "settings": settings, "data": data, "seed": self.seed, "split": self.split}

    @property
    def record(self) -> results.Record:
        """The run's record without its results: it has the hash."""
        return results.Record(**self.identity)

    @property
    def origin(self) -> str:
        """The run whose weights it starts from, as "A-0123456789ab"; "" for none of the store's."""
        start = self.identity["settings"].get("start", "random")
        return "" if start in STARTS else start


def ask(
    name: str | Detection,
    *,
    data: Mapping[str, Any],
    store: str | Path,
    profile: Profile = PROFILES["paper"],
    seed: int = 0,
    split: str = "image",
    width: float | None = None,
    updates: int | None = None,
    variant: str | None = None,
    changes: Mapping[str, Any] | None = None,
    of: results.Record | str | None = None,
) -> Asked:
    """Settle what a run is.

    Args:
        name: such as "A" or "E-after", or an experiment of your own (`detection.A.but(...)`).
        data: the record's name, digest and number of films.
        store: the folder for records and weights.
        profile: gives width, updates, batch and variant, as far as the arguments below do not say otherwise. Its
            updates and batch are Experiment A's; the other experiments shrink by the same factors, so that they compare
            with A as in the paper.
        seed: of the split, the cuts and the training.
        split: "image", "lesion-order" or "woman".
        width: factor on the network's filters.
        updates: about how many; see `detection` on what a shortened run is.
        variant: "stated", the paper's settings, or "trains", those that train from random weights at the run's width:
            see `detection.variant_changes`. None: "trains" in a reduced profile such as quick, "stated" in the paper's;
            an experiment of your own that has changes is "stated", that is, as it is.
        changes: what to change on top of the variant, see `Detection.but`.
        of: E only: the run of A to start from, its record or its name "A-0123456789ab"; width, batch and whatever else
            that run changed (`INHERITED`) are then taken over, unless a variant is given. If not given, the run of A
            with the same profile, variant, changes, width and updates.

    Raises:
        ValueError: an argument that cannot be.
        FileNotFoundError: the run named by `of` is not in the store; the line says which command makes it.
    """
    one = experiment(name) if isinstance(name, str) else name
    check_seed(seed)
    check_word("split", split, SPLITS)
    begun, changes, inherited = None, dict(changes or {}), {}
    if of is not None:
        stem = of.stem if isinstance(of, results.Record) else str(of).removesuffix(".json")
        if not one.from_a:
            raise ValueError(f"of: {one.name} starts from no other run, got {stem!r}; leave it out")
        begun = of if isinstance(of, results.Record) else _origin(one.name, stem, store, seed, split)
        if begun.name != A.name:
            raise ValueError(f"of: {one.name} starts from a run of A, got {stem!r}")
        width = begun.settings["width"] if width is None else width
        if variant is None:
            changed, variant = begun.settings["changed"], "stated"  # what it inherits is its variant
            inherited = {k: v for k, v in changed.items() if k in INHERITED}
            if "rates" in changed:
                inherited["rates"] = tuple(r * changed["rates"][0] / A.rates[0] for r in one.rates)
    width = profile.width if width is None else width
    if not (number(width) and 0 < width <= 1):
        raise ValueError(f"width: must lie in (0, 1], got {width!r}")
    if variant is None:
        variant = "stated" if one.changes else profile.variant

    def sized(e: Detection) -> Asked:
        """Give an experiment its variant, its changes and the profile's size, which is A's; the others shrink alike."""
        base = variant_changes(variant, e, width)
        if {**e.changes, **base, **changes}.get("optimizer") != TRAINS["optimizer"]:
            base.pop("rates", None)  # the rule is Adam's
        base |= inherited
        if "rate" in changes:
            base.pop("rates", None)
        new = e.but(**{**base, **changes})
        if profile.batch is not None and "batch" not in new.changes:
            new = new.but(batch=max(1, round(profile.batch * e.batch / A.batch)))
        length = updates
        if length is None and profile.updates is not None:
            length = max(1, round(profile.updates * new.updates / A.updates))
        return Asked(new, width, length if e.epochs else None, seed, split, data)

    asked = sized(one)
    if not one.from_a:
        return asked
    if begun is None:
        return replace(asked, begun=sized(A).record)
    own = asked.record.settings
    pairs = {key: (own[key], begun.settings[key]) for key in ALIKE}
    for key, (mine, its) in (pairs | {"seed": (seed, begun.seed), "split": (split, begun.split)}).items():
        if mine != its:
            raise ValueError(f"{one.name}, {key}: {mine!r}, but {begun.stem} was trained with {its!r}")
    return replace(asked, begun=begun)


def run_detector(
    name: str | Detection,
    films: Sequence[mias.Film],
    *,
    store: str | Path,
    execution: Execution | None = None,
    say: Callable[[str], None] | None = None,
    **options: Any,
) -> results.Record:
    """Train, test and record an experiment.

    Args:
        name, store, **options: what is to be run, see `ask`.
        films: the data set.
        execution: how to run.
        say: called with a line of progress about twenty times a run.

    Raises:
        ValueError: an argument that cannot be; a set that cannot be split.
        FileNotFoundError: A's run is not in the store; the line says which command makes it.
    """
    store = Path(store)
    asked = ask(name, store=store, **options)
    one, plan, digest = asked.experiment, asked.plan, asked.data["digest"]
    place = store / asked.record.stem

    def make() -> dict[str, Any]:
        start = None
        if origin := asked.origin:
            _origin(one.name, origin, store, asked.seed, asked.split)
            start = store / origin / "weights"
        sets = prepare(one, films, asked.split, asked.seed)
        if start and not one.epochs:
            model = training.load_weights(build(one, asked.width), start)
            metrics, outputs = evaluate_detector.evaluate(model, one, sets, digest)
            metrics |= evaluate_detector.facts(one, plan, sets) | {"parameters": model.count_params()}
            return {"metrics": metrics, "outputs": outputs}
        crops, part = sets[one.trains_on]
        network, settings, loss = begin(asked)
        done = training.train(
            network, ssd.samples(crops, part.training, one.flip), ssd.samples(crops, part.validation),
            settings=settings, loss=loss, seed=asked.seed, execution=execution, folder=place, start=start,
            about={"run": asked.record.hash}, title=f"{one.name} by {asked.split}", watch=_watched(asked, sets, say),
        )  # fmt: skip
        metrics = evaluate_detector.facts(one, plan, sets) | done.history.notes
        metrics |= evaluate_training.of_training(one, plan, done, len(part.training))
        outputs = {}
        if one.gradient_norm == "layer":
            outputs["gradient_growth"] = evaluate_training.gradient_growth(done.history.update)
            first = next(iter(done.history.update.get("loss", [])), None)
            metrics |= evaluate_training.explosion(done.history.epoch, done.outcome, plan.steps, first)
        if not done.diverged:
            training.export_weights(done.model, place / "weights")
            with atomic(place / "weights" / training.export.MODEL) as file:
                file.write(done.model.to_json().encode())
            tested, more = evaluate_detector.evaluate(done.model, one, sets, digest)
            metrics, outputs = metrics | tested, outputs | more
            some = np.random.default_rng([asked.seed, 4]).permutation(part.training)[
                : len(part.test)
            ]  # as many as test
            for side, rows in (("training", some), ("validation", part.validation)):
                matches, group, _, _ = evaluate_detector.judged(done.model, crops, rows, digest)
                metrics[f"map_{side}"] = evaluate_detector.metrics_of(matches, group)["map"]
        history = done.history.for_record(200 if one.gradient_norm == "layer" else 600)
        return {"metrics": metrics, "history": history, "outcome": done.outcome, "outputs": outputs}

    record = results.once(store, make, **asked.identity)
    (place / training.CHECKPOINT).unlink(missing_ok=True)  # the record and the weights replace it
    return record


def weights_folder(record: results.Record, store: str | Path) -> Path:
    """Return the folder of a run's exported weights, for `training.load_weights` and `mammolib detect --weights`."""
    return Path(store) / record.stem / "weights"


def load(record: results.Record, store: str | Path) -> keras.Model:
    """Return a run's trained network.

    Raises:
        FileNotFoundError: its weights are not in the store.
    """
    folder = weights_folder(record, store)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: there are no weights of {record.name}; run the experiment here first")
    return training.load_network(folder)


def build(one: Detection, width: float = 1.0) -> keras.Model:
    """Return an experiment's network, untrained; with VGG16's weights where it starts from ImageNet."""
    mean = VGG_MEAN if one.mean == "vgg" else (float(one.mean),) * 3
    model = ssd.ssd256(
        separable=one.separable, width=width, l2=one.l2, regularise_separable=one.regularise_separable, mean=mean,
        divide_by=one.divide_by,
    )  # fmt: skip
    if one.start == "imagenet":
        ssd.load_imagenet(model)
    return model


def begin(asked: Asked) -> tuple[Callable[[], keras.Model], Settings, ssd.SSDLoss]:
    """Return what a run's training is made of: what builds its network, its settings, its loss."""
    one, plan = asked.experiment, asked.plan
    settings = Settings(
        epochs=plan.epochs, batch=one.batch, steps_per_epoch=plan.steps, optimizer=one.optimizer,
        options={"momentum": one.momentum} if one.optimizer == "sgd" else {},
        schedule=Schedule(plan.rates, plan.starts, "update", one.warmup), clip=one.clip, precision=one.precision,
        flip=one.flip, gradient_norm=one.gradient_norm,
    )  # fmt: skip
    return lambda: build(one, asked.width), settings, ssd.SSDLoss(mining=one.mining)


def _watched(
    asked: Asked, sets: Mapping[str, Any], say: Callable[[str], None] | None
) -> Callable[[int, keras.Model, History], None]:
    """Return what says how a training begins and goes, and looks at the test set after some of its epochs.

    What it sees are metrics, which go into the history's notes, and so into the checkpoint of the same update.
    """
    one, stem, plan = asked.experiment, asked.record.stem, asked.plan
    begun = False

    def watch(update: int, network: keras.Model, history: History) -> None:
        nonlocal begun
        if say and not begun:
            say(f"{stem}: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in history.opening.items()))
        begun = True
        epoch, left = divmod(update, plan.steps)
        if left:
            return
        if say and (epoch % max(1, plan.epochs // 20) == 0 or epoch in (1, plan.epochs)):
            now = {name: values[-1] for name, values in history.epoch.items()}
            say(
                f"{stem}: epoch {epoch} of {plan.epochs}, loss {now['loss']:.4g}, validation {now['val_loss']:.4g} "
                f"(L2 {now['val_l2']:.3g}), {now['seconds']:.1f} s"
            )
        marks = [mark for mark in one.watch if plan.marks[mark] == epoch]
        if marks:
            crops, part = sets[one.tests_on[0]]
            matches, group, _, _ = evaluate_detector.judged(network, crops, part.test, asked.data["digest"])
            seen = evaluate_detector.metrics_of(matches, group)
            seen["classes_undetected"] = evaluate_detector.undetected(matches)
            del seen["confidence"]
            plain = json.loads(json.dumps(seen, default=float))  # as it comes back from a checkpoint
            history.notes |= {f"{name}@epoch{mark}": value for mark in marks for name, value in plain.items()}

    return watch


def _origin(name: str, stem: str, store: str | Path, seed: int, split: str) -> results.Record:
    """Return the record of the run whose weights are asked for, or say which command makes it."""
    store = Path(store)
    path, how = store / f"{stem}.json", f"mammolib experiment A --seed {seed} --split {split}"
    if not path.is_file():
        raise FileNotFoundError(
            f"{name}: starts from the weights of {stem}, which is not in {store}; first run `{how}` with the same "
            "profile, data, width, updates, variant and changes"
        )
    record = results.load(path)
    if record.outcome != "finished" or not (store / stem / "weights").is_dir():
        raise FileNotFoundError(f"{name}: {stem} left no weights in {store} ({record.outcome}); run `{how}` again")
    return record
