"""The folder of the pages without what no page asks for."""

from mammolib.book.render import lighten


def test_what_is_never_loaded_goes_and_the_rest_stays(tmp_path):
    kept = {"_static/mathjax/tex-chtml.js", "_static/mathjax/sre/mathmaps/en.json", "_static/theme.js", "index.html"}
    gone = {"_static/mathjax/tex-svg.js", "_static/mathjax/sre/mathmaps/fr.json", "_static/theme.js.map"}
    gone |= {"_static/mathjax/input/mml/entities.js", "_static/locales/fr/LC_MESSAGES/words.mo"}
    for name in kept | gone:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    lighten(tmp_path)
    assert {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()} == kept
