"""Look for pictures that lie on two sides of a split: in training and in test, say.

    python -m mammolib.leak_check FOLDER          a folder with a folder for each part: train/, validation/, test/
    python -m mammolib.leak_check LIST.csv        a table with columns path, part and, if known, group

Works on any folder of pictures; nothing of this book's data is needed, and no network is loaded. It finds files of the
same name, files of the same bytes, the same picture turned or mirrored, copies that were saved again or resized, and
groups (patients) on two sides. It cannot find two views of one patient that nobody says belong together.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import html
import io
import itertools
import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mammolib.geometry import DIHEDRAL, Symmetry
from mammolib.images import read_grey

SIDE = 32
"""Side of the reduced pictures that are compared, all with all."""
FINEST, CELL = 128, 4
"""Side of the reduced pictures by which a pair that looks alike is looked at again, and the least pixels of a cell: two
whole films with the edge of the breast at one place have up to 0.76 at a side of 32, and 0.4 at 128."""
COPY = 0.7
"""Correlation of the fine structure from which two pictures are copies, at either side: the closest two of 1,000 pieces
of phantom films have 0.68 (film borders at the same place); JPEG of quality 60 leaves 0.74 and more."""
SHOWN, LISTED = 200, 20
"""How many pairs a page shows, and a report of one kind."""
ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".pgm", ".bmp", ".dcm", ".dicom")
TURNS, FLIPPED = [f"turned by {degrees} degrees" for degrees in (90, 180, 270)], "flipped top to bottom"
WORDS = ("", *TURNS, FLIPPED, *(f"{turn}, then {FLIPPED}" for turn in TURNS))
VIEWS = {word and f"the second is the first {word}": view for word, view in zip(WORDS, DIHEDRAL, strict=True)}
"""The eight symmetries of a square, by what a report says of them; "" leaves a picture as it is."""
BYTES, PIXELS, COPIED, GROUP, NAME = KINDS = ("same file", "same picture", "copy", "same group", "same name")
"""What two pictures on two sides can be to each other, the surest first."""


@dataclass(frozen=True)
class Item:
    """One picture of a data set: where it lies, its part of the split, and its group (a patient), "" if unknown."""

    path: Path
    part: str
    group: str = ""


@dataclass(frozen=True)
class Leak:
    """Two pictures on two sides that ought not to be.

    Attributes:
        kind: one of `KINDS`.
        first, second: the files; of a group, one file on each side.
        parts: the part of each.
        detail: the group's name; how the second is turned against the first; "" for nothing to add.
        similarity: correlation of the fine structure, 1 for equal pictures; None where pixels were not compared.
    """

    kind: str
    first: str
    second: str
    parts: tuple[str, str]
    detail: str = ""
    similarity: float | None = None


def items(source: str | Path, group_pattern: str | None = None) -> list[Item]:
    """List a data set's pictures.

    Args:
        source: a folder whose folders are the parts, or a CSV file with a head line: path (relative to the file), part
            and, if there is one, group.
        group_pattern: a regular expression that finds the group in a file's name; its first bracket if it has one.

    Raises:
        ValueError: one line that names the file or the row and says what is wrong.
    """
    source = Path(source)
    try:
        pattern = re.compile(group_pattern or "")
    except re.error as err:
        raise ValueError(f"group pattern {group_pattern!r}: is no regular expression ({err})") from None
    if source.is_dir():
        folders = sorted(p for p in source.iterdir() if p.is_dir() and not p.name.startswith("."))
        files = [(path, folder.name) for folder in folders for path in sorted(folder.rglob("*"))]
        listed = [Item(path, part) for path, part in files if path.suffix.lower() in ENDINGS and path.is_file()]
    elif source.is_file():
        listed = _from_table(source)
    else:
        raise ValueError(f"{source}: there is no such folder or file")
    if len({item.part for item in listed}) < 2:
        raise ValueError(
            f"{source}: holds pictures of fewer than two parts; give each part a folder, or a column 'part'"
        )
    found = [None if item.group else pattern.search(item.path.name) for item in listed]
    return [replace(i, group=m[min(1, pattern.groups)] or "") if m else i for i, m in zip(listed, found, strict=True)]


def _from_table(path: Path) -> list[Item]:
    listed = []
    with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
        table = csv.DictReader(file)
        if not {"path", "part"} <= set(table.fieldnames or ()):
            raise ValueError(f"{path}: the first line must name the columns path, part and, if known, group")
        for row in table:
            if not row["path"] or not row["part"]:
                raise ValueError(f"{path}, line {table.line_num}: path or part is empty")
            place = path.parent / row["path"]
            if not place.is_file():
                raise ValueError(f"{path}, line {table.line_num}: there is no file {place}")
            listed.append(Item(place, row["part"], row.get("group") or ""))
    return listed


def check(listed: Sequence[Item]) -> list[Leak]:
    """Return every pair of pictures that lies on two sides of the split, the surest kinds first.

    A pair is named once, by the surest kind: same file before same picture before copy. Names and groups are named
    besides.

    Args:
        listed: from `items`.

    Raises:
        ValueError: a file that cannot be read as a picture; names it.
    """
    from joblib import Parallel, delayed

    leaks = _across(listed, [hashlib.sha256(item.path.read_bytes()).hexdigest() for item in listed], BYTES, 1.0)
    looks = Parallel(2 if len(listed) > 500 else 1)(delayed(_looks)(item.path) for item in listed)
    leaks += _equal(listed, [digest for digest, _ in looks], _files(leaks))
    leaks += _copies(listed, np.array([structure for _, structure in looks]), _files(leaks))
    leaks += _across(listed, [item.path.name.lower() for item in listed], NAME)
    leaks += _across(listed, [item.group for item in listed], GROUP)
    return sorted(leaks, key=lambda leak: (KINDS.index(leak.kind), leak.first, leak.second))


def _files(leaks: Sequence[Leak]) -> set[frozenset[str]]:
    return {frozenset((leak.first, leak.second)) for leak in leaks}


def _across(listed: Sequence[Item], keys: Iterable[str], kind: str, similarity: float | None = None) -> list[Leak]:
    """Return the pairs of pictures of one key on two sides; of a group, one pair for each two parts."""
    members: dict[str, dict[str, list[Item]]] = {}
    for item, key in zip(listed, keys, strict=True):
        if key:
            members.setdefault(key, {}).setdefault(item.part, []).append(item)
    leaks = []
    for key, parts in members.items():
        for a, b in itertools.combinations(sorted(parts), 2):
            pairs = itertools.product(parts[a], parts[b])
            detail, most = (key, 1) if kind == GROUP else ("", None)
            for x, y in itertools.islice(pairs, most):
                leaks.append(Leak(kind, str(x.path), str(y.path), (a, b), detail, similarity))
    return leaks


def _levels(path: Path) -> NDArray[np.float32]:
    """Return a picture as (H, W) grey levels; what is transparent, padding or no number is 0."""
    grey = read_grey(path)
    return np.where(grey.valid, grey.values, 0).astype(np.float32)


def _looks(path: Path) -> tuple[str, NDArray[np.float32]]:
    """Return a digest that the eight views of a picture share, and the picture's fine structure."""
    grey = _levels(path)
    views = (np.ascontiguousarray(view.image(grey)) for view in VIEWS.values())
    digests = (hashlib.blake2b(v.tobytes(), digest_size=16, salt=str(v.shape[0]).encode()).hexdigest() for v in views)
    return min(digests), _fine(grey)


def _fine(grey: NDArray, side: int = SIDE) -> NDArray[np.float32]:
    """Return a picture's fine structure, reduced to (side, side): mean 0, length 1; zeros where there is too little.

    A picture that is nearly empty has no structure to know it by: of such pictures only equal ones are found.
    Without its coarse shape, two pictures that are both bright in the middle do not look alike; and what is far above
    the usual contrast is cut, or a single sharp edge would be all that counts.
    """
    from PIL import Image
    from scipy.ndimage import gaussian_filter

    small = Image.fromarray(np.asarray(grey, np.float32)).resize((side, side), Image.Resampling.BOX)
    fine = np.asarray(small, np.float32)
    fine = fine - gaussian_filter(fine, 1.0, mode="nearest")
    if (np.abs(fine) > 0.25).mean() < 0.2 or min(grey.shape) < SIDE // 2:
        return np.zeros((side, side), np.float32)
    fine = np.tanh(fine / (np.median(np.abs(fine)) + 0.5))
    fine -= fine.mean()
    return fine / np.linalg.norm(fine)


def _equal(listed: Sequence[Item], digests: Sequence[str], known: set[frozenset[str]]) -> list[Leak]:
    """Return the other pairs on two sides that are the same picture under one of the eight symmetries."""
    leaks = []
    for leak in _across(listed, digests, PIXELS, 1.0):
        if frozenset((leak.first, leak.second)) in known:
            continue
        x, y = _levels(Path(leak.first)), _levels(Path(leak.second))
        words = next(words for words, view in VIEWS.items() if np.array_equal(view.image(x), y))
        leaks.append(replace(leak, detail=words))
    return leaks


def _copies(listed: Sequence[Item], fine: NDArray[np.float32], known: set[frozenset[str]]) -> list[Leak]:
    """Return the other pairs on two sides whose fine structure, (N, SIDE, SIDE), is alike under some symmetry."""
    parts = np.array([item.part for item in listed])
    pairs: dict[tuple[int, int], tuple[float, str]] = {}
    for a, b in itertools.combinations(sorted(set(parts)), 2):
        first, second = np.flatnonzero(parts == a), np.flatnonzero(parts == b)
        structures = fine[second].reshape(len(second), -1).T
        for rows in np.array_split(first, max(1, len(first) * len(second) // 4_000_000)):
            for words, view in VIEWS.items():
                close = np.array([view.image(x) for x in fine[rows]]).reshape(len(rows), -1) @ structures
                for i, j in zip(*np.nonzero(close >= COPY), strict=True):
                    pair, score = (int(rows[i]), int(second[j])), float(close[i, j])
                    if score > pairs.get(pair, (0.0, ""))[0]:
                        pairs[pair] = score, words
    leaks = []
    for (i, j), (score, words) in sorted(pairs.items()):
        one, other = listed[i], listed[j]
        files = str(one.path), str(other.path)
        if frozenset(files) not in known and _still_alike(one.path, other.path, VIEWS[words]):
            leaks.append(Leak(COPIED, *files, (one.part, other.part), words, round(score, 3)))
    return leaks


def _still_alike(first: Path, second: Path, view: Symmetry) -> bool:
    """Say whether two pictures that look alike at `SIDE` do so at the finest side that both of them bear."""
    x, y = _levels(first), _levels(second)
    side = min(FINEST, min(*x.shape, *y.shape) // CELL)
    return side <= SIDE or float((view.image(_fine(x, side)) * _fine(y, side)).sum()) >= COPY


def report(leaks: Sequence[Leak], listed: Sequence[Item]) -> str:
    """Return what was found as text: a line for each leak, and how much of each part is touched."""
    sizes = {part: sum(item.part == part for item in listed) for part in sorted({i.part for i in listed})}
    head = f"{len(listed):,} pictures ({', '.join(f'{part}: {n:,}' for part, n in sizes.items())}): "
    if not leaks:
        return f"{head}nothing lies on two sides, as far as names, files and pixels tell."
    lines = [f"{head}{len(leaks):,} pairs lie on two sides."]
    for kind, group in itertools.groupby(leaks, key=lambda leak: leak.kind):
        of_kind = list(group)
        lines.append(f"\n{kind} ({len(of_kind):,})")
        for leak in of_kind[:LISTED]:
            close = f"correlation {leak.similarity:.2f}" if kind == COPIED else ""
            detail = ", ".join(filter(None, (leak.detail, close)))
            sides = f"  {leak.parts[0]}: {leak.first}  |  {leak.parts[1]}: {leak.second}"
            lines.append(f"{sides} ({detail})" if detail else sides)
        if len(of_kind) > LISTED:
            lines.append(f"  and {len(of_kind) - LISTED:,} more; --json lists all")
    lines.append("")
    touched = {pair for leak in leaks for pair in zip(leak.parts, (leak.first, leak.second), strict=True)}
    for part, n in sizes.items():
        lines.append(f"{part}: {sum(side == part for side, _ in touched):,} of {n:,} pictures are in a pair")
    return "\n".join(lines)


def page(leaks: Sequence[Leak]) -> str:
    """Return an HTML page, whole in itself, that shows the first `SHOWN` pairs side by side."""
    style = (
        "body{font:16px sans-serif;margin:2em;color-scheme:light dark}div{display:flex;flex-wrap:wrap;gap:1em}"
        "figure{margin:0;width:256px}img{width:256px;image-rendering:auto}figcaption{overflow-wrap:anywhere}"
    )
    lines = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Pictures on two sides of a split</title>'
        f"<style>{style}</style><h1>{len(leaks):,} pairs</h1>"
    ]
    for leak in leaks[:SHOWN]:
        lines.append(f"<h2>{html.escape(' '.join([leak.kind, leak.detail]).strip())}</h2><div>")
        for path, part in zip((leak.first, leak.second), leak.parts, strict=True):
            words = html.escape(f"{part}: {path}")
            lines.append(f"<figure>{_embedded(Path(path))}<figcaption>{words}</figcaption></figure>")
        lines.append("</div>")
    more = f"<p>and {len(leaks) - SHOWN:,} more pairs</p>" if len(leaks) > SHOWN else ""
    return "".join(lines) + more + "</html>"


def _embedded(path: Path) -> str:
    from PIL import Image

    grey = _levels(path)
    low, high = float(grey.min()), float(grey.max())
    shown = Image.fromarray(((grey - low) / max(high - low, 1e-9) * 255).astype(np.uint8))
    shown.thumbnail((256, 256))
    buffer = io.BytesIO()
    shown.save(buffer, "PNG")
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}">'


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0 if nothing lies on two sides, 1 if something does, 2 for a wrong input."""
    import argparse

    parser = argparse.ArgumentParser(prog="mammolib leak-check", description=__doc__.split("\n\n")[0])
    parser.add_argument("source", help="a folder with a folder for each part, or a CSV with path, part and group")
    parser.add_argument("--group-pattern", metavar="RE", help="finds the group (the patient) in a file's name")
    parser.add_argument("--json", action="store_true", help="print every pair as JSON")
    parser.add_argument("--html", metavar="FILE", help="write a page that shows the pairs side by side")
    options = parser.parse_args(arguments)
    try:
        listed = items(options.source, options.group_pattern)
        leaks = check(listed)
        if options.html:
            Path(options.html).write_text(page(leaks), encoding="utf-8")
    except (ValueError, OSError) as err:
        print(f"mammolib: {err}", file=sys.stderr)
        return 2
    print(json.dumps([asdict(leak) for leak in leaks], indent=1) if options.json else report(leaks, listed))
    return 1 if leaks else 0


if __name__ == "__main__":
    sys.exit(main())
