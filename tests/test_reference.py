"""The page of what mammolib offers: every public name, each with a line of its own."""

import importlib

import pytest

from mammolib.book.reference import ROOMS, public, reference_page


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_has_a_line_that_says_what_it_does(room):
    module, page = importlib.import_module(f"mammolib.{room}"), reference_page().splitlines()
    assert public(room), f"mammolib.{room} offers nothing"
    for name in public(room):
        line = (getattr(module, name).__doc__ or "").splitlines()[:1]
        assert line and line[0].endswith((".", ":")) and len(line[0]) > 10, f"{room}.{name}: {line}"
        assert f"   {name}" in page
