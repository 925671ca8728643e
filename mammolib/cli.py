"""The command ``mammolib``: data, chapters, pages, benchmarks. Each command only reads its options and calls mammolib.

To add one, write a function under ``@main.command()`` that imports what it needs when it is called.
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import click

import mammolib

EXPECTED = (ValueError, OSError, RuntimeError, ImportError)
"""What bad input, a full disk or a missing package raise: their own words are the message."""

FOLDER = click.Path(path_type=Path)


class _OneLine(click.Group):
    """A group whose errors are one line on standard error, and a traceback with --debug only."""

    def main(self, args: list[str] | None = None, **extra: Any) -> Any:  # type: ignore[override]
        """Run the command line and exit: 0 done, 1 failed, 2 misused, 130 stopped by Ctrl-C."""
        args = list(sys.argv[1:] if args is None else args)
        debug = "--debug" in args
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow greets whoever imports it
        args = [a for a in args if a != "--debug"]
        try:
            status = super().main(args, **{**extra, "standalone_mode": False})
        except click.ClickException as err:
            err.show()
            status = err.exit_code
        except (click.Abort, KeyboardInterrupt):
            status = _fail("stopped", debug, 130)
        except EXPECTED as err:
            status = _fail(" ".join(str(err).split()) or type(err).__name__, debug, 1)
        except Exception as err:
            status = _fail(f"{type(err).__name__}: {' '.join(str(err).split())} (--debug shows where)", debug, 1)
        sys.exit(status if isinstance(status, int) else 0)


def _fail(line: str, debug: bool, status: int) -> int:
    if debug:
        traceback.print_exc()
    click.echo(f"mammolib: {line}", err=True)
    return status


@click.group(cls=_OneLine, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="On an error, show where it happened.")
@click.version_option(mammolib.__version__, prog_name="mammolib")
def main(debug: bool) -> None:
    """Mammogram classification and lesion detection on mini-MIAS, reproduced and explained.

    For teaching and research. Not for clinical use.
    """


@main.group()
def data() -> None:
    """Get the mini-MIAS films, or check a copy of them."""


@data.command()
@click.option("--from", "source", type=FOLDER, help="An archive or a folder you have; downloaded if not given.")
@click.option("--to", type=FOLDER, help="Where to put the films; your user's cache if not given.")
def fetch(source: Path | None, to: Path | None) -> None:
    """Put a verified copy of mini-MIAS where the book finds it."""
    from mammolib import mias

    click.echo(f"{mias.NOTICE}\n\nCitation: {mias.CITATION}\n")
    folder = mias.fetch(source, to)
    click.echo(f"{folder}: {len(mias.load(folder))} films, all verified")
    if to is not None:
        click.echo(f"The book finds them with --data {folder}, or with {mias.VARIABLE}={folder} in the environment.")


@data.command()
@click.argument("folder", type=FOLDER, required=False)
def check(folder: Path | None) -> None:
    """Say what is missing, damaged or unknown in a copy of mini-MIAS, film by film.

    FOLDER is the copy; the one that the book would use if not given.
    """
    from mammolib import mias

    folder = mias.find() if folder is None else folder
    problems = mias.check(folder)
    part = mias.part_of(folder) if problems else None
    if part:
        return click.echo(f"{folder}: {part}, as mini-MIAS is distributed")
    for problem in problems:
        click.echo(str(problem))
    if problems:
        raise ValueError(f"{folder}: {len(problems)} of its files are not as mini-MIAS is distributed")
    click.echo(f"{folder}: all files are as mini-MIAS is distributed")


@data.command()
@click.argument("archive", type=FOLDER)
@click.option("--part", default="lesions", show_default=True, help="lesions: films with lesions; normal: the others.")
@click.option("--data", "folder", type=FOLDER, help="The films; where the book finds them if not given.")
def pack(archive: Path, part: str, folder: Path | None) -> None:
    """Write a part of the films into ARCHIVE, a .tar.bz2, for a machine that cannot fetch them."""
    from mammolib import mias

    packed = mias.pack(mias.find(folder), archive, part)
    click.echo(f"{archive}: {packed} films, {archive.stat().st_size / 2**20:.1f} MiB")


def _chapter_options(command: Any) -> Any:
    """Give a command the options of `mammolib run`."""
    for option in reversed(
        [
            click.argument("chapters", nargs=-1),
            click.option("--profile", default="quick", show_default=True, help="How much is asked: quick or paper."),
            click.option(
                "--data", default="phantom", show_default=True, help="phantom, mini-MIAS, or a folder of films."
            ),
            click.option("--seed", default=0, show_default=True, help="The seed of everything that draws."),
            click.option("--jobs", type=int, help="Chapters at a time; two if not given, one for the paper's profile."),
            click.option("--timeout", type=click.IntRange(min=1), help="Seconds that one cell may take."),
            click.option("--force", is_flag=True, help="Execute also what has not changed."),
        ]
    ):
        command = option(command)
    return command


def _run(chapters: tuple[str, ...], **options: Any) -> None:
    from mammolib import book
    from mammolib.experiments.profiles import check_seed

    check_seed(options["seed"])
    outcomes = book.run(chapters, say=click.echo, **options)
    failed = [o.chapter for o in outcomes if o.status == "failed"]
    if failed:
        raise ValueError(f"{len(failed)} of {len(outcomes)} chapters failed: {', '.join(failed)}")


@main.command()
@_chapter_options
def run(chapters: tuple[str, ...], **options: Any) -> None:
    """Execute CHAPTERS, by name or number; all of the book if none is given. What has not changed is not run again."""
    _run(chapters, **options)


@main.command()
@click.option("--executed", type=FOLDER, help="A folder of chapters that were executed on another machine.")
@click.option("--public", is_flag=True, help="The pages are to be published: refuse chapters run on real films.")
def build(executed: Path | None, public: bool) -> None:
    """Make the pages from the executed chapters, and print the page to open."""
    from mammolib import book

    book.build(executed=executed, public=public, say=click.echo)


@main.command()
@_chapter_options
def book(chapters: tuple[str, ...], **options: Any) -> None:
    """Execute chapters and make the pages: run and build in one. First pages appear after the first chapters."""
    from mammolib import book as room

    _run(chapters, early=lambda: room.build_early(say=click.echo), **options)
    room.build(say=click.echo)


@main.command()
@click.argument("chapters", nargs=-1)
@click.option("--force", is_flag=True, help="Execute also what has not changed.")
@click.option("--check", is_flag=True, help="Only look for films, annotations and pictures of films in git.")
def refresh(chapters: tuple[str, ...], force: bool, check: bool) -> None:
    """Store in the sources of CHAPTERS the outputs that nbval compares, and no other: for authors."""
    from mammolib import book

    if check:
        found = book.problems()
        click.echo("\n".join(found) or "nothing in git that may not be passed on")
        raise SystemExit(1 if found else 0)
    changed = book.refresh(chapters, force=force, say=click.echo)
    click.echo(f"{len(changed)} files changed" + "".join(f"\n{path}" for path in changed))


@main.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--profile", default="quick", show_default=True, help="How much is asked: quick or paper.")
@click.option("--data", default="phantom", show_default=True, help="phantom, mini-MIAS, or a folder of films.")
@click.option("--seed", type=int, help="The seed of the split, the cuts and the training; 0 if not given.")
@click.option("--split", help="image (if not given), woman; A to E: lesion-order; classifiers: folds.")
@click.option("--width", type=float, help="Factor on the network's filters; the profile's if not given.")
@click.option("--updates", type=int, help="A to E: about how many; the profile's if not given.")
@click.option(
    "--variant",
    help="A to E: the paper's settings (stated), or those that train from random weights (trains); "
    "if not given, trains in the quick profile and stated in the paper's.",
)
@click.option("--reading", help="Classifiers: a patch is labelled by its film, or by whether it shows the lesion.")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="Change a setting; may be given repeatedly.")
@click.option("--of", help="E, and -films: the run to start from or to show, such as A-0123456789ab.")
@click.option("--checkpoint", type=click.IntRange(min=1), help="Updates between checkpoints; if not given, ten epochs.")
@click.option("--out", type=FOLDER, help="The folder for records and weights; _build/runs if not given.")
def experiment(
    names: tuple[str, ...],
    profile: str,
    data: str,
    seed: int | None,
    pairs: tuple[str, ...],
    checkpoint: int | None,
    out: Path | None,
    **options: Any,
) -> None:
    """Run NAMES and record them; what is recorded already is not run again.

    NAMES are A, B, C-300x2, C-200x3, D-100x6, D-200x3, D-300x2, E-before and E-after; the classifiers cnni-bcc and
    vgg16; the baselines lookup, loss-levels and leak; A-films, E-after-films and so on: the network of such a run on
    whole films; and benchmark-laplacian, benchmark-features and so on: a detector of whole films on the benchmark.
    """
    from mammolib import results
    from mammolib.book import session
    from mammolib.experiments import profiles

    size = profiles.profile(profile)
    changes = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier():
            raise ValueError(f"--set: {pair!r} is not of the form KEY=VALUE")
        changes[key] = _value(value)
    store = results.run_store() if out is None else out
    from mammolib.experiments import named  # Keras comes with it, so not before the options are read
    from mammolib.training import Execution

    asked = {"profile": size, "store": store, "seed": seed, "changes": changes if pairs else None, **options}
    for one in names:  # before films are read, or made, or another run takes its time
        with contextlib.suppress(FileNotFoundError):  # a run of A that an earlier name makes
            named.check(one, **asked)
    films, digest, name = session.open_data(size, seed or 0, data)
    about = {"name": name, "digest": digest, "films": len(films)}
    kept = {} if checkpoint is None else {"checkpoint_every": checkpoint, "checkpoint_unit": "update"}
    for one in names:
        record = named.run_named(one, films, data=about, execution=Execution(**kept), say=click.echo, **asked)
        click.echo(", ".join([f"{store / record.file_name}: {record.outcome}", *_said(record.metrics)]))


def _said(metrics: dict[str, Any]) -> list[str]:
    """Return a run's headline numbers, in words."""
    heads = ("map", "test_accuracy", "auc", "froc_score")
    found = {k: v["value"] for k, v in metrics.items() if k.startswith(heads) and v["value"] is not None}
    return [f"{k} {value:.3g}" for k, value in found.items() if "@" not in k]


def _value(text: str) -> Any:
    """Read a setting's value: a number, true, false, null, a list, or else a word."""
    import json

    try:
        return json.loads(text)
    except ValueError:
        return text


@main.command()
@click.argument("image", type=FOLDER)
@click.option("--weights", type=FOLDER, help="A run's folder, or a .keras or .weights.h5 file.")
@click.option("--detector", "rung", help="Or a detector of the benchmark, such as laplacian or features, fitted now.")
@click.option(
    "--data", type=FOLDER, help="With --detector: the films to fit it on; where the book finds them if not given."
)
@click.option("-o", "--out", type=FOLDER, help="Where to write the picture with boxes, as PNG.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, not a table.")
@click.option("--confidence", default=0.3, show_default=True, help="What a detection must exceed.")
@click.option("--spacing", type=float, help="Millimetres a pixel, if the file does not say.")
@click.option("--divide-by", type=float, help="What the network's input was divided by, if the weights do not say.")
def detect(
    image: Path,
    weights: Path | None,
    rung: str | None,
    data: Path | None,
    out: Path | None,
    as_json: bool,
    confidence: float,
    spacing: float | None,
    divide_by: float | None,
) -> None:
    """Find lesions on IMAGE, a PGM, PNG or DICOM file. For teaching and research: not for clinical use."""
    from mammolib.detectors import windows as room

    if (weights is None) == (rung is None):
        raise click.UsageError("give either --weights or --detector")
    if rung is not None:
        from mammolib import mias, results
        from mammolib.experiments import rungs

        one = rungs.detector(rung, results.run_store() / "features").fit(mias.load(mias.find(data)))
        report = room.detect_file(image, one, out, confidence, spacing, name=rung)
        return click.echo(report.json() if as_json else report.table())
    assert weights is not None
    options = {} if divide_by is None else {"divide_by": divide_by}
    network = _network_of_run(weights, options) if weights.is_dir() else room.load_detector(weights, **options)
    report = room.detect_file(image, network, out, confidence, spacing, name=str(weights))
    click.echo(report.json() if as_json else report.table())


def _network_of_run(folder: Path, options: dict[str, float]) -> Any:
    """Return the detector whose weights a run left: with the run's own model.json if it wrote one."""
    from mammolib import training
    from mammolib.detectors import windows as room

    places = [p for p in (folder, folder / "weights") if (p / training.export.MANIFEST).is_file()]
    place = places[0] if places else folder
    if (place / training.export.MODEL).is_file():
        return training.load_network(place)
    return room.from_arrays(training.read_weights(place), str(place), **options)


@main.command()
@click.option("--all", "every", is_flag=True, help="Every claim: what was counted, built, timed and set, too.")
@click.option("--chapter", help="The claims of one chapter only, such as 07.")
@click.option("--json", "as_json", is_flag=True, help="For programs: a list with an entry for each claim.")
def claims(every: bool, chapter: str | None, as_json: bool) -> None:
    """Set every claim of the paper beside the recorded runs, with a verdict and its reason."""
    import json

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


@main.command("leak-check", context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def leak_check(arguments: tuple[str, ...]) -> None:
    """Find pictures that lie on two sides of a split: in training and in test.

    ARGUMENTS are a folder with a folder for each part, or a CSV file with path, part and group; --group-pattern RE,
    --json, --html FILE. The exit status is 1 if something is found.
    """
    from mammolib.leak_check import main as check

    raise SystemExit(check(arguments))


@main.command()
@click.argument("rooms", nargs=-1)
@click.option("--data", type=FOLDER, help="The folder of the real films; where the book finds them if not given.")
def bench(rooms: tuple[str, ...], data: Path | None) -> None:
    """Measure this machine: what each room of ROOMS must reach, and what it reaches here."""
    from mammolib import bench as room
    from mammolib import mias, results

    found = room.benchmarks(rooms or room.ROOMS)
    if data is None:
        try:
            data = mias.find()
        except FileNotFoundError:
            click.echo("Without the real films, what needs them is skipped: `mammolib data fetch`.")
    rows = []
    for name, benchmark in found:
        rows.append((name, benchmark.name, benchmark.target, benchmark.run(None if data is None else str(data))))
        click.echo(f"{name}: {benchmark.name}: {rows[-1][-1]} (asked: {benchmark.target})")
    here = results.machine()
    versions = ", ".join(f"{k} {v}" for k, v in here["versions"].items())
    click.echo(f"\n{here['processor']}, {here['cores']} cores, GPU {here['gpu'] or 'none'}, Keras on {here['backend']}")
    click.echo(f"Python {here['python']}, {versions}, commit {here['commit']}")
    click.echo(_table([("room", "benchmark", "asked", "measured"), *rows]))


@main.command()
@click.argument("predictions", nargs=-1, type=FOLDER)
@click.option("--data", "folder", type=FOLDER, help="The films; where the book finds them if not given.")
@click.option("--out", type=FOLDER, help="A folder for the record.")
@click.option("--mean", is_flag=True, help="The files are repeats of one detector: score the mean over them.")
@click.option("--name", help="What the leaderboard calls the detector.")
@click.option("--figure", type=FOLDER, help="Where to draw the FROC curves: a .svg, .png or .pdf file.")
@click.option("--example", is_flag=False, flag_value="-", metavar="[FILE]", help="Write a valid file, or print it.")
@click.option("--coco", is_flag=True, help="Write the example in COCO's format of results.")
def benchmark(
    predictions: tuple[Path, ...],
    folder: Path | None,
    out: Path | None,
    mean: bool,
    name: str | None,
    figure: Path | None,
    example: str | None,
    coco: bool,
) -> None:
    """Score PREDICTIONS, a JSON file of detections on all films; of two such files, their paired difference.

    The file is in the benchmark's format (--example shows it) or in COCO's format of results.
    """
    from mammolib import benchmark as room
    from mammolib import mias, results
    from mammolib.benchmark import report

    if example is not None:
        if example == "-":
            return click.echo(room.text(room.example(), coco), nl=False)
        return room.write(room.example(), example, coco)
    if not predictions or (len(predictions) > 2 and not mean):
        raise click.UsageError(
            f"give one file of detections, two to compare, or several with --mean; got {len(predictions)}"
        )
    films = mias.load(mias.find(folder))
    read = [room.read(path, [film.reference for film in films]) for path in predictions]
    if mean or len(read) == 1:
        record = room.score(read, films, source=str(predictions[0]), name=name)
        heading, tables = report.heading(record), report.tables(record)
    else:
        record = room.compare(*read, films, sources=tuple(map(str, predictions)))
        heading, tables = report.heading_compared(record), report.tables_compared(record)
    click.echo("\n\n".join([heading, *map(_table, tables)]))
    if out is not None:
        click.echo(f"\n{results.save(record, out, replace=True)}")
    if figure is not None:
        from mammolib.plots.benchmark import froc

        froc(record).savefig(figure, metadata={"Date": None} if figure.suffix == ".svg" else None)


def _table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    rows = [rows[0], tuple("-" * w for w in widths), *rows[1:]]
    return "\n".join("| " + " | ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)) + " |" for r in rows)


if __name__ == "__main__":
    main()
