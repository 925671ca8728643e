"""The headline's picture is drawn from the committed records, and says what they say."""

import re

import pytest
from conftest import ROOT

from mammolib import results
from mammolib.results.overview import headline_figure

RECORDS = results.load_all(results.recorded())
DRAWN = headline_figure(RECORDS)


def test_the_committed_picture_is_that_of_the_records():
    assert (ROOT / "book" / "_static" / "headline.svg").read_text(encoding="utf-8") == DRAWN, "run `mammolib refresh`"


def test_it_holds_the_numbers_where_the_axis_says():
    words = re.search(r'aria-label="([^"]*)"', DRAWN)[1].split("; ")
    values = [float(w) for w in re.findall(r": (\d\.\d{3})", "; ".join(words))]
    centres = [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', DRAWN)]
    assert len(values) == 6 and len(centres) == len(words) == 7 and re.search(r": \d+ of \d+$", words[-1])
    for value, x in zip(values, centres, strict=False):
        assert x == pytest.approx(16 + value * 368, abs=0.3)


def test_a_missing_record_is_named():
    with pytest.raises(ValueError, match="none of lookup, split 'woman'"):
        headline_figure([r for r in RECORDS if (r.name, r.split) != ("lookup", "woman")])
