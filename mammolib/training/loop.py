"""The one way to train a model in this project: seeded, resumable, and honest about a loss that explodes."""

from __future__ import annotations

import contextlib
import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, time
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from mammolib.training import checkpoint as saved
from mammolib.training.beginning import begin_from, surroundings
from mammolib.training.checks import (
    LOOK,
    OutOfMemory,
    check_images,
    check_targets,
    out_of_memory,
    too_large,
    warn_of_a_constant_answer,
)
from mammolib.training.feed import Fed, Loss, Samples, epoch_plan, even_batch, quiet
from mammolib.training.gradients import record_gradient_norms
from mammolib.training.history import History
from mammolib.training.progress import Watch, progress_bar
from mammolib.training.settings import Execution, OutOfTime, Settings, cores

CHECKPOINT = "checkpoint.npz"
FINISHED = "finished"
Watcher = Callable[[int, keras.Model, History], "bool | None"]


@dataclass
class Run:
    """A training that ended.

    Attributes:
        model: the network: trained; after a divergence with the weights of the last finite checkpoint (where a folder
            kept one).
        history: what it saw.
        outcome: "finished", "diverged at update N" or, where `watch` ended it, "stopped at update N", counted from 1.
        updates: updates done.
        seconds: training and validation together, resumed parts included.
        images_per_second: training alone, without the first stretch, in which Keras compiles, where there is more.
    """

    model: keras.Model
    history: History
    outcome: str
    updates: int
    seconds: float
    images_per_second: float

    @property
    def diverged(self) -> bool:
        """Whether a loss, a weight or the optimizer's state stopped being a number."""
        return self.outcome.startswith("diverged")


def train(
    build: Callable[[], keras.Model],
    training: Samples,
    validation: Samples | None = None,
    *,
    settings: Settings,
    loss: str | Loss,
    measures: Mapping[str, Loss] | None = None,
    seed: int = 0,
    execution: Execution | None = None,
    folder: str | Path | None = None,
    start: str | Path | Sequence[NDArray] | None = None,
    about: Mapping[str, Any] | None = None,
    title: str = "training",
    watch: Watcher | None = None,
) -> Run:
    """Train a network, or continue a training that was stopped.

    A run diverges, and ends, at the first update whose loss is not finite, at the end of an epoch whose validation loss
    is not finite (such weights cannot be judged), and where a checkpoint is due and a weight or a number of the
    optimizer's state is not finite: Adam's moments may overflow while the weights stay finite, and the weights they
    belong to would then never move again.

    Args:
        build: makes the network; called once under the seed and the precision. It takes (B, H, W, channels) grey
            levels from 0 to 255: scaling is the network's own business.
        training: what it learns from.
        validation: what it is judged on after each epoch; or None.
        settings: what decides the weights.
        loss: a loss of Keras by name, an `ssd.SSDLoss`, whose parts are recorded one by one, or a function, see
            `feed.Loss`. Regularisers of the model are added as "l2". If it can check targets, it does so once, before
            the first update.
        measures: further quantities to record, such as {"accuracy": keras.metrics.categorical_accuracy}.
        seed: of initial weights, order, mirroring and dropout; not negative.
        execution: how to run.
        folder: where the checkpoint lies; a training found there is continued. None: nothing is kept. A training that
            fails before its first update is done leaves nothing there.
        start: weights to begin with: a folder written by `export_weights`, or arrays in the model's order.
        about: plain data that a checkpoint must share to be continued, such as the model's name.
        title: what the progress bar says.
        watch: called after each stretch, an epoch or the updates between checkpoints where these are counted in
            updates, with (updates done, network, history), before the checkpoint of that update is written: what it
            writes into `history.notes` is in the checkpoint, or else the run, once killed, comes by here again. If it
            returns True the run ends there, its checkpoint written; a later call with the same folder goes on from it.

    Returns:
        The run. The same seed gives the same weights on a CPU, with the same machine, backend, versions and number of
        cores: sums are split over threads, so another number rounds otherwise. On a GPU the order of sums is not fixed,
        and weights agree only roughly. A training may continue on another number of cores; a warning says so.

    Raises:
        ValueError: data that do not suit the network or the loss; a checkpoint that is damaged, or of another model,
            setting or data set (it is left as it is).
        OutOfMemory: names the batch size and suggests half, or says that not even one image fits.
        OutOfTime: the deadline is near, and a folder holds the checkpoint. At least one update more is done by then.
    """
    execution = execution or Execution()
    loss = getattr(loss, "named", loss)
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed: must {'not be negative' if seed < 0 else f'be below {2**32}'}, got {seed}")
    trainer, began = None, perf_counter()
    try:
        with surroundings(seed, settings.precision):
            network = build()
        built = perf_counter()
        check_images(network, training, "training")
        if validation is not None:
            check_images(network, validation, "validation")
        check_targets(network, loss, {"training": training, "validation": validation})
        start_digest = begin_from(network, start)
        trainer = _Trainer(network, training, validation, settings, loss, dict(measures or {}), seed, execution)
        trainer.identity |= {"about": dict(about or {}), "start": start_digest}
        trainer.open(Path(folder) / CHECKPOINT if folder is not None else None)
        trainer.history.opening = {"network": built - began, "data": perf_counter() - built}
        with quiet():
            return trainer.go(title, watch)
    except Exception as err:
        if trainer is not None:
            trainer.leave_nothing_of_a_false_start()
        if out_of_memory(err):
            raise OutOfMemory(too_large(settings.batch, training.images.shape[1:])) from err
        raise


class _Trainer:
    """The state of one call of `train`."""

    def __init__(
        self,
        network: keras.Model,
        training: Samples,
        validation: Samples | None,
        settings: Settings,
        loss: str | Loss,
        measures: dict[str, Loss],
        seed: int,
        execution: Execution,
    ) -> None:
        self.network, self.settings, self.execution, self.seed = network, settings, execution, seed
        self.training, self.validation = training, validation
        self.steps = settings.steps_per_epoch or -(-len(training) // settings.batch)
        self.total = settings.epochs * self.steps
        self.optimizer = settings.make_optimizer(self.steps)
        self.optimizer.build(network.trainable_variables)
        self.norms = None
        if settings.gradient_norm != "off":
            by_layer = settings.gradient_norm == "layer"
            self.norms = record_gradient_norms(self.optimizer, network.trainable_variables, self.steps, by_layer)
        self.validation_batch = even_batch(len(validation), settings.batch) if validation is not None else 0
        sets = [training] + ([validation] if validation is not None else [])
        rows = max(self.steps, -(-len(validation) // self.validation_batch) if validation is not None else 1)
        loss_function = keras.losses.get(loss) if isinstance(loss, str) else loss
        self.fed = Fed(network, loss_function, measures, rows, sets, settings.flip)
        self.fed.compile(optimizer=self.optimizer, jit_compile=execution.use_jit())
        kept = {k: v for k, v in settings.as_data().items() if k != "epochs"}
        self.identity: dict[str, Any] = {
            "variables": saved.variables_of(network),
            "settings": kept,
            "seed": seed,
            "data": hashlib.sha256("".join(s.digest() for s in sets).encode()).hexdigest(),
            "backend": keras.backend.backend(),
        }
        self.history, self.update = History(), 0
        self.path: Path | None = None
        self.clock = dict.fromkeys(saved.CLOCK, 0.0)
        self.last: saved.Checkpoint | None = None
        self.made: list[Path] = []
        self.saving = self.closing = 0.0  # seconds of a checkpoint, and of what follows a stretch: validation, `watch`
        self.pace: float | None = None  # seconds an update

    def open(self, path: Path | None) -> None:
        """Continue from the checkpoint at `path`, or write the first one there."""
        self.path = path
        if path is None:
            return
        if not path.exists():
            self.made = [path] if path.parent.exists() else [path, path.parent]
            state = self.state()
            if state is not None:
                self.save(state)
            return
        stored = saved.load(path)
        saved.compare(path, stored.identity, self.identity)
        if stored.update > self.total:
            raise ValueError(f"{path}: the checkpoint is at update {stored.update}, this run ends at {self.total}")
        if stored.cores != cores():
            words = f"{stored.cores} cores, this process has {cores()}: rounding, and so the weights, may differ"
            warnings.warn(f"{path}: the checkpoint was written with {words}", stacklevel=3)
        saved.assign(self.network.variables, stored.model)
        saved.assign(self.optimizer.variables, stored.optimizer)
        self.update = stored.update
        self.history = History(stored.history["update"], stored.history["epoch"], dict(stored.notes))
        self.clock, self.last = dict(stored.clock), stored

    def recorded(self) -> list[int]:
        """Return the places among the optimizer's variables of what is only recorded there: gradient norms."""
        return [i for i, v in enumerate(self.optimizer.variables) if self.norms is not None and v is self.norms[1]]

    def state(self) -> saved.Checkpoint | None:
        """Return the state of the training, or None where a number of it is not finite."""
        model, optimizer = saved.to_numpy(self.network.variables), saved.to_numpy(self.optimizer.variables)
        history = {"update": dict(self.history.update), "epoch": dict(self.history.epoch)}
        facts = (self.history.notes, dict(self.clock), cores())
        state = saved.Checkpoint(self.update, self.identity, model, optimizer, history, *facts)
        return state if state.finite(apart=self.recorded()) else None

    def save(self, state: saved.Checkpoint) -> None:
        """Write a checkpoint, where a folder keeps one."""
        if self.path is not None:
            began = perf_counter()
            saved.save(state, self.path)
            self.last, self.saving = state, perf_counter() - began

    def leave_nothing_of_a_false_start(self) -> None:
        """Delete the first checkpoint, and the folder made for it, of a training that never did an update."""
        if self.update == 0 and self.made:
            with contextlib.suppress(OSError):  # the folder may hold what others put there
                self.made[0].unlink(missing_ok=True)
                self.made[-1].rmdir()

    def go(self, title: str, watch: Watcher | None) -> Run:
        """Train to the end."""
        settings, first = self.settings, True
        with progress_bar(self.execution.progress, title, self.total, self.update, settings.batch) as bar:
            while self.update < self.total:
                epoch, within = divmod(self.update, self.steps)
                room = self.room()
                if not (room or first):
                    self.stop_here()
                end = min(self.stretch_end(epoch), self.update + (1 if first and room < self.total else max(1, room)))
                plan = epoch_plan(
                    len(self.training),
                    self.seed,
                    epoch,
                    self.steps * settings.batch if settings.steps_per_epoch else None,
                    settings.flip,
                )[within * settings.batch : (end - epoch * self.steps) * settings.batch]
                began = perf_counter()
                observer = Watch(bar, self.fed, self.update)
                self.fed.show(plan, settings.batch, observer)
                table = self.fed.read()
                seconds, made = perf_counter() - began, end - self.update
                self.count(seconds, len(plan), first)
                self.pace = None if first else seconds / made
                if first:
                    self.history.opening["first update"] = (observer.first or perf_counter()) - began
                first = False
                bad = self.take(table)
                if bad is not None:
                    return self.diverged(bad)
                began = perf_counter()
                if self.update == min((epoch + 1) * self.steps, self.total) and not self.end_epoch(epoch):
                    return self.diverged(self.update)
                due = self.due()
                state = self.state() if due else None
                if due and state is None:
                    return self.diverged(self.update)
                stop = watch is not None and bool(watch(self.update, self.network, self.history))
                stop = stop and self.update < self.total
                if stop and not due:
                    state = self.state()
                    if state is None:
                        return self.diverged(self.update)
                if state is not None:  # after `watch`: a kill while it looks must not lose what it sees
                    self.save(state)
                if stop:
                    return self.run(f"stopped at update {self.update}")
                self.closing = max(self.closing, perf_counter() - began)
        return self.run(FINISHED)

    def room(self) -> int:
        """Return how many updates to make before the clock is looked at again: 0 where the deadline is too near.

        They take at most half of what is left when a checkpoint and an epoch's end are paid for. The first update
        compiles, and so says nothing of the pace.
        """
        if self.execution.deadline is None or self.path is None:
            return self.total
        left = self.execution.deadline - time() - 2 * self.saving - self.closing
        return int(left > 0) if self.pace is None else max(0, int(left / 2 / self.pace), int(left > self.pace))

    def stop_here(self) -> None:
        """Write a checkpoint and raise `OutOfTime`; a state that is not finite goes on, to where it always ends."""
        state = self.state()
        if state is not None:
            self.save(state)
            raise OutOfTime(self.update, self.total)

    def stretch_end(self, epoch: int) -> int:
        """Return the update at which the next stretch ends: an epoch's end, a checkpoint, or the run's end."""
        end = min((epoch + 1) * self.steps, self.total)
        if self.path is not None and self.execution.checkpoint_unit == "update":
            every = self.execution.checkpoint_every
            end = min(end, (self.update // every + 1) * every)
        return end

    def due(self) -> bool:
        """Return whether a checkpoint is due now; at the end of the run it always is."""
        every = self.execution.checkpoint_every * (self.steps if self.execution.checkpoint_unit == "epoch" else 1)
        return self.update == self.total or (self.path is not None and self.update % every == 0)

    def count(self, seconds: float, images: int, first: bool) -> None:
        """Add a stretch to the clock."""
        self.clock["seconds"] += seconds
        self.clock["epoch_seconds"] += seconds
        if not first:
            self.clock["images"] += images
            self.clock["steady_seconds"] += seconds
        elif not self.clock["images"]:
            self.clock["first_images"], self.clock["first_seconds"] = images, seconds

    def take(self, table: dict[str, NDArray]) -> int | None:
        """Take a stretch's rows into the history; return the update (from 1) whose loss is no number, or None."""
        bad = np.flatnonzero(~np.isfinite(table["loss"]))
        n = int(bad[0]) + 1 if len(bad) else len(table["loss"])
        updates = np.arange(self.update, self.update + n)
        columns = {name: values[:n] for name, values in table.items()}
        columns["learning_rate"] = self.settings.schedule.rates(updates, self.steps)
        if self.norms is not None:
            names, variable = self.norms
            norms = ops.convert_to_numpy(variable).astype(float)[updates % self.steps]
            columns["gradient_norm"] = np.sqrt((norms**2).sum(axis=1))
            if self.settings.gradient_norm == "layer":
                columns |= {f"gradient_norm/{name}": norms[:, i] for i, name in enumerate(names)}
        self.history.add_updates(columns)
        self.update += n
        return self.update if len(bad) else None

    def end_epoch(self, epoch: int) -> bool:
        """Close an epoch: its means over images, and the validation; return whether the validation loss is finite."""
        first = epoch * self.steps
        sizes = np.full(self.update - first, self.settings.batch)
        if self.settings.steps_per_epoch is None and len(sizes) == self.steps:
            sizes[-1] = len(self.training) - (self.steps - 1) * self.settings.batch
        row: dict[str, float] = {"epoch": epoch + 1, "update": self.update, "seconds": self.clock["epoch_seconds"]}
        row |= {name: float(np.average(v[first:], weights=sizes)) for name, v in self.history.update.items()}
        self.clock["epoch_seconds"] = 0.0
        if self.validation is not None:
            began = perf_counter()
            n, batch, after = len(self.validation), self.validation_batch, len(self.training)
            plan = np.stack([np.arange(after, after + n), np.zeros(n, int)], axis=1).astype(np.int32)
            self.fed.show(plan, batch)
            sizes = np.minimum(batch, n - batch * np.arange(-(-n // batch)))
            row |= {f"val_{name}": float(np.average(v, weights=sizes)) for name, v in self.fed.read().items()}
            self.clock["seconds"] += perf_counter() - began
        if first < LOOK <= self.update:
            warn_of_a_constant_answer(self.network, (self.validation or self.training).images[:16], self.update)
        self.history.add_epoch(row)
        return bool(np.isfinite(row.get("val_loss", 0.0)))

    def diverged(self, update: int) -> Run:
        """End a run in which something is no number; the weights go back to the last finite checkpoint."""
        if self.last is not None:
            saved.assign(self.network.variables, self.last.model)
        return self.run(f"diverged at update {update}")

    def run(self, outcome: str) -> Run:
        """Return what the caller gets."""
        clock = self.clock
        images, seconds = clock["images"], clock["steady_seconds"]
        if not images:
            images, seconds = clock.get("first_images", 0), clock.get("first_seconds", 1.0)
        return Run(self.network, self.history, outcome, self.update, clock["seconds"], images / seconds)
