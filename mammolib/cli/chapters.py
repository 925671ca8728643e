"""`mammolib run`, `build`, `book` and `refresh`: chapters and pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .group import DATA, FOLDER, PROFILE, main, options

_chapter_options = options(
    click.argument("chapters", nargs=-1),
    PROFILE,
    DATA,
    click.option("--seed", default=0, show_default=True, help="The seed of everything that draws."),
    click.option("--jobs", type=int, help="Chapters at a time; two if not given, one for the paper's profile."),
    click.option("--timeout", type=click.IntRange(min=1), help="Seconds that one cell may take."),
    click.option("--force", is_flag=True, help="Execute also what has not changed."),
)


@main.command()
@_chapter_options
def run(chapters: tuple[str, ...], **given: Any) -> None:
    """Execute CHAPTERS, by name or number; all of the book if none is given. What has not changed is not run again."""
    from mammolib import book

    outcomes = book.run(chapters, say=click.echo, **given)
    failed = [o.chapter for o in outcomes if o.status == "failed"]
    if failed:
        raise ValueError(f"{len(failed)} of {len(outcomes)} chapters failed: {', '.join(failed)}")


@main.command()
@click.option("--executed", type=FOLDER, help="A folder of chapters that were executed on another machine.")
@click.option("--public", is_flag=True, help="The pages are to be published: refuse chapters run on real films.")
@click.option("--epub", is_flag=True, help="Make _build/mammolib.epub too.")
@click.option(
    "--print", "paper", is_flag=True, help="Make the EPUB, _build/book.html and, with Chromium, book.pdf too."
)
@click.option("--slides", is_flag=True, help="Make _build/slides.html too, with a slide for each figure.")
def build(executed: Path | None, public: bool, epub: bool, paper: bool, slides: bool) -> None:
    """Make the pages from the executed chapters, and print the page to open."""
    from mammolib import book

    book.build(executed=executed, public=public, say=click.echo)
    if epub or paper:
        made = book.epub(say=click.echo)
    if paper:
        book.printed(made, say=click.echo)
    if slides:
        book.make_slides(say=click.echo)


@main.command()
@_chapter_options
def book(chapters: tuple[str, ...], **given: Any) -> None:
    """Execute chapters and make the pages: run and build in one. First pages appear after the first chapters."""
    from mammolib import book as room

    early = {"early": lambda: room.build_early(say=click.echo)}
    click.get_current_context().invoke(run, chapters=chapters, **early, **given)
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
