"""Experiment A killed at any moment and continued: the same record, times aside, with all that was seen on the way."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mammolib import results

SCRIPT = """
import os, signal, sys, threading
from test_experiments_detection import DATA, FEW, FILMS
from mammolib import training
from mammolib.experiments import running, evaluate_detector

where, when, store = sys.argv[1], float(sys.argv[2]), sys.argv[3]
calls = []

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def counted(function):
    def call(*args, **options):
        calls.append(function)
        if len(calls) == when:
            die()
        return function(*args, **options)
    return call

def timed(function):
    def call(*args, **options):
        timer = threading.Timer(when, die)
        timer.daemon = True
        timer.start()
        return function(*args, **options)
    return call

if where == "look":
    evaluate_detector.match = counted(evaluate_detector.match)
if where == "time":
    training.train = timed(training.train)
often = training.Execution(progress=False, checkpoint_every=7, checkpoint_unit="update")
running.run_detector("A", FILMS, split="woman", store=store, width=1 / 32, updates=30,
              changes=FEW | {"watch": [30, 80]}, data=DATA, execution=often)
"""


def _run(store: Path, where: str = "never", when: float = 0) -> int:
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, "-c", SCRIPT, where, str(when), str(store)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def _plain(store: Path) -> dict:
    """Return what a store's only record says, without what no two runs share: times, and the machine's date."""
    (record,) = results.load_all(store)
    metrics = {k: v for k, v in record.metrics.items() if "second" not in k}
    epoch = {k: v for k, v in record.history["epoch"].items() if k != "seconds"}
    same = {k: getattr(record, k) for k in ("hash", "outcome", "outputs")}
    return same | {"metrics": metrics, "epoch": epoch, "update": record.history["update"]}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict:
    store = tmp_path_factory.mktemp("whole")
    assert _run(store) == 0
    return _plain(store)


@pytest.mark.slow
def test_a_run_killed_while_it_looks_at_the_test_set_loses_nothing(whole, tmp_path):
    """Killed at the first look, then at the second, then while the trained network is tested."""
    assert {"map@epoch30", "map@epoch80", "classes_undetected@epoch80"} <= set(whole["metrics"])
    for look in (1, 2, 3):
        assert _run(tmp_path, "look", min(look, 2)) == -signal.SIGKILL
    assert _run(tmp_path) == 0
    assert _plain(tmp_path) == whole
    assert not list(tmp_path.rglob("checkpoint.npz")) and not list(tmp_path.rglob("*.json.*"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_a_run_killed_at_random_moments_loses_nothing(whole, tmp_path, seed):
    """Five runs, four moments each: twenty in all."""
    rng = np.random.default_rng([20191, seed])
    killed = sum(_run(tmp_path, "time", round(when, 2)) != 0 for when in rng.uniform(0.5, 6, 4))
    assert killed or _run(tmp_path) == 0
    assert _run(tmp_path) == 0
    assert _plain(tmp_path) == whole
