"""Chapter 7's sentences are written again from the records, and the series behind them are what their names say."""

from sentences import ROOT, interval, record, states, value
from series import (
    CNNI,
    E_BEFORE,
    EXPERIMENT_A,
    IN_ORDER,
    LOOKUP,
    LOOKUP_WOMAN,
    NARROW,
    NARROW_WOMAN,
    PHANTOM_START,
    SHORT,
    SHORT_WOMAN,
    STILL,
    STILL_WOMAN,
    VGG16,
    VGG16_WOMAN,
    WIDE,
    WIDE_WOMAN,
    mean,
    recorded,
    stated,
)

from mammolib import results


def test_series_are_what_their_names_here_say():
    for stems, split, flip, width in (
        ((WIDE,), "image", True, 1.0),
        ((WIDE_WOMAN, SHORT_WOMAN), "woman", True, 1.0),
        (SHORT, "image", True, 1.0),
        (NARROW, "image", True, 1 / 8),
        (NARROW_WOMAN, "woman", True, 1 / 8),
        (STILL, "image", False, 1 / 8),
        (STILL_WOMAN, "woman", False, 1 / 8),
        ((IN_ORDER,), "lesion-order", True, 1 / 8),
    ):
        for stem in stems:
            r = record(stem)
            assert (r.split, r.settings["flip"], r.settings["width"]) == (split, flip, width), stem
            assert (r.settings["optimizer"], r.settings["divide_by"], r.settings["start"]) == ("Adam", 64, "random")
    for stems in (NARROW, NARROW_WOMAN, STILL, STILL_WOMAN, VGG16, VGG16_WOMAN, CNNI):
        assert [record(stem).seed for stem in stems] == list(range(len(stems)))
    for stem in (WIDE, WIDE_WOMAN):
        assert not record(stem).reduced
        assert record(stem).settings["rates"] == [1e-3 / 8, 1e-4 / 8, 1e-5 / 8], "an eighth of the paper's rate"


def test_chapter_7_begins_with_the_answer():
    share, twin, apart = (value(WIDE, m) for m in ("mirror_trains", "map_mirror_trains", "map_mirror_apart"))
    states(
        EXPERIMENT_A,
        "With all the paper's filters, and the crops dealt out at random, the mAP is "
        f"{value(WIDE, 'map'):.3f}; the paper's is {stated('A-map'):.3f}. Trained with the women kept apart, the "
        f"same network scores {value(WIDE_WOMAN, 'map'):.3f}, and three boxes that never move score "
        f"{value(WIDE_WOMAN, 'centre_map'):.3f} on the same crops. At random, {100 * share:.0f} % of the test crops "
        f"are mirror images of training crops. The network scores {twin:.3f} on these and {apart:.3f} on the others.",
    )
    states(
        EXPERIMENT_A,
        f"The network with all the filters scores {twin:.3f} where the mirror image trains, and {apart:.3f} where it "
        "does not.",
    )
    states(EXPERIMENT_A, f"The mAP comes back: {value(WIDE, 'map'):.3f} with all the filters, beside 0.842.")
    states(
        EXPERIMENT_A,
        f"the same network scores {value(WIDE_WOMAN, 'map'):.3f}, less than boxes that never move. Without the mirror, "
        f"narrow networks fall from {mean(NARROW, 'map'):.3f} to {mean(STILL, 'map'):.3f}.",
    )


def test_chapter_7_baselines_and_other_starts():
    accuracy, majority = value(LOOKUP_WOMAN, "accuracy"), value(LOOKUP_WOMAN, "majority")
    assert accuracy < majority
    states(
        EXPERIMENT_A,
        f"over {record(LOOKUP).settings['splits']} splits of each kind, its mAP is {value(LOOKUP, 'map'):.3f} at "
        f"random and {value(LOOKUP_WOMAN, 'map'):.3f} by woman; there it gets {100 * accuracy:.0f} % of the classes "
        f"right, and whoever always answers the larger class gets {100 * majority:.0f} %.",
    )
    states(EXPERIMENT_A, f"The lookup scores an mAP of {value(LOOKUP, 'map'):.3f} at random.")
    states(EXPERIMENT_A, f"there is nothing to find again, and it scores {value(LOOKUP_WOMAN, 'map'):.3f}.")
    settings = record(PHANTOM_START).settings
    assert (settings["optimizer"], settings["divide_by"], settings["width"]) == ("SGD", 1, 1 / 8)
    assert settings["rates"] == [1e-3, 1e-4, 1e-5] and record(settings["start"]).data["name"] == "phantom"
    assert record(PHANTOM_START).split == "image"
    states(
        EXPERIMENT_A,
        "with SGD at the paper's rates, an input that is not divided, and weights learnt on phantoms, a network with "
        f"an eighth of the filters reaches an mAP of {value(PHANTOM_START, 'map'):.3f} at random.",
    )


def test_chapter_7_the_run_with_all_the_filters():
    losses = [f"{value(WIDE, f'val_loss@epoch{e}'):.2f}" for e in (30, 50, 110)]
    paper = [f"{stated(f'A-val-loss-{e}'):.2f}" for e in (30, 50, 110)]
    states(
        EXPERIMENT_A,
        f"Its validation loss is {losses[0]}, {losses[1]} and {losses[2]} after 30, 50 and 110 epochs; the paper's is "
        f"{paper[0]}, {paper[1]} and {paper[2]}. Its mAP is {interval(WIDE, 'map')} (benign "
        f"{value(WIDE, 'ap_benign'):.3f}, malignant {value(WIDE, 'ap_malignant'):.3f}); the paper's is "
        f"{stated('A-map'):.3f} ({stated('A-ap-benign'):.3f} and {stated('A-ap-malignant'):.3f}).",
    )
    loss = record(WIDE).history["epoch"]["loss"]
    states(
        EXPERIMENT_A,
        f"the recall is {value(WIDE, 'recall@epoch50'):.3f}. That is an accident, though. After 30 epochs it was "
        f"{value(WIDE, 'recall@epoch30'):.3f}; then, at epoch 41, the training loss jumps from {loss[39]:.2f} to "
        f"{loss[40]:.2f}",
    )
    assert max(b - a for a, b in zip(loss, loss[1:], strict=False)) == loss[40] - loss[39]
    states(
        EXPERIMENT_A,
        "three shorter ones (1,320 updates of 32 crops), which agree: "
        f"{value(SHORT[0], 'map'):.3f} and {value(SHORT[1], 'map'):.3f} at random, "
        f"{value(SHORT_WOMAN, 'map'):.3f} by woman.",
    )
    assert {(record(s).settings["updates"], record(s).settings["batch"]) for s in (*SHORT, SHORT_WOMAN)} == {(1320, 32)}
    states(EXPERIMENT_A, "have an eighth of the filters and 2,420 updates of 32 crops or fewer.")
    wide = {s[2:] for s in (WIDE, WIDE_WOMAN, *SHORT, SHORT_WOMAN)}
    others = [r.settings for r in recorded("A") if r.hash not in wide]
    assert all(s["width"] == 1 / 8 and s["updates"] <= 2420 and s["batch"] == 32 for s in others)
    states(
        EXPERIMENT_A,
        f"the confidence part of the loss is {value(WIDE, 'val_confidence'):.1f} on validation crops at random, and "
        f"{value(WIDE_WOMAN, 'val_confidence'):.1f} on those of other women.",
    )


def test_chapter_7_the_mechanism():
    mirrored, still = mean(NARROW, "map"), mean(STILL, "map")
    woman, woman_still = mean(NARROW_WOMAN, "map"), mean(STILL_WOMAN, "map")
    scores = [value(stem, "map") for stem in (*NARROW_WOMAN, *STILL_WOMAN)]
    states(EXPERIMENT_A, f"it would stay high when women are kept apart. It falls to {woman:.3f}.")
    states(EXPERIMENT_A, f"It falls to {still:.3f}. These are recorded runs on real films, five seeds of each kind")
    states(EXPERIMENT_A, f"At random, mirroring lifts the mAP from {still:.3f} to {mirrored:.3f}.")
    states(
        EXPERIMENT_A,
        f"By woman it makes no difference that we can see: {woman_still:.3f} without, {woman:.3f} with, and single "
        f"seeds score from {min(scores):.3f} to {max(scores):.3f}.",
    )
    assert abs(woman - woman_still) < (max(scores) - min(scores)) / 4, "small beside what seeds differ by"
    assert min(value(stem, "map") for stem in NARROW) > max(value(stem, "map") for stem in STILL)
    *others, last = NARROW_WOMAN
    (above,) = (stem for stem in STILL_WOMAN if value(stem, "map") > value(stem, "centre_map"))
    states(
        EXPERIMENT_A,
        "By woman, the network is no better than boxes that never move. With mirroring it scores "
        f"{mean(NARROW_WOMAN, 'map'):.3f} beside their {mean(NARROW_WOMAN, 'centre_map'):.3f}, below them in four of "
        f"the five splits, and level with them in the fifth ({value(last, 'map'):.3f} beside "
        f"{value(last, 'centre_map'):.3f}); without, below them in four and above them in one "
        f"({value(above, 'map'):.3f} beside {value(above, 'centre_map'):.3f}).",
    )
    assert all(value(stem, "map") < value(stem, "centre_map") for stem in others)
    assert abs(value(last, "map") - value(last, "centre_map")) < 0.01
    scores = [value(stem, "map") for stem in NARROW_WOMAN]
    states(EXPERIMENT_A, f"over five splits, narrow networks score from {min(scores):.3f} to {max(scores):.3f}.")
    states(EXPERIMENT_A, f"any of the other 815, of which 600 train: {600 / 815:.1%}".replace("%", " %"))
    measured = [stem for stem in NARROW if "mirror_trains" in record(stem).metrics]
    twin = [f"{value(stem, 'map_mirror_trains'):.3f}" for stem in measured]
    apart = [f"{value(stem, 'map_mirror_apart'):.3f}" for stem in measured]
    states(
        EXPERIMENT_A,
        f"It was measured for four of the five seeds: {', '.join(twin[:3])} and {twin[3]} with the mirror image in "
        f"training, {', '.join(apart[:3])} and {apart[3]} without.",
    )
    assert len(measured) == 4
    twin, apart = ([f"{value(stem, f'map_mirror_{side}'):.3f}" for stem in SHORT] for side in ("trains", "apart"))
    states(
        EXPERIMENT_A,
        f"Two shorter runs with all the filters score {twin[0]} and {twin[1]} with it, {apart[0]} and {apart[1]} "
        "without",
    )
    states(EXPERIMENT_A, f"But in that order our network scores {value(IN_ORDER, 'map'):.3f}, and")
    states(EXPERIMENT_A, f"the score rises at random, by {mirrored - still:.3f}, and not by woman.")
    states(EXPERIMENT_A, f"a network scores {still:.3f}; with it, {mirrored:.3f}.")
    centred, uniform = value(E_BEFORE, "map_centred"), value(E_BEFORE, "map_uniform")
    states(EXPERIMENT_A, f"the network scores {centred:.3f} on centred crops and {uniform:.3f} once the lesion is off")


def test_the_leak_on_phantoms():
    runs = {r.split: r for r in results.load_all(ROOT / "book" / "results", "A") if r.data["name"] == "phantom"}
    assert set(runs) == {"image", "woman"} and len({r.data["digest"] for r in runs.values()}) == 1
    at_random, by_woman = (runs[split].metrics["map"] for split in ("image", "woman"))
    assert at_random["low"] > by_woman["value"] and at_random["value"] > by_woman["high"]
    at_random, by_woman = (interval(runs[split].file_name.removesuffix(".json"), "map") for split in ("image", "woman"))
    centre = runs["woman"].metrics["centre_map"]["value"]
    states(
        EXPERIMENT_A,
        f"At random the network scores {at_random} on phantoms, and by woman {by_woman}, where three boxes that never "
        f"move score {centre:.3f}.",
    )
    asked = {k: runs["image"].settings[k] for k in ("updates", "batch", "width", "optimizer", "precision")}
    assert asked == {"updates": 660, "batch": 32, "width": 0.125, "optimizer": "Adam", "precision": "mixed_bfloat16"}
    states(EXPERIMENT_A, "--updates 660 --set optimizer=adam --set batch=32")
