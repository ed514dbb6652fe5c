"""A recurrent layer before the head can be trained too."""

import warnings
from itertools import product

import coremltools
import numpy as np
import pytest
import torch
from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder

from coreml_updatable.checking import check
from coreml_updatable.converting.equivalence import unchanged
from coreml_updatable.marking import mark
from coreml_updatable.runtime import load
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.messages import Model, Model_pb2
from coreml_updatable.spec.network import network_of
from coreml_updatable.spec.shapes import blob_shapes
from coreml_updatable.spec.storage import storage, weight_fields
from coreml_updatable.spec.weights import packed_floats
from coreml_updatable.updating import UpdateTask
from tests.broken_models import valid
from tests.marking.layered import LABELS
from tests.marking.test_mark import SETTINGS, updatable


def recurrent_classifier() -> Model:
    """x [5] -> LSTM [4], its states in and out -> fc -> softmax."""
    random = np.random.default_rng(0)
    inputs = [("x", datatypes.Array(5)), ("h", datatypes.Array(4)), ("c", datatypes.Array(4))]
    outputs = [("probabilities", datatypes.Array(3)), ("h_out", datatypes.Array(4)), ("c_out", datatypes.Array(4))]
    builder = NeuralNetworkBuilder(inputs, outputs, mode="classifier")
    matrices = [[random.normal(size=(4, n)) for _ in range(4)] for n in (5, 4)]
    biases = [random.normal(size=4) for _ in range(4)]
    names = ["x", "h", "c"], ["y", "h_out", "c_out"]
    builder.add_unilstm("lstm", matrices[1], matrices[0], biases, 4, 5, *names)
    builder.add_inner_product("fc", random.normal(size=(3, 4)), random.normal(size=3), 4, 3, True, "y", "logits")
    builder.add_softmax("softmax", "logits", "probabilities")
    builder.set_class_labels(list(LABELS), "label", prediction_blob="probabilities")
    return builder.spec


def test_it_is_marked_and_learns() -> None:
    before = recurrent_classifier()
    assert blob_shapes(before)["y"] == (1, 1, 4, 1, 1)
    result = mark(before, SETTINGS, last=2)
    assert updatable(result) == ["lstm", "fc"]
    assert [problem.rule for problem in check(result)] == ["L2048"]
    assert unchanged(before, result) < 1e-6
    assert model_bytes(mark(result, SETTINGS, last=2)) == model_bytes(result)
    random = np.random.default_rng(1)
    rows = [
        {"x": random.normal(size=5), "h": np.zeros(4), "c": np.ones(4), "label": LABELS[index % 3]}
        for index in range(6)
    ]
    first, longer = (UpdateTask(result, rows, {"epochs": n}).resume() for n in (1, 30))
    shares = result.description.predictedProbabilitiesName
    mean_loss = [
        -np.mean([np.log(task.model.predict(row)[shares][row["label"]]) for row in rows]) for task in (first, longer)
    ]
    assert mean_loss[1] < mean_loss[0]  # the loss that a task tells is that of its last mini-batch
    old, new = (valid.layer(model, "lstm").uniDirectionalLSTM.weightParams for model in (result, longer.model.message))
    for gate, kind in product(("inputGate", "forgetGate", "blockInput", "outputGate"), ("WeightMatrix", "BiasVector")):
        name = gate + kind
        assert not np.array_equal(packed_floats(getattr(old, name)), packed_floats(getattr(new, name))), name


def test_its_weights_are_widened() -> None:
    before = recurrent_classifier()
    for _, weights in weight_fields(valid.layer(before, "lstm")):
        halves = np.array(weights.floatValue, "<f2").tobytes()
        weights.Clear()
        weights.float16Value = halves
    quantized = valid.layer(before, "lstm").uniDirectionalLSTM.weightParams.inputGateWeightMatrix
    quantized.Clear()
    quantized.rawValue = bytes(range(20))
    quantized.quantization.numberOfBits = 8
    quantized.quantization.linearQuantization.scale.append(0.1)
    quantized.quantization.linearQuantization.bias.append(-1.0)
    result = mark(before, SETTINGS, last=2)
    assert {storage(weights) for layer in network_of(result).layers for _, weights in weight_fields(layer)} == {
        "float32"
    }
    output = packed_floats(valid.layer(result, "lstm").uniDirectionalLSTM.weightParams.inputGateWeightMatrix)
    np.testing.assert_allclose(output, np.arange(20) * 0.1 - 1, atol=1e-6)
    assert unchanged(before, result) < 1e-6


class Recurrent(torch.nn.Module):
    """The last step of an LSTM, and a Linear layer: how people classify sequences in torch."""

    def __init__(self, layers: int, both_ways: bool) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(4, 6, num_layers=layers, batch_first=True, bidirectional=both_ways)
        self.head = torch.nn.Linear(12 if both_ways else 6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.lstm(x)[0][:, -1]).softmax(1)
        return out


def converted_recurrent(network: torch.nn.Module) -> Model:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(network, torch.zeros(1, 5, 4))
        inputs = [coremltools.TensorType(name="x", shape=(1, 5, 4))]
        labels = coremltools.ClassifierConfig(list(LABELS))
        result = coremltools.convert(traced, inputs=inputs, convert_to="neuralnetwork", classifier_config=labels)
    return result.get_spec()


@pytest.mark.field_case(
    "apple/coremltools#2074", "a torch LSTM, marked, holds no expandDims to rank 5, where its update crashed", "works"
)
@pytest.mark.parametrize(("layers", "both_ways"), [(1, False), (2, False), (1, True)])
def test_a_torch_lstm_is_marked_without_the_layer_in_which_its_update_crashed(layers: int, both_ways: bool) -> None:
    torch.manual_seed(layers)
    network = Recurrent(layers, both_ways).eval()
    source = converted_recurrent(network)
    result = mark(source, SETTINGS, labels=list(LABELS))
    assert "expandDims" in {layer.WhichOneof("layer") for layer in network_of(source).layers}
    assert "expandDims" not in {layer.WhichOneof("layer") for layer in network_of(result).layers}
    assert [str(problem) for problem in check(result)] == []
    assert model_bytes(mark(result, SETTINGS)) == model_bytes(result)
    rows = torch.randn(8, 5, 4)
    expected = network(rows).detach().numpy()
    answers = load(result).predict([{"x": row[None].numpy()} for row in rows])
    probabilities = result.description.predictedProbabilitiesName
    actual = [[answer[probabilities][label] for label in LABELS] for answer in answers]
    np.testing.assert_allclose(actual, expected, atol=1e-6)
    updatable_as_it_came = Model_pb2.Model.FromString(source.SerializeToString())
    updatable_as_it_came.isUpdatable = True
    expansions = [problem for problem in check(updatable_as_it_came) if problem.rule == "L2074"]
    assert len(expansions) == 3 * layers
    assert {problem.severity for problem in expansions} == {"warning"}
