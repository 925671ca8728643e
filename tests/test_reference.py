"""The page of what mammolib offers: every public name, each with a line of its own."""

import importlib
import inspect

import pytest

from mammolib.book.reference import ROOMS, public, reference_page


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_has_a_line_that_says_what_it_does(room):
    module, page = importlib.import_module(f"mammolib.{room}"), reference_page().splitlines()
    _, names = public(room)
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
    things = {name: getattr(module, name) for name in getattr(module, "__all__", own) if not name.startswith("_")}
    things = {name: inspect.unwrap(thing) for name, thing in things.items()}  # a function may keep what it returned
    offered = {name for name, thing in things.items() if inspect.isclass(thing) or inspect.isfunction(thing)}
    assert offered == set(names), "read from the source and imported, the names are the same"
    assert names, f"mammolib.{room} offers nothing"
    for name in names:
        line = (getattr(module, name).__doc__ or "").splitlines()[:1]
        assert line and line[0].endswith((".", ":")) and len(line[0]) > 10, f"{room}.{name}: {line}"
        assert f"   {name}" in page
