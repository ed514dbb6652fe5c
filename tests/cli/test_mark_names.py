"""`mark` with names given by its user: layers, labels, features."""

from pathlib import Path

import pytest

from coreml_updatable.checking import check
from coreml_updatable.spec.io import read_model, write_model
from coreml_updatable.spec.network import class_labels, network_of
from tests.broken_models import valid
from tests.cli.conftest import Run
from tests.marking.networks import NETWORKS, converted


def said(text: str) -> str:
    return " ".join(text.replace("│", " ").split())


def updatable(path: Path) -> list[str]:
    return [str(layer.name) for layer in network_of(read_model(path)).layers if layer.isUpdatable]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_model(converted("two layers"), tmp_path / "source.mlmodel")
    return tmp_path / "source.mlmodel"


@pytest.mark.parametrize("options", [["--layers", "fc1,fc2"], ["--layers", "fc1", "--layers", "fc2"], ["--last", "2"]])
def test_several_layers(run: Run, source: Path, options: list[str]) -> None:
    out = source.with_name("out.mlmodel")
    assert run("mark", source, "-o", out, "--labels", "a,b,c", *options).status == 0
    assert updatable(out) == ["fc1", "fc2"]


def test_a_layer_whose_name_has_a_comma(run: Run, tmp_path: Path) -> None:
    model, given, out = valid.classifier(), tmp_path / "given.mlmodel", tmp_path / "out.mlmodel"
    valid.layer(model, "fc").name = "fc,all"
    write_model(model, given)
    assert run("mark", given, "-o", out, "--layers", "fc,all").status == 0
    assert updatable(out) == ["fc,all"]


@pytest.mark.parametrize("name", NETWORKS)
def test_marking_twice_gives_the_same_file(run: Run, tmp_path: Path, name: str) -> None:
    given, once, twice = (tmp_path / f"{stem}.mlmodel" for stem in ("given", "once", "twice"))
    write_model(converted(name), given)
    options = ["--labels", "a,b,c", "--input", "photo", "--label-name", "meal", "--probabilities-name", "chances"]
    options += ["--seed", "7", "--no-shuffle"]
    assert run("mark", given, "-o", once, *options).status == 0
    assert run("mark", once, "-o", twice, *options).status == 0
    assert twice.read_bytes() == once.read_bytes()
    model = read_model(once)
    assert [str(feature.name) for feature in model.description.input] == ["photo"]
    assert [str(feature.name) for feature in model.description.output] == ["meal", "chances"]
    assert check(model) == []


def test_labels_keep_their_kind(run: Run, tmp_path: Path) -> None:
    given, out = tmp_path / "given.mlmodel", tmp_path / "out.mlmodel"
    model = valid.classifier()
    model.neuralNetworkClassifier.int64ClassLabels.vector[:] = [1, 2, 3]
    for feature in (*model.description.output, *model.description.trainingInput):
        kind = feature.type.WhichOneof("Type")
        if kind == "stringType":
            feature.type.int64Type.SetInParent()
        elif kind == "dictionaryType":
            feature.type.dictionaryType.int64KeyType.SetInParent()
    write_model(model, given)
    assert run("mark", given, "-o", out, "--labels", "7,8,9").status == 0
    assert class_labels(read_model(out)) == (7, 8, 9)
    ran = run("mark", given, "-o", out, "--labels", "7,8,nine")
    assert ran.status == 2
    assert "expected integers like the model's labels, such as 1" in said(ran.err)


def test_names_with_spaces_before_the_model(run: Run, source: Path) -> None:
    ran = run("mark", "--layers", "fc1", "fc2", source, "-o", source.with_name("out.mlmodel"))
    assert ran.status == 2
    assert "--layers fc1 fc2: separate names with commas: --layers fc1,fc2" in said(ran.err)


@pytest.mark.parametrize(
    ("options", "status", "sentence"),
    [
        (["--layers", "fc1,"], 2, "--layers fc1,: a name is empty, expected names such as a,b,c"),
        (["--layers", "fc1", "fc2"], 2, "--layers fc1 fc2: separate names with commas: --layers fc1,fc2"),
        (
            ["--labels", "a", "b", "c", "--last", "1"],
            2,
            "--labels a b c: separate names with commas: --labels a,b,c",
        ),
        (["new.mlmodel"], 2, "new.mlmodel: unexpected argument; remove it"),
        (["--layers", "fc1", "new.mlmodel"], 2, "new.mlmodel: unexpected argument; remove it"),
        (["elsewhere"], 2, "elsewhere: unexpected argument; remove it"),
        (["here", "there"], 2, "here and there: unexpected arguments; remove them"),
        (["--labels", "a,,c"], 2, "--labels a,,c: a label is empty, expected labels such as a,b,c"),
        (["--layers", "rel"], 1, "did you mean 'relu'?"),
        (["--layers", "softmax"], 1, "is a softmax, expected a convolution or innerProduct"),
        (["--label-name", "meal"], 1, "the model has no label; give its labels"),
        (["--labels", "a,b,c", "--input", "label"], 1, "'label' is given for two features"),
    ],
)
def test_names_that_cannot_be(run: Run, source: Path, options: list[str], status: int, sentence: str) -> None:
    out = source.with_name("out.mlmodel")
    ran = run("mark", source, "-o", out, *options)
    assert (ran.status, out.exists()) == (status, False)
    assert sentence in said(ran.err)


def test_a_second_model_without_an_option_is_the_new_one(run: Run, source: Path) -> None:
    ran = run("mark", source, "new.mlmodel")
    assert ran.status == 2
    assert "new.mlmodel: unexpected argument; name the new model with -o new.mlmodel" in said(ran.err)
