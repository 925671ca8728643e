"""The command itself: its name, its version, and what becomes of an error."""

from __future__ import annotations

import functools
import os
import sys
import traceback
from collections.abc import Callable
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
