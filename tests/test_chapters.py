"""The notebooks as the house wants them: their order, tags, short cells, named figures, no output left over."""

import ast
import re
import statistics
from typing import Any

import pytest
from conftest import PARAMETERS, ROOT

from mammolib.book import notebooks
from mammolib.book.project import chapters, repository
from mammolib.book.sources import install_cell

FILES = sorted((ROOT / "chapters").glob("*.ipynb"))
BEFORE = ["What you will learn", "What you need first", "What the paper claims", "Guess first"]
AFTER = ["The paper beside ours", "What could fool us", "Exercises", "Quiz", "Recap", "References"]
BETWEEN = ["By hand", "The run"]
TAGS = {"parameters", "setup", "install", "nbval-check-output", "hide-input", "hide-output", "hide-cell",
        "remove-cell", "remove-input", "remove-output"}  # fmt: skip


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def nb(request: pytest.FixtureRequest) -> Any:
    found = notebooks.read(request.param)
    found.path = request.param
    return found


def code(nb: Any) -> list[Any]:
    return [c for c in nb.cells if c.cell_type == "code"]


def prose(nb: Any) -> str:
    """The Markdown cells, without listings; what stands in a directive is kept."""
    kept, listing, fence = [], "", ""
    for line in "\n\n".join(c.source for c in nb.cells if c.cell_type == "markdown").splitlines():
        marks = re.match(r"`{3,}", line)
        if listing:
            listing = "" if line.strip() == listing else listing
        elif marks and not fence and not line[marks.end() :].startswith("{"):
            listing = marks.group()
        else:
            fence = ("" if line.strip() == fence else fence or marks.group()) if marks else fence
            kept.append(line)
    return "\n".join(kept)


def where(nb: Any, cell: Any) -> str:
    return f"{nb.path.name}, cell {nb.cells.index(cell) + 1} ({notebooks.first_line(cell.source)})"


def tags(cell: Any) -> set[str]:
    return set(cell.metadata.get("tags", []))


def test_chapters_and_table_of_contents_agree():
    assert chapters(ROOT) == [path.stem for path in FILES]


def test_headings_come_in_the_template_order(nb):
    lines = prose(nb).splitlines()
    assert [line for line in lines if line.startswith("# ")] == [next(x for x in lines if x.strip())], "one H1, first"
    headings = [line[3:].strip() for line in lines if line.startswith("## ")]
    assert headings[: len(BEFORE)] == BEFORE and headings[-len(AFTER) :] == AFTER
    assert [h for h in headings if h in BETWEEN] == BETWEEN and len(set(headings)) == len(headings)


def test_first_code_cells(nb):
    wanted = [c.source for c in install_cell(*repository(ROOT))]
    assert [c.source for c in notebooks.cells_with(nb, "install")] == wanted, "`mammolib refresh` puts it right"
    parameters, setup = code(nb)[len(wanted) : len(wanted) + 2]
    assert tags(parameters) == {"parameters", "remove-cell"} and parameters.source == PARAMETERS
    assert tags(setup) == {"hide-cell", "setup"}
    assert re.search(r"^run = book\.start\(profile, seed, data\)$", setup.source, re.M)


def test_a_figure_of_what_was_found_comes_before_all_else(nb):
    """Title and answer, the hidden set-up, one sentence, the figure that shows it."""
    at = next(i for i, c in enumerate(nb.cells) if "figure" in c.metadata.get("mystnb", {}))
    before = [c for c in nb.cells[:at] if c.cell_type == "markdown"]
    assert len(before) == 2 and not before[1].source.startswith("#")
    assert all({"remove-cell", "hide-cell"} & tags(c) for c in nb.cells[:at] if c.cell_type == "code")
    assert nb.cells[at].metadata.mystnb.figure.name in before[1].source


def test_cells_are_short_and_hold_no_logic(nb):
    """What would be used twice lives in mammolib, where it has a test: no function and no class is made here."""
    lengths = {c["id"]: len(c.source.splitlines()) for c in code(nb)}
    assert max(lengths.values()) <= 20, max(lengths, key=lengths.get)
    assert statistics.median(lengths.values()) <= 5
    for cell in code(nb):
        if "install" in tags(cell):
            continue
        assert not re.search(r"^\s*[%!]|filterwarnings|simplefilter", cell.source, re.M), where(nb, cell)
        made = [n.name for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.FunctionDef | ast.ClassDef)]
        used = [name for name in made if sum(len(re.findall(rf"\b{name}\b", c.source)) for c in code(nb)) > 2]
        assert not used, f"{where(nb, cell)}: {used}"


def test_only_compared_cells_have_outputs_and_those_name_no_machine(nb):
    compared = notebooks.cells_with(nb, notebooks.COMPARED)
    assert compared, "nothing is compared"
    for cell in code(nb):
        if cell not in compared:
            assert cell.outputs == [] and cell.execution_count is None, where(nb, cell)
    for cell in compared:
        assert cell.outputs, f"{where(nb, cell)}: `mammolib refresh` fills it"
        assert cell.execution_count is not None, f"{where(nb, cell)}: nbval compares nothing without a count"
        kinds = {o.get("name", o.output_type) for o in cell.outputs}
        assert kinds <= {"stdout", "execute_result", "display_data"}, f"{where(nb, cell)}: {kinds}"
        assert not any("image/png" in o.get("data", {}) for o in cell.outputs), where(nb, cell)
        machine = r"(?<![\w.:/])/(?:[\w.-]+/)+|0x[0-9a-f]{6,}|\b20\d\d-\d\d-\d\d"
        assert not re.search(machine, str(cell.outputs)), where(nb, cell)


def test_files_are_the_same_on_every_machine(nb):
    assert nb.metadata == notebooks.METADATA
    assert len({c["id"] for c in nb.cells}) == len(nb.cells)
    for cell in nb.cells:
        assert set(cell.metadata) <= {"tags", "mystnb"} and tags(cell) <= TAGS, where(nb, cell)
    assert nb.path.read_text(encoding="utf-8").startswith('{\n "cells": ['), "one space of indent"


def test_figures_have_number_caption_and_words(nb):
    named = {}
    for cell in code(nb):
        about = {k: v for k, v in cell.metadata.get("mystnb", {}).items() if not k.startswith("code_prompt")}
        if about:
            figure, image = about.get("figure", {}), about.get("image", {})
            assert figure.get("name", "").startswith(f"fig-{nb.path.stem[:2]}-"), where(nb, cell)
            assert len(figure.get("caption", "")) > 20, f"{where(nb, cell)}: no caption"
            assert len(image.get("alt", "")) > 20, f"{where(nb, cell)}: no words for who cannot see it"
            assert image["alt"] != figure["caption"], f"{where(nb, cell)}: the words repeat the caption"
            named[figure["name"]] = cell
        last = ast.parse(cell.source).body[-1] if cell.source.strip() and "install" not in cell["id"] else None
        if isinstance(last, ast.Expr) and ast.unparse(last).startswith("plots."):
            assert about, f"{where(nb, cell)}: a figure without number and caption"
    for name in named:
        assert f"{{numref}}`{name}`" in prose(nb) or f"<{name}>`" in prose(nb), f"the text never mentions {name}"


def test_formulas_and_labels(nb):
    doubled = re.findall(r".*(?<!\\)\\\\[A-Za-z].*", prose(nb))
    assert not doubled, "a formula written through a string that was escaped twice"
    for label in re.findall(r"^:label: (\S+)", prose(nb), re.M):
        assert re.match(rf"(eq|ex|tab|fig)-{nb.path.stem[:2]}-", label), label


def test_exercises_have_level_hint_and_solution_that_fold(nb):
    exercise = r"^```\{exercise\}[^\n]*\n:label: (\S+)\n"
    level, hint = r"\*Level\*: (?:\\\*){1,3}\n```\n\n", r"```\{admonition\} Hint\n:class: dropdown\n[^\n]+\n```\n\n"
    solution = r"```\{solution-start\} \1\n:class: dropdown"
    whole = re.findall(rf"{exercise}(?:(?!```).)*?{level}{hint}{solution}", prose(nb), re.M | re.S)
    assert len(whole) == 3 and whole == re.findall(r"^`{3,}\{exercise\}[^\n]*\n:label: (\S+)", prose(nb), re.M)
    assert len(re.findall(r"^`{3,}\{solution-(?:start|end)\}", prose(nb), re.M)) == 6


def test_quiz_questions_have_four_options_and_a_reason_for_each(nb):
    quiz = prose(nb).partition("## Quiz")[2].partition("\n## ")[0]
    _, *questions = re.split(r"^\*\*\d\.\*\* ", quiz, flags=re.M)
    assert 4 <= len(questions) <= 5
    right = []
    for question in questions:
        asked, _, answer = question.partition("```{admonition} Answer\n:class: dropdown\n")
        assert re.findall(r"^- \*\*(\w)\.\*\* \S", asked, re.M) == list("ABCD"), asked
        letters = re.findall(r"^(?:- )?\*\*(\w)\.\*\* \S", answer, re.M)
        assert sorted(letters) == list("ABCD"), f"{asked}: a reason for each option, the right one first"
        assert re.match(rf"\*\*{letters[0]}\.\*\* ", answer), asked
        right.append(letters[0])
    assert len(set(right)) > 2, f"{right}: the right letter varies"


def test_no_page_names_a_path_of_a_machine():
    for path in [*FILES, *(ROOT / "book").rglob("*.md")]:
        assert not re.search(r"(?<![\w.])/(root|work|tmp|home)/", path.read_text(encoding="utf-8")), path.name


def test_terms_of_the_glossary_are_linked_where_they_first_occur(nb):
    """Each chapter links some, each term is one of the glossary, and no chapter links one twice."""
    glossary = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8").partition("{glossary}")[2]
    terms = {line for line in glossary.splitlines() if line and not line.startswith((" ", "`"))}
    text = "\n".join(c.source for c in nb.cells if c.cell_type == "markdown")
    linked = [shown or term for term, shown in re.findall(r"\{term\}`([^`<]+?)(?: <([^>]+)>)?`", text)]
    assert linked and len(set(linked)) == len(linked) and set(linked) <= terms
