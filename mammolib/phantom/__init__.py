"""Synthetic screening films in the mini-MIAS layout, for readers, tests and pages that may not show the real ones.

- `write`, `ensure`: a data set on disk.
- `film`: one film, with its annotations.
"""

from mammolib.phantom.films import Mark, PhantomFilm, film
from mammolib.phantom.writing import VERSION, ensure, write

__all__ = ["VERSION", "Mark", "PhantomFilm", "ensure", "film", "write"]
