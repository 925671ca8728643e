"""From a file to boxes: windows, merging, pictures of every kind, weights of every kind."""

import json
import re

import keras
import numpy as np
import pytest
from PIL import Image

from mammolib.detectors.pictures import at_film_scale, draw
from mammolib.detectors.windows import NOTICE, detect, detect_file, detect_films, from_arrays, load_detector, windows
from mammolib.geometry import Detections, iou
from mammolib.images import read_grey
from mammolib.mias import Film
from mammolib.ssd import default_boxes, predict
from mammolib.ssd.model import L2Normalise, ssd256, ssd300

NARROW = 1 / 16


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return ssd256(width=NARROW, divide_by=64, name="small")


@keras.saving.register_keras_serializable("test")
class Finder(keras.layers.Layer):
    """Answers with the default box of the cell whose centre is white, so that a film can be built to be found."""

    def call(self, x):
        y = keras.ops.cast(x[:, 4::8, 4::8, 0] > 200, "float32")  # the pixel at the centre of each of 32 x 32 cells
        logit = keras.ops.reshape(keras.ops.repeat(y[..., None], 4, axis=-1), (-1, 4096, 1)) * 20 - 10
        logit = keras.ops.pad(logit, [(0, 0), (0, 6132 - 4096), (0, 0)], constant_values=-10.0)
        return keras.ops.concatenate([-logit, logit, logit * 0 - 10] + [logit * 0] * 4, axis=-1)


@pytest.fixture(scope="module")
def finder():
    start = keras.Input((256, 256, 1))
    return keras.Model(start, Finder()(start), name="finder")


def test_windows_cover_every_pixel_and_leave_out_the_dark():
    for shape in ((1024, 1024), (300, 700), (256, 256), (100, 50), (1000, 257)):
        pixels = np.full(shape, 100, np.uint8)
        seen = np.zeros(shape, bool)
        for row, column in windows(pixels):
            assert row >= 0 and column >= 0
            seen[row : row + 256, column : column + 256] = True
        assert seen.all()
    assert len(windows(np.full((1024, 1024), 100))) == 49
    half = np.zeros((1024, 1024), np.uint8)
    half[:, :300] = 100
    assert set(windows(half)[:, 1]) == {0, 128, 256} and len(windows(half * 0)) == 0
    with pytest.raises(ValueError, match="film: expected a greyscale image, got shape"):
        windows(np.zeros((4, 4, 3)))
    with pytest.raises(ValueError, match="stride: must lie in 1 to 256, got 300"):
        windows(np.zeros((512, 512)), stride=300)


def test_what_several_windows_see_is_reported_once_at_its_place(finder):
    film = np.full((1024, 1024), 100, np.uint8)
    places = [(300, 420), (900, 44), (4, 1020)]  # row, column; centres of cells in every window
    for row, column in places:
        film[row, column] = 255
    found = detect(finder, film)
    assert found.label.tolist() == [1, 1, 1]
    centres = {tuple(v) for v in ((found.box[:, :2] + found.box[:, 2:]) / 2).round().astype(int)[:, ::-1]}
    assert centres == set(places)
    alone = predict(finder, film[None, 256:512, 384:640])
    assert len(alone) == 1  # four shapes answer in one cell, suppression leaves one
    np.testing.assert_allclose(alone.box[0] + [384, 256, 384, 256], found.box[1], atol=1e-4)


def test_a_film_smaller_than_a_window_and_films_in_a_row(finder, tmp_path):
    small, normal = np.full((100, 140), 100, np.uint8), np.full((1024, 1024), 100, np.uint8)
    small[44, 60] = normal[300, 420] = 255
    (tmp_path / "mdb001.pgm").write_bytes(b"P5\n1024 1024\n255\n" + normal.tobytes())
    film = Film("mdb001", "G", (), tmp_path / "mdb001.pgm")
    found = detect_films(finder, [small, np.zeros((300, 300), np.uint8), film])
    assert found.image.tolist() == [0, 2]
    np.testing.assert_array_equal(found.box[1:], detect(finder, normal).box)
    assert len(detect_films(finder, [])) == 0


def test_predictions_do_not_depend_on_the_batch_and_want_grey_images_of_the_networks_size(model):
    images = np.random.default_rng(0).integers(0, 256, (5, 256, 256), dtype=np.uint8)
    one, all_ = predict(model, images, batch=1, top=20), predict(model, images, batch=32, top=20)
    assert one.image.tolist() == all_.image.tolist() == sorted(one.image)
    np.testing.assert_allclose(one.box, all_.box, atol=1e-2)
    assert len(predict(model, images[:0])) == 0
    for shape in ((2, 128, 128), (2, 256, 256, 3), (256, 256)):
        with pytest.raises(ValueError, match=r"images: expected \(N, 256, 256\) grey levels for 'small', got"):
            predict(model, np.zeros(shape))
    grey = np.full((1, 300, 300), 90, np.uint8)  # a colour network is shown grey in three channels
    assert len(predict(ssd300(classes=2, width=NARROW), grey, top=3)) == 3


def save(path, pixels, mode=None):
    Image.fromarray(pixels, mode).save(path)
    return path


def test_eight_bits_are_taken_as_they_are_and_sixteen_by_percentiles(tmp_path):
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    deep = np.linspace(1000, 3000, 10_000).astype(np.uint16).reshape(100, 100)
    deep[0, 0] = 65535  # one hot pixel must not darken the rest
    for name in ("a.png", "a.pgm", "a.tif"):
        grey = read_grey(save(tmp_path / name, pixels))
        np.testing.assert_array_equal(grey.bytes(), pixels)
        assert grey.spacing is None
    colour = read_grey(save(tmp_path / "c.png", np.repeat(pixels[..., None], 3, axis=2)))
    np.testing.assert_array_equal(colour.bytes(), pixels)
    for name in ("a.png", "a.pgm"):
        shown = read_grey(save(tmp_path / name, deep)).bytes()
        assert shown.dtype == np.uint8 and int(shown[50, 50]) == pytest.approx(128, abs=2)
        assert (shown.min(), shown.max()) == (0, 255)
    assert not read_grey(save(tmp_path / "flat.png", np.full((8, 8), 4000, np.uint16))).bytes().any()


def dicom(path, pixels, photometric="MONOCHROME2", **tags):
    pydicom = pytest.importorskip("pydicom")
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.2", "1.2.3"
    data = pydicom.dataset.FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    if pixels is not None:
        bits = tags.pop("BitsStored", 8 * pixels.itemsize)
        data.Rows, data.Columns = pixels.shape[-2:]
        data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, photometric, 0
        data.BitsAllocated, data.BitsStored, data.HighBit = 8 * pixels.itemsize, bits, bits - 1
        data.PixelData = pixels.tobytes()
        if pixels.ndim == 3:
            data.NumberOfFrames = len(pixels)
    for name, value in tags.items():
        setattr(data, name, value)
    data.save_as(path, enforce_file_format=True)
    return path


def test_dicom_follows_its_window(tmp_path):
    pixels = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    window = {"BitsStored": 12, "WindowCenter": 2048, "WindowWidth": 1024, "PixelSpacing": [0.1, 0.05]}
    grey = read_grey(dicom(tmp_path / "a.dcm", pixels, **window))
    flat = grey.bytes().reshape(-1).astype(int)
    assert grey.spacing == (0.1, 0.05)
    assert flat[:1536].max() == 0 and flat[2560:].min() == 255
    np.testing.assert_allclose(flat[1536:2560], (np.arange(1024)) * 255 / 1023, atol=0.51)
    inverted = read_grey(dicom(tmp_path / "b.dcm", pixels, "MONOCHROME1", **window))
    np.testing.assert_array_equal(inverted.bytes(), 255 - grey.bytes())
    bent = read_grey(dicom(tmp_path / "c.dcm", pixels, VOILUTFunction="SIGMOID", **window)).bytes().reshape(-1)
    assert bent[2048] == 128 and 0 < bent[1536] < 40
    scaled = {**window, "RescaleSlope": 2, "RescaleIntercept": -2048}
    assert read_grey(dicom(tmp_path / "d.dcm", pixels, **scaled)).bytes().reshape(-1)[2048] == 128


def test_dicom_without_a_window_goes_by_percentiles_of_what_is_no_padding_or_by_its_table(tmp_path):
    pixels = np.linspace(1000, 2000, 4096).astype(np.uint16).reshape(64, 64)
    pixels[:, :32] = 0
    shown = read_grey(dicom(tmp_path / "a.dcm", pixels, "MONOCHROME1", PixelPaddingValue=0)).bytes()
    assert not shown[:, :32].any()
    assert shown[0, 32:].min() > 200 and shown[-1, 32:].max() < 60
    small = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(read_grey(dicom(tmp_path / "b.dcm", small)).bytes(), small)
    table = pytest.importorskip("pydicom").dataset.Dataset()
    table.add_new("LUTDescriptor", "US", [4, 10, 8])
    table.add_new("LUTData", "US", [0, 100, 200, 255])
    pixels = np.array([[9, 10, 11], [12, 13, 99]], np.uint16)
    shown = read_grey(dicom(tmp_path / "c.dcm", pixels, VOILUTSequence=[table])).bytes()
    assert shown.tolist() == [[0, 0, 100], [200, 255, 255]]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("missing.png", None, "there is no such file"),
        ("text.png", b"no picture", "cannot be read as a picture"),
        ("empty.pgm", b"", "cannot be read as a picture"),
        ("short.pgm", b"P5\n64 64\n255\n" + b"\0" * 10, "cannot be read as a picture"),
        ("bad.dcm", b"no dicom", "cannot be read as DICOM"),
        ("bare.dcm", (None,), "this DICOM file holds no pixels"),
        ("colour.dcm", (np.zeros((8, 8), np.uint8), "RGB"), "a DICOM picture in RGB"),
        ("frames.dcm", (np.zeros((3, 8, 8), np.uint8),), "give one with a single frame"),
        ("coded.dcm", (np.zeros((8, 8), np.uint8),), "its pixels cannot be decoded"),
    ],
)
def test_pictures_that_are_none_are_named(tmp_path, name, content, says):
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif content:
        dicom(tmp_path / name, *content, **({"Rows": 9} if name == "coded.dcm" else {}))
    with pytest.raises((ValueError, FileNotFoundError), match=says) as err:
        read_grey(tmp_path / name)
    assert name in str(err.value) and "\n" not in str(err.value)


def test_a_picture_is_brought_to_the_films_scale(tmp_path):
    picture = np.full((400, 600), 50, np.uint8)
    pixels = at_film_scale(picture, (0.1, 0.05), tmp_path)
    assert pixels.shape == (200, 150) and (pixels == 50).all()
    assert at_film_scale(picture, None, tmp_path).shape == (683, 1024)
    film = np.zeros((1024, 1024), np.uint8)
    assert at_film_scale(film, None, tmp_path) is film
    with pytest.raises(ValueError, match="check its spacing, 50 mm x 50 mm"):
        at_film_scale(picture, (50, 50), tmp_path)
    with pytest.raises(ValueError, match="spacing: must be a positive number of millimetres, got -1"):
        at_film_scale(picture, (-1, -1), tmp_path)


def test_a_file_is_examined_reported_and_drawn(finder, tmp_path):
    pixels = np.full((512, 768), 100, np.uint8)
    pixels[180:192, 404:416] = 255  # half as large: around the centre of a cell, row 92 and column 204
    image = save(tmp_path / "film.png", np.ascontiguousarray(pixels))
    report = detect_file(image, finder, tmp_path / "out.png", spacing=0.1)
    assert report.examined == (256, 384)
    assert len(report.found) == 1
    half = 512 * default_boxes()[0, 2] / 2  # the smallest square, twice as large on the picture
    np.testing.assert_allclose(report.found.box[0], [408 - half, 184 - half, 408 + half, 184 + half], atol=1e-4)
    assert report.table().endswith(NOTICE)
    data = json.loads(report.json())
    assert data["notice"] == NOTICE and data["detections"][0]["class"] == "benign"
    drawn = np.asarray(Image.open(tmp_path / "out.png"))
    assert drawn.shape[1] == 768 and drawn.shape[0] > 512
    assert (drawn[..., 0] != drawn[..., 2]).any()
    nothing = detect_file(save(tmp_path / "even.png", np.full((512, 768), 100, np.uint8)), finder, confidence=0.99)
    assert "nothing found with a confidence above 0.99" in nothing.table() and nothing.table().endswith(NOTICE)
    for dark in (pixels * 0, pixels // 255):
        unseen = detect_file(save(tmp_path / "dark.png", dark), finder)
        assert unseen.windows == 0 and "no window was examined" in unseen.table()
    with pytest.raises(ValueError, match="these end at 1 or below"):
        detect(finder, pixels / 255.0)
    for bad in (30, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="confidence: must lie between 0 and 1"):
            detect_file(image, finder, confidence=bad)


def test_a_drawing_is_written_whole_or_not_at_all(tmp_path, monkeypatch, finder):
    image = save(tmp_path / "a.png", np.full((300, 300), 90, np.uint8))
    with pytest.raises(ValueError, match="would overwrite the picture itself"):
        detect_file(image, finder, image)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        detect_file(image, finder, tmp_path / "none" / "out.png")
    out = tmp_path / "out.png"
    out.write_bytes(b"older")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="No space left"):
        draw(np.zeros((20, 20), np.uint8), Detections(), ("benign", "malignant"), NOTICE, out)
    assert out.read_bytes() == b"older"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "out.png"]


def test_boxes_of_a_file_end_at_its_border(model, tmp_path):
    image = save(tmp_path / "a.png", np.random.default_rng(0).integers(50, 200, (300, 260), dtype=np.uint8))
    box = detect_file(image, model, confidence=0.01).found.box
    assert len(box) and box.min() >= 0 and (box <= [260, 300, 260, 300]).all()
    assert (box[:, 2:] > box[:, :2]).all()
    assert iou(box, box).max() <= 1


@pytest.mark.parametrize("separable", [False, True])
def test_weights_of_every_kind_give_the_same_network(tmp_path, separable):
    keras.utils.set_random_seed(1)
    model = ssd256(classes=3, width=NARROW, separable=separable, divide_by=64, mean=(90, 91, 92))
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.weights.h5")
    x = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 1)).astype("float32")
    expected = model.predict_on_batch(x)
    named = [(w.path, keras.ops.convert_to_numpy(w)) for w in model.weights]
    for again in (
        load_detector(tmp_path / "m.keras"),
        load_detector(tmp_path / "m.weights.h5"),
        from_arrays(named, divide_by=64, mean=(90, 91, 92)),
    ):
        np.testing.assert_allclose(again.predict_on_batch(x), expected, atol=1e-5)
    other = ssd256(classes=3, width=NARROW, separable=separable)
    with pytest.raises(ValueError, match="layer centre: the weights learnt with mean .* and divide_by 64"):
        other.load_weights(tmp_path / "m.weights.h5")


def test_weights_that_do_not_fit_name_the_layer(model):
    named = [(w.path, keras.ops.convert_to_numpy(w)) for w in model.weights]
    cases = {
        "run: layer conv5_2 has weights of shapes": [(p, v[..., :3] if "conv5_2/k" in p else v) for p, v in named],
        "run: layer conv7_1 has weights of shapes \\[\\]": [(p, v) for p, v in named if not p.startswith("conv7_1/")],
        "run: holds a layer extra, which": [*named, ("extra/kernel", np.zeros(3))],
        "run: holds no layer conv1_1, so these are not": [("dense/kernel", np.zeros((2, 2)))],
    }
    for says, weights in cases.items():
        with pytest.raises(ValueError, match=says):
            from_arrays(weights, "run")


def test_a_file_without_weights_of_an_ssd_is_refused(tmp_path, model):
    start = keras.Input((8, 8, 1))
    keras.Model(start, L2Normalise()(start), name="other").save(tmp_path / "b.keras")
    broken = keras.models.clone_model(model)
    broken.set_weights([np.full_like(v, np.nan) for v in model.get_weights()])
    broken.save(tmp_path / "nan.keras")
    for name, says in {
        "a.keras": "cannot be read as a Keras model",
        "a.weights.h5": "cannot be read as Keras weights",
        "a.npz": "weights come as .keras or .weights.h5 files",
        "b.keras": "'other' maps",
        "nan.keras": "nan.keras: .* holds a number that is not finite",
        "none.keras": "there is no such file of weights",
    }.items():
        if name.startswith("a."):
            (tmp_path / name).write_bytes(b"x")
        with pytest.raises((ValueError, FileNotFoundError), match=says):
            load_detector(tmp_path / name)


@pytest.mark.parametrize(
    "damage", ["scalar", "link", "soft link", "huge", "elsewhere", "nan", "words", "row", "centre"]
)
def test_weights_that_are_not_in_the_file_are_refused_in_one_line(tmp_path, model, damage):
    import h5py

    path, other = tmp_path / "m.weights.h5", tmp_path / "other.h5"
    model.save_weights(path)
    with h5py.File(other, "w") as file:
        file["secret"] = np.zeros((3, 3, 1, 8), np.float32)
    with h5py.File(path, "a") as file:
        groups = []
        file.visititems(lambda _, g: groups.append(g) if isinstance(g, h5py.Group) and "name" in g.attrs else None)
        (group,) = [g for g in groups if g.attrs["name"] == "conv9_2"]
        (centre,) = [g for g in groups if "divide_by" in g]
        place, key = (centre, "divide_by") if damage == "centre" else (group, "first" if damage == "row" else "0")
        shape = group["0"].shape
        if damage != "row":
            del place[key]
        values = {
            "scalar": 1.0,
            "link": h5py.ExternalLink("other.h5", "secret"),
            "soft link": h5py.SoftLink("/nowhere"),
            "nan": np.full(shape, np.nan, np.float32),
            "words": np.full(shape, b"x"),
            "row": np.zeros(3),
            "centre": np.zeros(3),
        }
        if damage == "huge":
            place.create_dataset(key, (10**6, 10**6), "f4", chunks=True)
        elif damage == "elsewhere":
            place.create_dataset(key, shape, "f4", external=[(str(other), 0, h5py.h5f.UNLIMITED)])
        else:
            place[key] = values[damage]
    with pytest.raises(ValueError, match=re.escape(str(path))) as err:
        load_detector(path)
    assert "\n" not in str(err.value)


def test_the_command_takes_a_file_or_the_folder_of_a_run(tmp_path, model):
    from click.testing import CliRunner

    from mammolib.cli import main
    from mammolib.training import export_weights

    image = save(tmp_path / "a.png", np.random.default_rng(0).integers(50, 200, (300, 260), dtype=np.uint8))
    model.save(tmp_path / "m.keras")
    export_weights(model, tmp_path / "run" / "weights")
    (tmp_path / "run" / "weights" / "model.json").write_text(model.to_json())
    export_weights(model, tmp_path / "bare")
    outputs = []
    for weights, more in (("m.keras", []), ("run", []), ("bare", ["--divide-by", "64"])):
        out = tmp_path / f"{weights}.png"
        args = ["detect", str(image), "--weights", str(tmp_path / weights), "-o", str(out), "--json", *more]
        run = CliRunner().invoke(main, args)
        assert run.exit_code == 0, run.output
        outputs.append([d["class"] for d in json.loads(run.stdout)["detections"]])
        assert out.exists()
    assert len(outputs[0]) and abs(len(outputs[0]) - len(outputs[1])) < 10  # half precision moves a few
    table = CliRunner().invoke(main, ["detect", str(image), "--weights", str(tmp_path / "m.keras")])
    assert NOTICE in table.output
    run = CliRunner().invoke(main, ["detect", str(image), "--weights", str(tmp_path / "nowhere.keras")])
    assert run.exit_code == 1 and "nowhere.keras: there is no such file of weights" in run.output
