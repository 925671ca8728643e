"""mammolib.book.kit: a folder that travels, the script in it, and the records that come back."""

import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from mias_layout import write_folder

from mammolib import mias, results
from mammolib.book import kit

REAL = {"name": "mini-MIAS", "digest": "7" * 64, "films": 115}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one commit, films beside it, and a pip that installs one file."""
    root, told = tmp_path / "project", kit._told
    (root / "mammolib").mkdir(parents=True)
    (root / "mammolib" / "cli.py").write_text(
        "import os, sys\nprint(os.environ['MAMMOLIB_COMMIT'], os.environ['KERAS_BACKEND'], *sys.argv[1:])\n"
        "import brought\nsys.exit(75 if 'long' in sys.argv else 0)\n"
    )
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a"]):
        subprocess.run(["git", "-C", str(root), *command], check=True)
    (tmp_path / "films").mkdir()
    write_folder(tmp_path / "films")

    def pip(*command: str) -> str:
        if "pip" not in command:
            return told(*command)
        assert "--no-deps" in command and "--python-version=3.12" in command
        site = Path(next(c for c in command if c.startswith("--target=")).removeprefix("--target="))
        site.mkdir()
        (site / "brought.py").touch()
        return ""

    monkeypatch.setattr(kit, "_told", pip)
    monkeypatch.setattr(results, "root", lambda: root)
    monkeypatch.setattr(results, "commit", lambda: "0123456789ab+dirty")
    monkeypatch.setattr(results, "run_store", lambda: root / "_build" / "runs")
    monkeypatch.setattr(results, "recorded", lambda: root / "book" / "results")
    return root


def test_what_is_packed_runs_where_nothing_else_is(project, tmp_path):
    made = tmp_path / "a kit"
    kit.pack(made, "all", tmp_path / "films")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a kit", "films", "project"], "nothing half-written is left"
    environment = {"PATH": os.environ["PATH"]}
    given, budget = f"--profile paper --data {made}/films", "--checkpoint 60 --budget 9"
    for arguments, said, status in (
        (["9"], f"experiment {given} {budget} A E-before E-after --splits image,woman --variant trains", 0),
        (["9", "B", "long"], f"experiment {given} {budget} B long", 75),
        (["chapters", "05"], f"run {given} 05", 0),
    ):
        command = ["bash", str(made / "run.sh"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == status, done.stderr
        assert done.stdout.strip() == f"0123456789ab jax {said}"
    assert (made / "project" / "_build" / "runs").resolve() == (made / "runs").resolve()
    assert mias.digest(mias.load(made / "films")) == mias.digest(mias.load(tmp_path / "films"))
    assert "usage" in subprocess.run(["bash", str(made / "run.sh")], capture_output=True, text=True).stderr


def test_what_cannot_be_packed_leaves_nothing(project, tmp_path):
    with pytest.raises(ValueError, match="films: 'some' is not one of lesions, all, none"):
        kit.pack(tmp_path / "kit", "some")
    with pytest.raises(FileExistsError, match="films: is there already"):
        kit.pack(tmp_path / "films")
    with pytest.raises((ValueError, OSError), match="nowhere"):
        kit.pack(tmp_path / "kit", data=tmp_path / "nowhere")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["films", "project"]
    kit.pack(tmp_path / "kit", "none")
    assert not list((tmp_path / "kit").glob("*.bz2"))
    with tarfile.open(tmp_path / "kit" / "project.tar.gz") as tar:
        assert "mammolib/cli.py" in tar.getnames()


def test_records_come_home_and_the_book_takes_those_on_real_films(project, tmp_path):
    came = tmp_path / "runs"
    real, phantom = (
        results.Record("A", {"width": 1.0}, {**REAL, "name": name}, 0) for name in ("mini-MIAS", "phantom")
    )
    cut = results.Record("B", {}, REAL, 0, outcome="stopped at update 3")
    for record in (real, phantom, cut):
        results.save(record, came / record.data["name"])
    for record in (real, cut):
        results.save(record, came)
    edited = results.Record("C-300x2", {}, REAL, 0)
    path = results.save(edited, came)
    path.write_text(path.read_text().replace('"finished"', '"diverged at update 2"'))
    weights = came / Path(real.file_name).stem / "weights"
    weights.mkdir(parents=True)
    (weights / "weights-00.npz").write_bytes(b"w")
    taken = dict(kit.collect(came))
    assert taken[real.file_name] == "" and taken[cut.file_name] == "stopped at update 3"
    assert taken[edited.file_name].startswith("refused: ")
    assert [p.name for p in results.recorded().iterdir()] == [real.file_name]
    store = results.run_store()
    assert (store / Path(real.file_name).stem / "weights" / "weights-00.npz").read_bytes() == b"w"
    assert sorted(p.name for p in store.glob("*.json")) == [real.file_name]
    assert dict(kit.collect(came))[real.file_name] == "the book has it already"
    assert dict(kit.collect(came / "phantom")) == {phantom.file_name: "its data are phantom"}
    with pytest.raises(FileNotFoundError, match="there is no record"):
        kit.collect(tmp_path / "films")
