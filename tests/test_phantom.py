"""Phantoms: determinism, layout, anatomy, lesions, statistics, and writing whole or not at all."""

from __future__ import annotations

import collections
import re
import threading

import numpy as np
import pytest

from mammolib import phantom
from mammolib.phantom import fields, films, plan, writing

ROW = re.compile(r"mdb\d{3} [FGD] (NORM |(CALC|CIRC|SPIC|MISC|ARCH|ASYM) [BM]( \d+ \d+ \d+| \*NOTE 3\*)?)")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Return a folder with two women."""
    return phantom.write(tmp_path_factory.mktemp("phantom") / "two", women=2, seed=3)


@pytest.fixture(scope="module")
def cohort():
    """Return the films of the first 12 women of one seed."""
    return [phantom.film(5, woman, side) for woman in range(1, 13) for side in phantom.SIDES]


def find(seed: int, wanted, blocks: int = 1) -> list[tuple[int, str]]:
    """Return woman and side of the films with a card that `wanted` accepts."""
    found = []
    for woman in range(1, blocks * plan.BLOCK + 1):
        for side in phantom.SIDES:
            if any(wanted(card) for card in getattr(phantom.case(seed, woman), side)):
                found.append((woman, side))
    return found


# Determinism


def test_the_same_seed_gives_the_same_film(small):
    film = phantom.film(3, 2, "left")
    assert (film.pixels == phantom.film(3, 2, "left").pixels).all()
    stored = np.frombuffer((small / "mdb004.pgm").read_bytes()[-(1024**2) :], np.uint8).reshape(1024, 1024)
    assert (film.pixels == stored).all()


def test_seed_woman_and_side_each_make_another_film():
    films_ = [phantom.film(*key).pixels for key in ((3, 2, "left"), (4, 2, "left"), (3, 3, "left"), (3, 2, "right"))]
    assert len({f.tobytes() for f in films_}) == 4


def test_a_film_does_not_depend_on_the_number_of_women(tmp_path, small):
    three = phantom.write(tmp_path / "three", women=3, seed=3)
    for name in ("mdb001.pgm", "mdb004.pgm"):
        assert (three / name).read_bytes() == (small / name).read_bytes()


# Layout


def test_the_layout_is_that_of_mini_mias(small):
    assert sorted(p.name for p in small.iterdir()) == [
        "Info.txt", "Licence.txt", "mdb001.pgm", "mdb002.pgm", "mdb003.pgm", "mdb004.pgm",
    ]  # fmt: skip
    blob = (small / "mdb001.pgm").read_bytes()
    assert blob.startswith(b"P5\n1024 1024\n255\n") and len(blob) == 17 + 1024**2
    lines = (small / "Info.txt").read_text().splitlines()
    rows = [line for line in lines if re.match(r"mdb\d", line)]
    assert rows and all(ROW.fullmatch(row) for row in rows)
    assert [row[:6] for row in rows] == sorted(row[:6] for row in rows)
    assert {row[:6] for row in rows} == {"mdb001", "mdb002", "mdb003", "mdb004"}
    assert "none may be used for anything clinical" in " ".join(" ".join(lines).split())
    assert "MIT" in (small / "Licence.txt").read_text()


def test_rows_count_y_from_the_bottom_and_leave_out_what_is_not_known():
    def rows(*marks):
        return phantom.info_rows(phantom.PhantomFilm("mdb001", "G", np.zeros((1, 1), np.uint8), marks))

    assert rows() == ["mdb001 G NORM "]
    assert rows(phantom.Mark("CIRC", "B", row=623, column=300, radius=50)) == ["mdb001 G CIRC B 300 400 50"]
    assert rows(phantom.Mark("CALC", "M", widespread=True)) == ["mdb001 G CALC M *NOTE 3*"]
    assert rows(phantom.Mark("CIRC", "B")) == ["mdb001 G CIRC B"]
    assert len(rows(phantom.Mark("CALC", "B", 5, 5, 3), phantom.Mark("CALC", "B", 9, 9, 3))) == 2


def test_mias_reads_what_is_written(small):
    mias = pytest.importorskip("mammolib.mias")
    loaded = mias.load(small)
    assert [f.reference for f in loaded] == ["mdb001", "mdb002", "mdb003", "mdb004"]
    for film, side in zip(loaded, ("right", "left") * 2, strict=True):
        drawn = phantom.film(3, film.woman, side)
        assert film.side == side and film.tissue == drawn.tissue
        assert (film.pixels() == drawn.pixels).all()
        assert [(q.kind, q.severity, q.row, q.column, q.radius) for q in film.lesions] == [
            (q.kind, q.severity, q.row, q.column, q.radius) for q in drawn.marks
        ]


# Anatomy


def test_both_sides_of_a_woman_are_alike_and_mirrored(cohort):
    def breast(pixels):
        return pixels[360:].astype(float) > 40

    same, others = [], []
    for right, left in zip(cohort[0::2], cohort[1::2], strict=True):
        assert right.tissue == left.tissue
        same.append(np.corrcoef(breast(right.pixels[:, ::-1]).ravel(), breast(left.pixels).ravel())[0, 1])
        as_it_lies = np.corrcoef(breast(right.pixels).ravel(), breast(left.pixels).ravel())[0, 1]
        assert as_it_lies < same[-1]
    for a, b in zip(cohort[1::2], cohort[3::2], strict=False):
        others.append(np.corrcoef(breast(a.pixels).ravel(), breast(b.pixels).ravel())[0, 1])
    assert np.median(same) > 0.9 and np.median(same) > np.median(others) + 0.1


def test_films_are_centred_on_black_with_the_chest_wall_on_the_right_side(cohort):
    for film, side in zip(cohort, ("right", "left") * 12, strict=True):
        lit = np.flatnonzero((film.pixels > 0).mean(axis=0) > 0.2)
        assert (film.pixels[:, : lit[0] - 60] == 0).all()
        halves = film.pixels[:, :512].mean(), film.pixels[:, 512:].mean()
        assert halves[0] < halves[1] if side == "right" else halves[0] > halves[1]
        assert 0.4 < (film.pixels <= 10).mean() < 0.85


def test_dense_breasts_are_brighter_than_fatty_ones(cohort):
    level = {t: np.mean([f.pixels[f.pixels > 60].mean() for f in cohort if f.tissue == t]) for t in "FGD"}
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


def test_doubling_keeps_a_ramp():
    ramp = np.add.outer(3 * np.arange(8), 2 * np.arange(6)).astype(np.float32)
    out = fields.double(ramp)
    assert out.shape == (16, 12)
    inner = out[2:-3, 2:-3]
    assert np.allclose(np.diff(inner, axis=0), 1.5) and np.allclose(np.diff(inner, axis=1), 1.0)
    assert np.allclose(out[2:-3:2, 2:-3:2], ramp[1:-1, 1:-1][: len(out[2:-3:2])])


# Lesions


def test_annotated_circles_lie_within_the_matrix():
    for woman, side in find(11, lambda card: True)[:8]:
        for mark in phantom.film(11, woman, side).marks:
            if mark.row is not None:
                assert min(mark.row, mark.column, 1023 - mark.row, 1023 - mark.column) >= mark.radius >= 3


def test_masses_are_brighter_than_their_surroundings():
    contrast = []
    wanted = find(2, lambda card: card.kind in ("CIRC", "SPIC", "MISC", "ASYM") and not card.quirk)[:10]
    for woman, side in wanted:
        film = phantom.film(2, woman, side)
        y, x = np.mgrid[:1024, :1024]
        for mark in film.marks:
            away = np.hypot(y - mark.row, x - mark.column) / mark.radius
            ring = film.pixels[(away > 1.1) & (away < 1.5) & (film.pixels > 20)]
            contrast.append(film.pixels[away < 0.5].mean() - ring.mean())
    assert np.mean(contrast) > 8 and np.mean(np.array(contrast) > 0) > 0.6


def test_painting_changes_the_film_where_the_circle_is_and_not_elsewhere():
    woman, side = find(2, lambda card: card.kind == "CIRC" and not card.quirk)[0]
    drawn, painted = [], []
    original = films.lesions.paint

    def watch(rng, card, breast, spot):
        before = breast.attenuation.copy()
        original(rng, card, breast, spot)
        drawn.append(np.abs(breast.attenuation - before))
        painted.append(spot)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(films.lesions, "paint", watch)
        phantom.film(2, woman, side)
    for change, spot in zip(drawn, painted, strict=True):
        y, x = np.ogrid[: change.shape[0], : change.shape[1]]
        away = np.hypot(y - spot.row, x - spot.column) / spot.radius
        assert change[away < 0.5].mean() > 0.05 and change[away > 3].max() == 0


# Statistics: of the plan, which costs nothing, and of one block of what goes wrong on purpose


def test_the_plan_has_the_mix_of_the_real_set():
    cases = [phantom.case(0, woman) for woman in range(1, 161)]
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
    cases = [phantom.case(seed, woman) for woman in range(1, 41)]
    hands = [hand for c in cases for hand in (c.right, c.left) if hand]
    quirks = {card.quirk for hand in hands for card in hand}
    assert quirks >= {"unplaced", "spread", "large", "edge", "astray", "speck"}
    assert any(len(hand) == 3 for hand in hands)
    assert any({card.severity for card in hand} == {"B", "M"} for hand in hands)
    first = {card.severity for c in cases[:6] for hand in (c.right, c.left) for card in hand}
    assert first == {"B", "M"}


def test_planted_faults_are_what_they_should_be():
    quirks = {}
    for name in ("unplaced", "spread", "large", "edge", "astray", "speck"):
        (woman, side), *_ = find(1, lambda card, name=name: card.quirk == name)
        quirks[name] = phantom.film(1, woman, side)
    (large,), (edge,) = quirks["large"].marks, quirks["edge"].marks
    assert 128 < large.radius <= 197
    assert not 128 <= edge.row <= 1024 - 128
    assert quirks["unplaced"].marks[0].row is None and not quirks["unplaced"].marks[0].widespread
    assert quirks["spread"].marks[0].widespread
    for name in ("astray", "speck"):
        (mark,) = quirks[name].marks
        box = np.s_[
            mark.row - mark.radius : mark.row + mark.radius, mark.column - mark.radius : mark.column + mark.radius
        ]
        assert (quirks[name].pixels[box] <= 10).mean() > 0.5
    assert quirks["speck"].marks[0].radius == 3


# Whole or not at all


def test_a_complete_set_is_found_again_and_a_damaged_one_drawn_anew(tmp_path):
    folder = phantom.ensure(tmp_path / "cache", 1, 7)
    stamp = (folder / "mdb001.pgm").stat().st_mtime_ns
    assert str(phantom.VERSION) in folder.name and "seed-7" in folder.name
    assert phantom.ensure(tmp_path / "cache", 1, 7) == folder
    assert (folder / "mdb001.pgm").stat().st_mtime_ns == stamp
    assert phantom.write(folder, women=1, seed=7) == folder
    (folder / "mdb001.pgm").write_bytes(b"P5")
    assert not phantom.is_whole(folder, 1, 7)
    phantom.ensure(tmp_path / "cache", 1, 7)
    assert phantom.is_whole(folder, 1, 7)
    assert [p.name for p in (tmp_path / "cache").iterdir()] == [folder.name]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interruption_leaves_nothing(tmp_path, monkeypatch, error):
    drawn = phantom.film(0, 1, "right")
    calls = []

    def fail(seed, woman, side):
        calls.append(woman)
        if len(calls) == 3:
            raise error
        return drawn

    monkeypatch.setattr(writing, "film", fail)
    message = "set: the phantoms could not be written: No space" if isinstance(error, OSError) else None
    with pytest.raises(OSError if message else KeyboardInterrupt, match=message):
        phantom.write(tmp_path / "set", women=30)
    assert list(tmp_path.iterdir()) == []
    assert len(calls) < 30


def test_two_at_once_share_one_result(tmp_path, monkeypatch):
    drawn = phantom.film(0, 1, "right")
    both = threading.Barrier(2)

    def slow(seed, woman, side):
        both.wait(10)
        return phantom.PhantomFilm(f"mdb{2 * woman - 1 + phantom.SIDES.index(side):03d}", "F", drawn.pixels, ())

    monkeypatch.setattr(writing, "film", slow)
    results = []
    askers = [threading.Thread(target=lambda: results.append(phantom.ensure(tmp_path, 1, 0))) for _ in range(2)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(30)
    assert len(results) == 2 and results[0] == results[1] and phantom.is_whole(results[0], 1, 0)
    assert [p.name for p in tmp_path.iterdir()] == [results[0].name]


def test_other_files_are_left_alone(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine.txt").write_text("keep")
    with pytest.raises(FileExistsError, match="set: exists and is not this phantom set"):
        phantom.write(tmp_path / "set", women=1)
    assert (tmp_path / "set" / "mine.txt").read_text() == "keep"
    assert [p.name for p in tmp_path.iterdir()] == ["set"]
    (tmp_path / "file").write_text("keep")
    with pytest.raises(FileExistsError, match="file"):
        phantom.write(tmp_path / "file", women=1)


def test_another_seed_is_not_taken_for_this_one(small):
    assert phantom.is_whole(small, 2, 3)
    assert not phantom.is_whole(small, 2, 4) and not phantom.is_whole(small, 1, 3)
    with pytest.raises(FileExistsError):
        phantom.write(small, women=2, seed=4)


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


def test_a_bad_film_is_named():
    with pytest.raises(ValueError, match="^side: must be 'right' or 'left', got 'up'$"):
        phantom.film(0, 1, "up")
    with pytest.raises(ValueError, match="^woman: must be a whole number, at least 1, got 0$"):
        phantom.film(0, 0, "left")
