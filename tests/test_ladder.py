"""The ladder of whole-film detectors: tables and figures made of records, and the leaderboard's page."""

import numpy as np
import pytest

from mammolib import mias, results
from mammolib.analysis import ladder
from mammolib.book import render
from mammolib.plots import benchmark as figures


def record(name: str, share: float, **settings) -> results.Record:
    points = {"0.25": share / 2, "0.5": share / 1.5, "1": share, "2": share, "4": share}
    metrics = {f"sensitivity_at_{k}": results.metric(v, v / 2, v * 1.1, 104, kind="women") for k, v in points.items()}
    metrics |= {f"sensitivity_at_{x}_{kind}": results.metric(share, n=20) for x in (1, 4) for kind in mias.KINDS}
    curve = {"false_marks": [0, 1, 8], "sensitivity": [0, share, share]}
    data = {"name": "mini-MIAS", "digest": "d", "films": 322}
    settings = {"folds": "0123456789abcdef", **settings}
    return results.Record(name, settings, data, 0, "woman", metrics=metrics, outputs={"curves": {"centre": curve}})


@pytest.fixture
def records():
    return [
        record("benchmark-laplacian", 0.4, detector="laplacian", repeats=5),
        record("benchmark-position", 0.1, detector="position", repeats=5),
        record("benchmark", 0.7, predictions="x", repeat=0),
    ]


def test_tables_say_what_the_records_hold_in_the_order_of_the_ladder(records):
    assert [r.name for r in ladder.rungs(records).values()] == ["benchmark-position", "benchmark-laplacian"]
    table = ladder.ladder_table(records)
    assert list(table.columns) == ["1/4 false mark a film", "1 false mark a film", "4 false marks a film"]
    assert table.iloc[1, 1] == results.words.number_words(records[0].metrics["sensitivity_at_1"])
    by_class = ladder.by_class(records[0])
    assert list(by_class.index) == list(mias.KINDS.values()) and (by_class["women"] == 20).all()


def test_the_leaderboard_begins_with_the_best_and_lists_others(records):
    head, *rows = ladder.leaderboard([*records, record("A", 0.9)])
    assert head[0] == "Detector" and len(rows) == 3
    assert rows[0][0].startswith("benchmark ") and rows[0][-2:] == ("1", "01234567")
    assert rows[2][0] == "where lesions of training women lie"


def test_the_page_gets_the_table_in_the_place_kept_for_it(records):
    page = render._with_leaderboard("# The benchmark\n\n% leaderboard\n\nEnd\n", records)
    assert "| where lesions of training women lie |" in page and "% leaderboard" not in page
    assert "No detector is recorded yet." in render._with_leaderboard("% leaderboard\n", [])


def test_figures_show_every_rung_at_its_place(records):
    rungs = ladder.rungs(records)
    lines = figures.curves(rungs).axes[0].lines
    ends = [line.get_ydata()[-1] for line in lines if len(line.get_ydata()) > 2]
    assert np.allclose(ends, [0.1, 0.4])
    numbers = [record.metrics["sensitivity_at_1"] for record in rungs.values()]
    bars = [list(line.get_ydata()) for line in lines if 0.9 < line.get_xdata()[0] == line.get_xdata()[-1] < 1.1]
    assert [bar for bar in bars if bar != [0, 1]] == [[n["low"], n["high"]] for n in numbers]


def test_labels_are_kept_apart_and_within_the_axes():
    alike = {f"detector {i}": record("benchmark-x", 0.98, detector="features") for i in range(4)}
    places = np.sort([text.xy[1] for text in figures.curves(alike).axes[0].texts])
    assert (np.diff(places) >= 0.05).all() and places[-1] <= 1 + 1e-9
