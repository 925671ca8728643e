"""The lookup baseline: equal histograms are found, siblings give the answer away, strangers do not."""

import os
from dataclasses import replace

import numpy as np
import pytest

from mammolib import mias, patches, results, splits
from mammolib.detectors.lookup import histograms, lookup, nearest, repeat
from mammolib.experiments import baselines
from mammolib.geometry import DIHEDRAL, Truths
from mammolib.patches import Crops
from mammolib.splits import Split


def crops_of(lesions: int, seed: int = 0) -> Crops:
    """Eight views each of random squares whose grey levels say nothing about the class."""
    rng = np.random.default_rng(seed)
    images, boxes, labels = [], [], []
    for i in range(lesions):
        square = rng.normal(rng.uniform(60, 200), rng.uniform(5, 40), (64, 64)).clip(0, 255).astype(np.uint8)
        r = rng.uniform(4, 30)
        images += [s.image(square) for s in DIHEDRAL]
        boxes += [[32 - r, 32 - r, 32 + r, 32 + r]] * 8
        labels += [1 + i % 2] * 8
    n, lesion = len(images), np.repeat(np.arange(lesions), 8)
    truths = Truths(np.arange(n), np.array(labels), np.array(boxes), n)
    return Crops(
        np.stack(images), truths, np.char.add("f", lesion.astype(str)), lesion, lesion, np.tile(np.arange(8), lesions)
    )


def test_the_eight_views_have_one_histogram() -> None:
    h = histograms(crops_of(3).images).reshape(3, 8, -1)
    assert (h == h[:, :1]).all() and np.allclose(h.sum(axis=-1), 1)
    assert histograms(np.array([[[0, 3], [4, 255]]], np.uint8))[0, [0, 1, 63]].tolist() == [0.5, 0.25, 0.25]


def test_nearest_takes_the_first_of_equals() -> None:
    row, distance = nearest([[1, 0], [0, 1], [0, 1]], [[0, 1], [0.5, 0.5]])
    assert row.tolist() == [1, 0] and distance.tolist() == [0, 1]


def test_siblings_give_the_answer_away_and_strangers_do_not() -> None:
    crops = crops_of(20)
    found = lookup(crops, splits.by_image(len(crops), (0.7, 0.1, 0.2), seed=1))
    assert found.accuracy == 1 and found.mean_ap == 1
    crops = crops_of(40)
    apart = [splits.by_woman(crops.woman, crops.strata, seed=s) for s in range(5)]
    scores = repeat(crops, apart)
    assert tuple(scores[0]) == lookup(crops, apart[0]), "histograms that are known change nothing"
    accuracy, mean_ap, _ = scores.mean(axis=0)
    assert 0.2 < accuracy < 0.8 and mean_ap < 0.6


def test_a_crop_without_a_lesion_is_refused() -> None:
    crops = crops_of(4)
    none = replace(crops, truths=Truths([], [], [], len(crops)))
    with pytest.raises(ValueError, match="exactly one lesion"):
        lookup(none, Split(np.arange(8), np.arange(8, 16), np.arange(16, 32), "image"))


@pytest.mark.skipif(not os.environ.get("MAMMOLIB_MIAS"), reason="MAMMOLIB_MIAS is not set: no real films")
def test_on_the_real_films_it_beats_any_detector_by_image_and_none_by_woman() -> None:
    crops = patches.lesion_crops(mias.load(os.environ["MAMMOLIB_MIAS"]), paper=True)
    by_image = repeat(crops, [splits.by_image(len(crops), seed=s) for s in range(3)])
    assert (by_image[:, :2] == 1).all()
    sizes = (600 / 816, 100 / 816, 116 / 816)
    apart = repeat(crops, [splits.by_woman(crops.woman, crops.strata, sizes, seed=s) for s in range(20)]).mean(axis=0)
    assert 0.4 < apart[0] < 0.6 and apart[1] < 0.2


DATA = {"name": "grey", "digest": "5" * 64, "films": 20}


def test_the_lookup_over_many_splits_is_a_record(tmp_path, monkeypatch) -> None:
    crops = crops_of(20)
    monkeypatch.setattr(baselines.sets, "centred", lambda films: crops)
    monkeypatch.setattr(baselines, "SPLITS", 3)
    with pytest.raises(ValueError, match="by image or by woman, got 'folds'"):
        baselines.run_baseline("lookup", [], data=DATA, store=tmp_path, split="folds")
    record = baselines.run_baseline("lookup", [], data=DATA, store=tmp_path)
    assert record.metrics["map"] == results.metric(1.0, n=3, reason="all 3 splits agree")
    assert record.outputs["accuracy"] == [1.0] * 3 and record.split == "image"
    apart = baselines.run_baseline("lookup", [], data=DATA, store=tmp_path, split="woman")
    assert apart.metrics["map"]["value"] == pytest.approx(np.mean(apart.outputs["map"])) and apart.hash != record.hash
    monkeypatch.setattr(baselines, "repeat", lambda *_: pytest.fail("a recorded run is loaded"))
    assert baselines.run_baseline("lookup", [], data=DATA, store=tmp_path) == record


def test_the_loss_of_silence_is_counted_and_a_blind_answer_is_never_worse(tmp_path, monkeypatch) -> None:
    """Silence costs ln 3 for each match and for its three negatives; 3/4, 1/8 and 1/8 are best for such a mix."""
    crops = crops_of(20)
    found = baselines.loss_levels(crops)
    assert found["silent_confidence"] == pytest.approx(4 * np.log(3))
    assert found["blind_confidence"] == pytest.approx(-3 * np.log(3 / 4) - np.log(1 / 8))
    assert found["blind_localisation"] <= found["silent_localisation"]
    assert found["blind"] == pytest.approx(found["blind_confidence"] + found["blind_localisation"])
    monkeypatch.setattr(baselines.sets, "centred", lambda films: crops)
    record = baselines.run_baseline("loss-levels", [], data=DATA, store=tmp_path)
    assert record.metrics["silent"]["value"] == pytest.approx(found["silent"]) and record.split == "none"
