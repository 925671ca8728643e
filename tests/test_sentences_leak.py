"""The sentences of chapter 12 that hold a number of a recorded run."""

import numpy as np
import pytest
from sentences import ROOT, page, record, states, value
from series import LOOKUP_WOMAN, NARROW, NARROW_WOMAN, WIDE, WIDE_WOMAN, mean, stated

from mammolib import results, splits
from mammolib.analysis import dealing

CHAPTER = "chapters/12-leak.ipynb"
LEAK = results.load_all(ROOT / "book" / "results", "leak")[0].file_name.removesuffix(".json")


def three(name: str) -> str:
    return f"{value(LEAK, name):.3f}"


def lowest_and_highest(name: str) -> tuple[float, float]:
    held = record(LEAK).metrics[name]
    return held["low"], held["high"]


def test_the_record_is_of_the_real_films():
    assert record(LEAK).data["name"] == "mini-MIAS" and record(LEAK).data["films"] == 322
    assert all(record(stem).settings["width"] == 1 / 8 for stem in (*NARROW, *NARROW_WOMAN))


def test_the_first_box_states_the_ends_of_the_strips():
    states(
        CHAPTER,
        f"Dealt out at random, the same crops give a lookup that has learnt nothing an mAP of "
        f"{three('lookup_map_by_view')}, SSD256 with an eighth of the filters {mean(NARROW, 'map'):.3f}, and a linear "
        f"model on grey levels an area under the ROC curve of {three('histogram_auc_by_view')}. By woman they score "
        f"{three('lookup_map_by_woman')}, {mean(NARROW_WOMAN, 'map'):.3f} and {three('histogram_auc_by_woman')}, where "
        "guessing a class earns 0.5. Keeping each lesion on one side is enough to close most of it (the lookup falls "
        f"to {three('lookup_map_by_lesion')}).",
    )
    states(
        CHAPTER,
        "whoever tries 20 settings and keeps the one that is best on the test women reports "
        f"{three('best_auc')}, where a choice inside the training women gives {three('nested_auc')}.",
    )
    low, high = lowest_and_highest("histogram_auc_by_woman")
    assert low < 0.5 < high < lowest_and_highest("histogram_auc_by_view")[0], "by woman it is no better than guessing"


def test_what_the_parts_share():
    states(
        CHAPTER,
        f"At random, {value(LEAK, 'views_by_view'):.1f} of the 116 test crops have their mirror image in training, and "
        f"{value(LEAK, 'women_by_view'):.1f} of the 97 women are on both sides. By lesion, no view and no lesion is. "
        f"The number of women falls to {value(LEAK, 'women_by_lesion'):.1f}, not to 0",
    )
    states(CHAPTER, f"Your guesses: {value(LEAK, 'women_by_view'):.1f} of the 97 women are on both sides;")
    none = [f"{unit}_by_{way}" for way in ("lesion", "film", "woman") for unit in ("views", "lesions", "films")]
    assert not any(value(LEAK, name) for name in [*none, "women_by_woman"])
    assert all(
        record(LEAK).outputs[f"{name}_by_film"] == record(LEAK).outputs[f"{name}_by_lesion"]
        for name in ("lookup_map", "histogram_auc", "women")
    )
    expected = np.mean([len(splits.by_image(816, seed=s).shared(np.repeat(np.arange(102), 8))) for s in range(50)])
    assert value(LEAK, "lesions_by_view") == pytest.approx(expected, abs=2)


def test_by_lesion_and_by_woman_do_not_differ_here():
    states(
        CHAPTER,
        f"By lesion the lookup scores {three('lookup_map_by_lesion')}, by woman {three('lookup_map_by_woman')}, and "
        "the intervals cover each other.",
    )
    a, b = (lowest_and_highest(f"lookup_map_by_{way}") for way in ("lesion", "woman"))
    assert max(a[0], b[0]) < min(a[1], b[1])


def test_what_looks_at_no_pixel_gains_nothing():
    states(
        CHAPTER,
        f"Over the fifty of Experiment A's chapter it scores {value(LOOKUP_WOMAN, 'map'):.3f} by woman, and over the "
        f"five seeds there the boxes that never move score {mean(NARROW_WOMAN, 'centre_map'):.3f}.",
    )
    states(
        CHAPTER,
        f"gain nothing ({three('centre_map_by_view')} at random, {three('centre_map_by_woman')} by woman)",
    )
    assert value(LEAK, "centre_map_by_view") <= value(LEAK, "centre_map_by_woman")
    states(CHAPTER, f"they do not: {three('pixels_auc_by_woman')} by woman, {three('pixels_auc_by_view')} at random.")


def test_choosing_by_the_test():
    best, nested, typical = (value(LEAK, f"{name}_auc") for name in ("best", "nested", "typical"))
    states(
        CHAPTER,
        f"both curves begin at {typical:.3f}, the mean of all settings. Chosen on the test women the score rises to "
        f"{best:.3f}, and half of that rise comes with the first three tries. Nested, it stays at {nested:.3f}. So "
        f"{best - nested:.2f} of the reported score is choice",
    )
    curve = dealing.reported_curves(record(LEAK))["chosen on the test women"]
    assert curve[1] < (best + typical) / 2 <= curve[2]
    states(CHAPTER, f"the best of twenty beats the average by {best - typical:.3f};")
    states(CHAPTER, f"Why is ours, {best:.3f}, smaller?")
    states(CHAPTER, f"The best of 20 settings reported {best:.3f}, a nested choice {nested:.3f}.")


def test_the_recap_and_the_suspicion():
    states(
        CHAPTER,
        f"The same crops give a lookup {three('lookup_map_by_view')} at random and {three('lookup_map_by_woman')} by "
        f"woman; SSD256 {mean(NARROW, 'map'):.3f} and {mean(NARROW_WOMAN, 'map'):.3f}.",
    )
    states(CHAPTER, f"reports an mAP of {stated('A-map'):.3f}.")
    assert abs(value(WIDE, "map") - stated("A-map")) < 0.05 < stated("A-map") - value(WIDE_WOMAN, "map")
    assert "*suspected* of the paper, and not shown" in page(CHAPTER)
    states(CHAPTER, f"A lookup scores 1.000 and a network {mean(NARROW, 'map'):.3f} on the same split.")
    states(CHAPTER, f"By woman the network scores {mean(NARROW_WOMAN, 'map'):.3f}. It lived on the leak all the same.")


def test_counts_of_the_real_set(real_films):
    from mammolib.experiments import sets

    crops = sets.centred(real_films)
    assert (len(crops), len(set(crops.lesion)), len(set(crops.film)), len(set(crops.woman))) == (816, 102, 102, 97)
    states(CHAPTER, "five women have a lesion in each breast.")
