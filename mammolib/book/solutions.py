"""Gathers the solutions of exercises and the answers of quizzes on a page of their own, for readers of paper."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import PurePosixPath
from posixpath import dirname, join, normpath, relpath
from typing import Any
from urllib.parse import urlparse
from xml.dom import minidom

PAGE = "chapters/solutions.xhtml"
"""Where they come to stand: in the folder of the chapters, so that the addresses of pictures stay right."""
SOURCE = """# Solutions

The solutions of the exercises and the answers of the quizzes, chapter by chapter.
"""
"""The page as Sphinx is given it."""


def gather(trees: dict[str, minidom.Document], order: list[str]) -> None:
    """Move solutions and answers to the page kept for them; each place and its solution link to one another.

    Args:
        trees: pages by name; changed in place.
        order: the names of pages in the order of reading.
    """
    for name, tree in trees.items():
        readdress(tree, partial(absolute, name))
    moved: dict[str, str] = {}
    for name in order:
        if dirname(name) == dirname(PAGE) and name != PAGE:
            moved |= _move(name, trees[name], trees[PAGE])
    for name, tree in trees.items():
        readdress(tree, partial(_relative_to, name, moved))


def _relative_to(name: str, moved: dict[str, str], address: str) -> str:
    return relative(name, moved.get(address, address))


def _move(name: str, tree: minidom.Document, page: minidom.Document) -> dict[str, str]:
    """Move the solutions of one chapter to the end of their page; returns new addresses by old ones."""
    found = [d for d in tree.getElementsByTagName("div") if _is_solution(d)]
    if not found:
        return {}
    chapter, place = PurePosixPath(name).stem, page.getElementsByTagName("section")[0]
    heading = place.appendChild(page.createElement("h2"))
    heading.appendChild(_link(page, name, words(tree.getElementsByTagName("h1")[0])))
    moved, answers = {}, 0
    for solution in found:
        label, own = "Solution", solution.getAttribute("id").rpartition("/")[2]  # without the folder of its page
        if "solution" not in classes(solution):
            answers += 1
            label, own = "Answer", f"{chapter}-answer-{answers}"
            title = solution.getElementsByTagName("p")[0]
            assert title.firstChild is not None
            replace(title.firstChild, _link(page, f"{name}#to-{own}", f"Answer to question {answers}"))
        for node in elements(solution):
            if node.hasAttribute("id"):
                old = node.getAttribute("id")
                node.setAttribute("id", own if node is solution else f"{chapter}-{old}")
                moved[f"{name}#{old}"] = f"{PAGE}#{node.getAttribute('id')}"
        solution.setAttribute("id", own)
        left = tree.createElement("p")
        left.setAttribute("class", "to-solution")
        left.setAttribute("id", f"to-{own}")
        left.appendChild(_link(tree, f"{PAGE}#{own}", label))
        replace(solution, left)
        place.appendChild(solution)
    return moved


def _is_solution(node: minidom.Element) -> bool:
    names = classes(node)
    return "solution" in names or ({"dropdown", "admonition"} <= names and words(node).startswith("Answer"))


def _link(tree: minidom.Document, address: str, text: str) -> minidom.Element:
    link = tree.createElement("a")
    link.setAttribute("href", address)
    link.appendChild(tree.createTextNode(text))
    return link


def replace(old: Any, new: minidom.Element) -> None:
    """Put an element in the place of a node."""
    old.parentNode.replaceChild(new, old)


def classes(node: minidom.Element) -> set[str]:
    """Return the classes of an element."""
    return set(node.getAttribute("class").split())


def elements(node: minidom.Element) -> list[minidom.Element]:
    """Return an element and all within it."""
    return [node, *node.getElementsByTagName("*")]


def words(node: minidom.Node) -> str:
    """Return the text of an element."""
    if isinstance(node, minidom.Text):
        return node.data
    return "".join(words(child) for child in node.childNodes).strip("\n")


def readdress(tree: minidom.Document | minidom.Element, new: Callable[[str], str]) -> None:
    """Give each link inside the book the address that `new` returns for the one it has."""
    for link in tree.getElementsByTagName("a"):
        address = link.getAttribute("href")
        if address and not urlparse(address).scheme:
            link.setAttribute("href", new(address))


def absolute(name: str, address: str) -> str:
    """Return an address, as the page of this name gives it, as it is from the book's folder: ``page#id``.

    Example:
        >>> absolute("chapters/01-data.xhtml", "../book/intro.xhtml#a"), absolute("chapters/01-data.xhtml", "#b")
        ('book/intro.xhtml#a', 'chapters/01-data.xhtml#b')
    """
    page, mark, place = address.partition("#")
    return (normpath(join(dirname(name), page)) if page else name) + mark + place


def relative(name: str, address: str) -> str:
    """Return an address from the book's folder as it is from the page of this name: `absolute` backwards."""
    page, mark, place = address.partition("#")
    return (relpath(page, dirname(name)) if page != name or not mark else "") + mark + place
