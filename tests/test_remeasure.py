"""The committed records' intervals: what they promise, and that computing them again changes no value and no hash."""

import dataclasses
import shutil

import pytest

from mammolib import results
from mammolib.experiments.remeasure import remeasure

RECORDS = results.recorded()


def test_every_committed_interval_has_width_women_kind_and_method():
    intervals = 0
    for record in results.load_all(RECORDS):
        for name, held in record.metrics.items():
            where = f"{record.file_name}: {name}"
            if held["low"] is None:
                assert held["high"] is None, where
                continue
            intervals += 1
            assert held["low"] < held["high"] and held["low"] <= held["value"] <= held["high"], where
            assert held["method"] and held["kind"] in ("women", "splits", "crops"), where
            assert held["kind"] != "crops" or name == "map_simulated_by_crop", where
            assert held["kind"] != "women" or held["n"] >= 8, where
    assert intervals > 800


def test_n_counts_the_women_behind_a_number():
    by_woman = results.load(RECORDS / "A-aa01569f6938.json").metrics
    assert by_woman["map"]["n"] == 14 and by_woman["ap_benign"]["n"] == 8
    assert by_woman["ap_malignant"]["n"] == 6 and by_woman["ap_malignant"]["low"] is None
    assert "6 women" in by_woman["ap_malignant"]["reason"]
    lesion = results.load(RECORDS / "cnni-bcc-91528e3d699c.json").metrics
    assert lesion["sensitivity"]["n"] == 2 and lesion["sensitivity"]["low"] is None


@pytest.mark.parametrize(
    "stem", ["A-62d727b9eb9d", "E-after-1a1b0c29b37e", "cnni-bcc-9c36f70c38f1", "lookup-59d970dd84f1"]
)
def test_measuring_again_changes_nothing_that_is_right(stem, tmp_path):
    shutil.copy(RECORDS / f"{stem}.json", tmp_path)
    before = (tmp_path / f"{stem}.json").read_bytes()
    assert remeasure(tmp_path) == []
    assert (tmp_path / f"{stem}.json").read_bytes() == before


def test_an_interval_of_another_rule_is_renewed_and_values_and_hash_are_kept(tmp_path):
    right = results.load(RECORDS / "A-aa01569f6938.json")
    narrow = dict(right.metrics["map"]) | {"low": right.metrics["map"]["value"] - 1e-3}
    results.save(dataclasses.replace(right, metrics={**right.metrics, "map": narrow}), tmp_path)
    assert remeasure(tmp_path) == [right.file_name]
    assert results.load(tmp_path / right.file_name) == right
    assert remeasure(tmp_path) == []


def test_a_record_changed_by_hand_is_not_signed_again(tmp_path):
    content = (RECORDS / "A-aa01569f6938.json").read_text()
    path = tmp_path / "A-aa01569f6938.json"
    changed = content.replace('"n":14', '"n":15')
    for text, says in ((changed, "changed after it was written"), ("{}", "not a record of format 1")):
        path.write_text(text)
        with pytest.raises(ValueError, match=f"A-aa01569f6938.json: {says}"):
            remeasure(tmp_path)
        assert path.read_text() == text != content


def test_a_classifier_that_diverged_with_finite_answers_is_left_as_it_is(tmp_path):
    whole = results.load(RECORDS / "cnni-bcc-91528e3d699c.json")
    kept = {name: value for name, value in whole.metrics.items() if name.startswith(("train_", "majority_share"))}
    results.save(dataclasses.replace(whole, metrics=kept, outcome="diverged at update 3"), tmp_path)
    assert remeasure(tmp_path) == []
