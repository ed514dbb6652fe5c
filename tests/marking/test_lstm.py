"""A recurrent layer before the head can be trained too."""

from itertools import product

import numpy as np
from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder

from coreml_updatable.building.unchanged import unchanged
from coreml_updatable.checking import check
from coreml_updatable.marking import mark
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import network_of
from coreml_updatable.spec.shapes import blob_shapes
from coreml_updatable.spec.weight_fields import weight_fields
from coreml_updatable.spec.weights import packed_floats, storage
from coreml_updatable.spec.writing import model_bytes
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
    made = mark(before, SETTINGS, last=2)
    assert updatable(made) == ["lstm", "fc"]
    assert [problem.rule for problem in check(made)] == ["L2048"]
    assert unchanged(before, made) < 1e-6
    assert model_bytes(mark(made, SETTINGS, last=2)) == model_bytes(made)
    random = np.random.default_rng(1)
    rows = [
        {"x": random.normal(size=5), "h": np.zeros(4), "c": np.ones(4), "label": LABELS[number % 3]}
        for number in range(6)
    ]
    first, longer = (UpdateTask(made, rows, {"epochs": n}).resume() for n in (1, 30))
    assert longer.metrics["lossValue"] < first.metrics["lossValue"]
    old, new = (valid.layer(model, "lstm").uniDirectionalLSTM.weightParams for model in (made, longer.model.message))
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
    made = mark(before, SETTINGS, last=2)
    assert {storage(weights) for layer in network_of(made).layers for _, weights in weight_fields(layer)} == {"float32"}
    found = packed_floats(valid.layer(made, "lstm").uniDirectionalLSTM.weightParams.inputGateWeightMatrix)
    np.testing.assert_allclose(found, np.arange(20) * 0.1 - 1, atol=1e-6)
    assert unchanged(before, made) < 1e-6
