"""What is odd about a file is said, and nothing is said of a sound one."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest

from coreml_updatable.marking import with_samples
from coreml_updatable.spec.messages import Model, Model_pb2
from coreml_updatable.spec.network import network_of
from coreml_updatable.spec.notices import faults, remarks
from tests.broken_models import valid
from tests.runtime.sound_models import sound_models

Build: TypeAlias = Callable[[], Model]


def said(edit: Callable[[Model], Any], build: Build = valid.classifier) -> str:
    model = build()
    edit(model)
    return "\n".join(faults(model))


@pytest.mark.parametrize("build", valid.ALL, ids=lambda build: build.__name__)
def test_nothing_is_said_of_a_sound_model(build: Build) -> None:
    assert faults(build()) == remarks(build()) == ()


def test_built_models_of_many_layer_kinds_have_no_faults() -> None:
    """By coremltools' builder, branches and loops among them: every complaint here would be a false one."""
    for model in sound_models():
        assert faults(model) == ()


def test_an_ml_program_and_the_way_out() -> None:
    model = Model_pb2.Model(specificationVersion=7)
    model.mlProgram.version = 1
    assert faults(model) == ()
    assert remarks(model) == ("an ML program can never be updatable; convert with convert_to='neuralnetwork'",)


def test_a_version_that_is_too_low_or_not_known() -> None:
    assert said(lambda model: setattr(model, "specificationVersion", 3)) == (
        "being updatable needs specification version 4, the file states 3"
    )
    old = valid.exact()
    old.specificationVersion = 1
    assert faults(old) == ()
    assert remarks(old) == (
        "layer 'squeeze' (squeeze) needs specification version 4 (iOS 13, macOS 10.15), the file states 1",
    )
    future = valid.classifier()
    future.specificationVersion = 99
    assert faults(future) == ()
    assert remarks(future) == ("specification version 99 is not known; known are 1 to 10",)


def test_absurd_sizes() -> None:
    def swell(model: Model) -> None:
        model.description.input[0].type.multiArrayType.shape[:] = [3, 2**62, 8]
        valid.layer(model, "fc").innerProduct.inputChannels = 2**60

    text = said(swell)
    assert f"input 'image': is declared to hold {3 * 2**62 * 8} numbers, more than any device can" in text
    assert f"layer 'fc': weights: holds 432 values, its settings ask for {3 * 2**60}" in text

    def picture(model: Model) -> None:
        image = model.description.input[0].type.imageType
        image.width = image.height = 2**31

    assert f"is declared to hold {2**62} numbers" in said(picture)


def test_contradicting_shapes() -> None:
    def narrow(model: Model) -> None:
        model.description.input[0].type.multiArrayType.shape[:] = [2, 8, 8]

    assert said(narrow) == "layers[0] 'conv': is given 2 channels, it expects 3"

    def shrink(model: Model) -> None:
        model.description.input[0].type.multiArrayType.shape[:] = [3, 2, 2]

    assert "layers[0] 'conv': would write a blob of the shape [1, 1, 4, 0, 0], which no device can" in said(shrink)


def test_a_circle() -> None:
    def close(model: Model) -> None:
        valid.layer(model, "conv").input[0] = "probabilities"

    start, _, names = said(close).partition(": ")
    assert start == "5 layers feed each other in a circle, which no device can run"
    assert names.split(" → ") == ["'relu'", "'flatten'", "'fc'", "…", "'relu'"]


def test_blobs_that_nothing_or_only_a_later_layer_writes() -> None:
    def tear(model: Model) -> None:
        valid.layer(model, "relu").input[0] = "none"

    assert said(tear) == "layers[1] 'relu': reads 'none', which nothing writes"

    def swap(model: Model) -> None:
        layers = network_of(model).layers
        layers.add().CopyFrom(layers[0])
        del layers[0]

    assert said(swap) == "layers[0] 'relu': reads 'conv', which only a later layer writes"
    assert said(lambda model: network_of(model).ClearField("layers")) == "the network has no layers"


def test_numbers_that_are_not_finite() -> None:
    def spoil(model: Model) -> None:
        valid.layer(model, "fc").innerProduct.weights.floatValue[0] = float("nan")
        valid.layer(model, "conv").convolution.bias.floatValue[:2] = [float("inf"), float("-inf")]
        valid.sgd(model).learningRate.defaultValue = float("nan")

    assert said(spoil).splitlines() == [
        "layer 'conv' (convolution): bias: 2 of its numbers are NaN or infinite",
        "layer 'fc' (innerProduct): weights: one of its numbers is NaN or infinite",
        "parameter learningRate: its default or its range is NaN or infinite",
    ]
    samples = with_samples(valid.nearest_neighbors(), np.ones((1, 4)), ["a"])
    samples.kNearestNeighborsClassifier.nearestNeighborsIndex.floatSamples[0].vector[2] = float("nan")
    assert faults(samples) == ("samples: one of its numbers is NaN or infinite",)


def test_inside_a_branch_too() -> None:
    def add(model: Model) -> None:
        layer = network_of(model).layers.add(name="branch", input=["y"], output=["z"])
        inner = layer.branch.ifBranch.layers.add(name="inner", input=["y"], output=["z"])
        inner.bias.bias.floatValue.append(float("nan"))

    assert "layer 'branch/ifBranch/inner' (bias): bias: one of its numbers is NaN" in said(add, valid.plain)


def test_many_of_one_kind_are_counted() -> None:
    def tear(model: Model) -> None:
        for number in range(9):
            network_of(model).layers.add(name=f"{number}", input=[f"none{number}"], output=[f"out{number}"])

    lines = said(tear).splitlines()
    assert len(lines) == 4
    assert lines[-1] == "… and 6 more of this kind"


def test_hostile_shapes_do_not_outgrow_the_file() -> None:
    """Each layer doubles a length, or adds an axis: the numbers would have a thousand digits."""

    def swell(model: Model) -> None:
        layers = network_of(model).layers
        blob, axis = "x", "x"
        for number in range(3000):
            layers.add(name=f"c{number}", input=[blob, blob], output=[f"c{number}"]).concat.SetInParent()
            layers.add(name=f"e{number}", input=[axis], output=[f"e{number}"]).expandDims.axes.append(0)
            blob, axis = f"c{number}", f"e{number}"

    text = said(swell, valid.plain)
    assert "numbers, which no device can" in text
    assert len(text) < 2000
