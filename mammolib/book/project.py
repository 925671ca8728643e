"""What the project says about its book: the chapters, their order, and the public repository, if there is one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def table_of_contents(root: Path) -> list[str]:
    """Return the files that _toc.yml names, without suffix, in order.

    Raises:
        ValueError: it is not a table of contents.
    """
    import yaml

    path = root / "_toc.yml"
    try:
        toc = yaml.safe_load(path.read_text(encoding="utf-8"))
        files = [toc["root"]]
        for part in [toc, *toc.get("parts", [])]:
            files += [str(entry["file"]) for entry in part.get("chapters") or []]
    except (yaml.YAMLError, TypeError, KeyError) as err:
        raise ValueError(f"{path}: not a table of contents ({' '.join(str(err).split())[:80]})") from None
    return [f.removesuffix(".md").removesuffix(".ipynb") for f in files]


def chapters(root: Path, asked: Iterable[str] = ()) -> list[str]:
    """Return the names of the chapters that were asked for, in the book's order; all of the book's if none was.

    They are asked for by name ("03-cropping"), number ("03" or "3") or path ("chapters/03-cropping.ipynb").

    Raises:
        ValueError: there is no such chapter, or more than one.
    """
    book = [Path(f).name for f in table_of_contents(root) if f.startswith("chapters/")]
    there = sorted(p.stem for p in (root / "chapters").glob("*.ipynb"))
    known = book + [name for name in there if name not in book]
    found = []
    for word in asked:
        stem = Path(word).name.removesuffix(".ipynb")
        stem = stem.zfill(2) if stem.isdigit() else stem
        matches = [n for n in known if n == stem] or [n for n in known if n.startswith(f"{stem}-")]
        if len(matches) != 1:
            what = f"means {' and '.join(matches)}" if matches else f"is no chapter; there are {', '.join(known)}"
            raise ValueError(f"{word!r} {what}")
        found += matches
    return [n for n in known if n in found] if found else book


def repository(root: Path) -> tuple[str, str]:
    """Return the address and the branch of the public repository that _config.yml names; the address may be empty.

    Raises:
        ValueError: _config.yml is not YAML, or the address is not one of GitHub.
    """
    import yaml

    path = root / "_config.yml"
    try:
        entry = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("repository") or {}
    except (yaml.YAMLError, AttributeError) as err:
        raise ValueError(f"{path}: not a configuration ({' '.join(str(err).split())[:80]})") from None
    url = str(entry.get("url") or "").rstrip("/").removesuffix(".git")
    if url and not url.startswith("https://github.com/"):
        raise ValueError(f"_config.yml: repository.url {url!r} must begin with https://github.com/")
    return url, str(entry.get("branch") or "main")
