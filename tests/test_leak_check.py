"""The check of a split: what was planted is found, and nothing else is."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from mammolib import leak_check, mias, phantom
from mammolib.geometry import DIHEDRAL


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> list[np.ndarray]:
    folder = tmp_path_factory.mktemp("phantoms")
    phantom.write(folder / "films", women=30)
    return [film.pixels() for film in mias.load(folder / "films")]


@pytest.fixture(scope="module")
def crops(films) -> list[np.ndarray]:
    """1,000 pieces of phantom films that do not overlap, of 128 x 128, with tissue on them."""
    tiles = [film[y : y + 128, x : x + 128] for film in films for y in range(0, 1024, 128) for x in range(0, 1024, 128)]
    tiles = [tile for tile in tiles if (tile > 10).mean() > 0.7]
    assert len(tiles) >= 1000
    return tiles[:1000]


def save(pixels, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, **options)
    return path


def found(folder, **options):
    return [(leak.kind, leak.first.rsplit("/")[-1], leak.second.rsplit("/")[-1], leak.detail) for leak in
            leak_check.check(leak_check.items(folder, **options))]  # fmt: skip


@pytest.mark.slow
def test_every_copy_is_found_and_nothing_else(crops, tmp_path):
    """Identical files, the eight views, JPEG of quality 60 and more, and sizes of half and more: all of them."""
    rng = np.random.default_rng(0)
    expected = []
    for number, crop in enumerate(crops):
        save(crop, tmp_path / ("train" if number < 500 else "test") / f"{number:04d}.png")
    for number in rng.choice(500, 60, replace=False):
        crop, view = crops[number], int(rng.integers(8))
        how = rng.integers(4)
        turned, name = DIHEDRAL[view].image(crop), f"copy-{number:04d}"
        if how == 3:
            side = int(rng.integers(64, 128))
            small = Image.fromarray(np.ascontiguousarray(turned)).resize((side, side), Image.Resampling.BILINEAR)
            turned = np.asarray(small)
        ending, options = ("jpg", {"quality": int(rng.integers(60, 96))}) if how == 2 else ("png", {})
        path = save(turned if how else crop, tmp_path / "test" / f"{name}.{ending}", **options)
        expected.append((path.name, f"{number:04d}.png"))
    assert sorted((a, b) for _, a, b, _ in found(tmp_path)) == sorted(expected)


def test_whole_films_are_not_taken_for_each_other(films, tmp_path):
    """At 32 x 32 the edge of the breast is most of what is seen: such pairs are looked at again, finer."""
    for number, film in enumerate(films[:10]):
        save(film, tmp_path / "data" / ("left" if number % 2 else "right") / f"{number}.png")
    listed = leak_check.items(tmp_path / "data")
    assert leak_check.check(listed) == []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leak_check, "_still_alike", lambda *_: True)
        assert leak_check.check(listed), "without the second look there are false alarms"
    save(films[0].T, tmp_path / "data" / "left" / "copy.jpg", quality=60)
    assert [kind for kind, *_ in found(tmp_path / "data")] == ["copy"]


def test_kinds_and_views_are_named(crops, tmp_path):
    for view, symmetry in enumerate(DIHEDRAL):
        save(crops[view], tmp_path / "a" / f"{view}.png")
        save(symmetry.image(crops[view]), tmp_path / "b" / f"view-{view}.png")
    kinds = {first: (kind, detail) for kind, first, _, detail in found(tmp_path)}
    assert kinds["0.png"] == ("same file", "")
    assert kinds["2.png"] == ("same picture", "the second is the first turned by 180 degrees")
    assert kinds["4.png"] == ("same picture", "the second is the first flipped top to bottom")
    assert kinds["7.png"][1] == "the second is the first turned by 270 degrees, then flipped top to bottom"
    save(crops[20], tmp_path / "a" / "same.png")
    save(crops[21], tmp_path / "b" / "SAME.PNG")
    assert ("same name", "same.png", "SAME.PNG", "") in found(tmp_path)


def test_groups_are_known_from_a_column_or_a_pattern_only(crops, tmp_path):
    for part, number in (("train", 0), ("test", 1)):
        save(crops[number], tmp_path / part / f"woman7-{part}.png")
    assert found(tmp_path) == []
    assert found(tmp_path, group_pattern=r"woman(\d+)") == [("same group", "woman7-test.png", "woman7-train.png", "7")]
    table = tmp_path / "list.csv"
    table.write_text("path,part,group\ntrain/woman7-train.png,train,x\ntest/woman7-test.png,test,x\n")
    assert [kind for kind, *_ in found(table)] == ["same group"]
    table.write_text("path,part\ntrain/woman7-train.png,train\ntest/woman7-test.png,test\n")
    assert found(table) == []


def test_blank_and_tiny_pictures_do_not_match_others(tmp_path):
    for part in ("a", "b"):
        save(np.full((64, 64), 7 if part == "a" else 200, np.uint8), tmp_path / part / f"{part}-blank.png")
        save(np.arange(9, dtype=np.uint8).reshape(3, 3) * (1 + (part == "b")), tmp_path / part / f"{part}-tiny.png")
    assert found(tmp_path) == []


def test_bad_input_is_one_line_that_names_it(tmp_path):
    for name, text, says in (
        ("none", None, "no such folder"),
        (".", None, "fewer than two parts"),
        ("list.csv", "file,part\na.png,x\n", "columns path, part"),
        ("list.csv", "path,part\nnone.png,x\n", "line 2: there is no file"),
        ("list.csv", "path,part\n,x\n", "line 2: path or part is empty"),
        ("list.csv", "path,part\nM\xfcller.png,x\n", "line 2: there is no file"),
    ):
        if text:
            (tmp_path / name).write_text(text, encoding="latin-1")
        with pytest.raises(ValueError, match=says):
            leak_check.items(tmp_path / name)
    for part in ("a", "b"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "x.png").write_bytes(b"not a picture" + part.encode())
    with pytest.raises(ValueError, match="x.png: cannot be read as a picture"):
        leak_check.check(leak_check.items(tmp_path))
    with pytest.raises(ValueError, match="regular expression"):
        leak_check.items(tmp_path, "(")


def test_the_command_needs_no_framework_and_says_so_by_its_status(crops, tmp_path):
    save(crops[0], tmp_path / "data" / "train" / "<b>.png")
    save(crops[0].T, tmp_path / "data" / "test" / "t.png")
    code = (
        "import sys; from mammolib.leak_check import main; status = main(sys.argv[1:]); "
        "assert not {'tensorflow', 'keras', 'jax'} & set(sys.modules); sys.exit(status)"
    )

    def run(*options):
        command = [sys.executable, "-c", code, str(tmp_path / "data"), *options]
        return subprocess.run(command, capture_output=True, text=True, env=os.environ)

    done = run("--html", str(tmp_path / "pairs.html"))
    assert done.returncode == 1 and "1 pairs lie on two sides" in done.stdout and "test: 1 of 1" in done.stdout
    page = (tmp_path / "pairs.html").read_text()
    assert page.count("<img") == 2 and "&lt;b&gt;" in page and "<b>" not in page and "http" not in page
    leaks = json.loads(run("--json").stdout)
    assert leaks[0]["kind"] == "same picture" and leaks[0]["parts"] == ["test", "train"]
    (tmp_path / "data" / "test" / "t.png").unlink()
    save(crops[1], tmp_path / "data" / "test" / "u.png")
    done = run()
    assert done.returncode == 0 and "nothing lies on two sides" in done.stdout
    assert run("--group-pattern", "(").returncode == 2


@pytest.mark.slow
def test_no_two_films_of_mini_mias_are_copies(real_films):
    """Left and right films, and the films of women dealt to two sides: as the chapter on the leak says."""
    listed = [leak_check.Item(film.path, "left" if i % 2 else "right") for i, film in enumerate(real_films)]
    assert leak_check.check(listed) == []
