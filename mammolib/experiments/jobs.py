"""Many runs: in their order within a budget of seconds, beside each other, or on the machines of a cluster.

All of them share one store, a folder that every machine sees: there a run that is recorded is found, and one whose
machine was lost goes on from its checkpoint. A record also comes home as a value; where a worker's store is a folder of
its own, the caller's store gets the record from there (its weights stay where they are).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from time import time
from typing import Any

import numpy as np

from mammolib import mias, results
from mammolib.experiments import named
from mammolib.training import Execution, OutOfTime, Samples, device_kind, train

LOST = 3
"""So many times in a row worker processes may be lost before a single run more is done."""


@dataclass(frozen=True)
class Job:
    """A run to be made: what `named.run_named` is called with. `options` are profile, store, seed, split and so on."""

    name: str
    films: Sequence[mias.Film] = field(repr=False)
    data: Mapping[str, Any]
    options: Mapping[str, Any]

    def __str__(self) -> str:
        said = {k: self.options.get(k) for k in ("seed", "split")}
        return " ".join([self.name, *(f"{k} {v}" for k, v in said.items() if v is not None)])

    @property
    def outline(self) -> named.Outline:
        """What is known of the run before it is made."""
        return named.outline(self.name, data=self.data, **self.options)


@dataclass(frozen=True)
class Done:
    """What became of a job: a record, or why it failed, or, where there was no time, what is left of it in words."""

    job: Job
    record: results.Record | None = None
    error: Exception | None = None
    left: str = ""


@dataclass(frozen=True)
class Planned:
    """A row of a plan: a run, its outline, the seconds of its training and the seconds from the start to its end."""

    job: Job
    outline: named.Outline
    seconds: float
    end: float


def numbers(text: str) -> list[int]:
    """Read "0-9" or "0,3,5-7" as whole numbers, in that order; a ValueError says what is none of these."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not (first.isdigit() and (last.isdigit() or not dash)) or (dash and int(last) < int(first)):
            raise ValueError(f"seeds: {text!r} is not of the form 0-9 or 0,3,5")
        found += range(int(first), int(last or first) + 1)
    return list(dict.fromkeys(found))


def in_order(jobs: Sequence[Job], cost: Callable[[int], float] = float) -> list[tuple[int, named.Outline, int]]:
    """Order jobs so that each comes after the one whose weights it needs, and else the cheapest first.

    Returns:
        (place among the jobs, its outline, its wave): those of a wave need nothing of each other. The cost of a place
        is the place, if not given.
    """
    lines = [job.outline for job in jobs]
    stems = {line.stem for line in lines}
    order: list[tuple[int, named.Outline, int]] = []
    waves: dict[str, int] = {}
    waiting = list(range(len(jobs)))
    while waiting:
        i = min((i for i in waiting if lines[i].origin in waves or lines[i].origin not in stems), key=cost)
        waiting.remove(i)
        wave = waves[lines[i].stem] = waves.get(lines[i].origin, -1) + 1
        order.append((i, lines[i], wave))
    return order


def plan(jobs: Sequence[Job], rate: float | None = None) -> list[Planned]:
    """Order runs so that most are done early: the shortest first, each after the one whose weights it needs.

    A run that is recorded costs nothing, nor does one that trains nothing. The rate is images a second of every
    training; if not given, each kind of network is measured here.
    """
    if rate is not None and not rate > 0:
        raise ValueError(f"rate: must be positive, got {rate!r}")
    rates: dict[Any, float] = {}
    costs = []
    for job in jobs:
        line = job.outline
        kind = (job.name, job.options.get("width"), line.batch)
        costs.append(0.0)
        if line.images and not line.recorded:
            if kind not in rates:
                rates[kind] = rate or measure(line, job)
            costs[-1] = line.images / rates[kind]
    rows, end = [], 0.0
    for i, line, _ in in_order(jobs, costs.__getitem__):
        end += costs[i]
        rows.append(Planned(jobs[i], line, costs[i], end))
    return rows


def measure(line: named.Outline, job: Job) -> float:
    """Train a run's network for a moment on this machine; return images a second, the compiling left out."""
    from mammolib import patches, ssd

    assert line.begin is not None
    build, settings, loss = line.begin()
    batch = settings.batch if device_kind() != "cpu" else min(settings.batch, 16)
    settings = replace(settings, epochs=3, steps_per_epoch=2, batch=batch)
    if isinstance(loss, ssd.SSDLoss):
        crops = patches.lesion_crops(mias.single_lesion_films(job.films)[: batch // 8 + 1])
        samples = ssd.samples(crops, np.arange(min(batch, len(crops))), settings.flip)
    else:
        images = np.random.default_rng(0).integers(0, 256, (batch, 128, 128)).astype(np.uint8)
        samples = Samples(images, np.eye(build().output_shape[-1], dtype=np.float32)[np.zeros(batch, int)])
    return train(build, samples, settings=settings, loss=loss, execution=Execution(progress=False)).images_per_second


_alone = Lock()  # seeds and precision are a process's: of a worker's threads, one trains at a time


def make(job: Job, execution: Execution, say: Callable[[str], None] | None = None) -> Done:
    """Run a job; nothing that goes wrong in it is raised but a stop by the user."""
    if execution.deadline is not None and time() > execution.deadline and not job.outline.recorded:
        return Done(job, left="not begun")
    try:
        with _alone:
            record = named.run_named(job.name, job.films, data=job.data, execution=execution, say=say, **job.options)
    except OutOfTime as err:
        return Done(job, left=str(err))
    except Exception as err:
        return Done(job, error=err if type(err).__module__ == "builtins" else RuntimeError(f"{err}"))
    return Done(job, record)


def run(
    jobs: Sequence[Job],
    execution: Execution | None = None,
    workers: int | None = None,
    engine: str | None = None,
    say: Callable[[str], None] | None = None,
) -> Iterator[Done]:
    """Run jobs and yield each as it ends.

    Args:
        jobs: in any order; one that starts from another's weights waits for it.
        execution: how to train; its deadline ends all of them, each with a checkpoint.
        workers: how many at a time; 1 if not given, and with an engine all that the cluster has.
        engine: "dask://HOST:PORT" or "ray://HOST:PORT", a cluster that is there; "ray://local" for one of this machine.
        say: called with lines of progress; without workers and engine, with those of the trainings too.

    Raises:
        ValueError: another engine.
        ImportError: the engine's package is not installed.
        RuntimeError: worker processes were lost again and again.
    """
    execution, ordered = execution or Execution(), in_order(jobs)
    if engine is None and (workers or 1) == 1:
        for i, _, _ in ordered:
            yield make(jobs[i], execution, say)
        return
    quiet = replace(execution, progress=False)
    for wave in range(1 + max((w for *_, w in ordered), default=-1)):
        yield from _beside({i: jobs[i] for i, _, w in ordered if w == wave}, quiet, workers, engine)


def _beside(waiting: dict[int, Job], execution: Execution, workers: int | None, engine: str | None) -> Iterator[Done]:
    """Run jobs that need nothing of each other; those that a lost process held are run again."""
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    lost, how = 0, "list" if engine and engine.startswith("ray") else "generator_unordered"
    with ExitStack() as stack:
        workers = _open(stack, engine, workers)
        while waiting:
            try:
                calls = [delayed(_numbered)(i, job, execution) for i, job in waiting.items()]
                for i, done in Parallel(workers, batch_size=1, pre_dispatch="all", return_as=how)(calls):
                    store = Path(done.job.options["store"])
                    if done.record is not None and not (store / done.record.file_name).exists():
                        results.save(done.record, store)
                    lost = 0
                    yield replace(done, job=waiting.pop(i))
            except TerminatedWorkerError as err:
                lost += 1
                if lost == LOST:
                    raise RuntimeError(f"jobs: worker processes were lost {LOST} times in a row: {err}") from err


def _numbered(i: int, job: Job, execution: Execution) -> tuple[int, Done]:
    return i, make(job, execution)


def _open(stack: ExitStack, engine: str | None, workers: int | None) -> int:
    """Make joblib use an engine while the stack is open; return how many jobs to run at a time."""
    from joblib import parallel_config

    if engine is None:
        threads = max(1, (os.cpu_count() or 1) // (workers or 1))
        for name in ("TF_NUM_INTRAOP_THREADS", "NPROC"):  # TensorFlow's and XLA's; joblib sets the others
            os.environ.setdefault(name, str(threads))
        stack.enter_context(parallel_config("loky", inner_max_num_threads=threads))
        return workers or 1
    scheme, _, address = engine.partition("://")
    if scheme not in ("dask", "ray") or not address:
        raise ValueError(f"engine: {engine!r} is not dask://HOST:PORT or ray://HOST:PORT")
    if scheme == "dask":
        from distributed import Client

        stack.enter_context(Client(address))
    else:
        import ray
        from ray.util.joblib import register_ray

        stack.enter_context(ray.init(address if address == "local" else engine, log_to_driver=False))
        register_ray()
    stack.enter_context(parallel_config(scheme))
    return workers or -1
