"""The command: errors in one line with the right exit status, and each command handing its options on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from mias_layout import write_folder

from mammolib import bench, book, cli, mias


def call(*words: str, capsys) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.main(list(words))
    shown = capsys.readouterr()
    return end.value.code, shown.out, shown.err


@pytest.fixture
def films(tmp_path) -> Path:
    (tmp_path / "films").mkdir()
    return write_folder(tmp_path / "films")


def test_help_lists_the_commands(capsys):
    status, out, _ = call("--help", capsys=capsys)
    assert status == 0 and "Not for clinical use" in out
    for command in ("bench", "book", "build", "data", "refresh", "run"):
        assert f"\n  {command} " in out


def test_version(capsys):
    assert call("--version", capsys=capsys)[:2] == (0, "mammolib, version 0.1.0\n")


def test_misuse_is_told_apart(capsys):
    status, _, err = call("run", "--jobs", "many", capsys=capsys)
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
def test_errors_are_one_line(monkeypatch, capsys, error, status, line):
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(book, "build", fail)
    found, _, err = call("build", capsys=capsys)
    assert (found, err.strip()) == (status, line)
    for words in (("--debug", "build"), ("build", "--debug")):
        assert "Traceback (most recent call last)" in call(*words, capsys=capsys)[2]


def test_run_hands_its_options_on(monkeypatch, capsys):
    asked = {}

    def run(chapters: tuple[str, ...], **options: object) -> list[book.Outcome]:
        asked.update(options, chapters=chapters)
        return [book.Outcome("01-a", "executed"), book.Outcome("02-b", "failed", error="cell 1")]

    monkeypatch.setattr(book, "run", run)
    monkeypatch.setattr(book, "build", lambda **_: pytest.fail("a book with a failed chapter is not rendered"))
    words = ("01", "02", "--profile", "paper", "--data", "x", "--seed", "3", "--jobs", "2", "--timeout", "9", "--force")
    for command in ("run", "book"):
        status, _, err = call(command, *words, capsys=capsys)
        assert status == 1 and err == "mammolib: 1 of 2 chapters failed: 02-b\n"
        asked.pop("say")
        assert callable(asked.pop("early", None)) == (command == "book")
        assert asked == {
            "chapters": ("01", "02"), "profile": "paper", "data": "x", "seed": 3, "jobs": 2, "timeout": 9, "force": True
        }  # fmt: skip


def test_book_runs_and_builds(monkeypatch, capsys):
    done = []
    monkeypatch.setattr(book, "run", lambda chapters, **options: done.append("run") or [])
    monkeypatch.setattr(book, "build", lambda **options: done.append("build"))
    assert call("book", capsys=capsys)[0] == 0 and done == ["run", "build"]


def test_refresh_names_the_files(monkeypatch, capsys):
    monkeypatch.setattr(book, "refresh", lambda chapters, **options: [Path("chapters/01-a.ipynb")])
    assert call("refresh", "01", capsys=capsys)[:2] == (0, "1 files changed\nchapters/01-a.ipynb\n")


def test_data_check_names_each_film(films, capsys):
    status, out, err = call("data", "check", str(films), capsys=capsys)
    assert status == 1 and "its files are not as mini-MIAS is distributed" in err
    assert "mdb009.pgm: missing" in out and "mdb001.pgm: damaged" in out
    assert call("data", "check", str(films / "no"), capsys=capsys)[0] == 1


def test_data_check_finds_the_films(films, capsys, monkeypatch):
    monkeypatch.setattr(mias, "check", lambda folder: [])
    monkeypatch.setenv(mias.VARIABLE, str(films))
    assert call("data", "check", capsys=capsys)[:2] == (0, f"{films}: all files are as mini-MIAS is distributed\n")


def test_data_check_knows_the_films_with_lesions(films, capsys, monkeypatch):
    monkeypatch.setitem(mias.DIGESTS, mias.digest(mias.load(films)), "eight films")
    out = f"{films}: eight films, as mini-MIAS is distributed\n"
    assert call("data", "check", str(films), capsys=capsys)[:2] == (0, out)


def test_data_pack_says_what_it_wrote(films, tmp_path, capsys):
    archive = tmp_path / "lesions.tar.bz2"
    status, out, _ = call("data", "pack", str(archive), "--data", str(films), capsys=capsys)
    assert status == 0 and out.startswith(f"{archive}: 6 films, ") and archive.is_file()


def test_data_fetch_shows_licence_and_citation(films, capsys, monkeypatch):
    asked = []
    monkeypatch.setattr(mias, "fetch", lambda source, to: asked.append((source, to)) or films)
    status, out, _ = call("data", "fetch", "--from", "all.tar.gz", "--to", str(films), capsys=capsys)
    assert status == 0 and asked == [(Path("all.tar.gz"), films)]
    assert "research only" in out and "Suckling" in out and "8 films, all verified" in out and "--data" in out


def test_bench_prints_a_table_with_the_machine(films, capsys, monkeypatch):
    asked = []

    def benchmarks(rooms) -> list:
        return [("data", bench.Benchmark("read", "6 s", lambda folder: asked.append((rooms, folder)) or "4.1 s"))]

    monkeypatch.setattr(bench, "benchmarks", benchmarks)
    monkeypatch.setenv(mias.VARIABLE, str(films))
    status, out, _ = call("bench", "data", capsys=capsys)
    assert status == 0 and asked == [(("data",), str(films))]
    assert "| data | read      | 6 s   | 4.1 s    |" in out and "cores" in out and "numpy" in out
    monkeypatch.setenv(mias.VARIABLE, str(films / "no"))
    assert "what needs them is skipped" in call("bench", capsys=capsys)[1] and asked[-1] == (bench.ROOMS, None)


def test_command_starts_without_what_it_does_not_need():
    code = "import sys, mammolib.cli; print(sorted({'keras', 'tensorflow', 'papermill', 'skimage'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert done.stdout.strip() == "[]", done.stderr
