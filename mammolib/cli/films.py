"""`mammolib data`: get, check and pack the films."""

from __future__ import annotations

from pathlib import Path

import click

from .group import FOLDER, main


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
