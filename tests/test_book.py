"""The pipeline: what is executed, what is not executed again, what fails and how it says so, the traps of the tools."""

import errno
import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat.v4 as v4
import pytest
from conftest import chapter
from mias_layout import write_folder

from mammolib import book, mias, results
from mammolib.book import execute, notebooks, render, session
from mammolib.book.project import chapters, repository

START = "from mammolib import book\nrun = book.start(profile, seed, data)"
NOISE = "import os\nos.write(2, b'noise of native code')\nos.system('echo noise of a child >&2');"
WIDGET = "import ipywidgets\nipywidgets.interact(lambda x: print(x), x=(0, 3));"
PREFIX = "import os\nos.environ['MAMMOLIB_PREFIX']"
RECORD = "run.record('count', {'films': len(run.films)}).file_name"


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> Path:
    return write_folder(tmp_path_factory.mktemp("films"))


@pytest.fixture(scope="module")
def ran(project, films, tmp_path_factory):
    """Good and bad chapters, executed once, on a machine with a kernelspec that would run something else."""
    unknown = chapter("x = 1", parameters='profile = "quick"\nseed = 0')
    del unknown.metadata["kernelspec"]  # as an editor writes it that names no kernel
    root = project(
        c01_good=chapter(START, NOISE, WIDGET, RECORD, PREFIX, "import sys\nsys.prefix"),
        c02_bad=chapter("x = 1", "# a comment first\ny = 1 / 0\nx"),
        c03_slow=chapter("import time\ntime.sleep(60)"),
        c04_dead=chapter("import os\nos._exit(1)"),
        c05_unnamed=chapter("x = 1", parameters=None),
        c06_unknown=unknown,
    )  # fmt: skip
    stray = tmp_path_factory.mktemp("jupyter") / "kernels" / "python3"
    stray.mkdir(parents=True)
    (stray / "kernel.json").write_text(
        json.dumps({"argv": ["/bin/false", "{connection_file}"], "display_name": "stray", "language": "python"})
    )
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(stray.parent.parent))
        patch.delenv("PYTEST_CURRENT_TEST")  # ipykernel leaves the noise of native code alone where it sees this
        outcomes = book.run(root=root, data=films, seed=3, jobs=2, timeout=10, say=said.append)
    return root, {o.chapter: o for o in outcomes}, said


@pytest.mark.slow
def test_run_says_in_one_line_what_became_of_each_chapter(ran):
    _, outcomes, said = ran
    assert list(outcomes) == ["01-good", "02-bad", "03-slow", "04-dead", "05-unnamed", "06-unknown"]
    assert {o.status for o in list(outcomes.values())[1:]} == {"failed"}
    lines = {line.partition(":")[0]: line for line in said}
    assert lines["01-good"].startswith("01-good: executed in ")
    assert lines["02-bad"] == "02-bad: failed: cell 4 (y = 1 / 0): ZeroDivisionError: division by zero"
    assert lines["03-slow"] == "03-slow: failed: cell 3 (import time): took longer than 10 s"
    assert lines["04-dead"].startswith("04-dead: failed: cell 3 (import os): its kernel died")
    assert "one cell tagged 'parameters'" in lines["05-unnamed"]
    assert "profile, seed; it has no 'data'" in lines["06-unknown"]
    assert not any("\n" in line for line in said)


def test_only_whole_chapters_are_staged_and_leave_their_record(ran):
    root, _, _ = ran
    assert [p.name for p in (root / "_build" / "source" / "chapters").iterdir()] == ["01-good.ipynb"]
    assert [p.name.split(".")[0] for p in (root / "_build" / "executed").iterdir()] == ["01-good"]
    assert [p.name for p in (root / "_build" / "failed").iterdir()] == ["02-bad.ipynb"]
    (record,) = results.load_all(root / "_build" / "runs")
    assert record.metrics["films"]["value"] == 8 and record.data["films"] == 8 and record.seed == 3
    assert record.settings["profile"] == "quick" and record.machine["cores"]


def test_executed_chapter(ran, films):
    root, outcomes, _ = ran
    nb = notebooks.read(root / "_build" / "source" / "chapters" / "01-good.ipynb")
    assert notebooks.unfinished(nb) is None
    begun, noise, widget, _, prefix, python = (c.outputs for c in nb.cells if c["id"].startswith("cell-"))
    assert all(words in begun[0].text for words in ("8 films of 4 women", "profile quick, seed 3", "mammolib"))
    assert noise == [], "what native code and children write to standard error is no output"
    assert "noise of native code" in (root / "_build" / "logs" / "01-good.log").read_text()
    assert widget == [], "a page cannot move a widget"
    assert sys.prefix in prefix[0].data["text/plain"]
    assert sys.prefix in python[0].data["text/plain"], "a stray kernelspec chose another Python"
    assert nb.metadata.kernelspec == notebooks.METADATA["kernelspec"] and "papermill" not in nb.metadata
    assert nb.metadata.mammolib["seed"] == 3 and nb.metadata.mammolib["data"] == films.name
    (injected,) = notebooks.cells_with(nb, "injected-parameters")
    assert "seed = 3" in injected.source and "profile" not in injected.source, "only what is not the chapter's own"
    assert outcomes["01-good"].memory > 0.01


@pytest.mark.slow
def test_only_what_changed_is_executed_again(ran, films):
    root, _, _ = ran
    path = root / "chapters" / "01-good.ipynb"

    def again(**options) -> str:
        (outcome,) = book.run(["1"], root=root, data=films, say=lambda line: None, **({"seed": 3} | options))
        return outcome.status

    def change(cell: int, source: str) -> None:
        nb = notebooks.read(path)
        nb.cells[cell].source = source
        notebooks.write(path, notebooks.text(nb))

    assert again() == "unchanged"
    change(0, "# A better title")
    assert again() == "unchanged", "a corrected sentence needs no execution"
    staged = root / "_build" / "source" / "chapters" / "01-good.ipynb"
    assert notebooks.read(staged).cells[0].source == "# A better title"

    cached = next((root / "_build" / "executed").glob("01-good.*.ipynb"))
    cached.write_text(cached.read_text()[:-200])
    assert again() == "executed", "a damaged execution is not taken for whole"
    assert again(seed=4) == "executed"
    assert again() == "unchanged", "both are kept"
    assert again(force=True) == "executed"
    change(-1, "1 / 0")
    assert again() == "failed"
    assert not staged.exists(), "a failed chapter's earlier page is not shown as if it were its own"


def test_fingerprint_covers_what_a_chapter_depends_on(project, monkeypatch):
    root = project(c01_a=chapter("x = 1"))
    path, recorded = root / "chapters" / "01-a.ipynb", root / "book" / "results" / "A.json"
    environment = execute._environment()
    assert any(v.startswith("numpy==") for v in environment["versions"]) and len(environment["mammolib"]) == 64
    monkeypatch.setattr(execute, "_environment", lambda: {"versions": 1})
    recorded.parent.mkdir()
    seen = []

    def note(parameters=None, digest="d") -> None:
        seen.append(execute.fingerprint(root, "01-a", parameters or {"seed": 0}, digest))

    note()
    nb = notebooks.read(path)
    nb.cells[0].source = "# Other prose"
    notebooks.write(path, notebooks.text(nb))
    note()
    assert seen[0] == seen[1]
    note({"seed": 1})
    note(digest="e")
    for text in ("{}", "{ }"):
        recorded.write_text(text)
        note()
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    note()
    monkeypatch.setattr(execute, "_environment", lambda: {"versions": 2})
    note()
    nb.cells[-1].source = "x = 2"
    notebooks.write(path, notebooks.text(nb))
    note()
    assert len(set(seen)) == len(seen) - 1 == 8


def test_old_executions_are_removed(project, tmp_path):
    root = project(c01_a=chapter("x = 1"))
    folder = tmp_path / "executed"
    nb = notebooks.read(root / "chapters" / "01-a.ipynb")
    for n in range(execute.KEEP + 2):
        path = folder / f"01-a.{n:016d}.ipynb"
        notebooks.write(path, notebooks.text(nb))
        os.utime(path, (n, n))
    newest = folder / "01-a.0000000000000000.ipynb"
    execute._stage(execute.Outcome("01-a", "unchanged", newest), root, tmp_path / "source")
    assert len(list(folder.iterdir())) == execute.KEEP and newest.exists()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_stopped_run_leaves_no_kernel_and_no_file(project, films, end):
    root = project(
        c01_long=chapter("import os\nopen('pid', 'w').write(str(os.getpid()))\nimport time\ntime.sleep(100)")
    )
    command = [sys.executable, "-m", "mammolib.cli", "run", "--data", str(films)]
    listen = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # whoever started us may ignore it
    process = subprocess.Popen(
        command, cwd=root, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=listen
    )
    pid = root / "chapters" / "pid"
    wait_for(lambda: pid.exists() and pid.read_text())
    process.send_signal(end)
    error = process.communicate(timeout=240)[1]
    if end == signal.SIGINT:
        assert process.returncode == 130
        assert error.strip().splitlines()[-1] == "mammolib: stopped" and "Traceback" not in error
    wait_for(lambda: not is_running(int(pid.read_text())))
    wait_for(lambda: not list((root / "_build" / "executed").iterdir()))
    assert not (root / "_build" / "source" / "chapters").exists()


def wait_for(condition, seconds: float = 240) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize(
    ("arguments", "error", "what"),
    [
        ({"asked": ["07"]}, ValueError, "'07' is no chapter; there are 01-a, 02-b"),
        ({"jobs": 0}, ValueError, "jobs: must be 1 or more, got 0"),
        ({"profile": "huge"}, ValueError, "profile: 'huge'"),
        ({"data": "no/where"}, FileNotFoundError, "not 'phantom', 'mini-MIAS' or a folder that exists"),
        ({"seed": -1}, ValueError, "seed: .* got -1"),
    ],
)
def test_run_refuses_what_it_cannot_do(project, films, arguments, error, what):
    with pytest.raises(error, match=what):
        book.run(root=project(c01_a=chapter(), c02_b=chapter()), **({"data": films} | arguments))


def test_chapters_are_found_by_name_number_and_path(project):
    root = project(c01_a=chapter(), c02_b=chapter())
    (root / "chapters" / "03-draft.ipynb").write_text((root / "chapters" / "01-a.ipynb").read_text())
    assert chapters(root) == ["01-a", "02-b"]
    assert chapters(root, ["chapters/02-b.ipynb", "1"]) == ["01-a", "02-b"]
    assert chapters(root, ["03"]) == ["03-draft"], "a chapter not yet in the table of contents can be executed"
    (root / "_toc.yml").write_text("root: [")
    with pytest.raises(ValueError, match="not a table of contents"):
        chapters(root)


# --- in a chapter ---------------------------------------------------------------------------------------------------


@pytest.fixture
def inside(project, films, monkeypatch):
    root = project(c01_a=chapter())
    monkeypatch.chdir(root / "chapters")
    return root


def keep(root: Path, seed: int, settings: dict, split: str = "image", data: dict = results.NO_DATA, **more) -> None:
    """Commit a record of Experiment A."""
    results.save(results.Record("A", settings, data, seed, split, **more), root / "book" / "results")


@pytest.mark.parametrize(
    ("arguments", "error", "what"),
    [
        ({"profile": "huge"}, ValueError, "profile: 'huge'"),
        ({"seed": 1.5}, ValueError, "seed: .* got 1.5"),
        ({"seed": -1}, ValueError, "seed: .* got -1"),
        ({"seed": True}, ValueError, "seed: .* got True"),
        ({"data": ""}, ValueError, "data: ''"),
        ({"data": 7}, ValueError, "data: 7"),
        ({"data": "no/where"}, FileNotFoundError, "data: no/where"),
    ],
)
def test_start_names_the_argument(inside, arguments, error, what):
    with pytest.raises(error, match=what) as err:
        book.start(**arguments)
    assert "\n" not in str(err.value)


def test_start_refuses_a_kernel_of_another_environment(inside, films, monkeypatch):
    monkeypatch.setenv(session.PREFIX, "/somewhere/else")
    with pytest.raises(RuntimeError, match="kernelspec list"):
        book.start(data=films)


def test_start_knows_mini_mias_by_its_digest(inside, films, monkeypatch, capsys):
    assert book.start(data=str(films)).data_name == films.name
    monkeypatch.setitem(mias.DIGESTS, book.start(data=films).digest, "eight films")
    assert book.start(data=films).data_name == "mini-MIAS"
    assert "digest" in capsys.readouterr().out


def test_real_films_have_the_digest_they_are_known_by(real_films):
    parts = {mias.digest(real_films): "all 322 films"}
    parts[mias.digest([film for film in real_films if film.lesions])] = "the 115 films with lesions"
    assert parts == mias.DIGESTS


def test_run_finds_committed_records(inside, films):
    run = book.start(data=films)
    assert run.recorded("A") is None
    keep(inside, 1, {"width": 1.0})
    keep(inside, 0, {"width": 0.1, "reduced": True})
    keep(inside, 2, {"width": 1.0}, "woman")
    assert run.recorded("A").seed == 1, "the paper's size before a reduced one"
    assert run.recorded("A", split="woman").seed == 2
    assert run.recorded("A", width=0.1).seed == 0
    assert run.recorded("A", width=0.5) is None
    assert [r.seed for r in run.all_recorded("A", split="image")] == [0, 1]
    keep(inside, 5, {"width": 1.0}, data={"name": "phantom", "digest": "cd" * 32, "films": 8})
    keep(inside, 6, {"width": 1.0, "updates": 9, "batch": 9, "changed": {"epochs": 9}})
    assert [r.seed for r in run.all_recorded("A", split="image")] == [0, 1, 6], "a run on phantoms is none on films"
    assert run.recorded("A").seed == 1, "a longer run than the experiment's own is a control"


def test_settings_seen_in_three_seeds_speak_before_closer_ones_seen_in_fewer(inside, films):
    run = book.start(data=films)
    closer, further = {"start": "A-0123456789ab"}, {"optimizer": "adam", "divide_by": 64.0}
    for changed, seed in ((closer, 0), (closer, 1), (further, 0), (further, 1)):
        keep(inside, seed, {"changed": changed})
    assert run.recorded("A").settings["changed"] == closer, "neither has three seeds"
    keep(inside, 2, {"changed": further})
    assert run.recorded("A").settings["changed"] == further
    keep(inside, 2, {"changed": closer}, outcome="diverged at update 3")
    assert run.recorded("A").settings["changed"] == further, "a seed that diverged is none in which it trains"
    keep(inside, 3, {"changed": closer})
    assert run.recorded("A").settings["changed"] == closer


def test_the_paper_stands_beside_the_run_that_speaks_for_a_split(inside, films):
    run = book.start(data=films)
    real = {"name": "mini-MIAS", "digest": "ab" * 32, "films": 322}
    for updates, changed, value in ((9, {}, 0.3), (5, {"clip": 1.0}, 0.1)):
        settings = {"width": 1.0, "updates": updates, "batch": 2, "reduced": True, "changed": changed}
        keep(inside, 0, settings, data=real, metrics={"map": value})
    live = results.Record("A", {"width": 0.5, "reduced": True}, results.NO_DATA, 0, "image", {"map": 0.7})
    table = run.compare(live)
    assert list(table.loc["A-map"].ours) == ["0.300", "0.700"]


def test_only_runs_that_differ_in_their_seed_share_a_column(inside, films):
    run = book.start(data=films)
    changes = [(0, {"optimizer": "adam"}), (1, {"optimizer": "adam"}), (0, {"optimizer": "adam", "clip": 1.0}), (0, {})]
    for seed, changed in changes:
        keep(inside, seed, {"changed": changed}, metrics={"map": 0.2 + seed / 10})
    for updates in (5, 6):
        keep(inside, 0, {"changed": {}, "updates": updates}, "woman", metrics={"map": 0.4})
    table = run.recorded_table("A", ["map"])
    assert table.loc["mAP"].to_dict() == {
        "at random, Adam (2 seeds)": "0.250 (0.200 to 0.300 in 2 seeds)",
        "at random, Adam, gradient clipped to 1 (1 seed)": "0.200",
        "at random, nothing else (1 seed)": "0.200",
    } | {f"by woman, {r.hash} (1 seed)": "0.400" for r in run.all_recorded("A", split="woman")}


# --- the pages ------------------------------------------------------------------------------------------------------


def executed(nb):
    for count, cell in enumerate((c for c in nb.cells if c.cell_type == "code"), start=1):
        cell.execution_count = count
    return nb


def stage_executed(root: Path) -> Path:
    """Stage the chapters as they are, as if executed; returns the staged source."""
    for path in (root / "chapters").glob("*.ipynb"):
        text = notebooks.text(executed(notebooks.read(path)))
        notebooks.write(root / "_build" / "source" / "chapters" / path.name, text)
    return root / "_build" / "source"


@pytest.mark.slow
def test_warnings_are_errors_every_time_and_pages_follow_the_table_of_contents(project):
    """Left to itself, Sphinx passes the second time and keeps the old list of chapters: it reads only what is new."""
    root, said = project(c01_a=chapter("x = 1"), c02_b=chapter("x = 1")), []
    stage_executed(root)
    intro, toc = root / "book" / "intro.md", root / "_toc.yml"
    good = intro.read_text()

    def build_with_a_dead_link() -> None:
        intro.write_text(good + "\n[nowhere](no-such-page.md)\n")
        with pytest.raises(ValueError, match="not built: .*no-such-page") as err:
            book.build(root, say=said.append)
        assert "\n" not in str(err.value)
        intro.write_text(good)

    build_with_a_dead_link()
    build_with_a_dead_link()
    page = book.build(root, say=said.append)
    assert page.is_file() and said[-1] == f"open {page.as_uri()}"
    assert "chapters/02-b.html" in (page.parent / "book" / "intro.html").read_text()
    build_with_a_dead_link()
    assert page.is_file(), "the last good pages are still there"
    assert sorted(p.name for p in page.parent.parent.iterdir()) == ["html", "source"]
    toc.write_text(toc.read_text().replace("  - file: chapters/02-b\n", ""))
    book.build(root, say=said.append)
    assert "chapters/02-b.html" not in (page.parent / "book" / "intro.html").read_text()
    assert not (page.parent / "chapters" / "02-b.html").exists()


def test_output_on_standard_error_is_no_page(project):
    root = project(c01_a=chapter("x = 1"))
    source = stage_executed(root) / "chapters" / "01-a.ipynb"
    nb = notebooks.read(source)
    nb.cells[-1].outputs = [v4.new_output("stream", name="stderr", text="SomeWarning: look here")]
    notebooks.write(source, notebooks.text(nb))
    with pytest.raises(ValueError, match="stderr was found in the cell outputs"):
        book.build(root, say=lambda line: None)


def test_launch_buttons_come_with_the_repository(project):
    root = project(c01_a=chapter("x = 1"))
    config = root / "_config.yml"
    stage_executed(root)
    render.stage(root, root / "_build" / "source")
    assert repository(root) == ("", "main")
    assert (root / "_build" / "source" / "_config.yml").read_text() == config.read_text()
    config.write_text(config.read_text().replace('url: ""', "url: https://github.com/someone/somebook"))
    assert repository(root) == ("https://github.com/someone/somebook", "main")
    page = (book.build(root, say=lambda line: None).parent / "chapters" / "01-a.html").read_text()
    assert "https://mybinder.org/v2/gh/someone/somebook/main?urlpath=lab/tree/chapters/01-a.ipynb" in page
    assert "https://colab.research.google.com/github/someone/somebook/blob/main/chapters/01-a.ipynb" in page
    config.write_text(config.read_text().replace("https://github.com/someone", "http://example.org/"))
    with pytest.raises(ValueError, match="must begin with https://github.com/"):
        repository(root)


@pytest.mark.parametrize("version", ["2.1.0", None])
def test_another_jupyter_book_is_refused(monkeypatch, version):
    def found(name: str) -> str:
        if version is None:
            raise render.importlib.metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(render.importlib.metadata, "version", found)
    with pytest.raises(ValueError, match="Jupyter Book is 2.1.0" if version else "the pages need Jupyter Book"):
        render.check_version()


@pytest.mark.parametrize(
    ("code", "what"), [("pass", "the page index.html is missing"), ("raise SystemExit(1)", "not built")]
)
def test_pages_that_are_not_made_are_noticed_and_leave_nothing(project, monkeypatch, code, what):
    """A later Jupyter Book builds no site and exits 0. Where no first pages can be made, nothing stops."""
    root = project(c01_a=chapter("x = 1"))
    stage_executed(root)
    monkeypatch.setattr(render, "JUPYTER_BOOK", [sys.executable, "-c", code])
    with pytest.raises(ValueError, match=what):
        book.build(root)
    assert book.build_early(root, say=pytest.fail) is None
    assert [p.name for p in (root / "_build").iterdir()] == ["source"]


@pytest.mark.slow
def test_first_pages_show_what_is_done_and_announce_the_rest(project):
    root, said = project(c01_a=chapter("x = 1"), c02_b=chapter("y = 1")), []
    source = stage_executed(root)
    (source / "chapters" / "02-b.ipynb").unlink()
    page = book.build_early(root, say=said.append)
    assert page == root / "_build" / "html" / "index.html" and page.is_file()
    assert said == [f"the chapters that are done, and the text of the others: open {page.resolve().as_uri()}"]
    one, two = ((page.parent / f"chapters/{name}.html").read_text() for name in ("01-a", "02-b"))
    assert "This chapter is being executed" in two and "This chapter is being executed" not in one
    assert not (source / "chapters" / "02-b.ipynb").exists(), "what was not executed is not staged"
    assert book.build_early(root, say=said.append) is None and len(said) == 1, "pages that are there stay"


def test_build_names_the_chapters_that_were_not_executed(project):
    with pytest.raises(ValueError, match=r"not executed: 01-a, 02-b; first `mammolib run 01-a 02-b`"):
        book.build(project(c01_a=chapter(), c02_b=chapter()))


def test_stage_follows_the_project(project):
    root = project(c01_a=chapter("x = 1"))
    source, said = stage_executed(root), []
    (root / "book" / "page.md").write_text("# Page")
    render.stage(root, source, said.append)
    assert (source / "book" / "page.md").is_file() and said == []
    before = (source / "book" / "intro.md").stat().st_mtime_ns
    (root / "book" / "page.md").unlink()
    notebooks.write(root / "chapters" / "01-a.ipynb", notebooks.text(chapter("x = 2")))
    (source / "chapters" / "00-gone.ipynb").write_text("{}")
    render.stage(root, source, said.append)
    assert not (source / "book" / "page.md").exists() and not (source / "chapters" / "00-gone.ipynb").exists()
    assert (source / "book" / "intro.md").stat().st_mtime_ns == before, "what has not changed keeps its date"
    assert said == ["01-a: its code has changed since; `mammolib run 01-a` executes it again"]


# --- notebooks as files ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_refresh_stores_only_what_nbval_compares(project, monkeypatch):
    compared = v4.new_code_cell("6 * 7", id="compared", metadata={"tags": ["nbval-check-output"]})
    loose = v4.new_code_cell("'loose'", id="loose", execution_count=9)
    loose.outputs = [v4.new_output("stream", text="left over")]
    nb = chapter(compared, loose)
    nb.metadata["language_info"] = {"name": "python", "version": "3.9.1"}
    root = project(c01_a=nb, c02_bad=chapter("1 / 0"))
    monkeypatch.setattr(execute, "open_data", lambda *_: ([], "digest", "phantom"))
    path = root / "chapters" / "01-a.ipynb"

    assert book.refresh(["01"], root=root, say=lambda line: None) == [path]
    nb = notebooks.read(path)
    assert [c["id"] for c in nb.cells] == ["title", "parameters", "compared", "loose"]
    assert nb.cells[2].outputs[0].data["text/plain"] == "42"
    assert nb.cells[2].execution_count == 2, "nbval compares nothing in a cell without a count"
    assert nb.cells[3].outputs == [] and nb.cells[3].execution_count is None
    assert nb.metadata == notebooks.METADATA
    assert path.read_text().startswith('{\n "cells": [\n') and path.read_text().endswith("}\n")
    assert book.refresh(["01"], root=root, say=lambda line: None) == [], "the same again changes nothing"

    config = root / "_config.yml"
    config.write_text(config.read_text().replace('url: ""', "url: https://github.com/someone/somebook"))
    book.refresh(["01"], root=root, say=lambda line: None)
    install = notebooks.read(path).cells[0]
    assert "google.colab" in install.source and "--branch main https://github.com/someone/somebook" in install.source
    assert install.metadata["tags"] == ["install", "remove-cell"]
    with pytest.raises(ValueError, match="not refreshed, because a cell failed: 02-bad"):
        book.refresh(["02"], root=root, say=lambda line: None)


def test_merge_takes_prose_from_the_chapter_and_outputs_from_the_execution():
    ran = executed(chapter("x = 1", "x"))
    ran.cells[3].outputs = [v4.new_output("execute_result", {"text/plain": "1"}, execution_count=3)]
    ran.cells.insert(2, v4.new_code_cell("seed = 3", id="i", metadata={"tags": ["injected-parameters"]}))
    now = chapter("x = 1", v4.new_markdown_cell("New.", id="new"), "x")
    merged = notebooks.merge(now, ran)
    assert [c.source for c in merged.cells][1:] == [now.cells[1].source, "seed = 3", "x = 1", "New.", "x"]
    assert merged.cells[-1].outputs[0].data["text/plain"] == "1" and merged.cells[-1].execution_count == 3
    assert notebooks.merge(chapter("x = 2", "x"), ran) is None
    assert now.cells[-1].outputs == [], "what went in is left as it was"


def test_unfinished_goes_by_the_cells():
    nb = executed(chapter("x = 1", "y = 2"))
    assert notebooks.unfinished(nb) is None
    nb.cells[-1].execution_count = None
    assert notebooks.unfinished(nb) == "cell 4 (y = 2) has not been executed"
    nb.cells[-2].outputs = [v4.new_output("error", ename="ValueError", evalue="", traceback=[])]
    assert notebooks.unfinished(nb) == "cell 3 (x = 1) failed with ValueError"


def test_full_disk_leaves_nothing(tmp_path, monkeypatch):
    path = tmp_path / "a.ipynb"
    path.write_text("before")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device.*a.ipynb"):
        notebooks.write(path, "after")
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


def test_what_no_page_loads_goes_and_the_rest_stays(tmp_path):
    kept = {"_static/mathjax/tex-chtml.js", "_static/mathjax/sre/mathmaps/en.json", "_static/theme.js", "index.html"}
    gone = {"_static/mathjax/tex-svg.js", "_static/mathjax/sre/mathmaps/fr.json", "_static/theme.js.map"}
    gone |= {"_static/mathjax/input/mml/entities.js", "_static/locales/fr/LC_MESSAGES/words.mo"}
    for name in kept | gone:
        notebooks.write(tmp_path / name, "")
    render.lighten(tmp_path)
    assert {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()} == kept
