"""Any run of the book by its name, and the command that asks for one."""

import re

import pytest

from mammolib import cli, results
from mammolib.experiments import classification, detection, named, profiles, running, whole_films

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

    for room in (detection, classification, whole_films):
        monkeypatch.setattr(room, "run", answer(room.__name__.rsplit(".", 1)[-1]))
    monkeypatch.setattr("mammolib.book.session.open_data", lambda *_: ([], DATA["digest"], DATA["name"]))
    return asked


def call(name, store, **options):
    return named.run(name, [], profile=profiles.profile("paper"), data=DATA, store=store, **options)


def test_a_classifier_is_changed_and_read_as_asked(seen, tmp_path):
    call("vgg16", tmp_path, split="folds", reading="lesion", width=0.125, seed=2, changes={"epochs": 3})
    room, one, options = seen[0]
    assert room == "classification" and one.changes == {"epochs": 3} and one.settings.epochs == 3
    asked = {k: options[k] for k in ("seed", "split", "reading", "width")}
    assert asked == {"seed": 2, "split": "folds", "reading": "lesion", "width": 0.125}
    named.run("cnni-bcc", [], profile=profiles.profile("quick"), data=DATA, store=tmp_path)
    assert seen[1][1] == classification.QUICK["cnni-bcc"] and seen[1][2]["width"] == 0.125
    assert seen[1][2]["reading"] == "film"


def test_a_detector_has_its_variant_and_changes(seen, tmp_path):
    call("A", tmp_path, variant="trains", changes={"flip": False}, updates=9)
    call("A", tmp_path, changes={"clip": 1.0})
    call("E-after", tmp_path, of="A-0")
    assert [options["changes"] for _, _, options in seen] == [{**detection.TRAINS, "flip": False}, {"clip": 1.0}, None]
    assert seen[0][2]["updates"] == 9 and seen[2][2]["of"] == "A-0"


def test_whole_films_are_shown_to_the_run_that_is_described_or_named(seen, tmp_path):
    options = {"variant": "trains", "width": 0.125, "updates": 10, "seed": 3, "split": "woman"}
    described = running.ask("A", [], profile="paper", data=DATA, changes=detection.TRAINS,
                            **{k: v for k, v in options.items() if k != "variant"}).record  # fmt: skip
    with pytest.raises(FileNotFoundError, match=f"{described.hash}.json: there is no such run"):
        call("A-films", tmp_path, **options)
    results.save(described, tmp_path)
    call("A-films", tmp_path, **options)
    call("A-films", tmp_path, of=f"A-{described.hash}")
    assert [(room, what) for room, what, _ in seen] == [("whole_films", described)] * 2


def test_a_baseline_takes_nothing_but_its_split(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(named.baselines, "run", lambda name, films, **options: asked.append((name, options["split"])))
    call("lookup", tmp_path, split="woman")
    call("loss-levels", tmp_path)
    assert asked == [("lookup", "woman"), ("loss-levels", "image")]
    with pytest.raises(ValueError, match=r"width: lookup takes none, got 0\.5"):
        call("lookup", tmp_path, width=0.5)


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
