"""The paper's claims, the verdicts that records bring on them, and how both are shown."""

import dataclasses
import json
import math

import numpy as np
import pytest
from test_results import PHANTOM, REAL, run

from mammolib import results
from mammolib.results import NO_DATA, Record, claims, metric, paper_beside_ours
from mammolib.results.claims import read
from mammolib.results.estimates import estimate

CLAIMS = {c.id: c for c in claims()}


def judged(id, *records):
    return results.judge([CLAIMS[id]], records)


def verdict(id, *records):
    row = judged(id, *records)[0]
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


def test_claims_hold_what_the_paper_prints():
    assert {id: CLAIMS[id].value for id in PAPER} == PAPER


def test_claims_are_well_formed_and_cover_the_book():
    """claims.toml says what the fields mean; a slip in it shows here."""
    assert len(CLAIMS) == len(claims()) > 140
    assert {c.section for c in claims()} == set(results.sections())
    assert {c.chapters[0] for c in claims()} == {f"{n:02d}" for n in range(1, 12)}
    assert {c.group for c in claims()} == {"counted", "built", "trained", "timed", "setting", "context"}
    recorded = {c.record for c in claims()}
    words = "count, measure, at least, at most, relation, machine, setting, context".split(", ")
    for c in claims():
        assert c.kind in words and c.needs in ("films", "all films", "nothing") and c.better in ("higher", "lower"), (
            c.id
        )
        assert c.quantity.strip() and (c.kind == "context") == (not c.record) == (not c.metric), c.id
        assert (c.value is None and c.relations) if c.kind == "relation" else c.value is not None or c.open, c.id
        assert c.number is not None or c.value is None or c.kind == "setting", c.id
        assert (c.margin is None or c.margin > 0) and (c.factor is None or c.factor > 1), c.id
        assert c.kind != "setting" or not c.relations, c.id
        assert {sign for sign, _, _ in c.relations} <= {"<", ">"}, c.id
        assert {record for _, record, _ in c.relations} <= recorded, c.id
        for name in [c.metric, *(m for _, _, m in c.relations), *(b for b in c.baseline if isinstance(b, str))]:
            Record("A", {}, NO_DATA, 0, metrics={name: 1} if name else {})  # a name that a record takes
        if c.group == "trained" and c.kind == "measure" and c.value is not None:
            assert (c.margin is None) != (c.factor is None) and c.margin_why and c.baseline, c.id
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
    assert total == CLAIMS["parameters"].value
    assert [r["output"] for r in rows if r["output"]] == [128, 64, 32, 16, 8, 4, 2, 1]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"colour": "red"}, "colour"),
        ({"relations": ["nothing"]}, "unpack"),
        ({"relations": ["< nothing"]}, "nothing"),
    ],
)
def test_a_bad_claim_is_named(change, says):
    good = {"id": "x", "section": "2", "chapter": "01", "quantity": "films", "kind": "count", "value": 1}
    good |= {"record": "data", "metric": "films"}
    assert read({"group": [{"rows": [good]}]})[0].value == 1
    with pytest.raises(ValueError, match="claim 'x'.*" + says):
        read({"group": [{"rows": [good | change]}]})


# Verdicts -----------------------------------------------------------------------------------------

NOTHING = {"lookup_map": 0.1, "centre_map": 0.2}
"""A split on which what has learnt nothing scores 0.2 at most."""


PART = {**REAL, "digest": "cd" * 32, "films": 115}
"""The films with lesions alone."""
SMALL = {"width": 0.125, "reduced": True}


def with_interval(value, low, high):
    return metric(value, low, high, n=70)


def losses(*values):
    return [run(seed=i, val_loss__epoch110=v, val_loss__epoch1=11.0) for i, v in enumerate(values)]


def accuracies(values, majority):
    return [run("cnni-bcc", seed=i, test_accuracy=a, majority_accuracy=majority or a) for i, a in enumerate(values)]


def confidences(uniform, centred):
    return [run("E-before", confidence_uniform=uniform, confidence_centred=centred)]


LOW, HIGH, A = run("C-200x3", val_loss=7.0), run("C-300x2", val_loss=8.0), run(val_loss__epoch30=6.0)
FAST, SLOW = run("C-200x3", seconds_per_epoch=0.3), run("C-300x2", seconds_per_epoch=0.4)
FAIR = with_interval(0.84, 0.8, 0.9)
YES, DIRECTION, NO, OPEN = results.VERDICTS
CASES = [
    # counts are exact
    ("films", [run("data", films=322)], YES, "equal"),
    ("kept-normal", [run("data", kept_normal=207)], NO, "differs by -2; open:"),
    ("rows-without-centre", [run("data", rows_without_centre=4)], YES, ""),
    ("large-radius", [run("data", films_radius_above_half_crop=0)], NO, ""),
    ("kept", [run("data", kept=311)], YES, "within a factor of 1.1 of the paper's value"),
    ("parameters-share", [run("ssd256", parameters_share=0.22)], NO, ""),
    ("cnni-bcc-smaller", [run("cnni-bcc", data=NO_DATA, parameters=10), run("vgg16-network", parameters=20)], OPEN, ""),
    # nothing made on phantoms counts about mini-MIAS, but a network's size does not depend on films
    ("films", [run("data", data=PHANTOM, films=322)], OPEN, "phantoms"),
    ("A-map", [run(data=PHANTOM, map=0.842)], OPEN, "phantoms"),
    ("films", [run("data", data={**PHANTOM, "name": "clinic"}, films=322)], OPEN, "not mini-MIAS but clinic"),
    ("films", [run("data", data=PART, films=322)], OPEN, "115 of the 322 films"),
    ("A-map", [run(data=PART, map=FAIR, **NOTHING)], YES, ""),
    ("parameters", [run("ssd256", data=PHANTOM, parameters=23715730)], YES, ""),
    ("parameters", [run("ssd256", data=NO_DATA, parameters=23715730)], YES, ""),
    # the best baseline counts, and a missing one does not help
    ("A-map", [run(map=FAIR, lookup_map=0.1, centre_map=0.95)], NO, "three boxes"),
    ("A-map", [run(map=FAIR)], OPEN, "baseline"),
    # networks that always answer "normal" have the majority's accuracy, however well that agrees with the paper
    ("cnni-bcc-test-accuracy", accuracies((0.70, 0.73, 0.74), None), NO, "always answering the largest class"),
    ("cnni-bcc-test-accuracy", accuracies((0.72, 0.73, 0.74), 0.5), YES, ""),
    # without an interval there is a direction at most
    ("A-map", [run(map=0.842, **NOTHING)], OPEN, "no interval (one run without one: 3 seeds"),
    ("A-val-loss-110", [run(val_loss__epoch50=5.0, val_loss__epoch110=3.148)], DIRECTION, ""),
    ("A-val-loss-110", [run(val_loss__epoch50=5.0, val_loss__epoch110=5.5)], OPEN, ""),
    ("A-recall-50", [run(recall__epoch50=0.3)], DIRECTION, ""),
    ("A-recall-50", [run(recall__epoch50=with_interval(0.3, 0.2, 0.4))], YES, ""),
    ("A-recall-50", [run(recall__epoch50=with_interval(0.6, 0.55, 0.7))], NO, ""),
    ("A-recall-50", [run(recall__epoch50=with_interval(0.5, 0.4, 0.6))], OPEN, ""),
    # losses have a factor for a margin
    ("A-val-loss-110", losses(3.10, 3.15, 3.2), YES, ""),
    ("A-val-loss-110", losses(3.90, 3.95, 4.0), NO, ""),
    ("A-val-loss-110", losses(2.0, 3.0, 4.0), OPEN, ""),
    ("A-val-loss-110", losses(3.0, 12.0, 30.0), NO, "validation loss after epoch 1"),
    # a relation saves the direction only, and is held against like runs
    ("C-300x2-val-loss", [HIGH, LOW, A], DIRECTION, ""),
    ("C-300x2-val-loss", [run("C-300x2", val_loss=6.5), LOW, A], OPEN, ""),
    ("C-300x2-val-loss", [HIGH, LOW], OPEN, "no like run to hold A's validation loss after epoch 30 against"),
    ("C-300x2-val-loss", [HIGH, A, run("C-200x3", split="woman", val_loss=7.0)], OPEN, "no like run"),
    ("C-300x2-val-loss", [HIGH, A, run("C-200x3", data=PHANTOM, val_loss=7.0)], OPEN, "no like run"),
    ("C-300x2-val-loss", [HIGH, A, run("C-200x3", data=PART, val_loss=7.0)], DIRECTION, ""),
    # statements without a value
    ("E-before-confidence", confidences(metric(0.2, 0.1, 0.3), metric(0.8, 0.7, 0.9)), YES, ""),
    ("E-before-confidence", confidences(metric(0.6, 0.4, 0.8), metric(0.8, 0.7, 0.9)), OPEN, "overlap"),
    ("E-before-confidence", confidences(metric(0.97, 0.95, 0.99), metric(0.8, 0.7, 0.9)), NO, ""),
    ("E-before-confidence", confidences(0.2, 0.8), DIRECTION, ""),
    # times of another machine decide a direction at most
    ("A-seconds", [run(seconds_per_epoch=760)], OPEN, ""),
    ("C-300x2-seconds", [FAST, SLOW], DIRECTION, ""),
    ("C-300x2-seconds", [FAST, run("C-300x2", seconds_per_epoch=0.2)], OPEN, ""),
    ("C-300x2-seconds", [SLOW], OPEN, ""),
    # a reduced run decides a fair direction at most
    ("A-map", [run(settings=SMALL, map=FAIR, **NOTHING)], OPEN, "narrower or shorter"),
    ("E-before-map", [run("E-before", settings=SMALL, map_centred=0.84, map_uniform=0.284)], DIRECTION, ""),
    ("E-before-map", [run("E-before", settings=SMALL, map_centred=0.1, map_uniform=0.3)], OPEN, ""),
    # what is missing or open cannot be decided
    ("A-map", [], OPEN, "no run yet"),
    ("A-map", [run(ap_benign=0.8)], OPEN, "the run does not hold its mAP"),
    ("A-map", [run(outcome="stopped at update 3", map=0.842)], OPEN, "no run yet"),
    ("A-map", [run(map=math.nan)], OPEN, "not a number"),
    ("B-epoch", [run("B", explosion_epoch=130)], OPEN, "past the 110"),
    ("cnni-bcc-majority", [run("cnni-bcc", majority_share=0.67)], OPEN, "lost its number"),
    ("one-in-eight", [], OPEN, "background"),
]


@pytest.mark.parametrize(("id", "records", "expected", "says"), CASES)
def test_verdicts(id, records, expected, says):
    answer, why = verdict(id, *records)
    assert answer == expected and says in why


def test_claims_are_counted_built_or_trained():
    groups = {"films": "counted", "parameters": "built", "cnni-bcc-smaller": "built", "A-map": "trained"}
    groups |= {"A-batch": "setting", "one-in-eight": "context"}
    groups |= dict.fromkeys(("A-seconds", "C-300x2-slower", "D-slower-in-time"), "timed")
    assert {id: CLAIMS[id].group for id in groups} == groups


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
    ours = with_interval((low + high) / 2, low, high)
    row = judged("A-map", run(map=ours, lookup_map=baseline, centre_map=0.05))[0].as_data()
    assert row["verdict"] == expected and says in row["why"]
    assert row["baseline"] == baseline and (row["low"], row["high"]) == (low, high)
    assert row["paper"] == 0.842 and row["group"] == "trained" and row["margin"] == 0.1


def test_a_control_is_held_against_the_run_that_changed_the_same():
    def c(name: str, loss: float, **changed):
        size = {"width": 0.125, "updates": 660 if "epochs" in changed else 220, "batch": 96, "reduced": True}
        return run(name, settings={**size, "changed": {"batch": 96, "optimizer": "adam", **changed}}, val_loss=loss)

    plain, scaled = c("C-200x3", 4.0), c("C-200x3", 9.0, rates=[0.002])
    a = run("A", settings={"reduced": True, "changed": {"optimizer": "adam"}}, val_loss__epoch30=3.0)
    row = judged("C-300x2-val-loss", c("C-300x2", 5.0), plain, scaled, a)[0]
    assert "above C-200x3's validation loss (4)" in row.why and row.verdict == "direction only"
    # a longer run, or one with other rates, is a control: it stands behind the experiment's own although it is larger
    rows = judged("C-300x2-val-loss", c("C-300x2", 1.0, epochs=900), c("C-300x2", 5.0), plain, scaled, a)
    assert [r.ours for r in rows] == ["5", "1"]


def test_an_infinite_loss_is_an_explosion_and_never_averaged_around():
    blown = run("B", train_loss_before=9.0, train_loss_after=math.inf, outcome="diverged at update 80")
    (row,) = judged("B-train-after", blown)
    assert row.ours == "infinite" and row.verdict == "direction only" and "diverged at update 80" in row.cells()[-1]
    runs = [run("B", seed=i, train_loss_after=v) for i, v in enumerate((1e10, math.inf, 3e9))]
    pooled = estimate(runs, "train_loss_after")
    assert math.isnan(pooled.value) and "seed 1: infinite" in pooled.reason and "1e+10" in pooled.reason
    answer, why = verdict("B-train-after", *runs)
    assert answer == "cannot be decided" and "seed 1" in why


def test_settings_are_kept_or_changed_but_never_reproduced():
    asked = {"batch": 100, "rates": [1e-3, 1e-4, 1e-5], "epochs": 55, "rate_epochs": [90, 100]}
    table = paper_beside_ours(claims("07"), [run(settings=asked, data=PHANTOM, steps=60)])
    said = table.verdict.to_dict()
    assert said["A-batch"] == said["A-rates"] == said["A-steps"] == "as stated"
    assert said["A-epochs"] == said["A-rate-epochs"] == "changed" and said["A-train"] == "cannot be decided"
    (chosen,) = judged("vgg16-rate", run("vgg16", settings={"rate": 0.01}))
    assert chosen.verdict == "our choice" and "not stated" in chosen.why
    assert judged("cnni-bcc-optimizer", run("cnni-bcc", settings={"optimizer": "sgd"}))[0].verdict == "as stated"


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
    low = run(split="woman", map=metric(0.13, 0.1, 0.2, n=14), **NOTHING)
    ours, by_woman = judged("A-map", *close, close[0], low)
    assert "3 seeds" in ours.cells()[-1] and "by woman" in by_woman.cells()[-1]
    assert (ours.verdict, by_woman.verdict) == ("reproduced", "not reproduced")


def test_the_line_that_counts_comes_first():
    records = [
        run(data=PHANTOM, map=0.9), run(settings=SMALL, map=0.1), run(split="woman", map=0.2), run(data=PART, map=0.5),
        run(settings={"width": 1.0, "changed": {"optimizer": "adam"}}, map=0.3), run(map=0.4),
    ]  # fmt: skip
    table = paper_beside_ours([CLAIMS["A-map"]], records)
    assert sorted(table.ours[:2]) == ["0.400", "0.500"] and list(table.ours[2:]) == ["0.300", "0.200", "0.100", "0.900"]
    words = {
        "0.500": "mini-MIAS (115 films)",
        "0.300": "Adam",
        "0.200": "by woman",
        "0.100": "an eighth of the filters",
    }
    for ours, said in (words | {"0.900": "phantom"}).items():
        assert said in table.run[table.ours == ours].item()
    assert len(results.judge([CLAIMS["A-map"]], records, every=False)) == 1
    assert list(table.columns) == ["claim", "section", "paper", "ours", "interval", "verdict", "why", "run"]
    assert set(table.verdict) <= set(results.VERDICTS)


def test_the_committed_records_bring_no_verdict_that_their_numbers_do_not_bear():
    """What a hostile reader looks for: a "reproduced" that holds its baseline, or that is too wide to say so."""
    rows = [row for row in results.judge(None, results.load_all(results.recorded())) if row.claim.group == "trained"]
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
