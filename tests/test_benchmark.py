"""The benchmark: its folds stay as they are, its files are read strictly, its score equals one counted by hand."""

import json
import math
import subprocess
import sys
import time

import numpy as np
import pytest
from mias_layout import write_folder
from standin import NOWHERE, Film, lesion

from mammolib import benchmark, cli, mias, results, splits
from mammolib.benchmark import dealing
from mammolib.benchmark.comparing import women_needed
from mammolib.benchmark.counting import LEAST_RADIUS

SQUARE = (1024, 1024)


@pytest.fixture(scope="module")
def films() -> list[Film]:
    """60 films of 30 women: 25 with a lesion, 2 of these with two, and one with a lesion that has no place."""
    rng = np.random.default_rng(1)
    kinds, made = list(mias.KINDS), []
    for n in range(1, 61):
        lesions = []
        for _ in range(0 if n % 12 in (0, 1, 3, 5, 7, 9, 11) else 2 if n in (2, 4) else 1):
            row, column, radius = rng.integers(200, 800), rng.integers(200, 800), rng.integers(8, 90)
            lesions.append(lesion(int(row), int(column), int(radius), "BM"[n % 4 // 2], kinds[n % 5]))
        made.append(Film(n, tuple(lesions), SQUARE, tissue="FGD"[n % 3]))
    made[0] = Film(1, (NOWHERE,), SQUARE)
    return made


def document(films, marks=lambda film: []) -> dict:
    """Detections: of each film what `marks` gives, (box, confidence) by (box, confidence)."""
    listed = {f.reference: [{"box": list(map(float, b)), "confidence": float(c)} for b, c in marks(f)] for f in films}
    return {"format": 1, "repeat": 0, "films": listed}


def at_random(films, seed: int, n: int = 12, decimals: int = 2) -> dict:
    """Marks of which a third lie about a lesion; their confidences tie often."""
    rng = np.random.default_rng(seed)

    def marks(film):
        for _ in range(n):
            centre, half = rng.uniform(150, 850, 2), rng.uniform(10, 120)
            if film.lesions and film.lesions[0].located and rng.random() < 0.3:
                target = film.lesions[rng.integers(len(film.lesions))]
                centre = rng.normal((target.column, target.row), target.radius / 2)
                half = target.radius * rng.uniform(0.5, 1.5)
            yield [*(centre - half), *(centre + half)], round(rng.random(), decimals)

    return document(films, marks)


def perfect(films) -> dict:
    return document(films, lambda film: [(x.box, 0.9) for x in film.lesions if x.located])


def value(record: results.Record) -> dict[str, float]:
    return {name: number["value"] for name, number in record.metrics.items()}


def test_folds_are_dealt_once_by_woman_and_never_again():
    lines = dealing.FILE.read_text().splitlines()
    assert [line.split()[0] for line in lines] == [f"mdb{n:03}" for n in range(1, 323)]
    table = list(benchmark.folds().values())
    assert table[::2] == table[1::2]  # both films of a woman
    assert all(len(numbers) == 5 and set(numbers) <= set(range(5)) for numbers in table)
    assert benchmark.folds_digest() == "7817b1ee52be29627f3eed89f06282151b18eff7608b0e62fdcd72005e7784c8"


def test_folds_are_those_that_the_seeds_deal(real_films):
    kinds = np.array([film.lesions[0].kind if film.lesions else "NORM" for film in real_films])
    table = np.array([benchmark.folds()[film.reference] for film in real_films])
    for repeat, fold in enumerate(table.T):
        parts = splits.folds_by_woman([film.woman for film in real_films], kinds, 5, seed=repeat)
        assert [np.flatnonzero(fold == k).tolist() for k in range(5)] == [sorted(part.test) for part in parts]
        for kind in ("NORM", *mias.KINDS):
            assert np.ptp(np.bincount(fold[kinds == kind], minlength=5)) <= 3, (repeat, kind)


def hits(mark: dict, target: mias.Lesion, rule: str) -> bool:
    x1, y1, x2, y2 = mark["box"]
    if rule == "centre":
        x, y = (x1 + x2) / 2, (y1 + y2) / 2
        return math.dist((x, y), (target.column, target.row)) <= max(target.radius, LEAST_RADIUS)
    a1, b1, a2, b2 = target.box.tolist()
    shared = max(0, min(x2, a2) - max(x1, a1)) * max(0, min(y2, b2) - max(y1, b1))
    union = (x2 - x1) * (y2 - y1) + (a2 - a1) * (b2 - b1) - shared
    return shared / union >= float(rule[3:])


def curve_by_hand(doc: dict, films, rule: str) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """FROC points (false marks a film, sensitivity), and (recall, precision), threshold by threshold."""
    films = [f for f in films if all(x.located for x in f.lesions)]
    lesions = sum(len(f.lesions) for f in films)
    marks = [
        [(m["confidence"], [hits(m, x, rule) for x in f.lesions]) for m in doc["films"][f.reference]] for f in films
    ]
    froc, precision = [(0.0, 0.0)], []
    for threshold in sorted({confidence for rows in marks for confidence, _ in rows}, reverse=True):
        found = false = 0
        for rows in marks:
            shown = [hit for confidence, hit in rows if confidence >= threshold]
            found += sum(map(any, zip(*shown, strict=True)))
            false += sum(not any(hit) for hit in shown)
        froc.append((false / len(films), found / lesions))
        if found + false:
            precision.append((found / lesions, found / (found + false)))
    return froc, precision


def read_by_hand(froc: list[tuple[float, float]], x: float) -> float:
    best = 0.0
    for (x0, y0), (x1, y1) in zip(froc, froc[1:], strict=False):
        if x1 <= x:
            best = y1
        elif x0 <= x:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return best


@pytest.mark.parametrize("decimals", [1, 2, 9])
def test_score_and_curve_equal_those_counted_by_hand(films, decimals):
    doc = at_random(films, seed=decimals, decimals=decimals)
    record = benchmark.score(doc, films)
    got = value(record)
    for rule, suffix in benchmark.RULES.items():
        froc, precision = curve_by_hand(doc, films, rule)
        reads = {x: read_by_hand(froc, x) for x in (0.25, 0.5, 1, 2, 4, 8)}
        for x, expected in reads.items():
            assert got[f"sensitivity_at_{x:g}{suffix}"] == pytest.approx(expected, abs=1e-12), (rule, x)
        assert got["camelyon_score" + suffix] == pytest.approx(np.mean(list(reads.values())))
        corners = sorted({0.05, 0.5, *(x for x, _ in froc if 0.05 < x < 0.5)})
        area = sum(  # lines between corners, read just inside each stretch
            (b - a) * (read_by_hand(froc, a + 1e-9) + read_by_hand(froc, b - 1e-9)) / 2
            for a, b in zip(corners, corners[1:], strict=False)
        )
        assert got["mean_sensitivity_0.05_to_0.5" + suffix] == pytest.approx(area / 0.45, abs=1e-6)
        ap, before = 0.0, 0.0
        for i, (recall, _) in enumerate(precision):
            ap += (recall - before) * max(p for _, p in precision[i:])
            before = recall
        assert got["ap" + suffix] == pytest.approx(ap, abs=1e-12)
        curve = record.outputs["curves"][rule]
        ours = list(zip(curve["false_marks"], curve["sensitivity"], strict=True))
        for x in np.linspace(0, 9, 91) + 1e-4:
            assert read_by_hand(ours, x) == pytest.approx(read_by_hand(froc, x), abs=1e-4)


def test_several_repeats_score_the_mean(films):
    one, other = (at_random(films, seed) for seed in (1, 2))
    first, second = value(benchmark.score(one, films)), value(benchmark.score(other, films))
    both = benchmark.score([one, other], films, name="mine")
    for name in ("sensitivity_at_1", "ap", "camelyon_score", "sensitivity_at_4_CIRC"):
        assert value(both)[name] == pytest.approx((first[name] + second[name]) / 2)
    assert both.settings["detector"] == "mine" and len(both.settings["predictions"]) == 2
    curve = both.outputs["curves"]["centre"]
    assert np.all(np.diff(curve["sensitivity"]) >= 0) and curve["false_marks"][0] == 0
    again = benchmark.score({**one, "films": dict(reversed(one["films"].items()))}, films)  # the order says nothing
    assert again.settings["folds"] == benchmark.folds_digest() and again.data["name"] == "other films"
    assert value(again) == first and again.hash == benchmark.score(one, films).hash != both.hash


def test_perfect_predictions_score_1_and_none_0(films):
    for doc, expected in ((perfect(films), 1), (document(films), 0)):
        record = benchmark.score(doc, films)
        for name, number in record.metrics.items():
            if name.startswith(("sens", "mean", "camelyon", "ap")) and number["value"] is not None:
                assert number["value"] == expected, name
                if number["n"] >= 8:  # Wilson's interval, on women with such a lesion
                    assert number["high"] - number["low"] > 0.05 and expected in (number["low"], number["high"]), name
                else:
                    assert number["low"] is None and f"{number['n']} wom" in number["reason"]
    assert record.metrics["sensitivity_at_1_ASYM"]["reason"] == "undefined"
    assert (value(record)["films"], value(record)["films_left_out"], value(record)["lesions"]) == (59, 1, 27)


def test_a_better_mark_never_becomes_false_because_a_worse_one_came_first():
    """The sloppy mark, more confident, finds the lesion; the exact one on it is neither true nor false."""
    film, other = Film(2, (lesion(500, 500, 50),), SQUARE), Film(3, (), SQUARE)
    marks = [([440, 440, 540, 540], 0.9), ([450, 450, 550, 550], 0.8), ([0, 0, 30, 30], 0.7)]
    record = benchmark.score(document([film, other], lambda f: marks if f is film else []), [film, other])
    for curve in record.outputs["curves"].values():
        assert curve == {"false_marks": [0, 0, 0.5], "sensitivity": [0, 1, 1]}


def test_the_centre_may_be_24_pixels_off_a_small_lesion():
    films = [Film(2, (lesion(500, 500, 5),), SQUARE)]
    for off, expected in ((24, 1), (25, 0)):
        doc = document(films, lambda f, off=off: [([490 + off, 490, 510 + off, 510], 1)])
        assert value(benchmark.score(doc, films))["sensitivity_at_1"] == expected
    films = [Film(1, (), SQUARE), Film(2, (NOWHERE,), SQUARE)]
    with pytest.raises(ValueError, match="none has a lesion with a centre"):
        benchmark.score(document(films), films)


def test_comparison_is_paired(films):
    a, b = at_random(films, seed=1), perfect(films)
    there, back = benchmark.compare(a, b, films), benchmark.compare(b, a, films)
    alone = value(benchmark.score(a, films))
    for name, number in there.metrics.items():
        if name.startswith("difference_"):
            other = back.metrics[name]
            assert number["value"] == pytest.approx(alone[name[11:]] - 1, abs=1e-12)
            assert (number["low"], number["high"]) == pytest.approx((-other["high"], -other["low"]), abs=0.03)
            assert there.outputs["women_needed"][name[11:]] == women_needed(number)
    same = benchmark.compare(a, a, films)
    assert same.metrics["difference_ap"]["reason"] == "all resamples agree: no interval"
    assert same.outputs["women_needed"]["ap"] is None
    assert women_needed({"value": 0.2, "low": 0.1, "high": 0.3, "n": 100}) == 52  # a quarter of the doctest's 205


def call(*words: object, capsys) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.main(["benchmark", *map(str, words)])
    shown = capsys.readouterr()
    return end.value.code, shown.out, shown.err


def test_the_command_scores_compares_and_draws(tmp_path, capsys):
    (tmp_path / "films").mkdir()
    folder = write_folder(tmp_path / "films")
    films = mias.load(folder)
    for name, doc in (("a", perfect(films)), ("b", at_random(films, 0))):
        benchmark.write(doc, tmp_path / f"{name}.json", coco=name == "b")
    a, b, out = tmp_path / "a.json", tmp_path / "b.json", tmp_path / "out"
    for _ in range(2):  # a second time over its own record
        status, said, err = call(a, "--data", folder, "--out", out, "--figure", tmp_path / "a.svg", capsys=capsys)
        assert (status, err) == (0, "")
    assert "6 films of 4 women, 5 lesions" in said and "Films left out: 2" in said and benchmark.folds_digest() in said
    assert "| at 1/4 false mark a film " in said and "| architectural distortion " in said
    record = results.load(next(out.glob("benchmark-*.json")))
    assert value(record)["sensitivity_at_1_iou0.5"] == 1 and "mdb" not in json.dumps(dict(record.settings))
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")
    status, said, _ = call(a, b, "--data", folder, "--figure", tmp_path / "b.svg", capsys=capsys)
    assert status == 0 and "First file minus second" in said and "| women needed" in said
    assert call(a, b, a, "--data", folder, capsys=capsys)[0] == call("--data", folder, capsys=capsys)[0] == 2
    assert call("--example", capsys=capsys)[1] == benchmark.text(benchmark.example())
    assert call("--example", b, "--coco", capsys=capsys)[0] == 0 and isinstance(json.loads(b.read_text()), list)
    assert call(b, "--data", folder, capsys=capsys)[0] == 0


def test_scoring_needs_neither_keras_nor_a_backend(tmp_path):
    folder = write_folder(tmp_path)
    benchmark.write(perfect(mias.load(folder)), tmp_path / "a.json")
    words = ["benchmark", str(tmp_path / "a.json"), "--data", str(folder), "--figure", str(tmp_path / "a.svg")]
    code = f"""
import sys
from mammolib import cli
try:
    cli.main({words!r})
finally:
    print(sorted({{'keras', 'tensorflow', 'jax', 'torch'}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1:] == ["[]"]


@pytest.mark.slow
def test_all_films_with_30_marks_each_are_scored_in_5_seconds(real_films, tmp_path):
    benchmark.write(at_random(real_films, seed=0, n=30), tmp_path / "a.json")
    begin = time.process_time()
    record = benchmark.score(benchmark.read(tmp_path / "a.json"), real_films)
    assert time.process_time() - begin <= 5
    assert (value(record)["films"], value(record)["lesions"], record.data["name"]) == (318, 119, "mini-MIAS")
    got = value(benchmark.score(perfect(real_films), real_films))
    assert {got["sensitivity_at_0.25" + suffix] for suffix in benchmark.RULES.values()} == {1}
