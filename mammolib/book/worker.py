"""Executes one chapter, in a process of its own: ``python -m mammolib.book.worker JOB``, where JOB is JSON.

Standard output carries one JSON object a line: ``{"cell": 3, "of": 40}`` as cells start, and at the end either
``{"seconds": 12.3, "memory": 0.5}`` or ``{"error": "..."}``. Standard error, the kernel's included, is the log. When
standard input ends, the parent is gone or wants to stop: the kernel is shut down and nothing is left behind.
"""

from __future__ import annotations

import ast
import json
import os
import signal
import sys
import threading
from pathlib import Path
from time import perf_counter
from typing import Any

from mammolib.book import notebooks
from mammolib.book.session import PREFIX

KERNEL = ["-m", "ipykernel_launcher", "-f", "{connection_file}", "--IPKernelApp.capture_fd_output=False"]
"""The kernel's arguments. What C code writes to standard error (TensorFlow's lines with times and process ids) stays
there, in the log, and does not become an output; what Python prints to it still does."""
KERNEL_ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}
"""Defaults for a kernel: quieter, and leaving a GPU's memory to others that share it."""


def main(job: dict[str, Any]) -> int:
    """Execute a chapter and write it, whole, where the job says; returns the exit status."""
    protocol = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the kernel inherits both: what it writes goes to the log, never between the JSON lines
    threading.Thread(target=_stop_with_parent, daemon=True).start()

    def say(**message: Any) -> None:
        protocol.write(json.dumps(message) + "\n")
        protocol.flush()

    began = perf_counter()
    try:
        execute(job, say)
    except KeyboardInterrupt:
        return 130
    except (ValueError, OSError, RuntimeError) as err:
        say(error=" ".join(str(err).split()))
        return 1
    say(seconds=perf_counter() - began, memory=_peak_memory())
    return 0


def execute(job: dict[str, Any], say: Any) -> None:
    """Execute the notebook `job["source"]` and write it to `job["target"]` once every cell has run.

    Args:
        job: source, target, failed (where a notebook goes whose cell failed), parameters (those that differ from the
            chapter's own), timeout (seconds a cell may take, or None), note (goes into the notebook's metadata).
        say: is given cell and of as cells start.

    Raises:
        ValueError: the chapter has no such parameter; a cell failed, took too long, or ended its kernel.
        OSError: the chapter cannot be read, or the result cannot be written.
    """
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.engines import NotebookExecutionManager
    from papermill.exceptions import PapermillExecutionError

    NotebookExecutionManager.save = lambda self, **_: None  # all of it, before and after each cell; the end suffices

    source, target, failed = (Path(job[place]) for place in ("source", "target", "failed"))
    chapter = notebooks.read(source)
    cells = notebooks.cells_with(chapter, "parameters")
    if len(cells) != 1:
        raise ValueError(f"{source.name}: needs one cell tagged 'parameters', has {len(cells)}")
    assigned = [s for s in ast.parse(cells[0].source).body if isinstance(s, ast.Assign)]
    known = {name.id for one in assigned for name in one.targets if isinstance(name, ast.Name)}
    for name in sorted(set(job["parameters"]) - set(known)):  # papermill itself only warns
        raise ValueError(f"{source.name}: its parameters are {', '.join(sorted(known))}; it has no {name!r}")
    number = {cell.get("id"): i for i, cell in enumerate(chapter.cells, start=1)}
    where = "before its first cell"

    def started(cell: Any, cell_index: int) -> None:
        nonlocal where
        at = number.get(cell.get("id"))
        where = f"cell {at} ({notebooks.first_line(cell.source)})" if at else "its injected parameters"
        say(cell=at or 0, of=len(number))

    part = target.with_name(f".{target.name}.{os.getpid()}.part.ipynb")
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        nb = papermill.execute_notebook(
            source, part, parameters=job["parameters"], kernel_name="python3", language="python", progress_bar=False,
            start_timeout=120, execution_timeout=job["timeout"], cwd=source.parent,
            kernel_manager_class=this_interpreter(), on_cell_start=started,
        )  # fmt: skip
        problem = notebooks.unfinished(nb)
        if problem:
            raise ValueError(problem)
        nb.metadata["mammolib"] = dict(job["note"])
        nb = notebooks.clean(nb)
        nb.metadata["mammolib"]["outputs"] = notebooks.outputs_digest(nb)
        notebooks.write(target, notebooks.text(nb))
    except PapermillExecutionError as err:
        failed.parent.mkdir(parents=True, exist_ok=True)
        os.replace(part, failed)
        raise ValueError(f"{where}: {err.ename}: {err.evalue}") from None
    except CellTimeoutError:
        raise ValueError(f"{where}: took longer than {job['timeout']} s") from None
    except DeadKernelError:
        raise ValueError(f"{where}: its kernel died; out of memory, or a crash in native code") from None
    finally:
        part.unlink(missing_ok=True)


def this_interpreter() -> type:
    """Return a kernel manager that starts this very Python, whatever kernelspecs the user has installed."""
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpec

    class ThisInterpreter(AsyncKernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            env = {PREFIX: sys.prefix, "MAMMOLIB_PROGRESS": "0"}
            env |= {k: os.environ.get(k, v) for k, v in KERNEL_ENVIRONMENT.items()}
            return KernelSpec(argv=[sys.executable, *KERNEL], display_name="Python 3", language="python", env=env)

    return ThisInterpreter


def _stop_with_parent() -> None:
    """Interrupt this process when its standard input ends."""
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGINT)


def _peak_memory() -> float | None:
    """Return the kernel's peak memory in GB, where the system tells."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit / 1e9


if __name__ == "__main__":
    # What starts a program in the background may have told it to ignore this signal, and its children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.modules[notebooks.UNUSED] = None  # type: ignore[assignment]
    sys.exit(main(json.loads(sys.argv[1])))
