"""The page for teachers agrees with the chapters and with the file that says how to cite."""

import re

import pytest
import yaml
from conftest import ROOT
from sentences import page

from mammolib.book.project import chapters

TEXT = (ROOT / "book" / "teaching.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def minutes() -> dict[int, tuple[int, int]]:
    """What each chapter's opening says it takes: to read, and with exercises and quiz."""
    said = [page(f"chapters/{name}.ipynb") for name in chapters(ROOT)]
    times = r"\*Reading time\*: (\d+) minutes, (\d+) with exercises and quiz\."
    return {number: tuple(map(int, *re.findall(times, text))) for number, text in enumerate(said, start=1)}


def test_times_are_those_of_the_chapters(minutes):
    rows = re.findall(r"^\| \[(\d+) [^\]]+\]\(\S+/(\d+)-\S+\) \| (\d+) \| (\d+) \|$", TEXT, re.M)
    assert all(int(number) == int(file) for number, file, *_ in rows)
    assert {int(number): (int(read), int(whole)) for number, _, read, whole in rows} == minutes


def test_the_weeks_of_the_course_add_up_and_leave_no_chapter_out(minutes):
    course = TEXT.partition("### A course of six weeks")[2].partition("\n## ")[0]
    seen = []
    for which, *times in re.findall(r"^\| \d \| ([^|]+) \| (\d+) \| (\d+) \|$", course, re.M):
        numbers = [int(n) for n in re.findall(r"\d+", which)]
        assert [int(t) for t in times] == [sum(t) for t in zip(*(minutes[n] for n in numbers), strict=True)], which
        seen += numbers
    assert sorted(seen) == sorted(minutes)


@pytest.mark.parametrize(("path", "whole"), [("One hour", 60), ("Half a day on evaluation", 240)])
def test_the_short_paths_fit_into_their_time(path, whole):
    section = TEXT.partition(f"### {path}")[2].partition("\n##")[0]
    assert sum(map(int, re.findall(r"^\| (\d+) \|", section, re.M))) == whole


def test_links_lead_to_sections_that_exist():
    links = re.findall(r"\]\(\.\./(chapters/[\w-]+\.ipynb)#([\w-]+)\)", TEXT)
    assert links
    for name, place in links:
        cells = (ROOT / name).read_text(encoding="utf-8")
        headings = re.findall(r'"#{2,3} (.+?)(?:\\n)?"', cells)
        assert place in [re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings], f"{name}: {place}"


def test_every_chapter_has_wrong_guesses_and_every_part_two_projects(minutes):
    guesses = TEXT.partition("## Typical wrong guesses")[2].partition("\n## ")[0]
    assert re.findall(r"^\*\*(\d+) .+?\.\*\* \*\"", guesses, re.M) == [str(n) for n in minutes]
    projects = TEXT.partition("## Open projects")[2].partition("\n## ")[0]
    assert re.findall(r"^(\d)\. \*\*", projects, re.M) == ["1", "2"] * 6


def test_bibtex_agrees_with_the_citation_file():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    entry = dict(re.findall(r"^  (\w+) += \{+([^}]+)\}+,?$", TEXT, re.M))
    assert entry["author"] == cited["authors"][0]["name"]
    assert all(entry[k] == cited[k] for k in ("title", "version", "license"))
