"""What a summary says, against what the models' builders were told."""

import json
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coreml_updatable.checking import check
from coreml_updatable.errors import ModelError
from coreml_updatable.marking import describe, with_samples
from coreml_updatable.spec.io import model_bytes, parse_model
from coreml_updatable.spec.messages import FeatureTypes_pb2, Model, Model_pb2
from coreml_updatable.spec.summary import summarize
from tests.broken_models import valid

Build: TypeAlias = Callable[[], Model]


def test_a_classifier() -> None:
    model = describe(valid.classifier(), features={"image": "A photo."}, author="me", user_defined={"key": "text"})
    summary = summarize(model)
    assert (summary.kind, summary.updatable) == ("Neural Network Classifier", True)
    assert summary.bytes == len(model_bytes(model))
    assert (summary.specification_version, summary.availability) == (4, "iOS 13, macOS 10.15 or later")
    assert summary.labels == tuple(valid.LABELS)
    assert [(f.name, f.type, f.description) for f in summary.inputs] == [
        ("image", "MultiArray (Double 3 × 8 × 8)", "A photo.")
    ]
    assert {f.name: f.type for f in summary.outputs} == {
        "label": "String",
        "probabilities": "Dictionary (String → Double)",
    }
    assert [f.name for f in summary.training_inputs] == ["image", "label"]
    assert summary.user_defined == (("key", "text"),)


def test_its_network() -> None:
    network = summarize(valid.classifier()).network
    assert network is not None
    assert {layer.name: layer.parameters for layer in network.layers if layer.parameters} == {
        "conv": 4 * 3 * 3 * 3 + 4,
        "fc": 3 * 144 + 3,
    }
    assert [layer.name for layer in network.layers if layer.updatable] == ["fc"]
    assert network.updatable_parameters == 3 * 144 + 3
    assert network.head_bytes == 4 * network.updatable_parameters
    assert network.updatable_share == network.updatable_parameters / network.parameters
    assert network.layers[0].shape == (1, 1, 4, 6, 6)


def test_its_update() -> None:
    update = summarize(valid.classifier()).update
    assert update is not None
    assert (update.layers, update.optimizer) == (("fc",), "Stochastic Gradient Descent")
    target = valid.loss(valid.classifier()).categoricalCrossEntropyLossLayer.target
    assert update.loss == f"Categorical Cross Entropy of probabilities against {target}"
    parameters = {parameter.name: parameter for parameter in update.parameters}
    assert parameters["epochs"].allowed == (1, 2, 3)
    assert parameters["learningRate"].range == (0.0, 1.0)
    assert parameters["shuffle"].default is True
    squared = summarize(valid.plain()).update
    assert squared is not None
    assert squared.loss == "Mean Squared Error of y against y_true"


def test_nearest_neighbors_in_a_pipeline() -> None:
    filled = with_samples(valid.pipeline(), np.eye(3, 4), ["b", "a", "b"])
    summary = summarize(filled)
    assert summary.kind == "Pipeline Classifier"
    assert [member.kind for _, member in summary.members] == ["Neural Network", "Nearest Neighbors Classifier"]
    neighbors = summary.members[1][1].nearest_neighbors
    assert neighbors is not None
    assert (neighbors.samples, neighbors.dimensions) == (3, 4)
    assert neighbors.samples_per_label == (("b", 2), ("a", 1))
    assert (neighbors.weighting, neighbors.index, neighbors.default_label) == ("inverse distance", "linear", "unknown")
    assert summary.update is not None
    assert [parameter.name for parameter in summary.update.parameters] == ["numberOfNeighbors"]


def test_an_image_in_words() -> None:
    model = Model_pb2.Model(specificationVersion=5)
    model.neuralNetwork.SetInParent()
    image = model.description.input.add(name="photo").type.imageType
    image.width, image.height, image.colorSpace = 128, 64, FeatureTypes_pb2.ImageFeatureType.RGB
    model.description.input.add(name="mood").type.isOptional = True
    first, second = summarize(model).inputs
    assert first.type == "Image (RGB 128 × 64)"
    assert second.type == "no type, optional"


@pytest.mark.parametrize("build", valid.ALL, ids=lambda build: build.__name__)
def test_json_is_plain(build: Build) -> None:
    summary = summarize(build())
    assert json.loads(json.dumps(summary.to_json(), allow_nan=False))["kind"] == summary.kind


_DAMAGE = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=12)


@settings(deadline=None)
@given(st.sampled_from(valid.ALL), _DAMAGE)
def test_damaged_files_are_refused_or_judged_but_break_nothing(build: Build, damage: list[tuple[float, int]]) -> None:
    content = bytearray(build().SerializeToString())
    for place, value in damage:
        content[int(place * len(content))] = value
    try:
        model = parse_model(bytes(content), "damaged.mlmodel")
    except ModelError:
        return
    for problem in check(model):
        assert problem.severity in ("error", "warning")
    json.dumps(summarize(model).to_json())


def test_bytes_that_are_no_model_are_refused_in_a_sentence() -> None:
    with pytest.raises(ModelError, match=r"^damaged.mlmodel: is not a Core ML model \(not a valid protobuf"):
        parse_model(b"\xff\xff", "damaged.mlmodel")
    with pytest.raises(ModelError, match=r"^damaged.mlmodel: is not a Core ML model \(no specification version"):
        parse_model(b"", "damaged.mlmodel")
