"""The command: errors in one line with the right exit status, and each command handing its options on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from mias_layout import write_folder

from mammolib import bench, book, cli, mias


@pytest.fixture
def call(capsys):
    """Return a function that runs the command: words -> exit status, standard output, standard error."""

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            cli.main(list(words))
        return end.value.code, *capsys.readouterr()

    return run


@pytest.fixture
def films(tmp_path) -> Path:
    (tmp_path / "films").mkdir()
    return write_folder(tmp_path / "films")


def test_help_lists_the_commands_and_misuse_is_told_apart(call):
    status, out, _ = call("--help")
    assert status == 0 and "Not for clinical use" in out
    for command in ("bench", "book", "build", "data", "refresh", "run"):
        assert f"\n  {command} " in out
    assert call("--version")[:2] == (0, "mammolib, version 0.1.0\n")
    status, _, err = call("run", "--jobs", "many")
    assert status == 2 and "'many' is not a valid integer" in err


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (ValueError("film mdb001: too\nshort"), 1, "mammolib: film mdb001: too short"),
        (FileNotFoundError("no such folder"), 1, "mammolib: no such folder"),
        (OSError(28, "No space left on device", "a/b"), 1, "mammolib: [Errno 28] No space left on device: 'a/b'"),
        (KeyboardInterrupt(), 130, "mammolib: stopped"),
        (KeyError("x"), 1, "mammolib: KeyError: 'x' (--debug shows where)"),
    ],
)
def test_errors_are_one_line(call, monkeypatch, error, status, line):
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(book, "build", fail)
    found, _, err = call("build")
    assert (found, err.strip()) == (status, line)
    for words in (("--debug", "build"), ("build", "--debug")):
        assert "Traceback (most recent call last)" in call(*words)[2]


def test_run_hands_its_options_on(call, monkeypatch):
    asked = {}

    def run(chapters: tuple[str, ...], **options: object) -> list[book.Outcome]:
        asked.update(options, chapters=chapters)
        return [book.Outcome("01-a", "executed"), book.Outcome("02-b", "failed", error="cell 1")]

    monkeypatch.setattr(book, "run", run)
    monkeypatch.setattr(book, "build", lambda **_: pytest.fail("a book with a failed chapter is not rendered"))
    words = ("01", "02", "--profile", "paper", "--data", "x", "--seed", "3", "--jobs", "2", "--timeout", "9", "--force")
    for command in ("run", "book"):
        status, _, err = call(command, *words)
        assert status == 1 and err == "mammolib: 1 of 2 chapters failed: 02-b\n"
        asked.pop("say")
        assert callable(asked.pop("early", None)) == (command == "book")
        assert asked == {
            "chapters": ("01", "02"), "profile": "paper", "data": "x", "seed": 3, "jobs": 2, "timeout": 9, "force": True
        }  # fmt: skip


def test_book_runs_and_builds(call, monkeypatch):
    done = []
    monkeypatch.setattr(book, "run", lambda chapters, **options: done.append("run") or [])
    monkeypatch.setattr(book, "build", lambda **options: done.append("build"))
    assert call("book")[0] == 0 and done == ["run", "build"]


def test_refresh_names_the_files(call, monkeypatch):
    monkeypatch.setattr(book, "refresh", lambda chapters, **options: [Path("chapters/01-a.ipynb")])
    assert call("refresh", "01")[:2] == (0, "1 files changed\nchapters/01-a.ipynb\n")


def test_data_check_names_each_film_that_is_missing_or_damaged(call, films, monkeypatch):
    status, out, err = call("data", "check", str(films))
    assert status == 1 and "its files are not as mini-MIAS is distributed" in err
    assert "mdb009.pgm: missing" in out and "mdb001.pgm: damaged" in out
    assert call("data", "check", str(films / "no"))[0] == 1
    monkeypatch.setitem(mias.DIGESTS, mias.digest(mias.load(films)), "eight films")  # a part that is known
    assert call("data", "check", str(films))[:2] == (0, f"{films}: eight films, as mini-MIAS is distributed\n")
    monkeypatch.setattr(mias, "check", lambda folder: [])
    monkeypatch.setenv(mias.VARIABLE, str(films))
    assert call("data", "check")[:2] == (0, f"{films}: all files are as mini-MIAS is distributed\n")


def test_data_pack_says_what_it_wrote(call, films, tmp_path):
    archive = tmp_path / "lesions.tar.bz2"
    status, out, _ = call("data", "pack", str(archive), "--data", str(films))
    assert status == 0 and out.startswith(f"{archive}: 6 films, ") and archive.is_file()


def test_data_fetch_shows_licence_and_citation(call, films, monkeypatch):
    asked = []
    monkeypatch.setattr(mias, "fetch", lambda source, to: asked.append((source, to)) or films)
    status, out, _ = call("data", "fetch", "--from", "all.tar.gz", "--to", str(films))
    assert status == 0 and asked == [(Path("all.tar.gz"), films)]
    assert "research only" in out and "Suckling" in out and "8 films, all verified" in out and "--data" in out


def test_bench_prints_a_table_with_the_machine(call, films, monkeypatch):
    asked = []

    def benchmarks(rooms) -> list:
        return [("data", bench.Benchmark("read", "6 s", lambda folder: asked.append((rooms, folder)) or "4.1 s"))]

    monkeypatch.setattr(bench, "benchmarks", benchmarks)
    monkeypatch.setenv(mias.VARIABLE, str(films))
    status, out, _ = call("bench", "data")
    assert status == 0 and asked == [(("data",), str(films))]
    assert "| data | read      | 6 s   | 4.1 s    |" in out and "cores" in out and "numpy" in out
    monkeypatch.setenv(mias.VARIABLE, str(films / "no"))
    assert "what needs them is skipped" in call("bench")[1] and asked[-1] == (bench.ROOMS, None)


def test_command_starts_without_what_it_does_not_need():
    code = "import sys, mammolib.cli; print(sorted({'keras', 'tensorflow', 'papermill', 'skimage'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert done.stdout.strip() == "[]", done.stderr
