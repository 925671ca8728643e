"""Intervals against published values, scipy, and what they promise: coverage, and women drawn whole."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mammolib.metrics import average_precision, classification, match, mean_average_precision, sensitivity_at
from mammolib.metrics.intervals import Interval, bootstrap, measured, spread, wilson
from mammolib.results import metric


def mean_of(values):
    values = np.asarray(values, float)
    return lambda w: w @ values / w.sum(axis=-1)


@pytest.mark.parametrize(("k", "n"), [(0, 10), (10, 10), (1, 2), (115, 157), (12, 14)])
def test_wilson_agrees_with_scipy(k, n):
    ours = wilson(k, n)
    theirs = stats.binomtest(k, n).proportion_ci(method="wilson")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    assert ours.low <= ours.value <= ours.high
    assert ours.n == n


def test_the_bootstrap_agrees_with_scipy_when_every_item_is_its_own_group():
    values = np.random.default_rng(3).gamma(2, size=40)
    ours = bootstrap(mean_of(values), np.arange(40), n_resamples=2000, seed=7)
    theirs = stats.bootstrap(
        (np.arange(40),),
        lambda i, axis: values[i].mean(axis=axis),
        n_resamples=2000,
        method="percentile",
        random_state=np.random.default_rng(7),
        vectorized=True,
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_the_bootstrap_does_not_depend_on_how_many_rows_are_weighed_at_once():
    women, values = np.arange(5000) % 100, np.arange(5000) % 7  # 838 rows, then the rest
    one, other = bootstrap(mean_of(values), women), bootstrap(mean_of(values.reshape(50, 100).mean(axis=0)), range(100))
    assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=1e-12)


def test_women_are_drawn_whole():
    """Every replicate's weights are constant within a woman and add up to as many women as there are."""
    women, first = np.repeat(["w1", "w2", "w3", "w4"], [1, 5, 2, 8]), np.array([0, 1, 6, 8])

    def statistic(w):
        assert (w == w[:, first][:, np.repeat(np.arange(4), [1, 5, 2, 8])]).all()
        assert (w[:, first].sum(axis=1) == 4).all()
        return w[:, 0].astype(float)

    assert bootstrap(statistic, women, n_resamples=200).n == 4


def test_eight_copies_of_a_case_do_not_narrow_the_interval():
    """Copying every case eight times must leave the interval as it was; drawing crops would shrink it by sqrt(8)."""
    values = np.random.default_rng(0).random(14)
    one = bootstrap(mean_of(values), np.arange(14), seed=1)
    eight = bootstrap(mean_of(np.repeat(values, 8)), np.repeat(np.arange(14), 8), seed=1)
    crops = bootstrap(mean_of(np.repeat(values, 8)), np.arange(112), seed=1)
    assert (one.low, one.high) == pytest.approx((eight.low, eight.high))
    assert (one.high - one.low) / (crops.high - crops.low) == pytest.approx(math.sqrt(8), rel=0.15)


def test_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(5)
    hits = 0
    for trial in range(200):
        woman = rng.normal(size=30)
        values = np.repeat(woman, 4) + rng.normal(scale=0.3, size=120)
        interval = bootstrap(mean_of(values), np.repeat(np.arange(30), 4), n_resamples=400, seed=trial)
        hits += interval.low <= 0 <= interval.high
    assert 0.88 <= hits / 200 <= 0.99


def test_undefined_replicates_are_left_out_and_counted_and_too_many_leave_no_interval():
    truth, p = np.arange(20) == 12, np.linspace(0, 1, 20)
    interval = bootstrap(lambda w: classification.auc(truth, p, w), np.arange(20), 500)
    assert 130 < interval.undefined < 230  # (19/20)^20 = 0.36 draw no abnormal item
    assert 0 <= interval.low <= interval.value <= interval.high <= 1
    made = measured(lambda w: classification.auc(truth, p, w), np.arange(20))
    assert made["low"] is None and made["undefined"] == pytest.approx(0.36, abs=0.06)
    assert made["reason"].startswith("undefined in 3") and made["n"] == 20
    assert math.isnan(bootstrap(mean_of([1, 0]), ["a", "a"]).low)
    nothing = bootstrap(lambda w: np.full(len(w), np.nan), [1, 2, 3])
    assert math.isnan(nothing.value) and math.isnan(nothing.high)


def test_zero_of_n_and_n_of_n_have_wilsons_interval_on_the_women_behind_them():
    """Resampling a sample that holds only failures never shows a success; that is not certainty."""
    for value, k in ((0.0, 0), (1.0, 10)):
        made = measured(mean_of(np.full(20, value)), np.repeat(np.arange(10), 2))
        theirs = stats.binomtest(k, 10).proportion_ci(method="wilson")
        assert (made["low"], made["high"]) == pytest.approx((theirs.low, theirs.high))
        assert made["method"] == "Wilson" and made["n"] == 10 and made["kind"] == "women"
    same = measured(lambda w: np.zeros(len(w)), np.arange(10), proportion=False)
    assert same["low"] is None and same["reason"] == "all resamples agree: no interval"
    assert measured(lambda w: np.full(len(w), 1 / 3), np.arange(10))["low"] is None


def test_few_women_give_no_interval_however_many_are_tested():
    women, hit = np.repeat(np.arange(20), 4), np.arange(80) % 3 == 0
    assert measured(mean_of(hit), women)["low"] is not None
    made = measured(mean_of(hit), women, behind=women < 7)
    assert made["low"] is None and made["n"] == 7 and made["reason"] == "7 women behind it: too few for an interval"
    both = measured(mean_of(hit), women, behind=[women < 12, women >= 12])
    assert both["n"] == 8 and both["low"] is not None  # the smaller of two sides that are both needed
    two = measured(mean_of([1, 1, 1, 0]), [1, 1, 1, 2])
    assert two["low"] is None and two["n"] == 2


@given(
    values=st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=30),
    women=st.integers(1, 30),
    proportion=st.booleans(),
)
@settings(max_examples=60)
def test_no_interval_ever_has_no_width(values, women, proportion):
    made = measured(mean_of(values), np.arange(len(values)) % women, proportion=proportion)
    assert made["low"] is None or made["low"] < made["high"]
    assert (made["low"] is None) == (made["high"] is None) == (made["reason"] is not None)
    if made["low"] is not None:
        assert made["n"] >= 8 and made["low"] <= made["value"] <= made["high"] and made["kind"] and made["method"]


def test_detection_metrics_can_be_bootstrapped():
    from mammolib.bench.metrics import simulated

    detections, truths = simulated(40, 6, 1, 2, seed=4)
    matches, women = match(detections, truths), np.arange(40) // 4
    for statistic in (
        lambda w: mean_average_precision(matches, weights=w),
        lambda w: average_precision(matches, weights=w)[:, 0],
        lambda w: sensitivity_at(matches, (1, 2), w).mean(axis=-1),
    ):
        interval = bootstrap(statistic, women, n_resamples=200)
        assert interval.n == 10 and 0 <= interval.low < interval.value < interval.high <= 1
    assert spread(np.array([[2, 3]]), np.array([False, True, True])).tolist() == [[0, 2, 3]]


def test_a_record_refuses_an_interval_of_no_width_or_over_few_women():
    made = measured(mean_of(np.arange(12) % 2), np.arange(12))
    assert metric(**made) == made
    with pytest.raises(ValueError, match="has no width"):
        metric(0.5, 0.5, 0.5, n=12)
    with pytest.raises(ValueError, match="over 7 women"):
        metric(0.5, 0.4, 0.6, n=7, kind="women", method="percentile bootstrap")
    with pytest.raises(ValueError, match="kind: 'pixels'"):
        metric(0.5, 0.4, 0.6, n=12, kind="pixels")
    assert str(Interval(0.5, 0.4, 0.6, 10)) == "0.500 [0.400, 0.600]"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: wilson(3, 2), "got 3 of 2"),
        (lambda: wilson(0, 0), "got 0 of 0"),
        (lambda: bootstrap(mean_of([]), []), "groups: there is no item"),
        (lambda: bootstrap(lambda w: w, [1, 2]), "statistic: gave shape"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()
