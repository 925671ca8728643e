"""Nothing that may not be passed on is in git, or on a page that is published."""

import subprocess

import nbformat.v4 as v4
import pytest

from mammolib.book import problems
from mammolib.book.hygiene import on_real_films
from mammolib.book.notebooks import text


@pytest.fixture
def repository(tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "chapters").mkdir()
    (tmp_path / "_toc.yml").write_text("root: x\n")
    return tmp_path


def test_this_project_holds_nothing_that_may_not_be_passed_on():
    try:
        assert problems() == []
    except OSError:
        pytest.skip("not a clone of git")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("mdb001.pgm", b"P5"),
        ("all-mias.tar.gz", b"x"),
        ("lesions.tar.bz2", b"x"),
        ("data/Info.txt", b"x"),
        ("found.png", b"x"),
        ("out.ipynb", b"{}"),
        ("notes.md", "\n".join(f"mdb{n:03d} G CIRC B {n} {n} {n}" for n in range(1, 30)).encode()),
    ],
)
def test_films_rows_and_pictures_are_found(repository, name, content):
    (repository / "README.md").write_text("a row such as mdb001 G CIRC B 535 425 197 is an example")
    assert problems(repository) == []
    (repository / name).parent.mkdir(exist_ok=True)
    (repository / name).write_bytes(content)
    (line,) = problems(repository)
    assert line.startswith(f"{name}: ")


def test_outputs_and_pictures_in_a_chapter_are_found(repository):
    cell = v4.new_code_cell("1", outputs=[v4.new_output("display_data", {"image/png": "AAAA"})])
    path = repository / "chapters" / "01-x.ipynb"
    path.write_text(text(v4.new_notebook(cells=[cell])))
    assert "stores outputs that nbval does not compare" in problems(repository)[0]
    cell.metadata["tags"] = ["nbval-check-output"]
    path.write_text(text(v4.new_notebook(cells=[cell])))
    assert "stores a picture" in problems(repository)[0]


def test_chapters_on_real_films_are_known(tmp_path):
    (tmp_path / "chapters").mkdir()
    for name, data in (("01-a", "phantom"), ("02-b", "mini-MIAS")):
        nb = v4.new_notebook(metadata={"mammolib": {"data": data}})
        (tmp_path / "chapters" / f"{name}.ipynb").write_text(text(nb))
    assert on_real_films(tmp_path) == ["02-b"]
