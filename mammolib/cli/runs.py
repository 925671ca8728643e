"""`mammolib experiment`, `claims` and `remeasure`: runs, and what their records say."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import click

from .group import FOLDER, main


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
