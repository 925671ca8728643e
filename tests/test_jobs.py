"""Many runs: seeds and splits by name, a budget, a plan, worker processes, and a cluster that loses a machine."""

import os
import signal
import threading
import time

import pytest
from sentences import record, states, value

from mammolib import cli, mias, phantom, results
from mammolib.experiments import detection, jobs, named, profiles

SMALL = {"changes": {"patches": 120, "epochs": 1}, "width": 1 / 8}

WORKED_OUT = ("A-62d727b9eb9d", "A-0dc22d386d60", "A-8f9c07165701", "A-5373b7366387")
"""The runs of the page: all the filters on a GPU and on two cores; an eighth of them at random and by woman."""


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    return mias.load(phantom.write(tmp_path_factory.mktemp("films"), women=24))


def asked(name, films, store, **options):
    data = {"name": "phantom", "digest": mias.digest(films) if films else "7" * 64, "films": len(films)}
    return jobs.Job(name, films, data, {"profile": profiles.PROFILES["quick"], "store": store, **options})


def plain(store):
    """Return what the records of a store say, by hash, without times."""
    said = {r.hash: {k: v for k, v in r.metrics.items() if "second" not in k} for r in results.load_all(store)}
    assert len(said) == len(list(store.glob("*.json")))
    return said


def test_seeds_are_read():
    assert jobs.numbers("0-3") == [0, 1, 2, 3] and jobs.numbers("5,0-1,1") == [5, 0, 1]
    for text in ("", "3-1", "a", "1-", "-1"):
        with pytest.raises(ValueError, match=f"seeds: '{text}' is not of the form 0-9 or 0,3,5"):
            jobs.numbers(text)


def test_a_run_comes_after_the_one_whose_weights_it_needs(tmp_path):
    names = ["E-after-films", "E-after", "B", "A"]
    every = [asked(name, [], tmp_path) for name in names]
    order = [(names[i], wave) for i, _, wave in jobs.in_order(every)]
    assert order == [("B", 0), ("A", 0), ("E-after", 1), ("E-after-films", 2)]
    rows = jobs.plan(every, rate=10.0)
    assert [row.job.name for row in rows] == ["B", "A", "E-after", "E-after-films"]
    assert rows[0].seconds == rows[0].outline.images / 10 and rows[3].seconds == 0
    assert rows[-1].end == pytest.approx(sum(row.seconds for row in rows))
    results.save(results.Record(**every[3].outline.asked), tmp_path)
    assert jobs.plan(every, rate=10.0)[0].seconds == 0
    with pytest.raises(ValueError, match=r"rate: must be positive, got 0"):
        jobs.plan(every, rate=0)


def test_the_plan_names_the_record_that_the_run_makes(films, tmp_path):
    for name, options in (("lookup", {}), ("cnni-bcc", SMALL)):
        job = asked(name, films, tmp_path, **options)
        (done,) = jobs.run([job])
        assert done.record.file_name == f"{job.outline.stem}.json" and job.outline.recorded


def test_one_that_fails_stops_no_other(monkeypatch, tmp_path, capsys):
    def run_named(name, films, **options):
        if options["seed"] == 1:
            raise ValueError("film mdb001: too\nshort")
        return results.Record(name, {}, options["data"], options["seed"], "image")

    monkeypatch.setattr(named, "run_named", run_named)
    monkeypatch.setattr("mammolib.book.session.open_data", lambda *_: ([], "7" * 64, "grey"))
    with pytest.raises(SystemExit) as end:
        cli.main(["experiment", "A", "B", "--seeds", "0-2", "--out", str(tmp_path)])
    shown = capsys.readouterr()
    assert end.value.code == 1 and shown.out.count("finished") == 4 and "6 of 6 runs" in shown.out
    assert shown.err == "".join(f"mammolib: {name} seed 1: film mdb001: too short\n" for name in "AB")


def test_a_budget_leaves_the_rest_for_another_call(films, tmp_path):
    every = [asked("cnni-bcc", films, tmp_path, seed=seed, **SMALL) for seed in (0, 1)]
    late = jobs.Execution(progress=False, deadline=time.time() + 0.01)
    first, second = jobs.run(every, late)
    assert second.left == "not begun" and (first.left == "not begun" or first.left.startswith("out of time after"))
    assert [done.record.outcome for done in jobs.run(every)] == ["finished"] * 2


def test_an_engine_that_there_is_not_is_refused(tmp_path):
    with pytest.raises(ValueError, match="engine: 'slurm://x' is not dask://HOST:PORT or ray://HOST:PORT"):
        list(jobs.run([asked("lookup", [], tmp_path)], engine="slurm://x"))


@pytest.fixture(scope="module")
def serial(films, tmp_path_factory):
    store = tmp_path_factory.mktemp("serial")
    assert all(done.record for done in jobs.run(several(films, store)))
    return plain(store)


def several(films, store):
    small = [asked("cnni-bcc", films, store, seed=seed, **SMALL) for seed in range(3)]
    return [asked("lookup", films, store, split="woman"), *small]


def same(store, serial):
    """Check that the runs are the same: what only counts is equal, and losses are, but for the rounding of sums that
    are split over another number of threads (which moves accuracies of a network that has hardly learnt)."""
    found = plain(store)
    assert set(found) == set(serial)
    for key, metrics in serial.items():
        compared = [name for name in metrics if name.endswith("loss")] or list(metrics)
        for name in compared:
            assert found[key][name]["value"] == pytest.approx(metrics[name]["value"], rel=1e-5, nan_ok=True), name


@pytest.mark.slow
def test_worker_processes_make_the_records_of_a_serial_run(films, serial, tmp_path):
    assert all(done.record for done in jobs.run(several(films, tmp_path), workers=2))
    same(tmp_path, serial)


@pytest.mark.slow
def test_a_dask_cluster_that_loses_a_worker_half_way_makes_every_record_once(films, serial, tmp_path):
    import distributed

    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        victim = next(iter(cluster.workers.values())).pid
        threading.Timer(6, os.kill, (victim, signal.SIGKILL)).start()
        ended = list(jobs.run(several(films, tmp_path), engine=cluster.scheduler_address.replace("tcp", "dask")))
    assert [done.error for done in ended] == [None] * 4 and len({str(done.job) for done in ended}) == 4
    same(tmp_path, serial)


@pytest.mark.slow
def test_ray_makes_the_records_of_a_serial_run(films, serial, tmp_path):
    pytest.importorskip("ray")
    assert all(done.record for done in jobs.run(several(films, tmp_path), workers=2, engine="ray://local"))
    same(tmp_path, serial)


def test_the_page_says_what_the_records_say():
    page, (wide, slow, narrow, woman) = "book/many-runs.md", WORKED_OUT
    asked, rate, slowly = record(wide).settings, value(wide, "images_per_second"), value(slow, "images_per_second")
    batches = f"{asked['updates']:,} batches of {asked['batch']}"
    images = asked["updates"] * asked["batch"]
    assert "H100" in record(wide).machine["gpu"] and record(slow).settings["width"] == asked["width"] == 1
    assert [record(stem).machine["cores"] for stem in (slow, narrow, woman)] == [2] * 3
    states(page, f"shows {batches} crops. One NVIDIA H100 trained it at {rate:,.0f}")
    states(page, f"so the rule says {images / rate:.0f} seconds; the record says {value(wide, 'seconds'):.0f}")
    states(page, f"Two cores of an Intel Xeon trained the same network at {slowly:.1f} images a second: by the rule, ")
    states(page, f"by the rule, {images / slowly / 3600:.0f} hours.")
    few = record(narrow).settings
    states(
        page, f"With an eighth of the filters, {few['updates']:,} batches of {few['batch']} took two cores of an AMD"
    )
    minutes = [f"{value(stem, 'seconds') / 60:.0f}" for stem in (narrow, woman)]
    states(page, f"EPYC {minutes[0]} minutes at random and {minutes[1]} by woman.")
    shown = dict.fromkeys("ABCDE", 0)
    for name, one in detection.EXPERIMENTS.items():
        shown[name[0]] += one.updates * one.batch
    words = {"A": "A", "B": "B", "C": "C, two batches", "D": "D, three batches", "E": "E, retraining"}
    for letter, images in shown.items():
        states(page, f"| {words[letter]} | {images:,} | {images / rate:.0f} |")
    seconds = sum(shown.values()) / rate
    states(page, f"| **together** | **{sum(shown.values()):,}** | **{seconds:.0f}** |")
    states(page, f"three seeds by two splits take {6 * seconds / 60:.0f} minutes of training, and every further seed")
    states(page, f"by both splits takes {2 * seconds / 60:.0f}.")
    states(page, f"{record(wide).history['epoch']['seconds'][0]:.0f} s for the first run")


@pytest.mark.slow
def test_a_plan_without_a_rate_measures_each_kind_of_network_once(films, tmp_path, monkeypatch):
    measured, measure = [], jobs.measure
    monkeypatch.setattr(jobs, "measure", lambda line, job: measured.append(job.name) or measure(line, job))
    several_kinds = [asked("cnni-bcc", films, tmp_path, seed=seed, **SMALL) for seed in range(2)]
    rows = jobs.plan([*several_kinds, asked("A", films, tmp_path, width=1 / 32, updates=4)])
    assert sorted(measured) == ["A", "cnni-bcc"] and all(row.seconds > 0 for row in rows)
    assert [row.end for row in rows] == sorted(row.end for row in rows)
