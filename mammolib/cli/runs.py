"""`mammolib experiment`, `plan`, `kit`, `collect`, `claims`, `remeasure`: runs, and what their records say."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .group import DATA, FOLDER, PROFILE, main, options, table

if TYPE_CHECKING:
    from mammolib import mias
    from mammolib.experiments import jobs


_run_options = options(
    click.argument("names", nargs=-1, required=True),
    PROFILE,
    DATA,
    click.option("--seed", type=int, help="The seed of the split, the cuts and the training; 0 if not given."),
    click.option("--seeds", help="Several seeds, such as 0-9 or 0,3,5: each name is run with each."),
    click.option("--split", help="image (if not given), woman; A to E: lesion-order; classifiers: folds."),
    click.option("--splits", help="Several splits, such as image,woman: each name is run by each."),
    click.option("--width", type=float, help="Factor on the network's filters; the profile's if not given."),
    click.option("--updates", type=int, help="A to E: about how many; the profile's if not given."),
    click.option(
        "--variant",
        help="A to E: the paper's settings (stated), or those that train from random weights (trains); "
        "if not given, trains in the quick profile and stated in the paper's.",
    ),
    click.option("--reading", help="Classifiers: a patch is labelled by its film, or by whether it shows the lesion."),
    click.option(
        "--set", "pairs", multiple=True, metavar="KEY=VALUE", help="Change a setting; may be given repeatedly."
    ),
    click.option("--of", help="E, -films and -inside: the run that is meant, such as A-0123456789ab."),
    click.option("--out", type=FOLDER, help="The folder for records and weights; _build/runs if not given."),
    click.option("--budget", type=click.FloatRange(min=0), help="Seconds after which all has stopped."),
)


def _jobs(
    names: tuple[str, ...], profile: str, data: str, pairs: tuple[str, ...], out: Path | None, **given: Any
) -> list[jobs.Job]:
    """Return a job for each name, split and seed; what cannot be is refused before films are read or made."""
    from mammolib import results
    from mammolib.book import session
    from mammolib.experiments import profiles

    size = profiles.profile(profile)
    changes = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier():
            raise ValueError(f"--set: {pair!r} is not of the form KEY=VALUE")
        changes[key] = value
        with contextlib.suppress(ValueError):  # no number, true, false, null or list: a word
            changes[key] = json.loads(value)
    one = {option: given.pop(option) for option in ("seed", "split")}
    several = {option: given.pop(f"{option}s") for option in one}
    for option, value in one.items():
        if value is not None and several[option] is not None:
            two = f"{value!r} and {several[option]!r}"
            raise ValueError(f"{option}s: give --{option} or --{option}s, not both; got {two}")
    from mammolib.experiments import jobs, named  # Keras comes with it, so not before the options are read

    seeds = [one["seed"]] if several["seed"] is None else jobs.numbers(several["seed"])
    splits = [one["split"]] if several["split"] is None else several["split"].split(",")
    store = (results.run_store() if out is None else out).absolute()
    given |= {"profile": size, "store": store, "changes": changes or None}
    each = [{**given, "seed": seed, "split": split} for split in splits for seed in seeds]
    for name, run in itertools.product(names, each):  # before another run takes its time
        with contextlib.suppress(FileNotFoundError):  # a run of A that an earlier name makes
            named.outline(name, **run)

    @functools.cache
    def opened(seed: int) -> tuple[list[mias.Film], dict[str, Any]]:
        films, digest, about = session.open_data(size, seed, data)
        return films, {"name": about, "digest": digest, "films": len(films)}

    drawn = data == session.PHANTOM  # phantoms are drawn by the seed
    return [
        jobs.Job(name, *opened((run["seed"] or 0) if drawn else 0), run) for name, run in itertools.product(names, each)
    ]


@main.command()
@_run_options
@click.option("--checkpoint", type=click.IntRange(min=1), help="Updates between checkpoints; if not given, ten epochs.")
@click.option("--jobs", "workers", type=click.IntRange(min=1), help="Runs at a time; 1, or all that a cluster takes.")
@click.option("--engine", help="A cluster that is there: dask://HOST:PORT or ray://HOST:PORT.")
def experiment(
    names: tuple[str, ...],
    checkpoint: int | None,
    budget: float | None,
    workers: int | None,
    engine: str | None,
    **given: Any,
) -> None:
    """Run NAMES and record them; what is recorded already is not run again.

    NAMES are A, B, C-300x2, C-200x3, D-100x6, D-200x3, D-300x2, E-before and E-after; the classifiers cnni-bcc and
    vgg16; the baselines lookup, loss-levels and leak; A-films, E-after-films and so on: the network of such a run on
    whole films; A-inside and so on: how many of its outputs are above zero; and benchmark-laplacian, benchmark-features
    and so on: a detector of whole films on the benchmark.

    The exit status is 1 if a run failed (the others are made all the same), and 75 if --budget left some for another
    call of the same command.
    """
    from time import time

    began = time()
    asked = _jobs(names, **given)
    from mammolib.experiments import jobs
    from mammolib.training import Execution

    often: dict[str, Any] = {} if checkpoint is None else {"checkpoint_every": checkpoint, "checkpoint_unit": "update"}
    execution = Execution(deadline=None if budget is None else began + budget, **often)
    ended = []
    for done in jobs.run(asked, execution, workers, engine, click.echo):
        ended.append(done)
        if done.record is not None:
            path = done.job.options["store"] / done.record.file_name
            click.echo(", ".join([f"{path}: {done.record.outcome}", *_said(done.record.metrics)]))
            if len(asked) > 1:
                left = (time() - began) / len(ended) * (len(asked) - len(ended))
                click.echo(f"{len(ended)} of {len(asked)} runs, about {left / 60:.0f} min left")
    failed, cut = [(d.job, d.error) for d in ended if d.error is not None], [d for d in ended if d.left]
    if len(asked) == len(failed) == 1:
        raise failed[0][1]
    for done in cut:
        click.echo(f"left for another call: {done.job}, {done.left}")
    for job, error in failed:
        click.echo(f"mammolib: {job}: {' '.join(str(error).split())}", err=True)
    raise SystemExit(1 if failed else 75 if cut else 0)


@main.command()
@_run_options
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    help="Images a second of every training; measured here if not given.",
)
def plan(names: tuple[str, ...], budget: float | None, rate: float | None, **given: Any) -> None:
    """Say in which order NAMES are best run, the shortest first, and when each ends; nothing is run.

    What is recorded costs nothing. Seconds are those of training; tests and the start of the program come on top.
    """
    from mammolib.experiments import jobs

    rows = [("run", "updates x batch", "images", "seconds", "ends at")]
    planned = jobs.plan(_jobs(names, **given), rate)
    for row in planned:
        line, said = row.outline, "recorded" if row.outline.recorded else f"{row.seconds:.0f}"
        size = (f"{line.updates} x {line.batch}", f"{line.images}") if line.images else ("no training", "0")
        rows.append((str(row.job), *size, said, f"{row.end:.0f} s"))
    click.echo(table(rows))
    if budget is not None:
        click.echo(f"{sum(row.end <= budget for row in planned)} of {len(planned)} end within {budget:g} s")


@main.command()
@click.argument("folder", type=FOLDER)
@click.option("--films", default="lesions", show_default=True, help="Which films travel: lesions, all or none.")
@click.option("--data", type=FOLDER, help="The films; where the book finds them if not given.")
@click.option("--python", default="3.12", show_default=True, help="The version of the other machine's Python.")
@click.option("--chapters", is_flag=True, help="Bring what executes chapters, too; 60 MB more.")
def kit(folder: Path, films: str, data: Path | None, python: str, chapters: bool) -> None:
    """Write FOLDER for a machine without internet: project, packages, films, and run.sh."""
    from mammolib import results
    from mammolib.book import kit as room

    if results.commit().endswith("+dirty"):
        click.echo("what is not committed does not travel", err=True)
    room.pack(folder, films, data, python, chapters)
    for path in sorted(folder.iterdir()):
        click.echo(f"{path}: {path.stat().st_size / 2**20:.1f} MiB")
    click.echo(f"On the other machine: bash {folder.name}/run.sh SECONDS")


@main.command()
@click.argument("folder", type=FOLDER)
def collect(folder: Path) -> None:
    """Take the records of FOLDER into the project: into _build/runs, and those on the real films into book/results."""
    from mammolib.book import kit as room

    taken = room.collect(folder)
    for name, why in taken:
        click.echo(f"{name}: {'not shown in the book, ' + why if why else 'book/results'}")
    if any(why.startswith("refused") for _, why in taken):
        raise SystemExit(1)


def _said(metrics: Mapping[str, Any]) -> list[str]:
    """Return a run's headline numbers, in words."""
    heads = ("map", "test_accuracy", "auc", "froc_score")
    found = {k: v["value"] for k, v in metrics.items() if k.startswith(heads) and v["value"] is not None}
    return [f"{k} {value:.3g}" for k, value in found.items() if "@" not in k]


@main.command()
@click.option("--all", "every", is_flag=True, help="Every claim: what was counted, built, timed and set, too.")
@click.option("--chapter", help="The claims of one chapter only, such as 07.")
@click.option("--json", "as_json", is_flag=True, help="For programs: a list with an entry for each claim.")
def claims(every: bool, chapter: str | None, as_json: bool) -> None:
    """Set every claim of the paper beside the recorded runs, with a verdict and its reason."""
    from mammolib import results

    asked = results.claims(chapter=chapter)
    rows = results.judge(asked, results.load_all(results.recorded()), every=False)
    if as_json:
        click.echo(json.dumps([row.as_data() for row in rows], indent=1))
        return
    click.echo(results.headline(rows) + "\n")
    click.echo(results.listed(row for row in rows if every or row.claim.group == "trained"))


@main.command()
@click.argument("folder", type=FOLDER, required=False)
def remeasure(folder: Path | None) -> None:
    """Compute the intervals of the records in FOLDER again, from what they hold; book/results if not given.

    Nothing is trained, and no value changes.
    """
    from mammolib import results
    from mammolib.experiments import remeasure as room

    written = room.remeasure(folder or results.recorded())
    click.echo("\n".join([*written, f"{len(written)} records were renewed"]))
