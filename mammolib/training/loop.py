"""The one way to train a model in this project: seeded, resumable, and honest about a loss that explodes."""

from __future__ import annotations

import contextlib
import hashlib
import random
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, time
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from mammolib.training import checkpoint as saved
from mammolib.training.checks import LOOK, check_samples, out_of_memory, too_large, warn_of_a_constant_answer
from mammolib.training.export import fill, read_weights
from mammolib.training.feed import Fed, Loss, Samples, epoch_plan, quiet, record_gradient_norms
from mammolib.training.history import History
from mammolib.training.progress import Watch, progress_bar
from mammolib.training.settings import Execution, OutOfTime, Settings, cores, use_jit

CHECKPOINT = "checkpoint.npz"
AT_ONCE = 64
"""Most images of a validation set that are shown as one batch, as many as `predict` shows; more come in batches. At the
paper's width SSD256 needs 45 MB an image for that, and 105 MB an image for training."""
Watcher = Callable[[int, keras.Model, History], "bool | None"]


@dataclass
class Run:
    """A training that ended.

    Attributes:
        model: the network; after a divergence with the weights of the last finite checkpoint, where a folder kept one.
        outcome: "finished", "diverged at update N" or, where `watch` ended it, "stopped at update N", counted from 1.
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
    is not, and where a checkpoint is due and a weight or a number of the optimizer's state is not: Adam's moments may
    overflow while the weights stay finite, and the weights they belong to would then never move again.

    Args:
        build: makes the network; called once under the seed and the precision. It takes (B, H, W, channels) grey
            levels from 0 to 255: scaling is the network's own business.
        training, validation: what it learns from, and what it is judged on after each epoch.
        settings, execution: what decides the weights, and how to run.
        loss: a loss of Keras by name, an `ssd.SSDLoss`, whose parts are recorded one by one, or a function, see
            `feed.Loss`. Regularisers of the model are added as "l2".
        measures: further quantities to record, by name, such as {"accuracy": keras.metrics.categorical_accuracy}.
        seed: of initial weights, order, mirroring and dropout; not negative.
        folder: where the checkpoint lies; a training found there is continued. None: nothing is kept. A training that
            fails before its first update is done leaves nothing there.
        start: weights to begin with: a folder written by `export_weights`, or arrays in the model's order.
        about: plain data that a checkpoint must share to be continued, such as the model's name.
        title: of the progress bar.
        watch: called after each stretch, an epoch or the updates between checkpoints where these are counted in
            updates, with (updates done, network, history), before the checkpoint of that update is written: what it
            writes into `history.notes` is in the checkpoint, or else the run, once killed, comes by here again. If it
            returns True the run ends there, its checkpoint written; a later call with the same folder goes on from it.

    Returns:
        The run. The same seed gives the same weights on a CPU, with the same machine, backend, versions and number of
        cores: sums are split over threads, so another number rounds otherwise (a warning says so where a training
        continues). On a GPU the order of sums is not fixed, and weights agree only roughly.

    Raises:
        ValueError: data that do not suit the network or the loss; a checkpoint that is damaged, or of another model,
            setting or data set (it is left as it is).
        OutOfMemory: names the batch size and suggests half, or says that not even one image fits.
        OutOfTime: the deadline is near, and the folder holds the checkpoint. At least one update more is done by then.
    """
    loss = getattr(loss, "named", loss)
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed: must {'not be negative' if seed < 0 else f'be below {2**32}'}, got {seed}")
    trainer, began = None, perf_counter()
    try:
        with surroundings(seed, settings.precision):
            network = build()
        built = perf_counter()
        sets = {"training": training} | ({"validation": validation} if validation is not None else {})
        for name, samples in sets.items():
            check_samples(network, loss, samples, name)
        identity = {"seed": seed, "start": begin_from(network, start)}
        identity |= {f"about.{name}": value for name, value in (about or {}).items()}
        how = execution or Execution()
        trainer = _Trainer(network, list(sets.values()), settings, loss, dict(measures or {}), identity, how)
        trainer.open(Path(folder) / CHECKPOINT if folder is not None else None)
        trainer.history.opening = {"network": built - began, "data": perf_counter() - built}
        with quiet():
            return trainer.go(title, watch)
    except Exception as err:
        if trainer is not None:
            trainer.leave_nothing_of_a_false_start()
        if out_of_memory(err):
            raise too_large(settings.batch, training.images) from err
        raise


@contextlib.contextmanager
def surroundings(seed: int, precision: str) -> Iterator[None]:
    """Seed everything and set the precision; afterwards the precision and the states of Python and NumPy return.

    The backend's and Keras's own global seeds do not return: Keras offers no way to read them. Layers draw their seeds
    from Python's global generator, and so may another thread, such as those of a Dask worker. So here they draw the
    same numbers from a generator that no other thread has.
    """
    from keras.src.random import seed_generator

    policy, python, numbers = keras.config.dtype_policy(), random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        keras.utils.set_random_seed(seed)
        keras.config.set_dtype_policy(precision)
        seed_generator.python_random = random.Random(seed)
        yield
    finally:
        seed_generator.python_random = random
        keras.config.set_dtype_policy(policy)
        random.setstate(python)
        np.random.set_state(numbers)  # noqa: NPY002


def begin_from(network: keras.Model, start: str | Path | Sequence[NDArray] | None) -> str | None:
    """Give a network the weights of a folder or a list; return their SHA-256, None where there are none."""
    if start is None:
        return None
    if isinstance(start, str | Path):
        values, source = read_weights(start), str(start)
    else:
        values, source = [(f"array {i}", np.array(v, np.float32)) for i, v in enumerate(start)], "start"
    fill(network, values, source)
    return hashlib.sha256(b"".join(value.tobytes() for _, value in values)).hexdigest()


class _Trainer:
    """The state of one call of `train`, which goes from stretch to stretch: to the end of an epoch, or a checkpoint."""

    def __init__(
        self, network: keras.Model, sets: list[Samples], settings: Settings, loss: str | Loss,
        measures: dict[str, Loss], identity: dict[str, Any], execution: Execution,
    ) -> None:  # fmt: skip
        self.network, self.settings, self.execution = network, settings, execution
        self.training, self.validation, self.seed = sets[0], sets[1] if len(sets) > 1 else None, identity["seed"]
        self.steps = settings.steps_per_epoch or -(-len(self.training) // settings.batch)
        self.total = settings.epochs * self.steps
        self.optimizer = settings.make_optimizer(self.steps)
        self.optimizer.build(network.trainable_variables)
        self.norms: tuple[list[str], Any] = ([], None)
        if settings.gradient_norm != "off":
            by_layer = settings.gradient_norm == "layer"
            self.norms = record_gradient_norms(self.optimizer, network.trainable_variables, self.steps, by_layer)
        self.validation_batch, rows = 1, self.steps
        if self.validation is not None:
            # A small set at once; else the largest batch that divides it evenly, unless that is small: so only one size
            # is compiled, not two.
            n = len(self.validation)
            most = n if n <= AT_ONCE else min(n, settings.batch)
            even = next(b for b in range(most, 0, -1) if n % b == 0)
            self.validation_batch = even if 4 * even >= most else most
            rows = max(rows, -(-n // self.validation_batch))
        function = keras.losses.get(loss) if isinstance(loss, str) else loss
        self.fed = Fed(network, function, measures, rows, sets, settings.flip)
        self.fed.compile(optimizer=self.optimizer, jit_compile=use_jit())
        self.identity = identity | {"backend": keras.backend.backend(), "measures": list(measures)}
        self.identity |= {name: s.digest() for name, s in zip(("training data", "validation data"), sets, strict=False)}
        self.identity |= {f"settings.{name}": value for name, value in settings.as_data().items() if name != "epochs"}
        for i, v in enumerate(network.variables):
            self.identity[f"variable {i}"] = [v.path.rsplit("/", 1)[-1], list(v.shape), str(v.dtype)]
        self.history, self.update = History(), 0
        self.path: Path | None = None
        self.every = self.total  # updates between checkpoints
        self.clock = {"seconds": 0.0, "epoch_seconds": 0.0, "images": 0.0, "steady_seconds": 0.0, "first_rate": 0.0}
        self.last: dict[str, NDArray] | None = None  # what the last checkpoint holds
        self.made: list[Path] = []
        self.saving = self.closing = 0.0  # seconds of a checkpoint, and of what follows a stretch: validation, `watch`
        self.pace: float | None = None  # seconds an update

    def open(self, path: Path | None) -> None:
        """Continue from the checkpoint at `path`, or write the first one there."""
        if path is None:
            return
        self.path, unit = path, self.steps if self.execution.checkpoint_unit == "epoch" else 1
        self.every = self.execution.checkpoint_every * unit
        if not path.exists():
            self.made = [path] if path.parent.exists() else [path, path.parent]
            self.save(self.state())
            return
        facts, arrays = saved.load(path)
        saved.compare(path, facts["identity"], self.identity)
        if facts["update"] > self.total:
            raise ValueError(f"{path}: the checkpoint is at update {facts['update']}, this run ends at {self.total}")
        if facts["cores"] != cores():
            words = f"{facts['cores']} cores, this process has {cores()}: rounding, and so the weights, may differ"
            warnings.warn(f"{path}: the checkpoint was written with {words}", stacklevel=3)
        self.restore(arrays, "model", "optimizer")
        self.update, self.clock, self.last = facts["update"], facts["clock"], arrays
        self.history = History(notes=facts["notes"])
        for axis in ("update", "epoch"):
            columns = {name: values for name, values in arrays.items() if name.startswith(f"{axis}/")}
            self.history.add(axis, {name.partition("/")[2]: values for name, values in columns.items()})

    def variables(self) -> dict[str, keras.Variable]:
        """Return what a checkpoint keeps of the network, random seeds included, and of the optimizer."""
        parts = {"model": self.network.variables, "optimizer": self.optimizer.variables}
        return {f"{part}/{i}": v for part, variables in parts.items() for i, v in enumerate(variables)}

    def state(self) -> dict[str, NDArray] | None:
        """Return the variables' values, or None where one of them, apart from gradient norms, is not finite."""
        variables = self.variables()
        state = {name: np.array(ops.convert_to_numpy(v)) for name, v in variables.items()}
        decisive = [a for name, a in state.items() if a.dtype.kind == "f" and variables[name] is not self.norms[1]]
        return state if all(np.isfinite(a).all() for a in decisive) else None

    def restore(self, state: dict[str, NDArray], *parts: str) -> None:
        """Put values back into the variables, those of the "model" or of the "optimizer"."""
        for name, variable in self.variables().items():
            if name.startswith(parts):
                variable.assign(state[name])

    def save(self, state: dict[str, NDArray] | None) -> None:
        """Write a checkpoint, where a folder keeps one and there is a state to keep."""
        if self.path is None or state is None:
            return
        began = perf_counter()
        facts = {"update": self.update, "identity": self.identity, "cores": cores(), "clock": self.clock}
        curves = {f"update/{k}": np.array(v, float) for k, v in self.history.update.items()}
        curves |= {f"epoch/{k}": np.array(v, float) for k, v in self.history.epoch.items()}
        saved.save(self.path, facts | {"notes": self.history.notes}, state | curves)
        self.last, self.saving = state, perf_counter() - began

    def leave_nothing_of_a_false_start(self) -> None:
        """Delete the first checkpoint, and the folder made for it, of a training that never did an update."""
        if self.update == 0 and self.made:
            with contextlib.suppress(OSError):  # the folder may hold what others put there
                self.made[0].unlink(missing_ok=True)
                self.made[-1].rmdir()

    def go(self, title: str, watch: Watcher | None) -> Run:
        """Train to the end."""
        first, batch = True, self.settings.batch
        with progress_bar(self.execution.progress, title, self.total, self.update, batch) as bar:
            while self.update < self.total:
                room = self.room()
                if room == 0 and not first:
                    state = self.state()
                    if state is not None:  # else it goes on, to where such a run always ends
                        self.save(state)
                        raise OutOfTime(self.update, self.total)
                end = min((self.update // period + 1) * period for period in (self.steps, self.every))
                finite = self.make_updates(min(end, self.update + max(room, 1)), bar, first)
                first, began = False, perf_counter()
                if finite and self.update % self.steps == 0:
                    finite = self.end_epoch()
                due = self.update % self.every == 0 or self.update == self.total
                if not finite or (due and self.state() is None):
                    return self.diverged()
                stop = watch is not None and bool(watch(self.update, self.network, self.history))
                state = self.state() if due or stop else None
                if stop and state is None:
                    return self.diverged()
                self.save(state)  # after `watch`: a kill while it looks must not lose what it sees
                if stop and self.update < self.total:
                    return self.run(f"stopped at update {self.update}")
                self.closing = max(self.closing, perf_counter() - began)
        return self.run("finished")

    def room(self) -> int:
        """Return how many updates to make before the clock is looked at again: 0 where the deadline is too near.

        They take at most half of what is left when a checkpoint and an epoch's end are paid for. The first update
        compiles, and so says nothing of the pace.
        """
        if self.execution.deadline is None or self.path is None:
            return self.total
        left = self.execution.deadline - time() - 2 * self.saving - self.closing
        return int(left > 0) if self.pace is None else max(int(left / 2 / self.pace), int(left > self.pace))

    def make_updates(self, end: int, bar: Any, first: bool) -> bool:
        """Train up to an update, and record how; return whether every loss was finite."""
        epoch, within = divmod(self.update, self.steps)
        batch = self.settings.batch
        rows = self.steps * batch if self.settings.steps_per_epoch else None
        plan = epoch_plan(len(self.training), self.seed, epoch, rows, self.settings.flip)
        plan = plan[within * batch : (end - epoch * self.steps) * batch]
        began, observer = perf_counter(), Watch(bar, self.fed, self.update)
        self.fed.show(plan, batch, observer)
        columns: dict[str, Any] = dict(self.fed.read())
        seconds = perf_counter() - began
        self.clock["seconds"] += seconds
        self.clock["epoch_seconds"] += seconds
        if first:
            self.history.opening["first update"] = (observer.first or perf_counter()) - began
            self.clock["first_rate"] = len(plan) / seconds
        else:
            self.pace = seconds / (end - self.update)
            self.clock["images"] += len(plan)
            self.clock["steady_seconds"] += seconds
        bad = np.flatnonzero(~np.isfinite(columns["loss"]))
        n = bad[0] + 1 if len(bad) else len(columns["loss"])
        updates = np.arange(self.update, self.update + n)
        columns = {name: values[:n] for name, values in columns.items()}
        columns["learning_rate"] = self.settings.schedule.rates(updates, self.steps)
        names, variable = self.norms
        if names:
            norms = ops.convert_to_numpy(variable).astype(float)[updates % self.steps]
            columns["gradient_norm"] = np.sqrt((norms**2).sum(axis=1))
            if self.settings.gradient_norm == "layer":
                columns |= {f"gradient_norm/{name}": norms[:, i] for i, name in enumerate(names)}
        self.history.add("update", columns)
        self.update += int(n)
        return not len(bad)

    def end_epoch(self) -> bool:
        """Close an epoch: its means over images, and the validation; return whether the validation loss is finite."""
        first, batch = self.update - self.steps, self.settings.batch
        sizes = np.full(self.steps, batch)
        if self.settings.steps_per_epoch is None:
            sizes[-1] = len(self.training) - (self.steps - 1) * batch
        row: dict[str, float] = {
            "epoch": self.update // self.steps, "update": self.update, "seconds": self.clock["epoch_seconds"]
        }  # fmt: skip
        row |= {name: np.average(v[first:], weights=sizes) for name, v in self.history.update.items()}
        self.clock["epoch_seconds"] = 0.0
        if self.validation is not None:
            began, n, batch = perf_counter(), len(self.validation), self.validation_batch
            numbers = len(self.training) + np.arange(n)
            self.fed.show(np.stack([numbers, np.zeros(n)], axis=1).astype(np.int32), batch)
            sizes = np.minimum(batch, n - batch * np.arange(-(-n // batch)))
            row |= {f"val_{name}": np.average(v, weights=sizes) for name, v in self.fed.read().items()}
            self.clock["seconds"] += perf_counter() - began
        if first < LOOK <= self.update:
            warn_of_a_constant_answer(self.network, (self.validation or self.training).images[:16], self.update)
        self.history.add("epoch", row)
        return bool(np.isfinite(row.get("val_loss", 0.0)))

    def diverged(self) -> Run:
        """End a run in which something is no number; the weights go back to the last finite checkpoint."""
        if self.last is not None:
            self.restore(self.last, "model")
        return self.run(f"diverged at update {self.update}")

    def run(self, outcome: str) -> Run:
        """Return what the caller gets."""
        clock = self.clock
        rate = clock["images"] / clock["steady_seconds"] if clock["images"] else clock["first_rate"]
        return Run(self.network, self.history, outcome, self.update, clock["seconds"], rate)
