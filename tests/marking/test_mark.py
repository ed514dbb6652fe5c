"""Marked networks: what is written, what stays, and that coremltools reads it the same way."""

from itertools import pairwise

import coremltools
import numpy as np
import pytest
import torch
from coremltools.models.neural_network import NeuralNetworkBuilder
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from coreml_updatable.checking import check
from coreml_updatable.marking import mark, name_layers
from coreml_updatable.marking.settings import SGD, Adam, DoubleParameter, Int64Parameter, UpdateSettings
from coreml_updatable.runtime import load
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import network_of
from coreml_updatable.spec.parameters import network_parameters
from tests.broken_models import valid
from tests.marking.networks import LABELS, NETWORKS, converted, network

SETTINGS = UpdateSettings(
    SGD(
        DoubleParameter(0.01, (0.0001, 1.0)),
        Int64Parameter(1, allowed=(1, 2, 8)),
        DoubleParameter(0.9, (0.0, 0.99)),
    ),
    epochs=Int64Parameter(10, (1, 100)),
    shuffle=True,
    seed=1,
)
ADAM = UpdateSettings(
    Adam(
        DoubleParameter(0.001),
        Int64Parameter(4, (1, 16)),
        DoubleParameter(0.9, (0.0, 1.0)),
        DoubleParameter(0.999, (0.0, 1.0)),
        DoubleParameter(1e-8),
    ),
    epochs=Int64Parameter(3, allowed=(1, 3)),
    shuffle=False,
)


def updatable(model: Model) -> list[str]:
    return [str(layer.name) for layer in network_of(model).layers if layer.isUpdatable]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("labels", [LABELS, (1, 2, 3), None], ids=["strings", "numbers", "plain"])
def test_a_marked_model_keeps_every_rule(name: str, labels: tuple[str, ...] | tuple[int, ...] | None) -> None:
    model = mark(converted(name), SETTINGS, labels=labels)
    assert check(model) == []
    assert model.isUpdatable
    assert len(updatable(model)) == 1


@pytest.mark.parametrize("name", NETWORKS)
def test_only_weights_of_the_marked_layers_are_updatable(name: str) -> None:
    for layer in network_of(mark(converted(name), SETTINGS, labels=LABELS)).layers:
        for kind in ("innerProduct", "convolution"):
            params = getattr(layer, kind)
            assert params.weights.isUpdatable == (layer.isUpdatable and layer.WhichOneof("layer") == kind)
            assert params.bias.isUpdatable == (params.weights.isUpdatable and params.hasBias)


@pytest.mark.parametrize("name", NETWORKS)
def test_marking_twice_is_marking_once(name: str) -> None:
    once = mark(converted(name), SETTINGS, labels=LABELS)
    assert model_bytes(mark(once, SETTINGS, labels=LABELS)) == model_bytes(once)
    assert model_bytes(mark(once, SETTINGS)) == model_bytes(once)


def test_a_second_marking_replaces_parameters_and_marks() -> None:
    straight = mark(converted("two layers"), ADAM, labels=LABELS, last=2)
    around = mark(mark(converted("two layers"), SETTINGS, labels=LABELS), ADAM, last=2)
    back = mark(mark(straight, SETTINGS), ADAM, last=2)
    assert model_bytes(around) == model_bytes(straight) == model_bytes(back)


def test_parameters_are_exactly_as_the_settings_say() -> None:
    result = {p.name: p for p in network_parameters(network_of(mark(converted("two layers"), SETTINGS)))}
    assert (result["learningRate"].default, result["learningRate"].range) == (0.01, (0.0001, 1.0))
    assert (result["miniBatchSize"].default, result["miniBatchSize"].allowed) == (1, (1, 2, 8))
    assert (result["momentum"].default, result["momentum"].range) == (0.9, (0.0, 0.99))
    assert (result["epochs"].default, result["epochs"].range) == (10, (1, 100))
    assert (result["shuffle"].default, result["seed"].default) == (True, 1)
    result = {p.name: p for p in network_parameters(network_of(mark(converted("two layers"), ADAM)))}
    assert set(result) == {"learningRate", "miniBatchSize", "beta1", "beta2", "eps", "epochs", "shuffle"}
    assert result["shuffle"].default is False
    assert (result["eps"].range, result["miniBatchSize"].range) == (None, (1, 16))


def test_names_are_readable_and_wired() -> None:
    model = mark(converted("pooled linear, softmax", image=True), SETTINGS, labels=LABELS)
    layers = network_of(model).layers
    assert [str(layer.name) for layer in layers] == ["conv1", "clip", "conv2", "pool", "flatten", "fc", "softmax"]
    for before, after in pairwise(layers):
        assert list(after.input) == list(before.output) == [before.name]
    assert list(layers[0].input) == ["image"]
    assert str(model.neuralNetworkClassifier.labelProbabilityLayerName) == "softmax"


def test_naming_twice_is_naming_once_and_own_names_stay() -> None:
    once = name_layers(converted("flattened map"))
    assert model_bytes(name_layers(once)) == model_bytes(once)
    own = valid.classifier()
    assert model_bytes(name_layers(own)) == model_bytes(own)


def test_the_day_of_conversion_is_gone() -> None:
    model = mark(converted("one layer"), SETTINGS)
    assert not [key for key in model.description.metadata.userDefined if "date" in key]


def test_training_inputs_are_the_input_and_the_label() -> None:
    model = mark(converted("pooled linear, logits", image=True), SETTINGS, labels=LABELS)
    picture, label = model.description.trainingInput
    assert picture == model.description.input[0]
    assert label == model.description.output[0]
    loss = network_of(model).updateParams.lossLayers[0].categoricalCrossEntropyLossLayer
    assert (loss.input, loss.target) == ("softmax", "label")


def test_outputs_can_be_named() -> None:
    given = converted("two layers", labels=LABELS)
    named = mark(given, SETTINGS, labels=LABELS, label="meal", probabilities="chances")
    assert {f.name for f in named.description.output} == {"meal", "chances"}
    assert check(named) == []
    kept = mark(given, SETTINGS)
    assert {f.name for f in kept.description.output} == {f.name for f in given.description.output}
    row = {"image": np.linspace(0, 1, 5, dtype=np.float32)[None]}
    assert load(named).predict(row)["meal"] == load(given).predict(row)["classLabel"]


def test_layers_can_be_named_as_before_or_after() -> None:
    model = converted("two layers")
    before = [str(layer.name) for layer in network_of(model).layers if layer.WhichOneof("layer") == "innerProduct"]
    by_old_name = mark(model, SETTINGS, layers=before[:1])
    assert updatable(by_old_name) == before[:1]  # a name that its user knows stays
    assert model_bytes(mark(by_old_name, SETTINGS, layers=before[:1])) == model_bytes(by_old_name)
    assert updatable(mark(model, SETTINGS, layers=["fc1", "fc2"])) == ["fc1", "fc2"]
    assert updatable(mark(model, SETTINGS, last=2)) == ["fc1", "fc2"]


def test_coremltools_finds_the_same_updatable_layers(capsys: pytest.CaptureFixture[str]) -> None:
    model = mark(converted("two layers"), SETTINGS, labels=LABELS, last=2)
    builder = NeuralNetworkBuilder(spec=model)
    builder.inspect_updatable_layers()
    said = capsys.readouterr().out
    assert "Name: fc1" in said
    assert "Name: fc2" in said
    builder.inspect_loss_layers()
    assert "loss" in capsys.readouterr().out
    assert coremltools.models.MLModel(model, skip_model_load=True).get_spec() == model


def test_a_picture_gives_the_same_answer_before_and_after() -> None:
    name = "pooled linear, softmax"
    pixels = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    model = mark(converted(name, image=True), SETTINGS, labels=LABELS)
    said = load(model).predict({"image": Image.fromarray(pixels)})["labelProbability"]
    with torch.no_grad():
        expected = network(name)(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255)[0]
    np.testing.assert_allclose([said[label] for label in LABELS], expected, atol=2e-6)


def test_half_precision_weights_are_widened() -> None:
    model = converted("two layers")
    for layer in network_of(model).layers:
        if layer.WhichOneof("layer") == "innerProduct":
            weights = layer.innerProduct.weights
            weights.float16Value = np.array(weights.floatValue, "<f2").tobytes()
            del weights.floatValue[:]
            bias = layer.innerProduct.bias
            bias.float16Value = np.array(bias.floatValue, "<f2").tobytes()
            del bias.floatValue[:]
    row = {"image": np.linspace(0, 1, 5, dtype=np.float32)[None]}
    output = str(model.description.output[0].name)
    marked = mark(model, SETTINGS)
    assert check(marked) == []
    np.testing.assert_allclose(load(marked).predict(row)[output], load(model).predict(row)[output], atol=1e-6)


@given(bits=st.integers(1, 8), scale=st.floats(0.01, 1))
def test_a_quantized_head_is_widened(bits: int, scale: float) -> None:
    model = valid.classifier()
    weights = valid.layer(model, "fc").innerProduct.weights
    values = np.arange(432) % 2**bits
    planes = ((values[:, None] >> np.arange(bits - 1, -1, -1)) & 1).astype(np.uint8)
    weights.Clear()
    weights.rawValue = np.packbits(planes).tobytes()
    weights.quantization.numberOfBits = bits
    weights.quantization.linearQuantization.scale.append(scale)
    weights.quantization.linearQuantization.bias.append(-1)
    marked = mark(model, SETTINGS)
    result = valid.layer(marked, "fc").innerProduct.weights
    np.testing.assert_allclose(result.floatValue, values * np.float32(scale) - 1, rtol=1e-6, atol=1e-6)
    assert check(marked) == []
