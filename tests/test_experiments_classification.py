"""The paper's classifiers as data and as runs: sizes, splits, records, and what a second call does."""

import json
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, roc_auc_score
from tiny import QUIET

from mammolib import mias, phantom, results, training
from mammolib.analysis import classifiers
from mammolib.experiments import classification as c
from mammolib.experiments.profiles import PROFILES
from mammolib.experiments.running import weights_folder
from mammolib.mias import Film, Lesion

DATA = {"name": "grey", "digest": "5" * 64, "films": 48}


@dataclass(frozen=True)
class Grey(Film):
    """A film in memory: bright noise, brighter where the lesion is and brighter everywhere if it is malignant."""

    def pixels(self) -> np.ndarray:
        pixels = np.random.default_rng(self.number).integers(40, 120, (1024, 1024), dtype=np.uint8)
        for lesion in self.lesions:
            pixels += np.uint8(40 * lesion.label)
            row, column = int(lesion.row), int(lesion.column)
            pixels[row - 40 : row + 40, column - 40 : column + 40] = 250
        return pixels


def _film(number: int) -> Grey:
    woman = (number + 1) // 2
    lesion = Lesion("CALC" if woman % 2 else "MISC", "BM"[woman % 3 - 1], 300 + 20 * woman % 400, 500, 60)
    lesions = () if woman % 3 == 0 or number % 2 else (lesion,)
    return Grey(f"mdb{number:03}", "FGD"[woman % 3], lesions, Path("nowhere"))


FILMS = [_film(n) for n in range(1, 49)]
SMALL = {
    "cnni-bcc": c.CNNI_BCC.but(patches=200, epochs=2, schedule=0.05),
    "vgg16": c.VGG16.but(patches=120, epochs=1, batch=30),
}


def _run(name: str, store: Path, split: str = "woman", **options: object) -> results.Record:
    width = 1 / 32 if name == "vgg16" else 1 / 16
    settings = {"store": store, "width": width, "data": DATA, "execution": QUIET} | options
    return c.run_classifier(SMALL[name], FILMS, 0, split, **settings)


# the paper's settings


def test_the_sizes_and_settings_are_the_papers():
    assert c.CNNI_BCC.sizes == (1269, 141, 157) and c.VGG16.sizes == (2520, 280, 311)
    said, vgg = c.CNNI_BCC.as_data(), c.VGG16.as_data()
    wanted = {"epochs": 10, "batch": 20, "rate": 0.002, "optimizer": "SGD", "loss": "mean squared error", "classes": 3}
    wanted |= {"convolutions": 4, "layers": 6, "reduced": False, "changed": {}}
    assert {k: said[k] for k in wanted} == wanted
    assert (vgg["epochs"], vgg["classes"], vgg["train_images"], vgg["balanced"]) == (80, 2, 2520, True)
    assert {"optimizer", "rate", "batch", "loss"} <= set(vgg["open"])
    json.dumps([said, vgg])


@pytest.mark.parametrize("name", ["cnni-bcc", "vgg16"])
def test_every_setting_the_paper_states_is_in_the_record(name):
    """The claims' comparison finds them by these names, and none differs."""
    said = c.EXPERIMENTS[name].as_data()
    for claim in results.claims():
        if claim.record == name and claim.kind == "setting":
            assert claim.metric in said, claim.id
            if claim.value is not None and not claim.open:
                assert said[claim.metric] == pytest.approx(claim.value), claim.id


def test_a_change_is_written_into_the_record():
    changed = c.VGG16.but(epochs=8, schedule=1e-3, classes=3)
    assert changed.settings.epochs == 8 and changed.classes == 3
    said = changed.as_data(width=0.125)
    assert said["reduced"] and said["epochs"] == 8 and said["rate"] == 1e-3
    assert said["changed"] == {"epochs": 8, "classes": 3, "schedule": changed.settings.as_data()["schedule"]}
    assert c.VGG16.but(**said["changed"]) == changed
    assert not c.VGG16.but(optimizer="sgd").as_data()["reduced"]


@pytest.mark.parametrize("experiment", c.EXPERIMENTS.values(), ids=list(c.EXPERIMENTS))
def test_what_is_no_change_is_not_written_down_and_longer_is_not_reduced(experiment):
    same = {"epochs": experiment.settings.epochs, "batch": experiment.settings.batch, "patches": experiment.patches}
    rate = experiment.settings.schedule.values[0]
    assert experiment.but(**same, schedule=rate, views=dict(experiment.views)) == experiment
    assert experiment.but(epochs=3).but(epochs=same["epochs"]) == experiment
    for longer in ({"epochs": 2 * same["epochs"]}, {"patches": 2 * same["patches"]}, {"batch": 10}):
        assert not experiment.but(**longer).as_data()["reduced"], longer
    for shorter in ({"epochs": 1}, {"patches": 100}, {"steps_per_epoch": 2}, {"batch": 1000}):
        assert experiment.but(**shorter).as_data()["reduced"], shorter
    assert experiment.as_data(width=0.5)["reduced"]


def test_the_quick_profile_is_small_and_keeps_what_was_changed():
    paper, quick = PROFILES["paper"], PROFILES["quick"]
    for name, experiment in c.EXPERIMENTS.items():
        assert experiment.for_profile(paper) is experiment
        small = experiment.for_profile(quick)
        assert small == c.QUICK[name] == small.for_profile(quick) and small.name == name and small.as_data()["reduced"]
    small = c.CNNI_BCC.but(loss="categorical_crossentropy", epochs=4).for_profile(quick)
    assert (small.loss, small.settings.epochs) == ("categorical_crossentropy", 4)
    assert small.settings.schedule == c.QUICK["cnni-bcc"].settings.schedule
    assert set(small.changes) == {"loss", "epochs", "schedule"}
    own = replace(c.CNNI_BCC, name="mine")
    assert own.for_profile(quick) == own, "one without a quick form is run as it is"


def test_asking_for_a_committed_run_again_finds_its_record():
    runs = [r for r in results.load_all(results.recorded()) if r.name.removesuffix("-10fold") in c.EXPERIMENTS]
    assert len(runs) >= 15
    for record in runs:
        s = record.settings
        one = c.EXPERIMENTS[record.name.removesuffix("-10fold")]
        one = one.but(**{k: v for k, v in s["changed"].items() if k != "reading"})
        split = "folds" if "folds" in s else record.split
        asked = c.ask(one, record.data, record.seed, split, s["reading"], s["width"])
        assert results.Record(**asked).hash == record.hash


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"patches": 2.5}, ", patches: 2.5 does not fit; it must be a whole number"),
        ({"classes": [2]}, ", classes: [2] does not fit; it must be 2 or 3"),
        ({"network": {}}, ", network: {} does not fit; it must be one of cnni_bcc, vgg16"),
        ({"loss": "foo"}, ", loss: 'foo' does not fit; it must be one of mean_squared_error"),
        ({"balanced": 1}, ", balanced: 1 does not fit; it must be true or false"),
        ({"views": 3}, ", views: 3 does not fit; it must be a number from 1 to 8"),
        ({"schedule": "fast"}, ", schedule: 'fast' does not fit; it must be a rate such as 0.001"),
        ({"schedule": {}}, ", schedule: {} does not fit; it must be a rate"),
        ({"schedule": True}, ", schedule: True does not fit; it must be a rate"),
        ({"options": 3}, ", options: must be names with values, got 3"),
        ({"epochs": 0}, ", epochs: must be a whole number of at least 1, got 0"),
        ({"optimizer": {}}, ", optimizer: must be one of sgd, adam"),
        ({"open": []}, ": it has no setting 'open'"),
        ({"updates": 5}, ": it has no setting 'updates'"),
    ],
)
def test_a_setting_of_another_kind_is_refused_in_one_line(change, words):
    with pytest.raises(ValueError, match=re.escape(f"experiment 'vgg16'{words}")) as err:
        c.VGG16.but(**change)
    assert "\n" not in str(err.value)


# drawing and splitting


def test_classes_are_as_they_come_or_balanced():
    cnni = c.draw(SMALL["cnni-bcc"], FILMS, 0, "film")
    assert len(cnni) == 200 and set(np.unique(cnni.label)) == {0, 1, 2}
    vgg = c.draw(SMALL["vgg16"], FILMS, 0, "film")
    assert np.bincount(vgg.label).tolist() == [60, 60]
    lesion = c.draw(SMALL["vgg16"], FILMS, 0, "lesion")
    np.testing.assert_array_equal(lesion.label == 1, lesion.has_lesion)
    assert len(np.unique(lesion.view)) == 8 and set(cnni.view) == {0}


def test_the_paper_s_split_leaks_and_those_by_woman_do_not(monkeypatch):
    patches = c.draw(SMALL["cnni-bcc"], FILMS, 0, "film")
    (image,) = c.divide(SMALL["cnni-bcc"], patches, "image", 0)
    assert image.sizes == (162, 18, 20) == SMALL["cnni-bcc"].sizes
    assert len(image.shared(patches.woman)) > 0
    (woman,) = c.divide(SMALL["cnni-bcc"], patches, "woman", 0)
    assert len(woman.shared(patches.woman)) == 0
    monkeypatch.setattr(c, "FOLDS", 3)
    folds = c.divide(SMALL["cnni-bcc"], patches, "folds", 0)
    np.testing.assert_array_equal(np.sort(np.concatenate([f.test for f in folds])), np.arange(200))


def _normal_only() -> c.Patches:
    patches = c.draw(SMALL["vgg16"], FILMS, 0, "film")
    return patches.take(np.flatnonzero(patches.label == 0))


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: c.draw(SMALL["vgg16"], FILMS, 0, "patch"), "reading: must be 'film' or 'lesion', got 'patch'"),
        (lambda: c.draw(c.VGG16.but(patches=10**6), FILMS, 0, "film"), "are to be drawn, but there are"),
        (lambda: _run("vgg16", Path("s"), "random"), "split: 'random' is not one of image, woman, folds"),
        (lambda: c.divide(SMALL["vgg16"], _normal_only(), "image", 0), "no training patch is abnormal (class 1)"),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_line(make, part):
    with pytest.raises(ValueError, match=re.escape(part)) as err:
        make()
    assert "\n" not in str(err.value)


def test_lesions_are_held_out_of_women_who_train(monkeypatch):
    assert len(c.held_out_lesions(SMALL["cnni-bcc"], FILMS, 0, "film")) > 5
    monkeypatch.setattr(c, "SHOWN", 5)
    shown = c.held_out_lesions(SMALL["cnni-bcc"], FILMS, 0, "film")
    patches = c.draw(SMALL["cnni-bcc"], FILMS, 0, "film")
    (part,) = c.divide(SMALL["cnni-bcc"], patches, "woman", 0)
    assert set(shown.woman) <= set(patches.woman[part.test]) and 0 < len(shown) <= 5
    assert shown.images.shape[1:] == (128, 128) and shown.truths.image.tolist() == list(range(len(shown)))


# runs


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def record(store: Path) -> results.Record:
    return _run("cnni-bcc", store)


def test_a_record_holds_what_the_claims_ask_for_and_names_no_film(record, store):
    for claim in results.claims():
        if claim.record == "cnni-bcc" and claim.kind != "setting":
            assert claim.metric in record.metrics, claim.id
    assert record.settings["reduced"] and record.settings["width"] == 1 / 16
    assert (record.name, record.split, record.outcome) == ("cnni-bcc", "woman", "finished")
    assert record.metrics["women_seen"]["value"] == 0
    sizes = [record.metrics[f"{side}_images"]["value"] for side in ("train", "validation", "test")]
    assert sizes[2] == len(record.outputs["test_label"]) and sum(sizes) == 200 == record.settings["patches"]
    assert len(record.history["epoch"]["val_accuracy"]) == 2 and len(record.history["update"]["loss"]) == 18
    text = (store / record.file_name).read_text()
    assert "mdb" not in text and str(store) not in text
    assert not any(key in record.outputs for key in ("film", "woman", "kind", "tissue", "box"))


def test_metrics_carry_intervals_over_women(record):
    accuracy = record.metrics["test_accuracy"]
    assert accuracy["n"] == len(set(record.outputs["test_group"])) < 8
    assert accuracy["low"] is None and "too few for an interval" in accuracy["reason"]
    share = record.metrics["majority_share"]
    assert share["n"] >= 8 and share["low"] < share["value"] < share["high"] and share["kind"] == "women"
    label, group = np.array(record.outputs["test_label"]), np.array(record.outputs["test_group"])
    assert record.metrics["sensitivity"]["n"] == len(set(group[label > 0]))
    assert record.metrics["specificity"]["n"] == len(set(group[label == 0]))


def test_metrics_follow_from_the_outputs(record):
    label, score = np.array(record.outputs["test_label"]), np.array(record.outputs["test_score"])
    answer = score.argmax(axis=1)
    wanted = {
        "test_accuracy": (label == answer).mean(),
        "sensitivity": (answer[label > 0] > 0).mean(),
        "specificity": (answer[label == 0] == 0).mean(),
        "balanced_accuracy": balanced_accuracy_score(label, answer),
    }
    for name, value in wanted.items():
        assert record.metrics[name]["value"] == pytest.approx(value, abs=1e-5), name
    assert record.metrics["auc"]["value"] == pytest.approx(roc_auc_score(label > 0, 1 - score[:, 0]), abs=0.01)
    np.testing.assert_array_equal(record.outputs["confusion"], confusion_matrix(label, answer, labels=[0, 1, 2]))


def test_a_recorded_run_is_loaded(record, store, monkeypatch):
    monkeypatch.setattr(training, "train", lambda *_, **__: pytest.fail("it trained again"))
    assert _run("cnni-bcc", store) == record


def test_the_weights_are_kept_and_answer_as_recorded(record, store):
    model = training.load_weights(SMALL["cnni-bcc"].build(1 / 16), weights_folder(record, store))
    patches = c.draw(SMALL["cnni-bcc"], FILMS, 0, "film")
    (part,) = c.divide(SMALL["cnni-bcc"], patches, "woman", 0)
    score = training.predict(model, patches.images[part.test])
    recorded = np.array(record.outputs["test_score"])
    np.testing.assert_allclose(np.sort(score[:, 0]), np.sort(recorded[:, 0]), atol=2e-3)
    assert not list((store / record.stem).rglob("checkpoint.npz"))


def test_a_run_that_was_stopped_continues(record, tmp_path):
    soon = training.Execution(progress=False, checkpoint_every=1, deadline=time.time() + 0.01)
    with pytest.raises(training.OutOfTime):
        _run("cnni-bcc", tmp_path, execution=soon)
    assert list(tmp_path.rglob("checkpoint.npz"))
    resumed = _run("cnni-bcc", tmp_path)
    assert resumed.history["update"]["loss"] == record.history["update"]["loss"]
    assert resumed.outputs == record.outputs and resumed.hash == record.hash


def test_the_other_reading_and_the_other_network(store):
    record = _run("vgg16", store, "image", reading="lesion")
    assert record.settings["reading"] == "lesion" == record.settings["changed"]["reading"]
    assert record.settings["views"] == 8 and len(record.outputs["test_label"]) == 12
    assert record.metrics["women_seen"]["value"] > 0.5


def test_folds_pool_the_answers_of_all_women(store, monkeypatch):
    monkeypatch.setattr(c, "FOLDS", 2)
    record = _run("cnni-bcc", store, "folds")
    assert record.name == "cnni-bcc-2fold" and record.settings["folds"] == 2 and record.split == "woman"
    assert len(record.outputs["test_label"]) == 200
    assert (store / record.stem / "fold-2" / "weights").is_dir()


def test_a_run_that_explodes_is_a_record(tmp_path):
    settings = {"optimizer": "sgd", "schedule": 1e30, "loss": "mean_squared_error", "clip": None}
    broken = SMALL["cnni-bcc"].but(epochs=9, **settings)
    record = c.run_classifier(broken, FILMS, 0, "woman", store=tmp_path, width=1 / 16, data=DATA, execution=QUIET)
    assert re.fullmatch(r"diverged at update \d+", record.outcome)
    assert "test_accuracy" not in record.metrics and "women_seen" in record.metrics
    assert results.load(tmp_path / record.file_name) == record


# what the records say together


def test_training_is_set_beside_validation_and_the_largest_class_is_counted(record):
    value = {k: v["value"] for k, v in record.metrics.items()}
    row = classifiers.gaps({"by woman": record}).loc["by woman"]
    assert row["gap"] == pytest.approx(value["train_accuracy"] - value["val_accuracy"], abs=1e-3)
    assert row["low"] <= row["validation"] <= row["high"] and row["women seen"] == 0
    assert row["high"] - row["low"] == pytest.approx(0.4, abs=0.1)  # 18 patches
    always, counts = classifiers.always_largest(record), np.bincount(record.outputs["test_label"])
    assert always.value == counts.max() / counts.sum() and always.low < always.value < always.high


def test_groups_say_how_many_women_and_why_there_is_no_interval():
    def made(**metrics):
        return results.Record("vgg16", {}, DATA, 0, "woman", metrics=metrics)

    some = made(test_accuracy_D=results.metric(0.75, 0.5, 1.0, n=9), auc=0.5)
    one = made(sensitivity_CALC=results.metric(1.0, n=1, reason="too few women for an interval"))
    table = classifiers.by_group({"some": some, "one": one, "none": None})
    assert table.index.tolist() == ["accuracy, dense-glandular (D)", "sensitivity, calcification (CALC)"]
    assert table["some"].tolist() == ["0.750 [0.500, 1.000], 9 women", "–"]
    assert table["one"].tolist() == ["–", "1.000 (too few women for an interval)"]
    assert table["none"].tolist() == ["–", "–"]


@pytest.mark.slow
def test_the_quick_network_learns_new_women_s_lesions(tmp_path):
    """On the phantoms, VGG16 in the quick profile reaches a validation AUC of 0.9 by woman."""
    profile = PROFILES["quick"]
    films = mias.load(phantom.ensure(results.root() / "_build" / "data", profile.women, 0))
    options = {"store": tmp_path, "reading": "lesion", "width": profile.width, "data": DATA, "execution": QUIET}
    record = c.run_classifier(c.VGG16.for_profile(profile), films, 0, "woman", **options)
    assert record.metrics["women_seen"]["value"] == 0 and record.metrics["val_auc"]["value"] >= 0.9


def test_the_film_reading_explains_the_paper_s_share_of_normals(real_films):
    """About two thirds are normal if a patch is labelled by its film, 98 % if by its lesion: 73.24 % fits the first."""
    shares = {r: np.mean(c.draw(c.CNNI_BCC, real_films, 0, r).label == 0) for r in c.READINGS}
    assert 0.6 < shares["film"] < 0.7 and shares["lesion"] > 0.95
