"""softmax: its axis at every rank, under both readings of rank 3, against torch."""

from typing import Any

import numpy as np
import pytest
import torch
from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder

from coreml_updatable.errors import DataError, ModelError
from coreml_updatable.runtime import load
from coreml_updatable.runtime.assumptions import PredictionAssumptions

FORMAT = PredictionAssumptions(softmax_at_rank_3="axis -3")


def alone(shape: tuple[int, ...], rank5: bool = False) -> Any:
    builder = NeuralNetworkBuilder(
        [("x", datatypes.Array(*shape))], [("y", None)], disable_rank5_shape_mapping=not rank5
    )
    builder.add_softmax("softmax", "x", "y")
    return builder.spec


@pytest.mark.field_case("apple/coremltools#1714", "softmax at rank 3 works along the last axis", "works")
@pytest.mark.field_case(
    "apple/coremltools#2856", "softmax at rank 3 works along the last axis, at rank 4 along -3", "works"
)
@pytest.mark.parametrize("shape", [(1, 1, 2), (2, 1, 1), (2, 3, 4), (1, 2, 3, 4), (2, 1, 3, 1, 2)])
def test_the_axis_by_rank(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    actual = load(alone(shape)).predict([{"x": x}, {"x": -x}])
    for answer, sign in zip(actual, (1, -1), strict=True):
        expected = torch.softmax(torch.from_numpy(sign * x), -1 if len(shape) == 3 else -3)
        np.testing.assert_allclose(answer["y"], expected.numpy(), rtol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1, 2), (2, 3, 4), (1, 2, 3, 4)])
def test_the_axis_as_the_format_says_it(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    result = load(alone(shape), assumptions=FORMAT).predict({"x": x})["y"]
    np.testing.assert_allclose(result, torch.softmax(torch.from_numpy(x), -3).numpy(), rtol=1e-5)


def test_in_the_old_mapping_every_blob_has_rank_5() -> None:
    """A vector and a picture of rank 1 and 3 are softened over their channels, whatever the reading of rank 3."""
    x = np.random.default_rng(0).normal(size=(3, 2, 1)).astype(np.float32)
    for given in (x, x[:, 0, 0]):
        for assumptions in (None, FORMAT):
            result = load(alone(given.shape, rank5=True), assumptions=assumptions).predict({"x": given})["y"]
            np.testing.assert_allclose(
                result.reshape(given.shape), torch.softmax(torch.from_numpy(given), 0), rtol=1e-5
            )


def test_inside_a_loop_the_reading_is_the_same() -> None:
    x = np.array([[[0.0, 1.0]]], np.float32)
    spec = alone(x.shape)
    layers = spec.neuralNetwork.layers
    softmax = type(layers[0])()
    softmax.CopyFrom(layers[0])
    layers[0].Clear()
    layers[0].name = "loop"
    layers[0].loop.maxLoopIterations = 1
    layers[0].loop.bodyNetwork.layers.add().CopyFrom(softmax)
    np.testing.assert_allclose(load(spec).predict({"x": x})["y"], torch.softmax(torch.from_numpy(x), -1), rtol=1e-5)
    np.testing.assert_array_equal(load(spec, assumptions=FORMAT).predict({"x": x})["y"], np.ones_like(x))


def test_frozen_rows_of_one_reading_are_not_for_the_other() -> None:
    spec = alone((1, 1, 2))
    model, other = load(spec), load(spec, assumptions=FORMAT)
    row = {"x": np.zeros((1, 1, 2), np.float32)}
    load(spec).predict(model.frozen([row]))
    with pytest.raises(DataError, match="another model"):
        other.predict(model.frozen([row]))


def test_rank_2_is_refused() -> None:
    with pytest.raises(ModelError, match="layer 'softmax': input has rank 2, the layer expects at least 3"):
        load(alone((2, 3))).predict({"x": np.zeros((2, 3))})
