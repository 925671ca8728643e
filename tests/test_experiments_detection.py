"""Experiments A to E as data and as runs: the paper's settings, sizes, sets, records, and what a second call does."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tiny import QUIET

from mammolib import cli, results, training
from mammolib.experiments import detection as d
from mammolib.experiments import evaluate_detector, evaluate_training, inside, running, sets, whole_films
from mammolib.experiments.profiles import PROFILES
from mammolib.geometry import Detections, Truths
from mammolib.metrics import mean_average_precision
from mammolib.mias import Film, Lesion
from mammolib.training import Execution
from mammolib.training.history import History

DATA = {"name": "grey", "digest": "7" * 64, "films": 20}
FEW = {"optimizer": "adam", "divide_by": 64.0, "batch": 4}


@dataclass(frozen=True)
class Grey(Film):
    """A film in memory: noise with a bright square where the lesion is."""

    def pixels(self) -> np.ndarray:
        rng = np.random.default_rng(self.number)
        pixels = rng.integers(40, 120, (1024, 1024), dtype=np.uint8)
        for lesion in self.lesions:
            row, column, r = int(lesion.row), int(lesion.column), int(lesion.radius)
            pixels[row - r : row + r, column - r : column + r] = 170 + 40 * lesion.label
        return pixels


def _film(number: int) -> Grey:
    woman = (number + 1) // 2
    lesion = Lesion("MISC", "BM"[woman % 2], 400 + 10 * woman, 500 - 7 * woman, 50 + 5 * woman)
    return Grey(f"mdb{number:03}", "FGD"[woman % 3], () if number % 4 == 0 else (lesion,), Path("nowhere"))


FILMS = [_film(n) for n in range(1, 21)]


def _run(name: str | d.Detection, store: Path, split: str = "woman", **options: object) -> results.Record:
    given = {"store": store, "width": 1 / 32, "updates": 4, "changes": FEW, "data": DATA, "execution": QUIET}
    return running.run_detector(name, FILMS, split=split, **{**given, **options})


# the paper's settings


@pytest.mark.parametrize("name", list(d.EXPERIMENTS))
def test_every_setting_the_paper_states_is_as_stated(name):
    """The claims' comparison finds them by these names; sizes of sets are metrics and depend on the films."""
    said = d.EXPERIMENTS[name].as_data()
    for claim in results.claims():
        if (
            claim.record == name
            and claim.kind == "setting"
            and claim.metric
            not in (
                "train_images",
                "validation_images",
                "test_images",
                "passes",
                "epochs_in_all",
            )
        ):
            stated = list(claim.value) if isinstance(claim.value, tuple) else claim.value
            assert said[claim.metric] == pytest.approx(stated), claim.id
    assert not said["reduced"] and said["changed"] == {}
    json.dumps(said)


def test_there_is_an_experiment_for_every_claim():
    named = {c.record for c in results.claims() if re.match(r"[A-E](-|$)", c.record)}
    assert named == set(d.EXPERIMENTS)


def test_updates_are_those_derived_from_the_paper():
    updates = {name: e.updates for name, e in d.EXPERIMENTS.items()}
    assert updates == {"A": 6600, "B": 6600, "C-300x2": 600, "C-200x3": 900, "D-100x6": 900, "D-200x3": 450,
                       "D-300x2": 300, "E-before": 0, "E-after": 700}  # fmt: skip


def test_a_change_is_written_down_and_what_is_no_change_is_not():
    changed = d.A.but(optimizer="adam", rate=2e-3, flip=True, clip=1.0)
    assert changed.rates == pytest.approx((2e-3, 2e-4, 2e-5))
    assert changed.changes == {"optimizer": "adam", "rates": pytest.approx([2e-3, 2e-4, 2e-5]), "clip": 1.0}
    assert "momentum" not in changed.as_data() and changed.as_data()["optimizer"] == "Adam"
    assert d.B.but(**d.TRAINS).rates == d.B.rates
    longer = d.C_300.but(epochs=3300)
    assert longer.rate_epochs == (3300,) and longer.updates == 6600 and not longer.as_data()["reduced"]
    assert d.A.but(batch=32).as_data()["reduced"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"colour": 1}, "experiment 'A': it has no setting 'colour'"),
        ({"mining": "film"}, "experiment 'A', mining: 'film' does not fit"),
        ({"rate": -1}, "experiment 'A', rate: -1 does not fit"),
        ({"rates": (1e-3, 1e-4)}, "experiment 'A', rate_epochs: (90, 100, 110) does not fit"),
        ({"batch": 2.5}, "experiment 'A', batch: 2.5 does not fit"),
    ],
)
def test_a_change_that_cannot_be_is_refused_in_one_line(change, words):
    with pytest.raises(ValueError, match=re.escape(words)) as err:
        d.A.but(**change)
    assert "\n" not in str(err.value)


def test_a_shortened_run_keeps_its_shape():
    full, short, shorter = (d.A.plan(n) for n in (None, 1500, 200))
    assert (full.epochs, full.steps, full.starts) == (110, 60, (0, 5400, 6000))
    assert (short.epochs, short.steps, short.marks[30]) == (110, 14, 30)
    assert (shorter.epochs, shorter.steps) == (20, 10) and shorter.marks == {30: 5, 50: 9, 110: 20}
    for plan in (short, shorter):
        assert np.array(plan.starts) / plan.updates == pytest.approx(np.array(full.starts) / full.updates, abs=0.003)
    assert d.A.plan(1).starts == (0,)
    said = d.A.as_data(updates=1500)
    assert said["reduced"] and said["shortened_from"] == {"epochs": 110, "steps": 60}
    assert said["rate_epochs"] == [90, 100, 110]
    with pytest.raises(ValueError, match="updates: must be a whole number of at least 1, got 0"):
        d.A.plan(0)


def test_a_profile_gives_all_experiments_the_same_share():
    quick = PROFILES["quick"]
    asked = {n: running.ask(n, FILMS, profile=quick, data=DATA) for n in ("A", "C-300x2", "E-after")}
    a = asked["A"]
    assert (a.updates, a.experiment.batch, a.width) == (quick.updates, quick.batch, quick.width)
    assert [asked["C-300x2"].updates, asked["C-300x2"].experiment.batch] == [round(quick.updates / 11), 3 * quick.batch]
    assert asked["E-after"].origin == a.stem
    assert a.experiment.optimizer == "adam"
    assert running.ask("A", FILMS, profile=quick, data=DATA, changes={}) == a
    assert running.ask("A", FILMS, profile=quick, data=DATA, variant="stated").experiment.optimizer == "sgd"
    paper = running.ask("A", FILMS, profile="paper", data=DATA)
    assert paper.experiment == d.A and not paper.record.reduced


# the sets


@pytest.fixture(scope="module")
def crops() -> sets.Crops:
    return sets.centred(FILMS)


@pytest.mark.parametrize("split", d.SPLITS)
def test_no_cut_trains_on_a_lesion_that_a_tests_on(crops, split):
    part = sets.divide(crops, split, 0)
    cuts, own = sets.uniform(FILMS, crops, part, 0)
    tested = set(crops.film[part.test])
    assert not tested & set(cuts.film[own.training]) and not tested & set(cuts.film[own.validation])
    assert set(cuts.film[own.test]) <= tested
    if split == "woman":
        assert not set(cuts.woman[own.training]) & set(crops.woman[part.test])
        part.check(crops.woman, "woman")
        own.check(cuts.woman, "woman")
    assert all(n <= most for n, most in zip(own.sizes, sets.UNIFORM_SIZES, strict=True))


def test_the_real_sets_have_the_papers_sizes(real_films):
    crops = sets.centred(real_films)
    assert [sets.divide(crops, s, 0).sizes for s in ("image", "lesion-order")] == [(600, 100, 116), (600, 96, 120)]
    _, own = sets.uniform(real_films, crops, sets.divide(crops, "woman", 0), 0)
    assert own.sizes == (3500, 500, 329)


# scoring


def test_a_box_in_the_middle_is_right_for_what_is_in_the_middle():
    truths = Truths([0, 1, 2], [1, 1, 2], [[78, 78, 178, 178]] * 3, 3)
    said, sides = evaluate_detector.centre_answers(truths, 3, 256)
    assert len(said) == 3 * len(sides) * 2 and mean_average_precision(said, truths).value == pytest.approx(2 / 3)
    aside = Truths([0], [1], [[0, 0, 60, 60]], 1)
    assert mean_average_precision(said.take(said.image == 0), aside).value == 0


def test_recall_and_confidence_by_hand():
    truths = Truths([0, 1, 2, 3], [1, 1, 2, 2], [[0, 0, 100, 100]] * 4, 4)
    found = Detections([0, 1, 2], [1, 1, 1], [0.9, 0.3, 0.8], [[0, 0, 100, 100]] * 3)
    matches = evaluate_detector.judge(found, truths)
    said = evaluate_detector.metrics_of(matches, np.arange(4))
    assert (said["recall"]["value"], said["recall_any"]["value"]) == (0.25, 0.5)
    assert said["confidence"]["value"] == pytest.approx(0.6)
    assert evaluate_detector.undetected(matches) == 1
    assert said["map"]["value"] == pytest.approx(mean_average_precision(matches).value)


def test_an_explosion_is_found_and_its_absence_said():
    calm = evaluate_training.explosion({"loss": [9, 8, 7], "val_loss": [9, 8, 7]}, "finished", 10, 9.0)
    assert all(v["reason"] == "the loss did not explode" for v in calm.values())
    burst = evaluate_training.explosion({"loss": [30, 23, 1.3e10], "val_loss": [25, 20, 1.15e8]}, "finished", 10, 30.0)
    wanted = {"explosion_epoch": 3, "train_loss_before": 23, "train_loss_after": 1.3e10, "val_loss_before": 20,
              "val_loss_after": 1.15e8}  # fmt: skip
    assert burst == wanted
    every_second = {"loss": [9, 8, 7, 6], "val_loss": [np.nan, 8, np.nan, 6]}
    assert evaluate_training.explosion(every_second, "finished", 10, 9.0) == calm, (
        "an epoch that was not validated did not explode"
    )
    assert evaluate_training.explosion(every_second, "stopped at update 40", 10, 9.0) == calm
    late = evaluate_training.explosion({"loss": [9, 8, 95], "val_loss": [9, np.nan, np.nan]}, "finished", 10, 9.0)
    assert (late["explosion_epoch"], late["val_loss_before"], late["train_loss_after"]) == (3, 9, 95)
    assert late["val_loss_after"]["reason"] == "no epoch there was validated"
    blind = evaluate_training.explosion({"loss": [9, 30], "val_loss": [9, np.nan]}, "diverged at update 20", 10, 9.0)
    assert (blind["train_loss_after"], blind["val_loss_after"]) == (30, float("inf"))
    early = evaluate_training.explosion({}, "diverged at update 12", 10, 40.0)
    assert early["explosion_epoch"] == 2 and early["train_loss_before"] == 40
    assert early["train_loss_after"] == float("inf") and early["val_loss_before"]["value"] is None


def test_the_layer_whose_gradient_grows_first_comes_first():
    columns = {
        "loss": [1, 2, 3],
        "gradient_norm/a": [1, 2, 30],
        "gradient_norm/b": [1, 20, 9],
        "gradient_norm/c": [1] * 3,
    }
    assert evaluate_training.gradient_growth(columns) == {"b": 2, "a": 3}
    idle = {"loss": [1, 2, 3], "gradient_norm/head": [1e-6, 1e-3, 1], "gradient_norm/a": [1, 2, 3]}
    assert evaluate_training.gradient_growth(idle) == {"head": 3}, (
        "a head with nothing to do in the first batch has not grown"
    )


# runs


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def a(store: Path) -> results.Record:
    return _run("A", store)


@pytest.fixture(scope="module")
def after(store: Path, a: results.Record) -> results.Record:
    return _run("E-after", store)


@pytest.mark.slow
def test_a_record_holds_what_the_claims_ask_for(a):
    for claim in results.claims():
        if claim.record == "A" and claim.kind != "setting":
            assert claim.metric in a.metrics, claim.id
    m = {k: v["value"] for k, v in a.metrics.items()}
    assert m["val_loss"] == pytest.approx(m["val_localisation"] + m["val_confidence"] + m["val_l2"], rel=1e-5)
    assert m["val_detection_loss"] == pytest.approx(m["val_loss"] - m["val_l2"], rel=1e-4)
    assert (a.split, a.outcome, a.reduced, m["women_seen"], m["updates_done"]) == ("woman", "finished", True, 0, 4)
    assert {"lookup_accuracy", "lookup_map", "centre_map", "centre_recall"} <= set(m)
    assert a.metrics["map"]["n"] == len(set(a.outputs["matches_centred"]["group"]))


def test_test_crops_whose_mirror_trains_are_scored_apart(a):
    assert a.metrics["mirror_trains"]["value"] == 0 and "map_mirror_apart" not in a.metrics  # by woman there are none
    truths = Truths([0, 1, 2, 3], [1, 2, 1, 2], [[0, 0, 8, 8]] * 4, 4)
    trains = np.array([True, True, False, False])  # found where the mirror trains, and nowhere else
    found = Detections([0, 1, 2, 3], [1, 2, 1, 2], [0.9] * 4, [[0, 0, 8, 8]] * 2 + [[90, 90, 98, 98]] * 2)
    said = evaluate_detector.mirrors(evaluate_detector.judge(found, truths), np.array([5, 6, 6, 7]), trains)
    assert said["mirror_trains"] == 0.5
    assert (said["map_mirror_trains"]["value"], said["map_mirror_apart"]["value"]) == (1, 0)
    assert (said["map_mirror_trains"]["n"], said["map_mirror_apart"]["n"]) == (2, 2)
    assert evaluate_detector.mirrors(evaluate_detector.judge(found, truths), np.arange(4), ~np.zeros(4, bool)) == {
        "mirror_trains": 1.0
    }


@pytest.mark.slow
def test_only_a_training_that_mirrors_and_is_tested_on_its_own_set_says_so(a, after):
    assert "mirror_trains" in a.metrics and not any("mirror" in name for name in after.metrics)


def test_the_kept_matches_give_the_map_again(a):
    matches, group = evaluate_detector.matches_of(a)
    assert mean_average_precision(matches).value == pytest.approx(a.metrics["map"]["value"], abs=1e-6)
    assert len(group) == matches.n_images == a.metrics["test_images"]["value"]
    kept = dict(a.outputs["matches_centred"])
    kept["confidence"] = [c / 1e4 for c in kept.pop("confidence_1e4")]
    older = replace(a, outputs={"matches_centred": kept})
    np.testing.assert_equal(vars(evaluate_detector.matches_of(older)[0]), vars(matches))


def test_no_film_is_named_and_no_box_kept(a, store):
    text = (store / a.file_name).read_text()
    assert "mdb" not in text and str(store) not in text and "box" not in a.outputs["matches_centred"]


def test_a_recorded_run_is_loaded(a, store, monkeypatch):
    monkeypatch.setattr(training, "train", lambda *_, **__: pytest.fail("it trained again"))
    assert _run("A", store) == a


def test_weights_are_kept_for_e_and_for_detect(a, store):
    before = _run("E-before", store)
    assert before.settings["start"] == Path(a.file_name).stem and before.settings["start_series"] == a.series
    for claim in results.claims():
        if claim.record == "E-before" and claim.kind != "setting":
            assert claim.metric in before.metrics, claim.id
    assert before.metrics["map_centred"]["value"] == pytest.approx(a.metrics["map"]["value"], abs=0.05)
    assert before == _run("E-before", store, of=a, changes=None, width=None)
    with pytest.raises(ValueError, match=r"E-before, divide_by: 1.0, but A-.* was trained with 64.0"):
        _run("E-before", store, of=a, changes={}, variant="stated")
    assert running.load(a, store).count_params() == a.metrics["parameters"]["value"]
    assert not list((store / Path(a.file_name).stem).glob("*.npz"))


def test_whole_films_normal_ones_included(a, store, monkeypatch):
    monkeypatch.setattr(whole_films, "STRIDE", 256)
    shown = whole_films.films_shown(FILMS, "woman", 0)
    crops = sets.centred(FILMS)
    part = sets.divide(crops, "woman", 0)
    assert {f.reference for f in shown if f.lesions} == set(crops.film[part.test])
    assert not {f.woman for f in shown} & set(crops.woman[np.r_[part.training, part.validation]])
    assert len(whole_films.films_shown(FILMS, "image", 0, normal=2)) == 2 + len(
        set(crops.film[sets.divide(crops, "image", 0).test])
    )
    assert len(whole_films.films_shown(FILMS, "image", 0, normal=2, with_lesion=3)) == 5
    with pytest.raises(ValueError, match="none of the 15 is normal"):
        whole_films.films_shown([f for f in FILMS if f.lesions], "image", 0)
    record = whole_films.run_on_films(a, FILMS, store=store)
    m = {k: v["value"] for k, v in record.metrics.items()}
    assert record.name == "A-films" and m["films"] == len(shown) and m["lesions"] == m["films"] - m["normal_films"]
    curve = record.outputs
    assert m["sensitivity_at_4"] == pytest.approx(np.interp(4, curve["false_positives"], curve["sensitivity"]), abs=0.2)
    assert whole_films.run_on_films(a, FILMS, store=store) == record


def test_a_network_is_looked_into(a, store):
    record = inside.run_inside(a, FILMS, store=store)
    shares, m = record.outputs["above_zero"], {k: v["value"] for k, v in record.metrics.items()}
    assert record.name == "A-inside" and record.settings["start"] == Path(a.file_name).stem
    assert list(shares)[0] == "conv1_1" and "conv5_3" in shares and all(0 <= v <= 1 for v in shares.values())
    assert m["val_detection_loss"] == a.metrics["val_detection_loss"]["value"]
    images = sets.centred(FILMS).images
    chosen = images[np.linspace(0, len(images) - 1, 64).astype(int)]
    answers = np.array(running.load(a, store)(chosen)).reshape(64, -1)
    assert m["crop_to_crop"] == pytest.approx(answers.std(0).mean(), rel=1e-3)
    assert inside.run_inside(a, FILMS, store=store) == record


def test_two_processes_show_whole_films_once(a, store, monkeypatch):
    """The second waits for the first and loads its record; here two threads stand for them."""
    made, load = [], running.load
    monkeypatch.setattr(running, "load", lambda *args: made.append(args) or load(*args))
    monkeypatch.setattr(whole_films, "STRIDE", 256)
    options = {"store": store, "normal": 1, "with_lesion": 1}
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: whole_films.run_on_films(a, FILMS, **options), range(2))
    assert first == second and len(made) == 1


def test_e_continues_from_a(a, after):
    for claim in results.claims():
        if claim.record == "E-after":
            assert claim.metric in after.metrics or claim.metric in after.settings, claim.id
    assert after.settings["epochs_in_all"] == a.settings["epochs"] + after.settings["epochs"]
    assert after.metrics["women_seen_uniform"]["value"] == 0


def test_the_log_says_once_what_the_first_minute_was_spent_on():
    lines: list[str] = []
    watched = running._Watched(SimpleNamespace(stem="A-0", plan=SimpleNamespace(steps=10)), None, lines.append)
    for update in (3, 7):
        watched(update, None, History(opening={"network": 12.34, "first update": 60.0}))
    assert lines == ["A-0: network 12.3 s, first update 60.0 s"]


def test_e_without_a_says_which_command_to_run(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"first run `mammolib experiment A --seed 0 --split woman`") as err:
        _run("E-before", tmp_path)
    assert "\n" not in str(err.value)


def test_an_exploding_run_is_a_record(tmp_path):
    record = _run("B", tmp_path, changes={"batch": 4, "rate": 1e6}, updates=6)
    assert re.fullmatch(r"diverged at update \d", record.outcome)
    assert record.metrics["train_loss_after"]["reason"] == "infinite" and "map" not in record.metrics
    assert "gradient_growth" in record.outputs and "gradient_norm/conv1_1" in record.history["update"]
    assert results.load(tmp_path / record.file_name) == record


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"split": "random"}, "split: 'random' is not one of image, lesion-order, woman"),
        ({"width": 2}, "width: must lie in (0, 1], got 2"),
        ({"name": "F"}, "experiment: 'F' is not one of A, B"),
    ],
)
def test_what_cannot_be_run_is_refused(tmp_path, options, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        _run(**{"name": "A", "store": tmp_path, **options})


def test_the_command_hands_its_options_on(monkeypatch, capsys, tmp_path):
    seen = []

    def run(name: str, films: list, **options: object) -> results.Record:
        seen.append((name, options))
        return results.Record(name, {}, DATA, 3, "woman", metrics={"map": 0.5})

    monkeypatch.setattr(running, "run_detector", run)
    monkeypatch.setattr("mammolib.book.session.open_data", lambda *_: (FILMS, "7" * 64, "grey"))
    words = "experiment A C-300x2 --seed 3 --split woman --width 0.5 --updates 9 --variant trains --set flip=false"
    with pytest.raises(SystemExit) as end:
        cli.main([*words.split(), "--set", "clip=1.5", "--checkpoint", "7", "--out", str(tmp_path)])
    assert end.value.code == 0 and "map 0.5" in capsys.readouterr().out
    assert [name for name, _ in seen] == ["A", "C-300x2"]
    options = seen[0][1]
    assert (options["variant"], options["changes"]) == ("trains", {"flip": False, "clip": 1.5})
    assert (options["seed"], options["split"], options["updates"], options["store"]) == (3, "woman", 9, tmp_path)
    assert options["execution"] == Execution(checkpoint_every=7, checkpoint_unit="update")
