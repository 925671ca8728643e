"""Pages for readers without scripts: formulas as MathML, everything open, well-formed."""

from xml.etree import ElementTree

import pytest

from mammolib.book.paper import tidy

pytest.importorskip("latex2mathml")


def test_a_page_is_well_formed_and_has_no_script_or_widget():
    page = tidy('<div><details><p>a<br>b</p></details><script>1</script><div data-widget="x">y</div></div>')
    tree = ElementTree.fromstring(page)
    assert tree.find("details").get("open") == "open"
    assert "script" not in page and "data-widget" not in page


def test_a_formula_becomes_mathml():
    tree = ElementTree.fromstring(tidy(r'<div><span class="math">\(x^2\)</span></div>'))
    assert tree.find(".//{http://www.w3.org/1998/Math/MathML}msup") is not None
