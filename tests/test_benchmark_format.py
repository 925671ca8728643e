"""The benchmark's file of detections: what is written is read again, and what is wrong is refused in one line."""

import pytest
from mias_layout import one_line
from standin import Film, lesion
from test_benchmark import SQUARE, at_random, document

from mammolib import benchmark
from mammolib.benchmark import predictions as formats


def test_what_is_written_is_read_again(tmp_path):
    films = [Film(1, (), SQUARE), Film(2, (lesion(500, 500),), SQUARE), Film(3, (), SQUARE)]
    doc = formats.checked(at_random(films, seed=2), "here")
    doc["films"]["mdb002"][0]["label"] = "malignant"
    names = list(doc["films"])
    for coco in (False, True):
        benchmark.write(doc, tmp_path / "x.json", coco)
        again = benchmark.read(tmp_path / "x.json", names)
        assert again["repeat"] == (None if coco else 0)
        for film, marks in doc["films"].items():
            for a, b in zip(marks, again["films"][film], strict=True):
                assert a["box"] == pytest.approx(b["box"]) and a["confidence"] == b["confidence"]
                assert a.get("label") == b.get("label")
    benchmark.write(benchmark.example(), tmp_path / "x.json")
    assert benchmark.read(tmp_path / "x.json") == formats.checked(benchmark.example(), "example")


MARK = '{"box": [1, 2, 30, 40], "confidence": 0.5}'
COCO = '{"image_id": 2, "category_id": 1, "bbox": [1, 2, 30, 40], "score": 0.5}'
FILE = f'{{"format": 1, "repeat": 0, "films": {{"mdb001": [], "mdb002": [{MARK}]}}}}'
BAD = {
    "empty": ("", "", "the file is empty"),
    "cut short": (FILE, FILE[:-9], "not whole JSON"),
    "nested": (FILE, "[" * 100_000, "not whole JSON"),
    "not an object": (FILE, "3", "expected an object, got 3"),
    "format": ('"format": 1', '"format": 2', "format 2 is unknown"),
    "no format": ('"format": 1, ', "", "'format' is missing"),
    "repeat": ('"repeat": 0', '"repeat": 5', "repeat 5 is none of 0 to 4"),
    "unknown key": ('"repeat": 0', '"repeat": 0, "author": "x"', "the key 'author' is unknown"),
    "film twice": ('"mdb001": []', '"mdb002": []', "films: the key 'mdb002' is there twice"),
    "key twice": ('"confidence": 0.5', '"confidence": 0.5, "confidence": 0.6', "film mdb002, entry 0: the key"),
    "no box": ('"box"', '"bbox"', "film mdb002, entry 0: 'box' is missing"),
    "no list": ("[]", "{}", "film mdb001: expected a list of marks"),
    "NaN": ("0.5", "NaN", "film mdb002, entry 0: confidence nan is not a finite number"),
    "infinity": ("30", "1e999", "film mdb002, entry 0: box[2] inf is not a finite number"),
    "huge": ("30", "1" + "0" * 400, "film mdb002, entry 0: box[2] 1000"),
    "string": ("30", '"30"', "film mdb002, entry 0: box[2] '30' is not a finite number"),
    "true": ("0.5", "true", "film mdb002, entry 0: confidence True is not a finite number"),
    "confidence": ("0.5", "1.2", "film mdb002, entry 0: confidence 1.2 is not between 0 and 1"),
    "no area": ("30", "1", "film mdb002, entry 0: box [1.0, 2.0, 1.0, 40.0] must be"),
    "off the film": ("30", "2100", "has its centre off the film"),
    "three numbers": ("1, 2, 30", "2, 30", "is not a list of four numbers"),
    "relative": (
        "1, 2, 30, 40",
        "0.1, 0.2, 0.3, 1",
        "film mdb002, entry 0: box [0.1, 0.2, 0.3, 1.0] and all others lie",
    ),
    "label": ("0.5", '0.5, "label": "mass"', "label 'mass' is none of benign, malignant"),
    "many": (MARK, ", ".join([MARK] * 1001), "film mdb002: 1001 marks; keep the best 1000"),
    "missing": ('"mdb001": [], ', "", "film mdb001: is missing"),
    "unknown": ('"mdb001": [], ', '"mdb001": [], "mdb999": [], ', "film mdb999: is not among the films"),
    "COCO film": (FILE, f"[{COCO.replace('2', '7', 1)}]", "entry 0: image_id 7 is none of the films"),
    "COCO category": (FILE, f"[{COCO.replace(': 1', ': 3')}]", "film mdb002, entry 0: category_id 3 is none of"),
    "COCO box": (FILE, f"[{COCO.replace('30', '-3')}]", "film mdb002, entry 0: box [1.0, 2.0, -2.0, 42.0] must be"),
    "COCO score": (FILE, f"[{COCO.replace('0.5', '50')}]", "film mdb002, entry 0: confidence 50.0 is not between"),
    "COCO key": (FILE, f"[{COCO.replace('bbox', 'box')}]", "entry 0: 'bbox' is missing"),
}


@pytest.mark.parametrize(("old", "new", "words"), BAD.values(), ids=BAD)
def test_a_bad_file_is_refused_in_one_line(tmp_path, old, new, words):
    films = [Film(1, (), SQUARE), Film(2, (lesion(500, 500),), SQUARE)]
    path = tmp_path / "marks.json"
    path.write_text(FILE.replace(old, new, 1) if old else "")
    with pytest.raises(ValueError) as err:
        benchmark.score(benchmark.read(path, ["mdb001", "mdb002"]), films, source=str(path))
    one_line(err, str(path), words)
    assert len(str(err.value)) < len(str(path)) + 250


def test_a_film_whose_name_is_no_string_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="film 1 is not a string"):
        benchmark.write({"format": 1, "repeat": None, "films": {1: []}}, tmp_path / "a.json")


def test_a_file_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(formats, "MOST_BYTES", 1 << 20)
    with pytest.raises(ValueError, match="longer than 1 MiB"):
        benchmark.read("/dev/zero")


def test_boxes_counted_from_the_bottom_are_refused():
    films = [Film(n, (lesion(900, 500, 50),) if n % 3 == 0 else (), SQUARE, dark_rows=300) for n in range(1, 25)]
    doc = document(films, lambda f: [([450, 750 + 10 * f.number, 500, 780 + 10 * f.number], 0.5)])
    benchmark.score(doc, films)
    for marks in doc["films"].values():
        x1, y1, x2, y2 = marks[0]["box"]
        marks[0]["box"] = [x1, 1024 - y2, x2, 1024 - y1]
    with pytest.raises(ValueError) as err:
        benchmark.score(doc, films, source="marks.json")
    one_line(err, "marks.json, film mdb001, entry 0", "counted from the bottom, like 23 more")
