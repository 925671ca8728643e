"""The command ``mammolib``: data, chapters, pages, runs, tools. Each command only reads its options and calls mammolib.

To add one, write a function under ``@main.command()`` that imports what it needs when it is called.
"""

from . import chapters, films, runs, tools  # noqa: F401  they add their commands
from .group import main

__all__ = ["main"]
