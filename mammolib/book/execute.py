"""Executes chapters: only what has changed, each in a process of its own, and nothing half-done is taken for whole.

``_build/executed/`` keeps whole executed chapters under the fingerprint of all that they depend on; the one that
belongs to what was asked is copied to ``_build/source/chapters/``, where the book is made from. So a reader can go from
phantoms to real films and back, and the tests can use what the reader has executed, without executing it again.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import mammolib
from mammolib import results
from mammolib.book import notebooks
from mammolib.book.project import chapters
from mammolib.book.session import MINI_MIAS, PHANTOM, open_data
from mammolib.experiments import profiles

TIMEOUT = {"quick": 900}
"""Seconds a cell may take, by profile; a profile that is not named has no limit."""
EARLY = 2
"""Executed chapters after which there is something to read."""
KEEP = 4
"""How many executions of one chapter ``_build/executed/`` keeps."""
PATIENCE = 15
"""Seconds a chapter gets to shut its kernel down when a run is stopped."""
PACKAGE = Path(mammolib.__file__).parent
Job = dict[str, Any]
"""What the worker is given: see `mammolib.book.worker.execute`; and its log."""


@dataclass(frozen=True)
class Outcome:
    """What became of one chapter.

    Attributes:
        status: "executed", "unchanged" or "failed".
        path: the executed chapter, or None.
        error: one line that names cell and error, or None.
        memory: its kernel's peak, in GB, or None where the system does not tell.
    """

    chapter: str
    status: str
    path: Path | None = None
    error: str | None = None
    seconds: float = 0.0
    memory: float | None = None

    def __str__(self) -> str:
        memory = "" if self.memory is None else f", {self.memory:.1f} GB"
        more = {"failed": f": {self.error}", "executed": f" in {self.seconds:.1f} s{memory}"}
        return f"{self.chapter}: {self.status}{more.get(self.status, '')}"


def run(
    asked: Iterable[str] = (),
    *,
    profile: str = "quick",
    data: str | os.PathLike[str] = PHANTOM,
    seed: int = 0,
    jobs: int | None = None,
    force: bool = False,
    timeout: int | None = None,
    root: Path | None = None,
    source: Path | None = None,
    say: Callable[[str], None] = print,
    early: Callable[[], object] | None = None,
) -> list[Outcome]:
    """Execute chapters by papermill into the staged source.

    A chapter is executed again if anything it depends on has changed: its code, mammolib, the recorded runs, the
    data, the parameters, the installed versions. A chapter that fails is reported and the others go on; what an
    earlier execution of it left in the staged source is removed.

    Args:
        asked: which chapters, as in `chapters`; all if empty.
        profile: "quick" or "paper".
        data: "phantom", "mini-MIAS" or a folder.
        seed: what the chapters get as their seed.
        jobs: how many chapters at a time; default two for the quick profile where there are two cores, else one.
        force: execute also what has not changed.
        timeout: seconds one cell may take; default 900 for the quick profile, no limit for the paper's.
        root: the project's folder; default: found from here upwards.
        source: where executed chapters are staged; default ``_build/source``.
        say: is given one line for each chapter as it is done.
        early: is called once, when `EARLY` chapters have been executed and others have not.

    Returns:
        One outcome for each chapter, in the book's order.

    Raises:
        ValueError, OSError: an argument or the data are wrong; a chapter's failure raises nothing.
        KeyboardInterrupt: after the kernels have ended; chapters that were done stay, no other file is left.
    """
    root = results.root(root)
    source = source or root / "_build" / "source"
    names = chapters(root, asked)
    kind = profiles.profile(profile)
    profiles.check_seed(seed)
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs: must be 1 or more, got {jobs}")
    if data not in (PHANTOM, MINI_MIAS):
        data = str(Path(data).expanduser().resolve())
    digest = open_data(kind, seed, data)[1]
    parameters = {"profile": kind.name, "seed": seed, "data": data}
    timeout = timeout or TIMEOUT.get(kind.name)
    jobs = min(jobs or (min(2, os.cpu_count() or 1) if kind.name == "quick" else 1), max(len(names), 1))

    done: dict[str, Outcome] = {}

    def finish(outcome: Outcome) -> None:
        done[outcome.chapter] = outcome = _stage(outcome, root, source)
        say(str(outcome))

    waiting = {name: _job(root, name, parameters, digest, timeout) for name in names}
    for name in names:
        path = Path(waiting[name]["target"])
        if not force and _is_whole(path):
            del waiting[name]
            finish(Outcome(name, "unchanged", path))
    with _workers(jobs) as begin:
        futures = [begin(name, job) for name, job in waiting.items()]
        for number, future in enumerate(as_completed(futures), start=1):
            finish(future.result())
            if early is not None and number == EARLY < len(futures):
                early()
    return [done[name] for name in names]


def fingerprint(root: Path, chapter: str, parameters: dict[str, Any], digest: str) -> str:
    """Return a hash of all that an executed chapter depends on, `digest` being that of the data."""
    nb = notebooks.read(root / "chapters" / f"{chapter}.ipynb")
    depends = {
        "code": [[c.source, c.metadata.get("tags", [])] for c in nb.cells if c.cell_type == "code"],
        "parameters": parameters,
        "data": digest,
        "records": _hash_files((root / "book" / "results").glob("*.json")),
        "environment": _environment(),
        "backend": os.environ.get("KERAS_BACKEND", ""),
    }
    return hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()


@cache
def _environment() -> dict[str, Any]:
    """Return what stays the same while this process runs: mammolib's own files and every installed version."""
    files = (p for p in PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    versions = {f"{d.name}=={d.version}" for d in importlib.metadata.distributions() if d.name != "mammolib"}
    return {"mammolib": _hash_files(files), "python": platform.python_version(), "versions": sorted(versions)}


def _hash_files(paths: Iterable[Path]) -> str:
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(f"{path.name}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return total.hexdigest()


def _job(root: Path, name: str, parameters: dict[str, Any], digest: str, timeout: int | None) -> Job:
    """Return what the worker needs to execute a chapter. The chapter's own defaults are not given to it again."""
    found = fingerprint(root, name, parameters, digest)
    own = {"profile": "quick", "seed": 0, "data": PHANTOM}
    return {
        "source": str(root / "chapters" / f"{name}.ipynb"),
        "target": str(root / "_build" / "executed" / f"{name}.{found[:16]}.ipynb"),
        "failed": str(root / "_build" / "failed" / f"{name}.ipynb"),
        "log": str(root / "_build" / "logs" / f"{name}.log"),
        "parameters": {k: v for k, v in parameters.items() if v != own[k]},
        "timeout": timeout,
        "note": {"fingerprint": found, "digest": digest, **parameters, "data": Path(parameters["data"]).name},
    }


def _is_whole(path: Path) -> bool:
    try:
        nb = notebooks.read(path)
    except (OSError, ValueError):
        return False
    note = notebooks.note(nb)
    same = path.name.split(".")[-2] == str(note.get("fingerprint", ""))[:16]
    return same and note.get("outputs") == notebooks.outputs_digest(nb) and notebooks.unfinished(nb) is None


def _stage(outcome: Outcome, root: Path, source: Path) -> Outcome:
    """Put a whole chapter where the book is made from; take a failed one away from there."""
    name = Path("chapters") / f"{outcome.chapter}.ipynb"
    if outcome.path is None:
        (source / name).unlink(missing_ok=True)
        return outcome
    nb = notebooks.merge(notebooks.read(root / name), notebooks.read(outcome.path))
    if nb is None:
        return Outcome(outcome.chapter, "failed", error="its code changed while it was executed; run it again")
    notebooks.write(source / name, notebooks.text(nb))
    os.utime(outcome.path)
    kept = sorted(outcome.path.parent.glob(f"{outcome.chapter}.*.ipynb"), key=lambda p: p.stat().st_mtime)
    for old in kept[:-KEEP]:
        old.unlink(missing_ok=True)
    return outcome


@contextmanager
def _workers(jobs: int) -> Iterator[Callable[[str, Job], Future[Outcome]]]:
    """Give a function that executes a chapter in a process of its own, `jobs` at a time, and shows how far it is.

    Whatever ends the block, Ctrl-C included, no process is left: each worker ends with its standard input.
    """
    from tqdm import tqdm

    alive: set[subprocess.Popen[bytes]] = set()
    lock, stopping = threading.Lock(), threading.Event()
    threads = str(max(1, (os.cpu_count() or 1) // jobs))  # chapters at once get in each other's way otherwise
    environment = {"TF_NUM_INTRAOP_THREADS": threads, "OMP_NUM_THREADS": threads, **os.environ}
    if not any(importlib.metadata.distributions(name="mammolib")):  # a source tree that is not installed
        path = [str(PACKAGE.parent), *filter(None, [environment.get("PYTHONPATH")])]
        environment["PYTHONPATH"] = os.pathsep.join(path)

    def execute(name: str, job: Job) -> Outcome:
        log, last = Path(job["log"]), {}
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "wb") as errors:
            with lock:
                if stopping.is_set():
                    return Outcome(name, "failed", error="stopped")
                process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "mammolib.book.worker", json.dumps(job)],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                    start_new_session=True, env=environment,
                )  # fmt: skip
                alive.add(process)
            try:
                with process, tqdm(desc=name, unit="cell", leave=False, disable=None) as bar:
                    for line in process.stdout or ():
                        last = json.loads(line)
                        if "cell" in last:
                            bar.total, bar.n = last["of"], last["cell"]
                            bar.refresh()
                    process.wait()  # before its input is closed, which would interrupt it
            finally:
                with lock:
                    alive.remove(process)
        if process.returncode == 0 and "seconds" in last:
            return Outcome(name, "executed", Path(job["target"]), None, last["seconds"], last["memory"])
        return Outcome(name, "failed", error=last.get("error", f"its process ended ({process.returncode}); see {log}"))

    pool = ThreadPoolExecutor(jobs)
    try:
        yield lambda name, job: pool.submit(execute, name, job)
    finally:
        with lock:
            stopping.set()
            left = list(alive)
            for process in left:
                if process.stdin:
                    process.stdin.close()
        for process in left:
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
        pool.shutdown(cancel_futures=True)
