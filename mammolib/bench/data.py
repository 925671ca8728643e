"""How fast the data rooms are on the real films."""

from __future__ import annotations

from collections.abc import Callable

from mammolib import mias, patches
from mammolib.bench import Benchmark, best_seconds


def _on_films(measure: Callable[[str], str]) -> Callable[[str | None], str]:
    """Return a benchmark's run that is skipped where there are no films."""
    return lambda folder: f"skipped: needs the real films ({mias.VARIABLE})" if folder is None else measure(folder)


def _films(folder: str) -> str:
    """All films read, counted, and verified against the hashes of the distribution."""
    faults: list[mias.Problem] = []

    def work() -> None:
        films = mias.load(folder)
        mias.audit(films)
        for film in films:
            film.pixels()
        faults[:] = mias.check(folder)

    seconds = best_seconds(work, repeat=2)
    return f"{seconds:.2f} s" + (f", but {len(faults)} problems: {faults[0]}" if faults else "")


def _crops(folder: str) -> str:
    """The paper's tumour-centred set: from Info.txt and the films on disk to 816 images and their boxes."""
    sizes: list[int] = []
    seconds = best_seconds(lambda: sizes.append(len(patches.lesion_crops(mias.load(folder), paper=True))))
    return f"{seconds:.2f} s" + ("" if sizes[0] == 816 else f", but {sizes[0]} crops")


def _survivors(folder: str) -> str:
    """The background rule on the 225 patches of every film, for many thresholds."""
    films = mias.load(folder)
    levels, shares = (5, 10, 20, 30, 50), (0.05, 0.1, 0.2, 0.3, 0.5)
    return f"{best_seconds(lambda: patches.survivors(films, levels, shares)):.2f} s"


BENCHMARKS = [
    Benchmark("322 films read, audited and verified", "< 6 s", _on_films(_films)),
    Benchmark("816 crops with boxes", "< 3 s", _on_films(_crops)),
    Benchmark("225 patches of 322 films under 25 thresholds", "none set", _on_films(_survivors)),
]
