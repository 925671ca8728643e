"""The sentences of chapter 13 that hold a number of a recorded run."""

import pytest
from sentences import ROOT, interval, page, record, states, value

from mammolib import benchmark, mias, phantom, results
from mammolib.analysis import ladder
from mammolib.detectors.ssd_windows import WIDTH
from mammolib.experiments import rungs

CHAPTER = "chapters/13-honest-detectors.ipynb"
ONE, FOUR = "sensitivity_at_1", "sensitivity_at_4"


def stem(rung: str) -> str:
    (one,) = [r for r in results.load_all(ROOT / "book" / "results", rungs.PREFIX + rung)]
    return one.file_name.removesuffix(".json")


def two(rung: str, name: str = ONE) -> str:
    return f"{value(stem(rung), name):.2f}"


def test_records_are_of_the_real_films_and_of_these_folds():
    for rung in rungs.RUNGS:
        for one in results.load_all(ROOT / "book" / "results", rungs.PREFIX + rung):
            assert one.data["name"] == "mini-MIAS" and one.metrics["lesions"]["value"] == 119
            assert one.settings["folds"] == benchmark.folds_digest()
            assert one.settings["repeats"] == (1 if rung in rungs.ONCE else 5)


def test_the_first_box():
    best = stem("both-breasts")
    states(
        CHAPTER,
        "Of 119 lesions on 318 films of mini-MIAS, the best detector of this book finds "
        f"{interval(best, ONE, 2)} at one false mark a film and {interval(best, FOUR, 2)} at four.",
    )
    states(
        CHAPTER,
        f"A few lines of SciPy find {two('laplacian')} at one false mark. A linear model on the maps of a network that "
        f"has seen only photographs finds {two('imagenet')}. The mere knowledge of where lesions are finds "
        f"{two('position')}.",
    )
    assert value(best, "films") == 318
    taught = two("ssd-phantoms"), two("ssd-phantoms", FOUR)
    states(
        CHAPTER, f"trained on whole films, finds {two('ssd')}, and {taught[0]} if it has learnt from phantoms first."
    )
    states(
        CHAPTER, f"With weights from phantoms to begin with, it finds {taught[0]} and {taught[1]}: phantoms teach it"
    )
    states(CHAPTER, f"Yet it finds {two('ssd')} at one false mark and {two('ssd', FOUR)} at four, less than the place")
    narrow = next(r for r in results.load_all(ROOT / "book" / "results", "A") if r.settings["width"] == WIDTH)
    states(CHAPTER, f"It has {narrow.metrics['parameters']['value']:,} weights and 95 lesions to learn from.")
    for k in (ONE, FOUR):
        assert value(stem("ssd"), k) < value(stem("ssd-phantoms"), k) < value(stem("position"), k)


def test_the_ladder_is_climbed_as_it_is_told():
    order = [rung for rung in rungs.RUNGS if rung not in rungs.ONCE]
    assert value(stem("both-breasts"), ONE) == max(value(stem(rung), ONE) for rung in order)
    assert value(stem("position"), ONE) < value(stem("laplacian"), ONE) < value(stem("imagenet"), ONE)
    held = record(stem("imagenet")).metrics[ONE]
    assert held["low"] > record(stem("laplacian")).metrics[ONE]["high"], "clear of the filters"
    states(
        CHAPTER,
        f"**The place alone** finds {two('position')} at one false mark a film and stops at "
        f"{two('position', 'sensitivity_at_8')}",
    )
    states(CHAPTER, f"The Laplacian finds {two('laplacian')},")
    states(CHAPTER, f"**Features by hand** with a linear model find {two('features')}, fewer than the Laplacian alone")
    assert value(stem("features"), ONE) < value(stem("laplacian"), ONE)
    states(CHAPTER, f"The brightest blob is worse than not looking at one false mark ({two('brightness')})")
    states(CHAPTER, f"for dense tissue is bright too; at four it is ahead ({two('brightness', FOUR)}).")
    assert value(stem("brightness"), ONE) < value(stem("position"), ONE)
    assert value(stem("brightness"), FOUR) > value(stem("position"), FOUR)
    assert value(stem("brightness"), ONE) < value(stem("position"), ONE)
    states(CHAPTER, f"**ImageNet's maps** bring the large step: {two('imagenet')}.")
    states(CHAPTER, f"brings {two('both-breasts')} at one false mark and {two('both-breasts', FOUR)} at four.")


def test_on_phantoms_bright_blobs_are_ahead_of_the_place(tmp_path):
    states(CHAPTER, "Here bright blobs are ahead of the place")
    shown = mias.load(phantom.write(tmp_path / "films", women=16))  # the chapter's, of the quick profile
    asked = {"data": {"name": "phantom", "digest": mias.digest(shown), "films": 32}, "store": tmp_path, "repeats": 1}
    here = {rung: rungs.run_rung(rungs.PREFIX + rung, shown, **asked).metrics for rung in ("position", "brightness")}
    assert here["brightness"]["camelyon_score"]["value"] > here["position"]["camelyon_score"]["value"]


def test_others_and_ours_stand_in_one_table():
    states(CHAPTER, f"| six classes of lesion | {two('both-breasts')} at 1, {two('both-breasts', FOUR)} at 4 | yes |")


def test_calcifications_are_the_hardest():
    best = record(stem("both-breasts"))
    shares = {kind: best.metrics[f"{ONE}_{kind}"]["value"] for kind in ("CALC", "CIRC", "SPIC", "ARCH", "MISC", "ASYM")}
    assert min(shares, key=lambda kind: shares[kind]) == "CALC"
    states(
        CHAPTER,
        f"({shares['CALC']:.2f} at one false mark a film, {two('both-breasts', FOUR + '_CALC')} at four; without a "
        f"model of their own {two('imagenet', ONE + '_CALC')} and {two('imagenet', FOUR + '_CALC')})",
    )
    states(CHAPTER, f"{shares['SPIC']:.2f} of the spiculated and {shares['CIRC']:.2f} of the well-defined ones")
    states(CHAPTER, f"under IoU 0.5 they find {two('both-breasts', ONE + '_iou0.5')}")


def test_the_first_pages():
    best, lines = (f"{100 * value(stem(rung), ONE):.0f}" for rung in ("both-breasts", "laplacian"))
    states(
        "book/intro.md",
        "By it, a network of the same size, trained on cuts of whole films, normal ones too, finds "
        f"{100 * value(stem('ssd'), ONE):.0f} of 100 lesions, a few lines of SciPy find {lines}, and the best detector "
        f"of this book, which trains no network, finds {best}.",
    )
    states(
        "README.md",
        f"the best that we could build finds {best} of 100 lesions at one false mark a film; a few lines of SciPy find "
        f"{lines}.",
    )


def test_the_guesses():
    states(CHAPTER, f"the Laplacian finds {100 * value(stem('laplacian'), ONE):.0f} of 100")
    states(CHAPTER, f"({two('imagenet')} against {two('features')})")


def test_the_leaderboard_lists_every_rung():
    rows = ladder.leaderboard(results.load_all(ROOT / "book" / "results"))
    assert {row[0] for row in rows[1:]} >= {words for rung, (words, _) in rungs.RUNGS.items() if rung not in rungs.ONCE}


@pytest.mark.parametrize("least, points", [(0.62, 1), (0.82, 4)])
def test_what_was_asked_of_the_best_is_reached_or_said(least, points):
    """The aim was set before: 62 % at one false mark a film and 82 % at four."""
    reached = value(stem("both-breasts"), f"sensitivity_at_{points}") >= least
    assert reached or "did not reach" in page(CHAPTER)
