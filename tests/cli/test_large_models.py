"""Models whose answers or inputs are huge: bounded memory, and one sentence where it is too much."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from coreml_updatable.spec.io import write_model
from coreml_updatable.spec.messages import Model, Model_pb2
from tests.cli.conftest import Run

LIMIT = 900 * 2**20  # of the whole process
PROGRAM = """
import atexit, sys
from coreml_updatable.cli import main
from tests.memory import most_memory
atexit.register(lambda: print("most", most_memory()))
main()
"""


def adding(shape: tuple[int, ...], axes: int = 1) -> Model:
    """y = x + 1, x of ``axes`` lengths of 1, and y of ``shape``."""
    model = Model_pb2.Model(specificationVersion=4)
    for side, name in ((model.description.input, "x"), (model.description.output, "y")):
        array = side.add(name=name).type.multiArrayType
        array.dataType = 65568
        array.shape.extend([1] * axes if name == "x" else shape)
    network = model.neuralNetwork
    network.arrayInputShapeMapping = 1
    network.layers.add(name="ones", output=["ones"]).fillStatic.targetShape.extend(shape)
    network.layers[0].fillStatic.value = 1
    network.layers.add(name="sum", input=["x", "ones"], output=["y"]).addBroadcastable.SetInParent()
    return model


@pytest.mark.slow
def test_many_large_answers_are_not_held_at_once(tmp_path: Path) -> None:
    model, rows = tmp_path / "model.mlmodel", tmp_path / "rows.json"
    write_model(adding((4096, 4096)), model)
    rows.write_text(json.dumps([{"x": [index]} for index in range(12)]))
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, "predict", str(model), str(rows)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    *table, most = ran.stdout.splitlines()
    assert ran.returncode == 0, ran.stderr
    assert sum("[4096, 4096]" in line for line in table) == 12
    assert int(most.split()[1]) < LIMIT


def summing(count: int) -> Model:
    """A classifier of two classes by the first two of ``count`` numbers."""
    model = Model_pb2.Model(specificationVersion=4)
    array = model.description.input.add(name="x").type.multiArrayType
    array.dataType = 65568
    array.shape.append(count)
    model.description.output.add(name="y").type.multiArrayType.dataType = 65568
    network = model.neuralNetwork
    network.arrayInputShapeMapping = 1
    first = network.layers.add(name="first", input=["x"], output=["two"]).sliceStatic
    first.beginIds.append(0)
    first.endIds.append(2)
    first.strides.append(1)
    first.beginMasks.append(False)
    first.endMasks.append(False)
    head = network.layers.add(name="head", input=["two"], output=["z"]).innerProduct
    head.inputChannels = head.outputChannels = 2
    head.weights.floatValue.extend([1.0, 0.0, 0.0, 1.0])
    network.layers.add(name="softmax", input=["z"], output=["y"]).softmaxND.axis = -1
    return model


@pytest.mark.slow
@pytest.mark.parametrize("command", ["mark", "knn"])
def test_the_rows_on_which_a_model_is_tried_are_few_where_they_are_long(tmp_path: Path, command: str) -> None:
    """Six rows of 67 million numbers took 2.1 GB."""
    model = tmp_path / "model.mlmodel"
    write_model(summing(2**25), model)
    rest = ["--labels", "a,b"] if command == "mark" else []
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, command, str(model), "-o", str(tmp_path / "out.mlmodel"), *rest],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in ran.stderr
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout.splitlines()[-1].split()[1]) < LIMIT


@pytest.mark.parametrize("command", ["check", "inspect", "mark", "knn", "layout", "predict", "update"])
def test_more_axes_than_torch_and_numpy_have(run: Run, tmp_path: Path, command: str) -> None:
    model, rows, out = tmp_path / "model.mlmodel", tmp_path / "rows.json", tmp_path / "out.mlmodel"
    write_model(adding((1,) * 65, axes=65), model)
    rows.write_text(json.dumps([{"x": 1}]))
    rest: dict[str, list[object]] = {
        "mark": ["-o", out, "--labels", "a"],
        "knn": ["-o", out],
        "layout": ["-o", out, "--to", "split"],
        "predict": [rows],
        "update": [rows, "-o", out],
    }
    ran = run(command, model, *rest.get(command, []))
    assert ran.status in ((0, 1) if command in ("check", "inspect") else (1,)), ran.err
    assert "Traceback" not in ran.err
    assert len(ran.err.splitlines()) <= 1
    assert not out.exists()
