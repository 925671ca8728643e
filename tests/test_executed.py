"""Notebooks that were executed elsewhere: what must not reach a page is refused, in one line with the file's name."""

import copy

import nbformat.v4 as v4
import pytest

from mammolib.book import notebooks, render

CODE = "print(1)"


@pytest.fixture
def elsewhere(project, tmp_path):
    """A function that stages a chapter with these outputs and metadata, as `build --executed` does."""
    cells = [v4.new_code_cell("seed = 0", metadata={"tags": ["parameters"]}), v4.new_code_cell(CODE)]
    root = project(c01_x=v4.new_notebook(cells=cells))
    chapter = notebooks.read(root / "chapters" / "01-x.ipynb")

    def take(outputs=(), metadata=None, extra=()):
        nb = copy.deepcopy(chapter)
        for cell in nb.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = list(outputs), 1
        nb.cells = [*extra, *nb.cells]
        nb.metadata.update(metadata or {})
        folder = tmp_path / "there"
        folder.mkdir(exist_ok=True)
        (folder / "01-x.ipynb").write_text(notebooks.text(nb))
        return render.take_executed(root, folder, tmp_path / "source")

    return take


def injected():
    return v4.new_code_cell("seed = 1", metadata={"tags": ["injected-parameters"]}, execution_count=1)


def shown(**data):
    return [v4.new_output("display_data", {k.replace("_", "/", 1): v for k, v in data.items()})]


def test_a_plain_one_is_taken(elsewhere):
    assert len(elsewhere(shown(text_plain="1"))) == 1


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"outputs": shown(text_html="<b onclick='x'><SCRIPT>alert(1)</SCRIPT>")}, "shows a script"),
        ({"outputs": shown(application_javascript="alert(1)")}, "shows a script"),
        ({"outputs": shown(text_plain="x" * 40_000_000)}, "its outputs take 40 MB|its outputs take 80 MB|MB"),
        ({"metadata": {"mammolib": None}}, "its note of the execution is none"),
        ({"metadata": {"mammolib": {"fingerprint": "x", "outputs": "0" * 64}}}, "changed after the execution"),
        ({"extra": [injected(), injected()]}, "more than one cell of injected parameters"),
    ],
)
def test_what_must_not_reach_a_page_is_refused(elsewhere, given, says):
    with pytest.raises(ValueError, match=says) as err:
        elsewhere(**given)
    assert "01-x.ipynb" in str(err.value) and "\n" not in str(err.value)


def test_a_file_nested_without_end_is_no_notebook(tmp_path):
    path = tmp_path / "deep.ipynb"
    path.write_text('{"cells": ' + "[" * 200_000 + "]" * 200_000 + "}")
    with pytest.raises(ValueError, match="deep.ipynb: not a whole notebook"):
        notebooks.read(path)
