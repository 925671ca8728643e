"""Intervals against published values, scipy, and what they promise: coverage, and women drawn whole."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from mammolib.metrics import classification
from mammolib.metrics.detection import average_precision, match, sensitivity_at, weighted_mean_average_precision
from mammolib.metrics.intervals import Interval, bootstrap, spread, wilson


def mean_of(values):
    values = np.asarray(values, float)
    return lambda w: w @ values / w.sum(axis=-1)


@pytest.mark.parametrize(("k", "n"), [(0, 10), (10, 10), (1, 2), (115, 157), (12, 14)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_wilson_agrees_with_scipy(k, n, confidence):
    ours = wilson(k, n, confidence)
    theirs = stats.binomtest(k, n).proportion_ci(confidence, method="wilson")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    assert ours.low <= ours.value <= ours.high
    assert ours.n == n


def test_percentile_and_bca_agree_with_scipy_when_every_item_is_its_own_group():
    values = np.random.default_rng(3).gamma(2, size=40)
    for method in ("percentile", "basic", "BCa"):
        ours = bootstrap(mean_of(values), np.arange(40), n_resamples=2000, method=method, seed=7)
        theirs = stats.bootstrap(
            (np.arange(40),),
            lambda i, axis: values[i].mean(axis=axis),
            n_resamples=2000,
            method=method,
            random_state=np.random.default_rng(7),
            vectorized=True,
        ).confidence_interval
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
        assert ours.method == method


def test_women_are_drawn_whole():
    """Every replicate's weights are constant within a woman and add up to as many women as there are."""
    women = np.repeat(["w1", "w2", "w3", "w4"], [1, 5, 2, 8])
    first = np.array([0, 1, 6, 8])

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


def test_replicates_without_a_class_are_left_out_and_counted():
    truth, p = np.array([0, 0, 0, 0, 1]), np.array([0.1, 0.3, 0.2, 0.6, 0.5])
    for method in ("percentile", "BCa"):
        interval = bootstrap(lambda w: classification.auc(truth, p, w), np.arange(5), 500, method=method)
        assert interval.method == "percentile"
        assert 100 < interval.undefined < 250  # (4/5)^5 = 0.33 draw no abnormal item
        assert 0 <= interval.low <= interval.value <= interval.high <= 1


def test_not_vectorised_gives_the_same():
    values = np.random.default_rng(3).random(12)
    many = bootstrap(mean_of(values), np.arange(12), 100)
    one = bootstrap(lambda w: float(w @ values / w.sum()), np.arange(12), 100, vectorized=False)
    assert many == one


def test_one_woman_or_an_undefined_metric_has_no_interval():
    assert math.isnan(bootstrap(mean_of([1, 0]), ["a", "a"]).low)
    nothing = bootstrap(lambda w: np.full(len(w), np.nan), [1, 2, 3])
    assert math.isnan(nothing.value) and math.isnan(nothing.high)


def test_a_constant_metric_has_an_interval_of_no_width():
    for method in ("percentile", "basic", "BCa"):
        interval = bootstrap(mean_of([1, 1, 1]), [1, 2, 3], 50, method=method)
        assert (interval.low, interval.high) == (1, 1)


def test_detection_metrics_can_be_bootstrapped():
    from mammolib.bench.metrics import simulated

    detections, truths = simulated(40, 6, 1, 2, seed=4)
    matches, women = match(detections, truths), np.arange(40) // 4
    mean = bootstrap(lambda w: weighted_mean_average_precision(matches, w), women)
    benign = bootstrap(lambda w: average_precision(matches, weights=w)[:, 0], women)
    found = bootstrap(lambda w: sensitivity_at(matches, (1, 2), w).mean(axis=-1), women, n_resamples=200)
    for interval in (mean, benign, found):
        assert interval.n == 10
        assert 0 <= interval.low < interval.value < interval.high <= 1


def test_weights_of_some_find_their_place_among_all():
    assert spread(np.array([[2, 3]]), np.array([False, True, True])).tolist() == [[0, 2, 3]]


def test_the_record_keeps_four_numbers():
    assert Interval(0.5, 0.4, 0.6, 10).to_dict() == {"value": 0.5, "low": 0.4, "high": 0.6, "n": 10}
    assert str(Interval(0.5, 0.4, 0.6, 10)) == "0.500 [0.400, 0.600]"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: wilson(3, 2), "got 3 of 2"),
        (lambda: wilson(0, 0), "got 0 of 0"),
        (lambda: wilson(1, 2, 1.0), "confidence: must lie between 0 and 1, got 1.0"),
        (lambda: bootstrap(mean_of([]), []), "groups: there is no item"),
        (lambda: bootstrap(mean_of([1, 2]), [1, 2], method="bca"), "method: 'bca' is not one of"),
        (lambda: bootstrap(mean_of([1, 2]), [1, 2], n_resamples=1), "n_resamples: must be at least 2"),
        (lambda: bootstrap(lambda w: w, [1, 2]), "statistic: gave shape"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()
