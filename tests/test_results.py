"""Records: what may stand in them, their hash, and how they are kept on disk."""

import dataclasses
import json
import math
import os
import select
import subprocess
import sys
import types

import numpy as np
import pytest

from mammolib import results
from mammolib.experiments.profiles import PROFILES, profile
from mammolib.results import NO_DATA, Record, metric
from mammolib.results.record import _digest

REAL = {"name": "mini-MIAS", "digest": "ab" * 32, "films": 322}
PHANTOM = {"name": "phantom", "digest": "cd" * 32, "films": 160}


def run(name="A", seed=0, data=REAL, split="image", settings=None, outcome="finished", **metrics):
    metrics = {key.replace("__", "@"): value for key, value in metrics.items()}
    return Record(name, settings or {"width": 1.0}, data, seed, split, metrics, outcome=outcome)


def test_a_record_comes_back_as_it_was_saved(tmp_path):
    history = {"update": {"loss": np.linspace(9, 1, 50), "l2": [8.4] * 50}, "epoch": {"val_loss": [3.0, 2.5]}}
    made = Record(
        name="C-300x2",
        settings={"batch": 300, "rates": (1e-3, 1e-4), "reduced": False, "note": None},
        data={**REAL, "name": "/home/someone/films/"},
        seed=7,
        split="woman",
        metrics={"map": metric(0.84, 0.59, 0.95, n=15), "seconds_per_epoch": 12.5},
        history=history,
        outputs={"pr": np.array([[0.1, 1 / 3]]), "hit": [True, False]},
        machine=results.machine(),
    )
    path = results.save(made, tmp_path / "new" / "folder")
    assert path.name == f"C-300x2-{made.hash}.json" == made.file_name
    back = results.load(path)
    assert back == made and back.hash == made.hash
    assert back.data["name"] == "films" and run(data={**REAL, "name": "C:\\films"}).data["name"] == "films"
    assert back.settings["rates"] == [1e-3, 1e-4] and back.outputs["pr"] == [[0.1, 0.333333]]
    assert back.history["epoch"]["epoch"] == [1, 2] and back.history["update"]["update"][-1] == 50
    assert results.load_all(path.parent) == [made] == results.load_all(path.parent, "C-300x2")
    assert results.load_all(path.parent, "C") == [] == results.load_all(tmp_path / "nowhere")
    assert os.listdir(path.parent) == [path.name]  # no temporary file stays
    back.metrics["map"]["value"] = 0.9
    assert results.load(path) == made  # who changes what was loaded changes no other


def test_the_hash_covers_what_was_asked_and_nothing_else():
    one = run(map=0.5)
    same = [
        {"metrics": {}, "machine": {"gpu": "x"}, "outcome": "diverged at update 3"},
        {"data": {**REAL, "name": "x"}},
    ]
    assert {dataclasses.replace(one, **change).hash for change in same} == {one.hash}
    other = [{"name": "B"}, {"settings": {"width": 0.5}}, {"data": PHANTOM}, {"split": "woman"}, {"seed": 1}]
    asked = [dataclasses.replace(one, **change) for change in other]
    assert len({r.hash for r in (one, *asked)}) == 6 and [r.series == one.series for r in asked] == [False] * 4 + [True]
    fixed = Record("A", {"batch": 100, "rates": [1e-3], "flip": True}, REAL, 3, "woman")
    assert fixed.hash == "45be06416313"  # another value would orphan every record that was ever committed
    assert dataclasses.replace(fixed, settings=dict(reversed(fixed.settings.items()))).hash == fixed.hash


def test_runs_of_several_seeds_that_start_from_one_series_are_one_series():
    a = [dataclasses.replace(run(map=0.5), seed=seed) for seed in (0, 1)]
    other = dataclasses.replace(a[0], settings={"width": 0.5})
    after = [dataclasses.replace(r, name="E-after", settings=results.start_of(r)) for r in (*a, other)]
    assert after[0].settings["start"] == f"A-{a[0].hash}" and len({r.hash for r in after}) == 3
    assert after[0].series == after[1].series != after[2].series
    named = dataclasses.replace(after[0], settings={"start": f"A-{a[0].hash}"})
    assert named.series != dataclasses.replace(named, settings={"start": f"A-{a[1].hash}"}).series


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"name": "A/B"}, "name"),
        ({"settings": {"rate": np.float32(0.1)}}, "settings.rate"),
        ({"settings": {"rates": [1.0, math.nan]}}, "settings.rates[1]"),
        ({"settings": {"reduced": 1}}, "settings.reduced"),
        ({"settings": {"changed": "adam"}}, "settings.changed"),
        ({"settings": {3: 1}}, "settings"),
        ({"data": {"name": "x"}}, "data"),
        ({"data": {**REAL, "films": "322"}}, "data.films"),
        ({"seed": True}, "seed"),
        ({"split": "by woman"}, "split"),
        ({"outcome": "crashed"}, "outcome"),
        ({"metrics": {"val loss": 1}}, "metrics"),
        ({"metrics": {"map": True}}, "metrics.map.value"),
        ({"metrics": {"map": {"value": 1, "sd": 2}}}, "metrics.map"),
        ({"metrics": {"map": {"value": 1, "low": 2, "high": 0}}}, "metrics.map"),
        ({"metrics": {"map": None}}, "metrics.map"),
        ({"metrics": {"map": {"value": 1, "kind": "films"}}}, "metrics.map.kind"),
        ({"history": {"step": {}}}, "history.step"),
        ({"history": {"epoch": {"a": [1, 2], "b": [1]}}}, "history.epoch"),
        ({"history": {"epoch": {3: [1]}}}, "history.epoch"),
        ({"history": {"epoch": {"a": [1, "x"]}}}, "history.epoch.a[1]"),
        ({"outputs": {"boxes": {1, 2}}}, "outputs.boxes"),
    ],
)
def test_what_json_cannot_hold_is_refused_in_one_line_that_names_the_field(change, names):
    with pytest.raises(ValueError) as err:
        Record(**{"name": "A", "settings": {}, "data": REAL, "seed": 0, **change})
    assert str(err.value).startswith(names) and "\n" not in str(err.value)


def test_what_is_not_finite_becomes_null_with_a_reason(tmp_path):
    made = Record(
        "B",
        {},
        REAL,
        0,
        metrics={"val_loss": math.inf, "map": metric(math.nan, n=0), "ap": metric(0.5, math.nan, 0.9)},
        history={"update": {"loss": [1.0, math.inf, math.nan, math.nan], "rate": [1e-3] * 4}},
        outputs={"curve": [0.5, math.nan]},
        outcome="diverged at update 2",
    )
    path = results.save(made, tmp_path)
    strict = json.loads(path.read_text(), parse_constant=lambda word: pytest.fail(f"{word} in the file"))
    assert strict["metrics"]["val_loss"] == {"value": None, "low": None, "high": None, "n": None, "reason": "infinite"}
    assert made.metrics["map"]["reason"] == "not a number" and made.metrics["ap"]["low"] is None
    assert made.history["update"]["loss"] == [1.0, None, None, None]
    assert made.history["not_finite"] == {"update.loss": "infinite at 1, not a number at 2 to 3"}
    assert made.outputs == {"curve": [0.5, None], "not_finite": {"curve[1]": "not a number"}}
    assert results.load(path) == made and made.complete


def test_a_long_history_stays_small_and_keeps_its_ends(tmp_path):
    rng = np.random.default_rng(0)
    n = 48_000
    series = {name: rng.lognormal(size=n) for name in ("loss", "localisation", "confidence", "l2", "norm", "rate")}
    made = Record("A", {}, REAL, 0, history={"update": series})
    kept = {name: np.array(values) for name, values in made.history["update"].items()}
    assert kept["update"][0] == 1 and kept["update"][-1] == n and len(kept["loss"]) == 2000
    assert np.all(np.diff(kept["update"]) > 0)
    np.testing.assert_allclose(kept["norm"], series["norm"][kept["update"] - 1], rtol=5e-6)
    assert results.save(made, tmp_path).stat().st_size < 300_000


def test_a_complete_record_is_not_overwritten_unless_told(tmp_path, monkeypatch):
    first, other = run(map=0.8), run(map=0.1)
    path = results.save(first, tmp_path)
    before = path.stat().st_mtime_ns
    assert results.save(first, tmp_path) == path and path.stat().st_mtime_ns == before
    with pytest.raises(FileExistsError, match=path.name):
        results.save(other, tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left") as err:
        patch.setattr(os, "fsync", full)
        results.save(other, tmp_path, replace=True)
    assert err.value.filename == str(path) and os.listdir(tmp_path) == [path.name]  # no rubbish
    assert results.load(path) == first
    results.save(other, tmp_path, replace=True)
    assert results.load(path) == other


def test_a_stopped_or_damaged_record_gives_way(tmp_path):
    stopped = run(outcome="stopped at update 40")
    asked = {"name": "A", "settings": stopped.settings, "data": REAL, "seed": 0, "split": "image"}
    path = results.save(stopped, tmp_path)
    assert results.find(tmp_path, **asked) is None
    results.save(run(map=0.8), tmp_path)
    assert results.find(tmp_path, **asked) == run(map=0.8)
    assert results.find(tmp_path, **asked | {"seed": 1}) is None is results.find(tmp_path / "nowhere", **asked)
    path.write_text(path.read_text()[:100])
    with pytest.raises(ValueError, match=path.name):
        results.find(tmp_path, **asked)
    results.save(run(map=0.7), tmp_path)
    assert results.load(path).metrics["map"]["value"] == 0.7


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda text: text[: len(text) // 2], "cut short"),
        (lambda text: "[" * 100_000, "damaged"),
        (lambda text: "\x00" + text, "damaged"),
        (lambda text: text.replace('"format": 1', '"format": 9'), "not a record of format 1"),
        (lambda text: "[1]", "format"),
        (lambda text: text.replace('"outputs"', '"output"'), "missing: ['outputs'], unknown: ['output']"),
        (lambda text: text.replace('"seed": 0', '"seed": 0, "seed": 0'), "'seed' is there twice"),
        (lambda text: text.replace('"seed": 0', '"seed": 1'), "hash"),
        (lambda text: text.replace('"seed": 0', '"seed": "0"'), "seed"),
        (lambda text: text.replace("0.8", "0.9"), "checksum"),
        (lambda text: text.replace("0.8", "NaN"), "checksum"),
        (lambda text: text.replace("0.8", "9" * 400), "int too large"),
    ],
)
def test_a_damaged_file_is_named_in_one_line(tmp_path, damage, says):
    path = results.save(run(map=0.8), tmp_path)
    results.load(path)  # what was read whole once is remembered, but not past a change
    path.write_text(damage(path.read_text()))
    with pytest.raises(ValueError) as err:
        results.load(path)
    assert str(path) in str(err.value) and says in str(err.value) and "\n" not in str(err.value)
    with pytest.raises(ValueError):
        results.load_all(tmp_path)


def test_a_checksum_that_fits_lets_no_unknown_data_through(tmp_path):
    path = results.save(run(map=0.8), tmp_path)
    content = json.loads(path.read_text()) | {"data": {}}
    asked = {key: value for key, value in content.items() if key not in ("format", "hash", "checksum")}
    path.write_text(json.dumps(content | {"checksum": _digest(asked)}))
    with pytest.raises(ValueError, match="digest") as err:
        results.load(path)
    assert str(path) in str(err.value) and "\n" not in str(err.value)


def test_missing_and_renamed_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone.json"):
        results.load(tmp_path / "gone.json")
    path = results.save(run(map=0.8), tmp_path)
    path.rename(tmp_path / "A-0.json")
    with pytest.raises(ValueError, match="rename"):
        results.load(tmp_path / "A-0.json")


MAKE = """
import sys
from mammolib import results

def make():
    print("makes", flush=True)
    sys.stdin.readline()
    return {}

results.once(sys.argv[1], make, name="A", settings={}, data=results.NO_DATA, seed=0)
print("has it", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no lock of files there")
@pytest.mark.parametrize("killed", [False, True])
def test_a_run_is_made_by_one_process_while_the_other_waits(tmp_path, killed):
    """Who waits finds what was made; if the maker was killed, it makes the run itself."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen([sys.executable, "-c", MAKE, str(tmp_path)], **pipes) for _ in range(2)]
    try:
        (ready,) = select.select([p.stdout for p in both], [], [], 60)[0]
        maker, waiter = both if ready is both[0].stdout else both[::-1]
        assert maker.stdout.readline() == "makes\n"
        assert not select.select([waiter.stdout], [], [], 1)[0], "the other waits"
        if killed:
            maker.kill()
        else:
            assert maker.communicate("\n", timeout=60)[0] == "has it\n"
        assert waiter.communicate("\n", timeout=60)[0] == ("makes\nhas it\n" if killed else "has it\n")
    finally:
        for process in both:
            process.kill()
            process.communicate()
    assert results.find(tmp_path, "A", {}, results.NO_DATA, 0) is not None


def test_the_root_is_found_from_below_and_not_in_a_staged_copy(tmp_path, monkeypatch):
    stage = tmp_path / "_build" / "stage"
    for folder in (tmp_path, stage):
        (folder / "chapters").mkdir(parents=True)
        (folder / "_toc.yml").write_text("")
    for inside in (tmp_path, tmp_path / "chapters", stage, stage / "chapters"):
        monkeypatch.chdir(inside)
        assert results.root() == tmp_path
    assert results.recorded() == tmp_path / "book" / "results"
    assert results.run_store() == tmp_path / "_build" / "runs"
    with pytest.raises(FileNotFoundError, match="_toc.yml"):
        results.root("/")


def test_the_machine_is_described_without_importing_a_backend():
    code = (
        "import json, sys; from mammolib import results; print(json.dumps(results.machine())); "
        "assert not {'keras', 'pandas', 'scipy', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["processor"] and found["cores"] >= 1 and found["memory_gib"] > 0.5
    assert found["backend"] is None and found["gpu"] is None and set(found["versions"]) == {"mammolib"}
    assert found["commit"] and found["date"].endswith("+00:00")
    Record("A", {}, NO_DATA, 0, machine=found)


def fake(**fields):
    return types.SimpleNamespace(**fields)


GPU = {"device_name": "NVIDIA H200"}
LISTED = {"list_physical_devices": lambda kind: [fake(name="/device:GPU:0")]}
LISTED |= {"experimental": fake(get_device_details=lambda device: GPU)}


@pytest.mark.parametrize(
    ("backend", "library", "gpu"),
    [
        ("jax", fake(devices=lambda: [fake(platform="gpu", device_kind="NVIDIA H200")] * 2), "2 x NVIDIA H200"),
        ("jax", fake(devices=lambda: 1 / 0), None),  # a driver that fails does not cost the record
        ("torch", fake(cuda=fake(is_available=lambda: False)), None),
        ("tensorflow", fake(config=fake(**LISTED)), "NVIDIA H200"),
    ],
)
def test_the_gpu_is_the_one_keras_backend_sees(monkeypatch, backend, library, gpu):
    monkeypatch.setitem(sys.modules, "keras", fake(backend=fake(backend=lambda: backend), __version__="3"))
    monkeypatch.setitem(sys.modules, backend, library)
    found = results.machine()
    assert (found["backend"], found["gpu"], found["versions"]["keras"]) == (backend, gpu, "3")


def test_a_commit_can_be_told_where_there_is_no_git(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("MAMMOLIB_COMMIT", raising=False)
    assert results.commit() == "unknown"
    monkeypatch.setenv("MAMMOLIB_COMMIT", "0123456789ab")
    assert results.commit() == "0123456789ab"


def test_committed_records_are_sound_and_small():
    """Every record loads, stays small, and is of the films, or of a run on phantoms that one on the films starts from.

    The same run on phantoms under another split may stand beside it: chapter 7 compares the two.
    """
    folder = results.root(os.path.dirname(__file__)) / "book" / "results"
    records = {path: results.load(path) for path in sorted(folder.glob("*.json"))}
    starts = {record.settings.get("start") for record in records.values()}
    begun = [(record.name, record.settings) for path, record in records.items() if path.stem in starts]
    for path, record in records.items():
        assert path.stat().st_size < 400_000, path.name  # 329 cuts with some 70 marks each are 330 kB
        assert record.complete, path.name
        assert record.data["name"] in ("mini-MIAS", "none") or (record.name, record.settings) in begun, path.name


def test_profiles():
    assert PROFILES["quick"].reduced and not PROFILES["paper"].reduced
    assert profile("paper") is PROFILES["paper"] and all(p.name == name for name, p in PROFILES.items())
    with pytest.raises(ValueError, match="'fast' is not one of quick, paper"):
        profile("fast")
