"""`convert` and `converters` as a user calls them."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from coreml_updatable.checking import check
from coreml_updatable.cli.text import input_of, labels_of, numbers_of
from coreml_updatable.converting import registry as extras
from coreml_updatable.data.inputs import ArrayInput, ImageInput
from coreml_updatable.installing import install_command
from coreml_updatable.spec.io import read_model
from coreml_updatable.spec.messages import Model_pb2
from tests.cli.conftest import Run


@pytest.fixture
def estimator(tmp_path: Path) -> Path:
    rows = np.random.default_rng(0).normal(size=(30, 3))
    skops.io.dump(
        LogisticRegression().fit(rows, np.array(["no", "yes"])[(rows[:, 0] > 0).astype(int)]), tmp_path / "e.skops"
    )
    return tmp_path / "e.skops"


def test_a_source_becomes_an_updatable_model(run: Run, estimator: Path) -> None:
    out = estimator.with_name("out.mlmodel")
    ran = run("convert", estimator, "-o", out)
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith("converter sklearn, because of the file extension .skops\n")
    assert "out.mlmodel: fc is updatable; its answers are within " in ran.out
    assert ran.out.endswith(" of scikit-learn's predict_proba, on 16 rows\n")
    assert not check(read_model(out))


def test_the_same_as_json_with_input_and_labels_named(run: Run, estimator: Path) -> None:
    out = estimator.with_name("out.mlmodel")
    options = ["--converter", "sklearn", "--input", "x:3", "--labels", "a, b", "--json"]
    report = json.loads(run("convert", estimator, "-o", out, *options).out)
    assert report["model"] == str(out)
    assert (report["converter"], report["updatable"], report["rows"]) == ("sklearn", ["fc"], 16)
    assert report["largest_difference"] < 1e-6
    assert report["facts"] == {"estimator": "LogisticRegression", "linear steps": 0}
    model = read_model(out)
    assert model.description.input[0].name == "x"
    assert list(model.neuralNetworkClassifier.stringClassLabels.vector) == ["a", "b"]
    again = estimator.with_name("again.mlmodel")
    run("convert", estimator, "-o", again, *options)
    assert again.read_bytes() == out.read_bytes()


@pytest.mark.parametrize(
    ("options", "status", "sentence"),
    [
        (["--converter", "skleran"], 2, "Unknown converter 'skleran' (--converter); did you mean"),
        (["--input", "x:4"], 1, "input 'x': does not fit the estimator, expected one array of 3 numbers"),
        (["--labels", "a,b,c"], 1, "labels: found 3 for an estimator with 2 classes"),
    ],
)
def test_a_refusal_is_one_sentence_and_leaves_the_old_file(
    run: Run, estimator: Path, options: list[str], status: int, sentence: str
) -> None:
    out = estimator.with_name("out.mlmodel")
    out.write_bytes(b"old")
    ran = run("convert", estimator, "-o", out, *options)
    assert ran.status == status
    assert sentence in ran.err
    assert len(ran.err.splitlines()) == 1
    assert out.read_bytes() == b"old"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--input", "image"], "--input image: the size is missing, expected NAME:WIDTHxHEIGHT for a picture"),
        (["--input", ":3"], "--input :3: the name is missing, expected"),
        (["--input", "x:3:colour"], "--input x:3:colour: 'colour' is not a type, expected"),
        (["--input", "x:3y"], "--input x:3y: '3y' is not a size, expected"),
        (["--input", "x:3:rgb"], "--input x:3:rgb: a picture has two lengths, not 1, expected"),
        (["--input", "x:99999x99999"], "the size is not between 1 and 67108864 values, expected"),
        (["--input", "x:0"], "the size is not between 1 and 67108864 values, expected"),
        (["--mean", "0.5,half"], "--mean 0.5,half: expected one number per channel, such as 0.5"),
        (["--weights", "w.pt"], "--weights is for the converter torch only, not for sklearn; leave it out"),
        (["--head", "new"], "not for sklearn; leave it out; convert it, and then: coreml-updatable mark MODEL --head"),
        (
            ["--column", "0"],
            "--column is for the converter torch, transformers, keras, onnx, not for sklearn; leave",
        ),
        (["--mean", "0.5", "--pixels", "0..255"], "--pixels cannot be combined with --mean or --std"),
    ],
)
def test_options_that_cannot_be_read(run: Run, estimator: Path, options: list[str], sentence: str) -> None:
    ran = run("convert", estimator, "-o", estimator.with_name("out.mlmodel"), *options)
    assert ran.status == 2
    assert sentence in " ".join(ran.err.replace("│", " ").split())


@pytest.mark.parametrize("options", [["--pixels", "0..1"], ["--pixels", "-1..1"], ["--mean", "0.5"], ["--std", "2"]])
def test_what_is_said_of_pictures_is_refused_where_there_are_none(
    run: Run, estimator: Path, options: list[str]
) -> None:
    out = estimator.with_name("out.mlmodel")
    ran = run("convert", estimator, "-o", out, *options)
    assert ran.status == 1
    assert "--pixels, --mean and --std apply to pictures, but the source takes none; omit them" in ran.err
    assert len(ran.err.splitlines()) == 1
    assert not out.exists()


PICTURES = """
from torch import nn

def make(classes):
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes))
"""


def test_pictures_of_0_to_1_can_be_said_and_are_not_asked_for_again(run: Run, tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(PICTURES)
    options = [f"{tmp_path}/nets.py:make", "--trust-code", "--input", "image:8x8", "--labels", "a,b"]
    by_default, said = tmp_path / "default.mlmodel", tmp_path / "said.mlmodel"
    note = "pixels are passed as 0..1; use --pixels, or --mean and --std, if it expects something else\n"
    assert note in run("convert", *options, "-o", by_default).out
    ran = run("convert", *options, "-o", said, "--pixels", "0..1")
    assert (ran.status, ran.err) == (0, "")
    assert "--pixels" not in ran.out
    layers = [len(read_model(item).neuralNetworkClassifier.layers) for item in (by_default, said)]
    assert layers[0] == layers[1]  # 0..1 costs nothing
    ran = run("convert", *options, "-o", said, "--pixels", "0..1", "--mean", "0.5")
    assert ran.status == 2
    assert "--pixels cannot be combined with --mean or --std" in " ".join(ran.err.replace("│", " ").split())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ["--mean", "0.5,0.5"],
            "--mean: has 2 values, expected 3, one per channel of the picture, or one for all",
        ),
        (
            ["--std", "1,1,1,1"],
            "--std: has 4 values, expected 3, one per channel of the picture, or one for all; cor",
        ),
        (
            ["--std", "0.2,0,0.2"],
            "--std: contains 0 or an infinite number",
        ),
        (["--mean", "nan"], "--mean: contains NaN or an infinite number"),
    ],
)
def test_numbers_that_no_picture_can_be_scaled_by(run: Run, tmp_path: Path, options: list[str], sentence: str) -> None:
    (tmp_path / "nets.py").write_text(PICTURES)
    given = ["--trust-code", "--input", "image:8x8", "--labels", "a,b", "-o", tmp_path / "out.mlmodel"]
    ran = run("convert", f"{tmp_path}/nets.py:make", *given, *options)
    assert ran.status == 1
    assert sentence in ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_function_as_source_with_weights_in_a_file(run: Run, tmp_path: Path) -> None:
    code = "from torch import nn\ndef make(n):\n    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, n))\n"
    (tmp_path / "nets.py").write_text(code)
    out = tmp_path / "out.mlmodel"
    options = ["--input", "x:4", "--labels", "a,b", "--cut", "2", "--trust-code"]
    ran = run("convert", f"{tmp_path}/nets.py:make", "-o", out, *options)
    assert ran.err == ""
    assert ran.out.startswith("converter torch, because of the name of its function\n")
    assert "the head is new, after the 6 features before '2'" in ran.out
    assert " of the torch module with a new head, on 8 rows, its logits within " in ran.out
    assert not check(read_model(out))


def test_files_that_are_not_there(run: Run, estimator: Path) -> None:
    for options in ([], ["--converter", "sklearn"]):
        ran = run("convert", estimator.with_name("none.skops"), "-o", "out.mlmodel", *options)
        assert ran.status == 1
        assert ran.err.endswith("none.skops: does not exist; check the path\n")
    ran = run("convert", estimator, "-o", estimator.parent)
    assert ran.status == 2
    assert "is a folder; name a file in it" in " ".join(ran.err.replace("│", " ").split())
    ran = run("convert", estimator, "-o", "out.mlmodel", "--labels", f"@{estimator.parent}/none.txt")
    assert ran.status == 2
    assert "none.txt: cannot be read" in ran.err


def test_a_refusal_names_the_file(run: Run, estimator: Path) -> None:
    path, out = estimator.with_name("svc.skops"), estimator.with_name("out.mlmodel")
    skops.io.dump(SVC().fit(np.eye(3), [0, 1, 2]), path)
    assert run("convert", path, "-o", out).err.startswith(f"coreml-updatable: {path}: is a SVC, expected a fitted KN")
    program = Model_pb2.Model(specificationVersion=6)
    program.mlProgram.version = 1
    path = estimator.with_name("program.mlmodel")
    path.write_bytes(program.SerializeToString())
    sentence = f"coreml-updatable: {path}: is an ML program, which no device can update; convert with "
    assert run("convert", path, "-o", out).err.startswith(sentence)
    assert run("predict", path, estimator).err.startswith(sentence)
    assert run("knn", path, "-o", out, "--whole").err.startswith(sentence)
    assert run("layout", path, "--to", "split", "-o", out).err.startswith(sentence)


def test_a_file_is_read_as_one_says_whatever_it_is_called(run: Run, estimator: Path) -> None:
    out, called = estimator.with_name("out.mlmodel"), estimator.with_name("model.keras")
    shutil.copy(estimator, called)
    ran = run("convert", called, "-o", out, "--converter", "sklearn")
    assert ran.status == 0, ran.err
    ran = run("convert", estimator, "-o", out, "--converter", "mlmodel")
    assert ran.status == 1
    assert ran.err.endswith("; the file extension .skops means converter sklearn; omit --converter\n")


def test_inputs_labels_and_numbers_as_typed(tmp_path: Path) -> None:
    assert input_of("image:224x112") == ImageInput("image", 224, 112, "rgb")
    assert input_of("drawing:28x28:grayscale") == ImageInput("drawing", 28, 28, "grayscale")
    assert input_of("x:64") == ArrayInput("x", (64,))
    assert input_of("m:2x3:array") == ArrayInput("m", (2, 3))
    assert input_of("v:2x3x4") == ArrayInput("v", (2, 3, 4))
    assert input_of("ids:128:tokens") == ArrayInput("ids", (128,), whole=True)
    assert labels_of(None) == ()
    (tmp_path / "labels.txt").write_text("a, b\n\n c\n", encoding="utf-8")
    assert labels_of(f"@{tmp_path}/labels.txt") == ("a, b", "c")
    assert numbers_of("--mean", "0.5,1e-3") == (0.5, 0.001)
    assert numbers_of("--mean", None) == ()


def test_labels_that_are_no_text(run: Run, estimator: Path) -> None:
    path = estimator.with_name("labels.txt")
    path.write_bytes(b"\xff\xfe")
    ran = run("convert", estimator, "-o", "out.mlmodel", "--labels", f"@{path}")
    assert ran.status == 2
    assert "the file is not UTF-8 text, expected one label per line" in " ".join(ran.err.replace("│", " ").split())


def test_the_list_of_converters(run: Run) -> None:
    said = run("converters").out
    assert "sklearn" in said
    assert "scikit-learn: linear classifiers" in said
    listed = {item["name"]: item for item in json.loads(run("converters", "--json").out)}
    assert listed["sklearn"]["missing"] == []
    assert ".skops" in listed["sklearn"]["endings"]


def test_a_missing_extra_is_named_with_its_remedy(run: Run, estimator: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "missing", lambda requirement: requirement.name == "skops")
    ran = run("convert", estimator, "-o", estimator.with_name("out.mlmodel"))
    assert ran.status == 1
    command = re.escape(install_command("sklearn"))
    assert re.search(f"converter sklearn: skops>=[0-9.]+ is not installed; run: {command}", ran.err)
    assert re.search(f"needs skops>=[0-9.]+: {command}", run("converters").out)


def test_listing_converters_imports_no_framework() -> None:
    program = "import sys; sys.argv[1:] = ['converters']; from coreml_updatable.cli import main\n"
    program += "try: main()\nexcept SystemExit: pass\nprint('loaded', *sys.modules)"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    loaded = said.rpartition("loaded ")[2].split()
    assert not {"torch", "sklearn", "skops", "keras", "onnx", "transformers", "coremltools"} & set(loaded)
