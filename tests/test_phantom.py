"""Phantoms: determinism, layout, anatomy, lesions, statistics, and writing whole or not at all."""

import collections
import re
import threading

import numpy as np
import pytest

from mammolib import mias, phantom
from mammolib.mias.films import read_info
from mammolib.phantom import fields, plan, writing
from mammolib.phantom.films import SIDES, film

ROW = re.compile(r"mdb\d{3} [FGD] (NORM |(CALC|CIRC|SPIC|MISC|ARCH|ASYM) [BM]( \d+ \d+ \d+| \*NOTE 3\*)?)")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Return a folder with two women."""
    return phantom.write(tmp_path_factory.mktemp("phantom") / "two", women=2, seed=3)


@pytest.fixture(scope="module")
def cohort():
    """Return the films of the first 12 women of one seed."""
    return [film(5, woman, side) for woman in range(1, 13) for side in SIDES]


def tissue(drawn) -> str:
    return drawn.rows[0].split()[1]


def find(seed: int, wanted) -> list[tuple[int, str]]:
    """Return woman and side of the films with a card that `wanted` accepts."""
    women = range(1, plan.BLOCK + 1)
    return [(w, side) for w in women for side in SIDES if any(map(wanted, getattr(plan.case(seed, w), side)))]


def circles(drawn) -> list[tuple[int, int, int]]:
    """Return row, column and radius of the lesions that a film's rows give a place."""
    whole = [[int(word) for word in row.split()[4:]] for row in drawn.rows if row[-1].isdigit()]
    return [(1023 - y, x, radius) for x, y, radius in whole]


# Determinism and layout


def test_seed_woman_and_side_each_make_another_film_and_the_same_make_the_same(small):
    drawn = [film(*key).pixels for key in ((3, 2, "left"), (4, 2, "left"), (3, 3, "left"), (3, 2, "right"))]
    assert len({f.tobytes() for f in drawn}) == 4
    assert (small / "mdb004.pgm").read_bytes() == b"P5\n1024 1024\n255\n" + drawn[0].tobytes()


def test_a_film_does_not_depend_on_the_number_of_women(tmp_path, small):
    three = phantom.write(tmp_path / "three", women=3, seed=3)
    for name in ("mdb001.pgm", "mdb004.pgm"):
        assert (three / name).read_bytes() == (small / name).read_bytes()


def test_the_layout_is_that_of_mini_mias_and_mias_reads_it(small):
    assert sorted(p.name for p in small.iterdir()) == [
        "Info.txt", "Licence.txt", "mdb001.pgm", "mdb002.pgm", "mdb003.pgm", "mdb004.pgm",
    ]  # fmt: skip
    lines = (small / "Info.txt").read_text().splitlines()
    rows = [line for line in lines if re.match(r"mdb\d", line)]
    assert rows and all(ROW.fullmatch(row) for row in rows)
    assert rows == [row for woman in (1, 2) for side in SIDES for row in film(3, woman, side).rows]
    assert "none may be used for anything clinical" in " ".join(" ".join(lines).split())
    assert "MIT" in (small / "Licence.txt").read_text()
    loaded = mias.load(small)
    assert [f.reference for f in loaded] == ["mdb001", "mdb002", "mdb003", "mdb004"]
    for one in loaded:
        assert (one.pixels() == film(3, one.woman, one.side).pixels).all()


# Anatomy


def test_both_sides_of_a_woman_are_alike_and_mirrored(cohort):
    def breast(pixels):
        return pixels[360:].astype(float) > 40

    same, others = [], []
    for right, left in zip(cohort[0::2], cohort[1::2], strict=True):
        assert tissue(right) == tissue(left)
        same.append(np.corrcoef(breast(right.pixels[:, ::-1]).ravel(), breast(left.pixels).ravel())[0, 1])
        as_it_lies = np.corrcoef(breast(right.pixels).ravel(), breast(left.pixels).ravel())[0, 1]
        assert as_it_lies < same[-1]
    for a, b in zip(cohort[1::2], cohort[3::2], strict=False):
        others.append(np.corrcoef(breast(a.pixels).ravel(), breast(b.pixels).ravel())[0, 1])
    assert np.median(same) > 0.9 and np.median(same) > np.median(others) + 0.1


def test_films_are_centred_on_black_with_the_chest_wall_on_the_right_side(cohort):
    for one, side in zip(cohort, SIDES * 12, strict=True):
        lit = np.flatnonzero((one.pixels > 0).mean(axis=0) > 0.2)
        assert (one.pixels[:, : lit[0] - 60] == 0).all()
        halves = one.pixels[:, :512].mean(), one.pixels[:, 512:].mean()
        assert halves[0] < halves[1] if side == "right" else halves[0] > halves[1]
        assert 0.4 < (one.pixels <= 10).mean() < 0.85


def test_dense_breasts_are_brighter_than_fatty_ones(cohort):
    level = {t: np.mean([f.pixels[f.pixels > 60].mean() for f in cohort if tissue(f) == t]) for t in "FGD"}
    assert level["F"] < level["D"]


def test_the_power_spectrum_falls_like_that_of_a_breast():
    rng = np.random.default_rng(0)
    noise = fields.power_noise(rng, 256, b=3.0)
    assert abs(noise.mean()) < 1e-3 and 0.5 < noise.std() < 1.6
    power = np.abs(np.fft.fft2(noise)) ** 2
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
    k = np.arange(4, 100)
    ring = [power[np.abs(f * 256 - i) < 0.5].mean() for i in k]
    assert -np.polyfit(np.log(k), np.log(ring), 1)[0] == pytest.approx(3, abs=0.15)


# Lesions


def test_annotated_circles_lie_within_the_matrix_as_mias_demands(tmp_path):
    rows = [row for woman, side in find(11, lambda card: True)[:8] for row in film(11, woman, side).rows]
    (tmp_path / "Info.txt").write_text("\n".join(rows))
    lesions = [lesion for _, _, lesions in read_info(tmp_path / "Info.txt") for lesion in lesions]
    assert len(lesions) == len(rows) and all(lesion.radius >= 3 for lesion in lesions if lesion.located)


def test_masses_are_brighter_than_their_surroundings():
    contrast = []
    y, x = np.mgrid[:1024, :1024]
    for woman, side in find(2, lambda card: card.kind in ("CIRC", "SPIC", "MISC", "ASYM") and not card.quirk)[:10]:
        drawn = film(2, woman, side)
        for row, column, radius in circles(drawn):
            away = np.hypot(y - row, x - column) / radius
            ring = drawn.pixels[(away > 1.1) & (away < 1.5) & (drawn.pixels > 20)]
            contrast.append(drawn.pixels[away < 0.5].mean() - ring.mean())
    assert np.mean(contrast) > 8 and np.mean(np.array(contrast) > 0) > 0.6


# Statistics: of the plan, which costs nothing, and of one block of what goes wrong on purpose


def test_the_plan_has_the_mix_of_the_real_set():
    cases = [plan.case(0, woman) for woman in range(1, 161)]
    sides = [hand for c in cases for hand in (c.right, c.left)]
    cards = [card for hand in sides for card in hand]
    assert np.mean([not hand for hand in sides]) == pytest.approx(0.64, abs=0.01)
    assert 0.5 < np.mean([card.severity == "B" for card in cards]) < 0.62
    kinds = collections.Counter(card.kind for card in cards)
    assert kinds.most_common(1)[0][0] == "CALC" and min(kinds.values()) > 0.08 * len(cards)
    tissue = collections.Counter(c.tissue for c in cases)
    assert min(tissue.values()) > 0.3 * len(cases)
    assert any(c.left and c.right for c in cases)


@pytest.mark.parametrize("seed", range(4))
def test_forty_women_always_hold_everything_the_audit_looks_for(seed):
    cases = [plan.case(seed, woman) for woman in range(1, 41)]
    hands = [hand for c in cases for hand in (c.right, c.left) if hand]
    quirks = {card.quirk for hand in hands for card in hand}
    assert quirks >= {"unplaced", "spread", "large", "edge", "astray", "speck"}
    assert any(len(hand) == 3 for hand in hands)
    assert any({card.severity for card in hand} == {"B", "M"} for hand in hands)
    first = {card.severity for c in cases[:6] for hand in (c.right, c.left) for card in hand}
    assert first == {"B", "M"}


def test_planted_faults_are_what_they_should_be():
    drawn = {}
    for name in ("unplaced", "spread", "large", "edge", "astray", "speck"):
        (woman, side), *_ = find(1, lambda card, name=name: card.quirk == name)
        drawn[name] = film(1, woman, side)
    placed = {name: circles(one) for name, one in drawn.items()}
    assert 128 < placed["large"][0][2] <= 197
    assert not 128 <= placed["edge"][0][0] <= 1024 - 128
    assert re.fullmatch(r"mdb\d{3} [FGD] CIRC B", drawn["unplaced"].rows[0])
    assert drawn["spread"].rows[0].endswith("CALC M *NOTE 3*")
    for name in ("astray", "speck"):
        ((row, column, radius),) = placed[name]
        box = drawn[name].pixels[row - radius : row + radius, column - radius : column + radius]
        assert (box <= 10).mean() > 0.5
    assert placed["speck"][0][2] == 3


# Whole or not at all


def test_a_complete_set_is_found_again_and_a_damaged_one_drawn_anew(tmp_path):
    folder = phantom.ensure(tmp_path / "cache", 1, 7)
    stamp = (folder / "mdb001.pgm").stat().st_mtime_ns
    assert str(writing.VERSION) in folder.name and "seed-7" in folder.name
    assert phantom.ensure(tmp_path / "cache", 1, 7) == folder
    assert (folder / "mdb001.pgm").stat().st_mtime_ns == stamp
    assert phantom.write(folder, women=1, seed=7) == folder
    (folder / "mdb001.pgm").write_bytes(b"P5")
    assert not writing.is_whole(folder, 1, 7)
    phantom.ensure(tmp_path / "cache", 1, 7)
    assert writing.is_whole(folder, 1, 7)
    assert [p.name for p in (tmp_path / "cache").iterdir()] == [folder.name]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interruption_leaves_nothing(tmp_path, monkeypatch, error):
    drawn = film(0, 1, "right")
    calls = []

    def fail(seed, woman, side):
        calls.append(woman)
        if len(calls) == 3:
            raise error
        return drawn

    monkeypatch.setattr("mammolib.phantom.films.film", fail)
    message = "set: the phantoms could not be written: No space" if isinstance(error, OSError) else None
    with pytest.raises(OSError if message else KeyboardInterrupt, match=message):
        phantom.write(tmp_path / "set", women=30)
    assert list(tmp_path.iterdir()) == []
    assert len(calls) < 30


def test_two_at_once_share_one_result(tmp_path, monkeypatch):
    drawn = film(0, 1, "right")
    both = threading.Barrier(2)

    def slow(seed, woman, side):
        both.wait(10)
        return drawn._replace(reference=f"mdb{2 * woman - 1 + SIDES.index(side):03d}")

    monkeypatch.setattr("mammolib.phantom.films.film", slow)
    results = []
    askers = [threading.Thread(target=lambda: results.append(phantom.ensure(tmp_path, 1, 0))) for _ in range(2)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(30)
    assert len(results) == 2 and results[0] == results[1] and writing.is_whole(results[0], 1, 0)
    assert [p.name for p in tmp_path.iterdir()] == [results[0].name]


def test_other_files_and_sets_are_left_alone(tmp_path, small):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine.txt").write_text("keep")
    (tmp_path / "file").write_text("keep")
    for folder in (tmp_path / "set", tmp_path / "file", small):
        with pytest.raises(FileExistsError, match=f"{folder.name}: exists and is not this phantom set"):
            phantom.write(folder, women=1, seed=3)
    assert (tmp_path / "set" / "mine.txt").read_text() == "keep"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "set"]
    assert writing.is_whole(small, 2, 3) and not writing.is_whole(small, 2, 4) and not writing.is_whole(small, 1, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"women": 0}, "women: must be a whole number, at least 1, got 0"),
        ({"women": 2.5}, "women: must be a whole number, at least 1, got 2.5"),
        ({"women": 500}, "women: must be at most 499, got 500"),
        ({"seed": -1}, "seed: must be a whole number, at least 0, got -1"),
        ({"seed": True}, "seed: must be a whole number, at least 0, got True"),
    ],
)
def test_bad_arguments_are_named(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        phantom.write(tmp_path / "set", **arguments)
    assert list(tmp_path.iterdir()) == []
