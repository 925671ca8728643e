"""Four ways of dealing and twenty settings: who is kept whole, what is counted, and what choosing by the test adds."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from test_lookup import crops_of

from mammolib.experiments import baselines, dealing, sets
from mammolib.splits import SIDES

DATA = {"name": "grey", "digest": "5" * 64, "films": 30}


@pytest.fixture(scope="module")
def crops():
    """30 lesions on 30 films of 20 women: ten women have two."""
    made = crops_of(30)
    return replace(made, woman=made.lesion % 20, film=np.array([f"f{lesion:02d}" for lesion in made.lesion]))


@pytest.fixture(scope="module")
def found(crops):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dealing, "SEEDS", 2)
        return dealing.four_ways(crops)


def test_blocks_are_means():
    image = np.arange(16, dtype=np.uint8).reshape(1, 4, 4)
    assert dealing.reduced(image, 2).tolist() == [[2.5, 4.5, 10.5, 12.5]]
    assert dealing.reduced(image, 4).tolist() == image.reshape(1, 16).tolist()


def test_each_way_keeps_whole_what_it_says_and_nothing_larger(crops, found):
    assert all(len(values) == 2 for values in found.values())
    for unit in ("views", "lesions", "films", "women"):
        assert min(found[f"{unit}_by_view"]) > 0 and not any(found[f"{unit}_by_woman"])
    assert not any(found["lesions_by_lesion"]) and max(found["women_by_lesion"]) > 0
    assert found["women_by_film"] == found["women_by_lesion"], "one lesion a film: the two ways are one"
    part = sets.divide(crops, "image", 0)
    assert found["women_by_view"][0] == len(set(crops.woman[part.training]) & set(crops.woman[part.test]))
    for seed in range(10):
        part = sets.divide(crops, "woman", seed)
        assert not any(len(part.shared(crops.woman, a, b)) for a, b in combinations(SIDES, 2))


def test_siblings_give_the_class_away_and_strangers_do_not(found):
    assert found["lookup_map_by_view"] == [1, 1]
    assert min(found["histogram_auc_by_view"]) > 0.8
    assert np.mean(found["histogram_auc_by_woman"]) < 0.8 and np.mean(found["lookup_map_by_woman"]) < 0.6


def test_the_best_of_twenty_is_never_less_than_what_was_chosen_without_the_test(crops, monkeypatch):
    monkeypatch.setattr(dealing, "SEEDS", 2)
    scores = dealing.twenty_settings(crops)
    settings = len(dealing.FEATURES) * len(dealing.PENALTIES)
    assert settings == 20 and np.shape(scores["test"]) == np.shape(scores["inner"]) == (2, settings)
    chosen = dealing.choices(scores)
    assert all(b >= max(n, t) for b, n, t in zip(*chosen.values(), strict=True))


def test_choices_by_hand():
    scores = {"test": [[0.4, 0.6, 0.5]], "inner": [[0.7, 0.5, 0.6]]}
    assert dealing.choices(scores) == {"best_auc": [0.6], "nested_auc": [0.4], "typical_auc": [0.5]}


def test_the_leak_is_a_record(crops, tmp_path, monkeypatch):
    monkeypatch.setattr(baselines.sets, "centred", lambda films: crops)
    monkeypatch.setattr(dealing, "four_ways", lambda _: {"lookup_map_by_view": [1.0] * 10})
    monkeypatch.setattr(dealing, "twenty_settings", lambda _: {"test": [[0.4, 0.6]] * 10, "inner": [[0.7, 0.5]] * 10})
    record = baselines.run_baseline("leak", [], data=DATA, store=tmp_path)
    assert record.split == "none" and record.outputs["settings"]["test"][0] == [0.4, 0.6]
    assert record.metrics["lookup_map_by_view"]["reason"] == "all 10 splits agree"
    assert record.metrics["nested_auc"]["value"] == pytest.approx(0.4)
