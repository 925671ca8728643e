"""The command itself: its name, its version, and what becomes of an error."""

from __future__ import annotations

import functools
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

import mammolib

EXPECTED = (ValueError, OSError, RuntimeError, ImportError)
"""What bad input, a full disk or a missing package raise: their own words are the message."""

FOLDER = click.Path(path_type=Path)
PROFILE = click.option("--profile", default="quick", show_default=True, help="How much is asked: quick or paper.")
DATA = click.option("--data", default="phantom", show_default=True, help="phantom, mini-MIAS, or a folder of films.")


def options(*given: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a decorator that gives a command options, in the order of its help."""
    return lambda command: functools.reduce(lambda made, option: option(made), reversed(given), command)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a table of text; the first is its head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows = [rows[0], ["-" * w for w in widths], *rows[1:]]
    return "\n".join("| " + " | ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)) + " |" for r in rows)


class _OneLine(click.Group):
    """A group whose errors are one line on standard error, and a traceback with --debug only."""

    def main(self, args: list[str] | None = None, **extra: Any) -> Any:  # type: ignore[override]
        """Run the command line and exit: 0 done, 1 failed, 2 misused, 130 stopped by Ctrl-C."""
        args = list(sys.argv[1:] if args is None else args)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow greets whoever imports it
        sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # see `book.notebooks.UNUSED`
        try:
            status = super().main([a for a in args if a != "--debug"], **{**extra, "standalone_mode": False})
        except click.ClickException as err:
            err.show()
            status = err.exit_code
        except (Exception, KeyboardInterrupt) as err:
            words, status = " ".join(str(err).split()), 1
            if isinstance(err, click.Abort | KeyboardInterrupt):
                words, status = "stopped", 130
            elif not isinstance(err, EXPECTED):
                words = f"{type(err).__name__}: {words} (--debug shows where)"
            if "--debug" in args:
                traceback.print_exc()
            click.echo(f"mammolib: {words or type(err).__name__}", err=True)
        sys.exit(status if isinstance(status, int) else 0)


@click.group(cls=_OneLine, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="On an error, show where it happened.")
@click.version_option(mammolib.__version__, prog_name="mammolib")
def main(debug: bool) -> None:
    """Mammogram classification and lesion detection on mini-MIAS, reproduced and explained.

    For teaching and research. Not for clinical use.
    """
