"""The sentences of chapters 8 to 11 that hold a number of a recorded run."""

from sentences import record, states, value
from series import recorded

from mammolib.analysis.curves import at_equal
from mammolib.analysis.retraining import confidence_ranks
from mammolib.analysis.stability import ladder, precisions, titled
from mammolib.experiments.detection import SETS

B, C, D, E = (
    f"chapters/{name}.ipynb" for name in ("08-experiment-b", "09-experiment-c", "10-experiment-d", "11-experiment-e")
)
DETECTION = "val_detection_loss"
BATCH_300, FASTER_300, LONGER_300 = "C-300x2-0334b5b91388", "C-300x2-69cbf5f62449", "C-300x2-fad4d633f7bb"
BATCH_200, FASTER_200 = "C-200x3-7272fe42d81e", "C-200x3-99a913ee2598"
SEPARABLE, PLAIN, REGULARISED = "D-100x6-39829bd6e098", "D-100x6-b8a491b6550b", "D-100x6-1486aef19acf"
BEFORE, AFTER = "E-before-7632e9da2740", "E-after-1a1b0c29b37e"
BY_WOMAN = {"E-before-1d5b3be8dc42": "E-after-00132ecdbdc0", "E-before-0906d921ffc1": "E-after-9fa68d75304a"}


def test_what_explodes_and_what_trains():
    for stem in ("A-0d9d39431200", "B-cc49585066e0"):
        assert record(stem).outcome == "diverged at update 3"
        assert set(record(stem).settings["changed"]) <= {"batch", "precision"}
    states(B, "explodes at update 3, at A's rates and at B's")
    still = record("B-3cdca1df013b")
    assert still.settings["changed"]["momentum"] == 0 and still.outcome == "diverged at update 3"
    states(B, "on the real films, below, the run without it explodes at the same update")
    a, b = "A-1c8467756d1b", "B-f5f9c0f6f101"
    assert record(b).outcome == "finished"
    states(
        B,
        f"A's rates train (mAP {value(a, 'map'):.3f}) and twice the rates do not explode, but learn little "
        f"({value(b, 'map'):.3f})",
    )
    adam, divided, both = "A-0262abcbd772", "A-2defe3a4ab44", "A-f3bebc7c0ae1"
    states(
        B,
        f"Adam alone ends at a detection loss of {value(adam, DETECTION):.2f}, an input divided by 64 alone at "
        f"{value(divided, DETECTION):.2f}, and both together at {value(both, DETECTION):.2f}",
    )
    assert record("B-47f139c35fd4").outcome == "diverged at update 135"
    states(
        B,
        f"Warm-up lets A's rates live ({value('A-f9191fe9fb06', DETECTION):.2f}) and only delays the explosion "
        "at "
        "B's, to update 135.",
    )
    b_divided = value("B-373a96d6c6af", DETECTION)
    states(B, f"with the input divided by 64, A ends at {value(divided, DETECTION):.2f} and B at {b_divided:.2f}")
    states(
        B,
        f"from trained weights the mAP falls from {value(a, 'map'):.3f} to {value(b, 'map'):.3f}. With the divided "
        f"input both, after 330 updates, score less than boxes that never move: {value(divided, 'map'):.3f} and "
        f"{value('B-373a96d6c6af', 'map'):.3f} beside {value(divided, 'centre_map'):.3f}.",
    )
    states(B, f"and the network trained: an mAP of {value('A-0dc22d386d60', 'map'):.3f} at random after 1,320 updates")


def test_the_first_figure_of_chapter_8_has_its_six_panels():
    names = titled(ladder([r for r in recorded("A", "B") if r.split == "image"]))
    first = ("as stated", "gradient clipped to 1", "input divided by 64", "Adam", "start from trained weights")
    assert {*(f"A: {change}" for change in first), "B: start from trained weights"} <= set(names)


def test_half_precision_shows_no_difference():
    single, half = precisions(recorded("A")).values()
    ends = [f"{r.metrics[DETECTION]['value']:.2f}" for r in (single, half)]
    states(
        B, f"They end at {ends[0]} and {ends[1]}, and the intervals of their mAP overlap: this pair shows no difference"
    )
    first, second = (r.metrics["map_validation"] for r in (single, half))
    assert first["low"] < second["high"] and second["low"] < first["high"]


def test_updates_were_missing_and_not_the_rate():
    loss, score = (lambda s: f"{value(s, DETECTION):.2f}"), (lambda s: f"{value(s, 'map'):.3f}")
    assert value(FASTER_300, DETECTION) > value(BATCH_300, DETECTION) > value(LONGER_300, DETECTION)
    assert value(FASTER_200, DETECTION) > value(BATCH_200, DETECTION)
    states(
        C,
        f"took batch 300 from a detection loss of {loss(BATCH_300)} to {loss(LONGER_300)} and from an mAP of "
        f"{score(BATCH_300)} to {score(LONGER_300)}. A rate scaled with the batch made it worse, both times",
    )
    settings = record(BATCH_300).settings
    states(C, f'so "batch 300" showed {settings["batch"]} images an update here and made {settings["updates"]} updates')
    states(
        C,
        f"At {settings['updates']} updates, batch 300 has a detection loss of {loss(BATCH_300)}. With three "
        f"times "
        f"the rate it ends at {loss(FASTER_300)}, with three times the updates at {loss(LONGER_300)}. Batch 200 "
        f"ends at {loss(BATCH_200)} and, with twice the rate, at {loss(FASTER_200)}.",
    )
    states(
        C,
        f"{score(BATCH_300)}, {score(FASTER_300)} and {score(LONGER_300)} for batch 300, {score(BATCH_200)} and "
        f"{score(FASTER_200)} for batch 200",
    )
    states(C, f"Ours moves with the loss here, from {score(FASTER_300)} to {score(LONGER_300)}")
    above = [r.stem for r in recorded("C-200x3", "C-300x2") if value(r.stem, "map") > value(r.stem, "centre_map")]
    assert set(above) == {LONGER_300, BATCH_200}
    prior = f"{value(BATCH_300, 'centre_map'):.3f}"
    states(C, f"Three boxes that never move score {prior} on these crops, so only batch 200 at its own rate and batch")


def test_the_reported_loss_named_the_wrong_winner():
    assert value(SEPARABLE, "val_loss") < value(PLAIN, "val_loss")
    assert value(SEPARABLE, DETECTION) > value(PLAIN, DETECTION) and value(SEPARABLE, "map") < value(PLAIN, "map")
    reported, plain = (f"{value(s, 'val_loss'):.2f}" for s in (SEPARABLE, PLAIN))
    without, plain_without = (f"{value(s, DETECTION):.2f}" for s in (SEPARABLE, PLAIN))
    seconds, plain_seconds = (f"{value(s, 'seconds_per_pass'):.1f}" for s in (SEPARABLE, PLAIN))
    states(
        D,
        f"a reported loss of {reported} against {plain}, and loses once the weight decay that it lacks is taken "
        f"out: {without} against {plain_without}, and an mAP of {value(SEPARABLE, 'map'):.3f} against "
        f"{value(PLAIN, 'map'):.3f}. On two CPU cores a pass of it took {seconds} seconds against "
        f"{plain_seconds}",
    )
    states(D, f"{plain} and {reported} with weight decay as Keras reported it, {plain_without} and {without} without.")
    states(
        D,
        f"the separable network ends at {value(REGULARISED, DETECTION):.2f} and an mAP of "
        f"{value(REGULARISED, 'map'):.3f}",
    )
    states(D, f"a pass took {seconds} seconds separable and {plain_seconds} plain")
    assert value(PLAIN, "map") < value(PLAIN, "centre_map") < value(REGULARISED, "map")
    states(
        D,
        f"Three boxes that never move score {value(PLAIN, 'centre_map'):.3f} on these crops, so neither the separable "
        f"network with {value(SEPARABLE, 'map'):.3f} nor the plain one with {value(PLAIN, 'map'):.3f} has learnt much.",
    )
    runs = {"100": (SEPARABLE, PLAIN)} | {
        n: (recorded(d)[0].stem, c) for n, d, c in (("200", "D-200x3", BATCH_200), ("300", "D-300x2", BATCH_300))
    }
    at = at_equal({stem: record(stem) for pair in runs.values() for stem in pair}).iloc[:, 1]
    assert all(float(at[light]) > float(at[plain]) for light, plain in runs.values())
    pairs = [f"{at[light]} against {at[plain]} with {n}" for n, (light, plain) in runs.items()]
    states(D, f"{', '.join(pairs)}. The paper's faster convergence does not come back, in one seed of each.")
    states(D, f"ours fell from {plain} to {reported} by it, and rose from {plain_without} to {without} without")


def test_what_was_lost_in_the_centre_was_the_leak():
    centred = {s: f"{value(s, 'map_centred'):.3f}" for s in (BEFORE, AFTER, *BY_WOMAN, *BY_WOMAN.values())}
    uniform = f"{value(BEFORE, 'map_uniform'):.3f}"
    assert value(AFTER, "map_centred") < value(BEFORE, "map_centred")
    for before, after in BY_WOMAN.items():
        assert value(after, "map_centred") > value(before, "map_centred")
        assert value(after, "map_uniform") > value(after, "centre_map_uniform")
    states(E, f"falls from an mAP of {centred[BEFORE]} to {uniform} (the paper: 0.842 to 0.284)")
    rise = " and ".join(f"{centred[b]} to {centred[a]}" for b, a in BY_WOMAN.items())
    states(
        E,
        f"where views are dealt out at random: {centred[BEFORE]} to {centred[AFTER]}. Where women are kept apart "
        f"it "
        f"costs nothing, since there was nothing to lose: {rise} in two seeds",
    )
    states(
        E,
        f"By woman the centred AP does *not* fall: {rise}. It falls only at random, from {centred[BEFORE]} to "
        f"{centred[AFTER]} with all filters",
    )
    assert value(AFTER, "lesions_seen_uniform") == 0
    network, prior = (
        " and ".join(f"{value(a, name):.3f}" for a in BY_WOMAN.values())
        for name in ("map_uniform", "centre_map_uniform")
    )
    states(
        E,
        f"By woman the retrained network scores {network} on uniform cuts, above the boxes in the middle with {prior}"
        ": a weak sign",
    )
    low = [record(after).metrics["map_uniform"]["low"] for after in BY_WOMAN.values()]
    assert all(a < value(after, "centre_map_uniform") for a, after in zip(low, BY_WOMAN.values(), strict=True))
    states(E, "The intervals of both still hold the boxes' score.")
    others = " and ".join(f"from {centred[b]} to {centred[a]}" for b, a in BY_WOMAN.items())
    states(E, f"by woman the centred score rose, {others}")


def test_whole_films_of_new_women():
    seeds = ("A-films-f2bd0ccd28e1", "A-films-5a06e3073458")
    for stem in seeds:
        assert record(stem).split == "woman" and value(stem, "lesions") == 14
        assert value(stem, "sensitivity_at_1") == value(stem, "sensitivity_at_4") == 0
    after = "E-after-films-c61411ffc55f"
    assert value(after, "sensitivity_at_1") == 0 and value(after, "lesions") == 14
    states(
        E,
        "A's network found none of 14 lesions at one false mark a film and none at four, in both seeds; the "
        f"retrained one found none at one and {14 * value(after, 'sensitivity_at_4'):.0f} of 14 at four",
    )


def test_chapter_8_looks_into_networks_after_100_updates():
    looked = {(r.settings["width"], r.settings["rates"][0]): r for r in recorded("A-inside")}
    assert all((r.settings["updates"], r.settings["batch"], r.split) == (100, 32, "image") for r in looked.values())
    alive, at_one, dead = looked[1 / 4, 0.0005], looked[1 / 4, 0.001], looked[1 / 8, 0.008]
    share = {r.hash: f"{100 * r.outputs['above_zero']['conv5_3']:.1f} %" for r in looked.values()}
    spread = {r.hash: f"{r.metrics['crop_to_crop']['value']:.2f}" for r in looked.values()}
    states(
        B,
        f"than at its own rate, {share[at_one.hash]} against {share[alive.hash]}, and its answers depend less on the "
        f"crop: {spread[at_one.hash]} against {spread[alive.hash]}.",
    )
    states(
        B,
        f"kills the eighth: {share[dead.hash]}, and {spread[dead.hash]} from crop to crop beside "
        f"{dead.metrics['within_a_crop']['value']:.2f} within one.",
    )


def test_chapter_11_it_is_the_recall_and_not_the_confidence():
    off, centre = (confidence_ranks(record(BEFORE), which)["confidence of right answers"] for which in SETS[::-1])
    states(E, f"off the centre has a confidence of {off:.3f}, and in the centre of {centre:.3f}.")
    mean_off, mean_centre, recall_centre, recall_off = (
        value(BEFORE, name) for name in ("confidence_uniform", "confidence_centred", "recall_centred", "recall_uniform")
    )
    states(E, f"Only the mean is lower, {mean_off:.3f} beside {mean_centre:.3f}: a few right answers are unsure.")
    states(E, f"What falls is the recall, from {recall_centre:.3f} to {recall_off:.3f}: most lesions off the centre")
