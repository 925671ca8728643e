"""Runs alike in all but one change: as a table, by their titles, and by the length of their first step."""

import dataclasses

import keras
import numpy as np
import pytest

from mammolib.analysis import stability
from mammolib.results import Record, metric


def record(name, settings, metrics=(), **more):
    data = {"name": "mini-MIAS", "digest": "ab" * 32, "films": 9}
    return Record(name, settings, data, 0, "image", metrics=dict(metrics), **more)


def run(name="A", updates=30, outcome="finished", losses=(8.0, 3.0), **changed):
    settings = {"width": 0.125, "batch": 4, "updates": updates, "precision": "float32"}
    settings["changed"] = {"batch": 4} | changed
    metrics = {f"val_detection_loss{at}": metric(v) for at, v in zip(("@epoch1", ""), losses, strict=False)}
    return record(name, settings, metrics, outcome=outcome)


def test_the_largest_group_of_like_runs_is_the_ladder_and_titles_leave_out_what_all_have_changed():
    rungs = [run("B"), run(clip=1.0), run()]
    found = stability.ladder([*rungs, run(updates=99), run(updates=99, clip=1.0)])
    assert list(stability.titled(found)) == ["A: as stated", "A: gradient clipped to 1", "B: as stated"]
    assert list(stability.titled([run()])) == ["A: batch 4"]
    assert stability.ladder([]) == [] and stability.titled([]) == {}


def test_the_table_says_what_differs_and_what_is_left():
    broken = run(outcome="diverged at update 3", losses=())
    table = stability.ladder_table([broken, run(clip=1.0), run(warmup=5, losses=(8.0, 4.1))])
    assert list(table["changed"]) == ["as stated", "gradient clipped to 1", "warm-up over 5 updates"]
    assert table["share left"].tolist() == ["–", "0.38", "0.51"]
    assert next(iter(table["outcome"])) == "diverged at update 3"


def test_runs_in_two_precisions_are_paired_and_the_longest_pair_counts():
    def half(run):
        own = {"precision": "mixed_bfloat16"}
        return dataclasses.replace(run, settings=run.settings | own | {"changed": run.settings["changed"] | own})

    long, short = run(updates=90), run(updates=30)
    others = [half(run(updates=300)), half(run(updates=90, clip=1.0))]
    found = stability.precisions([half(short), short, half(long), long, *others])
    assert list(found.items()) == [("float32", long), ("mixed_bfloat16", half(long))]
    assert stability.precisions([long, half(short)]) == {}


def at(rates, record, **epoch):
    kept = {"rates": rates, "gradient_norm": "layer" if record.name == "B" else None}
    history = {"epoch": {f"val_{k}": v for k, v in epoch.items()}}
    return dataclasses.replace(record, settings=record.settings | kept, history=history)


def test_runs_at_two_rates_are_paired_and_the_table_says_how_each_ended():
    short, long = run(), run(updates=90, start="A-0123456789ab")
    worse = at([0.002], run("B", updates=90, start="A-0123456789ab", losses=(8.0, 9.5)),
               localisation=[30, 2, 4], confidence=[9, 7.5, 5.5])  # fmt: skip
    broken = at([0.002], run("B", outcome="diverged at update 3", losses=()))
    better = at([0.001], long, localisation=[3, 2, 1], confidence=[5, 2.5, 2])
    others = [at([0.001], run(clip=1.0)), at([0.002], run("B", warmup=5)), at([0.001], run(updates=90))]
    pairs = stability.doubled([worse, better, broken, *others, at([0.001], short)])
    assert pairs == {"as stated": (at([0.001], short), broken), "start from trained weights": (better, worse)}
    assert stability.doubled_table(pairs).to_dict("index") == {
        "as stated": {"A ends": "3.00", "A, highest": "–", "B ends": "diverged at update 3", "B, highest": "–"},
        "start from trained weights": {"A ends": "3.00", "A, highest": "4.50", "B ends": "9.50", "B, highest": "9.50"},
    }
    assert stability.doubled([short, *others]) == {}
    both = stability.doubled([at([r], run(n, updates=u)) for n, r in (("A", 0.001), ("B", 0.002)) for u in (90, 30)])
    assert list(both) == ["as stated, 30 updates", "as stated, 90 updates"]


def stepped(optimizer="SGD", clip=None, **norms):
    total = float(np.linalg.norm(list(norms.values())))
    update = {"update": [1], "loss": [9.0], "learning_rate": [2e-3], "gradient_norm": [total]}
    update |= {f"gradient_norm/{layer}": [norm] for layer, norm in norms.items()}
    settings = {"optimizer": optimizer, "clip": clip, "changed": {}}
    return record("B", settings, history={"update": update, "epoch": {}})


def test_the_first_step_beside_the_weights_by_hand():
    """Rate 2e-3, gradients 30 and 40, weights of length 4 and 10; clipped at 1, the whole step is 2e-3 long."""
    x = keras.Input((4,))
    network = keras.Model(x, keras.layers.Dense(1, name="b")(keras.layers.Dense(4, name="a")(x)))
    network.set_weights([2 * np.eye(4), np.zeros(4), np.full((4, 1), 3.0), np.array([8.0])])
    free = stability.first_steps(stepped(a=30.0, b=40.0), network)
    clipped = stability.first_steps(stepped(clip=1.0, a=30.0, b=40.0), network)
    assert free == pytest.approx({"a": 0.06 / 4, "b": 0.08 / 10})
    assert clipped == pytest.approx({"a": 0.002 * 0.6 / 4, "b": 0.002 * 0.8 / 10})
    for unknown in (stepped(), stepped("Adam", a=1.0)):
        with pytest.raises(ValueError, match="needs SGD and gradient norms by layer"):
            stability.first_steps(unknown, network)


def test_a_block_has_the_norm_of_all_its_weights():
    first = {"conv1_1": 3.0, "conv1_2": 4.0, "conv4_3": 1.0, "conv4_3_norm": 2.0}
    last = {"fc6": 5.0, "fc7": 12.0, "conv8_2": 7.0, "fc7_conf": 8.0, "conv9_2_loc": 6.0}
    found = stability.blocks(stepped(**first, **last).history["update"])
    expected = {"conv1": 5, "conv4": 1, "norm": 2, "fc6, fc7": 13, "conv6 to conv9": 7, "heads": 10}
    assert {k: v.tolist() for k, v in found.items()} == {k: [v] for k, v in expected.items()}


def test_looked_into_networks_are_ordered_by_width_and_rate():
    def looked(width, rate, share):
        metrics = {"crop_to_crop": 0.01, "within_a_crop": 7.0, "val_detection_loss": 4.41}
        outputs = {"above_zero": {"conv5_3": share}}
        return record("A-inside", {"width": width, "rates": [rate]}, metrics, outputs=outputs)

    some = [looked(0.25, 0.001, 0.137), looked(0.125, 0.008, 0.001), looked(0.125, 0.001, 0.146)]
    panels = stability.by_width(some)
    assert list(panels) == ["1/8 of the filters", "1/4 of the filters"]
    assert list(panels["1/8 of the filters"]) == ["rate 0.001", "rate 0.008"]
    table = stability.inside_table(some)
    assert list(table.index) == ["1/8", "1/8", "1/4"]
    assert table["conv5_3 above zero"].tolist() == ["14.6 %", "0.1 %", "13.7 %"]
    assert table.iloc[0].to_dict()["within a crop"] == "7.00" and set(table["detection loss"]) == {"4.41"}
