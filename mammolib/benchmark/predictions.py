"""The file of detections: strict JSON, read with every doubt resolved before anything is scored.

    {"format": 1, "repeat": 0, "films": {"mdb001": [{"box": [x1, y1, x2, y2], "confidence": 0.8, "label": "benign"}]}}

Boxes are pixels of the film as distributed, 1024 x 1024, counted from its top-left corner; `repeat` is the repeat of
the folds, 0 to 4, or null for a detector that has learnt from no film; every film has a list, empty where there is no
mark. `label` is optional and not scored: the benchmark asks where, not which. COCO's format of results is a list:

    [{"image_id": 1, "category_id": 1, "bbox": [x, y, width, height], "score": 0.8}]

There `image_id` is the film's number or reference, `category_id` 0 (not said), 1 (benign) or 2 (malignant), films
without a mark are not named, and there is no repeat.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from mammolib.files import atomic
from mammolib.geometry import CLASSES, Detections
from mammolib.mias import SIDE, Film

from .dealing import REPEATS, folds

FORMAT = 1
MOST_MARKS = 1000
"""Most marks on one film."""
MOST_BYTES = 64 << 20
"""Longest file, in bytes: some more than `MOST_MARKS` marks on every film take."""
FARTHEST = 10 * SIDE
"""How far a corner may lie from the film's origin, in pixels."""
BRIGHT = 20
"""Grey value above which a pixel is of the breast (or of a sticker) and not of the dark background."""


class _Pairs(dict):
    """A JSON object that remembers the keys it was given, also those given twice."""

    def __init__(self, pairs: Sequence[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.given = [key for key, _ in pairs]


def read(path: str | Path, names: Iterable[str] | None = None) -> dict[str, Any]:
    """Read a file of detections in the benchmark's format or in COCO's, and return it in the benchmark's.

    Args:
        path: the file.
        names: the films that COCO's format may leave unnamed because they have no mark; those of `folds` if None.

    Raises:
        ValueError: one line that names the file, the film and the entry: empty, too long, no JSON, another format, a
            key twice, unknown or missing, a value that is no finite number, a confidence outside 0 to 1, a box without
            area, off the film, or relative to it.
        OSError: the file cannot be read.
    """
    with Path(path).open("rb") as file:
        written = file.read(MOST_BYTES + 1)
    if len(written) > MOST_BYTES:
        raise ValueError(f"{path}: longer than {MOST_BYTES >> 20} MiB; keep the best {MOST_MARKS} marks of each film")
    if not written.strip():
        raise ValueError(f"{path}: the file is empty; `mammolib benchmark --example` writes a valid one")
    try:
        document = json.loads(written.decode("utf-8"), object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as err:
        raise ValueError(f"{path}: not whole JSON ({err})") from None
    if isinstance(document, list):
        document = _from_coco(document, folds() if names is None else names, str(path))
    return checked(document, str(path))


def write(predictions: dict[str, Any], path: str | Path, coco: bool = False) -> None:
    """Write detections to a file, in the benchmark's format or in COCO's; they are checked first, see `read`."""
    with atomic(path) as file:
        file.write(text(predictions, coco).encode())


def text(predictions: dict[str, Any], coco: bool = False) -> str:
    """Return detections as JSON, one film a line, or one mark a line in COCO's format; they are checked first."""
    document = checked(predictions, "predictions")
    if coco:
        marks = [_to_coco(film, mark) for film, marks in document["films"].items() for mark in marks]
        return "[" + ",\n ".join(map(json.dumps, marks)) + "]\n"
    films = ",\n".join(f"  {json.dumps(name)}: {json.dumps(marks)}" for name, marks in document["films"].items())
    repeat = json.dumps(document["repeat"])
    return f'{{"format": {FORMAT}, "repeat": {repeat}, "films": {{\n{films}\n}}}}\n'


def example() -> dict[str, Any]:
    """Return valid detections, with marks on two films and none on the others; the marks mean nothing."""
    films: dict[str, list] = {name: [] for name in folds()}
    films["mdb001"] = [{"box": [400, 300, 560, 450.5], "confidence": 0.8, "label": "benign"}]
    films["mdb002"] = [{"box": [420, y, 500, y + 80], "confidence": c} for y, c in ((250, 0.5), (700, 0.25))]
    return {"format": FORMAT, "repeat": 0, "films": films}


def document(found: Detections, films: Sequence[Film], repeat: int | None = None) -> dict[str, Any]:
    """Return a detector's marks on films in the benchmark's format; boxes to a tenth of a pixel, no label."""
    marks: dict[str, list] = {film.reference: [] for film in films}
    for image, box, confidence in zip(found.image, found.box.round(1).tolist(), found.confidence, strict=True):
        marks[films[image].reference].append({"box": box, "confidence": round(float(confidence), 9)})
    return {"format": FORMAT, "repeat": repeat, "films": marks}


def digest(document: dict[str, Any]) -> str:
    """Return the SHA-256 of checked detections: the same marks give the same digest, however they were written."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def checked(document: Any, source: str) -> dict[str, Any]:
    """Return a copy of detections in plain Python numbers, or refuse them: see `read`."""
    _keys(document, ("format", "repeat", "films"), (), source)
    number, repeat, films = document["format"], document["repeat"], document["films"]
    if type(number) is not int or number != FORMAT:
        _refuse(source, f"format {number!r} is unknown; this version reads format {FORMAT}")
    if repeat is not None and (type(repeat) is not int or not 0 <= repeat < REPEATS):
        _refuse(source, f"repeat {repeat!r} is none of 0 to {REPEATS - 1}, and not null")
    _keys(films, (), None, f"{source}, films")
    marks = {}
    for film, entries in films.items():
        if not isinstance(film, str):
            _refuse(source, f"film {_short(film)} is not a string")
        where = f"{source}, film {_short(film)[1:-1]}"
        if not isinstance(entries, list):
            _refuse(where, f"expected a list of marks, got {_short(entries)}")
        if len(entries) > MOST_MARKS:
            _refuse(where, f"{len(entries)} marks; keep the best {MOST_MARKS}")
        marks[film] = [_mark(entry, f"{where}, entry {i}") for i, entry in enumerate(entries)]
    boxes = [(film, mark["box"]) for film, entries in marks.items() for mark in entries]
    if boxes and all(0 <= v <= 1 for _, box in boxes for v in box):
        what = f"box {boxes[0][1]} and all others lie within 0 to 1, as if relative; give pixels of the {SIDE} film"
        _refuse(f"{source}, film {boxes[0][0]}, entry 0", what)
    return {"format": FORMAT, "repeat": repeat, "films": marks}


def marks_of(document: dict[str, Any], films: Sequence[Film], source: str) -> list[NDArray[np.floating]]:
    """Return the marks on each film, (N, 5): x1, y1, x2, y2, confidence; refuse missing and unknown films."""
    marks, names = document["films"], {film.reference for film in films}
    for which, what in (
        (names - marks.keys(), "is missing; a film without a mark needs an empty list"),
        (marks.keys() - names, "is not among the films"),
    ):
        if which:
            more = f" (and so for {len(which) - 1} more)" if len(which) > 1 else ""
            _refuse(f"{source}, film {min(which)}", what + more)
    rows = [
        np.array([[*m["box"], m["confidence"]] for m in marks[film.reference]], float).reshape(-1, 5) for film in films
    ]
    _check_origin(rows, films, source)
    return rows


def _check_origin(marks: list[NDArray], films: Sequence[Film], source: str) -> None:
    """Refuse boxes counted from the bottom: mirrored top to bottom, many centres come to lie on the breast.

    On the films of mini-MIAS about a sixth of the marks on a breast leave it when they are mirrored, so what tells is
    the marks that lie on it in one reading only. At least 20 of these, and a twentieth of all marks, nine in ten of
    them on the breast when mirrored, are no accident of a poor detector.
    """
    gained, lost, entries = 0, 0, {}
    for film, rows in zip(films, marks, strict=True):
        if len(rows):
            bright = film.pixels() > BRIGHT
            x, y = ((rows[:, i] + rows[:, i + 2]) / 2 for i in (0, 1))
            row, column = (np.minimum(v.astype(int), n - 1) for v, n in zip((y, x), bright.shape, strict=True))
            here, there = bright[row, column], bright[len(bright) - 1 - row, column]
            entries[film.reference] = np.flatnonzero(there & ~here)
            gained, lost = gained + len(entries[film.reference]), lost + (here & ~there).sum()
    if gained >= max(20, sum(map(len, marks)) / 20) and gained >= 9 * lost:
        worst = max(entries, key=lambda name: len(entries[name]))
        what = f"the mark is off the breast, and on it if y is counted from the bottom, like {gained - 1} more"
        _refuse(f"{source}, film {worst}, entry {entries[worst][0]}", f"{what}; count y from the top")


def _mark(entry: Any, where: str) -> dict[str, Any]:
    _keys(entry, ("box", "confidence"), ("label",), where)
    x1, y1, x2, y2 = box = _four(entry["box"], where, "box")
    if not (x1 < x2 and y1 < y2):
        _refuse(where, f"box {box} must be x1, y1, x2, y2 with x1 < x2 and y1 < y2")
    if not (max(map(abs, box)) <= FARTHEST and 0 <= x1 + x2 <= 2 * SIDE and 0 <= y1 + y2 <= 2 * SIDE):
        _refuse(where, f"box {box} has its centre off the film, which spans 0 to {SIDE} pixels")
    confidence = _number(entry["confidence"], where, "confidence")
    if not 0 <= confidence <= 1:
        _refuse(where, f"confidence {confidence} is not between 0 and 1")
    if "label" not in entry:
        return {"box": box, "confidence": confidence}
    if entry["label"] not in CLASSES:
        _refuse(where, f"label {_short(entry['label'])} is none of {', '.join(CLASSES)}")
    return {"box": box, "confidence": confidence, "label": entry["label"]}


def _four(values: Any, where: str, name: str) -> list[float]:
    if not isinstance(values, list | tuple) or len(values) != 4:
        _refuse(where, f"{name} {_short(values)} is not a list of four numbers")
    return [_number(v, where, f"{name}[{i}]") for i, v in enumerate(values)]


def _number(value: Any, where: str, name: str) -> float:
    size: Any = abs(value) if isinstance(value, Real) and not isinstance(value, bool) else np.inf
    if not size < 1e300:  # NaN compares false
        _refuse(where, f"{name} {_short(value)} is not a finite number")
    return float(value)


def _keys(value: Any, needed: Collection[str], optional: Collection[str] | None, where: str) -> None:
    """Refuse what is not an object with these keys, each once; `optional` None allows any."""
    if not isinstance(value, dict):
        _refuse(where, f"expected an object, got {_short(value)}")
    given = getattr(value, "given", list(value))
    for key in given if len(given) > len(value) else ():
        if given.count(key) > 1:
            _refuse(where, f"the key {_short(key)} is there twice")
    for key in needed:
        if key not in value:
            _refuse(where, f"{key!r} is missing")
    for key in value:
        if optional is not None and key not in (*needed, *optional):
            _refuse(where, f"the key {_short(key)} is unknown; there are {', '.join((*needed, *optional))}")


def _from_coco(entries: list, names: Iterable[str], source: str) -> dict[str, Any]:
    """Turn COCO results into the benchmark's format; keys that COCO does not need are ignored."""
    films: dict[str, list] = {name: [] for name in names}
    for i, entry in enumerate(entries):
        where = f"{source}, entry {i}"
        _keys(entry, ("image_id", "bbox", "score"), None, where)
        film, category = entry["image_id"], entry.get("category_id", 0)
        if type(film) is int:
            film = f"mdb{film:03d}"
        if not isinstance(film, str) or film not in films:
            _refuse(where, f"image_id {_short(entry['image_id'])} is none of the films")
        where = f"{source}, film {film}, entry {i}"
        if type(category) is not int or not 0 <= category <= len(CLASSES):
            _refuse(where, f"category_id {_short(category)} is none of 0 (not said), 1 (benign), 2 (malignant)")
        x, y, width, height = _four(entry["bbox"], where, "bbox")
        label = {"label": CLASSES[category - 1]} if category else {}
        films[film].append(_mark({"box": [x, y, x + width, y + height], "confidence": entry["score"]} | label, where))
    return {"format": FORMAT, "repeat": None, "films": films}


def _to_coco(film: str, mark: dict[str, Any]) -> dict[str, Any]:
    x1, y1, x2, y2 = mark["box"]
    image = int(film[3:]) if film[3:].isdigit() else film
    category = CLASSES.index(mark["label"]) + 1 if "label" in mark else 0
    return {"image_id": image, "category_id": category, "bbox": [x1, y1, x2 - x1, y2 - y1], "score": mark["confidence"]}


def _refuse(where: str, what: str) -> NoReturn:
    raise ValueError(f"{where}: {what}")


def _short(value: Any) -> str:
    words = repr(value)
    return words if len(words) <= 60 else f"{words[:57]}..."
