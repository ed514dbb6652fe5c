"""Whole networks: converted from torch and compared with it, in batches and alone."""

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.errors import DataError, ModelError
from coreml_updatable.runtime import load
from coreml_updatable.runtime.engine.batched import Batched
from coreml_updatable.runtime.engine.optimizing import optimized
from coreml_updatable.runtime.engine.program import Program, build_steps
from coreml_updatable.runtime.network import NetworkModel
from coreml_updatable.spec.messages import Model_pb2

LABELS = ["a", "b", "c"]


def copied(spec: Any) -> Any:
    copy = Model_pb2.Model()
    copy.CopyFrom(spec)
    return copy


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        pooled = functional.adaptive_avg_pool2d(x, 1)
        return x * functional.hardsigmoid(self.expand(functional.relu(self.reduce(pooled))))


class InvertedResidual(nn.Module):
    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        wide = channels * 4
        self.layers = nn.Sequential(
            nn.Conv2d(channels, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU6(),
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide), nn.Hardswish(), SqueezeExcite(wide),
            nn.Conv2d(wide, out, 1),
        )  # fmt: skip
        self.residual = channels == out and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


def small_classifier() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU6(), InvertedResidual(8, 8, 1), InvertedResidual(8, 12, 2),
        nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 3), nn.Softmax(1),
    ).eval()  # fmt: skip


class Attention(nn.Module):
    """Transposes and reshapes that move the first axis, layer normalization, GELU and a concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.norm, self.out = nn.Linear(6, 12), nn.LayerNorm(6), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.inner(self.norm(x)).chunk(2, -1)
        mixed = torch.softmax(first.transpose(1, 2), -1).transpose(1, 2) * functional.gelu(second)
        joined = torch.cat([mixed.mean(1, keepdim=True), x[:, 1:]], 1)
        y: Tensor = self.out(joined.reshape(-1, 6))
        return y.reshape(1, -1)


@pytest.fixture(scope="module")
def classifier(converted: Any) -> tuple[nn.Module, Any]:
    module = small_classifier()
    return module, converted(module, torch.rand(1, 3, 24, 24), image=True, labels=LABELS)


@pytest.fixture
def pictures() -> Any:
    return np.random.default_rng(0).integers(0, 256, (11, 24, 24, 3), dtype=np.uint8)


def test_a_converted_classifier_agrees_with_torch(classifier: Any, pictures: Any) -> None:
    module, spec = classifier
    answers = load(spec).predict([{"x": picture} for picture in pictures])
    with torch.no_grad():
        expected = module(torch.from_numpy(pictures).permute(0, 3, 1, 2).float()).numpy()
    name = spec.description.predictedProbabilitiesName
    actual = np.array([[answer[name][label] for label in LABELS] for answer in answers])
    np.testing.assert_allclose(actual, expected, atol=1e-6)
    assert [answer[spec.description.predictedFeatureName] for answer in answers] == [
        LABELS[index] for index in expected.argmax(1)
    ]


def test_one_row_gives_one_answer_and_intermediate_every_blob(classifier: Any, pictures: Any) -> None:
    model = load(classifier[1])
    row = {"x": pictures[0]}
    (answer,) = model.predict([row])
    assert {name: pytest.approx(value) for name, value in answer.items()} == model.predict(row)
    blobs = model.predict(row, intermediate=True)
    written = {blob for layer in model.message.neuralNetworkClassifier.layers for blob in layer.output}
    assert written | {"x"} <= set(blobs)
    np.testing.assert_array_equal(blobs["x"][0], pictures[0].transpose(2, 0, 1))
    for blob in written - set(answer):
        some = model.predict([row, row], intermediate={blob})
        assert [set(item) for item in some] == [{blob, *answer} | (set(item) & {"x"}) for item in some]
        np.testing.assert_allclose(some[1][blob], blobs[blob], rtol=1e-4, atol=1e-4, strict=True)


def test_a_batch_equals_its_rows_whatever_the_graph_does_with_the_first_axis(converted: Any, random: Any) -> None:
    torch.manual_seed(0)
    module = Attention().eval()
    spec = converted(module, torch.rand(1, 5, 6))
    x = random.normal(size=(9, 1, 5, 6)).astype(np.float32)
    answers = load(spec).predict([{"x": row} for row in x])
    with torch.no_grad():
        expected = np.stack([module(torch.from_numpy(row)).numpy() for row in x])
    np.testing.assert_allclose(np.stack([answer["y"] for answer in answers]), expected, rtol=1e-4, atol=1e-5)


def test_optimized_graph_equals_the_plain_one(classifier: Any, pictures: Any) -> None:
    network = classifier[1].neuralNetworkClassifier
    program = Program(build_steps(network.layers), [network.layers[-1].output[0]])
    x = torch.from_numpy(pictures[:4]).permute(0, 3, 1, 2).float()[:, None]
    blob = program.outputs[0]

    def run(rows: Tensor) -> tuple[Tensor, ...]:
        result: tuple[Tensor, ...] = torch.vmap(lambda row: (program({"x": row})[blob],))(rows)
        return result

    with torch.no_grad():
        fast = optimized(run, [x])
        assert fast is not None
        for rows in (x, x.flip(0)):
            np.testing.assert_allclose(fast(rows)[0].numpy(), run(rows)[0].numpy(), atol=1e-6)


def test_batches_are_optimized_when_many_rows_come(classifier: Any, pictures: Any) -> None:
    network = classifier[1].neuralNetworkClassifier
    runner = Batched(Program(build_steps(network.layers), [network.layers[-1].output[0]]), optimize=True)
    x = torch.from_numpy(pictures[:4]).permute(0, 3, 1, 2).float()[:, None]
    with torch.no_grad():
        plain = runner({"x": x}, 4, coming=0)
        fast = runner({"x": x}, 4, coming=10**9)
    assert isinstance(plain, dict)
    assert isinstance(fast, dict)
    assert [shape.fast is not None for shape in runner._shapes.values()] == [True]
    for name, blob in plain.items():
        np.testing.assert_allclose(fast[name].numpy(), blob.numpy(), atol=1e-6)


def test_frozen_rows_stand_for_rows(classifier: Any, pictures: Any) -> None:
    model = load(classifier[1])
    rows = [{"x": picture, "classLabel": "a"} for picture in pictures]
    halfway = model.frozen(rows)
    mixed, whole = model.predict([*halfway[:5], *rows[5:]]), model.predict(rows)
    for item, other in zip(mixed, whole, strict=True):
        assert item["classLabel"] == other["classLabel"]
        name = model.message.description.predictedProbabilitiesName
        assert item[name] == pytest.approx(other[name])
    assert halfway[0].features == {"classLabel": "a"}
    assert halfway[0].with_features(other=1).features == {"classLabel": "a", "other": 1}
    assert load(copied(classifier[1])).predict(halfway) == model.predict(halfway)
    assert load(copied(classifier[1])).predict(deepcopy(halfway)) == model.predict(halfway)
    other = copied(classifier[1])
    other.neuralNetworkClassifier.layers[0].convolution.weights.floatValue[0] += 1
    with pytest.raises(DataError, match="row 0: was frozen by another model"):
        load(other).predict(halfway)


@pytest.mark.parametrize("rank", [1, 3])
def test_rank5_mapping(make_model: Any, random: Any, rank: int) -> None:
    shape = (6,) if rank == 1 else (6, 1, 1)
    weights, bias = random.normal(size=(2, 6)).astype(np.float32), random.normal(size=2).astype(np.float32)
    spec = make_model(lambda b: b.add_inner_product("fc", weights, bias, 6, 2, True, "x", "y"), {"x": shape}, True)
    x = random.normal(size=(4, *shape)).astype(np.float32)
    model = load(spec)
    result = np.stack([answer["y"] for answer in model.predict([{"x": row} for row in x])])
    np.testing.assert_allclose(result, x.reshape(4, 6) @ weights.T + bias, rtol=1e-5, atol=1e-6)
    assert model.predict({"x": x[0]}, intermediate=True)["x"].shape == (1, 1, 6, 1, 1)


def test_sequences_in_rank5_mapping(make_model: Any, random: Any) -> None:
    weights = random.normal(size=(2, 6)).astype(np.float32)
    spec = make_model(lambda b: b.add_inner_product("fc", weights, None, 6, 2, False, "x", "y"), {"x": (6,)}, True)
    x = random.normal(size=(5, 1, 6)).astype(np.float32)
    result = load(spec).predict({"x": x})["y"]
    np.testing.assert_allclose(result, (x @ weights.T)[..., None, None], rtol=1e-5, atol=1e-6)


def test_faults_of_the_graph_are_named(make_model: Any) -> None:
    def add(builder: Any) -> None:
        builder.add_activation("one", "RELU", "x", "a")
        builder.add_activation("two", "RELU", "a", "y")

    spec = make_model(add, {"x": (3,)}, False)
    layers = spec.neuralNetwork.layers
    layers[0].input[0] = "nowhere"
    with pytest.raises(
        ModelError, match="layer 'one': reads blob 'nowhere', which is neither an input nor written by a layer"
    ):
        load(spec)
    layers[0].input[0] = "y"
    with pytest.raises(ModelError, match="layer 'one': reads blob 'y' before layer 'two' writes it"):
        load(spec)
    layers[0].input[0] = "x"
    layers[0].output[0] = "x"
    with pytest.raises(ModelError, match="layer 'one': writes blob 'x', which already exists"):
        load(spec)
    layers[0].output[0] = "a"
    layers[1].output[0] = "z"
    with pytest.raises(ModelError, match="no layer writes the output 'y'"):
        load(spec)


def test_unknown_and_custom_layers_are_refused_by_name(make_model: Any) -> None:
    spec = make_model(lambda b: b.add_activation("one", "RELU", "x", "y"), {"x": (3,)}, False)
    layer = spec.neuralNetwork.layers[0]
    layer.custom.className = "Mine"
    with pytest.raises(ModelError, match=r"layer 'one': is a custom layer \('Mine'\)"):
        load(spec)
    layer.ClearField("custom")
    with pytest.raises(ModelError, match="layer 'one': has no type"):
        load(spec)


def test_faults_of_rows_are_named(make_model: Any) -> None:
    spec = make_model(lambda b: b.add_activation("one", "RELU", "x", "y"), {"x": (3,)}, False)
    model = load(spec)
    good = [1.0, 2.0, 3.0]
    for row, message in (
        ({}, "row 0: feature 'x' is missing; the model reads 'x'"),
        ({"x": good, "z": 1}, "row 0: the model has no feature 'z'"),
        ({"x": [1, 2]}, r"row 0: feature 'x': has the shape \[2\], but the model expects \[3\]"),
        ({"x": [1, np.nan, 2]}, r"row 0: feature 'x': is NaN at \[1\]"),
        ({"x": "text"}, "row 0: feature 'x': is a str, expected numbers"),
    ):
        with pytest.raises(DataError, match=message):
            model.predict(row)
    with pytest.raises(DataError, match="row 1: is an int, expected a mapping"):
        model.predict([{"x": good}, 3])  # type: ignore[list-item]
    np.testing.assert_array_equal(model.predict({"x": good})["y"], good)
    assert model.predict([]) == []


def test_labels_and_probabilities_must_agree(classifier: Any, pictures: Any) -> None:
    spec = Model_pb2.Model()
    spec.CopyFrom(classifier[1])
    spec.neuralNetworkClassifier.stringClassLabels.vector.append("d")
    with pytest.raises(ModelError, match="has 3 values, but the model has 4 labels"):
        load(spec).predict({"x": pictures[0]})


def test_other_kinds_are_refused() -> None:
    spec = Model_pb2.Model(specificationVersion=4)
    spec.bayesianProbitRegressor.SetInParent()
    with pytest.raises(ModelError, match="is a bayesianProbitRegressor, a type that cannot be run here"):
        load(spec)
    spec.mlProgram.SetInParent()
    with pytest.raises(ModelError, match="ML program"):
        load(spec)


def test_a_file_can_be_loaded(classifier: Any, tmp_path: Any, pictures: Any) -> None:
    path = tmp_path / "m.mlmodel"
    path.write_bytes(classifier[1].SerializeToString())
    model = load(path)
    assert isinstance(model, NetworkModel)
    assert model.predict({"x": pictures[0]}) == load(classifier[1]).predict({"x": pictures[0]})
