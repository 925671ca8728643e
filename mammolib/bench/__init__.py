"""The project's benchmarks: `mammolib bench` runs them and prints a table with the machine's name.

A benchmark measures one thing on this machine and says what the project asks of it. It never fails a test: machines
differ, and the reader decides what a ratio means.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mammolib.analysis.roofline import best_seconds

__all__ = ["ROOMS", "Benchmark", "benchmarks", "best_seconds", "in_a_process"]

ROOMS = ("data", "metrics", "ssd", "training")


@dataclass(frozen=True)
class Benchmark:
    """What is measured and what the project asks for, in words, and the measurement.

    `run` is given the folder of the real films or None and returns the figure in words, such as "4.1 s"; where it needs
    what is not there, a line that begins with "skipped".
    """

    name: str
    target: str
    run: Callable[[str | None], str]


def benchmarks(rooms: Iterable[str] = ROOMS) -> list[tuple[str, Benchmark]]:
    """Return (room, benchmark) for every benchmark of these rooms."""
    found = []
    for room in rooms:
        if room not in ROOMS:
            raise ValueError(f"bench: there is no room {room!r}; there are {', '.join(ROOMS)}")
        found += [(room, b) for b in importlib.import_module(f"mammolib.bench.{room}").BENCHMARKS]
    return found


def in_a_process(room: str, code: str, **environment: str) -> str:
    """Return the words that an expression of a room's names gives in a fresh Python, or the last line of its error.

    Its backend, memory and variables of the environment are its own.
    """
    env = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"} | environment
    program = f"from mammolib.bench.{room} import *; print({code})"
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True)
    if done.returncode:
        return f"failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}"
    return done.stdout.strip().splitlines()[-1]
