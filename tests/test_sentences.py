"""Sentences of the front pages and of chapters 1 to 6 that state a result are written again from the records."""

import pytest
from sentences import interval, page, record, states, value
from series import (
    AUGMENTATION,
    BUILT,
    CARD,
    CLASSIFICATION,
    CNNI,
    CNNI_LESION_WOMAN,
    CNNI_WOMAN,
    COUNTS,
    CROPPING,
    CUTS,
    DATA,
    E_AFTER,
    E_BEFORE,
    EXPERIMENT_A,
    FILMS_WOMAN,
    FOLDS,
    GPU,
    INTRO,
    LOOKUP,
    MAP,
    NARROW,
    NARROW_WOMAN,
    NOTATION,
    README,
    SHORT,
    SIMULATED,
    SSD,
    VGG16,
    VGG16_WOMAN,
    VIEWS,
    WIDE,
    WIDE_WOMAN,
    mean,
    recorded,
    stated,
)

from mammolib.metrics.intervals import wilson


def test_intro_begins_with_the_finding():
    states(
        INTRO,
        "**Short answer.** Yes, the number comes back: where the crops are dealt out at random to training and test, "
        f"the same detector with all its filters scores {value(WIDE, 'map'):.3f}.",
    )
    states(INTRO, f"(mAP) of {stated('A-map'):.3f}")
    states(
        INTRO,
        "No, it does not mean what it seems to mean: where no woman is in both, the same detector scores "
        f"{value(WIDE_WOMAN, 'map'):.3f}, and three boxes that never move score "
        f"{value(WIDE_WOMAN, 'centre_map'):.3f} on the same crops.",
    )
    assert value(WIDE_WOMAN, "map") < value(WIDE_WOMAN, "centre_map")
    states(
        INTRO,
        f"A lookup of grey levels, which has learnt nothing about lesions, scores {value(LOOKUP, 'map'):.3f} at random",
    )
    lesions = {value(stem, "lesions") for stem in FILMS_WOMAN}
    hits = {value(stem, "sensitivity_at_1") * value(stem, "lesions") for stem in FILMS_WOMAN}
    assert all(record(stem).settings["width"] == 1 / 8 and record(stem).split == "woman" for stem in FILMS_WOMAN)
    assert len(lesions) == len(hits) == 1, "the two seeds no longer say the same"
    states(
        INTRO,
        "And on whole films of women whom it has not seen, a detector with an eighth of the filters finds "
        f"{round(hits.pop())} of {lesions.pop()} lesions at one false mark a film, where a mark has to overlap",
    )


def test_readme_begins_with_the_finding():
    states(README, f"mean average precision of {stated('A-map'):.3f}")
    states(
        README,
        "We did it again, with all the filters. Where crops are dealt out at random, the detector scores "
        f"{value(WIDE, 'map'):.3f}. Where women are kept apart, it scores {value(WIDE_WOMAN, 'map'):.3f}, and three "
        f"boxes that never move score {value(WIDE_WOMAN, 'centre_map'):.3f}.",
    )


def test_intro_says_how_wide_the_networks_are():
    wide = {r.name for r in recorded("A", "E-before", "E-after") if r.settings["width"] == 1 and not r.reduced}
    assert wide == {"A", "E-before", "E-after"} and record(E_AFTER).settings["start"] == WIDE
    assert record(E_BEFORE).split == record(E_AFTER).split == "image"
    states(
        INTRO,
        "Experiment A was trained with all the paper's filters "
        f"({value(WIDE, 'parameters'):,} parameters), its batch of {record(WIDE).settings['batch']} and its "
        f"{record(WIDE).settings['updates']:,} updates, once at random and once by woman. Experiment E, at random, "
        f"went on from the first with its {record(E_AFTER).settings['updates']} updates of "
        f"{record(E_AFTER).settings['batch']}. On one H100 each took minutes. Three shorter runs of A have all "
        "the filters too.",
    )
    assert all(value(stem, "seconds") < 600 for stem in (WIDE, WIDE_WOMAN, E_AFTER))
    narrow = [r for r in recorded() if r.name[:2] in ("B", "C-", "D-") or r.name.startswith(("A-films", "E-after-f"))]
    narrow += [r for r in recorded("E-before", "E-after") if r.split == "woman"]
    assert narrow and {r.settings["width"] for r in narrow} == {1 / 8}
    states(INTRO, f"an eighth of the filters ({value(NARROW[0], 'parameters'):,} parameters")
    states(
        INTRO,
        f"over five seeds it scores {mean(NARROW, 'map'):.3f} at random and {mean(NARROW_WOMAN, 'map'):.3f} by woman, "
        f"where three boxes that never move score {mean(NARROW_WOMAN, 'centre_map'):.3f}.",
    )
    states(INTRO, "Of the classifiers, CNNI-BCC has all its filters and VGG16 an eighth.")
    assert {r.settings["width"] for r in recorded("cnni-bcc", "cnni-bcc-10fold")} == {1}
    assert {r.settings["width"] for r in recorded("vgg16")} == {1 / 8}


def test_intro_says_what_was_run_with_which_split():
    states(INTRO, "The classifiers and Experiments A and E were run both ways, Experiments B, C and D at random only.")
    for names in (("cnni-bcc",), ("vgg16",), ("A",), ("E-before",), ("E-after",)):
        assert {"image", "woman"} <= {r.split for r in recorded(*names)}, names
    assert {r.split for r in recorded() if r.name == "B" or r.name[:2] in ("C-", "D-")} == {"image"}


def test_notation_shows_a_range_of_seeds():
    scores = [value(stem, "map") for stem in NARROW]
    states(NOTATION, f"{mean(NARROW, 'map'):.3f} ({min(scores):.3f} to {max(scores):.3f} in {len(scores)} seeds)")


def test_dataset_card_counts_what_the_audit_counts():
    states(CARD, f"only {value(COUNTS, 'origin_ignored_share'):.1%}".replace("%", " %") + " of them still overlap")
    states(CARD, f"{value(COUNTS, 'dark_boxes')} boxes are still dark on more than 20 % of their area")
    states(CARD, f"{value(COUNTS, 'lesions')} lesions, film and not digital detectors")
    states(
        CARD,
        f"have no centre** ({value(COUNTS, 'rows_without_centre')}), and some films have several rows "
        f"({value(COUNTS, 'films_with_several_rows')}). The paper drops both, and {value(COUNTS, 'kept')} films are "
        f"left: {value(COUNTS, 'kept_normal')} normal, {value(COUNTS, 'kept_benign')} benign, "
        f"{value(COUNTS, 'kept_malignant')} malignant.",
    )


def test_the_page_of_full_size_says_what_it_took():
    r, epochs = record(WIDE), record(WIDE).history["epoch"]["seconds"]
    states(
        GPU,
        f"Experiment A with all its filters, {r.settings['updates']:,} updates of {r.settings['batch']} crops, trained "
        f"for {value(WIDE, 'seconds'):.0f} s on one NVIDIA H100 with JAX, in bfloat16, at "
        f"{value(WIDE, 'images_per_second'):,.0f} images a second. The first epoch took {epochs[0]:.0f} s, nearly all "
        f"of it spent on compiling; each later one took {value(WIDE, 'seconds_per_epoch'):.1f} s.",
    )
    states(GPU, f"its first epoch took {record(WIDE_WOMAN).history['epoch']['seconds'][0]:.0f} s.")
    a_day = stated("A-seconds") * 110 / 3600
    states(
        GPU,
        f"The paper's card needed {stated('A-seconds'):.0f} s an epoch, {a_day:.1f} hours in all at "
        f"{6000 / stated('A-seconds'):.1f} images a second.",
    )
    assert r.settings["precision"] == "mixed_bfloat16" and "H100" in r.machine["gpu"]
    states(
        GPU,
        "the detectors with all the filters ran on one H100 with JAX, except for one short run on two CPU cores. "
        "Every other run took one or two CPU cores with TensorFlow.",
    )
    short = SHORT[0]
    rate, seconds = value(short, "images_per_second"), value(short, "seconds")
    states(GPU, f"one NVIDIA H100, JAX, in bfloat16 - {value(WIDE, 'images_per_second'):,.0f}")
    states(GPU, f"Xeon with matrix units, TensorFlow, in bfloat16 - {rate:.1f}")
    length = f"{record(short).settings['updates']:,} updates of {record(short).settings['batch']}"
    states(GPU, f"{6600 * 100 / rate / 3600:.0f} hours at this rate; {length} took {seconds / 3600:.1f} hours")
    trained = [r for r in recorded() if "width" in r.settings]
    on_gpu = [r for r in trained if r.machine["gpu"]]
    assert on_gpu and all(r.machine["backend"] == "jax" and "H100" in r.machine["gpu"] for r in on_gpu)
    detectors = [r for r in trained if r.name in ("A", "E-before", "E-after")]
    wide = [r for r in detectors if r.settings["width"] == 1]
    assert [r.hash for r in wide if not r.machine["gpu"]] == [SHORT[0][2:]]
    assert all(r in wide for r in on_gpu)
    assert all(r.machine["cores"] <= 2 and r.machine["backend"] == "tensorflow" for r in trained if r not in on_gpu)


def test_chapter_1_counts():
    paper = [stated(f"kept-{kind}") for kind in ("normal", "benign", "malignant")]
    ours = [value(COUNTS, f"kept_{kind}") for kind in ("normal", "benign", "malignant")]
    states(
        DATA,
        f"The paper counts {paper[0]} normal, {paper[1]} benign and {paper[2]} malignant films; the annotation file "
        f"says {ours[0]}, {ours[1]} and {ours[2]}. Both add up to {sum(ours)}.",
    )
    assert sum(paper) == sum(ours) == value(COUNTS, "kept")
    share = f"{value(COUNTS, 'origin_ignored_share'):.1%}".replace("%", " %")
    states(DATA, f"gets most boxes wrong: only {share} of them stay near the right place.")
    states(DATA, f"Overlooking the origin would have left {share} of the boxes near the right place")
    states(DATA, f"On the real films, {value(COUNTS, 'dark_boxes')} boxes are suspicious.")
    states(
        DATA,
        f"{value(COUNTS, 'women')} women; {value(COUNTS, 'kept_normal')} of {value(COUNTS, 'films')} films are normal; "
        f"the median radius is {value(COUNTS, 'radius_median'):.0f} pixels, the largest "
        f"{value(COUNTS, 'radius_max'):.0f}; and the number of pairs that differ in tissue is "
        f"{value(COUNTS, 'women_of_two_tissues')}.",
    )
    assert value(COUNTS, "women_of_two_tissues") == 0
    states(DATA, "On the real films, the two films of a woman always have the same tissue.")


def test_chapter_2_siblings_and_lookup():
    states(
        AUGMENTATION,
        f"the paper's {value(VIEWS, 'crops')} crops are {value(VIEWS, 'lesions')} lesions times eight. Dealt out at "
        f"random, {100 * value(VIEWS, 'siblings_by_image'):.0f} % of the test crops have another view of their lesion "
        "in training, and a lookup of grey levels gets "
        f"{100 * value(VIEWS, 'lookup_accuracy_by_image'):.0f} % of the classes right. By woman, "
        f"{100 * value(VIEWS, 'siblings_by_woman'):.0f} % have one, and the lookup gets "
        f"{100 * value(VIEWS, 'lookup_accuracy_by_woman'):.0f} % right.",
    )
    states(AUGMENTATION, f"its accuracy is {value(VIEWS, 'lookup_accuracy_by_image'):.3f}. By woman it is ")
    states(AUGMENTATION, f"By woman it is {value(VIEWS, 'lookup_accuracy_by_woman'):.3f} there, no better than a coin.")
    assert value(VIEWS, "lookup_accuracy_by_woman") < 0.5
    states(
        AUGMENTATION,
        f"The lookup gets {100 * value(VIEWS, 'lookup_accuracy_by_image'):.0f} % of the classes right at random and "
        f"{100 * value(VIEWS, 'lookup_accuracy_by_woman'):.0f} % by woman.",
    )
    states(
        AUGMENTATION,
        f"The real films have {value(COUNTS, 'single_lesions')} single lesions, {value(COUNTS, 'kept_benign')} of them "
        f"benign; the paper counts {stated('kept-benign')} benign ones.",
    )


def test_chapter_3_patches_and_boxes_that_never_move():
    one, two, three = (f"{100 * value(CUTS, f'centre_prior_{k}'):.0f} %" for k in (1, 2, 3))
    states(CROPPING, f"three boxes that never move find {three} of the lesions on crops that are centred on them")
    states(CROPPING, f"On the real films one box finds {one} of the lesions, two find {two}, three find {three}.")
    states(CROPPING, f"three boxes that never move find {three} of the lesions; uniform cuts do not")
    states(CROPPING, f"Three boxes that never move find {three} of the lesions on centred crops. A network")
    survivors = round(value(CUTS, "survivors_mean"))
    patches = value(CUTS, "patches_per_film")
    states(CROPPING, f"{survivors} of the {patches} patches of a real film survive on average.")
    states(CROPPING, f"{patches - survivors} of {patches} patches are dark on more than a fifth of their area; and")
    states(CROPPING, f"one box finds {one} of the lesions.")
    clean, whole = value(CUTS, "cuts_clean_views"), value(CUTS, "cuts_whole_views")
    assert clean < 4329 < whole
    states(CROPPING, f"The number is between our two counts on the real films, {clean:,} and {whole:,}.")
    states(CROPPING, "about a third of them are tissue.")
    assert 0.3 < survivors / patches < 0.4


def test_chapter_4_cnni_bcc_answers_normal_to_every_patch():
    runs = recorded("cnni-bcc")
    for r in [*runs, *recorded("cnni-bcc-10fold")]:
        assert r.metrics["sensitivity"]["value"] == 0 and r.metrics["specificity"]["value"] == 1, r.hash
        assert r.metrics["above_majority"]["value"] == 0, r.hash
    at_random = [r for r in runs if r.split == "image" and r.settings["reading"] == "film"]
    scores = [r.metrics["test_accuracy"]["value"] for r in at_random]
    states(
        CLASSIFICATION,
        'CNNI-BCC, with all its filters and the paper\'s settings, answers "normal" to every patch, in each of its '
        f"{len(runs)} recorded trainings on real films and in ten folds more. So its test accuracy ({min(scores):.3f} "
        f"to {max(scores):.3f} in {len(scores)} seeds at random; the paper {stated('cnni-bcc-test-accuracy'):.3f}) is "
        "the share of normal patches, and its sensitivity is 0.",
    )
    states(CLASSIFICATION, "On the real films it added 0.000 in every run")
    states(CLASSIFICATION, 'Ours, at the same settings, added nothing: it answers "normal" to every patch.')
    lesion, film = value(CNNI_LESION_WOMAN, "test_accuracy"), value(CNNI_WOMAN, "test_accuracy")
    states(CLASSIFICATION, f"on the real films (seed 0) {lesion:.3f} against {film:.3f}.")
    states(CLASSIFICATION, f"since {100 * lesion:.1f} % of its test patches are normal.")
    lesions = [r for r in runs if r.settings["reading"] == "lesion"]
    lesion_runs = {split: [r.stem for r in lesions if r.split == split] for split in ("image", "woman")}
    at_random, by_woman = (f"{mean(stems, 'majority_accuracy'):.3f}" for stems in lesion_runs.values())
    assert at_random == by_woman and all(len(stems) == 20 for stems in lesion_runs.values())
    states(CLASSIFICATION, f"the majority is larger still, {at_random} at random and by woman.")
    assert {round(6 * r.metrics["balanced_accuracy"]["value"]) for r in lesions} == {2, 3}
    states(CLASSIFICATION, f"The accuracy is {value(FOLDS, 'test_accuracy'):.3f}, and so is the majority's.")
    assert value(FOLDS, "test_accuracy") == value(FOLDS, "majority_accuracy")
    states(CLASSIFICATION, "For VGG16 we have not run it.")
    assert not recorded("vgg16-10fold")
    claimed, always = stated("cnni-bcc-test-accuracy"), [wilson(round(score * 157), 157) for score in scores]
    holding, above = sum(a.low <= claimed <= a.high for a in always), sum(a.value > claimed for a in always)
    states(
        CLASSIFICATION,
        f"On {holding} of the {len(scores)} the interval holds 73.24 %, and on {above} of them a constant answer "
        "scores more than that.",
    )


def test_chapter_4_vgg16_learns_by_heart_and_guesses():
    training = (mean(VGG16, "train_accuracy"), mean(VGG16_WOMAN, "train_accuracy"))
    assert f"{training[0]:.3f}" == f"{training[1]:.3f}"
    at_random, by_woman = mean(VGG16, "val_accuracy"), mean(VGG16_WOMAN, "val_accuracy")
    states(
        CLASSIFICATION,
        f"learns its training patches by heart ({training[0]:.3f}; the paper {stated('vgg16-train-accuracy'):.3f}) and "
        f"guesses in validation: {at_random:.3f} at random, {by_woman:.3f} by woman (the paper about "
        f"{stated('vgg16-val-accuracy'):.2f}; guessing earns 0.5). Both are means of {len(VGG16)} seeds. We see no "
        "leak here.",
    )
    states(
        CLASSIFICATION, f"That is overfitting: {training[0]:.3f} in training, and about {at_random:.2f} in validation"
    )
    states(CLASSIFICATION, f"The two splits do not differ: {at_random:.3f} at random, {by_woman:.3f} by woman.")
    assert abs(at_random - by_woman) < 0.01
    states(CLASSIFICATION, f"by heart, {training[0]:.3f}, and still guess about new ones.")
    states(CLASSIFICATION, "CNNI-BCC ends on the line of the largest class, below the paper's points.")
    assert value(CNNI[0], "train_accuracy") == pytest.approx(value(CNNI[0], "majority_share"), abs=1e-6)
    assert value(CNNI[0], "majority_share") < stated("cnni-bcc-train-accuracy")
    states(CLASSIFICATION, "VGG16's training ends above the paper's point, and its validation stays at one half.")
    assert value(VGG16[0], "train_accuracy") > stated("vgg16-train-accuracy")
    assert abs(value(VGG16[0], "val_accuracy") - 0.5) < 0.05


def test_chapters_5_and_6():
    states(
        SSD,
        f"{value(BUILT, 'parameters'):,} and {value(BUILT, 'parameters_separable'):,}, come out exactly, summed by "
        f"hand and counted from the networks, and {value(BUILT, 'layer_rows_equal')} of 28 rows agree",
    )
    assert value(BUILT, "parameters") == stated("parameters") == value(WIDE, "parameters")
    states(SSD, "Experiment A trains this network with all its filters; most other runs of this book train one with")
    states(MAP, f"a made-up detector scores {interval(SIMULATED, 'map_simulated', 2)}")
    states(
        MAP, f"Experiment A asks whether a network reaches the paper's 0.842, and one does ({value(WIDE, 'map'):.3f})"
    )
    states(MAP, f"the mAP is {value(WIDE, 'map'):.3f} beside the paper's {stated('A-map'):.3f}.")
    states(
        MAP,
        f"in Experiment A the same network scores {value(WIDE, 'map'):.3f} with the leak, and "
        f"{value(WIDE_WOMAN, 'map'):.3f} on new women.",
    )


def test_pages_name_the_splits_in_words():
    """`image` is the code's word; a reader is told once, and then reads "at random"."""
    for name in (INTRO, DATA, AUGMENTATION, CROPPING, CLASSIFICATION, SSD, MAP, EXPERIMENT_A):
        text = page(name)
        assert "by image" not in text.lower(), name
        assert "at random" not in text or name in (DATA, CROPPING, MAP, SSD) or "`image`" in text, name
