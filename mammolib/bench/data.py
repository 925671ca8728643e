"""How fast the data rooms are on the real films."""

from __future__ import annotations

from mammolib import mias, patches
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


def _crops(folder: str | None) -> str:
    """The paper's tumour-centred set: from Info.txt and the films on disk to 816 images and their boxes."""
    if folder is None:
        return f"skipped: needs the real films ({mias.VARIABLE})"
    made: list[patches.Crops] = []

    def work() -> None:
        made[:] = [patches.lesion_crops(mias.load(folder), paper=True)]

    seconds = best_seconds(work)
    return f"{seconds:.2f} s" + ("" if len(made[0]) == 816 else f", but {len(made[0])} crops")


def _survivors(folder: str | None) -> str:
    """The background rule on the 225 patches of every film, for many thresholds."""
    if folder is None:
        return f"skipped: needs the real films ({mias.VARIABLE})"
    films = mias.load(folder)
    levels, shares = (5, 10, 20, 30, 50), (0.05, 0.1, 0.2, 0.3, 0.5)
    return f"{best_seconds(lambda: patches.survivors(films, levels, shares)):.2f} s"


# One line a benchmark; what reads patches comes after what reads films.
BENCHMARKS = [
    Benchmark("322 films read, audited and verified", "< 6 s", _films),
    Benchmark("816 crops with boxes", "< 3 s", _crops),
    Benchmark("225 patches of 322 films under 25 thresholds", "none set", _survivors),
]
