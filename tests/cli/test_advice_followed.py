"""Refusals in a table: what each advises is in its sentence, and following it to the letter works."""

import shlex
from pathlib import Path
from typing import Any

import pytest

from coreml_updatable.spec.io import write_model
from coreml_updatable.spec.messages import Model_pb2
from tests.cli.conftest import Run, classifier

# The refused command, what its sentence advises, and the command that follows the advice. $ is the folder of files.
CASES = (
    ("mark $frozen.mlmodel", "-o is required", "mark $frozen.mlmodel -o $out.mlmodel"),
    ("mark $frozen.mlmodel", "--dry-run", "mark $frozen.mlmodel --dry-run"),
    ("mark $frozen.mlmodel $out.mlmodel", "-o $out.mlmodel", "mark $frozen.mlmodel -o $out.mlmodel"),
    ("mark $frozen.mlmodel -o $", "name a file in it", "mark $frozen.mlmodel -o $/out.mlmodel"),
    ("mark $frozen.mlmodel -o $out.mlmodel --optimizer rmsprop", "'adam'", "{} adam"),
    ("mark $frozen.mlmodel -o $out.mlmodel --layers hed", "did you mean 'head'", "{} head"),
    ("mark $frozen.mlmodel -o $out.mlmodel --layers flatten", "name another layer", "{} head"),
    ("mark $frozen.mlmodel -o $out.mlmodel --last 5", "ask for at most 1", "{} 1"),
    ("mark $frozen.mlmodel -o $out.mlmodel --labels a,b,c", "give 2 labels", "{} a,b"),
    ("mark $frozen.mlmodel -o $out.mlmodel --labels a", "the label of every output", "{} a,b"),
    ("mark $frozen.mlmodel -o $out.mlmodel --labels a,a", "expected different labels", "{} a,b"),
    (
        "mark $frozen.mlmodel -o $out.mlmodel --labels a b",
        "--labels a,b",
        "mark $frozen.mlmodel -o $out.mlmodel --labels a,b",
    ),
    (
        "mark $frozen.mlmodel -o $out.mlmodel --loss mean_squared_error",
        "expected categorical_cross_entropy",
        "{} categorical_cross_entropy",
    ),
    ("mark $frozen.mlmodel -o $out.mlmodel --epochs 0", "integers of 1 or more", "{} 1"),
    ("mark $frozen.mlmodel -o $out.mlmodel --learning-rate -1", "0.01 is usual", "{} 0.01"),
    ("mark $frozen.mlmodel -o $out.mlmodel --momentum 2", "expected 0 to 1", "{} 1"),
    (
        "mark $frozen.mlmodel -o $out.mlmodel --mini-batch-size 2",
        "'--mini-batch'",
        "mark $frozen.mlmodel -o $out.mlmodel --mini-batch 2",
    ),
    (
        "mark $frozen.mlmodel -o $out.mlmodel --reserve 2",
        "'--reserved'",
        "mark $frozen.mlmodel -o $out.mlmodel --reserved 2",
    ),
    ("mark $frozen.mlmodel -o $out.mlmodel --beta1 0.5", "omit it", "mark $frozen.mlmodel -o $out.mlmodel"),
    ("mark $frozen.mlmodel -o $out.mlmodel --label-name x", "choose another", "{} y"),
    (
        "mark $neighbors.mlmodel -o $out.mlmodel",
        "learn without marking",
        "update $neighbors.mlmodel $train.json -o $out.mlmodel",
    ),
    ("knn $neighbors.mlmodel -o $out.mlmodel", "update it", "update $neighbors.mlmodel $train.json -o $out.mlmodel"),
    ("knn $neighbors.mlmodel -o $out.mlmodel", "give the network", "knn $frozen.mlmodel -o $out.mlmodel"),
    ("knn $frozen.mlmodel -o $out.mlmodel --neighbors 0", "integers of 1 or more", "{} 1"),
    ("knn $frozen.mlmodel -o $out.mlmodel --weighting near", "'inverse'", "{} inverse"),
    ("knn $frozen.mlmodel -o $out.mlmodel --index tree", "kd-tree:30", "{} kd-tree:30"),
    ("knn $frozen.mlmodel -o $out.mlmodel --index kd-tree:0", "30 is usual", "{} kd-tree:30"),
    (
        "knn $frozen.mlmodel -o $out.mlmodel --whole",
        "cut it before its head",
        "knn $frozen.mlmodel -o $out.mlmodel --cut",
    ),
    ("layout $vectors.mlmodel -o $out.mlmodel", "split", "layout $vectors.mlmodel -o $out.mlmodel --to split"),
    ("layout $vectors.mlmodel -o $out.mlmodel --to splt", "did you mean 'split'", "{} split"),
    ("layout $vectors.mlmodel -o $out.mlmodel --to split --bits 7", "'16'", "{} 16"),
    (
        "layout $vectors.mlmodel -o $out.mlmodel --to single --bits 16",
        "use the layout pipeline",
        "layout $vectors.mlmodel -o $out.mlmodel --to pipeline --bits 16",
    ),
    (
        "layout $frozen.mlmodel -o $out.mlmodel --to split",
        "mark it first",
        "layout $marked.mlmodel -o $out.mlmodel --to split",
    ),
    (
        "layout $part.mlmodel -o $out.mlmodel --to single",
        "pass its head as well",
        "layout $part.mlmodel $partHead.mlmodel -o $out.mlmodel --to single",
    ),
    (
        "predict $vectors.mlmodel $rows.json --fit scaleFil",
        "did you mean 'scaleFill'",
        "predict $vectors.mlmodel $rows.json --fit scaleFill",
    ),
    ("predict $vectors.mlmodel $rows.json --top 0", "greater than or equal to 1", "{} 1"),
    ("update $vectors.mlmodel $train.json", "--in-place is required", "update $vectors.mlmodel $train.json --in-place"),
    (
        "update $vectors.mlmodel $train.json -o $out.mlmodel --in-place",
        "omit one of them",
        "update $vectors.mlmodel $train.json -o $out.mlmodel",
    ),
    (
        "update $vectors.mlmodel $rows.json -o $out.mlmodel",
        "the target 'label' is missing; add it",
        "update $vectors.mlmodel $train.json -o $out.mlmodel",
    ),
    (
        "update $frozen.mlmodel $train.json -o $out.mlmodel",
        "mark it first",
        "update $marked.mlmodel $train.json -o $out.mlmodel",
    ),
    ("update $marked.mlmodel $train.json -o $out.mlmodel --epochs -1", "from 1 to", "{} 1"),
    ("update $marked.mlmodel $train.json -o $out.mlmodel --learning-rate 9", "from 0.0001 to 1", "{} 0.0001"),
    ("update $marked.mlmodel $train.json -o $out.mlmodel --mini-batch-size 3", "expected one of 1, 2", "{} 2"),
    ("update $marked.mlmodel $train.json -o $out.mlmodel --momentum 7", "from 0 to 1", "{} 1"),
    (
        "update $vectors.mlmodel $train.json -o $out.mlmodel --assume epoch_loss=x",
        "'last batch'",
        "update $vectors.mlmodel $train.json -o $out.mlmodel --assume 'epoch_loss=last batch'",
    ),
    (
        "update $vectors.mlmodel $train.json -o $out.mlmodel --assume 'epochloss=last batch'",
        "did you mean 'epoch_loss'",
        "update $vectors.mlmodel $train.json -o $out.mlmodel --assume 'epoch_loss=last batch'",
    ),
    (
        "update $neighbors.mlmodel $train.json -o $out.mlmodel --epochs 2",
        "numberOfNeighbors",
        "update $neighbors.mlmodel $train.json -o $out.mlmodel --parameter numberOfNeighbors=2",
    ),
)


@pytest.fixture
def folder(run: Run, vector_model: Path, tmp_path: Path) -> Path:
    frozen: Any = Model_pb2.Model()
    frozen.CopyFrom(classifier(["no", "yes"], image=False, size=4))
    frozen.isUpdatable = False
    del frozen.description.trainingInput[:]
    frozen.neuralNetworkClassifier.ClearField("updateParams")
    for layer in frozen.neuralNetworkClassifier.layers:
        layer.isUpdatable = False
    write_model(frozen, tmp_path / "frozen.mlmodel")
    assert run("mark", tmp_path / "frozen.mlmodel", "-o", tmp_path / "marked.mlmodel").status == 0
    assert run("layout", vector_model, "-o", tmp_path / "part.mlmodel", "--to", "split").status == 0
    (tmp_path / "rows.json").write_text('[{"x": [1, 2, 3, 4]}]')
    (tmp_path / "train.json").write_text('[{"x": [1, 2, 3, 4], "label": "yes"}, {"x": [0, 0, 0, 1], "label": "no"}]')
    return tmp_path


@pytest.mark.usefixtures("neighbor_model")
@pytest.mark.parametrize(("refused", "advice", "followed"), CASES)
def test_advice_that_is_followed_works(run: Run, folder: Path, refused: str, advice: str, followed: str) -> None:
    """``{}`` is the refused command without its last word."""

    def words(text: str) -> list[str]:
        return [
            word.replace("$", f"{folder}/").replace("//", "/") if word != "$" else str(folder)
            for word in shlex.split(text)
        ]

    first = run(*words(refused))
    assert first.status in (1, 2)
    assert advice.replace("$", f"{folder}/") in first.err
    second = run(*words(followed.format(refused.rpartition(" ")[0])))
    assert second.status == 0, second.err
