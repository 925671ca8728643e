"""The paper's claims, the verdicts that records bring on them, and how both are shown."""

import dataclasses
import json
import math

import numpy as np
import pytest

from mammolib import results
from mammolib.results import NO_DATA, Record, claims, metric, paper_beside_ours
from mammolib.results.claims import read
from mammolib.results.estimates import estimate
from mammolib.results.words import metric_words

REAL = {"name": "mini-MIAS", "digest": "ab" * 32, "films": 322}
PHANTOM = {"name": "phantom", "digest": "cd" * 32, "films": 160}


def run(name="A", seed=0, data=REAL, split="image", settings=None, outcome="finished", **metrics):
    metrics = {key.replace("__", "@"): value for key, value in metrics.items()}
    return Record(name, settings or {"width": 1.0}, data, seed, split, metrics, outcome=outcome)


def claim(id):
    return next(c for c in claims() if c.id == id)


def verdict(id, *records):
    row = paper_beside_ours([claim(id)], records).iloc[0]
    return row.verdict, row.why


# Claims -------------------------------------------------------------------------------------------

PAPER = {
    "films": 322, "kept-normal": 209, "kept-benign": 56, "kept-malignant": 46, "views": 8, "patches-per-film": 225,
    "side": 1024, "cnni-bcc-layers": 30, "cnni-bcc-convolutions": 28, "cnni-bcc-train": 1269, "cnni-bcc-test": 157,
    "cnni-bcc-epochs": 10, "cnni-bcc-batch": 20, "cnni-bcc-rate": 0.002, "cnni-bcc-test-accuracy": 0.7324,
    "cnni-bcc-train-accuracy": 0.7, "vgg16-train": 2520, "vgg16-epochs": 80, "vgg16-train-accuracy": 0.894,
    "vgg16-val-accuracy": 0.65, "recall-points": 20, "iou-threshold": 0.5, "A-train": 600, "A-validation": 100,
    "A-test": 116, "A-epochs": 110, "A-steps": 60, "A-batch": 100, "A-seconds": 760, "A-val-loss-30": 7.024,
    "A-val-loss-50": 5.06561, "A-val-loss-110": 3.14813, "A-map": 0.842, "A-ap-benign": 0.839,
    "A-ap-malignant": 0.846, "A-rates": (1e-3, 1e-4, 1e-5), "A-rate-epochs": (90, 100, 110),
    "B-rates": (2e-3, 2e-4, 2e-5), "B-train-before": 23, "B-train-after": 1.3e10, "B-val-before": 20,
    "B-val-after": 1.15e8, "B-epoch": 130, "C-300x2-val-loss": 9.24585, "C-200x3-val-loss": 8.6431,
    "C-300x2-seconds": 87, "C-200x3-seconds": 80, "conv1-1": 1792, "conv1-1-separable": 283, "parameters": 23715730,
    "parameters-separable": 4820525, "D-100x6-val-loss": 4.36554, "D-200x3-val-loss": 4.80492,
    "D-300x2-val-loss": 5.03458, "D-100x6-seconds": 245, "D-200x3-epochs": 150, "E-before-map": 0.284,
    "E-before-ap-benign": 0.31, "E-before-ap-malignant": 0.257, "E-train": 3500, "E-validation": 500, "E-test": 329,
    "E-epochs": 20, "E-steps": 35, "E-after-centred-ap-benign": 0.742, "E-after-centred-ap-malignant": 0.54,
    "E-after-centred-map": 0.641, "E-after-uniform-ap-benign": 0.394, "E-after-uniform-ap-malignant": 0.332,
    "E-after-uniform-map": 0.363, "E-epochs-in-all": 130,
}  # fmt: skip


@pytest.mark.parametrize("id", PAPER)
def test_a_claim_holds_what_the_paper_prints(id):
    assert claim(id).value == PAPER[id]


def test_claims_are_well_formed_and_cover_the_book():
    every = claims()
    assert len({c.id for c in every}) == len(every) > 140
    assert {c.section for c in every} == set(results.sections())
    assert {c.chapter for c in every} == {f"{n:02d}" for n in range(1, 12)}
    assert results.CLAIMS == every
    home = {(r, m) for c in every for r, m in [(c.record, c.metric)] if m}
    for c in every:
        for _, record, _ in c.relations:
            assert record in {r for r, _ in home}, c.id
    assert [c.id for c in claims(chapter="05") if c.value == 23715730] == ["parameters"]
    with pytest.raises(ValueError, match="'12'"):
        claims(chapter="12")


def test_the_means_of_the_papers_aps_are_its_maps():
    """The paper's own numbers agree with each other; a slip of ours in typing them would show."""
    value = {c.id: c.value for c in claims()}
    for whole, *parts in (
        ("A-map", "A-ap-benign", "A-ap-malignant"),
        ("E-before-map", "E-before-ap-benign", "E-before-ap-malignant"),
        ("E-after-centred-map", "E-after-centred-ap-benign", "E-after-centred-ap-malignant"),
        ("E-after-uniform-map", "E-after-uniform-ap-benign", "E-after-uniform-ap-malignant"),
    ):
        assert abs(value[whole] - sum(value[p] for p in parts) / 2) < 0.00051
    assert round(value["parameters-separable"] / value["parameters"], 1) == value["parameters-share"]
    assert value["A-val-loss-50"] - value["A-val-loss-110"] < value["A-loss-drop"]
    assert round(115 / value["cnni-bcc-test"], 3) == round(value["cnni-bcc-test-accuracy"], 3)


def test_the_papers_relations_hold_for_its_own_numbers():
    value = {(c.record, c.metric): c.value for c in claims() if isinstance(c.value, int | float)}
    pairs = [
        (value[c.record, c.metric], sign, value[record, other], c.id)
        for c in claims()
        for sign, record, other in c.relations
        if (record, other) in value and (c.record, c.metric) in value
    ]
    assert len(pairs) > 15
    for ours, sign, other, id in pairs:
        assert ours < other if sign == "<" else ours > other, id


def test_the_layer_table_gives_the_papers_parameters():
    """Figure 6 with 3 channels in, and heads of 4, 6, 6, 6, 4, 4 boxes and 3 classes, has the total of Table 2."""
    rows = results.layer_table()
    assert len(rows) == 28 and sum(r["type"] == "Conv2D" for r in rows) == 23
    channels, total = 3, 0
    for row in rows:
        if row["type"] == "Conv2D":
            total += (row["size"] ** 2 * channels + 1) * row["filters"]
            channels = row["filters"]
    heads = zip((512, 1024, 512, 256, 256, 256), (4, 6, 6, 6, 4, 4), strict=True)
    total += sum((9 * c + 1) * boxes * (3 + 4) for c, boxes in heads) + 512
    assert total == claim("parameters").value
    assert [r["output"] for r in rows if r["output"]] == [128, 64, 32, 16, 8, 4, 2, 1]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"section": "9"}, "section"),
        ({"chapter": "12"}, "chapters"),
        ({"kind": "guess"}, "kind"),
        ({"metric": "val loss"}, "metric"),
        ({"record": ""}, "record"),
        ({"value": "many"}, "value"),
        ({"colour": "red"}, "colour"),
        ({"relations": ["= x"]}, "relations"),
        ({"relations": ["< nothing"]}, "nothing"),
        ({"factor": 0.5}, "factor"),
        ({"margin": 0}, "margin"),
        ({"baseline": ["val loss"]}, "baseline"),
        ({"better": "larger"}, "better"),
        ({"record": "A", "kind": "measure"}, "margin"),
    ],
)
def test_a_bad_claim_is_named(change, says):
    good = {"id": "x", "section": "2", "chapter": "01", "quantity": "films", "kind": "count", "value": 1}
    good |= {"record": "data", "metric": "films"}
    content = {"sections": {"2": "Data"}, "group": [{"rows": [good]}]}
    assert read(content)[0].value == 1
    content["group"][0]["rows"] = [good | change]
    with pytest.raises(ValueError, match="claim 'x'.*" + says):
        read(content)
    content["group"][0]["rows"] = [good, good]
    with pytest.raises(ValueError, match="twice"):
        read(content)


# Verdicts -----------------------------------------------------------------------------------------

NOTHING = {"lookup_map": 0.1, "centre_map": 0.2}
"""A split on which what has learnt nothing scores 0.2 at most."""


def test_counts_are_exact():
    assert verdict("films", run("data", films=322)) == ("reproduced", "equal")
    answer, why = verdict("kept-normal", run("data", kept_normal=207))
    assert answer == "not reproduced" and why.startswith("differs by -2; open:")
    assert verdict("rows-without-centre", run("data", rows_without_centre=4))[0] == "reproduced"
    assert verdict("large-radius", run("data", films_radius_above_half_crop=0))[0] == "not reproduced"
    assert verdict("kept", run("data", kept=311)) == ("reproduced", "within a factor of 1.1 of the paper's value")
    assert verdict("parameters-share", run("ssd256", parameters_share=0.22))[0] == "not reproduced"
    small, large = run("cnni-bcc", data=NO_DATA, parameters=10), run("vgg16-network", parameters=20)
    assert claim("cnni-bcc-smaller").group == "built"
    assert verdict("cnni-bcc-smaller", small, large)[0] == "cannot be decided"  # no films, and it needs all of them


def test_claims_are_counted_built_or_trained():
    groups = {c.id: c.group for c in claims()}
    assert groups["films"] == "counted" and groups["parameters"] == "built" and groups["A-map"] == "trained"
    assert groups["A-seconds"] == groups["C-300x2-slower"] == groups["D-slower-in-time"] == "timed"
    assert groups["A-batch"] == "setting" and groups["one-in-eight"] == "context"
    for c in claims():
        if c.group == "trained" and c.value is not None and c.kind == "measure":
            assert (c.margin or c.factor) and c.margin_why and c.baseline, c.id
        if c.group == "trained":
            assert c.baseline or c.value is None, c.id


def test_nothing_made_on_phantoms_counts_about_mini_mias():
    for id, record, name in (("films", "data", "films"), ("A-map", "A", "map"), ("kept-benign", "data", "kept_benign")):
        exact = run(record, data=PHANTOM, **{name: claim(id).value})
        assert verdict(id, exact) == ("cannot be decided", "phantoms")
        table = paper_beside_ours([claim(id)], [exact])
        assert table.ours.iloc[0] and "phantom" in table.run.iloc[0]
    other = run("data", data={**PHANTOM, "name": "clinic"}, films=322)
    assert verdict("films", other) == ("cannot be decided", "not mini-MIAS but clinic")
    part = {**REAL, "digest": "cd" * 32, "films": 115}  # the films with lesions alone
    assert verdict("films", run("data", data=part, films=322)) == ("cannot be decided", "115 of the 322 films")
    assert verdict("A-map", run(data=part, map=metric(0.84, 0.8, 0.9, n=70), **NOTHING))[0] == "reproduced"
    assert "mini-MIAS (115 films)" in paper_beside_ours([claim("A-map")], [run(data=part, map=0.8)]).run.iloc[0]
    for data in (PHANTOM, NO_DATA):  # a network's size does not depend on films
        assert verdict("parameters", run("ssd256", data=data, parameters=23715730))[0] == "reproduced"


@pytest.mark.parametrize(
    ("low", "high", "baseline", "expected", "says"),
    [
        (0.76, 0.90, 0.2, "reproduced", "holds the paper's value"),
        (0.76, 0.90, 0.8, "not reproduced", "the number comes back, but a lookup"),  # the interval holds the baseline
        (0.76, 0.90, 1.0, "not reproduced", "the number comes back, but a lookup"),
        (0.30, 0.50, 0.2, "not reproduced", "by more than the margin"),
        (0.70, 0.80, 0.2, "cannot be decided", "by less than the margin"),
        (0.60, 0.95, 0.2, "cannot be decided", "wider than the margin allows"),
        (0.60, 0.80, 0.2, "cannot be decided", "by less than the margin"),
        (0.10, 0.15, 0.2, "not reproduced", "has learnt nothing"),
    ],
)
def test_a_verdict_has_a_margin_and_a_baseline(low, high, baseline, expected, says):
    ours = metric((low + high) / 2, low, high, n=70)
    answer, why = verdict("A-map", run(map=ours, lookup_map=baseline, centre_map=0.05))
    assert answer == expected and says in why
    row = results.judge([claim("A-map")], [run(map=ours, lookup_map=baseline, centre_map=0.05)])[0].as_data()
    assert row["baseline"] == baseline and (row["low"], row["high"]) == (low, high) and row["verdict"] == expected
    assert row["paper"] == 0.842 and row["group"] == "trained" and row["margin"] == 0.1


def test_the_best_baseline_counts_and_a_missing_one_does_not_help():
    ours = metric(0.84, 0.8, 0.9, n=70)
    assert "three boxes" in verdict("A-map", run(map=ours, lookup_map=0.1, centre_map=0.95))[1]
    row = results.judge([claim("A-map")], [run(map=ours)])[0]
    assert row.baseline is None
    assert row.verdict == "cannot be decided" and "baseline" in row.why


def test_a_constant_answer_reproduces_nothing():
    """Networks that always answer "normal" have the majority's accuracy, however well that agrees with the paper."""
    always = [run("cnni-bcc", seed=i, test_accuracy=a, majority_accuracy=a) for i, a in enumerate((0.70, 0.73, 0.74))]
    answer, why = verdict("cnni-bcc-test-accuracy", *always)
    assert answer == "not reproduced" and "always answering the largest class" in why
    learnt = [run("cnni-bcc", seed=i, test_accuracy=a, majority_accuracy=0.5) for i, a in enumerate((0.72, 0.73, 0.74))]
    assert verdict("cnni-bcc-test-accuracy", *learnt)[0] == "reproduced"


def test_without_an_interval_there_is_a_direction_at_most():
    answer, why = verdict("A-map", run(map=0.842, **NOTHING))
    assert answer == "cannot be decided" and "no interval" in why and "3 seeds" in why
    losses = {"val_loss__epoch50": 5.0, "val_loss__epoch110": 3.148}
    assert verdict("A-val-loss-110", run(**losses))[0] == "direction only"
    assert verdict("A-val-loss-110", run(**losses | {"val_loss__epoch110": 5.5}))[0] == "cannot be decided"
    assert verdict("A-recall-50", run(recall__epoch50=0.3))[0] == "direction only"
    assert verdict("A-recall-50", run(recall__epoch50=metric(0.3, 0.2, 0.4, n=70)))[0] == "reproduced"
    assert verdict("A-recall-50", run(recall__epoch50=metric(0.6, 0.55, 0.7, n=70)))[0] == "not reproduced"
    assert verdict("A-recall-50", run(recall__epoch50=metric(0.5, 0.4, 0.6, n=70)))[0] == "cannot be decided"


def test_losses_have_a_factor_for_a_margin():
    def losses(*values):
        return [run(seed=i, val_loss__epoch110=v, val_loss__epoch1=11.0) for i, v in enumerate(values)]

    assert verdict("A-val-loss-110", *losses(3.10, 3.15, 3.2))[0] == "reproduced"
    assert verdict("A-val-loss-110", *losses(3.90, 3.95, 4.0))[0] == "not reproduced"
    assert verdict("A-val-loss-110", *losses(2.0, 3.0, 4.0))[0] == "cannot be decided"
    answer, why = verdict("A-val-loss-110", *losses(3.0, 12.0, 30.0))
    assert answer == "not reproduced" and "validation loss after epoch 1" in why


def test_a_relation_saves_the_direction_only():
    low, high = run("C-200x3", val_loss=7.0), run("C-300x2", val_loss=8.0)
    a = run("A", **{"val_loss__epoch30": 6.0})
    assert verdict("C-300x2-val-loss", high, low, a)[0] == "direction only"
    assert verdict("C-300x2-val-loss", run("C-300x2", val_loss=6.5), low, a)[0] == "cannot be decided"
    answer, why = verdict("C-300x2-val-loss", high, low)  # A is missing, so one relation is unknown
    assert answer == "cannot be decided" and "no like run to hold A's validation loss after epoch 30 against" in why
    elsewhere = [run("C-200x3", split="woman", val_loss=7.0), run("C-200x3", data=PHANTOM, val_loss=7.0)]
    assert "no like run" in verdict("C-300x2-val-loss", high, a, *elsewhere)[1]
    part = {**REAL, "digest": "cd" * 32, "films": 115}  # the same crops, from the films with lesions alone
    alike = [run("C-200x3", data=part, val_loss=7.0)]
    assert "no like run" not in verdict("C-300x2-val-loss", high, a, *alike)[1]


def test_a_control_is_held_against_the_run_that_changed_the_same():
    def c(name: str, loss: float, **changed):
        size = {"width": 0.125, "updates": 660 if "epochs" in changed else 220, "batch": 96, "reduced": True}
        return run(name, settings={**size, "changed": {"batch": 96, "optimizer": "adam", **changed}}, val_loss=loss)

    plain, scaled = c("C-200x3", 4.0), c("C-200x3", 9.0, rates=[0.002])
    a = run("A", settings={"reduced": True, "changed": {"optimizer": "adam"}}, val_loss__epoch30=3.0)
    table = paper_beside_ours([claim("C-300x2-val-loss")], [c("C-300x2", 5.0), plain, scaled, a])
    assert "above C-200x3's validation loss (4)" in table.why.iloc[0] and table.verdict.iloc[0] == "direction only"
    # a longer run, or one with other rates, is a control: it stands behind the experiment's own although it is larger
    longer = c("C-300x2", 1.0, epochs=900)
    table = paper_beside_ours([claim("C-300x2-val-loss")], [longer, c("C-300x2", 5.0), plain, scaled, a])
    assert list(table.ours) == ["5", "1"] and longer.rescheduled and not plain.rescheduled


def test_statements_without_a_value():
    both = {"confidence_uniform": metric(0.2, 0.1, 0.3), "confidence_centred": metric(0.8, 0.7, 0.9)}
    assert verdict("E-before-confidence", run("E-before", **both))[0] == "reproduced"
    both["confidence_uniform"] = metric(0.6, 0.4, 0.8)  # the intervals overlap: it may be chance
    answer, why = verdict("E-before-confidence", run("E-before", **both))
    assert answer == "cannot be decided" and "overlap" in why
    both["confidence_uniform"] = metric(0.97, 0.95, 0.99)
    assert verdict("E-before-confidence", run("E-before", **both))[0] == "not reproduced"
    assert verdict("E-before-confidence", run("E-before", confidence_uniform=0.2, confidence_centred=0.8))[0] == (
        "direction only"
    )


def test_times_of_another_machine_decide_a_direction_at_most():
    assert verdict("A-seconds", run(seconds_per_epoch=760))[0] == "cannot be decided"
    fast, slow = run("C-200x3", seconds_per_epoch=0.3), run("C-300x2", seconds_per_epoch=0.4)
    assert verdict("C-300x2-seconds", fast, slow)[0] == "direction only"
    assert verdict("C-300x2-seconds", fast, run("C-300x2", seconds_per_epoch=0.2))[0] == "cannot be decided"
    assert verdict("C-300x2-seconds", slow)[0] == "cannot be decided"


def test_a_reduced_run_is_shown_and_decides_a_fair_direction_at_most():
    small = {"width": 0.125, "reduced": True}
    table = paper_beside_ours([claim("A-map")], [run(settings=small, map=metric(0.842, 0.8, 0.9, n=70), **NOTHING)])
    assert table.verdict.iloc[0] == "cannot be decided" and table.ours.iloc[0] == "0.842"
    assert table.why.iloc[0].startswith("narrower or shorter") and "an eighth of the filters" in table.run.iloc[0]
    falls = run("E-before", settings=small, map_centred=0.84, map_uniform=0.284)
    assert verdict("E-before-map", falls)[0] == "direction only"
    rises = run("E-before", settings=small, map_centred=0.1, map_uniform=0.3)
    assert verdict("E-before-map", rises)[0] == "cannot be decided"


def test_what_is_missing_or_open_cannot_be_decided():
    assert verdict("A-map") == ("cannot be decided", "no run yet")
    assert verdict("A-map", run(ap_benign=0.8)) == ("cannot be decided", "the run does not hold its mAP")
    assert verdict("A-map", run(outcome="stopped at update 3", map=0.842))[1] == "no run yet"
    answer, why = verdict("B-epoch", run("B", explosion_epoch=130))
    assert answer == "cannot be decided" and "past the 110" in why
    assert "lost its number" in verdict("cnni-bcc-majority", run("cnni-bcc", majority_share=0.67))[1]
    assert "not a number" in verdict("A-map", run(map=math.nan))[1]
    assert verdict("one-in-eight")[0] == "cannot be decided"


def test_an_infinite_loss_is_an_explosion():
    blown = run("B", train_loss_before=9.0, train_loss_after=math.inf, outcome="diverged at update 80")
    table = paper_beside_ours([claim("B-train-after")], [blown])
    assert table.ours.iloc[0] == "infinite" and table.verdict.iloc[0] == "direction only"
    assert "diverged at update 80" in table.run.iloc[0]


def test_runs_without_a_value_are_named_and_never_averaged_around():
    runs = [run("B", seed=i, train_loss_after=v) for i, v in enumerate((1e10, math.inf, 3e9))]
    pooled = estimate(runs, "train_loss_after")
    assert pooled.value is None and "seed 1: infinite" in pooled.reason and "1e+10" in pooled.reason
    answer, why = verdict("B-train-after", *runs)
    assert answer == "cannot be decided" and "seed 1" in why


def test_settings_are_kept_or_changed_but_never_reproduced():
    asked = {"batch": 100, "rates": [1e-3, 1e-4, 1e-5], "epochs": 55, "rate_epochs": [90, 100]}
    table = paper_beside_ours(claims("07"), [run(settings=asked, data=PHANTOM, steps=60)])
    said = table.verdict.to_dict()
    assert said["A-batch"] == said["A-rates"] == said["A-steps"] == "as stated"
    assert said["A-epochs"] == said["A-rate-epochs"] == "changed" and said["A-train"] == "cannot be decided"
    chosen = paper_beside_ours([claim("vgg16-rate")], [run("vgg16", settings={"rate": 0.01})])
    assert chosen.verdict.iloc[0] == "our choice" and "not stated" in chosen.why.iloc[0]
    kept = paper_beside_ours([claim("cnni-bcc-optimizer")], [run("cnni-bcc", settings={"optimizer": "sgd"})])
    assert kept.verdict.iloc[0] == "as stated"


def test_seeds_are_pooled_once_and_series_are_not():
    values = [0.80, 0.84, 0.88]
    half = 4.302652729911275 * np.std(values, ddof=1) * math.sqrt(1 + 1 / 3)
    for own in (lambda v: v, lambda v: metric(v, v - 0.1, v + 0.05)):  # a seed's own interval adds nothing to it
        pooled = estimate([run(seed=i, map=own(v)) for i, v in enumerate(values)], "map", "AP")
        assert pooled.value == pytest.approx(0.84) and pooled.interval == (pytest.approx(0.84 - half), 1.0)
        assert pooled.kind == "seeds"
    own = [run(seed=i, map=metric(v, v - 0.1, v + 0.05)) for i, v in enumerate(values)]
    two = estimate(own[:2], "map")
    assert (two.interval, two.kind) == (pytest.approx((0.70, 0.89)), "women")
    runs = [run(seed=i, map=v) for i, v in enumerate(values)]
    assert estimate(runs[:2], "map").interval is None and estimate(runs, "recall") is None
    counts = estimate([run(seed=i, films=322) for i in range(3)], "films")
    assert counts.value == 322 and isinstance(counts.value, int) and counts.interval is None
    close = [run(seed=i, map=v, **NOTHING) for i, v in enumerate((0.84, 0.85, 0.86))]
    row = paper_beside_ours([claim("A-map")], [*close, close[0]]).iloc[0]
    assert "3 seeds" in row.run and row.verdict == "reproduced"
    low = run(split="woman", map=metric(0.13, 0.1, 0.2, n=14), **NOTHING)
    apart = paper_beside_ours([claim("A-map")], [*close, low])
    assert list(apart.verdict) == ["reproduced", "not reproduced"] and "by woman" in apart.run.iloc[1]


def test_the_line_that_counts_comes_first():
    small = run(settings={"width": 0.125, "reduced": True}, map=0.1)
    records = [
        run(data=PHANTOM, map=0.9), small, run(split="woman", map=0.2),
        run(settings={"width": 1.0, "changed": {"optimizer": "adam"}}, map=0.3), run(map=0.4),
    ]  # fmt: skip
    table = paper_beside_ours([claim("A-map")], records)
    assert list(table.ours) == ["0.400", "0.300", "0.200", "0.100", "0.900"]
    assert "Adam" in table.run.iloc[1]
    assert [row.ours for row in results.judge([claim("A-map")], records, every=False)] == ["0.400"]
    assert list(table.columns) == ["claim", "section", "paper", "ours", "interval", "verdict", "why", "run"]
    assert set(table.verdict) <= set(results.VERDICTS)


def test_the_committed_records_bring_no_verdict_that_their_numbers_do_not_bear():
    """What a hostile reader looks for: a "reproduced" that holds its baseline, or that is too wide to say so."""
    rows = [row for row in results.judge(None, results.load_all(results.RECORDED)) if row.claim.group == "trained"]
    assert len({row.claim.id for row in rows}) == 35
    for row in rows:
        if row.verdict != "reproduced":
            continue
        (low, high), c = row.estimate.interval, row.claim
        assert low < high, c.id
        if row.baseline:
            assert not low <= row.baseline.score <= high, c.id
        if c.margin:
            assert high - low <= 2 * c.margin, c.id
    by_id = {row.claim.id: row for row in reversed(rows)}
    assert by_id["cnni-bcc-test-accuracy"].verdict == "not reproduced"
    assert by_id["A-map"].verdict == "not reproduced" and "the number comes back" in by_id["A-map"].why


# Pages --------------------------------------------------------------------------------------------


def test_a_notebook_shows_every_cell_escaped():
    odd = run(settings={"changed": {"rate": "<b>&"}}, map=metric(0.5, 0.4, 0.9, n=70))
    shown = results.show(paper_beside_ours(claims("07"), [odd]))
    page = shown._repr_html_()
    assert "&lt;b&gt;&amp;" in page and "<b>&" not in page.replace("<b>✓", "")
    assert "0.842" in page and "0.400 to 0.900" in page
    opened = page.partition("<details>")[0]
    assert opened.count("<tr>") == 6 and page.count("<details>") == 2  # a head, five lines; the rest folded
    assert "[" + odd.hash not in page
    assert "cannot be decided: mAP" in repr(shown)
    with pytest.raises(ValueError, match="verdict"):
        results.show(paper_beside_ours(claims("07"), [odd]).drop(columns="verdict"))


def test_the_results_page_holds_every_claim_and_is_the_same_for_the_same_records():
    records = [run(map=v, seed=i, **NOTHING) for i, v in enumerate((0.83, 0.84, 0.85))]
    records += [run(split="woman", map=metric(0.1, 0.05, 0.2, n=14), **NOTHING), run("data", films=322)]
    page = results.results_page(records)
    assert page == results.results_page(list(reversed(records))) == results.results_page(iter(records))
    for title in results.sections().values():
        assert title in page
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    for c in claims():
        assert any(line.startswith(f"| {c.quantity.replace('_', chr(92) + '_')} ") for line in lines), c.id
    assert "Of 35 results of training, 1 are reproduced" in page and "The same in other runs" in page
    assert not any(r.hash in page or r.file_name in page for r in records)
    runs = results.runs_page(records)
    assert all(r.file_name in runs for r in records)
    assert {line.replace("\\|", "").count("|") for line in lines} == {5}
    assert "No run is recorded yet." in results.runs_page([]) and "no number" in results.results_page([])


def test_a_main_claim_says_what_was_found_and_escapes_what_a_record_holds():
    odd = run(settings={"changed": {"<script>": "<script>"}}, map=metric(0.83, 0.77, 0.9, n=70), **NOTHING)
    page = results.results_page([odd, run(split="woman", map=metric(0.06, 0.03, 0.15, n=14), **NOTHING)])
    first = page.partition("## All results")[0]
    assert "<script>" not in page.replace("\\<", "") and "&lt;script&gt;" in first
    assert "Ours: 0.830 [0.770, 0.900]" in first and "Where women are kept apart: 0.060." in first
    assert first.count("<svg") == 1 and 'aria-label="paper 0.842, ours 0.830, 0.770 to 0.900"' in first


def test_the_claims_are_printed_for_people_and_for_programs():
    rows = results.judge(None, [run(map=metric(0.84, 0.8, 0.9, n=70), **NOTHING)], every=False)
    assert results.headline(rows).startswith(
        "Of 35 results of training, 1 are reproduced, 0 in direction only, 0 are not"
    )
    assert "✓ reproduced: mAP on the test images" in results.listed(rows)
    data = [row.as_data() for row in rows]
    assert len(data) == len(claims())
    keys = {"id", "group", "claim", "paper", "value", "low", "high", "baseline", "verdict", "why", "run"}
    assert all(keys <= set(line) for line in data)
    assert json.loads(json.dumps(data, allow_nan=False)) == data


def test_metrics_have_names_in_words():
    assert metric_words("val_loss@epoch30") == "validation loss after epoch 30"
    assert (
        metric_words("map_uniform") == "mAP, uniform cuts" and metric_words("map_training") == "mAP on training crops"
    )


def test_the_page_of_runs_says_what_ran_on_which_machine():
    cpu = {"processor": "AMD EPYC", "cores": 1, "gpu": None, "backend": "tensorflow"}
    cpu |= {"versions": {"tensorflow": "2.21"}}
    gpu = {**cpu, "cores": 16, "gpu": "NVIDIA H100", "backend": "jax", "versions": {"jax": "0.10.2"}}
    half = {"precision": "mixed_bfloat16"}
    there = [dataclasses.replace(run(settings=half, seed=i, map=0.8), machine=gpu) for i in range(2)]
    here = [dataclasses.replace(run("data", films=322), machine=cpu), run("map")]
    page = results.runs_page([*here, *there])
    section = page.partition("(which-machine)=\n## What ran on which machine")[2]
    assert "Of 4 recorded runs, 2 ran on a GPU." in section
    assert "| GPU: NVIDIA H100; AMD EPYC, 16 cores | jax 0.10.2 | mixed\\_bfloat16 | A (2) |" in section
    assert "| AMD EPYC, 1 core | tensorflow 2.21 | – | data |" in section
    assert "| unknown | none: no network | – | map |" in section
    assert "Of 2 recorded runs, none ran on a GPU." in results.runs_page(here)
