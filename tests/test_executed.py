"""Notebooks that were executed elsewhere: what must not reach a page is refused, in one line with the file's name."""

import nbformat.v4 as v4
import pytest
from conftest import chapter

from mammolib.book import notebooks, render


@pytest.fixture
def take(project, tmp_path):
    """A function that stages a chapter that was executed elsewhere, as `build --executed` does."""
    root, there, source = project(c01_x=chapter("x = 1"), c02_y=chapter()), tmp_path / "there", tmp_path / "source"

    def stage(code="x = 1", outputs=(), metadata=None, extra=(), count=1, text=None):
        nb = chapter(code)
        for cell in nb.cells[1:]:
            cell.outputs, cell.execution_count = list(outputs), count
        nb.cells = [*extra, *nb.cells]
        nb.metadata.update(metadata or {})
        notebooks.write(there / "chapters" / "01-x.ipynb", text or notebooks.text(nb))
        taken = render.take_executed(root, there, source)
        assert taken == [source / "chapters" / "01-x.ipynb"] and taken[0].is_file()

    yield stage


def injected():
    return v4.new_code_cell("seed = 1", metadata={"tags": ["injected-parameters"]}, execution_count=1)


def shown(**data):
    return [v4.new_output("display_data", {k.replace("_", "/", 1): v for k, v in data.items()})]


def test_a_plain_one_is_taken(take):
    take(outputs=shown(text_plain="1"))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"outputs": shown(text_html="<b onclick='x'><SCRIPT>alert(1)</SCRIPT>")}, "shows a script"),
        ({"outputs": shown(application_javascript="alert(1)")}, "shows a script"),
        ({"outputs": shown(text_plain="x" * 40_000_000)}, "its outputs take 80 MB"),
        ({"metadata": {"mammolib": None}}, "its note of the execution is none"),
        ({"metadata": {"mammolib": {"fingerprint": "x", "outputs": "0" * 64}}}, "changed after the execution"),
        ({"extra": [injected(), injected()]}, "more than one cell of injected parameters"),
        ({"count": None}, r"not executed to its end: cell 2 \(profile = \"quick\"\) has not been executed"),
        ({"code": "x = 2"}, "executed from other code"),
        ({"text": '{"cells": ['}, "not a whole notebook"),
        ({"text": '{"cells": ' + "[" * 200_000 + "]" * 200_000 + "}"}, "not a whole notebook"),
    ],
)
def test_what_must_not_reach_a_page_is_refused(take, tmp_path, given, says):
    with pytest.raises(ValueError, match=f"01-x.ipynb: .*{says}") as err:
        take(**given)
    assert "\n" not in str(err.value) and not (tmp_path / "source").exists()


def test_a_folder_without_chapters_is_refused(project, tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no chapter of this book"):
        render.take_executed(project(c01_x=chapter()), tmp_path, tmp_path / "source")
