"""The leak's mechanism: mirrored views across the split, and the runs that show it."""

from types import SimpleNamespace

import numpy as np
import pytest

from mammolib import phantom
from mammolib.analysis import leak
from mammolib.experiments import sets
from mammolib.mias import load
from mammolib.results import Record, metric


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    folder = phantom.ensure(tmp_path_factory.mktemp("leak"), women=40, seed=1)
    return sets.centred(load(folder))


@pytest.mark.slow
def test_a_mirror_image_is_one_of_the_eight_views(crops):
    all_train = SimpleNamespace(training=np.arange(len(crops)), test=np.arange(len(crops)))
    assert sets.mirror_in_training(crops, all_train).all()


def test_by_image_most_mirrors_are_in_training_by_woman_none(crops):
    by_image, by_woman = (sets.divide(crops, kind, 0) for kind in ("image", "woman"))
    assert sets.mirror_in_training(crops, by_image).mean() > 0.4
    assert not sets.mirror_in_training(crops, by_woman).any()
    backwards = sets.mirror_in_training(crops, by_image, crops.images[by_image.test[::-1]])
    np.testing.assert_array_equal(backwards[::-1], sets.mirror_in_training(crops, by_image))
    mirrored = by_image.test[sets.mirror_in_training(crops, by_image)]
    assert np.isin(crops.lesion[mirrored], crops.lesion[by_image.training]).all()


def run(split="image", flip=True, seed=0, updates=10, outcome="finished", value=0.5, **changed):
    settings = {"width": 0.125, "batch": 4, "updates": updates, "flip": flip, "reduced": True}
    settings["changed"] = changed | ({} if flip else {"flip": False})
    data = {"name": "mini-MIAS", "digest": "ab" * 32, "films": 322}
    metrics = {"map": metric(value, value - 0.1, value + 0.1, n=9)}
    return Record("A", settings, data, seed, split, metrics=metrics, outcome=outcome)


def test_two_by_two_takes_the_group_with_most_cells_then_the_larger_and_orders_seeds():
    records = [run(seed=1), run(), run("woman"), run(flip=False), run("woman", False)]
    larger = [run(updates=99), run("woman", updates=99)]
    noise = [run("lesion-order"), run(outcome="diverged at update 3"), run(optimizer="adam")]
    found = leak.two_by_two(records + larger + noise)
    assert list(found) == list(leak.CELLS)
    assert [r.seed for r in found["image", True]] == [0, 1]
    assert all(r.settings["updates"] == 10 for group in found.values() for r in group)
    assert leak.two_by_two([run(), run(updates=99)])["image", True][0].settings["updates"] == 99
    assert leak.two_by_two([]) == {}


def test_table_names_the_four_and_pools_the_seeds():
    table = leak.two_by_two_table(leak.two_by_two([run(value=0.4), run(seed=1, value=0.6), run("woman")]))
    assert list(table.columns) == ["at random, mirrored", "by woman, mirrored"]
    assert table.loc["mAP", "at random, mirrored"] == "0.500 (0.400 to 0.600 in 2 seeds)"
    assert table.loc["seeds", "at random, mirrored"] == "2"


def test_intervals_leave_out_what_has_none():
    found = leak.intervals_of({"one": run(), "none": None, "other": run()})
    assert list(found) == ["one", "other"]
    assert (found["one"].low, found["one"].n) == (0.4, 9)
