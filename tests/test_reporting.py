"""The page of checklists and model cards: complete, with links that lead somewhere and numbers of records."""

import re

import pytest
from sentences import ROOT, value
from series import VGG16_WOMAN, WIDE_WOMAN

from mammolib import results
from mammolib.book import reporting

MADE = {"results.md", "runs.md", "reference.md"}
"""Pages that are written when the book is made."""


@pytest.fixture(scope="module")
def page():
    return reporting.reporting_page(results.load_all(ROOT / "book" / "results"))


def test_the_lists_are_whole():
    reforms, code = reporting.checklists()
    groups = [[number for number, *_ in group["rows"]] for group in reforms["group"]]
    sizes = (3, 5, 7, 3, 6, 3, 3, 2)
    assert groups == [[f"{i}{letter}" for letter in "abcdefg"[:n]] for i, n in enumerate(sizes, start=1)]
    assert sum(sizes) == 32 and [number for number, *_ in code["group"][0]["rows"]] == list("12345")


def test_every_link_leads_to_a_page(page):
    links = re.findall(r"\]\(([^)]+)\)", page)
    assert len(links) > 37
    for link in links:
        inside = not link.startswith("https://")
        assert not inside or link in MADE or (ROOT / "book" / link).is_file(), link


def test_an_answer_without_a_link_is_refused(tmp_path, monkeypatch):
    text = reporting.LISTS.read_text("utf-8").replace("[dataset card](dataset-card.md)", "the card")
    (tmp_path / "lists.toml").write_text(text)
    monkeypatch.setattr(reporting, "LISTS", tmp_path / "lists.toml")
    with pytest.raises(ValueError, match="REFORMS 1a: 'yes'"):
        reporting.checklists()


def test_cards_show_what_the_records_hold_and_what_they_are_not_for(page):
    cards = page.split("## Model cards")[1].split("\n### ")[1:]
    assert len(cards) == len(reporting.CARDS)
    for card in cards:
        assert "Never to read a mammogram of a patient" in card and "by woman" in card
    assert f"{value(WIDE_WOMAN, 'map'):.3f}" in cards[0]
    assert f"{value(VGG16_WOMAN[0], 'test_accuracy_D'):.3f}" in cards[2] and "SPIC" in cards[2]
    assert "No run on real films is recorded yet." in reporting.reporting_page([])
