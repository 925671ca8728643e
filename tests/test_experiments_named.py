"""Any run of the book by its name, and the command that asks for one."""

import re

import pytest

from mammolib import cli, results
from mammolib.experiments import classification, inside, named, profiles, running, whole_films

DATA = {"name": "grey", "digest": "7" * 64, "films": 2}


@pytest.fixture
def seen(monkeypatch):
    """Return what the three rooms are asked, in order."""
    asked = []

    def answer(room):
        def run(what, films, *args, **options):
            asked.append((room, what, options))
            return results.Record(str(room), {}, DATA, 0, "image", metrics={"auc": 0.7, "map": 0.5, "map@epoch30": 0.1})

        return run

    runners = {
        running: "run_detector",
        classification: "run_classifier",
        whole_films: "run_on_films",
        inside: "run_inside",
    }
    for room, name in runners.items():
        monkeypatch.setattr(room, name, answer(room.__name__.rsplit(".", 1)[-1]))
    monkeypatch.setattr("mammolib.book.session.open_data", lambda *_: ([], DATA["digest"], DATA["name"]))
    return asked


def call(name, store, **options):
    return named.run_named(name, [], profile=profiles.profile("paper"), data=DATA, store=store, **options)


def test_a_classifier_is_changed_and_read_as_asked(seen, tmp_path):
    call("vgg16", tmp_path, split="folds", reading="lesion", width=0.125, seed=2, changes={"epochs": 3})
    room, one, options = seen[0]
    assert room == "classification" and one.changes == {"epochs": 3} and one.settings.epochs == 3
    asked = {k: options[k] for k in ("seed", "split", "reading", "width")}
    assert asked == {"seed": 2, "split": "folds", "reading": "lesion", "width": 0.125}
    named.run_named("cnni-bcc", [], profile=profiles.profile("quick"), data=DATA, store=tmp_path)
    assert seen[1][1] == classification.QUICK["cnni-bcc"] and seen[1][2]["width"] == profiles.profile("quick").width
    assert seen[1][2]["reading"] == "film"


def test_a_detector_has_its_variant_and_changes(seen, tmp_path):
    call("A", tmp_path, variant="trains", changes={"flip": False}, updates=9)
    call("A", tmp_path, changes={"clip": 1.0})
    a = running.ask("A", [], data=DATA).record
    results.save(a, tmp_path)
    (tmp_path / f"A-{a.hash}" / "weights").mkdir(parents=True)
    call("E-after", tmp_path, of=f"A-{a.hash}")
    asked = [(options.get("variant"), options.get("changes")) for _, _, options in seen]
    assert asked == [("trains", {"flip": False}), (None, {"clip": 1.0}), (None, None)]
    assert seen[0][2]["updates"] == 9 and seen[2][2]["of"] == f"A-{a.hash}"


def test_whole_films_are_shown_to_the_run_that_is_described_or_named(seen, tmp_path):
    options = {"variant": "trains", "width": 0.125, "updates": 10, "seed": 3, "split": "woman"}
    described = running.ask("A", [], profile="paper", data=DATA, **options).record
    with pytest.raises(FileNotFoundError, match=f"{described.hash}.json: there is no such run"):
        call("A-films", tmp_path, **options)
    results.save(described, tmp_path)
    call("A-films", tmp_path, **options)
    call("A-films", tmp_path, of=f"A-{described.hash}")
    call("A-inside", tmp_path, **options)
    rooms = ["whole_films", "whole_films", "inside"]
    assert [(room, what) for room, what, _ in seen] == [(room, described) for room in rooms]


def test_a_baseline_takes_nothing_but_its_split(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        named.baselines, "run_baseline", lambda name, films, **options: asked.append((name, options.get("split")))
    )
    call("lookup", tmp_path, split="woman")
    call("loss-levels", tmp_path)
    call("leak", tmp_path)
    assert asked == [("lookup", "woman"), ("loss-levels", None), ("leak", None)]
    with pytest.raises(ValueError, match=r"width: lookup takes none, got 0\.5"):
        call("lookup", tmp_path, width=0.5)
    with pytest.raises(ValueError, match="seed: lookup takes none, got 3"):
        call("lookup", tmp_path, seed=3)
    for name in ("loss-levels", "leak"):
        with pytest.raises(ValueError, match=f"split: {name} takes none, got 'woman'"):
            call(name, tmp_path, split="woman")


def test_whole_films_of_a_named_run_take_nothing_else(seen, tmp_path):
    record = running.ask("A", [], data=DATA, seed=2, split="woman").record
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
        ("A", {"changes": {"rates": 1e-3}}, "experiment 'A', rates: 0.001 does not fit; it must be a list of numbers"),
        (
            "A",
            {"changes": {"optimizer": {}}},
            "experiment 'A', optimizer: {} does not fit; it must be one of sgd, adam",
        ),
        (
            "A",
            {"changes": {"epochs": 0}},
            "experiment 'A', epochs: 0 does not fit; it must be a whole number of at least",
        ),
        (
            "A",
            {"seed": 99999999999999999999},
            "seed: must be a whole number from 0 to 4294967295, got 99999999999999999999",
        ),
        ("vgg16", {"seed": -1}, "seed: must be a whole number from 0 to 4294967295, got -1"),
        (
            "vgg16",
            {"changes": {"epochs": 0}},
            "experiment 'vgg16', epochs: must be a whole number of at least 1, got 0",
        ),
        ("vgg16", {"changes": {"optimizer": {}}}, "experiment 'vgg16', optimizer: {} is not one of sgd, adam"),
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
    with pytest.raises(SystemExit) as end:
        cli.main(["experiment", "A", "--set", "flip"])
    assert end.value.code == 1 and "--set: 'flip' is not of the form KEY=VALUE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("A --set rates=1e-3", "rates: 0.001 does not fit"),
        ("A --set optimizer={}", "optimizer: {} does not fit"),
        ("A --set epochs=0", "epochs: 0 does not fit"),
        ("A --set clip=NaN", "clip: nan does not fit"),
        ("A --of A-0123456789ab", "of: A starts from no other run"),
        ("lookup --seed 1", "seed: lookup takes none, got 1"),
        ("A --seed 99999999999999999999", "seed: must be a whole number from 0 to 4294967295"),
        ("lookup A F", "experiment: 'F' is not one of A, B"),
    ],
)
def test_the_command_refuses_in_one_line_before_it_makes_films(seen, tmp_path, monkeypatch, capsys, words, part):
    monkeypatch.setattr("mammolib.book.session.open_data", lambda *_: pytest.fail("films were made"))
    with pytest.raises(SystemExit) as end:
        cli.main(["experiment", *words.split(), "--out", str(tmp_path)])
    err = capsys.readouterr().err
    assert end.value.code == 1 and part in err and err.count("\n") == 1 and "--debug" not in err and not seen
