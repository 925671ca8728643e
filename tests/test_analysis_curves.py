"""Runs beside each other: the axes a fair comparison needs, and what it says of a run that is missing or exploded."""

from dataclasses import replace

import numpy as np

from mammolib.analysis import curves
from mammolib.results import Record


def run(name: str = "A", batch: int = 100, updates: tuple[int, ...] = (300, 600), **metrics: float) -> Record:
    """A finished run over 600 images whose validation loss, L2 aside, falls from 8 to 6."""
    n = len(updates)
    falls = {"val_loss": (10, 7), "val_localisation": (3, 2), "val_confidence": (5, 4)}
    epoch = {"epoch": list(range(1, n + 1)), "update": list(updates)}
    epoch |= {column: np.linspace(*ends, n).tolist() for column, ends in falls.items()}
    return Record(
        name,
        {"batch": batch, "rates": [1e-3], "updates": updates[-1]},
        {"name": "films", "digest": "0" * 64, "films": 1},
        seed=0,
        metrics={"train_images": 600, "updates_done": updates[-1], "val_loss": 7.0, **metrics},
        history={"epoch": epoch, "update": {"update": [1, 2], "loss": [9.0, None]}},
    )


DIVERGED = replace(
    run("B", updates_done=12),
    outcome="diverged at update 12",
    history={"epoch": {}, "update": {"update": [12], "loss": [float("inf")]}},
)


def test_passes_are_images_shown_over_images_there():
    history = curves.with_passes(run(batch=300))
    assert history["epoch"]["passes"] == [150, 300]
    assert history["update"] == {"update": [1, 2], "loss": [9, None], "passes": [0.5, 1]}
    assert history["epoch"]["val_detection_loss"] == [8, 6]
    empty = curves.with_passes(DIVERGED)
    assert empty == {"epoch": {"epoch": [], "passes": []}, "update": {"update": [12], "loss": [None], "passes": [2]}}


def test_lengths_name_the_missing_and_the_exploded():
    table = curves.lengths({"A": run(seconds_per_pass=76.0), "B": DIVERGED, "C": None})
    assert table.loc["A"].tolist() == ["100", "0.001", "600", "100", "7.00", "–", "76", "finished"]
    assert table.loc["B", ["updates", "passes", "outcome"]].tolist() == ["12", "2", "diverged at update 12"]
    assert table.loc["C"].tolist() == ["–"] * 7 + ["not recorded"]


def test_equal_updates_and_equal_passes():
    """A reaches 600 updates in 100 passes, C in 300: read A where C stops, and C where A stops."""
    both = {"A": run(updates=(300, 900)), "C": run("C", 300, (200, 600)), "B": DIVERGED, "none": None}
    table = curves.at_equal(both)
    assert table.columns.tolist() == ["after 600 updates", "after 150 passes"]
    assert table.loc["A"].tolist() == ["7.00", "6.00"]
    assert table.loc["C"].tolist() == ["6.00", f"{8 - 2 * 50 / 200:.2f}"]
    early = curves.at_equal({"A": run(updates=(500, 900)), "C": run("C", 300, (400,))})
    assert early.loc["A", "after 400 updates"] == "–", "before its first validation a loss is not known"
    assert curves.at_equal({}).empty


def test_labels_tell_runs_apart():
    one = run("C-300x2", 300)
    assert list(curves.labelled([one, replace(one, seed=1), run()])) == [
        "batch 300, 600 updates at 0.001",
        "batch 300, 600 updates at 0.001, seed 1",
        "A, 600 updates at 0.001",
    ]
