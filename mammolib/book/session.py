"""What every chapter begins with: the profile, the seed, the data, and a place for its records."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mammolib
from mammolib import mias, results
from mammolib.experiments import profiles
from mammolib.experiments.profiles import Profile
from mammolib.results.words import change_words, metric_words, number_words, seeds_words

if TYPE_CHECKING:
    import pandas as pd

PHANTOM = "phantom"
MINI_MIAS = "mini-MIAS"
PREFIX = "MAMMOLIB_PREFIX"
"""Environment variable by which the process that executes a chapter names the environment it expects it to run in."""


@dataclass(frozen=True)
class Run:
    """A chapter's run: which data it sees and where its records go.

    Attributes:
        films: in order.
        digest: sha256 over the annotations and the pixels.
        data_name: "phantom", "mini-MIAS", or the folder's name.
        store: the folder for records and weights of runs made here.
        recordings: the folder of the committed records of real runs.
    """

    profile: Profile
    seed: int
    films: list[mias.Film] = field(repr=False)
    digest: str
    data_name: str
    store: Path = field(repr=False)
    recordings: Path = field(repr=False)

    @property
    def data(self) -> dict[str, Any]:
        """What a record says about its data: name, digest, number of films."""
        return {"name": self.data_name, "digest": self.digest, "films": len(self.films)}

    def record(
        self, name: str, metrics: Mapping[str, Any], settings: Mapping[str, Any] | None = None
    ) -> results.Record:
        """Make the record of what this chapter just ran, save it in the run store, and return it.

        Args:
            name: which run of the book this is.
            metrics: as in `results.Record`.
            settings: what was asked for beside the profile, which is added.

        Raises:
            ValueError: a field is not what a record holds; the line names it.
            OSError: the run store cannot be written to.
        """
        asked = {"profile": self.profile.name, **(settings or {})}
        record = results.Record(name, asked, self.data, self.seed, metrics=metrics, machine=results.machine())
        results.save(record, self.store, replace=True)
        return record

    def compare(self, *records: results.Record) -> pd.DataFrame:
        """Set the paper beside these records and, for each split, beside the committed run that speaks for it.

        Of several committed runs of a name that is the one that `recorded` returns, with its other seeds; the page of
        results has all of them. Committed records of other names take part where a claim is about two runs, such as
        "slower than A".

        Returns:
            The table of `results.paper_beside_ours` for the claims that these records answer.
        """
        names = {record.name for record in records}
        about = [claim for claim in results.claims() if claim.record in names]
        needed = names | {other for claim in about for _, other, _ in claim.relations}
        kept = [r for name in sorted(needed) for r in results.load_all(self.recordings, name)]
        speak: dict[tuple[str, str], str] = {}
        for first, *_ in sorted(results.series(filter(_real, kept)), key=results.standing):
            speak.setdefault((first.name, first.split), first.series)
        kept = [r for r in kept if r.name not in names or r.series == speak.get((r.name, r.split))]
        return results.paper_beside_ours(about, [*records, *kept])

    def beside(self, record: results.Record, **filters: Any) -> pd.DataFrame:
        """Set every number of a run made here beside that of the committed run that `recorded` returns; see `table`."""
        kept = self.recorded(record.name, **filters)
        names = dict.fromkeys([*record.metrics, *(kept.metrics if kept else ())])
        return self.table({f"this run ({self.data_name})": record, "recorded on mini-MIAS": kept}, list(names))

    def table(self, records: Mapping[str, results.Record | None], names: Sequence[str]) -> pd.DataFrame:
        """Set some metrics of several runs, by the head of their column, side by side.

        Returns:
            A row for each metric, by its name in words, with intervals in brackets; a dash where a run has none.
        """
        cells = {head: [number_words(r.metrics.get(n) if r else None) for n in names] for head, r in records.items()}
        return _in_words(cells, names)

    def recorded_table(
        self, name: str, names: Sequence[str], by: Sequence[str] = ("split",), **filters: Any
    ) -> pd.DataFrame:
        """Sum up the committed runs of an experiment: a column for each series of runs that differ in their seed only.

        Args:
            name: the experiment's name.
            names: metrics.
            by: the fields or settings that name a column, such as ("split", "reading"); where they name several
                series alike, what was changed in each is added.
            **filters: which runs, as in `recorded`.

        Returns:
            A row for each metric: the mean over seeds, with the lowest and the highest.
        """
        alike: dict[str, list[tuple[results.Record, ...]]] = {}
        for group in results.series(self.all_recorded(name, **filters)):
            head = ", ".join(_head(group[0], key) for key in by) + (", reduced" if group[0].reduced else "")
            alike.setdefault(head, []).append(group)
        if not alike:
            return _in_words({f"no run of {name} on real films has been recorded yet": []}, [])
        cells = {}
        for head, groups in alike.items():
            first = [group[0] for group in groups]
            words = [results.own_changes(r, first) or "nothing else" for r in first]
            for group, own in zip(groups, words, strict=True):
                own = "" if len(first) == 1 else ", " + (own if words.count(own) == 1 else group[0].hash)
                seeds = f"{len(group)} seed{'s' if len(group) > 1 else ''}"
                cells[f"{head}{own} ({seeds})"] = [_spread(group, n) for n in names]
        return _in_words(cells, names)

    def recorded(self, name: str, **filters: Any) -> results.Record | None:
        """Return the committed record of a real run, or None if there is none.

        Of several series the one that `results.standing` puts first, and of its runs the one with the lowest seed.

        Args:
            name: the run's name.
            **filters: fields of the record (``seed=0``, ``split="woman"``) or of its settings (``width=1.0``).
        """
        found = results.series(self.all_recorded(name, **filters))
        return min(found, key=results.standing)[0] if found else None

    def all_recorded(self, name: str, **filters: Any) -> list[results.Record]:
        """Return every complete committed record of that name that passes the filters; see `recorded`.

        Runs on phantoms are passed over: one may be kept because a run on the films starts from its weights.
        """
        records = [r for r in results.load_all(self.recordings, name) if _real(r)]
        return [r for r in records if all(_field(r, k) == v for k, v in filters.items())]


def start(profile: str = "quick", seed: int = 0, data: str | os.PathLike[str] = PHANTOM) -> Run:
    """Begin a chapter: check what was asked, open the data, say which versions and which data these are.

    Args:
        profile: "quick" or "paper".
        seed: 0 to 2**32 - 1.
        data: "phantom" (written once, then found again), "mini-MIAS" (found where `mammolib data fetch` put it), or a
            folder in the mini-MIAS layout.

    Raises:
        ValueError: an argument is not one of these; a film or a row of the data is wrong.
        FileNotFoundError: the data are not there; the line says how to get them.
        RuntimeError: the kernel is not of the environment that executes the book.
    """
    expected = os.environ.get(PREFIX, sys.prefix)
    if Path(expected).resolve() != Path(sys.prefix).resolve():
        raise RuntimeError(
            f"this kernel runs in {sys.prefix}, the book in {expected}: a kernel of the same name hides the right one; "
            "see `jupyter kernelspec list`"
        )
    kind = profiles.profile(profile)
    profiles.check_seed(seed)
    films, digest, name = open_data(kind, seed, data)
    versions = [f"Python {platform.python_version()}", f"mammolib {mammolib.__version__}"]
    versions += [f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "keras") if name in sys.modules]
    if "keras" in sys.modules:
        versions[-1] += f" on {sys.modules['keras'].backend.backend()}"
    print(", ".join(versions))
    print(
        f"{name}: {len(films)} films of {len({f.woman for f in films})} women, digest {digest[:12]}; "
        f"profile {kind.name}, seed {seed}"
    )
    return Run(kind, seed, films, digest, name, results.run_store(), results.recorded())


def open_data(profile: Profile, seed: int, data: str | os.PathLike[str]) -> tuple[list[mias.Film], str, str]:
    """Return the films, their digest, and the data's name; phantoms are written if they are not there.

    Raises:
        ValueError, FileNotFoundError: see `start`.
    """
    if not isinstance(data, str | os.PathLike) or not os.fspath(data):
        raise ValueError(f"data: {data!r} is not 'phantom', 'mini-MIAS' or a folder")
    if data == PHANTOM:
        from mammolib import phantom

        folder, name = phantom.ensure(results.root() / "_build" / "data", women=profile.women, seed=seed), PHANTOM
    elif data == MINI_MIAS:
        folder, name = mias.find(), MINI_MIAS
    else:
        folder = Path(data).expanduser().resolve()
        name = folder.name
        if not folder.is_dir():
            raise FileNotFoundError(f"data: {data} is not 'phantom', 'mini-MIAS' or a folder that exists")
    films = mias.load(folder)
    digest = mias.digest(films)
    return films, digest, MINI_MIAS if digest in mias.DIGESTS else name


def _in_words(cells: Mapping[str, Sequence[str]], names: Sequence[str]) -> pd.DataFrame:
    """Return a table whose rows are metrics, by their names in words."""
    import pandas as pd

    return pd.DataFrame(cells, index=[metric_words(name) for name in names])


def _head(record: results.Record, key: str) -> str:
    """Return a field or a setting as a word: "at random" for a split, in words what is on or off."""
    value = results.SPLITS.get(record.split, record.split) if key == "split" else _field(record, key)
    return change_words(key, value) if isinstance(value, bool) else str(value)


def _real(record: results.Record) -> bool:
    """Say whether a committed record is a complete run on films; see `Run.all_recorded`."""
    return record.complete and record.data["name"] != PHANTOM


def _field(record: results.Record, key: str) -> Any:
    """Return a field of a record, or else one of its settings."""
    return getattr(record, key) if hasattr(record, key) else record.settings.get(key)


def _spread(records: Sequence[results.Record], name: str) -> str:
    """Return the mean of a metric over some runs, with the lowest and the highest where there are several."""
    values = [r.metrics[name]["value"] for r in records if name in r.metrics]
    return seeds_words([value for value in values if value is not None])
