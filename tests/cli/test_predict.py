"""`predict`: every kind of input, against the library's own answers and a network written in torch."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
import torch
from PIL import Image

import coreml_updatable as cu
from coreml_updatable.data.fitting import scale_to_fit, stretch
from coreml_updatable.runtime.coreml import largest_difference
from coreml_updatable.spec.io import read_model, write_model
from tests.cli.conftest import LABELS, SIDE, Ran, Run, noise


def _rows(ran: Ran) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ran.out.splitlines()]


def _torch_probabilities(model: Path, pictures: list[Image.Image]) -> Any:
    head = next(layer for layer in read_model(model).neuralNetworkClassifier.layers if layer.name == "head")
    weights = torch.tensor(list(head.innerProduct.weights.floatValue)).reshape(len(LABELS), -1)
    flat = torch.tensor(np.stack([np.asarray(picture).transpose(2, 0, 1).ravel() / 255 for picture in pictures]))
    return torch.softmax(flat.float() @ weights.T, 1).numpy()


def _shares(row: dict[str, Any]) -> dict[str, float]:
    (shares,) = [value for value in row.values() if isinstance(value, dict)]
    return shares


def _probabilities(row: dict[str, Any]) -> list[float]:
    return [_shares(row)[label] for label in LABELS]


def test_folders_of_pictures_against_torch(run: Run, picture_model: Path, photos: Path) -> None:
    ran = run("predict", picture_model, photos, "--json")
    rows = _rows(ran)
    assert ran.status == 0
    assert [Path(row["input"]).stem for row in rows] == ["a", "b", "c", "d", "e"]
    expected = _torch_probabilities(picture_model, [noise(index) for index in range(5)])
    actual = np.array([_probabilities(row) for row in rows])
    assert np.allclose(actual, expected, atol=1e-6)
    assert [row["label"] for row in rows] == [LABELS[number] for number in expected.argmax(1)]
    assert ran.err == ""


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "heic"])
def test_every_format_of_picture(run: Run, picture_model: Path, tmp_path: Path, suffix: str) -> None:
    """Smooth pictures survive every codec; their answers are those of the pixels that were stored."""
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    picture = Image.fromarray(np.stack([np.tile(ramp, (64, 1))] * 3, 2))
    path = tmp_path / f"picture.{suffix}"
    pillow_heif.register_heif_opener()
    picture.save(path, quality=95)
    (row,) = _rows(run("predict", picture_model, path, "--json"))
    expected = _torch_probabilities(picture_model, [picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)])[0]
    assert np.allclose(_probabilities(row), expected, atol=0.02)


def test_orientation_is_honoured(run: Run, picture_model: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: shown right, the stored picture is rotated clockwise by 90 degrees
    noise(3).save(tmp_path / "turned.png", exif=exif)
    (row,) = _rows(run("predict", picture_model, tmp_path / "turned.png", "--json"))
    upright = noise(3).transpose(Image.Transpose.ROTATE_270)
    assert np.allclose(_probabilities(row), _torch_probabilities(picture_model, [upright])[0], atol=1e-6)


def test_pictures_are_fitted_as_asked(run: Run, picture_model: Path, tmp_path: Path) -> None:
    wide = noise(4, 3 * SIDE, SIDE)
    wide.save(tmp_path / "wide.png")
    expected = {
        "centerCrop": wide.crop((SIDE, 0, 2 * SIDE, SIDE)),
        "scaleFit": scale_to_fit(wide, SIDE, SIDE),
        "scaleFill": stretch(wide, SIDE, SIDE),
    }
    for fit, picture in expected.items():
        ran = run("predict", picture_model, tmp_path / "wide.png", "--json", "--fit", fit)
        assert np.allclose(
            _probabilities(_rows(ran)[0]), _torch_probabilities(picture_model, [picture])[0], atol=1e-6
        ), fit
        assert ran.err == f"pictures of another size: {fit}\n"


@pytest.mark.parametrize(("crop", "fit"), [("scaleFill", stretch), ("scaleFit", scale_to_fit), ("centerCrop", None)])
def test_pictures_are_fitted_as_the_metadata_say(
    run: Run, picture_model: Path, tmp_path: Path, crop: str, fit: Any
) -> None:
    """As training used it: a build writes its crop into the model, and apps read it there."""
    model = read_model(picture_model)
    model.description.metadata.userDefined["coreml_updatable.crop"] = crop
    write_model(model, tmp_path / "model.mlmodel")
    wide = noise(4, 3 * SIDE, SIDE)
    wide.save(tmp_path / "wide.png")
    expected = wide.crop((SIDE, 0, 2 * SIDE, SIDE)) if fit is None else fit(wide, SIDE, SIDE)
    ran = run("predict", tmp_path / "model.mlmodel", tmp_path / "wide.png", "--json")
    assert np.allclose(_probabilities(_rows(ran)[0]), _torch_probabilities(picture_model, [expected])[0], atol=1e-6)


def test_unreadable_pictures_are_named_and_the_rest_answered(run: Run, picture_model: Path, photos: Path) -> None:
    broken = photos / "blue" / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff no picture")
    (photos / "notes.txt").write_text("not a picture, and not asked for")
    ran = run("predict", picture_model, photos, photos / "missing.png", photos / "notes.txt", "--json")
    assert ran.status == 1
    assert len(_rows(ran)) == 5
    assert f"coreml-updatable: {broken}: " in ran.err
    assert f"{photos / 'missing.png'}: does not exist; check the path" in ran.err
    assert f"{photos / 'notes.txt'}: has an unsupported type" in ran.err
    assert "Traceback" not in ran.err


def _vectors() -> Any:
    return np.random.default_rng(5).normal(size=(6, 4)).astype(np.float32)


def _library(model: Path) -> list[dict[str, Any]]:
    return cu.load(model).predict([{"x": vector} for vector in _vectors()])


def _write_vectors(folder: Path, kind: str) -> Path:
    path = folder / f"rows.{kind}"
    if kind == "npy":
        np.save(path, _vectors())
    elif kind == "json":
        path.write_text(json.dumps([{"x": vector.tolist()} for vector in _vectors()]))
    else:
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([["x"], *([json.dumps(vector.tolist())] for vector in _vectors())])
    return path


@pytest.mark.parametrize("model", ["vector_model", "neighbor_model"])
@pytest.mark.parametrize("kind", ["npy", "json", "csv"])
def test_rows_in_files_answer_as_the_library(
    run: Run, request: pytest.FixtureRequest, tmp_path: Path, kind: str, model: str
) -> None:
    path = request.getfixturevalue(model)
    ran = run("predict", path, _write_vectors(tmp_path, kind), "--json")
    assert ran.status == 0, ran.err
    for row, expected in zip(_rows(ran), _library(path), strict=True):
        del row["input"]
        assert row.pop("engine", "").startswith("torch " if model == "vector_model" else "")
        assert row.keys() == expected.keys()
        assert row["label"] == expected["label"]
        for name, value in expected.items():
            if isinstance(value, dict):
                assert row[name] == pytest.approx(value)


def test_one_row(run: Run, vector_model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", _vectors()[0])
    (tmp_path / "one.json").write_text(json.dumps({"x": _vectors()[0].tolist()}))
    one, other = _rows(run("predict", vector_model, tmp_path / "one.npy", tmp_path / "one.json", "--json"))
    assert one.pop("input") == str(tmp_path / "one.npy")
    assert other.pop("input") == str(tmp_path / "one.json")
    assert one == other


def test_pictures_named_in_a_table(run: Run, picture_model: Path, photos: Path) -> None:
    (photos / "rows.csv").write_text("image\nblue/a.png\nred/e.png\n")
    (photos / "rows.json").write_text(json.dumps([{"image": "blue/a.png"}, {"image": "red/e.png"}]))
    ran = run("predict", picture_model, photos / "rows.csv", photos / "rows.json", "--json")
    rows = _rows(ran)
    expected = _torch_probabilities(picture_model, [noise(0), noise(4)] * 2)
    assert np.allclose([_probabilities(row) for row in rows], expected, atol=1e-6)
    assert rows[1]["input"] == f"{photos / 'rows.csv'}:3"


def test_a_table_cannot_reach_out_of_its_folder(run: Run, picture_model: Path, photos: Path) -> None:
    (photos / "red" / "rows.json").write_text(json.dumps({"image": "../blue/a.png"}))
    ran = run("predict", picture_model, photos / "red" / "rows.json")
    assert ran.status == 1
    assert "'../blue/a.png' is outside the file's folder; move the picture there" in ran.err


def test_the_table_shows_the_greatest_probabilities(run: Run, picture_model: Path, photos: Path) -> None:
    ran = run("predict", picture_model, photos / "blue", "--top", 2)
    header, *lines = ran.out.splitlines()
    assert header.split()[:2] == ["input", "label"]
    library = cu.load(picture_model).predict([{"image": noise(0)}, {"image": noise(1)}])
    for line, expected in zip(lines, library, strict=True):
        greatest = sorted(_shares(expected).items(), key=lambda share: -share[1])[:2]
        assert line.rstrip().endswith(", ".join(f"{label} {share:.3f}" for label, share in greatest))
        assert f" {expected['label']} " in line


def test_json_can_be_limited_too(run: Run, picture_model: Path, photos: Path) -> None:
    (row,) = _rows(run("predict", picture_model, photos / "green", "--json", "--top", 1))
    assert list(_shares(row)) == [row["label"]]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("rows.json", '{"x": [1, 2, 3', "is not valid JSON (line 1: "),
        ("rows.json", "[" * 100_000, "too deep, or a number too long"),
        (
            "rows.json",
            "[1]",
            'rows.json[0]: is an int, expected an object from feature names to values; write {"x": ...}',
        ),
        ("rows.json", '[{"x": [1, 2, 3, NaN]}]', "rows.json[0]: feature 'x': is NaN at [3]"),
        ("rows.json", '[{"x": [1, 2, 3]}]', "rows.json[0]: feature 'x': has the shape [3], but the model expects [4]"),
        ("rows.json", '[{"x": "salad"}]', "rows.json[0]: feature 'x': is a str, expected numbers"),
        ("rows.json", "[{}]", "rows.json[0]: feature 'x' is missing; the model reads 'x'"),
        ("rows.json", '[{"x": [1, 2, 3, 4], "y": 1}]', "rows.json[0]: the model has no feature 'y'"),
        ("rows.csv", 'x\n"[1, 2, 3, 4]",5\n', "rows.csv:2: has 2 cells, but the first line has 1; quote cells"),
        ("rows.csv", "x\nsalad\n", "rows.csv:2: 'x': is 'salad', expected a number or a JSON list of numbers"),
        ("rows.csv", "x,x\n1,2\n", "the first line is ['x', 'x'], expected the name of each feature once"),
        ("rows.csv", 'x\n"open', "is not a table (unexpected end of data)"),
        ("rows.csv", "", "the first line is empty, expected the name of each feature once"),
        ("rows.npy", "no array", "is not an array of numbers ("),
        ("photo.png", "no picture", "is a picture, but the model reads 'x'; pass .npy, .json or .csv"),
    ],
)
def test_what_is_wrong_with_a_row_is_said(
    run: Run, vector_model: Path, tmp_path: Path, name: str, content: str, sentence: str
) -> None:
    (tmp_path / name).write_text(content)
    ran = run("predict", vector_model, tmp_path / name)
    assert ran.status == 1
    assert sentence in ran.err
    assert len(ran.err.splitlines()) == 1
    assert ran.out == ""


def test_only_the_bad_row_is_left_out(run: Run, vector_model: Path, tmp_path: Path) -> None:
    rows = [{"x": [1, 2, 3, 4]}, {"x": [1]}, {"x": [4, 3, 2, 1]}]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    ran = run("predict", vector_model, tmp_path / "rows.json", "--json")
    assert ran.status == 1
    assert [row["input"][-3:] for row in _rows(ran)] == ["[0]", "[2]"]


@pytest.mark.parametrize("shape", [(), (2, 2, 4)])
def test_an_array_of_another_rank(run: Run, neighbor_model: Path, tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "rows.npy", np.zeros(shape, np.float32))
    ran = run("predict", neighbor_model, tmp_path / "rows.npy")
    assert ran.status == 1
    assert f"has the shape {list(shape)}, expected 1 axes for one row of 'x' or 2 for many; reshape it" in ran.err


def test_arrays_of_objects_are_not_unpickled(run: Run, vector_model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.array([{"x": 1}], object), allow_pickle=True)
    ran = run("predict", vector_model, tmp_path / "rows.npy")
    assert ran.status == 1
    assert "is not an array of numbers (" in ran.err


def test_an_array_that_declares_more_than_it_holds(run: Run, vector_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "rows.npy"
    np.save(path, np.zeros((2, 4), np.float32))
    path.write_bytes(path.read_bytes().replace(b"(2, 4), }          ", b"(2000000000000, 4)}"))
    ran = run("predict", vector_model, path)
    assert ran.status == 1
    assert "is not an array of numbers (" in ran.err


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, np.random.default_rng(0).bytes(1000), b"\x08\x04"])
def test_files_that_are_no_model(run: Run, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "no.mlmodel").write_bytes(content)
    ran = run("predict", tmp_path / "no.mlmodel", tmp_path)
    assert ran.status == 1
    assert ran.err.startswith(f"coreml-updatable: {tmp_path / 'no.mlmodel'}: is not a Core ML model")
    assert len(ran.err.splitlines()) == 1


def test_a_folder_without_pictures(run: Run, picture_model: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = run("predict", picture_model, tmp_path / "empty")
    assert ran.status == 1
    assert f"{tmp_path / 'empty'}: contains no pictures (.heic, " in ran.err


def test_a_folder_of_arrays(run: Run, vector_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    (folder / "deeper").mkdir(parents=True)
    for index, vector in enumerate(_vectors()):
        np.save(folder / "deeper" / f"{index}.npy", vector)
    rows = _rows(run("predict", vector_model, folder, "--json"))
    engine = f"torch {torch.__version__.partition('+')[0]}"
    expected = [{"input": "", "engine": engine, **row} for row in _library(vector_model)]
    assert [{**row, "input": ""} for row in rows] == expected
    (folder / "empty").mkdir()
    ran = run("predict", vector_model, folder / "empty")
    assert ran.status == 1
    assert ran.err == f"coreml-updatable: {folder / 'empty'}: contains no .npy files; choose another folder\n"


def test_arrays_are_not_said_to_be_fitted(run: Run, picture_model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.asarray(noise(0)))
    assert run("predict", picture_model, tmp_path / "one.npy").err == ""


@pytest.mark.parametrize(
    "options", [["--fit", "tile"], ["--top", "0"], ["--assume", "listed=some"], ["--assume", "taste=good"]]
)
def test_wrong_usage(run: Run, picture_model: Path, photos: Path, options: list[str]) -> None:
    assert run("predict", picture_model, photos, *options).status == 2


def test_no_inputs_is_wrong_usage(run: Run, picture_model: Path) -> None:
    assert run("predict", picture_model).status == 2


def test_assumptions_of_voting(run: Run, neighbor_model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.eye(4, dtype=np.float32)[0])
    ran = run("predict", neighbor_model, tmp_path / "one.npy", "--json")
    assert sum(_shares(_rows(ran)[0]).values()) == pytest.approx(1)
    ran = run("predict", neighbor_model, tmp_path / "one.npy", "--json", "--assume", "probabilities=votes")
    assert sum(_shares(_rows(ran)[0]).values()) == pytest.approx(3)
    assert ran.err == "assumptions: probabilities=votes\n"


@pytest.mark.parametrize("names", [("input", "y"), ("input", "input_"), ("a", "input")])
def test_an_output_called_input_does_not_take_the_name_of_the_row(
    run: Run, tmp_path: Path, names: tuple[str, str]
) -> None:
    """Judged by coremltools' builder: two copies of the input under these names."""
    from coremltools.models import datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder

    builder = NeuralNetworkBuilder(
        [("x", datatypes.Array(4))], [(name, datatypes.Array(4)) for name in names], disable_rank5_shape_mapping=True
    )
    for index, name in enumerate(names):
        builder.add_activation(name, "LINEAR", "x", name, [index + 1, 0])
    write_model(builder.spec, tmp_path / "model.mlmodel")
    rows = [{"x": [1, 2, 3, 4]}, {"x": [4, 3, 2, 1]}]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    ran = run("predict", tmp_path / "model.mlmodel", tmp_path / "rows.json", "--json")
    assert ran.status == 0, ran.err
    for index, (item, row) in enumerate(zip(_rows(ran), rows, strict=True)):
        assert {name: item.pop(name) for name in names} == {
            name: [value * (factor + 1) for value in row["x"]] for factor, name in enumerate(names)
        }
        assert item.pop("engine").startswith("torch ")
        ((key, value),) = item.items()  # what is left is the row's name
        assert key == ("input__" if "input_" in names else "input_")
        assert value == f"{tmp_path / 'rows.json'}[{index}]"
    table = run("predict", tmp_path / "model.mlmodel", tmp_path / "rows.json").out
    assert "rows.json[1]" in table
    assert "[4] 4, 3, 2, 1" in table


def test_core_ml_itself_is_asked_on_a_mac_only(run: Run, picture_model: Path, photos: Path) -> None:
    ran = run("predict", picture_model, photos, "--with", "coreml")
    assert ran.status == 1
    assert "on a Mac only" in ran.err
    assert run("predict", picture_model, photos, "--with", "tflite").status == 2


def test_answers_of_two_runtimes_are_compared() -> None:
    ours = {"label": "a", "shares": {"a": 0.75, "b": 0.25}, "values": np.array([[1.0, 200.0]])}
    theirs = {"label": "a", "shares": {"b": 0.26, "a": 0.74}, "values": np.array([1.0, 204.0])}
    assert largest_difference(ours, ours) == 0
    assert largest_difference(ours, theirs) == pytest.approx(0.02)
    assert largest_difference(ours, {**ours, "label": "b"}) == np.inf
    assert largest_difference(ours, {**ours, "values": np.zeros(3)}) == np.inf
    assert largest_difference(ours, {"label": "a"}) == np.inf
