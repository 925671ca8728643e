"""Any run of the book by its name, and the command that asks for one."""

import re

import pytest

from mammolib import cli, results
from mammolib.experiments import baselines, classification, inside, named, profiles, running, whole_films

DATA = {"name": "grey", "digest": "7" * 64, "films": 2}


@pytest.fixture
def seen(monkeypatch):
    """Return what the rooms are asked, in order."""
    asked = []

    def answer(room):
        def run(what, films, *args, **options):
            asked.append((room, what, options))
            return results.Record(str(room), {}, DATA, 0, "image", metrics={"auc": 0.7, "map": 0.5, "map@epoch30": 0.1})

        return run

    runners = {running: "run_detector", classification: "run_classifier", whole_films: "run_on_films",
               inside: "run_inside", baselines: "run_baseline"}  # fmt: skip
    for room, name in runners.items():
        monkeypatch.setattr(room, name, answer(room.__name__.rsplit(".", 1)[-1]))
    monkeypatch.setattr("mammolib.book.session.open_data", lambda *_: ([], DATA["digest"], DATA["name"]))
    return asked


def call(name, store, **options):
    return named.run_named(name, [], **{"profile": profiles.PROFILES["paper"], "data": DATA, "store": store, **options})


def asked(name, store, **options):
    return running.ask(name, data=DATA, store=store, **options).record


def test_a_classifier_is_changed_and_read_as_asked(seen, tmp_path):
    call("vgg16", tmp_path, split="folds", reading="lesion", width=0.125, seed=2, changes={"epochs": 3})
    room, one, options = seen[0]
    assert room == "classification" and one.changes == {"epochs": 3} and one.settings.epochs == 3
    assert [options[k] for k in ("seed", "split", "reading", "width")] == [2, "folds", "lesion", 0.125]
    quick = profiles.PROFILES["quick"]
    call("cnni-bcc", tmp_path, profile=quick)
    assert seen[1][1] == classification.QUICK["cnni-bcc"] and seen[1][2]["width"] == quick.width


def test_a_detector_has_its_variant_and_changes(seen, tmp_path):
    call("A", tmp_path, variant="trains", changes={"flip": False}, updates=9)
    call("A", tmp_path, changes={"clip": 1.0})
    a = asked("A", tmp_path)
    results.save(a, tmp_path)
    (tmp_path / f"A-{a.hash}" / "weights").mkdir(parents=True)
    call("E-after", tmp_path, of=f"A-{a.hash}")
    said = [(options.get("variant"), options.get("changes")) for _, _, options in seen]
    assert said == [("trains", {"flip": False}), (None, {"clip": 1.0}), (None, None)]
    assert seen[0][2]["updates"] == 9 and seen[2][2]["of"] == f"A-{a.hash}"


def test_whole_films_are_shown_to_the_run_that_is_described_or_named(seen, tmp_path):
    options = {"variant": "trains", "width": 0.125, "updates": 10, "seed": 3, "split": "woman"}
    described = asked("A", tmp_path, **options)
    with pytest.raises(FileNotFoundError, match=f"{described.hash}.json: there is no such run"):
        call("A-films", tmp_path, **options)
    results.save(described, tmp_path)
    call("A-films", tmp_path, **options)
    call("A-films", tmp_path, of=f"A-{described.hash}")
    call("A-inside", tmp_path, **options)
    rooms = ["whole_films", "whole_films", "inside"]
    assert [(room, what) for room, what, _ in seen] == [(room, described) for room in rooms]


def test_a_baseline_takes_nothing_but_its_split(seen, tmp_path):
    call("lookup", tmp_path, split="woman")
    call("loss-levels", tmp_path)
    call("leak", tmp_path)
    said = [(name, options.get("split")) for _, name, options in seen]
    assert said == [("lookup", "woman"), ("loss-levels", None), ("leak", None)]
    for name, option, value in (
        ("lookup", "width", 0.5), ("lookup", "seed", 3), ("loss-levels", "split", "woman"), ("leak", "split", "woman")
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"{option}: {name} takes none, got {value!r}"):
            call(name, tmp_path, **{option: value})


def test_whole_films_of_a_named_run_take_nothing_else(seen, tmp_path):
    record = asked("A", tmp_path, seed=2, split="woman")
    results.save(record, tmp_path)
    stem = f"A-{record.hash}"
    call("A-films", tmp_path, of=stem, seed=2, split="woman")
    for options, words in (
        ({"width": 0.5}, "width: A-films of a run takes none, got 0.5"),
        ({"variant": "trains"}, "variant: A-films of a run takes none"),
        ({"seed": 1}, f"seed: 1 was asked for, but {stem} has 2"),
        ({"split": "image"}, f"split: 'image' was asked for, but {stem} has 'woman'"),
    ):
        with pytest.raises(ValueError, match=re.escape(words)):
            call("A-films", tmp_path, of=stem, **options)
    with pytest.raises(ValueError, match=f"name: 'B' was asked for, but {stem} has 'A'"):
        call("B-films", tmp_path, of=stem)
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("F", {}, "experiment: 'F' is not one of A, B"),
        ("E-before-films", {}, "experiment: 'E-before-films' is not one of"),
        ("A", {"reading": "film"}, "reading: A takes none, got 'film'"),
        ("vgg16", {"updates": 9}, "updates: vgg16 takes none, got 9"),
        ("vgg16", {"variant": "trains"}, "variant: vgg16 takes none, got 'trains'"),
        ("cnni-bcc", {"changes": {"flop": 1}}, "experiment 'cnni-bcc': it has no setting 'flop'"),
        ("A", {"variant": "best"}, "variant: 'best' is not one of stated, trains"),
        ("A", {"of": "A-0123456789ab"}, "of: A starts from no other run, got 'A-0123456789ab'; leave it out"),
        ("A", {"seed": 2**64}, "seed: must be a whole number from 0 to 4294967295, got 18446744073709551616"),
        ("vgg16", {"seed": -1}, "seed: must be a whole number from 0 to 4294967295, got -1"),
        ("vgg16", {"width": 2}, "width: must lie in (0, 1], got 2"),
        ("vgg16", {"split": "random"}, "split: 'random' is not one of image, woman, folds"),
        ("A", {"split": "folds"}, "split: 'folds' is not one of image, lesion-order, woman"),
        ("A", {"width": 0}, "width: must lie in (0, 1], got 0"),
    ],
)
def test_what_does_not_fit_is_refused(seen, tmp_path, name, options, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        call(name, tmp_path, **options)
    assert not seen


def test_the_command_prints_the_headline_numbers(seen, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["experiment", "cnni-bcc", "A", "--split", "woman", "--out", str(tmp_path)])
    out = capsys.readouterr().out
    assert end.value.code == 0 and out.count("finished, auc 0.7, map 0.5\n") == 2 and "epoch30" not in out


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("A --set rates=1e-3", "rates: 0.001 does not fit"),
        ("A --set optimizer={}", "optimizer: {} does not fit"),
        ("A --set clip=NaN", "clip: nan does not fit"),
        ("A --set flip", "--set: 'flip' is not of the form KEY=VALUE"),
        ("A --of A-0123456789ab", "of: A starts from no other run"),
        ("A --seed 99999999999999999999", "seed: must be a whole number from 0 to 4294967295"),
        ("A --seed 1 --seeds 0-2", "seeds: give --seed or --seeds, not both"),
        ("A --split image --splits image,woman", "splits: give --split or --splits, not both"),
        ("A --seeds 2-1", "seeds: '2-1' is not of the form 0-9 or 0,3,5"),
        ("lookup A F", "experiment: 'F' is not one of A, B"),
    ],
)
def test_the_command_refuses_in_one_line_before_it_makes_films(seen, tmp_path, monkeypatch, capsys, words, part):
    monkeypatch.setattr("mammolib.book.session.open_data", lambda *_: pytest.fail("films were made"))
    with pytest.raises(SystemExit) as end:
        cli.main(["experiment", *words.split(), "--out", str(tmp_path)])
    err = capsys.readouterr().err
    assert end.value.code == 1 and part in err and err.count("\n") == 1 and "--debug" not in err and not seen
