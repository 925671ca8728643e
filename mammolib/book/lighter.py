"""Takes out of the pages' folder what no page asks for."""

from __future__ import annotations

from pathlib import Path

NEEDLESS = (
    "_static/**/*.map",  # for who mends the theme's scripts
    "_static/locales",  # the theme's words, which are in the pages already
    "_static/mathjax/*.js",
    "_static/mathjax/adaptors",
    "_static/mathjax/input/asciimath.js",
    "_static/mathjax/input/mml*",
    "_static/mathjax/sre/mathmaps/*.json",
)
NEEDED = (
    "_static/mathjax/tex-chtml.js",  # what the pages load; the rest is loaded from its menu or by a rare command of TeX
    "_static/mathjax/sre/mathmaps/base.json",
    "_static/mathjax/sre/mathmaps/en.json",
)


def lighten(html: Path) -> None:
    """Remove from the folder of the pages the parts of MathJax and of the theme that are never loaded."""
    needed = {html / name for name in NEEDED}
    for path in {path for pattern in NEEDLESS for path in html.glob(pattern)} - needed:
        for file in [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]:
            file.unlink()
