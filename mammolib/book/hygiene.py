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
COMPARED = "nbval-check-output"


def problems(root: Path | None = None) -> list[str]:
    """Return what git holds, or is about to, and must not: one line for each file, empty if all is well.

    Args:
        root: the project's folder; default: found from here upwards.

    Raises:
        OSError: git cannot be asked.
    """
    root = results.root(root)
    asked = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(asked, capture_output=True, check=False)
    if listed.returncode:
        raise OSError(f"{root}: git cannot list its files ({listed.stderr.decode(errors='replace').strip()[:200]})")
    found = []
    for name in filter(None, listed.stdout.decode("utf-8", "replace").split("\0")):
        path = root / name
        if not path.is_file():
            continue
        if FILMS.search(name):
            found.append(f"{name}: a film, an archive of films or their annotations does not belong into git")
        elif PICTURES.search(name) and not name.startswith("book/_static/"):
            found.append(f"{name}: a picture outside book/_static; one made from a real film may not be passed on")
        elif path.stat().st_size < 5_000_000:
            found += _in_text(name, path)
    return found


def _in_text(name: str, path: Path) -> list[str]:
    text = path.read_bytes().decode("utf-8", "ignore")
    if len(set(ROW.findall(text))) and len(ROW.findall(text)) >= ROWS:
        return [f"{name}: holds {len(ROW.findall(text))} rows of annotations of mini-MIAS"]
    if not name.endswith(".ipynb"):
        return []
    for cell in notebooks.read(path).cells:
        if cell.cell_type == "code" and cell.outputs:
            if COMPARED not in cell.metadata.get("tags", []):
                return [
                    f"{name}: cell {cell['id']} stores outputs that nbval does not compare; "
                    "`mammolib refresh` empties it"
                ]
            if any(kind.startswith("image/") for output in cell.outputs for kind in output.get("data", {})):
                return [f"{name}: cell {cell['id']} stores a picture"]
    return []


def on_real_films(source: Path) -> list[str]:
    """Return the staged chapters that were executed on other films than phantoms, by their file's stem."""
    found = []
    for path in sorted((source / "chapters").glob("*.ipynb")):
        if notebooks.note(notebooks.read(path)).get("data", "phantom") != "phantom":
            found.append(path.stem)
    return found
