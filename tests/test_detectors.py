"""Detectors of whole films: on a film drawn by hand each finds what it should, and says it in the film's own pixels."""

import functools
import importlib.util
import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from standin import Film, lesion

from mammolib import mias
from mammolib.detectors import efficientnet
from mammolib.detectors.breast import CELL, MOST, cut_out, peaks
from mammolib.detectors.classical import Filter, Position, afum, brightness, sensitivity
from mammolib.detectors.ensemble import BothBreasts, Rate
from mammolib.detectors.features import Cells, Eye, fit_linear
from mammolib.experiments import rungs
from mammolib.geometry import Detections

SIDE = mias.SIDE
pretrained = pytest.mark.skipif(
    importlib.util.find_spec(efficientnet.PACKAGE) is None, reason="ImageNet's weights are not installed"
)


class Drawn(Film):
    """A half disc of tissue at the left or right edge, noise in it, bright discs where the lesions are."""

    def pixels(self):
        return drawn(self.number, self.lesions)


@functools.lru_cache(maxsize=64)
def drawn(number, lesions):
    rows, columns = np.mgrid[:SIDE, :SIDE]
    depth = columns if number % 2 else SIDE - 1 - columns
    noise = np.random.default_rng(number).normal(0, 10, (SIDE // 4, SIDE // 4))
    tissue = ndimage.gaussian_filter(noise, 1.5).repeat(4, axis=0).repeat(4, axis=1) * 4 + 90
    film = np.where(np.hypot(rows - 512, depth) < 420, tissue, 2)
    for spot in (spot for spot in lesions if spot.located):
        film += 70 * np.exp(-((rows - spot.row) ** 2 + (columns - spot.column) ** 2) / (2 * (spot.radius / 2) ** 2))
    film[40:90, 460:560] = 255  # a label in the background
    return film.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def films():
    """24 films of 12 women; every second woman has a lesion in one breast."""
    made = []
    rng = np.random.default_rng(0)
    for number in range(1, 25):
        x, y = rng.integers(80, 250), rng.integers(330, 700)
        spots = [lesion(int(y), int(x if number % 2 else SIDE - 1 - x), 40)] if number % 4 == 1 else []
        made.append(Drawn(number, tuple(spots), (SIDE, SIDE)))
    return made


def test_the_breast_is_cut_out_and_turned_to_the_left(films):
    for film in films[:2]:
        breast = cut_out(film)
        assert breast.mirrored == (film.number % 2 == 0)
        assert breast.inside[:, 0].any() and not breast.inside[:, -100:].any()
        assert not breast.inside[10:23, 115:140].any(), "the label is no breast"
        area = breast.inside.sum() * 16 / (np.pi * 420**2 / 2)
        assert 0.93 < area < 1.0
        assert breast.column(breast.column(17)) == 17

    class Black(Film):
        def pixels(self):
            return np.zeros((SIDE, SIDE), np.uint8)

    with pytest.raises(ValueError, match="mdb001: no breast"):
        cut_out(Black(1, (), (SIDE, SIDE)))


def test_peaks_are_those_of_a_loop():
    score = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=(40, 40)), 1)
    score[:5] = -np.inf
    found = peaks(score, 3, cell=1, most=1000)
    expected = [
        (r, c)
        for r in range(40)
        for c in range(40)
        if np.isfinite(score[r, c])
        and all(
            score[r, c] >= score[y, x]
            for y in range(max(0, r - 3), min(40, r + 4))
            for x in range(max(0, c - 3), min(40, c + 4))
            if (y - r) ** 2 + (x - c) ** 2 <= 9
        )
    ]
    assert sorted((found[:, :2] - 0.5).tolist()) == [list(place) for place in expected]
    assert (np.diff(found[:, 2]) <= 0).all()


def test_afum_answers_one_on_a_peak_and_little_on_a_slope(films):
    breast = cut_out(films[0])
    rows, columns = np.mgrid[:256, :256]
    peak = 200 - np.hypot(rows - 128, columns - 128)
    object.__setattr__(breast, "reduced", peak.astype(np.float32))
    answer = afum(breast, (12, 3))
    assert answer[128, 128] == 1
    assert answer[128, 200] < 0.55, "half of every ring is darker, at the most"


@pytest.mark.parametrize(
    "rung", ["brightness", *(pytest.param(rung, marks=pytest.mark.slow) for rung in ("afum", "laplacian", "features"))]
)
def test_a_detector_finds_bright_discs_of_women_it_has_not_seen(films, rung):
    found = rungs.detector(rung).fit(films[:16]).predict(films[16:])
    assert sensitivity(films[16:], found, 1) == 1
    assert set(found.label) == {1} and len(found) > 2
    again = rungs.detector(rung).fit(films[:16]).predict(films[16:])
    assert np.array_equal(found.box, again.box) and np.array_equal(found.confidence, again.confidence)
    assert np.bincount(found.image).max() <= 30


def test_a_position_looks_at_no_pixel(films):
    one = Position().fit(films[:16])
    found = one.predict(films[17:19])
    first, second = (found.box[found.image == i] for i in (0, 1))
    centre = [(b[:, 0] + b[:, 2]) / 2 for b in (first, second)]
    assert np.allclose(centre[0], SIDE - 1 - centre[1], atol=16), "the same places, mirrored"


def test_the_setting_is_chosen_on_the_films_of_training_alone(films):
    asked = []

    def answer(breast, sigma):
        asked.append(sigma)
        return brightness(breast, sigma) if sigma == 8 else np.zeros_like(breast.reduced)

    assert Filter(answer, (1, 8)).fit(films[:8]).choice == 8


def test_cells_lie_where_the_lesion_is(films):
    cells = Cells(films[:4], Eye())
    spot = films[0].lesions[0]
    rows, columns = np.nonzero(cells.seen[0].breast.cells)
    on = cells.lesion[0] == 0
    away = np.hypot((columns[on] + 0.5) * CELL - spot.column, (rows[on] + 0.5) * CELL - spot.row)
    assert on.any() and away.max() <= 40
    assert (cells.lesion[1] == -1).all() and cells.near[0].sum() > on.sum()


def test_hard_negatives_never_lie_near_a_lesion_and_unplaced_films_give_none(films):
    unplaced = Drawn(2, (mias.Lesion("CIRC", "B"),), (SIDE, SIDE))
    cells = Cells([films[0], unplaced], Eye())
    assert cells.free == [0]
    linear = fit_linear(cells, [0, 1], 1e-2)
    assert linear(cells, 0).shape == cells.near[0].shape


def test_features_are_kept_and_the_same_afterwards(films, tmp_path):
    first = Eye(False, tmp_path)(films[0])
    (path,) = tmp_path.iterdir()
    again = Eye(False, tmp_path)(films[0])
    assert np.array_equal(first.hand, again.hand) and path.suffix == ".npz"
    assert first.hand.shape == (first.breast.cells.sum(), 23) and np.isfinite(first.hand).all()


def test_a_rate_counts_false_marks_a_film(films):
    cells, spot = Cells(films[:2], Eye()), films[0].lesions[0]
    marks = [
        np.array([[spot.row, spot.column, 9.0], [600, 150, 3], [400, 60, 1]]),
        np.array([[600, 150, 4.0], [400, 60, 2]]),
    ]
    rate = Rate.of(cells, marks)
    assert len(rate.scores) == 4 and rate.films == 2
    assert rate(np.array([1.0, 3.0])).tolist() == [2.0, 1.0]  # 4 and 2 of them, on two films
    assert 0 < rate(np.array([6.0]))[0] < rate(np.array([5.0]))[0] < 0.5


def test_a_rung_is_recorded_and_goes_on_where_it_was(films, tmp_path, monkeypatch):
    monkeypatch.setattr(rungs, "REPEATS", 1)
    data = {"name": "phantom", "digest": mias.digest(films), "films": len(films)}
    said = []
    record = rungs.run_rung("benchmark-position", films, data=data, store=tmp_path, say=said.append)
    assert len(said) == 5 and record.metrics["lesions"]["value"] == 6
    next(tmp_path.glob("benchmark/*/repeat-0-fold-2.json")).unlink()
    next(tmp_path.glob("benchmark-position-*.json")).unlink()
    again = rungs.run_rung("benchmark-position", films, data=data, store=tmp_path, say=said.append)
    assert len(said) == 6 and again.outputs["predictions"] == record.outputs["predictions"]
    with pytest.raises(ValueError, match="mdb900: the benchmark's folds do not name"):
        rungs.run_rung("benchmark-position", [Film(900, (), (SIDE, SIDE))], data={}, store=tmp_path)


# ImageNet's weights


@pretrained
def test_the_network_recognises_what_imagenet_taught_it():
    """Oracle: a cat, a cup of espresso and a rocket of scikit-image, through ImageNet's own last layer."""
    from PIL import Image
    from skimage import data

    folder = Path(importlib.util.find_spec(efficientnet.PACKAGE).origin).parent
    with open(folder / "models" / efficientnet.FILE, "rb") as file:
        state = efficientnet.read_state(file)
    network = efficientnet.pretrained((32,))
    for name, known in (("chelsea", {281, 282, 285}), ("coffee", {967, 968}), ("rocket", {657})):
        image = Image.fromarray(getattr(data, name)())
        side = min(image.size)
        left, top = (image.size[0] - side) // 2, (image.size[1] - side) // 2
        image = image.crop((left, top, left + side, top + side)).resize((224, 224))
        features = np.asarray(network((np.asarray(image, np.float32)[None] - 127) / 128))[0]
        head = features @ state["_conv_head.weight"][:, :, 0, 0].T
        spread = np.sqrt(state["_bn1.running_var"] + 1e-3)
        head = (head - state["_bn1.running_mean"]) / spread * state["_bn1.weight"] + state["_bn1.bias"]
        scores = state["_fc.weight"] @ head.clip(0, 6).mean(axis=(0, 1)) + state["_fc.bias"]
        assert int(scores.argmax()) in known, name


@pretrained
def test_a_file_that_is_not_the_known_one_is_refused(monkeypatch):
    monkeypatch.setattr(efficientnet, "SHA256", "0" * 64)
    with pytest.raises(ValueError, match=r"\.pth: SHA-256 579344248a93.* expected 000000000000"):
        efficientnet.pretrained()


def test_no_code_of_a_pickle_is_run():
    evil = pickle.dumps(print, protocol=2)
    with pytest.raises(ValueError, match="asks for __builtin__.print"):
        efficientnet.read_state(io.BytesIO(evil))


@pretrained
@pytest.mark.slow
def test_both_breasts_learn_and_a_woman_is_marked_the_same_whoever_else_is_shown(films):
    many = []
    for film in films:  # folds inside need a woman of each class in each fold
        kind = "CALC" if film.number % 8 == 1 else "CIRC"
        spots = tuple(mias.Lesion(kind, "B", s.row, s.column, s.radius) for s in film.lesions)
        many.append(Drawn(film.number, spots, (SIDE, SIDE)))
    one = BothBreasts(Eye(True)).fit(many)
    found = one.predict(many)
    assert one.choice[0] in (1e-4, 1e-3) and sensitivity(many, found, 1) == 1
    alone = one.predict(many[:2])
    assert np.array_equal(alone.box, found.box[found.image < 2])
    assert np.array_equal(alone.confidence, found.confidence[found.image < 2])


@pretrained
@pytest.mark.slow
def test_the_fine_maps_are_those_of_strides_4_and_8_at_full_size(films):
    """Oracle: a maximum is at least the mean, a spread at least 0, and the means at stride 8 are there twice."""
    cells = Cells(films[:1], Eye(True))
    ((maps, _),) = [cells.seen[0].maps]
    fine = cells.views(0, fine=True)[0][:, :-23]
    assert maps.shape[1:] == (1568,) == (3 * 472 + 152,) and fine.shape[1:] == (152,) and np.isfinite(maps).all()
    assert (fine[:, :24] >= fine[:, 24:48]).all() and (fine[:, 48:72] >= 0).all()
    assert (fine[:, 72:112] >= fine[:, 112:]).all()
    assert np.array_equal(fine[:, 112:], maps[:, :40])


def test_a_mark_off_the_film_is_none(films, monkeypatch):
    from mammolib.detectors import windows
    from mammolib.detectors.ssd_windows import Windows

    boxes = np.array([[1000.0, 900, 1040, 940], [1010, 900, 1040, 940], [-30, 5, 20, 9], [10, 10, 20, 20]])
    marked = Detections(np.array([0, 0, 1, 1]), np.array([1, 2, 1, 1]), np.array([0.2, 0.9, 0.8, 0.7]), boxes)
    monkeypatch.setattr(windows, "detect_films", lambda *args, **options: marked)
    one = Windows()
    one.model = None
    found = one.predict(films[:2])
    assert found.box.tolist() == [boxes[0].tolist(), boxes[3].tolist()] and set(found.label) == {1}


@pytest.mark.slow
def test_windows_of_an_ssd_mark_films(films):
    """Oracle: the best marks of either class that the learnt network finds on each film shown by itself."""
    from mammolib.detectors.ssd_windows import Windows
    from mammolib.detectors.windows import detect

    one = Windows(updates=1).fit(films[:6])
    found = one.predict(films[6:8])
    assert set(found.image) == {0, 1} and set(found.label) == {1}
    for i, film in enumerate(films[6:8]):
        best = detect(one.model, film, top_before=400)
        centre = (best.box[:, :2] + best.box[:, 2:]) / 2
        on = ((centre >= 0) & (centre <= 1024)).all(axis=1)
        assert on.sum() >= MOST
        assert np.array_equal(np.sort(found.confidence[found.image == i]), np.sort(best.confidence[on])[-MOST:])
    on = Windows(start=one.learnt, updates=1).fit(films[:6])
    assert [w.shape for w in on.learnt] == [w.shape for w in one.learnt]
    assert any(not np.array_equal(a, b) for a, b in zip(on.learnt, one.learnt, strict=True))


def test_a_picture_is_marked_by_a_rung_and_too_large_a_one_refused(films, tmp_path):
    from PIL import Image

    from mammolib.detectors.windows import detect_file

    one = rungs.detector("laplacian").fit(films[:8])
    path = tmp_path / "film.png"
    Image.fromarray(films[8].pixels()[:, :700]).resize((700, 1024)).save(path)
    report = detect_file(path, one, tmp_path / "marked.png", confidence=0.5, spacing=0.2, name="laplacian")
    spot, best = films[8].lesions[0], report.found.box[np.argmax(report.found.confidence)]
    assert np.hypot((best[0] + best[2]) / 2 - spot.column, (best[1] + best[3]) / 2 - spot.row) < spot.radius
    assert report.classes == ("lesion",) and (tmp_path / "marked.png").is_file()
    with pytest.raises(ValueError, match=r"film.png: 1750 x 2560 pixels of 0.2 mm; this detector takes up to"):
        detect_file(path, one, spacing=0.5)
