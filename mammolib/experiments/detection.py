"""The paper's Experiments A to E (section 4.2) as data; `running.run_detector` turns one of them into a record.

What the paper states is here as it states it; what it leaves open is named in `open`, and the value is our choice. A
departure from either is a change (`Detection.but`), and the record says which.

Sizes. A run may be narrower (`width`) or shorter (`updates`) than the paper's. A shortened run keeps its shape: it has
the paper's number of epochs, each with fewer updates, as long as an epoch has at least `LEAST_STEPS`; below that it has
fewer epochs. The learning rates change after the same share of the run, and a point such as "epoch 30 of 110" is looked
up at the same share. The record states the epochs and steps that were run, and the paper's under "shortened_from".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from mammolib.experiments.definition import Definition, check_word
from mammolib.training.settings import NORMS, OPTIMIZERS, PRECISIONS, TRUTH, Rule, count, number, setting, whole, word

SPLITS = ("image", "lesion-order", "woman")
SETS = ("centred", "uniform")
STARTS = ("random", "imagenet")
LEAST_STEPS = 10


@dataclass(frozen=True)
class Plan:
    """How long a run is and when its learning rate changes.

    Attributes:
        epochs, steps: epochs, and updates in each.
        rates, starts: the learning rates, and the update at which each begins, the first 0.
        marks: epoch of the paper -> epoch of this run at the same share of it.
    """

    epochs: int
    steps: int
    rates: tuple[float, ...]
    starts: tuple[int, ...]
    marks: Mapping[int, int]

    @property
    def updates(self) -> int:
        """Updates in all."""
        return self.epochs * self.steps


def _positive(value: Any) -> bool:
    return number(value) and value > 0


def _rising(values: Any) -> bool:
    whole_numbers = isinstance(values, tuple) and all(whole(v, 0) for v in values)
    return whole_numbers and all(a < b for a, b in zip(values, values[1:], strict=False))


def _end(values: Any, of: Detection) -> bool:
    return _rising(values) and len(values) == len(of.rates) and (not of.epochs or values[-1] == of.epochs)


RATES: Rule = (
    lambda v, _: isinstance(v, tuple) and bool(v) and all(number(r) and r >= 0 for r in v),
    "a list of numbers such as [0.001, 0.0001]; `rate` changes the first and takes the others along",
)
RATE_EPOCHS: Rule = (_end, "a rising list of whole numbers, the last epoch of each rate; the last is that of the run")
START: Rule = (lambda v, _: isinstance(v, str) and v != "", f"one of {', '.join(STARTS)}, or a run as A-0123456789ab")


@dataclass(frozen=True)
class Detection(Definition):
    """One of the paper's trainings of SSD256, or an evaluation of one.

    Attributes:
        epochs, steps, batch: how long; `epochs` 0 for an evaluation without training.
        rates, rate_epochs: the learning rates, and the last epoch of each.
        separable: with separable convolutions.
        regularise_separable: give them the weight decay and the He-normal start that the others have; Keras 2.2.4
            ignored both without a word, and so do Experiments D.
        trains_on: "centred" (a crop around each lesion, in eight views) or "uniform" (cuts on a grid that hold it).
        tests_on: the sets it is tested on; with two, names of metrics end in "_centred" and "_uniform".
        start: "random" weights, "imagenet" (VGG16's, at width 1), or a run of the store such as "A-0123456789ab".
        from_a: continue from Experiment A's weights, whatever `start` says.
        optimizer, momentum, precision: see `training.Settings`; momentum is SGD's.
        clip, warmup: the largest norm of the gradient, or None; updates over which the rate rises.
        flip: mirror each training image left to right with probability one half, as the implementation of the time.
        l2: weight decay, added to the loss.
        mining: where hard negatives are looked for: in the "batch", as the implementation of the time, or each "image".
        mean, divide_by: the input is (grey - mean) / divide_by; "vgg" is the mean that VGG's weights expect.
        gradient_norm: what is recorded of the gradient: "off", "total" or "layer".
        watch: epochs after which the test set is looked at, for the claims about them.
        name, open, changes: see `Definition`, as for the errors.
    """

    short = ("rate",)

    epochs: int = setting(count(0))
    steps: int = setting((lambda v, of: whole(v, 1 if of.epochs else 0), "a whole number of at least 1"))
    batch: int = setting(count(1))
    rates: tuple[float, ...] = setting(RATES, (1e-3, 1e-4, 1e-5))
    rate_epochs: tuple[int, ...] = setting(RATE_EPOCHS, (90, 100, 110))
    separable: bool = setting(TRUTH, False)
    regularise_separable: bool = setting(TRUTH, True)
    trains_on: str = setting(word(SETS), "centred", fixed=True)
    tests_on: tuple[str, ...] = ("centred",)
    start: str = setting(START, "random")
    from_a: bool = False
    optimizer: str = setting(word(OPTIMIZERS), "sgd")
    momentum: float = setting((lambda v, _: number(v) and 0 <= v < 1, "a number in [0, 1)"), 0.9)
    clip: float | None = setting((lambda v, _: v is None or _positive(v), "a positive number, or null"), None)
    warmup: int = setting(count(0), 0)
    precision: str = setting(word(PRECISIONS), "float32")
    flip: bool = setting(TRUTH, True)
    l2: float = setting((lambda v, _: number(v) and v >= 0, "a number that is not negative"), 5e-4)
    mining: str = setting(word(("batch", "image")), "batch")
    mean: str | float = setting((lambda v, _: v == "vgg" or number(v), "vgg or a number"), "vgg")
    divide_by: float = setting((lambda v, _: _positive(v), "a positive number"), 1.0)
    gradient_norm: str = setting(word(NORMS), "off")
    watch: tuple[int, ...] = setting(
        (lambda v, _: isinstance(v, tuple) and all(whole(e, 1) for e in v), "a list of epochs"), ()
    )

    @property
    def updates(self) -> int:
        """Updates of the experiment at its full length."""
        return self.epochs * self.steps

    def settle(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Return changes as fields and their values: a rate as rates, and with epochs the last epoch of each rate."""
        new: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in changes.items()}
        if "rate" in new:
            rate = new.pop("rate")
            if not _positive(rate):
                raise self.misfit("rate", rate, "it must be a positive number")
            if "rates" in new:
                raise self.misfit("rate", rate, "it takes all rates along; give rate or rates, not both")
            new["rates"] = tuple(r * rate / self.rates[0] for r in self.rates)
        if isinstance(new.get("rates"), tuple) and len(new["rates"]) == 1:
            new.setdefault("rate_epochs", (new.get("epochs", self.epochs),))
        if "epochs" in new and self.epochs:
            epochs = new["epochs"]
            if not whole(epochs, 1):
                raise self.misfit("epochs", epochs, "it must be a whole number of at least 1")
            if "rate_epochs" not in new:
                new["rate_epochs"] = tuple(round(e * epochs / self.epochs) for e in self.rate_epochs)
                if not _rising(new["rate_epochs"]):
                    words = f"it is too few for {len(self.rates)} rates; give more, or rates with rate_epochs"
                    raise self.misfit("epochs", epochs, words)
        replace(self, **new)  # checks the values as they were given; below, 1 is 1.0 where the experiment has 1.0
        known = (self.paper, self)
        return {k: next((getattr(e, k) for e in known if getattr(e, k) == v), v) for k, v in new.items()}

    def plan(self, updates: int | None = None) -> Plan:
        """Return the length of a run of about so many updates, in whole epochs; see the head of this module."""
        if updates is None or updates == self.updates:
            epochs, steps = self.epochs, self.steps
        elif not whole(updates, 1):
            raise ValueError(f"updates: must be a whole number of at least 1, got {updates!r}")
        else:
            epochs = min(self.epochs, max(1, updates // LEAST_STEPS))
            steps = max(1, round(updates / max(epochs, 1)))
        total, starts = epochs * steps, {}
        for rate, after in zip(self.rates, (0, *self.rate_epochs[:-1]), strict=True):
            starts[round(total * after / max(self.epochs, 1))] = rate  # of two that begin together the later counts
        starts = {start: rate for start, rate in starts.items() if start < max(total, 1)}
        ends = {e: max(1, round(epochs * e / self.epochs)) for e in (*self.watch, self.epochs) if e}
        return Plan(epochs, steps, tuple(starts.values()), tuple(starts), MappingProxyType(ends))

    def as_data(self, width: float = 1.0, updates: int | None = None) -> dict[str, Any]:
        """Return a record's settings: plain data that decide the result, under the names the paper's claims use."""
        plan, paper = self.plan(updates), self.paper
        data: dict[str, Any] = {"network": "ssd256", "classes": 2, "width": width, "tests_on": list(self.tests_on)}
        if self.epochs:
            images = plan.updates * self.batch
            ends = [round(end / plan.steps, 2) for end in (*plan.starts[1:], plan.updates)]
            same = ("trains_on", "batch", "clip", "warmup", "precision", "flip", "l2", "mining", "start")
            data |= {name: getattr(self, name) for name in same}
            data |= {
                "steps": plan.steps, "epochs": plan.epochs, "updates": plan.updates, "rates": list(plan.rates),
                "rate_epochs": [int(e) if e == int(e) else e for e in ends], "optimizer": OPTIMIZERS[self.optimizer],
                "reduced": width < 1 or plan.updates < paper.updates or images < paper.updates * paper.batch,
            }  # fmt: skip
            if self.optimizer == "sgd":
                data["momentum"] = self.momentum
            if (plan.epochs, plan.steps) != (self.epochs, self.steps):
                data["shortened_from"] = {"epochs": self.epochs, "steps": self.steps}
            if self.gradient_norm != "off":
                data["gradient_norm"] = self.gradient_norm
        else:
            data["reduced"] = width < 1
        data |= {"mean": self.mean, "divide_by": self.divide_by, "separable": self.separable}
        if self.separable:
            data["regularise_separable"] = self.regularise_separable
        return data | {"open": list(self.open), "changed": dict(self.changes)}


SILENT = ("split", "optimizer", "momentum", "l2", "start", "mean", "divide_by", "flip", "mining", "crops left out")
"""What the paper does not state of any of its trainings of SSD256."""

A = Detection("A", epochs=110, steps=60, batch=100, watch=(30, 50), open=SILENT)
"""110 epochs of 60 updates with 100 images; learning rate 1e-3 to epoch 90, 1e-4 to 100, 1e-5 to 110."""

B = Detection(
    "B", epochs=110, steps=60, batch=100, rates=(2e-3, 2e-4, 2e-5), gradient_norm="layer", open=(*SILENT, "epochs")
)
"""A with the rates doubled. Its length is not stated; epoch 130, where the paper's run exploded, lies past A's 110."""


def _larger(name: str, epochs: int, steps: int, batch: int, **options: Any) -> Detection:
    """Make one of C and D: once over the images an epoch. Their rates are not stated: A's first, throughout."""
    return Detection(name, epochs, steps, batch, (1e-3,), (epochs,), open=(*SILENT, "rates"), **options)


C_300 = _larger("C-300x2", 300, 2, 300)
C_200 = _larger("C-200x3", 300, 3, 200)
D_100, D_200, D_300 = (
    _larger(f"D-{batch}x{steps}", 150, steps, batch, separable=True, regularise_separable=False)
    for batch, steps in ((100, 6), (200, 3), (300, 2))
)

_CUTS = ("rule of the uniform cuts", "their lesions")
E_BEFORE = Detection(
    "E-before", 0, 0, 100, (1e-3,), (0,), tests_on=SETS, from_a=True, open=(*SILENT, *_CUTS), trains_on="uniform"
)
"""A's network on both test sets."""

E_AFTER = Detection(
    "E-after", 20, 35, 100, (1e-3,), (20,), tests_on=SETS, from_a=True, trains_on="uniform",
    open=(*SILENT, *_CUTS, "rates"),
)  # fmt: skip
"""A's network after 20 epochs of 35 updates on uniform cuts. Its rate is not stated: A's first, throughout."""

EXPERIMENTS = {e.name: e for e in (A, B, C_300, C_200, D_100, D_200, D_300, E_BEFORE, E_AFTER)}
Detection.stated = EXPERIMENTS

TRAINS = MappingProxyType({"optimizer": "adam", "divide_by": 64.0})
"""The closest setting found that trains from random weights: Adam instead of SGD, and an input about one wide."""

TRAINS_WIDTH = 1 / 8
"""The width at which the experiments' own rates train with Adam."""

VARIANTS = ("stated", "trains")


def variant_changes(variant: str, one: Detection, width: float) -> dict[str, Any]:
    """Return what a variant changes in an experiment at a width; what the experiment itself has changed stays.

    "stated": nothing, the paper's settings. "trains": `TRAINS`, and the rate goes with the width. Adam's steps have the
    size of the rate whatever the gradients' size, and a layer twice as wide adds up twice as many of them, so that
    rate x width has to stay the same for the outputs to move alike (Yang et al. 2022, "Tensor Programs V: tuning large
    neural networks via zero-shot hyperparameter transfer"). The experiments' rates train at `TRAINS_WIDTH`; at another
    width they are multiplied by TRAINS_WIDTH / width. At width 1 the unscaled rate kills the network: it answers all
    images alike.
    """
    check_word("variant", variant, VARIANTS)
    if variant == "stated":
        return {}
    scaled = {"rates": tuple(r * (TRAINS_WIDTH / width) for r in one.rates)}
    return {k: v for k, v in {**TRAINS, **scaled}.items() if k not in one.changes}


def experiment(name: str) -> Detection:
    """Return an experiment by its name, or raise a ValueError that lists the names."""
    check_word("experiment", name, EXPERIMENTS)
    return EXPERIMENTS[name]
