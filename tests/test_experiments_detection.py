"""Experiments A to E as data and as runs: the paper's settings, sizes, sets, records, and what a second call does."""

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from tiny import QUIET

from mammolib import cli, results, training
from mammolib.experiments import detection as d
from mammolib.experiments import evaluate_detector, evaluate_training, inside, running, sets, whole_films
from mammolib.experiments.profiles import PROFILES
from mammolib.geometry import Detections, Truths
from mammolib.metrics import match, mean_average_precision
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


COUNTED = {"train_images", "validation_images", "test_images", "passes", "epochs_in_all"}
"""Settings that are metrics of a run: they depend on the films."""


@pytest.mark.parametrize("name", list(d.EXPERIMENTS))
def test_every_setting_the_paper_states_is_as_stated(name):
    """The claims' comparison finds them by these names."""
    said = d.EXPERIMENTS[name].as_data()
    for claim in results.claims():
        if claim.record == name and claim.kind == "setting" and claim.metric not in COUNTED:
            stated = list(claim.value) if isinstance(claim.value, tuple) else claim.value
            assert said[claim.metric] == pytest.approx(stated), claim.id
    assert not said["reduced"] and said["changed"] == {}
    json.dumps(said)


def test_there_is_an_experiment_for_every_claim_and_its_updates_are_those_derived_from_the_paper():
    assert {c.record for c in results.claims() if re.match(r"[A-E](-|$)", c.record)} == set(d.EXPERIMENTS)
    assert {name: e.updates for name, e in d.EXPERIMENTS.items()} == {
        "A": 6600, "B": 6600, "C-300x2": 600, "C-200x3": 900, "D-100x6": 900, "D-200x3": 450, "D-300x2": 300,
        "E-before": 0, "E-after": 700,
    }  # fmt: skip


def test_a_change_is_written_down_and_what_is_no_change_is_not():
    changed = d.A.but(optimizer="adam", rate=2e-3, flip=True, clip=1.0)
    assert changed.rates == pytest.approx((2e-3, 2e-4, 2e-5))
    assert changed.changes == {"optimizer": "adam", "rates": pytest.approx([2e-3, 2e-4, 2e-5]), "clip": 1.0}
    assert "momentum" not in changed.as_data() and changed.as_data()["optimizer"] == "Adam"
    assert d.B.but(**d.TRAINS).rates == d.B.rates
    longer = d.C_300.but(epochs=3300)
    assert longer.rate_epochs == (3300,) and longer.updates == 6600 and not longer.as_data()["reduced"]
    assert d.A.but(batch=32).as_data()["reduced"]


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
    def ask(name, profile="quick", **options):
        return running.ask(name, profile=PROFILES[profile], data=DATA, store="", **options)

    quick, a, c = PROFILES["quick"], ask("A"), ask("C-300x2")
    assert (a.updates, a.experiment.batch, a.width) == (quick.updates, quick.batch, quick.width)
    assert (c.updates, c.experiment.batch) == (round(quick.updates / 11), 3 * quick.batch)
    assert ask("E-after").origin == a.record.stem and a.experiment.optimizer == "adam"
    assert ask("A", changes={}) == a and ask("A", variant="stated").experiment.optimizer == "sgd"
    assert ask("A", "paper").experiment == d.A and not ask("A", "paper").record.reduced


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
    most = [round(size * len(crops) / 816) for size in sets.UNIFORM_SIZES]
    assert all(n <= bound for n, bound in zip(own.sizes, most, strict=True))
    assert own.sizes[2] == min(most[2], np.isin(cuts.film, sorted(tested)).sum())


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
    matches = match(found, truths)
    said = evaluate_detector.metrics_of(matches, np.arange(4))
    assert (said["recall"]["value"], said["recall_any"]["value"]) == (0.25, 0.5)
    assert said["confidence"]["value"] == pytest.approx(0.6)
    assert evaluate_detector.undetected(matches) == 1
    assert said["map"]["value"] == pytest.approx(mean_average_precision(matches).value)


def test_an_explosion_is_found_and_its_absence_said():
    def explosion(loss, val_loss, outcome="finished"):
        said = evaluate_training.explosion({"loss": loss, "val_loss": val_loss}, outcome, 10, 9.0)
        return [v["reason"] if isinstance(v, dict) else v for v in said.values()]

    nan, unseen = np.nan, "no epoch there was validated"
    calm = ["the loss did not explode"] * 5
    assert explosion([9, 8, 7], [9, 8, 7]) == calm
    assert explosion([30, 23, 1.3e10], [25, 20, 1.15e8]) == [3, 23, 1.3e10, 20, 1.15e8]
    for outcome in ("finished", "stopped at update 40"):  # an epoch that was not validated did not explode
        assert explosion([9, 8, 7, 6], [nan, 8, nan, 6], outcome) == calm
    assert explosion([9, 8, 95], [9, nan, nan]) == [3, 8, 95, 9, unseen]
    assert explosion([9, 30], [9, nan], "diverged at update 20") == [2, 9, 30, 9, np.inf]
    early = evaluate_training.explosion({}, "diverged at update 12", 10, 40.0)
    assert (early["explosion_epoch"], early["train_loss_before"], early["train_loss_after"]) == (2, 40, np.inf)
    assert early["val_loss_before"]["value"] is None


def test_the_layer_whose_gradient_grows_first_comes_first():
    def growth(**norms):
        columns = {f"gradient_norm/{layer}": column for layer, column in norms.items()}
        return evaluate_training.gradient_growth({"loss": [1, 2, 3], **columns})

    assert growth(a=[1, 2, 30], b=[1, 20, 9], c=[1] * 3) == {"b": 2, "a": 3}
    assert growth(head=[1e-6, 1e-3, 1], a=[1, 2, 3]) == {"head": 3}, "with nothing to do at first it has not grown"


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


def unanswered(record: results.Record) -> list[str]:
    """Return the claims that a record has no number for; settings are compared above."""
    held, claims = {*record.metrics, *record.settings}, [c for c in results.claims() if c.record == record.name]
    return [c.id for c in claims if (c.kind != "setting" or c.metric in COUNTED) and c.metric not in held]


def test_a_record_holds_what_the_claims_ask_for_and_names_no_film(a, store):
    assert not unanswered(a)
    text = (store / a.file_name).read_text()
    assert "mdb" not in text and str(store) not in text and "box" not in a.outputs["matches_centred"]
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
    said = evaluate_detector.mirrors(match(found, truths), np.array([5, 6, 6, 7]), trains)
    assert said["mirror_trains"] == 0.5
    scored = [(said[f"map_mirror_{k}"]["value"], said[f"map_mirror_{k}"]["n"]) for k in ("trains", "apart")]
    assert scored == [(1, 2), (0, 2)]
    assert evaluate_detector.mirrors(match(found, truths), np.arange(4), ~np.zeros(4, bool)) == {"mirror_trains": 1.0}


def test_the_kept_matches_give_the_map_again(a):
    matches, group = evaluate_detector.matches_of(a)
    assert mean_average_precision(matches).value == pytest.approx(a.metrics["map"]["value"], abs=1e-6)
    assert len(group) == matches.n_images == a.metrics["test_images"]["value"]
    kept = dict(a.outputs["matches_centred"])
    kept["confidence"] = [c / 1e4 for c in kept.pop("confidence_1e4")]
    older = replace(a, outputs={"matches_centred": kept})
    np.testing.assert_equal(vars(evaluate_detector.matches_of(older)[0]), vars(matches))


def test_a_recorded_run_is_loaded(a, store, monkeypatch):
    monkeypatch.setattr(training, "train", lambda *_, **__: pytest.fail("it trained again"))
    assert _run("A", store) == a


def test_weights_are_kept_for_e_and_for_detect(a, store):
    before = _run("E-before", store)
    assert before.settings["start"] == a.stem and before.settings["start_series"] == a.series
    assert not unanswered(before)
    assert before.metrics["map_centred"]["value"] == pytest.approx(a.metrics["map"]["value"], abs=0.05)
    assert before == _run("E-before", store, of=a, changes=None, width=None)
    with pytest.raises(ValueError, match=r"E-before, divide_by: 1.0, but A-.* was trained with 64.0"):
        _run("E-before", store, of=a, changes={}, variant="stated")
    assert running.load(a, store).count_params() == a.metrics["parameters"]["value"]
    assert not list((store / a.stem).glob("*.npz"))


def test_whole_films_normal_ones_included(a, store, monkeypatch):
    monkeypatch.setattr(whole_films, "STRIDE", 256)
    shown = whole_films.films_shown(FILMS, "woman", 0)
    crops = sets.centred(FILMS)
    part = sets.divide(crops, "woman", 0)
    assert {f.reference for f in shown if f.lesions} == set(crops.film[part.test])
    assert not {f.woman for f in shown} & set(crops.woman[np.r_[part.training, part.validation]])
    tested = set(crops.film[sets.divide(crops, "image", 0).test])
    assert len(whole_films.films_shown(FILMS, "image", 0, normal=2)) == 2 + len(tested)
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
    assert record.name == "A-inside" and record.settings["start"] == a.stem
    assert list(shares)[0] == "conv1_1" and "conv5_3" in shares and all(0 <= v <= 1 for v in shares.values())
    assert m["val_detection_loss"] == a.metrics["val_detection_loss"]["value"]
    images = sets.centred(FILMS).images
    chosen = images[np.linspace(0, len(images) - 1, 64).astype(int)]
    answers = np.array(running.load(a, store)(chosen)).reshape(64, -1)
    assert m["crop_to_crop"] == pytest.approx(answers.std(0).mean(), rel=1e-3)
    assert inside.run_inside(a, FILMS, store=store) == record


def test_e_continues_from_a(a, after):
    assert not unanswered(after)
    assert after.settings["epochs_in_all"] == a.settings["epochs"] + after.settings["epochs"]
    assert after.metrics["women_seen_uniform"]["value"] == 0
    assert not any("mirror" in name for name in after.metrics), "only a training that is tested on its own set says so"


def test_the_log_says_once_what_the_first_minute_was_spent_on():
    lines: list[str] = []
    asked = running.ask("A", data=DATA, store="")
    watched = running._watched(asked, {}, lines.append)
    for update in (3, 7):
        watched(update, None, History(opening={"network": 12.34, "first update": 60.0}))
    assert lines == [f"{asked.record.stem}: network 12.3 s, first update 60.0 s"]


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
