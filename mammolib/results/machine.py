"""Where the project lies, and which machine, backend, versions and commit a run ran on."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PACKAGES = ("mammolib", "numpy", "scipy", "sklearn", "skimage", "pandas", "matplotlib", "keras", "tensorflow", "jax",
            "jaxlib", "torch")  # fmt: skip
"""Modules whose version a record states where they are imported."""
DISTRIBUTIONS = {"sklearn": "scikit-learn", "skimage": "scikit-image"}


def root(start: str | os.PathLike[str] | None = None) -> Path:
    """Return the project's folder: the nearest one, from `start` (default: here) upwards, with _toc.yml and chapters/.

    A staged copy of the book under ``_build/`` looks like a project too; it is passed over for the one it belongs to.

    Raises:
        FileNotFoundError: no folder upwards is the project's.
    """
    start = Path.cwd() if start is None else Path(start).resolve()
    found = [p for p in (start, *start.parents) if (p / "_toc.yml").is_file() and (p / "chapters").is_dir()]
    for folder in found:
        if not any(other / "_build" in (folder, *folder.parents) for other in found):
            return folder
    raise FileNotFoundError(f"{start}: neither it nor a folder above it holds _toc.yml and chapters/")


def recorded() -> Path:
    """Return the folder of the committed records of real runs, book/results in the project."""
    return root() / "book" / "results"


def run_store() -> Path:
    """Return the folder in which runs made here leave their records and weights; it is not in git."""
    return root() / "_build" / "runs"


def machine() -> dict[str, Any]:
    """Describe this machine and the software a run uses, without naming the machine or its user.

    Nothing is imported for it: the backend and the versions are those of packages that are already imported.
    """
    backend, gpu = _backend()
    versions = {DISTRIBUTIONS.get(name, name): getattr(sys.modules[name], "__version__", "unknown")
                for name in PACKAGES if name in sys.modules}  # fmt: skip
    return {
        "processor": _cpuinfo("model name") or platform.processor() or platform.machine() or "unknown",
        "matrix_units": matrix_units(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": _memory(), "gpu": gpu, "backend": backend, "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}", "versions": versions, "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip


def commit() -> str:
    """Return the commit mammolib runs from, with "+dirty" if a tracked file is changed, or "unknown" outside git.

    A machine that was sent the files without their history can be told by the environment variable MAMMOLIB_COMMIT.
    """
    project = Path(__file__).resolve().parents[2]
    top = _git(project, "rev-parse", "--show-toplevel")
    if not top or Path(top).resolve() != project:
        return os.environ.get("MAMMOLIB_COMMIT", "unknown")
    return _git(project, "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty=+dirty") or "unknown"


def _git(folder: Path, *words: str) -> str:
    """Return what git says; "" where it fails or is missing."""
    with suppress(OSError, subprocess.SubprocessError):
        command = ["git", "-C", str(folder), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    return ""


def _backend() -> tuple[str | None, str | None]:
    """Return Keras' backend and the name of the GPU it sees, both None before Keras is imported."""
    keras = sys.modules.get("keras")
    if keras is None:
        return None, None
    backend = keras.backend.backend()
    names = []
    with suppress(Exception):  # a driver that fails to answer must not cost the run its record
        library = sys.modules[backend]
        if backend == "tensorflow":
            for device in library.config.list_physical_devices("GPU"):
                details = library.config.experimental.get_device_details(device)
                names.append(details.get("device_name", device.name))
        elif backend == "jax":
            names = [d.device_kind for d in library.devices() if d.platform != "cpu"]
        elif library.cuda.is_available():
            names = [library.cuda.get_device_name(i) for i in range(library.cuda.device_count())]
    gpu = names[0] if names else None
    return backend, f"{len(names)} x {gpu}" if len(names) > 1 else gpu


def matrix_units() -> str:
    """Name what the processor multiplies matrices with: "AMX bfloat16", "AVX-512 bfloat16", "AVX-512", "AVX2" or "".

    With AMX, the first of them, two cores train the whole network in bfloat16 in hours; without, in days.
    """
    flags = set(_cpuinfo("flags").split())
    units = {"amx_bf16": "AMX bfloat16", "avx512_bf16": "AVX-512 bfloat16", "avx512f": "AVX-512", "avx2": "AVX2"}
    return next((words for flag, words in units.items() if flag in flags), "")


def _cpuinfo(field: str) -> str:
    """Return the first line of a field in Linux's description of its processors; "" where there is none."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(field):
                return line.partition(":")[2].strip()
    return ""


def _memory() -> float | None:
    with suppress(AttributeError, ValueError, OSError):
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    return None
