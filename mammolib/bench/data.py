"""How fast the data rooms are on the real films."""

from __future__ import annotations

from mammolib import mias
from mammolib.bench import Benchmark, best_seconds


def _films(folder: str | None) -> str:
    """All films read, counted, and verified against the hashes of the distribution."""
    if folder is None:
        return f"skipped: needs the real films ({mias.VARIABLE})"
    faults: list[mias.Problem] = []

    def work() -> None:
        films = mias.load(folder)
        mias.audit(films)
        for film in films:
            film.pixels()
        faults[:] = mias.check(folder)

    seconds = best_seconds(work, repeat=2)
    return f"{seconds:.2f} s" + (f", but {len(faults)} problems: {faults[0]}" if faults else "")


# One line a benchmark; what reads patches comes after what reads films.
BENCHMARKS = [
    Benchmark("322 films read, audited and verified", "< 6 s", _films),
]
