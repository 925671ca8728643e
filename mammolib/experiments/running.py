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
from mammolib.experiments.detection import SPLITS, STARTS, TRAINS, A, Detection, Plan, experiment, variant_changes
from mammolib.experiments.profiles import Profile, check_seed
from mammolib.experiments.profiles import profile as profile_named
from mammolib.experiments.sets import Sets
from mammolib.files import atomic
from mammolib.ssd.model import VGG_MEAN  # its room also registers the layers that a file of weights names
from mammolib.training import Execution, History, Schedule, Settings
from mammolib.training.settings import number, one_of

INHERITED = {
    "batch", "optimizer", "momentum", "clip", "warmup", "precision", "flip", "l2", "mining", "mean", "divide_by",
    "separable", "regularise_separable",
}  # fmt: skip
"""Changes of A that E takes over when it is told which run of A it continues; and its rates, in proportion."""


@dataclass(frozen=True)
class Asked:
    """A run in full: what decides its result.

    Attributes:
        experiment: with its changes.
        width, updates: its size; None updates for the experiment's own length.
        seed, split: of the run.
        data: the record's name, digest and number of films.
        begun: the run of A that E starts from, or None.
    """

    experiment: Detection
    width: float
    updates: int | None
    seed: int
    split: str
    data: Mapping[str, Any]
    begun: results.Record | None = None

    @property
    def record(self) -> results.Record:
        """The run's record without its results: it has the hash."""
        settings = self.experiment.as_data(self.width, self.updates)
        if self.begun:
            settings |= results.start_of(self.begun)
            if self.experiment.epochs:
                settings["epochs_in_all"] = self.begun.settings["epochs"] + settings["epochs"]
        return results.Record(self.experiment.name, settings, dict(self.data), self.seed, self.split)

    @property
    def stem(self) -> str:
        """``{name}-{hash}``: what its record's file and its folder are called."""
        return self.record.stem

    @property
    def origin(self) -> str:
        """The run whose weights it starts from, as "A-0123456789ab"; "" for none of the store's."""
        start = self.record.settings.get("start", "random")
        return "" if start in STARTS else start

    @property
    def plan(self) -> Plan:
        """The run's length."""
        return self.experiment.plan(self.updates)


def ask(
    name: str | Detection,
    films: Sequence[mias.Film],
    *,
    profile: str | Profile = "paper",
    data: Mapping[str, Any] | None = None,
    seed: int = 0,
    split: str = "image",
    width: float | None = None,
    updates: int | None = None,
    variant: str | None = None,
    changes: Mapping[str, Any] | None = None,
    of: results.Record | str | None = None,
    store: str | Path | None = None,
) -> Asked:
    """Settle what a run is; the arguments are those of `run`."""
    one = experiment(name) if isinstance(name, str) else name
    profile = profile_named(profile) if isinstance(profile, str) else profile
    check_seed(seed)
    if not one_of(split, SPLITS):
        raise ValueError(f"split: {split!r} is not one of {', '.join(SPLITS)}")
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
    data = dict(data or {"name": "films", "digest": mias.digest(films), "films": len(films)})

    def sized(e: Detection) -> tuple[Detection, int | None]:
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
        if length is None and profile.updates is not None and e.epochs:
            length = max(1, round(profile.updates * new.updates / A.updates))
        return new, length

    new, length = sized(one)
    asked = Asked(new, width, length if one.epochs else None, seed, split, data)
    if one.from_a:
        if begun is None:
            a, a_length = sized(A)
            return replace(asked, begun=Asked(a, width, a_length, seed, split, data).record)
        own = asked.record.settings
        for key in ("width", "mean", "divide_by", "separable"):
            if own[key] != begun.settings[key]:
                raise ValueError(
                    f"{one.name}, {key}: {own[key]!r}, but {stem} was trained with {begun.settings[key]!r}"
                )
        for key, mine in (("seed", seed), ("split", split)):
            if getattr(begun, key) != mine:
                raise ValueError(f"{one.name}, {key}: {mine!r}, but {stem} was trained with {getattr(begun, key)!r}")
        return replace(asked, begun=begun)
    return asked


def run_detector(
    name: str | Detection,
    films: Sequence[mias.Film],
    *,
    profile: str | Profile = "paper",
    data: Mapping[str, Any] | None = None,
    seed: int = 0,
    split: str = "image",
    width: float | None = None,
    updates: int | None = None,
    variant: str | None = None,
    changes: Mapping[str, Any] | None = None,
    of: results.Record | str | None = None,
    store: str | Path | None = None,
    execution: Execution | None = None,
    say: Callable[[str], None] | None = None,
) -> results.Record:
    """Train, test and record an experiment.

    Args:
        name: such as "A" or "E-after", or an experiment of your own (`detection.A.but(...)`).
        films: a data set.
        profile: gives width, updates, batch and variant, as far as the arguments below do not say otherwise. Its
            updates and batch are Experiment A's; the other experiments shrink by the same factors, so that they compare
            with A as in the paper.
        data: the record's name, digest and number of films; counted and digested here if not given.
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
        store: the folder for records and weights; the project's run store if not given.
        execution: how to run.
        say: called with a line of progress about twenty times a run.

    Returns:
        The record.

    Raises:
        ValueError: an argument that cannot be; a set that cannot be split.
        FileNotFoundError: A's run is not in the store; the line says which command makes it.
    """
    store = results.run_store() if store is None else Path(store)
    asked = ask(
        name, films, profile=profile, data=data, seed=seed, split=split, width=width, updates=updates,
        variant=variant, changes=changes, of=of, store=store,
    )  # fmt: skip

    def make() -> results.Record:
        if not asked.experiment.epochs:
            return _evaluate_only(asked, films, store)
        return _train(asked, films, store, execution or Execution(), say)

    empty = asked.record
    done = results.once(
        store, make, name=empty.name, settings=empty.settings, data=empty.data, seed=empty.seed, split=empty.split
    )
    (store / asked.stem / training.CHECKPOINT).unlink(missing_ok=True)  # the record and the weights replace it
    return done


def weights_folder(record: results.Record, store: str | Path | None = None) -> Path:
    """Return the folder of a run's exported weights, for `load` and `mammolib detect --weights`."""
    return (results.run_store() if store is None else Path(store)) / record.stem / "weights"


def load(record: results.Record, store: str | Path | None = None) -> keras.Model:
    """Return a run's trained network.

    Raises:
        FileNotFoundError: its weights are not in the store.
    """
    folder = weights_folder(record, store)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: there are no weights of {record.name}; run the experiment here first")
    return training.load_network(folder)


# a run


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


def settings_of(one: Detection, plan: Plan) -> Settings:
    """Return what the training is told."""
    return Settings(
        epochs=plan.epochs, batch=one.batch, steps_per_epoch=plan.steps, optimizer=one.optimizer,
        options={"momentum": one.momentum} if one.optimizer == "sgd" else {},
        schedule=Schedule(plan.rates, plan.starts, "update", one.warmup), clip=one.clip, precision=one.precision,
        flip=one.flip, gradient_norm=one.gradient_norm,
    )  # fmt: skip


def begin(asked: Asked) -> tuple[Callable[[], keras.Model], Settings, ssd.SSDLoss]:
    """Return what a run's training is made of: what builds its network, its settings, its loss."""
    one = asked.experiment
    return lambda: build(one, asked.width), settings_of(one, asked.plan), ssd.SSDLoss(mining=one.mining)


def _evaluate_only(asked: Asked, films: Sequence[mias.Film], store: Path) -> results.Record:
    _origin(asked.experiment.name, asked.origin, store, asked.seed, asked.split)
    model = build(asked.experiment, asked.width)
    training.load_weights(model, store / asked.origin / "weights")
    sets = Sets.of(asked.experiment, films, asked.split, asked.seed, asked.data["digest"])
    metrics, outputs = evaluate_detector.evaluate(model, sets)
    metrics = evaluate_detector.facts(sets, asked.plan) | {"parameters": model.count_params()} | metrics
    return replace(asked.record, metrics=metrics, outputs=outputs, machine=results.machine())


def _train(
    asked: Asked, films: Sequence[mias.Film], store: Path, execution: Execution, say: Callable[[str], None] | None
) -> results.Record:
    one, plan, place = asked.experiment, asked.plan, store / asked.stem
    start = None
    if asked.origin:
        _origin(one.name, asked.origin, store, asked.seed, asked.split)
        start = store / asked.origin / "weights"
    sets = Sets.of(asked.experiment, films, asked.split, asked.seed, asked.data["digest"])
    crops, part = sets.all[one.trains_on]
    done = training.train(
        lambda: build(one, asked.width), ssd.samples(crops, part.training, one.flip),
        ssd.samples(crops, part.validation), settings=settings_of(one, plan), loss=ssd.SSDLoss(mining=one.mining),
        seed=asked.seed, execution=execution, folder=place, start=start, about={"run": asked.record.hash},
        title=f"{one.name} by {asked.split}", watch=_Watched(asked, sets, say),
    )  # fmt: skip
    metrics = (
        evaluate_detector.facts(sets, plan)
        | evaluate_training.of_training(one, plan, done, len(part.training))
        | done.history.notes
    )
    outputs: dict[str, Any] = {}
    if one.gradient_norm == "layer":
        outputs["gradient_growth"] = evaluate_training.gradient_growth(done.history.update)
        first = next(iter(done.history.update.get("loss", [])), None)
        metrics |= evaluate_training.explosion(done.history.epoch, done.outcome, plan.steps, first)
    if not done.diverged:
        training.export_weights(done.model, place / "weights")
        with atomic(place / "weights" / training.export.MODEL) as file:
            file.write(done.model.to_json().encode())
        tested, more = evaluate_detector.evaluate(done.model, sets)
        metrics, outputs = metrics | tested, outputs | more
        some = np.random.default_rng([asked.seed, 4]).permutation(part.training)[: len(part.test)]  # as many as test
        for name, rows in (("training", some), ("validation", part.validation)):
            taken, group = evaluate_detector.anonymous(crops, rows, asked.data["digest"])
            said = evaluate_detector.metrics_of(
                evaluate_detector.judge(evaluate_detector.answers(done.model, taken), taken.truths), group
            )
            metrics[f"map_{name}"] = said["map"]
    return replace(
        asked.record,
        metrics=metrics,
        history=done.history.for_record(200 if one.gradient_norm == "layer" else 600),
        outcome=done.outcome,
        outputs=outputs,
        machine=results.machine(),
    )


class _Watched:
    """Says how a training begins and goes, and looks at the test set after some of its epochs.

    What it sees are metrics, which go into the history's notes, and so into the checkpoint of the same update.
    """

    def __init__(self, asked: Asked, sets: Sets, say: Callable[[str], None] | None) -> None:
        self.asked, self.sets, self.say, self.plan = asked, sets, say, asked.plan
        self.begun = False

    def __call__(self, update: int, network: keras.Model, history: History) -> None:
        if self.say and not self.begun:
            parts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in history.opening.items())
            self.say(f"{self.asked.stem}: {parts}")
        self.begun = True
        if update % self.plan.steps:
            return
        epoch = update // self.plan.steps
        if self.say and (epoch % max(1, self.plan.epochs // 20) == 0 or epoch in (1, self.plan.epochs)):
            column = {k: v[-1] for k, v in history.epoch.items()}
            self.say(
                f"{self.asked.stem}: epoch {epoch} of {self.plan.epochs}, loss {column['loss']:.4g}, "
                f"validation {column['val_loss']:.4g} (L2 {column['val_l2']:.3g}), {column['seconds']:.1f} s"
            )
        marks = [mark for mark in self.asked.experiment.watch if self.plan.marks[mark] == epoch]
        if marks:
            crops, part = self.sets.all[self.asked.experiment.tests_on[0]]
            taken, group = evaluate_detector.anonymous(crops, part.test, self.asked.data["digest"])
            matches = evaluate_detector.judge(evaluate_detector.answers(network, taken), taken.truths)
            seen = evaluate_detector.metrics_of(matches, group) | {
                "classes_undetected": evaluate_detector.undetected(matches)
            }
            del seen["confidence"]
            plain = json.loads(json.dumps(seen, default=float))  # as it comes back from a checkpoint
            for mark in marks:
                history.notes |= {f"{name}@epoch{mark}": value for name, value in plain.items()}


def _origin(name: str, stem: str, store: str | Path | None, seed: int, split: str) -> results.Record:
    """Return the record of the run whose weights are asked for, or say which command makes it."""
    store = results.run_store() if store is None else Path(store)
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
