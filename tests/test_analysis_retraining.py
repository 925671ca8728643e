"""Experiment E's tables and figures: what they say of records made by hand."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from mammolib import results, ssd, training
from mammolib.analysis import retraining
from mammolib.detectors.centre import centre_hits
from mammolib.experiments import evaluate_detector, running, whole_films
from mammolib.experiments.profiles import PROFILES
from mammolib.geometry import Detections, Truths
from mammolib.metrics import Froc, match
from mammolib.plots import retraining as plots
from mammolib.results import Record, metric

BOX = np.array([[10.0, 10, 30, 30]])


def kept(confidence, right, label=1):
    """Answers on four images with one lesion each, right or far off."""
    truths = Truths(np.arange(4), [1, 1, 2, 2], np.repeat(BOX, 4, 0), 4)
    off = np.where(np.array(right), 0, 100)[:, None]
    found = Detections(np.arange(4), [label] * 4, confidence, np.repeat(BOX, 4, 0) + off)
    return evaluate_detector.kept_matches(match(found, truths), np.arange(4))


def record(name="E-after", epochs=3, **metrics):
    epoch = {"epoch": list(range(1, epochs + 1)), "update": [10 * k for k in range(1, epochs + 1)]}
    epoch |= {column: [1 / k for k in epoch["epoch"]] for column in ("loss", "val_loss")}
    outputs = {"matches_uniform": kept([0.9, 0.8, 0.7, 0.6], [False, True, True, True])}
    outputs["matches_centred"] = kept([0.9, 0.8, 0.7, 0.6], [False] * 4)
    data = {"name": "grey", "digest": "7" * 64, "films": 4}
    return Record(name, {"width": 0.5}, data, 0, "image", metrics=metrics, history={"epoch": epoch}, outputs=outputs)


def test_the_trade_has_a_column_for_each_set_before_and_after():
    before = record("E-before", map_centred=metric(0.5, 0.25, 0.75, n=3), map_uniform=0.125)
    table = retraining.trade(before, None)
    assert list(table.columns) == ["centred, before", "centred, after", "uniform, before", "uniform, after"]
    assert table.loc["mAP"].tolist() == ["0.500 [0.250, 0.750]", "–", "0.125", "–"]


def test_the_papers_trade_is_table_4():
    table = retraining.paper_trade()
    assert table.loc["mAP", ["centred, change", "uniform, change"]].tolist() == pytest.approx([-0.201, 0.079])
    assert table.loc["mAP", "mean, after"] < table.loc["mAP", "mean, before"]
    own = table[["uniform, before", "uniform, after"]]  # the paper's mAP is the mean of its APs, rounded
    np.testing.assert_allclose(own.loc["mAP"], own.iloc[1:].mean(), atol=6e-4)


def test_scores_set_pairs_below_the_paper():
    before = record("E-before", map_centred=0.5, map_uniform=0.125)
    after = record(map_centred=0.25, map_uniform=0.375, centre_map_centred=0.75, centre_map_uniform=0.0625)
    table = retraining.scores({"ours": (before, after)})
    assert table.loc["ours"].tolist() == [0.5, 0.25, 0.75, 0.125, 0.375, 0.0625]
    assert table.loc["the paper"].drop(["centred, boxes", "uniform, boxes"]).tolist() == [0.842, 0.641, 0.284, 0.363]


def test_histories_are_joined_in_epochs_and_updates():
    a, e = record("A", 4), record()
    history, first = retraining.joined(a, e)
    assert first == 4 and history["epoch"]["epoch"] == list(range(1, 8))
    assert history["epoch"]["update"] == [10 * k for k in range(1, 8)]
    assert history["epoch"]["loss"] == [*a.history["epoch"]["loss"], *e.history["epoch"]["loss"]]
    lines = plots.joined_losses(history, first).axes[0].get_lines()
    assert [len(line.get_xdata()) for line in lines[:4]] == [4, 3, 4, 3]
    with pytest.raises(ValueError, match="E-after: the record holds no epochs"):
        retraining.joined(a, record(epochs=0))


def test_the_middle_is_four_cells():
    counts = np.zeros((16, 16))
    assert np.isnan(retraining.in_the_middle(counts))
    counts[7:9, 7:9], counts[0, 0] = 1, 4
    assert retraining.in_the_middle(counts) == 0.5


def test_wrong_answers_before_the_median_right_one_are_counted():
    assert list(retraining.confidence_ranks(record(), "uniform").values()) == pytest.approx([0.8, 0.25])
    assert all(np.isnan(v) for v in retraining.confidence_ranks(record(), "centred").values())


def test_who_was_seen_by_a_and_by_e():
    def some(film, training, test):
        film = np.array(film)
        return SimpleNamespace(film=film, woman=film // 2), SimpleNamespace(training=training, test=test)

    uniform = some([0, 1, 2, 3, 4, 5], training=[0, 1], test=[2, 3, 4, 5])
    clean = retraining.seen(some([0, 1, 2, 4], [0, 1], [2, 3]), uniform)
    assert clean == {"lesion seen by A": 0, "lesion seen by E": 0, "woman seen by A": 0, "woman seen by E": 0}
    leaky = retraining.seen(some([2, 4], [0], [1]), uniform)
    assert leaky == clean | {"lesion seen by A": 0.25, "woman seen by A": 0.5}


def test_few_is_a_number_in_the_quick_profile_and_all_in_the_full_one():
    assert PROFILES["quick"].few(16) == 16 and PROFILES["paper"].few(16) is None


def test_a_curve_comes_back_from_its_record():
    outputs = {"false_positives": [0, 0.5], "sensitivity": [0, 1], "confidence": [1.0, 0.5]}
    about = {"films": metric(2), "lesions": metric(1)}
    films = Record("A-films", {}, {"name": "grey", "digest": "7" * 64, "films": 4}, 0, "image", about, outputs=outputs)
    curve = whole_films.curve_of(films)
    assert isinstance(curve, Froc) and (curve.lesions, curve.n_images) == (1, 2) and curve.at(1) == 1
    with pytest.raises(ValueError, match="E-after: the record holds no FROC curve"):
        whole_films.curve_of(record())


# the figures


def test_the_region_is_where_a_centred_box_hits():
    fig = plots.hit_region(100)
    shaded = np.asarray(fig.axes[0].images[0].get_array()) > 0
    x, y = np.meshgrid(np.arange(157.0), np.arange(157.0))
    hits = centre_hits(np.stack([x, y, x + 100, y + 100], axis=-1).reshape(-1, 4), 100)[0]
    np.testing.assert_array_equal(shaded, hits.reshape(157, 157))
    on, away = fig.axes[0].get_lines()
    assert len(on.get_xdata()) == 1 and len(away.get_xdata()) == 8
    fig.canvas.draw()


def test_maps_have_a_row_for_each_set_and_say_the_middle():
    counts = np.eye(16)
    fig = plots.heat_maps({"centred": {"lesions": counts, "answers": counts}, "uniform": {"lesions": counts}})
    assert fig.axes[0].get_title() == "lesions\n12 % in the middle" and fig.axes[2].get_ylabel() == "uniform"
    fig.canvas.draw()


def test_curves_of_both_name_their_aps():
    sets = {"before": "uniform", "after": "centred"}
    pairs = {word: evaluate_detector.matches_of(record(), which)[0] for word, which in sets.items()}
    fig = plots.precision_recall_pairs({"centred": pairs, "uniform": pairs})
    assert [ax.get_title() for ax in fig.axes][:2] == ["centred, benign", "centred, malignant"]
    words = [t.get_text() for t in fig.axes[0].get_legend().get_texts()]
    assert words == ["before, AP 0.250", "after, AP 0.000"]
    fig.canvas.draw()


@pytest.mark.slow
def test_a_network_is_loaded_where_none_was_built(tmp_path):
    """In a process of its own: a chapter whose runs are all recorded loads weights before it builds anything."""
    found = record()
    folder = running.weights_folder(found, tmp_path)
    model = ssd.ssd256(width=1 / 32, l2=0)
    training.export_weights(model, folder)
    (folder / "model.json").write_text(model.to_json())
    results.save(found, tmp_path)
    code = "import sys\nfrom mammolib import results\nfrom mammolib.experiments import running\n"
    code += "print(running.load(results.load_all(sys.argv[1])[0], sys.argv[1]).count_params())"
    said = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert int(said.stdout) == model.count_params()


def test_slopes_lead_from_before_to_after():
    rows = {"centred": [0.8, 0.1], "uniform": [0.2, 0.3]}
    first, second = plots.slopes({"at random": rows, "by woman": {"centred": [0.05, 0.1], "uniform": [0, 0.1]}}).axes
    assert [line.get_ydata().tolist() for line in first.get_lines()] == list(rows.values())
    assert [t.get_text() for t in second.texts] == ["0.050", "0.000", "0.100", "0.100"]
