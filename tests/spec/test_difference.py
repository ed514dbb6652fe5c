"""What differs between two models, against edits whose effect is known."""

import json
from collections.abc import Callable
from random import Random
from typing import Any, TypeAlias

import numpy as np
import pytest

from coreml_updatable.marking import describe, with_samples
from coreml_updatable.spec.diff.models import ModelDifference, difference, sentence
from coreml_updatable.spec.messages import Model, Model_pb2
from coreml_updatable.spec.network import network_of
from coreml_updatable.spec.weights import packed
from tests.broken_models import valid
from tests.runtime.mutations import damaged_fields

Build: TypeAlias = Callable[[], Model]


def copy(model: Model) -> Model:
    return Model_pb2.Model.FromString(model.SerializeToString())


def edited(edit: Callable[[Model], Any], build: Build = valid.classifier) -> ModelDifference:
    after = copy(build())
    edit(after)
    return difference(build(), after)


@pytest.mark.parametrize("build", valid.ALL, ids=lambda build: build.__name__)
def test_a_model_does_not_differ_from_itself(build: Build) -> None:
    result = difference(build(), copy(build()))
    assert result.same
    assert sentence(result) == "no difference in meaning"


@pytest.mark.parametrize("build", valid.ALL, ids=lambda build: build.__name__)
def test_damage_is_told_from_either_side(build: Build) -> None:
    """Whatever fields are damaged: both directions agree that the models differ, and the report is plain JSON."""
    for seed in range(30):
        after = damaged_fields(build(), Random(seed))
        there, back = difference(build(), after), difference(after, build())
        assert there.same == back.same
        if after != build() and after == after:  # NaN is not equal to itself, and does not differ from itself
            assert not there.same, f"seed {seed}"
        assert json.loads(json.dumps(there.to_json(), allow_nan=False))
        assert there.same is sentence(there).startswith("no difference in meaning")


def test_only_the_head() -> None:
    change = np.arange(432, dtype=np.float32) / 100

    def train(model: Model) -> None:
        weights = valid.layer(model, "fc").innerProduct.weights
        values = np.array(weights.floatValue, np.float32) + change
        weights.ClearField("floatValue")
        weights.MergeFromString(packed(values))

    result = edited(train)
    assert sentence(result) == "only the head (fc) changed"
    assert [layer.name for layer in result.layers.changed] == ["fc"]
    (weights,) = result.layers.changed[0].weights
    old = np.array(valid.layer(valid.classifier(), "fc").innerProduct.weights.floatValue, np.float64)
    assert (weights.kind, weights.values) == ("changed", 432)
    assert weights.norm == pytest.approx(np.linalg.norm(change), rel=1e-5)
    assert weights.relative == pytest.approx(np.linalg.norm(change) / np.linalg.norm(old), rel=1e-5)
    assert weights.largest == pytest.approx(4.31, rel=1e-5)


def test_frozen_weights_are_not_the_head() -> None:
    def change(model: Model) -> None:
        valid.layer(model, "conv").convolution.weights.floatValue[0] += 1

    assert sentence(edited(change)) == "only the weights of conv changed"


def test_values_that_are_not_finite_are_counted_apart() -> None:
    def change(model: Model) -> None:
        weights = valid.layer(model, "fc").innerProduct.weights
        weights.floatValue[0], weights.floatValue[1] = float("nan"), weights.floatValue[1] + 2

    (weights,) = edited(change).layers.changed[0].weights
    assert weights.not_finite == 1
    assert weights.norm == pytest.approx(2, rel=1e-5)


def test_a_signalling_nan_raises_no_warning() -> None:
    def change(model: Model) -> None:
        weights = valid.layer(model, "fc").innerProduct.weights
        values = np.array(weights.floatValue, np.float32)
        values.view(np.uint32)[0] = 0x7F800001
        weights.ClearField("floatValue")
        weights.MergeFromString(packed(values))

    (weights,) = edited(change).layers.changed[0].weights
    assert weights.not_finite == 1


def test_layers_added_removed_renamed_and_changed_in_settings() -> None:
    def change(model: Model) -> None:
        network = network_of(model)
        extra = network.layers.add(name="extra", input=["probabilities"], output=["more"])
        extra.activation.ReLU.SetInParent()
        valid.layer(model, "relu").name = "rectified"
        valid.layer(model, "conv").convolution.stride[0] = 2

    result = edited(change).layers
    assert result.added == ("extra (activation)",)
    assert result.removed == ()
    settings = {layer.name: [(c.what, c.before, c.after) for c in layer.settings] for layer in result.changed}
    assert settings == {"conv": [("stride", "1, 1", "2, 1")], "relu": [("name", "relu", "rectified")]}
    removed = edited(lambda model: network_of(model).layers.pop()).layers
    assert removed.removed == ("softmax (softmax)",)


def test_another_kind_of_layer_under_the_same_name() -> None:
    def change(model: Model) -> None:
        valid.layer(model, "relu").unary.SetInParent()

    (changed,) = edited(change).layers.changed
    assert [(c.what, c.before, c.after) for c in changed.settings] == [("kind", "activation", "unary")]


def test_parameters_labels_and_descriptions() -> None:
    def change(model: Model) -> None:
        valid.sgd(model).learningRate.defaultValue = 0.5
        network_of(model).updateParams.epochs.set.values.append(9)
        model.neuralNetworkClassifier.stringClassLabels.vector[2] = "d"
        model.description.input[0].shortDescription = "A photo."
        model.description.metadata.userDefined["key"] = "text"

    result = edited(change)
    assert [(c.what, c.before, c.after) for c in result.parameters] == [
        ("learningRate", "0.01, 0 to 1", "0.5, 0 to 1"),
        ("epochs", "3, one of 1, 2, 3", "3, one of 1, 2, 3, 9"),
    ]
    assert [(c.what, c.before, c.after) for c in result.labels] == [("labels", "c", "d")]
    assert [(c.what, c.before, c.after) for c in result.description] == [
        ("input image: shortDescription", "", "A photo."),
        ("metadata.userDefined[key]", "", "text"),
    ]
    assert sentence(result) == "the description, the labels and the parameters of the update changed"


def test_the_order_of_labels_counts() -> None:
    def swap(model: Model) -> None:
        model.neuralNetworkClassifier.stringClassLabels.vector[:] = ["b", "a", "c"]

    assert [(c.what, c.before, c.after) for c in edited(swap).labels] == [("order of labels", "a, b, c", "b, a, c")]


def test_another_optimizer() -> None:
    result = difference(valid.classifier(), valid.adam_classifier())
    assert [(c.what, c.before, c.after) for c in result.settings] == [("optimizer", "sgdOptimizer", "adamOptimizer")]
    assert {c.what for c in result.parameters} >= {"momentum", "beta1"}


def test_samples_by_label() -> None:
    before = with_samples(valid.pipeline(), np.eye(3, 4), ["b", "a", "b"])
    after = with_samples(valid.pipeline(), np.eye(4, 4)[1:], ["a", "b", "new"])
    result = difference(before, after)
    assert sentence(result) == "only the samples of the nearest neighbors of 'model1' changed"
    samples = dict(result.members)["model1"].samples
    assert samples is not None
    assert (samples.before, samples.after) == (3, 3)
    assert {(c.label, c.added, c.removed) for c in samples.labels} == {("new", 1, 0), ("b", 0, 1)}


def test_the_same_samples_in_another_order() -> None:
    before = with_samples(valid.nearest_neighbors(), np.eye(2, 4), ["a", "b"])
    after = with_samples(valid.nearest_neighbors(), np.eye(2, 4)[::-1], ["b", "a"])
    samples = difference(before, after).samples
    assert samples is not None
    assert samples.reordered
    assert samples.labels == ()


def test_members_of_pipelines_of_other_lengths_are_matched_by_name() -> None:
    before = copy(valid.pipeline())
    before.pipelineClassifier.pipeline.names.extend(["extractor", "neighbours"])
    after = copy(before)
    del after.pipelineClassifier.pipeline.models[0]
    del after.pipelineClassifier.pipeline.names[0]
    result = difference(before, after)
    assert [(c.what, c.before, c.after) for c in result.settings] == [
        ("models (count)", "2", "1"),
        ("model extractor", "present", ""),
    ]
    assert [(name, member.same) for name, member in result.members] == [("neighbours", True)]
    assert [c.what for c in difference(after, before).settings] == ["models (count)", "model extractor"]


def test_another_kind_of_model() -> None:
    result = difference(valid.plain(), valid.regressor())
    assert [(c.what, c.after) for c in result.settings] == [("kind", "neuralNetworkRegressor")]
    assert not result.layers.changed
    assert "the type of the model" in sentence(result)


def test_layers_inside_a_branch_are_compared() -> None:
    def with_branch(value: float) -> Model:
        model = copy(valid.plain())
        layer = network_of(model).layers.add(name="branch", input=["y"])
        inner = layer.branch.ifBranch.layers.add(name="inner", input=["y"], output=["z"])
        inner.bias.bias.floatValue.append(value)
        return model

    result = difference(with_branch(1), with_branch(3))
    assert [(layer.name, layer.weights[0].norm) for layer in result.layers.changed] == [("branch/ifBranch/inner", 2.0)]


def test_models_of_other_kinds_are_compared_field_by_field() -> None:
    def scaler(value: float) -> Model:
        model = Model_pb2.Model(specificationVersion=1)
        model.scaler.scaleValue.append(value)
        return model

    assert [(c.what, c.before, c.after) for c in difference(scaler(1), scaler(2)).settings] == [
        ("scaleValue", "1", "2")
    ]


def test_a_description_that_is_long_is_shortened() -> None:
    result = difference(valid.plain(), describe(valid.plain(), author="x" * 10_000))
    (change,) = result.description
    assert len(change.after) == 120
    assert change.after.endswith("…")
