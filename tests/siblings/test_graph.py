"""The ONNX graph of a sibling before any engine trains it, judged by plain ONNX Runtime and the reference run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder

import coreml_updatable as cu
from coreml_updatable.runtime.engine.batched import Batched
from coreml_updatable.runtime.engine.loops import scan_op
from coreml_updatable.runtime.engine.program import Program, build_steps
from coreml_updatable.runtime.engine.tracing import with_loops
from coreml_updatable.siblings.graph import SCORES, to_model
from coreml_updatable.siblings.learner import SiblingSource
from coreml_updatable.siblings.making import made_up_rows
from coreml_updatable.siblings.proof import answers_of
from coreml_updatable.spec.messages import Model, Model_pb2
from tests.broken_models.valid import exact, nearest_neighbors, pipeline
from tests.siblings import models


@pytest.mark.parametrize("make", models.ALL)
def test_any_number_of_rows_gives_what_the_model_answers(make: Callable[[], Model]) -> None:
    source = SiblingSource(cu.load(make()))
    content = to_model(source)
    onnx.checker.check_model(content, full_check=True)
    session = onnxruntime.InferenceSession(content.SerializeToString(), providers=["CPUExecutionProvider"])
    for count in (1, 5):
        rows = made_up_rows(source, count)
        names = [SCORES, *source.outputs]
        actual = dict(zip(names, session.run(names, source.arrays(rows)), strict=True))
        assert actual[SCORES].shape == (count, source.size)
        for index, expected in enumerate(cu.load(make()).predict(rows)):
            for name, value in answers_of(source, expected).items():
                np.testing.assert_allclose(actual[name][index], value, rtol=1e-4, atol=1e-5)


def test_the_trained_weights_keep_their_names_and_values() -> None:
    model = models.pictures()
    content = to_model(SiblingSource(cu.load(model)))
    held = {item.name: onnx.numpy_helper.to_array(item) for item in content.graph.initializer}
    layer = next(item for item in model.neuralNetworkClassifier.layers if item.name == "fc2")
    np.testing.assert_array_equal(
        held["fc2.weights"].ravel(), np.array(layer.innerProduct.weights.floatValue, np.float32)
    )
    trained = {name for name in held if not name.startswith(("fixed.", "head."))}
    assert trained == {f"{layer}.{part}" for layer in ("conv2", "fc1", "fc2") for part in ("weights", "bias")}


def test_a_constant_is_held_once() -> None:
    """A layer that is unrolled over a sequence reads its weights at each step."""
    graph = to_model(SiblingSource(cu.load(models.sequence()))).graph
    fixed = [item for item in graph.initializer if item.name.startswith("fixed.")]
    held = {(item.data_type, tuple(item.dims), onnx.numpy_helper.to_array(item).tobytes()) for item in fixed}
    assert len(held) == len(fixed) > 0


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("kind", ["lstm", "gru", "both directions", "simple"])
def test_a_loop_over_a_sequence_stays_one_operation(kind: str, rows: int) -> None:
    """Torch's own scan runs the recorded loop; the same layer, a row at a time, is compared with torch elsewhere."""
    result = build_steps(recurrent(kind).neuralNetwork.layers, cu.Assumptions())
    fixed = Batched(Program(result, ["y"]), optimize=False).batched(["x"])
    sizes = []
    for steps in (2, 9):
        x = torch.rand(rows, steps, 1, 4, 1, 1, generator=torch.Generator().manual_seed(1)) - 0.5
        graph = with_loops(fixed, [x])
        sizes.append(len(list(graph.graph.nodes)))
        assert sum(node.target is scan_op() for node in graph.graph.nodes) == (2 if kind == "both directions" else 1)
        for given in (x, -x):
            torch.testing.assert_close(graph(given), fixed(given), rtol=1e-5, atol=1e-6)
    assert sizes[0] == sizes[1]


def recurrent(kind: str) -> Model:
    random = np.random.default_rng(5)

    def arrays(*shape: int, count: int) -> list[Any]:
        return [random.normal(size=shape) * 0.4 for _ in range(count)]

    builder = NeuralNetworkBuilder(
        [("x", datatypes.Array(1, 1, 4, 1, 1))], [("y", None)], disable_rank5_shape_mapping=True
    )
    own, given, bias = arrays(6, 6, count=4), arrays(6, 4, count=4), arrays(6, count=4)
    match kind:
        case "lstm":
            builder.add_unilstm("r", own, given, bias, 6, 4, ["x"], ["y"], output_all=True, peep=arrays(6, count=3))
        case "gru":
            builder.add_gru("r", own[:3], given[:3], bias[:3], 6, 4, ["x"], ["y"], output_all=True, reverse_input=True)
        case "both directions":
            back = (arrays(6, 6, count=4), arrays(6, 4, count=4), arrays(6, count=4))
            builder.add_bidirlstm("r", own, given, bias, *back, 6, 4, ["x"], ["y"], output_all=True)
        case _:
            builder.add_simple_rnn("r", own[0], given[0], bias[0], 6, 4, "TANH", ["x"], ["y"])
    model: Model = Model_pb2.Model.FromString(builder.spec.SerializeToString())
    return model


def test_what_has_no_sibling_is_refused_with_the_way_out(tmp_path: Path) -> None:
    cases = (
        (pipeline(), ["neighbors"]),
        (cu.layout(models.pictures(), "pipeline")[0].message, ["pipeline", "layout"]),
        (nearest_neighbors(), ["neighbors"]),
        (exact(), ["not updatable", "mark"]),
        (models.with_momentum(), ["momentum", "0.5"]),
    )
    for model, words in cases:
        with pytest.raises(cu.ModelError) as refused:
            cu.make_siblings(model, tmp_path / "out", ["onnxruntime"])
        assert all(word in str(refused.value) for word in words), refused.value
    assert not (tmp_path / "out").exists()


def test_adam_needs_another_engine_than_executorch(tmp_path: Path) -> None:
    with pytest.raises(cu.ModelError, match="Adam"):
        cu.make_siblings(models.adam(), tmp_path, ["executorch"])


def test_epsilon_inside_the_root_is_refused(tmp_path: Path) -> None:
    model = cu.load(models.adam(), assumptions=cu.Assumptions(adam_eps="inside"))
    with pytest.raises(cu.ModelError, match="inside"):
        cu.make_siblings(model, tmp_path, ["onnxruntime"])


@pytest.mark.parametrize(
    "assumptions", [{"gradient": "sum"}, {"squared_error": "sum"}, {"adam_bias": "uncorrected"}], ids=str
)
def test_an_assumption_that_no_engine_shares_is_refused(tmp_path: Path, assumptions: dict[str, str]) -> None:
    model = cu.load(models.adam(), assumptions=cu.Assumptions(**assumptions))  # type: ignore[arg-type]
    with pytest.raises(cu.ModelError, match=next(iter(assumptions))):
        cu.make_siblings(model, tmp_path, ["onnxruntime"])


def test_a_missing_environment_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXRUNTIME_TRAINING_PYTHON", str(tmp_path / "none"))
    with pytest.raises(cu.BuildError, match="make ort"):
        cu.make_siblings(models.sgd(), tmp_path / "out", ["onnxruntime"])
    assert not (tmp_path / "out").exists()
