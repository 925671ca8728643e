"""The variants of Experiments A to E: which is run, the rate that goes with the width, and the records' hashes."""

import re
from pathlib import Path

import pytest

from mammolib import results
from mammolib.experiments import detection as d
from mammolib.experiments import running
from mammolib.experiments.profiles import PROFILES, Profile

DATA = {"name": "grey", "digest": "7" * 64, "films": 20}
RECORDS = {
    Path(r.file_name).stem: r for r in results.load_all(results.recorded()) if r.name in d.EXPERIMENTS
}  # read once: loading checks each record
FULL_WIDTH = [stem for stem, r in RECORDS.items() if r.settings["width"] == 1]


def _ask(name: str | d.Detection, **options: object) -> running.Asked:
    return running.ask(name, **{"data": DATA, "store": "", **options})


def _again(record: results.Record, **options: object) -> str:
    """Return the hash of a record's run, asked for again."""
    s = record.settings
    begun = RECORDS[s["start"]] if d.EXPERIMENTS[record.name].from_a else None
    updates = None
    if "shortened_from" in s:  # asked for as "about so many"
        one = d.EXPERIMENTS[record.name].but(**s["changed"])
        shape = (s["epochs"], s["steps"])
        around = range(s["updates"] + 9, s["updates"] - 10, -1)
        updates = next(u for u in around if (one.plan(u).epochs, one.plan(u).steps) == shape)
    size = {"width": s["width"], "updates": updates, "seed": record.seed, "split": record.split, "of": begun}
    return _ask(record.name, data=record.data, **{**size, **options}).record.hash


@pytest.mark.parametrize("stem", RECORDS)
def test_asking_for_a_committed_run_again_finds_its_record(stem):
    record = RECORDS[stem]
    changed = dict(record.settings["changed"])
    assert _again(record, variant="stated", changes=changed) == record.hash
    if d.TRAINS.items() <= changed.items():
        scaled = ("rates",) if stem in FULL_WIDTH else ()
        rest = {k: v for k, v in changed.items() if k not in (*d.TRAINS, *scaled)}
        assert _again(record, variant="trains", changes=rest) == record.hash
        if d.EXPERIMENTS[record.name].from_a:
            assert _again(record) == record.hash, "E takes variant, width and batch over from its A"


def test_the_full_width_runs_are_those_the_variant_asks_for():
    names = {"A-62d727b9eb9d", "A-aa01569f6938", "A-730688a41df3", "A-de184c2edf5e", "A-0dc22d386d60"}
    assert names | {"E-after-1a1b0c29b37e", "E-before-7632e9da2740"} <= set(FULL_WIDTH)
    asked = _ask("A", variant="trains", changes={"precision": "mixed_bfloat16"}, data=RECORDS["A-62d727b9eb9d"].data)
    assert asked.record.stem == "A-62d727b9eb9d"
    assert asked.experiment.rates == (1.25e-4, 1.25e-5, 1.25e-6)
    by_hand = _ask("A", changes={**d.TRAINS, "rate": 1.25e-4, "precision": "mixed_bfloat16"}, data=asked.data)
    assert by_hand.record.stem == asked.record.stem


def test_rate_times_width_stays_the_same():
    for width in (1 / 32, 1 / 16, 1 / 8, 0.5, 1):
        for name in ("A", "B", "C-300x2", "D-100x6"):
            asked = _ask(name, variant="trains", width=width)
            wanted = [r / 8 / width for r in d.EXPERIMENTS[name].rates]
            assert asked.experiment.rates == pytest.approx(wanted)
            assert asked.record.settings["rates"] == pytest.approx(wanted)
            assert ("rates" in asked.experiment.changes) == (width != 1 / 8)
    assert _ask("A", variant="stated").experiment.rates == d.A.rates


@pytest.mark.parametrize(
    ("changes", "rates"),
    [
        ({"rate": 5e-4}, (5e-4, 5e-5, 5e-6)),
        ({"rate": 1e-3}, (1e-3, 1e-4, 1e-5)),
        ({"rates": [3e-4, 2e-4, 1e-4]}, (3e-4, 2e-4, 1e-4)),
        ({"optimizer": "sgd"}, (1e-3, 1e-4, 1e-5)),  # the rule is Adam's
    ],
)
def test_a_rate_that_is_given_wins(changes, rates):
    assert _ask("A", variant="trains", width=1, changes=changes).experiment.rates == pytest.approx(rates)
    if "rate" in changes:
        own = d.A.but(rates=[9e-4, 9e-5, 9e-6])
        assert _ask(own, variant="trains", width=1).experiment.rates == (9e-4, 9e-5, 9e-6)


def test_a_profile_says_which_variant_is_run_and_changes_come_on_top():
    quick, paper = PROFILES["quick"], PROFILES["paper"]
    assert (quick.variant, paper.variant, Profile("x", 1, batch=4).variant) == ("trains", "stated", "trains")
    for changes in (None, {}):
        assert _ask("A", profile=quick, changes=changes).experiment.optimizer == "adam"
        assert _ask("A", profile=paper, changes=changes).experiment == d.A
    on_top = _ask("A", profile=quick, changes={"clip": 1.0}).experiment
    assert (on_top.optimizer, on_top.divide_by, on_top.clip) == ("adam", 64.0, 1.0)
    stated = _ask("A", profile=quick, variant="stated", changes={"clip": 1.0}).experiment
    assert (stated.optimizer, stated.divide_by, stated.clip) == ("sgd", 1.0, 1.0)
    own = d.A.but(clip=1.0)
    assert _ask(own, profile=quick).experiment.changes == {"clip": 1.0, "batch": quick.batch}
    assert _ask(own, profile=quick, variant="trains").experiment.optimizer == "adam"
    with pytest.raises(ValueError, match="variant: 'best' is not one of stated, trains"):
        _ask("A", variant="best")


def test_e_takes_its_variant_from_the_run_it_starts_from():
    begun = RECORDS["A-62d727b9eb9d"]
    options = {"of": begun, "data": begun.data}
    assert _ask("E-after", **options).experiment.rates == (1.25e-4,)
    assert _ask("E-after", **options, changes={"rate": 1e-3}).experiment.rates == (1e-3,)
    doubled = _ask("A", changes={"rate": 2e-3}).record
    assert _ask("E-after", of=doubled).experiment.rates == (2e-3,), "whatever rate A had, E has in proportion"
    assert _ask("E-after", **options, changes={"flip": False}).experiment.precision == "mixed_bfloat16"
    with pytest.raises(ValueError, match="E-after, divide_by: 1.0, but A-62d727b9eb9d was trained with 64.0"):
        _ask("E-after", **options, variant="stated")
    with pytest.raises(ValueError, match="of: E-after starts from a run of A, got 'C-300x2-0334b5b91388'"):
        _ask("E-after", of=RECORDS["C-300x2-0334b5b91388"], data=begun.data)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rates": 0.1}, ", rates: 0.1 does not fit; it must be a list of numbers such as [0.001, 0.0001]; `rate`"),
        ({"rates": []}, ", rates: () does not fit"),
        ({"rates": ["fast"]}, ", rates: ('fast',) does not fit"),
        ({"rates": [1e-3, 1e-4]}, ", rate_epochs: (90, 100, 110) does not fit; it must be a rising list"),
        ({"rate": 1e-3, "rates": [1e-3]}, ", rate: 0.001 does not fit; it takes all rates along; give rate or rates"),
        ({"rate": "fast"}, ", rate: 'fast' does not fit; it must be a positive number"),
        ({"rate_epochs": 3}, ", rate_epochs: 3 does not fit"),
        ({"epochs": 0}, ", epochs: 0 does not fit; it must be a whole number of at least 1"),
        ({"epochs": 2}, ", epochs: 2 does not fit; it is too few for 3 rates"),
        ({"steps": 0}, ", steps: 0 does not fit"),
        ({"batch": True}, ", batch: True does not fit"),
        ({"batch": 100.0}, ", batch: 100.0 does not fit"),
        ({"optimizer": {}}, ", optimizer: {} does not fit; it must be one of sgd, adam"),
        ({"momentum": "high"}, ", momentum: 'high' does not fit; it must be a number in [0, 1)"),
        ({"clip": 0}, ", clip: 0 does not fit; it must be a positive number, or null"),
        ({"clip": [1]}, ", clip: (1,) does not fit"),
        ({"precision": "half"}, ", precision: 'half' does not fit; it must be one of float32, mixed_bfloat16"),
        ({"flip": 1}, ", flip: 1 does not fit; it must be true or false"),
        ({"l2": float("inf")}, ", l2: inf does not fit"),
        ({"mining": "film"}, ", mining: 'film' does not fit"),
        ({"mean": "grey"}, ", mean: 'grey' does not fit; it must be vgg or a number"),
        ({"divide_by": None}, ", divide_by: None does not fit; it must be a positive number"),
        ({"start": 5}, ", start: 5 does not fit"),
        ({"gradient_norm": True}, ", gradient_norm: True does not fit"),
        ({"watch": "30"}, ", watch: '30' does not fit"),
        ({"colour": 1}, ": it has no setting 'colour'"),
    ],
)
def test_a_setting_of_another_kind_is_refused_in_one_line(change, words):
    with pytest.raises(ValueError, match=re.escape(f"experiment 'A'{words}")) as err:
        d.A.but(**change)
    assert "\n" not in str(err.value)


def test_a_change_that_is_changed_back_is_none():
    assert d.A.but(flip=False, rate=1.0).but(flip=True, rate=1e-3) == d.A
    assert d.A.but(divide_by=1).as_data() == d.A.as_data()
    assert d.A.but(epochs=220).but(epochs=110) == d.A
