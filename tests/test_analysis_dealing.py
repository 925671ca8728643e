"""What the record of the leak says, in tables, curves and pictures."""

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
    scores, chosen_by = np.random.default_rng(0).random((2, 5))
    draws = [scores[max(drawn, key=lambda i: chosen_by[i])] for drawn in combinations(range(5), tried)]
    assert dealing.reported(scores, chosen_by, tried) == pytest.approx(np.mean(draws))
    with pytest.raises(ValueError, match="tried: must be 1 to 5, got 6"):
        dealing.reported(scores, chosen_by, 6)


def test_curves_end_at_what_the_record_states(record):
    curves = dealing.reported_curves(record)
    test, inner = curves.values()
    value = {name: metric["value"] for name, metric in record.metrics.items()}
    assert test[0] == inner[0] == pytest.approx(value["typical_auc"])
    assert test[-1] == pytest.approx(value["best_auc"]) and inner[-1] == pytest.approx(value["nested_auc"])
    assert (np.diff(test) >= 0).all(), "who looks at the test never reports less for trying more"
    drawn = figures.tries(curves).axes[0].lines[:2]
    np.testing.assert_array_equal([line.get_ydata() for line in drawn], [test, inner])


def test_strips_hold_ten_splits_and_the_networks_seeds(record, strips):
    assert list(strips) == [*dealing.METHODS.values(), dealing.NETWORK]
    for method in dealing.METHODS.values():
        assert [len(s.values) for s in strips[method].values()] == [10] * 4
    assert list(strips[dealing.NETWORK]) == ["by view, at random", "by woman"]
    assert strips["Lookup of grey levels (mAP)"]["by view, at random"] == dealing.Strip((1.0,) * 10, None, None)
    assert dealing.NETWORK not in dealing.strips(record)
    fig = figures.ladder(strips)
    assert [ax.get_title(loc="left") for ax in fig.axes] == list(strips)
    assert sum(len(line.get_xdata()) for line in fig.axes[0].lines if line.get_marker() in "oD") == 40


def test_what_is_shared_is_counted(record):
    table = dealing.shared(record)
    assert table.loc["by woman"].tolist() == ["0"] * 4
    assert table.loc["by view, at random", "lesions on both sides"] != "0"
    assert table.loc["by film", "women on both sides"] == table.loc["by lesion", "women on both sides"] != "0"
