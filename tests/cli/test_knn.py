"""`knn` as a user calls it: on classifiers that it cuts and on extractors that it takes as they are."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from coreml_updatable.checking import check
from coreml_updatable.marking import extractor, samples_of
from coreml_updatable.runtime import load
from coreml_updatable.spec.io import model_bytes, read_model, write_model
from coreml_updatable.spec.messages import Model, Model_pb2
from coreml_updatable.spec.network import network_of, pipeline_of
from coreml_updatable.spec.samples import nearest_neighbors_of
from coreml_updatable.updating import UpdateTask
from tests.broken_models import valid
from tests.cli.conftest import Run
from tests.marking.networks import converted


def written(model: Model, path: Path) -> Path:
    write_model(model, path)
    return path


def plain_text(text: str) -> str:
    return " ".join(text.replace("│", " ").split())


@pytest.fixture
def features(tmp_path: Path) -> Path:
    """A plain network that answers ``y`` of declared shape [1, 2], under the exact mapping."""
    return written(valid.exact(), tmp_path / "features.mlmodel")


@pytest.fixture
def arrays(tmp_path: Path) -> Path:
    """Class folders for it: a file with one row, and one with two."""
    random = np.random.default_rng(0)
    for name, shape in (("1/a", (1, 3, 8, 8)), ("2/b", (2, 1, 3, 8, 8))):
        path = tmp_path / "arrays" / f"{name}.npy"
        path.parent.mkdir(parents=True)
        np.save(path, random.normal(size=shape).astype(np.float32))
    return tmp_path / "arrays"


def test_a_classifier_is_cut_and_remembers_pictures(run: Run, picture_model: Path, photos: Path) -> None:
    out = picture_model.with_name("knn.mlmodel")
    ran = run("knn", picture_model, "--samples", photos, "-o", out, "--neighbors", "1:1,3,5", "--weighting", "uniform")
    assert ran.status == 0, ran.err
    assert "cut before its head; its 192 features agree within" in ran.out
    assert "samples: 2 blue, 1 green, 2 red; the first sample finds itself" in ran.out
    assert f"{out}: {out.stat().st_size:,} bytes" in ran.out
    result = read_model(out)
    assert check(result) == []
    assert [feature.name for feature in result.description.output] == ["label", "probabilities"]
    classifier = nearest_neighbors_of(result)
    assert list(classifier.numberOfNeighbors.set.values) == [1, 3, 5]
    assert classifier.WhichOneof("WeightingScheme") == "uniformWeighting"
    predicted = run("predict", out, photos, "--json").out.splitlines()
    assert [json.loads(line)["label"] for line in predicted] == ["blue", "blue", "green", "red", "red"]
    learned = out.with_name("learned.mlmodel")
    assert run("update", out, photos, "-o", learned).status == 0
    assert len(samples_of(read_model(learned)).labels) == 10


def test_an_extractor_is_taken_as_it_is_with_its_names(run: Run, features: Path, arrays: Path) -> None:
    out = features.with_name("knn.mlmodel")
    options = ("--labels-kind", "int64", "--default-label", "-7", "--index", "kd-tree:12", "--json")
    ran = run("knn", features, "--samples", arrays, "-o", out, *options)
    assert ran.status == 0, ran.err
    report = json.loads(ran.out)
    assert (report["model"], report["bytes"]) == (str(out), out.stat().st_size)
    assert (report["extractor"], report["embedding"]) == ("as it is", {"name": "y", "length": 2})
    assert report["samples"] == [{"label": 1, "count": 1}, {"label": 2, "count": 2}]
    result = read_model(out)
    assert check(result) == []
    assert [str(feature.name) for feature in result.description.input] == ["x"]
    classifier = nearest_neighbors_of(result)
    assert (classifier.defaultInt64Label, classifier.nearestNeighborsIndex.singleKdTreeIndex.leafSize) == (-7, 12)
    rows = [{"x": np.load(arrays / "1/a.npy")}, *({"x": row} for row in np.load(arrays / "2/b.npy"))]
    answers = [np.ravel(answer["y"]) for answer in load(valid.exact()).predict(rows)]
    np.testing.assert_allclose(samples_of(result).embeddings, answers, rtol=1e-5)


def test_an_output_of_rank_1_needs_no_other_layer(run: Run, tmp_path: Path) -> None:
    """Then the network goes in as it is, byte for byte."""
    alone = extractor(converted("two layers"))
    out = tmp_path / "knn.mlmodel"
    ran = run("knn", written(alone, tmp_path / "alone.mlmodel"), "-o", out)
    assert ran.status == 0, ran.err
    assert "as it is" in ran.out
    assert "none yet; it predicts its default label" in ran.out
    assert model_bytes(pipeline_of(read_model(out)).models[0]) == model_bytes(alone)


def test_an_extractor_of_the_first_kind_of_mapping(run: Run, tmp_path: Path) -> None:
    model = valid.plain()
    out = tmp_path / "knn.mlmodel"
    ran = run("knn", written(model, tmp_path / "plain.mlmodel"), "-o", out)
    assert ran.status == 0, ran.err
    result = read_model(out)
    assert check(result) == []
    rows = [{"x": np.random.default_rng(0).normal(size=5)}]
    learned = UpdateTask(result, [{**row, "label": "a"} for row in rows]).resume().model.message
    np.testing.assert_allclose(samples_of(learned).embeddings[0], load(model).predict(rows[0])["y"], rtol=1e-5)


def test_a_plain_network_of_logits_can_be_cut(run: Run, tmp_path: Path) -> None:
    path = written(converted("two layers, logits"), tmp_path / "logits.mlmodel")
    for option, length in (("--whole", 3), ("--cut", 8)):
        report = json.loads(run("knn", path, "--dry-run", "--json", option).out)
        assert (report["model"], report["embedding"]["length"]) == (None, length)


def test_a_dry_run_writes_nothing(run: Run, picture_model: Path) -> None:
    before = sorted(picture_model.parent.iterdir())
    ran = run("knn", picture_model, "--dry-run")
    assert (ran.status, "nothing written: " in ran.out) == (0, True)
    assert sorted(picture_model.parent.iterdir()) == before


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--index", "ball"], "--index ball: expected linear, kd-tree, or kd-tree:leaf"),
        (["--index", "linear:3"], "--index linear:3: expected linear, kd-tree, or kd-tree:leaf"),
        (["--index", "kd-tree:few"], "--index kd-tree:few: 'few' is not an integer"),
        (["--neighbors", "many"], "--neighbors many: 'many' is not an integer"),
        (["--labels-kind", "int64", "--default-label", "none"], "--default-label none: expected a"),
        (["--labels-kind", "int64", "--default-label", str(2**63)], "expected a 64-bit integer"),
    ],
)
def test_options_that_cannot_be_read(run: Run, picture_model: Path, options: list[str], sentence: str) -> None:
    ran = run("knn", picture_model, "--dry-run", *options)
    assert ran.status == 2
    assert sentence in plain_text(ran.err)


def test_a_file_for_the_result_must_be_named(run: Run, picture_model: Path) -> None:
    ran = run("knn", picture_model)
    assert (ran.status, "-o is required" in plain_text(ran.err)) == (2, True)
    ran = run("knn", picture_model, "-o", picture_model.parent)
    assert (ran.status, "is a folder; name a file in it" in plain_text(ran.err)) == (2, True)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--neighbors", "9:1..5"], "numberOfNeighbors: the default 9 is outside its range 1 to 5"),
        (["--neighbors", "0"], "numberOfNeighbors: allows 0, expected integers of 1 or more"),
        (["--index", "kd-tree:0"], "leaf_size: found 0, expected 1 to"),
        (["--label", "image"], "features: 'image' is already a feature of the extractor; choose another name"),
        (["--label", "one", "--probabilities", "one"], "features: 'one' is already a feature of the extractor"),
        (["--whole"], ".mlmodel: is a classifier, expected a network that outputs a vector; cut it before its head"),
        (["--samples", "nowhere"], "nowhere: does not exist; check the path"),
        (["--labels-kind", "int64", "--samples", "PHOTOS"], "name of the folder is the label, but 'label' is an int"),
    ],
)
def test_what_cannot_be_built(run: Run, picture_model: Path, photos: Path, options: list[str], sentence: str) -> None:
    out = picture_model.with_name("old.mlmodel")
    out.write_bytes(b"old")
    ran = run("knn", picture_model, "-o", out, *(str(photos) if option == "PHOTOS" else option for option in options))
    assert (ran.status, len(ran.err.splitlines())) == (1, 1), ran.err
    assert sentence in ran.err
    assert out.read_bytes() == b"old"


def test_samples_that_cannot_be_taken(run: Run, features: Path, arrays: Path, tmp_path: Path) -> None:
    wide, lacking, none = tmp_path / "wide.json", tmp_path / "lacking.json", tmp_path / "none.json"
    wide.write_text(json.dumps([{"x": [[[[0.0]]]], "label": "a"}]))
    lacking.write_text(json.dumps([{"x": np.zeros((1, 3, 8, 8)).tolist()}]))
    none.write_text("[]")
    np.save(arrays / "1" / "z.npy", np.full((1, 3, 8, 8), np.nan, np.float32))
    empty = tmp_path / "empty"
    (empty / "a").mkdir(parents=True)
    for data, sentence in (
        (wide, "wide.json[0]: feature 'x': has the shape [1, 1, 1, 1]"),
        (lacking, "lacking.json[0]: lacks 'label', the label; add it to the row"),
        (none, "none.json: contains no rows; add at least one, or omit --samples"),
        (arrays, "z.npy: feature 'x': is NaN"),
        (empty, "empty: contains no folders with .npy files; make one folder per label"),
    ):
        ran = run("knn", features, "--dry-run", "--samples", data)
        assert (ran.status, len([line for line in ran.err.splitlines() if line.startswith("coreml")])) == (1, 1)
        assert sentence in ran.err, ran.err


def extractors_that_are_refused() -> dict[str, tuple[Model, str]]:
    several, nothing, ragged, lied, picture = (valid.exact() for _ in range(5))
    several.description.output.add().CopyFrom(several.description.output[0])
    several.description.output[1].name = "conv"
    nothing.description.output[0].name = "nothing"
    network_of(ragged).layers.pop()
    network_of(ragged).layers.pop()
    network_of(ragged).layers[-1].output[0] = "y"
    network_of(ragged).layers.pop()
    network_of(ragged).layers[-1].output[0] = "y"
    lied.description.output[0].type.multiArrayType.shape[:] = [1, 5]
    picture.description.output[0].type.imageType.width = 3
    open_ended = valid.exact()
    range_ = open_ended.description.input[0].type.multiArrayType.shapeRange.sizeRanges
    for _ in range(4):
        range_.add(lowerBound=1, upperBound=-1)
    layer = network_of(open_ended).layers[-1]
    layer.Clear()
    layer.name = "flat"
    layer.input.append("squeeze")
    layer.output.append("y")
    layer.flattenTo2D.axis = 1
    open_ended.description.output[0].type.multiArrayType.ClearField("shape")
    return {
        "regressor": (valid.regressor(), "given.mlmodel: is a neuralNetworkRegressor, expected a plain network or a"),
        "k-NN": (
            valid.nearest_neighbors(),
            "given.mlmodel: ends in a k-NN already; update it, or give the network that it was made from",
        ),
        "pipeline": (
            valid.pipeline(),
            "given.mlmodel: ends in a k-NN already; update it, or give the network that it was made from",
        ),
        "several outputs": (
            several,
            "given.mlmodel: has 2 outputs ('y', 'conv'), expected 1; keep only the features",
        ),
        "no layer": (nothing, "output 'nothing': is not written by any layer; export the network again"),
        "a map": (ragged, "output 'y': has the shape [1, 4, 6, 6], expected a vector; end the network in a global"),
        "another length": (lied, "output 'y': is declared as [1, 5], but the layers compute [1, 2]; export it again"),
        "a picture": (picture, "output 'y': is an imageType, expected an array; export the features"),
        "no fixed shape": (open_ended, "output 'y': has no fixed shape, expected a vector; export with a fixed"),
    }


@pytest.mark.parametrize("name", extractors_that_are_refused())
def test_extractors_that_are_refused(run: Run, tmp_path: Path, name: str) -> None:
    model, sentence = extractors_that_are_refused()[name]
    ran = run("knn", written(model, tmp_path / "given.mlmodel"), "-o", tmp_path / "out.mlmodel", "--whole")
    assert (ran.status, len(ran.err.splitlines())) == (1, 1), ran.err
    assert sentence in ran.err
    assert not (tmp_path / "out.mlmodel").exists()


def test_hostile_files(run: Run, picture_model: Path, tmp_path: Path) -> None:
    """Truncated, random, circular, absurd, NaN, a program: one sentence each, and the old file stays."""
    program = Model_pb2.Model(specificationVersion=7)
    program.mlProgram.version = 1
    circular, absurd, wide, poisoned = (read_model(picture_model) for _ in range(4))
    network_of(circular).layers[0].input[0] = network_of(circular).layers[-1].output[0]
    absurd.description.input[0].type.imageType.width = 2**40
    network_of(wide).layers[1].innerProduct.inputChannels = 2**50
    endless = valid.exact()
    network_of(endless).layers[0].convolution.weights.floatValue[0] = float("nan")
    network_of(poisoned).layers[1].input[0] = network_of(poisoned).layers[1].output[0]
    wrong = {
        "random": os.urandom(64),
        "truncated": picture_model.read_bytes()[:-40],
        "empty": b"",
        "program": model_bytes(program),
        "circular": model_bytes(circular),
        "absurd": model_bytes(absurd),
        "wide": model_bytes(wide),
        "NaN": model_bytes(endless),
        "itself": model_bytes(poisoned),
    }
    out = tmp_path / "old.mlmodel"
    out.write_bytes(b"old")
    for name, content in wrong.items():
        path = tmp_path / f"{name}.mlmodel"
        path.write_bytes(content)
        ran = run("knn", path, "-o", out)
        assert (ran.status, len(ran.err.splitlines())) == (1, 1), (name, ran.err)
        assert ran.err.startswith("coreml-updatable: "), name
        assert name != "NaN" or "row 0: the extractor returned NaN or infinite numbers" in ran.err
    assert out.read_bytes() == b"old"
