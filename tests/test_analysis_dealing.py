"""What the record of the leak says, in tables, curves and pictures."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from sentences import ROOT

from mammolib import results
from mammolib.analysis import dealing, leak
from mammolib.plots import leak as figures


@pytest.fixture(scope="module")
def record():
    return results.load_all(ROOT / "book" / "results", "leak")[0]


@pytest.fixture(scope="module")
def strips(record):
    return dealing.strips(record, leak.two_by_two(results.load_all(ROOT / "book" / "results", "A")))


@pytest.mark.parametrize("tried", [1, 2, 3, 5])
def test_reported_is_the_mean_over_all_draws(tried):
    rng = np.random.default_rng(0)
    scores, chosen_by = rng.random(5), rng.random(5)
    draws = [scores[max(drawn, key=lambda i: chosen_by[i])] for drawn in combinations(range(5), tried)]
    assert dealing.reported(scores, chosen_by, tried) == pytest.approx(np.mean(draws))


def test_as_many_settings_can_be_tried_as_there_are():
    with pytest.raises(ValueError, match="tried: must be 1 to 2, got 3"):
        dealing.reported([0.1, 0.2], [0.1, 0.2], 3)


def test_curves_end_at_what_the_record_states(record):
    test, inner = dealing.reported_curves(record).values()
    assert test[0] == inner[0] == pytest.approx(record.metrics["typical_auc"]["value"])
    assert test[-1] == pytest.approx(record.metrics["best_auc"]["value"])
    assert inner[-1] == pytest.approx(record.metrics["nested_auc"]["value"])
    assert (np.diff(test) >= 0).all(), "who looks at the test never reports less for trying more"


def test_strips_hold_ten_splits_and_the_networks_seeds(record, strips):
    assert list(strips) == [*dealing.METHODS.values(), dealing.NETWORK]
    for method in dealing.METHODS.values():
        assert [len(s.values) for s in strips[method].values()] == [10] * 4
    assert list(strips[dealing.NETWORK]) == ["by view, at random", "by woman"]
    assert strips["Lookup of grey levels (mAP)"]["by view, at random"] == dealing.Strip((1.0,) * 10, None, None)
    assert dealing.NETWORK not in dealing.strips(record)


def test_what_is_shared_is_counted(record):
    table = dealing.shared(record)
    assert (
        table.loc["by woman"].tolist() == ["0"] * 4 and table.loc["by view, at random", "lesions on both sides"] != "0"
    )
    assert table.loc["by film", "women on both sides"] == table.loc["by lesion", "women on both sides"] != "0"


def test_pictures(record, strips):
    fig = figures.ladder(strips)
    assert [ax.get_title(loc="left") for ax in fig.axes] == list(strips)
    drawn = sum(len(line.get_xdata()) for line in fig.axes[0].lines if line.get_marker() in "oD")
    assert drawn == 40 and [t.get_text() for t in fig.axes[0].get_yticklabels()] == list(dealing.WORDS.values())
    fig = figures.tries(dealing.reported_curves(record))
    assert [len(line.get_xdata()) for line in fig.axes[0].lines[:2]] == [20, 20]
