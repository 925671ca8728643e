"""A run's record, the paper's claims as data, and the table that sets the one beside the other.

- `Record`, `metric`, `start_of`, `save`, `load`, `load_all`, `find`, `once`: one run, kept as one JSON file.
- `machine`, `root`, `recorded`, `run_store`: where a run ran and where records lie.
- `claims`, `layer_table`: what the paper states (see claims.toml for the scheme of names).
- `series`, `standing`: runs that differ in their seed only, which of several series speaks for an
  experiment, and how one is named.
- `paper_beside_ours`, `judge`, `show`, `headline`, `listed`: claims beside records, with a verdict and its reason.
- `results_page`, `runs_page`: two pages of the book.
"""

from .claims import Claim, claims, layer_table, sections
from .comparison import judge, paper_beside_ours
from .machine import commit, machine, recorded, root, run_store
from .pages import results_page, runs_page
from .record import NO_DATA, Record, find, load, load_all, metric, once, save, start_of
from .runs import SPLITS, key_but, own_changes, plain_words, series, shared_changes, standing
from .tables import headline, listed, show
from .verdicts import VERDICTS
from .words import change_words, metric_words

__all__ = [
    "NO_DATA", "SPLITS", "VERDICTS", "Claim", "Record", "change_words", "claims", "commit", "find", "headline", "judge",
    "key_but", "layer_table", "listed", "load", "load_all", "machine", "metric", "metric_words", "once", "own_changes",
    "paper_beside_ours", "plain_words", "recorded", "results_page", "root", "run_store", "runs_page", "save",
    "sections", "series", "shared_changes", "show", "standing", "start_of",
]  # fmt: skip
