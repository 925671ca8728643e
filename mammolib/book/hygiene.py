"""What must not be in git or on a published page: films, their annotations, and pictures made from them.

mini-MIAS is licensed for research: whoever has it may not pass it on.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from mammolib import results
from mammolib.book import notebooks
from mammolib.mias import KINDS

FILMS = re.compile(
    r"\.(pgm|dcm|dicom|tiff?|bmp|tar|tgz|zip|7z)$|\.tar\.\w+$|(^|/)(out\.ipynb|info\.txt)$", re.IGNORECASE
)
PICTURES = re.compile(r"\.(png|jpe?g|gif|webp)$", re.IGNORECASE)
ROW = re.compile(rf"\bmdb\d{{3}}\s+[FGD]\s+({'|'.join(KINDS)})\s+[BM]\s+\d+\s+\d+\s+\d+")
ROWS = 20
"""Annotation rows in one file from which it is taken for a copy; a few are examples."""


def problems(root: Path | None = None) -> list[str]:
    """Return what git holds, or is about to, and must not: one line for each file, empty if all is well.

    Raises:
        OSError: git cannot be asked.
    """
    root = results.root(root)
    asked = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(asked, capture_output=True, encoding="utf-8", errors="replace")
    if listed.returncode:
        raise OSError(f"{root}: git cannot list its files ({listed.stderr.strip()[:200]})")
    found = {name: _problem(name, root / name) for name in listed.stdout.split("\0") if (root / name).is_file()}
    return [f"{name}: {problem}" for name, problem in found.items() if problem]


def _problem(name: str, path: Path) -> str | None:
    if FILMS.search(name):
        return "a film, an archive of films or their annotations does not belong into git"
    if PICTURES.search(name) and not name.startswith("book/_static/"):
        return "a picture outside book/_static; one made from a real film may not be passed on"
    if path.stat().st_size >= 5_000_000:
        return None
    rows = ROW.findall(path.read_bytes().decode("utf-8", "ignore"))
    if len(rows) >= ROWS:
        return f"holds {len(rows)} rows of annotations of mini-MIAS"
    for cell in notebooks.read(path).cells if name.endswith(".ipynb") else ():
        if cell.get("outputs"):
            if notebooks.COMPARED not in cell.metadata.get("tags", []):
                return f"cell {cell['id']} stores outputs that nbval does not compare; `mammolib refresh` empties it"
            if any(kind.startswith("image/") for output in cell.outputs for kind in output.get("data", {})):
                return f"cell {cell['id']} stores a picture"
    return None


def on_real_films(source: Path) -> list[str]:
    """Return the staged chapters that were executed on other films than phantoms, by their file's stem."""
    data = {
        path.stem: notebooks.note(notebooks.read(path)).get("data") for path in (source / "chapters").glob("*.ipynb")
    }
    return sorted(stem for stem, name in data.items() if name not in (None, "phantom"))
