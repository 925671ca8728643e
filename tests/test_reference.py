"""The page of what mammolib offers: every public name, each with a line of its own."""

import importlib
import inspect
import re

import pytest

from mammolib.book.reference import ROOMS, offered, reference_page


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_has_a_line_that_says_what_it_does(room):
    module, page = importlib.import_module(f"mammolib.{room}"), reference_page()
    _, calls = offered(room)
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
    things = {name: getattr(module, name) for name in getattr(module, "__all__", own) if not name.startswith("_")}
    things = {name: inspect.unwrap(thing) for name, thing in things.items()}  # a function may keep what it returned
    public = {name for name, thing in things.items() if inspect.isclass(thing) or inspect.isfunction(thing)}
    assert public == set(calls), "read from the source and imported, the names are the same"
    assert calls, f"mammolib.{room} offers nothing"
    for name, (call, line) in calls.items():
        assert line == inspect.getdoc(things[name]).splitlines()[0], f"{room}.{name}"
        assert line.endswith((".", ":")) and len(line) > 10, f"{room}.{name}: {line}"
        assert f"| {call} |" in page
        if inspect.isfunction(things[name]):
            needed = [p for p in inspect.signature(things[name]).parameters.values() if p.default is p.empty]
            said = re.findall(r"\w+(?=[,)=])", call.partition("(")[2])
            assert said == [p.name for p in needed if p.kind is not p.VAR_KEYWORD]
