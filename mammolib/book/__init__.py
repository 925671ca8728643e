"""The book: what a chapter begins with, how chapters are executed, and how the pages are made.

In a chapter: ``run = book.start(profile, seed, data)``. From outside: `run`, `build`, `epub`, `printed`, `make_slides`
and `refresh`, which the command ``mammolib`` calls. Starting a chapter needs neither papermill nor Sphinx.
"""

from mammolib.book.execute import Outcome, run
from mammolib.book.hygiene import problems
from mammolib.book.printing import printed
from mammolib.book.render import build, build_early
from mammolib.book.session import Run, start
from mammolib.book.slides import make_slides
from mammolib.book.sources import refresh
from mammolib.book.takeaway import epub

__all__ = [
    "Outcome", "Run", "build", "build_early", "epub", "make_slides", "printed", "problems", "refresh", "run", "start",
]  # fmt: skip
