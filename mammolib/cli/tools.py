"""`mammolib detect`, `benchmark`, `bench` and `leak-check`: for films, detections, machines and data of your own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .group import FOLDER, main, table


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
def detect(image: Path, weights: Path | None, rung: str | None, data: Path | None, as_json: bool, **given: Any) -> None:
    """Find lesions on IMAGE, a PGM, PNG or DICOM file. For teaching and research: not for clinical use."""
    from mammolib.detectors import windows as room

    if (weights is None) == (rung is None):
        raise click.UsageError("give either --weights or --detector")
    divide_by = given.pop("divide_by")
    options = {} if divide_by is None else {"divide_by": divide_by}
    network: Any
    if weights is not None:
        network = _network_of_run(weights, options) if weights.is_dir() else room.load_detector(weights, **options)
    else:
        from mammolib import mias, results
        from mammolib.experiments import rungs

        network = rungs.detector(str(rung), results.run_store() / "features").fit(mias.load(mias.find(data)))
    report = room.detect_file(image, network, name=rung or str(weights), **given)
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
    click.echo(table([("room", "benchmark", "asked", "measured"), *rows]))


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
    predictions: tuple[Path, ...], folder: Path | None, out: Path | None, mean: bool, figure: Path | None, **given: Any
) -> None:
    """Score PREDICTIONS, a JSON file of detections on all films; of two such files, their paired difference.

    The file is in the benchmark's format (--example shows it) or in COCO's format of results.
    """
    from mammolib import benchmark as room
    from mammolib import mias, results
    from mammolib.benchmark import report

    if given["example"] == "-":
        return click.echo(room.text(room.example(), given["coco"]), nl=False)
    if given["example"] is not None:
        return room.write(room.example(), given["example"], given["coco"])
    if not predictions or (len(predictions) > 2 and not mean):
        raise click.UsageError(
            f"give one file of detections, two to compare, or several with --mean; got {len(predictions)}"
        )
    films = mias.load(mias.find(folder))
    read = [room.read(path, [film.reference for film in films]) for path in predictions]
    if mean or len(read) == 1:
        record = room.score(read, films, source=str(predictions[0]), name=given["name"])
    else:
        (one, other), (first, second) = read, map(str, predictions)
        record = room.compare(one, other, films, sources=(first, second))
    click.echo("\n\n".join([report.heading(record), *map(table, report.tables(record))]))
    if out is not None:
        click.echo(f"\n{results.save(record, out, replace=True)}")
    if figure is not None:
        from mammolib.plots.benchmark import froc

        froc(record).savefig(figure, metadata={"Date": None} if figure.suffix == ".svg" else None)
