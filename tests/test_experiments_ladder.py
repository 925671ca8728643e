"""Runs alike in all but one change, as a table."""

from __future__ import annotations

import numpy as np

from mammolib.experiments.ladder import ladder, ladder_table
from mammolib.results import Record, metric


def run(name="A", updates=30, outcome="finished", losses=(8.0, 3.0), **changed):
    settings = {"width": 0.125, "batch": 4, "updates": updates, "precision": "float32"}
    settings["changed"] = {"batch": 4} | changed
    metrics = {f"val_detection_loss{at}": metric(v) for at, v in zip(("@epoch1", ""), losses, strict=False)}
    data = {"name": "mini-MIAS", "digest": "ab" * 32, "films": 9}
    return Record(name, settings, data, 0, "image", metrics=metrics, outcome=outcome)


def test_the_largest_group_of_like_runs_is_the_ladder():
    rungs = [run("B"), run(clip=1.0), run()]
    found = ladder([*rungs, run(updates=99), run(updates=99, clip=1.0)])
    assert [(r.name, dict(r.settings["changed"])) for r in found] == [
        ("A", {"batch": 4}),
        ("A", {"batch": 4, "clip": 1.0}),
        ("B", {"batch": 4}),
    ]
    assert ladder([]) == []


def test_the_table_says_what_differs_and_what_trains():
    broken = run(outcome="diverged at update 3", losses=())
    table = ladder_table([broken, run(clip=1.0), run(warmup=5, losses=(8.0, 4.1))])
    assert list(table["changed"]) == ["nothing: as stated", "clip 1.0", "warmup 5"]
    assert list(table["trains"]) == [False, True, False]
    assert table["share left"].tolist()[1:] == [0.38, 0.51] and np.isnan(table["share left"].iloc[0])
    assert next(iter(table["outcome"])) == "diverged at update 3"
    assert ladder_table([]).empty
