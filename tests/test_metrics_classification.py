"""The classification metrics against scikit-learn and against counting by hand."""

import numpy as np
import pytest
from sklearn import metrics

from mammolib.metrics import classification as c


@pytest.fixture(params=range(200))
def sample(request) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(request.param)
    n = int(rng.integers(2, 60))
    truth = rng.integers(0, 2, n)
    truth[:2] = 0, 1
    return truth, rng.integers(0, rng.choice([4, 1000]), n) / 1000  # the coarse ones tie


def test_agrees_with_scikit_learn(sample):
    truth, p = sample
    answer = (p >= 0.002).astype(int)
    assert np.array_equal(c.confusion(truth, answer), metrics.confusion_matrix(truth, answer, labels=[0, 1]))
    theirs = {
        "accuracy": metrics.accuracy_score(truth, answer),
        "sensitivity": metrics.recall_score(truth, answer),
        "specificity": metrics.recall_score(truth, answer, pos_label=0),
        "precision": metrics.precision_score(truth, answer, zero_division=np.nan),
    }
    for name, value in c.rates(truth, p, 0.002).items():
        assert float(value) == pytest.approx(theirs[name], abs=1e-12, nan_ok=True), name
    assert c.roc(truth, p).auc == pytest.approx(metrics.roc_auc_score(truth, p), abs=1e-12)
    assert c.auc(truth, p) == pytest.approx(metrics.roc_auc_score(truth, p), abs=1e-12)
    assert c.brier(truth, p) == pytest.approx(metrics.brier_score_loss(truth, p), abs=1e-12)
    r = c.reliability(truth, p, bins=7)
    assert len(r.count) == len(r.mean_probability) == len(r.abnormal_share)
    assert r.count @ r.mean_probability == pytest.approx(p.sum())
    assert r.count @ r.abnormal_share == pytest.approx(truth.sum())


def test_weights_are_repetitions(sample):
    truth, p = sample
    w = np.random.default_rng(1).integers(0, 4, (5, len(truth)))
    for name, values in c.rates(truth, p, 0.002, w).items():
        for row, value in zip(w, values, strict=True):
            if row.sum():
                again = c.rates(np.repeat(truth, row), np.repeat(p, row), 0.002)[name]
                assert value == pytest.approx(float(again), abs=1e-12, nan_ok=True)
    for row, area, score in zip(w, c.auc(truth, p, w), c.brier(truth, p, w), strict=True):
        t, q = np.repeat(truth, row), np.repeat(p, row)
        if len(np.unique(t)) == 2:
            assert area == pytest.approx(metrics.roc_auc_score(t, q), abs=1e-12)
            assert score == pytest.approx(metrics.brier_score_loss(t, q), abs=1e-12)
        else:
            assert np.isnan(area)


def test_threshold_by_youden_and_by_sensitivity():
    truth, p = [0, 0, 0, 1, 1, 1], [0.1, 0.2, 0.6, 0.4, 0.7, 0.9]
    assert c.choose_threshold(truth, p) == 0.7  # 2/3 + 1, the highest of two equal ones (0.4 gives 1 + 2/3)
    assert c.choose_threshold(truth, p, sensitivity=1.0) == 0.4
    assert c.choose_threshold(truth, p, sensitivity=2 / 3) == 0.7
    assert c.choose_threshold([0, 1], [0.9, 0.1]) <= 1.0, "a useless classifier keeps a threshold within reach"


def test_reliability_by_hand():
    truth, p = [0, 1, 1, 0, 1], [0.05, 0.15, 0.12, 0.95, 1.0]
    r = c.reliability(truth, p, bins=10)
    assert r.mean_probability == pytest.approx([0.05, 0.135, 0.975])
    assert r.abnormal_share == pytest.approx([0, 1, 0.5])
    assert r.count.tolist() == [1, 2, 2]
    assert r.expected_error == pytest.approx((0.05 + 2 * 0.865 + 2 * 0.475) / 5)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: c.roc([1, 1], [0.5, 0.6]), "all 2 items are of class 1"),
        (lambda: c.roc([0, 1], [0.5, 1.6]), "probability, row 1: 1.6 is not in"),
        (lambda: c.roc([0, 1], [0.5, float("nan")]), "probability, row 1: nan is not in"),
        (lambda: c.rates([0, 2], [0.5, 0.6]), "truth, row 1: 2 is not one of the labels 0 to 1"),
        (lambda: c.rates([0, 1], [0.5]), r"got shapes \(2,\) and \(1,\)"),
        (lambda: c.auc([], []), "N at least 1"),
        (lambda: c.reliability([0, 1], [0.1, 0.2], bins=0), "bins: must be at least 1"),
        (lambda: c.choose_threshold([0, 1], [0.1, 0.2], sensitivity=0), "sensitivity: must lie in"),
        (lambda: c.rates([0, 1], [0.2, 0.8], 50), r"threshold: must lie in \[0, 1\]"),
        (lambda: c.rates([0, 1], [0.2, 0.8], -0.1), r"threshold: must lie in \[0, 1\]"),
        (lambda: c.rates([0, 1], [0.2, 0.8], float("nan")), r"threshold: must lie in \[0, 1\]"),
        (lambda: c.auc([0, 1], [0, 1], weights=[-1, 1]), "weights: expected whole numbers from 0"),
        (lambda: c.brier([0, 1], [0, 1], weights=[0.5, 1.0]), "weights: expected whole numbers from 0"),
        (lambda: c.rates([0, 1], [0, 1], weights=[np.nan, 1.0]), "weights: expected whole numbers from 0"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()
